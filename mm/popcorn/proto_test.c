// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the page coherency protocols: the scenarios in which the
 * published protocol fails, on both protocols that move pages, in the kernel that will
 * run them. The exhaustive search is in tools/popcorn/check.
 */
#include <kunit/test.h>
#include <linux/prandom.h>
#include <linux/slab.h>

#include <popcorn/proto.h>

#define KERNELS		8
#define QUEUE		512

struct wire {
	struct pcn_proto_event m;
	u8 to;
	u64 data;
};

/* Some kernels, one page, messages under way. */
struct machine {
	struct kunit *test;
	const struct pcn_proto *proto;
	unsigned int n, count;
	struct pcn_kernel_group g[KERNELS];
	struct pcn_replica r[KERNELS];
	u64 data[KERNELS], last;
	u64 readable, writable;
	unsigned int made;		/* how often the page was made */
	struct wire q[QUEUE];
	struct pcn_out out;
};

static struct machine *new_machine(struct kunit *test,
				   const struct pcn_proto *p, unsigned int n,
				   u8 origin)
{
	struct machine *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	unsigned int k;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->test = test;
	m->proto = p;
	m->n = n;
	for (k = 0; k < n; k++) {
		m->g[k] = (struct pcn_kernel_group) {
			.members = GENMASK_ULL(n - 1, 0), .self = k, .count = n,
			.origin = origin,
		};
		pcn_replica_init(&m->r[k], &m->g[k]);
	}
	return m;
}

static void post(struct machine *m, const struct pcn_proto_event *msg, unsigned int to)
{
	KUNIT_ASSERT_LT(m->test, m->count, QUEUE);
	KUNIT_ASSERT_LT(m->test, to, m->n);
	m->q[m->count++] = (struct wire) {
		.m = *msg, .to = to, .data = m->data[msg->from],
	};
}

static void post_all(struct machine *m, const struct pcn_action *a)
{
	unsigned int to, who;

	for (to = 0; to < 64; to++) {
		struct pcn_proto_event msg = a->msg;

		if (!(a->to & BIT_ULL(to)))
			continue;
		if (!a->behalf)
			post(m, &msg, to);
		for (who = 0; who < 64; who++) {
			msg.who = who;
			if (a->behalf & BIT_ULL(who))
				post(m, &msg, to);
		}
	}
}

static void map(struct machine *m, unsigned int k, bool read, bool write)
{
	u64 me = BIT_ULL(k);

	m->readable = read ? m->readable | me : m->readable & ~me;
	m->writable = write ? m->writable | me : m->writable & ~me;
	if (write)
		KUNIT_EXPECT_EQ(m->test, m->readable, me);
	if (read)
		KUNIT_EXPECT_EQ(m->test, m->writable & ~me, 0);
}

static void access_done(struct machine *m, unsigned int k, bool write)
{
	KUNIT_EXPECT_EQ(m->test, m->data[k], m->last);
	if (write)
		m->data[k] = ++m->last;
}

static void perform(struct machine *m, unsigned int k,
		    const struct pcn_action *a, u64 data, bool write)
{
	switch (a->op) {
	case PCN_SEND:
		return post_all(m, a);
	case PCN_INSTALL:
		m->data[k] = data;
		return;
	case PCN_ZERO:
		KUNIT_EXPECT_EQ(m->test, m->made++, 0);
		return;
	case PCN_NONE:
		return map(m, k, false, false);
	case PCN_RDONLY:
		return map(m, k, true, false);
	case PCN_RDWR:
		return map(m, k, true, true);
	case PCN_DONE:
		return access_done(m, k, write);
	}
}

static void step(struct machine *m, unsigned int k, const struct pcn_proto_event *ev,
		 u64 data)
{
	bool write = m->r[k].flags & PCN_WRITING || ev->type == PCN_WRITE;
	unsigned int i;

	KUNIT_ASSERT_EQ_MSG(m->test, pcn_proto_step(m->proto, &m->g[k], &m->r[k], ev,
						    &m->out), PCN_OK,
			    "%s in %s: %s", pcn_event_name(ev->type),
			    pcn_state_name(m->r[k].state), m->out.fault);
	KUNIT_ASSERT_LE(m->test, m->out.count, PCN_ACTIONS);
	for (i = 0; i < m->out.count; i++)
		perform(m, k, &m->out.act[i], data, write);
}

static void touch(struct machine *m, unsigned int k, enum pcn_event_type type)
{
	struct pcn_proto_event ev = { .type = type, .from = k, .who = k };

	step(m, k, &ev, 0);
}

static void deliver(struct machine *m, unsigned int i)
{
	struct wire x = m->q[i];

	m->count--;
	memmove(&m->q[i], &m->q[i + 1], (m->count - i) * sizeof(x));
	step(m, x.to, &x.m, x.data);
}

/* The oldest message of a kind between two kernels. */
static void deliver_the(struct machine *m, unsigned int from, unsigned int to,
			enum pcn_event_type type)
{
	unsigned int i;

	for (i = 0; i < m->count; i++)
		if (m->q[i].m.from == from && m->q[i].to == to &&
		    m->q[i].m.type == type)
			return deliver(m, i);
	KUNIT_FAIL(m->test, "no %s from %u to %u", pcn_event_name(type), from,
		   to);
}

static void settle(struct machine *m)
{
	unsigned int k, guard = 0;

	while (m->count && guard++ < 10000)
		deliver(m, 0);
	KUNIT_EXPECT_EQ(m->test, m->count, 0);
	for (k = 0; k < m->n; k++)
		KUNIT_EXPECT_TRUE(m->test, pcn_replica_is_settled(&m->r[k]));
}

static void share(struct machine *m)
{
	unsigned int k;

	touch(m, 0, PCN_WRITE);
	settle(m);
	for (k = 1; k < m->n; k++) {
		touch(m, k, PCN_READ);
		settle(m);
	}
}

static const struct pcn_proto *const protos[] = {
	&pcn_proto_owner, &pcn_proto_vote
};

static void protocol_name(const struct pcn_proto *const *p, char *text)
{
	strscpy(text, (*p)->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(protocol, protos, protocol_name);

static struct machine *machine(struct kunit *test, unsigned int n)
{
	const struct pcn_proto *const *p = test->param_value;

	return new_machine(test, *p, n, PCN_NOBODY);
}

/* F1: two kernels touch the page for the first time at once. */
static void first_touch_at_once(struct kunit *test)
{
	struct machine *m = machine(test, 2);

	touch(m, 0, PCN_READ);
	touch(m, 1, PCN_READ);
	deliver_the(m, 0, 1, PCN_JOIN);
	deliver_the(m, 1, 0, PCN_JOIN);
	settle(m);
	KUNIT_EXPECT_EQ(test, m->made, 1);
}

/* F1b: the same with a third kernel that has answered one before. */
static void first_touch_of_three(struct kunit *test)
{
	struct machine *m = machine(test, 3);

	touch(m, 1, PCN_READ);
	deliver_the(m, 1, 0, PCN_JOIN);
	touch(m, 0, PCN_READ);
	settle(m);
	KUNIT_EXPECT_EQ(test, m->made, 1);
}

/* F2: a kernel that has given its copy up reads while a write is under way. */
static void read_during_a_write(struct kunit *test)
{
	struct machine *m = machine(test, 3);

	share(m);
	touch(m, 0, PCN_WRITE);
	deliver_the(m, 0, 1, PCN_INVALID);
	touch(m, 1, PCN_READ);
	settle(m);
	KUNIT_EXPECT_EQ(test, m->data[1], m->last);
}

/* F3 to F5: two readers, and then one of them writes. */
static void copy_moves_on(struct kunit *test)
{
	struct machine *m = machine(test, 3);

	share(m);
	touch(m, 0, PCN_WRITE);
	deliver_the(m, 0, 1, PCN_INVALID);
	deliver_the(m, 0, 2, PCN_INVALID);
	touch(m, 1, PCN_READ);
	touch(m, 2, PCN_WRITE);
	settle(m);
	touch(m, 1, PCN_READ);
	settle(m);
	KUNIT_EXPECT_EQ(test, m->data[1], m->last);
}

/* F6 to F9: all write at once; every one of them gets its turn. */
static void all_write_at_once(struct kunit *test)
{
	struct machine *m = machine(test, KERNELS);
	unsigned int k;
	u64 before;

	share(m);
	before = m->last;
	for (k = 0; k < KERNELS; k++)
		touch(m, k, PCN_WRITE);
	settle(m);
	KUNIT_EXPECT_EQ(test, m->last, before + KERNELS);
}

/* F10: a kernel joins while a write is under way that does not know of it. */
static void join_during_a_write(struct kunit *test)
{
	struct machine *m = machine(test, 3);

	touch(m, 0, PCN_WRITE);
	settle(m);
	touch(m, 1, PCN_READ);
	settle(m);
	touch(m, 0, PCN_WRITE);
	touch(m, 2, PCN_READ);
	settle(m);
	touch(m, 2, PCN_READ);
	settle(m);
	KUNIT_EXPECT_EQ(test, m->data[2], m->last);
}

/* A kernel becomes a member that has heard none of the Joins before. */
static void new_member_writes(struct kunit *test)
{
	struct machine *m = machine(test, 2);
	unsigned int k;

	share(m);
	m->n = 3;
	for (k = 0; k < m->n; k++) {
		m->g[k] = m->g[0];
		m->g[k].members = GENMASK_ULL(m->n - 1, 0);
		m->g[k].self = k;
		m->g[k].count = m->n;
	}
	pcn_replica_init(&m->r[2], &m->g[2]);
	touch(m, 2, PCN_WRITE);
	settle(m);
	touch(m, 0, PCN_READ);
	touch(m, 1, PCN_READ);
	settle(m);
	KUNIT_EXPECT_EQ(test, m->data[0], m->last);
	KUNIT_EXPECT_EQ(test, m->data[1], m->last);
}

/*
 * Of three kernels that know nothing of a page one dies. A kernel that was told of the
 * death and waits for nothing must go on asking later.
 */
static void death_leaves_nothing(struct kunit *test)
{
	struct machine *m = machine(test, 3);
	struct pcn_proto_event dead = { .type = PCN_DEAD, .who = 2 };
	struct pcn_proto_event abort = { .type = PCN_ABORT };
	struct pcn_replica before[2];
	unsigned int k;

	for (k = 0; k < 2; k++) {
		before[k] = m->r[k];
		m->g[k].members = 3;
		m->g[k].count = 2;
		step(m, k, &dead, 0);
		step(m, k, &abort, 0);
		KUNIT_EXPECT_MEMEQ(test, &before[k], &m->r[k],
				   sizeof(before[k]));
	}
}

/* Anything, in any order, from a fixed seed. */
static void at_random(struct kunit *test)
{
	struct machine *m = machine(test, KERNELS);
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, 4711);
	for (i = 0; i < 20000; i++) {
		u32 x = prandom_u32_state(&rnd);
		unsigned int k = x % KERNELS;
		bool write = x & 0x10000;

		if (m->count && x & 0x700000)
			deliver(m, (x >> 8) % m->count);
		else if (pcn_replica_is_settled(&m->r[k]) &&
			 !((write ? m->writable : m->readable) & BIT_ULL(k)))
			touch(m, k, write ? PCN_WRITE : PCN_READ);
	}
	settle(m);
}

/* What cannot happen is refused by name and changes nothing. */
static void impossible_is_refused(struct kunit *test)
{
	struct machine *m = machine(test, 3);
	struct pcn_proto_event ev = { .type = PCN_ACK, .from = 1, .who = 1 };
	struct pcn_replica before;

	share(m);
	before = m->r[0];
	KUNIT_EXPECT_EQ(test, pcn_proto_step(m->proto, &m->g[0], &m->r[0], &ev,
					     &m->out), PCN_IMPOSSIBLE);
	KUNIT_EXPECT_NOT_NULL(test, m->out.fault);
	KUNIT_EXPECT_MEMEQ(test, &before, &m->r[0], sizeof(before));
	ev.type = PCN_EVENTS;
	KUNIT_EXPECT_EQ(test, pcn_proto_step(m->proto, &m->g[0], &m->r[0], &ev,
					     &m->out), PCN_IMPOSSIBLE);
	ev.type = PCN_FETCH_WRITE;
	ev.who = 0;
	KUNIT_EXPECT_EQ(test, pcn_proto_step(m->proto, &m->g[0], &m->r[0], &ev,
					     &m->out), PCN_IMPOSSIBLE);
	ev.type = PCN_FETCH;
	ev.who = 1;
	ev.from = 5;
	KUNIT_EXPECT_EQ(test, pcn_proto_step(m->proto, &m->g[0], &m->r[0], &ev,
					     &m->out), PCN_IGNORED);
}

/* An untouched page costs the origin no message, and others two. */
static void origin_owns_untouched(struct kunit *test)
{
	struct machine *m = new_machine(test, &pcn_proto_owner, 4, 0);

	touch(m, 0, PCN_WRITE);
	KUNIT_EXPECT_EQ(test, m->count, 0);
	KUNIT_EXPECT_EQ(test, m->r[0].state, PCN_NR);
	m = new_machine(test, &pcn_proto_owner, 4, 0);
	touch(m, 3, PCN_READ);
	deliver_the(m, 3, 0, PCN_FETCH);
	deliver_the(m, 0, 3, PCN_COPY_OWN);
	KUNIT_EXPECT_EQ(test, m->count, 0);
	KUNIT_EXPECT_EQ(test, m->r[3].state, PCN_NR);
}

static void found_by_name(struct kunit *test)
{
	KUNIT_EXPECT_PTR_EQ(test, pcn_proto_find("owner"), &pcn_proto_owner);
	KUNIT_EXPECT_PTR_EQ(test, pcn_proto_find("vote"), &pcn_proto_vote);
	KUNIT_EXPECT_NULL(test, pcn_proto_find("own"));
	KUNIT_EXPECT_NULL(test, pcn_proto_find("owners"));
	KUNIT_EXPECT_NOT_NULL(test, pcn_proto_chosen());
}

static void found_by_number(struct kunit *test)
{
	const struct pcn_proto *proto;
	unsigned int number;

	for (number = 0; number <= U8_MAX; number++) {
		proto = pcn_proto_of(number);
		KUNIT_EXPECT_EQ(test, !!proto, number && number < PCN_PROTOS);
		if (proto)
			KUNIT_EXPECT_EQ(test, (unsigned int)pcn_proto_number(proto), number);
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE_PARAM(first_touch_at_once, protocol_gen_params),
	KUNIT_CASE_PARAM(first_touch_of_three, protocol_gen_params),
	KUNIT_CASE_PARAM(read_during_a_write, protocol_gen_params),
	KUNIT_CASE_PARAM(copy_moves_on, protocol_gen_params),
	KUNIT_CASE_PARAM(all_write_at_once, protocol_gen_params),
	KUNIT_CASE_PARAM(join_during_a_write, protocol_gen_params),
	KUNIT_CASE_PARAM(new_member_writes, protocol_gen_params),
	KUNIT_CASE_PARAM(death_leaves_nothing, protocol_gen_params),
	KUNIT_CASE_PARAM(at_random, protocol_gen_params),
	KUNIT_CASE_PARAM(impossible_is_refused, protocol_gen_params),
	KUNIT_CASE(origin_owns_untouched),
	KUNIT_CASE(found_by_name),
	KUNIT_CASE(found_by_number),
	{}
};

static struct kunit_suite suite = {
	.name = "popcorn_protocol",
	.test_cases = cases,
};
kunit_test_suite(suite);

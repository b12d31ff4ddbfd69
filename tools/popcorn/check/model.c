// SPDX-License-Identifier: GPL-2.0
/*
 * The model: what can happen in a world, and what must hold in it.
 *
 * The protocols run here unchanged; this file interprets their actions. Data
 * is one bit: a copy is what was written last, or it is not. That is enough,
 * since a copy that is not current never becomes current again.
 */
#include <stdlib.h>
#include <string.h>

#include "model.h"

u32 seen_next[PCN_STATES][PCN_EVENTS];

static bool is_member(const struct world *w, unsigned int k)
{
	return w->members[k] >> k & 1;
}

static struct pcn_kernel_group group_of(const struct config *c, const struct world *w,
					unsigned int k)
{
	return (struct pcn_kernel_group) {
		.members = w->members[k],
		.self = k,
		.count = __builtin_popcount(w->members[k]),
		.origin = c->origin ? 0 : PCN_NOBODY,
		.broadcast = c->broadcast,
	};
}

static void start_shared(const struct config *c, struct world *w, unsigned int k)
{
	struct pcn_replica *r = &w->r[k];
	bool owner = c->proto == &pcn_proto_owner;

	r->state = owner && k == 0 ? PCN_SO : PCN_S;
	r->flags = PCN_HELD;
	r->hint = owner ? 0 : PCN_NOBODY;
	if (!owner || k == 0)
		r->cs = w->members[k];
	if (owner)
		r->cs &= ~(1ULL << k);
	else
		r->version = 1;
	w->access[k] = ACCESS_READ;
	w->current[k] = 1;
}

/* The origin of a process has had each page for itself until it is shared. */
static void start_owned(const struct config *c, struct world *w)
{
	struct pcn_kernel_group g = group_of(c, w, 0);

	pcn_replica_init(&w->r[0], &g);
	pcn_replica_own(c->proto, &g, &w->r[0]);
	w->access[0] = ACCESS_WRITE;
	w->current[0] = 1;
	w->exists = 1;
}

/* All but the replicas. */
static void start_counts(const struct config *c, struct world *w)
{
	unsigned int k, present = c->n - !!c->joins;

	w->subject = PCN_NOBODY;
	w->drops = c->drops;
	w->deaths = c->deaths;
	w->leaves = c->leaves;
	w->forks = c->forks;
	w->joins = c->joins;
	for (k = 0; k < c->n; k++) {
		w->members[k] = k < present ? (1U << present) - 1 : 0;
		w->reads[k] = c->readers >> k & 1 ? c->reads : 0;
		w->writes[k] = c->writers >> k & 1 ? c->writes : 0;
	}
}

void model_start(const struct config *c, struct world *w)
{
	unsigned int k, shared = 0, present = c->n - !!c->joins;
	u64 holders;

	memset(w, 0, sizeof(*w));
	start_counts(c, w);
	if (c->start == START_S || c->start == START_JOIN)
		shared = c->start == START_S ? present : present - 1;
	holders = (1ULL << shared) - 1;
	w->exists = shared > 0;
	for (k = 0; k < c->n; k++) {
		struct pcn_kernel_group g = group_of(c, w, k);

		pcn_replica_init(&w->r[k], &g);
		if (k >= present)
			continue;
		if (k < shared) {
			start_shared(c, w, k);
			w->r[k].cs &= holders;
		} else if (shared && c->proto == &pcn_proto_owner) {
			/* As after a Join that was heard of. */
			w->r[k].hint = 0;
		} else if (c->proto != &pcn_proto_owner) {
			w->r[k].cs = holders;
		}
	}
	if (c->start == START_OWNED)
		start_owned(c, w);
}

/* --- the interpreter --- */

/* A move under construction. */
struct turn {
	const struct config *c;
	struct world w;
	const struct wire *in;	/* the message that is the event */
	unsigned int sent;	/* messages of this step */
	u8 pending;		/* access that DONE completes, replica flags */
	const char *fault;
};

static void fail(struct turn *t, const char *why)
{
	if (!t->fault)
		t->fault = why;
}

static void written(struct turn *t, unsigned int k)
{
	unsigned int i;

	for (i = 0; i < t->c->n; i++)
		t->w.current[i] = i == k;
	for (i = 0; i < t->w.count; i++)
		t->w.q[i].current = 0;
	t->w.exists = 1;
}

static void set_access(struct turn *t, unsigned int k, enum access a)
{
	unsigned int i;

	for (i = 0; i < t->c->n; i++)
		if (i != k && is_member(&t->w, i) && a != ACCESS_NONE &&
		    (a == ACCESS_WRITE ? t->w.access[i] != ACCESS_NONE :
		     t->w.access[i] == ACCESS_WRITE))
			fail(t, "S1: a writer together with another access");
	t->w.access[k] = a;
}

static void complete(struct turn *t, unsigned int k)
{
	if (t->pending & PCN_READING && t->w.access[k] == ACCESS_NONE)
		fail(t, "a read completes without a mapping");
	if (t->pending & PCN_WRITING && t->w.access[k] != ACCESS_WRITE)
		fail(t, "a write completes without a mapping");
	if (!t->w.current[k])
		fail(t, "S2: the access sees old data");
	if (t->pending & PCN_WRITING)
		written(t, k);
	t->pending = 0;
}

static void post(struct turn *t, const struct pcn_proto_event *m, unsigned int to)
{
	struct wire *x;

	if (to >= t->c->n || to == m->from)
		return fail(t, "a message to nobody");
	if (t->w.count == MODEL_MESSAGES)
		return fail(t, "model: too many messages");
	if (m->type == PCN_COPY_OWN && !(t->w.members[m->from] >> to & 1))
		fail(t, "the page is granted to a kernel known to be gone");
	/* Nothing reaches the dead. */
	if (!is_member(&t->w, to))
		return;
	x = &t->w.q[t->w.count++];
	x->m = *m;
	x->to = to;
	x->current = m->flags & PCN_DATA && m->type < PCN_MESSAGES ?
		     t->w.current[m->from] : 0;
}

static void post_all(struct turn *t, const struct pcn_action *a)
{
	unsigned int to, who;
	struct pcn_proto_event m = a->msg;
	unsigned int to_each = a->behalf ? __builtin_popcountll(a->behalf) : 1;

	t->sent += __builtin_popcountll(a->to) * to_each;
	if (t->sent > PCN_SENDS(t->c->n))
		fail(t, "a step sends more than there is a reserve for");
	if (!a->to)
		fail(t, "a message to nobody");
	for (to = 0; to < 64; to++) {
		if (!(a->to >> to & 1))
			continue;
		if (!a->behalf)
			post(t, &m, to);
		for (who = 0; who < 64 && a->behalf; who++) {
			m.who = who;
			if (a->behalf >> who & 1)
				post(t, &m, to);
		}
	}
}

static void zero(struct turn *t, unsigned int k)
{
	if (t->w.exists)
		fail(t, "S4: the page is made anew while it exists");
	t->w.exists = 1;
	t->w.current[k] = 1;
}

static void perform(struct turn *t, unsigned int k, const struct pcn_action *a)
{
	switch (a->op) {
	case PCN_SEND:
		return post_all(t, a);
	case PCN_INSTALL:
		if (!t->in || !(t->in->m.flags & PCN_DATA))
			return fail(t, "no data to install");
		t->w.current[k] = t->in->current;
		return;
	case PCN_ZERO:
		return zero(t, k);
	case PCN_NONE:
		return set_access(t, k, ACCESS_NONE);
	case PCN_RDONLY:
		return set_access(t, k, ACCESS_READ);
	case PCN_RDWR:
		return set_access(t, k, ACCESS_WRITE);
	case PCN_DONE:
		return complete(t, k);
	case PCN_GONE:
		t->w.access[k] = ACCESS_NONE;
		return;
	default:
		return;
	}
}

static void check_transition(struct turn *t, u8 from, const struct pcn_proto_event *ev,
			     u8 to, unsigned int rule)
{
	u32 next = t->c->proto->rules[rule].next;

	seen_next[from][ev->type] |= 1U << to;
	if (!(next & 1U << to) && !(next & PCN_SAME && from == to))
		fail(t, "the rule leads to a state that the table does not name");
}

static void step(struct turn *t, unsigned int k, const struct pcn_proto_event *ev)
{
	struct pcn_kernel_group g = group_of(t->c, &t->w, k);
	struct pcn_replica *r = &t->w.r[k];
	u8 from = r->state;
	struct pcn_out out;
	unsigned int i;

	t->sent = 0;
	t->pending = r->flags & (PCN_READING | PCN_WRITING);
	if (ev->type == PCN_READ)
		t->pending = PCN_READING;
	if (ev->type == PCN_WRITE)
		t->pending = PCN_WRITING;
	switch (pcn_proto_step(t->c->proto, &g, r, ev, &out)) {
	case PCN_IMPOSSIBLE:
		return fail(t, out.fault);
	case PCN_IGNORED:
		return;
	case PCN_OK:
		break;
	}
	if (out.count > PCN_ACTIONS)
		return fail(t, "too many actions");
	for (i = 0; i < out.count; i++)
		perform(t, k, &out.act[i]);
	check_transition(t, from, ev, r->state, out.rule);
	if (!(r->flags & PCN_HELD)) {
		t->w.current[k] = 0;
		if (t->w.access[k] != ACCESS_NONE)
			fail(t, "a mapping without a copy");
	}
}

/* --- what must hold --- */

static bool owns(const struct pcn_replica *r)
{
	return r->state == PCN_NR || r->state == PCN_M || r->state == PCN_SO ||
	       r->state == PCN_WP1;
}

static void check_copies(struct turn *t)
{
	unsigned int k, i;

	for (k = 0; k < t->c->n; k++) {
		if (!is_member(&t->w, k))
			continue;
		if (t->w.access[k] != ACCESS_NONE && !t->w.current[k])
			fail(t, "S2: a readable copy is old");
		for (i = 0; i < t->c->n; i++) {
			if (i == k || !is_member(&t->w, i))
				continue;
			if (t->w.access[k] == ACCESS_WRITE && t->w.access[i])
				fail(t, "S1: a writer together with another access");
			if (t->w.r[k].state == PCN_NR &&
			    t->w.r[i].flags & PCN_HELD)
				fail(t, "S3: Not Replicated together with another copy");
		}
	}
}

/* "owner": one owner or one grant; whoever holds a copy is in the copyset. */
static void check_owner(struct turn *t)
{
	unsigned int k, i, owners = 0;
	u64 known = 0, holders = 0;

	for (k = 0; k < t->c->n; k++) {
		const struct pcn_replica *r = &t->w.r[k];

		if (!is_member(&t->w, k))
			continue;
		if (owns(r)) {
			owners++;
			known |= r->cs | 1U << k;
		} else if (r->flags & PCN_HELD) {
			holders |= 1U << k;
		}
	}
	for (i = 0; i < t->w.count; i++) {
		const struct wire *x = &t->w.q[i];

		if (x->m.type == PCN_COPY_OWN && !(x->m.flags & PCN_ONLY)) {
			owners++;
			known |= x->m.cs | 1U << x->to;
		}
		if (x->m.type == PCN_COPY)
			holders |= 1U << x->to;
	}
	if (owners > 1)
		fail(t, "two owners");
	if (!owners && t->w.exists)
		fail(t, "no owner");
	if (holders & ~known)
		fail(t, "a copy that the owner does not know of");
}

/* Of each kernel: whose answers are under way, and how many for a Fetch. */
struct owed {
	u8 answers[MODEL_KERNELS];
	u8 fetches[MODEL_KERNELS];
};

static void count_wire(struct owed *o, const struct wire *x)
{
	switch (x->m.type) {
	case PCN_FETCH:
	case PCN_FETCH_WRITE:
		o->fetches[x->m.who]++;
		o->answers[x->m.from] |= 1U << x->to;
		break;
	case PCN_JOIN:
		o->answers[x->m.from] |= 1U << x->to;
		break;
	case PCN_COPY:
	case PCN_COPY_OWN:
	case PCN_COPY_VOID:
		o->fetches[x->to] += x->m.type != PCN_COPY_VOID ||
				     x->m.flags & PCN_BOUNCE;
		o->answers[x->to] |= 1U << x->m.from;
		break;
	}
}

static void count_deferred(struct owed *o, const struct pcn_replica *r,
			   unsigned int k)
{
	unsigned int i;

	for (i = 0; i < MODEL_KERNELS; i++) {
		o->fetches[i] += (r->readers >> i & 1) + (r->writers >> i & 1) +
				 (r->next == i);
		if ((r->readers | r->joiners) >> i & 1)
			o->answers[i] |= 1U << k;
	}
}

/*
 * S5. In "owner" a Fetch is in one place only, as it is, deferred, or in its
 * answer; in "vote", and for a Join, whoever was asked will answer. In both, the
 * page is somewhere as long as it exists.
 */
static void check_answers(struct turn *t)
{
	bool owner = t->c->proto == &pcn_proto_owner;
	struct owed o = { };
	unsigned int k, i;
	u8 current = 0;

	for (i = 0; i < t->w.count; i++) {
		count_wire(&o, &t->w.q[i]);
		current |= t->w.q[i].current;
	}
	for (k = 0; k < t->c->n; k++)
		if (is_member(&t->w, k)) {
			count_deferred(&o, &t->w.r[k], k);
			current |= t->w.current[k];
		}
	if (t->w.exists && !current)
		fail(t, "S5: the page exists and nobody has it");
	for (k = 0; k < t->c->n; k++) {
		const struct pcn_replica *r = &t->w.r[k];
		bool asks = !pcn_replica_is_settled(r) && r->state != PCN_WP1 &&
			    (r->state != PCN_FNR || t->c->origin);

		if (owner && o.fetches[k] != asks)
			fail(t, asks && !o.fetches[k] ?
			     "S5: a Fetch that nobody will answer" :
			     "S5: a Fetch is answered twice");
		if (r->state != PCN_WP1 && r->state != PCN_WP2 &&
		    r->wait & ~o.answers[k])
			fail(t, "S5: a Fetch that somebody will not answer");
	}
}

/* Fields without a meaning are empty, where nothing waits. */
static void check_settled(struct turn *t)
{
	unsigned int k;

	for (k = 0; k < t->c->n; k++) {
		const struct pcn_replica *r = &t->w.r[k];

		if (!pcn_replica_is_settled(r) || !is_member(&t->w, k))
			continue;
		if (r->flags & PCN_WAITING || r->wait || r->readers ||
		    r->writers || r->joiners || r->stamp ||
		    r->next != PCN_NOBODY || r->late != PCN_NOBODY ||
		    r->via != PCN_NOBODY)
			fail(t, "something is left of an access that has ended");
	}
}

/* Between a death and the end of the rebuild the owner may be the dead one. */
static bool unsure(const struct world *w)
{
	unsigned int k;
	u8 all = 0;

	for (k = 0; k < MODEL_KERNELS; k++)
		all |= is_member(w, k) << k;
	for (k = 0; k < MODEL_KERNELS; k++)
		if (w->members[k] & ~all)
			return true;
	return w->phase == PHASE_DROPPING || w->phase == PHASE_DEAD ||
	       w->phase == PHASE_ABORTED || w->phase == PHASE_REBUILD;
}

static void check_world(struct turn *t)
{
	check_copies(t);
	if (t->c->proto == &pcn_proto_paper)
		return;
	check_settled(t);
	if (unsure(&t->w))
		return;
	check_answers(t);
	if (t->c->proto == &pcn_proto_owner)
		check_owner(t);
}

/* --- moves --- */

static bool has_rounds(const struct config *c)
{
	return c->drops || c->deaths || c->leaves || c->forks || c->joins;
}

struct mover {
	const struct config *c;
	const struct world *w;
	move_fn fn;
	void *arg;
};

static void begin(const struct mover *m, struct turn *t)
{
	t->c = m->c;
	memcpy(&t->w, m->w, offsetof(struct world, q) +
	       m->w->count * sizeof(struct wire));
	t->in = NULL;
	t->pending = 0;
	t->fault = NULL;
}

static void end(const struct mover *m, struct turn *t, const struct label *l)
{
	check_world(t);
	m->fn(m->arg, l, &t->w, t->fault);
}

static void access_page(const struct mover *m, unsigned int k, bool write,
			bool called)
{
	struct label l = { .move = write ? MOVE_WRITE : MOVE_READ, .kernel = k };
	struct pcn_proto_event ev = { .type = write ? PCN_WRITE : PCN_READ,
			      .from = k, .who = k };
	struct turn t;
	u8 *left;

	begin(m, &t);
	left = write ? &t.w.writes[k] : &t.w.reads[k];
	if (!called && *left != UNLIMITED)
		--*left;
	if (called)
		l.move = MOVE_CALL;
	step(&t, k, &ev);
	end(m, &t, &l);
}

/*
 * Reads that hit change nothing. Writes that hit are tried as long as there is
 * another current copy anywhere, which would be a fault.
 */
static bool hit_matters(const struct world *w, unsigned int n, unsigned int k)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (i != k && w->current[i])
			return true;
	for (i = 0; i < w->count; i++)
		if (w->q[i].current)
			return true;
	return false;
}

static void accesses(const struct mover *m, unsigned int k)
{
	const struct world *w = m->w;

	if (!pcn_replica_is_settled(&w->r[k]) || !is_member(w, k) || w->frozen >> k & 1)
		return;
	if (w->reads[k] && w->access[k] == ACCESS_NONE)
		access_page(m, k, false, false);
	if (w->writes[k] && (w->access[k] != ACCESS_WRITE ||
			     hit_matters(w, m->c->n, k)))
		access_page(m, k, true, false);
}

static void take_out(struct world *w, unsigned int i)
{
	w->count--;
	memmove(&w->q[i], &w->q[i + 1], (w->count - i) * sizeof(w->q[0]));
}

static bool same_wire(const struct wire *a, const struct wire *b)
{
	return a->to == b->to && a->current == b->current &&
	       a->m.type == b->m.type && a->m.from == b->m.from &&
	       a->m.who == b->m.who && a->m.hops == b->m.hops &&
	       a->m.flags == b->m.flags && a->m.cs == b->m.cs &&
	       a->m.stamp == b->m.stamp && a->m.version == b->m.version &&
	       a->m.floor == b->m.floor;
}

/* In its channel's order, or any but the like of one tried before. */
static bool deliverable(const struct config *c, const struct world *w,
			unsigned int i)
{
	unsigned int j;

	for (j = 0; j < i; j++) {
		const struct wire *a = &w->q[j], *b = &w->q[i];

		if (c->fifo ? a->m.from == b->m.from && a->to == b->to :
		    same_wire(a, b))
			return false;
	}
	return true;
}

static void take_fence(struct turn *t, const struct wire *x);

static void deliver(const struct mover *m, unsigned int i)
{
	struct wire in = m->w->q[i];
	struct label l = { .move = MOVE_DELIVER, .kernel = in.to, .wire = in };
	struct turn t;

	begin(m, &t);
	take_out(&t.w, i);
	t.in = &in;
	if (in.m.type < PCN_MESSAGES)
		step(&t, in.to, &in.m);
	else
		take_fence(&t, &in);
	end(m, &t, &l);
}

#include "beyond.c"

void model_moves(const struct config *c, const struct world *w, move_fn fn,
		 void *arg)
{
	struct mover m = { .c = c, .w = w, .fn = fn, .arg = arg };
	unsigned int i;

	for (i = 0; i < w->count; i++)
		if (deliverable(c, w, i))
			deliver(&m, i);
	for (i = 0; i < c->n; i++)
		accesses(&m, i);
	if (has_rounds(c))
		beyond(&m);
}

/* Nothing waits and nothing is under way. */
bool model_quiet(const struct world *w, const struct config *c)
{
	unsigned int k;

	if (w->count || w->phase != PHASE_NONE)
		return false;
	for (k = 0; k < c->n; k++)
		if (is_member(w, k) && !pcn_replica_is_settled(&w->r[k]))
			return false;
	return true;
}

bool model_waits(const struct world *w, unsigned int k)
{
	return !pcn_replica_is_settled(&w->r[k]);
}

/* --- encoding --- */

/*
 * Versions and stamps grow for ever, but only their order matters, and a step
 * adds at most one to any. So gaps of more than two are closed to two, from 0
 * on: the world made so does exactly what the old one does.
 */
struct numbers {
	u64 *at[MODEL_KERNELS * 2 + MODEL_MESSAGES * 2];
	unsigned int count;
};

static void note(struct numbers *n, u64 *at)
{
	if (*at)
		n->at[n->count++] = at;
}

/* They are few. */
static void sort_numbers(struct numbers *n)
{
	unsigned int i, j;

	for (i = 1; i < n->count; i++) {
		u64 *at = n->at[i], value = *at;

		for (j = i; j && *n->at[j - 1] > value; j--)
			n->at[j] = n->at[j - 1];
		n->at[j] = at;
	}
}

static void close_gaps(struct numbers *n)
{
	u64 last = 0, now = 0;
	unsigned int i;

	sort_numbers(n);
	for (i = 0; i < n->count; i++) {
		u64 gap = *n->at[i] - last;

		last = *n->at[i];
		now += gap > 2 ? 2 : gap;
		*n->at[i] = now;
	}
}

/* "owner" has neither stamps nor versions. */
static bool has_time(const struct config *c)
{
	return c->proto != &pcn_proto_owner;
}

static void normalise(const struct config *c, struct world *w)
{
	struct numbers versions = { .count = 0 }, stamps = { .count = 0 };
	unsigned int i;

	if (!has_time(c))
		return;
	for (i = 0; i < c->n; i++) {
		note(&versions, &w->r[i].version);
		note(&versions, &w->r[i].floor);
		note(&stamps, &w->r[i].clock);
		note(&stamps, &w->r[i].stamp);
	}
	for (i = 0; i < w->count; i++) {
		note(&versions, &w->q[i].m.version);
		note(&versions, &w->q[i].m.floor);
		note(&stamps, &w->q[i].m.stamp);
	}
	close_gaps(&versions);
	close_gaps(&stamps);
}

/*
 * Bits, packed or unpacked by the same walk over the fields. Most of the time of
 * a search goes here: inline, the compiler makes two walks of it.
 */
struct bits {
	u8 *at;
	u64 word;
	unsigned int used;
	bool write;
};

static __always_inline void flush_word(struct bits *b)
{
	while (b->used >= 8) {
		*b->at++ = b->word;
		b->word >>= 8;
		b->used -= 8;
	}
}

static __always_inline u64 put(struct bits *b, u64 value, unsigned int width)
{
	if (b->write) {
		if (value >> width) {
			fprintf(stderr, "check: a number needs more than %u bits\n",
				width);
			exit(3);
		}
		b->word |= value << b->used;
		b->used += width;
		flush_word(b);
		return value;
	}
	while (b->used < width) {
		b->word |= (u64)*b->at++ << b->used;
		b->used += 8;
	}
	value = b->word & ((1ULL << width) - 1);
	b->word >>= width;
	b->used -= width;
	return value;
}

#define FIELD(b, field, width)	((field) = put(b, field, width))

static __always_inline void kid(struct bits *b, u8 *k)
{
	u8 v = put(b, *k == PCN_NOBODY ? 7 : *k, 3);

	*k = v == 7 ? PCN_NOBODY : v;
}

static __always_inline void walk_replica(const struct config *c, struct bits *b,
			 struct pcn_replica *r)
{
	FIELD(b, r->state, 4);
	FIELD(b, r->flags, 6);
	kid(b, &r->hint);
	FIELD(b, r->cs, c->n);
	FIELD(b, r->wait, c->n);
	FIELD(b, r->readers, c->n);
	FIELD(b, r->joiners, c->n);
	if (has_time(c)) {
		FIELD(b, r->clock, 6);
		FIELD(b, r->stamp, 6);
	}
	if (c->proto != &pcn_proto_vote) {
		kid(b, &r->pin);
		kid(b, &r->next);
		kid(b, &r->late);
		kid(b, &r->via);
		FIELD(b, r->writers, c->n);
	}
	if (c->proto != &pcn_proto_owner) {
		FIELD(b, r->version, 6);
		FIELD(b, r->floor, 6);
	}
}

static __always_inline void walk_wire(const struct config *c, struct bits *b, struct wire *x)
{
	FIELD(b, x->m.type, 4);
	kid(b, &x->m.from);
	kid(b, &x->to);
	kid(b, &x->m.who);
	FIELD(b, x->m.flags, 4);
	FIELD(b, x->current, 1);
	if (c->proto == &pcn_proto_owner) {
		FIELD(b, x->m.hops, 3);
		if (x->m.type == PCN_COPY_OWN)
			FIELD(b, x->m.cs, c->n);
	} else {
		FIELD(b, x->m.version, 6);
		FIELD(b, x->m.floor, 6);
	}
	if (has_time(c))
		FIELD(b, x->m.stamp, 6);
	x->m.heir = PCN_NOBODY;
}

static __always_inline void walk_beyond(const struct config *c, struct bits *b, struct world *w)
{
	unsigned int k;

	if (!has_rounds(c))
		return;
	FIELD(b, w->phase, 4);
	FIELD(b, w->frozen, c->n);
	FIELD(b, w->agreed, c->n);
	kid(b, &w->subject);
	FIELD(b, w->drops, 3);
	FIELD(b, w->deaths, 3);
	FIELD(b, w->leaves, 3);
	FIELD(b, w->forks, 3);
	FIELD(b, w->joins, 3);
	for (k = 0; k < c->n; k++) {
		FIELD(b, w->members[k], c->n);
		if (c->fences)
			FIELD(b, w->fences[k], 2);
	}
}

static __always_inline void walk(const struct config *c, struct bits *b, struct world *w)
{
	unsigned int k;

	w->count = put(b, w->count, 7);
	FIELD(b, w->exists, 1);
	for (k = 0; k < c->n; k++) {
		walk_replica(c, b, &w->r[k]);
		FIELD(b, w->access[k], 2);
		FIELD(b, w->current[k], 1);
		if (c->reads != UNLIMITED)
			FIELD(b, w->reads[k], 3);
		if (c->writes != UNLIMITED)
			FIELD(b, w->writes[k], 3);
	}
	walk_beyond(c, b, w);
	for (k = 0; k < w->count; k++) {
		if (!b->write)
			memset(&w->q[k], 0, sizeof(w->q[k]));
		walk_wire(c, b, &w->q[k]);
	}
}

static int by_channel(const struct wire *a, const struct wire *b)
{
	return (a->m.from << 3 | a->to) - (b->m.from << 3 | b->to);
}

static u64 small_fields(const struct wire *x)
{
	return (u64)x->m.type << 48 | (u64)x->m.who << 40 |
	       (u64)x->m.hops << 32 | (u64)x->m.flags << 24 |
	       (u64)x->current << 16;
}

static int compare(u64 a, u64 b)
{
	return a < b ? -1 : a > b;
}

static int by_content(const struct wire *a, const struct wire *b)
{
	int d = by_channel(a, b);

	d = d ? d : compare(small_fields(a), small_fields(b));
	d = d ? d : compare(a->m.cs, b->m.cs);
	d = d ? d : compare(a->m.stamp, b->m.stamp);
	d = d ? d : compare(a->m.version, b->m.version);
	return d ? d : compare(a->m.floor, b->m.floor);
}

/* One order of messages for all worlds that differ in nothing else. */
static void sort_messages(const struct config *c, struct world *w)
{
	int (*less)(const struct wire *, const struct wire *) =
		c->fifo ? by_channel : by_content;
	unsigned int i, j;

	for (i = 1; i < w->count; i++) {
		struct wire x = w->q[i];

		for (j = i; j && less(&w->q[j - 1], &x) > 0; j--)
			w->q[j] = w->q[j - 1];
		w->q[j] = x;
	}
}

unsigned int model_encode(const struct config *c, const struct world *w, u8 *key)
{
	struct bits b = { .at = key, .write = true };
	struct world copy;

	memcpy(&copy, w, offsetof(struct world, q) +
	       w->count * sizeof(struct wire));
	normalise(c, &copy);
	sort_messages(c, &copy);
	walk(c, &b, &copy);
	b.used = (b.used + 7) & ~7u;
	flush_word(&b);
	return b.at - key;
}

void model_decode(const struct config *c, const u8 *key, struct world *w)
{
	struct bits b = { .at = (u8 *)key };
	unsigned int k;

	memset(w, 0, offsetof(struct world, q));
	start_counts(c, w);
	for (k = 0; k < MODEL_KERNELS; k++) {
		w->r[k].pin = PCN_NOBODY;
		w->r[k].next = PCN_NOBODY;
		w->r[k].late = PCN_NOBODY;
		w->r[k].via = PCN_NOBODY;
	}
	walk(c, &b, w);
}

/* --- printing --- */

static void print_set(FILE *f, const char *name, u64 set)
{
	unsigned int k, n = 0;

	if (!set)
		return;
	fprintf(f, " %s{", name);
	for (k = 0; k < 64; k++)
		if (set >> k & 1)
			fprintf(f, "%s%u", n++ ? "," : "", k);
	fputc('}', f);
}

static void print_kid(FILE *f, const char *name, u8 k)
{
	if (k != PCN_NOBODY)
		fprintf(f, " %s%u", name, k);
}

static void print_number(FILE *f, const char *name, u64 v)
{
	if (v)
		fprintf(f, " %s%llu", name, (unsigned long long)v);
}

void model_print_wire(const struct wire *x, FILE *f)
{
	fprintf(f, "%u>%u %s", x->m.from, x->to,
		x->m.type == MODEL_FENCE ? "fence" :
		x->m.type == MODEL_PASSED ? "fence passed" :
		pcn_event_name(x->m.type));
	if (x->m.who != x->m.from)
		fprintf(f, " for %u", x->m.who);
	if (x->m.type == PCN_COPY_VOID)
		fputs(x->m.flags & PCN_BOUNCE ? " bounce" :
		      x->m.flags & PCN_MAPPED ? " mapped" : " unmapped", f);
	if (x->m.flags & PCN_ONLY)
		fputs(" only", f);
	if (x->m.flags & PCN_DATA)
		fputs(x->current ? " data" : " old-data", f);
	print_number(f, "hops=", x->m.hops);
	print_set(f, "cs", x->m.cs);
	print_number(f, "v", x->m.version);
	print_number(f, "floor=", x->m.floor);
	print_number(f, "L=", x->m.stamp);
}

static void print_replica(FILE *f, const struct world *w, unsigned int k)
{
	static const char * const access[] = { "", " r", " rw" };
	const struct pcn_replica *r = &w->r[k];

	fprintf(f, "k%u:%s(", k, pcn_state_name(r->state));
	fprintf(f, "%s%s", r->flags & PCN_HELD ? w->current[k] ? "data" :
		"old" : "-", access[w->access[k]]);
	fputs(r->flags & PCN_READING ? " reading" : "", f);
	fputs(r->flags & PCN_WRITING ? " writing" : "", f);
	fputs(r->flags & PCN_TENTATIVE ? " tentative" : "", f);
	print_kid(f, "h", r->hint);
	print_kid(f, "p", r->pin);
	print_kid(f, "next", r->next);
	print_kid(f, "late", r->late);
	print_kid(f, "via", r->via);
	print_set(f, "cs", r->cs);
	print_set(f, "wait", r->wait);
	print_set(f, "D", r->readers);
	print_set(f, "DW", r->writers);
	print_set(f, "DJ", r->joiners);
	print_number(f, "v", r->version);
	print_number(f, "floor=", r->floor);
	print_number(f, "L=", r->stamp);
	fputs(") ", f);
}

void model_print(const struct config *c, const struct world *w, FILE *f)
{
	unsigned int k;

	for (k = 0; k < c->n; k++)
		if (is_member(w, k))
			print_replica(f, w, k);
		else
			fprintf(f, "k%u:gone ", k);
	for (k = 0; k < w->count; k++) {
		fputc('[', f);
		model_print_wire(&w->q[k], f);
		fputc(']', f);
	}
	fputc('\n', f);
}

void model_print_label(const struct config *c, const struct label *l, FILE *f)
{
	static const char * const moves[] = {
		"READ", "WRITE", "deliver", "lose", "freeze", "drop", "dies",
		"hears of the death of", "abort", "rebuild", "wants to leave",
		"called in", "has left", "wants to fork", "has forked",
		"wants to join", "hears of the new member", "sends fences",
		"thaw"
	};

	if (l->move == MOVE_DELIVER || l->move == MOVE_DISCARD) {
		fprintf(f, "%s ", moves[l->move]);
		model_print_wire(&l->wire, f);
	} else {
		fprintf(f, "k%u: %s", l->kernel, moves[l->move]);
		if (l->move == MOVE_NOTICE)
			fprintf(f, " %u", l->subject);
	}
	fputc('\n', f);
}

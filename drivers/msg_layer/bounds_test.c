// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests with peers that are made of memory: what a peer can pin that does not
 * read, what one that starves costs others, what finds no room, what is received in
 * place, replies that are not what was asked for, and blocks that are fewer than rings.
 * They need a machine that is not divided, whose poll nobody else runs.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/sched/task.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include <popcorn/core.h>
#include <popcorn/hooks.h>

#include "internal.h"

#define RING_SIZE	SZ_128K
#define PEER		5
#define OTHER		6
/* Numbers of types that no service has. */
#define TYPE_NOT_RESERVED	58
#define TYPE_INTO	59
#define TYPE_TRIED	60
#define TYPE_ANSWERED	61
#define TYPE_NEVER	62
#define TYPE_SLEEPS	63
#define ANSWER_SIZE	4096
/* A ring that is too small for an answer, and a block that holds two of them. */
#define SMALL_BASE	2048
#define SMALL_BLOCK	8256
/* What a peer may have charged, give or take a handler's run. */
#define HELD_BACK	(SZ_1M + 2 * (ANSWER_SIZE + sizeof(struct pcn_spilled)))

/**
 * struct peer - another kernel, as far as its link goes
 * @link:	the link to it
 * @from:	per channel: its side of the ring in which it sends
 * @to:		per channel: its side of the ring from which it reads
 */
struct peer {
	struct pcn_link	link;
	struct pcn_ring	from[PCN_CHANNELS];
	struct pcn_ring	to[PCN_CHANNELS];
};

static struct pcn_endpoint self_endpoint;
static const char *broken;
static unsigned int handled;
static struct completion may_go_on;
static unsigned int rooms, discarded;
static u8 into[PAGE_SIZE];
static bool has_buffer, stays;
static u8 what_came[PAGE_SIZE];

static void note_break(struct pcn_link *link, const char *why)
{
	WRITE_ONCE(broken, why);
	cmpxchg(&link->fault, NULL, why);
}

static void *zeroed(struct kunit *test, size_t size)
{
	void *memory = kunit_kzalloc(test, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, memory);
	return memory;
}

static void make_port(struct kunit *test, struct peer *p, unsigned int channel)
{
	struct pcn_ring_shared *out = zeroed(test, sizeof(*out));
	struct pcn_ring_shared *in = zeroed(test, sizeof(*in));
	struct pcn_ring_space there = {
		.base = zeroed(test, RING_SIZE), .base_size = RING_SIZE,
	}, back = there;
	struct pcn_port *port = &p->link.port[channel];
	u32 limit = pcn_msg_limit(channel);

	back.base = zeroed(test, RING_SIZE);
	pcn_port_init(port, p->link.kid * PCN_CHANNELS + channel);
	port->tx_error = 0;
	pcn_ring_init(&port->tx, out, &there, limit);
	pcn_ring_init(&p->to[channel], out, &there, limit);
	pcn_ring_init(&port->rx, in, &back, limit);
	pcn_ring_init(&p->from[channel], in, &back, limit);
}

static void forget_peer(void *peer)
{
	struct peer *p = peer;
	unsigned int channel;

	for (channel = 0; channel < PCN_CHANNELS; channel++)
		pcn_port_close(&p->link.port[channel], -EHOSTDOWN);
	bitmap_clear(pcn_ports_waiting, p->link.kid * PCN_CHANNELS, PCN_CHANNELS);
	if (p->link.handlers)
		destroy_workqueue(p->link.handlers);
	pcn_links[p->link.kid] = NULL;
}

static struct peer *new_peer(struct kunit *test, unsigned int kid)
{
	struct peer *p = zeroed(test, sizeof(*p));
	unsigned int channel;

	p->link.kid = kid;
	raw_spin_lock_init(&p->link.bell_lock);
	p->link.generation = 1;
	p->link.state = PCN_LINK_UP;
	p->link.endpoint = zeroed(test, sizeof(*p->link.endpoint));
	p->link.out = zeroed(test, sizeof(*p->link.out));
	p->link.in = zeroed(test, sizeof(*p->link.in));
	p->link.out->to_pair = PCN_PAIR(pcn_life(), 1);
	for (channel = 0; channel < PCN_CHANNELS; channel++)
		make_port(test, p, channel);
	p->link.rx_open = true;
	p->link.handlers = alloc_ordered_workqueue("popcorn_test", 0);
	KUNIT_ASSERT_NOT_NULL(test, p->link.handlers);
	pcn_links[kid] = &p->link;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, forget_peer, p), 0);
	return p;
}

/* What a peer sends; false: its ring is full. */
static bool sends(struct peer *p, unsigned int channel, struct pcn_msg_header h)
{
	h.channel = channel;
	h.source = p->link.kid;
	return pcn_ring_put(&p->from[channel], &h, NULL);
}

static bool sends_type(struct peer *p, unsigned int channel, u16 type)
{
	return sends(p, channel, (struct pcn_msg_header) { .type = type });
}

/* A peer reads all that there is; returns the number of messages. */
static unsigned int reads(struct peer *p, unsigned int channel)
{
	struct pcn_msg_header h;
	unsigned int n;

	for (n = 0; pcn_ring_peek(&p->to[channel], &h); n++)
		pcn_ring_take(&p->to[channel], &h, NULL);
	return n;
}

static bool is_over(const void *arg)
{
	return true;
}

/* One look through all rings. */
static void look(void)
{
	static const struct pcn_linger once = { .ns = 1 };

	pcn_msg_poll_until(&once, is_over, NULL);
}

static void answer(const struct pcn_message *msg)
{
	static u8 payload[ANSWER_SIZE];

	handled++;
	pcn_msg_post(msg->kid, msg->channel, TYPE_ANSWERED, payload,
		     sizeof(payload));
}

static void sleep_for_long(const struct pcn_message *msg)
{
	wait_for_completion(&may_go_on);
}

static bool never(void)
{
	return false;
}

static void note_room(unsigned int kid)
{
	rooms++;
}

/* In two parts, the second of which is the rest. */
static int give_buffer(struct pcn_message *msg, struct kvec *parts)
{
	u32 first = msg->length / 3;

	msg->cookie = &has_buffer;
	if (stays)
		return -EAGAIN;
	if (!has_buffer || msg->length > sizeof(into))
		return 0;
	parts[0] = (struct kvec) { into, first };
	parts[1] = (struct kvec) { into + first, msg->length - first };
	return 2;
}

static void note_message(const struct pcn_message *msg)
{
	handled += !msg->payload && msg->cookie == &has_buffer;
}

static void note_discard(struct pcn_message *msg)
{
	discarded += msg->cookie == &has_buffer;
}

/* As if there were no memory: what was in reserve is gone. */
static void note_no_reserve(const struct pcn_message *msg)
{
	handled += !pcn_handler_reserve()->count;
}

static const struct pcn_msg_type types[] = {
	{ .name = "tried", .channel = PCN_COHERENCY, .type = TYPE_TRIED,
	  .handle = answer, .room = note_room },
	{ .name = "into", .channel = PCN_COHERENCY, .type = TYPE_INTO,
	  .handle = note_message, .buffer = give_buffer, .discard = note_discard },
	{ .name = "not reserved", .channel = PCN_COHERENCY, .type = TYPE_NOT_RESERVED,
	  .handle = note_no_reserve, .no_reserve = true },
	{ .name = "answered", .channel = PCN_COHERENCY, .type = TYPE_ANSWERED,
	  .handle = answer },
	{ .name = "never", .channel = PCN_CONTROL, .type = TYPE_NEVER,
	  .handle = answer, .ready = never },
	{ .name = "sleeps", .channel = PCN_COHERENCY, .type = TYPE_SLEEPS,
	  .handle = sleep_for_long, .may_sleep = true },
};

/* Most of the requests are never answered: the ring is full, and they are held back. */
static void a_peer_that_does_not_read_is_held_back(struct kunit *test)
{
	struct peer *p = new_peer(test, PEER);
	struct pcn_port *port = &p->link.port[PCN_COHERENCY];
	unsigned int sent = 0, answers = 0, i;

	for (i = 0; i < 10000; i++) {
		sent += sends_type(p, PCN_COHERENCY, TYPE_ANSWERED);
		look();
		KUNIT_ASSERT_LE(test, port->spilled_bytes, HELD_BACK);
	}
	KUNIT_EXPECT_GT(test, port->spilled_bytes, HELD_BACK / 2);
	KUNIT_EXPECT_LT(test, sent, 10000);
	KUNIT_EXPECT_LT(test, handled, sent);
	KUNIT_EXPECT_NULL(test, broken);

	/* It reads: all are answered. */
	for (i = 0; i < sent; i++) {
		answers += reads(p, PCN_COHERENCY);
		look();
	}
	answers += reads(p, PCN_COHERENCY);
	KUNIT_EXPECT_EQ(test, handled, sent);
	KUNIT_EXPECT_EQ(test, answers, sent);
	KUNIT_EXPECT_EQ(test, port->spilled_bytes, 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&p->link.charged[PCN_POLL_THREAD]), 0);
}

/* As a lower kernel, which is never held back. */
static void a_peer_that_never_reads_breaks_its_link(struct kunit *test)
{
	struct peer *p = new_peer(test, PEER), *other = new_peer(test, OTHER);
	unsigned int i;

	pcn_peer_bytes_max = SZ_64K;
	for (i = 0; i < 1000 && !broken; i++) {
		sends_type(p, PCN_COHERENCY, TYPE_ANSWERED);
		look();
	}
	KUNIT_EXPECT_NOT_NULL(test, p->link.fault);
	KUNIT_EXPECT_NULL(test, other->link.fault);
	KUNIT_EXPECT_LE(test, p->link.port[PCN_COHERENCY].spilled_bytes, 2 * SZ_64K);
}

static void what_may_sleep_is_bounded(struct kunit *test)
{
	struct peer *p = new_peer(test, PEER);
	unsigned int i;

	pcn_peer_bytes_max = SZ_64K;
	for (i = 0; i < 10000 && !broken; i++) {
		sends_type(p, PCN_COHERENCY, TYPE_SLEEPS);
		look();
		KUNIT_ASSERT_LE(test, atomic_long_read(&p->link.deferred), SZ_64K);
	}
	KUNIT_EXPECT_NOT_NULL(test, p->link.fault);
	complete_all(&may_go_on);
	flush_workqueue(p->link.handlers);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&p->link.deferred), 0);
}

static void starving_is_of_one_port(struct kunit *test)
{
	const struct pcn_poll_group *group = &pcn_poll_groups[PCN_POLL_THREAD];
	struct peer *p = new_peer(test, PEER), *other = new_peer(test, OTHER);
	u64 before = group->stats.starved;

	sends_type(p, PCN_CONTROL, TYPE_NEVER);
	sends_type(p, PCN_COHERENCY, TYPE_ANSWERED);
	sends_type(other, PCN_COHERENCY, TYPE_ANSWERED);
	look();
	/* The port itself forgets it with the next tick. */
	KUNIT_EXPECT_GT(test, group->stats.starved, before);
	KUNIT_EXPECT_EQ(test, handled, 2);
	KUNIT_EXPECT_EQ(test, reads(other, PCN_COHERENCY), 1);
}

/* A flood of one channel leaves the others their turn, and other peers theirs. */
static void each_ring_has_its_turn(struct kunit *test)
{
	struct pcn_poll_group *group = &pcn_poll_groups[PCN_POLL_THREAD];
	struct peer *p[] = { new_peer(test, PEER), new_peer(test, OTHER) };
	unsigned int i, n, taken;

	for (n = 0; n < ARRAY_SIZE(p); n++) {
		for (i = 0; i < 1000; i++)
			sends_type(p[n], PCN_COHERENCY, TYPE_NOT_RESERVED);
		for (i = 0; i < 10; i++)
			sends_type(p[n], PCN_CONTROL, TYPE_ANSWERED);
	}
	mutex_lock(&group->poll_lock);
	for (i = 0; i < 16; i++) {
		taken = pcn_poll_locked(group, PCN_POLL_BATCH / 2);
		KUNIT_EXPECT_LE(test, taken, PCN_POLL_BATCH / 2);
	}
	mutex_unlock(&group->poll_lock);
	for (n = 0; n < ARRAY_SIZE(p); n++)
		KUNIT_EXPECT_EQ(test, p[n]->link.port[PCN_CONTROL].stats.rx_messages, 10);
}

static u8 tried[ANSWER_SIZE];

static int tries_to(unsigned int kid, u32 length)
{
	struct kvec part = { tried, length };

	return pcn_msg_try(kid, PCN_COHERENCY, TYPE_TRIED, &part, 1);
}

static int tries_parts(const struct kvec *parts, unsigned int n)
{
	return pcn_msg_try(PEER, PCN_COHERENCY, TYPE_TRIED, parts, n);
}

static int tries(u32 length)
{
	struct kvec part = { tried, length };

	return tries_parts(&part, 1);
}

/* Try until the ring is full. */
static unsigned int fills(struct kunit *test, struct peer *p)
{
	unsigned int n = 0;

	while (!tries(ANSWER_SIZE))
		n++;
	KUNIT_EXPECT_EQ(test, tries(ANSWER_SIZE), -EAGAIN);
	KUNIT_EXPECT_EQ(test, p->link.port[PCN_COHERENCY].spilled, 0);
	return n;
}

static void parts_are_one_message(struct kunit *test)
{
	struct peer *p = new_peer(test, PEER);
	struct pcn_ring *ring = &p->to[PCN_COHERENCY];
	struct kvec parts[] = { { tried, 7 }, { tried + 7, 0 }, { tried + 7, 2000 } };
	struct pcn_msg_header h;
	unsigned int i, n;

	for (i = 0; i < sizeof(tried); i++)
		tried[i] = i * 7;
	/* More than the ring holds: some wrap around its end. */
	for (n = 0; n < 3 * RING_SIZE / 2048; n++) {
		KUNIT_ASSERT_EQ(test, tries_parts(parts, ARRAY_SIZE(parts)), 0);
		KUNIT_ASSERT_TRUE(test, pcn_ring_peek(ring, &h));
		KUNIT_ASSERT_EQ(test, h.length, 2007);
		pcn_ring_take(ring, &h, what_came);
		KUNIT_ASSERT_MEMEQ(test, what_came, tried, 2007);
	}
	KUNIT_EXPECT_EQ(test, tries_parts(NULL, 0), 0);
	parts[0].iov_len = SZ_64K;
	KUNIT_EXPECT_EQ(test, tries_parts(parts, ARRAY_SIZE(parts)), -EMSGSIZE);
	parts[0].iov_len = SIZE_MAX;
	KUNIT_EXPECT_EQ(test, tries_parts(parts, ARRAY_SIZE(parts)), -EMSGSIZE);
}

static void what_is_tried_is_called_for_room(struct kunit *test)
{
	struct peer *p = new_peer(test, PEER);
	unsigned int n = fills(test, p);

	look();
	KUNIT_EXPECT_EQ(test, rooms, 0);
	KUNIT_EXPECT_TRUE(test, pcn_ring_room_is_awaited(&p->to[PCN_COHERENCY]));
	KUNIT_EXPECT_EQ(test, reads(p, PCN_COHERENCY), n);
	/* Until it was called, it waits: there is one call, not many. */
	KUNIT_EXPECT_EQ(test, tries(ANSWER_SIZE), -EAGAIN);
	look();
	KUNIT_EXPECT_EQ(test, rooms, 1);
	look();
	KUNIT_EXPECT_EQ(test, rooms, 1);
	KUNIT_EXPECT_FALSE(test, pcn_ring_room_is_awaited(&p->to[PCN_COHERENCY]));
	KUNIT_EXPECT_EQ(test, fills(test, p), n);
	KUNIT_EXPECT_EQ(test, reads(p, PCN_COHERENCY), n);
	look();
	KUNIT_EXPECT_EQ(test, rooms, 2);
}

static void what_is_tried_overtakes_nothing(struct kunit *test)
{
	struct peer *p = new_peer(test, PEER);
	unsigned int n = fills(test, p);
	struct pcn_msg_header h;

	pcn_msg_post(PEER, PCN_COHERENCY, TYPE_ANSWERED, tried, ANSWER_SIZE);
	/* A little of it is free: not for the small one, which would overtake. */
	KUNIT_ASSERT_TRUE(test, pcn_ring_peek(&p->to[PCN_COHERENCY], &h));
	pcn_ring_take(&p->to[PCN_COHERENCY], &h, NULL);
	KUNIT_EXPECT_EQ(test, tries(8), -EAGAIN);
	look();
	KUNIT_EXPECT_EQ(test, p->link.port[PCN_COHERENCY].spilled, 0);
	KUNIT_EXPECT_EQ(test, rooms, 0);
	KUNIT_EXPECT_EQ(test, reads(p, PCN_COHERENCY), n);
	look();
	KUNIT_EXPECT_EQ(test, rooms, 1);
	KUNIT_EXPECT_EQ(test, tries(8), 0);
}

static void nobody_is_called_for_a_peer_that_is_down(struct kunit *test)
{
	struct peer *p = new_peer(test, PEER);

	fills(test, p);
	pcn_port_close(&p->link.port[PCN_COHERENCY], -EHOSTDOWN);
	reads(p, PCN_COHERENCY);
	look();
	KUNIT_EXPECT_EQ(test, tries(8), -EHOSTDOWN);
	look();
	KUNIT_EXPECT_EQ(test, rooms, 0);
}

static void a_type_receives_into_memory_of_its_own(struct kunit *test)
{
	struct peer *p = new_peer(test, PEER);
	struct pcn_port *port = &p->link.port[PCN_COHERENCY];
	struct pcn_msg_header h = {
		.channel = PCN_COHERENCY, .type = TYPE_INTO, .source = PEER, .length = 1000,
	};

	memset(tried, 0x5a, sizeof(tried));
	has_buffer = true;
	KUNIT_EXPECT_TRUE(test, pcn_ring_put(&p->from[PCN_COHERENCY], &h, tried));
	look();
	KUNIT_EXPECT_EQ(test, handled, 1);
	KUNIT_EXPECT_MEMEQ(test, into, tried, 1000);
	KUNIT_EXPECT_NE(test, into[1000], 0x5a);

	/* It may be better to wait than to drop. */
	stays = true;
	KUNIT_EXPECT_TRUE(test, pcn_ring_put(&p->from[PCN_COHERENCY], &h, tried));
	look();
	KUNIT_EXPECT_TRUE(test, port->starved);
	stays = false;
	pcn_poll_end_starving(&pcn_poll_groups[PCN_POLL_THREAD].retry);
	look();
	KUNIT_EXPECT_EQ(test, handled, 2);
	KUNIT_EXPECT_EQ(test, port->stats.rx_dropped, 0);

	has_buffer = false;
	sends_type(p, PCN_COHERENCY, TYPE_INTO);
	sends_type(p, PCN_COHERENCY, TYPE_ANSWERED);
	look();
	KUNIT_EXPECT_EQ(test, port->stats.rx_dropped, 1);
	KUNIT_EXPECT_EQ(test, handled, 3);
	KUNIT_EXPECT_EQ(test, discarded, 0);
}

static void memory_is_asked_for_only_if_needed(struct kunit *test)
{
	struct pcn_poll_group *group = &pcn_poll_groups[PCN_POLL_THREAD];
	struct peer *p = new_peer(test, PEER);

	pcn_reserve_empty(&group->reserve);
	sends_type(p, PCN_COHERENCY, TYPE_NOT_RESERVED);
	look();
	KUNIT_EXPECT_EQ(test, handled, 1);
	sends_type(p, PCN_COHERENCY, TYPE_NOT_RESERVED);
	sends_type(p, PCN_COHERENCY, TYPE_ANSWERED);
	look();
	KUNIT_EXPECT_EQ(test, handled, 3);
	KUNIT_EXPECT_GT(test, group->reserve.count, 0);
}

static void functions_of_a_type_go_together(struct kunit *test)
{
	struct pcn_msg_type type = {
		.name = "bad", .channel = PCN_TTY, .type = TYPE_INTO,
		.handle = note_message, .buffer = give_buffer,
	};

	KUNIT_EXPECT_EQ(test, pcn_msg_register(&type), -EINVAL);
	type.discard = note_discard;
	type.may_sleep = true;
	KUNIT_EXPECT_EQ(test, pcn_msg_register(&type), -EINVAL);
}

static int ask(void *unused)
{
	return pcn_msg_call(PEER, PCN_CONTROL, TYPE_ANSWERED, NULL, 0, NULL, NULL,
			    60000);
}

/* The request that a thread sends; the peer has it. */
static struct pcn_msg_header get_asked(struct kunit *test, struct peer *p,
				       struct task_struct **thread)
{
	struct pcn_msg_header h;

	*thread = kthread_create(ask, NULL, "popcorn_ask");
	KUNIT_ASSERT_FALSE(test, IS_ERR(*thread));
	get_task_struct(*thread);
	wake_up_process(*thread);
	while (!pcn_ring_peek(&p->to[PCN_CONTROL], &h))
		schedule_timeout_uninterruptible(1);
	pcn_ring_take(&p->to[PCN_CONTROL], &h, NULL);
	h.flags = PCN_MSG_REPLY;
	return h;
}

/* What the call returns in the end. */
static int get_result(struct task_struct *thread)
{
	int ret = kthread_stop(thread);

	put_task_struct(thread);
	return ret;
}

static void replies_are_those_of_a_life(struct kunit *test)
{
	struct peer *p = new_peer(test, PEER);
	struct task_struct *thread;
	struct pcn_msg_header h = get_asked(test, p, &thread);
	u64 *orphans = &p->link.port[PCN_CONTROL].stats.rx_orphans;
	u64 id = h.request;

	KUNIT_EXPECT_EQ(test, upper_32_bits(id), pcn_life());
	h.status = -EIO;
	h.request = id + BIT_ULL(32);
	sends(p, PCN_CONTROL, h);
	h.request = lower_32_bits(id);
	sends(p, PCN_CONTROL, h);
	look();
	KUNIT_EXPECT_EQ(test, *orphans, 2);
	h.status = 0;
	h.request = id;
	sends(p, PCN_CONTROL, h);
	look();
	KUNIT_EXPECT_EQ(test, get_result(thread), 0);
}

static void a_status_is_an_errno(struct kunit *test)
{
	static const s16 bad[] = { 1, S16_MAX, -MAX_ERRNO - 1, S16_MIN };
	struct peer *p = new_peer(test, PEER);
	struct task_struct *thread;
	struct pcn_msg_header h;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		h = get_asked(test, p, &thread);
		h.status = bad[i];
		sends(p, PCN_CONTROL, h);
		look();
		KUNIT_EXPECT_EQ(test, get_result(thread), -EBADMSG);
	}
}

static void a_late_answer_does_not_reach_the_next_life(struct kunit *test)
{
	struct peer *p = new_peer(test, PEER);
	struct pcn_message msg = {
		.kid = PEER, .life = 1, .channel = PCN_COHERENCY,
		.type = TYPE_ANSWERED, .request = 1,
	};

	KUNIT_EXPECT_EQ(test, pcn_msg_reply(&msg, 0, NULL, 0), 0);
	p->link.generation = 2;
	KUNIT_EXPECT_EQ(test, pcn_msg_reply(&msg, 0, NULL, 0), -EHOSTDOWN);
	KUNIT_EXPECT_EQ(test, reads(p, PCN_COHERENCY), 1);
}

/* A pool of one block, for what is sent to three peers. */
static void new_small_peers(struct kunit *test, struct peer *p[3])
{
	struct pcn_ring_space space = {
		.pool = zeroed(test, SMALL_BLOCK), .blocks = 1, .block_size = SMALL_BLOCK,
		.base_size = SMALL_BASE,
	};
	const u32 limit = pcn_msg_limit(PCN_COHERENCY);
	struct pcn_ring *tx;
	unsigned int i;

	pcn_blocks_init(1);
	for (i = 0; i < 3; i++) {
		p[i] = new_peer(test, PEER + i);
		space.base = zeroed(test, SMALL_BASE);
		tx = &p[i]->link.port[PCN_COHERENCY].tx;
		pcn_ring_init(tx, tx->shared, &space, limit);
		pcn_ring_init(&p[i]->to[PCN_COHERENCY], tx->shared, &space, limit);
	}
}

static void a_long_message_waits_for_a_block(struct kunit *test)
{
	struct peer *p[3];
	struct pcn_port *other;

	new_small_peers(test, p);
	other = &p[1]->link.port[PCN_COHERENCY];
	KUNIT_EXPECT_EQ(test, tries_to(PEER, ANSWER_SIZE), 0);
	KUNIT_EXPECT_EQ(test, tries_to(OTHER, ANSWER_SIZE), -EAGAIN);
	KUNIT_EXPECT_GT(test, other->stats.tx_block_waits, 0);
	/* Short messages have room of their own. */
	KUNIT_EXPECT_EQ(test, pcn_msg_post(OTHER, PCN_COHERENCY, TYPE_ANSWERED, tried, 64), 0);
	KUNIT_EXPECT_EQ(test, reads(p[1], PCN_COHERENCY), 1);
	/* The ring with the block takes nothing more until it is empty. */
	look();
	KUNIT_EXPECT_EQ(test, rooms, 0);
	KUNIT_EXPECT_EQ(test, tries_to(PEER, 8), -EAGAIN);
	KUNIT_EXPECT_TRUE(test, pcn_ring_room_is_awaited(&p[0]->to[PCN_COHERENCY]));
	KUNIT_EXPECT_EQ(test, reads(p[0], PCN_COHERENCY), 1);
	look();
	KUNIT_EXPECT_EQ(test, rooms, 2);
	KUNIT_EXPECT_EQ(test, tries_to(PEER, 8), 0);
	KUNIT_EXPECT_EQ(test, tries_to(OTHER, ANSWER_SIZE), 0);
	KUNIT_EXPECT_EQ(test, reads(p[0], PCN_COHERENCY), 1);
	KUNIT_EXPECT_EQ(test, reads(p[1], PCN_COHERENCY), 1);
	look();
	KUNIT_EXPECT_PTR_EQ(test, broken, NULL);
	KUNIT_EXPECT_TRUE(test, bitmap_empty(pcn_ports_waiting,
					     PCN_KERNELS_MAX * PCN_CHANNELS));
}

static void a_block_that_waits_for_a_dead_peer_is_free(struct kunit *test)
{
	struct pcn_msg_header h;
	struct peer *p[3];

	new_small_peers(test, p);
	KUNIT_EXPECT_EQ(test, tries_to(PEER, ANSWER_SIZE), 0);
	KUNIT_EXPECT_TRUE(test, pcn_ring_peek(&p[0]->to[PCN_COHERENCY], &h));
	KUNIT_EXPECT_EQ(test, tries_to(OTHER, ANSWER_SIZE), -EAGAIN);
	look();
	KUNIT_EXPECT_EQ(test, rooms, 0);
	pcn_port_close(&p[0]->link.port[PCN_COHERENCY], -EPROTO);
	look();
	KUNIT_EXPECT_EQ(test, rooms, 1);
	KUNIT_EXPECT_EQ(test, tries_to(OTHER, ANSWER_SIZE), 0);
	/* It was not dead, but slow: what it reads now is no message. */
	KUNIT_EXPECT_FALSE(test, pcn_ring_take(&p[0]->to[PCN_COHERENCY], &h, NULL));
}

static void a_block_that_is_not_used_goes_on(struct kunit *test)
{
	struct peer *p[3];

	new_small_peers(test, p);
	KUNIT_EXPECT_EQ(test, tries_to(PEER, ANSWER_SIZE), 0);
	KUNIT_EXPECT_EQ(test, tries_to(OTHER, 8), 0);
	KUNIT_EXPECT_EQ(test, tries_to(OTHER, ANSWER_SIZE), -EAGAIN);
	KUNIT_EXPECT_EQ(test, reads(p[0], PCN_COHERENCY), 1);
	KUNIT_EXPECT_EQ(test, reads(p[1], PCN_COHERENCY), 1);
	look();
	KUNIT_EXPECT_EQ(test, rooms, 1);
	KUNIT_EXPECT_EQ(test, tries_to(OTHER, 8), 0);
	KUNIT_EXPECT_EQ(test, reads(p[1], PCN_COHERENCY), 1);
	/* The other one was called, and does not try again with a long message. */
	p[1]->link.port[PCN_COHERENCY].used = false;
	p[1]->link.port[PCN_COHERENCY].called_at = jiffies + HZ;
	KUNIT_EXPECT_EQ(test, tries_to(PEER, ANSWER_SIZE), -EAGAIN);
	look();
	KUNIT_EXPECT_EQ(test, rooms, 1);
	/* The poll may sleep meanwhile: it is no news what was read. */
	KUNIT_EXPECT_FALSE(test, pcn_poll_has_room_news(&pcn_poll_groups[PCN_POLL_THREAD]));
	p[1]->link.port[PCN_COHERENCY].called_at = jiffies - 2;
	look();
	look();
	KUNIT_EXPECT_EQ(test, rooms, 2);
	KUNIT_EXPECT_EQ(test, tries_to(PEER, ANSWER_SIZE), 0);
}

/* All want it all the time, and each gets it again and again. */
static void a_block_goes_round(struct kunit *test)
{
	unsigned int got[3] = {}, i, round;
	struct peer *p[3];

	new_small_peers(test, p);
	for (round = 0; round < 60; round++) {
		for (i = 0; i < 3; i++)
			got[i] += !tries_to(PEER + i, ANSWER_SIZE);
		look();
		for (i = 0; i < 3; i++)
			reads(p[i], PCN_COHERENCY);
		look();
	}
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_GE(test, got[i], 10);
}

/* Nobody puts anything into a ring that is waited for: the one who looks finds it, once. */
static void a_false_tail_is_no_news_for_ever(struct kunit *test)
{
	struct peer *p[3];
	struct pcn_ring *tx;

	new_small_peers(test, p);
	tx = &p[0]->link.port[PCN_COHERENCY].tx;
	while (!tries_to(PEER, 64))
		;
	WRITE_ONCE(tx->shared->tail, tx->head + 64);
	look();
	KUNIT_EXPECT_EQ(test, tx->fault, PCN_RING_BAD_TAIL);
	KUNIT_EXPECT_EQ(test, p[1]->link.port[PCN_COHERENCY].tx.fault, PCN_RING_OK);
	KUNIT_EXPECT_FALSE(test, pcn_poll_has_room_news(&pcn_poll_groups[PCN_POLL_THREAD]));
}

static void a_ring_that_is_full_grows(struct kunit *test)
{
	const unsigned int few = SMALL_BASE / pcn_ring_record_size(64);
	struct peer *p[3];
	unsigned int n;

	new_small_peers(test, p);
	for (n = 0; !tries_to(PEER, 64); n++)
		;
	KUNIT_EXPECT_EQ(test, n, few);
	KUNIT_EXPECT_EQ(test, reads(p[0], PCN_COHERENCY), few);
	look();
	KUNIT_EXPECT_EQ(test, rooms, 1);
	for (n = 0; !tries_to(PEER, 64); n++)
		;
	KUNIT_EXPECT_EQ(test, n, SMALL_BLOCK / pcn_ring_record_size(64));
	KUNIT_EXPECT_EQ(test, p[0]->link.port[PCN_COHERENCY].stats.tx_blocks, 1);
	/* It has the only one, but what fits the base does not wait for one. */
	for (n = 0; !tries_to(OTHER, 64); n++)
		;
	KUNIT_EXPECT_EQ(test, n, few);
	KUNIT_EXPECT_EQ(test, p[1]->link.port[PCN_COHERENCY].stats.tx_block_waits, 0);
	KUNIT_EXPECT_EQ(test, reads(p[1], PCN_COHERENCY), few);
	look();
	KUNIT_EXPECT_EQ(test, rooms, 2);
}

static int init(struct kunit *test)
{
	struct pcn_poll_group *group = &pcn_poll_groups[PCN_POLL_THREAD];
	unsigned int i;

	if (pcn_machine_is_shared())
		kunit_skip(test, "the machine is divided");
	if (!group->buffer && (pcn_send_init() ||
			       pcn_poll_init_group(group, &self_endpoint)))
		return -ENOMEM;
	/* Kicks are for nothing: it does not sleep. */
	group->task = &init_task;
	broken = NULL;
	handled = 0;
	rooms = 0;
	discarded = 0;
	memset(into, 0, sizeof(into));
	pcn_peer_bytes_max = SZ_16M;
	init_completion(&may_go_on);
	kunit_activate_static_stub(test, pcn_link_break, note_break);
	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (pcn_msg_register(&types[i]))
			return -EBUSY;
	return 0;
}

static void leave(struct kunit *test)
{
	unsigned int i;

	if (pcn_machine_is_shared())
		return;
	complete_all(&may_go_on);
	for (i = 0; i < ARRAY_SIZE(types); i++)
		pcn_msg_unregister(&types[i]);
	timer_delete_sync(&pcn_poll_groups[PCN_POLL_THREAD].retry);
	pcn_blocks_init(0);
}

/* A peer that arms its bell again whenever it is interrupted, as if nothing had come. */
static void arm_again(u32 apicid)
{
	struct pcn_bell *bell = &pcn_links[PEER]->endpoint->bell[PCN_POLL_SOFTIRQ];

	if (bell->armed < 1000)
		pcn_bell_arm(bell, bell->armed + 1);
}

static void a_bell_that_is_armed_again_is_rung_once(struct kunit *test)
{
	struct peer *p = new_peer(test, PEER);
	u64 rung = 0;

	kunit_activate_static_stub(test, pcn_arch_doorbell, arm_again);
	pcn_bell_arm(&p->link.endpoint->bell[PCN_POLL_SOFTIRQ], 1);
	pcn_ring_doorbell(&p->link, PCN_POLL_SOFTIRQ, &rung);
	KUNIT_EXPECT_EQ(test, rung, 1);
	/* What comes later is news for it. */
	pcn_ring_doorbell(&p->link, PCN_POLL_SOFTIRQ, &rung);
	KUNIT_EXPECT_EQ(test, rung, 2);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(a_peer_that_does_not_read_is_held_back),
	KUNIT_CASE(a_peer_that_never_reads_breaks_its_link),
	KUNIT_CASE(what_may_sleep_is_bounded),
	KUNIT_CASE(starving_is_of_one_port),
	KUNIT_CASE(each_ring_has_its_turn),
	KUNIT_CASE(parts_are_one_message),
	KUNIT_CASE(what_is_tried_is_called_for_room),
	KUNIT_CASE(what_is_tried_overtakes_nothing),
	KUNIT_CASE(nobody_is_called_for_a_peer_that_is_down),
	KUNIT_CASE(a_type_receives_into_memory_of_its_own),
	KUNIT_CASE(memory_is_asked_for_only_if_needed),
	KUNIT_CASE(functions_of_a_type_go_together),
	KUNIT_CASE(replies_are_those_of_a_life),
	KUNIT_CASE(a_status_is_an_errno),
	KUNIT_CASE(a_late_answer_does_not_reach_the_next_life),
	KUNIT_CASE(a_long_message_waits_for_a_block),
	KUNIT_CASE(a_block_that_waits_for_a_dead_peer_is_free),
	KUNIT_CASE(a_block_that_is_not_used_goes_on),
	KUNIT_CASE(a_block_goes_round),
	KUNIT_CASE(a_false_tail_is_no_news_for_ever),
	KUNIT_CASE(a_ring_that_is_full_grows),
	KUNIT_CASE(a_bell_that_is_armed_again_is_rung_once),
	{}
};

static struct kunit_suite suite = {
	.name		= "popcorn_bounds",
	.init		= init,
	.exit		= leave,
	.test_cases	= cases,
};

kunit_test_suite(suite);

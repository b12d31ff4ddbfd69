// SPDX-License-Identifier: GPL-2.0
/*
 * Messages per operation: what the protocols send, beside the formulas of
 * Documentation/popcorn/protocol.rst. Deliveries are in the order of sending,
 * one operation at a time, except where several kernels are said to write at
 * once.
 */
#include <string.h>

#include "check.h"

#define MAX	8
#define QUEUE	4096

struct bench {
	const struct pcn_proto *proto;
	unsigned int n;
	struct pcn_kernel_group g[MAX];
	struct pcn_replica r[MAX];
	struct pcn_proto_event q[QUEUE];
	u8 to[QUEUE];
	unsigned int head, tail;	/* tail: messages sent so far */
};

static void start(struct bench *b, const struct pcn_proto *p, unsigned int n,
		  bool origin, bool broadcast)
{
	unsigned int k;

	memset(b, 0, sizeof(*b));
	b->proto = p;
	b->n = n;
	for (k = 0; k < n; k++) {
		b->g[k] = (struct pcn_kernel_group) {
			.members = (1U << n) - 1, .self = k, .count = n,
			.origin = origin ? 0 : PCN_NOBODY,
			.broadcast = broadcast,
		};
		pcn_replica_init(&b->r[k], &b->g[k]);
	}
}

static void step(struct bench *b, unsigned int k, const struct pcn_proto_event *ev)
{
	struct pcn_out out;
	unsigned int i, to, who;

	if (pcn_proto_step(b->proto, &b->g[k], &b->r[k], ev, &out) != PCN_OK) {
		tap(false, "%s: %s", b->proto->name, out.fault);
		return;
	}
	for (i = 0; i < out.count; i++) {
		struct pcn_action *a = &out.act[i];

		for (to = 0; a->op == PCN_SEND && to < b->n; to++)
			for (who = 0; a->to >> to & 1 && who < b->n; who++) {
				if (a->behalf ? !(a->behalf >> who & 1) :
				    who != a->msg.who)
					continue;
				b->q[b->tail % QUEUE] = a->msg;
				b->q[b->tail % QUEUE].who = who;
				b->to[b->tail++ % QUEUE] = to;
			}
	}
}

static void touch(struct bench *b, unsigned int k, enum pcn_event_type type)
{
	struct pcn_proto_event ev = { .type = type, .from = k, .who = k };

	step(b, k, &ev);
}

static unsigned int drain(struct bench *b)
{
	while (b->head < b->tail) {
		struct pcn_proto_event m = b->q[b->head % QUEUE];
		unsigned int to = b->to[b->head++ % QUEUE];

		step(b, to, &m);
	}
	return b->tail;
}

static unsigned int cost(struct bench *b, unsigned int k, enum pcn_event_type type)
{
	unsigned int before = b->tail;

	touch(b, k, type);
	return drain(b) - before;
}

/* All read, so that everyone holds a copy; in "owner" kernel 0 owns it. */
static void share(struct bench *b)
{
	unsigned int k;

	cost(b, 0, PCN_WRITE);
	for (k = 1; k < b->n; k++)
		cost(b, k, PCN_READ);
}

struct kind {
	const char *name;
	const struct pcn_proto *proto;
	bool origin, broadcast;
};

static const struct kind kinds[] = {
	{ "paper, broadcast", &pcn_proto_vote, false, true },
	{ "vote", &pcn_proto_vote, false, false },
	{ "owner, by vote", &pcn_proto_owner, false, false },
	{ "owner, at an origin", &pcn_proto_owner, true, false },
};

static void expect(const struct kind *k, const char *what, unsigned int n,
		   unsigned int got, unsigned int want)
{
	tap(got == want, "%s, N=%u, %s: %u messages, formula %u", k->name, n,
	    what, got, want);
}

static void first_touch(const struct kind *k, unsigned int n)
{
	struct bench b;

	start(&b, k->proto, n, k->origin, k->broadcast);
	expect(k, "first touch", n, cost(&b, n - 1, PCN_READ),
	       k->origin ? 2 : 2 * (n - 1));
	start(&b, k->proto, n, k->origin, k->broadcast);
	expect(k, "first touch at kernel 0", n, cost(&b, 0, PCN_READ),
	       k->origin ? 0 : 2 * (n - 1));
}

/* Kernels 0 and 1 know each other's place, the others hold nothing valid. */
static void modified(struct bench *b, const struct kind *k, unsigned int n)
{
	start(b, k->proto, n, k->origin, k->broadcast);
	share(b);
	cost(b, 0, PCN_WRITE);
}

static void misses(const struct kind *k, unsigned int n)
{
	bool owner = k->proto == &pcn_proto_owner;
	struct bench b;

	modified(&b, k, n);
	expect(k, "read miss, M elsewhere", n, cost(&b, 1, PCN_READ),
	       k->broadcast ? 2 * (n - 1) : 2);
	modified(&b, k, n);
	expect(k, "write miss, M elsewhere", n, cost(&b, 1, PCN_WRITE),
	       k->broadcast ? 4 * (n - 1) : owner ? 2 : 2 + 2 * (n - 1));
	start(&b, k->proto, n, k->origin, k->broadcast);
	share(&b);
	expect(k, "upgrade, all share", n, cost(&b, 0, PCN_WRITE), 2 * (n - 1));
}

static void shared_miss(const struct kind *k, unsigned int n)
{
	bool owner = k->proto == &pcn_proto_owner;
	unsigned int i, holders = n - 1;
	struct bench b;

	if (n < 3)
		return;
	modified(&b, k, n);
	for (i = 1; i < n - 1; i++)
		cost(&b, i, PCN_READ);
	expect(k, "write miss, all others hold", n, cost(&b, n - 1, PCN_WRITE),
	       k->broadcast ? 4 * (n - 1) :
	       owner ? 2 + 2 * (holders - 1) : 2 + 2 * (n - 1));
}

static void ping_pong(const struct kind *k, unsigned int n)
{
	bool owner = k->proto == &pcn_proto_owner;
	unsigned int i, sum = 0;
	struct bench b;

	modified(&b, k, n);
	for (i = 0; i < 10; i++)
		sum += cost(&b, 1 - i % 2, PCN_WRITE);
	expect(k, "ping-pong, 10 writes", n, sum,
	       10 * (k->broadcast ? 4 * (n - 1) : owner ? 2 : 2 * n));
}

static void all_at_once(const struct kind *k, unsigned int n)
{
	static const unsigned int owner[] = { [2] = 4, [4] = 14, [8] = 34 };
	unsigned int i, before;
	struct bench b;

	if (k->broadcast)
		return;
	start(&b, k->proto, n, k->origin, false);
	share(&b);
	before = b.tail;
	for (i = 0; i < n; i++)
		touch(&b, i, PCN_WRITE);
	i = drain(&b) - before;
	/* The formula leaves out that a loser may ask the wrong kernel first. */
	if (k->proto == &pcn_proto_vote)
		tap(n == 2 ? i == 8 : i >= n * (n - 1) * (n + 2) &&
		    i <= 2 * n * (n - 1) * (n + 2),
		    "%s, N=%u, all upgrade at once: %u messages, formula at least %u",
		    k->name, n, i, n * (n - 1) * (n + 2));
	else if (n == 2 || n == 4 || n == 8)
		expect(k, "all upgrade at once", n, i, owner[n]);
}

int count_messages(void)
{
	const struct kind *k;
	unsigned int n;

	for (k = kinds; k < kinds + sizeof(kinds) / sizeof(*kinds); k++)
		for (n = 2; n <= MAX; n++) {
			first_touch(k, n);
			misses(k, n);
			shared_miss(k, n);
			ping_pong(k, n);
			all_at_once(k, n);
		}
	return tap_end();
}

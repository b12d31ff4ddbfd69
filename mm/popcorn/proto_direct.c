// SPDX-License-Identifier: GPL-2.0
/*
 * The "direct" protocol: coherent memory.
 *
 * Where the hardware keeps the memory of all kernels coherent, a page need not move: each
 * kernel maps the frame that the origin has it in. A kernel asks once, for reading or for
 * writing alike, and is told the frame. From then on the page costs no message, and an
 * atomic operation is the hardware's.
 *
 * The origin never gives the page up; it knows which kernels it has told the frame. What it
 * has to guarantee is that no entry outlives the frame: before the frame is freed, or holds
 * another page, all kernels have unmapped it, and none maps it again. That is done by a
 * round of the origin, as in the other protocols (drop), and by the death of a kernel,
 * whose CPUs are stopped by then. With a kernel that dies no page is lost but those that it
 * is the origin of.
 *
 * An access waits for the origin alone, and the process ends with that. So none is ever
 * given up: there is no abort. It would leave a Copy under way, and a Copy that is late
 * names a frame that may have been freed.
 */
#include "proto_impl.h"

enum {
	TOUCH = FIRST_OWN_RULE,
	FIRST,
	SHARE,
	MAP,
};

static void direct_rule_touch(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	want(s);
	if (r->hint == s->g->self)
		return pcn_make_page(s);
	send(s, kid_bit(r->hint), PCN_FETCH);
	r->state = PCN_WR;
}

/* Nobody asks for another kernel: nothing is forwarded. */
static void direct_rule_share(struct pcn_step *s)
{
	u64 reader = BIT_ULL(s->ev->from);

	send(s, reader, PCN_COPY)->flags = PCN_FRAME;
	if (!pcn_without(PCN_SEED_DIRECT_CS))
		s->r->cs |= reader;
	s->r->state = PCN_SO;
}

static void direct_rule_first(struct pcn_step *s)
{
	if (s->r->hint != s->g->self && !pcn_without(PCN_SEED_DIRECT_STRAY))
		return impossible(s, "a Fetch to a kernel that is not the origin");
	act(s, PCN_ZERO);
	act(s, PCN_RDWR);
	s->r->flags |= PCN_HELD;
	direct_rule_share(s);
}

static void direct_rule_map(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	if (s->ev->from != r->hint && !pcn_without(PCN_SEED_DIRECT_FROM))
		return impossible(s, "a Copy that is not the origin's");
	if (!(s->ev->flags & PCN_FRAME) && !pcn_without(PCN_SEED_DIRECT_FRAME))
		return impossible(s, "a Copy without a frame");
	r->frame = s->ev->frame;
	r->flags |= PCN_HELD;
	r->state = PCN_S;
	act(s, PCN_RDWR);
	done(s);
}

/* A kernel has died, or left. */
static void direct_rule_gone(struct pcn_step *s)
{
	if (!pcn_without(PCN_SEED_DIRECT_GONE))
		s->r->cs &= ~BIT_ULL(s->ev->who);
}

static const struct pcn_rule direct_rules[] = {
	COMMON_RULES,
	[TOUCH] = { "touch", "untouched origin: zeros; else Fetch to the origin",
		    PCN_TO(NR) | PCN_TO(WR), direct_rule_touch },
	[FIRST] = { "first", "untouched origin: zeros, then as share",
		    PCN_TO(SO), direct_rule_first },
	[SHARE] = { "share", "Copy(frame) to r, cs += r",
		    PCN_TO(SO), direct_rule_share },
	[MAP] = { "map", "the frame is mapped, the access goes on",
		  PCN_TO(S), direct_rule_map },
	[DEAD] = { "dead", "take it out of cs",
		   PCN_SAME, direct_rule_gone },
	[LEFT] = { "left", "take it out of cs",
		   PCN_SAME, direct_rule_gone },
};

#define AT_REST							\
	[PCN_DROP]		= DROP,				\
	[PCN_DEAD]		= DEAD,				\
	[PCN_LEFT]		= LEFT

#define MAPPED							\
	[PCN_READ]		= HIT,				\
	[PCN_WRITE]		= HIT,				\
	AT_REST

const struct pcn_proto pcn_proto_direct = {
	.name = "direct",
	.rules = direct_rules,
	.rule_count = ARRAY_SIZE(direct_rules),
	.table = {
		[PCN_U] = {
			[PCN_FETCH]		= FIRST,
			[PCN_READ]		= TOUCH,
			[PCN_WRITE]		= TOUCH,
			AT_REST,
		},
		[PCN_NR] = {
			[PCN_FETCH]		= SHARE,
			MAPPED,
		},
		[PCN_SO] = {
			[PCN_FETCH]		= SHARE,
			MAPPED,
		},
		[PCN_S] = { MAPPED },
		[PCN_WR] = {
			[PCN_COPY]		= MAP,
			[PCN_DEAD]		= DEAD,
		},
	},
};

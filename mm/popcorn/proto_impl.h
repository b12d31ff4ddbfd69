/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the protocols share: one step being made, and the words its rules are
 * written in. For mm/popcorn/proto*.c only.
 */
#ifndef _MM_POPCORN_PROTO_IMPL_H
#define _MM_POPCORN_PROTO_IMPL_H

#include <linux/array_size.h>
#include <linux/bitops.h>
#include <linux/build_bug.h>

#include <popcorn/proto.h>

/*
 * Rules that the checker can take out, to see that it notices. In the kernel
 * none can be: pcn_without() is false and the compiler drops what it guards.
 */
enum pcn_seed {
	PCN_SEED_NONE,
	PCN_SEED_LATE_ACK,	/* "owner": IR1 and FV ack an Invalid at once */
	PCN_SEED_WP1_DEFER,	/* "owner": a Fetch is served in WP1 */
	PCN_SEED_BOUNCE,	/* "owner": a stray Fetch is forwarded for ever */
	PCN_SEED_PIN,		/* "owner": any news replaces the hint */
	PCN_SEED_ORIGIN,	/* "owner": the origin stays untouched for ever */
	PCN_SEED_RIVAL,		/* "owner": nobody defers a Join */
	PCN_SEED_TENTATIVE,	/* "owner": a tentative kernel says "mapped" */
	PCN_SEED_NEXT,		/* "owner": WR and WP1 forget the queued writer */
	PCN_SEED_WR_DROP,	/* "owner": WR keeps its copy after an Invalid */
	PCN_SEED_COPYSET,	/* "owner": the owner forgets a reader */
	PCN_SEED_FNR_LATE,	/* "owner": FNR acks an Invalid at once */
	PCN_SEED_READERS,	/* both: deferred reads are forgotten */
	PCN_SEED_LAMPORT,	/* "vote": no time, the index alone decides a Join */
	PCN_SEED_FLOOR,		/* "vote": an Ack does not raise the floor */
	PCN_SEED_JOIN_FLOOR,	/* "vote": void answers carry no floor (J4) */
	PCN_SEED_JOIN_DEFER,	/* "vote": a Join is answered in WP1 (J3) */
	PCN_SEED_JOIN_ADD,	/* "vote": a joiner is not put into cs (J2) */
	PCN_SEED_NEWCOMER,	/* "vote": a new member learns no copyset */
	PCN_SEED_MAPPED,	/* "vote": void answers never say "mapped" (R3) */
	PCN_SEED_LOSE,		/* "vote": an Ack in WP1 does not lose (R4) */
	PCN_SEED_RETRY,		/* "vote": all answers void, and no retry (R2) */
	PCN_SEED_NACK,		/* "vote": S gives a newer copy up (R5) */
	PCN_SEED_RANK,		/* "vote": both of two equal writers Nack */
	PCN_SEED_STAMP,		/* "vote": a new stamp for each round (R7) */
	PCN_SEED_DEAD_NEXT,	/* "owner": the page is granted to the dead */
	PCN_SEED_REBUILD_HINT,	/* both: hints are not rebuilt after a death */
	PCN_SEED_REBUILD_FLOOR,	/* "vote": floors are not lowered after a death */
	PCN_SEED_HALT,		/* "vote": asking goes on after a death */
	PCN_SEED_HALT_ALL,	/* "vote": a kernel that waits for nothing halts too */
	PCN_SEED_LEFT_CS,	/* "owner": a kernel that has left stays in the copyset */
	PCN_SEED_LEFT_HINT,	/* both: hints still lead to a kernel that has left */
	PCN_SEEDS
};

#ifdef PCN_SEEDED
extern enum pcn_seed pcn_seed;
#define pcn_without(seed)	(pcn_seed == (seed))
#else
#define pcn_without(seed)	((void)(seed), false)
#endif

/**
 * struct pcn_step - one step being made
 * @g:		the group as the own kernel sees it
 * @r:		the replica, changed in place
 * @ev:		the event
 * @out:	what the step gives
 */
struct pcn_step {
	const struct pcn_kernel_group	*g;
	struct pcn_replica	*r;
	const struct pcn_proto_event	*ev;
	struct pcn_out		*out;
};

/* Masks for &pcn_rule.next */
#define PCN_TO(state)	BIT(PCN_##state)

/* Rules that the tables have in common; those of a protocol follow. */
enum {
	IMPOSSIBLE,
	IGNORE,
	HIT,
	DROP,
	DEAD,
	ABORT_FIRST,
	ABORT_VOID,
	REBUILD,
	LEFT,
	FIRST_OWN_RULE
};

/* Rows of the tables of rules. */
#define COMMON_RULES							\
	[IMPOSSIBLE] = { "-", "impossible",				\
			 0, pcn_rule_impossible },			\
	[IGNORE] = { "ignore", "nothing",				\
		     PCN_SAME, pcn_rule_ignore },			\
	[HIT] = { "hit", "the access goes on",				\
		  PCN_SAME, pcn_rule_hit },				\
	[DROP] = { "drop", "as never touched",				\
		   PCN_TO(U), pcn_rule_drop },				\
	[ABORT_FIRST] = { "abort-first", "retry the access",		\
			  PCN_TO(U), pcn_rule_abort_first },		\
	[ABORT_VOID] = { "abort-void", "retry the access",		\
			 PCN_TO(I), pcn_rule_abort_void }

/* Cells of a state in which no access waits, and of one in which one does. */
#define SETTLED_CELLS							\
	[PCN_DROP]		= DROP,					\
	[PCN_DEAD]		= DEAD,					\
	[PCN_ABORT]		= IGNORE,				\
	[PCN_REBUILD]		= REBUILD,				\
	[PCN_LEFT]		= LEFT

#define WAITING_CELLS(abort)						\
	[PCN_DEAD]		= DEAD,					\
	[PCN_ABORT]		= abort

static inline u64 kid_bit(u8 kid)
{
	return kid == PCN_NOBODY ? 0 : BIT_ULL(kid);
}

static inline struct pcn_action *new_action(struct pcn_step *s, enum pcn_action_type op)
{
	struct pcn_action *a = &s->out->act[s->out->count++];

	a->op = op;
	return a;
}

static inline void act(struct pcn_step *s, enum pcn_action_type op)
{
	new_action(s, op);
}

/* To nobody is allowed: a message to the empty set is not sent. */
static inline struct pcn_proto_event *send(struct pcn_step *s, u64 to,
					   enum pcn_event_type type)
{
	struct pcn_action *a = new_action(s, PCN_SEND);

	a->to = to;
	a->behalf = 0;
	a->msg = (struct pcn_proto_event) {
		.type = type,
		.from = s->g->self,
		.who = s->g->self,
		.heir = PCN_NOBODY,
	};
	return &a->msg;
}

/* The data of the event becomes the page; @op says what this kernel may do with it. */
static inline void install(struct pcn_step *s, enum pcn_action_type op)
{
	act(s, PCN_INSTALL);
	act(s, op);
	s->r->flags |= PCN_HELD;
}

/* The copy is no longer valid; nothing on this kernel may use it. */
static inline void lose_copy(struct pcn_step *s)
{
	if (s->r->flags & PCN_HELD)
		act(s, PCN_NONE);
	s->r->flags &= ~PCN_HELD;
}

static inline void done(struct pcn_step *s)
{
	act(s, PCN_DONE);
	s->r->flags &= ~PCN_WAITING;
}

/* The access that waits, from the event that started it. */
static inline void want(struct pcn_step *s)
{
	s->r->flags |= s->ev->type == PCN_WRITE ? PCN_WRITING : PCN_READING;
}

static inline void impossible(struct pcn_step *s, const char *why)
{
	s->out->fault = why;
}

/* An answer has come, one less to wait for; @unasked: what is wrong if not. */
static inline bool take_answer(struct pcn_step *s, const char *unasked)
{
	u64 from = BIT_ULL(s->ev->from);

	if (!(s->r->wait & from)) {
		impossible(s, unasked);
		return false;
	}
	s->r->wait &= ~from;
	return true;
}

static inline u64 take_all(u64 *set)
{
	u64 all = *set;

	*set = 0;
	return all;
}

static inline u64 others(const struct pcn_step *s)
{
	return s->g->members & ~kid_bit(s->g->self);
}

static inline void see_time(struct pcn_step *s)
{
	if (s->ev->stamp > s->r->clock)
		s->r->clock = s->ev->stamp;
}

/* Own stamp before the one in the event? Equal ones go by the index. */
static inline bool own_first(const struct pcn_step *s)
{
	if (!pcn_without(PCN_SEED_LAMPORT) && s->r->stamp != s->ev->stamp)
		return s->r->stamp < s->ev->stamp;
	return s->g->self < s->ev->from;
}

/* Rules of several protocols and parts of such, in proto.c */
void pcn_rule_impossible(struct pcn_step *s);
void pcn_rule_ignore(struct pcn_step *s);
void pcn_rule_hit(struct pcn_step *s);
void pcn_rule_drop(struct pcn_step *s);
void pcn_rule_abort_first(struct pcn_step *s);
void pcn_rule_abort_void(struct pcn_step *s);
void pcn_make_page(struct pcn_step *s);
void pcn_forget_kernel(struct pcn_step *s);
void pcn_keep_copy(struct pcn_step *s, enum pcn_state state);
bool pcn_rebuild(struct pcn_step *s);
void pcn_without_leaver(struct pcn_step *s, u8 heir);

#endif /* _MM_POPCORN_PROTO_IMPL_H */

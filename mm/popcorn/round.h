/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What round.c, at the origin, and follow.c, at a member, share of rounds.
 */
#ifndef _MM_POPCORN_ROUND_H
#define _MM_POPCORN_ROUND_H

#include <linux/build_bug.h>

#include "internal.h"

/* A kernel that does not answer for so long has died, and is declared dead. */
#define PCN_ROUND_LIMIT_MS	(60 * MSEC_PER_SEC)
/* Likewise, one that does not answer a fence, where nothing has to be waited for. */
#define PCN_FENCE_LIMIT_MS	(30 * MSEC_PER_SEC)

/**
 * enum pcn_phase - phases of a round that members are told of
 * @PCN_ROUND_FREEZE:	let no access begin, wait for those that have, unmap the range
 * @PCN_ROUND_FENCE:	wait until nothing late is under way. The reply has 64 bits: a kernel
 *			that has not answered as bit kid, or 0
 * @PCN_ROUND_DROP:		forget the pages
 * @PCN_ROUND_THAW:		go on
 */
enum pcn_phase {
	PCN_ROUND_FREEZE,
	PCN_ROUND_FENCE,
	PCN_ROUND_DROP,
	PCN_ROUND_THAW,
};

/* With PCN_ROUND_FREEZE: forget the VMAs, too. */
#define PCN_ROUND_VMAS	BIT(0)
/* With PCN_ROUND_DROP: the origin has given up its records: thaw as well. */
#define PCN_ROUND_LAST	BIT(1)

/**
 * struct pcn_round_msg - a phase of a round. On the wire
 * @space:	number of the space
 * @first:	number of the first page
 * @last:	number of the last one
 * @epoch:	of the member's VMAs from now on
 * @round:	number of the round, not 0
 * @phase:	enum pcn_phase
 * @flags:	PCN_ROUND_*
 */
struct pcn_round_msg {
	u64	space;
	u64	first;
	u64	last;
	u64	epoch;
	u64	round;
	u32	phase;
	u32	flags;
};

static_assert(sizeof(struct pcn_round_msg) == 48);

/* round.c */
int pcn_round_fence(struct pcn_change *c);

/* fence.c */
int pcn_space_fence(struct pcn_space *s, u64 *silent);
unsigned int pcn_fence_limit_ms(const struct pcn_space *s);

/* follow.c */
int pcn_space_wait_until_quiet(struct pcn_space *s, u64 round, u64 first, u64 last);
void pcn_space_set_round(struct pcn_space *s, u64 number);

#endif /* _MM_POPCORN_ROUND_H */

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _MM_POPCORN_HOLD_SEED_H
#define _MM_POPCORN_HOLD_SEED_H

#include <linux/types.h>

/*
 * Parts of the rule of holding that the simulator can take out, to see that it notices.
 * In the kernel none can be: pcn_hold_without() is false and the compiler drops what it
 * guards.
 */
enum pcn_hold_seed {
	PCN_HOLD_SEED_NONE,
	PCN_HOLD_SEED_USE,	/* rule 1: a page goes although it has not been used */
	PCN_HOLD_SEED_BUSY,	/* rule 1: a page goes although it is written all the time */
	PCN_HOLD_SEED_LOOK,	/* rule 1: the time between two looks has no limit */
	PCN_HOLD_SEED_GROW,	/* rule 2: the time does not grow */
	PCN_HOLD_SEED_MAX,	/* rule 2: it grows without a limit */
	PCN_HOLD_SEED_SLOT,	/* rule 2: all kernels keep pages at the same time */
	PCN_HOLD_SEED_LOOP,	/* rule 2: it grows in a loop of completed instructions */
	PCN_HOLD_SEED_LEAVE,	/* rule 3: a page is asked for at once */
	PCN_HOLD_SEED_LEARN,	/* rule 3: its time is not learnt */
	PCN_HOLD_SEED_REST,	/* rule 4: rounds are not kept off */
	PCN_HOLD_SEED_REST_MAX,	/* rule 4: they are kept off without a limit */
	PCN_HOLD_SEEDS
};

#ifdef PCN_SEEDED
extern enum pcn_hold_seed pcn_hold_seed;
#define pcn_hold_without(seed)	(pcn_hold_seed == (seed))
#else
#define pcn_hold_without(seed)	((void)(seed), false)
#endif

#endif /* _MM_POPCORN_HOLD_SEED_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The rule of holding pages as pure functions.
 *
 * How long a page stays with a kernel that others want it from, as mm/popcorn/hold.c
 * says, which has the argument, too. There are no locks, no allocation and no clock in
 * here; an interpreter brings its own. Times are nanoseconds of a clock that all kernels
 * have in common and that does not go back.
 */
#ifndef _POPCORN_HOLD_H
#define _POPCORN_HOLD_H

#include <linux/time64.h>
#include <linux/types.h>

struct pcn_kernel_group;

/** PCN_HOLD_USE_NS - a thread that needs a page alone has so long to use it, or to write it */
#define PCN_HOLD_USE_NS		NSEC_PER_MSEC
/** PCN_HOLD_MAX_NS - no page stays longer; the time slot of a kernel */
#define PCN_HOLD_MAX_NS		(10 * NSEC_PER_MSEC)
/** PCN_HOLD_LEAVE_NS - a kernel leaves a page to others no longer */
#define PCN_HOLD_LEAVE_NS	NSEC_PER_MSEC
/** PCN_HOLD_ROUNDS_NS - threads keep rounds off no longer after the last one */
#define PCN_HOLD_ROUNDS_NS	(100 * NSEC_PER_MSEC)

/**
 * struct pcn_hold - how long a page stays, and is left to others
 * @since:	when it was last mapped for a thread that had waited for it, or taken
 *		away
 * @keep_us:	a thread keeps it for so long after that, even if others want it
 * @content:	and while it is watched that time is known: of what was in it
 * @use_us:	for so long it is not asked for after it was taken away
 * @turns:	so many times it goes before it is watched again whether it is busy
 * @left_to:	the kernel that it has been left to for that time, or PCN_NOBODY
 * @taker:	another kernel that the protocol has last heard of: the page goes there;
 *		the interpreter sets it
 * @used:	the last time that something was taken away it had been used
 * @busy:	not 0: it was written all the time when it was last watched, or has been found
 *		idle only a few times since
 * @watch:	how far that is
 * @gone:	it was taken away, and has not been asked for since
 * @leaving:	a thread waits for @use_us, the others wait for that thread
 * @early:	it was asked for before the thread that it is mapped for had used it,
 *		until the interpreter has told the kernel that gets the page
 *
 * There is one in the record of each page, so it is small.
 */
struct pcn_hold {
	u64	since;
	union {
		u16	keep_us;
		u16	content;
	};
	u16	use_us : 10;
	u16	turns : 6;
	u8	left_to;
	u8	taker;
	bool	used;
	u8	busy : 2;
	u8	watch : 2;
	bool	gone : 1;
	bool	leaving : 1;
	bool	early : 1;
};

/**
 * struct pcn_hold_look - a look at a page that others want
 * @now:	the time
 * @accessed:	the page has been used since it was mapped
 * @writable:	it may be written
 * @content:	gives a hash of what is in it
 * @page:	for @content
 * @again:	receives when to look again
 */
struct pcn_hold_look {
	u64	now;
	bool	accessed;
	bool	writable;
	u16	(*content)(const void *page);
	const void *page;
	u64	again;
};

/**
 * struct pcn_hold_thread - how often a thread has faulted without progress
 * @ip:		instruction of its last page fault, or 0
 * @page:	number of the page that it was about
 * @shift:	how often it has come back since
 */
struct pcn_hold_thread {
	unsigned long	ip;
	u64		page;
	unsigned int	shift;
};

void pcn_hold_init(struct pcn_hold *h);
void pcn_hold_begin(struct pcn_hold *h, u64 now, u64 ns,
		    const struct pcn_kernel_group *g);
bool pcn_hold_is_over(struct pcn_hold *h, struct pcn_hold_look *look);
void pcn_hold_end(struct pcn_hold *h, u64 now, bool gone, bool accessed);
bool pcn_hold_leave(struct pcn_hold *h, u64 now, u64 *until);
bool pcn_hold_leave_end(struct pcn_hold *h, u64 now, u64 until);
void pcn_hold_learn(struct pcn_hold *h, u8 from, bool early);
u64 pcn_hold_thread_ns(struct pcn_hold_thread *t, unsigned long ip, u64 page,
		       bool of_use);
void pcn_hold_progress(struct pcn_hold_thread *t);
u64 pcn_hold_rounds_ns(u64 ns);
u64 pcn_hold_rounds_until(u64 now, u64 ns);
u64 pcn_hold_rounds_wait(u64 now, u64 until, u64 last);

#endif /* _POPCORN_HOLD_H */

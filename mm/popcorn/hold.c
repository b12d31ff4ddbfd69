// SPDX-License-Identifier: GPL-2.0
/*
 * For how long a page stays with a kernel that others want it from.
 *
 * The rule:
 *
 *	1. A page stays with a thread that has waited for it until the thread has used
 *	   it, as the accessed bit tells, but for USE_LIMIT_NS at most.
 *	2. If the instruction of the thread needs other pages too, the page stays for the
 *	   time that pcn_thread_hold_ns() gives, whether it has been used or not. That
 *	   time doubles as long as the same instruction comes back, up to KEEP_MAX_NS.
 *	3. A kernel that has lost a page leaves it to the one that has got it for a
 *	   while, USE_MAX_NS at most, before it asks for it again.
 *	4. A thread that asks for a VMA again and again keeps changes of the address space
 *	   off for the time that it needs, REST_MAX_NS at most.
 *
 * What it guarantees:
 *
 *	Progress. An instruction that needs one page is completed by 1. One that needs
 *	several finds them all at once when its time by 2 has grown beyond what it takes
 *	to fetch them, with 4 if their VMAs have to be fetched as well: each of
 *	these times doubles, so that is after a few attempts.
 *
 *	A bound. Requests for a page are served in their order. So with n kernels that want
 *	a page none waits longer for the others than n - 1 times KEEP_MAX_NS and the time to
 *	move the page; a change of the address space waits no longer than REST_MAX_NS for
 *	each of the threads that hold it off, whose instructions are not completed.
 *
 * What it costs: a page that was mapped and is never used comes USE_LIMIT_NS late. A page
 * that is not contended costs no timer and no memory.
 *
 * The time of 3 is learnt. A request that comes too early makes the other kernel wait for
 * 1 by a timer, which costs a switch to the thread that the timer wakes, and one back; a
 * late request costs no more than the time itself. Messages with a page say whether it
 * was asked for before it had been used there (pcn_hold_learn()).
 *
 * Times are kept in microseconds where that saves memory.
 */
#include <linux/atomic.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/time64.h>

#include "internal.h"

/* A thread that is not kept from it has used a page by then, after it was mapped. */
#define USE_LIMIT_NS	NSEC_PER_MSEC

/* More than pcn_thread_hold_ns() ever gives. */
#define KEEP_MAX_NS	(10 * NSEC_PER_MSEC)

/* So long a kernel leaves a page to others at first, and at most. */
#define USE_NS		(20 * NSEC_PER_USEC)
#define USE_MAX_NS	(1000 * NSEC_PER_USEC)
/* It shrinks by such a part each time. */
#define USE_SHRINK	8

/* As much as a page is kept for a thread, and the way of two messages. */
#define REST_MAX_NS	(20 * NSEC_PER_MSEC)

static u64 use_ns(const struct pcn_hold *h)
{
	return max(h->use_us * NSEC_PER_USEC, USE_NS);
}

static u64 keep_until(const struct pcn_hold *h)
{
	return h->since + h->keep_us * NSEC_PER_USEC;
}

/**
 * pcn_hold_init - nobody has used the page yet
 * @r:	the record
 *
 * Context: the record's lock is held, or nobody else knows of the record.
 */
void pcn_hold_init(struct pcn_record *r)
{
	r->hold = (struct pcn_hold) { .left_to = PCN_NOBODY, .taker = PCN_NOBODY };
}

/**
 * pcn_hold_begin - a page has been mapped for a thread that has waited for it
 * @r:	the record
 * @ns:	the time that the thread has it for if it needs others with it; otherwise 0:
 *	only until it has used it
 *
 * Context: the record's lock is held.
 */
void pcn_hold_begin(struct pcn_record *r, u64 ns)
{
	lockdep_assert_held(&r->lock);
	r->hold.since = ktime_get_ns();
	r->hold.keep_us = min_t(u64, ns, KEEP_MAX_NS) / NSEC_PER_USEC;
	r->hold.early = false;
}

/**
 * pcn_hold_is_over - may a page that others want be taken away?
 * @r:		the record, mapped
 * @accessed:	the page has been used since it was mapped
 * @again:	if not: when to look again, ktime_get_ns()
 *
 * A look takes the CPU from the thread that is to use the page, so the time between two
 * looks doubles.
 *
 * Context: the record's lock is held.
 */
bool pcn_hold_is_over(struct pcn_record *r, bool accessed, u64 *again)
{
	const struct pcn_hold *h = &r->hold;
	u64 now = ktime_get_ns(), until = keep_until(h);

	lockdep_assert_held(&r->lock);
	if (now >= until && (accessed || now >= h->since + USE_LIMIT_NS))
		return true;
	if (now >= until)
		until = now + max(use_ns(h), now - h->since);
	r->hold.early = true;
	*again = until;
	return false;
}

/**
 * pcn_hold_end - a page has been taken away
 * @r:	the record
 *
 * Context: the record's lock is held.
 */
void pcn_hold_end(struct pcn_record *r)
{
	lockdep_assert_held(&r->lock);
	r->hold.since = ktime_get_ns();
	r->hold.keep_us = 0;
	r->hold.gone = true;
}

/**
 * pcn_hold_leave - is a page to be left to others before it is asked for again?
 * @r:		the record
 * @until:	for so long, ktime_get_ns()
 *
 * Another kernel has just got the page, and a thread there is about to use it. If it is
 * asked for before that, that kernel has to wait by a timer; to wait here costs less.
 *
 * Context: the record's lock is held. pcn_hold_leave_end() has to follow.
 * Return: true: the caller is to wait, for all threads of this kernel.
 */
bool pcn_hold_leave(struct pcn_record *r, u64 *until)
{
	struct pcn_hold *h = &r->hold;

	lockdep_assert_held(&r->lock);
	*until = h->since + use_ns(h);
	h->gone = false;
	h->leaving = ktime_get_ns() < *until;
	return h->leaving;
}

/**
 * pcn_hold_leave_end - a page has been left to others, or has come meanwhile
 * @r:		the record
 * @until:	as pcn_hold_leave() has set it
 *
 * Context: the record's lock is held.
 */
void pcn_hold_leave_end(struct pcn_record *r, u64 until)
{
	struct pcn_hold *h = &r->hold;

	lockdep_assert_held(&r->lock);
	if (h->leaving)
		pcn_record_changed(r);
	h->leaving = false;
	h->left_to = ktime_get_ns() >= until ? h->taker : PCN_NOBODY;
}

/**
 * pcn_hold_learn - learn for how long a page is to be left to the kernel that gets it
 * @r:		the record
 * @from:	the kernel that it has come from
 * @early:	it had been asked for before it was used there
 *
 * If even the longest time is too short, none is any use.
 *
 * Context: the record's lock is held.
 */
void pcn_hold_learn(struct pcn_record *r, u8 from, bool early)
{
	struct pcn_hold *h = &r->hold;
	u64 ns = use_ns(h);

	lockdep_assert_held(&r->lock);
	/* From others it comes early, or late, for other reasons. */
	if (from != h->left_to)
		return;
	h->left_to = PCN_NOBODY;
	if (!early)
		ns = max(ns - ns / USE_SHRINK, USE_NS);
	else if (ns < USE_MAX_NS)
		ns = min(ns * 2, USE_MAX_NS);
	else
		ns = USE_NS;
	h->use_us = ns / NSEC_PER_USEC;
}

/**
 * pcn_hold_off_rounds - a thread needs what it has been told of for a while
 * @s:	the space, at the origin
 * @ns:	for so long, or 0
 *
 * Context: any.
 */
void pcn_hold_off_rounds(struct pcn_space *s, u64 ns)
{
	s64 until = ktime_get_ns() + min_t(u64, ns, REST_MAX_NS);
	s64 old = atomic64_read(&s->rest_until);

	do {
		if (until <= old)
			return;
	} while (!atomic64_try_cmpxchg(&s->rest_until, &old, until));
}

/**
 * pcn_hold_round_wait - for how long a round must not begin yet
 * @s:	the space, at the origin
 *
 * Context: any.
 * Return: nanoseconds; 0 or less: it may begin.
 */
s64 pcn_hold_round_wait(struct pcn_space *s)
{
	return atomic64_read(&s->rest_until) - ktime_get_ns();
}

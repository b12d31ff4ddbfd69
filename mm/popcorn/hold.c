// SPDX-License-Identifier: GPL-2.0
/*
 * For how long a page stays with a kernel that others want it from.
 *
 * The rule:
 *
 *	1. A page stays with a thread that has waited for it until the thread has used
 *	   it, as the accessed bit tells, but for PCN_HOLD_USE_NS at most.
 *	2. If the instruction of the thread needs other pages too, the page stays for the
 *	   time that pcn_hold_thread_ns() gives, whether it has been used or not. That
 *	   time doubles as long as the same instruction comes back, up to PCN_HOLD_MAX_NS.
 *	3. A kernel that has lost a page leaves it to the one that has got it for a
 *	   while, PCN_HOLD_LEAVE_NS at most, before it asks for it again.
 *	4. A thread that asks for a VMA again and again keeps rounds off for the time that
 *	   it needs, REST_MAX_NS at most from then on. After PCN_HOLD_ROUNDS_NS without a
 *	   round the next one begins, whoever asks.
 *
 * What it guarantees:
 *
 *	Progress. An instruction that needs one page is completed by 1. One that needs
 *	several finds them all at once when its time by 2 has grown beyond what it takes
 *	to fetch them, with 4 if their VMAs have to be fetched as well: each of
 *	these times doubles, so that is after a few attempts.
 *
 *	A bound. Requests for a page are served in their order. So with n kernels that want
 *	a page none waits longer for the others than n - 1 times PCN_HOLD_MAX_NS and the
 *	time to move the page. If changes of the address space wait, a round begins
 *	PCN_HOLD_ROUNDS_NS after the last one at the latest, for any of them.
 *
 * What it costs: a page that was mapped and is never used comes PCN_HOLD_USE_NS late. A
 * page that is not contended costs no timer and no memory.
 *
 * The time of 3 is learnt. A request that comes too early makes the other kernel wait for
 * 1 by a timer, which costs a switch to the thread that the timer wakes, and one back; a
 * late request costs no more than the time itself. Messages with a page say whether it
 * was asked for before it had been used there (pcn_hold_learn()).
 *
 * The functions are pure: an interpreter brings lock and clock. Times are kept in
 * microseconds where that saves memory.
 */
#include <linux/minmax.h>
#include <linux/time64.h>

#include <popcorn/hold.h>
#include <popcorn/proto.h>

/* How long a thread has a page that others want too: at first, and at most. */
#define HOLD_NS		(20 * NSEC_PER_USEC)
#define HOLD_SHIFT_MAX	8

/* So long a kernel leaves a page to others at first, and it shrinks by such a part. */
#define LEAVE_NS	(20 * NSEC_PER_USEC)
#define LEAVE_SHRINK	8

/* As much as a page is kept for a thread, and the way of two messages. */
#define REST_MAX_NS	(20 * NSEC_PER_MSEC)
/* For the way of the answer, and that of the page. */
#define REST_MARGIN	4

static u64 use_ns(const struct pcn_hold *h)
{
	return max(h->use_us * NSEC_PER_USEC, LEAVE_NS);
}

static u64 keep_until(const struct pcn_hold *h)
{
	return h->since + h->keep_us * NSEC_PER_USEC;
}

/**
 * pcn_hold_init - nobody has used the page yet
 * @h:	the hold
 *
 * Context: as of all functions here: the caller serialises them for one hold, or for one
 * thread.
 */
void pcn_hold_init(struct pcn_hold *h)
{
	*h = (struct pcn_hold) { .left_to = PCN_NOBODY, .taker = PCN_NOBODY };
}

/**
 * pcn_hold_begin - a page has been mapped for a thread that has waited for it
 * @h:		the hold
 * @now:	the time
 * @ns:		what pcn_hold_thread_ns() gives for the thread: it has the page for so
 *		long, however many want it; 0: only until it has used it
 */
void pcn_hold_begin(struct pcn_hold *h, u64 now, u64 ns)
{
	h->since = now;
	h->keep_us = min_t(u64, ns, PCN_HOLD_MAX_NS) / NSEC_PER_USEC;
	h->early = false;
}

/**
 * pcn_hold_is_over - may a page that others want be taken away?
 * @h:		the hold of a page that is mapped
 * @now:	the time
 * @accessed:	the page has been used since it was mapped
 * @again:	if not: when to look again
 *
 * A look takes the CPU from the thread that is to use the page, so the time between two
 * looks doubles, but the last one comes when the time of rule 1 is over.
 *
 * Return: true: it may.
 */
bool pcn_hold_is_over(struct pcn_hold *h, u64 now, bool accessed, u64 *again)
{
	u64 until = keep_until(h), limit = h->since + PCN_HOLD_USE_NS;

	if (now >= until && (accessed || now >= limit))
		return true;
	if (now >= until)
		until = min(now + max(use_ns(h), now - h->since), limit);
	h->early = true;
	*again = until;
	return false;
}

/**
 * pcn_hold_end - a page has been taken away, or made read-only
 * @h:		the hold
 * @now:	the time
 * @gone:	it may not even be read any more
 * @accessed:	it has been used since it was mapped
 */
void pcn_hold_end(struct pcn_hold *h, u64 now, bool gone, bool accessed)
{
	h->used = accessed;
	if (!gone)
		return;
	h->since = now;
	h->keep_us = 0;
	h->gone = true;
}

/**
 * pcn_hold_leave - is a page to be left to others before it is asked for again?
 * @h:		the hold
 * @now:	the time
 * @until:	for so long
 *
 * Another kernel has just got the page, and a thread there is about to use it. If it is
 * asked for before that, that kernel has to wait by a timer; to wait here costs less.
 * pcn_hold_leave_end() has to follow.
 *
 * Return: true: the caller is to wait, for all threads of this kernel.
 */
bool pcn_hold_leave(struct pcn_hold *h, u64 now, u64 *until)
{
	*until = h->since + use_ns(h);
	h->gone = false;
	h->leaving = now < *until;
	return h->leaving;
}

/**
 * pcn_hold_leave_end - a page has been left to others, or has come meanwhile
 * @h:		the hold
 * @now:	the time
 * @until:	as pcn_hold_leave() has set it
 *
 * Return: true: other threads may have waited for the caller, and have to look again.
 */
bool pcn_hold_leave_end(struct pcn_hold *h, u64 now, u64 until)
{
	bool left = h->leaving;

	h->leaving = false;
	h->left_to = now >= until ? h->taker : PCN_NOBODY;
	return left;
}

/**
 * pcn_hold_learn - learn for how long a page is to be left to the kernel that gets it
 * @h:		the hold
 * @from:	the kernel that it has come from
 * @early:	it had been asked for before it was used there
 *
 * If even the longest time is too short, none is any use.
 */
void pcn_hold_learn(struct pcn_hold *h, u8 from, bool early)
{
	u64 ns = use_ns(h);

	/* From others it comes early, or late, for other reasons. */
	if (from != h->left_to)
		return;
	h->left_to = PCN_NOBODY;
	if (!early)
		ns = max(ns - ns / LEAVE_SHRINK, LEAVE_NS);
	else if (ns < PCN_HOLD_LEAVE_NS)
		ns = min(ns * 2, PCN_HOLD_LEAVE_NS);
	else
		ns = LEAVE_NS;
	h->use_us = ns / NSEC_PER_USEC;
}

/**
 * pcn_hold_thread_ns - how long a thread is to have a page that it has waited for
 * @t:		the thread, which has just got the page; or NULL: nothing is known of it
 * @ip:		the instruction that has faulted, or that of its system call
 * @page:	number of the page
 * @of_use:	the last time that it was here, it was used, in user mode
 *
 * It grows while the same instruction, or system call, needs more pages: in the end
 * it has all at once. Nor is a page of any use that is gone before the thread has
 * come to use it. But an instruction that again needs the page that it needed last,
 * and used, has been completed meanwhile: the others that it needs, if any, were
 * there, or it would have asked for them since. It is in a loop, with each turn in
 * which time for others has to be.
 *
 * Return: nanoseconds; 0: there is no reason to think that it needs other pages with it.
 */
u64 pcn_hold_thread_ns(struct pcn_hold_thread *t, unsigned long ip, u64 page,
		       bool of_use)
{
	if (!t)
		return HOLD_NS << (HOLD_SHIFT_MAX / 2);
	if (ip != t->ip || (of_use && page == t->page))
		t->shift = 0;
	else if (t->shift < HOLD_SHIFT_MAX)
		t->shift++;
	t->ip = ip;
	t->page = page;
	return t->shift ? HOLD_NS << t->shift : 0;
}

/**
 * pcn_hold_progress - a thread has made progress, even if it faults at the same place
 * @t:	the thread
 */
void pcn_hold_progress(struct pcn_hold_thread *t)
{
	t->ip = 0;
}

/**
 * pcn_hold_rounds_ns - how long a thread needs a VMA that it asks for again
 * @ns:	what pcn_hold_thread_ns() gives for the thread
 *
 * Return: nanoseconds, 0: as long as it stays.
 */
u64 pcn_hold_rounds_ns(u64 ns)
{
	return ns * REST_MARGIN;
}

/**
 * pcn_hold_rounds_until - until when a thread that needs a VMA keeps rounds off
 * @now:	the time
 * @ns:		what pcn_hold_rounds_ns() gave for it
 *
 * Return: the time.
 */
u64 pcn_hold_rounds_until(u64 now, u64 ns)
{
	return now + min_t(u64, ns, REST_MAX_NS);
}

/**
 * pcn_hold_rounds_wait - for how long a round must not begin yet
 * @now:	the time
 * @until:	threads keep rounds off until then
 * @last:	when the last round was over
 *
 * It counts from the last round, and not from when somebody came to wait for this one: if
 * many wait, the threads still have the time between two rounds.
 *
 * Return: nanoseconds; 0: it may begin.
 */
u64 pcn_hold_rounds_wait(u64 now, u64 until, u64 last)
{
	until = min(until, last + PCN_HOLD_ROUNDS_NS);
	return now < until ? until - now : 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * For how long a page stays with a kernel that others want it from.
 *
 * The rule:
 *
 *	1. A page stays with a thread that has waited for it until the thread has used
 *	   it, as the accessed bit tells, but for PCN_HOLD_USE_NS at most. One that is
 *	   busy, as it is written all the time, stays for all of that time.
 *	2. If the instruction of the thread needs other pages too, the page stays for the
 *	   time that pcn_hold_thread_ns() gives, whether it has been used or not. That
 *	   time doubles as long as the same instruction comes back. Once it is the
 *	   longest, kernels take turns, in time slots of PCN_HOLD_MAX_NS: the page stays
 *	   to the end of the slot of this kernel, and in that of another one by 1 alone.
 *	3. A kernel that has lost a page leaves it to the one that has got it for a
 *	   while, PCN_HOLD_LEAVE_NS at most, before it asks for it again.
 *	4. A thread that asks for a VMA again and again keeps rounds off for the time that
 *	   it needs, REST_MAX_NS at most from then on. After PCN_HOLD_ROUNDS_NS without a
 *	   round the next one begins.
 *
 * What it guarantees, if a thread that is not kept from it uses a page within
 * PCN_HOLD_USE_NS after it was mapped:
 *
 *	Progress. An instruction that needs one page is completed by 1, the first time
 *	that the page comes. One that needs several has them all at once when its time
 *	by 2 has grown beyond what it takes to fetch them. But it grows for the kernels
 *	that they are fetched from, too: if all of them kept pages for the longest time at
 *	once, each could lose its first page before it has the last one, for ever. So they
 *	take turns. After nine faults the time of a thread is the longest, and the slot of
 *	its kernel comes after those of the other kernels of the process. It keeps what it
 *	gets then, so it waits for each page once, until those that have asked before have
 *	had it: each for PCN_HOLD_USE_NS, or if its time still doubles, for another 2 ms
 *	in all. So with n kernels that want them k pages are there after n - 1 times
 *	(2 ms + k times (PCN_HOLD_USE_NS + the time to move a page)). If that is less than
 *	a slot, as it is for four pages of two kernels that are moved in 0.2 ms, the first
 *	slot is enough. If not, it is a matter of chance, as others seldom take as long as
 *	they may, and the next slot is another chance. By 4 VMAs that have to be fetched
 *	as well stay until PCN_HOLD_ROUNDS_NS after the last round.
 *
 *	A bound. Requests for a page are served in their order, one of each kernel, and
 *	no page stays longer than PCN_HOLD_MAX_NS. So with n kernels that write a page
 *	none waits longer for the others than n - 1 times PCN_HOLD_MAX_NS and the time
 *	to move the page (and to notice that it may go). If they read it as well it is n
 *	times: all that have a copy, the one that waits among them, may keep it before the
 *	first of them writes. By 3 a thread asks PCN_HOLD_LEAVE_NS late at most. If changes
 *	of the address space wait, a round begins PCN_HOLD_ROUNDS_NS after the last one at
 *	the latest, for any of them.
 *
 * The simulator in tools/popcorn/check finds both kept ("check hold"). An instruction
 * that needs four pages which eight kernels contend for takes eight slots of its kernel
 * at most there, of 16 kernels eleven. With 32 kernels that all need the same four pages
 * a slot is too short to fetch them: few instructions are completed.
 *
 * What it does not cover: faults that may not let go of mmap_lock go ahead of requests
 * that wait, and the page stays anew; a page that others refer to, as for I/O, stays
 * until they do not; and a thread without a struct pcn_hold_thread, which has never left
 * its origin, has pages for the same time always, which may be too short for several.
 *
 *	A share. Threads that write parts of one page all the time have it for
 *	PCN_HOLD_USE_NS each: together they get done what one CPU does in the part
 *	PCN_HOLD_USE_NS / (PCN_HOLD_USE_NS + the time to move a page) of the time, but for
 *	what looks take. That is half of it or more if a page is moved in that time.
 *
 * Whether a page is busy is learnt. What is in it is compared half of the time of rule 1
 * after it was mapped, and at the end of it. A thread that writes a word and waits for another
 * one's, or for a lock, changes the page at first alone, whatever instruction it waits with:
 * its page is found idle, and goes at once. (The dirty bit would not do: a compare and
 * exchange sets it even if it finds another value.) To watch a page makes the other kernel
 * wait for all of that time, so it is seldom done.
 *
 * What it costs: a page that was mapped and is never used comes PCN_HOLD_USE_NS late. A
 * page that is not contended costs no timer and no memory.
 *
 * The time of 3 is learnt. A request that comes too early makes the other kernel wait for
 * 1 by a timer, which costs a switch to the thread that the timer wakes, and one back; a
 * late request costs no more than the time itself. Messages with a page say whether it
 * was asked for before it had been used there (pcn_hold_learn()).
 *
 * The functions are pure: the kernel and the simulator run this file, and bring lock and
 * clock. The clock has to be one for all kernels, or time slots overlap; CLOCK_MONOTONIC
 * is. Times are kept in microseconds where that saves memory.
 */
#include <linux/bitops.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/time64.h>

#include <popcorn/hold.h>
#include <popcorn/proto.h>

#include "hold_seed.h"

/* How long a thread has a page that others want too: at first, and at the longest. */
#define HOLD_NS		(20 * NSEC_PER_USEC)
#define HOLD_SHIFT_MAX	8
#define HOLD_LONGEST_NS	(HOLD_NS << HOLD_SHIFT_MAX)

/*
 * A page goes so many times before it is watched: at first, later, and once it is busy. So often
 * in a row a busy one has to be found idle.
 */
#define WATCH_FIRST	16
#define WATCH_IDLE	63
#define WATCH_BUSY	7
#define BUSY_MAX	2
/* What is in it is looked at so long after it was mapped, and not later than that. */
#define WATCH_NS	(PCN_HOLD_USE_NS / 2)
#define WATCH_LATE_NS	(PCN_HOLD_USE_NS * 3 / 4)

/* So long a kernel leaves a page to others at first, and it shrinks by such a part. */
#define LEAVE_NS	(20 * NSEC_PER_USEC)
#define LEAVE_SHRINK	8

/* As much as a page is kept for a thread, and the way of two messages. */
#define REST_MAX_NS	(20 * NSEC_PER_MSEC)
/* For the way of the answer, and that of the page. */
#define REST_MARGIN	4

/* How far the watch is that a page is under while others want it. */
enum watch {
	WATCH_NONE,
	WATCH_USED,		/* it has been used, maybe for the only time */
	WATCH_CONTENT,		/* what it had in it after that is known */
	WATCH_OVER,		/* it is kept, that is all */
};

static u64 use_ns(const struct pcn_hold *h)
{
	return max(h->use_us * NSEC_PER_USEC, LEAVE_NS);
}

static u64 keep_until(const struct pcn_hold *h)
{
	if (h->watch == WATCH_CONTENT)
		return h->since + PCN_HOLD_USE_NS;
	return h->since + h->keep_us * NSEC_PER_USEC;
}

/* What is left of the time slot of this kernel; 0: it is that of another one. */
static u64 time_slot_left(const struct pcn_kernel_group *g, u64 now)
{
	unsigned int rank = hweight64(g->members & (BIT_ULL(g->self) - 1));
	u32 passed, turn;
	u64 slot = div_u64_rem(now, PCN_HOLD_MAX_NS, &passed);

	div_u64_rem(slot, g->count, &turn);
	return turn == rank ? PCN_HOLD_MAX_NS - passed : 0;
}

/**
 * pcn_hold_init - nobody has used the page yet
 * @h:	the hold
 *
 * Context: any; serialised by the caller, as all functions here are for one hold, or for
 * one thread.
 */
void pcn_hold_init(struct pcn_hold *h)
{
	*h = (struct pcn_hold) {
		.left_to = PCN_NOBODY, .taker = PCN_NOBODY, .turns = WATCH_FIRST,
	};
}

/**
 * pcn_hold_begin - a page has been mapped for a thread that has waited for it
 * @h:		the hold
 * @now:	the time
 * @ns:		what pcn_hold_thread_ns() gives for the thread: it has the page for so
 *		long, however many want it, or if that is the longest time, to the end of
 *		its kernel's time slot; 0: only until it has used it
 * @g:		the kernels that share the page
 *
 * Context: any; serialised by the caller.
 */
void pcn_hold_begin(struct pcn_hold *h, u64 now, u64 ns,
		    const struct pcn_kernel_group *g)
{
	if (ns >= HOLD_LONGEST_NS && !pcn_hold_without(PCN_HOLD_SEED_SLOT) &&
	    !pcn_hold_without(PCN_HOLD_SEED_MAX))
		ns = time_slot_left(g, now);
	h->since = now;
	h->keep_us = ns / NSEC_PER_USEC;
	h->early = false;
	h->watch = WATCH_NONE;
}

/* The page stays until then. True. */
static bool keep(struct pcn_hold *h, u64 until, enum watch watch)
{
	h->watch = watch;
	h->keep_us = (until - h->since + NSEC_PER_USEC - 1) / NSEC_PER_USEC;
	return true;
}

/* The page stays to the end of the watch, which is to tell whether it is written until then. */
static bool keep_content(struct pcn_hold *h, const struct pcn_hold_look *look)
{
	h->watch = WATCH_CONTENT;
	h->content = look->content(look->page);
	return true;
}

/* It has been used, and another kernel wants it. */
static bool begin_watch(struct pcn_hold *h, const struct pcn_hold_look *look)
{
	u64 ns = look->now - h->since;

	if (!h->turns && ns < WATCH_NS)
		return keep(h, h->since + WATCH_NS, WATCH_USED);
	if (!h->turns && ns < WATCH_LATE_NS)
		return keep_content(h, look);
	if (h->turns)
		h->turns--;
	return h->busy && ns < PCN_HOLD_USE_NS &&
	       keep(h, h->since + PCN_HOLD_USE_NS, WATCH_OVER);
}

/* What is found idle by chance is watched the next time again, before it counts as idle. */
static void end_watch(struct pcn_hold *h, bool written)
{
	if (written)
		h->busy = BUSY_MAX;
	else if (h->busy)
		h->busy--;
	if (written)
		h->turns = WATCH_BUSY;
	else
		h->turns = h->busy ? 0 : WATCH_IDLE;
}

/* Its time by rules 1 and 2 is over, but for that of a busy page. True: it stays. */
static bool is_busy(struct pcn_hold *h, const struct pcn_hold_look *look)
{
	if (!look->accessed || !look->writable || pcn_hold_without(PCN_HOLD_SEED_BUSY))
		return false;
	switch (h->watch) {
	case WATCH_NONE:
		return begin_watch(h, look);
	case WATCH_USED:
		if (look->now < h->since + WATCH_LATE_NS)
			return keep_content(h, look);
		h->turns = WATCH_BUSY;
		break;
	case WATCH_CONTENT:
		end_watch(h, look->content(look->page) != h->content);
		keep(h, h->since + PCN_HOLD_USE_NS, WATCH_OVER);
		break;
	}
	return false;
}

/**
 * pcn_hold_is_over - may a page that others want be taken away?
 * @h:		the hold of a page that is mapped
 * @look:	what there is to see. If it may not: when to look again
 *
 * A look takes the CPU from the thread that is to use the page, so the time between two
 * looks doubles, but the last one comes when the time of rule 1 is over.
 *
 * Context: any; serialised by the caller.
 * Return: true: it may.
 */
bool pcn_hold_is_over(struct pcn_hold *h, struct pcn_hold_look *look)
{
	u64 now = look->now, until = keep_until(h), limit = h->since + PCN_HOLD_USE_NS;

	if (now >= until && (look->accessed || now >= limit ||
			     pcn_hold_without(PCN_HOLD_SEED_USE))) {
		if (!is_busy(h, look))
			return true;
		look->again = keep_until(h);
		return false;
	}
	if (now >= until) {
		until = now + max(use_ns(h), now - h->since);
		if (!pcn_hold_without(PCN_HOLD_SEED_LOOK))
			until = min(until, limit);
	}
	/* What is watched has been used. */
	h->early |= h->watch == WATCH_NONE;
	look->again = until;
	return false;
}

/**
 * pcn_hold_end - a page has been taken away, or made read-only
 * @h:		the hold
 * @now:	the time
 * @gone:	it may not even be read any more
 * @accessed:	it has been used since it was mapped
 *
 * Context: any; serialised by the caller.
 */
void pcn_hold_end(struct pcn_hold *h, u64 now, bool gone, bool accessed)
{
	h->used = accessed;
	if (!gone)
		return;
	h->since = now;
	h->watch = WATCH_NONE;
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
 * Context: any; serialised by the caller.
 * Return: true: the caller is to wait, for all threads of this kernel.
 */
bool pcn_hold_leave(struct pcn_hold *h, u64 now, u64 *until)
{
	*until = h->since + use_ns(h);
	h->gone = false;
	h->leaving = now < *until && !pcn_hold_without(PCN_HOLD_SEED_LEAVE);
	return h->leaving;
}

/**
 * pcn_hold_leave_end - a page has been left to others, or has come meanwhile
 * @h:		the hold
 * @now:	the time
 * @until:	as pcn_hold_leave() has set it
 *
 * Context: any; serialised by the caller.
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
 *
 * Context: any; serialised by the caller.
 */
void pcn_hold_learn(struct pcn_hold *h, u8 from, bool early)
{
	u64 ns = use_ns(h);

	/* From others it comes early, or late, for other reasons. */
	if (from != h->left_to || pcn_hold_without(PCN_HOLD_SEED_LEARN))
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

/* Has the thread completed its last instruction? It is in a loop if it is the same. */
static bool was_completed(const struct pcn_hold_thread *t, u64 page, bool of_use)
{
	return of_use && page == t->page && !pcn_hold_without(PCN_HOLD_SEED_LOOP);
}

static unsigned int max_shift(void)
{
	if (pcn_hold_without(PCN_HOLD_SEED_GROW))
		return 1;
	return pcn_hold_without(PCN_HOLD_SEED_MAX) ? HOLD_SHIFT_MAX + 3 : HOLD_SHIFT_MAX;
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
 * Context: any; serialised by the caller.
 * Return: nanoseconds; 0: there is no reason to think that it needs other pages with it.
 */
u64 pcn_hold_thread_ns(struct pcn_hold_thread *t, unsigned long ip, u64 page,
		       bool of_use)
{
	if (!t)
		return HOLD_NS << (HOLD_SHIFT_MAX / 2);
	if (ip != t->ip || was_completed(t, page, of_use))
		t->shift = 0;
	else if (t->shift < max_shift())
		t->shift++;
	t->ip = ip;
	t->page = page;
	return t->shift ? HOLD_NS << t->shift : 0;
}

/**
 * pcn_hold_progress - a thread has made progress, even if it faults at the same place
 * @t:	the thread
 *
 * Context: any; serialised by the caller.
 */
void pcn_hold_progress(struct pcn_hold_thread *t)
{
	t->ip = 0;
}

/**
 * pcn_hold_rounds_ns - how long a thread needs a VMA that it asks for again
 * @ns:	what pcn_hold_thread_ns() gives for the thread
 *
 * Context: any.
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
 * Context: any.
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
 * Context: any.
 * Return: nanoseconds; 0: it may begin.
 */
u64 pcn_hold_rounds_wait(u64 now, u64 until, u64 last)
{
	if (pcn_hold_without(PCN_HOLD_SEED_REST))
		return 0;
	if (!pcn_hold_without(PCN_HOLD_SEED_REST_MAX))
		until = min(until, last + PCN_HOLD_ROUNDS_NS);
	return now < until ? until - now : 0;
}

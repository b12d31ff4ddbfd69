// SPDX-License-Identifier: GPL-2.0
/*
 * Changes of a shared address space.
 *
 * Linux changes which addresses there are, or what they mean, in a few functions that
 * all callers pass: system calls, io_uring, other processes. Each of them takes
 * mmap_lock by pcn_change_lock(), and calls pcn_change_end() when it has released the
 * lock. In between the *change* is in a list, and
 *
 *	- members that ask for VMAs in its range wait (vma.c);
 *	- if members know something of the range, they take part in a round (round.c),
 *	  one at a time.
 *
 * A change of a range that no member knows costs no message, and does not wait.
 *
 * An unannounced change, such as truncation of a mapped file, is noticed where Linux
 * removes entries of page tables (pcn_unmap_begin()): pages of the protocol there are
 * *torn*. The origin refuses accesses to them, and a work item has members drop them in
 * a separate round. For a moment members may still see the old pages, as if the change
 * had come a moment later.
 *
 * Lock order: a change begins with no lock held, waits for &pcn_space.round, and mmap_lock
 * comes after that. What may block for an unbounded time (a tracer, an event for a
 * userfaultfd, population by a file system in user space) comes after the end.
 *
 * Threads of members make progress between two rounds. If the VMAs and pages of one
 * instruction went before the thread had them all, it says how long it needs them when it
 * asks again, and the next round waits for so long (hold.c).
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/errno.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>

#include <popcorn/hooks.h>

#include "internal.h"
#include "mirror.h"

/* --- the list of changes --- */

static struct pcn_change *change_find_own(struct pcn_space *s)
{
	struct pcn_change *c, *found = NULL;

	spin_lock(&s->changes_lock);
	list_for_each_entry(c, &s->changes, node)
		if (c->owner == current)
			found = c;
	spin_unlock(&s->changes_lock);
	return found;
}

static void change_enlist(struct pcn_space *s, struct pcn_change *c)
{
	spin_lock(&s->changes_lock);
	list_add(&c->node, &s->changes);
	spin_unlock(&s->changes_lock);
}

/* Questions about VMAs that have come meanwhile are answered. */
static void change_delist(struct pcn_space *s, struct pcn_change *c)
{
	spin_lock(&s->changes_lock);
	list_del(&c->node);
	s->changes_ended++;
	spin_unlock(&s->changes_lock);
	pcn_vma_unpark(s);
}

/* Is somebody about to have members drop all of these pages? */
static bool is_announced(struct pcn_space *s, u64 first, u64 last)
{
	struct pcn_change *c;
	bool found = false;

	spin_lock(&s->changes_lock);
	list_for_each_entry(c, &s->changes, node)
		found |= c->round && c->first <= first && c->last >= last;
	spin_unlock(&s->changes_lock);
	return found;
}

static bool is_published(struct pcn_space *s, unsigned int kid, const struct pcn_change *c)
{
	unsigned long at = c->first << PAGE_SHIFT;
	unsigned long end = ((c->last + 1) << PAGE_SHIFT) - 1;

	return mt_find(&s->member[kid].published, &at, end);
}

/*
 * The members that know something of the range. With "vote"
 * a kernel has part in pages of which it knows no address.
 */
static u64 members_in(struct pcn_space *s, const struct pcn_change *c)
{
	u64 others = pcn_other_members(s), found = 0;
	unsigned int kid;

	for_each_kernel(kid, others)
		if (is_published(s, kid, c))
			found |= BIT_ULL(kid);
	return found && s->proto == &pcn_proto_vote ? others : found;
}

/* --- begin and end --- */

/**
 * pcn_space_keep_off_rounds - a thread needs what it has been told of for a while
 * @s:	the space, at the origin
 * @ns:	for so long, or 0
 *
 * Context: any.
 */
void pcn_space_keep_off_rounds(struct pcn_space *s, u64 ns)
{
	s64 until = pcn_hold_rounds_until(ktime_get_ns(), ns);
	s64 old = atomic64_read(&s->rest_until);

	do {
		if (until <= old)
			return;
	} while (!atomic64_try_cmpxchg(&s->rest_until, &old, until));
}

/* With pcn_space.round. Nanoseconds; 0: a round may begin. */
static u64 rest_left(struct pcn_space *s)
{
	return pcn_hold_rounds_wait(ktime_get_ns(), atomic64_read(&s->rest_until),
				    s->last_round);
}

/* They may have to ask for more meanwhile: not with the change in the list. */
static int let_rest(u64 ns)
{
	ktime_t t = ns_to_ktime(ns);

	set_current_state(TASK_KILLABLE);
	schedule_hrtimeout(&t, HRTIMER_MODE_REL);
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/* With pcn_space.round if members take part, and the change in the list. */
static int change_announce(struct pcn_space *s, struct pcn_change *c)
{
	u64 rest;

	for (;;) {
		change_enlist(s, c);
		/* After that: members that have been told earlier are seen. */
		if (!(c->flags & PCN_CHANGE_TORN) && !members_in(s, c))
			return 0;
		if (down_killable(&s->round)) {
			change_delist(s, c);
			return -EINTR;
		}
		rest = rest_left(s);
		if (!rest || c->flags & PCN_CHANGE_TORN)
			break;
		up(&s->round);
		change_delist(s, c);
		if (let_rest(rest))
			return -EINTR;
	}
	c->members = members_in(s, c);
	WRITE_ONCE(c->round, true);
	return 0;
}

static void kick_torn(struct pcn_space *s)
{
	if (mmget_not_zero(s->mm) && !queue_work(system_unbound_wq, &s->torn_work))
		mmput_async(s->mm);
}

/*
 * Truncation may have torn pages of the range too late for this round, and relied on it.
 * Either that has seen the change in the list, or this sees what is torn.
 */
static void forget_change(struct pcn_space *s, struct pcn_change *c)
{
	if (c->round) {
		s->last_round = ktime_get_ns();
		up(&s->round);
	}
	change_delist(s, c);
	if (c->round && pcn_space_has_torn(s, c->first, c->last))
		kick_torn(s);
	kfree(c);
}

static void change_finish_work(struct work_struct *work)
{
	struct pcn_change *c = container_of(work, struct pcn_change, finish);
	struct pcn_space *s = c->space;

	while (pcn_round_finish(c)) {
		/* Nobody wants the pages, and their end is what makes room for others. */
		if (atomic_read(&s->mm->mm_users) == 1)
			pcn_space_break(s->number);
		schedule_timeout_uninterruptible(1);
	}
	forget_change(s, c);
	pcn_space_put(s);
}

/* The current task is killed, or has no memory: members must not wait for it. */
static void change_finish_later(struct pcn_space *s, struct pcn_change *c)
{
	if (!mmget_not_zero(s->mm)) {
		/* Nobody uses the address space any more. */
		pcn_space_thaw(s);
		forget_change(s, c);
		return;
	}
	/* Members may have dropped pages that this task was still allowed to use. */
	pcn_space_freeze(s, c->first, c->last, NULL);
	spin_lock(&s->changes_lock);
	c->owner = NULL;
	spin_unlock(&s->changes_lock);
	queue_work(system_unbound_wq, &c->finish);
}

static void end_change(struct pcn_space *s, struct pcn_change *c)
{
	if (c->round && pcn_round_end(c))
		change_finish_later(s, c);
	else
		forget_change(s, c);
}

/**
 * pcn_change_begin - the current task is about to change a range of the address space
 * @s:		the space, at the origin
 * @start:	first address
 * @end:	the first one behind
 * @flags:	PCN_CHANGE_*
 *
 * Context: process, with no lock held; sleeps, killably.
 * Return: 0: pcn_change_end_space() has to follow; -EINTR a fatal signal; -ENOMEM.
 */
int pcn_change_begin(struct pcn_space *s, u64 start, u64 end, unsigned int flags)
{
	struct pcn_change *c = kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);
	int err;

	if (!c)
		return -ENOMEM;
	c->first = start >> PAGE_SHIFT;
	c->last = (end - 1) >> PAGE_SHIFT;
	c->owner = current;
	c->space = s;
	c->flags = flags;
	INIT_WORK(&c->finish, change_finish_work);
	err = change_announce(s, c);
	if (err) {
		kfree(c);
		return err;
	}
	if (!c->round)
		return 0;
	err = pcn_round_begin(c);
	if (err)
		change_finish_later(s, c);
	return err;
}

/* Buffers that were there are not, and what is there now may be shared. */
static void forget_buffers(struct pcn_space *s, const struct pcn_change *c)
{
	pcn_origin_only(s, c->first << PAGE_SHIFT, (c->last + 1) << PAGE_SHIFT, false);
}

/**
 * pcn_change_end_space - the change that the current task has begun is over
 * @s:		the space
 * @failed:	nothing has changed
 *
 * Context: process, with no lock held; sleeps. If there is no change, as the space is
 * newer, nothing happens.
 */
void pcn_change_end_space(struct pcn_space *s, bool failed)
{
	struct pcn_change *c = change_find_own(s);

	if (!c)
		return;
	if (c->depth) {
		c->depth--;
		return;
	}
	if (!failed && c->flags & PCN_CHANGE_VMAS && !(c->flags & PCN_CHANGE_KEEP))
		forget_buffers(s, c);
	end_change(s, c);
}

/**
 * pcn_change_recall - have all members forget all VMAs and pages
 * @s:	the space, at the origin
 *
 * Context: process, with no lock held; sleeps, killably.
 * Return: 0; -EINTR; -ENOMEM.
 */
int pcn_change_recall(struct pcn_space *s)
{
	int err = pcn_change_begin(s, 0, TASK_SIZE_MAX,
				   PCN_CHANGE_VMAS | PCN_CHANGE_KEEP);

	if (!err)
		pcn_change_end_space(s, false);
	return err;
}

/* --- what nobody has announced --- */

static bool find_torn_in(struct pcn_shard *shard, u64 *page)
{
	struct pcn_record *r;
	struct rb_node *node;
	bool found = false;

	spin_lock(&shard->lock);
	for (node = rb_first(&shard->records); node && !found; node = rb_next(node)) {
		r = rb_entry(node, struct pcn_record, node);
		found = r->torn;
		*page = r->page;
	}
	spin_unlock(&shard->lock);
	return found;
}

static bool is_torn(struct pcn_space *s, u64 page)
{
	struct pcn_shard *shard = pcn_shard_of(s, page);
	struct pcn_record *r;
	bool torn;

	spin_lock(&shard->lock);
	r = pcn_record_next(shard, page);
	torn = r && r->page == page && r->torn;
	spin_unlock(&shard->lock);
	return torn;
}

static bool find_torn(struct pcn_space *s, u64 *first, u64 *last)
{
	struct pcn_shard *shard;
	bool found = false;

	for (shard = s->shard; shard < s->shard + PCN_SHARDS && !found; shard++)
		found = find_torn_in(shard, first);
	if (!found)
		return false;
	while (*first && is_torn(s, *first - 1))
		--*first;
	*last = *first;
	while (is_torn(s, *last + 1))
		++*last;
	return true;
}

/**
 * pcn_torn_wait - wait until no member uses a page that Linux has taken away
 * @mm:	the current task's address space
 *
 * At the end of a system call, which may have truncated a file: a write that comes after it
 * is to go to the page of today, and not to one that is about to be dropped.
 *
 * Context: process, with no lock held; sleeps, killably.
 */
void pcn_torn_wait(struct mm_struct *mm)
{
	struct pcn_space *s = READ_ONCE(mm->popcorn);

	if (!s || likely(!atomic_read(&s->torn)))
		return;
	wait_event_killable(s->thawed, !atomic_read(&s->torn) || READ_ONCE(s->broken));
}

/**
 * pcn_tell_of_torn - have members drop pages that Linux has removed
 * @work:	&pcn_space.torn_work
 *
 * Context: work item, with a reference to the space's mm, which is given up.
 */
void pcn_tell_of_torn(struct work_struct *work)
{
	struct pcn_space *s = container_of(work, struct pcn_space, torn_work);
	u64 first, last;

	while (!READ_ONCE(s->broken) && find_torn(s, &first, &last)) {
		/* Threads wait for that: without memory, wait for some. */
		if (pcn_change_begin(s, first << PAGE_SHIFT, (last + 1) << PAGE_SHIFT,
				     PCN_CHANGE_TORN))
			schedule_timeout_uninterruptible(1);
		else
			pcn_change_end_space(s, true);
	}
	pcn_space_put(s);
}

/*
 * Truncation, the OOM reaper and process_mrelease(2) have no reference to the mm's users: the
 * space ends when they have done (pcn_space_wait_for_unmappers()).
 */
static struct pcn_space *get_for_unmap(struct mm_struct *mm)
{
	struct pcn_space *s;

	rcu_read_lock();
	s = READ_ONCE(mm->popcorn);
	if (s && pcn_is_origin(s) && !s->mirror) {
		spin_lock(&s->changes_lock);
		s->unmappers++;
		spin_unlock(&s->changes_lock);
	} else {
		s = NULL;
	}
	rcu_read_unlock();
	return s;
}

static void put_for_unmap(struct pcn_space *s)
{
	/* With the lock: the space may go then. */
	spin_lock(&s->changes_lock);
	if (!--s->unmappers)
		wake_up_all(&s->quiet);
	spin_unlock(&s->changes_lock);
}

/**
 * pcn_space_wait_for_unmappers - wait until no thread removes entries of a space that ends
 * @s:	the space, which nobody finds any more; an RCU grace period has passed since
 *
 * Context: process; sleeps.
 */
void pcn_space_wait_for_unmappers(struct pcn_space *s)
{
	wait_event(s->quiet, !READ_ONCE(s->unmappers));
	spin_lock(&s->changes_lock);
	spin_unlock(&s->changes_lock);
}

/**
 * pcn_unmap_begin_shared - Linux is about to remove entries of a shared address space
 * @vma:	the VMA
 * @start:	first address
 * @end:	the first one behind
 * @details:	what Linux leaves there, or NULL
 *
 * No page is adopted until pcn_unmap_end_shared().
 *
 * Context: process, with the lock of the VMA, its file, or its mm held.
 * Return: the space, if it is at its origin; or NULL.
 */
struct pcn_space *pcn_unmap_begin_shared(struct vm_area_struct *vma,
					 unsigned long start, unsigned long end,
					 const struct zap_details *details)
{
	u64 first = start >> PAGE_SHIFT, last = (end - 1) >> PAGE_SHIFT;
	struct pcn_space *s;

	/* Entries of ours are of anonymous pages, or markers in their place. */
	if (details && !details->even_cows)
		return NULL;
	s = get_for_unmap(vma->vm_mm);
	if (!s)
		return NULL;
	atomic_inc(&s->unmaps);
	/* Pairs with the one in is_linux_busy(), where adopters look for this. */
	smp_mb();
	if (pcn_space_tear(s, first, last) && !is_announced(s, first, last))
		kick_torn(s);
	return s;
}

static void kick_shard(struct pcn_shard *shard)
{
	struct pcn_record *r;

	for (r = pcn_record_next_get(shard, 0); r;
	     r = pcn_record_next_get(shard, pcn_record_leave(r)))
		pcn_record_adopt_soon(r);
}

static void kick_all(struct pcn_space *s)
{
	struct pcn_shard *shard;

	for (shard = s->shard; shard < s->shard + PCN_SHARDS; shard++)
		kick_shard(shard);
}

/**
 * pcn_unmap_end_shared - Linux has removed the entries
 * @s:	as pcn_unmap_begin_shared() has returned it
 *
 * Context: as for that.
 */
void pcn_unmap_end_shared(struct pcn_space *s)
{
	/* Pages that were to be adopted meanwhile, if any. */
	if (atomic_dec_and_test(&s->unmaps) && atomic_xchg(&s->adoptions_put_off, 0))
		kick_all(s);
	put_for_unmap(s);
}

/* --- hooks --- */

/* Of coherent memory Linux tells of changes itself (mirror.c). */
static bool is_origin_of(const struct pcn_space *s)
{
	return s && pcn_is_origin(s) && !s->mirror;
}

/*
 * A handler of a userfaultfd is told of pages that go, and waited for in the middle of
 * that: it may need the address space itself. What goes is torn then.
 */
static bool is_watched(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	VMA_ITERATOR(vmi, mm, start);
	struct vm_area_struct *vma;
	bool found = false;

	mmap_read_lock(mm);
	for_each_vma_range(vmi, vma, end)
		found = found || userfaultfd_armed(vma);
	mmap_read_unlock(mm);
	return found;
}

/**
 * pcn_change_begin_shared - begin to change a range of an address space
 * @mm:		the address space
 * @start:	first address
 * @length:	bytes
 * @flags:	PCN_CHANGE_*
 *
 * Context: process, with no lock held; sleeps, killably.
 * Return: 0, to be followed by pcn_change_end(); -EINTR a fatal signal; -ENOMEM.
 */
int pcn_change_begin_shared(struct mm_struct *mm, unsigned long start,
			    unsigned long length, unsigned int flags)
{
	struct pcn_space *s = READ_ONCE(mm->popcorn);
	struct pcn_change *outer;

	if (!is_origin_of(s))
		return 0;
	/* A change within a change is a part of it, or what it removes is torn. */
	outer = change_find_own(s);
	if (outer)
		outer->depth++;
	if (outer || flags & PCN_CHANGE_NOTHING)
		return 0;
	if (flags & PCN_CHANGE_BELOW) {
		length += start;
		start = 0;
	}
	length = PAGE_ALIGN(length + offset_in_page(start));
	start &= PAGE_MASK;
	/* Linux refuses that: nothing will change. */
	if (!length || start >= TASK_SIZE_MAX || length > TASK_SIZE_MAX - start)
		return 0;
	if (!(flags & (PCN_CHANGE_VMAS | PCN_CHANGE_KEEP)) &&
	    is_watched(mm, start, start + length))
		return 0;
	return pcn_change_begin(s, start, start + length, flags);
}

static void forget_for_fork(struct pcn_space *s)
{
	if (s && s->mirror)
		pcn_mirror_forget_private(s->mirror);
}

/**
 * pcn_change_lock_shared - begin to change a range, and take mmap_lock
 * @mm:		the address space
 * @start:	first address
 * @length:	bytes
 * @flags:	PCN_CHANGE_*; with PCN_CHANGE_READ mmap_lock is taken to read
 *
 * Context: process, with no lock held; sleeps, killably.
 * Return: 0, with mmap_lock held, to be followed by pcn_change_end() when it is let go;
 * -EINTR a fatal signal; -ENOMEM.
 */
int pcn_change_lock_shared(struct mm_struct *mm, unsigned long start,
			   unsigned long length, unsigned int flags)
{
	int err = pcn_change_begin_shared(mm, start, length, flags);

	if (err)
		return err;
	err = pcn_mmap_lock(mm, flags);
	if (err)
		pcn_change_end_shared(mm, true);
	else if (flags == PCN_CHANGE_KEEP)
		forget_for_fork(mm->popcorn);
	return err;
}

/**
 * pcn_change_end_shared - the change is over
 * @mm:		the address space
 * @failed:	Linux has failed to change anything
 *
 * Context: process, with no lock held; sleeps.
 */
void pcn_change_end_shared(struct mm_struct *mm, bool failed)
{
	struct pcn_space *s = READ_ONCE(mm->popcorn);

	if (is_origin_of(s))
		pcn_change_end_space(s, failed);
}

/**
 * pcn_change_is_missing_shared - is a change under way that has not begun as one?
 * @mm:	the address space
 *
 * Context: process, with a lock held that keeps the address space from becoming shared.
 */
bool pcn_change_is_missing_shared(struct mm_struct *mm)
{
	struct pcn_space *s = READ_ONCE(mm->popcorn);

	return is_origin_of(s) && !change_find_own(s);
}

/* From the new end of the heap to the old one. */
static int lock_heap(struct mm_struct *mm, unsigned long from, unsigned long to)
{
	return pcn_change_lock_shared(mm, from, to - from, from < to ?
				      PCN_CHANGE_VMAS : PCN_CHANGE_NOTHING);
}

/**
 * pcn_change_lock_brk - begin to move the end of the heap
 * @mm:		the current task's address space
 * @brk:	where it is to be
 *
 * Context: process, with no lock held; sleeps, killably.
 * Return: as pcn_change_lock_shared().
 */
int pcn_change_lock_brk(struct mm_struct *mm, unsigned long brk)
{
	unsigned long from = PAGE_ALIGN(brk), to;
	bool shared;
	int err;

	for (;;) {
		to = PAGE_ALIGN(READ_ONCE(mm->brk));
		shared = READ_ONCE(mm->popcorn);
		err = shared ? lock_heap(mm, from, to) : pcn_mmap_lock(mm, 0);
		if (err || !READ_ONCE(mm->popcorn) ||
		    (shared && to == PAGE_ALIGN(mm->brk)))
			return err;
		/* It has become shared meanwhile, or the end was moved. */
		mmap_write_unlock(mm);
		pcn_change_end(mm, true);
	}
}

/**
 * pcn_change_lock_mremap - begin to move or resize a mapping
 * @mm:		the current task's address space
 * @addr:	first address
 * @old_len:	bytes, now
 * @new_len:	bytes, then
 * @flags:	MREMAP_*
 * @new_addr:	with MREMAP_FIXED: where it is to be
 *
 * Context: process, with no lock held; sleeps, killably.
 * Return: as pcn_change_lock_shared().
 */
int pcn_change_lock_mremap(struct mm_struct *mm, unsigned long addr,
			   unsigned long old_len, unsigned long new_len,
			   unsigned long flags, unsigned long new_addr)
{
	unsigned long length = max(old_len, new_len), start = addr;

	if (flags & MREMAP_FIXED) {
		start = min(addr, new_addr);
		length += max(addr, new_addr) - start;
	}
	/* Linux removes what is at the new place before it looks at the old one. */
	if (max(old_len, new_len) > TASK_SIZE_MAX || length > TASK_SIZE_MAX ||
	    start >= TASK_SIZE_MAX || length > TASK_SIZE_MAX - start) {
		start = 0;
		length = TASK_SIZE_MAX;
	}
	return pcn_change_lock(mm, start, length, PCN_CHANGE_VMAS | PCN_CHANGE_KEEP);
}

/**
 * pcn_change_of_advice - what madvise(2) changes
 * @behavior:	MADV_*
 * @write:	it takes mmap_lock to write
 *
 * Advice that only lets Linux do something later, as MADV_FREE, is not taken for pages of
 * other kernels: what is in them stays, as it may. What removes pages of a file is seen
 * where that is truncated.
 *
 * Context: any.
 * Return: PCN_CHANGE_*.
 */
unsigned int pcn_change_of_advice(int behavior, bool write)
{
	unsigned int lock = write ? 0 : PCN_CHANGE_READ;

	switch (behavior) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
		return lock;
	default:
		return lock | PCN_CHANGE_NOTHING;
	}
}

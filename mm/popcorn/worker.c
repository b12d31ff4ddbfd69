// SPDX-License-Identifier: GPL-2.0
/*
 * The worker: goes on with records that have had to wait.
 *
 * Work that a handler, or the end of an access, cannot do at once waits in the record's
 * backlog for its *turn*. The worker takes the turns in the order of their times. It is a
 * thread of real-time priority that waits for nothing else. There is one timer for all
 * records, and a record without a backlog costs nothing.
 *
 * Work that has to wait goes to a work item, made when it is needed: pages that are slow
 * to come, as from a file server, hold up nothing else.
 *
 * A page is *stuck* while others refer to it. The worker looks at its record again after
 * a quarter of the time that this has lasted; no thread waits meanwhile. After
 * STUCK_LIMIT the page stays where it is (adopt.c); sooner if the page before or behind
 * it stays, since buffers have many pages. If the space ends first, the worker drops
 * the record: the other users of the page may be files that are closed after the
 * address space has gone.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/errno.h>
#include <linux/hrtimer.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "internal.h"
#include "map.h"

/* Give up to take a stuck page away after this time, jiffies. */
#define STUCK_LIMIT		HZ
#define STUCK_LIMIT_NEXT	(HZ / 64)

/**
 * struct slow - a turn that may sleep
 * @work:	in the queue of such
 * @r:		the record, with a reference
 */
struct slow {
	struct work_struct	work;
	struct pcn_record	*r;
};

/* A work item would wait until threads that compute let it run. */
static struct task_struct *worker __ro_after_init;
static struct workqueue_struct *slow_wq __ro_after_init;

/* Backlogs whose turn has come, and those whose turn comes later, by time. */
static LIST_HEAD(turns_now);
static LIST_HEAD(turns_later);
static DEFINE_SPINLOCK(turns_lock);
/* For the first of those. */
static struct hrtimer turns_timer;

/* --- lists --- */

static enum hrtimer_restart wake_worker(struct hrtimer *timer)
{
	wake_up_process(worker);
	return HRTIMER_NORESTART;
}

/* Most often it comes behind all others. */
static void insert_later(struct pcn_backlog *b)
{
	struct pcn_backlog *pos;

	lockdep_assert_held(&turns_lock);
	list_for_each_entry_reverse(pos, &turns_later, turn)
		if (pos->due <= b->due)
			break;
	list_add(&b->turn, &pos->turn);
	if (list_is_first(&b->turn, &turns_later))
		hrtimer_start(&turns_timer, ns_to_ktime(b->due), HRTIMER_MODE_ABS);
}

static void set_turn(struct pcn_backlog *b, u64 due)
{
	lockdep_assert_held(&turns_lock);
	if (list_empty(&b->turn))
		refcount_inc(&b->r->refs);
	else if (b->due <= due)
		return;
	list_del_init(&b->turn);
	b->due = due;
	if (due) {
		insert_later(b);
	} else {
		list_add_tail(&b->turn, &turns_now);
		wake_up_process(worker);
	}
}

/**
 * pcn_record_kick - have the worker go on with a record
 * @r:		the record, with a backlog
 * @due:	when, ktime_get_ns(); 0: at once
 *
 * The earliest time counts that has been asked for.
 *
 * Context: the record's lock is held.
 */
void pcn_record_kick(struct pcn_record *r, u64 due)
{
	lockdep_assert_held(&r->lock);
	if (WARN_ON_ONCE(!r->backlog))
		return;
	spin_lock(&turns_lock);
	/* With the lock: the end of the space takes it afterwards, to cancel all. */
	if (!READ_ONCE(r->space->ending) && !r->dropped)
		set_turn(r->backlog, due);
	spin_unlock(&turns_lock);
}

/**
 * pcn_record_cancel - do not go on with a record
 * @r:	the record, with a reference of the caller's
 *
 * Context: the record's lock is held.
 */
void pcn_record_cancel(struct pcn_record *r)
{
	struct pcn_backlog *b = r->backlog;

	lockdep_assert_held(&r->lock);
	if (!b)
		return;
	spin_lock(&turns_lock);
	if (!list_empty(&b->turn)) {
		list_del_init(&b->turn);
		refcount_dec(&r->refs);
	}
	spin_unlock(&turns_lock);
}

/**
 * pcn_record_adopt_soon - what was in the way of an adoption has gone, perhaps
 * @r:	the record
 *
 * Context: process, with no lock of a record held.
 */
void pcn_record_adopt_soon(struct pcn_record *r)
{
	if (!pcn_record_wants_adopter(r))
		return;
	spin_lock(&r->lock);
	if (r->plain && r->backlog)
		pcn_record_kick(r, 0);
	spin_unlock(&r->lock);
}

/* With the list's reference, or NULL. */
static struct pcn_record *next_turn(void)
{
	struct pcn_record *r = NULL;
	struct pcn_backlog *b;

	spin_lock(&turns_lock);
	b = list_first_entry_or_null(&turns_now, struct pcn_backlog, turn) ?:
	    list_first_entry_or_null(&turns_later, struct pcn_backlog, turn);
	if (b && b->due <= ktime_get_ns()) {
		list_del_init(&b->turn);
		r = b->r;
	} else if (b) {
		hrtimer_start(&turns_timer, ns_to_ktime(b->due), HRTIMER_MODE_ABS);
	}
	spin_unlock(&turns_lock);
	return r;
}

/* --- stuck pages --- */

/**
 * pcn_space_ends - is it pointless to go on with a page?
 * @s:	its space
 *
 * Context: any.
 */
bool pcn_space_ends(const struct pcn_space *s)
{
	return READ_ONCE(s->broken) || READ_ONCE(s->ending) ||
	       (s->mm && !atomic_read(&s->mm->mm_users));
}

/* Jiffies since the page has been stuck, 0: it is not. */
static unsigned long stuck_for(struct pcn_record *r)
{
	struct pcn_backlog *b;
	long time = 0;

	spin_lock(&r->lock);
	b = r->backlog;
	/* It begins at an odd number. */
	if (b && b->stuck_since)
		time = max_t(long, jiffies - b->stuck_since, 1);
	spin_unlock(&r->lock);
	return time;
}

/**
 * pcn_record_is_stuck - is a page stuck, since others refer to it?
 * @r:	the record
 *
 * Context: process, with the record's lock not held.
 */
bool pcn_record_is_stuck(struct pcn_record *r)
{
	return stuck_for(r);
}

static bool is_origin_only(struct pcn_space *s, u64 page)
{
	return mtree_load(&s->origin_only, page << PAGE_SHIFT);
}

/**
 * pcn_record_stuck_for_long - have others referred to a page for too long?
 * @r:	the record
 *
 * Context: process, at the origin, with the record's lock not held.
 */
bool pcn_record_stuck_for_long(struct pcn_record *r)
{
	unsigned long limit = STUCK_LIMIT, time = stuck_for(r);

	if (!time)
		return false;
	if (is_origin_only(r->space, r->page + 1) ||
	    (r->page && is_origin_only(r->space, r->page - 1)))
		limit = STUCK_LIMIT_NEXT;
	return time >= limit;
}

/**
 * pcn_record_stuck_again - others refer to a page: when is it to be looked at again?
 * @r:	the record
 *
 * Context: the record's lock is held.
 * Return: ktime_get_ns() then; 0: not at all, as the space ends.
 */
u64 pcn_record_stuck_again(struct pcn_record *r)
{
	struct pcn_backlog *b = r->backlog;
	unsigned long ticks = 1;

	lockdep_assert_held(&r->lock);
	/*
	 * Not when the process has no thread any more: KSM may wait for the page, with
	 * mmap_lock, and the end of the process for KSM.
	 */
	if (READ_ONCE(r->space->broken) || READ_ONCE(r->space->ending))
		return 0;
	if (b && !b->stuck_since) {
		b->stuck_since = jiffies | 1;
		atomic64_inc(&r->space->stats.stuck);
	} else if (b) {
		ticks = max_t(long, (long)(jiffies - b->stuck_since) / 4, 1);
	}
	return ktime_get_ns() + ticks * TICK_NSEC;
}

/* --- turns --- */

/* A writer that waits for mmap_lock may wait for this very record. */
static void worker_go_on(struct pcn_record *r, struct page **dummy)
{
	struct pcn_context *c = pcn_context_get(r->space);
	struct mm_struct *mm = r->space->mm;

	c->locked = mm && mmap_read_trylock(mm);
	c->retry_ns = TICK_NSEC;
	c->dummy = dummy;
	spin_lock(&r->lock);
	/* An adopter, or what is in its way, kicks the record afterwards. */
	if (!r->adopter && !r->plain)
		pcn_record_resume(r, c);
	spin_unlock(&r->lock);
	if (c->locked)
		mmap_read_unlock(mm);
	c->dummy = NULL;
	pcn_context_put(c);
}

/* Another one may be needed from now on. */
static void begin_slow(struct pcn_record *r)
{
	spin_lock(&r->lock);
	if (r->backlog)
		r->backlog->slow = false;
	spin_unlock(&r->lock);
}

/* It waits for mmap_lock only to adopt the page. */
static void run_slow(struct work_struct *work)
{
	struct slow *slow = container_of(work, struct slow, work);
	struct pcn_record *r = slow->r;
	struct page *dummy;

	kfree(slow);
	begin_slow(r);
	if (!pcn_record_wants_adopter(r) || pcn_page_adopt(r)) {
		dummy = pcn_page_dummy(r);
		worker_go_on(r, &dummy);
		if (dummy)
			put_page(dummy);
	}
	pcn_record_put(r);
}

/* One at a time is enough. */
static bool needs_slow(struct pcn_record *r)
{
	bool needs;

	spin_lock(&r->lock);
	needs = r->backlog && !r->backlog->slow;
	if (needs)
		r->backlog->slow = true;
	spin_unlock(&r->lock);
	return needs;
}

static void try_again(struct pcn_record *r)
{
	spin_lock(&r->lock);
	if (r->backlog) {
		r->backlog->slow = false;
		pcn_record_kick(r, ktime_get_ns() + TICK_NSEC);
	}
	spin_unlock(&r->lock);
}

static void leave_to_work_item(struct pcn_record *r)
{
	struct slow *slow;

	if (!needs_slow(r))
		return;
	slow = kmalloc(sizeof(*slow), GFP_NOWAIT | __GFP_NOWARN);
	if (!slow)
		return try_again(r);
	INIT_WORK(&slow->work, run_slow);
	slow->r = r;
	refcount_inc(&r->refs);
	queue_work(slow_wq, &slow->work);
}

static void take_turn(struct pcn_record *r)
{
	if (pcn_page_adopt_at_once(r, false) && !pcn_record_is_stuck(r))
		worker_go_on(r, NULL);
	else
		leave_to_work_item(r);
}

static bool has_turn(void)
{
	struct pcn_backlog *b;
	bool has;

	spin_lock(&turns_lock);
	b = list_first_entry_or_null(&turns_later, struct pcn_backlog, turn);
	has = !list_empty(&turns_now) || (b && b->due <= ktime_get_ns());
	spin_unlock(&turns_lock);
	return has;
}

static void sleep_until_turn(void)
{
	set_current_state(TASK_IDLE);
	/* An addition to the lists, or the timer, wakes the thread afterwards. */
	if (!has_turn())
		schedule();
	__set_current_state(TASK_RUNNING);
}

static int worker_thread_fn(void *unused)
{
	struct pcn_record *r;

	while (!kthread_should_stop()) {
		r = next_turn();
		if (!r) {
			sleep_until_turn();
			continue;
		}
		take_turn(r);
		pcn_record_put(r);
		cond_resched();
	}
	return 0;
}

/**
 * pcn_worker_init - start what goes on with records
 *
 * Context: initcall.
 * Return: 0 or -ENOMEM.
 */
int __init pcn_worker_init(void)
{
	/* Others wait for what it does, on other kernels, too. */
	slow_wq = alloc_workqueue("popcorn_records", WQ_UNBOUND | WQ_HIGHPRI,
				  WQ_MAX_ACTIVE);
	if (!slow_wq)
		return -ENOMEM;
	hrtimer_init(&turns_timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	turns_timer.function = wake_worker;
	worker = kthread_run(worker_thread_fn, NULL, "popcorn_pages");
	if (IS_ERR(worker))
		return PTR_ERR(worker);
	/* Likewise. */
	sched_set_fifo_low(worker);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Who goes on with records.
 *
 * What a handler, or the end of an access, cannot do at once is left to the worker, a
 * thread of real-time priority that waits for nothing but memory, and what it would have
 * to wait for to a work item of the record. Work items have a queue of their own: pages
 * that are slow to come, as from a server of files, hold up nothing else.
 *
 * A record whose page is *stuck*, as others refer to it, is looked at again after a
 * quarter of the time that this has lasted. Nobody waits meanwhile. After
 * STUCK_LIMIT the page stays where it is (adopt.c); sooner if the one before or behind
 * it does, as buffers have many pages. If the space ends before, its
 * record is looked at no more: nobody is interested, and those that refer to the page may
 * be the files that are closed after the address space has gone.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "internal.h"
#include "map.h"

/* For so long, in jiffies, it is tried to take a page away from those that refer to it. */
#define STUCK_LIMIT		HZ
#define STUCK_LIMIT_NEXT	(HZ / 64)

/* A work item would wait until threads that compute let it run. */
static struct kthread_worker *worker __ro_after_init;
static struct workqueue_struct *records __ro_after_init;

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

/* Jiffies since the page could not be had for the first time. */
static unsigned long stuck_for(const struct pcn_record *r)
{
	long time = jiffies - READ_ONCE(r->stuck_since);

	/* It begins at an odd number. */
	return max(time, 0L);
}

static bool is_home_only(struct pcn_space *s, u64 page)
{
	return mtree_load(&s->home_only, page << PAGE_SHIFT);
}

/**
 * pcn_stuck_for_long - have others referred to a page for too long?
 * @r:	the record
 *
 * Context: process, at the origin.
 */
bool pcn_stuck_for_long(const struct pcn_record *r)
{
	unsigned long limit = STUCK_LIMIT;

	if (!READ_ONCE(r->stuck_since))
		return false;
	if (is_home_only(r->space, r->page + 1) ||
	    (r->page && is_home_only(r->space, r->page - 1)))
		limit = STUCK_LIMIT_NEXT;
	return stuck_for(r) >= limit;
}

/* The caller has a reference, and one that was not needed is not the last. */
static void kick_later(struct pcn_record *r, unsigned long delay)
{
	if (READ_ONCE(r->space->ending))
		return;
	refcount_inc(&r->refs);
	if (!queue_delayed_work(records, &r->work, delay))
		refcount_dec(&r->refs);
}

/**
 * pcn_note_stuck - others refer to a page that is to be had: it is looked at again
 * @r:	the record
 *
 * Context: the record's lock is held.
 */
void pcn_note_stuck(struct pcn_record *r)
{
	lockdep_assert_held(&r->lock);
	if (!r->stuck_since) {
		WRITE_ONCE(r->stuck_since, jiffies | 1);
		atomic64_inc(&r->space->stats.stuck);
	}
	if (!pcn_space_ends(r->space))
		kick_later(r, max(stuck_for(r) / 4, 1UL));
}

/* A writer that waits for mmap_lock may wait for this very record. */
static void go_on(struct pcn_record *r, struct page **dummy)
{
	struct pcn_context *c = pcn_context_get(r->space);

	c->locked = mmap_read_trylock(r->space->mm);
	c->delay = 1;
	c->dummy = dummy;
	spin_lock(&r->lock);
	pcn_stop_lingering(r);
	/* An adopter, or what is in its way, kicks the record afterwards. */
	if (!r->adopter && !r->plain)
		pcn_resume(r, c);
	spin_unlock(&r->lock);
	if (c->locked)
		mmap_read_unlock(r->space->mm);
	c->dummy = NULL;
	pcn_context_put(c);
}

/**
 * pcn_record_work - go on with a record, though somebody has to be waited for
 * @work:	the record's
 *
 * Context: work item. It waits for mmap_lock only to adopt the page.
 */
void pcn_record_work(struct work_struct *work)
{
	struct pcn_record *r = container_of(to_delayed_work(work),
					    struct pcn_record, work);
	struct page *dummy;

	if (!pcn_wants_adopter(r) || pcn_adopt(r)) {
		dummy = pcn_dummy_for(r);
		go_on(r, &dummy);
		if (dummy)
			put_page(dummy);
	}
	pcn_record_put(r);
}

/**
 * pcn_record_run - go on with a record where a handler could not
 * @work:	the record's
 *
 * Context: the thread of all records, which waits for nothing but memory.
 */
void pcn_record_run(struct kthread_work *work)
{
	struct pcn_record *r = container_of(work, struct pcn_record, run);

	if (pcn_adopt_at_once(r, false))
		go_on(r, NULL);
	else
		kick_later(r, 0);
	pcn_record_put(r);
}

/**
 * pcn_record_kick - have somebody go on with a record
 * @r:		the record
 * @delay:	after so many jiffies
 *
 * Context: any.
 */
void pcn_record_kick(struct pcn_record *r, unsigned long delay)
{
	if (delay)
		return kick_later(r, delay);
	if (READ_ONCE(r->space->ending))
		return;
	refcount_inc(&r->refs);
	if (!kthread_queue_work(worker, &r->run))
		refcount_dec(&r->refs);
}

static void cancel_run(struct pcn_record *r)
{
	if (kthread_cancel_work_sync(&r->run))
		pcn_record_put(r);
}

/**
 * pcn_record_cancel - do not go on with a record
 * @r:	the record, of a space that is ending, and no timer of it runs
 *
 * What began before the space was ending may still ask for more, each of the two for
 * the other one; what begins later does not.
 *
 * Context: process; waits for what runs just now.
 */
void pcn_record_cancel(struct pcn_record *r)
{
	cancel_run(r);
	if (cancel_delayed_work_sync(&r->work))
		pcn_record_put(r);
	cancel_run(r);
}

/**
 * pcn_map_init - start what goes on with records
 *
 * Context: initcall.
 * Return: 0 or -ENOMEM.
 */
int __init pcn_map_init(void)
{
	/* Others wait for what it does, on other kernels, too. */
	records = alloc_workqueue("popcorn_records", WQ_UNBOUND | WQ_HIGHPRI,
				  WQ_MAX_ACTIVE);
	if (!records)
		return -ENOMEM;
	worker = kthread_create_worker(0, "popcorn_pages");
	if (IS_ERR(worker))
		return PTR_ERR(worker);
	/* Likewise. */
	sched_set_fifo_low(worker->task);
	return 0;
}

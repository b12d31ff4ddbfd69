// SPDX-License-Identifier: GPL-2.0
/*
 * Accesses: a thread wants a page, waits until it has it, and lets it go.
 *
 * A page fault is an access (fault.c). So is the use of a page of kernel memory between
 * pcn_access_begin() and pcn_access_end().
 */
#include <linux/errno.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "internal.h"

/* For how long a thread looks for its page by itself. */
static struct pcn_linger page_linger;

/* Contexts that nobody needs now: an access takes one, and gives it back. */
#define POOL_MAX	64

static LIST_HEAD(pool);
static unsigned int pool_count;
static DEFINE_SPINLOCK(pool_lock);

static struct pcn_context *from_pool(void)
{
	struct pcn_context *c;

	spin_lock(&pool_lock);
	c = list_first_entry_or_null(&pool, struct pcn_context, node);
	if (c) {
		list_del(&c->node);
		pool_count--;
	}
	spin_unlock(&pool_lock);
	return c;
}

/* For the rest of a step, and another one. */
static unsigned int full_reserve(const struct pcn_space *s)
{
	return 2 * PCN_SENDS(s->group.count);
}

/* What steps have used up is replaced. It is little, so there will be some. */
static void context_refill(struct pcn_context *c, struct pcn_space *s)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NOFAIL;

	pcn_reserve_fill(&c->reserve, full_reserve(s), gfp);
	if (!c->spare)
		c->spare = kzalloc(sizeof(*c->spare), gfp);
}

/**
 * pcn_context_get - get what a step may need
 * @s:	the space
 *
 * Context: process; sleeps for memory.
 * Return: the context, to be given to pcn_context_put().
 */
struct pcn_context *pcn_context_get(struct pcn_space *s)
{
	struct pcn_context *c = from_pool();

	if (!c)
		c = kzalloc(sizeof(*c), GFP_KERNEL | __GFP_NOFAIL);
	context_refill(c, s);
	return c;
}

/**
 * pcn_context_put - give back a context from pcn_context_get()
 * @c:	the context
 *
 * Context: process.
 */
void pcn_context_put(struct pcn_context *c)
{
	bool pooled;

	c->locked = false;
	c->retry_ns = 0;
	c->again = 0;
	c->until = 0;
	spin_lock(&pool_lock);
	pooled = pool_count < POOL_MAX;
	if (pooled) {
		list_add(&c->node, &pool);
		pool_count++;
	}
	spin_unlock(&pool_lock);
	if (pooled)
		return;
	pcn_reserve_empty(&c->reserve);
	kfree(c->spare);
	kfree(c);
}

/**
 * pcn_access_may_enter - may the caller use the page now?
 * @r:		the record
 * @write:	to write it
 * @hurry:	the caller has mmap_lock, and must not wait for threads that may need it
 *
 * A thread may that has been granted the page, or any that the protocol lets. One in a
 * hurry goes ahead of events that are held, as long as the page is here: they wait
 * for one access more.
 *
 * Context: the record's lock is held.
 */
bool pcn_access_may_enter(struct pcn_record *r, bool write, bool hurry)
{
	if (r->granted && r->poster == current) {
		r->granted = false;
		r->poster = NULL;
		pcn_record_changed(r);
		return true;
	}
	if ((pcn_record_is_held(r) || r->granted) && !hurry)
		return false;
	/* One that is absent is used elsewhere: see use_at_origin(). */
	return r->plain || r->absent || r->may >= (write ? PCN_MAP_RDWR : PCN_MAP_RDONLY);
}

/**
 * struct change - what a thread waits for
 * @r:		the record
 * @seen:	its @changes so far
 */
struct change {
	const struct pcn_record	*r;
	unsigned int		seen;
};

static bool access_has_come(const void *arg)
{
	const struct change *change = arg;

	return READ_ONCE(change->r->changes) != change->seen ||
	       READ_ONCE(change->r->space->broken);
}

/* Of a task that nobody kills. */
static int wait_until(struct pcn_record *r, const struct change *change, u64 until)
{
	u64 now = ktime_get_ns();

	if (now >= until ||
	    !wait_var_event_timeout(r, access_has_come(change),
				    nsecs_to_jiffies(until - now) + 1))
		return -ETIMEDOUT;
	return 0;
}

static int wait_for_change(struct pcn_record *r, const struct pcn_context *c)
	__must_hold(&r->lock)
{
	struct change change = { .r = r, .seen = r->changes };
	u64 since;
	int err;

	spin_unlock(&r->lock);
	since = ktime_get_ns();
	pcn_msg_poll_until(&page_linger, access_has_come, &change);
	err = c->until ? wait_until(r, &change, c->until) :
			 wait_var_event_killable(r, access_has_come(&change));
	pcn_linger_learn(&page_linger, ktime_get_ns() - since);
	spin_lock(&r->lock);
	if (READ_ONCE(r->space->broken))
		return -EINTR;
	return err == -ETIMEDOUT ? err : err ? -EINTR : 0;
}

/**
 * struct patience - a page is left to somebody
 * @change:	as long as nothing changes here
 * @until:	and for so long at most, ktime_get_ns()
 */
struct patience {
	struct change	change;
	u64		until;
};

static bool access_is_over(const void *arg)
{
	const struct patience *p = arg;

	return ktime_get_ns() >= p->until || access_has_come(&p->change);
}

/* One thread waits, for all of this kernel. */
static void let_use(struct pcn_record *r)
	__must_hold(&r->lock)
{
	static const struct pcn_linger enough = { .ns = NSEC_PER_SEC };
	struct patience p = { .change = { .r = r, .seen = r->changes } };

	lockdep_assert_held(&r->lock);
	if (pcn_hold_leave(&r->hold, ktime_get_ns(), &p.until)) {
		spin_unlock(&r->lock);
		pcn_msg_poll_until(&enough, access_is_over, &p);
		spin_lock(&r->lock);
	}
	if (pcn_hold_leave_end(&r->hold, ktime_get_ns(), p.until))
		pcn_record_changed(r);
}

/* What an earlier attempt has used up. */
static void context_refill_unlocked(struct pcn_record *r, struct pcn_context *c)
	__must_hold(&r->lock)
{
	spin_unlock(&r->lock);
	context_refill(c, r->space);
	spin_lock(&r->lock);
}

/**
 * pcn_access_enter - begin an access, waiting until it can be
 * @r:		the record; there is a frame
 * @write:	to write the page
 * @c:		has a reserve and a spare; @locked if mmap_lock is held all the time,
 *		@until if it is not to take longer
 *
 * Context: process; sleeps, killably. The record's lock is held, except while it
 * waits.
 * Return: 0: the page is as it should be until pcn_access_leave(); -EINTR a fatal signal,
 * or the space is broken; -EIO the content of the page is lost; -ETIMEDOUT.
 */
int pcn_access_enter(struct pcn_record *r, bool write, struct pcn_context *c)
{
	int err = 0;

	while (!err && !pcn_access_may_enter(r, write, c->locked)) {
		if (r->lost)
			err = -EIO;
		else if (r->pending || pcn_record_is_held(r) || r->granted ||
			 r->hold.leaving)
			err = wait_for_change(r, c);
		else if (!c->spare || c->reserve.count < full_reserve(r->space))
			context_refill_unlocked(r, c);
		else if (r->hold.gone)
			let_use(r);
		else
			pcn_record_post_access(r, write, c);
	}
	if (!err) {
		r->active++;
		return 0;
	}
	if (r->poster == current) {
		r->poster = NULL;
		r->granted = false;
		pcn_record_resume(r, c);
	}
	return err;
}

/**
 * pcn_access_leave - an access is over
 * @r:	the record
 *
 * Context: process; may sleep for memory.
 */
void pcn_access_leave(struct pcn_record *r)
{
	struct pcn_context *c = NULL;

	spin_lock(&r->lock);
	if (pcn_record_is_held(r) && r->active == 1) {
		spin_unlock(&r->lock);
		c = pcn_context_get(r->space);
		spin_lock(&r->lock);
	}
	r->active--;
	/* Nothing is held that was not before: this access would have had to. */
	if (c)
		pcn_record_resume(r, c);
	spin_unlock(&r->lock);
	if (c)
		pcn_context_put(c);
}

/**
 * pcn_access_leave_mapped - an access is over, but the thread has still to use the page
 * @r:	the record
 * @ns:	what pcn_space_ops.hold_ns() gives for the thread, see pcn_hold_begin()
 *
 * An instruction may need several pages at once, and threads of all kernels may want
 * them: none would make progress if each page was taken away as soon as it is mapped.
 *
 * Context: process; may sleep for memory.
 */
void pcn_access_leave_mapped(struct pcn_record *r, u64 ns)
{
	spin_lock(&r->lock);
	pcn_hold_begin(&r->hold, ktime_get_ns(), ns, &r->space->group);
	spin_unlock(&r->lock);
	pcn_access_leave(r);
}

/* Kernel memory is there as long as the space is. */
static int provide_frame(struct pcn_record *r)
{
	struct page *page;

	if (READ_ONCE(r->frame))
		return 0;
	page = alloc_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	spin_lock(&r->lock);
	if (!r->frame) {
		pcn_record_set_frame(r, page);
		page = NULL;
	}
	spin_unlock(&r->lock);
	if (page)
		put_page(page);
	return 0;
}

static int access_miss(struct pcn_record *r, bool write)
{
	struct pcn_context *c;
	u64 since;
	int err;

	pcn_count_fault(r->space, write, false, false);
	since = pcn_wait_begin(r->space, r->page, write);
	c = pcn_context_get(r->space);
	spin_lock(&r->lock);
	err = pcn_access_enter(r, write, c);
	spin_unlock(&r->lock);
	pcn_context_put(c);
	pcn_wait_end(r->space, r->page, write, since, !err);
	return err;
}

/**
 * pcn_access_begin - use a page of kernel memory
 * @access:	describes the use
 * @s:		the space, not one of an address space
 * @page:	number of the page
 * @write:	to write it, not only to read it
 *
 * Until pcn_access_end() no other kernel writes the page, nor reads it if @write, but other
 * threads of this one may: let that not take long, and use no other page meanwhile.
 *
 * Context: process; sleeps, killably.
 * Return: 0; -ENOMEM; -EINTR a fatal signal; -EIO the content of the page is lost.
 */
int pcn_access_begin(struct pcn_access *access, struct pcn_space *s, u64 page,
		     bool write)
{
	struct pcn_record *r = pcn_record_get(s, page);
	int err;

	if (IS_ERR(r))
		return PTR_ERR(r);
	err = provide_frame(r);
	if (err)
		goto out;
	spin_lock(&r->lock);
	if (pcn_access_may_enter(r, write, false)) {
		r->active++;
		pcn_count_fault(s, write, true, false);
		spin_unlock(&r->lock);
	} else {
		spin_unlock(&r->lock);
		err = access_miss(r, write);
	}
out:
	if (err) {
		pcn_record_put(r);
		return err;
	}
	*access = (struct pcn_access) {
		.data = page_address(r->frame), .record = r,
	};
	return 0;
}

/**
 * pcn_access_end - the use of a page is over
 * @access:	as pcn_access_begin() has filled it in
 *
 * Context: process; may sleep for memory.
 */
void pcn_access_end(struct pcn_access *access)
{
	pcn_access_leave(access->record);
	pcn_record_put(access->record);
}

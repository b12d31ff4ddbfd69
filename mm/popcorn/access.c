// SPDX-License-Identifier: GPL-2.0
/*
 * Accesses: a thread wants a page, waits until it has it, and lets it go.
 *
 * Page faults are such accesses (fault.c), and so is whoever uses pages of kernel
 * memory between pcn_access_begin() and pcn_access_end().
 */
#include <linux/errno.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "internal.h"

/*
 * A thread that gets a page has used it after a while: it is not asked for earlier by
 * the kernel that it comes from. How long it takes depends on whether the thread has to
 * be woken up, and what that costs: it is learnt, within these limits, from what comes
 * with the page (pcn_learn_use()); at most as long as a page stays that has not been used
 * (map.c). And so long it takes until it is first looked whether
 * a page that somebody wants has been used.
 */
#define USE_NS		(20 * NSEC_PER_USEC)
#define USE_MAX_NS	(1000 * NSEC_PER_USEC)
/* It shrinks by such a part each time. */
#define USE_SHRINK	8

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
static void refill(struct pcn_context *c, struct pcn_space *s)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NOFAIL;

	pcn_reserve_fill(&c->reserve, full_reserve(s), gfp);
	if (!c->spare)
		c->spare = kmalloc(sizeof(*c->spare), gfp);
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
	refill(c, s);
	return c;
}

/**
 * pcn_context_put - give back what pcn_context_get() has got
 * @c:	the context
 *
 * Context: process.
 */
void pcn_context_put(struct pcn_context *c)
{
	bool pooled;

	c->locked = false;
	c->delay = 0;
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
 * pcn_may_enter - may the caller use the page now?
 * @r:		the record
 * @write:	to write it
 * @hurry:	the caller has mmap_lock, and must not wait for who may need it
 *
 * Whoever was granted it may, or anybody whom the protocol lets. One who is in a
 * hurry goes ahead of events that are held, as long as the page is here: they wait
 * for one access more.
 *
 * Context: the record's lock is held.
 */
bool pcn_may_enter(struct pcn_record *r, bool write, bool hurry)
{
	if (r->granted && r->poster == current) {
		r->granted = false;
		r->poster = NULL;
		pcn_changed(r);
		return true;
	}
	if ((r->holding || r->granted) && !hurry)
		return false;
	/* One that is absent is used elsewhere: see use_at_home(). */
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

static bool has_come(const void *arg)
{
	const struct change *change = arg;

	return READ_ONCE(change->r->changes) != change->seen ||
	       READ_ONCE(change->r->space->broken);
}

static int wait_for_change(struct pcn_record *r)
	__must_hold(&r->lock)
{
	struct change change = { .r = r, .seen = r->changes };
	u64 since;
	int err;

	spin_unlock(&r->lock);
	since = ktime_get_ns();
	pcn_msg_look(&page_linger, has_come, &change);
	err = wait_event_killable(r->wait, has_come(&change));
	pcn_msg_waited(&page_linger, ktime_get_ns() - since);
	spin_lock(&r->lock);
	return err || READ_ONCE(r->space->broken) ? -EINTR : 0;
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

static bool is_over(const void *arg)
{
	const struct patience *p = arg;

	return ktime_get_ns() >= p->until || has_come(&p->change);
}

/*
 * The page has just gone from here, to somebody who is about to use it. Asked for it
 * before that, its kernel would have to wait, by a timer; to wait here costs less. One
 * thread does, for all of this kernel.
 */
static void let_use(struct pcn_record *r)
	__must_hold(&r->lock)
{
	static const struct pcn_linger enough = { .ns = 2 * USE_MAX_NS };
	struct patience p = {
		.change = { .r = r, .seen = r->changes },
		.until = r->gone_at + max_t(u32, r->use_ns, USE_NS),
	};

	r->gone_at = 0;
	if (!is_over(&p)) {
		r->leaving = true;
		spin_unlock(&r->lock);
		pcn_msg_look(&enough, is_over, &p);
		spin_lock(&r->lock);
		r->leaving = false;
		pcn_changed(r);
	}
	r->left_to = ktime_get_ns() >= p.until ? r->taker : PCN_NOBODY;
}

/* What an earlier attempt has used up. */
static void refill_unlocked(struct pcn_record *r, struct pcn_context *c)
	__must_hold(&r->lock)
{
	spin_unlock(&r->lock);
	refill(c, r->space);
	spin_lock(&r->lock);
}

/**
 * pcn_enter - begin an access, waiting until it can be
 * @r:		the record; there is a frame
 * @write:	to write the page
 * @c:		has a reserve and a spare; @locked if mmap_lock is held all the time
 *
 * Context: process; sleeps, killably. The record's lock is held, except while it
 * waits.
 * Return: 0: the page is as it should be until pcn_leave(); -EINTR a fatal signal,
 * or the space is broken; -EIO the content of the page is lost.
 */
int pcn_enter(struct pcn_record *r, bool write, struct pcn_context *c)
{
	int err = 0;

	while (!err && !pcn_may_enter(r, write, c->locked)) {
		if (r->lost)
			err = -EIO;
		else if (r->pending || r->holding || r->granted || r->leaving)
			err = wait_for_change(r);
		else if (!c->spare || c->reserve.count < full_reserve(r->space))
			refill_unlocked(r, c);
		else if (r->gone_at)
			let_use(r);
		else
			pcn_post_access(r, write, c);
	}
	if (!err) {
		r->active++;
		return 0;
	}
	if (r->poster == current) {
		r->poster = NULL;
		r->granted = false;
		pcn_resume(r, c);
	}
	return err;
}

/**
 * pcn_leave - an access is over
 * @r:	the record
 *
 * Context: process; may sleep for memory.
 */
void pcn_leave(struct pcn_record *r)
{
	struct pcn_context *c = NULL;

	spin_lock(&r->lock);
	if (r->holding && r->active == 1) {
		spin_unlock(&r->lock);
		c = pcn_context_get(r->space);
		spin_lock(&r->lock);
	}
	r->active--;
	/* Nothing is held that was not before: this access would have had to. */
	if (c)
		pcn_resume(r, c);
	spin_unlock(&r->lock);
	if (c)
		pcn_context_put(c);
}

/**
 * pcn_leave_mapped - an access is over, but the thread has still to use the page
 * @r:	the record
 * @ns:	the time that it has the page for if it needs others with it, however many
 *	want it; otherwise 0: only until it has used it
 *
 * An instruction may need several pages at once, and threads of all kernels may want
 * them: none would ever get on if each page was taken away as soon as it is mapped.
 *
 * Context: process; may sleep for memory.
 */
void pcn_leave_mapped(struct pcn_record *r, u64 ns)
{
	spin_lock(&r->lock);
	r->mapped_at = ktime_get_ns();
	r->keep_until = r->mapped_at + ns;
	r->early = false;
	spin_unlock(&r->lock);
	pcn_leave(r);
}

/**
 * pcn_forget_use - a record of a page that nobody has used yet
 * @r:	the record
 *
 * Context: the record's lock is held, or nobody else knows of the record.
 */
void pcn_forget_use(struct pcn_record *r)
{
	r->gone_at = 0;
	r->use_ns = 0;
	r->keep_until = 0;
	r->early = false;
	r->left_to = PCN_NOBODY;
	r->taker = PCN_NOBODY;
}

/**
 * pcn_learn_use - learn for how long a page is to be left to those who get it
 * @r:		the record
 * @from:	the kernel that it has come from
 * @early:	it had been asked for before it was used there
 *
 * To ask too early costs a timer, and the switch to the thread that it wakes up; to ask
 * late costs no more than the time itself. If even the longest time is too short, none
 * is any use.
 *
 * Context: the record's lock is held.
 */
void pcn_learn_use(struct pcn_record *r, u8 from, bool early)
{
	u32 ns = max_t(u32, r->use_ns, USE_NS);

	lockdep_assert_held(&r->lock);
	/* From others it comes early, or late, for other reasons. */
	if (from != r->left_to)
		return;
	r->left_to = PCN_NOBODY;
	if (!early)
		r->use_ns = max_t(u32, ns - ns / USE_SHRINK, USE_NS);
	else if (ns < USE_MAX_NS)
		r->use_ns = min_t(u32, ns * 2, USE_MAX_NS);
	else
		r->use_ns = USE_NS;
}

/**
 * pcn_linger - have a record looked at again when its page need not be kept any more
 * @r:	the record, held
 *
 * Each time it takes twice as long: whoever looks takes the CPU from the thread that
 * is to use the page.
 *
 * Context: the record's lock is held.
 */
void pcn_linger(struct pcn_record *r)
{
	u64 now = ktime_get_ns(), until = r->keep_until;

	lockdep_assert_held(&r->lock);
	r->early = true;
	if (r->lingers)
		return;
	if (now >= until)
		until = now + max3(USE_NS, (u64)r->use_ns, now - r->mapped_at);
	if (READ_ONCE(r->space->ending))
		return;
	/* The timer has a reference until the time is over. */
	refcount_inc(&r->refs);
	r->lingers = true;
	hrtimer_start(&r->linger, ns_to_ktime(until), HRTIMER_MODE_ABS);
}

/**
 * pcn_linger_over - the time is over
 * @timer:	the record's
 *
 * Context: hard interrupt.
 * Return: HRTIMER_NORESTART.
 */
enum hrtimer_restart pcn_linger_over(struct hrtimer *timer)
{
	struct pcn_record *r = container_of(timer, struct pcn_record, linger);

	WRITE_ONCE(r->lingered, true);
	pcn_record_kick(r, 0);
	return HRTIMER_NORESTART;
}

/**
 * pcn_stop_lingering - note that the time is over
 * @r:	the record
 *
 * Context: the record's lock is held; pcn_resume() follows.
 */
void pcn_stop_lingering(struct pcn_record *r)
{
	lockdep_assert_held(&r->lock);
	if (!r->lingers || !READ_ONCE(r->lingered))
		return;
	r->lingers = false;
	r->lingered = false;
	/* The timer's; the caller has one of its own. */
	refcount_dec(&r->refs);
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
		pcn_set_frame(r, page);
		page = NULL;
	}
	spin_unlock(&r->lock);
	if (page)
		put_page(page);
	return 0;
}

static int miss(struct pcn_record *r, bool write)
{
	struct pcn_context *c;
	u64 since;
	int err;

	pcn_saw_fault(r->space, write, false, false);
	since = pcn_wait_begin(r, write);
	c = pcn_context_get(r->space);
	spin_lock(&r->lock);
	err = pcn_enter(r, write, c);
	spin_unlock(&r->lock);
	pcn_context_put(c);
	pcn_wait_end(r, write, since, !err);
	return err;
}

/**
 * pcn_access_begin - use a page of kernel memory
 * @access:	describes the use
 * @s:		the space, not one of an address space
 * @page:	number of the page
 * @write:	to write it, not only to read it
 *
 * Until pcn_access_end() the page stays as it is, except for what the caller
 * writes: let that not take long, and use no other page meanwhile.
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
	if (pcn_may_enter(r, write, false)) {
		r->active++;
		pcn_saw_fault(s, write, true, false);
		spin_unlock(&r->lock);
	} else {
		spin_unlock(&r->lock);
		err = miss(r, write);
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
	pcn_leave(access->record);
	pcn_record_put(access->record);
}

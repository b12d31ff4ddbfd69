// SPDX-License-Identifier: GPL-2.0
/*
 * Records: what this kernel knows of a page.
 *
 * A record is made when a message first comes for its page or, away from the origin
 * and in kernel memory, when a thread wants it. A page that only its origin has touched
 * has none: it is Linux's, and a fault of it is entered in a list for as long as Linux
 * handles it. A record that is made meanwhile waits until the page is not in that list
 * (become_adopter() in map.c). So Linux never works on an entry that is the protocol's.
 *
 * Everything that uses a record has a reference: threads, work items, the worker,
 * handlers. The space has one as long as the record is in it. A record leaves its space
 * when its range is dropped, or with the space; the last reference frees it. Nobody has
 * to wait for a grace period.
 *
 * Records are in shards, by page: accesses to different pages seldom meet at a lock.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/errno.h>
#include <linux/hash.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "internal.h"

/* Neighbours are in one shard: a walk through a small range meets few records twice. */
#define SHARD_PAGES_SHIFT	4

static struct kmem_cache *cache __ro_after_init;

/* What there is, to see that nothing is left behind. */
static atomic_long_t records_in_use;

/**
 * pcn_records_in_use - how many records there are
 *
 * Context: any.
 * Return: their number, which may change at any time.
 */
long pcn_records_in_use(void)
{
	return atomic_long_read(&records_in_use);
}

/**
 * pcn_records_init - be ready for records
 *
 * Context: initcall.
 * Return: 0 or -ENOMEM.
 */
int __init pcn_records_init(void)
{
#ifndef CONFIG_DEBUG_SPINLOCK
	static_assert(sizeof(struct pcn_record) < 200);
#endif
	cache = KMEM_CACHE(pcn_record, 0);
	return cache ? 0 : -ENOMEM;
}

/**
 * pcn_shard_of - the shard that a page belongs to
 * @s:		the space
 * @page:	number of the page
 *
 * Context: any.
 * Return: the shard; there always is one.
 */
struct pcn_shard *pcn_shard_of(struct pcn_space *s, u64 page)
{
	return &s->shard[hash_64(page >> SHARD_PAGES_SHIFT, ilog2(PCN_SHARDS))];
}

/**
 * pcn_shards_init - make the shards of a new space
 * @s:	the space
 *
 * Context: any.
 */
void pcn_shards_init(struct pcn_space *s)
{
	struct pcn_shard *shard;

	for (shard = s->shard; shard < s->shard + PCN_SHARDS; shard++) {
		spin_lock_init(&shard->lock);
		shard->records = RB_ROOT;
		INIT_HLIST_HEAD(&shard->faults);
	}
}

/* --- one record --- */

/**
 * pcn_record_new - a record of no page yet
 * @gfp:	how to get memory
 *
 * Context: as @gfp says.
 * Return: the record, or NULL.
 */
struct pcn_record *pcn_record_new(gfp_t gfp)
{
	struct pcn_record *r = kmem_cache_zalloc(cache, gfp | __GFP_NOWARN);

	if (!r)
		return NULL;
	atomic_long_inc(&records_in_use);
	refcount_set(&r->refs, 1);
	spin_lock_init(&r->lock);
	return r;
}

/**
 * pcn_record_discard - the end of a record that has not come to be in a space
 * @r:	the record, or NULL
 *
 * Context: any.
 */
void pcn_record_discard(struct pcn_record *r)
{
	if (!r)
		return;
	atomic_long_dec(&records_in_use);
	kmem_cache_free(cache, r);
}

static void free_content(struct pcn_record *r)
{
	struct page *frame = r->frame;

	pcn_backlog_free(r);
	if (!frame)
		return;
	pcn_record_set_frame(r, NULL);
	put_page(frame);
}

static void free_record(struct pcn_record *r)
{
	free_content(r);
	pcn_record_discard(r);
}

static void init_record(struct pcn_record *r, struct pcn_space *s, u64 page)
{
	r->space = s;
	r->page = page;
	r->plain = s->mm && pcn_is_origin(s);
	pcn_hold_init(&r->hold);
	pcn_replica_init(&r->replica, &s->group);
}

/* --- finding --- */

static struct pcn_record *record_find(struct pcn_shard *shard, u64 page)
{
	struct rb_node *node = shard->records.rb_node;
	struct pcn_record *r;

	lockdep_assert_held(&shard->lock);
	while (node) {
		r = rb_entry(node, struct pcn_record, node);
		if (r->page == page)
			return r;
		node = page < r->page ? node->rb_left : node->rb_right;
	}
	return NULL;
}

static void record_insert(struct pcn_shard *shard, struct pcn_record *new)
{
	struct rb_node **link = &shard->records.rb_node, *parent = NULL;
	struct pcn_record *r;

	lockdep_assert_held(&shard->lock);
	while (*link) {
		parent = *link;
		r = rb_entry(parent, struct pcn_record, node);
		link = new->page < r->page ? &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(&new->node, parent, link);
	rb_insert_color(&new->node, &shard->records);
}

/* With a reference for the caller; NULL: there is none, and no spare. */
static struct pcn_record *get_or_insert(struct pcn_space *s, struct pcn_shard *shard,
					u64 page, struct pcn_record **spare)
{
	struct pcn_record *r = record_find(shard, page);

	if (!r && *spare) {
		r = *spare;
		*spare = NULL;
		init_record(r, s, page);
		record_insert(shard, r);
		shard->alive++;
	}
	if (r)
		refcount_inc(&r->refs);
	return r;
}

/**
 * pcn_record_find - the record of a page, for a handler
 * @s:		the space
 * @page:	number of the page
 * @spare:	becomes the record if there is none, and is then NULL
 *
 * Context: a handler that does not sleep.
 * Return: the record, to be given to pcn_record_put(); NULL if there is none and no
 * spare.
 */
struct pcn_record *pcn_record_find(struct pcn_space *s, u64 page,
				   struct pcn_record **spare)
{
	struct pcn_shard *shard = pcn_shard_of(s, page);
	struct pcn_record *r;

	spin_lock(&shard->lock);
	r = get_or_insert(s, shard, page, spare);
	spin_unlock(&shard->lock);
	return r;
}

/* For a page of this space, whose process pays for it. */
static struct pcn_record *new_charged(struct pcn_space *s)
{
	struct mem_cgroup *memcg, *old;
	struct pcn_record *r;

	if (!s->mm)
		return pcn_record_new(GFP_NOWAIT);
	memcg = get_mem_cgroup_from_mm(s->mm);
	old = set_active_memcg(memcg);
	r = pcn_record_new(GFP_NOWAIT | __GFP_ACCOUNT);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	return r;
}

/**
 * pcn_record_find_or_make - the record of a page, for a handler, which makes it
 * @s:		the space
 * @page:	number of the page
 * @spare:	becomes the record if there is no memory that the process may have, and is
 *		then NULL
 *
 * Context: a handler that does not sleep.
 * Return: the record, to be given to pcn_record_put().
 */
struct pcn_record *pcn_record_find_or_make(struct pcn_space *s, u64 page,
					   struct pcn_record **spare)
{
	struct pcn_record *none = NULL, *r = pcn_record_find(s, page, &none), *new;

	if (r)
		return r;
	new = new_charged(s);
	r = pcn_record_find(s, page, new ? &new : spare);
	pcn_record_discard(new);
	return r;
}

/**
 * pcn_record_next - the first record of a shard at or behind a page
 * @shard:	the shard
 * @page:	number of the page
 *
 * Context: the shard's lock, for as long as the record is looked at.
 * Return: the record, or NULL.
 */
struct pcn_record *pcn_record_next(struct pcn_shard *shard, u64 page)
{
	struct rb_node *node = shard->records.rb_node;
	struct pcn_record *r, *best = NULL;

	lockdep_assert_held(&shard->lock);
	while (node) {
		r = rb_entry(node, struct pcn_record, node);
		if (r->page >= page)
			best = r;
		node = r->page >= page ? node->rb_left : node->rb_right;
	}
	return best;
}

/**
 * pcn_record_next_get - the same, with a reference
 * @shard:	the shard
 * @page:	number of the page
 *
 * Context: any but hard interrupt.
 * Return: the record, to be given to pcn_record_put(), or NULL.
 */
struct pcn_record *pcn_record_next_get(struct pcn_shard *shard, u64 page)
{
	struct pcn_record *r;

	spin_lock(&shard->lock);
	r = pcn_record_next(shard, page);
	if (r)
		refcount_inc(&r->refs);
	spin_unlock(&shard->lock);
	return r;
}

/**
 * pcn_record_walk - the next record of a range
 * @s:		the space
 * @shard:	where to look first; moves on to the shard of the record
 * @page:	number of the first page to look for there
 * @first:	number of the first page of the range
 * @last:	number of the last one
 *
 * Context: any but hard interrupt.
 * Return: the record, to be given to pcn_record_put(), or NULL.
 */
struct pcn_record *pcn_record_walk(struct pcn_space *s, struct pcn_shard **shard,
				   u64 page, u64 first, u64 last)
{
	struct pcn_record *r;

	for (; *shard < s->shard + PCN_SHARDS; ++*shard, page = first) {
		r = pcn_record_next_get(*shard, page);
		if (r && r->page <= last)
			return r;
		if (r)
			pcn_record_put(r);
	}
	return NULL;
}

/* --- ranges that are shut --- */

static bool range_has(const struct pcn_range *range, u64 page)
{
	return range->on && page >= range->first && page <= range->last;
}

/* The thread that adopts a page has Linux bring it in, and is let through. */
static bool is_shut(struct pcn_shard *shard, u64 page, const struct pcn_record *r)
{
	if (r && READ_ONCE(r->adopter) == current)
		return false;
	if (r && r->torn)
		return true;
	return range_has(&shard->frozen, page) && shard->frozen.owner != current;
}

/**
 * pcn_page_is_shut - is the current task refused a page for now?
 * @s:		the space
 * @page:	number of the page
 *
 * Context: process; does not sleep, so it can be waited for.
 */
bool pcn_page_is_shut(struct pcn_space *s, u64 page)
{
	struct pcn_shard *shard = pcn_shard_of(s, page);
	struct pcn_record *r;
	bool shut;

	spin_lock(&shard->lock);
	r = record_find(shard, page);
	/* At the origin a page without a record is Linux's. */
	shut = (r || !s->mm || !pcn_is_origin(s)) && is_shut(shard, page, r);
	spin_unlock(&shard->lock);
	return shut;
}

static void set_frozen(struct pcn_space *s, const struct pcn_range *range)
{
	struct pcn_shard *shard;

	for (shard = s->shard; shard < s->shard + PCN_SHARDS; shard++) {
		spin_lock(&shard->lock);
		shard->frozen = *range;
		spin_unlock(&shard->lock);
	}
}

/**
 * pcn_space_freeze - let no access to a range begin
 * @s:		the space
 * @first:	number of the first page
 * @last:	number of the last one
 * @owner:	a task that may go on, or NULL
 *
 * Accesses that have begun have a reference to their record.
 *
 * Context: process, also a handler. One range at a time: pcn_space.round, or the origin's
 * phases.
 */
void pcn_space_freeze(struct pcn_space *s, u64 first, u64 last, struct task_struct *owner)
{
	const struct pcn_range range = {
		.first = first, .last = last, .owner = owner, .on = true,
	};

	set_frozen(s, &range);
}

/**
 * pcn_space_thaw - let accesses begin again
 * @s:	the space
 *
 * Context: process.
 */
void pcn_space_thaw(struct pcn_space *s)
{
	const struct pcn_range none = {};

	set_frozen(s, &none);
	wake_up_all(&s->thawed);
}

/**
 * pcn_space_tear - Linux is about to take pages out of the address space
 * @s:		the space, at the origin
 * @first:	number of the first page
 * @last:	number of the last one
 *
 * The records of these pages are of no use any more. They are dropped in a round.
 *
 * Context: any but hard interrupt.
 * Return: true if there are any.
 */
bool pcn_space_tear(struct pcn_space *s, u64 first, u64 last)
{
	struct pcn_shard *shard;
	struct pcn_record *r;
	bool any = false;

	for_each_record(r, shard, s, first, last) {
		spin_lock(&r->lock);
		spin_lock(&shard->lock);
		if (!r->torn && !r->dropped && (!r->plain || r->adopter)) {
			r->torn = true;
			atomic_inc(&s->torn);
		}
		any |= r->torn;
		spin_unlock(&shard->lock);
		spin_unlock(&r->lock);
	}
	return any;
}

/* --- holding --- */

/* r is as found; false: it is to be made. */
static bool get_locked(struct pcn_space *s, struct pcn_shard *shard, u64 page,
		       struct pcn_record **r, struct pcn_record **spare)
{
	if (is_shut(shard, page, record_find(shard, page)))
		*r = ERR_PTR(-EAGAIN);
	else
		*r = get_or_insert(s, shard, page, spare);
	return *r;
}

/**
 * pcn_record_get - get hold of the record of a page, in order to use the page
 * @s:		the space
 * @page:	number of the page
 *
 * Context: process; may sleep for memory.
 * Return: the record, to be given to pcn_record_put(); -ENOMEM; -EAGAIN the page
 * is shut: wait for &pcn_space.thawed with no lock held, and try again.
 */
struct pcn_record *pcn_record_get(struct pcn_space *s, u64 page)
{
	struct pcn_shard *shard = pcn_shard_of(s, page);
	struct pcn_record *spare = NULL, *r;
	bool done;

	for (;;) {
		spin_lock(&shard->lock);
		done = get_locked(s, shard, page, &r, &spare);
		spin_unlock(&shard->lock);
		if (done)
			break;
		spare = pcn_record_new(GFP_KERNEL_ACCOUNT);
		if (!spare)
			return ERR_PTR(-ENOMEM);
	}
	pcn_record_discard(spare);
	return r;
}

/**
 * pcn_record_get_open - the record of a page that has one, if it may be used
 * @s:		the space
 * @page:	number of the page
 *
 * Context: any but hard interrupt.
 * Return: the record, to be given to pcn_record_put(); NULL: there is none, or the page is
 * shut.
 */
struct pcn_record *pcn_record_get_open(struct pcn_space *s, u64 page)
{
	struct pcn_shard *shard = pcn_shard_of(s, page);
	struct pcn_record *r;

	spin_lock(&shard->lock);
	r = record_find(shard, page);
	if (r && is_shut(shard, page, r))
		r = NULL;
	if (r)
		refcount_inc(&r->refs);
	spin_unlock(&shard->lock);
	return r;
}

/**
 * pcn_record_get_or_plain - the record of a page, or leave to let Linux handle it
 * @s:		the space, of an address space, at the origin
 * @page:	number of the page
 * @fault:	describes the fault
 *
 * Context: process.
 * Return: the record, to be given to pcn_record_put(); NULL: there is none, and none
 * takes effect before pcn_plain_fault_end(); -EAGAIN the page is shut.
 */
struct pcn_record *pcn_record_get_or_plain(struct pcn_space *s, u64 page,
					   struct pcn_plain_fault *fault)
{
	struct pcn_shard *shard = pcn_shard_of(s, page);
	struct pcn_record *r;

	fault->page = page;
	spin_lock(&shard->lock);
	r = record_find(shard, page);
	if (!r)
		hlist_add_head(&fault->node, &shard->faults);
	else if (is_shut(shard, page, r))
		r = ERR_PTR(-EAGAIN);
	else
		refcount_inc(&r->refs);
	spin_unlock(&shard->lock);
	return r;
}

/**
 * pcn_plain_fault_end - Linux has handled the fault
 * @s:		the space
 * @fault:	as filled in by pcn_record_get_or_plain()
 *
 * Context: process.
 */
void pcn_plain_fault_end(struct pcn_space *s, struct pcn_plain_fault *fault)
{
	struct pcn_shard *shard = pcn_shard_of(s, fault->page);
	struct pcn_record *r;

	spin_lock(&shard->lock);
	hlist_del(&fault->node);
	r = record_find(shard, fault->page);
	if (r)
		refcount_inc(&r->refs);
	spin_unlock(&shard->lock);
	if (!r)
		return;
	/* Another kernel may have asked for the page meanwhile. */
	pcn_record_adopt_soon(r);
	pcn_record_put(r);
}

/**
 * pcn_has_plain_fault - does Linux handle a fault of a page?
 * @s:		the space
 * @page:	number of the page, which has a record
 *
 * Once it does not, it does not again: faults that begin find the record.
 *
 * Context: any but hard interrupt.
 */
bool pcn_has_plain_fault(struct pcn_space *s, u64 page)
{
	struct pcn_shard *shard = pcn_shard_of(s, page);
	struct pcn_plain_fault *fault;
	bool found = false;

	spin_lock(&shard->lock);
	hlist_for_each_entry(fault, &shard->faults, node)
		found = found || fault->page == page;
	spin_unlock(&shard->lock);
	return found;
}

/**
 * pcn_record_put - give up a reference to a record
 * @r:	the record
 *
 * Context: any but hard interrupt, with no lock of a shard held.
 */
void pcn_record_put(struct pcn_record *r)
{
	struct pcn_space *s = r->space;
	struct pcn_shard *shard = pcn_shard_of(s, r->page);
	bool last;

	/* With the lock: a space that is quiet may go at once. */
	spin_lock(&shard->lock);
	last = refcount_dec_and_test(&r->refs);
	if (!last && wq_has_sleeper(&s->quiet))
		wake_up_all(&s->quiet);
	spin_unlock(&shard->lock);
	if (!last)
		return;
	free_record(r);
	spin_lock(&shard->lock);
	if (!--shard->alive)
		wake_up_all(&s->quiet);
	spin_unlock(&shard->lock);
}

/* --- the end --- */

/**
 * pcn_record_drop - take a record out of its space
 * @r:		the record, with a reference of the caller's; its page is not in use
 * @everywhere:	all other kernels have forgotten the page
 *
 * What comes for the page from now on makes a new record. Nobody goes on with this one,
 * should a peer have sent what it must not. To drop it again does nothing.
 *
 * Context: any but hard interrupt, with no lock held.
 */
void pcn_record_drop(struct pcn_record *r, bool everywhere)
{
	struct pcn_space *s = r->space;
	struct pcn_shard *shard = pcn_shard_of(s, r->page);
	bool dropped;

	spin_lock(&r->lock);
	dropped = r->dropped;
	r->dropped = true;
	if (!dropped && r->torn && atomic_dec_and_test(&s->torn))
		wake_up_all(&s->thawed);
	pcn_record_cancel(r);
	if (!dropped)
		pcn_check_end(r, everywhere, 0);
	spin_unlock(&r->lock);
	if (dropped)
		return;
	spin_lock(&shard->lock);
	rb_erase(&r->node, &shard->records);
	spin_unlock(&shard->lock);
	pcn_record_put(r);
}

/* What was to be done later with a record is not done any more. */
static void record_cancel(struct pcn_record *r)
{
	spin_lock(&r->lock);
	pcn_record_cancel(r);
	spin_unlock(&r->lock);
}

/* How many records are freed at a time */
#define UNUSED_BATCH	64

static void free_unused(struct pcn_space *s, struct pcn_shard *shard,
			struct pcn_record **unused, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		pcn_check_end(unused[i], false, 0);
		free_content(unused[i]);
	}
	atomic_long_sub(n, &records_in_use);
	kmem_cache_free_bulk(cache, n, (void **)unused);
	spin_lock(&shard->lock);
	shard->alive -= n;
	if (!shard->alive)
		wake_up_all(&s->quiet);
	spin_unlock(&shard->lock);
	cond_resched();
}

static struct rb_root take_all(struct pcn_shard *shard)
{
	struct rb_root all;

	spin_lock(&shard->lock);
	all = shard->records;
	shard->records = RB_ROOT;
	spin_unlock(&shard->lock);
	return all;
}

static void put_back(struct pcn_shard *shard, struct pcn_record *r)
{
	spin_lock(&shard->lock);
	record_insert(shard, r);
	spin_unlock(&shard->lock);
}

/*
 * Most records are unused, and to take each one out of the tree would take long. Outside of
 * it they get no reference any more, and nobody takes one out of a space that ends.
 */
static void end_unused(struct pcn_space *s, struct pcn_shard *shard)
{
	struct pcn_record *unused[UNUSED_BATCH], *r, *next;
	struct rb_root all = take_all(shard);
	unsigned int n = 0;

	rbtree_postorder_for_each_entry_safe(r, next, &all, node) {
		if (refcount_read(&r->refs) > 1) {
			put_back(shard, r);
			continue;
		}
		/* Pairs with the release of the reference that went last. */
		smp_acquire__after_ctrl_dep();
		unused[n++] = r;
		if (n == UNUSED_BATCH) {
			free_unused(s, shard, unused, n);
			n = 0;
		}
	}
	free_unused(s, shard, unused, n);
}

/* One reference is the space's, one of the walk through its records. */
static bool is_idle(const struct pcn_record *r)
{
	return refcount_read(&r->refs) <= 2;
}

/* Those that were dropped before may still be in somebody's hand. */
static void wait_for_records(struct pcn_space *s, struct pcn_shard *shard)
{
	wait_event(s->quiet, !READ_ONCE(shard->alive));
	spin_lock(&shard->lock);
	spin_unlock(&shard->lock);
}

/**
 * pcn_records_end - all records of a space go
 * @s:	the space, ending: no thread uses it, and no handler finds it any more
 *
 * Nothing is waited for but what runs just now: steps that are held, as for a page that
 * somebody has pinned, are given up.
 *
 * Context: process; sleeps.
 */
void pcn_records_end(struct pcn_space *s)
{
	struct pcn_shard *shard;
	struct pcn_record *r;

	for (shard = s->shard; shard < s->shard + PCN_SHARDS; shard++)
		end_unused(s, shard);
	for_each_record(r, shard, s, 0, U64_MAX) {
		if (!is_idle(r))
			record_cancel(r);
		wait_event(s->quiet, is_idle(r));
		pcn_record_drop(r, false);
		cond_resched();
	}
	for (shard = s->shard; shard < s->shard + PCN_SHARDS; shard++)
		wait_for_records(s, shard);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory, at the origin: frames that other kernels may go on using.
 *
 * A frame that Linux has taken out of an address space is not used for anything else before
 * all kernels that may have an entry of it have forgotten it. As a rule this is waited for
 * (mirror.c). If it cannot be, since a kernel does not answer, or does not do so in time
 * while an address space ends, the frame is kept: it has a reference more, until each of
 * these kernels
 *
 *	has said that it has unmapped the address space	(pcn_kept_forgot()), or
 *	has died, and its CPUs are parked, or
 *	has no address space any more that maps memory of this kernel
 *
 * The last two are what the window says (pcn_mapper_is()): a message may be lost with a
 * link that breaks, and a kernel that does not answer may live. Nobody tells when that comes
 * to be so, so it is looked at now and then. It may never come: a CPU that cannot be parked
 * may go on writing. The log says so, and the column "kept" of /proc/popcorn/spaces counts
 * such frames.
 *
 * What frames are kept in begins with the space, since a member may end its part of that at
 * any time.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <popcorn/core.h>
#include <popcorn/hooks.h>
#include <popcorn/msg.h>
#include <popcorn/partition.h>

#include "internal.h"
#include "mirror.h"

/**
 * struct pcn_kept - the frames of a space that are kept
 * @node:	in all_kept
 * @number:	of the space
 * @forgotten:	members that have unmapped all of the space, and will map nothing of it
 * @users:	members that may go on using @frames
 * @over:	the space has ended: no frame comes any more
 * @told:	the log says that frames are kept
 * @count:	of pages
 * @frames:	folios, by the number of their first page frame
 * @work:	frees all of it
 *
 * kept_lock protects all that changes but @frames, which has its own lock.
 */
struct pcn_kept {
	struct list_head	node;
	u64			number;
	u64			forgotten;
	u64			users;
	bool			over;
	bool			told;
	unsigned long		count;
	struct xarray		frames;
	struct work_struct	work;
};

static LIST_HEAD(all_kept);
static DEFINE_SPINLOCK(kept_lock);
static atomic_long_t pages_kept;

/* Unit tests, which may run on a machine that is not shared, have another one. */
bool (*pcn_kept_mapper_is)(unsigned int kid) = pcn_mapper_is;

static void look_at_users(struct work_struct *work);
static DECLARE_DELAYED_WORK(look_work, look_at_users);

/**
 * pcn_kept_frames - how many pages are kept for other kernels
 *
 * Context: any.
 * Return: their number, which may change at any time.
 */
unsigned long pcn_kept_frames(void)
{
	return atomic_long_read(&pages_kept);
}

/* Nobody finds it any more. */
static void kept_release(struct pcn_kept *k)
{
	struct folio *folio;
	unsigned long pfn;

	xa_for_each(&k->frames, pfn, folio) {
		folio_put(folio);
		cond_resched();
	}
	xa_destroy(&k->frames);
	atomic_long_sub(k->count, &pages_kept);
	kfree(k);
}

static void release_work(struct work_struct *work)
{
	kept_release(container_of(work, struct pcn_kept, work));
}

/**
 * pcn_kept_new - be ready to keep frames of a space
 * @number:	of the space
 *
 * Context: process.
 * Return: for pcn_kept_end(); or NULL.
 */
struct pcn_kept *pcn_kept_new(u64 number)
{
	struct pcn_kept *k = kzalloc(sizeof(*k), GFP_KERNEL);

	if (!k)
		return NULL;
	k->number = number;
	xa_init(&k->frames);
	INIT_WORK(&k->work, release_work);
	spin_lock(&kept_lock);
	list_add(&k->node, &all_kept);
	spin_unlock(&kept_lock);
	return k;
}

/**
 * pcn_kept_add - keep a frame
 * @k:		what keeps it
 * @folio:	which it is a part of, mapped
 *
 * Without memory to note it, it is kept for good.
 *
 * Context: any but hard interrupt.
 */
void pcn_kept_add(struct pcn_kept *k, struct folio *folio)
{
	unsigned long pfn = folio_pfn(folio);
	int err;

	/* Of what was never counted there is nothing to keep. */
	if (!folio_try_get(folio))
		return;
	err = xa_insert(&k->frames, pfn, folio, GFP_ATOMIC | __GFP_NOWARN);
	if (err == -EBUSY) {
		folio_put(folio);
		return;
	}
	if (err)
		pr_err_ratelimited("no memory to note what is kept: %lu pages at frame %lx are for good\n",
				   folio_nr_pages(folio), pfn);
	spin_lock(&kept_lock);
	k->count += folio_nr_pages(folio);
	spin_unlock(&kept_lock);
	atomic_long_add(folio_nr_pages(folio), &pages_kept);
}

static u64 kept_waits_for(const struct pcn_kept *k)
{
	return k->count ? k->users & ~k->forgotten : 0;
}

/* With kept_lock. Is nothing to be kept any more? */
static bool kept_is_settled(struct pcn_kept *k)
{
	u64 users = kept_waits_for(k);

	if (k->over && !users) {
		list_del(&k->node);
		return true;
	}
	if (k->over && !k->told) {
		k->told = true;
		pr_err("%lu pages of space %llx are kept: kernels %*pbl may go on using them\n",
		       k->count, k->number, PCN_KERNELS_MAX, (unsigned long *)&users);
	}
	return false;
}

/* With kept_lock. */
static void kept_settle(struct pcn_kept *k)
{
	if (kept_is_settled(k))
		queue_work(system_unbound_wq, &k->work);
}

/**
 * pcn_kept_for - kernels may go on using frames that are kept
 * @k:		what keeps them
 * @kids:	a bit for each kernel
 *
 * Context: any but hard interrupt.
 */
void pcn_kept_for(struct pcn_kept *k, u64 kids)
{
	spin_lock(&kept_lock);
	k->users |= kids;
	spin_unlock(&kept_lock);
	queue_delayed_work(system_unbound_wq, &look_work, HZ);
}

/**
 * pcn_kept_end - the space has ended
 * @k:	what keeps its frames, which goes when it is settled
 *
 * Context: any but hard interrupt.
 */
void pcn_kept_end(struct pcn_kept *k)
{
	spin_lock(&kept_lock);
	k->over = true;
	kept_settle(k);
	spin_unlock(&kept_lock);
}

/**
 * pcn_kept_is_forgotten - has a member unmapped all of a space?
 * @k:		what keeps frames of the space
 * @kid:	the member
 *
 * Context: any.
 */
bool pcn_kept_is_forgotten(const struct pcn_kept *k, unsigned int kid)
{
	return READ_ONCE(k->forgotten) & BIT_ULL(kid);
}

/* With kept_lock. */
static void kept_forget(struct pcn_kept *k, u64 kids)
{
	if (!(kids & ~k->forgotten))
		return;
	WRITE_ONCE(k->forgotten, k->forgotten | kids);
	kept_settle(k);
}

/**
 * pcn_kept_forgotten_by - members have forgotten all of a space, and will map nothing of it
 * @k:		what keeps its frames
 * @kids:	a bit for each member
 *
 * Context: any but hard interrupt.
 */
void pcn_kept_forgotten_by(struct pcn_kept *k, u64 kids)
{
	spin_lock(&kept_lock);
	kept_forget(k, kids);
	spin_unlock(&kept_lock);
}

/**
 * pcn_kept_forgot - a member has unmapped its part of a space
 * @number:	of the space; it may have ended, or be none of this kernel's
 * @kid:	the member
 *
 * Context: any but hard interrupt.
 */
void pcn_kept_forgot(u64 number, unsigned int kid)
{
	struct pcn_kept *k, *next;

	spin_lock(&kept_lock);
	list_for_each_entry_safe(k, next, &all_kept, node)
		if (k->number == number)
			kept_forget(k, BIT_ULL(kid));
	spin_unlock(&kept_lock);
}

static u64 those_without_entries(u64 kids)
{
	u64 found = 0;
	unsigned int kid;

	for_each_kernel(kid, kids)
		if (!pcn_kept_mapper_is(kid))
			found |= BIT_ULL(kid);
	return found;
}

static void look_at_users(struct work_struct *work)
{
	struct pcn_kept *k, *next;
	bool any = false;

	spin_lock(&kept_lock);
	list_for_each_entry_safe(k, next, &all_kept, node) {
		if (!kept_waits_for(k))
			continue;
		kept_forget(k, those_without_entries(kept_waits_for(k)));
		any = true;
	}
	spin_unlock(&kept_lock);
	if (any)
		queue_delayed_work(system_unbound_wq, &look_work, HZ);
}

/*
 * A kernel is up, in another life than one that may have gone on using frames. Before that
 * its CPUs were parked. What the window says is about the new life.
 */
static void kept_peer_up(struct pcn_peer_notifier *watch, unsigned int kid)
{
	struct pcn_kept *k, *next;

	spin_lock(&kept_lock);
	list_for_each_entry_safe(k, next, &all_kept, node)
		if (k->users & BIT_ULL(kid))
			kept_forget(k, BIT_ULL(kid));
	spin_unlock(&kept_lock);
}

static struct pcn_peer_notifier kept_watch = { .up = kept_peer_up };

/**
 * pcn_kept_init - follow the lives of other kernels
 *
 * Context: initcall.
 * Return: 0.
 */
int __init pcn_kept_init(void)
{
	return pcn_peers_subscribe(&kept_watch);
}

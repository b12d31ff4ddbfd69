// SPDX-License-Identifier: GPL-2.0
/*
 * At the origin, in the protocol "direct": frames that other kernels may still map.
 *
 * A frame that was named to a member gets no other use before that has forgotten it. In a
 * round this is waited for. When an address space ends it is not: its records, with the
 * frames, go to the *estate* of the space, and the task that has ended the address space
 * goes on. The estate keeps them until each kernel that was told of one of them
 *
 *	has said that it has unmapped the address space	(pcn_estate_forgot()), or
 *	has died, and its CPUs are parked, or
 *	has no address space any more that maps memory of this kernel
 *
 * The last two are what the window says (pcn_mapper_is()): a message may be lost with a
 * link that breaks, and a kernel that does not answer may live. Nobody tells when that
 * comes to be so. A kernel whose link is down, and that may still map frames, is *adrift*,
 * and is looked at now and then. It may be so for good: a CPU that cannot be parked may go
 * on writing, so the frames are never used again. The log says so, and the column "kept"
 * of /proc/popcorn/spaces counts them.
 *
 * An estate begins with its space, since a member may end its part of that at any time.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <popcorn/core.h>
#include <popcorn/hooks.h>
#include <popcorn/msg.h>
#include <popcorn/partition.h>

#include "internal.h"

/**
 * struct pcn_estate - the frames that a space leaves, and the members that have forgotten them
 * @node:	in estates
 * @number:	of the space
 * @forgotten:	members that map no frame of the space, and will not
 * @adrift:	members whose link is down and that may map frames
 * @named:	members that were told of frames of @records
 * @over:	the space has ended: no record comes any more
 * @told:	the log says that frames are kept
 * @frames:	number of @records
 * @records:	of the space; each has nothing but its frame
 * @work:	frees all of it
 *
 * estates_lock protects all that changes.
 */
struct pcn_estate {
	struct list_head	node;
	u64			number;
	u64			forgotten;
	u64			adrift;
	u64			named;
	bool			over;
	bool			told;
	unsigned long		frames;
	struct list_head	records;
	struct work_struct	work;
};

static LIST_HEAD(estates);
static DEFINE_SPINLOCK(estates_lock);
static DECLARE_WAIT_QUEUE_HEAD(forgetting);
static atomic_long_t frames_kept;

/* Unit tests, which may run on a machine that is not shared, have another one. */
bool (*pcn_estates_mapper_is)(unsigned int kid) = pcn_mapper_is;

static void look_at_adrift(struct work_struct *work);
static DECLARE_DELAYED_WORK(look_work, look_at_adrift);

/**
 * pcn_estates_frames - how many frames are kept of address spaces that have ended
 *
 * Context: any.
 * Return: their number, which may change at any time.
 */
unsigned long pcn_estates_frames(void)
{
	return atomic_long_read(&frames_kept);
}

/* Nobody finds it any more. */
static void estate_release(struct pcn_estate *e)
{
	struct pcn_record *r, *next;

	list_for_each_entry_safe(r, next, &e->records, kept) {
		put_page(r->frame);
		pcn_record_discard(r);
		cond_resched();
	}
	atomic_long_sub(e->frames, &frames_kept);
	kfree(e);
}

static void release_work(struct work_struct *work)
{
	estate_release(container_of(work, struct pcn_estate, work));
}

/**
 * pcn_estate_new - begin the estate of a space
 * @number:	of the space
 *
 * Context: process.
 * Return: the estate, to be given to pcn_estate_end(); or NULL.
 */
struct pcn_estate *pcn_estate_new(u64 number)
{
	struct pcn_estate *e = kzalloc(sizeof(*e), GFP_KERNEL);

	if (!e)
		return NULL;
	e->number = number;
	INIT_LIST_HEAD(&e->records);
	INIT_WORK(&e->work, release_work);
	spin_lock(&estates_lock);
	list_add(&e->node, &estates);
	spin_unlock(&estates_lock);
	return e;
}

/**
 * pcn_estate_take - may the frame of a record that goes not be freed yet?
 * @r:	the record, which nobody else knows of
 *
 * Context: any but hard interrupt.
 * Return: true: the record is the estate's now.
 */
bool pcn_estate_take(struct pcn_record *r)
{
	struct pcn_estate *e = r->space->estate;
	struct page *frame = r->frame;
	u64 named = r->replica.cs;

	if (!e || !frame || !(named & ~READ_ONCE(e->forgotten)))
		return false;
	/* It is no page of a space any more. */
	pcn_record_set_frame(r, NULL);
	r->frame = frame;
	spin_lock(&estates_lock);
	list_add(&r->kept, &e->records);
	e->named |= named;
	e->frames++;
	spin_unlock(&estates_lock);
	atomic_long_inc(&frames_kept);
	return true;
}

static u64 estate_waits_for(const struct pcn_estate *e)
{
	return e->named & ~e->forgotten;
}

/* With estates_lock. */
static void estate_complain(struct pcn_estate *e)
{
	u64 lost = e->over ? estate_waits_for(e) & e->adrift : 0;

	if (!lost || e->told)
		return;
	e->told = true;
	pr_err("%lu pages of space %llx are kept: kernels %*pbl may go on using them\n",
	       e->frames, e->number, PCN_KERNELS_MAX, (unsigned long *)&lost);
}

/* With estates_lock. Is nothing to be kept any more? */
static bool estate_is_settled(struct pcn_estate *e)
{
	if (!e->over || estate_waits_for(e)) {
		estate_complain(e);
		return false;
	}
	list_del(&e->node);
	return true;
}

/* With estates_lock. */
static void estate_settle(struct pcn_estate *e)
{
	if (estate_is_settled(e))
		queue_work(system_unbound_wq, &e->work);
}

/**
 * pcn_estate_end - the space has ended: its last record has gone
 * @e:	the estate, which goes when it is settled
 *
 * Context: process.
 */
void pcn_estate_end(struct pcn_estate *e)
{
	bool settled;

	spin_lock(&estates_lock);
	e->over = true;
	settled = estate_is_settled(e);
	spin_unlock(&estates_lock);
	if (settled)
		estate_release(e);
}

/* With estates_lock. The link to a member is down: does that map frames? */
static void estate_lose(struct pcn_estate *e, unsigned int kid)
{
	if (pcn_estates_mapper_is(kid)) {
		e->adrift |= BIT_ULL(kid);
		queue_delayed_work(system_unbound_wq, &look_work, HZ);
	} else {
		e->adrift &= ~BIT_ULL(kid);
		WRITE_ONCE(e->forgotten, e->forgotten | BIT_ULL(kid));
	}
}

/**
 * pcn_estate_lose - a member cannot be asked, as it is down
 * @e:		the estate
 * @kid:	the member
 *
 * Context: any but hard interrupt.
 */
void pcn_estate_lose(struct pcn_estate *e, unsigned int kid)
{
	spin_lock(&estates_lock);
	if (!(e->forgotten & BIT_ULL(kid)))
		estate_lose(e, kid);
	spin_unlock(&estates_lock);
}

/**
 * pcn_estate_is_forgotten - has a member forgotten all frames of a space?
 * @e:		the estate of the space
 * @kids:	the member, or several, a bit each
 *
 * Context: any.
 */
bool pcn_estate_is_forgotten(const struct pcn_estate *e, u64 kids)
{
	return !(kids & ~READ_ONCE(e->forgotten));
}

/**
 * pcn_estate_wait - wait until a member that ends its part of a space has forgotten it
 * @s:		the space
 * @kid:	the member
 * @limit_ms:	for so long, at most
 *
 * Context: process; sleeps, killably.
 * Return: has it?
 */
bool pcn_estate_wait(struct pcn_space *s, unsigned int kid, unsigned int limit_ms)
{
	u64 one = BIT_ULL(kid);

	wait_event_killable_timeout(forgetting, READ_ONCE(s->broken) ||
				    pcn_estate_is_forgotten(s->estate, one),
				    msecs_to_jiffies(limit_ms));
	return pcn_estate_is_forgotten(s->estate, one);
}

/**
 * pcn_estate_forgot - a member has unmapped its part of a space
 * @number:	of the space; it may have ended, or be none of this kernel's
 * @kid:	the member
 *
 * Context: any but hard interrupt.
 */
void pcn_estate_forgot(u64 number, unsigned int kid)
{
	struct pcn_estate *e, *next;

	spin_lock(&estates_lock);
	list_for_each_entry_safe(e, next, &estates, node) {
		if (e->number != number)
			continue;
		e->adrift &= ~BIT_ULL(kid);
		WRITE_ONCE(e->forgotten, e->forgotten | BIT_ULL(kid));
		estate_settle(e);
	}
	spin_unlock(&estates_lock);
	wake_up_all(&forgetting);
}

/* Look at those that are adrift, and at @others, whose link is down now. */
static void estates_look(u64 others)
{
	struct pcn_estate *e, *next;
	unsigned int kid;

	spin_lock(&estates_lock);
	list_for_each_entry_safe(e, next, &estates, node) {
		for_each_kernel(kid, e->adrift | others)
			estate_lose(e, kid);
		estate_settle(e);
	}
	spin_unlock(&estates_lock);
	wake_up_all(&forgetting);
}

static void look_at_adrift(struct work_struct *work)
{
	estates_look(0);
}

/**
 * pcn_estates_lose - the link to a kernel is down
 * @kid:	the kernel
 *
 * Its next life is not linked yet, so the window says what is true of this one.
 *
 * Context: process.
 */
void pcn_estates_lose(unsigned int kid)
{
	estates_look(BIT_ULL(kid));
}

/**
 * pcn_estates_renew - a kernel is up, in another life than the one that was adrift
 * @kid:	the kernel
 *
 * Before that its CPUs were parked. What the window says is about the new life.
 *
 * Context: process.
 */
void pcn_estates_renew(unsigned int kid)
{
	struct pcn_estate *e, *next;

	spin_lock(&estates_lock);
	list_for_each_entry_safe(e, next, &estates, node) {
		if (!(e->adrift & BIT_ULL(kid)))
			continue;
		e->adrift &= ~BIT_ULL(kid);
		WRITE_ONCE(e->forgotten, e->forgotten | BIT_ULL(kid));
		estate_settle(e);
	}
	spin_unlock(&estates_lock);
	wake_up_all(&forgetting);
}

static void estates_peer_up(struct pcn_peer_notifier *watch, unsigned int kid)
{
	pcn_estates_renew(kid);
}

static void estates_peer_down(struct pcn_peer_notifier *watch, unsigned int kid)
{
	pcn_estates_lose(kid);
}

static struct pcn_peer_notifier estates_watch = {
	.up = estates_peer_up, .down = estates_peer_down,
};

/**
 * pcn_estates_init - follow the deaths of other kernels
 *
 * The processes, which have to be killed if a kernel may go on using their frames, follow
 * them too, and are told later since they subscribe later (kernel/popcorn/threads/).
 *
 * Context: initcall.
 * Return: 0.
 */
int __init pcn_estates_init(void)
{
	return pcn_peers_subscribe(&estates_watch);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Rounds: all kernels forget pages of a range, before Linux changes it or afterwards.
 *
 *	freeze	every member lets no access to the range begin any more, waits until those
 *		that had begun are over, and unmaps the range, with its VMAs if they
 *		change: nobody there sees any of it before the thaw, and nothing is under
 *		way about its pages
 *	recall	the origin reads the pages whose data is elsewhere
 *	fence	"vote" alone: every kernel has an answer from every other to what it
 *		sent after that, so no late answer about a page is under way (see
 *		protocol.rst, "Late messages")
 *	drop	the members forget the pages; the origin gives them back to Linux
 *	thaw	the members let accesses begin
 *
 * If Linux needs what is in the pages, recall and drop come before the change. If it may
 * throw them away they come afterwards, when it is known which pages are gone: torn pages
 * (pcn_space_tear()) are not recalled. So a change that fails loses nothing.
 *
 * The members that know of VMAs in the range take part. Between the freeze and the thaw
 * they use nothing there, so all threads see the change as one moment. In particular no
 * thread sees the old pages at an address that Linux has given to a new mapping.
 *
 * Each phase is a request, and the next one begins when all members have answered
 * (follow.c). A thaw needs no answer. It comes when the origin has given up its records: a
 * member that asked earlier for a page would get what is no more. With one member, which
 * can meet nobody else's record, the drop comes so late too, and is the thaw.
 *
 * A thread that is killed in the middle leaves the rest to a work item
 * (pcn_round_finish()), which goes through all phases again: each may be repeated. A
 * request of the first time that is late finds another round's number, or none, and does
 * nothing.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <trace/events/popcorn.h>

#include <popcorn/hooks.h>
#include <popcorn/partition.h>

#include "internal.h"
#include "round.h"

/* @silent, which is 0, receives the kernel that has not answered the member's fence. */
static int round_call(struct pcn_space *s, unsigned int kid, struct pcn_round_msg *m,
		      u64 *silent)
{
	u32 length = sizeof(*silent);

	if (m->phase != PCN_ROUND_FENCE)
		return pcn_msg_call(kid, PCN_CONTROL, PCN_TYPE_ROUND, m, sizeof(*m),
				    NULL, NULL, PCN_ROUND_LIMIT_MS);
	return pcn_msg_call(kid, PCN_CONTROL, PCN_TYPE_ROUND, m, sizeof(*m), silent,
			    &length, pcn_fence_limit_ms(s));
}

static int round_tell_one(struct pcn_space *s, unsigned int kid, struct pcn_round_msg *m,
			  u64 *silent)
{
	int err;

	if (m->phase == PCN_ROUND_THAW || m->flags & PCN_ROUND_LAST)
		return pcn_msg_send(kid, PCN_CONTROL, PCN_TYPE_ROUND, m, sizeof(*m));
	do {
		err = round_call(s, kid, m, silent);
		/* No memory for the request: nothing has been done there. */
		if (err == -ENOMEM)
			schedule_timeout_killable(1);
	} while (err == -ENOMEM && !fatal_signal_pending(current));
	if (err == -ENOMEM)
		return -EINTR;
	/* Otherwise that is what the member has answered. */
	return err == -EINTR && !fatal_signal_pending(current) ? -EPROTO : err;
}

/*
 * A new one as late as possible: until the member knows it, answers about VMAs are of no use
 * to it.
 */
static u64 epoch_for(struct pcn_space *s, unsigned int kid, u32 flags)
{
	u64 epoch;

	spin_lock(&s->changes_lock);
	if (flags & PCN_ROUND_VMAS)
		s->member[kid].epoch++;
	epoch = s->member[kid].epoch;
	spin_unlock(&s->changes_lock);
	return epoch;
}

/*
 * A member that lives and has not done its part may still use what is to change, if there
 * ever was a thread: then the process is killed. If not it is a member no more, as one
 * that has started again and knows nothing of the process. -EINTR: the process is killed.
 */
static int round_lose(struct pcn_space *s, u64 kernels, const char *why)
{
	unsigned int kid;
	int result = 0;

	for_each_kernel(kid, kernels)
		if (READ_ONCE(s->broken) || s->ops->lose(s->number, kid, why))
			result = -EINTR;
	return result;
}

/* One that has had no answer from this kernel, which lives, is wrong itself. */
static int round_lose_silent(struct pcn_space *s, unsigned int kid, u64 silent)
{
	if (silent & ~pcn_other_members(s))
		silent = BIT_ULL(kid);
	return round_lose(s, silent, "is up and does not answer other kernels");
}

/*
 * A member that is down uses no pages; what was lost with it is known elsewhere.
 * -EINTR: the current task is killed, or the process.
 */
static int round_tell(struct pcn_change *c, enum pcn_phase phase, u32 flags)
{
	struct pcn_space *s = c->space;
	struct pcn_round_msg m = {
		.space = s->number, .first = c->first, .last = c->last,
		.round = s->round_number, .phase = phase,
		.flags = flags,
	};
	unsigned int kid;
	int err, result = 0;
	u64 silent;

	trace_pcn_round(s->number, c->first, c->last, m.round, phase);
	for_each_kernel(kid, c->members) {
		if (READ_ONCE(s->broken))
			return -EINTR;
		m.epoch = epoch_for(s, kid, flags);
		silent = 0;
		err = round_tell_one(s, kid, &m, &silent);
		if (err == -EINTR)
			return err;
		if (!err) {
			err = round_lose_silent(s, kid, silent);
		} else if (err != -EHOSTDOWN) {
			/* It may not have waited for as long as it would have. */
			if (fatal_signal_pending(current))
				return -EINTR;
			err = round_lose(s, BIT_ULL(kid),
					 "is up and does not follow a change of the memory layout");
		}
		if (err == -EINTR)
			result = err;
	}
	return result;
}

static int recall_page(struct pcn_record *r)
{
	struct pcn_context *c;
	struct vm_area_struct *vma;
	int err = 0;

	mmap_read_lock(r->space->mm);
	vma = vma_lookup(r->space->mm, r->page << PAGE_SHIFT);
	if (vma)
		err = pcn_frame_alloc(r, vma, GFP_USER);
	mmap_read_unlock(r->space->mm);
	if (err || !vma)
		return err;
	c = pcn_context_get(r->space);
	spin_lock(&r->lock);
	err = pcn_access_enter(r, false, c);
	spin_unlock(&r->lock);
	pcn_context_put(c);
	if (!err)
		pcn_access_leave(r);
	return err;
}

static bool is_away(const struct pcn_record *r)
{
	return !r->torn && !r->plain && !r->absent && !r->may;
}

/* The range is frozen, but not for this thread. */
static int round_recall(struct pcn_space *s, u64 first, u64 last)
{
	struct pcn_shard *shard;
	struct pcn_record *r;
	int err;

	for_each_record(r, shard, s, first, last) {
		err = is_away(r) ? recall_page(r) : 0;
		if (err) {
			pcn_record_put(r);
			return err;
		}
		cond_resched();
	}
	return pcn_space_wait_until_quiet(s, s->round_number, first, last);
}

/* -ENOMEM: nothing is lost, pcn_round_finish() does it again. */
static int release_record(struct pcn_space *s, struct pcn_record *r, u64 left)
{
	unsigned long address = r->page << PAGE_SHIFT;
	struct vm_area_struct *vma, *own;
	int err = 0;

	mmap_read_lock(s->mm);
	vma = vma_lookup(s->mm, address);
	own = vma && pcn_vma_replicates(vma) ? vma : NULL;
	if (own)
		err = pcn_page_map_prepare(own, address, true);
	if (!err && !pcn_page_release(r, own, left))
		pcn_page_remove(r, vma);
	mmap_read_unlock(s->mm);
	return err;
}

/* One that was torn has not been released. */
static void drop_record(struct pcn_record *r, u64 left)
{
	spin_lock(&r->lock);
	pcn_check_end(r, true, left);
	spin_unlock(&r->lock);
	pcn_record_drop(r, !left);
}

/*
 * Those of @left are told next to drop the pages, and until then have nothing mapped; all
 * others have dropped them.
 */
static int round_release(struct pcn_change *c, u64 left)
{
	struct pcn_space *s = c->space;
	struct pcn_shard *shard;
	struct pcn_record *r;
	int err;

	for_each_record(r, shard, s, c->first, c->last) {
		err = release_record(s, r, left);
		if (err) {
			pcn_record_put(r);
			return err;
		}
		drop_record(r, left);
		cond_resched();
	}
	return 0;
}

/*
 * The members have forgotten the VMAs, and the origin has no record of a page. Not before
 * that: another change of the range waits for this round as long as a member knows something
 * of it (members_in()), and what has not been recalled would be lost if it did not.
 */
static void round_unpublish(struct pcn_change *c)
{
	struct pcn_space *s = c->space;
	unsigned int kid;

	if (!(c->flags & PCN_CHANGE_VMAS))
		return;
	for_each_kernel(kid, c->members)
		mtree_store_range(&s->member[kid].published, c->first << PAGE_SHIFT,
				  ((c->last + 1) << PAGE_SHIFT) - 1, NULL,
				  GFP_KERNEL | __GFP_NOFAIL);
	if (!c->first && c->last >= PCN_LAST_PAGE)
		WRITE_ONCE(s->files_given, false);
}

/* An access at the origin may have begun before the last member was frozen. */
static int round_freeze_all(struct pcn_change *c)
{
	struct pcn_space *s = c->space;
	int err;

	pcn_space_set_round(s, s->round_number + 1);
	c->thawed = false;
	pcn_space_freeze(s, c->first, c->last, current);
	err = pcn_space_wait_until_quiet(s, s->round_number, c->first, c->last) ?:
	      round_tell(c, PCN_ROUND_FREEZE, c->flags & PCN_CHANGE_VMAS ?
			 PCN_ROUND_VMAS : 0);
	return err ?: pcn_space_wait_until_quiet(s, s->round_number, c->first, c->last);
}

/**
 * pcn_round_fence - wait until nothing late is under way between the members
 * @c:	the change
 *
 * After the last access of the round, which is a recall: its late answers come here.
 *
 * Context: process, with &pcn_space.round held, and no other lock; sleeps, killably.
 * Return: 0; -EINTR, also if the process is killed as a kernel has not answered; -ENOMEM.
 */
int pcn_round_fence(struct pcn_change *c)
{
	struct pcn_space *s = c->space;
	u64 silent;
	int err;

	if (s->proto != &pcn_proto_vote)
		return 0;
	err = round_tell(c, PCN_ROUND_FENCE, 0) ?: pcn_space_fence(s, &silent);
	return err ?: round_lose_silent(s, s->group.self, silent);
}

/*
 * The one member may go on as soon as it has dropped the pages: nobody else has a record
 * of one, and it has no VMA there, or Linux has made its change.
 */
static bool is_last(const struct pcn_change *c)
{
	return hweight64(c->members) == 1 &&
	       (c->flags & PCN_CHANGE_VMAS || !(c->flags & PCN_CHANGE_KEEP));
}

static int round_drop_all(struct pcn_change *c)
{
	bool last = is_last(c);
	int err = round_recall(c->space, c->first, c->last) ?: pcn_round_fence(c);

	if (!err && !last)
		err = round_tell(c, PCN_ROUND_DROP, 0);
	if (err)
		return err;
	err = round_release(c, last ? c->members : 0);
	if (err)
		return err;
	round_unpublish(c);
	if (last)
		err = round_tell(c, PCN_ROUND_DROP, PCN_ROUND_LAST);
	c->dropped = !err;
	c->thawed = last && !err;
	return err;
}

static int round_thaw_all(struct pcn_change *c)
{
	int err = c->thawed ? 0 : round_tell(c, PCN_ROUND_THAW, 0);

	if (!err)
		pcn_space_thaw(c->space);
	return err;
}

/**
 * pcn_round_begin - before Linux changes a range
 * @c:	the change. With PCN_CHANGE_KEEP what is in the pages is needed: they are Linux's
 *	when this returns
 *
 * Context: process, with &pcn_space.round held, and no other lock; sleeps, killably.
 * Return: 0: pcn_round_end() has to follow; -EINTR a fatal signal, -ENOMEM:
 * pcn_round_finish().
 */
int pcn_round_begin(struct pcn_change *c)
{
	int err;

	atomic64_inc(&c->space->stats.rounds);
	err = round_freeze_all(c);
	if (!err && c->flags & PCN_CHANGE_KEEP)
		err = round_drop_all(c);
	return err;
}

/**
 * pcn_space_has_torn - is there a torn page in a range?
 * @s:		the space
 * @first:	number of the first page
 * @last:	number of the last one
 *
 * Context: process.
 */
bool pcn_space_has_torn(struct pcn_space *s, u64 first, u64 last)
{
	struct pcn_shard *shard;
	struct pcn_record *r;

	for_each_record(r, shard, s, first, last) {
		if (READ_ONCE(r->torn)) {
			pcn_record_put(r);
			return true;
		}
	}
	return false;
}

/**
 * pcn_round_end - Linux has changed the range, or has failed to
 * @c:	the change
 *
 * What Linux has taken away is dropped; what it has not is kept.
 *
 * Context: process, with &pcn_space.round held, and no other lock; sleeps, killably.
 * Return: 0; -EINTR, -ENOMEM: pcn_round_finish() has to follow.
 */
int pcn_round_end(struct pcn_change *c)
{
	bool drop = c->flags & PCN_CHANGE_VMAS || pcn_space_has_torn(c->space,
								     c->first, c->last);
	int err = drop && !c->dropped ? round_drop_all(c) : 0;

	return err ?: round_thaw_all(c);
}

/**
 * pcn_round_finish - a round that was interrupted: everything is dropped
 * @c:	the change
 *
 * Context: work item, with &pcn_space.round held.
 * Return: 0, also if the process ends; -ENOMEM: try again.
 */
int pcn_round_finish(struct pcn_change *c)
{
	int err = round_freeze_all(c) ?: round_drop_all(c) ?: round_thaw_all(c);

	if (err == -ENOMEM && !READ_ONCE(c->space->broken))
		return err;
	pcn_space_thaw(c->space);
	return 0;
}

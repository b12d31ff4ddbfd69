// SPDX-License-Identifier: GPL-2.0
/*
 * Which page frames kernels name to each other, in the protocol "direct".
 *
 * Whatever a kernel maps of another one lies in that one's memory, as all kernels know it
 * since their boot (pcn_memory_is_of()). The origin names no other frame, and a member
 * maps none. A member that is told of another frame all the same, or gets an answer that
 * it cannot understand, has no page for the thread that waits: the process ends there at
 * once, and with it at the origin.
 *
 * Of an absent page no frame is named: it is used at the origin alone (adopt.c).
 *
 * A frame that was named is not used for anything else before all that were told of it
 * (pcn_replica.cs) have forgotten it: in a round, or with their part of the space
 * (estate.c). The origin does not rely on having asked the right ones in a round: it names
 * frames only to kernels that rounds ask, and compares before it lets a frame go.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/init.h>
#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/printk.h>

#include <popcorn/core.h>
#include <popcorn/msg.h>

#include "internal.h"
#include "map.h"
#include "round.h"

/**
 * pcn_direct_begin - members of a space may come to map frames of its origin
 * @s:	the space, without an mm so far
 *
 * At a member: from now on the memory of the origin gets no other use, should that die,
 * before pcn_direct_end().
 *
 * Context: process.
 * Return: 0; -ENOMEM; -EHOSTDOWN the origin has died; -EPROTONOSUPPORT the primary has
 * another protocol.
 */
int pcn_direct_begin(struct pcn_space *s)
{
	int err;

	if (!pcn_is_direct(s))
		return 0;
	if (pcn_is_origin(s)) {
		s->estate = pcn_estate_new(s->number);
		return s->estate ? 0 : -ENOMEM;
	}
	if (!pcn_reserve_fill(&s->farewell, 1, GFP_KERNEL))
		return -ENOMEM;
	err = pcn_mapper_begin(s->group.origin);
	s->maps = !err;
	return err;
}

/* Handled by kernel/popcorn/threads/members.c. */
static void say_farewell(struct pcn_space *s)
{
	pcn_msg_post_from(&s->farewell, s->group.origin, PCN_CONTROL,
			  PCN_TYPE_PROCESS_FORGOTTEN, &s->number, sizeof(s->number));
}

/**
 * pcn_direct_end - a space ends: at a member it maps no frame of its origin any more
 * @s:	the space, which has no record (any more); its mm, if there is one, no user
 *
 * At a member Linux would take the entries away when the address space goes, which is
 * soon. But that the origin's memory is not used any more has to be known for sure.
 *
 * Context: process, with no lock held.
 */
void pcn_direct_end(struct pcn_space *s)
{
	if (s->estate)
		pcn_estate_end(s->estate);
	if (s->maps) {
		if (s->mm)
			pcn_pages_unmap(s->mm);
		say_farewell(s);
		pcn_mapper_end(s->group.origin);
	}
	pcn_reserve_empty(&s->farewell);
}

/**
 * pcn_direct_may_lend - may other kernels be told of a frame of this one?
 * @s:		the space that it would be for
 * @frame:	the frame
 *
 * In other protocols nobody is told of frames: then any will do.
 *
 * Context: any.
 */
bool pcn_direct_may_lend(const struct pcn_space *s, const struct page *frame)
{
	if (!pcn_is_direct(s) || pcn_memory_is_of(s->group.self, page_to_pfn(frame)))
		return true;
	pr_warn_once("frame %lx is memory that other kernels do not know of: pages in such memory are used at home alone\n",
		     page_to_pfn(frame));
	return false;
}

/**
 * pcn_direct_name - at the origin, name the frame of a page to a member
 * @r:	the record, with the protocol
 * @w:	the message
 *
 * Context: the record's lock is held.
 */
void pcn_direct_name(const struct pcn_record *r, struct pcn_page_msg *w)
{
	unsigned long pfn = pcn_record_pfn(r);

	lockdep_assert_held(&r->lock);
	/* No frame comes to be a record's that may not be named. */
	w->absent = r->absent || WARN_ON_ONCE(!pcn_memory_is_of(r->space->group.self, pfn));
	w->stamp = w->absent ? 0 : pfn;
}

static bool is_of_origin(const struct pcn_space *s, const struct pcn_page_msg *w)
{
	return w->absent ? !w->stamp : pcn_memory_is_of(s->group.origin, w->stamp);
}

/**
 * pcn_direct_accepts - may this kernel do what a message with a frame asks for?
 * @s:	the space
 * @w:	the message, of a member of the space
 *
 * Of its origin nothing else is expected: the process ends here.
 *
 * Context: any but hard interrupt.
 * Return: false: the message is of no use.
 */
bool pcn_direct_accepts(struct pcn_space *s, const struct pcn_page_msg *w)
{
	bool expected = pcn_maps_others(s) && w->from == s->group.origin;

	if (expected && is_of_origin(s, w))
		return true;
	pr_err_ratelimited("page %llx of space %llx: kernel %u names frame %llx, which it must not\n",
			   w->page, s->number, w->from, w->stamp);
	if (expected)
		pcn_space_kill(s, "its origin has named a frame that is not its own");
	return false;
}

/**
 * pcn_direct_may_answer - at the origin, may an event be what makes a frame known?
 * @r:	the record
 * @m:	the event
 *
 * A kernel that asks for a page knows the address, and takes part in each round that
 * changes what is there (members_in()). What one asks for that takes no part is refused:
 * nobody would make it forget the frame. If it has lost its part of the process the
 * question is late, and nobody waits. Otherwise the process ends.
 *
 * Context: the record's lock is held: a round looks at the record after that.
 */
bool pcn_direct_may_answer(struct pcn_record *r, const struct pcn_proto_event *m)
{
	struct pcn_space *s = r->space;

	if (m->type != PCN_FETCH || !pcn_is_direct(s) || !pcn_is_origin(s))
		return true;
	lockdep_assert_held(&r->lock);
	if (READ_ONCE(s->gone) & BIT_ULL(m->from))
		return false;
	if (mtree_load(&s->member[m->from].published, pcn_address_of(r)))
		return true;
	pr_err_ratelimited("page %llx of space %llx: kernel %u asks for it, and was not told that it is there\n",
			   r->page, s->number, m->from);
	pcn_space_kill(s, "another kernel has asked for what it cannot know of");
	return false;
}

static u64 strays_of(struct pcn_record *r, u64 answered)
{
	u64 strays;

	spin_lock(&r->lock);
	strays = r->plain ? 0 : r->replica.cs & ~answered;
	spin_unlock(&r->lock);
	return pcn_estate_is_forgotten(r->space->estate, strays) ? 0 : strays;
}

/**
 * pcn_direct_may_release - at the origin, may Linux have the frame of a page?
 * @r:		the record
 * @answered:	members that have just said that they do not use the page
 *
 * Others that were told of the frame may have it mapped. Then the process ends, and the
 * frame is kept until they have forgotten it.
 *
 * Context: process, with &pcn_space.round held, and no other lock.
 */
bool pcn_direct_may_release(struct pcn_record *r, u64 answered)
{
	struct pcn_space *s = r->space;
	u64 strays = pcn_is_direct(s) ? strays_of(r, answered) : 0;

	if (!strays)
		return true;
	pr_err("page %llx of space %llx: kernels %*pbl may use it and take no part in a round\n",
	       r->page, s->number, PCN_KERNELS_MAX, (unsigned long *)&strays);
	pcn_space_kill(s, "other kernels may go on using its pages");
	return false;
}

/**
 * pcn_direct_released - at the origin, a page that others were told of is Linux's now
 * @r:	the record; if Linux has taken the page away it has still its frame
 *
 * Context: process; no lock of the record is held.
 */
void pcn_direct_released(struct pcn_record *r)
{
	if (!pcn_is_direct(r->space))
		return;
	spin_lock(&r->lock);
	r->replica.cs = 0;
	spin_unlock(&r->lock);
}

/**
 * pcn_direct_has_ended - does a member not follow a round since it has no part any more?
 * @s:		the space, at its origin
 * @kid:	the member
 * @err:	what has come of the request
 *
 * A member that has died, or is about to end, uses pages until it is known not to.
 *
 * Context: process, with &pcn_space.round held; sleeps, killably.
 */
bool pcn_direct_has_ended(struct pcn_space *s, unsigned int kid, int err)
{
	if (!s->estate)
		return false;
	if (err == -EHOSTDOWN)
		pcn_estate_lose(s->estate, kid);
	if (err == -ESRCH)
		return pcn_estate_wait(s, kid, PCN_ROUND_LIMIT_MS);
	return pcn_estate_is_forgotten(s->estate, BIT_ULL(kid));
}

/* The address space has a user, and its space with it. */
static bool direct_borrows(struct mm_struct *mm, unsigned long address, u64 pfn)
{
	struct pcn_space *s = READ_ONCE(mm->popcorn);
	struct vm_area_struct *vma = s ? vma_lookup(mm, address) : NULL;

	return vma && vma->vm_ops == &pcn_vm_ops && pcn_maps_others(s) &&
	       pcn_memory_is_of(s->group.origin, pfn);
}

static int __init direct_init(void)
{
	pcn_attach_borrows(direct_borrows);
	return 0;
}
subsys_initcall_sync(direct_init);

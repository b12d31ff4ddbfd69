// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory, at a member: entries are removed.
 *
 * When the origin asks for that, entries are removed, and answers that have come and were
 * not entered are of no use any more: entering, and marking such an answer, exclude each other
 * (&pcn_borrow.lock). The request comes in a handler, which does it at once if it need not
 * wait. Otherwise a work item does: several requests together. It needs neither memory nor a
 * lock that is held while memory is allocated: memory may be what the origin waits for, and
 * some third kernel meanwhile for this one. So VMAs are not found by the address space,
 * whose lock such a thread may hold, but by their file, which is there for that:
 * unmap_mapping_range() is how drivers take frames away.
 *
 * A thread that is about to have pages taken away, as by munmap(2), gives them up first: it
 * removes their entries itself, and its call says so. The origin need not ask for that then.
 * The argument that it knows of every entry all the same: what it has been asked for before
 * the call is of no use for these pages (&pcn_question.void_first), and what it is asked for
 * later comes later, in the same channel, and is entered anew.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/errno.h>
#include <linux/mm.h>

#include <popcorn/core.h>
#include <popcorn/msg.h>

#include "internal.h"
#include "borrow.h"

/* A handler removes so many entries at a time; a work item does what is more. */
#define AT_ONCE_PAGES	PCN_BLOCK_PAGES

static struct workqueue_struct *forget_wq __ro_after_init;

/* --- when the origin asks for it --- */

/* With &pcn_borrow.lock. Those that have no answer yet will get one of today. */
static void answers_forget(struct pcn_borrow *b, u64 first, u64 last)
{
	struct pcn_question *q;

	list_for_each_entry(q, &b->questions, node)
		if (q->answered && !q->status)
			pcn_answer_forget(q, first, last);
}

/* False: that has to wait, or is much. */
static bool forget_at_once(struct pcn_borrow *b, u64 first, u64 last)
{
	struct address_space *mapping = b->file->f_mapping;

	if (last - first >= AT_ONCE_PAGES || !i_mmap_trylock_read(mapping))
		return false;
	pcn_entries_remove(mapping, first, last);
	i_mmap_unlock_read(mapping);
	return true;
}

/* Those that find no room are taken for one with all that lies between. */
static void forget_later(struct pcn_borrow *b, const struct pcn_forget *f)
{
	struct pcn_pages *p;

	lockdep_assert_held(&b->lock);
	if (b->laters < PCN_LATERS) {
		p = &b->later[b->laters++];
		p->first = f->first;
		p->last = f->last;
	} else {
		p = &b->later[PCN_LATERS - 1];
		p->first = min(p->first, f->first);
		p->last = max(p->last, f->last);
	}
	b->number = f->number;
	queue_delayed_work(forget_wq, &b->work, 0);
}

static bool take_later(struct pcn_borrow *b, struct pcn_pages *p, struct pcn_forget *f)
{
	bool any;

	spin_lock(&b->lock);
	any = b->laters;
	if (any)
		*p = b->later[--b->laters];
	f->number = b->number;
	spin_unlock(&b->lock);
	return any;
}

/* All have gone that were asked for until then. */
static void reply_later(struct pcn_borrow *b, const struct pcn_forget *f)
{
	int err;

	spin_lock(&b->lock);
	err = pcn_msg_post(b->s->group.origin, PCN_COHERENCY, PCN_TYPE_FORGOT, f, sizeof(*f));
	/* Without memory it is said later. Otherwise, if more has come this runs again. */
	if (err == -ENOMEM || err == -ENOBUFS)
		queue_delayed_work(forget_wq, &b->work, 1);
	else if (b->number == f->number)
		b->number = 0;
	spin_unlock(&b->lock);
}

static void forget_work(struct work_struct *work)
{
	struct pcn_borrow *b = container_of(to_delayed_work(work), struct pcn_borrow, work);
	struct pcn_forget f = { .space = b->s->number };
	struct pcn_pages p;

	while (take_later(b, &p, &f))
		unmap_mapping_range(b->file->f_mapping, p.first << PAGE_SHIFT,
				    (p.last - p.first + 1) << PAGE_SHIFT, 1);
	if (f.number)
		reply_later(b, &f);
}

/* True: it is done. */
static bool take_forget(struct pcn_borrow *b, const struct pcn_forget *f)
{
	bool queued;

	spin_lock(&b->lock);
	answers_forget(b, f->first, f->last);
	/* What is done later comes first. */
	queued = b->number;
	if (queued)
		forget_later(b, f);
	spin_unlock(&b->lock);
	if (queued)
		return false;
	if (forget_at_once(b, f->first, f->last))
		return true;
	spin_lock(&b->lock);
	forget_later(b, f);
	spin_unlock(&b->lock);
	return false;
}

static void on_forget(const struct pcn_message *msg)
{
	const struct pcn_forget *f = msg->payload;
	struct pcn_borrow *b;

	if (msg->length != sizeof(*f) || f->first > f->last || f->last > PCN_LAST_PAGE ||
	    !f->number)
		return;
	/* If there is none, all is unmapped, and the origin hears of that. */
	b = pcn_borrow_of(f->space, msg);
	if (b && take_forget(b, f))
		pcn_msg_post(msg->kid, PCN_COHERENCY, PCN_TYPE_FORGOT, f, sizeof(*f));
}

static const struct pcn_msg_type forget_type = {
	.name		= "forget",
	.channel	= PCN_COHERENCY,
	.type		= PCN_TYPE_FORGET,
	.handle		= on_forget,
};

/* --- giving up --- */

/* Questions that have been asked, or are asked before the origin hears of it. */
static void give_begin(struct pcn_borrow *b, struct pcn_give *give)
{
	struct pcn_question *q;

	spin_lock(&b->lock);
	list_add(&give->node, &b->gives);
	list_for_each_entry(q, &b->questions, node) {
		if (!q->answered)
			pcn_question_void(q, give->first, give->last);
		else if (!q->status)
			pcn_answer_forget(q, give->first, give->last);
	}
	spin_unlock(&b->lock);
}

/**
 * pcn_space_give_up - remove entries of pages that the current thread has changed at the origin
 * @s:		the space, at a member
 * @give:	for what is under way until pcn_space_give_up_end()
 * @first:	number of the first page
 * @last:	number of the last one
 *
 * The origin is to be told, by the message that asks for the change, and need not ask for it
 * then (pcn_space_given_up()). A thread that faults there before that has been sent gets
 * nothing, and faults again.
 *
 * Context: process, with no lock held; sleeps.
 * Return: has that been done? Not without coherent memory, nor if it is much.
 */
bool pcn_space_give_up(struct pcn_space *s, struct pcn_give *give, u64 first, u64 last)
{
	struct pcn_borrow *b = s->borrow;
	struct address_space *mapping;

	if (!b || last - first >= PCN_GIVE_MAX)
		return false;
	give->first = first;
	give->last = last;
	give_begin(b, give);
	mapping = b->file->f_mapping;
	if (last - first < AT_ONCE_PAGES) {
		i_mmap_lock_read(mapping);
		pcn_entries_remove(mapping, first, last);
		i_mmap_unlock_read(mapping);
	} else {
		unmap_mapping_range(mapping, first << PAGE_SHIFT,
				    (last - first + 1) << PAGE_SHIFT, 1);
	}
	return true;
}

/**
 * pcn_space_give_up_end - the origin will hear of it before any question from now on
 * @s:		the space
 * @give:	from pcn_space_give_up(), which has returned true
 *
 * Context: process.
 */
void pcn_space_give_up_end(struct pcn_space *s, struct pcn_give *give)
{
	spin_lock(&s->borrow->lock);
	list_del(&give->node);
	spin_unlock(&s->borrow->lock);
}

/* --- begin and end --- */

/**
 * pcn_forget_begin - be ready to remove entries of a space
 * @b:	the member's part of it
 *
 * Context: process.
 */
void pcn_forget_begin(struct pcn_borrow *b)
{
	INIT_LIST_HEAD(&b->gives);
	INIT_DELAYED_WORK(&b->work, forget_work);
}

/**
 * pcn_forget_end - nothing is to be removed any more
 * @b:	the member's part of a space, which no handler finds
 *
 * Context: process; sleeps.
 */
void pcn_forget_end(struct pcn_borrow *b)
{
	cancel_delayed_work_sync(&b->work);
}

/**
 * pcn_forget_init - be ready to be asked
 *
 * Context: initcall.
 * Return: 0; -ENOMEM; errors of pcn_msg_register().
 */
int __init pcn_forget_init(void)
{
	forget_wq = alloc_workqueue("popcorn_forget", WQ_UNBOUND | WQ_HIGHPRI | WQ_MEM_RECLAIM,
				    WQ_UNBOUND_MAX_ACTIVE);
	return forget_wq ? pcn_msg_register(&forget_type) : -ENOMEM;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory, at a member: its page tables have frames of the origin.
 *
 * A thread that finds no entry asks the origin for the frame (lend.c), waits without any
 * lock, and enters what the answer has. The VMAs here are copies of what the origin has
 * said at some time, and need not be right: each answer has what is there now, and a VMA
 * that is not like that is replaced. So nobody tells a member that a VMA has changed.
 *
 * Entries are in entries.c, and how they are removed in forget.c.
 *
 * An answer may refuse a page: it is no memory that the origin can lend, or the access is
 * not allowed. Then the thread goes there (pcn_borrow_was_refused()).
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/anon_inodes.h>
#include <linux/completion.h>
#include <linux/errno.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include <popcorn/core.h>
#include <popcorn/msg.h>

#include "internal.h"
#include "borrow.h"

/* So many pages around one come with it if others of the block are here already. */
#define WINDOW_PAGES	32

/**
 * struct fault - what a thread needs
 * @page:	number of the page
 * @around:	the VMA
 * @write:	to write it
 * @has:	there is an entry that allows to read it
 * @known:	pages of its block have been asked for before
 */
struct fault {
	u64		page;
	struct pcn_vma	around;
	bool		write;
	bool		has;
	bool		known;
};

static struct kmem_cache *question_cache __ro_after_init;

/* For how long a thread looks for its answer by itself. */
static struct pcn_linger answer_linger;

/* --- questions --- */

/**
 * pcn_question_void - pages are given up: of the answer that will come they are of no use
 * @q:		the question
 * @first:	number of the first page
 * @last:	number of the last one
 *
 * Context: &pcn_borrow.lock is held.
 */
void pcn_question_void(struct pcn_question *q, u64 first, u64 last)
{
	u64 block = round_down(q->page, PCN_BLOCK_PAGES);

	first = max(first, block);
	last = min(last, block + PCN_BLOCK_PAGES - 1);
	if (first > last)
		return;
	q->void_first = min(q->void_first, first);
	q->void_last = max(q->void_last, last);
}

/* @own, or NULL: what the thread itself gives up, and asks for by this question. */
static struct pcn_question *question_new(struct pcn_borrow *b, u64 page,
					 const struct pcn_give *own)
{
	struct pcn_give *give;
	struct pcn_question *q = kmem_cache_alloc(question_cache, GFP_KERNEL);

	if (!q)
		return NULL;
	q->owner = current;
	q->page = page;
	q->answered = false;
	q->stale = false;
	q->void_first = U64_MAX;
	q->void_last = 0;
	q->status = 0;
	init_completion(&q->done);
	spin_lock(&b->lock);
	q->cookie = ++b->cookie;
	list_add(&q->node, &b->questions);
	list_for_each_entry(give, &b->gives, node)
		if (give != own)
			pcn_question_void(q, give->first, give->last);
	spin_unlock(&b->lock);
	return q;
}

static void question_end(struct pcn_borrow *b, struct pcn_question *q)
{
	spin_lock(&b->lock);
	list_del(&q->node);
	spin_unlock(&b->lock);
	kmem_cache_free(question_cache, q);
}

static struct pcn_question *find_cookie(struct pcn_borrow *b, u32 cookie)
{
	struct pcn_question *q;

	lockdep_assert_held(&b->lock);
	list_for_each_entry(q, &b->questions, node)
		if (q->cookie == cookie && !q->answered)
			return q;
	return NULL;
}

/* What the current thread has been told already, or NULL. */
static struct pcn_question *find_own(struct pcn_borrow *b)
{
	struct pcn_question *q, *found = NULL;

	spin_lock(&b->lock);
	list_for_each_entry(q, &b->questions, node)
		if (q->owner == current)
			found = q;
	spin_unlock(&b->lock);
	return found;
}

static bool has_answer(const void *arg)
{
	const struct pcn_question *q = arg;

	return READ_ONCE(q->answered);
}

/* 0: there is an answer; -EINTR. */
static int question_wait(struct pcn_question *q)
{
	u64 since = ktime_get_ns();
	int err;

	pcn_msg_poll_until(&answer_linger, has_answer, q);
	err = wait_for_completion_killable(&q->done);
	pcn_linger_learn(&answer_linger, ktime_get_ns() - since);
	return err ? -EINTR : 0;
}

/* What is to be made, and of a block that has been asked for before, what is of use. */
static void ask_ahead(struct pcn_borrow *b, struct pcn_frames_ask *ask, const struct fault *f)
{
	struct pcn_pages all = { .first = ask->first, .last = ask->first + ask->count - 1 };
	u64 end;
	int stride;

	spin_lock(&b->lock);
	ask->ahead = pcn_stream_next(pcn_stream_of(b, &f->around, f->write), f->page, &all,
				     &stride);
	spin_unlock(&b->lock);
	ask->stride = stride;
	if (!f->known)
		return;
	end = f->page + (s64)(ask->ahead - 1) * stride;
	ask->first = max(all.first, round_down(min(f->page, end), WINDOW_PAGES));
	end = min(all.last + 1, round_up(max(f->page, end) + 1, WINDOW_PAGES));
	ask->count = end - ask->first;
}

static int question_send(struct pcn_space *s, const struct pcn_question *q,
			 const struct fault *f, bool given)
{
	u64 block = round_down(q->page, PCN_BLOCK_PAGES);
	u64 first = max(block, f->around.start >> PAGE_SHIFT);
	u64 end = min(block + PCN_BLOCK_PAGES, f->around.end >> PAGE_SHIFT);
	struct pcn_frames_ask ask = {
		.space = s->number, .page = q->page, .first = first, .count = end - first,
		.cookie = q->cookie, .write = f->write, .given = given,
	};

	ask_ahead(s->borrow, &ask, f);
	atomic64_inc(&s->stats.messages);
	return pcn_msg_send(s->group.origin, PCN_CONTROL, PCN_TYPE_FRAMES_ASK, &ask,
			    sizeof(ask));
}

/* It has been sent, or could not be. */
static int question_answer(struct pcn_space *s, struct pcn_question *q, int err)
{
	/* A space that has been broken since completes all questions. */
	if (!err && !READ_ONCE(s->broken))
		err = question_wait(q);
	return err ?: READ_ONCE(s->broken) ? -EINTR : q->status;
}

/* --- faults --- */

/* With no lock held: the process ends if it is not. */
static bool answer_is_of_origin(struct pcn_space *s, const struct pcn_frames *a)
{
	u64 pfn;
	u32 i;

	for (i = 0; i < a->head.count; i++) {
		pfn = a->frame[i] >> PCN_FRAME_SHIFT;
		if (!(a->frame[i] & PCN_FRAME_THERE) || pcn_memory_is_of(s->group.origin, pfn))
			continue;
		pr_err_ratelimited("space %llx: its origin names frame %llx, which is not its own\n",
				   s->number, pfn);
		pcn_space_kill(s, "its origin has named a frame that is not its own");
		return false;
	}
	return true;
}

/* False: it is not as the origin has said. */
static bool is_as_told(const struct vm_area_struct *vma, const struct pcn_vma *told)
{
	return vma->vm_ops == &pcn_vm_ops && pcn_vma_kept_flags(vma) == told->flags;
}

/* False: another thread's change has come in between, so ask again. */
static bool answer_enter(struct pcn_space *s, struct vm_area_struct *vma,
			 const struct pcn_question *q)
{
	struct pcn_borrow *b = s->borrow;
	bool use;

	spin_lock(&b->lock);
	use = !q->stale && !READ_ONCE(s->broken);
	if (use)
		pcn_entries_enter(vma, &q->answer);
	spin_unlock(&b->lock);
	return use;
}

static void fault_unlock(struct vm_area_struct *vma, unsigned int flags)
{
	if (flags & FAULT_FLAG_VMA_LOCK)
		vma_end_read(vma);
	else
		mmap_read_unlock(vma->vm_mm);
}

/* With an answer, and no lock. */
static vm_fault_t fault_complete(struct pcn_space *s, struct pcn_question *q)
{
	unsigned long address = q->page << PAGE_SHIFT;
	struct vm_area_struct *vma;
	vm_fault_t ret = VM_FAULT_RETRY;
	bool differs = true;

	if (!answer_is_of_origin(s, &q->answer) || mmap_read_lock_killable(s->mm))
		return ret;
	vma = vma_lookup(s->mm, address);
	if (vma && is_as_told(vma, &q->answer.head.vma)) {
		differs = false;
		if (!pcn_entries_prepare(vma, &q->answer, address) && answer_enter(s, vma, q))
			ret = VM_FAULT_COMPLETED;
	}
	mmap_read_unlock(s->mm);
	if (differs)
		pcn_vma_told(s->mm, address, &q->answer.head.vma);
	return ret;
}

/*
 * An entry of a page that is to be written may be of a frame that the process shares with
 * others, as after fork(2). It is given up first, or the origin would ask for that before
 * it copies the page.
 */
static struct pcn_question *fault_question(struct pcn_space *s, const struct fault *f, int *err)
{
	struct pcn_give give;
	bool given = f->has && pcn_space_give_up(s, &give, f->page, f->page);
	struct pcn_question *q;

	q = question_new(s->borrow, f->page, given ? &give : NULL);
	if (q)
		*err = question_send(s, q, f, given);
	if (given)
		pcn_space_give_up_end(s, &give);
	return q;
}

static vm_fault_t fault_ask(struct pcn_space *s, const struct fault *f)
{
	vm_fault_t ret = VM_FAULT_RETRY;
	struct pcn_question *q;
	int err = 0;
	u64 since;

	pcn_count_fault(s, f->write, false, false);
	since = pcn_wait_begin(s, f->page, f->write);
	q = fault_question(s, f, &err);
	if (q)
		err = question_answer(s, q, err);
	pcn_wait_end(s, f->page, f->write, since, q && !err);
	/* The thread faults again, and hears of it then. */
	if (!q || (err && err != -EINTR && q->answered))
		return ret;
	if (!err)
		ret = fault_complete(s, q);
	question_end(s->borrow, q);
	return ret;
}

/**
 * pcn_borrow_fault - a page fault at a member
 * @s:		the space
 * @vma:	the VMA
 * @address:	where
 * @flags:	FAULT_FLAG_*
 *
 * Nobody waits for the origin with a lock: one that could not let it go gets SIGBUS.
 *
 * Context: as handle_mm_fault().
 * Return: as handle_mm_fault(); VM_FAULT_SIGSEGV also if the origin has refused the page.
 */
vm_fault_t pcn_borrow_fault(struct pcn_space *s, struct vm_area_struct *vma,
			    unsigned long address, unsigned int flags)
{
	struct fault f = {
		.page = address >> PAGE_SHIFT,
		.around = { .start = vma->vm_start, .end = vma->vm_end },
		.write = flags & (FAULT_FLAG_WRITE | FAULT_FLAG_UNSHARE),
	};
	struct pcn_question *own;

	if (READ_ONCE(s->broken) || vma->vm_ops != &pcn_vm_ops)
		return VM_FAULT_SIGBUS;
	own = find_own(s->borrow);
	if (own && own->page == f.page)
		return VM_FAULT_SIGSEGV;
	/* It has gone home for that, and come back. */
	if (own)
		question_end(s->borrow, own);
	if (pcn_entries_allow(vma, address, f.write))
		return 0;
	if (!(flags & FAULT_FLAG_ALLOW_RETRY))
		return VM_FAULT_SIGBUS;
	if (flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	f.has = f.write && pcn_entries_has_small(vma, address);
	f.known = pcn_entries_has_any(vma, address);
	fault_unlock(vma, flags);
	return fault_ask(s, &f);
}

/**
 * pcn_borrow_thread_ends - the current thread has no question any more
 * @mm:	its address space
 *
 * Context: process.
 */
void pcn_borrow_thread_ends(struct mm_struct *mm)
{
	struct pcn_space *s = READ_ONCE(mm->popcorn);
	struct pcn_question *own = s && s->borrow ? find_own(s->borrow) : NULL;

	if (own)
		question_end(s->borrow, own);
}

/**
 * pcn_borrow_was_refused - has the current thread been told that a page cannot be had here?
 * @s:		the space
 * @page:	number of the page
 *
 * That is known until it is asked for.
 *
 * Context: process.
 */
bool pcn_borrow_was_refused(struct pcn_space *s, u64 page)
{
	struct pcn_question *own = find_own(s->borrow);
	bool refused = own && own->page == page;

	if (own)
		question_end(s->borrow, own);
	return refused;
}

/* --- what the origin says --- */

static bool answer_is_valid(const struct pcn_message *msg, const struct pcn_frames *a)
{
	const struct pcn_frames_head *h = &a->head;

	if (msg->length < sizeof(*h) || h->count > PCN_BLOCK_PAGES ||
	    msg->length != sizeof(*h) + h->count * sizeof(a->frame[0]))
		return false;
	if (h->status)
		return h->status < 0 && h->status >= -MAX_ERRNO;
	return h->count && h->first <= PCN_LAST_PAGE &&
	       h->first / PCN_BLOCK_PAGES ==
	       (h->first + h->count - 1) / PCN_BLOCK_PAGES;
}

/* The page that was asked for is among them. */
static bool answer_fits(const struct pcn_question *q, const struct pcn_frames_head *h)
{
	return h->status || (h->first <= q->page && q->page < h->first + h->count);
}

/**
 * pcn_answer_forget - pages are taken away: what else an answer has is still right
 * @q:		the question, which has an answer
 * @first:	number of the first page
 * @last:	number of the last one
 *
 * Context: &pcn_borrow.lock is held.
 */
void pcn_answer_forget(struct pcn_question *q, u64 first, u64 last)
{
	u64 begin = q->answer.head.first, end = begin + q->answer.head.count, page;

	for (page = max(first, begin); page < end && page <= last; page++)
		q->answer.frame[page - begin] = 0;
	if (q->page >= first && q->page <= last)
		q->stale = true;
}

static void take_answer(struct pcn_borrow *b, const struct pcn_frames *a)
{
	struct pcn_question *q = find_cookie(b, a->head.cookie);

	/* The thread may have been killed. */
	if (!q)
		return;
	q->status = answer_fits(q, &a->head) ? a->head.status : -EPROTO;
	if (!q->status) {
		memcpy(&q->answer, a, sizeof(a->head) + a->head.count * sizeof(a->frame[0]));
		pcn_answer_forget(q, q->void_first, q->void_last);
	}
	WRITE_ONCE(q->answered, true);
	complete(&q->done);
}

/**
 * pcn_borrow_of - the space of a message of its origin
 * @number:	of the space
 * @msg:	the message
 *
 * Context: a handler.
 * Return: this kernel's part of it, as long as the handler runs; NULL: it has none.
 */
struct pcn_borrow *pcn_borrow_of(u64 number, const struct pcn_message *msg)
{
	struct pcn_space *s = pcn_space_find(number);

	return s && s->group.origin == msg->kid ? s->borrow : NULL;
}

static void on_frames(const struct pcn_message *msg)
{
	const struct pcn_frames *a = msg->payload;
	struct pcn_borrow *b;

	if (!answer_is_valid(msg, a)) {
		pr_err_ratelimited("dropped a malformed answer from kernel %u\n", msg->kid);
		return;
	}
	b = pcn_borrow_of(a->head.space, msg);
	if (!b)
		return;
	spin_lock(&b->lock);
	take_answer(b, a);
	spin_unlock(&b->lock);
}

static const struct pcn_msg_type frames_type = {
	.name		= "frames",
	.channel	= PCN_COHERENCY,
	.type		= PCN_TYPE_FRAMES,
	.handle		= on_frames,
};

/* --- begin and end --- */

static const struct file_operations borrow_fops = {};

/**
 * pcn_borrow_begin - make a member's part of a space
 * @s:	the space
 *
 * From now on the memory of the origin gets no other use, should that die, before
 * pcn_borrow_end().
 *
 * Context: process.
 * Return: 0; -ENOMEM; errors of pcn_mapper_begin() and anon_inode_create_getfile().
 */
int pcn_borrow_begin(struct pcn_space *s)
{
	struct pcn_borrow *b = kzalloc(sizeof(*b), GFP_KERNEL);
	int err = -ENOMEM;

	if (!b || !pcn_reserve_fill(&b->farewell, 1, GFP_KERNEL))
		goto out;
	b->file = anon_inode_create_getfile("[popcorn]", &borrow_fops, NULL, O_RDWR, NULL);
	if (IS_ERR(b->file)) {
		err = PTR_ERR(b->file);
		goto out;
	}
	err = pcn_mapper_begin(s->group.origin);
	if (err) {
		fput(b->file);
		goto out;
	}
	b->s = s;
	spin_lock_init(&b->lock);
	INIT_LIST_HEAD(&b->questions);
	pcn_forget_begin(b);
	s->borrow = b;
	return 0;
out:
	if (b)
		pcn_reserve_empty(&b->farewell);
	kfree(b);
	return err;
}

/**
 * pcn_borrow_break - end all waits for pages
 * @s:	the space, which is broken
 *
 * Context: any but hard interrupt.
 */
void pcn_borrow_break(struct pcn_space *s)
{
	struct pcn_borrow *b = s->borrow;
	struct pcn_question *q;

	if (!b)
		return;
	spin_lock(&b->lock);
	list_for_each_entry(q, &b->questions, node) {
		if (q->answered)
			continue;
		q->status = -EINTR;
		WRITE_ONCE(q->answered, true);
		complete(&q->done);
	}
	spin_unlock(&b->lock);
}

/**
 * pcn_borrow_end - a member's part of a space ends
 * @s:	the space, which no handler finds any more; its mm, if there is one, has no user
 *
 * Linux would remove the entries when the address space goes, which is soon. But that the
 * origin's memory is not used any more has to be known for sure.
 *
 * Context: process, with no lock held.
 */
void pcn_borrow_end(struct pcn_space *s)
{
	struct pcn_borrow *b = s->borrow;
	struct pcn_question *q, *next;

	if (!b)
		return;
	pcn_forget_end(b);
	if (s->mm)
		pcn_pages_unmap(s->mm);
	pcn_msg_post_from(&b->farewell, s->group.origin, PCN_CONTROL,
			  PCN_TYPE_PROCESS_FORGOTTEN, &s->number, sizeof(s->number));
	pcn_mapper_end(s->group.origin);
	list_for_each_entry_safe(q, next, &b->questions, node)
		kmem_cache_free(question_cache, q);
	pcn_reserve_empty(&b->farewell);
	fput(b->file);
	kfree(b);
}

/**
 * pcn_borrow_file - the file of the VMAs of a member
 * @s:	the space
 *
 * Context: any.
 * Return: the file, with a reference for the caller; NULL: they have none.
 */
struct file *pcn_borrow_file(struct pcn_space *s)
{
	return s->borrow ? get_file(s->borrow->file) : NULL;
}

/* The address space has a user, and its space with it. */
static bool borrows(struct mm_struct *mm, unsigned long address, u64 pfn)
{
	struct pcn_space *s = READ_ONCE(mm->popcorn);
	struct vm_area_struct *vma = s && s->borrow ? vma_lookup(mm, address) : NULL;

	return vma && vma->vm_ops == &pcn_vm_ops && pcn_memory_is_of(s->group.origin, pfn);
}

/**
 * pcn_borrow_init - be ready to map frames of other kernels
 *
 * Context: initcall.
 * Return: 0; -ENOMEM; errors of pcn_msg_register().
 */
int __init pcn_borrow_init(void)
{
	int err;

	question_cache = KMEM_CACHE(pcn_question, 0);
	if (!question_cache)
		return -ENOMEM;
	pcn_attach_borrows(borrows);
	err = pcn_msg_register(&frames_type);
	return err ?: pcn_forget_init();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory, at a member: its page tables have frames of the origin.
 *
 * A thread that finds no entry asks the origin for the frame (lend.c), waits without any
 * lock, and enters what the answer has. The VMAs here are copies of what the origin has
 * said at some time, and need not be right: each answer has what is there now, and a VMA
 * that is not like that is replaced. So nobody tells a member that a VMA has changed.
 *
 * When the origin asks for that, entries are removed, and answers that have come and were not
 * entered are of no use any more: entering, and marking such an answer, exclude each other
 * (&pcn_borrow.lock). The request comes in a handler, which does it at once if it need not
 * wait. Otherwise a work item does: several requests together. It needs neither memory nor
 * a lock that is held while memory is allocated: memory may be what the origin waits for,
 * and some third kernel meanwhile for this one. So VMAs are not found by the address space,
 * whose lock such a thread may hold, but by their file, which is there for that:
 * unmap_mapping_range() is how drivers take frames away.
 *
 * A thread that is about to have pages taken away, as by munmap(2), gives them up first: it
 * removes their entries itself, and its call says so. The origin need not ask for that then.
 * The argument that it knows of every entry all the same: what it has been asked for before
 * the call is of no use for these pages (&question.void_first), and what it is asked for
 * later comes later, in the same channel, and is entered anew.
 *
 * An answer may refuse a page: it is no memory that the origin can lend, or the access is
 * not allowed. Then the thread goes there (pcn_borrow_was_refused()).
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/anon_inodes.h>
#include <linux/completion.h>
#include <linux/errno.h>
#include <linux/file.h>
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include <asm/tlbflush.h>

#include <popcorn/core.h>
#include <popcorn/msg.h>

#include "internal.h"
#include "mirror.h"

/* A thread that goes through memory has so many pages made at a time, at most. */
#define AHEAD_MAX	64

/* A handler removes so many entries at a time; a work item does what is more. */
#define AT_ONCE_PAGES	PCN_BLOCK_PAGES

/**
 * struct question - a thread wants a page
 * @node:	in pcn_borrow.questions
 * @owner:	the thread
 * @page:	number of the page
 * @cookie:	of the question
 * @answered:	@answer is there, or there will be none
 * @void_first:	of what the answer will have, pages from this one on ...
 * @void_last:	... to this one have been given up meanwhile; none if that is less
 * @stale:	pages of the answer have been taken away since
 * @status:	0, or why there is no frame
 * @done:	completed with @answered
 * @answer:	what has come
 */
struct question {
	struct list_head	node;
	struct task_struct	*owner;
	u64			page;
	u32			cookie;
	bool			answered;
	bool			stale;
	u64			void_first;
	u64			void_last;
	int			status;
	struct completion	done;
	struct pcn_frames	answer;
};

/**
 * struct pcn_borrow - a member's part of a space
 * @s:		the space
 * @file:	of all VMAs
 * @lock:	protects what follows; the locks of page tables are taken inside
 * @questions:	that have been asked, or whose refusal is still to be heard of
 * @gives:	pages that threads are giving up
 * @cookie:	of the last one
 * @next:	the page after those that the last answer had
 * @ahead:	how many were wanted ahead then
 * @first:	entries from this page on ...
 * @last:	... to this one are to be removed
 * @number:	of the last request for that; 0: there is none
 * @work:	removes them
 * @farewell:	memory to tell the origin that this kernel maps nothing of it any more
 */
struct pcn_borrow {
	struct pcn_space	*s;
	struct file		*file;
	spinlock_t		lock;
	struct list_head	questions;
	struct list_head	gives;
	u32			cookie;
	u64			next;
	unsigned int		ahead;
	u64			first;
	u64			last;
	u64			number;
	struct delayed_work	work;
	struct pcn_reserve	farewell;
};

static struct kmem_cache *question_cache __ro_after_init;
static struct workqueue_struct *forget_wq __ro_after_init;

/* For how long a thread looks for its answer by itself. */
static struct pcn_linger answer_linger;

/* --- questions --- */

/* It goes through memory: it gets twice as much each time. */
static unsigned int think_ahead(struct pcn_borrow *b, u64 page)
{
	lockdep_assert_held(&b->lock);
	if (page != b->next)
		b->ahead = 1;
	else if (b->ahead < AHEAD_MAX)
		b->ahead *= 2;
	b->next = page + b->ahead;
	return b->ahead;
}

/* What is in its block: of the answer to @q these pages are of no use. */
static void question_void(struct question *q, u64 first, u64 last)
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
static struct question *question_new(struct pcn_borrow *b, u64 page, u16 *ahead,
				     const struct pcn_give *own)
{
	struct pcn_give *give;
	struct question *q = kmem_cache_alloc(question_cache, GFP_KERNEL);

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
	*ahead = think_ahead(b, page);
	list_add(&q->node, &b->questions);
	list_for_each_entry(give, &b->gives, node)
		if (give != own)
			question_void(q, give->first, give->last);
	spin_unlock(&b->lock);
	return q;
}

static void question_end(struct pcn_borrow *b, struct question *q)
{
	spin_lock(&b->lock);
	list_del(&q->node);
	spin_unlock(&b->lock);
	kmem_cache_free(question_cache, q);
}

static struct question *find_cookie(struct pcn_borrow *b, u32 cookie)
{
	struct question *q;

	lockdep_assert_held(&b->lock);
	list_for_each_entry(q, &b->questions, node)
		if (q->cookie == cookie && !q->answered)
			return q;
	return NULL;
}

/* What the current thread has been told already, or NULL. */
static struct question *find_own(struct pcn_borrow *b)
{
	struct question *q, *found = NULL;

	spin_lock(&b->lock);
	list_for_each_entry(q, &b->questions, node)
		if (q->owner == current)
			found = q;
	spin_unlock(&b->lock);
	return found;
}

static bool has_answer(const void *arg)
{
	const struct question *q = arg;

	return READ_ONCE(q->answered);
}

/* 0: there is an answer; -EINTR. */
static int question_wait(struct question *q)
{
	u64 since = ktime_get_ns();
	int err;

	pcn_msg_poll_until(&answer_linger, has_answer, q);
	err = wait_for_completion_killable(&q->done);
	pcn_linger_learn(&answer_linger, ktime_get_ns() - since);
	return err ? -EINTR : 0;
}

static int question_send(struct pcn_space *s, const struct question *q, bool write,
			 bool given, u16 ahead, const struct pcn_vma *vma)
{
	u64 block = round_down(q->page, PCN_BLOCK_PAGES);
	u64 first = max(block, vma->start >> PAGE_SHIFT);
	u64 end = min(block + PCN_BLOCK_PAGES, vma->end >> PAGE_SHIFT);
	struct pcn_frames_ask ask = {
		.space = s->number, .page = q->page, .first = first,
		.count = end - first, .ahead = ahead, .cookie = q->cookie,
		.write = write, .given = given,
	};

	atomic64_inc(&s->stats.messages);
	return pcn_msg_send(s->group.origin, PCN_CONTROL, PCN_TYPE_FRAMES_ASK, &ask,
			    sizeof(ask));
}

/* It has been sent, or could not be. */
static int question_answer(struct pcn_space *s, struct question *q, int err)
{
	/* A space that has been broken since completes all questions. */
	if (!err && !READ_ONCE(s->broken))
		err = question_wait(q);
	return err ?: READ_ONCE(s->broken) ? -EINTR : q->status;
}

/* --- entries --- */

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

static pte_t make_pte(struct vm_area_struct *vma, u64 frame)
{
	pte_t pte = pfn_pte(frame >> PCN_FRAME_SHIFT, vma->vm_page_prot);

	pte = pte_mkspecial(pte_mkyoung(pte_mkdirty(pte)));
	return frame & PCN_FRAME_WRITE ? maybe_mkwrite(pte, vma) : pte_wrprotect(pte);
}

/* An entry that is there is never changed but to allow more: that would have been told. */
static void enter_frame(struct vm_area_struct *vma, unsigned long address, pte_t *pte,
			u64 frame)
{
	pte_t old = ptep_get(pte);

	if (!(frame & PCN_FRAME_THERE))
		return;
	if (!pte_none(old)) {
		/* Another frame is a lie: what is there stays. */
		if (pte_pfn(old) != frame >> PCN_FRAME_SHIFT || pte_write(old) ||
		    !(frame & PCN_FRAME_WRITE))
			return;
	}
	set_pte_at(vma->vm_mm, address, pte, make_pte(vma, frame));
	update_mmu_cache(vma, address, pte);
}

/* All of a block, in one piece: one entry is enough. */
static bool is_huge(const struct vm_area_struct *vma, const struct pcn_frames *a)
{
	u64 frame = a->frame[0], start = a->head.first << PAGE_SHIFT;
	u32 i;

	if (!IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) || a->head.count < PCN_BLOCK_PAGES ||
	    !(frame & PCN_FRAME_THERE) || (frame >> PCN_FRAME_SHIFT) % PCN_BLOCK_PAGES ||
	    start < vma->vm_start || start + PMD_SIZE > vma->vm_end)
		return false;
	for (i = 1; i < PCN_BLOCK_PAGES; i++)
		if (a->frame[i] != frame + ((u64)i << PCN_FRAME_SHIFT))
			return false;
	return true;
}

static pmd_t make_pmd(struct vm_area_struct *vma, u64 frame)
{
	pmd_t pmd = pmd_mkhuge(pfn_pmd(frame >> PCN_FRAME_SHIFT, vma->vm_page_prot));

	pmd = pmd_mkspecial(pmd_mkyoung(pmd_mkdirty(pmd)));
	return frame & PCN_FRAME_WRITE && vma->vm_flags & VM_WRITE ? pmd_mkwrite(pmd, vma) :
								     pmd_wrprotect(pmd);
}

/* False: there are small entries. */
static bool enter_huge(struct vm_area_struct *vma, pmd_t *pmd, unsigned long address, u64 frame)
{
	spinlock_t *ptl = pmd_lock(vma->vm_mm, pmd);
	bool done = pmd_none(*pmd) ||
		    (pmd_leaf(*pmd) && pmd_pfn(*pmd) == frame >> PCN_FRAME_SHIFT);

	if (done) {
		set_pmd_at(vma->vm_mm, address, pmd, make_pmd(vma, frame));
		update_mmu_cache_pmd(vma, address, pmd);
	}
	spin_unlock(ptl);
	return done;
}

/* True: there was one. */
static bool clear_huge(struct vm_area_struct *vma, pmd_t *pmd, unsigned long address)
{
	spinlock_t *ptl;
	bool leaf;

	if (!IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE))
		return false;
	ptl = pmd_lock(vma->vm_mm, pmd);
	leaf = pmd_leaf(*pmd);
	/* Flush with the lock held: who finds no entry assumes that no TLB has it. */
	if (leaf)
		pmdp_huge_clear_flush(vma, round_down(address, PMD_SIZE), pmd);
	spin_unlock(ptl);
	return leaf;
}

/* With &pcn_borrow.lock, and the VMA locked. The page table is there, or a huge entry. */
static void enter_frames(struct vm_area_struct *vma, const struct pcn_frames *a)
{
	u64 first = max(a->head.first, (u64)vma->vm_start >> PAGE_SHIFT);
	u64 end = min(a->head.first + a->head.count, (u64)vma->vm_end >> PAGE_SHIFT);
	pmd_t *pmd = pcn_pmd_of(vma->vm_mm, first << PAGE_SHIFT);
	pte_t *pte, *begin;
	spinlock_t *ptl;
	u64 page;

	if (pmd && is_huge(vma, a) && enter_huge(vma, pmd, first << PAGE_SHIFT, a->frame[0]))
		return;
	/* Small ones take its place when they are asked for again. */
	if (pmd)
		clear_huge(vma, pmd, first << PAGE_SHIFT);
	begin = pmd ? pte_offset_map_lock(vma->vm_mm, pmd, first << PAGE_SHIFT, &ptl) : NULL;
	if (!begin)
		return;
	for (page = first, pte = begin; page < end; page++, pte++)
		enter_frame(vma, page << PAGE_SHIFT, pte, a->frame[page - a->head.first]);
	pte_unmap_unlock(begin, ptl);
}

/* False: it is not as the origin has said. */
static bool is_as_told(const struct vm_area_struct *vma, const struct pcn_vma *told)
{
	return vma->vm_ops == &pcn_vm_ops && pcn_vma_kept_flags(vma) == told->flags;
}

/* False: another thread's change has come in between, so ask again. */
static bool answer_enter(struct pcn_space *s, struct vm_area_struct *vma,
			 const struct question *q)
{
	struct pcn_borrow *b = s->borrow;
	bool use;

	spin_lock(&b->lock);
	use = !q->stale && !READ_ONCE(s->broken);
	if (use)
		enter_frames(vma, &q->answer);
	spin_unlock(&b->lock);
	return use;
}

/* Is there an entry that allows the access by now? The VMA is locked. */
static bool has_entry(struct vm_area_struct *vma, unsigned long address, bool write)
{
	pmd_t *pmd = pcn_pmd_of(vma->vm_mm, address);
	spinlock_t *ptl;
	pmd_t huge = pmd ? pmdp_get_lockless(pmd) : __pmd(0);
	pte_t *pte, entry;
	bool there;

	if (pmd_leaf(huge))
		return !write || pmd_write(huge);
	pte = pmd ? pte_offset_map_lock(vma->vm_mm, pmd, address, &ptl) : NULL;
	if (!pte)
		return false;
	entry = ptep_get(pte);
	there = pte_present(entry) && (!write || pte_write(entry));
	pte_unmap_unlock(pte, ptl);
	return there;
}

/* --- faults --- */

static void fault_unlock(struct vm_area_struct *vma, unsigned int flags)
{
	if (flags & FAULT_FLAG_VMA_LOCK)
		vma_end_read(vma);
	else
		mmap_read_unlock(vma->vm_mm);
}

/* With mmap_lock. */
static int prepare_table(struct vm_area_struct *vma, const struct pcn_frames *a,
			 unsigned long address)
{
	struct mm_struct *mm = vma->vm_mm;
	p4d_t *p4d = p4d_alloc(mm, pgd_offset(mm, address), address);
	pud_t *pud = p4d ? pud_alloc(mm, p4d, address) : NULL;
	pmd_t *pmd = pud ? pmd_alloc(mm, pud, address) : NULL;

	if (!pmd || (!is_huge(vma, a) && pte_alloc(mm, pmd)))
		return -ENOMEM;
	return 0;
}

/* With an answer, and no lock. */
static vm_fault_t fault_complete(struct pcn_space *s, struct question *q)
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
		if (!prepare_table(vma, &q->answer, address) && answer_enter(s, vma, q))
			ret = VM_FAULT_COMPLETED;
	}
	mmap_read_unlock(s->mm);
	if (differs)
		pcn_vma_told(s->mm, address, &q->answer.head.vma);
	return ret;
}

/**
 * struct fault - what a thread needs
 * @page:	number of the page
 * @around:	the VMA
 * @write:	to write it
 * @has:	there is an entry that allows to read it
 */
struct fault {
	u64		page;
	struct pcn_vma	around;
	bool		write;
	bool		has;
};

/*
 * An entry of a page that is to be written may be of a frame that the process shares with
 * others, as after fork(2). It is given up first, or the origin would ask for that before
 * it copies the page.
 */
static struct question *fault_question(struct pcn_space *s, const struct fault *f, int *err)
{
	struct pcn_give give;
	bool given = f->has && pcn_space_give_up(s, &give, f->page, f->page);
	struct question *q;
	u16 ahead;

	q = question_new(s->borrow, f->page, &ahead, given ? &give : NULL);
	if (q)
		*err = question_send(s, q, f->write, given, ahead, &f->around);
	if (given)
		pcn_space_give_up_end(s, &give);
	return q;
}

static vm_fault_t fault_ask(struct pcn_space *s, const struct fault *f)
{
	vm_fault_t ret = VM_FAULT_RETRY;
	struct question *q;
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
	struct question *own;

	if (READ_ONCE(s->broken) || vma->vm_ops != &pcn_vm_ops)
		return VM_FAULT_SIGBUS;
	own = find_own(s->borrow);
	if (own && own->page == f.page)
		return VM_FAULT_SIGSEGV;
	/* It has gone home for that, and come back. */
	if (own)
		question_end(s->borrow, own);
	if (has_entry(vma, address, f.write))
		return 0;
	if (!(flags & FAULT_FLAG_ALLOW_RETRY))
		return VM_FAULT_SIGBUS;
	if (flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	f.has = f.write && has_entry(vma, address, false);
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
	struct question *own = s && s->borrow ? find_own(s->borrow) : NULL;

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
	struct question *own = find_own(s->borrow);
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
static bool answer_fits(const struct question *q, const struct pcn_frames_head *h)
{
	return h->status || (h->first <= q->page && q->page < h->first + h->count);
}

/* What else it has is still right. */
static void answer_forget(struct question *q, u64 first, u64 last)
{
	u64 begin = q->answer.head.first, end = begin + q->answer.head.count, page;

	for (page = max(first, begin); page < end && page <= last; page++)
		q->answer.frame[page - begin] = 0;
	if (q->page >= first && q->page <= last)
		q->stale = true;
}

static void take_answer(struct pcn_borrow *b, const struct pcn_frames *a)
{
	struct question *q = find_cookie(b, a->head.cookie);

	/* The thread may have been killed. */
	if (!q)
		return;
	q->status = answer_fits(q, &a->head) ? a->head.status : -EPROTO;
	if (!q->status) {
		memcpy(&q->answer, a, sizeof(a->head) + a->head.count * sizeof(a->frame[0]));
		answer_forget(q, q->void_first, q->void_last);
	}
	WRITE_ONCE(q->answered, true);
	complete(&q->done);
}

/* The space of a message of its origin, if this kernel is a member. */
static struct pcn_borrow *find_borrow(u64 number, const struct pcn_message *msg)
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
	b = find_borrow(a->head.space, msg);
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

/* --- forgetting --- */

/* With &pcn_borrow.lock. Those that have no answer yet will get one of today. */
static void answers_forget(struct pcn_borrow *b, u64 first, u64 last)
{
	struct question *q;

	list_for_each_entry(q, &b->questions, node)
		if (q->answered && !q->status)
			answer_forget(q, first, last);
}

/* Return: may a TLB have entries? One that somebody else has cleared may not be flushed yet. */
static bool clear_entries(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	pmd_t *pmd = pcn_pmd_of(vma->vm_mm, start);
	bool any = false;
	pte_t *pte, *begin;
	spinlock_t *ptl;

	/* All of a huge entry goes. */
	if (pmd && clear_huge(vma, pmd, start))
		return false;
	begin = pmd ? pte_offset_map_lock(vma->vm_mm, pmd, start, &ptl) : NULL;
	if (!begin)
		return mm_tlb_flush_nested(vma->vm_mm);
	for (pte = begin; start < end; pte++, start += PAGE_SIZE) {
		if (pte_none(ptep_get(pte)))
			continue;
		ptep_get_and_clear(vma->vm_mm, start, pte);
		any = true;
	}
	any |= mm_tlb_flush_nested(vma->vm_mm);
	pte_unmap_unlock(begin, ptl);
	return any;
}

/* No VMA of the file comes or goes meanwhile, nor its page tables. */
static void vma_forget(struct vm_area_struct *vma, u64 first, u64 last)
{
	unsigned long from = max(vma->vm_start, (unsigned long)first << PAGE_SHIFT);
	unsigned long to = min(vma->vm_end, (unsigned long)(last + 1) << PAGE_SHIFT);
	unsigned long at, next;
	bool any = false;

	/* So others see it who find no entry: another thread's, the handler's, Linux's own. */
	inc_tlb_flush_pending(vma->vm_mm);
	for (at = from; at < to; at = next) {
		next = min(to, round_down(at, PMD_SIZE) + PMD_SIZE);
		any |= clear_entries(vma, at, next);
	}
	if (any)
		flush_tlb_range(vma, from, to);
	dec_tlb_flush_pending(vma->vm_mm);
}

/* With the mapping's lock. */
static void forget_locked(struct address_space *mapping, u64 first, u64 last)
{
	struct vm_area_struct *vma;

	vma_interval_tree_foreach(vma, &mapping->i_mmap, first, last)
		vma_forget(vma, first, last);
}

/* False: that has to wait, or is much. */
static bool forget_at_once(struct pcn_borrow *b, u64 first, u64 last)
{
	struct address_space *mapping = b->file->f_mapping;

	if (last - first >= AT_ONCE_PAGES || !i_mmap_trylock_read(mapping))
		return false;
	forget_locked(mapping, first, last);
	i_mmap_unlock_read(mapping);
	return true;
}

static void forget_later(struct pcn_borrow *b, const struct pcn_forget *f)
{
	lockdep_assert_held(&b->lock);
	b->first = b->number ? min(b->first, f->first) : f->first;
	b->last = b->number ? max(b->last, f->last) : f->last;
	b->number = f->number;
	queue_delayed_work(forget_wq, &b->work, 0);
}

static void forget_work(struct work_struct *work)
{
	struct pcn_borrow *b = container_of(to_delayed_work(work), struct pcn_borrow, work);
	struct pcn_forget f = { .space = b->s->number };
	int err;

	spin_lock(&b->lock);
	f.first = b->first;
	f.last = b->last;
	f.number = b->number;
	spin_unlock(&b->lock);
	unmap_mapping_range(b->file->f_mapping, f.first << PAGE_SHIFT,
			    (f.last - f.first + 1) << PAGE_SHIFT, 1);
	spin_lock(&b->lock);
	err = pcn_msg_post(b->s->group.origin, PCN_COHERENCY, PCN_TYPE_FORGOT, &f, sizeof(f));
	/* Without memory it is said later. Otherwise, if more has come this runs again. */
	if (err == -ENOMEM || err == -ENOBUFS)
		queue_delayed_work(forget_wq, &b->work, 1);
	else if (b->number == f.number)
		b->number = 0;
	spin_unlock(&b->lock);
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
	b = find_borrow(f->space, msg);
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
	struct question *q;

	spin_lock(&b->lock);
	list_add(&give->node, &b->gives);
	list_for_each_entry(q, &b->questions, node) {
		if (!q->answered)
			question_void(q, give->first, give->last);
		else if (!q->status)
			answer_forget(q, give->first, give->last);
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
		forget_locked(mapping, first, last);
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
	INIT_LIST_HEAD(&b->gives);
	INIT_DELAYED_WORK(&b->work, forget_work);
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
	struct question *q;

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
	struct question *q, *next;

	if (!b)
		return;
	cancel_delayed_work_sync(&b->work);
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

	question_cache = KMEM_CACHE(question, 0);
	forget_wq = alloc_workqueue("popcorn_forget", WQ_UNBOUND | WQ_HIGHPRI | WQ_MEM_RECLAIM,
				    WQ_UNBOUND_MAX_ACTIVE);
	if (!question_cache || !forget_wq)
		return -ENOMEM;
	pcn_attach_borrows(borrows);
	err = pcn_msg_register(&frames_type);
	return err ?: pcn_msg_register(&forget_type);
}

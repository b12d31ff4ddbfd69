// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory, at the origin: other kernels mirror the page tables of a process.
 *
 * Where the hardware keeps the memory of all kernels coherent a page need not move. The
 * address space of a process stays Linux's, at the origin, in every respect. A member that
 * needs a page asks which frame it is in (lend.c), and maps that (borrow.c). From then on
 * the page costs no message, and an atomic operation is the hardware's.
 *
 * So the entries of a member are a secondary MMU, like those of a virtual machine, and an
 * MMU notifier keeps them right. Before Linux takes a page away, or what may be done with
 * it, whoever asks and for whatever reason (munmap, mprotect, fork, truncation, reclaim,
 * migration), it calls mirror_begin_change(), which has all members that may have an entry
 * there forget it, and returns when they have. Until mirror_end_change() nobody is told of
 * a frame of these pages.
 *
 * The argument that no entry outlives its frame:
 *
 *	Members are told of frames with &pcn_mirror.lock held, in which the entries of Linux
 *	are read, the member is entered in @lent, and the message is sent; and only if the
 *	pages are not being changed. A change is entered with the lock held, and then the
 *	members in @lent are asked to forget. So a frame was either named before the
 *	request to forget, or after the end of the change, when Linux's entry is another one.
 *	Messages of one kernel to another one do not overtake: a member has heard of the frame
 *	when the request comes, and has entered it or never will (forget.c).
 *
 * Whoever waits here may hold any lock, and may be about to free memory for somebody. So
 * what it waits for needs no memory and no lock of this kernel: members do what they are
 * asked for with locks that are not held while memory is allocated, and answer from a
 * handler or a rescued work item.
 *
 * A member that dies has forgotten all, once its CPUs are parked. One that may go on using
 * frames after the link to it has broken, or that does not answer, is *adrift*: the process
 * is killed, and what it may use is kept (kept.c).
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <trace/events/popcorn.h>

#include <popcorn/core.h>
#include <popcorn/msg.h>

#include "internal.h"
#include "mirror.h"

/* A kernel that is up and does not forget within this time has broken the protocol. */
#define FORGET_LIMIT_MS		(60 * MSEC_PER_SEC)

/* What ends does not wait for so long: frames are kept instead. */
#define END_LIMIT_MS		(1 * MSEC_PER_SEC)

/* So often a thread that waits looks whether a kernel that is down is parked. */
#define LOOK_JIFFIES		(HZ / 20 + 1)

static struct pcn_linger forget_linger;

/* --- who may map what --- */

/* With the lock. */
static u64 lent_in(struct pcn_mirror *m, u64 first, u64 last)
{
	return pcn_lent_to(&m->lent, first, last) & ~(m->gone | m->adrift);
}

/* False: the page is among them. Otherwise they are not in @p any more. */
static bool avoid(const struct pcn_pages *c, u64 page, struct pcn_pages *p)
{
	if (page >= c->first && page <= c->last)
		return false;
	if (c->first > page)
		p->last = min(p->last, c->first - 1);
	else
		p->first = max(p->first, c->last + 1);
	return true;
}

/**
 * pcn_mirror_avoid_changes - which pages around one are not being changed?
 * @m:		the mirror
 * @page:	number of the page
 * @around:	pages around it, and it: those that are changed, and what is behind them,
 *		are left out. As it was if the answer is false
 *
 * Context: the mirror's lock is held, and the answer stays as long as it is.
 * Return: false: it is being changed itself.
 */
bool pcn_mirror_avoid_changes(struct pcn_mirror *m, u64 page, struct pcn_pages *around)
{
	struct pcn_pages p = *around;
	unsigned int i;

	lockdep_assert_held(&m->lock);
	for (i = 0; i < m->changes; i++)
		if (!avoid(&m->change[i], page, &p))
			return false;
	if (m->more && !avoid(&m->rest, page, &p))
		return false;
	*around = p;
	return true;
}

/* Those that find no room are taken for one of all that lies between. */
static void change_enter(struct pcn_mirror *m, u64 first, u64 last)
{
	if (m->changes < PCN_CHANGES) {
		m->change[m->changes++] = (struct pcn_pages) { .first = first, .last = last };
		return;
	}
	m->rest.first = m->more ? min(m->rest.first, first) : first;
	m->rest.last = m->more ? max(m->rest.last, last) : last;
	m->more++;
}

static void change_leave(struct pcn_mirror *m, u64 first, u64 last)
{
	struct pcn_pages *c;

	for (c = m->change; c < m->change + m->changes; c++) {
		if (c->first != first || c->last != last)
			continue;
		*c = m->change[--m->changes];
		return;
	}
	if (!WARN_ON_ONCE(!m->more))
		m->more--;
}

/* --- to have others forget --- */

/**
 * struct wait_for - others are to forget something
 * @m:		the mirror
 * @who:	they
 * @number:	of the request
 */
struct wait_for {
	struct pcn_mirror	*m;
	u64			who;
	u64			number;
};

/* It is down, and has no entry any more: soon everybody hears of it. */
static bool is_parked(unsigned int kid)
{
	return !pcn_peer_is_up(kid) && !pcn_kept_mapper_is(kid);
}

static u64 who_is_left(const struct wait_for *w)
{
	u64 left = w->who & ~(READ_ONCE(w->m->gone) | READ_ONCE(w->m->adrift));
	unsigned int kid;

	for_each_kernel(kid, left)
		if (READ_ONCE(w->m->forgot[kid]) >= w->number || is_parked(kid))
			left &= ~BIT_ULL(kid);
	return left;
}

static bool have_forgotten(const void *arg)
{
	return !who_is_left(arg);
}

/*
 * With the lock, so that requests leave in the order of their numbers. Return the members
 * that could not be asked, for want of memory.
 */
static u64 ask_to_forget(struct wait_for *w, struct pcn_forget *f)
{
	u64 others = w->who, left = 0;
	unsigned int kid;
	int err;

	f->number = w->number = ++w->m->asked;
	for_each_kernel(kid, others) {
		err = pcn_msg_post(kid, PCN_COHERENCY, PCN_TYPE_FORGET, f, sizeof(*f));
		if (err == -ENOMEM || err == -ENOBUFS)
			left |= BIT_ULL(kid);
		/* Otherwise it is down, or its link broken: pcn_mirror_lose() will say what to do. */
	}
	return left;
}

/*
 * Kernels that are up answer. Of those that are not it comes to be known what they may do, by
 * somebody who may wait for memory: so look, too, whether they are parked, which nobody says.
 */
static void wait_until_forgotten(struct wait_for *w, unsigned long end)
{
	pcn_msg_poll_until(&forget_linger, have_forgotten, w);
	while (!wait_event_timeout(w->m->wait, have_forgotten(w), LOOK_JIFFIES) &&
	       time_before(jiffies, end))
		;
}

/* With the process at its end nobody is killed for it. */
static void lose_silent(struct pcn_mirror *m, u64 silent)
{
	unsigned int kid;

	spin_lock(&m->lock);
	m->adrift |= silent;
	spin_unlock(&m->lock);
	wake_up_all(&m->wait);
	for_each_kernel(kid, silent)
		if (!READ_ONCE(m->over))
			m->ops->lose(m->number, kid, "is up and does not forget pages");
}

/* Return the members that were asked and have not answered. *@left: could not be asked. */
static u64 ask_and_wait(struct pcn_mirror *m, struct pcn_forget *f, u64 *left,
			unsigned long end)
{
	struct wait_for w = { .m = m, .who = *left };

	spin_lock(&m->lock);
	*left = ask_to_forget(&w, f);
	spin_unlock(&m->lock);
	w.who &= ~*left;
	wait_until_forgotten(&w, end);
	return who_is_left(&w);
}

static void forget_everywhere(struct pcn_mirror *m, struct pcn_forget *f, u64 who,
			      unsigned int limit_ms)
{
	unsigned long end = jiffies + msecs_to_jiffies(limit_ms);
	u64 since = ktime_get_ns(), left = who, silent = 0;

	for (;;) {
		silent |= ask_and_wait(m, f, &left, end);
		left &= ~(READ_ONCE(m->gone) | READ_ONCE(m->adrift));
		if (!left || time_after(jiffies, end))
			break;
		/* There will be room, or that kernel goes down. */
		schedule_timeout_uninterruptible(1);
	}
	if (silent | left)
		lose_silent(m, silent | left);
	pcn_linger_learn(&forget_linger, ktime_get_ns() - since);
}

/* --- frames that somebody may go on using --- */

static void keep_page(struct pcn_mirror *m, unsigned long pfn)
{
	struct folio *folio;

	if (!pfn_valid(pfn))
		return;
	folio = page_folio(pfn_to_page(pfn));
	/* A page of the kernel itself stays where it is. */
	if (!folio_test_reserved(folio))
		pcn_kept_add(m->kept, folio);
}

static void keep_block(struct pcn_mirror *m, unsigned long start, unsigned long end)
{
	struct mm_struct *mm = m->notifier.mm;
	pmd_t *pmd = pcn_pmd_of(mm, start);
	pte_t *pte, *begin;
	spinlock_t *ptl;

	if (!pmd || !pmd_present(pmdp_get_lockless(pmd)))
		return;
	if (pmd_leaf(pmdp_get_lockless(pmd))) {
		ptl = pmd_lock(mm, pmd);
		if (pmd_leaf(*pmd) && pmd_present(*pmd))
			keep_page(m, pmd_pfn(*pmd));
		spin_unlock(ptl);
		return;
	}
	begin = pte_offset_map_lock(mm, pmd, start, &ptl);
	if (!begin)
		return;
	for (pte = begin; start < end; pte++, start += PAGE_SIZE)
		if (pte_present(ptep_get(pte)))
			keep_page(m, pte_pfn(ptep_get(pte)));
	pte_unmap_unlock(begin, ptl);
}

static u64 next_lent(struct pcn_mirror *m, u64 page, u64 last, u64 users)
{
	u64 next;

	spin_lock(&m->lock);
	next = page > last ? U64_MAX : pcn_lent_next(&m->lent, page, last, users);
	spin_unlock(&m->lock);
	return next;
}

/* The page tables are there as long as their entries are about to be removed. */
static void keep_lent(struct pcn_mirror *m, u64 first, u64 last, u64 users)
{
	u64 page, end;

	pcn_kept_for(m->kept, users);
	for (page = first; (page = next_lent(m, page, last, users)) <= last; page = end) {
		end = min(round_down(page, PCN_BLOCK_PAGES) + PCN_BLOCK_PAGES, last + 1);
		keep_block(m, page << PAGE_SHIFT, end << PAGE_SHIFT);
	}
}

/* --- what Linux tells --- */

static struct pcn_mirror *mirror_of(struct mmu_notifier *notifier)
{
	return container_of(notifier, struct pcn_mirror, notifier);
}

static void forget_range(struct pcn_mirror *m, u64 first, u64 last, u64 who,
			 unsigned int limit_ms)
{
	struct pcn_forget f = { .space = m->number, .first = first, .last = last };

	if (who)
		forget_everywhere(m, &f, who, limit_ms);
	if (READ_ONCE(m->adrift))
		keep_lent(m, first, last, READ_ONCE(m->adrift));
	/* Nobody is told of anything there before the change is over. */
	spin_lock(&m->lock);
	pcn_lent_clear(&m->lent, first, last, ~m->adrift);
	spin_unlock(&m->lock);
}

/* All addresses may be more than there can be. */
static struct pcn_pages pages_of(const struct mmu_notifier_range *range)
{
	return (struct pcn_pages) {
		.first = min_t(u64, range->start >> PAGE_SHIFT, PCN_LAST_PAGE),
		.last = min_t(u64, (range->end - 1) >> PAGE_SHIFT, PCN_LAST_PAGE),
	};
}

static void begin_change(struct pcn_mirror *m, struct pcn_pages p, bool may_wait)
{
	u64 who;

	spin_lock(&m->lock);
	who = lent_in(m, p.first, p.last);
	change_enter(m, p.first, p.last);
	if (who && !m->over)
		atomic64_inc(&m->stats->rounds);
	spin_unlock(&m->lock);
	if (!who && !READ_ONCE(m->adrift))
		return;
	if (may_wait)
		forget_range(m, p.first, p.last, who, FORGET_LIMIT_MS);
	else
		/* The process is being killed: they are freed when all is. */
		keep_lent(m, p.first, p.last, who | READ_ONCE(m->adrift));
}

static void end_change(struct pcn_mirror *m, struct pcn_pages p)
{
	spin_lock(&m->lock);
	change_leave(m, p.first, p.last);
	spin_unlock(&m->lock);
	if (wq_has_sleeper(&m->wait))
		wake_up_all(&m->wait);
}

static int mirror_begin_change(struct mmu_notifier *notifier,
			       const struct mmu_notifier_range *range)
{
	begin_change(mirror_of(notifier), pages_of(range),
		     mmu_notifier_range_blockable(range));
	return 0;
}

static void mirror_end_change(struct mmu_notifier *notifier,
			      const struct mmu_notifier_range *range)
{
	end_change(mirror_of(notifier), pages_of(range));
}

/* fork(2) protects what is in it. */
static bool is_private(const struct vm_area_struct *vma)
{
	return vma->anon_vma && is_cow_mapping(vma->vm_flags) &&
	       !(vma->vm_flags & (VM_DONTCOPY | VM_WIPEONFORK));
}

static struct pcn_pages pages_in(const struct vm_area_struct *vma)
{
	return (struct pcn_pages) {
		.first = vma->vm_start >> PAGE_SHIFT,
		.last = (vma->vm_end >> PAGE_SHIFT) - 1,
	};
}

/*
 * With mmap_lock: kernels that may have entries there. Nobody is told of more until that is let
 * go, as fork(2) will lock these VMAs anyway.
 */
static u64 private_lent_to(struct pcn_mirror *m)
{
	VMA_ITERATOR(vmi, m->notifier.mm, 0);
	struct vm_area_struct *vma;
	u64 who = 0;

	for_each_vma(vmi, vma) {
		if (!is_private(vma))
			continue;
		vma_start_write(vma);
		spin_lock(&m->lock);
		who |= lent_in(m, pages_in(vma).first, pages_in(vma).last);
		spin_unlock(&m->lock);
	}
	return who;
}

/* Likewise. Of those that cannot be asked, for want of memory, nobody is waited for. */
static void ask_to_forget_private(struct wait_for *w)
{
	VMA_ITERATOR(vmi, w->m->notifier.mm, 0);
	struct pcn_forget f = { .space = w->m->number };
	struct vm_area_struct *vma;

	for_each_vma(vmi, vma) {
		if (!is_private(vma))
			continue;
		f.first = pages_in(vma).first;
		f.last = pages_in(vma).last;
		spin_lock(&w->m->lock);
		if (lent_in(w->m, f.first, f.last) & w->who)
			w->who &= ~ask_to_forget(w, &f);
		spin_unlock(&w->m->lock);
	}
}

static void private_is_forgotten_by(struct pcn_mirror *m, u64 who)
{
	VMA_ITERATOR(vmi, m->notifier.mm, 0);
	struct vm_area_struct *vma;

	for_each_vma(vmi, vma) {
		if (!is_private(vma))
			continue;
		spin_lock(&m->lock);
		pcn_lent_clear(&m->lent, pages_in(vma).first, pages_in(vma).last,
			       who & ~m->adrift);
		spin_unlock(&m->lock);
	}
}

/**
 * pcn_mirror_forget_private - have others forget what fork(2) is about to protect
 * @m:	the mirror
 *
 * All of it at once: Linux itself tells of one VMA after the other, which would each be waited
 * for. Who does not answer is asked again then.
 *
 * Context: process, with mmap_lock held to write; sleeps.
 */
void pcn_mirror_forget_private(struct pcn_mirror *m)
{
	struct pcn_pages all = { .last = PCN_LAST_PAGE };
	struct wait_for w = { .m = m };

	spin_lock(&m->lock);
	change_enter(m, all.first, all.last);
	spin_unlock(&m->lock);
	w.who = private_lent_to(m);
	ask_to_forget_private(&w);
	if (w.who) {
		atomic64_inc(&m->stats->rounds);
		wait_until_forgotten(&w, jiffies + msecs_to_jiffies(END_LIMIT_MS));
		private_is_forgotten_by(m, w.who & ~who_is_left(&w));
	}
	end_change(m, all);
}

/* mmu_notifier_get_locked() asks for what it was told before. */
static struct mmu_notifier *mirror_alloc(struct mm_struct *mm)
{
	struct pcn_mirror *m = kzalloc(sizeof(*m), GFP_KERNEL);

	if (!m)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&m->lock);
	xa_init(&m->lent);
	init_waitqueue_head(&m->wait);
	return &m->notifier;
}

static void mirror_release(struct mmu_notifier *notifier)
{
	struct pcn_mirror *m = mirror_of(notifier);

	/* Until now somebody may have kept a frame. */
	if (m->kept)
		pcn_kept_end(m->kept);
	pcn_lent_end(&m->lent);
	kfree(m);
}

static const struct mmu_notifier_ops mirror_ops = {
	.alloc_notifier		= mirror_alloc,
	.free_notifier		= mirror_release,
	.invalidate_range_start	= mirror_begin_change,
	.invalidate_range_end	= mirror_end_change,
};

/**
 * pcn_mirror_begin - other kernels may come to map frames of an address space
 * @s:	the space, at its origin
 * @mm:	the address space
 *
 * Context: process, with mmap_lock held to write.
 * Return: the mirror, to be given to pcn_mirror_end(); an ERR_PTR: -ENOMEM.
 */
struct pcn_mirror *pcn_mirror_begin(struct pcn_space *s, struct mm_struct *mm)
{
	struct pcn_kept *kept = pcn_kept_new(s->number);
	struct mmu_notifier *notifier;
	struct pcn_mirror *m;

	if (!kept)
		return ERR_PTR(-ENOMEM);
	notifier = mmu_notifier_get_locked(&mirror_ops, mm);
	if (IS_ERR(notifier)) {
		pcn_kept_end(kept);
		return ERR_CAST(notifier);
	}
	m = mirror_of(notifier);
	m->number = s->number;
	m->ops = s->ops;
	m->stats = &s->stats;
	m->kept = kept;
	return m;
}

/**
 * pcn_mirror_end - have others forget all of an address space that ends
 * @m:	the mirror
 *
 * Those that do not do so soon may still use frames, which are kept therefore: the task that
 * ends the address space does not wait.
 *
 * Context: process, with no lock held; sleeps.
 */
void pcn_mirror_end(struct pcn_mirror *m)
{
	u64 who;

	spin_lock(&m->lock);
	m->over = true;
	who = lent_in(m, 0, PCN_LAST_PAGE);
	/* Until the end of the mirror. */
	change_enter(m, 0, PCN_LAST_PAGE);
	spin_unlock(&m->lock);
	if (who || READ_ONCE(m->adrift))
		forget_range(m, 0, PCN_LAST_PAGE, who, END_LIMIT_MS);
	/* All others have forgotten all. Their replies are heard no more. */
	spin_lock(&m->lock);
	m->gone = ~m->adrift;
	spin_unlock(&m->lock);
	pcn_kept_forgotten_by(m->kept, m->gone);
	wake_up_all(&m->wait);
}

/**
 * pcn_mirror_free - a mirror goes
 * @m:	the mirror, after pcn_mirror_end(); or one that nobody has been told of
 *
 * Context: process; no handler has it any more. Linux may for a moment.
 */
void pcn_mirror_free(struct pcn_mirror *m)
{
	mmu_notifier_put(&m->notifier);
}

/**
 * pcn_mirror_lose - a kernel is down, or has no part of the space any more
 * @m:		the mirror
 * @kid:	the kernel
 *
 * Context: any but hard interrupt.
 * Return: may it go on using frames?
 */
bool pcn_mirror_lose(struct pcn_mirror *m, unsigned int kid)
{
	bool adrift = !pcn_kept_is_forgotten(m->kept, kid) && pcn_kept_mapper_is(kid);

	spin_lock(&m->lock);
	if (adrift) {
		m->adrift |= BIT_ULL(kid);
	} else {
		m->gone |= BIT_ULL(kid);
		m->adrift &= ~BIT_ULL(kid);
	}
	spin_unlock(&m->lock);
	wake_up_all(&m->wait);
	return adrift;
}

/**
 * pcn_space_given_up - a member has no entry of some pages, as it says, and is about to say why
 * @number:	of the space
 * @kid:	the member
 * @first:	number of the first page
 * @last:	number of the last one
 *
 * Of what it has asked for before it will enter none of these pages either
 * (pcn_space_give_up()). What it asks for later comes later: this is called by a handler of
 * the channel of questions.
 *
 * Context: a handler.
 */
void pcn_space_given_up(u64 number, unsigned int kid, u64 first, u64 last)
{
	struct pcn_space *s = pcn_space_find(number);
	struct pcn_mirror *m = s ? s->mirror : NULL;

	if (!m || first > last || last > PCN_LAST_PAGE || last - first >= PCN_GIVE_MAX)
		return;
	spin_lock(&m->lock);
	pcn_lent_clear(&m->lent, first, last, BIT_ULL(kid) & ~m->adrift);
	spin_unlock(&m->lock);
}

static void on_forgot(const struct pcn_message *msg)
{
	const struct pcn_forget *f = msg->payload;
	struct pcn_space *s;
	struct pcn_mirror *m;

	if (msg->length != sizeof(*f))
		return;
	s = pcn_space_find(f->space);
	m = s ? s->mirror : NULL;
	if (!m)
		return;
	spin_lock(&m->lock);
	/* What a kernel has not been asked for it cannot have done. */
	if (f->number > m->forgot[msg->kid] && f->number <= m->asked)
		WRITE_ONCE(m->forgot[msg->kid], f->number);
	spin_unlock(&m->lock);
	wake_up_all(&m->wait);
}

static const struct pcn_msg_type forgot_type = {
	.name		= "forgot",
	.channel	= PCN_COHERENCY,
	.type		= PCN_TYPE_FORGOT,
	.handle		= on_forgot,
};

/**
 * pcn_mirror_init - be ready to have frames forgotten
 *
 * Context: initcall.
 * Return: 0; errors of pcn_msg_register().
 */
int __init pcn_mirror_init(void)
{
	return pcn_msg_register(&forgot_type);
}

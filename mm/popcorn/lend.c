// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory, at the origin: which frames is a page, and those around it, in?
 *
 * A member asks for the page that a thread needs. The answer has all pages of the same VMA
 * and page table that are there, as Linux's fault-around: an address space that is in use
 * is known to a member after one question for each 2 MiB. The handler answers at once if the
 * page is there, or has never been used. If not a work item has Linux bring it in, as for a
 * fault at home, and for a thread that goes through memory some more.
 *
 * A member may write what Linux's entry lets the process write. Linux sees by its own
 * entries alone that a page has changed. So they are made dirty before a member may write:
 * whatever makes an entry clean again is a change (mirror.c), after which it has to ask.
 *
 * Only memory of this kernel is lent, as all kernels know it since their boot
 * (pcn_memory_is_of()). For anything else, as for what is watched by a userfaultfd, threads
 * come here.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/oom.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>

#include <popcorn/core.h>
#include <popcorn/msg.h>
#include <popcorn/slice.h>

#include "../internal.h"
#include "internal.h"
#include "map.h"
#include "mirror.h"

/* Questions of a kernel that may wait: each is a thread's. */
#define LENDINGS_MAX	(1 << 16)

/* So often a page is brought in that has gone before it could be looked at. */
#define BRING_TRIES	64

/**
 * struct lending - a question that is being answered
 * @work:	for it
 * @s:		the space, with a hold on its address space
 * @kid:	the kernel that has asked
 * @ask:	its question
 * @tried:	Linux has let go of mmap_lock in a fault of the page, to wait: it does not
 *		a second time, and says then what has come of it
 */
struct lending {
	struct work_struct	work;
	struct pcn_space	*s;
	unsigned int		kid;
	struct pcn_frames_ask	ask;
	bool			tried;
};

/* How many wait, of each kernel. */
static atomic_t lendings[PCN_KERNELS_MAX];

/* Where an answer is put together: with a mirror's lock held. */
static DEFINE_PER_CPU(struct pcn_frames, answers);

/**
 * pcn_pmd_of - the entry of the page table that has the entries around an address
 * @mm:		the address space
 * @address:	the address
 *
 * Context: page tables there do not go.
 * Return: the entry, which may be anything; NULL: there is none.
 */
pmd_t *pcn_pmd_of(struct mm_struct *mm, unsigned long address)
{
	pgd_t *pgd = pgd_offset(mm, address);
	p4d_t *p4d;
	pud_t *pud;

	if (!pgd_present(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, address);
	if (!p4d_present(*p4d))
		return NULL;
	pud = pud_offset(p4d, address);
	if (!pud_present(*pud) || pud_leaf(*pud))
		return NULL;
	return pmd_offset(pud, address);
}

/* --- what is in page tables --- */

static u64 frame_of(unsigned long pfn, bool write)
{
	if (!pcn_memory_is_of(pcn_self(), pfn))
		return PCN_FRAME_ALIEN;
	return (u64)pfn << PCN_FRAME_SHIFT | PCN_FRAME_THERE | (write ? PCN_FRAME_WRITE : 0);
}

/* Memory that Linux manages, zeros, and what every process sees of the clock. */
static bool may_lend(struct vm_area_struct *vma, unsigned long address, pte_t entry)
{
	return vm_normal_page(vma, address, entry) || is_zero_pfn(pte_pfn(entry)) ||
	       pcn_arch_vdso_part(vma);
}

/* One that is to be written, or has been, may be: it is dirty from now on. */
static u64 lend_pte(struct vm_area_struct *vma, unsigned long address, pte_t *pte, bool write)
{
	pte_t entry = ptep_get(pte);
	bool may_write;

	if (!pte_present(entry) || pte_protnone(entry))
		return 0;
	if (!may_lend(vma, address, entry))
		return PCN_FRAME_ALIEN;
	may_write = pte_write(entry) && (write || pte_dirty(entry));
	/* It allows no less than before, and says no less of what a CPU has done. */
	if (may_write && !pte_dirty(entry))
		set_pte_at(vma->vm_mm, address, pte, pte_mkdirty(pte_mkyoung(entry)));
	return frame_of(pte_pfn(entry), may_write);
}

static void lend_small(struct vm_area_struct *vma, pmd_t *pmd,
		       const struct pcn_frames_ask *ask, struct pcn_frames *a)
{
	unsigned long address = ask->first << PAGE_SHIFT;
	pte_t *pte, *begin;
	spinlock_t *ptl;
	unsigned int i;

	begin = pte_offset_map_lock(vma->vm_mm, pmd, address, &ptl);
	if (!begin)
		return;
	for (i = 0, pte = begin; i < ask->count; i++, pte++, address += PAGE_SIZE)
		a->frame[i] = lend_pte(vma, address, pte, ask->write &&
				       ask->first + i == ask->page);
	pte_unmap_unlock(begin, ptl);
}

static void lend_huge(struct vm_area_struct *vma, pmd_t *pmd,
		      const struct pcn_frames_ask *ask, struct pcn_frames *a)
{
	unsigned int i, at = ask->first % PCN_BLOCK_PAGES;
	spinlock_t *ptl;
	bool may_write;
	pmd_t entry;

	if (!IS_ENABLED(CONFIG_PGTABLE_HAS_HUGE_LEAVES))
		return;
	ptl = pmd_lock(vma->vm_mm, pmd);
	entry = *pmd;
	if (pmd_present(entry) && pmd_leaf(entry) && !pmd_protnone(entry) &&
	    (vm_normal_page_pmd(vma, ask->first << PAGE_SHIFT, entry) ||
	     is_huge_zero_pmd(entry))) {
		may_write = pmd_write(entry) && (ask->write || pmd_dirty(entry));
		if (may_write && !pmd_dirty(entry))
			set_pmd_at(vma->vm_mm, ask->first << PAGE_SHIFT, pmd,
				   pmd_mkyoung(pmd_mkdirty(entry)));
		for (i = 0; i < ask->count; i++)
			a->frame[i] = frame_of(pmd_pfn(entry) + at + i, may_write);
	}
	spin_unlock(ptl);
}

static void lend_all(struct vm_area_struct *vma, const struct pcn_frames_ask *ask,
		     struct pcn_frames *a)
{
	pmd_t *pmd = pcn_pmd_of(vma->vm_mm, ask->first << PAGE_SHIFT);

	memset(a->frame, 0, ask->count * sizeof(a->frame[0]));
	if (!pmd)
		return;
	if (pmd_leaf(pmdp_get_lockless(pmd)))
		lend_huge(vma, pmd, ask, a);
	else
		lend_small(vma, pmd, ask, a);
}

static int look_at_wanted(const struct pcn_frames_ask *ask, const struct pcn_frames *a)
{
	u64 wanted = a->frame[ask->page - ask->first];

	if (wanted & PCN_FRAME_ALIEN)
		return -ENXIO;
	return wanted && (!ask->write || wanted & PCN_FRAME_WRITE) ? 0 : -ENOENT;
}

/* --- the answer --- */

static int answer_post(struct pcn_space *s, unsigned int kid, const struct pcn_frames *a)
{
	size_t size = sizeof(a->head) + a->head.count * sizeof(a->frame[0]);

	atomic64_inc(&s->stats.messages);
	return pcn_msg_post(kid, PCN_COHERENCY, PCN_TYPE_FRAMES, a, size);
}

/* With the mirror's lock. *@ask has pages of the VMA, and then those that are told of. */
static int answer_locked(struct lending *l, struct vm_area_struct *vma,
			 struct pcn_frames_ask *ask)
{
	struct pcn_pages around = { .first = ask->first, .last = ask->first + ask->count - 1 };
	struct pcn_frames *a = this_cpu_ptr(&answers);
	struct pcn_mirror *m = l->s->mirror;
	int err;

	if (m->over || (m->gone | m->adrift) & BIT_ULL(l->kid))
		return -ESRCH;
	if (!pcn_mirror_avoid_changes(m, ask->page, &around))
		return -EAGAIN;
	ask->first = around.first;
	ask->count = around.last - around.first + 1;
	lend_all(vma, ask, a);
	err = look_at_wanted(ask, a) ?:
	      pcn_lent_add(&m->lent, ask->first, a->frame, ask->count, l->kid);
	if (err)
		return err;
	a->head = (struct pcn_frames_head) {
		.space = l->s->number, .first = ask->first, .cookie = ask->cookie,
		.count = ask->count,
		.vma = {
			.start = vma->vm_start, .end = vma->vm_end,
			.flags = pcn_vma_kept_flags(vma),
		},
	};
	return answer_post(l->s, l->kid, a);
}

static bool may_access(const struct vm_area_struct *vma, const struct pcn_frames_ask *ask)
{
	return vma->vm_flags & (ask->write ? VM_WRITE : VM_ACCESS_FLAGS);
}

/* What the member may have is in the VMA. */
static void ask_clip(struct pcn_frames_ask *ask, const struct vm_area_struct *vma)
{
	u64 first = max_t(u64, ask->first, vma->vm_start >> PAGE_SHIFT);
	u64 end = min_t(u64, ask->first + ask->count, vma->vm_end >> PAGE_SHIFT);

	ask->first = first;
	ask->count = end - first;
}

/*
 * -EAGAIN: it is being changed; -ENOENT: it is not there, or not as it is wanted; -ENOMEM,
 * -ENOBUFS; -EFAULT, -EACCES, -ENXIO, -ESRCH: it never will be. The VMA is locked.
 */
static int lend(struct lending *l, struct vm_area_struct *vma)
{
	struct pcn_frames_ask ask = l->ask;
	int err;

	if (!pcn_vma_lends(vma))
		return -ENXIO;
	if (!may_access(vma, &ask))
		return -EACCES;
	ask_clip(&ask, vma);
	spin_lock(&l->s->mirror->lock);
	err = answer_locked(l, vma, &ask);
	spin_unlock(&l->s->mirror->lock);
	return err;
}

/* --- in a work item --- */

/* With mmap_lock, which is let go now and then. */
static int bring_in(struct lending *l, struct vm_area_struct *vma, u64 page)
{
	vm_fault_t ret;

	if (pcn_arch_vdso_part(vma) == PCN_VDSO_DATA)
		return pcn_arch_vdso_bring_in(vma, page << PAGE_SHIFT);
	ret = handle_mm_fault(vma, page << PAGE_SHIFT, FAULT_FLAG_REMOTE |
			      FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE |
			      (l->tried ? FAULT_FLAG_TRIED : 0) |
			      (l->ask.write ? FAULT_FLAG_WRITE : 0), NULL);
	l->tried = ret & VM_FAULT_RETRY;
	if (ret & (VM_FAULT_RETRY | VM_FAULT_COMPLETED)) {
		mmap_read_lock(l->s->mm);
		return -EAGAIN;
	}
	return ret & VM_FAULT_ERROR ? -EFAULT : 0;
}

/* Nobody has used it yet: to bring it in takes memory, and waits for nobody. */
static bool is_unused(struct vm_area_struct *vma, unsigned long address)
{
	pmd_t *pmd = pcn_pmd_of(vma->vm_mm, address);
	bool none = !pmd || pmd_none(pmdp_get_lockless(pmd));
	spinlock_t *ptl;
	pte_t *pte;

	pte = none ? NULL : pte_offset_map_lock(vma->vm_mm, pmd, address, &ptl);
	if (!pte)
		return none;
	none = pte_none(ptep_get(pte));
	pte_unmap_unlock(pte, ptl);
	return none;
}

/* Pages that are likely to be wanted next are worth no wait. */
static int bring_in_all(struct lending *l, struct vm_area_struct *vma)
{
	u64 page = l->ask.page;
	int err = bring_in(l, vma, page);
	unsigned int i;

	if (err || !vma_is_anonymous(vma))
		return err;
	for (i = 1; i < l->ask.ahead && !err; i++) {
		page += l->ask.stride;
		if (page << PAGE_SHIFT < vma->vm_start || page << PAGE_SHIFT >= vma->vm_end)
			break;
		if (is_unused(vma, page << PAGE_SHIFT))
			err = bring_in(l, vma, page);
	}
	return err == -EFAULT ? 0 : err;
}

/* One attempt. *@brought: it was brought in before. */
static int lend_once(struct lending *l, bool *brought)
{
	struct mm_struct *mm = l->s->mm;
	struct vm_area_struct *vma = pcn_vma_find_or_expand(l->s, l->ask.page << PAGE_SHIFT);
	int err;

	if (!vma)
		return -EFAULT;
	err = lend(l, vma);
	if (err == -ENOENT) {
		err = bring_in_all(l, vma) ?: -ENOENT;
		*brought = err == -ENOENT;
		/* It is there most likely. */
		vma = *brought ? vma_lookup(mm, l->ask.page << PAGE_SHIFT) : NULL;
		if (vma)
			err = lend(l, vma);
	}
	mmap_read_unlock(mm);
	return err;
}

static bool may_go_on(struct lending *l)
{
	struct pcn_pages page = { .first = l->ask.page, .last = l->ask.page };
	struct pcn_mirror *m = l->s->mirror;
	bool calm;

	spin_lock(&m->lock);
	calm = pcn_mirror_avoid_changes(m, page.first, &page) || m->over;
	spin_unlock(&m->lock);
	return calm || READ_ONCE(l->s->broken);
}

static int lend_with_patience(struct lending *l)
{
	unsigned int tries = 0;
	bool brought;
	int err;

	for (;;) {
		brought = false;
		err = lend_once(l, &brought);
		if (READ_ONCE(l->s->broken))
			return -ESRCH;
		if (err == -ENOENT && ++tries == BRING_TRIES)
			return -EFAULT;
		if (err == -EAGAIN)
			wait_event(l->s->mirror->wait, may_go_on(l));
		else if (err == -ENOMEM || err == -ENOBUFS)
			schedule_timeout_uninterruptible(1);
		else if (err != -ENOENT)
			return err;
		cond_resched();
	}
}

/* The thread comes here instead. A member that is down needs no answer. */
static void refuse(struct lending *l, int status)
{
	struct pcn_frames_head a = {
		.space = l->s->number, .cookie = l->ask.cookie, .status = status,
	};

	pcn_msg_send(l->kid, PCN_COHERENCY, PCN_TYPE_FRAMES, &a, sizeof(a));
}

static void lend_work(struct work_struct *work)
{
	struct lending *l = container_of(work, struct lending, work);
	int err;

	/* From its next work item on; the worker keeps that, as those of its pool are short. */
	pcn_slice_shorten();
	err = lend_with_patience(l);

	if (err)
		refuse(l, err);
	atomic_dec(&lendings[l->kid]);
	pcn_space_put(l->s);
	kfree(l);
}

/* --- in the handler --- */

/* Without waiting. False: there is something, or no memory. */
static bool enter_zeros(struct vm_area_struct *vma, pmd_t *pmd, unsigned long address)
{
	struct page *page = pcn_alloc_frame(vma, address, GFP_NOWAIT | __GFP_NOWARN);
	pte_t *pte, entry;
	spinlock_t *ptl;
	bool none;

	if (!page)
		return false;
	clear_page(page_address(page));
	entry = mk_pte(page, vma->vm_page_prot);
	entry = pte_mkwrite(pte_mkdirty(pte_mkyoung(entry)), vma);
	pte = pte_offset_map_lock(vma->vm_mm, pmd, address, &ptl);
	none = pte && pte_none(ptep_get(pte));
	if (none) {
		folio_add_new_anon_rmap(page_folio(page), vma, address, RMAP_EXCLUSIVE);
		folio_add_lru_vma(page_folio(page), vma);
		inc_mm_counter(vma->vm_mm, MM_ANONPAGES);
		set_pte_at(vma->vm_mm, address, pte, entry);
	}
	if (pte)
		pte_unmap_unlock(pte, ptl);
	if (!none)
		put_page(page);
	return none;
}

/* Linux might make huge pages of it, or the process is being reaped. */
static bool is_special(struct vm_area_struct *vma)
{
	return check_stable_address_space(vma->vm_mm) ||
	       thp_vma_allowable_orders(vma, vma->vm_flags, TVA_IN_PF | TVA_ENFORCE_SYSFS,
					THP_ORDERS_ALL_ANON);
}

/*
 * What a thread is about to write for the first time needs no work item: zeros, entered as by
 * Linux (do_anonymous_page()). The VMA is locked.
 */
static void bring_in_zeros(struct lending *l, struct vm_area_struct *vma)
{
	unsigned long address = l->ask.page << PAGE_SHIFT;
	unsigned long first = max(vma->vm_start, round_down(address, PMD_SIZE));
	unsigned long end = min(vma->vm_end, round_down(address, PMD_SIZE) + PMD_SIZE);
	pmd_t *pmd = pcn_pmd_of(vma->vm_mm, address);
	unsigned int i;

	if (!l->ask.write || !vma_is_anonymous(vma) || !vma->anon_vma || !pmd ||
	    is_special(vma))
		return;
	for (i = 0; i < l->ask.ahead && address >= first && address < end; i++) {
		if (!enter_zeros(vma, pmd, address))
			break;
		address += l->ask.stride * (long)PAGE_SIZE;
	}
}

static struct workqueue_struct *lend_wq __ro_after_init;

/* For the next question. The poll's. */
static struct lending *spare;

static bool ask_ready(void)
{
	if (!spare)
		spare = kmalloc(sizeof(*spare), GFP_NOWAIT | __GFP_NOWARN);
	return spare;
}

static bool ask_is_valid(const struct pcn_frames_ask *ask)
{
	u64 block = ask->page / PCN_BLOCK_PAGES;

	return ask->page <= PCN_LAST_PAGE && ask->first / PCN_BLOCK_PAGES == block &&
	       ask->first <= ask->page && ask->count && ask->count <= PCN_BLOCK_PAGES &&
	       (ask->first + ask->count - 1) / PCN_BLOCK_PAGES == block &&
	       ask->page < ask->first + ask->count &&
	       ask->ahead && ask->ahead <= PCN_AHEAD_MAX &&
	       ask->stride && abs(ask->stride) <= PCN_BLOCK_PAGES &&
	       ask->write <= 1 && ask->given <= 1;
}

/* False: a work item has to. */
static bool lend_at_once(struct lending *l)
{
	struct vm_area_struct *vma = lock_vma_under_rcu(l->s->mm, l->ask.page << PAGE_SHIFT);
	int err;

	if (!vma)
		return false;
	err = lend(l, vma);
	if (err == -ENOENT) {
		bring_in_zeros(l, vma);
		err = lend(l, vma);
	}
	vma_end_read(vma);
	return !err;
}

static void take_ask(struct pcn_space *s, unsigned int kid)
{
	struct lending *l = spare;

	l->s = s;
	l->kid = kid;
	l->tried = false;
	if (l->ask.given)
		pcn_space_given_up(s->number, kid, l->ask.page, l->ask.page);
	/* One that asks for more than it can have threads gets no answer. */
	if (lend_at_once(l) || atomic_read(&lendings[kid]) >= LENDINGS_MAX) {
		pcn_space_put(s);
		return;
	}
	spare = NULL;
	atomic_inc(&lendings[kid]);
	INIT_WORK(&l->work, lend_work);
	queue_work(lend_wq, &l->work);
}

static void on_ask(const struct pcn_message *msg)
{
	struct pcn_space *s;

	if (msg->length != sizeof(spare->ask))
		return;
	memcpy(&spare->ask, msg->payload, sizeof(spare->ask));
	if (!ask_is_valid(&spare->ask))
		return;
	s = pcn_space_get(spare->ask.space);
	if (!s)
		return;
	if (s->mirror && pcn_is_host(s, msg->kid))
		take_ask(s, msg->kid);
	else
		pcn_space_put(s);
}

static const struct pcn_msg_type ask_type = {
	.name		= "frames-ask",
	.channel	= PCN_CONTROL,
	.type		= PCN_TYPE_FRAMES_ASK,
	.ready		= ask_ready,
	.handle		= on_ask,
};

/**
 * pcn_lend_init - answer questions about frames
 *
 * Context: initcall.
 * Return: 0; -ENOMEM; errors of pcn_msg_register().
 */
int __init pcn_lend_init(void)
{
	lend_wq = alloc_workqueue("popcorn_lend", WQ_UNBOUND | WQ_HIGHPRI,
				  WQ_UNBOUND_MAX_ACTIVE);
	return lend_wq ? pcn_msg_register(&ask_type) : -ENOMEM;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory, at a member: entries of page tables that have frames of the origin.
 *
 * Linux knows nothing of the pages: entries are special, as those of a device's memory. What is
 * a page table's worth at the origin and lies in one piece is one huge entry here.
 *
 * Entries are removed by the handler, a work item and several threads at a time. Who finds
 * none must not conclude that no TLB has it: another one may have removed it, and not flushed
 * yet. So each counts as a flush that is pending, as Linux's mmu_gather does.
 */
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>

#include <asm/tlbflush.h>

#include "internal.h"
#include "borrow.h"

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

/**
 * pcn_entries_enter - map the frames of an answer
 * @vma:	the VMA
 * @a:		the answer, after pcn_entries_prepare()
 *
 * Context: &pcn_borrow.lock is held, and the VMA locked; does not sleep.
 */
void pcn_entries_enter(struct vm_area_struct *vma, const struct pcn_frames *a)
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

/**
 * pcn_entries_has_small - is there an entry of a page that is no part of a huge one?
 * @vma:	the VMA
 * @address:	of the page
 *
 * Context: process; the VMA is locked.
 */
bool pcn_entries_has_small(struct vm_area_struct *vma, unsigned long address)
{
	pmd_t *pmd = pcn_pmd_of(vma->vm_mm, address);

	return pmd && !pmd_leaf(pmdp_get_lockless(pmd)) &&
	       pcn_entries_allow(vma, address, false);
}

/**
 * pcn_entries_has_any - is there an entry of any page of a block, of that page alone?
 * @vma:	the VMA
 * @address:	of a page of the block
 *
 * Context: process; the VMA is locked.
 */
bool pcn_entries_has_any(struct vm_area_struct *vma, unsigned long address)
{
	unsigned long at = max(round_down(address, PMD_SIZE), vma->vm_start);
	unsigned long end = min(round_down(address, PMD_SIZE) + PMD_SIZE, vma->vm_end);
	pmd_t *pmd = pcn_pmd_of(vma->vm_mm, address);
	pte_t *pte, *begin;
	spinlock_t *ptl;

	/* What is one huge entry is to stay one. */
	if (!pmd || pmd_leaf(pmdp_get_lockless(pmd)))
		return false;
	begin = pte_offset_map_lock(vma->vm_mm, pmd, at, &ptl);
	if (!begin)
		return false;
	for (pte = begin; at < end && pte_none(ptep_get(pte)); pte++)
		at += PAGE_SIZE;
	pte_unmap_unlock(begin, ptl);
	return at < end;
}

/**
 * pcn_entries_allow - is there an entry that allows an access?
 * @vma:	the VMA
 * @address:	of the page
 * @write:	it is to be written
 *
 * Context: process; the VMA is locked.
 */
bool pcn_entries_allow(struct vm_area_struct *vma, unsigned long address, bool write)
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

/**
 * pcn_entries_prepare - see that there is a page table for an answer
 * @vma:	the VMA
 * @a:		the answer
 * @address:	of one of its pages
 *
 * Context: process; mmap_lock is held; sleeps for memory.
 * Return: 0; -ENOMEM.
 */
int pcn_entries_prepare(struct vm_area_struct *vma, const struct pcn_frames *a,
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

/**
 * pcn_entries_remove - remove entries of pages
 * @mapping:	of the file of the VMAs, which has all that there are
 * @first:	number of the first page
 * @last:	number of the last one
 *
 * When this returns no TLB has one.
 *
 * Context: process or a handler, with the mapping's lock; does not sleep.
 */
void pcn_entries_remove(struct address_space *mapping, u64 first, u64 last)
{
	struct vm_area_struct *vma;

	vma_interval_tree_foreach(vma, &mapping->i_mmap, first, last)
		vma_forget(vma, first, last);
}

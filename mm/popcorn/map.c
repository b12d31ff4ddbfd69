// SPDX-License-Identifier: GPL-2.0
/*
 * Page tables: what the protocol lets a kernel do with a page, and what its page
 * tables let it do.
 *
 * Away from the origin all memory of a process is in VMAs of our own (vma.c) that
 * map frames as bare page frame numbers: nobody else can get hold of them, and
 * Linux's memory management leaves them alone.
 *
 * At the origin the VMAs are Linux's. A page that the protocol has not touched is
 * *plain*: Linux does with it what it likes. When another kernel asks for it, it gets
 * a frame of the protocol's (adopt.c). While the data is elsewhere the page table holds
 * a poison marker, as userfaultfd's: paths that have been forgotten fail instead of
 * reading zeros. Before Linux changes the mapping the page becomes plain again
 * (change.c).
 *
 * A page is mapped by the thread that wants it, with its VMA locked, and
 * unmapped by the kernel's part of the protocol. It is mapped old: the accessed bit
 * tells whether the thread has used it, and before that it is not taken away for a
 * while.
 *
 * Linux may change an entry at the origin without a word: truncation of a file removes
 * pages of private mappings, and fault-around puts pages of the file there. So the page
 * frame number is compared wherever an entry is changed (look_at_pte()): what is not the
 * record's frame is never counted, unmapped or freed as if it was.
 *
 * At the origin a frame that can be written is taken away only when nobody else refers
 * to it, as direct I/O does. One that cannot be written is not exclusive: Linux copies
 * such a page before it is written, so references to it do not
 * matter. Should a reference stay for long the page stays at the origin (pcn_context.dummy
 * and adopt.c).
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/errno.h>
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/ksm.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/rmap.h>
#include <linux/sched.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/userfaultfd_k.h>
#include <linux/xxhash.h>

#include <asm/tlbflush.h>

#include <trace/events/popcorn.h>

#include "../internal.h"
#include "internal.h"
#include "map.h"

/**
 * pcn_vma_replicates - may pages of a VMA be on several kernels?
 * @vma:	the VMA
 *
 * Private memory may, of files or not. All else is origin-only.
 *
 * Context: the VMA is locked.
 */
bool pcn_vma_replicates(struct vm_area_struct *vma)
{
	/* Of a file that was opened to read it, a shared mapping is only VM_MAYSHARE. */
	const vm_flags_t not = VM_SHARED | VM_MAYSHARE | VM_PFNMAP |
			       VM_MIXEDMAP | VM_IO | VM_HUGETLB | VM_DROPPABLE |
			       VM_SHADOW_STACK;

	if (vma->vm_ops == &pcn_vm_ops)
		return true;
	if (vma->vm_flags & not || userfaultfd_armed(vma))
		return false;
	return vma_is_anonymous(vma) || vma->vm_file;
}

static pte_t *lock_pte(struct mm_struct *mm, unsigned long address,
		       spinlock_t **ptl)
{
	pmd_t *pmd = mm_find_pmd(mm, address);

	return pmd ? pte_offset_map_lock(mm, pmd, address, ptl) : NULL;
}

/**
 * pcn_page_map_prepare - see to what pcn_page_map() needs
 * @vma:	the VMA
 * @address:	in it
 * @mm_locked:	mmap_lock is held, not only the VMA's
 *
 * Context: process; the VMA is locked, sleeps for memory.
 * Return: 0; -ENOMEM; -EAGAIN mmap_lock is needed.
 */
int pcn_page_map_prepare(struct vm_area_struct *vma, unsigned long address,
			 bool mm_locked)
{
	spinlock_t *ptl;
	pmd_t *pmd;
	pte_t *pte;

	if (vma->vm_ops != &pcn_vm_ops && !vma->anon_vma) {
		if (!mm_locked)
			return -EAGAIN;
		if (anon_vma_prepare(vma))
			return -ENOMEM;
	}
	pmd = mm_find_pmd(vma->vm_mm, address);
	if (pmd && pmd_trans_huge(pmdp_get_lockless(pmd)))
		return 0;
	pte = get_locked_pte(vma->vm_mm, address, &ptl);
	if (!pte)
		return -ENOMEM;
	pte_unmap_unlock(pte, ptl);
	return 0;
}

/* --- frames --- */

/**
 * pcn_alloc_frame - a frame for a page
 * @vma:	the page's VMA
 * @address:	of the page
 * @gfp:	how to get memory
 *
 * At the origin it is charged to the process.
 *
 * Context: the VMA is locked; as @gfp says.
 * Return: the frame, whose content is undefined; NULL: there is no memory.
 */
struct page *pcn_alloc_frame(struct vm_area_struct *vma, unsigned long address,
			     gfp_t gfp)
{
	struct folio *folio;

	if (vma->vm_ops == &pcn_vm_ops)
		return alloc_page(gfp | __GFP_HIGHMEM | __GFP_ACCOUNT);
	folio = vma_alloc_folio(gfp | __GFP_HIGHMEM, 0, vma, address, false);
	if (!folio)
		return NULL;
	if (mem_cgroup_charge(folio, vma->vm_mm, gfp)) {
		folio_put(folio);
		return NULL;
	}
	if (gfpflags_allow_blocking(gfp))
		folio_throttle_swaprate(folio, gfp);
	__folio_mark_uptodate(folio);
	return &folio->page;
}

/*
 * A frame without data that somebody still refers to is left to those: what comes next
 * must not be seen by them, nor changed. It is not mapped, so nobody new can refer to it.
 */
static bool needs_frame(const struct pcn_record *r)
{
	lockdep_assert_held(&r->lock);
	if (!r->frame)
		return true;
	return !r->mapped && !r->backlog && !(r->replica.flags & PCN_HELD) &&
	       page_count(r->frame) > 1;
}

/**
 * pcn_frame_alloc - have a frame for a page that is to come
 * @r:		the record, in use
 * @vma:	its VMA
 * @gfp:	how to get memory
 *
 * Context: process; the VMA is locked, as @gfp says.
 * Return: 0 or -ENOMEM.
 */
int pcn_frame_alloc(struct pcn_record *r, struct vm_area_struct *vma, gfp_t gfp)
{
	struct page *page, *old = NULL;
	bool needed;

	spin_lock(&r->lock);
	needed = needs_frame(r);
	spin_unlock(&r->lock);
	if (!needed)
		return 0;
	page = pcn_alloc_frame(vma, pcn_address_of(r), gfp);
	if (!page)
		return -ENOMEM;
	spin_lock(&r->lock);
	if (needs_frame(r) && !r->plain) {
		old = r->frame;
		pcn_record_set_frame(r, page);
		page = NULL;
	}
	spin_unlock(&r->lock);
	if (page)
		put_page(page);
	if (old)
		put_page(old);
	return 0;
}

/* --- what is in an entry --- */

/**
 * enum finding - what there is in the entry of a record's page
 * @FOUND_NOTHING:	nothing, or a marker
 * @FOUND_FRAME:	the record's frame
 * @FOUND_PAGE:		at the origin: a page that Linux has put there
 * @FOUND_OTHER:	what cannot be there
 */
enum finding {
	FOUND_NOTHING,
	FOUND_FRAME,
	FOUND_PAGE,
	FOUND_OTHER,
};

static enum finding look_at_pte(const struct pcn_record *r, pte_t entry)
{
	unsigned long pfn = pcn_record_pfn(r);

	if (pte_none(entry) || is_pte_marker(entry))
		return FOUND_NOTHING;
	if (!pte_present(entry))
		return FOUND_OTHER;
	if (pfn && pte_pfn(entry) == pfn)
		return FOUND_FRAME;
	return pcn_is_origin(r->space) ? FOUND_PAGE : FOUND_OTHER;
}

/* Whatever this is, the frame is used for nothing else, nor is what was found. */
static void page_complain(struct pcn_record *r, pte_t entry)
{
	struct pcn_space *s = r->space;

	pr_err("page %llx of space %llx: the page table has %llx, which is not frame %lx\n",
	       r->page, s->number, (u64)pte_val(entry), pcn_record_pfn(r));
	pcn_space_kill(s, "an entry of its page table is not what it must be");
}

/**
 * pcn_page_unmap - a page of Linux's is in a page table no more
 * @vma:	the VMA
 * @page:	the page
 * @entry:	what its entry was; it has been cleared, and TLBs flushed
 *
 * As Linux does it, but for the entry's reference: that is the caller's now.
 *
 * Context: the lock of the page table is held.
 */
void pcn_page_unmap(struct vm_area_struct *vma, struct page *page, pte_t entry)
{
	struct folio *folio = page_folio(page);

	if (!folio_test_anon(folio) && pte_dirty(entry))
		folio_mark_dirty(folio);
	/* What it counts as is reliable only while it is mapped. */
	dec_mm_counter(vma->vm_mm, mm_counter(folio));
	folio_remove_rmap_pte(folio, page, vma);
}

/* The entry has what Linux has put there: that goes. */
static void remove_page(struct vm_area_struct *vma, unsigned long address, pte_t entry)
{
	struct page *page = vm_normal_page(vma, address, entry);

	if (!page) {
		ksm_might_unmap_zero_page(vma->vm_mm, entry);
		return;
	}
	pcn_page_unmap(vma, page, entry);
	put_page(page);
}

/* --- allowing more --- */

static pte_t make_pte(struct pcn_record *r, struct vm_area_struct *vma)
{
	pte_t pte = pfn_pte(pcn_record_pfn(r), vma->vm_page_prot);

	/*
	 * Old, so that it tells later whether the page has been used. Dirty, as the
	 * content is nowhere else.
	 */
	pte = pte_mkdirty(pte_mkold(pte));
	if (!pcn_is_origin(r->space))
		pte = pte_mkspecial(pte);
	if (r->may != PCN_MAP_RDWR)
		return pte_wrprotect(pte);
	return maybe_mkwrite(pte, vma);
}

/* The frame is on no list, and mapped nowhere: as good as new. */
static void add_rmap(struct pcn_record *r, struct vm_area_struct *vma)
{
	get_page(r->frame);
	folio_add_new_anon_rmap(page_folio(r->frame), vma, pcn_address_of(r),
				RMAP_EXCLUSIVE);
	inc_mm_counter(vma->vm_mm, MM_ANONPAGES);
	if (r->may != PCN_MAP_RDWR)
		ClearPageAnonExclusive(r->frame);
}

/* See to it that the frame is counted, and nothing else is there. False: it cannot be. */
static bool make_room(struct pcn_record *r, struct vm_area_struct *vma, pte_t *pte)
{
	unsigned long address = pcn_address_of(r);
	pte_t entry = ptep_get(pte);

	switch (look_at_pte(r, entry)) {
	case FOUND_FRAME:
		if (pcn_is_origin(r->space) && r->may == PCN_MAP_RDWR)
			SetPageAnonExclusive(r->frame);
		return true;
	case FOUND_PAGE:
		remove_page(vma, address, ptep_clear_flush(vma, address, pte));
		fallthrough;
	case FOUND_NOTHING:
		if (pcn_is_origin(r->space))
			add_rmap(r, vma);
		return true;
	case FOUND_OTHER:
		break;
	}
	page_complain(r, entry);
	return false;
}

/**
 * pcn_page_map - let the page table allow what the protocol allows
 * @r:		the record, not plain, with a frame
 * @vma:	its VMA; pcn_page_map_prepare() was called for it
 *
 * A page that is origin-only is Linux's at the origin, and not mapped elsewhere.
 *
 * Context: the record's lock is held, the VMA is locked.
 */
void pcn_page_map(struct pcn_record *r, struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->vm_mm;
	unsigned long address = pcn_address_of(r);
	spinlock_t *ptl;
	pte_t *pte;

	if (r->may == PCN_MAP_NONE || r->absent)
		return;
	pte = lock_pte(mm, address, &ptl);
	if (!pte)
		return;
	if (make_room(r, vma, pte)) {
		/* More is allowed than before: an old TLB entry faults again. */
		set_pte_at(mm, address, pte, make_pte(r, vma));
		update_mmu_cache(vma, address, pte);
		r->mapped = r->may;
	}
	pte_unmap_unlock(pte, ptl);
}

/* --- allowing less --- */

/*
 * One reference is the record's, one the page table's. This CPU's batch of pages to be
 * locked in memory, or not any more, may have others.
 */
static bool others_refer(struct page *frame)
{
	if (page_count(frame) <= 2)
		return false;
	mlock_drain_local();
	return page_count(frame) > 2;
}

static void set_marker(struct pcn_record *r, struct vm_area_struct *vma, pte_t *pte)
{
	set_pte_at(vma->vm_mm, pcn_address_of(r), pte,
		   make_pte_marker(PTE_MARKER_POISONED));
}

static void unmap_frame(struct pcn_record *r, struct vm_area_struct *vma,
			pte_t *pte)
{
	struct folio *folio = page_folio(r->frame);

	set_marker(r, vma, pte);
	folio_remove_rmap_pte(folio, r->frame, vma);
	/* That leads to a reference, in a batch. */
	if (vma->vm_flags & VM_LOCKED)
		mlock_drain_local();
	dec_mm_counter(vma->vm_mm, MM_ANONPAGES);
	ClearPageAnonExclusive(r->frame);
	/* It may be mapped again as new: it is nowhere else. */
	WARN_ON_ONCE(folio_mapped(folio));
	folio->mapping = NULL;
	folio_put(folio);
}

static bool protect_frame(struct pcn_record *r, struct vm_area_struct *vma,
			  pte_t *pte, pte_t old)
{
	struct folio *folio = page_folio(r->frame);

	if (PageAnonExclusive(r->frame) &&
	    folio_try_share_anon_rmap_pte(folio, r->frame))
		return false;
	set_pte_at(vma->vm_mm, pcn_address_of(r), pte, pte_wrprotect(old));
	return true;
}

/*
 * The frame stays with its other users: the page is Linux's again, with its content.
 * The record goes on with another frame, whose content is never used.
 */
static void leave_to_linux(struct pcn_record *r, struct vm_area_struct *vma,
			   pte_t *pte, pte_t old, const struct pcn_context *c)
{
	struct page *frame = r->frame;

	set_pte_at(vma->vm_mm, pcn_address_of(r), pte, old);
	pcn_record_set_frame(r, *c->dummy);
	*c->dummy = NULL;
	r->absent = true;
	r->mapped = PCN_MAP_NONE;
	folio_add_lru_vma(page_folio(frame), vma);
	put_page(frame);
}

/* False: somebody else uses the frame, and may write to it. */
static bool reduce_frame(struct pcn_record *r, struct vm_area_struct *vma,
			 pte_t *pte, pte_t old, enum pcn_mapping to,
			 const struct pcn_context *c)
{
	bool done = r->mapped < PCN_MAP_RDWR || !others_refer(r->frame);

	if (done && to == PCN_MAP_NONE)
		unmap_frame(r, vma, pte);
	else if (done)
		done = protect_frame(r, vma, pte, old);
	if (done) {
		r->mapped = to;
	} else if (c->dummy && *c->dummy) {
		leave_to_linux(r, vma, pte, old, c);
		done = true;
	} else {
		set_pte_at(vma->vm_mm, pcn_address_of(r), pte, old);
	}
	return done;
}

/* The frame is not there, whatever has become of it: nothing is counted twice. */
static void reduce_nothing(struct pcn_record *r, struct vm_area_struct *vma,
			   pte_t *pte, pte_t old, enum pcn_mapping to)
{
	r->mapped = PCN_MAP_NONE;
	/* Another mapping has come here, and everything in it is Linux's. */
	if (!pcn_vma_replicates(vma)) {
		set_pte_at(vma->vm_mm, pcn_address_of(r), pte, old);
		return;
	}
	if (pte_present(old))
		remove_page(vma, pcn_address_of(r), old);
	if (to == PCN_MAP_NONE)
		set_marker(r, vma, pte);
}

/* At the origin. False: not yet. The entry is cleared and flushed. */
static bool reduce_at_origin(struct pcn_record *r, struct vm_area_struct *vma,
			     pte_t *pte, pte_t old, enum pcn_mapping to,
			     const struct pcn_context *c)
{
	switch (look_at_pte(r, old)) {
	case FOUND_FRAME:
		return reduce_frame(r, vma, pte, old, to, c);
	case FOUND_NOTHING:
	case FOUND_PAGE:
		reduce_nothing(r, vma, pte, old, to);
		return true;
	case FOUND_OTHER:
		break;
	}
	set_pte_at(vma->vm_mm, pcn_address_of(r), pte, old);
	page_complain(r, old);
	r->mapped = PCN_MAP_NONE;
	return true;
}

/* Elsewhere. The entry is cleared and flushed. */
static void reduce_at_member(struct pcn_record *r, struct vm_area_struct *vma,
			     pte_t *pte, pte_t old, enum pcn_mapping to)
{
	enum finding found = look_at_pte(r, old);

	r->mapped = PCN_MAP_NONE;
	if (found == FOUND_OTHER)
		page_complain(r, old);
	if (found != FOUND_FRAME || to == PCN_MAP_NONE)
		return;
	set_pte_at(vma->vm_mm, pcn_address_of(r), pte, pte_wrprotect(old));
	r->mapped = to;
}

static u16 content_of(const void *page)
{
	void *data = kmap_local_page((struct page *)page);
	u32 hash = xxh32(data, PAGE_SIZE, 0);

	kunmap_local(data);
	return hash;
}

/* The entry has the record's frame. False: it stays for now, and @again says until when. */
static bool hold_is_over(struct pcn_record *r, pte_t entry, u64 *again)
{
	struct pcn_hold_look look = {
		.now = ktime_get_ns(), .accessed = pte_young(entry),
		.writable = pte_write(entry), .content = content_of, .page = r->frame,
	};

	if (pcn_hold_is_over(&r->hold, &look))
		return true;
	*again = look.again;
	return false;
}

/* False: not yet, and @c says when to try again. */
static bool reduce_in(struct pcn_record *r, struct vm_area_struct *vma,
		      enum pcn_mapping to, struct pcn_context *c)
{
	unsigned long address = pcn_address_of(r);
	spinlock_t *ptl;
	bool done = true;
	pte_t *pte, old;

	lockdep_assert_held(&r->lock);
	pte = lock_pte(vma->vm_mm, address, &ptl);
	if (!pte) {
		r->mapped = PCN_MAP_NONE;
		return true;
	}
	old = ptep_get(pte);
	if (look_at_pte(r, old) == FOUND_FRAME &&
	    !hold_is_over(r, old, &c->again)) {
		pte_unmap_unlock(pte, ptl);
		return false;
	}
	old = ptep_clear_flush(vma, address, pte);
	pcn_hold_end(&r->hold, ktime_get_ns(), to == PCN_MAP_NONE,
		     pte_present(old) && pte_young(old));
	if (pcn_is_origin(r->space))
		done = reduce_at_origin(r, vma, pte, old, to, c);
	else
		reduce_at_member(r, vma, pte, old, to);
	pte_unmap_unlock(pte, ptl);
	if (!done)
		c->again = pcn_record_stuck_again(r);
	return done;
}

/**
 * pcn_page_reduce - let the page table allow no more than this
 * @r:		the record
 * @to:		what is still to be allowed
 * @c:		@locked if mmap_lock is held, to read; otherwise the VMA's lock is tried.
 *		@dummy: see there. @again is set if it has to be done later
 *
 * Context: the record's lock is held.
 * Return: true: done, TLBs flushed; false: it has to be done later.
 */
bool pcn_page_reduce(struct pcn_record *r, enum pcn_mapping to, struct pcn_context *c)
{
	bool locked = c->locked;
	struct mm_struct *mm = r->space->mm;
	struct vm_area_struct *vma;
	bool done = true;

	if (r->mapped <= to)
		return true;
	if (to == PCN_MAP_RDONLY && pcn_check_mistake(PCN_MISTAKE_PROTECT))
		return true;
	vma = locked ? vma_lookup(mm, pcn_address_of(r)) :
		       lock_vma_under_rcu(mm, pcn_address_of(r));
	if (!vma && !locked) {
		c->again = ktime_get_ns() + c->retry_ns;
		return false;
	}
	if (vma)
		done = reduce_in(r, vma, to, c);
	else
		r->mapped = PCN_MAP_NONE;
	if (vma && !locked)
		vma_end_read(vma);
	return done;
}

/**
 * pcn_page_test_used - has a page been used since this was last asked, or it was mapped?
 * @r:	the record, at a member
 *
 * Context: the record's lock is held.
 * Return: true also if that cannot be found out now.
 */
bool pcn_page_test_used(struct pcn_record *r)
{
	unsigned long address = pcn_address_of(r);
	struct vm_area_struct *vma;
	bool used = true;
	spinlock_t *ptl;
	pte_t *pte;

	if (!r->mapped)
		return false;
	vma = lock_vma_under_rcu(r->space->mm, address);
	if (!vma)
		return used;
	pte = lock_pte(vma->vm_mm, address, &ptl);
	if (pte) {
		/* An old TLB entry may hide a use: then the page comes back. */
		used = ptep_test_and_clear_young(vma, address, pte);
		pte_unmap_unlock(pte, ptl);
	}
	vma_end_read(vma);
	return used;
}

/**
 * pcn_page_unmap_at_member - at a member, let the page table allow nothing any more
 * @r:	the record
 *
 * The page stays, and may be mapped again. Whether it has been used does not matter.
 *
 * Context: the record's lock is held, and mmap_lock to read.
 */
void pcn_page_unmap_at_member(struct pcn_record *r)
{
	struct vm_area_struct *vma = vma_lookup(r->space->mm, pcn_address_of(r));
	spinlock_t *ptl;
	pte_t *pte;

	if (r->mapped && vma && vma->vm_ops == &pcn_vm_ops) {
		pte = lock_pte(vma->vm_mm, pcn_address_of(r), &ptl);
		if (pte) {
			reduce_at_member(r, vma, pte, ptep_clear_flush(vma,
								       pcn_address_of(r),
								       pte),
					 PCN_MAP_NONE);
			pte_unmap_unlock(pte, ptl);
		}
	}
	r->mapped = PCN_MAP_NONE;
}

/* --- back to Linux --- */

static void clear_marker(struct vm_area_struct *vma, unsigned long address)
{
	spinlock_t *ptl;
	pte_t *pte = lock_pte(vma->vm_mm, address, &ptl);

	if (!pte)
		return;
	if (is_pte_marker(ptep_get(pte)))
		pte_clear(vma->vm_mm, address, pte);
	pte_unmap_unlock(pte, ptl);
}

/*
 * Nobody else has a page that was shared before: to write it Linux needs no copy, and
 * what refers to it, as a pipe does, sees what is written. False: it is not there.
 */
static bool make_exclusive(struct pcn_record *r, struct vm_area_struct *vma)
{
	spinlock_t *ptl;
	pte_t *pte = lock_pte(vma->vm_mm, pcn_address_of(r), &ptl);
	bool there;

	if (!pte)
		return false;
	there = look_at_pte(r, ptep_get(pte)) == FOUND_FRAME;
	if (there)
		SetPageAnonExclusive(r->frame);
	pte_unmap_unlock(pte, ptl);
	return there;
}

/* Is the frame Linux's now? */
static bool give_back(struct pcn_record *r, struct vm_area_struct *vma)
{
	if (r->may && !r->mapped)
		pcn_page_map(r, vma);
	else if (!r->mapped)
		clear_marker(vma, pcn_address_of(r));
	return r->mapped && make_exclusive(r, vma);
}

/**
 * pcn_page_release - at the origin, give a page back to Linux
 * @r:		the record: no other kernel has the page, nothing is under way
 * @vma:	its VMA, or NULL; pcn_page_map_prepare() was called for it
 * @left:	kernels that have yet to forget the page, and will before they do anything else
 *		with it, as bits; all others have
 *
 * A page whose data is elsewhere is empty then.
 *
 * Context: process; mmap_lock is held, to read.
 * Return: false: Linux has taken the page away, and pcn_page_remove() has to follow.
 */
bool pcn_page_release(struct pcn_record *r, struct vm_area_struct *vma, u64 left)
{
	struct page *frame;
	bool given = false;

	spin_lock(&r->lock);
	if (r->torn || r->plain) {
		spin_unlock(&r->lock);
		return !r->torn;
	}
	pcn_check_end(r, true, left);
	frame = r->frame;
	trace_pcn_page_release(r->space->number, r->page, r->replica.state);
	if (vma && !r->absent)
		given = give_back(r, vma);
	pcn_record_set_frame(r, NULL);
	r->plain = true;
	r->absent = false;
	pcn_hold_init(&r->hold);
	r->mapped = PCN_MAP_NONE;
	spin_unlock(&r->lock);
	if (given)
		folio_add_lru_vma(page_folio(frame), vma);
	if (frame)
		put_page(frame);
	return true;
}

/**
 * pcn_page_remove - at the origin, a page is no part of the address space any more
 * @r:		the record, torn: no other kernel has the page, nothing is under way
 * @vma:	the VMA at its address, which need not be the page's; or NULL
 *
 * Linux has taken the page away. A thread that was about to map it may have done so
 * since, and a marker may be left. What else is there is Linux's.
 *
 * Context: process; mmap_lock is held, to read.
 */
void pcn_page_remove(struct pcn_record *r, struct vm_area_struct *vma)
{
	unsigned long address = pcn_address_of(r);
	spinlock_t *ptl;
	pte_t *pte, old;

	trace_pcn_page_release(r->space->number, r->page, r->replica.state);
	if (!vma || !pcn_vma_replicates(vma))
		return;
	pte = lock_pte(vma->vm_mm, address, &ptl);
	if (!pte)
		return;
	old = ptep_get(pte);
	if (look_at_pte(r, old) == FOUND_FRAME)
		remove_page(vma, address, ptep_clear_flush(vma, address, pte));
	else if (is_pte_marker(old))
		pte_clear(vma->vm_mm, address, pte);
	pte_unmap_unlock(pte, ptl);
}

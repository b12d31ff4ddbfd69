// SPDX-License-Identifier: GPL-2.0
/*
 * From Linux's page to the protocol's, at the origin.
 *
 * When another kernel first asks for a plain page, it is *adopted*: what is mapped there
 * (a file's page, one shared with a child, the zero page, one from swap) is replaced by a
 * private, exclusive, small anonymous page that is on no LRU list, so that neither
 * reclaim, compaction nor khugepaged touches it. KSM looks at it, and finds one reference
 * too many: in a shared address space it counts them always (write_protect_page() in
 * mm/ksm.c). Memory that has never been used becomes zeros.
 *
 * That may be impossible:
 *
 *	Others refer to the page and may write to it, as direct I/O and registered buffers
 *	do. A copy would be another page than theirs. So this is tried again, and for
 *	a second at most. References to a page that is not exclusive do not matter:
 *	Linux itself copies such a page before the program writes it.
 *
 *	The page cannot be brought in: it is behind the end of a file, or cannot be read.
 *
 *	There is no memory that the process may have, or no VMA any more.
 *
 * Then the page is *absent*. Nothing happens to what is mapped: at the origin the page
 * stays Linux's. The kernel that has asked gets an answer all the same: the protocol goes
 * on with a page of zeros, and @absent in struct pcn_page_msg travels with the zeros. The
 * protocol itself knows nothing of this. A kernel that receives an absent page does not
 * map it, and its threads go to the origin for each access (pcn_page_is_absent()): there
 * they get the page, or the signal that Linux has for them. A page is absent until the
 * members forget it. A page that others refer to is origin-only from then on.
 *
 * A page of the protocol's becomes absent likewise if it cannot be taken away from those
 * that refer to it (pcn_page_dummy()). It can be written at the origin then, so no other
 * kernel has a copy.
 *
 * Nothing in here waits for such references: the record comes again (worker.c).
 */
#include <linux/errno.h>
#include <linux/highmem.h>
#include <linux/ksm.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include <asm/tlbflush.h>

#include <trace/events/popcorn.h>

#include "../internal.h"
#include "internal.h"
#include "map.h"

/* So often a page is brought in that has gone before it could be copied. */
#define BRING_TRIES	16

/**
 * pcn_page_is_absent - is what this kernel has of a page not the page?
 * @s:		the space, not at its origin
 * @page:	number of the page
 *
 * Context: process.
 */
bool pcn_page_is_absent(struct pcn_space *s, u64 page)
{
	struct pcn_record *none = NULL, *r = pcn_record_find(s, page, &none);
	bool absent = r && READ_ONCE(r->absent);

	if (r)
		pcn_record_put(r);
	return absent;
}

/*
 * May somebody write to the page that is mapped, other than by the page table? A page is
 * exclusive when it is pinned. TLBs are flushed, so no more references come.
 */
static bool is_busy(struct page *page)
{
	struct folio *folio = page_folio(page);
	int expected = folio_mapcount(folio) +
		       (folio_test_swapcache(folio) ? folio_nr_pages(folio) : 0);

	return folio_test_anon(folio) && !folio_test_ksm(folio) &&
	       PageAnonExclusive(page) && folio_ref_count(folio) > expected;
}

static void copy_content(struct page *to, struct page *from)
{
	if (from)
		copy_page(page_address(to), page_address(from));
	else
		clear_page(page_address(to));
}

/* @old is what the entry had, and has been cleared and flushed; @page is what that maps. */
static void put_in_place(struct vm_area_struct *vma, unsigned long address,
			 pte_t *pte, struct page *frame, pte_t old, struct page *page)
{
	struct mm_struct *mm = vma->vm_mm;
	pte_t entry = mk_pte(frame, vma->vm_page_prot);

	entry = maybe_mkwrite(pte_mkdirty(pte_mkyoung(entry)), vma);
	get_page(frame);
	folio_add_new_anon_rmap(page_folio(frame), vma, address, RMAP_EXCLUSIVE);
	inc_mm_counter(mm, MM_ANONPAGES);
	set_pte_at(mm, address, pte, entry);
	if (page)
		pcn_page_unmap(vma, page, old);
	else if (pte_present(old))
		ksm_might_unmap_zero_page(mm, old);
}

/*
 * Replace what is mapped by a frame with the same content. -EAGAIN: others refer
 * to it; -ENOENT: nothing is mapped that could be copied.
 */
static int replace_page(struct vm_area_struct *vma, unsigned long address,
			struct page *frame)
{
	struct page *page = NULL;
	spinlock_t *ptl;
	pte_t *pte, old;
	int err = 0;

	pte = get_locked_pte(vma->vm_mm, address, &ptl);
	if (!pte)
		return -ENOMEM;
	old = ptep_get(pte);
	if (pte_present(old)) {
		old = ptep_clear_flush(vma, address, pte);
		page = vm_normal_page(vma, address, old);
		if (page && is_busy(page)) {
			set_pte_at(vma->vm_mm, address, pte, old);
			err = -EAGAIN;
		}
	} else if (!pte_none(old) || !vma_is_anonymous(vma)) {
		err = -ENOENT;
	}
	if (!err) {
		copy_content(frame, page);
		put_in_place(vma, address, pte, frame, old, page);
	}
	pte_unmap_unlock(pte, ptl);
	if (!err && page)
		put_page(page);
	return err;
}

/* A transparent huge page there is made one of small pages. */
static void split_huge(struct vm_area_struct *vma, unsigned long address)
{
	pmd_t *pmd = mm_find_pmd(vma->vm_mm, address);

	if (pmd && pmd_trans_huge(pmdp_get_lockless(pmd)))
		split_huge_pmd(vma, pmd, address);
}

static struct page *new_frame(struct pcn_record *r, struct vm_area_struct *vma, gfp_t gfp)
{
	if (pcn_check_mistake(PCN_MISTAKE_ADOPT))
		return NULL;
	return pcn_alloc_frame(vma, pcn_address_of(r), gfp);
}

/* Is there a page table of small pages, and what anonymous pages need? */
static bool is_prepared(struct vm_area_struct *vma, unsigned long address)
{
	pmd_t *pmd = mm_find_pmd(vma->vm_mm, address);
	pmd_t entry = pmd ? pmdp_get_lockless(pmd) : __pmd(0);

	return vma->anon_vma && !pmd_none(entry) && !pmd_trans_huge(entry);
}

/* See to that; with @atomic only if nothing has to be done. */
static bool prepare_adoption(struct vm_area_struct *vma, unsigned long address,
			     bool atomic)
{
	if (atomic)
		return is_prepared(vma, address);
	if (anon_vma_prepare(vma))
		return false;
	split_huge(vma, address);
	return true;
}

/* What adopt_page() does, if nobody has to be waited for; NULL otherwise. */
static struct page *try_adopt(struct pcn_record *r, bool atomic)
{
	unsigned long address = pcn_address_of(r);
	struct vm_area_struct *vma = vma_lookup(r->space->mm, address);
	struct page *frame;
	int err;

	if (!vma || !pcn_vma_replicates(vma) || !prepare_adoption(vma, address, atomic))
		return NULL;
	frame = new_frame(r, vma, GFP_NOWAIT | __GFP_NOWARN);
	if (!frame)
		return NULL;
	err = replace_page(vma, address, frame);
	if (err == -EAGAIN) {
		/* It may be on its way to an LRU list, most likely from here. */
		lru_add_drain();
		err = replace_page(vma, address, frame);
	}
	if (!err)
		return frame;
	put_page(frame);
	return NULL;
}

/*
 * Have Linux map what is there. What the program may do with it does not matter: it is
 * another kernel's program that has asked, as it may. mmap_lock may have been let go; the
 * second time Linux does not, and says what has come of a read.
 */
static int bring_in(struct vm_area_struct *vma, unsigned long address, bool again)
{
	struct mm_struct *mm = vma->vm_mm;
	vm_fault_t ret;

	ret = handle_mm_fault(vma, address, FAULT_FLAG_REMOTE | FAULT_FLAG_ALLOW_RETRY |
			      FAULT_FLAG_KILLABLE | (again ? FAULT_FLAG_TRIED : 0), NULL);
	if (ret & (VM_FAULT_RETRY | VM_FAULT_COMPLETED))
		mmap_read_lock(mm);
	return ret & VM_FAULT_ERROR ? -EFAULT : 0;
}

static int adopt_once(struct pcn_record *r, struct vm_area_struct *vma,
		      struct page **frame)
{
	unsigned long address = pcn_address_of(r);

	if (anon_vma_prepare(vma))
		return -ENOMEM;
	if (!*frame)
		*frame = new_frame(r, vma, GFP_USER);
	if (!*frame)
		return -ENOMEM;
	split_huge(vma, address);
	return replace_page(vma, address, *frame);
}

/*
 * Have a frame with the content of a plain page mapped in its place. -EAGAIN: not yet.
 * Other errors: it cannot be. mmap_lock is held, but not all the time.
 */
static int adopt_page(struct pcn_record *r, struct page **frame)
{
	unsigned long address = pcn_address_of(r);
	struct mm_struct *mm = r->space->mm;
	struct vm_area_struct *vma;
	unsigned int i;
	int err;

	for (i = 0; i < BRING_TRIES && !pcn_space_ends(r->space); i++) {
		vma = vma_lookup(mm, address);
		if (!vma || !pcn_vma_replicates(vma))
			return -EFAULT;
		err = adopt_once(r, vma, frame);
		if (err != -ENOENT)
			return err;
		err = bring_in(vma, address, i);
		if (err)
			return err;
	}
	return -EAGAIN;
}

static bool claim_adoption(struct pcn_record *r)
{
	bool may;

	spin_lock(&r->lock);
	may = r->plain && r->backlog && !r->dropped && !r->active && !r->adopter;
	if (may)
		WRITE_ONCE(r->adopter, current);
	spin_unlock(&r->lock);
	return may;
}

/* Linux handles a fault of the page, or removes entries of page tables. */
static bool is_linux_busy(struct pcn_record *r)
{
	struct pcn_space *s = r->space;

	/* Pairs with the one in pcn_unmap_begin_shared(), which looks for adopters. */
	smp_mb();
	if (!atomic_read(&s->unmaps))
		return pcn_has_plain_fault(s, r->page);
	atomic_set(&s->adoptions_put_off, 1);
	/* Pairs with atomic_dec_and_test() in pcn_unmap_end_shared(). */
	smp_mb();
	return atomic_read(&s->unmaps) || pcn_has_plain_fault(s, r->page);
}

/*
 * True: the current task makes the page the protocol's, and nobody else uses it. False:
 * whatever is in the way kicks the record when it ends. Linux might do so while this
 * task still has the claim, so look again without it.
 */
static bool become_adopter(struct pcn_record *r)
{
	do {
		if (!claim_adoption(r))
			return false;
		if (!is_linux_busy(r))
			return true;
		WRITE_ONCE(r->adopter, NULL);
	} while (!is_linux_busy(r));
	return false;
}

static void stop_adopting(struct pcn_record *r, bool stuck)
{
	u64 again;

	spin_lock(&r->lock);
	WRITE_ONCE(r->adopter, NULL);
	again = stuck ? pcn_record_stuck_again(r) : 0;
	if (again)
		pcn_record_kick(r, again);
	spin_unlock(&r->lock);
}

/* By its adopter: the page is the protocol's, or something is that stands for it. */
static void make_shared(struct pcn_record *r, struct page *frame, bool absent)
{
	struct page *old;

	spin_lock(&r->lock);
	WRITE_ONCE(r->adopter, NULL);
	old = r->frame;
	pcn_record_set_frame(r, frame);
	pcn_check_may(r, PCN_MAP_RDWR);
	r->mapped = absent ? PCN_MAP_NONE : PCN_MAP_RDWR;
	r->may = PCN_MAP_RDWR;
	r->absent = absent;
	r->plain = false;
	if (r->backlog)
		r->backlog->stuck_since = 0;
	pcn_replica_own(r->space->proto, &r->space->group, &r->replica);
	pcn_record_changed(r);
	spin_unlock(&r->lock);
	if (old)
		put_page(old);
	if (!absent)
		atomic64_inc(&r->space->stats.adopted);
	trace_pcn_page_adopt(r->space->number, r->page, !absent);
}

/* Charged to the process, which may have any number of them. */
static struct page *dummy_page(struct pcn_space *s)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(s->mm);
	struct mem_cgroup *old = set_active_memcg(memcg);
	struct page *page;

	page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOFAIL);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	return page;
}

static void make_origin_only(struct pcn_record *r)
{
	unsigned long address = pcn_address_of(r);

	pcn_origin_only(r->space, address, address + PAGE_SIZE, true);
}

/* False: not yet. */
static bool adopt_or_refuse(struct pcn_record *r)
{
	struct page *frame = NULL;
	int err = adopt_page(r, &frame);
	bool wait = err == -EAGAIN && !pcn_space_ends(r->space) &&
		    !pcn_record_stuck_for_long(r);

	if (!err) {
		make_shared(r, frame, false);
		return true;
	}
	if (frame)
		put_page(frame);
	if (wait) {
		stop_adopting(r, true);
		return false;
	}
	if (err == -EAGAIN)
		make_origin_only(r);
	make_shared(r, dummy_page(r->space), true);
	return true;
}

/**
 * pcn_record_wants_adopter - is a page to become the protocol's?
 * @r:	the record
 *
 * Context: any.
 */
bool pcn_record_wants_adopter(const struct pcn_record *r)
{
	return READ_ONCE(r->plain) && pcn_record_is_held(r);
}

/**
 * pcn_page_adopt - make a plain page the protocol's, if it is to be
 * @r:	the record
 *
 * Context: process; sleeps for mmap_lock, memory and I/O.
 * Return: true: done, or an access has to end first, which then goes on; false: the
 * record will be looked at again.
 */
bool pcn_page_adopt(struct pcn_record *r)
{
	struct mm_struct *mm = r->space->mm;
	bool done;

	mmap_read_lock(mm);
	done = !become_adopter(r) || adopt_or_refuse(r);
	mmap_read_unlock(mm);
	/* A page on its way to an LRU list is referred to by a CPU's batch. */
	if (!done)
		lru_add_drain_all();
	return done;
}

/**
 * pcn_page_adopt_at_once - make a plain page the protocol's, if that needs no waiting
 * @r:		the record
 * @atomic:	do not sleep
 *
 * Context: process, also a handler with @atomic; otherwise it sleeps for memory.
 * Return: false: pcn_page_adopt() is needed.
 */
bool pcn_page_adopt_at_once(struct pcn_record *r, bool atomic)
{
	struct mm_struct *mm = r->space->mm;
	struct page *frame = NULL;
	bool adopts;

	if (!pcn_record_wants_adopter(r))
		return true;
	if (!mmap_read_trylock(mm))
		return false;
	adopts = become_adopter(r);
	if (adopts)
		frame = try_adopt(r, atomic);
	if (frame)
		make_shared(r, frame, false);
	else if (adopts)
		stop_adopting(r, false);
	mmap_read_unlock(mm);
	return frame || !adopts;
}

/**
 * pcn_page_dummy - what a record goes on with if its frame cannot be taken away
 * @r:	the record, in use
 *
 * Context: process; sleeps for memory.
 * Return: a page for pcn_context.dummy, and the page is origin-only then; NULL: there is
 * no need, or others have not referred to the frame for long.
 */
struct page *pcn_page_dummy(struct pcn_record *r)
{
	if (!pcn_record_is_stuck(r))
		return NULL;
	/* mlock(2) and munlock(2) have batches of pages that they refer to. */
	lru_add_drain_all();
	if (!pcn_record_stuck_for_long(r))
		return NULL;
	make_origin_only(r);
	return dummy_page(r->space);
}

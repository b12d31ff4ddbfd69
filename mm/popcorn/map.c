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
 * *plain*: Linux does with it what it likes. When another kernel first asks for it
 * the worker *adopts* it: whatever is mapped there (a file's page, one shared
 * with a child, the zero page, one from swap) is replaced by a private, exclusive,
 * small anonymous page that is on no LRU list, so that neither reclaim, compaction,
 * khugepaged nor KSM touches it. While the data is elsewhere the page table holds
 * a poison marker, as userfaultfd's: paths that have been forgotten fail instead of
 * reading zeros. Before Linux changes the layout the page becomes plain again
 * (layout.c).
 *
 * A page is mapped by the thread that wants it, with its VMA locked, and
 * unmapped by whoever the protocol tells to; at the origin only when nobody else
 * refers to the frame, as direct I/O does. It is mapped old: the accessed bit tells
 * whether the thread has used it, and before that it is not taken away for a while.
 *
 * The worker, a thread of real-time priority, goes on with what a handler could not
 * do; a work item with what has to wait for somebody, or for some time.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/rmap.h>
#include <linux/sched.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/userfaultfd_k.h>

#include <asm/tlbflush.h>

#include <trace/events/popcorn.h>

#include "../internal.h"
#include "internal.h"

/* A pinned page is looked at again after so long. */
#define PIN_DELAY	msecs_to_jiffies(4)

/* How often it is asked whether others still refer to a page to be adopted. */
#define ADOPT_TRIES	64

/* A work item would wait until threads that compute let it run. */
static struct kthread_worker *worker __ro_after_init;

static unsigned long address_of(const struct pcn_record *r)
{
	return r->page << PAGE_SHIFT;
}

/**
 * pcn_vma_replicates - may pages of a VMA be on several kernels?
 * @vma:	the VMA
 *
 * Private memory may, of files or not. All else is home-only.
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
 * pcn_map_prepare - see to what pcn_map() needs
 * @vma:	the VMA
 * @address:	in it
 * @mm_locked:	mmap_lock is held, not only the VMA's
 *
 * Context: process; the VMA is locked, sleeps for memory.
 * Return: 0; -ENOMEM; -EAGAIN mmap_lock is needed.
 */
int pcn_map_prepare(struct vm_area_struct *vma, unsigned long address,
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

static struct page *alloc_frame(struct vm_area_struct *vma,
				unsigned long address, gfp_t gfp)
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

/**
 * pcn_frame_alloc - have a frame for a page that is to come
 * @r:		the record, in use
 * @vma:	its VMA
 *
 * Context: process; the VMA is locked, sleeps for memory.
 * Return: 0 or -ENOMEM.
 */
int pcn_frame_alloc(struct pcn_record *r, struct vm_area_struct *vma)
{
	struct page *page;

	if (READ_ONCE(r->frame))
		return 0;
	page = alloc_frame(vma, address_of(r), GFP_USER);
	if (!page)
		return -ENOMEM;
	spin_lock(&r->lock);
	if (!r->frame && !r->plain) {
		pcn_set_frame(r, page);
		page = NULL;
	}
	spin_unlock(&r->lock);
	if (page)
		put_page(page);
	return 0;
}

static bool is_foreign(const struct pcn_space *s)
{
	return !pcn_is_origin(s);
}

static pte_t make_pte(struct pcn_record *r, struct vm_area_struct *vma)
{
	pte_t pte = pfn_pte(page_to_pfn(r->frame), vma->vm_page_prot);

	/* Old, so that it tells later whether the page has been used. */
	pte = pte_mkold(pte);
	if (is_foreign(r->space))
		pte = pte_mkspecial(pte);
	if (r->may != PCN_MAP_RDWR)
		return pte_wrprotect(pte);
	return maybe_mkwrite(pte_mkdirty(pte), vma);
}

/* The frame is on no list, and nobody has seen it: as good as new. */
static void add_rmap(struct pcn_record *r, struct vm_area_struct *vma)
{
	get_page(r->frame);
	folio_add_new_anon_rmap(page_folio(r->frame), vma, address_of(r),
				RMAP_EXCLUSIVE);
	inc_mm_counter(vma->vm_mm, MM_ANONPAGES);
	if (r->may != PCN_MAP_RDWR)
		ClearPageAnonExclusive(r->frame);
}

/**
 * pcn_map - let the page table allow what the protocol allows
 * @r:		the record, not plain, with a frame
 * @vma:	its VMA; pcn_map_prepare() was called for it
 *
 * Context: the record's lock is held, the VMA is locked.
 */
void pcn_map(struct pcn_record *r, struct vm_area_struct *vma)
{
	struct mm_struct *mm = vma->vm_mm;
	unsigned long address = address_of(r);
	spinlock_t *ptl;
	pte_t *pte;

	if (r->may == PCN_MAP_NONE)
		return;
	pte = lock_pte(mm, address, &ptl);
	if (!pte)
		return;
	if (!is_foreign(r->space)) {
		/* Truncating a file unmaps its pages, private ones as well. */
		if (!pte_present(ptep_get(pte)))
			add_rmap(r, vma);
		else if (r->may == PCN_MAP_RDWR)
			SetPageAnonExclusive(r->frame);
	}
	/* More is allowed than before: who has the old entry faults again. */
	set_pte_at(mm, address, pte, make_pte(r, vma));
	update_mmu_cache(vma, address, pte);
	pte_unmap_unlock(pte, ptl);
	r->mapped = r->may;
}

/* One reference is the record's, one the page table's. */
static bool others_refer(struct page *frame)
{
	return page_count(frame) > 2;
}

static void unmap_frame(struct pcn_record *r, struct vm_area_struct *vma,
			pte_t *pte)
{
	struct folio *folio = page_folio(r->frame);
	unsigned long address = address_of(r);

	set_pte_at(vma->vm_mm, address, pte,
		   make_pte_marker(PTE_MARKER_POISONED));
	folio_remove_rmap_pte(folio, r->frame, vma);
	dec_mm_counter(vma->vm_mm, MM_ANONPAGES);
	ClearPageAnonExclusive(r->frame);
	/* Only the record refers to it now. It may be mapped again as new. */
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
	set_pte_at(vma->vm_mm, address_of(r), pte, pte_wrprotect(old));
	return true;
}

static bool reduce_home_present(struct pcn_record *r, struct vm_area_struct *vma,
				pte_t *pte, pte_t old, enum pcn_mapping to)
{
	bool done = !others_refer(r->frame);

	if (done && to == PCN_MAP_NONE)
		unmap_frame(r, vma, pte);
	else if (done)
		done = protect_frame(r, vma, pte, old);
	if (!done)
		set_pte_at(vma->vm_mm, address_of(r), pte, old);
	return done;
}

/* False: somebody else uses the frame. The entry is cleared and flushed. */
static bool reduce_home(struct pcn_record *r, struct vm_area_struct *vma,
			pte_t *pte, pte_t old, enum pcn_mapping to)
{
	if (pte_present(old))
		return reduce_home_present(r, vma, pte, old, to);
	if (page_count(r->frame) > 1)
		return false;
	set_pte_at(vma->vm_mm, address_of(r), pte,
		   make_pte_marker(PTE_MARKER_POISONED));
	return true;
}

/* A thread that is not kept from it has used a page by then, after it was mapped. */
#define USE_LIMIT_NS	NSEC_PER_MSEC

/* A thread has just got it for a time that is not over. */
static bool is_kept(const struct pcn_record *r, pte_t pte)
{
	u64 now = ktime_get_ns();

	return now < r->keep_until ||
	       (!pte_young(pte) && now < r->mapped_at + USE_LIMIT_NS);
}

/* False: not yet, and the worker or a work item has been asked to. */
static bool reduce_in(struct pcn_record *r, struct vm_area_struct *vma,
		      enum pcn_mapping to)
{
	unsigned long address = address_of(r);
	spinlock_t *ptl;
	bool done = true;
	pte_t *pte, old;

	pte = lock_pte(vma->vm_mm, address, &ptl);
	if (!pte)
		return true;
	if (is_kept(r, ptep_get(pte))) {
		pte_unmap_unlock(pte, ptl);
		pcn_linger(r);
		return false;
	}
	old = ptep_clear_flush(vma, address, pte);
	r->used = pte_young(old);
	if (to == PCN_MAP_NONE)
		r->gone_at = ktime_get_ns();
	if (!is_foreign(r->space))
		done = reduce_home(r, vma, pte, old, to);
	else if (to == PCN_MAP_RDONLY)
		set_pte_at(vma->vm_mm, address, pte, pte_wrprotect(old));
	pte_unmap_unlock(pte, ptl);
	if (!done)
		pcn_record_kick(r, PIN_DELAY);
	return done;
}

/**
 * pcn_reduce - let the page table allow no more than this
 * @r:		the record
 * @to:		what is still to be allowed
 * @c:		@locked if mmap_lock is held, to read; otherwise the VMA's lock is tried
 *
 * Context: the record's lock is held.
 * Return: true: done, TLBs flushed; false: it has to be done later, as somebody has been
 * asked to.
 */
bool pcn_reduce(struct pcn_record *r, enum pcn_mapping to,
		const struct pcn_context *c)
{
	bool locked = c->locked;
	struct mm_struct *mm = r->space->mm;
	struct vm_area_struct *vma;
	bool done;

	if (r->mapped <= to)
		return true;
	if (to == PCN_MAP_RDONLY && pcn_check_mistake(PCN_MISTAKE_PROTECT))
		return true;
	vma = locked ? vma_lookup(mm, address_of(r)) :
		       lock_vma_under_rcu(mm, address_of(r));
	if (!vma && !locked) {
		pcn_record_kick(r, c->delay);
		return false;
	}
	done = !vma || reduce_in(r, vma, to);
	if (vma && !locked)
		vma_end_read(vma);
	if (done)
		r->mapped = to;
	return done;
}

/* --- from Linux's page to the protocol's, and back --- */

/* May somebody else still write to the page that is mapped? */
static bool is_busy(struct folio *folio, int try)
{
	int expected = folio_mapcount(folio) +
		       (folio_test_swapcache(folio) ? folio_nr_pages(folio) : 0);

	if (!folio_test_anon(folio))
		return false;
	if (folio_maybe_dma_pinned(folio))
		return true;
	return folio_ref_count(folio) > expected && try < ADOPT_TRIES;
}

static void copy_content(struct page *to, struct page *from)
{
	if (from)
		copy_page(page_address(to), page_address(from));
	else
		clear_page(page_address(to));
}

static void put_in_place(struct vm_area_struct *vma, unsigned long address,
			 pte_t *pte, struct page *frame, struct page *old)
{
	struct mm_struct *mm = vma->vm_mm;
	struct folio *folio = old ? page_folio(old) : NULL;
	pte_t entry = mk_pte(frame, vma->vm_page_prot);

	entry = maybe_mkwrite(pte_mkdirty(pte_mkyoung(entry)), vma);
	get_page(frame);
	folio_add_new_anon_rmap(page_folio(frame), vma, address, RMAP_EXCLUSIVE);
	inc_mm_counter(mm, MM_ANONPAGES);
	set_pte_at(mm, address, pte, entry);
	if (!folio)
		return;
	folio_remove_rmap_pte(folio, old, vma);
	dec_mm_counter(mm, mm_counter(folio));
}

/*
 * Replace what is mapped by a frame with the same content. -EAGAIN: others refer
 * to it; -ENOENT: nothing is mapped that could be copied.
 */
static int replace_page(struct vm_area_struct *vma, unsigned long address,
			struct page *frame, int try)
{
	struct page *old = NULL;
	spinlock_t *ptl;
	pte_t *pte, entry;
	int err = 0;

	pte = get_locked_pte(vma->vm_mm, address, &ptl);
	if (!pte)
		return -ENOMEM;
	entry = ptep_get(pte);
	if (pte_present(entry)) {
		entry = ptep_clear_flush(vma, address, pte);
		old = vm_normal_page(vma, address, entry);
		if (old && is_busy(page_folio(old), try)) {
			set_pte_at(vma->vm_mm, address, pte, entry);
			err = -EAGAIN;
		}
	} else if (!pte_none(entry) || !vma_is_anonymous(vma)) {
		err = -ENOENT;
	}
	if (!err) {
		copy_content(frame, old);
		put_in_place(vma, address, pte, frame, old);
	}
	pte_unmap_unlock(pte, ptl);
	if (!err && old)
		put_page(old);
	return err;
}

/* A transparent huge page there is made one of small pages. */
static void split_huge(struct vm_area_struct *vma, unsigned long address)
{
	pmd_t *pmd = mm_find_pmd(vma->vm_mm, address);

	if (pmd && pmd_trans_huge(pmdp_get_lockless(pmd)))
		split_huge_pmd(vma, pmd, address);
}

/* What to do before the next try. mmap_lock may have been let go meanwhile. */
static int before_retry(struct mm_struct *mm, unsigned long address, int err,
			int try)
{
	bool unlocked = false;

	if (err == -ENOENT)
		return fixup_user_fault(mm, address, FAULT_FLAG_REMOTE,
					&unlocked);
	if (err != -EAGAIN)
		return err;
	mmap_read_unlock(mm);
	/* A page on its way to an LRU list is referred to by a CPU's batch. */
	if (try)
		schedule_timeout_uninterruptible(1);
	else
		lru_add_drain_all();
	mmap_read_lock(mm);
	return 0;
}

static int adopt_once(struct vm_area_struct *vma, unsigned long address,
		      struct page **frame, int try)
{
	if (anon_vma_prepare(vma))
		return -ENOMEM;
	if (!*frame)
		*frame = alloc_frame(vma, address, GFP_USER);
	if (!*frame)
		return -ENOMEM;
	split_huge(vma, address);
	return replace_page(vma, address, *frame, try);
}

/* What adopt() does, if nobody has to be waited for; NULL otherwise. */
static struct page *adopt_at_once(struct mm_struct *mm, unsigned long address,
				  bool *mapped)
{
	struct vm_area_struct *vma = vma_lookup(mm, address);
	struct page *frame;
	int err;

	if (!vma || !vma->anon_vma || !pcn_vma_replicates(vma))
		return NULL;
	frame = alloc_frame(vma, address, GFP_NOWAIT | __GFP_NOWARN);
	if (!frame)
		return NULL;
	split_huge(vma, address);
	err = replace_page(vma, address, frame, 0);
	if (err == -EAGAIN) {
		/* It may be on its way to an LRU list, most likely from here. */
		lru_add_drain();
		err = replace_page(vma, address, frame, 0);
	}
	*mapped = !err;
	if (!err)
		return frame;
	put_page(frame);
	return NULL;
}

/*
 * A frame with the content of a plain page, mapped in its place. Where there is
 * nothing, as beyond the end of a file, it is zeros, and not mapped.
 */
static struct page *adopt(struct mm_struct *mm, unsigned long address,
			  bool *mapped)
{
	struct vm_area_struct *vma;
	struct page *frame = NULL;
	int err, try = 0;

	do {
		vma = vma_lookup(mm, address);
		if (!vma || !pcn_vma_replicates(vma))
			break;
		err = adopt_once(vma, address, &frame, try);
		*mapped = !err;
		if (!err)
			return frame;
		err = before_retry(mm, address, err, try++);
	} while (!err);
	if (!frame)
		return alloc_page(GFP_KERNEL | __GFP_ZERO | __GFP_NOFAIL);
	clear_page(page_address(frame));
	return frame;
}

static bool claim_adoption(struct pcn_record *r)
{
	bool may;

	spin_lock(&r->lock);
	may = r->plain && r->holding && !r->active && !r->adopter;
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

/* By its adopter. False: it is not, for somebody would have to be waited for. */
static bool make_shared(struct pcn_record *r, bool wait)
{
	struct page *frame, *old;
	bool mapped = false;

	frame = (wait ? adopt : adopt_at_once)(r->space->mm, address_of(r),
					       &mapped);
	spin_lock(&r->lock);
	WRITE_ONCE(r->adopter, NULL);
	if (!frame) {
		spin_unlock(&r->lock);
		return false;
	}
	old = r->frame;
	pcn_set_frame(r, frame);
	pcn_check_may(r, PCN_MAP_RDWR);
	r->mapped = mapped ? PCN_MAP_RDWR : PCN_MAP_NONE;
	r->may = PCN_MAP_RDWR;
	r->plain = false;
	pcn_replica_own(r->space->proto, &r->space->group, &r->replica);
	spin_unlock(&r->lock);
	if (old)
		put_page(old);
	atomic64_inc(&r->space->stats.adopted);
	trace_pcn_page_adopt(r->space->number, r->page, mapped);
	return true;
}

static bool wants_adopter(const struct pcn_record *r)
{
	return READ_ONCE(r->plain) && READ_ONCE(r->holding);
}

/* A writer that waits for mmap_lock may wait for this very record. */
static void go_on(struct pcn_record *r)
{
	struct pcn_context *c = pcn_context_get(r->space);

	c->locked = mmap_read_trylock(r->space->mm);
	c->delay = 1;
	spin_lock(&r->lock);
	pcn_stop_lingering(r);
	/* An adopter, or what is in its way, kicks the record afterwards. */
	if (!r->adopter && !r->plain)
		pcn_resume(r, c);
	spin_unlock(&r->lock);
	if (c->locked)
		mmap_read_unlock(r->space->mm);
	pcn_context_put(c);
}

/**
 * pcn_record_work - go on with a record, though somebody has to be waited for
 * @work:	the record's
 *
 * Context: work item. It waits for mmap_lock only to adopt the page.
 */
void pcn_record_work(struct work_struct *work)
{
	struct pcn_record *r = container_of(to_delayed_work(work),
					    struct pcn_record, work);
	struct mm_struct *mm = r->space->mm;

	if (wants_adopter(r)) {
		mmap_read_lock(mm);
		if (become_adopter(r))
			make_shared(r, true);
		mmap_read_unlock(mm);
	}
	go_on(r);
	pcn_record_put(r);
}

/* The caller has a reference, and one that was not needed is not the last. */
static void kick_later(struct pcn_record *r, unsigned long delay)
{
	refcount_inc(&r->refs);
	if (!queue_delayed_work(system_unbound_wq, &r->work, delay))
		refcount_dec(&r->refs);
}

/* False: somebody would have to be waited for. */
static bool adopt_if_wanted(struct pcn_record *r)
{
	struct mm_struct *mm = r->space->mm;
	bool done;

	if (!wants_adopter(r))
		return true;
	if (!mmap_read_trylock(mm))
		return false;
	done = !become_adopter(r) || make_shared(r, false);
	mmap_read_unlock(mm);
	return done;
}

/**
 * pcn_record_run - go on with a record where a handler could not
 * @work:	the record's
 *
 * Context: the thread of all records, which waits for nothing but memory.
 */
void pcn_record_run(struct kthread_work *work)
{
	struct pcn_record *r = container_of(work, struct pcn_record, run);

	if (adopt_if_wanted(r))
		go_on(r);
	else if (!READ_ONCE(r->space->ending))
		kick_later(r, 0);
	pcn_record_put(r);
}

/**
 * pcn_record_kick - have somebody go on with a record
 * @r:		the record
 * @delay:	after so many jiffies
 *
 * Context: any.
 */
void pcn_record_kick(struct pcn_record *r, unsigned long delay)
{
	if (READ_ONCE(r->space->ending))
		return;
	if (delay)
		return kick_later(r, delay);
	refcount_inc(&r->refs);
	if (!kthread_queue_work(worker, &r->run))
		refcount_dec(&r->refs);
}

static void cancel_run(struct pcn_record *r)
{
	if (kthread_cancel_work_sync(&r->run))
		pcn_record_put(r);
}

/**
 * pcn_record_cancel - do not go on with a record
 * @r:	the record, of a space that is ending, and no timer of it runs
 *
 * What began before the space was ending may still ask for more, each of the two for
 * the other one; what begins later does not.
 *
 * Context: process; waits for what runs just now.
 */
void pcn_record_cancel(struct pcn_record *r)
{
	cancel_run(r);
	if (cancel_delayed_work_sync(&r->work))
		pcn_record_put(r);
	cancel_run(r);
}

/**
 * pcn_map_init - start the thread that goes on with records
 *
 * Context: initcall.
 * Return: 0 or -ENOMEM.
 */
int __init pcn_map_init(void)
{
	worker = kthread_create_worker(0, "popcorn_pages");
	if (IS_ERR(worker))
		return PTR_ERR(worker);
	/* Others wait for what it does, on other kernels, too. */
	sched_set_fifo_low(worker->task);
	return 0;
}

static bool is_poisoned(pte_t pte)
{
	return is_pte_marker(pte) &&
	       is_poisoned_swp_entry(pte_to_swp_entry(pte));
}

static void clear_marker(struct vm_area_struct *vma, unsigned long address)
{
	spinlock_t *ptl;
	pte_t *pte = lock_pte(vma->vm_mm, address, &ptl);

	if (!pte)
		return;
	if (is_poisoned(ptep_get(pte)))
		pte_clear(vma->vm_mm, address, pte);
	pte_unmap_unlock(pte, ptl);
}

/*
 * Nobody else has a page that was shared before: to write it Linux needs no copy, and
 * who refers to it, as a pipe does, sees what is written.
 */
static void make_exclusive(struct pcn_record *r, struct vm_area_struct *vma)
{
	spinlock_t *ptl;
	pte_t *pte = lock_pte(vma->vm_mm, address_of(r), &ptl);

	if (!pte)
		return;
	if (pte_present(ptep_get(pte)))
		SetPageAnonExclusive(r->frame);
	pte_unmap_unlock(pte, ptl);
}

/**
 * pcn_release - at the origin, give a page back to Linux
 * @r:		the record: no other kernel has the page, nothing is under way
 * @vma:	its VMA, or NULL; pcn_map_prepare() was called for it
 *
 * A page whose data is elsewhere is empty then.
 *
 * Context: process; mmap_lock is held, to read.
 * Return: false: Linux has taken the page away, and pcn_remove() has to follow.
 */
bool pcn_release(struct pcn_record *r, struct vm_area_struct *vma)
{
	struct page *frame;

	spin_lock(&r->lock);
	if (r->torn || r->plain) {
		spin_unlock(&r->lock);
		return !r->torn;
	}
	pcn_check_end(r, true);
	frame = r->frame;
	trace_pcn_page_release(r->space->number, r->page, r->replica.state);
	if (vma && !r->plain && r->may && !r->mapped)
		pcn_map(r, vma);
	else if (vma && !r->plain && !r->mapped)
		clear_marker(vma, address_of(r));
	if (vma && !r->plain && r->mapped)
		make_exclusive(r, vma);
	pcn_set_frame(r, NULL);
	r->plain = true;
	pcn_forget_use(r);
	spin_unlock(&r->lock);
	if (frame && r->mapped && vma)
		folio_add_lru_vma(page_folio(frame), vma);
	if (frame)
		put_page(frame);
	r->mapped = PCN_MAP_NONE;
	return true;
}

/**
 * pcn_remove - at the origin, a page is no part of the address space any more
 * @r:		the record: no other kernel has the page, nothing is under way
 * @vma:	the VMA at its address, which need not be the page's; or NULL
 *
 * Linux has taken the page away. A thread that was about to map it may have done so
 * since, and a marker may be left.
 *
 * Context: process; mmap_lock is held, to read.
 */
void pcn_remove(struct pcn_record *r, struct vm_area_struct *vma)
{
	unsigned long address = address_of(r);
	spinlock_t *ptl;
	pte_t *pte, old;

	if (!vma || !pcn_vma_replicates(vma))
		return;
	pte = lock_pte(vma->vm_mm, address, &ptl);
	if (!pte)
		return;
	old = ptep_get(pte);
	if (r->frame && pte_present(old) && pte_pfn(old) == page_to_pfn(r->frame)) {
		ptep_clear_flush(vma, address, pte);
		folio_remove_rmap_pte(page_folio(r->frame), r->frame, vma);
		dec_mm_counter(vma->vm_mm, MM_ANONPAGES);
		put_page(r->frame);
	} else if (is_poisoned(old)) {
		pte_clear(vma->vm_mm, address, pte);
	}
	pte_unmap_unlock(pte, ptl);
}

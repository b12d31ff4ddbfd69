// SPDX-License-Identifier: GPL-2.0
/*
 * Page faults in an address space that several kernels share.
 *
 * handle_mm_fault() calls pcn_fault_shared() first. A fault is an access to a page: it
 * gets the page's record, waits without the lock of the fault until the protocol lets
 * it in, and changes the page table itself. Linux handles plain pages alone, which the
 * protocol has not touched; most of them have no record. Meanwhile the access counts as
 * under way, so the page is not adopted.
 *
 * A thread that has waited completes its fault before the record's next event, so that
 * the page is used before it leaves. A fault that must keep its lock waits with the lock
 * held: internal.h says what others must not do then.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include <popcorn/hooks.h>

#include "internal.h"
#include "mirror.h"

/**
 * struct fault - a page fault
 * @mm:		the address space
 * @vma:	the VMA; not valid while no lock is held
 * @address:	where
 * @flags:	FAULT_FLAG_*
 * @linux_fault: what Linux would do
 * @r:		the page's record
 */
struct fault {
	struct mm_struct	*mm;
	struct vm_area_struct	*vma;
	unsigned long		address;
	unsigned int		flags;
	pcn_linux_fault_t	linux_fault;
	struct pcn_record	*r;
};

static bool fault_writes(const struct fault *f)
{
	return f->flags & (FAULT_FLAG_WRITE | FAULT_FLAG_UNSHARE);
}

static bool fault_may_unlock(const struct fault *f)
{
	return f->flags & FAULT_FLAG_ALLOW_RETRY;
}

static bool has_mmap_lock(const struct fault *f)
{
	return !(f->flags & FAULT_FLAG_VMA_LOCK);
}

static void fault_unlock(struct fault *f)
{
	if (has_mmap_lock(f))
		mmap_read_unlock(f->mm);
	else
		vma_end_read(f->vma);
}

/* To be tried again with mmap_lock, or when what was waited for has happened. */
static vm_fault_t fault_retry(struct fault *f)
{
	fault_unlock(f);
	return VM_FAULT_RETRY;
}

/* The page is shut: its range is being changed, or it is torn. */
static vm_fault_t fault_wait_for_thaw(struct fault *f, struct pcn_space *s)
{
	u64 page = f->address >> PAGE_SHIFT;

	if (f->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	/* A thread that ends would come back at once, and for long. */
	if (READ_ONCE(s->broken))
		return VM_FAULT_SIGBUS;
	fault_unlock(f);
	wait_event_killable(s->thawed, !pcn_page_is_shut(s, page) ||
				       READ_ONCE(s->broken));
	return VM_FAULT_RETRY;
}

static vm_fault_t prepare_error(struct fault *f, int err)
{
	return err == -EAGAIN ? fault_retry(f) : VM_FAULT_OOM;
}

/*
 * Find the VMA again and lock it, or else take mmap_lock. Do not wait: events of the
 * page, and the holder of mmap_lock, may wait for this thread.
 */
static bool fault_relock(struct fault *f)
{
	f->vma = lock_vma_under_rcu(f->mm, f->address);
	if (f->vma) {
		f->flags |= FAULT_FLAG_VMA_LOCK;
		return true;
	}
	f->flags &= ~FAULT_FLAG_VMA_LOCK;
	if (!mmap_read_trylock(f->mm))
		return false;
	f->vma = vma_lookup(f->mm, f->address);
	if (f->vma)
		return true;
	mmap_read_unlock(f->mm);
	return false;
}

/* The VMA may be another one after the wait: then the fault starts again. */
static bool fault_is_still_valid(struct fault *f)
{
	return pcn_vma_replicates(f->vma) &&
	       (!(f->flags & FAULT_FLAG_WRITE) || f->vma->vm_flags & VM_WRITE) &&
	       !pcn_page_map_prepare(f->vma, f->address, has_mmap_lock(f));
}

static void fault_install(struct fault *f)
{
	spin_lock(&f->r->lock);
	pcn_page_map(f->r, f->vma);
	spin_unlock(&f->r->lock);
}

/* With the page granted, and no lock held. */
static vm_fault_t fault_complete_unlocked(struct fault *f)
{
	vm_fault_t ret = VM_FAULT_RETRY;

	if (!fault_relock(f))
		return ret;
	if (fault_is_still_valid(f)) {
		fault_install(f);
		ret = VM_FAULT_COMPLETED;
	}
	fault_unlock(f);
	return ret;
}

/* There is no page to be had. A thread that has released its lock faults again. */
static vm_fault_t fault_give_up(struct fault *f, int err)
{
	if (err == -EIO) {
		pr_err("%s[%d]: killed: page %lx was lost with the kernel that had it\n",
		       current->comm, current->pid, f->address & PAGE_MASK);
		send_sig(SIGKILL, current, 1);
	}
	return fault_may_unlock(f) ? VM_FAULT_RETRY : VM_FAULT_SIGBUS;
}

/* A user fault, and the page was accessed during its last mapping. */
static bool was_of_use(const struct fault *f)
{
	return f->flags & FAULT_FLAG_USER && READ_ONCE(f->r->hold.used);
}

static vm_fault_t fault_wait_for_page(struct fault *f)
{
	bool of_use = was_of_use(f);
	struct pcn_context *c;
	vm_fault_t ret;
	u64 ns;
	int err;

	if (f->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	if (pcn_frame_alloc(f->r, f->vma, GFP_USER))
		return VM_FAULT_OOM;
	if (fault_may_unlock(f))
		fault_unlock(f);
	c = pcn_context_get(f->r->space);
	c->locked = !fault_may_unlock(f);
	spin_lock(&f->r->lock);
	err = pcn_access_enter(f->r, fault_writes(f), c);
	spin_unlock(&f->r->lock);
	pcn_context_put(c);
	if (err)
		return fault_give_up(f, err);
	pcn_delay();
	if (fault_may_unlock(f)) {
		ret = fault_complete_unlocked(f);
	} else {
		fault_install(f);
		ret = 0;
	}
	ns = f->r->space->ops->hold_ns(f->r->page, of_use);
	pcn_access_leave_mapped(f->r, ns);
	return ret;
}

/* A thread that ends, with no signal any more, may still write a word. */
static vm_fault_t fault_miss(struct fault *f)
{
	u64 since = pcn_wait_begin(f->r->space, f->r->page, fault_writes(f));
	vm_fault_t ret = VM_FAULT_SIGBUS;

	if (!READ_ONCE(f->r->space->broken))
		ret = fault_wait_for_page(f);
	pcn_wait_end(f->r->space, f->r->page, fault_writes(f), since,
		     !ret || ret == VM_FAULT_COMPLETED);
	return ret;
}

static vm_fault_t fault_use_linux(struct fault *f)
{
	vm_fault_t ret = f->linux_fault(f->vma, f->address, f->flags);

	pcn_access_leave(f->r);
	return ret;
}

/* The page is Linux's, at the origin: threads elsewhere find no memory, and go home. */
static vm_fault_t fault_use_at_origin(struct fault *f, struct pcn_space *s)
{
	if (!pcn_is_origin(s))
		return VM_FAULT_SIGSEGV;
	return f->linux_fault(f->vma, f->address, f->flags);
}

static vm_fault_t fault_on(struct fault *f)
{
	struct pcn_record *r = f->r;
	struct pcn_space *s = r->space;
	bool enters, plain;
	int err;

	if (READ_ONCE(r->adopter) == current)
		return f->linux_fault(f->vma, f->address, f->flags);
	if (READ_ONCE(r->absent))
		return fault_use_at_origin(f, s);
	err = pcn_page_map_prepare(f->vma, f->address, has_mmap_lock(f));
	if (err)
		return prepare_error(f, err);
	spin_lock(&r->lock);
	enters = pcn_access_may_enter(r, fault_writes(f), !fault_may_unlock(f));
	plain = r->plain;
	if (enters && plain)
		r->active++;
	else if (enters)
		pcn_page_map(r, f->vma);
	spin_unlock(&r->lock);
	pcn_count_fault(s, fault_writes(f), enters, plain);
	if (enters && plain)
		return fault_use_linux(f);
	return enters ? 0 : fault_miss(f);
}

/*
 * A write where the process must not write, while members may have mapped the file
 * instead, or their vDSO: its caller has skipped pcn_remote_access().
 */
static bool is_intrusion(const struct fault *f, struct pcn_space *s)
{
	return f->flags & FAULT_FLAG_WRITE && !(f->vma->vm_flags & VM_WRITE) &&
	       !READ_ONCE(s->files_forbidden) && pcn_files_forbid(s);
}

/* As without Popcorn: no other kernel has asked for the page. */
static vm_fault_t fault_on_plain(struct fault *f, struct pcn_space *s,
				 struct pcn_plain_fault *plain)
{
	vm_fault_t ret = f->linux_fault(f->vma, f->address, f->flags);

	pcn_plain_fault_end(s, plain);
	pcn_count_fault(s, fault_writes(f), true, true);
	return ret;
}

/* A page that is here may be used even while its range is frozen, but not if it is torn. */
static bool is_here(struct fault *f)
{
	struct pcn_record *r = f->r;
	bool here;

	spin_lock(&r->lock);
	here = !r->torn && !r->dropped && (r->plain || r->absent ||
			    r->may >= (fault_writes(f) ? PCN_MAP_RDWR : PCN_MAP_RDONLY));
	spin_unlock(&r->lock);
	return here;
}

/*
 * The lock is kept, and the thread that has frozen the range may wait for it. What can
 * be repeated without the lock is: see fault_in_user_writeable().
 */
static vm_fault_t fault_on_shut(struct fault *f, struct pcn_space *s)
{
	struct pcn_record *none = NULL;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	if (fault_may_unlock(f))
		return fault_wait_for_thaw(f, s);
	/* A member has nothing mapped, and nobody there holds a lock so. */
	if (!pcn_is_origin(s))
		return ret;
	f->r = pcn_record_find(s, f->address >> PAGE_SHIFT, &none);
	if (!f->r)
		return ret;
	if (is_here(f))
		ret = fault_on(f);
	pcn_record_put(f->r);
	return ret;
}

static struct pcn_record *get_record(struct fault *f, struct pcn_space *s,
				     struct pcn_plain_fault *plain)
{
	u64 page = f->address >> PAGE_SHIFT;

	return pcn_is_origin(s) ? pcn_record_get_or_plain(s, page, plain) :
				  pcn_record_get(s, page);
}

/*
 * The VMA is as good as gone. It has not been waited for the page yet. Of user code
 * pcn_visitor_bad_area() asks the origin what there is now, which may be the same.
 */
static vm_fault_t fault_on_stale(struct fault *f, struct pcn_space *s)
{
	if (f->flags & FAULT_FLAG_USER)
		return VM_FAULT_SIGSEGV;
	if (f->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	if (!fault_may_unlock(f))
		return VM_FAULT_SIGBUS;
	fault_unlock(f);
	if (!mmap_write_lock_killable(f->mm)) {
		pcn_vmas_clean(s);
		mmap_write_unlock(f->mm);
	}
	return VM_FAULT_RETRY;
}

/**
 * pcn_fault_shared - a page fault in a shared address space
 * @vma:	the VMA
 * @address:	where
 * @flags:	FAULT_FLAG_*
 * @linux_fault: what is to be done if the page is plain
 *
 * Context: as handle_mm_fault(), whose middle this is.
 * Return: VM_FAULT_*; with RETRY and COMPLETED the lock of the fault is released.
 */
vm_fault_t pcn_fault_shared(struct vm_area_struct *vma, unsigned long address,
			    unsigned int flags, pcn_linux_fault_t linux_fault)
{
	struct pcn_space *s = READ_ONCE(vma->vm_mm->popcorn);
	struct fault f = {
		.mm = vma->vm_mm, .vma = vma, .address = address,
		.flags = flags, .linux_fault = linux_fault,
	};
	struct pcn_plain_fault plain;
	vm_fault_t ret;

	/* The address space may be at its end, or it is Linux's alone. */
	if (!s || s->mirror)
		return linux_fault(vma, address, flags);
	if (s->borrow)
		return pcn_borrow_fault(s, vma, address, flags);
	if (is_intrusion(&f, s))
		return VM_FAULT_SIGBUS;
	if (!pcn_vma_replicates(vma))
		return linux_fault(vma, address, flags);
	f.r = get_record(&f, s, &plain);
	if (!f.r)
		return fault_on_plain(&f, s, &plain);
	if (IS_ERR(f.r))
		return PTR_ERR(f.r) == -EAGAIN ? fault_on_shut(&f, s) :
						 VM_FAULT_OOM;
	/* With the record: a round from now on waits for this fault. */
	if (!pcn_is_origin(s) && pcn_vma_is_stale(s, address))
		ret = fault_on_stale(&f, s);
	else
		ret = fault_on(&f);
	pcn_record_put(f.r);
	return ret;
}

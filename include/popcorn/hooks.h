/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What upstream files call. Every hook has a stub here that vanishes when
 * Popcorn is not configured; the logic is in files of Popcorn's own.
 */
#ifndef _POPCORN_HOOKS_H
#define _POPCORN_HOOKS_H

#include <linux/bits.h>
#include <linux/mmap_lock.h>
#include <linux/mm_types.h>
#include <linux/types.h>

struct clocksource;
struct cpumask;
struct kimage;
struct page_ext_operations;
struct pcn_space;
struct zap_details;
struct pt_regs;
struct task_struct;

/* What Linux does about a page fault. */
typedef vm_fault_t (*pcn_linux_fault_t)(struct vm_area_struct *vma,
					unsigned long address, unsigned int flags);

/* What a change of an address space is like: pcn_change_lock(). */
#define PCN_CHANGE_VMAS		BIT(0)	/* VMAs change, not only pages */
#define PCN_CHANGE_KEEP		BIT(1)	/* what is in the pages is needed */
#define PCN_CHANGE_READ		BIT(2)	/* mmap_lock is taken to read */
#define PCN_CHANGE_NOTHING	BIT(3)	/* nothing changes for other kernels */
#define PCN_CHANGE_BELOW	BIT(4)	/* addresses below may change as well */
#define PCN_CHANGE_TORN		BIT(5)	/* it has changed already */

/* Only what replaces others' memory concerns them: what is new they ask for. */
#define pcn_change_of_mmap(flags)	\
	((flags) & MAP_FIXED ? PCN_CHANGE_VMAS : PCN_CHANGE_NOTHING)
#define pcn_change_of_shmat(flags)	\
	((flags) & SHM_REMAP ? PCN_CHANGE_VMAS : PCN_CHANGE_NOTHING)
#define pcn_change_of_mprotect(grows)	\
	(PCN_CHANGE_VMAS | PCN_CHANGE_KEEP | ((grows) ? PCN_CHANGE_BELOW : 0))

/* mmap_lock as a change wants it. */
static inline int pcn_mmap_lock(struct mm_struct *mm, unsigned int flags)
{
	if (!(flags & PCN_CHANGE_READ))
		return mmap_write_lock_killable(mm);
	mmap_read_lock(mm);
	return 0;
}

static inline void pcn_mmap_unlock(struct mm_struct *mm, unsigned int flags)
{
	if (flags & PCN_CHANGE_READ)
		mmap_read_unlock(mm);
	else
		mmap_write_unlock(mm);
}

#ifdef CONFIG_POPCORN

/* Of functions that are static in Linux, as VISIBLE_IF_KUNIT. */
#define VISIBLE_IF_POPCORN

VISIBLE_IF_POPCORN int exec_mmap(struct mm_struct *mm);
extern const struct vm_special_mapping vdso_mapping, vvar_mapping;

extern struct page_ext_operations pcn_page_ext_ops;
extern bool pcn_shared_machine;
extern bool pcn_secondary;

/**
 * pcn_machine_is_shared - do other kernels run on CPUs of this machine?
 *
 * True on a secondary, and on a primary that gives CPUs away: no broadcast
 * interrupts, and no kernel is alone although it may have a single CPU.
 *
 * Context: any; constant after setup_arch().
 */
static inline bool pcn_machine_is_shared(void)
{
	return pcn_shared_machine;
}

/**
 * pcn_is_secondary - is this kernel a secondary?
 *
 * Context: any; constant from x86_early_init_platform_quirks() on.
 */
static inline bool pcn_is_secondary(void)
{
	return pcn_secondary;
}

/**
 * pcn_init_poison - what freed init memory is filled with
 * @poison:	the byte that Linux would take
 *
 * Nothing in a secondary, where the time of a start counts. Uses of such memory
 * that come too late show on the primary, which has the devices and with them
 * most init code. To QEMU's TCG each store into a page with code that has run is
 * expensive.
 *
 * Context: any.
 * Return: the byte, or -1 for none.
 */
static inline int pcn_init_poison(int poison)
{
	return pcn_is_secondary() ? -1 : poison;
}

void pcn_secondary_early_init(void);
bool pcn_reject_apic(u32 apic_id, u32 acpi_id, bool present);
struct clocksource *pcn_default_clock(void);
unsigned long pcn_kexec_flags(unsigned long flags);
bool pcn_kexec_unload(unsigned long flags, int *ret);
int pcn_kexec_load(struct kimage *image, unsigned long flags);
int pcn_kexec_result(int ret);
void pcn_mm_exit(struct mm_struct *mm);
vm_fault_t pcn_fault_shared(struct vm_area_struct *vma, unsigned long address,
			    unsigned int flags, pcn_linux_fault_t linux_fault);
int pcn_change_begin_shared(struct mm_struct *mm, unsigned long start,
			    unsigned long length, unsigned int flags);
int pcn_change_lock_shared(struct mm_struct *mm, unsigned long start,
			   unsigned long length, unsigned int flags);
void pcn_change_end_shared(struct mm_struct *mm, bool failed);
int pcn_change_lock_brk(struct mm_struct *mm, unsigned long brk);
int pcn_change_lock_mremap(struct mm_struct *mm, unsigned long addr,
			   unsigned long old_len, unsigned long new_len,
			   unsigned long flags, unsigned long new_addr);
unsigned int pcn_change_of_advice(int behavior, bool write);
bool pcn_change_is_missing_shared(struct mm_struct *mm);
struct pcn_space *pcn_unmap_begin_shared(struct vm_area_struct *vma,
					 unsigned long start, unsigned long end,
					 const struct zap_details *details);
void pcn_unmap_end_shared(struct pcn_space *s);
int pcn_remote_access(struct mm_struct *mm, unsigned int gup_flags);

void pcn_task_fork(struct task_struct *p, u64 flags);
void pcn_task_linked(struct task_struct *p);
void pcn_task_exec(void);
void pcn_task_exit(struct task_struct *p);
void pcn_task_free(struct task_struct *p);
long pcn_syscall_enter(struct pt_regs *regs, long nr);
void pcn_syscall_exit(struct pt_regs *regs);
void pcn_visitor_signal(void);
void pcn_visitor_dies(void);
bool pcn_visitor_bad_area(struct pt_regs *regs, unsigned long address, bool missing);
void pcn_to_user_mode(struct pt_regs *regs);
bool pcn_setaffinity(pid_t pid, unsigned int len,
		     const unsigned long __user *user, int *result);
bool pcn_getaffinity(pid_t pid, unsigned int len, unsigned long __user *user,
		     int *result);
unsigned int pcn_cpu_seen(unsigned int cpu);
ssize_t pcn_show_cpus(char *buf, const struct cpumask *own);

/**
 * pcn_mm_init - a new address space is nobody's but this kernel's
 * @mm:	the address space, maybe a copy of a shared one
 *
 * Context: any.
 */
static inline void pcn_mm_init(struct mm_struct *mm)
{
	mm->popcorn = NULL;
}

/**
 * pcn_mm_is_shared - do other kernels have a part in an address space?
 * @mm:	the address space
 *
 * Context: any; for an answer that stays, with mmap_lock held and a hold on @mm.
 */
static inline bool pcn_mm_is_shared(const struct mm_struct *mm)
{
	return READ_ONCE(mm->popcorn);
}

/**
 * pcn_handle_mm_fault - a page fault, perhaps in a shared address space
 * @vma:	the VMA
 * @address:	where
 * @flags:	FAULT_FLAG_*
 * @linux_fault: what is to be done if it is not, or the page is plain; a constant
 *
 * Context: as handle_mm_fault(), whose middle this is.
 * Return: VM_FAULT_*; with RETRY and COMPLETED the lock of the fault is released.
 */
static __always_inline vm_fault_t pcn_handle_mm_fault(struct vm_area_struct *vma,
						      unsigned long address,
						      unsigned int flags,
						      pcn_linux_fault_t linux_fault)
{
	if (unlikely(READ_ONCE(vma->vm_mm->popcorn)))
		return pcn_fault_shared(vma, address, flags, linux_fault);
	return linux_fault(vma, address, flags);
}

/**
 * pcn_change_begin_mm - begin to change a range of an address space
 * @mm:		the address space
 * @start:	first address
 * @length:	bytes
 * @flags:	PCN_CHANGE_*
 *
 * Context: process, with no lock held; sleeps, killably.
 * Return: 0, to be followed by pcn_change_end(); -EINTR a fatal signal; -ENOMEM.
 */
static inline int pcn_change_begin_mm(struct mm_struct *mm, unsigned long start,
				      unsigned long length, unsigned int flags)
{
	return likely(!READ_ONCE(mm->popcorn)) ? 0 :
	       pcn_change_begin_shared(mm, start, length, flags);
}

/**
 * pcn_change_lock - begin to change a range of an address space, and take mmap_lock
 * @mm:		the address space
 * @start:	first address
 * @length:	bytes
 * @flags:	PCN_CHANGE_*
 *
 * An address space comes to be shared with mmap_lock held to write: what this sees
 * when it has the lock stays. If it has become shared meanwhile, begin again.
 *
 * Context: process, with no lock held; sleeps, killably.
 * Return: 0, with mmap_lock held, to be followed by pcn_change_end() when it is let go;
 * -EINTR a fatal signal; -ENOMEM.
 */
static inline int pcn_change_lock(struct mm_struct *mm, unsigned long start,
				  unsigned long length, unsigned int flags)
{
	int err;

	if (likely(!READ_ONCE(mm->popcorn))) {
		err = pcn_mmap_lock(mm, flags);
		if (err || likely(!READ_ONCE(mm->popcorn)))
			return err;
		pcn_mmap_unlock(mm, flags);
	}
	return pcn_change_lock_shared(mm, start, length, flags);
}

/**
 * pcn_change_end - a change is over
 * @mm:		the address space
 * @failed:	nothing has changed
 *
 * Context: process, with no lock held; sleeps if the address space is shared.
 */
static inline void pcn_change_end(struct mm_struct *mm, bool failed)
{
	if (unlikely(READ_ONCE(mm->popcorn)))
		pcn_change_end_shared(mm, failed);
}

/**
 * pcn_change_is_missing - has the address space become shared since a change has begun?
 * @mm:	the address space
 *
 * For changes that take another lock than mmap_lock.
 *
 * Context: process, with a lock held that keeps the address space from becoming shared.
 */
static inline bool pcn_change_is_missing(struct mm_struct *mm)
{
	return unlikely(READ_ONCE(mm->popcorn)) && pcn_change_is_missing_shared(mm);
}

/**
 * pcn_unmap_begin - entries of page tables are about to be removed
 * @vma:	the VMA
 * @start:	first address
 * @end:	the first one behind
 * @details:	what stays, or NULL
 *
 * Context: as unmap_page_range().
 * Return: for pcn_unmap_end().
 */
static inline struct pcn_space *pcn_unmap_begin(struct vm_area_struct *vma,
						unsigned long start, unsigned long end,
						const struct zap_details *details)
{
	return likely(!READ_ONCE(vma->vm_mm->popcorn)) ? NULL :
	       pcn_unmap_begin_shared(vma, start, end, details);
}

/**
 * pcn_unmap_end - they have been removed
 * @s:	as pcn_unmap_begin() has returned it
 *
 * Context: as unmap_page_range().
 */
static inline void pcn_unmap_end(struct pcn_space *s)
{
	if (unlikely(s))
		pcn_unmap_end_shared(s);
}

#else /* !CONFIG_POPCORN */

#define VISIBLE_IF_POPCORN static

static inline bool pcn_machine_is_shared(void) { return false; }
static inline bool pcn_is_secondary(void) { return false; }
static inline int pcn_init_poison(int poison) { return poison; }
static inline void pcn_secondary_early_init(void) { }
static inline bool pcn_reject_apic(u32 apic_id, u32 acpi_id, bool present)
{
	return false;
}

static inline struct clocksource *pcn_default_clock(void) { return NULL; }
static inline unsigned long pcn_kexec_flags(unsigned long flags) { return 0; }
static inline bool pcn_kexec_unload(unsigned long flags, int *ret)
{
	return false;
}

static inline int pcn_kexec_load(struct kimage *image, unsigned long flags)
{
	return 0;
}

static inline int pcn_kexec_result(int ret) { return ret; }
static inline void pcn_task_fork(struct task_struct *p, u64 flags) { }
static inline void pcn_task_linked(struct task_struct *p) { }
static inline void pcn_task_exec(void) { }
static inline void pcn_task_exit(struct task_struct *p) { }
static inline void pcn_task_free(struct task_struct *p) { }
static inline long pcn_syscall_enter(struct pt_regs *regs, long nr) { return nr; }
static inline void pcn_syscall_exit(struct pt_regs *regs) { }
static inline void pcn_visitor_signal(void) { }
static inline void pcn_visitor_dies(void) { }
static inline bool pcn_visitor_bad_area(struct pt_regs *regs, unsigned long address,
					bool missing)
{
	return false;
}

static inline void pcn_to_user_mode(struct pt_regs *regs) { }
static inline bool pcn_setaffinity(pid_t pid, unsigned int len,
				   const unsigned long __user *user, int *result)
{
	return false;
}

static inline bool pcn_getaffinity(pid_t pid, unsigned int len,
				   unsigned long __user *user, int *result)
{
	return false;
}

static inline unsigned int pcn_cpu_seen(unsigned int cpu) { return cpu; }
static inline ssize_t pcn_show_cpus(char *buf, const struct cpumask *own)
{
	return 0;
}

static inline void pcn_mm_init(struct mm_struct *mm) { }
static inline bool pcn_mm_is_shared(const struct mm_struct *mm) { return false; }
static inline void pcn_mm_exit(struct mm_struct *mm) { }
static inline int pcn_remote_access(struct mm_struct *mm, unsigned int gup_flags)
{
	return 0;
}

static inline vm_fault_t pcn_handle_mm_fault(struct vm_area_struct *vma,
					     unsigned long address,
					     unsigned int flags,
					     pcn_linux_fault_t linux_fault)
{
	return linux_fault(vma, address, flags);
}

static inline int pcn_change_begin_mm(struct mm_struct *mm, unsigned long start,
				      unsigned long length, unsigned int flags)
{
	return 0;
}

/* The only error, said so that the compiler knows it too. */
static inline int pcn_change_lock(struct mm_struct *mm, unsigned long start,
				  unsigned long length, unsigned int flags)
{
	return pcn_mmap_lock(mm, flags) ? -EINTR : 0;
}

static inline int pcn_change_lock_brk(struct mm_struct *mm, unsigned long brk)
{
	return mmap_write_lock_killable(mm) ? -EINTR : 0;
}

static inline int pcn_change_lock_mremap(struct mm_struct *mm, unsigned long addr,
					 unsigned long old_len, unsigned long new_len,
					 unsigned long flags, unsigned long new_addr)
{
	return mmap_write_lock_killable(mm) ? -EINTR : 0;
}

static inline unsigned int pcn_change_of_advice(int behavior, bool write)
{
	return write ? 0 : PCN_CHANGE_READ;
}

static inline void pcn_change_end(struct mm_struct *mm, bool failed) { }
static inline bool pcn_change_is_missing(struct mm_struct *mm) { return false; }
static inline struct pcn_space *pcn_unmap_begin(struct vm_area_struct *vma,
						unsigned long start, unsigned long end,
						const struct zap_details *details)
{
	return NULL;
}

static inline void pcn_unmap_end(struct pcn_space *s) { }

#endif /* CONFIG_POPCORN */
#endif /* _POPCORN_HOOKS_H */

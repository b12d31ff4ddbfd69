/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What upstream files call. Every hook has a stub here that vanishes when
 * Popcorn is not configured; the logic is in files of Popcorn's own.
 */
#ifndef _POPCORN_HOOKS_H
#define _POPCORN_HOOKS_H

#include <linux/types.h>

#include <linux/mm_types.h>

struct clocksource;
struct cpumask;
struct kimage;
struct page_ext_operations;
struct pt_regs;
struct task_struct;

/* What Linux does about a page fault. */
typedef vm_fault_t (*pcn_linux_fault_t)(struct vm_area_struct *vma,
					unsigned long address, unsigned int flags);

#ifdef CONFIG_POPCORN

/* Of functions that are static in Linux, as VISIBLE_IF_KUNIT. */
#define VISIBLE_IF_POPCORN

VISIBLE_IF_POPCORN int exec_mmap(struct mm_struct *mm);

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
 * Nothing in a secondary, where the time of a start counts: the primary, which
 * has the devices and with them most init code, is where the poison shows who
 * uses such memory too late. To QEMU's TCG each store into a page with code
 * that has run is expensive.
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
void pcn_process_end(u64 number);
vm_fault_t pcn_handle_mm_fault(struct vm_area_struct *vma, unsigned long address,
			       unsigned int flags, pcn_linux_fault_t linux_fault);
int pcn_remote_access(struct mm_struct *mm, unsigned int gup_flags);

u64 pcn_hold_ns(u64 page, bool of_use, bool *several);
void pcn_fork(struct task_struct *p, u64 flags);
void pcn_linked(struct task_struct *p);
void pcn_exec(void);
void pcn_exit(struct task_struct *p);
void pcn_free(struct task_struct *p);
long pcn_syscall_enter(struct pt_regs *regs, long nr);
void pcn_syscall_done(void);
void pcn_syscall_exit(struct pt_regs *regs);
void pcn_visitor_signal(void);
bool pcn_bad_area(struct pt_regs *regs, unsigned long address, bool missing);
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
static inline void pcn_fork(struct task_struct *p, u64 flags) { }
static inline void pcn_linked(struct task_struct *p) { }
static inline void pcn_exec(void) { }
static inline void pcn_exit(struct task_struct *p) { }
static inline void pcn_free(struct task_struct *p) { }
static inline long pcn_syscall_enter(struct pt_regs *regs, long nr) { return nr; }
static inline void pcn_syscall_done(void) { }
static inline void pcn_syscall_exit(struct pt_regs *regs) { }
static inline void pcn_visitor_signal(void) { }
static inline bool pcn_bad_area(struct pt_regs *regs, unsigned long address,
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

#endif /* CONFIG_POPCORN */
#endif /* _POPCORN_HOOKS_H */

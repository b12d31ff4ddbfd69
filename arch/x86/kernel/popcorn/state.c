// SPDX-License-Identifier: GPL-2.0
/*
 * The state of a thread, taken from one task and given to another.
 *
 * General registers are those that user_regset has (struct user_regs_struct), whose
 * first 21 are struct pt_regs; the extended state is the XSAVE area in its standard
 * format, which does not depend on how a CPU lays it out. Both are taken from and
 * given to the running task, which is in the kernel.
 */
#include <linux/errno.h>
#include <linux/entry-common.h>
#include <linux/nospec.h>
#include <linux/regset.h>
#include <linux/resume_user_mode.h>
#include <linux/sched/task_stack.h>
#include <linux/syscalls.h>
#include <linux/thread_info.h>

#include <asm/fpu/api.h>
#include <asm/fpu/sched.h>
#include <asm/fpu/signal.h>
#include <asm/fpu/xstate.h>
#include <asm/fsgsbase.h>
#include <asm/pkru.h>
#include <asm/prctl.h>
#include <asm/proto.h>
#include <asm/syscall.h>
#include <asm/unistd.h>
#include <asm/vdso.h>

#include <popcorn/thread.h>

#include "../fpu/internal.h"
#include "../fpu/xstate.h"
#include "../fpu/context.h"

/* Where struct user_regs_struct goes on behind struct pt_regs. */
#define PT_WORDS	(sizeof(struct pt_regs) / 8)
#define FS_BASE		(offsetof(struct user_regs_struct, fs_base) / 8)
#define GS_BASE		(offsetof(struct user_regs_struct, gs_base) / 8)

static_assert(PT_WORDS == FS_BASE);
static_assert(sizeof(struct user_regs_struct) == PCN_GPRS * 8);

/* What of the flags a thread may bring along. */
#define USER_FLAGS	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF |	\
			 X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_DF |	\
			 X86_EFLAGS_OF | X86_EFLAGS_RF | X86_EFLAGS_AC |	\
			 X86_EFLAGS_NT)

/**
 * pcn_arch_may_leave - is this a thread whose state could be taken?
 *
 * Context: process, the current task.
 * Return: 0; -EOPNOTSUPP it has 32-bit code, or more state than messages have room
 * for.
 */
int pcn_arch_may_leave(void)
{
	if (test_thread_flag(TIF_ADDR32) || current_pt_regs()->cs != __USER_CS ||
	    !cpu_feature_enabled(X86_FEATURE_XSAVE) ||
	    fpu_user_cfg.max_size > PCN_XSTATE_MAX)
		return -EOPNOTSUPP;
	return 0;
}

/**
 * pcn_arch_gprs_save - the general registers of the current task
 * @gprs:	receives them
 *
 * Context: process.
 */
void pcn_arch_gprs_save(u64 gprs[PCN_GPRS])
{
	memset(gprs, 0, PCN_GPRS * 8);
	memcpy(gprs, current_pt_regs(), sizeof(struct pt_regs));
	gprs[FS_BASE] = x86_fsbase_read_task(current);
	gprs[GS_BASE] = x86_gsbase_read_task(current);
}

/**
 * pcn_arch_gprs_load - give the current task general registers
 * @gprs:	the registers
 *
 * Context: process.
 */
void pcn_arch_gprs_load(const u64 gprs[PCN_GPRS])
{
	struct pt_regs *regs = current_pt_regs();

	memcpy(regs, gprs, sizeof(*regs));
	regs->cs = __USER_CS;
	regs->ss = __USER_DS;
	regs->flags = (regs->flags & USER_FLAGS) | X86_EFLAGS_IF |
		      X86_EFLAGS_FIXED;
	do_arch_prctl_64(current, ARCH_SET_FS, gprs[FS_BASE]);
	do_arch_prctl_64(current, ARCH_SET_GS, gprs[GS_BASE]);
}

/**
 * pcn_arch_state_save - the whole state of the current task
 * @m:	receives it
 *
 * Context: process.
 * Return: 0; errors of pcn_arch_may_leave().
 */
int pcn_arch_state_save(struct pcn_thread_msg *m)
{
	struct membuf to = { .p = m->xstate, .left = fpu_user_cfg.max_size };
	int err = pcn_arch_may_leave();

	if (err)
		return err;
	m->xsize = fpu_user_cfg.max_size;
	pcn_arch_gprs_save(m->gprs);
	fpu_sync_fpstate(&current->thread.fpu);
	copy_xstate_to_uabi_buf(to, current, XSTATE_COPY_XSAVE);
	return 0;
}

/* What the registers hold counts no more; they are loaded on return to user mode. */
static int load_xstate(const void *xstate)
{
	struct fpu *fpu = &current->thread.fpu;
	u32 pkru = pkru_get_init_value();
	int err;

	fpregs_lock();
	set_thread_flag(TIF_NEED_FPU_LOAD);
	__fpu_invalidate_fpregs_state(fpu);
	fpregs_unlock();
	err = copy_uabi_from_kernel_to_xstate(fpu->fpstate, xstate, &pkru);
	if (!err)
		write_pkru(pkru);
	return err;
}

/**
 * pcn_arch_state_load - give the current task a state
 * @m:		the state
 * @gprs:	the general registers too, not only the rest and the segment bases
 *
 * Context: process.
 * Return: 0; -EINVAL it cannot be loaded here.
 */
int pcn_arch_state_load(const struct pcn_thread_msg *m, bool gprs)
{
	struct pt_regs *regs = current_pt_regs(), kept = *regs;

	if (m->xsize != fpu_user_cfg.max_size)
		return -EINVAL;
	if (load_xstate(m->xstate))
		return -EINVAL;
	pcn_arch_gprs_load(m->gprs);
	if (!gprs)
		*regs = kept;
	return 0;
}

/**
 * pcn_arch_rewind - go back to before a system call
 * @gprs:	registers within it
 *
 * SYSCALL and INT 0x80 are of the same length.
 *
 * Context: any.
 */
void pcn_arch_rewind(u64 gprs[PCN_GPRS])
{
	struct pt_regs *regs = (struct pt_regs *)gprs;

	regs->ip -= 2;
	regs->ax = regs->orig_ax;
}

/**
 * pcn_arch_do_call - do the system call that is in the current task's registers
 * @regs:	current_pt_regs()
 *
 * As do_syscall_64() would, but for the way back to user mode.
 *
 * Context: process.
 */
void pcn_arch_do_call(struct pt_regs *regs)
{
	unsigned long work = READ_ONCE(current_thread_info()->syscall_work);
	long nr = regs->orig_ax;

	regs->ax = -ENOSYS;
	nr = syscall_trace_enter(regs, nr, work & SYSCALL_WORK_ENTER);
	if (nr >= 0 && nr < NR_syscalls)
		regs->ax = x64_sys_call(regs, array_index_nospec(nr, NR_syscalls));
	/* As on the way to user mode: a file that was closed is closed then. */
	if (test_thread_flag(TIF_NOTIFY_RESUME))
		resume_user_mode_work(regs);
}

/**
 * pcn_arch_trap_save - what a signal frame tells of the last exception
 * @m:	receives it
 *
 * Context: process.
 */
void pcn_arch_trap_save(struct pcn_thread_msg *m)
{
	m->trap = current->thread.trap_nr;
	m->error = current->thread.error_code;
	m->address = current->thread.cr2;
}

/**
 * pcn_arch_trap_load - let it be told here
 * @m:	what pcn_arch_trap_save() has saved
 *
 * Context: process.
 */
void pcn_arch_trap_load(const struct pcn_thread_msg *m)
{
	current->thread.trap_nr = m->trap;
	current->thread.error_code = m->error;
	current->thread.cr2 = m->address;
}

/**
 * pcn_arch_vdso - where the vDSO is mapped
 * @mm:	the address space
 *
 * Context: any.
 * Return: its address, 0 if there is none.
 */
unsigned long pcn_arch_vdso(struct mm_struct *mm)
{
	return (unsigned long)mm->context.vdso;
}

/**
 * pcn_arch_vdso_size - bytes of the vDSO
 *
 * Context: any.
 * Return: equal on kernels whose vDSOs are.
 */
u32 pcn_arch_vdso_size(void)
{
	return vdso_image_64.size - vdso_image_64.sym_vvar_start;
}

/**
 * pcn_arch_map_vdso - map the vDSO in the current address space
 * @address:	where, as from pcn_arch_vdso() on another kernel
 *
 * Context: process.
 * Return: 0; -EEXIST it cannot be there; errors of mmap().
 */
int pcn_arch_map_vdso(unsigned long address)
{
	int err;

	if (!address)
		return 0;
	err = map_vdso_once(&vdso_image_64,
			    address + vdso_image_64.sym_vvar_start);
	if (err)
		return err;
	return pcn_arch_vdso(current->mm) == address ? 0 : -EEXIST;
}

/**
 * pcn_arch_call_is_local - does a system call run where the thread is?
 * @nr:	its number
 *
 * Those that tell of clocks, which all kernels agree on, and of the CPU.
 *
 * Context: any.
 */
bool pcn_arch_call_is_local(long nr)
{
	switch (nr) {
	case __NR_sched_yield:
	case __NR_clock_gettime:
	case __NR_clock_getres:
	case __NR_gettimeofday:
	case __NR_time:
	case __NR_getcpu:
		return true;
	default:
		return false;
	}
}

/**
 * pcn_arch_call_needs_home - must the shadow do it as itself, with all its state?
 * @nr:	number of a system call
 *
 * Those that make a copy of the thread, replace or end it, or whose registers are
 * not the whole argument.
 *
 * Context: any.
 */
bool pcn_arch_call_needs_home(long nr)
{
	switch (nr) {
	case __NR_clone:
	case __NR_clone3:
	case __NR_fork:
	case __NR_vfork:
	case __NR_execve:
	case __NR_execveat:
	case __NR_exit:
	case __NR_exit_group:
	case __NR_rt_sigreturn:
	case __NR_arch_prctl:
	case __NR_pkey_alloc:
	case __NR_pkey_free:
	case __NR_rseq:
	case __NR_popcorn_migrate:
	case __NR_popcorn_place:
		return true;
	default:
		return false;
	}
}

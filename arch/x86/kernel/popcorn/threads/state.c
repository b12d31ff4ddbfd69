// SPDX-License-Identifier: GPL-2.0
/*
 * The state of a thread, taken from one task and given to another.
 *
 * General registers are those that user_regset has (struct user_regs_struct), whose
 * first 21 are struct pt_regs; the extended state is the XSAVE area in its standard
 * format, which does not depend on how a CPU lays it out. Both are taken from and
 * given to the running task, which is in the kernel.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/audit.h>
#include <linux/errno.h>
#include <linux/entry-common.h>
#include <linux/nospec.h>
#include <linux/nsproxy.h>
#include <linux/regset.h>
#include <linux/resume_user_mode.h>
#include <linux/sched/task_stack.h>
#include <linux/syscalls.h>
#include <linux/thread_info.h>
#include <linux/time_namespace.h>

#include <asm/fpu/api.h>
#include <asm/fpu/sched.h>
#include <asm/fpu/signal.h>
#include <asm/fpu/xstate.h>
#include <asm/fsgsbase.h>
#include <asm/mmu_context.h>
#include <asm/pkru.h>
#include <asm/prctl.h>
#include <asm/proto.h>
#include <asm/syscall.h>
#include <asm/unistd.h>

#include <popcorn/thread.h>

#include "../../fpu/internal.h"
#include "../../fpu/xstate.h"
#include "../../fpu/context.h"

/* Where struct user_regs_struct goes on behind struct pt_regs. */
#define PT_WORDS	(sizeof(struct pt_regs) / 8)
#define FS_BASE		(offsetof(struct user_regs_struct, fs_base) / 8)
#define GS_BASE		(offsetof(struct user_regs_struct, gs_base) / 8)

static_assert(PT_WORDS == FS_BASE);
static_assert(sizeof(struct user_regs_struct) == PCN_GPRS * 8);

/* What of the flags a thread may bring along. */
#define USER_FLAGS	(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF |	\
			 X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_TF |	\
			 X86_EFLAGS_DF | X86_EFLAGS_OF | X86_EFLAGS_RF |	\
			 X86_EFLAGS_AC | X86_EFLAGS_NT)

/* Bytes of its extended state: all that it has used, or may without asking. */
static unsigned int state_size(void)
{
	return current->thread.fpu.fpstate->user_size;
}

/* It has only the segments that all tasks have, and none for 32 bits. */
static bool is_plain_code(void)
{
	const struct pt_regs *regs = current_pt_regs();

	return !test_thread_flag(TIF_ADDR32) && regs->cs == __USER_CS &&
	       regs->ss == __USER_DS;
}

static bool has_ldt(void)
{
#ifdef CONFIG_MODIFY_LDT_SYSCALL
	return READ_ONCE(current->mm->context.ldt);
#else
	return false;
#endif
}

/* The state fits, and will: nothing like AMX that the process has asked for. */
static bool state_fits(void)
{
	return cpu_feature_enabled(X86_FEATURE_XSAVE) &&
	       state_size() <= PCN_XSTATE_MAX &&
	       !(xstate_get_host_group_perm() & XFEATURE_MASK_USER_DYNAMIC);
}

/* Its clocks are those of everybody, as on other kernels. */
static bool has_common_time(void)
{
#ifdef CONFIG_TIME_NS
	return current->nsproxy->time_ns == &init_time_ns;
#else
	return true;
#endif
}

static bool has_shadow_stack(void)
{
#ifdef CONFIG_X86_USER_SHADOW_STACK
	return current->thread.features;
#else
	return false;
#endif
}

static const char *why_not(void)
{
	if (!is_plain_code())
		return "32-bit code, or segments of its own";
	if (has_ldt())
		return "a local descriptor table";
	if (!state_fits())
		return "more extended state than a message has room for";
	if (!has_common_time())
		return "a time namespace";
	if (mm_lam_cr3_mask(current->mm))
		return "tagged addresses (LAM)";
	return has_shadow_stack() ? "a shadow stack" : NULL;
}

/**
 * pcn_arch_may_leave - is this a thread whose state can be taken?
 *
 * Context: process, the current task.
 * Return: 0; -EOPNOTSUPP it has what cannot travel: the log says what.
 */
int pcn_arch_may_leave(void)
{
	const char *why = why_not();

	if (!why)
		return 0;
	pr_info_ratelimited("%s[%d]: cannot run on another kernel: it has %s\n",
			    current->comm, current->pid, why);
	return -EOPNOTSUPP;
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

/* One that user mode has made by itself, and that the kernel does not allow, is 0. */
static void load_base(int which, u64 base)
{
	if (do_arch_prctl_64(current, which, base))
		do_arch_prctl_64(current, which, 0);
}

/**
 * pcn_arch_gprs_load - give the current task general registers
 * @gprs:	the registers, which may be anything: what could do harm is not taken
 *
 * A thread that is away can have jumped to 32-bit code, for which there is a segment
 * that all tasks have.
 *
 * Context: process.
 */
void pcn_arch_gprs_load(const u64 gprs[PCN_GPRS])
{
	struct pt_regs *regs = current_pt_regs(), kept = *regs;
	bool is_32bit;

	memcpy(regs, gprs, sizeof(*regs));
	is_32bit = regs->cs == __USER32_CS;
	/* With FRED their upper bits tell the CPU how to return. */
	regs->csx = kept.csx;
	regs->ssx = kept.ssx;
	regs->cs = is_32bit ? __USER32_CS : __USER_CS;
	regs->ss = __USER_DS;
	regs->flags = (regs->flags & USER_FLAGS) | X86_EFLAGS_IF |
		      X86_EFLAGS_FIXED;
	load_base(ARCH_SET_FS, gprs[FS_BASE]);
	load_base(ARCH_SET_GS, gprs[GS_BASE]);
}

/**
 * pcn_arch_state_save - the whole state of the current task
 * @m:	receives it
 *
 * Context: process.
 * Return: 0; -E2BIG it has no room, which pcn_arch_may_leave() would have said.
 */
int pcn_arch_state_save(struct pcn_thread_msg *m)
{
	struct membuf to = { .p = m->xstate, .left = state_size() };

	if (to.left > PCN_XSTATE_MAX)
		return -E2BIG;
	m->xsize = to.left;
	pcn_arch_gprs_save(m->gprs);
	fpu_sync_fpstate(&current->thread.fpu);
	/* Linux keeps it there for tasks that do not run. */
	current->thread.pkru = read_pkru();
	copy_xstate_to_uabi_buf(to, current, XSTATE_COPY_XSAVE);
	return 0;
}

/*
 * What the registers hold counts no more; they are loaded on return to user mode. What
 * the CPU would not take is refused: features, MXCSR, what is reserved in the header.
 */
static int load_xstate(const void *xstate)
{
	struct fpu *fpu = &current->thread.fpu;
	u32 pkru = pkru_get_init_value();
	int err;

	fpregs_lock();
	set_thread_flag(TIF_NEED_FPU_LOAD);
	__fpu_invalidate_fpregs_state(fpu);
	fpregs_unlock();
	/* It may not be among what is copied, and be that of another thread. */
	fpu->fpstate->regs.xsave.i387.mxcsr = MXCSR_DEFAULT;
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

	if (m->xsize != state_size())
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
 * pcn_arch_leave_call - the current task's registers are not those of a system call
 *
 * None is restarted.
 *
 * Context: process.
 */
void pcn_arch_leave_call(void)
{
	current_pt_regs()->orig_ax = -1;
}

/**
 * pcn_arch_do_call - do the system call that is in the current task's registers
 * @regs:	current_pt_regs()
 *
 * As do_syscall_64() would, but for the way back to user mode. The call that the thread
 * has left at the end of may have been a 32-bit one.
 *
 * Context: process.
 */
void pcn_arch_do_call(struct pt_regs *regs)
{
	unsigned long work = READ_ONCE(current_thread_info()->syscall_work);
	long nr = regs->orig_ax;

	current_thread_info()->status &= ~TS_COMPAT;
	regs->ax = -ENOSYS;
	nr = syscall_trace_enter(regs, nr, work & SYSCALL_WORK_ENTER);
	if (nr >= 0 && nr < NR_syscalls)
		regs->ax = x64_sys_call(regs, array_index_nospec(nr, NR_syscalls));
	audit_syscall_exit(regs);
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

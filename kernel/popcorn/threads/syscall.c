// SPDX-License-Identifier: GPL-2.0
/*
 * System calls: popcorn_place() and popcorn_migrate(), and the hooks at the beginning
 * and at the end of every system call of a thread that may migrate.
 */
#include <linux/errno.h>
#include <linux/resume_user_mode.h>
#include <linux/rseq.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>

#include <uapi/linux/popcorn.h>

#include <popcorn/cpus.h>
#include <popcorn/hooks.h>
#include <popcorn/partition.h>
#include <popcorn/space.h>

#include <asm/syscall.h>

#include "internal.h"

static long enter_at_home(struct pt_regs *regs, long nr)
{
	struct pcn_space *s = current->mm ? READ_ONCE(current->mm->popcorn) : NULL;
	int err = s ? pcn_buffers_enter(s, regs) : 0;

	if (!err)
		return nr;
	syscall_set_return_value(current, regs, err, 0);
	return -1;
}

/* A futex that it would wait for has changed meanwhile: the result is in @regs. */
static bool need_not_wait(struct pcn_thread *t, struct pt_regs *regs, long nr)
{
	struct pcn_space *s = current->mm ? READ_ONCE(current->mm->popcorn) : NULL;

	if (!pcn_futex_is(nr) || !s || !pcn_space_is_coherent(s))
		return false;
	t = t ?: pcn_thread_self();
	return t && pcn_futex_look(t, regs);
}

/**
 * pcn_syscall_enter - a task with SYSCALL_WORK_POPCORN begins a system call
 * @regs:	its registers
 * @nr:		number of the call
 *
 * Context: process; sleeps.
 * Return: the number of the call to be made, -1 for none: the result is in @regs.
 */
long pcn_syscall_enter(struct pt_regs *regs, long nr)
{
	struct pcn_thread *t = current->popcorn;

	/* Progress was made, even if the IP is unchanged. */
	if (t)
		pcn_hold_progress(&t->hold);
	if (need_not_wait(t, regs, nr))
		return -1;
	if (t && t->visitor)
		return pcn_visitor_call(t, regs, nr);
	return enter_at_home(regs, nr);
}

/**
 * pcn_syscall_exit - its system call is over
 * @regs:	its registers
 *
 * Context: process; sleeps. A thread that is wanted elsewhere leaves, unless it has
 * signals to handle first, or stays (pcn_shadow_stays()).
 */
void pcn_syscall_exit(struct pt_regs *regs)
{
	struct pcn_thread *t = current->popcorn;

	if (current->mm)
		pcn_torn_wait(current->mm);
	if (!t)
		return;
	pcn_futex_learn(t);
	if (t->visitor)
		return pcn_visitor_go(t, regs);
	if (t->wanted != pcn_self() && !signal_pending(current) &&
	    !pcn_shadow_stays(t))
		pcn_shadow_leave(t, regs);
	/* And it has while it was away. */
	pcn_hold_progress(&t->hold);
}

/* The thread goes from amid its code: a restartable sequence does not go on there. */
static void abort_rseq(struct pt_regs *regs)
{
	preempt_disable();
	rseq_migrate(current);
	preempt_enable();
	rseq_handle_notify_resume(NULL, regs);
}

/**
 * pcn_to_user_mode - a task with TIF_NOTIFY_RESUME goes to user mode
 * @regs:	its registers there; NULL: it goes to a virtual machine
 *
 * A thread that has been moved by another one leaves.
 *
 * Context: process; sleeps.
 */
void pcn_to_user_mode(struct pt_regs *regs)
{
	struct pcn_thread *t = current->popcorn;

	if (!t || !regs || t->visitor || t->at != pcn_self() ||
	    !READ_ONCE(t->moved))
		return;
	abort_rseq(regs);
	/* Signals come first, and then this once more. */
	if (signal_pending(current))
		set_notify_resume(current);
	else
		pcn_shadow_leave(t, regs);
}

/**
 * pcn_thread_may_go - can the current thread go to a kernel, as far as is known before?
 * @kid:	the kernel
 *
 * Context: process; sleeps.
 * Return: 0; -EBUSY it is traced; -EHOSTUNREACH the kernel has no part of its process;
 * -ERESTARTNOINTR a signal; errors of pcn_arch_may_leave() and pcn_process_share().
 */
int pcn_thread_may_go(unsigned int kid)
{
	u64 number;
	int err;

	if (current->ptrace)
		return -EBUSY;
	err = pcn_arch_may_leave() ?: pcn_process_share(&number);
	if (!err && !(pcn_process_members(current) & BIT_ULL(kid)))
		err = -EHOSTUNREACH;
	return err == -EINTR ? -ERESTARTNOINTR : err;
}

static bool is_a_kernel(unsigned int kid)
{
	return kid == pcn_self() || pcn_peer_is_up(kid);
}

/**
 * sys_popcorn_migrate() - continue on another kernel
 * @kid:	index of the kernel
 * @flags:	0
 *
 * Context: process; sleeps.
 * Return: 0; -EINVAL no such kernel, or a flag; -EHOSTDOWN it is not up;
 * -EHOSTUNREACH it was not, all the time since the process was shared; -EBUSY the
 * thread is traced, or its address space used by another process, watched or probed;
 * -EOPNOTSUPP the thread has state or code that cannot travel; -ENOMEM.
 */
SYSCALL_DEFINE2(popcorn_migrate, unsigned int, kid, unsigned int, flags)
{
	struct pcn_thread *t;
	int err;

	if (flags || kid >= PCN_KERNELS_MAX)
		return -EINVAL;
	if (!is_a_kernel(kid))
		return -EHOSTDOWN;
	t = pcn_thread_self();
	if (!t)
		return -ENOMEM;
	if (kid != pcn_self()) {
		err = pcn_thread_may_go(kid);
		if (err)
			return err;
	}
	/* An affinity to other kernels' CPUs alone has been overruled. */
	if (pcn_affinity_place(t, kid) != kid)
		pcn_affinity_lift(t);
	pcn_spread_end(t);
	t->wanted = kid;
	pcn_shadow_forget_stay(t);
	set_task_syscall_work(current, POPCORN);
	return 0;
}

static int read_places(struct pcn_placement *p, const u8 __user *list,
		       unsigned int count)
{
	unsigned int i;

	if (copy_from_user(p->kid, list, count))
		return -EFAULT;
	for (i = 0; i < count; i++)
		if (p->kid[i] >= PCN_KERNELS_MAX || !is_a_kernel(p->kid[i]))
			return -EHOSTDOWN;
	p->count = count;
	return 0;
}

/* What the caller executes next is counted together. */
static int begin_job(struct pcn_placement *p, const struct pcn_placement *old)
{
	p->job = pcn_job_new(old ? old->job : NULL);
	return p->job ? 0 : -ENOMEM;
}

static u64 places_of(const struct pcn_placement *p)
{
	u64 kernels = 0;
	unsigned int i;

	for (i = 0; p && i < p->count; i++)
		kernels |= BIT_ULL(p->kid[i]);
	return kernels;
}

static void replace_placement(struct pcn_thread *t, struct pcn_placement *p)
{
	pcn_placement_put(t->placement);
	t->placement = p;
	WRITE_ONCE(t->places, places_of(p));
	if (p)
		set_task_syscall_work(current, POPCORN);
}

static bool place_flags_are_sane(unsigned int flags)
{
	return (flags & ~PCN_PLACE_SPREAD) <= PCN_PLACE_REPLICATED;
}

/**
 * sys_popcorn_place() - where the threads of a program run
 * @list:	indices of kernels, one byte each
 * @count:	how many; 0: threads stay where they are
 * @flags:	PCN_PLACE_COHERENT or PCN_PLACE_REPLICATED, and PCN_PLACE_SPREAD; or 0
 *
 * The program that the caller executes next, and those that it makes, place their
 * threads by the list: thread n of a process starts on kernel list[n mod count].
 *
 * Context: process; sleeps for memory.
 * Return: 0; -EINVAL too long, or flags that cannot be; -EFAULT; -EHOSTDOWN a kernel is not
 * up; -ENOMEM.
 */
SYSCALL_DEFINE3(popcorn_place, const u8 __user *, list, unsigned int, count,
		unsigned int, flags)
{
	struct pcn_thread *t = pcn_thread_self();
	struct pcn_placement *p = NULL;
	int err;

	if (count > PCN_PLACES_MAX || !place_flags_are_sane(flags))
		return -EINVAL;
	if (!t)
		return -ENOMEM;
	if (count) {
		p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);
		if (!p)
			return -ENOMEM;
		refcount_set(&p->refs, 1);
		p->flags = flags;
		err = read_places(p, list, count) ?: begin_job(p, t->placement);
		if (err) {
			kfree(p);
			return err;
		}
	}
	replace_placement(t, p);
	return 0;
}

/**
 * pcn_task_exec - a task has become another program
 *
 * Its only thread is the first one of a new process, and goes to its place. What
 * it is bound to it stays bound to.
 *
 * Context: process, after the point of no return.
 */
void pcn_task_exec(void)
{
	struct pcn_thread *t = current->popcorn;

	if (!t)
		return;
	t->process = 0;
	pcn_shadow_forget_stay(t);
	if (!t->bound)
		t->wanted = pcn_self();
	if (t->placement) {
		/* Others of the old program may refer to it still. */
		atomic_set(&t->placement->next, 1);
		t->wanted = t->placement->kid[0];
	}
	t->wanted = pcn_affinity_place(t, t->wanted);
	if (t->placement)
		pcn_job_ask(t);
}

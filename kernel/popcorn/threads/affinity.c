// SPDX-License-Identifier: GPL-2.0
/*
 * Affinity to the CPUs of all kernels.
 *
 * A process that several kernels share, is placed on some, or has asked for a CPU of
 * another one by affinity, sees the CPUs of its kernels by the machine's numbers. All
 * others see their kernel's own CPUs by its own numbers, as ever.
 *
 * A thread that has set a mask in the machine's numbers is *bound*. The part of the
 * mask that is this kernel's is its affinity here, in the scheduler; with what is
 * another kernel's the thread leaves for there: at the end of the system call, or, if
 * another thread has bound it, on its next way to user mode. If it is away its shadow
 * calls it home first. The mask goes along, and binds the visitor.
 */
#include <linux/bitmap.h>
#include <linux/capability.h>
#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/preempt.h>
#include <linux/resume_user_mode.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <popcorn/cpus.h>
#include <popcorn/hooks.h>

#include "internal.h"

/* Of all threads: @cpus, @bound, and @wanted where it is another thread's. */
static DEFINE_SPINLOCK(affinity_lock);

static u64 kernels_up(void)
{
	return pcn_peers_up() | BIT_ULL(pcn_self());
}

/* Those of them that have a part of its process, if that is shared already. */
static u64 kernels_in_reach(struct task_struct *p)
{
	return (pcn_process_members(p) ?: U64_MAX) & kernels_up();
}

/*
 * The kernels whose CPUs a task sees, 0: this one's, by its own numbers. A visitor's
 * calls are its shadow's, so to look at one from outside is to look at this kernel.
 */
static u64 kernels_seen(struct task_struct *p)
{
	struct pcn_thread *t = READ_ONCE(p->popcorn);
	u64 members;

	if (t && t->visitor)
		return 0;
	if (t && READ_ONCE(t->places))
		return READ_ONCE(t->places) & kernels_in_reach(p);
	members = pcn_process_members(p);
	if (!members && t && READ_ONCE(t->bound))
		members = U64_MAX;
	return members & kernels_up();
}

/* A part of a process whose home is elsewhere, or the vfork child of a shared one. */
static bool is_guest(struct task_struct *p)
{
	bool shared;

	task_lock(p);
	shared = p->mm && READ_ONCE(p->mm->popcorn);
	task_unlock(p);
	return shared && !pcn_process_members(p);
}

static struct task_struct *get_task(pid_t pid)
{
	struct task_struct *p;

	rcu_read_lock();
	p = pid ? find_task_by_vpid(pid) : current;
	if (p)
		get_task_struct(p);
	rcu_read_unlock();
	return p;
}

/* --- sched_setaffinity() --- */

static int read_mask(unsigned long *mask, unsigned int len,
		     const unsigned long __user *user)
{
	bitmap_zero(mask, PCN_CPU_LIMIT);
	len = min_t(unsigned int, len, PCN_CPU_LIMIT / BITS_PER_BYTE);
	return copy_from_user(mask, user, len) ? -EFAULT : 0;
}

/* Only what exists for a task counts. */
static void cut_mask(struct task_struct *p, unsigned long *mask)
{
	DECLARE_BITMAP(there, PCN_CPU_LIMIT);

	pcn_cpus_of(there, kernels_in_reach(p), cpu_online_mask);
	bitmap_and(mask, mask, there, PCN_CPU_LIMIT);
}

/*
 * Is the mask in the machine's numbers? It is for tasks that see them. Other tasks mean
 * this kernel's own CPUs if they name any.
 */
static bool is_in_machine_numbers(struct task_struct *p,
				  const unsigned long *mask)
{
	if (kernels_seen(p))
		return true;
	return p->mm && !(p->flags & PF_KTHREAD) && !is_guest(p) &&
	       !bitmap_intersects(mask, cpumask_bits(cpu_possible_mask),
				  min_t(unsigned int, nr_cpu_ids, PCN_CPU_LIMIT));
}

/* The part that is this kernel's; without any the thread may be on all. */
static int set_own_part(pid_t pid, const unsigned long *mask)
{
	cpumask_var_t own;
	int err;

	if (!alloc_cpumask_var(&own, GFP_KERNEL))
		return -ENOMEM;
	pcn_cpus_to_own(own, mask);
	if (cpumask_empty(own))
		cpumask_copy(own, cpu_possible_mask);
	err = sched_setaffinity(pid, own);
	free_cpumask_var(own);
	return err;
}

/* A thread stays on its kernel if it may. */
static unsigned int choose_kernel(const struct pcn_thread *t,
				  const unsigned long *mask)
{
	unsigned int kid = t ? READ_ONCE(t->wanted) : pcn_self();

	return pcn_cpus_touch(mask, kid) ? kid : pcn_cpus_kernel(mask);
}

/**
 * pcn_thread_move - have a thread that is at home go to another kernel, or one that is away learn
 * that its place has changed
 * @t:		the thread; its task has not ended, or the caller has a reference to it
 * @kid:	where it is to run
 *
 * It looks at that on its way to user mode.
 *
 * Context: any.
 */
void pcn_thread_move(struct pcn_thread *t, unsigned int kid)
{
	WRITE_ONCE(t->wanted, kid);
	set_task_syscall_work(t->task, POPCORN);
	/* Pairs with xchg(): a reader of @moved sees @wanted. */
	smp_store_release(&t->moved, true);
	set_notify_resume(t->task);
	wake_up(&t->wait);
}

static void thread_bind(struct pcn_thread *t, const unsigned long *mask,
			unsigned int kid)
{
	pcn_spread_end(t);
	spin_lock(&affinity_lock);
	bitmap_copy(t->cpus, mask, PCN_CPU_LIMIT);
	WRITE_ONCE(t->bound, true);
	pcn_thread_move(t, kid);
	spin_unlock(&affinity_lock);
}

static int set_mask(struct task_struct *p, pid_t pid, const unsigned long *mask)
{
	struct pcn_thread *t = p == current ? pcn_thread_self() :
					      READ_ONCE(p->popcorn);
	unsigned int kid = choose_kernel(t, mask);
	int err = 0;

	/* Of itself a thread learns at once that it cannot. */
	if (p == current && kid != pcn_self())
		err = !t ? -ENOMEM : t->at == pcn_self() ? pcn_thread_may_go(kid) : 0;
	if (!err)
		err = set_own_part(pid, mask);
	if (err)
		return err;
	t = pcn_thread_of(p);
	if (!t)
		return -ENOMEM;
	thread_bind(t, mask, kid);
	return 0;
}

/**
 * pcn_setaffinity - sched_setaffinity() with CPUs of other kernels
 * @pid:	the thread, 0: the current one
 * @len:	bytes of the mask
 * @user:	the mask
 * @result:	receives the result
 *
 * Context: process; sleeps.
 * Return: true if it is done; false if it is Linux's.
 */
bool pcn_setaffinity(pid_t pid, unsigned int len,
		     const unsigned long __user *user, int *result)
{
	DECLARE_BITMAP(mask, PCN_CPU_LIMIT);
	struct task_struct *p;
	bool ours;

	if (!pcn_machine_is_shared() || read_mask(mask, len, user))
		return false;
	p = get_task(pid);
	if (!p)
		return false;
	ours = is_in_machine_numbers(p, mask);
	if (ours) {
		cut_mask(p, mask);
		*result = bitmap_empty(mask, PCN_CPU_LIMIT) ? -EINVAL :
			  set_mask(p, pid, mask);
	}
	put_task_struct(p);
	return ours;
}

/* --- what a program sees --- */

static bool copy_bound(struct pcn_thread *t, unsigned long *mask)
{
	bool bound;

	if (!t)
		return false;
	spin_lock(&affinity_lock);
	bound = t->bound;
	if (bound)
		bitmap_copy(mask, t->cpus, PCN_CPU_LIMIT);
	spin_unlock(&affinity_lock);
	return bound;
}

/* What was set, as far as it is there. */
static bool has_bound(struct task_struct *p, unsigned long *mask)
{
	if (!copy_bound(READ_ONCE(p->popcorn), mask))
		return false;
	cut_mask(p, mask);
	return !bitmap_empty(mask, PCN_CPU_LIMIT);
}

/* That, or else all CPUs of its kernels. */
static int get_mask(struct task_struct *p, pid_t pid, u64 kernels,
		    unsigned long *mask)
{
	cpumask_var_t own;
	int err;

	if (!alloc_cpumask_var(&own, GFP_KERNEL))
		return -ENOMEM;
	err = sched_getaffinity(pid, own);
	if (!err && !has_bound(p, mask))
		pcn_cpus_of(mask, kernels, own);
	free_cpumask_var(own);
	return err;
}

static int put_mask(const unsigned long *mask, unsigned int len,
		    unsigned long __user *user)
{
	unsigned int bits = max(pcn_cpus_limit(), nr_cpu_ids);
	unsigned int size = BITS_TO_LONGS(bits) * sizeof(long);

	size = min3(size, len, PCN_CPU_LIMIT / BITS_PER_BYTE);
	return copy_to_user(user, mask, size) ? -EFAULT : size;
}

/**
 * pcn_getaffinity - sched_getaffinity() where CPUs of other kernels are seen
 * @pid:	the thread, 0: the current one
 * @len:	bytes that there is room for
 * @user:	receives the mask
 * @result:	receives the result
 *
 * Context: process; sleeps.
 * Return: true if it is done; false if it is Linux's.
 */
bool pcn_getaffinity(pid_t pid, unsigned int len, unsigned long __user *user,
		     int *result)
{
	DECLARE_BITMAP(mask, PCN_CPU_LIMIT);
	struct task_struct *p;
	u64 kernels;

	if (!pcn_machine_is_shared())
		return false;
	p = get_task(pid);
	if (!p)
		return false;
	kernels = kernels_seen(p);
	if (kernels) {
		*result = -EINVAL;
		if (len * BITS_PER_BYTE >= pcn_cpus_limit() &&
		    !(len & (sizeof(long) - 1)))
			*result = get_mask(p, pid, kernels, mask) ?:
				  put_mask(mask, len, user);
	}
	put_task_struct(p);
	return kernels;
}

/**
 * pcn_cpu_seen - the number of a CPU as the current task is to see it
 * @cpu:	this kernel's number of it
 *
 * Context: process.
 * Return: the number.
 */
unsigned int pcn_cpu_seen(unsigned int cpu)
{
	struct pcn_thread *t = current->popcorn;
	unsigned int number;

	if (!pcn_machine_is_shared())
		return cpu;
	number = pcn_cpu_number(cpu);
	if (number == cpu)
		return cpu;
	return (t && t->visitor) || kernels_seen(current) ? number : cpu;
}

/**
 * pcn_show_cpus - a list of CPUs in sysfs
 * @buf:	receives the text
 * @own:	what is listed of this kernel's CPUs
 *
 * Context: process.
 * Return: length of the text; 0 if the current task sees no others.
 */
ssize_t pcn_show_cpus(char *buf, const struct cpumask *own)
{
	DECLARE_BITMAP(mask, PCN_CPU_LIMIT);
	u64 kernels = pcn_machine_is_shared() ? kernels_seen(current) : 0;

	if (!kernels)
		return 0;
	pcn_cpus_of(mask, kernels, own);
	return bitmap_print_to_pagebuf(true, buf, mask, PCN_CPU_LIMIT);
}

/* --- on the way --- */

/**
 * pcn_affinity_inherit - a new thread has the affinity of that which made it
 * @t:		the new one
 * @old:	the current one
 *
 * Context: process.
 */
void pcn_affinity_inherit(struct pcn_thread *t, struct pcn_thread *old)
{
	t->places = old->places;
	t->bound = copy_bound(old, t->cpus);
}

/**
 * pcn_affinity_place - where a thread is to start
 * @t:		the thread
 * @kid:	where it would start if it might be anywhere
 *
 * Context: process.
 * Return: the kernel.
 */
unsigned int pcn_affinity_place(struct pcn_thread *t, unsigned int kid)
{
	DECLARE_BITMAP(mask, PCN_CPU_LIMIT);

	if (!copy_bound(t, mask) || pcn_cpus_touch(mask, kid))
		return kid;
	return pcn_cpus_kernel(mask);
}

/**
 * pcn_affinity_lift - a thread is bound no longer
 * @t:	the thread
 *
 * Context: process.
 */
void pcn_affinity_lift(struct pcn_thread *t)
{
	WRITE_ONCE(t->bound, false);
}

/**
 * pcn_affinity_get - what binds a thread that leaves
 * @t:		the current thread
 * @cpus:	receives the machine's numbers, PCN_CPU_LIMIT bits; none if it is not
 *		bound
 *
 * Context: process.
 */
void pcn_affinity_get(struct pcn_thread *t, u64 *cpus)
{
	DECLARE_BITMAP(mask, PCN_CPU_LIMIT);

	BUILD_BUG_ON(BITS_PER_LONG != 64);
	if (!copy_bound(t, mask))
		bitmap_zero(mask, PCN_CPU_LIMIT);
	memcpy(cpus, mask, sizeof(mask));
}

static struct pcn_thread *thread_of_notifier(struct preempt_notifier *n)
{
	return container_of(n, struct pcn_thread, switches);
}

static void tell_machine_number(struct preempt_notifier *n, int cpu)
{
	if (thread_of_notifier(n)->visitor)
		pcn_arch_cpu_tell(pcn_cpu_number(cpu));
}

static void tell_own_number(struct preempt_notifier *n, struct task_struct *next)
{
	pcn_arch_cpu_tell(smp_processor_id());
}

static struct preempt_ops switch_ops = {
	.sched_in	= tell_machine_number,
	.sched_out	= tell_own_number,
};

/**
 * pcn_affinity_visit - the current task is a visitor from now on, or of another thread
 * @t:		its thread
 * @cpus:	what it is bound to, from pcn_affinity_get()
 *
 * While it runs its CPU has the machine's number.
 *
 * Context: process; sleeps for memory.
 */
void pcn_affinity_visit(struct pcn_thread *t, const u64 *cpus)
{
	DECLARE_BITMAP(mask, PCN_CPU_LIMIT);

	memcpy(mask, cpus, sizeof(mask));
	/* Without memory, or if its CPUs have gone, it may be on any. */
	if (pcn_cpus_touch(mask, pcn_self()) ||
	    !cpumask_equal(&current->cpus_mask, cpu_possible_mask))
		set_own_part(0, mask);
	if (!t->switches.ops) {
		preempt_notifier_init(&t->switches, &switch_ops);
		preempt_notifier_register(&t->switches);
	}
	preempt_disable();
	tell_machine_number(&t->switches, smp_processor_id());
	preempt_enable();
}

static int __init pcn_affinity_init(void)
{
	/* Never taken back: notifiers may be registered at any time. */
	if (pcn_machine_is_shared())
		preempt_notifier_inc();
	return 0;
}
fs_initcall(pcn_affinity_init);

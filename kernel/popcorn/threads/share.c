// SPDX-License-Identifier: GPL-2.0
/*
 * At the origin: how a process comes to be shared, and how that ends.
 *
 * A process is shared once, when its first thread wants to leave. It is put into the
 * table, every other kernel that is up is asked to make its part of the process, and then
 * its address space becomes a space of the coherency protocol. So a thread that finds the
 * space finds the process, too, and all members know of both. If a kernel is lost meanwhile
 * this begins again, without it. A process whose memory another process uses as well, or that
 * has probes, is not shared at all.
 *
 * The end comes with the end of the address space, which may be later than that of the
 * thread group. A work item tells the other kernels: the task that ends may be one that
 * is being killed, and such a task does not wait for room in a ring.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/cred.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/sched/coredump.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/workqueue.h>

#include <uapi/linux/popcorn.h>

#include <popcorn/hooks.h>
#include <popcorn/partition.h>
#include <popcorn/proto.h>
#include <popcorn/space.h>

#include "internal.h"
#include "process.h"

/* A kernel that has not made its part of a process within this time has died. */
#define MAKE_LIMIT_MS	(30 * MSEC_PER_SEC)

static DEFINE_MUTEX(share_lock);
static u64 last_number;

/* A work item: it waits for room, which a task that is being killed would not do. */
static void end_elsewhere(struct work_struct *work)
{
	struct pcn_process *p = container_of(work, struct pcn_process, farewell);
	u64 others = p->members & ~BIT_ULL(pcn_self());
	unsigned int kid;

	for_each_kernel(kid, others)
		pcn_msg_send(kid, PCN_CONTROL, PCN_TYPE_PROCESS_END, &p->number,
			     sizeof(p->number));
	pcn_process_free(p);
}

/* An error: a kernel in *@gone, if there is one, does not make its part, or not in time. */
static int begin_elsewhere(struct pcn_process *p, u64 *gone)
{
	struct pcn_process_msg m = {
		.number = p->number, .members = p->members,
		.uid = from_kuid(&init_user_ns, current_euid()),
		.gid = from_kgid(&init_user_ns, current_egid()),
		.protocol = pcn_proto_number(p->proto),
	};
	u64 others = p->members & ~BIT_ULL(pcn_self());
	unsigned int kid;
	int err;

	get_task_comm(m.comm, current);
	for_each_kernel(kid, others) {
		err = pcn_msg_call(kid, PCN_CONTROL, PCN_TYPE_PROCESS_NEW, &m,
				   sizeof(m), NULL, NULL, MAKE_LIMIT_MS);
		if (err == -EPROTONOSUPPORT)
			pr_err_ratelimited("no process can be shared: kernel %u does not use protocol %s\n",
					   kid, p->proto->name);
		err = pcn_member_error(kid, err);
		if (err == -EHOSTDOWN || err == -ETIMEDOUT)
			*gone |= BIT_ULL(kid);
		if (err)
			return err;
	}
	return 0;
}

/* An error: the kernels in *@gone have been lost since they made their parts. */
static int see_who_is_gone(struct pcn_process *p, u64 *gone)
{
	spin_lock(&pcn_processes_lock);
	*gone = p->lost & p->members;
	spin_unlock(&pcn_processes_lock);
	return *gone ? -EHOSTDOWN : 0;
}

static bool is_stranger(struct task_struct *p)
{
	return READ_ONCE(p->mm) == current->mm && !(p->flags & PF_KTHREAD) &&
	       !same_thread_group(p, current);
}

/*
 * Does another process use the same memory? What it does to the layout would be seen, but
 * it may outlive this process, and the threads of it that are away. Look at all threads:
 * the leader of such a process may have ended.
 */
static bool has_strangers(void)
{
	struct task_struct *leader, *p;
	bool found = false;

	if (atomic_read(&current->mm->mm_users) == 1)
		return false;
	read_lock(&tasklist_lock);
	for_each_process_thread(leader, p)
		found = found || is_stranger(p);
	read_unlock(&tasklist_lock);
	return found;
}

/* From now on the system calls of all its threads are looked at. */
static void process_watch_threads(void)
{
	struct task_struct *p;

	read_lock(&tasklist_lock);
	for_each_thread(current, p)
		set_task_syscall_work(p, POPCORN);
	read_unlock(&tasklist_lock);
}

/**
 * pcn_process_end - the address space of a shared process is going
 * @number:	the process's
 *
 * If this is the origin, the others are told that the process has ended.
 *
 * Context: process.
 */
void pcn_process_end(u64 number)
{
	struct pcn_process *p;

	spin_lock(&pcn_processes_lock);
	p = pcn_process_find(number);
	if (p && p->tgid)
		list_del(&p->node);
	else
		p = NULL;
	spin_unlock(&pcn_processes_lock);
	if (!p)
		return;
	INIT_WORK(&p->farewell, end_elsewhere);
	queue_work(system_unbound_wq, &p->farewell);
}

/* As its placement says, or else as this kernel does. */
static const struct pcn_proto *process_proto(void)
{
	struct pcn_thread *t = current->popcorn;
	unsigned int flags = t && t->placement ? t->placement->flags : 0;

	if (flags & PCN_PLACE_COHERENT)
		return &pcn_proto_direct;
	return flags & PCN_PLACE_REPLICATED ? pcn_proto_chosen() : pcn_proto_default();
}

static int share_with(u64 members, u64 *gone, u64 *number)
{
	struct pcn_space *s;
	struct pcn_process *p;
	int err;

	p = pcn_process_new(pcn_number_new(++last_number), members, process_proto());
	if (!p)
		return -ENOMEM;
	p->forming = true;
	p->tgid = get_pid(task_tgid(current));
	p->mm = current->mm;
	/* A thread that sees the space looks for the process, and then needs the space. */
	mutex_lock(&p->hosting);
	pcn_process_enlist(p);
	err = begin_elsewhere(p, gone) ?: see_who_is_gone(p, gone);
	if (!err) {
		s = pcn_space_create_mm(p->number, p->members, pcn_self(),
					current->mm, p->proto, &pcn_process_space_ops);
		err = PTR_ERR_OR_ZERO(s);
	}
	/* Before any other kernel can become a host. */
	if (!err)
		pcn_process_formed(p);
	mutex_unlock(&p->hosting);
	if (err) {
		pcn_process_end(p->number);
		return err;
	}
	process_watch_threads();
	*number = p->number;
	return 0;
}

static int process_share(u64 *number)
{
	u64 without = 0, gone;
	int err;

	if (process_proto() == &pcn_proto_direct && !pcn_memory_is_lent())
		return -EPROTONOSUPPORT;
	/* Probes: pcn_space_create_mm() asks again, when no more can come. */
	if (has_strangers() || test_bit(MMF_HAS_UPROBES, &current->mm->flags))
		return -EBUSY;
	/* Each time without one more, whatever such a kernel says. */
	do {
		gone = 0;
		err = share_with((pcn_peers_up() & ~without) | BIT_ULL(pcn_self()), &gone, number);
		without |= gone;
	} while (gone && !fatal_signal_pending(current));
	return err;
}

/* The number of the current task's process, if that is shared already. */
static int process_find_own(u64 *number)
{
	struct pcn_space *s = READ_ONCE(current->mm->popcorn);
	struct pcn_process *p;
	int err = -EBUSY;

	if (!s)
		return -ENOENT;
	*number = pcn_space_number(s);
	spin_lock(&pcn_processes_lock);
	p = pcn_process_find(*number);
	/*
	 * A child by vfork() or CLONE_VM uses the memory but is another process: it
	 * stays at home. Its changes of the address space are seen (mm/popcorn/change.c).
	 */
	if (p && p->tgid == task_tgid(current))
		err = 0;
	spin_unlock(&pcn_processes_lock);
	return err;
}

/**
 * pcn_process_share - share the current process, if it is not shared yet, with all kernels
 * @number:	receives its number
 *
 * Context: process; sleeps, with no lock held.
 * Return: 0; -EBUSY its memory is used by another process, or watched, or has probes;
 * -EPROTONOSUPPORT another kernel uses another page coherency protocol;
 * -ENOMEM; -EINTR a signal; errors of pcn_msg_call() and of what other kernels did.
 */
int pcn_process_share(u64 *number)
{
	int err = process_find_own(number);

	if (err != -ENOENT)
		return err;
	if (mutex_lock_killable(&share_lock))
		return -EINTR;
	/* Another thread may have done it meanwhile. */
	err = process_find_own(number);
	if (err == -ENOENT)
		err = process_share(number);
	mutex_unlock(&share_lock);
	return err;
}

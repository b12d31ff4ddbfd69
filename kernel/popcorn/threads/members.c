// SPDX-License-Identifier: GPL-2.0
/*
 * The kernels that share a process, and what becomes of it when one of them is lost.
 *
 * The members of a process are the kernels that were up when it came to be shared. A
 * member that goes down, or whose keeper is killed, has no part of the process any more,
 * and its next life has none either: no thread can go there. The process goes on without
 * that member unless it depends on it, as the only copies of some pages may have been
 * there. It depends on its *hosts*: with the protocol "owner" the members that have had
 * threads of it, with "vote" all of them, since every member is asked about every page.
 *
 * With "direct" pages are the origin's, and nothing is lost with a member but the threads
 * that are there (shadow.c). But a member that may go on using pages, as its CPUs could not
 * be parked or its link is broken, would write what the process does not know of: it depends
 * on its hosts until they have forgotten its pages.
 *
 * What a process depends on is all that it listens to: the hosts know of each other, and
 * take messages about its pages from no other kernel. The process depends on a new host
 * first. Then that is introduced to the others, before its first thread leaves home, so that
 * nothing it sends comes too early.
 *
 * A process that depends on what is lost is *doomed*: all that use its memory are killed.
 * This takes two steps. The process is marked with pcn_processes_lock held, and its tasks
 * are killed without it, since there may be many.
 *
 * All of that is the origin's. When the origin itself goes down, the keepers of its
 * processes end.
 */

#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/signal.h>

#include <popcorn/partition.h>
#include <popcorn/proto.h>
#include <popcorn/space.h>

#include "internal.h"
#include "process.h"

/* Why a process is killed, if it is. */
#define IS_DOWN		"is down, with threads or pages of it"

/* A host that does not answer within this time has died. */
#define HOSTS_LIMIT_MS	(30 * MSEC_PER_SEC)

/* The members that still have a part of it. With pcn_processes_lock held. */
static u64 members_present(const struct pcn_process *p)
{
	return p->members & ~p->lost;
}

/* The current process, which is there as long as its address space. */
static struct pcn_process *find_own(u64 number)
{
	struct pcn_process *p;

	spin_lock(&pcn_processes_lock);
	p = pcn_process_find(number);
	spin_unlock(&pcn_processes_lock);
	return p;
}

/* 1: it is one, and all know it; 0: it may become one; -EHOSTUNREACH. */
static int is_introduced(struct pcn_process *p, unsigned int kid)
{
	int ret = -EHOSTUNREACH;

	spin_lock(&pcn_processes_lock);
	if (members_present(p) & BIT_ULL(kid))
		ret = !!(p->introduced & BIT_ULL(kid));
	spin_unlock(&pcn_processes_lock);
	return ret;
}

/*
 * From now on the process dies with that kernel: others may listen to it, even if it cannot
 * be introduced to all of them. Return: the hosts that there are; 0: it is not one of them.
 */
static u64 add_host(struct pcn_process *p, unsigned int kid)
{
	u64 hosts = 0;

	spin_lock(&pcn_processes_lock);
	if (members_present(p) & BIT_ULL(kid) && pcn_space_admit(p->number, BIT_ULL(kid))) {
		p->hosts |= BIT_ULL(kid);
		hosts = p->hosts & members_present(p);
	}
	spin_unlock(&pcn_processes_lock);
	return hosts;
}

/**
 * pcn_member_error - what it means that a member has not done as it was asked
 * @kid:	the member
 * @err:	what pcn_msg_call() has returned, or 0
 *
 * What a kernel has answered is no signal of this thread's, which would try again for ever.
 *
 * Context: process.
 * Return: -EHOSTDOWN it is lost; -EPROTO instead of what would be a signal; @err.
 */
int pcn_member_error(unsigned int kid, int err)
{
	if (err == -EPROTO && !pcn_peer_is_up(kid))
		return -EHOSTDOWN;
	if ((err == -EINTR || err == -ECANCELED) && !fatal_signal_pending(current))
		return -EPROTO;
	return err;
}

/* One that has lost its part meanwhile listens to nobody, unless it is the new one. */
static int introduction_error(int err, bool is_new)
{
	return !is_new && (err == -EHOSTDOWN || err == -ESRCH) ? 0 : err;
}

/* All hosts know of each other before the new one has a thread that might ask for a page. */
static int introduce(struct pcn_process *p, unsigned int new)
{
	struct pcn_hosts_msg m = { .number = p->number, .hosts = add_host(p, new) };
	u64 others = m.hosts & ~BIT_ULL(pcn_self());
	unsigned int kid;
	int err;

	if (!m.hosts)
		return -EHOSTUNREACH;
	for_each_kernel(kid, others) {
		err = pcn_msg_call(kid, PCN_CONTROL, PCN_TYPE_PROCESS_HOSTS, &m,
				   sizeof(m), NULL, NULL, HOSTS_LIMIT_MS);
		err = introduction_error(pcn_member_error(kid, err), kid == new);
		if (err)
			return err;
	}
	spin_lock(&pcn_processes_lock);
	p->introduced |= BIT_ULL(new);
	spin_unlock(&pcn_processes_lock);
	return 0;
}

/**
 * pcn_process_host - a kernel is about to have a thread of the current process
 * @number:	the process's
 * @kid:	the kernel
 *
 * Context: process; the first time for each kernel it sleeps, with no lock held.
 * Return: 0; -EHOSTUNREACH the kernel has no part of the process: it was started, or
 * started again, after the process was shared, or has lost its part; -ESRCH there is no
 * such process; -EINTR the thread is being killed; errors of pcn_msg_call().
 */
int pcn_process_host(u64 number, unsigned int kid)
{
	struct pcn_process *p = find_own(number);
	int ret = p ? is_introduced(p, kid) : -ESRCH;

	if (ret)
		return min(ret, 0);
	if (mutex_lock_killable(&p->hosting))
		return -EINTR;
	ret = is_introduced(p, kid);
	if (!ret)
		ret = introduce(p, kid);
	mutex_unlock(&p->hosting);
	return min(ret, 0);
}

/**
 * pcn_process_on_hosts - handle PCN_TYPE_PROCESS_HOSTS: listen to these kernels
 * @msg:	the request; its payload is a struct pcn_hosts_msg
 *
 * Context: the poll; does not sleep.
 */
void pcn_process_on_hosts(const struct pcn_message *msg)
{
	const struct pcn_hosts_msg *m = msg->payload;
	int err = -EINVAL;

	if (msg->length == sizeof(*m) && pcn_number_kernel(m->number) == msg->kid)
		err = pcn_space_admit(m->number, m->hosts) ? 0 : -ESRCH;
	pcn_msg_reply(msg, err, NULL, 0);
}

/* The number of the space that a task uses, 0 for none. */
static u64 number_of(struct task_struct *task)
{
	struct pcn_space *s;
	u64 number;

	/* The address space, and its space with it, stays as long as it is the task's. */
	task_lock(task);
	s = task->mm ? READ_ONCE(task->mm->popcorn) : NULL;
	number = s ? pcn_space_number(s) : 0;
	task_unlock(task);
	return number;
}

/**
 * pcn_process_members - the kernels that share a task's process, which is at home here
 * @task:	the current task, or one with a reference
 *
 * Context: process.
 * Return: bit kid is set for each that has not gone down since; 0: not shared, or its
 * home is elsewhere.
 */
u64 pcn_process_members(struct task_struct *task)
{
	u64 number = number_of(task);
	struct pcn_process *p;
	u64 members = 0;

	if (!number)
		return 0;
	spin_lock(&pcn_processes_lock);
	p = pcn_process_find(number);
	/* The pid of a task that has been reaped is NULL. */
	if (p && p->tgid && p->tgid == task_tgid(task))
		members = members_present(p);
	spin_unlock(&pcn_processes_lock);
	return members;
}

/*
 * In "direct" a member has no page of its own: has it done with those of the origin? With
 * pcn_processes_lock held.
 */
static bool depends_on(const struct pcn_process *p, unsigned int kid, bool uses_pages)
{
	if (p->proto == &pcn_proto_direct && !uses_pages)
		return false;
	return p->hosts & BIT_ULL(kid);
}

/* The memory, with a reference, of a process that is doomed and not killed yet. */
static struct mm_struct *next_doomed(unsigned int *kid, const char **why)
{
	struct mm_struct *mm = NULL;
	struct pcn_process *p;

	spin_lock(&pcn_processes_lock);
	list_for_each_entry(p, &pcn_processes, node) {
		if (!p->doomed)
			continue;
		*kid = p->doom;
		*why = p->doomed;
		p->doomed = NULL;
		mm = p->mm;
		mmgrab(mm);
		break;
	}
	spin_unlock(&pcn_processes_lock);
	return mm;
}

/* Not with pcn_processes_lock held: there may be many tasks. */
static void kill_doomed(void)
{
	struct mm_struct *mm;
	unsigned int kid;
	const char *why;
	char reason[96];

	while ((mm = next_doomed(&kid, &why))) {
		snprintf(reason, sizeof(reason), "kernel %u %s", kid, why);
		pcn_mm_kill_users(mm, reason);
		mmdrop(mm);
	}
}

/* With pcn_processes_lock held. Is the process to be killed? */
static bool process_lose(struct pcn_process *p, unsigned int kid, const char *why)
{
	p->lost |= BIT_ULL(kid);
	if (p->forming || !depends_on(p, kid, pcn_space_lose_member(p->number, kid)))
		return false;
	p->doomed = why;
	p->doom = kid;
	pcn_space_break(p->number);
	return true;
}

/**
 * pcn_process_lose_member - a kernel has no part of a process any more
 * @number:	the process's; nothing is done if its home is elsewhere
 * @kid:	the kernel
 * @why:	what has happened, for the log: it follows "kernel 1"
 *
 * If the process depends on that kernel it is killed; otherwise it goes on without it.
 *
 * Context: process, with no lock held.
 * Return: is it killed?
 */
bool pcn_process_lose_member(u64 number, unsigned int kid, const char *why)
{
	struct pcn_process *p;
	bool killed = false;

	spin_lock(&pcn_processes_lock);
	p = pcn_process_find(number);
	if (p && p->tgid && p->members & BIT_ULL(kid))
		killed = process_lose(p, kid, why);
	spin_unlock(&pcn_processes_lock);
	kill_doomed();
	return killed;
}

/**
 * pcn_process_on_lost - handle PCN_TYPE_PROCESS_LOST: the sender's keeper was killed
 * @msg:	the message; its payload is the number of the process
 *
 * Context: the poll; does not sleep.
 */
void pcn_process_on_lost(const struct pcn_message *msg)
{
	const u64 *number = msg->payload;

	if (msg->length == sizeof(*number))
		pcn_process_lose_member(*number, msg->kid, "has lost its part of it");
}

/**
 * pcn_process_on_forgotten - handle PCN_TYPE_PROCESS_FORGOTTEN: the sender has unmapped all
 * @msg:	the message; its payload is the number of the process
 *
 * In "direct" a member says so whenever its part of a process ends: because the process
 * has, or because its keeper was killed.
 *
 * Context: the poll; does not sleep.
 */
void pcn_process_on_forgotten(const struct pcn_message *msg)
{
	const u64 *number = msg->payload;

	if (msg->length != sizeof(*number))
		return;
	pcn_kept_forgot(*number, msg->kid);
	pcn_process_lose_member(*number, msg->kid, "has ended its part of it");
}

/**
 * pcn_process_peer_down - a kernel has gone down
 * @watch:	unused
 * @kid:	the kernel
 *
 * Its own processes end here. Those of this kernel that it had a part of lose that part.
 *
 * Context: process.
 */
void pcn_process_peer_down(struct pcn_peer_notifier *watch, unsigned int kid)
{
	struct pcn_process *p;

	spin_lock(&pcn_processes_lock);
	list_for_each_entry(p, &pcn_processes, node) {
		if (!p->tgid && pcn_number_kernel(p->number) == kid) {
			pcn_keeper_end(p);
			pcn_space_break(p->number);
		} else if (p->tgid && p->members & BIT_ULL(kid)) {
			process_lose(p, kid, IS_DOWN);
		}
	}
	spin_unlock(&pcn_processes_lock);
	kill_doomed();
}

/**
 * pcn_process_formed - a process has its space, and may depend on its members from now on
 * @p:	the process
 *
 * Context: process, with &pcn_process.hosting held, and no spinlock.
 */
void pcn_process_formed(struct pcn_process *p)
{
	unsigned int kid;
	u64 lost;

	spin_lock(&pcn_processes_lock);
	p->forming = false;
	/* The space has not been told. */
	lost = p->lost;
	for_each_kernel(kid, lost)
		process_lose(p, kid, IS_DOWN);
	spin_unlock(&pcn_processes_lock);
	kill_doomed();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Tasks that poll in place of the thread.
 *
 * A thread that waits for a message polls the thread's group itself for a while, if no
 * other task does: this saves two context switches. So a handler must not take a lock
 * that a thread holds while it waits for a message. Neither such a thread nor the
 * group's own thread, which has a real-time priority, spins while another task could
 * use the CPU. For the same reason a task that the doorbell finds in user mode, where
 * it holds no lock, polls before it goes on, in place of the group's thread.
 *
 * A task that polls in place of the thread is not preempted meanwhile: messages, and
 * the thread, would wait for a task that has no more than its share of the CPU.
 *
 * The thread may sleep all the time, with its bell disarmed by the task. So the last
 * thing that the task does is to arm it again, or to wake the thread.
 */
#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/sched.h>

#include <popcorn/core.h>
#include <popcorn/entry.h>

#include "internal.h"

/* Has the task that was interrupted to poll the thread's group? */
DEFINE_PER_CPU(bool, pcn_poll_owed);

/* False: somebody else polls. */
static bool begin_look(struct pcn_poll_group *group)
{
	preempt_disable();
	if (mutex_trylock(&group->poll_lock))
		return true;
	preempt_enable();
	return false;
}

static void end_look(struct pcn_poll_group *group)
{
	mutex_unlock(&group->poll_lock);
	preempt_enable();
}

/* --- while it waits --- */

/* True: it is not over, and another task has to run first. */
static bool look_until(u64 end, bool (*is_over)(const void *arg), const void *arg)
{
	struct pcn_poll_group *group = &pcn_poll_groups[PCN_POLL_THREAD];
	bool over, late, wanted;

	if (!begin_look(group))
		return false;
	pcn_bell_disarm(group->bell);
	do {
		if (!pcn_poll_locked(group, PCN_POLL_BATCH))
			cpu_relax();
		over = is_over(arg);
		late = ktime_get_ns() >= end;
	} while (!over && !late && pcn_cpu_is_spare());
	/* The thread may have slept all the time: wake it again. */
	if (group->asleep && !pcn_poll_arm_bell(group))
		pcn_poll_kick(group->id);
	/* A kernel that is preemptible lets the other one go first at the end of the look. */
	wanted = need_resched();
	end_look(group);
	return !over && !late && wanted;
}

/**
 * pcn_msg_poll_until - poll for a message instead of sleeping at once
 * @linger:	for how long, as pcn_linger_learn() has learnt
 * @is_over:	has come what the caller waits for?
 * @arg:	for that
 *
 * What comes on the control and coherency channels is handled, whomever it is for.
 * Returns early when somebody else polls, or when the CPU is wanted: but a task that goes
 * first, such as a work item that a handler has just queued, is most often a short one, so
 * it is let go first, and what is left of the time is used.
 *
 * Context: process, with no lock held that a handler takes. Not from a handler.
 */
void pcn_msg_poll_until(const struct pcn_linger *linger,
			bool (*is_over)(const void *arg), const void *arg)
{
	u64 ns = READ_ONCE(linger->ns), end = ktime_get_ns() + ns;

	/* Handlers of others' messages must not take from the reserves of memory. */
	if (!ns || current->flags & PF_MEMALLOC)
		return;
	while (look_until(end, is_over, arg))
		cond_resched();
}

/* --- on its way to user mode --- */

/*
 * Poll until there is nothing more, and arm the bell again for the thread, which has
 * slept all the time. False: the thread has to see to it.
 */
static bool poll_for_thread(struct pcn_poll_group *group)
{
	unsigned int budget = PCN_POLL_THREAD_BUDGET, handled;

	do {
		handled = pcn_poll_locked(group, budget);
		budget -= min(handled, budget);
		if (!group->asleep || pcn_poll_arm_bell(group))
			return true;
	} while (handled && budget);
	return false;
}

/**
 * pcn_poll_now - poll, as the doorbell has asked for
 *
 * Two context switches less than to wake the thread. There is no way from the
 * interrupt to here on which another task could get the CPU.
 *
 * Context: a task on its way to user mode, with interrupts off; they are on
 * meanwhile.
 */
void pcn_poll_now(void)
{
	struct pcn_poll_group *group = &pcn_poll_groups[PCN_POLL_THREAD];
	bool done = false;

	this_cpu_write(pcn_poll_owed, false);
	/* Before interrupts are on: see the head of the file. */
	preempt_disable();
	local_irq_enable();
	if (begin_look(group)) {
		done = poll_for_thread(group);
		end_look(group);
	}
	if (!done)
		pcn_poll_kick(group->id);
	local_irq_disable();
	preempt_enable_no_resched();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Idle visitors, whose thread has gone home: they wait for the next one.
 *
 * A thread that goes home for one thing is back soon, and a program that makes threads will
 * make more. To make a task and to end it takes longer than all else on that way. So a
 * visitor whose thread has left stays for a while, where it was on its way out of user mode,
 * and becomes the visitor of the next thread of its process that arrives. It has nothing of
 * the one before: what arrives is the whole state.
 *
 * An idle visitor has no number, and no message is for it. It is killed with the others of
 * its thread group, when the keeper ends.
 *
 * Lock: pcn_processes_lock.
 */
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>
#include <linux/wait.h>

#include "internal.h"
#include "process.h"

/* Of a process, at a time. */
#define IDLE_MAX	32

/* For so long each. */
#define IDLE_JIFFIES	(5 * HZ)

/**
 * struct idle - an idle visitor
 * @node:	in pcn_process.idle, the last one first; none if that is not so any more
 * @wait:	the visitor
 * @next:	what it has been given
 */
struct idle {
	struct list_head	node;
	wait_queue_head_t	wait;
	struct pcn_arrival	*next;
};

/* For how long a visitor looks for the next thread by itself. */
static struct pcn_linger next_linger;

static bool idle_is_over(const void *arg)
{
	const struct idle *i = arg;

	return READ_ONCE(i->next) || list_empty_careful(&i->node);
}

static bool idle_begin(struct idle *i, u64 number)
{
	struct pcn_process *p;
	bool stays;

	spin_lock(&pcn_processes_lock);
	p = pcn_process_find(number);
	stays = p && !p->tgid && !p->end && p->idle_count < IDLE_MAX;
	if (stays) {
		list_add(&i->node, &p->idle);
		p->idle_count++;
	}
	spin_unlock(&pcn_processes_lock);
	return stays;
}

/* With the lock. */
static void idle_remove(struct pcn_process *p, struct idle *i)
{
	list_del_init(&i->node);
	p->idle_count--;
}

static struct pcn_arrival *idle_end(struct idle *i, u64 number)
{
	spin_lock(&pcn_processes_lock);
	/* Its process is there: it would have removed it. */
	if (!list_empty(&i->node))
		idle_remove(pcn_process_find(number), i);
	spin_unlock(&pcn_processes_lock);
	return i->next;
}

/* As wait_event_killable_timeout(), but to suspend it is no obstacle, nor load. */
static void idle_sleep(struct idle *i)
{
	const unsigned int state = TASK_KILLABLE | TASK_FREEZABLE | TASK_NOLOAD;

	___wait_event(i->wait, ___wait_cond_timeout(idle_is_over(i)), state, 0, IDLE_JIFFIES,
		      __ret = schedule_timeout(__ret));
}

/**
 * pcn_idle_wait - the thread of the current visitor has gone: wait for another one
 * @number:	of the process
 *
 * Context: process; sleeps.
 * Return: an arrival, for pcn_arrival_end(); NULL: the visitor is to end.
 */
struct pcn_arrival *pcn_idle_wait(u64 number)
{
	struct idle i = { .node = LIST_HEAD_INIT(i.node) };
	u64 since = ktime_get_ns();

	init_waitqueue_head(&i.wait);
	if (!idle_begin(&i, number))
		return NULL;
	pcn_msg_poll_until(&next_linger, idle_is_over, &i);
	idle_sleep(&i);
	pcn_linger_learn(&next_linger, ktime_get_ns() - since);
	return idle_end(&i, number);
}

/**
 * pcn_idle_take - is there an idle visitor for an arrival?
 * @p:	its process
 * @a:	the arrival
 *
 * Context: pcn_processes_lock is held.
 * Return: true: there was, and it has the arrival now.
 */
bool pcn_idle_take(struct pcn_process *p, struct pcn_arrival *a)
{
	struct idle *i = list_first_entry_or_null(&p->idle, struct idle, node);

	lockdep_assert_held(&pcn_processes_lock);
	if (!i)
		return false;
	WRITE_ONCE(i->next, a);
	idle_remove(p, i);
	wake_up(&i->wait);
	return true;
}

/**
 * pcn_idle_end_all - a process ends: nobody waits for its threads any more
 * @p:	the process
 *
 * Context: pcn_processes_lock is held.
 */
void pcn_idle_end_all(struct pcn_process *p)
{
	struct idle *i, *next;

	lockdep_assert_held(&pcn_processes_lock);
	list_for_each_entry_safe(i, next, &p->idle, node) {
		idle_remove(p, i);
		wake_up(&i->wait);
	}
}

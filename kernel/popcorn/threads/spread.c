// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that spread over the kernels of their placement.
 *
 * The threads of a process start on the kernels of its placement in turn, the first one on
 * the first kernel: at home, as a rule, where its files and system calls are. A program
 * of many processes with one thread each would stay on one kernel. Most processes are better
 * off there: they are short, or wait most of the time. So a child starts at home, and is moved
 * when it loses: during a whole period it was ready to run all the time, without waiting
 * once, and had a CPU for less than 3/4 of that. Then it goes to the kernel of its placement that
 * has the most CPUs on which no thread from here runs, if there is one.
 *
 * It is the program's wish (PCN_PLACE_SPREAD), and that of a thread that binds itself, or
 * migrates, comes before. A program that is executed begins at home again.
 *
 * Lock: spread_lock, with interrupts off, since a task is listed with tasklist_lock held. A
 * listed task has not ended.
 */
#include <linux/bitmap.h>
#include <linux/cpumask.h>
#include <linux/list.h>
#include <linux/resume_user_mode.h>
#include <linux/sched.h>
#include <linux/sched/cputime.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>

#include <popcorn/cpus.h>
#include <popcorn/msg.h>

#include "internal.h"

/* In a period tasks that share a CPU run several times each. */
#define PERIOD_MS	40
/* Between two looks at them. */
#define LOOK_MS		20

static LIST_HEAD(spreads);
static DEFINE_SPINLOCK(spread_lock);

static void look_at_all(struct work_struct *work);
static DECLARE_DELAYED_WORK(look_work, look_at_all);

static void look_later(void)
{
	schedule_delayed_work(&look_work, msecs_to_jiffies(LOOK_MS));
}

static struct pcn_thread *thread_of_spread(struct pcn_spread *s)
{
	return container_of(s, struct pcn_thread, spread);
}

/**
 * pcn_spread_lists - may a thread be moved for want of CPUs, or has it been?
 * @t:	the thread
 *
 * Context: any; the answer may be out of date.
 */
bool pcn_spread_lists(const struct pcn_thread *t)
{
	return READ_ONCE(t->spread.node.next);
}

/**
 * pcn_spread_begin - a new process may be moved for want of CPUs
 * @t:	its only thread
 *
 * Context: tasklist_lock is held, to write.
 */
void pcn_spread_begin(struct pcn_thread *t)
{
	if (!t->spreads || t->bound || t->wanted != pcn_self())
		return;
	/* It has neither run nor waited. */
	t->spread.since = ktime_get_ns();
	spin_lock(&spread_lock);
	list_add_tail(&t->spread.node, &spreads);
	spin_unlock(&spread_lock);
	look_later();
}

/**
 * pcn_spread_end - it has ended, or has been given a place by somebody else
 * @t:	the thread, whether it may be moved or not
 *
 * Context: any.
 */
void pcn_spread_end(struct pcn_thread *t)
{
	unsigned long flags;

	if (!t->spreads)
		return;
	spin_lock_irqsave(&spread_lock, flags);
	if (pcn_spread_lists(t)) {
		list_del(&t->spread.node);
		WRITE_ONCE(t->spread.node.next, NULL);
	}
	spin_unlock_irqrestore(&spread_lock, flags);
}

static void begin_period(struct pcn_spread *s, struct task_struct *p, u64 now)
{
	s->since = now;
	s->ran = task_sched_runtime(p);
	s->waits = READ_ONCE(p->nvcsw);
}

/* Has it, in the period that is over? */
static bool has_lost(struct pcn_spread *s, struct task_struct *p, u64 now)
{
	u64 ran = s->ran, since = now - s->since;
	unsigned long waits = s->waits;

	if (since < PERIOD_MS * NSEC_PER_MSEC)
		return false;
	begin_period(s, p, now);
	return s->waits == waits && task_is_running(p) && 4 * (s->ran - ran) < 3 * since;
}

/* The child of vfork() has its parent's memory until it executes. */
static bool may_move(const struct pcn_thread *t)
{
	return t->at == pcn_self() && READ_ONCE(t->wanted) == pcn_self() &&
	       !READ_ONCE(t->task->vfork_done);
}

/* CPUs of each other kernel that is up, less the threads from here that chose to be there. */
static void count_room(int *room)
{
	DECLARE_BITMAP(cpus, PCN_CPU_LIMIT);
	unsigned int kid;

	for (kid = 0; kid < PCN_KERNELS_MAX; kid++) {
		room[kid] = 0;
		if (!pcn_peer_is_up(kid))
			continue;
		pcn_cpus_of(cpus, BIT_ULL(kid), cpu_none_mask);
		room[kid] = bitmap_weight(cpus, PCN_CPU_LIMIT);
	}
	pcn_threads_subtract(room);
}

/* Those that have been moved: on their way, there, or here for one thing. */
static void subtract_moved(int *room)
{
	struct pcn_spread *s;
	unsigned int kid;

	list_for_each_entry(s, &spreads, node) {
		kid = READ_ONCE(thread_of_spread(s)->wanted);
		if (kid != pcn_self() && !pcn_thread_waits(thread_of_spread(s)))
			room[kid]--;
	}
}

static unsigned int find_room(const int *room, u64 places)
{
	unsigned int kid, best = pcn_self();

	for (kid = 0; kid < PCN_KERNELS_MAX; kid++)
		if (places & BIT_ULL(kid) && kid != pcn_self() && room[kid] > 0 &&
		    (best == pcn_self() || room[kid] > room[best]))
			best = kid;
	return best;
}

static void move(struct pcn_thread *t, int *room)
{
	unsigned int kid = find_room(room, READ_ONCE(t->places));

	if (kid == pcn_self())
		return;
	room[kid]--;
	pcn_thread_move(t, kid);
}

static void look_at_all(struct work_struct *work)
{
	int room[PCN_KERNELS_MAX];
	struct pcn_spread *s;
	bool any;

	count_room(room);
	spin_lock_irq(&spread_lock);
	subtract_moved(room);
	list_for_each_entry(s, &spreads, node)
		if (has_lost(s, thread_of_spread(s)->task, ktime_get_ns()) &&
		    may_move(thread_of_spread(s)))
			move(thread_of_spread(s), room);
	any = !list_empty(&spreads);
	spin_unlock_irq(&spread_lock);
	if (any)
		look_later();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The watchdog: finds out that a secondary has ended or hangs.
 *
 * Every CPU of a secondary counts its heart up from hard interrupt context.
 * A thread of the primary looks at the hearts a few times in the time that a
 * CPU may be silent. It measures silence in its own looks: if it was itself
 * kept from running, the time in between counts as one interval, since
 * whatever stopped it may have stopped the others too.
 *
 * Only this thread says that a kernel hangs. It does not change the state of
 * a kernel that an operation has; that one waits for what is found here.
 */
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/wait.h>

#include <asm/popcorn.h>

#include <popcorn/core.h>

#include "internal.h"

static DECLARE_WAIT_QUEUE_HEAD(watch_wait);
static atomic_t kicked;

/* Milliseconds since the look before this one; the watch thread's own. */
static unsigned int watch_elapsed_ms;

/* Milliseconds between two looks. */
static unsigned int interval_ms(void)
{
	return clamp(READ_ONCE(pcn_hang_ms) / 8, 10U, (unsigned int)PCN_BEAT_MS);
}

/**
 * pcn_watchdog_kick - a secondary has changed its control block
 *
 * Context: any; usually hard interrupt context.
 */
void pcn_watchdog_kick(void)
{
	atomic_set(&kicked, 1);
	wake_up(&watch_wait);
}

/**
 * pcn_watchdog_doorbell - the primary was rung: is it for the watch?
 *
 * Messages ring, too, and there may be many of those.
 *
 * Context: hard interrupt, on one CPU.
 */
void pcn_watchdog_doorbell(void)
{
	static u32 seen[PCN_KERNELS_MAX];
	const struct pcn_window *w = pcn_window();
	unsigned int kid, areas = pcn_facts()->layout.areas;
	bool changed = false;
	u32 now;

	for (kid = 1; kid < areas; kid++) {
		now = READ_ONCE(w->attention[kid]);
		changed |= now != seen[kid];
		seen[kid] = now;
	}
	if (changed)
		pcn_watchdog_kick();
}

/**
 * pcn_watchdog_forget - a new life begins: no heart has beaten yet
 * @k:	the kernel
 *
 * The watch thread may still be looking at the old life; it holds the lock
 * from its look at the state on, and does not look again before the new life
 * is running.
 *
 * Context: process, @k->op held, @k neither running nor stopping.
 */
void pcn_watchdog_forget(struct pcn_kernel *k)
{
	spin_lock(&k->heart_lock);
	memset(k->heart, 0, k->nr_cpus * sizeof(*k->heart));
	k->ending_ms = 0;
	k->hung_cpu = -1;
	spin_unlock(&k->heart_lock);
}

/* The global number of the CPU with index @i in its kernel. */
static int cpu_number(const struct pcn_kernel *k, unsigned int i)
{
	unsigned int cpu;

	for_each_set_bit(cpu, k->part.cpus, PCN_CPU_LIMIT)
		if (!i--)
			return cpu;
	return -1;
}

static void found_hung(struct pcn_kernel *k, unsigned int i, unsigned int ms)
{
	k->hung_ms = ms;
	/* Last, since this is what pcn_kernel_has_ended() looks at. */
	smp_store_release(&k->hung_cpu, cpu_number(k, i));
}

static void watchdog_look_at_heart(struct pcn_kernel *k, unsigned int i)
{
	u64 beat = READ_ONCE(k->area->control.beat[i]);
	struct pcn_heart *heart = &k->heart[i];

	/* 0: this CPU has not come up yet. */
	if (!beat || beat != heart->beat) {
		heart->beat = beat;
		heart->missed_ms = 0;
		return;
	}
	heart->missed_ms += watch_elapsed_ms;
	if (heart->missed_ms >= READ_ONCE(pcn_hang_ms))
		found_hung(k, i, heart->missed_ms);
}

/* Its CPUs stop one after the other; what it says last takes its time. */
static void watchdog_look_at_ending(struct pcn_kernel *k)
{
	k->ending_ms += watch_elapsed_ms;
	if (k->ending_ms >= READ_ONCE(pcn_hang_ms) + PCN_ENDING_MS)
		found_hung(k, 0, k->ending_ms);
}

static void watchdog_look_at_life(struct pcn_kernel *k)
{
	enum pcn_kernel_state state;
	unsigned int i;

	spin_lock(&k->heart_lock);
	state = READ_ONCE(k->state);
	if ((state != PCN_RUNNING && state != PCN_STOPPING) || k->hung_cpu >= 0)
		goto out;
	if (READ_ONCE(k->area->control.stage) >= PCN_STAGE_ENDING)
		watchdog_look_at_ending(k);
	else
		for (i = 0; i < k->nr_cpus && k->hung_cpu < 0; i++)
			watchdog_look_at_heart(k, i);
out:
	spin_unlock(&k->heart_lock);
}

static void watchdog_look_at_kernel(struct pcn_kernel *k)
{
	watchdog_look_at_life(k);
	pcn_roster_look(k);
	wake_up_all(&k->wait);
	/* An operation that is under way collects it itself. */
	if (READ_ONCE(k->state) != PCN_RUNNING || !pcn_kernel_has_ended(k) ||
	    !mutex_trylock(&k->op))
		return;
	pcn_kernel_collect_end(k);
	pcn_kernel_op_end(k);
}

static int watchdog_thread(void *unused)
{
	ktime_t last = ktime_get(), now;

	while (!kthread_should_stop()) {
		wait_event_idle_timeout(watch_wait, atomic_xchg(&kicked, 0),
					msecs_to_jiffies(interval_ms()));
		now = ktime_get();
		watch_elapsed_ms = min_t(s64, ktime_ms_delta(now, last),
					 2 * interval_ms());
		last = now;
		pcn_call_secondaries(watchdog_look_at_kernel);
	}
	return 0;
}

/**
 * pcn_watchdog_start - start the watch thread
 *
 * Context: initcall of the primary.
 * Return: 0 or -ENOMEM.
 */
int __init pcn_watchdog_start(void)
{
	struct task_struct *task = kthread_run(watchdog_thread, NULL, "popcorn_watch");

	if (IS_ERR(task))
		return PTR_ERR(task);
	/* It must not wait for ordinary load to see that others are alive. */
	sched_set_fifo_low(task);
	return 0;
}

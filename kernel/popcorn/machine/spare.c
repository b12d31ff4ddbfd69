// SPDX-License-Identifier: GPL-2.0
/*
 * Can another task use the CPU?
 *
 * A thread that waits for another kernel spins for a while before it sleeps, if no
 * other task can use the CPU meanwhile (drivers/msg_layer/task_poll.c).
 * single_task_running() tells less than that: since Linux 6.12 a task that has gone to
 * sleep stays in its run queue until its lag is used up (the scheduler's feature
 * DELAY_DEQUEUE), and is counted there for milliseconds. It cannot use the CPU, so it
 * is left out, as wake_affine_idle() does.
 */
#include <linux/mmu_context.h>	/* sched.h needs it */

#include <popcorn/core.h>

#include "../../sched/sched.h"

/**
 * pcn_cpu_is_spare - has nobody else a use for this CPU?
 *
 * A softirq may have come to an idle one, where no task is running.
 *
 * Context: any; the answer is about the CPU at this moment. Ask again in a loop.
 * Return: true if the CPU has only the caller, or no task, to run.
 */
bool pcn_cpu_is_spare(void)
{
	const struct rq *rq = raw_rq();
	unsigned int running = rq->nr_running - rq->cfs.h_nr_delayed;

	return running == !is_idle_task(current) && !need_resched();
}

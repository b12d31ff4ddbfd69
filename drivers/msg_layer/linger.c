// SPDX-License-Identifier: GPL-2.0
/*
 * How long to look for more messages before sleeping.
 *
 * To sleep and be woken takes longer than most answers do, so a poll that finds nothing
 * *lingers*: it spins for a while. For how long is learnt from how long the last sleeps
 * have taken: after a short one it lingers longer, after a long one less, down to nothing.
 * Groups learn from their sleeps, tasks from their waits for a message (task_poll.c).
 *
 * It spins only as long as no other task could use the CPU.
 */
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/module.h>

#include <popcorn/core.h>

#include "internal.h"

/* Where lingering begins. */
#define LINGER_MIN_NS	2000

/*
 * More than KVM's default for the same question, 200: of two kernels that wait for each
 * other both may have to be woken, which takes 100 to 300 us each where CPUs are virtual.
 * What is longer is not worth lingering for, so with less two that sleep would go on
 * sleeping.
 */
static unsigned int linger_us = 1000;
module_param(linger_us, uint, 0644);
MODULE_PARM_DESC(linger_us, "look for more messages for up to so long before sleeping (us)");

/**
 * pcn_linger_learn - learn from how long a wait has taken
 * @linger:	of waits like that
 * @slept_ns:	nanoseconds
 *
 * After a wait shorter than linger_us, which limits it, lingering takes twice as long as
 * before, and at least twice as long as the wait has taken; after a longer one half as
 * long, and in the end no time.
 *
 * Context: any.
 */
void pcn_linger_learn(struct pcn_linger *linger, u64 slept_ns)
{
	u64 max = READ_ONCE(linger_us) * (u64)NSEC_PER_USEC, ns = linger->ns;

	if (slept_ns < max)
		ns = clamp(2 * max(ns, slept_ns), min_t(u64, LINGER_MIN_NS, max), max);
	else
		ns = ns / 2 < LINGER_MIN_NS ? 0 : min(ns / 2, max);
	WRITE_ONCE(linger->ns, ns);
}

/**
 * pcn_poll_linger - spin a little for something to do
 * @group:	the group that has found nothing
 * @limit_ns:	for so long at most
 *
 * Context: the group's thread, without poll_lock, or its softirq.
 * Return: true if there is something to do.
 */
bool pcn_poll_linger(struct pcn_poll_group *group, u64 limit_ns)
{
	u64 ns = min(READ_ONCE(group->linger.ns), limit_ns), end;

	if (!ns)
		return false;
	end = ktime_get_ns() + ns;
	do {
		if (pcn_poll_has_messages(group) || pcn_poll_has_room_news(group)) {
			group->stats.linger_hits++;
			return true;
		}
		cpu_relax();
	} while (ktime_get_ns() < end && pcn_cpu_is_spare());
	return false;
}

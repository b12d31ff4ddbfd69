/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The slice of a task that a thread on another kernel waits for: what it does is short, and it
 * goes before what has a longer slice (EEVDF, and PREEMPT_SHORT in kernel/sched/features.h),
 * instead of waiting for a tick.
 */
#ifndef _POPCORN_SLICE_H
#define _POPCORN_SLICE_H

#include <linux/sched.h>
#include <linux/time64.h>

/** PCN_SHORT_SLICE_NS - the shortest that Linux allows (sched_setattr(2)) */
#define PCN_SHORT_SLICE_NS	(100 * NSEC_PER_USEC)

/**
 * pcn_slice_shorten - let the current task go first, from when it is next woken
 *
 * Context: process.
 * Return: false: it has a slice of its own, and keeps that.
 */
static inline bool pcn_slice_shorten(void)
{
	if (current->se.custom_slice)
		return false;
	current->se.slice = PCN_SHORT_SLICE_NS;
	current->se.custom_slice = 1;
	return true;
}

/**
 * pcn_slice_restore - let the current task have the slice of all
 *
 * It may have been given one of its own meanwhile, which it keeps.
 *
 * Context: process, after pcn_slice_shorten() has returned true.
 */
static inline void pcn_slice_restore(void)
{
	if (current->se.slice == PCN_SHORT_SLICE_NS)
		current->se.custom_slice = 0;
}

#endif /* _POPCORN_SLICE_H */

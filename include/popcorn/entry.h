/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hook on the way from interrupts to user mode: apart from those in popcorn/hooks.h,
 * for it needs per-CPU variables.
 */
#ifndef _POPCORN_ENTRY_H
#define _POPCORN_ENTRY_H

#ifdef CONFIG_POPCORN

#include <linux/percpu-defs.h>

DECLARE_PER_CPU(bool, pcn_poll_owed);

void pcn_poll_now(void);

/**
 * pcn_before_user_mode - do what an interrupt has left to the task that it found
 *
 * System calls do not come here: what has to be done was left by an interrupt of user
 * mode, which goes back there itself.
 *
 * Context: on the way from an interrupt or exception to user mode, with interrupts off;
 * they may be on meanwhile.
 */
static inline void pcn_before_user_mode(void)
{
	if (unlikely(this_cpu_read(pcn_poll_owed)))
		pcn_poll_now();
}

#else

static inline void pcn_before_user_mode(void) { }

#endif

#endif /* _POPCORN_ENTRY_H */

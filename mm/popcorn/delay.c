// SPDX-License-Identifier: GPL-2.0
/*
 * A delay before a page that was granted is mapped, to find out what happens when
 * others want it meanwhile. Each is a random time up to popcorn_delay=<us>, which
 * /sys/kernel/debug/popcorn/delay shows and changes while the kernel runs.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/random.h>
#include <linux/time64.h>

#include <popcorn/hooks.h>

#include "internal.h"

DEFINE_STATIC_KEY_FALSE(pcn_delaying);

/* The longest delay, in microseconds. */
static u32 limit_us;

/**
 * pcn_delay_randomly - see pcn_delay()
 *
 * Context: process, sleeps.
 */
void pcn_delay_randomly(void)
{
	u32 limit = READ_ONCE(limit_us);
	u32 us = limit ? get_random_u32_below(limit + 1) : 0;

	if (us)
		fsleep(us);
}

static int __init delay_param(char *arg)
{
	u32 us;

	if (!arg || kstrtou32(arg, 0, &us) || us > USEC_PER_SEC) {
		pr_err("popcorn_delay=%s refused: not a number of microseconds up to 1000000\n",
		       arg ?: "");
		return 0;
	}
	limit_us = us;
	return 0;
}
early_param("popcorn_delay", delay_param);

static int delay_get(void *unused, u64 *value)
{
	*value = READ_ONCE(limit_us);
	return 0;
}

static int delay_set(void *unused, u64 value)
{
	if (value > USEC_PER_SEC)
		return -EINVAL;
	WRITE_ONCE(limit_us, value);
	if (value)
		static_branch_enable(&pcn_delaying);
	else
		static_branch_disable(&pcn_delaying);
	return 0;
}

DEFINE_DEBUGFS_ATTRIBUTE(delay_fops, delay_get, delay_set, "%llu\n");

static int __init delay_init(void)
{
	if (!pcn_machine_is_shared())
		return 0;
	if (limit_us)
		static_branch_enable(&pcn_delaying);
	pcn_debug_file("delay", 0600, &delay_fops);
	return 0;
}
late_initcall_sync(delay_init);

// SPDX-License-Identifier: GPL-2.0
/*
 * The end of the primary: no secondary outlives it by accident. A reboot, a poweroff
 * or a kexec asks all secondaries to power off, and kills those that have not done so
 * when a common time limit is over. A primary that crashes into its crash kernel can
 * only send INIT. Suspend is refused while a secondary runs.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/reboot.h>
#include <linux/suspend.h>

#include <asm/popcorn.h>
#include <asm/reboot.h>

#include "internal.h"

/* All at once first, so that they are waited for together. */
static void announce_shutdown(struct pcn_kernel *k)
{
	if (READ_ONCE(k->state) == PCN_RUNNING)
		pcn_kernel_ask_to_stop(k);
}

/* When those that have not powered off are killed, jiffies. */
static unsigned long stop_end;

static void bring_down(struct pcn_kernel *k)
{
	long left;

	/* A start that is under way gives up. */
	atomic_inc(&k->kill);
	wake_up_all(&k->wait);
	mutex_lock(&k->op);
	atomic_dec(&k->kill);
	left = stop_end - jiffies;
	if (k->state == PCN_RUNNING)
		pcn_kernel_stop_within(k, max(left, 0L));
	pcn_kernel_op_end(k);
	pcn_kernel_kill(k);
}

/* Reboot, poweroff and kexec of the primary, the forced ones included. */
static int on_reboot(struct notifier_block *nb, unsigned long action, void *data)
{
	pcn_call_secondaries(announce_shutdown);
	stop_end = jiffies + pcn_kernel_stop_limit();
	pcn_call_secondaries(bring_down);
	return NOTIFY_DONE;
}

static struct notifier_block reboot_notifier = {
	.notifier_call	= on_reboot,
	.priority	= INT_MAX,
};

static void stop_secondary_cpus(struct pcn_kernel *k)
{
	if (READ_ONCE(k->state) >= PCN_BOOTING)
		pcn_arch_stop_cpus(k);
}

static void (*original_shutdown)(void) __ro_after_init;

/* Where a shutdown gets here without notifiers, nobody can be waited for. */
static void machine_shutdown_hook(void)
{
	pcn_call_secondaries(stop_secondary_cpus);
	original_shutdown();
}

#ifdef CONFIG_CRASH_DUMP
static void (*original_crash_shutdown)(struct pt_regs *regs) __ro_after_init;

static void crash_shutdown(struct pt_regs *regs)
{
	pcn_call_secondaries(stop_secondary_cpus);
	original_crash_shutdown(regs);
}
#endif

static atomic_t awake;

static void count_awake(struct pcn_kernel *k)
{
	if (READ_ONCE(k->state) < PCN_BOOTING)
		return;
	atomic_inc(&awake);
	pr_err("suspend refused: kernel %u (%s) is %s\n", k->kid, k->part.name,
	       pcn_kernel_state_name(READ_ONCE(k->state)));
}

/* The firmware would take the power from all CPUs, and wake this kernel's. */
static int on_suspend(struct notifier_block *nb, unsigned long action, void *data)
{
	if (action != PM_SUSPEND_PREPARE && action != PM_HIBERNATION_PREPARE)
		return NOTIFY_DONE;
	atomic_set(&awake, 0);
	pcn_call_secondaries(count_awake);
	return atomic_read(&awake) ? notifier_from_errno(-EBUSY) : NOTIFY_DONE;
}

/**
 * pcn_hook_shutdown - be asked when this kernel is about to end
 *
 * Context: initcall of the primary.
 */
void __init pcn_hook_shutdown(void)
{
	register_reboot_notifier(&reboot_notifier);
	pm_notifier(on_suspend, 0);
	original_shutdown = machine_ops.shutdown;
	machine_ops.shutdown = machine_shutdown_hook;
#ifdef CONFIG_CRASH_DUMP
	original_crash_shutdown = machine_ops.crash_shutdown;
	machine_ops.crash_shutdown = crash_shutdown;
#endif
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The life cycle of a secondary, as the primary has it:
 *
 *            load            start            init runs           stop
 *   offline ------> loaded --------> booting ----------> running ------> stopping
 *           <------   ^  ^             |  |                |  |            |
 *           unload    |  +-------------+  |                |  |            |
 *                     |     killed        |                |  |            |
 *                     +----- poweroff, reboot, halt, killed --+------------+
 *                     |                   |                |               |
 *                     +------ failed <----+--- panic, hang, limit ---------+
 *                        kill, load
 *
 * One operation at a time holds the op mutex of a kernel, and it alone changes the
 * kernel's state. An operation fails with -EBUSY while a start or a stop is under
 * way; only a kill waits, and makes the holder give up. The watchdog collects a
 * death that no operation waits for (watchdog.c).
 *
 * A kernel's CPUs are parked before its state says that it does not run: it
 * is fenced first, and then announced.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/errno.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include <asm/popcorn.h>

#include <popcorn/core.h>

#include "internal.h"

unsigned int pcn_hang_ms = 1000;

/* Less than a few heartbeats would find every kernel hung. */
static int set_hang_ms(const char *text, const struct kernel_param *param)
{
	return param_set_uint_minmax(text, param, 4 * PCN_BEAT_MS, UINT_MAX / 2);
}

static const struct kernel_param_ops hang_ms_ops = {
	.set = set_hang_ms,
	.get = param_get_uint,
};
module_param_cb(hang_ms, &hang_ms_ops, &pcn_hang_ms, 0644);
MODULE_PARM_DESC(hang_ms, "a CPU of a secondary without heartbeat for so long is hung (ms)");

static unsigned int boot_ms = 60000;
module_param(boot_ms, uint, 0644);
MODULE_PARM_DESC(boot_ms, "limit for a secondary to reach its init (ms)");

static unsigned int stop_ms = 30000;
module_param(stop_ms, uint, 0644);
MODULE_PARM_DESC(stop_ms, "limit for a secondary to power off when asked to (ms)");

static const char * const state_names[PCN_STATE_MAX] = {
	[PCN_OFFLINE]	= "offline",
	[PCN_LOADED]	= "loaded",
	[PCN_BOOTING]	= "booting",
	[PCN_RUNNING]	= "running",
	[PCN_STOPPING]	= "stopping",
	[PCN_FAILED]	= "failed",
};

static const char * const end_names[PCN_END_MAX] = {
	[PCN_END_NONE]		= "ended without a word",
	[PCN_END_POWEROFF]	= "poweroff",
	[PCN_END_HALT]		= "halt",
	[PCN_END_REBOOT]	= "reboot",
	[PCN_END_KEXEC]		= "kexec",
	[PCN_END_PANIC]		= "panic",
	[PCN_END_REFUSED]	= "refused",
};

/**
 * pcn_kernel_state_name - a state in words
 * @state:	the state
 *
 * Context: any.
 * Return: its name as in sysfs.
 */
const char *pcn_kernel_state_name(enum pcn_kernel_state state)
{
	return state < PCN_STATE_MAX ? state_names[state] : "?";
}

/**
 * pcn_kernel_op_begin - begin an operation on a kernel
 * @k:	the kernel
 *
 * Fail if a start or a stop is under way. Wait for anything else, which is soon over:
 * also for an operation that has shown its final state already, so that a caller
 * that has waited for that state is not turned away.
 *
 * Context: process.
 * Return: 0, to be followed by pcn_kernel_op_end(); -EBUSY when another one is under
 * way; -EINTR.
 */
int pcn_kernel_op_begin(struct pcn_kernel *k)
{
	enum pcn_kernel_state state;

	if (mutex_trylock(&k->op))
		return 0;
	state = READ_ONCE(k->state);
	if (state == PCN_BOOTING || state == PCN_STOPPING)
		return -EBUSY;
	return mutex_lock_interruptible(&k->op);
}

/**
 * pcn_kernel_op_end - end an operation on a kernel
 * @k:	the kernel
 *
 * Context: process, after pcn_kernel_op_begin().
 */
void pcn_kernel_op_end(struct pcn_kernel *k)
{
	mutex_unlock(&k->op);
}

/**
 * pcn_kernel_set_state - change the state of a kernel
 * @k:		the kernel
 * @state:	its new state
 *
 * Context: process, @k->op held.
 */
void pcn_kernel_set_state(struct pcn_kernel *k, enum pcn_kernel_state state)
{
	lockdep_assert_held(&k->op);
	WRITE_ONCE(k->state, state);
	sysfs_notify(&k->kobj, NULL, "state");
}

static void set_reason(struct pcn_kernel *k, const char *reason)
{
	lockdep_assert_held(&k->op);
	strscpy(k->reason, reason);
}

/* State of a kernel that is parked and had no fault. */
static enum pcn_kernel_state idle_state(const struct pcn_kernel *k)
{
	return k->image.kernel ? PCN_LOADED : PCN_OFFLINE;
}

/**
 * pcn_kernel_has_ended - has a kernel ended by itself, or is it found hung?
 * @k:	the kernel
 *
 * Context: any.
 */
bool pcn_kernel_has_ended(const struct pcn_kernel *k)
{
	/* Pairs with set_stage() in control_block.c. */
	if (smp_load_acquire(&k->area->control.stage) == PCN_STAGE_PARKED)
		return true;
	/* Pairs with found_hung(). */
	return smp_load_acquire(&k->hung_cpu) >= 0;
}

/*
 * What the secondary says of its end, or what the watch thread has found.
 * Everything in the control block may be garbage. Returns the state that the
 * end leads to.
 */
static enum pcn_kernel_state collect_end(struct pcn_kernel *k)
{
	unsigned int end = READ_ONCE(k->area->control.end);
	char text[PCN_REASON_MAX];

	pcn_copy_text(text, k->area->control.reason, sizeof(text));
	if (end >= PCN_END_MAX)
		end = PCN_END_NONE;
	if (end == PCN_END_NONE && k->hung_cpu >= 0) {
		snprintf(k->reason, sizeof(k->reason),
			 "hang: CPU %d without heartbeat for %u ms",
			 k->hung_cpu, k->hung_ms);
		return PCN_FAILED;
	}
	snprintf(k->reason, sizeof(k->reason), "%s%s%s", end_names[end],
		 text[0] ? ": " : "", text);
	if (end == PCN_END_NONE || end == PCN_END_PANIC || end == PCN_END_REFUSED)
		return PCN_FAILED;
	return idle_state(k);
}

static void cannot_fence(struct pcn_kernel *k)
{
	char before[sizeof(k->reason)];

	strscpy(before, k->reason);
	snprintf(k->reason, sizeof(k->reason),
		 "a CPU does not answer; its memory is not used again (%s)",
		 before);
}

static void (*attached_end)(unsigned int kid) __ro_after_init;

/**
 * pcn_attach_end - have a function called when a kernel has ended
 * @fn:	the function; called on the primary when the kernel's CPUs are parked, or could
 *	not be, and before any other kernel knows; in process context, may sleep
 *
 * There is one user, which never detaches.
 *
 * Context: initcall, before any kernel is started.
 */
void __init pcn_attach_end(void (*fn)(unsigned int kid))
{
	attached_end = fn;
}

static void tell_end(unsigned int kid)
{
	if (attached_end)
		attached_end(kid);
}

/*
 * Park the CPUs of @k and only then let it have @state. If they cannot be, its
 * peers have to know all the same: its lanes are closed to it from then on.
 */
static void kernel_finish_life(struct pcn_kernel *k, enum pcn_kernel_state state)
{
	int err = pcn_arch_fence(k);

	k->fenced = !err;
	if (err) {
		cannot_fence(k);
		state = PCN_FAILED;
	} else {
		pcn_mapper_forget(k->kid);
	}
	if (state == PCN_FAILED)
		pr_err("kernel %u (%s) failed: %s\n", k->kid, k->part.name,
		       k->reason);
	else if (k->state != PCN_FAILED)
		pr_info("kernel %u (%s) ended: %s\n", k->kid, k->part.name,
			k->reason);
	tell_end(k->kid);
	pcn_roster_remove(k);
	pcn_kernel_set_state(k, state);
}

/**
 * pcn_kernel_collect_end - if a running kernel has ended, collect it
 * @k:	the kernel
 *
 * Context: process, @k->op held.
 */
void pcn_kernel_collect_end(struct pcn_kernel *k)
{
	lockdep_assert_held(&k->op);
	if (k->state == PCN_RUNNING && pcn_kernel_has_ended(k))
		kernel_finish_life(k, collect_end(k));
}

/* A clean area for a new life. The secondary does not run. */
static void reset_area(struct pcn_kernel *k)
{
	struct pcn_control *c = &k->area->control;

	memset(c, 0, sizeof(*c));
	c->generation = ++k->generation;
	k->area->log.head = 0;
	k->reason[0] = '\0';
	pcn_watchdog_forget(k);
	pcn_roster_expect(k);
}

static bool boot_decided(const struct pcn_kernel *k)
{
	/* Pairs with set_stage() in control_block.c. */
	return smp_load_acquire(&k->area->control.stage) >= PCN_STAGE_RUNNING ||
	       atomic_read(&k->kill);
}

/*
 * Wait until @k has reached its init. On failure *state is what it becomes
 * when it has been fenced.
 */
static int wait_for_init(struct pcn_kernel *k, enum pcn_kernel_state *state)
{
	unsigned int limit = READ_ONCE(boot_ms);
	u32 stage;
	long left;

	left = wait_event_interruptible_timeout(k->wait, boot_decided(k),
						msecs_to_jiffies(limit));
	stage = READ_ONCE(k->area->control.stage);
	*state = idle_state(k);
	if (atomic_read(&k->kill)) {
		set_reason(k, "killed");
		return -EHOSTDOWN;
	}
	if (stage == PCN_STAGE_RUNNING)
		return 0;
	if (left < 0) {
		set_reason(k, "start was interrupted");
		return -EINTR;
	}
	*state = PCN_FAILED;
	if (left) {
		/* It is about to end: give it time to say why. */
		wait_event_timeout(k->wait, pcn_kernel_has_ended(k),
				   msecs_to_jiffies(PCN_ENDING_MS));
		*state = collect_end(k);
		return -EHOSTDOWN;
	}
	snprintf(k->reason, sizeof(k->reason), "boot: %s for %u ms",
		 stage == PCN_STAGE_NONE ? "no sign of life" : "init not reached",
		 limit);
	return -ETIMEDOUT;
}

/* What stands against a start, or 0. */
static int start_error(struct pcn_kernel *k)
{
	if (!k->image.kernel)
		return -ENODATA;
	if (!pcn_clock_is_tsc())
		return -ENODEV;
	if (k->state == PCN_RUNNING)
		return -EALREADY;
	if (!k->fenced && pcn_arch_fence(k))
		return -EIO;
	k->fenced = true;
	pcn_mapper_forget(k->kid);
	return 0;
}

static bool memory_is_free(const struct pcn_kernel *k)
{
	return !pcn_mappers_of(k->kid) || atomic_read(&k->kill);
}

/*
 * Threads on other kernels that use memory of the last life end, now that this has ended;
 * their kernels ring when they have unmapped it (mappers.c).
 */
static int wait_for_memory(struct pcn_kernel *k)
{
	unsigned int limit = READ_ONCE(boot_ms);
	u64 mappers;
	long left;

	left = wait_event_interruptible_timeout(k->wait, memory_is_free(k),
						msecs_to_jiffies(limit));
	mappers = pcn_mappers_of(k->kid);
	if (!mappers)
		return 0;
	if (left < 0)
		return -EINTR;
	if (atomic_read(&k->kill))
		return -EHOSTDOWN;
	pr_err("kernel %u (%s) is not started: its memory is mapped by kernels %*pbl\n",
	       k->kid, k->part.name, PCN_KERNELS_MAX, (unsigned long *)&mappers);
	return -EADDRINUSE;
}

/**
 * pcn_kernel_start - start a kernel and wait until it has reached its init
 * @k:	the kernel
 *
 * Context: process, @k->op held. May sleep long; interruptible.
 * Return: 0; -EALREADY it runs; -ENODATA nothing is loaded; -ENODEV the
 * primary's clocksource is not the TSC; -EIO a CPU does not answer; -EADDRINUSE
 * another kernel maps its memory; -ENOMEM, -ENOSPC the image cannot be placed;
 * -ETIMEDOUT, -EHOSTDOWN it did not come up, or was killed; -EINTR.
 */
int pcn_kernel_start(struct pcn_kernel *k)
{
	enum pcn_kernel_state before = k->state, state = PCN_FAILED;
	ktime_t begin = ktime_get();
	int err;

	lockdep_assert_held(&k->op);
	err = start_error(k);
	if (err)
		return err;
	/* Others do not wait for this. */
	pcn_kernel_set_state(k, PCN_BOOTING);
	err = wait_for_memory(k);
	if (err) {
		pcn_kernel_set_state(k, before);
		return err;
	}
	reset_area(k);
	err = pcn_arch_start(k);
	if (err)
		set_reason(k, err == -EIO ? "boot: a CPU does not start" :
					    "boot: the image cannot be placed");
	else
		err = wait_for_init(k, &state);
	if (err) {
		kernel_finish_life(k, state);
		return err;
	}
	k->boot_us = ktime_us_delta(ktime_get(), begin);
	pr_info("kernel %u (%s) runs\n", k->kid, k->part.name);
	pcn_kernel_set_state(k, PCN_RUNNING);
	return 0;
}

/**
 * pcn_kernel_ask_to_stop - ask a kernel to power off
 * @k:	the kernel
 *
 * Each call asks once more, for the secondary may have failed to obey the last one.
 *
 * Context: any, but one caller at a time for a kernel.
 */
void pcn_kernel_ask_to_stop(struct pcn_kernel *k)
{
	u32 *stops = &k->area->control.stops;

	WRITE_ONCE(*stops, READ_ONCE(*stops) + 1);
	pcn_arch_doorbell(k->apicid[0]);
}

static bool stop_decided(const struct pcn_kernel *k)
{
	return pcn_kernel_has_ended(k) || atomic_read(&k->kill);
}

/**
 * pcn_kernel_stop_limit - for how long to wait for a kernel that is to power off
 *
 * Context: any.
 * Return: jiffies.
 */
unsigned long pcn_kernel_stop_limit(void)
{
	return msecs_to_jiffies(READ_ONCE(stop_ms));
}

/**
 * pcn_kernel_stop - ask a kernel to power off and wait until it has
 * @k:	the kernel
 *
 * Context: as pcn_kernel_stop_within().
 * Return: as pcn_kernel_stop_within().
 */
int pcn_kernel_stop(struct pcn_kernel *k)
{
	return pcn_kernel_stop_within(k, pcn_kernel_stop_limit());
}

/**
 * pcn_kernel_stop_within - ask a kernel to power off and wait a while for it
 * @k:		the kernel
 * @limit:	jiffies; 0: it has been asked before, and had its time
 *
 * Context: process, @k->op held. May sleep long; interruptible.
 * Return: 0; -ESRCH it does not run; -EHOSTDOWN it panicked, hung or is being
 * killed; -ETIMEDOUT, -EINTR: it runs on, and may still follow the request.
 */
int pcn_kernel_stop_within(struct pcn_kernel *k, unsigned long limit)
{
	long left;

	lockdep_assert_held(&k->op);
	if (k->state != PCN_RUNNING)
		return -ESRCH;
	pcn_kernel_set_state(k, PCN_STOPPING);
	pcn_kernel_ask_to_stop(k);
	left = wait_event_interruptible_timeout(k->wait, stop_decided(k), limit);
	if (pcn_kernel_has_ended(k)) {
		kernel_finish_life(k, collect_end(k));
		return k->state == PCN_FAILED ? -EHOSTDOWN : 0;
	}
	pcn_kernel_set_state(k, PCN_RUNNING);
	if (atomic_read(&k->kill)) {
		set_reason(k, "killed");
		return -EHOSTDOWN;
	}
	return left < 0 ? -EINTR : -ETIMEDOUT;
}

/**
 * pcn_kernel_kill - park a kernel's CPUs, whatever they do
 * @k:	the kernel
 *
 * An operation that is under way gives up. Also takes the state failed back.
 *
 * Context: process, @k->op not held.
 * Return: 0; -ESRCH it does not run; -EINTR; -EIO a CPU does not answer.
 */
int pcn_kernel_kill(struct pcn_kernel *k)
{
	bool alive = READ_ONCE(k->state) >= PCN_BOOTING;
	int err;

	atomic_inc(&k->kill);
	wake_up_all(&k->wait);
	err = mutex_lock_interruptible(&k->op);
	atomic_dec(&k->kill);
	if (err)
		return err;
	if (k->state == PCN_RUNNING || k->state == PCN_FAILED) {
		if (k->state == PCN_RUNNING)
			set_reason(k, "killed");
		kernel_finish_life(k, idle_state(k));
		if (!k->fenced)
			err = -EIO;
	} else if (!alive) {
		err = -ESRCH;
	}
	pcn_kernel_op_end(k);
	return err;
}

/**
 * pcn_kernel_restart - stop a kernel if it runs, and start it from what is loaded
 * @k:	the kernel
 *
 * Context: process, @k->op held. May sleep long; interruptible.
 * Return: 0, or an error of pcn_kernel_stop() or pcn_kernel_start().
 */
int pcn_kernel_restart(struct pcn_kernel *k)
{
	int err;

	lockdep_assert_held(&k->op);
	err = start_error(k);
	if (err == -EALREADY)
		err = pcn_kernel_stop(k);
	return err ?: pcn_kernel_start(k);
}

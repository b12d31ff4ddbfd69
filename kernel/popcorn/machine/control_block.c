// SPDX-License-Identifier: GPL-2.0
/*
 * A secondary's side of its control block: what it tells the primary (how far
 * it has come, that its CPUs are alive, how it ended, its log) and what the
 * primary asks of it.
 *
 * The window is reached in three ways in the course of a boot:
 *
 *   __va()		before start_kernel(): the early page fault handler maps it
 *   early_memremap()	from setup_arch() on, when __va() covers only RAM
 *   memremap()		from init_IRQ() on, when page tables can be had
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/binfmts.h>
#include <linux/cpu.h>
#include <linux/hrtimer.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/panic_notifier.h>
#include <linux/percpu.h>
#include <linux/pid.h>
#include <linux/reboot.h>
#include <linux/utsname.h>
#include <linux/workqueue.h>

#include <asm/hw_irq.h>
#include <asm/popcorn.h>

#include <popcorn/control_block.h>
#include <popcorn/core.h>

#include "internal.h"

static struct pcn_area *area __ro_after_init;
static struct pcn_window *window __ro_after_init;
static u32 primary_apicid __ro_after_init;

/* What was last written to the control block. */
static enum pcn_stage stage;

static DEFINE_PER_CPU(struct hrtimer, beat_timer);

static u64 area_phys(void)
{
	return pcn_handoff()->window + PCN_AREA_OFFSET +
	       pcn_handoff()->kid * PCN_AREA_SIZE;
}

static void set_stage(enum pcn_stage now)
{
	WRITE_ONCE(stage, now);
	/* What belongs to the stage is written before it. */
	smp_store_release(&area->control.stage, now);
}

/**
 * pcn_secondary_entered - check the window and show the first sign of life
 *
 * Does not return when the window is not of this kernel's version.
 *
 * Context: before start_kernel().
 */
void __init pcn_secondary_entered(void)
{
	window = __va(pcn_handoff()->window);
	area = __va(area_phys());
	if (READ_ONCE(window->magic) == PCN_WINDOW_MAGIC &&
	    READ_ONCE(window->version) == PCN_WINDOW_VERSION) {
		primary_apicid = READ_ONCE(window->primary_apicid);
		strscpy(area->control.release, init_utsname()->release);
		set_stage(PCN_STAGE_ENTERED);
		return;
	}
	pcn_secondary_end(PCN_END_REFUSED, "window of another version");
	set_stage(PCN_STAGE_PARKED);
	for (;;)
		native_halt();
}

static int on_panic(struct notifier_block *nb, unsigned long action, void *text)
{
	pcn_secondary_end(PCN_END_PANIC, text);
	/* Nobody sits before this kernel: whatever was set, park at once. */
	panic_timeout = -1;
	return NOTIFY_DONE;
}

static struct notifier_block panic_notifier = {
	.notifier_call	= on_panic,
	.priority	= INT_MAX,
};

/**
 * pcn_secondary_map_window_early - keep the window in reach, and log into it
 *
 * In place of x86_init.oem.arch_setup.
 *
 * Context: setup_arch(), single threaded.
 */
void __init pcn_secondary_map_window_early(void)
{
	window = early_memremap(pcn_handoff()->window, PCN_AREA_OFFSET);
	area = early_memremap(area_phys(), PCN_AREA_SIZE);
	pcn_log_register_console(&area->log);
	atomic_notifier_chain_register(&panic_notifier_list, &panic_notifier);
}

/**
 * pcn_secondary_map_window - map the window for good
 *
 * In place of x86_init.irqs.pre_vector_init: the first time after vmalloc()
 * works, and interrupts are still off.
 *
 * Context: init_IRQ(), single threaded.
 */
void __init pcn_secondary_map_window(void)
{
	void *all = memremap(pcn_handoff()->window, pcn_handoff()->window_size,
			     MEMREMAP_WB);
	void *early_area = area, *early_window = window;

	if (!all)
		panic("cannot map the message window");
	window = all;
	area = all + PCN_AREA_OFFSET + pcn_handoff()->kid * PCN_AREA_SIZE;
	pcn_log_move(&area->log);
	early_memunmap(early_area, PCN_AREA_SIZE);
	early_memunmap(early_window, PCN_AREA_OFFSET);
}

/**
 * pcn_secondary_window - the window, mapped
 *
 * Context: any, from setup_arch() on; before init_IRQ() only its head.
 * Return: its address.
 */
struct pcn_window *pcn_secondary_window(void)
{
	return window;
}

/**
 * pcn_secondary_ending - tell the primary that this kernel is about to end
 *
 * From now on no CPU has to show that it is alive.
 *
 * Context: any.
 */
void pcn_secondary_ending(void)
{
	if (READ_ONCE(stage) < PCN_STAGE_ENDING)
		set_stage(PCN_STAGE_ENDING);
}

/**
 * pcn_secondary_end - tell the primary how this kernel ends
 * @end:	how
 * @reason:	why, in words, or NULL
 *
 * The first call counts: a panic stays one although it ends in a restart.
 *
 * Context: any.
 */
void pcn_secondary_end(enum pcn_end end, const char *reason)
{
	static atomic_t ended;

	if (atomic_xchg(&ended, 1))
		return;
	if (reason)
		strscpy(area->control.reason, reason);
	WRITE_ONCE(area->control.end, end);
	pcn_secondary_ending();
}

/**
 * pcn_call_primary - have the primary look at this secondary
 *
 * What it is to see is written before.
 *
 * Context: any.
 */
void pcn_call_primary(void)
{
	static atomic_t calls;

	/* Each call writes a number of its own: none looks like the last one. */
	WRITE_ONCE(window->attention[pcn_handoff()->kid],
		   atomic_inc_return(&calls));
	pcn_arch_doorbell(primary_apicid);
}

/**
 * pcn_secondary_parked - tell the primary that no CPU runs any more
 *
 * Context: any; the last thing that a secondary does.
 */
void pcn_secondary_parked(void)
{
	set_stage(PCN_STAGE_PARKED);
	pcn_call_primary();
}

static DEFINE_PER_CPU(u64, beats);

static enum hrtimer_restart heart_beat(struct hrtimer *timer)
{
	WRITE_ONCE(area->control.beat[smp_processor_id()],
		   this_cpu_inc_return(beats));
	hrtimer_forward_now(timer, ms_to_ktime(PCN_BEAT_MS));
	return HRTIMER_RESTART;
}

/* From hard interrupt context: a CPU with interrupts off is to be missed. */
static int start_beating(unsigned int cpu)
{
	struct hrtimer *timer = this_cpu_ptr(&beat_timer);

	hrtimer_init(timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	timer->function = heart_beat;
	hrtimer_start(timer, 0, HRTIMER_MODE_REL_PINNED_HARD);
	return 0;
}

static void power_off(struct work_struct *work)
{
	pr_notice("powering off: the primary asks for it\n");
	orderly_poweroff(true);
}

static DECLARE_WORK(power_off_work, power_off);

/* How often the primary has asked, as far as that was obeyed */
static atomic_t stops_obeyed;

/**
 * pcn_secondary_doorbell - a secondary was rung: has the primary a request?
 *
 * Messages ring it too, also while it powers off: each request is obeyed once.
 *
 * Context: hard interrupt.
 */
void pcn_secondary_doorbell(void)
{
	int stops = READ_ONCE(area->control.stops);

	if (stops != atomic_read(&stops_obeyed) &&
	    atomic_xchg(&stops_obeyed, stops) != stops)
		schedule_work(&power_off_work);
}

/*
 * Called before the loaders of programs. The first program of the first process
 * is init: until then its root file system may still be missing.
 */
static int on_exec(struct linux_binprm *bprm)
{
	if (is_global_init(current) &&
	    READ_ONCE(stage) == PCN_STAGE_ENTERED) {
		set_stage(PCN_STAGE_RUNNING);
		pcn_call_primary();
	}
	return -ENOEXEC;
}

static struct linux_binfmt exec_watch = { .load_binary = on_exec };

static int __init secondary_init(void)
{
	int err;

	if (!pcn_is_secondary())
		return 0;
	pr_info("this is kernel %u (%s), CPUs: %u\n", pcn_handoff()->kid,
		pcn_handoff()->name, pcn_handoff()->cpus);
	x86_platform_ipi_callback = pcn_on_doorbell;
	err = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "popcorn:beat",
				start_beating, NULL);
	if (err < 0)
		return err;
	/* A CPU that went offline could not be brought back. */
	cpu_hotplug_disable();
	insert_binfmt(&exec_watch);
	pcn_clock_follow(window);
	return 0;
}
device_initcall(secondary_init);

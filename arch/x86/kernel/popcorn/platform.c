// SPDX-License-Identifier: GPL-2.0
/*
 * The platform that a secondary runs on: some CPUs with their local APICs and
 * TSCs, some memory, and nothing else. No firmware, no legacy device, no PCI,
 * no IOAPIC, no clock but the TSC.
 *
 * x86_early_init_platform_quirks() comes here when the boot parameters carry
 * X86_SUBARCH_POPCORN. Everything that would reach for a device is replaced by
 * table, in the manner of arch/x86/kernel/jailhouse.c and
 * arch/x86/hyperv/hv_vtl.c. Every way in which a kernel ends leads to
 * pcn_park(): whatever is done to a secondary, the machine is not reset.
 */
#include <linux/clocksource.h>
#include <linux/cpu.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/reboot.h>
#include <linux/serial_8250.h>

#include <asm/acpi.h>
#include <asm/apic.h>
#include <asm/i8259.h>
#include <asm/io_apic.h>
#include <asm/pci_x86.h>
#include <asm/popcorn.h>
#include <asm/realmode.h>
#include <asm/reboot.h>
#include <asm/set_memory.h>
#include <asm/setup.h>
#include <asm/tsc.h>
#include <asm/x86_init.h>

#include <popcorn/control_block.h>
#include <popcorn/hooks.h>

bool pcn_secondary __ro_after_init;

static struct pcn_handoff handoff __ro_after_init;

/* do_boot_cpu() reads a start address out of it, which is not used. */
static struct real_mode_header no_real_mode_header;

/**
 * pcn_handoff - what the primary has told this kernel
 *
 * Context: any, from x86_early_init_platform_quirks() on.
 * Return: the hand-off, or NULL if this kernel is not a secondary.
 */
const struct pcn_handoff *pcn_handoff(void)
{
	return pcn_secondary ? &handoff : NULL;
}

/* Why the hand-off @h cannot be used, or NULL. */
static const char * __init handoff_fault(const struct pcn_handoff *h)
{
	if (h->magic != PCN_HANDOFF_MAGIC)
		return "no hand-off";
	if (h->version != PCN_HANDOFF_VERSION || h->length != sizeof(*h))
		return "hand-off of another version";
	if (!h->kid || h->kid >= PCN_KERNELS_MAX || !h->cpus ||
	    h->cpus > PCN_CPUS_PER_KERNEL)
		return "hand-off out of range";
	return NULL;
}

/*
 * Nothing is mapped yet but what the early page fault handler maps on touch,
 * so __va() serves, and early_memremap() does not.
 */
static const char * __init read_handoff(void)
{
	u64 at = boot_params.hdr.setup_data;
	const struct setup_data *data;

	for (; at; at = data->next) {
		data = __va(at);
		if (data->type != SETUP_POPCORN)
			continue;
		if (data->len < sizeof(handoff))
			break;
		memcpy(&handoff, data->data, sizeof(handoff));
		return handoff_fault(&handoff);
	}
	return "no hand-off";
}

/* The last thing that a CPU of a secondary does. */
static void __noreturn pcn_park(enum pcn_end end)
{
	local_irq_disable();
	/* Of several CPUs the first to come says how it ended. */
	pcn_secondary_end(end, NULL);
	smp_send_stop();
	pcn_secondary_parked();
	for (;;)
		native_halt();
}

static void pcn_restart_machine(char *command)
{
	pcn_park(PCN_END_REBOOT);
}

static void pcn_emergency_restart(void)
{
	pcn_park(PCN_END_REBOOT);
}

static void pcn_halt_machine(void)
{
	pcn_park(PCN_END_HALT);
}

static void pcn_power_off(void)
{
	pcn_park(PCN_END_POWEROFF);
}

/* Called on its own only on the way into another kernel by kexec. */
static void pcn_shutdown(void)
{
	pcn_park(PCN_END_KEXEC);
}

static void __maybe_unused pcn_crash_shutdown(struct pt_regs *regs)
{
	pcn_park(PCN_END_PANIC);
}

static void (*original_stop_other_cpus)(int wait) __ro_after_init;

/*
 * The first thing that panic() does, and it may take seconds if another CPU
 * has its interrupts off: without a word before, this would look like a hang.
 */
static void pcn_stop_other_cpus(int wait)
{
	pcn_secondary_ending();
	original_stop_other_cpus(wait);
}

static void __init set_machine_ops(void)
{
	original_stop_other_cpus	= smp_ops.stop_other_cpus;
	smp_ops.stop_other_cpus		= pcn_stop_other_cpus;
	/* Without it a poweroff turns into a halt. */
	pm_power_off			= pcn_power_off;
	machine_ops.restart		= pcn_restart_machine;
	machine_ops.emergency_restart	= pcn_emergency_restart;
	machine_ops.halt		= pcn_halt_machine;
	machine_ops.power_off		= pcn_power_off;
	machine_ops.shutdown		= pcn_shutdown;
#ifdef CONFIG_CRASH_DUMP
	machine_ops.crash_shutdown	= pcn_crash_shutdown;
#endif
}

static unsigned long tsc_khz_handed_over(void)
{
	return handoff.tsc_khz;
}

/*
 * The only timer is that of the local APIC. Its rate is the primary's; where
 * the primary uses the TSC deadline and has not measured it, so does this
 * kernel.
 */
static void __init timer_init(void)
{
	lapic_timer_period = div_u64((u64)handoff.lapic_period *
				     handoff.lapic_hz, HZ);
	/* udelay() counts TSC cycles: nothing to measure on any CPU. */
	preset_lpj = div_u64((u64)handoff.tsc_khz * 1000, HZ);
}

static unsigned char no_nmi_reason(void)
{
	return 0;	/* the default reads port 0x61 */
}

/* Send the CPU at @mailbox to where CPUs come from the real-mode trampoline. */
static int post_entry(struct pcn_mailbox *mailbox, pgd_t *top)
{
	/* Gone: it was sent into the kernel before. Empty: it never arrived. */
	if (READ_ONCE(mailbox->state) != PCN_MAILBOX_WAITING)
		return -EIO;
	/* It runs on the tables of the boot area: let these map the kernel too. */
	top[PTRS_PER_PGD - 1] = init_top_pgt[PTRS_PER_PGD - 1];
	/* The CPU walks the tables only when it has seen the entry. */
	smp_store_release(&mailbox->entry, (u64)secondary_startup_64);
	return 0;
}

/* The boot area is not RAM to this kernel, so it is mapped when needed. */
static int wake_cpu(u32 apicid, unsigned long start_eip)
{
	void *area;
	unsigned int i;
	int err;

	for (i = 0; i < handoff.cpus; i++)
		if (handoff.apicid[i] == apicid)
			break;
	if (i == handoff.cpus)
		return -EINVAL;
	area = memremap(handoff.boot_area, PCN_BOOT_SIZE, MEMREMAP_WB);
	if (!area)
		return -ENOMEM;
	err = post_entry(area + PCN_BOOT_MAILBOX + (i << PCN_MAILBOX_SHIFT),
			 area + PCN_BOOT_TABLES);
	memunmap(area);
	return err;
}

static void __init parse_smp_cfg(void)
{
	unsigned int i;

	if (handoff.flags & PCN_HANDOFF_X2APIC && x2apic_enabled()) {
#ifdef CONFIG_X86_X2APIC
		/* No interrupt remapping here: physical destinations. */
		x2apic_phys = 1;
		default_acpi_madt_oem_check("", "");
#endif
	}
	register_lapic_address(handoff.lapic);
	for (i = 0; i < handoff.cpus; i++)
		topology_register_apic(handoff.apicid[i], CPU_ACPIID_INVALID, true);
	smp_found_config = 1;
	real_mode_header = &no_real_mode_header;
	apic_update_callback(wakeup_secondary_cpu_64, wake_cpu);
}

static int __init no_pci(void)
{
	return 0;
}

static bool __init x2apic_available(void)
{
	return x2apic_enabled();
}

/*
 * Without interrupt remapping, CPUs are limited to the APIC ids that MSIs reach: 255
 * unless a hypervisor has more bits. Here nothing sends MSIs, and IPIs reach all.
 */
static bool __init all_ids_are_reached(void)
{
	return x2apic_enabled();
}

/* No port of the ISA UARTs is this kernel's. */
static void __maybe_unused no_serial_port(int port, struct uart_port *up,
					   u32 *capabilities)
{
	up->iobase = 0;
}

static void __init set_x86_init(void)
{
	x86_init.resources.probe_roms		= x86_init_noop;
	x86_init.resources.reserve_resources	= x86_init_noop;
	x86_init.resources.dmi_setup		= x86_init_noop;
	x86_init.mpparse.find_mptable		= x86_init_noop;
	x86_init.mpparse.early_parse_smp_cfg	= x86_init_noop;
	x86_init.mpparse.parse_smp_cfg		= parse_smp_cfg;
	x86_init.irqs.pre_vector_init		= pcn_secondary_map_window;
	x86_init.oem.arch_setup			= pcn_secondary_map_window_early;
	x86_init.timers.timer_init		= timer_init;
	x86_init.timers.wallclock_init		= x86_init_noop;
	x86_init.pci.arch_init			= no_pci;
	x86_init.hyper.x2apic_available		= x2apic_available;
	x86_init.hyper.msi_ext_dest_id		= all_ids_are_reached;
	x86_cpuinit.parallel_bringup		= false;
}

static void __init set_x86_platform(void)
{
	x86_platform.realmode_reserve		= x86_init_noop;
	x86_platform.realmode_init		= x86_init_noop;
	x86_platform.calibrate_cpu		= tsc_khz_handed_over;
	x86_platform.calibrate_tsc		= tsc_khz_handed_over;
	x86_platform.get_wallclock		= get_rtc_noop;
	x86_platform.set_wallclock		= set_rtc_noop;
	x86_platform.get_nmi_reason		= no_nmi_reason;
	x86_platform.legacy.i8042		= X86_LEGACY_I8042_PLATFORM_ABSENT;
	x86_platform.legacy.rtc			= 0;
	x86_platform.legacy.warm_reset		= 0;
	x86_platform.legacy.reserve_bios_regions = 0;
	x86_platform.legacy.devices.pnpbios	= 0;
}

static void __init disable_devices(void)
{
	legacy_pic = &null_legacy_pic;
	disable_acpi();
#ifdef CONFIG_PCI
	pci_probe = 0;
#endif
#ifdef CONFIG_SERIAL_8250
	serial8250_set_isa_configurator(no_serial_port);
#endif
	/* They would block INIT, by which the primary parks this kernel. */
	setup_clear_cpu_cap(X86_FEATURE_VMX);
	setup_clear_cpu_cap(X86_FEATURE_SVM);
	setup_force_cpu_cap(X86_FEATURE_TSC_KNOWN_FREQ);
}

/**
 * pcn_secondary_early_init - become a secondary
 *
 * A kernel that was entered with X86_SUBARCH_POPCORN and without a hand-off
 * that it understands has nothing that it may touch, not even to complain:
 * it halts, and the primary finds that there was no sign of life.
 *
 * Context: before start_kernel().
 */
void __init pcn_secondary_early_init(void)
{
	if (read_handoff())
		for (;;)
			native_halt();
	pcn_secondary = true;
	pcn_shared_machine = true;
	set_machine_ops();
	set_x86_init();
	set_x86_platform();
	disable_devices();
	pcn_secondary_entered();
}

/*
 * Every x86 kernel has the first MiB in its direct map, whatever is there: here it
 * is the primary's. Nothing of this kernel is looked for in it any more.
 */
static int __init unmap_first_mib(void)
{
	if (!pcn_is_secondary())
		return 0;
	return set_memory_np((unsigned long)__va(0), SZ_1M >> PAGE_SHIFT);
}
late_initcall(unmap_first_mib);

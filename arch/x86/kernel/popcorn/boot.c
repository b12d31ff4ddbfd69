// SPDX-License-Identifier: GPL-2.0
/*
 * Carving the partitions out of the primary's machine while it boots.
 *
 * Each step has to wait for what it needs and be done before it is too late:
 *
 *   early parameters	parse only: mem= and memmap= may still follow
 *   probe_roms		the e820 map is final and max_pfn is not computed yet:
 *			take memory away. It becomes RESERVED, not a hole: PCI
 *			resources are placed into holes
 *   realmode_reserve	the last time that memory below 1 MiB can be had: take
 *			the trampoline's page
 *   MADT parsing	a CPU that is given away is never registered. Registered
 *			as disabled it could be onlined, that is, be sent INIT
 *			while another kernel runs on it
 *   parse_smp_cfg	all CPUs are known: refuse kernels that were promised
 *			CPUs which are not there, and take their others back
 *
 * A kernel that is refused after its memory was taken does not give it back:
 * the e820 map is in use by then.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/acpi.h>
#include <linux/init.h>
#include <linux/ioport.h>
#include <linux/memblock.h>

#include <asm/apic.h>
#include <asm/e820/api.h>
#include <asm/popcorn.h>
#include <asm/processor.h>
#include <asm/sections.h>
#include <asm/setup.h>
#include <asm/x86_init.h>

#include <popcorn/hooks.h>
#include <popcorn/window_layout.h>
#include <popcorn/partition.h>

#include "arch.h"

/* Memory that the primary keeps whatever is asked for. */
#define PRIMARY_MEM_MIN		SZ_128M

bool pcn_shared_machine __ro_after_init;

/* Physical address of the trampoline's page; 0 if there is none. */
phys_addr_t pcn_trampoline_page __ro_after_init;

static struct pcn_partitions parts __ro_after_init;
static u64 window_start __ro_after_init;
static u64 window_size __ro_after_init;
static u64 check_size __ro_after_init;

/* The CPUs of the whole machine in firmware order, the boot CPU first. */
static struct {
	u32	apicid;
	u32	acpiid;
} machine_cpu[PCN_CPU_LIMIT] __ro_after_init;
static unsigned int machine_cpus __ro_after_init;

static void (*original_probe_roms)(void) __initdata;
static void (*original_realmode_reserve)(void) __initdata;
static void (*original_parse_smp_cfg)(void) __initdata;

static void __init carve_machine(void);
static void __init take_trampoline_page(void);
static void __init check_cpus(void);

static void __init install_hooks(void)
{
	if (original_probe_roms)
		return;
	original_probe_roms = x86_init.resources.probe_roms;
	x86_init.resources.probe_roms = carve_machine;
	original_realmode_reserve = x86_platform.realmode_reserve;
	x86_platform.realmode_reserve = take_trampoline_page;
	original_parse_smp_cfg = x86_init.mpparse.parse_smp_cfg;
	x86_init.mpparse.parse_smp_cfg = check_cpus;
}

/* Is @arg the end of a command line that did not fit its buffer? */
static bool __init cut_off(const char *arg)
{
	size_t all = strnlen(boot_command_line, COMMAND_LINE_SIZE);
	size_t len = strlen(arg);

	return all >= COMMAND_LINE_SIZE - 1 && len < all &&
	       !strncmp(boot_command_line + COMMAND_LINE_SIZE - 1 - len, arg, len);
}

static int __init popcorn_kernel_param(char *arg)
{
	char fault[PCN_FAULT_MAX] = "no value";

	if (pcn_is_secondary()) {
		pr_err("popcorn_kernel= ignored: only the primary divides the machine\n");
		return 0;
	}
	if (arg && cut_off(arg))
		strscpy(fault, "the command line was cut off here");
	else if (arg && !pcn_partitions_add(&parts, arg, fault)) {
		install_hooks();
		return 0;
	}
	pr_err("popcorn_kernel=%s refused: %s\n", arg ?: "", fault);
	return 0;
}
early_param("popcorn_kernel", popcorn_kernel_param);

static int __init popcorn_window_param(char *arg)
{
	char *end = arg;

	if (arg)
		window_size = ALIGN(memparse(arg, &end), PCN_MEM_ALIGN);
	if (!arg || *end || !window_size) {
		pr_err("popcorn_window=%s refused: not a size\n", arg ?: "");
		window_size = 0;
	}
	return 0;
}
early_param("popcorn_window", popcorn_window_param);

/* arch/x86/boot/compressed/popcorn.h has to agree. */
static int __init popcorn_check_param(char *arg)
{
	if (IS_ENABLED(CONFIG_POPCORN_CHECK) && arg && !strcmp(arg, "1"))
		check_size = PCN_CHECK_SIZE;
	return 0;
}
early_param("popcorn_check", popcorn_check_param);

/* Undefine a kernel, saying why. */
static void __printf(2, 3) __init refuse(unsigned int kid, const char *fmt, ...)
{
	struct va_format vaf;
	va_list args;

	va_start(args, fmt);
	vaf.fmt = fmt;
	vaf.va = &args;
	pr_err("popcorn_kernel=%u (%s) refused: %pV\n", kid,
	       parts.kernel[kid].name, &vaf);
	va_end(args);
	parts.defined &= ~BIT_ULL(kid);
}

/*
 * Does anything that is in use already overlap [start, start + size)? Then
 * *conflict is the lowest address of one such thing.
 *
 * The kernel's brk area is reserved only later than this, hence _end.
 */
static bool __init in_use(u64 start, u64 size, u64 *conflict)
{
	phys_addr_t from, to;
	u64 i;

	*conflict = __pa_symbol(_text);
	if (*conflict < start + size && start < __pa_symbol(_end))
		return true;
	for_each_reserved_mem_range(i, &from, &to) {
		*conflict = from;
		if (from < start + size && start < to)
			return true;
	}
	return false;
}

/*
 * The highest free range of @size bytes in the RAM of one e820 entry that
 * begins at a multiple of @align, or 0.
 */
static u64 __init find_in(const struct e820_entry *entry, u64 size, u64 align)
{
	u64 lowest = max_t(u64, entry->addr, PCN_MEM_LOWEST);
	u64 end = entry->addr + entry->size;
	u64 start;

	if (entry->type != E820_TYPE_RAM)
		return 0;
	while (end >= lowest + size) {
		start = round_down(end - size, align);
		if (start < lowest)
			break;
		if (!in_use(start, size, &end))
			return start;
	}
	return 0;
}

static u64 __init find_aligned(u64 size, u64 align)
{
	int i = e820_table->nr_entries;
	u64 start = 0;

	while (!start && i--)
		start = find_in(&e820_table->entries[i], size, align);
	return start;
}

/*
 * A kernel keeps its page structs in sections: those of a section that it has
 * only in part are made, and take memory, for nothing.
 */
static u64 __init find_from_top(u64 size)
{
	u64 start = 0;

	if (IS_ALIGNED(size, BIT_ULL(SECTION_SIZE_BITS)))
		start = find_aligned(size, BIT_ULL(SECTION_SIZE_BITS));
	return start ?: find_aligned(size, PCN_MEM_ALIGN);
}

static u64 __init ram_left(void)
{
	u64 sum = 0;
	int i;

	for (i = 0; i < e820_table->nr_entries; i++)
		if (e820_table->entries[i].type == E820_TYPE_RAM)
			sum += e820_table->entries[i].size;
	return sum;
}

static bool __init is_affordable(u64 size)
{
	u64 left = ram_left();

	return left >= size && left - size >= PRIMARY_MEM_MIN;
}

/* The update appends what it splits off: find_from_top() wants it sorted. */
static void __init reserve_partition(u64 start, u64 size)
{
	e820__range_update(start, size, E820_TYPE_RAM, E820_TYPE_RESERVED);
	e820__update_table(e820_table);
}

static void __init carve_explicit(unsigned int kid)
{
	struct pcn_partition *p = &parts.kernel[kid];
	u64 conflict;

	if (!e820__mapped_all(p->start, p->start + p->size, E820_TYPE_RAM))
		refuse(kid, "[mem %#llx-%#llx] is not all RAM",
		       p->start, p->start + p->size - 1);
	else if (in_use(p->start, p->size, &conflict))
		refuse(kid, "[mem %#llx-%#llx] is in use at %#llx (kernel, initrd or firmware)",
		       p->start, p->start + p->size - 1, conflict);
	else if (!is_affordable(p->size))
		refuse(kid, "too little memory would be left for the primary");
	else
		reserve_partition(p->start, p->size);
}

static void __init carve_anywhere(unsigned int kid)
{
	struct pcn_partition *p = &parts.kernel[kid];

	p->start = is_affordable(p->size) ? find_from_top(p->size) : 0;
	if (!p->start)
		refuse(kid, "no room for %llu MiB of memory", p->size / SZ_1M);
	else
		reserve_partition(p->start, p->size);
}

static void __init carve_window(void)
{
	unsigned int kid = fls64(parts.defined);
	unsigned int kernels = hweight64(parts.defined) + 1;
	struct pcn_window_layout layout = window_size ?
		pcn_window_least_layout(kid, kernels) :
		pcn_window_default_layout(kid, kernels);
	u64 needed = ALIGN(pcn_window_layout_size(&layout), PCN_MEM_ALIGN);

	if (window_size && window_size < needed)
		pr_err("popcorn_window= is too small, %llu MiB are needed and used\n",
		       needed / SZ_1M);
	window_size = max(window_size, needed) + check_size;
	window_start = is_affordable(window_size) ? find_from_top(window_size) : 0;
	if (window_start) {
		reserve_partition(window_start, window_size);
		return;
	}
	for_each_kernel(kid, parts.defined)
		refuse(kid, "no room for a window of %llu MiB%s",
		       window_size / SZ_1M,
		       parts.kernel[kid].start == PCN_MEM_ANYWHERE ? "" :
		       "; its memory stays reserved");
}

/* In place of probe_roms: explicit starts first, the window, then the others. */
static void __init carve_machine(void)
{
	unsigned int kid;

	original_probe_roms();
	for_each_kernel(kid, parts.defined)
		if (parts.kernel[kid].start != PCN_MEM_ANYWHERE)
			carve_explicit(kid);
	if (parts.defined)
		carve_window();
	for_each_kernel(kid, parts.defined)
		if (parts.kernel[kid].start == PCN_MEM_ANYWHERE)
			carve_anywhere(kid);
	pcn_shared_machine = parts.defined;
}

static void __init take_trampoline_page(void)
{
	unsigned int kid;

	if (parts.defined)
		pcn_trampoline_page = memblock_phys_alloc_range(PAGE_SIZE,
						PAGE_SIZE, PAGE_SIZE, SZ_1M);
	if (!pcn_trampoline_page)
		for_each_kernel(kid, parts.defined)
			refuse(kid, "no page below 1 MiB; its memory stays reserved");
	original_realmode_reserve();
}

/* The machine's number of a CPU, a new one if it has not been met before. */
static unsigned int __init machine_cpu_number(u32 apicid, u32 acpiid)
{
	unsigned int cpu;

	if (!machine_cpus)
		machine_cpu[machine_cpus++].apicid = cpuid_to_apicid[0];
	for (cpu = 0; cpu < machine_cpus; cpu++)
		if (machine_cpu[cpu].apicid == apicid)
			return cpu;
	if (machine_cpus < PCN_CPU_LIMIT) {
		machine_cpu[cpu].apicid = apicid;
		machine_cpu[cpu].acpiid = acpiid;
		machine_cpus++;
	}
	return cpu;
}

/**
 * pcn_reject_apic - does this CPU belong to a secondary?
 * @apic_id:	physical APIC id from the firmware's tables
 * @acpi_id:	its ACPI id
 * @present:	the CPU is there
 *
 * Called for every CPU that firmware announces, in its order, which is where
 * the numbers of the whole machine's CPUs come from.
 *
 * Context: setup_arch(), single threaded.
 * Return: true if the primary must not register it.
 */
bool __init pcn_reject_apic(u32 apic_id, u32 acpi_id, bool present)
{
	unsigned int kid, cpu;

	if (!present || pcn_is_secondary())
		return false;
	cpu = machine_cpu_number(apic_id, acpi_id);
	for_each_kernel(kid, parts.defined)
		if (cpu < PCN_CPU_LIMIT && test_bit(cpu, parts.kernel[kid].cpus))
			return true;
	return false;
}

/* 0 or a description of what is wrong with the CPUs of @kid. */
static const char * __init cpu_fault(unsigned int kid, unsigned int *cpu)
{
	for_each_set_bit(*cpu, parts.kernel[kid].cpus, PCN_CPU_LIMIT) {
		if (*cpu >= machine_cpus)
			return "is not there";
		/* 0xff is the broadcast address of the xAPIC. */
		if (!x2apic_enabled() && machine_cpu[*cpu].apicid >= 0xff)
			return "cannot be reached without x2APIC";
	}
	return NULL;
}

/* A refused kernel's CPUs that do exist go to the primary after all. */
static void __init take_cpus_back(unsigned int kid)
{
	unsigned int cpu;

	for_each_set_bit(cpu, parts.kernel[kid].cpus, PCN_CPU_LIMIT)
		if (cpu < machine_cpus)
			topology_register_apic(machine_cpu[cpu].apicid,
					       machine_cpu[cpu].acpiid, true);
}

/* In place of parse_smp_cfg: every CPU has been announced by now. */
static void __init check_cpus(void)
{
	unsigned int kid, cpu;
	const char *fault;

	original_parse_smp_cfg();
	/* Number the boot CPU even where firmware has no tables. */
	machine_cpu_number(cpuid_to_apicid[0], CPU_ACPIID_INVALID);
	for_each_kernel(kid, parts.defined) {
		fault = cpu_fault(kid, &cpu);
		if (!fault)
			continue;
		refuse(kid, "CPU %u %s (the machine has %u); its memory stays reserved",
		       cpu, fault, machine_cpus);
		take_cpus_back(kid);
	}
}

/**
 * pcn_arch_partitions - what was carved out
 *
 * Context: any, once setup_arch() is through.
 * Return: the partitions; their starts are real ones now.
 */
const struct pcn_partitions *pcn_arch_partitions(void)
{
	return &parts;
}

/**
 * pcn_arch_machine_cpus - CPUs of the whole machine
 *
 * Context: any, once setup_arch() is through.
 * Return: their number; they are numbered from 0.
 */
unsigned int pcn_arch_machine_cpus(void)
{
	return machine_cpus;
}

/**
 * pcn_arch_cpu_apicid - how to address a CPU of the whole machine
 * @cpu:	its number, below pcn_arch_machine_cpus()
 *
 * Context: any, once setup_arch() is through.
 * Return: the physical APIC id.
 */
u32 pcn_arch_cpu_apicid(unsigned int cpu)
{
	return machine_cpu[cpu].apicid;
}

/**
 * pcn_arch_window - where the window is
 * @size:	receives its size in bytes
 *
 * Context: any, once setup_arch() is through.
 * Return: its physical address, 0 if there is none.
 */
u64 pcn_arch_window(u64 *size)
{
	const struct pcn_handoff *handoff = pcn_handoff();

	*size = handoff ? handoff->window_size : window_size;
	return handoff ? handoff->window : window_start;
}

/**
 * pcn_arch_window_check - the part of the window that popcorn_check=1 asks for
 *
 * Context: any, once setup_arch() is through; on the primary.
 * Return: bytes at its end, 0 if nothing was asked for.
 */
u64 pcn_arch_window_check(void)
{
	return check_size;
}

/**
 * pcn_arch_memory_end - the end of what this kernel's CPUs can address
 *
 * Context: any, once setup_arch() is through.
 * Return: the first physical address that is too high.
 */
u64 pcn_arch_memory_end(void)
{
	return BIT_ULL(boot_cpu_data.x86_phys_bits);
}

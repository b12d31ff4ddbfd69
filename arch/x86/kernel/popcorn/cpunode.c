// SPDX-License-Identifier: GPL-2.0
/*
 * Numbers of CPUs on x86: what this kernel's CPUs are called on the whole machine,
 * and what a CPU tells programs of its number.
 */
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/smp.h>
#include <linux/topology.h>

#include <asm/apic.h>
#include <asm/cpufeature.h>
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/popcorn.h>
#include <asm/segment.h>

#include <popcorn/cpus.h>
#include <popcorn/hooks.h>

static_assert(PCN_CPU_LIMIT - 1 <= VDSO_CPUNODE_MASK);

static int find_handed_over(const struct pcn_handoff *h, u32 apicid)
{
	unsigned int i;

	for (i = 0; i < h->cpus; i++)
		if (h->apicid[i] == apicid)
			return h->cpu[i];
	return -ENOENT;
}

static int find_announced(u32 apicid)
{
	unsigned int number;

	for (number = 0; number < pcn_arch_machine_cpus(); number++)
		if (pcn_arch_cpu_apicid(number) == apicid)
			return number;
	return -ENOENT;
}

/**
 * pcn_arch_cpu_number - the number of a CPU on the whole machine
 * @cpu:	its number on this kernel
 *
 * Context: any, once setup_arch() is through.
 * Return: the number, in firmware order; -ENOENT it has none.
 */
int pcn_arch_cpu_number(unsigned int cpu)
{
	if (cpuid_to_apicid[cpu] == BAD_APICID)
		return -ENOENT;
	if (pcn_is_secondary())
		return find_handed_over(pcn_handoff(), cpuid_to_apicid[cpu]);
	return find_announced(cpuid_to_apicid[cpu]);
}

/**
 * pcn_arch_cpu_tell - have this CPU tell programs a number, as that of the CPU
 * @number:	the number
 *
 * It is where setup_getcpu() puts it, for the vDSO and for RDTSCP, RDPID and LSL in
 * programs. The kernel itself goes by the other segment.
 *
 * Context: preemption is off.
 */
void pcn_arch_cpu_tell(unsigned int number)
{
	unsigned int cpu = smp_processor_id();
	unsigned long data = vdso_encode_cpunode(number, cpu_to_node(cpu));
	struct desc_struct *gdt = get_cpu_gdt_rw(cpu);
	struct desc_struct d = gdt[GDT_ENTRY_CPUNODE];

	d.limit0 = data;
	d.limit1 = data >> 16;
	write_gdt_entry(gdt, GDT_ENTRY_CPUNODE, &d, DESCTYPE_S);
	if (boot_cpu_has(X86_FEATURE_RDTSCP) || boot_cpu_has(X86_FEATURE_RDPID))
		wrmsr(MSR_TSC_AUX, data, 0);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Which number each CPU of this kernel has on the whole machine, and which kernel
 * each number of the machine belongs to. The primary knows from its partitions and
 * writes it into the window; both are constant.
 */
#include <linux/bitmap.h>
#include <linux/cpumask.h>
#include <linux/init.h>
#include <linux/string.h>

#include <popcorn/core.h>
#include <popcorn/cpus.h>
#include <popcorn/window.h>

#include "internal.h"

/* No number */
#define NONE	U16_MAX

static u16 number_of[NR_CPUS] __ro_after_init;
static u8 owner_of[PCN_CPU_LIMIT] __ro_after_init;
static unsigned int limit __ro_after_init;

/* The kernel that a number belongs to; -1: none. */
static int kernel_of(unsigned int number)
{
	return owner_of[number] - 1;
}

/* Into the window, before any secondary has been started. */
static void __init cpus_publish(struct pcn_window *w)
{
	unsigned int kid, number;

	for (kid = 0; kid < PCN_KERNELS_MAX; kid++) {
		if (!pcn_kernel_find(kid))
			continue;
		for_each_set_bit(number, pcn_kernel_find(kid)->part.cpus,
				 PCN_CPU_LIMIT)
			w->owner[number] = kid + 1;
	}
}

/**
 * pcn_cpus_init - learn the numbers
 *
 * Context: initcall, when the window is there; the primary: and all kernels are
 * known.
 */
void __init pcn_cpus_init(void)
{
	unsigned int cpu, number;
	int found;
	u8 owner;

	if (!pcn_is_secondary())
		cpus_publish(pcn_window());
	for (number = 0; number < PCN_CPU_LIMIT; number++) {
		owner = READ_ONCE(pcn_window()->owner[number]);
		owner_of[number] = owner <= PCN_KERNELS_MAX ? owner : 0;
		if (owner_of[number])
			limit = number + 1;
	}
	memset16(number_of, NONE, ARRAY_SIZE(number_of));
	for_each_possible_cpu(cpu) {
		found = pcn_arch_cpu_number(cpu);
		if (found >= 0 && found < PCN_CPU_LIMIT)
			number_of[cpu] = found;
	}
}

/**
 * pcn_cpus_limit - the machine's highest CPU number, plus one
 *
 * Context: any.
 * Return: the first number that no CPU has.
 */
unsigned int pcn_cpus_limit(void)
{
	return limit;
}

/**
 * pcn_cpu_number - the machine's number of a CPU
 * @cpu:	this kernel's number of it
 *
 * Context: any.
 * Return: the number; @cpu if the machine has none for it.
 */
unsigned int pcn_cpu_number(unsigned int cpu)
{
	return number_of[cpu] == NONE ? cpu : number_of[cpu];
}

/**
 * pcn_cpus_of - the CPUs of some kernels
 * @machine:	receives the machine's numbers
 * @kernels:	a bit for each kernel; that of this one stands for @own
 * @own:	CPUs of this kernel
 *
 * Context: any.
 */
void pcn_cpus_of(unsigned long *machine, u64 kernels, const struct cpumask *own)
{
	u64 others = kernels & ~BIT_ULL(pcn_self());
	unsigned int number, cpu;

	bitmap_zero(machine, PCN_CPU_LIMIT);
	for (number = 0; number < limit; number++)
		if (kernel_of(number) >= 0 && others & BIT_ULL(kernel_of(number)))
			__set_bit(number, machine);
	if (others == kernels)
		return;
	for_each_cpu(cpu, own)
		if (number_of[cpu] != NONE)
			__set_bit(number_of[cpu], machine);
}

/**
 * pcn_cpus_to_own - those CPUs of a set that are this kernel's
 * @own:	receives them
 * @machine:	the set
 *
 * Context: any.
 */
void pcn_cpus_to_own(struct cpumask *own, const unsigned long *machine)
{
	unsigned int cpu;

	cpumask_clear(own);
	for_each_possible_cpu(cpu)
		if (number_of[cpu] != NONE && test_bit(number_of[cpu], machine))
			cpumask_set_cpu(cpu, own);
}

/**
 * pcn_cpus_touch - has a set a CPU of a kernel?
 * @machine:	the set
 * @kid:	the kernel
 *
 * Context: any.
 */
bool pcn_cpus_touch(const unsigned long *machine, unsigned int kid)
{
	unsigned int number;

	for_each_set_bit(number, machine, limit)
		if (kernel_of(number) == (int)kid)
			return true;
	return false;
}

/**
 * pcn_cpus_kernel - the kernel that has the first CPU of a set
 * @machine:	the set
 *
 * Context: any.
 * Return: the kernel; -1: nobody has any.
 */
int pcn_cpus_kernel(const unsigned long *machine)
{
	unsigned int number;

	for_each_set_bit(number, machine, limit)
		if (kernel_of(number) >= 0)
			return kernel_of(number);
	return -1;
}

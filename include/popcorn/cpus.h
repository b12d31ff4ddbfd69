/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Numbers of CPUs. A kernel numbers its own CPUs from 0; the *machine's* numbers, in
 * firmware order, are the same on all kernels, and each belongs to one of them. Sets
 * of machine numbers are bitmaps of PCN_CPU_LIMIT bits.
 */
#ifndef _POPCORN_CPUS_H
#define _POPCORN_CPUS_H

#include <linux/types.h>

#include <popcorn/partition.h>

struct cpumask;

void pcn_cpus_init(void);
unsigned int pcn_cpus_limit(void);
unsigned int pcn_cpu_number(unsigned int cpu);
void pcn_cpus_of(unsigned long *machine, u64 kernels, const struct cpumask *own);
void pcn_cpus_to_own(struct cpumask *own, const unsigned long *machine);
bool pcn_cpus_touch(const unsigned long *machine, unsigned int kid);
int pcn_cpus_kernel(const unsigned long *machine);

/* arch */
int pcn_arch_cpu_number(unsigned int cpu);
void pcn_arch_cpu_tell(unsigned int number);

#endif /* _POPCORN_CPUS_H */

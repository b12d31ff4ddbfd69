/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Partitions: which CPUs and which memory each kernel owns.
 *
 * Parsing is pure: text in, a table out, no allocation and no machine. What
 * the machine has to say (is there such a CPU, is that RAM) is checked later
 * by the architecture, when firmware tables have been read.
 */
#ifndef _POPCORN_PARTITION_H
#define _POPCORN_PARTITION_H

#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/sizes.h>
#include <linux/types.h>

/** PCN_KERNELS_MAX - kernels on one machine, the primary included */
#define PCN_KERNELS_MAX		64
/** PCN_CPU_LIMIT - CPU numbers of the whole machine are below this */
#define PCN_CPU_LIMIT		1024
/** PCN_CPUS_PER_KERNEL - CPUs that one secondary may own */
#define PCN_CPUS_PER_KERNEL	256
/**
 * for_each_kernel - for each kernel of a set, in the order of their numbers
 * @kid:	an unsigned int; its number
 * @kernels:	a u64 in which bit kid is set for each of them; evaluated once
 */
#define for_each_kernel(kid, kernels)					\
	for (u64 kid##_left = (kernels);				\
	     kid##_left && ((kid) = __ffs64(kid##_left), true);		\
	     kid##_left &= kid##_left - 1)

/** PCN_NAME_MAX - length of a kernel's name, with its NUL */
#define PCN_NAME_MAX		32
/** PCN_MEM_ALIGN - granularity of a partition's memory, bytes */
#define PCN_MEM_ALIGN		SZ_2M
/** PCN_MEM_MIN - smallest memory that a kernel boots in, bytes */
#define PCN_MEM_MIN		SZ_64M
/** PCN_MEM_LOWEST - lowest address of a partition: where x86 kernels link */
#define PCN_MEM_LOWEST		SZ_16M
/** PCN_MEM_ANYWHERE - no start was asked for */
#define PCN_MEM_ANYWHERE	U64_MAX

/**
 * struct pcn_partition - what one kernel owns
 * @name:	name of the kernel, unique
 * @cpus:	its CPUs, numbers of the unpartitioned machine (firmware order)
 * @start:	physical start of its memory, or PCN_MEM_ANYWHERE
 * @size:	bytes of memory
 */
struct pcn_partition {
	char	name[PCN_NAME_MAX];
	DECLARE_BITMAP(cpus, PCN_CPU_LIMIT);
	u64	start;
	u64	size;
};

/**
 * struct pcn_partitions - all secondaries that were asked for
 * @defined:	bit kid is set when @kernel[kid] is in use
 * @kernel:	indexed by kid; 0, the primary, is never in use
 */
struct pcn_partitions {
	u64			defined;
	struct pcn_partition	kernel[PCN_KERNELS_MAX];
};

/** PCN_FAULT_MAX - room for the description of a fault, with its NUL */
#define PCN_FAULT_MAX		96

int pcn_partitions_add(struct pcn_partitions *all, const char *arg,
		       char fault[PCN_FAULT_MAX]);

#endif /* _POPCORN_PARTITION_H */

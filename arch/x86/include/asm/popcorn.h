/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Popcorn on x86: the hand-off from the primary to a secondary, and what the
 * generic part (kernel/popcorn/machine) asks of the architecture.
 *
 * The hand-off is an ABI between two kernels that need not be of one build:
 * fixed widths, explicit padding, a magic number, a version and a length that
 * the receiver checks.
 */
#ifndef _ASM_X86_POPCORN_H
#define _ASM_X86_POPCORN_H

/* Offsets in the boot area, the first PCN_BOOT_SIZE bytes of a partition. */
#define PCN_BOOT_CODE		0x00000	/* second stage of the trampoline */
#define PCN_BOOT_MAILBOX	0x01000	/* struct pcn_mailbox per CPU */
#define PCN_BOOT_STACK		0x05000	/* PCN_BOOT_STACK_SIZE per CPU */
#define PCN_BOOT_PARAMS		0x0d000	/* struct boot_params */
#define PCN_BOOT_CMDLINE	0x0e000	/* command line */
#define PCN_BOOT_HANDOFF	0x0f000	/* setup_data: struct pcn_handoff */
#define PCN_BOOT_TABLES		0x11000	/* identity page tables, top first */
#define PCN_BOOT_SIZE		0x200000

#define PCN_MAILBOX_SHIFT	6
#define PCN_MAILBOX_STATE	0
#define PCN_MAILBOX_ENTRY	8
#define PCN_MAILBOX_ARG		16
#define PCN_BOOT_STACK_SHIFT	7

/* Values of pcn_mailbox.state */
#define PCN_MAILBOX_EMPTY	0	/* the CPU has not come by yet */
#define PCN_MAILBOX_WAITING	1	/* it waits for an entry */
#define PCN_MAILBOX_GONE	2	/* it has taken the entry */

/* Values of the trampoline's command word */
#define PCN_TRAMPOLINE_START	1
#define PCN_TRAMPOLINE_PARK	2

#ifndef __ASSEMBLER__

#include <linux/types.h>

#include <popcorn/partition.h>

/* setup_data type of the hand-off: "PCN" and a version of the list entry. */
#define SETUP_POPCORN		0x004e4350

#define PCN_HANDOFF_MAGIC	0x46444e484e435031ULL
#define PCN_HANDOFF_VERSION	1

/** PCN_HANDOFF_X2APIC - the machine's local APICs are in x2APIC mode */
#define PCN_HANDOFF_X2APIC	0x1

/**
 * struct pcn_handoff - what a secondary has to know before it can ask
 * @magic:	PCN_HANDOFF_MAGIC
 * @version:	PCN_HANDOFF_VERSION
 * @length:	bytes of this structure
 * @kid:	number of the kernel that is being started
 * @generation:	number of this life
 * @flags:	PCN_HANDOFF_*
 * @cpus:	number of entries used in @apicid and @cpu
 * @boot_area:	physical start of the partition
 * @mem_size:	bytes of it
 * @window:	physical start of the window
 * @window_size: bytes
 * @lapic:	physical address of the local APICs
 * @tsc_khz:	rate of the TSC, kHz
 * @lapic_period: local APIC timer cycles in a tick of the primary
 * @lapic_hz:	ticks per second of the primary
 * @pad:	zero
 * @name:	name of the kernel
 * @apicid:	physical APIC ids of its CPUs, the boot CPU first
 * @cpu:	their numbers on the whole machine
 */
struct pcn_handoff {
	u64	magic;
	u32	version;
	u32	length;
	u32	kid;
	u32	generation;
	u32	flags;
	u32	cpus;
	u64	boot_area;
	u64	mem_size;
	u64	window;
	u64	window_size;
	u64	lapic;
	u32	tsc_khz;
	u32	lapic_period;
	u32	lapic_hz;
	u32	pad;
	char	name[PCN_NAME_MAX];
	u32	apicid[PCN_CPUS_PER_KERNEL];
	u32	cpu[PCN_CPUS_PER_KERNEL];
};

/**
 * struct pcn_mailbox - where a CPU waits for the address to go to
 * @state:	PCN_MAILBOX_*; the waiting CPU's
 * @pad0:	zero
 * @entry:	address to jump to, 0 until there is one
 * @arg:	value for RSI there
 * @pad1:	zero
 */
struct pcn_mailbox {
	u32	state;
	u32	pad0;
	u64	entry;
	u64	arg;
	u64	pad1[5];
};

/**
 * enum pcn_vdso_part - what of the vDSO a mapping is. On the wire
 * @PCN_VDSO_NONE:	nothing of it
 * @PCN_VDSO_DATA:	its data
 * @PCN_VDSO_CODE:	its code
 */
enum pcn_vdso_part {
	PCN_VDSO_NONE,
	PCN_VDSO_DATA,
	PCN_VDSO_CODE,
};

struct mm_struct;
struct pcn_blob;
struct pcn_image;
struct pcn_kernel;
struct vm_area_struct;

/* boot.c: what was carved out of the machine */
const struct pcn_partitions *pcn_arch_partitions(void);
unsigned int pcn_arch_machine_cpus(void);
u32 pcn_arch_cpu_apicid(unsigned int cpu);
u64 pcn_arch_window(u64 *size);
u64 pcn_arch_window_check(void);
u64 pcn_arch_memory_end(void);

/* bootimage.c, vmlinux.c, launch.c: other kernels (primary) */
int pcn_arch_check_image(struct pcn_kernel *k, const struct pcn_image *image);
void pcn_arch_preload(struct pcn_kernel *k);
void pcn_arch_unpack(struct pcn_blob *kernel);
void pcn_arch_forget(struct pcn_blob *kernel);
int pcn_arch_init_primary(void);
int pcn_arch_start(struct pcn_kernel *k);
int pcn_arch_fence(struct pcn_kernel *k);
void pcn_arch_stop_cpus(struct pcn_kernel *k);
void pcn_arch_doorbell(u32 apicid);

/* vdso.c: of processes that several kernels share */
enum pcn_vdso_part pcn_arch_vdso_part(struct vm_area_struct *vma);
int pcn_arch_vdso_bring_in(struct vm_area_struct *vma, unsigned long address);
int pcn_arch_vdso_map(struct mm_struct *mm, enum pcn_vdso_part part, unsigned long start,
		      unsigned long size);

/* platform.c: this kernel is one */
const struct pcn_handoff *pcn_handoff(void);

#endif /* !__ASSEMBLER__ */
#endif /* _ASM_X86_POPCORN_H */

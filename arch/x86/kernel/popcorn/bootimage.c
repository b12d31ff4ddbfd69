// SPDX-License-Identifier: GPL-2.0
/*
 * Putting a kernel into its partition.
 *
 *   start                    PCN_BOOT_SIZE                         start + size
 *   | boot area              | kernel, init_size bytes |   ...    | initrd |
 *
 * The boot area has what the kernel is given: see asm/popcorn.h. Kernel and
 * initrd are put there when they are loaded. A running kernel overwrites all of
 * this except for the boot area, so every further start compares, and writes
 * what differs from the image, which stays in the primary's memory.
 */
#include <linux/errno.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <asm/apic.h>
#include <asm/bootparam.h>
#include <asm/e820/types.h>
#include <asm/popcorn.h>
#include <asm/setup.h>
#include <asm/tsc.h>

#include <popcorn/kernel.h>
#include <popcorn/partition.h>

#include "arch.h"

/* Before the user's, so that a console= of theirs is /dev/console. */
static const char own_console[] = "console=ttynull ";

/*
 * What a secondary needs besides what its user asks for. Last, so that it
 * wins. Each is there because the default would reach beyond the partition:
 *
 *  nokaslr		the decompressor would choose a place by the firmware's map
 *  noreplace-smp	other kernels' CPUs are not seen by this one
 *  tsc=reliable	no other clock is there to check the TSC against
 *  nopv		a hypervisor's shared pages belong to the primary
 *  apic_extnmi=none	external NMIs go to the primary
 *  io_delay=none	port 0x80 is not this kernel's
 *  acpi=off pci=off	devices and tables are the primary's
 *  iommu=off		no device, no bounce buffers below 4 GiB
 *  8250.nr_uarts=0	serial ports are the primary's
 *  dis_ucode_ldr	microcode is the primary's business
 *  panic=-1		a panic parks the CPUs at once
 */
static const char own_params[] =
	" nokaslr noreplace-smp tsc=reliable nopv apic_extnmi=none io_delay=none acpi=off pci=off iommu=off 8250.nr_uarts=0 dis_ucode_ldr panic=-1";

static const char own_param_la57_off[] = " no5lvl";

/* The record that a secondary finds among its setup_data. */
struct handoff_record {
	struct setup_data	head;
	struct pcn_handoff	handoff;
	struct setup_data	seed_head;
	u8			seed[32];
};

/**
 * pcn_header_of - the header of a bzImage
 * @kernel:	the file
 *
 * Context: any.
 * Return: its header.
 */
const struct setup_header *pcn_header_of(const struct pcn_blob *kernel)
{
	return kernel->data + offsetof(struct boot_params, hdr);
}

/**
 * pcn_setup_size - bytes of the real-mode part of a bzImage
 * @hdr:	its header
 *
 * Context: any.
 * Return: the size; what is used of the file comes after it.
 */
size_t pcn_setup_size(const struct setup_header *hdr)
{
	return ((hdr->setup_sects ?: 4) + 1) * 512;
}

/**
 * pcn_code_size - bytes of a bzImage that are put into memory
 * @hdr:	its header
 *
 * A file may be longer: signatures follow, or anything else.
 *
 * Context: any.
 * Return: the size of what comes after pcn_setup_size() bytes.
 */
u64 pcn_code_size(const struct setup_header *hdr)
{
	return (u64)hdr->syssize * 16;
}

static u64 kernel_start(const struct pcn_kernel *k)
{
	const struct setup_header *hdr = pcn_header_of(k->image.kernel);

	return ALIGN(k->part.start + PCN_BOOT_SIZE, hdr->kernel_alignment);
}

static u64 initrd_start(const struct pcn_kernel *k, size_t size)
{
	return round_down(k->part.start + k->part.size - size, PAGE_SIZE);
}

static size_t cmdline_size(const char *cmdline)
{
	return sizeof(own_console) + strlen(cmdline) + sizeof(own_params) +
	       sizeof(own_param_la57_off);
}

/**
 * pcn_arch_check_image - can this image be started in this partition?
 * @k:		the kernel
 * @image:	an image whose bzImage has passed the kexec loader's probe
 *
 * Context: process.
 * Return: 0; -ENOEXEC cannot be started at all; -EBADMSG truncated; -ENOSPC the kernel does not fit; -EFBIG the
 * initrd does not fit beside it; -E2BIG command line too long.
 */
int pcn_arch_check_image(struct pcn_kernel *k, const struct pcn_image *image)
{
	const struct setup_header *hdr = pcn_header_of(image->kernel);
	u64 align = hdr->kernel_alignment, start, end;

	if (pcn_setup_size(hdr) + pcn_code_size(hdr) > image->kernel->size)
		return -EBADMSG;
	if (!is_power_of_2(align) || align < PAGE_SIZE ||
	    pcn_code_size(hdr) > hdr->init_size)
		return -ENOEXEC;
	/* It would leave five-level paging, through memory that is not its own. */
	if (pgtable_l5_enabled() && !(hdr->xloadflags & XLF_5LEVEL_ENABLED))
		return -ENOEXEC;
	start = ALIGN(k->part.start + PCN_BOOT_SIZE, align);
	end = k->part.start + k->part.size;
	/* It would move itself up to where it was linked to run. */
	if (start < hdr->pref_address || start >= end ||
	    PAGE_ALIGN((u64)hdr->init_size) > end - start)
		return -ENOSPC;
	start += PAGE_ALIGN((u64)hdr->init_size);
	if (image->initrd && PAGE_ALIGN((u64)image->initrd->size) > end - start)
		return -EFBIG;
	if (cmdline_size(image->cmdline) > min_t(size_t, hdr->cmdline_size,
						 COMMAND_LINE_SIZE))
		return -E2BIG;
	return 0;
}

/*
 * Let @to be as @from is, and write nothing that is so already. Most of a
 * kernel is still there when it is started again: reading costs no more than
 * writing, and QEMU's TCG keeps what it has made of code that stays the same.
 */
static void copy_changed(void *to, const void *from, size_t size)
{
	size_t words = size / sizeof(u64), i;
	const u64 *source = from;
	u64 *target = to;

	for (i = 0; i < words; i++)
		if (target[i] != source[i])
			target[i] = source[i];
	memcpy(target + words, source + words, size % sizeof(u64));
}

/*
 * Copy @size bytes to physical memory of a partition, or clear them if @from is
 * NULL; it may be a lot.
 */
static int copy_to_partition(u64 phys, const void *from, size_t size)
{
	void *to = memremap(phys, size, MEMREMAP_WB);
	size_t done, part;

	if (!to)
		return -ENOMEM;
	for (done = 0; done < size; done += part) {
		part = min_t(size_t, size - done, SZ_64K);
		if (from)
			copy_changed(to + done, from + done, part);
		else
			memset(to + done, 0, part);
		cond_resched();
	}
	memunmap(to);
	return 0;
}

/* The kernel believes a map with two entries or more. */
static void fill_e820(const struct pcn_kernel *k, struct boot_params *bp)
{
	/* It also looks for a gap below 4 GiB, where there may be no RAM. */
	bp->e820_table[0] = (struct boot_e820_entry) {
		.addr = 0,
		.size = SZ_1M,
		.type = E820_TYPE_RESERVED,
	};
	bp->e820_table[1] = (struct boot_e820_entry) {
		.addr = k->part.start,
		.size = PCN_BOOT_SIZE,
		.type = E820_TYPE_RESERVED,
	};
	bp->e820_table[2] = (struct boot_e820_entry) {
		.addr = k->part.start + PCN_BOOT_SIZE,
		.size = k->part.size - PCN_BOOT_SIZE,
		.type = E820_TYPE_RAM,
	};
	bp->e820_entries = 3;
}

static void fill_boot_params(const struct pcn_kernel *k, struct boot_params *bp)
{
	const struct setup_header *hdr = pcn_header_of(k->image.kernel);
	const u8 *file = k->image.kernel->data;
	u64 cmdline = k->part.start + PCN_BOOT_CMDLINE;

	/* The header ends where the jump over it leads: boot.rst, "jump". */
	memcpy(&bp->hdr, hdr, min_t(size_t, sizeof(bp->hdr), file[0x201] + 0x202 -
				    offsetof(struct boot_params, hdr)));
	bp->hdr.type_of_loader = 0xff;
	bp->hdr.loadflags = 0;
	bp->hdr.hardware_subarch = X86_SUBARCH_POPCORN;
	bp->hdr.setup_data = k->part.start + PCN_BOOT_HANDOFF;
	bp->hdr.cmd_line_ptr = lower_32_bits(cmdline);
	bp->ext_cmd_line_ptr = upper_32_bits(cmdline);
	if (k->image.initrd) {
		u64 size = k->image.initrd->size;
		u64 start = initrd_start(k, size);

		bp->hdr.ramdisk_image = lower_32_bits(start);
		bp->ext_ramdisk_image = upper_32_bits(start);
		bp->hdr.ramdisk_size = lower_32_bits(size);
		bp->ext_ramdisk_size = upper_32_bits(size);
	}
	fill_e820(k, bp);
}

static void fill_handoff(const struct pcn_kernel *k, struct handoff_record *r)
{
	struct pcn_handoff *h = &r->handoff;
	unsigned int cpu, i = 0;
	u64 apicbase;

	r->head.type = SETUP_POPCORN;
	r->head.len = sizeof(*h);
	r->head.next = k->part.start + PCN_BOOT_HANDOFF +
		       offsetof(struct handoff_record, seed_head);
	r->seed_head.type = SETUP_RNG_SEED;
	r->seed_head.len = sizeof(r->seed);
	get_random_bytes(r->seed, sizeof(r->seed));

	h->magic = PCN_HANDOFF_MAGIC;
	h->version = PCN_HANDOFF_VERSION;
	h->length = sizeof(*h);
	h->kid = k->kid;
	h->generation = k->generation;
	h->flags = x2apic_enabled() ? PCN_HANDOFF_X2APIC : 0;
	h->cpus = k->nr_cpus;
	h->boot_area = k->part.start;
	h->mem_size = k->part.size;
	h->window = pcn_arch_window(&h->window_size);
	rdmsrl(MSR_IA32_APICBASE, apicbase);
	h->lapic = apicbase & MSR_IA32_APICBASE_BASE;
	h->tsc_khz = tsc_khz;
	h->lapic_period = lapic_timer_period;
	h->lapic_hz = HZ;
	strscpy(h->name, k->part.name);
	for_each_set_bit(cpu, k->part.cpus, PCN_CPU_LIMIT) {
		h->apicid[i] = k->apicid[i];
		h->cpu[i++] = cpu;
	}
}

/* Everything of the boot area, which is mapped at @area. */
static int fill_boot_area(struct pcn_kernel *k, void *area)
{
	struct pcn_table_pool pool = {
		.phys	= k->part.start + PCN_BOOT_TABLES,
		.virt	= area + PCN_BOOT_TABLES,
		.count	= (PCN_BOOT_SIZE - PCN_BOOT_TABLES) / PAGE_SIZE,
	};

	BUILD_BUG_ON(PCN_BOOT_MAILBOX + (PCN_CPUS_PER_KERNEL << PCN_MAILBOX_SHIFT) >
		     PCN_BOOT_STACK);
	BUILD_BUG_ON(PCN_BOOT_STACK + (PCN_CPUS_PER_KERNEL << PCN_BOOT_STACK_SHIFT) >
		     PCN_BOOT_PARAMS);
	BUILD_BUG_ON(sizeof(struct pcn_mailbox) != 1 << PCN_MAILBOX_SHIFT);
	BUILD_BUG_ON(offsetof(struct pcn_mailbox, entry) != PCN_MAILBOX_ENTRY);
	BUILD_BUG_ON(offsetof(struct pcn_mailbox, arg) != PCN_MAILBOX_ARG);
	BUILD_BUG_ON(PCN_BOOT_PARAMS + sizeof(struct boot_params) > PCN_BOOT_CMDLINE);
	BUILD_BUG_ON(PCN_BOOT_CMDLINE + COMMAND_LINE_SIZE > PCN_BOOT_HANDOFF);
	BUILD_BUG_ON(PCN_BOOT_HANDOFF + sizeof(struct handoff_record) > PCN_BOOT_TABLES);

	memset(area, 0, PCN_BOOT_TABLES);
	memcpy(area + PCN_BOOT_CODE, pcn_stage2, pcn_stage2_end - pcn_stage2);
	fill_boot_params(k, area + PCN_BOOT_PARAMS);
	snprintf(area + PCN_BOOT_CMDLINE, COMMAND_LINE_SIZE, "%s%s%s%s",
		 own_console, k->image.cmdline, own_params,
		 pgtable_l5_enabled() ? "" : own_param_la57_off);
	fill_handoff(k, area + PCN_BOOT_HANDOFF);
	return pcn_identity_map(&pool, k->part.start, k->part.size);
}

/* The kernel, unpacked. */
static int copy_vmlinux(struct pcn_kernel *k, const struct pcn_vmlinux *v)
{
	u64 start = kernel_start(k);
	int err;

	err = copy_to_partition(start, v->data, v->size);
	if (!err && v->mem_size > v->size)
		err = copy_to_partition(start + v->size, NULL, v->mem_size - v->size);
	return err;
}

/* The kernel, packed: no more of the file than there is room for. */
static int copy_bzimage(struct pcn_kernel *k, const struct pcn_blob *kernel)
{
	const struct setup_header *hdr = pcn_header_of(kernel);

	return copy_to_partition(kernel_start(k), kernel->data + pcn_setup_size(hdr),
				 pcn_code_size(hdr));
}

static int copy_image(struct pcn_kernel *k)
{
	const struct pcn_blob *kernel = k->image.kernel;
	const struct pcn_blob *initrd = k->image.initrd;
	int err;

	err = kernel->vmlinux ? copy_vmlinux(k, kernel->vmlinux) :
				copy_bzimage(k, kernel);
	if (!err && initrd)
		err = copy_to_partition(initrd_start(k, initrd->size), initrd->data,
					initrd->size);
	return err;
}

/* That of the ELF file; or the bzImage's 64-bit entry point: boot.rst. */
static u64 entry_of(const struct pcn_kernel *k)
{
	const struct pcn_vmlinux *v = k->image.kernel->vmlinux;

	return kernel_start(k) + (v ? v->entry : 0x200);
}

/**
 * pcn_arch_preload - put a new image into the partition ahead of its start
 * @k:		the kernel; its CPUs are parked
 *
 * Without success the start does it.
 *
 * Context: process, @k->op held.
 */
void pcn_arch_preload(struct pcn_kernel *k)
{
	k->preloaded = !copy_image(k);
}

/**
 * pcn_boot_image_copy - put the loaded image into the partition
 * @k:		the kernel; its CPUs are parked
 * @area:	its boot area, PCN_BOOT_SIZE bytes, mapped
 * @entry:	receives the address at which the boot CPU enters the kernel
 * @params:	receives the address of its boot parameters
 *
 * Context: process, @k->op held.
 * Return: 0, -ENOMEM, or -ENOSPC (partition too large to be mapped).
 */
int pcn_boot_image_copy(struct pcn_kernel *k, void *area, u64 *entry, u64 *params)
{
	int err;

	err = fill_boot_area(k, area);
	if (!err && !k->preloaded)
		err = copy_image(k);
	/* Whatever comes of this start, the kernel may have run. */
	k->preloaded = false;
	*entry = entry_of(k);
	*params = k->part.start + PCN_BOOT_PARAMS;
	return err;
}

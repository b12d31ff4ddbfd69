// SPDX-License-Identifier: GPL-2.0
/*
 * Whose memory is where.
 *
 * The primary writes it into the head of the window when it boots: of each secondary its
 * partition without the boot area, of itself the RAM that it has not given away. Every
 * kernel copies that once and checks it. So a kernel that is told of a page frame of
 * another kernel can see whether it is that kernel's.
 *
 * What is in no range belongs to nobody in this sense: the window, devices, what firmware
 * has reserved, and the first MiB, where the trampoline is. So does memory that the
 * primary has got after its boot.
 */
#include <linux/align.h>
#include <linux/bitops.h>
#include <linux/init.h>
#include <linux/ioport.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sizes.h>

#include <asm/popcorn.h>

#include <popcorn/core.h>

#include "internal.h"

/* What is below this is no kernel's to lend. */
#define LOWEST		SZ_1M

static struct pcn_memory known __ro_after_init;

/**
 * pcn_memory_add_ram - enter a range of the primary's memory
 * @ram:	the ranges so far
 * @start:	first byte
 * @size:	bytes
 *
 * If there are too many, the smallest ones are left out.
 *
 * Context: any; pure.
 */
void pcn_memory_add_ram(struct pcn_extent ram[PCN_RAM_RANGES], u64 start, u64 size)
{
	struct pcn_extent *e, *least = ram;

	for (e = ram; e < ram + PCN_RAM_RANGES; e++)
		if (e->size < least->size)
			least = e;
	if (size > least->size)
		*least = (struct pcn_extent) { .start = start, .size = size };
}

static bool extent_has(const struct pcn_extent *e, u64 pfn)
{
	u64 first = e->start >> PAGE_SHIFT;

	return pfn >= first && pfn - first < e->size >> PAGE_SHIFT;
}

/**
 * pcn_memory_has - is a page frame memory of a kernel, as a copy says?
 * @m:		the copy
 * @kid:	the kernel
 * @pfn:	number of the page frame
 *
 * Context: any; pure.
 */
bool pcn_memory_has(const struct pcn_memory *m, unsigned int kid, u64 pfn)
{
	unsigned int i;

	if (kid)
		return kid < PCN_KERNELS_MAX && extent_has(&m->memory[kid], pfn);
	for (i = 0; i < PCN_RAM_RANGES; i++)
		if (extent_has(&m->ram[i], pfn))
			return true;
	return false;
}

static bool extent_is_sane(const struct pcn_extent *e, u64 end)
{
	u64 behind;

	return IS_ALIGNED(e->start | e->size, PAGE_SIZE) && e->start >= LOWEST &&
	       !check_add_overflow(e->start, e->size, &behind) && behind <= end;
}

static bool extents_meet(const struct pcn_extent *a, const struct pcn_extent *b)
{
	return a->start < b->start + b->size && b->start < a->start + a->size;
}

static bool meets_any(const struct pcn_extent *e, const struct pcn_extent *others,
		      unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (others[i].size && extents_meet(e, &others[i]))
			return true;
	return false;
}

/* Each range is sane, and none meets the window or one before it. */
static bool memory_is_sane(const struct pcn_memory *m, const struct pcn_extent *window,
			   u64 end)
{
	const struct pcn_extent *e;
	unsigned int i;

	for (i = 0; i < PCN_KERNELS_MAX + PCN_RAM_RANGES; i++) {
		e = i < PCN_KERNELS_MAX ? &m->memory[i] : &m->ram[i - PCN_KERNELS_MAX];
		if (!e->size)
			continue;
		if (!i || !extent_is_sane(e, end) || extents_meet(e, window) ||
		    meets_any(e, m->memory, min_t(unsigned int, i, PCN_KERNELS_MAX)))
			return false;
		if (i > PCN_KERNELS_MAX && meets_any(e, m->ram, i - PCN_KERNELS_MAX))
			return false;
	}
	return true;
}

static struct pcn_extent extent_read(const struct pcn_extent *e)
{
	return (struct pcn_extent) {
		.start = READ_ONCE(e->start), .size = READ_ONCE(e->size),
	};
}

/**
 * pcn_memory_copy - copy what the window says of memory, and check it
 * @m:		receives the copy
 * @w:		the window
 * @window:	where that is itself
 * @end:	the first physical address that no memory has
 *
 * Context: any.
 * Return: false if what is there cannot be: @m is not to be used.
 */
bool pcn_memory_copy(struct pcn_memory *m, const struct pcn_window *w,
		     const struct pcn_extent *window, u64 end)
{
	unsigned int i;

	for (i = 0; i < PCN_KERNELS_MAX; i++)
		m->memory[i] = extent_read(&w->memory[i]);
	for (i = 0; i < PCN_RAM_RANGES; i++)
		m->ram[i] = extent_read(&w->ram[i]);
	return memory_is_sane(m, window, end);
}

static int __init enter_range(unsigned long pfn, unsigned long pages, void *ram)
{
	pcn_memory_add_ram(ram, (u64)pfn << PAGE_SHIFT, (u64)pages << PAGE_SHIFT);
	return 0;
}

/**
 * pcn_memory_publish - tell all kernels whose memory is where
 * @w:		the window, in which all of that is 0 so far
 * @all:	the partitions
 *
 * Context: initcall of the primary.
 */
void __init pcn_memory_publish(struct pcn_window *w, const struct pcn_partitions *all)
{
	unsigned long first = LOWEST >> PAGE_SHIFT;
	unsigned int kid;

	for_each_kernel(kid, all->defined)
		w->memory[kid] = (struct pcn_extent) {
			.start = all->kernel[kid].start + PCN_BOOT_SIZE,
			.size = all->kernel[kid].size - PCN_BOOT_SIZE,
		};
	walk_system_ram_range(first, max_pfn - first, w->ram, enter_range);
}

/**
 * pcn_memory_learn - know from now on whose memory is where
 * @w:	the window
 *
 * Context: initcall.
 * Return: false if the window says what cannot be.
 */
bool __init pcn_memory_learn(const struct pcn_window *w)
{
	struct pcn_extent window;

	window.start = pcn_arch_window(&window.size);
	return pcn_memory_copy(&known, w, &window, pcn_arch_memory_end());
}

/**
 * pcn_memory_is_of - is a page frame memory of a kernel?
 * @kid:	the kernel
 * @pfn:	number of the page frame
 *
 * Context: any, after subsys_initcall().
 */
bool pcn_memory_is_of(unsigned int kid, u64 pfn)
{
	return pcn_memory_has(&known, kid, pfn);
}

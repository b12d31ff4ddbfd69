/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Keeps KASLR away from partitions.
 *
 * The decompressor chooses a place for the kernel long before partitions are
 * carved out, and where the kernel is there can be no partition. Those with an
 * explicit start are avoided like an initrd. The others will be taken from the
 * top of RAM, see arch/x86/kernel/popcorn/boot.c: the kernel stays below where
 * they will come to lie, or else it would cut RAM into pieces that are too
 * small for them at some boots and not at others.
 *
 * Included by kaslr.c, whose mem_overlaps() and memparse() it uses. Whether a
 * parameter is right is not judged here: the kernel does that.
 */
#ifndef BOOT_COMPRESSED_POPCORN_H
#define BOOT_COMPRESSED_POPCORN_H

#ifdef CONFIG_POPCORN

#include "../../../../include/popcorn/window_layout.h"

/* One for each secondary at most: PCN_KERNELS_MAX - 1. */
#define PCN_PARTITIONS_MAX	63

/* Partitions, or several side by side, with an explicit start. */
static struct mem_vector pcn_partition[PCN_PARTITIONS_MAX];
static unsigned int pcn_partitions;

/* Sizes of those without. */
static u64 pcn_floating[PCN_PARTITIONS_MAX];
static unsigned int pcn_floatings;

/* What the window's size depends on, and popcorn_window= if it is there. */
static unsigned int pcn_kernels = 1;
static unsigned int pcn_areas;
static u64 pcn_window;

/* popcorn_check=1: more of the window. */
static u64 pcn_check;

/* Where partitions begin at best: SECTION_SIZE_BITS. */
#define PCN_KASLR_ALIGN		(128ULL << 20)

static bool mem_avoid_overlap(struct mem_vector *img, struct mem_vector *overlap);

/* A number of at most two digits, which is what a kid has. */
static unsigned int pcn_kid(const char **p)
{
	unsigned int kid = 0, digits;

	for (digits = 0; digits < 2 && isdigit(**p); digits++)
		kid = 10 * kid + *(*p)++ - '0';
	return kid;
}

/* How many kernels "<kid>[-<kid>]:..." means. */
static u64 pcn_kernel_count(const char *val)
{
	unsigned int first = pcn_kid(&val), last = first;

	if (*val++ == '-')
		last = pcn_kid(&val);
	pcn_areas = max(pcn_areas, last + 1);
	return last >= first ? last - first + 1 : 1;
}

/* The room that the window will take. */
static u64 pcn_window_room(void)
{
	struct pcn_window_layout l = pcn_window_default_layout(pcn_areas, pcn_kernels);

	return max(pcn_window, pcn_window_layout_size(&l)) + pcn_check;
}

/* Remember @count partitions of @size bytes each that may be anywhere. */
static void pcn_kaslr_float(u64 size, unsigned int count)
{
	while (count-- && pcn_floatings < PCN_PARTITIONS_MAX)
		pcn_floating[pcn_floatings++] = size;
}

/* Remember what a popcorn_kernel= parameter says of memory. */
static void pcn_kaslr_param(const char *param, const char *val)
{
	unsigned int count;
	u64 start, size;
	char *p;

	if (!val)
		return;
	if (!strcmp(param, "popcorn_window"))
		pcn_window = memparse(val, &p);
	if (!strcmp(param, "popcorn_check"))
		pcn_check = strcmp(val, "1") ? 0 : PCN_CHECK_SIZE;
	if (strcmp(param, "popcorn_kernel"))
		return;
	p = strstr(val, ":mem=");
	if (!p)
		return;
	count = pcn_kernel_count(val);
	pcn_kernels += count;
	size = memparse(p + 5, &p);
	if (*p != '@') {
		pcn_kaslr_float(size, count);
		return;
	}
	start = memparse(p + 1, &p);
	if (start + size * count > start && pcn_partitions < PCN_PARTITIONS_MAX)
		pcn_partition[pcn_partitions++] = (struct mem_vector) {
			.start = start,
			.size = size * count,
		};
}

/* The highest place for @size bytes in [@low, @end) beside what is in use, or 0. */
static u64 pcn_kaslr_fit(u64 low, u64 end, u64 size)
{
	struct mem_vector place = { .size = size }, used;

	while (end > low && end - low >= size) {
		place.start = (end - size) & ~(PCN_KASLR_ALIGN - 1);
		if (place.start < low)
			break;
		if (!mem_avoid_overlap(&place, &used))
			return place.start;
		end = used.start;
	}
	return 0;
}

/* The highest place for @size bytes of RAM below @limit, or 0. */
static u64 pcn_kaslr_highest(u64 size, u64 limit)
{
	struct boot_e820_entry *e = boot_params_ptr->e820_table;
	u64 highest = 0, end;
	unsigned int i;

	for (i = 0; i < boot_params_ptr->e820_entries; i++, e++) {
		if (e->type != E820_TYPE_RAM)
			continue;
		end = min(e->addr + e->size, limit);
		highest = max(highest, pcn_kaslr_fit(e->addr, end, size));
	}
	return highest;
}

/*
 * The end of the memory that the kernel may choose from, @limit without
 * Popcorn. Each partition is put below the one before, which may waste room,
 * but never promises more than there is. If they do not fit so, the kernel
 * stays where it is, as low as it can.
 */
static u64 pcn_kaslr_limit(u64 limit)
{
	unsigned int i;

	if (pcn_floatings)
		limit = pcn_kaslr_highest(pcn_window_room(), limit);
	for (i = 0; i < pcn_floatings; i++)
		limit = pcn_kaslr_highest(pcn_floating[i], limit);
	return limit;
}

/* Does @img overlap a partition? Then *overlap is the lowest before @earliest. */
static bool pcn_kaslr_avoid(struct mem_vector *img, struct mem_vector *overlap,
			    u64 earliest)
{
	bool found = false;
	unsigned int i;

	for (i = 0; i < pcn_partitions; i++) {
		if (!mem_overlaps(img, &pcn_partition[i]) ||
		    pcn_partition[i].start >= earliest)
			continue;
		*overlap = pcn_partition[i];
		earliest = overlap->start;
		found = true;
	}
	return found;
}

#else

static inline void pcn_kaslr_param(const char *param, const char *val) { }
static inline bool pcn_kaslr_avoid(struct mem_vector *img,
				   struct mem_vector *overlap, u64 earliest)
{
	return false;
}

static inline u64 pcn_kaslr_limit(u64 limit)
{
	return limit;
}

#endif /* CONFIG_POPCORN */
#endif /* BOOT_COMPRESSED_POPCORN_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Keeps KASLR away from partitions with an explicit start.
 *
 * The decompressor chooses a place for the kernel long before partitions are
 * carved out, and where the kernel is there can be no partition. Included by
 * kaslr.c, whose mem_overlaps() and memparse() it uses. Whether a parameter is
 * right is not judged here: the kernel does that.
 */
#ifndef BOOT_COMPRESSED_POPCORN_H
#define BOOT_COMPRESSED_POPCORN_H

#ifdef CONFIG_POPCORN

/* One for each secondary at most: PCN_KERNELS_MAX - 1. */
static struct mem_vector pcn_partition[63];
static unsigned int pcn_partitions;

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
	return last >= first ? last - first + 1 : 1;
}

/* Remember the memory of a popcorn_kernel= parameter, if it says where. */
static void pcn_kaslr_param(const char *param, const char *val)
{
	struct mem_vector *part = &pcn_partition[pcn_partitions];
	char *p;

	if (!val || strcmp(param, "popcorn_kernel") ||
	    pcn_partitions == ARRAY_SIZE(pcn_partition))
		return;
	p = strstr(val, ":mem=");
	if (!p)
		return;
	part->size = memparse(p + 5, &p) * pcn_kernel_count(val);
	if (*p != '@')
		return;
	part->start = memparse(p + 1, &p);
	if (part->start + part->size > part->start)
		pcn_partitions++;
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

#endif /* CONFIG_POPCORN */
#endif /* BOOT_COMPRESSED_POPCORN_H */

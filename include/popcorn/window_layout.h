/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where things are in the window. Arithmetic and nothing else: the decompressor
 * includes it, too.
 *
 *   0			struct pcn_window
 *   PCN_AREA_OFFSET	struct pcn_area, one per kernel
 *   endpoints		struct pcn_endpoint, one per kernel
 *   lanes		struct pcn_lane, one per ordered pair of kernels that there
 *			are, by their ranks, since kids may have gaps; those to
 *			one kernel side by side
 *   bases		per ordered pair and channel, data of a ring
 *   pools		per kernel, blocks: larger data of the rings that it writes
 *   check		the last PCN_CHECK_SIZE bytes, if popcorn_check=1: struct
 *			pcn_check_table
 *
 * Most pairs of kernels say little to each other. So each ring has a small base, and
 * only one that needs more room gets a block of its producer's pool
 * (drivers/msg_layer/block.c).
 *
 * Lanes and endpoints are packed: were each at the start of a page, all heads of rings
 * would fall into the same few sets of a cache.
 */
#ifndef _POPCORN_WINDOW_LAYOUT_H
#define _POPCORN_WINDOW_LAYOUT_H

#include <linux/types.h>

/** PCN_AREA_OFFSET - window offset of kernel 0's area, bytes */
#define PCN_AREA_OFFSET		0x2000
/**
 * PCN_AREA_SIZE - bytes of one kernel's area
 *
 * Half of what one early_memremap() slot can map, since a secondary has
 * nothing else to write its log through while it boots.
 */
#define PCN_AREA_SIZE		0x20000
/** PCN_ENDPOINT_SIZE - bytes of one kernel's endpoint */
#define PCN_ENDPOINT_SIZE	0x240
/** PCN_LANE_SIZE - bytes of a lane: its head, and those of its rings */
#define PCN_LANE_SIZE		0x380
/** PCN_BLOCK_SIZE - bytes of a block: eight messages of 64 KiB with their headers */
#define PCN_BLOCK_SIZE		0x81000
/** PCN_POOL_LEAST - blocks of a kernel, at least, if there are so many rings for them */
#define PCN_POOL_LEAST		3
/** PCN_POOL_PRIMARY - the same of the primary, which talks to all */
#define PCN_POOL_PRIMARY	16
/** PCN_POOL_ALL - blocks that all kernels have together by default, about */
#define PCN_POOL_ALL		48
/** PCN_BASE_LEAST - bytes of a ring's base, at least: what every handler may send */
#define PCN_BASE_LEAST		0x1200
/** PCN_BASE_MAX - the same at most */
#define PCN_BASE_MAX		0x100000
/** PCN_BASE_ALIGN - what it is a multiple of: a cache line */
#define PCN_BASE_ALIGN		64
/** PCN_CHECK_SIZE - bytes of the table of page checks, if there is one */
#define PCN_CHECK_SIZE		0x400000

/** enum pcn_channel - kinds of traffic that do not stand in each other's way */
enum pcn_channel {
	PCN_CONTROL,
	PCN_COHERENCY,
	PCN_NETWORK,
	PCN_TTY,
	PCN_CHANNELS
};

/** PCN_BLOCK_CHANNELS - channels whose rings may get a block: coherency, network */
#define PCN_BLOCK_CHANNELS	2

/**
 * struct pcn_window_layout - the sizes that a window is made of
 * @areas:	number of areas and endpoints: the highest kid, plus one
 * @kernels:	number of kernels that there are, the primary included
 * @base:	bytes of the base of a ring
 * @pool:	blocks of a secondary; see pcn_pool_blocks()
 */
struct pcn_window_layout {
	u32	areas;
	u32	kernels;
	u32	base;
	u32	pool;
};

/** pcn_pool_most - rings of one kernel that may get a block */
static inline u32 pcn_pool_most(const struct pcn_window_layout *l)
{
	return PCN_BLOCK_CHANNELS * (l->kernels - 1);
}

/**
 * pcn_pool_blocks - the number of blocks of a kernel
 * @l:		the layout
 * @rank:	its rank among the kernels that there are; 0 is the primary
 *
 * Context: any.
 * Return: the number; never more than it has rings that may get one.
 */
static inline u32 pcn_pool_blocks(const struct pcn_window_layout *l, u32 rank)
{
	u32 blocks = rank || l->pool > PCN_POOL_PRIMARY ? l->pool : PCN_POOL_PRIMARY;

	return blocks < pcn_pool_most(l) ? blocks : pcn_pool_most(l);
}

/** pcn_endpoint_offset - where a kernel's endpoint is; @kid may be @l->areas */
static inline u64 pcn_endpoint_offset(const struct pcn_window_layout *l, u32 kid)
{
	return PCN_AREA_OFFSET + (u64)l->areas * PCN_AREA_SIZE +
	       (u64)kid * PCN_ENDPOINT_SIZE;
}

/**
 * pcn_lane_offset - where the lane from one kernel to another one is
 * @l:		the layout
 * @from:	rank of the producer among the kernels that there are, from 0
 * @to:		rank of the consumer; l->kernels: the end of all lanes
 *
 * Context: any.
 * Return: offset in bytes.
 */
static inline u64 pcn_lane_offset(const struct pcn_window_layout *l, u32 from, u32 to)
{
	u64 lane = (u64)to * (l->kernels - 1) + (from > to ? from - 1 : from);

	return pcn_endpoint_offset(l, l->areas) + lane * PCN_LANE_SIZE;
}

/**
 * pcn_base_offset - where a ring's data is that has no block
 * @l:		the layout
 * @from:	rank of the producer; l->kernels: the end of all bases
 * @to:		rank of the consumer
 * @channel:	its channel
 *
 * Context: any.
 * Return: offset in bytes.
 */
static inline u64 pcn_base_offset(const struct pcn_window_layout *l, u32 from, u32 to,
				  u32 channel)
{
	u64 pair = (u64)from * (l->kernels - 1) + (to > from ? to - 1 : to);

	return pcn_lane_offset(l, 0, l->kernels) +
	       (pair * PCN_CHANNELS + channel) * l->base;
}

/**
 * pcn_pool_offset - where a kernel's blocks are
 * @l:		the layout
 * @rank:	its rank; l->kernels: the end of all pools
 *
 * Context: any.
 * Return: offset in bytes, a multiple of a page's size.
 */
static inline u64 pcn_pool_offset(const struct pcn_window_layout *l, u32 rank)
{
	u64 start = (pcn_base_offset(l, l->kernels, 0, 0) + 0xfff) & ~0xfffULL;
	u64 before = rank ? pcn_pool_blocks(l, 0) + (rank - 1ULL) * pcn_pool_blocks(l, 1) : 0;

	return start + before * PCN_BLOCK_SIZE;
}

/** pcn_window_layout_size - bytes of a window with this layout */
static inline u64 pcn_window_layout_size(const struct pcn_window_layout *l)
{
	return pcn_pool_offset(l, l->kernels);
}

/** pcn_window_least_layout - the layout with the smallest sizes that will do */
static inline struct pcn_window_layout pcn_window_least_layout(u32 areas, u32 kernels)
{
	return (struct pcn_window_layout) {
		.areas = areas,
		.kernels = kernels,
		.base = PCN_BASE_LEAST,
		.pool = PCN_POOL_LEAST,
	};
}

/** pcn_window_default_layout - the layout that a number of kernels gets unasked */
static inline struct pcn_window_layout pcn_window_default_layout(u32 areas, u32 kernels)
{
	u32 pool = PCN_POOL_ALL / kernels;

	return (struct pcn_window_layout) {
		.areas = areas,
		.kernels = kernels,
		.base = kernels <= 4 ? 0x8000 : kernels <= 16 ? 0x4000 : PCN_BASE_LEAST,
		.pool = pool > PCN_POOL_LEAST ? pool : PCN_POOL_LEAST,
	};
}

/**
 * pcn_window_fitting_layout - the roomiest layout in a number of bytes
 * @areas:	the highest kid, plus one
 * @kernels:	number of kernels
 * @size:	the bytes
 *
 * What is there beyond the default becomes blocks, up to one for each ring that may have
 * one.
 *
 * Context: any.
 * Return: the layout; that of pcn_window_least_layout() may be larger than @size.
 */
static inline struct pcn_window_layout pcn_window_fitting_layout(u32 areas, u32 kernels,
								 u64 size)
{
	struct pcn_window_layout l = pcn_window_default_layout(areas, kernels), more;

	if (pcn_window_layout_size(&l) > size)
		l = pcn_window_least_layout(areas, kernels);
	for (more = l; more.pool < pcn_pool_most(&l); l = more) {
		more.pool++;
		if (pcn_window_layout_size(&more) > size)
			break;
	}
	return l;
}

#endif /* _POPCORN_WINDOW_LAYOUT_H */

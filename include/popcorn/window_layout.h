/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where things are in the window. Arithmetic and nothing else: the decompressor
 * includes it, too.
 *
 *   0			struct pcn_window
 *   PCN_AREA_OFFSET	struct pcn_area, one per kernel
 *   endpoints		struct pcn_endpoint, one per kernel
 *   lanes		one per ordered pair of kernels that there are, by their
 *			ranks, since kids may have gaps: a head (struct
 *			pcn_lane), then the rings, each with its data at a
 *			page's start and its struct pcn_ring_shared right before
 *   check		the last PCN_CHECK_SIZE bytes, if popcorn_check=1: struct
 *			pcn_check_table
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
#define PCN_ENDPOINT_SIZE	0x1000
/** PCN_LANE_HEAD - bytes before a lane's first ring */
#define PCN_LANE_HEAD		0x1000
/** PCN_RING_HEAD - bytes before a ring's data */
#define PCN_RING_HEAD		0x1000
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

/**
 * struct pcn_window_layout - the sizes that a window is made of
 * @areas:	number of areas and endpoints: the highest kid, plus one
 * @kernels:	number of kernels that there are, the primary included
 * @ring_order:	log2 of the bytes of data in a ring of each channel
 */
struct pcn_window_layout {
	u32	areas;
	u32	kernels;
	u8	ring_order[PCN_CHANNELS];
};

/** PCN_RING_ORDER_MAX - log2 of the largest ring, bytes */
#define PCN_RING_ORDER_MAX	30

/** PCN_WINDOW_LEVELS - levels of pcn_window_layout_of() */
#define PCN_WINDOW_LEVELS		5

/**
 * pcn_window_layout_of - the layout for a number of kernels and a level of sizes
 * @areas:	the highest kid, plus one
 * @kernels:	the number
 * @level:	0: what messages of full length need, ... PCN_WINDOW_LEVELS - 1: roomy
 *
 * Context: any.
 * Return: the layout.
 */
static inline struct pcn_window_layout pcn_window_layout_of(u32 areas, u32 kernels,
							    u32 level)
{
	return (struct pcn_window_layout) {
		.areas = areas,
		.kernels = kernels,
		.ring_order = {
			[PCN_CONTROL] = 14 + level / 2,
			[PCN_COHERENCY] = 17 + level / 2,
			[PCN_NETWORK] = 17 + level,
			[PCN_TTY] = 14,
		},
	};
}

/** pcn_window_default_level - the level of sizes for a number of kernels */
static inline u32 pcn_window_default_level(u32 kernels)
{
	return kernels <= 4 ? 2 : kernels <= 8 ? 1 : 0;
}

/** pcn_endpoint_offset - where a kernel's endpoint is; @kid may be @l->areas */
static inline u64 pcn_endpoint_offset(const struct pcn_window_layout *l, u32 kid)
{
	return PCN_AREA_OFFSET + (u64)l->areas * PCN_AREA_SIZE +
	       (u64)kid * PCN_ENDPOINT_SIZE;
}

/**
 * pcn_ring_offset - where a ring's data is in its lane
 * @l:		the layout
 * @channel:	its channel; PCN_CHANNELS: the end of the lane
 *
 * Context: any.
 * Return: offset in bytes.
 */
static inline u64 pcn_ring_offset(const struct pcn_window_layout *l, u32 channel)
{
	u64 offset = PCN_LANE_HEAD + PCN_RING_HEAD;
	u32 i;

	for (i = 0; i < channel; i++)
		offset += (1ULL << l->ring_order[i]) + PCN_RING_HEAD;
	return channel < PCN_CHANNELS ? offset : offset - PCN_RING_HEAD;
}

/**
 * pcn_lane_offset - where the lane from one kernel to another one is
 * @l:		the layout
 * @from:	rank of the producer among the kernels that there are, from 0
 * @to:		rank of the consumer
 *
 * Context: any.
 * Return: offset in bytes.
 */
static inline u64 pcn_lane_offset(const struct pcn_window_layout *l, u32 from, u32 to)
{
	u64 lane = (u64)from * (l->kernels - 1) + (to > from ? to - 1 : to);

	return pcn_endpoint_offset(l, l->areas) +
	       lane * pcn_ring_offset(l, PCN_CHANNELS);
}

/** pcn_window_layout_size - bytes of a window with this layout */
static inline u64 pcn_window_layout_size(const struct pcn_window_layout *l)
{
	return pcn_endpoint_offset(l, l->areas) + (u64)l->kernels *
	       (l->kernels - 1) * pcn_ring_offset(l, PCN_CHANNELS);
}

/** pcn_window_default_layout - the layout that a number of kernels gets unasked */
static inline struct pcn_window_layout pcn_window_default_layout(u32 areas, u32 kernels)
{
	return pcn_window_layout_of(areas, kernels, pcn_window_default_level(kernels));
}

/** pcn_window_fitting_layout - the roomiest layout in @size bytes; at least level 0 */
static inline struct pcn_window_layout pcn_window_fitting_layout(u32 areas, u32 kernels,
								 u64 size)
{
	struct pcn_window_layout l = pcn_window_layout_of(areas, kernels, 0), more;
	u32 level;

	for (level = 1; level < PCN_WINDOW_LEVELS; level++) {
		more = pcn_window_layout_of(areas, kernels, level);
		if (pcn_window_layout_size(&more) > size)
			break;
		l = more;
	}
	return l;
}

#endif /* _POPCORN_WINDOW_LAYOUT_H */

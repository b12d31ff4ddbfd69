/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _CHECK_LINUX_BITOPS_H
#define _CHECK_LINUX_BITOPS_H

#include <linux/bits.h>
#include <linux/types.h>

static inline unsigned int __ffs64(u64 mask)
{
	return __builtin_ctzll(mask);
}

static inline unsigned int hweight64(u64 mask)
{
	return __builtin_popcountll(mask);
}

static inline unsigned int fls64(u64 mask)
{
	return mask ? 64 - __builtin_clzll(mask) : 0;
}

#endif

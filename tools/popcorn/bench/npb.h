/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The random numbers of the NAS Parallel Benchmarks: x' = a x mod 2^46 with
 * a = 5^13, of which x 2^-46 in (0, 1) is the number. 46 bits of a product are
 * the same in 64-bit integers that wrap, and all of them fit a double, so this
 * gives the very bits of NPB's randlc(), which does it in halves of 23 bits.
 */
#ifndef NPB_H
#define NPB_H

#include <stdint.h>

#define NPB_A		1220703125ULL		/* 5^13 */
#define NPB_MASK	((1ULL << 46) - 1)

static inline double npb_random(uint64_t *x)
{
	*x = *x * NPB_A & NPB_MASK;
	return *x * 0x1p-46;
}

/* The state @n numbers after @x. */
static inline uint64_t npb_skip(uint64_t x, uint64_t n)
{
	uint64_t power = NPB_A;

	for (; n; n >>= 1) {
		if (n & 1)
			x = x * power & NPB_MASK;
		power = power * power & NPB_MASK;
	}
	return x;
}

#endif

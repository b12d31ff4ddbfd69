// SPDX-License-Identifier: GPL-2.0
/*
 * A radix sort of 2^n keys of 30 bits, in three passes over ten bits each. In each pass
 * a thread counts its keys, reads the counts of all, and stores its keys where they
 * belong: into 1024 places all over an array that all threads store into.
 *
 * After RADIX of Splash-2: Woo et al., The SPLASH-2 Programs, ISCA 1995.
 *
 *	radix [-n LOG2] [-t THREADS] [-r REPEAT] [-p KID,...] [-b KIND] [-v]
 *
 * LOG2 is from 10 to 26, 18 unless said. The time is that of the three passes.
 * Verification: the keys are in order, and the sum of a function of them has not
 * changed.
 */
#include <err.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "npb.h"

#define SEED		314159265ULL
#define DIGIT_BITS	10
#define DIGITS		(1u << DIGIT_BITS)
#define PASSES		3u
#define KEY_RANGE	(1u << (PASSES * DIGIT_BITS))
#define IN_PAGE		(PAGE / sizeof(uint32_t))
#define IN_LINE		16

static struct {
	size_t		keys;
	uint32_t	*array[2];	/* each pass sorts from one to the other */
} page_aligned radix;

/* A page of counts that all threads read, then what is a thread's own */
static struct part {
	uint32_t	count[DIGITS];	/* of each digit among its keys */
	uint32_t	next[DIGITS];	/* where its next key with the digit goes */
	uint64_t	before, after;	/* sums over keys and sorted ones */
	bool		in_order;
} page_aligned parts[THREADS_MAX];

static struct span my_keys(unsigned int me)
{
	return bench_share(radix.keys, IN_PAGE, IN_LINE, me);
}

static uint64_t mix(uint32_t key)
{
	return (key + 1ULL) * (key + 1ULL);
}

/* Zeros in the other array: no memory is used for the first time while it is sorted. */
static void make_keys(unsigned int me)
{
	struct span s = my_keys(me);
	uint64_t state = npb_skip(SEED, s.first);

	parts[me].before = 0;
	for (; s.first < s.end; s.first++) {
		uint32_t key = KEY_RANGE * npb_random(&state);

		radix.array[0][s.first] = key;
		radix.array[1][s.first] = 0;
		parts[me].before += mix(key);
	}
}

static unsigned int digit_of(uint32_t key, unsigned int pass)
{
	return key >> pass * DIGIT_BITS & (DIGITS - 1);
}

static void count_digits(unsigned int me, unsigned int pass)
{
	const uint32_t *from = radix.array[pass % 2];
	uint32_t *count = parts[me].count;
	struct span s = my_keys(me);

	memset(count, 0, sizeof(parts[me].count));
	for (; s.first < s.end; s.first++)
		count[digit_of(from[s.first], pass)]++;
}

/* Keys with a digit follow those with lower digits, and those of lower threads. */
static void find_places(unsigned int me)
{
	uint32_t place = 0;
	unsigned int d, i;

	for (d = 0; d < DIGITS; d++) {
		for (i = 0; i < bench.threads; i++) {
			if (i == me)
				parts[me].next[d] = place;
			place += parts[i].count[d];
		}
	}
}

static void scatter_keys(unsigned int me, unsigned int pass)
{
	const uint32_t *from = radix.array[pass % 2];
	uint32_t *to = radix.array[(pass + 1) % 2];
	uint32_t *next = parts[me].next;
	struct span s = my_keys(me);

	for (; s.first < s.end; s.first++) {
		uint32_t place = next[digit_of(from[s.first], pass)]++;

		if (place < radix.keys)		/* or the counts are wrong */
			to[place] = from[s.first];
	}
}

static void sort_by_digit(unsigned int me, unsigned int pass)
{
	count_digits(me, pass);
	bench_barrier(me);
	find_places(me);
	scatter_keys(me, pass);
	bench_barrier(me);
}

static void check_order(unsigned int me)
{
	const uint32_t *sorted = radix.array[PASSES % 2];
	struct span s = my_keys(me);
	struct part *p = &parts[me];
	size_t i;

	p->after = 0;
	p->in_order = true;
	for (i = s.first; i < s.end; i++) {
		p->after += mix(sorted[i]);
		p->in_order &= !i || sorted[i - 1] <= sorted[i];
	}
}

static void work(unsigned int me)
{
	unsigned int pass;

	make_keys(me);
	bench_start(me);
	for (pass = 0; pass < PASSES; pass++)
		sort_by_digit(me, pass);
	bench_stop(me);
	check_order(me);
}

static bool verify(void)
{
	uint64_t before = 0, after = 0;
	bool in_order = true;
	unsigned int i;

	for (i = 0; i < bench.threads; i++) {
		before += parts[i].before;
		after += parts[i].after;
		in_order &= parts[i].in_order;
	}
	printf("radix: the keys are %ssorted, sum %llu\n", in_order ? "" : "not ",
	       (unsigned long long)after);
	return in_order && before == after;
}

static unsigned int keys_log2 = 18;

static void take(int option, const char *value)
{
	if (option == 'n')
		keys_log2 = bench_number(value, 10, 26);
}

int main(int argc, char **argv)
{
	char what[24];

	if (bench_options(argc, argv, "n:r:", take, "[-n LOG2] [-r REPEAT]") < argc)
		errx(2, "what is %s?", argv[argc - 1]);
	radix.keys = 1UL << keys_log2;
	radix.array[0] = bench_pages(radix.keys * sizeof(uint32_t));
	radix.array[1] = bench_pages(radix.keys * sizeof(uint32_t));
	snprintf(what, sizeof(what), "2^%u keys", keys_log2);
	return bench_main(what, work, verify);
}

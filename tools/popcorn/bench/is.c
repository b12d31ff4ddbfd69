// SPDX-License-Identifier: GPL-2.0
/*
 * IS, "integer sort", of the NAS Parallel Benchmarks: ten times the rank of each
 * of many small keys by counting. All threads read what all have counted: every
 * page of counts travels in every iteration, and nothing else is done.
 *
 * Definition: Bailey et al., The NAS Parallel Benchmarks, RNR-94-007, section
 * 2.5; partial verification (the ranks of five keys in each iteration) and its
 * numbers for classes S, W and A are NPB's own, and so is the full one: the
 * keys, put where their ranks say, are sorted. T is a class of ours with 2^12
 * keys; its five ranks are counted one by one.
 *
 *	is [-c T|S|W|A] [-t THREADS] [-r REPEAT] [-p KID,...] [-b KIND] [-v]
 *
 * Each thread counts its keys in memory of its own. Then each has a range of
 * key values, for which it adds up the counts of all.
 */
#include <err.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "npb.h"

#define SEED		314159265ULL
#define ITERATIONS	10u
#define TESTS		5u
#define IN_PAGE		(PAGE / sizeof(uint32_t))
#define IN_LINE		16

struct class {
	char		name;
	unsigned int	keys_log2, values_log2;
	uint32_t	index[TESTS];
	uint32_t	rank[TESTS];
	/* The rank in iteration i is rank + i - shift, or rank - i + shift. */
	unsigned int	rising;		/* of the tests, from the first */
	int		shift;
};

static const struct class classes[] = {
	{ 'T', 12, 9, { 100, 1111, 2222, 3333, 4000 }, { 0 }, 0, 0 },
	{ 'S', 16, 11, { 48427, 17148, 23627, 62548, 4431 },
	  { 0, 18, 346, 64917, 65463 }, 3, 0 },
	{ 'W', 20, 16, { 357773, 934767, 875723, 898999, 404505 },
	  { 1249, 11698, 1039987, 1043896, 1048018 }, 2, 2 },
	{ 'A', 23, 19, { 2112377, 662041, 5336171, 3642833, 4250760 },
	  { 104, 17523, 123928, 8288932, 8388264 }, 3, 1 },
};

/* What is a thread's own, on a page of its own */
struct part {
	uint32_t	*count;		/* of each value among its keys */
	uint32_t	total;		/* keys with a value of its range */
	bool		in_order;
	uint64_t	before, after;	/* sums over keys and sorted ones */
} page_aligned;

static struct {
	const struct class *class;
	size_t		keys, values;
	uint32_t	*key;
	uint32_t	*start;		/* of each value: how many keys are below */
	uint32_t	*sorted;
} page_aligned is;

static struct part parts[THREADS_MAX];

/* Thread 0's */
static struct {
	uint32_t	value[TESTS];
	unsigned int	passed;
} page_aligned test;

static struct span my_keys(unsigned int me)
{
	return bench_share(is.keys, IN_PAGE, IN_LINE, me);
}

static struct span my_values(unsigned int me)
{
	return bench_share(is.values, IN_PAGE, IN_LINE, me);
}

static void make_keys(unsigned int me)
{
	struct span s = my_keys(me);
	uint64_t state = npb_skip(SEED, 4 * s.first);
	double quarter = is.values / 4;
	unsigned int k;

	for (; s.first < s.end; s.first++) {
		double sum = 0;

		for (k = 0; k < 4; k++)
			sum += npb_random(&state);
		is.key[s.first] = quarter * sum;
	}
}

/* NPB changes two keys in each iteration, so that it has to rank them anew. */
static void change_keys(unsigned int iteration)
{
	unsigned int i;

	is.key[iteration] = iteration;
	is.key[iteration + ITERATIONS] = is.values - iteration;
	for (i = 0; i < TESTS; i++)
		test.value[i] = is.key[is.class->index[i]];
}

static void count_mine(unsigned int me)
{
	struct span s = my_keys(me);
	uint32_t *count = parts[me].count;

	memset(count, 0, is.values * sizeof(*count));
	for (; s.first < s.end; s.first++)
		count[is.key[s.first]]++;
}

/* How many keys of this thread's range of values are below each of them. */
static void add_counts(unsigned int me)
{
	struct span s = my_values(me);
	uint32_t total = 0;
	unsigned int i;

	for (; s.first < s.end; s.first++) {
		is.start[s.first] = total;
		for (i = 0; i < bench.threads; i++)
			total += parts[i].count[s.first];
	}
	parts[me].total = total;
}

static void add_lower_ranges(unsigned int me)
{
	struct span s = my_values(me);
	uint32_t lower = 0;
	unsigned int i;

	for (i = 0; i < me; i++)
		lower += parts[i].total;
	for (; lower && s.first < s.end; s.first++)
		is.start[s.first] += lower;
}

/* The slow way, for the class that NPB has no ranks for. */
static uint32_t count_below(uint32_t value)
{
	uint32_t below = 0;
	size_t i;

	for (i = 0; i < is.keys; i++)
		below += is.key[i] < value;
	return below;
}

static uint32_t wanted_rank(unsigned int i, unsigned int iteration)
{
	const struct class *class = is.class;
	int change = (int)iteration - class->shift;

	if (class->name == 'T')
		return count_below(test.value[i]);
	if (i < class->rising)
		return class->rank[i] + change;
	/* Class W has a shift for those that rise only. */
	return class->rank[i] - (class->name == 'W' ? (int)iteration : change);
}

static void test_ranks(unsigned int iteration)
{
	unsigned int i;

	for (i = 0; i < TESTS; i++)
		test.passed += is.start[test.value[i]] ==
			       wanted_rank(i, iteration);
}

static void rank_keys(unsigned int me, unsigned int iteration)
{
	if (!me)
		change_keys(iteration);
	bench_barrier(me);
	count_mine(me);
	bench_barrier(me);
	add_counts(me);
	bench_barrier(me);
	add_lower_ranges(me);
	bench_barrier(me);
	if (!me)
		test_ranks(iteration);
}

static uint64_t mix(uint32_t key)
{
	return (key + 1ULL) * (key + 1ULL);
}

static uint32_t end_of(size_t value)
{
	return value < is.values ? is.start[value] : is.keys;
}

/* Each thread takes the keys of its values from among all. */
static void sort_keys(unsigned int me)
{
	struct span s = my_values(me);
	uint32_t *next = parts[me].count;
	size_t i, v;

	for (v = s.first; v < s.end; v++)
		next[v] = is.start[v];
	for (i = 0; i < is.keys; i++) {
		uint32_t key = is.key[i];

		if (key >= s.first && key < s.end && next[key] < is.keys)
			is.sorted[next[key]++] = key;
	}
	parts[me].in_order = true;
	for (v = s.first; v < s.end; v++)
		parts[me].in_order &= next[v] == end_of(v + 1);
}

static void check_order(unsigned int me)
{
	struct part *p = &parts[me];
	struct span s = my_keys(me);
	size_t i;

	p->before = 0;
	p->after = 0;
	for (i = s.first; i < s.end; i++) {
		p->before += mix(is.key[i]);
		p->after += mix(is.sorted[i]);
		p->in_order &= !i || is.sorted[i - 1] <= is.sorted[i];
	}
}

static void work(unsigned int me)
{
	unsigned int i;

	make_keys(me);
	bench_barrier(me);
	rank_keys(me, 1);
	bench_barrier(me);
	if (!me)
		test.passed = 0;
	bench_start(me);
	for (i = 1; i <= ITERATIONS; i++)
		rank_keys(me, i);
	bench_stop(me);
	sort_keys(me);
	bench_barrier(me);
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
	printf("is: %u of %u ranks are right, the keys are %ssorted, sum %llu\n",
	       test.passed, TESTS * ITERATIONS, in_order ? "" : "not ",
	       (unsigned long long)after);
	return test.passed == TESTS * ITERATIONS && in_order && before == after;
}

static void set_up(const struct class *class)
{
	unsigned int i;

	is.class = class;
	is.keys = 1UL << class->keys_log2;
	is.values = 1UL << class->values_log2;
	is.key = bench_pages(is.keys * sizeof(*is.key));
	is.sorted = bench_pages(is.keys * sizeof(*is.sorted));
	is.start = bench_pages(is.values * sizeof(*is.start));
	for (i = 0; i < bench.threads; i++)
		parts[i].count = bench_pages(is.values * sizeof(uint32_t));
}

int main(int argc, char **argv)
{
	const struct class *class;
	char what[16];

	if (bench_options(argc, argv, "c:r:", NULL,
			  "[-c T|S|W|A] [-r REPEAT]") < argc)
		errx(2, "what is %s?", argv[argc - 1]);
	for (class = classes; class->name != bench.class; class++)
		;
	set_up(class);
	snprintf(what, sizeof(what), "class %c", class->name);
	return bench_main(what, work, verify);
}

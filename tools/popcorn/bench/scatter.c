// SPDX-License-Identifier: GPL-2.0
/*
 * Stores to random words of 1 MiB by all threads: no page is any thread's own, and no
 * order of the stores would make it so.
 *
 *	scatter [-n STORES] [-t THREADS] [-r REPEAT] [-p KID,...] [-b KIND] [-v]
 *
 * STORES is the sum for all threads, 1048576 unless said. A store has a number, from which
 * its word follows, and stores that number. Verification: a word has the number of a
 * store to it, which is the last one that its thread has made there; and a word without
 * stores has none.
 */
#include <err.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

#define SIZE		(1UL << 20)
#define WORDS		(SIZE / sizeof(uint64_t))
#define STORES_MAX	(1UL << 30)

static struct {
	size_t		stores;
	uint64_t	*words;
} page_aligned scatter = { .stores = 1UL << 20 };

static struct span my_stores(unsigned int me)
{
	return (struct span) {
		.first = scatter.stores * me / bench.threads,
		.end = scatter.stores * (me + 1) / bench.threads,
	};
}

/* Where the store with this number goes: the finalizer of SplitMix64. */
static size_t word_of(uint64_t store)
{
	uint64_t x = store * 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return (x ^ x >> 31) % WORDS;
}

static void clear_mine(unsigned int me)
{
	struct span s = bench_share(WORDS, PAGE / sizeof(uint64_t), 1, me);

	memset(&scatter.words[s.first], 0, (s.end - s.first) * sizeof(uint64_t));
}

/* Numbers in memory begin with 1. */
static void work(unsigned int me)
{
	struct span s = my_stores(me);

	clear_mine(me);
	bench_start(me);
	for (; s.first < s.end; s.first++)
		__atomic_store_n(&scatter.words[word_of(s.first)], s.first + 1,
				 __ATOMIC_RELAXED);
	bench_stop(me);
}

/* How many of the words have the number of a store that goes elsewhere? */
static size_t count_strangers(void)
{
	size_t i, strangers = 0;

	for (i = 0; i < WORDS; i++) {
		uint64_t number = scatter.words[i];

		strangers += number && (number > scatter.stores ||
					word_of(number - 1) != i);
	}
	return strangers;
}

/* How many of a thread's stores have nothing, or an earlier one of its own, in their word? */
static size_t count_lost(struct span s)
{
	size_t i, lost = 0;

	for (i = s.first; i < s.end; i++) {
		uint64_t number = scatter.words[word_of(i)];

		lost += number <= i && (!number || number > s.first);
	}
	return lost;
}

static size_t count_used(void)
{
	size_t i, used = 0;

	for (i = 0; i < WORDS; i++)
		used += !!scatter.words[i];
	return used;
}

static bool verify(void)
{
	size_t strangers = count_strangers(), lost = 0;
	unsigned int i;

	for (i = 0; i < bench.threads; i++)
		lost += count_lost(my_stores(i));
	printf("scatter: %zu of %zu words are used, %zu are wrong, %zu stores are lost\n",
	       count_used(), WORDS, strangers, lost);
	return !strangers && !lost;
}

static void take(int option, const char *value)
{
	if (option == 'n')
		scatter.stores = bench_number(value, 1, STORES_MAX);
}

int main(int argc, char **argv)
{
	char what[32];

	if (bench_options(argc, argv, "n:r:", take, "[-n STORES] [-r REPEAT]") < argc)
		errx(2, "what is %s?", argv[argc - 1]);
	scatter.words = bench_pages(SIZE);
	snprintf(what, sizeof(what), "%zu stores", scatter.stores);
	return bench_main(what, work, verify);
}

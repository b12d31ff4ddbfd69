// SPDX-License-Identifier: GPL-2.0
/*
 * False sharing: each thread adds to its own word of one page, again and again, for a
 * time. No thread needs anything of another one, and all need the page.
 *
 *	share [-m MS] [-t THREADS] [-r REPEAT] [-p KID,...] [-b KIND] [-v]
 *
 * MS is how long, in milliseconds, 200 unless said. The line "# share: N increments/s"
 * has the sum of what the threads have reached. Verification: each word is what its
 * thread has counted elsewhere.
 */
#include <err.h>
#include <stdio.h>

#include "bench.h"

/* Additions between two looks at the clock */
#define BATCH	1024

static struct {
	unsigned long	ms;
} page_aligned options = { 200 };

static struct {
	uint64_t	word[THREADS_MAX];
} page_aligned page;

/* What is a thread's own, on a page of its own */
static struct part {
	uint64_t	counted, ns;
} page_aligned parts[THREADS_MAX];

/* A load and a store each time: the compiler must not add a batch at once. */
static void add_batch(uint64_t *word)
{
	unsigned int i;

	for (i = 0; i < BATCH; i++)
		__atomic_store_n(word, __atomic_load_n(word, __ATOMIC_RELAXED) + 1,
				 __ATOMIC_RELAXED);
}

static void work(unsigned int me)
{
	uint64_t began, now, end, counted = 0;

	page.word[me] = 0;
	bench_start(me);
	began = bench_now();
	end = began + options.ms * 1000000;
	do {
		add_batch(&page.word[me]);
		counted += BATCH;
		now = bench_now();
	} while (now < end);
	bench_stop(me);
	parts[me] = (struct part) { counted, now - began };
}

static bool verify(void)
{
	bool right = true;
	double rate = 0;
	unsigned int i;

	for (i = 0; i < bench.threads; i++) {
		right &= page.word[i] == parts[i].counted;
		rate += parts[i].counted * 1e9 / parts[i].ns;
	}
	printf("# share: %.0f increments/s\n", rate);
	return right;
}

static void take(int option, const char *value)
{
	if (option == 'm')
		options.ms = bench_number(value, 1, 1000000);
}

int main(int argc, char **argv)
{
	char what[16];

	if (bench_options(argc, argv, "m:r:", take, "[-m MS] [-r REPEAT]") < argc)
		errx(2, "what is %s?", argv[argc - 1]);
	snprintf(what, sizeof(what), "%lu ms", options.ms);
	return bench_main(what, work, verify);
}

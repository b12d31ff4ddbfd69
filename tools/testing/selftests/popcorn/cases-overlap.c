// SPDX-License-Identifier: GPL-2.0
/*
 * Two threads change the layout of the same addresses at once. Prints TAP.
 *
 *	cases-overlap KID [ROUNDS]
 *
 * A thread that is away writes pages. Then two threads at home act at about the same time:
 * one protects the pages anew, and while what is in them is being fetched for that the other
 * one moves them elsewhere. Wherever they are afterwards, they are what was written.
 */
#define _GNU_SOURCE
#include <pthread.h>

#include "cases.h"

#define PAGES	128
#define SIZE	(PAGES * PAGE)
#define STEP_US	50	/* by so much later the second one begins in each round */
#define STEPS	20

static long rounds = 60;
static char *range, *there;
static pthread_barrier_t ready;
static long lost, failures;

static volatile long *word(char *base, unsigned int page)
{
	return (volatile long *)(base + page * PAGE);
}

static void write_all(long value)
{
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		*word(range, i) = value + i;
}

static void look_at_all(char *base, long value)
{
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		lost += *word(base, i) != value + i;
}

static void *writer(void *arg)
{
	long i;

	failures += !away();
	for (i = 1; i <= rounds; i++) {
		write_all(i * PAGES);
		pthread_barrier_wait(&ready);
		/* They change it. */
		pthread_barrier_wait(&ready);
	}
	home();
	return arg;
}

/* It finds nothing if the other one has been faster. */
static void *protector(void *arg)
{
	long i;

	for (i = 1; i <= rounds; i++) {
		pthread_barrier_wait(&ready);
		if (mprotect(range, SIZE, PROT_READ | PROT_WRITE) && errno != ENOMEM)
			failures++;
		pthread_barrier_wait(&ready);
	}
	return arg;
}

static bool move(char *from, char *to)
{
	return mremap(from, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to;
}

static void mover(void)
{
	long i;

	for (i = 1; i <= rounds; i++) {
		pthread_barrier_wait(&ready);
		usleep(i % STEPS * STEP_US);
		failures += !move(range, there);
		look_at_all(there, i * PAGES);
		failures += !move(there, range);
		pthread_barrier_wait(&ready);
	}
}

static bool keeps(void)
{
	pthread_t threads[2];

	range = mmap(NULL, 2 * SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (range == MAP_FAILED)
		return false;
	there = range + SIZE;
	pthread_barrier_init(&ready, NULL, 3);
	if (pthread_create(&threads[0], NULL, writer, NULL) ||
	    pthread_create(&threads[1], NULL, protector, NULL))
		return false;
	mover();
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	printf("# %ld rounds, %ld pages lost, %ld calls failed\n", rounds, lost, failures);
	return !lost && !failures;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	where = argv[1];
	if (argc > 2)
		rounds = atol(argv[2]);
	printf("1..1\n");
	result(in_child(keeps), "pages that are protected and moved at once keep what is in them");
	return 0;
}

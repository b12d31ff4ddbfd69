// SPDX-License-Identifier: GPL-2.0
/*
 * Addresses that one thread gives up and another one gets. Prints TAP.
 *
 *	cases-reuse KID [ROUNDS]
 *
 * Two threads, one of them away, map memory wherever Linux puts it, write it and unmap
 * it, again and again: so each gets addresses that the other one has just given up. Each
 * mapping must be zeros.
 */
#define _GNU_SOURCE
#include <pthread.h>

#include "cases.h"

#define PAGES	4

static long rounds = 1500;
static long old_words, failures;

static void try_mapping(long value)
{
	volatile long *p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int i;

	if (p == MAP_FAILED) {
		__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
		return;
	}
	for (i = 0; i < PAGES; i++) {
		if (p[i * PAGE / sizeof(*p)])
			__atomic_add_fetch(&old_words, 1, __ATOMIC_RELAXED);
		p[i * PAGE / sizeof(*p)] = value;
	}
	if (munmap((void *)p, PAGES * PAGE))
		__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
}

static void *thread(void *is_away)
{
	long i;

	if (is_away && !away())
		__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
	for (i = 1; i <= rounds; i++)
		try_mapping(i);
	if (is_away)
		home();
	return NULL;
}

static bool are_zeros(void)
{
	pthread_t other;

	if (pthread_create(&other, NULL, thread, &rounds))
		return false;
	thread(NULL);
	pthread_join(other, NULL);
	printf("# %ld rounds, %ld pages were not zeros, %ld calls failed\n", rounds,
	       old_words, failures);
	return !old_words && !failures;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	where = argv[1];
	if (argc > 2)
		rounds = atol(argv[2]);
	printf("1..1\n");
	result(in_child(are_zeros), "new mappings are zeros");
	return 0;
}

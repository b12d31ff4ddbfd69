// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that hop from kernel to kernel, and count together.
 *
 *	hop THREADS KID,KID,... HOPS [together]
 *
 * Thread i makes HOPS migrations along the list, starting at its i-th entry. At each
 * stop it adds to a counter under a mutex, to one by an atomic operation, and to one
 * of its own; and allocates memory that another thread frees. Exit status 0 if the
 * sums are right.
 *
 * Together: all start at the first entry, and go on when the last has come. So each
 * kernel once has as many of them as it can ever have.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NR_MIGRATE	548
#define MAX_THREADS	256
#define MAX_KERNELS	64

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long locked, atomic;
static pthread_barrier_t barrier;
static int list[MAX_KERNELS], kernels, hops;
static bool together;
static char *shelf;

/* Take what another thread has left there, and leave something new. */
static void swap_memory(int round)
{
	char *p = malloc(64 + round % 1000);

	p[0] = round;
	free(__atomic_exchange_n(&shelf, p, __ATOMIC_ACQ_REL));
}

static void *hop(void *arg)
{
	int i, first = together ? 0 : (intptr_t)arg;
	long own = 0;

	for (i = 0; i < hops; i++) {
		if (syscall(NR_MIGRATE, list[(first + i) % kernels], 0)) {
			perror("popcorn_migrate");
			exit(1);
		}
		if (together)
			pthread_barrier_wait(&barrier);
		pthread_mutex_lock(&mutex);
		locked++;
		pthread_mutex_unlock(&mutex);
		__atomic_add_fetch(&atomic, 1, __ATOMIC_RELAXED);
		swap_memory(i);
		own++;
	}
	return (void *)own;
}

int main(int argc, char **argv)
{
	pthread_t threads[MAX_THREADS];
	long sum = 0, wanted;
	int i, count;
	char *word;
	void *own;

	together = argc == 5 && !strcmp(argv[4], "together");
	if (argc != 4 + together || atoi(argv[1]) > MAX_THREADS) {
		fputs("usage: hop THREADS KID,KID,... HOPS [together]\n", stderr);
		return 2;
	}
	count = atoi(argv[1]);
	for (word = strtok(argv[2], ","); word; word = strtok(NULL, ","))
		list[kernels++ % MAX_KERNELS] = atoi(word);
	hops = atoi(argv[3]);
	pthread_barrier_init(&barrier, NULL, count);
	for (i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, hop, (void *)(intptr_t)i))
			return 1;
	for (i = 0; i < count; i++) {
		pthread_join(threads[i], &own);
		sum += (long)own;
	}
	wanted = (long)count * hops;
	printf("%d threads, %d hops each: %ld, %ld, %ld of %ld\n", count, hops,
	       locked, atomic, sum, wanted);
	return locked != wanted || atomic != wanted || sum != wanted;
}

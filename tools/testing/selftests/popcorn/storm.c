// SPDX-License-Identifier: GPL-2.0
/*
 * Threads on several kernels map and unmap memory, all the time.
 *
 *	storm KID,KID,... THREADS SECONDS	they do that; exit status 0 if each did
 *	storm -w KID,KID,... THREADS [spin]	they go there and wait, or yield, until
 *						they are killed
 *
 * Thread i goes to the i-th kernel of the list, which is repeated. When all are there,
 * this says "ready", and how many there are.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "selftest.h"

#define MAX_THREADS	4096

static pthread_t threads[MAX_THREADS];
static unsigned long rounds[MAX_THREADS];
static int kids[MAX_KERNELS], kernels, arrived, line[2];
static bool stop, spin;

/* Nobody waits for one that does not. */
static void arrive(uintptr_t me)
{
	if (go(kids[me % kernels])) {
		fprintf(stderr, "thread %lu: %s\n", (unsigned long)me, strerror(errno));
		exit(1);
	}
	__atomic_add_fetch(&arrived, 1, __ATOMIC_RELEASE);
}

static bool is_filled(const volatile uint64_t *p, uint64_t value)
{
	int i;

	for (i = 0; i < 8; i++)
		if (p[i * WORDS] != value)
			return false;
	return true;
}

/* One round: new memory is zeros, keeps what is written, and goes. */
static bool map_and_unmap(uint64_t value)
{
	volatile uint64_t *p = map(8);
	int i;

	if (!p || !is_filled(p, 0))
		return false;
	for (i = 0; i < 8; i++)
		p[i * WORDS] = value;
	return is_filled(p, value) && !mprotect((void *)p, 4 * PAGE, PROT_READ) &&
	       is_filled(p, value) && !madvise((void *)p, 8 * PAGE, MADV_DONTNEED) &&
	       is_filled(p, 0) && !munmap((void *)p, 8 * PAGE);
}

static void *storm(void *arg)
{
	uintptr_t me = (uintptr_t)arg;

	arrive(me);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		if (!map_and_unmap(me << 32 | rounds[me])) {
			fprintf(stderr, "thread %lu, round %lu: wrong\n",
				(unsigned long)me, rounds[me]);
			exit(1);
		}
		rounds[me]++;
	}
	return NULL;
}

static void *wait_there(void *arg)
{
	char c;

	arrive((uintptr_t)arg);
	while (spin)
		syscall(SYS_sched_yield);
	return read(line[0], &c, 1) == 1 ? arg : NULL;
}

static int start(int count, void *(*run)(void *))
{
	pthread_attr_t a;
	uintptr_t i;

	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 16384);
	for (i = 0; i < (uintptr_t)count; i++)
		if (pthread_create(&threads[i], &a, run, (void *)i))
			break;
	while (__atomic_load_n(&arrived, __ATOMIC_ACQUIRE) < (int)i)
		usleep(10000);
	printf("ready %d\n", arrived);
	fflush(stdout);
	return i;
}

static int end_storm(int count)
{
	unsigned long sum = 0, least = -1UL;
	int i;

	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < count; i++) {
		pthread_join(threads[i], NULL);
		sum += rounds[i];
		least = rounds[i] < least ? rounds[i] : least;
	}
	printf("storm: %d threads, %lu rounds, %lu at least\n", count, sum, least);
	return !least;
}

int main(int argc, char **argv)
{
	bool waits = argc > 1 && !strcmp(argv[1], "-w");
	int count;

	if (argc < 4 || argc > 5)
		return 2;
	argv += waits;
	argc -= waits;
	kernels = read_kids(argv[1], kids);
	count = atoi(argv[2]);
	if (count < 1 || count > MAX_THREADS || (!waits && argc != 4) || pipe(line))
		return 2;
	if (!waits) {
		start(count, storm);
		sleep(atoi(argv[3]));
		return end_storm(count);
	}
	spin = argc == 4;
	if (start(count, wait_there) != count)
		return 1;
	for (;;)
		sleep(1000);
}

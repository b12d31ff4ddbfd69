// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that use memory while the kernel moves, merges and swaps it. Prints TAP.
 *
 *	cases-ksm KID,KID,... SECONDS [WORD]...
 *
 * Each thread counts in pages of its own, which may be equal to others' pages, and
 * reads those of the next one. Words: merge (KSM, which has to be on), huge, pageout, compact, refs, fork.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>

#include "cases.h"

#define THREADS	4
#define OWN	768UL
#define ALL	(THREADS * OWN)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static volatile unsigned int *memory;
static unsigned int counts[THREADS][OWN];
static int kids[MAX_KERNELS], kernels;
static bool stop;
static unsigned long wrong, rounds;

static volatile unsigned int *page_of(unsigned long thread, unsigned long i)
{
	return memory + (i * THREADS + thread) * (PAGE / 4);
}

static bool is_counted(const volatile unsigned int *p, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < PAGE / 4; i += 61)
		if (p[i] != n * 3 + (n ? i : 0))
			return false;
	return true;
}

static void count(unsigned long me, unsigned long i)
{
	volatile unsigned int *p = page_of(me, i);
	unsigned int n = counts[me][i], w;

	if (!is_counted(p, n))
		__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
	n = (n + 1) % 4;
	for (w = 0; w < PAGE / 4; w += 61)
		p[w] = n * 3 + (n ? w : 0);
	counts[me][i] = n;
}

static void *work(void *arg)
{
	unsigned long me = (uintptr_t)arg;
	unsigned int seed = me + 1;

	if (kernels && go(kids[me % kernels]))
		__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		seed = seed * 1103515245 + 12345;
		count(me, (seed >> 8) % OWN);
		(void)*page_of((me + 1) % THREADS, (seed >> 16) % OWN);
		__atomic_add_fetch(&rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		printf("# %s: %s\n", name, strerror(errno));
	close(fd);
}

static void disturb(const char *what, unsigned int *seed)
{
	char *at;

	*seed = *seed * 1103515245 + 12345;
	at = (char *)memory + (*seed >> 8) % (ALL - 64) * PAGE;
	if (!strcmp(what, "pageout"))
		madvise(at, 64 * PAGE, MADV_PAGEOUT);
	else if (!strcmp(what, "huge"))
		madvise((void *)memory, 1 << 21, MADV_COLLAPSE);
	else if (!strcmp(what, "compact"))
		put("/proc/sys/vm/compact_memory", "1");
	else if (!strcmp(what, "refs"))
		put("/proc/self/clear_refs", "1");
	else if (!strcmp(what, "fork") && !fork())
		_exit(0);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void prepare(int argc, char **argv)
{
	char *p = map(ALL + 1024);
	int i;

	memory = (void *)(((uintptr_t)p + (1UL << 21) - 1) & -(1UL << 21));
	for (i = 3; i < argc; i++) {
		if (!strcmp(argv[i], "merge"))
			madvise((void *)memory, ALL * PAGE, MADV_MERGEABLE);
		if (!strcmp(argv[i], "huge"))
			madvise((void *)memory, ALL * PAGE, MADV_HUGEPAGE);
	}
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	unsigned int seed = 9;
	uintptr_t i;
	time_t end;
	int n;

	if (argc < 3)
		return 2;
	kernels = strcmp(argv[1], "-") ? read_kids(argv[1], kids) : 0;
	printf("1..1\n");
	fflush(stdout);
	prepare(argc, argv);
	for (i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work, (void *)i);
	end = time(NULL) + atoi(argv[2]);
	while (time(NULL) < end) {
		for (n = 3; n < argc; n++)
			disturb(argv[n], &seed);
		usleep(1000);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("# %lu rounds, %lu wrong\n", rounds, wrong);
	result(!wrong && rounds, argc > 3 ? argv[3] : "alone");
	return 0;
}

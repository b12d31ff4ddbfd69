// SPDX-License-Identifier: GPL-2.0
/*
 * A file is truncated below a private mapping: what was there is gone when the call
 * returns, on all kernels, and what is written after it stays. Prints TAP.
 *
 *	cases-torn KID|-
 *
 * Another thread changes the layout meanwhile, so that those who truncate have to wait.
 */
#define _GNU_SOURCE
#include <pthread.h>

#include "cases.h"

#define ROUNDS	200
#define LOOKS	300
#define PAGES	4UL

static volatile unsigned int *file, *other;
static int fd;
static bool stop;

static void *change(void *arg)
{
	int prot = PROT_READ;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		prot ^= PROT_WRITE;
		mprotect((void *)other, PAGE, prot);
	}
	return arg;
}

/* Is what was written after the truncation still there after a while? */
static bool stays(unsigned int i)
{
	unsigned int k;

	for (k = 0; k < LOOKS; k++) {
		if (*file != i) {
			printf("# round %u: %u\n", i, *file);
			return false;
		}
		if (k % 100 == 99)
			usleep(1000);
	}
	return true;
}

static bool truncate_all(void)
{
	unsigned int i;

	for (i = 1; i <= ROUNDS; i++) {
		*file = 1000 + i;
		(void)*other;
		if (ftruncate(fd, 0) || ftruncate(fd, PAGES * PAGE))
			return false;
		if (i & 1 && *file) {
			printf("# round %u: %u after truncation\n", i, *file);
			return false;
		}
		*file = i;
		if (!stays(i))
			return false;
	}
	return true;
}

static bool test_torn(void)
{
	pthread_t thread;
	bool well;

	fd = memfd_create("torn", 0);
	if (fd < 0 || ftruncate(fd, PAGES * PAGE))
		return false;
	file = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	other = map(1);
	if (file == MAP_FAILED || !other)
		return false;
	if (pthread_create(&thread, NULL, change, NULL))
		return false;
	well = away() && truncate_all();
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return well;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	where = argv[1];
	printf("1..1\n");
	result(in_child(test_torn), "what is written after a truncation stays");
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the programs of this directory that run on several kernels have in common.
 */
#ifndef SELFTEST_H
#define SELFTEST_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE		4096UL
#define WORDS		(PAGE / 8)
#define NR_MIGRATE	548
#define MAX_KERNELS	64
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* go: the calling thread continues on a kernel */
static inline int go(int kid)
{
	return syscall(NR_MIGRATE, kid, 0);
}

/* map: private memory of so many pages; NULL if there is none */
static inline void *map(size_t pages)
{
	void *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* result: a line of TAP */
static inline void result(bool ok, const char *name)
{
	static int number;

	printf("%sok %d - %s\n", ok ? "" : "not ", ++number, name);
	fflush(stdout);
}

/* read_kids: kernels from a list like 1,2,3; how many */
static inline int read_kids(char *list, int *kids)
{
	char *word, *rest = list;
	int n = 0;

	while (n < MAX_KERNELS && (word = strsep(&rest, ",")))
		kids[n++] = atoi(word);
	return n;
}

#endif

// SPDX-License-Identifier: GPL-2.0
/*
 * A thread away is the first to touch memory, and goes through it in even steps, as down the
 * columns of a matrix.
 *
 *	stride KID PAGES STEP [read]
 *
 * Each page is written, in STEP passes, with "read" after it was read. The exit status is 0,
 * or 1 if a page has not what it is to have.
 */
#define _GNU_SOURCE
#include "selftest.h"

static volatile unsigned long *p;

static volatile unsigned long *word_of(unsigned long page)
{
	return p + page * PAGE / sizeof(*p);
}

int main(int argc, char **argv)
{
	unsigned long pages, step, i, k;
	bool reads = argc == 5;

	if (argc < 4 || argc > 5)
		return 2;
	pages = atol(argv[2]);
	step = atol(argv[3]);
	p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0);
	if (p == MAP_FAILED || !step || go(atoi(argv[1]))) {
		perror("stride");
		return 1;
	}
	for (i = 0; i < step; i++)
		for (k = i; k < pages; k += step)
			*word_of(k) = k + 1 + (reads ? *word_of(k) : 0);
	go(0);
	for (k = 0; k < pages; k++)
		if (*word_of(k) != k + 1)
			return 1;
	return 0;
}

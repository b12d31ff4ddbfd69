// SPDX-License-Identifier: GPL-2.0
/*
 * Uses more memory on a kernel than that kernel has: what it did not use lately goes back
 * to the origin, and nothing is lost.
 *
 *	shrink KID MIB
 *
 * Prints TAP. Exit status 0 if all is well.
 */
#include <stdint.h>

#include "selftest.h"

static volatile uint64_t *memory;
static size_t pages;
static bool all_well = true;

/* word_of: a word of each page is enough, another one in each */
static volatile uint64_t *word_of(size_t page)
{
	return memory + page * (PAGE / 8) + page % (PAGE / 8);
}

static void write_all(uint64_t seed)
{
	size_t i;

	for (i = 0; i < pages; i++)
		*word_of(i) = seed + i;
}

static bool has_all(uint64_t seed)
{
	size_t i;

	for (i = 0; i < pages; i++) {
		if (*word_of(i) == seed + i)
			continue;
		printf("# page %zu: %lx\n", i, (unsigned long)*word_of(i));
		return false;
	}
	return true;
}

static void check(bool ok, const char *name)
{
	all_well = all_well && ok;
	result(ok, name);
}

int main(int argc, char **argv)
{
	int kid;

	if (argc != 3) {
		fprintf(stderr, "usage: shrink KID MIB\n");
		return 2;
	}
	kid = atoi(argv[1]);
	pages = atol(argv[2]) * 256;
	memory = map(pages);
	if (!memory) {
		check(false, "there is memory");
		return 1;
	}
	write_all(1000);
	check(!go(kid), "the thread leaves");
	check(has_all(1000), "it reads all of it");
	write_all(5000);
	check(true, "it writes all of it");
	check(!go(0), "it comes home");
	check(has_all(5000), "all of it is there");
	return !all_well;
}

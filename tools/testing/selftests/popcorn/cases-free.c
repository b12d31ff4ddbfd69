// SPDX-License-Identifier: GPL-2.0
/*
 * MADV_FREE makes entries of page tables clean, and KSM merges pages whose entries are
 * clean and read-only whatever refers to them. Pages that another kernel has read are
 * not merged so: one of them would then be written for all. Prints TAP.
 *
 *	cases-free KID|- SCANS-FILE
 *
 * SCANS-FILE: KSM's number of scans, which has to be on.
 */
#include "cases.h"

#define PAGES	64UL

static volatile uint64_t *memory;
static const char *scans_file;

static long scans(void)
{
	FILE *f = fopen(scans_file, "r");
	long n = -1;

	if (f && fscanf(f, "%ld", &n) != 1)
		n = -1;
	if (f)
		fclose(f);
	return n;
}

/* KSM takes a page that has not changed between two scans. */
static void wait_for_scans(void)
{
	long until = scans() + 4;

	while (scans() < until)
		usleep(10000);
}

static volatile uint64_t *page(unsigned long i)
{
	return memory + i * (PAGE / 8);
}

static bool have(uint64_t value, unsigned long step)
{
	unsigned long i;

	for (i = step - 1; i < PAGES; i += step)
		if (*page(i) != value)
			return false;
	return true;
}

/* Each second page is written at home: the others stay as they are. */
static bool test_merge(void)
{
	unsigned long i;

	memory = map(PAGES);
	if (!memory)
		return false;
	madvise((void *)memory, PAGES * PAGE, MADV_MERGEABLE);
	/* Not equal as long as KSM could merge them, and read-only here when they are. */
	for (i = 0; i < PAGES; i++)
		*page(i) = 1000 + i;
	if (!away())
		return false;
	for (i = 0; i < PAGES; i++)
		*page(i) = 77;
	if (!home() || !have(77, 1))
		return false;
	madvise((void *)memory, PAGES * PAGE, MADV_FREE);
	wait_for_scans();
	for (i = 0; i < PAGES; i += 2)
		*page(i) = i;
	for (i = 0; i < PAGES; i += 2)
		if (*page(i) != i)
			return false;
	return have(77, 2);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	where = argv[1];
	scans_file = argv[2];
	printf("1..1\n");
	result(in_child(test_merge), "pages that are equal are not written together");
	return 0;
}

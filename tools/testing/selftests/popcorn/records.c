// SPDX-License-Identifier: GPL-2.0
/*
 * Reads much memory at home, in a process that has become shared: no other kernel asks
 * for its pages, so none of them may cost a record.
 *
 *	records KID MIB
 *
 * Prints TAP. Exit status 0 if all is well.
 */
#include "selftest.h"

/* count: how many records this kernel has; -1: not known */
static long count(void)
{
	char name[32];
	long n, records = -1;
	FILE *f = fopen("/proc/popcorn/objects", "r");

	while (f && fscanf(f, "%31s %ld", name, &n) == 2)
		if (!strcmp(name, "records"))
			records = n;
	if (f)
		fclose(f);
	return records;
}

/* slab: KiB of slab memory of this kernel */
static long slab(void)
{
	char line[128];
	long kib = -1;
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && kib < 0 && fgets(line, sizeof(line), f))
		sscanf(line, "Slab: %ld", &kib);
	if (f)
		fclose(f);
	return kib;
}

int main(int argc, char **argv)
{
	size_t pages, i;
	unsigned long sum = 0;
	long records, kib;
	volatile char *p;

	if (argc != 3) {
		fprintf(stderr, "usage: records KID MIB\n");
		return 2;
	}
	pages = atol(argv[2]) * 256;
	if (go(atoi(argv[1])) || go(0)) {
		result(false, "the process is shared");
		return 1;
	}
	p = mmap(NULL, pages * PAGE, PROT_READ,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		result(false, "there is memory");
		return 1;
	}
	records = count();
	kib = slab();
	for (i = 0; i < pages; i++)
		sum += p[i * PAGE];
	records = count() - records;
	kib = slab() - kib;
	printf("# %zu pages read: %ld records, %ld KiB of slab\n", pages, records, kib);
	result(!sum, "all that is read is zero");
	result(records >= 0 && records < 64, "pages that only their origin uses have no record");
	/* One record a page would be two hundred bytes at least. */
	result(kib < (long)(pages / 32), "nor any other memory of the kernel");
	printf("1..3\n");
	return sum || records >= 64 || kib >= (long)(pages / 32);
}

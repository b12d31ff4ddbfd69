// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that cannot be read are errors, not zeros. Prints TAP.
 *
 *	cases-file KID end		a file whose end is cut off while it is mapped
 *	cases-file KID prot DIR		private mappings that may not be read from
 *	cases-file KID bad DEVICE FROM	a device with errors from there on, in pages
 *	cases-file KID swap BACKING CGROUP	swap whose backing file is cut off then
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>

#include "cases.h"

#define MANY	2048UL

static sigjmp_buf escape;

static void on_bus(int sig)
{
	siglongjmp(escape, sig);
}

/* look: the byte, or -1 for a signal */
static int look(const volatile unsigned char *at)
{
	return sigsetjmp(escape, 1) ? -1 : *at;
}

static int file_of(size_t pages, int c)
{
	int fd = memfd_create("file", 0);
	char page[PAGE];
	size_t i;

	memset(page, c, PAGE);
	for (i = 0; i < pages; i++)
		if (write(fd, page, PAGE) != (ssize_t)PAGE)
			return -1;
	return fd;
}

static void end(void)
{
	int fd = file_of(3, 7);
	unsigned char *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	int first, behind, own;

	p[2 * PAGE] = 8;
	if (!away() || look(p) != 7 || ftruncate(fd, PAGE))
		return;
	first = look(p);
	behind = look(p + PAGE);
	own = look(p + 2 * PAGE);
	printf("# before the end %d, behind it %d, what was written there %d\n", first,
	       behind, own);
	result(first == 7, "before the end is the file");
	result(behind == -1 || behind == 7, "behind it is SIGBUS, or what was there");
	result(own == -1 || own == 8, "also in place of a private page");
}

static void prot(void)
{
	static const int prots[] = { PROT_WRITE, PROT_WRITE | PROT_EXEC };
	unsigned int i;
	char text[64];

	for (i = 0; i < 2; i++) {
		unsigned char *p = mmap(NULL, PAGE, prots[i], MAP_PRIVATE, file_of(1, 7), 0);
		int there, back;

		there = away() ? look(p) : -2;
		back = home() ? look(p) : -2;
		printf("# protection %d: away %d, at home %d\n", prots[i], there, back);
		snprintf(text, sizeof(text), "a private file with protection %d", prots[i]);
		result(there == 7 && back == 7, text);
	}
}

/* tell: pages that are good, SIGBUS, zeros and others; it is 0xab that is good */
static void tell(const unsigned char *p, const char *text)
{
	volatile unsigned long good = 0, bus = 0, zeros = 0, others = 0, i;

	for (i = 0; i < MANY; i++) {
		int c = look(p + i * PAGE);

		if (c == 0xab)
			good++;
		else if (c == -1)
			bus++;
		else if (!c)
			zeros++;
		else
			others++;
	}
	printf("# good %lu, SIGBUS %lu, zeros %lu, others %lu\n", good, bus, zeros, others);
	result(bus && !zeros && !others, text);
}

static void bad(const char *name)
{
	int fd = open(name, O_RDONLY);
	unsigned char *p = mmap(NULL, MANY * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);

	if (p != MAP_FAILED && away())
		tell(p, "a device that cannot be read");
}

static bool put(const char *dir, const char *name, const char *text)
{
	char path[256];
	int fd;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY);
	ok = fd >= 0 && write(fd, text, strlen(text)) > 0;
	close(fd);
	return ok;
}

static void swapped(const char *backing, const char *cgroup)
{
	unsigned char *p = map(MANY);

	if (!put(cgroup, "cgroup.procs", "0")) {
		result(true, "swap that cannot be read # SKIP no memory cgroup");
		return;
	}
	memset(p, 0xab, MANY * PAGE);
	if (!away() || !home())
		return;
	madvise(p, MANY * PAGE, MADV_PAGEOUT);
	/* What has been written is in the swap cache, until it is reclaimed. */
	usleep(300000);
	put(cgroup, "memory.reclaim", "16M");
	/* The first page, which says that it is swap, stays. */
	if (truncate(backing, PAGE))
		return;
	if (away())
		tell(p, "swap that cannot be read");
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	where = argv[1];
	signal(SIGBUS, on_bus);
	if (!strcmp(argv[2], "end")) {
		printf("1..3\n");
		end();
	} else if (!strcmp(argv[2], "prot")) {
		printf("1..2\n");
		prot();
	} else {
		printf("1..1\n");
		if (argc == 4)
			bad(argv[3]);
		if (argc == 5)
			swapped(argv[3], argv[4]);
	}
	return 0;
}

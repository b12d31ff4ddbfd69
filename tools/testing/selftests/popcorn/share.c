// SPDX-License-Identifier: GPL-2.0
/*
 * A thread does something known to pages of its own on another kernel.
 *
 *	share PAGES KID [NEW]
 *
 * It writes the pages at home, goes to kernel KID, reads the first half of them and
 * writes the others, says "ready", and waits there for a line of input. Kernel NEW
 * must then refuse it, having been started meanwhile. It comes home, checks all pages,
 * unmaps them and ends.
 */
#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../../../include/uapi/linux/popcorn.h"

#define PAGE	4096

static void go_to(unsigned int kid)
{
	if (syscall(__NR_popcorn_migrate, kid, 0))
		err(1, "popcorn_migrate(%u)", kid);
}

static void be_refused(unsigned int kid)
{
	if (!syscall(__NR_popcorn_migrate, kid, 0))
		errx(1, "kernel %u knows the process", kid);
	if (errno != EHOSTUNREACH)
		err(1, "popcorn_migrate(%u)", kid);
}

/* What page i has after so many writings */
static uint64_t content(size_t i, unsigned int writings)
{
	return i << 8 | writings;
}

static void use(char *pages, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		volatile uint64_t *word = (uint64_t *)(pages + i * PAGE);

		if (i >= count / 2)
			*word = content(i, 2);
		else if (*word != content(i, 1))
			errx(1, "page %zu is not what was written", i);
	}
}

static void check(const char *pages, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (*(uint64_t *)(pages + i * PAGE) != content(i, 1 + (i >= count / 2)))
			errx(1, "page %zu has been lost", i);
}

int main(int argc, char **argv)
{
	size_t count = argc > 2 ? strtoul(argv[1], NULL, 10) : 0, i;
	char *pages, line[16];

	if (!count || argc > 4)
		errx(2, "usage: share PAGES KID [NEW]");
	pages = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		err(1, "mmap");
	for (i = 0; i < count; i++)
		*(uint64_t *)(pages + i * PAGE) = content(i, 1);
	go_to(strtoul(argv[2], NULL, 10));
	use(pages, count);
	if (write(1, "ready\n", 6) != 6 || read(0, line, sizeof(line)) <= 0)
		err(1, "input or output");
	if (argc == 4)
		be_refused(strtoul(argv[3], NULL, 10));
	go_to(0);
	check(pages, count);
	if (munmap(pages, count * PAGE))
		err(1, "munmap");
	return 0;
}

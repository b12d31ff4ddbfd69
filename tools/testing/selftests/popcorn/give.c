// SPDX-License-Identifier: GPL-2.0
/*
 * A thread away maps, writes and takes away memory that no other kernel has, and then
 * protects what it has written.
 *
 *	give KID COUNT
 *
 * Its own kernel knows what goes. So the home need not have anybody forget it. The exit
 * status is 0, or 1 if a page has not what it is to have.
 */
#define _GNU_SOURCE
#include "selftest.h"

#define SIZE	(16 * 4096UL)

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void once(void)
{
	volatile char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		fail("mmap");
	*p = 1;
	if (madvise((void *)p, SIZE, MADV_DONTNEED) || *p)
		fail("madvise");
	*p = 2;
	if (mprotect((void *)p, SIZE, PROT_READ) || *p != 2)
		fail("mprotect");
	if (munmap((void *)p, SIZE))
		fail("munmap");
}

int main(int argc, char **argv)
{
	int count;

	if (argc != 3)
		return 2;
	if (go(atoi(argv[1])))
		fail("popcorn_migrate");
	for (count = atoi(argv[2]); count; count--)
		once();
	return 0;
}

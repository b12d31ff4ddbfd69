// SPDX-License-Identifier: GPL-2.0
/*
 * System calls that fail leave memory as it is. Prints TAP.
 *
 *	cases-fail KID
 */
#define _GNU_SOURCE
#include <fcntl.h>

#include "cases.h"

#define SIZE	(4 * PAGE)
#define RW	(PROT_READ | PROT_WRITE)
#define NEW	(MAP_PRIVATE | MAP_ANONYMOUS)
#define NR_MSEAL 462

static char *p;

static void fill(void)
{
	p = map(SIZE / PAGE);
	memset(p, 'x', SIZE);
}

/* lost: how many bytes are not what they were */
static size_t lost(const char *at, size_t size)
{
	size_t i, n = 0;

	for (i = 0; i < size; i++)
		n += at[i] != 'x';
	return n;
}

/* failed: the call was to return -1, or MAP_FAILED, and has lost nothing */
static bool failed(long r)
{
	int err = errno;
	size_t n = lost(p, SIZE);

	if (r != -1 || n)
		printf("# result %ld, %s, %zu bytes lost\n", r, strerror(err), n);
	fflush(stdout);
	return r == -1 && !n;
}

#define FAILS(text, call) do {			\
		fill();				\
		result(failed((long)(call)), text);	\
	} while (0)

static void mmap_fails(void)
{
	int status = open("/proc/self/status", O_RDONLY);
	int readable = open("/etc/passwd", O_RDONLY);

	FAILS("mmap, bad descriptor", mmap(p, PAGE, RW, MAP_FIXED | MAP_SHARED, 99, 0));
	FAILS("mmap, neither shared nor private",
	      mmap(p, PAGE, RW, MAP_FIXED | MAP_ANONYMOUS, -1, 0));
	FAILS("mmap, unaligned", mmap(p + 1, PAGE, RW, MAP_FIXED | NEW, -1, 0));
	/* The C library would not make such a call. */
	FAILS("mmap, unaligned offset", syscall(SYS_mmap, p, PAGE, PROT_READ,
						MAP_FIXED | MAP_PRIVATE, readable, 1));
	FAILS("mmap, not to replace", mmap(p, PAGE, RW, MAP_FIXED_NOREPLACE | NEW, -1, 0));
	FAILS("mmap, no length", mmap(p, 0, RW, MAP_FIXED | NEW, -1, 0));
	FAILS("mmap, what cannot be mapped",
	      mmap(p, 2 * PAGE, PROT_READ, MAP_FIXED | MAP_PRIVATE, status, 0));
	FAILS("mmap, shared and writable, of a file open for reading",
	      mmap(p, 2 * PAGE, RW, MAP_FIXED | MAP_SHARED, readable, 0));
	FAILS("mmap, huge pages where there are none",
	      mmap(p, 2 * PAGE, RW, MAP_FIXED | MAP_HUGETLB | NEW, -1, 0));
}

static void others_fail(void)
{
	FAILS("munmap, unaligned", munmap(p + 1, PAGE));
	FAILS("munmap, no address", munmap((void *)-1, PAGE));
	FAILS("munmap, no length", munmap(p, 0));
	FAILS("mprotect, unaligned", mprotect(p + 1, PAGE, PROT_NONE));
	FAILS("mremap onto it, bad flags",
	      mremap(p + 2 * PAGE, PAGE, PAGE, MREMAP_FIXED, p));
	FAILS("mremap onto it, unaligned",
	      mremap(p + 2 * PAGE, PAGE, PAGE, MREMAP_FIXED | MREMAP_MAYMOVE, p + 1));
	FAILS("mremap onto it, from nothing",
	      mremap((void *)(16 * PAGE), PAGE, PAGE, MREMAP_FIXED | MREMAP_MAYMOVE, p));
	FAILS("madvise, unaligned", madvise(p + 1, PAGE, MADV_DONTNEED));
	FAILS("madvise, MADV_REMOVE of private memory", madvise(p, SIZE, MADV_REMOVE));
	fill();
	mlock(p, SIZE);
	memset(p, 'x', SIZE);
	result(failed(madvise(p, SIZE, MADV_DONTNEED)),
	       "madvise, MADV_DONTNEED of locked memory");
}

/* Where the length is believed, all memory above is lost, the stack too. */
static bool huge_mmap(void)
{
	fill();
	return away() && failed((long)mmap(p, -PAGE, RW, MAP_FIXED | NEW, -1, 0));
}

static bool huge_munmap(void)
{
	fill();
	return away() && failed(munmap(p, -PAGE));
}

static bool huge_madvise(void)
{
	fill();
	return away() && failed(madvise(p, -PAGE, MADV_DONTNEED));
}

static void sealed(void)
{
	fill();
	if (syscall(NR_MSEAL, p, SIZE, 0)) {
		result(true, "munmap of sealed memory # SKIP no mseal()");
		return;
	}
	result(failed(munmap(p, SIZE)), "munmap of sealed memory");
}

static void brk_goes_down(void)
{
	char *heap = sbrk(2 * PAGE);

	memset(heap, 'x', 2 * PAGE);
	result(!brk(heap + PAGE) && !lost(heap, PAGE), "brk down loses nothing below");
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	where = argv[1];
	printf("1..25\n");
	result(in_child(huge_mmap), "mmap, negative length");
	result(in_child(huge_munmap), "munmap, negative length");
	result(in_child(huge_madvise), "madvise, negative length");
	result(away(), "it is away");
	mmap_fails();
	others_fail();
	sealed();
	brk_goes_down();
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * frame: whose is the frame of a page that was on another kernel? Asks the debug file
 * of the checks (mm/popcorn/frame.c).
 */
#include <fcntl.h>
#include <stdint.h>

#include "selftest.h"

#define FILE_NAME	"/sys/kernel/debug/popcorn/frame"

static uint64_t pfn_of(const void *address)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (pread(fd, &entry, 8, (uintptr_t)address / PAGE * 8) != 8)
		entry = 0;
	close(fd);
	return entry >> 63 ? entry & ((1ULL << 55) - 1) : 0;
}

static bool ask(uint64_t pfn)
{
	char text[32];
	int fd = open(FILE_NAME, O_WRONLY), length;
	bool done;

	length = snprintf(text, sizeof(text), "%#lx", pfn);
	done = write(fd, text, length) == length;
	close(fd);
	return done;
}

/* Does the file say this? */
static bool answer_is(const char *want)
{
	char text[160] = "";
	int fd = open(FILE_NAME, O_RDONLY);
	bool same;

	same = read(fd, text, sizeof(text) - 1) > 0 && strstr(text, want);
	close(fd);
	if (!same)
		printf("# %s# wanted: %s\n", text, want);
	return same;
}

int main(void)
{
	char *p = map(1), want[96];
	uint64_t pfn;

	*p = 1;
	if (go(1))
		return 1;
	*p = 2;
	go(0);
	result(*p == 2, "a page comes back");
	pfn = pfn_of(p);
	result(pfn && ask(pfn), "its frame is asked for");
	snprintf(want, sizeof(want), " page=%lx process=%d state=", (uintptr_t)p / PAGE,
		 getpid());
	result(answer_is(want), "it is this page of this process");
	result(answer_is("may=read mapped=read\n"), "which may read it");
	*p = 3;
	result(pfn_of(p) == pfn && answer_is("may=write mapped=write\n"), "or write it");
	munmap(p, PAGE);
	snprintf(want, sizeof(want), "frame=%lx\n", pfn);
	result(answer_is(want), "and it is nobody's when the page is gone");
	result(!ask(1ULL << 40), "there is no such frame");
	puts("1..7");
	return 0;
}

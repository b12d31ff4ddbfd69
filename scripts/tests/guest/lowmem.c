// SPDX-License-Identifier: GPL-2.0
/*
 * lowmem FILE: writes what is in the first MiB of memory to FILE.
 *
 * Mapped rather than read: /dev/mem does not let a page be read that is partly
 * RAM, as the last one below 640 KiB is.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	4096
#define SIZE	(1 << 20)

/* One page at a time: mappings of RAM and of other memory do not mix. */
static int copy_page(int mem, off_t at, char *to)
{
	void *page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, mem, at);

	if (page == MAP_FAILED)
		return -1;
	memcpy(to, page, PAGE);
	return munmap(page, PAGE);
}

int main(int argc, char **argv)
{
	static char all[SIZE];
	int mem = open("/dev/mem", O_RDONLY);
	FILE *file;
	off_t at;

	if (argc != 2 || mem < 0)
		return 2;
	for (at = 0; at < SIZE; at += PAGE) {
		if (!copy_page(mem, at, all + at))
			continue;
		perror("lowmem: mmap");
		return 1;
	}
	file = fopen(argv[1], "w");
	return !file || fwrite(all, SIZE, 1, file) != 1 || fclose(file);
}

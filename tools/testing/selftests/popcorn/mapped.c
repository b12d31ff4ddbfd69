// SPDX-License-Identifier: GPL-2.0
/*
 * mapped ADDRESS BYTES SECONDS: has physical memory mapped, and reads it, for so
 * long.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	volatile char *memory;
	size_t size, i;
	int fd;

	if (argc != 4) {
		fputs("usage: mapped ADDRESS BYTES SECONDS\n", stderr);
		return 2;
	}
	size = strtoul(argv[2], NULL, 0);
	fd = open("/dev/mem", O_RDONLY);
	memory = mmap(NULL, size, PROT_READ, MAP_SHARED, fd,
		      strtoul(argv[1], NULL, 0));
	if (fd < 0 || memory == MAP_FAILED) {
		perror("mapped");
		return 1;
	}
	for (i = 0; i < size; i += 4096)
		memory[i];
	sleep(atoi(argv[3]));
	return 0;
}

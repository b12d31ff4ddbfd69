// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - archives that Linux unpacks as its initial RAM disk
 */
#include <stdint.h>
#include <string.h>

#include "cpio.h"

/* Names and data begin where it is a multiple of that. */
#define ALIGNMENT	4

static void pad(struct pcn_cpio *a, size_t size)
{
	for (; size % ALIGNMENT; size++)
		putc('\0', a->out);
}

/**
 * pcn_cpio_add() - add a file, owned by root, of 1970
 * @a:		the archive
 * @name:	its path, without a slash at the beginning
 * @mode:	its type and mode
 * @data:	its data
 * @size:	bytes of that, less than 4 GiB
 *
 * Whether it was written is ferror() of the stream's.
 */
void pcn_cpio_add(struct pcn_cpio *a, const char *name, mode_t mode, const void *data,
		  size_t size)
{
	size_t name_size = strlen(name) + 1;
	const uint32_t fields[] = {
		++a->count, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0,
	};
	int head = fprintf(a->out, "070701");
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		head += fprintf(a->out, "%08X", fields[i]);
	fwrite(name, 1, name_size, a->out);
	pad(a, head + name_size);
	if (size)
		fwrite(data, 1, size, a->out);
	pad(a, size);
}

/**
 * pcn_cpio_end() - end an archive
 * @a:	the archive; its stream stays open
 */
void pcn_cpio_end(struct pcn_cpio *a)
{
	pcn_cpio_add(a, "TRAILER!!!", 0, NULL, 0);
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * popcorn - archives that Linux unpacks as its initial RAM disk
 *
 * The format is cpio's "newc", see Documentation/driver-api/early-userspace/buffer-format.rst.
 */
#ifndef _TOOLS_POPCORN_CPIO_H
#define _TOOLS_POPCORN_CPIO_H

#include <stdio.h>
#include <sys/types.h>

/**
 * struct pcn_cpio - an archive that is being written
 * @out:	to where; a position of which is a multiple of 4 now
 * @count:	entries so far
 */
struct pcn_cpio {
	FILE		*out;
	unsigned int	count;
};

void pcn_cpio_add(struct pcn_cpio *a, const char *name, mode_t mode, const void *data,
		  size_t size);
void pcn_cpio_end(struct pcn_cpio *a);

#endif /* _TOOLS_POPCORN_CPIO_H */

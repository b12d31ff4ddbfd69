/* SPDX-License-Identifier: GPL-2.0 */
/*
 * popcorn - a directory of the primary is the root file system of a secondary
 *
 *	primary					secondary
 *	popcorn load --root DIR			/init of the RAM disk: the popcorn command
 *	  makes the RAM disk     (root.c)	  (root-init.c)
 *	  starts the server      (root-server.c)
 *	    listens  <----------- AF_VSOCK -----  connects, from a port of root's
 *	    gives the connection to diod  <-- 9P -->  mounts it, with an overlay in memory
 *						  becomes init of DIR
 *
 * Each kernel has a server of its own, which waits for connections as long as the kernel is
 * loaded: however often it is started. DIR is never written.
 */
#ifndef _TOOLS_POPCORN_ROOT_H
#define _TOOLS_POPCORN_ROOT_H

#include <stdbool.h>
#include <sys/types.h>

struct pcn_kernel;

/* How the server calls the directory; the RAM disk's file, which says "overlay=0" or 1 */
#define PCN_ROOT_EXPORT	"/export"
#define PCN_ROOT_CONF	"root.conf"

/**
 * struct pcn_root - what load --root was given
 * @path:	the directory, absolute
 * @tree:	a mount of it, which cannot be written to and is nowhere; a descriptor
 * @read_only:	the secondary gets no overlay
 */
struct pcn_root {
	char	*path;
	int	tree;
	bool	read_only;
};

/* root.c */
int pcn_root_open(struct pcn_root *root, const char *who, const char *path, bool read_only);
int pcn_root_ram_disk(const struct pcn_root *root, off_t *size);

/* root-server.c */
int pcn_root_check(void);
char *pcn_root_of(int kid);
int pcn_root_hold(const struct pcn_kernel *k, bool want, int *hold);
int pcn_root_replace(const struct pcn_kernel *k, int hold, const struct pcn_root *root);

/* root-init.c */
int pcn_root_init(int argc, char **argv);

#endif /* _TOOLS_POPCORN_ROOT_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * The directory /sys/kernel/debug/popcorn. Files that look at one layer alone are made
 * in it; the first of them to be made makes the directory, too.
 */
#include <linux/dcache.h>
#include <linux/debugfs.h>

#include <popcorn/core.h>

/**
 * pcn_debug_file - make a file in /sys/kernel/debug/popcorn
 * @name:	its name
 * @mode:	its mode
 * @fops:	what it does
 *
 * Context: process; initcalls, which do not run at the same time.
 */
void pcn_debug_file(const char *name, umode_t mode,
		    const struct file_operations *fops)
{
	struct dentry *dir = debugfs_lookup("popcorn", NULL);

	if (dir) {
		debugfs_create_file(name, mode, dir, NULL, fops);
		dput(dir);
	} else {
		debugfs_create_file(name, mode, debugfs_create_dir("popcorn", NULL),
				    NULL, fops);
	}
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files in /proc/popcorn that have something to say of each process and kernel: what
 * they share. See stats.c.
 */
#ifndef _MM_POPCORN_ROWS_H
#define _MM_POPCORN_ROWS_H

#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/types.h>

struct file;
struct inode;

/**
 * struct pcn_row - a process in such a file
 * @number:	of its space
 * @members:	kernels that there is something of
 * @origin:	where it comes from
 * @tgid:	as in struct pcn_tally, as is all that follows
 * @job:	...
 * @comm:	...
 */
struct pcn_row {
	u64		number;
	u64		members;
	unsigned int	origin;
	pid_t		tgid;
	u64		job;
	char		comm[TASK_COMM_LEN];
};

void *pcn_rows_start(struct seq_file *m, loff_t *pos);
void *pcn_rows_next(struct seq_file *m, void *v, loff_t *pos);
void pcn_rows_stop(struct seq_file *m, void *v);
const struct pcn_row *pcn_row_at(struct seq_file *m, void *v, unsigned int *kid);
void pcn_row_show(struct seq_file *m, const struct pcn_row *row, unsigned int kid);
const char *pcn_row_state(int err);
int pcn_rows_open(struct file *file, const struct seq_operations *ops);
int pcn_rows_release(struct inode *inode, struct file *file);

#endif /* _MM_POPCORN_ROWS_H */

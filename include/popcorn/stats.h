/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is counted of a process that several kernels share, on each of them, and what
 * of a program whose threads are placed. See mm/popcorn/stats.c, kernel/popcorn/job.c
 * and Documentation/popcorn/sysfs.rst.
 */
#ifndef _POPCORN_STATS_H
#define _POPCORN_STATS_H

#include <linux/types.h>

#include <popcorn/proto.h>

struct pcn_job;
struct pcn_space;
struct pcn_thread;

/**
 * PCN_WAITS - classes of the time that a fault has waited: below 1 us, below 2 us,
 * 4 us and so on; the last one has all that took longer
 */
#define PCN_WAITS	24

/** PCN_HOME_REASONS - how many enum pcn_home_reason has */
#define PCN_HOME_REASONS	5

/**
 * struct pcn_counts - what one kernel counts of a process. On the wire
 * @sent:	messages of the protocol sent, by enum pcn_event
 * @hits:	faults that the protocol let pass at once: reads, writes
 * @plain:	faults that were Linux's business: pages that the protocol has not
 *		touched, at the origin
 * @failed:	faults that waited in vain: a signal, no memory, another layout
 * @waits:	faults that waited until they had their page: reads and writes, by
 *		the time it took
 * @wait_ns:	sums of these times
 * @files:	parts of files that were mapped from this kernel's own
 * @arrived:	visitors that have come
 * @calls:	system calls that visitors had done at the origin
 * @home:	visitors that have gone home, by enum pcn_home_reason
 */
struct pcn_counts {
	u64	sent[PCN_MESSAGES];
	u64	hits[2];
	u64	plain;
	u64	failed;
	u64	waits[2][PCN_WAITS];
	u64	wait_ns[2];
	u64	files;
	u64	arrived;
	u64	calls;
	u64	home[PCN_HOME_REASONS];
};

/** PCN_COUNT - index of a member of struct pcn_counts, for pcn_count() */
#define PCN_COUNT(member)	(offsetof(struct pcn_counts, member) / sizeof(u64))

/* mm/popcorn/stats.c */
void pcn_count(struct pcn_space *s, unsigned int index);

/* kernel/popcorn/job.c */
struct pcn_job *pcn_job_new(struct pcn_job *parent);
struct pcn_job *pcn_job_get(struct pcn_job *job);
void pcn_job_put(struct pcn_job *job);
u64 pcn_job_share(void);
void pcn_job_ask(struct pcn_thread *t);
void pcn_saw_leave(struct pcn_thread *t, int err);
void pcn_saw_refusal(struct pcn_thread *t);
void pcn_saw_return(struct pcn_thread *t, u32 op);
void pcn_saw_arrive(struct pcn_thread *t);
void pcn_saw_call(struct pcn_thread *t, long nr);
void pcn_saw_home(struct pcn_thread *t, unsigned int reason);

#endif /* _POPCORN_STATS_H */

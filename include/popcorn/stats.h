/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is counted of a process that several kernels share, on each of them. See
 * mm/popcorn/stats.c and Documentation/popcorn/sysfs.rst.
 */
#ifndef _POPCORN_STATS_H
#define _POPCORN_STATS_H

#include <linux/types.h>

#include <popcorn/proto.h>

struct pcn_space;

/**
 * PCN_WAITS - classes of the time that a fault has waited: below 1 us, below 2 us,
 * 4 us and so on; the last one has all that took longer
 */
#define PCN_WAITS	24

/** PCN_HOME_REASONS - how many enum pcn_home_reason has */
#define PCN_HOME_REASONS	5

/**
 * struct pcn_counts - what one kernel counts of a process. On the wire
 * @sent:	messages of the protocol sent, by enum pcn_event_type
 * @hits:	faults that the protocol let pass at once: reads, writes
 * @plain:	faults that were Linux's business: pages that the protocol has not
 *		touched, at the origin
 * @failed:	faults that waited in vain: a signal, no memory, another mapping
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

void pcn_count(struct pcn_space *s, unsigned int index);

#endif /* _POPCORN_STATS_H */

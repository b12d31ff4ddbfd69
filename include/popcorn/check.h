/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A table of what each kernel may do with each page, in the window, to check the
 * page coherency protocol while it runs. See mm/popcorn/check.c.
 */
#ifndef _POPCORN_CHECK_H
#define _POPCORN_CHECK_H

#include <linux/build_bug.h>
#include <linux/types.h>

#include <popcorn/window_layout.h>

/** PCN_CHECK_SLOTS - pages in a bucket */
#define PCN_CHECK_SLOTS		15

/**
 * struct pcn_check_page - what is known of a page
 * @space:	number of its space
 * @page:	number of the page in it
 * @known:	kernels that have had access and have not forgotten it; 0: the slot
 *		is free
 * @readers:	kernels that may read it, but not write
 * @writers:	kernels that may write it
 * @digest:	of its content at the end of the last write
 * @digested:	nonzero: there is a @digest
 * @pad:	zero
 */
struct pcn_check_page {
	u64	space;
	u64	page;
	u64	known;
	u64	readers;
	u64	writers;
	u64	digest;
	u64	digested;
	u64	pad;
};

/** enum pcn_check_off - what a bucket does not know */
enum pcn_check_off {
	PCN_CHECK_KNOWS,
	PCN_CHECK_FULL,		/* there are more pages than those that are in it */
	PCN_CHECK_BROKEN,	/* a lock was taken away: anything */
};

/**
 * struct pcn_check_bucket - pages with the same hash
 * @lock:	0, or its holder: kid + 1, and above 8 bits a number of the holding
 * @off:	enum pcn_check_off
 * @pad:	zero
 * @slot:	the pages
 */
struct pcn_check_bucket {
	u64			lock;
	u64			off;
	u64			pad[6];
	struct pcn_check_page	slot[PCN_CHECK_SLOTS];
};

/** PCN_CHECK_BUCKETS - buckets behind the head */
#define PCN_CHECK_BUCKETS	(PCN_CHECK_SIZE / sizeof(struct pcn_check_bucket) - 1)

/**
 * struct pcn_check_table - all of it
 * @changes:	changes that were checked
 * @violations:	faults that were found
 * @unchecked:	changes of pages that there was no room for
 * @broken:	locks that were taken from kernels that have ended
 * @pad:	zero
 * @bucket:	the buckets
 */
struct pcn_check_table {
	union {
		struct {
			u64	changes;
			u64	violations;
			u64	unchecked;
			u64	broken;
		};
		u8	pad[sizeof(struct pcn_check_bucket)];
	};
	struct pcn_check_bucket bucket[PCN_CHECK_BUCKETS];
};

static_assert(sizeof(struct pcn_check_page) == 64);
static_assert(sizeof(struct pcn_check_bucket) == 1024);
static_assert(sizeof(struct pcn_check_table) == PCN_CHECK_SIZE);

#endif /* _POPCORN_CHECK_H */

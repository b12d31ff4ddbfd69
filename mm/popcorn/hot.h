/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hot pages: those of a process that come to this kernel again and again.
 */
#ifndef _MM_POPCORN_HOT_H
#define _MM_POPCORN_HOT_H

#include <linux/types.h>

/** PCN_HOT_PAGES - pages that a table has room for */
#define PCN_HOT_PAGES	64

/**
 * struct pcn_hot_page - how often a page has come. On the wire
 * @page:	its number
 * @from:	kernels that it came from, as bits
 * @before:	what the entry had counted of other pages when it became this one's
 * @reads:	times that it came to be read
 * @writes:	times that it came to be written
 */
struct pcn_hot_page {
	u64	page;
	u64	from;
	u64	before;
	u64	reads;
	u64	writes;
};

/**
 * struct pcn_hot_pages - the pages that have come most often. On the wire
 * @moves:	times that any page has come again
 * @used:	number of entries
 * @entry:	the entries, by weight: that of pcn_hot_weight(), the highest first
 */
struct pcn_hot_pages {
	u64			moves;
	u64			used;
	struct pcn_hot_page	entry[PCN_HOT_PAGES];
};

void pcn_hot_pages_add(struct pcn_hot_pages *h, u64 page, bool write, unsigned int from);

/**
 * pcn_hot_weight - what an entry is ordered by
 * @e:	the entry
 *
 * Context: any.
 * Return: its page has come no more often than that, and @before times less at worst.
 */
static inline u64 pcn_hot_weight(const struct pcn_hot_page *e)
{
	return e->before + e->reads + e->writes;
}

#endif /* _MM_POPCORN_HOT_H */

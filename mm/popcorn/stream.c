// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory, at a member: which pages is a thread likely to touch next?
 *
 * What nobody has touched yet is made by the origin, page by page, as threads ask for it. One
 * that goes through memory in even steps, as through an array or down the columns of a matrix,
 * would ask for each page that it comes to. So once it has made the same step twice it gets the
 * next page of its way too, then three more, and so on. When it goes on elsewhere it is taken to
 * go on there in the same steps, with half of the pages each time until that is found right:
 * so a tile of a matrix has its rows at once. What it gets and does not use is less than it has
 * got by its last question on its way, and used.
 *
 * This is what Linux does when files are read (mm/readahead.c), and with steps what hardware
 * does for caches (T.-F. Chen and J.-L. Baer, Effective Hardware-Based Data Prefetching for
 * High-Performance Processors, IEEE Transactions on Computers 44, 1995).
 *
 * A thread may be on several ways at a time: in its heap, on its stack, and with what it reads
 * first and then writes, which it asks for twice. They are told apart by the thread, the VMA and
 * the kind of access, in a table that has room for few.
 */
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/sched.h>

#include "borrow.h"

/**
 * pcn_stream_of - the way of the current thread through memory
 * @b:		of its address space
 * @vma:	in this VMA
 * @write:	of what it writes
 *
 * Context: process; @b->lock is held, as long as the result is used.
 * Return: it, which other threads may use too.
 */
struct pcn_stream *pcn_stream_of(struct pcn_borrow *b, const struct pcn_vma *vma, bool write)
{
	unsigned long key = (unsigned long)current ^ vma->start;

	lockdep_assert_held(&b->lock);
	return &b->streams[hash_long(key, ilog2(PCN_STREAMS))][write];
}

/* How many pages of the way are in a range. */
static unsigned int pages_within(u64 page, int stride, const struct pcn_pages *range)
{
	u64 left = stride > 0 ? range->last - page : page - range->first;

	return left / abs(stride) + 1;
}

/**
 * pcn_stream_next - a thread asks for a page
 * @s:		its way so far
 * @page:	number of the page
 * @range:	pages that the answer can have
 * @stride:	receives the step: a number of pages, less than 0 if the way goes down
 *
 * Context: any; serialised by the caller.
 * Return: how many pages of the way, from @page on, it should get.
 */
unsigned int pcn_stream_next(struct pcn_stream *s, u64 page, const struct pcn_pages *range,
			     int *stride)
{
	s64 step = page - s->last;
	unsigned int count;

	if (!s->count)
		*s = (struct pcn_stream) { .stride = 1, .count = 1 };
	else if (step == s->stride)
		s->count = min(2 * s->count, PCN_AHEAD_MAX);
	else if (step && s->count > 1)
		s->count /= 2;
	else if (step)
		s->stride = abs(step) < PCN_BLOCK_PAGES ? step : 1;
	count = min(s->count, pages_within(page, s->stride, range));
	s->last = page + (s64)(count - 1) * s->stride;
	*stride = s->stride;
	return count;
}

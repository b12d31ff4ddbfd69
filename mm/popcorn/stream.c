// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory, at a member: which pages is a thread likely to touch next?
 *
 * What nobody has touched yet is made by the origin, page by page, as threads ask for it. One
 * that goes through memory in even steps, as through an array or down the columns of a matrix,
 * would ask for each page that it comes to. So once it has made the same step twice it gets the
 * next page of its way too, then three more, and so on, and no page that is not on its way.
 *
 * This is what Linux does when files are read (mm/readahead.c), and with steps what hardware
 * does for caches (T.-F. Chen and J.-L. Baer, Effective Hardware-Based Data Prefetching for
 * High-Performance Processors, IEEE Transactions on Computers 44, 1995).
 *
 * Threads are told apart by where their task is, if there are few.
 */
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/sched.h>

#include "borrow.h"

/**
 * pcn_stream_of - the way of the current thread through memory
 * @b:	of its address space
 *
 * Context: process; @b->lock is held, as long as the result is used.
 * Return: it, which other threads may use too.
 */
struct pcn_stream *pcn_stream_of(struct pcn_borrow *b)
{
	lockdep_assert_held(&b->lock);
	return &b->streams[hash_ptr(current, ilog2(PCN_STREAMS))];
}

/**
 * pcn_stream_next - a thread asks for a page
 * @s:		its way so far
 * @page:	number of the page
 * @end:	number of the page after the last one that the answer can have
 * @stride:	receives the step: a number of pages, at least 1
 *
 * Context: any; serialised by the caller.
 * Return: how many pages of the way, from @page on, it should get.
 */
unsigned int pcn_stream_next(struct pcn_stream *s, u64 page, u64 end, unsigned int *stride)
{
	u64 step = page - s->last;

	if (step && step == s->stride) {
		s->count = min(2 * s->count, PCN_AHEAD_MAX);
	} else {
		s->count = 1;
		s->stride = step && step < PCN_BLOCK_PAGES ? step : 1;
	}
	s->count = min_t(u64, s->count, DIV_ROUND_UP(end - page, s->stride));
	s->last = page + (s->count - 1) * s->stride;
	*stride = s->stride;
	return s->count;
}

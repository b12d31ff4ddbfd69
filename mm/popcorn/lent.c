// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory, at the origin: which kernel may have an entry of which page.
 *
 * A bitmap of a block's pages for each kernel that has been told of any, in an xarray by the
 * number of the block and the kernel. So a change of pages that nobody has costs no message,
 * and one of pages that a single kernel has costs messages to that one alone.
 */
#include <linux/bitmap.h>
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "mirror.h"

/* Of one kernel and block */
struct lent {
	DECLARE_BITMAP(pages, PCN_BLOCK_PAGES);
};

static_assert(PCN_KERNELS_MAX == 1 << 6);

static unsigned long index_of(u64 page, unsigned int kid)
{
	return page / PCN_BLOCK_PAGES << 6 | kid;
}

static u64 first_page_of(unsigned long index)
{
	return (u64)(index >> 6) * PCN_BLOCK_PAGES;
}

static unsigned int kid_of(unsigned long index)
{
	return index & (PCN_KERNELS_MAX - 1);
}

static struct lent *lent_find_or_add(struct xarray *all, u64 page, unsigned int kid)
{
	const gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN;
	struct lent *l = xa_load(all, index_of(page, kid));

	if (l)
		return l;
	l = kzalloc(sizeof(*l), gfp);
	if (l && xa_err(xa_store(all, index_of(page, kid), l, gfp))) {
		kfree(l);
		l = NULL;
	}
	return l;
}

/**
 * pcn_lent_add - a kernel is told of frames
 * @all:	what is known
 * @first:	number of the first page
 * @frame:	of each page, PCN_FRAME_*, 0 if it has none
 * @count:	of pages, all in one block
 * @kid:	the kernel
 *
 * Context: the mirror's lock is held.
 * Return: 0; -ENOMEM.
 */
int pcn_lent_add(struct xarray *all, u64 first, const u64 *frame, unsigned int count,
		 unsigned int kid)
{
	struct lent *l = lent_find_or_add(all, first, kid);
	unsigned int i;

	if (!l)
		return -ENOMEM;
	for (i = 0; i < count; i++)
		if (frame[i] & PCN_FRAME_THERE)
			__set_bit(first % PCN_BLOCK_PAGES + i, l->pages);
	return 0;
}

/* Of the pages from @first to @last those that are in a block: the first, and how many. */
static unsigned int part_of(unsigned long index, u64 first, u64 last, unsigned int *from)
{
	u64 begin = max(first, first_page_of(index));
	u64 end = min(last, first_page_of(index) + PCN_BLOCK_PAGES - 1);

	*from = begin % PCN_BLOCK_PAGES;
	return end - begin + 1;
}

/**
 * pcn_lent_to - kernels that may have an entry of some pages
 * @all:	what is known
 * @first:	number of the first page
 * @last:	number of the last one
 *
 * Context: the mirror's lock is held.
 * Return: a bit for each.
 */
u64 pcn_lent_to(struct xarray *all, u64 first, u64 last)
{
	unsigned long index;
	unsigned int from, count;
	struct lent *l;
	u64 who = 0;

	xa_for_each_range(all, index, l, index_of(first, 0),
			  index_of(last, PCN_KERNELS_MAX - 1)) {
		count = part_of(index, first, last, &from);
		if (find_next_bit(l->pages, from + count, from) < from + count)
			who |= BIT_ULL(kid_of(index));
	}
	return who;
}

/**
 * pcn_lent_next - the next page that one of some kernels may have an entry of
 * @all:	what is known
 * @first:	number of the page from which on to look
 * @last:	number of the last one
 * @kids:	a bit for each kernel
 *
 * Context: the mirror's lock is held.
 * Return: its number; U64_MAX: there is none.
 */
u64 pcn_lent_next(struct xarray *all, u64 first, u64 last, u64 kids)
{
	unsigned long index;
	unsigned int from, count, bit;
	u64 next = U64_MAX;
	struct lent *l;

	xa_for_each_range(all, index, l, index_of(first, 0),
			  index_of(last, PCN_KERNELS_MAX - 1)) {
		if (first_page_of(index) > next)
			break;
		if (!(kids & BIT_ULL(kid_of(index))))
			continue;
		count = part_of(index, first, last, &from);
		bit = find_next_bit(l->pages, from + count, from);
		if (bit < from + count)
			next = min(next, first_page_of(index) + bit);
	}
	return next;
}

/**
 * pcn_lent_clear - kernels have no entry of some pages any more
 * @all:	what is known
 * @first:	number of the first page
 * @last:	number of the last one
 * @kids:	a bit for each kernel
 *
 * Context: the mirror's lock is held.
 */
void pcn_lent_clear(struct xarray *all, u64 first, u64 last, u64 kids)
{
	unsigned long index;
	unsigned int from, count;
	struct lent *l;

	xa_for_each_range(all, index, l, index_of(first, 0),
			  index_of(last, PCN_KERNELS_MAX - 1)) {
		if (!(kids & BIT_ULL(kid_of(index))))
			continue;
		count = part_of(index, first, last, &from);
		bitmap_clear(l->pages, from, count);
		if (!bitmap_empty(l->pages, PCN_BLOCK_PAGES))
			continue;
		xa_erase(all, index);
		kfree(l);
	}
}

/**
 * pcn_lent_end - forget all
 * @all:	what is known
 *
 * Context: nobody else has it.
 */
void pcn_lent_end(struct xarray *all)
{
	unsigned long index;
	struct lent *l;

	xa_for_each(all, index, l)
		kfree(l);
	xa_destroy(all);
}

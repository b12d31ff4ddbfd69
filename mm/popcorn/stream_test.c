// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit: what a thread that goes through memory gets.
 */
#include <kunit/test.h>

#include "borrow.h"

#define BEGIN	(7 * PCN_BLOCK_PAGES)
#define END	(BEGIN + PCN_BLOCK_PAGES)

static const struct pcn_pages block = { .first = BEGIN, .last = END - 1 };

/* So many questions it takes to touch each page of a range that is on its way. */
static unsigned int questions(struct pcn_stream *s, u64 page, const struct pcn_pages *range,
			      int step)
{
	unsigned int count = 0, got;
	int stride;

	while (page >= range->first && page <= range->last) {
		got = pcn_stream_next(s, page, range, &stride);
		count++;
		/* What it gets is on its way, or is no more than it has asked for. */
		page += got == 1 || stride == step ? (s64)got * step : step;
	}
	return count;
}

static void test_even(struct kunit *test)
{
	static const int steps[] = { 1, 2, 4, 7, 16 };
	unsigned int i, limit;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		struct pcn_stream s = { };

		/* 1, 1, 2, 4, 8, and then the most each time */
		limit = 7 + PCN_BLOCK_PAGES / steps[i] / PCN_AHEAD_MAX;
		KUNIT_EXPECT_LE(test, questions(&s, BEGIN, &block, steps[i]), limit);
		s = (struct pcn_stream) { };
		KUNIT_EXPECT_LE(test, questions(&s, END - 1, &block, -steps[i]), limit);
	}
}

/* It goes on in the next block as in the last one. */
static void test_blocks(struct kunit *test)
{
	const struct pcn_pages next = { .first = END, .last = END + PCN_BLOCK_PAGES - 1 };
	struct pcn_stream s = { };

	questions(&s, BEGIN, &block, 4);
	KUNIT_EXPECT_LE(test, questions(&s, END, &next, 4),
			PCN_BLOCK_PAGES / 4 / PCN_AHEAD_MAX + 1);
}

/* Tile by tile: the rows of one are four pages apart, the next one is beside it. */
static void test_tiles(struct kunit *test)
{
	const struct pcn_pages matrix = { .first = BEGIN, .last = BEGIN + 16 * 4 - 1 };
	struct pcn_stream s = { };
	unsigned int tile, count = 0;

	for (tile = 0; tile < 4; tile++)
		count += questions(&s, BEGIN + tile, &matrix, 4);
	KUNIT_EXPECT_LE(test, count, 5 + 3 + 2 * 2);
}

/* What is made for a thread that leaves its way is less than it has used. */
static void test_waste(struct kunit *test)
{
	static const u16 way[] = { 400, 300, 123, 7, 450, 13, 211 };
	const struct pcn_pages begin = { .first = BEGIN, .last = BEGIN + 63 };
	unsigned int i, got = 0, used;
	struct pcn_stream s = { };
	int stride;

	questions(&s, BEGIN, &begin, 1);
	used = s.count;
	for (i = 0; i < ARRAY_SIZE(way); i++)
		got += pcn_stream_next(&s, BEGIN + way[i], &block, &stride) - 1;
	KUNIT_EXPECT_LT(test, got, used);
}

/* No page is made that is not on the way of a thread. */
static void test_uneven(struct kunit *test)
{
	static const u16 way[] = { 3, 5, 4, 9, 500, 2, 2, 100, 107, 121, 149 };
	struct pcn_stream s = { };
	unsigned int i;
	int stride;

	for (i = 0; i < ARRAY_SIZE(way); i++)
		KUNIT_EXPECT_EQ(test, pcn_stream_next(&s, BEGIN + way[i], &block, &stride), 1);
}

/* All of it is in the range. */
static void test_end(struct kunit *test)
{
	const struct pcn_pages range = { .first = BEGIN + 3, .last = END - 5 };
	unsigned int count;
	int step, stride;

	for (step = -40; step < 40; step += step == -1 ? 2 : 1) {
		u64 page = step > 0 ? range.first : range.last, last;
		struct pcn_stream s = { };

		while (page >= range.first && page <= range.last) {
			count = pcn_stream_next(&s, page, &range, &stride);
			last = page + (s64)(count - 1) * stride;
			KUNIT_ASSERT_GE(test, count, 1);
			KUNIT_EXPECT_TRUE(test, last >= range.first && last <= range.last);
			page += step;
		}
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(test_even),
	KUNIT_CASE(test_blocks),
	KUNIT_CASE(test_tiles),
	KUNIT_CASE(test_waste),
	KUNIT_CASE(test_uneven),
	KUNIT_CASE(test_end),
	{ }
};

static struct kunit_suite suite = {
	.name		= "popcorn-stream",
	.test_cases	= cases,
};
kunit_test_suite(suite);

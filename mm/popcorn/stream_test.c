// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit: what a thread that goes through memory gets.
 */
#include <kunit/test.h>

#include "borrow.h"

#define BEGIN	(7 * PCN_BLOCK_PAGES)
#define END	(BEGIN + PCN_BLOCK_PAGES)

/* So many questions it takes to touch each page of a block that is on its way. */
static unsigned int questions(struct pcn_stream *s, u64 first, u64 end, unsigned int step)
{
	unsigned int count = 0, stride, got;
	u64 page = first;

	while (page < end) {
		got = pcn_stream_next(s, page, end, &stride);
		count++;
		/* What it gets is on its way, or is no more than it has asked for. */
		page += got == 1 || stride == step ? got * step : step;
	}
	return count;
}

static void test_even(struct kunit *test)
{
	static const unsigned int steps[] = { 1, 2, 4, 7, 16 };
	unsigned int i, limit;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		struct pcn_stream s = { };

		/* 1, 1, 2, 4, 8, and then the most each time */
		limit = 7 + PCN_BLOCK_PAGES / steps[i] / PCN_AHEAD_MAX;
		KUNIT_EXPECT_LE(test, questions(&s, BEGIN, END, steps[i]), limit);
	}
}

/* It goes on in the next block as in the last one. */
static void test_blocks(struct kunit *test)
{
	struct pcn_stream s = { };

	questions(&s, BEGIN, END, 4);
	KUNIT_EXPECT_LE(test, questions(&s, END, END + PCN_BLOCK_PAGES, 4),
			PCN_BLOCK_PAGES / 4 / PCN_AHEAD_MAX + 1);
}

/* Tile by tile: the rows of one are four pages apart, the next one is beside it. */
static void test_tiles(struct kunit *test)
{
	struct pcn_stream s = { };
	unsigned int tile, count = 0;

	for (tile = 0; tile < 4; tile++)
		count += questions(&s, BEGIN + tile, BEGIN + 16 * 4, 4);
	KUNIT_EXPECT_LE(test, count, 5 + 3 + 2 * 2);
}

/* What is made for a thread that leaves its way is less than it has used. */
static void test_waste(struct kunit *test)
{
	static const u16 way[] = { 400, 300, 123, 7, 450, 13, 211 };
	unsigned int i, stride, got = 0, used;
	struct pcn_stream s = { };

	questions(&s, BEGIN, BEGIN + 64, 1);
	used = s.count;
	for (i = 0; i < ARRAY_SIZE(way); i++)
		got += pcn_stream_next(&s, BEGIN + way[i], END, &stride) - 1;
	KUNIT_EXPECT_LT(test, got, used);
}

/* No page is made that is not on the way of a thread. */
static void test_uneven(struct kunit *test)
{
	static const u16 way[] = { 3, 5, 4, 9, 8, 500, 2, 2, 100, 107, 121, 149 };
	struct pcn_stream s = { };
	unsigned int i, stride;

	for (i = 0; i < ARRAY_SIZE(way); i++)
		KUNIT_EXPECT_EQ(test, pcn_stream_next(&s, BEGIN + way[i], END, &stride), 1);
}

/* All of it is in the block, and before the end of the VMA. */
static void test_end(struct kunit *test)
{
	unsigned int step, stride, count;

	for (step = 1; step < 40; step++) {
		struct pcn_stream s = { };
		u64 page = BEGIN, end = END - 5;

		while (page < end) {
			count = pcn_stream_next(&s, page, end, &stride);
			KUNIT_ASSERT_GE(test, count, 1);
			KUNIT_EXPECT_LT(test, page + (count - 1) * stride, end);
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

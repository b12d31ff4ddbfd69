// SPDX-License-Identifier: GPL-2.0
/* Unit tests of which kernel may have an entry of which page. */
#include <kunit/test.h>

#include <linux/bits.h>
#include <linux/limits.h>
#include <linux/xarray.h>

#include "internal.h"
#include "mirror.h"

/* The last pages of one block, and the first ones of the next. */
#define BLOCK	(9 * PCN_BLOCK_PAGES)
#define LAST	(BLOCK - 1)

#define THERE	(PCN_FRAME_THERE | 0x1234ULL << PCN_FRAME_SHIFT)

static DEFINE_XARRAY(all);

static void leave(struct kunit *test)
{
	pcn_lent_end(&all);
}

static void tell(struct kunit *test, u64 page, unsigned int kid)
{
	const u64 frame = THERE;

	KUNIT_ASSERT_EQ(test, pcn_lent_add(&all, page, &frame, 1, kid), 0);
}

static void page_by_page(struct kunit *test)
{
	const u64 frame[] = { THERE, 0, PCN_FRAME_ALIEN, THERE | PCN_FRAME_WRITE };

	KUNIT_ASSERT_EQ(test, pcn_lent_add(&all, BLOCK, frame, ARRAY_SIZE(frame), 5), 0);
	KUNIT_EXPECT_EQ(test, pcn_lent_to(&all, BLOCK, BLOCK), BIT_ULL(5));
	KUNIT_EXPECT_EQ(test, pcn_lent_to(&all, BLOCK + 1, BLOCK + 2), 0);
	KUNIT_EXPECT_EQ(test, pcn_lent_to(&all, BLOCK + 3, BLOCK + 3), BIT_ULL(5));
	KUNIT_EXPECT_EQ(test, pcn_lent_to(&all, 0, BLOCK - 1), 0);
	KUNIT_EXPECT_EQ(test, pcn_lent_to(&all, BLOCK + 4, PCN_LAST_PAGE), 0);
	KUNIT_EXPECT_EQ(test, pcn_lent_to(&all, 0, PCN_LAST_PAGE), BIT_ULL(5));
}

static void kernel_by_kernel(struct kunit *test)
{
	tell(test, LAST, 0);
	tell(test, BLOCK, 63);
	KUNIT_EXPECT_EQ(test, pcn_lent_to(&all, LAST, LAST), BIT_ULL(0));
	KUNIT_EXPECT_EQ(test, pcn_lent_to(&all, BLOCK, BLOCK), BIT_ULL(63));
	KUNIT_EXPECT_EQ(test, pcn_lent_to(&all, LAST, BLOCK), BIT_ULL(0) | BIT_ULL(63));
	pcn_lent_clear(&all, LAST, BLOCK, BIT_ULL(63));
	KUNIT_EXPECT_EQ(test, pcn_lent_to(&all, 0, PCN_LAST_PAGE), BIT_ULL(0));
}

static void nothing_but_what_is_cleared(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < 4; i++)
		tell(test, LAST - 1 + i, 1);
	pcn_lent_clear(&all, LAST, BLOCK, ~0ULL);
	KUNIT_EXPECT_EQ(test, pcn_lent_to(&all, LAST - 1, LAST - 1), BIT_ULL(1));
	KUNIT_EXPECT_EQ(test, pcn_lent_to(&all, LAST, BLOCK), 0);
	KUNIT_EXPECT_EQ(test, pcn_lent_to(&all, BLOCK + 1, BLOCK + 1), BIT_ULL(1));
	pcn_lent_clear(&all, 0, PCN_LAST_PAGE, ~0ULL);
	KUNIT_EXPECT_TRUE(test, xa_empty(&all));
}

static void next_one(struct kunit *test)
{
	tell(test, LAST, 2);
	tell(test, LAST - 1, 3);
	tell(test, BLOCK + 7, 3);
	KUNIT_EXPECT_EQ(test, pcn_lent_next(&all, 0, PCN_LAST_PAGE, BIT_ULL(2)), LAST);
	KUNIT_EXPECT_EQ(test, pcn_lent_next(&all, 0, PCN_LAST_PAGE, BIT_ULL(2) | BIT_ULL(3)),
			LAST - 1);
	KUNIT_EXPECT_EQ(test, pcn_lent_next(&all, LAST, PCN_LAST_PAGE, BIT_ULL(3)), BLOCK + 7);
	KUNIT_EXPECT_EQ(test, pcn_lent_next(&all, LAST, BLOCK + 6, BIT_ULL(3)), U64_MAX);
	KUNIT_EXPECT_EQ(test, pcn_lent_next(&all, 0, PCN_LAST_PAGE, BIT_ULL(4)), U64_MAX);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(page_by_page),
	KUNIT_CASE(kernel_by_kernel),
	KUNIT_CASE(nothing_but_what_is_cleared),
	KUNIT_CASE(next_one),
	{}
};

static struct kunit_suite suite = {
	.name = "popcorn-lent",
	.exit = leave,
	.test_cases = cases,
};
kunit_test_suite(suite);

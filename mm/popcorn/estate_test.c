// SPDX-License-Identifier: GPL-2.0
/* Unit tests of estates: when frames of a space that has ended are freed. */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/mm.h>

#include <popcorn/core.h>

#include "internal.h"

#define NUMBER	0xe57a7e
#define PAGES	3

/* What the window says: the kernels that may map memory of this one. */
static u64 mappers;

static bool fake_mapper_is(unsigned int kid)
{
	return mappers & BIT_ULL(kid);
}

/* A space that has told kernels of frames; the test has a reference to each. */
static void add_page(struct kunit *test, struct pcn_space *s, u64 page, u64 named)
{
	struct page **frame = (struct page **)test->priv + page;
	struct pcn_record *r = pcn_record_get(s, page);

	KUNIT_ASSERT_FALSE(test, IS_ERR(r));
	*frame = alloc_page(GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, *frame);
	get_page(*frame);
	pcn_record_set_frame(r, *frame);
	r->replica.cs = named;
	pcn_record_put(r);
}

static struct pcn_space *new_space(struct kunit *test)
{
	struct pcn_space *s = pcn_space_create(NUMBER, BIT_ULL(pcn_self()), pcn_self());

	KUNIT_ASSERT_FALSE(test, IS_ERR(s));
	s->estate = pcn_estate_new(NUMBER);
	KUNIT_ASSERT_NOT_NULL(test, s->estate);
	return s;
}

/* References besides the test's: it is freed, or not. */
static int refs(struct kunit *test, u64 page)
{
	return page_count(((struct page **)test->priv)[page]) - 1;
}

static bool becomes_free(struct kunit *test, u64 page)
{
	unsigned int tries = 200;

	while (refs(test, page) && --tries)
		msleep(10);
	return !refs(test, page);
}

static int init(struct kunit *test)
{
	test->priv = kunit_kcalloc(test, PAGES, sizeof(struct page *), GFP_KERNEL);
	mappers = 0;
	pcn_estates_mapper_is = fake_mapper_is;
	return test->priv ? 0 : -ENOMEM;
}

static void leave(struct kunit *test)
{
	struct page **frame = test->priv;
	unsigned int i;

	for (i = 0; frame && i < PAGES; i++)
		if (frame[i])
			put_page(frame[i]);
	pcn_estates_mapper_is = pcn_mapper_is;
}

static void told_nobody(struct kunit *test)
{
	struct pcn_space *s = new_space(test);
	long records = pcn_records_in_use();

	add_page(test, s, 0, 0);
	pcn_space_destroy(s);
	KUNIT_EXPECT_EQ(test, refs(test, 0), 0);
	KUNIT_EXPECT_EQ(test, pcn_records_in_use(), records);
}

static void kept_until_all_have_forgotten(struct kunit *test)
{
	unsigned long frames = pcn_estates_frames();
	struct pcn_space *s = new_space(test);
	long records = pcn_records_in_use();

	add_page(test, s, 0, BIT(1));
	add_page(test, s, 1, BIT(1) | BIT(2));
	add_page(test, s, 2, 0);
	pcn_space_destroy(s);
	KUNIT_EXPECT_EQ(test, pcn_estates_frames(), frames + 2);
	KUNIT_EXPECT_EQ(test, refs(test, 2), 0);
	pcn_estate_forgot(NUMBER + 1, 1);
	pcn_estate_forgot(NUMBER, 2);
	pcn_estate_forgot(NUMBER, 2);
	KUNIT_EXPECT_EQ(test, refs(test, 0), 1);
	KUNIT_EXPECT_EQ(test, refs(test, 1), 1);
	pcn_estate_forgot(NUMBER, 1);
	KUNIT_EXPECT_TRUE(test, becomes_free(test, 0));
	KUNIT_EXPECT_TRUE(test, becomes_free(test, 1));
	KUNIT_EXPECT_EQ(test, pcn_records_in_use(), records);
	KUNIT_EXPECT_EQ(test, pcn_estates_frames(), frames);
}

/* A member may have ended its part before the space ends. */
static void forgotten_before(struct kunit *test)
{
	struct pcn_space *s = new_space(test);

	add_page(test, s, 0, BIT(1));
	pcn_estate_forgot(NUMBER, 1);
	KUNIT_EXPECT_EQ(test, refs(test, 0), 1);
	pcn_space_destroy(s);
	KUNIT_EXPECT_EQ(test, refs(test, 0), 0);
}

static void parked_kernel_maps_nothing(struct kunit *test)
{
	struct pcn_space *s = new_space(test);

	add_page(test, s, 0, BIT(1) | BIT(2));
	pcn_space_destroy(s);
	pcn_estates_lose(1);
	pcn_estates_lose(3);
	KUNIT_EXPECT_EQ(test, refs(test, 0), 1);
	pcn_estates_lose(2);
	KUNIT_EXPECT_TRUE(test, becomes_free(test, 0));
}

/* Its link is broken, and it runs; later it has unmapped all. */
static void adrift_and_seen_later(struct kunit *test)
{
	struct pcn_space *s = new_space(test);

	add_page(test, s, 0, BIT(1));
	mappers = BIT(1);
	pcn_estates_lose(1);
	pcn_space_destroy(s);
	msleep(1500);
	KUNIT_EXPECT_EQ(test, refs(test, 0), 1);
	mappers = 0;
	KUNIT_EXPECT_TRUE(test, becomes_free(test, 0));
}

/* Its CPUs could not be parked, and in the end they could. */
static void adrift_until_its_next_life(struct kunit *test)
{
	struct pcn_space *s = new_space(test);

	add_page(test, s, 0, BIT(1));
	pcn_space_destroy(s);
	mappers = BIT(1) | BIT(2);
	pcn_estates_lose(1);
	msleep(1500);
	KUNIT_EXPECT_EQ(test, refs(test, 0), 1);
	/* Another kernel's next life says nothing of this one. */
	pcn_estates_renew(2);
	KUNIT_EXPECT_EQ(test, refs(test, 0), 1);
	pcn_estates_renew(1);
	KUNIT_EXPECT_TRUE(test, becomes_free(test, 0));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(told_nobody),
	KUNIT_CASE(kept_until_all_have_forgotten),
	KUNIT_CASE(forgotten_before),
	KUNIT_CASE(parked_kernel_maps_nothing),
	KUNIT_CASE(adrift_and_seen_later),
	KUNIT_CASE(adrift_until_its_next_life),
	{}
};

static struct kunit_suite suite = {
	.name = "popcorn-estate",
	.init = init,
	.exit = leave,
	.test_cases = cases,
};
kunit_test_suite(suite);

// SPDX-License-Identifier: GPL-2.0
/* Unit tests of frames that are kept: when they are freed. */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/mm.h>

#include <popcorn/core.h>

#include "internal.h"
#include "mirror.h"

#define NUMBER	0xe57a7e

/* struct fixture - the test has a reference to the frame, and the window says who maps */
struct fixture {
	struct folio	*folio;
	struct pcn_kept	*kept;
};

static u64 mappers;

static bool fake_mapper_is(unsigned int kid)
{
	return mappers & BIT(kid);
}

static int init(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	test->priv = f;
	if (!f)
		return -ENOMEM;
	mappers = 0;
	pcn_kept_mapper_is = fake_mapper_is;
	f->folio = folio_alloc(GFP_KERNEL, 1);
	f->kept = pcn_kept_new(NUMBER);
	return f->folio && f->kept ? 0 : -ENOMEM;
}

static void leave(struct kunit *test)
{
	struct fixture *f = test->priv;

	if (f && f->folio)
		folio_put(f->folio);
	pcn_kept_mapper_is = pcn_mapper_is;
}

/* References besides the test's. */
static int refs(const struct fixture *f)
{
	return folio_ref_count(f->folio) - 1;
}

static bool becomes_free(const struct fixture *f)
{
	unsigned int tries = 100;

	while (refs(f) && --tries)
		msleep(20);
	return !refs(f);
}

/* What frees frames counts them afterwards. */
static bool count_becomes(unsigned long frames)
{
	unsigned int tries = 100;

	while (pcn_kept_frames() != frames && --tries)
		msleep(20);
	return pcn_kept_frames() == frames;
}

static void once_however_often(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned long frames = pcn_kept_frames();

	mappers = BIT(1);
	pcn_kept_for(f->kept, BIT(1));
	pcn_kept_add(f->kept, f->folio);
	pcn_kept_add(f->kept, f->folio);
	KUNIT_EXPECT_EQ(test, refs(f), 1);
	KUNIT_EXPECT_EQ(test, pcn_kept_frames(), frames + 2);
	pcn_kept_end(f->kept);
	KUNIT_EXPECT_EQ(test, refs(f), 1);
	pcn_kept_forgot(NUMBER, 1);
	KUNIT_EXPECT_TRUE(test, becomes_free(f));
	KUNIT_EXPECT_TRUE(test, count_becomes(frames));
}

static void until_all_have_forgotten(struct kunit *test)
{
	struct fixture *f = test->priv;

	mappers = BIT(1) | BIT(2);
	pcn_kept_for(f->kept, BIT(1) | BIT(2));
	pcn_kept_add(f->kept, f->folio);
	pcn_kept_end(f->kept);
	pcn_kept_forgot(NUMBER + 1, 1);
	pcn_kept_forgot(NUMBER, 2);
	pcn_kept_forgot(NUMBER, 2);
	msleep(50);
	KUNIT_EXPECT_EQ(test, refs(f), 1);
	pcn_kept_forgot(NUMBER, 1);
	KUNIT_EXPECT_TRUE(test, becomes_free(f));
}

/* A member may have ended its part before the space ends: that is waited for. */
static void forgotten_before(struct kunit *test)
{
	struct fixture *f = test->priv;

	mappers = BIT(1);
	pcn_kept_for(f->kept, BIT(1));
	pcn_kept_add(f->kept, f->folio);
	pcn_kept_forgotten_by(f->kept, BIT(1));
	KUNIT_EXPECT_TRUE(test, pcn_kept_is_forgotten(f->kept, 1));
	msleep(50);
	KUNIT_EXPECT_EQ(test, refs(f), 1);
	pcn_kept_end(f->kept);
	KUNIT_EXPECT_TRUE(test, becomes_free(f));
}

/* Its link is broken, and it runs; later it has unmapped all. */
static void seen_later(struct kunit *test)
{
	struct fixture *f = test->priv;

	mappers = BIT(1);
	pcn_kept_for(f->kept, BIT(1));
	pcn_kept_add(f->kept, f->folio);
	pcn_kept_end(f->kept);
	msleep(1500);
	KUNIT_EXPECT_EQ(test, refs(f), 1);
	mappers = 0;
	KUNIT_EXPECT_TRUE(test, becomes_free(f));
}

static void nobody_uses_it(struct kunit *test)
{
	struct fixture *f = test->priv;

	pcn_kept_end(f->kept);
	msleep(50);
	KUNIT_EXPECT_EQ(test, refs(f), 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(once_however_often),
	KUNIT_CASE(until_all_have_forgotten),
	KUNIT_CASE(forgotten_before),
	KUNIT_CASE(seen_later),
	KUNIT_CASE(nobody_uses_it),
	{}
};

static struct kunit_suite suite = {
	.name = "popcorn-kept",
	.init = init,
	.exit = leave,
	.test_cases = cases,
};
kunit_test_suite(suite);

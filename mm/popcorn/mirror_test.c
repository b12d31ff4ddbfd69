// SPDX-License-Identifier: GPL-2.0
/* Unit tests of what a mirror tells of while pages are being changed. */
#include <kunit/test.h>

#include <linux/spinlock.h>

#include "mirror.h"

/* All of a block is asked for, and this page is needed. */
#define FIRST	(7 * PCN_BLOCK_PAGES)
#define LAST	(FIRST + PCN_BLOCK_PAGES - 1)
#define PAGE	(FIRST + 200)

static int init(struct kunit *test)
{
	struct pcn_mirror *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	test->priv = m;
	if (!m)
		return -ENOMEM;
	spin_lock_init(&m->lock);
	return 0;
}

static void changes(struct pcn_mirror *m, u64 first, u64 last)
{
	m->change[m->changes++] = (struct pcn_pages) { .first = first, .last = last };
}

static bool ask(struct pcn_mirror *m, struct pcn_pages *around)
{
	bool calm;

	*around = (struct pcn_pages) { .first = FIRST, .last = LAST };
	spin_lock(&m->lock);
	calm = pcn_mirror_avoid_changes(m, PAGE, around);
	spin_unlock(&m->lock);
	return calm;
}

static void expect(struct kunit *test, bool calm, u64 first, u64 last)
{
	struct pcn_pages around;

	KUNIT_EXPECT_EQ(test, ask(test->priv, &around), calm);
	KUNIT_EXPECT_EQ(test, around.first, first);
	KUNIT_EXPECT_EQ(test, around.last, last);
}

static void all_without_changes(struct kunit *test)
{
	expect(test, true, FIRST, LAST);
}

static void not_what_changes(struct kunit *test)
{
	struct pcn_mirror *m = test->priv;

	changes(m, FIRST - 10, FIRST - 1);
	expect(test, true, FIRST, LAST);
	changes(m, FIRST + 3, PAGE - 1);
	expect(test, true, PAGE, LAST);
	changes(m, PAGE + 5, LAST + 100);
	expect(test, true, PAGE, PAGE + 4);
}

/* What it comes to first does not matter: a range half cut would be one of other pages. */
static void nothing_if_it_changes(struct kunit *test)
{
	struct pcn_mirror *m = test->priv;

	changes(m, FIRST, FIRST + 9);
	changes(m, LAST, LAST);
	changes(m, PAGE, PAGE);
	expect(test, false, FIRST, LAST);
}

static void more_than_are_told_apart(struct kunit *test)
{
	struct pcn_mirror *m = test->priv;

	m->rest = (struct pcn_pages) { .first = FIRST + 1, .last = PAGE - 1 };
	expect(test, true, FIRST, LAST);
	m->more = 1;
	expect(test, true, PAGE, LAST);
	changes(m, LAST, LAST);
	m->rest.last = PAGE;
	expect(test, false, FIRST, LAST);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(all_without_changes),
	KUNIT_CASE(not_what_changes),
	KUNIT_CASE(nothing_if_it_changes),
	KUNIT_CASE(more_than_are_told_apart),
	{}
};

static struct kunit_suite suite = {
	.name = "popcorn-mirror",
	.init = init,
	.test_cases = cases,
};
kunit_test_suite(suite);

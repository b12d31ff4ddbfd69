// SPDX-License-Identifier: GPL-2.0
/* Unit tests of the table of page checks: what it lets pass, and what it finds. */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include "internal.h"
#include "check_table.h"

#define NO	PCN_MAP_NONE
#define RD	PCN_MAP_RDONLY
#define WR	PCN_MAP_RDWR

static int init(struct kunit *test)
{
	test->priv = vzalloc(sizeof(struct pcn_check_table));
	return test->priv ? 0 : -ENOMEM;
}

static void leave(struct kunit *test)
{
	vfree(test->priv);
}

/* Kernel @kid goes from one access to another one, with this content. */
static enum pcn_check_fault change(struct kunit *test, u8 kid, u8 from, u8 to,
				   u64 digest)
{
	struct pcn_check_change c = {
		.space = 7, .page = 9, .kid = kid, .from = from, .to = to,
		.digest = digest, .digested = true,
	};
	u64 others;

	return pcn_check_enter(test->priv, &c, &others);
}

static enum pcn_check_fault end(struct kunit *test, u8 kid, u8 from, u64 digest,
				bool alone)
{
	struct pcn_check_change c = {
		.space = 7, .page = 9, .kid = kid, .from = from, .to = NO,
		.digest = digest, .digested = true, .ends = true, .alone = alone,
	};
	u64 others;

	return pcn_check_enter(test->priv, &c, &others);
}

/* Kernel 0, and kernel @left later. */
static enum pcn_check_fault release(struct kunit *test, u8 left)
{
	struct pcn_check_change c = {
		.space = 7, .page = 9, .kid = 0, .from = RD, .to = NO,
		.digest = 1, .digested = true, .ends = true, .alone = true,
		.also = BIT_ULL(left),
	};
	u64 others;

	return pcn_check_enter(test->priv, &c, &others);
}

static void what_protocols_do(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, change(test, 0, NO, WR, 1), PCN_CHECK_FINE);
	KUNIT_EXPECT_EQ(test, change(test, 0, WR, RD, 2), PCN_CHECK_FINE);
	KUNIT_EXPECT_EQ(test, change(test, 1, NO, RD, 2), PCN_CHECK_FINE);
	KUNIT_EXPECT_EQ(test, change(test, 63, NO, RD, 2), PCN_CHECK_FINE);
	KUNIT_EXPECT_EQ(test, change(test, 63, RD, NO, 2), PCN_CHECK_FINE);
	KUNIT_EXPECT_EQ(test, change(test, 0, RD, NO, 2), PCN_CHECK_FINE);
	KUNIT_EXPECT_EQ(test, change(test, 1, RD, WR, 2), PCN_CHECK_FINE);
	KUNIT_EXPECT_EQ(test, change(test, 1, WR, NO, 3), PCN_CHECK_FINE);
	KUNIT_EXPECT_EQ(test, change(test, 63, NO, WR, 3), PCN_CHECK_FINE);
	KUNIT_EXPECT_EQ(test, end(test, 0, NO, 0, false), PCN_CHECK_FINE);
	KUNIT_EXPECT_EQ(test, end(test, 1, NO, 0, false), PCN_CHECK_FINE);
	KUNIT_EXPECT_EQ(test, pcn_check_count(test->priv), 1);
	KUNIT_EXPECT_EQ(test, end(test, 63, WR, 4, true), PCN_CHECK_FINE);
	KUNIT_EXPECT_EQ(test, pcn_check_count(test->priv), 0);
	/* The table is empty again: the next kernel starts with a new entry. */
	KUNIT_EXPECT_EQ(test, change(test, 2, NO, WR, 5), PCN_CHECK_FINE);
}

static void two_writers(struct kunit *test)
{
	change(test, 0, NO, WR, 1);
	KUNIT_EXPECT_EQ(test, change(test, 1, NO, WR, 1), PCN_CHECK_WRITTEN);
}

static void reader_beside_writer(struct kunit *test)
{
	change(test, 0, NO, WR, 1);
	KUNIT_EXPECT_EQ(test, change(test, 1, NO, RD, 1), PCN_CHECK_WRITTEN);
}

static void writer_beside_readers(struct kunit *test)
{
	change(test, 0, NO, RD, 1);
	change(test, 1, NO, RD, 1);
	KUNIT_EXPECT_EQ(test, change(test, 2, NO, WR, 1), PCN_CHECK_READ);
	KUNIT_EXPECT_EQ(test, change(test, 2, WR, NO, 1), PCN_CHECK_FINE);
	KUNIT_EXPECT_EQ(test, change(test, 1, RD, WR, 1), PCN_CHECK_READ);
}

static void old_data(struct kunit *test)
{
	change(test, 0, NO, WR, 1);
	change(test, 0, WR, NO, 2);
	KUNIT_EXPECT_EQ(test, change(test, 1, NO, RD, 1), PCN_CHECK_STALE);
	change(test, 1, RD, NO, 2);
	KUNIT_EXPECT_EQ(test, change(test, 2, NO, WR, 1), PCN_CHECK_STALE);
}

static void written_while_read_only(struct kunit *test)
{
	change(test, 0, NO, WR, 1);
	change(test, 0, WR, RD, 2);
	KUNIT_EXPECT_EQ(test, change(test, 0, RD, NO, 3), PCN_CHECK_CHANGED);
	change(test, 0, NO, RD, 2);
	KUNIT_EXPECT_EQ(test, end(test, 0, RD, 3, false), PCN_CHECK_CHANGED);
}

static void taken_back_too_early(struct kunit *test)
{
	change(test, 0, NO, RD, 1);
	change(test, 1, NO, RD, 1);
	KUNIT_EXPECT_EQ(test, end(test, 0, RD, 1, true), PCN_CHECK_ELSEWHERE);
}

/* It has nothing mapped: others may begin before it has forgotten the page. */
static void one_forgets_it_later(struct kunit *test)
{
	change(test, 0, NO, RD, 1);
	change(test, 1, NO, RD, 1);
	KUNIT_EXPECT_EQ(test, release(test, 1), PCN_CHECK_FINE);
	KUNIT_EXPECT_EQ(test, change(test, 0, NO, WR, 1), PCN_CHECK_FINE);
	KUNIT_EXPECT_EQ(test, end(test, 1, RD, 1, true), PCN_CHECK_FINE);
	KUNIT_EXPECT_EQ(test, change(test, 2, NO, RD, 1), PCN_CHECK_WRITTEN);
}

static void a_third_one_has_it(struct kunit *test)
{
	change(test, 0, NO, RD, 1);
	change(test, 1, NO, RD, 1);
	change(test, 2, NO, RD, 1);
	KUNIT_EXPECT_EQ(test, release(test, 1), PCN_CHECK_ELSEWHERE);
}

static void the_dead_have_nothing(struct kunit *test)
{
	unsigned int i;

	change(test, 5, NO, WR, 1);
	for (i = 0; i < PCN_CHECK_BUCKETS; i++)
		pcn_check_forget_kid(test->priv, i, 5);
	KUNIT_EXPECT_EQ(test, pcn_check_count(test->priv), 0);
	KUNIT_EXPECT_EQ(test, change(test, 1, NO, WR, 2), PCN_CHECK_FINE);
}

/* What was known before goes on being checked, what is new is not. */
static void full(struct kunit *test)
{
	struct pcn_check_table *t = test->priv;
	struct pcn_check_change c = { .space = 8, .to = WR };
	u64 others;

	change(test, 0, NO, WR, 1);
	for (c.page = 0; c.page < PCN_CHECK_BUCKETS * (PCN_CHECK_SLOTS + 1); c.page++)
		pcn_check_enter(t, &c, &others);
	KUNIT_EXPECT_GT(test, t->unchecked, 0);
	KUNIT_EXPECT_EQ(test, t->violations, 0);
	KUNIT_EXPECT_EQ(test, change(test, 1, NO, RD, 1), PCN_CHECK_WRITTEN);
	c.kid = 1;
	for (c.page = 0; c.page < PCN_CHECK_BUCKETS * (PCN_CHECK_SLOTS + 1); c.page++)
		pcn_check_enter(t, &c, &others);
	/* Each of them is either known, and found, or was not checked twice. */
	KUNIT_EXPECT_EQ(test, t->violations - 1 + t->unchecked / 2,
			PCN_CHECK_BUCKETS * (PCN_CHECK_SLOTS + 1));
}

/* A kernel has ended with a lock in its hand. */
static void lock_of_the_dead(struct kunit *test)
{
	struct pcn_check_table *t = test->priv;
	unsigned int i;

	change(test, 0, NO, WR, 1);
	for (i = 0; i < PCN_CHECK_BUCKETS; i++)
		t->bucket[i].lock = 1 << 8 | 5;
	KUNIT_EXPECT_EQ(test, change(test, 1, NO, WR, 1), PCN_CHECK_FINE);
	KUNIT_EXPECT_EQ(test, t->broken, 1);
	KUNIT_EXPECT_EQ(test, change(test, 2, NO, WR, 1), PCN_CHECK_FINE);
	KUNIT_EXPECT_EQ(test, t->broken, 1);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(what_protocols_do),
	KUNIT_CASE(two_writers),
	KUNIT_CASE(reader_beside_writer),
	KUNIT_CASE(writer_beside_readers),
	KUNIT_CASE(old_data),
	KUNIT_CASE(written_while_read_only),
	KUNIT_CASE(taken_back_too_early),
	KUNIT_CASE(one_forgets_it_later),
	KUNIT_CASE(a_third_one_has_it),
	KUNIT_CASE(the_dead_have_nothing),
	KUNIT_CASE(full),
	KUNIT_CASE_SLOW(lock_of_the_dead),
	{}
};

static struct kunit_suite suite = {
	.name = "popcorn_check",
	.init = init,
	.exit = leave,
	.test_cases = cases,
};
kunit_test_suite(suite);

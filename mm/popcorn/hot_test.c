// SPDX-License-Identifier: GPL-2.0
/* Unit tests of the table of hot pages: what it counts, and what it may forget. */
#include <kunit/test.h>
#include <linux/prandom.h>

#include "hot.h"

static int init(struct kunit *test)
{
	test->priv = kunit_kzalloc(test, sizeof(struct pcn_hot_pages), GFP_KERNEL);
	return test->priv ? 0 : -ENOMEM;
}

static void add(struct pcn_hot_pages *h, u64 page, unsigned int times)
{
	while (times--)
		pcn_hot_pages_add(h, page, true, 1);
}

static const struct pcn_hot_page *entry_of(const struct pcn_hot_pages *h, u64 page)
{
	u64 i;

	for (i = 0; i < h->used; i++)
		if (h->entry[i].page == page)
			return &h->entry[i];
	return NULL;
}

static bool is_sorted(const struct pcn_hot_pages *h)
{
	u64 i;

	for (i = 1; i < h->used; i++)
		if (pcn_hot_weight(&h->entry[i - 1]) < pcn_hot_weight(&h->entry[i]))
			return false;
	return true;
}

static void counts_one_page(struct kunit *test)
{
	struct pcn_hot_pages *h = test->priv;

	pcn_hot_pages_add(h, 7, false, 0);
	pcn_hot_pages_add(h, 7, true, 63);
	pcn_hot_pages_add(h, 7, true, 0);
	KUNIT_EXPECT_EQ(test, h->moves, 3);
	KUNIT_EXPECT_EQ(test, h->used, 1);
	KUNIT_EXPECT_EQ(test, h->entry[0].page, 7);
	KUNIT_EXPECT_EQ(test, h->entry[0].reads, 1);
	KUNIT_EXPECT_EQ(test, h->entry[0].writes, 2);
	KUNIT_EXPECT_EQ(test, h->entry[0].before, 0);
	KUNIT_EXPECT_EQ(test, h->entry[0].from, BIT_ULL(63) | BIT_ULL(0));
}

static void highest_first(struct kunit *test)
{
	struct pcn_hot_pages *h = test->priv;
	u64 page;

	for (page = 0; page < 10; page++)
		add(h, page, page + 1);
	KUNIT_EXPECT_TRUE(test, is_sorted(h));
	KUNIT_EXPECT_EQ(test, h->entry[0].page, 9);
	add(h, 0, 100);
	KUNIT_EXPECT_TRUE(test, is_sorted(h));
	KUNIT_EXPECT_EQ(test, h->entry[0].page, 0);
	KUNIT_EXPECT_EQ(test, h->entry[0].writes, 101);
	KUNIT_EXPECT_EQ(test, h->used, 10);
}

static void full_table_takes_over(struct kunit *test)
{
	struct pcn_hot_pages *h = test->priv;
	const struct pcn_hot_page *last = &h->entry[PCN_HOT_PAGES - 1];
	u64 page;

	for (page = 0; page < PCN_HOT_PAGES; page++)
		add(h, page, 3 + !!page);
	KUNIT_EXPECT_EQ(test, last->page, 0);
	/* The one of lowest weight, and its weight, but nothing else of it. */
	pcn_hot_pages_add(h, 1000, false, 2);
	KUNIT_EXPECT_NULL(test, entry_of(h, 0));
	KUNIT_EXPECT_EQ(test, h->used, PCN_HOT_PAGES);
	KUNIT_ASSERT_NOT_NULL(test, entry_of(h, 1000));
	KUNIT_EXPECT_EQ(test, entry_of(h, 1000)->before, 3);
	KUNIT_EXPECT_EQ(test, entry_of(h, 1000)->reads, 1);
	KUNIT_EXPECT_EQ(test, entry_of(h, 1000)->writes, 0);
	KUNIT_EXPECT_EQ(test, entry_of(h, 1000)->from, BIT_ULL(2));
	KUNIT_EXPECT_TRUE(test, is_sorted(h));
}

/* Three hot pages among random ones: one move in 20 is of each of them. */
static u64 random_page(struct rnd_state *rnd)
{
	u32 dice = prandom_u32_state(rnd) % 20;

	return dice < 3 ? dice : 100 + prandom_u32_state(rnd) % 100000;
}

static void finds_the_hot_ones(struct kunit *test)
{
	struct pcn_hot_pages *h = test->priv;
	const struct pcn_hot_page *e;
	struct rnd_state rnd;
	u64 times[3] = {}, page, i;

	prandom_seed_state(&rnd, 1);
	for (i = 0; i < 50000; i++) {
		page = random_page(&rnd);
		if (page < ARRAY_SIZE(times))
			times[page]++;
		add(h, page, 1);
	}
	KUNIT_EXPECT_EQ(test, h->moves, 50000);
	KUNIT_EXPECT_TRUE(test, is_sorted(h));
	for (page = 0; page < ARRAY_SIZE(times); page++) {
		e = entry_of(h, page);
		KUNIT_ASSERT_NOT_NULL(test, e);
		KUNIT_EXPECT_LT(test, e - h->entry, ARRAY_SIZE(times));
		/* What it has counted is certain, and it misses no more than it says. */
		KUNIT_EXPECT_LE(test, e->writes, times[page]);
		KUNIT_EXPECT_GE(test, pcn_hot_weight(e), times[page]);
		KUNIT_EXPECT_LE(test, e->before, h->moves / PCN_HOT_PAGES);
	}
}

/* The sum of all weights is the number of moves: none is lost, none is there twice. */
static void weights_add_up(struct kunit *test)
{
	struct pcn_hot_pages *h = test->priv;
	u64 i, sum = 0;

	for (i = 0; i < 10000; i++)
		add(h, i * i % 301, 1);
	for (i = 0; i < h->used; i++)
		sum += pcn_hot_weight(&h->entry[i]);
	KUNIT_EXPECT_EQ(test, sum, h->moves);
	KUNIT_EXPECT_TRUE(test, is_sorted(h));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(counts_one_page),
	KUNIT_CASE(highest_first),
	KUNIT_CASE(full_table_takes_over),
	KUNIT_CASE(finds_the_hot_ones),
	KUNIT_CASE(weights_add_up),
	{}
};

static struct kunit_suite suite = {
	.name = "popcorn-hot",
	.init = init,
	.test_cases = cases,
};
kunit_test_suite(suite);

// SPDX-License-Identifier: GPL-2.0
/* Unit tests of records: references, ranges that are shut, and the end of a space. */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/ktime.h>
#include <linux/moduleparam.h>
#include <linux/workqueue.h>

#include "internal.h"
#include "round.h"

/* Of kernel memory, and this kernel alone. */
#define NUMBER	0x7e57

static unsigned int record_test_count = 20000;
module_param(record_test_count, uint, 0444);
MODULE_PARM_DESC(record_test_count, "records of a space that is destroyed in a unit test");

static int init(struct kunit *test)
{
	struct pcn_space *s = pcn_space_create(NUMBER, BIT_ULL(pcn_self()), pcn_self());

	test->priv = s;
	return PTR_ERR_OR_ZERO(s);
}

static void leave(struct kunit *test)
{
	if (!IS_ERR_OR_NULL(test->priv))
		pcn_space_destroy(test->priv);
}

static void test_references(struct kunit *test)
{
	struct pcn_space *s = test->priv;
	long before = pcn_records_in_use();
	struct pcn_record *r = pcn_record_get(s, 5), *same;

	KUNIT_ASSERT_FALSE(test, IS_ERR(r));
	same = pcn_record_get(s, 5);
	KUNIT_EXPECT_PTR_EQ(test, r, same);
	KUNIT_EXPECT_EQ(test, refcount_read(&r->refs), 3);
	KUNIT_EXPECT_EQ(test, pcn_records_in_use(), before + 1);
	/* Out of the space it stays until the last reference goes. */
	pcn_record_drop(r, true);
	KUNIT_EXPECT_EQ(test, pcn_records_in_use(), before + 1);
	KUNIT_EXPECT_TRUE(test, r->dropped);
	pcn_record_put(r);
	pcn_record_put(same);
	KUNIT_EXPECT_EQ(test, pcn_records_in_use(), before);
}

static void test_range(struct kunit *test)
{
	static const u64 pages[] = { 3, 16, 17, 400, 401, 1ULL << 34 };
	struct pcn_space *s = test->priv;
	struct pcn_shard *shard;
	struct pcn_record *r;
	unsigned int i, found = 0;

	for (i = 0; i < ARRAY_SIZE(pages); i++)
		pcn_record_put(pcn_record_get(s, pages[i]));
	for_each_record(r, shard, s, 16, 400)
		found++;
	KUNIT_EXPECT_EQ(test, found, 3);
	found = 0;
	for_each_record(r, shard, s, 0, U64_MAX)
		found += refcount_read(&r->refs) == 2;
	KUNIT_EXPECT_EQ(test, found, ARRAY_SIZE(pages));
}

static void test_frozen(struct kunit *test)
{
	struct pcn_space *s = test->priv;

	pcn_space_freeze(s, 10, 20, current);
	KUNIT_EXPECT_FALSE(test, pcn_page_is_shut(s, 15));
	/* Nobody is let in, not even the task that happens to run. */
	pcn_space_freeze(s, 10, 20, NULL);
	KUNIT_EXPECT_TRUE(test, pcn_page_is_shut(s, 10));
	KUNIT_EXPECT_TRUE(test, pcn_page_is_shut(s, 20));
	KUNIT_EXPECT_FALSE(test, pcn_page_is_shut(s, 21));
	KUNIT_EXPECT_PTR_EQ(test, pcn_record_get(s, 15), ERR_PTR(-EAGAIN));
	pcn_space_thaw(s);
	KUNIT_EXPECT_FALSE(test, pcn_page_is_shut(s, 15));
}

static void test_torn(struct kunit *test)
{
	struct pcn_space *s = test->priv;

	pcn_record_put(pcn_record_get(s, 7));
	KUNIT_EXPECT_FALSE(test, pcn_space_tear(s, 8, 100));
	KUNIT_EXPECT_FALSE(test, pcn_page_is_shut(s, 7));
	KUNIT_EXPECT_TRUE(test, pcn_space_tear(s, 0, 7));
	KUNIT_EXPECT_TRUE(test, pcn_page_is_shut(s, 7));
	KUNIT_EXPECT_PTR_EQ(test, pcn_record_get(s, 7), ERR_PTR(-EAGAIN));
}

static void test_plain_fault(struct kunit *test)
{
	struct pcn_plain_fault one, two;
	struct pcn_space *s = test->priv;
	struct pcn_record *r;

	KUNIT_ASSERT_NULL(test, pcn_record_get_or_plain(s, 30, &one));
	KUNIT_ASSERT_NULL(test, pcn_record_get_or_plain(s, 31, &two));
	KUNIT_EXPECT_TRUE(test, pcn_has_plain_fault(s, 30));
	KUNIT_EXPECT_FALSE(test, pcn_has_plain_fault(s, 32));
	pcn_plain_fault_end(s, &two);
	KUNIT_EXPECT_FALSE(test, pcn_has_plain_fault(s, 31));
	/* A record that comes meanwhile is found by those that come later. */
	pcn_record_put(pcn_record_get(s, 30));
	r = pcn_record_get_or_plain(s, 30, &two);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(r));
	KUNIT_EXPECT_TRUE(test, pcn_has_plain_fault(s, 30));
	pcn_plain_fault_end(s, &one);
	KUNIT_EXPECT_FALSE(test, pcn_has_plain_fault(s, 30));
	pcn_record_put(r);
}

/**
 * struct walk - a work item that waits until nothing is under way
 * @work:	the item
 * @space:	in this space
 * @done:	it has come to its end
 */
struct walk {
	struct work_struct	work;
	struct pcn_space	*space;
	struct completion	done;
};

static void walk(struct work_struct *work)
{
	struct walk *w = container_of(work, struct walk, work);

	pcn_space_wait_until_quiet(w->space, w->space->round_number, 0, 100);
	complete(&w->done);
}

static void begin_walk(struct walk *w, struct pcn_space *s)
{
	w->space = s;
	init_completion(&w->done);
	INIT_WORK_ONSTACK(&w->work, walk);
	queue_work(system_unbound_wq, &w->work);
}

static bool end_walk(struct walk *w)
{
	bool ended = wait_for_completion_timeout(&w->done, 60 * HZ);

	if (!ended) {
		WRITE_ONCE(w->space->broken, true);
		wake_up_all(&w->space->quiet);
		wait_for_completion(&w->done);
	}
	destroy_work_on_stack(&w->work);
	return ended;
}

/* A round that is interrupted leaves one, and the next makes another. */
static void test_two_wait(struct kunit *test)
{
	struct pcn_space *s = test->priv;
	struct pcn_record *r = pcn_record_get(s, 7);
	struct walk one, two;

	begin_walk(&one, s);
	begin_walk(&two, s);
	/* The space's, this test's and theirs. */
	while (refcount_read(&r->refs) < 4)
		cond_resched();
	KUNIT_EXPECT_FALSE(test, completion_done(&one.done));
	KUNIT_EXPECT_FALSE(test, completion_done(&two.done));
	pcn_record_put(r);
	KUNIT_EXPECT_TRUE(test, end_walk(&one));
	KUNIT_EXPECT_TRUE(test, end_walk(&two));
}

/* Time in the log; as many as a parameter says, for a run by hand. */
static void test_destroy(struct kunit *test)
{
	struct pcn_space *s = test->priv;
	long before = pcn_records_in_use();
	struct pcn_record *r;
	unsigned int i;
	u64 since;

	for (i = 0; i < record_test_count; i++) {
		r = pcn_record_get(s, (u64)i * 3);
		KUNIT_ASSERT_FALSE(test, IS_ERR(r));
		pcn_record_put(r);
		cond_resched();
	}
	KUNIT_EXPECT_EQ(test, pcn_records_in_use(), before + record_test_count);
	test->priv = NULL;
	since = ktime_get_ns();
	pcn_space_destroy(s);
	kunit_info(test, "%u records of %zu bytes destroyed in %llu ms\n",
		   record_test_count, sizeof(*r),
		   (ktime_get_ns() - since) / NSEC_PER_MSEC);
	KUNIT_EXPECT_EQ(test, pcn_records_in_use(), before);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(test_references),
	KUNIT_CASE(test_range),
	KUNIT_CASE(test_frozen),
	KUNIT_CASE(test_torn),
	KUNIT_CASE(test_plain_fault),
	KUNIT_CASE(test_two_wait),
	KUNIT_CASE(test_destroy),
	{}
};

static struct kunit_suite suite = {
	.name = "popcorn_record",
	.init = init,
	.exit = leave,
	.test_cases = cases,
};
kunit_test_suite(suite);

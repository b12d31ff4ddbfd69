// SPDX-License-Identifier: GPL-2.0
/*
 * No MMU notifier for a shared address space: it would be told nothing of the pages that
 * go to other kernels.
 */
#include <kunit/test.h>

#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/mm.h>

static const struct mmu_notifier_ops ops;

static int try_to_register(struct mm_struct *mm, struct mmu_notifier *n)
{
	int err;

	n->ops = &ops;
	err = mmu_notifier_register(n, mm);
	if (!err)
		mmu_notifier_unregister(n, mm);
	return err;
}

static void refused_if_shared(struct kunit *test)
{
	struct mm_struct *mm = mm_alloc();
	struct mmu_notifier n = {};

	KUNIT_ASSERT_NOT_NULL(test, mm);
	/* Nobody looks into it: the address space has no pages. */
	mm->popcorn = (struct pcn_space *)&n;
	KUNIT_EXPECT_EQ(test, try_to_register(mm, &n), -EBUSY);
	mm->popcorn = NULL;
	KUNIT_EXPECT_EQ(test, try_to_register(mm, &n), 0);
	mmput(mm);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(refused_if_shared),
	{}
};

static struct kunit_suite suite = {
	.name = "popcorn-notifier",
	.test_cases = cases,
};
kunit_test_suite(suite);

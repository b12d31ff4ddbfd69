// SPDX-License-Identifier: GPL-2.0
/*
 * Unit test of how maple trees end: what is freed after a grace period are the nodes that the
 * tree had, and nothing else. See PCN_TREE_FLAGS.
 */
#include <kunit/test.h>

#include <linux/maple_tree.h>
#include <linux/rcupdate.h>
#include <linux/xarray.h>

#include "internal.h"

/* What is in a root or slot: a node's address, and below that what kind of node it is. */
#define KIND_SHIFT	3
#define KIND_MASK	0xf
#define NODE_MASK	(~255UL)

/* So many entries make a tree of three levels, of either kind of inner node. */
#define ENTRIES_MAX	400

#define CHILDREN_MAX	MAPLE_RANGE64_SLOTS

static enum maple_type kind_of(const void *encoded)
{
	return (unsigned long)encoded >> KIND_SHIFT & KIND_MASK;
}

static void **slots_of(const void *encoded, unsigned int *count)
{
	struct maple_node *node = (void *)((unsigned long)encoded & NODE_MASK);

	if (kind_of(encoded) == maple_arange_64) {
		*count = MAPLE_ARANGE64_SLOTS;
		return (void **)node->ma64.slot;
	}
	*count = MAPLE_RANGE64_SLOTS;
	return (void **)node->mr64.slot;
}

static unsigned int get_children(void **slots, unsigned int count, unsigned long *child)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		child[i] = (unsigned long)slots[i] & NODE_MASK;
		if (!child[i] || !kind_of(slots[i]))
			break;
	}
	return i;
}

static void fill(struct kunit *test, struct maple_tree *tree, unsigned int entries)
{
	unsigned long i;

	for (i = 0; i < entries; i++)
		KUNIT_ASSERT_EQ(test, 0, mtree_store_range(tree, 32 * i, 32 * i + 15,
							   xa_mk_value(1), GFP_KERNEL));
}

/* Whatever has become of the pointers, only nodes are freed. */
static bool keeps_children(struct maple_tree *tree)
{
	unsigned long child[CHILDREN_MAX];
	unsigned int count, children, i;
	bool kept = true;
	void **slots;

	slots = slots_of(tree->ma_root, &count);
	children = get_children(slots, count, child);
	/* The nodes stay meanwhile. */
	rcu_read_lock();
	mtree_destroy(tree);
	for (i = 0; i < children; i++) {
		kept &= ((unsigned long)slots[i] & NODE_MASK) == child[i];
		slots[i] = (void *)child[i];
	}
	rcu_read_unlock();
	return kept;
}

static bool is_inner(const void *encoded)
{
	return xa_is_node(encoded) && kind_of(encoded) > maple_leaf_64;
}

static void keeps_nodes_of_any_number(struct kunit *test)
{
	unsigned int entries, spoilt = 0, tried = 0;
	struct maple_tree tree;

	for (entries = 1; entries <= ENTRIES_MAX; entries++) {
		mt_init_flags(&tree, PCN_TREE_FLAGS);
		fill(test, &tree, entries);
		if (!is_inner(tree.ma_root)) {
			mtree_destroy(&tree);
			continue;
		}
		tried++;
		if (!keeps_children(&tree))
			spoilt++;
	}
	KUNIT_EXPECT_GT(test, tried, ENTRIES_MAX / 2);
	KUNIT_EXPECT_EQ(test, spoilt, 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(keeps_nodes_of_any_number),
	{}
};

static struct kunit_suite suite = {
	.name = "popcorn-tree",
	.test_cases = cases,
};
kunit_test_suite(suite);

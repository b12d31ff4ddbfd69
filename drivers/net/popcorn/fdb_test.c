// SPDX-License-Identifier: GPL-2.0
/* Unit tests of learnt addresses: whose they are, and how many one kernel may have. */
#include <kunit/test.h>

#include "net.h"

/* Kernels that there are not where these tests run. */
#define KID	(PCN_KERNELS_MAX - 1)
#define OTHER	(PCN_KERNELS_MAX - 2)

static const u8 known[ETH_ALEN] = { 2, 0xfd, 0xb0, 0, 0, 1 };

static int init(struct kunit *test)
{
	test->priv = kunit_kzalloc(test, sizeof(struct pcn_net), GFP_KERNEL);
	return test->priv ? 0 : -ENOMEM;
}

static void leave(struct kunit *test)
{
	pcn_net_fdb_forget(KID);
	pcn_net_fdb_forget(OTHER);
}

static void addresses_move_and_are_forgotten(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, pcn_net_fdb_find(known), PCN_NET_FOREIGN);
	pcn_net_fdb_learn(test->priv, known, KID);
	KUNIT_EXPECT_EQ(test, pcn_net_fdb_find(known), KID);
	pcn_net_fdb_learn(test->priv, known, OTHER);
	KUNIT_EXPECT_EQ(test, pcn_net_fdb_find(known), OTHER);
	pcn_net_fdb_forget(KID);
	KUNIT_EXPECT_EQ(test, pcn_net_fdb_find(known), OTHER);
	pcn_net_fdb_forget(OTHER);
	KUNIT_EXPECT_EQ(test, pcn_net_fdb_find(known), PCN_NET_FOREIGN);
}

static void kernels_have_their_own(struct kunit *test)
{
	static const u8 own[] = { PCN_NET_PREFIX, OTHER };

	pcn_net_fdb_learn(test->priv, own, KID);
	KUNIT_EXPECT_EQ(test, pcn_net_fdb_find(own), PCN_NET_FOREIGN);
}

/* One that says many does not drive out what others have, nor get an address moved to it. */
static void a_kernel_has_some_only(struct kunit *test)
{
	u8 address[ETH_ALEN] = { 2, 0xfd, 0xb1 };
	unsigned int i;

	pcn_net_fdb_learn(test->priv, known, OTHER);
	for (i = 0; i <= PCN_NET_FDB_PEER; i++) {
		address[4] = i >> 8;
		address[5] = i;
		pcn_net_fdb_learn(test->priv, address, KID);
		KUNIT_EXPECT_EQ(test, pcn_net_fdb_find(address),
				i < PCN_NET_FDB_PEER ? KID : PCN_NET_FOREIGN);
	}
	pcn_net_fdb_learn(test->priv, known, KID);
	KUNIT_EXPECT_EQ(test, pcn_net_fdb_find(known), OTHER);
	KUNIT_EXPECT_EQ(test, pcn_net_counted(test->priv, PCN_NET_FDB_FULL), 2);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(addresses_move_and_are_forgotten),
	KUNIT_CASE(kernels_have_their_own),
	KUNIT_CASE(a_kernel_has_some_only),
	{}
};

static struct kunit_suite suite = {
	.name		= "popcorn_net_fdb",
	.init		= init,
	.exit		= leave,
	.test_cases	= cases,
};

kunit_test_suite(suite);

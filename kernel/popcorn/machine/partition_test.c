// SPDX-License-Identifier: GPL-2.0
/* KUnit tests of the popcorn_kernel= parser. */
#include <kunit/test.h>

#include <popcorn/partition.h>

static struct pcn_partitions all;

static int add(const char *arg)
{
	char fault[PCN_FAULT_MAX];

	return pcn_partitions_add(&all, arg, fault);
}

static int reset(struct kunit *test)
{
	memset(&all, 0, sizeof(all));
	return 0;
}

static void one_kernel(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, add("1:cpus=2-3:mem=256M@4G:name=worker"), 0);
	KUNIT_EXPECT_EQ(test, all.defined, BIT_ULL(1));
	KUNIT_EXPECT_STREQ(test, all.kernel[1].name, "worker");
	KUNIT_EXPECT_EQ(test, all.kernel[1].start, SZ_4G);
	KUNIT_EXPECT_EQ(test, all.kernel[1].size, SZ_256M);
	KUNIT_EXPECT_EQ(test, bitmap_weight(all.kernel[1].cpus, PCN_CPU_LIMIT), 2);
	KUNIT_EXPECT_TRUE(test, test_bit(2, all.kernel[1].cpus));
	KUNIT_EXPECT_TRUE(test, test_bit(3, all.kernel[1].cpus));
}

static void defaults(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, add("63:mem=64M:cpus=1"), 0);
	KUNIT_EXPECT_EQ(test, all.defined, BIT_ULL(63));
	KUNIT_EXPECT_EQ(test, all.kernel[63].start, PCN_MEM_ANYWHERE);
	KUNIT_EXPECT_STREQ(test, all.kernel[63].name, "kernel63");
}

static void range_shares_cpus(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, add("1-3:cpus=1,4-6,8,9:mem=128M@1G:name=w"), 0);
	KUNIT_EXPECT_EQ(test, all.defined, BIT_ULL(1) | BIT_ULL(2) | BIT_ULL(3));
	KUNIT_EXPECT_TRUE(test, test_bit(1, all.kernel[1].cpus));
	KUNIT_EXPECT_TRUE(test, test_bit(4, all.kernel[1].cpus));
	KUNIT_EXPECT_TRUE(test, test_bit(5, all.kernel[2].cpus));
	KUNIT_EXPECT_TRUE(test, test_bit(6, all.kernel[2].cpus));
	KUNIT_EXPECT_TRUE(test, test_bit(8, all.kernel[3].cpus));
	KUNIT_EXPECT_TRUE(test, test_bit(9, all.kernel[3].cpus));
	KUNIT_EXPECT_EQ(test, all.kernel[1].start, SZ_1G);
	KUNIT_EXPECT_EQ(test, all.kernel[3].start, SZ_1G + SZ_256M);
	KUNIT_EXPECT_STREQ(test, all.kernel[2].name, "w2");
}

static void all_kernels(struct kunit *test)
{
	unsigned int kid;

	KUNIT_ASSERT_EQ(test, add("1-63:cpus=1-63:mem=64M"), 0);
	KUNIT_EXPECT_EQ(test, all.defined, ~1ULL);
	for (kid = 1; kid < PCN_KERNELS_MAX; kid++)
		KUNIT_EXPECT_TRUE(test, test_bit(kid, all.kernel[kid].cpus));
}

static u64 visited(u64 kernels)
{
	unsigned int kid, last = 0;
	u64 seen = 0;

	for_each_kernel(kid, kernels) {
		/* Of what is left to come nothing is looked at again. */
		kernels = 0;
		if (kid < last)
			return 0;
		last = kid;
		seen |= BIT_ULL(kid);
	}
	return seen;
}

static void sets(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, visited(0), 0);
	KUNIT_EXPECT_EQ(test, visited(1), 1);
	KUNIT_EXPECT_EQ(test, visited(BIT_ULL(63)), BIT_ULL(63));
	KUNIT_EXPECT_EQ(test, visited(0x8000000100000003), 0x8000000100000003);
	KUNIT_EXPECT_EQ(test, visited(U64_MAX), U64_MAX);
}

/* Each wrong parameter, and a piece of the message that it has to cause. */
static const struct wrong {
	const char *arg;
	const char *fault;
} wrong[] = {
	{ "",					"no kernel number" },
	{ "x:cpus=2:mem=64M",			"no kernel number" },
	{ "-1:cpus=2:mem=64M",			"no kernel number" },
	{ "2-:cpus=2:mem=64M",			"after '-'" },
	{ "2cpus=2:mem=64M",			"no ':'" },
	{ "0:cpus=2:mem=64M",			"primary" },
	{ "64:cpus=2:mem=64M",			"above 63" },
	{ "5-99:cpus=2:mem=64M",		"above 63" },
	{ "99999999999999999999:cpus=2:mem=64M", "no kernel number" },
	{ "4-2:cpus=2-4:mem=64M",		"backwards" },
	{ "2",					"no cpus=" },
	{ "2:mem=64M",				"no cpus=" },
	{ "2:cpus=2",				"no mem=" },
	{ "2:",					"not key=value" },
	{ "2:cpus=2:mem=64M:",			"not key=value" },
	{ "2:cpus=2:mem=64M:colour=red",	"unknown key 'colour'" },
	{ "2:cpus=2:cpus=3:mem=64M",		"cpus= twice" },
	{ "2:cpus=0:mem=64M",			"CPU 0" },
	{ "2:cpus=0-3:mem=64M",			"CPU 0" },
	{ "2:cpus=:mem=64M",			"not a list" },
	{ "2:cpus=two:mem=64M",			"not a list" },
	{ "2:cpus=all:mem=64M",			"not a list" },
	{ "2:cpus=5000:mem=64M",		"above 1023" },
	{ "2:cpus=3-2:mem=64M",			"not a list" },
	{ "2:cpus=300-600:mem=64M",		"more than 256 CPUs" },
	{ "2-3:cpus=5-7:mem=64M",		"shared out evenly" },
	{ "2:cpus=2:mem=",			"not a size" },
	{ "2:cpus=2:mem=lots",			"not a size" },
	{ "2:cpus=2:mem=64Q",			"after the size" },
	{ "2:cpus=2:mem=64M@",			"after '@'" },
	{ "2:cpus=2:mem=64M@here",		"after '@'" },
	{ "2:cpus=2:mem=63M",			"multiple of 2 MiB" },
	{ "2:cpus=2:mem=32M",			"too small" },
	{ "2:cpus=2:mem=0",			"too small" },
	{ "2:cpus=2:mem=64M@1025M",		"start is not a multiple" },
	{ "2:cpus=2:mem=64M@2M",		"below 16 MiB" },
	{ "2:cpus=2:mem=64M@0xffffffffffe00000", "out of range" },
	{ "2-3:cpus=2-3:mem=0x8000000000000000", "out of range" },
	{ "2:cpus=2:mem=64M:name=",		"empty" },
	{ "2:cpus=2:mem=64M:name=a/b",		"other than letters" },
	{ "2:cpus=2:mem=64M:name=2",		"begin with a letter" },
	{ "2:cpus=2:mem=64M:name=all",		"every kernel" },
	{ "2:cpus=2:mem=64M:name=abcdefghijklmnopqrstuvwxyzabcdefg", "longer" },
	{ "1:cpus=2:mem=64M",			"defined twice" },
	{ "1-2:cpus=2-3:mem=64M",		"defined twice" },
	{ "2:cpus=1:mem=64M",			"shares a CPU with kernel 1" },
	{ "2:cpus=2:mem=64M@1G",		"overlaps that of kernel 1" },
	{ "2:cpus=2:mem=64M@1086M",		"overlaps that of kernel 1" },
	{ "2:cpus=2:mem=64M:name=first",	"same name" },
};

static void wrong_to_text(const struct wrong *w, char *text)
{
	strscpy(text, w->arg, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(wrong, wrong, wrong_to_text);

static void refuses(struct kunit *test)
{
	const struct wrong *w = test->param_value;
	static struct pcn_partitions before;
	char fault[PCN_FAULT_MAX] = "";

	KUNIT_ASSERT_EQ(test, add("1:cpus=1:mem=64M@1G:name=first"), 0);
	before = all;
	KUNIT_EXPECT_EQ(test, pcn_partitions_add(&all, w->arg, fault), -EINVAL);
	KUNIT_EXPECT_TRUE_MSG(test, strstr(fault, w->fault), "%s", fault);
	KUNIT_EXPECT_MEMEQ(test, &all, &before, sizeof(all));
	/* A good one after it is not harmed. */
	KUNIT_EXPECT_EQ(test, add("40:cpus=40:mem=64M"), 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(one_kernel),
	KUNIT_CASE(defaults),
	KUNIT_CASE(range_shares_cpus),
	KUNIT_CASE(all_kernels),
	KUNIT_CASE(sets),
	KUNIT_CASE_PARAM(refuses, wrong_gen_params),
	{ }
};

static struct kunit_suite suite = {
	.name		= "popcorn_partition",
	.init		= reset,
	.test_cases	= cases,
};
kunit_test_suite(suite);

MODULE_LICENSE("GPL");

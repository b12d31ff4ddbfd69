// SPDX-License-Identifier: GPL-2.0
/* Unit tests of what kernels know of each other's memory. */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/sizes.h>

#include "internal.h"

#define HEADS		10000
/* The first address that no memory has */
#define END		BIT_ULL(40)

/*
 * Of the primary two ranges, [1 MiB, 1 GiB) and [5 GiB, 6 GiB), of kernel 1
 * [2 GiB, 3 GiB), of kernel 63 [3 GiB, 4 GiB); the window is [4 GiB, 4 GiB + 2 MiB).
 */
static const struct pcn_extent window = { .start = SZ_4G, .size = SZ_2M };

struct fixture {
	struct pcn_window	w;
	struct pcn_memory	m;
};

static void make_memory(struct pcn_window *w)
{
	memset(w->memory, 0, sizeof(w->memory));
	memset(w->ram, 0, sizeof(w->ram));
	w->memory[1] = (struct pcn_extent) { .start = SZ_2G, .size = SZ_1G };
	w->memory[63] = (struct pcn_extent) { .start = 3ULL * SZ_1G, .size = SZ_1G };
	w->ram[0] = (struct pcn_extent) { .start = SZ_1M, .size = SZ_1G - SZ_1M };
	w->ram[1] = (struct pcn_extent) { .start = 5ULL * SZ_1G, .size = SZ_1G };
}

static int new_fixture(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	make_memory(&f->w);
	test->priv = f;
	return 0;
}

static bool copies(struct kunit *test)
{
	struct fixture *f = test->priv;

	return pcn_memory_copy(&f->m, &f->w, &window, END);
}

/* Does memory of @kid begin at @start, and end before @behind? */
static bool is_just(struct kunit *test, unsigned int kid, u64 start, u64 behind)
{
	const struct fixture *f = test->priv;
	u64 first = start >> PAGE_SHIFT, next = behind >> PAGE_SHIFT;

	return !pcn_memory_has(&f->m, kid, first - 1) &&
	       pcn_memory_has(&f->m, kid, first) &&
	       pcn_memory_has(&f->m, kid, next - 1) &&
	       !pcn_memory_has(&f->m, kid, next);
}

static void a_frame_has_one_owner(struct kunit *test)
{
	const struct fixture *f = test->priv;

	KUNIT_ASSERT_TRUE(test, copies(test));
	KUNIT_EXPECT_TRUE(test, is_just(test, 0, SZ_1M, SZ_1G));
	KUNIT_EXPECT_TRUE(test, is_just(test, 0, 5ULL * SZ_1G, 6ULL * SZ_1G));
	KUNIT_EXPECT_TRUE(test, is_just(test, 1, SZ_2G, 3ULL * SZ_1G));
	KUNIT_EXPECT_TRUE(test, is_just(test, 63, 3ULL * SZ_1G, SZ_4G));
	KUNIT_EXPECT_FALSE(test, pcn_memory_has(&f->m, 0, SZ_2G >> PAGE_SHIFT));
	KUNIT_EXPECT_FALSE(test, pcn_memory_has(&f->m, 1, SZ_1M >> PAGE_SHIFT));
}

/* The window, the first MiB, a hole, and numbers that are none. */
static void a_frame_may_have_none(struct kunit *test)
{
	const u64 pfns[] = {
		0, (SZ_1M >> PAGE_SHIFT) - 1, SZ_4G >> PAGE_SHIFT,
		(SZ_4G + SZ_2M) >> PAGE_SHIFT, 0xfee00, SZ_1G >> PAGE_SHIFT,
		(END >> PAGE_SHIFT) - 1, END >> PAGE_SHIFT, BIT_ULL(52), BIT_ULL(63),
		U64_MAX,
	};
	const struct fixture *f = test->priv;
	unsigned int i, kid;

	KUNIT_ASSERT_TRUE(test, copies(test));
	for (i = 0; i < ARRAY_SIZE(pfns); i++)
		for (kid = 0; kid < PCN_KERNELS_MAX; kid++)
			KUNIT_EXPECT_EQ(test, pcn_memory_has(&f->m, kid, pfns[i]),
					kid == 63 && pfns[i] == 0xfee00);
	KUNIT_EXPECT_FALSE(test, pcn_memory_has(&f->m, PCN_KERNELS_MAX,
						SZ_2G >> PAGE_SHIFT));
	KUNIT_EXPECT_FALSE(test, pcn_memory_has(&f->m, UINT_MAX, SZ_2G >> PAGE_SHIFT));
}

#define REFUSES(_field, _start, _size)						\
	do {									\
		make_memory(&f->w);						\
		f->w._field = (struct pcn_extent) { .start = (_start), .size = (_size) };\
		KUNIT_EXPECT_FALSE(test, copies(test));				\
	} while (0)

static void insane_memory_is_refused(struct kunit *test)
{
	struct fixture *f = test->priv;

	REFUSES(memory[0], 8ULL * SZ_1G, SZ_1G);
	REFUSES(memory[2], 8ULL * SZ_1G + 1, SZ_1G);
	REFUSES(memory[2], 8ULL * SZ_1G, SZ_1G + 1);
	REFUSES(memory[2], SZ_2G - PAGE_SIZE, SZ_2M);
	REFUSES(memory[2], SZ_1G - PAGE_SIZE, SZ_2M);
	REFUSES(memory[2], SZ_4G + SZ_1M, SZ_2M);
	REFUSES(memory[2], END - SZ_1M, SZ_2M);
	REFUSES(memory[2], -(u64)SZ_1M, SZ_2M);
	REFUSES(ram[0], 0, SZ_2M);
	REFUSES(ram[0], SZ_1M - PAGE_SIZE, SZ_2M);
	REFUSES(ram[2], 6ULL * SZ_1G - PAGE_SIZE, SZ_2M);
	REFUSES(ram[2], 3ULL * SZ_1G, SZ_2M);
	REFUSES(ram[2], SZ_4G, SZ_2M);
	REFUSES(ram[63], SZ_1M, SZ_2M);
	REFUSES(ram[63], END, PAGE_SIZE);
	make_memory(&f->w);
	KUNIT_EXPECT_TRUE(test, copies(test));
	f->w.memory[2] = (struct pcn_extent) { .start = END - SZ_2M, .size = SZ_2M };
	KUNIT_EXPECT_TRUE(test, copies(test));
}

/* Whatever is accepted, no frame has two owners, nor is it the window's. */
static void garbage_gives_no_frame_two_owners(struct kunit *test)
{
	struct fixture *f = test->priv;
	unsigned int i, kid, owners;
	struct rnd_state random;
	u64 pfn;

	prandom_seed_state(&random, 1);
	for (i = 0; i < HEADS; i++) {
		make_memory(&f->w);
		kid = 1 + prandom_u32_state(&random) % 3;
		f->w.memory[kid].start = (u64)prandom_u32_state(&random) % 256 << 26;
		f->w.memory[kid].size = (u64)prandom_u32_state(&random) % 32 << 26;
		if (!copies(test))
			continue;
		pfn = (f->w.memory[kid].start + f->w.memory[kid].size / 2) >> PAGE_SHIFT;
		for (kid = 0, owners = 0; kid < PCN_KERNELS_MAX; kid++)
			owners += pcn_memory_has(&f->m, kid, pfn);
		KUNIT_ASSERT_LE(test, owners, 1);
		KUNIT_ASSERT_TRUE(test, !owners || pfn < SZ_4G >> PAGE_SHIFT ||
				  pfn >= (SZ_4G + SZ_2M) >> PAGE_SHIFT);
	}
}

/* Of more ranges than there is room for the smallest are left out. */
static void large_ranges_are_kept(struct kunit *test)
{
	struct pcn_extent *ram = ((struct fixture *)test->priv)->w.ram;
	unsigned int i, n = PCN_RAM_RANGES + 10;
	u64 total = 0;

	memset(ram, 0, PCN_RAM_RANGES * sizeof(*ram));
	for (i = 1; i <= n; i++)
		pcn_memory_add_ram(ram, (u64)i * SZ_1G, (u64)(i * 7 % n + 1) * PAGE_SIZE);
	for (i = 0; i < PCN_RAM_RANGES; i++) {
		KUNIT_EXPECT_GT(test, ram[i].size, 10 * PAGE_SIZE);
		total += ram[i].size;
	}
	KUNIT_EXPECT_EQ(test, total, (u64)(n * (n + 1) / 2 - 55) * PAGE_SIZE);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(a_frame_has_one_owner),
	KUNIT_CASE(a_frame_may_have_none),
	KUNIT_CASE(insane_memory_is_refused),
	KUNIT_CASE(garbage_gives_no_frame_two_owners),
	KUNIT_CASE(large_ranges_are_kept),
	{}
};

static struct kunit_suite suite = {
	.name		= "popcorn_memory",
	.init		= new_fixture,
	.test_cases	= cases,
};

kunit_test_suite(suite);

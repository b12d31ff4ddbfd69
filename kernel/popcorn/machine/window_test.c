// SPDX-License-Identifier: GPL-2.0
/* Unit tests of what is read of the window: a head and a text that may be anything. */
#include <kunit/test.h>
#include <linux/prandom.h>
#include <linux/string.h>

#include "internal.h"

#define KERNELS		5
#define HEADS		100000

static void make_head(struct pcn_window *w)
{
	struct pcn_window_layout l = pcn_window_default_layout(KERNELS, KERNELS);

	*w = (struct pcn_window) {
		.kernels = KERNELS,
		.present = BIT_ULL(KERNELS) - 1,
		.size = pcn_window_layout_size(&l) + PCN_CHECK_SIZE,
		.check = pcn_window_layout_size(&l),
		.primary_apicid = 3,
		.base = l.base,
		.pool = l.pool,
	};
}

static struct pcn_window *new_head(struct kunit *test)
{
	struct pcn_window *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, w);
	make_head(w);
	return w;
}

static void a_sane_head_is_copied(struct kunit *test)
{
	struct pcn_window *w = new_head(test);
	struct pcn_facts f;

	KUNIT_ASSERT_TRUE(test, pcn_facts_copy(&f, w, w->size));
	KUNIT_EXPECT_EQ(test, f.layout.areas, KERNELS);
	KUNIT_EXPECT_EQ(test, f.layout.kernels, KERNELS);
	KUNIT_EXPECT_EQ(test, f.check, w->check);
	KUNIT_EXPECT_EQ(test, f.primary_apicid, 3);
	KUNIT_EXPECT_FALSE(test, pcn_facts_copy(&f, w, w->size - 1));
}

#define REFUSES(_field, _value)						\
	do {								\
		make_head(w);						\
		w->_field = (_value);					\
		KUNIT_EXPECT_FALSE(test, pcn_facts_copy(&f, w, SZ_1G));	\
	} while (0)

static void an_insane_head_is_refused(struct kunit *test)
{
	struct pcn_window *w = new_head(test);
	struct pcn_facts f;

	REFUSES(kernels, 0);
	REFUSES(kernels, KERNELS - 1);
	REFUSES(kernels, PCN_KERNELS_MAX + 1);
	REFUSES(kernels, U32_MAX);
	REFUSES(present, 0);
	REFUSES(present, BIT_ULL(KERNELS) | 1);
	REFUSES(size, SZ_1M);
	REFUSES(size, U64_MAX);
	REFUSES(check, PCN_AREA_OFFSET);
	REFUSES(check, w->check + 8);
	REFUSES(check, U64_MAX - 7);
	REFUSES(base, PCN_BASE_MAX + PCN_BASE_ALIGN);
	REFUSES(base, w->base + 1);
	REFUSES(base, U32_MAX);
}

/* Whatever is accepted lies within what is mapped. */
static void garbage_in_the_head_stays_within(struct kunit *test)
{
	struct pcn_window *w = new_head(test);
	unsigned int i, accepted = 0;
	struct rnd_state random;
	struct pcn_facts f;
	u64 size = w->size;

	prandom_seed_state(&random, 1);
	for (i = 0; i < HEADS; i++) {
		make_head(w);
		prandom_bytes_state(&random, (u8 *)w + 12 +
				    prandom_u32_state(&random) % 40,
				    1 + prandom_u32_state(&random) % 4);
		if (!pcn_facts_copy(&f, w, size))
			continue;
		accepted++;
		KUNIT_ASSERT_LE(test, f.layout.areas, PCN_KERNELS_MAX);
		KUNIT_ASSERT_LE(test, pcn_window_layout_size(&f.layout), size);
		KUNIT_ASSERT_LE(test, f.check, size - PCN_CHECK_SIZE);
	}
	KUNIT_EXPECT_GT(test, accepted, HEADS / 100);
}

static void text_can_be_printed(struct kunit *test)
{
	char from[8] = "a\nb\033\377cde", to[8];

	pcn_copy_text(to, from, sizeof(to));
	KUNIT_EXPECT_STREQ(test, to, "a?b??cd");
	strscpy(from, "ab");
	pcn_copy_text(to, from, sizeof(to));
	KUNIT_EXPECT_STREQ(test, to, "ab");
}

static struct kunit_case cases[] = {
	KUNIT_CASE(a_sane_head_is_copied),
	KUNIT_CASE(an_insane_head_is_refused),
	KUNIT_CASE(garbage_in_the_head_stays_within),
	KUNIT_CASE(text_can_be_printed),
	{}
};

static struct kunit_suite suite = {
	.name		= "popcorn_window",
	.test_cases	= cases,
};

kunit_test_suite(suite);

// SPDX-License-Identifier: GPL-2.0
/* Unit tests of the layout of the window, and of rings with a peer that lies. */
#include <kunit/test.h>
#include <linux/prandom.h>
#include <linux/slab.h>

#include <popcorn/window.h>

#define RING_SIZE	4096
#define LIMIT		1024
#define LIVES		100000

/* What one kernel writes overlaps with nothing that another one does. */
static void layout_is_disjoint(struct kunit *test)
{
	u32 kernels, level, from, to;
	struct pcn_window_layout l;
	u64 end, lane;

	for (level = 0; level < PCN_WINDOW_LEVELS; level++) {
		for (kernels = 2; kernels <= PCN_KERNELS_MAX; kernels++) {
			l = pcn_window_layout_of(kernels, kernels, level);
			lane = pcn_ring_offset(&l, PCN_CHANNELS);
			end = pcn_endpoint_offset(&l, l.areas);
			for (from = 0; from < kernels; from++) {
				for (to = 0; to < kernels; to++) {
					if (from == to)
						continue;
					KUNIT_ASSERT_EQ(test, end,
							pcn_lane_offset(&l, from, to));
					end += lane;
				}
			}
			KUNIT_ASSERT_EQ(test, end, pcn_window_layout_size(&l));
		}
	}
}

static void rings_are_aligned_and_disjoint(struct kunit *test)
{
	struct pcn_window_layout l = pcn_window_default_layout(4, 4);
	u64 end = PCN_LANE_HEAD, offset;
	u32 channel;

	for (channel = 0; channel < PCN_CHANNELS; channel++) {
		offset = pcn_ring_offset(&l, channel);
		KUNIT_EXPECT_EQ(test, offset % PAGE_SIZE, 0);
		KUNIT_EXPECT_GE(test, offset - sizeof(struct pcn_ring_shared), end);
		end = offset + (1ULL << l.ring_order[channel]);
	}
	KUNIT_EXPECT_EQ(test, end, pcn_ring_offset(&l, PCN_CHANNELS));
}

static void a_window_is_used_well(struct kunit *test)
{
	struct pcn_window_layout l;
	u32 level;
	u64 size;

	for (level = 0; level < PCN_WINDOW_LEVELS; level++) {
		l = pcn_window_layout_of(21, 8, level);
		size = pcn_window_layout_size(&l);
		l = pcn_window_fitting_layout(21, 8, size);
		KUNIT_EXPECT_EQ(test, pcn_window_layout_size(&l), size);
		if (!level)
			continue;
		l = pcn_window_fitting_layout(21, 8, size - 1);
		KUNIT_EXPECT_LT(test, pcn_window_layout_size(&l), size);
	}
}

struct pair {
	struct pcn_ring_shared	*shared;
	struct pcn_ring		tx, rx;
	u8			*payload;
};

static void begin(struct pair *p)
{
	memset(p->shared, 0, sizeof(*p->shared) + RING_SIZE);
	pcn_ring_init(&p->tx, p->shared, RING_SIZE, LIMIT);
	pcn_ring_init(&p->rx, p->shared, RING_SIZE, LIMIT);
}

static void use(struct pair *p, struct rnd_state *random)
{
	struct pcn_msg_header h = {};
	unsigned int n;

	for (n = prandom_u32_state(random) % 8; n; n--) {
		h.length = prandom_u32_state(random) % (LIMIT + 1);
		pcn_ring_put(&p->tx, &h, p->payload);
	}
	for (n = prandom_u32_state(random) % 8; n && pcn_ring_peek(&p->rx, &h); n--)
		pcn_ring_take(&p->rx, &h, p->payload);
}

/* One word that the producer or the consumer might write. */
static void lie(struct pair *p, struct rnd_state *random)
{
	u64 words = (sizeof(*p->shared) + RING_SIZE) / 8;
	u32 r = prandom_u32_state(random);
	u64 *word = (u64 *)p->shared + prandom_u32_state(random) % words;

	if (r % 4 == 0)
		word = &p->shared->head;
	if (r % 4 == 1)
		word = &p->shared->tail;
	if (r % 4 == 2)
		word = (u64 *)(p->shared->data + (p->rx.tail & p->rx.mask)) + r / 4 % 4;
	*word = r & 64 ? *word + PCN_RING_ALIGN * (r >> 20) :
			 (u64)prandom_u32_state(random) << 32 | r;
}

/* Payload has a guard: a length that is believed would write over it. */
static void liars_break_their_ring_alone(struct kunit *test)
{
	unsigned int life, broken = 0;
	struct rnd_state random;
	struct pair p;

	p.shared = kunit_kzalloc(test, sizeof(*p.shared) + RING_SIZE, GFP_KERNEL);
	p.payload = kunit_kzalloc(test, LIMIT + 64, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p.shared);
	KUNIT_ASSERT_NOT_NULL(test, p.payload);
	memset(p.payload + LIMIT, 0xa5, 64);
	prandom_seed_state(&random, 1);
	for (life = 0; life < LIVES; life++) {
		begin(&p);
		use(&p, &random);
		lie(&p, &random);
		use(&p, &random);
		use(&p, &random);
		broken += p.rx.fault || p.tx.fault;
		if (life % 1024 == 0)
			cond_resched();
	}
	KUNIT_EXPECT_PTR_EQ(test, memchr_inv(p.payload + LIMIT, 0xa5, 64), NULL);
	/* Much of what is written is data that is not read, or no lie. */
	KUNIT_EXPECT_GT(test, broken, LIVES / 8);
	kunit_info(test, "%u of %u lives ended with a broken ring\n", broken, LIVES);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(layout_is_disjoint),
	KUNIT_CASE(rings_are_aligned_and_disjoint),
	KUNIT_CASE(a_window_is_used_well),
	KUNIT_CASE(liars_break_their_ring_alone),
	{}
};

static struct kunit_suite suite = {
	.name		= "popcorn_messages",
	.test_cases	= cases,
};

kunit_test_suite(suite);

// SPDX-License-Identifier: GPL-2.0
/* Unit tests of the layout of the window, and of rings with a peer that lies. */
#include <kunit/test.h>
#include <linux/prandom.h>
#include <linux/slab.h>

#include <popcorn/window.h>

#define RING_SIZE	4096
#define TEST_BLOCK	8224
#define BLOCKS		2
#define LIMIT		1024
#define LIVES		100000

/* Layouts from the smallest to one with a block for each ring. */
static u32 layouts_of(struct pcn_window_layout *l, u32 kernels)
{
	l[0] = pcn_window_least_layout(kernels, kernels);
	l[1] = pcn_window_default_layout(kernels, kernels);
	l[2] = pcn_window_fitting_layout(kernels, kernels, U64_MAX);
	return 3;
}

static void lanes_are_disjoint(struct kunit *test, const struct pcn_window_layout *l)
{
	u64 end = pcn_endpoint_offset(l, l->areas);
	u32 from, to;

	for (to = 0; to < l->kernels; to++) {
		for (from = 0; from < l->kernels; from++) {
			if (from == to)
				continue;
			KUNIT_ASSERT_EQ(test, end, pcn_lane_offset(l, from, to));
			end += PCN_LANE_SIZE;
		}
	}
	KUNIT_ASSERT_EQ(test, end, pcn_base_offset(l, 0, 1, 0));
}

static void bases_are_disjoint(struct kunit *test, const struct pcn_window_layout *l)
{
	u64 end = pcn_base_offset(l, 0, 1, 0);
	u32 from, to, channel;

	for (from = 0; from < l->kernels; from++) {
		for (to = 0; to < l->kernels; to++) {
			if (from == to)
				continue;
			for (channel = 0; channel < PCN_CHANNELS; channel++) {
				KUNIT_ASSERT_EQ(test, end,
						pcn_base_offset(l, from, to, channel));
				end += l->base;
			}
		}
	}
	KUNIT_ASSERT_EQ(test, ALIGN(end, PAGE_SIZE), pcn_pool_offset(l, 0));
}

static void pools_are_disjoint(struct kunit *test, const struct pcn_window_layout *l)
{
	u64 end = pcn_pool_offset(l, 0);
	u32 rank;

	for (rank = 0; rank < l->kernels; rank++) {
		KUNIT_ASSERT_EQ(test, end, pcn_pool_offset(l, rank));
		KUNIT_ASSERT_GT(test, pcn_pool_blocks(l, rank), 0);
		KUNIT_ASSERT_LE(test, pcn_pool_blocks(l, rank), pcn_pool_most(l));
		end += (u64)pcn_pool_blocks(l, rank) * PCN_BLOCK_SIZE;
	}
	KUNIT_ASSERT_EQ(test, end, pcn_window_layout_size(l));
}

/* What one kernel writes overlaps with nothing that another one does. */
static void layout_is_disjoint(struct kunit *test)
{
	struct pcn_window_layout l[3];
	u32 kernels, i;

	for (kernels = 2; kernels <= PCN_KERNELS_MAX; kernels++) {
		for (i = layouts_of(l, kernels); i--;) {
			KUNIT_ASSERT_EQ(test, pcn_endpoint_offset(&l[i], 0) % 64, 0);
			lanes_are_disjoint(test, &l[i]);
			bases_are_disjoint(test, &l[i]);
			pools_are_disjoint(test, &l[i]);
		}
	}
}

static void a_block_holds_eight_frames(struct kunit *test)
{
	KUNIT_EXPECT_GE(test, PCN_BLOCK_SIZE, 8 * pcn_ring_record_size(SZ_64K));
	KUNIT_EXPECT_GE(test, PCN_BASE_LEAST, pcn_ring_record_size(SZ_4K));
}

/* Heads that are polled together do not fall into a few sets of a cache of 64 sets. */
static void heads_are_spread(struct kunit *test)
{
	struct pcn_window_layout l = pcn_window_default_layout(64, 64);
	unsigned int heads[64] = {}, bells[64] = {};
	u32 from, channel, i;
	u64 at;

	for (from = 1; from < 64; from++) {
		at = pcn_endpoint_offset(&l, from) + offsetof(struct pcn_endpoint, bell);
		bells[at / 64 % 64]++;
		for (channel = 0; channel < PCN_CHANNELS; channel++) {
			at = pcn_lane_offset(&l, from, 0) +
			     offsetof(struct pcn_lane, ring[channel].head);
			heads[at / 64 % 64]++;
		}
	}
	for (i = 0; i < 64; i++) {
		KUNIT_EXPECT_LE(test, heads[i], 2 * 63 * PCN_CHANNELS / 64 + 1);
		KUNIT_EXPECT_LE(test, bells[i], 1);
	}
}

static void a_window_is_small(struct kunit *test)
{
	static const u32 kernels[] = { 2, 3, 4, 8, 16, 32, 64 };
	struct pcn_window_layout l;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kernels); i++) {
		l = pcn_window_default_layout(kernels[i], kernels[i]);
		kunit_info(test, "%u kernels: %llu KiB, %u and %u blocks\n", kernels[i],
			   pcn_window_layout_size(&l) / SZ_1K, pcn_pool_blocks(&l, 0),
			   pcn_pool_blocks(&l, 1));
	}
	KUNIT_EXPECT_LT(test, pcn_window_layout_size(&l), 200 * SZ_1M);
}

static void a_window_is_used_well(struct kunit *test)
{
	struct pcn_window_layout l = pcn_window_default_layout(21, 8);
	u64 size = pcn_window_layout_size(&l);
	u32 pool = l.pool;

	for (; pool < pcn_pool_most(&l); pool++) {
		l = pcn_window_fitting_layout(21, 8, size);
		KUNIT_EXPECT_EQ(test, l.pool, pool);
		KUNIT_EXPECT_LE(test, pcn_window_layout_size(&l), size);
		l.pool++;
		size = pcn_window_layout_size(&l);
	}
	l = pcn_window_fitting_layout(21, 8, U64_MAX);
	KUNIT_EXPECT_EQ(test, l.pool, pcn_pool_most(&l));
	l = pcn_window_fitting_layout(21, 8, 0);
	KUNIT_EXPECT_EQ(test, l.base, PCN_BASE_LEAST);
}

struct pair {
	struct pcn_ring_shared	*shared;
	struct pcn_ring_space	space;
	struct pcn_ring		tx, rx;
	u8			*payload;
};

static void begin(struct pair *p)
{
	memset(p->shared, 0, sizeof(*p->shared));
	pcn_ring_init(&p->tx, p->shared, &p->space, LIMIT);
	pcn_ring_init(&p->rx, p->shared, &p->space, LIMIT);
}

static void use(struct pair *p, struct rnd_state *random)
{
	struct pcn_msg_header h = {};
	unsigned int n;

	if (prandom_u32_state(random) % 2)
		pcn_ring_move(&p->tx, prandom_u32_state(random) % (BLOCKS + 1));
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
	u32 r = prandom_u32_state(random);
	u64 *word = (u64 *)p->shared +
		    prandom_u32_state(random) % (sizeof(*p->shared) / 8);

	if (r % 4 == 0)
		word = &p->shared->head;
	if (r % 4 == 1)
		word = &p->shared->tail;
	if (r % 4 == 2)
		word = (u64 *)(p->rx.data + p->rx.at) + r / 4 % 4;
	*word = r & 64 ? *word + PCN_RING_ALIGN * (r >> 20) :
			 (u64)prandom_u32_state(random) << 32 | r;
}

static void *zeroed(struct kunit *test, size_t size)
{
	void *memory = kunit_kzalloc(test, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, memory);
	return memory;
}

/* Payload has a guard: a length that is believed would write over it. */
static struct pair new_pair(struct kunit *test)
{
	struct pair p = {
		.shared = zeroed(test, sizeof(*p.shared)),
		.payload = zeroed(test, LIMIT + 64),
		.space = {
			.base = zeroed(test, RING_SIZE),
			.base_size = RING_SIZE,
			.pool = zeroed(test, BLOCKS * TEST_BLOCK),
			.blocks = BLOCKS,
			.block_size = TEST_BLOCK,
		},
	};

	memset(p.payload + LIMIT, 0xa5, 64);
	begin(&p);
	return p;
}

static void liars_break_their_ring_alone(struct kunit *test)
{
	unsigned int life, broken = 0;
	struct rnd_state random;
	struct pair p = new_pair(test);

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

static unsigned int fill(struct pair *p)
{
	struct pcn_msg_header h = { .length = LIMIT };
	unsigned int n;

	for (n = 0; pcn_ring_put(&p->tx, &h, p->payload); n++)
		;
	return n;
}

static unsigned int drain(struct pair *p)
{
	struct pcn_msg_header h;
	unsigned int n;

	for (n = 0; pcn_ring_peek(&p->rx, &h) &&
		    pcn_ring_take(&p->rx, &h, p->payload); n++)
		;
	return n;
}

/* It takes more than its base, and nothing before that is lost. */
static void a_ring_moves_when_it_is_empty(struct kunit *test)
{
	const unsigned int base = RING_SIZE / pcn_ring_record_size(LIMIT);
	const unsigned int block = TEST_BLOCK / pcn_ring_record_size(LIMIT);
	struct pair p = new_pair(test);

	KUNIT_EXPECT_EQ(test, fill(&p), base);
	pcn_ring_move(&p.tx, 2);
	KUNIT_EXPECT_FALSE(test, pcn_ring_await_room(&p.tx, 0));
	KUNIT_EXPECT_TRUE(test, pcn_ring_is_at_base(&p.tx));
	KUNIT_EXPECT_EQ(test, drain(&p), base);
	KUNIT_EXPECT_TRUE(test, pcn_ring_await_room(&p.tx, 0));
	KUNIT_EXPECT_FALSE(test, pcn_ring_is_at_base(&p.tx));
	KUNIT_EXPECT_EQ(test, fill(&p), block);
	KUNIT_EXPECT_EQ(test, drain(&p), block);
	/* To another place and back, with nothing said there. */
	pcn_ring_move(&p.tx, PCN_RING_BASE);
	KUNIT_EXPECT_TRUE(test, pcn_ring_await_room(&p.tx, 0));
	pcn_ring_move(&p.tx, 2);
	KUNIT_EXPECT_EQ(test, fill(&p), block);
	KUNIT_EXPECT_EQ(test, drain(&p), block);
	KUNIT_EXPECT_EQ(test, p.rx.fault, PCN_RING_OK);
}

/* The producer closes the ring while the consumer is at it: the copy is not believed. */
static void what_is_taken_away_is_not_read(struct kunit *test)
{
	struct pcn_msg_header h;
	struct pair p = new_pair(test);

	pcn_ring_move(&p.tx, 1);
	fill(&p);
	KUNIT_ASSERT_TRUE(test, pcn_ring_peek(&p.rx, &h));
	pcn_ring_close(&p.tx);
	KUNIT_EXPECT_FALSE(test, pcn_ring_take(&p.rx, &h, p.payload));
	KUNIT_EXPECT_EQ(test, p.rx.fault, PCN_RING_BAD_PLACE);
	KUNIT_EXPECT_EQ(test, drain(&p), 0);
}

static void each_arming_is_called_for_once(struct kunit *test)
{
	struct pcn_bell bell = {};
	u64 rung = 0;

	WRITE_ONCE(bell.armed, 5);
	KUNIT_EXPECT_TRUE(test, pcn_bell_call(&bell, 1, &rung));
	KUNIT_EXPECT_TRUE(test, pcn_bell_was_called(&bell, 1, 5));
	KUNIT_EXPECT_FALSE(test, pcn_bell_call(&bell, 1, &rung));
	WRITE_ONCE(bell.armed, 6);
	KUNIT_EXPECT_FALSE(test, pcn_bell_was_called(&bell, 1, 6));
	KUNIT_EXPECT_TRUE(test, pcn_bell_call(&bell, 1, &rung));
	KUNIT_EXPECT_TRUE(test, pcn_bell_was_called(&bell, 1, 6));
	WRITE_ONCE(bell.armed, 0);
	KUNIT_EXPECT_FALSE(test, pcn_bell_call(&bell, 1, &rung));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(layout_is_disjoint),
	KUNIT_CASE(a_block_holds_eight_frames),
	KUNIT_CASE(heads_are_spread),
	KUNIT_CASE(a_window_is_small),
	KUNIT_CASE(a_window_is_used_well),
	KUNIT_CASE(liars_break_their_ring_alone),
	KUNIT_CASE(a_ring_moves_when_it_is_empty),
	KUNIT_CASE(what_is_taken_away_is_not_read),
	KUNIT_CASE(each_arming_is_called_for_once),
	{}
};

static struct kunit_suite suite = {
	.name		= "popcorn_messages",
	.test_cases	= cases,
};

kunit_test_suite(suite);

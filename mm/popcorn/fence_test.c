// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of fences: the process loses the kernel that did not answer, not the one that
 * asked it.
 *
 * This kernel is the origin. The others are made up: each does its own fence, with the
 * same code, and some do not answer others.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>

#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/slab.h>

#include <popcorn/partition.h>

#include "internal.h"
#include "round.h"

#define NUMBER	0x7e58
#define KERNELS	4

/**
 * struct world - the kernels
 * @s:		the space, as the origin has it
 * @asks:	the kernel whose code runs
 * @now_ms:	the time
 * @answer_ms:	for how long kernels think about an answer
 * @deaf_to:	by kernel: those that it does not answer a fence
 * @stuck:	kernels that do not take part in a round
 * @lost:	kernels that have been lost
 * @process_lives: in spite of that
 */
struct world {
	struct pcn_space	*s;
	unsigned int		asks;
	unsigned int		now_ms;
	unsigned int		answer_ms;
	u64			deaf_to[KERNELS];
	u64			stuck;
	u64			lost;
	bool			process_lives;
};

static struct world *world_of(void)
{
	return kunit_get_current_test()->priv;
}

static unsigned int kid_of(unsigned int i)
{
	return (pcn_self() + i) % PCN_KERNELS_MAX;
}

static unsigned int index_of(unsigned int kid)
{
	return (kid - pcn_self()) % PCN_KERNELS_MAX;
}

static u64 kernel(unsigned int i)
{
	return BIT_ULL(kid_of(i));
}

/* --- what others do --- */

static int answer_ping(struct world *w, unsigned int kid, unsigned int limit_ms)
{
	bool answers = !(w->deaf_to[index_of(kid)] & BIT_ULL(w->asks)) &&
		       w->answer_ms < limit_ms;

	w->now_ms += answers ? w->answer_ms : limit_ms;
	return answers ? 0 : -ETIMEDOUT;
}

/* The fence of a member, as its part of the round. */
static int fence_at(struct world *w, unsigned int kid, u64 *silent)
{
	struct pcn_space *s = kzalloc(sizeof(*s), GFP_KERNEL);
	int err;

	if (!s)
		return -EINTR;
	s->group = w->s->group;
	s->group.self = kid;
	w->asks = kid;
	err = pcn_space_fence(s, silent);
	w->asks = pcn_self();
	kfree(s);
	return err;
}

static int answer_round(struct world *w, unsigned int kid, u64 *silent,
			unsigned int limit_ms)
{
	unsigned int began = w->now_ms;
	int err;

	if (w->stuck & BIT_ULL(kid)) {
		w->now_ms += limit_ms;
		return -ETIMEDOUT;
	}
	err = fence_at(w, kid, silent);
	return w->now_ms - began < limit_ms ? err : -ETIMEDOUT;
}

static int call(unsigned int kid, enum pcn_channel channel, u16 type, const void *payload,
		u32 length, void *reply, u32 *reply_length, unsigned int limit_ms)
{
	struct world *w = world_of();

	return type == PCN_TYPE_PING ? answer_ping(w, kid, limit_ms) :
				       answer_round(w, kid, reply, limit_ms);
}

static bool lose(u64 number, unsigned int kid, const char *why)
{
	struct world *w = world_of();

	w->lost |= BIT_ULL(kid);
	return !w->process_lives;
}

static const struct pcn_space_ops ops = { .lose = lose };

/* --- tests --- */

static int init(struct kunit *test)
{
	struct world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);
	u64 members = 0;
	unsigned int i;

	if (!w)
		return -ENOMEM;
	for (i = 0; i < KERNELS; i++)
		members |= kernel(i);
	w->asks = pcn_self();
	w->answer_ms = 1;
	w->s = pcn_space_create(NUMBER, members, pcn_self());
	if (IS_ERR(w->s))
		return PTR_ERR(w->s);
	w->s->proto = &pcn_proto_vote;
	w->s->ops = &ops;
	test->priv = w;
	kunit_activate_static_stub(test, pcn_msg_call, call);
	return 0;
}

static void leave(struct kunit *test)
{
	struct world *w = test->priv;

	if (w)
		pcn_space_destroy(w->s);
}

static int fence(struct world *w)
{
	struct pcn_change c = {
		.space = w->s, .members = pcn_other_members(w->s),
	};

	return pcn_round_fence(&c);
}

static void nobody_is_lost(struct kunit *test)
{
	struct world *w = test->priv;

	KUNIT_EXPECT_EQ(test, fence(w), 0);
	KUNIT_EXPECT_EQ(test, w->lost, 0);
}

/* Each takes nearly all the time that it has. */
static void slow_ones_are_not_lost(struct kunit *test)
{
	struct world *w = test->priv;

	w->answer_ms = PCN_FENCE_LIMIT_MS - 1;
	KUNIT_EXPECT_EQ(test, fence(w), 0);
	KUNIT_EXPECT_EQ(test, w->lost, 0);
}

static void silent_to_a_member(struct kunit *test)
{
	struct world *w = test->priv;

	w->deaf_to[2] = kernel(1);
	KUNIT_EXPECT_EQ(test, fence(w), -EINTR);
	KUNIT_EXPECT_EQ(test, w->lost, kernel(2));
}

static void silent_to_a_slow_member(struct kunit *test)
{
	struct world *w = test->priv;

	w->answer_ms = PCN_FENCE_LIMIT_MS - 1;
	w->deaf_to[3] = kernel(1);
	KUNIT_EXPECT_EQ(test, fence(w), -EINTR);
	KUNIT_EXPECT_EQ(test, w->lost, kernel(3));
}

static void silent_to_the_origin(struct kunit *test)
{
	struct world *w = test->priv;

	w->deaf_to[2] = kernel(0);
	KUNIT_EXPECT_EQ(test, fence(w), -EINTR);
	KUNIT_EXPECT_EQ(test, w->lost, kernel(2));
}

static void silent_to_all(struct kunit *test)
{
	struct world *w = test->priv;

	w->deaf_to[3] = w->s->group.members;
	w->stuck = kernel(3);
	KUNIT_EXPECT_EQ(test, fence(w), -EINTR);
	KUNIT_EXPECT_EQ(test, w->lost, kernel(3));
}

/* The origin lives: one that has had no answer from it has lost that. */
static void deaf_to_the_origin(struct kunit *test)
{
	struct world *w = test->priv;

	w->deaf_to[0] = kernel(1);
	KUNIT_EXPECT_EQ(test, fence(w), -EINTR);
	KUNIT_EXPECT_EQ(test, w->lost, kernel(1));
}

static void without_the_process(struct kunit *test)
{
	struct world *w = test->priv;

	w->deaf_to[2] = kernel(1);
	w->process_lives = true;
	KUNIT_EXPECT_EQ(test, fence(w), 0);
	KUNIT_EXPECT_EQ(test, w->lost, kernel(2));
}

/* A member that gets no answer from anybody names the origin, which knows better. */
static void deaf_to_all(struct kunit *test)
{
	struct world *w = test->priv;
	u64 silent = 0;
	unsigned int i;

	for (i = 0; i < KERNELS; i++)
		w->deaf_to[i] = kernel(3);
	w->s->group.origin = kid_of(2);
	KUNIT_EXPECT_EQ(test, fence_at(w, kid_of(3), &silent), 0);
	w->s->group.origin = kid_of(0);
	KUNIT_EXPECT_EQ(test, silent, kernel(2));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(nobody_is_lost),
	KUNIT_CASE(slow_ones_are_not_lost),
	KUNIT_CASE(silent_to_a_member),
	KUNIT_CASE(silent_to_a_slow_member),
	KUNIT_CASE(silent_to_the_origin),
	KUNIT_CASE(silent_to_all),
	KUNIT_CASE(deaf_to_the_origin),
	KUNIT_CASE(without_the_process),
	KUNIT_CASE(deaf_to_all),
	{}
};

static struct kunit_suite suite = {
	.name = "popcorn-fence",
	.init = init,
	.exit = leave,
	.test_cases = cases,
};
kunit_test_suite(suite);

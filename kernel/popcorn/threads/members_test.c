// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of hosts. The home tells all hosts of a new one, and the process depends on each.
 * This kernel is the home; the others are made up.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>

#include <linux/err.h>
#include <linux/errno.h>
#include <linux/list.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>

#include <popcorn/partition.h>
#include <popcorn/proto.h>

#include "internal.h"
#include "process.h"

/**
 * struct world - a process, and the kernels
 * @p:		the process
 * @s:		its space
 * @answer:	by kernel: what it says to an introduction
 * @told:	by kernel: the hosts that it has been told of last
 * @calls:	how many introductions there were
 */
struct world {
	struct pcn_process	*p;
	struct pcn_space	*s;
	int			answer[PCN_KERNELS_MAX];
	u64			told[PCN_KERNELS_MAX];
	unsigned int		calls;
};

static unsigned int kid_of(unsigned int i)
{
	return (pcn_self() + i) % PCN_KERNELS_MAX;
}

static u64 kernel(unsigned int i)
{
	return BIT_ULL(kid_of(i));
}

static int call(unsigned int kid, enum pcn_channel channel, u16 type, const void *payload,
		u32 length, void *reply, u32 *reply_length, unsigned int limit_ms)
{
	struct world *w = kunit_get_current_test()->priv;
	const struct pcn_hosts_msg *m = payload;

	if (type != PCN_TYPE_PROCESS_HOSTS || m->number != w->p->number)
		return -EINVAL;
	w->calls++;
	w->told[kid] = m->hosts;
	return w->answer[kid];
}

static int init(struct kunit *test)
{
	struct world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);
	u64 members = kernel(0) | kernel(1) | kernel(2) | kernel(3);

	if (!w)
		return -ENOMEM;
	w->p = pcn_process_new(pcn_number_new(1), members, &pcn_proto_owner);
	if (!w->p)
		return -ENOMEM;
	test->priv = w;
	pcn_process_enlist(w->p);
	w->s = pcn_space_create(w->p->number, members, pcn_self());
	if (IS_ERR(w->s))
		return PTR_ERR(w->s);
	kunit_activate_static_stub(test, pcn_msg_call, call);
	return 0;
}

static void leave(struct kunit *test)
{
	struct world *w = test->priv;

	if (!w)
		return;
	if (!IS_ERR(w->s))
		pcn_space_destroy(w->s);
	spin_lock(&pcn_processes_lock);
	list_del(&w->p->node);
	spin_unlock(&pcn_processes_lock);
	pcn_process_free(w->p);
}

static int host(struct world *w, unsigned int i)
{
	return pcn_process_host(w->p->number, kid_of(i));
}

static void all_are_told_once(struct kunit *test)
{
	struct world *w = test->priv;

	KUNIT_EXPECT_EQ(test, host(w, 1), 0);
	KUNIT_EXPECT_EQ(test, w->told[kid_of(1)], kernel(0) | kernel(1));
	KUNIT_EXPECT_EQ(test, host(w, 3), 0);
	KUNIT_EXPECT_EQ(test, w->told[kid_of(1)], kernel(0) | kernel(1) | kernel(3));
	KUNIT_EXPECT_EQ(test, w->told[kid_of(3)], kernel(0) | kernel(1) | kernel(3));
	KUNIT_EXPECT_EQ(test, w->told[kid_of(2)], 0);
	KUNIT_EXPECT_EQ(test, host(w, 1), 0);
	KUNIT_EXPECT_EQ(test, w->calls, 3);
}

/* Others may listen to it already. */
static void one_that_refuses_is_depended_on(struct kunit *test)
{
	struct world *w = test->priv;

	KUNIT_EXPECT_EQ(test, host(w, 1), 0);
	w->answer[kid_of(2)] = -ESRCH;
	KUNIT_EXPECT_EQ(test, host(w, 2), -ESRCH);
	KUNIT_EXPECT_EQ(test, w->told[kid_of(1)] & ~w->p->hosts, 0);
	/* It has to be introduced again. */
	w->answer[kid_of(2)] = 0;
	w->calls = 0;
	KUNIT_EXPECT_EQ(test, host(w, 2), 0);
	KUNIT_EXPECT_EQ(test, w->calls, 2);
}

static void one_that_is_lost_is_left_out(struct kunit *test)
{
	struct world *w = test->priv;

	KUNIT_EXPECT_EQ(test, host(w, 1), 0);
	w->answer[kid_of(1)] = -EHOSTDOWN;
	KUNIT_EXPECT_EQ(test, host(w, 2), 0);
	w->p->lost = kernel(1);
	w->calls = 0;
	KUNIT_EXPECT_EQ(test, host(w, 3), 0);
	KUNIT_EXPECT_EQ(test, w->calls, 2);
	KUNIT_EXPECT_EQ(test, host(w, 1), -EHOSTUNREACH);
}

/* The thread would try again for ever. */
static void an_answer_is_no_signal(struct kunit *test)
{
	struct world *w = test->priv;

	w->answer[kid_of(1)] = -EINTR;
	KUNIT_EXPECT_EQ(test, host(w, 1), -EPROTO);
	w->answer[kid_of(1)] = -ECANCELED;
	KUNIT_EXPECT_EQ(test, host(w, 1), -EPROTO);
}

/* What is lost meanwhile, which is nothing, is seen when it has a space. */
static void nothing_is_lost_while_it_forms(struct kunit *test)
{
	struct world *w = test->priv;

	w->p->tgid = get_pid(task_tgid(current));
	w->p->hosts |= kernel(1);
	w->p->forming = true;
	pcn_process_peer_down(NULL, kid_of(1));
	KUNIT_EXPECT_EQ(test, w->p->lost, kernel(1));
	KUNIT_EXPECT_PTR_EQ(test, w->p->doomed, NULL);
	KUNIT_EXPECT_FALSE(test, pcn_process_lose_member(w->p->number, kid_of(1), "is tested"));
}

static void a_stranger_cannot_be_lost(struct kunit *test)
{
	struct world *w = test->priv;

	w->p->tgid = get_pid(task_tgid(current));
	pcn_process_peer_down(NULL, kid_of(4));
	KUNIT_EXPECT_EQ(test, w->p->lost, 0);
	pcn_process_peer_down(NULL, kid_of(3));
	KUNIT_EXPECT_EQ(test, w->p->lost, kernel(3));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(all_are_told_once),
	KUNIT_CASE(one_that_refuses_is_depended_on),
	KUNIT_CASE(one_that_is_lost_is_left_out),
	KUNIT_CASE(an_answer_is_no_signal),
	KUNIT_CASE(nothing_is_lost_while_it_forms),
	KUNIT_CASE(a_stranger_cannot_be_lost),
	{}
};

static struct kunit_suite suite = {
	.name = "popcorn-hosts",
	.init = init,
	.exit = leave,
	.test_cases = cases,
};
kunit_test_suite(suite);

// SPDX-License-Identifier: GPL-2.0
/*
 * What comes in: two groups of channels, and what polls each of them.
 *
 * After NAPI: an interrupt comes only while a group's bell is armed. It disarms the
 * bell and has the group polled, with a budget, until its rings are empty; the poll
 * lingers a little (linger.c), arms the bell and looks once more (doorbell.c). The
 * thread's group (control, coherency) is polled by a thread, since its handlers take
 * page table locks and flush TLBs; the other one (network, tty) by NAPI itself. Other
 * tasks may poll the thread's group in its place (task_poll.c).
 *
 * A look goes through the rings of all peers and channels in turn and takes a batch of
 * each, up to a budget. The next look goes on with the ring after the one at which this look
 * has ended, so each ring has its turn, and no peer or channel keeps others from it: a
 * terminal is read although frames come without end. What becomes of a message is in
 * deliver.c.
 */
#include <linux/errno.h>
#include <linux/interrupt.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/netdevice.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/timer.h>
#include <linux/vmalloc.h>

#include <popcorn/core.h>

#define CREATE_TRACE_POINTS
#include <trace/events/popcorn_msg.h>

#include "internal.h"

/* Softirqs do not spin longer than this. */
#define SOFTIRQ_LINGER_NS	20000

struct pcn_poll_group pcn_poll_groups[PCN_POLL_GROUPS] = {
	[PCN_POLL_THREAD] = {
		.id = PCN_POLL_THREAD,
		.first = PCN_CONTROL,
		.last = PCN_COHERENCY,
	},
	[PCN_POLL_SOFTIRQ] = {
		.id = PCN_POLL_SOFTIRQ,
		.first = PCN_NETWORK,
		.last = PCN_TTY,
	},
};

/* Messages of a channel before others have their turn. Frames may be long. */
static const u8 batch[PCN_CHANNELS] = {
	[PCN_CONTROL]	= PCN_POLL_BATCH,
	[PCN_COHERENCY]	= PCN_POLL_BATCH,
	[PCN_NETWORK]	= PCN_POLL_BATCH / 2,
	[PCN_TTY]	= PCN_POLL_BATCH / 2,
};

static_assert(ARRAY_SIZE(batch) == PCN_POLL_GROUPS * PCN_GROUP_CHANNELS);

/* Is this CPU in the softirq's poll? */
static DEFINE_PER_CPU(bool, in_softirq_poll);

/**
 * pcn_handler_group - is the caller a handler that must not wait?
 *
 * Context: any.
 * Return: the group whose poll it runs in, or NULL.
 */
struct pcn_poll_group *pcn_handler_group(void)
{
	struct pcn_poll_group *thread = &pcn_poll_groups[PCN_POLL_THREAD];

	if (in_hardirq() || in_nmi())
		return NULL;
	if (in_serving_softirq())
		return __this_cpu_read(in_softirq_poll) ?
		       &pcn_poll_groups[PCN_POLL_SOFTIRQ] : NULL;
	return READ_ONCE(thread->runner) == current ? thread : NULL;
}

/**
 * pcn_handler_reserve - memory for what a handler sends that must not wait
 *
 * Context: any.
 * Return: the reserve of the group whose poll the caller runs in, or NULL.
 */
struct pcn_reserve *pcn_handler_reserve(void)
{
	struct pcn_poll_group *group = pcn_handler_group();

	return group ? &group->reserve : NULL;
}

/* A sender that waits is told once there is room for more than a little. */
static void offer_room(struct pcn_poll_group *group, struct pcn_link *link,
		       struct pcn_port *port)
{
	const struct pcn_ring *rx = &port->rx;

	if (rx->head - rx->tail <= rx->size / 2 &&
	    pcn_ring_room_is_awaited(rx))
		pcn_ring_doorbell(link, group->id, &port->stats.rx_doorbells);
}

static unsigned int poll_port(struct pcn_poll_group *group, struct pcn_link *link,
			      enum pcn_channel channel, unsigned int budget)
{
	const struct pcn_port *port = &link->port[channel];
	unsigned int taken = 0;

	while (taken < min_t(unsigned int, budget, batch[channel]) &&
	       !READ_ONCE(port->starved) && pcn_poll_may_look(group, link) &&
	       pcn_poll_message(group, link, channel))
		taken++;
	if (taken)
		offer_room(group, link, &link->port[channel]);
	return taken;
}

/* Look through all rings; returns the number of messages, up to @budget. */
static unsigned int poll_group(struct pcn_poll_group *group, unsigned int budget)
{
	const unsigned int ports = PCN_KERNELS_MAX * PCN_GROUP_CHANNELS;
	unsigned int handled = 0, port = group->turn, i;
	struct pcn_link *link;

	for (i = 0; i < ports && handled < budget; i++) {
		link = pcn_links[port / PCN_GROUP_CHANNELS];
		if (link)
			handled += poll_port(group, link,
					     group->first + port % PCN_GROUP_CHANNELS,
					     budget - handled);
		port = (port + 1) % ports;
	}
	group->turn = port;
	/* Room first seen here is room that nobody has to ring for. */
	if (pcn_poll_flush_ports(group) && !handled)
		handled = 1;
	WRITE_ONCE(group->stats.polls, group->stats.polls + 1);
	if (!handled)
		WRITE_ONCE(group->stats.empty_polls, group->stats.empty_polls + 1);
	trace_pcn_poll(group->id, handled);
	return handled;
}

/**
 * pcn_poll_locked - look through all rings of the thread's group
 * @group:	the group, with its poll_lock held
 * @budget:	messages to take at most
 *
 * Handlers see that they run in a poll: pcn_handler_group().
 *
 * Context: process.
 * Return: the number of messages; 1 if there was none, but room for one that waits.
 */
unsigned int pcn_poll_locked(struct pcn_poll_group *group, unsigned int budget)
{
	unsigned int handled;

	lockdep_assert_held(&group->poll_lock);
	WRITE_ONCE(group->runner, current);
	handled = poll_group(group, budget);
	WRITE_ONCE(group->runner, NULL);
	return handled;
}

static void sleep_until_rung(struct pcn_poll_group *group)
{
	u64 since;

	mutex_lock(&group->poll_lock);
	group->asleep = pcn_poll_arm_bell(group);
	mutex_unlock(&group->poll_lock);
	if (!group->asleep)
		return;
	group->stats.sleeps++;
	since = ktime_get_ns();
	for (;;) {
		set_current_state(TASK_IDLE);
		/* Pairs with the barrier of wake_up_process() in poll_kick(). */
		if (READ_ONCE(group->kick))
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	WRITE_ONCE(group->kick, 0);
	pcn_linger_learn(&group->linger, ktime_get_ns() - since);
	mutex_lock(&group->poll_lock);
	group->asleep = false;
	pcn_bell_disarm(group->bell);
	mutex_unlock(&group->poll_lock);
}

static int poll_thread(void *arg)
{
	struct pcn_poll_group *group = arg;
	unsigned int handled;

	while (!kthread_should_stop()) {
		mutex_lock(&group->poll_lock);
		handled = pcn_poll_locked(group, PCN_POLL_THREAD_BUDGET);
		mutex_unlock(&group->poll_lock);
		cond_resched();
		if (!handled && !pcn_poll_linger(group, U64_MAX))
			sleep_until_rung(group);
	}
	return 0;
}

/* The service that a frame was for has its own NAPI, and one that sends a softirq. */
static bool others_wait(void)
{
	return local_softirq_pending() ||
	       !list_empty(&this_cpu_ptr(&softnet_data)->poll_list);
}

/* Is there something to do for the softirq after all? */
static bool softirq_linger(struct pcn_poll_group *group)
{
	return !others_wait() && pcn_poll_linger(group, SOFTIRQ_LINGER_NS);
}

static int softirq_poll(struct napi_struct *napi, int budget)
{
	struct pcn_poll_group *group = container_of(napi, struct pcn_poll_group, napi);
	int handled = 0, n;

	if (!budget)
		return 0;
	if (group->armed_at) {
		pcn_linger_learn(&group->linger, ktime_get_ns() - group->armed_at);
		group->armed_at = 0;
	}
	do {
		__this_cpu_write(in_softirq_poll, true);
		n = poll_group(group, budget - handled);
		__this_cpu_write(in_softirq_poll, false);
		handled += n;
	} while (handled < budget && (n || softirq_linger(group)));
	if (handled >= budget || !napi_complete_done(napi, handled))
		return min(handled, budget);
	group->armed_at = ktime_get_ns();
	group->stats.sleeps++;
	if (!pcn_poll_arm_bell(group))
		napi_schedule(napi);
	return handled;
}

/**
 * pcn_poll_sync - wait for all polls that are under way
 *
 * Context: process, not from a handler.
 */
void pcn_poll_sync(void)
{
	mutex_lock(&pcn_poll_groups[PCN_POLL_THREAD].poll_lock);
	mutex_unlock(&pcn_poll_groups[PCN_POLL_THREAD].poll_lock);
	/* A softirq is a read-side critical section. */
	synchronize_rcu();
}

/**
 * pcn_poll_init_group - make a group that nobody polls yet
 * @group:	the group
 * @self:	this kernel's endpoint
 *
 * Context: process.
 * Return: 0 or -ENOMEM.
 */
int pcn_poll_init_group(struct pcn_poll_group *group, struct pcn_endpoint *self)
{
	mutex_init(&group->poll_lock);
	timer_setup(&group->retry, pcn_poll_end_starving, 0);
	group->bell = &self->bell[group->id];
	group->buffer = vmalloc(SZ_64K);
	return group->buffer ? 0 : -ENOMEM;
}

static int __init start_poll_thread(struct pcn_poll_group *group)
{
	group->task = kthread_create(poll_thread, group, "popcorn_msg");
	if (IS_ERR(group->task))
		return PTR_ERR(group->task);
	/* Others wait for what it does, on other kernels, too. */
	sched_set_fifo_low(group->task);
	wake_up_process(group->task);
	return 0;
}

static int __init start_poll_softirq(struct pcn_poll_group *group)
{
	struct net_device *dev = alloc_netdev_dummy(0);

	if (!dev)
		return -ENOMEM;
	netif_napi_add(dev, &group->napi, softirq_poll);
	napi_enable(&group->napi);
	pcn_poll_kick(group->id);
	return 0;
}

/**
 * pcn_poll_init - begin to poll, and to hear the doorbell
 * @self:	this kernel's endpoint
 *
 * Context: initcall.
 * Return: 0 or -ENOMEM.
 */
int __init pcn_poll_init(struct pcn_endpoint *self)
{
	int err = pcn_poll_init_group(&pcn_poll_groups[PCN_POLL_THREAD], self);

	if (!err)
		err = pcn_poll_init_group(&pcn_poll_groups[PCN_POLL_SOFTIRQ], self);
	if (!err)
		err = start_poll_thread(&pcn_poll_groups[PCN_POLL_THREAD]);
	if (!err)
		err = start_poll_softirq(&pcn_poll_groups[PCN_POLL_SOFTIRQ]);
	if (!err)
		pcn_attach_doorbell(pcn_poll_on_doorbell);
	return err;
}

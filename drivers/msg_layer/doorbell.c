// SPDX-License-Identifier: GPL-2.0
/*
 * When a group sleeps, and what wakes it.
 *
 * There is something to do for a poll if a message has come, or if a peer has made room
 * that somebody here waits for. A poll that finds nothing arms its bell and looks once
 * more; then it may sleep, since whatever comes from now on rings (ring.c has the
 * contract).
 *
 * All groups have the same interrupt. It looks itself which of them it is for: a group
 * whose bell is not armed is being polled, and one that nobody has called sleeps on. Of a
 * group that was called, the rings of those that have called it are looked at, and no
 * others: a machine may have 64 kernels. If there is nothing to do, its bell is armed anew.
 * A group that is woken has its bell disarmed, so that there is one interrupt per sleep.
 *
 * A task that the interrupt finds in user mode polls the thread's group before it goes on,
 * and the thread is not woken: task_poll.c.
 */
#include <linux/bitmap.h>
#include <linux/netdevice.h>
#include <linux/percpu.h>
#include <linux/ptrace.h>
#include <linux/sched.h>

#include <asm/irq_regs.h>

#include <popcorn/entry.h>

#include <trace/events/popcorn_msg.h>

#include "internal.h"

/* --- is there anything to do? --- */

/**
 * pcn_poll_may_look - may a poll look at the rings from a peer?
 * @group:	the group that is being polled
 * @link:	the peer
 *
 * Context: any.
 */
bool pcn_poll_may_look(const struct pcn_poll_group *group,
		       const struct pcn_link *link)
{
	/* Pairs with the release in open_link(). */
	return smp_load_acquire(&link->rx_open) && !READ_ONCE(link->fault) &&
	       !pcn_link_is_held_back(link, group->id);
}

static bool port_has_messages(const struct pcn_port *port)
{
	return !READ_ONCE(port->starved) && pcn_ring_has_news(&port->rx);
}

static bool link_has_messages(const struct pcn_poll_group *group,
			      const struct pcn_link *link)
{
	enum pcn_channel channel;

	if (!pcn_poll_may_look(group, link))
		return false;
	for (channel = group->first; channel <= group->last; channel++)
		if (port_has_messages(&link->port[channel]))
			return true;
	return false;
}

/**
 * pcn_poll_has_messages - has a message come?
 * @group:	the group whose channels are looked at
 *
 * Changes nothing: for interrupts, too.
 *
 * Context: any.
 */
bool pcn_poll_has_messages(const struct pcn_poll_group *group)
{
	struct pcn_link *link;
	unsigned int i;

	for_each_link(link, i)
		if (link_has_messages(group, link))
			return true;
	return false;
}

static bool is_of(const struct pcn_poll_group *group, unsigned int port)
{
	return pcn_poll_group_of(port % PCN_CHANNELS) == group->id;
}

/* Does anybody here wait for room? */
static bool has_waiting(const struct pcn_poll_group *group)
{
	unsigned int nr;

	for_each_set_bit(nr, pcn_ports_waiting, PCN_KERNELS_MAX * PCN_CHANNELS)
		if (is_of(group, nr))
			return true;
	return false;
}

static const struct pcn_ring *ring_of(unsigned int port)
{
	struct pcn_link *link = pcn_links[port / PCN_CHANNELS];

	return &link->port[port % PCN_CHANNELS].tx;
}

/**
 * pcn_poll_has_room_news - has a peer made room that somebody here waits for?
 * @group:	the group whose channels are looked at
 *
 * Context: any.
 */
bool pcn_poll_has_room_news(const struct pcn_poll_group *group)
{
	unsigned int nr;

	for_each_set_bit(nr, pcn_ports_waiting, PCN_KERNELS_MAX * PCN_CHANNELS)
		if (is_of(group, nr) && pcn_ring_room_came(ring_of(nr)))
			return true;
	return false;
}

/**
 * pcn_poll_flush_ports - wake senders that wait for room, and move spilled messages
 * @group:	the group whose channels are looked at
 *
 * Context: the group's poll.
 * Return: true if there were any.
 */
bool pcn_poll_flush_ports(const struct pcn_poll_group *group)
{
	bool any = false;
	unsigned int nr;

	for_each_set_bit(nr, pcn_ports_waiting, PCN_KERNELS_MAX * PCN_CHANNELS)
		if (is_of(group, nr))
			any |= pcn_port_flush(pcn_links[nr / PCN_CHANNELS],
					      nr % PCN_CHANNELS);
	return any;
}

static bool has_work(const struct pcn_poll_group *group)
{
	return pcn_poll_has_messages(group) || has_waiting(group);
}

/* --- sleeping --- */

static void arm_bell(struct pcn_poll_group *group)
{
	pcn_bell_arm(group->bell, atomic64_inc_return(&group->armings));
}

/**
 * pcn_poll_arm_bell - arm a group's bell, and look once more
 * @group:	the group
 *
 * Context: the group's poll.
 * Return: true: the caller may sleep, whatever comes from now on rings; false: there is
 * something to do, and the bell is disarmed.
 */
bool pcn_poll_arm_bell(struct pcn_poll_group *group)
{
	arm_bell(group);
	if (!pcn_poll_flush_ports(group) && !pcn_poll_has_messages(group))
		return true;
	pcn_bell_disarm(group->bell);
	return false;
}

/* --- being woken --- */

/* Unit tests run where nobody polls. */
static bool is_polled(const struct pcn_poll_group *group)
{
	return group->id == PCN_POLL_SOFTIRQ ? !!group->napi.dev : !!READ_ONCE(group->task);
}

static void poll_kick(struct pcn_poll_group *group)
{
	if (group->id == PCN_POLL_SOFTIRQ) {
		napi_schedule(&group->napi);
		return;
	}
	WRITE_ONCE(group->kick, 1);
	wake_up_process(group->task);
}

/**
 * pcn_poll_kick - have a group polled
 * @id:	the group
 *
 * Context: any but hard interrupt.
 */
void pcn_poll_kick(enum pcn_poll_group_id id)
{
	/* Softirqs that are raised in process context run at the enable. */
	local_bh_disable();
	poll_kick(&pcn_poll_groups[id]);
	local_bh_enable();
}

/**
 * pcn_poll_kick_hardirq - have a group polled
 * @id:	the group
 *
 * Context: hard interrupt.
 */
void pcn_poll_kick_hardirq(enum pcn_poll_group_id id)
{
	if (is_polled(&pcn_poll_groups[id]))
		poll_kick(&pcn_poll_groups[id]);
}

/* Which kernels have rung for this arming of the bell? */
static u64 callers_of(const struct pcn_poll_group *group, u64 number)
{
	struct pcn_link *link;
	u64 callers = 0;
	unsigned int i;

	for_each_link(link, i)
		if (pcn_bell_was_called(group->bell, i, number))
			callers |= BIT_ULL(i);
	return callers;
}

static bool has_work_of(const struct pcn_poll_group *group, u64 callers)
{
	unsigned int kid;

	for_each_kernel(kid, callers)
		if (link_has_messages(group, pcn_links[kid]))
			return true;
	return has_waiting(group);
}

/*
 * If the group sleeps and nobody has called it, or there is nothing for it, the bell stays
 * armed. A producer stores its call before it interrupts, and none after it for a number that
 * was read earlier (pcn_bell_call()): a call that this one does not see gets an interrupt of
 * its own.
 */
static void ring_group(struct pcn_poll_group *group)
{
	u64 number = READ_ONCE(group->bell->armed), callers;

	if (!number)
		return;
	callers = callers_of(group, number);
	if (!callers)
		return;
	if (!has_work_of(group, callers)) {
		arm_bell(group);
		if (!has_work(group))
			return;
	}
	pcn_bell_disarm(group->bell);
	WRITE_ONCE(group->stats.interrupts, group->stats.interrupts + 1);
	trace_pcn_doorbell_receive(group->id);
	if (group->id == PCN_POLL_THREAD && user_mode(get_irq_regs()))
		this_cpu_write(pcn_poll_owed, true);
	else
		poll_kick(group);
}

/**
 * pcn_poll_on_doorbell - another kernel has rung
 *
 * Context: hard interrupt.
 */
void pcn_poll_on_doorbell(void)
{
	pcn_links_doorbell();
	ring_group(&pcn_poll_groups[PCN_POLL_THREAD]);
	ring_group(&pcn_poll_groups[PCN_POLL_SOFTIRQ]);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What comes in: doorbell, poll, delivery.
 *
 * After NAPI: an interrupt comes only while a group's bell is armed. It disarms
 * the bell and has the group polled, with a budget, until its rings are empty;
 * the poll lingers a little, arms the bell and looks once more (ring.c has the
 * contract). The thread's group (control, coherency) is polled by a thread,
 * since its handlers take page table locks and flush TLBs; the other one
 * (network, tty) by NAPI itself.
 *
 * A thread that waits for a message polls the first group itself for a while, if no
 * other task does: this saves two context switches. So a handler must not take a lock
 * that a thread holds while it waits for a message. Neither such a thread nor the
 * group's own thread, which has a real-time priority, spins while another task could
 * use the CPU. For the same reason a task that the doorbell finds in user mode, where
 * it holds no lock, polls before it goes on, in place of the group's thread.
 *
 * A task that polls in place of the thread is not preempted meanwhile: messages, and
 * the thread, would wait for a task that has no more than its share of the CPU.
 */
#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/percpu.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/vmalloc.h>

#include <asm/irq_regs.h>

#include <popcorn/core.h>
#include <popcorn/entry.h>

#define CREATE_TRACE_POINTS
#include <trace/events/popcorn_msg.h>

#include "internal.h"

/* Messages of one ring before others have their turn. */
#define BATCH		64
/* Messages between two looks at whether somebody else wants the CPU. */
#define THREAD_BUDGET	256
/* Where lingering begins. */
#define LINGER_MIN_NS	2000
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

/*
 * More than KVM's default for the same question, 200: of two kernels that wait for each
 * other both may have to be woken, which takes 100 to 300 us each where CPUs are virtual.
 * What is longer is not worth lingering for, so with less two that sleep would go on
 * sleeping.
 */
static unsigned int linger_us = 1000;
module_param(linger_us, uint, 0644);
MODULE_PARM_DESC(linger_us, "look for more messages for up to so long before sleeping (us)");

/* Has the task that was interrupted to poll the thread's group? */
DEFINE_PER_CPU(bool, pcn_poll_owed);

/* Is this CPU in the softirq's poll? */
static DEFINE_PER_CPU(bool, in_softirq_poll);

/**
 * struct deferred - a message for a handler that may sleep
 * @work:	on the peer's workqueue
 * @type:	whose handler
 * @msg:	the message
 * @payload:	its payload
 */
struct deferred {
	struct work_struct		work;
	const struct pcn_msg_type	*type;
	struct pcn_message			msg;
	u8				payload[] __aligned(8);
};

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

/*
 * Shorter sleeps than lingering costs: linger longer, at least twice as long as this
 * one has taken; and the other way round.
 */
static void linger_adapt(struct pcn_linger *linger, u64 slept_ns)
{
	u64 max = READ_ONCE(linger_us) * (u64)NSEC_PER_USEC, ns = linger->ns;

	if (slept_ns < max)
		ns = clamp(2 * max(ns, slept_ns), min_t(u64, LINGER_MIN_NS, max), max);
	else
		ns = ns / 2 < LINGER_MIN_NS ? 0 : min(ns / 2, max);
	WRITE_ONCE(linger->ns, ns);
}

static bool may_look(const struct pcn_poll_group *group,
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

/* Has a message come? Changes nothing: for interrupts, too. */
static bool has_messages(const struct pcn_poll_group *group)
{
	enum pcn_channel channel;
	struct pcn_link *link;
	unsigned int i;

	for_each_link(link, i) {
		if (!may_look(group, link))
			continue;
		for (channel = group->first; channel <= group->last; channel++)
			if (port_has_messages(&link->port[channel]))
				return true;
	}
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

/* Has a peer made room that somebody here waits for? */
static bool has_room_news(const struct pcn_poll_group *group)
{
	unsigned int nr;

	for_each_set_bit(nr, pcn_ports_waiting, PCN_KERNELS_MAX * PCN_CHANNELS)
		if (is_of(group, nr) && pcn_ring_room_came(ring_of(nr)))
			return true;
	return false;
}

/* Wake senders that wait for room and move spilled messages; true if there were any. */
static bool flush_ports(const struct pcn_poll_group *group)
{
	bool any = false;
	unsigned int nr;

	for_each_set_bit(nr, pcn_ports_waiting, PCN_KERNELS_MAX * PCN_CHANNELS)
		if (is_of(group, nr))
			any |= pcn_port_flush(pcn_links[nr / PCN_CHANNELS],
					      nr % PCN_CHANNELS);
	return any;
}

static size_t deferred_size(u32 length)
{
	return struct_size_t(struct deferred, payload, length);
}

static void run_deferred(struct work_struct *work)
{
	struct deferred *d = container_of(work, struct deferred, work);

	d->type->handle(&d->msg);
	atomic_long_sub(deferred_size(d->msg.length),
			&pcn_links[d->msg.kid]->deferred);
	kfree(d);
}

static struct pcn_message message_of(struct pcn_link *link,
				 const struct pcn_msg_header *h, void *payload)
{
	return (struct pcn_message) {
		.kid = link->kid,
		.life = READ_ONCE(link->generation),
		.channel = h->channel,
		.type = h->type,
		.length = h->length,
		.request = h->request,
		.payload = payload,
	};
}

/*
 * Those that wait cannot be left in the ring instead: a handler that sleeps may be
 * waiting for a message behind them. Honest peers have one for each of their threads.
 */
static bool may_defer(struct pcn_link *link, u32 length)
{
	if (atomic_long_read(&link->deferred) + deferred_size(length) <=
	    pcn_peer_bytes_max)
		return true;
	pcn_link_break(link, "it sends more than can wait here");
	return false;
}

static bool poll_defer(struct pcn_link *link, struct pcn_port *port,
		       const struct pcn_msg_header *h,
		       const struct pcn_msg_type *type)
{
	struct deferred *d;

	if (!may_defer(link, h->length)) {
		pcn_ring_take(&port->rx, h, NULL);
		return true;
	}
	d = kmalloc(deferred_size(h->length), GFP_NOWAIT | __GFP_NOWARN);
	if (!d)
		return false;
	atomic_long_add(deferred_size(h->length), &link->deferred);
	INIT_WORK(&d->work, run_deferred);
	d->type = type;
	d->msg = message_of(link, h, d->payload);
	pcn_ring_take(&port->rx, h, d->payload);
	queue_work(link->handlers, &d->work);
	return true;
}

static void poll_refuse(struct pcn_link *link, struct pcn_port *port,
			const struct pcn_msg_header *h)
{
	struct pcn_message msg = message_of(link, h, NULL);

	port->stats.rx_unknown++;
	pcn_ring_take(&port->rx, h, NULL);
	/* What is beyond the table cannot have been sent by pcn_msg_call(). */
	if (h->request && h->type < PCN_TYPES)
		pcn_msg_reply(&msg, -EOPNOTSUPP, NULL, 0);
}

/* False if there is no memory: the message stays where it is. */
static bool poll_deliver(struct pcn_poll_group *group, struct pcn_link *link,
			 struct pcn_port *port, const struct pcn_msg_header *h)
{
	const struct pcn_msg_type *type;
	struct pcn_message msg;

	if (h->flags & PCN_MSG_REPLY) {
		pcn_request_reply(link, port, h);
		return true;
	}
	if (!pcn_reserve_fill(&group->reserve, PCN_HANDLER_SENDS, GFP_NOWAIT))
		return false;
	type = pcn_type_find(h->channel, h->type);
	if (!type) {
		poll_refuse(link, port, h);
		return true;
	}
	if (type->ready && !type->ready())
		return false;
	if (type->may_sleep)
		return poll_defer(link, port, h, type);
	msg = message_of(link, h, group->buffer);
	pcn_ring_take(&port->rx, h, group->buffer);
	type->handle(&msg);
	return true;
}

/*
 * Memory comes back without a sign: look again after a tick. Other ports are not
 * concerned: their next message may need none.
 */
static void port_starve(struct pcn_poll_group *group, struct pcn_port *port)
{
	group->stats.starved++;
	WRITE_ONCE(port->starved, true);
	/* If the timer is found pending, it has not come to this port yet. */
	smp_mb();
	if (!timer_pending(&group->retry))
		mod_timer(&group->retry, jiffies + 1);
}

static void end_starving(struct timer_list *timer)
{
	struct pcn_poll_group *group = from_timer(group, timer, retry);
	enum pcn_channel channel;
	struct pcn_link *link;
	unsigned int i;

	/* Not pending any more, then this: pairs with the barrier in port_starve(). */
	smp_mb();
	for_each_link(link, i)
		for (channel = group->first; channel <= group->last; channel++)
			WRITE_ONCE(link->port[channel].starved, false);
	pcn_poll_kick(group->id);
}

static bool poll_deliver_for(struct pcn_poll_group *group, struct pcn_link *link,
			     struct pcn_port *port, const struct pcn_msg_header *h)
{
	bool done;

	group->handling = link;
	done = poll_deliver(group, link, port, h);
	group->handling = NULL;
	return done;
}

static bool poll_message(struct pcn_poll_group *group, struct pcn_link *link,
			 enum pcn_channel channel)
{
	struct pcn_port *port = &link->port[channel];
	struct pcn_msg_header h;

	if (!pcn_ring_peek(&port->rx, &h)) {
		if (port->rx.fault)
			pcn_link_error(link, pcn_ring_fault_name(port->rx.fault));
		return false;
	}
	if (h.channel != channel || h.source != link->kid ||
	    h.flags & ~PCN_MSG_REPLY) {
		pcn_link_break(link, "it sends a header that is not of this link");
		return false;
	}
	if (!poll_deliver_for(group, link, port, &h)) {
		port_starve(group, port);
		return false;
	}
	port->stats.rx_messages++;
	port->stats.rx_bytes += h.length;
	trace_pcn_msg_receive(link->kid, channel, h.type, h.length, h.request);
	return true;
}

/* A sender that waits is told once there is room for more than a little. */
static void offer_room(struct pcn_poll_group *group, struct pcn_link *link,
		       struct pcn_port *port)
{
	const struct pcn_ring *rx = &port->rx;

	if (rx->head - rx->tail <= (rx->mask + 1) / 2 &&
	    pcn_ring_room_is_awaited(rx))
		pcn_ring_doorbell(link, group->id, &port->stats.rx_doorbells);
}

static unsigned int poll_port(struct pcn_poll_group *group, struct pcn_link *link,
			      enum pcn_channel channel, unsigned int budget)
{
	const struct pcn_port *port = &link->port[channel];
	unsigned int taken = 0;

	while (taken < min_t(unsigned int, budget, BATCH) &&
	       !READ_ONCE(port->starved) && may_look(group, link) &&
	       poll_message(group, link, channel))
		taken++;
	if (taken)
		offer_room(group, link, &link->port[channel]);
	return taken;
}

/* Look through all rings; returns the number of messages, up to @budget. */
static unsigned int poll_group(struct pcn_poll_group *group, unsigned int budget)
{
	enum pcn_channel channel;
	unsigned int handled = 0, i;
	struct pcn_link *link;

	for (i = 0; i < PCN_KERNELS_MAX && handled < budget; i++) {
		link = pcn_links[(group->turn + i) % PCN_KERNELS_MAX];
		if (!link)
			continue;
		for (channel = group->first; channel <= group->last; channel++)
			handled += poll_port(group, link, channel,
					     budget - handled);
	}
	group->turn = (group->turn + i) % PCN_KERNELS_MAX;
	/* Room first seen here is room that nobody has to ring for. */
	if (flush_ports(group) && !handled)
		handled = 1;
	WRITE_ONCE(group->stats.polls, group->stats.polls + 1);
	if (!handled)
		WRITE_ONCE(group->stats.empty_polls, group->stats.empty_polls + 1);
	trace_pcn_poll(group->id, handled);
	return handled;
}

/* Spin a little; true if there is something to do. */
static bool poll_linger(struct pcn_poll_group *group, u64 limit_ns)
{
	u64 ns = min(READ_ONCE(group->linger.ns), limit_ns), end;

	if (!ns)
		return false;
	end = ktime_get_ns() + ns;
	do {
		if (has_messages(group) || has_room_news(group)) {
			group->stats.linger_hits++;
			return true;
		}
		cpu_relax();
	} while (ktime_get_ns() < end && pcn_cpu_is_spare());
	return false;
}

static void arm_bell(struct pcn_poll_group *group)
{
	pcn_bell_arm(group->bell, atomic64_inc_return(&group->armings));
}

/*
 * Arm the bell, and look once more. True if the caller may sleep: whatever comes
 * from now on rings.
 */
static bool poll_arm_bell(struct pcn_poll_group *group)
{
	arm_bell(group);
	if (!flush_ports(group) && !has_messages(group))
		return true;
	pcn_bell_disarm(group->bell);
	return false;
}

static void sleep_until_rung(struct pcn_poll_group *group)
{
	u64 since;

	mutex_lock(&group->poll_lock);
	group->asleep = poll_arm_bell(group);
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
	linger_adapt(&group->linger, ktime_get_ns() - since);
	mutex_lock(&group->poll_lock);
	group->asleep = false;
	pcn_bell_disarm(group->bell);
	mutex_unlock(&group->poll_lock);
}

static unsigned int poll_locked(struct pcn_poll_group *group, unsigned int budget)
{
	unsigned int handled;

	lockdep_assert_held(&group->poll_lock);
	WRITE_ONCE(group->runner, current);
	handled = poll_group(group, budget);
	WRITE_ONCE(group->runner, NULL);
	return handled;
}

static int poll_thread(void *arg)
{
	struct pcn_poll_group *group = arg;
	unsigned int handled;

	while (!kthread_should_stop()) {
		mutex_lock(&group->poll_lock);
		handled = poll_locked(group, THREAD_BUDGET);
		mutex_unlock(&group->poll_lock);
		cond_resched();
		if (!handled && !poll_linger(group, U64_MAX))
			sleep_until_rung(group);
	}
	return 0;
}

/* False: somebody else polls. */
static bool begin_look(struct pcn_poll_group *group)
{
	preempt_disable();
	if (mutex_trylock(&group->poll_lock))
		return true;
	preempt_enable();
	return false;
}

static void end_look(struct pcn_poll_group *group)
{
	mutex_unlock(&group->poll_lock);
	preempt_enable();
}

/* True: it is not over, and another task has to run first. */
static bool look_until(u64 end, bool (*is_over)(const void *arg), const void *arg)
{
	struct pcn_poll_group *group = &pcn_poll_groups[PCN_POLL_THREAD];
	bool over, late;

	if (!begin_look(group))
		return false;
	pcn_bell_disarm(group->bell);
	do {
		if (!poll_locked(group, BATCH))
			cpu_relax();
		over = is_over(arg);
		late = ktime_get_ns() >= end;
	} while (!over && !late && pcn_cpu_is_spare());
	/* The thread may have slept all the time: wake it again. */
	if (group->asleep && !poll_arm_bell(group))
		pcn_poll_kick(group->id);
	end_look(group);
	return !over && !late && need_resched();
}

/**
 * pcn_msg_poll_until - poll for a message instead of sleeping at once
 * @linger:	for how long, as pcn_linger_learn() has learnt
 * @is_over:	has come what the caller waits for?
 * @arg:	for that
 *
 * What comes on the control and coherency channels is handled, whomever it is for.
 * Returns early when somebody else polls, or when the CPU is wanted: but a task that goes
 * first, such as a work item that a handler has just queued, is most often a short one, so
 * it is let go first, and what is left of the time is used.
 *
 * Context: process, with no lock held that a handler takes. Not from a handler.
 */
void pcn_msg_poll_until(const struct pcn_linger *linger,
			bool (*is_over)(const void *arg), const void *arg)
{
	u64 ns = READ_ONCE(linger->ns), end = ktime_get_ns() + ns;

	/* Handlers of others' messages must not take from the reserves of memory. */
	if (!ns || current->flags & PF_MEMALLOC)
		return;
	while (look_until(end, is_over, arg))
		cond_resched();
}

/**
 * pcn_linger_learn - learn from how long a wait has taken
 * @linger:	of waits like that
 * @ns:		nanoseconds
 *
 * Context: any.
 */
void pcn_linger_learn(struct pcn_linger *linger, u64 ns)
{
	linger_adapt(linger, ns);
}

static int softirq_poll(struct napi_struct *napi, int budget)
{
	struct pcn_poll_group *group = container_of(napi, struct pcn_poll_group, napi);
	int handled = 0, n;

	if (!budget)
		return 0;
	if (group->armed_at) {
		linger_adapt(&group->linger, ktime_get_ns() - group->armed_at);
		group->armed_at = 0;
	}
	do {
		__this_cpu_write(in_softirq_poll, true);
		n = poll_group(group, budget - handled);
		__this_cpu_write(in_softirq_poll, false);
		handled += n;
	} while (handled < budget && (n || poll_linger(group, SOFTIRQ_LINGER_NS)));
	if (handled >= budget || !napi_complete_done(napi, handled))
		return min(handled, budget);
	group->armed_at = ktime_get_ns();
	group->stats.sleeps++;
	if (!poll_arm_bell(group))
		napi_schedule(napi);
	return handled;
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
 * pcn_poll_drop - count and forget what a peer has left behind
 * @link:	the peer; no poll looks at its rings any more
 *
 * Context: process.
 */
void pcn_poll_drop(struct pcn_link *link)
{
	struct pcn_msg_header h;
	struct pcn_port *port;
	unsigned int i;

	for (i = 0; i < PCN_CHANNELS; i++) {
		port = &link->port[i];
		while (pcn_ring_peek(&port->rx, &h)) {
			pcn_ring_take(&port->rx, &h, NULL);
			port->stats.rx_late++;
		}
	}
}

static bool has_work(const struct pcn_poll_group *group)
{
	return has_messages(group) || has_waiting(group);
}

/*
 * Poll until there is nothing more, and arm the bell again for the thread, which has
 * slept all the time. False: the thread has to see to it.
 */
static bool poll_for_thread(struct pcn_poll_group *group)
{
	unsigned int budget = THREAD_BUDGET, handled;

	do {
		handled = poll_locked(group, budget);
		budget -= min(handled, budget);
		if (!group->asleep || poll_arm_bell(group))
			return true;
	} while (handled && budget);
	return false;
}

/**
 * pcn_poll_now - poll, as the doorbell has asked for
 *
 * Two context switches less than to wake the thread. There is no way from the
 * interrupt to here on which another task could get the CPU.
 *
 * Context: a task on its way to user mode, with interrupts off; they are on
 * meanwhile.
 */
void pcn_poll_now(void)
{
	struct pcn_poll_group *group = &pcn_poll_groups[PCN_POLL_THREAD];
	bool done = false;

	this_cpu_write(pcn_poll_owed, false);
	/* Before interrupts are on: see the head of the file. */
	preempt_disable();
	local_irq_enable();
	if (begin_look(group)) {
		done = poll_for_thread(group);
		end_look(group);
	}
	if (!done)
		pcn_poll_kick(group->id);
	local_irq_disable();
	preempt_enable_no_resched();
}

/* If the group sleeps and there is nothing for it, the bell stays armed. */
static void ring_group(struct pcn_poll_group *group)
{
	if (!READ_ONCE(group->bell->armed))
		return;
	if (!has_work(group)) {
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

static void on_doorbell(void)
{
	pcn_links_doorbell();
	ring_group(&pcn_poll_groups[PCN_POLL_THREAD]);
	ring_group(&pcn_poll_groups[PCN_POLL_SOFTIRQ]);
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
	timer_setup(&group->retry, end_starving, 0);
	group->bell = &self->group[group->id].bell;
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
		pcn_attach_doorbell(on_doorbell);
	return err;
}

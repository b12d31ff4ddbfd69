// SPDX-License-Identifier: GPL-2.0
/*
 * Links: which kernels can be talked to, and in which life.
 *
 * The primary's roster says which kernels are up. A link follows it by its work
 * item, which is queued when the roster has changed, when a peer that is being
 * waited for rings, and when the link is found to be broken:
 *
 *            roster: up               both sides have begun anew
 *   down ---------------> opening -----------------------------> up
 *    ^                       |                                   |
 *    +---- roster: ended, ---+-----------------------------------+
 *    |     or a new life     | closed by the peer                | fault, or closed
 *    +-----------------------+-----------------------------  broken   by the peer
 *
 * The side that finds a fault says in its half of the lanes that it has closed them,
 * and rings. The other side looks at each doorbell, and closes its own: requests and
 * senders fail on both sides at once, and nobody fills a ring that is not read.
 *
 * Nothing about a peer's death is a message: no full ring stands in its way. A
 * link that goes down first fails all requests and senders that wait, then waits for
 * handlers that run, and then tells the subscribers. Each link has a work item for
 * that, since a handler that one waits for may itself wait for another peer.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <kunit/static_stub.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/slab.h>

#include <popcorn/core.h>
#include <popcorn/hooks.h>

#include "internal.h"

/* What a handler may rely on of other kernels' services: part of the ABI hash. */
#define SERVICES_VERSION	12

struct pcn_link *pcn_links[PCN_KERNELS_MAX];

static struct workqueue_struct *links_wq __ro_after_init;
/* This kernel's. */
static struct pcn_endpoint *self __ro_after_init;

static DEFINE_MUTEX(notifiers_lock);
static LIST_HEAD(watches);
/* Peers that subscribers have been told of: watch_lock. */
static u64 announced;

static u64 abi_salt;
module_param(abi_salt, ullong, 0444);
MODULE_PARM_DESC(abi_salt, "for tests: changes the ABI that this kernel says it has");

static const char * const state_names[] = {
	[PCN_LINK_DOWN]		= "down",
	[PCN_LINK_OPENING]	= "opening",
	[PCN_LINK_UP]		= "up",
	[PCN_LINK_BROKEN]	= "broken",
};

static const char * const channel_names[PCN_CHANNELS] = {
	[PCN_CONTROL]	= "control",
	[PCN_COHERENCY]	= "coherency",
	[PCN_NETWORK]	= "network",
	[PCN_TTY]	= "tty",
};

/**
 * pcn_link_state_name - a state in words
 * @state:	the state
 *
 * Context: any.
 * Return: its name as in sysfs.
 */
const char *pcn_link_state_name(enum pcn_link_state state)
{
	return state_names[state];
}

/**
 * pcn_channel_name - a channel in words
 * @channel:	the channel
 *
 * Context: any.
 * Return: its name; "?" if there is no such channel.
 */
const char *pcn_channel_name(enum pcn_channel channel)
{
	return (unsigned int)channel < PCN_CHANNELS ? channel_names[channel] : "?";
}

/**
 * pcn_msg_limit - the longest message of a channel
 * @channel:	the channel
 *
 * Context: any.
 * Return: bytes of payload.
 */
u32 pcn_msg_limit(enum pcn_channel channel)
{
	return channel == PCN_COHERENCY || channel == PCN_NETWORK ? SZ_64K : SZ_4K;
}

/**
 * pcn_link_to - the link to a kernel
 * @kid:	the kernel
 *
 * Context: any.
 * Return: the link, or NULL: no such kernel, or this one.
 */
struct pcn_link *pcn_link_to(unsigned int kid)
{
	return kid < PCN_KERNELS_MAX ? pcn_links[kid] : NULL;
}

/**
 * pcn_peer_is_up - can messages be sent to a kernel?
 * @kid:	the kernel
 *
 * Context: any. May have changed when the caller looks at the answer.
 */
bool pcn_peer_is_up(unsigned int kid)
{
	struct pcn_link *link = pcn_link_to(kid);

	return link && READ_ONCE(link->state) == PCN_LINK_UP;
}

/**
 * pcn_peers_up - all kernels that messages can be sent to
 *
 * Context: any. May have changed when the caller looks at the answer.
 * Return: bit kid is set for each.
 */
u64 pcn_peers_up(void)
{
	u64 up = 0;
	unsigned int kid;

	for (kid = 0; kid < PCN_KERNELS_MAX; kid++)
		if (pcn_peer_is_up(kid))
			up |= BIT_ULL(kid);
	return up;
}

/**
 * pcn_link_break - a peer has written what it may not write
 * @link:	the peer
 * @why:	a constant string
 *
 * Nothing goes through the link until the peer's next life.
 *
 * Context: any.
 */
void pcn_link_break(struct pcn_link *link, const char *why)
{
	KUNIT_STATIC_STUB_REDIRECT(pcn_link_break, link, why);
	if (!cmpxchg(&link->fault, NULL, why))
		queue_work(links_wq, &link->work);
}

static void tell_up(struct pcn_link *link)
{
	struct pcn_peer_notifier *watch;

	mutex_lock(&notifiers_lock);
	announced |= BIT_ULL(link->kid);
	list_for_each_entry(watch, &watches, node)
		if (watch->up)
			watch->up(watch, link->kid);
	mutex_unlock(&notifiers_lock);
}

static void tell_down(struct pcn_link *link)
{
	struct pcn_peer_notifier *watch;

	mutex_lock(&notifiers_lock);
	announced &= ~BIT_ULL(link->kid);
	list_for_each_entry(watch, &watches, node)
		if (watch->down)
			watch->down(watch, link->kid);
	mutex_unlock(&notifiers_lock);
}

/**
 * pcn_peers_subscribe - be told which kernels are up from now on
 * @watch:	what to call; called at once for those that are up already
 *
 * Context: process; not from such a call.
 * Return: 0.
 */
int pcn_peers_subscribe(struct pcn_peer_notifier *watch)
{
	unsigned int kid;

	mutex_lock(&notifiers_lock);
	list_add_tail(&watch->node, &watches);
	for (kid = 0; watch->up && kid < PCN_KERNELS_MAX; kid++)
		if (announced & BIT_ULL(kid))
			watch->up(watch, kid);
	mutex_unlock(&notifiers_lock);
	return 0;
}

/**
 * pcn_peers_unsubscribe - do not be told any more
 * @watch:	what was subscribed; not called any more when this returns
 *
 * Context: process; not from such a call.
 */
void pcn_peers_unsubscribe(struct pcn_peer_notifier *watch)
{
	mutex_lock(&notifiers_lock);
	list_del(&watch->node);
	mutex_unlock(&notifiers_lock);
}

static u64 pair_out(const struct pcn_link *link)
{
	return PCN_PAIR(pcn_life(), link->generation);
}

static u64 pair_in(const struct pcn_link *link)
{
	return PCN_PAIR(link->generation, pcn_life());
}

static void reset_port(struct pcn_link *link, enum pcn_channel channel)
{
	struct pcn_ring_shared *out = &link->out->ring[channel];
	struct pcn_ring_shared *in = &link->in->ring[channel];
	struct pcn_port *port = &link->port[channel];
	u32 limit = pcn_msg_limit(channel);

	WRITE_ONCE(out->head, 0);
	WRITE_ONCE(out->waiting, 0);
	WRITE_ONCE(out->place, PCN_RING_PLACE(PCN_RING_BASE, 0));
	WRITE_ONCE(in->tail, 0);
	pcn_ring_init(&port->tx, out, &link->out_space[channel], limit);
	pcn_ring_init(&port->rx, in, &link->in_space[channel], limit);
}

/* Ring since this side of the lanes was begun anew or closed: see wants_look() there. */
static void ring_link(struct pcn_link *link, bool closed)
{
	/* What it is called for comes first. */
	virt_store_release(&link->endpoint->link_calls[pcn_self()],
			   PCN_LINK_CALL(pcn_life(), closed));
	pcn_arch_doorbell(link->apicid);
}

/* The peer's bells begin with the first number again. */
static void forget_rung(struct pcn_link *link)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&link->bell_lock, flags);
	memset(link->rung, 0, sizeof(link->rung));
	raw_spin_unlock_irqrestore(&link->bell_lock, flags);
}

/* Reset this side's part of both lanes, and say for which lives that was. */
static void link_begin_life(struct pcn_link *link, u32 generation)
{
	enum pcn_channel channel;

	link->generation = generation;
	forget_rung(link);
	WRITE_ONCE(link->fault, NULL);
	for (channel = 0; channel < PCN_CHANNELS; channel++)
		reset_port(link, channel);
	WRITE_ONCE(link->state, PCN_LINK_OPENING);
	/* Both pair with the acquires in is_mutual() of the peer. */
	virt_store_release(&link->out->from_pair, pair_out(link));
	/* See above. */
	virt_store_release(&link->in->to_pair, pair_in(link));
	/* It may be waiting for this, or is told by the roster. */
	ring_link(link, false);
}

/* Has the peer begun anew, for the same two lives? */
static bool is_mutual(const struct pcn_link *link)
{
	/* Pairs with the second release in link_begin_life() of the peer. */
	if (virt_load_acquire(&link->out->to_pair) != pair_out(link))
		return false;
	/* Pairs with the first one. */
	return virt_load_acquire(&link->in->from_pair) == pair_in(link);
}

/* Has it closed its side, in these two lives? */
static bool is_closed(const struct pcn_link *link)
{
	return READ_ONCE(link->out->to_pair) == PCN_CLOSED(pair_out(link)) ||
	       READ_ONCE(link->in->from_pair) == PCN_CLOSED(pair_in(link));
}

static void say_closed(struct pcn_link *link)
{
	WRITE_ONCE(link->out->from_pair, PCN_CLOSED(pair_out(link)));
	WRITE_ONCE(link->in->to_pair, PCN_CLOSED(pair_in(link)));
}

static void open_ports(struct pcn_link *link)
{
	enum pcn_channel channel;

	for (channel = 0; channel < PCN_CHANNELS; channel++) {
		spin_lock_irq(&link->port[channel].tx_lock);
		link->port[channel].tx_error = 0;
		spin_unlock_irq(&link->port[channel].tx_lock);
	}
}

/* Subscribers may send before they are sent to: up comes before messages. */
static void open_link(struct pcn_link *link)
{
	pcn_link_stats_add(link);
	/* First: who sees that it is up can send. */
	open_ports(link);
	WRITE_ONCE(link->state, PCN_LINK_UP);
	tell_up(link);
	/* Pairs with the acquire in the poll: its rings are reset. */
	smp_store_release(&link->rx_open, true);
	pcn_poll_kick(PCN_POLL_THREAD);
	pcn_poll_kick(PCN_POLL_SOFTIRQ);
}

/* After this nothing of the link runs, and nobody waits for its peer. */
static void close_link(struct pcn_link *link, int error,
		       enum pcn_link_state state)
{
	bool was_up = link->state == PCN_LINK_UP;
	enum pcn_channel channel;

	WRITE_ONCE(link->state, state);
	/* First: what follows may take as long as a handler does. */
	say_closed(link);
	if (state == PCN_LINK_BROKEN)
		ring_link(link, true);
	for (channel = 0; channel < PCN_CHANNELS; channel++)
		pcn_port_close(&link->port[channel], error);
	pcn_requests_fail(link->kid, error);
	WRITE_ONCE(link->rx_open, false);
	if (!was_up)
		return;
	pcn_poll_sync();
	pcn_poll_drop(link);
	flush_workqueue(link->handlers);
	tell_down(link);
}

/* The life of the peer that there is to be a link to, or 0. */
static u32 wanted_life(const struct pcn_link *link)
{
	u64 entry = pcn_roster_entry(link->kid);

	if (pcn_roster_entry(pcn_self()) !=
	    PCN_ROSTER(pcn_life(), PCN_VERDICT_UP) ||
	    PCN_ROSTER_VERDICT(entry) != PCN_VERDICT_UP)
		return 0;
	return PCN_ROSTER_GENERATION(entry);
}

static void break_link(struct pcn_link *link)
{
	pr_err("link to kernel %u is broken: %s\n", link->kid, link->fault);
	close_link(link, -EPROTO, PCN_LINK_BROKEN);
}

/**
 * pcn_link_error - what to return when a ring of a link is in disorder
 * @link:	the peer
 * @why:	the disorder, a constant string
 *
 * A peer that has died and begun anew has reset its side, which a kernel may see
 * before it hears of the death. Otherwise the link breaks.
 *
 * Context: any.
 * Return: -EHOSTDOWN or -EPROTO.
 */
int pcn_link_error(struct pcn_link *link, const char *why)
{
	if (wanted_life(link) != READ_ONCE(link->generation))
		return -EHOSTDOWN;
	pcn_link_break(link, why);
	return -EPROTO;
}

static bool has_handlers(struct pcn_link *link)
{
	if (!link->handlers)
		link->handlers = alloc_ordered_workqueue("popcorn_msg%u",
							 WQ_MEM_RECLAIM,
							 link->kid);
	if (!link->handlers)
		pr_err("no link to kernel %u: out of memory\n", link->kid);
	return link->handlers;
}

static void follow_roster(struct work_struct *work)
{
	struct pcn_link *link = container_of(work, struct pcn_link, work);
	u32 life = wanted_life(link);

	if (link->state != PCN_LINK_DOWN && link->generation != life)
		close_link(link, -EHOSTDOWN, PCN_LINK_DOWN);
	if (link->state == PCN_LINK_DOWN && life && has_handlers(link))
		link_begin_life(link, life);
	if (link->state == PCN_LINK_OPENING && is_mutual(link))
		open_link(link);
	if ((link->state == PCN_LINK_UP && !is_mutual(link)) ||
	    (link->state == PCN_LINK_OPENING && is_closed(link)))
		pcn_link_error(link, "closed by the peer");
	if ((link->state == PCN_LINK_UP || link->state == PCN_LINK_OPENING) &&
	    READ_ONCE(link->fault))
		break_link(link);
}

static void hear_verdict(struct work_struct *work)
{
	if (PCN_ROSTER_VERDICT(pcn_roster_entry(pcn_self())) ==
	    PCN_VERDICT_REFUSED)
		pr_err("the primary refuses this kernel as a peer: its message ABI is not ours\n");
}

static DECLARE_WORK(verdict_work, hear_verdict);

/*
 * Has a link to follow what its peer has done? A peer calls when it has begun the lanes
 * anew or closed them, and what it calls differs between the two and from life to life. If
 * it has called before this side has begun, this side finds out when it does. A link that is
 * being opened is looked at in any case: the peer may call for this life what it has called
 * for the one before, which it had not known to be over.
 */
static bool wants_look(struct pcn_link *link)
{
	/* Pairs with the release in ring_link() of the peer. */
	u32 call = virt_load_acquire(&self->link_calls[link->kid]);

	if (call == link->called)
		return READ_ONCE(link->state) == PCN_LINK_OPENING;
	link->called = call;
	return true;
}

/**
 * pcn_links_doorbell - this kernel was rung: is there something for links?
 *
 * Context: hard interrupt, on one CPU.
 */
void pcn_links_doorbell(void)
{
	static u32 seen;
	struct pcn_link *link;
	unsigned int i;
	/* Pairs with the release in enter() of kernel/popcorn/machine/roster.c. */
	u32 seq = virt_load_acquire(&pcn_window()->roster_seq);

	if (seq != seen && pcn_is_secondary())
		queue_work(links_wq, &verdict_work);
	for_each_link(link, i)
		if (wants_look(link) || seq != seen)
			queue_work(links_wq, &link->work);
	seen = seq;
}

/* 64-bit FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
static u64 __init hash_fnv1a(const void *data, size_t size)
{
	const u8 *byte = data;
	u64 hash = 0xcbf29ce484222325ULL;

	while (size--)
		hash = (hash ^ *byte++) * 0x100000001b3ULL;
	return hash;
}

/* What two kernels must have alike to understand each other. */
static u64 __init abi_hash(void)
{
	const u32 facts[] = {
		PCN_WINDOW_VERSION, PCN_MSG_VERSION, SERVICES_VERSION,
		sizeof(struct pcn_msg_header), sizeof(struct pcn_ring_shared),
		PCN_RING_ALIGN, sizeof(struct pcn_endpoint),
		sizeof(struct pcn_lane), PCN_BLOCK_SIZE,
		PCN_CHANNELS, PCN_TYPES,
		pcn_msg_limit(PCN_CONTROL), pcn_msg_limit(PCN_COHERENCY),
		pcn_msg_limit(PCN_NETWORK), pcn_msg_limit(PCN_TTY),
		pcn_check_abi(),
	};

	return hash_fnv1a(facts, sizeof(facts)) ^ abi_salt;
}

/* Rings of these channels may get a block. */
static bool __init may_have_blocks(enum pcn_channel channel)
{
	return channel == PCN_COHERENCY || channel == PCN_NETWORK;
}

/*
 * The layout is the primary's word; bases must hold what may be sent, with a block what is
 * longer.
 */
static bool __init rings_are_large_enough(void)
{
	const struct pcn_window_layout *l = &pcn_facts()->layout;
	enum pcn_channel channel;

	for (channel = 0; channel < PCN_CHANNELS; channel++)
		if (!may_have_blocks(channel) &&
		    pcn_ring_record_size(pcn_msg_limit(channel)) > l->base)
			return false;
	return pcn_ring_record_size(PCN_HANDLER_PAYLOAD) <= l->base && l->pool;
}

static u32 __init kernel_rank(unsigned int kid)
{
	return hweight64(pcn_facts()->present & (BIT_ULL(kid) - 1));
}

static struct pcn_ring_space __init ring_space(unsigned int from, unsigned int to,
					       enum pcn_channel channel)
{
	const struct pcn_window_layout *l = &pcn_facts()->layout;
	u32 rank = kernel_rank(from);

	return (struct pcn_ring_space) {
		.base = (void *)pcn_window() +
			pcn_base_offset(l, rank, kernel_rank(to), channel),
		.base_size = l->base,
		.pool = (void *)pcn_window() + pcn_pool_offset(l, rank),
		.blocks = may_have_blocks(channel) ? pcn_pool_blocks(l, rank) : 0,
		.block_size = PCN_BLOCK_SIZE,
	};
}

static void __init make_port(struct pcn_link *link, enum pcn_channel channel)
{
	link->out_space[channel] = ring_space(pcn_self(), link->kid, channel);
	link->in_space[channel] = ring_space(link->kid, pcn_self(), channel);
	pcn_port_init(&link->port[channel], link->kid * PCN_CHANNELS + channel);
	/* What an earlier life of this kernel has put into a block is going to be lost. */
	WRITE_ONCE(link->out->ring[channel].place, PCN_RING_CLOSED);
}

static int __init make_link(unsigned int kid)
{
	struct pcn_link *link = kzalloc(sizeof(*link), GFP_KERNEL);
	const struct pcn_window_layout *l = &pcn_facts()->layout;
	void *window = pcn_window();
	enum pcn_channel channel;

	if (!link)
		return -ENOMEM;
	link->kid = kid;
	raw_spin_lock_init(&link->bell_lock);
	link->apicid = pcn_facts()->apicid[kid];
	link->endpoint = window + pcn_endpoint_offset(l, kid);
	link->out = window + pcn_lane_offset(l, kernel_rank(pcn_self()),
					     kernel_rank(kid));
	link->in = window + pcn_lane_offset(l, kernel_rank(kid), kernel_rank(pcn_self()));
	INIT_WORK(&link->work, follow_roster);
	for (channel = 0; channel < PCN_CHANNELS; channel++)
		make_port(link, channel);
	pcn_links[kid] = link;
	return 0;
}

static int __init make_links(void)
{
	unsigned int kid;
	int err = 0;

	for (kid = 0; kid < pcn_facts()->layout.areas && !err; kid++)
		if (kid != pcn_self() && pcn_facts()->present & BIT_ULL(kid))
			err = make_link(kid);
	/* All rings are closed before a block is used: see pcn_ring_close(). */
	virt_wmb();
	pcn_blocks_init(pcn_pool_blocks(&pcn_facts()->layout, kernel_rank(pcn_self())));
	return err;
}

/* From here on others may begin to talk to this kernel. */
static void __init endpoint_check_in(void)
{
	u64 abi = abi_hash();

	WRITE_ONCE(self->abi, abi);
	/* Pairs with the acquire in kernel/popcorn/machine/roster.c. */
	virt_store_release(&self->generation, pcn_life());
	if (pcn_is_secondary())
		pcn_call_primary();
	else
		pcn_roster_open(abi);
}

static int __init pcn_msg_init(void)
{
	int err = -EINVAL;

	if (!pcn_machine_is_shared() || !pcn_window())
		return 0;
	if (rings_are_large_enough()) {
		self = (void *)pcn_window() +
		       pcn_endpoint_offset(&pcn_facts()->layout, pcn_self());
		links_wq = alloc_workqueue("popcorn_links", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
		err = links_wq ? make_links() : -ENOMEM;
		if (!err)
			err = pcn_send_init();
		if (!err)
			err = pcn_poll_init(self);
		if (!err)
			err = pcn_link_stats_init();
		if (!err) {
			pcn_requests_init();
			endpoint_check_in();
			return 0;
		}
	}
	pr_err("cannot set up the messaging layer, there will be no messages: %d\n",
	       err);
	return err;
}
device_initcall(pcn_msg_init);

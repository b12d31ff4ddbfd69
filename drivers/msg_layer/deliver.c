// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of a message that has come.
 *
 * A reply goes to the request that waits for it. Any other message goes to the handler
 * of its type, which runs at once, in the poll, or as a work item if it may sleep. If
 * there is no handler for the type, the message is refused.
 *
 * A message leaves its ring only if there is all that its handler needs: memory for what
 * it may send and, for a work item, for a copy of the message. If not, the message stays
 * where it is and its port *starves*: the poll does not look at it for a tick. Other ports
 * are looked at all the same. A type that receives into memory of its own may choose to
 * drop the message instead if it has none.
 *
 * A message that turns out to be none when it is taken, since its producer has died and
 * begun anew, is dropped, and so is its link (ring.c).
 *
 * A header that is not of its link breaks the link: a peer that talks nonsense harms
 * nobody but itself.
 */
#include <linux/errno.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/workqueue.h>

#include <trace/events/popcorn_msg.h>

#include "internal.h"

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

static size_t deferred_size(u32 length)
{
	return struct_size_t(struct deferred, payload, length);
}

static void drop_deferred(struct deferred *d)
{
	atomic_long_sub(deferred_size(d->msg.length),
			&pcn_links[d->msg.kid]->deferred);
	kfree(d);
}

static void run_deferred(struct work_struct *work)
{
	struct deferred *d = container_of(work, struct deferred, work);

	d->type->handle(&d->msg);
	drop_deferred(d);
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
	if (!pcn_ring_take(&port->rx, h, d->payload)) {
		drop_deferred(d);
		return true;
	}
	queue_work(link->handlers, &d->work);
	return true;
}

static void poll_refuse(struct pcn_link *link, struct pcn_port *port,
			const struct pcn_msg_header *h)
{
	struct pcn_message msg = message_of(link, h, NULL);

	if (!pcn_ring_take(&port->rx, h, NULL))
		return;
	port->stats.rx_unknown++;
	/* What is beyond the table cannot have been sent by pcn_msg_call(). */
	if (h->request && h->type < PCN_TYPES)
		pcn_msg_reply(&msg, -EOPNOTSUPP, NULL, 0);
}

/* The payload goes where its type wants it, or is dropped. False: stay in the ring. */
static bool poll_receive(struct pcn_link *link, struct pcn_port *port,
			 const struct pcn_msg_header *h, const struct pcn_msg_type *type)
{
	struct pcn_message msg = message_of(link, h, NULL);
	struct kvec parts[PCN_MSG_PARTS];
	int n = type->buffer(&msg, parts);
	bool taken;

	if (n < 0)
		return false;
	taken = pcn_ring_take_parts(&port->rx, h, parts, n);
	if (!n)
		port->stats.rx_dropped++;
	else if (!taken || READ_ONCE(link->fault))
		type->discard(&msg);
	else
		type->handle(&msg);
	return true;
}

/* Is there memory for what the handler may send? An unknown type may be answered. */
static bool has_reserve(struct pcn_poll_group *group, const struct pcn_msg_type *type)
{
	return (type && type->no_reserve) ||
	       pcn_reserve_fill(&group->reserve, PCN_HANDLER_SENDS, GFP_NOWAIT);
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
	type = pcn_type_find(h->channel, h->type);
	if (!has_reserve(group, type))
		return false;
	if (!type) {
		poll_refuse(link, port, h);
		return true;
	}
	if (type->ready && !type->ready())
		return false;
	if (type->may_sleep)
		return poll_defer(link, port, h, type);
	if (type->buffer)
		return poll_receive(link, port, h, type);
	msg = message_of(link, h, group->buffer);
	if (pcn_ring_take(&port->rx, h, group->buffer))
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
	pcn_poll_look_later(group);
}

/**
 * pcn_poll_look_later - have a group polled in a tick
 * @group:	the group
 *
 * Context: the group's poll.
 */
void pcn_poll_look_later(struct pcn_poll_group *group)
{
	/* If the timer is found pending, it has not come to what the caller has written. */
	smp_mb();
	if (!timer_pending(&group->retry))
		mod_timer(&group->retry, jiffies + 1);
}

/**
 * pcn_poll_end_starving - a tick is over: look at all ports of a group again
 * @timer:	the group's
 *
 * Context: timer.
 */
void pcn_poll_end_starving(struct timer_list *timer)
{
	struct pcn_poll_group *group = from_timer(group, timer, retry);
	enum pcn_channel channel;
	struct pcn_link *link;
	unsigned int i;

	/* Not pending any more, then this: pairs with the barrier in pcn_poll_look_later(). */
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

/**
 * pcn_poll_message - take one message out of a ring, and deliver it
 * @group:	the group that is being polled
 * @link:	the peer
 * @channel:	one of the group's
 *
 * Context: the group's poll.
 * Return: true; false: there is none, it has to stay there, or the link is broken.
 */
bool pcn_poll_message(struct pcn_poll_group *group, struct pcn_link *link,
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
	if (port->rx.fault) {
		pcn_link_error(link, pcn_ring_fault_name(port->rx.fault));
		return false;
	}
	port->stats.rx_messages++;
	port->stats.rx_bytes += h.length;
	trace_pcn_msg_receive(link->kid, channel, h.type, h.length, h.request);
	return true;
}

/**
 * pcn_msg_refuse - count a message that its handler has no use for
 * @msg:	the message: malformed, or about something that is over
 *
 * Context: a handler that does not sleep.
 */
void pcn_msg_refuse(const struct pcn_message *msg)
{
	pcn_links[msg->kid]->port[msg->channel].stats.rx_refused++;
}

/**
 * pcn_poll_drop - count and forget what a peer has left behind
 * @link:	the peer; no poll looks at its rings any more
 *
 * A peer that still runs may go on filling them; no more is taken than was there.
 *
 * Context: process.
 */
void pcn_poll_drop(struct pcn_link *link)
{
	struct pcn_msg_header h;
	struct pcn_port *port;
	unsigned int i;
	u64 left;

	for (i = 0; i < PCN_CHANNELS; i++) {
		port = &link->port[i];
		left = port->rx.size / pcn_ring_record_size(0);
		while (left-- && pcn_ring_peek(&port->rx, &h) &&
		       pcn_ring_take(&port->rx, &h, NULL))
			port->stats.rx_late++;
	}
}

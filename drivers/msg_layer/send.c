// SPDX-License-Identifier: GPL-2.0
/*
 * What goes out.
 *
 * A message goes into the ring if there is room and nothing waits before it.
 * Otherwise a sender that may sleep waits, and a message of one that may not is
 * kept in local memory, the spill, which the poll moves into the ring as room
 * comes. A sender that can do without either only tries, and its type is called
 * when there is room: see pcn_link_try(). In each case the ring says that its
 * producer waits, so that the consumer rings when it has made room, and the poll
 * moves the spill, wakes the sender or calls the types.
 *
 * A ring that is full, or a message that is longer than the ring's base, gets a block if
 * there is one (block.c). A message that waits for a block waits as for room, and a port that
 * has one, while others wait, lets its ring run empty and gives it back.
 *
 * A handler's messages must not fail for want of memory: what it sends may be
 * half of a protocol's step. Before each run of a handler the poll makes sure
 * that there is a reserve for all that it may send, and leaves the message in
 * its ring if there is not.
 *
 * What a peer can pin of this kernel's memory is bounded all the same. A message
 * that a handler has sent and that waits in a spill, whatever its destination, is
 * charged to the peer whose message was handled:
 *
 * - Above HOLD_BACK bytes this kernel takes no more messages of a peer that has a
 *   higher kid than itself. They stay in their rings, and the peer's senders wait.
 * - Above pcn_peer_bytes_max bytes the link to the peer is broken. Only a peer with
 *   a lower kid gets there. An honest one would have to have that much answered at
 *   once without reading, that is, thousands of threads that ask.
 *
 * Nobody waits in a circle, since only higher kernels are held back:
 *
 * - The lowest kernel is held back by none. What it has spilled goes to kernels that
 *   take all its messages, so its spill drains, and it takes those of all others
 *   again.
 * - Assume that all kernels below k drain their spills. They take k's messages again
 *   and again, those above k take them always, so k's spill drains as well.
 *
 * A poll never sleeps, and to take a message needs nothing but memory, so "takes"
 * depends on nothing else. A thread that waits for a reply waits longer while its
 * peer is held back, but the reply comes: there is no other circle, since neither
 * draining nor polling waits for a thread.
 *
 * Some messages are charged to nobody: those of threads and timers. Without a reserve
 * there are SPILL_MAX of them at most on a port; a reserve belongs to an object that
 * the caller bounds. The last bound is that of a port: a peer that has so much waiting
 * for it does not read, and the link to it is broken. It is so much larger than what
 * one peer can be charged that a peer cannot have the link to another one broken.
 */
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include <popcorn/core.h>

#include <trace/events/popcorn_msg.h>

#include "internal.h"

/* Messages that may wait on one port for senders that are no handlers. */
#define SPILL_MAX	1024
/* Bytes charged to a peer above which its messages stay in their rings. */
#define HOLD_BACK	SZ_1M
/* What may wait on a port is so many times what may be charged to one peer. */
#define PORT_SHARES	4

/*
 * Bytes that may be charged to a peer, and that may wait for handlers of its that
 * sleep: 16 MiB, or 1/32 of the memory if that is less.
 */
size_t pcn_peer_bytes_max __read_mostly = SZ_16M;

/* Ports with a sender or a spill that waits for room: kid * PCN_CHANNELS + channel. */
DECLARE_BITMAP(pcn_ports_waiting, PCN_KERNELS_MAX * PCN_CHANNELS);

/**
 * pcn_port_init - make a port that nothing can be sent to yet
 * @port:	the port
 * @number:	kid * PCN_CHANNELS + channel
 *
 * Context: any.
 */
void pcn_port_init(struct pcn_port *port, unsigned int number)
{
	port->number = number;
	mutex_init(&port->senders);
	spin_lock_init(&port->tx_lock);
	port->wanted = PCN_WANTED_NONE;
	INIT_LIST_HEAD(&port->spill);
	init_waitqueue_head(&port->room);
	port->tx_error = -EHOSTDOWN;
}

/**
 * pcn_link_is_held_back - are a peer's messages to stay in their rings for now?
 * @link:	the peer
 * @id:		the group of channels
 *
 * See the head of the file.
 *
 * Context: any.
 */
bool pcn_link_is_held_back(const struct pcn_link *link, enum pcn_poll_group_id id)
{
	return link->kid > pcn_self() &&
	       atomic_long_read(&link->charged[id]) > HOLD_BACK;
}

/* A message waits: charge it to the peer whose message is being handled, if any. */
static void charge_spilled(struct pcn_spilled *s)
{
	struct pcn_poll_group *group = pcn_handler_group();
	struct pcn_link *payer = group ? group->handling : NULL;

	s->payer = payer;
	s->group = group ? group->id : PCN_POLL_THREAD;
	if (payer &&
	    atomic_long_add_return(s->size, &payer->charged[s->group]) >
	    pcn_peer_bytes_max)
		pcn_link_break(payer, "it does not read the answers that it gets");
}

/* It waits no more. The group that takes messages of its payer again, as a bit. */
static unsigned long free_spilled(struct pcn_spilled *s)
{
	enum pcn_poll_group_id group = s->group;
	struct pcn_link *payer = s->payer;
	size_t size = s->size;
	long left;

	kfree(s);
	if (!payer)
		return 0;
	left = atomic_long_sub_return(size, &payer->charged[group]);
	return left <= HOLD_BACK && left + size > HOLD_BACK ? BIT(group) : 0;
}

static void kick_groups(unsigned long groups)
{
	unsigned int id;

	for_each_set_bit(id, &groups, PCN_POLL_GROUPS)
		pcn_poll_kick(id);
}

/* Have the sender that waits look again. */
static void wake_sender(struct pcn_port *port)
{
	lockdep_assert_held(&port->tx_lock);
	WRITE_ONCE(port->wanted, PCN_WANTED_NONE);
	wake_up(&port->room);
}

/**
 * pcn_port_close - let no message through any more
 * @port:	the port
 * @error:	what senders get
 *
 * What has been spilled is lost, and counted.
 *
 * Context: any.
 */
void pcn_port_close(struct pcn_port *port, int error)
{
	unsigned long flags, groups = 0;
	struct pcn_spilled *s, *next;
	LIST_HEAD(lost);

	spin_lock_irqsave(&port->tx_lock, flags);
	port->tx_error = error;
	port->stats.tx_failed += port->spilled;
	port->spilled = 0;
	port->spilled_bytes = 0;
	/* Subscribers are told: nobody is called for room any more. */
	port->tried = 0;
	list_splice_init(&port->spill, &lost);
	wake_sender(port);
	pcn_ring_close(&port->tx);
	port->used = false;
	pcn_block_put(port->number);
	spin_unlock_irqrestore(&port->tx_lock, flags);
	list_for_each_entry_safe(s, next, &lost, node)
		groups |= free_spilled(s);
	kick_groups(groups);
}

static void count_sent(struct pcn_port *port, const struct pcn_msg_header *h)
{
	port->stats.tx_messages++;
	port->stats.tx_bytes += h->length;
}

/* The next block that it gets is one that it has not used yet. */
static void port_put_block(struct pcn_port *port)
{
	lockdep_assert_held(&port->tx_lock);
	port->used = false;
	pcn_block_put(port->number);
}

/* If others wait for a block, the one that this port has used, and has left, is theirs. */
static void port_yield_left(struct pcn_port *port)
{
	lockdep_assert_held(&port->tx_lock);
	if (port->used && pcn_ring_is_at_base(&port->tx) && pcn_block_is_to_go(port->number))
		port_put_block(port);
}

/*
 * Have the ring move to a block, if there is one. A message that does not fit the base
 * waits for one. False: stay at the base, or where the ring is already.
 */
static bool port_grow(struct pcn_port *port, u32 length)
{
	struct pcn_ring *ring = &port->tx;
	bool wait = pcn_ring_record_size(length) > ring->space.base_size;
	int block;

	lockdep_assert_held(&port->tx_lock);
	if (ring->fault || !ring->space.blocks || !pcn_ring_is_at_base(ring) || ring->goal != PCN_RING_BASE)
		return false;
	port_yield_left(port);
	block = pcn_block_get(port->number, wait);
	if (block < 0) {
		port->stats.tx_block_waits += wait;
		return false;
	}
	port->stats.tx_blocks++;
	port->used = false;
	pcn_ring_move(ring, block + 1);
	return true;
}

/* Ask the consumer to ring when there is room; true if there is some by now. */
static bool port_await_room(struct pcn_port *port, u32 length)
{
	return pcn_ring_await_room(&port->tx, length) ||
	       (port_grow(port, length) && pcn_ring_await_room(&port->tx, length));
}

static bool port_put_once(struct pcn_port *port, const struct pcn_msg_header *header,
			  const struct kvec *parts, unsigned int n)
{
	if (!pcn_ring_put_parts(&port->tx, header, parts, n))
		return false;
	if (port->tx.goal != PCN_RING_BASE)
		port->used = true;
	return true;
}

/* A false tail breaks the link, also if nobody puts a message but only looks for room. */
static void port_report_fault(struct pcn_link *link, const struct pcn_port *port)
{
	lockdep_assert_held(&port->tx_lock);
	if (port->tx.fault)
		pcn_link_error(link, pcn_ring_fault_name(port->tx.fault));
}

/* -EAGAIN: no room. */
static int port_put(struct pcn_link *link, struct pcn_port *port,
		    const struct pcn_msg_header *header, const struct kvec *parts,
		    unsigned int n)
{
	lockdep_assert_held(&port->tx_lock);
	if (port_put_once(port, header, parts, n) ||
	    (port_grow(port, header->length) &&
	     port_put_once(port, header, parts, n))) {
		count_sent(port, header);
		return 0;
	}
	if (!port->tx.fault)
		return -EAGAIN;
	return pcn_link_error(link, pcn_ring_fault_name(port->tx.fault));
}

static int port_try_put(struct pcn_link *link, struct pcn_port *port,
			const struct pcn_msg_header *header, const struct kvec *parts,
			unsigned int n)
{
	lockdep_assert_held(&port->tx_lock);
	if (port->tx_error)
		return port->tx_error;
	return list_empty(&port->spill) ? port_put(link, port, header, parts, n) :
					  -EAGAIN;
}

/*
 * As port_try_put(), and if there is no room the consumer is asked to ring when there
 * is. The flag in the bitmap comes first: with it the doorbell looks at the ring.
 */
static int port_put_or_await(struct pcn_link *link, struct pcn_port *port,
			     const struct pcn_msg_header *header,
			     const struct kvec *parts, unsigned int n)
{
	int err = port_try_put(link, port, header, parts, n);

	if (err != -EAGAIN)
		return err;
	set_bit(port->number, pcn_ports_waiting);
	if (port_await_room(port, header->length))
		err = port_try_put(link, port, header, parts, n);
	port_report_fault(link, port);
	return err;
}

/*
 * Once a call is stored nobody else of this kernel rings for that number: the interrupt has
 * to follow, so nothing else may run on this CPU before.
 */
static bool call_and_interrupt(struct pcn_link *link, enum pcn_poll_group_id id)
{
	struct pcn_bell *bell = &link->endpoint->bell[id];
	u64 number = pcn_bell_is_needed(bell);
	unsigned long flags;
	bool called;

	if (!number || number == READ_ONCE(link->rung[id]))
		return false;
	local_irq_save(flags);
	raw_spin_lock(&link->bell_lock);
	called = pcn_bell_call(bell, pcn_self(), &link->rung[id]);
	raw_spin_unlock(&link->bell_lock);
	if (called)
		pcn_arch_doorbell(link->apicid);
	local_irq_restore(flags);
	return called;
}

/**
 * pcn_ring_doorbell - interrupt a peer if it wants to be
 * @link:	the peer
 * @id:		for which group of channels
 * @counter:	counts the interrupts
 *
 * Once for each time that it has armed its bell: until it gets to run, more
 * messages may come than it takes. At most once per call: a peer that is interrupted and finds
 * nothing arms its bell again, and a loop would interrupt it again.
 *
 * Context: any.
 */
void pcn_ring_doorbell(struct pcn_link *link, enum pcn_poll_group_id id, u64 *counter)
{
	if (!call_and_interrupt(link, id))
		return;
	WRITE_ONCE(*counter, *counter + 1);
	trace_pcn_doorbell_send(link->kid, id);
}

static void trace_sent(struct pcn_link *link, const struct pcn_msg_header *h)
{
	struct pcn_port *port = &link->port[h->channel];

	trace_pcn_msg_send(link->kid, h->channel, h->type, h->length, h->request);
	pcn_ring_doorbell(link, pcn_poll_group_of(h->channel),
			  &port->stats.tx_doorbells);
}

/* Without overtaking the sender that waits, which might never get its turn. */
static int send_at_once(struct pcn_link *link, struct pcn_port *port,
			const struct pcn_msg_header *header, const struct kvec *payload)
{
	int err = -EAGAIN;

	spin_lock_irq(&port->tx_lock);
	if (port->wanted == PCN_WANTED_NONE)
		err = port_try_put(link, port, header, payload, 1);
	spin_unlock_irq(&port->tx_lock);
	return err;
}

static int send_in_turn(struct pcn_link *link, struct pcn_port *port,
			const struct pcn_msg_header *header, const struct kvec *payload)
{
	int err;

	if (mutex_lock_killable(&port->senders))
		return -EINTR;
	for (;;) {
		spin_lock_irq(&port->tx_lock);
		err = port_put_or_await(link, port, header, payload, 1);
		if (err == -EAGAIN) {
			port->wanted = header->length;
			port->stats.tx_waits++;
		}
		spin_unlock_irq(&port->tx_lock);
		if (err != -EAGAIN)
			break;
		if (wait_event_killable(port->room, READ_ONCE(port->wanted) ==
						    PCN_WANTED_NONE)) {
			err = -EINTR;
			break;
		}
	}
	WRITE_ONCE(port->wanted, PCN_WANTED_NONE);
	mutex_unlock(&port->senders);
	/* It may have been given a block that it does not use: see port_claims_block(). */
	if (err == -EINTR)
		pcn_poll_kick(pcn_poll_group_of(header->channel));
	return err;
}

/**
 * pcn_link_send - send a message, waiting for room
 * @link:	the link to the receiver
 * @header:	its head
 * @payload:	@header->length bytes
 *
 * Context: process; sleeps, killably.
 * Return: 0; -EHOSTDOWN, -EPROTO: see popcorn/msg.h; -EINTR a fatal signal.
 */
int pcn_link_send(struct pcn_link *link, const struct pcn_msg_header *header,
		  const void *payload)
{
	struct kvec part = { (void *)payload, header->length };
	struct pcn_port *port = &link->port[header->channel];
	int err;

	might_sleep();
	pcn_garbage_sample(header, &part, 1);
	err = send_at_once(link, port, header, &part);
	if (err == -EAGAIN)
		err = send_in_turn(link, port, header, &part);
	if (!err)
		trace_sent(link, header);
	return err;
}

/*
 * For a type that waits for room already, or that has to let others go first: it is
 * called after those.
 */
static int await_call(struct pcn_link *link, struct pcn_port *port,
		      const struct pcn_msg_header *header)
{
	lockdep_assert_held(&port->tx_lock);
	port->tried_length = max(port->tried ? port->tried_length : 0, header->length);
	port->tried |= BIT_ULL(header->type);
	port->stats.tx_full++;
	return -EAGAIN;
}

/**
 * pcn_link_try - send a message if there is room now
 * @link:	the link to the receiver
 * @header:	its head
 * @parts:	its payload, @header->length bytes in all
 * @n:		number of parts
 *
 * It goes after the spill, after a sender that waits, and after types that wait to be
 * called. If there is no room, the ->room of its type is called by a later flush of the
 * port (pcn_port_flush()). No call is lost:
 *
 * - With tx_lock held, either the port is among pcn_ports_waiting with the ring's
 *   @waiting set, since somebody waits already, or both are set here, and then the ring is
 *   looked at again. pcn_port_flush() takes back both only with the same lock held,
 *   only when nothing waits any more, @tried included.
 * - The consumer frees bytes, then looks at @waiting; pcn_ring_await_room() has full
 *   barriers on both sides. So either the second look here finds the room, or the consumer
 *   sees @waiting once half of its ring is free, which it comes to as it reads. It
 *   rings if the bell here is armed. If it is not, the poll here runs, or has been kicked,
 *   and looks at the ports that wait each time, and once more after it has armed the bell.
 * - A flush that finds less room than @tried_length asks again, in the same way.
 * - A flush takes @tried and calls the types after it has let go of the lock. A try that
 *   fails meanwhile sets its bit anew, and is called by the next flush.
 *
 * Nor is there a call for a peer that subscribers know to be down: pcn_port_close()
 * clears @tried and makes tries fail otherwise, then polls are waited for, then
 * subscribers are told.
 *
 * Context: any.
 * Return: 0; -EAGAIN no room, the type is called; -EHOSTDOWN, -EPROTO: see popcorn/msg.h.
 */
int pcn_link_try(struct pcn_link *link, const struct pcn_msg_header *header,
		 const struct kvec *parts, unsigned int n)
{
	struct pcn_port *port = &link->port[header->channel];
	unsigned long flags;
	int err;

	pcn_garbage_sample(header, parts, n);
	spin_lock_irqsave(&port->tx_lock, flags);
	if (port->tx_error)
		err = port->tx_error;
	else if (port->tried || port->wanted != PCN_WANTED_NONE)
		err = -EAGAIN;
	else
		err = port_put_or_await(link, port, header, parts, n);
	if (err == -EAGAIN)
		err = await_call(link, port, header);
	spin_unlock_irqrestore(&port->tx_lock, flags);
	if (!err)
		trace_sent(link, header);
	return err;
}

/* A page and its header are a little more than half of the next kmalloc size. */
static struct kmem_cache *reserve_cache __ro_after_init;

/**
 * pcn_send_init - be ready to send
 *
 * Context: process, at boot.
 * Return: 0 or -ENOMEM.
 */
int pcn_send_init(void)
{
	pcn_peer_bytes_max = min_t(u64, pcn_peer_bytes_max,
				   PFN_PHYS((u64)totalram_pages()) / 32);
	reserve_cache = kmem_cache_create("popcorn_msg",
		sizeof(struct pcn_spilled) + PCN_HANDLER_PAYLOAD, 8, 0, NULL);
	return reserve_cache ? 0 : -ENOMEM;
}

static struct pcn_spilled *new_spilled(u32 size, gfp_t gfp)
{
	struct pcn_spilled *s;

	if (size == PCN_HANDLER_PAYLOAD)
		s = kmem_cache_alloc(reserve_cache, gfp | __GFP_NOWARN);
	else
		s = kmalloc(sizeof(*s) + size, gfp | __GFP_NOWARN);
	if (s)
		s->size = sizeof(*s) + size;
	return s;
}

/**
 * pcn_reserve_fill - have memory for messages
 * @reserve:	the reserve; zeroed before the first time
 * @count:	for so many of up to PCN_HANDLER_PAYLOAD bytes
 * @gfp:	how to get it
 *
 * Context: what @gfp allows; the caller serialises calls for one reserve.
 * Return: false: no memory; what there is stays.
 */
bool pcn_reserve_fill(struct pcn_reserve *reserve, unsigned int count, gfp_t gfp)
{
	struct pcn_spilled *s;

	if (!reserve->list.next)
		INIT_LIST_HEAD(&reserve->list);
	while (reserve->count < count) {
		s = new_spilled(PCN_HANDLER_PAYLOAD, gfp);
		if (!s)
			return false;
		list_add(&s->node, &reserve->list);
		reserve->count++;
	}
	return true;
}

/**
 * pcn_reserve_empty - give back what has not been used
 * @reserve:	the reserve
 *
 * Context: any.
 */
void pcn_reserve_empty(struct pcn_reserve *reserve)
{
	struct pcn_spilled *s, *next;

	if (!reserve->count)
		return;
	list_for_each_entry_safe(s, next, &reserve->list, node)
		kfree(s);
	*reserve = (struct pcn_reserve) {};
}

static struct pcn_spilled *from_reserve(struct pcn_reserve *reserve, u32 size)
{
	struct pcn_spilled *s;

	if (!reserve || !reserve->count || size > PCN_HANDLER_PAYLOAD)
		return NULL;
	s = list_first_entry(&reserve->list, struct pcn_spilled, node);
	list_del(&s->node);
	reserve->count--;
	return s;
}

static int port_spill(struct pcn_link *link, const struct pcn_msg_header *header,
		      const void *payload, struct pcn_reserve *reserve)
{
	struct pcn_port *port = &link->port[header->channel];
	struct pcn_spilled *s;

	lockdep_assert_held(&port->tx_lock);
	if (!reserve && port->spilled >= SPILL_MAX)
		return -ENOBUFS;
	if (port->spilled_bytes > PORT_SHARES * pcn_peer_bytes_max)
		return pcn_link_error(link, "it does not read");
	s = new_spilled(header->length, GFP_ATOMIC) ?:
		from_reserve(reserve, header->length);
	if (!s)
		return -ENOMEM;
	s->header = *header;
	memcpy(s->payload, payload, header->length);
	charge_spilled(s);
	list_add_tail(&s->node, &port->spill);
	port->spilled++;
	port->spilled_bytes += s->size;
	port->stats.tx_spills++;
	return 0;
}

/**
 * pcn_link_post - send a message without waiting
 * @link:	the link to the receiver
 * @header:	its head
 * @payload:	@header->length bytes
 * @reserve:	memory for the case that there is no other; or NULL
 *
 * Context: any.
 * Return: 0: it will go out in its turn; -EHOSTDOWN, -EPROTO: see popcorn/msg.h;
 * -ENOBUFS too much waits already, -ENOMEM; neither as long as @reserve lasts.
 */
int pcn_link_post(struct pcn_link *link, const struct pcn_msg_header *header,
		  const void *payload, struct pcn_reserve *reserve)
{
	struct kvec part = { (void *)payload, header->length };
	struct pcn_port *port = &link->port[header->channel];
	unsigned long flags;
	bool spilled;
	int err;

	pcn_garbage_sample(header, &part, 1);
	spin_lock_irqsave(&port->tx_lock, flags);
	err = port_put_or_await(link, port, header, &part, 1);
	spilled = err == -EAGAIN;
	if (spilled)
		err = port_spill(link, header, payload, reserve);
	spin_unlock_irqrestore(&port->tx_lock, flags);
	if (!err && !spilled)
		trace_sent(link, header);
	return err;
}

/*
 * struct flushed - what a flush has done
 * @moved:	messages that were moved into the ring
 * @groups:	groups that take messages of a peer again, as bits
 * @types:	types to call since there is room, as bits
 */
struct flushed {
	unsigned int	moved;
	unsigned long	groups;
	u64		types;
};

static int port_put_spilled(struct pcn_link *link, struct pcn_port *port,
			    struct pcn_spilled *s)
{
	struct kvec part = { s->payload, s->header.length };
	int err = port_put(link, port, &s->header, &part, 1);

	if (err && port_await_room(port, s->header.length))
		err = port_put(link, port, &s->header, &part, 1);
	return err;
}

/* Move what waits into the ring; false if something is left. */
static bool port_flush_spill(struct pcn_link *link, struct pcn_port *port,
			     struct flushed *f)
{
	struct pcn_spilled *s, *next;

	lockdep_assert_held(&port->tx_lock);
	list_for_each_entry_safe(s, next, &port->spill, node) {
		if (port_put_spilled(link, port, s))
			return false;
		list_del(&s->node);
		port->spilled--;
		port->spilled_bytes -= s->size;
		f->groups |= free_spilled(s);
		f->moved++;
	}
	return true;
}

/* Is there room for the sender that waits? */
static bool port_flush_sender(struct pcn_port *port)
{
	lockdep_assert_held(&port->tx_lock);
	if (port->wanted == PCN_WANTED_NONE)
		return true;
	if (!port_await_room(port, port->wanted))
		return false;
	wake_sender(port);
	return true;
}

/* Is there room for the types that have tried? */
static bool port_flush_tried(struct pcn_port *port, struct flushed *f)
{
	lockdep_assert_held(&port->tx_lock);
	if (!port->tried)
		return true;
	if (!port_await_room(port, port->tried_length))
		return false;
	f->types = port->tried;
	port->tried = 0;
	port->called_at = jiffies;
	return true;
}

/*
 * Is somebody about to use the block that this port has got? A type that was called for
 * room is given a tick to try again: it may have nothing to send any more.
 */
static bool port_claims_block(struct pcn_port *port)
{
	lockdep_assert_held(&port->tx_lock);
	if (port->used)
		return false;
	if (port->tried || !list_empty(&port->spill) || mutex_is_locked(&port->senders))
		return true;
	if (time_after_eq(jiffies, port->called_at + 2))
		return false;
	pcn_poll_look_later(&pcn_poll_groups[pcn_poll_group_of(port->number %
							       PCN_CHANNELS)]);
	return true;
}

/*
 * If others wait for a block, go back to the base and give up this one. False: not yet, since the
 * ring has to run empty. Nothing can be put into it until then.
 */
static bool port_yield(struct pcn_port *port)
{
	lockdep_assert_held(&port->tx_lock);
	if (!pcn_block_is_to_go(port->number))
		return true;
	if (port_claims_block(port)) {
		/* Or the poll would take what was read so far for news, and not sleep. */
		pcn_ring_await_room(&port->tx, 0);
		return true;
	}
	pcn_ring_move(&port->tx, PCN_RING_BASE);
	if (!pcn_ring_await_room(&port->tx, 0))
		return false;
	port_put_block(port);
	return true;
}

/* Is there room for all that wait? Otherwise the consumer will ring again. */
static bool port_flush_locked(struct pcn_link *link, struct pcn_port *port,
			      struct flushed *f)
{
	bool done;

	lockdep_assert_held(&port->tx_lock);
	/* Those that waited were told when the port was closed. */
	if (port->tx_error)
		return true;
	/* A peer that has closed its side makes no room, and would not ring. */
	if (virt_load_acquire(&link->out->to_pair) !=
	    PCN_PAIR(pcn_life(), link->generation))
		pcn_link_error(link, "closed by the peer");
	done = port_yield(port) && port_flush_spill(link, port, f) &&
	       port_flush_sender(port) && port_flush_tried(port, f);
	port_report_fault(link, port);
	return done;
}

/* Each time another type is the first, since that may use all the room. */
static void call_types(struct pcn_link *link, enum pcn_channel channel, u64 types)
{
	struct pcn_port *port = &link->port[channel];
	unsigned int from = port->called, i;
	unsigned long turned = ror64(types, from);
	const struct pcn_msg_type *type;

	port->called = (from + __ffs(turned) + 1) % PCN_TYPES;
	for_each_set_bit(i, &turned, PCN_TYPES) {
		type = pcn_type_find(channel, (from + i) % PCN_TYPES);
		if (type && type->room)
			type->room(link->kid);
	}
}

/**
 * pcn_port_flush - use room in a ring for what waits for it
 * @link:	the peer
 * @channel:	the channel
 *
 * Context: the poll of the channel's group.
 * Return: true if nobody waits for room any more, or a message was moved.
 */
bool pcn_port_flush(struct pcn_link *link, enum pcn_channel channel)
{
	struct pcn_port *port = &link->port[channel];
	struct flushed f = {};
	unsigned long flags;
	bool done;

	spin_lock_irqsave(&port->tx_lock, flags);
	done = port_flush_locked(link, port, &f) && pcn_block_rest(port->number);
	if (done)
		pcn_ring_end_await(&port->tx);
	spin_unlock_irqrestore(&port->tx_lock, flags);
	kick_groups(f.groups);
	if (f.types)
		call_types(link, channel, f.types);
	if (f.moved)
		pcn_ring_doorbell(link, pcn_poll_group_of(channel),
				  &port->stats.tx_doorbells);
	return f.moved || done;
}

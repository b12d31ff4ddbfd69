// SPDX-License-Identifier: GPL-2.0
/*
 * Packets between this kernel and each of its peers.
 *
 * A packet that a socket sends waits in its peer's queue until there is room in the ring and
 * in the window, that is, at the peer; then it goes into the ring, in parts if it is long. A
 * packet that comes is checked and waits in another queue for the work item of the peer, which
 * gives it to its socket (transport.c) and thereby makes room in the window.
 *
 * The work item may have to wait for a socket's lock, and nobody waits for the work item. So
 * when a peer goes down, its queues are emptied at once and the rest is left to the work item:
 *
 *	down --- up() ---> known --- work: sockets of the former life are reset,
 *	  ^                  |             and the peer has been heard ---------> live
 *	  +------ down() ----+------------------------ down() ----------------------+
 *
 * A peer that is up may not be there yet for packets: it is still booting, or never will be,
 * and what it drops is never taken out of the window. So each says what it has taken, which is
 * nothing, when the other one is up, and once more when it has heard the other one for the
 * first time. The later of the two is heard, and then the earlier one, if it was not.
 *
 * Packets of a new life are queued as soon as the peer is known, but none is given to a socket
 * and none goes out before it is live. Only the work item makes it live, and then it has no
 * packet of the former life in its hands: what that is answered with is not sent to the new
 * life.
 *
 * Each message is copied twice: from the skb into the ring, and from there into another skb.
 */
#define pr_fmt(fmt) "popcorn: vsock: " fmt

#include <linux/err.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <popcorn/core.h>
#include <popcorn/msg.h>
#include <popcorn/partition.h>
#include <popcorn/window.h>

#include "vsock.h"

/* A head, what lies in the skb itself, and pages. */
#define PARTS_MAX	(2 + MAX_SKB_FRAGS)

/**
 * struct peer - packets to and from another kernel
 * @kid:	the kernel
 * @lock:	protects all that follows but @seen
 * @known:	it is up: what comes from it is of its present life
 * @heard:	it is there for packets
 * @live:	packets may be sent to it, and what it sends may be given to sockets
 * @life:	counts its lives
 * @seen:	the life whose former one's sockets have been reset; @work's
 * @tx:		packets to send, in order; the first may be sent in part
 * @controls:	those of them that have no data
 * @sent:	cost of all that was sent in this life, modulo 2^32
 * @acked:	what of it the peer has taken
 * @rx:		packets that have come
 * @received:	cost of all that came in this life
 * @taken:	what of it sockets have taken
 * @told:	what of it the peer knows to be taken
 * @must_tell:	tell it even if it knows that
 * @work:	gives packets to sockets
 */
struct peer {
	unsigned int		kid;
	spinlock_t		lock;	/* of all that follows but @seen */
	bool			known;
	bool			heard;
	bool			live;
	u32			life;
	u32			seen;
	struct sk_buff_head	tx;
	unsigned int		controls;
	u32			sent;
	u32			acked;
	struct sk_buff_head	rx;
	u32			received;
	u32			taken;
	u32			told;
	bool			must_tell;
	struct work_struct	work;
};

static struct peer *peers[PCN_KERNELS_MAX];
/* For each peer one work item at a time; those of several do not wait for each other. */
static struct workqueue_struct *packets_wq __ro_after_init;

/* --- sending --- */

static int try_packet(struct peer *peer, const struct kvec *parts, unsigned int n)
{
	return pcn_msg_try(peer->kid, PCN_NETWORK, PCN_TYPE_VSOCK, parts, n);
}

/* Where @count bytes from @offset on lie. Pages that an skb is made of are mapped. */
static unsigned int map_data(const struct sk_buff *skb, u32 offset, u32 count,
			     struct kvec *parts)
{
	u32 at = 0, size = skb_headlen(skb), skip, i;
	void *data = skb->data;
	unsigned int n = 0;

	for (i = 0; count; i++) {
		if (offset < at + size) {
			skip = offset - at;
			parts[n].iov_base = data + skip;
			parts[n].iov_len = min(count, size - skip);
			offset += parts[n].iov_len;
			count -= parts[n++].iov_len;
		}
		at += size;
		if (i >= skb_shinfo(skb)->nr_frags)
			break;
		data = skb_frag_address(&skb_shinfo(skb)->frags[i]);
		size = skb_frag_size(&skb_shinfo(skb)->frags[i]);
	}
	return n;
}

/* One message of a packet. -EAGAIN: there is no room for it, here or at the peer. */
static int send_part(struct peer *peer, struct sk_buff *skb)
{
	u32 *offset = &VIRTIO_VSOCK_SKB_CB(skb)->offset;
	u32 left = skb->len - *offset, count = min_t(u32, left, PCN_VSOCK_PART);
	struct virtio_vsock_hdr h = *virtio_vsock_hdr(skb);
	struct kvec parts[PARTS_MAX] = { { &h, sizeof(h) } };
	unsigned int n;
	int err;

	lockdep_assert_held(&peer->lock);
	if (peer->sent - peer->acked + pcn_vsock_cost(count) > PCN_VSOCK_WINDOW)
		return -EAGAIN;
	h.len = cpu_to_le32(count);
	/* The end of a message is in its last part. */
	if (count < left)
		h.flags = 0;
	n = 1 + map_data(skb, *offset, count, parts + 1);
	err = try_packet(peer, parts, n);
	if (err)
		return err;
	peer->sent += pcn_vsock_cost(count);
	*offset += count;
	return 0;
}

/* It waits no more; the caller gives it free without the lock, since its socket may go. */
static void unqueue(struct peer *peer, struct sk_buff *skb, struct sk_buff_head *done)
{
	lockdep_assert_held(&peer->lock);
	__skb_unlink(skb, &peer->tx);
	peer->controls -= !skb->len;
	virtio_transport_consume_skb_sent(skb, false);
	__skb_queue_tail(done, skb);
}

static bool send_packet(struct peer *peer, struct sk_buff *skb)
{
	int err;

	do {
		err = send_part(peer, skb);
	} while (!err && VIRTIO_VSOCK_SKB_CB(skb)->offset < skb->len);
	if (err && err != -EAGAIN)
		pcn_vsock_count(PCN_VSOCK_TX_LOST);
	return err != -EAGAIN;
}

/*
 * Tell the peer what was taken, if it may be waiting for that: before it runs out of room,
 * and so that it never does since it was not told. Goes before packets: it is the first that
 * the peer hears in this life.
 */
static bool send_taken(struct peer *peer)
{
	struct virtio_vsock_hdr h = {
		.src_cid = cpu_to_le64(pcn_vsock_cid(pcn_self())),
		.dst_cid = cpu_to_le64(pcn_vsock_cid(peer->kid)),
		.op = cpu_to_le16(VIRTIO_VSOCK_OP_INVALID),
		.fwd_cnt = cpu_to_le32(peer->taken),
	};
	struct kvec part = { &h, sizeof(h) };

	lockdep_assert_held(&peer->lock);
	if (!peer->must_tell && peer->taken - peer->told < PCN_VSOCK_WINDOW / 4)
		return true;
	if (try_packet(peer, &part, 1))
		return false;
	peer->told = peer->taken;
	peer->must_tell = false;
	return true;
}

/* Send what there is room for. */
static void send_packets(struct peer *peer, struct sk_buff_head *done)
{
	struct sk_buff *skb;

	lockdep_assert_held(&peer->lock);
	if (!peer->known || !send_taken(peer) || !peer->live)
		return;
	while ((skb = skb_peek(&peer->tx)) && send_packet(peer, skb))
		unqueue(peer, skb, done);
}

static void go_on_sending(struct peer *peer)
{
	struct sk_buff_head done;

	__skb_queue_head_init(&done);
	spin_lock_bh(&peer->lock);
	send_packets(peer, &done);
	spin_unlock_bh(&peer->lock);
	__skb_queue_purge(&done);
}

static int may_queue(const struct peer *peer, const struct sk_buff *skb)
{
	if (!peer->live)
		return -EHOSTUNREACH;
	if (skb->len || peer->controls < PCN_VSOCK_CONTROLS)
		return 0;
	pcn_vsock_count(PCN_VSOCK_TX_FULL);
	return -ENOBUFS;
}

/**
 * pcn_vsock_send - send a packet as soon as there is room
 * @kid:	to which kernel
 * @skb:	the packet, which is the caller's no more
 *
 * Context: process or softirq.
 * Return: bytes of data; -EHOSTUNREACH the kernel is not up; -ENOBUFS too many wait.
 */
int pcn_vsock_send(unsigned int kid, struct sk_buff *skb)
{
	struct peer *peer = kid < PCN_KERNELS_MAX ? peers[kid] : NULL;
	int len = skb->len, err = -EHOSTUNREACH;
	struct sk_buff_head done;

	__skb_queue_head_init(&done);
	if (peer) {
		virtio_transport_deliver_tap_pkt(skb);
		spin_lock_bh(&peer->lock);
		err = may_queue(peer, skb);
		if (!err) {
			__skb_queue_tail(&peer->tx, skb);
			peer->controls += !len;
			send_packets(peer, &done);
		}
		spin_unlock_bh(&peer->lock);
	}
	if (err)
		kfree_skb(skb);
	__skb_queue_purge(&done);
	return err ?: len;
}

static void forget_at(struct peer *peer, const struct vsock_sock *vsk,
		      struct sk_buff_head *done)
{
	struct sk_buff *skb, *next;

	spin_lock_bh(&peer->lock);
	skb_queue_walk_safe(&peer->tx, skb, next) {
		if (skb->sk != sk_vsock((struct vsock_sock *)vsk))
			continue;
		pcn_vsock_count(PCN_VSOCK_TX_LOST);
		unqueue(peer, skb, done);
	}
	spin_unlock_bh(&peer->lock);
}

/**
 * pcn_vsock_forget - do not send what a socket has queued
 * @vsk:	the socket; its connection has ended, or was given up
 *
 * Context: process or softirq.
 */
void pcn_vsock_forget(const struct vsock_sock *vsk)
{
	struct sk_buff_head done;
	unsigned int kid;

	__skb_queue_head_init(&done);
	for (kid = 0; kid < PCN_KERNELS_MAX; kid++)
		if (peers[kid] && !skb_queue_empty_lockless(&peers[kid]->tx))
			forget_at(peers[kid], vsk, &done);
	__skb_queue_purge(&done);
}

static void on_room(unsigned int kid)
{
	go_on_sending(peers[kid]);
}

/* --- receiving --- */

static void *get_buffer(struct pcn_message *msg)
{
	struct sk_buff *skb;

	if (msg->length < sizeof(struct virtio_vsock_hdr) ||
	    msg->length > sizeof(struct virtio_vsock_hdr) + PCN_VSOCK_PART) {
		pcn_vsock_count(PCN_VSOCK_RX_MALFORMED);
		return NULL;
	}
	skb = virtio_vsock_alloc_linear_skb(msg->length, GFP_ATOMIC | __GFP_NOWARN);
	msg->cookie = skb;
	/* Its data must not be lost: it waits in the ring for memory. */
	return skb ? skb->head : ERR_PTR(-EAGAIN);
}

static void discard_buffer(struct pcn_message *msg)
{
	pcn_vsock_count(PCN_VSOCK_RX_LATE);
	kfree_skb(msg->cookie);
}

/* What a peer has taken is between what it had taken and what was sent. */
static bool hear_taken(struct peer *peer, u32 taken)
{
	bool is_true, is_first = false;

	spin_lock_bh(&peer->lock);
	is_true = taken - peer->acked <= peer->sent - peer->acked;
	if (is_true) {
		peer->acked = taken;
		is_first = peer->known && !peer->heard;
	}
	if (is_first) {
		peer->heard = true;
		peer->must_tell = true;
	}
	spin_unlock_bh(&peer->lock);
	if (is_true)
		go_on_sending(peer);
	if (is_first)
		queue_work(packets_wq, &peer->work);
	return is_true;
}

/* Returns false and counts it if it cannot wait here. */
static bool queue_received(struct peer *peer, struct sk_buff *skb, u32 cost)
{
	enum pcn_vsock_counter why = PCN_VSOCK_COUNTERS;

	spin_lock_bh(&peer->lock);
	if (!peer->known)
		why = PCN_VSOCK_RX_LATE;
	else if (peer->received - peer->taken + cost > PCN_VSOCK_WINDOW)
		why = PCN_VSOCK_RX_WINDOW;
	if (why == PCN_VSOCK_COUNTERS) {
		peer->received += cost;
		__skb_queue_tail(&peer->rx, skb);
	}
	spin_unlock_bh(&peer->lock);
	if (why == PCN_VSOCK_COUNTERS)
		return true;
	pcn_vsock_count(why);
	return false;
}

static bool receive(struct peer *peer, struct sk_buff *skb, u32 length)
{
	const struct virtio_vsock_hdr *h = virtio_vsock_hdr(skb);

	if (!pcn_vsock_is_sound(h, length, pcn_vsock_cid(peer->kid),
				pcn_vsock_cid(pcn_self()))) {
		pcn_vsock_count(PCN_VSOCK_RX_MALFORMED);
		return false;
	}
	if (le16_to_cpu(h->op) == VIRTIO_VSOCK_OP_INVALID) {
		if (!hear_taken(peer, le32_to_cpu(h->fwd_cnt)))
			pcn_vsock_count(PCN_VSOCK_RX_CREDIT);
		return false;
	}
	if (length)
		virtio_vsock_skb_put(skb, length);
	if (!queue_received(peer, skb, pcn_vsock_cost(length)))
		return false;
	queue_work(packets_wq, &peer->work);
	return true;
}

static void on_packet(const struct pcn_message *msg)
{
	struct sk_buff *skb = msg->cookie;

	if (!receive(peers[msg->kid], skb, msg->length - sizeof(struct virtio_vsock_hdr)))
		kfree_skb(skb);
}

/* --- the work item --- */

/* Returns false if there is nothing to do; @skb may be NULL, for another look. */
static bool take_step(struct peer *peer, struct sk_buff **skb, u32 *life)
{
	bool is_new = false;

	spin_lock_bh(&peer->lock);
	*skb = NULL;
	*life = peer->life;
	if (peer->seen != peer->life) {
		is_new = true;
	} else {
		peer->live = peer->known && peer->heard;
		if (peer->live)
			*skb = __skb_dequeue(&peer->rx);
	}
	spin_unlock_bh(&peer->lock);
	if (is_new) {
		pcn_vsock_reset_sockets(peer->kid);
		peer->seen = *life;
	}
	return is_new || *skb;
}

static void note_taken(struct peer *peer, u32 cost, u32 life)
{
	spin_lock_bh(&peer->lock);
	if (peer->life == life) {
		peer->taken += cost;
		send_taken(peer);
	}
	spin_unlock_bh(&peer->lock);
}

static void give_packets(struct work_struct *work)
{
	struct peer *peer = container_of(work, struct peer, work);
	struct sk_buff *skb;
	u32 life, cost;

	while (take_step(peer, &skb, &life)) {
		if (skb) {
			cost = pcn_vsock_cost(skb->len);
			pcn_vsock_deliver(skb);
			note_taken(peer, cost, life);
		}
		cond_resched();
	}
}

/* --- coming and going --- */

static void on_up(struct pcn_peer_notifier *watch, unsigned int kid)
{
	struct peer *peer = peers[kid];

	if (!peer)
		return;
	spin_lock_bh(&peer->lock);
	peer->known = true;
	peer->heard = false;
	peer->must_tell = true;
	peer->sent = 0;
	peer->acked = 0;
	peer->received = 0;
	peer->taken = 0;
	peer->told = 0;
	spin_unlock_bh(&peer->lock);
	go_on_sending(peer);
	queue_work(packets_wq, &peer->work);
}

static void on_down(struct pcn_peer_notifier *watch, unsigned int kid)
{
	struct peer *peer = peers[kid];
	struct sk_buff_head done;
	struct sk_buff *skb;

	if (!peer)
		return;
	__skb_queue_head_init(&done);
	spin_lock_bh(&peer->lock);
	peer->known = false;
	peer->heard = false;
	peer->live = false;
	peer->life++;
	while ((skb = skb_peek(&peer->tx))) {
		pcn_vsock_count(PCN_VSOCK_TX_LOST);
		unqueue(peer, skb, &done);
	}
	while ((skb = __skb_dequeue(&peer->rx))) {
		pcn_vsock_count(PCN_VSOCK_RX_LATE);
		__skb_queue_tail(&done, skb);
	}
	spin_unlock_bh(&peer->lock);
	__skb_queue_purge(&done);
	queue_work(packets_wq, &peer->work);
}

static const struct pcn_msg_type packet_type = {
	.name		= "vsock",
	.channel	= PCN_NETWORK,
	.type		= PCN_TYPE_VSOCK,
	.handle		= on_packet,
	.no_reserve	= true,
	.buffer		= get_buffer,
	.discard	= discard_buffer,
	.room		= on_room,
};

static struct pcn_peer_notifier watch = {
	.up	= on_up,
	.down	= on_down,
};

static int __init make_peer(unsigned int kid)
{
	struct peer *peer = kzalloc(sizeof(*peer), GFP_KERNEL);

	if (!peer)
		return -ENOMEM;
	peer->kid = kid;
	spin_lock_init(&peer->lock);
	__skb_queue_head_init(&peer->tx);
	__skb_queue_head_init(&peer->rx);
	INIT_WORK(&peer->work, give_packets);
	peers[kid] = peer;
	return 0;
}

/**
 * pcn_vsock_peers_init - begin to exchange packets with peers
 *
 * Context: initcall.
 * Return: 0 or a negative errno.
 */
int __init pcn_vsock_peers_init(void)
{
	unsigned int kid;
	int err = 0;

	packets_wq = alloc_workqueue("popcorn_vsock", WQ_UNBOUND, 0);
	if (!packets_wq)
		return -ENOMEM;
	for (kid = 0; kid < PCN_KERNELS_MAX && !err; kid++)
		if (kid != pcn_self() && pcn_facts()->present & BIT_ULL(kid))
			err = make_peer(kid);
	if (!err)
		err = pcn_msg_register(&packet_type);
	if (err)
		return err;
	err = pcn_peers_subscribe(&watch);
	if (err)
		pcn_msg_unregister(&packet_type);
	return err;
}

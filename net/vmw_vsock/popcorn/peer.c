// SPDX-License-Identifier: GPL-2.0
/*
 * Packets between this kernel and each of its peers.
 *
 * A packet that a socket sends waits in its peer's queue until there is room in the ring and
 * in the window, that is, at the peer; then it goes into the ring, in parts if it is long. A
 * packet that comes is checked and waits in another queue for the work item of the peer, which
 * gives it to its socket (transport.c) and thereby makes room in the window. What concerns the
 * transport alone, that there is room to send, is taken at once if nothing waits before it.
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
 * life. What a socket sends by itself goes to the life that the socket has joined (socket.c).
 *
 * Each message is copied twice: from the skb into the ring, and from there into another skb.
 */
#define pr_fmt(fmt) "popcorn: vsock: " fmt

#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/minmax.h>
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
 * @answers:	those of them that answer what has no connection
 * @controls:	those of the others that have no data
 * @sent:	cost of all that was sent in this life, modulo 2^32
 * @acked:	what of it the peer has taken
 * @rx:		packets that have come
 * @in_hand:	@work is giving one to a socket
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
	unsigned int		answers;
	unsigned int		controls;
	u32			sent;
	u32			acked;
	struct sk_buff_head	rx;
	bool			in_hand;
	u32			received;
	u32			taken;
	u32			told;
	bool			must_tell;
	struct work_struct	work;
};

/**
 * struct packet_cb - what is kept of a packet to send, in skb->cb
 * @virtio:	what virtio_transport_common.c keeps there
 * @owner:	the socket of whose connection it is, or NULL
 * @counter:	of packets without data, which it is counted in, or NULL
 */
struct packet_cb {
	struct virtio_vsock_skb_cb virtio;
	struct pcn_vsock_sock	*owner;
	unsigned int		*counter;
};

static_assert(sizeof(struct packet_cb) <= sizeof_field(struct sk_buff, cb));

static struct peer *peers[PCN_KERNELS_MAX];
/* For each peer one work item at a time; those of several do not wait for each other. */
static struct workqueue_struct *packets_wq __ro_after_init;

static struct peer *find_peer(unsigned int kid)
{
	return kid < PCN_KERNELS_MAX ? peers[kid] : NULL;
}

/* --- sending --- */

static struct packet_cb *cb_of(struct sk_buff *skb)
{
	return (struct packet_cb *)skb->cb;
}

static struct pcn_vsock_sock **owner_of(struct sk_buff *skb)
{
	return &cb_of(skb)->owner;
}

static u16 op_of(struct sk_buff *skb)
{
	return le16_to_cpu(virtio_vsock_hdr(skb)->op);
}

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

/* With how much this kernel has taken by now; what it has last sent is what counts there. */
static void write_credit(struct sk_buff *skb)
{
	if (*owner_of(skb))
		virtio_transport_inc_tx_pkt(&(*owner_of(skb))->virtio, skb);
}

/* One message of a packet. -EAGAIN: there is no room for it, here or at the peer. */
static int send_part(struct peer *peer, struct sk_buff *skb)
{
	u32 *offset = &VIRTIO_VSOCK_SKB_CB(skb)->offset;
	u32 left = skb->len - *offset, count = min_t(u32, left, PCN_VSOCK_PART);
	struct virtio_vsock_hdr h;
	struct kvec parts[PARTS_MAX] = { { &h, sizeof(h) } };
	unsigned int n;
	int err;

	lockdep_assert_held(&peer->lock);
	if (peer->sent - peer->acked + pcn_vsock_cost(count) > PCN_VSOCK_WINDOW)
		return -EAGAIN;
	write_credit(skb);
	h = *virtio_vsock_hdr(skb);
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

/* Where the packet of its connection waits that such ones are merged with, or NULL. */
static struct sk_buff **merged_of(struct sk_buff *skb)
{
	struct pcn_vsock_sock *owner = *owner_of(skb);

	if (!owner)
		return NULL;
	switch (op_of(skb)) {
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		return &owner->merged[PCN_VSOCK_UPDATE];
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		return &owner->merged[PCN_VSOCK_SHUTDOWN];
	case VIRTIO_VSOCK_OP_RST:
		return &owner->merged[PCN_VSOCK_RESET];
	default:
		return NULL;
	}
}

/* It is of no connection from now on, and does not refer to what its socket may lose. */
static void disown(struct sk_buff *skb)
{
	struct pcn_vsock_sock *owner = *owner_of(skb);
	struct sk_buff **merged = merged_of(skb);

	if (!owner)
		return;
	if (merged && *merged == skb)
		*merged = NULL;
	virtio_transport_consume_skb_sent(skb, false);
	WRITE_ONCE(owner->queued, owner->queued - 1);
	*owner_of(skb) = NULL;
}

/* It waits no more; the caller gives it free without the lock, since its socket may go. */
static void unqueue(struct peer *peer, struct sk_buff *skb, struct sk_buff_head *done)
{
	lockdep_assert_held(&peer->lock);
	__skb_unlink(skb, &peer->tx);
	if (cb_of(skb)->counter)
		--*cb_of(skb)->counter;
	disown(skb);
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

/*
 * The socket of whose connection a packet is. Answers to packets that have no connection have
 * a socket, too, such as a listener, or none.
 */
static struct pcn_vsock_sock *find_owner(struct sk_buff *skb)
{
	const struct virtio_vsock_hdr *h = virtio_vsock_hdr(skb);
	const struct vsock_sock *vsk;

	if (!skb->sk)
		return NULL;
	vsk = vsock_sk(skb->sk);
	if (le64_to_cpu(h->dst_cid) != vsk->remote_addr.svm_cid ||
	    le32_to_cpu(h->dst_port) != vsk->remote_addr.svm_port ||
	    le32_to_cpu(h->src_port) != vsk->local_addr.svm_port)
		return NULL;
	return pcn_vsock_of(vsk);
}

static bool has_joined(const struct pcn_vsock_sock *s, const struct peer *peer)
{
	return READ_ONCE(s->kid) == peer->kid && READ_ONCE(s->life) == peer->life;
}

/*
 * A socket sends to the life that it has joined. An answer is to the packet that the work item
 * has in its hands, and so goes to the present life, in which that socket has no connection.
 */
static int check_life(struct peer *peer, struct sk_buff *skb)
{
	struct pcn_vsock_sock **owner = owner_of(skb);

	if (peer->live && (!*owner || has_joined(*owner, peer)))
		return 0;
	if (!peer->live || !virtio_vsock_skb_reply(skb))
		return op_of(skb) == VIRTIO_VSOCK_OP_REQUEST ? -EHOSTUNREACH : -ECONNRESET;
	*owner = NULL;
	return 0;
}

static unsigned int *counter_of(struct peer *peer, struct sk_buff *skb)
{
	return *owner_of(skb) ? &peer->controls : &peer->answers;
}

/*
 * What a connection sends is never refused, as that is the end of it for a socket that is not
 * told: connect() is, and that what has no connection is not answered the other side
 * learns by its timer.
 */
static int check_room(struct peer *peer, struct sk_buff *skb)
{
	if (skb->len || *counter_of(peer, skb) < PCN_VSOCK_CONTROLS ||
	    (*owner_of(skb) && op_of(skb) != VIRTIO_VSOCK_OP_REQUEST))
		return 0;
	pcn_vsock_count(PCN_VSOCK_TX_FULL);
	return -ENOBUFS;
}

/*
 * One that says the same waits already, or says less: what has been taken and how large the
 * buffer is are written when it goes. A SHUTDOWN must not go before the data that was sent
 * before it, so the one that waits goes with this one. Returns false if @skb need not wait.
 */
static bool merge(struct peer *peer, struct sk_buff *skb, struct sk_buff_head *done)
{
	struct sk_buff **merged = merged_of(skb);

	if (!merged)
		return true;
	if (*merged && op_of(skb) != VIRTIO_VSOCK_OP_SHUTDOWN)
		return false;
	if (*merged) {
		virtio_vsock_hdr(skb)->flags |= virtio_vsock_hdr(*merged)->flags;
		unqueue(peer, *merged, done);
	}
	*merged = skb;
	return true;
}

static void queue_packet(struct peer *peer, struct sk_buff *skb, struct sk_buff_head *done)
{
	struct pcn_vsock_sock *owner = *owner_of(skb);

	if (!merge(peer, skb, done)) {
		__skb_queue_tail(done, skb);
		return;
	}
	__skb_queue_tail(&peer->tx, skb);
	cb_of(skb)->counter = skb->len ? NULL : counter_of(peer, skb);
	if (cb_of(skb)->counter)
		++*cb_of(skb)->counter;
	if (owner)
		WRITE_ONCE(owner->queued, owner->queued + 1);
	send_packets(peer, done);
}

/**
 * pcn_vsock_send - send a packet as soon as there is room
 * @kid:	to which kernel
 * @skb:	the packet, which is the caller's no more
 *
 * Context: process or softirq; the socket of @skb is locked.
 * Return: bytes of data; -EHOSTUNREACH no connection can be made, as the kernel is not
 * there; -ECONNRESET the connection was with a life of it that has ended; -ENOBUFS too many
 * wait.
 */
int pcn_vsock_send(unsigned int kid, struct sk_buff *skb)
{
	int len = skb->len, err = -EHOSTUNREACH;
	struct peer *peer = find_peer(kid);
	struct sk_buff_head done;

	__skb_queue_head_init(&done);
	if (peer) {
		virtio_transport_deliver_tap_pkt(skb);
		*owner_of(skb) = find_owner(skb);
		spin_lock_bh(&peer->lock);
		err = check_life(peer, skb) ?: check_room(peer, skb);
		if (!err)
			queue_packet(peer, skb, &done);
		spin_unlock_bh(&peer->lock);
	}
	if (err)
		kfree_skb(skb);
	__skb_queue_purge(&done);
	return err ?: len;
}

/**
 * pcn_vsock_get_life - which life of a kernel can be connected to?
 * @kid:	the kernel
 * @life:	receives its number
 *
 * Context: process or softirq.
 * Return: 0; -EHOSTUNREACH there is none now.
 */
int pcn_vsock_get_life(unsigned int kid, u32 *life)
{
	struct peer *peer = find_peer(kid);
	int err = -EHOSTUNREACH;

	if (!peer)
		return err;
	spin_lock_bh(&peer->lock);
	*life = peer->life;
	if (peer->live)
		err = 0;
	spin_unlock_bh(&peer->lock);
	return err;
}

/**
 * pcn_vsock_get_handled_life - of which life is the packet that is being delivered?
 * @kid:	the kernel that sent it
 *
 * Context: in pcn_vsock_deliver(), of such a packet.
 * Return: the number of the life.
 */
u32 pcn_vsock_get_handled_life(unsigned int kid)
{
	struct peer *peer = find_peer(kid);

	return peer ? READ_ONCE(peer->seen) : 0;
}

static void for_queued_at(struct peer *peer, struct pcn_vsock_sock *s, bool forget,
			  struct sk_buff_head *done)
{
	struct sk_buff *skb, *next;

	spin_lock_bh(&peer->lock);
	skb_queue_walk_safe(&peer->tx, skb, next) {
		if (*owner_of(skb) != s)
			continue;
		if (!forget) {
			disown(skb);
			continue;
		}
		pcn_vsock_count(PCN_VSOCK_TX_LOST);
		unqueue(peer, skb, done);
	}
	spin_unlock_bh(&peer->lock);
}

static void for_queued(struct pcn_vsock_sock *s, bool forget)
{
	struct sk_buff_head done;
	unsigned int kid;

	__skb_queue_head_init(&done);
	for (kid = 0; kid < PCN_KERNELS_MAX && READ_ONCE(s->queued); kid++)
		if (peers[kid])
			for_queued_at(peers[kid], s, forget, &done);
	__skb_queue_purge(&done);
}

/**
 * pcn_vsock_forget - do not send what a socket has queued
 * @s:		the socket; its connection has ended, or was given up
 *
 * Context: process or softirq; the socket is locked, or nobody has it.
 */
void pcn_vsock_forget(struct pcn_vsock_sock *s)
{
	for_queued(s, true);
}

/**
 * pcn_vsock_disown - what a socket has queued is not of its next connection
 * @s:		the socket
 *
 * Context: process or softirq; the socket is locked or new.
 */
void pcn_vsock_disown(struct pcn_vsock_sock *s)
{
	for_queued(s, false);
}

static void on_room(unsigned int kid)
{
	go_on_sending(peers[kid]);
}

/* --- receiving --- */

static int get_buffer(struct pcn_message *msg, struct kvec *parts)
{
	struct sk_buff *skb;

	if (msg->length < sizeof(struct virtio_vsock_hdr) ||
	    msg->length > sizeof(struct virtio_vsock_hdr) + PCN_VSOCK_PART) {
		pcn_vsock_count(PCN_VSOCK_RX_MALFORMED);
		return 0;
	}
	skb = virtio_vsock_alloc_linear_skb(msg->length, GFP_ATOMIC | __GFP_NOWARN);
	/* Its data must not be lost: it waits in the ring for memory. */
	if (!skb)
		return -EAGAIN;
	msg->cookie = skb;
	parts[0] = (struct kvec) { skb->head, msg->length };
	return 1;
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

/*
 * Have all that came before been given to their sockets? Packets come one after the other, so
 * that stays true until this one has been dealt with, unless the peer dies, whose sockets are then
 * told what was so anyway.
 */
static bool is_next(struct peer *peer)
{
	bool is_next;

	spin_lock_bh(&peer->lock);
	is_next = peer->live && !peer->in_hand && skb_queue_empty(&peer->rx);
	spin_unlock_bh(&peer->lock);
	return is_next;
}

/* It came and has been taken. The peer has counted it. */
static void note_passed(struct peer *peer, u32 cost)
{
	spin_lock_bh(&peer->lock);
	if (peer->live) {
		peer->received += cost;
		peer->taken += cost;
		send_taken(peer);
	}
	spin_unlock_bh(&peer->lock);
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
	if (is_next(peer) && pcn_vsock_take(skb)) {
		note_passed(peer, pcn_vsock_cost(length));
		return false;
	}
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
		peer->in_hand = *skb;
	}
	spin_unlock_bh(&peer->lock);
	if (is_new) {
		pcn_vsock_reset_sockets(peer->kid);
		WRITE_ONCE(peer->seen, *life);
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

/* A connection is refused by silence if there are too many packets already: it may have others. */
static void give_packet(struct peer *peer, struct sk_buff *skb)
{
	bool is_full = max(READ_ONCE(peer->controls), READ_ONCE(peer->answers)) >=
		       PCN_VSOCK_CONTROLS;

	if (op_of(skb) != VIRTIO_VSOCK_OP_REQUEST || !is_full) {
		pcn_vsock_deliver(skb);
		return;
	}
	pcn_vsock_count(PCN_VSOCK_TX_FULL);
	kfree_skb(skb);
}

static void give_packets(struct work_struct *work)
{
	struct peer *peer = container_of(work, struct peer, work);
	struct sk_buff *skb;
	u32 life, cost;

	while (take_step(peer, &skb, &life)) {
		if (skb) {
			cost = pcn_vsock_cost(skb->len);
			give_packet(peer, skb);
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

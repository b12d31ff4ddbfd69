// SPDX-License-Identifier: GPL-2.0
/*
 * The sockets of the transport: the life of the kernel that each is connected to, what the
 * peer says of the connection, and how it ends with that life.
 *
 * Linux has a table of connected sockets, but not all that concern a peer are in it: one that
 * has yet to be answered is not, and one that both sides have shut down is there no more
 * though it may have data to read. So there is a table of our own, in which a socket is as
 * long as it has this transport. While the lock of the table is held none of those in it
 * loses what the transport knows of it.
 *
 * A socket that joins a life of a peer can send to no other life (peer.c). When a life is
 * over, those who have joined it are reset, before there can be one of the next life.
 *
 * Locks: the socket's, then the table's, then a tx_lock.
 */
#include <linux/errno.h>
#include <linux/hashtable.h>
#include <linux/minmax.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <net/af_vsock.h>

#include "vsock.h"

/* By the address of struct vsock_sock */
static DEFINE_HASHTABLE(sockets, 8);
static DEFINE_SPINLOCK(sockets_lock);

/**
 * pcn_vsock_make - make a socket one of the transport
 * @vsk:	the socket
 *
 * As virtio_transport_do_socket_init(), which makes a struct virtio_vsock_sock alone.
 *
 * Context: process; the socket is locked or new.
 * Return: 0; -ENOMEM.
 */
int pcn_vsock_make(struct vsock_sock *vsk)
{
	struct pcn_vsock_sock *s = kzalloc(sizeof(*s), GFP_KERNEL);
	struct virtio_vsock_sock *vvs;

	if (!s)
		return -ENOMEM;
	vsk->buffer_size = min_t(u64, vsk->buffer_size, PCN_VSOCK_BUFFER_MAX);
	vvs = &s->virtio;
	vvs->vsk = vsk;
	vvs->buf_alloc = vsk->buffer_size;
	spin_lock_init(&vvs->rx_lock);
	spin_lock_init(&vvs->tx_lock);
	skb_queue_head_init(&vvs->rx_queue);
	s->kid = PCN_VSOCK_NOBODY;
	vsk->trans = s;
	spin_lock_bh(&sockets_lock);
	hash_add(sockets, &s->node, (unsigned long)vsk);
	spin_unlock_bh(&sockets_lock);
	return 0;
}

/**
 * pcn_vsock_remove - a socket is not one of the transport any more
 * @vsk:	the socket; the caller frees what the transport knows of it
 *
 * Context: any but hardirq; the socket is locked, or nobody has it.
 */
void pcn_vsock_remove(struct vsock_sock *vsk)
{
	struct pcn_vsock_sock *s = vsk->trans;

	pcn_vsock_forget(s);
	spin_lock_bh(&sockets_lock);
	hash_del(&s->node);
	spin_unlock_bh(&sockets_lock);
}

static void set_peer(struct pcn_vsock_sock *s, unsigned int kid, u32 life)
{
	spin_lock_bh(&sockets_lock);
	WRITE_ONCE(s->kid, kid);
	WRITE_ONCE(s->life, life);
	spin_unlock_bh(&sockets_lock);
}

/**
 * pcn_vsock_join - a socket connects to a life of a peer
 * @vsk:	the socket, of the transport
 * @kid:	the peer
 * @life:	the life, which may have ended: then nothing is sent
 *
 * Context: process or softirq; the socket is locked or new.
 */
void pcn_vsock_join(struct vsock_sock *vsk, unsigned int kid, u32 life)
{
	struct pcn_vsock_sock *s = vsk->trans;

	/* It may have been connected to another peer, or at another port. */
	pcn_vsock_disown(s);
	set_peer(s, kid, life);
}

/* --- what a peer says of a connection --- */

static struct pcn_vsock_sock *find(const struct vsock_sock *vsk)
{
	struct pcn_vsock_sock *s;

	lockdep_assert_held(&sockets_lock);
	hash_for_each_possible(sockets, s, node, (unsigned long)vsk)
		if (s->virtio.vsk == vsk)
			return s;
	return NULL;
}

/* Takes what a CREDIT_UPDATE says, which is nothing else. */
static bool hear_credit(struct virtio_vsock_sock *vvs, const struct virtio_vsock_hdr *h)
{
	u32 taken = le32_to_cpu(h->fwd_cnt);
	bool is_true;

	spin_lock_bh(&vvs->tx_lock);
	is_true = pcn_vsock_credit_is_true(vvs->tx_cnt, vvs->bytes_unsent, taken);
	if (is_true && le16_to_cpu(h->op) == VIRTIO_VSOCK_OP_CREDIT_UPDATE) {
		vvs->peer_fwd_cnt = taken;
		vvs->peer_buf_alloc = le32_to_cpu(h->buf_alloc);
	}
	spin_unlock_bh(&vvs->tx_lock);
	return is_true;
}

/**
 * pcn_vsock_hear - may a socket be given a packet, and is there a need to?
 * @vsk:	the socket, which is in Linux's table of connected ones
 * @h:		the packet's head
 * @all_done:	set if the packet was for the transport alone: there may be room to send
 *
 * Does without the lock of the socket, which its program keeps while it copies data: for each
 * packet that waits for it there are two switches of tasks. What a socket does meanwhile does
 * no harm. The packets of a peer come here one after the other, and each is dealt with before
 * the next one, so a socket cannot have heard more by the time that it is given this one. What
 * it sends leaves true what was true of its credit.
 *
 * Context: process or softirq.
 * Return: why it may not be given it; PCN_VSOCK_COUNTERS: it may.
 */
enum pcn_vsock_counter pcn_vsock_hear(struct vsock_sock *vsk,
				      const struct virtio_vsock_hdr *h, bool *all_done)
{
	enum pcn_vsock_counter fault = PCN_VSOCK_COUNTERS;
	struct sock *sk = sk_vsock(vsk);
	u16 op = le16_to_cpu(h->op);
	struct pcn_vsock_sock *s;

	*all_done = false;
	spin_lock_bh(&sockets_lock);
	s = find(vsk);
	if (s && READ_ONCE(sk->sk_state) == TCP_ESTABLISHED && !sock_flag(sk, SOCK_DONE)) {
		if (op == VIRTIO_VSOCK_OP_REQUEST || op == VIRTIO_VSOCK_OP_RESPONSE)
			fault = PCN_VSOCK_RX_UNEXPECTED;
		else if (!hear_credit(&s->virtio, h))
			fault = PCN_VSOCK_RX_CREDIT;
		else
			*all_done = op == VIRTIO_VSOCK_OP_CREDIT_UPDATE;
	}
	spin_unlock_bh(&sockets_lock);
	return fault;
}

/* --- a peer is down --- */

/* A socket that is with a peer, with a reference. It is not any more then. */
static struct sock *take_socket(struct hlist_head *bucket, unsigned int kid)
{
	struct sock *sk, *found = NULL;
	struct pcn_vsock_sock *s;

	spin_lock_bh(&sockets_lock);
	hlist_for_each_entry(s, bucket, node) {
		if (s->kid != kid)
			continue;
		WRITE_ONCE(s->kid, PCN_VSOCK_NOBODY);
		sk = sk_vsock(s->virtio.vsk);
		/* One that is being freed is nobody's. */
		if (refcount_inc_not_zero(&sk->sk_refcnt)) {
			found = sk;
			break;
		}
	}
	spin_unlock_bh(&sockets_lock);
	return found;
}

/* As if there had come a RST for one that waits for an answer. */
static void end_connecting(struct sock *sk)
{
	/* connect() may have failed, or its timer may have run, and the state stays. */
	if (!sk->sk_socket || sk->sk_socket->state != SS_CONNECTING)
		return;
	sk->sk_state = TCP_CLOSE;
	sk->sk_err = ECONNRESET;
	sk_error_report(sk);
}

/*
 * As if there had come a RST, but that reads and writes fail with ECONNRESET if the peer had
 * not ended the connection before. What has come can be read: so the state stays.
 */
static void end_connected(struct vsock_sock *vsk)
{
	bool is_open = vsk->peer_shutdown != SHUTDOWN_MASK;
	struct sock *sk = sk_vsock(vsk);

	WRITE_ONCE(vsk->peer_shutdown, SHUTDOWN_MASK);
	/* The timer of a closed socket frees it, unless that is done. */
	if (!vsk->close_work_scheduled)
		sock_set_flag(sk, SOCK_DONE);
	vsock_remove_sock(vsk);
	sk->sk_state_change(sk);
	if (!is_open)
		return;
	sk->sk_err = ECONNRESET;
	sk_error_report(sk);
}

static void reset_socket(struct sock *sk)
{
	struct vsock_sock *vsk = vsock_sk(sk);
	struct pcn_vsock_sock *s;

	lock_sock(sk);
	s = pcn_vsock_of(vsk);
	/* Its program may have connected it elsewhere meanwhile. */
	if (s && READ_ONCE(s->kid) == PCN_VSOCK_NOBODY) {
		if (sk->sk_state == TCP_SYN_SENT)
			end_connecting(sk);
		else if (sk->sk_state == TCP_ESTABLISHED || sk->sk_state == TCP_CLOSING)
			end_connected(vsk);
	}
	release_sock(sk);
	sock_put(sk);
}

/**
 * pcn_vsock_reset_sockets - end all connections with a peer that has died
 * @kid:	the peer, to which nothing can connect until this returns
 *
 * Context: process; sleeps for as long as a program keeps a socket locked.
 */
void pcn_vsock_reset_sockets(unsigned int kid)
{
	struct sock *sk;
	unsigned int i;

	for (i = 0; i < HASH_SIZE(sockets); i++)
		while ((sk = take_socket(&sockets[i], kid)))
			reset_socket(sk);
}

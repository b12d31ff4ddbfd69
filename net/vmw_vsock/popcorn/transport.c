// SPDX-License-Identifier: GPL-2.0
/*
 * AF_VSOCK between kernels: what Linux calls, and what is done to its sockets.
 *
 * As vsock_loopback.c, this is a transport on virtio_transport_common.c, which knows states,
 * credit and queues of connections. That code was written for a host and its guests; what a
 * hostile peer could do to it is caught here, in packet.c and peer.c before.
 */
#define pr_fmt(fmt) "popcorn: vsock: " fmt

#include <linux/capability.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/virtio_vsock.h>
#include <net/af_vsock.h>

#include <popcorn/core.h>
#include <popcorn/hooks.h>
#include <popcorn/partition.h>
#include <popcorn/window.h>
#include <uapi/linux/popcorn.h>

#include "vsock.h"

/* Sockets that are reset in one go. */
#define RESET_BATCH	16

/**
 * pcn_vsock_cid - the address of a kernel
 * @kid:	the kernel
 *
 * Context: any.
 * Return: its CID.
 */
u32 pcn_vsock_cid(unsigned int kid)
{
	return PCN_CID_BASE + kid;
}

static u32 get_local_cid(void)
{
	return pcn_vsock_cid(pcn_self());
}

static bool stream_allow(u32 cid, u32 port)
{
	u32 kid = cid - PCN_CID_BASE;

	return kid < PCN_KERNELS_MAX && kid != pcn_self() &&
	       pcn_facts()->present & BIT_ULL(kid);
}

static bool seqpacket_allow(u32 cid)
{
	return true;
}

/*
 * A port below 1024 tells others that root of this kernel is here. To bind one takes no more
 * than CAP_NET_BIND_SERVICE, in which network ever; to use it here takes more.
 */
static int connect(struct vsock_sock *vsk)
{
	if (vsk->local_addr.svm_port <= LAST_RESERVED_PORT && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	return virtio_transport_connect(vsk);
}

static int cancel_pkt(struct vsock_sock *vsk)
{
	pcn_vsock_forget(vsk);
	return 0;
}

/* What is queued refers to what is freed here. */
static void destruct(struct vsock_sock *vsk)
{
	pcn_vsock_forget(vsk);
	virtio_transport_destruct(vsk);
}

static int send_pkt(struct sk_buff *skb)
{
	u64 cid = le64_to_cpu(virtio_vsock_hdr(skb)->dst_cid);

	return pcn_vsock_send(cid - PCN_CID_BASE, skb);
}

static int init(struct vsock_sock *vsk, struct vsock_sock *listener)
{
	vsk->buffer_size = min_t(u64, vsk->buffer_size, PCN_VSOCK_BUFFER_MAX);
	return virtio_transport_do_socket_init(vsk, listener);
}

static void notify_buffer_size(struct vsock_sock *vsk, u64 *size)
{
	*size = min_t(u64, *size, PCN_VSOCK_BUFFER_MAX);
	virtio_transport_notify_buffer_size(vsk, size);
}

/* Credit counts data. A packet with little of that takes more memory, which wakes its owner too. */
static s64 stream_has_space(struct vsock_sock *vsk)
{
	const struct virtio_vsock_sock *vvs = vsk->trans;

	if (sk_wmem_alloc_get(sk_vsock(vsk)) > 2ULL * READ_ONCE(vvs->buf_alloc))
		return 0;
	return virtio_transport_stream_has_space(vsk);
}

static struct virtio_transport transport = {
	.transport = {
		.module				= THIS_MODULE,
		.get_local_cid			= get_local_cid,
		.init				= init,
		.destruct			= destruct,
		.release			= virtio_transport_release,
		.connect			= connect,
		.shutdown			= virtio_transport_shutdown,
		.cancel_pkt			= cancel_pkt,
		.dgram_bind			= virtio_transport_dgram_bind,
		.dgram_dequeue			= virtio_transport_dgram_dequeue,
		.dgram_enqueue			= virtio_transport_dgram_enqueue,
		.dgram_allow			= virtio_transport_dgram_allow,
		.stream_dequeue			= virtio_transport_stream_dequeue,
		.stream_enqueue			= virtio_transport_stream_enqueue,
		.stream_has_data		= virtio_transport_stream_has_data,
		.stream_has_space		= stream_has_space,
		.stream_rcvhiwat		= virtio_transport_stream_rcvhiwat,
		.stream_is_active		= virtio_transport_stream_is_active,
		.stream_allow			= stream_allow,
		.seqpacket_dequeue		= virtio_transport_seqpacket_dequeue,
		.seqpacket_enqueue		= virtio_transport_seqpacket_enqueue,
		.seqpacket_allow		= seqpacket_allow,
		.seqpacket_has_data		= virtio_transport_seqpacket_has_data,
		.notify_poll_in			= virtio_transport_notify_poll_in,
		.notify_poll_out		= virtio_transport_notify_poll_out,
		.notify_recv_init		= virtio_transport_notify_recv_init,
		.notify_recv_pre_block		= virtio_transport_notify_recv_pre_block,
		.notify_recv_pre_dequeue	= virtio_transport_notify_recv_pre_dequeue,
		.notify_recv_post_dequeue	= virtio_transport_notify_recv_post_dequeue,
		.notify_send_init		= virtio_transport_notify_send_init,
		.notify_send_pre_block		= virtio_transport_notify_send_pre_block,
		.notify_send_pre_enqueue	= virtio_transport_notify_send_pre_enqueue,
		.notify_send_post_enqueue	= virtio_transport_notify_send_post_enqueue,
		.notify_buffer_size		= notify_buffer_size,
		.notify_set_rcvlowat		= virtio_transport_notify_set_rcvlowat,
		.unsent_bytes			= virtio_transport_unsent_bytes,
		.read_skb			= virtio_transport_read_skb,
	},
	.send_pkt = send_pkt,
};

/* --- packets for sockets --- */

static bool credit_is_true(struct virtio_vsock_sock *vvs, u32 fwd_cnt)
{
	bool is_true;

	spin_lock_bh(&vvs->tx_lock);
	is_true = pcn_vsock_credit_is_true(vvs->tx_cnt, vvs->bytes_unsent, fwd_cnt);
	spin_unlock_bh(&vvs->tx_lock);
	return is_true;
}

/* Why a connected socket may not be given a packet; PCN_VSOCK_COUNTERS: it may. */
static enum pcn_vsock_counter fault_of(struct sock *sk, const struct virtio_vsock_hdr *h)
{
	struct vsock_sock *vsk = vsock_sk(sk);
	u16 op = le16_to_cpu(h->op);

	if (vsk->transport != &transport.transport || sk->sk_state != TCP_ESTABLISHED)
		return PCN_VSOCK_COUNTERS;
	if (op == VIRTIO_VSOCK_OP_REQUEST || op == VIRTIO_VSOCK_OP_RESPONSE)
		return PCN_VSOCK_RX_UNEXPECTED;
	return credit_is_true(vsk->trans, le32_to_cpu(h->fwd_cnt)) ?
	       PCN_VSOCK_COUNTERS : PCN_VSOCK_RX_CREDIT;
}

static enum pcn_vsock_counter find_fault(const struct virtio_vsock_hdr *h)
{
	enum pcn_vsock_counter fault;
	struct sockaddr_vm from, to;
	struct sock *sk;

	vsock_addr_init(&from, le64_to_cpu(h->src_cid), le32_to_cpu(h->src_port));
	vsock_addr_init(&to, le64_to_cpu(h->dst_cid), le32_to_cpu(h->dst_port));
	sk = vsock_find_connected_socket(&from, &to);
	if (!sk)
		return PCN_VSOCK_COUNTERS;
	lock_sock(sk);
	fault = fault_of(sk, h);
	release_sock(sk);
	sock_put(sk);
	return fault;
}

/**
 * pcn_vsock_deliver - give a packet to its socket
 * @skb:	the packet, which is sound; the caller's no more
 *
 * Context: process; sleeps for as long as a program keeps the socket locked.
 */
void pcn_vsock_deliver(struct sk_buff *skb)
{
	enum pcn_vsock_counter fault = find_fault(virtio_vsock_hdr(skb));

	if (fault != PCN_VSOCK_COUNTERS) {
		pcn_vsock_count(fault);
		kfree_skb(skb);
		return;
	}
	virtio_transport_deliver_tap_pkt(skb);
	virtio_transport_recv_pkt(&transport, skb);
}

/* --- a peer is down --- */

/**
 * struct reset - sockets to reset
 * @cid:	of the peer
 * @count:	their number
 * @socket:	the sockets, each with a reference
 */
struct reset {
	u32		cid;
	unsigned int	count;
	struct sock	*socket[RESET_BATCH];
};

/* vsock_for_each_connected_socket() has no argument for it. */
static struct reset *collected;
static DEFINE_MUTEX(collect_lock);

/* A socket whose program has closed it is removed by its timer. */
static void collect_socket(struct sock *sk)
{
	if (vsock_sk(sk)->remote_addr.svm_cid != collected->cid ||
	    sock_flag(sk, SOCK_DEAD) || collected->count == RESET_BATCH)
		return;
	sock_hold(sk);
	collected->socket[collected->count++] = sk;
}

/* The lock of a socket may take long, and is not waited for with this one. */
static void collect_sockets(struct reset *reset)
{
	mutex_lock(&collect_lock);
	collected = reset;
	vsock_for_each_connected_socket(&transport.transport, collect_socket);
	mutex_unlock(&collect_lock);
}

static void reset_socket(struct sock *sk)
{
	lock_sock(sk);
	if (sk->sk_state == TCP_ESTABLISHED) {
		sk->sk_state = TCP_CLOSE;
		sk->sk_err = ECONNRESET;
		sk_error_report(sk);
	}
	vsock_remove_sock(vsock_sk(sk));
	release_sock(sk);
	sock_put(sk);
}

/**
 * pcn_vsock_reset_sockets - end all connections with a peer that has died
 * @kid:	the peer
 *
 * A socket that is reset is not among those that are connected any more, so there are
 * fewer each time.
 *
 * Context: process; sleeps for as long as a program keeps a socket locked.
 */
void pcn_vsock_reset_sockets(unsigned int kid)
{
	struct reset reset = { .cid = pcn_vsock_cid(kid) };
	unsigned int found;

	do {
		collect_sockets(&reset);
		found = reset.count;
		while (reset.count)
			reset_socket(reset.socket[--reset.count]);
	} while (found);
}

static int __init register_all(void)
{
	int err = pcn_vsock_counters_init();

	if (!err)
		err = pcn_vsock_peers_init();
	return err;
}

static int __init pcn_vsock_init(void)
{
	int err;

	if (!pcn_machine_is_shared() || !pcn_window())
		return 0;
	/* As in a guest: what is local has the address, and all else is beyond. */
	err = vsock_core_register(&transport.transport, VSOCK_TRANSPORT_F_G2H);
	if (!err) {
		err = register_all();
		if (err)
			vsock_core_unregister(&transport.transport);
	}
	if (err)
		pr_err("there will be no sockets between kernels: %pe\n", ERR_PTR(err));
	return err;
}
late_initcall(pcn_vsock_init);

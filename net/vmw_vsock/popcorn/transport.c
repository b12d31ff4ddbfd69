// SPDX-License-Identifier: GPL-2.0
/*
 * AF_VSOCK between kernels: what Linux calls, and how sockets get their packets.
 *
 * As vsock_loopback.c, this is a transport on virtio_transport_common.c, which knows states,
 * credit and queues of connections. That code was written for a host and its guests; what a
 * hostile peer could do to it is caught before, in packet.c, peer.c and socket.c.
 */
#define pr_fmt(fmt) "popcorn: vsock: " fmt

#include <linux/capability.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/minmax.h>
#include <linux/virtio_vsock.h>
#include <net/af_vsock.h>

#include <popcorn/core.h>
#include <popcorn/hooks.h>
#include <popcorn/partition.h>
#include <popcorn/window.h>
#include <uapi/linux/popcorn.h>

#include "vsock.h"

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

/* A child of a listener is made when a REQUEST is taken, and others when they connect. */
static int init(struct vsock_sock *vsk, struct vsock_sock *listener)
{
	u32 kid = vsk->remote_addr.svm_cid - PCN_CID_BASE;
	int err = pcn_vsock_make(vsk);

	if (!err && listener)
		pcn_vsock_join(vsk, kid, pcn_vsock_get_handled_life(kid));
	return err;
}

/* One that gives up while its REQUEST waits would leave a connection to nobody at the peer. */
static void release(struct vsock_sock *vsk)
{
	if (sk_vsock(vsk)->sk_state == TCP_SYN_SENT)
		pcn_vsock_forget(pcn_vsock_of(vsk));
	virtio_transport_release(vsk);
}

static void destruct(struct vsock_sock *vsk)
{
	pcn_vsock_remove(vsk);
	virtio_transport_destruct(vsk);
}

/*
 * A port below 1024 tells others that root of this kernel is here. To bind one takes no more
 * than CAP_NET_BIND_SERVICE, in which network ever; to use it here takes more.
 */
static int connect(struct vsock_sock *vsk)
{
	u32 kid = vsk->remote_addr.svm_cid - PCN_CID_BASE, life;
	int err;

	if (vsk->local_addr.svm_port <= LAST_RESERVED_PORT && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	err = pcn_vsock_get_life(kid, &life);
	if (err)
		return err;
	pcn_vsock_join(vsk, kid, life);
	return virtio_transport_connect(vsk);
}

/* To connect was given up. */
static int cancel_pkt(struct vsock_sock *vsk)
{
	pcn_vsock_forget(pcn_vsock_of(vsk));
	return 0;
}

/* Linux takes SOCK_DONE off, and what was connected to a kernel that has died has to keep it. */
static int shutdown(struct vsock_sock *vsk, int mode)
{
	if (READ_ONCE(pcn_vsock_of(vsk)->kid) != PCN_VSOCK_NOBODY)
		return virtio_transport_shutdown(vsk, mode);
	sock_set_flag(sk_vsock(vsk), SOCK_DONE);
	return -ENOTCONN;
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

static int send_pkt(struct sk_buff *skb)
{
	u64 cid = le64_to_cpu(virtio_vsock_hdr(skb)->dst_cid);

	return pcn_vsock_send(cid - PCN_CID_BASE, skb);
}

static struct virtio_transport transport = {
	.transport = {
		.module				= THIS_MODULE,
		.get_local_cid			= get_local_cid,
		.init				= init,
		.destruct			= destruct,
		.release			= release,
		.connect			= connect,
		.shutdown			= shutdown,
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

/**
 * pcn_vsock_of - what the transport knows of a socket
 * @vsk:	the socket
 *
 * Context: the socket is locked, or is not going to change its transport.
 * Return: NULL if it is of another transport, or of none.
 */
struct pcn_vsock_sock *pcn_vsock_of(const struct vsock_sock *vsk)
{
	return vsk->transport == &transport.transport ? vsk->trans : NULL;
}

/* --- packets for sockets --- */

static struct sock *find_connected(const struct virtio_vsock_hdr *h)
{
	struct sockaddr_vm from, to;

	vsock_addr_init(&from, le64_to_cpu(h->src_cid), le32_to_cpu(h->src_port));
	vsock_addr_init(&to, le64_to_cpu(h->dst_cid), le32_to_cpu(h->dst_port));
	return vsock_find_connected_socket(&from, &to);
}

/* Returns true if it need not be given to a socket. */
static bool is_dealt_with(const struct virtio_vsock_hdr *h)
{
	struct sock *sk = find_connected(h);
	enum pcn_vsock_counter fault;
	bool all_done;

	if (!sk)
		return false;
	fault = pcn_vsock_hear(vsock_sk(sk), h, &all_done);
	if (fault != PCN_VSOCK_COUNTERS)
		pcn_vsock_count(fault);
	else if (all_done)
		sk->sk_write_space(sk);
	sock_put(sk);
	return fault != PCN_VSOCK_COUNTERS || all_done;
}

/**
 * pcn_vsock_take - take a packet that concerns no socket but for its credit
 * @skb:	the packet, which is sound; it stays the caller's
 *
 * Context: process or softirq; all that the peer has sent before has been delivered.
 * Return: true; false if pcn_vsock_deliver() has to be called for it in its turn.
 */
bool pcn_vsock_take(struct sk_buff *skb)
{
	if (le16_to_cpu(virtio_vsock_hdr(skb)->op) != VIRTIO_VSOCK_OP_CREDIT_UPDATE)
		return false;
	virtio_transport_deliver_tap_pkt(skb);
	return is_dealt_with(virtio_vsock_hdr(skb));
}

/**
 * pcn_vsock_deliver - give a packet to its socket
 * @skb:	the packet, which is sound; the caller's no more
 *
 * Context: process; sleeps for as long as a program keeps the socket locked.
 */
void pcn_vsock_deliver(struct sk_buff *skb)
{
	virtio_transport_deliver_tap_pkt(skb);
	if (is_dealt_with(virtio_vsock_hdr(skb)))
		kfree_skb(skb);
	else
		virtio_transport_recv_pkt(&transport, skb);
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

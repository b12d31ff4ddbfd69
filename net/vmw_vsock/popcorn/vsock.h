/* SPDX-License-Identifier: GPL-2.0 */
/*
 * AF_VSOCK between kernels: what goes between them, and what the files here share.
 *
 * The address (CID) of a kernel is PCN_CID_BASE and its kid. Sockets, their states and the
 * credit of each connection are Linux's (../virtio_transport_common.c), and a message is a
 * packet as virtio has it: a struct virtio_vsock_hdr and up to PCN_VSOCK_PART bytes of data.
 * A message with the op VIRTIO_VSOCK_OP_INVALID is of the transport itself: its @fwd_cnt says
 * how much of what the receiver has sent was taken.
 *
 *	transport.c	sockets' side: what Linux calls, and the work that gives packets to
 *			sockets
 *	peer.c		messages' side: for each peer a queue of packets to send and one of
 *			packets to take
 *	packet.c	is a packet one that this peer may send?
 *	counters.c	/sys/kernel/popcorn/vsock
 *
 * What a peer can make this kernel keep is bounded:
 *
 * - Packets that have come and that no socket has taken: PCN_VSOCK_WINDOW, for all
 *   sockets together, each packet counted with PCN_VSOCK_COST more than its data. The peer
 *   knows from fwd_cnt how much room is left; what comes beyond it is dropped.
 * - What a socket has taken: its buffer, as virtio's credit has it.
 * - Data that waits to be sent: the buffer of its socket, in bytes, and twice as much in
 *   memory. A peer that says that it has read what was not sent yet would make a program
 *   go on: such a packet is dropped.
 * - Packets without data that wait to be sent: PCN_VSOCK_CONTROLS.
 *
 * Nothing here waits for a peer, and messages never wait for a socket: a program can keep a
 * socket locked for as long as it likes, and then packets of its peer wait in the window.
 */
#ifndef _VMW_VSOCK_POPCORN_VSOCK_H
#define _VMW_VSOCK_POPCORN_VSOCK_H

#include <linux/skbuff.h>
#include <linux/sizes.h>
#include <linux/types.h>
#include <linux/virtio_vsock.h>

/** PCN_VSOCK_PART - bytes of data in a message: an skb in four pages */
#define PCN_VSOCK_PART		(SZ_16K - 512)
/** PCN_VSOCK_COST - what a packet is counted with beside its data, bytes */
#define PCN_VSOCK_COST		1024
/** PCN_VSOCK_WINDOW - what may wait at a peer for its sockets to take it, bytes */
#define PCN_VSOCK_WINDOW	SZ_512K
/** PCN_VSOCK_CONTROLS - packets without data that may wait to be sent to a peer */
#define PCN_VSOCK_CONTROLS	4096
/** PCN_VSOCK_BUFFER_MAX - largest buffer of a socket: counts of bytes have 32 bits */
#define PCN_VSOCK_BUFFER_MAX	SZ_1G

/** pcn_vsock_cost - what a packet with so much data takes of the window, bytes */
static inline u32 pcn_vsock_cost(u32 length)
{
	return length + PCN_VSOCK_COST;
}

/** enum pcn_vsock_counter - what is counted: why packets were dropped */
enum pcn_vsock_counter {
	PCN_VSOCK_RX_MALFORMED,	/* not a packet, or not of this peer for this kernel */
	PCN_VSOCK_RX_WINDOW,	/* more than the window allows */
	PCN_VSOCK_RX_CREDIT,	/* says that it has taken what was not sent */
	PCN_VSOCK_RX_UNEXPECTED, /* opens a connection that there is already */
	PCN_VSOCK_RX_LATE,	/* of a peer that is down */
	PCN_VSOCK_TX_FULL,	/* too many without data wait already */
	PCN_VSOCK_TX_LOST,	/* waited when the peer went down or the socket went away */
	PCN_VSOCK_COUNTERS
};

/* transport.c */
u32 pcn_vsock_cid(unsigned int kid);
void pcn_vsock_deliver(struct sk_buff *skb);
void pcn_vsock_reset_sockets(unsigned int kid);

/* peer.c */
int pcn_vsock_send(unsigned int kid, struct sk_buff *skb);
void pcn_vsock_forget(const struct vsock_sock *vsk);
int pcn_vsock_peers_init(void);

/* packet.c */
bool pcn_vsock_is_sound(const struct virtio_vsock_hdr *h, u32 length, u32 from, u32 to);
bool pcn_vsock_credit_is_true(u32 sent, u64 unsent, u32 taken);

/* counters.c */
void pcn_vsock_count(enum pcn_vsock_counter counter);
int pcn_vsock_counters_init(void);

#endif /* _VMW_VSOCK_POPCORN_VSOCK_H */

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
 *	socket.c	which life of which peer a socket is connected to, and what it is told
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
 * - Packets without data that wait to be sent: a few for each connection, since those of a
 *   kind are merged, and none of these is ever dropped: the code for sockets sends them
 *   once, and relies on it. PCN_VSOCK_CONTROLS for answers to what has no connection, and
 *   if there are as many of connections, no new ones are made.
 *
 * Nothing here waits for a peer, and messages never wait for a socket: a program can keep a
 * socket locked for as long as it likes, and then packets of its peer wait in the window.
 */
#ifndef _VMW_VSOCK_POPCORN_VSOCK_H
#define _VMW_VSOCK_POPCORN_VSOCK_H

#include <linux/build_bug.h>
#include <linux/limits.h>
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
/** PCN_VSOCK_CONTROLS - packets without data that wait: beyond it no answer, no connection */
#define PCN_VSOCK_CONTROLS	4096
/** PCN_VSOCK_BUFFER_MAX - largest buffer of a socket: counts of bytes have 32 bits */
#define PCN_VSOCK_BUFFER_MAX	SZ_1G
/** PCN_VSOCK_NOBODY - in place of a kid: connected to no kernel, or not any more */
#define PCN_VSOCK_NOBODY	U32_MAX

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
	PCN_VSOCK_TX_FULL,	/* too many without data wait already, for one more or its answer */
	PCN_VSOCK_TX_LOST,	/* waited when the peer went down or the socket went away */
	PCN_VSOCK_COUNTERS
};

/** enum pcn_vsock_merged - packets without data of which one of a connection waits at most */
enum pcn_vsock_merged {
	PCN_VSOCK_UPDATE,
	PCN_VSOCK_SHUTDOWN,
	PCN_VSOCK_RESET,
	PCN_VSOCK_MERGED
};

/**
 * struct pcn_vsock_sock - what the transport knows of a socket
 * @virtio:	what virtio_transport_common.c does. It frees this, and so it is the first
 * @node:	in the table of socket.c
 * @kid:	the kernel that it has connected to, or PCN_VSOCK_NOBODY. Written under the lock
 *		of the table
 * @life:	the life of that kernel, as peer.c counts it
 * @queued:	packets of this connection that wait to be sent: the lock of the peer
 * @merged:	those of them that others are merged with: likewise
 */
struct pcn_vsock_sock {
	struct virtio_vsock_sock virtio;
	struct hlist_node	node;
	unsigned int		kid;
	u32			life;
	unsigned int		queued;
	struct sk_buff		*merged[PCN_VSOCK_MERGED];
};

static_assert(!offsetof(struct pcn_vsock_sock, virtio));

/* transport.c */
u32 pcn_vsock_cid(unsigned int kid);
struct pcn_vsock_sock *pcn_vsock_of(const struct vsock_sock *vsk);
bool pcn_vsock_take(struct sk_buff *skb);
void pcn_vsock_deliver(struct sk_buff *skb);

/* socket.c */
int pcn_vsock_make(struct vsock_sock *vsk);
void pcn_vsock_remove(struct vsock_sock *vsk);
void pcn_vsock_join(struct vsock_sock *vsk, unsigned int kid, u32 life);
enum pcn_vsock_counter pcn_vsock_hear(struct vsock_sock *vsk,
				      const struct virtio_vsock_hdr *h, bool *all_done);
void pcn_vsock_reset_sockets(unsigned int kid);

/* peer.c */
int pcn_vsock_send(unsigned int kid, struct sk_buff *skb);
int pcn_vsock_get_life(unsigned int kid, u32 *life);
u32 pcn_vsock_get_handled_life(unsigned int kid);
void pcn_vsock_forget(struct pcn_vsock_sock *s);
void pcn_vsock_disown(struct pcn_vsock_sock *s);
int pcn_vsock_peers_init(void);

/* packet.c */
bool pcn_vsock_is_sound(const struct virtio_vsock_hdr *h, u32 length, u32 from, u32 to);
bool pcn_vsock_credit_is_true(u32 sent, u64 unsent, u32 taken);

/* counters.c */
void pcn_vsock_count(enum pcn_vsock_counter counter);
int pcn_vsock_counters_init(void);

#endif /* _VMW_VSOCK_POPCORN_VSOCK_H */

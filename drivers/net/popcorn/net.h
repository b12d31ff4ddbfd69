/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The network between kernels: what goes between them, and what the files here share.
 *
 * Each kernel has one Ethernet interface, pcn0. All of them together are one segment, with
 * no switch in it: a frame goes straight into the ring to the kernel that it is for. The
 * address of kernel N is PCN_NET_PREFIX and N. Other addresses, of what a kernel has bridged
 * to its interface, are learnt from the frames that come, and a frame for an address that is
 * not known goes to all kernels.
 *
 * A message is a struct pcn_net_head and a frame. The head tells, as virtio's, what is left to
 * the receiver: a checksum, or to divide the frame into segments. Kernels that trust each other's
 * memory need neither, so a TCP segment of 64 KiB goes through in one message.
 *
 *	main.c		the interface, and peers that come and go
 *	tx.c		frames to send
 *	rx.c		frames that come
 *	fdb.c		at which kernel other addresses are
 *	ethtool.c	what ethtool(8) shows
 *
 * A transmit queue is for one peer. A peer whose ring is full stops its own queue and no other
 * one, and frames for it wait in its queueing discipline. If it makes no room for
 * PCN_NET_STALL they are dropped, until it does: a peer that does not read cannot have this
 * kernel keep what it forwards to it, nor, where all queues have one queueing discipline, stop
 * the others for good. The queue with this kernel's own number is for frames to all: a peer
 * that has no room for its copy misses it.
 *
 * What a peer can make this kernel keep is bounded: PCN_NET_RX_BYTES of frames that have come,
 * or a 32nd of the memory if that is less, from all peers together; PCN_NET_FDB_PEER
 * addresses; and for PCN_NET_STALL what the queueing discipline of its queue takes, each
 * frame up to 64 KiB. All that is dropped is counted.
 */
#ifndef _NET_POPCORN_NET_H
#define _NET_POPCORN_NET_H

#include <linux/atomic.h>
#include <linux/build_bug.h>
#include <linux/if_ether.h>
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/sizes.h>
#include <linux/skbuff.h>
#include <linux/types.h>
#include <linux/virtio_net.h>

#include <popcorn/partition.h>

/** PCN_NET_PREFIX - the first five bytes of the address of each kernel: "pcn" */
#define PCN_NET_PREFIX		0x02, 0x70, 0x63, 0x6e, 0x00
/** PCN_NET_FRAME_MAX - the longest frame, bytes: with its head the longest message */
#define PCN_NET_FRAME_MAX	(SZ_64K - sizeof(struct pcn_net_head))
/** PCN_NET_MTU_MAX - largest MTU: what a frame has room for, with two VLAN tags */
#define PCN_NET_MTU_MAX		(PCN_NET_FRAME_MAX - ETH_HLEN - 2 * VLAN_HLEN)
/** PCN_NET_QUEUE - frames that wait for a peer, if nobody asks for another number */
#define PCN_NET_QUEUE		256
/** PCN_NET_STALL - frames wait so long for a peer that makes no room, in jiffies */
#define PCN_NET_STALL		(5 * HZ)
/** PCN_NET_RX_BYTES - largest memory of frames that have come and wait for NAPI */
#define PCN_NET_RX_BYTES	SZ_8M
/** PCN_NET_FDB_PEER - addresses that are learnt of one peer */
#define PCN_NET_FDB_PEER	256

/**
 * struct pcn_net_head - what precedes a frame in a message
 * @vnet:	checksum and segments, little-endian
 * @zero:	0; has the frame begin at a multiple of 8
 */
struct pcn_net_head {
	struct virtio_net_hdr	vnet;
	u8			zero[6];
};

static_assert(sizeof(struct pcn_net_head) == 16);

/** enum pcn_net_counter - what is counted beside frames and bytes */
enum pcn_net_counter {
	PCN_NET_RX_MALFORMED,	/* too short, or a head that makes no sense */
	PCN_NET_RX_OFFLOAD,	/* the head does not fit the frame */
	PCN_NET_RX_SPOOFED,	/* from the address of another kernel */
	PCN_NET_RX_FULL,	/* more than NAPI gets done */
	PCN_NET_RX_NO_MEMORY,
	PCN_NET_RX_DOWN,	/* the interface here is down */
	PCN_NET_RX_LATE,	/* of a peer that has gone down */
	PCN_NET_TX_PEER_DOWN,	/* for a kernel that is not up, or to all if none is */
	PCN_NET_TX_PEER_FULL,	/* a copy for a peer without room, or one that has stalled */
	PCN_NET_TX_NOBODY,	/* for a kernel that there is not */
	PCN_NET_TX_UNFIT,	/* too long, or too many parts */
	PCN_NET_TX_COPIES,	/* copies of frames to all; not dropped */
	PCN_NET_FDB_FULL,	/* addresses that were not learnt; not dropped */
	PCN_NET_COUNTERS
};

/** enum pcn_net_peer_state - what is known of the ring to a peer */
enum pcn_net_peer_state {
	PCN_NET_HAS_ROOM,
	PCN_NET_IS_FULL,	/* frames wait */
	PCN_NET_STALLED,	/* frames that find no room are dropped */
};

/**
 * struct pcn_net - the interface; its private data
 * @dev:	the interface
 * @napi:	takes frames from @rx
 * @rx:		frames that have come; its lock protects @rx_bytes, @ready_bytes and @open, too
 * @rx_bytes:	memory of @rx and @ready
 * @rx_limit:	how much that may be
 * @open:	frames are taken
 * @ready:	frames that were in @rx; only @napi has to do with them
 * @ready_bytes: memory of those that were moved there last
 * @peers:	of each peer, under the lock of its transmit queue
 * @counters:	see enum pcn_net_counter
 */
struct pcn_net {
	struct net_device	*dev;
	struct napi_struct	napi;
	struct sk_buff_head	rx;
	unsigned int		rx_bytes;
	unsigned int		rx_limit;
	bool			open;
	struct sk_buff_head	ready;
	unsigned int		ready_bytes;
	enum pcn_net_peer_state	peers[PCN_KERNELS_MAX];
	atomic64_t		counters[PCN_NET_COUNTERS];
};

/** pcn_net_count - count an event */
static inline void pcn_net_count(struct pcn_net *net, enum pcn_net_counter counter)
{
	atomic64_inc(&net->counters[counter]);
}

/** pcn_net_counted - what was counted */
static inline u64 pcn_net_counted(const struct pcn_net *net, enum pcn_net_counter counter)
{
	return atomic64_read(&net->counters[counter]);
}

/** PCN_NET_FOREIGN - pcn_net_kid_of(): no kernel's own address */
#define PCN_NET_FOREIGN		U32_MAX

/* main.c */
struct pcn_net *pcn_net(void);
void pcn_net_address(u8 address[ETH_ALEN], unsigned int kid);
unsigned int pcn_net_kid_of(const u8 address[ETH_ALEN]);
bool pcn_net_is_peer(unsigned int kid);

/* tx.c */
u16 pcn_net_select_queue(struct net_device *dev, struct sk_buff *skb,
			 struct net_device *subordinate);
netdev_features_t pcn_net_check_features(struct sk_buff *skb, struct net_device *dev,
					 netdev_features_t features);
netdev_tx_t pcn_net_xmit(struct sk_buff *skb, struct net_device *dev);
void pcn_net_on_room(unsigned int kid);
void pcn_net_tx_timeout(struct net_device *dev, unsigned int queue);

/* rx.c */
void pcn_net_rx_open(struct pcn_net *net);
void pcn_net_rx_close(struct pcn_net *net);
void pcn_net_rx_init(struct pcn_net *net);
int pcn_net_rx_register(void);

/* fdb.c */
void pcn_net_fdb_learn(struct pcn_net *net, const u8 address[ETH_ALEN], unsigned int kid);
unsigned int pcn_net_fdb_find(const u8 address[ETH_ALEN]);
void pcn_net_fdb_forget(unsigned int kid);

/* ethtool.c */
extern const struct ethtool_ops pcn_net_ethtool_ops;

#endif /* _NET_POPCORN_NET_H */

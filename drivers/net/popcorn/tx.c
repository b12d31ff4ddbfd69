// SPDX-License-Identifier: GPL-2.0
/*
 * Frames to send.
 *
 * The queue of a frame says which kernel it is for. A frame is copied into the ring of its
 * peer, from wherever its parts lie, and is done with. If the ring is full the queue stops until
 * the messaging layer says that there is room; no other queue does. If there is none for long,
 * Linux's watchdog of transmit queues says so, and frames for the peer do not wait any more.
 */
#include <linux/errno.h>
#include <linux/etherdevice.h>
#include <linux/uio.h>

#include <popcorn/core.h>
#include <popcorn/msg.h>
#include <popcorn/partition.h>

#include "net.h"

/* Places that a frame may lie in, its head included. */
#define PARTS_MAX	64

/**
 * struct frame - a frame to send, as the messaging layer takes it
 * @head:	what precedes it
 * @parts:	where the two lie
 * @n:		number of parts
 */
struct frame {
	struct pcn_net_head	head;
	struct kvec		parts[PARTS_MAX];
	unsigned int		n;
};

/**
 * pcn_net_select_queue - for which kernel is a frame?
 * @dev:	the interface
 * @skb:	the frame
 * @subordinate: not used
 *
 * Context: softirqs are off.
 * Return: the kernel, or this one's number: for all, or for none that there is.
 */
u16 pcn_net_select_queue(struct net_device *dev, struct sk_buff *skb,
			 struct net_device *subordinate)
{
	const u8 *to = skb->data;
	unsigned int kid;

	if (skb_headlen(skb) < ETH_HLEN || is_multicast_ether_addr(to))
		return pcn_self();
	kid = pcn_net_kid_of(to);
	if (kid == PCN_NET_FOREIGN)
		kid = pcn_net_fdb_find(to);
	return pcn_net_is_peer(kid) ? kid : pcn_self();
}

/**
 * pcn_net_check_features - what is left to the receiver of a frame?
 * @skb:	the frame
 * @dev:	the interface
 * @features:	what it may be
 *
 * Segments that have no checksum to be made, as of a NIC that has checked and merged them, are
 * divided here: no head says such a thing.
 *
 * Context: softirqs are off.
 * Return: the features.
 */
netdev_features_t pcn_net_check_features(struct sk_buff *skb, struct net_device *dev,
					 netdev_features_t features)
{
	if (skb_is_gso(skb) && skb->ip_summed != CHECKSUM_PARTIAL)
		features &= ~NETIF_F_GSO_MASK;
	return features;
}

static bool add_part(struct frame *f, void *data, size_t length)
{
	if (!length)
		return true;
	if (f->n == PARTS_MAX)
		return false;
	f->parts[f->n++] = (struct kvec) { data, length };
	return true;
}

static bool add_parts_of(struct frame *f, const struct sk_buff *skb)
{
	const struct skb_shared_info *info = skb_shinfo(skb);
	unsigned int i;

	if (!add_part(f, skb->data, skb_headlen(skb)))
		return false;
	for (i = 0; i < info->nr_frags; i++)
		if (!add_part(f, skb_frag_address(&info->frags[i]),
			      skb_frag_size(&info->frags[i])))
			return false;
	return true;
}

static bool add_parts(struct frame *f, const struct sk_buff *skb)
{
	const struct sk_buff *more;

	f->n = 0;
	add_part(f, &f->head, sizeof(f->head));
	if (!add_parts_of(f, skb))
		return false;
	skb_walk_frags(skb, more)
		if (skb_has_frag_list(more) || !add_parts_of(f, more))
			return false;
	return true;
}

static bool make_frame(struct frame *f, struct sk_buff *skb)
{
	memset(&f->head, 0, sizeof(f->head));
	if (skb->len > PCN_NET_FRAME_MAX || !skb_frags_readable(skb) ||
	    virtio_net_hdr_from_skb(skb, &f->head.vnet, true, true, 0))
		return false;
	return add_parts(f, skb) || (!skb_linearize(skb) && add_parts(f, skb));
}

static int try_send(const struct frame *f, unsigned int kid)
{
	return pcn_msg_try(kid, PCN_NETWORK, PCN_TYPE_NET, f->parts, f->n);
}

/*
 * The ring has no room. The time that the watchdog looks at is that of the last frame, which may
 * be long ago: it begins with the first frame that waits.
 */
static void stop_queue(struct pcn_net *net, struct netdev_queue *queue, unsigned int kid)
{
	if (net->peers[kid] == PCN_NET_HAS_ROOM)
		txq_trans_cond_update(queue);
	net->peers[kid] = PCN_NET_IS_FULL;
	netif_tx_stop_queue(queue);
}

/*
 * The queue stops before the second try. If that fails as well, it does so under the lock
 * under which the messaging layer notes whom to call, so either pcn_net_on_room() comes after
 * the queue has stopped, or the peer is down, and then main.c wakes it.
 */
static int send_or_stop(struct pcn_net *net, const struct frame *f, struct netdev_queue *queue,
			unsigned int kid)
{
	int err = try_send(f, kid);

	if (err == -EAGAIN && net->peers[kid] == PCN_NET_STALLED)
		return -ENOBUFS;
	if (err == -EAGAIN) {
		stop_queue(net, queue, kid);
		err = try_send(f, kid);
		if (err == -EAGAIN)
			return err;
		netif_tx_start_queue(queue);
	}
	net->peers[kid] = PCN_NET_HAS_ROOM;
	return err;
}

static void count_failure(struct pcn_net *net, int err)
{
	if (err == -EAGAIN || err == -ENOBUFS)
		pcn_net_count(net, PCN_NET_TX_PEER_FULL);
	else
		pcn_net_count(net, err == -EMSGSIZE ? PCN_NET_TX_UNFIT : PCN_NET_TX_PEER_DOWN);
}

/* A copy for each peer; one without room misses it, as the others must not wait for it. */
static bool send_to_all(struct pcn_net *net, const struct frame *f)
{
	u64 peers = pcn_peers_up();
	bool sent = false;
	unsigned int kid;
	int err;

	if (!peers)
		pcn_net_count(net, PCN_NET_TX_PEER_DOWN);
	for_each_kernel(kid, peers) {
		err = try_send(f, kid);
		if (err)
			count_failure(net, err);
		else
			pcn_net_count(net, PCN_NET_TX_COPIES);
		sent |= !err;
	}
	return sent;
}

/* Returns 0 if it was sent; -EAGAIN: it has to wait; otherwise it is dropped, and counted. */
static int send_frame(struct pcn_net *net, struct sk_buff *skb, struct netdev_queue *queue)
{
	unsigned int kid = skb_get_queue_mapping(skb);
	struct frame f;
	int err;

	if (!pskb_may_pull(skb, ETH_HLEN) || !make_frame(&f, skb)) {
		pcn_net_count(net, PCN_NET_TX_UNFIT);
		return -EMSGSIZE;
	}
	if (kid != pcn_self()) {
		err = send_or_stop(net, &f, queue, kid);
		if (err && err != -EAGAIN)
			count_failure(net, err);
		return err;
	}
	if (!is_multicast_ether_addr(skb->data) &&
	    pcn_net_kid_of(skb->data) != PCN_NET_FOREIGN) {
		pcn_net_count(net, PCN_NET_TX_NOBODY);
		return -ENODEV;
	}
	return send_to_all(net, &f) ? 0 : -EHOSTDOWN;
}

/**
 * pcn_net_xmit - send a frame
 * @skb:	the frame
 * @dev:	the interface
 *
 * Context: softirqs are off, the lock of the frame's queue is held.
 * Return: NETDEV_TX_OK, or NETDEV_TX_BUSY: the queue has stopped.
 */
netdev_tx_t pcn_net_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct netdev_queue *queue = skb_get_tx_queue(dev, skb);
	unsigned int length = skb->len;
	int err = send_frame(netdev_priv(dev), skb, queue);

	if (err == -EAGAIN)
		return NETDEV_TX_BUSY;
	if (err) {
		dev_kfree_skb_any(skb);
		return NETDEV_TX_OK;
	}
	skb_tx_timestamp(skb);
	dev_sw_netstats_tx_add(dev, 1, length);
	dev_consume_skb_any(skb);
	return NETDEV_TX_OK;
}

/**
 * pcn_net_on_room - there is room in the ring of a peer again
 * @kid:	the peer
 *
 * Context: softirq; or process, when the peer has gone down.
 */
void pcn_net_on_room(unsigned int kid)
{
	netif_tx_wake_queue(netdev_get_tx_queue(pcn_net()->dev, kid));
}

/**
 * pcn_net_tx_timeout - a peer has made no room for PCN_NET_STALL
 * @dev:	the interface
 * @queue:	the peer
 *
 * Let nothing wait for it until a frame finds room.
 *
 * Context: softirq, while no queue sends.
 */
void pcn_net_tx_timeout(struct net_device *dev, unsigned int queue)
{
	struct pcn_net *net = netdev_priv(dev);

	if (net->peers[queue] == PCN_NET_IS_FULL)
		net->peers[queue] = PCN_NET_STALLED;
	netif_tx_wake_queue(netdev_get_tx_queue(dev, queue));
}

#ifdef CONFIG_POPCORN_KUNIT_TEST
#include "tx_test.c"
#endif

// SPDX-License-Identifier: GPL-2.0
/*
 * Frames that come.
 *
 * The messaging layer's poll has a frame copied out of its ring into an skb and queues it. The
 * interface's own NAPI, which runs right after that poll, checks it and gives it to GRO. The two
 * are apart because the protocols above may do much for a frame, and send others: terminals and
 * sockets would wait meanwhile, whose messages the same poll takes.
 *
 * A frame is checked after it was copied, so its peer cannot change it any more. What the head
 * may say is what pcn_net_xmit() can have written, which is less than virtio allows.
 */
#include <linux/etherdevice.h>
#include <linux/gfp.h>
#include <linux/if_vlan.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/string.h>

#include <popcorn/core.h>
#include <popcorn/msg.h>

#include "net.h"

/* Of a frame that has pages, so much lies in the skb itself: all that is looked at first. */
#define HEADER		128
/* Frames up to this length have no pages. */
#define SMALL		SKB_WITH_OVERHEAD(SZ_4K - NET_SKB_PAD - NET_IP_ALIGN)

/**
 * struct arrival - what is known of a frame until NAPI takes it
 * @head:	what preceded it
 * @kid:	from which kernel it is
 */
struct arrival {
	struct pcn_net_head	head;
	unsigned int		kid;
};

static struct arrival *arrival_of(struct sk_buff *skb)
{
	BUILD_BUG_ON(sizeof(struct arrival) > sizeof(skb->cb));
	return (struct arrival *)skb->cb;
}

/* --- the messaging layer's poll --- */

static struct sk_buff *alloc_small(struct pcn_net *net, u32 length)
{
	struct sk_buff *skb = napi_alloc_skb(&net->napi, length);

	if (skb)
		skb_put(skb, length);
	return skb;
}

static struct sk_buff *alloc_with_pages(u32 length)
{
	struct sk_buff *skb;
	int err;

	skb = alloc_skb_with_frags(NET_SKB_PAD + HEADER, length - HEADER,
				   PAGE_ALLOC_COSTLY_ORDER, &err,
				   GFP_ATOMIC | __GFP_NOWARN);
	if (!skb)
		return NULL;
	skb_reserve(skb, NET_SKB_PAD);
	skb_put(skb, HEADER);
	skb->data_len = length - HEADER;
	skb->len = length;
	return skb;
}

/* The places of a frame that has no frag list. */
static int name_places(struct sk_buff *skb, struct kvec *parts)
{
	const struct skb_shared_info *info = skb_shinfo(skb);
	int n = 0, i;

	/* Each fragment but the last one has at least a page. */
	BUILD_BUG_ON(DIV_ROUND_UP(PCN_NET_FRAME_MAX - HEADER, PAGE_SIZE) + 2 > PCN_MSG_PARTS);
	parts[n++] = (struct kvec) { &arrival_of(skb)->head, sizeof(struct pcn_net_head) };
	parts[n++] = (struct kvec) { skb->data, skb_headlen(skb) };
	for (i = 0; i < info->nr_frags; i++)
		parts[n++] = (struct kvec) { skb_frag_address(&info->frags[i]),
					     skb_frag_size(&info->frags[i]) };
	return n;
}

static int get_buffer(struct pcn_message *msg, struct kvec *parts)
{
	struct pcn_net *net = pcn_net();
	struct sk_buff *skb;
	u32 length;

	if (msg->length < sizeof(struct pcn_net_head) + ETH_HLEN) {
		pcn_net_count(net, PCN_NET_RX_MALFORMED);
		return 0;
	}
	if (!READ_ONCE(net->open)) {
		pcn_net_count(net, PCN_NET_RX_DOWN);
		return 0;
	}
	length = msg->length - sizeof(struct pcn_net_head);
	skb = length <= SMALL ? alloc_small(net, length) : alloc_with_pages(length);
	if (!skb) {
		pcn_net_count(net, PCN_NET_RX_NO_MEMORY);
		return 0;
	}
	skb->dev = net->dev;
	arrival_of(skb)->kid = msg->kid;
	msg->cookie = skb;
	return name_places(skb, parts);
}

static void discard_buffer(struct pcn_message *msg)
{
	pcn_net_count(pcn_net(), PCN_NET_RX_LATE);
	kfree_skb(msg->cookie);
}

/* Returns false and counts it if it cannot wait here. */
static bool queue_frame(struct pcn_net *net, struct sk_buff *skb)
{
	enum pcn_net_counter why = PCN_NET_COUNTERS;

	spin_lock_bh(&net->rx.lock);
	if (!net->open)
		why = PCN_NET_RX_DOWN;
	else if (net->rx_bytes + skb->truesize > net->rx_limit)
		why = PCN_NET_RX_FULL;
	if (why == PCN_NET_COUNTERS) {
		net->rx_bytes += skb->truesize;
		__skb_queue_tail(&net->rx, skb);
	}
	spin_unlock_bh(&net->rx.lock);
	if (why == PCN_NET_COUNTERS)
		return true;
	pcn_net_count(net, why);
	return false;
}

static void on_frame(const struct pcn_message *msg)
{
	struct pcn_net *net = pcn_net();

	if (queue_frame(net, msg->cookie))
		napi_schedule(&net->napi);
	else
		kfree_skb(msg->cookie);
}

/* --- NAPI --- */

/* Only TCP and UDP are left to the receiver to divide, with the checksum. */
static bool may_be_gso(const struct virtio_net_hdr *h)
{
	switch (h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return h->flags == VIRTIO_NET_HDR_F_NEEDS_CSUM;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return h->flags == VIRTIO_NET_HDR_F_NEEDS_CSUM &&
		       h->gso_type == VIRTIO_NET_HDR_GSO_UDP_L4;
	default:
		return false;
	}
}

static bool head_is_sound(const struct pcn_net_head *head)
{
	const struct virtio_net_hdr *h = &head->vnet;

	if (memchr_inv(head->zero, 0, sizeof(head->zero)))
		return false;
	if (h->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return may_be_gso(h);
	return !h->flags || h->flags == VIRTIO_NET_HDR_F_NEEDS_CSUM ||
	       h->flags == VIRTIO_NET_HDR_F_DATA_VALID;
}

/* What the head says, for the frame; false if that is not of its kind. */
static bool apply_head(struct sk_buff *skb, const struct virtio_net_hdr *h)
{
	__be16 protocol;

	if ((h->flags & VIRTIO_NET_HDR_F_DATA_VALID) &&
	    (skb->dev->features & NETIF_F_RXCSUM))
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	if (virtio_net_hdr_to_skb(skb, h, true))
		return false;
	if (!skb_is_gso(skb))
		return true;
	protocol = __vlan_get_protocol(skb, eth_hdr(skb)->h_proto, NULL);
	return virtio_net_hdr_match_proto(protocol, h->gso_type);
}

/* A kernel has its own address, or one that is no kernel's. */
static bool source_is_true(const struct sk_buff *skb, unsigned int kid)
{
	const u8 *from = eth_hdr(skb)->h_source;
	unsigned int of = pcn_net_kid_of(from);

	return (of == PCN_NET_FOREIGN || of == kid) && is_valid_ether_addr(from);
}

/* Why a frame is dropped; PCN_NET_COUNTERS: it is not. */
static enum pcn_net_counter find_fault(struct sk_buff *skb, const struct arrival *a)
{
	if (!head_is_sound(&a->head))
		return PCN_NET_RX_MALFORMED;
	skb_reset_mac_header(skb);
	if (!source_is_true(skb, a->kid))
		return PCN_NET_RX_SPOOFED;
	return apply_head(skb, &a->head.vnet) ? PCN_NET_COUNTERS : PCN_NET_RX_OFFLOAD;
}

/*
 * A frame may have waited here while its peer went down. pcn_net_fdb_forget() comes a grace
 * period after the peer ceases to be up, so what is learnt before that does not stay.
 */
static void learn_source(struct pcn_net *net, const struct sk_buff *skb, unsigned int kid)
{
	if (pcn_peer_is_up(kid))
		pcn_net_fdb_learn(net, eth_hdr(skb)->h_source, kid);
}

static void receive_frame(struct pcn_net *net, struct sk_buff *skb)
{
	struct arrival a = *arrival_of(skb);
	enum pcn_net_counter fault = find_fault(skb, &a);

	if (fault != PCN_NET_COUNTERS) {
		pcn_net_count(net, fault);
		kfree_skb(skb);
		return;
	}
	learn_source(net, skb, a.kid);
	dev_sw_netstats_rx_add(net->dev, skb->len);
	skb->protocol = eth_type_trans(skb, net->dev);
	napi_gro_receive(&net->napi, skb);
}

/* Those that were moved before are done with when all that wait are. */
static struct sk_buff *next_frame(struct pcn_net *net)
{
	if (skb_queue_empty(&net->ready)) {
		spin_lock_bh(&net->rx.lock);
		skb_queue_splice_tail_init(&net->rx, &net->ready);
		net->rx_bytes -= net->ready_bytes;
		net->ready_bytes = net->rx_bytes;
		spin_unlock_bh(&net->rx.lock);
	}
	return __skb_dequeue(&net->ready);
}

static int poll_frames(struct napi_struct *napi, int budget)
{
	struct pcn_net *net = container_of(napi, struct pcn_net, napi);
	struct sk_buff *skb;
	int work = 0;

	while (work < budget) {
		skb = next_frame(net);
		if (!skb)
			break;
		receive_frame(net, skb);
		work++;
	}
	if (work < budget)
		napi_complete_done(napi, work);
	return work;
}

/* --- the interface --- */

static void set_open(struct pcn_net *net, bool open)
{
	spin_lock_bh(&net->rx.lock);
	WRITE_ONCE(net->open, open);
	spin_unlock_bh(&net->rx.lock);
}

/**
 * pcn_net_rx_open - take frames from now on
 * @net:	the interface
 *
 * Context: process, with the RTNL.
 */
void pcn_net_rx_open(struct pcn_net *net)
{
	napi_enable(&net->napi);
	set_open(net, true);
}

static void drop_queued(struct pcn_net *net, struct sk_buff_head *queue)
{
	struct sk_buff *skb;

	while ((skb = __skb_dequeue(queue))) {
		pcn_net_count(net, PCN_NET_RX_DOWN);
		kfree_skb(skb);
	}
}

/**
 * pcn_net_rx_close - take no more frames, and drop those that wait
 * @net:	the interface
 *
 * Context: process, with the RTNL.
 */
void pcn_net_rx_close(struct pcn_net *net)
{
	/* Nothing comes into the queue after this, and nobody takes from it then. */
	set_open(net, false);
	napi_disable(&net->napi);
	drop_queued(net, &net->ready);
	drop_queued(net, &net->rx);
	net->rx_bytes = 0;
	net->ready_bytes = 0;
}

static const struct pcn_msg_type frame_type = {
	.name		= "net",
	.channel	= PCN_NETWORK,
	.type		= PCN_TYPE_NET,
	.handle		= on_frame,
	.no_reserve	= true,
	.buffer		= get_buffer,
	.discard	= discard_buffer,
	.room		= pcn_net_on_room,
};

/**
 * pcn_net_rx_init - make the interface ready to be opened
 * @net:	the interface; not registered yet
 *
 * Context: initcall.
 */
void __init pcn_net_rx_init(struct pcn_net *net)
{
	net->rx_limit = min_t(u64, PCN_NET_RX_BYTES, PFN_PHYS((u64)totalram_pages()) / 32);
	skb_queue_head_init(&net->rx);
	__skb_queue_head_init(&net->ready);
	netif_napi_add(net->dev, &net->napi, poll_frames);
}

/**
 * pcn_net_rx_register - be ready for frames
 *
 * Context: initcall.
 * Return: 0 or a negative errno.
 */
int __init pcn_net_rx_register(void)
{
	return pcn_msg_register(&frame_type);
}

#ifdef CONFIG_POPCORN_KUNIT_TEST
#include "rx_test.c"
#endif

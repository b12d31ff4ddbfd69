// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of frames that come: what a head may say, whose a frame may be, and how much may
 * wait. Included by rx.c.
 */
#include <kunit/test.h>

#define LENGTH	1000
#define FRAMES	20

/* Never up where these tests run. */
#define NOT_UP	(PCN_KERNELS_MAX - 1)

static void free_skb(void *skb)
{
	kfree_skb(skb);
}

/* An interface that Linux does not know, with room for FRAMES frames. */
static int init(struct kunit *test)
{
	struct net_device *dev = alloc_etherdev_mqs(sizeof(struct pcn_net), 1, 1);
	struct pcn_net *net;

	if (!dev)
		return -ENOMEM;
	net = netdev_priv(dev);
	net->dev = dev;
	skb_queue_head_init(&net->rx);
	__skb_queue_head_init(&net->ready);
	net->open = true;
	test->priv = net;
	return 0;
}

static void leave(struct kunit *test)
{
	struct pcn_net *net = test->priv;

	if (!net)
		return;
	skb_queue_purge(&net->rx);
	__skb_queue_purge(&net->ready);
	free_netdev(net->dev);
}

static struct sk_buff *new_frame(struct kunit *test)
{
	struct pcn_net *net = test->priv;
	struct sk_buff *skb = alloc_skb(LENGTH, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, skb);
	memset(skb_put(skb, LENGTH), 0, LENGTH);
	skb_reset_mac_header(skb);
	skb->dev = net->dev;
	return skb;
}

static struct sk_buff *kept_frame(struct kunit *test)
{
	struct sk_buff *skb = new_frame(test);

	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_skb, skb), 0);
	return skb;
}

/* Returns how many frames more may wait, and has them wait. */
static unsigned int fill(struct kunit *test)
{
	struct pcn_net *net = test->priv;
	unsigned int n = 0;

	for (;;) {
		struct sk_buff *skb = new_frame(test);

		if (!net->rx_limit)
			net->rx_limit = FRAMES * skb->truesize;
		if (!queue_frame(net, skb)) {
			kfree_skb(skb);
			return n;
		}
		n++;
	}
}

static void take(struct kunit *test, unsigned int n)
{
	while (n--) {
		struct sk_buff *skb = next_frame(test->priv);

		KUNIT_ASSERT_NOT_NULL(test, skb);
		kfree_skb(skb);
	}
}

/* Also of those that NAPI has begun with: they are there until all of them are done. */
static void memory_is_bounded(struct kunit *test)
{
	struct pcn_net *net = test->priv;

	KUNIT_EXPECT_EQ(test, fill(test), FRAMES);
	KUNIT_EXPECT_EQ(test, pcn_net_counted(net, PCN_NET_RX_FULL), 1);
	take(test, 1);
	KUNIT_EXPECT_EQ(test, fill(test), 0);
	take(test, FRAMES - 1);
	KUNIT_EXPECT_NULL(test, next_frame(net));
	KUNIT_EXPECT_EQ(test, net->rx_bytes, 0);
	KUNIT_EXPECT_EQ(test, fill(test), FRAMES);
}

static void closed_takes_none(struct kunit *test)
{
	struct pcn_net *net = test->priv;

	net->open = false;
	KUNIT_EXPECT_EQ(test, fill(test), 0);
	KUNIT_EXPECT_EQ(test, pcn_net_counted(net, PCN_NET_RX_DOWN), 1);
}

static bool sound(u8 flags, u8 gso_type)
{
	struct pcn_net_head head = { .vnet = { .flags = flags, .gso_type = gso_type } };

	return head_is_sound(&head);
}

static void heads_say_what_kernels_send(struct kunit *test)
{
	const u8 make = VIRTIO_NET_HDR_F_NEEDS_CSUM, made = VIRTIO_NET_HDR_F_DATA_VALID;
	const u8 ecn = VIRTIO_NET_HDR_GSO_ECN;
	struct pcn_net_head zero = { .zero[5] = 1 };

	KUNIT_EXPECT_TRUE(test, sound(0, 0));
	KUNIT_EXPECT_TRUE(test, sound(make, 0));
	KUNIT_EXPECT_TRUE(test, sound(made, 0));
	KUNIT_EXPECT_TRUE(test, sound(make, VIRTIO_NET_HDR_GSO_TCPV4));
	KUNIT_EXPECT_TRUE(test, sound(make, VIRTIO_NET_HDR_GSO_TCPV6 | ecn));
	KUNIT_EXPECT_TRUE(test, sound(make, VIRTIO_NET_HDR_GSO_UDP_L4));
	KUNIT_EXPECT_FALSE(test, sound(make | made, 0));
	KUNIT_EXPECT_FALSE(test, sound(VIRTIO_NET_HDR_F_RSC_INFO, 0));
	KUNIT_EXPECT_FALSE(test, sound(made, VIRTIO_NET_HDR_GSO_TCPV4));
	KUNIT_EXPECT_FALSE(test, sound(0, VIRTIO_NET_HDR_GSO_TCPV6));
	KUNIT_EXPECT_FALSE(test, sound(make, VIRTIO_NET_HDR_GSO_UDP));
	KUNIT_EXPECT_FALSE(test, sound(make, VIRTIO_NET_HDR_GSO_UDP_L4 | ecn));
	KUNIT_EXPECT_FALSE(test, sound(make, ecn));
	KUNIT_EXPECT_FALSE(test, head_is_sound(&zero));
}

/* "ethtool -K pcn0 rx off" */
static void checksums_are_believed_if_wanted(struct kunit *test)
{
	const struct virtio_net_hdr made = { .flags = VIRTIO_NET_HDR_F_DATA_VALID };
	struct pcn_net *net = test->priv;
	struct sk_buff *skb = kept_frame(test);

	net->dev->features = 0;
	KUNIT_EXPECT_TRUE(test, apply_head(skb, &made));
	KUNIT_EXPECT_TRUE(test, skb->ip_summed == CHECKSUM_NONE);
	net->dev->features = NETIF_F_RXCSUM;
	KUNIT_EXPECT_TRUE(test, apply_head(skb, &made));
	KUNIT_EXPECT_TRUE(test, skb->ip_summed == CHECKSUM_UNNECESSARY);
}

static bool may_be_from(struct sk_buff *skb, unsigned int kid, const u8 *address)
{
	ether_addr_copy(eth_hdr(skb)->h_source, address);
	return source_is_true(skb, kid);
}

static void nobody_is_another_kernel(struct kunit *test)
{
	static const u8 one[] = { PCN_NET_PREFIX, 1 }, group[] = { 1, 2, 3, 4, 5, 6 };
	static const u8 foreign[] = { 2, 2, 3, 4, 5, 6 }, none[ETH_ALEN];
	struct sk_buff *skb = kept_frame(test);

	KUNIT_EXPECT_TRUE(test, may_be_from(skb, 1, one));
	KUNIT_EXPECT_TRUE(test, may_be_from(skb, 1, foreign));
	KUNIT_EXPECT_FALSE(test, may_be_from(skb, 2, one));
	KUNIT_EXPECT_FALSE(test, may_be_from(skb, 1, group));
	KUNIT_EXPECT_FALSE(test, may_be_from(skb, 1, none));
}

/* It has waited here while its kernel went down. */
static void the_dead_teach_nothing(struct kunit *test)
{
	static const u8 foreign[] = { 2, 0xde, 0xad, 0, 0, 1 };
	struct sk_buff *skb = kept_frame(test);

	ether_addr_copy(eth_hdr(skb)->h_source, foreign);
	learn_source(test->priv, skb, NOT_UP);
	KUNIT_EXPECT_EQ(test, pcn_net_fdb_find(foreign), PCN_NET_FOREIGN);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(memory_is_bounded),
	KUNIT_CASE(closed_takes_none),
	KUNIT_CASE(heads_say_what_kernels_send),
	KUNIT_CASE(checksums_are_believed_if_wanted),
	KUNIT_CASE(nobody_is_another_kernel),
	KUNIT_CASE(the_dead_teach_nothing),
	{}
};

static struct kunit_suite suite = {
	.name		= "popcorn_net_rx",
	.init		= init,
	.exit		= leave,
	.test_cases	= cases,
};

kunit_test_suite(suite);

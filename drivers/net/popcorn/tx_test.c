// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of frames that are sent: which parts they have, and what becomes of those that
 * nobody can have. Included by tx.c.
 */
#include <kunit/test.h>

static void free_skb(void *skb)
{
	kfree_skb(skb);
}

static void free_dev(void *dev)
{
	free_netdev(dev);
}

static struct sk_buff *alloc_filled(struct kunit *test, unsigned int length, u8 value)
{
	struct sk_buff *skb = alloc_skb(length, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, skb);
	memset(skb_put(skb, length), value, length);
	return skb;
}

/* For those that are not consumed. */
static struct sk_buff *filled(struct kunit *test, unsigned int length, u8 value)
{
	struct sk_buff *skb = alloc_filled(test, length, value);

	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_skb, skb), 0);
	return skb;
}

static void append(struct sk_buff *skb, struct sk_buff *more)
{
	skb_shinfo(skb)->frag_list = more;
	skb->len += more->len;
	skb->data_len += more->len;
	skb->truesize += more->truesize;
}

static struct frame *made(struct kunit *test, struct sk_buff *skb)
{
	struct frame *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	return make_frame(f, skb) ? f : NULL;
}

static unsigned int total(const struct frame *f)
{
	unsigned int i, sum = 0;

	for (i = 0; i < f->n; i++)
		sum += f->parts[i].iov_len;
	return sum;
}

static void the_longest_is_sent(struct kunit *test)
{
	struct frame *f = made(test, filled(test, PCN_NET_FRAME_MAX, 0));

	KUNIT_ASSERT_NOT_NULL(test, f);
	KUNIT_EXPECT_EQ(test, total(f), SZ_64K);
	KUNIT_EXPECT_NULL(test, made(test, filled(test, PCN_NET_FRAME_MAX + 1, 0)));
}

/* Two fragments of a datagram, each of which a NIC has received into a list of buffers. */
static void lists_in_lists_are_sent_whole(struct kunit *test)
{
	struct sk_buff *inner = alloc_filled(test, 30, 2), *skb = filled(test, 50, 1);
	unsigned int i, j, at = 0;
	struct frame *f;

	append(inner, alloc_filled(test, 40, 3));
	append(skb, inner);
	f = made(test, skb);
	KUNIT_ASSERT_NOT_NULL(test, f);
	KUNIT_ASSERT_EQ(test, total(f), sizeof(struct pcn_net_head) + 120);
	for (i = 1; i < f->n; i++)
		for (j = 0; j < f->parts[i].iov_len; j++, at++)
			KUNIT_EXPECT_EQ(test, ((u8 *)f->parts[i].iov_base)[j],
					at < 50 ? 1 : at < 80 ? 2 : 3);
}

/* A receiver takes segments only with a checksum that is to be made. */
static void merged_segments_are_divided(struct kunit *test)
{
	struct sk_buff *skb = filled(test, 3000, 0);
	netdev_features_t all = NETIF_F_ALL_TSO | NETIF_F_SG;

	skb->ip_summed = CHECKSUM_UNNECESSARY;
	KUNIT_EXPECT_EQ(test, pcn_net_check_features(skb, NULL, all), all);
	skb_shinfo(skb)->gso_size = 1000;
	skb_shinfo(skb)->gso_type = SKB_GSO_TCPV4;
	KUNIT_EXPECT_EQ(test, pcn_net_check_features(skb, NULL, all), NETIF_F_SG);
	skb->ip_summed = CHECKSUM_PARTIAL;
	KUNIT_EXPECT_EQ(test, pcn_net_check_features(skb, NULL, all), all);
}

static struct net_device *fake_dev(struct kunit *test)
{
	struct net_device *dev = alloc_etherdev_mqs(sizeof(struct pcn_net), PCN_KERNELS_MAX, 1);

	KUNIT_ASSERT_NOT_NULL(test, dev);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_dev, dev), 0);
	return dev;
}

static u64 dropped(struct kunit *test, unsigned int length, const u8 *to,
		   enum pcn_net_counter why)
{
	struct net_device *dev = fake_dev(test);
	struct sk_buff *skb = alloc_filled(test, length, 0);

	memcpy(skb->data, to, min(length, ETH_ALEN));
	skb_set_queue_mapping(skb, pcn_net_select_queue(dev, skb, NULL));
	KUNIT_EXPECT_EQ(test, pcn_net_xmit(skb, dev), NETDEV_TX_OK);
	return pcn_net_counted(netdev_priv(dev), why);
}

static void what_is_dropped_is_counted(struct kunit *test)
{
	static const u8 all[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const u8 unknown[] = { 0x02, 1, 2, 3, 4, 5 };
	static const u8 nobody[] = { PCN_NET_PREFIX, PCN_KERNELS_MAX };

	if (pcn_peers_up())
		kunit_skip(test, "other kernels are up");
	KUNIT_EXPECT_EQ(test, dropped(test, 60, all, PCN_NET_TX_PEER_DOWN), 1);
	KUNIT_EXPECT_EQ(test, dropped(test, 60, unknown, PCN_NET_TX_PEER_DOWN), 1);
	KUNIT_EXPECT_EQ(test, dropped(test, 60, nobody, PCN_NET_TX_NOBODY), 1);
	KUNIT_EXPECT_EQ(test, dropped(test, ETH_HLEN - 1, all, PCN_NET_TX_UNFIT), 1);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(the_longest_is_sent),
	KUNIT_CASE(lists_in_lists_are_sent_whole),
	KUNIT_CASE(merged_segments_are_divided),
	KUNIT_CASE(what_is_dropped_is_counted),
	{}
};

static struct kunit_suite suite = {
	.name		= "popcorn_net_tx",
	.test_cases	= cases,
};

kunit_test_suite(suite);

// SPDX-License-Identifier: GPL-2.0
/*
 * What ethtool(8) shows of the interface: the counters of enum pcn_net_counter, and the rings.
 *
 * A ring holds bytes and not frames. What is shown as its length is how many frames of the
 * present MTU fit into a ring that has a block.
 */
#include <linux/ethtool.h>
#include <linux/math64.h>
#include <linux/string.h>

#include <popcorn/core.h>
#include <popcorn/ring.h>
#include <popcorn/window_layout.h>

#include "net.h"

static const char names[PCN_NET_COUNTERS][ETH_GSTRING_LEN] = {
	[PCN_NET_RX_MALFORMED]	= "rx_malformed",
	[PCN_NET_RX_OFFLOAD]	= "rx_offload",
	[PCN_NET_RX_SPOOFED]	= "rx_spoofed",
	[PCN_NET_RX_FULL]	= "rx_full",
	[PCN_NET_RX_NO_MEMORY]	= "rx_no_memory",
	[PCN_NET_RX_DOWN]	= "rx_down",
	[PCN_NET_RX_LATE]	= "rx_late",
	[PCN_NET_TX_PEER_DOWN]	= "tx_peer_down",
	[PCN_NET_TX_PEER_FULL]	= "tx_peer_full",
	[PCN_NET_TX_NOBODY]	= "tx_nobody",
	[PCN_NET_TX_UNFIT]	= "tx_unfit",
	[PCN_NET_TX_COPIES]	= "tx_copies",
	[PCN_NET_FDB_FULL]	= "fdb_full",
};

static void get_drvinfo(struct net_device *dev, struct ethtool_drvinfo *info)
{
	strscpy(info->driver, "popcorn_net", sizeof(info->driver));
	snprintf(info->bus_info, sizeof(info->bus_info), "kernel %u", pcn_self());
}

static int get_sset_count(struct net_device *dev, int set)
{
	return set == ETH_SS_STATS ? PCN_NET_COUNTERS : -EOPNOTSUPP;
}

static void get_strings(struct net_device *dev, u32 set, u8 *data)
{
	if (set == ETH_SS_STATS)
		memcpy(data, names, sizeof(names));
}

static void get_ethtool_stats(struct net_device *dev, struct ethtool_stats *stats, u64 *data)
{
	const struct pcn_net *net = netdev_priv(dev);
	enum pcn_net_counter i;

	for (i = 0; i < PCN_NET_COUNTERS; i++)
		data[i] = pcn_net_counted(net, i);
}

static void get_ringparam(struct net_device *dev, struct ethtool_ringparam *ring,
			  struct kernel_ethtool_ringparam *kernel_ring,
			  struct netlink_ext_ack *extack)
{
	u32 frame = sizeof(struct pcn_net_head) + ETH_HLEN + READ_ONCE(dev->mtu);

	ring->tx_pending = div64_u64(PCN_BLOCK_SIZE, pcn_ring_record_size(frame));
	ring->rx_pending = ring->tx_pending;
	ring->tx_max_pending = ring->tx_pending;
	ring->rx_max_pending = ring->tx_pending;
}

/* A queue to send for each kernel, of which one is for frames to all, and one to receive. */
static void get_channels(struct net_device *dev, struct ethtool_channels *channels)
{
	channels->max_rx = 1;
	channels->rx_count = 1;
	channels->max_tx = dev->num_tx_queues;
	channels->tx_count = dev->real_num_tx_queues;
}

/* Nothing is sent at any rate: a frame is copied. */
static int get_link_ksettings(struct net_device *dev, struct ethtool_link_ksettings *settings)
{
	settings->base.speed = SPEED_UNKNOWN;
	settings->base.duplex = DUPLEX_FULL;
	settings->base.port = PORT_OTHER;
	settings->base.autoneg = AUTONEG_DISABLE;
	return 0;
}

const struct ethtool_ops pcn_net_ethtool_ops = {
	.get_drvinfo		= get_drvinfo,
	.get_link		= ethtool_op_get_link,
	.get_link_ksettings	= get_link_ksettings,
	.get_ringparam		= get_ringparam,
	.get_channels		= get_channels,
	.get_sset_count		= get_sset_count,
	.get_strings		= get_strings,
	.get_ethtool_stats	= get_ethtool_stats,
	.get_ts_info		= ethtool_op_get_ts_info,
};

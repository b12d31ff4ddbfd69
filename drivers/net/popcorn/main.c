// SPDX-License-Identifier: GPL-2.0
/*
 * The interface pcn0, and what becomes of it when peers come and go.
 *
 * It has a carrier while a peer is up. What waits for a peer that goes down is sent on to
 * nobody: its queue is woken, and each frame in it is dropped and counted.
 */
#define pr_fmt(fmt) "popcorn: net: " fmt

#include <linux/err.h>
#include <linux/etherdevice.h>
#include <linux/init.h>
#include <linux/netdevice.h>
#include <linux/string.h>
#include <net/netdev_queues.h>

#include <popcorn/core.h>
#include <popcorn/hooks.h>
#include <popcorn/msg.h>
#include <popcorn/partition.h>
#include <popcorn/window.h>

#include "net.h"

#define FEATURES	(NETIF_F_SG | NETIF_F_FRAGLIST | NETIF_F_HIGHDMA |		\
			 NETIF_F_HW_CSUM | NETIF_F_RXCSUM | NETIF_F_ALL_TSO |		\
			 NETIF_F_GSO_UDP_L4)

static struct pcn_net *the_net __ro_after_init;
/* Peers that are up; the caller of a subscriber has a lock. */
static u64 peers_up;

/**
 * pcn_net - the interface of this kernel
 *
 * Context: any; once there are messages.
 * Return: the interface.
 */
struct pcn_net *pcn_net(void)
{
	return the_net;
}

/**
 * pcn_net_address - the address of a kernel's interface
 * @address:	where to write it
 * @kid:	the kernel
 *
 * Context: any.
 */
void pcn_net_address(u8 address[ETH_ALEN], unsigned int kid)
{
	const u8 of_kernel[ETH_ALEN] = { PCN_NET_PREFIX, kid };

	ether_addr_copy(address, of_kernel);
}

/**
 * pcn_net_kid_of - which kernel has an address from the beginning?
 * @address:	the address
 *
 * Context: any.
 * Return: the last byte, which may be no kernel's number; PCN_NET_FOREIGN if it is not the
 * address of a kernel.
 */
unsigned int pcn_net_kid_of(const u8 address[ETH_ALEN])
{
	static const u8 prefix[] = { PCN_NET_PREFIX };

	return memcmp(address, prefix, sizeof(prefix)) ? PCN_NET_FOREIGN :
							 address[ETH_ALEN - 1];
}

/**
 * pcn_net_is_peer - is there such a kernel beside this one, up or down?
 * @kid:	any number
 *
 * Context: any.
 */
bool pcn_net_is_peer(unsigned int kid)
{
	return kid < PCN_KERNELS_MAX && kid != pcn_self() &&
	       pcn_facts()->present & BIT_ULL(kid);
}

/* --- what Linux calls --- */

static int net_open(struct net_device *dev)
{
	struct pcn_net *net = netdev_priv(dev);

	/* Nothing waits: what is sent from now on finds out. */
	memset(net->peers, 0, sizeof(net->peers));
	pcn_net_rx_open(net);
	netif_tx_start_all_queues(dev);
	return 0;
}

static int net_stop(struct net_device *dev)
{
	netif_tx_stop_all_queues(dev);
	pcn_net_rx_close(netdev_priv(dev));
	return 0;
}

static void get_stats64(struct net_device *dev, struct rtnl_link_stats64 *s)
{
	const struct pcn_net *net = netdev_priv(dev);

	dev_get_tstats64(dev, s);
	s->rx_frame_errors = pcn_net_counted(net, PCN_NET_RX_MALFORMED) +
			     pcn_net_counted(net, PCN_NET_RX_OFFLOAD);
	s->rx_errors = s->rx_frame_errors + pcn_net_counted(net, PCN_NET_RX_SPOOFED);
	s->rx_missed_errors = pcn_net_counted(net, PCN_NET_RX_FULL);
	s->rx_dropped = pcn_net_counted(net, PCN_NET_RX_NO_MEMORY) +
			pcn_net_counted(net, PCN_NET_RX_DOWN) +
			pcn_net_counted(net, PCN_NET_RX_LATE);
	s->tx_dropped = pcn_net_counted(net, PCN_NET_TX_PEER_DOWN) +
			pcn_net_counted(net, PCN_NET_TX_PEER_FULL) +
			pcn_net_counted(net, PCN_NET_TX_NOBODY) +
			pcn_net_counted(net, PCN_NET_TX_UNFIT);
}

/* All frames that come are taken: Linux looks at their addresses. */
static void set_rx_mode(struct net_device *dev)
{
}

static const struct net_device_ops net_ops = {
	.ndo_open		= net_open,
	.ndo_stop		= net_stop,
	.ndo_start_xmit		= pcn_net_xmit,
	.ndo_select_queue	= pcn_net_select_queue,
	.ndo_get_stats64	= get_stats64,
	.ndo_set_rx_mode	= set_rx_mode,
	.ndo_set_mac_address	= eth_mac_addr,
	.ndo_validate_addr	= eth_validate_addr,
	.ndo_features_check	= pcn_net_check_features,
	.ndo_tx_timeout		= pcn_net_tx_timeout,
};

/* --- peers --- */

static void show_carrier(void)
{
	if (peers_up)
		netif_carrier_on(the_net->dev);
	else
		netif_carrier_off(the_net->dev);
}

static void on_up(struct pcn_peer_notifier *watch, unsigned int kid)
{
	peers_up |= BIT_ULL(kid);
	show_carrier();
}

/* Tries fail from before this on, and nobody is called for room any more: see tx.c. */
static void on_down(struct pcn_peer_notifier *watch, unsigned int kid)
{
	peers_up &= ~BIT_ULL(kid);
	pcn_net_fdb_forget(kid);
	pcn_net_on_room(kid);
	show_carrier();
}

static struct pcn_peer_notifier net_watch = {
	.up	= on_up,
	.down	= on_down,
};

/* --- the beginning --- */

static void __init set_up_net(struct net_device *dev)
{
	u8 address[ETH_ALEN];

	strscpy(dev->name, "pcn0", sizeof(dev->name));
	pcn_net_address(address, pcn_self());
	eth_hw_addr_set(dev, address);
	dev->netdev_ops = &net_ops;
	dev->ethtool_ops = &pcn_net_ethtool_ops;
	dev->pcpu_stat_type = NETDEV_PCPU_STAT_TSTATS;
	dev->priv_flags |= IFF_UNICAST_FLT | IFF_LIVE_ADDR_CHANGE;
	dev->priv_flags &= ~IFF_TX_SKB_SHARING;
	dev->features = FEATURES;
	dev->hw_features = FEATURES;
	dev->vlan_features = FEATURES;
	dev->hw_enc_features = FEATURES;
	dev->min_mtu = ETH_MIN_MTU;
	dev->max_mtu = PCN_NET_MTU_MAX;
	dev->tx_queue_len = PCN_NET_QUEUE;
	dev->watchdog_timeo = PCN_NET_STALL;
	netif_set_tso_max_size(dev, PCN_NET_FRAME_MAX - 2 * VLAN_HLEN);
}

/* Whoever sees the interface may open it: it is ready before. */
static int __init start_net(struct pcn_net *net)
{
	int err;

	pcn_net_rx_init(net);
	netif_carrier_off(net->dev);
	err = register_netdev(net->dev);
	if (err)
		return err;
	err = pcn_net_rx_register();
	if (!err)
		err = pcn_peers_subscribe(&net_watch);
	return err;
}

static int __init pcn_net_init(void)
{
	struct net_device *dev;
	int err;

	if (!pcn_machine_is_shared() || !pcn_window())
		return 0;
	/* A queue for each kernel, by its number. */
	dev = alloc_etherdev_mqs(sizeof(*the_net), fls64(pcn_facts()->present), 1);
	if (!dev)
		return -ENOMEM;
	the_net = netdev_priv(dev);
	the_net->dev = dev;
	set_up_net(dev);
	err = start_net(the_net);
	if (err)
		pr_err("there will be no network between kernels: %pe\n", ERR_PTR(err));
	return err;
}
late_initcall(pcn_net_init);

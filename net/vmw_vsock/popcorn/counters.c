// SPDX-License-Identifier: GPL-2.0
/*
 * What the transport counts, in /sys/kernel/popcorn/vsock: packets that were dropped, by
 * the reason. See Documentation/popcorn/sysfs.rst.
 */
#include <linux/atomic.h>
#include <linux/init.h>
#include <linux/kobject.h>
#include <linux/sysfs.h>

#include <popcorn/core.h>

#include "vsock.h"

static atomic64_t counters[PCN_VSOCK_COUNTERS];

/* struct counter - an attribute, and what it shows */
struct counter {
	struct kobj_attribute	attr;
	enum pcn_vsock_counter	index;
};

static ssize_t counter_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	const struct counter *c = container_of(attr, struct counter, attr);

	return sysfs_emit(buf, "%lld\n", atomic64_read(&counters[c->index]));
}

#define COUNTER(_name, _index)						\
	(&((struct counter) {						\
		.attr	= __ATTR(_name, 0444, counter_show, NULL),	\
		.index	= (_index),					\
	}).attr.attr)

static struct attribute *attrs[] = {
	COUNTER(rx_malformed, PCN_VSOCK_RX_MALFORMED),
	COUNTER(rx_window, PCN_VSOCK_RX_WINDOW),
	COUNTER(rx_credit, PCN_VSOCK_RX_CREDIT),
	COUNTER(rx_unexpected, PCN_VSOCK_RX_UNEXPECTED),
	COUNTER(rx_late, PCN_VSOCK_RX_LATE),
	COUNTER(tx_full, PCN_VSOCK_TX_FULL),
	COUNTER(tx_lost, PCN_VSOCK_TX_LOST),
	NULL
};

static_assert(ARRAY_SIZE(attrs) == PCN_VSOCK_COUNTERS + 1);

static const struct attribute_group group = {
	.name	= "vsock",
	.attrs	= attrs,
};

/**
 * pcn_vsock_count - count a packet that is dropped
 * @counter:	why
 *
 * Context: any.
 */
void pcn_vsock_count(enum pcn_vsock_counter counter)
{
	atomic64_inc(&counters[counter]);
}

/**
 * pcn_vsock_counters_init - make /sys/kernel/popcorn/vsock
 *
 * Context: initcall.
 * Return: 0 or a negative errno.
 */
int __init pcn_vsock_counters_init(void)
{
	return sysfs_create_group(pcn_kobject(), &group);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What the messaging layer counts, in /sys/kernel/popcorn/links and
 * .../poll: one value per file. See Documentation/popcorn/sysfs.rst.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/init.h>
#include <linux/kobject.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include <popcorn/core.h>

#include "internal.h"

/*
 * struct link_dir - the directory of a link
 *
 * Links stay for good, and so do their directories.
 */
struct link_dir {
	struct kobject	kobj;
	struct pcn_link	*link;
};

/*
 * struct counter - an attribute, and what it shows: @offset bytes into the port
 * of channel @index, or into the group @index
 */
struct counter {
	struct kobj_attribute	attr;
	unsigned int		index;
	size_t			offset;
};

static struct kobject *links_kobj;

static struct pcn_link *to_link(struct kobject *kobj)
{
	return container_of(kobj, struct link_dir, kobj)->link;
}

static const struct counter *to_counter(struct kobj_attribute *attr)
{
	return container_of(attr, struct counter, attr);
}

/* Named groups are directories, but their attributes come with the parent's. */
static const void *in_port(struct kobject *kobj, struct kobj_attribute *attr)
{
	const struct counter *c = to_counter(attr);

	return (void *)&to_link(kobj)->port[c->index] + c->offset;
}

static ssize_t port_show(struct kobject *kobj, struct kobj_attribute *attr,
			 char *buf)
{
	const u64 *value = in_port(kobj, attr);

	return sysfs_emit(buf, "%llu\n", READ_ONCE(*value));
}

static ssize_t spilled_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	const unsigned int *value = in_port(kobj, attr);

	return sysfs_emit(buf, "%u\n", READ_ONCE(*value));
}

static ssize_t group_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	const struct counter *c = to_counter(attr);
	const u64 *value = (void *)&pcn_poll_groups[c->index] + c->offset;

	return sysfs_emit(buf, "%llu\n", READ_ONCE(*value));
}

#define COUNTER(_name, _index, _offset, _show)				\
	(&((struct counter) {						\
		.attr	= __ATTR(_name, 0444, _show, NULL),		\
		.index	= (_index),					\
		.offset	= (_offset),					\
	}).attr.attr)

#define PORT_COUNTER(channel, name)					\
	COUNTER(name, channel, offsetof(struct pcn_port, stats.name), port_show)

/* The directory of a channel */
#define PORT_GROUP(_name, _channel)					\
static struct attribute *_name##_attrs[] = {				\
	PORT_COUNTER(_channel, tx_messages),				\
	PORT_COUNTER(_channel, tx_bytes),				\
	PORT_COUNTER(_channel, tx_doorbells),				\
	PORT_COUNTER(_channel, tx_waits),				\
	PORT_COUNTER(_channel, tx_spills),				\
	PORT_COUNTER(_channel, tx_failed),				\
	PORT_COUNTER(_channel, tx_full),				\
	PORT_COUNTER(_channel, tx_blocks),				\
	PORT_COUNTER(_channel, tx_block_waits),				\
	PORT_COUNTER(_channel, rx_messages),				\
	PORT_COUNTER(_channel, rx_bytes),				\
	PORT_COUNTER(_channel, rx_doorbells),				\
	PORT_COUNTER(_channel, rx_late),				\
	PORT_COUNTER(_channel, rx_orphans),				\
	PORT_COUNTER(_channel, rx_unknown),				\
	PORT_COUNTER(_channel, rx_dropped),				\
	PORT_COUNTER(_channel, rx_refused),				\
	COUNTER(spilled, _channel, offsetof(struct pcn_port, spilled),	\
		spilled_show),						\
	NULL								\
};									\
static const struct attribute_group _name##_group = {			\
	.name	= #_name,						\
	.attrs	= _name##_attrs,					\
}

PORT_GROUP(control, PCN_CONTROL);
PORT_GROUP(coherency, PCN_COHERENCY);
PORT_GROUP(network, PCN_NETWORK);
PORT_GROUP(tty, PCN_TTY);
static_assert(PCN_CHANNELS == 4);

#define POLL_COUNTER(group, name)					\
	COUNTER(name, group, offsetof(struct pcn_poll_group, stats.name),	\
		group_show)

/* The directory of a group of channels that are polled together */
#define POLL_GROUP(_name, _id)						\
static struct attribute *_name##_attrs[] = {				\
	POLL_COUNTER(_id, interrupts),					\
	POLL_COUNTER(_id, polls),					\
	POLL_COUNTER(_id, empty_polls),					\
	POLL_COUNTER(_id, sleeps),					\
	POLL_COUNTER(_id, linger_hits),					\
	POLL_COUNTER(_id, starved),					\
	NULL								\
};									\
static const struct attribute_group _name##_group = {			\
	.name	= #_name,						\
	.attrs	= _name##_attrs,					\
}

POLL_GROUP(thread, PCN_POLL_THREAD);
POLL_GROUP(softirq, PCN_POLL_SOFTIRQ);
static_assert(PCN_POLL_GROUPS == 2);

/* If these fail, a counter was added that has no file yet. */
static_assert(sizeof(struct pcn_port_stats) == 17 * sizeof(u64));
static_assert(sizeof(struct pcn_poll_stats) == 6 * sizeof(u64));

static ssize_t state_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	enum pcn_link_state state = READ_ONCE(to_link(kobj)->state);

	return sysfs_emit(buf, "%s\n", pcn_link_state_name(state));
}
static struct kobj_attribute state_attr = __ATTR_RO(state);

static ssize_t fault_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%s\n", READ_ONCE(to_link(kobj)->fault) ?: "");
}
static struct kobj_attribute fault_attr = __ATTR_RO(fault);

static ssize_t generation_show(struct kobject *kobj,
			       struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(to_link(kobj)->generation));
}
static struct kobj_attribute generation_attr = __ATTR_RO(generation);

static struct attribute *link_attrs[] = {
	&state_attr.attr,
	&fault_attr.attr,
	&generation_attr.attr,
	NULL
};

static const struct attribute_group link_group = {
	.attrs = link_attrs,
};

static const struct attribute_group *link_groups[] = {
	&link_group,
	&control_group,
	&coherency_group,
	&network_group,
	&tty_group,
	NULL
};

static const struct attribute_group *poll_groups[] = {
	&thread_group,
	&softirq_group,
	NULL
};

static void link_dir_release(struct kobject *kobj)
{
	kfree(container_of(kobj, struct link_dir, kobj));
}

static const struct kobj_type link_ktype = {
	.sysfs_ops	= &kobj_sysfs_ops,
	.default_groups	= link_groups,
	.release	= link_dir_release,
};

/**
 * pcn_link_stats_add - make the directory of a link that has none yet
 * @link:	the link
 *
 * A link without a directory works as well as another: only a warning tells
 * of a failure.
 *
 * Context: process, may sleep; one at a time for a link.
 */
void pcn_link_stats_add(struct pcn_link *link)
{
	struct link_dir *dir;
	int err;

	if (link->kobj || !links_kobj)
		return;
	dir = kzalloc(sizeof(*dir), GFP_KERNEL);
	if (!dir)
		return;		/* the allocator has warned */
	dir->link = link;
	err = kobject_init_and_add(&dir->kobj, &link_ktype, links_kobj, "%u",
				   link->kid);
	if (err) {
		pr_warn("cannot make the statistics of the link to kernel %u: %pe\n",
			link->kid, ERR_PTR(err));
		kobject_put(&dir->kobj);
		return;
	}
	link->kobj = &dir->kobj;
}

/**
 * pcn_link_stats_init - make /sys/kernel/popcorn/links and .../poll
 *
 * Context: initcall.
 * Return: 0 or a negative errno.
 */
int __init pcn_link_stats_init(void)
{
	struct kobject *poll = kobject_create_and_add("poll", pcn_kobject());
	int err;

	if (!poll)
		return -ENOMEM;
	err = sysfs_create_groups(poll, poll_groups);
	if (err)
		return err;
	links_kobj = kobject_create_and_add("links", pcn_kobject());
	return links_kobj ? 0 : -ENOMEM;
}

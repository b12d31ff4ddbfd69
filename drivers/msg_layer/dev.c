// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/popcorn: for now, a ping of other kernels. It is answered on every
 * channel, by the same ways that all messages take.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/fs.h>
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <uapi/linux/popcorn.h>

#include <popcorn/hooks.h>
#include <popcorn/msg.h>

static_assert(sizeof(struct pcn_ping) == 24);
static_assert(offsetof(struct pcn_ping, rtt_ns) == 16);

/* Somebody else's ping: send back what came. */
static void answer_ping(const struct pcn_message *msg)
{
	if (!msg->request)
		return;
	/* A large reply needs memory; a small one is always possible. */
	if (pcn_msg_reply(msg, 0, msg->payload, msg->length) == -ENOMEM)
		pcn_msg_reply(msg, -ENOMEM, NULL, 0);
}

#define PING_ON(_channel)				\
	[_channel] = {					\
		.name		= "ping",		\
		.channel	= (_channel),		\
		.type		= PCN_TYPE_PING,	\
		.handle		= answer_ping,		\
	}

static const struct pcn_msg_type ping_types[PCN_CHANNELS] = {
	PING_ON(PCN_CONTROL),
	PING_ON(PCN_COHERENCY),
	PING_ON(PCN_NETWORK),
	PING_ON(PCN_TTY),
};

/* Fails if what comes back is not what was sent. */
static int ping_echo(struct pcn_ping *ping, void *sent, void *back)
{
	u32 length = ping->size;
	u64 begin;
	int err;

	get_random_bytes(sent, ping->size);
	begin = ktime_get_ns();
	err = pcn_msg_call(ping->kid, ping->channel, PCN_TYPE_PING, sent,
			   ping->size, back, &length, ping->timeout_ms);
	ping->rtt_ns = ktime_get_ns() - begin;
	if (err)
		return err;
	return length == ping->size && !memcmp(sent, back, length) ? 0 :
								-EBADMSG;
}

static int send_ping(struct pcn_ping *ping)
{
	void *buffer;
	int err;

	if (ping->channel >= PCN_CHANNELS || !ping->timeout_ms ||
	    ping->kid == pcn_self() || ping->size > pcn_msg_limit(ping->channel))
		return -EINVAL;
	buffer = kvmalloc(2 * ping->size, GFP_KERNEL);
	if (!buffer)
		return -ENOMEM;
	err = ping_echo(ping, buffer, buffer + ping->size);
	kvfree(buffer);
	return err;
}

static long pcn_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	struct pcn_ping ping;
	int err;

	if (cmd != PCN_IOC_PING)
		return -ENOTTY;
	if (copy_from_user(&ping, user, sizeof(ping)))
		return -EFAULT;
	err = send_ping(&ping);
	if (!err && copy_to_user(user, &ping, sizeof(ping)))
		err = -EFAULT;
	return err;
}

static const struct file_operations pcn_dev_operations = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= pcn_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.llseek		= noop_llseek,
};

static struct miscdevice pcn_dev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "popcorn",
	.fops	= &pcn_dev_operations,
	.mode	= 0600,
};

static int __init pcn_dev_init(void)
{
	unsigned int i;
	int err;

	if (!pcn_machine_is_shared())
		return 0;
	for (i = 0; i < PCN_CHANNELS; i++) {
		err = pcn_msg_register(&ping_types[i]);
		if (err)
			return err;
	}
	return misc_register(&pcn_dev);
}
device_initcall(pcn_dev_init);

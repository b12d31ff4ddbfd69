// SPDX-License-Identifier: GPL-2.0
/*
 * For tests: a kernel that writes garbage into what it shares with a peer.
 *
 * Write "kid=<kid> count=<n> seed=<n>" to /sys/kernel/debug/popcorn/garbage: so
 * many times one of the words that this kernel may write for that peer (indices,
 * headers and data of its rings, the lives that its lanes name, its bells) gets
 * a value that is wrong in an interesting way, and the peer is rung. Meant for a
 * secondary that is to be restarted afterwards.
 */
#include <linux/debugfs.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/prandom.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <popcorn/core.h>
#include <popcorn/hooks.h>

#include "internal.h"

/* Values at which range checks go wrong, or near what was there before. */
static u64 odd_value(struct rnd_state *random, u64 was)
{
	u32 r = prandom_u32_state(random);

	switch (r % 8) {
	case 0:
		return 0;
	case 1:
		return U64_MAX - (r >> 8) % 64;
	case 2:
		return was + (r >> 8) % 256;
	case 3:
		return was - (r >> 8) % 256;
	case 4:
		return was + PCN_RING_ALIGN * ((r >> 8) % 8192);
	case 5:
		return was ^ BIT_ULL((r >> 8) % 64);
	case 6:
		return BIT_ULL((r >> 8) % 64);
	default:
		return (u64)prandom_u32_state(random) << 32 | r;
	}
}

static void spoil(struct rnd_state *random, u64 *word)
{
	WRITE_ONCE(*word, odd_value(random, READ_ONCE(*word)));
}

/* A word of the record that the peer will read next, or of any other one. */
static void spoil_data(struct rnd_state *random, struct pcn_ring *ring)
{
	u64 at = READ_ONCE(ring->shared->tail);

	if (prandom_u32_state(random) % 2)
		at = prandom_u32_state(random);
	at += 8 * (prandom_u32_state(random) % 4);
	spoil(random, (u64 *)(ring->shared->data + (at & ring->mask & ~7ULL)));
}

static void spoil_something(struct rnd_state *random, struct pcn_link *link)
{
	u32 r = prandom_u32_state(random);
	struct pcn_port *port = &link->port[r % PCN_CHANNELS];
	struct pcn_endpoint *self = (void *)link->endpoint +
		((s64)pcn_self() - link->kid) * PCN_ENDPOINT_SIZE;

	switch ((r >> 8) % 16) {
	case 0:
		spoil(random, &link->out->from_pair);
		break;
	case 1:
		spoil(random, &link->in->to_pair);
		break;
	case 2:
		spoil(random, &self->group[r & 1].bell.armed);
		break;
	case 3 ... 6:
		spoil(random, &port->tx.shared->head);
		break;
	case 7 ... 9:
		spoil(random, &port->rx.shared->tail);
		break;
	default:
		spoil_data(random, &port->tx);
		/* So that it is looked at. */
		WRITE_ONCE(port->tx.shared->head, port->tx.shared->head +
			   PCN_RING_ALIGN * ((r >> 16) % 4));
	}
}

static int spoil_all(unsigned int kid, unsigned int count, u64 seed)
{
	struct pcn_link *link = pcn_link_to(kid);
	struct rnd_state random;

	if (!link || READ_ONCE(link->state) != PCN_LINK_UP)
		return -EHOSTDOWN;
	prandom_seed_state(&random, seed);
	while (count--) {
		spoil_something(&random, link);
		pcn_arch_doorbell(link->apicid);
		cond_resched();
		if (signal_pending(current))
			return -EINTR;
	}
	return 0;
}

static ssize_t garbage_write(struct file *file, const char __user *from,
			     size_t size, loff_t *offset)
{
	unsigned int kid, count;
	char text[80] = "";
	u64 seed;
	int err;

	if (size >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, from, size))
		return -EFAULT;
	if (sscanf(text, "kid=%u count=%u seed=%llu", &kid, &count, &seed) != 3)
		return -EINVAL;
	err = spoil_all(kid, count, seed);
	return err ?: size;
}

static const struct file_operations garbage_fops = {
	.owner	= THIS_MODULE,
	.write	= garbage_write,
};

static int __init garbage_init(void)
{
	struct dentry *dir;

	if (!pcn_machine_is_shared())
		return 0;
	dir = debugfs_lookup("popcorn", NULL);
	debugfs_create_file("garbage", 0200, dir, NULL, &garbage_fops);
	dput(dir);
	return 0;
}
/* After load.c has made the directory. */
late_initcall_sync(garbage_init);

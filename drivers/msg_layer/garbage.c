// SPDX-License-Identifier: GPL-2.0
/*
 * For tests: a kernel that lies to its peers. Meant for a secondary that is to be
 * restarted afterwards. Written to /sys/kernel/debug/popcorn/garbage,
 *
 *	kid=<kid> count=<n> seed=<n>
 *		so many times one of the words that this kernel may write for that peer
 *		(indices, headers, places and data of its rings, the lives that its
 *		lanes name, its bells and calls) gets a value that is wrong in an interesting way, and the
 *		peer is rung;
 *	window count=<n> seed=<n>
 *		the same with the words that it may write for the primary: its control
 *		block, its log and its endpoint;
 *	sample
 *		from now on keep some of the messages that this kernel sends;
 *	messages kid=<kid> count=<n> seed=<n>
 *		send so many messages, of all channels and types that are registered,
 *		and some that are not: mostly samples of which a little was changed,
 *		otherwise random ones. Their rings are in order. With channel=<n>
 *		type=<n> behind it all are of that type;
 *	message kid=<kid> channel=<n> type=<n> <payload>
 *		send this one. The payload is in hex.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/debugfs.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/hex.h>
#include <linux/init.h>
#include <linux/prandom.h>
#include <linux/printk.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <popcorn/core.h>
#include <popcorn/hooks.h>

#include "internal.h"

/* Bytes of payload of a message that is given word for word. */
#define FORGED_MAX	64

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

static void spoil_word(struct rnd_state *random, u64 *word)
{
	WRITE_ONCE(*word, odd_value(random, READ_ONCE(*word)));
}

/* A word of the record that the peer will read next, or of any other one. */
static void spoil_data(struct rnd_state *random, struct pcn_ring *ring)
{
	u64 left = READ_ONCE(ring->head) - READ_ONCE(ring->shared->tail);
	u64 size = READ_ONCE(ring->size), at = READ_ONCE(ring->at) + size - left;

	if (prandom_u32_state(random) % 2)
		at = prandom_u32_state(random);
	at += 8 * (prandom_u32_state(random) % 4);
	/* The ring may move at any time: this is a word of one of its places. */
	spoil_word(random, (u64 *)(READ_ONCE(ring->data) +
				   (at % ring->space.base_size & ~7ULL)));
}

static void spoil_something(struct rnd_state *random, struct pcn_link *link)
{
	u32 r = prandom_u32_state(random);
	struct pcn_port *port = &link->port[r % PCN_CHANNELS];
	struct pcn_endpoint *self = (void *)link->endpoint +
		((s64)pcn_self() - link->kid) * PCN_ENDPOINT_SIZE;

	/* So that it looks at the lane. */
	WRITE_ONCE(link->endpoint->link_calls[pcn_self()], r);
	switch ((r >> 8) % 18) {
	case 0:
		spoil_word(random, &link->out->from_pair);
		break;
	case 1:
		spoil_word(random, &link->in->to_pair);
		break;
	case 2:
		spoil_word(random, &self->bell[r & 1].armed);
		break;
	case 16:
		spoil_word(random, &port->tx.shared->place);
		break;
	case 17:
		WRITE_ONCE(link->endpoint->bell[r & 1].calls[pcn_self()], r >> 16);
		break;
	case 3 ... 6:
		spoil_word(random, &port->tx.shared->head);
		break;
	case 7 ... 9:
		spoil_word(random, &port->rx.shared->tail);
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

/* A word that this kernel may write for the primary. */
static u64 *own_word(struct rnd_state *random)
{
	const struct pcn_window_layout *l = &pcn_facts()->layout;
	void *area = (void *)pcn_window() + PCN_AREA_OFFSET +
		     pcn_self() * PCN_AREA_SIZE;
	u32 r = prandom_u32_state(random), word = prandom_u32_state(random);

	switch (r % 4) {
	case 0:
		return (void *)pcn_window() + pcn_endpoint_offset(l, pcn_self()) +
		       word % (sizeof(struct pcn_endpoint) / 8) * 8;
	case 1:
		return area + PCN_AREA_SIZE - PCN_LOG_SIZE + word % 512 * 8;
	default:
		/* The first 64 bytes are the primary's; the hearts come last. */
		return area + 64 + word % (r % 8 < 6 ? 56 : 300) * 8;
	}
}

static int spoil_window(unsigned int count, u64 seed)
{
	struct rnd_state random;

	prandom_seed_state(&random, seed);
	while (count--) {
		spoil_word(&random, own_word(&random));
		if (count % 16 == 0)
			pcn_call_primary();
		cond_resched();
		if (signal_pending(current))
			return -EINTR;
	}
	return 0;
}

/**
 * struct sample - a message as it was sent, or as it is to be
 * @header:	its head
 * @payload:	as much of its payload as is kept
 */
struct sample {
	struct pcn_msg_header	header;
	u8			payload[PCN_HANDLER_PAYLOAD];
};

bool pcn_sampling;

/* The last request and the last reply of each type: sample_lock. */
static struct sample *samples[PCN_CHANNELS][PCN_TYPES][2];
static DEFINE_SPINLOCK(sample_lock);

/* As much of the payload as there is room for. */
static void fill_sample(struct sample *s, const struct kvec *parts, unsigned int n)
{
	u32 at = 0, count;

	for (; n; n--, parts++, at += count) {
		count = min_t(size_t, parts->iov_len, sizeof(s->payload) - at);
		memcpy(s->payload + at, parts->iov_base, count);
	}
	s->header.length = at;
}

/**
 * pcn_garbage_keep - keep a message that is about to be sent
 * @h:		its head
 * @parts:	its payload
 * @n:		number of parts
 *
 * Context: any.
 */
void pcn_garbage_keep(const struct pcn_msg_header *h, const struct kvec *parts,
		      unsigned int n)
{
	struct sample **at, *s;
	unsigned long flags;

	if (h->type >= PCN_TYPES)
		return;
	at = &samples[h->channel][h->type][!!(h->flags & PCN_MSG_REPLY)];
	spin_lock_irqsave(&sample_lock, flags);
	s = *at ?: kzalloc(sizeof(*s), GFP_ATOMIC | __GFP_NOWARN);
	*at = s;
	if (s) {
		s->header = *h;
		fill_sample(s, parts, n);
	}
	spin_unlock_irqrestore(&sample_lock, flags);
}

static bool get_sample(struct sample *to, u8 channel, u16 type, bool reply)
{
	bool found = false;
	struct sample *s;

	spin_lock_irq(&sample_lock);
	s = type < PCN_TYPES ? samples[channel][type][reply] : NULL;
	if (s) {
		*to = *s;
		found = true;
	}
	spin_unlock_irq(&sample_lock);
	return found;
}

static u8 random_channel(struct rnd_state *random)
{
	u32 r = prandom_u32_state(random) % 16;

	return r < 8 ? PCN_CONTROL : r < 14 ? PCN_COHERENCY :
	       r == 14 ? PCN_NETWORK : PCN_TTY;
}

/* As a rule one that is registered: there are few. */
static u16 random_type(struct rnd_state *random, u8 channel)
{
	u32 r = prandom_u32_state(random), i;

	if (r % 32 == 0)
		return r >> 16;
	for (i = 0; i < PCN_TYPES; i++)
		if (pcn_type_find(channel, ((r >> 8) + i) % PCN_TYPES))
			break;
	return ((r >> 8) + i) % PCN_TYPES;
}

static void make_random(struct rnd_state *random, struct sample *s)
{
	u32 r = prandom_u32_state(random);

	s->header.length = r % 8 ? r % 256 : r % sizeof(s->payload);
	prandom_bytes_state(random, s->payload, s->header.length);
	s->header.request = r & BIT(20) ? prandom_u32_state(random) : 0;
}

/* A word, a byte, the length, or the id of the request. */
static void spoil_sample(struct rnd_state *random, struct sample *s)
{
	u32 r = prandom_u32_state(random), words = s->header.length / 8;
	u64 *payload = (u64 *)s->payload;

	switch (r % 16) {
	case 0:
		s->header.length = (r >> 8) % sizeof(s->payload);
		break;
	case 1:
		s->header.request = odd_value(random, s->header.request);
		break;
	case 2:
		s->header.status = r >> 16;
		break;
	case 3 ... 8:
		s->payload[(r >> 8) % max(s->header.length, 1U)] = r >> 24;
		break;
	default:
		/* What decides is in the first few. */
		if (r & BIT(30))
			words = min(words, 12U);
		if (words)
			spoil_word(random, payload + (r >> 8) % words);
	}
}

/*
 * struct aim - which messages are sent
 * @channel:	its number, or ANY
 * @type:	likewise
 */
struct aim {
	unsigned int	channel;
	unsigned int	type;
};

#define ANY	U32_MAX

static void make_lie(struct rnd_state *random, const struct aim *aim, struct sample *s)
{
	u8 channel = aim->channel == ANY ? random_channel(random) : aim->channel;
	u16 type = aim->type == ANY ? random_type(random, channel) : aim->type;
	u32 r = prandom_u32_state(random);
	bool reply = r % 16 == 0;

	if (r % 8 == 7 || !get_sample(s, channel, type, reply))
		make_random(random, s);
	for (r = (r >> 8) % 4; r; r--)
		spoil_sample(random, s);
	s->header.length = min(s->header.length, pcn_msg_limit(channel));
	s->header.channel = channel;
	s->header.type = type;
	s->header.source = pcn_self();
	s->header.flags = reply ? PCN_MSG_REPLY : 0;
}

static int send_lies(unsigned int kid, unsigned int count, u64 seed,
		     const struct aim *aim)
{
	struct pcn_link *link = pcn_link_to(kid);
	struct sample *s = kzalloc(sizeof(*s), GFP_KERNEL);
	struct rnd_state random;
	unsigned int sent = 0;
	int err = link ? 0 : -ENODEV;

	if (!s)
		return -ENOMEM;
	if (aim->channel != ANY && aim->channel >= PCN_CHANNELS)
		err = -EINVAL;
	prandom_seed_state(&random, seed);
	while (!err && sent < count) {
		make_lie(&random, aim, s);
		err = pcn_link_send(link, &s->header, s->payload);
		sent += !err;
		cond_resched();
		if (signal_pending(current))
			err = -EINTR;
	}
	kfree(s);
	pr_info("garbage: sent %u messages to kernel %u, seed %llu: %d\n", sent, kid,
		seed, err);
	return err;
}

/* Without spoiling it: what the peer makes of a message that could be true. */
static int send_this(unsigned int kid, unsigned int channel, unsigned int type,
		     const char *hex)
{
	struct pcn_link *link = pcn_link_to(kid);
	struct pcn_msg_header h = {
		.channel = channel, .type = type, .source = pcn_self(),
		.length = strlen(hex) / 2,
	};
	u8 payload[FORGED_MAX];

	if (!link)
		return -ENODEV;
	if (channel >= PCN_CHANNELS || h.length > sizeof(payload) ||
	    hex2bin(payload, hex, h.length))
		return -EINVAL;
	return pcn_link_send(link, &h, payload);
}

static int garbage_obey(const char *text)
{
	struct aim aim = { ANY, ANY };
	unsigned int kid, count, channel, type;
	char hex[2 * FORGED_MAX + 1];
	u64 seed;

	if (sscanf(text, "kid=%u count=%u seed=%llu", &kid, &count, &seed) == 3)
		return spoil_all(kid, count, seed);
	if (sscanf(text, "messages kid=%u count=%u seed=%llu channel=%u type=%u", &kid,
		   &count, &seed, &aim.channel, &aim.type) >= 3)
		return send_lies(kid, count, seed, &aim);
	if (sscanf(text, "message kid=%u channel=%u type=%u %128s", &kid, &channel,
		   &type, hex) == 4)
		return send_this(kid, channel, type, hex);
	if (sscanf(text, "window count=%u seed=%llu", &count, &seed) == 2)
		return spoil_window(count, seed);
	if (!sysfs_streq(text, "sample"))
		return -EINVAL;
	WRITE_ONCE(pcn_sampling, true);
	return 0;
}

static ssize_t garbage_write(struct file *file, const char __user *from,
			     size_t size, loff_t *offset)
{
	char text[200] = "";
	int err;

	if (size >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, from, size))
		return -EFAULT;
	err = garbage_obey(text);
	return err ?: size;
}

static const struct file_operations garbage_fops = {
	.owner	= THIS_MODULE,
	.write	= garbage_write,
};

static int __init garbage_init(void)
{
	if (!pcn_machine_is_shared())
		return 0;
	pcn_debug_file("garbage", 0200, &garbage_fops);
	return 0;
}
late_initcall(garbage_init);

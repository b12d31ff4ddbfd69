// SPDX-License-Identifier: GPL-2.0
/*
 * Load generator: tests and measures messages while all kernels send at once.
 *
 * The kernel whose files in /sys/kernel/debug/popcorn are written drives all others by
 * requests (load_control.c). A run goes in three steps, so that no message meets a
 * receiver that does not know of it: all stop what they send, all learn what will come,
 * all begin. Each kernel sends a stream to each other (load_stream.c), of messages that
 * the receiver can tell from wrong ones (load_content.c).
 *
 *   load	starts a run, or stops it; shows what this kernel sends
 *   result	what became of the run that was started here
 *   latency	round trips of a request to one kernel (load_measure.c)
 *   throughput	bytes per second to one kernel (there, too)
 *
 * Locks, outermost first: pcn_load_drive_lock is held while waiting for other kernels, and
 * never by what answers them; pcn_load_local_lock is held by whatever changes what this
 * kernel sends or expects, and never while waiting for a message.
 */
#include <linux/bitmap.h>
#include <linux/debugfs.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>

#include <popcorn/core.h>
#include <popcorn/hooks.h>
#include <popcorn/msg.h>
#include <popcorn/partition.h>

#include "load.h"

/* The run that was started here; pcn_load_drive_lock. */
static struct load_plan driven;

static int start_load(struct load_arguments *arguments)
{
	struct load_plan *new = &arguments->plan;
	/* Also those that are in the run that goes on. */
	struct load_plan old = { .kernels = new->kernels | driven.kernels };
	u32 sum;
	int err;

	err = pcn_load_stop_all(&old);
	if (err || arguments->stop)
		return err;
	new->run = ktime_get_ns();
	driven = *new;
	err = pcn_load_ask_all(LOAD_PREPARE, new, &sum);
	return err ?: pcn_load_ask_all(LOAD_START, new, &sum);
}

static ssize_t load_write(struct file *file, const char __user *from,
			  size_t count, loff_t *at)
{
	return pcn_load_write(from, count, start_load);
}

static int load_show(struct seq_file *m, void *unused)
{
	pcn_load_show_senders(m);
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(load);

/* --- result --- */

/**
 * struct load_sum - the last line of the result
 * @counts:	sums; @began is the first and @ended the last
 * @expected:	messages
 * @down:	streams that ended since a kernel did
 */
struct load_sum {
	struct load_counts	counts;
	u64			expected;
	u32			down;
};

static void add_counts(struct load_sum *sum, const struct load_counts *out,
		       const struct load_counts *in)
{
	struct load_counts *to = &sum->counts;

	to->sent += out->sent;
	to->errors += out->errors;
	to->received += in->received;
	to->damaged += in->damaged;
	to->began = min_not_zero(to->began, out->began);
	to->ended = max(to->ended, out->ended);
	sum->expected += driven.messages;
}

static void show_stream(struct seq_file *m, struct load_sum *sum,
			const struct load_counts *out,
			const struct load_counts *in)
{
	if (out->lost || in->lost) {
		sum->down++;
		seq_puts(m, "down\n");
		return;
	}
	add_counts(sum, out, in);
	seq_printf(m, "%llu %u %llu %llu %llu\n", out->sent, driven.messages,
		   in->received, in->damaged, out->errors);
}

/* Both ends of the streams between two kernels. */
static void show_pair(struct seq_file *m, struct load_sum *sum,
		      unsigned int from, unsigned int to)
{
	unsigned long channels = driven.channels;
	struct load_reply out = {}, in = {};
	unsigned int i;
	int err;

	err = pcn_load_ask(from, LOAD_COLLECT, to, &driven, &out);
	if (!err)
		err = pcn_load_ask(to, LOAD_COLLECT, from, &driven, &in);
	for_each_set_bit(i, &channels, PCN_CHANNELS) {
		seq_printf(m, "%u %u %s ", from, to, pcn_channel_name(i));
		if (err)
			out.channel[i].lost = true;
		show_stream(m, sum, &out.channel[i], &in.channel[i]);
	}
}

/* What is still being sent by all that answer. Before the counts are read. */
static u32 count_running(void)
{
	struct load_plan all = driven;
	unsigned int kid;
	unsigned long kernels = all.kernels;
	struct load_reply reply;
	u32 sum = 0;

	for_each_set_bit(kid, &kernels, PCN_KERNELS_MAX)
		if (!pcn_load_ask(kid, LOAD_RUNNING, 0, NULL, &reply))
			sum += reply.running;
	return sum;
}

static void show_result(struct seq_file *m)
{
	unsigned long kernels = driven.kernels;
	struct load_sum sum = {};
	u32 still = count_running();
	unsigned int from, to;
	u64 ns;

	seq_puts(m, "# source target channel sent expected received damaged errors\n");
	for_each_set_bit(from, &kernels, PCN_KERNELS_MAX)
		for_each_set_bit(to, &kernels, PCN_KERNELS_MAX)
			if (from != to)
				show_pair(m, &sum, from, to);
	ns = sum.counts.ended - min(sum.counts.began, sum.counts.ended);
	seq_printf(m, "total sent=%llu expected=%llu received=%llu damaged=%llu errors=%llu down=%u running=%u ns=%llu\n",
		   sum.counts.sent, sum.expected, sum.counts.received,
		   sum.counts.damaged, sum.counts.errors, sum.down, still, ns);
}

static int result_show(struct seq_file *m, void *unused)
{
	if (mutex_lock_interruptible(&pcn_load_drive_lock))
		return -EINTR;
	show_result(m);
	mutex_unlock(&pcn_load_drive_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(result);

/* --- initialisation --- */

static struct pcn_peer_notifier load_watch = {
	.down = pcn_load_peer_down,
};

#define LOAD_TYPE(_channel)						\
	{ .name = "load", .channel = (_channel), .type = PCN_TYPE_LOAD,	\
	  .handle = pcn_load_on_message, .room = pcn_load_room }

static const struct pcn_msg_type load_types[] = {
	LOAD_TYPE(PCN_CONTROL),
	LOAD_TYPE(PCN_COHERENCY),
	LOAD_TYPE(PCN_NETWORK),
	LOAD_TYPE(PCN_TTY),
	{ "load control", PCN_CONTROL, PCN_TYPE_LOAD_CONTROL, true,
	  pcn_load_on_control },
};

static int __init load_register(void)
{
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(load_types); i++) {
		err = pcn_msg_register(&load_types[i]);
		if (err)
			break;
	}
	if (!err)
		err = pcn_peers_subscribe(&load_watch);
	while (err && i--)
		pcn_msg_unregister(&load_types[i]);
	return err;
}

static int __init load_init(void)
{
	int err;

	if (!pcn_machine_is_shared() || !pcn_window())
		return 0;
	err = load_register();
	if (err)
		return err;
	pcn_debug_file("load", 0600, &load_fops);
	pcn_debug_file("result", 0400, &result_fops);
	pcn_load_measure_init();
	return 0;
}
late_initcall(load_init);

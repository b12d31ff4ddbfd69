// SPDX-License-Identifier: GPL-2.0
/*
 * Load generator: latency and throughput.
 *
 *   latency	round trips of a request to one kernel, one after the other
 *   throughput	bytes per second to one kernel, until it has handled the last one
 *
 * Each file shows what was measured last. Messages are all of one size, and the receiver
 * does not look at them.
 */
#include <linux/bitops.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>

#include <popcorn/core.h>
#include <popcorn/msg.h>

#include "load.h"

/* Most round trips that are measured at once: each is remembered. */
#define SAMPLES_MAX	1000000

static int check_measurement(const struct load_arguments *a)
{
	const struct load_plan *p = &a->plan;

	if (a->stop || a->kid == pcn_self() || !p->messages ||
	    p->messages > SAMPLES_MAX || hweight32(p->channels) != 1)
		return -EINVAL;
	return 0;
}

/* --- latency --- */

/* What was measured last, ns; pcn_load_drive_lock. */
static struct {
	u32	count;
	u64	min;
	u64	median;
	u64	p99;
	u64	max;
} latency;

static int round_trip(const struct load_arguments *a, const void *payload,
		      void *answer, u64 *ns)
{
	enum pcn_channel channel = __ffs(a->plan.channels);
	u32 size = min(a->plan.size, pcn_msg_limit(channel));
	u32 length = size;
	u64 began = ktime_get_ns();
	int err = pcn_msg_call(a->kid, channel, PCN_TYPE_LOAD, payload, size,
			       answer, &length, LOAD_ANSWER_MS);

	*ns = ktime_get_ns() - began;
	if (!err && (length != size || memcmp(payload, answer, size)))
		err = -EPROTO;
	return err;
}

static int measure_round_trips(const struct load_arguments *a,
			       const void *payload, void *answer, u64 *samples)
{
	u32 i;
	int err;

	/* One more, to warm up. */
	for (i = 0; i <= a->plan.messages; i++) {
		err = round_trip(a, payload, answer, samples + i);
		if (err)
			return err;
		if (signal_pending(current))
			return -EINTR;
		if (a->idle_us)
			fsleep(a->idle_us);
		cond_resched();
	}
	return 0;
}

static int compare_samples(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static void note_latency(u64 *samples, u32 count)
{
	sort(samples, count, sizeof(*samples), compare_samples, NULL);
	latency.count = count;
	latency.min = samples[0];
	latency.median = samples[count / 2];
	latency.p99 = samples[count - 1 - count / 100];
	latency.max = samples[count - 1];
}

static int measure_latency(struct load_arguments *a)
{
	u32 count = a->plan.messages;
	void *payload, *answer;
	u64 *samples;
	int err;

	err = check_measurement(a);
	if (err)
		return err;
	payload = pcn_load_alloc_payload(__ffs(a->plan.channels));
	answer = pcn_load_alloc_payload(__ffs(a->plan.channels));
	samples = kvmalloc_array(count + 1, sizeof(*samples), GFP_KERNEL);
	err = payload && answer && samples ?
		measure_round_trips(a, payload, answer, samples) : -ENOMEM;
	if (!err)
		note_latency(samples + 1, count);
	kvfree(samples);
	kvfree(answer);
	kvfree(payload);
	return err;
}

static ssize_t latency_write(struct file *file, const char __user *from,
			     size_t count, loff_t *at)
{
	return pcn_load_write(from, count, measure_latency);
}

static int latency_show(struct seq_file *m, void *unused)
{
	if (mutex_lock_interruptible(&pcn_load_drive_lock))
		return -EINTR;
	seq_printf(m, "count=%u min=%llu median=%llu p99=%llu max=%llu\n",
		   latency.count, latency.min, latency.median, latency.p99,
		   latency.max);
	mutex_unlock(&pcn_load_drive_lock);
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(latency);

/* --- throughput --- */

/* What was measured last; pcn_load_drive_lock. */
static struct {
	u64	messages;
	u64	bytes;
	u64	ns;
} throughput;

static int send_many(const struct load_arguments *a, enum pcn_channel channel,
		     const void *payload, u32 size)
{
	u32 i;
	int err;

	for (i = 0; i < a->plan.messages; i++) {
		err = pcn_msg_send(a->kid, channel, PCN_TYPE_LOAD, payload, size);
		if (err)
			return err;
		cond_resched();
	}
	return pcn_load_confirm(a->kid, channel);
}

static int measure_throughput(struct load_arguments *a)
{
	enum pcn_channel channel;
	struct load_reply reply;
	void *payload;
	u32 size;
	u64 began;
	int err;

	err = check_measurement(a);
	if (err)
		return err;
	err = pcn_load_ask(a->kid, LOAD_SINK, 0, NULL, &reply);
	if (err)
		return err;
	channel = __ffs(a->plan.channels);
	size = min(a->plan.size, pcn_msg_limit(channel));
	payload = pcn_load_alloc_payload(channel);
	if (!payload)
		return -ENOMEM;
	began = ktime_get_ns();
	err = send_many(a, channel, payload, size);
	if (!err) {
		throughput.ns = ktime_get_ns() - began;
		throughput.messages = a->plan.messages;
		throughput.bytes = throughput.messages * size;
	}
	kvfree(payload);
	return err;
}

static ssize_t throughput_write(struct file *file, const char __user *from,
				size_t count, loff_t *at)
{
	return pcn_load_write(from, count, measure_throughput);
}

static int throughput_show(struct seq_file *m, void *unused)
{
	u64 us;

	if (mutex_lock_interruptible(&pcn_load_drive_lock))
		return -EINTR;
	us = max_t(u64, throughput.ns / NSEC_PER_USEC, 1);
	seq_printf(m, "messages=%llu bytes=%llu ns=%llu bytes_per_s=%llu messages_per_s=%llu\n",
		   throughput.messages, throughput.bytes, throughput.ns,
		   throughput.bytes * USEC_PER_SEC / us,
		   throughput.messages * USEC_PER_SEC / us);
	mutex_unlock(&pcn_load_drive_lock);
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(throughput);

/**
 * pcn_load_measure_init - make the files latency and throughput
 *
 * Context: initcalls.
 */
void __init pcn_load_measure_init(void)
{
	pcn_debug_file("latency", 0600, &latency_fops);
	pcn_debug_file("throughput", 0600, &throughput_fops);
}

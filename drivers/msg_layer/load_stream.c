// SPDX-License-Identifier: GPL-2.0
/*
 * Load generator: streams, as this kernel sends and receives them.
 *
 * A stream is what one kernel sends to one other on one channel in one run. Its receiver
 * knows what is due (load_content.c), and counts what came and what was not due.
 *
 * Each stream that this kernel sends has a thread. A sender is at its end when the
 * receiver has answered a request that came after its last message, on the same channel:
 * then nothing of the stream is under way any more.
 */
#define pr_fmt(fmt) "popcorn: load: " fmt

#include <linux/array_size.h>
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/lockdep.h>
#include <linux/math.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/wait.h>

#include <popcorn/core.h>
#include <popcorn/msg.h>
#include <popcorn/partition.h>

#include "load.h"

/**
 * struct load_sender - this kernel's end of a stream that it sends
 * @kid:	the receiver
 * @channel:	on which channel
 * @sent:	messages sent; the thread's
 * @errors:	see struct load_counts; the thread's
 * @began:	see there
 * @ended:	see there
 * @lost:	see there
 */
struct load_sender {
	unsigned int		kid;
	enum pcn_channel	channel;
	u64			sent;
	u64			errors;
	u64			began;
	u64			ended;
	bool			lost;
};

/** enum load_mode - what to do with what comes */
enum load_mode {
	MODE_IGNORE,
	MODE_COUNT,	/* whatever it is */
	MODE_CHECK,
	MODE_LOST,	/* the peer went down */
};

/**
 * struct load_receiver - this kernel's end of a stream that it receives
 * @mode:	what to do; written when nothing can come
 * @received:	messages that came; the handler's
 * @damaged:	those that were not what was due; the handler's
 */
struct load_receiver {
	enum load_mode	mode;
	u64		received;
	u64		damaged;
};

DEFINE_MUTEX(pcn_load_local_lock);

/* The run as this kernel knows it: constant while something is sent. */
static struct load_plan plan;
static struct load_sender senders[PCN_KERNELS_MAX][PCN_CHANNELS];
static struct load_receiver receivers[PCN_KERNELS_MAX][PCN_CHANNELS];
static atomic_t running;
static bool stopping;

/* --- receiving --- */

/* The first one of a stream says what went wrong; all after it are wrong. */
static void load_complain(const struct pcn_message *msg, u64 index, u32 length)
{
	u64 told = msg->length >= 16 ? *(u64 *)msg->payload : U64_MAX;

	pr_err("kernel %u, channel %s: expected message %llu of %u bytes, received %u bytes that say they are message %lld\n",
	       msg->kid, pcn_channel_name(msg->channel), index, length,
	       msg->length, told);
}

static void check_message(const struct pcn_message *msg, struct load_receiver *r)
{
	u64 index = r->received;
	u64 key = pcn_load_key(&plan, msg->kid, pcn_self(), msg->channel, index);
	u32 length = pcn_load_length(&plan, msg->channel, key);

	if (msg->length == length &&
	    pcn_load_is_intact(msg->payload, length, key, index))
		return;
	if (!r->damaged)
		load_complain(msg, index, length);
	WRITE_ONCE(r->damaged, r->damaged + 1);
}

/**
 * pcn_load_on_message - handle PCN_TYPE_LOAD: check, count, or answer a message
 * @msg:	the message
 *
 * Context: the poll of its channel; does not sleep.
 */
void pcn_load_on_message(const struct pcn_message *msg)
{
	struct load_receiver *r = &receivers[msg->kid][msg->channel];
	enum load_mode mode;

	if (msg->request) {
		/* If there is no memory for it, the asking side sees that. */
		pcn_msg_reply(msg, 0, msg->payload, msg->length);
		return;
	}
	mode = READ_ONCE(r->mode);
	if (mode == MODE_CHECK)
		check_message(msg, r);
	if (mode == MODE_CHECK || mode == MODE_COUNT)
		WRITE_ONCE(r->received, r->received + 1);
}

static void set_receiver(unsigned int kid, enum load_mode mode)
{
	unsigned int channel;

	for (channel = 0; channel < PCN_CHANNELS; channel++)
		receivers[kid][channel] = (struct load_receiver) { mode };
}

/* --- sending --- */

/**
 * pcn_load_confirm - wait until a peer has handled all that was sent to it before
 * @kid:	the peer
 * @channel:	on which channel
 *
 * Context: process; sleeps.
 * Return: 0, or errors of pcn_msg_call().
 */
int pcn_load_confirm(unsigned int kid, enum pcn_channel channel)
{
	return pcn_msg_call(kid, channel, PCN_TYPE_LOAD, NULL, 0, NULL, NULL,
			    LOAD_ANSWER_MS);
}

static void keep_rate(const struct load_sender *s)
{
	u64 due, now;

	if (!plan.rate)
		return;
	due = s->began + s->sent * NSEC_PER_SEC / plan.rate;
	now = ktime_get_ns();
	if (due > now)
		fsleep((due - now) / NSEC_PER_USEC);
}

/* Those that have found no room sleep here. */
static DECLARE_WAIT_QUEUE_HEAD(try_again);

/**
 * pcn_load_room - there may be room for what was tried
 * @kid:	unused
 *
 * Context: a poll.
 */
void pcn_load_room(unsigned int kid)
{
	wake_up_all(&try_again);
}

static int try_one(const struct load_sender *s, const void *payload, u32 length)
{
	u32 first = min(length, 16U);
	struct kvec parts[] = {
		{ (void *)payload, first },
		{ (void *)payload + first, length - first },
	};
	int err;

	/* A call between the try and the sleep ends the sleep. */
	wait_event(try_again, (err = pcn_msg_try(s->kid, s->channel, PCN_TYPE_LOAD, parts,
						 ARRAY_SIZE(parts))) != -EAGAIN);
	return err;
}

static int send_one(const struct load_sender *s, const void *payload, u32 length)
{
	if (plan.tries)
		return try_one(s, payload, length);
	return pcn_msg_send(s->kid, s->channel, PCN_TYPE_LOAD, payload, length);
}

/* The message in the middle of a stream. Without payload, it has no last byte. */
static int send_faulty(const struct load_sender *s, u8 *payload, u32 length)
{
	switch (length ? plan.fault : LOAD_FAULT_LOST) {
	case LOAD_FAULT_LOST:
		return 0;
	case LOAD_FAULT_TWICE:
		return send_one(s, payload, length) ?:
		       send_one(s, payload, length);
	case LOAD_FAULT_DAMAGED:
		payload[length - 1] ^= 1;
		return send_one(s, payload, length);
	default:
		return send_one(s, payload, length - 1);
	}
}

static int send_stream(struct load_sender *s, u64 *payload)
{
	u64 key;
	u32 length;
	int err;

	while (s->sent < plan.messages && !READ_ONCE(stopping)) {
		if (READ_ONCE(s->lost))
			return -EHOSTDOWN;
		key = pcn_load_key(&plan, pcn_self(), s->kid, s->channel, s->sent);
		length = pcn_load_length(&plan, s->channel, key);
		pcn_load_fill(payload, length, key, s->sent);
		if (plan.fault && s->sent == plan.messages / 2)
			err = send_faulty(s, (u8 *)payload, length);
		else
			err = send_one(s, payload, length);
		if (err)
			return err;
		WRITE_ONCE(s->sent, s->sent + 1);
		keep_rate(s);
		cond_resched();
	}
	return pcn_load_confirm(s->kid, s->channel);
}

/**
 * pcn_load_alloc_payload - memory for the longest message of a channel
 * @channel:	the channel
 *
 * Context: process; sleeps for memory.
 * Return: zeroes, to be given to kvfree(); or NULL.
 */
void *pcn_load_alloc_payload(enum pcn_channel channel)
{
	return kvzalloc(round_up(pcn_msg_limit(channel), 8), GFP_KERNEL);
}

static void note_end(struct load_sender *s, int err)
{
	s->ended = ktime_get_ns();
	if (err == -EHOSTDOWN) {
		WRITE_ONCE(s->lost, true);
	} else if (err) {
		s->errors++;
		pr_err("sending to kernel %u, channel %s, failed after %llu messages: %d\n",
		       s->kid, pcn_channel_name(s->channel), s->sent, err);
	}
}

static int run_sender(void *arg)
{
	struct load_sender *s = arg;
	u64 *payload = pcn_load_alloc_payload(s->channel);

	note_end(s, payload ? send_stream(s, payload) : -ENOMEM);
	kvfree(payload);
	/* Pairs with the acquire in pcn_load_running(): the counts are final. */
	atomic_dec_return_release(&running);
	return 0;
}

static void start_sender(unsigned int kid, enum pcn_channel channel)
{
	struct load_sender *s = &senders[kid][channel];
	struct task_struct *task;

	*s = (struct load_sender) {
		.kid = kid,
		.channel = channel,
		.began = ktime_get_ns(),
	};
	atomic_inc(&running);
	task = kthread_run(run_sender, s, "pcn_load/%u.%u", kid, channel);
	if (IS_ERR(task)) {
		note_end(s, PTR_ERR(task));
		atomic_dec(&running);
	}
}

/* --- a run --- */

/**
 * pcn_load_running - how many streams this kernel is sending
 *
 * If none, what pcn_load_collect() says of them is final.
 *
 * Context: any.
 * Return: their number.
 */
u32 pcn_load_running(void)
{
	/* Pairs with the release in run_sender(). */
	return atomic_read_acquire(&running);
}

/**
 * pcn_load_stop - let this kernel send no more
 *
 * Its senders end soon: see pcn_load_running().
 *
 * Context: process, with pcn_load_local_lock held.
 */
void pcn_load_stop(void)
{
	lockdep_assert_held(&pcn_load_local_lock);
	WRITE_ONCE(stopping, true);
}

/**
 * pcn_load_prepare - expect the streams of a run
 * @new:	its plan
 *
 * Context: process, with pcn_load_local_lock held.
 * Return: 0, or -EBUSY this kernel still sends.
 */
int pcn_load_prepare(const struct load_plan *new)
{
	unsigned int kid;

	lockdep_assert_held(&pcn_load_local_lock);
	if (pcn_load_running())
		return -EBUSY;
	plan = *new;
	memset(senders, 0, sizeof(senders));
	for (kid = 0; kid < PCN_KERNELS_MAX; kid++)
		set_receiver(kid, MODE_CHECK);
	return 0;
}

/**
 * pcn_load_start - send the streams of a run
 * @final:	its plan; it has fewer kernels than when it was prepared if one went down
 *
 * Context: process, with pcn_load_local_lock held; sleeps.
 * Return: 0, or -ESTALE another run was prepared, or none.
 */
int pcn_load_start(const struct load_plan *final)
{
	unsigned long kernels = final->kernels, channels = final->channels;
	unsigned int kid, channel;

	lockdep_assert_held(&pcn_load_local_lock);
	if (final->run != plan.run)
		return -ESTALE;
	WRITE_ONCE(stopping, false);
	for_each_set_bit(kid, &kernels, PCN_KERNELS_MAX) {
		if (kid == pcn_self())
			continue;
		for_each_set_bit(channel, &channels, PCN_CHANNELS)
			start_sender(kid, channel);
	}
	return 0;
}

/**
 * pcn_load_sink - from now on count what a peer sends, whatever it is
 * @kid:	the peer
 *
 * Context: process, with pcn_load_local_lock held.
 */
void pcn_load_sink(unsigned int kid)
{
	lockdep_assert_held(&pcn_load_local_lock);
	set_receiver(kid, MODE_COUNT);
}

/**
 * pcn_load_collect - say what went to and came from a peer
 * @request:	names the peer and the run
 * @reply:	receives the counts of all channels
 *
 * Context: process, with pcn_load_local_lock held.
 * Return: 0; -EINVAL no such peer; -ESTALE the run is not the last one here.
 */
int pcn_load_collect(const struct load_request *request, struct load_reply *reply)
{
	const struct load_receiver *r;
	const struct load_sender *s;
	unsigned int i;

	lockdep_assert_held(&pcn_load_local_lock);
	if (request->peer >= PCN_KERNELS_MAX)
		return -EINVAL;
	/* This kernel may have been restarted since. */
	if (request->plan.run != plan.run)
		return -ESTALE;
	for (i = 0; i < PCN_CHANNELS; i++) {
		s = &senders[request->peer][i];
		r = &receivers[request->peer][i];
		reply->channel[i] = (struct load_counts) {
			.sent = READ_ONCE(s->sent),
			.errors = s->errors,
			.received = READ_ONCE(r->received),
			.damaged = READ_ONCE(r->damaged),
			.began = s->began,
			.ended = s->ended,
			.lost = s->lost || r->mode == MODE_LOST,
		};
	}
	return 0;
}

/**
 * pcn_load_peer_down - a peer went down: end the streams from and to it
 * @watch:	unused
 * @kid:	the peer
 *
 * Its next life does not know of this run, and is to be sent nothing of it.
 *
 * Context: process; sleeps.
 */
void pcn_load_peer_down(struct pcn_peer_notifier *watch, unsigned int kid)
{
	unsigned int channel;

	mutex_lock(&pcn_load_local_lock);
	set_receiver(kid, MODE_LOST);
	for (channel = 0; channel < PCN_CHANNELS; channel++)
		WRITE_ONCE(senders[kid][channel].lost, true);
	mutex_unlock(&pcn_load_local_lock);
	wake_up_all(&try_again);
}

/**
 * pcn_load_show_senders - show what this kernel sends
 * @m:	where to
 *
 * Context: process; sleeps.
 */
void pcn_load_show_senders(struct seq_file *m)
{
	const struct load_sender *s;
	unsigned int i;

	mutex_lock(&pcn_load_local_lock);
	seq_printf(m, "running=%d\n", atomic_read(&running));
	for (i = 0; i < PCN_KERNELS_MAX * PCN_CHANNELS; i++) {
		s = &senders[0][0] + i;
		if (s->began)
			seq_printf(m, "%u %s sent=%llu of=%u\n", s->kid,
				   pcn_channel_name(s->channel),
				   READ_ONCE(s->sent), plan.messages);
	}
	mutex_unlock(&pcn_load_local_lock);
}

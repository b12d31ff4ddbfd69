// SPDX-License-Identifier: GPL-2.0
/*
 * Load generator: tests and measures messages while all kernels send at once.
 *
 * A stream is what one kernel sends to one other on one channel in one run.
 * Length and content of its n-th message follow from the run's seed, the
 * stream and n. A receiver thus needs no more than a count to know exactly what
 * comes next: a message that is lost, doubled, overtaken or damaged is not what
 * is due, and neither is any after it.
 *
 * The kernel whose files in /sys/kernel/debug/popcorn are written drives all others
 * by requests. A run goes in three steps, so that no message meets a
 * receiver that does not know of it: all stop what they send, all learn what
 * will come, all begin. A sender is at its end when the receiver has answered a
 * request that came after its last message, on the same channel: then nothing
 * of the stream is under way any more.
 *
 *   load	starts a run, or stops it; shows what this kernel sends
 *   result	what became of the run that was started here
 *   latency	round trips of a request to one kernel
 *   throughput	bytes per second to one kernel
 *
 * Locks, outermost first: drive_lock is held while waiting for other kernels,
 * and never by what answers them; local_lock is held by whatever changes what
 * this kernel sends or expects, and never while waiting for a message.
 */
#define pr_fmt(fmt) "popcorn: load: " fmt

#include <linux/bitmap.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <popcorn/core.h>
#include <popcorn/hooks.h>
#include <popcorn/msg.h>
#include <popcorn/partition.h>

/* For how long a request may take when everything is busy, ms. */
#define ANSWER_MS	60000
/* For how long a run may take to stop, and how often to look, ms. */
#define STOP_MS		60000
#define LOOK_MS		10
/* Most round trips that are measured at once: each is remembered. */
#define SAMPLES_MAX	1000000

/* Of load_plan.size: not a number of bytes. */
#define SIZE_RANDOM	U32_MAX
#define SIZE_LIMIT	(U32_MAX - 1)

/** enum load_fault - what senders do wrong once, for the receiver to find */
enum load_fault {
	FAULT_NONE,
	FAULT_LOST,	/* the message in the middle is left out */
	FAULT_TWICE,	/* it is sent twice */
	FAULT_DAMAGED,	/* its last byte is not right */
	FAULT_SHORT,	/* its last byte is missing */
	FAULTS
};

static const char * const fault_names[FAULTS] = {
	[FAULT_NONE]	= "none",
	[FAULT_LOST]	= "lost",
	[FAULT_TWICE]	= "twice",
	[FAULT_DAMAGED]	= "damaged",
	[FAULT_SHORT]	= "short",
};

/**
 * struct load_plan - what is sent in a run
 * @run:	names the run
 * @seed:	what lengths and contents are made from
 * @kernels:	mask of kernels, each of which sends to each other
 * @messages:	in each stream
 * @size:	bytes of each message, SIZE_RANDOM or SIZE_LIMIT
 * @channels:	mask of channels
 * @rate:	messages per second in each stream; 0: as fast as they go
 * @fault:	enum load_fault
 * @pad:	zero
 */
struct load_plan {
	u64	run;
	u64	seed;
	u64	kernels;
	u32	messages;
	u32	size;
	u32	channels;
	u32	rate;
	u32	fault;
	u32	pad;
};

/** enum load_verb - what a kernel is asked to do */
enum load_verb {
	LOAD_STOP,	/* send no more */
	LOAD_PREPARE,	/* expect what the plan says */
	LOAD_START,	/* send what the plan says */
	LOAD_SINK,	/* do not look at what the asking kernel sends */
	LOAD_COLLECT,	/* say what went to and came from a peer */
	LOAD_RUNNING,	/* say how much is still being sent */
};

/**
 * struct load_request - payload of a PCN_TYPE_LOAD_CONTROL request
 * @verb:	enum load_verb
 * @peer:	for LOAD_COLLECT
 * @plan:	for LOAD_PREPARE and LOAD_START; LOAD_COLLECT needs its run
 */
struct load_request {
	u32			verb;
	u32			peer;
	struct load_plan	plan;
};

/**
 * struct load_counts - what a kernel knows of the streams to and from a peer
 * @sent:	messages sent
 * @errors:	sends that failed, other than since the peer died
 * @received:	messages that came
 * @damaged:	those that were not what was due
 * @began:	when sending began, ns
 * @ended:	when the last message was known to be received, ns
 * @lost:	nonzero: the peer went down, counts mean nothing
 * @pad:	zero
 */
struct load_counts {
	u64	sent;
	u64	errors;
	u64	received;
	u64	damaged;
	u64	began;
	u64	ended;
	u32	lost;
	u32	pad;
};

/**
 * struct load_reply - answer to every load_request
 * @running:	streams that this kernel is sending
 * @pad:	zero
 * @channel:	of LOAD_COLLECT
 */
struct load_reply {
	u32			running;
	u32			pad;
	struct load_counts	channel[PCN_CHANNELS];
};

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

static DEFINE_MUTEX(drive_lock);
static DEFINE_MUTEX(local_lock);

/* The run as this kernel knows it: constant while something is sent. */
static struct load_plan plan;
static struct load_sender senders[PCN_KERNELS_MAX][PCN_CHANNELS];
static struct load_receiver receivers[PCN_KERNELS_MAX][PCN_CHANNELS];
static atomic_t running;
static bool stopping;

/* --- what a message is --- */

static u64 load_mix(u64 x)
{
	/* The finaliser of MurmurHash3: a bijection in which each bit counts. */
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return x ^ x >> 33;
}

/* What all of a message follows from. Never 0, where xorshift would stay. */
static u64 message_key(unsigned int from, unsigned int to,
		       enum pcn_channel channel, u64 index)
{
	u64 stream = (u64)from << 40 | (u64)to << 32 | (u64)channel << 24;

	return load_mix(load_mix(plan.seed ^ stream) + index) | 1;
}

static u64 next_word(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Mostly short ones, and now and then each size where something changes. */
static u32 random_length(u64 key, u32 limit)
{
	u32 bits = key >> 32, which = key >> 8 & 63;

	switch (which) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 2:
		return limit;
	case 3:
		return limit - 1;
	case 4:
		return min_t(u32, PAGE_SIZE, limit);
	case 5 ... 6:
		return bits % (limit + 1);
	default:
		return bits % 257;
	}
}

static u32 message_length(enum pcn_channel channel, u64 key)
{
	u32 limit = pcn_msg_limit(channel);

	if (plan.size == SIZE_RANDOM)
		return min(random_length(key, limit), limit);
	return min(plan.size, limit);
}

/* Word i of a message; to be called in order. A longer one tells its index. */
static u64 message_word(u64 *state, u32 i, u32 length, u64 index)
{
	u64 word = next_word(state);

	return i == 0 && length >= 16 ? index : word;
}

static void load_fill(u64 *payload, u32 length, u64 key, u64 index)
{
	u32 i;

	for (i = 0; i < DIV_ROUND_UP(length, 8); i++)
		payload[i] = message_word(&key, i, length, index);
}

static bool is_intact(const u64 *payload, u32 length, u64 key, u64 index)
{
	u64 word;
	u32 i;

	for (i = 0; i < length / 8; i++)
		if (payload[i] != message_word(&key, i, length, index))
			return false;
	word = message_word(&key, i, length, index);
	return !memcmp(payload + i, &word, length % 8);
}

/* --- receiving --- */

/* The first one of a stream says what went wrong; all after it are wrong. */
static void load_complain(const struct pcn_message *msg, u64 index, u32 length)
{
	u64 told = msg->length >= 16 ? *(u64 *)msg->payload : U64_MAX;

	pr_err("kernel %u, %s: message %llu of %u bytes is due, came %u bytes that say %lld\n",
	       msg->kid, pcn_channel_name(msg->channel), index, length,
	       msg->length, told);
}

static void check_message(const struct pcn_message *msg, struct load_receiver *r)
{
	u64 index = r->received;
	u64 key = message_key(msg->kid, pcn_self(), msg->channel, index);
	u32 length = message_length(msg->channel, key);

	if (msg->length == length &&
	    is_intact(msg->payload, length, key, index))
		return;
	if (!r->damaged)
		load_complain(msg, index, length);
	WRITE_ONCE(r->damaged, r->damaged + 1);
}

static void handle_load(const struct pcn_message *msg)
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

/* Comes back when the peer has handled all that was sent to it before. */
static int load_confirm(unsigned int kid, enum pcn_channel channel)
{
	return pcn_msg_call(kid, channel, PCN_TYPE_LOAD, NULL, 0, NULL, NULL,
			    ANSWER_MS);
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

static int send_one(const struct load_sender *s, const void *payload, u32 length)
{
	return pcn_msg_send(s->kid, s->channel, PCN_TYPE_LOAD, payload, length);
}

/* The message in the middle of a stream. Without payload, it has no last byte. */
static int send_faulty(const struct load_sender *s, u8 *payload, u32 length)
{
	switch (length ? plan.fault : FAULT_LOST) {
	case FAULT_LOST:
		return 0;
	case FAULT_TWICE:
		return send_one(s, payload, length) ?:
		       send_one(s, payload, length);
	case FAULT_DAMAGED:
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
		key = message_key(pcn_self(), s->kid, s->channel, s->sent);
		length = message_length(s->channel, key);
		load_fill(payload, length, key, s->sent);
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
	return load_confirm(s->kid, s->channel);
}

static void *alloc_payload(enum pcn_channel channel)
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
		pr_err("to kernel %u, %s: error %d after %llu messages\n",
		       s->kid, pcn_channel_name(s->channel), err, s->sent);
	}
}

static int run_sender(void *arg)
{
	struct load_sender *s = arg;
	u64 *payload = alloc_payload(s->channel);

	note_end(s, payload ? send_stream(s, payload) : -ENOMEM);
	kvfree(payload);
	/* Pairs with the acquire in is_running(): the counts are final. */
	atomic_dec_return_release(&running);
	return 0;
}

static bool is_running(void)
{
	/* Pairs with the release in run_sender(). */
	return atomic_read_acquire(&running);
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

/* --- what other kernels ask --- */

static int prepare_run(const struct load_plan *new)
{
	unsigned int kid;

	if (is_running())
		return -EBUSY;
	plan = *new;
	memset(senders, 0, sizeof(senders));
	for (kid = 0; kid < PCN_KERNELS_MAX; kid++)
		set_receiver(kid, MODE_CHECK);
	return 0;
}

/* The plan has less kernels than when it was prepared if one went down. */
static int start_run(const struct load_plan *final)
{
	unsigned long kernels = final->kernels, channels = final->channels;
	unsigned int kid, channel;

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

static int load_collect(const struct load_request *request, struct load_reply *reply)
{
	const struct load_receiver *r;
	const struct load_sender *s;
	unsigned int i;

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

static int load_obey_locked(unsigned int from, const struct load_request *request,
			    struct load_reply *reply)
{
	switch (request->verb) {
	case LOAD_STOP:
		WRITE_ONCE(stopping, true);
		return 0;
	case LOAD_PREPARE:
		return prepare_run(&request->plan);
	case LOAD_START:
		return start_run(&request->plan);
	case LOAD_SINK:
		set_receiver(from, MODE_COUNT);
		return 0;
	case LOAD_COLLECT:
		return load_collect(request, reply);
	case LOAD_RUNNING:
		return 0;
	default:
		return -EINVAL;
	}
}

static int load_obey(unsigned int from, const struct load_request *request,
		     struct load_reply *reply)
{
	int err;

	mutex_lock(&local_lock);
	/* Before the counts: when it says 0, they are final. */
	reply->running = atomic_read_acquire(&running);
	err = load_obey_locked(from, request, reply);
	mutex_unlock(&local_lock);
	return err;
}

static void handle_control(const struct pcn_message *msg)
{
	struct load_reply reply = {};
	int err = -EINVAL;

	if (msg->length == sizeof(struct load_request))
		err = load_obey(msg->kid, msg->payload, &reply);
	pcn_msg_reply(msg, err, &reply, sizeof(reply));
}

/* Its next life does not know of this run, and is to be sent nothing of it. */
static void load_peer_down(struct pcn_peer_notifier *watch, unsigned int kid)
{
	unsigned int channel;

	mutex_lock(&local_lock);
	set_receiver(kid, MODE_LOST);
	for (channel = 0; channel < PCN_CHANNELS; channel++)
		WRITE_ONCE(senders[kid][channel].lost, true);
	mutex_unlock(&local_lock);
}

static struct pcn_peer_notifier peer_watch = {
	.down = load_peer_down,
};

/* --- asking other kernels --- */

static int load_ask(unsigned int kid, enum load_verb verb, unsigned int peer,
		    const struct load_plan *about, struct load_reply *reply)
{
	struct load_request request = { .verb = verb, .peer = peer };
	u32 length = sizeof(*reply);
	int err;

	if (about)
		request.plan = *about;
	memset(reply, 0, sizeof(*reply));
	if (kid == pcn_self())
		return load_obey(kid, &request, reply);
	err = pcn_msg_call(kid, PCN_CONTROL, PCN_TYPE_LOAD_CONTROL, &request,
			   sizeof(request), reply, &length, ANSWER_MS);
	if (!err && length != sizeof(*reply))
		err = -EPROTO;
	return err;
}

/* Asks all kernels of a plan; drops those that are down from it. */
static int load_ask_all(enum load_verb verb, struct load_plan *about, u32 *sum)
{
	unsigned long kernels = about->kernels;
	struct load_reply reply;
	unsigned int kid;
	int err;

	*sum = 0;
	for_each_set_bit(kid, &kernels, PCN_KERNELS_MAX) {
		err = load_ask(kid, verb, 0, about, &reply);
		if (err == -EHOSTDOWN || err == -EPROTO)
			about->kernels &= ~BIT_ULL(kid);
		else if (err)
			return err;
		*sum += reply.running;
	}
	return 0;
}

static int load_stop_all(struct load_plan *about)
{
	unsigned int waited;
	u32 sum;
	int err;

	for (waited = 0; waited < STOP_MS; waited += LOOK_MS) {
		err = load_ask_all(LOAD_STOP, about, &sum);
		if (err || !sum)
			return err;
		if (msleep_interruptible(LOOK_MS))
			return -EINTR;
	}
	return -ETIMEDOUT;
}

/* --- what is written to the files --- */

/**
 * struct load_arguments - what somebody has asked for
 * @plan:	of a run
 * @kid:	the peer that is measured
 * @idle_us:	how long to sleep between two round trips
 * @stop:	no new run
 */
struct load_arguments {
	struct load_plan	plan;
	u32			kid;
	u32			idle_us;
	bool			stop;
};

static int parse_kernels(const char *value, struct load_arguments *to)
{
	DECLARE_BITMAP(kernels, PCN_KERNELS_MAX);
	int err = bitmap_parselist(value, kernels, PCN_KERNELS_MAX);

	bitmap_to_arr64(&to->plan.kernels, kernels, PCN_KERNELS_MAX);
	return err;
}

static int parse_messages(const char *value, struct load_arguments *to)
{
	return kstrtou32(value, 0, &to->plan.messages);
}

static int parse_channel(const char *name)
{
	unsigned int channel;

	for (channel = 0; channel < PCN_CHANNELS; channel++)
		if (!strcmp(name, pcn_channel_name(channel)))
			return channel;
	return -EINVAL;
}

static int parse_channels(const char *value, struct load_arguments *to)
{
	char names[64], *rest = names, *name;
	int channel;

	if (strscpy(names, value, sizeof(names)) < 0)
		return -EINVAL;
	to->plan.channels = 0;
	while ((name = strsep(&rest, ","))) {
		channel = parse_channel(name);
		if (channel < 0)
			return channel;
		to->plan.channels |= BIT(channel);
	}
	return 0;
}

static int parse_size(const char *value, struct load_arguments *to)
{
	to->plan.size = SIZE_RANDOM;
	if (!strcmp(value, "random"))
		return 0;
	to->plan.size = SIZE_LIMIT;
	if (!strcmp(value, "max"))
		return 0;
	return kstrtou32(value, 0, &to->plan.size);
}

static int parse_seed(const char *value, struct load_arguments *to)
{
	return kstrtou64(value, 0, &to->plan.seed);
}

static int parse_rate(const char *value, struct load_arguments *to)
{
	return kstrtou32(value, 0, &to->plan.rate);
}

static int parse_fault(const char *value, struct load_arguments *to)
{
	int fault = match_string(fault_names, FAULTS, value);

	if (fault < 0)
		return fault;
	to->plan.fault = fault;
	return 0;
}

static int parse_kid(const char *value, struct load_arguments *to)
{
	int err = kstrtou32(value, 0, &to->kid);

	return err ?: to->kid < PCN_KERNELS_MAX ? 0 : -EINVAL;
}

static int parse_idle(const char *value, struct load_arguments *to)
{
	return kstrtou32(value, 0, &to->idle_us);
}

static int parse_stop(const char *value, struct load_arguments *to)
{
	to->stop = true;
	return value ? -EINVAL : 0;
}

static const struct {
	const char *name;
	bool has_value;
	int (*parse)(const char *value, struct load_arguments *to);
} keys[] = {
	{ "kernels",	true,	parse_kernels },
	{ "messages",	true,	parse_messages },
	{ "count",	true,	parse_messages },
	{ "channels",	true,	parse_channels },
	{ "channel",	true,	parse_channels },
	{ "size",	true,	parse_size },
	{ "seed",	true,	parse_seed },
	{ "rate",	true,	parse_rate },
	{ "fault",	true,	parse_fault },
	{ "kid",	true,	parse_kid },
	{ "idle_us",	true,	parse_idle },
	{ "stop",	false,	parse_stop },
};

static int parse_word(char *word, struct load_arguments *to)
{
	const char *name = strsep(&word, "=");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(name, keys[i].name) && !word == !keys[i].has_value)
			return keys[i].parse(word, to);
	return -EINVAL;
}

static int load_parse(char *text, struct load_arguments *to)
{
	char *word;
	int err;

	*to = (struct load_arguments) {
		.plan = {
			.seed = 1,
			.kernels = pcn_peers_up() | BIT_ULL(pcn_self()),
			.messages = 1000,
			.size = SIZE_RANDOM,
			.channels = BIT(PCN_CHANNELS) - 1,
		},
	};
	while ((word = strsep(&text, " \t\n"))) {
		err = *word ? parse_word(word, to) : 0;
		if (err)
			return err;
	}
	return 0;
}

/* Parses what was written to a file and does it, one at a time. */
static ssize_t do_write(const char __user *from, size_t count,
			int (*act)(struct load_arguments *arguments))
{
	struct load_arguments arguments;
	char text[256];
	int err;

	if (count >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, from, count))
		return -EFAULT;
	text[count] = '\0';
	err = load_parse(text, &arguments);
	if (err)
		return err;
	if (mutex_lock_interruptible(&drive_lock))
		return -EINTR;
	err = act(&arguments);
	mutex_unlock(&drive_lock);
	return err ?: count;
}

/* --- load --- */

/* The run that was started here; drive_lock. */
static struct load_plan driven;

static int start_load(struct load_arguments *arguments)
{
	struct load_plan *new = &arguments->plan;
	/* Also those that are in the run that goes on. */
	struct load_plan old = { .kernels = new->kernels | driven.kernels };
	u32 sum;
	int err;

	err = load_stop_all(&old);
	if (err || arguments->stop)
		return err;
	new->run = ktime_get_ns();
	driven = *new;
	err = load_ask_all(LOAD_PREPARE, new, &sum);
	return err ?: load_ask_all(LOAD_START, new, &sum);
}

static ssize_t load_write(struct file *file, const char __user *from,
			  size_t count, loff_t *at)
{
	return do_write(from, count, start_load);
}

static int load_show(struct seq_file *m, void *unused)
{
	const struct load_sender *s;
	unsigned int i;

	mutex_lock(&local_lock);
	seq_printf(m, "running=%d\n", atomic_read(&running));
	for (i = 0; i < PCN_KERNELS_MAX * PCN_CHANNELS; i++) {
		s = &senders[0][0] + i;
		if (s->began)
			seq_printf(m, "%u %s sent=%llu of=%u\n", s->kid,
				   pcn_channel_name(s->channel),
				   READ_ONCE(s->sent), plan.messages);
	}
	mutex_unlock(&local_lock);
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

	err = load_ask(from, LOAD_COLLECT, to, &driven, &out);
	if (!err)
		err = load_ask(to, LOAD_COLLECT, from, &driven, &in);
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
		if (!load_ask(kid, LOAD_RUNNING, 0, NULL, &reply))
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
	if (mutex_lock_interruptible(&drive_lock))
		return -EINTR;
	show_result(m);
	mutex_unlock(&drive_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(result);

/* --- latency --- */

/* What was measured last, ns; drive_lock. */
static struct {
	u32	count;
	u64	min;
	u64	median;
	u64	p99;
	u64	max;
} latency;

static int check_measurement(const struct load_arguments *a)
{
	const struct load_plan *p = &a->plan;

	if (a->stop || a->kid == pcn_self() || !p->messages ||
	    p->messages > SAMPLES_MAX || hweight32(p->channels) != 1)
		return -EINVAL;
	return 0;
}

static int round_trip(const struct load_arguments *a, const void *payload,
		      void *answer, u64 *ns)
{
	enum pcn_channel channel = __ffs(a->plan.channels);
	u32 size = min(a->plan.size, pcn_msg_limit(channel));
	u32 length = size;
	u64 began = ktime_get_ns();
	int err = pcn_msg_call(a->kid, channel, PCN_TYPE_LOAD, payload, size,
			       answer, &length, ANSWER_MS);

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
	payload = alloc_payload(__ffs(a->plan.channels));
	answer = alloc_payload(__ffs(a->plan.channels));
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
	return do_write(from, count, measure_latency);
}

static int latency_show(struct seq_file *m, void *unused)
{
	if (mutex_lock_interruptible(&drive_lock))
		return -EINTR;
	seq_printf(m, "count=%u min=%llu median=%llu p99=%llu max=%llu\n",
		   latency.count, latency.min, latency.median, latency.p99,
		   latency.max);
	mutex_unlock(&drive_lock);
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(latency);

/* --- throughput --- */

/* What was measured last; drive_lock. */
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
	return load_confirm(a->kid, channel);
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
	err = load_ask(a->kid, LOAD_SINK, 0, NULL, &reply);
	if (err)
		return err;
	channel = __ffs(a->plan.channels);
	size = min(a->plan.size, pcn_msg_limit(channel));
	payload = alloc_payload(channel);
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
	return do_write(from, count, measure_throughput);
}

static int throughput_show(struct seq_file *m, void *unused)
{
	u64 us;

	if (mutex_lock_interruptible(&drive_lock))
		return -EINTR;
	us = max_t(u64, throughput.ns / NSEC_PER_USEC, 1);
	seq_printf(m, "messages=%llu bytes=%llu ns=%llu bytes_per_s=%llu messages_per_s=%llu\n",
		   throughput.messages, throughput.bytes, throughput.ns,
		   throughput.bytes * USEC_PER_SEC / us,
		   throughput.messages * USEC_PER_SEC / us);
	mutex_unlock(&drive_lock);
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(throughput);

/* --- initialisation --- */

static const struct pcn_msg_type types[] = {
	{ "load", PCN_CONTROL, PCN_TYPE_LOAD, false, handle_load },
	{ "load", PCN_COHERENCY, PCN_TYPE_LOAD, false, handle_load },
	{ "load", PCN_NETWORK, PCN_TYPE_LOAD, false, handle_load },
	{ "load", PCN_TTY, PCN_TYPE_LOAD, false, handle_load },
	{ "load control", PCN_CONTROL, PCN_TYPE_LOAD_CONTROL, true,
	  handle_control },
};

static int __init load_register(void)
{
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		err = pcn_msg_register(&types[i]);
		if (err)
			break;
	}
	if (!err)
		err = pcn_peers_subscribe(&peer_watch);
	while (err && i--)
		pcn_msg_unregister(&types[i]);
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
	pcn_debug_file("latency", 0600, &latency_fops);
	pcn_debug_file("throughput", 0600, &throughput_fops);
	return 0;
}
late_initcall(load_init);

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the load generator share:
 *
 *	load.c		runs that are started here, and their results; begin with this
 *	load_content.c	what a message is
 *	load_stream.c	streams, as this kernel sends and receives them
 *	load_control.c	what kernels ask of each other in a run
 *	load_args.c	what is written to the files
 *	load_measure.c	latency and throughput
 */
#ifndef _MSG_LAYER_LOAD_H
#define _MSG_LAYER_LOAD_H

#include <linux/mutex.h>
#include <linux/types.h>

#include <popcorn/msg.h>

struct seq_file;

/* For how long a request may take when everything is busy, ms. */
#define LOAD_ANSWER_MS		60000

/* Of load_plan.size: not a number of bytes. */
#define LOAD_SIZE_RANDOM	U32_MAX
#define LOAD_SIZE_LIMIT		(U32_MAX - 1)

/** enum load_fault - what senders do wrong once, for the receiver to find */
enum load_fault {
	LOAD_FAULT_NONE,
	LOAD_FAULT_LOST,	/* the message in the middle is left out */
	LOAD_FAULT_TWICE,	/* it is sent twice */
	LOAD_FAULT_DAMAGED,	/* its last byte is not right */
	LOAD_FAULT_SHORT,	/* its last byte is missing */
	LOAD_FAULTS
};

/**
 * struct load_plan - what is sent in a run
 * @run:	names the run
 * @seed:	what lengths and contents are made from
 * @kernels:	mask of kernels, each of which sends to each other
 * @messages:	in each stream
 * @size:	bytes of each message, LOAD_SIZE_RANDOM or LOAD_SIZE_LIMIT
 * @channels:	mask of channels
 * @rate:	messages per second in each stream; 0: as fast as they go
 * @fault:	enum load_fault
 * @tries:	nonzero: use pcn_msg_try(), and have the payload in several parts
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
	u32	tries;
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

extern struct mutex pcn_load_drive_lock;
extern struct mutex pcn_load_local_lock;

/* load_content.c */
u64 pcn_load_key(const struct load_plan *plan, unsigned int from, unsigned int to,
		 enum pcn_channel channel, u64 index);
u32 pcn_load_length(const struct load_plan *plan, enum pcn_channel channel, u64 key);
void pcn_load_fill(u64 *payload, u32 length, u64 key, u64 index);
bool pcn_load_is_intact(const u64 *payload, u32 length, u64 key, u64 index);

/* load_stream.c */
void pcn_load_on_message(const struct pcn_message *msg);
void pcn_load_room(unsigned int kid);
void pcn_load_peer_down(struct pcn_peer_notifier *watch, unsigned int kid);
int pcn_load_confirm(unsigned int kid, enum pcn_channel channel);
void *pcn_load_alloc_payload(enum pcn_channel channel);
u32 pcn_load_running(void);
void pcn_load_stop(void);
int pcn_load_prepare(const struct load_plan *new);
int pcn_load_start(const struct load_plan *final);
void pcn_load_sink(unsigned int kid);
int pcn_load_collect(const struct load_request *request, struct load_reply *reply);
void pcn_load_show_senders(struct seq_file *m);

/* load_control.c */
void pcn_load_on_control(const struct pcn_message *msg);
int pcn_load_ask(unsigned int kid, enum load_verb verb, unsigned int peer,
		 const struct load_plan *about, struct load_reply *reply);
int pcn_load_ask_all(enum load_verb verb, struct load_plan *about, u32 *sum);
int pcn_load_stop_all(struct load_plan *about);

/* load_args.c */
ssize_t pcn_load_write(const char __user *from, size_t count,
		       int (*act)(struct load_arguments *arguments));

/* load_measure.c */
void pcn_load_measure_init(void);

#endif /* _MSG_LAYER_LOAD_H */

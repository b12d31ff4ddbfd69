/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Messages between the kernels of a machine.
 *
 * A message has a channel, a type and up to pcn_msg_limit() bytes of payload.
 * Between two kernels and within a channel none is lost, duplicated or
 * overtaken; channels do not wait for each other. A service registers a handler
 * per type. Messages to a kernel that is not up fail with -EHOSTDOWN, those to
 * one whose rings are broken with -EPROTO; so do requests that wait for a reply
 * when that happens.
 *
 * Handlers never sleep and never take a lock that somebody holds while waiting
 * for another kernel: a thread that waits for a reply may run them itself. What
 * a handler sends never waits: see pcn_msg_post().
 */
#ifndef _POPCORN_MSG_H
#define _POPCORN_MSG_H

#include <linux/list.h>
#include <linux/types.h>
#include <linux/uio.h>

#include <popcorn/core.h>
#include <popcorn/window_layout.h>

/** PCN_TYPES - numbers of message types, per channel */
#define PCN_TYPES		64

/*
 * Types of the control channel. Services have numbers of their own on each
 * channel; they are part of the ABI.
 */
enum pcn_control_type {
	PCN_TYPE_PING		= 0,	/* on every channel */
	PCN_TYPE_LOAD		= 1,	/* on every channel: load generator */
	PCN_TYPE_LOAD_CONTROL	= 2,
	PCN_TYPE_PAGE_LOAD	= 3,	/* load generator of shared pages */
	PCN_TYPE_PAGE		= 8,	/* coherency: struct pcn_page_msg */
	PCN_TYPE_VMA		= 9,	/* mm/popcorn/vma.c */
	PCN_TYPE_ROUND		= 10,	/* mm/popcorn/change.c */
	PCN_TYPE_PROCESS_NEW	= 11,	/* kernel/popcorn/threads/keeper.c */
	PCN_TYPE_PROCESS_END	= 12,	/* likewise */
	PCN_TYPE_ARRIVE		= 13,	/* struct pcn_thread_msg */
	PCN_TYPE_THREAD		= 14,	/* likewise */
	PCN_TYPE_PROCESS_LOST	= 15,	/* kernel/popcorn/threads/members.c */
	PCN_TYPE_STATS		= 16,	/* mm/popcorn/stats.c */
	PCN_TYPE_USAGE		= 17,	/* kernel/popcorn/threads/usage.c */
	PCN_TYPE_RETURN		= 18,	/* mm/popcorn/shrink.c */
	PCN_TYPE_PROCESS_HOSTS	= 19,	/* kernel/popcorn/threads/members.c */
	PCN_TYPE_PROCESS_FORGOTTEN = 20, /* kernel/popcorn/threads/members.c */
	PCN_TYPE_FRAMES_ASK	= 21,	/* mm/popcorn/lend.c */
	PCN_TYPE_FRAMES		= 22,	/* coherency: the answer, mm/popcorn/borrow.c */
	PCN_TYPE_FORGET		= 23,	/* coherency: mm/popcorn/mirror.c */
	PCN_TYPE_FORGOT		= 24,	/* coherency: the reply, mm/popcorn/forget.c */
	PCN_TYPE_HOT		= 25,	/* mm/popcorn/hot.c */
	PCN_TYPE_TERMINAL	= 26,	/* tty: drivers/tty/popcorn/terminal.h */
	PCN_TYPE_NET		= 27,	/* network: frames */
	PCN_TYPE_VSOCK		= 28,	/* network: struct virtio_vsock_hdr and its data */
};

/** PCN_MSG_PARTS - places that the payload of one message may be received in */
#define PCN_MSG_PARTS		20
/** PCN_HANDLER_SENDS - messages that one run of a handler may send for sure */
#define PCN_HANDLER_SENDS	66
/** PCN_HANDLER_PAYLOAD - bytes of payload that each of them may have */
#define PCN_HANDLER_PAYLOAD	4224

/**
 * struct pcn_message - a message as a handler gets it
 * @kid:	the kernel that sent it
 * @life:	the number of its life
 * @channel:	its channel
 * @type:	its type
 * @length:	bytes of payload
 * @request:	nonzero: the sender waits for pcn_msg_reply()
 * @payload:	@length bytes, aligned to 8; the handler may change them, and they
 *		are gone when it returns. Where the type has a @buffer: NULL
 * @cookie:	what the type's @buffer has put here; otherwise NULL
 */
struct pcn_message {
	unsigned int		kid;
	u32			life;
	enum pcn_channel	channel;
	u16			type;
	u32			length;
	u64			request;
	void			*payload;
	void			*cookie;
};

/**
 * struct pcn_msg_type - a service's handler for one type of message
 * @name:	for humans
 * @channel:	on which channel it comes
 * @type:	its number there, below PCN_TYPES
 * @may_sleep:	run the handler as a work item instead of in the poll: those of
 *		one peer one after the other, in order
 * @handle:	the handler; in a kernel thread (control, coherency) or in
 *		softirq context (network, tty) unless @may_sleep
 * @ready:	NULL, or: is there all that @handle needs for one message? If not,
 *		the message stays in its ring and is looked at a tick later. Same
 *		context as @handle.
 * @no_reserve:	@handle sends nothing with pcn_msg_post() or pcn_msg_reply(), and so
 *		needs no memory for it: it runs also when there is none
 * @buffer:	NULL, or: where is the payload to be received? Puts up to PCN_MSG_PARTS
 *		places into @parts, @length bytes in all, which are the handler's from then
 *		on, and returns their number; or 0: the message is dropped, and counted in
 *		rx_dropped; or -EAGAIN: as if not @ready. For each buffer there is one call
 *		of either @handle or @discard. Same context as @handle, which must not sleep
 * @discard:	the buffer is not going to be handled, since the link has broken: take
 *		it back. There if @buffer is
 * @room:	NULL, or: there may be room again for what pcn_msg_try() has refused. It
 *		may be called without need, but not after a subscriber was told that
 *		@kid is down. In the poll of the channel: must not sleep
 */
struct pcn_msg_type {
	const char		*name;
	enum pcn_channel	channel;
	u16			type;
	bool			may_sleep;
	void (*handle)(const struct pcn_message *msg);
	bool (*ready)(void);
	bool no_reserve;
	int (*buffer)(struct pcn_message *msg, struct kvec *parts);
	void (*discard)(struct pcn_message *msg);
	void (*room)(unsigned int kid);
};

/**
 * struct pcn_reserve - memory for messages that must not fail for want of it
 * @list:	private
 * @count:	messages that there is room for
 */
struct pcn_reserve {
	struct list_head	list;
	unsigned int		count;
};

/**
 * struct pcn_linger - for how long to look for messages before sleeping
 * @ns:		nanoseconds, 0: not at all
 *
 * Grows when what was waited for came soon, shrinks when it did not: as KVM's
 * halt_poll_ns does (virt/kvm/kvm_main.c, kvm_vcpu_halt()).
 */
struct pcn_linger {
	u64	ns;
};

/**
 * struct pcn_peer_notifier - wants to know which kernels are up
 * @up:		a kernel is up; called before any message of it is handled
 * @down:	it is down, or its link broken; called after the last message
 *		of it was handled and all requests to it have failed
 * @node:	private
 *
 * Context of both: process, may sleep, but must not wait for a message. Either
 * may be NULL.
 */
struct pcn_peer_notifier {
	void (*up)(struct pcn_peer_notifier *watch, unsigned int kid);
	void (*down)(struct pcn_peer_notifier *watch, unsigned int kid);
	struct list_head node;
};

bool pcn_peer_is_up(unsigned int kid);
u64 pcn_peers_up(void);
u32 pcn_msg_limit(enum pcn_channel channel);
const char *pcn_channel_name(enum pcn_channel channel);

int pcn_msg_register(const struct pcn_msg_type *type);
void pcn_msg_unregister(const struct pcn_msg_type *type);
void pcn_msg_sync(void);
int pcn_peers_subscribe(struct pcn_peer_notifier *watch);
void pcn_peers_unsubscribe(struct pcn_peer_notifier *watch);

int pcn_msg_send(unsigned int kid, enum pcn_channel channel, u16 type,
		 const void *payload, u32 length);
int pcn_msg_post(unsigned int kid, enum pcn_channel channel, u16 type,
		 const void *payload, u32 length);
int pcn_msg_try(unsigned int kid, enum pcn_channel channel, u16 type,
		const struct kvec *parts, unsigned int n);
bool pcn_reserve_fill(struct pcn_reserve *reserve, unsigned int count, gfp_t gfp);
void pcn_reserve_empty(struct pcn_reserve *reserve);
int pcn_msg_post_from(struct pcn_reserve *reserve, unsigned int kid,
		      enum pcn_channel channel, u16 type, const void *payload,
		      u32 length);
int pcn_msg_call(unsigned int kid, enum pcn_channel channel, u16 type,
		 const void *payload, u32 length, void *reply, u32 *reply_length,
		 unsigned int limit_ms);
void pcn_msg_refuse(const struct pcn_message *msg);
int pcn_msg_reply(const struct pcn_message *msg, int status, const void *payload,
		  u32 length);
void pcn_msg_poll_until(const struct pcn_linger *linger,
			bool (*is_over)(const void *arg), const void *arg);
void pcn_linger_learn(struct pcn_linger *linger, u64 slept_ns);

#endif /* _POPCORN_MSG_H */

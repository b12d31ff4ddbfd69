// SPDX-License-Identifier: GPL-2.0
/*
 * Requests that wait for their replies, and the calls that services make.
 *
 * A request is owned by what takes it out of the table: the reply, the peer's death
 * or the requester that has waited long enough. A reply that finds no request is
 * dropped and counted.
 *
 * The id of a request has the life of the requester in its upper half. A handler that
 * replies after the requester has died may meet its next life, and does not complete
 * a request there. Within a life an id comes again after 2^32 others.
 */
#include <kunit/static_stub.h>
#include <linux/completion.h>
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/random.h>
#include <linux/sizes.h>
#include <linux/xarray.h>

#include <popcorn/core.h>

#include "internal.h"

/**
 * struct request - a request that waits for its reply
 * @done:	the reply is there, or there will be none
 * @kid:	the kernel that the reply is to come from
 * @channel:	on which channel
 * @type:	its type
 * @room:	bytes that @reply has room for
 * @length:	bytes of the reply
 * @status:	0 or a negative errno
 * @reply:	receives the payload
 */
struct request {
	struct completion	done;
	unsigned int		kid;
	enum pcn_channel	channel;
	u16			type;
	u32			room;
	u32			length;
	int			status;
	void			*reply;
};

/* For how long a thread looks for its reply by itself. */
static struct pcn_linger call_linger;

static DEFINE_XARRAY_FLAGS(pending, XA_FLAGS_ALLOC1 | XA_FLAGS_LOCK_IRQ);
static u32 next_key;

static u64 id_of(u32 key)
{
	return (u64)pcn_life() << 32 | key;
}

/**
 * pcn_requests_init - be ready for requests
 *
 * Context: initcall, before the first request.
 */
void __init pcn_requests_init(void)
{
	/* A peer that guesses finds none. */
	next_key = get_random_u32();
}

static struct pcn_msg_header header_of(enum pcn_channel channel, u16 type,
				       u32 length)
{
	return (struct pcn_msg_header) {
		.channel = channel,
		.type = type,
		.length = length,
		.source = pcn_self(),
	};
}

/* The link that a message is to go to, and whether there can be one like it. */
static int find_link_for(unsigned int kid, enum pcn_channel channel, u16 type,
			 u32 length, struct pcn_link **link)
{
	if ((unsigned int)channel >= PCN_CHANNELS || type >= PCN_TYPES)
		return -EINVAL;
	if (length > pcn_msg_limit(channel))
		return -EMSGSIZE;
	*link = pcn_link_to(kid);
	return *link ? 0 : -ENODEV;
}

/**
 * pcn_msg_send - send a message, waiting for room in the ring
 * @kid:	to which kernel
 * @channel:	on which channel
 * @type:	its type
 * @payload:	its payload
 * @length:	bytes of it
 *
 * Context: process; sleeps, killably. Not from a handler unless it may sleep.
 * Return: 0; -EINVAL no such channel or type; -EMSGSIZE above the channel's
 * limit; -ENODEV no such kernel, or this one; -EHOSTDOWN it is not up; -EPROTO
 * its link is broken; -EINTR a fatal signal.
 */
int pcn_msg_send(unsigned int kid, enum pcn_channel channel, u16 type,
		 const void *payload, u32 length)
{
	struct pcn_msg_header header = header_of(channel, type, length);
	struct pcn_link *link;
	int err = find_link_for(kid, channel, type, length, &link);

	return err ?: pcn_link_send(link, &header, payload);
}

/**
 * pcn_msg_post - send a message without waiting
 * @kid:	to which kernel
 * @channel:	on which channel
 * @type:	its type
 * @payload:	its payload
 * @length:	bytes of it
 *
 * What finds no room in the ring waits in local memory, and goes before what is
 * sent later. From a handler that does not sleep it never fails for want of
 * room or memory, as long as it sends no more than PCN_HANDLER_SENDS messages of
 * PCN_HANDLER_PAYLOAD bytes, replies included.
 *
 * Context: any.
 * Return: as pcn_msg_send() without -EINTR; -ENOBUFS too much waits already;
 * -ENOMEM.
 */
int pcn_msg_post(unsigned int kid, enum pcn_channel channel, u16 type,
		 const void *payload, u32 length)
{
	struct pcn_msg_header header = header_of(channel, type, length);
	struct pcn_link *link;
	int err = find_link_for(kid, channel, type, length, &link);

	return err ?: pcn_link_post(link, &header, payload, pcn_handler_reserve());
}

/**
 * pcn_msg_post_from - send a message without waiting, and without fail
 * @reserve:	memory for the case that there is no other; a handler has its own
 * @kid:	to which kernel
 * @channel:	on which channel
 * @type:	its type
 * @payload:	its payload
 * @length:	bytes of it, PCN_HANDLER_PAYLOAD at most
 *
 * Context: any.
 * Return: as pcn_msg_post(), without -ENOBUFS and -ENOMEM as long as @reserve
 * lasts.
 */
int pcn_msg_post_from(struct pcn_reserve *reserve, unsigned int kid,
		      enum pcn_channel channel, u16 type, const void *payload,
		      u32 length)
{
	struct pcn_msg_header header = header_of(channel, type, length);
	struct pcn_link *link;
	int err = find_link_for(kid, channel, type, length, &link);

	return err ?: pcn_link_post(link, &header, payload,
				    pcn_handler_reserve() ?: reserve);
}

/* Bytes of all parts, or U32_MAX: more than any channel takes. */
static u32 total_length(const struct kvec *parts, unsigned int n)
{
	u32 length = 0;

	for (; n; n--, parts++) {
		if (parts->iov_len > SZ_64K || length > SZ_64K)
			return U32_MAX;
		length += parts->iov_len;
	}
	return length;
}

/**
 * pcn_msg_try - send a message if there is room for it now
 * @kid:	to which kernel
 * @channel:	on which channel
 * @type:	its type, which has a @room
 * @parts:	its payload, which is copied once: into the ring
 * @n:		number of parts
 *
 * Never waits, needs no memory, and does not overtake what waits already.
 *
 * Context: any.
 * Return: 0; -EAGAIN no room: the @room of the type is called when to try again; otherwise
 * as pcn_msg_send() without -EINTR.
 */
int pcn_msg_try(unsigned int kid, enum pcn_channel channel, u16 type,
		const struct kvec *parts, unsigned int n)
{
	u32 length = total_length(parts, n);
	struct pcn_msg_header header = header_of(channel, type, length);
	struct pcn_link *link;
	int err = find_link_for(kid, channel, type, length, &link);

	return err ?: pcn_link_try(link, &header, parts, n);
}

/**
 * pcn_msg_reply - answer a request
 * @msg:	the request, as the handler has it
 * @status:	what pcn_msg_call() is to return: 0 or a negative errno
 * @payload:	what it is to receive
 * @length:	bytes of it
 *
 * Waits for room only if the handler may sleep.
 *
 * Context: the handler of @msg.
 * Return: 0; -EINVAL @msg is no request, or @status is no errno; -EHOSTDOWN the
 * requester's life is over; otherwise as pcn_msg_post() or pcn_msg_send().
 */
int pcn_msg_reply(const struct pcn_message *msg, int status, const void *payload,
		  u32 length)
{
	struct pcn_msg_header header = header_of(msg->channel, msg->type, length);
	struct pcn_reserve *reserve = pcn_handler_reserve();
	struct pcn_link *link;
	int err = find_link_for(msg->kid, msg->channel, msg->type, length, &link);

	if (err)
		return err;
	if (!msg->request || status > 0 || status < -MAX_ERRNO)
		return -EINVAL;
	if (msg->life != READ_ONCE(link->generation))
		return -EHOSTDOWN;
	header.flags = PCN_MSG_REPLY;
	header.status = status;
	header.request = msg->request;
	return reserve ? pcn_link_post(link, &header, payload, reserve) :
			 pcn_link_send(link, &header, payload);
}

/* Take a request out of the table; NULL if somebody else has. */
static struct request *claim_request(u32 key)
{
	unsigned long flags;
	struct request *r;

	xa_lock_irqsave(&pending, flags);
	r = __xa_erase(&pending, key);
	xa_unlock_irqrestore(&pending, flags);
	return r;
}

/* Take it only if the reply is what it waits for. */
static struct request *claim_request_for(const struct pcn_msg_header *h,
					 unsigned int kid)
{
	u32 key = lower_32_bits(h->request);
	unsigned long flags;
	struct request *r;

	if (h->request != id_of(key))
		return NULL;
	xa_lock_irqsave(&pending, flags);
	r = xa_load(&pending, key);
	if (r && r->kid == kid && r->channel == h->channel && r->type == h->type)
		__xa_erase(&pending, key);
	else
		r = NULL;
	xa_unlock_irqrestore(&pending, flags);
	return r;
}

/**
 * pcn_request_reply - take a reply out of its ring and hand it over
 * @link:	the peer
 * @port:	where it came
 * @header:	its head
 *
 * Context: the poll.
 */
void pcn_request_reply(struct pcn_link *link, struct pcn_port *port,
		       const struct pcn_msg_header *header)
{
	struct request *r = claim_request_for(header, link->kid);
	bool fits, taken;

	if (!r) {
		port->stats.rx_orphans++;
		pcn_ring_take(&port->rx, header, NULL);
		return;
	}
	fits = header->length <= r->room;
	taken = pcn_ring_take(&port->rx, header, fits ? r->reply : NULL);
	r->length = header->length;
	r->status = !taken ? -EHOSTDOWN : fits ? header->status : -EMSGSIZE;
	/* A peer may write anything, but callers test for errors by the sign. */
	if (r->status > 0 || r->status < -MAX_ERRNO)
		r->status = -EBADMSG;
	complete(&r->done);
}

/**
 * pcn_requests_fail - there will be no reply from a kernel any more
 * @kid:	the kernel
 * @error:	what its requests fail with
 *
 * Context: process; no new request to @kid can succeed.
 */
void pcn_requests_fail(unsigned int kid, int error)
{
	struct request *r;
	unsigned long id;

	xa_lock_irq(&pending);
	xa_for_each(&pending, id, r) {
		if (r->kid != kid)
			continue;
		__xa_erase(&pending, id);
		r->status = error;
		complete(&r->done);
	}
	xa_unlock_irq(&pending);
}

static bool has_reply(const void *arg)
{
	const struct request *r = arg;

	/* Does not change what it is shown. */
	return completion_done((struct completion *)&r->done);
}

/*
 * Wait for the reply. A caller that gives up takes the request back; if it is not in
 * the table any more, the reply or the failure is on its way and will not take long.
 */
static int wait_for_reply(struct request *r, u32 key, unsigned int limit_ms)
{
	u64 since = ktime_get_ns();
	long left;

	if (pcn_poll_group_of(r->channel) == PCN_POLL_THREAD)
		pcn_msg_poll_until(&call_linger, has_reply, r);
	left = wait_for_completion_killable_timeout(&r->done,
						    msecs_to_jiffies(limit_ms));
	if (left > 0) {
		pcn_linger_learn(&call_linger, ktime_get_ns() - since);
		return r->status;
	}
	if (claim_request(key))
		return left ? -EINTR : -ETIMEDOUT;
	wait_for_completion(&r->done);
	return r->status;
}

/**
 * pcn_msg_call - send a request and wait for its reply
 * @kid:	to which kernel
 * @channel:	on which channel
 * @type:	its type
 * @payload:	its payload
 * @length:	bytes of it
 * @reply:	receives the reply's payload
 * @reply_length: bytes that there is room for; then bytes of the reply; may be
 *		NULL if no payload is expected
 * @limit_ms:	for how long to wait
 *
 * Context: process; sleeps, killably, with no lock held that a handler takes. Not
 * from a handler unless it may sleep. May run other handlers.
 * Return: what the handler has replied with; errors of pcn_msg_send();
 * -EHOSTDOWN, -EPROTO also when that happens while waiting; -ETIMEDOUT;
 * -EMSGSIZE the reply has no room; -EOPNOTSUPP nobody there handles the type.
 */
int pcn_msg_call(unsigned int kid, enum pcn_channel channel, u16 type,
		 const void *payload, u32 length, void *reply, u32 *reply_length,
		 unsigned int limit_ms)
{
	struct pcn_msg_header header = header_of(channel, type, length);
	struct request r = {
		.kid = kid, .channel = channel, .type = type, .reply = reply,
		.room = reply_length ? *reply_length : 0,
	};
	struct pcn_link *link;
	u32 key;
	int err;

	KUNIT_STATIC_STUB_REDIRECT(pcn_msg_call, kid, channel, type, payload, length, reply,
				   reply_length, limit_ms);
	err = find_link_for(kid, channel, type, length, &link);
	if (err)
		return err;
	init_completion(&r.done);
	err = xa_alloc_cyclic_irq(&pending, &key, &r, xa_limit_32b, &next_key,
				  GFP_KERNEL);
	if (err < 0)
		return err;
	header.request = id_of(key);
	/* After it is in the table: a death in between finds it there. */
	err = pcn_link_send(link, &header, payload);
	if (!err)
		err = wait_for_reply(&r, key, limit_ms);
	else if (!claim_request(key))
		wait_for_completion(&r.done);
	if (!err && reply_length)
		*reply_length = r.length;
	return err;
}

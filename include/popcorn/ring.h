/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A ring of messages between two kernels: one producer, one consumer, in
 * memory that both can write but where each field has one writer.
 *
 * Plain C behind a thin seam: the same ring.c is in the kernel and in the
 * stress test tools/popcorn/ring, where the macros of <linux/...> come from
 * seam.h.
 *
 * What the peer has written is read once, copied, and only then checked. A
 * peer can write what it likes: its ring breaks, and nothing else.
 */
#ifndef _POPCORN_RING_H
#define _POPCORN_RING_H

#ifdef __KERNEL__
#include <linux/types.h>
#include <linux/uio.h>
#else
#include "seam.h"
#endif

/** PCN_MSG_VERSION - version of struct pcn_msg_header and of the ring */
#define PCN_MSG_VERSION		1

/**
 * struct pcn_msg_header - head of every message
 * @version:	PCN_MSG_VERSION
 * @channel:	enum pcn_channel
 * @type:	what the message is, as registered
 * @length:	bytes of payload that follow
 * @source:	kid of the sender
 * @flags:	PCN_MSG_*
 * @status:	of a reply: 0 or a negative errno
 * @sequence:	number of the message on its ring, from 0
 * @request:	id by which a reply finds its request, or 0
 */
struct pcn_msg_header {
	u8	version;
	u8	channel;
	u16	type;
	u32	length;
	u32	source;
	u16	flags;
	s16	status;
	u64	sequence;
	u64	request;
};

/** PCN_MSG_REPLY - answers the request whose id it has */
#define PCN_MSG_REPLY		0x1

/**
 * struct pcn_ring_shared - the ring as it lies in the window
 * @head:	bytes ever published; the producer's
 * @waiting:	nonzero: the producer waits for room; the producer's
 * @pad0:	zero
 * @tail:	bytes ever consumed; the consumer's
 * @pad1:	zero
 * @data:	records: a header and its payload, padded to PCN_RING_ALIGN
 *
 * @head and @tail never wrap in the life of a machine; positions are taken
 * modulo the size of @data, a power of two. A record may wrap around its end.
 */
struct pcn_ring_shared {
	u64	head;
	u32	waiting;
	u32	pad0[13];
	u64	tail;
	u64	pad1[7];
	u8	data[];
};

/** PCN_RING_ALIGN - records begin at multiples of this many bytes */
#define PCN_RING_ALIGN		32

/** enum pcn_ring_fault - why a ring is broken */
enum pcn_ring_fault {
	PCN_RING_OK,
	PCN_RING_BAD_TAIL,	/* the consumer has taken what was not there */
	PCN_RING_BAD_HEAD,	/* more is published than the ring holds, or odd */
	PCN_RING_BAD_VERSION,	/* header of another version */
	PCN_RING_BAD_LENGTH,	/* longer than allowed or than what is published */
	PCN_RING_BAD_SEQUENCE,	/* not the number that is due */
	PCN_RING_FAULT_MAX,
};

/**
 * struct pcn_ring - one side's view of a ring
 * @shared:	the ring
 * @mask:	size of its data, minus one
 * @limit:	largest payload, bytes
 * @head:	the producer's own; the consumer's last look at it
 * @tail:	the consumer's own; the producer's last look at it
 * @sequence:	number of the next message
 * @fault:	not PCN_RING_OK: broken, nothing goes through any more
 *
 * Private to one kernel. Calls for one side must not overlap: the caller
 * serialises them.
 */
struct pcn_ring {
	struct pcn_ring_shared	*shared;
	u64			mask;
	u32			limit;
	u64			head;
	u64			tail;
	u64			sequence;
	enum pcn_ring_fault	fault;
};

void pcn_ring_init(struct pcn_ring *ring, struct pcn_ring_shared *shared,
		   u64 size, u32 limit);
u64 pcn_ring_record_size(u32 length);
bool pcn_ring_put(struct pcn_ring *ring, const struct pcn_msg_header *header,
		  const void *payload);
bool pcn_ring_put_parts(struct pcn_ring *ring, const struct pcn_msg_header *header,
			const struct kvec *parts, unsigned int n);
bool pcn_ring_peek(struct pcn_ring *ring, struct pcn_msg_header *header);
void pcn_ring_take(struct pcn_ring *ring, const struct pcn_msg_header *header,
		   void *payload);
bool pcn_ring_is_empty(struct pcn_ring *ring);
bool pcn_ring_has_news(const struct pcn_ring *ring);
bool pcn_ring_await_room(struct pcn_ring *ring, u32 length);
void pcn_ring_end_await(struct pcn_ring *ring);
bool pcn_ring_room_came(const struct pcn_ring *ring);
bool pcn_ring_room_is_awaited(const struct pcn_ring *ring);
const char *pcn_ring_fault_name(enum pcn_ring_fault fault);

/**
 * struct pcn_bell - does a consumer want to be interrupted?
 * @armed:	nonzero: it sleeps, and wants a doorbell; a number that is new each
 *		time, so that a producer can tell whether it has rung already
 *
 * One for all rings that a consumer polls together. The consumer's.
 */
struct pcn_bell {
	u64	armed;
};

u64 pcn_bell_is_needed(const struct pcn_bell *bell);
void pcn_bell_arm(struct pcn_bell *bell, u64 number);
void pcn_bell_disarm(struct pcn_bell *bell);

#endif /* _POPCORN_RING_H */

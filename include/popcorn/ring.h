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
#define PCN_MSG_VERSION		2

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
 * struct pcn_ring_shared - head of a ring, as it lies in the window
 * @head:	bytes ever published; the producer's
 * @waiting:	nonzero: the producer waits for room; the producer's
 * @pad0:	zero
 * @tail:	bytes ever consumed; the consumer's
 * @pad1:	zero
 * @place:	where the data is, PCN_RING_PLACE(); the producer's
 * @pad2:	zero
 *
 * @head and @tail never wrap in the life of a machine. The data are records: a header
 * and its payload, padded to PCN_RING_ALIGN. A record may wrap around the end of the data.
 *
 * The data is at the ring's base, or in a block of the producer's pool. The producer moves
 * it when the ring is empty, and only then: the next record is at the start of the
 * new place. So a consumer that finds a new head learns the place together with it.
 */
struct pcn_ring_shared {
	u64	head;
	u32	waiting;
	u32	pad0[13];
	u64	tail;
	u64	pad1[7];
	u64	place;
	u64	pad2[7];
};

/** PCN_RING_BASE - the place that each ring has; block n of the pool is n + 1 */
#define PCN_RING_BASE		0
/** PCN_RING_PLACE - a place, and how often the producer has moved: each is another word */
#define PCN_RING_PLACE(place, moves)	((u64)(moves) << 16 | (place))
/** PCN_RING_CLOSED - the producer may use for others what the data was in */
#define PCN_RING_CLOSED		(~0ULL)

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
	PCN_RING_BAD_PLACE,	/* the data is nowhere, or has been taken away */
	PCN_RING_FAULT_MAX,
};

/**
 * struct pcn_ring_space - where the data of a ring may be
 * @base:	its base
 * @base_size:	bytes of it
 * @pool:	the blocks of its producer
 * @blocks:	their number; 0: the ring stays at its base
 * @block_size:	bytes of each
 *
 * Sizes are multiples of PCN_RING_ALIGN.
 */
struct pcn_ring_space {
	u8	*base;
	u64	base_size;
	u8	*pool;
	u32	blocks;
	u64	block_size;
};

/**
 * struct pcn_ring - one side's view of a ring
 * @shared:	its head in the window
 * @space:	where its data may be
 * @data:	where it is
 * @size:	bytes there
 * @at:		offset in @data of this side's next record
 * @place:	PCN_RING_PLACE() of @data
 * @goal:	the producer's: the place to move to
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
	struct pcn_ring_space	space;
	u8			*data;
	u64			size;
	u64			at;
	u64			place;
	u32			goal;
	u32			limit;
	u64			head;
	u64			tail;
	u64			sequence;
	enum pcn_ring_fault	fault;
};

void pcn_ring_init(struct pcn_ring *ring, struct pcn_ring_shared *shared,
		   const struct pcn_ring_space *space, u32 limit);
void pcn_ring_move(struct pcn_ring *ring, u32 place);
void pcn_ring_close(struct pcn_ring *ring);
bool pcn_ring_is_at_base(const struct pcn_ring *ring);
u64 pcn_ring_record_size(u32 length);
bool pcn_ring_put(struct pcn_ring *ring, const struct pcn_msg_header *header,
		  const void *payload);
bool pcn_ring_put_parts(struct pcn_ring *ring, const struct pcn_msg_header *header,
			const struct kvec *parts, unsigned int n);
bool pcn_ring_peek(struct pcn_ring *ring, struct pcn_msg_header *header);
bool pcn_ring_take_parts(struct pcn_ring *ring, const struct pcn_msg_header *header,
			 const struct kvec *parts, unsigned int n);
bool pcn_ring_take(struct pcn_ring *ring, const struct pcn_msg_header *header,
		   void *payload);
bool pcn_ring_is_empty(struct pcn_ring *ring);
bool pcn_ring_has_news(const struct pcn_ring *ring);
bool pcn_ring_await_room(struct pcn_ring *ring, u32 length);
void pcn_ring_end_await(struct pcn_ring *ring);
bool pcn_ring_room_came(const struct pcn_ring *ring);
bool pcn_ring_room_is_awaited(const struct pcn_ring *ring);
const char *pcn_ring_fault_name(enum pcn_ring_fault fault);

/** PCN_BELL_CALLERS - kernels that may ring a bell */
#define PCN_BELL_CALLERS	64

/**
 * struct pcn_bell - does a consumer want to be interrupted, and who has done it?
 * @armed:	nonzero: it sleeps, and wants a doorbell; a number that is new each
 *		time, so that a producer can tell whether it has rung already; the
 *		consumer's
 * @pad:	zero
 * @calls:	[kid] is that kernel's: the low byte of the number for which it has rung
 *		last
 *
 * One for all rings that a consumer polls together.
 */
struct pcn_bell {
	u64	armed;
	u64	pad[7];
	u8	calls[PCN_BELL_CALLERS];
};

u64 pcn_bell_is_needed(const struct pcn_bell *bell);
bool pcn_bell_call(struct pcn_bell *bell, unsigned int self, u64 *rung);
bool pcn_bell_was_called(const struct pcn_bell *bell, unsigned int kid, u64 number);
void pcn_bell_arm(struct pcn_bell *bell, u64 number);
void pcn_bell_disarm(struct pcn_bell *bell);

#endif /* _POPCORN_RING_H */

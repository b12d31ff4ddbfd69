// SPDX-License-Identifier: GPL-2.0
/*
 * Single-producer single-consumer rings, and the contract by which a consumer
 * may sleep.
 *
 * The producer writes a record, then @head; the consumer reads @head, then the
 * record, and writes @tail when it has copied it. Release and acquire on these
 * two order everything else.
 *
 * A consumer that finds its rings empty arms its bell, looks once more, and
 * sleeps. A producer publishes, then looks at the bell, and rings if it is
 * armed. Each stores one word and then loads the other's; with a full barrier
 * between the two on both sides, at least one of them sees the other's store:
 * the message is found, or the bell is rung. The barriers are in
 * pcn_bell_is_needed() and pcn_bell_arm(). The pattern is that of store
 * buffering (tools/memory-model, SB+fencembonceonces), and of NAPI between
 * napi_complete_done() and a driver's "is the ring empty".
 *
 * A producer that rings says so in its word of the bell first, so that the consumer need
 * not look at the rings of those that have not. It is the number that the producer has
 * seen. If the consumer has armed the bell with another one meanwhile, the producer's word
 * is out of date, but then the consumer has looked once more after that, and by the
 * argument above has seen the message.
 *
 * The producer may move the data between the ring's base and blocks of its pool, when the
 * ring is empty by what the consumer says. The word @place does not change between the
 * release of @head that publishes a record and the release of @tail that takes it, so a
 * consumer that reads it between the two reads what belongs to the record. A block that a
 * ring has left is used for other rings at once: the consumer's copies have been made. Only
 * a producer that ends a link, or dies, does not wait for that. It writes @place before it
 * or its next life uses any block; a consumer reads @place once more when it has copied a
 * record, and does not believe the copy if it has changed.
 */
#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/compiler.h>
#include <asm/barrier.h>
#endif

#include <popcorn/ring.h>

static_assert(sizeof(struct pcn_msg_header) == 32);
static_assert(sizeof(struct pcn_msg_header) <= PCN_RING_ALIGN);
static_assert(offsetof(struct pcn_msg_header, length) == 4);
static_assert(offsetof(struct pcn_msg_header, flags) == 12);
static_assert(offsetof(struct pcn_msg_header, sequence) == 16);
static_assert(offsetof(struct pcn_ring_shared, waiting) == 8);
static_assert(offsetof(struct pcn_ring_shared, tail) == 64);
static_assert(offsetof(struct pcn_ring_shared, place) == 128);
static_assert(sizeof(struct pcn_ring_shared) == 192);
static_assert(offsetof(struct pcn_bell, calls) == 64);
static_assert(sizeof(struct pcn_bell) == 128);

static const char * const fault_names[PCN_RING_FAULT_MAX] = {
	[PCN_RING_OK]		= "ok",
	[PCN_RING_BAD_TAIL]	= "tail out of range",
	[PCN_RING_BAD_HEAD]	= "head out of range",
	[PCN_RING_BAD_VERSION]	= "header of another version",
	[PCN_RING_BAD_LENGTH]	= "length out of range",
	[PCN_RING_BAD_SEQUENCE]	= "message out of sequence",
	[PCN_RING_BAD_PLACE]	= "data in no place, or taken away",
};

/**
 * pcn_ring_fault_name - a fault in words
 * @fault:	the fault
 *
 * Context: any.
 * Return: its name.
 */
const char *pcn_ring_fault_name(enum pcn_ring_fault fault)
{
	return fault < PCN_RING_FAULT_MAX ? fault_names[fault] : "?";
}

/* A new place begins at its start. */
static void use_place(struct pcn_ring *ring, u64 word, u32 place)
{
	ring->place = word;
	ring->at = 0;
	if (place == PCN_RING_BASE) {
		ring->data = ring->space.base;
		ring->size = ring->space.base_size;
	} else {
		ring->data = ring->space.pool + (place - 1) * ring->space.block_size;
		ring->size = ring->space.block_size;
	}
}

/**
 * pcn_ring_init - begin to use a ring, as producer or as consumer
 * @ring:	this side's view of it
 * @shared:	its head, zeroed before either side uses it
 * @space:	where its data may be; at first it is at the base
 * @limit:	largest payload, bytes; its record fits one of the places
 *
 * Context: any.
 */
void pcn_ring_init(struct pcn_ring *ring, struct pcn_ring_shared *shared,
		   const struct pcn_ring_space *space, u32 limit)
{
	*ring = (struct pcn_ring) {
		.shared = shared,
		.space = *space,
		.goal = PCN_RING_BASE,
		.limit = limit,
	};
	use_place(ring, PCN_RING_PLACE(PCN_RING_BASE, 0), PCN_RING_BASE);
}

/**
 * pcn_ring_record_size - the room that a message takes in a ring
 * @length:	bytes of payload
 *
 * Context: any.
 * Return: bytes.
 */
u64 pcn_ring_record_size(u32 length)
{
	u64 size = sizeof(struct pcn_msg_header) + (u64)length;

	return (size + PCN_RING_ALIGN - 1) & ~(u64)(PCN_RING_ALIGN - 1);
}

static bool break_ring(struct pcn_ring *ring, enum pcn_ring_fault fault)
{
	ring->fault = fault;
	return false;
}

/* The offset in the data that is @count bytes, at most its size, after this side's own. */
static u64 offset_after(const struct pcn_ring *ring, u64 count)
{
	u64 offset = ring->at + count;

	return offset < ring->size ? offset : offset - ring->size;
}

static void ring_copy_in(struct pcn_ring *ring, u64 after, const void *from, u64 count)
{
	u64 offset = offset_after(ring, after);
	u64 first = min_t(u64, count, ring->size - offset);

	memcpy(ring->data + offset, from, first);
	memcpy(ring->data, from + first, count - first);
}

static void ring_copy_out(struct pcn_ring *ring, u64 after, void *to, u64 count)
{
	u64 offset = offset_after(ring, after);
	u64 first = min_t(u64, count, ring->size - offset);

	memcpy(to, ring->data + offset, first);
	memcpy(to + first, ring->data, count - first);
}

static u32 place_of(u64 word)
{
	return word & 0xffff;
}

/**
 * pcn_ring_is_at_base - is the data at the ring's base?
 * @ring:	the ring
 *
 * Context: any; calls for one ring must not overlap.
 */
bool pcn_ring_is_at_base(const struct pcn_ring *ring)
{
	return place_of(ring->place) == PCN_RING_BASE;
}

/**
 * pcn_ring_move - have the data somewhere else
 * @ring:	the ring; the caller is its producer
 * @place:	PCN_RING_BASE, or the number of a block that no other ring uses, plus one
 *
 * It moves as soon as it is found empty. Until then there is no room.
 *
 * Context: any; calls for one ring must not overlap.
 */
void pcn_ring_move(struct pcn_ring *ring, u32 place)
{
	ring->goal = place;
}

/**
 * pcn_ring_close - the consumer is not to believe any more what it reads
 * @ring:	the ring; the caller is its producer, and puts nothing into it any more
 *
 * When this returns, the ring's block may be used for others.
 *
 * Context: any; calls for one ring must not overlap.
 */
void pcn_ring_close(struct pcn_ring *ring)
{
	WRITE_ONCE(ring->shared->place, PCN_RING_CLOSED);
	/* Say so before others write there: pairs with the barrier in pcn_ring_take_parts(). */
	virt_wmb();
}

static void finish_move(struct pcn_ring *ring)
{
	u64 moves = (ring->place >> 16) + 1;

	use_place(ring, PCN_RING_PLACE(ring->goal, moves), ring->goal);
	/* Published with the head of the next record. */
	WRITE_ONCE(ring->shared->place, ring->place);
}

/* By what the producer knows of the consumer. */
static bool fits(const struct pcn_ring *ring, u64 size)
{
	return place_of(ring->place) == ring->goal &&
	       ring->head - ring->tail + size <= ring->size;
}

/* Learn how far the consumer is. Is there room for @size bytes? */
static bool look_for_room(struct pcn_ring *ring, u64 size)
{
	u64 tail;

	/* Pairs with the release in pcn_ring_take_parts(): the bytes are free. */
	tail = virt_load_acquire(&ring->shared->tail);
	if (tail < ring->tail || tail > ring->head ||
	    tail % PCN_RING_ALIGN)
		return break_ring(ring, PCN_RING_BAD_TAIL);
	WRITE_ONCE(ring->tail, tail);
	if (tail == ring->head && place_of(ring->place) != ring->goal)
		finish_move(ring);
	return fits(ring, size);
}

/* Is there room for @size bytes? Looks at the consumer only if it has to. */
static bool has_room(struct pcn_ring *ring, u64 size)
{
	return fits(ring, size) || look_for_room(ring, size);
}

static void ring_copy_parts(struct pcn_ring *ring, u64 after, const struct kvec *parts,
			    unsigned int n)
{
	for (; n; n--, parts++) {
		ring_copy_in(ring, after, parts->iov_base, parts->iov_len);
		after += parts->iov_len;
	}
}

/**
 * pcn_ring_put_parts - publish a message whose payload lies in several places
 * @ring:	the ring; the caller is its producer
 * @header:	what is sent; version and sequence are filled in here
 * @parts:	the payload: @header->length bytes in all, at most the ring's limit
 * @n:		number of parts
 *
 * To be followed by pcn_bell_is_needed().
 *
 * Context: any; calls for one ring must not overlap.
 * Return: true; false when there is no room, or the ring is broken.
 */
bool pcn_ring_put_parts(struct pcn_ring *ring, const struct pcn_msg_header *header,
			const struct kvec *parts, unsigned int n)
{
	struct pcn_msg_header copy = *header;
	u64 size = pcn_ring_record_size(header->length);

	if (ring->fault || header->length > ring->limit || !has_room(ring, size))
		return false;
	copy.version = PCN_MSG_VERSION;
	copy.sequence = ring->sequence++;
	ring_copy_in(ring, 0, &copy, sizeof(copy));
	ring_copy_parts(ring, sizeof(copy), parts, n);
	ring->at = offset_after(ring, size);
	ring->head += size;
	/* Pairs with the acquire in look_at_head(): the record is complete. */
	virt_store_release(&ring->shared->head, ring->head);
	return true;
}

/**
 * pcn_ring_put - publish a message
 * @ring:	the ring; the caller is its producer
 * @header:	see pcn_ring_put_parts()
 * @payload:	@header->length bytes, at most the ring's limit
 *
 * Context: any; calls for one ring must not overlap.
 * Return: true; false when there is no room, or the ring is broken.
 */
bool pcn_ring_put(struct pcn_ring *ring, const struct pcn_msg_header *header,
		  const void *payload)
{
	struct kvec part = { (void *)payload, header->length };

	return pcn_ring_put_parts(ring, header, &part, 1);
}

/* Learn where the records are that have come. False if nowhere. */
static bool look_at_place(struct pcn_ring *ring)
{
	u64 word = READ_ONCE(ring->shared->place);

	if (word == ring->place)
		return true;
	if (place_of(word) > ring->space.blocks)
		return break_ring(ring, PCN_RING_BAD_PLACE);
	use_place(ring, word, place_of(word));
	return true;
}

/* Learn how far the producer is. False if nothing is there. */
static bool look_at_head(struct pcn_ring *ring)
{
	u64 head;

	if (ring->fault)
		return false;
	if (ring->head != ring->tail)
		return true;
	/* Pairs with the release in pcn_ring_put_parts(). */
	head = virt_load_acquire(&ring->shared->head);
	if (head == ring->head)
		return false;
	if (!look_at_place(ring))
		return false;
	if (head < ring->head || head - ring->tail > ring->size ||
	    head % PCN_RING_ALIGN)
		return break_ring(ring, PCN_RING_BAD_HEAD);
	ring->head = head;
	return true;
}

/**
 * pcn_ring_is_empty - is there nothing to take?
 * @ring:	the ring; the caller is its consumer
 *
 * Context: any; calls for one ring must not overlap.
 * Return: true also for a broken ring.
 */
bool pcn_ring_is_empty(struct pcn_ring *ring)
{
	return !look_at_head(ring);
}

/* What is wrong with a header that has been copied out of the ring. */
static enum pcn_ring_fault ring_header_fault(const struct pcn_ring *ring,
					     const struct pcn_msg_header *header)
{
	if (header->version != PCN_MSG_VERSION)
		return PCN_RING_BAD_VERSION;
	if (header->length > ring->limit ||
	    pcn_ring_record_size(header->length) > ring->head - ring->tail)
		return PCN_RING_BAD_LENGTH;
	if (header->sequence != ring->sequence)
		return PCN_RING_BAD_SEQUENCE;
	return PCN_RING_OK;
}

/**
 * pcn_ring_peek - look at the next message
 * @ring:	the ring; the caller is its consumer
 * @header:	receives a checked copy of the header
 *
 * Context: any; calls for one ring must not overlap.
 * Return: true if there is one; false if not, or the ring is broken.
 */
bool pcn_ring_peek(struct pcn_ring *ring, struct pcn_msg_header *header)
{
	enum pcn_ring_fault fault;

	if (!look_at_head(ring))
		return false;
	ring_copy_out(ring, 0, header, sizeof(*header));
	/* Only the copy is looked at: the compiler must not read again. */
	barrier();
	fault = ring_header_fault(ring, header);
	return fault ? break_ring(ring, fault) : true;
}

/**
 * pcn_ring_take_parts - take the message that pcn_ring_peek() has shown, in parts
 * @ring:	the ring; the caller is its consumer
 * @header:	as pcn_ring_peek() gave it
 * @parts:	where its payload goes: at most @header->length bytes in all; what is left of a
 *		longer one is dropped
 * @n:		number of parts
 *
 * Context: any; calls for one ring must not overlap.
 * Return: true; false when the producer's life or the link is over, and the message may be
 * no message: the ring is broken.
 */
bool pcn_ring_take_parts(struct pcn_ring *ring, const struct pcn_msg_header *header,
			 const struct kvec *parts, unsigned int n)
{
	u64 after = sizeof(*header);

	for (; n; n--, parts++) {
		ring_copy_out(ring, after, parts->iov_base, parts->iov_len);
		after += parts->iov_len;
	}
	/* Copy before looking: pairs with the barrier in pcn_ring_close(). */
	virt_rmb();
	if (!pcn_ring_is_at_base(ring) && READ_ONCE(ring->shared->place) != ring->place)
		return break_ring(ring, PCN_RING_BAD_PLACE);
	ring->at = offset_after(ring, pcn_ring_record_size(header->length));
	ring->sequence++;
	WRITE_ONCE(ring->tail,
		   ring->tail + pcn_ring_record_size(header->length));
	/* Pairs with the acquire in look_for_room(): the copy is made. */
	virt_store_release(&ring->shared->tail, ring->tail);
	return true;
}

/**
 * pcn_ring_take - take the message that pcn_ring_peek() has shown
 * @ring:	the ring; the caller is its consumer
 * @header:	as pcn_ring_peek() gave it
 * @payload:	receives @header->length bytes; NULL: drop them
 *
 * Context: any; calls for one ring must not overlap.
 * Return: true; false when the producer's life or the link is over, and the message may be
 * no message: the ring is broken.
 */
bool pcn_ring_take(struct pcn_ring *ring, const struct pcn_msg_header *header,
		   void *payload)
{
	struct kvec part = { payload, header->length };

	return pcn_ring_take_parts(ring, header, &part, payload ? 1 : 0);
}

/**
 * pcn_ring_has_news - may there be something to take?
 * @ring:	the ring; the caller's kernel is its consumer
 *
 * Changes nothing, and so may overlap with calls of the consumer: for an
 * interrupt handler that decides whether to wake it.
 *
 * Context: any.
 * Return: true also for a head that is out of range: that is news.
 */
bool pcn_ring_has_news(const struct pcn_ring *ring)
{
	return !READ_ONCE(ring->fault) &&
	       READ_ONCE(ring->shared->head) != READ_ONCE(ring->tail);
}

/**
 * pcn_ring_await_room - ask to be told when there is room again
 * @ring:	the ring; the caller is its producer, and found it full
 * @length:	payload of the message that did not fit
 *
 * What the consumer has taken so far is no news for pcn_ring_room_came() any more.
 *
 * Context: any; calls for one ring must not overlap.
 * Return: true if there is room by now: pcn_ring_put() will do.
 */
bool pcn_ring_await_room(struct pcn_ring *ring, u32 length)
{
	WRITE_ONCE(ring->shared->waiting, 1);
	/* Ask before looking: pairs with pcn_ring_room_is_awaited(). */
	virt_mb();
	return look_for_room(ring, pcn_ring_record_size(length));
}

/**
 * pcn_ring_end_await - the producer does not wait any more
 * @ring:	the ring; the caller is its producer
 *
 * Context: any; calls for one ring must not overlap.
 */
void pcn_ring_end_await(struct pcn_ring *ring)
{
	WRITE_ONCE(ring->shared->waiting, 0);
}

/**
 * pcn_ring_room_came - has the consumer taken anything since the last look?
 * @ring:	the ring; the caller's kernel is its producer
 *
 * Changes nothing, and so may overlap with calls of the producer.
 *
 * Context: any.
 * Return: false also if the producer has found a tail that is out of range: there is no more
 * to be expected.
 */
bool pcn_ring_room_came(const struct pcn_ring *ring)
{
	return !READ_ONCE(ring->fault) &&
	       READ_ONCE(ring->shared->tail) != READ_ONCE(ring->tail);
}

/**
 * pcn_ring_room_is_awaited - does the producer wait for room?
 * @ring:	the ring; the caller is its consumer, and has taken from it
 *
 * If so, the producer's bell is to be looked at.
 *
 * Context: any.
 */
bool pcn_ring_room_is_awaited(const struct pcn_ring *ring)
{
	/* Free before looking: pairs with pcn_ring_await_room(). */
	virt_mb();
	return READ_ONCE(ring->shared->waiting);
}

/**
 * pcn_bell_is_needed - has the consumer to be interrupted?
 * @bell:	the consumer's
 *
 * To be called after every pcn_ring_put() or series of them.
 *
 * Context: any.
 * Return: nonzero if it may not find the message by itself: the number with which
 * it is armed. A producer that has rung for that number need not ring again.
 */
u64 pcn_bell_is_needed(const struct pcn_bell *bell)
{
#ifndef PCN_SEED_NO_LOOK_BARRIER	/* the stress test has to find it */
	/* Publish before looking: pairs with the barrier in pcn_bell_arm(). */
	virt_mb();
#endif
	return READ_ONCE(bell->armed);
}

/**
 * pcn_bell_call - say who rings, if anybody has to
 * @bell:	the consumer's
 * @self:	kid of the caller, a producer
 * @rung:	the number for which this kernel has rung last; all its CPUs share that
 *
 * To be called if pcn_bell_is_needed() says another number than @rung. Calls are stored in the
 * order in which the bell was read, so the last one is for what was read last.
 *
 * Context: any; calls for one bell from one kernel must not overlap.
 * Return: true: interrupt the consumer, before which the store has to be visible, and without
 * letting go of the CPU before. Otherwise it need not be interrupted, or will be for that number.
 */
bool pcn_bell_call(struct pcn_bell *bell, unsigned int self, u64 *rung)
{
	u64 number = READ_ONCE(bell->armed);

	if (!number || number == *rung)
		return false;
	WRITE_ONCE(*rung, number);
	WRITE_ONCE(bell->calls[self], (u8)number);
	return true;
}

/**
 * pcn_bell_was_called - has a producer rung for this number?
 * @bell:	the caller's own
 * @kid:	the producer
 * @number:	what the bell is armed with
 *
 * Context: any.
 * Return: true also if it has done so for an earlier number with the same low byte, which
 * costs a look.
 */
bool pcn_bell_was_called(const struct pcn_bell *bell, unsigned int kid, u64 number)
{
	return READ_ONCE(bell->calls[kid]) == (u8)number;
}

/**
 * pcn_bell_arm - ask to be interrupted
 * @bell:	the caller's own
 * @number:	not 0, and not one that was used before
 *
 * The caller has to look into all rings once more before it sleeps. Being rung
 * without finding anything, it has to arm again with another number: somebody
 * believes that it will look.
 *
 * Context: any.
 */
void pcn_bell_arm(struct pcn_bell *bell, u64 number)
{
	WRITE_ONCE(bell->armed, number);
#ifndef PCN_SEED_NO_ARM_BARRIER	/* the stress test has to find it */
	/* Arm before looking: pairs with the barrier in pcn_bell_is_needed(). */
	virt_mb();
#endif
}

/**
 * pcn_bell_disarm - do not interrupt any more
 * @bell:	the caller's own
 *
 * A producer that has seen it armed may still ring.
 *
 * Context: any.
 */
void pcn_bell_disarm(struct pcn_bell *bell)
{
	WRITE_ONCE(bell->armed, 0);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Load generator: what a message is.
 *
 * Length and content of the n-th message of a stream follow from the run's seed, the
 * stream (who sends to whom, on which channel) and n: pcn_load_key() makes a key of these;
 * the key gives the length, and is the state of a generator that gives the words.
 *
 * So a receiver needs no more than a count to know exactly what comes next: a message that
 * is lost, doubled, overtaken or damaged is not what is due, and neither is any after it.
 */
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/string.h>

#include <popcorn/msg.h>

#include "load.h"

static u64 load_mix(u64 x)
{
	/* The finaliser of MurmurHash3: a bijection in which each bit counts. */
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return x ^ x >> 33;
}

/**
 * pcn_load_key - what all of a message follows from
 * @plan:	of the run
 * @from:	the sender
 * @to:		the receiver
 * @channel:	on which channel
 * @index:	which message of the stream, from 0
 *
 * Context: any.
 * Return: the key; never 0, where xorshift would stay.
 */
u64 pcn_load_key(const struct load_plan *plan, unsigned int from, unsigned int to,
		 enum pcn_channel channel, u64 index)
{
	u64 stream = (u64)from << 40 | (u64)to << 32 | (u64)channel << 24;

	return load_mix(load_mix(plan->seed ^ stream) + index) | 1;
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

/**
 * pcn_load_length - the length of a message
 * @plan:	of the run
 * @channel:	on which channel
 * @key:	of the message
 *
 * Context: any.
 * Return: bytes.
 */
u32 pcn_load_length(const struct load_plan *plan, enum pcn_channel channel, u64 key)
{
	u32 limit = pcn_msg_limit(channel);

	if (plan->size == LOAD_SIZE_RANDOM)
		return min(random_length(key, limit), limit);
	return min(plan->size, limit);
}

/* Word i of a message; to be called in order. A longer one tells its index. */
static u64 message_word(u64 *state, u32 i, u32 length, u64 index)
{
	u64 word = next_word(state);

	return i == 0 && length >= 16 ? index : word;
}

/**
 * pcn_load_fill - make a message
 * @payload:	receives it; there is room for @length, rounded up to 8
 * @length:	its length
 * @key:	its key
 * @index:	which message of the stream
 *
 * Context: any.
 */
void pcn_load_fill(u64 *payload, u32 length, u64 key, u64 index)
{
	u32 i;

	for (i = 0; i < DIV_ROUND_UP(length, 8); i++)
		payload[i] = message_word(&key, i, length, index);
}

/**
 * pcn_load_is_intact - is a message what pcn_load_fill() makes?
 * @payload:	the message
 * @length:	its length
 * @key:	its key
 * @index:	which message of the stream
 *
 * Context: any.
 */
bool pcn_load_is_intact(const u64 *payload, u32 length, u64 key, u64 index)
{
	u64 word;
	u32 i;

	for (i = 0; i < length / 8; i++)
		if (payload[i] != message_word(&key, i, length, index))
			return false;
	word = message_word(&key, i, length, index);
	return !memcmp(payload + i, &word, length % 8);
}

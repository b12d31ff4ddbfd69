// SPDX-License-Identifier: GPL-2.0
/*
 * A peer that writes garbage: mutates indices, headers, places and data of a ring and
 * looks at what both sides make of it. Whatever the peer writes, a side must
 * stay within the base and the pool of the ring (the sanitizers see to that: they and
 * the payload are allocated to the byte), take nothing longer than the limit, and once it has
 * called the ring broken let nothing through any more. A new ring in the same
 * memory works.
 *
 *	fuzz ROUNDS [SEED]
 *
 * Prints how often each fault was found; each must have been.
 */
#include <stdio.h>
#include <stdlib.h>

#include <popcorn/ring.h>

#define RING_SIZE	1024u
#define BLOCK_SIZE	2080u
#define BLOCKS		3u
#define LIMIT		400u

static u64 state;
static struct pcn_ring_shared *shared;
static struct pcn_ring_space space;
static u8 *payload;
static u64 found[PCN_RING_FAULT_MAX];

static u64 next_random(void)
{
	u64 z = state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* Values near those that mean something, and any. */
static u64 odd_value(u64 now)
{
	static const u64 steps[] = { 1, PCN_RING_ALIGN, RING_SIZE, LIMIT, 1ULL << 32,
				     1ULL << 63 };
	u64 step = steps[next_random() % 6];

	switch (next_random() % 4) {
	case 0:
		return now + step;
	case 1:
		return now - step;
	case 2:
		return now ^ (1ULL << (next_random() % 64));
	default:
		return next_random();
	}
}

static void mutate(struct pcn_ring *rx)
{
	struct pcn_msg_header header;
	u64 at = rx->at;

	switch (next_random() % 6) {
	case 0:
		shared->head = odd_value(shared->head);
		break;
	case 1:
		shared->tail = odd_value(shared->tail);
		break;
	case 2:
		rx->data[next_random() % rx->size] = next_random();
		break;
	case 3:
		memcpy(&header, rx->data + at, sizeof(header));
		header.length = odd_value(header.length);
		memcpy(rx->data + at, &header, sizeof(header));
		break;
	case 4:
		shared->place = next_random() % 2 ? next_random() % (BLOCKS + 3) :
						    odd_value(shared->place);
		break;
	default:
		memcpy(&header, rx->data + at, sizeof(header));
		header.sequence = odd_value(header.sequence);
		header.version ^= next_random() % 2;
		memcpy(rx->data + at, &header, sizeof(header));
	}
}

static void put_some(struct pcn_ring *tx)
{
	struct pcn_msg_header header = { .length = next_random() % (LIMIT + 1) };

	if (next_random() % 4 == 0)
		pcn_ring_move(tx, next_random() % (BLOCKS + 1));
	while (next_random() % 4)
		pcn_ring_put(tx, &header, payload);
}

/* False if something got through that must not. */
static bool take_some(struct pcn_ring *rx)
{
	struct pcn_msg_header header;
	bool broken = rx->fault;

	while (next_random() % 4 && pcn_ring_peek(rx, &header)) {
		if (broken || header.length > LIMIT ||
		    header.version != PCN_MSG_VERSION)
			return false;
		if (!pcn_ring_take(rx, &header, payload))
			return rx->fault == PCN_RING_BAD_PLACE;
	}
	return true;
}

/* One life of a link: some honest traffic, then mutations until it breaks. */
static bool round_is_right(void)
{
	struct pcn_ring tx, rx;
	unsigned int i;

	memset(shared, 0, sizeof(*shared));
	memset(space.base, 0, RING_SIZE);
	pcn_ring_init(&tx, shared, &space, LIMIT);
	pcn_ring_init(&rx, shared, &space, LIMIT);
	for (i = 0; i < 4; i++) {
		put_some(&tx);
		if (!take_some(&rx) || tx.fault || rx.fault)
			return false;
	}
	for (i = 0; i < 32 && !(tx.fault && rx.fault); i++) {
		mutate(&rx);
		put_some(&tx);
		if (!take_some(&rx))
			return false;
	}
	found[tx.fault]++;
	found[rx.fault]++;
	return true;
}

int main(int argc, char **argv)
{
	u64 rounds = argc > 1 ? strtoull(argv[1], NULL, 0) : 0, i;
	unsigned int fault;
	int status = 0;

	state = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	shared = aligned_alloc(32, sizeof(*shared));
	payload = malloc(LIMIT);
	space = (struct pcn_ring_space) {
		.base = malloc(RING_SIZE),
		.base_size = RING_SIZE,
		.pool = calloc(BLOCKS, BLOCK_SIZE),
		.blocks = BLOCKS,
		.block_size = BLOCK_SIZE,
	};
	if (!rounds || !shared || !payload || !space.base || !space.pool)
		return 2;
	memset(payload, 0, LIMIT);
	for (i = 0; i < rounds && !status; i++)
		status = !round_is_right();
	if (status)
		printf("round %llu: garbage got through\n", (unsigned long long)i);
	for (fault = 0; fault < PCN_RING_FAULT_MAX; fault++) {
		printf("%10llu  %s\n", (unsigned long long)found[fault],
		       pcn_ring_fault_name(fault));
		status |= !found[fault];
	}
	free(payload);
	free(space.base);
	free(space.pool);
	free(shared);
	return status;
}

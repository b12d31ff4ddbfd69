// SPDX-License-Identifier: GPL-2.0
/*
 * Rings and bells under real threads: producers of one consumer, each with a
 * ring of its own, as kernels that send to one. The consumer polls with a
 * budget, arms its bell when all rings are empty, and sleeps until it is rung;
 * a "doorbell" is a semaphore, and one that nobody has called for is not heard. A
 * producer has its ring move between its base and two blocks again and again: of what it
 * sends much is longer than the base. Every message is checked for sequence, length
 * and content. When nothing moves for STALL_S seconds although messages are
 * there, a doorbell was lost.
 *
 *	stress PRODUCERS MESSAGES [SEED [lockstep] [cpus]]
 *
 * In lockstep a producer waits after each message, for a random short time at
 * least, until the consumer has taken it: then no later message makes up for a
 * doorbell that was lost, and each meets a consumer that is about to sleep.
 * With "cpus" the producers are CPUs of one kernel: they ring as one, under a lock.
 *
 * Exit status: 0 all came; 1 something was wrong; 3 a doorbell was lost.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <popcorn/ring.h>

#define PRODUCERS_MAX	16
#define BASE_SIZE	1024u
#define BLOCK_SIZE	4128u
#define BLOCKS		2u
#define LIMIT		1500u
#define BUDGET		64
#define STALL_S		3

static unsigned int producers;
static u64 messages;
static u64 seed;
static bool lockstep;
static bool cpus;

static struct producer {
	pthread_t		thread;
	struct pcn_ring_shared	*shared;
	struct pcn_ring_space	space;
	struct pcn_ring		tx, rx;
	u64			random;
	sem_t			room;
	unsigned int		kernel;
	u64			rings;
	u64			waits;
	u64			moves;
} producer[PRODUCERS_MAX];

static u64 rung[PRODUCERS_MAX];
#ifndef PCN_SEED_NO_BELL_LOCK
static pthread_mutex_t bell_lock = PTHREAD_MUTEX_INITIALIZER;
#endif
static struct pcn_bell bell;
static sem_t doorbell;
static bool failed;

/* Steele and Vigna's splitmix64: reproducible, one word of state. */
static u64 next_random(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* Byte @i of message @n from @source. */
static u8 content(u32 source, u64 n, u32 i)
{
	return source * 31 + n * 7 + i;
}

static void fill(u8 *payload, u32 source, u64 n, u32 length)
{
	u32 i;

	for (i = 0; i < length; i++)
		payload[i] = content(source, n, i);
}

static bool is_right(const u8 *payload, u32 source, u64 n, u32 length)
{
	u32 i;

	for (i = 0; i < length; i++)
		if (payload[i] != content(source, n, i))
			return false;
	return true;
}

/* Let the consumer come to its end, or just not yet. */
static void wait_for_consumer(struct producer *p)
{
	u32 spin = next_random(&p->random) % 512;

	/* It publishes its tail when it has the message: nothing else is read. */
	do
		seam_settle();
	while (READ_ONCE(p->shared->tail) != p->tx.head && !READ_ONCE(failed));
	for (; spin % 8; spin--)
		seam_settle();
	while (READ_ONCE(spin))
		spin--;
}

/* As in the kernel, but for the interrupt, which ring_once() sends afterwards. */
static bool call(struct producer *p)
{
	bool called;

#ifdef PCN_SEED_NO_BELL_LOCK	/* this program has to find it */
	pthread_mutex_t bell_lock = PTHREAD_MUTEX_INITIALIZER;
#endif
	pthread_mutex_lock(&bell_lock);
	called = pcn_bell_call(&bell, p->kernel, &rung[p->kernel]);
	seam_settle();
	pthread_mutex_unlock(&bell_lock);
	return called;
}

/* Each arming of the bell is worth one doorbell of each kernel. */
static void ring_once(struct producer *p)
{
	u64 number = pcn_bell_is_needed(&bell);

	if (!number || number == READ_ONCE(rung[p->kernel]) || !call(p))
		return;
	p->rings++;
	sem_post(&doorbell);
}

/*
 * False: the ring is broken, somebody else has failed, or nobody told us of
 * room. The consumer will miss what is not sent then.
 */
static bool wait_for_room(struct producer *p, u32 length)
{
	struct timespec limit;

	if (p->tx.fault || READ_ONCE(failed))
		return false;
	if (pcn_ring_await_room(&p->tx, length))
		return true;
	p->waits++;
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += STALL_S;
	seam_settle();
	if (sem_timedwait(&p->room, &limit))
		return false;
	pcn_ring_end_await(&p->tx);
	return true;
}

/* As in the kernel, a ring leaves its base for want of room; here it goes at random, too. */
static void move(struct producer *p, u32 length)
{
	bool is_long = pcn_ring_record_size(length) > BASE_SIZE;

	if (is_long ? p->tx.goal == PCN_RING_BASE : next_random(&p->random) % 64 == 0) {
		pcn_ring_move(&p->tx, next_random(&p->random) % BLOCKS + is_long);
		p->moves++;
	}
}

/* In up to three parts, some of which may be empty. */
static bool put(struct producer *p, const struct pcn_msg_header *header, u8 *payload)
{
	u32 a = next_random(&p->random) % (header->length + 1);
	u32 b = a + next_random(&p->random) % (header->length - a + 1);
	struct kvec parts[] = {
		{ payload, a },
		{ payload + a, b - a },
		{ payload + b, header->length - b },
	};

	return pcn_ring_put_parts(&p->tx, header, parts, 3);
}

static void *produce(void *arg)
{
	struct producer *p = arg;
	u32 source = p - producer;
	u8 payload[LIMIT];
	u64 n;

	for (n = 0; n < messages; n++) {
		struct pcn_msg_header header = {
			.type = n,
			.source = source,
			.length = next_random(&p->random) % (LIMIT + 1),
			.request = n,
		};

		/* Short ones as a rule: they meet the sleeping consumer. */
		if (next_random(&p->random) % 8)
			header.length %= 64;
		fill(payload, source, n, header.length);
		move(p, header.length);
		while (!put(p, &header, payload))
			if (!wait_for_room(p, header.length))
				return NULL;
		ring_once(p);
		if (lockstep)
			wait_for_consumer(p);
	}
	seam_settle();
	return NULL;
}

static bool take_one(struct producer *p)
{
	struct pcn_msg_header header;
	u32 source = p - producer;
	u64 n = p->rx.sequence;
	u8 payload[LIMIT];

	if (!pcn_ring_peek(&p->rx, &header))
		return false;
	if (!pcn_ring_take(&p->rx, &header, payload))
		header.source = ~source;
	if (header.source == source && header.request == n &&
	    is_right(payload, source, n, header.length))
		return true;
	fprintf(stderr, "stress: producer %u: message %llu is damaged\n",
		source, (unsigned long long)n);
	WRITE_ONCE(failed, true);
	return false;
}

/* Up to a budget from every ring. Returns messages taken. */
static u64 poll_all(void)
{
	u64 taken = 0;
	unsigned int i, n;

	for (i = 0; i < producers; i++) {
		for (n = 0; n < BUDGET && take_one(&producer[i]); n++)
			taken++;
		if (!n || !pcn_ring_room_is_awaited(&producer[i].rx))
			continue;
		seam_settle();
		sem_post(&producer[i].room);
	}
	return taken;
}

static bool all_empty(void)
{
	unsigned int i;

	for (i = 0; i < producers; i++)
		if (!pcn_ring_is_empty(&producer[i].rx))
			return false;
	return true;
}

static bool was_called(u64 number)
{
	unsigned int i;

	for (i = 0; i < producers; i++)
		if (pcn_bell_was_called(&bell, i, number))
			return true;
	return false;
}

/* Sleep until somebody rings who has called. False after STALL_S seconds. */
static bool sleep_until_rung(u64 number)
{
	struct timespec limit;

	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += STALL_S;
	seam_settle();
	do {
		if (sem_timedwait(&doorbell, &limit))
			return false;
	} while (!was_called(number));
	return true;
}

static int consume(u64 *sleeps)
{
	u64 left = producers * messages, armings = 0;

	while (left && !failed) {
		left -= poll_all();
		if (!left)
			break;
		pcn_bell_arm(&bell, ++armings);
		if (all_empty()) {
			(*sleeps)++;
			if (!sleep_until_rung(armings))
				return 3;
		}
		pcn_bell_disarm(&bell);
	}
	return failed;
}

static bool start(unsigned int i)
{
	struct producer *p = &producer[i];

	p->shared = aligned_alloc(64, sizeof(*p->shared));
	p->space = (struct pcn_ring_space) {
		.base = malloc(BASE_SIZE),
		.base_size = BASE_SIZE,
		.pool = malloc(BLOCKS * BLOCK_SIZE),
		.blocks = BLOCKS,
		.block_size = BLOCK_SIZE,
	};
	if (!p->shared || !p->space.base || !p->space.pool)
		return false;
	memset(p->shared, 0, sizeof(*p->shared));
	seam_share(p->shared, sizeof(*p->shared));
	p->random = seed + i;
	p->kernel = cpus ? 0 : i;
	sem_init(&p->room, 0, 0);
	pcn_ring_init(&p->tx, p->shared, &p->space, LIMIT);
	pcn_ring_init(&p->rx, p->shared, &p->space, LIMIT);
	return !pthread_create(&p->thread, NULL, produce, p);
}

int main(int argc, char **argv)
{
	u64 sleeps = 0, rings = 0, waits = 0, moves = 0;
	unsigned int i;
	int status;

	if (argc < 3)
		return 2;
	producers = atoi(argv[1]);
	messages = strtoull(argv[2], NULL, 0);
	seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
	for (i = 4; i < (unsigned int)argc; i++) {
		lockstep |= !strcmp(argv[i], "lockstep");
		cpus |= !strcmp(argv[i], "cpus");
	}
	if (!producers || producers > PRODUCERS_MAX)
		return 2;
	sem_init(&doorbell, 0, 0);
	seam_share(&bell, sizeof(bell));
	for (i = 0; i < producers; i++)
		if (!start(i))
			return 2;
	status = consume(&sleeps);
	WRITE_ONCE(failed, true);
	seam_settle();
	for (i = 0; i < producers; i++) {
		pthread_join(producer[i].thread, NULL);
		rings += producer[i].rings;
		waits += producer[i].waits;
		moves += producer[i].moves;
		free(producer[i].space.base);
		free(producer[i].space.pool);
		free(producer[i].shared);
	}
	printf("%u producers, %llu messages each: %llu sleeps, %llu doorbells, %llu waits for room, %llu moves: %s\n",
	       producers, (unsigned long long)messages,
	       (unsigned long long)sleeps, (unsigned long long)rings,
	       (unsigned long long)waits, (unsigned long long)moves,
	       status == 3 ? "a doorbell was lost" : status ? "wrong" : "right");
	return status;
}

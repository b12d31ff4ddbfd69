// SPDX-License-Identifier: GPL-2.0
/*
 * Pairs of threads with a bounded queue between them, of a mutex and two condition
 * variables. The even thread of a pair produces items, the odd one consumes them, and
 * both do some work for each. A thread sleeps when the queue is full, or empty.
 *
 *	queue [-n ITEMS] [-s SLOTS] [-w WORK] [-t THREADS] [-r REPEAT] [-p KID,...]
 *	      [-b KIND] [-v]
 *
 * THREADS is even, 2 unless said. ITEMS (10000) is the sum for all pairs. SLOTS (16) is
 * how many items a queue has room for, up to 256, and WORK (5000) how many steps of
 * arithmetic the work on an item has. Verification: each pair has taken what it has put
 * in, in that order.
 */
#include <err.h>
#include <pthread.h>
#include <stdio.h>

#include "bench.h"

#define SLOTS_MAX	256
#define PAIRS_MAX	(THREADS_MAX / 2)

static struct {
	size_t		items;
	unsigned int	slots, work;
} page_aligned options = { 10000, 16, 5000 };

static struct queue {
	pthread_mutex_t	lock;
	pthread_cond_t	not_full, not_empty;
	unsigned int	first, count;
	uint64_t	slot[SLOTS_MAX];
} page_aligned queues[PAIRS_MAX];

/* What is a thread's own, on a page of its own */
static struct end {
	uint64_t	sum;		/* of the items after the work on them */
	uint64_t	order;		/* a sum that depends on their order */
} page_aligned ends[THREADS_MAX];

static uint64_t do_work(uint64_t x)
{
	unsigned int i;

	for (i = 0; i < options.work; i++) {
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		x ^= x >> 33;
	}
	return x;
}

static void put(struct queue *q, uint64_t item)
{
	pthread_mutex_lock(&q->lock);
	while (q->count == options.slots)
		pthread_cond_wait(&q->not_full, &q->lock);
	q->slot[(q->first + q->count) % options.slots] = item;
	q->count++;
	pthread_cond_signal(&q->not_empty);
	pthread_mutex_unlock(&q->lock);
}

static uint64_t get(struct queue *q)
{
	uint64_t item;

	pthread_mutex_lock(&q->lock);
	while (!q->count)
		pthread_cond_wait(&q->not_empty, &q->lock);
	item = q->slot[q->first];
	q->first = (q->first + 1) % options.slots;
	q->count--;
	pthread_cond_signal(&q->not_full);
	pthread_mutex_unlock(&q->lock);
	return item;
}

static void note_order(struct end *e, uint64_t item)
{
	e->order = e->order * 31 + item;
}

static void produce(struct queue *q, struct end *e, struct span s)
{
	for (; s.first < s.end; s.first++) {
		uint64_t item = do_work(s.first);

		note_order(e, item);
		put(q, item);
	}
}

static void consume(struct queue *q, struct end *e, struct span s)
{
	for (; s.first < s.end; s.first++) {
		uint64_t item = get(q);

		note_order(e, item);
		e->sum += do_work(item);
	}
}

static void work(unsigned int me)
{
	unsigned int pair = me / 2, pairs = bench.threads / 2;
	struct span s = {
		.first = options.items * pair / pairs,
		.end = options.items * (pair + 1) / pairs,
	};

	ends[me] = (struct end) {};
	bench_start(me);
	if (me % 2)
		consume(&queues[pair], &ends[me], s);
	else
		produce(&queues[pair], &ends[me], s);
	bench_stop(me);
}

static bool verify(void)
{
	bool same = true;
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < bench.threads; i += 2) {
		same &= ends[i].order == ends[i + 1].order;
		same &= !queues[i / 2].count;
		sum += ends[i + 1].sum;
	}
	printf("queue: the items taken are %sthose put in, sum %llu\n",
	       same ? "" : "not ", (unsigned long long)sum);
	return same;
}

static void take(int option, const char *value)
{
	if (option == 'n')
		options.items = bench_number(value, 1, 100000000);
	else if (option == 's')
		options.slots = bench_number(value, 1, SLOTS_MAX);
	else if (option == 'w')
		options.work = bench_number(value, 0, 1000000);
}

static void make_queues(void)
{
	unsigned int i;

	for (i = 0; i < bench.threads / 2; i++) {
		pthread_mutex_init(&queues[i].lock, NULL);
		pthread_cond_init(&queues[i].not_full, NULL);
		pthread_cond_init(&queues[i].not_empty, NULL);
	}
}

int main(int argc, char **argv)
{
	char what[32];

	bench.threads = 2;
	if (bench_options(argc, argv, "n:s:w:r:", take,
			  "[-n ITEMS] [-s SLOTS] [-w WORK] [-r REPEAT]") < argc)
		errx(2, "what is %s?", argv[argc - 1]);
	if (bench.threads % 2)
		errx(2, "-t %u: threads are in pairs", bench.threads);
	make_queues();
	snprintf(what, sizeof(what), "%zu items", options.items);
	return bench_main(what, work, verify);
}

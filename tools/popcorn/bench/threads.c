// SPDX-License-Identifier: GPL-2.0
/*
 * A stress test of the life of threads and of what POSIX gives them: everything
 * here is checked, and the output says how much was done.
 *
 *	threads [-n ROUNDS] [-t THREADS] [-p KID,...] [-b KIND] [-v] [TEST...]
 *
 * ROUNDS is 100, THREADS 4 unless said, and all tests run:
 *
 *	create	waves of threads, joined and detached ones: arguments, results, fresh
 *		thread-local data, stacks of their own, destructors of keys
 *	mutex	counters that need a mutex
 *	robust	a thread ends with a robust mutex held, the next one gets to know
 *	cond	a token goes round by condition variables
 *	barrier	what was written before a barrier is seen after it
 *	rwlock	writers change pairs that readers always find equal
 *	sem	a token goes round by semaphores; posts by many for one
 *	malloc	blocks of memory are filled, passed on, checked, resized and freed
 *	map	mmap, mprotect, munmap, madvise and mremap by all threads at once,
 *		each change checked from another thread
 *	cancel	threads are cancelled while they sleep, and clean up
 *	signal	signals go to threads that compute and to those that wait
 */
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "place.h"

#define STACK_PATTERN	8192
#define MAP_PAGES	8UL
#define MAP_SIZE	(MAP_PAGES * PAGE)

static unsigned long rounds = 100;
static unsigned long faults;

/* What must be true; the first few that are not are printed. */
static bool check(bool ok, const char *what)
{
	if (!ok && __atomic_fetch_add(&faults, 1, __ATOMIC_RELAXED) < 10)
		fprintf(stderr, "threads: %s\n", what);
	return ok;
}

#define must(condition)	check(condition, #condition)

/* Calls that return an error number. */
#define works(call)	check(!(call), #call)

static pthread_t start(void *(*fn)(void *arg), void *arg)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, fn, arg);

	if (error)
		errx(2, "pthread_create: %s", strerror(error));
	return thread;
}

static unsigned int next_of(unsigned int me)
{
	return (me + 1) % bench.threads;
}

/* Steele and Vigna's splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* create */

static __thread unsigned long thread_local_zero, thread_local_seven = 7;
static pthread_key_t key;
static unsigned long destroyed;
static sem_t gone;

static void destroy(void *value)
{
	__atomic_fetch_add(&destroyed, (unsigned long)value, __ATOMIC_RELAXED);
}

static unsigned long count_destroyed(void)
{
	return __atomic_load_n(&destroyed, __ATOMIC_RELAXED);
}

/* Fills some of the stack with a thread's pattern and finds it unchanged. */
static void use_stack(unsigned long number)
{
	unsigned char stack[STACK_PATTERN];
	unsigned char pattern = number * 37 + 1;
	size_t i;

	for (i = 0; i < sizeof(stack); i++)
		stack[i] = pattern + i;
	/* For all the compiler knows, this reads and writes it. */
	__asm__ volatile("" : : "r" (stack) : "memory");
	sched_yield();
	__asm__ volatile("" : : "r" (stack) : "memory");
	for (i = 0; i < sizeof(stack); i++)
		if (!must(stack[i] == (unsigned char)(pattern + i)))
			break;
}

static void *live(void *arg)
{
	unsigned long number = (unsigned long)arg;

	place_thread(number);
	must(!thread_local_zero && thread_local_seven == 7);
	thread_local_zero = number + 1;
	thread_local_seven = number;
	works(pthread_setspecific(key, (void *)1));
	use_stack(number);
	must(thread_local_zero == number + 1 && thread_local_seven == number);
	return (void *)(number * number);
}

static void *live_detached(void *arg)
{
	works(pthread_detach(pthread_self()));
	live(arg);
	sem_post(&gone);
	return NULL;
}

/* Of each wave one thread in four is detached. */
static void one_wave(unsigned long wave, pthread_t *threads)
{
	unsigned int i;
	void *result;

	for (i = 0; i < bench.threads; i++)
		threads[i] = start(i % 4 == 3 ? live_detached : live,
				   (void *)(wave + i));
	for (i = 0; i < bench.threads; i++) {
		if (i % 4 == 3) {
			works(sem_wait(&gone));
			continue;
		}
		works(pthread_join(threads[i], &result));
		must(result == (void *)((wave + i) * (wave + i)));
	}
}

static void test_create(void)
{
	static pthread_t threads[THREADS_MAX];
	unsigned long wave, tries, wanted = rounds * bench.threads;

	destroyed = 0;
	works(pthread_key_create(&key, destroy));
	works(sem_init(&gone, 0, 0));
	for (wave = 0; wave < rounds; wave++)
		one_wave(wave, threads);
	/* A detached thread posts before its destructors run. */
	for (tries = 0; tries < 10000 && wanted != count_destroyed(); tries++)
		usleep(1000);
	must(count_destroyed() == wanted);
	works(pthread_key_delete(key));
	printf("ok create: %lu threads in %lu waves\n", wanted, rounds);
}

/* mutex */

#define COUNTERS	4

static struct {
	pthread_mutex_t	lock;
	unsigned long	count;
} page_aligned counters[COUNTERS];

static void add_one(unsigned int i)
{
	works(pthread_mutex_lock(&counters[i].lock));
	counters[i].count++;
	works(pthread_mutex_unlock(&counters[i].lock));
}

static void do_mutex(unsigned int me)
{
	unsigned long i;

	for (i = 0; i < rounds * COUNTERS; i++)
		add_one((me + i) % COUNTERS);
}

static void test_mutex(void)
{
	unsigned int i;

	for (i = 0; i < COUNTERS; i++) {
		works(pthread_mutex_init(&counters[i].lock, NULL));
		counters[i].count = 0;
	}
	bench_team(bench.threads, do_mutex);
	for (i = 0; i < COUNTERS; i++) {
		must(counters[i].count == rounds * bench.threads);
		works(pthread_mutex_destroy(&counters[i].lock));
	}
	printf("ok mutex: %lu increments\n", rounds * COUNTERS * bench.threads);
}

/* robust */

static struct {
	pthread_mutex_t	lock;
	unsigned long	deaths, value;
} page_aligned robust;

/* Locks and ends; the death of the one before is noticed, but for the first. */
static void *die_holding(void *arg)
{
	unsigned long number = (unsigned long)arg;
	int error;

	place_thread(number);
	error = pthread_mutex_lock(&robust.lock);
	if (error == EOWNERDEAD) {
		robust.deaths++;
		works(pthread_mutex_consistent(&robust.lock));
	} else {
		must(!error);
	}
	must(robust.value == number);
	robust.value++;
	return NULL;
}

static void test_robust(void)
{
	pthread_mutexattr_t attr;
	unsigned long i;

	robust.deaths = 0;
	robust.value = 0;
	works(pthread_mutexattr_init(&attr));
	works(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST));
	works(pthread_mutex_init(&robust.lock, &attr));
	for (i = 0; i < rounds; i++)
		works(pthread_join(start(die_holding, (void *)i), NULL));
	must(robust.deaths == rounds - 1);
	must(pthread_mutex_lock(&robust.lock) == EOWNERDEAD);
	works(pthread_mutex_consistent(&robust.lock));
	works(pthread_mutex_unlock(&robust.lock));
	works(pthread_mutex_destroy(&robust.lock));
	printf("ok robust: %lu deaths noticed\n", rounds);
}

/* cond */

static struct {
	pthread_mutex_t	lock;
	pthread_cond_t	moved;
	unsigned long	at;		/* moves until now */
} page_aligned token;

/* Each waits for the token to come to it and passes it on. */
static void do_cond(unsigned int me)
{
	unsigned long i;

	for (i = 0; i < rounds; i++) {
		works(pthread_mutex_lock(&token.lock));
		while (token.at % bench.threads != me)
			works(pthread_cond_wait(&token.moved, &token.lock));
		must(token.at++ == i * bench.threads + me);
		works(pthread_cond_broadcast(&token.moved));
		works(pthread_mutex_unlock(&token.lock));
	}
}

static void test_cond(void)
{
	token.at = 0;
	works(pthread_mutex_init(&token.lock, NULL));
	works(pthread_cond_init(&token.moved, NULL));
	bench_team(bench.threads, do_cond);
	must(token.at == rounds * bench.threads);
	works(pthread_cond_destroy(&token.moved));
	works(pthread_mutex_destroy(&token.lock));
	printf("ok cond: %lu moves of a token\n", rounds * bench.threads);
}

/* barrier */

static struct {
	pthread_barrier_t	all;
	unsigned long		serial;		/* how often one was told to be it */
} page_aligned barrier;

static unsigned long slots[2][THREADS_MAX] page_aligned;

static void do_barrier(unsigned int me)
{
	unsigned long i;
	unsigned int k;

	for (i = 0; i < rounds; i++) {
		slots[i % 2][me] = i * 1000 + me;
		if (pthread_barrier_wait(&barrier.all) ==
		    PTHREAD_BARRIER_SERIAL_THREAD)
			__atomic_fetch_add(&barrier.serial, 1, __ATOMIC_RELAXED);
		for (k = 0; k < bench.threads; k++)
			must(slots[i % 2][k] == i * 1000 + k);
	}
}

static void test_barrier(void)
{
	barrier.serial = 0;
	works(pthread_barrier_init(&barrier.all, NULL, bench.threads));
	bench_team(bench.threads, do_barrier);
	works(pthread_barrier_destroy(&barrier.all));
	must(barrier.serial == rounds);
	printf("ok barrier: %lu phases\n", rounds);
}

/* rwlock */

static pthread_rwlock_t rwlock;
static unsigned long pair[2][PAGE / sizeof(unsigned long)] page_aligned;

static void write_pair(void)
{
	works(pthread_rwlock_wrlock(&rwlock));
	pair[0][0]++;
	pair[1][0]++;
	works(pthread_rwlock_unlock(&rwlock));
}

static unsigned long read_pair(void)
{
	unsigned long value;

	works(pthread_rwlock_rdlock(&rwlock));
	value = pair[0][0];
	must(pair[1][0] == value);
	works(pthread_rwlock_unlock(&rwlock));
	return value;
}

static void do_rwlock(unsigned int me)
{
	unsigned long i, last = 0;

	for (i = 0; i < rounds * 4; i++) {
		unsigned long now;

		if ((i + me) % 4 == 0)
			write_pair();
		now = read_pair();
		must(now >= last);
		last = now;
	}
}

static void test_rwlock(void)
{
	pair[0][0] = 0;
	pair[1][0] = 0;
	works(pthread_rwlock_init(&rwlock, NULL));
	bench_team(bench.threads, do_rwlock);
	works(pthread_rwlock_destroy(&rwlock));
	must(pair[0][0] == rounds * bench.threads);
	printf("ok rwlock: %lu writings, %lu readings\n", pair[0][0],
	       rounds * 4 * bench.threads);
}

/* sem */

static struct {
	sem_t		turn;
} page_aligned turns[THREADS_MAX];

static sem_t posts;
static unsigned long moves;

static void take_posts(void)
{
	unsigned long i;

	for (i = 0; i < rounds * bench.threads; i++)
		works(sem_wait(&posts));
	must(sem_trywait(&posts) == -1 && errno == EAGAIN);
}

static void do_sem(unsigned int me)
{
	unsigned long i;

	for (i = 0; i < rounds; i++) {
		works(sem_wait(&turns[me].turn));
		must(moves++ == i * bench.threads + me);
		works(sem_post(&turns[next_of(me)].turn));
	}
	for (i = 0; i < rounds; i++)
		works(sem_post(&posts));
	if (!me)
		take_posts();
}

static void test_sem(void)
{
	unsigned int i;

	moves = 0;
	for (i = 0; i < bench.threads; i++)
		works(sem_init(&turns[i].turn, 0, !i));
	works(sem_init(&posts, 0, 0));
	bench_team(bench.threads, do_sem);
	printf("ok sem: %lu moves of a token, %lu posts\n", moves,
	       rounds * bench.threads);
}

/* malloc */

#define QUEUE	8

struct block {
	size_t		size;
	uint64_t	seed;
	unsigned char	data[];
};

/* What thread i is given by thread i - 1 */
static struct queue {
	pthread_mutex_t	lock;
	pthread_cond_t	changed;
	unsigned int	count;
	struct block	*block[QUEUE];
} page_aligned queues[THREADS_MAX];

static unsigned char byte_of(const struct block *b, size_t i)
{
	return (b->seed >> i % 8) + i;
}

static void fill(struct block *b, size_t from)
{
	size_t i;

	for (i = from; i < b->size; i++)
		b->data[i] = byte_of(b, i);
}

static void check_block(const struct block *b)
{
	size_t i;

	for (i = 0; i < b->size; i++)
		if (!must(b->data[i] == byte_of(b, i)))
			return;
}

/* Small ones as a rule, and some that malloc() maps. */
static size_t random_size(uint64_t *random)
{
	uint64_t r = next_random(random);

	return r % 32 ? r / 32 % 2000 : r / 32 % 300000;
}

static struct block *resize(struct block *b, size_t size)
{
	b = realloc(b, sizeof(*b) + size);
	if (!b)
		err(2, "%zu bytes", size);
	return b;
}

static struct block *make_block(uint64_t *random)
{
	size_t size = random_size(random);
	struct block *b = resize(NULL, size);

	b->size = size;
	b->seed = next_random(random);
	fill(b, 0);
	return b;
}

/* Makes a block as large as another one would be; what is left is unchanged. */
static struct block *change_block(struct block *b, uint64_t *random)
{
	size_t size = random_size(random), old = b->size;

	b = resize(b, size);
	b->size = size;
	if (old < size)
		fill(b, old);
	check_block(b);
	return b;
}

static void give(struct queue *q, struct block *b)
{
	works(pthread_mutex_lock(&q->lock));
	while (q->count == QUEUE)
		works(pthread_cond_wait(&q->changed, &q->lock));
	q->block[q->count++] = b;
	works(pthread_cond_broadcast(&q->changed));
	works(pthread_mutex_unlock(&q->lock));
}

static struct block *take_block(struct queue *q)
{
	struct block *b;

	works(pthread_mutex_lock(&q->lock));
	while (!q->count)
		works(pthread_cond_wait(&q->changed, &q->lock));
	b = q->block[--q->count];
	works(pthread_cond_broadcast(&q->changed));
	works(pthread_mutex_unlock(&q->lock));
	return b;
}

/* Takes as many as it gives, with a few on the way: no queue stays full. */
static void do_malloc(unsigned int me)
{
	uint64_t random = me;
	unsigned long i, on_way = 0, n = rounds * 4;

	for (i = 0; i < n || on_way; i++) {
		struct block *b;

		if (i < n) {
			give(&queues[next_of(me)], make_block(&random));
			on_way++;
		}
		if (i < n && on_way < QUEUE / 2)
			continue;
		b = take_block(&queues[me]);
		on_way--;
		check_block(b);
		if (i % 2)
			b = change_block(b, &random);
		free(b);
	}
}

static void test_malloc(void)
{
	unsigned int i;

	for (i = 0; i < bench.threads; i++) {
		works(pthread_mutex_init(&queues[i].lock, NULL));
		works(pthread_cond_init(&queues[i].changed, NULL));
		queues[i].count = 0;
	}
	bench_team(bench.threads, do_malloc);
	for (i = 0; i < bench.threads; i++)
		must(!queues[i].count);
	printf("ok malloc: %lu blocks passed on\n", rounds * 4 * bench.threads);
}

/* map */

/* Where each thread's memory is; written and read in different phases */
static struct {
	unsigned long	*at;
} page_aligned maps[THREADS_MAX];

static int pipes[THREADS_MAX][2];

/* Whether the kernel can read, or write, a byte there for this thread. */
static bool is_readable(unsigned int me, const void *at)
{
	char c;

	if (write(pipes[me][1], at, 1) != 1)
		return false;
	must(read(pipes[me][0], &c, 1) == 1);
	return true;
}

static bool is_writable(unsigned int me, void *at)
{
	char c = *(char *)at;

	must(write(pipes[me][1], &c, 1) == 1);
	if (read(pipes[me][0], at, 1) == 1)
		return true;
	must(read(pipes[me][0], &c, 1) == 1);
	return false;
}

static unsigned long *map(void *where, size_t size)
{
	void *at = mmap(where, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | (where ? MAP_FIXED : 0),
			-1, 0);

	if (at == MAP_FAILED)
		err(2, "mmap");
	return at;
}

static unsigned long *page_of(unsigned long *at, size_t page)
{
	return at + page * (PAGE / sizeof(*at));
}

static void stamp(unsigned long *at, unsigned long value)
{
	size_t i;

	for (i = 0; i < MAP_PAGES; i++)
		*page_of(at, i) = value + i;
}

static void check_stamp(unsigned long *at, unsigned long value, size_t from,
			size_t to)
{
	size_t i;

	for (i = from; i < to; i++)
		must(*page_of(at, i) == value + i);
}

static void check_zero(unsigned long *at)
{
	size_t i;

	for (i = 0; i < MAP_PAGES; i++)
		must(!*page_of(at, i));
}

static unsigned long value_of(unsigned long round, unsigned int who,
			      unsigned int phase)
{
	return (round * 64 + phase) * 100000 + who * 100;
}

/* New memory; the next thread finds in it what was written. */
static void map_new(unsigned int me, unsigned long round)
{
	unsigned int other = next_of(me);

	maps[me].at = map(NULL, MAP_SIZE);
	check_zero(maps[me].at);
	stamp(maps[me].at, value_of(round, me, 0));
	bench_barrier(me);
	check_stamp(maps[other].at, value_of(round, other, 0), 0, MAP_PAGES);
	bench_barrier(me);
}

/* One's own memory read-only: another thread cannot write it, and again can. */
static void map_protect(unsigned int me, unsigned long round)
{
	unsigned int other = next_of(me);

	works(mprotect(maps[me].at, MAP_SIZE, PROT_READ));
	bench_barrier(me);
	must(!is_writable(me, page_of(maps[other].at, round % MAP_PAGES)));
	check_stamp(maps[other].at, value_of(round, other, 0), 0, MAP_PAGES);
	bench_barrier(me);
	works(mprotect(maps[me].at, MAP_SIZE, PROT_READ | PROT_WRITE));
	bench_barrier(me);
	must(is_writable(me, page_of(maps[other].at, round % MAP_PAGES)));
	stamp(maps[other].at, value_of(round, other, 1));
	bench_barrier(me);
	check_stamp(maps[me].at, value_of(round, me, 1), 0, MAP_PAGES);
	bench_barrier(me);
}

/* The upper half of one's own memory goes: nobody can read it, the rest stays. */
static void map_unmap_half(unsigned int me, unsigned long round)
{
	unsigned int other = next_of(me);

	works(munmap(page_of(maps[me].at, MAP_PAGES / 2), MAP_SIZE / 2));
	bench_barrier(me);
	must(!is_readable(me, page_of(maps[other].at, MAP_PAGES - 1)));
	must(is_readable(me, maps[other].at));
	check_stamp(maps[other].at, value_of(round, other, 1), 0, MAP_PAGES / 2);
	bench_barrier(me);
}

/* Another thread maps anew over one's own memory: zeros, then what it writes. */
static void map_over(unsigned int me, unsigned long round)
{
	unsigned int other = next_of(me);

	map(maps[other].at, MAP_SIZE);
	check_zero(maps[other].at);
	stamp(maps[other].at, value_of(round, other, 2));
	bench_barrier(me);
	check_stamp(maps[me].at, value_of(round, me, 2), 0, MAP_PAGES);
	bench_barrier(me);
}

/* What is thrown away reads as zeros by all. */
static void map_discard(unsigned int me, unsigned long round)
{
	unsigned int other = next_of(me);

	works(madvise(maps[me].at, MAP_SIZE, MADV_DONTNEED));
	bench_barrier(me);
	check_zero(maps[other].at);
	bench_barrier(me);
	stamp(maps[me].at, value_of(round, me, 3));
	bench_barrier(me);
}

/* Moved to elsewhere, all that was in it comes along. */
static void map_move(unsigned int me, unsigned long round)
{
	unsigned int other = next_of(me);
	unsigned long *to = map(NULL, MAP_SIZE);

	to = mremap(maps[me].at, MAP_SIZE, MAP_SIZE,
		    MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (to == MAP_FAILED)
		err(2, "mremap");
	maps[me].at = to;
	bench_barrier(me);
	check_stamp(maps[other].at, value_of(round, other, 3), 0, MAP_PAGES);
	bench_barrier(me);
	works(munmap(to, MAP_SIZE));
	bench_barrier(me);
	must(!is_readable(me, maps[other].at));
	bench_barrier(me);
}

static void do_map(unsigned int me)
{
	unsigned long round;

	for (round = 0; round < rounds; round++) {
		map_new(me, round);
		map_protect(me, round);
		map_unmap_half(me, round);
		map_over(me, round);
		map_discard(me, round);
		map_move(me, round);
	}
}

static void test_map(void)
{
	unsigned int i;

	for (i = 0; i < bench.threads; i++)
		if (pipe(pipes[i]))
			err(2, "pipe");
	bench_team(bench.threads, do_map);
	for (i = 0; i < bench.threads; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	printf("ok map: %lu mappings, %lu changes\n", rounds * bench.threads,
	       rounds * bench.threads * 8);
}

/* cancel */

static unsigned long cleaned;
static sem_t asleep, never;

static void clean(void *arg)
{
	__atomic_fetch_add(&cleaned, (unsigned long)arg, __ATOMIC_RELAXED);
}

static void *sleep_for_ever(void *arg)
{
	place_thread((unsigned long)arg);
	pthread_cleanup_push(clean, (void *)1);
	works(sem_post(&asleep));
	sem_wait(&never);
	must(!"nobody posts this");
	pthread_cleanup_pop(0);
	return NULL;
}

static void cancel_all(pthread_t *threads)
{
	unsigned int i;
	void *result;

	for (i = 0; i < bench.threads; i++)
		threads[i] = start(sleep_for_ever, (void *)(unsigned long)i);
	for (i = 0; i < bench.threads; i++)
		works(sem_wait(&asleep));
	for (i = 0; i < bench.threads; i++)
		works(pthread_cancel(threads[i]));
	for (i = 0; i < bench.threads; i++) {
		works(pthread_join(threads[i], &result));
		must(result == PTHREAD_CANCELED);
	}
}

static void test_cancel(void)
{
	static pthread_t threads[THREADS_MAX];
	unsigned long i;

	cleaned = 0;
	works(sem_init(&asleep, 0, 0));
	works(sem_init(&never, 0, 0));
	for (i = 0; i < rounds; i++)
		cancel_all(threads);
	must(cleaned == rounds * bench.threads);
	printf("ok cancel: %lu threads\n", cleaned);
}

/* signal */

static struct {
	unsigned long	got;		/* by the handler, in the thread itself */
	sem_t		handled;
} page_aligned signals[THREADS_MAX];

static __thread unsigned int my_number;

static void handle(int number)
{
	int error = errno;

	(void)number;
	__atomic_fetch_add(&signals[my_number].got, 1, __ATOMIC_RELAXED);
	sem_post(&signals[my_number].handled);
	errno = error;
}

static bool signals_left(unsigned int me)
{
	return __atomic_load_n(&signals[me].got, __ATOMIC_RELAXED) < rounds;
}

/* Odd threads compute until they have all, even ones sleep. */
static void *be_signalled(void *arg)
{
	unsigned int me = (unsigned long)arg;
	sigset_t blocked, open;

	place_thread(me);
	my_number = me;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	works(pthread_sigmask(SIG_BLOCK, &blocked, &open));
	works(sem_post(&asleep));
	if (me % 2)
		works(pthread_sigmask(SIG_UNBLOCK, &blocked, NULL));
	while (signals_left(me))
		if (me % 2 == 0)
			must(sigsuspend(&open) == -1 && errno == EINTR);
	return NULL;
}

/* One to each thread, the next one when that has been handled. */
static void send_signals(pthread_t *threads)
{
	unsigned long i;
	unsigned int k;

	for (i = 0; i < rounds; i++) {
		for (k = 0; k < bench.threads; k++)
			works(pthread_kill(threads[k], SIGUSR1));
		for (k = 0; k < bench.threads; k++)
			while (sem_wait(&signals[k].handled))
				must(errno == EINTR);
	}
}

static void test_signal(void)
{
	static pthread_t threads[THREADS_MAX];
	struct sigaction action = { .sa_handler = handle };
	unsigned int k;

	works(sigaction(SIGUSR1, &action, NULL));
	works(sem_init(&asleep, 0, 0));
	for (k = 0; k < bench.threads; k++) {
		signals[k].got = 0;
		works(sem_init(&signals[k].handled, 0, 0));
		threads[k] = start(be_signalled, (void *)(unsigned long)k);
	}
	for (k = 0; k < bench.threads; k++)
		works(sem_wait(&asleep));
	send_signals(threads);
	for (k = 0; k < bench.threads; k++) {
		works(pthread_join(threads[k], NULL));
		must(signals[k].got == rounds);
	}
	printf("ok signal: %lu handled\n", rounds * bench.threads);
}

static const struct test {
	const char	*name;
	void		(*run)(void);
} tests[] = {
	{ "create", test_create },
	{ "mutex", test_mutex },
	{ "robust", test_robust },
	{ "cond", test_cond },
	{ "barrier", test_barrier },
	{ "rwlock", test_rwlock },
	{ "sem", test_sem },
	{ "malloc", test_malloc },
	{ "map", test_map },
	{ "cancel", test_cancel },
	{ "signal", test_signal },
};

static void run_test(const struct test *test)
{
	uint64_t began = bench_now();

	test->run();
	if (bench.verbose)
		printf("# %s: %.3f s\n", test->name, (bench_now() - began) / 1e9);
	fflush(stdout);
}

static void run_named(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (!strcmp(tests[i].name, name)) {
			run_test(&tests[i]);
			return;
		}
	}
	errx(2, "%s: no such test", name);
}

static void take(int option, const char *value)
{
	if (option == 'n')
		rounds = bench_number(value, 1, 1000000);
}

int main(int argc, char **argv)
{
	uint64_t began = bench_now();
	unsigned int i;
	int at;

	bench.threads = 4;
	at = bench_options(argc, argv, "n:", take, "[-n ROUNDS] [TEST...]");
	for (i = 0; at == argc && i < ARRAY_SIZE(tests); i++)
		run_test(&tests[i]);
	for (; at < argc; at++)
		run_named(argv[at]);
	return bench_result("all as it should be", !faults, bench_now() - began);
}

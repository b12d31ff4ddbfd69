// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs two threads to meet, and what they cost each other if they do not:
 * modes of "cost", which see. One thread is on the other kernel, if there is one.
 */
#include <err.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cost.h"

/* What both do, its name, and how often */
static struct {
	const char	*name;
	void		(*step)(unsigned int me);
	uint64_t	times;
} both;

static void take_place(unsigned int me)
{
	if (me == AWAY && cost.kid)
		migrate(cost.kid);
}

/* The mean: what the slower one has taken. */
static void both_work(unsigned int me)
{
	uint64_t began, i;

	take_place(me);
	bench_barrier(me);
	began = bench_now();
	for (i = 0; i < both.times; i++)
		both.step(me);
	bench_barrier(me);
	if (me == HOME)
		printf("%s %.0f\n", both.name,
		       (double)(bench_now() - began) / both.times);
}

static void set_both(const char *name, void (*step)(unsigned int me),
		     unsigned int times)
{
	both.name = name;
	both.step = step;
	both.times = (uint64_t)cost.count * times;
}

/* --- barrier --- */

static pthread_barrier_t meeting;

static void meet(unsigned int me)
{
	(void)me;
	pthread_barrier_wait(&meeting);
}

void run_barrier(void)
{
	pthread_barrier_init(&meeting, NULL, 2);
	set_both("barrier", meet, 5);
	bench_team(2, both_work);
}

/* --- mutex --- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile unsigned long counter;

static void add(unsigned int me)
{
	(void)me;
	pthread_mutex_lock(&mutex);
	counter++;
	pthread_mutex_unlock(&mutex);
}

void run_mutex(void)
{
	set_both("mutex", add, 100);
	bench_team(2, both_work);
}

/* --- storm --- */

/* From a word to some pages, and now and then more than malloc(3) keeps. */
static void allocate(unsigned int me)
{
	static __thread unsigned int seed;
	volatile char *p;
	size_t size;

	(void)me;
	seed = seed * 1103515245 + 12345;
	size = seed >> 16 & 0x3fff;
	if (!(seed >> 8 & 0xff))
		size += 256 << 10;
	p = malloc(size + 1);
	if (!p)
		err(2, "malloc");
	p[0] = 1;
	p[size] = 1;
	free((void *)p);
}

void run_storm(void)
{
	set_both("storm", allocate, 100);
	bench_team(2, both_work);
}

/* --- futex --- */

/* Whose turn it is. Each sleeps on it until it is its own, as on a condition variable. */
static struct {
	uint32_t	turn;
} page_aligned pair;

static void futex(int op, uint32_t value)
{
	if (syscall(SYS_futex, &pair.turn, op, value, NULL) < 0 && errno != EAGAIN &&
	    errno != EINTR)
		err(2, "futex");
}

static void sleep_until_turn(uint32_t me)
{
	while (__atomic_load_n(&pair.turn, __ATOMIC_ACQUIRE) != me)
		futex(FUTEX_WAIT_PRIVATE, !me);
}

static void give_turn(uint32_t to)
{
	__atomic_store_n(&pair.turn, to, __ATOMIC_RELEASE);
	futex(FUTEX_WAKE_PRIVATE, 1);
}

/* There and back: the turn begins and ends at home. */
static void pass_turn(unsigned int me)
{
	if (me == AWAY)
		sleep_until_turn(me);
	give_turn(!me);
	if (me == HOME)
		sleep_until_turn(me);
}

/* Each on a CPU of its own, as on two kernels */
static void futex_work(unsigned int me)
{
	if (!cost.kid)
		run_on(me);
	both_work(me);
}

void run_futex(void)
{
	set_both("futex", pass_turn, 1);
	bench_team(2, futex_work);
}

/* --- apart --- */

/* Between the ranges of the two */
#define DISTANCE	(64UL << 20)
#define ROUND_NS	200000

static char *area;

/* Rounds per nanosecond in each phase; each thread has a page. */
static struct {
	double		rate[3];
} page_aligned aparts[2];

static void map_at(char *at)
{
	char *p = mmap(at, STACK, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (p != at)
		err(2, "mmap");
	*p = 1;
	munmap(p, STACK);
}

static double rate_of_maps(char *at)
{
	uint64_t began = bench_now(), now, rounds = 0;

	do {
		map_at(at);
		rounds++;
		now = bench_now();
	} while (now - began < cost.count * ROUND_NS);
	return (double)rounds / (now - began);
}

/* In phases HOME and AWAY that thread is alone, in the last one both are at it. */
static void apart_work(unsigned int me)
{
	unsigned int phase;

	take_place(me);
	if (!cost.kid)
		run_on(me);
	for (phase = 0; phase < 3; phase++) {
		bench_barrier(me);
		if (phase == me || phase == 2)
			aparts[me].rate[phase] = rate_of_maps(area + me * DISTANCE);
	}
}

void run_apart(void)
{
	double home, away, together;

	area = bench_pages(2 * DISTANCE);
	bench_free(area, 2 * DISTANCE);
	bench_team(2, apart_work);
	home = aparts[HOME].rate[HOME];
	away = aparts[AWAY].rate[AWAY];
	together = aparts[HOME].rate[2] + aparts[AWAY].rate[2];
	printf("apart_home %.0f\napart_away %.0f\n", 1 / home, 1 / away);
	printf("apart_alone %.0f\napart %.0f\n", 2 / (home + away), 2 / together);
}

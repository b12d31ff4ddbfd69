// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs two threads to meet, and what they cost each other if they do not: modes of "cost", which see. One thread is on the other kernel, if there is one.
 */
#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

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

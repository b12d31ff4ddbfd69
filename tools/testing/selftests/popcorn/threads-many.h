/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests of threads.c with several threads: they wait for each other on different kernels,
 * are made, cancelled and left behind while they are away, and change the layout while
 * their process comes to be shared.
 */
#ifndef THREADS_MANY_H
#define THREADS_MANY_H

#include <pthread.h>

#include "threads-base.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int turn;
static __thread int own;

static void *take_turns(void *arg)
{
	int i, me = (intptr_t)arg;

	if (go(me ? away[(me - 1) % kernels] : 0))
		return NULL;
	for (i = 0; i < 10; i++) {
		pthread_mutex_lock(&mutex);
		while (turn % 4 != me)
			pthread_cond_wait(&cond, &mutex);
		turn++;
		own++;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mutex);
	}
	return own == 10 ? arg : NULL;
}

static bool test_threads(void)
{
	pthread_t t[4];
	bool ok = true;
	intptr_t i;
	void *ret;

	turn = 0;
	for (i = 0; i < 4; i++)
		if (pthread_create(&t[i], NULL, take_turns, (void *)i))
			return false;
	for (i = 0; i < 4; i++)
		ok = !pthread_join(t[i], &ret) && ret == (void *)i && ok;
	return ok && turn == 40;
}

static bool stop_changes;

/* Pages come, are used and go, all the time. */
static void *change_layout(void *arg)
{
	char *p;
	long i;

	for (i = 1; !__atomic_load_n(&stop_changes, __ATOMIC_RELAXED); i++) {
		p = map(4);
		stamp(p, 4, i);
		mprotect(p + PAGE, PAGE, PROT_READ);
		if (!stamped(p, 4, i))
			return arg;
		munmap(p, 4 * PAGE);
	}
	return NULL;
}

/* Its process comes to be shared while others are in the middle of that. */
static void do_share(void)
{
	pthread_t t[3];
	void *wrong;
	int i, bad = 0;

	for (i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, change_layout, &stop_changes);
	for (i = 0; i < 10; i++)
		bad += leave() || go(0);
	stop_changes = true;
	for (i = 0; i < 3; i++)
		bad += pthread_join(t[i], &wrong) || wrong;
	_exit(bad);
}

static bool test_share(void)
{
	bool ok = true;
	pid_t child;
	int i;

	for (i = 0; i < 10; i++) {
		child = fork();
		if (!child)
			do_share();
		ok = ends_with(child, 0) && ok;
	}
	return ok;
}

static void *nothing(void *arg)
{
	return arg;
}

static bool test_create_from_afar(void)
{
	bool ok = !leave();
	pthread_t t;
	void *ret;
	int i;

	for (i = 0; i < 10; i++)
		ok = ok && !pthread_create(&t, NULL, nothing, &mutex) &&
		     !pthread_join(t, &ret) && ret == &mutex;
	return !go(0) && ok;
}

static void *spin(void *arg)
{
	go(away[(intptr_t)arg % kernels]);
	for (;;)
		;
	return NULL;
}

static void do_leave_threads(void)
{
	pthread_t t;
	intptr_t i;

	for (i = 0; i < 4; i++)
		pthread_create(&t, NULL, spin, (void *)i);
	usleep(200000);
	_exit(8);
}

static void *sleep_long(void *arg)
{
	leave();
	sleep(1000);
	return arg;
}

static bool test_cancel(void)
{
	pthread_t t;
	void *ret;

	if (pthread_create(&t, NULL, sleep_long, NULL))
		return false;
	usleep(200000);
	return !pthread_cancel(t) && !pthread_join(t, &ret) &&
	       ret == PTHREAD_CANCELED;
}

#endif

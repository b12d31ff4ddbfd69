/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What threads.c does for other tests, which kill or stop a kernel meanwhile, or look at
 * what is left: --spin, --crowd, --once, --orphan.
 */
#ifndef THREADS_ROLE_H
#define THREADS_ROLE_H

#include "threads-many.h"
#include "threads-process.h"

static int crowd_pipe[2];

static void *join_crowd(void *arg)
{
	char c;

	if (leave())
		return NULL;
	while ((uintptr_t)arg % 64 == 1)
		syscall(SYS_sched_yield), syscall(SYS_getppid);
	return read(crowd_pipe[0], &c, 1) == 1 ? arg : NULL;
}

/* With stacks that are there before: to map memory is what would take long. */
static void be_crowd(int n)
{
	const size_t pages = 4;
	char *stacks = map(n * pages);
	pthread_attr_t attr;
	pthread_t t;
	intptr_t i;

	pthread_attr_init(&attr);
	if (!stacks || pipe(crowd_pipe))
		return;
	for (i = 0; i < n; i++) {
		pthread_attr_setstack(&attr, stacks + i * pages * PAGE, pages * PAGE);
		if (pthread_create(&t, &attr, join_crowd, (void *)i))
			return;
	}
	for (;;)
		pause();
}

static int go_once(void)
{
	if (leave() || go(0))
		return 1;
	puts("ready");
	fflush(stdout);
	getchar();
	leave();
	puts("gone");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}

static int be_orphan(void)
{
	pid_t child = fork(), other;
	int i;

	if (!child) {
		if (leave() || go(0))
			_exit(1);
		other = make_stranger(sleep_on);
		printf("%d\n", other);
		fflush(stdout);
		_exit(other < 0);
	}
	if (!ends_with(child, 0))
		return 1;
	/* What it has left behind is used again. */
	for (i = 0; i < 50; i++) {
		child = fork();
		if (!child)
			_exit(0);
		waitpid(child, NULL, 0);
	}
	return 0;
}

static void spin_on_all(void)
{
	pthread_t t;
	intptr_t i;

	for (i = 0; i < kernels; i++)
		pthread_create(&t, NULL, spin, (void *)i);
	for (;;)
		pause();
}

#endif

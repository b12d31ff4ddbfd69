// SPDX-License-Identifier: GPL-2.0
/*
 * Two threads that write the same page all the time, and another one now and then.
 *
 *	hot [-x] [-w] SECONDS
 *	hot -n COMMAND...
 *
 * The first thread is one of the two; with -w it waits, and two others write. -x has each
 * write a page of its own all the time. The threads are where they are placed. Prints where
 * the page is, and at the end how often each has written. -n runs a command as nobody.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAGE	4096
#define NOBODY	65534

/* Names that a table of symbols has, each with a page to itself. */
volatile long hot_page[PAGE / sizeof(long)] __attribute__((aligned(PAGE)));
volatile long warm_page[PAGE / sizeof(long)] __attribute__((aligned(PAGE)));
volatile long own_page[2][PAGE / sizeof(long)] __attribute__((aligned(PAGE)));

static bool shares = true;
static double seconds;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void *writer(void *arg)
{
	intptr_t me = (intptr_t)arg;
	volatile long *page = shares ? hot_page : own_page[me];
	double end = now() + seconds, next = 0;
	long i;

	while (now() < end) {
		for (i = 0; i < 10000; i++)
			page[me * 8]++;
		if (now() < next)
			continue;
		warm_page[me * 8]++;
		next = now() + 0.1;
	}
	return NULL;
}

static int be_nobody(char **argv)
{
	if (setgid(NOBODY) || setuid(NOBODY)) {
		perror("setuid");
		return 1;
	}
	execvp(argv[0], argv);
	perror(argv[0]);
	return 127;
}

int main(int argc, char **argv)
{
	pthread_t thread[2];
	bool waits = false;
	int option, first;
	intptr_t i;

	while ((option = getopt(argc, argv, "+xwn")) != -1) {
		if (option == 'n')
			return be_nobody(argv + optind);
		if (option == 'x')
			shares = false;
		else
			waits = true;
	}
	seconds = argc > optind ? atof(argv[optind]) : 1;
	printf("hot_page %lx\n", (unsigned long)hot_page);
	fflush(stdout);
	first = !waits;
	for (i = first; i < 2; i++)
		if (pthread_create(&thread[i], NULL, writer, (void *)i))
			return 1;
	if (!waits)
		writer((void *)0);
	for (i = first; i < 2; i++)
		pthread_join(thread[i], NULL);
	printf("written %ld %ld\n", hot_page[0] + own_page[0][0],
	       hot_page[8] + own_page[1][8]);
	return 0;
}

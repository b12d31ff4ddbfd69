/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For the programs of cases.sh. The first argument of each is the kernel that its
 * threads go to; with "-" they stay, so that the same is tried without Popcorn.
 */
#ifndef CASES_H
#define CASES_H

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>

#include "selftest.h"

static const char *where = "-";

/* away: the calling thread goes to the kernel that was asked for; is it there? */
static inline bool away(void)
{
	return !strcmp(where, "-") || !go(atoi(where));
}

static inline bool home(void)
{
	return !strcmp(where, "-") || !go(0);
}

/* ends: a child comes to its end, which is waited for long; *status is how */
static inline bool ends(pid_t pid, int seconds, int *status)
{
	time_t end = time(NULL) + seconds;
	pid_t got;

	while (!(got = waitpid(pid, status, WNOHANG)) && time(NULL) < end)
		usleep(10000);
	return got == pid;
}

/* A test that needs so long hangs, however slow the machine is. */
#define HANG_SECONDS	600

/* in_child: a test that may not come back; it is killed then, and has failed */
static inline bool in_child(bool (*test)(void))
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(!test());
	if (ends(pid, HANG_SECONDS, &status))
		return !status;
	printf("# it does not end\n");
	kill(pid, SIGKILL);
	if (!ends(pid, 10, &status))
		printf("# it cannot be killed\n");
	return false;
}

#endif

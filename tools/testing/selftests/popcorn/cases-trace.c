// SPDX-License-Identifier: GPL-2.0
/*
 * System calls that are held half-way stop nobody else. Prints TAP.
 *
 *	cases-trace KID
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

#include "cases.h"

#define ROUNDS 20

static volatile int ready;

static void *use_new_memory(void *arg)
{
	char *p;
	int i;

	ready = away() ? 1 : -1;
	for (;;) {
		p = map(64);
		for (i = 0; p && i < 64; i++)
			p[i * PAGE] = 1;
	}
	return arg;
}

/* A process that forks when it is told to, while its thread away needs memory */
static void victim(void)
{
	pthread_t t;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pthread_create(&t, NULL, use_new_memory, NULL);
	while (!ready)
		usleep(1000);
	raise(SIGSTOP);
	if (!fork())
		_exit(0);
	for (;;)
		pause();
}

static void use_memory(void)
{
	int i, j;

	if (!away())
		_exit(1);
	for (i = 0; i < ROUNDS; i++) {
		char *p = map(16);

		for (j = 0; p && j < 16; j++)
			p[j * PAGE] = 1;
		if (!p || munmap(p, 16 * PAGE))
			_exit(1);
	}
	_exit(0);
}

/* hold: the process is stopped in the middle of its fork() */
static bool hold(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACEFORK))
		return false;
	kill(pid, SIGCONT);
	while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
		if (status >> 16 == PTRACE_EVENT_FORK)
			return true;
		ptrace(PTRACE_CONT, pid, NULL, 0);
	}
	return false;
}

static bool held_fork(void)
{
	pid_t pid = fork(), other;
	bool ok = false;
	int status;

	if (!pid)
		victim();
	if (hold(pid)) {
		/* Its thread asks for memory now, if it can. */
		usleep(300000);
		other = fork();
		if (!other)
			use_memory();
		ok = ends(other, 30, &status) && !status;
		if (!ok)
			kill(other, SIGKILL);
	}
	kill(pid, SIGKILL);
	return ok;
}

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif

static volatile char selector;
static volatile int dispatched;
static char *range;

static void on_dispatch(int sig)
{
	selector = 0;
	dispatched = sig;
	if (munmap(range, PAGE) || munmap(range + PAGE, PAGE))
		_exit(1);
}

/* A system call that the program handles itself, then changes of the layout */
static bool dispatched_call(void)
{
	signal(SIGSYS, on_dispatch);
	range = map(3);
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, 1, 0, 0, &selector) || !away())
		return false;
	range[0] = range[PAGE] = range[2 * PAGE] = 1;
	selector = 1;
	syscall(SYS_getppid);
	selector = 0;
	/* A call that is not caught away is another matter. */
	if (!dispatched)
		munmap(range, 2 * PAGE);
	return !munmap(range + 2 * PAGE, PAGE);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	where = argv[1];
	printf("1..2\n");
	result(in_child(dispatched_call), "calls after one that was dispatched");
	result(in_child(held_fork), "a program beside one that is held in fork()");
	return 0;
}

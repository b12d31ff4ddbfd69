/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests of threads.c about processes: children that a thread makes while it is away, how
 * a process ends whose thread is away, and processes that cannot be shared.
 *
 * Threads go to other kernels within a process. A child is a process of its own, at home
 * where its parent is. A process stays where it is if others use its memory as well, or if
 * it has a time or segments of its own.
 */
#ifndef THREADS_PROCESS_H
#define THREADS_PROCESS_H

#include <asm/ldt.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>

#include "threads-base.h"

extern char **environ;

/* --- children --- */

static bool test_fork(void)
{
	char *p = map(PAGES);
	bool ok = !leave();
	pid_t child;

	stamp(p, PAGES, 8);
	child = fork();
	if (!child) {
		ok = ok && stamped(p, PAGES, 8);
		stamp(p, PAGES, 9);
		ok = ok && !leave() && stamped(p, PAGES, 9);
		_exit(ok ? 3 : 1);
	}
	ok = ok && ends_with(child, 3 << 8) && stamped(p, PAGES, 8);
	ok = !go(0) && ok && stamped(p, PAGES, 8);
	munmap(p, PAGES * PAGE);
	return ok;
}

static bool test_spawn(void)
{
	char *argv[] = { (char *)self, "--exit", "5", NULL };
	bool ok = !leave();
	pid_t child;

	ok = ok && !posix_spawn(&child, self, NULL, NULL, argv, environ) &&
	     ends_with(child, 5 << 8);
	return !go(0) && ok;
}

/* --- ends --- */

/* In a child: what ends it must end it as at home. */
static bool child_ends(void (*fn)(void), int status)
{
	pid_t child = fork();

	if (!child) {
		if (leave())
			_exit(99);
		fn();
		_exit(98);
	}
	return ends_with(child, status);
}

static void do_exec(void)
{
	execl(self, self, "--exit", "6", NULL);
}

static void do_exit_group(void)
{
	_exit(7);
}

static void do_kill(void)
{
	kill(getpid(), SIGKILL);
}

static void do_crash(void)
{
	*(volatile int *)nowhere = 1;
}

static void do_abort(void)
{
	abort();
}

static bool test_killed_computing(void)
{
	pid_t child = fork();

	if (!child) {
		if (leave())
			_exit(99);
		for (;;)
			;
	}
	usleep(300000);
	kill(child, SIGKILL);
	return ends_with(child, SIGKILL);
}

static bool test_stopped(void)
{
	pid_t child = fork();
	int status;
	bool ok;

	if (!child) {
		if (leave())
			_exit(99);
		for (;;)
			;
	}
	usleep(200000);
	kill(child, SIGSTOP);
	ok = waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status);
	kill(child, SIGCONT);
	usleep(50000);
	kill(child, SIGTERM);
	return ends_with(child, SIGTERM) && ok;
}

/* --- what cannot be shared --- */

static char strange_stack[2][65536];

static int sleep_on(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return 0;
}

/* Its leader ends, and has no memory any more. */
static int leave_to_thread(void *arg)
{
	clone(sleep_on, strange_stack[1] + sizeof(strange_stack[1]),
	      CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_FS | CLONE_FILES, arg);
	syscall(SYS_exit, 0);
	return 0;
}

static pid_t make_stranger(int (*fn)(void *))
{
	return clone(fn, strange_stack[0] + sizeof(strange_stack[0]),
		     CLONE_VM | SIGCHLD, NULL);
}

/* What has another time cannot look at the clocks of another kernel. */
static bool test_time_namespace(void)
{
	pid_t child = fork(), grandchild;

	if (!child) {
		if (unshare(CLONE_NEWTIME))
			_exit(errno == EINVAL || errno == EPERM ? 0 : 1);
		grandchild = fork();
		if (!grandchild)
			_exit(leave() && errno == EOPNOTSUPP ? 0 : 1);
		_exit(!ends_with(grandchild, 0) || leave() || go(0));
	}
	return ends_with(child, 0);
}

/* What has segments of its own stays where they are. */
static bool test_segments(void)
{
	struct user_desc d = { .entry_number = 1, .limit = 0xfffff, .seg_32bit = 1,
			       .limit_in_pages = 1, .useable = 1 };
	pid_t child = fork();
	unsigned short ds = 0;

	if (!child) {
		if (leave() || syscall(SYS_modify_ldt, 1, &d, sizeof(d)))
			_exit(1);
		asm volatile("mov %1, %%ds\n\tmov %%ds, %0\n\tmov %2, %%ds"
			     : "=&r" (ds) : "r" ((unsigned short)0xf),
			       "r" ((unsigned short)0));
		_exit(leave() && errno == EOPNOTSUPP && ds == 0xf ? 0 : 2);
	}
	return ends_with(child, 0);
}

static bool ends_killed(pid_t child)
{
	kill(child, SIGKILL);
	return ends_with(child, SIGKILL);
}

/* In a child: a new process, not shared yet. */
static void do_refuse_stranger(void)
{
	pid_t child;
	bool ok;

	child = make_stranger(leave_to_thread);
	usleep(100000);
	ok = leave() && errno == EBUSY;
	ok = ends_killed(child) && ok;
	_exit(ok && !leave() && !go(0) ? 0 : 1);
}

static bool test_stranger(void)
{
	pid_t child = fork();

	if (!child)
		do_refuse_stranger();
	return ends_with(child, 0);
}

#endif

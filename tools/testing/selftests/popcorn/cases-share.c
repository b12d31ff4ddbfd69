// SPDX-License-Identifier: GPL-2.0
/*
 * Memory is shared with a process whose leader has ended. Prints TAP.
 *
 *	cases-share KID
 *
 * A child of clone(CLONE_VM) makes a thread and ends; the thread lives on, with this
 * memory, and maps something in place of a page of it. Either the migration is
 * refused, or all see the same.
 */
#define _GNU_SOURCE
#include <sched.h>

#include "cases.h"

enum { READY = 1, MAP, MAPPED };

static volatile int *phase;
static volatile long *word;
static char child_stack[65536], thread_stack[65536];

/* Without the C library: it knows nothing of this thread. */
static int stranger(void *arg)
{
	*phase = READY;
	while (*phase != MAP)
		syscall(SYS_sched_yield);
	if (syscall(SYS_mmap, word, PAGE, PROT_READ | PROT_WRITE,
		    MAP_FIXED | MAP_SHARED | MAP_ANONYMOUS, -1, 0) == (long)word)
		*word = 1000;
	*phase = MAPPED;
	for (;;)
		syscall(SYS_sched_yield);
	return arg != NULL;
}

static int leader(void *arg)
{
	clone(stranger, thread_stack + sizeof(thread_stack), CLONE_VM | CLONE_SIGHAND |
	      CLONE_THREAD | CLONE_FS | CLONE_FILES, arg);
	syscall(SYS_exit, 0);
	return 0;
}

static bool refused;

/* store: at the other kernel, if that is possible */
static bool store_away(long value)
{
	if (!away()) {
		refused = true;
		return true;
	}
	*word = value;
	return *word == value && home() && *word == value;
}

static bool same_for_all(void)
{
	bool ok;
	pid_t pid;

	phase = map(1);
	word = map(1);
	*word = 1;
	pid = clone(leader, child_stack + sizeof(child_stack), CLONE_VM | SIGCHLD, NULL);
	if (pid < 0)
		return false;
	while (*phase != READY)
		usleep(1000);
	usleep(100000);
	ok = store_away(2);
	*word = 3;
	*phase = MAP;
	while (*phase != MAPPED)
		usleep(1000);
	ok = ok && store_away(4);
	if (refused)
		printf("# the migration is refused\n");
	kill(pid, SIGKILL);
	return ok;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	where = argv[1];
	printf("1..1\n");
	result(in_child(same_for_all), "a thread without a leader maps a page");
	return 0;
}

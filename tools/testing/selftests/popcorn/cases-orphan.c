// SPDX-License-Identifier: GPL-2.0
/*
 * Memory outlives the process that has made it.
 *
 *	cases-orphan KID SECONDS
 *
 * A process migrates, makes a child by clone(CLONE_VM), and ends; its parent reaps it.
 * The child lives on with the memory, for so many seconds. Others take the place of the
 * process. This says "ready" and waits for a line of input; meanwhile that kernel may be
 * lost. Exit status 0 if none of the others has been killed for that.
 */
#define _GNU_SOURCE
#include <sched.h>

#include "cases.h"

#define OTHERS	60

static char stack[65536];

static int stay(void *arg)
{
	struct timespec t = { (long)arg, 0 };

	syscall(SYS_nanosleep, &t, NULL);
	return 0;
}

static bool become_orphan(const char *seconds)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (!away() || !home())
			_exit(1);
		_exit(clone(stay, stack + sizeof(stack), CLONE_VM | SIGCHLD,
			    (void *)atol(seconds)) < 0);
	}
	return waitpid(pid, &status, 0) == pid && !status;
}

static bool all_live(const pid_t *pids)
{
	int i;

	for (i = 0; i < OTHERS; i++)
		if (waitpid(pids[i], NULL, WNOHANG))
			return false;
	return true;
}

int main(int argc, char **argv)
{
	pid_t pids[OTHERS];
	char line[16];
	bool ok;
	int i;

	if (argc != 3)
		return 2;
	where = argv[1];
	if (!become_orphan(argv[2]))
		return 1;
	for (i = 0; i < OTHERS; i++) {
		pids[i] = fork();
		if (!pids[i])
			for (;;)
				pause();
	}
	if (write(1, "ready\n", 6) != 6 || read(0, line, sizeof(line)) <= 0)
		return 1;
	ok = all_live(pids);
	if (!ok)
		printf("another process was killed\n");
	for (i = 0; i < OTHERS; i++)
		kill(pids[i], SIGKILL);
	return !ok;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - programs of the system that the command runs, and what it is run with itself
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "popcorn.h"

extern char **environ;

/**
 * pcn_is_ignored() - is a signal ignored, as by nohup?
 * @number:	the signal
 *
 * Return: true if so
 */
bool pcn_is_ignored(int number)
{
	struct sigaction now;

	return !sigaction(number, NULL, &now) && now.sa_handler == SIG_IGN;
}

/**
 * pcn_above_streams() - move a file away from the place of a standard stream that is closed
 * @fd:	the file, closed on exec; or -1
 *
 * Return: the file; -1 with errno if it was that, or there is no more room.
 */
int pcn_above_streams(int fd)
{
	int high, err;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	err = errno;
	close(fd);
	errno = err;
	return high;
}

/* Returns its number, or a negative errno. Its output goes to @output. */
static pid_t start(const char *const *argv, int output)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int err;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	err = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return err ? -err : pid;
}

/* Returns its exit status, as a shell tells it. */
static int end_of(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* All that can be read, ended by a NUL. */
static char *read_all(int fd)
{
	size_t count = 0, size = 4096;
	char *text = pcn_grow(NULL, size);
	ssize_t n;

	while ((n = read(fd, text + count, size - count - 1)) > 0 || (n < 0 && errno == EINTR)) {
		count += n > 0 ? n : 0;
		if (count == size - 1) {
			size *= 2;
			text = pcn_grow(text, size);
		}
	}
	text[count] = '\0';
	return text;
}

/**
 * pcn_program() - run a program; what it prints is shown as errors are
 * @argv:	its name, found as a shell does, and its arguments; ended by NULL
 *
 * Return: its exit status, 128 and more if by a signal; or a negative errno: it does not run.
 */
int pcn_program(const char *const *argv)
{
	pid_t pid = start(argv, STDERR_FILENO);

	return pid < 0 ? pid : end_of(pid);
}

/**
 * pcn_program_output() - run a program and take its output
 * @argv:	as of pcn_program()
 * @status:	set to what pcn_program() returns
 *
 * Return: the output, to be freed; NULL if it does not run.
 */
char *pcn_program_output(const char *const *argv, int *status)
{
	char *text = NULL;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC)) {
		*status = -errno;
		return NULL;
	}
	*status = start(argv, ends[1]);
	close(ends[1]);
	if (*status > 0) {
		text = read_all(ends[0]);
		*status = end_of(*status);
	}
	close(ends[0]);
	return text;
}

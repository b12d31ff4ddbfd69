// SPDX-License-Identifier: GPL-2.0
/*
 * Run a command on a terminal of its own:
 *
 *	pty ROWS COLUMNS COMMAND [ARG]...
 *
 * What comes by standard input is typed there, and what is printed there is printed. Ends, with
 * its exit status, when the command does.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pty.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Returns false if there is no more. */
static bool copy(int from, int to)
{
	char data[1024];
	ssize_t n = read(from, data, sizeof(data));

	return n > 0 && write(to, data, n) == n;
}

int main(int argc, char **argv)
{
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	struct winsize size = { 0 };
	int status, terminal;
	pid_t child;

	if (argc < 4)
		return 2;
	size.ws_row = atoi(argv[1]);
	size.ws_col = atoi(argv[2]);
	child = forkpty(&terminal, NULL, NULL, &size);
	if (child < 0) {
		perror("forkpty");
		return 2;
	}
	if (!child) {
		execvp(argv[3], argv + 3);
		perror(argv[3]);
		_exit(2);
	}
	fds[0].fd = terminal;
	fds[1].fd = STDIN_FILENO;
	while (poll(fds, 2, -1) > 0) {
		if (fds[0].revents && !copy(terminal, STDOUT_FILENO))
			break;
		if (fds[1].revents && !copy(STDIN_FILENO, terminal))
			fds[1].fd = -1;
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

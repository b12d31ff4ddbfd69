/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For programs that type on the terminal of another kernel, on which a shell waits: a child
 * "popcorn console KERNEL" whose input and output they have.
 */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What does not come within that time does not come. */
#define LIMIT_MS	60000

static int to, from;
static char seen[65536];

static inline void die(const char *what)
{
	perror(what);
	exit(1);
}

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* For qsort() of uint64_t */
static inline int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Returns the child's number. */
static inline pid_t attach(const char *kernel)
{
	int in[2], out[2];
	pid_t child;

	if (pipe(in) || pipe(out))
		die("pipe");
	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		close(in[1]);
		close(out[0]);
		execlp("popcorn", "popcorn", "console", kernel, NULL);
		die("popcorn");
	}
	close(in[0]);
	close(out[1]);
	to = in[1];
	from = out[0];
	return child;
}

static inline void type(const char *text)
{
	if (write(to, text, strlen(text)) != (ssize_t)strlen(text))
		die("write");
}

/* What has come, behind what was kept of it, and a NUL. */
static inline size_t look(size_t kept)
{
	struct pollfd fd = { .fd = from, .events = POLLIN };
	ssize_t n;

	if (poll(&fd, 1, LIMIT_MS) <= 0) {
		fprintf(stderr, "terminal: nothing comes any more\n");
		exit(1);
	}
	n = read(from, seen + kept, sizeof(seen) - 1 - kept);
	if (n <= 0)
		die("read");
	seen[kept + n] = '\0';
	return n;
}

/* Until that has come, perhaps in parts; the NULs of what a shell prints do not matter. */
static inline void wait_for(const char *text)
{
	size_t kept = 0, most = strlen(text) - 1;

	while (look(kept), !strstr(seen, text)) {
		kept = strlen(seen) < most ? strlen(seen) : most;
		memmove(seen, seen + strlen(seen) - kept, kept);
	}
}

#endif

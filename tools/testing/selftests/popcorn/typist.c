// SPDX-License-Identifier: GPL-2.0
/*
 * Type a line each second on the terminal of another kernel, where a shell waits:
 *
 *	typist KERNEL STOP
 *
 * until the file STOP exists. Prints how many lines were typed, and the median, the 99th
 * percentile and the longest time until a line was echoed. A line that is not echoed within a
 * minute is an error.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINES_MAX	100000
#define LIMIT_MS	60000

static int to, from;
static uint64_t took_us[LINES_MAX];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ULL + t.tv_nsec / 1000;
}

static pid_t attach(const char *kernel)
{
	int in[2], out[2];
	pid_t child;

	if (pipe(in) || pipe(out))
		die("pipe");
	child = fork();
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

/* Returns the number of bytes that have come, 0 if there is nothing for a minute. */
static size_t read_some(char *seen, size_t room)
{
	struct pollfd fd = { .fd = from, .events = POLLIN };
	ssize_t n;

	if (poll(&fd, 1, LIMIT_MS) <= 0)
		return 0;
	n = read(from, seen, room);
	if (n <= 0)
		die("read");
	return n;
}

/* Keep what may be the beginning of the text: it may come in two parts. */
static void wait_for(const char *text)
{
	char seen[4096];
	size_t kept = 0, most = strlen(text) - 1, n;

	for (;;) {
		n = read_some(seen + kept, sizeof(seen) - kept);
		if (!n) {
			fprintf(stderr, "typist: no echo of \"%s\"\n", text);
			exit(1);
		}
		kept += n;
		if (memmem(seen, kept, text, strlen(text)))
			return;
		n = kept < most ? kept : most;
		memmove(seen, seen + kept - n, n);
		kept = n;
	}
}

/* The line is a comment, so that the shell has nothing to do for it. */
static void type_line(unsigned int number)
{
	char line[32];
	int n = snprintf(line, sizeof(line), "# line %u.\n", number);

	if (write(to, line, n) != n)
		die("write");
	line[n - 1] = '\0';
	wait_for(line);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	unsigned int n = 0;
	pid_t console;

	if (argc != 3) {
		fprintf(stderr, "usage: typist KERNEL STOP\n");
		return 2;
	}
	console = attach(argv[1]);
	do {
		took_us[n] = now_us();
		type_line(n);
		took_us[n] = now_us() - took_us[n];
		n++;
		sleep(1);
	} while (n < LINES_MAX && access(argv[2], F_OK));
	kill(console, SIGTERM);
	qsort(took_us, n, sizeof(*took_us), compare);
	printf("lines %u median_us %llu 99th_us %llu longest_us %llu\n", n,
	       (unsigned long long)took_us[n / 2], (unsigned long long)took_us[n * 99 / 100],
	       (unsigned long long)took_us[n - 1]);
	return 0;
}

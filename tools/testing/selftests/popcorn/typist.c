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
#include <signal.h>

#include "terminal.h"

#define LINES_MAX	100000

static uint64_t took_ns[LINES_MAX];

/* The line is a comment, so that the shell has nothing to do for it. */
static void type_line(unsigned int number)
{
	char line[32];

	snprintf(line, sizeof(line), "# line %u.", number);
	type(line);
	type("\n");
	wait_for(line);
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
		took_ns[n] = now_ns();
		type_line(n);
		took_ns[n] = now_ns() - took_ns[n];
		n++;
		sleep(1);
	} while (n < LINES_MAX && access(argv[2], F_OK));
	kill(console, SIGTERM);
	qsort(took_ns, n, sizeof(*took_ns), compare);
	printf("lines %u median_us %llu 99th_us %llu longest_us %llu\n", n,
	       (unsigned long long)took_ns[n / 2] / 1000,
	       (unsigned long long)took_ns[n * 99 / 100] / 1000,
	       (unsigned long long)took_ns[n - 1] / 1000);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Measures the terminal of another kernel, on which a shell waits:
 *
 *	console KERNEL KEYS BYTES
 *
 * prints how long a key takes until it is echoed, the median and the longest, in ns; and how
 * fast BYTES are that a program prints there, in bytes per second, and how many of them are
 * missing here.
 */
#include "terminal.h"

static void measure_echo(unsigned int count)
{
	uint64_t *ns = calloc(count, sizeof(*ns));
	unsigned int i;

	for (i = 0; i < count; i++) {
		ns[i] = now_ns();
		type("k");
		wait_for("k");
		ns[i] = now_ns() - ns[i];
		/* The shell looks at what was typed only when it has printed it. */
		type("\b");
		usleep(5000);
	}
	qsort(ns, count, sizeof(*ns), compare);
	printf("echo %llu\nlongest %llu\n", (unsigned long long)ns[count / 2],
	       (unsigned long long)ns[count - 1]);
	free(ns);
}

/* The command is echoed, too, and has neither an x nor the word at the end. */
static void measure_rate(uint64_t bytes)
{
	uint64_t start = now_ns(), found = 0;
	char command[160];
	size_t n, i;
	double s;

	snprintf(command, sizeof(command),
		 "head -c %llu /dev/zero | tr '\\0' '\\170'; echo over''all\n",
		 (unsigned long long)bytes);
	type(command);
	do {
		n = look(0);
		for (i = 0; i < n; i++)
			found += seen[i] == 'x';
	} while (found < bytes && !strstr(seen, "overall"));
	s = (now_ns() - start) / 1e9;
	printf("rate %.0f\nlost %lld\n", bytes / s, (long long)(bytes - found));
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: console KERNEL KEYS BYTES\n");
		return 2;
	}
	attach(argv[1]);
	type("echo he''re\n");
	wait_for("here");
	measure_echo(atoi(argv[2]));
	measure_rate(strtoull(argv[3], NULL, 0));
	return 0;
}

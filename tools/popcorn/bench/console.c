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
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int to, from;
static char seen[65536];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void attach(const char *kernel)
{
	int in[2], out[2];

	if (pipe(in) || pipe(out))
		die("pipe");
	if (!fork()) {
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
}

static void type(const char *text)
{
	if (write(to, text, strlen(text)) != (ssize_t)strlen(text))
		die("write");
}

/* What has come, which is ended by a NUL. */
static size_t look(size_t kept)
{
	ssize_t n = read(from, seen + kept, sizeof(seen) - 1 - kept);

	if (n <= 0)
		die("read");
	seen[kept + n] = '\0';
	return n;
}

/* Until that has come; the NULs of what a shell prints do not matter. */
static void wait_for(const char *text)
{
	size_t kept = 0, most = strlen(text) - 1;

	while (look(kept), !strstr(seen, text)) {
		kept = strlen(seen) < most ? strlen(seen) : most;
		memmove(seen, seen + strlen(seen) - kept, kept);
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

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

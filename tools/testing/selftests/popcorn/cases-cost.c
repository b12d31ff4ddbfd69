// SPDX-License-Identifier: GPL-2.0
/*
 * What a change of the layout costs a thread away, more than at home, in system calls
 * away that do nothing. Prints TAP.
 *
 *	cases-cost KID [PAGES]
 *
 * Times are compared with each other alone: medians, by turns. With PAGES as many pages are read
 * at home, in a process that is on two kernels, and nothing else is done; this then says
 * "ready" and waits for a line of input.
 */
#define _GNU_SOURCE
#include "cases.h"

#define ROUNDS	41
#define CALLS	20	/* what a few messages there and back may cost, in calls */

static char *p;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void call(void)
{
	syscall(SYS_getppid);
}

static void map_and_unmap(void)
{
	char *q = map(16);

	*q = 1;
	munmap(q, 16 * PAGE);
}

static void discard(void)
{
	*p = 1;
	madvise(p, PAGE, MADV_DONTNEED);
}

static void protect(void)
{
	mprotect(p, PAGE, PROT_READ);
	mprotect(p, PAGE, PROT_READ | PROT_WRITE);
}

static const struct {
	const char	*name;
	void		(*run)(void);
} steps[] = {
	{ "getppid", call },
	{ "mmap, write, munmap", map_and_unmap },
	{ "write, madvise(MADV_DONTNEED)", discard },
	{ "mprotect, twice", protect },
};

#define STEPS ARRAY_SIZE(steps)

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void measure(double *medians)
{
	static double times[STEPS][ROUNDS];
	unsigned int i;
	double begin;
	int n;

	for (n = 0; n < ROUNDS; n++) {
		for (i = 0; i < STEPS; i++) {
			begin = now();
			steps[i].run();
			times[i][n] = now() - begin;
		}
	}
	for (i = 0; i < STEPS; i++) {
		qsort(times[i], ROUNDS, sizeof(times[i][0]), compare);
		medians[i] = times[i][ROUNDS / 2];
	}
}

static void cost(void)
{
	double at_home[STEPS], there[STEPS];
	char text[80];
	unsigned int i;

	p = map(16);
	memset(p, 1, 16 * PAGE);
	measure(at_home);
	result(away(), "it is away");
	measure(there);
	for (i = 0; i < STEPS; i++)
		printf("# %s: at home %.0f us, away %.0f us, %.1f calls\n", steps[i].name,
		       at_home[i], there[i], (there[i] - at_home[i]) / there[0]);
	for (i = 1; i < STEPS; i++) {
		snprintf(text, sizeof(text), "%s: not more than %d calls", steps[i].name,
			 CALLS);
		result(there[i] <= 2 * at_home[i] + CALLS * there[0], text);
	}
}

static int read_zeros(size_t pages)
{
	volatile char *q = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char line[16];
	size_t i;

	if (q == MAP_FAILED || !away() || !home())
		return 1;
	for (i = 0; i < pages; i++)
		if (q[i * PAGE])
			return 1;
	if (write(1, "ready\n", 6) != 6 || read(0, line, sizeof(line)) <= 0)
		return 1;
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	where = argv[1];
	if (argc == 3)
		return read_zeros(atol(argv[2]));
	printf("1..%zu\n", STEPS);
	cost();
	return 0;
}

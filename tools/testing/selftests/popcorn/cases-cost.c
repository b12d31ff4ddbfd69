// SPDX-License-Identifier: GPL-2.0
/*
 * What a change of the layout costs a thread away: messages of its home. Prints TAP, and as
 * comments medians of times, by turns.
 *
 *	cases-cost KID [PAGES]
 *
 * With PAGES as many pages are read
 * at home, in a process that is on two kernels, and nothing else is done; this then says
 * "ready" and waits for a line of input.
 */
#define _GNU_SOURCE
#include "cases.h"

#define ROUNDS	41

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

/*
 * Messages: an answer to each call, and to each question for a VMA or a page; of each round
 * the freeze and the drop, which is the thaw, as one member knows of the range. Two more, as
 * a page of the stack or of data may be asked for. With "vote" a round is with all members, and
 * has a fence: four more.
 */
static const struct {
	const char	*name;
	void		(*run)(void);
	unsigned int	messages;
	unsigned int	rounds;
} steps[] = {
	{ "getppid", call, 1 + 2, 0 },
	{ "mmap, write, munmap", map_and_unmap, 2 + 2 + 2 + 2, 1 },
	{ "write, madvise(MADV_DONTNEED)", discard, 1 + 1 + 2 + 2, 1 },
	{ "mprotect, twice", protect, 2 + 2 * (2 + 1) + 2, 2 },
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

/* What home has sent to where the thread is, on two channels; -1: not known. */
static long sent(void)
{
	static const char * const channels[] = { "control", "coherency" };
	char name[80];
	long n, sum = 0;
	unsigned int i;
	FILE *f;

	for (i = 0; i < ARRAY_SIZE(channels); i++) {
		snprintf(name, sizeof(name), "/sys/kernel/popcorn/links/%s/%s/tx_messages",
			 where, channels[i]);
		f = fopen(name, "r");
		if (!f || fscanf(f, "%ld", &n) != 1)
			return -1;
		fclose(f);
		sum += n;
	}
	return sum;
}

static bool votes(void)
{
	char line[4096] = "";
	FILE *f = fopen("/proc/cmdline", "r");

	if (f) {
		fread(line, 1, sizeof(line) - 1, f);
		fclose(f);
	}
	return strstr(line, "popcorn_protocol=vote");
}

static void count(unsigned int step)
{
	unsigned int limit = steps[step].messages + (votes() ? 4 * steps[step].rounds : 0);
	long before = sent(), after;
	char text[80];
	int n;

	for (n = 0; n < ROUNDS; n++)
		steps[step].run();
	after = sent();
	/* Some are for reading the counters. */
	printf("# %s: %.1f messages\n", steps[step].name,
	       (double)(after - before) / ROUNDS);
	snprintf(text, sizeof(text), "%s: not more than %u messages", steps[step].name, limit);
	result(before >= 0 && after - before <= ROUNDS * (long)limit, text);
}

static void cost(void)
{
	double at_home[STEPS], there[STEPS];
	unsigned int i;

	p = map(16);
	memset(p, 1, 16 * PAGE);
	measure(at_home);
	result(away(), "it is away");
	measure(there);
	for (i = 0; i < STEPS; i++)
		printf("# %s: at home %.0f us, away %.0f us\n", steps[i].name, at_home[i],
		       there[i]);
	if (atoi(where))
		for (i = 0; i < STEPS; i++)
			count(i);
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
	printf("1..%zu\n", atoi(where) ? STEPS + 1 : 1);
	cost();
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Clocks of a kernel, set against the TSC, which all kernels of a machine share.
 *
 *	clocks sample INTERVAL SECONDS	every INTERVAL ms, a line of six numbers
 *	clocks slew PPM TICK		run faster: adjtimex(2)
 *	clocks step SECONDS		set CLOCK_REALTIME forward
 *	clocks tsc			the TSC
 *
 * A sample's numbers are "TSC CLOCK_MONOTONIC" and "TSC CLOCK_REALTIME", each
 * with the TSC cycles within which it was taken. Clocks are in nanoseconds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>
#include <x86intrin.h>

/* Looks per sample: the one that was disturbed least counts. */
#define TRIES	30

/* struct look - a clock's time at a value of the TSC */
struct look {
	uint64_t tsc, ns, width;
};

static uint64_t tsc(void)
{
	_mm_lfence();
	return __rdtsc();
}

static uint64_t now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static struct look look_at(clockid_t clock)
{
	struct look best = { .width = UINT64_MAX };
	uint64_t before, ns, width;
	int i;

	for (i = 0; i < TRIES; i++) {
		before = tsc();
		ns = now(clock);
		width = tsc() - before;
		if (width < best.width)
			best = (struct look){ before + width / 2, ns, width };
	}
	return best;
}

static void print_look(struct look l, char end)
{
	printf("%llu %llu %llu%c", (unsigned long long)l.tsc,
	       (unsigned long long)l.ns, (unsigned long long)l.width, end);
}

static int sample(long interval, long seconds)
{
	struct timespec pause = { interval / 1000, interval % 1000 * 1000000 };
	long i;

	for (i = 0; i < seconds * 1000 / interval; i++) {
		print_look(look_at(CLOCK_MONOTONIC), ' ');
		print_look(look_at(CLOCK_REALTIME), '\n');
		fflush(stdout);
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int slew(long ppm, long tick)
{
	struct timex tx = {
		.modes = ADJ_FREQUENCY | ADJ_TICK,
		.freq = ppm << 16,
		.tick = tick,
	};

	return adjtimex(&tx) < 0;
}

static int step(long seconds)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += seconds;
	return clock_settime(CLOCK_REALTIME, &ts) < 0;
}

static int usage(void)
{
	fputs("usage: clocks sample INTERVAL SECONDS | slew PPM TICK | step SECONDS | tsc\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	long a = argc > 2 ? atol(argv[2]) : 0;
	long b = argc > 3 ? atol(argv[3]) : 0;

	if (!strcmp(what, "sample") && argc == 4 && a > 0)
		return sample(a, b);
	if (!strcmp(what, "slew") && argc == 4)
		return slew(a, b);
	if (!strcmp(what, "step") && argc == 3)
		return step(a);
	if (strcmp(what, "tsc") || argc != 2)
		return usage();
	printf("%llu\n", (unsigned long long)tsc());
	return 0;
}

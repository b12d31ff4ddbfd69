// SPDX-License-Identifier: GPL-2.0
/*
 * ticks - watch the clocks and timers of this kernel from one CPU
 *
 *	ticks CPU
 *
 * Runs at real-time priority until SIGTERM, woken every millisecond, and then
 * tells what it has seen:
 *
 *	gap	the longest time between two looks, ms. It is long when interrupts
 *		or the scheduler of this CPU stood still
 *	jiffies	by how much jiffies and CLOCK_MONOTONIC have disagreed at most, ms
 *	timer	expirations of a periodic timer of 10 ms that are missing, or too
 *		many
 *	rate	by how much the rates of CLOCK_MONOTONIC and the TSC have differed
 *		between the first second and all of the time, ppm
 *	step	by how much CLOCK_REALTIME has moved against CLOCK_MONOTONIC, ms
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define NSEC_PER_SEC	1000000000LL
#define NSEC_PER_MSEC	1000000LL
#define NSEC_PER_CLK	(10 * NSEC_PER_MSEC)	/* USER_HZ is 100 */
#define PERIOD		(10 * NSEC_PER_MSEC)

static volatile sig_atomic_t done;

static void on_term(int number)
{
	done = 1;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* A pair of readings that belong together: the closest of a few. */
struct pair {
	int64_t mono;
	int64_t other;
};

static int64_t read_tsc(void)
{
	return __rdtsc();
}

static int64_t read_realtime(void)
{
	return now(CLOCK_REALTIME);
}

static struct pair read_pair(int64_t (*read_other)(void))
{
	int64_t before, other, took, best = INT64_MAX;
	struct pair pair = { };
	int i;

	for (i = 0; i < 8; i++) {
		before = now(CLOCK_MONOTONIC);
		other = read_other();
		took = now(CLOCK_MONOTONIC) - before;
		if (took >= best)
			continue;
		best = took;
		pair.mono = before + took / 2;
		pair.other = other;
	}
	return pair;
}

/* TSC cycles per nanosecond between two readings. */
static double rate(struct pair a, struct pair b)
{
	return (double)(b.other - a.other) / (b.mono - a.mono);
}

/* Jiffies in ns against the clock, which was read no earlier than @since. */
static int64_t jiffies_off(int64_t start, clock_t start_clk)
{
	int64_t before = now(CLOCK_MONOTONIC) - start;
	int64_t jiffies = (times(NULL) - start_clk) * NSEC_PER_CLK;
	int64_t after = now(CLOCK_MONOTONIC) - start;

	if (jiffies < before)
		return before - jiffies;
	return jiffies > after ? jiffies - after : 0;
}

static int start_timer(int64_t *start)
{
	struct itimerspec its = {
		.it_interval.tv_nsec = PERIOD,
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);

	*start = now(CLOCK_MONOTONIC);
	its.it_value.tv_sec = (*start + PERIOD) / NSEC_PER_SEC;
	its.it_value.tv_nsec = (*start + PERIOD) % NSEC_PER_SEC;
	if (fd < 0 || timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL))
		die("timerfd");
	return fd;
}

static int64_t expirations(int fd)
{
	uint64_t count = 0;

	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		die("timerfd");
	return count;
}

/* How many expirations too few or too many there were besides @count. */
static int64_t expirations_off(int fd, int64_t start, int64_t count)
{
	int64_t at_least = (now(CLOCK_MONOTONIC) - start) / PERIOD;
	int64_t at_most;

	count += expirations(fd);
	at_most = (now(CLOCK_MONOTONIC) - start) / PERIOD;
	if (count < at_least)
		return at_least - count;
	return count > at_most ? count - at_most : 0;
}

static void become_watcher(int cpu)
{
	struct sched_param param = { .sched_priority = 50 };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
	if (sched_setscheduler(0, SCHED_FIFO, &param))
		die("sched_setscheduler");
	signal(SIGTERM, on_term);
}

int main(int argc, char **argv)
{
	int64_t gap = 0, off = 0, count = 0, missing, t, last, start;
	const struct timespec nap = { .tv_nsec = NSEC_PER_MSEC };
	struct pair real, tsc, tsc_second = { };
	clock_t start_clk;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: ticks CPU\n");
		return 2;
	}
	become_watcher(atoi(argv[1]));
	real = read_pair(read_realtime);
	tsc = read_pair(read_tsc);
	start_clk = times(NULL);
	fd = start_timer(&start);
	for (last = start; !done; last = t) {
		nanosleep(&nap, NULL);
		t = jiffies_off(start, start_clk);
		if (t > off)
			off = t;
		count += expirations(fd);
		t = now(CLOCK_MONOTONIC);
		if (t - last > gap)
			gap = t - last;
		if (!tsc_second.mono && t - start > NSEC_PER_SEC)
			tsc_second = read_pair(read_tsc);
	}
	missing = expirations_off(fd, start, count);
	printf("gap %lld\n", (long long)(gap / NSEC_PER_MSEC));
	printf("jiffies %lld\n", (long long)(off / NSEC_PER_MSEC));
	printf("timer %lld\n", (long long)missing);
	if (tsc_second.mono) {
		struct pair tsc_end = read_pair(read_tsc);

		printf("rate %.0f\n", 1e6 *
		       __builtin_fabs(rate(tsc, tsc_end) / rate(tsc, tsc_second) - 1));
	}
	t = real.other - real.mono;
	real = read_pair(read_realtime);
	printf("step %lld\n", (long long)
	       llabs((real.other - real.mono - t) / NSEC_PER_MSEC));
	return 0;
}

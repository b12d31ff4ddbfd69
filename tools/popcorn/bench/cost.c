// SPDX-License-Identifier: GPL-2.0
/*
 * What single steps of a program cost that runs on two kernels, and what one kernel
 * has instead of them.
 *
 *	cost -k KID [-n COUNT] {fault|turns|touch}
 *	cost -k KID [-n COUNT] {call|migrate|layout|protect|signal|fork}
 *	cost [-k KID] [-n COUNT] {create|barrier|mutex|storm|futex|apart}
 *	cost [-n COUNT] userfault
 *
 *	fault	faults on COUNT pages that the other kernel has last written, page by
 *		page: reads there of pages that no other kernel has asked for before
 *		(first_read), that have been exchanged before (read), reads here
 *		(read_home), writes there (write)
 *	turns	two threads write one page in turns (turn; the mean of the same; and
 *		messages per turn)
 *	touch	a thread faults in 64 MiB at home (touch_home), where they are written, and
 *		then touches each of these pages away (touch); likewise in huge pages
 *		(huge_home, huge). COUNT times by 10, at least 5
 *	userfault a read fault that a thread on another CPU serves by userfaultfd(2)
 *
 *	call	getppid(2) of a thread that is away
 *	migrate	a thread goes to the other kernel and comes back
 *	layout	a thread maps 16 pages, writes the first one, and unmaps them (map), and writes
 *		a page and gives it back by madvise(2) (discard); the same at home (map_home,
 *		discard_home)
 *	protect	a thread writes a page, makes it read-only and writable again by mprotect(2),
 *		and writes it (protect); the same at home (protect_home)
 *	signal	raise(3), with a handler that runs and returns (signal); the same at home
 *		(signal_home)
 *	fork	fork(2) of a thread that is away, _exit(2) of the child, and waitpid(2) (fork);
 *		the same at home (fork_home). COUNT times by 10, at least 5
 *	create	pthread_create(3) and pthread_join(3) of a thread that does nothing, by a thread
 *		that is away if there is another kernel
 *
 *	barrier	two threads meet COUNT times, one of them on the other kernel if there is one:
 *		a time (barrier)
 *	mutex	they add to a counter under a mutex: an addition, of either (mutex)
 *	storm	they allocate and free memory of many sizes, each its own: a pair (storm)
 *	futex	they wait for their turn and give it, by futex(2): there and back (futex).
 *		A kernel may let one look at the word before it sleeps
 *	apart	each maps 16 pages in a range of its own, writes the first one, and unmaps
 *		them, for COUNT times 200 us: the thread at home alone (apart_home), the
 *		other one alone (apart_away), both at once (apart: the time of a round of
 *		one thread, from the sum of rates), and what that is if neither costs the
 *		other one anything (apart_alone: from the sum of rates alone). On one
 *		kernel they are on CPUs 0 and 1
 *
 * For each figure there is a line "NAME VALUE": nanoseconds, the median of COUNT
 * (1000) or more; of what two threads do, the mean. The exit status is 0, or 2 if it
 * could not run.
 *
 * While one side is measured the other one sleeps, in futex(2) or read(2); but for
 * the turns, where both want the page all the time, and what two threads do.
 */
#include <err.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cost.h"
#include "place.h"

struct cost cost = { .count = 1000 };

struct samples room_for(size_t most)
{
	struct samples s = { .ns = bench_pages(most * sizeof(*s.ns)) };
	size_t i;

	for (i = 0; i < most; i += PAGE / sizeof(*s.ns))
		__atomic_store_n(&s.ns[i], 1, __ATOMIC_RELAXED);
	return s;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void print_median(const char *name, struct samples *s)
{
	qsort(s->ns, s->count, sizeof(*s->ns), compare);
	printf("%s %llu\n", name, (unsigned long long)s->ns[s->count / 2]);
}

void measure(const char *name, void (*step)(void), size_t times)
{
	struct samples s = room_for(times);
	uint64_t began;
	size_t i;

	for (i = 0; i < times; i++) {
		began = bench_now();
		step();
		s.ns[s.count++] = bench_now() - began;
	}
	print_median(name, &s);
	bench_free(s.ns, times * sizeof(*s.ns));
}

size_t some_times(void)
{
	return cost.count / 10 < 5 ? 5 : cost.count / 10;
}

void migrate(unsigned int to)
{
	if (syscall(POPCORN_MIGRATE, to, 0) < 0)
		place_failed(to, errno);
}

void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(2, "CPU %d", cpu);
}

static const struct mode {
	const char	*name;
	void		(*run)(void);
	bool		remote;		/* needs -k */
} modes[] = {
	{ "fault", run_fault, true },
	{ "turns", run_turns, true },
	{ "touch", run_touch, true },
	{ "userfault", run_userfault, false },
	{ "call", run_call, true },
	{ "migrate", run_migrate, true },
	{ "layout", run_layout, true },
	{ "protect", run_protect, true },
	{ "signal", run_signal, true },
	{ "fork", run_fork, true },
	{ "create", run_create, false },
	{ "barrier", run_barrier, false },
	{ "mutex", run_mutex, false },
	{ "storm", run_storm, false },
	{ "futex", run_futex, false },
	{ "apart", run_apart, false },
};

static void take(int option, const char *value)
{
	if (option == 'n')
		cost.count = bench_number(value, 1, 1000000);
	else if (option == 'k')
		cost.kid = bench_number(value, 1, 63);
}

static void print_modes(void)
{
	size_t i;

	fputs("cost: the modes are", stderr);
	for (i = 0; i < ARRAY_SIZE(modes); i++)
		fprintf(stderr, " %s", modes[i].name);
	fputc('\n', stderr);
}

int main(int argc, char **argv)
{
	int first = bench_options(argc, argv, "n:k:", take, "[-k KID] [-n COUNT] MODE");
	const char *name = argc - first == 1 ? argv[first] : "";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		if (strcmp(name, modes[i].name))
			continue;
		if (modes[i].remote && !cost.kid)
			errx(2, "%s: -k KID says which kernel is the other one",
			     name);
		modes[i].run();
		return 0;
	}
	print_modes();
	return 2;
}

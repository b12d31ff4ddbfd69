// SPDX-License-Identifier: GPL-2.0
/*
 * What the programs of this directory have in common. Their options:
 *
 *	-t THREADS	how many threads, 1 unless said
 *	-c CLASS	T, S, W or A: the size of the problem (ep, cg, is)
 *	-r REPEAT	do it so often; the time is that of the shortest
 *	-p KID,KID,...	place thread i on kernel KID[i mod n]
 *	-b KIND		the barrier: pthread, or spin (threads watch a word in
 *			memory and never sleep)
 *	-v		print the time of each thread
 *
 * The last line is "NAME: WHAT, N threads: verification passed, S s"; nothing in
 * the lines before it depends on the threads or the time, but for those that
 * begin with "#". The exit status is 0, 1 if verification failed, 2 if it could
 * not run.
 *
 * Threads are created by the main thread, which only waits for them. Under
 * Popcorn a page is what kernels exchange, so data of different threads are kept
 * on pages of their own where a programmer who knows that would do so.
 */
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "place.h"

#define SPINS	100

struct bench bench = { .threads = 1, .repeat = 1, .class = 'S' };

/* What is a thread's own, on a page of its own */
struct member {
	pthread_t	thread;
	unsigned int	me;
	uint64_t	began, ended;
	uint64_t	waiting;	/* in barriers, since it began */
	uint64_t	worked;
	unsigned int	sums;
} page_aligned;

static struct member members[THREADS_MAX];

/* Written before the threads start */
static struct {
	unsigned int	size;
	void		(*work)(unsigned int me);
} page_aligned team;

static struct {
	pthread_barrier_t	all;
} page_aligned barrier;

/* The spinning barrier: those that wait read one page, those that arrive write one. */
static struct {
	unsigned int	value;
} page_aligned arrived, generation;

/* How many sums a thread has in each of its two sets */
struct sum_counts {
	size_t	count[2];
} page_aligned;

/* The sums of blocks: two sets of pages for each thread, used in turn */
static struct {
	double	*blocks;
	size_t	room;
} sum;

static struct sum_counts sum_counts[THREADS_MAX];

static void print_usage(const char *own)
{
	fprintf(stderr, "usage: %s [-t THREADS] [-p KID,KID,...] [-b pthread|spin] [-v]%s%s\n",
		bench.name, *own ? " " : "", own);
	exit(2);
}

unsigned long bench_number(const char *text, unsigned long least,
			   unsigned long most)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || n < least || n > most)
		errx(2, "%s: not a number from %lu to %lu", text, least, most);
	return n;
}

static void take_class(const char *text)
{
	if (strlen(text) != 1 || !strchr("TSWA", *text))
		errx(2, "-c %s: the classes are T, S, W and A", text);
	bench.class = *text;
}

static void take_barrier(const char *text)
{
	bench.spin = !strcmp(text, "spin");
	if (!bench.spin && strcmp(text, "pthread"))
		errx(2, "-b %s: the barriers are pthread and spin", text);
}

/* False: it is the program's own. */
static bool take_common(int option, const char *value)
{
	switch (option) {
	case 't':
		bench.threads = bench_number(value, 1, THREADS_MAX);
		return true;
	case 'p':
		place_parse(value);
		return true;
	case 'b':
		take_barrier(value);
		return true;
	case 'v':
		bench.verbose = true;
		return true;
	case 'c':
		take_class(value);
		return true;
	case 'r':
		bench.repeat = bench_number(value, 1, 1000000);
		return true;
	}
	return false;
}

/* The same for both ways of linking it. */
static const char *program_name(void)
{
	char *name = strdup(program_invocation_short_name), *suffix;

	if (!name)
		err(2, "strdup");
	suffix = strstr(name, "-static");
	if (suffix)
		*suffix = '\0';
	return name;
}

int bench_options(int argc, char **argv, const char *own,
		  void (*take)(int option, const char *value),
		  const char *own_usage)
{
	char letters[64];
	int option;

	bench.name = program_name();
	snprintf(letters, sizeof(letters), "t:p:b:v%s", own);
	while ((option = getopt(argc, argv, letters)) != -1) {
		if (option == '?')
			print_usage(own_usage);
		if (!take_common(option, optarg) && take)
			take(option, optarg);
	}
	return optind;
}

void *bench_pages(size_t size)
{
	void *memory = mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		err(2, "%zu bytes", size);
	return memory;
}

void bench_free(void *memory, size_t size)
{
	munmap(memory, size ? size : 1);
}

uint64_t bench_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* Gives way now and then: there may be more threads than CPUs. */
static void spin_until_not(unsigned int *word, unsigned int value)
{
	unsigned int i = 0;

	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value) {
		if (++i % SPINS)
			__builtin_ia32_pause();
		else
			sched_yield();
	}
}

static void spin_barrier(void)
{
	unsigned int now = __atomic_load_n(&generation.value, __ATOMIC_RELAXED);

	if (__atomic_add_fetch(&arrived.value, 1, __ATOMIC_ACQ_REL) < team.size) {
		spin_until_not(&generation.value, now);
		return;
	}
	__atomic_store_n(&arrived.value, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&generation.value, now + 1, __ATOMIC_RELEASE);
}

static void wait_for_all(void)
{
	if (bench.spin)
		spin_barrier();
	else
		pthread_barrier_wait(&barrier.all);
}

void bench_barrier(unsigned int me)
{
	uint64_t began;

	if (!bench.verbose) {
		wait_for_all();
		return;
	}
	began = bench_now();
	wait_for_all();
	members[me].waiting += bench_now() - began;
}

void bench_start(unsigned int me)
{
	struct member *m = &members[me];

	wait_for_all();
	m->waiting = 0;
	m->began = bench_now();
}

void bench_stop(unsigned int me)
{
	struct member *m = &members[me];

	m->ended = bench_now();
	m->worked = m->ended - m->began - m->waiting;
	wait_for_all();
}

static void *run_member(void *arg)
{
	struct member *m = arg;

	place_thread(m->me);
	m->began = bench_now();
	team.work(m->me);
	if (m->ended)
		return NULL;
	m->ended = bench_now();
	m->worked = m->ended - m->began - m->waiting;
	return NULL;
}

/* The clock is one for all kernels: from the first that began to the last. */
static uint64_t team_time(uint64_t *ended)
{
	uint64_t began = members[0].began;
	unsigned int i;

	*ended = members[0].ended;
	for (i = 1; i < team.size; i++) {
		if (members[i].began < began)
			began = members[i].began;
		if (members[i].ended > *ended)
			*ended = members[i].ended;
	}
	return *ended - began;
}

static void print_member(const struct member *m, uint64_t ended)
{
	uint64_t waited = ended - m->began - m->worked;

	printf("# thread %u", m->me);
	if (place_count())
		printf(" on kernel %u", place_kid(m->me));
	printf(": worked %.6f s, waited %.6f s\n", m->worked / 1e9, waited / 1e9);
}

static void start_members(void)
{
	unsigned int i;

	for (i = 0; i < team.size; i++) {
		int error;

		members[i] = (struct member) { .me = i };
		error = pthread_create(&members[i].thread, NULL, run_member,
				       &members[i]);
		if (error)
			errx(2, "thread %u: %s", i, strerror(error));
	}
}

uint64_t bench_team(unsigned int threads, void (*work)(unsigned int me))
{
	uint64_t ns, ended;
	unsigned int i;

	team.size = threads;
	team.work = work;
	pthread_barrier_init(&barrier.all, NULL, threads);
	start_members();
	for (i = 0; i < threads; i++)
		pthread_join(members[i].thread, NULL);
	pthread_barrier_destroy(&barrier.all);
	ns = team_time(&ended);
	for (i = 0; bench.verbose && i < threads; i++)
		print_member(&members[i], ended);
	return ns;
}

struct span bench_share(size_t n, size_t unit, size_t least, unsigned int me)
{
	size_t step = n < 2 * unit * team.size ? least : unit;
	size_t units = (n + step - 1) / step;
	struct span s = {
		.first = units * me / team.size * step,
		.end = units * (me + 1) / team.size * step,
	};

	if (s.first > n)
		s.first = n;
	if (s.end > n)
		s.end = n;
	return s;
}

static double *sum_set(unsigned int me, unsigned int turn)
{
	return sum.blocks + (me * 2 + turn % 2) * sum.room;
}

void bench_sum_room(size_t blocks)
{
	size_t in_page = PAGE / sizeof(double);

	sum.room = (blocks + in_page - 1) / in_page * in_page;
	sum.blocks = bench_pages(bench.threads * 2 * sum.room * sizeof(double));
}

double *bench_sum_blocks(unsigned int me)
{
	return sum_set(me, members[me].sums);
}

double bench_sum(unsigned int me, size_t count)
{
	unsigned int turn = members[me].sums++, i;
	double total = 0;
	size_t k;

	sum_counts[me].count[turn % 2] = count;
	bench_barrier(me);
	for (i = 0; i < team.size; i++) {
		const double *set = sum_set(i, turn);

		for (k = 0; k < sum_counts[i].count[turn % 2]; k++)
			total += set[k];
	}
	return total;
}

int bench_main(const char *what, void (*work)(unsigned int me),
	       bool (*verify)(void))
{
	uint64_t best = UINT64_MAX;
	bool passed = true;
	unsigned int i;

	for (i = 0; passed && i < bench.repeat; i++) {
		uint64_t ns = bench_team(bench.threads, work);

		if (bench.verbose)
			printf("# repetition %u: %.3f s\n", i + 1, ns / 1e9);
		if (ns < best)
			best = ns;
		passed = verify();
	}
	return bench_result(what, passed, best);
}

int bench_result(const char *what, bool passed, uint64_t ns)
{
	printf("%s: %s, %u thread%s: verification %s, %.6f s\n", bench.name, what,
	       bench.threads, bench.threads == 1 ? "" : "s",
	       passed ? "passed" : "failed", ns / 1e9);
	return !passed;
}

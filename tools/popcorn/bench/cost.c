// SPDX-License-Identifier: GPL-2.0
/*
 * What single steps of a program cost that runs on two kernels, and what one kernel
 * has instead of them.
 *
 *	cost -k KID [-n COUNT] {fault|turns|call|migrate|layout|touch}
 *	cost [-n COUNT] {userfault|create}
 *	cost [-k KID] [-n COUNT] {barrier|mutex|storm}
 *
 *	fault	faults on COUNT pages that the other kernel has last written, page by
 *		page: reads there of pages that no other kernel has asked for before
 *		(first_read), that have been exchanged before (read), reads here
 *		(read_home), writes there (write)
 *	turns	two threads write one page in turns (turn; the mean of the same; and
 *		messages per turn)
 *	call	getppid(2) of a thread that is away
 *	migrate	a thread goes to the other kernel and comes back
 *	layout	a thread maps 16 pages, writes the first one, and unmaps them (map), and writes
 *		a page and gives it back by madvise(2) (discard); the same at home (map_home,
 *		discard_home)
 *	touch	a thread faults in 64 MiB at home (touch_home), where they are written, and
 *		then touches each of these pages away (touch); likewise in huge pages
 *		(huge_home, huge). COUNT times by 10, at least 5
 *	userfault a read fault that a thread on another CPU serves by userfaultfd(2)
 *	create	pthread_create(3) and pthread_join(3) of a thread that does nothing
 *
 *	barrier	two threads meet COUNT times, one of them on the other kernel if there is one:
 *		a time (barrier)
 *	mutex	they add to a counter under a mutex: an addition, of either (mutex)
 *	storm	they allocate and free memory of many sizes, each its own: a pair (storm)
 *
 * For each figure there is a line "NAME VALUE": nanoseconds, the median of COUNT
 * (1000) or more. The exit status is 0, or 2 if it could not run.
 *
 * While one side is measured the other one sleeps, in futex(2) or read(2); but for
 * the turns, where both want the page all the time.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"
#include "place.h"

/* The rounds of "fault" after the first. */
#define ROUNDS		5

/* Threads. */
enum { HOME, AWAY };

static unsigned long count = 1000;
static unsigned int kid;		/* the other kernel */

/* --- figures --- */

struct samples {
	uint64_t	*ns;
	size_t		count;
};

/* Touched by the thread that calls this: to store one costs it nothing. */
static struct samples room_for(size_t most)
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

static void print_median(const char *name, struct samples *s)
{
	qsort(s->ns, s->count, sizeof(*s->ns), compare);
	printf("%s %llu\n", name, (unsigned long long)s->ns[s->count / 2]);
}

static void migrate(unsigned int to)
{
	if (syscall(POPCORN_MIGRATE, to, 0) < 0)
		place_failed(to, errno);
}

/* --- page faults between kernels --- */

static uint64_t *array;

static uint64_t *word_of(size_t page)
{
	return array + page * (PAGE / sizeof(*array));
}

static void write_pages(uint64_t stamp)
{
	size_t i;

	for (i = 0; i < count; i++)
		__atomic_store_n(word_of(i), stamp, __ATOMIC_RELAXED);
}

static void time_reads(struct samples *s, uint64_t stamp)
{
	uint64_t began, value;
	size_t i;

	for (i = 0; i < count; i++) {
		began = bench_now();
		value = __atomic_load_n(word_of(i), __ATOMIC_RELAXED);
		s->ns[s->count++] = bench_now() - began;
		if (value != stamp)
			errx(2, "page %zu is stale", i);
	}
}

static void time_writes(struct samples *s, uint64_t stamp)
{
	uint64_t began;
	size_t i;

	for (i = 0; i < count; i++) {
		began = bench_now();
		__atomic_store_n(word_of(i), stamp, __ATOMIC_RELAXED);
		s->ns[s->count++] = bench_now() - began;
	}
}

static struct fault_samples {
	struct samples	first_read, read, read_home, write;
} faults;

/* Each of the two in its turn. */
static void fault_round(unsigned int me, uint64_t stamp)
{
	if (me == HOME)
		write_pages(stamp);
	bench_barrier(me);
	if (me == AWAY)
		time_reads(stamp == 1 ? &faults.first_read : &faults.read, stamp);
	bench_barrier(me);
	if (me == HOME)
		write_pages(stamp + 1);
	bench_barrier(me);
	if (me == AWAY)
		time_writes(&faults.write, stamp + 2);
	bench_barrier(me);
	if (me == HOME)
		time_reads(&faults.read_home, stamp + 2);
	bench_barrier(me);
}

static void fault_work(unsigned int me)
{
	unsigned int i;

	if (me == AWAY) {
		migrate(kid);
		faults.first_read = room_for(count);
		faults.read = room_for(count * ROUNDS);
		faults.write = room_for(count * (ROUNDS + 1));
	}
	bench_barrier(me);
	if (me == HOME)
		faults.read_home = room_for(count * (ROUNDS + 1));
	bench_barrier(me);
	for (i = 0; i <= ROUNDS; i++)
		fault_round(me, i * 3 + 1);
}

static void run_fault(void)
{
	array = bench_pages(count * PAGE);
	bench_team(2, fault_work);
	print_median("first_read", &faults.first_read);
	print_median("read", &faults.read);
	print_median("read_home", &faults.read_home);
	print_median("write", &faults.write);
}

/* --- a page that is written in turns --- */

static struct {
	unsigned int	whose;
} page_aligned turn;

/* Messages about pages that this kernel and the other one have sent each other. */
static uint64_t page_messages(void)
{
	static const char *const names[] = { "tx_messages", "rx_messages" };
	unsigned long long sum = 0, n;
	char path[128];
	unsigned int i;
	FILE *f;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path),
			 "/sys/kernel/popcorn/links/%u/coherency/%s",
			 kid, names[i]);
		f = fopen(path, "r");
		if (!f || fscanf(f, "%llu", &n) != 1)
			err(2, "%s", path);
		fclose(f);
		sum += n;
	}
	return sum;
}

/*
 * A write even where it fails: the page is never wanted only to be read. And nothing
 * else that the other thread writes is on a page that is wanted.
 */
static void take_turns(unsigned int me, struct samples *s)
{
	uint64_t began = bench_now(), now;
	unsigned long i, n = count;
	unsigned int mine;

	for (i = 0; i < n; i++) {
		do {
			mine = me;
		} while (!__atomic_compare_exchange_n(&turn.whose, &mine, !me,
						      false, __ATOMIC_ACQ_REL,
						      __ATOMIC_RELAXED));
		if (me != HOME)
			continue;
		now = bench_now();
		s->ns[s->count++] = (now - began) / 2;
		began = now;
	}
}

static void turns_work(unsigned int me)
{
	uint64_t messages = 0, began = 0;
	struct samples s = {};

	if (me == AWAY)
		migrate(kid);
	else
		s = room_for(count);
	bench_barrier(me);
	if (me == HOME) {
		messages = page_messages();
		began = bench_now();
	}
	take_turns(me, &s);
	if (me == HOME) {
		uint64_t ns = bench_now() - began;

		messages = page_messages() - messages;
		print_median("turn", &s);
		printf("turn_mean %.0f\nmessages %.3f\n", ns / (2.0 * count),
		       messages / (2.0 * count));
	}
	bench_barrier(me);
}

static void run_turns(void)
{
	bench_team(2, turns_work);
}

/* --- system calls and migration --- */

static struct samples steps;

static void call_work(unsigned int me)
{
	uint64_t began;
	size_t i;

	(void)me;
	migrate(kid);
	steps = room_for(count);
	for (i = 0; i < count; i++) {
		began = bench_now();
		syscall(SYS_getppid);
		steps.ns[steps.count++] = bench_now() - began;
	}
}

static void run_call(void)
{
	bench_team(1, call_work);
	print_median("call", &steps);
}

static void migrate_work(unsigned int me)
{
	uint64_t began;
	size_t i;

	(void)me;
	steps = room_for(count);
	for (i = 0; i < count; i++) {
		began = bench_now();
		migrate(kid);
		migrate(0);
		steps.ns[steps.count++] = bench_now() - began;
	}
}

static void run_migrate(void)
{
	bench_team(1, migrate_work);
	print_median("migrate", &steps);
}

/* --- changes of the layout --- */

/* As the stacks of threads are made. */
#define STACK		(16 * PAGE)

static void time_map(void)
{
	uint64_t began;
	char *stack;
	size_t i;

	steps = room_for(count);
	for (i = 0; i < count; i++) {
		began = bench_now();
		stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (stack == MAP_FAILED)
			err(2, "mmap");
		*stack = 1;
		munmap(stack, STACK);
		steps.ns[steps.count++] = bench_now() - began;
	}
}

static void time_discard(void)
{
	char *page = bench_pages(PAGE);
	uint64_t began;
	size_t i;

	steps = room_for(count);
	for (i = 0; i < count; i++) {
		began = bench_now();
		*page = 1;
		if (madvise(page, PAGE, MADV_DONTNEED))
			err(2, "madvise");
		steps.ns[steps.count++] = bench_now() - began;
	}
}

static void layout_work(unsigned int me)
{
	(void)me;
	time_map();
	print_median("map_home", &steps);
	time_discard();
	print_median("discard_home", &steps);
	migrate(kid);
	time_map();
	print_median("map", &steps);
	time_discard();
	print_median("discard", &steps);
}

static void run_layout(void)
{
	bench_team(1, layout_work);
}

/* --- two threads, on two kernels or on one --- */

static pthread_barrier_t meeting;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile unsigned long counter;

static void meet(void)
{
	pthread_barrier_wait(&meeting);
}

static void add(void)
{
	pthread_mutex_lock(&mutex);
	counter++;
	pthread_mutex_unlock(&mutex);
}

/* From a word to some pages, and now and then more than malloc(3) keeps. */
static void allocate(void)
{
	static __thread unsigned int seed;
	volatile char *p;
	size_t size;

	seed = seed * 1103515245 + 12345;
	size = seed >> 16 & 0x3fff;
	if (!(seed >> 8 & 0xff))
		size += 256 << 10;
	p = malloc(size + 1);
	if (!p)
		err(2, "malloc");
	p[0] = 1;
	p[size] = 1;
	free((void *)p);
}

/* What both do, its name, and how often */
static void (*both_do)(void);
static const char *both_name;
static uint64_t both_times;

/* The mean: what the slower one has taken. */
static void both_work(unsigned int me)
{
	uint64_t began, i;

	if (me == AWAY && kid)
		migrate(kid);
	bench_barrier(me);
	began = bench_now();
	for (i = 0; i < both_times; i++)
		both_do();
	bench_barrier(me);
	if (me == HOME)
		printf("%s %.0f\n", both_name, (double)(bench_now() - began) / both_times);
}

static void run_both(const char *name, void (*what)(void), unsigned int times)
{
	both_name = name;
	both_do = what;
	both_times = (uint64_t)count * times;
	bench_team(2, both_work);
}

static void run_barrier(void)
{
	pthread_barrier_init(&meeting, NULL, 2);
	run_both("barrier", meet, 5);
}

static void run_mutex(void)
{
	run_both("mutex", add, 100);
}

static void run_storm(void)
{
	run_both("storm", allocate, 100);
}

/* --- the first use of much memory --- */

#define MUCH	(64UL << 20)
#define HUGE	(2UL << 20)

/* Memory that begins where a huge page does. */
static char *map_much(int advice)
{
	char *p = mmap(NULL, MUCH + HUGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		err(2, "mmap");
	p += -(uintptr_t)p & (HUGE - 1);
	if (madvise(p, MUCH, advice))
		err(2, "madvise");
	return p;
}

static uint64_t touch_all(volatile char *p)
{
	uint64_t began = bench_now();
	size_t at;

	for (at = 0; at < MUCH; at += PAGE)
		p[at]++;
	return bench_now() - began;
}

static void time_touch(int advice, const char *home, const char *away)
{
	size_t i, times = count / 10 < 5 ? 5 : count / 10;
	struct samples here = room_for(times), there = room_for(times);
	char *p;

	for (i = 0; i < times; i++) {
		p = map_much(advice);
		here.ns[here.count++] = touch_all(p);
		migrate(kid);
		there.ns[there.count++] = touch_all(p);
		migrate(0);
		munmap(p, MUCH);
	}
	print_median(home, &here);
	print_median(away, &there);
}

static void touch_work(unsigned int me)
{
	(void)me;
	time_touch(MADV_NOHUGEPAGE, "touch_home", "touch");
	time_touch(MADV_HUGEPAGE, "huge_home", "huge");
}

static void run_touch(void)
{
	bench_team(1, touch_work);
}

/* --- what one kernel has instead --- */

static void *nothing(void *arg)
{
	return arg;
}

static void run_create(void)
{
	pthread_t thread;
	uint64_t began;
	size_t i;
	int error;

	steps = room_for(count);
	for (i = 0; i < count; i++) {
		began = bench_now();
		error = pthread_create(&thread, NULL, nothing, NULL);
		if (error)
			errx(2, "pthread_create: %s", strerror(error));
		pthread_join(thread, NULL);
		steps.ns[steps.count++] = bench_now() - began;
	}
	print_median("create", &steps);
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(2, "CPU %d", cpu);
}

static int watch_array(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)array, .len = count * PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &range))
		err(2, "userfaultfd");
	return fd;
}

/* Serves one fault after the other. */
static void *serve(void *arg)
{
	int fd = *(int *)arg;
	struct uffd_msg message;
	uint64_t *page = bench_pages(PAGE);
	struct uffdio_copy copy;
	size_t i;

	run_on(1);
	page[0] = 1;
	for (i = 0; i < count; i++) {
		if (read(fd, &message, sizeof(message)) != sizeof(message))
			err(2, "userfaultfd");
		copy = (struct uffdio_copy) {
			.dst = message.arg.pagefault.address & -PAGE,
			.src = (uintptr_t)page, .len = PAGE,
		};
		if (ioctl(fd, UFFDIO_COPY, &copy))
			err(2, "UFFDIO_COPY");
	}
	return NULL;
}

static void run_userfault(void)
{
	pthread_t server;
	int fd, error;

	array = bench_pages(count * PAGE);
	steps = room_for(count);
	fd = watch_array();
	run_on(0);
	error = pthread_create(&server, NULL, serve, &fd);
	if (error)
		errx(2, "pthread_create: %s", strerror(error));
	time_reads(&steps, 1);
	pthread_join(server, NULL);
	print_median("userfault", &steps);
}

static const struct mode {
	const char	*name;
	void		(*run)(void);
	bool		remote;
} modes[] = {
	{ "fault", run_fault, true },
	{ "turns", run_turns, true },
	{ "call", run_call, true },
	{ "migrate", run_migrate, true },
	{ "layout", run_layout, true },
	{ "touch", run_touch, true },
	{ "barrier", run_barrier, false },
	{ "mutex", run_mutex, false },
	{ "storm", run_storm, false },
	{ "userfault", run_userfault, false },
	{ "create", run_create, false },
};

static void take(int option, const char *value)
{
	if (option == 'n')
		count = bench_number(value, 1, 1000000);
	else if (option == 'k')
		kid = bench_number(value, 1, 63);
}

int main(int argc, char **argv)
{
	int first = bench_options(argc, argv, "n:k:", take, "[-k KID] [-n COUNT] MODE");
	const char *name = argc - first == 1 ? argv[first] : "";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		if (strcmp(name, modes[i].name))
			continue;
		if (modes[i].remote && !kid)
			errx(2, "%s: -k KID says which kernel is the other one",
			     name);
		modes[i].run();
		return 0;
	}
	errx(2, "the modes are fault, turns, call, migrate, layout, touch, barrier, mutex, storm, userfault and create");
}

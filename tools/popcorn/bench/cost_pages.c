// SPDX-License-Identifier: GPL-2.0
/*
 * What pages cost that two kernels use: modes of "cost", which see.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cost.h"

/* The rounds of "fault" after the first. */
#define ROUNDS		5

/* --- page faults between kernels --- */

static uint64_t *array;

static uint64_t *word_of(size_t page)
{
	return array + page * (PAGE / sizeof(*array));
}

static void write_pages(uint64_t stamp)
{
	size_t i;

	for (i = 0; i < cost.count; i++)
		__atomic_store_n(word_of(i), stamp, __ATOMIC_RELAXED);
}

static void time_reads(struct samples *s, uint64_t stamp)
{
	uint64_t began, value;
	size_t i;

	for (i = 0; i < cost.count; i++) {
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

	for (i = 0; i < cost.count; i++) {
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
		migrate(cost.kid);
		faults.first_read = room_for(cost.count);
		faults.read = room_for(cost.count * ROUNDS);
		faults.write = room_for(cost.count * (ROUNDS + 1));
	}
	bench_barrier(me);
	if (me == HOME)
		faults.read_home = room_for(cost.count * (ROUNDS + 1));
	bench_barrier(me);
	for (i = 0; i <= ROUNDS; i++)
		fault_round(me, i * 3 + 1);
}

void run_fault(void)
{
	array = bench_pages(cost.count * PAGE);
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
			 cost.kid, names[i]);
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
	unsigned long i, n = cost.count;
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
		migrate(cost.kid);
	else
		s = room_for(cost.count);
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
		printf("turn_mean %.0f\nmessages %.3f\n", ns / (2.0 * cost.count),
		       messages / (2.0 * cost.count));
	}
	bench_barrier(me);
}

void run_turns(void)
{
	bench_team(2, turns_work);
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
	size_t i, times = some_times();
	struct samples here = room_for(times), there = room_for(times);
	char *p;

	for (i = 0; i < times; i++) {
		p = map_much(advice);
		here.ns[here.count++] = touch_all(p);
		migrate(cost.kid);
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

void run_touch(void)
{
	bench_team(1, touch_work);
}

/* --- what one kernel has instead of a page fault between two --- */

static int watch_array(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)array, .len = cost.count * PAGE },
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
	for (i = 0; i < cost.count; i++) {
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

void run_userfault(void)
{
	struct samples s = room_for(cost.count);
	pthread_t server;
	int fd, error;

	array = bench_pages(cost.count * PAGE);
	fd = watch_array();
	run_on(0);
	error = pthread_create(&server, NULL, serve, &fd);
	if (error)
		errx(2, "pthread_create: %s", strerror(error));
	time_reads(&s, 1);
	pthread_join(server, NULL);
	print_median("userfault", &s);
}

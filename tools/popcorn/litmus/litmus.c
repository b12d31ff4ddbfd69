// SPDX-License-Identifier: GPL-2.0
/*
 * Litmus tests of the coherency of memory among threads, and among kernels with
 * -p: what x86-TSO forbids must not be seen, however pages travel.
 *
 *	litmus [-n ROUNDS | -m MS] [-k INSTANCES] [-l same|apart] [-s STRIDE]
 *	       [-t THREADS] [-p KID,...] [-b KIND] [-v] [TEST...]
 *
 *	-n	how many rounds of each test, 100000; a 64th part of that for tests
 *		with pages of their own in each instance
 *	-m	instead: whole batches, until so many milliseconds have passed
 *	-k	instances in a batch, 8192 (or a 64th part of that)
 *	-l	variables of an instance on the same page, or on pages apart; both
 *		one after the other unless said
 *	-s	bytes from an instance to the next, a power of 2 from 4 to 512, 64
 *	-t	threads of tests that go with any number, 4 unless said; the others
 *		have as many as their programs
 *	-b	the barrier, spin unless said
 *	-v	how often each outcome was there
 *
 * The tests are in order.c and count.c; all run that are not marked there as
 * running by their name only. Each gives a line
 *
 *	ok MP same: 100000 rounds, 0 forbidden, 123 allowed
 *
 * "Allowed" counts outcomes that TSO allows and that show that the threads met:
 * with store buffering the one that is not sequentially consistent, with the
 * others one that no order of whole threads gives. If there are none, the test
 * has shown little. The exit status is 1 if a forbidden outcome was seen.
 *
 * Few threads meet where there are more of them than CPUs. A larger stride means
 * more pages, so more meetings between kernels in more time.
 *
 * As with litmus7, a thread runs its program on all instances of a batch, one
 * after the other, and only then there is a barrier: a page that travels takes as
 * long as thousands of instances. Who has which role changes with each batch.
 */
#include <err.h>
#include <stdio.h>
#include <string.h>

#include "../bench/bench.h"
#include "litmus.h"

/* Numbers of batches fit into the values that CMPXCHG has. */
#define BATCHES_MAX	(1UL << 23)

struct placing placing;

/* What is being run, written by the main thread in between */
static struct {
	const struct test *test;
	enum layout	layout;
	unsigned int	threads;
	unsigned long	rounds, instances;
	uint64_t	end;		/* no batch begins after it; 0: of no interest */
	char		*memory;
	size_t		gap;		/* from one variable to the next */
} page_aligned now;

/* Written by thread 0 alone: before a barrier, and at the end */
static struct {
	bool		over;		/* the time: no other batch */
	uint32_t	batches;	/* that have been run */
} page_aligned clock_says;

/* What is a thread's own, on pages of its own */
static struct part {
	struct tally	tally;
	uint8_t		*results[REGISTERS];
} page_aligned parts[TEST_THREADS];

static unsigned long rounds = 100000, milliseconds, instances = 8192, stride = 64;
static bool layouts[] = { [SAME] = true, [APART] = true };
static uint64_t total_ns;
static unsigned int failed;

uint8_t *results_of(unsigned int thread, unsigned int reg)
{
	return parts[thread].results[reg];
}

static struct view make_view(unsigned int me, uint32_t batch)
{
	unsigned long done = batch * now.instances;
	struct view v = {
		.me = me, .threads = now.threads, .layout = now.layout,
		.role = (me + batch) % now.threads, .batch = batch,
		.count = now.rounds - done < now.instances ? now.rounds - done :
							     now.instances,
		.memory = now.memory,
	};
	unsigned int k;

	for (k = 0; k < VARIABLES; k++)
		v.variable[k] = now.memory + k * now.gap;
	for (k = 0; k < REGISTERS; k++)
		v.result[k] = parts[me].results[k];
	if (now.test->order)
		memcpy(v.last, now.test->order->last, sizeof(v.last));
	return v;
}

static void run_role(const struct view *v)
{
	const struct test *test = now.test;

	if (test->order)
		test->order->role[v->role](v);
	else
		test->run(v);
}

static void check_batch(const struct view *v, struct tally *t)
{
	const struct test *test = now.test;

	if (test->order)
		check_order(test->order, v, t);
	else
		test->check(v, t);
}

/* Thread 0 looks at the clock for all, so that all do the same batches. */
static void look_at_clock(unsigned int me)
{
	if (!me && now.end && bench_now() >= now.end)
		clock_says.over = true;
}

/* The barrier before a batch comes after everybody's checks of the last one. */
static void work(unsigned int me)
{
	uint32_t batch, batches = (now.rounds + now.instances - 1) / now.instances;

	bench_start(me);
	for (batch = 0; batch < batches; batch++) {
		struct view v = make_view(me, batch);

		bench_barrier(me);
		if (clock_says.over)
			break;
		run_role(&v);
		bench_barrier(me);
		check_batch(&v, &parts[me].tally);
		look_at_clock(me);
	}
	bench_stop(me);
	if (!me)
		clock_says.batches = batch;
}

static unsigned int log2_of(unsigned int n)
{
	return 31 - __builtin_clz(n);
}

/* How instances of @variables share pages. Return: the bytes of all of them. */
static size_t place_instances(unsigned int variables)
{
	size_t share = now.layout == SAME ? PAGE / variables : PAGE, pages;

	placing.stride = stride;
	placing.per_page = share / stride;
	placing.shift = log2_of(placing.per_page);
	pages = (now.instances + placing.per_page - 1) / placing.per_page;
	now.gap = now.layout == SAME ? share : pages * PAGE;
	return now.layout == SAME ? pages * PAGE : variables * pages * PAGE;
}

/* As if a batch had been before the first one: its last values are there. */
static void write_old_values(void)
{
	const struct order *o = now.test->order;
	unsigned int k;
	size_t i;

	for (k = 0; o && k < now.test->variables; k++)
		for (i = 0; i < now.instances; i++) {
			char *at = now.memory + k * now.gap + offset_of(i);

			*(uint32_t *)at = o->last[k] ? o->last[k] : 1;
		}
}

static size_t set_up_memory(void)
{
	const struct test *test = now.test;
	size_t size = place_instances(test->variables == 1 ? 1 : 2);

	if (test->size)
		size = test->size(now.instances, now.threads);
	now.memory = bench_pages(size);
	write_old_values();
	return size;
}

static void set_up(const struct test *test, enum layout layout)
{
	unsigned int cost = test->cost ? test->cost : 1, i;

	now.test = test;
	now.layout = layout;
	now.threads = test->threads ? test->threads : bench.threads;
	now.rounds = (rounds + cost - 1) / cost;
	now.instances = (instances + cost - 1) / cost;
	if (milliseconds)
		now.rounds = now.instances * BATCHES_MAX;
	if (now.instances > now.rounds)
		now.instances = now.rounds;
	clock_says.over = false;
	for (i = 0; i < now.threads; i++) {
		struct tally *t = &parts[i].tally;

		t->forbidden = 0;
		t->allowed = 0;
		memset(t->outcomes, 0, order_outcomes() * sizeof(*t->outcomes));
	}
}

static void add_tallies(struct tally *sum)
{
	size_t k;
	unsigned int i;

	*sum = parts[0].tally;
	for (i = 1; i < now.threads; i++) {
		const struct tally *t = &parts[i].tally;

		sum->forbidden += t->forbidden;
		sum->allowed += t->allowed;
		for (k = 0; k < order_outcomes(); k++)
			sum->outcomes[k] += t->outcomes[k];
	}
}

static unsigned long rounds_done(void)
{
	unsigned long n = clock_says.batches * now.instances;

	return n < now.rounds ? n : now.rounds;
}

static void print_tally(const struct tally *t, uint64_t ns)
{
	printf("%s %s%s: %lu rounds, %llu forbidden, %llu allowed\n",
	       t->forbidden ? "not ok" : "ok", now.test->name,
	       now.test->variables == 1 ? "" :
	       now.layout == SAME ? " same" : " apart", rounds_done(),
	       (unsigned long long)t->forbidden, (unsigned long long)t->allowed);
	if (bench.verbose)
		printf("# %.3f s\n", ns / 1e9);
	fflush(stdout);
}

static void run_layout(const struct test *test, enum layout layout)
{
	struct tally sum;
	size_t size;
	uint64_t ns;

	set_up(test, layout);
	size = set_up_memory();
	now.end = milliseconds ? bench_now() + milliseconds * 1000000 : 0;
	ns = bench_team(now.threads, work);
	add_tallies(&sum);
	if (test->order)
		judge_order(test, &sum, bench.verbose);
	print_tally(&sum, ns);
	bench_free(now.memory, size);
	total_ns += ns;
	failed += sum.forbidden > 0;
}

static void run_test(const struct test *test)
{
	if (test->variables == 1) {
		run_layout(test, SAME);
		return;
	}
	if (layouts[SAME])
		run_layout(test, SAME);
	if (layouts[APART])
		run_layout(test, APART);
}

/* Test @i of all of them, NULL behind the last one. */
static const struct test *test_number(unsigned int i)
{
	if (i < order_test_count)
		return &order_tests[i];
	i -= order_test_count;
	return i < count_test_count ? &count_tests[i] : NULL;
}

static void run_named(const char *name)
{
	const struct test *test;
	unsigned int i;

	for (i = 0; (test = test_number(i)); i++) {
		if (!strcmp(test->name, name)) {
			run_test(test);
			return;
		}
	}
	errx(2, "%s: no such test", name);
}

static void run_all(void)
{
	const struct test *test;
	unsigned int i;

	for (i = 0; (test = test_number(i)); i++)
		if (!test->by_name)
			run_test(test);
}

static void take_layout(const char *text)
{
	layouts[SAME] = !strcmp(text, "same");
	layouts[APART] = !strcmp(text, "apart");
	if (!layouts[SAME] && !layouts[APART])
		errx(2, "-l %s: the layouts are same and apart", text);
}

static void take_stride(const char *text)
{
	stride = bench_number(text, 4, 512);
	if (stride & (stride - 1))
		errx(2, "-s %s: not a power of 2", text);
}

static void take(int option, const char *value)
{
	switch (option) {
	case 'n':
		rounds = bench_number(value, 1, 1UL << 32);
		break;
	case 'm':
		milliseconds = bench_number(value, 1, 1 << 30);
		break;
	case 'k':
		instances = bench_number(value, 1, 1 << 20);
		break;
	case 'l':
		take_layout(value);
		break;
	case 's':
		take_stride(value);
		break;
	}
}

static void make_parts(void)
{
	unsigned int i, k;

	for (i = 0; i < TEST_THREADS; i++) {
		for (k = 0; k < REGISTERS; k++)
			parts[i].results[k] = bench_pages(instances);
		parts[i].tally.outcomes =
			bench_pages(order_outcomes() * sizeof(uint64_t));
	}
}

int main(int argc, char **argv)
{
	int at;

	bench.threads = 4;
	bench.spin = true;
	at = bench_options(argc, argv, "n:m:k:l:s:", take,
			   "[-n ROUNDS | -m MS] [-k INSTANCES] [-l same|apart] [-s STRIDE] [TEST...]");
	if (bench.threads > TEST_THREADS)
		errx(2, "-t %u: more than %u", bench.threads, TEST_THREADS);
	make_parts();
	if (at == argc)
		run_all();
	for (; at < argc; at++)
		run_named(argv[at]);
	return bench_result("x86-TSO", !failed, total_ns);
}

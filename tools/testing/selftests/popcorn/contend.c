// SPDX-License-Identifier: GPL-2.0
/*
 * Progress: threads of several kernels that each need pages which all the others
 * take away from them again and again. Prints TAP.
 *
 *	contend [-n COUNT] [-l SECONDS] [-k] [-x] [NAME]... KID,KID,...
 *
 * On each kernel of the list a worker does one operation after the other, and a
 * hammerer writes to all pages that workers use, without end. Before the next
 * operation a worker waits until the hammerer of another kernel has had its page, so
 * that each has to get it anew. Every worker has to have done COUNT operations (20)
 * within SECONDS (60), and goes on until all have: nobody's progress is that of
 * others who have finished. What the operations leave in memory is checked. NAME is one of the tests below; all are done without one.
 * -k has no hammerers. -x makes the first worker do nothing, which is found.
 *
 *	unaligned	8 bytes across two pages are added to
 *	movs		rep movsb from two pages to two others
 *	wait		FUTEX_WAIT on a word that is written all the time
 *	ring		a turn that goes around with FUTEX_WAIT and FUTEX_WAKE
 *	write		write(2) from three pages that others write
 *	mutex		a mutex and what it protects, on one page
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096
#define NR_MIGRATE	548
#define MAX_WORKERS	16
#define BAND		(MAX_WORKERS + 1)
#define MOVED		512

/* Bytes of a page that hammerers write: a word for each, away from all else. */
#define HAMMERED	1024

/**
 * struct worker - a worker, and what is known of it. On a page of its own
 * @id:		its number
 * @kid:	the kernel that it works on
 * @done:	operations done
 * @longest:	the longest of them, ns
 * @private:	memory of its own
 */
struct worker {
	int		id;
	int		kid;
	long		done;
	long long	longest;
	char		private[3 * PAGE];
} __attribute__((aligned(PAGE)));

/**
 * struct test - something that workers do
 * @name:	its name
 * @pages:	pages of the arena that it uses, and that hammerers write
 * @one_word:	all hammerers write the same word of a page
 * @waits:	an operation waits for other kernels anyway
 * @operate:	does it once; false: it has seen something wrong
 * @verify:	looks at what it has left behind; NULL: nothing
 */
struct test {
	const char	*name;
	int		pages;
	bool		one_word;
	bool		waits;
	bool		(*operate)(struct worker *w);
	bool		(*verify)(void);
};

static struct worker workers[MAX_WORKERS];
static char arena[2 * BAND * PAGE] __attribute__((aligned(PAGE)));

/* Written rarely, read by all. */
static struct {
	const struct test	*test;
	long			target;
	int			count;
	int			waiting;
	bool			stop;
	bool			wrong;
} run __attribute__((aligned(PAGE)));

static long target = 20, limit = 60;
static bool calm, lazy;
static pthread_barrier_t start;
static int file;

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static bool stopped(void)
{
	return __atomic_load_n(&run.stop, __ATOMIC_ACQUIRE);
}

static long futex(uint32_t *word, int op, uint32_t value,
		  const struct timespec *timeout)
{
	return syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

/* --- unaligned: a worker's 8 bytes are across the end of its page --- */

static uint64_t *across(int id)
{
	return (uint64_t *)(arena + (id + 1) * PAGE - 3);
}

static bool add_across(struct worker *w)
{
	asm volatile("addq $1, (%0)" : : "r" (across(w->id)) : "memory", "cc");
	return true;
}

static bool sums_are_right(void)
{
	uint64_t sum;
	int i;

	for (i = 0; i < run.count; i++) {
		memcpy(&sum, across(i), sizeof(sum));
		if (sum != (uint64_t)workers[i].done)
			return false;
	}
	return true;
}

/* --- movs: half of it on either side of the end of a page, from and to --- */

static char *around(int band, int id)
{
	return arena + (band * BAND + id + 1) * PAGE - MOVED / 2;
}

static bool move_across(struct worker *w)
{
	char *from = around(0, w->id), *to = around(1, w->id);
	const void *source = from;
	void *target_at = to;
	size_t count = MOVED;
	int i;

	for (i = 0; i < MOVED; i++)
		from[i] = w->done + i * 7 + w->id;
	asm volatile("rep movsb" : "+S" (source), "+D" (target_at), "+c" (count) :
		     : "memory");
	for (i = 0; i < MOVED; i++)
		if (to[i] != (char)(w->done + i * 7 + w->id))
			return false;
	return true;
}

/* --- wait: the word changes before, while or after the kernel looks at it --- */

static bool wait_on_hammered(struct worker *w)
{
	uint32_t *word = (uint32_t *)(arena + HAMMERED);
	struct timespec soon = { .tv_nsec = 5000000 };
	uint32_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);

	(void)w;
	return !futex(word, FUTEX_WAIT_PRIVATE, seen, &soon) || errno == EAGAIN ||
	       errno == ETIMEDOUT || errno == EINTR;
}

/* --- ring: worker i's turn is when the word is i, modulo the workers --- */

static uint32_t *turn(void)
{
	return (uint32_t *)arena;
}

/* A thread that misses a wake waits here for good, and the test meets its limit. */
static void await_change(uint32_t seen)
{
	futex(turn(), FUTEX_WAIT_PRIVATE, seen, NULL);
}

static bool pass_turn(struct worker *w)
{
	uint32_t at;

	while ((at = __atomic_load_n(turn(), __ATOMIC_ACQUIRE)) % run.count !=
	       (uint32_t)w->id) {
		if (stopped())
			return true;
		await_change(at);
	}
	__atomic_store_n(turn(), at + 1, __ATOMIC_RELEASE);
	futex(turn(), FUTEX_WAKE_PRIVATE, INT_MAX, NULL);
	return true;
}

/* The word changes, so no thread begins to wait; it is still the same worker's turn. */
static void end_turns(void)
{
	__atomic_fetch_add(turn(), run.count, __ATOMIC_ACQ_REL);
	futex(turn(), FUTEX_WAKE_PRIVATE, INT_MAX, NULL);
}

/* --- write: what a worker has put into the buffer is in the file --- */

static uint64_t *word_of(char *buffer, int page, int id)
{
	return (uint64_t *)(buffer + page * PAGE + 64 + 8 * id);
}

static bool write_buffer(struct worker *w)
{
	off_t at = (off_t)w->id * 3 * PAGE;
	int page;

	for (page = 0; page < 3; page++)
		*word_of(arena, page, w->id) = w->done * 3 + page;
	if (pwrite(file, arena, 3 * PAGE, at) != 3 * PAGE ||
	    pread(file, w->private, 3 * PAGE, at) != 3 * PAGE)
		return false;
	for (page = 0; page < 3; page++)
		if (*word_of(w->private, page, w->id) !=
		    (uint64_t)w->done * 3 + page)
			return false;
	return true;
}

/* --- mutex: on the page with the counter --- */

static pthread_mutex_t *mutex(void)
{
	return (pthread_mutex_t *)arena;
}

static long *counted(void)
{
	return (long *)(arena + 512);
}

static bool count_locked(struct worker *w)
{
	(void)w;
	pthread_mutex_lock(mutex());
	++*counted();
	pthread_mutex_unlock(mutex());
	return true;
}

static bool count_is_right(void)
{
	long sum = 0;
	int i;

	for (i = 0; i < run.count; i++)
		sum += workers[i].done;
	return *counted() == sum;
}

static const struct test tests[] = {
	{ "unaligned", BAND, false, false, add_across, sums_are_right },
	{ "movs", 2 * BAND, false, false, move_across, NULL },
	{ "wait", 1, true, true, wait_on_hammered, NULL },
	{ "ring", 1, false, true, pass_turn, NULL },
	{ "write", 3, false, false, write_buffer, NULL },
	{ "mutex", 1, false, false, count_locked, count_is_right },
};

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#define TESTS	ARRAY_SIZE(tests)

/* --- all of them --- */

static void go(int kid)
{
	if (syscall(NR_MIGRATE, kid, 0) && kid) {
		perror("popcorn_migrate");
		exit(1);
	}
}

/* The last worker that reaches its target wakes the one who waits for that. */
static void arrive(void)
{
	if (!__atomic_sub_fetch(&run.waiting, 1, __ATOMIC_ACQ_REL))
		futex((uint32_t *)&run.waiting, FUTEX_WAKE_PRIVATE, 1, NULL);
}

static void work(struct worker *w)
{
	long long begin, took;

	begin = now();
	if (!run.test->operate(w))
		__atomic_store_n(&run.wrong, true, __ATOMIC_RELAXED);
	took = now() - begin;
	if (took > w->longest)
		w->longest = took;
	/* A turn that was not passed because all is over does not count. */
	if (run.test->operate == pass_turn && stopped())
		return;
	if (++w->done == run.target)
		arrive();
}

/* The word that a kernel's hammerer writes on a page. */
static uint32_t *hammered(int page, int id)
{
	return (uint32_t *)(arena + page * PAGE + HAMMERED) +
	       (run.test->one_word ? 0 : id);
}

/* Until another kernel has written to the worker's first page. */
static void wait_until_taken(struct worker *w)
{
	int page = run.test->pages < BAND ? 0 : w->id;
	uint32_t *word = hammered(page, (w->id + 1) % run.count);
	uint32_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);

	while (__atomic_load_n(word, __ATOMIC_RELAXED) == seen && !stopped())
		__builtin_ia32_pause();
}

static void *worker(void *arg)
{
	struct worker *w = arg;
	bool waits = run.test->waits || calm || run.count == 1;

	go(w->kid);
	pthread_barrier_wait(&start);
	while (!stopped()) {
		if (lazy && !w->id) {
			usleep(1000);
			continue;
		}
		work(w);
		if (!waits)
			wait_until_taken(w);
	}
	return NULL;
}

/* Pages of the arena that are used: with few workers, not the ends of the bands. */
static bool is_used(int page)
{
	return run.test->pages <= 3 || page % BAND <= run.count;
}

static void *hammerer(void *arg)
{
	struct worker *w = arg;
	int page;

	go(w->kid);
	pthread_barrier_wait(&start);
	for (page = 0; !stopped(); page = (page + 1) % run.test->pages)
		if (is_used(page))
			__atomic_fetch_add(hammered(page, w->id), 1,
					   __ATOMIC_RELAXED);
	return NULL;
}

static bool wait_for_all(void)
{
	long long end = now() + limit * 1000000000LL, left;
	struct timespec timeout;
	int waiting;

	while ((waiting = __atomic_load_n(&run.waiting, __ATOMIC_ACQUIRE)) > 0) {
		left = end - now();
		if (left <= 0)
			return false;
		timeout = (struct timespec) { left / 1000000000, left % 1000000000 };
		futex((uint32_t *)&run.waiting, FUTEX_WAIT_PRIVATE, waiting,
		      &timeout);
	}
	return true;
}

static void begin(const struct test *test, pthread_t *threads)
{
	int hammerers = calm ? 0 : run.count, i;

	memset(arena, 0, sizeof(arena));
	run.test = test;
	run.target = target;
	run.waiting = run.count;
	run.stop = run.wrong = false;
	pthread_mutex_init(mutex(), NULL);
	pthread_barrier_init(&start, NULL, run.count + hammerers);
	for (i = 0; i < run.count; i++) {
		workers[i].done = workers[i].longest = 0;
		pthread_create(&threads[i], NULL, worker, &workers[i]);
	}
	for (i = 0; i < hammerers; i++)
		pthread_create(&threads[run.count + i], NULL, hammerer, &workers[i]);
}

static void end(pthread_t *threads)
{
	int i, count = calm ? run.count : 2 * run.count;

	__atomic_store_n(&run.stop, true, __ATOMIC_RELEASE);
	if (run.test->operate == pass_turn)
		end_turns();
	for (i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static void say(long long took)
{
	int i;

	printf("# %s, %lld ms: ", run.test->name, took / 1000000);
	for (i = 0; i < run.count; i++)
		printf("%skernel %d: %ld, longest %lld ms", i ? "; " : "",
		       workers[i].kid, workers[i].done, workers[i].longest / 1000000);
	printf("\n");
}

static bool do_test(const struct test *test)
{
	pthread_t threads[2 * MAX_WORKERS];
	long long began = now(), took;
	bool all;

	begin(test, threads);
	all = wait_for_all();
	took = now() - began;
	end(threads);
	say(took);
	if (!all)
		printf("# not all have done %ld within %ld s\n", target, limit);
	if (run.wrong)
		printf("# an operation has seen something wrong\n");
	return all && !run.wrong && (!test->verify || test->verify());
}

static bool is_named(const struct test *test, char **names, int count)
{
	int i;

	for (i = 0; i < count; i++)
		if (!strcmp(names[i], test->name))
			return true;
	return !count;
}

static void usage(void)
{
	fputs("usage: contend [-n COUNT] [-l SECONDS] [-k] [-x] [NAME]... KID,KID,...\n",
	      stderr);
	exit(2);
}

static void read_options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "n:l:kx")) != -1) {
		if (c == 'n')
			target = atol(optarg);
		else if (c == 'l')
			limit = atol(optarg);
		else if (c == 'k')
			calm = true;
		else if (c == 'x')
			lazy = true;
		else
			usage();
	}
	if (target < 1 || limit < 1 || optind >= argc)
		usage();
}

int main(int argc, char **argv)
{
	int number = 0, failed = 0;
	char *word;
	size_t i;

	read_options(argc, argv);
	for (word = strtok(argv[argc - 1], ","); word && run.count < MAX_WORKERS;
	     word = strtok(NULL, ",")) {
		workers[run.count] = (struct worker) {
			.id = run.count, .kid = atoi(word),
		};
		run.count++;
	}
	if (!run.count)
		usage();
	file = memfd_create("contend", 0);
	for (i = 0; i < TESTS; i++) {
		bool ok;

		if (!is_named(&tests[i], argv + optind, argc - 1 - optind))
			continue;
		ok = do_test(&tests[i]);
		failed += !ok;
		printf("%sok %d - %s\n", ok ? "" : "not ", ++number, tests[i].name);
		fflush(stdout);
	}
	printf("1..%d\n", number);
	return failed != 0 || !number;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Threads on all kernels change the layout of one and the same range, and use it
 * meanwhile. Prints TAP.
 *
 *	relayout KID,KID,... ROUNDS SECONDS
 *
 * Two threads on each kernel map, unmap, protect, discard and use parts of the range
 * at random: an access finds nothing (SIGSEGV), zeros, or what a thread has written
 * there. A page beside it comes only when a thread has been asked for it
 * (userfaultfd), slowly, and goes again; another thread reads all of it through
 * /proc/self/mem. Each thread has to come to its end within the time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <time.h>

#include "selftest.h"

#define RANGE		((char *)0x100000000000UL)	/* far from all else */
#define PAGES		16U
#define OWN		0x5a5a0000UL	/* in the high half of what threads write */
#define SLOW		0x736c6f77UL
#define SLOW_US		2000

static int kids[MAX_KERNELS], kernels, threads;
static long rounds;
static volatile uint64_t *slow_page;
static bool stop;

/* What a thread has done, and what it has met */
static struct worker {
	pthread_t	thread;
	long		done;
	unsigned long	hits, zeros, segvs, slow, wrong, failed;
	char		pad[PAGE];
} workers[2 * MAX_KERNELS];

static __thread sigjmp_buf escape;

static void on_segv(int sig)
{
	siglongjmp(escape, sig);
}

static unsigned int next(unsigned int *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return *seed >> 16;
}

static bool is_ours(uint64_t value)
{
	return value >> 32 == OWN && (uint32_t)value < (uint32_t)threads;
}

/* One access, that may end in the handler. */
static void use(struct worker *w, volatile uint64_t *at, bool write)
{
	uint64_t value;

	if (sigsetjmp(escape, 1)) {
		w->segvs++;
		return;
	}
	if (write)
		*at = OWN << 32 | (uint64_t)(w - workers);
	value = *at;
	if (is_ours(value))
		w->hits++;
	else if (!value)
		w->zeros++;
	else
		w->wrong++;
}

static void use_slow(struct worker *w)
{
	uint64_t value = *slow_page;

	if (value == SLOW)
		w->slow++;
	else
		w->wrong++;
}

/* What fails may fail for one reason alone: there is nothing. */
static void change(struct worker *w, int result)
{
	if (result && errno != ENOMEM)
		w->failed++;
}

static void step(struct worker *w, unsigned int *seed)
{
	unsigned int first = next(seed) % PAGES;
	size_t count = 1 + next(seed) % (PAGES - first);
	char *at = RANGE + first * PAGE;

	switch (next(seed) % 16) {
	case 0:
		if (mmap(at, count * PAGE, PROT_READ | PROT_WRITE, MAP_FIXED |
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != at)
			w->failed++;
		break;
	case 1:
		change(w, munmap(at, count * PAGE));
		break;
	case 2:
		change(w, mprotect(at, count * PAGE, PROT_READ));
		break;
	case 3:
		change(w, mprotect(at, count * PAGE, PROT_READ | PROT_WRITE));
		break;
	case 4:
		change(w, madvise(at, count * PAGE, MADV_DONTNEED));
		break;
	case 5:
		use_slow(w);
		break;
	case 6:
		change(w, madvise((void *)slow_page, PAGE, MADV_DONTNEED));
		break;
	default:
		use(w, (uint64_t *)at + next(seed) % WORDS, next(seed) & 1);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;
	size_t me = w - workers;
	unsigned int seed = me + 1;
	long i;

	if (go(kids[me % kernels]))
		return arg;
	for (i = 0; i < rounds; i++) {
		step(w, &seed);
		__atomic_store_n(&w->done, i + 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* --- the page that comes slowly --- */

static int uffd;

static void *serve(void *arg)
{
	static uint64_t page[WORDS] __attribute__((aligned(PAGE))) = { SLOW };
	struct uffdio_copy copy = {
		.dst = (uintptr_t)slow_page, .src = (uintptr_t)page, .len = PAGE,
	};
	struct pollfd p = { .fd = uffd, .events = POLLIN };
	struct uffd_msg m;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		if (poll(&p, 1, 100) < 1 || read(uffd, &m, sizeof(m)) != sizeof(m))
			continue;
		if (m.event != UFFD_EVENT_PAGEFAULT)
			continue;
		usleep(SLOW_US);
		copy.copy = 0;
		ioctl(uffd, UFFDIO_COPY, &copy);
	}
	return arg;
}

static bool set_up_slow_page(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	slow_page = map(1);
	reg.range.start = (uintptr_t)slow_page;
	reg.range.len = PAGE;
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	return slow_page && uffd >= 0 && !ioctl(uffd, UFFDIO_API, &api) &&
	       !ioctl(uffd, UFFDIO_REGISTER, &reg);
}

/* --- the reader --- */

static unsigned long pages_read, wrong_reads;

static void *read_all(void *arg)
{
	uint64_t copy[WORDS];
	int fd = open("/proc/self/mem", O_RDONLY);
	unsigned int i, j;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		for (i = 0; i < PAGES; i++) {
			if (pread(fd, copy, PAGE, (off_t)(RANGE + i * PAGE)) !=
			    (ssize_t)PAGE)
				continue;
			pages_read++;
			for (j = 0; j < WORDS; j++)
				wrong_reads += copy[j] && !is_ours(copy[j]);
		}
	}
	close(fd);
	return arg;
}

/* --- */

static bool all_done(void)
{
	int i;

	for (i = 0; i < threads; i++)
		if (__atomic_load_n(&workers[i].done, __ATOMIC_RELAXED) < rounds)
			return false;
	return true;
}

static bool wait_for_all(int seconds)
{
	time_t end = time(NULL) + seconds;

	while (!all_done() && time(NULL) < end)
		usleep(20000);
	return all_done();
}

static void report(void)
{
	struct worker sum = { 0 };
	int i;

	for (i = 0; i < threads; i++) {
		if (workers[i].done < rounds)
			printf("# thread %d on kernel %d: %ld of %ld\n", i,
			       kids[i % kernels], workers[i].done, rounds);
		sum.hits += workers[i].hits;
		sum.zeros += workers[i].zeros;
		sum.segvs += workers[i].segvs;
		sum.slow += workers[i].slow;
		sum.wrong += workers[i].wrong;
		sum.failed += workers[i].failed;
	}
	printf("# %lu words of threads, %lu zeros, %lu SIGSEGV, %lu slow pages\n",
	       sum.hits, sum.zeros, sum.segvs, sum.slow);
	printf("# %lu pages read through /proc/self/mem\n", pages_read);
	result(sum.hits && sum.zeros && sum.segvs && sum.slow && pages_read,
	       "all kinds of things were met");
	result(!sum.wrong && !wrong_reads, "nothing that nobody has written");
	result(!sum.failed, "no change failed");
}

int main(int argc, char **argv)
{
	pthread_t server, reader;
	int i;

	if (argc != 4) {
		fprintf(stderr, "usage: relayout KID,KID,... ROUNDS SECONDS\n");
		return 2;
	}
	kernels = read_kids(argv[1], kids);
	threads = 2 * kernels;
	rounds = atol(argv[2]);
	signal(SIGSEGV, on_segv);
	if (!set_up_slow_page()) {
		perror("userfaultfd");
		return 2;
	}
	printf("1..4\n");
	pthread_create(&server, NULL, serve, NULL);
	pthread_create(&reader, NULL, read_all, NULL);
	for (i = 0; i < threads; i++)
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	result(wait_for_all(atoi(argv[3])), "every thread comes to its end");
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	if (all_done()) {
		pthread_join(reader, NULL);
		pthread_join(server, NULL);
	}
	report();
	fflush(stdout);
	_exit(0);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * A fuzzer of memory layouts: threads on several kernels change the layout of their
 * process's memory at random, and compare each byte with a model. Prints TAP.
 *
 *	fuzz-layout [OPTION]... KID,KID,...
 *
 *	-s SEED		what all random choices come from (the time)
 *	-t SECONDS	how long (10)
 *	-n COUNT	operations of each thread at most, rounded up to four
 *	-j THREADS	(one for each kernel)
 *	-d DIR		a directory where O_DIRECT works
 *	-o NAME,...	do only operations of these groups, besides reading and writing;
 *			but do them more often
 *	-x NAME,...	do none of these groups
 *	-i		allocations fail: expect calls to fail with ENOMEM
 *	-w SECONDS	how long an operation may take (120)
 *	-l		list the groups
 *
 * With KID "-" no thread migrates: so what a kernel alone does is judged as well.
 *
 * The choices of a thread depend on the seed, its number, and how many operations it
 * has done, on nothing else. With one thread (-j 1) all of a run is the same each time.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <time.h>

#include "fuzz-process.h"

/* --- the list --- */

static struct operation {
	const char	*name, *group;
	unsigned int	weight;
	bool		on_heap;
	void		(*run)(struct job *j);
	unsigned long	times;
} operations[] = {
	{ "read", "access", 12, true, do_read, 0 },
	{ "write", "access", 12, true, do_write, 0 },
	{ "write a word", "access", 12, true, do_word, 0 },
	{ "check", "access", 2, true, do_check, 0 },
	{ "go", "access", 4, true, do_go, 0 },
	{ "mmap", "mmap", 5, false, do_mmap, 0 },
	{ "mmap, if there is nothing", "mmap", 1, false, do_noreplace, 0 },
	{ "mmap anywhere", "mmap", 2, true, do_anywhere, 0 },
	{ "mmap a file", "file", 4, false, do_file, 0 },
	{ "munmap", "munmap", 2, false, do_munmap, 0 },
	{ "mprotect", "mprotect", 4, false, do_mprotect, 0 },
	{ "fail", "fail", 4, true, do_fail, 0 },
	{ "fail", "huge", 1, true, do_huge, 0 },
	{ "mremap", "mremap", 4, false, do_move, 0 },
	{ "mremap, shrink", "mremap", 1, false, do_shrink, 0 },
	{ "mremap, grow", "mremap", 2, false, do_grow, 0 },
	{ "madvise", "dontneed", 3, true, do_dontneed, 0 },
	{ "madvise, every other page", "dontneed", 1, true, do_comb, 0 },
	{ "madvise", "free", 2, true, do_free, 0 },
	{ "madvise", "remove", 1, false, do_remove, 0 },
	{ "madvise", "fork", 1, true, do_forks, 0 },
	{ "madvise", "advice", 3, true, do_advice, 0 },
	{ "madvise", "swap", 2, true, do_pageout, 0 },
	{ "madvise", "ksm", 2, true, do_ksm, 0 },
	{ "mlock", "mlock", 2, false, do_lock, 0 },
	{ "ftruncate", "truncate", 2, false, do_truncate, 0 },
	{ "pwrite to holes", "truncate", 2, false, do_refill, 0 },
	{ "UFFDIO_REGISTER", "uffd", 2, false, do_register, 0 },
	{ "UFFDIO_UNREGISTER", "uffd", 1, false, do_unregister, 0 },
	{ "UFFDIO_COPY", "uffd", 3, false, do_copy, 0 },
	{ "io_uring, madvise", "uring", 2, false, do_uring_advice, 0 },
	{ "io_uring, read", "uring", 2, true, do_uring_read, 0 },
	{ "pread", "io", 2, true, do_pread, 0 },
	{ "/proc/self/mem", "io", 1, true, do_mem, 0 },
	{ "pipe", "pipe", 2, true, do_pipe, 0 },
	{ "O_DIRECT", "direct", 2, true, do_direct, 0 },
	{ "fork", "fork", 1, true, do_fork, 0 },
	{ "brk", "brk", 60, true, do_brk, 0 },
};

#define OPERATIONS ARRAY_SIZE(operations)

static bool fits(const struct operation *o, const struct slot *s)
{
	if (o->run == do_brk)
		return s->is_heap;
	return !s->is_heap || o->on_heap;
}

/* choose: an operation, by weight; all draws come from the job's own numbers */
static struct operation *choose(struct job *j)
{
	unsigned int i, sum = 0, pick;

	for (i = 0; i < OPERATIONS; i++)
		sum += fits(&operations[i], j->s) ? operations[i].weight : 0;
	pick = below(&j->rng, sum);
	for (i = 0; i < OPERATIONS; i++) {
		unsigned int weight = fits(&operations[i], j->s) ?
				      operations[i].weight : 0;

		if (pick < weight)
			return &operations[i];
		pick -= weight;
	}
	return &operations[0];
}

/* Allocations have failed on purpose: the slot begins anew. */
static void start_anew(struct job *j)
{
	struct slot *s = j->s;
	unsigned int i;

	j->first = 0;
	j->count = ALL;
	if (s->is_heap) {
		while (syscall(SYS_brk, s->at) != (long)s->at)
			;
		for (i = 0; i < ALL; i++)
			set_unmapped(&s->pages[i]);
		s->heap_pages = 0;
		return;
	}
	while (mmap(at(j), length(j), PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE |
		    MAP_FIXED, -1, 0) == MAP_FAILED)
		;
	new_mapping(j, PROT_READ | PROT_WRITE, false, true, 0);
}

/* slot_of: a thread works on a slot for BATCH operations before it takes another */
static struct slot *slot_of(const struct worker *w)
{
	uint64_t rng = mix(fuzz_seed ^ mix((w->number + 65UL) << 40 ^ w->done / BATCH));

	return &slots[below(&rng, SLOTS)];
}

static void do_operation(struct worker *w)
{
	struct job j = {
		.w = w, .rng = mix(fuzz_seed ^ mix((w->number + 1UL) << 40 ^ w->done)),
	};
	struct operation *o;

	j.s = slot_of(w);
	o = choose(&j);
	j.first = below(&j.rng, ALL);
	j.count = 1 + below(&j.rng, ALL - j.first < RUN ? ALL - j.first : RUN);
	__atomic_store_n(&w->doing, o->name, __ATOMIC_RELAXED);
	if (w->done % BATCH == 0)
		pthread_mutex_lock(&j.s->lock);
	j.past = &j.s->past[j.s->done++ % HISTORY];
	*j.past = (struct past){
		.name = o->name, .detail = "", .thread = w->number, .kid = w->kid,
		.number = w->done, .first = j.first, .count = j.count,
	};
	o->run(&j);
	if (injecting && j.past->result == -1)
		start_anew(&j);
	__atomic_add_fetch(&o->times, 1, __ATOMIC_RELAXED);
	check_page(j.s, below(&j.rng, ALL));
	w->done++;
	if (w->done % BATCH == 0) {
		pthread_mutex_unlock(&j.s->lock);
		peek(&j);
	}
}

static void let_allocations_fail(void)
{
	int fd = open("/proc/thread-self/make-it-fail", O_WRONLY);

	if (fd < 0 || write(fd, "1", 1) != 1)
		perror("# make-it-fail");
	close(fd);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	if (injecting)
		let_allocations_fail();
	if (!stay) {
		w->kid = kids[w->number % kernels];
		if (go(w->kid))
			w->kid = -1;
	}
	while (w->done % BATCH || (!__atomic_load_n(&stop, __ATOMIC_RELAXED) &&
				   w->done != most_operations))
		do_operation(w);
	if (!stay)
		go(0);
	__atomic_store_n(&w->doing, NULL, __ATOMIC_RELEASE);
	return NULL;
}

/* --- main --- */

static int make_file(const char *name, unsigned int pages, uint64_t (*seed)(unsigned int))
{
	static uint64_t content[WORDS] __attribute__((aligned(PAGE)));
	unsigned int i;
	int fd = *name == '/' ? open(name, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600) :
		 memfd_create(name, MFD_CLOEXEC);

	for (i = 0; fd >= 0 && i < pages; i++) {
		make_content(content, seed(i));
		if (pwrite(fd, content, PAGE, i * PAGE) != (ssize_t)PAGE)
			return -1;
	}
	return fd;
}

static uint64_t seed_of_source(unsigned int i)
{
	return source_seed(&slots[i / 4], i % 4);
}

static uint64_t seed_of_direct(unsigned int i)
{
	return source_seed(&slots[i % SLOTS], 0);
}

static struct slot *new_slot;

static uint64_t seed_of_file(unsigned int i)
{
	return data_seed(new_slot, i);
}

static bool make_slot(struct slot *s)
{
	struct job j = { .s = s, .count = PAGES };

	new_slot = s;
	pthread_mutex_init(&s->lock, NULL);
	s->at = BASE + (s - slots) * (ALL + GAP) * PAGE;
	s->size = PAGES;
	s->fd = make_file("slot", PAGES, seed_of_file);
	if (s->is_heap) {
		s->at = (char *)(((uintptr_t)sbrk(0) + PAGE - 1) & -PAGE);
		return s->fd >= 0;
	}
	if (mmap(s->at, length(&j), PROT_READ | PROT_WRITE, MAP_ANONYMOUS |
		 MAP_PRIVATE | MAP_FIXED, -1, 0) != s->at)
		return false;
	new_mapping(&j, PROT_READ | PROT_WRITE, false, true, 0);
	return s->fd >= 0;
}

static bool make_slots(const char *dir)
{
	char name[256];
	unsigned int i;

	slots[SLOTS - 1].is_heap = true;
	for (i = 0; i < SLOTS; i++)
		if (!make_slot(&slots[i]))
			return false;
	mem = open("/proc/self/mem", O_RDONLY);
	source = make_file("source", 4 * SLOTS, seed_of_source);
	if (dir) {
		snprintf(name, sizeof(name), "%s/direct", dir);
		direct = make_file(name, DIRECT_PAGES, seed_of_direct);
		if (direct < 0)
			printf("# no O_DIRECT in %s: %s\n", dir, strerror(errno));
	}
	return source >= 0 && mem >= 0;
}

static void open_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	pthread_t server;

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd >= 0 && ioctl(uffd, UFFDIO_API, &api))
		uffd = -1;
	if (uffd < 0)
		printf("# no userfaultfd: %s\n", strerror(errno));
	else
		pthread_create(&server, NULL, serve, NULL);
}

static bool names(const char *list, const char *name)
{
	size_t n = strlen(name);
	const char *p = list;

	while ((p = strstr(p, name))) {
		if ((p == list || p[-1] == ',') && (!p[n] || p[n] == ','))
			return true;
		p += n;
	}
	return false;
}

static void select_operations(const char *only, const char *without)
{
	unsigned int i;

	for (i = 0; i < OPERATIONS; i++) {
		const char *group = operations[i].group;

		if (strcmp(group, "access") && only)
			operations[i].weight *= names(only, group) ? FAVOUR : 0;
		if (without && names(without, group))
			operations[i].weight = 0;
	}
}

static void list_groups(void)
{
	unsigned int i;

	for (i = 0; i < OPERATIONS; i++)
		if (!i || strcmp(operations[i].group, operations[i - 1].group))
			printf("%s\n", operations[i].group);
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static bool all_done(void)
{
	int i;

	for (i = 0; i < threads; i++)
		if (__atomic_load_n(&workers[i].doing, __ATOMIC_ACQUIRE))
			return false;
	return true;
}

/* moving: each thread has done something since the last call, or has ended */
static bool moving(long *seen, bool *each)
{
	bool any = false;
	int i;

	*each = true;
	for (i = 0; i < threads; i++) {
		long done = __atomic_load_n(&workers[i].done, __ATOMIC_RELAXED);

		if (!__atomic_load_n(&workers[i].doing, __ATOMIC_RELAXED))
			continue;
		if (done == seen[i])
			*each = false;
		else
			any = true;
	}
	return any;
}

/* watch: until all threads have ended; false if one does not get on */
static bool watch(int seconds, int limit)
{
	static long seen[MAX_THREADS];
	long long end = now() + seconds * 1000LL, last = now();
	bool each;
	int i;

	while (!all_done()) {
		usleep(50000);
		if (now() >= end)
			__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
		moving(seen, &each);
		if (each) {
			last = now();
			for (i = 0; i < threads; i++)
				seen[i] = __atomic_load_n(&workers[i].done,
							  __ATOMIC_RELAXED);
		}
		if (now() - last > limit * 1000LL)
			return false;
	}
	return true;
}

static void tell_stuck(void)
{
	int i;

	for (i = 0; i < threads; i++)
		if (workers[i].doing)
			printf("# thread %d, number %ld, kernel %d: %s\n", i,
			       workers[i].done, workers[i].kid, workers[i].doing);
}

static void tell_sums(void)
{
	unsigned long sum = 0, i;

	printf("#");
	for (i = 0; i < OPERATIONS; i++) {
		sum += operations[i].times;
		if (operations[i].times)
			printf(" %s (%s) %lu;", operations[i].name, operations[i].group,
			       operations[i].times);
	}
	printf("\n# %lu operations, %lu migrations refused\n", sum, refused);
}

static int usage(void)
{
	fputs("usage: fuzz-layout [-s SEED] [-t SECONDS] [-n COUNT] [-j THREADS] [-d DIR]\n"
	      "                   [-o NAME,...] [-x NAME,...] [-i] [-w SECONDS] KID,KID,...\n"
	      "       fuzz-layout -l\n", stderr);
	return 2;
}

static void set_handlers(void)
{
	struct sigaction a = { .sa_sigaction = on_fault,
		.sa_flags = SA_NODEFER | SA_SIGINFO };

	sigaction(SIGSEGV, &a, NULL);
	sigaction(SIGBUS, &a, NULL);
}

static int fuzz(int seconds, int limit, const char *dir)
{
	bool ended;
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..3\n# seed %lu, %d threads\n", fuzz_seed, threads);
	set_handlers();
	/* Let malloc() have all it will need: a slot comes behind it. */
	mallopt(M_TOP_PAD, 1 << 20);
	free(malloc(1));
	open_uffd();
	if (!make_slots(dir)) {
		perror("# slots");
		return 1;
	}
	for (i = 0; i < threads; i++) {
		workers[i].number = i;
		workers[i].doing = "start";
		if (pipe(workers[i].pipe) || pthread_create(&workers[i].thread, NULL,
							    work, &workers[i])) {
			perror("# threads");
			return 1;
		}
	}
	ended = watch(seconds, limit);
	if (!ended)
		tell_stuck();
	for (i = 0; ended && i < (int)SLOTS; i++)
		check_slot(&slots[i]);
	tell_sums();
	result(true, "every byte is what it must be");
	result(ended, "every operation comes to its end");
	result(!refused, "no migration is refused");
	_exit(!ended || refused);
}

int main(int argc, char **argv)
{
	const char *only = NULL, *without = NULL, *dir = NULL;
	int seconds = 10, limit = 120, c;

	fuzz_seed = time(NULL);
	while ((c = getopt(argc, argv, "s:t:n:j:d:o:x:iw:l")) != -1) {
		switch (c) {
		case 's':
			fuzz_seed = strtoul(optarg, NULL, 0);
			break;
		case 't':
			seconds = atoi(optarg);
			break;
		case 'n':
			most_operations = (atol(optarg) + BATCH - 1) / BATCH * BATCH;
			break;
		case 'j':
			threads = atoi(optarg);
			break;
		case 'd':
			dir = optarg;
			break;
		case 'o':
			only = optarg;
			break;
		case 'x':
			without = optarg;
			break;
		case 'i':
			injecting = true;
			break;
		case 'w':
			limit = atoi(optarg);
			break;
		case 'l':
			list_groups();
			return 0;
		default:
			return usage();
		}
	}
	if (optind + 1 != argc)
		return usage();
	stay = !strcmp(argv[optind], "-");
	kernels = read_kids(argv[optind], kids);
	threads = threads ?: kernels;
	if (threads < 1 || threads > MAX_THREADS)
		return usage();
	select_operations(only, without);
	return fuzz(seconds, limit, dir);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * No page is lost: threads on other kernels write memory that the origin has never
 * touched, while at home everything is done to it that could lose a page. Prints TAP.
 *
 *	loss KID,KID,... ROUNDS CORE
 *
 * CORE is the file that core dumps go to.
 *
 * A writer on each kernel has pages of its own. Each word tells the slice, the page,
 * the word and the round that it was written in, and words are written in order: so
 * whoever sees a page at one moment, a child after fork for instance, finds words of
 * one round and behind them such of the round before. The writer itself compares
 * every word after every round.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/procfs.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "selftest.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define SLICE		64UL		/* pages of a writer */
#define HUGE		(2UL << 20)
#define ROUND_BITS	20
#define MAGIC		0x706f70636f726e00UL

static int kids[MAX_KERNELS], kernels;
static long rounds;
static uint64_t *region;		/* all slices, one after the other */
static bool stop;

/* What word i of a page is, but for the round in its low bits */
static uint64_t word_of(size_t page, size_t i)
{
	return ((page << 9 | i) + 1) * 0x9e3779b97f4a7c15 << ROUND_BITS;
}

static void write_page(uint64_t *at, size_t page, uint64_t round)
{
	size_t i;

	for (i = 0; i < WORDS; i++)
		((volatile uint64_t *)at)[i] = word_of(page, i) | round;
}

static bool page_is(const uint64_t *at, size_t page, uint64_t round)
{
	size_t i;

	for (i = 0; i < WORDS; i++)
		if (at[i] != (word_of(page, i) | round))
			return false;
	return true;
}

/* As at one moment of writing, or not written at all. */
static bool page_is_whole(const uint64_t *at, size_t page)
{
	const uint64_t mask = (1 << ROUND_BITS) - 1;
	uint64_t first = at[0] & mask, last = first;
	size_t i;

	for (i = 0; i < WORDS; i++) {
		if ((at[i] & mask) > last || first - (at[i] & mask) > 1)
			return false;
		last = at[i] & mask;
		if (at[i] != (last ? word_of(page, i) | last : 0))
			return false;
	}
	return true;
}

static bool region_is_whole(size_t pages)
{
	size_t page;

	for (page = 0; page < pages; page++)
		if (!page_is_whole(region + page * WORDS, page))
			return false;
	return true;
}

static uint64_t *slice_at(size_t slice)
{
	return region + slice * SLICE * WORDS;
}

/* --- writers --- */

static void write_slice(size_t slice, uint64_t round)
{
	size_t i;

	for (i = 0; i < SLICE; i++)
		write_page(slice_at(slice) + i * WORDS, slice * SLICE + i, round);
}

static bool slice_is(size_t slice, uint64_t round)
{
	size_t i;

	for (i = 0; i < SLICE; i++)
		if (!page_is(slice_at(slice) + i * WORDS, slice * SLICE + i, round))
			return false;
	return true;
}

/* Returns NULL if all was as it should be. */
static void *writer(void *arg)
{
	size_t slice = (size_t)arg;
	bool ok = !go(kids[slice]);
	long round;

	for (round = 1; ok && round <= rounds; round++) {
		write_slice(slice, round);
		ok = slice_is(slice, round);
	}
	return ok ? NULL : "lost";
}

/* --- what is done to their pages at home --- */

static bool ends_well(pid_t child)
{
	int status;

	return child > 0 && waitpid(child, &status, 0) == child && !status;
}

static bool fork_and_look(void)
{
	pid_t child = fork();

	if (!child)
		_exit(!region_is_whole(kernels * SLICE));
	return ends_well(child);
}

static bool flip_protection(void)
{
	size_t bytes = kernels * SLICE * PAGE;

	return !mprotect(region, bytes, PROT_READ | PROT_WRITE | PROT_EXEC) &&
	       !mprotect(region, bytes / 2, PROT_READ | PROT_WRITE) &&
	       !mprotect(region, bytes, PROT_READ | PROT_WRITE);
}

/* It may be refused, but must not lose anything. */
static bool collapse(void)
{
	madvise(region, kernels * SLICE * PAGE, MADV_COLLAPSE);
	return true;
}

/* From outside, as a debugger reads it. What it finds in change it cannot read. */
static bool read_from_outside(void)
{
	static uint64_t copy[WORDS];
	int fd = open("/proc/self/mem", O_RDONLY);
	bool ok = fd >= 0;
	size_t page;
	ssize_t n;

	for (page = 0; ok && page < kernels * SLICE; page += 7) {
		n = pread(fd, copy, PAGE, (off_t)(region + page * WORDS));
		ok = n == (ssize_t)PAGE ? page_is_whole(copy, page) :
		     n == -1 && errno == EIO;
	}
	close(fd);
	return ok;
}

static void *mover(void *arg)
{
	uint64_t *at = map(SLICE), *to;
	bool ok = !go(kids[0]);
	long round;
	size_t i;

	/* From afar: write, have it moved, compare. */
	for (round = 1; ok && !__atomic_load_n(&stop, __ATOMIC_RELAXED); round++) {
		for (i = 0; i < SLICE; i++)
			write_page(at + i * WORDS, i, round);
		to = map(2 * SLICE);
		ok = mremap(at, SLICE * PAGE, 2 * SLICE * PAGE,
			    MREMAP_MAYMOVE | MREMAP_FIXED, to) == to;
		for (i = 0; ok && i < SLICE; i++)
			ok = page_is(to + i * WORDS, i, round);
		ok = ok && !to[SLICE * WORDS] &&
		     mremap(to, 2 * SLICE * PAGE, SLICE * PAGE, 0) == to;
		at = to;
	}
	return ok && round > 1 ? NULL : arg;
}

/* --- the tests --- */

static void map_region(void)
{
	char *p = map(HUGE / PAGE + kernels * SLICE);

	region = (void *)(((uintptr_t)p + HUGE - 1) & ~(HUGE - 1));
}

/* start: writers on all kernels; all_well: they ended, and nothing was lost */
static void start(pthread_t *t)
{
	size_t i;

	map_region();
	for (i = 0; i < (size_t)kernels; i++)
		pthread_create(&t[i], NULL, writer, (void *)i);
}

static bool all_well(pthread_t *t)
{
	bool ok = true;
	void *wrong;
	size_t i;

	for (i = 0; i < (size_t)kernels; i++)
		ok = !pthread_join(t[i], &wrong) && !wrong && ok;
	for (i = 0; i < (size_t)kernels; i++)
		ok = slice_is(i, rounds) && ok;
	return ok;
}

/* While writers write, something is done to their pages; as often as they let it. */
static bool test_while(bool (*fn)(void))
{
	pthread_t t[MAX_KERNELS];
	bool ok = true;
	int times;

	start(t);
	for (times = 0; times < 20 && ok; times++)
		ok = fn();
	return all_well(t) && ok;
}

static bool test_alone(void)
{
	pthread_t t[MAX_KERNELS];

	start(t);
	return all_well(t);
}

static bool test_moving(void)
{
	pthread_t t[MAX_KERNELS], m;
	void *wrong;
	bool ok;

	stop = false;
	pthread_create(&m, NULL, mover, &stop);
	start(t);
	ok = all_well(t);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	return !pthread_join(m, &wrong) && !wrong && ok;
}

static void *again_and_again(void *fn)
{
	bool ok = true;

	while (ok && !__atomic_load_n(&stop, __ATOMIC_RELAXED))
		ok = ((bool (*)(void))fn)();
	return ok ? NULL : fn;
}

static bool test_all_at_once(void)
{
	bool (*const fns[])(void) = {
		fork_and_look, flip_protection, collapse, read_from_outside,
	};
	pthread_t t[MAX_KERNELS], o[4], m;
	void *wrong;
	bool ok;
	int i;

	stop = false;
	start(t);
	pthread_create(&m, NULL, mover, &stop);
	for (i = 0; i < 4; i++)
		pthread_create(&o[i], NULL, again_and_again, fns[i]);
	ok = all_well(t);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 4; i++)
		ok = !pthread_join(o[i], &wrong) && !wrong && ok;
	return !pthread_join(m, &wrong) && !wrong && ok;
}

/* --- a core dump --- */

static int waiting;

static void *wait_with_magic(void *arg)
{
	size_t slice = (size_t)arg;

	if (go(kids[slice]))
		_exit(1);
	write_slice(slice, 1);
	__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
	asm volatile("mov %0, %%r12\n1:\tpause\n\tjmp 1b"
		     : : "r" (MAGIC + slice) : "r12");
	return NULL;
}

static void crash(void)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	pthread_t t;
	size_t i;

	setrlimit(RLIMIT_CORE, &all);
	for (i = 0; i < (size_t)kernels; i++)
		pthread_create(&t, NULL, wait_with_magic, (void *)i);
	while (__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) < kernels)
		usleep(1000);
	usleep(20000);
	abort();
}

/* Where an address of the dumped process is in its dump, or NULL */
static const void *in_core(const char *core, uintptr_t address)
{
	const Elf64_Ehdr *e = (const void *)core;
	const Elf64_Phdr *p = (const void *)(core + e->e_phoff);
	int i;

	for (i = 0; i < e->e_phnum; i++)
		if (p[i].p_type == PT_LOAD && address >= p[i].p_vaddr &&
		    address + PAGE <= p[i].p_vaddr + p[i].p_filesz)
			return core + p[i].p_offset + (address - p[i].p_vaddr);
	return NULL;
}

static bool core_has_pages(const char *core)
{
	const uint64_t *at;
	size_t page;

	for (page = 0; page < kernels * SLICE; page++) {
		at = in_core(core, (uintptr_t)(region + page * WORDS));
		if (!at || !page_is(at, page, 1))
			return false;
	}
	return true;
}

/* Each thread's register of magic is in its note. */
static bool notes_have_registers(const char *at, const char *end)
{
	const struct elf_prstatus *status;
	const Elf64_Nhdr *n;
	uint64_t seen = 0;

	for (; at < end; at += (n->n_descsz + 3) & ~3) {
		n = (const void *)at;
		at += sizeof(*n) + ((n->n_namesz + 3) & ~3);
		status = (const void *)at;
		if (n->n_type == NT_PRSTATUS &&
		    (status->pr_reg[3] & ~0xffUL) == MAGIC)
			seen |= 1ULL << (status->pr_reg[3] & 0xff);
	}
	return seen == (1ULL << kernels) - 1;
}

static bool core_has_registers(const char *core)
{
	const Elf64_Ehdr *e = (const void *)core;
	const Elf64_Phdr *p = (const void *)(core + e->e_phoff);
	int i;

	for (i = 0; i < e->e_phnum; i++)
		if (p[i].p_type == PT_NOTE)
			return notes_have_registers(core + p[i].p_offset,
						    core + p[i].p_offset +
						    p[i].p_filesz);
	return false;
}

static const char *read_core(const char *name)
{
	int fd = open(name, O_RDONLY);
	struct stat st;
	char *core;

	if (fd < 0 || fstat(fd, &st))
		return NULL;
	core = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	return core == MAP_FAILED ? NULL : core;
}

static void test_core(const char *name)
{
	const char *core;
	pid_t child;
	int status;

	unlink(name);
	map_region();
	child = fork();
	if (!child)
		crash();
	waitpid(child, &status, 0);
	result(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT &&
	       WCOREDUMP(status), "a program with threads on all kernels dumps core");
	core = read_core(name);
	result(core && core_has_pages(core), "the dump has all pages");
	result(core && core_has_registers(core), "and the registers of all threads");
	unlink(name);
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: loss KID,KID,... ROUNDS CORE\n");
		return 2;
	}
	kernels = read_kids(argv[1], kids);
	rounds = atol(argv[2]);
	printf("1..10\n");
	fflush(stdout);
	result(test_alone(), "pages that were written elsewhere only");
	result(test_while(fork_and_look), "while others fork");
	result(test_while(flip_protection), "while others change protection");
	result(test_while(collapse), "while others collapse them to huge pages");
	result(test_while(read_from_outside), "while others read /proc/self/mem");
	result(test_moving(), "while others move theirs");
	result(test_all_at_once(), "all at once");
	test_core(argv[3]);
	return 0;
}

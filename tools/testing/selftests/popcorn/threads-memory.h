/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests of threads.c about memory, whose thread is away: it changes the layout, its stack
 * grows, and it uses memory that is not replicated.
 *
 * Private memory is replicated: a page goes to the kernel that uses it. Shared memory is not,
 * so each access to it brings the thread home for a while (threads stay there if that happens
 * often). Pages that others hold, such as a pipe, cannot go to another kernel at once.
 */
#ifndef THREADS_MEMORY_H
#define THREADS_MEMORY_H

#include <fcntl.h>
#include <sys/uio.h>
#include <time.h>

#include "threads-base.h"

/* --- the layout --- */

static bool test_layout(void)
{
	char *p, *q;
	bool ok = !leave();

	p = map(PAGES);
	stamp(p, PAGES, 3);
	ok = ok && !go(0) && stamped(p, PAGES, 3) && !leave();
	ok = ok && !mprotect(p, PAGES * PAGE, PROT_READ) && stamped(p, PAGES, 3);
	ok = ok && !mprotect(p, PAGES * PAGE, PROT_READ | PROT_WRITE);
	stamp(p, PAGES, 4);
	q = mremap(p, PAGES * PAGE, 4 * PAGES * PAGE, MREMAP_MAYMOVE);
	ok = ok && q != MAP_FAILED && stamped(q, PAGES, 4);
	stamp(q, PAGES, 5);
	ok = ok && !munmap(q + PAGES * PAGE, 3 * PAGES * PAGE) && stamped(q, PAGES, 5);
	ok = ok && !madvise(q, PAGE, MADV_DONTNEED) && q[0] == 0 && q[9] == 0;
	ok = ok && !go(0) && q[0] == 0;
	stamp(q, PAGES, 6);
	ok = ok && !leave() && stamped(q, PAGES, 6);
	ok = ok && mmap(q, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			MAP_ANONYMOUS | MAP_FIXED, -1, 0) == q && !q[0];
	ok = ok && !munmap(q, PAGES * PAGE);
	return !go(0) && ok;
}

static bool test_brk(void)
{
	char *old = sbrk(0), *p;
	bool ok = !leave();

	p = sbrk(16 * PAGE);
	ok = ok && p == old;
	memset(p, 7, 16 * PAGE);
	ok = ok && sbrk(-8 * (intptr_t)PAGE) != (void *)-1 && p[5 * PAGE] == 7;
	ok = ok && sbrk(8 * PAGE) != (void *)-1 && p[12 * PAGE] == 0 && p[3] == 7;
	ok = ok && !go(0) && p[5] == 7 && sbrk(-16 * (intptr_t)PAGE) != (void *)-1;
	return ok;
}

static int recurse(int depth)
{
	volatile char room[2000];

	room[0] = depth;
	return depth ? recurse(depth - 1) + room[0] - room[0] : 5;
}

static bool test_stack(void)
{
	bool ok = !leave() && recurse(400) == 5;

	return !go(0) && ok && recurse(400) == 5;
}

static bool test_file(void)
{
	int fd = open(self, O_RDONLY);
	char buf[PAGE];
	char *p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	char *w = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	bool ok = p != MAP_FAILED && w != MAP_FAILED && !leave();

	ok = ok && read(fd, buf, PAGE) == (ssize_t)PAGE && !memcmp(p, buf, PAGE);
	w[100] = ~w[100];
	ok = ok && w[100] != p[100] && !go(0) && w[100] != buf[100] &&
	     !memcmp(w, buf, 100);
	munmap(p, PAGE);
	munmap(w, PAGE);
	close(fd);
	return ok;
}

/* --- memory that is used at home --- */

/* Memory that is not replicated: the access is made at home. */
static bool test_shared(void)
{
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool ok = p != MAP_FAILED && !leave();

	p[10] = 42;
	ok = ok && p[10] == 42;
	getppid();
	p[11] = 43;
	ok = ok && !go(0) && p[10] == 42 && p[11] == 43;
	munmap(p, PAGE);
	return ok;
}

/* own_line: of the calling thread in /proc/popcorn/threads */
static bool own_line(unsigned int *kernel, unsigned long *migrations)
{
	FILE *f = fopen("/proc/popcorn/threads", "r");
	char line[256];
	bool found = false;
	int tid;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*s %*s %d shadow %u %lu", &tid, kernel,
			       migrations) == 3 && tid == (int)syscall(SYS_gettid);
	if (f)
		fclose(f);
	return found;
}

/* A thread that uses such memory again and again stays at home. */
static bool test_shared_often(void)
{
	volatile int *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool ok = p != MAP_FAILED && !leave();
	unsigned long before = 0, after = 0;
	unsigned int kernel;
	int i;

	ok = ok && own_line(&kernel, &before);
	for (i = 0; i < 2000; i++) {
		p[i % 2]++;
		getppid();
	}
	/* Longer than it stays; then it is where it was to be. */
	usleep(200000);
	ok = ok && own_line(&kernel, &after) && kernel == (unsigned int)away[0];
	printf("2000 accesses: %lu migrations\n", after - before);
	ok = ok && !go(0) && after - before < 1000 && p[0] == 1000 && p[1] == 1000;
	munmap((void *)p, PAGE);
	return ok;
}

/* A call that is done there, with a buffer that is not. */
static bool test_call_with_shared(void)
{
	struct timespec *t = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool ok = t != MAP_FAILED && !leave();

	ok = ok && !syscall(SYS_clock_gettime, CLOCK_MONOTONIC, t) && t->tv_sec;
	ok = ok && syscall(SYS_clock_gettime, CLOCK_MONOTONIC, nowhere) == -1 &&
	     errno == EFAULT && !go(0);
	munmap(t, PAGE);
	return ok;
}

/* Pages that a pipe holds on to: nobody waits until it is read. */
static bool test_held(void)
{
	char *p = map(4), buf[64];
	struct iovec v = { .iov_base = p + PAGE, .iov_len = 2 * PAGE };
	int fd[2];
	bool ok = p && !pipe(fd) && !leave();

	memset(p, 1, 4 * PAGE);
	ok = ok && vmsplice(fd[1], &v, 1, 0) == (ssize_t)(2 * PAGE) && !go(0) &&
	     !leave();
	memset(p, 2, 4 * PAGE);
	ok = ok && read(fd[0], buf, sizeof(buf)) == sizeof(buf) && buf[0] == 2 &&
	     p[0] == 2 && p[PAGE] == 2 && !go(0) && p[3 * PAGE] == 2;
	munmap(p, 4 * PAGE);
	close(fd[0]);
	close(fd[1]);
	return ok;
}

#endif

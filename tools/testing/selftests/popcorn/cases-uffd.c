// SPDX-License-Identifier: GPL-2.0
/*
 * userfaultfd over memory that another kernel has. Prints TAP.
 *
 *	cases-uffd KID
 *
 * A range is registered when a thread is away and has used a part of it: what is in
 * memory stays there, and for what is not there the handler is asked, once.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>

#include "cases.h"

#define FILLED	77

static int uffd;
static volatile int missed;

static void *serve(void *arg)
{
	static char content[PAGE] __attribute__((aligned(PAGE)));
	struct pollfd f = { .fd = uffd, .events = POLLIN };
	struct uffdio_copy c = { .src = (uintptr_t)content, .len = PAGE };
	struct uffd_msg m;

	memset(content, FILLED, PAGE);
	while (poll(&f, 1, -1) >= 0) {
		if (read(uffd, &m, sizeof(m)) != sizeof(m))
			continue;
		missed++;
		c.dst = m.arg.pagefault.address & -PAGE;
		ioctl(uffd, UFFDIO_COPY, &c);
	}
	return arg;
}

static bool open_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	pthread_t t;

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	return uffd >= 0 && !ioctl(uffd, UFFDIO_API, &api) &&
	       !pthread_create(&t, NULL, serve, NULL);
}

static bool watch(char *p, size_t pages)
{
	struct uffdio_register r = {
		.range = { (uintptr_t)p, pages * PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	missed = 0;
	return !ioctl(uffd, UFFDIO_REGISTER, &r);
}

static size_t count(const volatile char *p, size_t size, char c)
{
	size_t i, n = 0;

	for (i = 0; i < size; i++)
		n += p[i] == c;
	return n;
}

/* Page 0 has never been touched, page 1 at home, page 2 here. */
static bool registered_here(void)
{
	volatile char *p = map(3);

	if (!open_uffd())
		return false;
	p[PAGE] = 5;
	p[2 * PAGE] = 6;
	if (!away() || p[2 * PAGE] != 6 || !watch((char *)p, 3))
		return false;
	return p[PAGE] == 5 && !missed && p[0] == FILLED && missed == 1 && p[2 * PAGE] == 6;
}

static volatile char *common;
static volatile int phase;

static void *use_away(void *arg)
{
	bool *ok = arg;

	*ok = away() && common[2 * PAGE] == 6;
	phase = 1;
	while (phase != 2)
		syscall(SYS_sched_yield);
	*ok = *ok && common[PAGE] == 5 && common[0] == FILLED;
	return NULL;
}

/* Another thread registers, at home. */
static bool registered_at_home(void)
{
	pthread_t t;
	bool ok;

	common = map(3);
	common[PAGE] = 5;
	common[2 * PAGE] = 6;
	if (!open_uffd() || pthread_create(&t, NULL, use_away, &ok))
		return false;
	while (phase != 1)
		usleep(1000);
	if (!watch((char *)common, 3))
		return false;
	phase = 2;
	pthread_join(t, NULL);
	return ok && missed == 1;
}

static char *written_away(void)
{
	char *p = map(2);

	if (!open_uffd() || !away())
		return NULL;
	memset(p, 'x', 2 * PAGE);
	return watch(p, 2) ? p : NULL;
}

static bool read_again(void)
{
	char *p = written_away();

	return p && count(p, 2 * PAGE, 'x') == 2 * PAGE && !missed;
}

static bool protected(void)
{
	char *p = written_away();

	return p && !mprotect(p, 2 * PAGE, PROT_READ) &&
	       count(p, 2 * PAGE, 'x') == 2 * PAGE && !missed;
}

static bool moved(void)
{
	char *p = written_away(), *q;

	if (!p)
		return false;
	q = mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	return q != MAP_FAILED && count(q, 2 * PAGE, 'x') == 2 * PAGE && !missed;
}

static bool forked(void)
{
	char *p = written_away();
	int status;

	if (!p)
		return false;
	if (!fork())
		_exit(count(p, 2 * PAGE, 'x') != 2 * PAGE);
	return wait(&status) > 0 && !status && !missed;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	where = argv[1];
	printf("1..6\n");
	result(in_child(registered_here), "registered by a thread that is away");
	result(in_child(registered_at_home), "registered by a thread at home");
	result(in_child(read_again), "what was written before is there");
	result(in_child(protected), "and after mprotect()");
	result(in_child(moved), "and after mremap()");
	result(in_child(forked), "and in a child");
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that cannot simply go to another kernel, and entries that Linux changes unseen.
 *
 *	frames KID		all of it
 *	frames KID hold		a thread goes for a page that is registered, and waits
 *
 * What a thread meets away is what it meets at home, and a buffer that the kernel holds
 * on to has what the thread has written.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "selftest.h"

#define NAME	"/tmp/frames"
#define PAGES	32
#define CHILDREN 1100

static int kid;
static sigjmp_buf back;

static void on_fault(int sig)
{
	(void)sig;
	siglongjmp(back, 1);
}

/* A file whose pages are full of their number and a letter */
static int make_file(char letter)
{
	int fd = open(NAME, O_RDWR | O_CREAT, 0600);
	char page[PAGE];
	int i;

	for (i = 0; i < PAGES; i++) {
		memset(page, letter + i, PAGE);
		if (pwrite(fd, page, PAGE, i * PAGE) != (ssize_t)PAGE)
			return -1;
	}
	return fd;
}

static volatile char *map_file(int fd, int prot)
{
	return mmap(NULL, PAGES * PAGE, prot, MAP_PRIVATE, fd, 0);
}

/* What is there; -1: a signal */
static int read_at(const volatile char *at)
{
	return sigsetjmp(back, 1) ? -1 : *at;
}

static void write_at(volatile char *at, char value)
{
	if (!sigsetjmp(back, 1))
		*at = value;
}

/* What a thread reads there; -2: it could not leave */
static int read_away(const volatile char *at)
{
	int seen;

	if (go(kid))
		return -2;
	seen = read_at(at);
	go(0);
	return seen;
}

static bool same_with(int prot)
{
	volatile char *p = map_file(make_file('A'), prot);
	int here = read_at(p + PAGE), there = read_away(p + 17 * PAGE);

	printf("# protection %d: %d at home, %d away\n", prot, here, there);
	/* With protection keys what may only be executed cannot be read. */
	return here == -1 ? there == -1 : here == 'A' + 1 && there == 'A' + 17;
}

static bool ends_with_file(void)
{
	int fd = make_file('a');
	volatile char *p = map_file(fd, PROT_READ | PROT_WRITE);
	int first, second, cut;

	if (go(kid))
		return false;
	first = p[0];
	if (ftruncate(fd, PAGE))
		return false;
	cut = read_at(p + PAGE);
	second = read_at(p);
	go(0);
	printf("# %d, behind the end %d, again %d\n", first, cut, second);
	return first == 'a' && cut == -1 && second == 'a';
}

/* Linux takes the entries of pages that the protocol has, and puts others there. */
static bool survives_truncation(void)
{
	volatile char *p;
	int fd = make_file('a'), again, i, round, lost = 0;
	bool away;

	p = map_file(fd, PROT_READ | PROT_WRITE);
	for (round = 0; round < 8; round++) {
		away = round & 1;
		/* Adopted by a read or a write, and home again or not. */
		if (go(kid))
			return false;
		for (i = 1; i < PAGES; i += 2)
			if (round & 2)
				p[i * PAGE] = 'x';
			else
				read_at(p + i * PAGE);
		go(0);
		for (i = 1; i < PAGES; i += 4)
			p[i * PAGE + 1] = 'y';
		again = ftruncate(fd, 0) ? -1 : make_file('a');
		if (again < 0 || close(again))
			return false;
		/* This maps pages of the file around it. */
		for (i = 0; i < PAGES; i += 2)
			read_at(p + i * PAGE);
		if (away && go(kid))
			return false;
		for (i = 1; i < PAGES; i++)
			write_at(p + i * PAGE + 2, 'z');
		if (away)
			go(0);
		for (i = 1; i < PAGES; i++)
			lost += read_at(p + i * PAGE + 2) != 'z' && !away;
	}
	close(fd);
	printf("# truncated 8 times, %d pages lost\n", lost);
	return !lost && !munmap((void *)p, PAGES * PAGE);
}

/* Pages of a pipe: see what is written later. */
static bool pipe_sees(void)
{
	volatile char *p = map(1);
	struct iovec v = { (void *)p, PAGE };
	static char copy[PAGE];
	int ends[2], seen;

	p[0] = 5;
	if (pipe(ends) || vmsplice(ends[1], &v, 1, 0) != (ssize_t)PAGE || go(kid))
		return false;
	seen = p[0];
	p[0] = 6;
	go(0);
	if (read(ends[0], copy, PAGE) != (ssize_t)PAGE)
		return false;
	printf("# vmsplice: %d, %d, the pipe has %d\n", seen, p[0], copy[0]);
	return seen == 5 && p[0] == 6 && copy[0] == 6;
}

struct ring {
	int fd;
	char *queue;
	struct io_uring_sqe *sqes;
	struct io_uring_params p;
};

static bool make_ring(struct ring *r)
{
	memset(&r->p, 0, sizeof(r->p));
	r->fd = syscall(SYS_io_uring_setup, 4, &r->p);
	if (r->fd < 0)
		return false;
	r->queue = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
			IORING_OFF_SQ_RING);
	r->sqes = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		       IORING_OFF_SQES);
	return r->queue != MAP_FAILED && (void *)r->sqes != MAP_FAILED;
}

/* The registered buffer's first byte, as a file gets it */
static int written_by(struct ring *r, void *buffer)
{
	unsigned int *tail = (unsigned int *)(r->queue + r->p.sq_off.tail);
	int fd = open(NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);
	char byte = -1;

	r->sqes[0] = (struct io_uring_sqe) {
		.opcode = IORING_OP_WRITE_FIXED, .fd = fd,
		.addr = (unsigned long)buffer, .len = 1,
	};
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	return pread(fd, &byte, 1, 0) == 1 ? byte : -1;
}

static bool registered(size_t pages)
{
	volatile char *p = map(pages);
	struct iovec v = { (void *)p, pages * PAGE };
	struct ring ring;
	size_t i, wrong = 0;
	int seen;

	for (i = 0; i < pages; i++)
		p[i * PAGE] = 5;
	if (!make_ring(&ring) ||
	    syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS, &v, 1) ||
	    go(kid))
		return false;
	for (i = 0; i < pages; i++) {
		wrong += p[i * PAGE] != 5;
		p[i * PAGE] = 6;
	}
	go(0);
	for (i = 0; i < pages; i++)
		wrong += p[i * PAGE] != 6;
	seen = written_by(&ring, (void *)p);
	printf("# registered: %zu of %zu pages wrong, the ring has %d\n", wrong, pages,
	       seen);
	close(ring.fd);
	/* Children would have copies of pages that are pinned. */
	munmap((void *)p, pages * PAGE);
	return !wrong && seen == 6;
}

/* So many mappings are no pins. */
static bool shared_with_children(void)
{
	volatile char *p = map(1);
	int child[CHILDREN], i, seen;

	p[0] = 5;
	for (i = 0; i < CHILDREN; i++) {
		child[i] = fork();
		if (child[i] < 0)
			break;
		if (!child[i]) {
			pause();
			_exit(0);
		}
	}
	printf("# %d children\n", i);
	seen = go(kid) ? -1 : p[0];
	p[0] = 6;
	go(0);
	while (i--) {
		kill(child[i], SIGKILL);
		waitpid(child[i], NULL, 0);
	}
	return seen == 5 && p[0] == 6;
}

/* Locked memory goes back and forth, locked and unlocked there. */
static bool locked_memory(void)
{
	volatile char *p = map(PAGES);
	int i, round, wrong = 0;

	if (mlock((void *)p, PAGES * PAGE))
		return false;
	for (round = 1; round <= 20; round++) {
		if (go(kid))
			return false;
		for (i = 0; i < PAGES; i++)
			p[i * PAGE]++;
		go(0);
		for (i = 0; i < PAGES; i++)
			wrong += p[i * PAGE] != round;
	}
	return !wrong && !munlock((void *)p, PAGES * PAGE);
}

static bool all_are(volatile char *p, int odd, char value, int *wrong)
{
	int i;

	for (i = 0; i < PAGES; i++)
		*wrong += p[i * PAGE] != (i == odd ? value : 0);
	return !*wrong;
}

/*
 * Pages of the same content, which can be read on both kernels for as long as it takes
 * to merge them: then one is written, on one and on the other.
 */
static bool mergeable(void)
{
	volatile char *p = map(PAGES), *same = map(PAGES);
	int i, round, wrong = 0;

	if (madvise((void *)p, PAGES * PAGE, MADV_MERGEABLE) ||
	    madvise((void *)same, PAGES * PAGE, MADV_MERGEABLE))
		return false;
	memset((void *)same, 1, PAGES * PAGE);
	memset((void *)p, 1, PAGES * PAGE);
	for (i = 0; i < PAGES; i++)
		p[i * PAGE] = 0;
	for (round = 0; round < PAGES; round++) {
		if (go(kid))
			return false;
		all_are(p, -1, 0, &wrong);
		go(0);
		all_are(p, -1, 0, &wrong);
		usleep(60000);
		if (round & 1 && go(kid))
			return false;
		p[round * PAGE] = round + 1;
		all_are(p, round, round + 1, &wrong);
		go(round & 1 ? 0 : kid);
		all_are(p, round, round + 1, &wrong);
		p[round * PAGE] = 0;
		go(0);
	}
	printf("# merging: %d wrong\n", wrong);
	munmap((void *)p, PAGES * PAGE);
	munmap((void *)same, PAGES * PAGE);
	return !wrong;
}

static int hold(void)
{
	volatile char *p = map(PAGES);
	struct iovec v = { (void *)p, PAGES * PAGE };
	struct ring ring;
	int i;

	memset((void *)p, 5, PAGES * PAGE);
	if (!make_ring(&ring) ||
	    syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS, &v, 1) ||
	    go(kid))
		return 1;
	for (i = 0; i < PAGES; i += 2)
		p[i * PAGE] = 6;
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: frames KID [hold]\n");
		return 2;
	}
	kid = atoi(argv[1]);
	signal(SIGBUS, on_fault);
	signal(SIGSEGV, on_fault);
	if (argc > 2)
		return hold();
	printf("1..10\n");
	/* Before the process is shared: nobody declares what it holds. */
	result(registered(1), "a registered buffer is used at home");
	result(pipe_sees(), "so is a page in a pipe");
	result(registered(1500), "there may be many such pages");
	result(same_with(PROT_WRITE), "a file is there that may only be written");
	result(same_with(PROT_EXEC), "a file is there that may only be executed");
	result(ends_with_file(), "behind the end of a file is SIGBUS");
	result(survives_truncation(), "pages of files come and go");
	result(locked_memory(), "locked memory goes back and forth");
	result(mergeable(), "pages that KSM would merge are not mixed up");
	result(shared_with_children(), "a page may be mapped often");
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What an ordinary process pays for what the kernel does: single steps, none of which
 * has to do with other kernels.
 *
 *	tax [-n SAMPLES] [STEP...]
 *
 *	call	getppid(2)
 *	fault	the first write to a page of anonymous memory
 *	read	the first read of a file that is in memory, by mmap(2): 16 pages
 *	write	the first write to a page of such a file
 *	fork	fork(2), _exit(2) and waitpid(2)
 *	exec	vfork(2), execve(2) of a program that ends at once (nothing.S, which is
 *		where this program is), and waitpid(2)
 *	thread	pthread_create(3) and pthread_join(3)
 *	pipe	a byte to another process and back: two context switches
 *	crowd	a message from one of 8 processes to one of 8 others, as in hackbench
 *	map	mmap(2) and munmap(2) of 16 pages that are not touched
 *	protect	mprotect(2) of 16 pages that are
 *	unmap	munmap(2) of 16 such pages
 *	discard	a write, and madvise(2) with MADV_DONTNEED
 *	heap	brk(2), there and back
 *	signal	kill(2) to itself, with a handler
 *
 * For each step, all of them if none is named, there is a line "NAME VALUE": the median
 * of SAMPLES (20), each of which is the mean of many. The unit is that of the TSC: with
 * QEMU's -icount shift=0 that is an instruction. The exit status is 0, or 2 if it could
 * not run.
 */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include "bench.h"

static unsigned long samples = 20;

/* --- memory --- */

#define RANGE		(16 * PAGE)

static char *area;
static size_t area_size;

static void map_area(size_t size, int protection, int flags, int fd)
{
	area = mmap(NULL, size, protection, flags, fd, 0);
	if (area == MAP_FAILED)
		err(2, "mmap");
	area_size = size;
}

static void unmap_area(void)
{
	munmap(area, area_size);
}

static void write_each(char *from, size_t size)
{
	volatile char *p = from;
	size_t at;

	for (at = 0; at < size; at += PAGE)
		p[at] = 1;
}

static void prepare_fault(unsigned int times)
{
	map_area(times * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static void run_fault(unsigned int times)
{
	write_each(area, times * PAGE);
}

/* Of so many bytes, all in memory */
static int open_file(size_t size)
{
	static int fd = -1;
	char *page = bench_pages(PAGE);
	size_t at;

	if (fd < 0) {
		fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
		if (fd < 0)
			err(2, "/tmp");
	}
	for (at = 0; at < size; at += PAGE)
		if (pwrite(fd, page, PAGE, at) != (ssize_t)PAGE)
			err(2, "write");
	bench_free(page, PAGE);
	return fd;
}

/* Linux maps 16 pages at a fault that reads. */
static void prepare_read(unsigned int times)
{
	int fd = open_file(times * RANGE);

	map_area(times * RANGE, PROT_READ, MAP_SHARED, fd);
}

static void run_read(unsigned int times)
{
	volatile char *p = area;
	unsigned int i;

	for (i = 0; i < times; i++)
		p[i * RANGE];
}

static void prepare_write(unsigned int times)
{
	int fd = open_file(times * PAGE);

	map_area(times * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
}

static void run_map(unsigned int times)
{
	unsigned int i;

	for (i = 0; i < times; i++) {
		map_area(RANGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		unmap_area();
	}
}

/* Ranges that are mappings of their own, each between two that cannot be accessed */
static char *range_of(unsigned int i)
{
	return area + (2 * i + 1) * RANGE;
}

static void prepare_ranges(unsigned int count)
{
	unsigned int i;

	map_area((2 * count + 1) * RANGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	for (i = 0; i < count; i++) {
		if (mprotect(range_of(i), RANGE, PROT_READ | PROT_WRITE))
			err(2, "mprotect");
		write_each(range_of(i), RANGE);
	}
}

static void prepare_protect(unsigned int times)
{
	(void)times;
	prepare_ranges(1);
}

static void run_protect(unsigned int times)
{
	unsigned int i;

	for (i = 0; i < times; i++)
		if (mprotect(range_of(0), RANGE, i % 2 ? PROT_READ | PROT_WRITE : PROT_READ))
			err(2, "mprotect");
}

static void run_unmap(unsigned int times)
{
	unsigned int i;

	for (i = 0; i < times; i++)
		if (munmap(range_of(i), RANGE))
			err(2, "munmap");
}

static void prepare_discard(unsigned int times)
{
	(void)times;
	prepare_ranges(1);
}

static void run_discard(unsigned int times)
{
	unsigned int i;

	for (i = 0; i < times; i++) {
		write_each(range_of(0), PAGE);
		if (madvise(range_of(0), PAGE, MADV_DONTNEED))
			err(2, "madvise");
	}
}

/* The system call itself: malloc(3) believes that it alone moves the end. */
static void run_heap(unsigned int times)
{
	unsigned long end = syscall(SYS_brk, 0);
	unsigned int i;

	for (i = 0; i < times; i++) {
		syscall(SYS_brk, end + RANGE);
		syscall(SYS_brk, end);
	}
}

/* --- processes --- */

static char nothing[4096];

/* Where this program is */
static void find_nothing(void)
{
	static const char name[] = "nothing";
	ssize_t length = readlink("/proc/self/exe", nothing, sizeof(nothing) - sizeof(name));

	if (length < 0)
		err(2, "/proc/self/exe");
	nothing[length] = '\0';
	memcpy(strrchr(nothing, '/') + 1, name, sizeof(name));
	if (access(nothing, X_OK))
		err(2, "%s", nothing);
}

static void wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) < 0 || status)
		errx(2, "a child has failed");
}

static pid_t make_child(void)
{
	pid_t pid = fork();

	if (pid < 0)
		err(2, "fork");
	return pid;
}

static void run_fork(unsigned int times)
{
	unsigned int i;
	pid_t pid;

	for (i = 0; i < times; i++) {
		pid = make_child();
		if (!pid)
			_exit(0);
		wait_for(pid);
	}
}

static void prepare_exec(unsigned int times)
{
	(void)times;
	find_nothing();
}

static pid_t start_nothing(void)
{
	char *argv[] = { nothing, NULL }, *envp[] = { NULL };
	pid_t pid = vfork();

	if (pid < 0)
		err(2, "vfork");
	if (pid)
		return pid;
	execve(nothing, argv, envp);
	_exit(1);
}

static void run_exec(unsigned int times)
{
	unsigned int i;

	for (i = 0; i < times; i++)
		wait_for(start_nothing());
}

static void *end_thread(void *arg)
{
	return arg;
}

static void run_thread(unsigned int times)
{
	pthread_t thread;
	unsigned int i;

	for (i = 0; i < times; i++) {
		if (pthread_create(&thread, NULL, end_thread, NULL))
			errx(2, "pthread_create");
		pthread_join(thread, NULL);
	}
}

/* --- processes that talk --- */

static void make_pipe(int ends[2])
{
	if (pipe(ends))
		err(2, "pipe");
}

static void send_all(int fd, const char *message, size_t size)
{
	if (write(fd, message, size) != (ssize_t)size)
		err(2, "write");
}

/* False at the end of what is sent. */
static bool receive_all(int fd, char *message, size_t size)
{
	ssize_t n;

	while (size) {
		n = read(fd, message, size);
		if (n < 0)
			err(2, "read");
		if (!n)
			return false;
		message += n;
		size -= n;
	}
	return true;
}

static struct {
	pid_t	child;
	int	there[2], back[2];
} echo;

static void prepare_pipe(unsigned int times)
{
	char byte;

	(void)times;
	make_pipe(echo.there);
	make_pipe(echo.back);
	echo.child = make_child();
	if (echo.child) {
		close(echo.there[0]);
		close(echo.back[1]);
		return;
	}
	close(echo.there[1]);
	close(echo.back[0]);
	while (receive_all(echo.there[0], &byte, 1))
		send_all(echo.back[1], &byte, 1);
	_exit(0);
}

static void run_pipe(unsigned int times)
{
	char byte = 0;
	unsigned int i;

	for (i = 0; i < times; i++) {
		send_all(echo.there[1], &byte, 1);
		if (!receive_all(echo.back[0], &byte, 1))
			errx(2, "the other process has ended");
	}
}

static void end_pipe(void)
{
	close(echo.there[1]);
	close(echo.back[0]);
	wait_for(echo.child);
}

#define CROWD		8
#define MESSAGE		100

static struct {
	int	sockets[CROWD][2];	/* what is written to 1 is read from 0 */
	int	go[2];			/* the end of this file */
	pid_t	children[2 * CROWD];
} crowd;

static void receive_messages(unsigned int me, unsigned int count)
{
	char message[MESSAGE];
	unsigned int i;

	for (i = 0; i < count; i++)
		receive_all(crowd.sockets[me][0], message, MESSAGE);
}

static void send_messages(unsigned int count)
{
	char message[MESSAGE] = "";
	unsigned int i;

	for (i = 0; i < count; i++)
		send_all(crowd.sockets[i % CROWD][1], message, MESSAGE);
}

/* Receivers come first. They are ready when they wait for the word to go. */
static void prepare_crowd(unsigned int times)
{
	unsigned int i;
	char byte;

	make_pipe(crowd.go);
	for (i = 0; i < CROWD; i++)
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, crowd.sockets[i]))
			err(2, "socketpair");
	for (i = 0; i < 2 * CROWD; i++) {
		crowd.children[i] = make_child();
		if (crowd.children[i])
			continue;
		close(crowd.go[1]);
		receive_all(crowd.go[0], &byte, 1);
		if (i < CROWD)
			receive_messages(i, times / CROWD);
		else
			send_messages(times / CROWD);
		_exit(0);
	}
	usleep(20000);
}

static void run_crowd(unsigned int times)
{
	unsigned int i;

	(void)times;
	close(crowd.go[1]);
	for (i = 0; i < 2 * CROWD; i++)
		wait_for(crowd.children[i]);
}

static void end_crowd(void)
{
	unsigned int i;

	close(crowd.go[0]);
	for (i = 0; i < CROWD; i++) {
		close(crowd.sockets[i][0]);
		close(crowd.sockets[i][1]);
	}
}

/* --- system calls and signals --- */

static void run_call(unsigned int times)
{
	unsigned int i;

	for (i = 0; i < times; i++)
		syscall(SYS_getppid);
}

static void on_signal(int number)
{
	(void)number;
}

static void prepare_signal(unsigned int times)
{
	(void)times;
	signal(SIGUSR1, on_signal);
}

static void run_signal(unsigned int times)
{
	pid_t self = getpid();
	unsigned int i;

	for (i = 0; i < times; i++)
		kill(self, SIGUSR1);
}

/* --- all of them --- */

/* What is timed is run(): it makes that many steps. */
static const struct step {
	const char	*name;
	unsigned int	times;
	void		(*run)(unsigned int times);
	void		(*prepare)(unsigned int times);
	void		(*end)(void);
} steps[] = {
	{ "call", 1000, run_call, NULL, NULL },
	{ "fault", 500, run_fault, prepare_fault, unmap_area },
	{ "read", 100, run_read, prepare_read, unmap_area },
	{ "write", 500, run_fault, prepare_write, unmap_area },
	{ "fork", 50, run_fork, NULL, NULL },
	{ "exec", 50, run_exec, prepare_exec, NULL },
	{ "thread", 200, run_thread, NULL, NULL },
	{ "pipe", 500, run_pipe, prepare_pipe, end_pipe },
	{ "crowd", 1280, run_crowd, prepare_crowd, end_crowd },
	{ "map", 200, run_map, NULL, NULL },
	{ "protect", 200, run_protect, prepare_protect, unmap_area },
	{ "unmap", 50, run_unmap, prepare_ranges, unmap_area },
	{ "discard", 200, run_discard, prepare_discard, unmap_area },
	{ "heap", 200, run_heap, NULL, NULL },
	{ "signal", 500, run_signal, prepare_signal, NULL },
};

static double run_step(const struct step *step)
{
	uint64_t began, ended;

	if (step->prepare)
		step->prepare(step->times);
	began = __rdtsc();
	step->run(step->times);
	ended = __rdtsc();
	if (step->end)
		step->end();
	return (double)(ended - began) / step->times;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* The first one, which fills the kernel's caches, does not count. */
static void measure(const struct step *step)
{
	double *sample = bench_pages(samples * sizeof(*sample));
	size_t i;

	run_step(step);
	for (i = 0; i < samples; i++)
		sample[i] = run_step(step);
	qsort(sample, samples, sizeof(*sample), compare);
	printf("%s %.1f\n", step->name, sample[samples / 2]);
	fflush(stdout);
	bench_free(sample, samples * sizeof(*sample));
}

static const struct step *find_step(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++)
		if (!strcmp(name, steps[i].name))
			return &steps[i];
	errx(2, "%s: no such step", name);
}

static void take(int option, const char *value)
{
	if (option == 'n')
		samples = bench_number(value, 1, 1000000);
}

int main(int argc, char **argv)
{
	int first = bench_options(argc, argv, "n:", take, "[-n SAMPLES] [STEP...]");
	size_t i;
	int arg;

	for (arg = first; arg < argc; arg++)
		measure(find_step(argv[arg]));
	for (i = 0; first == argc && i < ARRAY_SIZE(steps); i++)
		measure(&steps[i]);
	return 0;
}

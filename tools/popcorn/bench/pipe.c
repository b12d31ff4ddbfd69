// SPDX-License-Identifier: GPL-2.0
/*
 * What one kernel takes for what two do by messages, to compare with: two
 * processes on two CPUs that talk over pipes, or over TCP on the loopback.
 *
 *	pipe CPU CPU BYTES COUNT [US]	median round trip, ns; with a pause of US
 *					microseconds before each
 *	tcp CPU CPU BYTES COUNT		bytes per second, one way
 *
 * The name of the program does not matter: the first argument is the mode.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TCP_BUFFER	(256 << 10)

static size_t bytes, count;
static unsigned int pause_us;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "CPU %d", cpu);
}

static void *allocate(size_t size)
{
	void *memory = calloc(1, size);

	if (!memory)
		err(1, "%zu bytes", size);
	return memory;
}

static void write_all(int fd, const void *from, size_t left)
{
	const char *at = from;
	ssize_t n;

	for (; left; at += n, left -= n) {
		n = write(fd, at, left);
		if (n <= 0)
			err(1, "write");
	}
}

/* False at the end of the file. */
static int read_all(int fd, void *to, size_t left)
{
	char *at = to;
	ssize_t n;

	for (; left; at += n, left -= n) {
		n = read(fd, at, left);
		if (n < 0)
			err(1, "read");
		if (!n)
			return 0;
	}
	return 1;
}

/* Runs fn in a process of its own on a CPU. */
static pid_t spawn(int cpu, void (*fn)(int, int), int in, int out, int unused)
{
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid)
		return pid;
	close(unused);
	run_on(cpu);
	fn(in, out);
	exit(0);
}

static int wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) < 0)
		err(1, "waitpid");
	return status != 0;
}

static void echo(int in, int out)
{
	void *buffer = allocate(bytes);

	while (read_all(in, buffer, bytes))
		write_all(out, buffer, bytes);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int bench_pipe(int cpu, int other)
{
	uint64_t *samples = allocate(count * sizeof(*samples)), began;
	void *buffer = allocate(bytes);
	int there[2], back[2];
	pid_t child;
	size_t i;

	if (pipe(there) || pipe(back))
		err(1, "pipe");
	child = spawn(other, echo, there[0], back[1], there[1]);
	close(there[0]);
	close(back[1]);
	run_on(cpu);
	for (i = 0; i < count; i++) {
		if (pause_us)
			usleep(pause_us);
		began = now_ns();
		write_all(there[1], buffer, bytes);
		if (!read_all(back[0], buffer, bytes))
			errx(1, "the other process has ended");
		samples[i] = now_ns() - began;
	}
	close(there[1]);
	qsort(samples, count, sizeof(*samples), compare);
	printf("%llu\n", (unsigned long long)samples[count / 2]);
	return wait_for(child);
}

/* Takes all there is, then says so with one byte. */
static void drain(int listener, int unused)
{
	char *buffer = allocate(TCP_BUFFER);
	int fd = accept(listener, NULL, NULL);
	ssize_t n;

	(void)unused;
	if (fd < 0)
		err(1, "accept");
	do {
		n = read(fd, buffer, TCP_BUFFER);
	} while (n > 0);
	if (n < 0)
		err(1, "read");
	write_all(fd, "", 1);
}

static int open_listener(struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*address = (struct sockaddr_in) {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	if (fd < 0 || bind(fd, (struct sockaddr *)address, length) ||
	    listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)address, &length))
		err(1, "socket");
	return fd;
}

static int bench_tcp(int cpu, int other)
{
	struct sockaddr_in address;
	int listener = open_listener(&address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	pid_t child = spawn(other, drain, listener, -1, fd);
	char *buffer = allocate(bytes);
	uint64_t began, ns;
	size_t i;

	run_on(cpu);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "connect");
	began = now_ns();
	for (i = 0; i < count; i++)
		write_all(fd, buffer, bytes);
	shutdown(fd, SHUT_WR);
	if (!read_all(fd, buffer, 1))
		errx(1, "the other process has ended");
	ns = now_ns() - began;
	printf("%.0f\n", bytes * count * 1e9 / ns);
	return wait_for(child);
}

int main(int argc, char **argv)
{
	if (argc < 6 || argc > 7 || (strcmp(argv[1], "pipe") && strcmp(argv[1], "tcp")))
		errx(2, "usage: {pipe|tcp} CPU CPU BYTES COUNT [US]");
	bytes = strtoull(argv[4], NULL, 0);
	count = strtoull(argv[5], NULL, 0);
	pause_us = argc > 6 ? atoi(argv[6]) : 0;
	if (!bytes || !count)
		errx(2, "BYTES and COUNT are at least 1");
	signal(SIGPIPE, SIG_IGN);
	return (*argv[1] == 'p' ? bench_pipe : bench_tcp)(atoi(argv[2]),
							  atoi(argv[3]));
}

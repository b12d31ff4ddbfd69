// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets between kernels:
 *
 *	vsock serve PORT		serve clients, of both types of sockets
 *	vsock put TYPE KID PORT BYTES	send so much, which the server checks
 *	vsock get TYPE KID PORT BYTES	receive so much
 *	vsock many TYPE KID PORT COUNT	so many connections at once
 *	vsock wait TYPE KID PORT	connect, say so, and wait for what ends it
 *	vsock flood TYPE KID PORT	send without end to a server that reads nothing
 *	vsock pump TYPE KID PORT	send without end to a server that reads, till it ends
 *	vsock refused TYPE KID PORT	nobody listens there
 *	vsock bind PORT			may this program have that port?
 *	vsock reserved KID PORT		connect from a port below 1024, with CAP_NET_BIND_SERVICE
 *					alone, with which it can be bound
 *	vsock hammer TYPE KID PORT	try to connect, without a pause, until it works
 *	vsock rate TYPE KID PORT BYTES	how fast are they sent, with a server that discards them?
 *	vsock pair BYTES		and from CPU 0 to CPU 1, through a pair of Unix sockets?
 *
 * TYPE is stream or seqpacket. FROM=PORT in the environment has a client bind that one. What is
 * sent is a sequence of numbers that both sides know, so a byte that is lost, doubled or changed
 * is found. Exit status: 0 all came as it was sent.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vsock.h"

/* Bytes that are written at a time, of most lengths. */
#define CHUNK_MAX	100000

enum verb { PUT = 1, GET, WAIT, DISCARD };

/* What a client says first. */
struct request {
	uint64_t verb;
	uint64_t bytes;
	uint64_t seed;
};

/* Steele and Vigna's splitmix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

/* A stream of words: where it is, and what of the present word is left. */
struct words {
	uint64_t state;
	uint64_t word;
	unsigned int left;
};

static uint8_t next_byte(struct words *w)
{
	uint8_t byte;

	if (!w->left) {
		w->word = next_random(&w->state);
		w->left = 8;
	}
	byte = w->word;
	w->word >>= 8;
	w->left--;
	return byte;
}

static void fill(struct words *w, uint8_t *to, size_t n)
{
	for (; n; n--)
		*to++ = next_byte(w);
}

static bool matches(struct words *w, const uint8_t *data, size_t n)
{
	for (; n; n--)
		if (*data++ != next_byte(w))
			return false;
	return true;
}

static bool is_seqpacket(int fd)
{
	int type;
	socklen_t size = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size))
		die("SO_TYPE");
	return type == SOCK_SEQPACKET;
}

/* Of the chunk at the front of what is left: the same on both sides. */
static size_t chunk_size(uint64_t *state, uint64_t left)
{
	uint64_t r = next_random(state), size = r % 4 ? r % CHUNK_MAX : r % 300;

	size++;
	return size < left ? size : left;
}

static void send_data(int fd, uint64_t bytes, uint64_t seed)
{
	static uint8_t data[CHUNK_MAX];
	struct words w = { .state = seed };
	uint64_t sizes = ~seed;
	size_t n;

	for (; bytes; bytes -= n) {
		n = chunk_size(&sizes, bytes);
		fill(&w, data, n);
		write_all(fd, data, n);
	}
}

/* Messages have the bounds that they were sent with. */
static void receive_data(int fd, uint64_t bytes, uint64_t seed)
{
	static uint8_t data[CHUNK_MAX];
	struct words w = { .state = seed };
	bool bounded = is_seqpacket(fd);
	uint64_t sizes = ~seed;
	ssize_t n, wanted;

	for (; bytes; bytes -= n) {
		wanted = chunk_size(&sizes, bytes);
		n = recv(fd, data, bounded ? CHUNK_MAX : wanted, bounded ? 0 : MSG_WAITALL);
		if (n < 0)
			die("recv");
		if (n != wanted)
			wrong("another length came than was sent");
		if (!matches(&w, data, n))
			wrong("other data came than was sent");
	}
}

static int type_of(const char *name)
{
	return strcmp(name, "stream") ? SOCK_SEQPACKET : SOCK_STREAM;
}

/* From the port that FROM in the environment has, if there is one. */
static int try_connect(char **argv)
{
	const char *from = getenv("FROM");
	int fd = socket_at(type_of(argv[0]), from ? atoi(from) : 0);

	return connect_at(fd, atoi(argv[1]), atoi(argv[2])) ? -1 : fd;
}

static int connect_to(char **argv)
{
	int fd = try_connect(argv);

	if (fd < 0)
		die("connect");
	return fd;
}

static void ask(int fd, enum verb verb, uint64_t bytes, uint64_t seed)
{
	struct request r = { verb, bytes, seed };

	write_all(fd, &r, sizeof(r));
}

static void put(int fd, uint64_t bytes, uint64_t seed)
{
	uint64_t got;

	ask(fd, PUT, bytes, seed);
	send_data(fd, bytes, seed);
	read_all(fd, &got, sizeof(got));
	if (got != bytes)
		wrong("the server has not got it all");
}

static void get(int fd, uint64_t bytes, uint64_t seed)
{
	ask(fd, GET, bytes, seed);
	receive_data(fd, bytes, seed);
}

/* --- how fast --- */

static void discard(int fd, uint64_t bytes)
{
	static uint8_t data[CHUNK_MAX];
	ssize_t n;

	for (; bytes; bytes -= n) {
		n = read(fd, data, bytes < sizeof(data) ? bytes : sizeof(data));
		if (n <= 0)
			die("read");
	}
	write_all(fd, &bytes, sizeof(bytes));
}

/* Until the other side has read the last of it. */
static void measure(int fd, uint64_t bytes)
{
	static uint8_t data[65536];
	struct timespec from, to;
	uint64_t left = bytes;
	double s;
	size_t n;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (; left; left -= n) {
		n = left < sizeof(data) ? left : sizeof(data);
		write_all(fd, data, n);
	}
	read_all(fd, &left, sizeof(left));
	clock_gettime(CLOCK_MONOTONIC, &to);
	s = to.tv_sec - from.tv_sec + (to.tv_nsec - from.tv_nsec) / 1e9;
	printf("vsock: %.1f MiB/s\n", bytes / 1048576.0 / s);
}

static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

static void pair(uint64_t bytes)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
		die("socketpair");
	if (!fork()) {
		stay_on(1);
		close(fd[0]);
		discard(fd[1], bytes);
		_exit(0);
	}
	stay_on(0);
	close(fd[1]);
	measure(fd[0], bytes);
}

/* --- the server --- */

static void serve_one(int fd)
{
	struct request r;

	read_all(fd, &r, sizeof(r));
	switch (r.verb) {
	case PUT:
		receive_data(fd, r.bytes, r.seed);
		write_all(fd, &r.bytes, sizeof(r.bytes));
		break;
	case GET:
		send_data(fd, r.bytes, r.seed);
		/* Until the client has it and closes. */
		(void)!read(fd, &r, 1);
		break;
	case DISCARD:
		discard(fd, r.bytes);
		(void)!read(fd, &r, 1);
		break;
	case WAIT:
		for (;;)
			pause();
	}
	exit(0);
}

static void take_one(int fd)
{
	struct sockaddr_vm a;
	socklen_t size = sizeof(a);
	int client = accept(fd, (struct sockaddr *)&a, &size);

	if (client < 0)
		die("accept");
	if (!fork())
		serve_one(client);
	close(client);
}

/* Ports of the two types are one space: the second one is the next. */
static void serve(unsigned int port)
{
	struct pollfd p[2] = {
		{ .fd = listen_on(SOCK_STREAM, port), .events = POLLIN },
		{ .fd = listen_on(SOCK_SEQPACKET, port + 1), .events = POLLIN },
	};
	unsigned int i;

	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		if (poll(p, 2, -1) < 0)
			die("poll");
		for (i = 0; i < 2; i++)
			if (p[i].revents)
				take_one(p[i].fd);
	}
}

/* --- clients --- */

static int many(char **argv)
{
	int count = atoi(argv[3]), i, status, failed = 0;
	int *fd = calloc(count, sizeof(*fd));

	for (i = 0; i < count; i++)
		fd[i] = connect_to(argv);
	for (i = 0; i < count; i++) {
		if (fork())
			continue;
		if (i % 2)
			put(fd[i], 20000 + i, i + 1);
		else
			get(fd[i], 20000 + i, i + 1);
		_exit(0);
	}
	for (i = 0; i < count; i++) {
		wait(&status);
		failed += status != 0;
	}
	printf("vsock: %d of %d connections have failed\n", failed, count);
	return failed != 0;
}

/* Linux does not give read() of a seqpacket the error that has ended it. */
static int wait_for_end(char **argv)
{
	int fd = connect_to(argv), err = 0;
	socklen_t size = sizeof(err);
	char byte;

	ask(fd, WAIT, 0, 0);
	puts("vsock: connected");
	fflush(stdout);
	if (read(fd, &byte, 1) < 0)
		err = errno;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size))
		die("SO_ERROR");
	printf("vsock: ended by %s\n", strerrorname_np(err));
	return 0;
}

static int flood(char **argv)
{
	static char data[65536];
	int fd = connect_to(argv);
	uint64_t sent = 0;
	ssize_t n;

	ask(fd, WAIT, 0, 0);
	for (;;) {
		n = send(fd, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			break;
		sent += n;
	}
	printf("vsock: sent %llu\n", (unsigned long long)sent);
	fflush(stdout);
	if (errno != EAGAIN)
		die("send");
	return 0;
}

static int pump(char **argv)
{
	int fd = connect_to(argv);

	puts("vsock: connected");
	fflush(stdout);
	ask(fd, PUT, UINT64_MAX, 1);
	send_data(fd, UINT64_MAX, 1);
	return 0;
}

static void rate(char **argv)
{
	int fd = connect_to(argv);
	uint64_t bytes = strtoull(argv[3], NULL, 0);

	ask(fd, DISCARD, bytes, 0);
	measure(fd, bytes);
}

static int refused(char **argv)
{
	if (try_connect(argv) >= 0)
		wrong("somebody listens there");
	printf("vsock: %s\n", strerrorname_np(errno));
	return errno == ECONNRESET ? 0 : 1;
}

/* An attempt that is given up at once leaves a packet that waits, or has gone. */
static int hammer(char **argv)
{
	unsigned int tries = 0;
	int fd;

	for (;; close(fd)) {
		fd = socket_at(type_of(argv[0]), 0);
		fcntl(fd, F_SETFL, tries++ % 1000 ? O_NONBLOCK : 0);
		if (!connect_at(fd, atoi(argv[1]), atoi(argv[2])))
			break;
	}
	printf("vsock: connected by try %u\n", tries);
	return 0;
}

static void keep_capability(unsigned int number)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { { 1U << number, 1U << number, 0 } };

	if (prctl(PR_SET_KEEPCAPS, 1) || setuid(12345) || syscall(SYS_capset, &head, caps))
		die("capset");
}

static int reserved(unsigned int kid, unsigned int port)
{
	int fd;

	keep_capability(CAP_NET_BIND_SERVICE);
	fd = socket_at(SOCK_STREAM, 1000);
	if (!connect_at(fd, kid, port))
		wrong("it may connect");
	printf("vsock: %s\n", strerrorname_np(errno));
	return errno == EPERM ? 0 : 1;
}

static int may_bind(unsigned int port)
{
	struct sockaddr_vm a;
	int size = get_address(&a, VMADDR_CID_ANY, port);
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (setuid(12345))
		die("setuid");
	if (!bind(fd, (struct sockaddr *)&a, size))
		return 0;
	printf("vsock: %s\n", strerrorname_np(errno));
	return 1;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[1] : "";

	signal(SIGPIPE, SIG_IGN);
	if (!strcmp(verb, "serve"))
		serve(atoi(argv[2]));
	if (!strcmp(verb, "pair")) {
		pair(strtoull(argv[2], NULL, 0));
		return 0;
	}
	if (!strcmp(verb, "bind"))
		return may_bind(atoi(argv[2]));
	if (!strcmp(verb, "reserved") && argc > 3)
		return reserved(atoi(argv[2]), atoi(argv[3]));
	if (argc < 5)
		return 2;
	if (!strcmp(verb, "hammer"))
		return hammer(argv + 2);
	if (!strcmp(verb, "wait"))
		return wait_for_end(argv + 2);
	if (!strcmp(verb, "flood"))
		return flood(argv + 2);
	if (!strcmp(verb, "pump"))
		return pump(argv + 2);
	if (!strcmp(verb, "refused"))
		return refused(argv + 2);
	if (argc < 6)
		return 2;
	if (!strcmp(verb, "many"))
		return many(argv + 2);
	if (!strcmp(verb, "put"))
		put(connect_to(argv + 2), strtoull(argv[5], NULL, 0), getpid());
	else if (!strcmp(verb, "get"))
		get(connect_to(argv + 2), strtoull(argv[5], NULL, 0), getpid());
	else if (!strcmp(verb, "rate"))
		rate(argv + 2);
	else
		return 2;
	return 0;
}

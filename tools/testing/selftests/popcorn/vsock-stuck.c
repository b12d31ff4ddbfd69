// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets between kernels, one of which does not take what it is sent:
 *
 *	vsock-stuck serve PORT			a server that can be stuck
 *	vsock-stuck free KID PORT		that of kernel KID goes on
 *	vsock-stuck VERB KID RELAY PORT		make that of kernel KID stick for this one, and:
 *
 *	controls	send more packets without data than may wait, and end connections
 *	requests	ask for more connections than may wait
 *	bytes		send bytes, each in a packet of its own
 *	dies		wait for an answer to what was sent, till the kernel dies
 *	sticks		nothing else
 *
 * A program that reads into a page which userfaultfd(2) keeps from being there has its socket
 * locked, and then its kernel takes nothing more from the kernel that sends to that socket.
 * So it is kernel RELAY that tells it to go on. Exit status 0: it is as it should be.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "vsock.h"

/* More than may wait to be sent, or at the peer, together. */
#define MANY		6000
/* Of bytes in packets of their own: more than 512 KiB of packets, and as many may have gone. */
#define BYTES_MAX	4096
#define SEND_BYTES	(4 << 20)
/* A socket's, unless another size is asked for. */
#define BUFFER		(256 << 10)
/* Seconds that are not going to pass. */
#define LONG		1000

enum verb { HOLD = 1, FREE, FORWARD, SEND, WAIT };

/* What a client says first. */
struct request {
	uint32_t verb;
	uint32_t kid;
};

static unsigned int server_port;

/* --- the server --- */

/* A page that is not there, and that nobody brings. */
static void *absent_page(void)
{
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	long size = sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	range.range.start = (uintptr_t)page;
	range.range.len = size;
	if (fd < 0 || page == MAP_FAILED || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &range))
		die("userfaultfd");
	return page;
}

static void send_all(int fd)
{
	static char data[65536];
	unsigned int i;

	for (i = 0; i < SEND_BYTES / sizeof(data); i++)
		write_all(fd, data, sizeof(data));
}

static void ask(int fd, enum verb verb, unsigned int kid)
{
	struct request r = { verb, kid };

	write_all(fd, &r, sizeof(r));
}

/* Asks the server of a kernel, and waits until that is done. */
static void ask_server(unsigned int kid, enum verb verb, unsigned int of)
{
	int fd = socket_at(SOCK_STREAM, 0);
	char byte;

	if (connect_at(fd, kid, server_port))
		die("connect");
	ask(fd, verb, of);
	if (read(fd, &byte, 1))
		die("ask");
	close(fd);
}

static void serve_one(int fd, const struct request *r)
{
	unsigned int count = 0;
	char byte;

	switch (r->verb) {
	case HOLD:
		(void)!read(fd, absent_page(), 1);
		break;
	case FORWARD:
		ask_server(r->kid, FREE, 0);
		break;
	case SEND:
		send_all(fd);
		break;
	case WAIT:
		while (read(fd, &byte, 1) > 0)
			count++;
		printf("vsock-stuck: has read %u bytes\n", count);
		break;
	}
	exit(0);
}

/* Returns a child that holds its socket, or @holder. */
static pid_t take_one(int listener, pid_t holder)
{
	int fd = accept(listener, NULL, NULL);
	struct request r;
	pid_t child;

	if (fd < 0)
		die("accept");
	/* Most of those of "requests" have gone by now. */
	if (recv(fd, &r, sizeof(r), MSG_WAITALL) != sizeof(r)) {
		close(fd);
		return holder;
	}
	if (r.verb == FREE && holder > 0)
		kill(holder, SIGKILL);
	child = fork();
	if (!child)
		serve_one(fd, &r);
	close(fd);
	return r.verb == HOLD ? child : holder;
}

static void serve(void)
{
	int listener = listen_on(SOCK_STREAM, server_port);
	pid_t holder = 0;

	signal(SIGCHLD, SIG_IGN);
	for (;;)
		holder = take_one(listener, holder);
}

/* --- clients --- */

static void set_connect_timeout(int fd, time_t s, suseconds_t us)
{
	struct timeval t = { s, us };

	if (setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &t, sizeof(t)))
		die("SO_VM_SOCKETS_CONNECT_TIMEOUT");
}

static int connect_and_ask(unsigned int kid, enum verb verb)
{
	int fd = socket_at(SOCK_STREAM, 0);

	if (connect_at(fd, kid, server_port))
		die("connect");
	ask(fd, verb, 0);
	return fd;
}

static bool answers(unsigned int kid)
{
	int fd = socket_at(SOCK_STREAM, 0), err;

	set_connect_timeout(fd, 0, 300000);
	err = connect_at(fd, kid, server_port);
	close(fd);
	return !err;
}

/* The first byte is for the page, and those that follow are for the locked socket. */
static void make_stuck(unsigned int kid)
{
	int fd = connect_and_ask(kid, HOLD);

	do {
		write_all(fd, "x", 1);
	} while (answers(kid));
}

static int count_of(const char *counter)
{
	char path[100], text[30] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/popcorn/vsock/%s", counter);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		die(path);
	close(fd);
	return atoi(text);
}

static void set_buffer(int fd, uint64_t size)
{
	if (setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, sizeof(size)))
		die("SO_VM_SOCKETS_BUFFER_SIZE");
}

static void read_to_end(int fd, size_t wanted)
{
	static char data[65536];
	size_t sum = 0;
	ssize_t n;

	while ((n = read(fd, data, sizeof(data))) > 0)
		sum += n;
	if (n < 0)
		die("read");
	if (sum != wanted)
		wrong("not all has come");
}

/*
 * One connection is told of buffers again and again, and one that it is ended. Then one is
 * told of its end for the first time, one that there is room again, and one of both ends with
 * data in between: all that is needed comes.
 */
static void controls(unsigned int kid, unsigned int relay)
{
	int busy = connect_and_ask(kid, WAIT), ended = connect_and_ask(kid, WAIT);
	int reader = connect_and_ask(kid, SEND), half = connect_and_ask(kid, WAIT);
	int before = count_of("tx_full"), i;
	static char data[BUFFER];

	if (recv(reader, data, 1, MSG_PEEK) != 1)
		die("recv");
	make_stuck(kid);
	for (i = 0; i < MANY; i++) {
		set_buffer(busy, i % 2 ? 65536 : 32768);
		if (shutdown(ended, SHUT_WR))
			die("shutdown");
	}
	for (i = 0; i < BUFFER; i += 4096)
		read_all(reader, data, 4096);
	shutdown(busy, SHUT_WR);
	shutdown(half, SHUT_RD);
	write_all(half, data, 1234);
	shutdown(half, SHUT_WR);
	ask_server(relay, FORWARD, kid);
	read_to_end(reader, SEND_BYTES - BUFFER);
	read_to_end(busy, 0);
	read_to_end(ended, 0);
	if (count_of("tx_full") != before)
		wrong("packets were dropped");
}

/* There is an end to it, which connect() tells, and nothing is left of what is given up. */
static void requests(unsigned int kid, unsigned int relay)
{
	struct rlimit files = { 2 * MANY, 2 * MANY };
	static int fd[MANY];
	int err = 0, i;

	if (setrlimit(RLIMIT_NOFILE, &files))
		die("setrlimit");
	make_stuck(kid);
	for (i = 0; i < MANY && err != ENOBUFS; i++) {
		fd[i] = socket_at(SOCK_STREAM, 0);
		fcntl(fd[i], F_SETFL, O_NONBLOCK);
		set_connect_timeout(fd[i], LONG, 0);
		err = connect_at(fd[i], kid, server_port) ? errno : 0;
	}
	printf("vsock: connections: %d, then %s\n", i, strerrorname_np(err));
	if (err != ENOBUFS)
		exit(1);
	while (i--)
		close(fd[i]);
	ask_server(relay, FORWARD, kid);
}

static void bytes(unsigned int kid, unsigned int relay)
{
	struct pollfd p = { .fd = connect_and_ask(kid, WAIT), .events = POLLOUT };
	int count = 0;

	make_stuck(kid);
	while (send(p.fd, "x", 1, MSG_DONTWAIT) == 1)
		count++;
	printf("vsock: packets of one byte: %d, then %s\n", count, strerrorname_np(errno));
	if (errno != EAGAIN || count > BYTES_MAX)
		exit(1);
	ask_server(relay, FORWARD, kid);
	if (poll(&p, 1, LONG * 1000) != 1)
		wrong("it was not told that there is room");
	shutdown(p.fd, SHUT_WR);
	read_to_end(p.fd, 0);
}

static char state_of(pid_t pid)
{
	char path[50], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		die(path);
	fclose(f);
	return state;
}

static bool has_fd(pid_t pid, int fd)
{
	char path[50];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	return !access(path, F_OK) || errno == EACCES;
}

static void close_last(int fd, int go)
{
	char byte;

	/* Until the parent has closed its own. */
	(void)!read(go, &byte, 1);
	close(fd);
	_exit(0);
}

/* A child that closes, and waits in there for the other side to have got all. */
static pid_t linger(int fd)
{
	struct linger l = { 1, LONG };
	pid_t child;
	int go[2];

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) || pipe(go))
		die("SO_LINGER or pipe");
	child = fork();
	if (!child) {
		close(go[1]);
		close_last(fd, go[0]);
	}
	close(fd);
	close(go[1]);
	while (has_fd(child, fd) || state_of(child) != 'S')
		usleep(10000);
	return child;
}

/* What has come, and then the error, till it has been told. */
static void read_to_reset(int fd)
{
	static char data[65536];
	size_t sum = 0;
	ssize_t n;

	while ((n = read(fd, data, sizeof(data))) > 0)
		sum += n;
	if (!sum || n == 0 || errno != ECONNRESET)
		wrong("it has not read data, and then an error");
	if (write(fd, data, 1) >= 0 || errno != ECONNRESET)
		wrong("it could write");
	if (write(fd, data, 1) >= 0 || errno != EPIPE || read(fd, data, 1))
		wrong("there is another error");
}

static void dies(unsigned int kid)
{
	struct pollfd p = { .fd = socket_at(SOCK_STREAM, 0), .events = POLLOUT };
	int left = connect_and_ask(kid, WAIT), err = 0;
	int idle = connect_and_ask(kid, SEND);
	char byte;
	socklen_t size = sizeof(err);
	pid_t closes;

	if (recv(idle, &byte, 1, MSG_PEEK) != 1)
		die("recv");
	make_stuck(kid);
	set_connect_timeout(p.fd, LONG, 0);
	fcntl(p.fd, F_SETFL, O_NONBLOCK);
	if (!connect_at(p.fd, kid, server_port) || errno != EINPROGRESS)
		die("connect");
	closes = linger(left);
	puts("vsock: waits");
	fflush(stdout);
	poll(&p, 1, LONG * 1000);
	getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &err, &size);
	printf("vsock: connect: %s\n", strerrorname_np(err));
	fflush(stdout);
	read_to_reset(idle);
	waitpid(closes, NULL, 0);
	puts("vsock: close: returned");
}

int main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[1] : "";
	unsigned int kid, relay;

	signal(SIGPIPE, SIG_IGN);
	server_port = argc > 2 ? atoi(argv[argc - 1]) : 0;
	if (!strcmp(verb, "serve"))
		serve();
	kid = argc > 2 ? atoi(argv[2]) : 0;
	if (!strcmp(verb, "free") && argc == 4) {
		ask_server(kid, FREE, 0);
		return 0;
	}
	if (argc != 5)
		return 2;
	relay = atoi(argv[3]);
	if (!strcmp(verb, "controls"))
		controls(kid, relay);
	else if (!strcmp(verb, "requests"))
		requests(kid, relay);
	else if (!strcmp(verb, "bytes"))
		bytes(kid, relay);
	else if (!strcmp(verb, "dies"))
		dies(kid);
	else if (!strcmp(verb, "sticks"))
		make_stuck(kid);
	else
		return 2;
	return 0;
}

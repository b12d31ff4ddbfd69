// SPDX-License-Identifier: GPL-2.0
/*
 * TCP between two programs: how much goes through, and how long a request and its reply take.
 *
 *	net serve PORT
 *	net stream ADDRESS PORT MS
 *	net trips ADDRESS PORT COUNT SIZE
 *
 * The first one serves the others. "stream" writes for so many milliseconds and prints bytes
 * per second, counted until the server has read all; "trips" sends COUNT requests of SIZE bytes,
 * each when the reply to the last has come, and prints the median of the time of one, in
 * nanoseconds. For scripts/bench-net.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WRITE_SIZE	(128 << 10)
#define TRIP_MAX	(64 << 10)

/* What the client wants, its first bytes. SIZE 0: a stream. */
struct wish {
	uint32_t size;
};

static char buffer[WRITE_SIZE];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void write_all(int fd, const void *data, size_t size)
{
	const char *at = data;
	ssize_t n;

	for (; size; size -= n, at += n) {
		n = write(fd, at, size);
		if (n <= 0)
			die("write");
	}
}

/* Returns 0 at the end, before the first byte. */
static int read_all(int fd, void *data, size_t size)
{
	char *at = data;
	ssize_t n;

	for (; size; size -= n, at += n) {
		n = read(fd, at, size);
		if (n < 0)
			die("read");
		if (!n)
			return 0;
	}
	return 1;
}

/* --- the server --- */

static void take_stream(int fd)
{
	uint64_t bytes = 0;
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		bytes += n;
	write_all(fd, &bytes, sizeof(bytes));
}

static void echo(int fd, uint32_t size)
{
	while (read_all(fd, buffer, size))
		write_all(fd, buffer, size);
}

static void no_delay(int fd)
{
	int on = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
		die("TCP_NODELAY");
}

static void serve_one(int fd)
{
	struct wish wish;

	no_delay(fd);
	if (read_all(fd, &wish, sizeof(wish)) && wish.size <= TRIP_MAX) {
		if (wish.size)
			echo(fd, wish.size);
		else
			take_stream(fd);
	}
	close(fd);
}

static int serve(int port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1, client;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)) || listen(fd, 8))
		die("serve");
	while ((client = accept(fd, NULL, NULL)) >= 0)
		serve_one(client);
	die("accept");
	return 1;
}

/* --- clients --- */

static int reach(const char *address, int port, uint32_t size)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct wish wish = { size };

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
		die(address);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		die("connect");
	no_delay(fd);
	write_all(fd, &wish, sizeof(wish));
	return fd;
}

static int stream(const char *address, int port, unsigned int ms)
{
	int fd = reach(address, port, 0);
	uint64_t sent = 0, came = 0, start = now_ns();

	while (now_ns() - start < ms * 1000000ULL) {
		write_all(fd, buffer, sizeof(buffer));
		sent += sizeof(buffer);
	}
	shutdown(fd, SHUT_WR);
	if (!read_all(fd, &came, sizeof(came)) || came != sent) {
		fprintf(stderr, "net: sent %llu bytes, %llu came\n", (unsigned long long)sent,
			(unsigned long long)came);
		return 1;
	}
	printf("%.0f\n", sent * 1e9 / (now_ns() - start));
	return 0;
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int trips(const char *address, int port, unsigned int count, uint32_t size)
{
	uint64_t *ns = calloc(count, sizeof(*ns)), start;
	int fd = reach(address, port, size);
	unsigned int i;

	if (!ns || !count || !size || size > TRIP_MAX)
		return 2;
	for (i = 0; i < count; i++) {
		start = now_ns();
		write_all(fd, buffer, size);
		if (!read_all(fd, buffer, size))
			die("the server has gone");
		ns[i] = now_ns() - start;
	}
	qsort(ns, count, sizeof(*ns), by_size);
	printf("%llu\n", (unsigned long long)ns[count / 2]);
	free(ns);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve(atoi(argv[2]));
	if (argc == 5 && !strcmp(argv[1], "stream"))
		return stream(argv[2], atoi(argv[3]), atoi(argv[4]));
	if (argc == 6 && !strcmp(argv[1], "trips"))
		return trips(argv[2], atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
	fprintf(stderr, "usage: net serve PORT | stream ADDRESS PORT MS | trips ADDRESS PORT COUNT SIZE\n");
	return 2;
}

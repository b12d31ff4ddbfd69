/* SPDX-License-Identifier: GPL-2.0 */
/* What programs that test sockets between kernels have in common. */
#ifndef VSOCK_H
#define VSOCK_H

#include <errno.h>
#include <linux/vm_sockets.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef VMADDR_FLAG_TO_HOST
#define VMADDR_FLAG_TO_HOST	1
#endif

#define CID_BASE	1000

static inline void die(const char *what)
{
	printf("vsock: %s: %s\n", what, strerror(errno));
	exit(1);
}

static inline void wrong(const char *what)
{
	printf("vsock: %s\n", what);
	exit(1);
}

static inline void write_all(int fd, const void *data, size_t n)
{
	ssize_t done;

	for (; n; n -= done, data += done) {
		done = write(fd, data, n);
		if (done <= 0)
			die("write");
	}
}

static inline void read_all(int fd, void *data, size_t n)
{
	ssize_t done;

	for (; n; n -= done, data += done) {
		done = read(fd, data, n);
		if (done < 0)
			die("read");
		if (!done)
			wrong("the connection has ended early");
	}
}

static inline int get_address(struct sockaddr_vm *a, unsigned int cid, unsigned int port)
{
	*a = (struct sockaddr_vm) {
		.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port,
	};
	return sizeof(*a);
}

/* A socket at @from, if that is not 0. */
static inline int socket_at(int type, unsigned int from)
{
	struct sockaddr_vm a;
	int size = get_address(&a, VMADDR_CID_ANY, from);
	int fd = socket(AF_VSOCK, type, 0);

	if (fd < 0)
		die("socket");
	if (from && bind(fd, (struct sockaddr *)&a, size))
		die("bind");
	return fd;
}

/* Returns -1, with the error in errno, if it does not work out. */
static inline int connect_at(int fd, unsigned int kid, unsigned int port)
{
	struct sockaddr_vm a;
	int size = get_address(&a, CID_BASE + kid, port);

	a.svm_flags = VMADDR_FLAG_TO_HOST;
	return connect(fd, (struct sockaddr *)&a, size);
}

static inline int listen_on(int type, unsigned int port)
{
	int fd = socket_at(type, port);

	if (listen(fd, 1000))
		die("listen");
	return fd;
}

#endif

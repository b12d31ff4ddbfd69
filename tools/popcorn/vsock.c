// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - sockets between the kernels of a machine
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>
#include <time.h>
#include <unistd.h>

#include "../../include/uapi/linux/popcorn.h"
#include "popcorn.h"
#include "vsock.h"

/* Ports that clients are bound to: no server of ours has one of them. */
#define FIRST_SOURCE	512
#define SOURCES		(PCN_AGENT_PORT - FIRST_SOURCE)

/* Between two attempts to connect to a kernel that is to come */
#define AGAIN_MS	200

/* The address is beyond this kernel even if that has virtual machines. */
static struct sockaddr_vm address(unsigned int cid, unsigned int port)
{
	return (struct sockaddr_vm){
		.svm_family = AF_VSOCK,
		.svm_cid = cid,
		.svm_port = port,
		.svm_flags = cid == VMADDR_CID_ANY ? 0 : VMADDR_FLAG_TO_HOST,
	};
}

static bool bind_to(int fd, unsigned int port)
{
	struct sockaddr_vm a = address(VMADDR_CID_ANY, port);

	return !bind(fd, (struct sockaddr *)&a, sizeof(a));
}

static void close_keeping_errno(int fd)
{
	int err = errno;

	close(fd);
	errno = err;
}

/*
 * A socket on a port that is root's. Returns -1 with errno if there is none. What is still under
 * way for a connection that was broken off, a reset, must not meet the next one from the same
 * port; so processes take the ports in turn, by their numbers.
 */
static int privileged_socket(void)
{
	unsigned int first = getpid(), i;
	int fd = pcn_above_streams(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));

	if (fd < 0)
		return fd;
	for (i = 0; i < SOURCES; i++) {
		if (bind_to(fd, FIRST_SOURCE + (first + i) % SOURCES))
			return fd;
		if (errno != EADDRINUSE)
			break;
	}
	close_keeping_errno(fd);
	return -1;
}

/* Is the error that what is waited for is still to come? */
static bool may_come(int err, enum pcn_wait_for wait)
{
	switch (err) {
	case EINTR:
		return true;
	case EHOSTUNREACH:
	case ETIMEDOUT:
		return wait != PCN_WAIT_NOT;
	case ECONNRESET:
		return wait == PCN_WAIT_SERVER;
	default:
		return false;
	}
}

/**
 * pcn_vsock_connect() - connect to a port of a kernel, from one that is root's
 * @kid:	the kernel
 * @port:	the port
 * @wait:	what to wait for
 *
 * Return: the socket, above the standard streams; or -1 with errno: EACCES: only root may;
 * EADDRINUSE: all ports are in use; EAFNOSUPPORT, ENETUNREACH, ENODEV: this kernel has no sockets
 * to others; EHOSTUNREACH: the other one is not up; ECONNRESET: nobody listens there; ETIMEDOUT:
 * it does not answer.
 */
int pcn_vsock_connect(int kid, unsigned int port, enum pcn_wait_for wait)
{
	struct sockaddr_vm a = address(PCN_CID_BASE + kid, port);
	const struct timespec pause = { .tv_nsec = AGAIN_MS * 1000000 };
	int fd;

	for (;;) {
		fd = privileged_socket();
		if (fd < 0 || !connect(fd, (struct sockaddr *)&a, sizeof(a)))
			return fd;
		close_keeping_errno(fd);
		if (!may_come(errno, wait))
			return -1;
		nanosleep(&pause, NULL);
	}
}

/**
 * pcn_vsock_listen() - listen on a port
 * @port:	the port
 * @backlog:	how many connections may wait to be accepted
 *
 * Return: the socket, above the standard streams; or -1 with errno: EACCES: the port is root's;
 * EADDRINUSE: somebody listens on it.
 */
int pcn_vsock_listen(unsigned int port, int backlog)
{
	int fd = pcn_above_streams(socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));

	if (fd < 0)
		return fd;
	if (bind_to(fd, port) && !listen(fd, backlog))
		return fd;
	close_keeping_errno(fd);
	return -1;
}

static bool is_kernel(unsigned int cid)
{
	return cid - PCN_CID_BASE < PCN_KERNELS;
}

/*
 * Was it root of a kernel of this machine who connected? A virtual machine may have the
 * address of a kernel, but it does not call this kernel by such an address. On this kernel itself
 * such a port does not take root, but only CAP_NET_BIND_SERVICE.
 */
static bool is_trusted(int fd, const struct sockaddr_vm *from)
{
	struct sockaddr_vm to;
	socklen_t size = sizeof(to);

	if (from->svm_port >= PCN_PRIVILEGED ||
	    getsockname(fd, (struct sockaddr *)&to, &size))
		return false;
	return is_kernel(from->svm_cid) && from->svm_cid != to.svm_cid && is_kernel(to.svm_cid);
}

/**
 * pcn_vsock_accept() - accept a connection of root of a kernel of this machine
 * @listener:	of pcn_vsock_listen()
 * @kid:	the kernel; -1: any but this one
 *
 * Others' connections are closed.
 *
 * Return: the socket; -1: it was nobody who may, or there was an error
 */
int pcn_vsock_accept(int listener, int kid)
{
	struct sockaddr_vm from;
	socklen_t size = sizeof(from);
	int fd = accept4(listener, (struct sockaddr *)&from, &size, SOCK_CLOEXEC);

	if (fd < 0)
		return -1;
	if (is_trusted(fd, &from) &&
	    (kid < 0 || from.svm_cid == (unsigned int)(PCN_CID_BASE + kid)))
		return fd;
	close(fd);
	return -1;
}

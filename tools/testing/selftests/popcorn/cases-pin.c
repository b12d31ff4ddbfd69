// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that the kernel holds since before the first migration. Prints TAP.
 *
 *	cases-pin KID
 *
 * A thread away uses a page that is a buffer of io_uring, or in a pipe. The access is
 * made; and a process with such threads can be killed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#include "cases.h"

static volatile char *buffer;

static bool hold_by_uring(unsigned int pages)
{
	struct io_uring_params params = { 0 };
	struct iovec v;
	int fd;

	buffer = map(pages);
	memset((char *)buffer, 5, pages * PAGE);
	v = (struct iovec){ (char *)buffer, pages * PAGE };
	fd = syscall(SYS_io_uring_setup, 4, &params);
	return fd >= 0 && !syscall(SYS_io_uring_register, fd, IORING_REGISTER_BUFFERS, &v, 1);
}

static bool use_buffer(unsigned int pages)
{
	unsigned int i;

	if (!away())
		return false;
	for (i = 0; i < pages; i++) {
		if (buffer[i * PAGE] != 5)
			return false;
		buffer[i * PAGE] = 6;
	}
	if (!home())
		return false;
	for (i = 0; i < pages; i++)
		if (buffer[i * PAGE] != 6)
			return false;
	return true;
}

static bool registered(void)
{
	return hold_by_uring(1) && use_buffer(1);
}

static bool in_pipe(void)
{
	struct iovec v;
	char c;
	int f[2];

	buffer = map(1);
	buffer[0] = 5;
	v = (struct iovec){ (char *)buffer, PAGE };
	if (pipe(f) || vmsplice(f[1], &v, 1, 0) != (ssize_t)PAGE || !use_buffer(1))
		return false;
	/* Until it is read the pipe has the page itself, and what is written there. */
	return read(f[0], &c, 1) == 1 && c == 6;
}

static bool killed(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (hold_by_uring(32))
			use_buffer(32);
		for (;;)
			pause();
	}
	sleep(2);
	kill(pid, SIGKILL);
	return ends(pid, 20, &status);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	where = argv[1];
	printf("1..3\n");
	result(in_child(registered), "a buffer that was registered before");
	result(in_child(in_pipe), "a page that was in a pipe before");
	result(in_child(killed), "a process with such buffers ends");
	return 0;
}

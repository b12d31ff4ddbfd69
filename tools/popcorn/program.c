// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - what the command is run with: signals and files
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "popcorn.h"

/**
 * pcn_is_ignored() - is a signal ignored, as by nohup?
 * @number:	the signal
 *
 * Return: true if so
 */
bool pcn_is_ignored(int number)
{
	struct sigaction now;

	return !sigaction(number, NULL, &now) && now.sa_handler == SIG_IGN;
}

/**
 * pcn_above_streams() - move a file away from the place of a standard stream that is closed
 * @fd:	the file, closed on exec; or -1
 *
 * Return: the file; -1 with errno if it was that, or there is no more room.
 */
int pcn_above_streams(int fd)
{
	int high, err;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	err = errno;
	close(fd);
	errno = err;
	return high;
}

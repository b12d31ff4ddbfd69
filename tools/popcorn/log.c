// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - log, and how a log is followed
 *
 * The log file of a kernel holds all that its ring holds at the moment: it
 * grows at the end, loses text at its start once the ring is full, and starts
 * anew with the next run. To follow it, the whole is read again and again, and
 * what was printed before is found in it by comparing text; nothing is assumed
 * of offsets, of when a run begins, or of where a line ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "popcorn.h"

#define PAGE		4096
#define POLL_MS		200	/* how often to look for new text */
#define MAX_TRIES	8	/* to read a log while it loses text */
#define MIN_OVERLAP	64	/* bytes that must agree to be the same text */

/* struct text - the content of the log; @room is allocated, @len used */
struct text {
	char *data;
	size_t len;
	size_t room;
};

/* pread(2) until it is not interrupted. Returns as pread(). */
static ssize_t read_at(int fd, char *buf, size_t size, off_t offset)
{
	ssize_t n;

	do {
		n = pread(fd, buf, size, offset);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* Read the log from its start to its end, once. Returns 0, or -1 with errno. */
static int read_once(int fd, struct text *t)
{
	ssize_t n;

	t->len = 0;
	do {
		if (t->room - t->len < PAGE) {
			t->room = t->room ? 2 * t->room : 16 * PAGE;
			t->data = pcn_grow(t->data, t->room);
		}
		n = read_at(fd, t->data + t->len, t->room - t->len, t->len);
		if (n > 0)
			t->len += n;
	} while (n > 0);
	return n;
}

/* Does the log still start as it did when it was read? */
static bool starts_alike(int fd, const struct text *t)
{
	size_t len = t->len < PAGE ? t->len : PAGE;
	char head[PAGE];

	return read_at(fd, head, len, 0) == (ssize_t)len &&
	       !memcmp(head, t->data, len);
}

/*
 * Read the log. It comes a page at a time: had it lost text at its start
 * meanwhile, some would be missing between two pages, so look whether it still
 * starts alike, and if not, read again. Returns 0, or -1 with errno.
 */
static int read_log(int fd, struct text *t)
{
	int i;

	for (i = 0; i < MAX_TRIES; i++) {
		if (read_once(fd, t))
			return -1;
		if (starts_alike(fd, t))
			break;
	}
	return 0;
}

/*
 * Find out how much of the log was printed already. If it has lost text at its
 * start, it begins with the end of what was printed: look for the place.
 * Returns the number of bytes at its start to leave out.
 */
static size_t printed_before(const struct text *old, const struct text *now)
{
	const char *end = old->data + old->len, *p = old->data;

	if (!old->len || !now->len)
		return 0;
	if (now->len >= old->len && !memcmp(now->data, old->data, old->len))
		return old->len;
	if (now->len < MIN_OVERLAP)
		return 0;
	while ((p = memmem(p, end - p, now->data, MIN_OVERLAP))) {
		size_t rest = end - p;

		/* At the start of the old text it would be shorter now: that is a new run */
		if (p > old->data && rest <= now->len && !memcmp(p, now->data, rest))
			return rest;
		p++;
	}
	return 0;
}

/*
 * Wait until there may be new text: a while, or until the state changes.
 * Returns false if nobody reads our output any more.
 */
static bool wait_for_news(int state_fd)
{
	struct pollfd fds[] = {
		{ .fd = state_fd, .events = POLLPRI },
		{ .fd = STDOUT_FILENO },
	};
	char word[64];

	/* sysfs tells of the next change only after the state was read */
	if (read_at(state_fd, word, sizeof(word), 0) < 0)
		fds[0].fd = -1;
	poll(fds, ARRAY_SIZE(fds), POLL_MS);
	return !(fds[1].revents & POLLERR);
}

/* Say that the log cannot be read, and why. Returns the exit code. */
static int unreadable(const struct pcn_kernel *k)
{
	if (errno == EACCES || errno == EPERM)
		return pcn_refused(k, "log", errno, NULL);
	pcn_error("%s: log: cannot read it: %m", pcn_label(k));
	return PCN_FAILED;
}

/* struct pcn_log - a log that is followed: its file, and what was printed of it */
struct pcn_log {
	int fd;
	struct text old;
};

/**
 * pcn_log_open() - begin to follow the log of a kernel
 * @k:		the kernel
 *
 * Return: the log, nothing of it printed; NULL with errno.
 */
struct pcn_log *pcn_log_open(const struct pcn_kernel *k)
{
	struct pcn_log *log;
	int fd = pcn_attr_open(k->kid, "log", O_RDONLY);

	if (fd < 0)
		return NULL;
	log = pcn_grow(NULL, sizeof(*log));
	*log = (struct pcn_log) { .fd = fd };
	return log;
}

/**
 * pcn_log_print_news() - print what a log has got since it was printed last
 * @log:	the log
 *
 * Return: 0, or -1 with errno: it cannot be read.
 */
int pcn_log_print_news(struct pcn_log *log)
{
	struct text now = { 0 };
	size_t skip;

	if (read_log(log->fd, &now)) {
		free(now.data);
		return -1;
	}
	skip = printed_before(&log->old, &now);
	pcn_write(now.data + skip, now.len - skip);
	free(log->old.data);
	log->old = now;
	return 0;
}

/* Print the log, and go on until a signal comes or nobody reads the output. */
static int follow(const struct pcn_kernel *k)
{
	int state_fd = pcn_attr_open(k->kid, "state", O_RDONLY);
	struct pcn_log *log = pcn_log_open(k);

	while (log && !pcn_log_print_news(log))
		if (!wait_for_news(state_fd))
			return PCN_DONE;
	return unreadable(k);
}

/* Print the log as it is now. Returns the exit code. */
static int print_log(const struct pcn_kernel *k)
{
	struct pcn_log *log = pcn_log_open(k);

	return log && !pcn_log_print_news(log) ? PCN_DONE : unreadable(k);
}

/**
 * pcn_cmd_log() - popcorn log
 * @c:	the command line
 *
 * Return: exit code.
 */
int pcn_cmd_log(const struct pcn_call *c)
{
	const struct pcn_kernel *k = pcn_find(c->verb, c->argv[0]);

	if (!k)
		return PCN_UNKNOWN;
	return c->follow ? follow(k) : print_log(k);
}

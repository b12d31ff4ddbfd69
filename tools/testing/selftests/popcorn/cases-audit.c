// SPDX-License-Identifier: GPL-2.0
/*
 * Audit records each call of a thread that is away once, with its arguments and its
 * result, as if it had been made at home. Prints TAP.
 *
 *	cases-audit KID
 */
#define _GNU_SOURCE

#include <linux/audit.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "cases.h"

#define CALLS	5

static int socket_of(unsigned int groups)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_groups = groups };
	struct timeval limit = { .tv_sec = 5 };
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (bind(fd, (struct sockaddr *)&to, sizeof(to)))
		return -1;
	return fd;
}

/* ask: a request to the kernel; 0 or an error's number */
static int ask(int fd, int type, const void *data, size_t size)
{
	struct {
		struct nlmsghdr h;
		char data[2048];
	} m = { .h = {
		.nlmsg_len	= NLMSG_LENGTH(size),
		.nlmsg_type	= type,
		.nlmsg_flags	= NLM_F_REQUEST | NLM_F_ACK,
	} };
	struct nlmsgerr *e = NLMSG_DATA(&m.h);

	memcpy(m.data, data, size);
	if (send(fd, &m, m.h.nlmsg_len, 0) < 0)
		return errno;
	do {
		if (recv(fd, &m, sizeof(m), 0) < 0)
			return errno;
	} while (m.h.nlmsg_type != NLMSG_ERROR);
	return -e->error;
}

static int enable(int fd, bool enabled)
{
	struct audit_status s = { .mask = AUDIT_STATUS_ENABLED, .enabled = enabled };

	return ask(fd, AUDIT_SET, &s, sizeof(s));
}

/* To add the rule, or delete it: all calls of getpriority(2) by this process. */
static int change_rule(int fd, int type)
{
	struct audit_rule_data r = {
		.flags		= AUDIT_FILTER_EXIT,
		.action		= AUDIT_ALWAYS,
		.field_count	= 1,
		.fields		= { AUDIT_PID },
		.values		= { getpid() },
		.fieldflags	= { AUDIT_EQUAL },
	};

	r.mask[AUDIT_WORD(SYS_getpriority)] = AUDIT_BIT(SYS_getpriority);
	return ask(fd, type, &r, sizeof(r));
}

/* The last call is made at home, and ends the record. */
static int call(void)
{
	int fd = socket_of(0), i;

	if (fd < 0 || change_rule(fd, AUDIT_ADD_RULE))
		return 1;
	if (!away())
		return 2;
	for (i = 0; i < CALLS; i++)
		syscall(SYS_getpriority, 0, 0, 0x1000 + i);
	/* An error. */
	syscall(SYS_getpriority, 77, 0, 0x1000 + i);
	if (!home())
		return 3;
	syscall(SYS_getpriority, 0, 0, 0x2000);
	return change_rule(fd, AUDIT_DEL_RULE) ? 4 : 0;
}

static long number(const char *text, const char *name, int base)
{
	const char *at = strstr(text, name);

	return at ? strtol(at + strlen(name), NULL, base) : -1;
}

static int recorded, wrong, failed;

/* look: counts a record; false: it is that of the last call */
static bool look(const char *text, pid_t pid)
{
	long a2 = number(text, " a2=", 16);

	if (number(text, " syscall=", 10) != SYS_getpriority ||
	    number(text, " pid=", 10) != pid)
		return true;
	if (a2 == 0x2000)
		return false;
	printf("# %s\n", text);
	if (a2 != 0x1000 + recorded || number(text, " arch=", 16) != AUDIT_ARCH_X86_64)
		wrong++;
	if (strstr(text, " success=yes exit=20 "))
		recorded++;
	else if (strstr(text, " success=no exit=-22 "))
		failed++;
	else
		wrong++;
	return true;
}

/* The records, until that of the last call; false: it does not come */
static bool all_seen(int fd, pid_t pid)
{
	static char buffer[8192];
	struct nlmsghdr *h = (struct nlmsghdr *)buffer;
	ssize_t got;

	while ((got = recv(fd, buffer, sizeof(buffer) - 1, 0)) > 0) {
		buffer[got] = 0;
		if (h->nlmsg_type == AUDIT_SYSCALL && !look(NLMSG_DATA(h), pid))
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	int control = socket_of(0), log, status;
	pid_t pid;

	if (argc != 2)
		return 2;
	where = argv[1];
	if (control < 0 || enable(control, true)) {
		printf("1..1\nok 1 - # SKIP this kernel has no audit\n");
		return 0;
	}
	log = socket_of(1 << (AUDIT_NLGRP_READLOG - 1));
	printf("1..4\n");
	fflush(stdout);
	/* One that is older has no record. */
	pid = fork();
	if (!pid)
		_exit(call());
	result(ends(pid, 30, &status) && !status, "a process that is audited");
	result(log >= 0 && all_seen(log, pid), "its last call is recorded");
	printf("# %d calls, %d errors\n", recorded, failed);
	result(recorded == CALLS && failed == 1, "each call is recorded once");
	result(!wrong, "with its arguments and its result");
	enable(control, false);
	return 0;
}

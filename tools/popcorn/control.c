// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - start, stop, kill, restart
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "popcorn.h"

/*
 * Write a word to the state of a kernel; the write lasts as long as the
 * operation, and a signal ends both. Returns 0 or an error number.
 */
static int write_state(int kid, const char *word)
{
	int fd = pcn_attr_open(kid, "state", O_WRONLY);
	int err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, word, strlen(word)) < 0)
		err = errno;
	close(fd);
	return err;
}

/* Which of its attributes explains this error? Returns NULL if none does. */
static const char *telling_attr(const char *verb, int err)
{
	switch (err) {
	case ESRCH:
		return "state";
	case ETIMEDOUT:
		return strstr(verb, "stop") ? NULL : "reason";
	case EHOSTDOWN:
	case EIO:
		return "reason";
	default:
		return NULL;
	}
}

/*
 * A restart is a stop and a start. Returns a verb that says which of them took
 * too long.
 */
static const char *part_of_restart(int kid)
{
	char *state = pcn_attr(kid, "state");
	bool alive = state && (!strcmp(state, "running") || !strcmp(state, "stopping"));

	free(state);
	return alive ? "restart: stop" : "restart: start";
}

/* Do to a kernel what the command says. Returns the exit code. */
static int control(const struct pcn_kernel *k, const struct pcn_call *c)
{
	int err = write_state(k->kid, c->verb);
	const char *verb = c->verb, *attr;
	char *detail = NULL;
	int code;

	if (!err)
		return PCN_DONE;
	if (err == ETIMEDOUT && !strcmp(verb, "restart"))
		verb = part_of_restart(k->kid);
	attr = telling_attr(verb, err);
	if (attr)
		detail = pcn_clean(pcn_attr(k->kid, attr));
	code = pcn_refused(k, verb, err, detail);
	free(detail);
	return code;
}

/**
 * pcn_cmd_control() - popcorn start, stop, kill and restart
 * @c:	the command line
 *
 * Return: exit code.
 */
int pcn_cmd_control(const struct pcn_call *c)
{
	return pcn_for_each(c, c->argc, control);
}

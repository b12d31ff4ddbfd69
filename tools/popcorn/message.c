// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - messages, and the little helpers that all files use
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "popcorn.h"

/* Print a message; %m in it is the errno at the time of the call. */
static void print_error(const char *fmt, va_list args)
{
	int err = errno;

	fflush(stdout);
	fputs("popcorn: ", stderr);
	errno = err;
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
}

/**
 * pcn_error() - print an error message
 * @fmt:	as for printf(3), without "popcorn: " and newline
 */
void pcn_error(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_error(fmt, args);
	va_end(args);
}

/**
 * pcn_die() - print an error message and end the command
 * @code:	exit code
 * @fmt:	as for printf(3), without "popcorn: " and newline
 */
void pcn_die(int code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_error(fmt, args);
	va_end(args);
	exit(code);
}

/**
 * pcn_label() - how a message names a kernel
 * @k:	the kernel
 *
 * Return: "kernel 1", with the name behind it if it has one of its own; valid
 * until the next call.
 */
const char *pcn_label(const struct pcn_kernel *k)
{
	static char label[128];
	char usual[32];

	snprintf(usual, sizeof(usual), "kernel%d", k->kid);
	if (!*k->name || !strcmp(k->name, usual))
		snprintf(label, sizeof(label), "kernel %d", k->kid);
	else
		snprintf(label, sizeof(label), "kernel %d (%s)", k->kid, k->name);
	return pcn_clean(label);
}

/**
 * struct refusal - what an error number means
 * @err:	the error number
 * @verb:	the command that it is for; NULL = any
 * @code:	exit code
 * @why:	what went wrong
 * @hint:	what to do, with %d for the kid; or NULL
 */
struct refusal {
	int err;
	const char *verb;
	int code;
	const char *why;
	const char *hint;
};

/* The first line that fits counts. */
static const struct refusal refusals[] = {
	{ EPERM, "load", PCN_PERM, "not permitted",
	  "it takes root, no lockdown, and 0 in /proc/sys/kernel/kexec_load_disabled" },
	{ EPERM, "unload", PCN_PERM, "not permitted",
	  "it takes root, no lockdown, and 0 in /proc/sys/kernel/kexec_load_disabled" },
	{ EHOSTDOWN, "ping", PCN_STATE, "it is not up", NULL },
	{ EHOSTDOWN, "console", PCN_STATE, "it is not up", NULL },
	{ EHOSTDOWN, "exec", PCN_STATE, "it is not up", NULL },
	{ EBUSY, "console", PCN_FAILED, "it has as many sessions as it can have", NULL },
	{ EPROTO, "console", PCN_FAILED, "messages with it are broken",
	  "it has to be started anew: popcorn restart %d" },
	{ ETIMEDOUT, "console", PCN_TIME, "no answer within the limit", NULL },
	{ EOPNOTSUPP, "console", PCN_ABSENT, "it has no terminal",
	  "its kernel needs CONFIG_POPCORN_TTY" },
	{ ETIMEDOUT, "ping", PCN_TIME, "no answer within the limit", NULL },
	{ EPROTO, "ping", PCN_FAILED, "messages with it are broken",
	  "it has to be started anew: popcorn restart %d" },
	{ EBADMSG, "ping", PCN_FAILED, "what came back is not what was sent", NULL },
	{ ENODEV, "ping", PCN_UNKNOWN, "there is no such kernel", NULL },
	{ EINVAL, "ping", PCN_USAGE, "so many bytes are too many for this channel", NULL },
	{ ENOMEM, "ping", PCN_FAILED, "short of memory", NULL },
	{ EPERM, NULL, PCN_PERM, "not permitted", "do it as root" },
	{ EACCES, NULL, PCN_PERM, "not permitted", "do it as root" },
	{ EOPNOTSUPP, NULL, PCN_FAILED,
	  "not possible: only the primary kernel (0) does this, and only with the others", NULL },
	{ EBUSY, NULL, PCN_BUSY, "another operation on this kernel is under way",
	  "try again when it is done; watch it with: popcorn status %d" },
	{ ENODATA, NULL, PCN_STATE, "nothing is loaded",
	  "load an image first: popcorn load %d IMAGE" },
	{ EALREADY, "load", PCN_STATE, "it is running", "stop it first: popcorn stop %d" },
	{ EALREADY, "unload", PCN_STATE, "it is running", "stop it first: popcorn stop %d" },
	{ EALREADY, NULL, PCN_STATE, "it is already running",
	  "to start it anew: popcorn restart %d" },
	{ ESRCH, NULL, PCN_STATE, "it is not running", "to start it: popcorn start %d" },
	{ ETIMEDOUT, "stop", PCN_TIME,
	  "it did not power off within the limit (/sys/module/popcorn/parameters/stop_ms) and is still running",
	  "to end it by force: popcorn kill %d" },
	{ ETIMEDOUT, NULL, PCN_TIME,
	  "it did not get to its init within the limit (/sys/module/popcorn/parameters/boot_ms) and was killed",
	  "how far it came: popcorn log %d" },
	{ EHOSTDOWN, "stop", PCN_DIED, "it died before it had stopped",
	  "what it said last: popcorn log %d" },
	{ EHOSTDOWN, "restart", PCN_DIED, "it died on the way",
	  "what it said last: popcorn log %d" },
	{ EHOSTDOWN, NULL, PCN_DIED, "it died while it booted",
	  "how far it came: popcorn log %d" },
	{ EIO, NULL, PCN_FAILED, "a CPU of it does not answer (INIT/SIPI)",
	  "see the log of the primary: dmesg" },
	{ EADDRINUSE, NULL, PCN_FAILED, "another kernel still maps its memory",
	  "which one: dmesg; killing that one frees it" },
	{ ENODEV, "load", PCN_UNKNOWN, "there is no such kernel any more", NULL },
	{ ENODEV, "unload", PCN_UNKNOWN, "there is no such kernel any more", NULL },
	{ ENODEV, NULL, PCN_FAILED, "the primary's clock is not the TSC",
	  "see /sys/devices/system/clocksource/clocksource0/current_clocksource" },
	{ EINVAL, NULL, PCN_FAILED, "this kernel does not know the request",
	  "the popcorn command and the kernel must be of the same version" },
	{ ENOMEM, NULL, PCN_FAILED, "the primary is short of memory", NULL },
	{ EINTR, NULL, PCN_FAILED, "interrupted", "see what came of it: popcorn status %d" },
};

/*
 * Look up what an error means. Returns NULL if it is not one that is expected.
 */
static const struct refusal *find_refusal(const char *verb, int err)
{
	const char *part = strstr(verb, ": ");
	size_t i;

	if (part)
		verb = part + 2;
	for (i = 0; i < ARRAY_SIZE(refusals); i++) {
		const struct refusal *r = &refusals[i];

		if (r->err == err && (!r->verb || !strcmp(r->verb, verb)))
			return r;
	}
	return NULL;
}

/**
 * pcn_refused() - say why the kernel did not do something
 * @k:		the kernel that it was asked for
 * @verb:	what was asked, or "VERB: PART" if a part of it was not done
 * @err:	errno
 * @detail:	more on it, or NULL
 *
 * Return: exit code.
 */
int pcn_refused(const struct pcn_kernel *k, const char *verb, int err,
		const char *detail)
{
	const struct refusal *r = find_refusal(verb, err);
	bool more = detail && *detail;

	fprintf(stderr, "popcorn: %s: %s: %s%s%s%s", pcn_label(k), verb,
		r ? r->why : strerror(err), more ? " (" : "",
		more ? detail : "", more ? ")" : "");
	if (r && r->hint) {
		fputs("; ", stderr);
		fprintf(stderr, r->hint, k->kid);
	}
	fputc('\n', stderr);
	return r ? r->code : PCN_FAILED;
}

/**
 * pcn_clean() - make text from a kernel fit for a line on a terminal
 * @text:	the text, changed in place
 *
 * Return: @text, control characters replaced.
 */
char *pcn_clean(char *text)
{
	char *p;

	for (p = text; p && *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return text;
}

/**
 * pcn_human_size() - write a size for a human reader
 * @bytes:	the size
 * @buf:	where to write
 * @size:	room there
 *
 * Return: @buf with the like of "512M" or "1.5G".
 */
char *pcn_human_size(uint64_t bytes, char *buf, size_t size)
{
	static const char units[] = "BKMGTPE";
	uint64_t tenths;
	int u = 0;

	while (bytes >> (10 * u) >= 1024)
		u++;
	/* Whole units apart from the rest, lest the product overflows */
	tenths = (bytes >> (10 * u)) * 10;
	if (u)
		tenths += ((bytes >> (10 * (u - 1)) & 1023) * 10 + 512) >> 10;
	if (tenths % 10 && tenths < 1000)
		snprintf(buf, size, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10,
			 tenths % 10, units[u]);
	else
		snprintf(buf, size, "%" PRIu64 "%c", (tenths + 5) / 10, units[u]);
	return buf;
}

/**
 * pcn_grow() - realloc(3) that ends the command when memory is short
 * @data:	what to grow, or NULL
 * @size:	its new size
 *
 * Return: where it is now.
 */
void *pcn_grow(void *data, size_t size)
{
	data = realloc(data, size);
	if (!data)
		pcn_die(PCN_FAILED, "out of memory");
	return data;
}

/**
 * pcn_write() - write to standard output at once
 * @data:	what to write
 * @len:	its length
 *
 * Ends the command if that fails.
 */
void pcn_write(const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, data, len);

		if (n < 0 && errno != EINTR)
			pcn_die(PCN_FAILED, "cannot write to standard output: %m");
		if (n > 0) {
			data += n;
			len -= n;
		}
	}
}

// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - files in /proc/popcorn whose lines are words NAME=VALUE
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "popcorn.h"

/**
 * pcn_path_of() - where a file is
 * @variable:	of the environment, for tests
 * @usual:	where it is without that
 *
 * Return: the path.
 */
const char *pcn_path_of(const char *variable, const char *usual)
{
	const char *path = getenv(variable);

	return path && *path ? path : usual;
}

/**
 * pcn_no_sense() - end the command since a file is not what it should be
 * @verb:	name of the command
 * @path:	of the file
 */
_Noreturn void pcn_no_sense(const char *verb, const char *path)
{
	pcn_die(PCN_FAILED, "%s: cannot make sense of %s; the popcorn command and the kernel must be of the same version",
		verb, path);
}

/**
 * pcn_words_open() - open one of the files; ends the command if there is none
 * @verb:	name of the command
 * @path:	of the file
 *
 * Return: the file.
 */
FILE *pcn_words_open(const char *verb, const char *path)
{
	FILE *in = fopen(path, "re");

	if (in)
		return in;
	if (errno == ENOENT || errno == ENOTDIR)
		pcn_die(PCN_ABSENT, "this kernel has no threads on other kernels (there is no %s)",
			path);
	pcn_die(errno == EACCES || errno == EPERM ? PCN_PERM : PCN_FAILED,
		"%s: cannot read %s: %m", verb, path);
}

/**
 * pcn_words_close() - close one of the files; ends the command if it could not be read
 * @verb:	name of the command
 * @in:		the file
 * @path:	of the file
 */
void pcn_words_close(const char *verb, FILE *in, const char *path)
{
	if (ferror(in))
		pcn_die(PCN_FAILED, "%s: cannot read %s: %m", verb, path);
	fclose(in);
}

/**
 * pcn_word() - what a line says of a name
 * @line:	the line, or NULL
 * @name:	the name
 *
 * Return: where the value begins, NULL if there is none.
 */
const char *pcn_word(const char *line, const char *name)
{
	size_t len = strlen(name);

	while (line) {
		if (!strncmp(line, name, len) && line[len] == '=')
			return line + len + 1;
		line = strchr(line, ' ');
		if (line)
			line++;
	}
	return NULL;
}

/**
 * pcn_take_number() - take a number out of a line
 * @at:		where it begins, or NULL
 * @value:	receives it
 *
 * Return: where it ends, NULL if there is none.
 */
const char *pcn_take_number(const char *at, uint64_t *value)
{
	char *end;

	if (!at || *at < '0' || *at > '9')
		return NULL;
	*value = strtoull(at, &end, 10);
	return end;
}

/**
 * pcn_word_number() - the number of a name; ends the command if there is none
 * @verb:	name of the command
 * @line:	the line
 * @name:	the name
 * @path:	of the file
 *
 * Return: the number.
 */
uint64_t pcn_word_number(const char *verb, const char *line, const char *name,
			 const char *path)
{
	uint64_t value = 0;

	if (!pcn_take_number(pcn_word(line, name), &value))
		pcn_no_sense(verb, path);
	return value;
}

/* A name as it is: the kernel writes some characters as a backslash and three digits. */
static void unescape(char *text)
{
	char *to = text;

	while (*text) {
		if (*text == '\\' && strspn(text + 1, "01234567") >= 3) {
			*to++ = (text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0');
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

/**
 * pcn_read_process() - the first words of a line; ends the command if they are others
 * @verb:	name of the command
 * @line:	the line
 * @path:	of the file
 *
 * Return: what they say.
 */
struct pcn_process pcn_read_process(const char *verb, const char *line, const char *path)
{
	const char *comm = pcn_word(line, "comm");
	struct pcn_process p;

	if (!comm || sscanf(line, "process=%" SCNx64 " origin=%d tgid=%d job=%" SCNu64,
			    &p.process, &p.origin, &p.tgid, &p.job) != 4)
		pcn_no_sense(verb, path);
	snprintf(p.comm, sizeof(p.comm), "%.*s", (int)strcspn(comm, " "), comm);
	unescape(p.comm);
	return p;
}

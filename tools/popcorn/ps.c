// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - ps, and the table of threads that it and run --stats read
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "popcorn.h"

/* The first line of the file: what is in the others */
#define HEADER	"process tgid tid role kernel migrations calls visits memory comm"

static const struct pcn_column columns[] = {
	{ "PROCESS", true },
	{ "TGID", true },
	{ "TID", true },
	{ "ROLE", false },
	{ "KERNEL", true },
	{ "MIGRATIONS", true },
	{ "CALLS", true },
	{ "VISITS", true },
	{ "MEMORY", false },
	{ "COMM", false },
};

/*
 * Where the table is; POPCORN_THREADS in the environment is for tests. Returns
 * the path.
 */
static const char *threads_path(void)
{
	const char *path = getenv("POPCORN_THREADS");

	return path && *path ? path : "/proc/popcorn/threads";
}

/* Order threads by process and tid, for qsort(). */
static int by_process(const void *a, const void *b)
{
	const struct pcn_thread *x = a, *y = b;

	if (x->process != y->process)
		return x->process < y->process ? -1 : 1;
	return (x->tid > y->tid) - (x->tid < y->tid);
}

/* Take a line of the table apart. Returns false if it is not a thread's. */
static bool parse_thread(const char *line, struct pcn_thread *t)
{
	int len = 0;

	if (sscanf(line, "%" SCNx64 " %d %d %15s %d %" SCNu64 " %" SCNu64 " %" SCNu64 " %15s%n",
		   &t->process, &t->tgid, &t->tid, t->role, &t->kernel,
		   &t->migrations, &t->calls, &t->visits, t->memory, &len) != 9 || line[len] != ' ')
		return false;
	snprintf(t->comm, sizeof(t->comm), "%s", line + len + 1);
	return true;
}

/*
 * Add what a line says to a list. The name of a thread may have newlines in it, but
 * is too short to look like a line of its own. Returns false if it makes no sense.
 */
static bool add_line(struct pcn_threads *list, const char *line)
{
	struct pcn_thread t;
	size_t len;

	if (parse_thread(line, &t)) {
		list->thread = pcn_grow(list->thread,
					(list->count + 1) * sizeof(t));
		list->thread[list->count++] = t;
		return true;
	}
	if (!list->count)
		return false;
	t = list->thread[list->count - 1];
	len = strlen(t.comm);
	snprintf(t.comm + len, sizeof(t.comm) - len, "\n%s", line);
	list->thread[list->count - 1] = t;
	return true;
}

/* Read the lines of the table. Returns 0, or an error number. */
static int read_lines(FILE *in, struct pcn_threads *list)
{
	bool header = true, ok = true;
	char *line = NULL;
	size_t room = 0;
	ssize_t len;
	int err;

	errno = 0;
	while (ok && (len = getline(&line, &room, in)) >= 0) {
		if (len && line[len - 1] == '\n')
			line[len - 1] = '\0';
		ok = header ? !strcmp(line, HEADER) : add_line(list, line);
		header = false;
	}
	err = ferror(in) ? errno : 0;
	free(line);
	return !ok || (!err && header) ? EPROTO : err;
}

/**
 * pcn_threads_read() - read the table of threads that have been on other kernels
 * @list:	set to the threads, ordered by process and tid; to be freed with
 *		pcn_threads_free()
 *
 * Return: 0, or -1 with errno, EPROTO if the table makes no sense.
 */
int pcn_threads_read(struct pcn_threads *list)
{
	FILE *in = fopen(threads_path(), "re");
	int err;

	*list = (struct pcn_threads){ 0 };
	if (!in)
		return -1;
	err = read_lines(in, list);
	fclose(in);
	if (err) {
		pcn_threads_free(list);
		errno = err;
		return -1;
	}
	if (list->count)
		qsort(list->thread, list->count, sizeof(*list->thread), by_process);
	return 0;
}

/**
 * pcn_threads_free() - forget a table of threads
 * @list:	the table
 */
void pcn_threads_free(struct pcn_threads *list)
{
	free(list->thread);
	*list = (struct pcn_threads){ 0 };
}

/**
 * pcn_threads_die() - end the command since pcn_threads_read() has failed
 * @verb:	name of the command
 *
 * errno is still that of the failure.
 */
void pcn_threads_die(const char *verb)
{
	const char *path = threads_path();

	switch (errno) {
	case ENOENT:
	case ENOTDIR:
		pcn_die(PCN_ABSENT, "this kernel has no threads on other kernels (there is no %s)",
			path);
	case EACCES:
	case EPERM:
		pcn_die(PCN_PERM, "%s: not permitted to read %s", verb, path);
	case EPROTO:
		pcn_die(PCN_FAILED, "%s: cannot make sense of %s; the popcorn command and the kernel must be of the same version",
			verb, path);
	default:
		pcn_die(PCN_FAILED, "%s: cannot read %s: %m", verb, path);
	}
}

/**
 * pcn_table_add_number() - add the next entry, a number
 * @table:	the table
 * @value:	the number
 */
void pcn_table_add_number(struct pcn_table *table, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	pcn_table_add(table, text);
}

/* Add the line of a thread to the table. */
static void add_thread(struct pcn_table *table, struct pcn_thread *t)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIx64, t->process);
	pcn_table_add(table, text);
	pcn_table_add_number(table, t->tgid);
	pcn_table_add_number(table, t->tid);
	pcn_table_add(table, pcn_clean(t->role));
	pcn_table_add_number(table, t->kernel);
	pcn_table_add_number(table, t->migrations);
	pcn_table_add_number(table, t->calls);
	pcn_table_add_number(table, t->visits);
	pcn_table_add(table, pcn_clean(t->memory));
	pcn_table_add(table, *t->comm ? pcn_clean(t->comm) : "-");
}

/* Print the threads as a table. */
static void print_threads(struct pcn_threads *list)
{
	struct pcn_table table = {
		.columns = columns,
		.width = ARRAY_SIZE(columns),
	};
	size_t i;

	for (i = 0; i < list->count; i++)
		add_thread(&table, &list->thread[i]);
	pcn_table_print(&table);
}

/*
 * Print a thread as a JSON object. The number of a process is a string: JSON's
 * numbers are too small for it.
 */
static void json_thread(const struct pcn_thread *t)
{
	printf("{\"process\": \"%" PRIx64 "\", \"tgid\": %d, \"tid\": %d, \"role\": ",
	       t->process, t->tgid, t->tid);
	pcn_json_string(t->role);
	printf(", \"kernel\": %d, \"migrations\": %" PRIu64 ", \"calls\": %" PRIu64
	       ", \"visits\": %" PRIu64 ", \"memory\": ",
	       t->kernel, t->migrations, t->calls, t->visits);
	pcn_json_string(t->memory);
	fputs(", \"comm\": ", stdout);
	pcn_json_string(t->comm);
	putchar('}');
}

/* Print the threads as a JSON array. */
static void json_threads(const struct pcn_threads *list)
{
	size_t i;

	putchar('[');
	for (i = 0; i < list->count; i++) {
		fputs(i ? ",\n " : "\n ", stdout);
		json_thread(&list->thread[i]);
	}
	puts(list->count ? "\n]" : "]");
}

/**
 * pcn_cmd_ps() - popcorn ps
 * @c:	the command line
 *
 * Return: exit code.
 */
int pcn_cmd_ps(const struct pcn_call *c)
{
	struct pcn_threads list;

	if (pcn_threads_read(&list))
		pcn_threads_die(c->verb);
	if (c->json)
		json_threads(&list);
	else
		print_threads(&list);
	pcn_threads_free(&list);
	return PCN_DONE;
}

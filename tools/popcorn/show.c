// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - list and status, for people and as JSON
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "popcorn.h"
#include "root.h"

/* struct range - CPUs or memory from @start to @end, both included */
struct range {
	uint64_t start;
	uint64_t end;
};

/* What a fact is, which decides how it is shown */
enum fact_type {
	FACT_TEXT,
	FACT_CPUS,		/* "0-1,4" */
	FACT_MEMORY,		/* lines "0x1000-0x1fff" */
	FACT_NUMBER,
	FACT_TIME,		/* number, 0 = there is none */
};

enum fact {
	FACT_NAME,
	FACT_STATE,
	FACT_REASON,
	FACT_CPU_LIST,
	FACT_MEM_RANGES,
	FACT_RELEASE,
	FACT_VERSION,
	FACT_CMDLINE,
	FACT_ROOT,
	FACT_STARTS,
	FACT_BOOT_US,
	FACT_max
};

/*
 * The facts about a kernel, in the order they are shown; the names are ours and JSON's, and
 * sysfs's but for the root directory, which the kernel knows nothing of
 */
static const struct {
	const char *name;
	enum fact_type type;
} facts[FACT_max] = {
	[FACT_NAME]		= { "name",	FACT_TEXT },
	[FACT_STATE]		= { "state",	FACT_TEXT },
	[FACT_REASON]		= { "reason",	FACT_TEXT },
	[FACT_CPU_LIST]		= { "cpus",	FACT_CPUS },
	[FACT_MEM_RANGES]	= { "memory",	FACT_MEMORY },
	[FACT_RELEASE]		= { "release",	FACT_TEXT },
	[FACT_VERSION]		= { "version",	FACT_TEXT },
	[FACT_CMDLINE]		= { "cmdline",	FACT_TEXT },
	[FACT_ROOT]		= { "root",	FACT_TEXT },
	[FACT_STARTS]		= { "starts",	FACT_NUMBER },
	[FACT_BOOT_US]		= { "boot_us",	FACT_TIME },
};

/* struct report - a kernel with all its facts */
struct report {
	const struct pcn_kernel *kernel;
	char *fact[FACT_max];
};

/* Read a fact. Returns its text, "" if there is none; NULL with errno if it cannot be read. */
static char *read_fact(int kid, enum fact f)
{
	return f == FACT_ROOT ? pcn_root_of(kid) : pcn_attr(kid, facts[f].name);
}

/* Read the facts of a kernel; ends the command if one cannot be read. */
static void read_report(struct report *r, const struct pcn_kernel *k, const char *verb)
{
	int i;

	r->kernel = k;
	for (i = 0; i < FACT_max; i++) {
		r->fact[i] = read_fact(k->kid, i);
		if (r->fact[i])
			continue;
		pcn_die(errno == EACCES || errno == EPERM ? PCN_PERM : PCN_FAILED,
			"%s: %s: cannot read its %s: %m", pcn_label(k), verb,
			facts[i].name);
	}
}

/* Forget the facts of a kernel. */
static void free_report(struct report *r)
{
	int i;

	for (i = 0; i < FACT_max; i++)
		free(r->fact[i]);
}

/*
 * Is there no such fact about the kernel? Returns true if there is nothing to
 * show.
 */
static bool is_absent(const char *text, enum fact_type type)
{
	return !*text || (type == FACT_TIME && !strcmp(text, "0"));
}

/*
 * Take the next range off a list like "0-1,4" or lines like "0x1000-0x1fff".
 * Returns 1 if there was one, 0 at the end, -1 if the list is malformed.
 */
static int next_range(const char **list, int base, struct range *r)
{
	const char *p = *list + strspn(*list, "\n, ");
	char *end;

	if (!*p)
		return 0;
	r->start = strtoull(p, &end, base);
	if (end == p)
		return -1;
	r->end = r->start;
	if (*end == '-') {
		p = end + 1;
		r->end = strtoull(p, &end, base);
		if (end == p)
			return -1;
	}
	*list = end;
	return (*end && !strchr("\n, ", *end)) || r->end < r->start ? -1 : 1;
}

/*
 * Add up memory ranges. Returns their size in bytes, 0 if the list is
 * malformed.
 */
static uint64_t memory_size(const char *list)
{
	struct range r;
	uint64_t size = 0;
	int got;

	while ((got = next_range(&list, 16, &r)) > 0)
		size += r.end - r.start + 1;
	return got < 0 ? 0 : size;
}

/* The columns of the table */
static const struct pcn_column columns[] = {
	{ "KID", true },
	{ "NAME", false },
	{ "STATE", false },
	{ "CPUS", false },
	{ "MEMORY", true },
	{ "RELEASE", false },
};

/*
 * A fact for one line of human-readable output. Returns the text, "-" if there
 * is nothing.
 */
static const char *shown(struct report *r, enum fact f)
{
	char *text = r->fact[f];

	return is_absent(text, facts[f].type) ? "-" : pcn_clean(text);
}

/* Add the line of a kernel to the table. */
static void add_row(struct pcn_table *table, struct report *r)
{
	uint64_t size = memory_size(r->fact[FACT_MEM_RANGES]);
	char text[32];

	snprintf(text, sizeof(text), "%d", r->kernel->kid);
	pcn_table_add(table, text);
	pcn_table_add(table, shown(r, FACT_NAME));
	pcn_table_add(table, shown(r, FACT_STATE));
	pcn_table_add(table, shown(r, FACT_CPU_LIST));
	pcn_table_add(table, size ? pcn_human_size(size, text, sizeof(text)) : "-");
	pcn_table_add(table, shown(r, FACT_RELEASE));
}

/* Print the table of kernels. */
static void print_table(struct report *reports, size_t nr)
{
	struct pcn_table table = {
		.columns = columns,
		.width = ARRAY_SIZE(columns),
	};
	size_t i;

	for (i = 0; i < nr; i++)
		add_row(&table, &reports[i]);
	pcn_table_print(&table);
}

/* Print the memory of a kernel on one line: all ranges, and their size. */
static void print_memory(char *text)
{
	uint64_t size = memory_size(text);
	char human[32];
	char *p;

	for (p = text; *p; p++)
		if (*p == '\n')
			fputs(", ", stdout);
		else
			putchar(*p);
	if (size)
		printf(" (%s)", pcn_human_size(size, human, sizeof(human)));
	putchar('\n');
}

/* Print what is known of a kernel, a fact a line. */
static void print_status(struct report *r)
{
	int i;

	printf("kid: %d\n", r->kernel->kid);
	for (i = 0; i < FACT_max; i++) {
		printf("%s: ", facts[i].name);
		if (facts[i].type == FACT_MEMORY && *r->fact[i])
			print_memory(r->fact[i]);
		else
			puts(shown(r, i));
	}
}

/* The most CPUs that a list may name: Linux knows no more than 8192 */
#define MAX_CPU	65535

/* Check a list of ranges. Returns true if all of it can be understood. */
static bool is_list(const char *list, enum fact_type type)
{
	struct range r;
	int got;

	do {
		got = next_range(&list, type == FACT_CPUS ? 10 : 16, &r);
		if (got > 0 && type == FACT_CPUS && r.end > MAX_CPU)
			got = -1;
	} while (got > 0);
	return !got;
}

/*
 * Print a checked list as a JSON array: of numbers for CPUs, of objects for
 * memory.
 */
static void json_list(const char *list, enum fact_type type)
{
	const char *comma = "";
	struct range r;
	uint64_t cpu;

	putchar('[');
	while (next_range(&list, type == FACT_CPUS ? 10 : 16, &r) > 0) {
		if (type == FACT_MEMORY) {
			printf("%s{\"start\": %" PRIu64 ", \"end\": %" PRIu64 "}",
			       comma, r.start, r.end);
			comma = ", ";
			continue;
		}
		for (cpu = r.start; cpu <= r.end; cpu++, comma = ", ")
			printf("%s%" PRIu64, comma, cpu);
	}
	putchar(']');
}

/* Can the fact be turned into JSON of its type? */
static bool is_well_formed(const char *text, enum fact_type type)
{
	switch (type) {
	case FACT_CPUS:
	case FACT_MEMORY:
		return is_list(text, type);
	case FACT_NUMBER:
	case FACT_TIME:
		return strspn(text, "0123456789") == strlen(text);
	default:
		return true;
	}
}

/*
 * Print a fact as a JSON value. Returns false after a message if it had to be
 * left out.
 */
static bool json_fact(struct report *r, enum fact f)
{
	enum fact_type type = facts[f].type;
	const char *text = r->fact[f];
	bool ok = is_well_formed(text, type);

	if (!ok)
		pcn_error("%s: cannot make sense of its %s: '%s'",
			  pcn_label(r->kernel), facts[f].name, shown(r, f));
	if (!ok || is_absent(text, type))
		fputs("null", stdout);
	else if (type == FACT_TEXT)
		pcn_json_string(text);
	else if (type == FACT_CPUS || type == FACT_MEMORY)
		json_list(text, type);
	else
		printf("%llu", strtoull(text, NULL, 10));
	return ok;
}

/* Print what is known of a kernel as a JSON object. Returns the exit code. */
static int json_kernel(struct report *r)
{
	int code = PCN_DONE;
	int i;

	printf("{\"kid\": %d, \"self\": %s", r->kernel->kid,
	       r->kernel->kid == pcn_self() ? "true" : "false");
	for (i = 0; i < FACT_max; i++) {
		printf(", \"%s\": ", facts[i].name);
		if (!json_fact(r, i))
			code = PCN_FAILED;
	}
	putchar('}');
	return code;
}

/* Print all kernels as a JSON array. Returns the exit code. */
static int json_kernels(struct report *reports, size_t nr)
{
	int code = PCN_DONE;
	size_t i;

	putchar('[');
	for (i = 0; i < nr; i++) {
		fputs(i ? ",\n " : "\n ", stdout);
		if (json_kernel(&reports[i]) != PCN_DONE)
			code = PCN_FAILED;
	}
	puts(nr ? "\n]" : "]");
	return code;
}

/**
 * pcn_cmd_list() - popcorn list
 * @c:	the command line
 *
 * Return: exit code.
 */
int pcn_cmd_list(const struct pcn_call *c)
{
	const struct pcn_kernel *k;
	struct report *reports;
	int code = PCN_DONE;
	size_t i, nr;

	k = pcn_kernels(&nr);
	reports = pcn_grow(NULL, (nr + 1) * sizeof(*reports));
	for (i = 0; i < nr; i++)
		read_report(&reports[i], &k[i], c->verb);
	if (c->json)
		code = json_kernels(reports, nr);
	else
		print_table(reports, nr);
	for (i = 0; i < nr; i++)
		free_report(&reports[i]);
	free(reports);
	return code;
}

/**
 * pcn_cmd_status() - popcorn status
 * @c:	the command line
 *
 * Return: exit code.
 */
int pcn_cmd_status(const struct pcn_call *c)
{
	const struct pcn_kernel *k = pcn_find(c->verb, c->argv[0]);
	struct report r;
	int code = PCN_DONE;

	if (!k)
		return PCN_UNKNOWN;
	read_report(&r, k, c->verb);
	if (c->json) {
		code = json_kernel(&r);
		putchar('\n');
	} else {
		print_status(&r);
	}
	free_report(&r);
	return code;
}

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
	FACT_STARTS,
	FACT_BOOT_US,
	FACT_max
};

/*
 * The attributes of a kernel, in the order they are shown; the names are
 * sysfs's, ours and JSON's
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
	[FACT_STARTS]		= { "starts",	FACT_NUMBER },
	[FACT_BOOT_US]		= { "boot_us",	FACT_TIME },
};

/* struct report - a kernel with all its facts */
struct report {
	const struct pcn_kernel *kernel;
	char *fact[FACT_max];
};

/* Read the facts of a kernel; ends the command if one cannot be read. */
static void read_report(struct report *r, const struct pcn_kernel *k, const char *verb)
{
	int i;

	r->kernel = k;
	for (i = 0; i < FACT_max; i++) {
		r->fact[i] = pcn_attr(k->kid, facts[i].name);
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

/*
 * How many characters a text takes on the screen, if it is UTF-8. Returns
 * their number.
 */
static int width(const char *text)
{
	int n = 0;

	for (; *text; text++)
		if ((*text & 0xc0) != 0x80)
			n++;
	return n;
}

/* The columns of the table */
enum column { COL_KID, COL_NAME, COL_STATE, COL_CPUS, COL_MEMORY, COL_RELEASE, COL_max };

/* struct row - a line of the table */
struct row {
	char kid[16];
	char memory[32];
	const char *col[COL_max];
};

static const struct row heading = {
	.col = { "KID", "NAME", "STATE", "CPUS", "MEMORY", "RELEASE" },
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

/* Make the line of the table for a kernel. */
static void make_row(struct row *row, struct report *r)
{
	uint64_t size = memory_size(r->fact[FACT_MEM_RANGES]);

	snprintf(row->kid, sizeof(row->kid), "%d", r->kernel->kid);
	row->col[COL_KID] = row->kid;
	row->col[COL_NAME] = shown(r, FACT_NAME);
	row->col[COL_STATE] = shown(r, FACT_STATE);
	row->col[COL_CPUS] = shown(r, FACT_CPU_LIST);
	row->col[COL_MEMORY] = size ?
		pcn_human_size(size, row->memory, sizeof(row->memory)) : "-";
	row->col[COL_RELEASE] = shown(r, FACT_RELEASE);
}

/*
 * Print a line of the table; numbers stand right, the last column needs no
 * padding.
 */
static void print_row(const struct row *row, const int *widths)
{
	int i;

	for (i = 0; i < COL_max; i++) {
		int pad = widths[i] - width(row->col[i]);
		bool right = i == COL_KID || i == COL_MEMORY;

		printf("%s%*s%s%*s", i ? "  " : "", right ? pad : 0, "",
		       row->col[i], right || i == COL_max - 1 ? 0 : pad, "");
	}
	putchar('\n');
}

/* Make the columns at least as wide as this line needs. */
static void widen(int *widths, const struct row *row)
{
	int i;

	for (i = 0; i < COL_max; i++)
		if (widths[i] < width(row->col[i]))
			widths[i] = width(row->col[i]);
}

/* Print the table of kernels. */
static void print_table(struct report *reports, size_t nr)
{
	struct row *rows = pcn_grow(NULL, (nr + 1) * sizeof(*rows));
	int widths[COL_max] = { 0 };
	size_t i;

	widen(widths, &heading);
	for (i = 0; i < nr; i++) {
		make_row(&rows[i], &reports[i]);
		widen(widths, &rows[i]);
	}
	print_row(&heading, widths);
	for (i = 0; i < nr; i++)
		print_row(&rows[i], widths);
	free(rows);
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

/*
 * How many bytes the UTF-8 character at the start of a text has. Returns 0 if
 * it is not valid UTF-8 (too short, overlong, a surrogate, too large).
 */
static int utf8_len(const unsigned char *p)
{
	uint32_t c = *p, least;
	int len, i;

	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	least = len == 2 ? 0x80 : len == 3 ? 0x800 : 0x10000;
	c &= 0x7f >> len;
	for (i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	return c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : len;
}

/* Print a JSON string; what is not UTF-8 becomes the replacement character. */
static void json_string(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	int len;

	putchar('"');
	for (; *p; p += len ? len : 1) {
		len = utf8_len(p);
		if (!len)
			fputs("\\ufffd", stdout);
		else if (*p == '"' || *p == '\\')
			printf("\\%c", *p);
		else if (*p < 0x20 || *p == 0x7f)
			printf("\\u%04x", *p);
		else
			fwrite(p, 1, len, stdout);
	}
	putchar('"');
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
		json_string(text);
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

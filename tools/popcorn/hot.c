// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - stats PID --hot: the pages of a process that bounce between kernels
 *
 * Each kernel has counted in /proc/popcorn/hot which pages came to it again. Here the
 * counts of a page are put together, and its address gets a name.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "popcorn.h"

/* Lines of the table */
#define SHOWN	16

/**
 * struct page - a page that bounces
 * @address:	its address
 * @kernels:	kernels that it went between, as bits
 * @from:	by kernels that it came to: those that it came from, as bits
 * @reads:	by kernels: times that it came to be read
 * @writes:	by kernels: times that it came to be written
 */
struct page {
	uint64_t address;
	uint64_t kernels;
	uint64_t from[PCN_KERNELS];
	uint64_t reads[PCN_KERNELS];
	uint64_t writes[PCN_KERNELS];
};

/**
 * struct hot - all that there is about a process
 * @which:	the process
 * @found:	there is something
 * @here:	what the kernel that is asked says: "up", or why it says nothing
 * @state:	the same of all kernels; empty: it has no part of the process
 * @moves:	by kernels: times that any page came again
 * @page:	pages, the hottest first
 * @count:	their number
 */
struct hot {
	struct pcn_process which;
	bool found;
	char here[16];
	char state[PCN_KERNELS][16];
	uint64_t moves[PCN_KERNELS];
	struct page *page;
	size_t count;
};

/* --- from the file to the numbers --- */

/* POPCORN_HOT in the environment is for tests. */
static const char *hot_path(void)
{
	return pcn_path_of("POPCORN_HOT", "/proc/popcorn/hot");
}

/* The page of an address, which is made if there is none. */
static struct page *page_of(struct hot *h, uint64_t address)
{
	size_t i;

	for (i = 0; i < h->count; i++)
		if (h->page[i].address == address)
			return &h->page[i];
	h->page = pcn_grow(h->page, (h->count + 1) * sizeof(*h->page));
	memset(&h->page[h->count], 0, sizeof(*h->page));
	h->page[h->count].address = address;
	return &h->page[h->count++];
}

/* Read a list of kernels, "0,2". */
static uint64_t read_kernels(const char *verb, const char *at)
{
	uint64_t kernels = 0, kid;

	while (at && *at >= '0' && *at <= '9') {
		at = pcn_take_number(at, &kid);
		if (kid >= PCN_KERNELS)
			pcn_no_sense(verb, hot_path());
		kernels |= UINT64_C(1) << kid;
		at += *at == ',';
	}
	return kernels;
}

/* Add a line about a page. */
static void add_page(const char *verb, struct hot *h, const char *line, uint64_t kid)
{
	uint64_t address = strtoull(pcn_word(line, "page"), NULL, 16);
	struct page *p = page_of(h, address);

	p->from[kid] = read_kernels(verb, pcn_word(line, "from"));
	p->kernels |= p->from[kid] | UINT64_C(1) << kid;
	p->reads[kid] += pcn_word_number(verb, line, "reads", hot_path());
	p->writes[kid] += pcn_word_number(verb, line, "writes", hot_path());
}

/* Add a line of the process. */
static void add_line(const char *verb, struct hot *h, const char *line)
{
	uint64_t kid = pcn_word_number(verb, line, "kernel", hot_path());
	const char *state = pcn_word(line, "state");

	if (kid >= PCN_KERNELS)
		pcn_no_sense(verb, hot_path());
	if (pcn_word(line, "page"))
		return add_page(verb, h, line, kid);
	if (!state)
		pcn_no_sense(verb, hot_path());
	snprintf(h->state[kid], sizeof(h->state[kid]), "%.*s", (int)strcspn(state, " "), state);
	if ((int)kid == pcn_self() || !*h->here)
		memcpy(h->here, h->state[kid], sizeof(h->here));
	if (!strcmp(h->state[kid], "up"))
		h->moves[kid] = pcn_word_number(verb, line, "moves", hot_path());
}

static uint64_t moves_of(const struct page *p)
{
	uint64_t sum = 0;
	size_t kid;

	for (kid = 0; kid < PCN_KERNELS; kid++)
		sum += p->reads[kid] + p->writes[kid];
	return sum;
}

static int by_moves(const void *a, const void *b)
{
	uint64_t x = moves_of(a), y = moves_of(b);

	if (x != y)
		return x < y ? 1 : -1;
	x = ((const struct page *)a)->address;
	y = ((const struct page *)b)->address;
	return x < y ? -1 : x > y;
}

/* Read what there is of the newest process with a number of a thread group. */
static void read_hot(const char *verb, int tgid, struct hot *h)
{
	FILE *in = pcn_words_open(verb, hot_path());
	struct pcn_process p;
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	memset(h, 0, sizeof(*h));
	while ((len = getline(&line, &room, in)) > 0) {
		if (line[len - 1] == '\n')
			line[len - 1] = '\0';
		p = pcn_read_process(verb, line, hot_path());
		if (p.tgid != tgid)
			continue;
		if (h->found && p.process != h->which.process)
			break;
		h->found = true;
		h->which = p;
		add_line(verb, h, line);
	}
	free(line);
	pcn_words_close(verb, in, hot_path());
	if (h->count)
		qsort(h->page, h->count, sizeof(*h->page), by_moves);
}

static uint64_t all_moves(const struct hot *h)
{
	uint64_t sum = 0;
	size_t kid;

	for (kid = 0; kid < PCN_KERNELS; kid++)
		sum += h->moves[kid];
	return sum;
}

/* --- as a table --- */

static uint64_t sum_of(const uint64_t *values)
{
	uint64_t sum = 0;
	size_t kid;

	for (kid = 0; kid < PCN_KERNELS; kid++)
		sum += values[kid];
	return sum;
}

/* Where a page is, in words. */
static const char *where_text(const struct pcn_where *w, char *text, size_t size)
{
	int at;

	if (!*w->symbol)
		return *w->mapping ? w->mapping : "-";
	at = snprintf(text, size, "%s: %s", w->mapping, w->symbol);
	if (w->offset && at < (int)size)
		at += snprintf(text + at, size - at, "+0x%" PRIx64, w->offset);
	if (w->more && at < (int)size)
		snprintf(text + at, size - at, " and %u more", w->more);
	return text;
}

/* The kernels of a page, and how often it has come to each: "0:17 1:16". */
static void add_kernels(struct pcn_table *table, const struct page *p)
{
	char text[PCN_KERNELS * 24], *at = text;
	size_t kid;

	for (kid = 0; kid < PCN_KERNELS; kid++)
		if (p->kernels >> kid & 1)
			at += sprintf(at, "%s%zu:%" PRIu64, at == text ? "" : " ", kid,
				      p->reads[kid] + p->writes[kid]);
	pcn_table_add(table, text);
}

static const struct pcn_column page_columns[] = {
	{ "ADDRESS", true }, { "MOVES", true }, { "READS", true }, { "WRITES", true },
	{ "KERNELS", false }, { "WHERE", false },
};

static void print_pages(const struct hot *h, struct pcn_maps *maps)
{
	struct pcn_table table = {
		.columns = page_columns, .width = ARRAY_SIZE(page_columns),
	};
	struct pcn_where where;
	char text[512];
	size_t i;

	for (i = 0; i < h->count && i < SHOWN; i++) {
		const struct page *p = &h->page[i];

		snprintf(text, sizeof(text), "%" PRIx64, p->address);
		pcn_table_add(&table, text);
		pcn_table_add_number(&table, moves_of(p));
		pcn_table_add_number(&table, sum_of(p->reads));
		pcn_table_add_number(&table, sum_of(p->writes));
		add_kernels(&table, p);
		pcn_maps_find(maps, p->address, &where);
		pcn_clean(where.mapping);
		pcn_clean(where.symbol);
		pcn_table_add(&table, where_text(&where, text, sizeof(text)));
	}
	pcn_table_print(&table);
}

static void print_hot(struct hot *h, struct pcn_maps *maps)
{
	size_t kid;

	printf("Process %d (%s) of kernel %d: pages came to a kernel again %" PRIu64 " times\n",
	       h->which.tgid, pcn_clean(h->which.comm), h->which.origin, all_moves(h));
	if (h->count)
		print_pages(h, maps);
	for (kid = 0; kid < PCN_KERNELS; kid++)
		if (*h->state[kid] && strcmp(h->state[kid], "up"))
			printf("\nNumbers of kernel %zu are missing: it is %s.\n", kid,
			       pcn_clean(h->state[kid]));
}

/* --- as JSON --- */

static void json_from(uint64_t from)
{
	const char *before = "";
	size_t kid;

	for (kid = 0; kid < PCN_KERNELS; kid++)
		if (from >> kid & 1) {
			printf("%s%zu", before, kid);
			before = ", ";
		}
}

static void json_kernels(const struct page *p)
{
	const char *before = "";
	size_t kid;

	for (kid = 0; kid < PCN_KERNELS; kid++) {
		if (!(p->kernels >> kid & 1))
			continue;
		printf("%s{\"kid\": %zu, \"reads\": %" PRIu64 ", \"writes\": %" PRIu64
		       ", \"from\": [", before, kid, p->reads[kid], p->writes[kid]);
		json_from(p->from[kid]);
		fputs("]}", stdout);
		before = ", ";
	}
}

/* Print a text, null if it is empty. */
static void json_text(const char *name, const char *text)
{
	printf(", \"%s\": ", name);
	if (*text)
		pcn_json_string(text);
	else
		fputs("null", stdout);
}

static void json_page(const struct page *p, struct pcn_maps *maps)
{
	struct pcn_where where;

	pcn_maps_find(maps, p->address, &where);
	printf("{\"address\": \"%" PRIx64 "\", \"moves\": %" PRIu64, p->address, moves_of(p));
	json_text("mapping", where.mapping);
	json_text("symbol", where.symbol);
	printf(", \"offset\": %" PRIu64 ", \"more\": %u, \"kernels\": [", where.offset,
	       where.more);
	json_kernels(p);
	fputs("]}", stdout);
}

static void json_hot(const struct hot *h, struct pcn_maps *maps)
{
	const char *before = "\n  ";
	size_t kid, i;

	printf("{\"process\": \"%" PRIx64 "\", \"tgid\": %d, \"origin\": %d, \"comm\": ",
	       h->which.process, h->which.tgid, h->which.origin);
	pcn_json_string(h->which.comm);
	fputs(",\n \"kernels\": [", stdout);
	for (kid = 0; kid < PCN_KERNELS; kid++) {
		if (!*h->state[kid])
			continue;
		printf("%s{\"kid\": %zu, \"name\": ", before, kid);
		pcn_json_string(pcn_name_of(kid));
		fputs(", \"state\": ", stdout);
		pcn_json_string(h->state[kid]);
		printf(", \"moves\": %" PRIu64 "}", h->moves[kid]);
		before = ",\n  ";
	}
	fputs("],\n \"pages\": [", stdout);
	for (i = 0; i < h->count; i++) {
		fputs(i ? ",\n  " : "\n  ", stdout);
		json_page(&h->page[i], maps);
	}
	puts("]}");
}

/* --- the command --- */

/* Say why there is nothing to show. Returns the exit code, PCN_DONE if there is. */
static int refuse(const char *verb, int pid, const struct hot *h)
{
	if (!h->found) {
		pcn_error("%s: process %d has not been on other kernels, or has ended long ago; see popcorn ps",
			  verb, pid);
		return PCN_UNKNOWN;
	}
	if (!strcmp(h->here, "gone")) {
		pcn_error("%s: --hot: process %d has ended", verb, pid);
		return PCN_UNKNOWN;
	}
	if (!strcmp(h->here, "denied")) {
		pcn_error("%s: --hot: process %d is not yours", verb, pid);
		return PCN_PERM;
	}
	return PCN_DONE;
}

/**
 * pcn_hot_check() - end the command if the kernel does not count which pages move
 * @verb:	name of the command
 */
void pcn_hot_check(const char *verb)
{
	fclose(pcn_words_open(verb, hot_path()));
}

/**
 * pcn_hottest() - describe the page of a process with most moves
 * @verb:	name of the command
 * @pid:	the process
 * @text:	receives the words
 * @size:	room for them
 *
 * Return: false if there is none.
 */
bool pcn_hottest(const char *verb, int pid, char *text, size_t size)
{
	struct pcn_where where;
	struct pcn_maps *maps;
	char place[512];
	struct hot h;

	read_hot(verb, pid, &h);
	if (h.count) {
		maps = pcn_maps_read(pid);
		pcn_maps_find(maps, h.page->address, &where);
		pcn_clean(where.mapping);
		pcn_clean(where.symbol);
		snprintf(text, size, "%" PRIx64 ", %" PRIu64 " moves, %s", h.page->address,
			 moves_of(h.page), where_text(&where, place, sizeof(place)));
		pcn_maps_free(maps);
	}
	free(h.page);
	return h.count;
}

/**
 * pcn_hot_show() - show the pages of a process that bounce between kernels
 * @c:		the command line
 * @pid:	the process
 *
 * Return: exit code.
 */
int pcn_hot_show(const struct pcn_call *c, int pid)
{
	struct pcn_maps *maps;
	struct hot h;
	int code;

	read_hot(c->verb, pid, &h);
	code = refuse(c->verb, pid, &h);
	if (code == PCN_DONE) {
		maps = pcn_maps_read(pid);
		if (c->json)
			json_hot(&h, maps);
		else
			print_hot(&h, maps);
		pcn_maps_free(maps);
	}
	free(h.page);
	return code;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - what the kernels have counted of processes that they share
 *
 * A line of /proc/popcorn/stats is a process on one kernel, as words NAME=VALUE. The
 * lines of a process stand together, the last that has begun or ended first. stats
 * shows those of one process, run --stats the sums of all that belong to a job.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "popcorn.h"

#define KERNELS	PCN_KERNELS
#define WAITS	24	/* classes of waiting times: below 1 us, 2 us, 4 us ... */
#define BAR	40	/* characters of the longest bar */

/* The numbers of a line that are summed up, by their names in it */
#define FIRST_PAGE	0
#define FIRST_SENT	15
#define FIRST_OTHER	24
#define FIRST_HOME	(ARRAY_SIZE(keys) - 5)

static const char *const keys[] = {
	"pages.plain", "pages.U", "pages.NR", "pages.M", "pages.S*", "pages.S",
	"pages.I", "pages.FNR", "pages.FV", "pages.FI", "pages.IR1", "pages.IR2",
	"pages.WP1", "pages.WP2", "pages.WR",
	"sent.Fetch", "sent.Fetch_Write", "sent.Join", "sent.Invalid", "sent.Copy",
	"sent.Copy-own", "sent.Copy_Void", "sent.Ack", "sent.Nack",
	"hits", "misses", "messages", "copies", "holds", "impossible", "unsent",
	"adopted", "rounds", "read_hits", "write_hits", "plain_faults",
	"failed_waits", "read_waits_ns", "write_waits_ns", "files", "arrived", "calls",
	"home.call", "home.result", "home.fault", "home.signal", "home.recall",
};

/* The others, in the same order */
enum {
	HITS = FIRST_OTHER, MISSES, MESSAGES, COPIES, HOLDS, IMPOSSIBLE, UNSENT,
	ADOPTED, ROUNDS, READ_HITS, WRITE_HITS, PLAIN_FAULTS, FAILED_WAITS,
	READ_NS, WRITE_NS, FILES, ARRIVED, CALLS,
	HOME_CALL, HOME_RESULT, HOME_FAULT, HOME_SIGNAL, HOME_RECALL,
};

_Static_assert(HOME_RECALL + 1 == ARRAY_SIZE(keys), "an enumerator for each key");

/**
 * struct sum - what one kernel has counted
 * @used:	there is a line of it
 * @state:	"up"; another word if its numbers were not to be had
 * @value:	numbers, as keys[]
 * @waits:	faults that have waited: reads and writes, by time
 */
struct sum {
	bool used;
	char state[16];
	uint64_t value[ARRAY_SIZE(keys)];
	uint64_t waits[2][WAITS];
};

/**
 * struct pcn_sums - the numbers of one process or more
 * @which:	the process, or the last one of several
 * @processes:	how many they are
 * @ended:	it has ended here
 * @kernel:	by kernels
 */
struct pcn_sums {
	struct pcn_process which;
	unsigned int processes;
	bool ended;
	struct sum kernel[KERNELS];
};

/* --- from the file to the numbers --- */

/* POPCORN_STATS and POPCORN_JOBS in the environment are for tests. */
static const char *stats_path(void)
{
	return pcn_path_of("POPCORN_STATS", "/proc/popcorn/stats");
}

static const char *jobs_path(void)
{
	return pcn_path_of("POPCORN_JOBS", "/proc/popcorn/jobs");
}

static void add_waits(const char *verb, uint64_t *sums, const char *at)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < WAITS; i++) {
		at = pcn_take_number(at, &value);
		if (!at || *at != (i < WAITS - 1 ? ',' : ' '))
			pcn_no_sense(verb, stats_path());
		sums[i] += value;
		at++;
	}
}

/* Add a line to the sums. */
static void add_line(const char *verb, struct pcn_sums *sums, const char *line)
{
	uint64_t kid = pcn_word_number(verb, line, "kernel", stats_path());
	const char *state = pcn_word(line, "state");
	struct sum *s;
	size_t i;

	if (kid >= KERNELS || !state)
		pcn_no_sense(verb, stats_path());
	s = &sums->kernel[kid];
	if (!s->used || !strcmp(s->state, "up"))
		snprintf(s->state, sizeof(s->state), "%.*s",
			 (int)strcspn(state, " "), state);
	s->used = true;
	if (strncmp(state, "up ", 3))
		return;
	for (i = 0; i < ARRAY_SIZE(keys); i++)
		s->value[i] += pcn_word_number(verb, line, keys[i], stats_path());
	add_waits(verb, s->waits[0], pcn_word(line, "read_waits"));
	add_waits(verb, s->waits[1], pcn_word(line, "write_waits"));
	if ((int)kid == sums->which.origin || !sums->ended)
		sums->ended = pcn_word_number(verb, line, "ended", stats_path());
}

/* Is a number in a list? */
static bool has(const uint64_t *list, size_t count, uint64_t value)
{
	while (count--)
		if (list[count] == value)
			return true;
	return false;
}

/*
 * Add up all processes of some jobs or, without any, take the newest one with a
 * number of a thread group.
 */
static struct pcn_sums *read_sums(const char *verb, const uint64_t *jobs,
				  size_t count, int tgid)
{
	struct pcn_sums *sums = memset(pcn_grow(NULL, sizeof(*sums)), 0, sizeof(*sums));
	FILE *in = pcn_words_open(verb, stats_path());
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	while ((len = getline(&line, &room, in)) > 0) {
		struct pcn_process p;

		if (line[len - 1] == '\n')
			line[len - 1] = '\0';
		p = pcn_read_process(verb, line, stats_path());
		if (jobs ? !has(jobs, count, p.job) : p.tgid != tgid)
			continue;
		if (!sums->processes || p.process != sums->which.process) {
			if (!jobs && sums->processes)
				break;
			sums->processes++;
			sums->which = p;
		}
		add_line(verb, sums, line);
	}
	free(line);
	pcn_words_close(verb, in, stats_path());
	return sums;
}

/* --- numbers as tables --- */

static uint64_t total(const struct pcn_sums *sums, size_t key)
{
	uint64_t value = 0;
	size_t kid;

	for (kid = 0; kid < KERNELS; kid++)
		value += sums->kernel[kid].value[key];
	return value;
}

static uint64_t waits_of(const struct sum *s, int write)
{
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < WAITS; i++)
		value += s->waits[write][i];
	return value;
}

static uint64_t visits_of(const struct sum *s)
{
	return s->value[HOME_CALL] + s->value[HOME_FAULT] + s->value[HOME_SIGNAL] +
	       s->value[HOME_RECALL];
}

/**
 * pcn_name_of() - the name of a kernel
 * @kid:	its number
 *
 * Return: the name, "-" if this kernel does not know it.
 */
const char *pcn_name_of(size_t kid)
{
	const struct pcn_kernel *k;
	size_t i, nr;

	k = pcn_kernels(&nr);
	for (i = 0; i < nr; i++)
		if (k[i].kid == (int)kid && *k[i].name)
			return pcn_clean(k[i].name);
	return "-";
}

static void add_kernel(struct pcn_table *table, size_t kid)
{
	pcn_table_add_number(table, kid);
	pcn_table_add(table, pcn_name_of(kid));
}

/*
 * Print some numbers by kernels, those that are not 0 everywhere, and their sum.
 * Headings are what follows the point in the names.
 */
static void print_range(const struct pcn_sums *sums, size_t first, size_t end)
{
	struct pcn_column columns[32] = { { "KID", true }, { "NAME", false } };
	struct pcn_table table = { .columns = columns, .width = 2 };
	size_t shown[32], nr = 0, key, kid, i;
	uint64_t sum;

	for (key = first; key < end; key++)
		if (total(sums, key)) {
			columns[table.width++] = (struct pcn_column) {
				strchr(keys[key], '.') + 1, true,
			};
			shown[nr++] = key;
		}
	columns[table.width++] = (struct pcn_column) { "SUM", true };
	for (kid = 0; kid < KERNELS; kid++) {
		if (!sums->kernel[kid].used)
			continue;
		add_kernel(&table, kid);
		for (i = 0, sum = 0; i < nr; i++) {
			pcn_table_add_number(&table, sums->kernel[kid].value[shown[i]]);
			sum += sums->kernel[kid].value[shown[i]];
		}
		pcn_table_add_number(&table, sum);
	}
	pcn_table_print(&table);
}

/* Print a time, the end of a class. */
static const char *class_text(size_t class, char *text, size_t size)
{
	uint64_t us = UINT64_C(1) << class;

	if (class == WAITS - 1)
		snprintf(text, size, ">4.2s");
	else if (us < 1000)
		snprintf(text, size, "%" PRIu64 "us", us);
	else if (us < 1000000)
		snprintf(text, size, "%.1fms", us / 1000.0);
	else
		snprintf(text, size, "%.1fs", us / 1000000.0);
	return text;
}

/* The time that so many in a hundred have not waited for. -1 if there are none. */
static int percentile(const uint64_t waits[2][WAITS], unsigned int percent)
{
	uint64_t sum = 0, part = 0;
	int i;

	for (i = 0; i < WAITS; i++)
		sum += waits[0][i] + waits[1][i];
	for (i = 0; sum && i < WAITS; i++) {
		part += waits[0][i] + waits[1][i];
		if (part * 100 >= sum * percent)
			return i;
	}
	return -1;
}

static void add_percentile(struct pcn_table *table, const struct sum *s,
			   unsigned int percent)
{
	int class = percentile(s->waits, percent);
	char text[16];

	pcn_table_add(table, class < 0 ? "-" : class_text(class, text, sizeof(text)));
}

static const struct pcn_column fault_columns[] = {
	{ "KID", true }, { "NAME", false }, { "PLAIN", true },
	{ "READ-HITS", true }, { "WRITE-HITS", true },
	{ "READ-WAITS", true }, { "WRITE-WAITS", true }, { "FAILED", true },
	{ "HOME", true }, { "FILES", true }, { "P50", true }, { "P90", true }, { "P99", true },
};

static void print_faults(const struct pcn_sums *sums)
{
	struct pcn_table table = {
		.columns = fault_columns, .width = ARRAY_SIZE(fault_columns),
	};
	size_t kid;

	for (kid = 0; kid < KERNELS; kid++) {
		const struct sum *s = &sums->kernel[kid];

		if (!s->used)
			continue;
		add_kernel(&table, kid);
		pcn_table_add_number(&table, s->value[PLAIN_FAULTS]);
		pcn_table_add_number(&table, s->value[READ_HITS]);
		pcn_table_add_number(&table, s->value[WRITE_HITS]);
		pcn_table_add_number(&table, waits_of(s, 0));
		pcn_table_add_number(&table, waits_of(s, 1));
		pcn_table_add_number(&table, s->value[FAILED_WAITS]);
		pcn_table_add_number(&table, s->value[HOME_FAULT]);
		pcn_table_add_number(&table, s->value[FILES]);
		add_percentile(&table, s, 50);
		add_percentile(&table, s, 90);
		add_percentile(&table, s, 99);
	}
	pcn_table_print(&table);
}

static const struct pcn_column wait_columns[] = {
	{ "WAITED", true }, { "READS", true }, { "WRITES", true }, { "ALL", false },
};

/* Print how long faults have waited, on all kernels. */
static void print_waits(const struct pcn_sums *sums)
{
	struct pcn_table table = {
		.columns = wait_columns, .width = ARRAY_SIZE(wait_columns),
	};
	uint64_t waits[2][WAITS] = { 0 }, highest = 0;
	size_t kid, i, first = WAITS, last = 0;
	char text[16], bar[BAR + 1];

	for (i = 0; i < WAITS; i++) {
		for (kid = 0; kid < KERNELS; kid++) {
			waits[0][i] += sums->kernel[kid].waits[0][i];
			waits[1][i] += sums->kernel[kid].waits[1][i];
		}
		if (!(waits[0][i] + waits[1][i]))
			continue;
		last = i;
		first = first < i ? first : i;
		if (highest < waits[0][i] + waits[1][i])
			highest = waits[0][i] + waits[1][i];
	}
	for (i = first; i <= last && highest; i++) {
		size_t len = (waits[0][i] + waits[1][i]) * BAR / highest;

		memset(bar, '#', len);
		bar[len] = '\0';
		pcn_table_add(&table, class_text(i, text, sizeof(text)));
		pcn_table_add_number(&table, waits[0][i]);
		pcn_table_add_number(&table, waits[1][i]);
		pcn_table_add(&table, len ? bar : waits[0][i] + waits[1][i] ? "." : "-");
	}
	pcn_table_print(&table);
}

/* Print all but what there is about threads. */
static void print_sums(const struct pcn_sums *sums)
{
	puts("\nPages by state");
	print_range(sums, FIRST_PAGE, FIRST_SENT);
	puts("\nMessages sent by type");
	print_range(sums, FIRST_SENT, FIRST_OTHER);
	puts("\nFaults");
	print_faults(sums);
	puts("\nFaults by the time that they have waited for a page: up to");
	print_waits(sums);
}

/* --- stats PID --- */

static const struct pcn_column thread_columns[] = {
	{ "KID", true }, { "NAME", false }, { "STATE", false }, { "THREADS", true },
	{ "ARRIVED", true }, { "CALLS", true }, { "VISITS", true },
};

/* How many threads of a process are on a kernel now. */
static unsigned int threads_on(const struct pcn_threads *list,
			       const struct pcn_process *p, size_t kid)
{
	unsigned int count = 0;
	size_t i;

	for (i = 0; i < list->count; i++)
		if (list->thread[i].process == p->process &&
		    strcmp(list->thread[i].role, "visitor") &&
		    list->thread[i].kernel == (int)kid)
			count++;
	return count;
}

static void print_threads(const struct pcn_sums *sums, const struct pcn_threads *list)
{
	struct pcn_table table = {
		.columns = thread_columns, .width = ARRAY_SIZE(thread_columns),
	};
	size_t kid;

	for (kid = 0; kid < KERNELS; kid++) {
		const struct sum *s = &sums->kernel[kid];

		if (!s->used)
			continue;
		add_kernel(&table, kid);
		pcn_table_add(&table, s->state);
		pcn_table_add_number(&table, threads_on(list, &sums->which, kid));
		pcn_table_add_number(&table, s->value[ARRIVED]);
		pcn_table_add_number(&table, s->value[CALLS]);
		pcn_table_add_number(&table, visits_of(s));
	}
	pcn_table_print(&table);
}

/* Print some numbers as members of a JSON object, by what follows the point. */
static void json_range(const char *name, const struct sum *s, size_t first, size_t end)
{
	size_t i;

	printf(", \"%s\": {", name);
	for (i = first; i < end; i++)
		printf("%s\"%s\": %" PRIu64, i > first ? ", " : "",
		       strchr(keys[i], '.') + 1, s->value[i]);
	putchar('}');
}

static void json_waits(const char *name, const uint64_t *waits)
{
	size_t i;

	printf(", \"%s\": [", name);
	for (i = 0; i < WAITS; i++)
		printf("%s%" PRIu64, i ? ", " : "", waits[i]);
	putchar(']');
}

/* Print the numbers of a kernel as members of a JSON object. */
static void json_sum(const struct sum *s, size_t kid)
{
	size_t i;

	printf("\"kid\": %zu, \"name\": ", kid);
	pcn_json_string(pcn_name_of(kid));
	fputs(", \"state\": ", stdout);
	pcn_json_string(s->state);
	for (i = FIRST_OTHER; i < FIRST_HOME; i++)
		printf(", \"%s\": %" PRIu64, keys[i], s->value[i]);
	fputs(",\n   ", stdout);
	printf("\"visits\": %" PRIu64, visits_of(s));
	json_range("home", s, FIRST_HOME, ARRAY_SIZE(keys));
	json_range("pages", s, FIRST_PAGE, FIRST_SENT);
	json_range("sent", s, FIRST_SENT, FIRST_OTHER);
	json_waits("read_waits", s->waits[0]);
	json_waits("write_waits", s->waits[1]);
}

static void json_process(const struct pcn_sums *sums, const struct pcn_threads *list)
{
	const struct pcn_process *p = &sums->which;
	const char *before = "\n  ";
	size_t kid;

	printf("{\"process\": \"%" PRIx64 "\", \"tgid\": %d, \"origin\": %d, \"job\": %" PRIu64
	       ", \"ended\": %s, \"comm\": ", p->process, p->tgid, p->origin, p->job,
	       sums->ended ? "true" : "false");
	pcn_json_string(p->comm);
	fputs(",\n \"kernels\": [", stdout);
	for (kid = 0; kid < KERNELS; kid++) {
		if (!sums->kernel[kid].used)
			continue;
		printf("%s{\"threads\": %u, ", before, threads_on(list, p, kid));
		json_sum(&sums->kernel[kid], kid);
		putchar('}');
		before = ",\n  ";
	}
	puts("]}");
}

/**
 * pcn_to_pid() - turn a word into the number of a process
 * @word:	the word
 *
 * Return: the number, 0 if it is none.
 */
int pcn_to_pid(const char *word)
{
	size_t len = strlen(word);

	if (!len || len > 9 || strspn(word, "0123456789") != len || *word == '0')
		return 0;
	return atoi(word);
}

/**
 * pcn_process_show() - show what all kernels have counted of a process
 * @c:	the command line
 * @pid:	the process
 *
 * Return: exit code.
 */
int pcn_process_show(const struct pcn_call *c, int pid)
{
	struct pcn_sums *sums = read_sums(c->verb, NULL, 0, pid);
	struct pcn_process *p = &sums->which;
	struct pcn_threads list = { 0 };

	if (!sums->processes) {
		pcn_error("%s: process %d has not been on other kernels, or has ended long ago; see popcorn ps",
			  c->verb, pid);
		free(sums);
		return PCN_UNKNOWN;
	}
	if (pcn_threads_read(&list))
		pcn_threads_die(c->verb);
	if (c->json) {
		json_process(sums, &list);
	} else {
		printf("Process %d (%s) of kernel %d%s\n", p->tgid, pcn_clean(p->comm), p->origin,
		       sums->ended ? ", ended" : "");
		print_threads(sums, &list);
		print_sums(sums);
	}
	pcn_threads_free(&list);
	free(sums);
	return PCN_DONE;
}

/* --- run --stats --- */

/**
 * struct job - a line of /proc/popcorn/jobs
 * @number:	of the job
 * @parent:	that it was begun in, or 0
 * @processes:	of it that were shared
 * @asked:	threads that were to start on each kernel
 * @placed:	those that did
 */
struct job {
	uint64_t number;
	uint64_t parent;
	uint64_t processes;
	uint64_t asked[KERNELS];
	uint64_t placed[KERNELS];
};

/* Add "KID:COUNT,KID:COUNT". */
static void add_placed(const char *verb, uint64_t *sums, const char *at)
{
	uint64_t kid = 0, count = 0;

	if (!at)
		pcn_no_sense(verb, jobs_path());
	while (*at && *at != ' ') {
		at = pcn_take_number(at, &kid);
		if (!at || *at != ':' || kid >= KERNELS)
			pcn_no_sense(verb, jobs_path());
		at = pcn_take_number(at + 1, &count);
		if (!at)
			pcn_no_sense(verb, jobs_path());
		sums[kid] += count;
		at += *at == ',';
	}
}

static struct job read_job(const char *verb, const char *line)
{
	struct job j = {
		.number = pcn_word_number(verb, line, "job", jobs_path()),
		.parent = pcn_word_number(verb, line, "parent", jobs_path()),
		.processes = pcn_word_number(verb, line, "processes", jobs_path()),
	};

	add_placed(verb, j.asked, pcn_word(line, "asked"));
	add_placed(verb, j.placed, pcn_word(line, "placed"));
	return j;
}

/* Read all jobs. The newest that a process has begun is put first. */
static struct job *read_jobs(const char *verb, int pid, size_t *count, bool *found)
{
	FILE *in = pcn_words_open(verb, jobs_path());
	struct job *jobs = NULL, swap;
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	*count = 0;
	*found = false;
	while ((len = getline(&line, &room, in)) > 0) {
		if (line[len - 1] == '\n')
			line[len - 1] = '\0';
		jobs = pcn_grow(jobs, (*count + 1) * sizeof(*jobs));
		jobs[(*count)++] = read_job(verb, line);
		if (*found || pcn_word_number(verb, line, "pid", jobs_path()) != (uint64_t)pid)
			continue;
		*found = true;
		swap = jobs[0];
		jobs[0] = jobs[*count - 1];
		jobs[*count - 1] = swap;
	}
	free(line);
	pcn_words_close(verb, in, jobs_path());
	return jobs;
}

/* Keep the first one and those begun in it, and sum them up in the first. */
static uint64_t *family(struct job *jobs, size_t count, size_t *members)
{
	uint64_t *list = pcn_grow(NULL, count * sizeof(*list));
	size_t i, kid, nr = 1, before;

	list[0] = jobs[0].number;
	do {
		before = nr;
		for (i = 1; i < count; i++) {
			if (!has(list, nr, jobs[i].parent) || has(list, nr, jobs[i].number))
				continue;
			list[nr++] = jobs[i].number;
			jobs[0].processes += jobs[i].processes;
			for (kid = 0; kid < KERNELS; kid++) {
				jobs[0].asked[kid] += jobs[i].asked[kid];
				jobs[0].placed[kid] += jobs[i].placed[kid];
			}
		}
	} while (nr > before);
	*members = nr;
	return list;
}

static const struct pcn_column job_columns[] = {
	{ "KID", true }, { "NAME", false }, { "ASKED", true }, { "PLACED", true },
	{ "MIGRATIONS", true }, { "CALLS", true }, { "VISITS", true },
};

static void print_job(const struct job *j, const struct pcn_sums *sums)
{
	struct pcn_table table = {
		.columns = job_columns, .width = ARRAY_SIZE(job_columns),
	};
	size_t kid;

	for (kid = 0; kid < KERNELS; kid++) {
		const struct sum *s = &sums->kernel[kid];

		if (!s->used && !j->asked[kid])
			continue;
		add_kernel(&table, kid);
		pcn_table_add_number(&table, j->asked[kid]);
		pcn_table_add_number(&table, j->placed[kid]);
		pcn_table_add_number(&table, s->value[ARRIVED]);
		pcn_table_add_number(&table, s->value[CALLS]);
		pcn_table_add_number(&table, visits_of(s));
	}
	pcn_table_print(&table);
}

/* Say which kernels have not told all. */
static void print_missing(const struct job *j, const struct pcn_sums *sums)
{
	size_t kid;

	if (j->processes > sums->processes)
		printf("\nOnly the last %u of %" PRIu64 " processes are still known.\n",
		       sums->processes, j->processes);
	for (kid = 0; kid < KERNELS; kid++)
		if (sums->kernel[kid].used && strcmp(sums->kernel[kid].state, "up"))
			printf("\nNumbers of kernel %zu are missing: it is %s.\n", kid,
			       sums->kernel[kid].state);
}

/**
 * pcn_jobs_check() - end the command if the kernel does not count what is placed
 * @verb:	name of the command
 */
void pcn_jobs_check(const char *verb)
{
	fclose(pcn_words_open(verb, jobs_path()));
	fclose(pcn_words_open(verb, stats_path()));
}

/* Add a line to the process that it is about. */
static void add_wait(const char *verb, struct pcn_wait *w, const char *line)
{
	uint64_t kid = pcn_word_number(verb, line, "kernel", stats_path());

	if ((int)kid == w->which.origin || strncmp(pcn_word(line, "state") ?: "", "up ", 3))
		return;
	w->ns += pcn_word_number(verb, line, keys[READ_NS], stats_path()) +
		 pcn_word_number(verb, line, keys[WRITE_NS], stats_path());
}

/* The processes of some jobs, and what the file says of them. */
static struct pcn_wait *read_waits(const char *verb, const uint64_t *jobs, size_t nr,
				   size_t *count)
{
	FILE *in = pcn_words_open(verb, stats_path());
	struct pcn_wait *waits = NULL;
	char *line = NULL;
	size_t room = 0;
	ssize_t len;

	while ((len = getline(&line, &room, in)) > 0) {
		struct pcn_process p;

		if (line[len - 1] == '\n')
			line[len - 1] = '\0';
		p = pcn_read_process(verb, line, stats_path());
		if (!has(jobs, nr, p.job))
			continue;
		if (!*count || waits[*count - 1].which.process != p.process) {
			waits = pcn_grow(waits, (*count + 1) * sizeof(*waits));
			waits[(*count)++] = (struct pcn_wait) { .which = p };
		}
		add_wait(verb, &waits[*count - 1], line);
	}
	free(line);
	pcn_words_close(verb, in, stats_path());
	return waits;
}

/**
 * pcn_waits_read() - for how long the processes of a program have waited for pages
 * @verb:	name of the command
 * @pid:	process that has placed it
 * @count:	receives their number
 *
 * Return: the processes, to be freed, or NULL.
 */
struct pcn_wait *pcn_waits_read(const char *verb, int pid, size_t *count)
{
	struct pcn_wait *waits = NULL;
	size_t nr, members;
	struct job *jobs;
	uint64_t *list;
	bool found;

	*count = 0;
	jobs = read_jobs(verb, pid, &nr, &found);
	if (found) {
		list = family(jobs, nr, &members);
		waits = read_waits(verb, list, members, count);
		free(list);
	}
	free(jobs);
	return waits;
}

/**
 * pcn_job_show() - show what became of a program that was placed
 * @verb:	name of the command
 * @pid:	process that has placed it
 */
void pcn_job_show(const char *verb, int pid)
{
	size_t count, members;
	struct pcn_sums *sums;
	struct job *jobs;
	uint64_t *list;
	bool found;

	jobs = read_jobs(verb, pid, &count, &found);
	if (!found) {
		pcn_error("%s: the kernel does not know any more what its threads have done",
			  verb);
		free(jobs);
		return;
	}
	list = family(jobs, count, &members);
	sums = read_sums(verb, list, members, 0);
	print_job(&jobs[0], sums);
	if (sums->processes)
		print_sums(sums);
	print_missing(&jobs[0], sums);
	free(sums);
	free(list);
	free(jobs);
}

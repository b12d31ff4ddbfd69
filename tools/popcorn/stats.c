// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - stats: what the messaging layer has counted (of processes: process.c)
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "popcorn.h"

const char *const pcn_channels[PCN_CHANNELS] = {
	"control", "coherency", "network", "tty",
};

/* The counters of a channel: names are sysfs's and JSON's */
enum port_counter {
	TX_MESSAGES, TX_BYTES, TX_DOORBELLS, TX_WAITS, TX_SPILLS, TX_FAILED,
	RX_MESSAGES, RX_BYTES, RX_DOORBELLS, RX_LATE, RX_ORPHANS, RX_UNKNOWN,
	SPILLED, TX_FULL, RX_DROPPED, RX_REFUSED, TX_BLOCKS, TX_BLOCK_WAITS, PORT_max
};

static const char *const port_names[PORT_max] = {
	"tx_messages", "tx_bytes", "tx_doorbells", "tx_waits", "tx_spills",
	"tx_failed", "rx_messages", "rx_bytes", "rx_doorbells", "rx_late",
	"rx_orphans", "rx_unknown", "spilled", "tx_full", "rx_dropped", "rx_refused",
	"tx_blocks", "tx_block_waits",
};

/* The groups of channels that are polled together, and their counters */
static const char *const groups[] = { "thread", "softirq" };

static const char *const group_names[] = {
	"interrupts", "polls", "empty_polls", "sleeps", "linger_hits", "starved",
};

static const struct pcn_column port_columns[] = {
	{ "KID", true },
	{ "NAME", false },
	{ "STATE", false },
	{ "CHANNEL", false },
	{ "SENT", true },
	{ "BYTES", true },
	{ "RECEIVED", true },
	{ "BYTES", true },
	{ "INTERRUPTS", true },
	{ "WAITS", true },
	{ "SPILLS", true },
	{ "DROPS", true },
};

static const struct pcn_column group_columns[] = {
	{ "GROUP", false },
	{ "INTERRUPTS", true },
	{ "POLLS", true },
	{ "EMPTY", true },
	{ "SLEEPS", true },
	{ "LINGERED", true },
	{ "STARVED", true },
};

/* Read a file that must be there. Ends the command if it is not. */
static __printf(1, 2) char *must_read(const char *fmt, ...)
{
	char path[128], *text;
	va_list args;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	text = pcn_read("%s", path);
	if (!text)
		pcn_die(errno == EACCES || errno == EPERM ? PCN_PERM : PCN_FAILED,
			"stats: cannot read %s: %m", path);
	return text;
}

/* Read a counter. Ends the command if there is none. */
static uint64_t read_counter(const char *dir, const char *name)
{
	char *text = must_read("%s/%s", dir, name), *end;
	uint64_t value = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end)
		pcn_die(PCN_FAILED, "stats: cannot make sense of %s/%s: '%s'; the popcorn command and the kernel must be of the same version",
			dir, name, pcn_clean(text));
	free(text);
	return value;
}

/* Read the counters in a directory. */
static void read_counters(uint64_t *values, const char *const *names, size_t nr,
			  const char *dir)
{
	size_t i;

	for (i = 0; i < nr; i++)
		values[i] = read_counter(dir, names[i]);
}

/* Read the counters of a channel. */
static void read_port(uint64_t *values, int kid, size_t channel)
{
	char dir[64];

	snprintf(dir, sizeof(dir), "links/%d/%s", kid, pcn_channels[channel]);
	read_counters(values, port_names, PORT_max, dir);
}

/* Read the counters of a group. */
static void read_group(uint64_t *values, size_t group)
{
	char dir[64];

	snprintf(dir, sizeof(dir), "poll/%s", groups[group]);
	read_counters(values, group_names, ARRAY_SIZE(group_names), dir);
}

/* Add a number to a table. */
static void add_number(struct pcn_table *t, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	pcn_table_add(t, text);
}

/* Add a size to a table. */
static void add_size(struct pcn_table *t, uint64_t bytes)
{
	char text[32];

	pcn_table_add(t, pcn_human_size(bytes, text, sizeof(text)));
}

/* Add the line of a channel to the table. */
static void add_port(struct pcn_table *t, const struct pcn_kernel *k,
		     const char *state, size_t channel)
{
	uint64_t v[PORT_max];

	read_port(v, k->kid, channel);
	add_number(t, k->kid);
	pcn_table_add(t, *k->name ? pcn_clean(k->name) : "-");
	pcn_table_add(t, state);
	pcn_table_add(t, pcn_channels[channel]);
	add_number(t, v[TX_MESSAGES]);
	add_size(t, v[TX_BYTES]);
	add_number(t, v[RX_MESSAGES]);
	add_size(t, v[RX_BYTES]);
	add_number(t, v[TX_DOORBELLS] + v[RX_DOORBELLS]);
	add_number(t, v[TX_WAITS]);
	add_number(t, v[TX_SPILLS]);
	add_number(t, v[TX_FAILED] + v[RX_LATE] + v[RX_ORPHANS] + v[RX_UNKNOWN] +
		   v[RX_DROPPED] + v[RX_REFUSED]);
}

/* Print the table of the channels to some kernels. */
static void print_ports(const struct pcn_kernel *k, size_t nr)
{
	struct pcn_table t = {
		.columns = port_columns,
		.width = ARRAY_SIZE(port_columns),
	};
	size_t i, channel;
	char *state;

	for (i = 0; i < nr; i++) {
		state = pcn_clean(must_read("links/%d/state", k[i].kid));
		for (channel = 0; channel < PCN_CHANNELS; channel++)
			add_port(&t, &k[i], state, channel);
		free(state);
	}
	pcn_table_print(&t);
}

/* Print the table of the groups. */
static void print_groups(void)
{
	struct pcn_table t = {
		.columns = group_columns,
		.width = ARRAY_SIZE(group_columns),
	};
	uint64_t v[ARRAY_SIZE(group_names)];
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(groups); i++) {
		read_group(v, i);
		pcn_table_add(&t, groups[i]);
		for (j = 0; j < ARRAY_SIZE(v); j++)
			add_number(&t, v[j]);
	}
	pcn_table_print(&t);
}

/* Print all tables. */
static void print_tables(const struct pcn_kernel *k, size_t nr)
{
	print_ports(k, nr);
	putchar('\n');
	print_groups();
}

/* Print counters as a JSON object. */
static void json_counters(const char *const *names, const uint64_t *values,
			  size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		printf("%s\"%s\": %" PRIu64, i ? ", " : "{", names[i], values[i]);
	putchar('}');
}

/* Print an attribute of a link as a JSON string, or null if it is empty. */
static void json_attr(int kid, const char *name)
{
	char *text = must_read("links/%d/%s", kid, name);

	printf(", \"%s\": ", name);
	if (*text)
		pcn_json_string(text);
	else
		fputs("null", stdout);
	free(text);
}

/* Print all about the link to a kernel as a JSON object. */
static void json_link(const struct pcn_kernel *k)
{
	uint64_t v[PORT_max];
	char dir[32];
	size_t i;

	printf("{\"kid\": %d, \"name\": ", k->kid);
	if (*k->name)
		pcn_json_string(k->name);
	else
		fputs("null", stdout);
	json_attr(k->kid, "state");
	json_attr(k->kid, "fault");
	snprintf(dir, sizeof(dir), "links/%d", k->kid);
	printf(", \"generation\": %" PRIu64 ", \"channels\": {",
	       read_counter(dir, "generation"));
	for (i = 0; i < PCN_CHANNELS; i++) {
		read_port(v, k->kid, i);
		printf("%s\"%s\": ", i ? ",\n   " : "\n   ", pcn_channels[i]);
		json_counters(port_names, v, PORT_max);
	}
	fputs("}}", stdout);
}

/* Print all about links and groups as a JSON object. */
static void print_json(const struct pcn_kernel *k, size_t nr)
{
	uint64_t v[ARRAY_SIZE(group_names)];
	size_t i;

	printf("{\"self\": %d, \"links\": [", pcn_self());
	for (i = 0; i < nr; i++) {
		fputs(i ? ",\n  " : "\n  ", stdout);
		json_link(&k[i]);
	}
	fputs("],\n \"poll\": {", stdout);
	for (i = 0; i < ARRAY_SIZE(groups); i++) {
		read_group(v, i);
		printf("%s\"%s\": ", i ? ",\n  " : "\n  ", groups[i]);
		json_counters(group_names, v, ARRAY_SIZE(v));
	}
	puts("}}");
}

/*
 * Find the link to the kernel that an argument means. Returns an exit code, a
 * message if it is not PCN_DONE.
 */
static int find_link(struct pcn_kernel *found, const char *verb, const char *which)
{
	const struct pcn_kernel *k = pcn_find_peer(verb, which), *links;
	size_t i, nr;

	if (!k)
		return PCN_UNKNOWN;
	links = pcn_links(&nr);
	for (i = 0; i < nr; i++) {
		if (links[i].kid != k->kid)
			continue;
		*found = links[i];
		return PCN_DONE;
	}
	pcn_error("%s: %s: no messages yet, %s", pcn_label(k), verb,
		  k->kid == pcn_self() ? "it is this kernel itself" : "it was never up");
	return PCN_STATE;
}

/*
 * Find the links to the kernels of the command line. Returns their number, sets
 * *code if there are others.
 */
static size_t find_links(struct pcn_kernel *found, const struct pcn_call *c,
			 int *code)
{
	size_t nr = 0;
	int i, err;

	for (i = 0; i < c->argc; i++) {
		err = find_link(&found[nr], c->verb, c->argv[i]);
		if (err == PCN_DONE)
			nr++;
		else if (*code == PCN_DONE)
			*code = err;
	}
	return nr;
}

/* The first number that is no kernel's */
#define FIRST_PID	64

/*
 * The process that the command line means, 0 if it means kernels. These are named by
 * numbers below FIRST_PID, and names begin with no digit.
 */
static int find_process(const struct pcn_call *c)
{
	int pid = pcn_to_pid(c->pid ? c->pid : c->argc ? c->argv[0] : "");

	if (c->pid && !pid)
		pcn_die(PCN_USAGE, "stats: --pid: not the number of a process: '%s'", c->pid);
	if (!c->pid && pid < FIRST_PID)
		return 0;
	if (c->argc > !c->pid)
		pcn_die(PCN_USAGE, "stats: one argument too many: '%s'", c->argv[!c->pid]);
	return pid;
}

/**
 * pcn_cmd_stats() - popcorn stats
 * @c:	the command line
 *
 * Return: exit code: of the first kernel that there is nothing about.
 */
int pcn_cmd_stats(const struct pcn_call *c)
{
	struct pcn_kernel *some = NULL;
	const struct pcn_kernel *k;
	int code = PCN_DONE;
	size_t nr;
	int pid;

	pcn_kernels(&nr);	/* says so if there is no Popcorn at all */
	pid = find_process(c);
	if (c->hot && !pid)
		pcn_die(PCN_USAGE, "stats: --hot needs a process");
	if (pid)
		return c->hot ? pcn_hot_show(c, pid) : pcn_process_show(c, pid);
	k = pcn_links(&nr);
	if (c->argc) {
		some = pcn_grow(NULL, c->argc * sizeof(*some));
		nr = find_links(some, c, &code);
		k = some;
	}
	/* If none was found, that has been said, and there is nothing to show. */
	if (c->json && (nr || !c->argc))
		print_json(k, nr);
	else if (nr || !c->argc)
		print_tables(k, nr);
	free(some);
	return code;
}

// SPDX-License-Identifier: GPL-2.0
/* The transition tables, as the code has them, for the documentation. */
#include <string.h>

#include "check.h"

static const struct pcn_proto * const protos[] = {
	&pcn_proto_owner, &pcn_proto_vote
};

#define CELL	13

static void line(unsigned int columns)
{
	unsigned int i, j;

	for (i = 0; i < columns; i++) {
		for (j = 0; j < (i ? CELL : 5); j++)
			putchar('=');
		putchar(i + 1 < columns ? ' ' : '\n');
	}
}

static bool has_state(const struct pcn_proto *p, unsigned int state)
{
	unsigned int e;

	for (e = 0; e < PCN_EVENTS; e++)
		if (p->table[state][e])
			return true;
	return false;
}

static bool has_event(const struct pcn_proto *p, unsigned int event)
{
	unsigned int s;

	for (s = 0; s < PCN_STATES; s++)
		if (p->table[s][event])
			return true;
	return false;
}

static void print_part(const struct pcn_proto *p, unsigned int from,
		       unsigned int to)
{
	unsigned int s, e, columns = 1;

	for (e = from; e < to; e++)
		columns += has_event(p, e);
	line(columns);
	printf("%-5s", "state");
	for (e = from; e < to; e++)
		if (has_event(p, e))
			printf(" %-*s", CELL, pcn_event_name(e));
	putchar('\n');
	line(columns);
	for (s = 0; s < PCN_STATES; s++) {
		if (!has_state(p, s))
			continue;
		printf("%-5s", pcn_state_name(s));
		for (e = from; e < to; e++)
			if (has_event(p, e))
				printf(" %-*s", CELL,
				       p->rules[p->table[s][e]].name);
		putchar('\n');
	}
	line(columns);
	putchar('\n');
}

static void print_next(const struct pcn_rule *r)
{
	const char *comma = "";
	unsigned int s;

	printf(" -> ");
	if (r->next & PCN_SAME) {
		printf("same");
		comma = ", ";
	}
	for (s = 0; s < PCN_STATES; s++)
		if (r->next >> s & 1) {
			printf("%s%s", comma, pcn_state_name(s));
			comma = ", ";
		}
}

/* One arrow for each pair of states, with the rules that lead along it. */
static void print_arrow(const struct pcn_proto *p, unsigned int from,
			unsigned int to, const char *indent)
{
	const char *separator = "";
	bool used[256] = { };
	unsigned int e;

	for (e = 0; e < PCN_DROP; e++) {
		unsigned int rule = p->table[from][e];

		if (!rule || used[rule] || !(p->rules[rule].next >> to & 1))
			continue;
		if (!*separator)
			printf("%s    \"%s\" -> \"%s\" [label=\"", indent,
			       pcn_state_name(from), pcn_state_name(to));
		printf("%s%s", separator, p->rules[rule].name);
		separator = "\\n";
		used[rule] = true;
	}
	if (*separator)
		printf("\"]\n");
}

static void print_graph(const struct pcn_proto *p, const char *indent)
{
	unsigned int s, t;

	printf("%sdigraph %s {\n", indent, p->name);
	printf("%s    rankdir=LR\n%s    node [shape=circle]\n", indent, indent);
	for (s = 0; s < PCN_STATES; s++)
		for (t = 0; t < PCN_STATES; t++)
			if (s != t)
				print_arrow(p, s, t, indent);
	printf("%s}\n", indent);
}

int print_dot(const char *name)
{
	print_graph(pcn_proto_find(name), "");
	return 0;
}

static void print_proto(const struct pcn_proto *p)
{
	unsigned int i;

	printf(".. %s: transitions\n\n", p->name);
	print_part(p, 0, PCN_INVALID + 1);
	print_part(p, PCN_INVALID + 1, PCN_MESSAGES);
	print_part(p, PCN_MESSAGES, PCN_EVENTS);
	printf(".. kernel-render:: DOT\n   :alt: states of %s\n", p->name);
	printf("   :caption: What leads from one state of %s to another\n\n",
	       p->name);
	print_graph(p, "   ");
	printf("\n.. %s: rules\n\n", p->name);
	for (i = 1; i < p->rule_count; i++) {
		printf("%s\n    %s", p->rules[i].name, p->rules[i].text);
		print_next(&p->rules[i]);
		printf("\n\n");
	}
}

int print_tables(void)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		print_proto(protos[i]);
	return 0;
}

/* Cells that no move has used, and next states that none has led to. */
int print_unseen(const char *name)
{
	const struct pcn_proto *p = pcn_proto_find(name);
	unsigned int s, e, t;

	for (s = 0; s < PCN_STATES; s++)
		for (e = 0; e < PCN_EVENTS; e++) {
			unsigned int rule = p->table[s][e];

			if (!rule)
				continue;
			if (!seen_next[s][e])
				printf("never: %s in %s\n", pcn_event_name(e),
				       pcn_state_name(s));
			for (t = 0; t < PCN_STATES; t++)
				if (seen_next[s][e] && t != s &&
				    p->rules[rule].next >> t & 1 &&
				    !(seen_next[s][e] >> t & 1))
					printf("never: %s in %s to %s\n",
					       pcn_event_name(e),
					       pcn_state_name(s),
					       pcn_state_name(t));
		}
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - from the KERNEL of the command line to kernels
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "popcorn.h"

/*
 * Does this word name this kernel by its kid, written as the kernel writes it?
 */
static bool is_kid(const struct pcn_kernel *k, const char *which)
{
	char kid[16];

	snprintf(kid, sizeof(kid), "%d", k->kid);
	return !strcmp(kid, which);
}

/*
 * Make a list of the kernels for a message: of one name, or all if it is NULL.
 * Returns the text.
 */
static char *known_kernels(const char *name)
{
	const struct pcn_kernel *k;
	size_t i, nr, len = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		pcn_die(PCN_FAILED, "out of memory");
	k = pcn_kernels(&nr);
	for (i = 0; i < nr; i++)
		if (!name || !strcmp(k[i].name, name))
			fprintf(out, "%s%d (%s)", ftell(out) ? ", " : "",
				k[i].kid, k[i].name);
	fclose(out);
	return pcn_clean(text);
}

/**
 * pcn_find() - find a kernel by its kid or else by its name
 * @verb:	the command that asks, for messages
 * @which:	kid or name
 *
 * Return: the kernel; NULL after a message if there is none or if several
 * have that name.
 */
const struct pcn_kernel *pcn_find(const char *verb, const char *which)
{
	const struct pcn_kernel *found = NULL, *k;
	size_t i, nr, hits = 0;

	k = pcn_kernels(&nr);
	for (i = 0; i < nr; i++)
		if (is_kid(&k[i], which))
			return &k[i];
	for (i = 0; i < nr; i++) {
		if (strcmp(k[i].name, which))
			continue;
		found = &k[i];
		hits++;
	}
	if (!hits)
		pcn_error("%s: there is no kernel '%s'; there are: %s", verb,
			  which, known_kernels(NULL));
	if (hits > 1)
		pcn_error("%s: several kernels are named '%s', use the number: %s",
			  verb, which, known_kernels(which));
	return hits == 1 ? found : NULL;
}

/**
 * pcn_find_peer() - find a kernel to exchange messages with
 * @verb:	the command that asks, for messages
 * @which:	kid or name
 *
 * As pcn_find(), but a secondary, which knows only itself, takes any kid.
 *
 * Return: the kernel; NULL after a message if there is none or if several
 * have that name.
 */
const struct pcn_kernel *pcn_find_peer(const char *verb, const char *which)
{
	static struct pcn_kernel peer;
	static char no_name[1];
	int kid = pcn_to_kid(which), self = pcn_self();

	if (self <= 0 || kid < 0 || kid == self)
		return pcn_find(verb, which);
	peer = (struct pcn_kernel){ .kid = kid, .name = no_name };
	return &peer;
}

/*
 * Act on all secondary kernels in order. Returns the exit code of the first
 * failure.
 */
static int for_all(const struct pcn_call *c, pcn_action action)
{
	const struct pcn_kernel *k;
	size_t i, nr, done = 0;
	int code, first = PCN_DONE;

	k = pcn_kernels(&nr);
	for (i = 0; i < nr; i++) {
		if (k[i].kid == 0)
			continue;
		code = action(&k[i], c);
		if (first == PCN_DONE)
			first = code;
		done++;
	}
	if (done)
		return first;
	pcn_error("all: %s: no kernel is defined besides the primary; boot it with popcorn_kernel=",
		  c->verb);
	return PCN_UNKNOWN;
}

/*
 * Act on the kernel or kernels that one argument means. Returns the exit code.
 */
static int for_one(const struct pcn_call *c, const char *which, pcn_action action)
{
	const struct pcn_kernel *k;

	if (!strcmp(which, "all"))
		return for_all(c, action);
	k = pcn_find(c->verb, which);
	return k ? action(k, c) : PCN_UNKNOWN;
}

/**
 * pcn_for_each() - act on the kernels of the command line, one by one
 * @c:		the command line
 * @argc:	how many arguments are kernels; "all" means all secondaries
 * @action:	what to do with each; returns an exit code
 *
 * Goes on after a failure.
 *
 * Return: exit code of the first failure, PCN_DONE if there was none.
 */
int pcn_for_each(const struct pcn_call *c, int argc, pcn_action action)
{
	int i, code, first = PCN_DONE;

	for (i = 0; i < argc; i++) {
		code = for_one(c, c->argv[i], action);
		if (first == PCN_DONE)
			first = code;
	}
	return first;
}

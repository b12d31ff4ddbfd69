/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _CHECK_HOLD_SIM_H
#define _CHECK_HOLD_SIM_H

#include <linux/types.h>

#define HOLD_KERNELS	64
#define HOLD_PAGES	16

/* The worker looks at a page so late at most, ns. */
#define HOLD_LATE	50000

/**
 * struct hold_config - what is simulated
 * @name:	for the result
 * @kernels:	that share the pages
 * @threads:	on each of them
 * @pages:	that they contend for
 * @need:	pages that an instruction needs at once
 * @members:	kernels of the process, if there are others that do not want the pages; or 0
 * @mixed:	it needs 1 to @need of them
 * @ordered:	it uses them in the order of their numbers, otherwise in any order
 * @loop:	all instructions of a thread have the same address
 * @hammer:	all threads but the first of a kernel need one page at a time
 * @rewrite:	the first page is read, and then written
 * @rounds:	one change of the address space comes after the other
 * @reads:	percent of the pages are only read
 * @travel_us:	a request and the page that it gets take so long at most
 * @use_us:	a thread that was woken takes so long at most until it uses a page
 */
struct hold_config {
	const char *name;
	unsigned int kernels, threads, pages, need, members;
	bool mixed, ordered, loop, hammer, rewrite, rounds;
	unsigned int reads, travel_us, use_us;
};

/**
 * struct hold_result - what has happened
 * @done:	instructions completed
 * @waits:	requests that have got their page
 * @copies:	of them, with the page
 * @early:	of these, asked for before they were used there
 * @changes:	rounds
 * @faults:	the most faults of one instruction
 * @longest:	the longest time that an instruction has taken, ns, so far if it is not over
 * @kept:	the longest time that a page was kept for a thread, ns
 * @wait:	the longest time that a request has waited, ns
 * @change:	the longest time that a change was kept off, ns
 * @used:	share of the time that a page was with a thread that had come to use it
 */
struct hold_result {
	u64 done, waits, copies, early, changes;
	unsigned int faults;
	u64 longest, kept, wait, change;
	double used;
};

void hold_simulate(const struct hold_config *c, u64 seed, u64 ns, struct hold_result *r);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the program "cost" have in common: its options, its figures, and
 * its modes.
 */
#ifndef COST_H
#define COST_H

#include "bench.h"

struct cost {
	unsigned long	count;		/* -n */
	unsigned int	kid;		/* -k, the other kernel; 0 without */
};

extern struct cost cost;

/* The two threads of a team */
enum { HOME, AWAY };

/* What threads map: as much as a small stack has */
#define STACK	(16 * PAGE)

struct samples {
	uint64_t	*ns;
	size_t		count;
};

/* Touched by the thread that calls this, so that it costs nothing to store one. */
struct samples room_for(size_t most);

/* Prints the line "NAME VALUE". */
void print_median(const char *name, struct samples *s);

/* Runs @step @times times and prints the median of the times it took. */
void measure(const char *name, void (*step)(void), size_t times);

/* For what takes long: a tenth of COUNT, but some */
size_t some_times(void);

/* Moves the calling thread to kernel @to. Ends the program if that fails. */
void migrate(unsigned int to);

/* Keeps the calling thread on one CPU of one kernel. */
void run_on(int cpu);

/* cost_pages.c: one page, and the first use of much memory */
void run_fault(void);
void run_turns(void);
void run_touch(void);
void run_userfault(void);

/* cost_steps.c: steps of one thread */
void run_call(void);
void run_migrate(void);
void run_layout(void);
void run_signal(void);
void run_fork(void);
void run_protect(void);
void run_create(void);

/* cost_pairs.c: two threads */
void run_barrier(void);
void run_mutex(void);
void run_storm(void);
void run_futex(void);
void run_apart(void);

#endif

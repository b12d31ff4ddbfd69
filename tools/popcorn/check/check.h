/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _CHECK_CHECK_H
#define _CHECK_CHECK_H

#include "search.h"

/* suite.c: each prints TAP and returns the exit status. */
int suite_sound(const char *which, const struct limits *l);
int suite_seeds(const struct limits *l);
int take_out_rule(unsigned int seed);
int suite_flaws(const struct limits *l, bool verbose);

/* sim.c, count.c, tables.c */
int simulate(int argc, char **argv);
int count_messages(void);
int fuzz(void);
int print_tables(void);
int print_dot(const char *proto);
int print_unseen(const char *proto);

/* hold_suite.c */
int hold_suite(unsigned int seeds);
int hold_seeds(void);

/* mirror.c */
int mirror_sound(bool deep);
int mirror_mistakes(void);

/* tap.c */
void tap(bool right, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
int tap_end(void);

#endif

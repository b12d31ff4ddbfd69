/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Placing threads on kernels: the option -p KID,KID,... of all programs here.
 */
#ifndef PLACE_H
#define PLACE_H

#include <stdbool.h>

/* long popcorn_migrate(unsigned int kid, unsigned int flags) */
#define POPCORN_MIGRATE	548

/* The value of -p; ends the program if it is none. */
void place_parse(const char *list);

/* How many kernels the list has, 0 without -p. */
unsigned int place_count(void);

/* The kernel of thread @i; there is a list. */
unsigned int place_kid(unsigned int i);

/* Ends the program because of the error a migration to @kid has met. */
void place_failed(unsigned int kid, int error) __attribute__((noreturn));

/* Called by thread @i when it starts. Nothing without -p. */
void place_thread(unsigned int i);

#endif

// SPDX-License-Identifier: GPL-2.0
/*
 * Placing threads on kernels. With -p KID,KID,... thread i of a program moves
 * itself to kernel KID[i mod n] when it starts, by the system call
 * popcorn_migrate(). Without it a program calls nothing special: it is any
 * program with threads, which the placement policy of Popcorn may spread.
 */
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "place.h"

#define KIDS_MAX	256

static unsigned int kids[KIDS_MAX], kid_count;

void place_parse(const char *list)
{
	const char *at = list;
	char *end;

	kid_count = 0;
	do {
		unsigned long kid = strtoul(at, &end, 10);

		if (*at < '0' || *at > '9' || kid > 0xffff ||
		    (*end && *end != ',') || kid_count == KIDS_MAX)
			errx(2, "-p %s: not a list of kernels such as 0,1,2", list);
		kids[kid_count++] = kid;
		at = end + 1;
	} while (*end);
}

unsigned int place_count(void)
{
	return kid_count;
}

unsigned int place_kid(unsigned int i)
{
	return kids[i % kid_count];
}

/* All threads may fail at the same time: the first one speaks for them. */
void place_failed(unsigned int kid, int error)
{
	static bool said;

	if (__atomic_exchange_n(&said, true, __ATOMIC_ACQ_REL))
		for (;;)
			pause();
	errx(2, "cannot move to kernel %u by popcorn_migrate (system call %d): %s",
	     kid, POPCORN_MIGRATE, strerror(error));
}

void place_thread(unsigned int i)
{
	if (kid_count && syscall(POPCORN_MIGRATE, place_kid(i), 0) < 0)
		place_failed(place_kid(i), errno);
}

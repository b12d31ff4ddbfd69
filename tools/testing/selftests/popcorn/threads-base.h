/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of threads.c have in common.
 *
 * A test is a function that is called at home, goes to another kernel by leave(), does one
 * thing there, comes home by go(0), and says whether all was as it should be. Memory is
 * compared by stamps: words that follow from a seed and their place.
 */
#ifndef THREADS_BASE_H
#define THREADS_BASE_H

#include <errno.h>
#include <stdint.h>
#include <sys/wait.h>

#include "selftest.h"

/* Where nothing is; the compiler must not know. */
static char *volatile nowhere = (char *)8;

static int away[MAX_KERNELS] = { 1 };
static int kernels = 1;
static const char *self;

static int leave(void)
{
	return go(away[0]);
}

#define PAGES	64

static void stamp(char *p, size_t pages, uint64_t seed)
{
	size_t i;

	for (i = 0; i < pages * PAGE / 8; i++)
		((uint64_t *)p)[i] = seed + i * 0x9e3779b97f4a7c15;
}

static bool stamped(const char *p, size_t pages, uint64_t seed)
{
	size_t i;

	for (i = 0; i < pages * PAGE / 8; i++)
		if (((uint64_t *)p)[i] != seed + i * 0x9e3779b97f4a7c15)
			return false;
	return true;
}

static bool ends_with(pid_t child, int status)
{
	int got;

	return waitpid(child, &got, 0) == child && got == status;
}

#endif

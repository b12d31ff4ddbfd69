/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What an operation of fuzz-layout has to work with.
 */
#ifndef FUZZ_JOB_H
#define FUZZ_JOB_H

#include <fcntl.h>

#include "fuzz-model.h"
#include "fuzz-uring.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define MAX_THREADS	64
#define RUN		4U	/* pages of an operation at most */
#define COMB	256U	/* pages */
#define FAVOUR	5	/* how much more often what -o names is done */
#define BATCH	4	/* operations on a slot before a thread takes another */
#define DIRECT_PAGES	(2 * SLOTS)

struct worker {
	pthread_t	thread;
	int		number, kid;
	long		done;
	const char	*doing;
	char		*comb;		/* memory of its own, see do_comb() */
	unsigned int	teeth;
	bool		has_ring, no_ring;
	struct ring	ring;
	int		pipe[2];
	uint64_t	buffer[WORDS];
};

/* An operation with its choices */
struct job {
	struct worker	*w;
	struct slot	*s;
	uint64_t	rng;
	unsigned int	first, count;
	struct past	*past;
};

static struct worker workers[MAX_THREADS];
static int kids[MAX_KERNELS], kernels, threads;
static bool stay, injecting, stop;
static long most_operations = -1;
static int uffd = -1, source = -1, direct = -1, mem = -1;
static unsigned long refused;

static char *at(const struct job *j)
{
	return j->s->at + j->first * PAGE;
}

static size_t length(const struct job *j)
{
	return j->count * PAGE;
}

static struct page *page(const struct job *j, unsigned int i)
{
	return &j->s->pages[j->first + i];
}

/* done: what has come out, for the history */
static long done(struct job *j, const char *detail, long result)
{
	j->past->err = result == -1 ? errno : 0;
	j->past->detail = detail;
	j->past->result = result;
	return result;
}

/* must: the call was to have this result */
static void must(struct job *j, bool ok, const char *text)
{
	if (!ok && !injecting)
		wrong(j->s, j->first, NULL, "%s", text);
}

/* mapped: how many pages of the range are, from its beginning to the first hole */
static unsigned int mapped(const struct job *j)
{
	unsigned int n = 0;

	while (n < j->count && page(j, n)->mapped)
		n++;
	return n;
}

/* probe: a call has failed, after it may have unmapped pages */
static void probe(struct job *j, unsigned int first, unsigned int count)
{
	unsigned char resident;
	unsigned int i;

	for (i = first; i < first + count; i++)
		if (mincore(j->s->at + i * PAGE, PAGE, &resident) && errno == ENOMEM)
			set_unmapped(&j->s->pages[i]);
}

#endif

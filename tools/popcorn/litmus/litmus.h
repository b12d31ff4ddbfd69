/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the litmus tests have in common: see litmus.c for the idea.
 */
#ifndef LITMUS_H
#define LITMUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VARIABLES	4
#define REGISTERS	4
#define FINALS		2
#define TEST_THREADS	64

/* What a result is if it is none that may be there, such as a stale value */
#define WRONG		255

enum layout {
	SAME,		/* the variables of an instance are on one page */
	APART,		/* each is on another one */
};

/* What a thread knows of the batch it runs */
struct view {
	unsigned int	me, threads;
	unsigned int	role;		/* changes with each batch */
	enum layout	layout;
	uint32_t	batch;
	size_t		count;		/* of instances */
	char		*memory;
	char		*variable[VARIABLES];
	uint8_t		*result[REGISTERS];
	uint8_t		last[VARIABLES];	/* of the batch before, 0: unknown */
};

/* What a thread has found */
struct tally {
	uint64_t	forbidden, allowed;
	uint64_t	*outcomes;	/* how often each was there */
};

/* What registers and variables are in the end */
struct outcome {
	uint8_t		r[REGISTERS];
	uint8_t		f[FINALS];
};

typedef void (*role_fn)(const struct view *v);

/* A test of the order of loads and stores: up to four short programs */
struct order {
	unsigned int	registers, finals;
	role_fn		role[4];
	uint8_t		owner[REGISTERS];	/* the role whose register it is */
	uint8_t		last[VARIABLES];	/* the value in the end if it is sure */
	bool		(*forbidden)(const struct outcome *o);
	bool		(*allowed)(const struct outcome *o);
};

struct test {
	const char	*name;
	unsigned int	threads;	/* 0: as many as -t says */
	unsigned int	variables;	/* 1: there is only one layout */
	bool		by_name;	/* only if it is asked for */
	unsigned int	cost;		/* so many times fewer rounds */
	const struct order *order;	/* or the two functions */
	void		(*run)(const struct view *v);
	void		(*check)(const struct view *v, struct tally *t);
	/* The bytes of @count instances, if they are not variables of 4 bytes */
	size_t		(*size)(size_t count, unsigned int threads);
};

extern const struct test order_tests[], count_tests[];
extern const unsigned int order_test_count, count_test_count;

/* How instances lie in memory: a power of two of them on each page */
struct placing {
	unsigned int	stride, per_page, shift;
};

extern struct placing placing;

/* Where instance @i is, from its variable's beginning on. */
static inline size_t offset_of(size_t i)
{
	return (i >> placing.shift << 12) +
	       (i & (placing.per_page - 1)) * placing.stride;
}

#define for_each_instance(v, i, at)					\
	for ((i) = 0, (at) = 0; (i) < (v)->count; (i)++, (at) = offset_of(i))

/* Instances first to end - 1 are those whose results thread @me looks at. */
static inline size_t first_to_check(const struct view *v)
{
	return v->count * v->me / v->threads;
}

static inline size_t end_to_check(const struct view *v)
{
	return v->count * (v->me + 1) / v->threads;
}

static inline uint32_t *word_at(const struct view *v, unsigned int variable,
				size_t at)
{
	return (uint32_t *)(v->variable[variable] + at);
}

/* The results of thread @thread. */
uint8_t *results_of(unsigned int thread, unsigned int reg);

void check_order(const struct order *o, const struct view *v, struct tally *t);
void judge_order(const struct test *test, struct tally *t, bool verbose);
size_t order_outcomes(void);

#endif

// SPDX-License-Identifier: GPL-2.0
/*
 * Litmus tests of the order of loads and stores. The names are those of the
 * literature: Sewell, Sarkar, Owens, Zappa Nardelli and Myreen, x86-TSO: A Rigorous
 * and Usable Programmer's Model for x86 Multiprocessors, CACM 53 (2010); Alglave,
 * Maranget and Tautschnig, Herding Cats, TOPLAS 36 (2014).
 *
 * A batch has values of its own, 4 (batch + 1) + 1 and + 2, so nothing is reset
 * between batches, and a value that comes from further back than the end of the
 * last batch is told from an old one that may be read: it is WRONG. In the
 * judgements below 1 and 2 are these values, and 0 is the one before.
 *
 * The test "MP+swapped" has its stores in the wrong order: it runs by its name only,
 * and must fail.
 *
 * Accesses are relaxed atomic ones, a mov each, and the compiler is kept from
 * changing their order.
 */
#include <sched.h>
#include <stdio.h>

#include "litmus.h"

#define X	0
#define Y	1

#define OUTCOMES	(3 * 3 * 3 * 3 * 3 * 3)

static inline void compiler_barrier(void)
{
	__asm__ volatile("" : : : "memory");
}

static inline uint32_t base_of(const struct view *v)
{
	return 4 * (v->batch + 1);
}

static inline void store(const struct view *v, unsigned int variable, size_t at,
			 uint32_t value)
{
	__atomic_store_n(word_at(v, variable, at), base_of(v) + value,
			 __ATOMIC_RELAXED);
	compiler_barrier();
}

static inline void exchange(const struct view *v, unsigned int variable,
			    size_t at, uint32_t value)
{
	__atomic_exchange_n(word_at(v, variable, at), base_of(v) + value,
			    __ATOMIC_SEQ_CST);
	compiler_barrier();
}

static inline void fence(void)
{
	__asm__ volatile("mfence" : : : "memory");
}

static inline uint32_t load(const struct view *v, unsigned int variable, size_t at)
{
	uint32_t value = __atomic_load_n(word_at(v, variable, at),
					 __ATOMIC_RELAXED);

	compiler_barrier();
	return value;
}

/* 0 for the old value, 1 or 2 for those of this batch. */
static inline uint8_t classify(const struct view *v, unsigned int variable,
			       uint32_t value)
{
	uint32_t change = value - base_of(v), old = change + 4;

	if (change == 1 || change == 2)
		return change;
	if (v->last[variable] ? old == v->last[variable] : old == 1 || old == 2)
		return 0;
	return WRONG;
}

static inline void keep(const struct view *v, unsigned int reg, size_t i,
			unsigned int variable, uint32_t value)
{
	v->result[reg][i] = classify(v, variable, value);
}

/* Two loads, one after the other: what is done with them comes later. */
static inline void load_two(const struct view *v, size_t i, size_t at,
			    unsigned int reg, unsigned int first,
			    unsigned int second)
{
	uint32_t a = load(v, first, at);
	uint32_t b = load(v, second, at);

	keep(v, reg, i, first, a);
	keep(v, reg + 1, i, second, b);
}

static inline void load_one(const struct view *v, size_t i, size_t at,
			    unsigned int reg, unsigned int variable)
{
	keep(v, reg, i, variable, load(v, variable, at));
}

/* What a thread does with each instance: names (v, i, at) are there. */
#define ROLE(name, ...)							\
static void name(const struct view *v)					\
{									\
	size_t i, at;							\
									\
	for_each_instance(v, i, at) {					\
		__VA_ARGS__;						\
	}								\
}

ROLE(store_x, store(v, X, at, 1))
ROLE(store_y, store(v, Y, at, 1))
ROLE(store_x2, store(v, X, at, 2))
ROLE(store_x_store_y, store(v, X, at, 1); store(v, Y, at, 1))
ROLE(store_x_store_x2, store(v, X, at, 1); store(v, X, at, 2))
ROLE(store_x2_store_y, store(v, X, at, 2); store(v, Y, at, 1))
ROLE(store_x_store_y2, store(v, X, at, 1); store(v, Y, at, 2))
ROLE(store_y_store_x2, store(v, Y, at, 1); store(v, X, at, 2))

ROLE(load_y_load_x, load_two(v, i, at, 0, Y, X))
ROLE(load_x_load_x, load_two(v, i, at, 0, X, X))
ROLE(load_x_load_y, load_two(v, i, at, 0, X, Y))
ROLE(load_y_load_x_2, load_two(v, i, at, 2, Y, X))
ROLE(load_x_load_x_2, load_two(v, i, at, 2, X, X))
ROLE(load_y_load_x_1, load_two(v, i, at, 1, Y, X))

ROLE(store_x_load_y, store(v, X, at, 1); load_one(v, i, at, 0, Y))
ROLE(store_y_load_x, store(v, Y, at, 1); load_one(v, i, at, 1, X))
ROLE(store_y2_load_x, store(v, Y, at, 2); load_one(v, i, at, 0, X))
ROLE(store_x_fence_load_y, store(v, X, at, 1); fence(); load_one(v, i, at, 0, Y))
ROLE(store_y_fence_load_x, store(v, Y, at, 1); fence(); load_one(v, i, at, 1, X))
ROLE(store_x_fence_store_y, store(v, X, at, 1); fence(); store(v, Y, at, 1))
ROLE(store_y2_fence_load_x, store(v, Y, at, 2); fence(); load_one(v, i, at, 0, X))
ROLE(exchange_x_load_y, exchange(v, X, at, 1); load_one(v, i, at, 0, Y))
ROLE(exchange_y_load_x, exchange(v, Y, at, 1); load_one(v, i, at, 1, X))
ROLE(store_x_load_x, store(v, X, at, 1); load_one(v, i, at, 0, X))
ROLE(store_x2_load_x, store(v, X, at, 2); load_one(v, i, at, 1, X))
ROLE(store_x_load_x_load_y, store(v, X, at, 1); load_two(v, i, at, 0, X, Y))
ROLE(store_y_load_y_load_x, store(v, Y, at, 1); load_two(v, i, at, 2, Y, X))

/* The value that is stored does not depend on what was loaded: no need to. */
ROLE(load_x_store_y, uint32_t a = load(v, X, at); store(v, Y, at, 1);
	keep(v, 0, i, X, a))
ROLE(load_y_store_x, uint32_t a = load(v, Y, at); store(v, X, at, 1);
	keep(v, 1, i, Y, a))
ROLE(load_y_store_x_0, uint32_t a = load(v, Y, at); store(v, X, at, 1);
	keep(v, 0, i, Y, a))

static void pause_at_some(size_t i)
{
	if (i % 64 == 0)
		sched_yield();
}

/* Wrong on purpose, and now and then so slowly that somebody must see it. */
ROLE(store_y_pause_store_x, store(v, Y, at, 1); pause_at_some(i);
	store(v, X, at, 1))

static bool never(const struct outcome *o)
{
	(void)o;
	return false;
}

/* The second load was before the first one, or the threads only overlapped. */
static bool new_then_old(const struct outcome *o)
{
	return o->r[0] && !o->r[1];
}

static bool old_then_new(const struct outcome *o)
{
	return !o->r[0] && o->r[1];
}

static bool both_old(const struct outcome *o)
{
	return !o->r[0] && !o->r[1];
}

static bool both_new(const struct outcome *o)
{
	return o->r[0] && o->r[1];
}

/* The two readers disagree on which store was first. */
static bool iriw_forbidden(const struct outcome *o)
{
	return o->r[0] && !o->r[1] && o->r[2] && !o->r[3];
}

static bool iriw_allowed(const struct outcome *o)
{
	return !o->r[0] && o->r[1] && !o->r[2] && o->r[3];
}

static bool wrc_forbidden(const struct outcome *o)
{
	return o->r[0] && o->r[1] && !o->r[2];
}

static bool wrc_allowed(const struct outcome *o)
{
	return !o->r[0] && !o->r[1] && o->r[2];
}

static bool coww_forbidden(const struct outcome *o)
{
	return o->r[0] > o->r[1] || o->f[X] != 2;
}

static bool coww_allowed(const struct outcome *o)
{
	return o->r[0] == 1 || o->r[1] == 1;
}

/* Both store, then load: never what was before one's own store. */
static bool cowr_forbidden(const struct outcome *o)
{
	return !o->r[0] || !o->r[1] || (o->r[0] == 2 && o->f[X] != 2) ||
	       (o->r[1] == 1 && o->f[X] != 1);
}

static bool cowr_allowed(const struct outcome *o)
{
	return o->r[0] == 2 || o->r[1] == 1;
}

static bool goes_back(uint8_t first, uint8_t second)
{
	return first && !second;
}

/* There is one order of the two stores to a variable, and its end is the last. */
static bool is_order(uint8_t first, uint8_t second)
{
	return first && second && first != second;
}

static bool corr2_forbidden(const struct outcome *o)
{
	return goes_back(o->r[0], o->r[1]) || goes_back(o->r[2], o->r[3]) ||
	       (is_order(o->r[0], o->r[1]) && o->r[1] != o->f[X]) ||
	       (is_order(o->r[2], o->r[3]) && o->r[3] != o->f[X]);
}

static bool corr2_allowed(const struct outcome *o)
{
	return is_order(o->r[0], o->r[1]) || is_order(o->r[2], o->r[3]);
}

static bool s_forbidden(const struct outcome *o)
{
	return o->r[0] && o->f[X] == 2;
}

static bool s_allowed(const struct outcome *o)
{
	return !o->r[0] && o->f[X] == 1;
}

static bool r_old(const struct outcome *o)
{
	return o->f[Y] == 2 && !o->r[0];
}

static bool r_new(const struct outcome *o)
{
	return o->f[Y] == 1 && o->r[0];
}

static bool both_first(const struct outcome *o)
{
	return o->f[X] == 1 && o->f[Y] == 1;
}

static bool both_second(const struct outcome *o)
{
	return o->f[X] == 2 && o->f[Y] == 2;
}

static bool own_store_missed(const struct outcome *o)
{
	return !o->r[0] || !o->r[2];
}

static bool others_store_missed(const struct outcome *o)
{
	return !o->r[1] && !o->r[3];
}

static const struct order mp = {
	2, 0, { store_x_store_y, load_y_load_x }, { 1, 1 }, { 1, 1 },
	new_then_old, old_then_new,
};

static const struct order mp_swapped = {
	2, 0, { store_y_pause_store_x, load_y_load_x }, { 1, 1 }, { 1, 1 },
	new_then_old, old_then_new,
};

static const struct order sb = {
	2, 0, { store_x_load_y, store_y_load_x }, { 0, 1 }, { 1, 1 },
	never, both_old,
};

static const struct order sb_fences = {
	2, 0, { store_x_fence_load_y, store_y_fence_load_x }, { 0, 1 }, { 1, 1 },
	both_old, both_new,
};

static const struct order sb_exchanges = {
	2, 0, { exchange_x_load_y, exchange_y_load_x }, { 0, 1 }, { 1, 1 },
	both_old, both_new,
};

static const struct order sb_forward = {
	4, 0, { store_x_load_x_load_y, store_y_load_y_load_x }, { 0, 0, 1, 1 },
	{ 1, 1 }, own_store_missed, others_store_missed,
};

static const struct order lb = {
	2, 0, { load_x_store_y, load_y_store_x }, { 0, 1 }, { 1, 1 },
	both_new, both_old,
};

static const struct order iriw = {
	4, 0, { store_x, store_y, load_x_load_y, load_y_load_x_2 },
	{ 2, 2, 3, 3 }, { 1, 1 }, iriw_forbidden, iriw_allowed,
};

static const struct order wrc = {
	3, 0, { store_x, load_x_store_y, load_y_load_x_1 }, { 1, 2, 2 },
	{ 1, 1 }, wrc_forbidden, wrc_allowed,
};

static const struct order corr = {
	2, 0, { store_x, load_x_load_x }, { 1, 1 }, { 1 },
	new_then_old, old_then_new,
};

static const struct order coww = {
	2, 1, { store_x_store_x2, load_x_load_x }, { 1, 1 }, { 2 },
	coww_forbidden, coww_allowed,
};

static const struct order cowr = {
	2, 1, { store_x_load_x, store_x2_load_x }, { 0, 1 }, { 0 },
	cowr_forbidden, cowr_allowed,
};

static const struct order corr2 = {
	4, 1, { store_x, store_x2, load_x_load_x, load_x_load_x_2 },
	{ 2, 2, 3, 3 }, { 0 }, corr2_forbidden, corr2_allowed,
};

static const struct order s = {
	1, 1, { store_x2_store_y, load_y_store_x_0 }, { 1 }, { 0, 1 },
	s_forbidden, s_allowed,
};

static const struct order r = {
	1, 2, { store_x_store_y, store_y2_load_x }, { 1 }, { 1, 0 },
	never, r_old,
};

static const struct order r_fences = {
	1, 2, { store_x_fence_store_y, store_y2_fence_load_x }, { 1 }, { 1, 0 },
	r_old, r_new,
};

static const struct order two_by_two = {
	0, 2, { store_x_store_y2, store_y_store_x2 }, { 0 }, { 0, 0 },
	both_first, both_second,
};

const struct test order_tests[] = {
	{ "MP", 2, 2, .order = &mp },
	{ "SB", 2, 2, .order = &sb },
	{ "SB+mfences", 2, 2, .order = &sb_fences },
	{ "SB+xchgs", 2, 2, .order = &sb_exchanges },
	{ "SB+rfis", 2, 2, .order = &sb_forward },
	{ "LB", 2, 2, .order = &lb },
	{ "IRIW", 4, 2, .order = &iriw },
	{ "WRC", 3, 2, .order = &wrc },
	{ "S", 2, 2, .order = &s },
	{ "R", 2, 2, .order = &r },
	{ "R+mfences", 2, 2, .order = &r_fences },
	{ "2+2W", 2, 2, .order = &two_by_two },
	{ "CoRR", 2, 1, .order = &corr },
	{ "CoWW", 2, 1, .order = &coww },
	{ "CoWR", 2, 1, .order = &cowr },
	{ "CoRR2", 4, 1, .order = &corr2 },
	{ "MP+swapped", 2, 2, .by_name = true, .order = &mp_swapped },
};

const unsigned int order_test_count = sizeof(order_tests) / sizeof(*order_tests);

size_t order_outcomes(void)
{
	return OUTCOMES;
}

/* The number of an outcome has its results as digits to the base of 3. */
static struct outcome split_outcome(unsigned int number)
{
	struct outcome o;
	unsigned int k;

	for (k = 0; k < FINALS; k++, number /= 3)
		o.f[k] = number % 3;
	for (k = 0; k < REGISTERS; k++, number /= 3)
		o.r[k] = number % 3;
	return o;
}

/* The thread that had role @role in the batch. */
static unsigned int thread_of(const struct view *v, unsigned int role)
{
	return (role + v->threads - v->batch % v->threads) % v->threads;
}

static void collect_results(const struct order *o, const struct view *v,
			    const uint8_t **results)
{
	unsigned int k;

	for (k = 0; k < o->registers; k++)
		results[k] = results_of(thread_of(v, o->owner[k]), k);
}

/* Return: OUTCOMES if one of the results is WRONG. */
static unsigned int outcome_of(const struct order *o, const struct view *v,
			       const uint8_t **results, size_t i)
{
	unsigned int k, outcome = 0, wrong = 0;

	for (k = o->registers; k-- > 0;) {
		outcome = outcome * 3 + results[k][i];
		wrong |= results[k][i] == WRONG;
	}
	for (k = FINALS; k-- > 0;) {
		uint8_t last = 0;

		if (k < o->finals)
			last = classify(v, k, load(v, k, offset_of(i)));
		/* In the end, the value of the batch before is wrong, too. */
		wrong |= k < o->finals && (last == WRONG || !last);
		outcome = outcome * 3 + last;
	}
	return wrong ? OUTCOMES : outcome;
}

void check_order(const struct order *o, const struct view *v, struct tally *t)
{
	const uint8_t *results[REGISTERS];
	size_t i, end = end_to_check(v);

	collect_results(o, v, results);
	for (i = first_to_check(v); i < end; i++) {
		unsigned int outcome = outcome_of(o, v, results, i);

		if (outcome == OUTCOMES)
			t->forbidden++;
		else
			t->outcomes[outcome]++;
	}
}

static void print_outcome(const struct order *o, const struct outcome *seen,
			  uint64_t count, const char *word)
{
	unsigned int k;

	printf("#");
	for (k = 0; k < o->registers; k++)
		printf(" r%u=%u", k, seen->r[k]);
	for (k = 0; k < o->finals; k++)
		printf(" %c=%u", "XY"[k], seen->f[k]);
	printf(": %llu%s\n", (unsigned long long)count, word);
}

/* From how often each outcome was there to how often one that counts. */
void judge_order(const struct test *test, struct tally *t, bool verbose)
{
	const struct order *o = test->order;
	unsigned int i;

	for (i = 0; i < OUTCOMES; i++) {
		struct outcome seen = split_outcome(i);
		bool forbidden, allowed;

		if (!t->outcomes[i])
			continue;
		forbidden = o->forbidden(&seen);
		allowed = !forbidden && o->allowed(&seen);
		t->forbidden += forbidden ? t->outcomes[i] : 0;
		t->allowed += allowed ? t->outcomes[i] : 0;
		if (verbose || forbidden)
			print_outcome(o, &seen, t->outcomes[i],
				      forbidden ? " forbidden" :
				      allowed ? " allowed" : "");
	}
}

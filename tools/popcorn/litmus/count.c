// SPDX-License-Identifier: GPL-2.0
/*
 * Litmus tests that count: atomic instructions, data of several threads on one
 * page, and accesses that need two pages at the same time.
 *
 *	XADD		each thread adds 1 by lock xadd: all get another number
 *	CMPXCHG		each tries to be the one: a single one is, all know which
 *	LOCK		a counter that a spinlock (xchg, mov) protects
 *	FALSE		each thread counts in bytes of its own beside the others'
 *	CROSS		8 bytes across a page border: each byte is old or new
 *	MOVS		rep movsb into and out of a range across a page border,
 *			while all write elsewhere on both pages; in every second
 *			batch it goes backwards
 *	MOVS2		rep movsq from one such page to another one
 *	SPLIT		lock xadd across a page border (only by its name: on some
 *			machines it is slow or a SIGBUS on purpose)
 *	XADD+unlocked	a load and a store instead (by its name: must fail)
 *	FALSE+words	counts by words, others' bytes included (the same)
 *
 * "Same" means for CROSS, MOVS and SPLIT that the border is one of cache lines
 * inside of a page, for FALSE and MOVS2 that the bytes are on one page.
 */
#include <sched.h>
#include <string.h>

#include "litmus.h"

#define PAGE		4096UL
#define LINE		64
#define COST		64	/* of an instance that has pages of its own */
#define RANGE		512
#define STRIPE		32

static void record(const struct view *v, size_t i, uint8_t result)
{
	v->result[0][i] = result;
}

/* XADD */

/* Now and then somebody else comes in between. */
static uint32_t add_slowly(uint32_t *word, size_t i)
{
	uint32_t value = __atomic_load_n(word, __ATOMIC_RELAXED);

	if (i % 64 == 0)
		sched_yield();
	__atomic_store_n(word, value + 1, __ATOMIC_RELAXED);
	return value;
}

/* The counter was at batch times threads, so this thread's number is from there. */
static inline void add_to_all(const struct view *v, bool locked)
{
	uint32_t base = v->batch * v->threads, number;
	size_t i, at;

	for_each_instance(v, i, at) {
		uint32_t *word = word_at(v, 0, at);

		if (locked)
			number = __atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
		else
			number = add_slowly(word, i);
		number -= base;
		record(v, i, number < v->threads ? number : WRONG);
	}
}

static void run_xadd(const struct view *v)
{
	add_to_all(v, true);
}

static void run_xadd_unlocked(const struct view *v)
{
	add_to_all(v, false);
}

/* All threads have other numbers, and together all there are. */
static bool numbers_differ(const struct view *v, size_t i)
{
	uint64_t seen = 0;
	unsigned int k;

	for (k = 0; k < v->threads; k++) {
		uint8_t number = results_of(k, 0)[i];

		if (number == WRONG)
			return false;
		seen |= 1ULL << number;
	}
	return seen == ~0ULL >> (64 - v->threads);
}

/* Allowed: thread 0 came to another place than at the instance before. */
static void check_xadd(const struct view *v, struct tally *t)
{
	uint32_t wanted = (v->batch + 1) * v->threads;
	size_t i, end = end_to_check(v);

	for (i = first_to_check(v); i < end; i++) {
		uint32_t *word = word_at(v, 0, offset_of(i));

		if (__atomic_load_n(word, __ATOMIC_RELAXED) != wanted ||
		    !numbers_differ(v, i))
			t->forbidden++;
		else if (i && results_of(0, 0)[i] != results_of(0, 0)[i - 1])
			t->allowed++;
		/* What is lost is lost once: the next batch shall be right. */
		__atomic_store_n(word, wanted, __ATOMIC_RELAXED);
	}
}

/* CMPXCHG */

/* The number of the batch, and whose it is */
static uint32_t claim_of(const struct view *v, unsigned int thread)
{
	return (v->batch + 1) << 8 | (thread + 1);
}

/* Whose claim it is, from 1 on; 0 for one of the batch before. */
static uint8_t owner_of(const struct view *v, uint32_t claim)
{
	if (claim >> 8 == v->batch)
		return 0;
	return claim >> 8 == v->batch + 1 ? claim & 255 : WRONG;
}

static uint8_t try_claim(const struct view *v, uint32_t *word)
{
	uint32_t old = __atomic_load_n(word, __ATOMIC_RELAXED);
	uint8_t owner = owner_of(v, old);

	if (owner)
		return owner;
	if (__atomic_compare_exchange_n(word, &old, claim_of(v, v->me), false,
					__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return v->me + 1;
	owner = owner_of(v, old);
	return owner ? owner : WRONG;
}

static void run_cmpxchg(const struct view *v)
{
	size_t i, at;

	for_each_instance(v, i, at)
		record(v, i, try_claim(v, word_at(v, 0, at)));
}

/* Allowed: the owner is another one than at the instance before. */
static void check_cmpxchg(const struct view *v, struct tally *t)
{
	size_t i, end = end_to_check(v);
	unsigned int k;

	for (i = first_to_check(v); i < end; i++) {
		uint8_t owner = results_of(0, 0)[i];
		uint32_t claim = __atomic_load_n(word_at(v, 0, offset_of(i)),
						 __ATOMIC_RELAXED);
		bool right = owner >= 1 && owner <= v->threads &&
			     claim == claim_of(v, owner - 1);

		for (k = 1; k < v->threads; k++)
			right &= results_of(k, 0)[i] == owner;
		t->forbidden += !right;
		t->allowed += right && i && results_of(0, 0)[i - 1] != owner;
	}
}

/* LOCK */

static unsigned int lock(uint32_t *word)
{
	unsigned int spins = 0;

	while (__atomic_exchange_n(word, 1, __ATOMIC_ACQUIRE)) {
		while (__atomic_load_n(word, __ATOMIC_RELAXED)) {
			if (++spins % 100 == 0)
				sched_yield();
			__builtin_ia32_pause();
		}
	}
	return spins;
}

static void run_lock(const struct view *v)
{
	size_t i, at;

	for_each_instance(v, i, at) {
		uint32_t *word = word_at(v, 0, at);
		unsigned int spins = lock(word);

		(*word_at(v, 1, at))++;
		__atomic_store_n(word, 0, __ATOMIC_RELEASE);
		record(v, i, spins > 0);
	}
}

/* Allowed: somebody had to wait. */
static void check_lock(const struct view *v, struct tally *t)
{
	uint32_t wanted = (v->batch + 1) * v->threads;
	size_t i, end = end_to_check(v);
	unsigned int k;

	for (i = first_to_check(v); i < end; i++) {
		bool waited = false;

		for (k = 0; k < v->threads; k++)
			waited |= results_of(k, 0)[i];
		if (*word_at(v, 1, offset_of(i)) != wanted)
			t->forbidden++;
		else
			t->allowed += waited;
	}
}

/* FALSE */

static size_t whole_pages(size_t size)
{
	return (size + PAGE - 1) / PAGE * PAGE;
}

static size_t size_false(size_t count, unsigned int threads)
{
	return whole_pages(count) * threads;
}

static uint8_t *byte_of(const struct view *v, unsigned int thread, size_t i)
{
	char *memory = v->memory;

	if (v->layout == SAME)
		return (uint8_t *)memory + i * v->threads + thread;
	return (uint8_t *)memory + thread * whole_pages(v->count) + i;
}

static void run_false(const struct view *v)
{
	size_t i;

	for (i = 0; i < v->count; i++) {
		uint8_t *byte = byte_of(v, v->me, i);
		uint8_t now = __atomic_load_n(byte, __ATOMIC_RELAXED);

		__atomic_store_n(byte, now + 1, __ATOMIC_RELAXED);
	}
}

/* The word that a byte is in, so that what others do there gets lost. */
static void run_false_words(const struct view *v)
{
	size_t i;

	for (i = 0; i < v->count; i++) {
		uintptr_t byte = (uintptr_t)byte_of(v, v->me, i);
		uint64_t *word = (uint64_t *)(byte & ~7UL);
		uint64_t now = __atomic_load_n(word, __ATOMIC_RELAXED);

		if (i % 64 == 0)
			sched_yield();
		__atomic_store_n(word, now + (1ULL << byte % 8 * 8),
				 __ATOMIC_RELAXED);
	}
}

/* Each looks at another one's bytes. */
static void check_false(const struct view *v, struct tally *t)
{
	unsigned int other = (v->me + 1) % v->threads;
	size_t i;

	for (i = 0; i < v->count; i++) {
		uint8_t *byte = byte_of(v, other, i), wanted = v->batch + 1;

		t->forbidden += __atomic_load_n(byte, __ATOMIC_RELAXED) != wanted;
		__atomic_store_n(byte, wanted, __ATOMIC_RELAXED);
	}
}

/* What needs two pages: each instance has two of its own. */

static size_t size_pages(size_t count, unsigned int threads)
{
	(void)threads;
	return count * 2 * PAGE;
}

static uint8_t *border_of(const struct view *v, size_t i)
{
	size_t border = v->layout == SAME ? PAGE / 2 : PAGE;

	return (uint8_t *)v->memory + i * 2 * PAGE + border;
}

static uint8_t new_byte(const struct view *v)
{
	return v->batch + 1;
}

/* 0: all old, 1: all new, 2: a mixture, WRONG: something else. */
static uint8_t classify_bytes(const struct view *v, const uint8_t *bytes,
			      size_t size)
{
	uint8_t new = new_byte(v), old = new - 1;
	size_t i, news = 0;

	for (i = 0; i < size; i++) {
		if (bytes[i] != new && bytes[i] != old)
			return WRONG;
		news += bytes[i] == new;
	}
	return !news ? 0 : news == size ? 1 : 2;
}

/* Allowed: a reader has found a mixture. */
static void check_readers(const struct view *v, struct tally *t, size_t i,
			  bool right)
{
	bool mixed = false;
	unsigned int k;

	for (k = 0; k < v->threads; k++) {
		uint8_t result = results_of(k, 0)[i];

		right &= result != WRONG;
		mixed |= result == 2;
	}
	t->forbidden += !right;
	t->allowed += right && mixed;
}

/* CROSS */

static uint8_t *crossing_of(const struct view *v, size_t i)
{
	return border_of(v, i) - 1 - i % 7;
}

static inline uint64_t load_unaligned(const uint8_t *at)
{
	uint64_t value;

	__asm__ volatile("movq (%1), %0" : "=r" (value) : "r" (at) : "memory");
	return value;
}

static inline void store_unaligned(uint8_t *at, uint64_t value)
{
	__asm__ volatile("movq %1, (%0)" : : "r" (at), "r" (value) : "memory");
}

static void run_cross(const struct view *v)
{
	uint64_t value, new = new_byte(v) * 0x0101010101010101ULL;
	size_t i;

	for (i = 0; i < v->count; i++) {
		uint8_t *at = crossing_of(v, i);

		if (!v->role)
			store_unaligned(at, new);
		value = load_unaligned(at);
		record(v, i, classify_bytes(v, (uint8_t *)&value, 8));
	}
}

static void check_cross(const struct view *v, struct tally *t)
{
	size_t i, end = end_to_check(v);

	for (i = first_to_check(v); i < end; i++) {
		uint64_t value = load_unaligned(crossing_of(v, i));

		check_readers(v, t, i,
			      classify_bytes(v, (uint8_t *)&value, 8) == 1);
	}
}

/* SPLIT */

static void run_split(const struct view *v)
{
	size_t i;

	for (i = 0; i < v->count; i++)
		__asm__ volatile("lock addq $1, (%0)"
				 : : "r" (crossing_of(v, i)) : "memory", "cc");
}

static void check_split(const struct view *v, struct tally *t)
{
	uint64_t wanted = (v->batch + 1ULL) * v->threads;
	size_t i, end = end_to_check(v);

	for (i = first_to_check(v); i < end; i++)
		t->forbidden += load_unaligned(crossing_of(v, i)) != wanted;
}

/* MOVS */

static void copy_bytes(uint8_t *to, const uint8_t *from, size_t size, bool back)
{
	if (!back) {
		__asm__ volatile("rep movsb"
				 : "+D" (to), "+S" (from), "+c" (size)
				 : : "memory");
		return;
	}
	to += size - 1;
	from += size - 1;
	__asm__ volatile("std; rep movsb; cld"
			 : "+D" (to), "+S" (from), "+c" (size)
			 : : "memory", "cc");
}

static uint8_t *range_of(const struct view *v, size_t i)
{
	return border_of(v, i) - RANGE / 2;
}

/* A counter of thread @thread on the first or the second page of an instance. */
static uint32_t *counter_of(const struct view *v, size_t i, unsigned int thread,
			    unsigned int page)
{
	size_t at = (i * 2 + page) * PAGE + RANGE + thread * sizeof(uint64_t);

	return (uint32_t *)(v->memory + at);
}

static void count_up(const struct view *v, size_t i)
{
	unsigned int page;

	for (page = 0; page < 2; page++)
		(*counter_of(v, i, v->me, page))++;
}

static void run_movs(const struct view *v)
{
	uint8_t own[RANGE];
	size_t i;

	for (i = 0; i < v->count; i++) {
		count_up(v, i);
		memset(own, new_byte(v), sizeof(own));
		if (!v->role)
			copy_bytes(range_of(v, i), own, RANGE, v->batch % 2);
		copy_bytes(own, range_of(v, i), RANGE, v->batch % 2);
		record(v, i, classify_bytes(v, own, RANGE));
	}
}

static bool counters_are_right(const struct view *v, size_t i)
{
	unsigned int k;

	for (k = 0; k < v->threads; k++)
		if (*counter_of(v, i, k, 0) != v->batch + 1 ||
		    *counter_of(v, i, k, 1) != v->batch + 1)
			return false;
	return true;
}

static void check_movs(const struct view *v, struct tally *t)
{
	size_t i, end = end_to_check(v);

	for (i = first_to_check(v); i < end; i++)
		check_readers(v, t, i, counters_are_right(v, i) &&
			      classify_bytes(v, range_of(v, i), RANGE) == 1);
}

/* MOVS2 */

/* A thread's bytes where they come from, and where they are copied to. */
static uint8_t *stripe_of(const struct view *v, size_t i, unsigned int thread,
			  bool target)
{
	size_t at = thread * STRIPE;

	if (target)
		at += v->layout == SAME ? PAGE / 2 : PAGE;
	return (uint8_t *)v->memory + i * 2 * PAGE + at;
}

static uint8_t pattern_of(const struct view *v, unsigned int thread)
{
	return (v->batch + 1) * 7 + thread;
}

static bool is_pattern(const uint8_t *bytes, uint8_t pattern)
{
	unsigned int i;

	for (i = 0; i < STRIPE; i++)
		if (bytes[i] != pattern)
			return false;
	return true;
}

static void copy_words(uint8_t *to, const uint8_t *from, size_t words)
{
	__asm__ volatile("rep movsq" : "+D" (to), "+S" (from), "+c" (words)
			 : : "memory");
}

static void run_movs2(const struct view *v)
{
	uint8_t pattern = pattern_of(v, v->me);
	size_t i;

	for (i = 0; i < v->count; i++) {
		uint8_t *from = stripe_of(v, i, v->me, false);
		uint8_t *to = stripe_of(v, i, v->me, true);

		memset(from, pattern, STRIPE);
		copy_words(to, from, STRIPE / 8);
		record(v, i, is_pattern(to, pattern) ? 0 : WRONG);
	}
}

static void check_movs2(const struct view *v, struct tally *t)
{
	size_t i, end = end_to_check(v);
	unsigned int k;

	for (i = first_to_check(v); i < end; i++) {
		bool right = true;

		for (k = 0; k < v->threads; k++) {
			uint8_t pattern = pattern_of(v, k);

			right &= results_of(k, 0)[i] != WRONG &&
				 is_pattern(stripe_of(v, i, k, false), pattern) &&
				 is_pattern(stripe_of(v, i, k, true), pattern);
		}
		t->forbidden += !right;
	}
}

const struct test count_tests[] = {
	{ "XADD", 0, 1, .run = run_xadd, .check = check_xadd },
	{ "CMPXCHG", 0, 1, .run = run_cmpxchg, .check = check_cmpxchg },
	{ "LOCK", 0, 2, .run = run_lock, .check = check_lock },
	{ "FALSE", 0, 2, .run = run_false, .check = check_false,
	  .size = size_false },
	{ "CROSS", 0, 2, .cost = COST, .run = run_cross, .check = check_cross,
	  .size = size_pages },
	{ "MOVS", 0, 2, .cost = COST, .run = run_movs, .check = check_movs,
	  .size = size_pages },
	{ "MOVS2", 0, 2, .cost = COST, .run = run_movs2, .check = check_movs2,
	  .size = size_pages },
	{ "SPLIT", 0, 2, .by_name = true, .cost = COST, .run = run_split,
	  .check = check_split, .size = size_pages },
	{ "XADD+unlocked", 0, 1, .by_name = true, .run = run_xadd_unlocked,
	  .check = check_xadd },
	{ "FALSE+words", 0, 2, .by_name = true, .run = run_false_words,
	  .check = check_false, .size = size_false },
};

const unsigned int count_test_count = sizeof(count_tests) / sizeof(*count_tests);

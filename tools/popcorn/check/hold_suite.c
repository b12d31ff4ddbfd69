// SPDX-License-Identifier: GPL-2.0
/*
 * What is to be shown of the rule of holding: each instruction is completed in time, no
 * page stays and no request waits longer than the rule says, and what false sharing
 * leaves of the time. One TAP result for each configuration; a seeded mistake has to be
 * found by the check that it is named with.
 */
#include <stdio.h>

#include <linux/array_size.h>
#include <linux/minmax.h>
#include <linux/time64.h>

#include <popcorn/hold.h>

#include "check.h"
#include "hold_seed.h"
#include "hold_sim.h"

#ifdef PCN_SEEDED
enum pcn_hold_seed pcn_hold_seed;
#endif

#define US	NSEC_PER_USEC

/* After so many faults of an instruction the time of its thread is the longest one. */
#define GROWTH	9
/*
 * Time slots of its kernel that an instruction takes then. With two kernels one is enough
 * (the argument is in hold.c). With more it is a matter of chance: the most that 280
 * million instructions have taken is 11, with 16 kernels.
 */
#define SLOTS	16

#define QUICK	.travel_us = 200, .use_us = 300
/* A virtual CPU may take that long until it runs. */
#define SLOW	.travel_us = 1000, .use_us = 999

static const struct hold_config configs[] = {
	{ "one page", 2, 1, 1, 1, QUICK },
	{ "one page", 4, 1, 1, 1, QUICK },
	{ "one page", 8, 1, 1, 1, .loop = true, QUICK },
	{ "one page, slow", 2, 1, 1, 1, SLOW },
	{ "one page, slow", 8, 1, 1, 1, .loop = true, SLOW },
	{ "two pages", 2, 1, 2, 2, QUICK },
	{ "two pages, slow", 2, 1, 2, 2, SLOW },
	{ "four of four pages", 2, 1, 4, 4, QUICK },
	{ "three of three pages", 3, 1, 3, 3, QUICK },
	{ "two pages", 4, 1, 2, 2, QUICK },
	{ "two pages in order, others write them", 4, 2, 2, 2, .ordered = true,
	  .hammer = true, QUICK },
	{ "four of four pages", 4, 1, 4, 4, QUICK },
	{ "four of four pages in order", 4, 1, 4, 4, .ordered = true, QUICK },
	{ "four of four pages, and 60 kernels without", 4, 1, 4, 4, .members = 64, QUICK },
	{ "four of four pages, others write them, slow", 4, 2, 4, 4, .hammer = true,
	  SLOW },
	{ "two of two pages, one is read and then written", 4, 1, 2, 2, .rewrite = true,
	  QUICK },
	{ "four of four pages", 8, 1, 4, 4, QUICK },
	{ "four of four pages, half only read", 8, 1, 4, 4, .reads = 50, QUICK },
	{ "four of four pages, slow", 8, 1, 4, 4, SLOW },
	{ "four of 16 pages", 8, 1, 16, 4, QUICK },
	{ "one to four of six pages, two threads each", 8, 2, 6, 4, .mixed = true,
	  QUICK },
	{ "one to three of eight pages in a loop", 8, 1, 8, 3, .mixed = true,
	  .loop = true, QUICK },
	{ "four of four pages", 16, 1, 4, 4, QUICK },
	{ "two of two pages, rounds", 2, 1, 2, 2, .rounds = true, QUICK },
	{ "four of four pages, rounds", 4, 1, 4, 4, .rounds = true, QUICK },
	{ "four of 16 pages in a loop, rounds", 8, 1, 16, 4, .rounds = true, .loop = true,
	  QUICK },
};

/* --- what the rule promises --- */

static bool needs_one(const struct hold_config *c)
{
	return c->need == 1 && c->threads == 1;
}

/* A page stays so long against a request. The look that ends it may be late. */
static u64 kept_bound(const struct hold_config *c)
{
	return (needs_one(c) ? PCN_HOLD_USE_NS : PCN_HOLD_MAX_NS) + HOLD_LATE;
}

/* Those who only read may hold their copies before the first of the others writes. */
static u64 wait_bound(const struct hold_config *c)
{
	unsigned int holds = c->kernels - !(c->reads || c->rewrite);

	return holds * (kept_bound(c) + c->travel_us * US);
}

/* With the time that the page is left to others before. */
static u64 fault_bound(const struct hold_config *c)
{
	return wait_bound(c) + PCN_HOLD_LEAVE_NS + c->use_us * US;
}

static u64 time_bound(const struct hold_config *c)
{
	unsigned int slots = 1 + (c->kernels > 2 ? SLOTS : 1);

	if (needs_one(c))
		return fault_bound(c);
	return GROWTH * fault_bound(c) +
	       slots * (c->members ?: c->kernels) * PCN_HOLD_MAX_NS;
}

static bool is_completed(const struct hold_config *c, const struct hold_result *r)
{
	return r->longest <= time_bound(c) && (!needs_one(c) || r->faults <= 1);
}

static bool is_bounded(const struct hold_config *c, const struct hold_result *r)
{
	return r->kept <= kept_bound(c) && r->wait <= wait_bound(c) &&
	       r->change <= PCN_HOLD_ROUNDS_NS;
}

/* --- results --- */

static void add_result(struct hold_result *sum, const struct hold_result *r)
{
	sum->done += r->done;
	sum->copies += r->copies;
	sum->early += r->early;
	sum->faults = max(sum->faults, r->faults);
	sum->longest = max(sum->longest, r->longest);
	sum->kept = max(sum->kept, r->kept);
	sum->wait = max(sum->wait, r->wait);
	sum->change = max(sum->change, r->change);
	sum->used += r->used;
}

/* The time is enough for an instruction that takes too long to be seen. */
static struct hold_result run(const struct hold_config *c, unsigned int seeds)
{
	struct hold_result sum = { }, r;
	unsigned int i;

	for (i = 1; i <= seeds; i++) {
		hold_simulate(c, i, time_bound(c) + 3 * NSEC_PER_SEC, &r);
		add_result(&sum, &r);
	}
	sum.used /= seeds;
	return sum;
}

static double ms(u64 ns)
{
	return (double)ns / NSEC_PER_MSEC;
}

static void report(const struct hold_config *c, const struct hold_result *r)
{
	printf("# %llu instructions, the longest %.1f of %.1f ms, %u faults; ",
	       (unsigned long long)r->done, ms(r->longest), ms(time_bound(c)), r->faults);
	printf("a page stays %.2f of %.2f ms, a request waits %.2f of %.2f ms",
	       ms(r->kept), ms(kept_bound(c)), ms(r->wait), ms(wait_bound(c)));
	if (c->rounds)
		printf(", a round %.1f of %.1f ms", ms(r->change), ms(PCN_HOLD_ROUNDS_NS));
	printf("; in use %.0f %% of the time, %.0f %% of requests are too early\n",
	       100 * r->used, 100.0 * r->early / max(r->copies, 1ULL));
}

int hold_suite(unsigned int seeds)
{
	const struct hold_config *c;

	for (c = configs; c < configs + ARRAY_SIZE(configs); c++) {
		struct hold_result r = run(c, seeds);

		report(c, &r);
		tap(is_completed(c, &r) && is_bounded(c, &r), "hold: %u kernels, %s",
		    c->kernels, c->name);
	}
	return tap_end();
}

/* --- seeds --- */

#ifdef PCN_SEEDED

enum found_by { PROGRESS, BOUND, SHARE, EARLY };

static const char * const found_by_names[] = {
	"an instruction is not completed", "a bound is broken", "a page is used less",
	"more requests are too early",
};

struct hold_seeded {
	enum pcn_hold_seed seed;
	const char *name;
	enum found_by by;
	struct hold_config c;
};

static const struct hold_seeded seeded[] = {
	{ PCN_HOLD_SEED_USE, "a page goes before it is used", PROGRESS,
	  { "one page", 4, 1, 1, 1, QUICK } },
	{ PCN_HOLD_SEED_BUSY, "a page goes though it is written all the time", SHARE,
	  { "one page", 2, 1, 1, 1, .loop = true, QUICK } },
	{ PCN_HOLD_SEED_LOOK, "looks double without a limit", BOUND,
	  { "one page", 2, 1, 1, 1, SLOW } },
	{ PCN_HOLD_SEED_GROW, "the time does not grow", PROGRESS,
	  { "four of four pages", 4, 1, 4, 4, SLOW } },
	{ PCN_HOLD_SEED_MAX, "the time grows without a limit", BOUND,
	  { "two pages", 4, 1, 2, 2, QUICK } },
	{ PCN_HOLD_SEED_SLOT, "all keep pages for the longest time", PROGRESS,
	  { "two pages", 4, 1, 2, 2, QUICK } },
	{ PCN_HOLD_SEED_LOOP, "the time grows in a loop", BOUND,
	  { "one page", 4, 1, 1, 1, .loop = true, QUICK } },
	{ PCN_HOLD_SEED_LEAVE, "a page is asked for at once", EARLY,
	  { "one page", 2, 1, 1, 1, QUICK } },
	{ PCN_HOLD_SEED_LEARN, "a page is left to others for 20 us", EARLY,
	  { "one page", 2, 1, 1, 1, QUICK } },
	{ PCN_HOLD_SEED_REST, "rounds are not kept off", PROGRESS,
	  { "four of four pages, rounds", 4, 1, 4, 4, .rounds = true, QUICK } },
	{ PCN_HOLD_SEED_REST_MAX, "rounds are kept off without a limit", BOUND,
	  { "four of 16 pages in a loop, rounds", 16, 1, 16, 4, .rounds = true,
	    .loop = true, QUICK } },
};

static bool is_found(const struct hold_seeded *s, const struct hold_result *sound,
		     const struct hold_result *r)
{
	switch (s->by) {
	case PROGRESS:
		return !is_completed(&s->c, r);
	case BOUND:
		return !is_bounded(&s->c, r);
	case SHARE:
		return r->used < 0.8 * sound->used;
	case EARLY:
		return r->early * sound->copies > 2 * sound->early * r->copies;
	}
	return false;
}

int hold_seeds(void)
{
	const struct hold_seeded *s;
	u64 planted = 0;

	for (s = seeded; s < seeded + ARRAY_SIZE(seeded); s++) {
		struct hold_result sound, r;

		pcn_hold_seed = PCN_HOLD_SEED_NONE;
		sound = run(&s->c, 1);
		report(&s->c, &sound);
		pcn_hold_seed = s->seed;
		r = run(&s->c, 1);
		report(&s->c, &r);
		tap(is_completed(&s->c, &sound) && is_bounded(&s->c, &sound) &&
		    is_found(s, &sound, &r), "hold: %u kernels, %s, %s: %s",
		    s->c.kernels, s->c.name, s->name, found_by_names[s->by]);
		planted |= 1ULL << s->seed;
	}
	tap(planted == (1ULL << PCN_HOLD_SEEDS) - 2, "hold: every seed has been planted");
	return tap_end();
}

#else

int hold_seeds(void)
{
	fprintf(stderr, "check: this one was built without seeds\n");
	return 2;
}

#endif

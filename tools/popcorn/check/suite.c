// SPDX-License-Identifier: GPL-2.0
/*
 * What is to be shown: the sound protocols pass, each seeded bug is found, each
 * flaw of the published protocol shows. One TAP result each.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "paper.h"
#include "proto_impl.h"

#ifdef PCN_SEEDED
enum pcn_seed pcn_seed;
#endif

int take_out_rule(unsigned int seed)
{
#ifdef PCN_SEEDED
	pcn_seed = seed;
	return seed < PCN_SEEDS ? 0 : -1;
#else
	return -1;
#endif
}

#define OWNER	(&pcn_proto_owner)
#define VOTE	(&pcn_proto_vote)
#define ALL	.reads = UNLIMITED, .writes = UNLIMITED, \
		.readers = 0xff, .writers = 0xff
#define ONE	.reads = 1, .writes = 1, .readers = 0xff, .writers = 0xff
/* 0 and 2 read, 1 and 2 write; and 1 and 2 read, 0 and 1 write. */
#define SOME	.reads = 1, .writes = 1, .readers = 5, .writers = 6
#define OTHERS	.reads = 1, .writes = 1, .readers = 6, .writers = 3
/* As at the origin of a process. */
#define OWNED	.origin = true, .start = START_OWNED

struct sound {
	const char *suite;
	const char *name;
	struct config c;
	enum outcome outcome;
};

static const struct sound sounds[] = {
	/* Unlimited reads and writes on every kernel. */
	{ "quick", "owner, from S, FIFO", { OWNER, 2, true, ALL,
	  .start = START_S, .live = true } },
	{ "quick", "owner, from S, not FIFO", { OWNER, 2, false, ALL,
	  .start = START_S, .live = true } },
	{ "quick", "owner, from U by vote, FIFO", { OWNER, 2, true, ALL,
	  .start = START_U, .live = true } },
	{ "quick", "owner, from U by vote, not FIFO", { OWNER, 2, false, ALL,
	  .start = START_U, .live = true } },
	{ "quick", "owner, from U at an origin, FIFO", { OWNER, 2, true, ALL,
	  .origin = true, .start = START_U, .live = true } },
	{ "quick", "owner, from U at an origin, not FIFO", { OWNER, 2, false,
	  ALL, .origin = true, .start = START_U, .live = true } },
	{ "quick", "owner, from S, FIFO", { OWNER, 3, true, ALL,
	  .start = START_S, .live = true } },
	{ "quick", "owner, from S, not FIFO", { OWNER, 3, false, ALL,
	  .start = START_S, .live = true } },
	{ "quick", "owner, from U by vote, FIFO", { OWNER, 3, true, ALL,
	  .start = START_U, .live = true } },
	{ "quick", "owner, from U by vote, not FIFO", { OWNER, 3, false, ALL,
	  .start = START_U, .live = true } },
	{ "quick", "owner, from U at an origin, FIFO", { OWNER, 3, true, ALL,
	  .origin = true, .start = START_U, .live = true } },
	{ "quick", "owner, from U at an origin, not FIFO", { OWNER, 3, false,
	  ALL, .origin = true, .start = START_U, .live = true } },

	{ "quick", "owner, from NR at the origin, FIFO", { OWNER, 2, true, ALL,
	  OWNED, .live = true } },
	{ "quick", "owner, from NR at the origin, not FIFO", { OWNER, 2, false,
	  ALL, OWNED, .live = true } },
	{ "quick", "owner, from NR at the origin, FIFO", { OWNER, 3, true, ALL,
	  OWNED, .live = true } },
	{ "quick", "owner, from NR at the origin, not FIFO", { OWNER, 3, false,
	  ALL, OWNED, .live = true } },

	/* "vote" may starve a writer (F9), and without FIFO a reader. */
	{ "quick", "vote, from S, unlimited, FIFO", { VOTE, 2, true, ALL,
	  .start = START_S, .live = true } },
	{ "quick", "vote, from S, unlimited, not FIFO", { VOTE, 2, false, ALL,
	  .start = START_S } },
	{ "quick", "vote, from U, unlimited, FIFO", { VOTE, 2, true, ALL,
	  .start = START_U, .live = true } },
	{ "quick", "vote, from U, unlimited, not FIFO", { VOTE, 2, false, ALL,
	  .start = START_U } },
	{ "quick", "vote, from U, broadcast, unlimited, FIFO", { VOTE, 2, true,
	  ALL, .broadcast = true, .start = START_U, .live = true } },
	{ "quick", "vote, from S, one read and write each, FIFO", { VOTE, 3,
	  true, ONE, .start = START_S, .live = true } },
	{ "quick", "vote, from S, one read and write each, not FIFO", { VOTE, 3,
	  false, ONE, .start = START_S, .live = true } },
	{ "quick", "vote, from U, one read and write each, FIFO", { VOTE, 3,
	  true, ONE, .start = START_U, .live = true } },
	{ "quick", "vote, one kernel joins, one read and write each, FIFO", {
	  VOTE, 3, true, ONE, .start = START_JOIN, .live = true } },
	{ "quick", "vote, one kernel joins, one read and write each, not FIFO",
	  { VOTE, 3, false, ONE, .start = START_JOIN, .live = true } },
	{ "quick", "vote, from NR at the origin, unlimited, FIFO", { VOTE, 2,
	  true, ALL, OWNED, .live = true } },
	{ "quick", "vote, from NR at the origin, unlimited, not FIFO", { VOTE, 2,
	  false, ALL, OWNED } },
	{ "quick", "vote, from NR at the origin, one read and write each, FIFO",
	  { VOTE, 3, true, ONE, OWNED, .live = true } },
	{ "quick", "vote, from NR at the origin, two read and two write once, not FIFO",
	  { VOTE, 3, false, SOME, OWNED, .live = true } },

	/* Beyond the accesses. */
	{ "beyond", "owner by vote, a drop, one read and write each, FIFO",
	  { OWNER, 3, true, ONE, .start = START_U, .drops = 1, .live = true } },
	{ "beyond", "owner by vote, a drop, one read and write each, not FIFO",
	  { OWNER, 3, false, ONE, .start = START_U, .drops = 1, .live = true } },
	{ "beyond", "owner at an origin, two drops, unlimited, FIFO",
	  { OWNER, 2, true, ALL, .origin = true, .start = START_U, .drops = 2,
	    .live = true } },
	{ "beyond", "owner at an origin, a drop, unlimited, FIFO",
	  { OWNER, 3, true, ALL, .origin = true, .start = START_U, .drops = 1,
	    .live = true } },
	{ "beyond", "owner by vote, one leaves, one read and write each, not FIFO",
	  { OWNER, 3, false, ONE, .start = START_U, .leaves = 1,
	    .live = true } },
	{ "beyond", "owner at an origin, one leaves, unlimited, FIFO",
	  { OWNER, 3, true, ALL, .origin = true, .start = START_U, .leaves = 1,
	    .live = true } },
	{ "beyond", "owner by vote, a death, one read and write each, not FIFO",
	  { OWNER, 3, false, ONE, .start = START_U, .deaths = 1,
	    .live = true } },
	{ "beyond", "owner by vote, a death, unlimited, FIFO",
	  { OWNER, 3, true, ALL, .start = START_U, .deaths = 1,
	    .live = true } },
	{ "beyond", "owner at an origin, a death, unlimited, FIFO",
	  { OWNER, 3, true, ALL, .origin = true, .start = START_U, .deaths = 1,
	    .live = true } },
	{ "beyond", "owner from S, a death, then one leaves, FIFO",
	  { OWNER, 3, true, ONE, .start = START_S, .deaths = 1, .leaves = 1,
	    .live = true } },
	{ "beyond", "vote from S, a drop, one read and write each, FIFO",
	  { VOTE, 3, true, ONE, .start = START_S, .drops = 1, .live = true } },
	{ "beyond", "vote from S, one leaves, one read and write each, FIFO",
	  { VOTE, 3, true, ONE, .start = START_S, .leaves = 1, .live = true } },
	{ "beyond", "vote from U, a death, one read and write each, FIFO",
	  { VOTE, 3, true, ONE, .start = START_U, .deaths = 1, .live = true } },
	{ "beyond", "vote from S, a death, one read and write each, not FIFO",
	  { VOTE, 3, false, ONE, .start = START_S, .deaths = 1,
	    .live = true } },
	{ "beyond", "vote from U, drop, leaving and death, not FIFO",
	  { VOTE, 2, false, ONE, .start = START_U, .drops = 1, .leaves = 1,
	    .deaths = 1, .live = true } },
	{ "beyond", "owner by vote, two deaths, one read and write each, not FIFO",
	  { OWNER, 3, false, ONE, .start = START_U, .deaths = 2,
	    .live = true } },
	{ "beyond", "owner at an origin, two deaths, unlimited, FIFO",
	  { OWNER, 3, true, ALL, .origin = true, .start = START_U, .deaths = 2,
	    .live = true } },
	{ "beyond", "owner from S, two deaths, two write and two read once, FIFO",
	  { OWNER, 4, true, .reads = 1, .writes = 1, .readers = 12,
	    .writers = 3, .start = START_S, .deaths = 2, .live = true } },
	{ "beyond", "owner by vote, a drop and a death, one read and write each, FIFO",
	  { OWNER, 3, true, ONE, .start = START_U, .drops = 1, .deaths = 1,
	    .live = true } },
	{ "beyond", "owner at an origin, a fork, unlimited, FIFO",
	  { OWNER, 3, true, ALL, .origin = true, .start = START_U, .forks = 1,
	    .live = true } },
	{ "beyond", "owner by vote, a fork and a death, one read and write each, not FIFO",
	  { OWNER, 3, false, ONE, .start = START_U, .forks = 1, .deaths = 1,
	    .live = true } },
	{ "beyond", "owner by vote, a new member, unlimited, not FIFO",
	  { OWNER, 3, false, ALL, .start = START_U, .joins = 1,
	    .live = true } },
	{ "beyond", "owner at an origin, a new member, unlimited, not FIFO",
	  { OWNER, 3, false, ALL, .origin = true, .start = START_U, .joins = 1,
	    .live = true } },
	{ "beyond", "owner from S, joining, leaving, joining again, a death, FIFO",
	  { OWNER, 3, true, ONE, .start = START_S, .joins = 2, .leaves = 1,
	    .deaths = 1, .live = true } },
	{ "beyond", "vote from S, two deaths, one read and write each, FIFO",
	  { VOTE, 3, true, ONE, .start = START_S, .deaths = 2, .live = true } },
	{ "beyond", "vote from S, a fork, one read and write each, FIFO",
	  { VOTE, 3, true, ONE, .start = START_S, .forks = 1, .live = true } },
	{ "beyond", "vote from S, a new member, one read and write each, not FIFO",
	  { VOTE, 3, false, ONE, .start = START_S, .joins = 1,
	    .live = true } },
	{ "beyond", "vote from U, joining, leaving, joining again, a death, FIFO",
	  { VOTE, 2, true, ALL, .start = START_U, .joins = 2, .leaves = 1,
	    .deaths = 1, .live = true } },
	/* The three that are left need not find the page with the first asked. */
	{ "beyond", "vote from U, a death, two write and one reads once, FIFO",
	  { VOTE, 4, true, .reads = 1, .writes = 1, .readers = 1, .writers = 6,
	    .start = START_U, .deaths = 1 } },

	/* From NR at the origin of a process. */
	{ "beyond", "owner from NR, a drop, unlimited, FIFO",
	  { OWNER, 3, true, ALL, OWNED, .drops = 1, .live = true } },
	{ "beyond", "owner from NR, a drop that keeps, unlimited, not FIFO",
	  { OWNER, 3, false, ALL, OWNED, .drops = 1, .keep = true,
	    .live = true } },
	{ "beyond", "owner from NR, two deaths, unlimited, FIFO",
	  { OWNER, 3, true, ALL, OWNED, .deaths = 2, .live = true } },
	{ "beyond", "owner from NR, a fork, unlimited, FIFO",
	  { OWNER, 3, true, ALL, OWNED, .forks = 1, .live = true } },
	{ "beyond", "owner from NR, a new member, unlimited, not FIFO",
	  { OWNER, 3, false, ALL, OWNED, .joins = 1, .live = true } },
	{ "beyond", "owner from NR, joining, leaving, joining again, a death, FIFO",
	  { OWNER, 3, true, ONE, OWNED, .joins = 2, .leaves = 1, .deaths = 1,
	    .live = true } },
	{ "beyond", "vote from NR, a drop, two read and two write once, FIFO",
	  { VOTE, 3, true, OTHERS, OWNED, .drops = 1, .live = true } },
	{ "beyond", "vote from NR, a death, one read and write each, FIFO",
	  { VOTE, 3, true, ONE, OWNED, .deaths = 1, .live = true } },
	{ "beyond", "vote from NR, a fork, two read and two write once, FIFO",
	  { VOTE, 3, true, OTHERS, OWNED, .forks = 1, .live = true } },
	{ "beyond", "vote from NR, one leaves, two read and two write once, FIFO",
	  { VOTE, 3, true, OTHERS, OWNED, .leaves = 1, .live = true } },
	{ "beyond", "vote from NR, a new member, one read and write each, FIFO",
	  { VOTE, 3, true, ONE, OWNED, .joins = 1, .live = true } },
	{ "beyond", "vote from NR, drop, joining, leaving, a death, not FIFO",
	  { VOTE, 2, false, ALL, OWNED, .drops = 1, .joins = 2, .leaves = 1,
	    .deaths = 1 } },

	/*
	 * Fences instead of epochs. "owner" needs neither: above, nothing is ever
	 * under way when it drops.
	 */
	{ "beyond", "owner from NR, a drop, fences answered, two read and two write once, FIFO",
	  { OWNER, 3, true, OTHERS, OWNED, .drops = 1, .fences = FENCES_BACK,
	    .live = true } },
	{ "beyond", "vote from NR, a drop, fences once are not enough, FIFO",
	  { VOTE, 3, true, SOME, OWNED, .drops = 1, .fences = FENCES_ONCE },
	  UNSAFE },
	{ "beyond", "vote from NR, one leaves, fences once are not enough, FIFO",
	  { VOTE, 3, true, SOME, OWNED, .leaves = 1, .fences = FENCES_ONCE },
	  UNSAFE },
	{ "beyond", "vote from NR, a drop, fences twice, two read and two write once, FIFO",
	  { VOTE, 3, true, SOME, OWNED, .drops = 1, .fences = FENCES_TWICE,
	    .live = true } },
	{ "beyond", "vote from NR, a drop that keeps, fences answered, two read and two write once, FIFO",
	  { VOTE, 3, true, SOME, OWNED, .drops = 1, .keep = true,
	    .fences = FENCES_BACK, .live = true } },
	{ "beyond", "vote from NR, one leaves, fences answered, two read and two write once, FIFO",
	  { VOTE, 3, true, SOME, OWNED, .leaves = 1, .fences = FENCES_BACK,
	    .live = true } },
	{ "beyond", "vote from NR, rounds and a death, fences answered, unlimited, FIFO",
	  { VOTE, 2, true, ALL, OWNED, .drops = 2, .joins = 2, .leaves = 1,
	    .deaths = 1, .keep = true, .fences = FENCES_BACK, .live = true } },

	{ "deep", "owner, from S, FIFO", { OWNER, 4, true, ALL,
	  .start = START_S, .live = true } },
	{ "deep", "owner, from S, not FIFO", { OWNER, 4, false, ALL,
	  .start = START_S, .live = true } },
	{ "deep", "owner, from U by vote, FIFO", { OWNER, 4, true, ALL,
	  .start = START_U, .live = true } },
	{ "deep", "owner, from U at an origin, FIFO", { OWNER, 4, true, ALL,
	  .origin = true, .start = START_U, .live = true } },
	{ "deep", "owner, from U at an origin, not FIFO", { OWNER, 4, false,
	  ALL, .origin = true, .start = START_U, .live = true } },
	{ "deep", "owner by vote, two deaths, two write and two read once, FIFO",
	  { OWNER, 4, true, .reads = 1, .writes = 1, .readers = 5,
	    .writers = 10, .start = START_U, .deaths = 2 } },
	{ "deep", "owner by vote, two leave, two write and one reads once, FIFO",
	  { OWNER, 4, true, .reads = 1, .writes = 1, .readers = 4,
	    .writers = 10, .start = START_U, .leaves = 2 } },
	{ "deep", "vote from U, two deaths, two write and one reads once, FIFO",
	  { VOTE, 4, true, .reads = 1, .writes = 1, .readers = 1, .writers = 6,
	    .start = START_U, .deaths = 2 } },
	{ "deep", "vote, from S, writes only, unlimited, FIFO", { VOTE, 3, true,
	  .reads = 0, .writes = UNLIMITED, .readers = 0, .writers = 0xff,
	  .start = START_S } },
	{ "deep", "vote, from U, one read and write each, not FIFO", { VOTE, 3,
	  false, ONE, .start = START_U, .live = true } },
	{ "deep", "owner, from NR at the origin, FIFO", { OWNER, 4, true, ALL,
	  OWNED, .live = true } },
	{ "deep", "owner, from NR at the origin, not FIFO", { OWNER, 4, false,
	  ALL, OWNED, .live = true } },
	{ "deep", "vote, from NR at the origin, one read and write each, not FIFO",
	  { VOTE, 3, false, ONE, OWNED, .live = true } },
	{ "deep", "vote from NR, a drop that keeps, fences answered, one read and write each, FIFO",
	  { VOTE, 3, true, ONE, OWNED, .drops = 1, .keep = true,
	    .fences = FENCES_BACK, .live = true } },
	{ "deep", "vote from NR, a drop and a death, fences answered, two read and two write once, FIFO",
	  { VOTE, 3, true, SOME, OWNED, .drops = 1, .deaths = 1,
	    .fences = FENCES_BACK, .live = true } },
	{ "deep", "vote from NR, a fork, one read and write each, FIFO",
	  { VOTE, 3, true, ONE, OWNED, .forks = 1, .live = true } },
	{ "deep", "vote from NR, one leaves, one read and write each, FIFO",
	  { VOTE, 3, true, ONE, OWNED, .leaves = 1, .live = true } },
	{ "deep", "vote, from S, two write and one reads once, FIFO", { VOTE, 4,
	  true, .reads = 1, .writes = 1, .readers = 8, .writers = 3,
	  .start = START_S, .live = true } },
};

static void report(const struct config *c, const char *name,
		   const struct result *r, bool right)
{
	tap(right, "N=%u, %s: %s%s%s; %llu states, %llu moves, depth %u, %.1f s, %llu MiB",
	    c->n, name, outcome_names[r->outcome], r->what ? ", " : "",
	    r->what ? r->what : "", (unsigned long long)r->states,
	    (unsigned long long)r->edges, r->depth, r->seconds,
	    (unsigned long long)r->bytes >> 20);
}

/* What an origin starts with is what a kernel has that touches a page alone. */
static void own_is_touch(const struct pcn_proto *p)
{
	const struct pcn_proto_event write = { .type = PCN_WRITE };
	struct pcn_kernel_group g = { .members = 1, .count = 1 };
	struct pcn_replica own, touched;
	struct pcn_out out;

	pcn_replica_init(&own, &g);
	touched = own;
	pcn_replica_own(p, &g, &own);
	tap(pcn_proto_step(p, &g, &touched, &write, &out) == PCN_OK &&
	    !memcmp(&own, &touched, sizeof(own)),
	    "%s: NR at the origin is as if it had touched the page alone",
	    p->name);
}

int suite_sound(const char *which, const struct limits *l)
{
	const struct sound *s;
	struct result r;

	for (s = sounds; s < sounds + sizeof(sounds) / sizeof(*sounds); s++) {
		if (strcmp(s->suite, which))
			continue;
		search(&s->c, l, s->outcome == PASSED ? stdout : NULL, &r);
		report(&s->c, s->name, &r, r.outcome == s->outcome);
	}
	if (!strcmp(which, "quick")) {
		own_is_touch(OWNER);
		own_is_touch(VOTE);
	}
	return tap_end();
}

/* --- the published protocol --- */

struct flaw {
	const char *name;
	enum outcome outcome;
	const char *what;	/* what is broken, the beginning of its text */
	unsigned int steps;
	struct config c;
};

#include "flaws.h"

static void show_flaw(const struct flaw *f, const struct limits *l, FILE *trace)
{
	struct result r;
	bool right;

	paper_variant = f->c.paper;
	search(&f->c, l, trace, &r);
	right = r.outcome == f->outcome && r.what &&
		!strncmp(r.what, f->what, strlen(f->what)) &&
		(!f->steps || r.depth == f->steps);
	report(&f->c, f->name, &r, right);
}

/* The same kernels, start and workload. */
static void mended(const struct flaw *f, const struct pcn_proto *p,
		   const struct limits *l)
{
	struct config c = f->c;
	struct result r;
	char name[120];

	c.proto = p;
	c.paper = 0;
	snprintf(name, sizeof(name), "%.*s's scenario on %s",
		 (int)strcspn(f->name, ","), f->name, p->name);
	search(&c, l, stdout, &r);
	report(&c, name, &r, r.outcome == PASSED);
}

/*
 * F9, the loser of one vote loses the next, is what is left in "vote": known,
 * and here so that the checker is seen to find it.
 */
static void show_f9(const struct limits *l, FILE *trace)
{
	const struct config c = {
		VOTE, 3, true, .reads = 0, .writes = UNLIMITED, .readers = 0,
		.writers = 0xff, .start = START_S, .live = true
	};
	struct config owner = c;
	struct result r;

	search(&c, l, trace, &r);
	report(&c, "F9, a writer may lose for ever, on vote", &r,
	       r.outcome == STARVES);
	owner.proto = OWNER;
	search(&owner, l, stdout, &r);
	report(&owner, "F9's scenario on owner", &r, r.outcome == PASSED);
}

int suite_flaws(const struct limits *l, bool verbose)
{
	const struct flaw *f;

	for (f = flaws; f < flaws + sizeof(flaws) / sizeof(*flaws); f++) {
		show_flaw(f, l, verbose ? stdout : NULL);
		mended(f, OWNER, l);
		mended(f, VOTE, l);
	}
	show_f9(l, verbose ? stdout : NULL);
	return tap_end();
}

/* --- seeds --- */

#ifdef PCN_SEEDED
struct seeded {
	enum pcn_seed seed;
	const char *name;
	enum outcome outcome;	/* how it shows */
	struct config c;
};

#include "seeds.h"

static bool same_config(const struct config *a, const struct config *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* Each is found in a configuration that passes without it. */
int suite_seeds(const struct limits *l)
{
	bool sound[sizeof(seeds) / sizeof(*seeds)];
	unsigned int i, j, n = sizeof(seeds) / sizeof(*seeds);
	u64 found = 0;
	struct result r;

	for (i = 0; i < n; i++) {
		for (j = 0; j < i; j++)
			if (same_config(&seeds[i].c, &seeds[j].c))
				break;
		if (j < i) {
			sound[i] = sound[j];
		} else {
			pcn_seed = PCN_SEED_NONE;
			search(&seeds[i].c, l, stdout, &r);
			sound[i] = r.outcome == PASSED;
		}
		pcn_seed = seeds[i].seed;
		search(&seeds[i].c, l, NULL, &r);
		report(&seeds[i].c, seeds[i].name, &r,
		       sound[i] && r.outcome == seeds[i].outcome);
		found |= 1ULL << seeds[i].seed;
	}
	tap(found == (1ULL << PCN_SEEDS) - 2, "every seed has been planted");
	return tap_end();
}
#else
int suite_seeds(const struct limits *l)
{
	(void)l;
	fprintf(stderr, "check: this one was built without seeds\n");
	return 2;
}
#endif

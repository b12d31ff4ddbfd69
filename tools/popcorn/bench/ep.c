// SPDX-License-Identifier: GPL-2.0
/*
 * EP, "embarrassingly parallel", of the NAS Parallel Benchmarks: pairs of
 * Gaussian deviates by the polar method, their sums, and how many fall into each
 * of ten square annuli. Threads share nothing until the end: this is what
 * Popcorn ought to do as fast as one kernel does.
 *
 * Definition: Bailey et al., The NAS Parallel Benchmarks, RNR-94-007, section
 * 2.2. The sums that verify classes S, W and A to 1e-8 are NPB's own. T is a class
 * of ours with 2^18 pairs; its sums were calculated by a program of its own.
 *
 *	ep [-c T|S|W|A] [-t THREADS] [-r REPEAT] [-p KID,...] [-b KIND] [-v]
 *
 * Pairs are made in blocks of 2^14, each from a seed that is skipped to. Blocks
 * are summed by themselves and added in their order in the end, so the sums are
 * the same bits for any number of threads.
 */
#include <err.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "npb.h"

#define SEED	271828183ULL
#define BLOCK	(1UL << 14)
#define ANNULI	10
#define EPSILON	1e-8

struct class {
	char		name;
	unsigned int	m;		/* 2^m pairs */
	double		sx, sy;
};

static const struct class classes[] = {
	{ 'T', 18, 1.873198969612154e2, -3.797408336054129e2 },
	{ 'S', 24, -3.247834652034740e3, -6.958407078382297e3 },
	{ 'W', 25, -2.863319731645753e3, -6.320053679109499e3 },
	{ 'A', 28, -4.295875165629892e3, -1.580732573678431e4 },
};

struct sums {
	double		x, y;
};

/* A thread's results, from a page of its own on */
struct part {
	uint64_t	count[ANNULI];
	size_t		blocks;
	struct sums	block[];
};

static const struct class *class;
static struct part *parts[THREADS_MAX];

static size_t part_size(void)
{
	return sizeof(struct part) + ((1UL << class->m) / BLOCK) *
	       sizeof(struct sums);
}

static void count_pair(struct part *p, struct sums *s, double x, double y)
{
	double t = x * x + y * y, f;

	if (t > 1)
		return;
	f = sqrt(-2 * log(t) / t);
	x *= f;
	y *= f;
	p->count[(unsigned int)fmax(fabs(x), fabs(y))]++;
	s->x += x;
	s->y += y;
}

static void do_block(struct part *p, size_t block)
{
	uint64_t state = npb_skip(SEED, 2 * BLOCK * block);
	struct sums s = { 0, 0 };
	unsigned int i;

	for (i = 0; i < BLOCK; i++) {
		double x = 2 * npb_random(&state) - 1;
		double y = 2 * npb_random(&state) - 1;

		count_pair(p, &s, x, y);
	}
	p->block[p->blocks++] = s;
}

static void work(unsigned int me)
{
	struct span s = bench_share((1UL << class->m) / BLOCK, 1, 1, me);
	struct part *p = parts[me];

	memset(p, 0, sizeof(*p));
	bench_start(me);
	for (; s.first < s.end; s.first++)
		do_block(p, s.first);
	bench_stop(me);
}

static void add_parts(struct sums *all, uint64_t *count)
{
	unsigned int i, k;
	size_t b;

	for (i = 0; i < bench.threads; i++) {
		const struct part *p = parts[i];

		for (k = 0; k < ANNULI; k++)
			count[k] += p->count[k];
		for (b = 0; b < p->blocks; b++) {
			all->x += p->block[b].x;
			all->y += p->block[b].y;
		}
	}
}

static bool is_near(double value, double wanted)
{
	return fabs((value - wanted) / wanted) <= EPSILON;
}

static bool verify(void)
{
	struct sums all = { 0, 0 };
	uint64_t count[ANNULI] = { 0 };
	unsigned int k;

	add_parts(&all, count);
	printf("ep: sums %.15e %.15e\n", all.x, all.y);
	printf("ep: counts");
	for (k = 0; k < ANNULI; k++)
		printf(" %llu", (unsigned long long)count[k]);
	putchar('\n');
	return is_near(all.x, class->sx) && is_near(all.y, class->sy);
}

int main(int argc, char **argv)
{
	char what[16];
	unsigned int i;

	if (bench_options(argc, argv, "c:r:", NULL,
			  "[-c T|S|W|A] [-r REPEAT]") < argc)
		errx(2, "what is %s?", argv[argc - 1]);
	for (class = classes; class->name != bench.class; class++)
		;
	for (i = 0; i < bench.threads; i++)
		parts[i] = bench_pages(part_size());
	snprintf(what, sizeof(what), "class %c", class->name);
	return bench_main(what, work, verify);
}

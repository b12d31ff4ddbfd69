// SPDX-License-Identifier: GPL-2.0
/*
 * LU factorisation of a dense matrix in blocks, without pivoting. Each block is in
 * pages of its own and has one thread that writes it. In each step all threads read
 * one row and one column of blocks that were finished just before.
 *
 * After LU of Splash-2, contiguous blocks: Woo et al., The SPLASH-2 Programs, ISCA
 * 1995.
 *
 *	lu [-n ORDER] [-t THREADS] [-r REPEAT] [-p KID,...] [-b KIND] [-v]
 *
 * ORDER is a multiple of 32 up to 4096, 256 unless said. The matrix has random
 * numbers from 0 to 1, and ORDER added on its diagonal, so it needs no pivoting.
 * Verification: L (U x) is A x for one vector x. Each element is calculated in the
 * same order by any number of threads, so the checksum is the same bits.
 */
#include <err.h>
#include <math.h>
#include <stdio.h>

#include "bench.h"
#include "npb.h"

#define SEED	314159265ULL
#define BLOCK	32u
#define EPSILON	1e-12

/* Two pages */
struct block {
	double		row[BLOCK][BLOCK];
};

static struct {
	size_t		n, blocks;	/* rows, and rows of blocks */
	unsigned int	rows, columns;	/* threads, as a grid */
	struct block	*block;
} page_aligned lu;

static struct block *block_at(size_t i, size_t j)
{
	return &lu.block[i * lu.blocks + j];
}

static double *element(size_t i, size_t j)
{
	return &block_at(i / BLOCK, j / BLOCK)->row[i % BLOCK][j % BLOCK];
}

/* Threads take blocks as a chessboard has its colours. */
static bool is_mine(unsigned int me, size_t i, size_t j)
{
	return me == i % lu.rows * lu.columns + j % lu.columns;
}

/* The next number of row @i, as it was before the factorisation */
static double next_number(uint64_t *state, size_t i, size_t j)
{
	return npb_random(state) + (i == j ? lu.n : 0);
}

static void make_block(size_t bi, size_t bj)
{
	size_t i, j;

	for (i = bi * BLOCK; i < (bi + 1) * BLOCK; i++) {
		uint64_t state = npb_skip(SEED, i * lu.n + bj * BLOCK);

		for (j = bj * BLOCK; j < (bj + 1) * BLOCK; j++)
			*element(i, j) = next_number(&state, i, j);
	}
}

static void make_mine(unsigned int me)
{
	size_t i, j;

	for (i = 0; i < lu.blocks; i++)
		for (j = 0; j < lu.blocks; j++)
			if (is_mine(me, i, j))
				make_block(i, j);
}

/* Row @i of @a minus @factor times row @k of @b, from column @first on */
static void subtract_row(double *a, const double *b, double factor,
			 unsigned int first)
{
	unsigned int j;

	for (j = first; j < BLOCK; j++)
		a[j] -= factor * b[j];
}

static void factor_diagonal(struct block *block)
{
	double (*a)[BLOCK] = block->row;
	unsigned int i, k;

	for (k = 0; k < BLOCK; k++) {
		for (i = k + 1; i < BLOCK; i++) {
			a[i][k] /= a[k][k];
			subtract_row(a[i], a[k], a[i][k], k + 1);
		}
	}
}

/* A block right of the diagonal: by the inverse of L, from the left */
static void solve_row(struct block *a, const struct block *diagonal)
{
	unsigned int i, k;

	for (k = 0; k < BLOCK; k++)
		for (i = k + 1; i < BLOCK; i++)
			subtract_row(a->row[i], a->row[k], diagonal->row[i][k], 0);
}

/* A block below the diagonal: by the inverse of U, from the right */
static void solve_column(struct block *block, const struct block *diagonal)
{
	double (*a)[BLOCK] = block->row;
	unsigned int i, k;

	for (i = 0; i < BLOCK; i++) {
		for (k = 0; k < BLOCK; k++) {
			a[i][k] /= diagonal->row[k][k];
			subtract_row(a[i], diagonal->row[k], a[i][k], k + 1);
		}
	}
}

static void subtract_product(struct block *a, const struct block *left,
			     const struct block *above)
{
	unsigned int i, k;

	for (i = 0; i < BLOCK; i++)
		for (k = 0; k < BLOCK; k++)
			subtract_row(a->row[i], above->row[k], left->row[i][k], 0);
}

static void solve_edges(unsigned int me, size_t k)
{
	size_t i;

	for (i = k + 1; i < lu.blocks; i++) {
		if (is_mine(me, k, i))
			solve_row(block_at(k, i), block_at(k, k));
		if (is_mine(me, i, k))
			solve_column(block_at(i, k), block_at(k, k));
	}
}

static void update_inner(unsigned int me, size_t k)
{
	size_t i, j;

	for (i = k + 1; i < lu.blocks; i++)
		for (j = k + 1; j < lu.blocks; j++)
			if (is_mine(me, i, j))
				subtract_product(block_at(i, j), block_at(i, k),
						 block_at(k, j));
}

/*
 * No barrier after the last part: what the next step changes is changed by the thread
 * that has updated it here, and what is read here is never written again.
 */
static void do_step(unsigned int me, size_t k)
{
	if (is_mine(me, k, k))
		factor_diagonal(block_at(k, k));
	bench_barrier(me);
	solve_edges(me, k);
	bench_barrier(me);
	update_inner(me, k);
}

static void work(unsigned int me)
{
	size_t k;

	make_mine(me);
	bench_start(me);
	for (k = 0; k < lu.blocks; k++)
		do_step(me, k);
	bench_stop(me);
}

/* All elements of the vector x are different, so that no columns can be swapped. */
static double x_of(size_t j)
{
	return 1 + (double)j / lu.n;
}

static double original_row_times_x(size_t i)
{
	uint64_t state = npb_skip(SEED, i * lu.n);
	double sum = 0;
	size_t j;

	for (j = 0; j < lu.n; j++)
		sum += next_number(&state, i, j) * x_of(j);
	return sum;
}

static double upper_row_times_x(size_t i)
{
	double sum = 0;
	size_t j;

	for (j = i; j < lu.n; j++)
		sum += *element(i, j) * x_of(j);
	return sum;
}

/* The diagonal of L is 1. */
static double lower_row_times(size_t i, const double *y)
{
	double sum = y[i];
	size_t j;

	for (j = 0; j < i; j++)
		sum += *element(i, j) * y[j];
	return sum;
}

/* The largest relative error of an element of L (U x) */
static double residual(void)
{
	double *y = bench_pages(lu.n * sizeof(*y)), worst = 0;
	size_t i;

	for (i = 0; i < lu.n; i++)
		y[i] = upper_row_times_x(i);
	for (i = 0; i < lu.n; i++) {
		double wanted = original_row_times_x(i);
		double error = fabs(lower_row_times(i, y) - wanted) / wanted;

		if (!(error <= worst))		/* it may be NaN */
			worst = error;
	}
	bench_free(y, lu.n * sizeof(*y));
	return worst;
}

static bool verify(void)
{
	double error = residual(), sum = 0;
	size_t i;

	for (i = 0; i < lu.n; i++)
		sum += *element(i, i);
	printf("lu: diagonal of U %.15e, residual %.1e\n", sum, error);
	return error < EPSILON;
}

/* As near to a square as the number of threads allows */
static void make_grid(void)
{
	unsigned int rows;

	for (rows = 1; rows * rows <= bench.threads; rows++)
		if (bench.threads % rows == 0)
			lu.rows = rows;
	lu.columns = bench.threads / lu.rows;
}

static void take(int option, const char *value)
{
	if (option == 'n')
		lu.n = bench_number(value, BLOCK, 4096);
}

int main(int argc, char **argv)
{
	char what[24];

	lu.n = 256;
	if (bench_options(argc, argv, "n:r:", take, "[-n ORDER] [-r REPEAT]") < argc)
		errx(2, "what is %s?", argv[argc - 1]);
	if (lu.n % BLOCK)
		errx(2, "-n %zu: not a multiple of %u", lu.n, BLOCK);
	lu.blocks = lu.n / BLOCK;
	lu.block = bench_pages(lu.blocks * lu.blocks * sizeof(struct block));
	make_grid();
	snprintf(what, sizeof(what), "order %zu", lu.n);
	return bench_main(what, work, verify);
}

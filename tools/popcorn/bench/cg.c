// SPDX-License-Identifier: GPL-2.0
/*
 * CG, "conjugate gradient", of the NAS Parallel Benchmarks: an estimate of an
 * eigenvalue of a sparse matrix by inverse iteration, 25 steps of the conjugate
 * gradient method in each. In every step all threads read a vector that all have
 * written, and there are two sums: much talk in small pieces.
 *
 * Definition: Bailey et al., The NAS Parallel Benchmarks, RNR-94-007, section
 * 2.4; the matrix is that of NPB's makea(), and zeta of classes S, W and A, to be
 * met to 1e-10, is NPB's own. T is a class of ours with 256 rows; its zeta was
 * calculated by a program of its own that solves the equations directly.
 *
 *	cg [-c T|S|W|A] [-t THREADS] [-r REPEAT] [-p KID,...] [-b KIND] [-v]
 *
 * A thread has a range of rows: matrix and vectors of different threads meet at
 * the border of pages where there are enough rows. Sums are made of blocks of
 * 64 rows, added in order, so zeta is the same bits for any number of threads.
 */
#include <err.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "npb.h"

#define SEED		314159265ULL
#define CG_STEPS	25
#define BLOCK		64
#define IN_PAGE		(PAGE / sizeof(double))
#define NONZER_MAX	12
#define RCOND		0.1
#define EPSILON		1e-10

struct class {
	char		name;
	unsigned int	n, nonzer, iterations;
	double		shift, zeta;
};

static const struct class classes[] = {
	{ 'T', 256, 5, 8, 8.0, 5.3448514995951 },
	{ 'S', 1400, 7, 15, 10.0, 8.5971775078648 },
	{ 'W', 7000, 8, 15, 12.0, 10.362595087124 },
	{ 'A', 14000, 11, 15, 20.0, 17.130235054029 },
};

/* A sparse vector: the matrix is a sum of products of these with themselves. */
struct sparse {
	unsigned int	count;
	unsigned int	index[NONZER_MAX];
	double		value[NONZER_MAX];
};

static struct {
	const struct class *class;
	unsigned int	n;
	struct sparse	*vectors;	/* n of them */
	double		*weights;	/* and one of each product */
	double		*x, *z, *p;	/* which all threads read */
} page_aligned cg;

/* Thread 0's */
static struct {
	double		zeta, residual;
} page_aligned result;

/* What is a thread's own, on a page of its own */
static struct part {
	struct span	rows;
	/* Row i has the entries from row[i - first] to before row[i - first + 1]. */
	unsigned int	*row, *column;
	double		*value;
	size_t		room;		/* entries that there is memory for */
	/* Vectors of which nobody else reads anything, the whole of them in memory */
	double		*q, *r;
} page_aligned parts[THREADS_MAX];

static bool has_index(const struct sparse *v, unsigned int index)
{
	unsigned int k;

	for (k = 0; k < v->count; k++)
		if (v->index[k] == index)
			return true;
	return false;
}

/* @range: the power of two that is not below n */
static void random_vector(struct sparse *v, unsigned int range, uint64_t *state)
{
	v->count = 0;
	while (v->count < cg.class->nonzer) {
		double value = npb_random(state);
		unsigned int index = range * npb_random(state);

		if (index >= cg.n || has_index(v, index))
			continue;
		v->value[v->count] = value;
		v->index[v->count++] = index;
	}
}

/* Sets an element, adding it if it is not there. */
static void set_element(struct sparse *v, unsigned int index, double value)
{
	unsigned int k;

	for (k = 0; k < v->count; k++) {
		if (v->index[k] == index) {
			v->value[k] = value;
			return;
		}
	}
	v->index[v->count] = index;
	v->value[v->count++] = value;
}

static void make_vectors(void)
{
	double ratio = pow(RCOND, 1.0 / cg.n), weight = 1;
	uint64_t state = npb_skip(SEED, 1);
	unsigned int range = 1, i;

	while (range < cg.n)
		range *= 2;
	for (i = 0; i < cg.n; i++) {
		random_vector(&cg.vectors[i], range, &state);
		set_element(&cg.vectors[i], i, 0.5);
		cg.weights[i] = weight;
		weight *= ratio;
	}
}

/* For a range of rows: which vectors have an element there. */
struct users {
	unsigned int	*from;		/* of each row, and one more */
	unsigned int	*vector;	/* in rising order */
	size_t		entries;	/* at most in these rows of the matrix */
};

static void *get(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);

	if (!memory)
		err(2, "%zu times %zu bytes", count, size);
	return memory;
}

static bool is_in(struct span rows, unsigned int i)
{
	return i >= rows.first && i < rows.end;
}

/* How many vectors each row has, two places further up. */
static void count_users(struct users *u, struct span rows)
{
	unsigned int i, k;

	for (i = 0; i < cg.n; i++) {
		const struct sparse *v = &cg.vectors[i];

		for (k = 0; k < v->count; k++) {
			if (!is_in(rows, v->index[k]))
				continue;
			u->from[v->index[k] - rows.first + 2]++;
			u->entries += v->count;
		}
	}
}

/* Where each row's begin is one place further up, and moves on with each. */
static void note_users(struct users *u, struct span rows)
{
	unsigned int i, k;

	for (i = 0; i < cg.n; i++) {
		const struct sparse *v = &cg.vectors[i];

		for (k = 0; k < v->count; k++)
			if (is_in(rows, v->index[k]))
				u->vector[u->from[v->index[k] - rows.first + 1]++] = i;
	}
}

static struct users find_users(struct span rows)
{
	size_t count = rows.end - rows.first, row;
	struct users u = { .from = get(count + 2, sizeof(*u.from)) };

	count_users(&u, rows);
	for (row = 2; row < count + 2; row++)
		u.from[row] += u.from[row - 1];
	u.vector = get(u.from[count + 1], sizeof(*u.vector));
	note_users(&u, rows);
	return u;
}

/* A row of the matrix under construction */
struct row {
	unsigned int	number, count;
	unsigned int	*columns;	/* those that are there */
	unsigned int	*made_for;	/* each column: the last row it was in, + 1 */
	double		*values;	/* of each column */
};

static void add_entry(struct row *row, unsigned int column, double value)
{
	if (row->made_for[column] != row->number + 1) {
		row->made_for[column] = row->number + 1;
		row->values[column] = 0;
		row->columns[row->count++] = column;
	}
	row->values[column] += value;
}

/* This row of the product of vector @i with itself. */
static void add_product(struct row *row, unsigned int i)
{
	const struct sparse *v = &cg.vectors[i];
	double scale = 0;
	unsigned int k;

	for (k = 0; k < v->count; k++)
		if (v->index[k] == row->number)
			scale = cg.weights[i] * v->value[k];
	for (k = 0; k < v->count; k++) {
		double value = v->value[k] * scale;

		if (v->index[k] == i && row->number == i)
			value += RCOND - cg.class->shift;
		add_entry(row, v->index[k], value);
	}
}

static int compare_columns(const void *a, const void *b)
{
	unsigned int x = *(const unsigned int *)a, y = *(const unsigned int *)b;

	return x < y ? -1 : x > y;
}

/* Puts a row at @at; returns where the next one begins. */
static unsigned int store_row(struct part *p, struct row *row, unsigned int at)
{
	unsigned int k;

	qsort(row->columns, row->count, sizeof(*row->columns), compare_columns);
	for (k = 0; k < row->count; k++, at++) {
		p->column[at] = row->columns[k];
		p->value[at] = row->values[row->columns[k]];
	}
	return at;
}

static void make_rows(struct part *p, const struct users *u)
{
	struct row row = {
		.columns = get(cg.n, sizeof(*row.columns)),
		.made_for = get(cg.n, sizeof(*row.made_for)),
		.values = get(cg.n, sizeof(*row.values)),
	};
	unsigned int at = 0, k;
	size_t i;

	for (i = 0; i < p->rows.end - p->rows.first; i++) {
		row.number = p->rows.first + i;
		row.count = 0;
		for (k = u->from[i]; k < u->from[i + 1]; k++)
			add_product(&row, u->vector[k]);
		p->row[i] = at;
		at = store_row(p, &row, at);
	}
	p->row[i] = at;
	free(row.columns);
	free(row.made_for);
	free(row.values);
}

static void make_part(unsigned int me)
{
	struct part *p = &parts[me];
	struct users u;

	p->rows = bench_share(cg.n, IN_PAGE, BLOCK, me);
	u = find_users(p->rows);
	p->row = bench_pages((cg.n + 1) * sizeof(*p->row));
	p->room = u.entries;
	p->column = bench_pages(p->room * sizeof(*p->column));
	p->value = bench_pages(p->room * sizeof(*p->value));
	p->q = bench_pages(cg.n * sizeof(double));
	p->r = bench_pages(cg.n * sizeof(double));
	make_rows(p, &u);
	free(u.from);
	free(u.vector);
}

static void free_part(struct part *p)
{
	bench_free(p->row, (cg.n + 1) * sizeof(*p->row));
	bench_free(p->column, p->room * sizeof(*p->column));
	bench_free(p->value, p->room * sizeof(*p->value));
	bench_free(p->q, cg.n * sizeof(double));
	bench_free(p->r, cg.n * sizeof(double));
}

/* This thread's rows of the product of the matrix with @v. */
static void multiply(const struct part *p, const double *v, double *product)
{
	unsigned int at = 0, end;
	size_t i;

	for (i = p->rows.first; i < p->rows.end; i++) {
		double sum = 0;

		for (end = p->row[i - p->rows.first + 1]; at < end; at++)
			sum += p->value[at] * v[p->column[at]];
		product[i] = sum;
	}
}

/* The product of two vectors. A barrier. */
static double dot(unsigned int me, const double *a, const double *b)
{
	double *sums = bench_sum_blocks(me);
	struct span rows = parts[me].rows;
	size_t i, k, count = 0;

	for (i = rows.first; i < rows.end; i += BLOCK) {
		double sum = 0;

		for (k = i; k < rows.end && k < i + BLOCK; k++)
			sum += a[k] * b[k];
		sums[count++] = sum;
	}
	return bench_sum(me, count);
}

/* a = a + factor b in this thread's rows. */
static void add_scaled(const struct part *p, double *a, double factor,
		       const double *b)
{
	size_t i;

	for (i = p->rows.first; i < p->rows.end; i++)
		a[i] += factor * b[i];
}

/* a = b + factor a in this thread's rows. */
static void scale_and_add(const struct part *p, double *a, double factor,
			  const double *b)
{
	size_t i;

	for (i = p->rows.first; i < p->rows.end; i++)
		a[i] = b[i] + factor * a[i];
}

static void begin_solving(struct part *p)
{
	size_t i;

	for (i = p->rows.first; i < p->rows.end; i++) {
		cg.z[i] = 0;
		p->r[i] = cg.x[i];
		cg.p[i] = cg.x[i];
	}
}

/*
 * Solves A z = x, nearly. All others' part of p is read in multiply(): the barriers
 * of the two sums lie between that and the next p, and one of its own between
 * that p and the next reading.
 */
static void solve(unsigned int me)
{
	struct part *p = &parts[me];
	double rho;
	unsigned int step;

	begin_solving(p);
	rho = dot(me, p->r, p->r);
	for (step = 0; step < CG_STEPS; step++) {
		double last = rho, alpha;

		multiply(p, cg.p, p->q);
		alpha = rho / dot(me, cg.p, p->q);
		add_scaled(p, cg.z, alpha, cg.p);
		add_scaled(p, p->r, -alpha, p->q);
		rho = dot(me, p->r, p->r);
		scale_and_add(p, cg.p, rho / last, p->r);
		bench_barrier(me);
	}
}

/* The square of the length of x - A z. Two barriers. */
static double residual(unsigned int me)
{
	struct part *p = &parts[me];
	size_t i;

	bench_barrier(me);
	multiply(p, cg.z, p->r);
	for (i = p->rows.first; i < p->rows.end; i++)
		p->r[i] = cg.x[i] - p->r[i];
	return dot(me, p->r, p->r);
}

/* One step of the inverse iteration: x becomes z, made as long as 1. */
static void iterate(unsigned int me)
{
	struct part *p = &parts[me];
	double xz, zz, rr;
	size_t i;

	solve(me);
	rr = residual(me);
	xz = dot(me, cg.x, cg.z);
	zz = dot(me, cg.z, cg.z);
	for (i = p->rows.first; i < p->rows.end; i++)
		cg.x[i] = cg.z[i] / sqrt(zz);
	if (me)
		return;
	result.zeta = cg.class->shift + 1 / xz;
	result.residual = sqrt(rr);
}

static void set_x(const struct part *p)
{
	size_t i;

	for (i = p->rows.first; i < p->rows.end; i++)
		cg.x[i] = 1;
}

static void work(unsigned int me)
{
	unsigned int i;

	if (!me)
		make_vectors();
	bench_barrier(me);
	make_part(me);
	set_x(&parts[me]);
	iterate(me);
	set_x(&parts[me]);
	bench_start(me);
	for (i = 0; i < cg.class->iterations; i++)
		iterate(me);
	bench_stop(me);
	free_part(&parts[me]);
}

static bool verify(void)
{
	double error = (result.zeta - cg.class->zeta) / cg.class->zeta;

	printf("cg: zeta %.13f, residual %.3e\n", result.zeta, result.residual);
	return fabs(error) <= EPSILON;
}

static void set_up(const struct class *class)
{
	cg.class = class;
	cg.n = class->n;
	cg.vectors = bench_pages(cg.n * sizeof(*cg.vectors));
	cg.weights = bench_pages(cg.n * sizeof(double));
	cg.x = bench_pages(cg.n * sizeof(double));
	cg.z = bench_pages(cg.n * sizeof(double));
	cg.p = bench_pages(cg.n * sizeof(double));
	bench_sum_room(cg.n / BLOCK + 1);
}

int main(int argc, char **argv)
{
	const struct class *class;
	char what[16];

	if (bench_options(argc, argv, "c:r:", NULL,
			  "[-c T|S|W|A] [-r REPEAT]") < argc)
		errx(2, "what is %s?", argv[argc - 1]);
	for (class = classes; class->name != bench.class; class++)
		;
	set_up(class);
	snprintf(what, sizeof(what), "class %c", class->name);
	return bench_main(what, work, verify);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * A Fourier transform of 2^n complex numbers, in six steps: the numbers are seen
 * as a matrix, whose rows and columns are transformed with a multiplication in
 * between, and three transpositions keep that to rows. In these every thread
 * reads a part of what each has written: all pages travel, three times.
 *
 * Source: D. H. Bailey, FFTs in External or Hierarchical Memory, Journal of
 * Supercomputing 4 (1990).
 *
 *	fft [-n LOG2] [-t THREADS] [-r REPEAT] [-p KID,...] [-b KIND] [-v]
 *
 * LOG2 is from 4 to 26, 16 unless said. The time is that of one transform.
 * Verification: the inverse transform gives the input back; the sum of squares
 * is n times that of the input (Parseval); four of the results are those of the
 * definition, a sum over all n; and a checksum over 1024 of them is printed, for
 * which, as all is calculated in the same order, any number of threads gives the
 * same bits.
 */
#include <err.h>
#include <math.h>
#include <stdio.h>

#include "bench.h"
#include "npb.h"

#define SEED		314159265ULL
#define SUM_BLOCK	256
#define TILE		16
#define BINS		4
#define SAMPLES		1024

struct complex {
	double		re, im;
};

#define IN_PAGE		(PAGE / sizeof(struct complex))

/* The powers of the n-th root of 1, as products of two */
struct roots {
	struct complex	*coarse, *fine;
	unsigned int	shift;
};

static struct {
	unsigned int	log2;
	size_t		n;
	struct complex	*data, *other;
	struct roots	roots;
} page_aligned fft;

/* Thread 0's */
static struct {
	double		squares_in, squares_out;
	struct complex	bins[BINS];	/* by the definition */
	struct complex	found[BINS];
	struct complex	checksum;
} page_aligned result;

/* The largest error of each thread's numbers */
static struct {
	double		error;
} page_aligned errors[THREADS_MAX];

static struct complex multiply(struct complex a, struct complex b)
{
	return (struct complex) {
		a.re * b.re - a.im * b.im,
		a.re * b.im + a.im * b.re,
	};
}

static struct complex conjugate(struct complex a)
{
	return (struct complex) { a.re, -a.im };
}

static double square(struct complex a)
{
	return a.re * a.re + a.im * a.im;
}

/* exp(-2 pi i k / n) */
static struct complex root(size_t k, size_t n)
{
	double angle = -2 * M_PI * k / n;

	return (struct complex) { cos(angle), sin(angle) };
}

static void make_roots(struct roots *r)
{
	size_t fine, coarse, k;

	r->shift = fft.log2 / 2;
	fine = 1UL << r->shift;
	coarse = fft.n >> r->shift;
	r->fine = bench_pages(fine * sizeof(*r->fine));
	r->coarse = bench_pages(coarse * sizeof(*r->coarse));
	for (k = 0; k < fine; k++)
		r->fine[k] = root(k, fft.n);
	for (k = 0; k < coarse; k++)
		r->coarse[k] = root(k, coarse);
}

static struct complex root_power(size_t k)
{
	const struct roots *r = &fft.roots;

	return multiply(r->coarse[k >> r->shift],
			r->fine[k & ((1UL << r->shift) - 1)]);
}

/* The rows of a matrix that are thread @me's, by pages if they are short. */
static struct span my_rows(size_t rows, size_t columns, unsigned int me)
{
	size_t unit = columns < IN_PAGE ? IN_PAGE / columns : 1;

	return bench_share(rows, unit, 1, me);
}

static void swap(struct complex *a, struct complex *b)
{
	struct complex t = *a;

	*a = *b;
	*b = t;
}

static void reverse_bits(struct complex *row, size_t n)
{
	size_t i, j = 0, bit;

	for (i = 0; i < n; i++) {
		if (i < j)
			swap(&row[i], &row[j]);
		for (bit = n / 2; bit && (j & bit); bit /= 2)
			j -= bit;
		j += bit;
	}
}

/* One pass over a row: pairs that are @half apart, with their roots. */
static void butterflies(struct complex *row, size_t n, size_t half, bool inverse)
{
	size_t i, k, step = fft.n / (2 * half);

	for (k = 0; k < half; k++) {
		struct complex w = root_power(k * step);

		if (inverse)
			w = conjugate(w);
		for (i = k; i < n; i += 2 * half) {
			struct complex a = row[i];
			struct complex b = multiply(row[i + half], w);

			row[i] = (struct complex) { a.re + b.re, a.im + b.im };
			row[i + half] = (struct complex) { a.re - b.re,
							   a.im - b.im };
		}
	}
}

static void transform_row(struct complex *row, size_t n, bool inverse)
{
	size_t half;

	reverse_bits(row, n);
	for (half = 1; half < n; half *= 2)
		butterflies(row, n, half, inverse);
}

/* Multiplies element k of row @j by the root to the power of j k. */
static void twist_row(struct complex *row, size_t n, size_t j, bool inverse)
{
	size_t k;

	for (k = 0; k < n; k++) {
		struct complex w = root_power(j * k);

		row[k] = multiply(row[k], inverse ? conjugate(w) : w);
	}
}

static void transpose_tile(struct complex *to, const struct complex *from,
			   size_t rows, size_t columns, struct span mine,
			   size_t column)
{
	size_t r, c;

	for (r = mine.first; r < mine.end; r++)
		for (c = column; c < columns && c < column + TILE; c++)
			to[r * columns + c] = from[c * rows + r];
}

/*
 * Writes this thread's rows of a matrix of @rows times @columns, which are columns
 * of @from. Barriers before and after.
 */
static void transpose(unsigned int me, struct complex *to,
		      const struct complex *from, size_t rows, size_t columns)
{
	struct span mine = my_rows(rows, columns, me), tile;
	size_t r, c;

	bench_barrier(me);
	for (r = mine.first; r < mine.end; r += TILE) {
		tile.first = r;
		tile.end = r + TILE < mine.end ? r + TILE : mine.end;
		for (c = 0; c < columns; c += TILE)
			transpose_tile(to, from, rows, columns, tile, c);
	}
	bench_barrier(me);
}

/* From @data to @other; what was in @data is lost. */
static void transform(unsigned int me, struct complex *data,
		      struct complex *other, bool inverse)
{
	size_t n1 = 1UL << fft.log2 / 2, n2 = fft.n / n1, i;
	struct span mine = my_rows(n2, n1, me);

	transpose(me, other, data, n2, n1);
	for (i = mine.first; i < mine.end; i++) {
		transform_row(other + i * n1, n1, inverse);
		twist_row(other + i * n1, n1, i, inverse);
	}
	transpose(me, data, other, n1, n2);
	mine = my_rows(n1, n2, me);
	for (i = mine.first; i < mine.end; i++)
		transform_row(data + i * n2, n2, inverse);
	transpose(me, other, data, n2, n1);
}

static struct span my_numbers(unsigned int me)
{
	return bench_share(fft.n, SUM_BLOCK, SUM_BLOCK, me);
}

static struct complex next_input(uint64_t *state)
{
	struct complex x;

	x.re = npb_random(state);
	x.im = npb_random(state);
	return x;
}

static void make_input(unsigned int me)
{
	struct span s = my_numbers(me);
	uint64_t state = npb_skip(SEED, 2 * s.first);

	for (; s.first < s.end; s.first++)
		fft.data[s.first] = next_input(&state);
}

/* How far fft.data, divided by n, is from the input. */
static void compare_input(unsigned int me)
{
	struct span s = my_numbers(me);
	uint64_t state = npb_skip(SEED, 2 * s.first);
	double worst = 0;

	for (; s.first < s.end; s.first++) {
		struct complex wanted = next_input(&state);
		struct complex got = fft.data[s.first];

		worst = fmax(worst, fabs(got.re / fft.n - wanted.re));
		worst = fmax(worst, fabs(got.im / fft.n - wanted.im));
	}
	errors[me].error = worst;
}

/* What bench_sum() adds up: a value of a number. */
typedef double (*value_fn)(const struct complex *data, size_t i, size_t arg);

static double sum(unsigned int me, const struct complex *data, value_fn value,
		  size_t arg)
{
	double *sums = bench_sum_blocks(me);
	struct span s = my_numbers(me);
	size_t i, k, count = 0;

	for (i = s.first; i < s.end; i += SUM_BLOCK) {
		sums[count] = 0;
		for (k = i; k < s.end && k < i + SUM_BLOCK; k++)
			sums[count] += value(data, k, arg);
		count++;
	}
	return bench_sum(me, count);
}

static double square_of(const struct complex *data, size_t i, size_t arg)
{
	(void)arg;
	return square(data[i]);
}

static double re_of_term(const struct complex *data, size_t i, size_t bin)
{
	return multiply(data[i], root_power(i * bin % fft.n)).re;
}

static double im_of_term(const struct complex *data, size_t i, size_t bin)
{
	return multiply(data[i], root_power(i * bin % fft.n)).im;
}

static size_t bin_number(unsigned int i)
{
	const size_t bins[BINS] = { 1, fft.n / 3, fft.n / 2 + 1, fft.n - 1 };

	return bins[i];
}

/* What the transform has to give, from the input. */
static void note_input(unsigned int me)
{
	double squares = sum(me, fft.data, square_of, 0);
	unsigned int i;

	for (i = 0; i < BINS; i++) {
		double re = sum(me, fft.data, re_of_term, bin_number(i));
		double im = sum(me, fft.data, im_of_term, bin_number(i));

		if (!me)
			result.bins[i] = (struct complex) { re, im };
	}
	if (!me)
		result.squares_in = squares;
}

static void note_output(unsigned int me)
{
	double squares = sum(me, fft.other, square_of, 0);
	unsigned int i;

	if (me)
		return;
	result.squares_out = squares;
	for (i = 0; i < BINS; i++)
		result.found[i] = fft.other[bin_number(i)];
	result.checksum = (struct complex) { 0, 0 };
	for (i = 1; i <= SAMPLES; i++) {
		result.checksum.re += fft.other[(size_t)5 * i % fft.n].re;
		result.checksum.im += fft.other[(size_t)5 * i % fft.n].im;
	}
}

static void work(unsigned int me)
{
	make_input(me);
	bench_barrier(me);
	note_input(me);
	bench_start(me);
	transform(me, fft.data, fft.other, false);
	bench_stop(me);
	note_output(me);
	transform(me, fft.other, fft.data, true);
	compare_input(me);
}

static double inverse_error(void)
{
	double worst = 0;
	unsigned int i;

	for (i = 0; i < bench.threads; i++)
		worst = fmax(worst, errors[i].error);
	return worst;
}

/* In units of what a result is as a rule, the root of n. */
static double bins_error(void)
{
	double worst = 0;
	unsigned int i;

	for (i = 0; i < BINS; i++) {
		struct complex difference = {
			result.found[i].re - result.bins[i].re,
			result.found[i].im - result.bins[i].im,
		};

		worst = fmax(worst, sqrt(square(difference) / fft.n));
	}
	return worst;
}

static bool verify(void)
{
	double back = inverse_error(), bins = bins_error();
	double ratio = result.squares_out / fft.n / result.squares_in;

	printf("fft: checksum %.15e %.15e\n", result.checksum.re,
	       result.checksum.im);
	printf("fft: errors: inverse %.1e, Parseval %.1e, definition %.1e\n",
	       back, fabs(ratio - 1), bins);
	return back < 1e-12 && fabs(ratio - 1) < 1e-12 && bins < 1e-9;
}

static void take(int option, const char *value)
{
	if (option == 'n')
		fft.log2 = bench_number(value, 4, 26);
}

int main(int argc, char **argv)
{
	char what[24];

	fft.log2 = 16;
	if (bench_options(argc, argv, "n:r:", take, "[-n LOG2] [-r REPEAT]") < argc)
		errx(2, "what is %s?", argv[argc - 1]);
	fft.n = 1UL << fft.log2;
	fft.data = bench_pages(fft.n * sizeof(*fft.data));
	fft.other = bench_pages(fft.n * sizeof(*fft.other));
	make_roots(&fft.roots);
	bench_sum_room(fft.n / SUM_BLOCK + 1);
	snprintf(what, sizeof(what), "2^%u numbers", fft.log2);
	return bench_main(what, work, verify);
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the programs here have in common: options, a team of threads with a
 * barrier and a clock, memory, sums that do not depend on the number of
 * threads, and the last line of the output.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE		4096UL
#define THREADS_MAX	256

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/*
 * For structures that shall have pages of their own: after the brace, so that it
 * is about the type, whose size is then a multiple of a page.
 */
#define page_aligned	__attribute__((aligned(4096)))

struct bench {
	const char	*name;		/* of the program */
	unsigned int	threads;	/* -t */
	unsigned int	repeat;		/* -r */
	char		class;		/* -c */
	bool		spin;		/* -b */
	bool		verbose;	/* -v */
};

extern struct bench bench;

/* Items first to end - 1 */
struct span {
	size_t	first, end;
};

/**
 * bench_options() - Take the options of the command line
 * @own:	the program's own letters, as for getopt(); 'c' and 'r' must be
 *		among them if it has classes and repetitions
 * @take:	called for each own option but 'c' and 'r'; may be NULL
 * @usage:	the options that are the program's own
 *
 * -t, -p, -b and -v are taken always. Return: the index of the first argument
 * that is no option.
 */
int bench_options(int argc, char **argv, const char *own,
		  void (*take)(int option, const char *value),
		  const char *usage);

/* A number from @least to @most; ends the program if @text is none. */
unsigned long bench_number(const char *text, unsigned long least,
			   unsigned long most);

/* Zeroed memory that begins on a page and shares none. Never fails. */
void *bench_pages(size_t size);

void bench_free(void *memory, size_t size);

uint64_t bench_now(void);

/**
 * bench_team() - Run a function in threads, placed as -p says
 * @threads:	how many
 * @work:	called with numbers from 0
 *
 * Return: the nanoseconds between bench_start() and bench_stop(), where these are
 * called; of the whole @work otherwise.
 */
uint64_t bench_team(unsigned int threads, void (*work)(unsigned int me));

/* All of the team call these; each is a barrier. */
void bench_barrier(unsigned int me);
void bench_start(unsigned int me);
void bench_stop(unsigned int me);

/**
 * bench_share() - The part of @n items that is thread @me's
 * @unit:	the items of a page: threads meet at the border of pages if there
 *		are at least two for each
 * @least:	otherwise at a multiple of this
 */
struct span bench_share(size_t n, size_t unit, size_t least, unsigned int me);

/*
 * Floating point sums are rounded in the order of addition. So that any number
 * of threads gives the same bits, sums are made of blocks whose size does not
 * depend on it, and these are added in their order.
 */
void bench_sum_room(size_t blocks);

/* Where thread @me puts the sums of its blocks. */
double *bench_sum_blocks(unsigned int me);

/* All threads: the sum of all blocks, when @count are thread @me's. A barrier. */
double bench_sum(unsigned int me, size_t count);

/* Runs @work bench.repeat times, until @verify says no. Prints the last line. */
int bench_main(const char *what, void (*work)(unsigned int me),
	       bool (*verify)(void));

/* Prints the last line. Return: the exit status. */
int bench_result(const char *what, bool passed, uint64_t ns);

#endif

// SPDX-License-Identifier: GPL-2.0
/*
 * Readers and writers of an array of pages, after the one with which the page
 * coherency protocol of Popcorn was measured: Sadini, Barbalace, Ravindran and
 * Quaglia, A Page Coherency Protocol for Popcorn Replicated-kernel Operating
 * System, MARC 2013, section 6. All threads go through the array with a stride,
 * some write each page they come to, the others read it.
 *
 *	rw [-m single|lock] [-n PAGES] [-s STRIDE] [-w PERCENT] [-k WORDS]
 *	   [-R ROUNDS] [-o OFFSET] [-t THREADS] [-r REPEAT] [-p KID,...] [-b KIND]
 *	   [-v]
 *
 *	-m	who writes a page: a single thread, or each that holds its lock
 *	-n	the pages of the array, 64
 *	-s	how many pages further the next access is, 1
 *	-w	how many in a hundred threads write, 50; the first ones
 *	-k	how many words of a page an access takes, spread over it, 8
 *	-R	how many accesses a thread makes in each repetition, by PAGES, 100
 *	-o	thread i begins at page i OFFSET, 0
 *
 * Every word of a page has the number of the writing, with the number of the word
 * in its upper half. It is checked like this:
 *
 *	single	A writer writes a page's words from the first to the last, a reader
 *		reads from the last to the first: no word may be older than the one
 *		read before it. That holds on x86 without any lock, and it catches
 *		a stale page as well as a mixture of two. A writer reads the pages
 *		that are not its own.
 *	lock	The lock is in the page it protects. All words agree.
 *
 * In the end each page must have been written as often as was counted.
 */
#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

#define WORDS	(PAGE / sizeof(uint64_t))
#define FIRST	8			/* word of a page that is no header */

union page {
	pthread_mutex_t	lock;
	uint64_t	word[WORDS];
};

static struct {
	bool		lock;
	unsigned long	pages, stride, percent, words, rounds, offset;
	unsigned int	writers;
	size_t		gap;		/* from one word to the next */
	union page	*array;
} page_aligned rw = {
	.pages = 64, .stride = 1, .percent = 50, .words = 8, .rounds = 100,
};

/* What a thread has seen of a page, in the first and in the last of its words */
struct seen {
	uint64_t	first, last;
};

/* What is a thread's own, on pages of its own */
static struct part {
	uint64_t	reads, writes, faults;
	struct seen	*seen;
	uint64_t	*written;	/* how often, of each page */
} page_aligned parts[THREADS_MAX];

/* The number of the writing that word @k is of; 0 if it is no word of this place. */
static uint64_t get(const union page *page, size_t k)
{
	uint64_t value = __atomic_load_n(&page->word[FIRST + k * rw.gap],
					 __ATOMIC_ACQUIRE);

	return value >> 32 == k ? (uint32_t)value : 0;
}

static void put(union page *page, size_t k, uint64_t number)
{
	__atomic_store_n(&page->word[FIRST + k * rw.gap], number | k << 32,
			 __ATOMIC_RELEASE);
}

static void write_words(union page *page, uint64_t number)
{
	size_t k;

	for (k = 0; k < rw.words; k++)
		put(page, k, number);
}

static void write_page(struct part *p, size_t i)
{
	union page *page = &rw.array[i];

	if (rw.lock)
		pthread_mutex_lock(&page->lock);
	write_words(page, get(page, 0) + 1);
	if (rw.lock)
		pthread_mutex_unlock(&page->lock);
	p->written[i]++;
	p->writes++;
}

/* From the last word on they get no older, and none older than it was. */
static void read_single(struct part *p, size_t i)
{
	struct seen *seen = &p->seen[i];
	uint64_t now = seen->last;
	size_t k = rw.words;

	while (k--) {
		uint64_t before = now;

		now = get(&rw.array[i], k);
		if (now < before)
			p->faults++;
		if (k == rw.words - 1)
			seen->last = now;
	}
	if (now < seen->first)
		p->faults++;
	seen->first = now;
}

static bool words_agree(const union page *page)
{
	size_t k;

	for (k = 1; k < rw.words; k++)
		if (get(page, k) != get(page, 0))
			return false;
	return true;
}

static void read_locked(struct part *p, size_t i)
{
	union page *page = &rw.array[i];
	uint64_t now;

	pthread_mutex_lock(&page->lock);
	now = get(page, 0);
	if (!words_agree(page) || now < p->seen[i].first)
		p->faults++;
	p->seen[i].first = now;
	pthread_mutex_unlock(&page->lock);
}

static void read_page(struct part *p, size_t i)
{
	if (rw.lock)
		read_locked(p, i);
	else
		read_single(p, i);
	p->reads++;
}

static bool is_writer(unsigned int me, size_t i)
{
	return me < rw.writers && (rw.lock || i % rw.writers == me);
}

static void work(unsigned int me)
{
	struct part *p = &parts[me];
	size_t i = me * rw.offset % rw.pages, n;

	bench_start(me);
	for (n = rw.rounds * rw.pages; n; n--) {
		if (is_writer(me, i))
			write_page(p, i);
		else
			read_page(p, i);
		i = (i + rw.stride) % rw.pages;
	}
	bench_stop(me);
}

/* In the end: the page has been written as often as was counted. */
static bool page_is_right(size_t i)
{
	uint64_t written = 1;
	unsigned int t;

	for (t = 0; t < bench.threads; t++)
		written += parts[t].written[i];
	return get(&rw.array[i], 0) == written && words_agree(&rw.array[i]);
}

static bool verify(void)
{
	uint64_t reads = 0, writes = 0, faults = 0, lost = 0;
	unsigned int t;
	size_t i;

	for (t = 0; t < bench.threads; t++) {
		reads += parts[t].reads;
		writes += parts[t].writes;
		faults += parts[t].faults;
	}
	for (i = 0; i < rw.pages; i++)
		lost += !page_is_right(i);
	printf("rw: %llu writes, %llu reads, %llu of words too old, %llu pages wrong in the end\n",
	       (unsigned long long)writes, (unsigned long long)reads,
	       (unsigned long long)faults, (unsigned long long)lost);
	return !faults && !lost;
}

static void take_mode(const char *text)
{
	rw.lock = !strcmp(text, "lock");
	if (!rw.lock && strcmp(text, "single"))
		errx(2, "-m %s: the modes are single and lock", text);
}

static void take(int option, const char *value)
{
	switch (option) {
	case 'm':
		take_mode(value);
		break;
	case 'n':
		rw.pages = bench_number(value, 1, 1 << 20);
		break;
	case 's':
		rw.stride = bench_number(value, 0, 1 << 20);
		break;
	case 'w':
		rw.percent = bench_number(value, 0, 100);
		break;
	case 'k':
		rw.words = bench_number(value, 1, WORDS - FIRST);
		break;
	case 'R':
		rw.rounds = bench_number(value, 1, 1000000);
		break;
	case 'o':
		rw.offset = bench_number(value, 0, 1 << 20);
		break;
	}
}

static void set_up(void)
{
	size_t i;

	rw.writers = (bench.threads * rw.percent + 99) / 100;
	rw.gap = (WORDS - FIRST) / rw.words;
	rw.array = bench_pages(rw.pages * PAGE);
	for (i = 0; i < rw.pages; i++) {
		pthread_mutex_init(&rw.array[i].lock, NULL);
		write_words(&rw.array[i], 1);
	}
	for (i = 0; i < bench.threads; i++) {
		parts[i].seen = bench_pages(rw.pages * sizeof(struct seen));
		parts[i].written = bench_pages(rw.pages * sizeof(uint64_t));
	}
}

int main(int argc, char **argv)
{
	char what[80];

	if (bench_options(argc, argv, "m:n:s:w:k:R:o:r:", take,
			  "[-m single|lock] [-n PAGES] [-s STRIDE] [-w PERCENT]\n"
			  "\t[-k WORDS] [-R ROUNDS] [-o OFFSET] [-r REPEAT]") < argc)
		errx(2, "what is %s?", argv[argc - 1]);
	set_up();
	snprintf(what, sizeof(what), "%s, %lu page%s, stride %lu, %u write",
		 rw.lock ? "lock" : "single", rw.pages,
		 rw.pages == 1 ? "" : "s", rw.stride, rw.writers);
	return bench_main(what, work, verify);
}

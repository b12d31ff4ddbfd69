/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What fuzz-layout knows about the memory that it changes.
 *
 * Memory is divided into slots. A slot has two areas of PAGES pages each, the second one
 * a place to move mappings to, and a lock: one thread at a time changes a slot, and
 * the model with it. So at each moment the model says for each page what an access may
 * find: a fault, or one of a few contents.
 *
 * A content is made from a seed, whose highest byte names the slot. It is in every word,
 * so even a thread without the lock can tell a word that comes from another slot.
 */
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>

#include "selftest.h"

#define BASE		((char *)0x100000000000UL)	/* far from all else */
#define SLOTS		8U
#define PAGES		16U			/* of an area */
#define ALL		(2 * PAGES)		/* of a slot */
#define GAP		8U			/* between slots nothing is mapped */
#define HISTORY		20U
#define COMMON		0xffUL			/* tag of contents that slots share */

/* What an access may find. Several may be possible. */
enum {
	ZERO	= 1,	/* zeros */
	OWN	= 2,	/* what was written last */
	FILL	= 4,	/* what comes for a userfaultfd fault at this address */
	DATA	= 8,	/* the page of the slot's file */
	BUS	= 16,	/* SIGBUS: behind the end of the file */
};

struct page {
	bool		mapped, shared, anon, registered, locked, no_fork, wipe;
	bool		empty;		/* there may be no page yet */
	unsigned char	prot, may;
	unsigned char	file_page;
	unsigned short	at;		/* the word that differs, if value is not 0 */
	unsigned int	vma;		/* which mmap() has made it */
	uint64_t	seed;		/* of OWN */
	uint64_t	value;
};

/* An operation that is over, or is being done */
struct past {
	const char	*name, *detail;
	int		thread, kid, err;
	long		number, result;
	unsigned int	first, count;
};

struct slot {
	pthread_mutex_t	lock;
	struct page	pages[ALL];
	struct past	past[HISTORY];
	unsigned long	done;		/* operations */
	char		*at;
	int		fd;		/* a file of PAGES pages at most */
	unsigned int	size;		/* of it, in pages */
	unsigned int	holes;		/* its pages that are zeros, as bits */
	bool		is_heap;	/* it lies at the end of the heap */
	unsigned int	heap_pages;
};

static struct slot slots[SLOTS];
static uint64_t fuzz_seed;
static bool is_child;

/* --- random numbers --- */

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9UL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebUL;
	return x ^ x >> 31;
}

static uint64_t next(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15UL;
	return mix(*state);
}

static unsigned int below(uint64_t *state, unsigned int limit)
{
	return (next(state) >> 16) % limit;
}

/* --- contents --- */

static uint64_t tag_of(const struct slot *s)
{
	return s - slots + 1;
}

static uint64_t tagged(uint64_t tag, uint64_t value)
{
	return tag << 56 | (value & ~(0xffUL << 56)) | 1;
}

static uint64_t data_seed(const struct slot *s, unsigned int file_page)
{
	return tagged(tag_of(s), mix(0xf11e0000UL + file_page));
}

static uint64_t fill_seed(const struct slot *s, unsigned int i)
{
	return tagged(tag_of(s), mix(0xf1110000UL + i));
}

static uint64_t word(uint64_t seed, unsigned int i)
{
	return seed ? tagged(seed >> 56, mix(seed + 2 * i)) : 0;
}

static void make_content(uint64_t *to, uint64_t seed)
{
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		to[i] = word(seed, i);
}

static bool is_content(const uint64_t *words, uint64_t seed, const struct page *own)
{
	unsigned int i;

	for (i = 0; i < WORDS; i++) {
		uint64_t want = own && own->value && own->at == i ? own->value :
				word(seed, i);

		if (words[i] != want)
			return false;
	}
	return true;
}

/* classify: which of the contents that the page may have this is; 0 if none */
static int classify(const struct slot *s, unsigned int i, const uint64_t *words)
{
	const struct page *p = &s->pages[i];

	if (p->may & OWN && is_content(words, p->seed, p))
		return OWN;
	if (p->may & ZERO && is_content(words, 0, NULL))
		return ZERO;
	if (p->may & DATA && is_content(words, data_seed(s, p->file_page), NULL))
		return DATA;
	if (p->may & FILL && is_content(words, fill_seed(s, i), NULL))
		return FILL;
	return 0;
}

/* set_content: from now on it is this, and there is a page */
static void set_content(struct page *p, uint64_t seed)
{
	p->may = OWN;
	p->seed = seed;
	p->value = 0;
	p->empty = false;
}

/* set_found: a thread has found one of the contents: it will not change */
static void set_found(struct slot *s, unsigned int i, int found)
{
	struct page *p = &s->pages[i];

	if (found == FILL)
		set_content(p, fill_seed(s, i));
	/* After MADV_FREE; once it is gone, it stays so. */
	if (found == ZERO && p->may & OWN)
		p->may &= ~OWN;
}

/* set_empty: nothing has been written yet */
static void set_empty(struct page *p)
{
	p->may = ZERO | (p->registered ? FILL : 0);
	p->empty = true;
	p->value = 0;
}

/* set_file: it is what its file has now */
static void set_file(struct slot *s, struct page *p)
{
	p->may = p->file_page >= s->size ? BUS :
		 s->holes & 1U << p->file_page ? ZERO : DATA;
	p->empty = false;
	p->value = 0;
}

static void set_unmapped(struct page *p)
{
	memset(p, 0, sizeof(*p));
}

/* --- a mismatch --- */

static void print_past(const struct slot *s)
{
	unsigned long i, begin = s->done > HISTORY ? s->done - HISTORY : 0;

	for (i = begin; i < s->done; i++) {
		const struct past *p = &s->past[i % HISTORY];

		printf("#   thread %d, number %ld, on kernel %d: %s%s%s, pages %u to %u: %ld%s%s\n",
		       p->thread, p->number, p->kid, p->name, *p->detail ? " " : "",
		       p->detail, p->first, p->first + p->count - 1, p->result,
		       p->result == -1 ? ", " : "",
		       p->result == -1 ? strerrorname_np(p->err) : "");
	}
}

static void print_expected(const struct slot *s, unsigned int i)
{
	const struct page *p = &s->pages[i];

	if (!p->mapped)
		printf("# expected: SIGSEGV, as nothing is mapped\n");
	else
		printf("# expected (protection %d%s%s%s%s):%s%s%s%s%s\n", p->prot,
		       p->shared ? ", shared" : "", p->anon ? "" : ", a file",
		       p->registered ? ", userfaultfd" : "", p->locked ? ", locked" : "",
		       p->may & OWN ? " what was written" : "",
		       p->may & ZERO ? " zeros" : "",
		       p->may & FILL ? " what the handler gives" : "",
		       p->may & DATA ? " the file's data" : "",
		       p->may & BUS ? " SIGBUS" : "");
}

/* Where a content comes from that should not be here */
static void print_origin(const uint64_t *words)
{
	unsigned int s, i;

	for (s = 0; s < SLOTS; s++) {
		for (i = 0; i < ALL; i++) {
			struct page *p = &slots[s].pages[i];

			if (words[0] && p->seed && word(p->seed, 0) == words[0])
				printf("# that is what was written to slot %u, page %u\n",
				       s, i);
			if (words[0] == word(data_seed(&slots[s], i), 0))
				printf("# that is data of the file of slot %u, page %u\n",
				       s, i);
			if (words[0] == word(fill_seed(&slots[s], i), 0))
				printf("# that is from the handler, for slot %u, page %u\n",
				       s, i);
		}
	}
}

/* One of the contents that the page may have */
static uint64_t expected(const struct slot *s, unsigned int i, unsigned int at)
{
	const struct page *p = &s->pages[i];

	if (p->may & OWN)
		return p->value && p->at == at ? p->value : word(p->seed, at);
	if (p->may & DATA)
		return word(data_seed(s, p->file_page), at);
	return p->may & ZERO ? 0 : word(fill_seed(s, i), at);
}

static void print_found(const struct slot *s, unsigned int i, const uint64_t *words)
{
	unsigned int at, wrong = 0, first = 0;

	for (at = WORDS; at-- > 0;) {
		if (words[at] == expected(s, i, at))
			continue;
		wrong++;
		first = at;
	}
	printf("# %u words differ, the first at %u:", wrong, first);
	for (at = first; at < first + 4 && at < WORDS; at++)
		printf(" %016lx", words[at]);
	printf("\n");
	print_origin(words);
}

/* wrong: says what is wrong with a page, and ends all */
static void __attribute__((format(printf, 4, 5)))
wrong(const struct slot *s, unsigned int i, const uint64_t *words, const char *text, ...)
{
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
	va_list list;

	pthread_mutex_lock(&once);
	printf("# seed %lu: slot %u, page %u at %p%s: ", fuzz_seed, (int)(s - slots), i,
	       s->at + i * PAGE, is_child ? ", in a child" : "");
	va_start(list, text);
	vprintf(text, list);
	va_end(list);
	printf("\n");
	print_expected(s, i);
	if (words)
		print_found(s, i, words);
	printf("# the last operations on this slot:\n");
	print_past(s);
	if (!is_child)
		result(false, "every byte is what it must be");
	fflush(stdout);
	_exit(1);
}

/* --- accesses --- */

static __thread sigjmp_buf escape;
static __thread volatile sig_atomic_t may_fault;
static __thread int fault_code;			/* si_code of the last fault */

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (!may_fault) {
		static const char text[] = "# a fault that no access was meant to cause\n";

		if (write(1, text, sizeof(text) - 1) < 0)
			_exit(3);
		_exit(3);
	}
	may_fault = 0;
	fault_code = info->si_code;
	siglongjmp(escape, sig);
}

/* load: a page; 0, or the signal that came instead */
static int load(const char *at, uint64_t *to)
{
	const volatile uint64_t *from = (const volatile uint64_t *)at;
	int i, sig = sigsetjmp(escape, 0);

	if (sig)
		return sig;
	may_fault = 1;
	for (i = 0; i < (int)WORDS; i++)
		to[i] = from[i];
	may_fault = 0;
	return 0;
}

/* store: a content; 0, or the signal that came instead */
static int store(char *at, uint64_t seed)
{
	volatile uint64_t *to = (volatile uint64_t *)at;
	int i, sig = sigsetjmp(escape, 0);

	if (sig)
		return sig;
	may_fault = 1;
	for (i = 0; i < (int)WORDS; i++)
		to[i] = word(seed, i);
	may_fault = 0;
	return 0;
}

static int store_word(char *at, uint64_t value)
{
	int sig = sigsetjmp(escape, 0);

	if (sig)
		return sig;
	may_fault = 1;
	*(volatile uint64_t *)at = value;
	may_fault = 0;
	return 0;
}

static int load_word(const char *at, uint64_t *value)
{
	int sig = sigsetjmp(escape, 0);

	if (sig)
		return sig;
	may_fault = 1;
	*value = *(const volatile uint64_t *)at;
	may_fault = 0;
	return 0;
}

static bool readable(const struct page *p)
{
	/* On x86 what is writable is readable. */
	return p->mapped && p->prot & (PROT_READ | PROT_WRITE);
}

static bool writable(const struct page *p)
{
	return p->mapped && p->prot & PROT_WRITE;
}

/* check_words: what has been got from a page, somehow, is one of its contents */
static void check_words(struct slot *s, unsigned int i, const uint64_t *words,
			const char *how)
{
	int found = classify(s, i, words);

	if (!found)
		wrong(s, i, words, "%s", how);
	set_found(s, i, found);
}

/* check_signal: an access of this kind may have ended so */
static void check_signal(struct slot *s, unsigned int i, int sig, bool allowed,
			 const char *how)
{
	const struct page *p = &s->pages[i];

	if (!allowed && sig != SIGSEGV)
		wrong(s, i, NULL, "%s has met %s in place of SIGSEGV", how,
		      sig ? "SIGBUS" : "no fault");
	if (allowed && sig == SIGSEGV)
		wrong(s, i, NULL, "%s has met SIGSEGV, code %d", how, fault_code);
	if (allowed && sig == SIGBUS && !(p->may & BUS))
		wrong(s, i, NULL, "%s has met SIGBUS, code %d", how, fault_code);
	if (allowed && !sig && p->may == BUS)
		wrong(s, i, NULL, "%s has met no SIGBUS", how);
}

/* check_page: one access, that finds what it must */
static void check_page(struct slot *s, unsigned int i)
{
	uint64_t words[WORDS];
	int sig = load(s->at + i * PAGE, words);

	check_signal(s, i, sig, readable(&s->pages[i]), "a read");
	if (!sig)
		check_words(s, i, words, "a read has found what nobody may have written");
}

static void check_slot(struct slot *s)
{
	unsigned int i;

	for (i = 0; i < ALL; i++)
		check_page(s, i);
}

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Operations of fuzz-layout that use memory as it is: accesses, also by the kernel.
 */
#ifndef FUZZ_ACCESS_H
#define FUZZ_ACCESS_H

#include <sys/uio.h>

#include "fuzz-job.h"

/* --- accesses --- */

static void do_read(struct job *j)
{
	unsigned int i;

	for (i = 0; i < j->count; i++)
		check_page(j->s, j->first + i);
	done(j, "", 0);
}

static void do_check(struct job *j)
{
	check_slot(j->s);
	done(j, "", 0);
}

/* Some contents are the same in all slots, for KSM. */
static uint64_t new_seed(struct job *j)
{
	uint64_t r = next(&j->rng);

	return r & 7 ? tagged(tag_of(j->s), r >> 3) : tagged(COMMON, r >> 3 & 3);
}

static void do_write(struct job *j)
{
	unsigned int i;

	for (i = 0; i < j->count; i++) {
		struct page *p = page(j, i);
		uint64_t seed = new_seed(j);
		int sig = store(at(j) + i * PAGE, seed);

		check_signal(j->s, j->first + i, sig, writable(p), "a write");
		if (!sig)
			set_content(p, seed);
	}
	done(j, "", 0);
}

/* One word, so that the others of the page have to come from where they are. */
static void do_word(struct job *j)
{
	struct page *p = page(j, 0);
	uint64_t value = tagged(tag_of(j->s), next(&j->rng));
	unsigned int i = below(&j->rng, WORDS);
	int sig;

	j->past->count = 1;
	check_page(j->s, j->first);
	if (p->value || (p->may != OWN && p->may != ZERO && p->may != DATA)) {
		j->count = 1;
		do_write(j);
		return;
	}
	sig = store_word(at(j) + i * 8, value);
	check_signal(j->s, j->first, sig, writable(p), "a write");
	if (!sig) {
		set_content(p, p->may == OWN ? p->seed : p->may == ZERO ? 0 :
			    data_seed(j->s, p->file_page));
		p->at = i;
		p->value = value;
	}
	done(j, "", sig);
}

/* Without the lock: a fault, zeros, or something of this slot */
static void peek(struct job *j)
{
	struct slot *s = &slots[below(&j->rng, SLOTS)];
	unsigned int i = below(&j->rng, ALL);
	uint64_t value;

	if (load_word(s->at + i * PAGE + below(&j->rng, WORDS) * 8, &value) || !value)
		return;
	if (value >> 56 != tag_of(s) && value >> 56 != COMMON)
		wrong(s, i, NULL, "a read without the lock has found %016lx", value);
}

static void do_go(struct job *j)
{
	int kid = kids[below(&j->rng, kernels)];

	if (stay)
		return;
	if (!done(j, "", go(kid)))
		j->w->kid = kid;
	else
		__atomic_add_fetch(&refused, 1, __ATOMIC_RELAXED);
}

/* --- the kernel's own accesses --- */

/* usable: the kernel can take the page; for that PROT_WRITE alone is not enough */
static bool usable(const struct page *p)
{
	return p->mapped && p->prot & PROT_READ && !(p->may & BUS);
}

/* It does not wait for a handler of userfaultfd, and a debug kernel complains of that. */
static void do_mem(struct job *j)
{
	ssize_t n;

	if (page(j, 0)->may & FILL)
		return;
	n = pread(mem, j->w->buffer, PAGE, (off_t)at(j));
	done(j, "", n);
	j->past->count = 1;
	if (n == (ssize_t)PAGE)
		check_words(j->s, j->first, j->w->buffer, "/proc/self/mem has");
	must(j, n == (ssize_t)PAGE || !readable(page(j, 0)) || page(j, 0)->may & BUS,
	     "it cannot be read through /proc/self/mem");
}

static void read_into(struct job *j, const char *detail, long n, uint64_t seed)
{
	struct page *p = page(j, 0);

	done(j, detail, n);
	j->past->count = 1;
	must(j, n == (ssize_t)PAGE || !writable(p) || p->may & BUS,
	     "nothing can be read into it");
	must(j, n != (ssize_t)PAGE || writable(p), "it was read into");
	if (n == (ssize_t)PAGE)
		set_content(p, seed);
}

/* Each slot has four pages of the source. */
static uint64_t source_seed(const struct slot *s, unsigned int i)
{
	return tagged(tag_of(s), mix(0x50cce0000UL + i));
}

static unsigned int source_page(const struct slot *s, unsigned int i)
{
	return (s - slots) * 4 + i;
}

static void do_pread(struct job *j)
{
	unsigned int i = below(&j->rng, 4);

	read_into(j, "", pread(source, at(j), PAGE, source_page(j->s, i) * PAGE),
		  source_seed(j->s, i));
}

static void do_pipe(struct job *j)
{
	bool splice = next(&j->rng) & 1;
	struct iovec v = { at(j), PAGE };
	ssize_t n;

	n = splice ? vmsplice(j->w->pipe[1], &v, 1, 0) : write(j->w->pipe[1], at(j), PAGE);
	done(j, splice ? "vmsplice" : "write", n);
	j->past->count = 1;
	must(j, n == (ssize_t)PAGE || !usable(page(j, 0)), "it cannot be written to a pipe");
	if (n <= 0)
		return;
	if (read(j->w->pipe[0], j->w->buffer, n) == (ssize_t)PAGE)
		check_words(j->s, j->first, j->w->buffer, "a pipe has got");
}

static void do_direct(struct job *j)
{
	off_t mine = (SLOTS + (j->s - slots)) * PAGE;
	ssize_t n;

	if (direct < 0)
		return;
	if (next(&j->rng) & 1) {
		read_into(j, "pread", pread(direct, at(j), PAGE, (j->s - slots) * PAGE),
			  source_seed(j->s, 0));
		return;
	}
	n = pwrite(direct, at(j), PAGE, mine);
	done(j, "pwrite", n);
	j->past->count = 1;
	must(j, n == (ssize_t)PAGE || !usable(page(j, 0)), "it cannot be written to a file");
	if (n == (ssize_t)PAGE && pread(direct, j->w->buffer, PAGE, mine) == (ssize_t)PAGE)
		check_words(j->s, j->first, j->w->buffer, "a file has got");
}

static struct ring *ring_of(struct job *j)
{
	struct worker *w = j->w;

	if (!w->has_ring && !w->no_ring) {
		w->has_ring = !ring_open(&w->ring);
		w->no_ring = !w->has_ring;
	}
	return w->has_ring && w->ring.fd >= 0 ? &w->ring : NULL;
}

static void do_uring_read(struct job *j)
{
	unsigned int i = below(&j->rng, 4);
	bool fixed = next(&j->rng) & 1;
	struct ring *r = ring_of(j);
	long n;

	if (!r)
		return;
	if (fixed && ring_buffer(r, at(j))) {
		done(j, "register", -1);
		return;
	}
	n = ring_read(r, source, at(j), source_page(j->s, i) * PAGE, fixed);
	read_into(j, fixed ? "fixed" : "", n, source_seed(j->s, i));
	/* Linux does not say of registered buffers that they are dirty now. */
	if (fixed && n == (ssize_t)PAGE)
		store_word(at(j), word(source_seed(j->s, i), 0));
	if (fixed && r->fd >= 0)
		ring_buffer(r, NULL);
}

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Operations of fuzz-layout that discard contents, or tell the kernel what to do with
 * memory; and those on the file below private mappings.
 */
#ifndef FUZZ_ADVISE_H
#define FUZZ_ADVISE_H

#include "fuzz-map.h"

/* --- madvise --- */

static void reset_page(struct slot *s, struct page *p)
{
	if (!p->anon)
		set_file(s, p);
	else if (!p->shared)
		set_empty(p);
}

/* advise_page: what the advice does to a page; or the error that it stops with */
static int advise_page(struct slot *s, struct page *p, int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
		if (p->locked)
			return -EINVAL;
		/* fallthrough */
	case MADV_DONTNEED_LOCKED:
		reset_page(s, p);
		return 0;
	case MADV_FREE:
		if (p->locked || p->shared || !p->anon)
			return -EINVAL;
		p->may |= ZERO | (p->registered ? FILL : 0);
		p->empty = true;
		return 0;
	case MADV_REMOVE:
		if (p->locked || (!p->shared && p->anon))
			return -EINVAL;
		if (!p->shared)
			return -EACCES;
		set_empty(p);
		return 0;
	case MADV_WIPEONFORK:
		if (p->shared || !p->anon)
			return -EINVAL;
		/* fallthrough */
	case MADV_KEEPONFORK:
		p->wipe = advice == MADV_WIPEONFORK;
		return 0;
	case MADV_DONTFORK:
	case MADV_DOFORK:
		p->no_fork = advice == MADV_DONTFORK;
		return 0;
	default:
		return 0;
	}
}

static bool is_harmless(int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
	case MADV_REMOVE:
	case MADV_WIPEONFORK:
	case MADV_KEEPONFORK:
	case MADV_DONTFORK:
	case MADV_DOFORK:
		return false;
	default:
		return true;
	}
}

/* advised: the advice has been given, and this was the result */
static void advised(struct job *j, int advice, long result)
{
	int err = result == -1 ? errno : 0, want = 0;
	unsigned int i;

	if (is_harmless(advice))
		return;
	/* Holes are passed, and told of in the end; other errors end it. */
	for (i = 0; i < j->count && (!want || want == ENOMEM); i++) {
		int this = page(j, i)->mapped ?
			   -advise_page(j->s, page(j, i), advice) : ENOMEM;

		want = this ?: want;
	}
	if (err != want && !injecting)
		wrong(j->s, j->first, NULL, "madvise() says %s, %s wanted",
		      strerrorname_np(err), strerrorname_np(want));
}

static void advise(struct job *j, const char *name, int advice)
{
	advised(j, advice, done(j, name, madvise(at(j), length(j), advice)));
}

static void do_dontneed(struct job *j)
{
	advise(j, "DONTNEED", MADV_DONTNEED);
}

static void comb_page(struct job *j, unsigned int i)
{
	char *p = j->w->comb + i * PAGE;
	uint64_t seed = new_seed(j);

	if (store(p, seed) || load(p, j->w->buffer) ||
	    !is_content(j->w->buffer, seed, NULL))
		wrong(j->s, j->first, j->w->buffer, "comb, page %u: what was written", i);
	if (madvise(p, PAGE, MADV_DONTNEED)) {
		must(j, false, "madvise() has failed");
		return;
	}
	if (load(p, j->w->buffer) || !is_content(j->w->buffer, 0, NULL))
		wrong(j->s, j->first, j->w->buffer, "comb, page %u: discarded", i);
	if (load(p + PAGE, j->w->buffer) ||
	    !is_content(j->w->buffer, tagged(COMMON, i + 1), NULL))
		wrong(j->s, j->first, j->w->buffer, "comb, page %u: beside it", i + 1);
}

/*
 * Every other page of memory of the thread's own is discarded, as a collector of a heap
 * does. So at another kernel there may be very many mappings of it.
 */
static void do_comb(struct job *j)
{
	struct worker *w = j->w;
	unsigned int i;

	if (!w->comb) {
		w->comb = map(COMB);
		for (i = 1; w->comb && i < COMB; i += 2)
			store(w->comb + i * PAGE, tagged(COMMON, i));
	}
	for (i = 0; w->comb && i < 16; i++) {
		comb_page(j, w->teeth);
		w->teeth = (w->teeth + 2) % COMB;
	}
	done(j, "", w->teeth);
}

static void do_free(struct job *j)
{
	if (next(&j->rng) & 1)
		advise(j, "FREE", MADV_FREE);
	else
		advise(j, "DONTNEED_LOCKED", MADV_DONTNEED_LOCKED);
}

static void do_remove(struct job *j)
{
	advise(j, "REMOVE", MADV_REMOVE);
}

static void do_forks(struct job *j)
{
	static const struct { int advice; const char *name; } list[] = {
		{ MADV_WIPEONFORK, "WIPEONFORK" }, { MADV_KEEPONFORK, "KEEPONFORK" },
		{ MADV_DONTFORK, "DONTFORK" }, { MADV_DOFORK, "DOFORK" },
	};
	unsigned int i = below(&j->rng, 4);

	advise(j, list[i].name, list[i].advice);
}

static void do_advice(struct job *j)
{
	static const struct { int advice; const char *name; } list[] = {
		{ MADV_NORMAL, "NORMAL" }, { MADV_RANDOM, "RANDOM" },
		{ MADV_SEQUENTIAL, "SEQUENTIAL" }, { MADV_WILLNEED, "WILLNEED" },
		{ MADV_HUGEPAGE, "HUGEPAGE" }, { MADV_NOHUGEPAGE, "NOHUGEPAGE" },
		{ MADV_DONTDUMP, "DONTDUMP" }, { MADV_DODUMP, "DODUMP" },
		{ MADV_COLLAPSE, "COLLAPSE" }, { MADV_POPULATE_READ, "POPULATE_READ" },
		{ MADV_POPULATE_WRITE, "POPULATE_WRITE" },
	};
	unsigned int i = below(&j->rng, ARRAY_SIZE(list));

	advise(j, list[i].name, list[i].advice);
}

static void do_pageout(struct job *j)
{
	if (next(&j->rng) & 3)
		advise(j, "PAGEOUT", MADV_PAGEOUT);
	else
		advise(j, "COLD", MADV_COLD);
}

static void do_ksm(struct job *j)
{
	if (next(&j->rng) & 3)
		advise(j, "MERGEABLE", MADV_MERGEABLE);
	else
		advise(j, "UNMERGEABLE", MADV_UNMERGEABLE);
}

static void do_uring_advice(struct job *j)
{
	struct ring *r = ring_of(j);
	int advice = next(&j->rng) & 3 ? MADV_DONTNEED : MADV_FREE;

	if (r)
		advised(j, advice, done(j, advice == MADV_FREE ? "FREE" : "DONTNEED",
					ring_madvise(r, at(j), length(j), advice)));
}

static void do_lock(struct job *j)
{
	bool lock = next(&j->rng) & 1;
	unsigned int i, n = mapped(j);

	done(j, lock ? "mlock" : "munlock", lock ? mlock(at(j), length(j)) :
	     munlock(at(j), length(j)));
	/* Even if it has failed, because there cannot be such a page. */
	for (i = 0; i < n; i++)
		page(j, i)->locked = lock;
}

/* --- the file below private mappings --- */

static void truncated(struct slot *s, unsigned int from, unsigned int to, int may)
{
	unsigned int i;

	for (i = 0; i < ALL; i++) {
		struct page *p = &s->pages[i];

		if (p->mapped && !p->anon && p->file_page >= from && p->file_page < to)
			p->may |= may;
	}
}

/*
 * Private copies of what is cut off are lost, too. An access to them must find
 * SIGBUS or something that the page had.
 */
static void do_truncate(struct job *j)
{
	struct slot *s = j->s;
	unsigned int size = below(&j->rng, PAGES + 1), i, old = s->size;

	if (done(j, "", ftruncate(s->fd, size * PAGE)))
		return;
	s->size = size;
	for (i = old; i < size; i++)
		s->holes |= 1U << i;
	if (size < old)
		truncated(s, size, -1U, BUS | DATA);
	else
		truncated(s, old, size, ZERO);
}

static void do_refill(struct job *j)
{
	struct slot *s = j->s;
	unsigned int i;

	for (i = 0; i < s->size; i++) {
		if (!(s->holes & 1U << i))
			continue;
		make_content(j->w->buffer, data_seed(s, i));
		if (pwrite(s->fd, j->w->buffer, PAGE, i * PAGE) != (ssize_t)PAGE)
			continue;
		s->holes &= ~(1U << i);
		truncated(s, i, i + 1, DATA);
	}
	done(j, "", s->size);
}

#endif

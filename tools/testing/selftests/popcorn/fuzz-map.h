/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Operations of fuzz-layout that map, unmap and move memory, or fail to.
 */
#ifndef FUZZ_MAP_H
#define FUZZ_MAP_H

#include "fuzz-access.h"

/* --- mapping --- */

static void new_mapping(struct job *j, int prot, bool shared, bool anon, unsigned int file_page)
{
	static unsigned int vmas;
	unsigned int vma = __atomic_add_fetch(&vmas, 1, __ATOMIC_RELAXED), i;

	for (i = 0; i < j->count; i++) {
		struct page *p = page(j, i);

		set_unmapped(p);
		p->mapped = true;
		p->prot = prot;
		p->shared = shared;
		p->anon = anon;
		p->vma = vma;
		p->file_page = file_page + i;
		if (anon)
			set_empty(p);
		else
			set_file(j->s, p);
	}
}

static int some_prot(struct job *j)
{
	static const int prots[] = {
		PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
		PROT_READ | PROT_WRITE, PROT_WRITE, PROT_READ, PROT_READ | PROT_EXEC,
		PROT_NONE,
	};

	return prots[below(&j->rng, 8)];
}

static void do_mmap(struct job *j)
{
	bool shared = !(next(&j->rng) & 3);
	int prot = some_prot(j);
	char *p = mmap(at(j), length(j), prot, MAP_ANONYMOUS | MAP_FIXED |
		       (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);

	done(j, shared ? "shared" : "", p == at(j) ? 0 : -1);
	must(j, p == at(j), "mmap() has failed");
	if (p == at(j))
		new_mapping(j, prot, shared, true, 0);
	else
		probe(j, j->first, j->count);
}

static void do_noreplace(struct job *j)
{
	char *p = mmap(at(j), length(j), PROT_READ | PROT_WRITE, MAP_ANONYMOUS |
		       MAP_PRIVATE | MAP_FIXED_NOREPLACE, -1, 0);
	unsigned int i, free = 0;

	for (i = 0; i < j->count; i++)
		free += !page(j, i)->mapped;
	done(j, "", p == at(j) ? 0 : -1);
	must(j, (p == at(j)) == (free == j->count), "MAP_FIXED_NOREPLACE was wrong");
	if (p == at(j))
		new_mapping(j, PROT_READ | PROT_WRITE, false, true, 0);
}

static void do_file(struct job *j)
{
	unsigned int first = below(&j->rng, PAGES);
	int prot = some_prot(j);
	char *p = mmap(at(j), length(j), prot, MAP_PRIVATE | MAP_FIXED, j->s->fd,
		       first * PAGE);

	done(j, "", p == at(j) ? 0 : -1);
	must(j, p == at(j), "mmap() has failed");
	if (p == at(j))
		new_mapping(j, prot, false, false, first);
	else
		probe(j, j->first, j->count);
}

static void do_munmap(struct job *j)
{
	unsigned int i;
	int err = done(j, "", munmap(at(j), length(j)));

	must(j, !err, "munmap() has failed");
	for (i = 0; !err && i < j->count; i++)
		set_unmapped(page(j, i));
}

/* Anywhere: nobody else knows of it. */
static void do_anywhere(struct job *j)
{
	char *p = map(j->count);
	uint64_t seed = new_seed(j);
	unsigned int i;

	done(j, "", p ? 0 : -1);
	for (i = 0; p && i < j->count; i++) {
		if (load(p + i * PAGE, j->w->buffer) ||
		    !is_content(j->w->buffer, 0, NULL) || store(p + i * PAGE, seed) ||
		    load(p + i * PAGE, j->w->buffer) ||
		    !is_content(j->w->buffer, seed, NULL))
			wrong(j->s, j->first, j->w->buffer, "a new mapping has");
	}
	if (p)
		must(j, !munmap(p, length(j)), "munmap() has failed");
}

static void do_mprotect(struct job *j)
{
	unsigned int i, n = mapped(j);
	int prot = some_prot(j);
	int err = done(j, "", mprotect(at(j), length(j), prot));

	must(j, !err == (n == j->count), "mprotect() was wrong");
	/* A part may have been changed before there was no memory. */
	while (err && injecting && n && mprotect(at(j), n * PAGE, prot) && errno == ENOMEM)
		;
	for (i = 0; i < n; i++)
		page(j, i)->prot = prot;
}

/* --- what must fail, and change nothing --- */

static const char * const failures[] = {
	"munmap, unaligned", "munmap, no length", "madvise, unaligned",
	"madvise, no such advice", "mprotect, unaligned", "mprotect, no such protection",
	"mmap, bad descriptor", "mmap, bad flags", "mmap, unaligned", "mmap, no length",
	"mmap, not a file", "mmap, unaligned offset", "mremap, unaligned target",
	"mremap, bad flags", "mremap onto it, from nothing",
};

/* MAP_FAILED is -1, as the other calls' result is. */
static long fail_once(struct job *j, unsigned int which)
{
	const int rw = PROT_READ | PROT_WRITE, new = MAP_FIXED | MAP_ANONYMOUS | MAP_PRIVATE;
	char *p = at(j);
	size_t n = length(j);

	switch (which) {
	case 0:
		return munmap(p + 8, n);
	case 1:
		return munmap(p, 0);
	case 2:
		return madvise(p + 8, n, MADV_DONTNEED);
	case 3:
		return madvise(p, n, 77);
	case 4:
		return mprotect(p + 8, n, PROT_NONE);
	case 5:
		return mprotect(p, n, 0x40000000);
	case 6:
		return (long)mmap(p, n, rw, MAP_FIXED | MAP_PRIVATE, -1, 0);
	case 7:
		return (long)mmap(p, n, rw, MAP_FIXED | MAP_ANONYMOUS, -1, 0);
	case 8:
		return (long)mmap(p + 8, n, rw, new, -1, 0);
	case 9:
		return (long)mmap(p, 0, rw, new, -1, 0);
	case 10:
		return (long)mmap(p, n, rw, MAP_FIXED | MAP_PRIVATE, j->w->pipe[0], 0);
	case 11:
		return (long)mmap(p, n, rw, MAP_FIXED | MAP_PRIVATE, j->s->fd, 8);
	case 12:
		return (long)mremap(p, n, n, MREMAP_FIXED | MREMAP_MAYMOVE, p + 8);
	case 13:
		return (long)mremap(p, n, n, MREMAP_FIXED, j->s->at);
	default:
		return (long)mremap((void *)PAGE, n, n, MREMAP_FIXED | MREMAP_MAYMOVE, p);
	}
}

static long fail(struct job *j, const char **name)
{
	unsigned int which = below(&j->rng, ARRAY_SIZE(failures));

	*name = failures[which];
	return fail_once(j, which);
}

/* So long that all memory above would go, the program's own too */
static long fail_huge(struct job *j, const char **name)
{
	switch (below(&j->rng, 3)) {
	case 0:
		*name = "munmap, huge length";
		return munmap(at(j), -PAGE);
	case 1:
		*name = "madvise, huge length";
		return madvise(at(j), -PAGE, MADV_DONTNEED);
	default:
		*name = "mmap, huge length";
		return (long)mmap(at(j), -PAGE, PROT_READ, MAP_FIXED | MAP_ANONYMOUS |
				  MAP_PRIVATE, -1, 0);
	}
}

static void must_fail(struct job *j, long (*call)(struct job *j, const char **name))
{
	const char *name = "";
	unsigned int i;
	long result;

	/* If it can be written, this kernel alone has it then. */
	do_write(j);
	result = call(j, &name);
	done(j, name, result);
	must(j, result == -1, "a call that must fail has not failed");
	for (i = 0; i < j->count; i++)
		check_page(j->s, j->first + i);
}

static void do_fail(struct job *j)
{
	must_fail(j, fail);
}

static void do_huge(struct job *j)
{
	must_fail(j, fail_huge);
}

/* --- mremap --- */

/* is_one: the pages are of one mapping, and it is known what is in them */
static bool is_one(struct job *j)
{
	const struct page *first = page(j, 0);
	unsigned int i;

	for (i = 0; i < j->count; i++) {
		const struct page *p = page(j, i);

		if (!p->mapped || p->vma != first->vma || p->prot != first->prot ||
		    p->registered != first->registered)
			return false;
		if (p->may & FILL && !readable(p))
			return false;
		check_page(j->s, j->first + i);
	}
	return true;
}

static void move_page(struct slot *s, struct page *from, struct page *to, bool leave)
{
	*to = *from;
	to->registered = false;
	to->may = to->may & ~FILL ?: ZERO;
	if (!leave) {
		set_unmapped(from);
		return;
	}
	from->locked = false;
	if (from->anon)
		set_empty(from);
	else
		set_file(s, from);
}

/*
 * If there is no memory to unmap what mremap() has moved, it stays mapped, and empty; the
 * call does not fail (move_vma() of mm/mremap.c).
 */
static void unmap_source(struct job *j)
{
	while (injecting && munmap(at(j), length(j)) && errno == ENOMEM)
		;
}

static void do_move(struct job *j)
{
	bool leave = !(next(&j->rng) & 3);
	unsigned int to = below(&j->rng, ALL - j->count + 1), i;
	struct slot *s = j->s;
	char *p;

	if (!is_one(j) || (leave && page(j, 0)->shared))
		return;
	p = mremap(at(j), length(j), length(j), MREMAP_MAYMOVE | MREMAP_FIXED |
		   (leave ? MREMAP_DONTUNMAP : 0), s->at + to * PAGE);
	done(j, leave ? "left mapped" : "", p == MAP_FAILED ? -1 : (long)to);
	if (to < j->first + j->count && j->first < to + j->count) {
		must(j, p == MAP_FAILED, "mremap() to where it is has not failed");
		return;
	}
	if (p == MAP_FAILED)
		probe(j, to, j->count);
	else if (!leave)
		unmap_source(j);
	for (i = 0; p != MAP_FAILED && i < j->count; i++)
		move_page(s, page(j, i), &s->pages[to + i], leave);
}

static void do_shrink(struct job *j)
{
	unsigned int left = 1 + below(&j->rng, j->count), i;
	char *p = mremap(at(j), length(j), left * PAGE, 0);

	done(j, "", p == at(j) ? (long)left : -1);
	must(j, p == at(j) || mapped(j) < j->count || left == j->count,
	     "mremap() has not shrunk it");
	for (i = left; p == at(j) && i < j->count; i++)
		set_unmapped(page(j, i));
}

static void do_grow(struct job *j)
{
	unsigned int i, more = 1 + below(&j->rng, 4);
	struct page *last = page(j, j->count - 1);
	char *p;

	if (j->first + j->count + more > ALL || !is_one(j) || last->shared)
		return;
	p = mremap(at(j), length(j), length(j) + more * PAGE, 0);
	done(j, "", p == at(j) ? (long)more : -1);
	for (i = 0; p == at(j) && i < more; i++) {
		struct page *new = last + 1 + i;

		if (new->mapped)
			wrong(j->s, new - j->s->pages, NULL, "mremap() has grown over it");
		*new = *last;
		new->file_page = last->file_page + 1 + i;
		if (new->anon)
			set_empty(new);
		else
			set_file(j->s, new);
	}
}

#endif

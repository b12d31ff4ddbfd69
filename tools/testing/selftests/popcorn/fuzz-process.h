/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Operations of fuzz-layout that concern the process: userfaultfd, fork, brk.
 */
#ifndef FUZZ_PROCESS_H
#define FUZZ_PROCESS_H

#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "fuzz-advise.h"

/* --- userfaultfd --- */

static bool only_private(struct job *j)
{
	unsigned int i;

	for (i = 0; i < j->count; i++)
		if (!page(j, i)->mapped || !page(j, i)->anon || page(j, i)->shared)
			return false;
	return true;
}

static void do_register(struct job *j)
{
	struct uffdio_register r = {
		.range = { (uintptr_t)at(j), length(j) },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	unsigned int i;

	if (!only_private(j) || uffd < 0)
		return;
	if (done(j, "", ioctl(uffd, UFFDIO_REGISTER, &r)))
		return;
	for (i = 0; i < j->count; i++) {
		page(j, i)->registered = true;
		if (page(j, i)->empty)
			page(j, i)->may |= FILL;
	}
}

static void do_unregister(struct job *j)
{
	struct uffdio_range r = { (uintptr_t)at(j), length(j) };
	unsigned int i;

	if (!only_private(j) || uffd < 0)
		return;
	if (done(j, "", ioctl(uffd, UFFDIO_UNREGISTER, &r)))
		return;
	for (i = 0; i < j->count; i++)
		page(j, i)->registered = false;
}

static void do_copy(struct job *j)
{
	uint64_t seed = new_seed(j);
	struct uffdio_copy c = {
		.dst = (uintptr_t)at(j), .src = (uintptr_t)j->w->buffer, .len = PAGE,
	};

	if (uffd < 0)
		return;
	make_content(j->w->buffer, seed);
	j->past->count = 1;
	if (done(j, "", ioctl(uffd, UFFDIO_COPY, &c)))
		return;
	if (!page(j, 0)->registered || !page(j, 0)->empty)
		wrong(j->s, j->first, NULL, "UFFDIO_COPY has found no page");
	set_content(page(j, 0), seed);
}

/* Each page that is missed comes with a content of its own. */
static void serve_fault(uint64_t address, uint64_t *content)
{
	struct uffdio_copy c = {
		.dst = address & -PAGE, .src = (uintptr_t)content, .len = PAGE,
	};
	unsigned int i = (c.dst - (uintptr_t)BASE) / PAGE;
	unsigned int s = i / (ALL + GAP);

	make_content(content, fill_seed(&slots[s], i % (ALL + GAP)));
	/* What is mapped there now may be something else. */
	if (ioctl(uffd, UFFDIO_COPY, &c))
		ioctl(uffd, UFFDIO_WAKE, &(struct uffdio_range){ c.dst, PAGE });
}

static void *serve(void *arg)
{
	static uint64_t content[WORDS] __attribute__((aligned(PAGE)));
	struct pollfd p = { .fd = uffd, .events = POLLIN };
	struct uffd_msg m;

	/* Threads may wait for it until the last has ended. */
	for (;;) {
		if (poll(&p, 1, -1) < 1 || read(uffd, &m, sizeof(m)) != sizeof(m))
			continue;
		if (m.event == UFFD_EVENT_PAGEFAULT)
			serve_fault(m.arg.pagefault.address, content);
	}
	return arg;
}

/* --- fork, brk --- */

static void become_child(struct slot *s)
{
	unsigned int i;

	is_child = true;
	for (i = 0; i < ALL; i++) {
		struct page *p = &s->pages[i];

		if (p->no_fork)
			set_unmapped(p);
		p->registered = false;
		if (p->mapped && p->wipe)
			set_empty(p);
		else if (p->empty)
			p->may |= ZERO;
	}
}

static void do_fork(struct job *j)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		become_child(j->s);
		check_slot(j->s);
		_exit(0);
	}
	done(j, "", pid);
	must(j, pid > 0, "fork() has failed");
	if (pid > 0 && waitpid(pid, &status, 0) == pid && status)
		wrong(j->s, 0, NULL, "a child has ended with status %x", status);
}

static void do_brk(struct job *j)
{
	struct slot *s = j->s;
	unsigned int pages = below(&j->rng, ALL + 1), i;
	char *end = s->at + pages * PAGE;

	if (done(j, "", syscall(SYS_brk, end) == (long)end ? (long)pages : -1) < 0) {
		must(j, false, "brk() has failed");
		return;
	}
	for (i = pages; i < ALL; i++)
		set_unmapped(&s->pages[i]);
	for (i = s->heap_pages; i < pages; i++) {
		s->pages[i] = (struct page){
			.mapped = true, .anon = true, .prot = PROT_READ | PROT_WRITE,
		};
		set_empty(&s->pages[i]);
	}
	s->heap_pages = pages;
}

#endif

// SPDX-License-Identifier: GPL-2.0
/*
 * The rule of holding pages (mm/popcorn/hold.c) in virtual time: threads of several
 * kernels repeat instructions that need pages at once which all the others take away.
 *
 * What is simulated is what the rule meets in the kernel. A thread runs its instruction:
 * if all pages are mapped at that moment it is completed, otherwise the thread faults on
 * the first that is missing, and has touched those before it. A fault goes the way of
 * pcn_access_enter(), on which one thread of a kernel asks for all. Requests for a page
 * are served in their order: a kernel that has the page is asked whether its hold is over
 * (pcn_hold_is_over()), when the request comes and at the times that it names. Then the
 * page travels, and is mapped for the thread that has asked; others of its kernel that
 * want it may map it, too, unless the next request waits already.
 *
 * The time that a page travels includes that of other messages, and of the thread that is
 * woken to map it. All times are drawn from a seed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/minmax.h>
#include <linux/time64.h>

#include <popcorn/hold.h>
#include <popcorn/proto.h>

#include "hold_sim.h"

#define US		NSEC_PER_USEC
#define THREADS		(2 * HOLD_KERNELS)
#define NEED		5

/* A request and its page take at least that. */
#define TRAVEL_MIN	(5 * US)
/* Until a thread that is awake uses a page, and until its next instruction. */
#define AWAKE		(5 * US)
#define WORK		(20 * US)
/* A round takes so long, once accesses are over. */
#define ROUND		(400 * US)

enum may { NONE, RDONLY, RDWR };

enum doing {
	RUNS,
	WAITS,		/* until something changes about the page */
	LEAVES,		/* the page to others, by rule 3 */
	ASKS,		/* for the page, or the VMA */
	WAITS_THAW,
};

struct use {
	unsigned int page;
	enum may may;
};

struct thread {
	unsigned int kernel;
	bool hammers;
	struct pcn_hold_thread hold;
	unsigned long ip;
	struct use use[NEED];
	unsigned int need, faults;
	u64 begun;
	enum doing doing;
	const struct use *wants;
	bool of_use;
	u64 until;		/* LEAVES: as pcn_hold_leave() says */
	u64 epoch;		/* ASKS for a VMA: when the origin has answered */
};

/* A page as one kernel has it. */
struct record {
	struct pcn_hold hold;
	enum may may;
	bool accessed;
	u16 writes;
	bool vma;		/* there is one */
	u64 used_since;		/* if accessed */
	u64 look;		/* the worker looks again then, or 0 */
	struct thread *poster;	/* its request is under way */
	bool write;		/* that is to write */
	u64 since;		/* it has come to the queue */
	bool data, early;	/* what comes */
	unsigned int from;
};

struct page {
	struct record r[HOLD_KERNELS];
	unsigned int queue[HOLD_KERNELS];	/* kernels */
	unsigned int queued;
	unsigned int readers;	/* copies that are on their way */
	bool moves;		/* to a writer */
	unsigned int owner;
};

enum kind { RUN, ENTER, ASK, LOOK, COME, LEFT, VMA_ASK, VMA_COME, CHANGE, THAW };

struct event {
	u64 at, order;
	enum kind kind;
	struct thread *t;
	unsigned int page, kernel;
};

struct sim {
	const struct hold_config *c;
	struct hold_result *res;
	u64 now, rng, events, used;
	struct event *heap;
	unsigned int heap_count, heap_size;
	struct thread threads[THREADS];
	unsigned int thread_count;
	struct page pages[HOLD_PAGES];
	struct pcn_kernel_group groups[HOLD_KERNELS];
	/* Of rounds. */
	bool frozen;
	unsigned int posted;
	u64 epoch, rest_until, last_round;
};

/* --- chance --- */

static u64 random64(struct sim *s)
{
	s->rng ^= s->rng << 13;
	s->rng ^= s->rng >> 7;
	s->rng ^= s->rng << 17;
	return s->rng;
}

static u64 between(struct sim *s, u64 from, u64 to)
{
	return from + random64(s) % (to - from + 1);
}

static u64 travel(struct sim *s)
{
	return between(s, TRAVEL_MIN / 2, s->c->travel_us * US / 2);
}

/* Half of the threads have not slept. */
static u64 awake(struct sim *s)
{
	return between(s, 0, random64(s) & 1 ? AWAKE : s->c->use_us * US);
}

/* --- events --- */

static bool is_before(const struct event *a, const struct event *b)
{
	return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void heap_grow(struct sim *s)
{
	s->heap_size = s->heap_size ? 2 * s->heap_size : 256;
	s->heap = realloc(s->heap, s->heap_size * sizeof(*s->heap));
	if (!s->heap) {
		fprintf(stderr, "check: out of memory\n");
		exit(3);
	}
}

static void event_add(struct sim *s, u64 after, struct event e)
{
	unsigned int i = s->heap_count;

	if (s->heap_count++ == s->heap_size)
		heap_grow(s);
	e.at = s->now + after;
	e.order = s->events++;
	for (; i && is_before(&e, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
		s->heap[i] = s->heap[(i - 1) / 2];
	s->heap[i] = e;
}

static struct event event_next(struct sim *s)
{
	struct event first = s->heap[0], last = s->heap[--s->heap_count];
	unsigned int i = 0, child;

	while ((child = 2 * i + 1) < s->heap_count) {
		if (child + 1 < s->heap_count &&
		    is_before(&s->heap[child + 1], &s->heap[child]))
			child++;
		if (!is_before(&s->heap[child], &last))
			break;
		s->heap[i] = s->heap[child];
		i = child;
	}
	s->heap[i] = last;
	return first;
}

static void thread_event(struct sim *s, enum kind what, struct thread *t, u64 after)
{
	event_add(s, after, (struct event) { .kind = what, .t = t });
}

static void page_event(struct sim *s, enum kind what, struct page *p, unsigned int kernel,
		       u64 after)
{
	event_add(s, after, (struct event) {
		.kind = what, .page = p - s->pages, .kernel = kernel });
}

/* --- threads --- */

static struct page *page_wanted(struct sim *s, const struct thread *t)
{
	return &s->pages[t->wants->page];
}

static struct record *record_wanted(struct sim *s, const struct thread *t)
{
	return &page_wanted(s, t)->r[t->kernel];
}

static void choose_pages(struct sim *s, struct thread *t)
{
	unsigned int i, j, all[HOLD_PAGES], page;

	for (i = 0; i < s->c->pages; i++)
		all[i] = i;
	for (i = 0; i < t->need; i++) {
		j = between(s, i, s->c->pages - 1);
		page = all[j];
		all[j] = all[i];
		for (j = i; s->c->ordered && j && all[j - 1] > page; j--)
			all[j] = all[j - 1];
		all[s->c->ordered ? j : i] = page;
	}
	for (i = 0; i < t->need; i++)
		t->use[i] = (struct use) { all[i], between(s, 0, 99) < s->c->reads ?
						   RDONLY : RDWR };
}

static void choose_instruction(struct sim *s, struct thread *t)
{
	t->need = t->hammers ? 1 : s->c->mixed ? between(s, 1, s->c->need) : s->c->need;
	choose_pages(s, t);
	if (s->c->rewrite && !t->hammers) {
		t->use[t->need] = t->use[0];
		t->use[t->need++].may = RDWR;
		t->use[0].may = RDONLY;
	}
	if (!s->c->loop)
		t->ip++;
	t->faults = 0;
	t->begun = s->now;
}

static void touch(struct sim *s, struct record *r, enum may may)
{
	if (!r->accessed)
		r->used_since = s->now;
	r->accessed = true;
	r->writes += may == RDWR;
}

static void count_use(struct sim *s, struct record *r)
{
	if (r->accessed)
		s->used += s->now - r->used_since;
	r->used_since = s->now;
}

static void count_instruction(struct sim *s, const struct thread *t)
{
	s->res->longest = max(s->res->longest, s->now - t->begun);
	s->res->faults = max(s->res->faults, t->faults);
}

static void thread_enter(struct sim *s, struct thread *t);
static void ask_for_vma(struct sim *s, struct thread *t);

static void thread_fault(struct sim *s, struct thread *t, const struct use *use)
{
	t->faults++;
	t->wants = use;
	t->of_use = record_wanted(s, t)->hold.used;
	thread_enter(s, t);
}

static void thread_run(struct sim *s, struct thread *t)
{
	unsigned int i;

	for (i = 0; i < t->need; i++) {
		struct record *r = &s->pages[t->use[i].page].r[t->kernel];

		if (!r->vma || r->may < t->use[i].may)
			return thread_fault(s, t, &t->use[i]);
		touch(s, r, t->use[i].may);
	}
	s->res->done++;
	count_instruction(s, t);
	choose_instruction(s, t);
	thread_event(s, RUN, t, between(s, 1, t->hammers ? US : WORK));
}

/* --- pages --- */

/* Does a request wait for what this kernel may do? */
static bool is_held(const struct page *p, unsigned int kernel)
{
	const struct record *first = &p->r[p->queue[0]];

	return p->queued && !p->moves && p->queue[0] != kernel &&
	       p->r[kernel].may > (first->write ? NONE : RDONLY);
}

static void page_changed(struct sim *s, struct page *p, unsigned int kernel)
{
	struct thread *t;

	for (t = s->threads; t < s->threads + s->thread_count; t++)
		if (t->doing == WAITS && t->kernel == kernel &&
		    page_wanted(s, t) == p) {
			t->doing = RUNS;
			thread_event(s, ENTER, t, between(s, 1, AWAKE));
		}
}

/* The accessed bit goes with the page. */
static void reduce(struct sim *s, struct page *p, struct record *r, enum may to)
{
	u64 wanted = max(p->r[p->queue[0]].since, r->hold.since);

	s->res->kept = max(s->res->kept, s->now - wanted);
	pcn_hold_end(&r->hold, s->now, to == NONE, r->accessed);
	count_use(s, r);
	r->accessed = r->accessed && to;
	r->may = to;
	r->look = 0;
	page_changed(s, p, r - p->r);
}

static u16 writes_of(const void *page)
{
	return ((const struct record *)page)->writes;
}

/* False: the kernel holds the page, and the worker will look again. */
static bool take_away(struct sim *s, struct page *p, struct record *r, enum may to)
{
	struct pcn_hold_look look = {
		.now = s->now, .accessed = r->accessed,
		.writable = r->may == RDWR, .content = writes_of, .page = r,
	};

	if (r->may <= to)
		return true;
	r->hold.taker = p->queue[0];
	if (pcn_hold_is_over(&r->hold, &look)) {
		reduce(s, p, r, to);
		return true;
	}
	if (!r->look || look.again < r->look) {
		r->look = look.again;
		page_event(s, LOOK, p, r - p->r,
			   look.again - s->now + between(s, 0, HOLD_LATE));
	}
	return false;
}

/* A kernel that has a copy needs no other one. */
static void send_page(struct sim *s, struct page *p)
{
	unsigned int kernel = p->queue[0];
	struct record *r = &p->r[kernel], *from = &p->r[p->owner];

	memmove(p->queue, p->queue + 1, --p->queued * sizeof(*p->queue));
	r->data = !r->may;
	r->from = p->owner;
	r->early = from->hold.early;
	if (r->data)
		from->hold.early = false;
	if (r->write)
		p->moves = true;
	else
		p->readers++;
	page_event(s, COME, p, kernel, travel(s));
}

/* True: nobody holds the page against the first request any more. */
static bool take_away_all(struct sim *s, struct page *p)
{
	bool write = p->r[p->queue[0]].write, all = !write || !p->readers;
	unsigned int k;

	for (k = 0; k < s->c->kernels; k++)
		if (k != p->queue[0] &&
		    !take_away(s, p, &p->r[k], write ? NONE : RDONLY))
			all = false;
	return all;
}

/* Reads are answered side by side, and each before the next write. */
static void page_serve(struct sim *s, struct page *p)
{
	while (p->queued && !p->moves && take_away_all(s, p))
		send_page(s, p);
}

/* As pcn_access_leave_mapped(). */
static void page_map(struct sim *s, struct thread *t)
{
	struct record *r = record_wanted(s, t);
	u64 ns = pcn_hold_thread_ns(&t->hold, t->ip, t->wants->page, t->of_use);

	count_use(s, r);
	r->accessed = false;
	pcn_hold_begin(&r->hold, s->now, ns, &s->groups[t->kernel]);
	t->doing = RUNS;
	thread_event(s, RUN, t, awake(s));
	page_serve(s, page_wanted(s, t));
}

/* True: the caller waits, for all threads of its kernel. */
static bool leave_page(struct sim *s, struct thread *t)
{
	struct record *r = record_wanted(s, t);

	if (pcn_hold_leave(&r->hold, s->now, &t->until)) {
		t->doing = LEAVES;
		thread_event(s, LEFT, t, t->until - s->now);
		return true;
	}
	pcn_hold_leave_end(&r->hold, s->now, t->until);
	return false;
}

static void post(struct sim *s, struct thread *t)
{
	struct record *r = record_wanted(s, t);

	t->doing = ASKS;
	r->poster = t;
	r->write = t->wants->may == RDWR;
	s->posted++;
	page_event(s, ASK, page_wanted(s, t), t->kernel, travel(s));
}

/* As pcn_access_enter(). */
static void thread_enter(struct sim *s, struct thread *t)
{
	struct record *r = record_wanted(s, t);
	bool held = is_held(page_wanted(s, t), t->kernel);

	if (s->frozen)
		t->doing = WAITS_THAW;
	else if (!r->vma)
		ask_for_vma(s, t);
	else if (!r->poster && !held && r->may >= t->wants->may)
		page_map(s, t);
	else if (r->poster || held || r->hold.leaving)
		t->doing = WAITS;
	else if (!r->hold.gone || !leave_page(s, t))
		post(s, t);
}

static void left(struct sim *s, struct thread *t)
{
	struct record *r = record_wanted(s, t);

	if (pcn_hold_leave_end(&r->hold, s->now, t->until))
		page_changed(s, page_wanted(s, t), t->kernel);
	thread_enter(s, t);
}

static void page_asked(struct sim *s, struct page *p, unsigned int kernel)
{
	p->r[kernel].since = s->now;
	p->queue[p->queued++] = kernel;
	page_serve(s, p);
}

static void count_page(struct sim *s, const struct record *r)
{
	s->res->waits++;
	s->res->copies += r->data;
	s->res->early += r->data && r->early;
	s->res->wait = max(s->res->wait, s->now - r->since);
}

static void freeze_if_quiet(struct sim *s)
{
	if (s->frozen && !s->posted)
		event_add(s, between(s, ROUND / 8, ROUND),
			  (struct event) { .kind = THAW });
}

static void page_come(struct sim *s, struct page *p, unsigned int kernel)
{
	struct record *r = &p->r[kernel];
	struct thread *t = r->poster;

	count_page(s, r);
	if (r->data)
		pcn_hold_learn(&r->hold, r->from, r->early);
	r->may = r->write ? RDWR : RDONLY;
	r->poster = NULL;
	if (r->write) {
		p->owner = kernel;
		p->moves = false;
	} else {
		p->readers--;
	}
	s->posted--;
	page_changed(s, p, kernel);
	page_map(s, t);
	freeze_if_quiet(s);
}

/* --- VMAs and rounds --- */

/* Before it waits for the answer, which says until when the VMA is needed. */
static void ask_for_vma(struct sim *s, struct thread *t)
{
	u64 ns = pcn_hold_thread_ns(&t->hold, t->ip, t->wants->page, false);

	t->doing = ASKS;
	t->until = pcn_hold_rounds_ns(ns);
	thread_event(s, VMA_ASK, t, travel(s));
}

/* At the origin. */
static void vma_asked(struct sim *s, struct thread *t)
{
	if (s->frozen) {
		t->doing = WAITS_THAW;
		return;
	}
	s->rest_until = max(s->rest_until, pcn_hold_rounds_until(s->now, t->until));
	t->epoch = s->epoch;
	thread_event(s, VMA_COME, t, travel(s));
}

/* An answer that has met a round is stale. */
static void vma_come(struct sim *s, struct thread *t)
{
	t->doing = RUNS;
	if (t->epoch == s->epoch)
		record_wanted(s, t)->vma = true;
	thread_event(s, RUN, t, awake(s));
}

/* Kernel 0 is the origin, where Linux has all pages. */
static void page_forget(struct sim *s, struct page *p)
{
	unsigned int k;

	for (k = 0; k < s->c->kernels; k++) {
		pcn_hold_init(&p->r[k].hold);
		p->r[k].may = k ? NONE : RDWR;
		p->r[k].accessed = false;
		p->r[k].vma = !k || !s->c->rounds;
	}
	p->owner = 0;
}

static void change(struct sim *s)
{
	u64 rest = pcn_hold_rounds_wait(s->now, s->rest_until, s->last_round);

	if (rest) {
		event_add(s, rest, (struct event) { .kind = CHANGE });
		return;
	}
	s->res->changes++;
	s->res->change = max(s->res->change, s->now - s->last_round);
	s->frozen = true;
	freeze_if_quiet(s);
}

static void thaw(struct sim *s)
{
	struct thread *t;
	unsigned int p;

	for (p = 0; p < s->c->pages; p++)
		page_forget(s, &s->pages[p]);
	s->epoch++;
	s->frozen = false;
	for (t = s->threads; t < s->threads + s->thread_count; t++)
		if (t->doing == WAITS_THAW || t->doing == WAITS) {
			t->doing = RUNS;
			thread_event(s, RUN, t, awake(s));
		}
	/* The next change comes at once, as one that has waited for its turn. */
	s->last_round = s->now;
	event_add(s, between(s, 1, WORK), (struct event) { .kind = CHANGE });
}

/* --- a run --- */

static void handle(struct sim *s, const struct event *e)
{
	struct page *p = &s->pages[e->page];

	switch (e->kind) {
	case RUN:
		return thread_run(s, e->t);
	case ENTER:
		return thread_enter(s, e->t);
	case ASK:
		return page_asked(s, p, e->kernel);
	case LOOK:
		p->r[e->kernel].look = 0;
		return page_serve(s, p);
	case COME:
		return page_come(s, p, e->kernel);
	case LEFT:
		return left(s, e->t);
	case VMA_ASK:
		return vma_asked(s, e->t);
	case VMA_COME:
		return vma_come(s, e->t);
	case CHANGE:
		return change(s);
	case THAW:
		return thaw(s);
	}
}

static void start(struct sim *s)
{
	unsigned int i, members = s->c->members ?: s->c->kernels;

	for (i = 0; i < s->c->kernels; i++)
		s->groups[i] = (struct pcn_kernel_group) {
			.members = ~0ULL >> (64 - members), .self = i, .count = members };
	for (i = 0; i < s->c->pages; i++)
		page_forget(s, &s->pages[i]);
	s->thread_count = s->c->kernels * s->c->threads;
	for (i = 0; i < s->thread_count; i++) {
		struct thread *t = &s->threads[i];

		t->kernel = i % s->c->kernels;
		t->hammers = s->c->hammer && i >= s->c->kernels;
		t->ip = (i + 1) * 1000000000UL;
		choose_instruction(s, t);
		thread_event(s, RUN, t, between(s, 0, 100 * US));
	}
	if (s->c->rounds)
		event_add(s, 0, (struct event) { .kind = CHANGE });
}

/* What is not over counts, too. */
static void finish(struct sim *s)
{
	unsigned int i;

	for (i = 0; i < s->thread_count; i++)
		count_instruction(s, &s->threads[i]);
	s->res->used = (double)s->used / s->now / s->c->pages;
	free(s->heap);
}

void hold_simulate(const struct hold_config *c, u64 seed, u64 ns, struct hold_result *r)
{
	static struct sim s;

	memset(r, 0, sizeof(*r));
	s = (struct sim) { .c = c, .res = r, .rng = seed * 0x9e3779b97f4a7c15ULL | 1 };
	start(&s);
	while (s.heap_count && s.heap[0].at < ns) {
		struct event e = event_next(&s);

		s.now = e.at;
		handle(&s, &e);
	}
	finish(&s);
}

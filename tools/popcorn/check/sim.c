// SPDX-License-Identifier: GPL-2.0
/*
 * A random simulator: up to 64 kernels, many pages, accesses and deliveries in
 * an order drawn from a seed. What takes the exhaustive search too long is at
 * least tried here, and the speed of the protocols shows.
 *
 * A step is one call of pcn_proto_step() for a message or for an access that misses;
 * hits are not counted. The time is the processor's: others may use it too.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"

#define QUEUE_MAX	4096	/* messages under way about one page */

struct note {
	struct pcn_proto_event m;
	u8 to;
	u64 data;		/* the write that it carries */
};

struct page {
	struct pcn_replica r[64];
	u64 data[64];		/* the write that each copy holds */
	u64 readable, writable;	/* kernels */
	u64 last;		/* the write that was completed last */
	bool exists;
	unsigned int head, count;
	struct note q[QUEUE_MAX];
};

struct sim {
	const struct pcn_proto *proto;
	struct pcn_kernel_group g[64];
	struct pcn_out out;
	struct page *pages;
	unsigned int n, page_count, write_percent;
	bool checked, fifo;
	u64 rng, steps, sent, writes, reads;
	u64 want;
	const char *fault;
};

static u64 random64(struct sim *s)
{
	s->rng ^= s->rng << 13;
	s->rng ^= s->rng >> 7;
	s->rng ^= s->rng << 17;
	return s->rng;
}

static unsigned int below(struct sim *s, unsigned int limit)
{
	return (u64)(u32)random64(s) * limit >> 32;
}

static void fail(struct sim *s, const char *why)
{
	if (!s->fault)
		s->fault = why;
}

static void post(struct sim *s, struct page *p, const struct pcn_proto_event *m,
		 unsigned int to)
{
	struct note *n;

	if (p->count == QUEUE_MAX)
		return fail(s, "too many messages about a page");
	n = &p->q[(p->head + p->count++) % QUEUE_MAX];
	n->m = *m;
	n->to = to;
	n->data = p->data[m->from];
	s->sent++;
}

static void post_all(struct sim *s, struct page *p, const struct pcn_action *a)
{
	struct pcn_proto_event m = a->msg;
	u64 to, behalf;

	for (to = a->to; to; to &= to - 1) {
		if (!a->behalf)
			post(s, p, &m, __builtin_ctzll(to));
		for (behalf = a->behalf; behalf; behalf &= behalf - 1) {
			m.who = __builtin_ctzll(behalf);
			post(s, p, &m, __builtin_ctzll(to));
		}
	}
}

static void done(struct sim *s, struct page *p, unsigned int k, u8 pending)
{
	if (s->checked && p->data[k] != p->last)
		fail(s, "S2: the access sees old data");
	if (!(pending & PCN_WRITING)) {
		s->reads++;
		return;
	}
	if (s->checked && p->writable != 1ULL << k)
		fail(s, "S1: a write without the only mapping");
	p->data[k] = p->last = ++s->writes;
}

static void perform(struct sim *s, struct page *p, unsigned int k,
		    const struct pcn_action *a, const struct note *in,
		    u8 pending)
{
	u64 me = 1ULL << k;

	switch (a->op) {
	case PCN_SEND:
		return post_all(s, p, a);
	case PCN_INSTALL:
		p->data[k] = in->data;
		return;
	case PCN_ZERO:
		if (p->exists)
			fail(s, "S4: the page is made anew while it exists");
		p->exists = true;
		p->data[k] = p->last;
		return;
	case PCN_NONE:
		p->readable &= ~me;
		p->writable &= ~me;
		return;
	case PCN_RDONLY:
		p->readable |= me;
		p->writable &= ~me;
		if (s->checked && p->writable)
			fail(s, "S1: a reader beside a writer");
		return;
	case PCN_RDWR:
		p->readable |= me;
		p->writable |= me;
		if (s->checked && p->readable != me)
			fail(s, "S1: a writer beside another access");
		return;
	case PCN_DONE:
		return done(s, p, k, pending);
	default:
		return;
	}
}

/* Readable implies current; one NR at most, and nobody else has a copy. */
static void check_page(struct sim *s, const struct page *p)
{
	unsigned int k, nr = 0, held = 0;

	for (k = 0; k < s->n; k++) {
		nr += p->r[k].state == PCN_NR;
		held += !!(p->r[k].flags & PCN_HELD);
		if (p->readable >> k & 1 && p->data[k] != p->last)
			fail(s, "S2: a readable copy is old");
	}
	if (nr > 1 || (nr && held > 1))
		fail(s, "S3: Not Replicated beside another copy");
}

static void step(struct sim *s, struct page *p, unsigned int k,
		 const struct pcn_proto_event *ev, const struct note *in)
{
	struct pcn_replica *r = &p->r[k];
	u8 pending = r->flags;
	unsigned int i;

	if (ev->type == PCN_WRITE)
		pending |= PCN_WRITING;
	if (pcn_proto_step(s->proto, &s->g[k], r, ev, &s->out) != PCN_OK)
		return fail(s, s->out.fault ? s->out.fault : "ignored");
	s->steps++;
	for (i = 0; i < s->out.count; i++)
		perform(s, p, k, &s->out.act[i], in, pending);
	if (s->checked)
		check_page(s, p);
}

/*
 * Any message may be next, unless an older one is in its channel: then that
 * one is. The place it leaves is filled by moving up what is before it.
 */
static void deliver(struct sim *s, struct page *p)
{
	unsigned int pick = s->fifo ? 0 : below(s, p->count), i;
	struct note in;

	if (s->fifo && p->count > 1) {
		const struct note *x;

		pick = below(s, p->count < 8 ? p->count : 8);
		x = &p->q[(p->head + pick) % QUEUE_MAX];
		for (i = 0; i < pick; i++) {
			const struct note *y = &p->q[(p->head + i) % QUEUE_MAX];

			if (y->m.from == x->m.from && y->to == x->to)
				break;
		}
		pick = i;
	}
	in = p->q[(p->head + pick) % QUEUE_MAX];
	if (s->fifo)
		for (i = pick; i > 0; i--)
			p->q[(p->head + i) % QUEUE_MAX] =
				p->q[(p->head + i - 1) % QUEUE_MAX];
	else
		p->q[(p->head + pick) % QUEUE_MAX] = p->q[p->head];
	p->head = (p->head + 1) % QUEUE_MAX;
	p->count--;
	step(s, p, in.to, &in.m, &in);
}

static void access_page(struct sim *s, struct page *p)
{
	unsigned int k = below(s, s->n);
	bool write = below(s, 100) < s->write_percent;
	struct pcn_proto_event ev = { .type = write ? PCN_WRITE : PCN_READ,
			      .from = k, .who = k };

	if (!pcn_replica_is_settled(&p->r[k]) ||
	    (write ? p->writable : p->readable) >> k & 1)
		return;
	step(s, p, k, &ev, NULL);
}

/* Everything delivered, nobody asks: all requests must be answered then. */
static void settle(struct sim *s)
{
	unsigned int i, k;

	for (i = 0; i < s->page_count && !s->fault; i++) {
		struct page *p = &s->pages[i];
		u64 guard = 0;

		while (p->count && !s->fault && guard++ < 10000000)
			deliver(s, p);
		for (k = 0; k < s->n; k++)
			if (!pcn_replica_is_settled(&p->r[k]))
				fail(s, "D: an access waits and nothing is under way");
	}
}

static void run(struct sim *s)
{
	u64 before = s->steps;
	unsigned int i, idle = 0;

	/* Where everything hits (one kernel) nothing more is to be seen. */
	while (s->steps < s->want && !s->fault && idle < 100000) {
		struct page *p = &s->pages[below(s, s->page_count)];

		idle = s->steps == before ? idle + 1 : 0;
		before = s->steps;

		for (i = 0; i < 16 && !s->fault; i++)
			if (p->count && (p->count >= s->n || random64(s) & 7))
				deliver(s, p);
			else
				access_page(s, p);
	}
	settle(s);
}

/* As the origin of a process: kernel 0 has had the page for itself. */
static void own(struct sim *s, struct page *p)
{
	pcn_replica_own(s->proto, &s->g[0], &p->r[0]);
	p->readable = p->writable = 1;
	p->exists = true;
}

static void start(struct sim *s, bool origin, bool owned)
{
	unsigned int i, k;

	for (k = 0; k < s->n; k++)
		s->g[k] = (struct pcn_kernel_group) {
			.members = s->n == 64 ? ~0ULL : (1ULL << s->n) - 1,
			.self = k,
			.count = s->n,
			.origin = origin ? 0 : PCN_NOBODY,
		};
	s->pages = calloc(s->page_count, sizeof(*s->pages));
	if (!s->pages) {
		fprintf(stderr, "check: out of memory\n");
		exit(3);
	}
	for (i = 0; i < s->page_count; i++) {
		for (k = 0; k < s->n; k++)
			pcn_replica_init(&s->pages[i].r[k], &s->g[k]);
		if (owned)
			own(s, &s->pages[i]);
	}
}

static const char usage[] =
"Usage: check sim [-p NAME] [-n KERNELS] [-g PAGES] [-s STEPS] [-r SEED]\n"
"                 [-w PERCENT] [-o] [-O] [-a] [-q]\n"
"  -w  share of writes among the accesses (default 30)\n"
"  -o  kernel 0 owns untouched pages (default: a vote)\n"
"  -O  kernel 0 has used all pages, as the origin of a process (with -o)\n"
"  -a  messages may overtake each other (default: FIFO)\n"
"  -q  without the invariants, for speed\n";

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

#define CHAIN	20000000

/*
 * How long a cycle of this processor takes now, with whoever else uses it: a chain
 * of operations that depend on each other, six for each turn (xorshift).
 */
static double cycle_time(void)
{
	double begin = seconds();
	uint64_t x = 1;
	long i;

	for (i = 0; i < CHAIN; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		__asm__ volatile("" : "+r" (x));
	}
	return (seconds() - begin) / (6.0 * CHAIN);
}

int simulate(int argc, char **argv)
{
	struct sim s = { .proto = &pcn_proto_owner, .n = 8, .page_count = 64,
			 .write_percent = 30, .checked = true, .fifo = true,
			 .want = 1000000 };
	u64 seed = 1;
	bool origin = false, owned = false;
	double t, cycle;
	int o;

	optind = 1;
	while ((o = getopt(argc, argv, "p:n:g:s:r:w:oOaq")) != -1)
		switch (o) {
		case 'p':
			s.proto = pcn_proto_find(optarg);
			break;
		case 'n':
			s.n = atoi(optarg);
			break;
		case 'g':
			s.page_count = atoi(optarg);
			break;
		case 's':
			s.want = atoll(optarg);
			break;
		case 'r':
			seed = atoll(optarg);
			break;
		case 'w':
			s.write_percent = atoi(optarg);
			break;
		case 'o':
			origin = true;
			break;
		case 'O':
			origin = owned = true;
			break;
		case 'a':
			s.fifo = false;
			break;
		case 'q':
			s.checked = false;
			break;
		default:
			fputs(usage, stderr);
			return 2;
		}
	if (!s.proto || s.n < 1 || s.n > 64 || !s.page_count) {
		fputs(usage, stderr);
		return 2;
	}
	s.rng = seed * 0x9e3779b97f4a7c15ULL | 1;
	start(&s, origin, owned);
	cycle = s.checked ? 0 : cycle_time();
	t = seconds();
	run(&s);
	t = seconds() - t;
	cycle = s.checked ? 0 : (cycle + cycle_time()) / 2;
	printf("%s, %u kernels, %u pages, %s%s, seed %llu: %s%s\n",
	       s.proto->name, s.n, s.page_count, s.fifo ? "FIFO" : "any order",
	       s.checked ? ", invariants on" : "", (unsigned long long)seed,
	       s.fault ? "FAILED: " : "passed", s.fault ? s.fault : "");
	printf("%llu steps, %llu messages, %llu reads and %llu writes missed, %.2f s, %.1f million steps/s",
	       (unsigned long long)s.steps, (unsigned long long)s.sent,
	       (unsigned long long)s.reads, (unsigned long long)s.writes, t,
	       s.steps / t / 1e6);
	if (cycle)
		printf(", %.0f cycles a step", t / s.steps / cycle);
	putchar('\n');
	free(s.pages);
	return s.fault != NULL;
}

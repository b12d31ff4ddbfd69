// SPDX-License-Identifier: GPL-2.0
/* The table of page checks: see check.c for what it is, and for its locks. */
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/hash.h>
#include <linux/irqflags.h>
#include <linux/ktime.h>
#include <linux/processor.h>
#include <linux/string.h>

#include "internal.h"
#include "check_table.h"

/*
 * A lock is held for some microseconds, unless its holder has ended, or the host
 * does not let its virtual CPU run.
 */
#define LOCK_LIMIT_NS	(2 * NSEC_PER_SEC)

/**
 * struct holding - a bucket's lock in the hand of this CPU
 * @b:		the bucket
 * @word:	what is in its lock
 * @flags:	of interrupts
 */
struct holding {
	struct pcn_check_bucket	*b;
	u64			word;
	unsigned long		flags;
};

static void check_count_up(u64 *counter)
{
	atomic64_inc((atomic64_t *)counter);
}

/* Interrupts are off if it succeeds. */
static bool holding_try_lock(struct holding *h, u64 expected)
{
	local_irq_save(h->flags);
	if (cmpxchg(&h->b->lock, expected, h->word) == expected)
		return true;
	local_irq_restore(h->flags);
	return false;
}

/* A kernel that has seen the same holding for too long takes the lock over. */
static void holding_lock(struct pcn_check_table *t, struct holding *h, unsigned int kid)
{
	static atomic64_t holdings;
	u64 seen = 0, now, since = 0;

	h->word = (u64)atomic64_inc_return(&holdings) << 8 | (kid + 1);
	while (!holding_try_lock(h, 0)) {
		now = READ_ONCE(h->b->lock);
		if (now != seen) {
			seen = now;
			since = ktime_get_mono_fast_ns();
		} else if (seen && ktime_get_mono_fast_ns() - since > LOCK_LIMIT_NS &&
			   holding_try_lock(h, seen)) {
			WRITE_ONCE(h->b->off, PCN_CHECK_BROKEN);
			check_count_up(&t->broken);
			return;
		}
		cpu_relax();
	}
}

static void holding_unlock(struct holding *h)
{
	cmpxchg(&h->b->lock, h->word, 0);
	local_irq_restore(h->flags);
}

static struct pcn_check_page *check_find(struct pcn_check_bucket *b,
					 const struct pcn_check_change *c)
{
	struct pcn_check_page *p, *unused = NULL;
	unsigned int i;

	if (b->off == PCN_CHECK_BROKEN)
		return NULL;
	for (i = 0; i < PCN_CHECK_SLOTS; i++) {
		p = &b->slot[i];
		if (p->known && p->space == c->space && p->page == c->page)
			return p;
		if (!p->known && !unused)
			unused = p;
	}
	if (c->to <= c->from || b->off || !unused)
		return NULL;
	*unused = (struct pcn_check_page) { .space = c->space, .page = c->page };
	return unused;
}

static bool check_differs(const struct pcn_check_page *p,
			  const struct pcn_check_change *c)
{
	return p->digested && c->digested && p->digest != c->digest;
}

/* What stands against a change; in @others the kernels that do. */
static enum pcn_check_fault check_judge(const struct pcn_check_page *p,
					const struct pcn_check_change *c, u64 *others)
{
	u64 readers = p->readers & ~(BIT_ULL(c->kid) | c->also);
	u64 writers = p->writers & ~(BIT_ULL(c->kid) | c->also);

	*others = writers;
	if (c->to > c->from && writers)
		return PCN_CHECK_WRITTEN;
	*others = readers;
	if (c->to > c->from && c->to == PCN_MAP_RDWR && readers)
		return PCN_CHECK_READ;
	*others = p->known;
	if (c->to > c->from && check_differs(p, c))
		return PCN_CHECK_STALE;
	if (c->to < c->from && c->from == PCN_MAP_RDONLY && check_differs(p, c))
		return PCN_CHECK_CHANGED;
	*others = readers | writers;
	return c->alone && *others ? PCN_CHECK_ELSEWHERE : PCN_CHECK_FINE;
}

static void check_record(struct pcn_check_page *p, const struct pcn_check_change *c)
{
	u64 self = BIT_ULL(c->kid);
	bool wrote = c->from == PCN_MAP_RDWR && c->to < c->from;

	if (c->digested && (wrote || !p->digested)) {
		p->digest = c->digest;
		p->digested = 1;
	}
	p->readers &= ~(self | c->also);
	p->writers &= ~(self | c->also);
	if (c->to == PCN_MAP_RDONLY)
		p->readers |= self;
	else if (c->to == PCN_MAP_RDWR)
		p->writers |= self;
	if (c->ends)
		p->known &= ~(self | c->also);
	else
		p->known |= self;
}

/* A kernel that has forgotten the page before, or never had it, changes nothing. */
static enum pcn_check_fault check_enter_locked(struct pcn_check_table *t,
					       struct pcn_check_bucket *b,
					       const struct pcn_check_change *c,
					       u64 *others)
{
	struct pcn_check_page *p = check_find(b, c);
	enum pcn_check_fault fault;

	if (!p && c->to > c->from) {
		b->off = b->off ?: PCN_CHECK_FULL;
		check_count_up(&t->unchecked);
	}
	if (!p || (c->ends && !(p->known & (BIT_ULL(c->kid) | c->also))))
		return PCN_CHECK_FINE;
	fault = check_judge(p, c, others);
	check_record(p, c);
	check_count_up(&t->changes);
	if (fault)
		check_count_up(&t->violations);
	return fault;
}

/**
 * pcn_check_enter - check a change, and enter it
 * @t:		the table
 * @c:		the change
 * @others:	if something is wrong, the kernels that it is about
 *
 * Context: any.
 * Return: what is wrong, or PCN_CHECK_FINE. A page that there is no room for is
 * fine.
 */
enum pcn_check_fault pcn_check_enter(struct pcn_check_table *t,
				     const struct pcn_check_change *c, u64 *others)
{
	u64 hash = hash_64(c->page ^ hash_64(c->space, 64), 32);
	struct holding h = { .b = &t->bucket[hash % PCN_CHECK_BUCKETS] };
	enum pcn_check_fault fault;

	holding_lock(t, &h, c->kid);
	fault = check_enter_locked(t, h.b, c, others);
	holding_unlock(&h);
	return fault;
}

/**
 * pcn_check_forget_kid - a kernel has no pages any more
 * @t:		the table
 * @bucket:	of this bucket
 * @kid:	the kernel
 *
 * Context: any.
 */
void pcn_check_forget_kid(struct pcn_check_table *t, unsigned int bucket,
			  unsigned int kid)
{
	struct holding h = { .b = &t->bucket[bucket] };
	struct pcn_check_page *p;
	unsigned int i;

	holding_lock(t, &h, pcn_self());
	for (i = 0; i < PCN_CHECK_SLOTS; i++) {
		p = &h.b->slot[i];
		p->known &= ~BIT_ULL(kid);
		p->readers &= ~BIT_ULL(kid);
		p->writers &= ~BIT_ULL(kid);
	}
	holding_unlock(&h);
}

/**
 * pcn_check_count - how many pages are there?
 * @t:	the table
 *
 * Context: any; others go on meanwhile.
 * Return: the number.
 */
unsigned int pcn_check_count(const struct pcn_check_table *t)
{
	unsigned int i, j, n = 0;

	for (i = 0; i < PCN_CHECK_BUCKETS; i++)
		for (j = 0; j < PCN_CHECK_SLOTS; j++)
			n += !!READ_ONCE(t->bucket[i].slot[j].known);
	return n;
}

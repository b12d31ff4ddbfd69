// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent memory: all that can happen to one page that members map at its origin.
 *
 * This is a model of mm/popcorn/mirror.c, lend.c, borrow.c and forget.c, with their words. Kernel 0
 * is the origin. Each member has a thread that wants the page, again and again, and may be
 * killed in the middle. Linux takes the page away at the origin, gives it another frame, or
 * has it protected, twice at a time. A member may die; or its link breaks, and it goes on
 * with what it has. A member does what it is asked for at once, or later; and it may give up
 * the page without being asked, and say so. Messages from one kernel to another do not
 * overtake. (There are two channels, and those of one overtake those of another: what a
 * member asks for and gives up is in the same one.)
 *
 * In every state that can be reached
 *
 *	no entry outlives its frame: a frame that a member has, and that is not kept for it,
 *		is the one that the origin has;
 *	what a member may write may be written at the origin, and is dirty there;
 *	all changes can come to their end, and all threads to their page.
 *
 * Each mistake in @mistakes breaks one of these.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/array_size.h>

#include "check.h"

#define MEMBERS	3	/* at most, besides the origin */
#define CHANGES	2	/* at a time */
#define FRAMES	6	/* enough for those that are kept */
#define CHOICES	2	/* of those that are free: that of before, or another one */
#define QUEUE	5	/* messages from one kernel to another one */

enum {
	WRONG_NONE,
	WRONG_CHANGING,	/* a frame is named while the page is changed */
	WRONG_LENT,		/* a member that is told is not entered */
	WRONG_ORDER,		/* a request to forget overtakes an answer */
	WRONG_STALE,		/* an answer is entered after a request to forget */
	WRONG_EARLY,		/* a member replies before it has forgotten */
	WRONG_LATER,		/* what is to be done later is overtaken by the next request */
	WRONG_CLEAN,		/* a member may write what is clean at the origin */
	WRONG_PARK,		/* a member that has died still runs */
	WRONG_KEEP,		/* frames are not kept for one that is adrift */
	WRONG_ADRIFT,		/* one that is adrift is waited for */
	WRONG_GIVE,		/* a member says that it has given up what it has */
	WRONG_BEFORE,		/* it enters then what it has asked for before */
	WRONG_TOLD_LATE,	/* what it says is noted after its next question */
	WRONGS
};

static const char *const mistakes[WRONGS] = {
	[WRONG_CHANGING] = "a frame is named while the page is changed",
	[WRONG_LENT] = "a member that is told of a frame is not asked to forget it",
	[WRONG_ORDER] = "a request to forget overtakes an answer",
	[WRONG_STALE] = "an answer is entered after a request to forget",
	[WRONG_EARLY] = "a member replies before it has forgotten",
	[WRONG_LATER] = "what is to be done later is overtaken by the next request",
	[WRONG_CLEAN] = "a member may write what is clean at the origin",
	[WRONG_PARK] = "a member that has died still runs",
	[WRONG_KEEP] = "frames are not kept for a member that is adrift",
	[WRONG_ADRIFT] = "a member that is adrift is waited for",
	[WRONG_GIVE] = "a member says that it has given up what it has",
	[WRONG_BEFORE] = "what was asked for before is entered after giving up",
	[WRONG_TOLD_LATE] = "that a page was given up is noted after the next question",
};

static unsigned int mistake;

enum { NO_QUESTION, ASKED, VOID, ANSWERED, STALE };	/* VOID: the answer is of no use */
enum { UP, DEAD, GONE, BROKEN, ADRIFT };	/* GONE, ADRIFT: and the origin knows */
enum { CALM, WAITS, CHANGED };			/* a change */
enum { TAKE, REPLACE, PROTECT };

#define WRITE	0x10	/* with a frame: it may be written */

/* Messages: the kind and a number, or what is asked for, and by which question. */
#define ANSWER		0x40
#define FORGET		0x80
#define ASK		0x40
#define FORGOT		0x80
#define GIVEN		0x20
#define COOKIE_SHIFT	8

/* struct member - what a member has, and what the origin knows of it */
struct member {
	u8 state;
	u8 entry;	/* frame, WRITE */
	u8 question;
	u8 cookie;	/* of it */
	u8 wants;	/* WRITE */
	u8 answer;	/* frame, WRITE */
	u8 later;	/* number of a request that is done later */
	u8 doing;	/* what of it is being done */
	u8 forgot;	/* at the origin: the last request that it has done */
	u8 told_late;	/* at the origin: what WRONG_TOLD_LATE leaves for later */
	u8 asks;	/* left */
	u8 gives;	/* left */
	u16 parked;	/* at the origin: a question that waits for the end of a change */
	u16 to[QUEUE];	/* from the origin, 0: none */
	u16 from[QUEUE];
};

struct change {
	u8 state;
	u8 kind;
	u8 who;
	u8 number;
};

struct scene {
	struct member m[MEMBERS];
	struct change c[CHANGES];
	u8 have;	/* the origin's entry: frame, WRITE, which is dirty then */
	u8 kept;	/* frames */
	u8 lent;
	u8 asked;
	u8 changes;	/* left */
	u8 deaths;
	u8 breaks;
};

static unsigned int members;

/* --- states that have been seen --- */

static struct scene *worlds;
static u32 count, room, *table, table_size;
static u32 (*edges)[2];
static u32 edge_count, edge_room;

static u32 hash(const struct scene *w)
{
	const u8 *p = (const u8 *)w;
	u32 h = 2166136261U;
	size_t i;

	for (i = 0; i < sizeof(*w); i++)
		h = (h ^ p[i]) * 16777619U;
	return h ^ h >> 15;
}

static void *grow(void *p, size_t size)
{
	p = realloc(p, size);
	if (!p)
		abort();
	return p;
}

static void rehash(void)
{
	u32 i, at;

	table_size = table_size ? table_size * 2 : 1 << 16;
	free(table);
	table = calloc(table_size, sizeof(*table));
	if (!table)
		abort();
	for (i = 0; i < count; i++) {
		for (at = hash(&worlds[i]) & (table_size - 1); table[at];)
			at = (at + 1) & (table_size - 1);
		table[at] = i + 1;
	}
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct member));
}

/* Members that have the same do the same: they are sorted, with their bits. */
static void sort_members(struct scene *w)
{
	struct { struct member m; u8 lent, who[CHANGES]; } s[MEMBERS] = { };
	unsigned int k, c;

	for (k = 0; k < members; k++) {
		s[k].m = w->m[k];
		s[k].lent = w->lent >> k & 1;
		for (c = 0; c < CHANGES; c++)
			s[k].who[c] = w->c[c].who >> k & 1;
	}
	qsort(s, members, sizeof(s[0]), compare);
	w->lent = 0;
	for (c = 0; c < CHANGES; c++)
		w->c[c].who = 0;
	for (k = 0; k < members; k++) {
		w->m[k] = s[k].m;
		w->lent |= s[k].lent << k;
		for (c = 0; c < CHANGES; c++)
			w->c[c].who |= s[k].who[c] << k;
	}
}

static u32 find_or_add(struct scene *w)
{
	u32 at;

	sort_members(w);
	if (count * 2 >= table_size)
		rehash();
	for (at = hash(w) & (table_size - 1); table[at]; at = (at + 1) & (table_size - 1))
		if (!memcmp(&worlds[table[at] - 1], w, sizeof(*w)))
			return table[at] - 1;
	if (count == room) {
		room = room ? room * 2 : 1 << 12;
		worlds = grow(worlds, room * sizeof(*worlds));
	}
	worlds[count] = *w;
	table[at] = ++count;
	return count - 1;
}

static u32 from_state;

static void reach(struct scene *w)
{
	u32 to = find_or_add(w);

	if (edge_count == edge_room) {
		edge_room = edge_room ? edge_room * 2 : 1 << 14;
		edges = grow(edges, edge_room * sizeof(*edges));
	}
	edges[edge_count][0] = from_state;
	edges[edge_count++][1] = to;
}

/* --- messages --- */

static bool has_room(const u16 *queue)
{
	return !queue[QUEUE - 1];
}

static void push(u16 *queue, u16 message)
{
	while (*queue)
		queue++;
	*queue = message;
}

static u16 pop(u16 *queue)
{
	u16 message = *queue;
	unsigned int i;

	for (i = 0; i < QUEUE - 1; i++)
		queue[i] = queue[i + 1];
	queue[QUEUE - 1] = 0;
	return message;
}

static void push_first(u16 *queue, u16 message)
{
	unsigned int i;

	for (i = QUEUE - 1; i; i--)
		queue[i] = queue[i - 1];
	*queue = message;
}

static void send_forget(u16 *queue, u8 number)
{
	if (mistake == WRONG_ORDER)
		push_first(queue, FORGET | number);
	else
		push(queue, FORGET | number);
}

/* --- the origin --- */

static bool is_changing(const struct scene *w)
{
	return w->c[0].state || w->c[1].state;
}

static u8 reachable(const struct scene *w)
{
	unsigned int k;
	u8 set = 0;

	for (k = 0; k < members; k++)
		if (w->m[k].state != GONE && w->m[k].state != ADRIFT)
			set |= 1 << k;
	return set;
}

/* All free ones are alike, but it may be that of before. */
static bool is_free(const struct scene *w, unsigned int frame)
{
	return (w->have & 0xf) != frame && !(w->kept & 1 << frame);
}

static void answer(struct scene w, unsigned int k, u16 ask)
{
	struct member *m = &w.m[k];
	bool write = ask & WRITE;

	if (m->state == GONE || m->state == ADRIFT || !has_room(m->to))
		return;
	if (write && mistake != WRONG_CLEAN)
		w.have |= WRITE;
	if (mistake != WRONG_LENT)
		w.lent |= 1 << k;
	if (m->state == UP)
		push(m->to, ANSWER | (w.have & 0xf) | (ask & ~0U << COOKIE_SHIFT) |
		     (write || w.have & WRITE ? WRITE : 0));
	reach(&w);
}

/* The page is brought in if it is not there, in any frame that is free. */
static void answer_any(const struct scene *w, unsigned int k, u16 ask)
{
	struct scene next = *w;
	unsigned int frame, choices = CHOICES;

	if (w->have) {
		answer(*w, k, ask);
		return;
	}
	for (frame = 1; frame <= FRAMES && choices; frame++) {
		if (!is_free(w, frame))
			continue;
		choices--;
		next.have = frame;
		answer(next, k, ask);
	}
}

static void origin_takes(const struct scene *w, unsigned int k)
{
	struct scene next = *w;
	struct member *m = &next.m[k];
	u16 message = pop(m->from);

	if (message & FORGOT) {
		if ((message & 0x1f) > m->forgot)
			m->forgot = message & 0x1f;
		reach(&next);
	} else if (message & GIVEN) {
		if (mistake == WRONG_TOLD_LATE)
			m->told_late = 1;
		else if (m->state == UP || m->state == DEAD)
			next.lent &= ~(1 << k);
		reach(&next);
	} else if (is_changing(w) && mistake != WRONG_CHANGING) {
		/* The thread has been killed, if an older one waits. */
		m->parked = message;
		reach(&next);
	} else {
		answer_any(&next, k, message);
	}
}

static void begin_change(const struct scene *w, unsigned int c, unsigned int kind)
{
	struct scene next = *w;
	unsigned int k;

	next.changes--;
	next.c[c].kind = kind;
	next.c[c].state = WAITS;
	next.c[c].who = w->lent & reachable(w);
	if (next.c[c].who)
		next.c[c].number = ++next.asked;
	for (k = 0; k < members; k++) {
		if (!(next.c[c].who & 1 << k) || w->m[k].state != UP)
			continue;
		if (!has_room(w->m[k].to))
			return;
		send_forget(next.m[k].to, next.asked);
	}
	reach(&next);
}

static bool have_forgotten(const struct scene *w, const struct change *c)
{
	u8 who = c->who & (mistake == WRONG_ADRIFT ? 0xff : reachable(w));
	unsigned int k;

	for (k = 0; k < members; k++)
		if (who & 1 << k && w->m[k].forgot < c->number && w->m[k].state != GONE)
			return false;
	return true;
}

static u8 adrift(const struct scene *w)
{
	unsigned int k;
	u8 set = 0;

	for (k = 0; k < members; k++)
		if (w->m[k].state == ADRIFT)
			set |= 1 << k;
	return set;
}

static void do_change(const struct scene *w, unsigned int c)
{
	unsigned int frame, choices = CHOICES;
	struct scene next = *w;

	if (w->have && w->lent & adrift(w) && mistake != WRONG_KEEP)
		next.kept |= 1 << (w->have & 0xf);
	next.lent &= adrift(w);
	next.c[c].state = CHANGED;
	next.c[c].who = next.c[c].number = 0;
	next.have = w->c[c].kind == PROTECT ? w->have & 0xf : 0;
	if (w->c[c].kind != REPLACE || !w->have) {
		reach(&next);
		return;
	}
	for (frame = 1; frame <= FRAMES && choices; frame++) {
		next.have = frame;
		if (!is_free(w, frame) || next.kept & 1 << frame)
			continue;
		choices--;
		reach(&next);
	}
}

static void end_change(const struct scene *w, unsigned int c)
{
	struct scene next = *w;

	next.c[c].state = CALM;
	next.c[c].kind = 0;
	reach(&next);
}

static void origin_moves(const struct scene *w)
{
	unsigned int k, c, kind;
	struct scene next;

	for (k = 0; k < members; k++) {
		if (w->m[k].from[0])
			origin_takes(w, k);
		if (w->m[k].parked && !is_changing(w)) {
			next = *w;
			next.m[k].parked = 0;
			answer_any(&next, k, w->m[k].parked);
		}
		if (w->m[k].told_late) {
			next = *w;
			next.m[k].told_late = 0;
			next.lent &= ~(1 << k);
			reach(&next);
		}
		next = *w;
		if (w->m[k].state == DEAD || w->m[k].state == BROKEN) {
			next.m[k].state = w->m[k].state == DEAD ? GONE : ADRIFT;
			next.m[k].parked = 0;
			reach(&next);
		}
	}
	for (c = 0; c < CHANGES; c++) {
		/* They are alike. */
		if (w->c[c].state == CALM && w->changes && (!c || w->c[0].state))
			for (kind = TAKE; kind <= PROTECT; kind++)
				begin_change(w, c, kind);
		if (w->c[c].state == WAITS && have_forgotten(w, &w->c[c]))
			do_change(w, c);
		if (w->c[c].state == CHANGED)
			end_change(w, c);
	}
}

/* --- a member --- */

static void reply(struct scene *w, struct member *m, u8 number)
{
	if (m->state == UP)
		push(m->from, FORGOT | number);
}

static void member_takes(const struct scene *w, unsigned int k)
{
	struct scene next = *w, later;
	struct member *m = &next.m[k];
	u16 message = pop(m->to);
	u8 number = message & 0x1f;

	if (message & ANSWER) {
		if (m->question == ASKED && message >> COOKIE_SHIFT == m->cookie) {
			m->question = ANSWERED;
			m->answer = message & (WRITE | 0xf);
		} else if (m->question == VOID && message >> COOKIE_SHIFT == m->cookie) {
			m->question = STALE;
		}
		reach(&next);
		return;
	}
	if (m->question == ANSWERED && mistake != WRONG_STALE) {
		m->question = STALE;
		m->answer = 0;
	}
	later = next;
	later.m[k].later = number;
	if (mistake == WRONG_EARLY)
		reply(&later, &later.m[k], number);
	reach(&later);
	if (m->later && mistake != WRONG_LATER)
		return;
	m->entry = 0;
	reply(&next, m, number);
	if (mistake == WRONG_LATER && w->m[k].later)
		next.m[k].entry = w->m[k].entry;
	reach(&next);
}

/* The work item: what it has begun with may be less than what has come since. */
static void member_works(const struct scene *w, unsigned int k)
{
	struct scene next = *w;
	struct member *m = &next.m[k];

	if (!m->doing) {
		m->doing = m->later;
	} else {
		m->entry = 0;
		reply(&next, m, m->doing);
		if (m->later == m->doing)
			m->later = 0;
		m->doing = 0;
	}
	reach(&next);
}

static bool suffices(u8 entry, u8 wants)
{
	return entry && (!(wants & WRITE) || entry & WRITE);
}

static void member_asks(const struct scene *w, unsigned int k, u8 wants)
{
	struct scene next = *w;
	struct member *m = &next.m[k];

	if (suffices(m->entry, wants) || !has_room(m->from))
		return;
	/* Questions are numbered, the last one is the first of these. */
	m->cookie = m->asks--;
	m->question = ASKED;
	m->wants = wants;
	if (m->state == UP)
		push(m->from, ASK | m->wants | m->cookie << COOKIE_SHIFT);
	reach(&next);
}

/* Between removing the entry and telling nothing is asked: it would be void, too. */
static void member_gives_up(const struct scene *w, unsigned int k)
{
	struct scene next = *w;
	struct member *m = &next.m[k];

	if (!has_room(m->from))
		return;
	m->gives--;
	if (mistake != WRONG_GIVE)
		m->entry = 0;
	if (m->question == ASKED && mistake != WRONG_BEFORE)
		m->question = VOID;
	if (m->question == ANSWERED) {
		m->question = STALE;
		m->answer = 0;
	}
	push(m->from, GIVEN);
	reach(&next);
}

static void member_ends_question(const struct scene *w, unsigned int k, bool enter)
{
	struct scene next = *w;
	struct member *m = &next.m[k];

	/* An entry is never changed but to allow more. */
	if (enter && m->question == ANSWERED && !suffices(m->entry, m->answer))
		m->entry = m->answer;
	m->question = NO_QUESTION;
	m->answer = 0;
	m->cookie = 0;
	reach(&next);
}

static void cut_off(const struct scene *w, unsigned int k, bool dies)
{
	struct scene next = *w;
	struct member *m = &next.m[k];
	unsigned int i;

	for (i = 0; i < QUEUE; i++)
		m->to[i] = m->from[i] = 0;
	m->asks = m->gives = 0;
	if (dies) {
		next.deaths--;
		m->state = DEAD;
		if (mistake != WRONG_PARK) {
			m->entry = m->question = m->answer = 0;
			m->later = m->doing = 0;
		}
	} else {
		next.breaks--;
		m->state = BROKEN;
	}
	reach(&next);
}

static void member_moves(const struct scene *w, unsigned int k)
{
	const struct member *m = &w->m[k];

	if (m->to[0])
		member_takes(w, k);
	if (m->later || m->doing)
		member_works(w, k);
	if (m->question == NO_QUESTION && m->asks && m->state == UP) {
		member_asks(w, k, 0);
		member_asks(w, k, WRITE);
	}
	if (m->question == ANSWERED || m->question == STALE)
		member_ends_question(w, k, true);
	if (m->gives && m->state == UP)
		member_gives_up(w, k);
	/* The thread is killed. */
	if (m->question == ASKED || m->question == VOID)
		member_ends_question(w, k, false);
	if (m->state == UP && w->deaths)
		cut_off(w, k, true);
	if (m->state == UP && w->breaks)
		cut_off(w, k, false);
}

/* --- what must hold --- */

static const char *wrong_with(const struct scene *w)
{
	unsigned int k;

	for (k = 0; k < members; k++) {
		u8 entry = w->m[k].entry;

		if (!entry || w->kept & 1 << (entry & 0xf))
			continue;
		if ((entry & 0xf) != (w->have & 0xf))
			return "an entry outlives its frame";
		if (entry & WRITE && !(w->have & WRITE))
			return "a member may write what the origin may not, or takes for clean";
	}
	return NULL;
}

/* Nothing is under way. */
static bool is_quiet(const struct scene *w)
{
	unsigned int k;

	for (k = 0; k < members; k++)
		if (w->m[k].question != NO_QUESTION && w->m[k].state == UP)
			return false;
	return !is_changing(w);
}

/* From each state there is a way to one in which nothing is under way. */
static bool all_end(void)
{
	bool *ends = grow(NULL, (count + 1UL) * sizeof(*ends)), more = true;
	u32 i, left = 0;

	for (i = 0; i < count; i++)
		ends[i] = is_quiet(&worlds[i]);
	while (more) {
		more = false;
		for (i = edge_count; i--;) {
			if (!ends[edges[i][0]] && ends[edges[i][1]]) {
				ends[edges[i][0]] = true;
				more = true;
			}
		}
	}
	for (i = 0; i < count; i++)
		left += !ends[i];
	free(ends);
	return !left;
}

static const char *explore(unsigned int kernels, unsigned int asks, unsigned int gives,
			   unsigned int changes, unsigned int deaths, unsigned int breaks)
{
	struct scene w = { .changes = changes, .deaths = deaths, .breaks = breaks };
	const char *wrong = NULL;
	unsigned int k;

	members = kernels - 1;
	count = edge_count = 0;
	table_size = 0;
	for (k = 0; k < members; k++)
		w.m[k] = (struct member) { .asks = asks, .gives = gives };
	find_or_add(&w);
	for (from_state = 0; from_state < count && !wrong; from_state++) {
		w = worlds[from_state];
		wrong = wrong_with(&w);
		if (wrong)
			break;
		origin_moves(&w);
		for (k = 0; k < members; k++)
			member_moves(&w, k);
	}
	if (!wrong && !all_end())
		wrong = "something does not come to its end";
	return wrong;
}

static const struct scope {
	unsigned int kernels, asks, gives, changes, deaths, breaks;
	bool deep;	/* takes long */
} scopes[] = {
	{ 2, 2, 0, 3, 1, 1 },
	{ 2, 3, 1, 2, 0, 0 },
	{ 2, 2, 2, 2, 1, 1 },
	{ 3, 1, 0, 2, 1, 0 },
	{ 3, 2, 0, 1, 0, 0 },
	{ 3, 1, 1, 1, 1, 0 },
	{ 3, 2, 0, 2, 0, 0, true },
	{ 3, 2, 1, 1, 0, 1, true },
	{ 4, 1, 0, 1, 1, 0 },
	{ 4, 1, 0, 1, 0, 1 },
	{ 4, 1, 1, 1, 0, 0, true },
};

int mirror_sound(bool deep)
{
	const struct scope *s;

	for (s = scopes; s < scopes + ARRAY_SIZE(scopes); s++) {
		if (s->deep != deep)
			continue;
		const char *wrong = explore(s->kernels, s->asks, s->gives, s->changes,
					    s->deaths, s->breaks);

		printf("# %u states, %u steps\n", count, edge_count);
		tap(!wrong, "mirror: %u kernels, %u questions each, %u times given up, %u changes, %u deaths, %u links that break%s%s",
		    s->kernels, s->asks, s->gives, s->changes, s->deaths, s->breaks,
		    wrong ? ": " : "", wrong ?: "");
	}
	return tap_end();
}

int mirror_mistakes(void)
{
	for (mistake = 1; mistake < WRONGS; mistake++) {
		const char *wrong = explore(2, 3, 0, 3, 1, 1) ?: explore(2, 3, 1, 2, 0, 0);

		tap(wrong, "mirror: %s: %s", mistakes[mistake], wrong ?: "not found");
	}
	mistake = WRONG_NONE;
	return tap_end();
}

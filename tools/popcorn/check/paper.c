// SPDX-License-Identifier: GPL-2.0
/*
 * The published protocol, sections 4.1 to 4.8, taken literally; see paper.h
 * for the readings. It exists to show its flaws and is not for use.
 *
 * It borrows the replica of the sound protocols: readers are the deferred
 * requests, writers the kernels whose Invalid came during the own write, and
 * joiners the rivals, who said no to it. In M, wait lists the losers that the
 * winner waits for. Versions are kept for the checks and for PAPER_NEWEST and
 * PAPER_FLOOR; nothing else looks at them.
 */
#include "paper.h"
#include "proto_impl.h"

#define PAPER_GOT	BIT(5)		/* a copy has come for this request */

unsigned int paper_variant;

enum {
	TOUCH = FIRST_OWN_RULE,
	WRITE_S,
	WANT,
	SERVE,
	COPY_S,
	VOID,
	VOID_U,
	JOIN_U,
	JOIN_FNR,
	DEFER,
	SERVE_M,
	REQUEST_WR,
	ACK,
	ACK_S,
	ACK_IR,
	ACK_FIRST,
	NACK,
	COMPETE,
	COMPETE_WR,
	FIRST_ANSWER,
	ANSWER,
	VOTE,
};

static bool with(unsigned int reading)
{
	return paper_variant & reading;
}

static u64 audience(const struct pcn_step *s)
{
	return with(PAPER_MULTICAST) ? s->r->cs & others(s) : others(s);
}

static void copy_to(struct pcn_step *s, u64 to)
{
	struct pcn_proto_event *m = send(s, to, PCN_COPY);

	m->flags = PCN_DATA;
	m->version = s->r->version;
}

static void serve(struct pcn_step *s, u64 to)
{
	if (s->r->state != PCN_S)
		act(s, PCN_RDONLY);
	s->r->state = PCN_S;
	copy_to(s, to);
}

static void serve_deferred(struct pcn_step *s)
{
	u64 deferred = s->r->readers;

	s->r->readers = 0;
	if (deferred)
		serve(s, deferred);
}

static void drop_copy(struct pcn_step *s)
{
	lose_copy(s);
	s->r->version = 0;
	s->r->flags &= ~PAPER_GOT;
}

static void win(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	act(s, PCN_RDWR);
	done(s);
	r->state = PCN_M;
	r->version++;
	r->stamp = 0;
	r->wait = with(PAPER_WINNER) ? r->writers : 0;
	r->writers = 0;
	r->joiners = 0;
	if (!r->wait)
		serve_deferred(s);
}

static void start_write(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;
	struct pcn_proto_event *m;

	if (!r->stamp || with(PAPER_LATE_STAMP))
		r->stamp = ++r->clock;
	r->flags &= ~PAPER_GOT;
	r->writers = 0;
	r->joiners = 0;
	r->wait = audience(s);
	if (!r->wait)
		return win(s);
	act(s, PCN_NONE);
	m = send(s, r->wait, PCN_INVALID);
	m->stamp = r->stamp;
	m->version = r->version;
	r->state = PCN_WP1;
}

static void fetch(struct pcn_step *s, enum pcn_state state)
{
	struct pcn_replica *r = s->r;
	u64 hint = with(PAPER_HINT) ? kid_bit(r->hint) & others(s) : 0;

	r->flags &= ~PAPER_GOT;
	r->wait = hint ? hint : audience(s);
	send(s, r->wait, state == PCN_WR ? PCN_FETCH_WRITE : PCN_FETCH);
	r->state = state;
}

static void use(struct pcn_step *s)
{
	s->r->flags &= ~PAPER_GOT;
	if (s->r->flags & PCN_WRITING)
		return start_write(s);
	act(s, PCN_RDONLY);
	done(s);
	s->r->state = PCN_S;
	s->r->stamp = 0;
}

/* --- own accesses --- */

static void rule_touch(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	want(s);
	r->wait = others(s);
	r->stamp = ++r->clock;
	send(s, r->wait, PCN_JOIN)->stamp = r->stamp;
	r->state = PCN_FNR;
}

static void rule_write_s(struct pcn_step *s)
{
	want(s);
	start_write(s);
}

static void rule_want(struct pcn_step *s)
{
	want(s);
	fetch(s, PCN_IR1);
}

/* --- requests --- */

static void rule_serve(struct pcn_step *s)
{
	if (s->ev->type == PCN_JOIN)
		s->r->cs |= BIT_ULL(s->ev->from);
	serve(s, BIT_ULL(s->ev->from));
}

static void rule_void(struct pcn_step *s)
{
	if (s->ev->type == PCN_JOIN)
		s->r->cs |= BIT_ULL(s->ev->from);
	send(s, BIT_ULL(s->ev->from), PCN_COPY_VOID);
}

/* PAPER_FT_BEFORE: who was answered before the own Fetch came first. */
static void rule_join_u(struct pcn_step *s)
{
	see_time(s);
	s->r->writers |= BIT_ULL(s->ev->from);
	rule_void(s);
}

static bool before(const struct pcn_step *s)
{
	u64 who = BIT_ULL(s->ev->from);

	if (with(PAPER_FT_TIME))
		return own_first(s);
	if (with(PAPER_FT_BEFORE) && !(s->r->wait & who))
		return true;
	if (with(PAPER_FT_BEFORE) && s->r->writers & who)
		return false;
	if (with(PAPER_FT_BEFORE | PAPER_FT_INDEX))
		return s->g->self < s->ev->from;
	return false;
}

static void rule_join_fnr(struct pcn_step *s)
{
	bool first = before(s);

	see_time(s);
	if (!first)
		return rule_void(s);
	s->r->cs |= BIT_ULL(s->ev->from);
	s->r->readers |= BIT_ULL(s->ev->from);
}

static void rule_defer(struct pcn_step *s)
{
	if (s->ev->type == PCN_JOIN)
		s->r->cs |= BIT_ULL(s->ev->from);
	if (s->ev->type == PCN_JOIN && with(PAPER_JOIN_NOW))
		return copy_to(s, BIT_ULL(s->ev->from));
	s->r->readers |= BIT_ULL(s->ev->from);
}

static void rule_defer_wp(struct pcn_step *s)
{
	if (s->ev->type == PCN_FETCH_WRITE && with(PAPER_FW_VOID))
		rule_void(s);
	else
		rule_defer(s);
}

static void rule_serve_m(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	if (!r->wait)
		return rule_serve(s);
	rule_defer(s);
	if (s->ev->type == PCN_FETCH_WRITE)
		r->wait &= ~BIT_ULL(s->ev->from);
	if (!r->wait)
		serve_deferred(s);
}

static void rule_request_wr(struct pcn_step *s)
{
	if (s->r->flags & PAPER_GOT)
		rule_defer(s);
	else
		rule_void(s);
}

/* --- Invalids --- */

static void rule_ack(struct pcn_step *s)
{
	see_time(s);
	s->r->hint = s->ev->from;
	if (with(PAPER_FLOOR) && s->r->floor <= s->ev->version)
		s->r->floor = s->ev->version + 1;
	send(s, BIT_ULL(s->ev->from), PCN_ACK);
}

static void rule_ack_s(struct pcn_step *s)
{
	drop_copy(s);
	rule_ack(s);
	s->r->state = PCN_I;
}

/* PAPER_FLOOR says which copies are too old; without it, all fetched ones. */
static void rule_ack_ir(struct pcn_step *s)
{
	rule_ack(s);
	if (s->r->flags & PAPER_GOT && s->r->version < s->r->floor)
		drop_copy(s);
	if (!with(PAPER_FLOOR))
		s->r->state = PCN_IR2;
}

/* As in IR; who has heard of a writer cannot be the first. */
static void rule_ack_first(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	rule_ack(s);
	if (with(PAPER_FLOOR) && r->flags & PAPER_GOT && r->version >= r->floor)
		return;
	drop_copy(s);
	r->state = PCN_FI;
}

static void rule_nack(struct pcn_step *s)
{
	see_time(s);
	send(s, BIT_ULL(s->ev->from), PCN_NACK);
}

static void try_fetch(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	if (r->wait || (with(PAPER_ROUNDS) && r->joiners & ~r->writers))
		return;
	r->writers = 0;
	drop_copy(s);
	fetch(s, PCN_WR);
}

static void rule_compete(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	if (s->ev->version > r->version)
		return impossible(s, "S1: an Invalid for newer data reaches a writer");
	r->writers |= BIT_ULL(s->ev->from);
	if (own_first(s))
		rule_nack(s);
	else
		rule_ack(s);
	if (r->state == PCN_WP2)
		try_fetch(s);
}

/* --- answers --- */

static void try_write(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	if (with(PAPER_ROUNDS_2) && r->joiners & ~r->writers)
		return;
	use(s);
}

static void answered(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	if (r->wait)
		return;
	if (!(r->flags & PAPER_GOT)) {
		if (!with(PAPER_RETRY) && r->state != PCN_IR2)
			return impossible(s, "S5: a Fetch ends without a Copy");
		return fetch(s, r->state == PCN_WR ? PCN_WR : PCN_IR1);
	}
	if (r->state == PCN_IR2) {
		drop_copy(s);
		return fetch(s, PCN_IR1);
	}
	if (r->state == PCN_WR)
		try_write(s);
	else
		use(s);
}

static void rule_compete_wr(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	r->writers |= BIT_ULL(s->ev->from);
	if (own_first(s)) {
		rule_nack(s);
	} else {
		drop_copy(s);
		rule_ack(s);
	}
	answered(s);
}

static void take_copy(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	r->wait &= ~BIT_ULL(s->ev->from);
	if (s->ev->type != PCN_COPY || s->ev->version < r->floor ||
	    r->state == PCN_FI)
		return;
	if (with(PAPER_NEWEST) && r->flags & PAPER_GOT &&
	    s->ev->version <= r->version)
		return;
	act(s, PCN_INSTALL);
	r->flags |= PCN_HELD | PAPER_GOT;
	r->version = s->ev->version;
	r->cs |= BIT_ULL(s->ev->from);
}

static void rule_answer(struct pcn_step *s)
{
	take_copy(s);
	answered(s);
}

static void first_nr(struct pcn_step *s)
{
	act(s, PCN_ZERO);
	act(s, PCN_RDWR);
	done(s);
	s->r->flags |= PCN_HELD;
	s->r->state = PCN_NR;
	s->r->version = 1;
	s->r->stamp = 0;
}

static void rule_first_answer(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	take_copy(s);
	if (r->state == PCN_FNR && r->flags & PAPER_GOT)
		r->state = PCN_FV;
	if (r->wait)
		return;
	r->writers = 0;
	if (r->state == PCN_FI && !(r->flags & PAPER_GOT)) {
		r->stamp = 0;
		return fetch(s, PCN_IR1);
	}
	if (r->state == PCN_FNR)
		first_nr(s);
	else
		use(s);
	if (r->state != PCN_WP1)
		serve_deferred(s);
}

static void rule_vote(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	r->wait &= ~BIT_ULL(s->ev->from);
	if (s->ev->type == PCN_NACK) {
		r->joiners |= BIT_ULL(s->ev->from);
		r->state = PCN_WP2;
	}
	if (r->state == PCN_WP2)
		try_fetch(s);
	else if (!r->wait)
		win(s);
}

#define ANY	0xffffffff

static const struct pcn_rule paper_rules[] = {
	[IMPOSSIBLE]	= { "-", "", 0, pcn_rule_impossible },
	[HIT]		= { "hit", "", ANY, pcn_rule_hit },
	[TOUCH]		= { "touch", "", ANY, rule_touch },
	[WRITE_S]	= { "write", "", ANY, rule_write_s },
	[WANT]		= { "want", "", ANY, rule_want },
	[SERVE]		= { "serve", "", ANY, rule_serve },
	[COPY_S]	= { "copy", "", ANY, rule_serve },
	[VOID]		= { "void", "", ANY, rule_void },
	[VOID_U]	= { "void-u", "", ANY, rule_void },
	[JOIN_U]	= { "join-u", "", ANY, rule_join_u },
	[JOIN_FNR]	= { "join-fnr", "", ANY, rule_join_fnr },
	[DEFER]		= { "defer", "", ANY, rule_defer_wp },
	[SERVE_M]	= { "serve-m", "", ANY, rule_serve_m },
	[REQUEST_WR]	= { "request-wr", "", ANY, rule_request_wr },
	[ACK]		= { "ack", "", ANY, rule_ack },
	[ACK_S]		= { "ack-s", "", ANY, rule_ack_s },
	[ACK_IR]	= { "ack-ir", "", ANY, rule_ack_ir },
	[ACK_FIRST]	= { "ack-first", "", ANY, rule_ack_first },
	[NACK]		= { "nack", "", ANY, rule_nack },
	[COMPETE]	= { "compete", "", ANY, rule_compete },
	[COMPETE_WR]	= { "compete-wr", "", ANY, rule_compete_wr },
	[FIRST_ANSWER]	= { "first-answer", "", ANY, rule_first_answer },
	[ANSWER]	= { "answer", "", ANY, rule_answer },
	[VOTE]		= { "vote", "", ANY, rule_vote },
};

/* Columns: Fetch, Fetch_Write, Join, Invalid, Copy, -, Copy_Void, Ack, Nack,
 * read, write
 */
const struct pcn_proto pcn_proto_paper = {
	.name = "paper",
	.rules = paper_rules,
	.rule_count = ARRAY_SIZE(paper_rules),
	.table = {
	[PCN_U]	  = { VOID_U, VOID_U, JOIN_U, ACK, 0, 0, 0, 0, 0, TOUCH, TOUCH },
	[PCN_NR]  = { SERVE, SERVE, SERVE, 0, 0, 0, 0, 0, 0, HIT, HIT },
	[PCN_M]	  = { SERVE_M, SERVE_M, SERVE_M, NACK, 0, 0, 0, 0, 0, HIT, HIT },
	[PCN_S]	  = { COPY_S, COPY_S, COPY_S, ACK_S, 0, 0, 0, 0, 0, HIT,
		      WRITE_S },
	[PCN_I]	  = { VOID, VOID, VOID, ACK, 0, 0, 0, 0, 0, WANT, WANT },
	[PCN_FNR] = { VOID, VOID, JOIN_FNR, ACK_FIRST, FIRST_ANSWER, 0,
		      FIRST_ANSWER },
	[PCN_FV]  = { VOID, VOID, JOIN_FNR, ACK_FIRST, FIRST_ANSWER, 0,
		      FIRST_ANSWER },
	[PCN_FI]  = { VOID, VOID, JOIN_FNR, ACK_FIRST, FIRST_ANSWER, 0,
		      FIRST_ANSWER },
	[PCN_IR1] = { VOID, VOID, VOID, ACK_IR, ANSWER, 0, ANSWER },
	[PCN_IR2] = { VOID, VOID, VOID, ACK_IR, ANSWER, 0, ANSWER },
	[PCN_WP1] = { DEFER, DEFER, DEFER, COMPETE, 0, 0, 0, VOTE, VOTE },
	[PCN_WP2] = { DEFER, DEFER, DEFER, COMPETE, 0, 0, 0, VOTE, VOTE },
	[PCN_WR]  = { REQUEST_WR, REQUEST_WR, REQUEST_WR, COMPETE_WR, ANSWER, 0,
		      ANSWER },
	},
};

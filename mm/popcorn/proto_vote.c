// SPDX-License-Identifier: GPL-2.0
/*
 * The "vote" protocol: the published one, repaired.
 *
 * Nobody owns a page. A kernel that wants to write sends an Invalid with a
 * Lamport stamp and the version that it would replace to all that know the
 * page; Ack and Nack are the votes, and the smallest stamp wins. A kernel that
 * needs data asks the one that it last heard of, then all. Copies carry the
 * version, and every kernel has a floor, raised by each Ack, below which it
 * takes no copy: so late answers do no harm and requests need no number.
 */
#include "proto_impl.h"

enum {
	JOIN = FIRST_OWN_RULE,
	UPGRADE,
	WANT_READ,
	WANT_WRITE,
	SERVE,
	SERVE_S,
	SAY_UNMAPPED,
	SAY_MAPPED,
	DEFER,
	ADMIT_U,
	ADMIT_DATA,
	ADMIT_VOID,
	ADMIT_FNR,
	ADMIT_LATER,
	ACK,
	YIELD_S,
	YIELD_I,
	YIELD_IR,
	YIELD_FIRST,
	OPPOSE,
	COMPETE,
	COLLECT,
	TAKE,
	MISSED,
	VOTED,
	LOST_VOTE,
	COUNT,
	ABORT_HELD,
};

/* The kernels that a request goes to which must reach all. */
static u64 vote_audience(const struct pcn_step *s)
{
	return s->g->broadcast ? others(s) : s->r->cs & others(s);
}

static void raise_floor(struct pcn_step *s, u64 floor)
{
	if (s->r->floor < floor)
		s->r->floor = floor;
}

static void lose_data(struct pcn_step *s)
{
	lose_copy(s);
	s->r->version = 0;
}

static void vote_stamp(struct pcn_step *s)
{
	s->r->stamp = ++s->r->clock;
}

/* --- answers --- */

static void send_copy(struct pcn_step *s, u64 to)
{
	struct pcn_proto_event *m = send(s, to, PCN_COPY);

	m->flags = PCN_DATA;
	m->version = s->r->version;
	m->floor = s->r->floor;
}

static void send_void(struct pcn_step *s, u64 to, u8 flags)
{
	struct pcn_proto_event *m = send(s, to, PCN_COPY_VOID);

	m->flags = pcn_without(PCN_SEED_MAPPED) ? 0 : flags;
	m->floor = pcn_without(PCN_SEED_JOIN_FLOOR) ? 0 : s->r->floor;
}

static u64 take_deferred(struct pcn_step *s)
{
	u64 deferred = take_all(&s->r->readers) | take_all(&s->r->joiners);

	return pcn_without(PCN_SEED_READERS) ? 0 : deferred;
}

static void vote_serve(struct pcn_step *s, u64 to)
{
	if (s->r->state != PCN_S)
		act(s, PCN_RDONLY);
	s->r->state = PCN_S;
	send_copy(s, to);
}

/* A sole holder has used the page: answer all requests that waited for that. */
static void vote_serve_deferred(struct pcn_step *s)
{
	u64 deferred = take_deferred(s);

	if (!deferred)
		return;
	act(s, PCN_HOLD);
	vote_serve(s, deferred);
}

static void vote_refuse_deferred(struct pcn_step *s)
{
	u64 deferred = take_deferred(s);

	if (deferred)
		send_void(s, deferred, PCN_MAPPED);
}

/* --- the own access --- */

static void vote_win(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	act(s, PCN_RDWR);
	done(s);
	r->state = PCN_M;
	r->version++;
	r->stamp = 0;
	vote_serve_deferred(s);
}

static void call_vote(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;
	struct pcn_proto_event *m;

	r->wait = vote_audience(s);
	if (!r->wait)
		return vote_win(s);
	m = send(s, r->wait, PCN_INVALID);
	m->stamp = r->stamp;
	m->version = r->version;
	r->state = PCN_WP1;
}

static void vote_ask(struct pcn_step *s, u64 whom)
{
	struct pcn_replica *r = s->r;

	r->wait = whom;
	if (whom)
		send(s, whom, (r->flags & PCN_WRITING) ?
		     PCN_FETCH_WRITE : PCN_FETCH)->floor = r->floor;
}

/* The kernel last heard of first, if there is one; it may be gone. */
static void ask_hint(struct pcn_step *s, enum pcn_state state)
{
	u64 hint = s->g->broadcast ? 0 : kid_bit(s->r->hint) & others(s);

	s->r->state = state;
	vote_ask(s, hint ? hint : vote_audience(s));
}

static void vote_fetch(struct pcn_step *s)
{
	ask_hint(s, (s->r->flags & PCN_WRITING) ? PCN_WR : PCN_IR1);
}

static void vote_enter_nr(struct pcn_step *s)
{
	pcn_make_page(s);
	s->r->version = 1;
	s->r->stamp = 0;
	vote_serve_deferred(s);
}

static void vote_rule_join(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	want(s);
	r->hint = PCN_NOBODY;
	r->wait = others(s);
	if (!r->wait)
		return vote_enter_nr(s);
	vote_stamp(s);
	send(s, r->wait, PCN_JOIN)->stamp = r->stamp;
	r->state = PCN_FNR;
}

static void vote_rule_upgrade(struct pcn_step *s)
{
	want(s);
	vote_stamp(s);
	call_vote(s);
}

static void vote_rule_want_read(struct pcn_step *s)
{
	want(s);
	vote_fetch(s);
}

/* Take the stamp now, not when the data is here: a writer that waits grows older. */
static void vote_rule_want_write(struct pcn_step *s)
{
	want(s);
	vote_stamp(s);
	vote_fetch(s);
}

/* --- requests --- */

static void vote_rule_serve(struct pcn_step *s)
{
	vote_serve(s, BIT_ULL(s->ev->who));
}

static void vote_rule_serve_s(struct pcn_step *s)
{
	if (s->r->version >= s->ev->floor)
		send_copy(s, BIT_ULL(s->ev->who));
	else
		send_void(s, BIT_ULL(s->ev->who), PCN_MAPPED);
}

static void vote_rule_say_unmapped(struct pcn_step *s)
{
	send_void(s, BIT_ULL(s->ev->who), 0);
}

static void vote_rule_say_mapped(struct pcn_step *s)
{
	send_void(s, BIT_ULL(s->ev->who), PCN_MAPPED);
}

static void vote_rule_defer(struct pcn_step *s)
{
	s->r->readers |= BIT_ULL(s->ev->who);
}

/* Before the answer: whatever is written after it must reach the joiner. */
static void vote_admit(struct pcn_step *s)
{
	see_time(s);
	if (!pcn_without(PCN_SEED_JOIN_ADD))
		s->r->cs |= BIT_ULL(s->ev->from);
}

static void vote_rule_admit_u(struct pcn_step *s)
{
	vote_admit(s);
	send_void(s, BIT_ULL(s->ev->from), 0);
}

static void vote_rule_admit_data(struct pcn_step *s)
{
	vote_admit(s);
	vote_serve(s, BIT_ULL(s->ev->from));
}

static void vote_rule_admit_void(struct pcn_step *s)
{
	vote_admit(s);
	send_void(s, BIT_ULL(s->ev->from), PCN_MAPPED);
}

static void vote_rule_admit_fnr(struct pcn_step *s)
{
	bool first = own_first(s);

	vote_admit(s);
	if (first)
		s->r->joiners |= BIT_ULL(s->ev->from);
	else
		send_void(s, BIT_ULL(s->ev->from), 0);
}

static void vote_rule_admit_later(struct pcn_step *s)
{
	vote_admit(s);
	if (pcn_without(PCN_SEED_JOIN_DEFER))
		return send_copy(s, BIT_ULL(s->ev->from));
	s->r->joiners |= BIT_ULL(s->ev->from);
}

/* --- Invalids --- */

static void vote_ack(struct pcn_step *s)
{
	see_time(s);
	if (!pcn_without(PCN_SEED_FLOOR))
		raise_floor(s, s->ev->version + 1);
	s->r->hint = s->ev->from;
	send(s, BIT_ULL(s->ev->from), PCN_ACK);
}

static void vote_nack(struct pcn_step *s)
{
	see_time(s);
	send(s, BIT_ULL(s->ev->from), PCN_NACK);
}

static void vote_rule_ack(struct pcn_step *s)
{
	see_time(s);
	send(s, BIT_ULL(s->ev->from), PCN_ACK);
}

static void vote_rule_yield_s(struct pcn_step *s)
{
	if (s->r->version > s->ev->version && !pcn_without(PCN_SEED_NACK))
		return vote_nack(s);
	lose_data(s);
	vote_ack(s);
	s->r->state = PCN_I;
}

static void vote_rule_yield_i(struct pcn_step *s)
{
	vote_ack(s);
}

static void vote_rule_yield_ir(struct pcn_step *s)
{
	vote_ack(s);
	s->r->state = PCN_IR2;
}

/* Which of the first-touch states it is follows from what is known. */
static void vote_reconsider(struct pcn_step *s, bool exists)
{
	struct pcn_replica *r = s->r;

	if (r->flags & PCN_HELD && r->version < r->floor)
		lose_data(s);
	if (r->flags & PCN_HELD)
		r->state = PCN_FV;
	else if (exists || r->state != PCN_FNR)
		r->state = PCN_FI;
	if (r->state != PCN_FNR)
		vote_refuse_deferred(s);
}

static void vote_rule_yield_first(struct pcn_step *s)
{
	vote_ack(s);
	vote_reconsider(s, true);
}

static void vote_rule_oppose(struct pcn_step *s)
{
	if (s->r->version <= s->ev->version)
		return impossible(s, "an Invalid of data that was not written");
	vote_nack(s);
}

/* --- votes --- */

static bool count_vote(struct pcn_step *s)
{
	return take_answer(s, "a vote that nobody waits for");
}

/* The winner of the vote writes the version after this one. */
static void vote_lose(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	raise_floor(s, r->version + 1);
	r->hint = s->ev->from;
	lose_data(s);
	vote_refuse_deferred(s);
	r->state = PCN_WP2;
	if (!r->wait)
		vote_fetch(s);
}

static void vote_rule_compete(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	if (s->ev->version > r->version)
		return impossible(s, "an Invalid of data that is newer");
	if (s->ev->version < r->version || own_first(s) ||
	    pcn_without(PCN_SEED_RANK))
		return vote_nack(s);
	if (pcn_without(PCN_SEED_LOSE))
		return vote_rule_ack(s);
	lose_copy(s);
	vote_ack(s);
	vote_lose(s);
}

static void vote_rule_voted(struct pcn_step *s)
{
	if (count_vote(s) && !s->r->wait)
		vote_win(s);
}

static void vote_rule_lost_vote(struct pcn_step *s)
{
	if (count_vote(s))
		vote_lose(s);
}

static void vote_rule_count(struct pcn_step *s)
{
	if (count_vote(s) && !s->r->wait)
		vote_fetch(s);
}

/* --- data --- */

static void first_use(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	act(s, PCN_RDONLY);
	r->state = PCN_S;
	if (r->flags & PCN_WRITING)
		return call_vote(s);
	done(s);
	r->stamp = 0;
}

/* All have answered the Join. */
static void vote_counted(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	if (r->state == PCN_FNR)
		return vote_enter_nr(s);
	if (r->state == PCN_FV)
		return first_use(s);
	if (r->flags & PCN_READING)
		r->stamp = 0;
	vote_fetch(s);
}

static void vote_rule_collect(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;
	bool copy = s->ev->type == PCN_COPY;
	bool knows = copy || s->ev->flags & PCN_MAPPED;

	if (!take_answer(s, "a second answer to a Join"))
		return;
	raise_floor(s, s->ev->floor);
	/* A new member has heard none of the Joins of those before it. */
	if (knows && !pcn_without(PCN_SEED_NEWCOMER))
		r->cs |= BIT_ULL(s->ev->from);
	if (copy && s->ev->version > r->version) {
		act(s, PCN_INSTALL);
		r->flags |= PCN_HELD;
		r->version = s->ev->version;
		r->hint = s->ev->from;
	}
	vote_reconsider(s, knows);
	if (!r->wait)
		vote_counted(s);
}

/* After a death the kernel that has the data may be the dead one: wait for the abort. */
static void ask_again(struct pcn_step *s)
{
	if (!(s->r->flags & PCN_HALTED) && !pcn_without(PCN_SEED_RETRY))
		vote_ask(s, vote_audience(s));
}

static void vote_missed(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	r->wait &= ~BIT_ULL(s->ev->from);
	if (!r->wait)
		ask_again(s);
}

static void vote_rule_take(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	if (s->ev->version < r->floor)
		return vote_missed(s);
	act(s, PCN_INSTALL);
	r->flags |= PCN_HELD;
	r->version = s->ev->version;
	r->hint = s->ev->from;
	r->wait = 0;
	if (r->state == PCN_WR && pcn_without(PCN_SEED_STAMP))
		vote_stamp(s);
	first_use(s);
}

/* Only an answer that is waited for may end a round. */
static void vote_rule_missed(struct pcn_step *s)
{
	if (s->r->wait & BIT_ULL(s->ev->from))
		vote_missed(s);
}

/* --- beyond the accesses: drop, death, leaving --- */

/*
 * What was asked of the dead stays unanswered, and votes and first touches
 * without it are not counted. The abort ends such accesses.
 *
 * The dead stay in cs until the rebuild: that somebody has joined may be all
 * that is known about the page. Messages go to members only.
 *
 * Where nothing waits there is nothing to halt, and no abort that would end it.
 */
static void vote_rule_dead(struct pcn_step *s)
{
	pcn_forget_kernel(s);
	if (pcn_replica_is_settled(s->r) && !pcn_without(PCN_SEED_HALT_ALL))
		return;
	if (!pcn_without(PCN_SEED_HALT))
		s->r->flags |= PCN_HALTED;
}

static void vote_rule_abort_held(struct pcn_step *s)
{
	pcn_keep_copy(s, PCN_S);
}

/*
 * A write that died before it was complete leaves floors above the version
 * that is current again.
 */
static void vote_rule_rebuild(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	if (!pcn_rebuild(s))
		return;
	r->cs &= s->g->members;
	if (r->floor > s->ev->version && !pcn_without(PCN_SEED_REBUILD_FLOOR))
		r->floor = s->ev->version;
}

/* A kernel without a hint asks all. */
static void vote_rule_left(struct pcn_step *s)
{
	pcn_without_leaver(s, PCN_NOBODY);
}

/* --- the tables --- */

#define TO_WON		(PCN_TO(M) | PCN_TO(S))
#define TO_COUNTED	(PCN_TO(NR) | PCN_TO(S) | PCN_TO(M) | PCN_TO(WP1) | \
			 PCN_TO(IR1) | PCN_TO(WR))

static const struct pcn_rule vote_rules[] = {
	COMMON_RULES,
	[JOIN] = { "join", "stamp, Join to all",
		   PCN_TO(FNR) | PCN_TO(NR), vote_rule_join },
	[UPGRADE] = { "upgrade", "stamp, Invalid(v) to cs; cs empty: v+1, write",
		      PCN_TO(WP1) | PCN_TO(M), vote_rule_upgrade },
	[WANT_READ] = { "want-read", "Fetch to o, without o to cs",
			PCN_TO(IR1), vote_rule_want_read },
	[WANT_WRITE] = { "want-write", "stamp, Fetch_Write to o, without o to cs",
			 PCN_TO(WR), vote_rule_want_write },
	[SERVE] = { "serve", "Copy",
		    PCN_TO(S), vote_rule_serve },
	[SERVE_S] = { "serve-s", "v >= floor of the requester: Copy; else Copy_Void(mapped)",
		      PCN_SAME, vote_rule_serve_s },
	[SAY_UNMAPPED] = { "say-unmapped", "Copy_Void(unmapped)",
			   PCN_SAME, vote_rule_say_unmapped },
	[SAY_MAPPED] = { "say-mapped", "Copy_Void(mapped)",
			 PCN_SAME, vote_rule_say_mapped },
	[DEFER] = { "defer", "answer after the vote",
		    PCN_SAME, vote_rule_defer },
	[ADMIT_U] = { "admit-u", "cs += x, Copy_Void(unmapped)",
		      PCN_SAME, vote_rule_admit_u },
	[ADMIT_DATA] = { "admit-data", "cs += x, Copy",
			 PCN_TO(S), vote_rule_admit_data },
	[ADMIT_VOID] = { "admit-void", "cs += x, Copy_Void(mapped)",
			 PCN_SAME, vote_rule_admit_void },
	[ADMIT_FNR] = { "admit-fnr", "cs += x; own (L, index) smaller: answer later; else Copy_Void(unmapped)",
			PCN_SAME, vote_rule_admit_fnr },
	[ADMIT_LATER] = { "admit-later", "cs += x, answer after the vote",
			  PCN_SAME, vote_rule_admit_later },
	[ACK] = { "ack", "Ack",
		  PCN_SAME, vote_rule_ack },
	[YIELD_S] = { "yield-s", "v > b: Nack; else floor := b+1, o := sender, Ack",
		      PCN_SAME | PCN_TO(I), vote_rule_yield_s },
	[YIELD_I] = { "yield-i", "floor := max(floor, b+1), o := sender, Ack",
		      PCN_SAME, vote_rule_yield_i },
	[YIELD_IR] = { "yield-ir", "floor := max(floor, b+1), o := sender, Ack",
		       PCN_TO(IR2), vote_rule_yield_ir },
	[YIELD_FIRST] = { "yield-first", "floor := max(floor, b+1), o := sender, Ack; a copy below the floor goes; deferred get Copy_Void(mapped)",
			  PCN_SAME | PCN_TO(FI), vote_rule_yield_first },
	[OPPOSE] = { "oppose", "Nack; b >= v is impossible",
		     PCN_SAME, vote_rule_oppose },
	[COMPETE] = { "compete", "b < v or own (stamp, index) smaller: Nack; else Ack and as lost-vote; b > v is impossible",
		      PCN_SAME | PCN_TO(WP2) | PCN_TO(WR), vote_rule_compete },
	[COLLECT] = { "collect", "floor := max of floors, keep the newest copy; not Copy_Void(unmapped): cs += sender; all N-1 here: FNR: zeros; FV: read, or Invalid to cs; FI: Fetch or Fetch_Write. Leaving FNR: deferred get Copy_Void(mapped)",
		      PCN_SAME | PCN_TO(FV) | PCN_TO(FI) | TO_COUNTED,
		      vote_rule_collect },
	[TAKE] = { "take", "v >= floor: read, or Invalid to cs with the same stamp; else as missed",
		   PCN_SAME | PCN_TO(S) | PCN_TO(WP1) | PCN_TO(M), vote_rule_take },
	[MISSED] = { "missed", "all void: ask cs (again)",
		     PCN_SAME, vote_rule_missed },
	[VOTED] = { "voted", "all Acks here: v+1, write; answer the deferred with Copy",
		    PCN_SAME | TO_WON, vote_rule_voted },
	[LOST_VOTE] = { "lost-vote", "floor := v+1, o := sender, drop the copy, deferred get Copy_Void(mapped); all votes here: as count",
			PCN_TO(WP2) | PCN_TO(WR), vote_rule_lost_vote },
	[COUNT] = { "count", "all votes here: Fetch_Write to o",
		    PCN_SAME | PCN_TO(WR), vote_rule_count },
	[DEAD] = { "dead", "take it out of the deferred; ask nobody again until the abort; what it was asked stays open until the abort",
		   PCN_SAME, vote_rule_dead },
	[ABORT_HELD] = { "abort-held", "retry the access; the copy stays",
			 PCN_TO(S), vote_rule_abort_held },
	[REBUILD] = { "rebuild", "lost: as never touched; else o := a holder, floor := min(floor, its version), cs := cs without the dead",
		      PCN_SAME | PCN_TO(U), vote_rule_rebuild },
	[LEFT] = { "left", "take it out of cs; o = it: o := none",
		   PCN_SAME, vote_rule_left },
};

#define LATE							\
	[PCN_COPY]		= IGNORE,			\
	[PCN_COPY_VOID]		= IGNORE

#define SOLE							\
	[PCN_FETCH]		= SERVE,			\
	[PCN_FETCH_WRITE]	= SERVE,			\
	[PCN_JOIN]		= ADMIT_DATA,			\
	[PCN_READ]		= HIT,				\
	[PCN_WRITE]		= HIT,				\
	SETTLED_CELLS

#define WITHOUT_DATA						\
	[PCN_FETCH]		= SAY_MAPPED,			\
	[PCN_FETCH_WRITE]	= SAY_MAPPED,			\
	[PCN_JOIN]		= ADMIT_VOID

#define FETCHING						\
	[PCN_COPY]		= TAKE,				\
	[PCN_COPY_VOID]		= MISSED,			\
	WITHOUT_DATA,						\
	WAITING_CELLS(ABORT_VOID)

#define FIRST							\
	[PCN_INVALID]		= YIELD_FIRST,			\
	[PCN_COPY]		= COLLECT,			\
	[PCN_COPY_VOID]		= COLLECT,			\
	WAITING_CELLS(ABORT_FIRST)

const struct pcn_proto pcn_proto_vote = {
	.name = "vote",
	.rules = vote_rules,
	.rule_count = ARRAY_SIZE(vote_rules),
	.asks_all = true,
	.table = {
		[PCN_U] = {
			[PCN_FETCH]		= SAY_UNMAPPED,
			[PCN_FETCH_WRITE]	= SAY_UNMAPPED,
			[PCN_JOIN]		= ADMIT_U,
			[PCN_INVALID]		= ACK,
			[PCN_READ]		= JOIN,
			[PCN_WRITE]		= JOIN,
			SETTLED_CELLS,
		},
		[PCN_NR] = { SOLE },
		[PCN_M] = {
			SOLE,
			[PCN_INVALID]		= OPPOSE,
			LATE,
		},
		[PCN_S] = {
			[PCN_FETCH]		= SERVE_S,
			[PCN_FETCH_WRITE]	= SERVE_S,
			[PCN_JOIN]		= ADMIT_DATA,
			[PCN_INVALID]		= YIELD_S,
			LATE,
			[PCN_READ]		= HIT,
			[PCN_WRITE]		= UPGRADE,
			SETTLED_CELLS,
		},
		[PCN_I] = {
			WITHOUT_DATA,
			[PCN_INVALID]		= YIELD_I,
			LATE,
			[PCN_READ]		= WANT_READ,
			[PCN_WRITE]		= WANT_WRITE,
			SETTLED_CELLS,
		},
		[PCN_FNR] = {
			[PCN_FETCH]		= SAY_UNMAPPED,
			[PCN_FETCH_WRITE]	= SAY_UNMAPPED,
			[PCN_JOIN]		= ADMIT_FNR,
			FIRST,
		},
		[PCN_FV] = {
			WITHOUT_DATA,
			FIRST,
		},
		[PCN_FI] = {
			WITHOUT_DATA,
			FIRST,
		},
		[PCN_IR1] = {
			FETCHING,
			[PCN_INVALID]		= YIELD_IR,
		},
		[PCN_IR2] = {
			FETCHING,
			[PCN_INVALID]		= YIELD_I,
		},
		[PCN_WP1] = {
			[PCN_FETCH]		= DEFER,
			[PCN_FETCH_WRITE]	= DEFER,
			[PCN_JOIN]		= ADMIT_LATER,
			[PCN_INVALID]		= COMPETE,
			LATE,
			[PCN_ACK]		= VOTED,
			[PCN_NACK]		= LOST_VOTE,
			WAITING_CELLS(ABORT_HELD),
		},
		[PCN_WP2] = {
			WITHOUT_DATA,
			[PCN_INVALID]		= YIELD_I,
			LATE,
			[PCN_ACK]		= COUNT,
			[PCN_NACK]		= COUNT,
			WAITING_CELLS(ABORT_VOID),
		},
		[PCN_WR] = {
			FETCHING,
			[PCN_INVALID]		= YIELD_I,
		},
	},
};

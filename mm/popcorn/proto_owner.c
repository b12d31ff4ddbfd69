// SPDX-License-Identifier: GPL-2.0
/*
 * The "owner" protocol.
 *
 * Exactly one kernel owns a page (NR, M, WP1 or S*). It holds the exact
 * copyset and is the page's point of serialisation; ownership follows the
 * writes. Each other kernel has a hint that leads to it, over other
 * kernels' hints if need be: a dynamic distributed manager after Li and Hudak,
 * with path reversal after Naimi and Trehel. Writers form a queue through
 * their "next" fields; each grants the page to the next one when it has
 * written. Every Fetch gets exactly one Copy, or is bounced and queues as a
 * writer, so nothing needs a version or a second try.
 */
#include "proto_impl.h"

enum {
	TOUCH = FIRST_OWN_RULE,
	UPGRADE,
	WANT_READ,
	WANT_WRITE,
	FIRST_READ,
	FIRST_WRITE,
	SERVE,
	GRANT,
	FORWARD,
	PASS,
	KEEP_READ,
	KEEP_WRITE,
	QUEUE,
	NOTE_JOIN,
	SAY_MAPPED,
	RIVAL,
	GIVE_UP,
	GIVE_UP_WR,
	ACK_LATER,
	ACK_LATER_IR,
	ACK_LATER_FV,
	ARRIVE,
	ARRIVE_FNR,
	USE_ONCE,
	FIRST_COPY,
	OWN,
	BOUNCED,
	TALLY,
	ACKED,
	ABORT_WRITE,
	ABORT_OWNER,
};

static bool has_it_alone(const struct pcn_replica *r)
{
	return r->state == PCN_NR || r->state == PCN_M;
}

static bool owner_votes(const struct pcn_step *s)
{
	return s->g->origin == PCN_NOBODY;
}

/* News of an owner. A pinned hint leads to a writer in the queue: keep it. */
static void owner_learn(struct pcn_step *s, u8 kid)
{
	struct pcn_replica *r = s->r;

	if (r->pin != PCN_NOBODY && r->pin != kid && !pcn_without(PCN_SEED_PIN))
		return;
	r->hint = kid;
	r->pin = PCN_NOBODY;
}

/* Path reversal: later requests follow the writer that was just let through. */
static void owner_follow(struct pcn_step *s, u8 writer)
{
	s->r->hint = writer;
	s->r->pin = writer;
}

/* --- serving others --- */

static void owner_serve(struct pcn_step *s, u64 readers)
{
	struct pcn_replica *r = s->r;

	if (r->state != PCN_SO)
		act(s, PCN_RDONLY);
	send(s, readers, PCN_COPY)->flags = PCN_DATA;
	if (!pcn_without(PCN_SEED_COPYSET))
		r->cs |= readers;
	r->state = PCN_SO;
}

/* The data goes along only to a writer that has no valid copy. */
static void owner_grant(struct pcn_step *s, u8 writer)
{
	struct pcn_replica *r = s->r;
	struct pcn_proto_event *m;

	lose_copy(s);
	m = send(s, BIT_ULL(writer), PCN_COPY_OWN);
	m->cs = r->cs & ~BIT_ULL(writer);
	m->flags = (r->cs & BIT_ULL(writer)) ? 0 : PCN_DATA;
	r->cs = 0;
	r->state = PCN_I;
}

/* The untouched origin has no data to give: the first one makes zeros. */
static void give_first(struct pcn_step *s)
{
	send(s, BIT_ULL(s->ev->who), PCN_COPY_OWN)->flags = PCN_ONLY;
	if (!pcn_without(PCN_SEED_ORIGIN))
		s->r->hint = s->ev->who;
}

static void forward_readers(struct pcn_step *s, u64 readers, u8 hops)
{
	struct pcn_replica *r = s->r;
	struct pcn_action *a;
	u8 limit = s->g->count - 1;

	if (readers & kid_bit(r->hint))
		return impossible(s, "a Fetch would return to its sender");
	if (hops + 1 >= limit && !pcn_without(PCN_SEED_BOUNCE)) {
		send(s, readers, PCN_COPY_VOID)->flags = PCN_BOUNCE;
		return;
	}
	send(s, kid_bit(r->hint), PCN_FETCH);
	a = &s->out->act[s->out->count - 1];
	a->behalf = readers;
	/* Saturates only where a Fetch is never bounced. */
	a->msg.hops = hops + 1 < limit ? hops + 1 : limit;
}

/*
 * All of them take the way that was known before; the last one is followed.
 * The order in which they queue is decided where they meet.
 */
static void pass_writers(struct pcn_step *s, u64 writers)
{
	struct pcn_replica *r = s->r;

	if (writers & kid_bit(r->hint))
		return impossible(s, "a Fetch_Write would return to its sender");
	send(s, kid_bit(r->hint), PCN_FETCH_WRITE);
	s->out->act[s->out->count - 1].behalf = writers;
	owner_follow(s, fls64(writers) - 1);
}

static void queue_writers(struct pcn_step *s, u64 writers)
{
	struct pcn_replica *r = s->r;

	if (r->next == PCN_NOBODY) {
		r->next = __ffs64(writers);
		writers &= writers - 1;
		owner_follow(s, r->next);
		if (pcn_without(PCN_SEED_NEXT))
			r->next = PCN_NOBODY;
	}
	if (writers)
		pass_writers(s, writers);
}

static u64 take_readers(struct pcn_step *s)
{
	u64 readers = take_all(&s->r->readers);

	return pcn_without(PCN_SEED_READERS) ? 0 : readers;
}

/* The owner has used the page: answer all requests that waited for that. */
static void release_owned(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;
	u64 readers = take_readers(s), writers = take_all(&r->writers);
	u8 next = r->next;

	if (readers || writers || next != PCN_NOBODY)
		act(s, PCN_HOLD);
	if (readers)
		owner_serve(s, readers);
	if (next == PCN_NOBODY && writers) {
		next = __ffs64(writers);
		writers &= writers - 1;
		owner_follow(s, next);
	}
	r->next = PCN_NOBODY;
	if (next != PCN_NOBODY)
		owner_grant(s, next);
	if (writers)
		pass_writers(s, writers);
}

/* What was deferred in FNR goes the way that is known now. */
static void release_known(struct pcn_step *s)
{
	u64 readers, writers = take_all(&s->r->writers);

	if (s->r->state == PCN_WR) {
		if (writers)
			queue_writers(s, writers);
		return;
	}
	readers = take_readers(s);
	if (readers)
		forward_readers(s, readers, 0);
	if (writers)
		pass_writers(s, writers);
}

static void owner_release(struct pcn_step *s)
{
	u64 joiners = take_all(&s->r->joiners);

	if (joiners)
		send(s, joiners, PCN_COPY_VOID)->flags = PCN_MAPPED;
	if (has_it_alone(s->r))
		release_owned(s);
	else
		release_known(s);
}

/* --- the own access --- */

static void owner_enter_m(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	act(s, PCN_RDWR);
	done(s);
	r->state = PCN_M;
	r->cs = 0;
	owner_release(s);
}

static void owner_invalidate(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	if (!r->cs)
		return owner_enter_m(s);
	send(s, r->cs, PCN_INVALID);
	r->wait = r->cs;
	r->state = PCN_WP1;
}

static void owner_enter_nr(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	pcn_make_page(s);
	r->flags &= ~PCN_TENTATIVE;
	if (r->pin == PCN_NOBODY)
		r->hint = s->g->self;
	owner_release(s);
}

static void ask_read(struct pcn_step *s, enum pcn_state state)
{
	send(s, kid_bit(s->r->hint), PCN_FETCH);
	s->r->state = state;
}

static void ask_write(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	send(s, kid_bit(r->hint), PCN_FETCH_WRITE);
	r->hint = s->g->self;
	r->pin = PCN_NOBODY;
	r->state = PCN_WR;
}

static void owner_join(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	r->wait = others(s);
	if (!r->wait)
		return owner_enter_nr(s);
	send(s, r->wait, PCN_JOIN);
	r->state = PCN_FNR;
}

static void owner_rule_touch(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	want(s);
	if (r->hint == PCN_NOBODY)
		owner_join(s);
	else if (r->hint == s->g->self)
		owner_enter_nr(s);
	else if (s->ev->type == PCN_WRITE)
		ask_write(s);
	else
		ask_read(s, owner_votes(s) ? PCN_FV : PCN_FNR);
}

static void owner_rule_upgrade(struct pcn_step *s)
{
	want(s);
	owner_invalidate(s);
}

static void owner_rule_want_read(struct pcn_step *s)
{
	want(s);
	ask_read(s, PCN_IR1);
}

static void owner_rule_want_write(struct pcn_step *s)
{
	want(s);
	ask_write(s);
}

/* --- requests --- */

static void owner_rule_serve(struct pcn_step *s)
{
	owner_serve(s, BIT_ULL(s->ev->who));
}

static void owner_rule_grant(struct pcn_step *s)
{
	owner_grant(s, s->ev->who);
	owner_follow(s, s->ev->who);
}

static void owner_rule_forward(struct pcn_step *s)
{
	forward_readers(s, BIT_ULL(s->ev->who), s->ev->hops);
}

static void owner_rule_pass(struct pcn_step *s)
{
	pass_writers(s, BIT_ULL(s->ev->who));
}

static void owner_rule_first_read(struct pcn_step *s)
{
	if (s->r->hint == s->g->self)
		give_first(s);
	else
		owner_rule_forward(s);
}

static void owner_rule_first_write(struct pcn_step *s)
{
	if (s->r->hint == s->g->self)
		give_first(s);
	else
		owner_rule_pass(s);
}

static void owner_rule_keep_read(struct pcn_step *s)
{
	s->r->readers |= BIT_ULL(s->ev->who);
	if (s->r->state == PCN_WP1 && pcn_without(PCN_SEED_WP1_DEFER)) {
		send(s, s->r->readers, PCN_COPY)->flags = PCN_DATA;
		s->r->readers = 0;
	}
}

static void owner_rule_keep_write(struct pcn_step *s)
{
	s->r->writers |= BIT_ULL(s->ev->who);
}

static void owner_rule_queue(struct pcn_step *s)
{
	queue_writers(s, BIT_ULL(s->ev->who));
}

/* --- Joins: which kernel touched first, where there is no origin --- */

static void answer_join(struct pcn_step *s, bool mapped)
{
	send(s, BIT_ULL(s->ev->from), PCN_COPY_VOID)->flags =
		mapped ? PCN_MAPPED : 0;
}

static void owner_rule_note_join(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	if (r->hint == PCN_NOBODY) {
		r->hint = s->ev->from;
		r->flags |= PCN_TENTATIVE;
	}
	answer_join(s, false);
}

/*
 * The hint of a tentative kernel may lead to a kernel that is still counting
 * votes. If that one counted this kernel among those that know the page, the
 * two would send each other's requests in a circle.
 */
static void owner_rule_say_mapped(struct pcn_step *s)
{
	answer_join(s, !(s->r->flags & PCN_TENTATIVE) ||
		    pcn_without(PCN_SEED_TENTATIVE));
}

/*
 * A kernel that has heard of a Join has a hint and does not join. So of two Joins neither
 * was sent after the other had come, and the index alone is a fair judge.
 */
static void owner_rule_rival(struct pcn_step *s)
{
	if (s->g->self > s->ev->from || pcn_without(PCN_SEED_RIVAL))
		return answer_join(s, false);
	s->r->joiners |= BIT_ULL(s->ev->from);
}

/* --- losing a copy --- */

static void owner_rule_give_up(struct pcn_step *s)
{
	lose_copy(s);
	send(s, BIT_ULL(s->ev->from), PCN_ACK);
	s->r->state = PCN_I;
	owner_learn(s, s->ev->from);
}

static void owner_rule_give_up_wr(struct pcn_step *s)
{
	if (!(s->r->flags & PCN_HELD))
		return impossible(s, "Invalid in WR without a copy");
	if (!pcn_without(PCN_SEED_WR_DROP))
		lose_copy(s);
	send(s, BIT_ULL(s->ev->from), PCN_ACK);
}

/*
 * The Invalid has overtaken the Copy that this kernel was put into the copyset
 * for. An Ack now would let the writer write before the Copy comes.
 */
static void ack_later(struct pcn_step *s, enum pcn_state state)
{
	struct pcn_replica *r = s->r;

	if (r->late != PCN_NOBODY)
		return impossible(s, "a second Invalid before the Ack of the first");
	r->late = s->ev->from;
	r->state = state;
	if (pcn_without(state == PCN_FNR ? PCN_SEED_FNR_LATE :
			PCN_SEED_LATE_ACK))
		send(s, BIT_ULL(s->ev->from), PCN_ACK);
}

static void owner_rule_ack_later(struct pcn_step *s)
{
	if (owner_votes(s))
		return impossible(s, "Invalid before the vote has ended");
	ack_later(s, PCN_FNR);
}

static void owner_rule_ack_later_ir(struct pcn_step *s)
{
	ack_later(s, PCN_IR2);
}

static void owner_rule_ack_later_fv(struct pcn_step *s)
{
	ack_later(s, PCN_FI);
}

/* --- answers --- */

/* The access that waits may use the copy, then it is given up. */
static void use_once(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;
	u8 writer = r->late;
	enum pcn_seed seed = r->state == PCN_FNR ? PCN_SEED_FNR_LATE :
						   PCN_SEED_LATE_ACK;

	install(s, PCN_RDONLY);
	done(s);
	act(s, PCN_HOLD);
	lose_copy(s);
	if (!pcn_without(seed))
		send(s, kid_bit(writer), PCN_ACK);
	r->flags = 0;
	r->late = PCN_NOBODY;
	r->state = PCN_I;
	owner_learn(s, writer);
}

static void owner_rule_arrive(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	install(s, PCN_RDONLY);
	done(s);
	r->flags = PCN_HELD;
	r->state = PCN_S;
	owner_learn(s, s->ev->from);
}

static void owner_rule_use_once(struct pcn_step *s)
{
	use_once(s);
}

static void owner_rule_arrive_fnr(struct pcn_step *s)
{
	if (owner_votes(s))
		return impossible(s, "Copy before the vote has ended");
	if (s->r->late == PCN_NOBODY)
		owner_rule_arrive(s);
	else
		use_once(s);
	owner_release(s);
}

static void owner_rule_first_copy(struct pcn_step *s)
{
	if (!(s->ev->flags & PCN_ONLY))
		return impossible(s, "Copy-own for a Fetch");
	owner_enter_nr(s);
}

static void owner_rule_own(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	if (s->ev->flags & PCN_ONLY)
		return owner_enter_nr(s);
	if (s->ev->flags & PCN_DATA)
		act(s, PCN_INSTALL);
	else if (!(r->flags & PCN_HELD))
		return impossible(s, "Copy-own without data");
	r->flags = (r->flags | PCN_HELD) & ~PCN_TENTATIVE;
	r->cs = s->ev->cs & others(s);
	owner_invalidate(s);
}

static void owner_rule_bounced(struct pcn_step *s)
{
	if (!(s->ev->flags & PCN_BOUNCE))
		return impossible(s, "Copy_Void without a question");
	ask_write(s);
	owner_release(s);
}

/* All have answered the Join. */
static void owner_counted(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	if (r->via == PCN_NOBODY)
		return owner_enter_nr(s);
	r->hint = r->via;
	r->via = PCN_NOBODY;
	if (r->flags & PCN_WRITING)
		ask_write(s);
	else
		ask_read(s, PCN_FV);
	owner_release(s);
}

static void owner_rule_tally(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	if (!owner_votes(s))
		return owner_rule_bounced(s);
	if (!take_answer(s, "a second answer to a Join"))
		return;
	if (s->ev->flags & PCN_MAPPED)
		r->via = s->ev->from;
	if (!r->wait)
		owner_counted(s);
}

static void owner_rule_acked(struct pcn_step *s)
{
	if (take_answer(s, "an Ack that nobody waits for") && !s->r->wait)
		owner_enter_m(s);
}

/* --- beyond the accesses: drop, death, leaving --- */

/*
 * What was asked of the dead stays unanswered, and a vote without it is not
 * counted: it may have had the page. The abort ends such accesses.
 */
static void owner_rule_dead(struct pcn_step *s)
{
	s->r->cs &= ~BIT_ULL(s->ev->who);
	pcn_forget_kernel(s);
}

static void owner_rule_abort_write(struct pcn_step *s)
{
	if (s->r->flags & PCN_HELD)
		pcn_keep_copy(s, PCN_S);
	else
		pcn_rule_abort_void(s);
}

static void owner_rule_abort_owner(struct pcn_step *s)
{
	pcn_keep_copy(s, PCN_SO);
}

static void owner_rule_rebuild(struct pcn_step *s)
{
	struct pcn_replica *r = s->r;

	if (!pcn_rebuild(s))
		return;
	r->flags &= ~PCN_TENTATIVE;
	r->pin = PCN_NOBODY;
	if (s->ev->who != s->g->self)
		return;
	r->cs = s->ev->cs & others(s);
	if (r->state == PCN_S)
		r->state = PCN_SO;
}

static void owner_rule_left(struct pcn_step *s)
{
	if (s->r->pin == s->ev->who)
		s->r->pin = PCN_NOBODY;
	pcn_without_leaver(s, s->ev->heir);
}

/* --- the tables --- */

#define TO_OWNED	(PCN_TO(NR) | PCN_TO(SO) | PCN_TO(I))
#define TO_WRITTEN	(PCN_TO(M) | PCN_TO(SO) | PCN_TO(I))

static const struct pcn_rule owner_rules[] = {
	COMMON_RULES,
	[TOUCH] = { "touch", "untouched origin: zeros; no hint: Join to all; else read: Fetch to h (FNR with an origin, FV without), write: Fetch_Write to h, h := self",
		    PCN_TO(NR) | PCN_TO(FNR) | PCN_TO(FV) | PCN_TO(WR), owner_rule_touch },
	[UPGRADE] = { "upgrade", "Invalid to cs; cs empty: enter M",
		      PCN_TO(WP1) | PCN_TO(M), owner_rule_upgrade },
	[WANT_READ] = { "want-read", "Fetch to h",
			PCN_TO(IR1), owner_rule_want_read },
	[WANT_WRITE] = { "want-write", "Fetch_Write to h, h := self, p := none",
			 PCN_TO(WR), owner_rule_want_write },
	[FIRST_READ] = { "first-read", "untouched origin: Copy-own(only) to r, h := r; else as forward",
			 PCN_SAME, owner_rule_first_read },
	[FIRST_WRITE] = { "first-write", "untouched origin: Copy-own(only) to w, h := w; else as pass",
			  PCN_SAME, owner_rule_first_write },
	[SERVE] = { "serve", "Copy to r, cs += r",
		    PCN_TO(SO), owner_rule_serve },
	[GRANT] = { "grant", "Copy-own to w, h := p := w",
		    PCN_TO(I), owner_rule_grant },
	[FORWARD] = { "forward", "Fetch to h with one hop more; at N-1 hops Copy_Void(bounce) to r",
		      PCN_SAME, owner_rule_forward },
	[PASS] = { "pass", "Fetch_Write to h, h := p := w",
		   PCN_SAME, owner_rule_pass },
	[KEEP_READ] = { "keep-read", "D += r",
			PCN_SAME, owner_rule_keep_read },
	[KEEP_WRITE] = { "keep-write", "DW += w",
			 PCN_SAME, owner_rule_keep_write },
	[QUEUE] = { "queue", "next empty: next := w; else Fetch_Write to h; h := p := w",
		    PCN_SAME, owner_rule_queue },
	[NOTE_JOIN] = { "note-join", "no hint: h := x, tentative; Copy_Void(unmapped)",
			PCN_SAME, owner_rule_note_join },
	[SAY_MAPPED] = { "say-mapped", "Copy_Void(mapped); tentative: Copy_Void(unmapped)",
			 PCN_SAME, owner_rule_say_mapped },
	[RIVAL] = { "rival", "own index smaller: DJ += x; else Copy_Void(unmapped)",
		    PCN_SAME, owner_rule_rival },
	[GIVE_UP] = { "give-up", "Ack, learn(x)",
		      PCN_TO(I), owner_rule_give_up },
	[GIVE_UP_WR] = { "give-up-wr", "drop the copy, Ack",
			 PCN_SAME, owner_rule_give_up_wr },
	[ACK_LATER] = { "ack-later", "the Ack waits for the Copy",
			PCN_SAME, owner_rule_ack_later },
	[ACK_LATER_IR] = { "ack-later-ir", "the Ack waits for the Copy",
			   PCN_TO(IR2), owner_rule_ack_later_ir },
	[ACK_LATER_FV] = { "ack-later-fv", "the Ack waits for the Copy",
			   PCN_TO(FI), owner_rule_ack_later_fv },
	[ARRIVE] = { "arrive", "the read goes on, learn(sender)",
		     PCN_TO(S), owner_rule_arrive },
	[ARRIVE_FNR] = { "arrive-fnr", "as arrive, or as use-once if an Ack waits; forward D and DW",
			 PCN_TO(S) | PCN_TO(I), owner_rule_arrive_fnr },
	[USE_ONCE] = { "use-once", "the read goes on, once; then the Ack that waited, learn(x)",
		       PCN_TO(I), owner_rule_use_once },
	[FIRST_COPY] = { "first-copy", "zeros, the access goes on; answer D, DW",
			 TO_OWNED, owner_rule_first_copy },
	[OWN] = { "own", "only: zeros, as first-copy; else Invalid to cs; cs empty: enter M",
		  TO_OWNED | TO_WRITTEN | PCN_TO(WP1), owner_rule_own },
	[BOUNCED] = { "bounced", "Fetch_Write to h, h := self: the read queues as a writer",
		      PCN_TO(WR), owner_rule_bounced },
	[TALLY] = { "tally", "Join: all N-1 here: none mapped: zeros; else h := a mapped one, Fetch or Fetch_Write to it; DJ get Copy_Void(mapped); answer or forward D, DW. Fetch: as bounced",
		    PCN_SAME | TO_OWNED | PCN_TO(FV) | PCN_TO(WR), owner_rule_tally },
	[ACKED] = { "acked", "all Acks here: enter M",
		    PCN_SAME | TO_WRITTEN, owner_rule_acked },
	[DEAD] = { "dead", "take it out of cs, D, DW, DJ, next; what it was asked stays open until the abort",
		   PCN_SAME, owner_rule_dead },
	[ABORT_WRITE] = { "abort-write", "retry the access; a valid copy stays",
			  PCN_TO(S) | PCN_TO(I), owner_rule_abort_write },
	[ABORT_OWNER] = { "abort-owner", "retry the access; still the owner",
			  PCN_TO(SO), owner_rule_abort_owner },
	[REBUILD] = { "rebuild", "lost: as never touched; else h := the owner; the owner takes cs",
		      PCN_SAME | PCN_TO(SO) | PCN_TO(U), owner_rule_rebuild },
	[LEFT] = { "left", "take it out of cs; h = it: h := its heir",
		   PCN_SAME, owner_rule_left },
};

#define OWNED							\
	[PCN_FETCH]		= SERVE,			\
	[PCN_FETCH_WRITE]	= GRANT,			\
	[PCN_JOIN]		= SAY_MAPPED

#define SOLE							\
	[PCN_READ]		= HIT,				\
	[PCN_WRITE]		= HIT,				\
	OWNED,							\
	SETTLED_CELLS

#define VIA_HINT						\
	[PCN_FETCH]		= FORWARD,			\
	[PCN_FETCH_WRITE]	= PASS,				\
	[PCN_JOIN]		= SAY_MAPPED

#define QUEUEING						\
	[PCN_FETCH]		= KEEP_READ,			\
	[PCN_FETCH_WRITE]	= QUEUE,			\
	[PCN_JOIN]		= SAY_MAPPED

const struct pcn_proto pcn_proto_owner = {
	.name = "owner",
	.rules = owner_rules,
	.rule_count = ARRAY_SIZE(owner_rules),
	.table = {
		[PCN_U] = {
			[PCN_FETCH]		= FIRST_READ,
			[PCN_FETCH_WRITE]	= FIRST_WRITE,
			[PCN_JOIN]		= NOTE_JOIN,
			[PCN_READ]		= TOUCH,
			[PCN_WRITE]		= TOUCH,
			SETTLED_CELLS,
		},
		[PCN_NR] = { SOLE },
		[PCN_M] = { SOLE },
		[PCN_SO] = {
			OWNED,
			[PCN_READ]		= HIT,
			[PCN_WRITE]		= UPGRADE,
			SETTLED_CELLS,
		},
		[PCN_S] = {
			VIA_HINT,
			[PCN_INVALID]		= GIVE_UP,
			[PCN_READ]		= HIT,
			[PCN_WRITE]		= WANT_WRITE,
			SETTLED_CELLS,
		},
		[PCN_I] = {
			VIA_HINT,
			[PCN_READ]		= WANT_READ,
			[PCN_WRITE]		= WANT_WRITE,
			SETTLED_CELLS,
		},
		[PCN_FNR] = {
			[PCN_FETCH]		= KEEP_READ,
			[PCN_FETCH_WRITE]	= KEEP_WRITE,
			[PCN_JOIN]		= RIVAL,
			[PCN_INVALID]		= ACK_LATER,
			[PCN_COPY]		= ARRIVE_FNR,
			[PCN_COPY_OWN]		= FIRST_COPY,
			[PCN_COPY_VOID]		= TALLY,
			WAITING_CELLS(ABORT_FIRST),
		},
		[PCN_FV] = {
			VIA_HINT,
			[PCN_INVALID]		= ACK_LATER_FV,
			[PCN_COPY]		= ARRIVE,
			[PCN_COPY_VOID]		= BOUNCED,
			WAITING_CELLS(ABORT_FIRST),
		},
		[PCN_FI] = {
			VIA_HINT,
			[PCN_COPY]		= USE_ONCE,
			WAITING_CELLS(ABORT_FIRST),
		},
		[PCN_IR1] = {
			VIA_HINT,
			[PCN_INVALID]		= ACK_LATER_IR,
			[PCN_COPY]		= ARRIVE,
			[PCN_COPY_VOID]		= BOUNCED,
			WAITING_CELLS(ABORT_VOID),
		},
		[PCN_IR2] = {
			VIA_HINT,
			[PCN_COPY]		= USE_ONCE,
			WAITING_CELLS(ABORT_VOID),
		},
		[PCN_WR] = {
			QUEUEING,
			[PCN_INVALID]		= GIVE_UP_WR,
			[PCN_COPY_OWN]		= OWN,
			WAITING_CELLS(ABORT_WRITE),
		},
		[PCN_WP1] = {
			QUEUEING,
			[PCN_ACK]		= ACKED,
			WAITING_CELLS(ABORT_OWNER),
		},
	},
};

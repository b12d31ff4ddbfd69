// SPDX-License-Identifier: GPL-2.0
/*
 * Page coherency protocols: what they share.
 *
 * pcn_proto_step() looks the event up in the protocol's table and applies the rule
 * that it finds there. Everything that can be refused is refused here or
 * before the interpreter sees an action, and leaves the replica as it was: a
 * peer that talks nonsense breaks nothing but its own request.
 */
#include "proto_impl.h"

/* Deferred requests are bitmaps, so the size is fixed for 64 kernels. */
static_assert(sizeof(struct pcn_replica) == 80, "as protocol.rst says");

static const char * const state_names[PCN_STATES] = {
	[PCN_U]		= "U",
	[PCN_NR]	= "NR",
	[PCN_M]		= "M",
	[PCN_SO]	= "S*",
	[PCN_S]		= "S",
	[PCN_I]		= "I",
	[PCN_FNR]	= "FNR",
	[PCN_FV]	= "FV",
	[PCN_FI]	= "FI",
	[PCN_IR1]	= "IR1",
	[PCN_IR2]	= "IR2",
	[PCN_WP1]	= "WP1",
	[PCN_WP2]	= "WP2",
	[PCN_WR]	= "WR",
};

static const char * const event_names[PCN_EVENTS] = {
	[PCN_FETCH]		= "Fetch",
	[PCN_FETCH_WRITE]	= "Fetch_Write",
	[PCN_JOIN]		= "Join",
	[PCN_INVALID]		= "Invalid",
	[PCN_COPY]		= "Copy",
	[PCN_COPY_OWN]		= "Copy-own",
	[PCN_COPY_VOID]		= "Copy_Void",
	[PCN_ACK]		= "Ack",
	[PCN_NACK]		= "Nack",
	[PCN_READ]		= "read",
	[PCN_WRITE]		= "write",
	[PCN_DROP]		= "drop",
	[PCN_DEAD]		= "dead",
	[PCN_ABORT]		= "abort",
	[PCN_REBUILD]		= "rebuild",
	[PCN_LEFT]		= "left",
};

static const char * const op_names[PCN_ACTION_TYPES] = {
	[PCN_SEND]	= "send",
	[PCN_INSTALL]	= "install",
	[PCN_ZERO]	= "zero",
	[PCN_NONE]	= "none",
	[PCN_RDONLY]	= "rdonly",
	[PCN_RDWR]	= "rdwr",
	[PCN_DONE]	= "done",
	[PCN_HOLD]	= "hold",
	[PCN_RETRY]	= "retry",
	[PCN_GONE]	= "gone",
};

/**
 * pcn_state_name() - name of a state, for people
 * @state: enum pcn_state, or any number
 *
 * Context: Any context.
 * Return: The name; "?" if there is no such state.
 */
const char *pcn_state_name(unsigned int state)
{
	return state < PCN_STATES ? state_names[state] : "?";
}

/**
 * pcn_event_name() - name of an event, for people
 * @event: enum pcn_event_type, or any number
 *
 * Context: Any context.
 * Return: The name; "?" if there is no such event.
 */
const char *pcn_event_name(unsigned int event)
{
	return event < PCN_EVENTS ? event_names[event] : "?";
}

/**
 * pcn_action_name() - name of an action, for people
 * @op: enum pcn_action_type, or any number
 *
 * Context: Any context.
 * Return: The name; "?" if there is no such action.
 */
const char *pcn_action_name(unsigned int op)
{
	return op < PCN_ACTION_TYPES ? op_names[op] : "?";
}

static bool same_text(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

/**
 * pcn_proto_find() - find a protocol by its name
 * @name: "owner" or "vote"
 *
 * Context: Any context.
 * Return: The protocol, or NULL if there is none of that name.
 */
const struct pcn_proto *pcn_proto_find(const char *name)
{
	if (same_text(name, pcn_proto_owner.name))
		return &pcn_proto_owner;
	if (same_text(name, pcn_proto_vote.name))
		return &pcn_proto_vote;
	return NULL;
}

/**
 * pcn_replica_init() - make the replica of a page that was never touched here
 * @r: the replica
 * @g: the group
 *
 * Context: Any context.
 */
void pcn_replica_init(struct pcn_replica *r, const struct pcn_kernel_group *g)
{
	*r = (struct pcn_replica) {
		.state = PCN_U,
		.hint = g->origin,
		.pin = PCN_NOBODY,
		.next = PCN_NOBODY,
		.late = PCN_NOBODY,
		.via = PCN_NOBODY,
	};
}

/**
 * pcn_replica_own() - make the replica of the only kernel that has used a page
 * @p: the protocol
 * @g: the group
 * @r: the replica, as pcn_replica_init() made it
 *
 * As if this kernel had touched the page and nobody else ever had. The origin of
 * a process does so with what was there before the page was shared.
 *
 * Context: Any context.
 */
void pcn_replica_own(const struct pcn_proto *p, const struct pcn_kernel_group *g,
		     struct pcn_replica *r)
{
	bool votes = p == &pcn_proto_vote;

	r->state = PCN_NR;
	r->flags = PCN_HELD;
	r->hint = votes ? PCN_NOBODY : g->self;
	r->version = votes;
}

/**
 * pcn_replica_is_settled() - does no access wait in a replica?
 * @r: the replica
 *
 * A range is frozen when no member starts an access in it and all replicas of
 * it have settled. In "owner" no message about it is under way then; in "vote"
 * late answers may be, which the epoch of the range keeps out.
 *
 * Context: Any context.
 * Return: true if no access waits and nothing is owed to another kernel.
 */
bool pcn_replica_is_settled(const struct pcn_replica *r)
{
	return r->state <= PCN_I;
}

/* --- rules of several protocols --- */

/**
 * pcn_rule_impossible() - the cell is empty
 * @s: the step; it fails
 *
 * Context: Within pcn_proto_step().
 */
void pcn_rule_impossible(struct pcn_step *s)
{
	impossible(s, "no such transition");
}

/**
 * pcn_rule_ignore() - the event changes nothing
 * @s: the step
 *
 * Context: Within pcn_proto_step().
 */
void pcn_rule_ignore(struct pcn_step *s)
{
}

/**
 * pcn_rule_hit() - the access finds what it needs here
 * @s: the step
 *
 * Context: Within pcn_proto_step().
 */
void pcn_rule_hit(struct pcn_step *s)
{
	act(s, PCN_DONE);
}

/**
 * pcn_rule_drop() - as if the page had never been touched; the clock stays
 * @s: the step
 *
 * Context: Within pcn_proto_step().
 */
void pcn_rule_drop(struct pcn_step *s)
{
	u64 clock = s->r->clock;

	lose_copy(s);
	pcn_replica_init(s->r, s->g);
	s->r->clock = clock;
}

/* Give the waiting access up and go to a settled state. */
static void end_access(struct pcn_step *s, enum pcn_state state)
{
	struct pcn_replica *r = s->r;

	act(s, PCN_RETRY);
	r->flags &= ~PCN_WAITING;
	r->state = state;
	r->wait = 0;
	r->readers = 0;
	r->writers = 0;
	r->joiners = 0;
	r->stamp = 0;
	r->pin = PCN_NOBODY;
	r->next = PCN_NOBODY;
	r->late = PCN_NOBODY;
	r->via = PCN_NOBODY;
}

/**
 * pcn_rule_abort_first() - a first touch starts again
 * @s: the step
 *
 * Context: Within pcn_proto_step().
 */
void pcn_rule_abort_first(struct pcn_step *s)
{
	lose_copy(s);
	end_access(s, PCN_U);
	s->r->version = 0;
	s->r->floor = 0;
}

/**
 * pcn_rule_abort_void() - an access without a copy starts again
 * @s: the step
 *
 * Context: Within pcn_proto_step().
 */
void pcn_rule_abort_void(struct pcn_step *s)
{
	end_access(s, PCN_I);
}

/* --- parts of rules of several protocols --- */

/**
 * pcn_make_page() - nobody has the page: zeros, and the access goes on
 * @s: the step
 *
 * Context: Within a rule.
 */
void pcn_make_page(struct pcn_step *s)
{
	act(s, PCN_ZERO);
	act(s, PCN_RDWR);
	done(s);
	s->r->flags |= PCN_HELD;
	s->r->state = PCN_NR;
}

/**
 * pcn_forget_kernel() - nothing is owed to a kernel that has died
 * @s: the step, whose event names the kernel
 *
 * Context: Within a rule.
 */
void pcn_forget_kernel(struct pcn_step *s)
{
	u64 rest = ~BIT_ULL(s->ev->who);
	struct pcn_replica *r = s->r;

	r->readers &= rest;
	r->writers &= rest;
	r->joiners &= rest;
	if (r->next == s->ev->who && !pcn_without(PCN_SEED_DEAD_NEXT))
		r->next = PCN_NOBODY;
}

/**
 * pcn_keep_copy() - an access is aborted whose copy stays, readable
 * @s: the step
 * @state: the settled state of the replica from now on
 *
 * Context: Within a rule.
 */
void pcn_keep_copy(struct pcn_step *s, enum pcn_state state)
{
	act(s, PCN_RDONLY);
	end_access(s, state);
}

/**
 * pcn_rebuild() - learn from the event where the page is
 * @s: the step
 *
 * Context: Within a rule.
 * Return: true; false: the page is lost, and the replica is as if never touched.
 */
bool pcn_rebuild(struct pcn_step *s)
{
	if (s->ev->flags & PCN_LOST) {
		act(s, PCN_GONE);
		pcn_rule_drop(s);
		return false;
	}
	if (!pcn_without(PCN_SEED_REBUILD_HINT))
		s->r->hint = s->ev->who;
	return true;
}

/**
 * pcn_without_leaver() - forget a kernel that has left
 * @s: the step, whose event names the kernel
 * @heir: the kernel that hints lead to from now on if they led to that one
 *
 * Context: Within a rule.
 */
void pcn_without_leaver(struct pcn_step *s, u8 heir)
{
	struct pcn_replica *r = s->r;

	if (!pcn_without(PCN_SEED_LEFT_CS))
		r->cs &= ~BIT_ULL(s->ev->who);
	if (r->hint == s->ev->who && !pcn_without(PCN_SEED_LEFT_HINT))
		r->hint = heir;
}

/* To grant the page to this kernel itself would be the end of it. */
static bool is_own(const struct pcn_kernel_group *g, const struct pcn_proto_event *ev)
{
	return ev->type < PCN_MESSAGES &&
	       (ev->from == g->self || ev->who == g->self);
}

/* Messages from or on behalf of a kernel that is no member have no effect. */
static bool concerns_member(const struct pcn_kernel_group *g,
			    const struct pcn_proto_event *ev)
{
	if (ev->type >= PCN_MESSAGES)
		return true;
	return ev->from < 64 && g->members >> ev->from & 1 &&
	       ev->who < 64 && g->members >> ev->who & 1;
}

/**
 * pcn_proto_step() - make one step of a protocol
 * @p: the protocol
 * @g: the group as the own kernel sees it
 * @r: the replica; changed only if the verdict is PCN_OK
 * @ev: the event
 * @out: what is to be done, valid if the verdict is PCN_OK
 *
 * Context: Any context. Events of one replica must be serialised, and the
 *	    actions of one step be complete before the next step of it.
 * Return: The verdict. PCN_IMPOSSIBLE comes with a text in @out->fault.
 */
enum pcn_verdict pcn_proto_step(const struct pcn_proto *p,
				const struct pcn_kernel_group *g,
				struct pcn_replica *r, const struct pcn_proto_event *ev,
				struct pcn_out *out)
{
	struct pcn_step s = { .g = g, .r = r, .ev = ev, .out = out };
	const struct pcn_replica before = *r;

	out->count = 0;
	out->fault = NULL;
	out->rule = 0;
	if (ev->type >= PCN_EVENTS || r->state >= PCN_STATES) {
		out->fault = "no such state or event";
		return PCN_IMPOSSIBLE;
	}
	if (is_own(g, ev)) {
		out->fault = "a message from or on behalf of this kernel";
		return PCN_IMPOSSIBLE;
	}
	if (!concerns_member(g, ev))
		return PCN_IGNORED;
	out->rule = p->table[r->state][ev->type];
	p->rules[out->rule].apply(&s);
	if (!out->fault)
		return PCN_OK;
	*r = before;
	out->count = 0;
	return PCN_IMPOSSIBLE;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Beyond the accesses: what the range layer does about a page, for model.c,
 * which includes this file. Its own messages are not modelled one by one: each
 * kernel takes its part in a round at a time of its own, which is all that a
 * reliable exchange with the origin promises.
 *
 * drop   freeze all, drop everywhere, thaw
 * leave  freeze all, kernel 0 calls in what would be gone with the leaver, all
 *        others hear of it, thaw
 * death  all hear of it and freeze, messages drain, all abort what waits, the
 *        page is rebuilt from what is left, thaw
 */

static u8 members_of(const struct mover *m)
{
	u8 set = 0;
	unsigned int k;

	for (k = 0; k < m->c->n; k++)
		if (is_member(m->w, k))
			set |= 1U << k;
	return set;
}

static bool all_settled(const struct mover *m)
{
	unsigned int k;

	for (k = 0; k < m->c->n; k++)
		if (is_member(m->w, k) && !pcn_settled(&m->w->r[k]))
			return false;
	return true;
}

/* A step of one kernel without a message. */
static void local(struct turn *t, unsigned int k, struct pcn_msg ev)
{
	ev.from = k;
	step(t, k, &ev);
}

static void begin_round(const struct mover *m, enum phase next, u8 subject,
			enum move move)
{
	struct label l = { .move = move, .kernel = subject };
	struct turn t;

	begin(m, &t);
	t.w.phase = next;
	t.w.subject = subject;
	t.w.agreed = 0;
	if (next == PHASE_DROP)
		t.w.drops--;
	else
		t.w.leaves--;
	end(m, &t, &l);
}

static void freeze(const struct mover *m, unsigned int k)
{
	struct label l = { .move = MOVE_FREEZE, .kernel = k };
	struct turn t;

	begin(m, &t);
	t.w.frozen |= 1U << k;
	end(m, &t, &l);
}

/* Late answers of "vote" end here: the epoch of the range changes. */
static void new_epoch(const struct mover *m, struct turn *t)
{
	if (m->c->proto == &pcn_proto_owner && t->w.count)
		fail(t, "a message about a page that has settled");
	t->w.count = 0;
}

/* --- drop --- */

static void drop(const struct mover *m, unsigned int k, u8 all)
{
	struct label l = { .move = MOVE_DROP, .kernel = k };
	struct turn t;

	begin(m, &t);
	if (t.w.phase == PHASE_DROP)
		new_epoch(m, &t);
	t.w.phase = PHASE_DROPPING;
	t.w.exists = 0;
	local(&t, k, (struct pcn_msg) { .type = PCN_DROP });
	t.w.agreed |= 1U << k;
	if (t.w.agreed == all) {
		t.w.agreed = 0;
		t.w.phase = PHASE_THAW;
	}
	end(m, &t, &l);
}

/* --- leave --- */

/* What would be gone with the leaver: in "vote" a shared copy may be the last. */
static bool must_call(const struct mover *m)
{
	const struct pcn_replica *r = &m->w->r[m->w->subject];

	return m->c->proto == &pcn_proto_owner ? owns(r) :
	       r->flags & PCN_HELD;
}

static void start_leaving(const struct mover *m)
{
	struct label l = { .move = MOVE_CALL, .kernel = m->w->subject };
	u8 gone = m->w->subject, heir;
	struct turn t;

	if (must_call(m))
		return access_page(m, 0, true, true);
	begin(m, &t);
	new_epoch(m, &t);
	t.w.phase = PHASE_LEAVING;
	heir = t.w.r[gone].hint;
	local(&t, gone, (struct pcn_msg) { .type = PCN_DROP });
	/* What it tells the others. */
	t.w.r[gone].hint = heir;
	end(m, &t, &l);
}

static void hear_of_leaver(const struct mover *m, unsigned int k, u8 all)
{
	struct label l = { .move = MOVE_LEFT, .kernel = m->w->subject };
	u8 gone = m->w->subject, others = all & ~(1U << gone);
	struct turn t;

	begin(m, &t);
	t.w.members[k] &= ~(1U << gone);
	local(&t, k, (struct pcn_msg) { .type = PCN_LEFT, .who = gone,
					.heir = t.w.r[gone].hint });
	t.w.agreed |= 1U << k;
	if (t.w.agreed == others) {
		t.w.members[gone] = 0;
		t.w.frozen &= ~(1U << gone);
		t.w.agreed = 0;
		t.w.subject = PCN_NOBODY;
		t.w.phase = PHASE_THAW;
	}
	end(m, &t, &l);
}

/* --- death --- */

static void die(const struct mover *m, unsigned int k)
{
	struct label l = { .move = MOVE_DIE, .kernel = k };
	struct pcn_group g = group_of(m->c, m->w, k);
	struct turn t;
	unsigned int i;

	begin(m, &t);
	t.w.deaths--;
	t.w.phase = PHASE_DEAD;
	t.w.subject = k;
	t.w.agreed = 0;
	t.w.members[k] = 0;
	t.w.access[k] = ACCESS_NONE;
	t.w.current[k] = 0;
	t.w.reads[k] = 0;
	t.w.writes[k] = 0;
	pcn_replica_init(&t.w.r[k], &g);
	for (i = t.w.count; i-- > 0;)
		if (t.w.q[i].to == k)
			take_out(&t.w, i);
	end(m, &t, &l);
}

static void notice(const struct mover *m, unsigned int k)
{
	struct label l = { .move = MOVE_NOTICE, .kernel = k,
			   .subject = m->w->subject };
	struct turn t;

	begin(m, &t);
	t.w.members[k] &= ~(1U << t.w.subject);
	t.w.frozen |= 1U << k;
	local(&t, k, (struct pcn_msg) { .type = PCN_DEAD,
					.who = t.w.subject });
	end(m, &t, &l);
}

/* Any of the last messages of the dead may be lost with it. */
static void discard(const struct mover *m, unsigned int i)
{
	struct label l = { .move = MOVE_DISCARD, .kernel = m->w->q[i].to,
			   .wire = m->w->q[i] };
	struct turn t;

	begin(m, &t);
	take_out(&t.w, i);
	end(m, &t, &l);
}

static void abort_access(const struct mover *m, unsigned int k, u8 all)
{
	struct label l = { .move = MOVE_ABORT, .kernel = k };
	struct turn t;

	begin(m, &t);
	t.w.phase = PHASE_ABORTED;
	local(&t, k, (struct pcn_msg) { .type = PCN_ABORT });
	t.w.agreed |= 1U << k;
	end(m, &t, &l);
}

/* What the survivors report to the origin. */
struct reports {
	u8 valid;		/* kernels with a valid copy */
	u8 owner;		/* who is to own the page */
	bool known;		/* somebody knows that the page was touched */
	u64 version;
};

static bool was_touched(const struct config *c, const struct pcn_replica *r,
			unsigned int k)
{
	if (r->state != PCN_U || r->cs)
		return true;
	if (c->proto == &pcn_proto_owner && c->origin)
		return k == 0 && r->hint != 0;
	return r->hint != PCN_NOBODY && c->proto == &pcn_proto_owner;
}

static struct reports collect(const struct mover *m, u8 all)
{
	struct reports rep = { .owner = PCN_NOBODY };
	unsigned int k;

	for (k = 0; k < m->c->n; k++) {
		const struct pcn_replica *r = &m->w->r[k];

		if (!(all >> k & 1))
			continue;
		rep.known |= was_touched(m->c, r, k);
		if (!(r->flags & PCN_HELD))
			continue;
		rep.valid |= 1U << k;
		rep.version = r->version;
		if (rep.owner == PCN_NOBODY || owns(r))
			rep.owner = k;
	}
	return rep;
}

static void rebuild(const struct mover *m, u8 all)
{
	struct label l = { .move = MOVE_REBUILD };
	struct reports rep = collect(m, all);
	struct pcn_msg ev = {
		.type = PCN_REBUILD, .who = rep.owner, .cs = rep.valid,
		.version = rep.version,
		.flags = rep.known && !rep.valid ? PCN_LOST : 0,
	};
	struct turn t;
	unsigned int k;

	begin(m, &t);
	if (t.w.exists && !rep.known)
		fail(&t, "a page is lost and nobody knows");
	if (!rep.valid)
		t.w.exists = 0;
	for (k = 0; k < m->c->n && rep.known; k++)
		if (all >> k & 1)
			local(&t, k, ev);
	t.w.agreed = 0;
	t.w.subject = PCN_NOBODY;
	t.w.phase = PHASE_THAW;
	end(m, &t, &l);
}

static void after_death(const struct mover *m, u8 all)
{
	const struct world *w = m->w;
	unsigned int k, i;

	for (i = 0; i < w->count; i++)
		if (w->q[i].m.from == w->subject && deliverable(m->c, w, i))
			discard(m, i);
	for (k = 0; k < m->c->n; k++)
		if (all & ~w->frozen & 1U << k)
			notice(m, k);
	if (w->count || all & ~w->frozen)
		return;
	for (k = 0; k < m->c->n; k++)
		if (all & ~w->agreed & 1U << k)
			abort_access(m, k, all);
	if (w->agreed == all)
		rebuild(m, all);
}

/* --- rounds --- */

static void start_round(const struct mover *m, u8 all)
{
	const struct world *w = m->w;
	unsigned int k;

	if (w->drops && w->exists)
		begin_round(m, PHASE_DROP, PCN_NOBODY, MOVE_DROP);
	for (k = 1; k < m->c->n; k++) {
		if (!(all >> k & 1))
			continue;
		if (w->leaves)
			begin_round(m, PHASE_LEAVE, k, MOVE_LEAVE);
		if (w->deaths)
			die(m, k);
	}
}

static void thaw(const struct mover *m, unsigned int k)
{
	struct label l = { .move = MOVE_THAW, .kernel = k };
	struct turn t;

	begin(m, &t);
	t.w.frozen &= ~(1U << k);
	if (!t.w.frozen)
		t.w.phase = PHASE_NONE;
	end(m, &t, &l);
}

static void each(const struct mover *m, u8 set, u8 all,
		 void (*fn)(const struct mover *m, unsigned int k, u8 all))
{
	unsigned int k;

	for (k = 0; k < m->c->n; k++)
		if (set >> k & 1)
			fn(m, k, all);
}

static void beyond(const struct mover *m)
{
	const struct world *w = m->w;
	u8 all = members_of(m);
	bool frozen = w->frozen == all && all_settled(m);
	unsigned int k;

	if (w->phase == PHASE_NONE)
		return start_round(m, all);
	if (w->phase == PHASE_DEAD || w->phase == PHASE_ABORTED)
		return after_death(m, all);
	for (k = 0; k < m->c->n; k++) {
		if (w->phase == PHASE_THAW && w->frozen >> k & 1)
			thaw(m, k);
		else if (w->phase != PHASE_THAW && all & ~w->frozen & 1U << k)
			freeze(m, k);
	}
	if (w->phase == PHASE_DROPPING || (w->phase == PHASE_DROP && frozen))
		each(m, all & ~w->agreed, all, drop);
	if (w->phase == PHASE_LEAVE && frozen)
		start_leaving(m);
	if (w->phase == PHASE_LEAVING)
		each(m, all & ~w->agreed & ~(1U << w->subject), all,
		     hear_of_leaver);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Beyond the accesses: what the range layer does about a page, for model.c,
 * which includes this file. Its own messages are not modelled one by one: each
 * kernel takes its part in a round at a time of its own, which is all that a
 * reliable exchange with the origin promises.
 *
 * drop   freeze all, kernel 0 reads the page if it is to be kept, late messages
 *        end, drop everywhere, thaw
 * leave  freeze all, kernel 0 calls in what would be gone with the leaver, late
 *        messages end, all others hear of it, thaw
 * fork   freeze all, kernel 0 reads the page, thaw
 * join   freeze all, the new kernel and all others hear of it, thaw
 * death  all hear of it and freeze, messages drain, all abort what waits, the
 *        page is rebuilt from what is left, thaw
 *
 * A kernel may die at any time. A round that still freezes, or calls in, is
 * given up then and begins again after the death's own round; one that has
 * begun to change replicas is completed by the others first.
 */

static u8 members_of(const struct world *w)
{
	unsigned int k;
	u8 set = 0;

	for (k = 0; k < MODEL_KERNELS; k++)
		if (is_member(w, k))
			set |= 1U << k;
	return set;
}

/* Kernels that one takes for members, and that have died. */
static u8 unnoticed(const struct world *w)
{
	u8 all = members_of(w), set = 0;
	unsigned int k;

	for (k = 0; k < MODEL_KERNELS; k++)
		set |= w->members[k] & ~all;
	return set;
}

static bool all_settled(const struct mover *m)
{
	unsigned int k;

	for (k = 0; k < m->c->n; k++)
		if (is_member(m->w, k) && !pcn_replica_is_settled(&m->w->r[k]))
			return false;
	return true;
}

/* A step of one kernel without a message. */
static void local(struct turn *t, unsigned int k, struct pcn_proto_event ev)
{
	ev.from = k;
	step(t, k, &ev);
}

static u8 *budget(struct world *w, enum phase phase)
{
	switch (phase) {
	case PHASE_DROP:
		return &w->drops;
	case PHASE_LEAVE:
		return &w->leaves;
	case PHASE_FORK:
		return &w->forks;
	default:
		return &w->joins;
	}
}

static void begin_round(const struct mover *m, enum phase next, u8 subject,
			enum move move)
{
	struct label l = { .move = move,
			   .kernel = subject == PCN_NOBODY ? 0 : subject };
	struct turn t;

	begin(m, &t);
	t.w.phase = next;
	t.w.subject = subject;
	t.w.agreed = 0;
	--*budget(&t.w, next);
	end(m, &t, &l);
}

/* All have made the change. Who died meanwhile comes next. */
static void finish_round(struct turn *t)
{
	t->w.agreed = 0;
	t->w.subject = PCN_NOBODY;
	t->w.phase = unnoticed(&t->w) ? PHASE_DEAD : PHASE_THAW;
}

static void freeze(const struct mover *m, unsigned int k, u8 all)
{
	struct label l = { .move = MOVE_FREEZE, .kernel = k };
	struct turn t;

	begin(m, &t);
	t.w.frozen |= 1U << k;
	end(m, &t, &l);
}

/* --- what kernel 0 needs first --- */

static bool was_touched(const struct config *c, const struct pcn_replica *r,
			unsigned int k)
{
	if (r->state != PCN_U || r->cs)
		return true;
	if (c->proto == &pcn_proto_owner && c->origin)
		return k == 0 && r->hint != 0;
	return r->hint != PCN_NOBODY && c->proto == &pcn_proto_owner;
}

/* What is to be kept must be with kernel 0 then. */
static bool must_recall(const struct mover *m)
{
	const struct world *w = m->w;

	return m->c->keep && was_touched(m->c, &w->r[0], 0) && w->exists &&
	       w->access[0] == ACCESS_NONE;
}

/* What would be gone with the leaver: in "vote" a shared copy may be the last. */
static bool must_call(const struct mover *m)
{
	const struct pcn_replica *r = &m->w->r[m->w->subject];

	return m->c->proto == &pcn_proto_owner ? owns(r) :
	       r->flags & PCN_HELD;
}

/* --- fences --- */

static bool is_fence(const struct wire *x)
{
	return x->m.type >= PCN_MESSAGES;
}

static unsigned int fences_of(const struct config *c)
{
	return c->fences == FENCES_TWICE ? 2 : c->fences != FENCES_NONE;
}

static void send_fence(struct turn *t, unsigned int from, unsigned int to,
		       u8 type)
{
	struct pcn_proto_event fence = { .type = type, .from = from, .who = from };

	post(t, &fence, to);
}

static void take_fence(struct turn *t, const struct wire *x)
{
	/* After a death they are of a round that was given up. */
	if (t->c->fences == FENCES_BACK && x->m.type == MODEL_FENCE &&
	    (t->w.phase == PHASE_DROP || t->w.phase == PHASE_LEAVE))
		send_fence(t, x->to, x->m.from, MODEL_PASSED);
}

static void fence(const struct mover *m, unsigned int k, u8 all)
{
	struct label l = { .move = MOVE_FENCE, .kernel = k };
	struct turn t;
	unsigned int to;

	begin(m, &t);
	t.w.fences[k]++;
	for (to = 0; to < m->c->n; to++)
		if (to != k && all >> to & 1)
			send_fence(&t, k, to, MODEL_FENCE);
	end(m, &t, &l);
}

/* Has a kernel as many of all others as it has sent? */
static bool has_fences(const struct world *w, unsigned int k, u8 all)
{
	int missing[MODEL_KERNELS];
	unsigned int i;

	for (i = 0; i < MODEL_KERNELS; i++)
		missing[i] = all >> i & 1 ? w->fences[k] - w->fences[i] : 0;
	for (i = 0; i < w->count; i++)
		if (w->q[i].to == k && is_fence(&w->q[i]))
			missing[w->q[i].m.from]++;
	for (i = 0; i < MODEL_KERNELS; i++)
		if (missing[i] > 0)
			return false;
	return true;
}

/* A page that kernel 0 calls in is under way once more: fences come after that. */
static bool may_fence(const struct mover *m, u8 all)
{
	const struct world *w = m->w;
	bool settled = !(all & ~w->frozen) && all_settled(m);

	if (w->phase == PHASE_DROP)
		return !m->c->keep || (settled && !must_recall(m));
	return w->phase == PHASE_LEAVE && settled && !must_call(m);
}

static void fences(const struct mover *m, u8 all)
{
	const struct world *w = m->w;
	unsigned int k;

	if (!may_fence(m, all))
		return;
	for (k = 0; k < m->c->n; k++)
		if (all & w->frozen & 1U << k && pcn_replica_is_settled(&w->r[k]) &&
		    w->fences[k] < fences_of(m->c) && has_fences(w, k, all))
			fence(m, k, all);
}

/* Each has told kernel 0 that it is done. */
static bool all_fenced(const struct mover *m, u8 all)
{
	unsigned int i;

	for (i = 0; i < m->c->n; i++)
		if (all >> i & 1 && m->w->fences[i] < fences_of(m->c))
			return false;
	for (i = 0; i < m->w->count; i++)
		if (is_fence(&m->w->q[i]))
			return false;
	return true;
}

static void no_fences(struct world *w)
{
	memset(w->fences, 0, sizeof(w->fences));
}

/*
 * The page settles into something else: nothing may be under way about it, but
 * for late messages of "vote" if these end here with the epoch of the range.
 */
static void new_life(struct turn *t)
{
	bool epoch = t->c->proto != &pcn_proto_owner && !t->c->fences;

	if (t->w.count && !epoch)
		fail(t, "a message about a page that has settled");
	t->w.count = 0;
	no_fences(&t->w);
}

/* --- drop --- */

static void forget(struct turn *t, unsigned int k)
{
	struct pcn_kernel_group g = group_of(t->c, &t->w, k);

	if (t->c->keep && k == 0 && !t->w.current[0])
		fail(t, "a drop loses the page");
	t->w.exists = 0;
	if (t->c->start != START_OWNED)
		return local(t, k, (struct pcn_proto_event) { .type = PCN_DROP });
	/* No replica is left; kernel 0 comes last and has the page for itself. */
	pcn_replica_init(&t->w.r[k], &g);
	t->w.access[k] = ACCESS_NONE;
	t->w.current[k] = 0;
	if (k == 0)
		start_owned(t->c, &t->w);
}

static void drop(const struct mover *m, unsigned int k, u8 all)
{
	struct label l = { .move = MOVE_DROP, .kernel = k };
	struct turn t;

	begin(m, &t);
	if (t.w.phase == PHASE_DROP)
		new_life(&t);
	t.w.phase = PHASE_DROPPING;
	forget(&t, k);
	t.w.agreed |= 1U << k;
	if (t.w.agreed == all)
		finish_round(&t);
	end(m, &t, &l);
}

/* --- leave --- */

static void start_leaving(const struct mover *m)
{
	struct label l = { .move = MOVE_CALL, .kernel = m->w->subject };
	u8 gone = m->w->subject, heir;
	struct turn t;

	begin(m, &t);
	new_life(&t);
	t.w.phase = PHASE_LEAVING;
	heir = t.w.r[gone].hint;
	local(&t, gone, (struct pcn_proto_event) { .type = PCN_DROP });
	/* What it tells the others. */
	t.w.r[gone].hint = heir;
	end(m, &t, &l);
}

static void has_left(struct turn *t)
{
	u8 gone = t->w.subject;

	t->w.members[gone] = 0;
	t->w.frozen &= ~(1U << gone);
	finish_round(t);
}

static void hear_of_leaver(const struct mover *m, unsigned int k, u8 all)
{
	struct label l = { .move = MOVE_LEFT, .kernel = m->w->subject };
	u8 gone = m->w->subject;
	struct turn t;

	begin(m, &t);
	t.w.members[k] &= ~(1U << gone);
	local(&t, k, (struct pcn_proto_event) { .type = PCN_LEFT, .who = gone,
					.heir = t.w.r[gone].hint });
	t.w.agreed |= 1U << k;
	if ((t.w.agreed | 1U << gone) == all)
		has_left(&t);
	end(m, &t, &l);
}

/* --- fork and join --- */

/* The child gets what kernel 0 holds then: nobody may write on meanwhile. */
static void call_in(const struct mover *m)
{
	struct label l = { .move = MOVE_FORKED };
	struct turn t;
	unsigned int k;

	if (was_touched(m->c, &m->w->r[0], 0) &&
	    m->w->access[0] == ACCESS_NONE && m->w->exists)
		return access_page(m, 0, false, true);
	begin(m, &t);
	if (t.w.exists && !t.w.current[0])
		fail(&t, "a fork misses the page");
	for (k = 1; k < m->c->n; k++)
		if (t.w.access[k] == ACCESS_WRITE)
			fail(&t, "a fork beside a writer");
	finish_round(&t);
	end(m, &t, &l);
}

static void hear_of_member(const struct mover *m, unsigned int k, u8 all)
{
	u8 new = m->w->subject;
	struct label l = { .move = MOVE_JOINED, .kernel = k };
	struct turn t;

	begin(m, &t);
	t.w.phase = PHASE_JOINING;
	t.w.members[k] |= 1U << new;
	t.w.agreed |= 1U << k;
	if (k == new) {
		struct pcn_kernel_group g;

		t.w.members[k] = all | 1U << new;
		t.w.frozen |= 1U << new;
		g = group_of(m->c, &t.w, k);
		if (m->c->proto != &pcn_proto_owner)
			g.origin = PCN_NOBODY;
		pcn_replica_init(&t.w.r[k], &g);
	}
	if (t.w.agreed == (all | 1U << new))
		finish_round(&t);
	end(m, &t, &l);
}

/* --- death --- */

/* What becomes of the round that is under way when @k dies. */
static void upset_round(struct turn *t, unsigned int k)
{
	struct world *w = &t->w;
	u8 all = members_of(w);

	switch (w->phase) {
	case PHASE_DROP:
	case PHASE_LEAVE:
	case PHASE_FORK:
	case PHASE_JOIN:
		++*budget(w, w->phase);
		no_fences(w);
		finish_round(t);
		return;
	case PHASE_DROPPING:
		if (w->agreed == all)
			finish_round(t);
		return;
	case PHASE_JOINING:
		if (w->subject == k || w->agreed == (all | 1U << w->subject))
			finish_round(t);
		return;
	case PHASE_LEAVING:
		if ((w->agreed | 1U << w->subject) == all)
			has_left(t);
		return;
	default:
		finish_round(t);
	}
}

static void die(const struct mover *m, unsigned int k)
{
	struct label l = { .move = MOVE_DIE, .kernel = k };
	struct pcn_kernel_group g = group_of(m->c, m->w, k);
	struct turn t;
	unsigned int i;

	begin(m, &t);
	t.w.deaths--;
	t.w.members[k] = 0;
	t.w.frozen &= ~(1U << k);
	t.w.agreed &= ~(1U << k);
	t.w.access[k] = ACCESS_NONE;
	t.w.current[k] = 0;
	t.w.reads[k] = 0;
	t.w.writes[k] = 0;
	pcn_replica_init(&t.w.r[k], &g);
	for (i = t.w.count; i-- > 0;)
		if (t.w.q[i].to == k)
			take_out(&t.w, i);
	upset_round(&t, k);
	end(m, &t, &l);
}

static void deaths(const struct mover *m, u8 all)
{
	unsigned int k;

	for (k = 1; k < m->c->n; k++)
		if (all >> k & 1 &&
		    !(m->w->phase == PHASE_LEAVING && m->w->subject == k))
			die(m, k);
}

static void notice(const struct mover *m, unsigned int k, unsigned int dead)
{
	struct label l = { .move = MOVE_NOTICE, .kernel = k, .subject = dead };
	struct turn t;

	begin(m, &t);
	t.w.members[k] &= ~(1U << dead);
	t.w.frozen |= 1U << k;
	local(&t, k, (struct pcn_proto_event) { .type = PCN_DEAD, .who = dead });
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

/* What the survivors report to the origin. */
struct reports {
	u8 valid;		/* kernels with a valid copy */
	u8 owner;		/* who is to own the page */
	bool known;		/* somebody knows that the page was touched */
	u64 version;
};

static struct reports collect(const struct config *c, const struct world *w)
{
	struct reports rep = { .owner = PCN_NOBODY };
	u8 all = members_of(w);
	unsigned int k;

	for (k = 0; k < c->n; k++) {
		const struct pcn_replica *r = &w->r[k];

		if (!(all >> k & 1))
			continue;
		rep.known |= was_touched(c, r, k);
		if (!(r->flags & PCN_HELD))
			continue;
		rep.valid |= 1U << k;
		rep.version = r->version;
		if (rep.owner == PCN_NOBODY || owns(r))
			rep.owner = k;
	}
	return rep;
}

static void start_rebuild(struct turn *t)
{
	struct reports rep = collect(t->c, &t->w);

	if (t->w.exists && !rep.known)
		fail(t, "a page is lost and nobody knows");
	if (!rep.valid)
		t->w.exists = 0;
	t->w.agreed = 0;
	t->w.phase = rep.known ? PHASE_REBUILD : PHASE_THAW;
}

static void abort_access(const struct mover *m, unsigned int k, u8 all)
{
	struct label l = { .move = MOVE_ABORT, .kernel = k };
	struct turn t;

	begin(m, &t);
	t.w.phase = PHASE_ABORTED;
	local(&t, k, (struct pcn_proto_event) { .type = PCN_ABORT });
	t.w.agreed |= 1U << k;
	if (t.w.agreed == all)
		start_rebuild(&t);
	end(m, &t, &l);
}

/* The reports stay the same until all have heard of them, or another dies. */
static void rebuild(const struct mover *m, unsigned int k, u8 all)
{
	struct label l = { .move = MOVE_REBUILD, .kernel = k };
	struct reports rep = collect(m->c, m->w);
	struct turn t;

	begin(m, &t);
	local(&t, k, (struct pcn_proto_event) {
		.type = PCN_REBUILD, .who = rep.owner, .cs = rep.valid,
		.version = rep.version, .flags = rep.valid ? 0 : PCN_LOST,
	});
	t.w.agreed |= 1U << k;
	if (t.w.agreed == all)
		finish_round(&t);
	end(m, &t, &l);
}

static void after_death(const struct mover *m, u8 all)
{
	const struct world *w = m->w;
	unsigned int k, dead, waiting = 0;

	for (k = 0; k < w->count; k++)
		if (!(all >> w->q[k].m.from & 1) && deliverable(m->c, w, k))
			discard(m, k);
	for (k = 0; k < m->c->n; k++)
		for (dead = 0; dead < m->c->n; dead++)
			if (all >> k & 1 && w->members[k] & ~all & 1U << dead) {
				waiting++;
				notice(m, k, dead);
			}
	/* Some may be frozen from another round, some thawed already. */
	for (k = 0; k < m->c->n; k++)
		if (!waiting && all & ~w->frozen & 1U << k) {
			waiting++;
			freeze(m, k, all);
		}
	if (w->count || waiting)
		return;
	for (k = 0; k < m->c->n; k++)
		if (all & ~w->agreed & 1U << k)
			abort_access(m, k, all);
}

/* --- rounds --- */

static void start_round(const struct mover *m, u8 all)
{
	const struct world *w = m->w;
	unsigned int k, last = m->c->n - 1;

	if (w->drops && w->exists)
		begin_round(m, PHASE_DROP, PCN_NOBODY, MOVE_DROP);
	if (w->forks)
		begin_round(m, PHASE_FORK, PCN_NOBODY, MOVE_FORK);
	if (w->joins && !(all >> last & 1))
		begin_round(m, PHASE_JOIN, last, MOVE_JOIN);
	for (k = 1; k < m->c->n && w->leaves; k++)
		if (all >> k & 1)
			begin_round(m, PHASE_LEAVE, k, MOVE_LEAVE);
}

static void thaw(const struct mover *m, unsigned int k, u8 all)
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

static void drop_one(const struct mover *m, u8 rest, u8 all)
{
	if (m->c->start == START_OWNED && rest != 1)
		rest &= ~1;
	each(m, rest, all, drop);
}

/* What is done when all are frozen and nothing waits. */
static void change(const struct mover *m, u8 all)
{
	const struct world *w = m->w;
	u8 subject = w->subject == PCN_NOBODY ? 0 : 1U << w->subject;
	u8 rest = all & ~w->agreed;

	switch (w->phase) {
	case PHASE_DROP:
		if (must_recall(m))
			return access_page(m, 0, false, true);
		if (all_fenced(m, all))
			drop_one(m, rest, all);
		return;
	case PHASE_DROPPING:
		return drop_one(m, rest, all);
	case PHASE_LEAVE:
		if (must_call(m))
			return access_page(m, 0, true, true);
		if (all_fenced(m, all))
			start_leaving(m);
		return;
	case PHASE_LEAVING:
		return each(m, rest & ~subject, all, hear_of_leaver);
	case PHASE_FORK:
		return call_in(m);
	case PHASE_JOIN:
	case PHASE_JOINING:
		return each(m, (all | subject) & ~w->agreed, all,
			    hear_of_member);
	case PHASE_REBUILD:
		return each(m, rest, all, rebuild);
	default:
		return;
	}
}

static void freeze_and_change(const struct mover *m, u8 all)
{
	const struct world *w = m->w;

	fences(m, all);
	if (all & ~w->frozen)
		each(m, all & ~w->frozen, all, freeze);
	else if (all_settled(m))
		change(m, all);
}

static void beyond(const struct mover *m)
{
	const struct world *w = m->w;
	u8 all = members_of(w);

	if (w->deaths)
		deaths(m, all);
	if (w->phase == PHASE_NONE)
		start_round(m, all);
	else if (w->phase == PHASE_DEAD || w->phase == PHASE_ABORTED)
		after_death(m, all);
	else if (w->phase == PHASE_THAW)
		each(m, w->frozen, all, thaw);
	else
		freeze_and_change(m, all);
}

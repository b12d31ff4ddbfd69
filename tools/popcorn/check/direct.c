// SPDX-License-Identifier: GPL-2.0
/*
 * "direct": what must hold where all kernels map one frame, and how the range layer takes
 * the frame back. For model.c, which includes this file, and for beyond.c.
 *
 * A kernel that is frozen unmaps the page when no access waits there any more, and keeps its
 * replica (MOVE_UNMAP). When all have done so the change may fail: they thaw, and map the
 * page again without a message. Or kernel 0 gives the frame up and all others forget it, in
 * any order: so the model covers rounds in which kernel 0 is the last, and those with one
 * member, in which it comes first (is_last() in mm/popcorn/round.c). A kernel that takes no
 * part in a round has no VMA there, so it is in U, and stays so until the thaw: like one
 * that is frozen.
 *
 * What Linux does with a page that it has back is not known here. So its frame counts as
 * freed at once, also if the page goes on in it, as in a fork: then Linux copies it later.
 *
 * The death of a kernel needs no round: those that are left hear of it one by one, while
 * accesses and rounds go on without the dead.
 */

static u8 members_of(const struct world *w);
static void finish_round(struct turn *t);
static void drop(const struct mover *m, unsigned int k, u8 all);
static void thaw(const struct mover *m, unsigned int k, u8 all);

/* --- what must hold --- */

static bool is_mapped(const struct world *w, unsigned int k)
{
	return w->access[k] != ACCESS_NONE;
}

/* Does a kernel know where the page is, or is it about to be told? */
static bool knows_frame(const struct world *w, unsigned int k)
{
	unsigned int i;

	if (w->r[k].frame == FRAME_NOW)
		return true;
	for (i = 0; i < w->count; i++)
		if (w->q[i].to == k && w->q[i].m.flags & PCN_FRAME &&
		    w->q[i].m.frame == FRAME_NOW)
			return true;
	return false;
}

/* A kernel that is no member any more counts as well, if it should run still. */
static void check_frames(struct turn *t)
{
	const struct world *w = &t->w;
	bool ends = !is_member(w, 0);
	u64 told = w->r[0].cs;
	unsigned int k;

	for (k = 0; k < t->c->n; k++) {
		u8 frame = k ? w->r[k].frame : w->frame;

		if (is_mapped(w, k) && frame != FRAME_NOW)
			fail(t, "C1: an entry outlives its frame");
		if (w->r[k].frame && w->r[k].state != PCN_S)
			fail(t, "a frame is left of a page that was given up");
		if (k == 0 || !is_member(w, k))
			continue;
		if (is_mapped(w, k) && w->phase == PHASE_DROPPING)
			fail(t, "C2: a page is used that was taken away");
		if (knows_frame(w, k) && !(told >> k & 1) && !ends)
			fail(t, "C3: a kernel knows the frame and is not in the copyset");
	}
	if (told & ~(u64)w->members[0] && !ends)
		fail(t, "C4: a kernel that is gone is in the copyset");
}

/* All are settled: of the living nothing is under way, FIFO or not. */
static void check_silence(struct turn *t)
{
	u8 all = members_of(&t->w);
	unsigned int i;

	/* A mistake does not show so early. */
	for (i = 0; i < t->w.count && !t->c->mistake; i++)
		if (all >> t->w.q[i].m.from & 1 && !t->w.q[i].lie)
			fail(t, "a message about a page that has settled");
}

/* --- the frame goes --- */

static void free_frame(struct world *w)
{
	unsigned int k;

	for (k = 0; k < MODEL_KERNELS; k++)
		if (w->r[k].state == PCN_S && w->r[k].frame == FRAME_NOW)
			w->r[k].frame = FRAME_FREED;
	for (k = 0; k < w->count; k++)
		if (w->q[k].m.flags & PCN_FRAME && w->q[k].m.frame == FRAME_NOW)
			w->q[k].m.frame = FRAME_FREED;
	w->frame = FRAME_NONE;
}

/* What cs is for: with it kernel 0 can see that a round has left nobody out. */
static void give_up_frame(struct turn *t)
{
	u8 all = members_of(&t->w) & ~1;

	if (t->w.r[0].cs & all & ~t->w.frozen && !t->c->mistake)
		fail(t, "C3: a kernel that knows the frame takes no part in the round");
	free_frame(&t->w);
	t->w.exists = 0;
}

/*
 * A part of a drop. At the origin of a process the page is Linux's then, in another frame,
 * and no replica is left elsewhere. Nothing is unmapped here: that was done before.
 */
static void forget_frame(struct turn *t, unsigned int k)
{
	struct pcn_kernel_group g = group_of(t->c, &t->w, k);

	if (k == 0)
		give_up_frame(t);
	if (t->c->start != START_OWNED) {
		struct pcn_proto_event drop = { .type = PCN_DROP, .from = k };

		return step(t, k, &drop);
	}
	pcn_replica_init(&t->w.r[k], &g);
	if (k)
		return;
	start_owned(t->c, &t->w);
	t->w.current[0] = 0;
	t->w.frame = FRAME_NOW;
}

/* --- moves in rounds --- */

static void unmap(const struct mover *m, unsigned int k)
{
	struct label l = { .move = MOVE_UNMAP, .kernel = k };
	struct turn t;

	begin(m, &t);
	t.w.access[k] = ACCESS_NONE;
	end(m, &t, &l);
}

static bool is_settled(const struct mover *m, unsigned int k)
{
	return m->c->mistake == MISTAKE_UNSETTLED ||
	       pcn_replica_is_settled(&m->w->r[k]);
}

/* Have all answered the freeze? */
static bool all_unmapped(const struct mover *m)
{
	unsigned int k;

	for (k = 0; k < m->c->n; k++)
		if (is_member(m->w, k) &&
		    (!is_settled(m, k) ||
		     (k && is_mapped(m->w, k) && m->c->mistake != MISTAKE_KEEP)))
			return false;
	return true;
}

/* The round ends here, as if the page had been dropped, or need not be. */
static void end_round(const struct mover *m, enum move move, bool moved)
{
	struct label l = { .move = move };
	struct turn t;

	begin(m, &t);
	finish_round(&t);
	if (moved) {
		free_frame(&t.w);
		t.w.frame = FRAME_NOW;
	}
	end(m, &t, &l);
}

/* A thread that is killed leaves a round to another one, which does all of it. */
static void begin_again(const struct mover *m)
{
	struct label l = { .move = MOVE_AGAIN };
	struct turn t;

	begin(m, &t);
	t.w.agreed = 0;
	end(m, &t, &l);
}

/* What beyond.c does not know of. */
static void change_direct(const struct mover *m)
{
	const struct world *w = m->w;

	if (w->phase == PHASE_DROP)
		end_round(m, MOVE_FAIL, false);
	if (w->phase == PHASE_FORK && m->c->mistake == MISTAKE_FORK && w->exists)
		end_round(m, MOVE_FORKED, true);
	if (w->phase == PHASE_DROPPING && w->agreed)
		begin_again(m);
	if (w->phase == PHASE_DROPPING && w->agreed & 1 &&
	    m->c->mistake == MISTAKE_THAW)
		end_round(m, MOVE_FAIL, false);
}

/* Mistakes of a round in which not all are frozen, or are not any more. */
static void err_while_freezing(const struct mover *m, u8 all)
{
	const struct world *w = m->w;
	unsigned int k;

	if (m->c->mistake == MISTAKE_HURRY && w->phase == PHASE_DROP)
		drop(m, 0, all);
	if (m->c->mistake != MISTAKE_SOON || w->phase != PHASE_DROPPING ||
	    w->agreed & 1)
		return;
	drop(m, 0, all);
	for (k = 1; k < m->c->n; k++)
		if (w->agreed & w->frozen & 1U << k)
			thaw(m, k, all);
}

/* A life of a kernel has ended for all before it begins another one. */
static bool may_join(const struct mover *m, unsigned int new)
{
	const struct world *w = m->w;
	unsigned int k;

	for (k = 0; k < m->c->n && is_direct(m->c); k++)
		if (w->members[k] >> new & 1)
			return false;
	for (k = 0; k < w->count && is_direct(m->c); k++)
		if (w->q[k].m.from == new)
			return false;
	return true;
}

/* --- the end of a process --- */

/*
 * Kernel 0 ends the process, or dies, and its memory is to be used for something else. It
 * stays what it is until all others have forgotten the frame.
 */
static void end_process(const struct mover *m)
{
	struct label l = { .move = MOVE_END };
	struct turn t;

	begin(m, &t);
	t.w.members[0] = 0;
	t.w.access[0] = ACCESS_NONE;
	t.w.frozen &= ~1;
	t.w.phase = PHASE_END;
	lose_messages_to(&t.w, 0);
	if (m->c->mistake == MISTAKE_END)
		free_frame(&t.w);
	end(m, &t, &l);
}

static void forget_process_at(const struct mover *m, unsigned int k)
{
	struct label l = { .move = MOVE_FORGET, .kernel = k };
	struct pcn_kernel_group g = group_of(m->c, m->w, k);
	struct turn t;

	begin(m, &t);
	t.w.members[k] = 0;
	t.w.access[k] = ACCESS_NONE;
	t.w.frozen &= ~(1U << k);
	pcn_replica_init(&t.w.r[k], &g);
	lose_messages_to(&t.w, k);
	end(m, &t, &l);
}

static void reuse_memory(const struct mover *m)
{
	struct label l = { .move = MOVE_END };
	struct turn t;

	begin(m, &t);
	free_frame(&t.w);
	t.w.exists = 0;
	t.w.phase = PHASE_NONE;
	end(m, &t, &l);
}

static void forget_process(const struct mover *m, u8 all)
{
	unsigned int k;

	for (k = 1; k < m->c->n; k++)
		if (all >> k & 1)
			forget_process_at(m, k);
	if (!all && m->w->phase == PHASE_END)
		reuse_memory(m);
}

static void give_up_access(const struct mover *m, unsigned int k)
{
	struct label l = { .move = MOVE_ABORT, .kernel = k };
	struct pcn_kernel_group g = group_of(m->c, m->w, k);
	struct turn t;

	begin(m, &t);
	pcn_replica_init(&t.w.r[k], &g);
	end(m, &t, &l);
}

/*
 * At any time, whatever round is under way. An entry may go without one, too; and a thread
 * that is killed while it waits maps nothing.
 */
static void beside_rounds(const struct mover *m)
{
	const struct world *w = m->w;
	unsigned int k;

	for (k = 0; k < m->c->n; k++)
		if (is_member(w, k) && is_mapped(w, k) && is_settled(m, k))
			unmap(m, k);
	for (k = 1; k < m->c->n && m->c->mistake == MISTAKE_ABORT; k++)
		if (is_member(w, k) && !is_settled(m, k))
			give_up_access(m, k);
	if (m->c->ends)
		end_process(m);
}

/* --- what nobody should send --- */

static void lie(const struct mover *m, const struct pcn_proto_event *ev, unsigned int to)
{
	struct label l = { .move = MOVE_LIE, .kernel = ev->from };
	unsigned int before = m->w->count;
	struct turn t;

	begin(m, &t);
	t.w.lies--;
	post(&t, ev, to);
	if (t.w.count > before)
		t.w.q[before].lie = 1;
	if (t.w.count > before && ev->flags & PCN_FRAME)
		t.w.q[before].m.frame = FRAME_FREED;
	end(m, &t, &l);
}

/* Any kernel may name a frame, kernel 0 none, and a page be asked of any. */
static void lie_to(const struct mover *m, unsigned int from, unsigned int to)
{
	struct pcn_proto_event ev = { .type = PCN_COPY, .from = from, .who = from };

	if (from)
		ev.flags = PCN_FRAME;
	lie(m, &ev, to);
	if (!from || !to)
		return;
	ev.type = PCN_FETCH;
	ev.flags = 0;
	lie(m, &ev, to);
}

static void lies(const struct mover *m)
{
	unsigned int from, to;

	for (from = 0; from < m->c->n; from++)
		for (to = 0; to < m->c->n; to++)
			if (from != to && is_member(m->w, from) && is_member(m->w, to))
				lie_to(m, from, to);
}

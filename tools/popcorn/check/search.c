// SPDX-License-Identifier: GPL-2.0
/*
 * Explicit-state search, breadth first: every world that can be reached is
 * made once, so the first violation has a shortest path. Afterwards the stored
 * edges tell whether every state can come to rest (deadlock) and whether a
 * request can wait for ever although every message is delivered some time
 * (starvation under weak fairness).
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "search.h"

#define NOTHING	UINT32_MAX

const char * const outcome_names[] = {
	"passed", "UNSAFE", "DEADLOCK", "STARVATION", "INCOMPLETE"
};

struct search {
	const struct config *c;
	const struct limits *l;
	FILE *trace;
	struct result *res;
	struct timespec began;

	/* Encoded worlds, one after the other, in the order of finding. */
	u8 *keys;
	size_t keys_used, keys_size;
	u64 *key_at;			/* states + 1 of them */
	u32 *parent;
	u8 *quiet;
	size_t states, states_size;

	u32 *slots;			/* hash table, state + 1 or 0 */
	size_t slot_count;

	u32 *edges;
	size_t edges_used, edges_size;
	u64 *edge_at;

	u32 now;			/* the state being expanded */
	struct world world;
	bool stop;
	struct label bad;
	bool have_bad;
};

static double seconds_since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - t->tv_sec + (now.tv_nsec - t->tv_nsec) / 1e9;
}

static void *resize(void *p, size_t count, size_t size)
{
	p = realloc(p, count * size);
	if (!p) {
		fprintf(stderr, "check: out of memory\n");
		exit(3);
	}
	return p;
}

static u64 hash(const u8 *key, unsigned int len)
{
	u64 h = 0x9e3779b97f4a7c15ULL ^ len, w;

	for (; len >= 8; len -= 8, key += 8) {
		memcpy(&w, key, 8);
		h = (h ^ w) * 0xff51afd7ed558ccdULL;
		h ^= h >> 32;
	}
	w = 0;
	memcpy(&w, key, len);
	h = (h ^ w) * 0xff51afd7ed558ccdULL;
	return h ^ h >> 29;
}

static unsigned int key_len(const struct search *s, u32 id)
{
	return s->key_at[id + 1] - s->key_at[id];
}

static size_t slot_of(const struct search *s, const u8 *key, unsigned int len)
{
	size_t i = hash(key, len) & (s->slot_count - 1);

	while (s->slots[i]) {
		u32 id = s->slots[i] - 1;

		if (key_len(s, id) == len &&
		    !memcmp(s->keys + s->key_at[id], key, len))
			break;
		i = (i + 1) & (s->slot_count - 1);
	}
	return i;
}

static void grow_slots(struct search *s)
{
	size_t i;

	free(s->slots);
	s->slot_count = s->slot_count ? s->slot_count * 2 : 1 << 16;
	s->slots = calloc(s->slot_count, sizeof(*s->slots));
	if (!s->slots)
		exit(3);
	for (i = 0; i < s->states; i++)
		s->slots[slot_of(s, s->keys + s->key_at[i], key_len(s, i))] = i + 1;
}

static void grow_states(struct search *s)
{
	s->states_size = s->states_size ? s->states_size * 2 : 1 << 15;
	s->key_at = resize(s->key_at, s->states_size + 2, sizeof(*s->key_at));
	s->edge_at = resize(s->edge_at, s->states_size + 2, sizeof(*s->edge_at));
	s->parent = resize(s->parent, s->states_size, sizeof(*s->parent));
	s->quiet = resize(s->quiet, s->states_size, 1);
}

static u32 add_state(struct search *s, const struct world *w, u32 parent)
{
	u8 key[MODEL_KEY];
	unsigned int len = model_encode(s->c, w, key);
	size_t slot;

	if (s->states * 2 >= s->slot_count)
		grow_slots(s);
	slot = slot_of(s, key, len);
	if (s->slots[slot])
		return s->slots[slot] - 1;
	if (s->states == s->states_size)
		grow_states(s);
	if (s->keys_used + len > s->keys_size) {
		s->keys_size = s->keys_size ? s->keys_size * 3 / 2 : 1 << 20;
		s->keys = resize(s->keys, s->keys_size, 1);
	}
	memcpy(s->keys + s->keys_used, key, len);
	s->key_at[s->states] = s->keys_used;
	s->keys_used += len;
	s->key_at[s->states + 1] = s->keys_used;
	s->parent[s->states] = parent;
	s->quiet[s->states] = model_quiet(w, s->c);
	s->slots[slot] = s->states + 1;
	return s->states++;
}

static void add_edge(struct search *s, u32 to)
{
	if (s->edges_used == s->edges_size) {
		s->edges_size = s->edges_size ? s->edges_size * 3 / 2 : 1 << 17;
		s->edges = resize(s->edges, s->edges_size, sizeof(*s->edges));
	}
	s->edges[s->edges_used++] = to;
}

static void on_move(void *arg, const struct label *l, const struct world *next,
		    const char *fault)
{
	struct search *s = arg;

	if (s->stop)
		return;
	s->res->edges++;
	if (fault) {
		s->stop = true;
		s->res->outcome = UNSAFE;
		s->res->what = fault;
		s->bad = *l;
		s->have_bad = true;
		s->world = *next;
		return;
	}
	add_edge(s, add_state(s, next, s->now));
}

static u64 memory(const struct search *s)
{
	return s->keys_size + s->states_size * (8 + 8 + 4 + 1) +
	       s->slot_count * 4 + s->edges_size * 4;
}

static bool over(struct search *s)
{
	/* The analysis of edges needs them a second time, and 20 bytes a state. */
	u64 peak = memory(s) + s->edges_used * 4 + s->states * 20;

	s->res->bytes = peak;
	if (peak > s->l->bytes)
		s->res->what = "memory limit";
	else if (seconds_since(&s->began) > s->l->seconds)
		s->res->what = "time limit";
	else if (s->states > s->l->states)
		s->res->what = "limit of states";
	else
		return false;
	s->res->outcome = INCOMPLETE;
	return true;
}

static void explore(struct search *s)
{
	size_t layer_end = 1;
	struct world w;

	model_start(s->c, &w);
	add_state(s, &w, NOTHING);
	for (s->now = 0; s->now < s->states && !s->stop; s->now++) {
		if (s->now == layer_end) {
			s->res->depth++;
			layer_end = s->states;
		}
		s->edge_at[s->now] = s->edges_used;
		model_decode(s->c, s->keys + s->key_at[s->now], &w);
		model_moves(s->c, &w, on_move, s);
		if (s->now % 4096 == 4095 && over(s))
			s->stop = true;
	}
	s->edge_at[s->now] = s->edges_used;
	s->res->states = s->states;
}

/* --- counterexamples --- */

struct which {
	struct search *s;
	u32 to;
	bool found;
	struct label label;
};

static void find_label(void *arg, const struct label *l,
		       const struct world *next, const char *fault)
{
	struct which *w = arg;
	u8 key[MODEL_KEY];
	unsigned int len;

	if (w->found || fault)
		return;
	len = model_encode(w->s->c, next, key);
	if (len != key_len(w->s, w->to) ||
	    memcmp(key, w->s->keys + w->s->key_at[w->to], len))
		return;
	w->found = true;
	w->label = *l;
}

static void print_step(struct search *s, unsigned int number,
		       const struct label *l, const struct world *w)
{
	fprintf(s->trace, "#  %3u. ", number);
	model_print_label(s->c, l, s->trace);
	fprintf(s->trace, "#       ");
	model_print(s->c, w, s->trace);
}

static unsigned int path_to(struct search *s, u32 id, u32 **path)
{
	unsigned int n = 0;
	u32 i;

	for (i = id; i != NOTHING; i = s->parent[i])
		n++;
	*path = resize(NULL, n, sizeof(**path));
	s->res->depth = n - 1;
	for (i = id; i != NOTHING; i = s->parent[i])
		(*path)[--n] = i;
	return s->res->depth + 1;
}

/* How @id is reached, and what the bad move, if any, does there. */
static void print_path(struct search *s, u32 id, const char *title)
{
	unsigned int i, n;
	struct world w;
	u32 *path;

	n = path_to(s, id, &path);
	if (s->have_bad)
		s->res->depth++;
	if (!s->trace)
		return free(path);
	fprintf(s->trace, "# %s\n", title);
	for (i = 0; i < n; i++) {
		struct which which = { .s = s, .to = path[i] };

		if (i)
			model_moves(s->c, &w, find_label, &which);
		model_decode(s->c, s->keys + s->key_at[path[i]], &w);
		if (i)
			print_step(s, i, &which.label, &w);
		else
			fprintf(s->trace, "#       "), model_print(s->c, &w, s->trace);
	}
	if (s->have_bad)
		print_step(s, n, &s->bad, &s->world);
	free(path);
}

/* --- deadlock: states from which no quiet state can be reached --- */

static void check_rest(struct search *s)
{
	u64 *at = calloc(s->states + 2, sizeof(*at));
	u32 *back = resize(NULL, s->edges_used + 1, sizeof(*back));
	u32 *todo = resize(NULL, s->states, sizeof(*todo)), first = NOTHING;
	u8 *good = calloc(s->states, 1);
	size_t i, n = 0;
	u64 e;

	for (e = 0; e < s->edges_used; e++)
		at[s->edges[e] + 2]++;
	for (i = 2; i < s->states + 2; i++)
		at[i] += at[i - 1];
	for (i = 0; i < s->states; i++)
		for (e = s->edge_at[i]; e < s->edge_at[i + 1]; e++)
			back[at[s->edges[e] + 1]++] = i;
	for (i = 0; i < s->states; i++)
		if (s->quiet[i]) {
			good[i] = 1;
			todo[n++] = i;
		}
	while (n) {
		u32 id = todo[--n];

		for (e = at[id]; e < at[id + 1]; e++)
			if (!good[back[e]]) {
				good[back[e]] = 1;
				todo[n++] = back[e];
			}
	}
	for (i = s->states; i-- > 0;)
		if (!good[i]) {
			s->res->deadlocked++;
			first = i;
		}
	free(at);
	free(back);
	free(todo);
	free(good);
	if (!s->res->deadlocked)
		return;
	s->res->outcome = DEADLOCK;
	s->res->what = "D: a state that cannot come to rest";
	print_path(s, first, "a state that cannot come to rest");
}

/* --- starvation: a fair cycle on which a request waits --- */

/*
 * Weak fairness: a message that stays deliverable is delivered some time. With
 * FIFO that concerns the head of each channel; without, each message. A
 * strongly connected set of states is a possible future if no message stays
 * deliverable in all of it while no move inside delivers it.
 */
#define MAX_CHANCES	256

struct chance {
	u64 id;
	bool taken;
};

struct component {
	struct search *s;
	const u32 *of;
	u32 number;
	u32 at;
	struct chance chances[MAX_CHANCES], here[MAX_CHANCES];
	unsigned int count, here_count;
};

static u64 chance_id(const struct config *c, const struct wire *x)
{
	u64 id = (u64)x->m.from << 8 | x->to;

	if (c->fifo)
		return id;
	id |= (u64)x->m.type << 16 | (u64)x->m.who << 24 |
	      (u64)x->m.flags << 32 | (u64)x->m.hops << 40 |
	      (u64)x->current << 48;
	id ^= (x->m.cs * 31 + x->m.stamp * 1021 + x->m.version * 65537 +
	       x->m.floor * 7919) * 0x9e3779b97f4a7c15ULL;
	return id;
}

static void note_chance(void *arg, const struct label *l,
			const struct world *next, const char *fault)
{
	struct component *k = arg;
	struct chance *ch;
	u8 key[MODEL_KEY];
	size_t slot;
	u32 to;

	if (l->move != MOVE_DELIVER || fault || k->here_count == MAX_CHANCES)
		return;
	ch = &k->here[k->here_count++];
	ch->id = chance_id(k->s->c, &l->wire);
	slot = slot_of(k->s, key, model_encode(k->s->c, next, key));
	to = k->s->slots[slot] - 1;
	ch->taken = k->of[to] == k->number;
}

/* What is deliverable in all states seen so far, and whether it was. */
static void meet_chances(struct component *k, bool first)
{
	unsigned int i, j, n = 0;

	if (first) {
		memcpy(k->chances, k->here, sizeof(k->here));
		k->count = k->here_count;
		return;
	}
	for (i = 0; i < k->count; i++)
		for (j = 0; j < k->here_count; j++)
			if (k->chances[i].id == k->here[j].id) {
				k->chances[n] = k->chances[i];
				k->chances[n++].taken |= k->here[j].taken;
				break;
			}
	k->count = n;
}

static bool is_fair(struct component *k, const u32 *states, u32 count)
{
	struct world w;
	unsigned int i;

	for (i = 0; i < count; i++) {
		model_decode(k->s->c, k->s->keys + k->s->key_at[states[i]], &w);
		k->here_count = 0;
		k->at = states[i];
		model_moves(k->s->c, &w, note_chance, k);
		meet_chances(k, i == 0);
		if (!k->count)
			return true;
	}
	for (i = 0; i < k->count; i++)
		if (!k->chances[i].taken)
			return false;
	return true;
}

struct tarjan {
	struct search *s;
	unsigned int kernel;
	u32 *index, *low, *of, *stack, *calls;
	u64 *edge;
	u8 *waits;
	u32 next, depth, components;
};

static bool self_loop(const struct search *s, u32 v)
{
	u64 e;

	for (e = s->edge_at[v]; e < s->edge_at[v + 1]; e++)
		if (s->edges[e] == v)
			return true;
	return false;
}

/* A component is complete: its states are the top of the stack. */
static bool close_component(struct tarjan *t, u32 v)
{
	struct component k = { .s = t->s, .of = t->of };
	u32 n = 0, w;

	k.number = ++t->components;
	do {
		w = t->stack[t->depth - ++n];
		t->of[w] = k.number;
	} while (w != v);
	t->depth -= n;
	if (n == 1 && !self_loop(t->s, v))
		return false;
	return is_fair(&k, t->stack + t->depth, n);
}

static void visit(struct tarjan *t, u32 v)
{
	t->index[v] = t->low[v] = ++t->next;
	t->stack[t->depth++] = v;
	t->edge[v] = t->s->edge_at[v];
}

static u32 tarjan(struct tarjan *t, u32 root)
{
	u32 calls = 0;

	visit(t, root);
	t->calls[calls++] = root;
	while (calls) {
		u32 v = t->calls[calls - 1];

		if (t->edge[v] < t->s->edge_at[v + 1]) {
			u32 to = t->s->edges[t->edge[v]++];

			if (!t->waits[to])
				continue;
			if (!t->index[to]) {
				visit(t, to);
				t->calls[calls++] = to;
			} else if (!t->of[to] && t->index[to] < t->low[v]) {
				t->low[v] = t->index[to];
			}
			continue;
		}
		calls--;
		if (calls && t->low[v] < t->low[t->calls[calls - 1]])
			t->low[t->calls[calls - 1]] = t->low[v];
		if (t->low[v] == t->index[v] && close_component(t, v))
			return v;
	}
	return NOTHING;
}

static u32 starving_state(struct search *s, unsigned int kernel)
{
	struct tarjan t = { .s = s, .kernel = kernel };
	u32 found = NOTHING, i;
	struct world w;

	t.index = calloc(s->states, sizeof(u32));
	t.of = calloc(s->states, sizeof(u32));
	t.low = resize(NULL, s->states, sizeof(u32));
	t.stack = resize(NULL, s->states, sizeof(u32));
	t.calls = resize(NULL, s->states, sizeof(u32));
	t.edge = resize(NULL, s->states, sizeof(u64));
	t.waits = resize(NULL, s->states, 1);
	for (i = 0; i < s->states; i++) {
		model_decode(s->c, s->keys + s->key_at[i], &w);
		t.waits[i] = model_waits(&w, kernel);
	}
	for (i = 0; i < s->states && found == NOTHING; i++)
		if (t.waits[i] && !t.index[i])
			found = tarjan(&t, i);
	free(t.index);
	free(t.of);
	free(t.low);
	free(t.stack);
	free(t.calls);
	free(t.edge);
	free(t.waits);
	return found;
}

static void check_progress(struct search *s)
{
	unsigned int k;

	for (k = 0; k < s->c->n; k++) {
		u32 id = starving_state(s, k);
		char title[80];

		if (id == NOTHING)
			continue;
		s->res->outcome = STARVES;
		s->res->what = "L: a request may wait for ever";
		snprintf(title, sizeof(title),
			 "kernel %u may wait for ever, on a fair cycle through", k);
		if (!s->res->starving)
			print_path(s, id, title);
		s->res->starving |= 1ULL << k;
	}
}

void search(const struct config *c, const struct limits *l, FILE *trace,
	    struct result *res)
{
	struct search *s = calloc(1, sizeof(*s));

	*res = (struct result) { .outcome = PASSED };
	s->c = c;
	s->l = l;
	s->trace = trace;
	s->res = res;
	clock_gettime(CLOCK_MONOTONIC, &s->began);
	explore(s);
	if (res->outcome == UNSAFE)
		print_path(s, s->now - 1, res->what);
	over(s);
	if (res->outcome == PASSED)
		check_rest(s);
	if (res->outcome == PASSED && c->live)
		check_progress(s);
	res->seconds = seconds_since(&s->began);
	free(s->keys);
	free(s->key_at);
	free(s->parent);
	free(s->quiet);
	free(s->slots);
	free(s->edges);
	free(s->edge_at);
	free(s);
}

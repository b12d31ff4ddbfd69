// SPDX-License-Identifier: GPL-2.0
/*
 * Nonsense: random replicas meet random events. Nothing of it need make sense
 * afterwards, but what is refused must be refused by name and change nothing,
 * and no step may have too many actions.
 */
#include <string.h>

#include "check.h"

static u64 rng = 88172645463325252ULL;

static u64 random64(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static u8 random_kid(void)
{
	return random64() & 1 ? random64() & 3 : PCN_NOBODY;
}

static void random_replica(struct pcn_replica *r)
{
	memset(r, 0, sizeof(*r));
	r->state = random64() % (PCN_STATES + (random64() % 64 == 0));
	r->flags = random64() & 31;
	r->hint = random64() & 3;
	r->pin = random_kid();
	r->next = random_kid();
	r->late = random_kid();
	r->via = random_kid();
	r->cs = random64() & 15;
	r->wait = random64() & 15;
	r->readers = random64() & 15;
	r->writers = random64() & 15;
	r->joiners = random64() & 15;
	r->version = random64() & 3;
	r->floor = random64() & 3;
	r->clock = random64() & 3;
	r->stamp = random64() & 3;
}

static void random_event(struct pcn_proto_event *ev)
{
	memset(ev, 0, sizeof(*ev));
	ev->type = random64() % (PCN_EVENTS + (random64() % 64 == 0));
	ev->from = random64() & 3;
	ev->who = random64() & 3;
	if (random64() % 64 == 0 && ev->type < PCN_MESSAGES)
		ev->from = random64();
	if (random64() % 64 == 0 && ev->type < PCN_MESSAGES)
		ev->who = random64();
	ev->hops = random64() & 7;
	ev->flags = random64() & 31;
	ev->heir = random64() & 3;
	ev->cs = random64() & 15;
	ev->stamp = random64() & 3;
	ev->version = random64() & 3;
	ev->floor = random64() & 3;
}

static const char *try_one(const struct pcn_proto *p)
{
	struct pcn_kernel_group g = { .members = random64() & 15, .self = random64() & 3,
			       .origin = random_kid() };
	struct pcn_replica r, before;
	enum pcn_verdict v;
	struct pcn_out out;
	struct pcn_proto_event ev;

	g.members |= 1 << g.self;
	g.count = __builtin_popcountll(g.members);
	random_replica(&r);
	random_event(&ev);
	before = r;
	v = pcn_proto_step(p, &g, &r, &ev, &out);
	if (v != PCN_OK && memcmp(&r, &before, sizeof(r)))
		return "a refused event changed the replica";
	if ((v == PCN_IMPOSSIBLE) != !!out.fault)
		return "an impossible event without a name, or a name without one";
	if (out.count > PCN_ACTIONS)
		return "too many actions";
	return NULL;
}

int fuzz(void)
{
	static const struct pcn_proto * const protos[] = {
		&pcn_proto_owner, &pcn_proto_vote
	};
	unsigned int i, n;

	for (i = 0; i < 2; i++) {
		const char *fault = NULL;

		for (n = 0; n < 3000000 && !fault; n++)
			fault = try_one(protos[i]);
		tap(!fault, "%s takes nonsense: %s", protos[i]->name,
		    fault ? fault : "3000000 events");
	}
	return tap_end();
}

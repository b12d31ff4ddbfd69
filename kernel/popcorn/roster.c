// SPDX-License-Identifier: GPL-2.0
/*
 * The roster: which kernels may exchange messages, and in which life each is.
 *
 * A kernel that is ready for messages fills in its endpoint, its life's number
 * last, and calls the primary. The primary compares its ABI with its own and
 * enters it, or refuses it. When a kernel has ended, the primary fences it and
 * then takes it off. The roster is a state that every kernel reads when it is
 * rung, not a series of messages: no full ring stands in the way of a death.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/spinlock.h>

#include <asm/popcorn.h>

#include <popcorn/core.h>

#include "internal.h"

static DEFINE_SPINLOCK(roster_lock);

static struct pcn_layout layout __ro_after_init;

static struct pcn_endpoint *endpoint_of(unsigned int kid)
{
	return (void *)pcn_window() + pcn_endpoint_offset(&layout, kid);
}

static void ring(struct pcn_kernel *k)
{
	u64 entry = pcn_window()->roster[k->kid];

	if (PCN_ROSTER_VERDICT(entry) != PCN_VERDICT_NONE)
		pcn_arch_doorbell(k->apicid[0]);
}

static void enter(unsigned int kid, u32 generation, enum pcn_roster_verdict verdict)
{
	struct pcn_window *w = pcn_window();

	lockdep_assert_held(&roster_lock);
	WRITE_ONCE(w->roster[kid], PCN_ROSTER(generation, verdict));
	/* Who sees the new number sees the new entry. */
	virt_store_release(&w->roster_seq, w->roster_seq + 1);
}

/* Everybody is to look, this kernel too. */
static void announce(void)
{
	pcn_call_for_secondaries(ring);
	pcn_arch_doorbell(pcn_window()->primary_apicid);
}

/**
 * pcn_roster_init - begin the roster
 *
 * Context: initcall of the primary.
 */
void __init pcn_roster_init(void)
{
	struct pcn_window *w = pcn_window();
	unsigned int kid;

	layout.areas = w->kernels;
	memcpy(layout.ring_order, w->ring_order, sizeof(layout.ring_order));
	for (kid = 0; kid < PCN_KERNELS_MAX; kid++)
		if (pcn_find_kernel(kid))
			w->apicid[kid] = kid ? pcn_find_kernel(kid)->apicid[0] :
					       w->primary_apicid;
	spin_lock(&roster_lock);
	enter(0, pcn_generation(), PCN_VERDICT_UP);
	spin_unlock(&roster_lock);
}

/**
 * pcn_roster_expect - a new life begins, and may check in
 * @k:	the kernel, its CPUs parked
 *
 * Context: process, @k->op held.
 */
void pcn_roster_expect(struct pcn_kernel *k)
{
	struct pcn_endpoint *e = endpoint_of(k->kid);

	lockdep_assert_held(&k->op);
	memset(e, 0, sizeof(*e));
	spin_lock(&roster_lock);
	k->may_check_in = true;
	spin_unlock(&roster_lock);
}

static void check_in(struct pcn_kernel *k, u64 theirs)
{
	u64 ours = READ_ONCE(endpoint_of(0)->abi);

	lockdep_assert_held(&roster_lock);
	k->may_check_in = false;
	if (theirs == ours) {
		enter(k->kid, k->generation, PCN_VERDICT_UP);
		return;
	}
	pr_err("kernel %u (%s) is refused as a peer: its message ABI is %016llx, ours is %016llx\n",
	       k->kid, k->part.name, theirs, ours);
	enter(k->kid, k->generation, PCN_VERDICT_REFUSED);
}

/**
 * pcn_roster_look - has a kernel checked in?
 * @k:	the kernel
 *
 * Context: process; the watch thread.
 */
void pcn_roster_look(struct pcn_kernel *k)
{
	struct pcn_endpoint *e = endpoint_of(k->kid);
	bool ready;
	u32 life;

	spin_lock(&roster_lock);
	/* Pairs with the release in check_in() of the messaging layer. */
	life = virt_load_acquire(&e->generation);
	ready = k->may_check_in && endpoint_of(0)->generation &&
		life == k->generation;
	if (ready)
		check_in(k, READ_ONCE(e->abi));
	spin_unlock(&roster_lock);
	if (ready)
		announce();
}

/**
 * pcn_roster_remove - a kernel has ended, and is fenced: tell everybody
 * @k:	the kernel
 *
 * Context: process, @k->op held.
 */
void pcn_roster_remove(struct pcn_kernel *k)
{
	bool known;

	lockdep_assert_held(&k->op);
	spin_lock(&roster_lock);
	k->may_check_in = false;
	known = pcn_window()->roster[k->kid];
	if (known)
		enter(k->kid, 0, PCN_VERDICT_NONE);
	spin_unlock(&roster_lock);
	if (known)
		announce();
}

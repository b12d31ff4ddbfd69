// SPDX-License-Identifier: GPL-2.0
/*
 * The roster: which kernels may exchange messages, and in which life each is.
 *
 * A kernel that is ready for messages fills in its endpoint, its life's number
 * last, and calls the primary. The primary compares its ABI with its own and
 * enters it, or refuses it. When a kernel has ended, the primary fences it and
 * then takes it off. The roster is a state that every kernel reads when it is
 * rung, not a series of messages: no full ring stands in the way of a death.
 *
 * The primary goes by its own copy, and only writes the one in the window.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/spinlock.h>

#include <asm/popcorn.h>

#include <popcorn/core.h>

#include "internal.h"

static DEFINE_SPINLOCK(roster_lock);

/* The primary's roster; written with roster_lock held. */
static u64 entries[PCN_KERNELS_MAX];
static u32 changes;

/* The primary has its own endpoint ready, with this ABI: roster_lock. */
static bool is_open;
static u64 own_abi;

static struct pcn_endpoint *endpoint_of(unsigned int kid)
{
	return (void *)pcn_window() +
	       pcn_endpoint_offset(&pcn_facts()->layout, kid);
}

/**
 * pcn_roster_entry - what the roster says of a kernel
 * @kid:	the kernel, below PCN_KERNELS_MAX
 *
 * Context: any, after subsys_initcall().
 * Return: PCN_ROSTER().
 */
u64 pcn_roster_entry(unsigned int kid)
{
	return pcn_is_secondary() ? READ_ONCE(pcn_window()->roster[kid]) :
				    READ_ONCE(entries[kid]);
}

static void roster_ring(struct pcn_kernel *k)
{
	if (PCN_ROSTER_VERDICT(pcn_roster_entry(k->kid)) != PCN_VERDICT_NONE)
		pcn_arch_doorbell(k->apicid[0]);
}

static void roster_enter(unsigned int kid, u32 generation,
			 enum pcn_roster_verdict verdict)
{
	struct pcn_window *w = pcn_window();

	lockdep_assert_held(&roster_lock);
	WRITE_ONCE(entries[kid], PCN_ROSTER(generation, verdict));
	WRITE_ONCE(w->roster[kid], entries[kid]);
	/* A kernel that sees the new number sees the new entry. */
	virt_store_release(&w->roster_seq, ++changes);
}

/* Everybody is to look, this kernel too. */
static void roster_announce(void)
{
	pcn_call_secondaries(roster_ring);
	pcn_arch_doorbell(pcn_facts()->primary_apicid);
}

/**
 * pcn_roster_init - begin the roster
 *
 * Context: initcall of the primary.
 */
void __init pcn_roster_init(void)
{
	spin_lock(&roster_lock);
	roster_enter(0, pcn_life(), PCN_VERDICT_UP);
	spin_unlock(&roster_lock);
}

/**
 * pcn_roster_open - the primary can exchange messages: others may check in
 * @abi:	hash over the layout and versions of its messages
 *
 * Context: initcall of the primary.
 */
void __init pcn_roster_open(u64 abi)
{
	spin_lock(&roster_lock);
	own_abi = abi;
	is_open = true;
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

static void roster_check_in(struct pcn_kernel *k, u64 theirs)
{
	lockdep_assert_held(&roster_lock);
	k->may_check_in = false;
	if (theirs == own_abi) {
		roster_enter(k->kid, k->generation, PCN_VERDICT_UP);
		return;
	}
	pr_err("kernel %u (%s) is refused as a peer: its message ABI is %016llx, ours is %016llx\n",
	       k->kid, k->part.name, theirs, own_abi);
	roster_enter(k->kid, k->generation, PCN_VERDICT_REFUSED);
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
	/* Pairs with the release in roster_check_in() of the messaging layer. */
	life = virt_load_acquire(&e->generation);
	ready = k->may_check_in && is_open && life == k->generation;
	if (ready)
		roster_check_in(k, READ_ONCE(e->abi));
	spin_unlock(&roster_lock);
	if (ready)
		roster_announce();
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
	known = entries[k->kid];
	if (known)
		roster_enter(k->kid, 0, PCN_VERDICT_NONE);
	spin_unlock(&roster_lock);
	if (known)
		roster_announce();
}

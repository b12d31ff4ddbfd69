// SPDX-License-Identifier: GPL-2.0
/*
 * Which kernels map memory of which others.
 *
 * A kernel's memory is its own, but for frames of processes that other kernels take part
 * in: with the protocol "direct" these map them. When the kernel has died its memory must
 * not be used anew before the others have unmapped it: a thread that still runs there
 * would write into the next life.
 *
 * That is a state, not messages, since it has to be known when links are broken. Each
 * kernel says in a word of its own in the window whose memory it may map, before it maps
 * any, and takes that back when it has unmapped all and flushed its TLBs. The primary
 * takes it back for a kernel that is fenced, before anybody hears of that death. Before an
 * image is put into the memory of a kernel the primary waits until nobody maps that.
 *
 * Nobody maps anything if the primary has said at boot that this may not be: then the words
 * do not count. Otherwise one kernel can keep another one from being started.
 *
 * A kernel whose CPUs cannot be parked keeps its bits: it may go on writing. So do kernels
 * that do not end their processes. They keep others from being started; which one
 * that is, is told, and to kill it with success ends that.
 */
#include <linux/bitops.h>
#include <linux/bug.h>
#include <linux/cache.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/spinlock.h>

#include <popcorn/core.h>

#include "internal.h"

/* This kernel's: how many address spaces map memory of a kernel, and of which any does. */
static DEFINE_SPINLOCK(mappers_lock);
static unsigned int users[PCN_KERNELS_MAX];
static u64 mapped;

/* As the primary has said when this kernel booted. */
static bool lent __ro_after_init;

/**
 * pcn_memory_lend - may this kernel map memory of others, and these its own?
 * @may:	as it has been told
 *
 * It can only if the primary can, too, which secondaries learn here.
 *
 * Context: initcall.
 */
void __init pcn_memory_lend(bool may)
{
	if (!pcn_is_secondary())
		WRITE_ONCE(pcn_window()->lends, may);
	lent = may && READ_ONCE(pcn_window()->lends);
}

/**
 * pcn_memory_is_lent - do kernels map memory of each other?
 *
 * Context: any.
 */
bool pcn_memory_is_lent(void)
{
	return lent;
}

static bool is_up(unsigned int kid)
{
	return PCN_ROSTER_VERDICT(pcn_roster_entry(kid)) == PCN_VERDICT_UP;
}

/**
 * pcn_mapper_begin - an address space may come to map memory of another kernel
 * @kid:	the other kernel
 *
 * A message of a kernel that has died may still be on its way, and ask for that. If the
 * kernel has died this is seen here, or else the primary sees what is said here before
 * it uses the memory. (If the kernel is up again already, in another life, nothing comes
 * of it: no message of that life names this address space.)
 *
 * Context: process.
 * Return: 0, and pcn_mapper_end() has to follow; -EPROTONOSUPPORT no kernel may;
 * -EHOSTDOWN that kernel is not up.
 */
int pcn_mapper_begin(unsigned int kid)
{
	if (!lent)
		return -EPROTONOSUPPORT;
	spin_lock(&mappers_lock);
	if (!users[kid]++) {
		mapped |= BIT_ULL(kid);
		WRITE_ONCE(pcn_window()->maps[pcn_self()], mapped);
	}
	spin_unlock(&mappers_lock);
	/* Pairs with the one in pcn_mappers_of(). */
	smp_mb();
	if (is_up(kid))
		return 0;
	pcn_mapper_end(kid);
	return -EHOSTDOWN;
}

/**
 * pcn_mapper_end - the address space maps nothing of it any more, and will not
 * @kid:	the other kernel
 *
 * Context: process; no entry is left, nor one in any TLB of this kernel.
 */
void pcn_mapper_end(unsigned int kid)
{
	bool last;

	spin_lock(&mappers_lock);
	last = !WARN_ON_ONCE(!users[kid]) && !--users[kid];
	if (last) {
		mapped &= ~BIT_ULL(kid);
		/* After all accesses; pairs with the acquire in is_mapper(). */
		smp_store_release(&pcn_window()->maps[pcn_self()], mapped);
	}
	spin_unlock(&mappers_lock);
	if (!last)
		return;
	/* A start may wait for it. */
	if (pcn_is_secondary())
		pcn_call_primary();
	else
		pcn_watchdog_kick();
}

static bool is_mapper(unsigned int mapper, unsigned int kid)
{
	/* What the kernel had mapped is gone before its bit is. */
	return smp_load_acquire(&pcn_window()->maps[mapper]) & BIT_ULL(kid);
}

/**
 * pcn_mapper_is - may a kernel map memory of this one?
 * @kid:	the kernel
 *
 * Of one that has died, and has no new life yet, this says whether its CPUs could be
 * parked.
 *
 * Context: any.
 */
bool pcn_mapper_is(unsigned int kid)
{
	return is_mapper(kid, pcn_self());
}

/**
 * pcn_mappers_of - which kernels may map memory of a kernel that does not run?
 * @kid:	the kernel, which is off the roster
 *
 * Context: any, on the primary.
 * Return: a bit for each.
 */
u64 pcn_mappers_of(unsigned int kid)
{
	u64 others = pcn_facts()->present & ~BIT_ULL(kid), mappers = 0;
	unsigned int other;

	if (!lent)
		return 0;
	/* After the roster was written; pairs with the one in pcn_mapper_begin(). */
	smp_mb();
	for_each_kernel(other, others)
		if (is_mapper(other, kid))
			mappers |= BIT_ULL(other);
	return mappers;
}

/**
 * pcn_mapper_forget - a kernel maps nothing any more
 * @kid:	the kernel, which is fenced
 *
 * Context: any, on the primary.
 */
void pcn_mapper_forget(unsigned int kid)
{
	/* After what the fence has done, for who sees the bit gone. */
	smp_store_release(&pcn_window()->maps[kid], 0);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Identity page tables for CPUs on their way into another kernel.
 *
 * They are built from a pool of consecutive pages, the top level first, with
 * as many levels as the primary uses itself. kernel_ident_mapping_init() does
 * not fit: it allocates where __va() works, and a partition is not in the
 * primary's direct map.
 */
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/string.h>

#include <asm/cpufeature.h>

#include "arch.h"

#define TABLE_FLAGS	(_PAGE_PRESENT | _PAGE_RW | _PAGE_ACCESSED)
#define LEAF_FLAGS	(TABLE_FLAGS | _PAGE_DIRTY | _PAGE_PSE)

static u64 *pool_take(struct pcn_table_pool *pool, u64 *phys)
{
	u64 offset;

	if (pool->used == pool->count)
		return NULL;
	offset = (u64)pool->used++ << PAGE_SHIFT;
	*phys = pool->phys + offset;
	return memset(pool->virt + offset, 0, PAGE_SIZE);
}

/* The table that @entry refers to, a new one if there is none. */
static u64 *next_table(struct pcn_table_pool *pool, u64 *entry)
{
	u64 phys, *table;

	if (*entry)
		return pool->virt + ((*entry & PTE_PFN_MASK) - pool->phys);
	table = pool_take(pool, &phys);
	if (table)
		*entry = phys | TABLE_FLAGS;
	return table;
}

/*
 * Enter the mapping of @addr into @table, whose entries map 1 << @shift bytes
 * each. Returns the bytes mapped, 0 if the pool is empty.
 */
static u64 map_one(struct pcn_table_pool *pool, u64 *table, unsigned int shift,
		   u64 addr, u64 left)
{
	u64 span = BIT_ULL(shift);
	u64 *entry = &table[(addr >> shift) & (PTRS_PER_PTE - 1)];
	bool leaf = shift == PMD_SHIFT ||
		    (shift == PUD_SHIFT && boot_cpu_has(X86_FEATURE_GBPAGES) &&
		     IS_ALIGNED(addr, span) && left >= span);

	if (leaf) {
		*entry = addr | LEAF_FLAGS;
		return span;
	}
	table = next_table(pool, entry);
	if (!table)
		return 0;
	return map_one(pool, table, shift - 9, addr, left);
}

/**
 * pcn_identity_map - map physical memory at its own address
 * @pool:	where tables come from; its first page is the top level
 * @start:	physical address, a multiple of 2 MiB
 * @size:	bytes, a multiple of 2 MiB
 *
 * May be called repeatedly on one pool.
 *
 * Context: any.
 * Return: 0, or -ENOSPC when the pool has no page left.
 */
int pcn_identity_map(struct pcn_table_pool *pool, u64 start, u64 size)
{
	unsigned int top = pgtable_l5_enabled() ? PGDIR_SHIFT : P4D_SHIFT;
	u64 done, phys;

	if (!pool->used && !pool_take(pool, &phys))
		return -ENOSPC;
	for (; size; start += done, size -= done) {
		done = map_one(pool, pool->virt, top, start, size);
		if (!done)
			return -ENOSPC;
	}
	return 0;
}

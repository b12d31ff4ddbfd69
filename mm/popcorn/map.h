/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What map.c, adopt.c and worker.c share, about entries of page tables and frames.
 */
#ifndef _MM_POPCORN_MAP_H
#define _MM_POPCORN_MAP_H

#include <linux/mm.h>

#include "internal.h"

static inline unsigned long pcn_address_of(const struct pcn_record *r)
{
	return r->page << PAGE_SHIFT;
}

/* map.c */
struct page *pcn_alloc_frame(struct vm_area_struct *vma, unsigned long address,
			     gfp_t gfp);
void pcn_unmap_page(struct vm_area_struct *vma, struct page *page, pte_t entry);

/* adopt.c */
bool pcn_wants_adopter(const struct pcn_record *r);
bool pcn_adopt_at_once(struct pcn_record *r, bool atomic);
bool pcn_adopt(struct pcn_record *r);
struct page *pcn_dummy_for(struct pcn_record *r);

/* worker.c */
bool pcn_space_ends(const struct pcn_space *s);
bool pcn_is_stuck(struct pcn_record *r);
bool pcn_stuck_for_long(struct pcn_record *r);
u64 pcn_stuck_again(struct pcn_record *r);

#endif /* _MM_POPCORN_MAP_H */

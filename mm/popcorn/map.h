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
void pcn_page_unmap(struct vm_area_struct *vma, struct page *page, pte_t entry);

/* adopt.c */
bool pcn_record_wants_adopter(const struct pcn_record *r);
bool pcn_page_adopt_at_once(struct pcn_record *r, bool atomic);
bool pcn_page_adopt(struct pcn_record *r);
struct page *pcn_page_dummy(struct pcn_record *r);

/* worker.c */
bool pcn_space_ends(const struct pcn_space *s);
bool pcn_record_is_stuck(struct pcn_record *r);
bool pcn_record_stuck_for_long(struct pcn_record *r);
u64 pcn_record_stuck_again(struct pcn_record *r);

#endif /* _MM_POPCORN_MAP_H */

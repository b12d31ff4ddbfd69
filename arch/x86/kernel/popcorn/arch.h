/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the files of this directory. */
#ifndef _ARCH_X86_KERNEL_POPCORN_H
#define _ARCH_X86_KERNEL_POPCORN_H

#include <linux/types.h>

struct pcn_kernel;

/* trampoline.S */
extern const char pcn_trampoline[], pcn_trampoline_end[];
extern const char pcn_trampoline_32[], pcn_trampoline_64[];
extern const char pcn_stage2[], pcn_stage2_end[];

/* boot.c */
extern phys_addr_t pcn_trampoline_page;

/* place.c */
int pcn_place(struct pcn_kernel *k, void *area, u64 *entry, u64 *params);

/* pagetable.c */

/**
 * struct pcn_table_pool - where identity page tables come from
 * @phys:	physical address of the first page
 * @virt:	the same, mapped
 * @used:	pages taken
 * @count:	pages there are
 */
struct pcn_table_pool {
	u64		phys;
	void		*virt;
	unsigned int	used;
	unsigned int	count;
};

int pcn_identity_map(struct pcn_table_pool *pool, u64 start, u64 size);

#endif /* _ARCH_X86_KERNEL_POPCORN_H */

/* SPDX-License-Identifier: GPL-2.0 */
/* Shared by the files of this directory. */
#ifndef _ARCH_X86_KERNEL_POPCORN_H
#define _ARCH_X86_KERNEL_POPCORN_H

#include <linux/types.h>

struct pcn_blob;
struct pcn_kernel;
struct setup_header;

/* trampoline.S */
extern const char pcn_trampoline[], pcn_trampoline_end[];
extern const char pcn_trampoline_32[], pcn_trampoline_64[];
extern const char pcn_stage2[], pcn_stage2_end[];

/* boot.c */
extern phys_addr_t pcn_trampoline_page;

/* bootimage.c */
const struct setup_header *pcn_header_of(const struct pcn_blob *kernel);
size_t pcn_setup_size(const struct setup_header *hdr);
u64 pcn_code_size(const struct setup_header *hdr);
int pcn_boot_image_copy(struct pcn_kernel *k, void *area, u64 *entry, u64 *params);

/* vmlinux.c */

/**
 * struct pcn_vmlinux - a kernel as it is to lie in memory
 * @data:	vmalloc()ed contents
 * @size:	bytes of it
 * @mem_size:	bytes of memory that it takes up; those beyond @size are zero
 * @entry:	offset of its entry point
 */
struct pcn_vmlinux {
	void	*data;
	size_t	size;
	size_t	mem_size;
	size_t	entry;
};

const char *pcn_payload_unpack(const u8 *payload, size_t size, u64 room,
			       void **elf, size_t *elf_size);
const char *pcn_elf_flatten(const void *elf, size_t size, u64 start, u64 room,
			    struct pcn_vmlinux *v);

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

/* SPDX-License-Identifier: GPL-2.0 */
/* The machine, as the layers above it see it. */
#ifndef _POPCORN_CORE_H
#define _POPCORN_CORE_H

#include <linux/fs.h>
#include <linux/types.h>

struct kobject;
struct mm_struct;
struct pcn_check_table;
struct pcn_facts;
struct pcn_window;

struct pcn_window *pcn_window(void);
const struct pcn_facts *pcn_facts(void);
bool pcn_memory_is_of(unsigned int kid, u64 pfn);
u64 pcn_roster_entry(unsigned int kid);
void pcn_roster_open(u64 abi);
struct pcn_check_table *pcn_window_check(void);
u32 pcn_check_abi(void);
bool pcn_checks_wanted(void);
bool pcn_cpu_is_spare(void);
unsigned int pcn_self(void);
u32 pcn_life(void);
struct kobject *pcn_kobject(void);
void pcn_attach_doorbell(void (*fn)(void));
void pcn_attach_end(void (*fn)(unsigned int kid));
void pcn_attach_borrows(bool (*fn)(struct mm_struct *mm, unsigned long address, u64 pfn));
bool pcn_borrows(struct mm_struct *mm, unsigned long address, u64 pfn);
void pcn_debug_file(const char *name, umode_t mode,
		    const struct file_operations *fops);
void pcn_call_primary(void);
void pcn_memory_lend(bool may);
bool pcn_memory_is_lent(void);
int pcn_mapper_begin(unsigned int kid);
void pcn_mapper_end(unsigned int kid);
bool pcn_mapper_is(unsigned int kid);
void pcn_arch_doorbell(u32 apicid);

#endif /* _POPCORN_CORE_H */

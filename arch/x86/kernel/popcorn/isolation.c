// SPDX-License-Identifier: GPL-2.0
/*
 * Is memory of other kernels mapped here?
 *
 * Reading /sys/kernel/debug/popcorn/isolation looks through the page tables of this
 * kernel: its own half, and the user half of every process. Each present entry of
 * each level, leaf or table, must lead to memory that this kernel may touch. Of
 * the primary that is all but the partitions of others; of a secondary, its own
 * partition, the window and the local APIC, and nothing else. Others are shown:
 *
 *	foreign: <where> <address> -> <physical address>, <bytes> bytes
 *	kernel=<kid> entries=<n> processes=<n> borrowed=<n> foreign=<n>
 *
 * A page of a process that is lent by its origin, as in the protocol "direct", is
 * borrowed: it is counted, and not foreign (pcn_borrows()).
 *
 * "map <physical address>" written to the file maps such a page, "unmap" ends that:
 * to see that it is found.
 *
 * A secondary has the first MiB in its direct map, as every x86 kernel, although it
 * is the primary's: it unmaps that when it has booted.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/debugfs.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kasan.h>
#include <linux/kstrtox.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pgtable.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <asm/pgtable.h>
#include <asm/popcorn.h>
#include <asm/set_memory.h>

#include <popcorn/core.h>
#include <popcorn/hooks.h>
#include <popcorn/partition.h>

/* Entries that are shown; the others are counted. */
#define SHOWN		32

/**
 * struct finding - an entry that leads to memory of another kernel
 * @where:	whose page table it is in: a process's name, or "kernel"
 * @address:	the first address that it is for
 * @phys:	where it leads to
 * @size:	bytes there
 */
struct finding {
	char	where[TASK_COMM_LEN];
	u64	address;
	u64	phys;
	u64	size;
};

/**
 * struct search - what has been found so far
 * @where:	as in struct finding
 * @mm:		the address space that it is in, NULL in the kernel's half
 * @entries:	present entries
 * @processes:	address spaces of processes
 * @borrowed:	entries that lead to memory of other kernels, as they may
 * @foreign:	entries that lead to memory of other kernels
 * @shown:	the first of these
 */
struct search {
	const char	*where;
	struct mm_struct *mm;
	u64		entries;
	unsigned int	processes;
	u64		borrowed;
	u64		foreign;
	struct finding	shown[SHOWN];
};

static DEFINE_MUTEX(provoke_lock);
static void *provoked;

static bool is_in(u64 phys, u64 size, u64 start, u64 length)
{
	return phys >= start && phys + size <= start + length;
}

static bool ranges_meet(u64 phys, u64 size, u64 start, u64 length)
{
	return phys < start + length && start < phys + size;
}

/* A secondary does not know where others are, only where it is itself. */
static bool is_foreign_here(const struct pcn_handoff *h, u64 phys, u64 size)
{
	return !is_in(phys, size, h->boot_area, h->mem_size) &&
	       !is_in(phys, size, h->window, h->window_size) &&
	       !is_in(phys, size, h->lapic, PAGE_SIZE);
}

static bool is_foreign_memory(u64 phys, u64 size)
{
	const struct pcn_partitions *all = pcn_arch_partitions();
	unsigned int kid;

	if (pcn_is_secondary())
		return is_foreign_here(pcn_handoff(), phys, size);
	for_each_kernel(kid, all->defined)
		if (ranges_meet(phys, size, all->kernel[kid].start,
				all->kernel[kid].size))
			return true;
	return false;
}

static void isolation_found(struct search *s, u64 address, u64 phys, u64 size)
{
	struct finding *f;

	if (s->foreign++ >= SHOWN)
		return;
	f = &s->shown[s->foreign - 1];
	*f = (struct finding) { .address = address, .phys = phys, .size = size };
	strscpy(f->where, s->where);
}

/* KASAN refers to these tables of the kernel's image millions of times. */
static bool is_shadow(const u64 *table)
{
#ifdef CONFIG_KASAN_GENERIC
	return table == lm_alias(kasan_early_shadow_p4d) ||
	       table == lm_alias(kasan_early_shadow_pud) ||
	       table == lm_alias(kasan_early_shadow_pmd) ||
	       table == lm_alias(kasan_early_shadow_pte);
#else
	return false;
#endif
}

static bool is_borrowed(const struct search *s, u64 address, u64 phys, u64 size)
{
	u64 last = size - PAGE_SIZE;

	return s->mm && size <= PMD_SIZE &&
	       pcn_borrows(s->mm, address, phys >> PAGE_SHIFT) &&
	       pcn_borrows(s->mm, address + last, (phys + last) >> PAGE_SHIFT);
}

static bool is_leaf(u64 entry, unsigned int shift)
{
	return shift == PAGE_SHIFT || (entry & _PAGE_PSE);
}

static void isolation_look_into(struct search *s, const u64 *table, unsigned int shift,
				u64 address, unsigned int first, unsigned int last);

static void isolation_look_at(struct search *s, u64 entry, unsigned int shift,
			      u64 address)
{
	bool leaf = is_leaf(entry, shift);
	u64 size = leaf ? BIT_ULL(shift) : PAGE_SIZE;
	u64 phys = entry & PTE_PFN_MASK & ~(size - 1);

	s->entries++;
	if (is_foreign_memory(phys, size) && leaf && is_borrowed(s, address, phys, size))
		s->borrowed++;
	else if (is_foreign_memory(phys, size))
		isolation_found(s, address, phys, size);
	else if (!leaf && !is_shadow(__va(phys)))
		isolation_look_into(s, __va(phys), shift - 9, address, 0,
				    PTRS_PER_PTE - 1);
}

/* The entries from @first to @last of a table, each for 1 << @shift bytes. */
static void isolation_look_into(struct search *s, const u64 *table, unsigned int shift,
				u64 address, unsigned int first, unsigned int last)
{
	unsigned int i;
	u64 entry;

	for (i = first; i <= last; i++) {
		entry = READ_ONCE(table[i]);
		if (entry & _PAGE_PRESENT)
			isolation_look_at(s, entry, shift, address + ((u64)i << shift));
	}
}

static unsigned int top_shift(void)
{
	return pgtable_l5_enabled() ? PGDIR_SHIFT : P4D_SHIFT;
}

/* Tables of the kernel's half stay while its mmap_lock is held. */
static void search_kernel(struct search *s)
{
	unsigned int half = PTRS_PER_PGD / 2;
	/* Addresses of this half have all higher bits set. */
	u64 base = -1ULL << (top_shift() + 9);

	s->where = "kernel";
	mmap_write_lock(&init_mm);
	isolation_look_into(s, (u64 *)init_mm.pgd, top_shift(), base, half,
			    PTRS_PER_PGD - 1);
	mmap_write_unlock(&init_mm);
}

/* File mappings may lose tables with no lock of ours: these are freed by RCU. */
static int search_mm(struct search *s, struct mm_struct *mm)
{
	if (mmap_write_lock_killable(mm))
		return -EINTR;
	s->mm = mm;
	rcu_read_lock();
	isolation_look_into(s, (u64 *)mm->pgd, top_shift(), 0, 0, PTRS_PER_PGD / 2 - 1);
	rcu_read_unlock();
	s->mm = NULL;
	mmap_write_unlock(mm);
	s->processes++;
	return 0;
}

/* The process with the lowest number from @nr on; the caller puts it. */
static struct task_struct *next_process(pid_t nr)
{
	struct task_struct *p, *best = NULL;

	rcu_read_lock();
	for_each_process(p)
		if (p->pid >= nr && (!best || p->pid < best->pid))
			best = p;
	if (best)
		get_task_struct(best);
	rcu_read_unlock();
	return best;
}

static int search_process(struct search *s, struct task_struct *p)
{
	struct mm_struct *mm = get_task_mm(p);
	char name[TASK_COMM_LEN];
	int err;

	if (!mm)
		return 0;
	get_task_comm(name, p);
	s->where = name;
	err = search_mm(s, mm);
	mmput(mm);
	return err;
}

static int search_processes(struct search *s)
{
	struct task_struct *p;
	pid_t nr = 1;
	int err = 0;

	while (!err && (p = next_process(nr))) {
		nr = p->pid + 1;
		err = search_process(s, p);
		put_task_struct(p);
	}
	return err;
}

static void isolation_show_search(struct seq_file *m, const struct search *s)
{
	const struct finding *f;

	for (f = s->shown; f < s->shown + min_t(u64, s->foreign, SHOWN); f++)
		seq_printf(m, "foreign: %s %#llx -> %#llx, %llu bytes\n", f->where,
			   f->address, f->phys, f->size);
	seq_printf(m, "kernel=%u entries=%llu processes=%u borrowed=%llu foreign=%llu\n",
		   pcn_self(), s->entries, s->processes, s->borrowed, s->foreign);
}

static int isolation_show(struct seq_file *m, void *unused)
{
	struct search *s = kzalloc(sizeof(*s), GFP_KERNEL);
	int err;

	if (!s)
		return -ENOMEM;
	search_kernel(s);
	err = search_processes(s);
	if (!err)
		isolation_show_search(m, s);
	kfree(s);
	return err;
}

/* The test that provokes a finding knows what is at the address. */
static int isolation_provoke(const char *address)
{
	void *map = NULL;
	u64 phys;
	int err = 0;

	if (address) {
		err = kstrtou64(address, 0, &phys);
		if (err)
			return err;
		map = memremap(phys, PAGE_SIZE, MEMREMAP_WB);
		if (!map)
			return -ENOMEM;
	}
	mutex_lock(&provoke_lock);
	swap(map, provoked);
	mutex_unlock(&provoke_lock);
	if (map)
		memunmap(map);
	return 0;
}

static ssize_t isolation_write(struct file *file, const char __user *from,
			       size_t size, loff_t *offset)
{
	char text[32] = "", *word;
	int err = -EINVAL;

	if (size >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, from, size))
		return -EFAULT;
	word = strim(text);
	if (!strcmp(word, "unmap"))
		err = isolation_provoke(NULL);
	else if (!strncmp(word, "map ", 4))
		err = isolation_provoke(word + 4);
	return err ?: size;
}

DEFINE_SHOW_STORE_ATTRIBUTE(isolation);

static int __init isolation_init(void)
{
	if (pcn_machine_is_shared())
		pcn_debug_file("isolation", 0600, &isolation_fops);
	return 0;
}
late_initcall_sync(isolation_init);

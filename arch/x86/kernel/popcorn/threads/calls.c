// SPDX-License-Identifier: GPL-2.0
/* Where a system call of a thread that is away is done, and what it does to memory. */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/nospec.h>
#include <linux/syscalls.h>

#include <popcorn/thread.h>

#include <asm/syscall.h>
#include <asm/unistd.h>

enum kind {
	DELEGATED,
	LOCAL,
	HOME,
};

static const u8 kinds[] = {
#define CALL(name, kind, ...)	\
	[__NR_##name] = kind,
#include "calls.h"
#undef CALL
};

static enum kind kind_of(long nr)
{
	if (nr < 0 || nr >= ARRAY_SIZE(kinds))
		return DELEGATED;
	return kinds[array_index_nospec(nr, ARRAY_SIZE(kinds))];
}

/**
 * pcn_arch_call_is_local - does a system call run where the thread is?
 * @nr:	its number, one of a 64-bit call
 *
 * Those that tell of clocks, which all kernels agree on, and of the CPU.
 *
 * Context: any.
 */
bool pcn_arch_call_is_local(long nr)
{
	return kind_of(nr) == LOCAL;
}

/**
 * pcn_arch_call_maps - does a system call return the address of memory that is new?
 * @nr:	its number, one of a 64-bit call
 *
 * Context: any.
 */
bool pcn_arch_call_maps(long nr)
{
	return nr == __NR_mmap;
}

/* Calls of a range of memory, their first two arguments, whose entries go. */
static bool removes_range(const struct pt_regs *regs, long nr)
{
	switch (nr) {
	case __NR_munmap:
	case __NR_mprotect:
	case __NR_mremap:
		return true;
	case __NR_madvise:
		return regs->dx == MADV_DONTNEED || regs->dx == MADV_FREE;
	case __NR_mmap:
		return regs->r10 & MAP_FIXED;
	default:
		return false;
	}
}

/**
 * pcn_arch_call_removes - does a system call have entries of page tables removed?
 * @regs:	registers with the call's arguments
 * @nr:		its number, one of a 64-bit call
 * @first:	receives the number of the first page
 * @last:	receives the number of the last one
 *
 * Context: any.
 * Return: false: it does not, or will fail.
 */
bool pcn_arch_call_removes(const struct pt_regs *regs, long nr, u64 *first, u64 *last)
{
	unsigned long start = regs->di, size = PAGE_ALIGN(regs->si);

	if (!removes_range(regs, nr) || offset_in_page(start) || !size ||
	    size > TASK_SIZE_MAX || start > TASK_SIZE_MAX - size)
		return false;
	*first = start >> PAGE_SHIFT;
	*last = ((start + size) >> PAGE_SHIFT) - 1;
	return true;
}

static bool call_is_foreign(long nr)
{
	return in_ia32_syscall() || (IS_ENABLED(CONFIG_X86_X32_ABI) && nr >= 0 &&
				     nr & __X32_SYSCALL_BIT);
}

/**
 * pcn_arch_call_needs_origin - must the shadow do it as itself, with all its state?
 * @nr:	number of a system call
 *
 * Those that make a copy of the thread, replace or end it, whose registers are not the
 * whole argument, or after which it may not be able to leave. Those of other tables than
 * that of 64-bit calls are made there, too: by INT 0x80, or x32's.
 *
 * Context: any.
 */
bool pcn_arch_call_needs_origin(long nr)
{
	return call_is_foreign(nr) || kind_of(nr) == HOME;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What a thread needs of pages.
 *
 * An instruction, or a system call, that needs several pages makes progress only if it has
 * all of them at once, while threads of other kernels want them, too. So a thread has a page
 * for a time that grows as long as there is no progress; the rule is in mm/popcorn/hold.c.
 *
 * A thread that has come from another kernel is about to use its stack: it has the page
 * before it goes on, instead of by two faults.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>

#include "internal.h"

/**
 * pcn_thread_hold_ns - how long the current thread is to have a page that others want
 * @page:	number of the page
 * @of_use:	the last time that it was here, it was used, in user mode
 *
 * See pcn_hold_thread_ns().
 *
 * Context: process, in a page fault.
 * Return: nanoseconds; 0: there is no reason to think that it needs other pages with it.
 */
u64 pcn_thread_hold_ns(u64 page, bool of_use)
{
	struct pcn_thread *t = current->popcorn;

	return pcn_hold_thread_ns(t ? &t->hold : NULL,
				  instruction_pointer(task_pt_regs(current)), page,
				  of_use);
}

static bool has_vma(const char __user *p)
{
	struct mm_struct *mm = current->mm;
	bool found;

	if (mmap_read_lock_killable(mm))
		return false;
	found = vma_lookup(mm, (unsigned long)p);
	mmap_read_unlock(mm);
	return found;
}

/**
 * pcn_thread_want_stack - have the page that the stack pointer leads to, to write it
 * @t:	the current thread, which has come from another kernel
 *
 * It has used its stack there, and is about to use it here: first to read, since it
 * returns from a function, and then to write. Those would be two faults.
 *
 * Context: process, with its registers as they will be in user mode; sleeps.
 */
void pcn_thread_want_stack(struct pcn_thread *t)
{
	char __user *stack = (char __user *)user_stack_pointer(current_pt_regs());

	/* It may be about to overflow: Linux complains if that grows a stack. */
	if (!has_vma(stack))
		return;
	/* Not an instruction that fails again and again, wherever it is. */
	pcn_hold_progress(&t->hold);
	fault_in_safe_writeable(stack, 1);
	pcn_hold_progress(&t->hold);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Which system calls change the layout of a shared address space, and where.
 *
 * That is what a round is made for (layout.c): a call not named here leaves all
 * pages of private memory where they are, and what they are.
 *
 * There are also calls after which the kernel, or a device, holds on to pages for
 * longer than the call takes: buffers that are registered with io_uring, pages in a
 * pipe. Such pages cannot be taken away from the origin, and who asked for them
 * would wait for as long as they are held. So their addresses become *home-only*
 * before the call: members are not told of them any more (vma.c), and threads that
 * need them go home. They stay so until they are unmapped.
 */
#include <linux/io_uring.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <asm/unistd.h>
#include <asm/syscall.h>

#include "internal.h"

static struct pcn_change change(u64 start, u64 length, bool keep)
{
	u64 end = start + length;

	if (end < start || end > TASK_SIZE_MAX)
		end = TASK_SIZE_MAX;
	return (struct pcn_change) {
		.start = start & PAGE_MASK, .end = PAGE_ALIGN(end), .keep = keep,
	};
}

static const struct pcn_change nothing;

static struct pcn_change of_everything(struct pcn_space *s,
				       const unsigned long *args)
{
	return change(0, TASK_SIZE_MAX, true);
}

static struct pcn_change of_munmap(struct pcn_space *s, const unsigned long *args)
{
	struct pcn_change c = change(args[0], args[1], false);

	c.unmaps = true;
	return c;
}

static struct pcn_change of_mmap(struct pcn_space *s, const unsigned long *args)
{
	return args[3] & MAP_FIXED && !(args[3] & MAP_FIXED_NOREPLACE) ?
	       of_munmap(s, args) : nothing;
}

/* Pages stay, and what may be done with them changes. */
static struct pcn_change of_range(struct pcn_space *s, const unsigned long *args)
{
	return change(args[0], args[1], true);
}

/* The old and the new place, and what is in between. */
static struct pcn_change of_mremap(struct pcn_space *s, const unsigned long *args)
{
	u64 length = max(args[1], args[2]);
	u64 start = args[0], end = args[0] + length;

	if (args[3] & MREMAP_FIXED) {
		start = min(args[0], args[4]);
		end = max(args[0], args[4]) + length;
	}
	return change(start, end - start, true);
}

static struct pcn_change of_brk(struct pcn_space *s, const unsigned long *args)
{
	u64 now = PAGE_ALIGN(READ_ONCE(s->mm->brk));
	u64 then = PAGE_ALIGN(args[0]);

	if (then >= now || then < s->mm->start_brk)
		return nothing;
	return change(then, now - then, false);
}

static struct pcn_change of_madvise(struct pcn_space *s, const unsigned long *args)
{
	switch (args[2]) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		return nothing;
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
	case MADV_REMOVE:
		return change(args[0], args[1], false);
	default:
		return change(args[0], args[1], true);
	}
}

static struct pcn_change of_clone(struct pcn_space *s, const unsigned long *args)
{
	return args[0] & CLONE_VM ? nothing : of_everything(s, args);
}

static struct pcn_change of_clone3(struct pcn_space *s, const unsigned long *args)
{
	unsigned long flags;

	/* If it cannot be read, the call will fail for that. */
	if (get_user(flags, (u64 __user *)args[0]))
		flags = CLONE_VM;
	return of_clone(s, &flags);
}

/* --- pages that are held on to --- */

/**
 * pcn_home_only - make addresses home-only, or not any more
 * @s:		the space, at the origin
 * @start:	first address
 * @end:	the first one behind
 * @on:		home-only from now on
 *
 * Context: process; sleeps for memory. Takes effect for members that ask from now
 * on: who makes addresses home-only has a round to follow.
 */
void pcn_home_only(struct pcn_space *s, u64 start, u64 end, bool on)
{
	if (on || !mtree_empty(&s->home_only))
		mtree_store_range(&s->home_only, start, end - 1,
				  on ? xa_mk_value(1) : NULL,
				  GFP_KERNEL | __GFP_NOFAIL);
}

static struct pcn_change of_buffer(struct pcn_space *s, u64 start, u64 length)
{
	struct pcn_change c = change(start, length, true);

	if (!length || c.start >= c.end)
		return nothing;
	pcn_home_only(s, c.start, c.end, true);
	/* The call may wait, as for room in a pipe: others must be able to go on. */
	c.before = true;
	return c;
}

static struct pcn_change of_buffers(struct pcn_space *s,
				    const struct iovec __user *list,
				    unsigned long count)
{
	struct pcn_change all = nothing, c;
	struct iovec v;
	unsigned long i;

	for (i = 0; i < min(count, UIO_MAXIOV); i++) {
		/* The call fails for the same reason. */
		if (copy_from_user(&v, &list[i], sizeof(v)))
			break;
		c = of_buffer(s, (u64)v.iov_base, v.iov_len);
		if (c.start >= c.end)
			continue;
		if (all.start < all.end) {
			c.start = min(c.start, all.start);
			c.end = max(c.end, all.end);
		}
		all = c;
	}
	return all;
}

static struct pcn_change of_vmsplice(struct pcn_space *s, const unsigned long *args)
{
	return of_buffers(s, (const struct iovec __user *)args[1], args[2]);
}

static struct pcn_change of_pbuf_ring(struct pcn_space *s, const void __user *arg)
{
	struct io_uring_buf_reg reg;

	if (copy_from_user(&reg, arg, sizeof(reg)) ||
	    reg.flags & IOU_PBUF_RING_MMAP)
		return nothing;
	return of_buffer(s, reg.ring_addr,
			 (u64)reg.ring_entries * sizeof(struct io_uring_buf));
}

static struct pcn_change of_io_uring_register(struct pcn_space *s,
					      const unsigned long *args)
{
	void __user *arg = (void __user *)args[2];
	struct io_uring_rsrc_register reg;
	struct io_uring_rsrc_update2 update;

	switch (args[1] & ~IORING_REGISTER_USE_REGISTERED_RING) {
	case IORING_REGISTER_BUFFERS:
		return of_buffers(s, arg, args[3]);
	case IORING_REGISTER_BUFFERS2:
		if (copy_from_user(&reg, arg, sizeof(reg)))
			return nothing;
		return of_buffers(s, u64_to_user_ptr(reg.data), reg.nr);
	case IORING_REGISTER_BUFFERS_UPDATE:
		if (copy_from_user(&update, arg, sizeof(update)))
			return nothing;
		return of_buffers(s, u64_to_user_ptr(update.data), update.nr);
	case IORING_REGISTER_PBUF_RING:
		return of_pbuf_ring(s, arg);
	default:
		return nothing;
	}
}

/* --- the list --- */

/**
 * struct call - a system call that may change the layout
 * @nr:	its number
 * @of:	what it changes with these arguments
 */
struct call {
	long			nr;
	struct pcn_change	(*of)(struct pcn_space *s,
				      const unsigned long *args);
};

static const struct call calls[] = {
	{ __NR_mmap, of_mmap },
	{ __NR_munmap, of_munmap },
	{ __NR_mprotect, of_range },
	{ __NR_pkey_mprotect, of_range },
	{ __NR_remap_file_pages, of_range },
	{ __NR_mremap, of_mremap },
	{ __NR_brk, of_brk },
	{ __NR_madvise, of_madvise },
	{ __NR_process_madvise, of_everything },
	{ __NR_shmat, of_everything },
	{ __NR_clone, of_clone },
	{ __NR_clone3, of_clone3 },
	{ __NR_fork, of_everything },
	{ __NR_vmsplice, of_vmsplice },
	{ __NR_io_uring_register, of_io_uring_register },
};

static const struct call *find_call(long nr)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(calls); i++)
		if (calls[i].nr == nr)
			return &calls[i];
	return NULL;
}

/**
 * pcn_change_of - what does a system call change?
 * @s:		the space, at the origin
 * @regs:	registers of the current task, with the call
 *
 * Context: process; sleeps.
 * Return: the change; empty if all pages stay where they are.
 */
struct pcn_change pcn_change_of(struct pcn_space *s, struct pt_regs *regs)
{
	const struct call *call = find_call(syscall_get_nr(current, regs));
	unsigned long args[6];

	if (!call)
		return nothing;
	syscall_get_arguments(current, regs, args);
	return call->of(s, args);
}

/**
 * pcn_call_changes_layout - may a system call change the layout?
 * @nr:	its number; any other number, too
 *
 * Context: any.
 */
bool pcn_call_changes_layout(long nr)
{
	return find_call(nr);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers that the kernel, or a device, keeps for longer than a system call takes.
 *
 * They are registered with io_uring, or are pages in a pipe. Such pages cannot be taken
 * away from the origin, and a kernel that asked for them would wait for as long as they
 * are held. So their addresses become *origin-only* before the call: members are not told
 * of them any more (vma.c), and threads that need them go home. They stay so until they
 * are unmapped.
 */
#include <linux/io_uring.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <asm/unistd.h>
#include <asm/syscall.h>

#include <popcorn/hooks.h>

#include "internal.h"

/**
 * struct span - addresses of buffers
 * @start:	the first one
 * @end:	the first one behind
 */
struct span {
	u64	start;
	u64	end;
};

/**
 * pcn_origin_only - make addresses origin-only, or not any more
 * @s:		the space, at the origin
 * @start:	first address
 * @end:	the first one behind
 * @on:		origin-only from now on
 *
 * Context: process; sleeps for memory. Takes effect for members that ask from now
 * on: a caller that sets addresses origin-only has a round follow.
 */
void pcn_origin_only(struct pcn_space *s, u64 start, u64 end, bool on)
{
	if (on || !mtree_empty(&s->origin_only))
		mtree_store_range(&s->origin_only, start, end - 1,
				  on ? xa_mk_value(1) : NULL,
				  GFP_KERNEL | __GFP_NOFAIL);
}

static const struct span nothing;

static struct span of_buffer(struct pcn_space *s, u64 start, u64 length)
{
	struct span b = { .start = start & PAGE_MASK };

	/* The call fails. */
	if (!length || start >= TASK_SIZE_MAX || length > TASK_SIZE_MAX - start)
		return nothing;
	b.end = PAGE_ALIGN(start + length);
	pcn_origin_only(s, b.start, b.end, true);
	return b;
}

static struct span of_buffers(struct pcn_space *s, const struct iovec __user *list,
			      unsigned long count)
{
	struct span all = nothing, c;
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

static struct span of_vmsplice(struct pcn_space *s, const unsigned long *args)
{
	return of_buffers(s, (const struct iovec __user *)args[1], args[2]);
}

static struct span of_pbuf_ring(struct pcn_space *s, const void __user *arg)
{
	struct io_uring_buf_reg reg;

	if (copy_from_user(&reg, arg, sizeof(reg)) ||
	    reg.flags & IOU_PBUF_RING_MMAP)
		return nothing;
	return of_buffer(s, reg.ring_addr,
			 (u64)reg.ring_entries * sizeof(struct io_uring_buf));
}

static struct span of_io_uring_register(struct pcn_space *s,
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

/* The addresses of what a system call will hold on to. */
static struct span span_of(struct pcn_space *s, long nr, const unsigned long *args)
{
	switch (nr) {
	case __NR_vmsplice:
		return of_vmsplice(s, args);
	case __NR_io_uring_register:
		return of_io_uring_register(s, args);
	default:
		return nothing;
	}
}

/**
 * pcn_buffers_enter - a thread of a shared process begins a system call
 * @s:		its space, at the origin
 * @regs:	its registers, with the system call
 *
 * If the call holds on to buffers, they are at home when this returns, and stay there.
 *
 * Context: process, with no lock held; sleeps, killably.
 * Return: 0; -EINTR a fatal signal; -ENOMEM.
 */
int pcn_buffers_enter(struct pcn_space *s, struct pt_regs *regs)
{
	unsigned long args[6];
	struct span b;
	int err;

	/* Others map the same pages. */
	if (s->mirror)
		return 0;
	syscall_get_arguments(current, regs, args);
	b = span_of(s, syscall_get_nr(current, regs), args);
	if (b.start >= b.end)
		return 0;
	err = pcn_change_begin(s, b.start, b.end, PCN_CHANGE_VMAS | PCN_CHANGE_KEEP);
	if (!err)
		pcn_change_end_space(s, true);
	return err;
}

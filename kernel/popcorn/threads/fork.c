// SPDX-License-Identifier: GPL-2.0
/*
 * What a new task inherits.
 *
 * A thread that has a placement, or is bound to CPUs, hands that down to the tasks that it
 * makes. The threads of a process share a placement, and start on its kernels in turn; a
 * new process has a copy, begins anew, and may be moved later (spread.c). A task starts
 * where it was made, and its first return to user mode leads to its place.
 */
#include <linux/atomic.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <uapi/linux/popcorn.h>

#include <popcorn/hooks.h>

#include "internal.h"

static struct pcn_placement *get_placement(struct pcn_thread *t, bool same)
{
	struct pcn_placement *p = t->placement;

	if (!p)
		return NULL;
	if (same) {
		refcount_inc(&p->refs);
		return p;
	}
	p = kmemdup(p, sizeof(*p), GFP_KERNEL_ACCOUNT);
	if (p) {
		refcount_set(&p->refs, 1);
		pcn_job_get(p->job);
		atomic_set(&p->next, 0);
	}
	return p;
}

/* Where a new thread starts. */
static unsigned int next_place(struct pcn_thread *t, struct pcn_thread *old)
{
	struct pcn_placement *p = t->placement;
	unsigned int kid = READ_ONCE(old->wanted);

	if (p)
		kid = p->kid[(unsigned int)atomic_fetch_inc(&p->next) % p->count];
	return pcn_affinity_place(t, kid);
}

/**
 * pcn_placement_put - a thread refers to a placement no more
 * @p:	the placement, or NULL
 *
 * Context: any.
 */
void pcn_placement_put(struct pcn_placement *p)
{
	if (!p || !refcount_dec_and_test(&p->refs))
		return;
	pcn_job_put(p->job);
	kfree(p);
}

/**
 * pcn_task_fork - a task is being copied
 * @p:		the new task, which still has what belongs to the old one
 * @flags:	CLONE_*
 *
 * It inherits placement and affinity: its first return to user mode leads to its
 * place. Without memory for that it stays here.
 *
 * Context: process.
 */
void pcn_task_fork(struct task_struct *p, u64 flags)
{
	struct pcn_thread *old = current->popcorn, *t;

	p->popcorn = NULL;
	if (!old || old->visitor || (!old->placement && !old->bound))
		return;
	t = pcn_thread_new(p);
	if (!t)
		return;
	t->placement = get_placement(old, flags & CLONE_THREAD);
	pcn_affinity_inherit(t, old);
	/* A child of vfork() borrows its parent's memory until it executes. */
	if ((flags & (CLONE_VM | CLONE_THREAD)) != CLONE_VM) {
		t->wanted = next_place(t, old);
		if (t->placement)
			pcn_job_ask(t);
	}
	t->spreads = t->placement && t->placement->flags & PCN_PLACE_SPREAD &&
		     !(flags & CLONE_THREAD);
	p->popcorn = t;
}

/**
 * pcn_task_linked - a task comes to be among the threads of its process
 * @p:	the task
 *
 * If the process is shared, its system calls are looked at. A thread that shares it
 * meanwhile finds the task.
 *
 * Context: tasklist_lock is held, to write.
 */
void pcn_task_linked(struct task_struct *p)
{
	if (p->popcorn || (p->mm && READ_ONCE(p->mm->popcorn)))
		set_task_syscall_work(p, POPCORN);
	if (p->popcorn)
		pcn_spread_begin(p->popcorn);
}

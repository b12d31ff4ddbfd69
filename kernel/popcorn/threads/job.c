// SPDX-License-Identifier: GPL-2.0
/*
 * Jobs: count whether threads were placed as asked, and trace threads that travel.
 *
 * popcorn_place() begins a *job*: the program that is executed then, and all its
 * children. A job counts, for each kernel, how many threads were to start there,
 * and how many did. It is kept for a while after its last task has gone, so that
 * a parent that has waited for the program can read what became of it; a job is named
 * by the process that has called popcorn_place().
 *
 * jobs_lock is for the list alone.
 */
#include <linux/init.h>
#include <linux/list.h>
#include <linux/proc_fs.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include <trace/events/popcorn.h>

#include <popcorn/hooks.h>
#include <popcorn/partition.h>
#include <popcorn/stats.h>

#include "internal.h"

/* Jobs that are over */
#define JOBS_KEPT	64

/**
 * struct pcn_job - a program whose threads are placed
 * @node:	in jobs
 * @refs:	placements that belong to it
 * @number:	1, 2, ...
 * @parent:	job that it was begun in, or 0
 * @pid:	process that has begun it
 * @ended:	nothing of it is left
 * @shared:	processes of it that were shared with other kernels
 * @asked:	threads that were to start on each kernel
 * @placed:	those that did
 */
struct pcn_job {
	struct list_head	node;
	refcount_t		refs;
	u64			number;
	u64			parent;
	pid_t			pid;
	bool			ended;
	atomic_t		shared;
	atomic_t		asked[PCN_KERNELS_MAX];
	atomic_t		placed[PCN_KERNELS_MAX];
};

/* Those that have begun or ended last come first. */
static LIST_HEAD(jobs);
static unsigned int kept;
static u64 last_number;
static DEFINE_SPINLOCK(jobs_lock);

/**
 * pcn_job_new - the current process begins a job
 * @parent:	the job that it belongs to, or NULL
 *
 * Context: process; sleeps for memory.
 * Return: the job, to be given to pcn_job_put(); or NULL.
 */
struct pcn_job *pcn_job_new(struct pcn_job *parent)
{
	struct pcn_job *job = kzalloc(sizeof(*job), GFP_KERNEL_ACCOUNT);

	if (!job)
		return NULL;
	refcount_set(&job->refs, 1);
	job->parent = parent ? parent->number : 0;
	job->pid = current->tgid;
	spin_lock_irq(&jobs_lock);
	job->number = ++last_number;
	list_add(&job->node, &jobs);
	spin_unlock_irq(&jobs_lock);
	return job;
}

/**
 * pcn_job_get - something more belongs to a job
 * @job:	the job, or NULL
 *
 * Context: any.
 * Return: @job.
 */
struct pcn_job *pcn_job_get(struct pcn_job *job)
{
	if (job)
		refcount_inc(&job->refs);
	return job;
}

/* The last one that is over makes room for another. */
static struct pcn_job *end_job(struct pcn_job *job)
{
	struct pcn_job *old;

	lockdep_assert_held(&jobs_lock);
	job->ended = true;
	list_move(&job->node, &jobs);
	if (++kept <= JOBS_KEPT)
		return NULL;
	list_for_each_entry_reverse(old, &jobs, node)
		if (old->ended)
			break;
	list_del(&old->node);
	kept--;
	return old;
}

/**
 * pcn_job_put - something does not belong to a job any more
 * @job:	the job, or NULL
 *
 * Context: any.
 */
void pcn_job_put(struct pcn_job *job)
{
	struct pcn_job *old;
	unsigned long flags;

	if (!job || !refcount_dec_and_test(&job->refs))
		return;
	spin_lock_irqsave(&jobs_lock, flags);
	old = end_job(job);
	spin_unlock_irqrestore(&jobs_lock, flags);
	kfree(old);
}

static struct pcn_job *job_of(const struct pcn_thread *t)
{
	return t && t->placement ? t->placement->job : NULL;
}

/**
 * pcn_job_share - the current process is shared with other kernels
 *
 * Context: process.
 * Return: number of its job; 0 if it has none.
 */
u64 pcn_job_share(void)
{
	struct pcn_job *job = job_of(current->popcorn);

	if (!job)
		return 0;
	atomic_inc(&job->shared);
	return job->number;
}

/* Is this how the thread comes to be where it is to start? */
static bool job_count_placed(struct pcn_thread *t, unsigned int kid)
{
	struct pcn_job *job = job_of(t);

	if (!job || t->asked != kid)
		return false;
	t->asked = PCN_NOBODY;
	atomic_inc(&job->placed[kid]);
	return true;
}

/**
 * pcn_job_ask - a thread is to start where it is wanted
 * @t:	the thread, with a placement
 *
 * Context: process.
 */
void pcn_job_ask(struct pcn_thread *t)
{
	struct pcn_job *job = job_of(t);

	if (!job)
		return;
	t->asked = t->wanted;
	atomic_inc(&job->asked[t->wanted]);
	job_count_placed(t, pcn_self());
}

/* --- what the other files have seen --- */

/* The trace events' header has them as numbers. */
static_assert(PCN_THREAD_HOME == 3 && PCN_THREAD_GONE == 4 && PCN_THREAD_LOST == 9);
static_assert(PCN_HOME_CALL == 0 && PCN_HOME_RECALL + 1 == PCN_HOME_REASONS);

/**
 * pcn_count_leave - a thread has left, or could not
 * @t:		the current thread, a shadow now
 * @err:	0, or why not
 *
 * Context: process.
 */
void pcn_count_leave(struct pcn_thread *t, int err)
{
	trace_pcn_thread_leave(t->process, t->number, t->wanted, err);
	t->counted = !err && job_count_placed(t, t->at);
	if (!err)
		t->migrations++;
}

/**
 * pcn_count_refusal - a thread that has left has not got there
 * @t:	the current thread, a shadow still
 *
 * Context: process.
 */
void pcn_count_refusal(struct pcn_thread *t)
{
	t->migrations--;
	if (!t->counted)
		return;
	atomic_dec(&job_of(t)->placed[t->at]);
	t->asked = t->at;
}

/**
 * pcn_count_return - a shadow need not wait any more
 * @t:	the current thread, with the message that has brought it home
 * @op:	what that says
 *
 * Context: process.
 */
void pcn_count_return(struct pcn_thread *t, u32 op)
{
	trace_pcn_thread_return(t->process, t->number, t->at, op,
				op == PCN_THREAD_HOME ? t->msg->reason :
						    PCN_HOME_REASONS);
}

/**
 * pcn_count_arrive - a visitor has come
 * @t:	the current thread
 *
 * Context: process.
 */
void pcn_count_arrive(struct pcn_thread *t)
{
	trace_pcn_thread_arrive(t->process, t->number, t->home);
	pcn_count(current->mm->popcorn, PCN_COUNT(arrived));
}

/**
 * pcn_count_call - a visitor has a system call done at its origin
 * @t:	the current thread
 * @nr:	number of the call
 *
 * Context: process.
 */
void pcn_count_call(struct pcn_thread *t, long nr)
{
	trace_pcn_call(t->process, t->number, nr);
	pcn_count(current->mm->popcorn, PCN_COUNT(calls));
}

/**
 * pcn_count_home - a visitor goes home
 * @t:		the current thread
 * @reason:	enum pcn_home_reason
 *
 * Context: process.
 */
void pcn_count_home(struct pcn_thread *t, unsigned int reason)
{
	trace_pcn_thread_home(t->process, t->number, t->home, reason);
	pcn_count(current->mm->popcorn, PCN_COUNT(home) + reason);
}

/* --- /proc/popcorn/jobs --- */

static void show_kernels(struct seq_file *m, const char *name, atomic_t *count)
{
	unsigned int kid, value;
	char before = '=';

	seq_printf(m, " %s", name);
	for (kid = 0; kid < PCN_KERNELS_MAX; kid++) {
		value = atomic_read(&count[kid]);
		if (!value)
			continue;
		seq_printf(m, "%c%u:%u", before, kid, value);
		before = ',';
	}
	if (before == '=')
		seq_putc(m, before);
}

static int show_jobs(struct seq_file *m, void *v)
{
	struct pcn_job *job;

	spin_lock_irq(&jobs_lock);
	list_for_each_entry(job, &jobs, node) {
		seq_printf(m, "job=%llu parent=%llu pid=%d ended=%d processes=%d",
			   job->number, job->parent, job->pid, job->ended,
			   atomic_read(&job->shared));
		show_kernels(m, "asked", job->asked);
		show_kernels(m, "placed", job->placed);
		seq_putc(m, '\n');
	}
	spin_unlock_irq(&jobs_lock);
	return 0;
}

static int __init pcn_job_init(void)
{
	if (pcn_machine_is_shared())
		proc_create_single("popcorn/jobs", 0444, NULL, show_jobs);
	return 0;
}
device_initcall(pcn_job_init);

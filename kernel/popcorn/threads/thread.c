// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that have to do with other kernels: their life, and finding one by its number.
 *
 * A task has a struct pcn_thread from when it may migrate until it is freed. The thread
 * gets a number when it leaves for the first time, or comes as a visitor. From then on until
 * its task ends it is in a table, and handlers of messages find it there.
 *
 * Locks: pcn_threads_lock is for lookups and for handing a message over. Inside are
 * pcn_thread.lock, siglock and that of a wait queue.
 */
#include <linux/errno.h>
#include <linux/hashtable.h>
#include <linux/init.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include <popcorn/hooks.h>
#include <popcorn/proto.h>
#include <popcorn/space.h>

#include "internal.h"

static DEFINE_HASHTABLE(threads, 8);
DEFINE_SPINLOCK(pcn_threads_lock);
static atomic_long_t threads_in_use;

/**
 * pcn_threads_in_use - how many threads have to do with other kernels
 *
 * Context: any.
 * Return: their number, which may change at any time.
 */
long pcn_threads_in_use(void)
{
	return atomic_long_read(&threads_in_use);
}

/**
 * pcn_thread_new - have what a thread needs to migrate
 * @task:	its task
 *
 * Context: process; sleeps for memory.
 * Return: the thread, not yet the task's; or NULL.
 */
struct pcn_thread *pcn_thread_new(struct task_struct *task)
{
	struct pcn_thread *t = kzalloc(sizeof(*t), GFP_KERNEL_ACCOUNT);

	if (!t)
		return NULL;
	atomic_long_inc(&threads_in_use);
	t->task = task;
	t->home = t->at = t->wanted = pcn_self();
	t->asked = PCN_NOBODY;
	init_waitqueue_head(&t->wait);
	spin_lock_init(&t->lock);
	return t;
}

/**
 * pcn_thread_of - a task as a thread that may migrate
 * @task:	the current task, or one with a reference
 *
 * Context: process; sleeps for memory.
 * Return: the thread, or NULL: no memory.
 */
struct pcn_thread *pcn_thread_of(struct task_struct *task)
{
	struct pcn_thread *t = READ_ONCE(task->popcorn), *other;

	if (t)
		return t;
	t = pcn_thread_new(task);
	if (!t)
		return NULL;
	/* Another task may do this at the same time, to bind it. */
	other = cmpxchg(&task->popcorn, NULL, t);
	if (!other)
		return t;
	atomic_long_dec(&threads_in_use);
	kfree(t);
	return other;
}

/**
 * pcn_thread_self - the current task as a thread that may migrate
 *
 * Context: process; sleeps for memory.
 * Return: the thread, or NULL: no memory.
 */
struct pcn_thread *pcn_thread_self(void)
{
	return pcn_thread_of(current);
}

/**
 * pcn_thread_find - find a thread by its number
 * @number:	the number
 * @attempt:	how often the thread has left
 *
 * A visitor may not be quite gone when the thread comes again: they differ by attempt.
 *
 * Context: pcn_threads_lock is held.
 * Return: the thread, as long as the lock is held; NULL there is none.
 */
struct pcn_thread *pcn_thread_find(u64 number, u64 attempt)
{
	struct pcn_thread *t;

	lockdep_assert_held(&pcn_threads_lock);
	hash_for_each_possible(threads, t, node, number)
		if (t->number == number && t->attempt == attempt)
			return t;
	return NULL;
}

/**
 * pcn_thread_enlist - give a thread its number, and let messages reach it
 * @t:		the thread, which has none
 * @number:	the number
 *
 * Context: process; sleeps for memory.
 * Return: 0; -ENOMEM; -EEXIST there is that attempt of a thread.
 */
int pcn_thread_enlist(struct pcn_thread *t, u64 number)
{
	int err = 0;

	if (!t->msg)
		t->msg = kzalloc(sizeof(*t->msg), GFP_KERNEL_ACCOUNT);
	if (!t->msg)
		return -ENOMEM;
	t->coherent = pcn_space_is_coherent(current->mm->popcorn);
	spin_lock(&pcn_threads_lock);
	if (pcn_thread_find(number, t->attempt)) {
		err = -EEXIST;
	} else {
		t->number = number;
		hash_add(threads, &t->node, number);
	}
	spin_unlock(&pcn_threads_lock);
	return err;
}

/**
 * pcn_thread_depart - messages from a kernel are about a thread from now on
 * @t:		the current thread
 * @kid:	the kernel that it is about to leave for
 *
 * Context: process.
 */
void pcn_thread_depart(struct pcn_thread *t, unsigned int kid)
{
	/* Handlers look for it by the attempt. */
	spin_lock(&pcn_threads_lock);
	t->attempt++;
	t->end = PCN_THREAD_NONE;
	t->at = kid;
	pcn_thread_open(t);
	spin_unlock(&pcn_threads_lock);
}

/**
 * pcn_thread_forget - a visitor has no thread any more
 * @t:	the current thread, which has told its shadow
 *
 * From now on no message reaches it. What was learnt of waiting stays: the next thread is the same
 * one, as a rule.
 *
 * Context: process.
 */
void pcn_thread_forget(struct pcn_thread *t)
{
	spin_lock(&pcn_threads_lock);
	hash_del(&t->node);
	spin_unlock(&pcn_threads_lock);
	t->number = 0;
	t->op = PCN_THREAD_NONE;
	t->end = PCN_THREAD_NONE;
	t->open = false;
	t->command = PCN_THREAD_NONE;
	t->futex_since = 0;
	t->calls = 0;
	t->hold = (struct pcn_hold_thread) {};
}

/**
 * pcn_task_exit - a task ends
 * @p:	the current task
 *
 * Context: process.
 */
void pcn_task_exit(struct task_struct *p)
{
	struct pcn_thread *t = p->popcorn;

	if (!t)
		return;
	pcn_spread_end(t);
	if (!t->number)
		return;
	spin_lock(&pcn_threads_lock);
	hash_del(&t->node);
	spin_unlock(&pcn_threads_lock);
	if (t->visitor)
		pcn_visitor_end(t);
	else if (t->at != pcn_self())
		pcn_shadow_end(t);
	t->number = 0;
}

/**
 * pcn_task_free - a task is freed
 * @p:	the task
 *
 * Context: any.
 */
void pcn_task_free(struct task_struct *p)
{
	struct pcn_thread *t = p->popcorn;

	if (!t)
		return;
	pcn_placement_put(t->placement);
	kfree(t->msg);
	pcn_reserve_empty(&t->reserve);
	atomic_long_dec(&threads_in_use);
	kfree(t);
}

/* Most system calls are short: one that sleeps for that long may do so for ever. */
#define LONG_CALL_MS	500

/**
 * pcn_thread_waits - does a thread that is away need no CPU there?
 * @t:	a thread of this kernel
 *
 * One that has slept for a while in a system call, which is done here, does not. A shadow that
 * is ready to run is about to go on, however long it has been without a CPU.
 *
 * Context: any; @t does not end.
 */
bool pcn_thread_waits(const struct pcn_thread *t)
{
	unsigned long since = READ_ONCE(t->call_since);

	return since && !task_is_running(t->task) &&
	       time_after(jiffies, since + msecs_to_jiffies(LONG_CALL_MS));
}

/**
 * pcn_threads_subtract - take off the threads of this kernel that run elsewhere
 * @room:	a number for each kernel, to be made less by its threads
 *
 * But not those that spread.c has a list of, and counts.
 *
 * Context: process.
 */
void pcn_threads_subtract(int *room)
{
	struct pcn_thread *t;
	unsigned int i;

	spin_lock(&pcn_threads_lock);
	hash_for_each(threads, i, t, node)
		if (!t->visitor && !pcn_spread_lists(t) && t->at != pcn_self() &&
		    !pcn_thread_waits(t))
			room[t->at]--;
	spin_unlock(&pcn_threads_lock);
}

/* --- ends of other kernels --- */

/* The other halves of these threads are gone. */
static void thread_peer_down(struct pcn_peer_notifier *watch, unsigned int kid)
{
	struct pcn_thread *t;
	unsigned int i;

	spin_lock(&pcn_threads_lock);
	hash_for_each(threads, i, t, node) {
		if (t->visitor && t->home == kid)
			send_sig(SIGKILL, t->task, 1);
		else if (!t->visitor && t->at == kid)
			pcn_thread_end_messages(t, PCN_THREAD_LOST);
	}
	spin_unlock(&pcn_threads_lock);
}

static struct pcn_peer_notifier watch = { .down = thread_peer_down };

/* --- /proc/popcorn/threads --- */

static int show_threads(struct seq_file *m, void *v)
{
	struct pcn_thread *t;
	unsigned int i;

	seq_puts(m, "process tgid tid role kernel migrations calls visits memory comm\n");
	spin_lock(&pcn_threads_lock);
	hash_for_each(threads, i, t, node)
		seq_printf(m, "%llx %d %d %s %u %llu %llu %llu %s %s\n",
			   t->process, t->task->tgid, t->task->pid,
			   t->visitor ? "visitor" :
			   t->at == pcn_self() ? "home" : "shadow",
			   t->visitor ? pcn_self() : t->at, t->migrations,
			   t->calls, t->visits, t->coherent ? "coherent" : "replicated",
			   t->task->comm);
	spin_unlock(&pcn_threads_lock);
	return 0;
}

static int __init pcn_thread_init(void)
{
	struct proc_dir_entry *dir;
	int err;

	if (!pcn_machine_is_shared())
		return 0;
	err = pcn_msg_register(&pcn_thread_type);
	if (err)
		return err;
	dir = proc_mkdir("popcorn", NULL);
	if (dir)
		proc_create_single("threads", 0444, dir, show_threads);
	return pcn_peers_subscribe(&watch);
}
fs_initcall(pcn_thread_init);

// SPDX-License-Identifier: GPL-2.0
/*
 * Threads by number, and the messages between a shadow and its visitor.
 *
 * A thread with a number is in a table. A handler finds it there and copies the message
 * into the thread's own buffer. At most one message is under way in each direction,
 * except that a command may cross a CALL, which is then stale. A command, and the news
 * of a visitor's end, need no buffer.
 *
 * Locks: threads_lock is for lookups and for handing a message over. Inside are
 * pcn_thread.lock, siglock and that of a wait queue.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/errno.h>
#include <linux/hash.h>
#include <linux/hashtable.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/proc_fs.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include <popcorn/cpus.h>
#include <popcorn/hooks.h>
#include <popcorn/space.h>
#include <popcorn/stats.h>

#include "internal.h"

static DEFINE_HASHTABLE(threads, 8);
static DEFINE_SPINLOCK(threads_lock);
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

/* A visitor may not be quite gone when the thread comes again: they differ by attempt. */
static struct pcn_thread *find_thread(u64 number, u64 attempt)
{
	struct pcn_thread *t;

	lockdep_assert_held(&threads_lock);
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

	t->msg = kzalloc(sizeof(*t->msg), GFP_KERNEL_ACCOUNT);
	if (!t->msg)
		return -ENOMEM;
	spin_lock(&threads_lock);
	if (find_thread(number, t->attempt)) {
		err = -EEXIST;
	} else {
		t->number = number;
		hash_add(threads, &t->node, number);
	}
	spin_unlock(&threads_lock);
	return err;
}

/**
 * pcn_thread_head - say which thread a message is about
 * @t:	the current thread
 * @m:	the message
 * @op:	what it says
 *
 * Context: any.
 */
void pcn_thread_head(const struct pcn_thread *t, struct pcn_thread_msg *m, u32 op)
{
	m->thread = t->number;
	m->process = t->process;
	m->attempt = t->attempt;
	m->op = op;
}

static unsigned int other_half(const struct pcn_thread *t)
{
	return t->visitor ? t->home : t->at;
}

/**
 * pcn_thread_send - send the thread's message to its other half, waiting for room
 * @t:		the current thread
 * @whole:	all of the message, not only up to the general registers
 *
 * Takes no memory.
 *
 * Context: process; sleeps, killably.
 * Return: 0; errors of pcn_msg_send().
 */
int pcn_thread_send(struct pcn_thread *t, bool whole)
{
	u32 length = whole ? pcn_thread_msg_size(t->msg) : PCN_THREAD_MSG_CALL;

	return pcn_msg_send(other_half(t), PCN_CONTROL, PCN_TYPE_THREAD, t->msg,
			    length);
}

/**
 * pcn_thread_post - send a message without registers, without waiting
 * @t:	the current thread
 * @op:	what it says
 *
 * It cannot fail for want of memory or room, as long as the thread's reserve lasts.
 *
 * Context: process; does not wait.
 * Return: 0; -EHOSTDOWN, -EPROTO: the other half is gone, or going.
 */
int pcn_thread_post(struct pcn_thread *t, u32 op)
{
	/* The whole message has no place on the stack. */
	u64 words[PCN_THREAD_MSG_CALL / sizeof(u64)] = {};
	struct pcn_thread_msg *m = (struct pcn_thread_msg *)words;

	pcn_thread_head(t, m, op);
	return pcn_msg_post_from(&t->reserve, other_half(t), PCN_CONTROL,
				 PCN_TYPE_THREAD, m, PCN_THREAD_MSG_CALL);
}

/**
 * pcn_thread_open - be ready for the next message
 * @t:	the current thread, which does not need the last one any more
 *
 * Context: process. What is in pcn_thread.msg may be overwritten from now on, unless it
 * is sent before.
 */
void pcn_thread_open(struct pcn_thread *t)
{
	spin_lock(&t->lock);
	t->op = PCN_THREAD_NONE;
	t->open = true;
	spin_unlock(&t->lock);
}

/**
 * pcn_thread_take - look at what has come
 * @t:	the current thread
 *
 * Context: process. A message stays in pcn_thread.msg until pcn_thread_open().
 * Return: enum pcn_thread_msg_type; PCN_THREAD_NONE nothing has.
 */
u32 pcn_thread_take(struct pcn_thread *t)
{
	u32 op;

	spin_lock(&t->lock);
	op = t->op;
	if (op == PCN_THREAD_NONE)
		op = t->end;
	else
		t->open = false;
	spin_unlock(&t->lock);
	return op;
}

/**
 * pcn_thread_has_news - is there something to be taken?
 * @t:	the current thread
 *
 * Context: any.
 */
bool pcn_thread_has_news(const struct pcn_thread *t)
{
	return READ_ONCE(t->op) != PCN_THREAD_NONE ||
	       READ_ONCE(t->end) != PCN_THREAD_NONE;
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
	spin_lock(&threads_lock);
	t->attempt++;
	t->end = PCN_THREAD_NONE;
	t->at = kid;
	pcn_thread_open(t);
	spin_unlock(&threads_lock);
}

static bool thread_wait_is_over(const void *arg)
{
	const struct pcn_thread *t = arg;

	return pcn_thread_has_news(t) || READ_ONCE(t->command) ||
	       (!t->visitor && READ_ONCE(t->moved));
}

/**
 * pcn_thread_wait - wait for the other half, or to be sent elsewhere
 * @t:		the current thread
 * @state:	TASK_KILLABLE or TASK_INTERRUPTIBLE
 *
 * Context: process; sleeps.
 * Return: 0: a message, a command or pcn_thread.moved; -ERESTARTSYS: a signal.
 */
int pcn_thread_wait(struct pcn_thread *t, unsigned int state)
{
	u64 since = ktime_get_ns();
	int err;

	pcn_msg_poll_until(&t->linger, thread_wait_is_over, t);
	err = wait_event_state(t->wait, thread_wait_is_over(t), state);
	pcn_linger_learn(&t->linger, ktime_get_ns() - since);
	return err;
}

/* How long a thread has a page that others want too: at first, and at most. */
#define HOLD_NS		(20 * NSEC_PER_USEC)
#define HOLD_SHIFT_MAX	8

/**
 * pcn_thread_hold_ns - how long the current thread is to have a page that others want
 * @page:	number of the page
 * @of_use:	the last time that it was here, it was used, in user mode
 * @several:	set if there is reason to think that it needs other pages with it
 *
 * It grows while the same instruction, or system call, needs more pages: in the end
 * it has all at once. Nor is a page of any use that is gone before the thread has
 * come to use it. But an instruction that again needs the page that it needed last,
 * and used, has been completed meanwhile: the others that it needs, if any, were
 * there, or it would have asked for them since. It is in a loop, with each turn in
 * which time for others has to be.
 *
 * Context: process, in a page fault.
 * Return: nanoseconds.
 */
u64 pcn_thread_hold_ns(u64 page, bool of_use, bool *several)
{
	struct pcn_thread *t = current->popcorn;
	unsigned long ip;

	*several = true;
	if (!t)
		return HOLD_NS << (HOLD_SHIFT_MAX / 2);
	ip = instruction_pointer(task_pt_regs(current));
	if (ip != t->hold_ip || (of_use && page == t->hold_page))
		t->hold_shift = 0;
	else if (t->hold_shift < HOLD_SHIFT_MAX)
		t->hold_shift++;
	t->hold_ip = ip;
	t->hold_page = page;
	*several = t->hold_shift > 0;
	return (u64)HOLD_NS << t->hold_shift;
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
	t->hold_ip = 0;
	fault_in_safe_writeable(stack, 1);
	t->hold_ip = 0;
}

static bool is_command(u32 op)
{
	return op == PCN_THREAD_RECALL || op == PCN_THREAD_DIE;
}

/* As if it alone had been sent SIGKILL: it ends whatever it waits for. */
static void make_die(struct task_struct *p)
{
	unsigned long flags;

	if (!lock_task_sighand(p, &flags))
		return;
	sigaddset(&p->pending.signal, SIGKILL);
	signal_wake_up(p, true);
	unlock_task_sighand(p, &flags);
}

/* A thread that is in user mode has to come out of it. */
static void thread_command(struct pcn_thread *t, u32 op)
{
	WRITE_ONCE(t->command, op);
	if (op == PCN_THREAD_DIE)
		make_die(t->task);
	else
		set_notify_signal(t->task);
	wake_up(&t->wait);
}

/* One that is being looked at stays as it is. */
static void thread_hand_over(struct pcn_thread *t, const struct pcn_message *msg)
{
	const struct pcn_thread_msg *m = msg->payload;

	spin_lock(&t->lock);
	if (t->open) {
		memcpy(t->msg, m, msg->length);
		WRITE_ONCE(t->op, m->op);
	}
	spin_unlock(&t->lock);
	wake_up(&t->wait);
}

/* There will be no message any more. */
static void thread_end(struct pcn_thread *t, u32 op)
{
	spin_lock(&t->lock);
	if (t->end == PCN_THREAD_NONE)
		WRITE_ONCE(t->end, op);
	spin_unlock(&t->lock);
	wake_up(&t->wait);
}

/* Is it one that a shadow, or a visitor, may send to the other, of the right size? */
static bool thread_msg_is_valid(const struct pcn_message *msg)
{
	const struct pcn_thread_msg *m = msg->payload;

	if (msg->length < PCN_THREAD_MSG_CALL)
		return false;
	switch (m->op) {
	case PCN_THREAD_HOME:
		return pcn_thread_msg_is_whole(msg) && m->reason < PCN_HOME_REASONS;
	case PCN_THREAD_REFUSED:
		return msg->length == PCN_THREAD_MSG_CALL && m->reason &&
		       m->reason <= MAX_ERRNO;
	case PCN_THREAD_CALL:
	case PCN_THREAD_GONE:
	case PCN_THREAD_RESULT:
	case PCN_THREAD_REJOIN:
	case PCN_THREAD_RECALL:
	case PCN_THREAD_DIE:
		return msg->length == PCN_THREAD_MSG_CALL;
	default:
		return false;
	}
}

static bool is_for_visitor(u32 op)
{
	return is_command(op) || op == PCN_THREAD_RESULT || op == PCN_THREAD_REJOIN;
}

static void thread_deliver(struct pcn_thread *t, const struct pcn_message *msg)
{
	const struct pcn_thread_msg *m = msg->payload;

	lockdep_assert_held(&threads_lock);
	/* A command that is too late is for an attempt that is over. */
	if (msg->kid != other_half(t) || is_for_visitor(m->op) != t->visitor)
		return;
	if (is_command(m->op))
		thread_command(t, m->op);
	else if (m->op == PCN_THREAD_GONE)
		thread_end(t, PCN_THREAD_GONE);
	else
		thread_hand_over(t, msg);
}

static void thread_on_message(const struct pcn_message *msg)
{
	const struct pcn_thread_msg *m = msg->payload;
	struct pcn_thread *t;

	if (!thread_msg_is_valid(msg)) {
		pr_err_ratelimited("dropped a malformed thread message from kernel %u\n",
				   msg->kid);
		return;
	}
	if (is_command(m->op) && pcn_arrival_cancel(msg))
		return;
	spin_lock(&threads_lock);
	t = find_thread(m->thread, m->attempt);
	if (t)
		thread_deliver(t, msg);
	spin_unlock(&threads_lock);
}

static const struct pcn_msg_type thread_type = {
	.name		= "thread",
	.channel	= PCN_CONTROL,
	.type		= PCN_TYPE_THREAD,
	.handle		= thread_on_message,
};

/* The other halves of these threads are gone. */
static void thread_peer_down(struct pcn_peer_notifier *watch, unsigned int kid)
{
	struct pcn_thread *t;
	unsigned int i;

	spin_lock(&threads_lock);
	hash_for_each(threads, i, t, node) {
		if (t->visitor && t->home == kid)
			send_sig(SIGKILL, t->task, 1);
		else if (!t->visitor && t->at == kid)
			thread_end(t, PCN_THREAD_LOST);
	}
	spin_unlock(&threads_lock);
}

static struct pcn_peer_notifier watch = { .down = thread_peer_down };

/* --- the life of a task --- */

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

	if (!t || !t->number)
		return;
	spin_lock(&threads_lock);
	hash_del(&t->node);
	spin_unlock(&threads_lock);
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

/* --- /proc/popcorn/threads --- */

static int show_threads(struct seq_file *m, void *v)
{
	struct pcn_thread *t;
	unsigned int i;

	seq_puts(m, "process tgid tid role kernel migrations calls visits comm\n");
	spin_lock(&threads_lock);
	hash_for_each(threads, i, t, node)
		seq_printf(m, "%llx %d %d %s %u %llu %llu %llu %s\n",
			   t->process, t->task->tgid, t->task->pid,
			   t->visitor ? "visitor" :
			   t->at == pcn_self() ? "home" : "shadow",
			   t->visitor ? pcn_self() : t->at, t->migrations,
			   t->calls, t->visits, t->task->comm);
	spin_unlock(&threads_lock);
	return 0;
}

static int __init pcn_thread_init(void)
{
	struct proc_dir_entry *dir;
	int err;

	if (!pcn_machine_is_shared())
		return 0;
	err = pcn_msg_register(&thread_type);
	if (err)
		return err;
	dir = proc_mkdir("popcorn", NULL);
	if (dir)
		proc_create_single("threads", 0444, dir, show_threads);
	return pcn_peers_subscribe(&watch);
}
fs_initcall(pcn_thread_init);

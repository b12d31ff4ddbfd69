/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Threads that run on another kernel than the one they belong to.
 *
 * The task at the origin, the *shadow*, keeps the thread's identity and does its
 * system calls; a *visitor* on the other kernel runs its user code. They know each
 * other by a number that is never used again, and take turns: either the shadow
 * waits for its visitor, or the visitor for an answer. What one sends while the
 * other has the turn is a command, and overrides what it waits for.
 *
 * No thread runs twice. Each time that it leaves is an *attempt*, with a number that
 * all messages about it carry, and the shadow waits until it has learnt how the attempt
 * has ended, however long that takes:
 *
 *	REFUSED		no visitor has been in user mode, and none will be: the thread
 *			goes on at home as if it had never left
 *	HOME		the visitor has sent its state, and does not go on
 *	GONE		the visitor is dying, the state is lost: so is the thread
 *	LOST		the other kernel or the link is down: likewise
 *
 * ARRIVE either goes into the ring, or has failed and is never seen. The kernel that
 * takes it out of the ring answers with one of the first three, once, and no lack of
 * memory or room prevents that. A shadow that does not want to wait so long sends a
 * command for the attempt, behind the ARRIVE. The command meets the arrival, which is
 * then refused, or the visitor: see pcn_arrival_cancel(). A shadow that is killed ends
 * only when the attempt has.
 */
#ifndef _KERNEL_POPCORN_THREADS_INTERNAL_H
#define _KERNEL_POPCORN_THREADS_INTERNAL_H

#include <linux/align.h>
#include <linux/bitmap.h>
#include <linux/list.h>
#include <linux/preempt.h>
#include <linux/refcount.h>
#include <linux/signal_types.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

#include <popcorn/core.h>
#include <popcorn/hold.h>
#include <popcorn/msg.h>
#include <popcorn/partition.h>
#include <popcorn/thread.h>

struct pcn_job;

/** PCN_COMMANDS - RECALL and then DIE: what a shadow sends for sure in an attempt */
#define PCN_COMMANDS	2

/**
 * pcn_thread_msg_size - the size of a message with the whole state
 * @m:	the message, whose xsize is right
 *
 * Context: any.
 * Return: bytes.
 */
static inline u32 pcn_thread_msg_size(const struct pcn_thread_msg *m)
{
	return offsetof(struct pcn_thread_msg, xstate) + ALIGN(m->xsize, 8);
}

/**
 * pcn_thread_msg_is_whole - has a message that came the whole state, and nothing more?
 * @msg:	the message, of any length; its payload is a struct pcn_thread_msg
 *
 * Context: any.
 */
static inline bool pcn_thread_msg_is_whole(const struct pcn_message *msg)
{
	const struct pcn_thread_msg *m = msg->payload;

	return msg->length >= offsetof(struct pcn_thread_msg, xstate) &&
	       m->xsize <= PCN_XSTATE_MAX && msg->length == pcn_thread_msg_size(m);
}

/** PCN_PLACES_MAX - kernels in the list of a placement */
#define PCN_PLACES_MAX	64

/**
 * struct pcn_placement - where the threads of a process start
 * @refs:	threads that refer to it
 * @job:	counts which of them did
 * @next:	number of the next thread
 * @count:	entries of @kid
 * @flags:	PCN_PLACE_*
 * @kid:	thread n starts on kid[n % count]
 */
struct pcn_placement {
	refcount_t	refs;
	struct pcn_job	*job;
	atomic_t	next;
	unsigned int	count;
	unsigned int	flags;
	u8		kid[PCN_PLACES_MAX];
};

/**
 * struct pcn_spread - a process that may be moved for want of CPUs: spread.c
 * @node:	among all of them, or none
 * @since:	beginning of the period that its thread is watched in, ns
 * @ran:	for how long it had run by then, ns
 * @waits:	and how often it had waited
 */
struct pcn_spread {
	struct list_head	node;
	u64			since;
	u64			ran;
	unsigned long		waits;
};

/**
 * struct pcn_thread - a thread that has migrated, or may
 * @node:	among those with a number
 * @number:	the same for shadow and visitor; 0 if it has never been away
 * @task:	the task here
 * @process:	number of the process; 0 likewise
 * @attempt:	how often it has left; of a visitor its shadow's
 * @counted:	this attempt was counted as that which has placed it
 * @visitor:	is it a visitor?
 * @coherent:	its process has coherent memory
 * @arriving:	a visitor that has not been in user mode yet
 * @left:	a visitor that has told its shadow of its end
 * @home:	where the shadow is
 * @at:		where the thread runs
 * @wanted:	where it is to run
 * @moved:	@wanted, or the rest of what it is bound to, has changed
 * @bound:	it has an affinity to CPUs of the machine, @cpus
 * @cpus:	the machine's numbers
 * @places:	kernels that @placement names, none without one
 * @spreads:	it is the first thread of a child, and may be moved
 * @spread:	then
 * @asked:	where it is to start, PCN_NOBODY once it has
 * @placement:	or NULL
 * @wait:	the task, for @op or @command
 * @lock:	protects @op, @end, @open, and @msg while @open
 * @op:		what has come in @msg, PCN_THREAD_NONE if nothing has
 * @end:	of a shadow: PCN_THREAD_GONE or PCN_THREAD_LOST, or none. Read it after
 *		@op, which has come before
 * @open:	the next message goes to @msg. Not as long as the thread looks at what
 *		is there: it is checked and used without another copy.
 * @command:	PCN_THREAD_RECALL or PCN_THREAD_DIE, or none; visitors
 * @msg:	the message
 * @reserve:	memory for commands, or for PCN_THREAD_GONE
 * @switches:	of a visitor: called when its CPU begins and ends to run it
 * @linger:	for how long it looks for that by itself
 * @futex_linger: for how long it looks at the word of a futex before it waits
 * @futex_since: when it has begun to, ns, or 0
 * @rseq:	registration of restartable sequences while the thread is away
 * @rseq_len:	its length
 * @rseq_sig:	its signature
 * @hold:	how often it has faulted without progress
 * @migrations:	how often it has left
 * @calls:	system calls done for it while it was away
 * @call_since:	of a shadow: when the one that it does began, jiffies; 0: it does none
 * @visits:	how often it came home for one thing, to leave again
 * @left_at:	shadow: when it left, ns
 * @stay_until:	shadow: when it may leave, ns; 0: at once
 * @stay_ns:	shadow: for how long it stays if it comes home for an access
 */
struct pcn_thread {
	struct hlist_node	node;
	u64			number;
	struct task_struct	*task;
	u64			process;
	u64			attempt;
	bool			counted;
	bool			visitor;
	bool			coherent;
	bool			arriving;
	bool			left;
	unsigned int		home;
	unsigned int		at;
	unsigned int		wanted;
	bool			moved;
	bool			bound;
	DECLARE_BITMAP(cpus, PCN_CPU_LIMIT);
	u64			places;
	bool			spreads;
	struct pcn_spread	spread;
	unsigned int		asked;
	struct pcn_placement	*placement;
	wait_queue_head_t	wait;
	spinlock_t		lock;
	u32			op;
	u32			end;
	bool			open;
	u32			command;
	struct pcn_thread_msg	*msg;
	struct pcn_reserve	reserve;
	struct preempt_notifier	switches;
	struct pcn_linger	linger;
	struct pcn_linger	futex_linger;
	u64			futex_since;
	void __user		*rseq;
	u32			rseq_len;
	u32			rseq_sig;
	struct pcn_hold_thread	hold;
	u64			migrations;
	u64			calls;
	unsigned long		call_since;
	u64			visits;
	u64			left_at;
	u64			stay_until;
	u64			stay_ns;
};

/* thread.c */
extern spinlock_t pcn_threads_lock;
struct pcn_thread *pcn_thread_new(struct task_struct *task);
struct pcn_thread *pcn_thread_of(struct task_struct *task);
struct pcn_thread *pcn_thread_self(void);
struct pcn_thread *pcn_thread_find(u64 number, u64 attempt);
int pcn_thread_enlist(struct pcn_thread *t, u64 number);
void pcn_thread_depart(struct pcn_thread *t, unsigned int kid);
void pcn_thread_forget(struct pcn_thread *t);
long pcn_threads_in_use(void);
bool pcn_thread_waits(const struct pcn_thread *t);
void pcn_threads_subtract(int *room);

/* thread_msg.c */
extern const struct pcn_msg_type pcn_thread_type;
void pcn_thread_head(const struct pcn_thread *t, struct pcn_thread_msg *m, u32 op);
int pcn_thread_send(struct pcn_thread *t, u32 length);
int pcn_thread_post(struct pcn_thread *t, u32 op);
void pcn_thread_open(struct pcn_thread *t);
u32 pcn_thread_take(struct pcn_thread *t);
bool pcn_thread_has_news(const struct pcn_thread *t);
int pcn_thread_wait(struct pcn_thread *t, unsigned int state);
void pcn_thread_end_messages(struct pcn_thread *t, u32 op);

/* thread_pages.c */
u64 pcn_thread_hold_ns(u64 page, bool of_use);
void pcn_thread_want_stack(struct pcn_thread *t);

/* fork.c */
void pcn_placement_put(struct pcn_placement *p);

/* futex.c */
bool pcn_futex_is(long nr);
bool pcn_futex_look(struct pcn_thread *t, struct pt_regs *regs);
void pcn_futex_learn(struct pcn_thread *t);

/* shadow.c, visitor.c */
void pcn_shadow_leave(struct pcn_thread *t, struct pt_regs *regs);
void pcn_shadow_end(struct pcn_thread *t);
bool pcn_shadow_stays(const struct pcn_thread *t);
bool pcn_exception_info(const struct pcn_thread_msg *m, kernel_siginfo_t *to);
void pcn_shadow_forget_stay(struct pcn_thread *t);
int pcn_visitor_start(void *arrival);
long pcn_visitor_call(struct pcn_thread *t, struct pt_regs *regs, long nr);
void pcn_visitor_go(struct pcn_thread *t, struct pt_regs *regs);
void pcn_visitor_end(struct pcn_thread *t);

/**
 * struct pcn_arrival - a visitor that is to be
 * @node:	in the keeper's list; then among those that are about to run
 * @kid:	the origin
 * @cancelled:	its shadow has sent a command: it must not run
 * @reserve:	memory for PCN_THREAD_REFUSED
 * @msg:	its state
 */
struct pcn_arrival {
	struct list_head	node;
	unsigned int		kid;
	bool			cancelled;
	struct pcn_reserve	reserve;
	struct pcn_thread_msg	msg;
};

/**
 * pcn_number_kernel - the kernel that has given a number
 * @number:	from pcn_number_new()
 */
static inline unsigned int pcn_number_kernel(u64 number)
{
	return number >> 56;
}

/**
 * pcn_number_new - number something that other kernels will know of
 * @n:	which one it is here, from 1
 *
 * Its top byte is this kernel's, the two below are those of this life: others may
 * still have something from the last one, which did not end in peace.
 *
 * Return: a number that no other kernel gives, and no other life of this one.
 */
static inline u64 pcn_number_new(u64 n)
{
	return (u64)pcn_self() << 56 | (u64)(u16)pcn_life() << 40 | n;
}

/* process.c, share.c, members.c */
long pcn_processes_in_use(void);
int pcn_process_share(u64 *number);
int pcn_process_host(u64 number, unsigned int kid);
u64 pcn_process_members(struct task_struct *task);

/* arrival.c */
int pcn_arrival_end(struct pcn_arrival *a, int err);
bool pcn_arrival_cancel(const struct pcn_message *msg);

/* idle.c */
struct pcn_arrival *pcn_idle_wait(u64 number);

/* keeper.c */
void pcn_block_signals(void);

/* syscall.c */
int pcn_thread_may_go(unsigned int kid);

/* job.c */
struct pcn_job *pcn_job_new(struct pcn_job *parent);
struct pcn_job *pcn_job_get(struct pcn_job *job);
void pcn_job_put(struct pcn_job *job);
u64 pcn_job_share(void);
void pcn_job_ask(struct pcn_thread *t);
void pcn_count_leave(struct pcn_thread *t, int err);
void pcn_count_refusal(struct pcn_thread *t);
void pcn_count_return(struct pcn_thread *t, u32 op);
void pcn_count_arrive(struct pcn_thread *t);
void pcn_count_call(struct pcn_thread *t, long nr);
void pcn_count_home(struct pcn_thread *t, unsigned int reason);

/* spread.c */
void pcn_spread_begin(struct pcn_thread *t);
void pcn_spread_end(struct pcn_thread *t);
bool pcn_spread_lists(const struct pcn_thread *t);

/* affinity.c */
void pcn_thread_move(struct pcn_thread *t, unsigned int kid);
void pcn_affinity_inherit(struct pcn_thread *t, struct pcn_thread *old);
unsigned int pcn_affinity_place(struct pcn_thread *t, unsigned int kid);
void pcn_affinity_lift(struct pcn_thread *t);
void pcn_affinity_get(struct pcn_thread *t, u64 *cpus);
void pcn_affinity_visit(struct pcn_thread *t, const u64 *cpus);

#endif /* _KERNEL_POPCORN_THREADS_INTERNAL_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * The messages between a shadow and its visitor.
 *
 * A handler looks for the thread and copies the message into the thread's own buffer. At
 * most one message is under way in each direction, except that a command may cross a
 * CALL, which is then stale. A command, and the news of a visitor's end, need no buffer.
 *
 * The thread *opens* its buffer before it waits, and *takes* what has come, which then
 * stays as it is until the buffer is opened again: the message is checked and used without
 * another copy.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/wait.h>

#include <popcorn/space.h>
#include <popcorn/stats.h>

#include "internal.h"

/* --- what a thread sends --- */

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
 * @length:	of the message, bytes
 *
 * Takes no memory.
 *
 * Context: process; sleeps, killably.
 * Return: 0; errors of pcn_msg_send().
 */
int pcn_thread_send(struct pcn_thread *t, u32 length)
{
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

/* --- what it waits for --- */

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

/* --- what comes --- */

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

/**
 * pcn_thread_end_messages - there will be no message for a thread any more
 * @t:	the thread
 * @op:	PCN_THREAD_GONE or PCN_THREAD_LOST
 *
 * The thread learns of it when it has taken what has come before. Of several calls the
 * first one counts.
 *
 * Context: pcn_threads_lock is held.
 */
void pcn_thread_end_messages(struct pcn_thread *t, u32 op)
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
	case PCN_THREAD_RESULT:
		return m->reason <= 1 &&
		       msg->length == (m->reason ? PCN_THREAD_MSG_VMA :
						   PCN_THREAD_MSG_CALL);
	case PCN_THREAD_CALL:
		return m->reason <= 1 && msg->length == PCN_THREAD_MSG_CALL;
	case PCN_THREAD_GONE:
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

	lockdep_assert_held(&pcn_threads_lock);
	/* A command that is too late is for an attempt that is over. */
	if (msg->kid != other_half(t) || is_for_visitor(m->op) != t->visitor)
		return;
	if (is_command(m->op))
		thread_command(t, m->op);
	else if (m->op == PCN_THREAD_GONE)
		pcn_thread_end_messages(t, PCN_THREAD_GONE);
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
	if (m->op == PCN_THREAD_CALL && m->reason)
		pcn_space_given_up(m->process, msg->kid, m->given_first, m->given_last);
	spin_lock(&pcn_threads_lock);
	t = pcn_thread_find(m->thread, m->attempt);
	if (t)
		thread_deliver(t, msg);
	spin_unlock(&pcn_threads_lock);
}

const struct pcn_msg_type pcn_thread_type = {
	.name		= "thread",
	.channel	= PCN_CONTROL,
	.type		= PCN_TYPE_THREAD,
	.handle		= thread_on_message,
};

// SPDX-License-Identifier: GPL-2.0
/*
 * Arrivals: visitors between the message that brings them and user mode.
 *
 * An arrival is the state of a thread, as PCN_TYPE_ARRIVE has brought it. If there is an
 * idle visitor (idle.c) that becomes the thread's. Otherwise the arrival waits in the list
 * of its process; then it is *arriving* while the keeper (keeper.c) makes a task of it. It
 * ends with pcn_arrival_end(): either the visitor runs, or its shadow is told that there
 * will be no visitor. One of the two happens, once (internal.h), and no lack of memory
 * prevents it. An arrival carries the memory for the refusal, and the message is taken out
 * of the ring only when there is an arrival to put it in.
 *
 * A command for a thread that is still on its way meets its arrival, and cancels it.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/errno.h>
#include <linux/lockdep.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/wait.h>

#include "internal.h"
#include "process.h"

/* Those of all processes of which visitors are being made; pcn_processes_lock. */
static LIST_HEAD(arriving);

/**
 * pcn_arrival_next - the keeper takes the next visitor that is to be
 * @p:	its process
 *
 * Context: process.
 * Return: the arrival, to be given to pcn_arrival_end(); or NULL.
 */
struct pcn_arrival *pcn_arrival_next(struct pcn_process *p)
{
	struct pcn_arrival *a;

	spin_lock(&pcn_processes_lock);
	a = list_first_entry_or_null(&p->arrivals, struct pcn_arrival, node);
	if (a)
		list_move_tail(&a->node, &arriving);
	spin_unlock(&pcn_processes_lock);
	return a;
}

/* Tell the shadow that there will be no visitor. A handler needs no reserve for it. */
static void arrival_refuse(unsigned int kid, const struct pcn_thread_msg *arrival,
			   int err, struct pcn_reserve *reserve)
{
	/* The whole message has no place on the stack. */
	u64 words[PCN_THREAD_MSG_CALL / sizeof(u64)] = {};
	struct pcn_thread_msg *m = (struct pcn_thread_msg *)words;

	m->thread = arrival->thread;
	m->process = arrival->process;
	m->attempt = arrival->attempt;
	m->op = PCN_THREAD_REFUSED;
	m->reason = -err;
	pcn_msg_post_from(reserve, kid, PCN_CONTROL, PCN_TYPE_THREAD, m,
			  PCN_THREAD_MSG_CALL);
}

/**
 * pcn_arrival_end - a visitor runs, or cannot
 * @a:		its arrival, which is freed
 * @err:	0: messages reach it, see pcn_thread_enlist(); or why not
 *
 * From now on commands are for the visitor.
 *
 * Context: process.
 * Return: 0: it runs; otherwise it does not, and its shadow has been told: @err, or
 * -ECANCELED.
 */
int pcn_arrival_end(struct pcn_arrival *a, int err)
{
	spin_lock(&pcn_processes_lock);
	list_del(&a->node);
	if (!err && a->cancelled)
		err = -ECANCELED;
	spin_unlock(&pcn_processes_lock);
	if (err)
		arrival_refuse(a->kid, &a->msg, err, &a->reserve);
	pcn_reserve_empty(&a->reserve);
	kfree(a);
	return err;
}

static struct pcn_arrival *find_arrival(struct list_head *list,
					const struct pcn_message *msg)
{
	const struct pcn_thread_msg *m = msg->payload;
	struct pcn_arrival *a;

	lockdep_assert_held(&pcn_processes_lock);
	list_for_each_entry(a, list, node)
		if (a->kid == msg->kid && a->msg.thread == m->thread &&
		    a->msg.attempt == m->attempt)
			return a;
	return NULL;
}

/**
 * pcn_arrival_cancel - a command has come: stop the visitor that it is for on its way
 * @msg:	the command
 *
 * It has come behind the arrival. If that is not here any more, messages reach the
 * visitor, or have: the caller looks for that then. A visitor that this has met does not
 * enter user mode.
 *
 * Context: any but interrupt; does not sleep.
 * Return: is it done?
 */
bool pcn_arrival_cancel(const struct pcn_message *msg)
{
	const struct pcn_thread_msg *m = msg->payload;
	struct pcn_arrival *a = NULL;
	struct pcn_process *p;

	spin_lock(&pcn_processes_lock);
	p = pcn_process_find(m->process);
	if (p)
		a = find_arrival(&p->arrivals, msg);
	if (!a)
		a = find_arrival(&arriving, msg);
	if (a)
		a->cancelled = true;
	spin_unlock(&pcn_processes_lock);
	return a;
}

/* Memory for the next arrival; the poll's. */
static struct pcn_arrival *spare_arrival;

/**
 * pcn_arrival_ready - is there memory for the next arrival, and for a refusal?
 *
 * Context: the poll; does not sleep.
 */
bool pcn_arrival_ready(void)
{
	const gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN;

	if (!spare_arrival)
		spare_arrival = kzalloc(sizeof(*spare_arrival), gfp);
	return spare_arrival && pcn_reserve_fill(&spare_arrival->reserve, 1, gfp);
}

static void hand_to_keeper(struct pcn_process *p, struct pcn_arrival *a)
{
	list_add_tail(&a->node, &p->arrivals);
	wake_up(&p->wake);
}

/* Its process goes on with the arrival. */
static int hand_over(u64 number, struct pcn_arrival *a)
{
	struct pcn_process *p;
	int err = -ESRCH;

	spin_lock(&pcn_processes_lock);
	p = pcn_process_find(number);
	if (p && !p->tgid) {
		if (pcn_idle_take(p, a))
			list_add_tail(&a->node, &arriving);
		else
			hand_to_keeper(p, a);
		err = 0;
	}
	spin_unlock(&pcn_processes_lock);
	return err;
}

static bool has_state(const struct pcn_message *msg)
{
	const struct pcn_thread_msg *m = msg->payload;

	return pcn_thread_msg_is_whole(msg) &&
	       pcn_number_kernel(m->thread) == msg->kid &&
	       pcn_number_kernel(m->process) == msg->kid &&
	       strnlen(m->comm, sizeof(m->comm)) < sizeof(m->comm);
}

/**
 * pcn_arrival_on_message - handle PCN_TYPE_ARRIVE: a thread comes to this kernel
 * @msg:	the message; its payload is a struct pcn_thread_msg with the whole state
 *
 * Context: the poll, when pcn_arrival_ready() has said yes; does not sleep.
 */
void pcn_arrival_on_message(const struct pcn_message *msg)
{
	const struct pcn_thread_msg *m = msg->payload;
	struct pcn_arrival *a = spare_arrival;
	int err;

	/* Not even to be answered: nobody knows whose it is. */
	if (!has_state(msg)) {
		pr_err_ratelimited("dropped a malformed arrival from kernel %u\n",
				   msg->kid);
		return;
	}
	a->kid = msg->kid;
	memcpy(&a->msg, m, msg->length);
	/* Once it is handed over it may be gone. */
	spare_arrival = NULL;
	err = hand_over(m->process, a);
	if (err) {
		spare_arrival = a;
		arrival_refuse(msg->kid, m, err, NULL);
	}
}

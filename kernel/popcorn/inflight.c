// SPDX-License-Identifier: GPL-2.0
/*
 * System calls that had begun when their process came to be shared.
 *
 * A call that changes the layout says so when it begins (pcn_syscall_enter()), if the
 * process is shared by then. One that had begun before would change pages that
 * others have got meanwhile; so nobody leaves before such calls are over.
 *
 * Which call a task is in is in the registers that it has entered the kernel with:
 * for a task that does not run they tell whether it has come by a system call at all.
 * One that runs may be in user mode, where they are old; it is asked by an interrupt.
 * Calls that begin later have seen that the process is shared: the bit of work was set
 * before, and the look at a task, under its run queue's lock or by an interrupt, is a
 * barrier for both.
 */
#include <linux/errno.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/smp.h>
#include <linux/wait.h>

#include <popcorn/space.h>
#include <popcorn/thread.h>

#include <asm/syscall.h>

/**
 * struct look - at a task
 * @task:	the task
 * @nr:		number of the system call that it is in, or negative
 * @met:	it was met
 */
struct look {
	struct task_struct	*task;
	long			nr;
	bool			met;
};

static void take_number(struct look *look)
{
	look->nr = syscall_get_nr(look->task, task_pt_regs(look->task));
	look->met = true;
}

static int look_at_sleeper(struct task_struct *p, void *look)
{
	if (!READ_ONCE(p->on_cpu))
		take_number(look);
	return 0;
}

static void look_at_current(void *info)
{
	struct look *look = info;

	if (current == look->task)
		take_number(look);
}

/*
 * It is about to leave, and waits as the current thread does, or has left: its call
 * is over, whatever the registers say. Those of a new thread say that it is in clone().
 */
static bool is_leaving(const struct task_struct *p)
{
	const struct pcn_thread *t = READ_ONCE(p->popcorn);

	return t && (READ_ONCE(t->awaits) || READ_ONCE(t->at) != pcn_self());
}

/* A task that changes between running and not is looked at again later. */
static bool is_in_flight(struct task_struct *p)
{
	struct look look = { .task = p };

	if (p == current || p->flags & PF_EXITING || is_leaving(p))
		return false;
	task_call_func(p, look_at_sleeper, &look);
	if (!look.met)
		smp_call_function_single(task_cpu(p), look_at_current, &look, 1);
	return !look.met || pcn_call_changes_layout(look.nr);
}

static bool are_in_flight(void)
{
	struct task_struct *p;
	bool found = false;

	rcu_read_lock();
	for_each_thread(current, p)
		found = found || is_in_flight(p);
	rcu_read_unlock();
	return found;
}

/**
 * pcn_await_calls - wait until no call that changes the layout is left from before
 *
 * The process is shared, and its threads have SYSCALL_WORK_POPCORN.
 *
 * Context: process, a thread that may migrate, at the end of a system call or in one
 * that leaves the layout as it is; sleeps, interruptibly, with no lock held. Such calls end by
 * themselves, and nothing tells of it: they are looked at each tick, as
 * wait_task_inactive() does.
 * Return: 0; -EINTR a signal.
 */
int pcn_await_calls(void)
{
	struct pcn_thread *t = current->popcorn;
	int err = 0;

	WRITE_ONCE(t->awaits, true);
	while (!err && are_in_flight()) {
		if (signal_pending(current))
			err = -EINTR;
		else
			schedule_timeout_interruptible(1);
	}
	WRITE_ONCE(t->awaits, false);
	return err;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Away from the origin: visitors, which run a thread's user code.
 *
 * A visitor asks its shadow to do its system calls, but for a few. For what cannot be
 * done here the thread goes home: the visitor sends its state, and is idle until it becomes
 * the visitor of the next thread, or ends (idle.c). It is a task like others, but
 * has no signals of its own. A signal that the CPU causes belongs to the thread and goes
 * home with it; a signal that a process of this kernel sends can only kill the visitor.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/audit.h>
#include <linux/errno.h>
#include <linux/extable.h>
#include <linux/irqflags.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/signal.h>
#include <linux/uaccess.h>

#include <popcorn/cpus.h>
#include <popcorn/hooks.h>
#include <popcorn/space.h>

#include <asm/syscall.h>

#include "internal.h"

static bool is_visitor(const struct task_struct *p)
{
	return p->popcorn && p->popcorn->visitor;
}

/* Registers and signals of a visitor: a new one, or one that has been another thread's. */
static int become_visitor(struct pcn_thread *t, const struct pcn_arrival *a)
{
	int err;

	err = pcn_arch_state_load(&a->msg, true);
	if (err)
		return err;
	/* Its calls are recorded where they are done. */
	audit_free(current);
	strscpy(current->comm, a->msg.comm, sizeof(current->comm));
	set_task_syscall_work(current, POPCORN);
	t->visitor = true;
	t->left = false;
	t->home = a->kid;
	t->process = a->msg.process;
	t->attempt = a->msg.attempt;
	if (!pcn_reserve_fill(&t->reserve, 1, GFP_KERNEL_ACCOUNT))
		return -ENOMEM;
	err = pcn_thread_enlist(t, a->msg.thread);
	if (err)
		return err;
	memcpy(t->msg->gprs, a->msg.gprs, sizeof(t->msg->gprs));
	pcn_affinity_visit(t, a->msg.cpus);
	t->arriving = true;
	pcn_count_arrive(t);
	return 0;
}

/* False: a command to die has come too late, but it has come. */
static bool forget_signals(void)
{
	bool lives;

	/* An exception has unblocked its signal. */
	pcn_block_signals();
	spin_lock_irq(&current->sighand->siglock);
	lives = !fatal_signal_pending(current);
	if (lives) {
		flush_sigqueue(&current->pending);
		recalc_sigpending();
	}
	spin_unlock_irq(&current->sighand->siglock);
	return lives;
}

/* The thread has gone home. False: nobody else has come. */
static bool become_another(struct pcn_thread *t)
{
	struct pcn_arrival *a;
	int err;

	pcn_borrow_thread_ends(current->mm);
	pcn_thread_forget(t);
	if (!forget_signals())
		return false;
	a = pcn_idle_wait(t->process);
	if (!a)
		return false;
	/* From now on only the end of the process kills it. */
	err = fatal_signal_pending(current) ? -ESRCH : become_visitor(t, a);
	t->left = pcn_arrival_end(a, err);
	return !t->left;
}

/*
 * The thread goes home in the state that t->msg tells, but for what is new. Returns as the
 * visitor of the next thread, which is to go to user mode, or never.
 */
static void visitor_go_home(struct pcn_thread *t, u32 reason, bool rewind)
{
	struct pcn_thread_msg *m = t->msg;

	pcn_thread_head(t, m, PCN_THREAD_HOME);
	m->reason = reason;
	/* It came with a state like that: it can be saved. */
	if (WARN_ON_ONCE(pcn_arch_state_save(m)))
		do_exit(0);
	if (rewind)
		pcn_arch_rewind(m->gprs);
	pcn_count_home(t, reason);
	/* An error: it is being killed, or there is no home any more. */
	t->left = !pcn_thread_send(t, pcn_thread_msg_size(m));
	if (!t->left || !become_another(t))
		do_exit(0);
}

/**
 * pcn_visitor_end - a visitor ends
 * @t:	the current thread
 *
 * Its shadow is told if it does not know.
 *
 * Context: process.
 */
void pcn_visitor_end(struct pcn_thread *t)
{
	if (current->mm)
		pcn_borrow_thread_ends(current->mm);
	if (!t->left)
		pcn_thread_post(t, PCN_THREAD_GONE);
}

/* A call that is done here needs memory that only the origin has. */
static bool missed_memory(struct pt_regs *regs)
{
	return pcn_arch_call_is_local(syscall_get_nr(current, regs)) &&
	       syscall_get_error(current, regs) == -EFAULT;
}

/**
 * pcn_visitor_go - a visitor goes to user mode at the end of a system call
 * @t:		the current thread
 * @regs:	its registers
 *
 * The first time that end is the end of copy_process(), which has put a result of
 * its own into a register.
 *
 * Context: process. May not return, or as another thread's visitor: the thread goes home to do
 * the call there.
 */
void pcn_visitor_go(struct pcn_thread *t, struct pt_regs *regs)
{
	if (!t->arriving && missed_memory(regs))
		visitor_go_home(t, PCN_HOME_CALL, true);
	if (!t->arriving)
		return;
	t->arriving = false;
	pcn_arch_gprs_load(t->msg->gprs);
	pcn_thread_want_stack(t);
}

/**
 * pcn_visitor_start - a visitor's first steps
 * @arrival:	struct pcn_arrival, which is freed
 *
 * Context: the new task, which goes to user mode from here.
 * Return: 0.
 */
int pcn_visitor_start(void *arrival)
{
	struct pcn_arrival *a = arrival;
	struct pcn_thread *t = pcn_thread_self();
	int err = pcn_arrival_end(a, t ? become_visitor(t, a) : -ENOMEM);

	if (err) {
		if (t)
			t->left = true;
		do_exit(0);
	}
	return 0;
}

/* --- system calls --- */

/* With the call, and before any question after it, the origin hears what was given up. */
static int send_call(struct pcn_thread *t, struct pt_regs *regs, long nr)
{
	struct pcn_space *s = current->mm->popcorn;
	struct pcn_thread_msg *m = t->msg;
	struct pcn_give give;
	u64 first, last;
	bool given;
	int err;

	pcn_thread_head(t, m, PCN_THREAD_CALL);
	pcn_arch_gprs_save(m->gprs);
	given = pcn_arch_call_removes(regs, nr, &first, &last) &&
		pcn_space_give_up(s, &give, first, last);
	m->reason = given;
	if (given) {
		m->given_first = first;
		m->given_last = last;
	}
	pcn_thread_open(t);
	/* The answer may be there at once: @m is not what was sent any more. */
	err = pcn_thread_send(t, PCN_THREAD_MSG_CALL);
	if (given)
		pcn_space_give_up_end(s, &give);
	return err;
}

/**
 * pcn_visitor_call - a visitor makes a system call
 * @t:		the current thread
 * @regs:	its registers
 * @nr:		number of the call
 *
 * Context: process; sleeps.
 * Return: @nr: do it here; -1: it is done, or the visitor is another thread's, which
 * pcn_visitor_go() lets go on. May not return.
 */
long pcn_visitor_call(struct pcn_thread *t, struct pt_regs *regs, long nr)
{
	struct pcn_thread_msg *m = t->msg;
	u32 op;
	int err;

	if (pcn_arch_call_needs_origin(nr)) {
		visitor_go_home(t, PCN_HOME_CALL, true);
		return -1;
	}
	if (pcn_arch_call_is_local(nr))
		return nr;
	pcn_count_call(t, nr);
	err = send_call(t, regs, nr);
	/* There is no home any more: nor is this to go on. */
	if (err && err != -EINTR)
		do_exit(0);
	/* Killed: no result is ever seen. */
	if (err || pcn_thread_wait(t, TASK_KILLABLE) ||
	    READ_ONCE(t->command) == PCN_THREAD_DIE)
		return -1;
	op = pcn_thread_take(t);
	/* The call has not been made: a shadow that commands does nothing else. */
	if (op == PCN_THREAD_NONE) {
		visitor_go_home(t, PCN_HOME_RECALL, true);
		return -1;
	}
	pcn_arch_gprs_load(m->gprs);
	if (op == PCN_THREAD_REJOIN)
		visitor_go_home(t, PCN_HOME_RESULT, false);
	else if (m->reason)
		pcn_vma_told(current->mm, syscall_get_return_value(current, regs),
			     &m->vma);
	return -1;
}

/* --- what else a visitor cannot do here --- */

/* Not in a system call. The next thread has all its registers already. */
static void go_home_at_once(struct pcn_thread *t, u32 reason)
{
	visitor_go_home(t, reason, false);
	t->arriving = false;
	pcn_arch_leave_call();
	pcn_thread_want_stack(t);
}

/**
 * pcn_visitor_bad_area - a page fault that has not found a VMA that allows it
 * @regs:	registers
 * @address:	where
 * @missing:	there is none, it does not forbid it
 *
 * The vsyscall page has no VMA anywhere: Linux does what is called there in the page
 * fault, where it cannot wait for memory that only home has, and as home's command line
 * says.
 *
 * Context: process, with no lock held; sleeps, with interrupts on.
 * Return: true: try again, or go on as another thread's visitor. May not return.
 */
bool pcn_visitor_bad_area(struct pt_regs *regs, unsigned long address, bool missing)
{
	struct pcn_thread *t = current->popcorn;

	if (!is_visitor(current) || !current->mm || faulthandler_disabled() ||
	    !(user_mode(regs) || search_exception_tables(instruction_pointer(regs))))
		return false;
	/* They are off if the address is the kernel's. */
	if (user_mode(regs))
		local_irq_enable();
	if ((missing || pcn_vma_is_void(current->mm, address)) &&
	    !pcn_vma_fetch(current->mm, address, missing))
		return true;
	if (!user_mode(regs) || fatal_signal_pending(current))
		return false;
	go_home_at_once(t, PCN_HOME_FAULT);
	return true;
}

/* Take the signal that the CPU has caused, if that is what is pending. */
static int dequeue_own(kernel_siginfo_t *info)
{
	enum pid_type type;
	sigset_t others;
	int sig;

	siginitsetinv(&others, sigmask(SIGSEGV) | sigmask(SIGBUS) | sigmask(SIGFPE) |
		      sigmask(SIGILL) | sigmask(SIGTRAP));
	spin_lock_irq(&current->sighand->siglock);
	sig = dequeue_signal(&others, info, &type);
	spin_unlock_irq(&current->sighand->siglock);
	return sig;
}

/**
 * pcn_visitor_dies - a signal ends the current task
 *
 * A command came for a visitor when it had looked for that already.
 *
 * Context: process, on its way to user mode.
 */
void pcn_visitor_dies(void)
{
	/* Alone, not with all the others that visit. */
	if (is_visitor(current) && READ_ONCE(current->popcorn->command) == PCN_THREAD_DIE)
		do_exit(SIGKILL);
}

/* Apart from its caller, so that others pay for nothing but a look at a pointer. */
static noinline void handle_visitor_signal(struct pcn_thread *t)
{
	kernel_siginfo_t info;

	pcn_visitor_dies();
	if (fatal_signal_pending(current))
		return;
	/* That comes first, also if it is called home. */
	if (task_sigpending(current) && dequeue_own(&info)) {
		BUILD_BUG_ON(sizeof(info) != sizeof(t->msg->info));
		memcpy(t->msg->info, &info, sizeof(info));
		pcn_arch_trap_save(t->msg);
		go_home_at_once(t, PCN_HOME_SIGNAL);
	} else if (READ_ONCE(t->command)) {
		go_home_at_once(t, PCN_HOME_RECALL);
	}
}

/**
 * pcn_visitor_signal - a visitor is about to handle signals
 *
 * Context: process, on its way to user mode, when it will come here again for a command that
 * comes later. Returns if it is no visitor, or another thread's now, or has to die here.
 */
void pcn_visitor_signal(void)
{
	if (unlikely(is_visitor(current)))
		handle_visitor_signal(current->popcorn);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * At the origin: threads leave, their shadows do what they are asked to, and they
 * come home.
 *
 * A thread leaves at the end of a system call, when its registers are those that it
 * will go on with. Its task stays in here until the thread is back, whatever for:
 *
 *	a system call	is done in here, with the visitor's registers; pages come as it
 *			touches them. If a signal is to be handled afterwards, or the
 *			call restarted, the thread comes home, and Linux does that.
 *	a visit		the thread comes home to do something as itself: a system call
 *			that copies or ends it, an access to memory that is nowhere
 *			else, an exception. It is repeated here.
 *	a signal	for the shadow calls the thread home; its handler runs here.
 *
 * After each of these it leaves again at the end of the next system call. A thread
 * that is to be elsewhere, or on other CPUs, comes home and leaves at once.
 *
 * A thread that is killed first has its visitor end, and waits for that as long as
 * the other kernel is there. If its process dumps core the thread comes home instead,
 * for its registers are to be in the dump.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/errno.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/resume_user_mode.h>
#include <linux/rseq.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>
#include <linux/slab.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>

#include <popcorn/cpus.h>
#include <popcorn/hooks.h>
#include <popcorn/slice.h>
#include <popcorn/space.h>

#include <asm/syscall.h>

#include <trace/events/popcorn.h>

#include "internal.h"

static atomic64_t numbers;

/* --- leaving --- */

#ifdef CONFIG_RSEQ
/*
 * The shadow must not write to the thread's memory while that is away, nor its
 * critical sections be aborted here. User space is told that there is no number of
 * a CPU to be had in this way.
 */
static struct rseq __user *user_rseq(struct pcn_thread *t)
{
	return t->rseq;
}

static void suspend_rseq(struct pcn_thread *t)
{
	t->rseq = current->rseq;
	t->rseq_len = current->rseq_len;
	t->rseq_sig = current->rseq_sig;
	if (!t->rseq)
		return;
	current->rseq = NULL;
	if (put_user((u32)RSEQ_CPU_ID_UNINITIALIZED,
		     &user_rseq(t)->cpu_id) ||
	    put_user(0U, &user_rseq(t)->cpu_id_start))
		force_sig(SIGSEGV);
}

static void resume_rseq(struct pcn_thread *t)
{
	if (!t->rseq)
		return;
	current->rseq = t->rseq;
	current->rseq_len = t->rseq_len;
	current->rseq_sig = t->rseq_sig;
	t->rseq = NULL;
	rseq_set_notify_resume(current);
}
#else
static void suspend_rseq(struct pcn_thread *t) { }
static void resume_rseq(struct pcn_thread *t) { }
#endif

static int may_leave(unsigned int kid)
{
	if (current->ptrace)
		return -EBUSY;
	if (!pcn_peer_is_up(kid))
		return -EHOSTDOWN;
	return pcn_arch_may_leave();
}

static int shadow_prepare(struct pcn_thread *t, unsigned int kid)
{
	int err = may_leave(kid);

	if (err)
		return err;
	/* From now on it can be called back, whatever happens. */
	if (!pcn_reserve_fill(&t->reserve, PCN_COMMANDS, GFP_KERNEL_ACCOUNT))
		return -ENOMEM;
	err = pcn_process_share(&t->process);
	if (err || t->number)
		return err;
	return pcn_thread_enlist(t, pcn_number_new(atomic64_inc_return(&numbers)));
}

/* An error: nothing has been sent. */
static int send_away(struct pcn_thread *t, unsigned int kid)
{
	struct pcn_thread_msg *m = t->msg;
	int err;

	memset(m, 0, offsetof(struct pcn_thread_msg, gprs));
	err = pcn_arch_state_save(m) ?: pcn_process_host(t->process, kid);
	if (err)
		return err;
	get_task_comm(m->comm, current);
	pcn_affinity_get(t, m->cpus);
	pcn_thread_depart(t, kid);
	pcn_thread_head(t, m, PCN_THREAD_ARRIVE);
	err = pcn_msg_send(kid, PCN_CONTROL, PCN_TYPE_ARRIVE, m,
			   pcn_thread_msg_size(m));
	if (err)
		t->at = pcn_self();
	return err;
}

/* --- while it is away --- */

/**
 * pcn_shadow_end - a shadow ends in the middle of a system call
 * @t:	the current thread
 *
 * As a seccomp filter may have it. Nobody will answer the visitor.
 *
 * Context: process.
 */
void pcn_shadow_end(struct pcn_thread *t)
{
	pcn_thread_post(t, PCN_THREAD_DIE);
}

/* Killed, with nobody to ask for the thread's state. */
static bool is_doomed(void)
{
	return fatal_signal_pending(current) &&
	       !READ_ONCE(current->signal->core_state);
}

/*
 * Wait for the end of the attempt, after a command; a CALL that crossed it is stale,
 * since the visitor, which waits for its result, sees the command and comes.
 *
 * A thread that is killed meanwhile has its visitor end. After that, or if the process
 * dumps core and so needs the thread's state, the only thing to wait for is the visitor,
 * which does as it is told, or the death of its kernel.
 */
static u32 await_end(struct pcn_thread *t)
{
	bool dying = false;
	u32 op;

	for (;;) {
		if (!dying && is_doomed()) {
			if (pcn_thread_post(t, PCN_THREAD_DIE))
				return PCN_THREAD_LOST;
			dying = true;
		}
		if (fatal_signal_pending(current))
			wait_event(t->wait, pcn_thread_has_news(t));
		else
			wait_event_killable(t->wait, pcn_thread_has_news(t));
		op = pcn_thread_take(t);
		if (op == PCN_THREAD_CALL)
			pcn_thread_open(t);
		else if (op != PCN_THREAD_NONE)
			return op;
	}
}

/* If it cannot even be told so the link is down, and it is lost. */
static u32 call_home(struct pcn_thread *t)
{
	if (!is_doomed() && pcn_thread_post(t, PCN_THREAD_RECALL))
		return PCN_THREAD_LOST;
	return await_end(t);
}

static u32 shadow_await_message(struct pcn_thread *t)
{
	u32 op = PCN_THREAD_NONE;

	if (!pcn_thread_wait(t, TASK_INTERRUPTIBLE))
		op = pcn_thread_take(t);
	return op ?: call_home(t);
}

static bool is_restart(long result)
{
	return result == -ERESTARTSYS || result == -ERESTARTNOINTR ||
	       result == -ERESTARTNOHAND || result == -ERESTART_RESTARTBLOCK;
}

/* What the thread is about to use it need not ask for. */
static bool tell_of_vma(struct pcn_thread *t, struct pt_regs *regs)
{
	return pcn_arch_call_maps(syscall_get_nr(current, regs)) &&
	       !syscall_get_error(current, regs) &&
	       pcn_vma_tell(current->mm, syscall_get_return_value(current, regs),
			    t->at, &t->msg->vma);
}

/* What comes of that, or PCN_THREAD_NONE: it goes on there. */
static u32 shadow_answer(struct pcn_thread *t, struct pt_regs *regs)
{
	struct pcn_thread_msg *m = t->msg;
	bool rejoin = signal_pending(current) || READ_ONCE(t->moved) ||
		      is_restart(syscall_get_return_value(current, regs));
	u32 length;
	int err;

	pcn_thread_head(t, m, rejoin ? PCN_THREAD_REJOIN : PCN_THREAD_RESULT);
	pcn_arch_gprs_save(m->gprs);
	m->reason = !rejoin && tell_of_vma(t, regs);
	length = m->reason ? PCN_THREAD_MSG_VMA : PCN_THREAD_MSG_CALL;
	pcn_thread_open(t);
	err = pcn_thread_send(t, length);
	/* Killed before there was room. */
	if (err == -EINTR)
		return call_home(t);
	if (err)
		return PCN_THREAD_LOST;
	return rejoin ? await_end(t) : PCN_THREAD_NONE;
}

static u32 shadow_do_call(struct pcn_thread *t, struct pt_regs *regs)
{
	t->calls++;
	WRITE_ONCE(t->call_since, jiffies | 1);
	trace_pcn_call_serve(t->process, t->number, t->at);
	pcn_arch_gprs_load(t->msg->gprs);
	pcn_arch_do_call(regs);
	WRITE_ONCE(t->call_since, 0);
	pcn_torn_wait(current->mm);
	return shadow_answer(t, regs);
}

/* Returns how the attempt has ended. */
static u32 shadow_serve(struct pcn_thread *t, struct pt_regs *regs)
{
	u32 op = shadow_await_message(t);

	while (op == PCN_THREAD_CALL)
		op = shadow_do_call(t, regs) ?: shadow_await_message(t);
	return op;
}

/* --- it stays for a while --- */

/*
 * A thread that has come home for an access leaves at the end of its next system call,
 * and if the next access is again one that is made at home, it does nothing but come
 * and go, at two migrations each. So one that comes back soon stays for twice as long as
 * the last time. Away for longer, it has work there: it stays for half as long.
 */
#define SOON_NS		(10 * NSEC_PER_MSEC)
#define STAY_MIN_NS	NSEC_PER_MSEC
#define STAY_MAX_NS	(100 * NSEC_PER_MSEC)

static void begin_stay(struct pcn_thread *t)
{
	u64 now = ktime_get_ns();

	t->stay_until = now + t->stay_ns;
	if (now - t->left_at < SOON_NS)
		t->stay_ns = clamp(2 * t->stay_ns, STAY_MIN_NS, STAY_MAX_NS);
	else
		t->stay_ns = t->stay_ns > STAY_MIN_NS ? t->stay_ns / 2 : 0;
}

/**
 * pcn_shadow_stays - does a thread that is at home stay there for the time being?
 * @t:	the current thread, which is wanted elsewhere
 *
 * Context: process.
 */
bool pcn_shadow_stays(const struct pcn_thread *t)
{
	return t->stay_until && ktime_get_ns() < t->stay_until;
}

/**
 * pcn_shadow_forget_stay - a thread is to leave at once
 * @t:	the current thread
 *
 * Context: process.
 */
void pcn_shadow_forget_stay(struct pcn_thread *t)
{
	t->stay_until = 0;
}

/* --- back --- */

static void shadow_lost(struct pcn_thread *t, const char *how)
{
	pr_err("%s[%d]: killed: its thread on kernel %u %s\n", current->comm,
	       current->tgid, t->at, how);
	force_sig(SIGKILL);
}

static bool is_exception(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL ||
	       sig == SIGTRAP;
}

/**
 * pcn_exception_info - what another kernel tells of an exception
 * @m:	the message, which does not change
 * @to:	receives no more than the kernel tells of such a signal
 *
 * Context: any.
 * Return: false: no CPU causes a signal like that.
 */
bool pcn_exception_info(const struct pcn_thread_msg *m, kernel_siginfo_t *to)
{
	kernel_siginfo_t from;

	memcpy(&from, m->info, sizeof(from));
	if (!is_exception(from.si_signo))
		return false;
	clear_siginfo(to);
	to->si_signo = from.si_signo;
	to->si_code = from.si_code;
	switch (siginfo_layout(from.si_signo, from.si_code)) {
	case SIL_KILL:
		/* With the sender's ids, which are 0. */
		return from.si_code == SI_KERNEL;
	case SIL_FAULT:
		break;
	case SIL_FAULT_MCEERR:
		to->si_addr_lsb = from.si_addr_lsb;
		break;
	case SIL_FAULT_BNDERR:
		to->si_lower = from.si_lower;
		to->si_upper = from.si_upper;
		break;
	case SIL_FAULT_PKUERR:
		to->si_pkey = from.si_pkey;
		break;
	default:
		return false;
	}
	to->si_addr = from.si_addr;
	return true;
}

static void raise_exception(struct pcn_thread *t)
{
	kernel_siginfo_t info;

	if (!pcn_exception_info(t->msg, &info)) {
		shadow_lost(t, "came back with a signal that no CPU causes");
		return;
	}
	pcn_arch_trap_load(t->msg);
	force_sig_info(&info);
}

static void come_home(struct pcn_thread *t)
{
	const struct pcn_thread_msg *m = t->msg;

	if (m->reason != PCN_HOME_RESULT)
		t->visits++;
	if (m->reason == PCN_HOME_FAULT)
		begin_stay(t);
	if (is_doomed())
		return;
	if (pcn_arch_state_load(m, m->reason != PCN_HOME_RESULT)) {
		shadow_lost(t, "came back in a state that cannot be loaded");
		return;
	}
	if (fatal_signal_pending(current))
		return;
	if (m->reason == PCN_HOME_SIGNAL)
		raise_exception(t);
	if (!fatal_signal_pending(current))
		pcn_thread_want_stack(t);
}

static void end_absence(struct pcn_thread *t, u32 op)
{
	pcn_count_return(t, op);
	if (op == PCN_THREAD_HOME)
		come_home(t);
	else if (!fatal_signal_pending(current))
		shadow_lost(t, op == PCN_THREAD_GONE ? "was killed there" :
					    "was lost, as that kernel is down");
}

/* There and back. An error: it has not been there. */
static int shadow_travel(struct pcn_thread *t, struct pt_regs *regs)
{
	bool shortened;
	u32 op;

	pcn_count_leave(t, 0);
	t->left_at = ktime_get_ns();
	t->stay_until = 0;
	shortened = pcn_slice_shorten();
	op = shadow_serve(t, regs);
	if (shortened)
		pcn_slice_restore();
	if (op != PCN_THREAD_REFUSED) {
		end_absence(t, op);
		return 0;
	}
	pcn_count_refusal(t);
	return -(int)t->msg->reason;
}

static int shadow_leave(struct pcn_thread *t, struct pt_regs *regs, unsigned int kid)
{
	int err = shadow_prepare(t, kid);

	if (err)
		return err;
	suspend_rseq(t);
	err = send_away(t, kid);
	if (!err) {
		err = shadow_travel(t, regs);
		t->at = pcn_self();
	}
	resume_rseq(t);
	return err;
}

/* A signal comes first, and then pcn_to_user_mode(). */
static void shadow_leave_later(struct pcn_thread *t)
{
	WRITE_ONCE(t->moved, true);
	set_notify_resume(current);
}

static void shadow_stay(struct pcn_thread *t, unsigned int kid, int err)
{
	pr_info_ratelimited("%s[%d]: stays here, as it cannot go to kernel %u: %d\n",
			    current->comm, current->pid, kid, err);
	pcn_affinity_lift(t);
	t->wanted = pcn_self();
}

/**
 * pcn_shadow_leave - a thread goes to where it is wanted
 * @t:		the current thread
 * @regs:	its registers, as it is to go on with them
 *
 * Returns when it is back, or could not leave.
 *
 * Context: process, at the end of a system call, with no lock held.
 */
void pcn_shadow_leave(struct pcn_thread *t, struct pt_regs *regs)
{
	unsigned int kid;
	int err;

	/* A change of @wanted from now on calls the thread home again. */
	xchg(&t->moved, false);
	kid = READ_ONCE(t->wanted);
	if (kid == pcn_self())
		return;
	err = shadow_leave(t, regs, kid);
	if (err)
		pcn_count_leave(t, err);
	if (err == -EINTR || err == -ECANCELED)
		shadow_leave_later(t);
	else if (err)
		shadow_stay(t, kid, err);
	else if (READ_ONCE(t->moved))
		set_notify_resume(current);
}

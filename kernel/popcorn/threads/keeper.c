// SPDX-License-Identifier: GPL-2.0
/*
 * The keeper: the task, on a kernel other than the origin, from which visitors are made.
 *
 * When the origin shares a process, each other kernel makes a keeper for it. The keeper
 * has what visitors inherit: the user and the name of the process, all signals blocked
 * but SIGKILL, and an address space, which is a space of the coherency protocol and
 * empty at first. It never enters user mode. It waits for arrivals (arrival.c) and makes a
 * thread of itself for each: the visitor.
 *
 * It ends when the origin says that the process has ended, or goes down. The visitors
 * that are left end with it, as they are its thread group. If it is killed instead, it
 * tells the origin that this kernel's part of the process is lost (members.c).
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/completion.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/freezer.h>
#include <linux/kernel.h>
#include <linux/lockdep.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/signal.h>
#include <linux/string.h>

#include <popcorn/hooks.h>
#include <popcorn/partition.h>
#include <popcorn/proto.h>
#include <popcorn/space.h>

#include "internal.h"
#include "process.h"

/**
 * struct birth - a process is to be made
 * @msg:	what is known of it
 * @origin:	the kernel that says so
 * @done:	it is, or could not be
 * @err:	0, or why not
 */
struct birth {
	const struct pcn_process_msg	*msg;
	unsigned int			origin;
	struct completion		done;
	int				err;
};

static int take_identity(const struct pcn_process_msg *m)
{
	struct cred *cred = prepare_creds();

	if (!cred)
		return -ENOMEM;
	cred->uid = cred->euid = cred->suid = cred->fsuid =
		make_kuid(&init_user_ns, m->uid);
	cred->gid = cred->egid = cred->sgid = cred->fsgid =
		make_kgid(&init_user_ns, m->gid);
	if (!uid_eq(cred->uid, GLOBAL_ROOT_UID)) {
		cap_clear(cred->cap_effective);
		cap_clear(cred->cap_permitted);
		cap_clear(cred->cap_inheritable);
	}
	return commit_creds(cred);
}

static int make_mm(const struct birth *b)
{
	struct mm_struct *mm = mm_alloc();
	struct pcn_space *s;
	int err;

	if (!mm)
		return -ENOMEM;
	mm->task_size = TASK_SIZE;
	arch_pick_mmap_layout(mm, &current->signal->rlim[RLIMIT_STACK]);
	err = exec_mmap(mm);
	if (err) {
		mmput(mm);
		return err;
	}
	/* exec holds it until it has set everything; here there is nobody yet. */
	up_write(&current->signal->exec_update_lock);
	s = pcn_space_create_mm(b->msg->number, b->msg->members, b->origin,
				current->mm, pcn_proto_of(b->msg->protocol),
				&pcn_process_space_ops);
	return PTR_ERR_OR_ZERO(s);
}

/**
 * pcn_block_signals - the current task has no signals but the one that ends it
 *
 * Context: process.
 */
void pcn_block_signals(void)
{
	sigset_t blocked;

	siginitsetinv(&blocked, sigmask(SIGKILL));
	sigprocmask(SIG_SETMASK, &blocked, NULL);
}

/* Visitors inherit the blocked signals. */
static int be_born(const struct birth *b, struct pcn_process *p)
{
	int err;

	pcn_block_signals();
	spin_lock_irq(&current->sighand->siglock);
	flush_signal_handlers(current, 1);
	spin_unlock_irq(&current->sighand->siglock);
	set_user_nice(current, 0);
	strscpy(current->comm, b->msg->comm, sizeof(current->comm));
	if (!pcn_reserve_fill(&p->reserve, 1, GFP_KERNEL))
		return -ENOMEM;
	err = make_mm(b);
	if (!err)
		err = take_identity(b->msg);
	if (!err)
		pcn_process_enlist(p);
	return err;
}

/* The copy answers the shadow; if there is no copy, this does. */
static void arrival_admit(struct pcn_arrival *a)
{
	struct kernel_clone_args args = {
		.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
			 CLONE_THREAD | CLONE_SYSVSEM,
		.fn = pcn_visitor_start,
		.fn_arg = a,
	};
	pid_t pid = kernel_clone(&args);

	if (pid < 0)
		pcn_arrival_end(a, pid);
}

/* Refuse the visitors that have arrived: the keeper has gone. */
static void close_process(struct pcn_process *p)
{
	struct pcn_arrival *a;

	spin_lock(&pcn_processes_lock);
	list_del(&p->node);
	pcn_idle_end_all(p);
	spin_unlock(&pcn_processes_lock);
	while ((a = pcn_arrival_next(p)))
		pcn_arrival_end(a, -ESRCH);
	pcn_process_free(p);
}

static void keeper_serve(struct pcn_process *p)
{
	struct pcn_arrival *a;

	do {
		wait_event_state(p->wake, !list_empty(&p->arrivals) ||
				 READ_ONCE(p->end),
				 (TASK_KILLABLE | TASK_FREEZABLE));
		while ((a = pcn_arrival_next(p)))
			arrival_admit(a);
	} while (!READ_ONCE(p->end) && !fatal_signal_pending(current));
}

/**
 * pcn_keeper_end - let the keeper of a process end
 * @p:	the process, whose home is elsewhere
 *
 * Context: any but interrupt, with pcn_processes_lock held.
 */
void pcn_keeper_end(struct pcn_process *p)
{
	lockdep_assert_held(&pcn_processes_lock);
	WRITE_ONCE(p->end, true);
	wake_up(&p->wake);
}

/*
 * The keeper was killed locally (by the OOM killer, say): its pages and threads are lost. In
 * "direct" the origin is told when the pages are unmapped, by the page layer.
 */
static void report_loss(struct pcn_process *p)
{
	if (p->proto == &pcn_proto_direct)
		return;
	pcn_msg_post_from(&p->reserve, pcn_number_kernel(p->number), PCN_CONTROL,
			  PCN_TYPE_PROCESS_LOST, &p->number, sizeof(p->number));
}

static int keeper_task(void *birth)
{
	struct birth *b = birth;
	struct pcn_process *p = pcn_process_new(b->msg->number, b->msg->members,
						pcn_proto_of(b->msg->protocol));

	b->err = p ? be_born(b, p) : -ENOMEM;
	if (b->err) {
		pcn_process_free(p);
		complete(&b->done);
		do_exit(0);
	}
	complete(&b->done);
	keeper_serve(p);
	if (!READ_ONCE(p->end))
		report_loss(p);
	close_process(p);
	/* A visitor that nobody knows of any more ends, too. */
	do_group_exit(0);
}

/* pcn_space_create_mm() sees whether the number is in use already. */
static bool process_msg_is_valid(const struct pcn_message *msg)
{
	const struct pcn_process_msg *m = msg->payload;
	u64 ends = BIT_ULL(msg->kid) | BIT_ULL(pcn_self());

	return msg->length == sizeof(*m) && pcn_number_kernel(m->number) == msg->kid &&
	       (m->members & ends) == ends &&
	       uid_valid(make_kuid(&init_user_ns, m->uid)) &&
	       gid_valid(make_kgid(&init_user_ns, m->gid)) &&
	       strnlen(m->comm, sizeof(m->comm)) < sizeof(m->comm);
}

/* A process chooses its protocol at home, and a kernel which ones it takes part in. */
static int check_protocol(const struct pcn_message *msg)
{
	const struct pcn_process_msg *m = msg->payload;
	const struct pcn_proto *theirs = pcn_proto_of(m->protocol);

	/* Of coherent memory pcn_borrow_begin() says whether that can be. */
	if (theirs == pcn_proto_chosen() || theirs == &pcn_proto_direct)
		return 0;
	pr_err_ratelimited("no part in a process of kernel %u: its protocol is %s, and that of this kernel is %s\n",
			   msg->kid, theirs ? theirs->name : "unknown",
			   pcn_proto_chosen()->name);
	return -EPROTONOSUPPORT;
}

/**
 * pcn_process_on_new - handle PCN_TYPE_PROCESS_NEW: make this kernel's part of a process
 * @msg:	the request; its payload is a struct pcn_process_msg
 *
 * Replies 0 when there is a keeper, otherwise with the reason why there is none.
 *
 * Context: process; sleeps.
 */
void pcn_process_on_new(const struct pcn_message *msg)
{
	struct birth b = {
		.msg = msg->payload, .origin = msg->kid,
	};
	int err = process_msg_is_valid(msg) ? check_protocol(msg) : -EINVAL;
	pid_t pid;

	if (err) {
		pcn_msg_reply(msg, err, NULL, 0);
		return;
	}
	init_completion(&b.done);
	pid = user_mode_thread(keeper_task, &b, SIGCHLD);
	if (pid > 0)
		wait_for_completion(&b.done);
	else
		b.err = pid;
	pcn_msg_reply(msg, b.err, NULL, 0);
}

/**
 * pcn_process_on_end - handle PCN_TYPE_PROCESS_END: the process has ended at its origin
 * @msg:	the message; its payload is the number of the process
 *
 * Context: process; sleeps.
 */
void pcn_process_on_end(const struct pcn_message *msg)
{
	const u64 *number = msg->payload;
	struct pcn_process *p;

	if (msg->length != sizeof(*number) || pcn_number_kernel(*number) != msg->kid)
		return;
	spin_lock(&pcn_processes_lock);
	p = pcn_process_find(*number);
	if (p && !p->tgid)
		pcn_keeper_end(p);
	spin_unlock(&pcn_processes_lock);
	pcn_space_break(*number);
}

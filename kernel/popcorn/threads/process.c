// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that several kernels share.
 *
 * At the origin a process is shared when its first thread leaves: every other kernel
 * that is up then makes a process of its own for it, with an address space at first
 * empty. The leader of that is the *keeper*, which never runs user code: it copies
 * itself for each thread that arrives. The copy becomes the visitor. This is what
 * makes all visitors of a process on a kernel one thread group.
 *
 * The keeper ends when the origin says so: when the address space there has gone.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/binfmts.h>
#include <linux/build_bug.h>
#include <linux/completion.h>
#include <linux/cred.h>
#include <linux/errno.h>
#include <linux/freezer.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/signal.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include <popcorn/hooks.h>
#include <popcorn/partition.h>
#include <popcorn/proto.h>
#include <popcorn/space.h>

#include "internal.h"

/* A kernel makes a process within this time, or has died. */
#define MAKE_LIMIT_MS	(30 * MSEC_PER_SEC)

/**
 * struct process_msg - a process is shared. On the wire
 * @number:	of its space
 * @members:	kernels that share it
 * @vdso:	where its vDSO is
 * @vdso_size:	bytes of it, as a check
 * @uid:	user that it runs as
 * @gid:	group
 * @comm:	its name
 */
struct process_msg {
	u64	number;
	u64	members;
	u64	vdso;
	u32	vdso_size;
	u32	uid;
	u32	gid;
	u32	pad;
	u8	comm[16];
};

static_assert(sizeof(struct process_msg) == 56);

/**
 * struct process - a shared process
 * @node:	in processes
 * @number:	of its space
 * @members:	kernels that share it
 * @lost:	at the origin: those of them that have gone down, which know nothing of
 *		it any more when they are up again
 * @tgid:	at the origin: its thread group, with a reference; NULL elsewhere
 * @mm:		at the origin: its address space, which outlives this structure. Other
 *		processes may use it too (CLONE_VM), and may use it for longer than the
 *		thread group exists: compare it, and look for tasks that use it.
 * @doomed:	at the origin: why all that use @mm are to be killed, or NULL
 * @doom:	the kernel that @doomed is about
 * @farewell:	at the origin: tells the others of its end
 * @hosts:	at the origin: kernels that have had a thread of it, and so may have
 *		the only copies of pages
 * @arrivals:	elsewhere: visitors that are to be
 * @reserve:	elsewhere: memory to tell the origin that this part of it is lost
 * @wake:	for the keeper
 * @end:	for the keeper: it has to end
 */
struct process {
	struct list_head	node;
	u64			number;
	u64			members;
	u64			lost;
	struct pid		*tgid;
	struct mm_struct	*mm;
	const char		*doomed;
	unsigned int		doom;
	struct work_struct	farewell;
	u64			hosts;
	struct list_head	arrivals;
	struct pcn_reserve	reserve;
	wait_queue_head_t	wake;
	bool			end;
};

static LIST_HEAD(processes);
/* Visitors of all processes that their keepers are making, with processes_lock. */
static LIST_HEAD(arriving);
static DEFINE_SPINLOCK(processes_lock);
static DEFINE_MUTEX(share_lock);
static u64 last_number;
static atomic_long_t processes_in_use;

static void end_process(u64 number);
static bool process_lose_member(u64 number, unsigned int kid, const char *why);

static const struct pcn_space_ops space_ops = {
	.share		= pcn_job_share,
	.hold_ns	= pcn_thread_hold_ns,
	.lose		= process_lose_member,
	.end		= end_process,
};

/**
 * pcn_processes_in_use - how many shared processes this kernel knows of
 *
 * Context: any.
 */
long pcn_processes_in_use(void)
{
	return atomic_long_read(&processes_in_use);
}

static struct process *find_process(u64 number)
{
	struct process *p;

	lockdep_assert_held(&processes_lock);
	list_for_each_entry(p, &processes, node)
		if (p->number == number)
			return p;
	return NULL;
}

static struct process *new_process(u64 number, u64 members)
{
	struct process *p = kzalloc(sizeof(*p), GFP_KERNEL);

	if (!p)
		return NULL;
	atomic_long_inc(&processes_in_use);
	p->number = number;
	p->members = members;
	INIT_LIST_HEAD(&p->arrivals);
	init_waitqueue_head(&p->wake);
	return p;
}

static void free_process(struct process *p)
{
	if (!p)
		return;
	atomic_long_dec(&processes_in_use);
	put_pid(p->tgid);
	pcn_reserve_empty(&p->reserve);
	kfree(p);
}

static void process_enlist(struct process *p)
{
	spin_lock(&processes_lock);
	list_add(&p->node, &processes);
	spin_unlock(&processes_lock);
}

/* --- elsewhere: the keeper --- */

/**
 * struct birth - a process is to be made
 * @msg:	what is known of it
 * @origin:	the kernel that says so
 * @done:	it is, or could not be
 * @err:	0, or why not
 */
struct birth {
	const struct process_msg	*msg;
	unsigned int			origin;
	struct completion		done;
	int				err;
};

static int take_identity(const struct process_msg *m)
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
	err = pcn_arch_map_vdso(b->msg->vdso);
	if (err)
		return err;
	s = pcn_space_create_mm(b->msg->number, b->msg->members, b->origin,
				current->mm, &space_ops);
	return PTR_ERR_OR_ZERO(s);
}

/* Visitors inherit what is blocked: all but what somebody here means to end them with. */
static int be_born(const struct birth *b, struct process *p)
{
	sigset_t blocked;
	int err;

	siginitsetinv(&blocked, sigmask(SIGKILL));
	sigprocmask(SIG_SETMASK, &blocked, NULL);
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
		process_enlist(p);
	return err;
}

static struct pcn_arrival *next_arrival(struct process *p)
{
	struct pcn_arrival *a;

	spin_lock(&processes_lock);
	a = list_first_entry_or_null(&p->arrivals, struct pcn_arrival, node);
	if (a)
		list_move_tail(&a->node, &arriving);
	spin_unlock(&processes_lock);
	return a;
}

/* There will be no visitor. From a handler that needs no reserve. */
static void arrival_refuse(unsigned int kid, const struct pcn_thread_msg *arrival,
			   int err,
			   struct pcn_reserve *reserve)
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
	spin_lock(&processes_lock);
	list_del(&a->node);
	if (!err && a->cancelled)
		err = -ECANCELED;
	spin_unlock(&processes_lock);
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

	lockdep_assert_held(&processes_lock);
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
	struct process *p;

	spin_lock(&processes_lock);
	p = find_process(m->process);
	if (p)
		a = find_arrival(&p->arrivals, msg);
	if (!a)
		a = find_arrival(&arriving, msg);
	if (a)
		a->cancelled = true;
	spin_unlock(&processes_lock);
	return a;
}

/* The copy answers; if there is none this does. */
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
static void close_process(struct process *p)
{
	struct pcn_arrival *a;

	spin_lock(&processes_lock);
	list_del(&p->node);
	spin_unlock(&processes_lock);
	while ((a = next_arrival(p)))
		pcn_arrival_end(a, -ESRCH);
	free_process(p);
}

static void keeper_serve(struct process *p)
{
	struct pcn_arrival *a;

	do {
		wait_event_state(p->wake, !list_empty(&p->arrivals) ||
				 READ_ONCE(p->end),
				 (TASK_KILLABLE | TASK_FREEZABLE));
		while ((a = next_arrival(p)))
			arrival_admit(a);
	} while (!READ_ONCE(p->end) && !fatal_signal_pending(current));
}

/* The keeper was killed locally (by the OOM killer, say): its pages and threads are lost. */
static void report_loss(struct process *p)
{
	pcn_msg_post_from(&p->reserve, pcn_number_kernel(p->number), PCN_CONTROL,
			  PCN_TYPE_PROCESS_LOST, &p->number, sizeof(p->number));
}

static int keeper_task(void *birth)
{
	struct birth *b = birth;
	struct process *p = new_process(b->msg->number, b->msg->members);

	b->err = p ? be_born(b, p) : -ENOMEM;
	if (b->err) {
		free_process(p);
		complete(&b->done);
		do_exit(0);
	}
	complete(&b->done);
	keeper_serve(p);
	if (!READ_ONCE(p->end))
		report_loss(p);
	close_process(p);
	/* A visitor that nobody knows of any more ends with it. */
	do_group_exit(0);
}

/* That a number is not in use yet pcn_space_create_mm() sees. */
static bool process_msg_is_valid(const struct pcn_message *msg)
{
	const struct process_msg *m = msg->payload;
	u64 ends = BIT_ULL(msg->kid) | BIT_ULL(pcn_self());

	return msg->length == sizeof(*m) && pcn_number_kernel(m->number) == msg->kid &&
	       (m->members & ends) == ends &&
	       uid_valid(make_kuid(&init_user_ns, m->uid)) &&
	       gid_valid(make_kgid(&init_user_ns, m->gid)) &&
	       strnlen(m->comm, sizeof(m->comm)) < sizeof(m->comm) &&
	       m->vdso_size == pcn_arch_vdso_size() &&
	       pcn_arch_vdso_is_valid(m->vdso);
}

static void on_new(const struct pcn_message *msg)
{
	struct birth b = {
		.msg = msg->payload, .origin = msg->kid,
	};
	pid_t pid;

	if (!process_msg_is_valid(msg)) {
		pcn_msg_reply(msg, -EINVAL, NULL, 0);
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

static void on_end(const struct pcn_message *msg)
{
	const u64 *number = msg->payload;
	struct process *p;

	if (msg->length != sizeof(*number) || pcn_number_kernel(*number) != msg->kid)
		return;
	spin_lock(&processes_lock);
	p = find_process(*number);
	if (p && !p->tgid) {
		WRITE_ONCE(p->end, true);
		wake_up(&p->wake);
	}
	spin_unlock(&processes_lock);
	pcn_space_break(*number);
}

/* For the next that arrives. The poll's. */
static struct pcn_arrival *spare_arrival;

static bool arrive_ready(void)
{
	const gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN;

	if (!spare_arrival)
		spare_arrival = kzalloc(sizeof(*spare_arrival), gfp);
	return spare_arrival && pcn_reserve_fill(&spare_arrival->reserve, 1, gfp);
}

/* Its keeper goes on with the arrival. */
static int hand_to_keeper(u64 number, struct pcn_arrival *a)
{
	struct process *p;
	int err = -ESRCH;

	spin_lock(&processes_lock);
	p = find_process(number);
	if (p && !p->tgid) {
		list_add_tail(&a->node, &p->arrivals);
		wake_up(&p->wake);
		err = 0;
	}
	spin_unlock(&processes_lock);
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

static void on_arrive(const struct pcn_message *msg)
{
	const struct pcn_thread_msg *m = msg->payload;
	struct pcn_arrival *a = spare_arrival;
	int err;

	/* Not even to be answered: nobody knows whose it is. */
	if (!has_state(msg)) {
		pr_err_ratelimited("kernel %u sends a thread in no state\n", msg->kid);
		return;
	}
	a->kid = msg->kid;
	memcpy(&a->msg, m, msg->length);
	/* Once it is handed over it may be gone. */
	spare_arrival = NULL;
	err = hand_to_keeper(m->process, a);
	if (err) {
		spare_arrival = a;
		arrival_refuse(msg->kid, m, err, NULL);
	}
}

/* --- at the origin --- */

/*
 * A work item's: it waits for room, and does so as no task that is being killed would.
 */
static void end_elsewhere(struct work_struct *work)
{
	struct process *p = container_of(work, struct process, farewell);
	u64 others = p->members & ~BIT_ULL(pcn_self());
	unsigned int kid;

	for_each_kernel(kid, others)
		pcn_msg_send(kid, PCN_CONTROL, PCN_TYPE_PROCESS_END, &p->number,
			     sizeof(p->number));
	free_process(p);
}

static int begin_elsewhere(struct process *p)
{
	struct process_msg m = {
		.number = p->number, .members = p->members,
		.vdso = pcn_arch_vdso(current->mm),
		.vdso_size = pcn_arch_vdso_size(),
		.uid = from_kuid(&init_user_ns, current_euid()),
		.gid = from_kgid(&init_user_ns, current_egid()),
	};
	u64 others = p->members & ~BIT_ULL(pcn_self());
	unsigned int kid;
	int err;

	get_task_comm(m.comm, current);
	for_each_kernel(kid, others) {
		err = pcn_msg_call(kid, PCN_CONTROL, PCN_TYPE_PROCESS_NEW, &m,
				   sizeof(m), NULL, NULL, MAKE_LIMIT_MS);
		if (err)
			return err;
	}
	return 0;
}

static bool is_stranger(struct task_struct *p)
{
	return READ_ONCE(p->mm) == current->mm && !(p->flags & PF_KTHREAD) &&
	       !same_thread_group(p, current);
}

/*
 * Does another process use the same memory? What it does to the layout would be seen, but
 * it may outlive this process, and the threads of it that are away. Look at all threads:
 * the leader of such a process may have ended.
 */
static bool has_strangers(void)
{
	struct task_struct *leader, *p;
	bool found = false;

	if (atomic_read(&current->mm->mm_users) == 1)
		return false;
	read_lock(&tasklist_lock);
	for_each_process_thread(leader, p)
		found = found || is_stranger(p);
	read_unlock(&tasklist_lock);
	return found;
}

/* System calls of all threads are looked at from now on. */
static void process_watch_threads(void)
{
	struct task_struct *p;

	read_lock(&tasklist_lock);
	for_each_thread(current, p)
		set_task_syscall_work(p, POPCORN);
	read_unlock(&tasklist_lock);
}

/* The address space is going. The others are told of the end, if this is the origin. */
static void end_process(u64 number)
{
	struct process *p;

	spin_lock(&processes_lock);
	p = find_process(number);
	if (p && p->tgid)
		list_del(&p->node);
	else
		p = NULL;
	spin_unlock(&processes_lock);
	if (!p)
		return;
	INIT_WORK(&p->farewell, end_elsewhere);
	queue_work(system_unbound_wq, &p->farewell);
}

static int process_share(u64 *number)
{
	struct pcn_space *s;
	struct process *p;
	int err;

	/* Probes: pcn_space_create_mm() asks again, when no more can come. */
	if (has_strangers() || test_bit(MMF_HAS_UPROBES, &current->mm->flags))
		return -EBUSY;
	p = new_process(pcn_number_new(++last_number),
			pcn_peers_up() | BIT_ULL(pcn_self()));
	if (!p)
		return -ENOMEM;
	p->tgid = get_pid(task_tgid(current));
	p->mm = current->mm;
	/* A thread that sees the space looks for the process. */
	process_enlist(p);
	err = begin_elsewhere(p);
	if (!err) {
		s = pcn_space_create_mm(p->number, p->members, pcn_self(),
					current->mm, &space_ops);
		err = PTR_ERR_OR_ZERO(s);
	}
	if (err) {
		end_process(p->number);
		return err;
	}
	process_watch_threads();
	*number = p->number;
	return 0;
}

/* The number of the current task's process, if that is shared already. */
static int process_find_own(u64 *number)
{
	struct pcn_space *s = READ_ONCE(current->mm->popcorn);
	struct process *p;
	int err = -EBUSY;

	if (!s)
		return -ENOENT;
	*number = pcn_space_number(s);
	spin_lock(&processes_lock);
	p = find_process(*number);
	/*
	 * A child by vfork() or CLONE_VM uses the memory but is another process: it
	 * stays at home. Its changes of the address space are seen (mm/popcorn/change.c).
	 */
	if (p && p->tgid == task_tgid(current))
		err = 0;
	spin_unlock(&processes_lock);
	return err;
}

/**
 * pcn_process_share - share the current process, if it is not shared yet, with all kernels
 * @number:	receives its number
 *
 * Context: process; sleeps, with no lock held.
 * Return: 0; -EBUSY its memory is used by another process, or watched, or has probes;
 * -ENOMEM; -EINTR a signal; errors of pcn_msg_call() and of what other kernels did.
 */
int pcn_process_share(u64 *number)
{
	int err = process_find_own(number);

	if (err != -ENOENT)
		return err;
	if (mutex_lock_killable(&share_lock))
		return -EINTR;
	/* Another thread may have done it meanwhile. */
	err = process_find_own(number);
	if (err == -ENOENT)
		err = process_share(number);
	mutex_unlock(&share_lock);
	return err;
}

/* The members that have a part of it still. With processes_lock held. */
static u64 members_present(const struct process *p)
{
	return p->members & ~p->lost;
}

/**
 * pcn_process_host - a kernel is about to have a thread of a process
 * @number:	the process's
 * @kid:	the kernel
 *
 * Context: process.
 * Return: 0; -EHOSTUNREACH the kernel has no part of the process: it was started, or
 * started again, after the process was shared, or has lost its part; -ESRCH there is no
 * such process.
 */
int pcn_process_host(u64 number, unsigned int kid)
{
	struct process *p;
	int err = -ESRCH;

	spin_lock(&processes_lock);
	p = find_process(number);
	if (p) {
		err = members_present(p) & BIT_ULL(kid) ? 0 : -EHOSTUNREACH;
		if (!err)
			p->hosts |= BIT_ULL(kid);
	}
	spin_unlock(&processes_lock);
	return err;
}

/* The number of the space that a task uses, 0 for none. */
static u64 number_of(struct task_struct *task)
{
	struct pcn_space *s;
	u64 number;

	/* The address space, and its space with it, stays as long as it is the task's. */
	task_lock(task);
	s = task->mm ? READ_ONCE(task->mm->popcorn) : NULL;
	number = s ? pcn_space_number(s) : 0;
	task_unlock(task);
	return number;
}

/**
 * pcn_process_members - the kernels that share a task's process, which is at home here
 * @task:	the current task, or one with a reference
 *
 * Context: process.
 * Return: bit kid is set for each that has not gone down since; 0: not shared, or its
 * home is elsewhere.
 */
u64 pcn_process_members(struct task_struct *task)
{
	u64 number = number_of(task);
	struct process *p;
	u64 members = 0;

	if (!number)
		return 0;
	spin_lock(&processes_lock);
	p = find_process(number);
	/* The pid of a task that has been reaped is NULL. */
	if (p && p->tgid && p->tgid == task_tgid(task))
		members = members_present(p);
	spin_unlock(&processes_lock);
	return members;
}

/* In "vote" every member is asked about every page. With processes_lock held. */
static bool depends_on(const struct process *p, unsigned int kid)
{
	u64 kernels = pcn_proto_chosen() == &pcn_proto_vote ? p->members :
							      p->hosts;

	return kernels & BIT_ULL(kid);
}

/*
 * All that use the address space, since memory of all is lost: as the OOM killer does.
 * A thread group that was shared may have ended, or have become another program, while
 * others still use its memory.
 */
static void process_kill_users(const struct mm_struct *mm, unsigned int kid,
			       const char *why)
{
	struct task_struct *leader, *p;

	rcu_read_lock();
	for_each_process(leader) {
		for_each_thread(leader, p) {
			if (READ_ONCE(p->mm) != mm || p->flags & PF_KTHREAD)
				continue;
			pr_err("process %d is killed: kernel %u %s\n",
			       task_tgid_nr(leader), kid, why);
			do_send_sig_info(SIGKILL, SEND_SIG_PRIV, leader,
					 PIDTYPE_TGID);
			break;
		}
	}
	rcu_read_unlock();
}

/* One that is doomed and not killed yet: its memory, with a reference. */
static struct mm_struct *next_doomed(unsigned int *kid, const char **why)
{
	struct mm_struct *mm = NULL;
	struct process *p;

	spin_lock(&processes_lock);
	list_for_each_entry(p, &processes, node) {
		if (!p->doomed)
			continue;
		*kid = p->doom;
		*why = p->doomed;
		p->doomed = NULL;
		mm = p->mm;
		mmgrab(mm);
		break;
	}
	spin_unlock(&processes_lock);
	return mm;
}

/* Not with processes_lock held: there may be many tasks. */
static void kill_doomed(void)
{
	struct mm_struct *mm;
	unsigned int kid;
	const char *why;

	while ((mm = next_doomed(&kid, &why))) {
		process_kill_users(mm, kid, why);
		mmdrop(mm);
	}
}

/* With processes_lock held. Is the process to be killed? */
static bool process_lose(struct process *p, unsigned int kid, const char *why)
{
	if (!depends_on(p, kid)) {
		p->lost |= BIT_ULL(kid);
		return false;
	}
	p->doomed = why;
	p->doom = kid;
	pcn_space_break(p->number);
	return true;
}

/*
 * A kernel has no part any more of a process whose home is here. If the process depends on
 * that kernel, as it has had threads there and may have left the only copies of pages, it
 * is killed: true. Another one goes on without it.
 */
static bool process_lose_member(u64 number, unsigned int kid, const char *why)
{
	struct process *p;
	bool killed = false;

	spin_lock(&processes_lock);
	p = find_process(number);
	if (p && p->tgid && p->members & BIT_ULL(kid))
		killed = process_lose(p, kid, why);
	spin_unlock(&processes_lock);
	kill_doomed();
	return killed;
}

static void on_lost(const struct pcn_message *msg)
{
	const u64 *number = msg->payload;

	if (msg->length == sizeof(*number))
		process_lose_member(*number, msg->kid, "has lost its part of it");
}

/* Processes of an origin that is down end, and those that it had a part of. */
static void process_peer_down(struct pcn_peer_notifier *watch, unsigned int kid)
{
	struct process *p;

	spin_lock(&processes_lock);
	list_for_each_entry(p, &processes, node) {
		if (!p->tgid && pcn_number_kernel(p->number) == kid) {
			WRITE_ONCE(p->end, true);
			wake_up(&p->wake);
			pcn_space_break(p->number);
		} else if (p->tgid) {
			process_lose(p, kid, "is down, with threads or pages of it");
		}
	}
	spin_unlock(&processes_lock);
	kill_doomed();
}

static struct pcn_peer_notifier watch = { .down = process_peer_down };

static const struct pcn_msg_type types[] = {
	{
		.name = "process-new", .channel = PCN_CONTROL,
		.type = PCN_TYPE_PROCESS_NEW, .may_sleep = true,
		.handle = on_new,
	}, {
		.name = "process-end", .channel = PCN_CONTROL,
		.type = PCN_TYPE_PROCESS_END, .may_sleep = true,
		.handle = on_end,
	}, {
		.name = "process-lost", .channel = PCN_CONTROL,
		.type = PCN_TYPE_PROCESS_LOST, .handle = on_lost,
	}, {
		.name = "arrive", .channel = PCN_CONTROL,
		.type = PCN_TYPE_ARRIVE, .ready = arrive_ready,
		.handle = on_arrive,
	},
};

static int __init pcn_process_init(void)
{
	unsigned int i;
	int err;

	if (!pcn_machine_is_shared())
		return 0;
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		err = pcn_msg_register(&types[i]);
		if (err)
			return err;
	}
	return pcn_peers_subscribe(&watch);
}
fs_initcall(pcn_process_init);

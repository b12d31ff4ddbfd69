// SPDX-License-Identifier: GPL-2.0
/*
 * Spaces: which there are, and for how long.
 *
 * A space of an address space goes with that: a reference to its mm, which
 * pcn_space_get() takes, keeps both. Handlers have none, and a space waits for those
 * that may have found it before it goes.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/mmu_notifier.h>
#include <linux/pid.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/sched/coredump.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include <popcorn/hooks.h>
#include <popcorn/partition.h>

#include "internal.h"
#include "mirror.h"

static LIST_HEAD(spaces);
static DEFINE_SPINLOCK(spaces_lock);

/* What has happened in spaces that are no more. */
static struct pcn_space_stats ended;

/* What there is, to see that nothing is left behind. */
static atomic_long_t spaces_in_use;

/**
 * pcn_spaces_in_use - how many spaces there are
 *
 * Context: any.
 * Return: their number, which may change at any time.
 */
long pcn_spaces_in_use(void)
{
	return atomic_long_read(&spaces_in_use);
}

static void add_up(struct pcn_space_stats *sum, struct pcn_space_stats *s)
{
	atomic64_t *to = (atomic64_t *)sum, *from = (atomic64_t *)s;
	unsigned int i;

	for (i = 0; i < sizeof(*s) / sizeof(*from); i++)
		atomic64_add(atomic64_read(&from[i]), &to[i]);
}

static struct pcn_space *find_locked(u64 number)
{
	struct pcn_space *s;

	list_for_each_entry(s, &spaces, node)
		if (s->number == number)
			return s;
	return NULL;
}

/**
 * pcn_space_find - the space of a number
 * @number:	of the space
 *
 * Context: a handler that does not sleep: what it finds stays until it is done.
 * Return: the space, or NULL.
 */
struct pcn_space *pcn_space_find(u64 number)
{
	struct pcn_space *s;

	spin_lock(&spaces_lock);
	s = find_locked(number);
	spin_unlock(&spaces_lock);
	return s;
}

/**
 * pcn_space_get - the space of a number, and a hold on its address space
 * @number:	of the space; one with an mm
 *
 * Context: process.
 * Return: the space, to be given to pcn_space_put(); NULL if there is none, or the
 * process is ending.
 */
struct pcn_space *pcn_space_get(u64 number)
{
	struct pcn_space *s;

	spin_lock(&spaces_lock);
	s = find_locked(number);
	if (s && (!s->mm || !mmget_not_zero(s->mm)))
		s = NULL;
	spin_unlock(&spaces_lock);
	return s;
}

/**
 * pcn_space_put - give back a reference from pcn_space_get()
 * @s:	the space
 *
 * Context: process, may sleep.
 */
void pcn_space_put(struct pcn_space *s)
{
	/* The last one would destroy the space under the feet of its caller. */
	mmput_async(s->mm);
}

/* This kernel is a member of it, and has frames of its pages. */
static bool is_visiting(const struct pcn_space *s)
{
	return s->mm && !pcn_is_origin(s);
}

/**
 * pcn_space_next_visiting - the spaces of other kernels' processes, one after the other
 *
 * Context: process, also in reclaim.
 * Return: another one each time, to be given to pcn_space_put(); NULL: there is none.
 */
struct pcn_space *pcn_space_next_visiting(void)
{
	struct pcn_space *s;

	spin_lock(&spaces_lock);
	list_for_each_entry(s, &spaces, node) {
		if (is_visiting(s) && mmget_not_zero(s->mm)) {
			list_move_tail(&s->node, &spaces);
			spin_unlock(&spaces_lock);
			return s;
		}
	}
	spin_unlock(&spaces_lock);
	return NULL;
}

/**
 * pcn_frames_visiting - frames that pages of other kernels' processes have here
 *
 * Context: process, also in reclaim.
 * Return: their number, of all spaces together.
 */
unsigned long pcn_frames_visiting(void)
{
	unsigned long frames = 0;
	struct pcn_space *s;

	spin_lock(&spaces_lock);
	list_for_each_entry(s, &spaces, node)
		if (is_visiting(s))
			frames += percpu_counter_sum_positive(&s->mm->rss_stat[MM_ANONPAGES]);
	spin_unlock(&spaces_lock);
	return frames;
}

/**
 * pcn_space_first_hosts - the kernels that have to do with a process's pages from the start
 * @proto:	the protocol of its pages
 * @members:	the kernels that share it
 * @origin:	its home
 *
 * Context: any.
 * Return: bit kid is set for each; others come with pcn_space_admit().
 */
u64 pcn_space_first_hosts(const struct pcn_proto *proto, u64 members,
			  unsigned int origin)
{
	return proto->asks_all ? members : BIT_ULL(origin);
}

/**
 * pcn_space_admit - listen to more members
 * @number:	of the space
 * @hosts:	the kernels: they are to have threads of the process
 *
 * Context: any but hard interrupt.
 * Return: is there such a space?
 */
bool pcn_space_admit(u64 number, u64 hosts)
{
	struct pcn_space *s;

	spin_lock(&spaces_lock);
	s = find_locked(number);
	if (s)
		WRITE_ONCE(s->hosts, s->hosts | (hosts & s->group.members));
	spin_unlock(&spaces_lock);
	return s;
}

static struct pcn_space *new_space(u64 number, u64 members, unsigned int origin,
				   const struct pcn_proto *proto)
{
	struct pcn_space *s;
	unsigned int kid;

	if (!(members & BIT_ULL(pcn_self())) || origin >= PCN_KERNELS_MAX ||
	    !(members & BIT_ULL(origin)))
		return ERR_PTR(-EINVAL);
	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return ERR_PTR(-ENOMEM);
	s->number = number;
	s->hosts = members;
	s->proto = proto;
	s->group = (struct pcn_kernel_group) {
		.members = members, .self = pcn_self(),
		.count = hweight64(members), .origin = origin,
	};
	pcn_shards_init(s);
	init_waitqueue_head(&s->thawed);
	init_waitqueue_head(&s->quiet);
	sema_init(&s->round, 1);
	spin_lock_init(&s->changes_lock);
	INIT_LIST_HEAD(&s->changes);
	INIT_LIST_HEAD(&s->asks);
	INIT_LIST_HEAD(&s->parked);
	INIT_WORK(&s->ask_work, pcn_vma_answer);
	INIT_WORK(&s->torn_work, pcn_tell_of_torn);
	for_each_kernel(kid, s->group.members)
		mt_init_flags(&s->member[kid].published, PCN_TREE_FLAGS);
	mt_init_flags(&s->origin_only, PCN_TREE_FLAGS);
	mt_init_flags(&s->stale, PCN_TREE_FLAGS);
	atomic_long_inc(&spaces_in_use);
	return s;
}

static void free_space(struct pcn_space *s)
{
	unsigned int kid;

	put_pid(s->pid);
	pcn_hot_end(s);
	for_each_kernel(kid, s->group.members)
		mtree_destroy(&s->member[kid].published);
	mtree_destroy(&s->origin_only);
	mtree_destroy(&s->stale);
	atomic_long_dec(&spaces_in_use);
	kfree(s);
}

/* It has not come into being. */
static void space_discard(struct pcn_space *s)
{
	pcn_tally_drop(s);
	free_space(s);
}

static int space_enlist(struct pcn_space *s)
{
	int err = -EEXIST;

	spin_lock(&spaces_lock);
	if (!find_locked(s->number)) {
		list_add(&s->node, &spaces);
		err = 0;
	}
	spin_unlock(&spaces_lock);
	return err;
}

/**
 * pcn_space_create - make a space, or this kernel's part of it
 * @number:	of the space, the same on all members
 * @members:	the kernels that share it, this one included
 * @origin:	the one that owns untouched pages
 *
 * Its pages are kernel memory, see pcn_access_begin(). All members have to have
 * done so before any of them uses it. The protocol is that of this boot.
 *
 * Context: process.
 * Return: the space; an ERR_PTR: -EEXIST, -EINVAL, -ENOMEM.
 */
struct pcn_space *pcn_space_create(u64 number, u64 members, unsigned int origin)
{
	struct pcn_space *s;
	int err;

	s = new_space(number, members, origin, pcn_proto_chosen());
	if (IS_ERR(s))
		return s;
	err = pcn_tally_new(s, false);
	if (!err)
		err = space_enlist(s);
	if (err) {
		space_discard(s);
		return ERR_PTR(err);
	}
	return s;
}

/* With mmap_lock held to write. */
static int mirror_attach(struct pcn_space *s, struct mm_struct *mm)
{
	struct pcn_mirror *m;

	if (!pcn_is_coherent(s) || !pcn_is_origin(s))
		return 0;
	m = pcn_mirror_begin(s, mm);
	if (IS_ERR(m))
		return PTR_ERR(m);
	s->mirror = m;
	return 0;
}

/* Nobody finds the space any more, or it has not come into being. */
static void coherent_end(struct pcn_space *s)
{
	pcn_borrow_end(s);
	if (s->mirror)
		pcn_mirror_free(s->mirror);
}

/*
 * Faults in flight have not seen the space; write-lock every VMA to drain them before a
 * page is given away. Changes of the address space look again once they have mmap_lock
 * (pcn_change_lock()). Huge pages would have to be split again and again. Probes in its
 * code (uprobes) are pages that were replaced for this kernel alone, and MMU notifiers
 * are told nothing of pages that go; with mmap_lock held there are some, or there will be
 * none.
 */
static int space_attach(struct pcn_space *s, struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;
	int err;

	if (mmap_write_lock_killable(mm))
		return -EINTR;
	if (test_bit(MMF_HAS_UPROBES, &mm->flags) || mm_has_notifiers(mm)) {
		mmap_write_unlock(mm);
		return -EBUSY;
	}
	err = mirror_attach(s, mm);
	if (err) {
		mmap_write_unlock(mm);
		return err;
	}
	s->mm = mm;
	if (pcn_is_origin(s)) {
		s->pid = get_pid(task_tgid(current));
		if (!s->mirror)
			set_bit(MMF_DISABLE_THP, &mm->flags);
	}
	WRITE_ONCE(mm->popcorn, s);
	for_each_vma(vmi, vma)
		vma_start_write(vma);
	mmap_write_unlock(mm);
	return 0;
}

/**
 * pcn_space_create_mm - share an address space, or make this kernel's part of it
 * @number:	as for pcn_space_create(), as are
 * @members:	these
 * @origin:	three
 * @mm:		the address space; at the origin the process's, elsewhere a new one
 * @proto:	the protocol, the same on all members
 * @ops:	of the process; constant
 *
 * Context: process; takes mmap_lock.
 * Return: the space, which goes with @mm; an ERR_PTR: -EEXIST, -EINVAL, -ENOMEM,
 * -EINTR; -EBUSY somebody watches @mm with an MMU notifier, or has probes in it;
 * -EHOSTDOWN the origin has died.
 */
struct pcn_space *pcn_space_create_mm(u64 number, u64 members,
				      unsigned int origin, struct mm_struct *mm,
				      const struct pcn_proto *proto,
				      const struct pcn_space_ops *ops)
{
	struct pcn_space *s;
	int err;

	s = new_space(number, members, origin, proto);
	if (IS_ERR(s))
		return s;
	s->ops = ops;
	s->hosts = pcn_space_first_hosts(s->proto, members, origin);
	err = pcn_tally_new(s, true);
	if (!err && pcn_is_coherent(s) && !pcn_is_origin(s))
		err = pcn_borrow_begin(s);
	if (!err)
		err = space_attach(s, mm);
	if (!err)
		err = space_enlist(s);
	if (err) {
		WRITE_ONCE(mm->popcorn, NULL);
		coherent_end(s);
		space_discard(s);
		return ERR_PTR(err);
	}
	return s;
}

/**
 * pcn_space_number - the number of a space
 * @s:	the space
 *
 * Context: any.
 * Return: the number, which stays the same.
 */
u64 pcn_space_number(const struct pcn_space *s)
{
	return s->number;
}

/**
 * pcn_space_is_coherent - do all kernels map the same frames?
 * @s:	the space
 *
 * Context: any.
 */
bool pcn_space_is_coherent(const struct pcn_space *s)
{
	return pcn_is_coherent(s);
}

/**
 * pcn_space_destroy - give up this kernel's part of a space
 * @s:	the space; no thread here uses it, and no member will send for it
 *
 * A space of an address space goes with that.
 *
 * Context: process.
 */
void pcn_space_destroy(struct pcn_space *s)
{
	spin_lock(&spaces_lock);
	list_del(&s->node);
	spin_unlock(&spaces_lock);
	WRITE_ONCE(s->ending, true);
	/* No handler, and no poll in place of one, has it then. */
	pcn_msg_sync();
	/* That is a grace period, too. */
	pcn_space_wait_for_unmappers(s);
	pcn_vma_end_asks(s);
	pcn_tally_end(s);
	pcn_records_end(s);
	coherent_end(s);
	add_up(&ended, &s->stats);
	free_space(s);
}

static void wake_shard(struct pcn_shard *shard)
{
	struct rb_node *node;

	spin_lock(&shard->lock);
	for (node = rb_first(&shard->records); node; node = rb_next(node))
		wake_up_var(rb_entry(node, struct pcn_record, node));
	spin_unlock(&shard->lock);
}

static void break_space(struct pcn_space *s)
{
	struct pcn_shard *shard;

	WRITE_ONCE(s->broken, true);
	for (shard = s->shard; shard < s->shard + PCN_SHARDS; shard++)
		wake_shard(shard);
	wake_up_all(&s->quiet);
	wake_up_all(&s->thawed);
	pcn_borrow_break(s);
	if (s->mirror)
		wake_up_all(&s->mirror->wait);
}

/**
 * pcn_space_break - end all waits for pages of a process that ends
 * @number:	of its space
 *
 * Context: process.
 */
void pcn_space_break(u64 number)
{
	struct pcn_space *s;

	spin_lock(&spaces_lock);
	s = find_locked(number);
	if (s)
		break_space(s);
	spin_unlock(&spaces_lock);
}

/**
 * pcn_space_lose_member - a kernel has no part of a space any more
 * @number:	of the space, at its origin
 * @kid:	the kernel
 *
 * Of coherent memory it is told of no frame from now on, and is asked for nothing.
 * Otherwise that need not be known.
 *
 * Context: any but hard interrupt.
 * Return: false: it is known to use no page of the space any more. Only of
 * coherent memory.
 */
bool pcn_space_lose_member(u64 number, unsigned int kid)
{
	bool uses_pages = true;
	struct pcn_space *s;

	spin_lock(&spaces_lock);
	s = find_locked(number);
	if (s && s->mirror)
		uses_pages = pcn_mirror_lose(s->mirror, kid);
	spin_unlock(&spaces_lock);
	return uses_pages;
}

/**
 * pcn_mm_kill_users - kill all processes that use an address space
 * @mm:		the address space; it need not have a user any more
 * @why:	for the log: it follows "process 1 is killed: "
 *
 * As the OOM killer does: memory of all of them is lost. The thread group that was shared may
 * have ended, or have become another program, while others still use its memory.
 *
 * Context: any but hard interrupt; spinlocks may be held.
 */
void pcn_mm_kill_users(const struct mm_struct *mm, const char *why)
{
	struct task_struct *leader, *p;

	rcu_read_lock();
	for_each_process(leader) {
		for_each_thread(leader, p) {
			if (READ_ONCE(p->mm) != mm || p->flags & PF_KTHREAD)
				continue;
			pr_err("process %d is killed: %s\n", task_tgid_nr(leader), why);
			do_send_sig_info(SIGKILL, SEND_SIG_PRIV, leader, PIDTYPE_TGID);
			break;
		}
	}
	rcu_read_unlock();
}

/**
 * pcn_space_kill - end the process of a space here, since a page is not as it must be
 * @s:		the space, of an address space
 * @why:	as for pcn_mm_kill_users()
 *
 * At a member the keeper is among those that are killed, and tells the origin.
 *
 * Context: any but hard interrupt; a record's lock may be held.
 */
void pcn_space_kill(struct pcn_space *s, const char *why)
{
	pcn_mm_kill_users(s->mm, why);
	pcn_space_break(s->number);
}

/**
 * pcn_mm_exit - the end of an address space that may be shared
 * @mm:	it has no user any more
 *
 * Context: process.
 */
void pcn_mm_exit(struct mm_struct *mm)
{
	struct pcn_space *s = mm->popcorn;

	if (!s)
		return;
	WRITE_ONCE(mm->popcorn, NULL);
	/* Of those that need no user of it, as KSM's thread. */
	break_space(s);
	if (s->mirror)
		pcn_mirror_end(s->mirror);
	s->ops->end(s->number);
	pcn_space_destroy(s);
}

/**
 * pcn_space_stats - the counters of a space
 * @s:	the space
 *
 * Context: any.
 * Return: the counters, as long as there is the space.
 */
struct pcn_space_stats *pcn_space_stats(struct pcn_space *s)
{
	return &s->stats;
}

static void show_stats(struct seq_file *m, struct pcn_space_stats *s, unsigned long kept)
{
	atomic64_t *count = (atomic64_t *)s;
	unsigned int i;

	for (i = 0; i < sizeof(*s) / sizeof(*count); i++)
		seq_printf(m, " %lld", atomic64_read(&count[i]));
	seq_printf(m, " %lu\n", kept);
}

static int show_spaces(struct seq_file *m, void *v)
{
	struct pcn_space *s;

	seq_puts(m, "space hits misses messages copies holds impossible unsent adopted rounds stuck returned kept\n");
	seq_puts(m, "ended");
	show_stats(m, &ended, pcn_kept_frames());
	spin_lock(&spaces_lock);
	list_for_each_entry(s, &spaces, node) {
		seq_printf(m, "%llx", s->number);
		show_stats(m, &s->stats, 0);
	}
	spin_unlock(&spaces_lock);
	return 0;
}

static int __init pcn_space_proc_init(void)
{
	if (pcn_machine_is_shared())
		proc_create_single("popcorn/spaces", 0444, NULL, show_spaces);
	return 0;
}
device_initcall(pcn_space_proc_init);

static int __init pcn_space_init(void)
{
	/* Unit tests make spaces on any machine. */
	int err = pcn_records_init();

	if (err || !pcn_machine_is_shared())
		return err;
	pcn_memory_lend(pcn_proto_may_lend());
	err = pcn_worker_init();
	if (!err)
		err = pcn_step_init();
	if (!err)
		err = pcn_vma_init();
	if (!err)
		err = pcn_follow_init();
	if (!err)
		err = pcn_kept_init();
	if (!err)
		err = pcn_mirror_init();
	if (!err)
		err = pcn_lend_init();
	if (!err)
		err = pcn_borrow_init();
	return err ?: pcn_shrink_init();
}
subsys_initcall_sync(pcn_space_init);

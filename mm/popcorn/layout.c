// SPDX-License-Identifier: GPL-2.0
/*
 * Changes of the layout of a shared address space.
 *
 * All system calls run at the origin, and those that change which addresses there
 * are, or what they mean, do so in a *round* around Linux's own code:
 *
 *	freeze	every member lets no access to the range begin any more, and answers
 *		when those that had begun are over: then nothing is under way about
 *		its pages
 *	recall	the origin reads the pages whose data is elsewhere, unless the call
 *		throws them away
 *	fence	"vote" alone: every kernel has an answer from every other to what it
 *		sent after that, so no late answer about a page is under way (see
 *		protocol.rst, "Late messages")
 *	drop	the members forget the pages and the VMAs; the origin gives the pages
 *		back to Linux
 *	...	the system call
 *	thaw	the members let accesses begin: they ask for VMAs anew
 *
 * A range that no member knows of costs nothing. Faults at the origin go on after
 * the drop, under Linux's own locks.
 *
 * A lock admits one round at a time, until the system call is over; those who tell
 * members of VMAs have it to read. It is taken with no other lock held, and a fault
 * never takes it. Threads of members get on between two rounds: what they need for
 * an instruction, VMAs and pages, may have gone before they had it all; then they say
 * how long they need it when they ask for more, and the next round waits.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include <trace/events/popcorn.h>

#include <popcorn/hooks.h>
#include <popcorn/partition.h>
#include <popcorn/thread.h>

#include "internal.h"

/* A member that does not answer for so long has died, and is declared dead. */
#define ROUND_LIMIT_MS	(60 * MSEC_PER_SEC)

/* In user space */
#define LAST_PAGE	((TASK_SIZE_MAX >> PAGE_SHIFT) - 1)

/**
 * enum round_phase - phases of a round that members are told of
 * @ROUND_FREEZE:	let no access begin, wait for those that have
 * @ROUND_FENCE:	wait until nothing late is under way
 * @ROUND_DROP:		forget pages and VMAs
 * @ROUND_THAW:		go on
 */
enum round_phase {
	ROUND_FREEZE,
	ROUND_FENCE,
	ROUND_DROP,
	ROUND_THAW,
};

/**
 * struct round_msg - a phase of a round. On the wire
 * @space:	number of the space
 * @first:	number of the first page
 * @last:	number of the last one
 * @epoch:	of the layout from now on
 * @phase:	enum round_phase
 * @pad:	zero
 */
struct round_msg {
	u64	space;
	u64	first;
	u64	last;
	u64	epoch;
	u32	phase;
	u32	pad;
};

static_assert(sizeof(struct round_msg) == 40);

/* --- on every kernel --- */

static void freeze(struct pcn_space *s, u64 first, u64 last)
{
	spin_lock(&s->lock);
	s->frozen = (struct pcn_range) {
		.first = first, .last = last, .owner = current, .on = true,
	};
	spin_unlock(&s->lock);
}

static void thaw(struct pcn_space *s)
{
	spin_lock(&s->lock);
	s->frozen.on = false;
	s->frozen.owner = NULL;
	wake_up_all(&s->thawed);
	spin_unlock(&s->lock);
}

/* The first record at or behind a page, without a hold: the range is frozen. */
static struct pcn_record *next_record(struct pcn_space *s, u64 page)
{
	struct pcn_record *r;

	spin_lock(&s->lock);
	r = pcn_record_next(s, page);
	spin_unlock(&s->lock);
	return r;
}

#define for_each_record(r, s, start, end)			\
	for ((r) = next_record(s, start);			\
	     (r) && (r)->page <= (end);				\
	     (r) = next_record(s, (r)->page + 1))

static bool is_quiet(struct pcn_record *r)
{
	bool quiet;

	if (atomic_read(&r->users))
		return false;
	spin_lock(&r->lock);
	quiet = !r->pending && !pcn_in_use(r) && !r->holding &&
		pcn_settled(&r->replica);
	spin_unlock(&r->lock);
	return quiet;
}

/*
 * Accesses that have begun end: they need nobody who waits here. Unless a kernel has
 * died that one of them waits for: then the process ends, and this with it.
 */
static int wait_until_quiet(struct pcn_space *s, u64 first, u64 last)
{
	struct pcn_record *r;

	for_each_record(r, s, first, last)
		if (wait_event_killable(s->quiet, is_quiet(r) ||
						  READ_ONCE(s->broken)) ||
		    READ_ONCE(s->broken))
			return -EINTR;
	return 0;
}

static void forget(struct pcn_space *s, struct pcn_record *r)
{
	spin_lock(&s->lock);
	rb_erase(&r->node, &s->records);
	spin_unlock(&s->lock);
}

/* Handlers may have found a record just before it went. */
static void free_forgotten(struct list_head *forgotten)
{
	struct pcn_record *r, *next;

	pcn_msg_sync();
	list_for_each_entry_safe(r, next, forgotten, forgotten)
		pcn_record_free(r);
}

/* --- at a member --- */

static void drop_vmas(struct pcn_space *s, u64 first, u64 last)
{
	unsigned long start = first << PAGE_SHIFT;
	unsigned long end = min_t(u64, (last + 1) << PAGE_SHIFT, TASK_SIZE_MAX);
	struct vm_area_struct *vma;

	/* Unmapping is for the current task's memory only. */
	kthread_use_mm(s->mm);
	mmap_write_lock(s->mm);
	for (;;) {
		VMA_ITERATOR(vmi, s->mm, start);

		for_each_vma_range(vmi, vma, end)
			if (vma->vm_ops == &pcn_vm_ops || vma->vm_file)
				break;
		if (!vma)
			break;
		if (do_munmap(s->mm, max(vma->vm_start, start),
			      min(vma->vm_end, end) - max(vma->vm_start, start),
			      NULL))
			break;
	}
	mmap_write_unlock(s->mm);
	kthread_unuse_mm(s->mm);
}

static void drop_records(struct pcn_space *s, u64 first, u64 last)
{
	LIST_HEAD(forgotten);
	struct pcn_record *r;

	for_each_record(r, s, first, last) {
		forget(s, r);
		list_add(&r->forgotten, &forgotten);
	}
	free_forgotten(&forgotten);
}

static u64 others(const struct pcn_space *s)
{
	return s->group.members & ~BIT_ULL(s->group.self);
}

/* Page messages go by the same channel, and overtake nothing. */
static void fence(struct pcn_space *s)
{
	u64 members = others(s);
	unsigned int kid;
	u64 word = 0;
	u32 length;

	for_each_set_bit(kid, (unsigned long *)&members, PCN_KERNELS_MAX) {
		length = sizeof(word);
		pcn_msg_call(kid, PCN_COHERENCY, PCN_TYPE_PING, &word,
			     sizeof(word), &word, &length, ROUND_LIMIT_MS);
	}
}

static int obey(struct pcn_space *s, const struct round_msg *m)
{
	trace_pcn_round(s->number, m->first, m->last, m->epoch, m->phase);
	switch (m->phase) {
	case ROUND_FREEZE:
		freeze(s, m->first, m->last);
		return wait_until_quiet(s, m->first, m->last);
	case ROUND_FENCE:
		fence(s);
		break;
	case ROUND_DROP:
		/* Under mmap_lock: no VMA of before is inserted afterwards. */
		mmap_write_lock(s->mm);
		s->epoch = m->epoch;
		mmap_write_unlock(s->mm);
		drop_vmas(s, m->first, m->last);
		drop_records(s, m->first, m->last);
		break;
	case ROUND_THAW:
		thaw(s);
		break;
	}
	return 0;
}

/**
 * struct phase - a phase to be gone through
 * @work:	for it
 * @msg:	the request
 * @round:	its payload
 */
struct phase {
	struct work_struct	work;
	struct pcn_message	msg;
	struct round_msg	round;
};

static void do_phase(struct work_struct *work)
{
	struct phase *p = container_of(work, struct phase, work);
	struct pcn_space *s = pcn_space_get(p->round.space);
	int err = -ESRCH;

	if (s && s->group.origin == p->msg.kid)
		err = obey(s, &p->round);
	if (s)
		pcn_space_put(s);
	if (p->msg.request)
		pcn_msg_reply(&p->msg, err, NULL, 0);
	kfree(p);
}

/*
 * Not in the handler: other messages must not wait for the threads that a freeze
 * waits for. The origin begins a phase when the last one has been answered; a thaw
 * is not waited for, so it is done at once, before the next freeze can come.
 */
static void on_round(const struct pcn_message *msg)
{
	struct phase *p;

	if (msg->length != sizeof(p->round))
		return;
	p = kmalloc(sizeof(*p), GFP_KERNEL | __GFP_NOFAIL);
	INIT_WORK(&p->work, do_phase);
	p->msg = *msg;
	memcpy(&p->round, msg->payload, sizeof(p->round));
	if (p->round.phase == ROUND_FREEZE || p->round.phase == ROUND_FENCE)
		queue_work(system_unbound_wq, &p->work);
	else
		do_phase(&p->work);
}

static const struct pcn_msg_type round_type = {
	.name		= "round",
	.channel	= PCN_CONTROL,
	.type		= PCN_TYPE_ROUND,
	.may_sleep	= true,
	.handle		= on_round,
};

/* --- at the origin --- */

static int tell_one(struct pcn_space *s, unsigned int kid, enum round_phase phase)
{
	struct round_msg m = {
		.space = s->number, .first = s->frozen.first,
		.last = s->frozen.last, .epoch = s->epoch, .phase = phase,
	};

	if (phase == ROUND_THAW)
		return pcn_msg_send(kid, PCN_CONTROL, PCN_TYPE_ROUND, &m,
				    sizeof(m));
	return pcn_msg_call(kid, PCN_CONTROL, PCN_TYPE_ROUND, &m, sizeof(m),
			    NULL, NULL, ROUND_LIMIT_MS);
}

/*
 * A member that is down uses no pages; what was lost with it is known elsewhere. One
 * that lives and has not done its part may still use what is to change, if there ever
 * was a thread: then the process is killed. If not it is a member no more, as one that
 * has started again and knows nothing of the process. -EINTR: killed, by whomever.
 */
static int tell(struct pcn_space *s, enum round_phase phase)
{
	u64 members = others(s);
	unsigned int kid;
	int err, result = 0;

	trace_pcn_round(s->number, s->frozen.first, s->frozen.last, s->epoch,
			phase);
	for_each_set_bit(kid, (unsigned long *)&members, PCN_KERNELS_MAX) {
		err = tell_one(s, kid, phase);
		if (!err || err == -EHOSTDOWN)
			continue;
		if (err == -EINTR || READ_ONCE(s->broken) ||
		    pcn_process_lose(s->number, kid,
				     "is up and does not follow a change of the memory layout"))
			result = -EINTR;
	}
	return result;
}

static int recall_page(struct pcn_record *r)
{
	struct pcn_context *c;
	struct vm_area_struct *vma;
	int err = 0;

	mmap_read_lock(r->space->mm);
	vma = vma_lookup(r->space->mm, r->page << PAGE_SHIFT);
	if (vma)
		err = pcn_frame_alloc(r, vma);
	mmap_read_unlock(r->space->mm);
	if (err || !vma)
		return err;
	c = pcn_context_get(r->space);
	spin_lock(&r->lock);
	err = pcn_enter(r, false, c);
	spin_unlock(&r->lock);
	pcn_context_put(c);
	if (!err)
		pcn_leave(r);
	return err;
}

/* The range is frozen, but not for this thread. */
static int recall(struct pcn_space *s, u64 first, u64 last)
{
	struct pcn_record *r;
	int err = 0;

	for_each_record(r, s, first, last) {
		atomic_inc(&r->users);
		if (!r->plain && !r->may)
			err = recall_page(r);
		pcn_record_put(r);
		if (err)
			return err;
	}
	return wait_until_quiet(s, first, last);
}

static void release_record(struct pcn_space *s, struct pcn_record *r)
{
	unsigned long address = r->page << PAGE_SHIFT;
	struct vm_area_struct *vma;

	if (r->plain)
		return;
	mmap_read_lock(s->mm);
	vma = vma_lookup(s->mm, address);
	if (vma && (!pcn_vma_replicates(vma) ||
		    pcn_map_prepare(vma, address, true)))
		vma = NULL;
	pcn_release(r, vma);
	mmap_read_unlock(s->mm);
}

static void release(struct pcn_space *s, u64 first, u64 last)
{
	LIST_HEAD(forgotten);
	struct pcn_record *r;

	for_each_record(r, s, first, last) {
		release_record(s, r);
		forget(s, r);
		list_add(&r->forgotten, &forgotten);
	}
	free_forgotten(&forgotten);
}

static bool is_published(struct pcn_space *s, u64 first, u64 last)
{
	unsigned long at = first << PAGE_SHIFT;
	unsigned long end = ((last + 1) << PAGE_SHIFT) - 1;

	return mt_find(&s->published, &at, end);
}

static void unpublish(struct pcn_space *s, u64 first, u64 last)
{
	mtree_store_range(&s->published, first << PAGE_SHIFT,
			  ((last + 1) << PAGE_SHIFT) - 1, NULL,
			  GFP_KERNEL | __GFP_NOFAIL);
}

/*
 * Calls everything home. -EINTR: a fatal signal; members may have dropped pages by
 * then, which nobody will miss.
 */
static int begin_round(struct pcn_space *s, u64 first, u64 last, bool keep)
{
	int err;

	freeze(s, first, last);
	err = wait_until_quiet(s, first, last);
	if (!err)
		err = tell(s, ROUND_FREEZE);
	if (!err && keep)
		err = recall(s, first, last);
	if (!err && s->proto == &pcn_proto_vote) {
		err = tell(s, ROUND_FENCE);
		fence(s);
	}
	if (!err) {
		s->epoch++;
		err = tell(s, ROUND_DROP);
	}
	if (!err) {
		unpublish(s, first, last);
		release(s, first, last);
		if (!first && last >= LAST_PAGE)
			WRITE_ONCE(s->files_given, false);
		atomic64_inc(&s->stats.rounds);
	}
	s->dropped = true;
	thaw(s);
	return err;
}

/* --- around a system call --- */

/*
 * Lock the layout to change a range. The time that others need is waited for without
 * the lock: they may have to ask for more.
 */
static int lock_layout(struct pcn_space *s, u64 first, u64 last)
{
	s64 left;
	ktime_t t;

	for (;;) {
		if (down_write_killable(&s->layout))
			return -EINTR;
		left = atomic64_read(&s->rest_until) - ktime_get_ns();
		if (left <= 0 || !is_published(s, first, last))
			return 0;
		up_write(&s->layout);
		t = ns_to_ktime(left);
		set_current_state(TASK_KILLABLE);
		schedule_hrtimeout(&t, HRTIMER_MODE_REL);
		if (fatal_signal_pending(current))
			return -EINTR;
	}
}

/**
 * pcn_layout_enter - a thread of a shared address space begins a system call
 * @s:		its space, at the origin
 * @regs:	its registers, with the system call
 *
 * If the call may change the layout, others are kept out of it until
 * pcn_layout_leave().
 *
 * Context: process, with no lock held; sleeps, killably.
 * Return: 1: to be followed by pcn_layout_leave(); 0: the call concerns nobody;
 * -EINTR a fatal signal.
 */
int pcn_layout_enter(struct pcn_space *s, struct pt_regs *regs)
{
	struct pcn_change c = pcn_change_of(s, regs);
	u64 first = c.start >> PAGE_SHIFT, last = (c.end >> PAGE_SHIFT) - 1;
	int err;

	if (c.start >= c.end)
		return 0;
	err = lock_layout(s, first, last);
	if (err)
		return err;
	if (c.unmaps)
		pcn_home_only(s, c.start, c.end, false);
	if (is_published(s, first, last))
		err = begin_round(s, first, last, c.keep);
	if (!err && !c.before)
		return 1;
	pcn_layout_leave(s);
	return err;
}

/**
 * pcn_layout_leave - the system call is over
 * @s:		as for pcn_layout_enter(), which has returned 1
 *
 * Context: process.
 */
void pcn_layout_leave(struct pcn_space *s)
{
	if (s->dropped)
		tell(s, ROUND_THAW);
	s->dropped = false;
	up_write(&s->layout);
}

/**
 * pcn_layout_recall - have all members forget all that they know of the layout
 * @s:	the space, at the origin
 *
 * Context: process, with no lock held; sleeps, killably. Whoever changes the layout
 * meanwhile is waited for; a thread that is stopped in the middle of that, as a
 * debugger stops it in fork(2), has had everything forgotten: see pcn_remote_access().
 * Return: 0 or -EINTR.
 */
int pcn_layout_recall(struct pcn_space *s)
{
	int err = lock_layout(s, 0, LAST_PAGE);

	if (err)
		return err;
	if (s->files_given)
		err = begin_round(s, 0, LAST_PAGE, true);
	pcn_layout_leave(s);
	return err;
}

/**
 * pcn_layout_init - obey the rounds of other kernels
 *
 * Context: initcall.
 * Return: 0; errors of pcn_msg_register().
 */
int __init pcn_layout_init(void)
{
	return pcn_msg_register(&round_type);
}

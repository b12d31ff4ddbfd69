// SPDX-License-Identifier: GPL-2.0
/*
 * Rounds: all kernels forget pages of a range, before Linux changes it or afterwards.
 *
 *	freeze	every member lets no access to the range begin any more, waits until those
 *		that had begun are over, and unmaps the range, with its VMAs if they
 *		change: nobody there sees any of it before the thaw, and nothing is under
 *		way about its pages
 *	recall	the origin reads the pages whose data is elsewhere
 *	fence	"vote" alone: every kernel has an answer from every other to what it
 *		sent after that, so no late answer about a page is under way (see
 *		protocol.rst, "Late messages")
 *	drop	the members forget the pages; the origin gives them back to Linux
 *	thaw	the members let accesses begin
 *
 * If Linux needs what is in the pages, recall and drop come before the change. If it
 * may throw them away they come afterwards, when it is known which pages are gone: those
 * that are torn (pcn_tear()) are not recalled. So a change that fails loses nothing.
 *
 * Members take part that know of VMAs in the range. Between the freeze and the
 * thaw they use nothing there, so to all threads the change is one moment. In particular
 * nobody sees the old pages at an address that Linux has given to a new mapping.
 *
 * A member cannot fail to unmap. What it has of VMAs is a copy of what the origin has,
 * and may be forgotten at any time: where a part of a VMA cannot be unmapped, as for
 * want of memory, all of it is, or it becomes void, and is asked for again.
 *
 * Each phase is a request, and the next one begins when all members have answered. What
 * a member may have to wait for is done by a work item, so that no process waits for
 * another one's; that a range is frozen, or not any more, is noted in the handler, so that
 * it comes in the order that the origin has meant. A thaw needs no answer. It comes when
 * the origin has given up its records: a member that asked earlier for a page would get
 * what is no more.
 *
 * A thread that is killed in the middle leaves the rest to a work item
 * (pcn_round_finish()), which goes through all phases again: each may be repeated. A
 * request of the first time that is late finds another round's number, or none, and does
 * nothing.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <trace/events/popcorn.h>

#include <popcorn/hooks.h>
#include <popcorn/partition.h>

#include "internal.h"

/* A member that does not answer for so long has died, and is declared dead. */
#define ROUND_LIMIT_MS	(60 * MSEC_PER_SEC)

/* In user space */
#define LAST_PAGE	((TASK_SIZE_MAX >> PAGE_SHIFT) - 1)

/**
 * enum round_phase - phases of a round that members are told of
 * @ROUND_FREEZE:	let no access begin, wait for those that have, unmap the range
 * @ROUND_FENCE:	wait until nothing late is under way
 * @ROUND_DROP:		forget the pages
 * @ROUND_THAW:		go on
 */
enum round_phase {
	ROUND_FREEZE,
	ROUND_FENCE,
	ROUND_DROP,
	ROUND_THAW,
};

/* With ROUND_FREEZE: forget the VMAs, too. */
#define ROUND_VMAS	BIT(0)

/**
 * struct round_msg - a phase of a round. On the wire
 * @space:	number of the space
 * @first:	number of the first page
 * @last:	number of the last one
 * @epoch:	of the member's VMAs from now on
 * @round:	number of the round, not 0
 * @phase:	enum round_phase
 * @flags:	ROUND_VMAS or 0
 */
struct round_msg {
	u64	space;
	u64	first;
	u64	last;
	u64	epoch;
	u64	round;
	u32	phase;
	u32	flags;
};

static_assert(sizeof(struct round_msg) == 48);

static struct workqueue_struct *round_wq __ro_after_init;

/* --- on every kernel --- */

/* One reference is the space's, one of the walk through its records. */
static bool is_quiet(struct pcn_record *r)
{
	bool quiet;

	if (refcount_read(&r->refs) > 2)
		return false;
	spin_lock(&r->lock);
	quiet = !r->pending && !pcn_in_use(r) && !r->backlog &&
		pcn_settled(&r->replica);
	spin_unlock(&r->lock);
	return quiet;
}

static int wait_for_record(struct pcn_space *s, struct pcn_record *r)
{
	if (wait_event_killable(s->quiet, is_quiet(r) || READ_ONCE(s->broken)) ||
	    READ_ONCE(s->broken))
		return -EINTR;
	return 0;
}

/*
 * Accesses that have begun end: they need no thread that waits here. Unless a kernel has
 * died that one of them waits for: then the process ends, and this with it.
 */
static int wait_until_quiet(struct pcn_space *s, u64 first, u64 last)
{
	struct pcn_shard *shard;
	struct pcn_record *r;
	int err;

	for_each_record(r, shard, s, first, last) {
		err = wait_for_record(s, r);
		if (err) {
			pcn_record_put(r);
			return err;
		}
		cond_resched();
	}
	return 0;
}

static u64 others(const struct pcn_space *s)
{
	return s->group.members & ~BIT_ULL(s->group.self);
}

/*
 * Page messages go by the same channel, and overtake nothing. From a kernel that is down,
 * or whose link is broken, nothing comes.
 */
static int fence(struct pcn_space *s)
{
	u64 members = others(s);
	unsigned int kid;
	u64 word = 0;
	u32 length;
	int err;

	for_each_set_bit(kid, (unsigned long *)&members, PCN_KERNELS_MAX) {
		length = sizeof(word);
		err = pcn_msg_call(kid, PCN_COHERENCY, PCN_TYPE_PING, &word,
				   sizeof(word), &word, &length, ROUND_LIMIT_MS);
		if (err == -EINTR || err == -ENOMEM)
			return err;
	}
	return 0;
}

/* --- at a member --- */

static bool is_ours(const struct vm_area_struct *vma)
{
	return vma->vm_ops == &pcn_vm_ops || vma->vm_ops == &pcn_void_ops ||
	       vma->vm_file;
}

/* Nobody can use it, and a fault asks the origin what is there now. */
static void make_void(struct vm_area_struct *vma)
{
	zap_page_range_single(vma, vma->vm_start, vma->vm_end - vma->vm_start, NULL);
	vm_flags_clear(vma, VM_ACCESS_FLAGS);
	vma->vm_ops = &pcn_void_ops;
}

static void drop_vma(struct vm_area_struct *vma, unsigned long start,
		     unsigned long end)
{
	struct mm_struct *mm = vma->vm_mm;

	start = max(start, vma->vm_start);
	end = min(end, vma->vm_end);
	if (!do_munmap(mm, start, end - start, NULL))
		return;
	/* A hole makes two of one VMA, and there may be as many as there can be. */
	start = vma->vm_start;
	if (do_munmap(mm, start, vma->vm_end - start, NULL))
		make_void(vma);
}

static struct vm_area_struct *next_of_ours(struct mm_struct *mm, unsigned long start,
					   unsigned long end)
{
	VMA_ITERATOR(vmi, mm, start);
	struct vm_area_struct *vma;

	for_each_vma_range(vmi, vma, end)
		if (is_ours(vma))
			return vma;
	return NULL;
}

static void drop_vmas(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma;
	unsigned long behind;

	while (start < end && (vma = next_of_ours(mm, start, end))) {
		behind = vma->vm_end;
		drop_vma(vma, start, end);
		start = behind;
	}
}

/**
 * pcn_vmas_forget - at a member, forget all VMAs: they are asked for again
 * @mm:	the address space
 *
 * Context: process, with mmap_lock held to write.
 */
void pcn_vmas_forget(struct mm_struct *mm)
{
	mmap_assert_write_locked(mm);
	drop_vmas(mm, 0, TASK_SIZE_MAX);
}

static void zap_pages(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	VMA_ITERATOR(vmi, mm, start);
	struct vm_area_struct *vma;

	for_each_vma_range(vmi, vma, end)
		if (vma->vm_ops == &pcn_vm_ops)
			zap_vma_ptes(vma, max(start, vma->vm_start),
				     min(end, vma->vm_end) -
				     max(start, vma->vm_start));
}

static void unmap(struct pcn_space *s, const struct round_msg *m)
{
	unsigned long start = m->first << PAGE_SHIFT;
	unsigned long end = min_t(u64, (m->last + 1) << PAGE_SHIFT, TASK_SIZE_MAX);

	/* Unmapping is for the current task's memory only. */
	kthread_use_mm(s->mm);
	mmap_write_lock(s->mm);
	if (m->flags & ROUND_VMAS) {
		/* No VMA of before is inserted afterwards. A late request has an older one. */
		s->epoch = max(s->epoch, m->epoch);
		drop_vmas(s->mm, start, end);
	} else {
		zap_pages(s->mm, start, end);
	}
	mmap_write_unlock(s->mm);
	kthread_unuse_mm(s->mm);
}

/* Nobody maps them before the thaw. */
static void note_unmapped(struct pcn_space *s, u64 first, u64 last)
{
	struct pcn_shard *shard;
	struct pcn_record *r;

	for_each_record(r, shard, s, first, last) {
		spin_lock(&r->lock);
		r->mapped = PCN_MAP_NONE;
		spin_unlock(&r->lock);
		cond_resched();
	}
}

static void drop_records(struct pcn_space *s, u64 first, u64 last)
{
	struct pcn_shard *shard;
	struct pcn_record *r;

	for_each_record(r, shard, s, first, last) {
		pcn_record_drop(r, false);
		cond_resched();
	}
}

/* Once the round is over, or another one begins, a late request does nothing. */
static bool is_under_way(struct pcn_space *s, const struct round_msg *m)
{
	bool same;

	spin_lock(&s->changes_lock);
	same = s->round_number == m->round;
	spin_unlock(&s->changes_lock);
	return same;
}

/* The origin's thaw comes after the answer: it does not come in between. */
static int freeze_here(struct pcn_space *s, const struct round_msg *m)
{
	int err = wait_until_quiet(s, m->first, m->last);

	if (err)
		return err;
	down(&s->round);
	if (is_under_way(s, m)) {
		unmap(s, m);
		note_unmapped(s, m->first, m->last);
	}
	up(&s->round);
	return 0;
}

static void drop_here(struct pcn_space *s, const struct round_msg *m)
{
	down(&s->round);
	if (is_under_way(s, m))
		drop_records(s, m->first, m->last);
	up(&s->round);
}

static int obey(struct pcn_space *s, const struct round_msg *m)
{
	trace_pcn_round(s->number, m->first, m->last, m->round, m->phase);
	switch (m->phase) {
	case ROUND_FREEZE:
		return freeze_here(s, m);
	case ROUND_FENCE:
		return fence(s);
	case ROUND_DROP:
		drop_here(s, m);
		return 0;
	default:
		return -EINVAL;
	}
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

	if (s && s->group.origin == p->msg.kid && !pcn_is_origin(s))
		err = obey(s, &p->round);
	if (s)
		pcn_space_put(s);
	pcn_msg_reply(&p->msg, err, NULL, 0);
	kfree(p);
}

static bool is_valid(const struct round_msg *m)
{
	return m->first <= m->last && m->last <= LAST_PAGE && m->round &&
	       m->phase <= ROUND_THAW && !(m->flags & ~ROUND_VMAS);
}

static void set_round(struct pcn_space *s, u64 number)
{
	spin_lock(&s->changes_lock);
	s->round_number = number;
	spin_unlock(&s->changes_lock);
}

/* What does not wait, in the order of the origin's messages. */
static void note_phase(const struct pcn_message *msg, const struct round_msg *m)
{
	struct pcn_space *s = pcn_space_get(m->space);

	if (!s)
		return;
	if (s->group.origin == msg->kid && !pcn_is_origin(s)) {
		if (m->phase == ROUND_FREEZE) {
			set_round(s, m->round);
			/* A thread that polls is no exception. */
			pcn_freeze(s, m->first, m->last, NULL);
		} else if (m->phase == ROUND_THAW) {
			set_round(s, 0);
			pcn_thaw(s);
		}
	}
	pcn_space_put(s);
}

/* For the next phase. The poll's. */
static struct phase *spare_phase;

static bool round_ready(void)
{
	if (!spare_phase)
		spare_phase = kmalloc(sizeof(*spare_phase), GFP_NOWAIT | __GFP_NOWARN);
	return spare_phase;
}

static void queue_phase(const struct pcn_message *msg, const struct round_msg *m)
{
	struct phase *p = spare_phase;

	spare_phase = NULL;
	INIT_WORK(&p->work, do_phase);
	p->msg = *msg;
	p->round = *m;
	queue_work(round_wq, &p->work);
}

/* So many records are dropped in the handler. */
#define DROP_MAX	32

static bool has_few(struct pcn_space *s, const struct round_msg *m)
{
	struct pcn_shard *shard;
	unsigned int n = 0;
	struct pcn_record *r;

	for_each_record(r, shard, s, m->first, m->last) {
		if (n++ == DROP_MAX) {
			pcn_record_put(r);
			return false;
		}
	}
	return true;
}

/* False: it would take long, or the first time that this was asked for is not over. */
static bool drop_at_once(struct pcn_space *s, const struct round_msg *m)
{
	if (!has_few(s, m) || down_trylock(&s->round))
		return false;
	if (is_under_way(s, m))
		drop_records(s, m->first, m->last);
	up(&s->round);
	return true;
}

/* Is this done without a work item? */
static bool is_done_now(const struct pcn_message *msg, const struct round_msg *m)
{
	struct pcn_space *s = m->phase == ROUND_DROP ? pcn_space_get(m->space) : NULL;
	bool done;

	if (!s)
		return false;
	done = s->group.origin == msg->kid && !pcn_is_origin(s) && drop_at_once(s, m);
	pcn_space_put(s);
	return done;
}

static void on_round(const struct pcn_message *msg)
{
	struct round_msg m;

	if (msg->length != sizeof(m))
		return;
	memcpy(&m, msg->payload, sizeof(m));
	if (is_valid(&m)) {
		note_phase(msg, &m);
		if (msg->request && is_done_now(msg, &m))
			pcn_msg_reply(msg, 0, NULL, 0);
		else if (msg->request)
			queue_phase(msg, &m);
	} else if (msg->request) {
		pcn_msg_reply(msg, -EINVAL, NULL, 0);
	}
}

static const struct pcn_msg_type round_type = {
	.name		= "round",
	.channel	= PCN_CONTROL,
	.type		= PCN_TYPE_ROUND,
	.ready		= round_ready,
	.handle		= on_round,
};

/* --- at the origin --- */

static int tell_one(struct pcn_space *s, unsigned int kid, struct round_msg *m)
{
	int err;

	if (m->phase == ROUND_THAW)
		return pcn_msg_send(kid, PCN_CONTROL, PCN_TYPE_ROUND, m, sizeof(*m));
	do {
		err = pcn_msg_call(kid, PCN_CONTROL, PCN_TYPE_ROUND, m, sizeof(*m),
				   NULL, NULL, ROUND_LIMIT_MS);
		/* No memory for the request: nothing has been done there. */
		if (err == -ENOMEM && schedule_timeout_killable(1))
			err = -EINTR;
	} while (err == -ENOMEM && !fatal_signal_pending(current));
	return err == -ENOMEM ? -EINTR : err;
}

/*
 * A member that is down uses no pages; what was lost with it is known elsewhere. One
 * that lives and has not done its part may still use what is to change, if there ever
 * was a thread: then the process is killed. If not it is a member no more, as one that
 * has started again and knows nothing of the process. -EINTR: the current task is killed,
 * or the process.
 */
static int tell(struct pcn_change *c, enum round_phase phase)
{
	struct pcn_space *s = c->space;
	struct round_msg m = {
		.space = s->number, .first = c->first, .last = c->last,
		.round = s->round_number, .phase = phase,
		.flags = c->flags & PCN_CHANGE_VMAS ? ROUND_VMAS : 0,
	};
	unsigned int kid;
	int err, result = 0;

	trace_pcn_round(s->number, c->first, c->last, m.round, phase);
	for_each_set_bit(kid, (unsigned long *)&c->members, PCN_KERNELS_MAX) {
		m.epoch = s->member[kid].epoch;
		err = tell_one(s, kid, &m);
		if (!err || err == -EHOSTDOWN)
			continue;
		if (err == -EINTR)
			return err;
		if (READ_ONCE(s->broken) ||
		    s->ops->lose(s->number, kid,
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

static bool is_away(const struct pcn_record *r)
{
	return !r->torn && !r->plain && !r->absent && !r->may;
}

/* The range is frozen, but not for this thread. */
static int recall(struct pcn_space *s, u64 first, u64 last)
{
	struct pcn_shard *shard;
	struct pcn_record *r;
	int err;

	for_each_record(r, shard, s, first, last) {
		err = is_away(r) ? recall_page(r) : 0;
		if (err) {
			pcn_record_put(r);
			return err;
		}
		cond_resched();
	}
	return wait_until_quiet(s, first, last);
}

static void release_record(struct pcn_space *s, struct pcn_record *r)
{
	unsigned long address = r->page << PAGE_SHIFT;
	struct vm_area_struct *vma, *own;

	mmap_read_lock(s->mm);
	vma = vma_lookup(s->mm, address);
	own = vma && pcn_vma_replicates(vma) &&
	      !pcn_map_prepare(vma, address, true) ? vma : NULL;
	if (!pcn_release(r, own))
		pcn_remove(r, vma);
	mmap_read_unlock(s->mm);
}

static void release(struct pcn_space *s, u64 first, u64 last)
{
	struct pcn_shard *shard;
	struct pcn_record *r;

	for_each_record(r, shard, s, first, last) {
		release_record(s, r);
		pcn_record_drop(r, true);
		cond_resched();
	}
}

/* Before they are told. Nobody is told of VMAs in the range meanwhile. */
static void begin_epoch(struct pcn_change *c)
{
	struct pcn_space *s = c->space;
	unsigned int kid;

	if (!(c->flags & PCN_CHANGE_VMAS))
		return;
	spin_lock(&s->changes_lock);
	for_each_set_bit(kid, (unsigned long *)&c->members, PCN_KERNELS_MAX)
		s->member[kid].epoch++;
	spin_unlock(&s->changes_lock);
}

/* After they have forgotten them. */
static void unpublish(struct pcn_change *c)
{
	struct pcn_space *s = c->space;
	unsigned int kid;

	if (!(c->flags & PCN_CHANGE_VMAS))
		return;
	for_each_set_bit(kid, (unsigned long *)&c->members, PCN_KERNELS_MAX)
		mtree_store_range(&s->member[kid].published, c->first << PAGE_SHIFT,
				  ((c->last + 1) << PAGE_SHIFT) - 1, NULL,
				  GFP_KERNEL | __GFP_NOFAIL);
	if (!c->first && c->last >= LAST_PAGE)
		WRITE_ONCE(s->files_given, false);
}

/* An access at the origin may have begun before the last member was frozen. */
static int freeze_all(struct pcn_change *c)
{
	struct pcn_space *s = c->space;
	int err;

	begin_epoch(c);
	pcn_freeze(s, c->first, c->last, current);
	err = wait_until_quiet(s, c->first, c->last) ?: tell(c, ROUND_FREEZE);
	if (err)
		return err;
	unpublish(c);
	return wait_until_quiet(s, c->first, c->last);
}

/* After the last access of the round, which is a recall: its late answers come here. */
static int fence_all(struct pcn_change *c)
{
	if (c->space->proto != &pcn_proto_vote)
		return 0;
	return tell(c, ROUND_FENCE) ?: fence(c->space);
}

static int drop_all(struct pcn_change *c)
{
	int err = recall(c->space, c->first, c->last) ?: fence_all(c) ?:
		  tell(c, ROUND_DROP);

	if (err)
		return err;
	release(c->space, c->first, c->last);
	c->dropped = true;
	return 0;
}

static void thaw_all(struct pcn_change *c)
{
	tell(c, ROUND_THAW);
	pcn_thaw(c->space);
}

/**
 * pcn_round_begin - before Linux changes a range
 * @c:	the change. With PCN_CHANGE_KEEP what is in the pages is needed: they are Linux's
 *	when this returns
 *
 * Context: process, with &pcn_space.round held, and no other lock; sleeps, killably.
 * Return: 0: pcn_round_end() has to follow; -EINTR a fatal signal, -ENOMEM:
 * pcn_round_finish().
 */
int pcn_round_begin(struct pcn_change *c)
{
	int err;

	atomic64_inc(&c->space->stats.rounds);
	set_round(c->space, c->space->round_number + 1);
	err = freeze_all(c);
	if (!err && c->flags & PCN_CHANGE_KEEP)
		err = drop_all(c);
	return err;
}

/**
 * pcn_has_torn - is there a torn page in a range?
 * @s:		the space
 * @first:	number of the first page
 * @last:	number of the last one
 *
 * Context: process.
 */
bool pcn_has_torn(struct pcn_space *s, u64 first, u64 last)
{
	struct pcn_shard *shard;
	struct pcn_record *r;

	for_each_record(r, shard, s, first, last) {
		if (READ_ONCE(r->torn)) {
			pcn_record_put(r);
			return true;
		}
	}
	return false;
}

/**
 * pcn_round_end - Linux has changed the range, or has failed to
 * @c:	the change
 *
 * What Linux has taken away is dropped; what it has not is kept.
 *
 * Context: process, with &pcn_space.round held, and no other lock; sleeps, killably.
 * Return: 0; -EINTR, -ENOMEM: pcn_round_finish() has to follow.
 */
int pcn_round_end(struct pcn_change *c)
{
	bool drop = c->flags & PCN_CHANGE_VMAS || pcn_has_torn(c->space, c->first, c->last);
	int err = drop && !c->dropped ? drop_all(c) : 0;

	if (!err)
		thaw_all(c);
	return err;
}

/**
 * pcn_round_finish - a round that was interrupted: everything is dropped
 * @c:	the change
 *
 * Context: work item, with &pcn_space.round held.
 * Return: 0, also if the process ends; -ENOMEM: try again.
 */
int pcn_round_finish(struct pcn_change *c)
{
	int err = freeze_all(c) ?: drop_all(c);

	if (err == -ENOMEM && !READ_ONCE(c->space->broken))
		return err;
	thaw_all(c);
	return 0;
}

/**
 * pcn_round_init - obey the rounds of other kernels
 *
 * Context: initcall.
 * Return: 0; -ENOMEM; errors of pcn_msg_register().
 */
int __init pcn_round_init(void)
{
	round_wq = alloc_workqueue("popcorn_rounds",
				   WQ_UNBOUND | WQ_HIGHPRI | WQ_MEM_RECLAIM,
				   WQ_UNBOUND_MAX_ACTIVE);
	return round_wq ? pcn_msg_register(&round_type) : -ENOMEM;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * At a member: do what the origin's rounds ask for (round.c).
 *
 * The handler itself notes that a range is frozen or thawed, which keeps the order of the
 * origin. It does the rest of a phase too if it need not wait; otherwise a work item
 * does, so that no process waits for another one.
 *
 * A member cannot fail to unmap. Its VMAs are copies of the origin's, and may be
 * forgotten at any time: if a part of a VMA cannot be unmapped, as for want of memory,
 * the member unmaps all of it or makes it void, and asks for it again.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/errno.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <trace/events/popcorn.h>

#include <popcorn/hooks.h>

#include "internal.h"
#include "round.h"

static struct workqueue_struct *round_wq __ro_after_init;

/* --- on every kernel --- */

static bool is_quiet_locked(const struct pcn_record *r)
{
	return !r->pending && !pcn_record_in_use(r) && !r->backlog &&
	       pcn_replica_is_settled(&r->replica);
}

/*
 * One reference is the space's, and one each of those that wait. There may be several: the
 * work item of a round that was interrupted, and that of the next.
 */
static bool is_quiet(struct pcn_record *r)
{
	bool quiet;

	spin_lock(&r->lock);
	quiet = refcount_read(&r->refs) <= 1 + r->waiters && is_quiet_locked(r);
	spin_unlock(&r->lock);
	return quiet;
}

static void count_waiter(struct pcn_record *r, int change)
{
	spin_lock(&r->lock);
	r->waiters += change;
	spin_unlock(&r->lock);
}

static bool wait_is_over(struct pcn_space *s, u64 round, struct pcn_record *r)
{
	return is_quiet(r) || READ_ONCE(s->round_number) != round ||
	       READ_ONCE(s->broken);
}

/* The caller puts its reference afterwards, which wakes all that have counted it. */
static int wait_for_record(struct pcn_space *s, u64 round, struct pcn_record *r)
{
	int err;

	count_waiter(r, 1);
	err = wait_event_killable(s->quiet, wait_is_over(s, round, r));
	count_waiter(r, -1);
	return err || READ_ONCE(s->broken) ? -EINTR : 0;
}

/**
 * pcn_space_wait_until_quiet - wait until nothing is under way in a frozen range
 * @s:		the space
 * @round:	number of the round that this is for: once it is over, or another one has
 *		begun, nobody needs to know
 * @first:	number of the first page
 * @last:	number of the last one
 *
 * Accesses that have begun end: they need no thread that waits here. Unless a kernel has
 * died that one of them waits for: then the process ends, and this with it.
 *
 * Context: process; sleeps, killably.
 * Return: 0; -EINTR a fatal signal, or the process ends.
 */
int pcn_space_wait_until_quiet(struct pcn_space *s, u64 round, u64 first, u64 last)
{
	struct pcn_shard *shard;
	struct pcn_record *r;
	int err;

	for_each_record(r, shard, s, first, last) {
		err = wait_for_record(s, round, r);
		if (err) {
			pcn_record_put(r);
			return err;
		}
		cond_resched();
	}
	return 0;
}

/* --- at a member --- */

/* Nobody can use it, and a fault asks the origin what is there now. */
static void make_void(struct vm_area_struct *vma)
{
	vm_flags_clear(vma, VM_ACCESS_FLAGS);
	vma->vm_ops = &pcn_void_ops;
	zap_page_range_single(vma, vma->vm_start, vma->vm_end - vma->vm_start, NULL);
}

static void drop_vma(struct vm_area_struct *vma, unsigned long start,
		     unsigned long end)
{
	struct mm_struct *mm = vma->vm_mm;

	start = max(start, vma->vm_start);
	end = min(end, vma->vm_end);
	if (!do_munmap(mm, start, end - start, NULL))
		return;
	/*
	 * A hole makes two of one VMA, and there may be as many as there can be; and Linux
	 * makes no hole in the vDSO.
	 */
	start = vma->vm_start;
	if (do_munmap(mm, start, vma->vm_end - start, NULL))
		make_void(vma);
}

/**
 * pcn_vmas_drop - at a member, remove the VMAs of a range
 * @mm:		the address space
 * @start:	first address
 * @end:	the first one behind
 *
 * Context: process, with mmap_lock held to write.
 */
void pcn_vmas_drop(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma;
	unsigned long behind;

	while (start < end && (vma = find_vma_intersection(mm, start, end))) {
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
	pcn_vmas_drop(mm, 0, TASK_SIZE_MAX);
}

/**
 * pcn_vma_is_stale - has the origin changed what there is at an address?
 * @s:		the space, at a member
 * @address:	in user space
 *
 * With a reference to the record of the page the answer stays true: the next round waits for
 * the end of the access.
 *
 * Context: any.
 */
bool pcn_vma_is_stale(struct pcn_space *s, unsigned long address)
{
	return !mtree_empty(&s->stale) && mtree_load(&s->stale, address);
}

static bool next_stale(struct pcn_space *s, unsigned long *start, unsigned long *end)
{
	MA_STATE(mas, &s->stale, *start, *start);
	void *entry;

	rcu_read_lock();
	entry = mas_find(&mas, ULONG_MAX);
	*start = max(*start, mas.index);
	*end = mas.last + 1;
	rcu_read_unlock();
	return entry;
}

/**
 * pcn_vmas_clean - at a member, remove the VMAs that are stale
 * @s:	the space
 *
 * Context: process, with mmap_lock held to write.
 */
void pcn_vmas_clean(struct pcn_space *s)
{
	unsigned long start = 0, end;

	mmap_assert_write_locked(s->mm);
	if (mtree_empty(&s->stale))
		return;
	/* With the lock nobody else changes the tree. */
	while (next_stale(s, &start, &end)) {
		pcn_vmas_drop(s->mm, start, end);
		start = end;
	}
	mtree_destroy(&s->stale);
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

/**
 * pcn_pages_unmap - at a member, unmap all pages of an address space that goes
 * @mm:	the address space, which nobody uses any more
 *
 * Context: process, with no lock held.
 */
void pcn_pages_unmap(struct mm_struct *mm)
{
	mmap_read_lock(mm);
	zap_pages(mm, 0, TASK_SIZE_MAX);
	mmap_read_unlock(mm);
}

static void follow_unmap(struct pcn_space *s, const struct pcn_round_msg *m)
{
	unsigned long start = m->first << PAGE_SHIFT;
	unsigned long end = min_t(u64, (m->last + 1) << PAGE_SHIFT, TASK_SIZE_MAX);

	/* Unmapping is for the current task's memory only. */
	kthread_use_mm(s->mm);
	mmap_write_lock(s->mm);
	if (m->flags & PCN_ROUND_VMAS) {
		/* No VMA of before is inserted afterwards. A late request has an older one. */
		s->epoch = max(s->epoch, m->epoch);
		pcn_vmas_clean(s);
		pcn_vmas_drop(s->mm, start, end);
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

static void drop_records(struct pcn_space *s, const struct pcn_round_msg *m)
{
	struct pcn_shard *shard;
	struct pcn_record *r;

	for_each_record(r, shard, s, m->first, m->last)
		pcn_record_drop(r, m->flags & PCN_ROUND_LAST);
}

/* Once the round is over, or another one begins, a late request does nothing. */
static bool is_under_way(struct pcn_space *s, const struct pcn_round_msg *m)
{
	bool same;

	spin_lock(&s->changes_lock);
	same = s->round_number == m->round;
	spin_unlock(&s->changes_lock);
	return same;
}

/* The frames are mapped nowhere, so they may go: an origin might ask for that before. */
static void allow_drop(struct pcn_space *s, const struct pcn_round_msg *m)
{
	spin_lock(&s->changes_lock);
	if (s->round_number == m->round)
		s->unmapped = (struct pcn_range) {
			.first = m->first, .last = m->last, .on = true,
		};
	spin_unlock(&s->changes_lock);
}

static bool may_drop(struct pcn_space *s, const struct pcn_round_msg *m)
{
	bool may;

	spin_lock(&s->changes_lock);
	may = s->round_number == m->round && s->unmapped.on &&
	      s->unmapped.first == m->first && s->unmapped.last == m->last;
	spin_unlock(&s->changes_lock);
	return may;
}

/* The origin's thaw comes after the answer: it does not come in between. */
static int freeze_here(struct pcn_space *s, const struct pcn_round_msg *m)
{
	int err = pcn_space_wait_until_quiet(s, m->round, m->first, m->last);

	if (err)
		return err;
	down(&s->round);
	if (is_under_way(s, m)) {
		follow_unmap(s, m);
		note_unmapped(s, m->first, m->last);
		allow_drop(s, m);
	}
	up(&s->round);
	/* Kernels that are not frozen yet may have asked for a page meanwhile. */
	return pcn_space_wait_until_quiet(s, m->round, m->first, m->last);
}

static void drop_here(struct pcn_space *s, const struct pcn_round_msg *m)
{
	down(&s->round);
	if (may_drop(s, m))
		drop_records(s, m);
	up(&s->round);
}

/* --- at once, in the handler --- */

/* More are left to a work item. */
#define RECORDS_MAX	32
#define VMAS_MAX	8

/* What is in it is frames of records. The vDSO matters only if VMAs change. */
static bool is_bare(const struct vm_area_struct *vma, bool change)
{
	return vma->vm_ops == &pcn_vm_ops || vma->vm_ops == &pcn_void_ops ||
	       !(change || vma->vm_file);
}

/* Nobody else's pages are there, and few VMAs. */
static bool has_bare_vmas(struct mm_struct *mm, unsigned long start, unsigned long end,
			  bool change)
{
	VMA_ITERATOR(vmi, mm, start);
	struct vm_area_struct *vma;
	unsigned int n = 0;

	for_each_vma_range(vmi, vma, end)
		if (++n > VMAS_MAX || !is_bare(vma, change))
			return false;
	return true;
}

static bool unmap_record(struct pcn_record *r)
{
	bool quiet = refcount_read(&r->refs) <= 2;

	spin_lock(&r->lock);
	quiet = quiet && is_quiet_locked(r);
	if (quiet)
		pcn_page_unmap_at_member(r);
	spin_unlock(&r->lock);
	return quiet;
}

/* False: an access has to end first, or there are many. */
static bool unmap_records(struct pcn_space *s, const struct pcn_round_msg *m)
{
	struct pcn_shard *shard;
	unsigned int n = 0;
	struct pcn_record *r;

	for_each_record(r, shard, s, m->first, m->last) {
		if (n++ == RECORDS_MAX || !unmap_record(r)) {
			pcn_record_put(r);
			return false;
		}
	}
	return true;
}

/* The VMAs there, if any, are as good as gone. False: there is no memory. */
static bool make_stale(struct pcn_space *s, const struct pcn_round_msg *m,
		       unsigned long start, unsigned long end)
{
	if (find_vma_intersection(s->mm, start, end) &&
	    mtree_store_range(&s->stale, start, end - 1, xa_mk_value(1),
			      GFP_NOWAIT | __GFP_NOWARN))
		return false;
	s->epoch = max(s->epoch, m->epoch);
	return true;
}

/* The lock keeps VMAs from being inserted, and those that are stale from being removed. */
static bool unmap_at_once(struct pcn_space *s, const struct pcn_round_msg *m)
{
	unsigned long start = m->first << PAGE_SHIFT;
	unsigned long end = min_t(u64, (m->last + 1) << PAGE_SHIFT, TASK_SIZE_MAX);
	bool change = m->flags & PCN_ROUND_VMAS, done;

	if (!mmap_read_trylock(s->mm))
		return false;
	done = has_bare_vmas(s->mm, start, end, change) &&
	       (!change || make_stale(s, m, start, end)) && unmap_records(s, m);
	mmap_read_unlock(s->mm);
	return done;
}

/* A request of before may be in the middle of it. */
static bool freeze_at_once(struct pcn_space *s, const struct pcn_round_msg *m)
{
	bool done;

	if (down_trylock(&s->round))
		return false;
	done = unmap_at_once(s, m);
	if (done)
		allow_drop(s, m);
	up(&s->round);
	return done;
}

static bool has_few(struct pcn_space *s, const struct pcn_round_msg *m)
{
	struct pcn_shard *shard;
	unsigned int n = 0;
	struct pcn_record *r;

	for_each_record(r, shard, s, m->first, m->last) {
		if (n++ == RECORDS_MAX) {
			pcn_record_put(r);
			return false;
		}
	}
	return true;
}

/*
 * The freeze of this round has been answered, so none of before is in the middle of
 * anything: it would have kept this one waiting. The last one has to be done at once,
 * however many there are: the next freeze may come behind it.
 */
static bool drop_at_once(struct pcn_space *s, const struct pcn_round_msg *m)
{
	if (!(m->flags & PCN_ROUND_LAST) && !has_few(s, m))
		return false;
	if (may_drop(s, m))
		drop_records(s, m);
	return true;
}

/* False: a work item has to. */
static bool follow_obey_at_once(struct pcn_space *s, const struct pcn_round_msg *m)
{
	switch (m->phase) {
	case PCN_ROUND_FREEZE:
		pcn_space_set_round(s, m->round);
		/* A thread that polls is no exception. */
		pcn_space_freeze(s, m->first, m->last, NULL);
		return freeze_at_once(s, m);
	case PCN_ROUND_DROP:
		if (!drop_at_once(s, m))
			return false;
		if (!(m->flags & PCN_ROUND_LAST))
			return true;
		fallthrough;
	case PCN_ROUND_THAW:
		if (is_under_way(s, m)) {
			pcn_space_set_round(s, 0);
			pcn_space_thaw(s);
		}
		return true;
	default:
		return false;
	}
}

/* --- in a work item --- */

static bool is_from_origin(struct pcn_space *s, const struct pcn_message *msg)
{
	return s->group.origin == msg->kid && !pcn_is_origin(s) && !pcn_is_coherent(s);
}

/* @silent: what is to be replied to PCN_ROUND_FENCE */
static int follow_obey(struct pcn_space *s, const struct pcn_round_msg *m, u64 *silent)
{
	switch (m->phase) {
	case PCN_ROUND_FREEZE:
		return freeze_here(s, m);
	case PCN_ROUND_FENCE:
		return pcn_space_fence(s, silent);
	case PCN_ROUND_DROP:
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
	struct pcn_round_msg	round;
};

static void do_phase(struct work_struct *work)
{
	struct phase *p = container_of(work, struct phase, work);
	struct pcn_space *s = pcn_space_get(p->round.space);
	u64 silent = 0;
	int err = -ESRCH;

	if (s && is_from_origin(s, &p->msg))
		err = follow_obey(s, &p->round, &silent);
	if (s)
		pcn_space_put(s);
	pcn_msg_reply(&p->msg, err, &silent,
		      p->round.phase == PCN_ROUND_FENCE ? sizeof(silent) : 0);
	kfree(p);
}

static bool round_msg_is_valid(const struct pcn_round_msg *m)
{
	return m->first <= m->last && m->last <= PCN_LAST_PAGE && m->round &&
	       m->phase <= PCN_ROUND_THAW && !(m->flags & ~(PCN_ROUND_VMAS | PCN_ROUND_LAST));
}

/**
 * pcn_space_set_round - note the round that is under way
 * @s:		the space
 * @number:	of the round; at a member 0: none is
 *
 * Context: process, also a handler.
 */
void pcn_space_set_round(struct pcn_space *s, u64 number)
{
	spin_lock(&s->changes_lock);
	WRITE_ONCE(s->round_number, number);
	s->unmapped.on = false;
	spin_unlock(&s->changes_lock);
	wake_up_all(&s->quiet);
}

/* For the next phase. The poll's. */
static struct phase *spare_phase;

static bool round_ready(void)
{
	if (!spare_phase)
		spare_phase = kmalloc(sizeof(*spare_phase), GFP_NOWAIT | __GFP_NOWARN);
	return spare_phase;
}

static void queue_phase(const struct pcn_message *msg, const struct pcn_round_msg *m)
{
	struct phase *p = spare_phase;

	spare_phase = NULL;
	INIT_WORK(&p->work, do_phase);
	p->msg = *msg;
	p->round = *m;
	queue_work(round_wq, &p->work);
}

/* Is this done without a work item? */
static bool is_done_now(const struct pcn_message *msg, const struct pcn_round_msg *m)
{
	struct pcn_space *s = pcn_space_get(m->space);
	bool done;

	if (!s)
		return false;
	done = is_from_origin(s, msg) && follow_obey_at_once(s, m);
	pcn_space_put(s);
	return done;
}

static void take_phase(const struct pcn_message *msg, const struct pcn_round_msg *m)
{
	bool done = is_done_now(msg, m);

	trace_pcn_round(m->space, m->first, m->last, m->round, m->phase);
	if (done && msg->request)
		pcn_msg_reply(msg, 0, NULL, 0);
	else if (msg->request)
		queue_phase(msg, m);
}

static void on_round(const struct pcn_message *msg)
{
	struct pcn_round_msg m;

	if (msg->length != sizeof(m))
		return;
	memcpy(&m, msg->payload, sizeof(m));
	if (round_msg_is_valid(&m))
		take_phase(msg, &m);
	else if (msg->request)
		pcn_msg_reply(msg, -EINVAL, NULL, 0);
}

static const struct pcn_msg_type round_type = {
	.name		= "round",
	.channel	= PCN_CONTROL,
	.type		= PCN_TYPE_ROUND,
	.ready		= round_ready,
	.handle		= on_round,
};

/**
 * pcn_follow_init - obey the rounds of other kernels
 *
 * Context: initcall.
 * Return: 0; -ENOMEM; errors of pcn_msg_register().
 */
int __init pcn_follow_init(void)
{
	round_wq = alloc_workqueue("popcorn_rounds",
				   WQ_UNBOUND | WQ_HIGHPRI | WQ_MEM_RECLAIM,
				   WQ_UNBOUND_MAX_ACTIVE);
	return round_wq ? pcn_msg_register(&round_type) : -ENOMEM;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Which addresses there are: a member asks the origin when it first needs one.
 *
 * The origin's VMAs are the truth. A member makes a VMA of its own for what the
 * origin has answered, without file and flags beyond access rights: it holds bare
 * frames, see map.c; or it has the same file, or the vDSO, and maps its own, see file.c.
 * When the origin changes addresses that it has told others of, they forget them
 * (round.c); an answer that has met such a change on its way is known by its epoch, and
 * asked for again.
 *
 * Questions about a process are answered one after the other, by a work item of its
 * space: a process whose mmap_lock is contended delays no other one. A question about
 * addresses that are being changed is parked until the change is over. The handler
 * answers at once if it need not wait.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/bitfield.h>
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/file.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>

#include <popcorn/hooks.h>

#include "../internal.h"
#include "internal.h"
#include "mirror.h"

/*
 * A member waits for the origin for so long: a change of the address space there may wait
 * for the rest of the process.
 */
#define ASK_LIMIT_MS	(60 * MSEC_PER_SEC)

/* Questions about a process that may wait: each is a thread's of a member. */
#define ASKS_MAX	(1 << 16)

/**
 * struct vma_ask - which VMA is there? On the wire
 * @space:	number of the space
 * @address:	where
 * @need:	how long the thread needs what it has asked for, ns
 */
struct vma_ask {
	u64	space;
	u64	address;
	u64	need;
};

/**
 * struct answer - all of an answer. On the wire
 * @vma:	the VMA
 * @file:	what is in it, perhaps: no more than what there is to be said is sent
 */
struct answer {
	struct pcn_vma	vma;
	struct pcn_file		file;
};

static_assert(sizeof(struct vma_ask) == 24);
static_assert(offsetof(struct answer, file) == 32);

#define KEPT_FLAGS	(VM_READ | VM_WRITE | VM_EXEC | VM_MAYREAD |	\
			 VM_MAYWRITE | VM_MAYEXEC | VM_ARCH_PKEY_FLAGS)

#ifdef CONFIG_ARCH_HAS_PKEYS
#define VM_ARCH_PKEY_FLAGS	(VM_PKEY_BIT0 | VM_PKEY_BIT1 | VM_PKEY_BIT2 | \
				 VM_PKEY_BIT3)
#else
#define VM_ARCH_PKEY_FLAGS	0
#endif

/* --- at the origin --- */

/* The limit is the process's: the current task is a work item. */
static bool may_grow(struct pcn_space *s, struct vm_area_struct *vma,
		     unsigned long address)
{
	struct task_struct *task;
	bool may = false;

	if (!(vma->vm_flags & VM_GROWSDOWN))
		return false;
	rcu_read_lock();
	task = pid_task(s->pid, PIDTYPE_TGID);
	if (task)
		may = vma->vm_end - address <= task_rlimit(task, RLIMIT_STACK);
	rcu_read_unlock();
	return may;
}

/**
 * pcn_vma_kept_flags - what members are to know of the flags of a VMA
 * @vma:	the VMA, on any kernel
 *
 * Context: the VMA is locked.
 * Return: these VM_*.
 */
u64 pcn_vma_kept_flags(const struct vm_area_struct *vma)
{
	return vma->vm_flags & KEPT_FLAGS;
}

/**
 * pcn_vma_lends - may members map frames of a VMA?
 * @vma:	the VMA, at the origin of coherent memory
 *
 * A userfaultfd has to see each access, and what is no memory may not be mapped as such; but
 * the data of the vDSO may.
 *
 * Context: the VMA is locked.
 */
bool pcn_vma_lends(struct vm_area_struct *vma)
{
	if (userfaultfd_armed(vma) || vma->vm_flags & (VM_SHADOW_STACK | VM_DROPPABLE))
		return false;
	return !(vma->vm_flags & (VM_PFNMAP | VM_MIXEDMAP | VM_IO)) ||
	       pcn_arch_vdso_part(vma) == PCN_VDSO_DATA;
}

/**
 * pcn_vma_find_or_expand - the VMA at an address, or a stack that may grow there
 * @s:		the space, at the origin
 * @address:	the address
 *
 * Context: process; takes mmap_lock.
 * Return: the VMA, with mmap_lock held to read; NULL, and it is not held.
 */
struct vm_area_struct *pcn_vma_find_or_expand(struct pcn_space *s, unsigned long address)
{
	struct vm_area_struct *vma;

	mmap_read_lock(s->mm);
	vma = find_vma(s->mm, address);
	if (vma && vma->vm_start <= address)
		return vma;
	if (vma && may_grow(s, vma, address))
		return expand_stack(s->mm, address);
	mmap_read_unlock(s->mm);
	return NULL;
}

/* Behind the end of the file there are no pages: an access gets SIGBUS. */
static u64 end_of_file(struct vm_area_struct *vma)
{
	u64 size;

	if (vma_is_anonymous(vma) || !vma->vm_file)
		return vma->vm_end;
	size = PAGE_ALIGN(i_size_read(vma->vm_file->f_mapping->host));
	if (size >> PAGE_SHIFT <= vma->vm_pgoff)
		return vma->vm_start;
	return min_t(u64, vma->vm_end, vma->vm_start + size -
				       ((u64)vma->vm_pgoff << PAGE_SHIFT));
}

/* The addresses around one that are not origin-only; false if it is. */
static bool find_gap(struct pcn_space *s, unsigned long address,
		     unsigned long *first, unsigned long *last)
{
	MA_STATE(mas, &s->origin_only, address, address);
	bool found;

	mas_lock(&mas);
	found = !mas_walk(&mas);
	*first = mas.index;
	*last = mas.last;
	mas_unlock(&mas);
	return found;
}

/* What of a VMA around an address is to be known to others. */
static int vma_clip(struct pcn_space *s, u64 address, struct pcn_vma *a)
{
	unsigned long first, last;

	if (address >= a->end || !find_gap(s, address, &first, &last))
		return -ENXIO;
	a->start = max_t(u64, a->start, first);
	a->end = min_t(u64, a->end - 1, last) + 1;
	return 0;
}

/* Nobody relies on it that members know of all changes (borrow.c). */
static int vma_describe_lent(struct vm_area_struct *vma, struct pcn_vma *a)
{
	*a = (struct pcn_vma) {
		.start = vma->vm_start, .end = vma->vm_end,
		.flags = pcn_vma_kept_flags(vma),
	};
	return pcn_vma_lends(vma) ? 0 : -ENXIO;
}

/* The kernel that has asked knows of the VMA from now on. */
static int vma_describe(struct pcn_space *s, struct vm_area_struct *vma,
			u64 address, unsigned int kid, struct pcn_vma *a, gfp_t gfp)
{
	u64 part;
	int err;

	if (s->mirror)
		return vma_describe_lent(vma, a);
	part = pcn_file_part(s, vma);
	if (!part && !pcn_vma_replicates(vma))
		return -ENXIO;
	*a = (struct pcn_vma) {
		.start = vma->vm_start, .end = end_of_file(vma),
		.flags = (vma->vm_flags & KEPT_FLAGS) |
			 FIELD_PREP(PCN_VMA_PART, part),
	};
	err = vma_clip(s, address, a);
	if (err)
		return err;
	return mtree_store_range(&s->member[kid].published, a->start, a->end - 1,
				 xa_mk_value(1), gfp);
}

/*
 * Nobody is told of pages that are being changed: EAGAIN if the address is among them.
 * Either this sees a change, or the change sees that the VMA is published, or it has ended
 * since the VMA was looked at (is_final()).
 */
static int avoid_changes(struct pcn_space *s, u64 address, unsigned int kid,
			 struct pcn_vma *a)
{
	u64 page = address >> PAGE_SHIFT;
	struct pcn_change *c;

	lockdep_assert_held(&s->changes_lock);
	list_for_each_entry(c, &s->changes, node) {
		if (page >= c->first && page <= c->last)
			return -EAGAIN;
		if (c->first > page)
			a->end = min(a->end, c->first << PAGE_SHIFT);
		else
			a->start = max(a->start, (c->last + 1) << PAGE_SHIFT);
	}
	a->epoch = s->member[kid].epoch;
	return 0;
}

/* The length of the answer, or an error. */
static int vma_look_up(struct pcn_space *s, const struct vma_ask *ask, unsigned int kid,
		       struct answer *a)
{
	struct vm_area_struct *vma = pcn_vma_find_or_expand(s, ask->address);
	int ret;

	if (!vma)
		return -EFAULT;
	ret = vma_describe(s, vma, ask->address, kid, &a->vma, GFP_KERNEL);
	if (!ret)
		ret = sizeof(a->vma) + (s->mirror ? 0 : pcn_file_describe(s, vma, &a->file));
	mmap_read_unlock(s->mm);
	pcn_space_keep_off_rounds(s, ask->need);
	return ret;
}

/**
 * struct asked - a question that is to be answered
 * @node:	in pcn_space.asks, or .parked
 * @msg:	the request
 * @ask:	its payload
 */
struct asked {
	struct list_head	node;
	struct pcn_message	msg;
	struct vma_ask		ask;
};

static struct asked *next_asked(struct pcn_space *s)
{
	struct asked *q;

	spin_lock(&s->changes_lock);
	q = list_first_entry_or_null(&s->asks, struct asked, node);
	if (q) {
		list_del(&q->node);
		s->asks_count--;
	}
	spin_unlock(&s->changes_lock);
	return q;
}

static u64 changes_ended(struct pcn_space *s)
{
	u64 ended;

	spin_lock(&s->changes_lock);
	ended = s->changes_ended;
	spin_unlock(&s->changes_lock);
	return ended;
}

/*
 * False: the question is parked; or a change has ended since the VMA was looked at, and
 * what was seen may be old: it is queued again.
 */
static bool is_final(struct pcn_space *s, struct asked *q, struct answer *a, u64 ended)
{
	bool old, wait;

	spin_lock(&s->changes_lock);
	old = s->changes_ended != ended;
	wait = !old && avoid_changes(s, q->ask.address, q->msg.kid,
				     &a->vma);
	if (old || wait) {
		list_add_tail(&q->node, wait ? &s->parked : &s->asks);
		s->asks_count++;
	}
	spin_unlock(&s->changes_lock);
	return !old && !wait;
}

static void vma_send_answer(struct pcn_space *s, struct asked *q)
{
	struct answer *a = kzalloc(sizeof(*a), GFP_KERNEL);
	u64 ended = changes_ended(s);
	int ret = a ? vma_look_up(s, &q->ask, q->msg.kid, a) : -ENOMEM;

	/* What is not there, or origin-only, may be about to change as well. */
	if (a && !is_final(s, q, a, ended)) {
		kfree(a);
		return;
	}
	pcn_msg_reply(&q->msg, min(ret, 0), a, max(ret, 0));
	kfree(a);
	kfree(q);
}

/**
 * pcn_vma_answer - answer members that have asked for VMAs
 * @work:	&pcn_space.ask_work
 *
 * Context: work item, with a reference to the space's mm, which is given up.
 */
void pcn_vma_answer(struct work_struct *work)
{
	struct pcn_space *s = container_of(work, struct pcn_space, ask_work);
	struct asked *q;

	while ((q = next_asked(s))) {
		vma_send_answer(s, q);
		cond_resched();
	}
	pcn_space_put(s);
}

static struct workqueue_struct *ask_wq __ro_after_init;

/* With a reference to the mm; the work item takes another one. */
static void begin_answers(struct pcn_space *s)
{
	if (mmget_not_zero(s->mm) && !queue_work(ask_wq, &s->ask_work))
		mmput_async(s->mm);
}

/**
 * pcn_vma_unpark - answer the questions that have waited for the end of a change
 * @s:	the space, at the origin
 *
 * Context: process.
 */
void pcn_vma_unpark(struct pcn_space *s)
{
	bool any;

	spin_lock(&s->changes_lock);
	any = !list_empty(&s->parked);
	list_splice_tail_init(&s->parked, &s->asks);
	spin_unlock(&s->changes_lock);
	if (any)
		begin_answers(s);
}

/**
 * pcn_vma_end_asks - the space goes: nobody answers any more
 * @s:	the space; no handler finds it
 *
 * Context: process; sleeps.
 */
void pcn_vma_end_asks(struct pcn_space *s)
{
	struct asked *q;

	pcn_vma_unpark(s);
	while ((q = next_asked(s))) {
		pcn_msg_reply(&q->msg, -ESRCH, NULL, 0);
		kfree(q);
	}
}

static int vma_describe_at_once(struct pcn_space *s, u64 address, unsigned int kid,
				struct pcn_vma *a)
{
	struct vm_area_struct *vma;
	int err = -EAGAIN;

	if (!mmap_read_trylock(s->mm))
		return err;
	vma = vma_lookup(s->mm, address);
	/* A stack may have to grow, and a file has to be looked at. */
	if (vma && vma_is_anonymous(vma))
		err = vma_describe(s, vma, address, kid, a, GFP_NOWAIT | __GFP_NOWARN);
	mmap_read_unlock(s->mm);
	return err;
}

/* False: the answer has to wait. */
static bool vma_look_at_once(struct pcn_space *s, u64 address, unsigned int kid,
			     struct pcn_vma *a)
{
	u64 ended = changes_ended(s);
	bool final;

	if (vma_describe_at_once(s, address, kid, a))
		return false;
	spin_lock(&s->changes_lock);
	final = s->changes_ended == ended && !avoid_changes(s, address, kid, a);
	spin_unlock(&s->changes_lock);
	return final;
}

static bool vma_answer_at_once(struct pcn_space *s, const struct pcn_message *msg,
			       const struct vma_ask *ask)
{
	struct pcn_vma a;

	if (!vma_look_at_once(s, ask->address, msg->kid, &a))
		return false;
	pcn_space_keep_off_rounds(s, ask->need);
	pcn_msg_reply(msg, 0, &a, sizeof(a));
	return true;
}

/**
 * pcn_vma_tell - a thread has mapped memory for itself: say so before it asks
 * @mm:		the address space
 * @address:	in the memory
 * @kid:	the kernel where the thread is
 * @told:	receives what to tell, by the channel of rounds
 *
 * Context: process.
 * Return: true: it is to be told; false: it may ask.
 */
bool pcn_vma_tell(struct mm_struct *mm, unsigned long address, unsigned int kid,
		  struct pcn_vma *told)
{
	struct pcn_space *s = READ_ONCE(mm->popcorn);

	return s && pcn_is_origin(s) && address < TASK_SIZE_MAX &&
	       vma_look_at_once(s, address, kid, told);
}

/* *@q is NULL afterwards if it is in the queue. */
static int queue_ask(struct pcn_space *s, struct asked **q)
{
	int err = -ENOBUFS;

	spin_lock(&s->changes_lock);
	if (s->asks_count < ASKS_MAX) {
		list_add_tail(&(*q)->node, &s->asks);
		s->asks_count++;
		*q = NULL;
		err = 0;
	}
	spin_unlock(&s->changes_lock);
	begin_answers(s);
	return err;
}

/* For the next question. The poll's. */
static struct asked *spare_asked;

static bool ask_ready(void)
{
	if (!spare_asked)
		spare_asked = kmalloc(sizeof(*spare_asked), GFP_NOWAIT | __GFP_NOWARN);
	return spare_asked;
}

static int take_ask(const struct pcn_message *msg)
{
	struct pcn_space *s = pcn_space_get(spare_asked->ask.space);
	int err = -ESRCH;

	if (!s)
		return err;
	if (pcn_is_origin(s) && pcn_is_host(s, msg->kid))
		err = vma_answer_at_once(s, msg, &spare_asked->ask) ? 0 :
		      queue_ask(s, &spare_asked);
	pcn_space_put(s);
	return err;
}

static void vma_on_ask(const struct pcn_message *msg)
{
	struct asked *q = spare_asked;
	int err = -EINVAL;

	if (msg->length == sizeof(q->ask) && msg->request) {
		q->msg = *msg;
		memcpy(&q->ask, msg->payload, sizeof(q->ask));
		if (q->ask.address < TASK_SIZE_MAX)
			err = take_ask(msg);
	}
	if (err)
		pcn_msg_reply(msg, err, NULL, 0);
}

static const struct pcn_msg_type ask_type = {
	.name		= "vma",
	.channel	= PCN_CONTROL,
	.type		= PCN_TYPE_VMA,
	.ready		= ask_ready,
	.handle		= vma_on_ask,
};

/* --- at a member --- */

/* Faults of these VMAs are handled before this could be asked. */
static vm_fault_t no_fault(struct vm_fault *vmf)
{
	return VM_FAULT_SIGBUS;
}

const struct vm_operations_struct pcn_vm_ops = {
	.fault	= no_fault,
};

/* Of VMAs that are to be forgotten, and could not be removed yet. */
const struct vm_operations_struct pcn_void_ops = {
	.fault	= no_fault,
};

static struct vm_area_struct *alloc_vma(struct mm_struct *mm,
					const struct pcn_vma *a)
{
	const vm_flags_t own = VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_DONTCOPY |
			       VM_DONTDUMP;
	struct vm_area_struct *vma = vm_area_alloc(mm);

	if (!vma)
		return NULL;
	vma->vm_start = a->start;
	vma->vm_end = a->end;
	vma->vm_pgoff = a->start >> PAGE_SHIFT;
	vm_flags_init(vma, (a->flags & KEPT_FLAGS) | own);
	vma->vm_page_prot = vm_get_page_prot(vma->vm_flags);
	vma->vm_ops = &pcn_vm_ops;
	vma->vm_file = pcn_borrow_file(mm->popcorn);
	return vma;
}

static int insert_frames(struct mm_struct *mm, const struct pcn_vma *a)
{
	struct vm_area_struct *vma = alloc_vma(mm, a);
	int err;

	if (!vma)
		return -ENOMEM;
	err = insert_vm_struct(mm, vma);
	if (err && vma->vm_file)
		fput(vma->vm_file);
	if (err)
		vm_area_free(vma);
	else
		vm_stat_account(mm, vma->vm_flags, vma_pages(vma));
	return err;
}

static unsigned long prot_of(const struct pcn_vma *a)
{
	return PROT_READ | (a->flags & VM_EXEC ? PROT_EXEC : 0);
}

/*
 * What is known of VMAs is a copy: if it comes to be as much as there can be, begin anew.
 * A void VMA at the address is removed, which could not be done before.
 */
static int make_place(struct mm_struct *mm, unsigned long address)
{
	struct vm_area_struct *vma;

	pcn_vmas_clean(mm->popcorn);
	if (mm->map_count >= sysctl_max_map_count)
		pcn_vmas_forget(mm);
	vma = vma_lookup(mm, address);
	if (!vma || vma->vm_ops != &pcn_void_ops)
		return 0;
	return do_munmap(mm, vma->vm_start, vma->vm_end - vma->vm_start, NULL);
}

/*
 * What the origin has changed may be as before, as where memory is unmapped and mapped
 * again: then the VMA, whose pages have gone, only has to be no longer stale. With the
 * lock no other range becomes stale.
 */
static bool vma_renew(struct pcn_space *s, unsigned long address,
		      const struct pcn_vma *a)
{
	struct vm_area_struct *vma = vma_lookup(s->mm, address);

	if (!vma || vma->vm_ops != &pcn_vm_ops || vma->vm_start != a->start ||
	    vma->vm_end != a->end ||
	    (vma->vm_flags ^ a->flags) & (KEPT_FLAGS | PCN_VMA_PART))
		return false;
	return !mtree_store_range(&s->stale, a->start, a->end - 1, NULL, GFP_KERNEL);
}

static bool vma_is_like(const struct vm_area_struct *vma, const struct pcn_vma *a)
{
	return vma->vm_ops == &pcn_vm_ops && pcn_vma_kept_flags(vma) == a->flags;
}

/* What is like it stays, with its entries. */
static void drop_others(struct mm_struct *mm, const struct pcn_vma *a)
{
	unsigned long at = a->start, behind;
	struct vm_area_struct *vma;

	while (at < a->end && (vma = find_vma_intersection(mm, at, a->end))) {
		behind = vma->vm_end;
		if (!vma_is_like(vma, a))
			pcn_vmas_drop(mm, at, min_t(u64, behind, a->end));
		at = behind;
	}
}

/*
 * What is here may be as it was once, and there may be more of it now. 0: it allows something
 * else than before; -EEXIST: that is what was there.
 */
static int vma_replace(struct pcn_space *s, unsigned long address, struct pcn_vma *a)
{
	struct vm_area_struct *vma = vma_lookup(s->mm, address);

	if (vma && vma_is_like(vma, a))
		return -EEXIST;
	if (vma)
		drop_others(s->mm, a);
	return 0;
}

/* A heap grows, most often. */
static int vma_grow(struct vm_area_struct *vma, unsigned long end)
{
	VMA_ITERATOR(vmi, vma->vm_mm, vma->vm_start);
	unsigned long pages = (end - vma->vm_end) >> PAGE_SHIFT;
	struct vma_merge_struct vmg = {
		.mm = vma->vm_mm, .vmi = &vmi, .vma = vma,
		.start = vma->vm_start, .end = end, .pgoff = vma->vm_pgoff,
		.flags = vma->vm_flags, .state = VMA_MERGE_START,
		.merge_flags = VMG_FLAG_DEFAULT,
	};
	int err = vma_expand(&vmg);

	if (!err)
		vm_stat_account(vma->vm_mm, vma->vm_flags, pages);
	return err;
}

/* A part of what is answered may be known: the rest is around @address. */
static int vma_insert(struct pcn_space *s, unsigned long address, struct pcn_vma *a,
		      struct file *file, const struct pcn_file *f)
{
	u64 part = FIELD_GET(PCN_VMA_PART, a->flags);
	struct vm_area_struct *prev, *vma;
	struct mm_struct *mm = s->mm;
	int err;

	mmap_assert_write_locked(mm);
	if (!s->borrow && !file && vma_renew(s, address, a))
		return 0;
	err = s->borrow ? vma_replace(s, address, a) : 0;
	err = err ?: make_place(mm, address);
	if (err)
		return err;
	vma = find_vma_prev(mm, address, &prev);
	if (vma && vma->vm_start <= address)
		return 0;
	a->start = max_t(u64, a->start, prev ? prev->vm_end : 0);
	a->end = min_t(u64, a->end, vma ? vma->vm_start : TASK_SIZE_MAX);
	if (file && !pcn_file_map(s, file, f, a->start, a->end, prot_of(a)))
		return 0;
	if (part)
		return pcn_arch_vdso_map(mm, part, a->start, a->end - a->start);
	if (s->borrow && prev && prev->vm_end == a->start && vma_is_like(prev, a))
		return vma_grow(prev, a->end);
	return insert_frames(mm, a);
}

/* Linux relies on it that what a VMA allows it may allow: VM_MAYREAD for VM_READ etc. */
static bool flags_are_valid(u64 flags)
{
	BUILD_BUG_ON(VM_READ << 4 != VM_MAYREAD || VM_WRITE << 4 != VM_MAYWRITE ||
		     VM_EXEC << 4 != VM_MAYEXEC);
	return !(flags & ~(KEPT_FLAGS | PCN_VMA_PART)) &&
	       !(flags & VM_ACCESS_FLAGS & ~(flags >> 4));
}

static bool vma_answer_is_valid(const struct pcn_vma *a, u64 address)
{
	return flags_are_valid(a->flags) && a->start <= address &&
	       address < a->end && a->end <= TASK_SIZE_MAX &&
	       PAGE_ALIGNED(a->start) && PAGE_ALIGNED(a->end);
}

/* The length of the answer, or an error. */
static int vma_ask_origin(struct pcn_space *s, u64 address, struct answer *a)
{
	u64 ns = s->ops->hold_ns(address >> PAGE_SHIFT, false);
	struct vma_ask ask = {
		.space = s->number, .address = address,
		.need = pcn_hold_rounds_ns(ns),
	};
	u32 length = sizeof(*a);
	int err = pcn_msg_call(s->group.origin, PCN_CONTROL, PCN_TYPE_VMA, &ask,
			       sizeof(ask), a, &length, ASK_LIMIT_MS);

	if (err)
		return err;
	return length >= sizeof(a->vma) && vma_answer_is_valid(&a->vma,
							       address) ? length :
									-EBADMSG;
}

/* -EAGAIN: the address space has changed since. */
static int vma_insert_if_valid(struct pcn_space *s, unsigned long address,
			       struct pcn_vma *a, struct file *file,
			       const struct pcn_file *f)
{
	int err = -EAGAIN;

	if (mmap_write_lock_killable(s->mm))
		return -EINTR;
	if (s->borrow || a->epoch == s->epoch)
		err = vma_insert(s, address, a, file, f);
	mmap_write_unlock(s->mm);
	return err;
}

static int vma_fetch_once(struct pcn_space *s, unsigned long address)
{
	struct answer *a = kmalloc(sizeof(*a), GFP_KERNEL);
	struct file *file = NULL;
	int ret;

	if (!a)
		return -ENOMEM;
	ret = vma_ask_origin(s, address, a);
	if (ret > sizeof(a->vma))
		file = pcn_file_open(&a->file, ret - sizeof(a->vma),
				     prot_of(&a->vma));
	if (ret > 0)
		ret = vma_insert_if_valid(s, address, &a->vma, file, &a->file);
	if (file)
		fput(file);
	kfree(a);
	return ret;
}

/**
 * pcn_vma_fetch - ask the origin about an address
 * @mm:		the address space, shared
 * @address:	in user space
 * @missing:	there was nothing; otherwise what there is does not allow the access
 *
 * Context: process, with no lock held; sleeps, killably.
 * Return: 0 there is a VMA now, try again; -EFAULT, -ENXIO there is none, or it is
 * origin-only; -EINTR; -ENOMEM; errors of pcn_msg_call().
 */
int pcn_vma_fetch(struct mm_struct *mm, unsigned long address, bool missing)
{
	struct pcn_space *s = READ_ONCE(mm->popcorn);
	int err;

	if (!s || pcn_is_origin(s) || address >= TASK_SIZE_MAX)
		return -EFAULT;
	if (s->borrow ? pcn_borrow_was_refused(s, address >> PAGE_SHIFT) :
			pcn_page_is_absent(s, address >> PAGE_SHIFT))
		return -ENXIO;
	do {
		err = vma_fetch_once(s, address);
	} while (err == -EAGAIN && !fatal_signal_pending(current));
	/* Another thread has been faster; or it is as the origin has it. */
	return err == -EEXIST && missing ? 0 : err;
}

/**
 * pcn_vma_told - the origin has told of a VMA that nobody has asked for
 * @mm:		the address space, shared
 * @address:	in user space
 * @told:	the VMA
 *
 * If there is no memory, or the address space has changed since, it is asked for when it is
 * needed.
 *
 * Context: process, with no lock held; sleeps, killably.
 */
void pcn_vma_told(struct mm_struct *mm, unsigned long address,
		  const struct pcn_vma *told)
{
	struct pcn_space *s = READ_ONCE(mm->popcorn);
	struct pcn_vma a = *told;

	if (s && !pcn_is_origin(s) && vma_answer_is_valid(&a, address))
		vma_insert_if_valid(s, address, &a, NULL, NULL);
}

/**
 * pcn_vma_init - begin to answer questions about VMAs
 *
 * Context: initcall.
 * Return: 0; -ENOMEM; errors of pcn_msg_register().
 */
int __init pcn_vma_init(void)
{
	ask_wq = alloc_workqueue("popcorn_vmas", WQ_UNBOUND | WQ_HIGHPRI,
				 WQ_UNBOUND_MAX_ACTIVE);
	return ask_wq ? pcn_msg_register(&ask_type) : -ENOMEM;
}

/* Of coherent memory a VMA here is what the origin had at some time. */
static bool is_borrowed(struct mm_struct *mm)
{
	struct pcn_space *s = READ_ONCE(mm->popcorn);

	return s && s->borrow;
}

static bool is_stale_in(struct mm_struct *mm, unsigned long address)
{
	struct pcn_space *s = READ_ONCE(mm->popcorn);

	return s && pcn_vma_is_stale(s, address);
}

/**
 * pcn_vma_is_void - is what this kernel knows of an address void?
 * @mm:		the address space
 * @address:	in user space
 *
 * Context: process, with no lock held; sleeps.
 * Return: true: ask for it, although there seems to be something.
 */
bool pcn_vma_is_void(struct mm_struct *mm, unsigned long address)
{
	struct vm_area_struct *vma;
	bool is_void;

	mmap_read_lock(mm);
	vma = vma_lookup(mm, address);
	/* Another thread may have removed it meanwhile. */
	is_void = !vma || vma->vm_ops == &pcn_void_ops || is_stale_in(mm, address) ||
		  is_borrowed(mm);
	mmap_read_unlock(mm);
	return is_void;
}

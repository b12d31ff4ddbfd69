// SPDX-License-Identifier: GPL-2.0
/*
 * Spaces and their records: what is where, and for how long.
 *
 * A record comes into being when a thread or a message first asks for its page,
 * and goes when its range is dropped, or with the space. Threads and work items
 * hold on to it with pcn_record_get(), which does not let anybody in while the
 * range is frozen. Handlers need no hold: a range is dropped only when no message
 * about it can be under way any more.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/mmu_notifier.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/sched/coredump.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <popcorn/hooks.h>
#include <popcorn/partition.h>

#include "internal.h"

static LIST_HEAD(spaces);
static DEFINE_SPINLOCK(spaces_lock);

/* What has happened in spaces that are no more. */
static struct pcn_space_stats ended;

/* What there is, to see that nothing is left behind. */
static atomic_long_t records_in_use, spaces_in_use;

/**
 * pcn_records_in_use - how many records there are
 *
 * Context: any.
 */
long pcn_records_in_use(void)
{
	return atomic_long_read(&records_in_use);
}

/**
 * pcn_spaces_in_use - how many spaces there are
 *
 * Context: any.
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
 * pcn_space_put - give up what pcn_space_get() has got
 * @s:	the space
 *
 * Context: process, may sleep.
 */
void pcn_space_put(struct pcn_space *s)
{
	/* The last one would destroy the space under the feet of its caller. */
	mmput_async(s->mm);
}

static struct pcn_space *new_space(u64 number, u64 members, unsigned int origin)
{
	struct pcn_space *s;

	if (!(members & BIT_ULL(pcn_self())) || origin >= PCN_KERNELS_MAX ||
	    !(members & BIT_ULL(origin)))
		return ERR_PTR(-EINVAL);
	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return ERR_PTR(-ENOMEM);
	s->number = number;
	s->proto = pcn_proto_chosen();
	s->group = (struct pcn_group) {
		.members = members, .self = pcn_self(),
		.count = hweight64(members), .origin = origin,
	};
	spin_lock_init(&s->lock);
	s->records = RB_ROOT;
	init_waitqueue_head(&s->thawed);
	init_waitqueue_head(&s->quiet);
	init_rwsem(&s->layout);
	mt_init(&s->published);
	mt_init(&s->home_only);
	atomic_long_inc(&spaces_in_use);
	return s;
}

static void free_space(struct pcn_space *s)
{
	mtree_destroy(&s->published);
	mtree_destroy(&s->home_only);
	atomic_long_dec(&spaces_in_use);
	kfree(s);
}

/* It has not come into being. */
static void discard(struct pcn_space *s)
{
	pcn_tally_drop(s);
	free_space(s);
}

static int enlist(struct pcn_space *s)
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
 * done so before any of them uses it.
 *
 * Context: process.
 * Return: the space; an ERR_PTR: -EEXIST, -EINVAL, -ENOMEM.
 */
struct pcn_space *pcn_space_create(u64 number, u64 members, unsigned int origin)
{
	struct pcn_space *s = new_space(number, members, origin);
	int err;

	if (IS_ERR(s))
		return s;
	err = pcn_tally_new(s, false);
	if (!err)
		err = enlist(s);
	if (err) {
		discard(s);
		return ERR_PTR(err);
	}
	return s;
}

/*
 * Who is in a fault has not seen the space and must be through before a page is
 * given away. Huge pages would have to be split again and again. Probes in its code
 * (uprobes) are pages that were replaced for this kernel alone; with mmap_lock held
 * there are some, or there will be none.
 */
static int attach(struct pcn_space *s, struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;

	if (mmap_write_lock_killable(mm))
		return -EINTR;
	if (test_bit(MMF_HAS_UPROBES, &mm->flags)) {
		mmap_write_unlock(mm);
		return -EBUSY;
	}
	s->mm = mm;
	if (pcn_is_origin(s))
		set_bit(MMF_DISABLE_THP, &mm->flags);
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
 *
 * Context: process; takes mmap_lock.
 * Return: the space, which goes with @mm; an ERR_PTR: -EEXIST, -EINVAL, -ENOMEM,
 * -EINTR; -EBUSY somebody watches @mm with an MMU notifier, or has probes in it.
 */
struct pcn_space *pcn_space_create_mm(u64 number, u64 members,
				      unsigned int origin, struct mm_struct *mm)
{
	struct pcn_space *s;
	int err;

	if (mm_has_notifiers(mm))
		return ERR_PTR(-EBUSY);
	s = new_space(number, members, origin);
	if (IS_ERR(s))
		return s;
	err = pcn_tally_new(s, true);
	if (!err)
		err = attach(s, mm);
	if (!err)
		err = enlist(s);
	if (err) {
		WRITE_ONCE(mm->popcorn, NULL);
		discard(s);
		return ERR_PTR(err);
	}
	return s;
}

/**
 * pcn_space_number - the number of a space
 * @s:	the space
 *
 * Context: any.
 */
u64 pcn_space_number(const struct pcn_space *s)
{
	return s->number;
}

/**
 * pcn_record_new - a record of no page yet
 * @gfp:	how to get memory
 *
 * Context: as @gfp says.
 * Return: the record, or NULL.
 */
struct pcn_record *pcn_record_new(gfp_t gfp)
{
	struct pcn_record *r = kzalloc(sizeof(*r), gfp | __GFP_NOWARN);

	if (!r)
		return NULL;
	atomic_long_inc(&records_in_use);
	spin_lock_init(&r->lock);
	INIT_LIST_HEAD(&r->queue);
	INIT_DELAYED_WORK(&r->work, pcn_record_work);
	kthread_init_work(&r->run, pcn_record_run);
	init_waitqueue_head(&r->wait);
	hrtimer_init(&r->linger, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	r->linger.function = pcn_linger_over;
	return r;
}

static void init_record(struct pcn_record *r, struct pcn_space *s, u64 page)
{
	r->space = s;
	r->page = page;
	r->plain = s->mm && pcn_is_origin(s);
	pcn_forget_use(r);
	pcn_replica_init(&r->replica, &s->group);
}

static struct pcn_record *find_or_insert(struct pcn_space *s, u64 page,
					 struct pcn_record **spare)
{
	struct rb_node **link = &s->records.rb_node, *parent = NULL;
	struct pcn_record *r;

	lockdep_assert_held(&s->lock);
	while (*link) {
		parent = *link;
		r = rb_entry(parent, struct pcn_record, node);
		if (r->page == page)
			return r;
		link = page < r->page ? &parent->rb_left : &parent->rb_right;
	}
	r = *spare;
	if (r) {
		init_record(r, s, page);
		rb_link_node(&r->node, parent, link);
		rb_insert_color(&r->node, &s->records);
		*spare = NULL;
	}
	return r;
}

/**
 * pcn_record_find - the record of a page, for a handler
 * @s:		the space
 * @page:	number of the page
 * @spare:	becomes the record if there is none, and is then NULL
 *
 * Context: a handler that does not sleep.
 * Return: the record; NULL if there is none and no spare.
 */
struct pcn_record *pcn_record_find(struct pcn_space *s, u64 page,
				   struct pcn_record **spare)
{
	struct pcn_record *r;

	spin_lock(&s->lock);
	r = find_or_insert(s, page, spare);
	spin_unlock(&s->lock);
	return r;
}

/**
 * pcn_record_next - the first record at or behind a page
 * @s:		the space
 * @page:	number of the page
 *
 * Context: pcn_space.lock, for as long as the record is looked at, unless its range is
 * frozen.
 * Return: the record, or NULL.
 */
struct pcn_record *pcn_record_next(struct pcn_space *s, u64 page)
{
	struct rb_node *node = s->records.rb_node;
	struct pcn_record *r, *best = NULL;

	lockdep_assert_held(&s->lock);
	while (node) {
		r = rb_entry(node, struct pcn_record, node);
		if (r->page >= page)
			best = r;
		node = r->page >= page ? node->rb_left : node->rb_right;
	}
	return best;
}

/**
 * pcn_range_has - is a page in a range?
 * @range:	the range
 * @page:	number of the page
 *
 * Context: pcn_space.lock.
 */
bool pcn_range_has(const struct pcn_range *range, u64 page)
{
	return range->on && page >= range->first && page <= range->last;
}

/* Whoever adopts a page has Linux bring it in, and is let through. */
static bool is_shut(struct pcn_space *s, u64 page)
{
	struct pcn_record *none = NULL, *r;

	if (!pcn_range_has(&s->frozen, page) || s->frozen.owner == current)
		return false;
	r = find_or_insert(s, page, &none);
	return !r || READ_ONCE(r->adopter) != current;
}

/**
 * pcn_is_frozen - does pcn_record_get() refuse the current task a page for now?
 * @s:		the space
 * @page:	number of the page
 *
 * Context: process; does not sleep, so it can be waited for.
 */
bool pcn_is_frozen(struct pcn_space *s, u64 page)
{
	bool shut;

	spin_lock(&s->lock);
	shut = is_shut(s, page);
	spin_unlock(&s->lock);
	return shut;
}

/**
 * pcn_record_get - get hold of the record of a page, in order to use the page
 * @s:		the space
 * @page:	number of the page
 *
 * Context: process; may sleep for memory.
 * Return: the record, to be given to pcn_record_put(); -ENOMEM; -EAGAIN the page
 * is frozen: wait for &pcn_space.thawed with no lock held, and try again.
 */
struct pcn_record *pcn_record_get(struct pcn_space *s, u64 page)
{
	struct pcn_record *spare = NULL, *r;

	for (;;) {
		spin_lock(&s->lock);
		r = is_shut(s, page) ? ERR_PTR(-EAGAIN) :
				       find_or_insert(s, page, &spare);
		if (!IS_ERR_OR_NULL(r))
			atomic_inc(&r->users);
		spin_unlock(&s->lock);
		if (r)
			break;
		spare = pcn_record_new(GFP_KERNEL);
		if (!spare)
			return ERR_PTR(-ENOMEM);
	}
	if (spare)
		pcn_record_free(spare);
	return r;
}

/**
 * pcn_record_put - give up the hold on a record
 * @r:	the record
 *
 * Context: any.
 */
void pcn_record_put(struct pcn_record *r)
{
	struct pcn_space *s = r->space;

	/* Under the lock: a space that is quiet may go at once. */
	spin_lock(&s->lock);
	if (atomic_dec_and_test(&r->users))
		wake_up_all(&s->quiet);
	spin_unlock(&s->lock);
}

/**
 * pcn_record_free - the end of a record
 * @r:	the record, out of its space or never in one, without users
 *
 * Context: any.
 */
void pcn_record_free(struct pcn_record *r)
{
	struct pcn_queued *e, *next;
	struct page *frame = r->frame;

	list_for_each_entry_safe(e, next, &r->queue, node)
		kfree(e);
	kfree(r->rest);
	hrtimer_cancel(&r->linger);
	/* None if two threads made one for the same page, and this came second. */
	if (r->space)
		pcn_check_end(r, false);
	if (frame) {
		pcn_set_frame(r, NULL);
		put_page(frame);
	}
	atomic_long_dec(&records_in_use);
	kfree(r);
}

static bool is_unused(struct pcn_space *s)
{
	struct pcn_record *r, *next;
	bool unused = true;

	spin_lock(&s->lock);
	rbtree_postorder_for_each_entry_safe(r, next, &s->records, node)
		unused = unused && !atomic_read(&r->users);
	spin_unlock(&s->lock);
	return unused;
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
	struct pcn_record *r, *next;

	spin_lock(&spaces_lock);
	list_del(&s->node);
	spin_unlock(&spaces_lock);
	pcn_msg_sync();
	wait_event(s->quiet, is_unused(s));
	pcn_tally_end(s);
	rbtree_postorder_for_each_entry_safe(r, next, &s->records, node)
		pcn_record_free(r);
	add_up(&ended, &s->stats);
	free_space(s);
}

static void break_space(struct pcn_space *s)
{
	struct pcn_record *r, *next;

	WRITE_ONCE(s->broken, true);
	spin_lock(&s->lock);
	rbtree_postorder_for_each_entry_safe(r, next, &s->records, node)
		wake_up_all(&r->wait);
	wake_up_all(&s->quiet);
	spin_unlock(&s->lock);
}

/**
 * pcn_space_break - a process ends: nobody is to wait for its pages any more
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
	pcn_process_end(s->number);
	pcn_space_destroy(s);
}

/**
 * pcn_space_stats - the counters of a space
 * @s:	the space
 *
 * Context: any.
 */
struct pcn_space_stats *pcn_space_stats(struct pcn_space *s)
{
	return &s->stats;
}

static void show_stats(struct seq_file *m, struct pcn_space_stats *s)
{
	atomic64_t *count = (atomic64_t *)s;
	unsigned int i;

	for (i = 0; i < sizeof(*s) / sizeof(*count); i++)
		seq_printf(m, " %lld", atomic64_read(&count[i]));
	seq_putc(m, '\n');
}

static int show_spaces(struct seq_file *m, void *v)
{
	struct pcn_space *s;

	seq_puts(m, "space hits misses messages copies holds impossible unsent adopted rounds\n");
	seq_puts(m, "ended");
	show_stats(m, &ended);
	spin_lock(&spaces_lock);
	list_for_each_entry(s, &spaces, node) {
		seq_printf(m, "%llx", s->number);
		show_stats(m, &s->stats);
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
	int err;

	if (!pcn_machine_is_shared())
		return 0;
	err = pcn_map_init();
	if (!err)
		err = pcn_step_init();
	if (!err)
		err = pcn_vma_init();
	return err ?: pcn_layout_init();
}
subsys_initcall_sync(pcn_space_init);

// SPDX-License-Identifier: GPL-2.0
/*
 * Members give pages back when their kernel is short of memory.
 *
 * The frames of a process at a member are a cache: the origin can have every page. So a
 * shrinker goes through the records of all processes that are visiting, as the hand of a
 * clock. A page that was used since the hand last came by is passed over; the numbers of
 * the others go to their origin, which takes the pages.
 *
 * It takes a page by an access that writes, like that of a thread. Afterwards no other
 * kernel has a copy, and a member frees a frame without data (pcn_frame_drop()). The
 * protocol has no event for this, and needs none. The origin takes what it can have without
 * harm: it kills no process for memory, and after TAKE_NS it leaves the rest of a batch.
 *
 * A shrinker must not wait for another kernel: its caller may hold a lock that the answer
 * needs. It only chooses the pages of one batch, and a work item sends them. The OOM
 * killer asks here before it kills, like it asks a balloon: then a batch is chosen without
 * regard to what was used, and is waited for, but for OOM_WAIT at most, since such a lock
 * may be held there as well. The OOM killer holds a lock of its own meanwhile, which an
 * allocation that finds no memory waits for: so the work item may take from the reserves.
 *
 * One batch to each origin is under way at a time: a member does not flood an origin, and
 * an origin that does not answer keeps nothing from others. An origin takes two
 * batches of each member at a time, whatever members send.
 */
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <popcorn/msg.h>

#include "internal.h"
#include "map.h"

/** RETURN_MAX - pages of a batch */
#define RETURN_MAX	64

/* The OOM killer waits so long for a batch. */
#define OOM_WAIT	HZ

/* A member waits so long for an answer. */
#define RETURN_LIMIT_MS	(10 * MSEC_PER_SEC)

/* An origin takes no longer for a batch. */
#define TAKE_NS		NSEC_PER_SEC

/**
 * struct return_msg - a member asks the origin to take pages
 * @space:	the space
 * @page:	numbers of pages, as many as the length of the message says
 */
struct return_msg {
	u64	space;
	u64	page[RETURN_MAX];
};

/* --- at a member --- */

/**
 * struct batch - pages that an origin is asked to take
 * @busy:	a task chooses the pages, or the work item sends them and clears this
 * @count:	how many pages
 * @work:	sends them
 * @msg:	what is sent
 */
struct batch {
	atomic_t		busy;
	unsigned int		count;
	struct work_struct	work;
	struct return_msg	msg;
};

/* By origin */
static struct batch batches[PCN_KERNELS_MAX];

static DECLARE_WAIT_QUEUE_HEAD(batch_ended);
/* Counts those that an origin has answered. */
static atomic_t batches_taken;
static struct workqueue_struct *send_queue, *take_queue;

static void batch_end(struct batch *b)
{
	atomic_set_release(&b->busy, 0);
	wake_up_all(&batch_ended);
}

static void batch_send(struct work_struct *work)
{
	struct batch *b = container_of(work, struct batch, work);
	u32 length = offsetof(struct return_msg, page[b->count]);
	unsigned int flags = memalloc_noreclaim_save();

	/* A page that the origin does not take stays: the hand comes by again. */
	if (!pcn_msg_call(b - batches, PCN_CONTROL, PCN_TYPE_RETURN, &b->msg, length,
			  NULL, NULL, RETURN_LIMIT_MS))
		atomic_inc(&batches_taken);
	memalloc_noreclaim_restore(flags);
	batch_end(b);
}

/* The record under the hand, which moves on; NULL: the space has none. */
static struct pcn_record *next_record(struct pcn_space *s)
{
	struct pcn_record *r;
	unsigned int i;

	for (i = 0; i <= PCN_SHARDS; i++) {
		r = pcn_record_next_get(&s->shard[s->hand_shard], s->hand_page);
		if (r) {
			s->hand_page = r->page + 1;
			return r;
		}
		s->hand_shard = (s->hand_shard + 1) % PCN_SHARDS;
		s->hand_page = 0;
	}
	return NULL;
}

static bool is_under_way(const struct pcn_record *r)
{
	return r->pending || r->backlog || pcn_record_in_use(r) || r->dropped;
}

/* @any: also a page that was used lately */
static bool may_return(struct pcn_record *r, bool any)
{
	bool may = false;

	spin_lock(&r->lock);
	pcn_frame_drop(r);
	/* What stands for an absent page has no content that the origin needs. */
	if (r->frame && !r->absent && !is_under_way(r))
		may = !pcn_page_test_used(r) || any;
	spin_unlock(&r->lock);
	return may;
}

static void choose_pages(struct batch *b, struct pcn_space *s, unsigned long scan,
			 bool any)
{
	struct pcn_record *r;

	for (; scan && b->count < RETURN_MAX; scan--) {
		r = next_record(s);
		if (!r)
			return;
		if (may_return(r, any))
			b->msg.page[b->count++] = r->page;
		pcn_record_put(r);
	}
}

/* Choose a batch of a space, and have it sent. NULL: there is none. */
static struct batch *batch_begin(struct pcn_space *s, unsigned long scan, bool any)
{
	struct batch *b = &batches[s->group.origin];

	if (atomic_cmpxchg_acquire(&b->busy, 0, 1))
		return NULL;
	b->count = 0;
	b->msg.space = s->number;
	choose_pages(b, s, scan, any);
	if (!b->count) {
		batch_end(b);
		return NULL;
	}
	atomic64_add(b->count, &s->stats.returned);
	queue_work(send_queue, &b->work);
	return b;
}

/* Of the first space that has pages, whether they were used lately or not. */
static void begin_any_batch(void)
{
	/* Most records may have no frame. */
	long records = pcn_records_in_use(), spaces = pcn_spaces_in_use();
	struct batch *b = NULL;
	struct pcn_space *s;

	while (!b && spaces-- > 0) {
		s = pcn_space_next_visiting();
		if (!s)
			break;
		/* Of coherent memory the frames are the origin's: there is nothing to give back. */
		if (!s->borrow)
			b = batch_begin(s, records, true);
		pcn_space_put(s);
	}
}

static unsigned long count_frames(struct shrinker *shrinker, struct shrink_control *sc)
{
	return pcn_frames_visiting() ?: SHRINK_EMPTY;
}

static unsigned long scan_frames(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct pcn_space *s = pcn_space_next_visiting();
	struct batch *b;

	if (!s)
		return SHRINK_STOP;
	b = s->borrow ? NULL : batch_begin(s, sc->nr_to_scan, false);
	pcn_space_put(s);
	/* What is chosen counts as freed: it will be soon. */
	return b ? READ_ONCE(b->count) : 0;
}

static bool is_sending(void)
{
	struct batch *b;

	for (b = batches; b < batches + PCN_KERNELS_MAX; b++)
		if (atomic_read(&b->busy))
			return true;
	return false;
}

static void wait_for_batches(void)
{
	wait_event_timeout(batch_ended, !is_sending(), OOM_WAIT);
}

/*
 * Frames that went for other reasons than a batch do not count: a kernel that thrashes may
 * be short of memory for good, and is to find its OOM killer.
 */
static int before_oom(struct notifier_block *nb, unsigned long unused, void *freed)
{
	unsigned long before = pcn_frames_visiting(), after;
	int taken = atomic_read(&batches_taken);

	/* Those under way may have freed what they free. What is sent next has not. */
	wait_for_batches();
	begin_any_batch();
	wait_for_batches();
	after = pcn_frames_visiting();
	if (atomic_read(&batches_taken) != taken && after < before)
		*(unsigned long *)freed += before - after;
	return NOTIFY_OK;
}

static struct notifier_block oom_notifier = { .notifier_call = before_oom };

/* --- at the origin --- */

/**
 * struct returned - pages that a member wants the origin to take
 * @work:	takes them
 * @s:		the space, held
 * @msg:	to reply to
 * @count:	how many pages
 * @page:	their numbers
 */
struct returned {
	struct work_struct	work;
	struct pcn_space	*s;
	struct pcn_message	msg;
	unsigned int		count;
	u64			page[RETURN_MAX];
};

/*
 * Batches of each member that are not done: one is being taken, or its answer is under way,
 * when the next one may come.
 */
#define TAKING_MAX	2
static atomic_t taking[PCN_KERNELS_MAX];

/* For the next message. The poll's. */
static struct returned *spare;

/* The page counts as the process's, and Linux sees it, once it is mapped. */
static void map_taken(struct pcn_record *r)
{
	unsigned long address = pcn_address_of(r);
	struct vm_area_struct *vma = lock_vma_under_rcu(r->space->mm, address);

	if (!vma)
		return;
	if (pcn_vma_replicates(vma) && !pcn_page_map_prepare(vma, address, false)) {
		spin_lock(&r->lock);
		pcn_page_map(r, vma);
		spin_unlock(&r->lock);
	}
	vma_end_read(vma);
}

/* Have a frame for the page, without the OOM killer's help. */
static bool provide_frame(struct pcn_record *r)
{
	struct mm_struct *mm = r->space->mm;
	struct vm_area_struct *vma = lock_vma_under_rcu(mm, pcn_address_of(r));
	bool provided;

	if (!vma)
		return false;
	provided = pcn_vma_replicates(vma) &&
		   !pcn_frame_alloc(r, vma, GFP_USER | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	vma_end_read(vma);
	return provided;
}

/* -ETIMEDOUT: the time of the batch is over. */
static int take_record(struct pcn_record *r, u64 until)
{
	struct pcn_context *c;
	int err;

	if (READ_ONCE(r->plain) || READ_ONCE(r->absent) || !provide_frame(r))
		return 0;
	c = pcn_context_get(r->space);
	c->until = until;
	spin_lock(&r->lock);
	err = pcn_access_enter(r, true, c);
	spin_unlock(&r->lock);
	pcn_context_put(c);
	if (!err) {
		map_taken(r);
		pcn_access_leave(r);
	}
	return err;
}

/* A failure changes nothing: the member has the page still. */
static int take_page(struct pcn_space *s, u64 page, u64 until)
{
	struct pcn_record *r = pcn_record_get_open(s, page);
	int err;

	if (!r)
		return 0;
	err = take_record(r, until);
	pcn_record_put(r);
	return err;
}

static void take_pages(struct work_struct *work)
{
	struct returned *q = container_of(work, struct returned, work);
	u64 until = ktime_get_ns() + TAKE_NS;
	unsigned int i;

	for (i = 0; i < q->count && !pcn_space_ends(q->s); i++)
		if (ktime_get_ns() >= until ||
		    take_page(q->s, q->page[i], until) == -ETIMEDOUT)
			break;
	pcn_space_put(q->s);
	/* To answer may take long, if the member does not read what it is sent. */
	pcn_msg_reply(&q->msg, 0, NULL, 0);
	atomic_dec(&taking[q->msg.kid]);
	kfree(q);
}

static bool is_valid(const struct pcn_message *msg)
{
	u32 head = offsetof(struct return_msg, page);

	return msg->request && msg->length > head &&
	       msg->length <= sizeof(struct return_msg) &&
	       !((msg->length - head) % sizeof(u64));
}

/* 0: the reply comes later, and @spare is used up. */
static int take_return(const struct pcn_message *msg)
{
	const struct return_msg *m = msg->payload;
	struct returned *q = spare;
	int err = 0;

	q->s = pcn_space_get(m->space);
	if (!q->s)
		return -ESRCH;
	if (!pcn_is_origin(q->s) || pcn_is_coherent(q->s) || !pcn_is_host(q->s, msg->kid))
		err = -EINVAL;
	else if (!atomic_add_unless(&taking[msg->kid], 1, TAKING_MAX))
		err = -EBUSY;
	if (err) {
		pcn_space_put(q->s);
		return err;
	}
	spare = NULL;
	q->msg = *msg;
	q->count = (msg->length - offsetof(struct return_msg, page)) / sizeof(u64);
	memcpy(q->page, m->page, q->count * sizeof(u64));
	INIT_WORK(&q->work, take_pages);
	queue_work(take_queue, &q->work);
	return 0;
}

static bool return_ready(void)
{
	if (!spare)
		spare = kmalloc(sizeof(*spare), GFP_NOWAIT | __GFP_NOWARN);
	return spare;
}

static void on_return(const struct pcn_message *msg)
{
	int err = is_valid(msg) ? take_return(msg) : -EINVAL;

	if (err)
		pcn_msg_reply(msg, err, NULL, 0);
}

static const struct pcn_msg_type return_type = {
	.name		= "return",
	.channel	= PCN_CONTROL,
	.type		= PCN_TYPE_RETURN,
	.ready		= return_ready,
	.handle		= on_return,
};

/**
 * pcn_shrink_init - give pages back to their origins when memory is short, and take them
 *
 * Context: initcall.
 * Return: 0; -ENOMEM; errors of pcn_msg_register(), register_oom_notifier().
 */
int __init pcn_shrink_init(void)
{
	struct shrinker *shrinker = shrinker_alloc(0, "popcorn-pages");
	struct batch *b;

	for (b = batches; b < batches + PCN_KERNELS_MAX; b++)
		INIT_WORK(&b->work, batch_send);
	send_queue = alloc_workqueue("popcorn_return", WQ_MEM_RECLAIM | WQ_UNBOUND,
				     PCN_KERNELS_MAX);
	take_queue = alloc_workqueue("popcorn_take", WQ_UNBOUND,
				     PCN_KERNELS_MAX * TAKING_MAX);
	if (!shrinker || !send_queue || !take_queue)
		return -ENOMEM;
	shrinker->count_objects = count_frames;
	shrinker->scan_objects = scan_frames;
	shrinker_register(shrinker);
	return register_oom_notifier(&oom_notifier) ?: pcn_msg_register(&return_type);
}

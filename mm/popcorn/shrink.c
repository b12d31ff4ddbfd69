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
 * protocol has no event for this, and needs none.
 *
 * A shrinker must not wait for another kernel: its caller may hold a lock that the answer
 * needs. It only chooses the pages of one batch, and a work item sends them. The OOM
 * killer asks here before it kills, like it asks a balloon: then a batch is chosen without
 * regard to what was used, and is waited for, but for OOM_WAIT at most, since such a lock
 * may be held there as well.
 *
 * One batch is under way at a time, so a member cannot flood an origin; the origin takes
 * one of each member at a time, whatever members send.
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
#include "round.h"

/** RETURN_MAX - pages of a batch */
#define RETURN_MAX	64

/* The OOM killer waits so long for a batch. */
#define OOM_WAIT	HZ

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

/*
 * The batch. The task that has set @busy chooses its pages; the work item sends them and clears
 * it.
 */
static struct {
	atomic_t		busy;
	unsigned int		origin;
	unsigned int		count;
	struct return_msg	msg;
} batch;

static DECLARE_WAIT_QUEUE_HEAD(batch_sent);
static struct workqueue_struct *queue;

static void send_batch(struct work_struct *work)
{
	u32 length = offsetof(struct return_msg, page[batch.count]);
	unsigned int flags = memalloc_noreclaim_save();

	/* A page that the origin does not take stays: the hand comes by again. */
	pcn_msg_call(batch.origin, PCN_CONTROL, PCN_TYPE_RETURN, &batch.msg, length,
		     NULL, NULL, PCN_ROUND_LIMIT_MS);
	memalloc_noreclaim_restore(flags);
	atomic_set_release(&batch.busy, 0);
	wake_up_all(&batch_sent);
}

static DECLARE_WORK(batch_work, send_batch);

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

static void choose_pages(struct pcn_space *s, unsigned long scan, bool any)
{
	struct pcn_record *r;

	for (; scan && batch.count < RETURN_MAX; scan--) {
		r = next_record(s);
		if (!r)
			return;
		if (may_return(r, any))
			batch.msg.page[batch.count++] = r->page;
		pcn_record_put(r);
	}
}

/* Choose a batch of one space, and have it sent. Returns how many pages it has. */
static unsigned int begin_batch(unsigned long scan, bool any)
{
	struct pcn_space *s;
	unsigned int count;

	if (atomic_cmpxchg_acquire(&batch.busy, 0, 1))
		return 0;
	batch.count = 0;
	s = pcn_space_next_visiting();
	if (s) {
		batch.origin = s->group.origin;
		batch.msg.space = s->number;
		choose_pages(s, scan, any);
		atomic64_add(batch.count, &s->stats.returned);
		pcn_space_put(s);
	}
	count = batch.count;
	if (count)
		queue_work(queue, &batch_work);
	else
		atomic_set_release(&batch.busy, 0);
	return count;
}

static unsigned long count_frames(struct shrinker *shrinker, struct shrink_control *sc)
{
	return pcn_frames_visiting() ?: SHRINK_EMPTY;
}

/* What is chosen counts as freed: it will be soon. */
static unsigned long scan_frames(struct shrinker *shrinker, struct shrink_control *sc)
{
	if (atomic_read(&batch.busy))
		return SHRINK_STOP;
	sc->nr_scanned = sc->nr_to_scan;
	return begin_batch(sc->nr_to_scan, false);
}

static void wait_for_batch(void)
{
	wait_event_timeout(batch_sent, !atomic_read(&batch.busy), OOM_WAIT);
}

static int before_oom(struct notifier_block *nb, unsigned long unused, void *freed)
{
	unsigned long before = pcn_frames_visiting(), after;
	long spaces = pcn_spaces_in_use();

	/* The shrinker's may be small. */
	wait_for_batch();
	while (spaces-- > 0 && !begin_batch(2 * RETURN_MAX, true))
		;
	wait_for_batch();
	after = pcn_frames_visiting();
	if (after < before)
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

/* Members whose pages are being taken. */
static unsigned long taking[BITS_TO_LONGS(PCN_KERNELS_MAX)];

/* For the next message. The poll's. */
static struct returned *spare;

static void take_page(struct pcn_space *s, u64 page)
{
	struct pcn_record *r = pcn_record_get_open(s, page);

	if (!r)
		return;
	/* A failure changes nothing: the member has the page still. */
	pcn_take_home(r, true);
	pcn_record_put(r);
}

static void take_pages(struct work_struct *work)
{
	struct returned *q = container_of(work, struct returned, work);
	unsigned int i;

	for (i = 0; i < q->count && !pcn_space_ends(q->s); i++)
		take_page(q->s, q->page[i]);
	pcn_space_put(q->s);
	clear_bit(q->msg.kid, taking);
	pcn_msg_reply(&q->msg, 0, NULL, 0);
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
	if (!pcn_is_origin(q->s) || !(q->s->group.members & BIT_ULL(msg->kid)))
		err = -EINVAL;
	else if (test_and_set_bit(msg->kid, taking))
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
	queue_work(system_unbound_wq, &q->work);
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

	queue = alloc_workqueue("popcorn_return", WQ_MEM_RECLAIM, 1);
	if (!shrinker || !queue)
		return -ENOMEM;
	shrinker->count_objects = count_frames;
	shrinker->scan_objects = scan_frames;
	shrinker_register(shrinker);
	return register_oom_notifier(&oom_notifier) ?: pcn_msg_register(&return_type);
}

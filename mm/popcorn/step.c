// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's interpreter of the page coherency protocols.
 *
 * Under a record's lock one event after the other goes through pcn_proto_step(), and
 * the actions that come out are done in their order.
 *
 * A step that takes a page away (none, rdonly, hold) waits for the accesses that
 * are under way, or have just been granted, and until nothing else refers to the page's
 * frame: the record gets a backlog with the rest of the step and the events that come
 * meanwhile. The access that ends last, or the worker (worker.c), goes on with both.
 * Nobody waits in a handler, and no event overtakes another one of its page.
 *
 * The first event about a plain page of a process waits likewise until the worker
 * has made it the protocol's.
 *
 * Steps are done by handlers, which have the messaging layer's reserve, and by
 * threads that bring a reserve of their own, for two steps: the rest of one that was
 * held, and one event. Before each further event that has queued behind that the
 * reserve is filled up; should there be no memory, the events stay in the queue, for
 * a work item that waits for some. So no message is lost.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/slab.h>

#include <trace/events/popcorn.h>

#include <popcorn/partition.h>

#include "internal.h"
#include "map.h"

/* A message with a page. */
struct page_copy {
	struct pcn_page_msg	head;
	u8			data[PAGE_SIZE];
};

static_assert(sizeof(struct pcn_page_msg) == 64);
/* A handler does one step. */
static_assert(PCN_SENDS(PCN_KERNELS_MAX) <= PCN_HANDLER_SENDS);
static_assert(offsetof(struct pcn_page_msg, cs) == 24);
static_assert(sizeof(struct page_copy) <= PCN_HANDLER_PAYLOAD);

/* Where a message with a page is put together: under a record's lock. */
static DEFINE_PER_CPU(struct page_copy, copies);

/* What the next message may need. The poll's. */
static struct pcn_record *spare_record;
static struct pcn_queued *spare_event;
static struct pcn_backlog *spare_backlog;

/**
 * pcn_record_changed - threads that wait for a record have to look again
 * @r:	the record
 *
 * Context: its lock is held.
 */
void pcn_record_changed(struct pcn_record *r)
{
	lockdep_assert_held(&r->lock);
	WRITE_ONCE(r->changes, r->changes + 1);
	/* A thread has announced that it waits, or sees the change. */
	smp_mb();
	wake_up_var(r);
	wake_up_all(&r->space->quiet);
}

static void to_wire(const struct pcn_record *r, const struct pcn_proto_event *m,
		    struct pcn_page_msg *w)
{
	*w = (struct pcn_page_msg) {
		.space = r->space->number, .page = r->page, .type = m->type,
		.from = m->from, .who = m->who, .hops = m->hops,
		.flags = m->flags, .heir = m->heir, .cs = m->cs,
		.stamp = m->stamp, .version = m->version, .floor = m->floor,
	};
}

static struct pcn_proto_event from_wire(const struct pcn_page_msg *w)
{
	return (struct pcn_proto_event) {
		.type = w->type, .from = w->from, .who = w->who,
		.hops = w->hops, .flags = w->flags, .heir = w->heir,
		.cs = w->cs, .stamp = w->stamp, .version = w->version,
		.floor = w->floor,
	};
}

/* A kernel that is not up any more needs no message. */
static void step_post(struct pcn_record *r, unsigned int to, const void *payload,
		      u32 length, struct pcn_reserve *reserve)
{
	struct pcn_space *s = r->space;
	int err = pcn_msg_post_from(reserve, to, PCN_COHERENCY, PCN_TYPE_PAGE,
				    payload, length);

	atomic64_inc(&s->stats.messages);
	if (!err || err == -EHOSTDOWN)
		return;
	atomic64_inc(&s->stats.unsent);
	pr_err_ratelimited("page %llx of space %llx: lost a message to kernel %u: %d\n",
			   r->page, s->number, to, err);
}

/* One message to one kernel. */
static void step_send(struct pcn_record *r, const struct pcn_proto_event *m,
		      unsigned int to,
		      struct pcn_reserve *reserve)
{
	struct page_copy *copy = this_cpu_ptr(&copies);

	pcn_count_send(r, m, to);
	to_wire(r, m, &copy->head);
	if (!(m->flags & PCN_DATA))
		return step_post(r, to, &copy->head, sizeof(copy->head), reserve);
	atomic64_inc(&r->space->stats.copies);
	copy->head.early = r->hold.early;
	copy->head.absent = r->absent;
	memcpy(copy->data, page_address(r->frame), PAGE_SIZE);
	step_post(r, to, copy, sizeof(*copy), reserve);
}

static void step_send_all(struct pcn_record *r, const struct pcn_action *a,
			  struct pcn_reserve *reserve)
{
	struct pcn_proto_event m = a->msg;
	unsigned int to, who;

	for_each_kernel(to, a->to) {
		if (!a->behalf)
			step_send(r, &m, to, reserve);
		for_each_set_bit(who, (unsigned long *)&a->behalf,
				 PCN_KERNELS_MAX) {
			m.who = who;
			step_send(r, &m, to, reserve);
		}
	}
	if (m.flags & PCN_DATA)
		r->hold.early = false;
}

/* The access that waited is over for the protocol. */
static void step_settle(struct pcn_record *r, bool granted)
{
	r->pending = false;
	r->granted = granted && r->poster;
	pcn_record_changed(r);
}

/* Take something away; false if that has to be done later. */
static bool restrict_to(struct pcn_record *r, enum pcn_mapping to,
			struct pcn_context *c)
{
	if (to == PCN_MAP_NONE && pcn_check_mistake(PCN_MISTAKE_KEEP))
		return true;
	if (!pcn_page_reduce(r, to, c))
		return false;
	pcn_check_may(r, to);
	r->may = to;
	return true;
}

/* False: not now, and somebody has been asked to go on. */
static bool step_perform(struct pcn_record *r, const struct pcn_action *a,
			 const void *data, struct pcn_context *c)
{
	switch (a->op) {
	case PCN_SEND:
		step_send_all(r, a, &c->reserve);
		break;
	case PCN_INSTALL:
		memcpy(page_address(r->frame), data, PAGE_SIZE);
		if (pcn_check_mistake(PCN_MISTAKE_DAMAGE))
			*(u8 *)page_address(r->frame) ^= 1;
		break;
	case PCN_ZERO:
		/* At the origin of a process a page is adopted before its first event. */
		if (!WARN_ON_ONCE(!r->frame))
			clear_page(page_address(r->frame));
		break;
	case PCN_NONE:
		return restrict_to(r, PCN_MAP_NONE, c);
	case PCN_RDONLY:
		return restrict_to(r, PCN_MAP_RDONLY, c);
	case PCN_RDWR:
		pcn_check_may(r, PCN_MAP_RDWR);
		r->may = PCN_MAP_RDWR;
		break;
	case PCN_DONE:
		step_settle(r, true);
		break;
	case PCN_RETRY:
		step_settle(r, false);
		break;
	case PCN_GONE:
		r->lost = true;
		pcn_record_changed(r);
		break;
	}
	return true;
}

/* Does this action take something away from a thread that uses the page? */
static bool has_to_wait(const struct pcn_record *r, const struct pcn_action *a)
{
	if (!pcn_record_in_use(r))
		return false;
	return a->op == PCN_HOLD || a->op == PCN_NONE ||
	       (a->op == PCN_RDONLY && r->may == PCN_MAP_RDWR);
}

/* The actions of a step, from @at on; false if they have to wait. */
static bool step_do_actions(struct pcn_record *r, const struct pcn_out *out,
			    unsigned int *at,
			    const void *data, struct pcn_context *c)
{
	c->again = 0;
	for (; *at < out->count; ++*at)
		if (has_to_wait(r, &out->act[*at]) ||
		    !step_perform(r, &out->act[*at], data, c))
			return false;
	return true;
}

/**
 * pcn_frame_drop - free a frame without data that no thread is about to fill
 * @r:	the record
 *
 * The data may be on its way for a thread that was killed meanwhile. One reference is the
 * space's, one the caller's.
 *
 * Context: the record's lock is held.
 */
void pcn_frame_drop(struct pcn_record *r)
{
	struct page *frame;

	if (!r->frame || !r->space->mm || r->replica.flags & PCN_HELD ||
	    r->mapped || r->pending || r->dropped ||
	    refcount_read(&r->refs) > 2)
		return;
	frame = r->frame;
	pcn_record_set_frame(r, NULL);
	put_page(frame);
}

/* --- the backlog --- */

static void begin_backlog(struct pcn_record *r, struct pcn_backlog **spare)
{
	struct pcn_backlog *b = *spare;

	*spare = NULL;
	b->r = r;
	b->step.count = 0;
	b->at = 0;
	b->stuck_since = 0;
	b->slow = false;
	INIT_LIST_HEAD(&b->queue);
	INIT_LIST_HEAD(&b->turn);
	WRITE_ONCE(r->backlog, b);
}

/* The memory is for the next one. */
static void end_backlog(struct pcn_record *r, struct pcn_context *c)
{
	struct pcn_backlog *b = r->backlog;

	pcn_record_cancel(r);
	WRITE_ONCE(r->backlog, NULL);
	if (c->spare)
		kfree(b);
	else
		c->spare = b;
}

/**
 * pcn_backlog_free - nobody goes on with a record any more
 * @r:	the record, whose last reference has gone
 *
 * Context: any but hard interrupt.
 */
void pcn_backlog_free(struct pcn_record *r)
{
	struct pcn_queued *e, *next;

	if (!r->backlog)
		return;
	list_for_each_entry_safe(e, next, &r->backlog->queue, node)
		kfree(e);
	kfree(r->backlog);
}

/* The rest of the step waits, for a thread, or until it is tried again. */
static void hold_step(struct pcn_record *r, const struct pcn_out *out, unsigned int at,
		      struct pcn_context *c)
{
	if (!r->backlog)
		begin_backlog(r, &c->spare);
	r->backlog->step = *out;
	r->backlog->at = at;
	atomic64_inc(&r->space->stats.holds);
	if (c->again)
		pcn_record_kick(r, c->again);
}

static void step_event(struct pcn_record *r, const struct pcn_proto_event *m,
		       const void *data, struct pcn_context *c)
{
	struct pcn_space *s = r->space;
	unsigned int state = r->replica.state;
	struct pcn_out out;
	unsigned int at = 0;

	lockdep_assert_held(&r->lock);
	if (pcn_proto_step(s->proto, &s->group, &r->replica, m, &out) ==
	    PCN_IMPOSSIBLE) {
		atomic64_inc(&s->stats.impossible);
		pr_err_ratelimited("page %llx of space %llx: refused %s from kernel %u in state %s: %s\n",
				   r->page, s->number, pcn_event_name(m->type),
				   m->from, pcn_state_name(state), out.fault);
		return;
	}
	trace_pcn_page_step(s->number, r->page, m->type, m->from, state,
			    r->replica.state, out.count);
	if (m->who != s->group.self)
		r->hold.taker = m->who;
	if (step_do_actions(r, &out, &at, data, c))
		pcn_frame_drop(r);
	else
		hold_step(r, &out, at, c);
}

/* Is there all that one step may need? There is a backlog. */
static bool may_step(struct pcn_record *r, struct pcn_context *c)
{
	return !pcn_check_mistake(PCN_MISTAKE_STARVE) &&
	       pcn_reserve_fill(&c->reserve, PCN_SENDS(r->space->group.count),
				GFP_NOWAIT);
}

/* The rest of the step that was held. False: not yet. */
static bool finish_step(struct pcn_record *r, struct pcn_context *c)
{
	struct pcn_backlog *b = r->backlog;

	if (!b->step.count)
		return true;
	if (!step_do_actions(r, &b->step, &b->at, NULL, c)) {
		if (c->again)
			pcn_record_kick(r, c->again);
		return false;
	}
	b->step.count = 0;
	b->stuck_since = 0;
	pcn_frame_drop(r);
	return true;
}

/* False: an event has to wait. */
static bool run_queue(struct pcn_record *r, struct pcn_context *c)
{
	struct pcn_backlog *b = r->backlog;
	struct pcn_queued *e;

	while (!list_empty(&b->queue)) {
		if (!may_step(r, c)) {
			pcn_record_kick(r, ktime_get_ns() + TICK_NSEC);
			return false;
		}
		e = list_first_entry(&b->queue, struct pcn_queued, node);
		list_del(&e->node);
		step_event(r, &e->msg, e->data, c);
		kfree(e);
		if (b->step.count)
			return false;
	}
	return true;
}

/**
 * pcn_record_resume - go on with what waits for a record, if that can be
 * @r:	the record
 * @c:	has a reserve and a spare
 *
 * Context: the record's lock is held.
 */
void pcn_record_resume(struct pcn_record *r, struct pcn_context *c)
{
	lockdep_assert_held(&r->lock);
	if (!r->backlog || r->dropped || pcn_record_in_use(r))
		return;
	if (r->plain)
		return pcn_record_kick(r, 0);
	if (!finish_step(r, c) || !run_queue(r, c))
		return;
	end_backlog(r, c);
	pcn_record_changed(r);
}

/**
 * pcn_record_post_access - an access begins
 * @r:		the record; nothing is pending, held or plain, and there is a frame
 * @write:	it writes
 * @c:		has a reserve and a spare
 *
 * Context: the record's lock is held.
 */
void pcn_record_post_access(struct pcn_record *r, bool write, struct pcn_context *c)
{
	u8 self = r->space->group.self;
	struct pcn_proto_event m = {
		.type = write ? PCN_WRITE : PCN_READ,
		.from = self, .who = self, .heir = PCN_NOBODY,
	};

	r->pending = true;
	r->counted = false;
	r->poster = current;
	step_event(r, &m, NULL, c);
}

static bool message_ready(void)
{
	gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN;

	if (!spare_record)
		spare_record = pcn_record_new(gfp);
	if (!spare_event)
		spare_event = kmalloc(sizeof(*spare_event), gfp);
	if (!spare_backlog)
		spare_backlog = kzalloc(sizeof(*spare_backlog), gfp);
	return spare_record && spare_event && spare_backlog;
}

static void queue_event(struct pcn_record *r, const struct pcn_proto_event *m,
			const void *data)
{
	struct pcn_queued *e = spare_event;

	spare_event = NULL;
	e->msg = *m;
	if (m->flags & PCN_DATA)
		memcpy(e->data, data, PAGE_SIZE);
	list_add_tail(&e->node, &r->backlog->queue);
}

/*
 * Another kernel wants a plain page: most often it can be adopted at once. Otherwise the
 * worker adopts it, or the access that is under way.
 */
static void end_plain(struct pcn_record *r, struct pcn_context *c)
	__must_hold(&r->lock)
{
	bool done;

	spin_unlock(&r->lock);
	done = pcn_page_adopt_at_once(r, true);
	spin_lock(&r->lock);
	if (done && !r->adopter && !r->plain)
		pcn_record_resume(r, c);
	else if (!done && r->backlog)
		pcn_record_kick(r, 0);
}

/* What comes with a page. Only the origin knows by itself that a page is absent. */
static void step_learn(struct pcn_record *r, const struct pcn_page_msg *w)
{
	lockdep_assert_held(&r->lock);
	pcn_hold_learn(&r->hold, w->from, w->early);
	if (w->absent && !pcn_is_origin(r->space))
		WRITE_ONCE(r->absent, true);
}

static void take_event(struct pcn_record *r, const struct pcn_proto_event *m,
		       const struct pcn_page_msg *w, struct pcn_context *c)
{
	bool held = r->backlog;

	if (m->flags & PCN_DATA)
		step_learn(r, w);
	if (m->flags & PCN_DATA || m->type == PCN_COPY_OWN)
		pcn_hot_count(r, m->from);
	if (!held && !r->plain)
		return step_event(r, m, w + 1, c);
	if (!held)
		begin_backlog(r, &c->spare);
	queue_event(r, m, w + 1);
	if (!held)
		end_plain(r, c);
}

static void take_message(struct pcn_space *s, const struct pcn_message *msg)
{
	const struct pcn_page_msg *w = msg->payload;
	struct pcn_record *r = pcn_record_find_or_make(s, w->page,
						      &spare_record);
	struct pcn_context c = { .spare = spare_backlog };
	struct pcn_proto_event m = from_wire(w);

	spin_lock(&r->lock);
	/* A message for a page that was dropped is late: nobody waits for it. */
	if (!r->dropped)
		take_event(r, &m, w, &c);
	spin_unlock(&r->lock);
	pcn_record_put(r);
	pcn_reserve_empty(&c.reserve);
	spare_backlog = c.spare;
}

/* The length says whether there is a page; the protocol checks the rest. */
static bool page_msg_is_valid(const struct pcn_message *msg)
{
	const struct pcn_page_msg *w = msg->payload;
	u32 length = sizeof(*w);

	if (msg->length < length)
		return false;
	if (w->flags & PCN_DATA)
		length += PAGE_SIZE;
	return msg->length == length && w->from == msg->kid &&
	       w->type < PCN_MESSAGES && w->who < PCN_KERNELS_MAX;
}

/*
 * A kernel that the process has never been on may be told of no page of it, and cannot
 * lose one: the process would go on when that kernel dies, and wait for the page.
 */
static bool is_of_hosts(const struct pcn_space *s, const struct pcn_page_msg *w)
{
	return pcn_is_host(s, w->from) && pcn_is_host(s, w->who);
}

/* Two numbers must not be one address. */
static bool has_page(const struct pcn_space *s, u64 page)
{
	return !s->mm || page <= PCN_LAST_PAGE;
}

static void page_on_message(const struct pcn_message *msg)
{
	const struct pcn_page_msg *w = msg->payload;
	struct pcn_space *s;

	if (!page_msg_is_valid(msg)) {
		pr_err_ratelimited("dropped a malformed page message from kernel %u\n",
				   msg->kid);
		return;
	}
	/* The poll cannot be in here when pcn_space_destroy() is through. */
	s = pcn_space_find(w->space);
	if (s && !pcn_is_coherent(s) && is_of_hosts(s, w) && has_page(s, w->page)) {
		take_message(s, msg);
	} else {
		pr_err_ratelimited("dropped a message from kernel %u about page %llx of space %llx: no such page here, or not one of that kernel\n",
				   msg->kid, w->page, w->space);
	}
}

static const struct pcn_msg_type page_type = {
	.name		= "page",
	.channel	= PCN_COHERENCY,
	.type		= PCN_TYPE_PAGE,
	.ready		= message_ready,
	.handle		= page_on_message,
};

/**
 * pcn_step_init - take messages about pages
 *
 * Context: initcall.
 * Return: 0; errors of pcn_msg_register().
 */
int __init pcn_step_init(void)
{
	return pcn_msg_register(&page_type);
}

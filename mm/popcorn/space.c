// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's interpreter of the page coherency protocols.
 *
 * Every page that this kernel has to do with has a record: the protocol's
 * replica, how the page may be used here, and who uses it or waits for that.
 * Under the record's lock one event after the other goes through pcn_step(), and
 * the actions that come out are done in their order.
 *
 * A step that takes a page away (none, rdonly, hold) waits for the accesses that
 * are under way, or have just been granted: its rest is kept in the record, what
 * comes meanwhile is queued, and the access that ends last goes on with both.
 * Nobody waits in a handler, and no event overtakes another one of its page.
 *
 * Steps are done by handlers, which have the messaging layer's reserve, and by
 * the threads that begin or end an access, which bring a reserve of their own. It
 * has room for two messages to each member; events that have queued behind a held
 * step may send more, and need memory then. Should there be none, the message is
 * lost, which is said and counted.
 *
 * Locks: spaces_lock, then pcn_space.lock, each for a lookup alone; then
 * pcn_record.lock, with the port's lock of the messaging layer inside.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/hash.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include <popcorn/hooks.h>
#include <popcorn/partition.h>
#include <popcorn/proto.h>
#include <popcorn/space.h>

static_assert(sizeof(struct pcn_page_msg) == 64);
static_assert(offsetof(struct pcn_page_msg, cs) == 24);
static_assert(sizeof(struct pcn_page_msg) + PAGE_SIZE <= PCN_HANDLER_PAYLOAD);

#define BUCKET_BITS	10

/** enum mapping - what this kernel may do with a page */
enum mapping {
	MAP_NONE,
	MAP_RDONLY,
	MAP_RDWR,
};

/**
 * struct event - an event that waits for its turn
 * @node:	in pcn_record.queue
 * @msg:	the event
 * @data:	the page that came with it, if it has PCN_DATA
 */
struct event {
	struct list_head	node;
	struct pcn_msg		msg;
	u8			data[PAGE_SIZE];
};

/**
 * struct pcn_record - one page here
 * @node:	in its bucket
 * @page:	its number
 * @lock:	protects everything that follows
 * @replica:	the protocol's
 * @mapping:	what may be done with @data
 * @pending:	a local access is with the protocol
 * @poster:	the thread that made it, NULL once it has given up
 * @granted:	@poster may use the page, whatever @mapping says
 * @active:	accesses that are under way
 * @holding:	@rest waits until there are none
 * @at:		next action of @rest
 * @rest:	a step that is not done yet
 * @queue:	events that come after it
 * @lost:	the content of the page is lost
 * @wait:	threads that wait for a change
 * @changes:	counts them
 * @data:	the page; there once a thread here has wanted it
 */
struct pcn_record {
	struct hlist_node	node;
	u64			page;
	spinlock_t		lock;
	struct pcn_replica	replica;
	enum mapping		mapping;
	bool			pending;
	struct task_struct	*poster;
	bool			granted;
	unsigned int		active;
	bool			holding;
	unsigned int		at;
	struct pcn_out		*rest;
	struct list_head	queue;
	bool			lost;
	wait_queue_head_t	wait;
	unsigned int		changes;
	void			*data;
};

/**
 * struct pcn_space - pages that some kernels share
 * @node:	in spaces
 * @number:	the same on all of them
 * @group:	the kernels
 * @proto:	the protocol
 * @lock:	protects @bucket
 * @stats:	counters
 * @bucket:	the records, by page
 */
struct pcn_space {
	struct list_head		node;
	u64				number;
	struct pcn_group		group;
	const struct pcn_proto		*proto;
	spinlock_t			lock;
	struct pcn_space_stats		stats;
	struct hlist_head		bucket[1 << BUCKET_BITS];
};

static LIST_HEAD(spaces);
static DEFINE_SPINLOCK(spaces_lock);

/* What the next message may need. The poll's. */
static struct pcn_record *spare_record;
static struct event *spare_event;

static struct pcn_record *new_record(gfp_t gfp)
{
	struct pcn_record *r = kzalloc(sizeof(*r), gfp | __GFP_NOWARN);

	if (!r)
		return NULL;
	spin_lock_init(&r->lock);
	INIT_LIST_HEAD(&r->queue);
	init_waitqueue_head(&r->wait);
	return r;
}

static struct pcn_space *find_space(u64 number)
{
	struct pcn_space *s;

	list_for_each_entry(s, &spaces, node)
		if (s->number == number)
			return s;
	return NULL;
}

/* The record of a page; @spare becomes it if there is none, and is then NULL. */
static struct pcn_record *find_record(struct pcn_space *s, u64 page,
				      struct pcn_record **spare)
{
	struct hlist_head *head = &s->bucket[hash_64(page, BUCKET_BITS)];
	struct pcn_record *r;

	spin_lock(&s->lock);
	hlist_for_each_entry(r, head, node)
		if (r->page == page)
			goto out;
	r = *spare;
	if (r) {
		r->page = page;
		pcn_replica_init(&r->replica, &s->group);
		hlist_add_head(&r->node, head);
		*spare = NULL;
	}
out:
	spin_unlock(&s->lock);
	return r;
}

static void changed(struct pcn_record *r)
{
	lockdep_assert_held(&r->lock);
	WRITE_ONCE(r->changes, r->changes + 1);
	wake_up_all(&r->wait);
}

static void to_wire(struct pcn_space *s, struct pcn_record *r,
		    const struct pcn_msg *m, struct pcn_page_msg *w)
{
	*w = (struct pcn_page_msg) {
		.space = s->number, .page = r->page, .type = m->type,
		.from = m->from, .who = m->who, .hops = m->hops,
		.flags = m->flags, .heir = m->heir, .cs = m->cs,
		.stamp = m->stamp, .version = m->version, .floor = m->floor,
	};
}

static struct pcn_msg from_wire(const struct pcn_page_msg *w)
{
	return (struct pcn_msg) {
		.type = w->type, .from = w->from, .who = w->who,
		.hops = w->hops, .flags = w->flags, .heir = w->heir,
		.cs = w->cs, .stamp = w->stamp, .version = w->version,
		.floor = w->floor,
	};
}

/* A kernel that is not up any more needs no message. */
static void post(struct pcn_space *s, struct pcn_record *r, unsigned int to,
		 const void *payload, u32 length, struct pcn_reserve *reserve)
{
	int err = pcn_msg_post_from(reserve, to, PCN_COHERENCY, PCN_TYPE_PAGE,
				    payload, length);

	atomic64_inc(&s->stats.messages);
	if (!err || err == -EHOSTDOWN)
		return;
	atomic64_inc(&s->stats.unsent);
	pr_err_ratelimited("page %llx of space %llx: a message to kernel %u is lost: %d\n",
			   r->page, s->number, to, err);
}

/* One message to one kernel. */
static void send(struct pcn_space *s, struct pcn_record *r,
		 const struct pcn_msg *m, unsigned int to,
		 struct pcn_reserve *reserve)
{
	struct {
		struct pcn_page_msg	head;
		u8			data[PAGE_SIZE];
	} *with_data = (void *)r->data - sizeof(struct pcn_page_msg);
	struct pcn_page_msg head;

	if (!(m->flags & PCN_DATA)) {
		to_wire(s, r, m, &head);
		post(s, r, to, &head, sizeof(head), reserve);
		return;
	}
	atomic64_inc(&s->stats.copies);
	to_wire(s, r, m, &with_data->head);
	post(s, r, to, with_data, sizeof(*with_data), reserve);
}

static void send_all(struct pcn_space *s, struct pcn_record *r,
		     const struct pcn_action *a, struct pcn_reserve *reserve)
{
	struct pcn_msg m = a->msg;
	unsigned int to, who;

	for_each_set_bit(to, (unsigned long *)&a->to, PCN_KERNELS_MAX) {
		if (!a->behalf)
			send(s, r, &m, to, reserve);
		for_each_set_bit(who, (unsigned long *)&a->behalf,
				 PCN_KERNELS_MAX) {
			m.who = who;
			send(s, r, &m, to, reserve);
		}
	}
}

/* The access that waited is over for the protocol. */
static void settle(struct pcn_record *r, bool granted)
{
	r->pending = false;
	r->granted = granted && r->poster;
	changed(r);
}

static void perform(struct pcn_space *s, struct pcn_record *r,
		    const struct pcn_action *a, const void *data,
		    struct pcn_reserve *reserve)
{
	switch (a->op) {
	case PCN_SEND:
		return send_all(s, r, a, reserve);
	case PCN_INSTALL:
		memcpy(r->data, data, PAGE_SIZE);
		return;
	case PCN_ZERO:
		memset(r->data, 0, PAGE_SIZE);
		return;
	case PCN_NONE:
		r->mapping = MAP_NONE;
		return;
	case PCN_RDONLY:
		r->mapping = MAP_RDONLY;
		return;
	case PCN_RDWR:
		r->mapping = MAP_RDWR;
		return;
	case PCN_DONE:
		return settle(r, true);
	case PCN_RETRY:
		return settle(r, false);
	case PCN_GONE:
		r->lost = true;
		return changed(r);
	}
}

static bool in_use(const struct pcn_record *r)
{
	return r->active || r->granted;
}

/* Does this action take something away from a thread that uses the page? */
static bool has_to_wait(const struct pcn_record *r, const struct pcn_action *a)
{
	if (!in_use(r))
		return false;
	return a->op == PCN_HOLD || a->op == PCN_NONE ||
	       (a->op == PCN_RDONLY && r->mapping == MAP_RDWR);
}

/* The actions of a step, from r->at on; false if they have to wait. */
static bool do_actions(struct pcn_space *s, struct pcn_record *r,
		       const struct pcn_out *out, const void *data,
		       struct pcn_reserve *reserve)
{
	for (; r->at < out->count; r->at++) {
		if (has_to_wait(r, &out->act[r->at]))
			return false;
		perform(s, r, &out->act[r->at], data, reserve);
	}
	r->at = 0;
	return true;
}

static void step(struct pcn_space *s, struct pcn_record *r,
		 const struct pcn_msg *m, const void *data,
		 struct pcn_reserve *reserve)
{
	unsigned int state = r->replica.state;
	struct pcn_out out;

	lockdep_assert_held(&r->lock);
	if (pcn_step(s->proto, &s->group, &r->replica, m, &out) ==
	    PCN_IMPOSSIBLE) {
		atomic64_inc(&s->stats.impossible);
		pr_err_ratelimited("page %llx of space %llx: %s from %u in %s: %s\n",
				   r->page, s->number, pcn_event_name(m->type),
				   m->from, pcn_state_name(state), out.fault);
		return;
	}
	if (do_actions(s, r, &out, data, reserve))
		return;
	/* Who uses the page has brought this along. */
	*r->rest = out;
	r->holding = true;
	atomic64_inc(&s->stats.holds);
}

static void run_queue(struct pcn_space *s, struct pcn_record *r,
		      struct pcn_reserve *reserve)
{
	struct event *e;

	while (!r->holding && !list_empty(&r->queue)) {
		e = list_first_entry(&r->queue, struct event, node);
		list_del(&e->node);
		step(s, r, &e->msg, e->data, reserve);
		kfree(e);
	}
}

/* Nobody uses the page any more: go on. */
static void resume(struct pcn_space *s, struct pcn_record *r,
		   struct pcn_reserve *reserve)
{
	lockdep_assert_held(&r->lock);
	if (!r->holding || in_use(r))
		return;
	if (do_actions(s, r, r->rest, NULL, reserve)) {
		r->holding = false;
		run_queue(s, r, reserve);
	}
	changed(r);
}

/* An event from here. There is none while a step waits: so it is done at once. */
static void post_access(struct pcn_space *s, struct pcn_record *r, bool write,
			struct pcn_reserve *reserve)
{
	struct pcn_msg m = {
		.type = write ? PCN_WRITE : PCN_READ,
		.from = s->group.self,
		.who = s->group.self,
		.heir = PCN_NOBODY,
	};

	r->pending = true;
	r->poster = current;
	step(s, r, &m, NULL, reserve);
}

static bool message_ready(void)
{
	if (!spare_record)
		spare_record = new_record(GFP_NOWAIT);
	if (!spare_event)
		spare_event = kmalloc(sizeof(*spare_event),
				      GFP_NOWAIT | __GFP_NOWARN);
	return spare_record && spare_event;
}

static void queue_event(struct pcn_record *r, const struct pcn_msg *m,
			const void *data)
{
	struct event *e = spare_event;

	spare_event = NULL;
	e->msg = *m;
	if (m->flags & PCN_DATA)
		memcpy(e->data, data, PAGE_SIZE);
	list_add_tail(&e->node, &r->queue);
}

static void take_message(struct pcn_space *s, const struct pcn_message *msg)
{
	const struct pcn_page_msg *w = msg->payload;
	struct pcn_record *r = find_record(s, w->page, &spare_record);
	struct pcn_msg m = from_wire(w);

	spin_lock(&r->lock);
	if (r->holding || !list_empty(&r->queue))
		queue_event(r, &m, w + 1);
	else
		step(s, r, &m, w + 1, NULL);
	spin_unlock(&r->lock);
}

/* The length says whether there is a page; the protocol checks the rest. */
static bool is_valid(const struct pcn_message *msg)
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

static void on_message(const struct pcn_message *msg)
{
	const struct pcn_page_msg *w = msg->payload;
	struct pcn_space *s;

	if (!is_valid(msg)) {
		pr_err_ratelimited("kernel %u sends a page message that is none\n",
				   msg->kid);
		return;
	}
	/* The poll cannot be in here when pcn_space_destroy() is through. */
	spin_lock(&spaces_lock);
	s = find_space(w->space);
	spin_unlock(&spaces_lock);
	if (s)
		take_message(s, msg);
	else
		pr_err_ratelimited("kernel %u sends page %llx of space %llx, which is not here\n",
				   msg->kid, w->page, w->space);
}

static const struct pcn_msg_type page_type = {
	.name		= "page",
	.channel	= PCN_COHERENCY,
	.type		= PCN_TYPE_PAGE,
	.ready		= message_ready,
	.handle		= on_message,
};

/**
 * pcn_space_create - make a space, or this kernel's part of it
 * @number:	of the space, the same on all members
 * @members:	the kernels that share it, this one included
 * @origin:	the one that owns untouched pages
 *
 * All members have to have done so before any of them uses it.
 *
 * Context: process.
 * Return: the space; an ERR_PTR: -EEXIST, -EINVAL, -ENOMEM.
 */
struct pcn_space *pcn_space_create(u64 number, u64 members, unsigned int origin)
{
	struct pcn_space *s;

	if (!(members & BIT_ULL(pcn_self())) || origin >= PCN_KERNELS_MAX ||
	    !(members & BIT_ULL(origin)))
		return ERR_PTR(-EINVAL);
	s = kvzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return ERR_PTR(-ENOMEM);
	s->number = number;
	s->proto = pcn_proto_chosen();
	s->group = (struct pcn_group) {
		.members = members, .self = pcn_self(),
		.count = hweight64(members), .origin = origin,
	};
	spin_lock_init(&s->lock);
	spin_lock(&spaces_lock);
	if (find_space(number)) {
		spin_unlock(&spaces_lock);
		kvfree(s);
		return ERR_PTR(-EEXIST);
	}
	list_add(&s->node, &spaces);
	spin_unlock(&spaces_lock);
	return s;
}

static void free_record(struct pcn_record *r)
{
	struct event *e, *next;

	list_for_each_entry_safe(e, next, &r->queue, node)
		kfree(e);
	kfree(r->rest);
	if (r->data)
		kvfree(r->data - sizeof(struct pcn_page_msg));
	kfree(r);
}

/**
 * pcn_space_destroy - give up this kernel's part of a space
 * @s:	the space; no thread here uses it, and no member will send for it
 *
 * Context: process.
 */
void pcn_space_destroy(struct pcn_space *s)
{
	struct pcn_record *r;
	struct hlist_node *next;
	unsigned int i;

	spin_lock(&spaces_lock);
	list_del(&s->node);
	spin_unlock(&spaces_lock);
	pcn_msg_sync();
	for (i = 0; i < ARRAY_SIZE(s->bucket); i++)
		hlist_for_each_entry_safe(r, next, &s->bucket[i], node)
			free_record(r);
	kvfree(s);
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

/* A record with all that an access needs, room for a page's header before it. */
static struct pcn_record *record_for_access(struct pcn_space *s, u64 page)
{
	struct pcn_record *spare = NULL, *r = find_record(s, page, &spare);
	struct pcn_out *rest;
	void *data;

	if (!r) {
		spare = new_record(GFP_KERNEL);
		r = find_record(s, page, &spare);
		kfree(spare);
	}
	if (!r || READ_ONCE(r->data))
		return r;
	rest = kzalloc(sizeof(*rest), GFP_KERNEL);
	data = kvzalloc(sizeof(struct pcn_page_msg) + PAGE_SIZE, GFP_KERNEL);
	spin_lock(&r->lock);
	if (rest && data && !r->data) {
		r->rest = rest;
		WRITE_ONCE(r->data, data + sizeof(struct pcn_page_msg));
		rest = data = NULL;
	}
	spin_unlock(&r->lock);
	kfree(rest);
	kvfree(data);
	return READ_ONCE(r->data) ? r : NULL;
}

/* May the caller use the page now? Whoever was granted it, or anybody at all. */
static bool may_enter(struct pcn_record *r, bool write)
{
	if (r->granted && r->poster == current) {
		r->granted = false;
		r->poster = NULL;
		changed(r);
		return true;
	}
	return !r->holding && !r->granted &&
	       r->mapping >= (write ? MAP_RDWR : MAP_RDONLY);
}

static int wait_for_change(struct pcn_record *r)
	__must_hold(&r->lock)
{
	unsigned int seen = r->changes;
	int err;

	spin_unlock(&r->lock);
	err = wait_event_killable(r->wait, READ_ONCE(r->changes) != seen);
	spin_lock(&r->lock);
	return err ? -EINTR : 0;
}

/* With the record's lock held throughout, except while it waits. */
static int enter(struct pcn_access *a, struct pcn_record *r, bool write)
{
	int err = 0;

	while (!err && !may_enter(r, write)) {
		if (r->lost)
			err = -EIO;
		else if (!r->pending && !r->holding && !r->granted)
			post_access(a->space, r, write, &a->reserve);
		else
			err = wait_for_change(r);
	}
	if (!err) {
		r->active++;
		return 0;
	}
	if (r->poster == current) {
		r->poster = NULL;
		r->granted = false;
		resume(a->space, r, &a->reserve);
	}
	return err;
}

/* A reserve for what one step, and those queued behind it, may send. */
static void fill_reserve(struct pcn_access *a)
{
	pcn_reserve_fill(&a->reserve, 2 * a->space->group.count,
			 GFP_KERNEL | __GFP_NOFAIL);
}

/**
 * pcn_access_begin - use a page
 * @access:	describes the use
 * @s:		the space
 * @page:	number of the page
 * @write:	to write it, not only to read it
 *
 * Until pcn_access_end() the page stays as it is, except for what the caller
 * writes: let that not take long, and use no other page meanwhile.
 *
 * Context: process; sleeps, killably.
 * Return: 0; -ENOMEM; -EINTR a fatal signal; -EIO the content of the page is lost.
 */
int pcn_access_begin(struct pcn_access *access, struct pcn_space *s, u64 page,
		     bool write)
{
	struct pcn_record *r = record_for_access(s, page);
	int err = 0;

	*access = (struct pcn_access) { .space = s, .record = r };
	if (!r)
		return -ENOMEM;
	access->data = r->data;
	spin_lock(&r->lock);
	if (may_enter(r, write)) {
		r->active++;
		atomic64_inc(&s->stats.hits);
		spin_unlock(&r->lock);
		return 0;
	}
	spin_unlock(&r->lock);
	atomic64_inc(&s->stats.misses);
	fill_reserve(access);
	spin_lock(&r->lock);
	err = enter(access, r, write);
	spin_unlock(&r->lock);
	if (err)
		pcn_reserve_empty(&access->reserve);
	return err;
}

/**
 * pcn_access_end - the use of a page is over
 * @access:	as pcn_access_begin() has filled it in
 *
 * Context: process; may sleep for memory.
 */
void pcn_access_end(struct pcn_access *access)
{
	struct pcn_record *r = access->record;

	spin_lock(&r->lock);
	if (r->holding && r->active == 1) {
		spin_unlock(&r->lock);
		fill_reserve(access);
		spin_lock(&r->lock);
	}
	r->active--;
	/* Nothing is held that was not before: this access would have had to. */
	resume(access->space, r, &access->reserve);
	spin_unlock(&r->lock);
	pcn_reserve_empty(&access->reserve);
}

static int __init pcn_space_init(void)
{
	return pcn_machine_is_shared() ? pcn_msg_register(&page_type) : 0;
}
subsys_initcall_sync(pcn_space_init);

// SPDX-License-Identifier: GPL-2.0
/*
 * Hot pages: which pages of a process bounce between kernels.
 *
 * A kernel counts the pages that come to it a second time, or more often, with ownership
 * or as a copy: it had them before, and another kernel has written or taken them since.
 * With the protocol "owner" messages of two members about a page do not pass the origin,
 * so each kernel counts what comes to itself, and a reader asks all of them.
 *
 * The table of a space has a fixed number of entries. When it is full, a page that has
 * none takes over the entry of lowest weight, with that weight: the "space-saving"
 * algorithm of Metwally, Agrawal and El Abbadi, "Efficient Computation of Frequent and
 * Top-k Elements in Data Streams", ICDT 2005. So of n moves every page that has more than
 * n / PCN_HOT_PAGES is in the table; and since an entry remembers what it has taken over,
 * what it has counted of its own page is certain.
 *
 * A page that comes for the first time costs a bit in its record. The first one that comes
 * again has the table allocated. All messages about pages are handled by one poll at a
 * time: it is the table's only writer, and takes no lock.
 */
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/memcontrol.h>
#include <linux/minmax.h>
#include <linux/proc_fs.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/seqlock.h>
#include <linux/slab.h>

#include <popcorn/hooks.h>
#include <popcorn/partition.h>

#include "hot.h"
#include "internal.h"
#include "rows.h"

static_assert(sizeof(struct pcn_hot_page) == 40);
static_assert(sizeof(struct pcn_hot_pages) == 16 + 40 * PCN_HOT_PAGES);
static_assert(sizeof(struct pcn_hot_pages) <= 4096);

/* A kernel that is up answers within this time. */
#define ASK_LIMIT_MS	(5 * MSEC_PER_SEC)

/**
 * struct pcn_hot - the table of a space here
 * @seq:	readers look again if the poll has written meanwhile
 * @pages:	what it has
 */
struct pcn_hot {
	seqcount_t		seq;
	struct pcn_hot_pages	pages;
};

/* --- the table --- */

static struct pcn_hot_page *find_entry(struct pcn_hot_pages *h, u64 page)
{
	struct pcn_hot_page *e;

	for (e = h->entry; e < h->entry + h->used; e++)
		if (e->page == page)
			return e;
	return NULL;
}

/* A free entry, or the one of lowest weight, which is the last. */
static struct pcn_hot_page *new_entry(struct pcn_hot_pages *h, u64 page)
{
	bool full = h->used == PCN_HOT_PAGES;
	struct pcn_hot_page *e = &h->entry[full ? h->used - 1 : h->used++];

	*e = (struct pcn_hot_page) {
		.page = page, .before = full ? pcn_hot_weight(e) : 0,
	};
	return e;
}

/* Its weight is one more than it was: it changes places with the first that had the same. */
static void keep_order(struct pcn_hot_pages *h, struct pcn_hot_page *e)
{
	struct pcn_hot_page *first = e;

	while (first > h->entry && pcn_hot_weight(first - 1) < pcn_hot_weight(e))
		first--;
	if (first != e)
		swap(*first, *e);
}

/**
 * pcn_hot_pages_add - a page has come once more
 * @h:		the table
 * @page:	number of the page
 * @write:	to be written
 * @from:	the kernel that it comes from
 *
 * Context: any; serialised by the caller.
 */
void pcn_hot_pages_add(struct pcn_hot_pages *h, u64 page, bool write, unsigned int from)
{
	struct pcn_hot_page *e = find_entry(h, page) ?: new_entry(h, page);

	h->moves++;
	e->from |= BIT_ULL(from);
	if (write)
		e->writes++;
	else
		e->reads++;
	keep_order(h, e);
}

/* --- the table of a space --- */

static struct pcn_hot *hot_new(struct pcn_space *s)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(s->mm);
	struct mem_cgroup *old = set_active_memcg(memcg);
	struct pcn_hot *h;

	h = kzalloc(sizeof(*h), GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	if (!h)
		return NULL;
	seqcount_init(&h->seq);
	/* Pairs with the load in copy_pages(). */
	smp_store_release(&s->hot, h);
	return h;
}

static void count_move(struct pcn_space *s, u64 page, bool write, unsigned int from)
{
	struct pcn_hot *h = s->hot ?: hot_new(s);

	/* Without memory for it the next one is the first. */
	if (!h)
		return;
	write_seqcount_begin(&h->seq);
	pcn_hot_pages_add(&h->pages, page, write, from);
	write_seqcount_end(&h->seq);
}

/**
 * pcn_hot_count - a page has come, for the access that waits
 * @r:		the page's record
 * @from:	the kernel that it comes from
 *
 * With "vote" several kernels may send it for one access: the first counts.
 *
 * Context: a handler of messages about pages, with the record's lock held.
 */
void pcn_hot_count(struct pcn_record *r, unsigned int from)
{
	lockdep_assert_held(&r->lock);
	if (!r->space->mm || r->counted)
		return;
	r->counted = true;
	if (r->came_before)
		count_move(r->space, r->page, r->replica.flags & PCN_WRITING, from);
	r->came_before = true;
}

/**
 * pcn_hot_end - a space is no more, and so is its table
 * @s:	the space
 *
 * Context: any; nobody uses the space.
 */
void pcn_hot_end(struct pcn_space *s)
{
	kfree(s->hot);
}

static void copy_pages(const struct pcn_space *s, struct pcn_hot_pages *to)
{
	/* Pairs with the store in hot_new(). */
	const struct pcn_hot *h = smp_load_acquire(&s->hot);
	unsigned int seq;

	if (!h) {
		to->moves = 0;
		to->used = 0;
		return;
	}
	do {
		seq = read_seqcount_begin(&h->seq);
		*to = h->pages;
	} while (read_seqcount_retry(&h->seq, seq));
}

static int read_pages(u64 number, struct pcn_hot_pages *to)
{
	struct pcn_space *s = pcn_space_get(number);

	if (!s)
		return -ESRCH;
	copy_pages(s, to);
	pcn_space_put(s);
	return 0;
}

/* --- from kernel to kernel --- */

static void hot_on_ask(const struct pcn_message *msg)
{
	struct pcn_hot_pages *h = kzalloc(sizeof(*h), GFP_KERNEL);
	const u64 *number = msg->payload;
	int err = -EINVAL;

	if (!h)
		err = -ENOMEM;
	else if (msg->length == sizeof(*number))
		err = read_pages(*number, h);
	pcn_msg_reply(msg, err, h, err ? 0 : sizeof(*h));
	kfree(h);
}

static const struct pcn_msg_type ask_type = {
	.name		= "hot pages",
	.channel	= PCN_CONTROL,
	.type		= PCN_TYPE_HOT,
	.may_sleep	= true,
	.handle		= hot_on_ask,
};

static int ask_pages(unsigned int kid, u64 number, struct pcn_hot_pages *h)
{
	u32 length = sizeof(*h);
	int err = pcn_msg_call(kid, PCN_CONTROL, PCN_TYPE_HOT, &number, sizeof(number),
			       h, &length, ASK_LIMIT_MS);

	if (!err && (length != sizeof(*h) || h->used > PCN_HOT_PAGES))
		err = -EBADMSG;
	return err;
}

/* --- /proc/popcorn/hot --- */

/* Addresses are for those who may read /proc/PID/maps. */
static bool may_see(pid_t tgid)
{
	struct task_struct *p;
	bool may = false;

	rcu_read_lock();
	p = find_task_by_pid_ns(tgid, &init_pid_ns);
	if (p)
		get_task_struct(p);
	rcu_read_unlock();
	if (p) {
		may = ptrace_may_access(p, PTRACE_MODE_READ_FSCREDS);
		put_task_struct(p);
	}
	return may;
}

/* Of a process that has ended here nobody is asked. */
static int get_pages(const struct pcn_row *row, unsigned int kid, struct pcn_hot_pages *h)
{
	int err = read_pages(row->number, h);

	if (err)
		return err;
	if (!may_see(row->tgid))
		return -EACCES;
	return kid == pcn_self() ? 0 : ask_pages(kid, row->number, h);
}

static void show_page(struct seq_file *m, const struct pcn_hot_page *e)
{
	const char *between = "";
	unsigned int kid;

	seq_printf(m, " page=%llx before=%llu reads=%llu writes=%llu from=",
		   e->page << PAGE_SHIFT, e->before, e->reads, e->writes);
	for_each_kernel(kid, e->from) {
		seq_printf(m, "%s%u", between, kid);
		between = ",";
	}
	seq_putc(m, '\n');
}

static void show_pages(struct seq_file *m, const struct pcn_row *row, unsigned int kid,
		       const struct pcn_hot_pages *h)
{
	u64 i;

	for (i = 0; i < h->used; i++) {
		pcn_row_show(m, row, kid);
		show_page(m, &h->entry[i]);
	}
}

static int hot_show(struct seq_file *m, void *v)
{
	const struct pcn_row *row;
	struct pcn_hot_pages *h;
	unsigned int kid;
	int err;

	row = pcn_row_at(m, v, &kid);
	/* Pages of kernel memory have no addresses. */
	if (!row->tgid)
		return 0;
	h = kzalloc(sizeof(*h), GFP_KERNEL);
	if (!h)
		return -ENOMEM;
	err = get_pages(row, kid, h);
	if (err != -EINTR) {
		pcn_row_show(m, row, kid);
		seq_printf(m, " state=%s", pcn_row_state(err));
		if (!err)
			seq_printf(m, " moves=%llu", h->moves);
		seq_putc(m, '\n');
		if (!err)
			show_pages(m, row, kid, h);
		err = 0;
	}
	kfree(h);
	return err;
}

static const struct seq_operations hot_ops = {
	.start	= pcn_rows_start,
	.next	= pcn_rows_next,
	.stop	= pcn_rows_stop,
	.show	= hot_show,
};

static int hot_open(struct inode *inode, struct file *file)
{
	return pcn_rows_open(file, &hot_ops);
}

static const struct proc_ops hot_proc_ops = {
	.proc_open	= hot_open,
	.proc_read_iter	= seq_read_iter,
	.proc_lseek	= seq_lseek,
	.proc_release	= pcn_rows_release,
};

static int __init pcn_hot_init(void)
{
	if (!pcn_machine_is_shared())
		return 0;
	proc_create("popcorn/hot", 0444, NULL, &hot_proc_ops);
	return pcn_msg_register(&ask_type);
}
device_initcall(pcn_hot_init);

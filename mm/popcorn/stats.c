// SPDX-License-Identifier: GPL-2.0
/*
 * Seeing it: what has happened to the pages and threads of a process.
 *
 * Every kernel has a *tally* for each space that it is a member of: counters, and
 * when the space is no more, what they were then and which states its pages had. So
 * the numbers of a program can be had when it has ended; the last TALLIES_KEPT are
 * kept.
 *
 * The numbers of a process are spread over its kernels. /proc/popcorn/stats has a
 * line for each process and kernel; a reader at the origin asks the others, with one
 * request for each line and no lock held.
 *
 * The states of pages are not counted as they change, but when somebody asks: the
 * records are walked under the space's lock, some at a time. Their own locks are not
 * taken. So each number is that of some moment of the walk.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#define CREATE_TRACE_POINTS
#include <trace/events/popcorn.h>

#include <popcorn/hooks.h>
#include <popcorn/partition.h>
#include <popcorn/stats.h>

#include "internal.h"
#include "rows.h"

/* Tallies of spaces that are no more */
#define TALLIES_KEPT	64

/* So many records are looked at before others may have the space's lock. */
#define WALK_BATCH	256

/* A kernel that is up answers within this time. */
#define ASK_LIMIT_MS	(5 * MSEC_PER_SEC)

#define BASE		(sizeof(struct pcn_space_stats) / sizeof(atomic64_t))
#define COUNTS		(sizeof(struct pcn_counts) / sizeof(u64))

/**
 * struct numbers - all about a process on one kernel. On the wire
 * @base:	struct pcn_space_stats
 * @counts:	and this
 * @plain:	records of pages that the protocol has not touched
 * @pages:	those of others, by enum pcn_state
 * @ended:	1: the space is no more, these were the last numbers
 */
struct numbers {
	u64			base[BASE];
	struct pcn_counts	counts;
	u64			plain;
	u64			pages[PCN_STATES];
	u64			ended;
};

static_assert(sizeof(struct numbers) == 8 * (BASE + COUNTS + PCN_STATES + 2));
static_assert(sizeof(struct numbers) <= 4096);

/**
 * struct pcn_tally - a space, and what is counted of it here
 * @node:	in tallies
 * @number:	of the space
 * @members:	kernels that share it
 * @origin:	of these, the one that it comes from
 * @tgid:	the process here; 0 if the pages are kernel memory
 * @job:	at the origin: the placement that it comes from, or 0
 * @comm:	its name when it was shared
 * @base:	the space's counters; NULL when it is no more
 * @count:	struct pcn_counts
 * @last:	what is left of a space that is no more
 */
struct pcn_tally {
	struct list_head		node;
	u64				number;
	u64				members;
	unsigned int			origin;
	pid_t				tgid;
	u64				job;
	char				comm[TASK_COMM_LEN];
	struct pcn_space_stats		*base;
	atomic64_t			count[COUNTS];
	struct numbers			last;
};

/* Those that have begun or ended last come first. */
static LIST_HEAD(tallies);
static unsigned int kept;
static DEFINE_SPINLOCK(tallies_lock);

static struct pcn_tally *find_tally(u64 number)
{
	struct pcn_tally *t;

	lockdep_assert_held(&tallies_lock);
	list_for_each_entry(t, &tallies, node)
		if (t->number == number)
			return t;
	return NULL;
}

/**
 * pcn_tally_new - begin to count what happens in a space
 * @s:	the space, which nobody uses yet
 * @mm:	it is that of the current process
 *
 * Context: process; sleeps for memory.
 * Return: 0 or -ENOMEM.
 */
int pcn_tally_new(struct pcn_space *s, bool mm)
{
	struct pcn_tally *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return -ENOMEM;
	t->number = s->number;
	t->members = s->group.members;
	t->origin = s->group.origin;
	t->base = &s->stats;
	if (mm) {
		t->tgid = current->tgid;
		t->job = pcn_is_origin(s) ? s->ops->share() : 0;
		get_task_comm(t->comm, current);
	}
	s->tally = t;
	spin_lock(&tallies_lock);
	list_add(&t->node, &tallies);
	spin_unlock(&tallies_lock);
	return 0;
}

/**
 * pcn_tally_drop - a space has not come into being
 * @s:	the space
 *
 * Context: process.
 */
void pcn_tally_drop(struct pcn_space *s)
{
	if (!s->tally)
		return;
	spin_lock(&tallies_lock);
	list_del(&s->tally->node);
	spin_unlock(&tallies_lock);
	kfree(s->tally);
}

/**
 * pcn_tally_tgid - the process of a space here
 * @s:	the space
 *
 * Context: any.
 * Return: its number; 0 if the pages are kernel memory.
 */
pid_t pcn_tally_tgid(const struct pcn_space *s)
{
	return s->tally->tgid;
}

/**
 * pcn_count - something has happened once more
 * @s:		in this space
 * @index:	PCN_COUNT() of what it is
 *
 * Context: any.
 */
void pcn_count(struct pcn_space *s, unsigned int index)
{
	atomic64_inc(&s->tally->count[index]);
}

/* --- the states of pages --- */

static void count_page(const struct pcn_record *r, struct numbers *n)
{
	unsigned int state = READ_ONCE(r->replica.state);

	if (READ_ONCE(r->plain))
		n->plain++;
	else if (state < PCN_STATES)
		n->pages[state]++;
}

/* Some pages from *page on. Returns true if there may be more, with *page the next. */
static bool count_some(struct pcn_shard *shard, u64 *page, struct numbers *n)
{
	struct pcn_record *r;
	struct rb_node *node;
	unsigned int left = WALK_BATCH;

	spin_lock(&shard->lock);
	r = pcn_record_next(shard, *page);
	for (node = r ? &r->node : NULL; node && left; node = rb_next(node)) {
		r = rb_entry(node, struct pcn_record, node);
		count_page(r, n);
		*page = r->page + 1;
		left--;
	}
	spin_unlock(&shard->lock);
	return node;
}

static void count_pages(struct pcn_space *s, struct numbers *n)
{
	struct pcn_shard *shard;
	u64 page;

	for (shard = s->shard; shard < s->shard + PCN_SHARDS; shard++) {
		page = 0;
		while (count_some(shard, &page, n))
			cond_resched();
	}
}

/* --- all numbers of a space --- */

static void read_counters(u64 *to, atomic64_t *from, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		to[i] = atomic64_read(&from[i]);
}

static void read_tally(struct pcn_tally *t, struct numbers *n)
{
	lockdep_assert_held(&tallies_lock);
	if (!t->base) {
		*n = t->last;
		return;
	}
	read_counters(n->base, (atomic64_t *)t->base, BASE);
	read_counters((u64 *)&n->counts, t->count, COUNTS);
}

/**
 * pcn_tally_end - a space is no more
 * @s:	the space; nobody uses its records, which are still there
 *
 * Context: process.
 */
void pcn_tally_end(struct pcn_space *s)
{
	struct pcn_tally *t = s->tally, *old = NULL;

	count_pages(s, &t->last);
	spin_lock(&tallies_lock);
	read_tally(t, &t->last);
	t->last.ended = 1;
	t->base = NULL;
	list_move(&t->node, &tallies);
	if (++kept > TALLIES_KEPT) {
		list_for_each_entry_reverse(old, &tallies, node)
			if (!old->base)
				break;
		list_del(&old->node);
		kept--;
	}
	spin_unlock(&tallies_lock);
	kfree(old);
}

/* The pages of a process that has ended are those of the moment before. */
static int read_numbers(u64 number, struct numbers *n)
{
	struct pcn_tally *t;
	struct pcn_space *s;

	memset(n, 0, sizeof(*n));
	s = pcn_space_get(number);
	if (s) {
		count_pages(s, n);
		pcn_space_put(s);
	}
	spin_lock(&tallies_lock);
	t = find_tally(number);
	if (t)
		read_tally(t, n);
	spin_unlock(&tallies_lock);
	return t ? 0 : -ESRCH;
}

/* --- from kernel to kernel --- */

static void stats_on_ask(const struct pcn_message *msg)
{
	const u64 *number = msg->payload;
	struct numbers *n;
	int err = -EINVAL;

	n = kmalloc(sizeof(*n), GFP_KERNEL);
	if (!n)
		err = -ENOMEM;
	else if (msg->length == sizeof(*number))
		err = read_numbers(*number, n);
	pcn_msg_reply(msg, err, n, err ? 0 : sizeof(*n));
	kfree(n);
}

static const struct pcn_msg_type ask_type = {
	.name		= "stats",
	.channel	= PCN_CONTROL,
	.type		= PCN_TYPE_STATS,
	.may_sleep	= true,
	.handle		= stats_on_ask,
};

static int get_numbers(unsigned int kid, u64 number, struct numbers *n)
{
	u32 length = sizeof(*n);
	int err;

	if (kid == pcn_self())
		return read_numbers(number, n);
	err = pcn_msg_call(kid, PCN_CONTROL, PCN_TYPE_STATS, &number,
			   sizeof(number), n, &length, ASK_LIMIT_MS);
	return !err && length != sizeof(*n) ? -EBADMSG : err;
}

/* --- files in /proc/popcorn with a row for each process and kernel --- */

/**
 * struct view - an open file
 * @count:	how many processes there are
 * @row:	those that there were when it was opened
 */
struct view {
	unsigned int	count;
	struct pcn_row	row[];
};

static unsigned int count_tallies(void)
{
	unsigned int count;

	spin_lock(&tallies_lock);
	count = list_count_nodes(&tallies);
	spin_unlock(&tallies_lock);
	return count;
}

static struct pcn_row make_row(const struct pcn_tally *t)
{
	struct pcn_row row = {
		.number = t->number, .origin = t->origin, .tgid = t->tgid,
		.job = t->job, .members = BIT_ULL(pcn_self()),
	};

	if (t->origin == pcn_self())
		row.members = t->members;
	strscpy(row.comm, t->comm, sizeof(row.comm));
	return row;
}

static struct view *make_view(void)
{
	unsigned int room = count_tallies();
	struct view *view = kvzalloc(struct_size(view, row, room), GFP_KERNEL);
	struct pcn_tally *t;

	if (!view)
		return NULL;
	spin_lock(&tallies_lock);
	list_for_each_entry(t, &tallies, node)
		if (view->count < room)
			view->row[view->count++] = make_row(t);
	spin_unlock(&tallies_lock);
	return view;
}

/* A position is a process and a kernel. The first line is at or behind *pos. */
static void *line_at(struct view *view, loff_t *pos)
{
	u64 row = *pos / PCN_KERNELS_MAX, kid = *pos % PCN_KERNELS_MAX;

	for (; row < view->count; row++, kid = 0)
		for (; kid < PCN_KERNELS_MAX; kid++)
			if (view->row[row].members & BIT_ULL(kid)) {
				*pos = row * PCN_KERNELS_MAX + kid;
				return pos;
			}
	*pos = row * PCN_KERNELS_MAX;
	return NULL;
}

/**
 * pcn_rows_start - of struct seq_operations of a file of rows
 * @m:		the open file
 * @pos:	where to begin
 *
 * Context: process.
 * Return: for pcn_row_at(), or NULL at the end.
 */
void *pcn_rows_start(struct seq_file *m, loff_t *pos)
{
	return line_at(m->private, pos);
}

/**
 * pcn_rows_next - likewise
 * @m:		the open file
 * @v:		the row and kernel before
 * @pos:	where that is
 *
 * Context: process.
 * Return: the next one, or NULL.
 */
void *pcn_rows_next(struct seq_file *m, void *v, loff_t *pos)
{
	++*pos;
	return line_at(m->private, pos);
}

/**
 * pcn_rows_stop - likewise
 * @m:	the open file
 * @v:	what came last
 *
 * Context: process.
 */
void pcn_rows_stop(struct seq_file *m, void *v)
{
}

/**
 * pcn_row_at - what is to be shown
 * @m:		the open file
 * @v:		what pcn_rows_start() or pcn_rows_next() has returned
 * @kid:	receives the kernel
 *
 * Context: process.
 * Return: the process, there as long as the file is open.
 */
const struct pcn_row *pcn_row_at(struct seq_file *m, void *v, unsigned int *kid)
{
	struct view *view = m->private;
	u64 at = *(loff_t *)v;

	*kid = at % PCN_KERNELS_MAX;
	return &view->row[at / PCN_KERNELS_MAX];
}

/**
 * pcn_row_show - the first words of a line
 * @m:		the open file
 * @row:	the process
 * @kid:	the kernel
 *
 * Context: process.
 */
void pcn_row_show(struct seq_file *m, const struct pcn_row *row, unsigned int kid)
{
	seq_printf(m, "process=%llx origin=%u tgid=%d job=%llu comm=",
		   row->number, row->origin, row->tgid, row->job);
	seq_escape(m, row->comm, " \t\n\\");
	seq_printf(m, " kernel=%u", kid);
}

/**
 * pcn_row_state - the word for what has become of a question
 * @err:	0 or an error number
 *
 * Context: any.
 * Return: the word.
 */
const char *pcn_row_state(int err)
{
	switch (err) {
	case 0:
		return "up";
	case -EHOSTDOWN:
	case -ENODEV:
		return "down";
	case -ESRCH:
		return "gone";
	case -EACCES:
		return "denied";
	default:
		return "silent";
	}
}

/**
 * pcn_rows_open - open a file that has a row for each process and kernel
 * @file:	the file
 * @ops:	what it does; all but show is here
 *
 * Context: process.
 * Return: 0 or -ENOMEM.
 */
int pcn_rows_open(struct file *file, const struct seq_operations *ops)
{
	struct view *view = make_view();
	int err;

	if (!view)
		return -ENOMEM;
	err = seq_open(file, ops);
	if (err)
		kvfree(view);
	else
		((struct seq_file *)file->private_data)->private = view;
	return err;
}

/**
 * pcn_rows_release - close it
 * @inode:	its inode
 * @file:	the file
 *
 * Context: process.
 * Return: 0.
 */
int pcn_rows_release(struct inode *inode, struct file *file)
{
	struct seq_file *m = file->private_data;

	kvfree(m->private);
	return seq_release(inode, file);
}

/* --- what /proc/popcorn/stats has of them --- */

static const char * const base_names[] = {
	"hits", "misses", "messages", "copies", "holds", "impossible", "unsent",
	"adopted", "rounds", "stuck", "returned",
};

static_assert(ARRAY_SIZE(base_names) == BASE);

static const char * const reason_names[PCN_HOME_REASONS] = {
	"call", "result", "fault", "signal", "recall",
};

static void show_waits(struct seq_file *m, const char *name, const u64 *waits,
		       u64 ns)
{
	unsigned int i;

	seq_printf(m, " %s_ns=%llu %s", name, ns, name);
	for (i = 0; i < PCN_WAITS; i++)
		seq_printf(m, "%c%llu", i ? ',' : '=', waits[i]);
}

static void show_counts(struct seq_file *m, const struct pcn_counts *c)
{
	unsigned int i;

	for (i = 0; i < PCN_MESSAGES; i++)
		seq_printf(m, " sent.%s=%llu", pcn_event_name(i), c->sent[i]);
	seq_printf(m, " read_hits=%llu write_hits=%llu plain_faults=%llu failed_waits=%llu",
		   c->hits[0], c->hits[1], c->plain, c->failed);
	show_waits(m, "read_waits", c->waits[0], c->wait_ns[0]);
	show_waits(m, "write_waits", c->waits[1], c->wait_ns[1]);
	seq_printf(m, " files=%llu arrived=%llu calls=%llu", c->files, c->arrived,
		   c->calls);
	for (i = 0; i < PCN_HOME_REASONS; i++)
		seq_printf(m, " home.%s=%llu", reason_names[i], c->home[i]);
}

static void show_numbers(struct seq_file *m, const struct numbers *n)
{
	unsigned int i;

	seq_printf(m, " ended=%llu", n->ended);
	for (i = 0; i < BASE; i++)
		seq_printf(m, " %s=%llu", base_names[i], n->base[i]);
	seq_printf(m, " pages.plain=%llu", n->plain);
	for (i = 0; i < PCN_STATES; i++)
		seq_printf(m, " pages.%s=%llu", pcn_state_name(i), n->pages[i]);
	show_counts(m, &n->counts);
}

static int stats_show(struct seq_file *m, void *v)
{
	const struct pcn_row *row;
	struct numbers *n;
	unsigned int kid;
	int err;

	n = kmalloc(sizeof(*n), GFP_KERNEL);
	if (!n)
		return -ENOMEM;
	row = pcn_row_at(m, v, &kid);
	err = get_numbers(kid, row->number, n);
	if (err != -EINTR) {
		pcn_row_show(m, row, kid);
		seq_printf(m, " state=%s", pcn_row_state(err));
		if (!err)
			show_numbers(m, n);
		seq_putc(m, '\n');
		err = 0;
	}
	kfree(n);
	return err;
}

static const struct seq_operations stats_ops = {
	.start	= pcn_rows_start,
	.next	= pcn_rows_next,
	.stop	= pcn_rows_stop,
	.show	= stats_show,
};

static int stats_open(struct inode *inode, struct file *file)
{
	return pcn_rows_open(file, &stats_ops);
}

static const struct proc_ops stats_proc_ops = {
	.proc_open	= stats_open,
	.proc_read_iter	= seq_read_iter,
	.proc_lseek	= seq_lseek,
	.proc_release	= pcn_rows_release,
};

static int __init pcn_stats_init(void)
{
	if (!pcn_machine_is_shared())
		return 0;
	proc_create("popcorn/stats", 0444, NULL, &stats_proc_ops);
	return pcn_msg_register(&ask_type);
}
device_initcall(pcn_stats_init);

/* --- what the other files have seen --- */

/**
 * pcn_count_send - a message of the protocol is about to be sent
 * @r:	about this page
 * @m:	the message
 * @to:	the kernel that it goes to
 *
 * Context: the record's lock is held.
 */
void pcn_count_send(struct pcn_record *r, const struct pcn_proto_event *m,
		    unsigned int to)
{
	trace_pcn_page_send(r->space->number, r->page, m->type, to, m->who,
			    m->flags);
	if (m->type < PCN_MESSAGES)
		pcn_count(r->space, PCN_COUNT(sent) + m->type);
}

/**
 * pcn_count_fault - a fault, or another access, has come to a page
 * @s:		the space
 * @write:	it writes
 * @enters:	it need not wait
 * @plain:	the page is not the protocol's
 *
 * Context: process.
 */
void pcn_count_fault(struct pcn_space *s, bool write, bool enters, bool plain)
{
	if (enters && plain) {
		pcn_count(s, PCN_COUNT(plain));
		return;
	}
	atomic64_inc(enters ? &s->stats.hits : &s->stats.misses);
	if (enters)
		pcn_count(s, PCN_COUNT(hits) + write);
}

/**
 * pcn_wait_begin - an access begins to wait for its page
 * @s:		the space
 * @page:	number of the page
 * @write:	it writes
 *
 * Context: process.
 * Return: what pcn_wait_end() wants to know.
 */
u64 pcn_wait_begin(struct pcn_space *s, u64 page, bool write)
{
	trace_pcn_fault_begin(s->number, page, write);
	return ktime_get_ns();
}

static unsigned int wait_class(u64 ns)
{
	u64 us = div_u64(ns, NSEC_PER_USEC);

	return us ? min_t(unsigned int, ilog2(us) + 1, PCN_WAITS - 1) : 0;
}

/**
 * pcn_wait_end - an access does not wait any more
 * @s:		the space
 * @page:	number of the page
 * @write:	it writes
 * @since:	as pcn_wait_begin() has said
 * @had:	it has had its page
 *
 * Context: process.
 */
void pcn_wait_end(struct pcn_space *s, u64 page, bool write, u64 since, bool had)
{
	u64 ns = ktime_get_ns() - since;

	trace_pcn_fault_end(s->number, page, write, had, ns);
	if (!had) {
		pcn_count(s, PCN_COUNT(failed));
		return;
	}
	pcn_count(s, PCN_COUNT(waits) + write * PCN_WAITS + wait_class(ns));
	atomic64_add(ns, &s->tally->count[PCN_COUNT(wait_ns) + write]);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Load generator for replicated pages: threads of several kernels read and write
 * the pages of a space, and check what they see.
 *
 * A page is a counter and words that follow from it. A writer checks the page,
 * counts up and writes all words anew; a reader checks that all words belong to
 * one counter, and that the counter is not lower than any that its kernel has
 * seen. When all are done, the counters add up to the writes: none was lost.
 *
 * Write "kernels=<mask> pages=<n> accesses=<n> writes=<percent> threads=<n>
 * seed=<n>" to /sys/kernel/debug/popcorn/pages, which returns when all is done,
 * and read the outcome there.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/prandom.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <popcorn/hooks.h>
#include <popcorn/partition.h>
#include <popcorn/space.h>

#define ANSWER_MS	30000
#define THREADS_MAX	16
#define PAGES_MAX	4096
#define WORDS		(PAGE_SIZE / sizeof(u64))

/** enum verb - what the driving kernel asks of the others */
enum verb {
	VERB_CREATE,
	VERB_START,
	VERB_LOOK,
	VERB_DESTROY,
};

/**
 * struct plan - what is to be done; the payload of requests
 * @verb:	enum verb
 * @threads:	on each kernel
 * @space:	number of the space
 * @kernels:	the kernels that take part; the lowest is the origin
 * @seed:	of what each thread does
 * @pages:	number of pages
 * @accesses:	of each thread
 * @writes:	per cent of them
 * @pad:	zero
 */
struct plan {
	u32	verb;
	u32	threads;
	u64	space;
	u64	kernels;
	u64	seed;
	u32	pages;
	u32	accesses;
	u32	writes;
	u32	pad;
};

/**
 * struct outcome - what a kernel has done and seen; the payload of replies
 * @running:	threads that are not done
 * @reads:	reads done
 * @writes:	writes done
 * @torn:	pages whose words did not belong together
 * @backwards:	pages that were older than one seen before
 * @errors:	accesses that failed
 * @hits:	as in struct pcn_space_stats, as is all that follows
 * @misses:	see there
 * @messages:	see there
 * @copies:	see there
 * @holds:	see there
 * @impossible:	see there
 * @unsent:	see there
 */
struct outcome {
	u64	running;
	u64	reads;
	u64	writes;
	u64	torn;
	u64	backwards;
	u64	errors;
	u64	hits;
	u64	misses;
	u64	messages;
	u64	copies;
	u64	holds;
	u64	impossible;
	u64	unsent;
};

#define OUTCOMES	(sizeof(struct outcome) / sizeof(u64))

/* This kernel's part; what is not constant while threads run is atomic. */
static struct plan plan;
static struct pcn_space *space;
static atomic64_t count[OUTCOMES];
static atomic64_t seen[PAGES_MAX];

/* Threads of one kernel have a page at the same time, also to write it. */
static DEFINE_SPINLOCK(use_lock);

/* Of the kernel that drives: one run at a time, and what became of the last. */
static DEFINE_MUTEX(drive_lock);
static struct outcome total;
static u64 lost, ran_ns;

#define COUNTER(field)	(&count[offsetof(struct outcome, field) / sizeof(u64)])

/* Word @i of a page whose counter is @n. A page never written is zero. */
static u64 page_load_word(u64 page, u64 n, u64 i)
{
	return n ? (n * 0x9e3779b97f4a7c15ULL + page) ^ (i << 32) : 0;
}

static bool is_whole(const u64 *data, u64 page)
{
	u64 n = data[0], i;

	for (i = 1; i < WORDS; i++)
		if (data[i] != page_load_word(page, n, i))
			return false;
	return true;
}

/* Since others count up meanwhile, what is seen may be seen late, but not early. */
static void page_load_see(u64 page, u64 n, u64 before)
{
	u64 was;

	if (n < before)
		atomic64_inc(COUNTER(backwards));
	do {
		was = atomic64_read(&seen[page]);
	} while (was < n && atomic64_cmpxchg(&seen[page], was, n) != was);
}

static void page_load_touch(u64 *data, u64 page, bool write, u64 before)
{
	u64 i;

	if (!is_whole(data, page))
		atomic64_inc(COUNTER(torn));
	page_load_see(page, data[0], before);
	if (!write)
		return;
	data[0]++;
	for (i = 1; i < WORDS; i++)
		data[i] = page_load_word(page, data[0], i);
	page_load_see(page, data[0], data[0]);
}

static void page_load_use(u64 page, bool write)
{
	u64 before = atomic64_read(&seen[page]);
	struct pcn_access access;

	if (pcn_access_begin(&access, space, page, write)) {
		atomic64_inc(COUNTER(errors));
		return;
	}
	spin_lock(&use_lock);
	page_load_touch(access.data, page, write, before);
	spin_unlock(&use_lock);
	pcn_access_end(&access);
	atomic64_inc(write ? COUNTER(writes) : COUNTER(reads));
}

static int user_thread(void *arg)
{
	struct rnd_state random;
	u32 n;

	prandom_seed_state(&random, plan.seed + (pcn_self() << 8) + (long)arg);
	for (n = 0; n < plan.accesses; n++) {
		page_load_use(prandom_u32_state(&random) % plan.pages,
			      prandom_u32_state(&random) % 100 < plan.writes);
		cond_resched();
	}
	atomic64_dec(COUNTER(running));
	return 0;
}

static int page_load_create(const struct plan *p)
{
	struct pcn_space *s;

	if (space)
		return -EBUSY;
	if (!p->pages || p->pages > PAGES_MAX || p->threads > THREADS_MAX)
		return -EINVAL;
	s = pcn_space_create(p->space, p->kernels, __ffs64(p->kernels));
	if (IS_ERR(s))
		return PTR_ERR(s);
	plan = *p;
	memset(count, 0, sizeof(count));
	memset(seen, 0, sizeof(seen));
	space = s;
	return 0;
}

static int page_load_start(void)
{
	struct task_struct *task;
	long i;

	for (i = 0; i < plan.threads; i++) {
		atomic64_inc(COUNTER(running));
		task = kthread_run(user_thread, (void *)i, "popcorn_pages%ld", i);
		if (IS_ERR(task)) {
			atomic64_dec(COUNTER(running));
			return PTR_ERR(task);
		}
	}
	return 0;
}

static int page_load_destroy(void)
{
	if (atomic64_read(COUNTER(running)))
		return -EBUSY;
	pcn_space_destroy(space);
	space = NULL;
	return 0;
}

static void page_load_look(struct outcome *o)
{
	const struct pcn_space_stats *s = pcn_space_stats(space);
	u64 *field = (u64 *)o;
	unsigned int i;

	for (i = 0; i < OUTCOMES; i++)
		field[i] = atomic64_read(&count[i]);
	o->hits = atomic64_read(&s->hits);
	o->misses = atomic64_read(&s->misses);
	o->messages = atomic64_read(&s->messages);
	o->copies = atomic64_read(&s->copies);
	o->holds = atomic64_read(&s->holds);
	o->impossible = atomic64_read(&s->impossible);
	o->unsent = atomic64_read(&s->unsent);
}

static int do_verb(const struct plan *p, struct outcome *o)
{
	if (p->verb != VERB_CREATE && !space)
		return -ENOENT;
	switch (p->verb) {
	case VERB_CREATE:
		return page_load_create(p);
	case VERB_START:
		return page_load_start();
	case VERB_LOOK:
		page_load_look(o);
		return 0;
	case VERB_DESTROY:
		return page_load_destroy();
	}
	return -EINVAL;
}

static void on_request(const struct pcn_message *msg)
{
	struct outcome o = {};
	int err = -EINVAL;

	if (msg->length == sizeof(struct plan))
		err = do_verb(msg->payload, &o);
	pcn_msg_reply(msg, err, &o, sizeof(o));
}

static const struct pcn_msg_type load_type = {
	.name		= "page load",
	.channel	= PCN_CONTROL,
	.type		= PCN_TYPE_PAGE_LOAD,
	.may_sleep	= true,
	.handle		= on_request,
};

static int page_load_ask(unsigned int kid, struct plan *p, struct outcome *o)
{
	u32 length = sizeof(*o);

	if (kid == pcn_self())
		return do_verb(p, o);
	return pcn_msg_call(kid, PCN_CONTROL, PCN_TYPE_PAGE_LOAD, p, sizeof(*p),
			    o, &length, ANSWER_MS);
}

/* Ask all; what they say is added up. All are asked whatever one says. */
static int page_load_ask_all(struct plan *p, enum verb what, struct outcome *sum)
{
	struct outcome o = {};
	unsigned int kid, i;
	int err = 0, ret;

	p->verb = what;
	memset(sum, 0, sizeof(*sum));
	for_each_set_bit(kid, (unsigned long *)&p->kernels, PCN_KERNELS_MAX) {
		ret = page_load_ask(kid, p, &o);
		err = err ?: ret;
		for (i = 0; !ret && i < OUTCOMES; i++)
			((u64 *)sum)[i] += ((u64 *)&o)[i];
	}
	return err;
}

/* Writes that no page shows. */
static u64 lost_writes(u64 writes)
{
	struct pcn_access access;
	u64 page, sum = 0;

	for (page = 0; page < plan.pages; page++) {
		if (pcn_access_begin(&access, space, page, false))
			continue;
		sum += *(u64 *)access.data;
		pcn_access_end(&access);
	}
	return writes - sum;
}

static int wait_for_all(struct plan *p)
{
	int err;

	do {
		if (msleep_interruptible(20))
			return -EINTR;
		err = page_load_ask_all(p, VERB_LOOK, &total);
	} while (!err && total.running);
	return err;
}

static int page_load_drive(struct plan *p)
{
	struct outcome none;
	u64 began;
	int err;

	lockdep_assert_held(&drive_lock);
	err = page_load_ask_all(p, VERB_CREATE, &none);
	if (!err) {
		began = ktime_get_ns();
		err = page_load_ask_all(p, VERB_START, &none);
		/* Threads that run are waited for, whatever has happened. */
		err = wait_for_all(p) ?: err;
		ran_ns = ktime_get_ns() - began;
	}
	if (!err)
		lost = lost_writes(total.writes);
	return page_load_ask_all(p, VERB_DESTROY, &none) ?: err;
}

static ssize_t pages_write(struct file *file, const char __user *from,
			   size_t size, loff_t *offset)
{
	static u64 runs;
	struct plan p = {};
	char text[160] = "";
	int err;

	if (size >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, from, size))
		return -EFAULT;
	if (sscanf(text, "kernels=%llx pages=%u accesses=%u writes=%u threads=%u seed=%llu",
		   &p.kernels, &p.pages, &p.accesses, &p.writes, &p.threads,
		   &p.seed) != 6 || !(p.kernels & BIT_ULL(pcn_self())))
		return -EINVAL;
	if (mutex_lock_interruptible(&drive_lock))
		return -EINTR;
	p.space = (u64)pcn_self() << 32 | ++runs;
	err = page_load_drive(&p);
	mutex_unlock(&drive_lock);
	return err ?: size;
}

static int pages_show(struct seq_file *m, void *unused)
{
	mutex_lock(&drive_lock);
	seq_printf(m, "reads=%llu writes=%llu lost=%llu torn=%llu backwards=%llu errors=%llu impossible=%llu unsent=%llu hits=%llu misses=%llu messages=%llu copies=%llu holds=%llu ns=%llu\n",
		   total.reads, total.writes, lost, total.torn, total.backwards,
		   total.errors, total.impossible, total.unsent, total.hits, total.misses,
		   total.messages, total.copies, total.holds, ran_ns);
	mutex_unlock(&drive_lock);
	return 0;
}

DEFINE_SHOW_STORE_ATTRIBUTE(pages);

static int __init space_load_init(void)
{
	int err;

	if (!pcn_machine_is_shared())
		return 0;
	err = pcn_msg_register(&load_type);
	if (err)
		return err;
	pcn_debug_file("pages", 0600, &pages_fops);
	return 0;
}
late_initcall(space_load_init);

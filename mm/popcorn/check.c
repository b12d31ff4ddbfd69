// SPDX-License-Identifier: GPL-2.0
/*
 * Checks the page coherency protocol while it runs.
 *
 * Messages alone cannot show that two kernels never write a page at once. So for
 * this check, and for nothing else, kernels share memory: a table at the end of the
 * window that says for each page which kernels may read it, which may write it,
 * and what its content was when the last write ended. A kernel enters what it
 * gains before any thread has it, and takes out what it loses when the page table
 * is changed and TLBs are flushed, but before it tells anybody. It checks
 *
 *	S1	while a kernel may write a page no other one may read or write it
 *	S2	what comes, to be read or written, is what the last writer left; and
 *		what could only be read has not changed meanwhile
 *
 * A violation is one line in the log that begins with "popcorn: check:", and is
 * counted. Everything else goes on.
 *
 * The table has buckets of a few pages. One that is full is of no use any more for
 * pages that are not in it: nobody knows what has become of them. A bucket's lock
 * is held with interrupts off for as long as it takes to look through the bucket;
 * digests are taken before. A kernel may die while it holds a lock: a kernel that has
 * waited for too long takes the lock over and gives the bucket up. A holder that was
 * merely slow does no harm either: it finds that it has lost the lock, and what it has
 * written is not used.
 *
 * popcorn_check=1 on the primary's command line makes room for the table. Other
 * kernels find it in the window, and those built without this file are refused as
 * peers.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/debugfs.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/hash.h>
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <popcorn/core.h>
#include <popcorn/hooks.h>
#include <popcorn/partition.h>

#include "internal.h"
#include "check_table.h"

DEFINE_STATIC_KEY_FALSE(pcn_checking);

static struct pcn_check_table *table __ro_after_init;
static atomic_t mistakes[PCN_MISTAKES];
static atomic_t mistakes_made;

static const char * const mistake_names[PCN_MISTAKES] = {
	[PCN_MISTAKE_KEEP]	= "keep",
	[PCN_MISTAKE_DAMAGE]	= "damage",
	[PCN_MISTAKE_PROTECT]	= "protect",
	[PCN_MISTAKE_STARVE]	= "starve",
	[PCN_MISTAKE_FRAME]	= "frame",
	[PCN_MISTAKE_ADOPT]	= "adopt",
};

static const char * const fault_texts[PCN_CHECK_FAULTS] = {
	[PCN_CHECK_WRITTEN]	= "has access while others may write",
	[PCN_CHECK_READ]	= "may write while others may read",
	[PCN_CHECK_STALE]	= "gets what is not the last write",
	[PCN_CHECK_CHANGED]	= "has a page that was only to be read and has changed",
	[PCN_CHECK_ELSEWHERE]	= "takes back a page that others still have",
};

static u64 page_digest(const void *page)
{
	const u64 *word = page;
	u64 digest = 0;
	unsigned int i;

	for (i = 0; i < PAGE_SIZE / sizeof(*word); i++)
		digest = (rol64(digest, 5) ^ word[i]) * GOLDEN_RATIO_64;
	return digest;
}

static struct pcn_check_change change_of(const struct pcn_record *r,
					 enum pcn_mapping to)
{
	struct pcn_check_change c = {
		.space = r->space->number, .page = r->page, .kid = pcn_self(),
		.from = r->may, .to = to, .digested = r->frame,
	};

	if (c.digested)
		c.digest = page_digest(page_address(r->frame));
	return c;
}

static void check_look(const struct pcn_check_change *c)
{
	u64 others = 0, unchecked = READ_ONCE(table->unchecked);
	enum pcn_check_fault fault = pcn_check_enter(table, c, &others);

	if (!unchecked && READ_ONCE(table->unchecked))
		pr_warn("the table of page checks is full: not all pages are checked\n");
	if (fault)
		pr_err_ratelimited("check: page %llx of space %llx: kernel %u %s: %*pbl\n",
				   c->page, c->space, c->kid, fault_texts[fault],
				   PCN_KERNELS_MAX, (unsigned long *)&others);
}

/**
 * pcn_check_change - see pcn_check_may()
 * @r:	the record
 * @to:	what it may do from now on
 *
 * Context: the record's lock is held.
 */
void pcn_check_change(struct pcn_record *r, enum pcn_mapping to)
{
	struct pcn_check_change c;

	if (r->may == to)
		return;
	c = change_of(r, to);
	check_look(&c);
}

/**
 * pcn_check_ended - see pcn_check_end()
 * @r:		the record
 * @everywhere:	all others have forgotten the page, but for those of @also
 * @also:	kernels that will
 *
 * Context: any.
 */
void pcn_check_ended(struct pcn_record *r, bool everywhere, u64 also)
{
	struct pcn_check_change c = change_of(r, PCN_MAP_NONE);

	c.ends = true;
	c.alone = everywhere;
	c.also = also;
	check_look(&c);
}

/**
 * pcn_check_mistaken - see pcn_check_mistake()
 * @mistake:	what
 *
 * Context: any.
 * Return: true as often as somebody has asked for it.
 */
bool pcn_check_mistaken(enum pcn_mistake mistake)
{
	if (likely(!atomic_read(&mistakes[mistake])))
		return false;
	if (atomic_dec_if_positive(&mistakes[mistake]) < 0)
		return false;
	atomic_inc(&mistakes_made);
	pr_info_ratelimited("making a mistake on purpose: %s\n",
			    mistake_names[mistake]);
	return true;
}

/* A kernel has ended, and has no pages any more. */
static void check_bury(unsigned int kid)
{
	unsigned int i;

	for (i = 0; i < PCN_CHECK_BUCKETS; i++) {
		pcn_check_forget_kid(table, i, kid);
		cond_resched();
	}
}

/* "<mistake> [<times>]": make the mistake so often from now on; once by default. */
static ssize_t check_write(struct file *file, const char __user *from,
			   size_t size, loff_t *offset)
{
	char text[32] = "", name[16];
	int mistake, times = 1;

	if (size >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, from, size))
		return -EFAULT;
	if (sscanf(text, "%15s %d", name, &times) < 1 || times < 0)
		return -EINVAL;
	mistake = sysfs_match_string(mistake_names, name);
	if (mistake < 0)
		return mistake;
	atomic_set(&mistakes[mistake], times);
	return size;
}

static int check_show(struct seq_file *m, void *unused)
{
	seq_printf(m, "changes=%llu violations=%llu unchecked=%llu broken=%llu mistakes=%d pages=%u\n",
		   READ_ONCE(table->changes), READ_ONCE(table->violations),
		   READ_ONCE(table->unchecked), READ_ONCE(table->broken),
		   atomic_read(&mistakes_made), pcn_check_count(table));
	return 0;
}

DEFINE_SHOW_STORE_ATTRIBUTE(check);

/* Before any message about a page can come: device_initcall(). */
static int __init check_init(void)
{
	table = pcn_window_check();
	if (!table)
		return 0;
	static_branch_enable(&pcn_checking);
	pcn_attach_end(check_bury);
	pr_info("accesses to pages are checked\n");
	return 0;
}
subsys_initcall_sync(check_init);

static int __init check_debugfs_init(void)
{
	if (table)
		pcn_debug_file("check", 0600, &check_fops);
	return 0;
}
late_initcall_sync(check_debugfs_init);

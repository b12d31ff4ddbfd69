// SPDX-License-Identifier: GPL-2.0
/*
 * From a page frame to the record of the page that is in it.
 *
 * The page layer goes the other way alone: a record has its frame, page tables are
 * changed by address, and other references to a frame show in its count. This file
 * finds the record of a frame: to check that no frame is in two records at once, and to
 * tell what is at a physical address, as from a memory dump or a hardware error:
 * /sys/kernel/debug/popcorn/frame.
 *
 * page_ext is Linux's way to say more of a page than struct page has room for. It
 * takes 24 bytes for each page of memory, so it is there with popcorn_check=1 only.
 * It has the name of the record, not its address: the record may go at any time. To look
 * it up by its name takes the space's lock.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/debugfs.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kstrtox.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/page_ext.h>
#include <linux/seq_file.h>

#include <popcorn/core.h>
#include <popcorn/hooks.h>

#include "internal.h"

/**
 * struct owner - the record that a frame belongs to
 * @space:	number of the space
 * @next:	number of the page behind the one that is there; 0: nobody's
 */
struct owner {
	u64	space;
	u64	next;
};

static bool __init is_needed(void)
{
	return pcn_checks_wanted();
}

struct page_ext_operations pcn_page_ext_ops = {
	.size = sizeof(struct owner),
	.need = is_needed,
};

/* Only the record that it is in changes that, under its lock. False: it is not kept. */
static bool frame_exchange(struct page *frame, struct owner new, struct owner *old)
{
	struct page_ext *ext = page_ext_get(frame);
	struct owner *at;

	if (!ext)
		return false;
	at = page_ext_data(ext, &pcn_page_ext_ops);
	*old = *at;
	*at = new;
	page_ext_put(ext);
	return true;
}

static struct owner owner_of(const struct pcn_record *r)
{
	return (struct owner) { .space = r->space->number, .next = r->page + 1 };
}

static void frame_complain(const struct page *frame, const struct pcn_record *r,
			   struct owner o)
{
	pr_err_ratelimited("check: page %llx of space %llx: its frame %lx is that of page %llx of space %llx\n",
			   r->page, r->space->number, page_to_pfn(frame),
			   o.next - 1, o.space);
}

/* pcn_check_mistake(): nobody's frame is said to be somebody's. */
static void frame_enter(struct page *frame, const struct pcn_record *r)
{
	struct owner own = owner_of(r), old;

	if (pcn_check_mistake(PCN_MISTAKE_FRAME))
		own.next++;
	if (frame_exchange(frame, own, &old) && old.next)
		frame_complain(frame, r, old);
}

static void frame_leave(struct page *frame, const struct pcn_record *r)
{
	struct owner own = owner_of(r), old;

	if (frame_exchange(frame, (struct owner) {}, &old) &&
	    (old.next != own.next || old.space != own.space))
		frame_complain(frame, r, old);
}

/**
 * pcn_frame_changed - see pcn_check_frame()
 * @r:		the record, in which the frame is still the old one
 * @frame:	the new one, or NULL
 *
 * Context: the record's lock is held, or nobody else knows of the record.
 */
void pcn_frame_changed(struct pcn_record *r, struct page *frame)
{
	if (r->frame)
		frame_leave(r->frame, r);
	if (frame)
		frame_enter(frame, r);
}

/* --- /sys/kernel/debug/popcorn/frame --- */

static unsigned long asked;

static struct owner frame_look_up(unsigned long pfn)
{
	struct page *page = pfn_to_online_page(pfn);
	struct page_ext *ext = page ? page_ext_get(page) : NULL;
	struct owner o = {};

	if (!ext)
		return o;
	o = *(struct owner *)page_ext_data(ext, &pcn_page_ext_ops);
	page_ext_put(ext);
	return o;
}

/* What is there may have become another page's meanwhile. */
static void show_record(struct seq_file *m, struct pcn_space *s, u64 page,
			unsigned long pfn)
{
	static const char * const may[] = { "none", "read", "write" };
	struct pcn_shard *shard = pcn_shard_of(s, page);
	struct pcn_record *r;

	spin_lock(&shard->lock);
	r = pcn_record_next(shard, page);
	if (r && r->page == page && r->frame == pfn_to_page(pfn))
		seq_printf(m, " process=%d state=%s may=%s mapped=%s",
			   pcn_tally_tgid(s), pcn_state_name(r->replica.state),
			   may[r->may], may[r->mapped]);
	spin_unlock(&shard->lock);
}

static int frame_show(struct seq_file *m, void *unused)
{
	unsigned long pfn = READ_ONCE(asked);
	struct owner o = frame_look_up(pfn);
	struct pcn_space *s;

	seq_printf(m, "frame=%lx", pfn);
	if (o.next) {
		seq_printf(m, " space=%llx page=%llx", o.space, o.next - 1);
		s = pcn_space_get(o.space);
		if (s) {
			show_record(m, s, o.next - 1, pfn);
			pcn_space_put(s);
		}
	}
	seq_putc(m, '\n');
	return 0;
}

/* The number of a frame, to be asked for from now on. */
static ssize_t frame_write(struct file *file, const char __user *from,
			   size_t size, loff_t *offset)
{
	unsigned long pfn;
	int err = kstrtoul_from_user(from, size, 0, &pfn);

	if (err)
		return err;
	if (!pfn_to_online_page(pfn))
		return -ENXIO;
	WRITE_ONCE(asked, pfn);
	return size;
}

DEFINE_SHOW_STORE_ATTRIBUTE(frame);

static int __init frame_init(void)
{
	if (pcn_window_check())
		pcn_debug_file("frame", 0600, &frame_fops);
	return 0;
}
late_initcall_sync(frame_init);

// SPDX-License-Identifier: GPL-2.0
/*
 * What Popcorn has in use, on this kernel and on others: objects of each kind, and
 * memory.
 *
 * When no program is shared, the objects are what they were before. A program may
 * leave something behind on a kernel without a shell; so a reader of
 * /proc/popcorn/usage asks the other kernels, with one request for each line.
 */
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/time64.h>
#include <linux/vmstat.h>

#include <popcorn/hooks.h>
#include <popcorn/msg.h>
#include <popcorn/partition.h>
#include <popcorn/space.h>

#include "internal.h"

/* A kernel that is up answers within this time. */
#define ASK_LIMIT_MS	(5 * MSEC_PER_SEC)

/**
 * struct usage - what a kernel has in use. On the wire
 * @threads:	threads that have to do with other kernels
 * @processes:	processes that are shared
 * @spaces:	their address spaces
 * @records:	of pages in these
 * @available:	bytes of memory that could be used, an estimate: MemAvailable
 * @slab:	bytes of memory of the slab allocator
 */
struct usage {
	s64	threads;
	s64	processes;
	s64	spaces;
	s64	records;
	s64	available;
	s64	slab;
};

static_assert(sizeof(struct usage) == 6 * 8);

static void read_usage(struct usage *u)
{
	unsigned long slab = global_node_page_state_pages(NR_SLAB_RECLAIMABLE_B) +
			     global_node_page_state_pages(NR_SLAB_UNRECLAIMABLE_B);

	u->threads = pcn_threads_in_use();
	u->processes = pcn_processes_in_use();
	u->spaces = pcn_spaces_in_use();
	u->records = pcn_records_in_use();
	u->available = (s64)si_mem_available() << PAGE_SHIFT;
	u->slab = (s64)slab << PAGE_SHIFT;
}

/* --- from kernel to kernel --- */

static void usage_on_ask(const struct pcn_message *msg)
{
	struct usage u;

	read_usage(&u);
	pcn_msg_reply(msg, 0, &u, sizeof(u));
}

static const struct pcn_msg_type ask_type = {
	.name		= "usage",
	.channel	= PCN_CONTROL,
	.type		= PCN_TYPE_USAGE,
	.handle		= usage_on_ask,
};

static int get_usage(unsigned int kid, struct usage *u)
{
	u32 length = sizeof(*u);
	int err;

	if (kid == pcn_self()) {
		read_usage(u);
		return 0;
	}
	err = pcn_msg_call(kid, PCN_CONTROL, PCN_TYPE_USAGE, NULL, 0, u, &length,
			   ASK_LIMIT_MS);
	return !err && length != sizeof(*u) ? -EBADMSG : err;
}

/* --- in /proc/popcorn --- */

static int show_usage(struct seq_file *m, void *v)
{
	u64 kernels = pcn_peers_up() | BIT_ULL(pcn_self());
	struct usage u;
	unsigned int kid;
	int err;

	for_each_kernel(kid, kernels) {
		err = get_usage(kid, &u);
		if (err == -EINTR)
			return err;
		if (err == -EHOSTDOWN || err == -ENODEV)
			continue;
		seq_printf(m, "kernel=%u state=%s", kid, err ? "silent" : "up");
		if (!err)
			seq_printf(m, " threads=%lld processes=%lld spaces=%lld records=%lld available=%lld slab=%lld",
				   u.threads, u.processes, u.spaces, u.records,
				   u.available, u.slab);
		seq_putc(m, '\n');
	}
	return 0;
}

static int show_objects(struct seq_file *m, void *v)
{
	struct usage u;

	read_usage(&u);
	seq_printf(m, "threads %lld\nprocesses %lld\nspaces %lld\nrecords %lld\n",
		   u.threads, u.processes, u.spaces, u.records);
	return 0;
}

static int __init pcn_usage_init(void)
{
	if (!pcn_machine_is_shared())
		return 0;
	proc_create_single("popcorn/objects", 0444, NULL, show_objects);
	proc_create_single("popcorn/usage", 0444, NULL, show_usage);
	return pcn_msg_register(&ask_type);
}
device_initcall(pcn_usage_init);

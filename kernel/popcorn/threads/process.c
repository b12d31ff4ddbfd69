// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that several kernels share: the table of them.
 *
 * At the origin a process is shared when its first thread leaves (share.c): every other
 * kernel that is up then makes a process of its own for it, with an address space at
 * first empty. The leader of that is the *keeper*, which never runs user code
 * (keeper.c): it copies itself for each thread that arrives (arrival.c). The copy becomes
 * the visitor. This is what makes all visitors of a process on a kernel one thread group.
 *
 * The keeper ends when the origin says so: when the address space there has gone. The
 * origin remembers which kernels have a part of the process (members.c), since the death
 * of one of them may be the end of all of it.
 *
 * A kernel has one table for both: the processes that it is the origin of, which have a
 * thread group (@tgid), and those of other origins, which have a keeper.
 *
 * pcn_processes_lock protects the table, what changes in its entries, and the visitors on
 * their way. Handlers that must not sleep take it, and so it is a spinlock.
 */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/lockdep.h>
#include <linux/pid.h>
#include <linux/slab.h>

#include <popcorn/hooks.h>

#include "internal.h"
#include "process.h"

LIST_HEAD(pcn_processes);
DEFINE_SPINLOCK(pcn_processes_lock);
static atomic_long_t processes_in_use;

const struct pcn_space_ops pcn_process_space_ops = {
	.share		= pcn_job_share,
	.hold_ns	= pcn_thread_hold_ns,
	.lose		= pcn_process_lose_member,
	.end		= pcn_process_end,
};

/**
 * pcn_processes_in_use - how many shared processes this kernel knows of
 *
 * Context: any.
 * Return: their number, which may change at any time.
 */
long pcn_processes_in_use(void)
{
	return atomic_long_read(&processes_in_use);
}

/**
 * pcn_process_find - look for a shared process
 * @number:	its number
 *
 * Context: any, with pcn_processes_lock held, which the caller keeps as long as it uses
 * the process.
 * Return: the process, or NULL.
 */
struct pcn_process *pcn_process_find(u64 number)
{
	struct pcn_process *p;

	lockdep_assert_held(&pcn_processes_lock);
	list_for_each_entry(p, &pcn_processes, node)
		if (p->number == number)
			return p;
	return NULL;
}

/**
 * pcn_process_new - make a shared process, which is not in the table yet
 * @number:	its number
 * @members:	kernels that share it
 * @proto:	the protocol of its pages
 *
 * Context: process; sleeps for memory.
 * Return: the process, to be given to pcn_process_free(); or NULL.
 */
struct pcn_process *pcn_process_new(u64 number, u64 members,
				    const struct pcn_proto *proto)
{
	struct pcn_process *p = kzalloc(sizeof(*p), GFP_KERNEL);

	if (!p)
		return NULL;
	atomic_long_inc(&processes_in_use);
	p->number = number;
	p->members = members;
	p->proto = proto;
	p->hosts = pcn_space_first_hosts(proto, members, pcn_number_kernel(number));
	p->introduced = p->hosts;
	mutex_init(&p->hosting);
	INIT_LIST_HEAD(&p->arrivals);
	INIT_LIST_HEAD(&p->idle);
	init_waitqueue_head(&p->wake);
	return p;
}

/**
 * pcn_process_free - free a shared process that is not in the table (any more)
 * @p:	the process, or NULL
 *
 * Context: process.
 */
void pcn_process_free(struct pcn_process *p)
{
	if (!p)
		return;
	atomic_long_dec(&processes_in_use);
	put_pid(p->tgid);
	pcn_reserve_empty(&p->reserve);
	kfree(p);
}

/**
 * pcn_process_enlist - put a shared process into the table
 * @p:	the process, complete: it can be found from now on
 *
 * Context: process.
 */
void pcn_process_enlist(struct pcn_process *p)
{
	spin_lock(&pcn_processes_lock);
	list_add(&p->node, &pcn_processes);
	spin_unlock(&pcn_processes_lock);
}

static struct pcn_peer_notifier process_watch = { .down = pcn_process_peer_down };

static const struct pcn_msg_type process_types[] = {
	{
		.name = "process-new", .channel = PCN_CONTROL,
		.type = PCN_TYPE_PROCESS_NEW, .may_sleep = true,
		.handle = pcn_process_on_new,
	}, {
		.name = "process-end", .channel = PCN_CONTROL,
		.type = PCN_TYPE_PROCESS_END, .may_sleep = true,
		.handle = pcn_process_on_end,
	}, {
		.name = "process-forgotten", .channel = PCN_CONTROL,
		.type = PCN_TYPE_PROCESS_FORGOTTEN, .handle = pcn_process_on_forgotten,
	}, {
		.name = "process-hosts", .channel = PCN_CONTROL,
		.type = PCN_TYPE_PROCESS_HOSTS, .handle = pcn_process_on_hosts,
	}, {
		.name = "process-lost", .channel = PCN_CONTROL,
		.type = PCN_TYPE_PROCESS_LOST, .handle = pcn_process_on_lost,
	}, {
		.name = "arrive", .channel = PCN_CONTROL,
		.type = PCN_TYPE_ARRIVE, .ready = pcn_arrival_ready,
		.handle = pcn_arrival_on_message,
	},
};

static int __init pcn_process_init(void)
{
	unsigned int i;
	int err;

	if (!pcn_machine_is_shared())
		return 0;
	for (i = 0; i < ARRAY_SIZE(process_types); i++) {
		err = pcn_msg_register(&process_types[i]);
		if (err)
			return err;
	}
	return pcn_peers_subscribe(&process_watch);
}
fs_initcall(pcn_process_init);

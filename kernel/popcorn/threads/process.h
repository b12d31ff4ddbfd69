/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What these files share about processes that several kernels share:
 *
 *	process.c	the table of them, and the messages about them
 *	share.c		at the origin: how a process comes to be shared, and its end
 *	members.c	the kernels that share a process, and what the loss of one means
 *	keeper.c	elsewhere: the task from which visitors are made
 *	arrival.c	elsewhere: visitors between the message and user mode
 *	idle.c		elsewhere: visitors whose thread has gone home
 *
 * internal.h has what others use of them.
 */
#ifndef _KERNEL_POPCORN_THREADS_PROCESS_H
#define _KERNEL_POPCORN_THREADS_PROCESS_H

#include <linux/build_bug.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <popcorn/core.h>
#include <popcorn/msg.h>
#include <popcorn/space.h>

struct mm_struct;
struct pcn_arrival;
struct pcn_proto;
struct pid;

/**
 * struct pcn_process_msg - a process is shared. On the wire
 * @number:	of its space
 * @members:	kernels that share it
 * @uid:	user that it runs as
 * @gid:	group
 * @protocol:	of its pages, enum pcn_proto_number
 * @pad:	zero
 * @comm:	its name
 */
struct pcn_process_msg {
	u64	number;
	u64	members;
	u32	uid;
	u32	gid;
	u8	protocol;
	u8	pad[7];
	u8	comm[16];
};

static_assert(sizeof(struct pcn_process_msg) == 48);

/**
 * struct pcn_hosts_msg - kernels that have, or are to have, threads of a process. On the wire
 * @number:	of its space
 * @hosts:	bit kid is set for each
 */
struct pcn_hosts_msg {
	u64	number;
	u64	hosts;
};

static_assert(sizeof(struct pcn_hosts_msg) == 16);

/**
 * struct pcn_process - a shared process
 * @node:	in pcn_processes
 * @number:	of its space
 * @members:	kernels that share it
 * @proto:	the protocol of its pages
 * @lost:	at the origin: those of them that have gone down, which know nothing of
 *		it any more when they are up again
 * @forming:	at the origin: it has no space yet: nothing of it is with a member, and
 *		nothing is lost with one
 * @tgid:	at the origin: its thread group, with a reference; NULL elsewhere
 * @mm:		at the origin: its address space, which outlives this structure. Other
 *		processes may use it too (CLONE_VM), and may use it for longer than the
 *		thread group exists: compare it, and look for tasks that use it.
 * @doomed:	at the origin: why all that use @mm are to be killed, or NULL
 * @doom:	the kernel that @doomed is about
 * @farewell:	at the origin: tells the others of its end
 * @hosts:	at the origin: kernels that have had a thread of it, and so may have
 *		the only copies of pages; what pcn_space_admit() has been told
 * @introduced:	at the origin: those of them that all others know of
 * @hosting:	at the origin: one kernel at a time is to become a host, when there is a space
 * @arrivals:	elsewhere: visitors that are to be
 * @idle:	elsewhere: visitors whose thread has gone
 * @idle_count:	elsewhere: how many
 * @reserve:	elsewhere: memory to tell the origin that this part of it is lost
 * @wake:	for the keeper
 * @end:	for the keeper: it has to end
 */
struct pcn_process {
	struct list_head	node;
	u64			number;
	u64			members;
	const struct pcn_proto	*proto;
	u64			lost;
	bool			forming;
	struct pid		*tgid;
	struct mm_struct	*mm;
	const char		*doomed;
	unsigned int		doom;
	struct work_struct	farewell;
	u64			hosts;
	u64			introduced;
	struct mutex		hosting;
	struct list_head	arrivals;
	struct list_head	idle;
	unsigned int		idle_count;
	struct pcn_reserve	reserve;
	wait_queue_head_t	wake;
	bool			end;
};

/* process.c */
extern struct list_head pcn_processes;
extern spinlock_t pcn_processes_lock;
extern const struct pcn_space_ops pcn_process_space_ops;
struct pcn_process *pcn_process_find(u64 number);
struct pcn_process *pcn_process_new(u64 number, u64 members,
				    const struct pcn_proto *proto);
void pcn_process_free(struct pcn_process *p);
void pcn_process_enlist(struct pcn_process *p);

/* share.c */
void pcn_process_end(u64 number);

/* members.c */
int pcn_member_error(unsigned int kid, int err);
void pcn_process_formed(struct pcn_process *p);
bool pcn_process_lose_member(u64 number, unsigned int kid, const char *why);
void pcn_process_on_hosts(const struct pcn_message *msg);
void pcn_process_on_lost(const struct pcn_message *msg);
void pcn_process_on_forgotten(const struct pcn_message *msg);
void pcn_process_peer_down(struct pcn_peer_notifier *watch, unsigned int kid);

/* keeper.c */
void pcn_keeper_end(struct pcn_process *p);
void pcn_process_on_new(const struct pcn_message *msg);
void pcn_process_on_end(const struct pcn_message *msg);

/* arrival.c */
struct pcn_arrival *pcn_arrival_next(struct pcn_process *p);
bool pcn_arrival_ready(void);
void pcn_arrival_on_message(const struct pcn_message *msg);

/* idle.c */
bool pcn_idle_take(struct pcn_process *p, struct pcn_arrival *a);
void pcn_idle_end_all(struct pcn_process *p);

#endif /* _KERNEL_POPCORN_THREADS_PROCESS_H */

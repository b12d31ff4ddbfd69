/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A space: pages that several kernels share, by a protocol that all of them use for it.
 *
 * It is the kernel's interpreter of the protocol core (popcorn/proto.h): it has
 * a record with the replica of each page, gives messages and local accesses to
 * the protocol as events, one after the other per page, and does what it says.
 * The pages of a space are those of a process, or kernel memory that threads use
 * between pcn_access_begin() and pcn_access_end().
 */
#ifndef _POPCORN_SPACE_H
#define _POPCORN_SPACE_H

#include <linux/build_bug.h>
#include <linux/list.h>
#include <linux/types.h>

#include <popcorn/msg.h>

struct mm_struct;
struct pcn_proto;
struct pcn_record;
struct pcn_space;
struct pt_regs;

/**
 * struct pcn_page_msg - a message of the page coherency protocol on the wire
 * @space:	number of the space
 * @page:	number of the page in it
 * @type:	as in struct pcn_proto_event, as is all that follows
 * @from:	the sender
 * @who:	the kernel that it is about
 * @hops:	how often it was forwarded
 * @flags:	PCN_DATA: PAGE_SIZE bytes follow this structure
 * @heir:	the kernel that takes the place of @who
 * @early:	with PCN_DATA, 1 if the page was asked for too early, before it was used
 * @absent:	with PCN_DATA, 1 if the data is not the page, which can be used at the origin
 *		alone
 * @cs:		copyset
 * @stamp:	Lamport time
 * @version:	of the data
 * @floor:	lowest version that is acceptable
 * @pad1:	zero
 */
struct pcn_page_msg {
	u64	space;
	u64	page;
	u8	type;
	u8	from;
	u8	who;
	u8	hops;
	u8	flags;
	u8	heir;
	u8	early;
	u8	absent;
	u64	cs;
	u64	stamp;
	u64	version;
	u64	floor;
	u64	pad1;
};

/**
 * struct pcn_access - a use of a page
 * @data:	the page: PAGE_SIZE bytes
 * @record:	private
 */
struct pcn_access {
	void			*data;
	struct pcn_record	*record;
};

/**
 * struct pcn_space_stats - what has happened in a space on this kernel
 * @hits:	accesses that needed no message
 * @misses:	accesses that did
 * @messages:	messages of the protocol sent
 * @copies:	those with a page
 * @holds:	times that a page stayed until an access was over
 * @impossible:	events that the protocol has refused: bugs
 * @unsent:	messages that were lost: no memory, or a broken link
 * @adopted:	plain pages that have become the protocol's
 * @rounds:	changes of the address space that members had to be told of
 * @stuck:	pages that could not be had at once, as others referred to them
 * @returned:	pages that the origin was asked to take, as memory was short here
 */
struct pcn_space_stats {
	atomic64_t	hits;
	atomic64_t	misses;
	atomic64_t	messages;
	atomic64_t	copies;
	atomic64_t	holds;
	atomic64_t	impossible;
	atomic64_t	unsent;
	atomic64_t	adopted;
	atomic64_t	rounds;
	atomic64_t	stuck;
	atomic64_t	returned;
};

/**
 * struct pcn_space_ops - what an address space asks of the process that it belongs to
 * @share:	the current process comes to be shared: return the number of its job, 0 if
 *		it has none. At the origin; process context
 * @hold_ns:	return for how long, ns, the current thread is to have the page of number
 *		@page, which others want, if there is reason to think that it needs other
 *		pages with it, and otherwise 0; @of_use: the last time that it was here it
 *		was used, in user mode. Process context, in a page fault
 * @lose:	the kernel @kid has no part of space @number any more, because of @why; at
 *		the origin. Return true if the process is killed. Process context, with no
 *		lock held
 * @end:	the address space of space @number is going. Process context
 *
 * All of them are there. Spaces of kernel memory belong to no process, and have no ops.
 */
struct pcn_space_ops {
	u64 (*share)(void);
	u64 (*hold_ns)(u64 page, bool of_use);
	bool (*lose)(u64 number, unsigned int kid, const char *why);
	void (*end)(u64 number);
};

/**
 * struct pcn_vma - what a member is told of a VMA. On the wire
 * @start:	its first address
 * @end:	the first one behind it
 * @flags:	VM_READ, VM_WRITE, VM_EXEC, their VM_MAY*, and the protection key; and
 *		PCN_VMA_PART
 * @epoch:	of the address space
 */
struct pcn_vma {
	u64	start;
	u64	end;
	u64	flags;
	u64	epoch;
};

static_assert(sizeof(struct pcn_vma) == 32);

/** PCN_VMA_PART - of pcn_vma.flags: which part of the vDSO it is, enum pcn_vdso_part */
#define PCN_VMA_PART	GENMASK_ULL(63, 62)

/**
 * struct pcn_give - pages that a member gives up: see pcn_space_give_up()
 * @node:	in the list of the space
 * @first:	number of the first page
 * @last:	number of the last one
 */
struct pcn_give {
	struct list_head	node;
	u64			first;
	u64			last;
};

struct pcn_space *pcn_space_create(u64 number, u64 members, unsigned int origin);
struct pcn_space *pcn_space_create_mm(u64 number, u64 members,
				      unsigned int origin, struct mm_struct *mm,
				      const struct pcn_proto *proto,
				      const struct pcn_space_ops *ops);
struct pcn_space *pcn_space_get(u64 number);
void pcn_torn_wait(struct mm_struct *mm);
void pcn_space_put(struct pcn_space *space);
u64 pcn_space_number(const struct pcn_space *space);
bool pcn_space_is_coherent(const struct pcn_space *space);
u64 pcn_space_first_hosts(const struct pcn_proto *proto, u64 members,
			  unsigned int origin);
bool pcn_space_admit(u64 number, u64 hosts);
void pcn_space_break(u64 number);
void pcn_kept_forgot(u64 number, unsigned int kid);
void pcn_borrow_thread_ends(struct mm_struct *mm);
bool pcn_space_give_up(struct pcn_space *space, struct pcn_give *give, u64 first, u64 last);
void pcn_space_give_up_end(struct pcn_space *space, struct pcn_give *give);
void pcn_space_given_up(u64 number, unsigned int kid, u64 first, u64 last);
bool pcn_space_lose_member(u64 number, unsigned int kid);
void pcn_mm_kill_users(const struct mm_struct *mm, const char *why);
void pcn_space_destroy(struct pcn_space *space);
int pcn_vma_fetch(struct mm_struct *mm, unsigned long address, bool missing);
bool pcn_vma_tell(struct mm_struct *mm, unsigned long address, unsigned int kid,
		  struct pcn_vma *told);
void pcn_vma_told(struct mm_struct *mm, unsigned long address,
		  const struct pcn_vma *told);
bool pcn_vma_is_void(struct mm_struct *mm, unsigned long address);
int pcn_buffers_enter(struct pcn_space *space, struct pt_regs *regs);
long pcn_records_in_use(void);
long pcn_spaces_in_use(void);
struct pcn_space_stats *pcn_space_stats(struct pcn_space *space);
int pcn_access_begin(struct pcn_access *access, struct pcn_space *space,
		     u64 page, bool write);
void pcn_access_end(struct pcn_access *access);

#endif /* _POPCORN_SPACE_H */

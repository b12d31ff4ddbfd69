/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the page layer share. See Documentation/popcorn/pages.rst.
 *
 * Locks, outermost first: pcn_space.round; mmap_lock and VMA locks; i_mmap_rwsem of
 * a file; pcn_record.lock; page table locks, and the ports' locks of the messaging
 * layer. spaces_lock, pcn_space.changes_lock and pcn_shard.lock are for lookups alone,
 * with nothing taken inside but locks of wait queues. A thread waits for another
 * kernel with none of them but pcn_space.round, except in a fault that may not let go
 * of mmap_lock, as when /proc/PID/mem is read.
 *
 * Code that such a fault waits for must not wait for mmap_lock, since a writer may
 * queue between the two. So threads that have been granted a page, and work items,
 * use a VMA's lock, which can be had whenever somebody has mmap_lock to read, or try
 * mmap_lock. Work items do wait for mmap_lock to adopt a plain page; but such a fault
 * does not wait for them, it goes ahead of events that are held (pcn_access_may_enter()).
 */
#ifndef _MM_POPCORN_INTERNAL_H
#define _MM_POPCORN_INTERNAL_H

#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/rbtree.h>
#include <linux/semaphore.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <asm/popcorn.h>

#include <popcorn/hold.h>
#include <popcorn/partition.h>
#include <popcorn/proto.h>
#include <popcorn/space.h>

/** PCN_LAST_PAGE - number of the last page of user space */
#define PCN_LAST_PAGE	((TASK_SIZE_MAX >> PAGE_SHIFT) - 1)

/** enum pcn_mapping - what a kernel may do with a page */
enum pcn_mapping {
	PCN_MAP_NONE,
	PCN_MAP_RDONLY,
	PCN_MAP_RDWR,
};

/**
 * struct pcn_queued - an event that waits for its turn
 * @node:	in pcn_backlog.queue
 * @msg:	the event
 * @data:	the page that came with it, if it has PCN_DATA
 */
struct pcn_queued {
	struct list_head	node;
	struct pcn_proto_event		msg;
	u8			data[PAGE_SIZE];
};

/**
 * struct pcn_backlog - what waits until a page is not in use, or for memory
 * @r:		whose it is
 * @step:	a step that is not done yet, if it has actions
 * @at:		its next action
 * @queue:	events that come after it
 * @turn:	in a list of the worker's, which has a reference to @r then (worker.c)
 * @due:	when it is the record's turn, ktime_get_ns()
 * @stuck_since: others have referred to the page since then, and it is to be taken away
 *		from them, in jiffies; 0: no
 * @slow:	a work item is about to go on with it
 */
struct pcn_backlog {
	struct pcn_record	*r;
	struct pcn_out		step;
	unsigned int		at;
	struct list_head	queue;
	struct list_head	turn;
	u64			due;
	unsigned long		stuck_since;
	bool			slow;
};

/**
 * struct pcn_record - one page here
 * @node:	in pcn_shard.records
 * @space:	whose page it is
 * @page:	its number: of a process, its address by PAGE_SIZE
 * @refs:	references: one of the space as long as the record is in it, and one each
 *		of threads, work items, the worker and handlers that use it. The last one
 *		frees the record
 * @lock:	protects everything that follows
 * @backlog:	events wait until nobody uses the page, or for memory; or NULL
 * @frame:	the page; there once a thread here has wanted it
 * @replica:	the protocol's
 * @poster:	the thread whose access is with the protocol, NULL once it gave up
 * @adopter:	the thread that makes a plain page the protocol's
 * @active:	accesses that are under way
 * @changes:	counts what threads may wait for: wait_var_event()
 * @hold:	for how long the page stays
 * @may:	what the protocol lets this kernel do with the page, enum pcn_mapping
 * @mapped:	what the page table lets it do, never more than @may; exact
 * @plain:	at the origin of a process: the protocol has not touched the page,
 *		it is Linux's alone. No frame; accesses need nobody's leave
 * @torn:	at the origin: Linux has taken the page out of the address space, and
 *		members have not been told yet. Written with the record's lock and the
 *		shard's
 * @absent:	what the protocol has here is not the page: that is Linux's, at the origin,
 *		where alone it can be used. See adopt.c
 * @pending:	a local access is with the protocol
 * @granted:	@poster may use the page, whatever @may says
 * @lost:	the content of the page is lost
 * @dropped:	it is in its space no more
 * @came_before: the page has come here from another kernel
 * @counted:	it has come for the access that was with the protocol last
 * @waiters:	walks that wait until nothing is under way, with a reference each; no more
 *		than work items of rounds run at a time
 *
 * There is one for each page that several kernels use, so it is small: what only
 * contention needs is in @backlog.
 */
struct pcn_record {
	struct rb_node		node;
	struct pcn_space	*space;
	u64			page;
	refcount_t		refs;
	spinlock_t		lock;
	struct pcn_backlog	*backlog;
	struct page		*frame;
	struct pcn_replica	replica;
	struct task_struct	*poster;
	struct task_struct	*adopter;
	unsigned int		active;
	unsigned int		changes;
	struct pcn_hold		hold;
	u8			may : 4;
	u8			mapped : 4;
	bool			plain;
	bool			torn;
	bool			absent;
	bool			pending : 1;
	bool			granted : 1;
	bool			lost : 1;
	bool			dropped : 1;
	bool			came_before : 1;
	bool			counted : 1;
	u16			waiters;
};

/**
 * struct pcn_range - pages whose mapping changes
 * @first:	number of the first page
 * @last:	number of the last one
 * @owner:	the thread that changes it, which may go on using the pages
 * @on:		there is such a range
 */
struct pcn_range {
	u64			first;
	u64			last;
	struct task_struct	*owner;
	bool			on;
};

/**
 * struct pcn_plain_fault - Linux handles a fault of a page without a record
 * @node:	in pcn_shard.faults
 * @page:	number of the page
 */
struct pcn_plain_fault {
	struct hlist_node	node;
	u64			page;
};

/**
 * PCN_TREE_FLAGS - of maple trees that are read without their locks
 *
 * Nodes that say where there is room are not needed. But of others mt_destroy_walk() of 6.12
 * spoils the last pointer, if it is a tree's root that is full: mt_clear_meta() takes that for
 * what a node with fewer children has in its place, and what mt_free_walk() frees later is
 * no node. See tree_test.c.
 */
#define PCN_TREE_FLAGS	(MT_FLAGS_USE_RCU | MT_FLAGS_ALLOC_RANGE)

/**
 * struct pcn_member - at the origin: what a member knows of the address space
 * @published:	addresses whose VMAs it knows
 * @epoch:	counts changes of VMAs that it was told of. An answer that has met one on
 *		its way is of an older epoch; @changes_lock
 */
struct pcn_member {
	struct maple_tree	published;
	u64			epoch;
};

/** PCN_SHARDS - parts that the records of a space are divided into */
#define PCN_SHARDS	16

/**
 * struct pcn_shard - the records of some pages of a space
 * @lock:	protects what follows. Faults of pages in different shards do not meet
 * @records:	the records, by page
 * @faults:	at the origin: faults of pages that have no record. A record that is
 *		made meanwhile waits for them before the page is adopted
 * @frozen:	no access to these pages begins; the same in all shards
 * @alive:	records that have been in it and have not been freed
 */
struct pcn_shard {
	spinlock_t		lock;
	struct rb_root		records;
	struct hlist_head	faults;
	struct pcn_range	frozen;
	unsigned long		alive;
} ____cacheline_aligned_in_smp;

/**
 * struct pcn_space - pages that some kernels share
 * @node:	in spaces
 * @number:	the same on all of them
 * @group:	the kernels
 * @hosts:	those of them that have something to do with its pages, and no others are
 *		listened to: of a process, those that have had threads of it. Grows only
 * @proto:	the protocol
 * @mm:		the address space here, or NULL for pages of kernel memory
 * @ops:	of the process that @mm belongs to; NULL without @mm
 * @pid:	at the origin: the process that the address space belongs to, or NULL
 * @shard:	the pages that this kernel has to do with
 * @thawed:	threads that wait for the end of pcn_shard.frozen, or of a torn page
 * @quiet:	threads and work items that wait until a record is not used
 * @broken:	the process ends: nobody waits any more
 * @ending:	the space is being destroyed: nothing is begun with a record
 * @epoch:	at a member: pcn_member.epoch as it knows it; written with mmap_lock held, to
 *		read in handlers alone
 * @round:	one round at a time: at the origin held from its beginning to its end, at a
 *		member while pages are dropped. Not a mutex: a round that was interrupted is
 *		finished by another task
 * @round_number: at the origin: of the last round; at a member: of the one that is under
 *		way, 0 for none; @changes_lock
 * @unmapped:	at a member: what that one has had unmapped, if anything; @changes_lock
 * @unmappers:	at the origin: threads that use the space without a reference to its mm
 *		while they remove entries of page tables; @changes_lock
 * @unmaps:	at the origin: Linux is removing entries of page tables so many times: no
 *		page is adopted meanwhile
 * @adoptions_put_off: at the origin: there were such pages
 * @torn:	at the origin: torn records that members have not dropped yet. Wakes @thawed
 *		when it becomes 0
 * @changes_lock: protects the lists that follow
 * @changes:	at the origin: changes of the address space that are under way
 * @changes_ended: how many are over
 * @asks:	at the origin: questions about VMAs that are to be answered
 * @parked:	at the origin: those that wait for the end of a change
 * @asks_count:	how many are in either
 * @ask_work:	at the origin: answers them
 * @torn_work:	at the origin: tells members of torn pages
 * @rest_until:	at the origin: no round begins before, ktime_get_ns(). Set for threads that
 *		ask again and again, since their VMAs go before they are used
 * @last_round:	at the origin: when the last round was over, ktime_get_ns(), or 0; with @round
 * @member:	at the origin: what each member knows
 * @origin_only:	at the origin: addresses that they must not know
 * @stale:	at a member: addresses whose VMAs the origin has changed: they are as good
 *		as gone, until the origin is asked for them again; written with mmap_lock
 *		held, to read in handlers alone
 * @hand_shard:	at a member: where the shrinker goes on; its batch is claimed
 * @hand_page:	likewise
 * @mirror:	at the origin of coherent memory; otherwise NULL
 * @borrow:	at a member of coherent memory; otherwise NULL
 * @files_given: at the origin: some may have mapped files of their own, or the vDSO
 * @files_forbidden: at the origin: they must not, pages are not what is in the files
 * @stats:	counters
 * @tally:	more of them, which outlive the space
 * @hot:	the pages that come here most often; NULL: none has come a second time
 */
struct pcn_space {
	struct list_head	node;
	u64			number;
	struct pcn_kernel_group	group;
	u64			hosts;
	const struct pcn_proto	*proto;
	struct mm_struct	*mm;
	const struct pcn_space_ops *ops;
	struct pid		*pid;
	struct pcn_shard	shard[PCN_SHARDS];
	wait_queue_head_t	thawed;
	wait_queue_head_t	quiet;
	bool			broken;
	bool			ending;
	u64			epoch;
	struct semaphore	round;
	u64			round_number;
	struct pcn_range	unmapped;
	unsigned int		unmappers;
	atomic_t		unmaps;
	atomic_t		adoptions_put_off;
	atomic_t		torn;
	spinlock_t		changes_lock;
	struct list_head	changes;
	u64			changes_ended;
	struct list_head	asks;
	struct list_head	parked;
	unsigned int		asks_count;
	struct work_struct	ask_work;
	struct work_struct	torn_work;
	atomic64_t		rest_until;
	u64			last_round;
	struct pcn_member	member[PCN_KERNELS_MAX];
	struct maple_tree	origin_only;
	struct maple_tree	stale;
	unsigned int		hand_shard;
	u64			hand_page;
	struct pcn_mirror	*mirror;
	struct pcn_borrow	*borrow;
	bool			files_given;
	bool			files_forbidden;
	struct pcn_space_stats	stats;
	struct pcn_tally	*tally;
	struct pcn_hot		*hot;
};

/**
 * struct pcn_context - what a step may use
 * @node:	in the pool of those that nobody needs
 * @reserve:	memory for messages
 * @spare:	memory for a backlog
 * @locked:	the mm's mmap_lock is held, to read
 * @retry_ns:	how long it takes until a VMA that cannot be locked is tried again
 * @again:	the step has to wait, and the worker is to go on with it at this time,
 *		ktime_get_ns(); 0: somebody else will
 * @until:	an access gives up then, ktime_get_ns(); 0: it does not
 * @dummy:	a frame that the record goes on with if nobody waits any more for those that
 *		refer to its own, and then NULL; or NULL
 */
struct pcn_context {
	struct list_head	node;
	struct pcn_reserve	reserve;
	struct pcn_backlog	*spare;
	bool			locked;
	u64			retry_ns;
	u64			again;
	u64			until;
	struct page		**dummy;
};

static inline bool pcn_is_origin(const struct pcn_space *s)
{
	return s->group.self == s->group.origin;
}

/* Is a kernel listened to when it speaks, or another one speaks of it? */
static inline bool pcn_is_host(const struct pcn_space *s, unsigned int kid)
{
	return READ_ONCE(s->hosts) & BIT_ULL(kid);
}

/* Bit kid is set for each member but this kernel. */
static inline u64 pcn_other_members(const struct pcn_space *s)
{
	return s->group.members & ~BIT_ULL(s->group.self);
}

/**
 * pcn_is_coherent - is the memory of a space coherent, by the hardware?
 * @s:	the space
 *
 * Context: any.
 */
static inline bool pcn_is_coherent(const struct pcn_space *s)
{
	return s->proto == &pcn_proto_direct;
}

/**
 * pcn_record_pfn - the number of the frame that a page is in
 * @r:	the record
 *
 * Context: the record's lock is held.
 * Return: the number, or 0.
 */
static inline unsigned long pcn_record_pfn(const struct pcn_record *r)
{
	return r->frame ? page_to_pfn(r->frame) : 0;
}

static inline bool pcn_record_in_use(const struct pcn_record *r)
{
	return r->active || r->granted;
}

/* Do events wait? Without the lock it is no more than a hint. */
static inline bool pcn_record_is_held(const struct pcn_record *r)
{
	return READ_ONCE(r->backlog);
}

/* space.c */
struct pcn_space *pcn_space_find(u64 number);

/* record.c */
struct pcn_shard *pcn_shard_of(struct pcn_space *s, u64 page);
int pcn_records_init(void);
void pcn_shards_init(struct pcn_space *s);
struct pcn_record *pcn_record_new(gfp_t gfp);
void pcn_record_discard(struct pcn_record *r);
struct pcn_record *pcn_record_find(struct pcn_space *s, u64 page,
				   struct pcn_record **spare);
struct pcn_record *pcn_record_find_or_make(struct pcn_space *s, u64 page,
					   struct pcn_record **spare);
struct pcn_record *pcn_record_get(struct pcn_space *s, u64 page);
struct pcn_record *pcn_record_get_open(struct pcn_space *s, u64 page);
struct pcn_record *pcn_record_get_or_plain(struct pcn_space *s, u64 page,
					   struct pcn_plain_fault *fault);
void pcn_plain_fault_end(struct pcn_space *s, struct pcn_plain_fault *fault);
bool pcn_has_plain_fault(struct pcn_space *s, u64 page);
struct pcn_record *pcn_record_next(struct pcn_shard *shard, u64 page);
struct pcn_record *pcn_record_next_get(struct pcn_shard *shard, u64 page);
bool pcn_page_is_shut(struct pcn_space *s, u64 page);
void pcn_space_freeze(struct pcn_space *s, u64 first, u64 last,
		      struct task_struct *owner);
void pcn_space_thaw(struct pcn_space *s);
bool pcn_space_tear(struct pcn_space *s, u64 first, u64 last);
void pcn_record_put(struct pcn_record *r);
void pcn_record_drop(struct pcn_record *r, bool released);
void pcn_records_end(struct pcn_space *s);

struct pcn_record *pcn_record_walk(struct pcn_space *s, struct pcn_shard **shard,
				   u64 page, u64 first, u64 last);

/* The number of the page behind that of a record, which is put. */
static inline u64 pcn_record_leave(struct pcn_record *r)
{
	u64 page = r->page;

	pcn_record_put(r);
	return page + 1;
}

/**
 * for_each_record - walk through the records of a range, in each shard by page
 * @r:		the record, with a reference that the walk gives back. To leave the
 *		walk early takes pcn_record_put(@r)
 * @at:		the shard
 * @s:		the space
 * @first:	number of the first page
 * @last:	number of the last one
 */
#define for_each_record(r, at, s, first, last)						\
	for ((at) = (s)->shard, (r) = pcn_record_walk(s, &(at), first, first, last); (r);	\
	     (r) = pcn_record_walk(s, &(at), pcn_record_leave(r), first, last))

/* step.c */
void pcn_record_changed(struct pcn_record *r);
void pcn_backlog_free(struct pcn_record *r);
void pcn_record_post_access(struct pcn_record *r, bool write, struct pcn_context *c);
void pcn_record_resume(struct pcn_record *r, struct pcn_context *c);
void pcn_frame_drop(struct pcn_record *r);
int pcn_step_init(void);

/* access.c */
struct pcn_context *pcn_context_get(struct pcn_space *s);
void pcn_context_put(struct pcn_context *c);
bool pcn_access_may_enter(struct pcn_record *r, bool write, bool hurry);
int pcn_access_enter(struct pcn_record *r, bool write, struct pcn_context *c);
void pcn_access_leave(struct pcn_record *r);
void pcn_access_leave_mapped(struct pcn_record *r, u64 ns);

/* map.c, adopt.c, worker.c */
int pcn_worker_init(void);
int pcn_frame_alloc(struct pcn_record *r, struct vm_area_struct *vma, gfp_t gfp);
int pcn_page_map_prepare(struct vm_area_struct *vma, unsigned long address,
			 bool mm_locked);
void pcn_page_map(struct pcn_record *r, struct vm_area_struct *vma);
bool pcn_page_reduce(struct pcn_record *r, enum pcn_mapping to, struct pcn_context *c);
bool pcn_page_test_used(struct pcn_record *r);
void pcn_page_unmap_at_member(struct pcn_record *r);
void pcn_record_kick(struct pcn_record *r, u64 due);
void pcn_record_cancel(struct pcn_record *r);
void pcn_record_adopt_soon(struct pcn_record *r);
bool pcn_page_release(struct pcn_record *r, struct vm_area_struct *vma, u64 left);
void pcn_page_remove(struct pcn_record *r, struct vm_area_struct *vma);
bool pcn_vma_replicates(struct vm_area_struct *vma);
bool pcn_page_is_absent(struct pcn_space *s, u64 page);
extern const struct vm_operations_struct pcn_vm_ops;
extern const struct vm_operations_struct pcn_void_ops;

/* stats.c */
int pcn_tally_new(struct pcn_space *s, bool mm);
void pcn_tally_drop(struct pcn_space *s);
void pcn_tally_end(struct pcn_space *s);
pid_t pcn_tally_tgid(const struct pcn_space *s);
void pcn_count_send(struct pcn_record *r, const struct pcn_proto_event *m,
		    unsigned int to);
void pcn_count_fault(struct pcn_space *s, bool write, bool enters, bool plain);
u64 pcn_wait_begin(struct pcn_space *s, u64 page, bool write);
void pcn_wait_end(struct pcn_space *s, u64 page, bool write, u64 since, bool had);

/* hot.c */
void pcn_hot_count(struct pcn_record *r, unsigned int from);
void pcn_hot_end(struct pcn_space *s);

/**
 * struct pcn_digest - of a file's content, by fs-verity. On the wire
 * @size:	bytes of @value; 0: there is none
 * @algorithm:	FS_VERITY_HASH_ALG_*
 * @pad:	zero
 * @value:	zeros behind @size
 */
struct pcn_digest {
	u8	size;
	u8	algorithm;
	u8	pad[6];
	u8	value[64];
};

/**
 * struct pcn_file - a file that other kernels may have, too. On the wire
 * @offset:	number of its page at address 0
 * @digest:	of the file
 * @path:	where the origin has it; no more than that is sent
 */
struct pcn_file {
	u64			offset;
	struct pcn_digest	digest;
	char			path[1024];
};

/* file.c */
enum pcn_vdso_part pcn_file_part(struct pcn_space *s, struct vm_area_struct *vma);
u32 pcn_file_describe(struct pcn_space *s, struct vm_area_struct *vma,
		      struct pcn_file *f);
bool pcn_files_forbid(struct pcn_space *s);
struct file *pcn_file_open(const struct pcn_file *f, u32 length, unsigned long prot);
int pcn_file_map(struct pcn_space *s, struct file *file, const struct pcn_file *f,
		 u64 start, u64 end, unsigned long prot);

/* change.c */

/**
 * struct pcn_change - a change of an address space that is under way
 * @node:	in pcn_space.changes
 * @first:	number of the first page
 * @last:	number of the last one
 * @owner:	the task that makes it, NULL once it has left that to @finish
 * @space:	the space
 * @finish:	brings to its end a round whose owner could not
 * @flags:	PCN_CHANGE_*
 * @depth:	changes that @owner has begun within this one
 * @members:	those that take part in the round: all that know something of the range
 * @round:	there is one
 * @dropped:	they have dropped its pages
 * @thawed:	they have been told to go on
 */
struct pcn_change {
	struct list_head	node;
	u64			first;
	u64			last;
	struct task_struct	*owner;
	struct pcn_space	*space;
	struct work_struct	finish;
	unsigned int		flags;
	unsigned int		depth;
	u64			members;
	bool			round;
	bool			dropped;
	bool			thawed;
};

int pcn_change_begin(struct pcn_space *s, u64 start, u64 end, unsigned int flags);
void pcn_change_end_space(struct pcn_space *s, bool failed);
int pcn_change_recall(struct pcn_space *s);
void pcn_tell_of_torn(struct work_struct *work);
void pcn_space_keep_off_rounds(struct pcn_space *s, u64 ns);
void pcn_space_wait_for_unmappers(struct pcn_space *s);

/* round.c */
int pcn_round_begin(struct pcn_change *c);
int pcn_round_end(struct pcn_change *c);
int pcn_round_finish(struct pcn_change *c);
bool pcn_space_has_torn(struct pcn_space *s, u64 first, u64 last);

/* follow.c */
int pcn_follow_init(void);
void pcn_pages_unmap(struct mm_struct *mm);

/* space.c */
void pcn_space_kill(struct pcn_space *s, const char *why);
struct pcn_space *pcn_space_next_visiting(void);
unsigned long pcn_frames_visiting(void);

/* shrink.c */
int pcn_shrink_init(void);
void pcn_vmas_forget(struct mm_struct *mm);
void pcn_vmas_clean(struct pcn_space *s);
void pcn_vmas_drop(struct mm_struct *mm, unsigned long start, unsigned long end);
bool pcn_vma_is_stale(struct pcn_space *s, unsigned long address);

/* buffers.c */
void pcn_origin_only(struct pcn_space *s, u64 start, u64 end, bool on);

/* vma.c */
u64 pcn_vma_kept_flags(const struct vm_area_struct *vma);
bool pcn_vma_lends(struct vm_area_struct *vma);
struct vm_area_struct *pcn_vma_find_or_expand(struct pcn_space *s, unsigned long address);
int pcn_vma_init(void);
void pcn_vma_answer(struct work_struct *work);
void pcn_vma_unpark(struct pcn_space *s);
void pcn_vma_end_asks(struct pcn_space *s);

#include "page_check.h"

/**
 * pcn_record_set_frame - give a record another frame, or none
 * @r:		the record
 * @frame:	the frame, or NULL
 *
 * The references are the caller's. At a member the frame counts as the process's there.
 *
 * Context: the record's lock is held, or nobody else knows of the record.
 */
static inline void pcn_record_set_frame(struct pcn_record *r, struct page *frame)
{
	pcn_check_frame(r, frame);
	if (r->space && r->space->mm && !pcn_is_origin(r->space))
		add_mm_counter(r->space->mm, MM_ANONPAGES, !!frame - !!r->frame);
	WRITE_ONCE(r->frame, frame);
}

#endif /* _MM_POPCORN_INTERNAL_H */

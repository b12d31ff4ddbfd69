/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Coherent memory: what its two sides share. See mirror.c for the idea.
 */
#ifndef _MM_POPCORN_MIRROR_H
#define _MM_POPCORN_MIRROR_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/mmu_notifier.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include <popcorn/partition.h>
#include <popcorn/space.h>

struct pcn_kept;

/** PCN_BLOCK_PAGES - pages of a block: what one page table has, and one answer is about */
#define PCN_BLOCK_PAGES		512

/** PCN_AHEAD_MAX - so many are made at a time, at most: a handler does it */
#define PCN_AHEAD_MAX		16U

/** PCN_GIVE_MAX - so many pages are given up at a time, at most: a handler notes it */
#define PCN_GIVE_MAX		(32 * PCN_BLOCK_PAGES)

/** PCN_CHANGES - changes at a time that are told apart */
#define PCN_CHANGES		8

/** PCN_FRAME_WRITE - of pcn_frames.frame: the page may be written */
#define PCN_FRAME_WRITE		BIT_ULL(0)
/** PCN_FRAME_THERE - of pcn_frames.frame: the number of the page frame is in the upper bits */
#define PCN_FRAME_THERE		BIT_ULL(1)
/** PCN_FRAME_ALIEN - of pcn_frames.frame: there is something that is not to be lent */
#define PCN_FRAME_ALIEN		BIT_ULL(2)
/** PCN_FRAME_SHIFT - where the number of the page frame is */
#define PCN_FRAME_SHIFT		12

/**
 * struct pcn_frames_ask - which frames are these pages in? On the wire
 * @space:	number of the space
 * @page:	number of the page that is needed
 * @first:	number of the first page that is of use, in the same block
 * @count:	how many are
 * @ahead:	how many from @page on, in steps of @stride, are likely to be used soon, and worth
 *		being made
 * @cookie:	comes back with the answer
 * @write:	1: the page is to be written
 * @given:	1: the member had an entry of it, and has given that up
 * @stride:	number of pages, less than 0 if they go down
 * @pad:	zero
 */
struct pcn_frames_ask {
	u64	space;
	u64	page;
	u64	first;
	u16	count;
	u16	ahead;
	u32	cookie;
	u8	write;
	u8	given;
	s16	stride;
	u8	pad[4];
};

/**
 * struct pcn_frames_head - the answer, on the wire. @count frames follow
 * @space:	number of the space
 * @first:	number of the first page
 * @vma:	what is there; its epoch is 0
 * @cookie:	of the question
 * @status:	0, or why there is no frame: a negative errno
 * @count:	how many pages follow
 * @pad:	zero
 */
struct pcn_frames_head {
	u64		space;
	u64		first;
	struct pcn_vma	vma;
	u32		cookie;
	s32		status;
	u32		count;
	u32		pad;
};

/**
 * struct pcn_frames - an answer
 * @head:	what comes first
 * @frame:	of each page, PCN_FRAME_*, 0 if it has none
 */
struct pcn_frames {
	struct pcn_frames_head	head;
	u64			frame[PCN_BLOCK_PAGES];
};

/**
 * struct pcn_forget - forget these pages, or they are forgotten. On the wire
 * @space:	number of the space
 * @first:	number of the first page
 * @last:	number of the last one
 * @number:	of the request. In the reply: this one, and all before it
 */
struct pcn_forget {
	u64	space;
	u64	first;
	u64	last;
	u64	number;
};

static_assert(sizeof(struct pcn_frames_ask) == 40);
static_assert(sizeof(struct pcn_frames_head) == 64);
static_assert(sizeof(struct pcn_frames) <= PCN_HANDLER_PAYLOAD);
static_assert(sizeof(struct pcn_forget) == 32);

/**
 * struct pcn_pages - a range of pages
 * @first:	number of the first one
 * @last:	number of the last one
 */
struct pcn_pages {
	u64	first;
	u64	last;
};

/**
 * struct pcn_mirror - at the origin: what other kernels may map of an address space
 * @notifier:	Linux tells of what goes
 * @number:	of the space
 * @ops:	of the process
 * @stats:	of the space, as long as not @over
 * @kept:	frames that must not be used for anything else
 * @lock:	protects what follows; the locks of page tables are taken inside
 * @lent:	which kernels may map which pages: see lent.c
 * @wait:	for the end of a change, or for what was to be forgotten
 * @change:	nobody is told of frames of these pages, as they are being changed
 * @changes:	so many are in @change
 * @more:	changes that have found no room there
 * @rest:	all pages of those, and what lies between
 * @asked:	number of the last request to forget
 * @forgot:	of each kernel, the last one that it has done
 * @gone:	kernels that map nothing, and are told nothing any more
 * @adrift:	kernels that do not answer, and may go on using frames
 * @over:	nobody is told of anything any more
 */
struct pcn_mirror {
	struct mmu_notifier		notifier;
	u64				number;
	const struct pcn_space_ops	*ops;
	struct pcn_space_stats		*stats;
	struct pcn_kept			*kept;
	spinlock_t			lock;
	struct xarray			lent;
	wait_queue_head_t		wait;
	struct pcn_pages		change[PCN_CHANGES];
	unsigned int			changes;
	unsigned int			more;
	struct pcn_pages		rest;
	u64				asked;
	u64				forgot[PCN_KERNELS_MAX];
	u64				gone;
	u64				adrift;
	bool				over;
};

/* mirror.c */
struct pcn_mirror *pcn_mirror_begin(struct pcn_space *s, struct mm_struct *mm);
void pcn_mirror_end(struct pcn_mirror *m);
void pcn_mirror_free(struct pcn_mirror *m);
void pcn_mirror_forget_private(struct pcn_mirror *m);
bool pcn_mirror_lose(struct pcn_mirror *m, unsigned int kid);
bool pcn_mirror_avoid_changes(struct pcn_mirror *m, u64 page, struct pcn_pages *around);
int pcn_mirror_init(void);

/* lent.c */
int pcn_lent_add(struct xarray *all, u64 first, const u64 *frame, unsigned int count,
		 unsigned int kid);
u64 pcn_lent_to(struct xarray *all, u64 first, u64 last);
u64 pcn_lent_next(struct xarray *all, u64 first, u64 last, u64 kids);
void pcn_lent_clear(struct xarray *all, u64 first, u64 last, u64 kids);
void pcn_lent_end(struct xarray *all);

/* lend.c */
pmd_t *pcn_pmd_of(struct mm_struct *mm, unsigned long address);
int pcn_lend_init(void);

/* kept.c */
extern bool (*pcn_kept_mapper_is)(unsigned int kid);
struct pcn_kept *pcn_kept_new(u64 number);
void pcn_kept_add(struct pcn_kept *k, struct folio *folio);
void pcn_kept_for(struct pcn_kept *k, u64 kids);
bool pcn_kept_is_forgotten(const struct pcn_kept *k, unsigned int kid);
void pcn_kept_forgotten_by(struct pcn_kept *k, u64 kids);
void pcn_kept_end(struct pcn_kept *k);
unsigned long pcn_kept_frames(void);
int pcn_kept_init(void);

/* borrow.c */
int pcn_borrow_begin(struct pcn_space *s);
void pcn_borrow_end(struct pcn_space *s);
void pcn_borrow_break(struct pcn_space *s);
vm_fault_t pcn_borrow_fault(struct pcn_space *s, struct vm_area_struct *vma,
			    unsigned long address, unsigned int flags);
bool pcn_borrow_was_refused(struct pcn_space *s, u64 page);
struct file *pcn_borrow_file(struct pcn_space *s);
int pcn_borrow_init(void);

#endif /* _MM_POPCORN_MIRROR_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Coherent memory, at a member: what these files share.
 *
 *	borrow.c	questions, faults, and what the origin answers
 *	entries.c	the entries of page tables
 *	stream.c	what a thread that goes through memory will ask for next
 *	forget.c	to have them removed, when the origin asks for that or before it would
 */
#ifndef _MM_POPCORN_BORROW_H
#define _MM_POPCORN_BORROW_H

#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include <popcorn/msg.h>
#include <popcorn/space.h>

#include "mirror.h"

/**
 * struct pcn_question - a thread wants a page
 * @node:	in pcn_borrow.questions
 * @owner:	the thread
 * @page:	number of the page
 * @cookie:	of the question
 * @answered:	@answer is there, or there will be none
 * @void_first:	of what the answer will have, pages from this one on ...
 * @void_last:	... to this one have been given up meanwhile; none if that is less
 * @stale:	pages of the answer have been taken away since
 * @status:	0, or why there is no frame
 * @done:	completed with @answered
 * @answer:	what has come
 */
struct pcn_question {
	struct list_head	node;
	struct task_struct	*owner;
	u64			page;
	u32			cookie;
	bool			answered;
	bool			stale;
	u64			void_first;
	u64			void_last;
	int			status;
	struct completion	done;
	struct pcn_frames	answer;
};

/** PCN_STREAMS - so many ways of threads through memory are told apart; a power of two */
#define PCN_STREAMS	16

/**
 * struct pcn_stream - the way of a thread through memory
 * @last:	number of the last page on it that it has got
 * @stride:	its step there: a number of pages, less than 0 if it goes down
 * @count:	how many it got, or would have
 */
struct pcn_stream {
	u64		last;
	int		stride;
	unsigned int	count;
};

/** PCN_LATERS - ranges that are told apart until their entries are removed */
#define PCN_LATERS	16

/**
 * struct pcn_borrow - a member's part of a space
 * @s:		the space
 * @file:	of all VMAs
 * @lock:	protects what follows; the locks of page tables are taken inside
 * @questions:	that have been asked, or whose refusal is still to be heard of
 * @gives:	pages that threads are giving up
 * @cookie:	of the last one
 * @streams:	the ways of its threads through memory, in reading and in writing
 * @later:	pages whose entries are to be removed
 * @laters:	so many are in @later
 * @number:	of the last request for that; 0: there is none
 * @work:	removes them
 * @farewell:	memory to tell the origin that this kernel maps nothing of it any more
 */
struct pcn_borrow {
	struct pcn_space	*s;
	struct file		*file;
	spinlock_t		lock;
	struct list_head	questions;
	struct list_head	gives;
	u32			cookie;
	struct pcn_stream	streams[PCN_STREAMS][2];
	struct pcn_pages	later[PCN_LATERS];
	unsigned int		laters;
	u64			number;
	struct delayed_work	work;
	struct pcn_reserve	farewell;
};

/* borrow.c */
struct pcn_borrow *pcn_borrow_of(u64 number, const struct pcn_message *msg);
void pcn_answer_forget(struct pcn_question *q, u64 first, u64 last);
void pcn_question_void(struct pcn_question *q, u64 first, u64 last);

/* entries.c */
int pcn_entries_prepare(struct vm_area_struct *vma, const struct pcn_frames *a,
			unsigned long address);
void pcn_entries_enter(struct vm_area_struct *vma, const struct pcn_frames *a);
bool pcn_entries_allow(struct vm_area_struct *vma, unsigned long address, bool write);
bool pcn_entries_has_small(struct vm_area_struct *vma, unsigned long address);
bool pcn_entries_has_any(struct vm_area_struct *vma, unsigned long address);
void pcn_entries_remove(struct address_space *mapping, u64 first, u64 last);

/* stream.c */
struct pcn_stream *pcn_stream_of(struct pcn_borrow *b, const struct pcn_vma *vma, bool write);
unsigned int pcn_stream_next(struct pcn_stream *s, u64 page, const struct pcn_pages *range,
			     int *stride);

/* forget.c */
void pcn_forget_begin(struct pcn_borrow *b);
void pcn_forget_end(struct pcn_borrow *b);
int pcn_forget_init(void);

#endif /* _MM_POPCORN_BORROW_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the page layer is checked, and disturbed, at run time: check.c, delay.c.
 * Nothing is left of these calls without CONFIG_POPCORN_CHECK, and a jump over
 * them if it is there and off.
 */
#ifndef _MM_POPCORN_CHECK_H
#define _MM_POPCORN_CHECK_H

#include <linux/jump_label.h>

#include <popcorn/check.h>

/**
 * enum pcn_mistake - what can be done wrong on purpose
 * @PCN_MISTAKE_KEEP:	a page that is to be given up stays accessible
 * @PCN_MISTAKE_DAMAGE:	a page that comes is changed on its way
 * @PCN_MISTAKE_PROTECT: a page that is to become read-only stays writable
 * @PCN_MISTAKE_STARVE: there is no memory for a step: nothing may come of that
 * @PCN_MISTAKE_FRAME:	a frame is said to be another page's
 * @PCN_MISTAKE_ADOPT:	there is no memory to adopt a page with: it is used at home
 * @PCN_MISTAKES:	how many there are
 */
enum pcn_mistake {
	PCN_MISTAKE_KEEP,
	PCN_MISTAKE_DAMAGE,
	PCN_MISTAKE_PROTECT,
	PCN_MISTAKE_STARVE,
	PCN_MISTAKE_FRAME,
	PCN_MISTAKE_ADOPT,
	PCN_MISTAKES
};

#ifdef CONFIG_POPCORN_CHECK

DECLARE_STATIC_KEY_FALSE(pcn_checking);
DECLARE_STATIC_KEY_FALSE(pcn_delaying);

void pcn_check_change(struct pcn_record *r, enum pcn_mapping to);
void pcn_check_ended(struct pcn_record *r, bool everywhere, u64 also);
bool pcn_check_mistaken(enum pcn_mistake mistake);
void pcn_delay_randomly(void);
void pcn_frame_changed(struct pcn_record *r, struct page *frame);

/**
 * pcn_check_may - the protocol is about to let this kernel do something else
 * @r:	the record; &pcn_record.may is as it was
 * @to:	what it may do from now on; if it is less, the page table is done
 *
 * Context: the record's lock is held.
 */
static inline void pcn_check_may(struct pcn_record *r, enum pcn_mapping to)
{
	if (static_branch_unlikely(&pcn_checking))
		pcn_check_change(r, to);
}

/**
 * pcn_check_end - this kernel forgets a page
 * @r:		the record, with its frame, if there is one
 * @everywhere:	all others have done so before, but for those of @also
 * @also:	kernels that have nothing mapped, and forget it before they do anything else
 *
 * May be repeated.
 *
 * Context: any.
 */
static inline void pcn_check_end(struct pcn_record *r, bool everywhere, u64 also)
{
	if (static_branch_unlikely(&pcn_checking))
		pcn_check_ended(r, everywhere, also);
}

/**
 * pcn_check_frame - a record is about to have another frame, or none
 * @r:		the record, with the old one
 * @frame:	the new one, or NULL
 *
 * Context: the record's lock is held, or nobody else knows of the record.
 */
static inline void pcn_check_frame(struct pcn_record *r, struct page *frame)
{
	if (static_branch_unlikely(&pcn_checking))
		pcn_frame_changed(r, frame);
}

/**
 * pcn_check_mistake - is this to be done wrong?
 * @mistake:	what
 *
 * Context: any.
 * Return: true as often as somebody has asked for it.
 */
static inline bool pcn_check_mistake(enum pcn_mistake mistake)
{
	return static_branch_unlikely(&pcn_checking) && pcn_check_mistaken(mistake);
}

/**
 * pcn_delay - a page was granted, and is about to be mapped: perhaps wait
 *
 * Context: process, may sleep.
 */
static inline void pcn_delay(void)
{
	if (static_branch_unlikely(&pcn_delaying))
		pcn_delay_randomly();
}

#else

static inline void pcn_check_may(struct pcn_record *r, enum pcn_mapping to) { }
static inline void pcn_check_end(struct pcn_record *r, bool everywhere, u64 also) { }
static inline void pcn_check_frame(struct pcn_record *r, struct page *frame) { }
static inline bool pcn_check_mistake(enum pcn_mistake mistake) { return false; }
static inline void pcn_delay(void) { }

#endif

#endif /* _MM_POPCORN_CHECK_H */

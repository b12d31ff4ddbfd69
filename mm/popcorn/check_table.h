/* SPDX-License-Identifier: GPL-2.0 */
/* The table of page checks, without the code that fills it: check_table.c. */
#ifndef _MM_POPCORN_CHECK_TABLE_H
#define _MM_POPCORN_CHECK_TABLE_H

#include <popcorn/check.h>

/** enum pcn_check_fault - what can be wrong */
enum pcn_check_fault {
	PCN_CHECK_FINE,
	PCN_CHECK_WRITTEN,	/* gained, and somebody else may write */
	PCN_CHECK_READ,		/* gained to write, and somebody else may read */
	PCN_CHECK_STALE,	/* gained, and not what the last writer left */
	PCN_CHECK_CHANGED,	/* lost, and not what it was although read-only */
	PCN_CHECK_ELSEWHERE,	/* forgotten as the last one, and others have it */
	PCN_CHECK_FAULTS
};

/**
 * struct pcn_check_change - a kernel may do something else with a page
 * @space:	number of the space
 * @page:	number of the page
 * @digest:	of what is in the page now
 * @kid:	the kernel
 * @from:	enum pcn_mapping before
 * @to:		enum pcn_mapping from now on
 * @digested:	there is a @digest
 * @ends:	the kernel forgets the page
 * @alone:	and all others have done so
 * @also:	kernels that forget it as well, before they do anything else, and have nothing
 *		mapped; as bits
 */
struct pcn_check_change {
	u64	space;
	u64	page;
	u64	digest;
	u8	kid;
	u8	from;
	u8	to;
	bool	digested;
	bool	ends;
	bool	alone;
	u64	also;
};

enum pcn_check_fault pcn_check_enter(struct pcn_check_table *t,
				     const struct pcn_check_change *c, u64 *others);
void pcn_check_forget_kid(struct pcn_check_table *t, unsigned int bucket,
			  unsigned int kid);
unsigned int pcn_check_count(const struct pcn_check_table *t);

#endif /* _MM_POPCORN_CHECK_TABLE_H */

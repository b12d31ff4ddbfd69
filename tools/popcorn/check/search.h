/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _CHECK_SEARCH_H
#define _CHECK_SEARCH_H

#include "model.h"

enum outcome {
	PASSED,		/* all states seen, nothing wrong */
	UNSAFE,		/* an invariant broken or an impossible transition */
	DEADLOCK,	/* a state from which rest cannot be reached */
	STARVES,	/* a request that may wait for ever */
	INCOMPLETE,	/* a limit was reached; nothing wrong so far */
};

struct limits {
	u64 bytes;		/* of memory */
	unsigned int seconds;
	unsigned int states;
};

struct result {
	enum outcome outcome;
	const char *what;	/* of UNSAFE: which; of INCOMPLETE: the limit */
	u64 states, edges;
	unsigned int depth;	/* longest shortest path; of a violation: its */
	u64 deadlocked;		/* states that cannot come to rest */
	u64 starving;		/* kernels with a fair cycle */
	u64 bytes;
	double seconds;
};

extern const char * const outcome_names[];

/* Prints counterexamples to @trace unless that is NULL. */
void search(const struct config *c, const struct limits *l, FILE *trace,
	    struct result *res);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The model: N kernels, one page, messages under way. One state of it is a
 * struct world; model.c knows what can happen next and what must not.
 */
#ifndef _CHECK_MODEL_H
#define _CHECK_MODEL_H

#include <stdio.h>

#include <popcorn/proto.h>

#define MODEL_KERNELS	6	/* kids take 3 bits, 7 is PCN_NOBODY */
#define MODEL_MESSAGES	80
#define MODEL_KEY	1024	/* bytes of the longest encoded world */
#define UNLIMITED	7	/* accesses of a kernel */

enum start { START_U, START_S, START_JOIN, START_OWNED };

/*
 * What keeps late messages out of what comes after a round: nobody takes those of
 * an older epoch; or all wait until none is under way. For that each kernel, when
 * no access waits there, sends a fence to each other, and is done when it has
 * theirs; or sends another one then, and is done when it has theirs of these; or
 * fences are answered, and it is done when it has the answers to its own.
 */
enum fences { FENCES_NONE, FENCES_ONCE, FENCES_TWICE, FENCES_BACK };

#define MODEL_FENCE	PCN_MESSAGES
#define MODEL_PASSED	(PCN_MESSAGES + 1)

/* What a run is about. */
struct config {
	const struct pcn_proto *proto;
	unsigned int	n;
	bool		fifo;
	bool		origin;		/* kernel 0 owns untouched pages */
	bool		broadcast;
	enum start	start;
	unsigned int	reads, writes;	/* of each kernel; UNLIMITED */
	u8		readers, writers;	/* kernels that read, write */
	unsigned int	drops, deaths, leaves;	/* how many in a run */
	unsigned int	forks, joins;	/* likewise; the last kernel joins */
	bool		keep;		/* kernel 0 reads what is to be dropped */
	enum fences	fences;
	bool		live;		/* look for starvation */
	unsigned int	paper;		/* variant of the published protocol */
};

enum access { ACCESS_NONE, ACCESS_READ, ACCESS_WRITE };

/* A message under way. */
struct wire {
	struct pcn_proto_event	m;
	u8		to;
	u8		current;	/* its data is what was written last */
};

/*
 * What the range layer does about a page, beside the protocol: nothing, or a
 * round of freeze, change, thaw.
 */
enum phase {
	PHASE_NONE,
	PHASE_DROP,	/* freezing in order to drop */
	PHASE_DROPPING,
	PHASE_LEAVE,	/* freezing in order to let a kernel leave */
	PHASE_LEAVING,
	PHASE_FORK,	/* freezing, then the origin calls the page in */
	PHASE_JOIN,	/* freezing in order to let a kernel in */
	PHASE_JOINING,
	PHASE_DEAD,	/* draining after a death */
	PHASE_ABORTED,
	PHASE_REBUILD,
	PHASE_THAW,
};

struct world {
	struct pcn_replica r[MODEL_KERNELS];
	u8	access[MODEL_KERNELS];
	u8	current[MODEL_KERNELS];
	u8	reads[MODEL_KERNELS], writes[MODEL_KERNELS];
	u8	members[MODEL_KERNELS];	/* the group as each one sees it */
	u8	exists;		/* the page has been touched */
	u8	phase, frozen, agreed, subject;
	u8	drops, deaths, leaves, forks, joins;
	u8	fences[MODEL_KERNELS];	/* how many each has sent to all */
	unsigned int count;
	struct wire q[MODEL_MESSAGES];	/* in the order of sending */
};

enum move { MOVE_READ, MOVE_WRITE, MOVE_DELIVER, MOVE_DISCARD, MOVE_FREEZE,
	    MOVE_DROP, MOVE_DIE, MOVE_NOTICE, MOVE_ABORT, MOVE_REBUILD,
	    MOVE_LEAVE, MOVE_CALL, MOVE_LEFT, MOVE_FORK, MOVE_FORKED, MOVE_JOIN,
	    MOVE_JOINED, MOVE_FENCE, MOVE_THAW };

/* What led from one world to the next. */
struct label {
	enum move	move;
	u8		kernel;
	u8		subject;
	struct wire	wire;	/* MOVE_DELIVER, MOVE_DISCARD */
};

/* @fault is NULL, or what the move has broken; @next is then half done. */
typedef void (*move_fn)(void *arg, const struct label *l,
			const struct world *next, const char *fault);

extern const struct pcn_proto pcn_proto_paper;

/* Transitions that were seen, for comparison with the tables. */
extern u32 seen_next[PCN_STATES][PCN_EVENTS];

void model_start(const struct config *c, struct world *w);
void model_moves(const struct config *c, const struct world *w, move_fn fn,
		 void *arg);
unsigned int model_encode(const struct config *c, const struct world *w,
			  u8 *key);
void model_decode(const struct config *c, const u8 *key, struct world *w);
bool model_quiet(const struct world *w, const struct config *c);
bool model_waits(const struct world *w, unsigned int kernel);
void model_print(const struct config *c, const struct world *w, FILE *f);
void model_print_label(const struct config *c, const struct label *l, FILE *f);
void model_print_wire(const struct wire *m, FILE *f);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Page coherency protocols as pure functions.
 *
 * A replica is one kernel's copy of one page of one process. A protocol takes
 * a replica and an event and gives the new replica and a short list of actions
 * for its interpreter: the kernel, the checker and the simulator are three
 * interpreters of the same list. There are no locks, no allocation, no I/O, no
 * globals and no time in here; an interpreter serialises the events of one
 * replica and brings its own.
 *
 * What a protocol does is a table, state by event, of named rules. The cells
 * that no run reaches are empty, and say so if a run does.
 *
 * See Documentation/popcorn/protocol.rst.
 */
#ifndef _POPCORN_PROTO_H
#define _POPCORN_PROTO_H

#include <linux/bits.h>
#include <linux/types.h>

/** PCN_NOBODY - a kid that is none */
#define PCN_NOBODY	0xff

/**
 * enum pcn_state - states of a replica
 * @PCN_U:	unmapped: this kernel does not use the page
 * @PCN_NR:	not replicated: the only copy, nobody else uses the page
 * @PCN_M:	modified: the only valid copy
 * @PCN_SO:	shared and owner (S* in texts); "owner" protocol only
 * @PCN_S:	shared: valid, others may hold it too
 * @PCN_I:	invalid: known, no valid data
 * @PCN_FNR:	first touch here, nothing heard of other copies yet
 * @PCN_FV:	first touch, a valid copy is here ("vote") or known of ("owner")
 * @PCN_FI:	first touch, the page exists but no valid copy has come
 * @PCN_IR1:	reading from I
 * @PCN_IR2:	reading from I, an Invalid arrived meanwhile
 * @PCN_WP1:	Invalids are out, collecting Acks or votes
 * @PCN_WP2:	lost the vote, collecting the rest of it; "vote" only
 * @PCN_WR:	fetching in order to write
 * @PCN_STATES:	how many there are
 */
enum pcn_state {
	PCN_U,
	PCN_NR,
	PCN_M,
	PCN_SO,
	PCN_S,
	PCN_I,
	PCN_FNR,
	PCN_FV,
	PCN_FI,
	PCN_IR1,
	PCN_IR2,
	PCN_WP1,
	PCN_WP2,
	PCN_WR,
	PCN_STATES
};

/**
 * enum pcn_event_type - what can happen to a replica
 * @PCN_FETCH:		a kernel wants to read
 * @PCN_FETCH_WRITE:	a kernel wants to write
 * @PCN_JOIN:		a kernel touches the page for the first time
 * @PCN_INVALID:	a kernel is about to write: give the copy up
 * @PCN_COPY:		here is the data
 * @PCN_COPY_OWN:	here is the ownership; "owner" only
 * @PCN_COPY_VOID:	no data from here
 * @PCN_ACK:		the copy has been given up
 * @PCN_NACK:		it has not; "vote" only
 * @PCN_MESSAGES:	the events above are messages, those below are local
 * @PCN_READ:		a thread here reads and there is no readable mapping
 * @PCN_WRITE:		a thread here writes and there is no writable mapping
 * @PCN_DROP:		forget the page; everyone does, under a freeze
 * @PCN_DEAD:		the kernel in &pcn_proto_event.who has died
 * @PCN_ABORT:		back to a stable state, the access is to be retried
 * @PCN_REBUILD:	after a death: &pcn_proto_event.who holds the page,
 *			&pcn_proto_event.cs lists all valid copies
 * @PCN_LEFT:		the kernel in &pcn_proto_event.who has left, under a freeze;
 *			hints that lead to it lead to &pcn_proto_event.heir now
 * @PCN_EVENTS:		how many there are
 */
enum pcn_event_type {
	PCN_FETCH,
	PCN_FETCH_WRITE,
	PCN_JOIN,
	PCN_INVALID,
	PCN_COPY,
	PCN_COPY_OWN,
	PCN_COPY_VOID,
	PCN_ACK,
	PCN_NACK,
	PCN_MESSAGES,
	PCN_READ = PCN_MESSAGES,
	PCN_WRITE,
	PCN_DROP,
	PCN_DEAD,
	PCN_ABORT,
	PCN_REBUILD,
	PCN_LEFT,
	PCN_EVENTS
};

/* Flags of a message */
#define PCN_DATA	BIT(0)	/* carries the page */
#define PCN_ONLY	BIT(1)	/* Copy-own: first touch, nobody has the page */
#define PCN_MAPPED	BIT(2)	/* Copy_Void: the sender knows that the page exists */
#define PCN_BOUNCE	BIT(3)	/* Copy_Void: the Fetch went astray, queue as a writer */
#define PCN_LOST	BIT(4)	/* Rebuild: no valid copy has survived */

/**
 * struct pcn_proto_event - a message or a local event
 * @type:	enum pcn_event_type
 * @from:	kid of the sender
 * @who:	kid of the kernel that it is about: the requester of a Fetch or
 *		Fetch_Write, the subject of Dead, Rebuild and Left
 * @hops:	Fetch: how often it was forwarded
 * @flags:	PCN_DATA and so on
 * @heir:	Left: kid that hints to @who are to be replaced by
 * @cs:		Copy-own: the copyset; Rebuild: the kernels with a valid copy
 * @stamp:	Join, Invalid of "vote": Lamport time
 * @version:	Copy: of the data; Invalid: that it is based on; Rebuild: of the
 *		copies that survived
 * @floor:	Fetch, Fetch_Write: lowest version the requester accepts;
 *		Copy, Copy_Void: lowest version the sender would accept
 */
struct pcn_proto_event {
	u8	type;
	u8	from;
	u8	who;
	u8	hops;
	u8	flags;
	u8	heir;
	u64	cs;
	u64	stamp;
	u64	version;
	u64	floor;
};

/* Flags of a replica */
#define PCN_HELD	BIT(0)	/* holds valid data, in whatever state */
#define PCN_READING	BIT(1)	/* a read waits */
#define PCN_WRITING	BIT(2)	/* a write waits */
#define PCN_TENTATIVE	BIT(3)	/* "owner": its hint came from a Join alone */
#define PCN_HALTED	BIT(4)	/* "vote": a kernel died, ask no more */
/* Those that end with the access that waits */
#define PCN_WAITING	(PCN_READING | PCN_WRITING | PCN_HALTED)

/**
 * struct pcn_replica - one kernel's protocol state of one page
 * @state:	enum pcn_state
 * @flags:	PCN_HELD and so on
 * @hint:	kid that a request goes to first
 * @pin:	"owner": the writer that @hint was given to; nothing else may
 *		replace it
 * @next:	"owner": the writer that gets the page from here
 * @late:	"owner": the writer whose Invalid has not been acknowledged yet
 * @via:	"owner": a kernel that answered a Join with "mapped"
 * @cs:		copyset; "owner": exact, at the owner; "vote": all that ever
 *		joined
 * @wait:	kernels whose answer, vote or Ack is outstanding
 * @readers:	deferred reads ("vote": any deferred Fetch)
 * @writers:	"owner": deferred Fetch_Writes
 * @joiners:	deferred Joins
 * @clock:	"vote": Lamport clock, the latest time sent or seen
 * @stamp:	"vote": time of the own Join or Invalid that is under way
 * @version:	"vote": of the data; 0 when there is none
 * @floor:	"vote": lowest version that is still acceptable
 *
 * Fields without a meaning in a state are 0, or PCN_NOBODY.
 */
struct pcn_replica {
	u8	state;
	u8	flags;
	u8	hint;
	u8	pin;
	u8	next;
	u8	late;
	u8	via;
	u64	cs;
	u64	wait;
	u64	readers;
	u64	writers;
	u64	joiners;
	u64	clock;
	u64	stamp;
	u64	version;
	u64	floor;
};

/**
 * enum pcn_action_type - what an interpreter is to do
 * @PCN_SEND:	send &pcn_action.msg to every kernel of &pcn_action.to; with
 *		PCN_DATA together with the page as it is now
 * @PCN_INSTALL: the data of the message that is the event becomes the page
 * @PCN_ZERO:	the page is new: zeros
 * @PCN_NONE:	make the page inaccessible on this kernel; TLBs flushed
 * @PCN_RDONLY:	make it readable, not writable; TLBs flushed if it was
 * @PCN_RDWR:	make it readable and writable
 * @PCN_DONE:	the access that waited has what it needs
 * @PCN_HOLD:	what follows takes the page away from the access just done:
 *		wait until it has retired (or a bounded time), and let no other
 *		event in meanwhile
 * @PCN_RETRY:	the access that waited has to start again
 * @PCN_GONE:	the content of the page is lost
 * @PCN_ACTION_TYPES:	how many there are
 *
 * The order of actions matters: an Ack, Copy or Copy-own that follows a change
 * of the mapping may leave only when the change is complete on all CPUs.
 */
enum pcn_action_type {
	PCN_SEND,
	PCN_INSTALL,
	PCN_ZERO,
	PCN_NONE,
	PCN_RDONLY,
	PCN_RDWR,
	PCN_DONE,
	PCN_HOLD,
	PCN_RETRY,
	PCN_GONE,
	PCN_ACTION_TYPES
};

/**
 * struct pcn_action - one action
 * @op:		enum pcn_action_type
 * @to:		PCN_SEND: kernels that the message goes to
 * @behalf:	PCN_SEND: if not 0, one message for each kernel in here, with
 *		&pcn_proto_event.who set to it
 * @msg:	PCN_SEND: the message
 */
struct pcn_action {
	u8		op;
	u64		to;
	u64		behalf;
	struct pcn_proto_event	msg;
};

/** PCN_ACTIONS - more actions than any step has */
#define PCN_ACTIONS	16

/**
 * PCN_SENDS - no step sends more messages, to all members together
 * @members:	of the group
 *
 * The checker (tools/popcorn/check) looks at each step.
 */
#define PCN_SENDS(members)	(members)

/**
 * enum pcn_verdict - how a step ended
 * @PCN_OK:		done
 * @PCN_IGNORED:	the event concerns a kernel that is no member (any more);
 *			the replica is unchanged
 * @PCN_IMPOSSIBLE:	the event cannot happen here: a bug or a bad peer. The
 *			replica is unchanged, &pcn_out.fault says what is wrong
 */
enum pcn_verdict {
	PCN_OK,
	PCN_IGNORED,
	PCN_IMPOSSIBLE,
};

/**
 * struct pcn_out - what a step gives
 * @count:	number of actions
 * @rule:	number of the rule that was applied, see &pcn_proto.rules
 * @fault:	what was impossible, or NULL
 * @act:	the actions, in order
 */
struct pcn_out {
	unsigned int		count;
	unsigned int		rule;
	const char		*fault;
	struct pcn_action	act[PCN_ACTIONS];
};

/**
 * struct pcn_kernel_group - the kernels of a process, as one of them sees them
 * @members:	their kids, the own one included
 * @self:	own kid
 * @count:	how many members there are
 * @origin:	the kernel that owns untouched pages, or PCN_NOBODY: a vote decides
 *		which kernel touches a page first. "vote" always votes.
 * @broadcast:	"vote": ask and invalidate all members as the paper does, not
 *		only the copyset
 */
struct pcn_kernel_group {
	u64	members;
	u8	self;
	u8	count;
	u8	origin;
	bool	broadcast;
};

struct pcn_step;

/** PCN_SAME - in &pcn_rule.next: the state may stay as it is */
#define PCN_SAME	BIT(31)

/**
 * struct pcn_rule - what a cell of the transition table refers to
 * @name:	for tables and traces
 * @text:	what it does, in one line
 * @next:	states that it may lead to, a mask; the checker verifies it
 * @apply:	does it
 */
struct pcn_rule {
	const char	*name;
	const char	*text;
	u32		next;
	void		(*apply)(struct pcn_step *s);
};

/**
 * struct pcn_proto - a protocol
 * @name:	"owner" or "vote"; or "direct": memory is coherent, and all else is empty
 * @rules:	its rules; number 0 is the empty cell
 * @rule_count:	how many
 * @asks_all:	every member is asked about every page, whether it has used any or not
 * @table:	rule for each state and event
 */
struct pcn_proto {
	const char		*name;
	const struct pcn_rule	*rules;
	unsigned int		rule_count;
	bool			asks_all;
	u8			table[PCN_STATES][PCN_EVENTS];
};

extern const struct pcn_proto pcn_proto_owner;
extern const struct pcn_proto pcn_proto_vote;
extern const struct pcn_proto pcn_proto_direct;

/** enum pcn_proto_number - protocols, as kernels name them to each other */
enum pcn_proto_number {
	PCN_PROTO_OWNER = 1,
	PCN_PROTO_VOTE,
	PCN_PROTO_DIRECT,
	PCN_PROTOS
};

const struct pcn_proto *pcn_proto_find(const char *name);
const struct pcn_proto *pcn_proto_chosen(void);
const struct pcn_proto *pcn_proto_default(void);
bool pcn_proto_may_lend(void);
const struct pcn_proto *pcn_proto_of(unsigned int number);
enum pcn_proto_number pcn_proto_number(const struct pcn_proto *proto);
const char *pcn_state_name(unsigned int state);
const char *pcn_event_name(unsigned int event);
const char *pcn_action_name(unsigned int op);
void pcn_replica_init(struct pcn_replica *r, const struct pcn_kernel_group *g);
void pcn_replica_own(const struct pcn_proto *p, const struct pcn_kernel_group *g,
		     struct pcn_replica *r);
bool pcn_replica_is_settled(const struct pcn_replica *r);
enum pcn_verdict pcn_proto_step(const struct pcn_proto *p,
				const struct pcn_kernel_group *g,
				struct pcn_replica *r, const struct pcn_proto_event *ev,
				struct pcn_out *out);

#endif /* _POPCORN_PROTO_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the files of the messaging layer.
 *
 *   ring.c	rings and bells in the window (also built in user space)
 *   link.c	links to peers: coming, going, breaking
 *   send.c	what goes out: rings, waiting for room, spills
 *   block.c	larger room for the rings that need it
 *   poll.c	what comes in: the groups of channels, and what polls each
 *   doorbell.c	when a group sleeps, and what wakes it
 *   linger.c	how long to look for more before sleeping
 *   task_poll.c	tasks that poll in place of the thread
 *   deliver.c	what becomes of a message that has come
 *   request.c	requests that wait for their replies
 *   type.c	registered types
 *   link_stats.c	/sys/kernel/popcorn/links, .../poll
 *   dev.c	/dev/popcorn
 *   load*.c	load generator (load.h)
 *   garbage.c	a peer that lies, for tests
 *
 * Locks, outermost first:
 *
 *   notifiers_lock (link.c)	a mutex: subscribers, held while they are called
 *   pcn_poll_group.poll_lock	a mutex: one task polls the thread's channels; held
 *				while handlers run. The other group has NAPI for it.
 *   pcn_port.senders		a mutex: one sender waits for room; the one lock that
 *				is held while waiting, and only by senders
 *   pcn_port.tx_lock		a spinlock, taken with interrupts off: a producer's
 *				side of a ring, and its spill
 *   pool.lock (block.c)	a spinlock: who has which block
 *   pending's xa_lock (request.c)
 *
 * Nothing else is held while waiting for a message or for room.
 */
#ifndef _MSG_LAYER_INTERNAL_H
#define _MSG_LAYER_INTERNAL_H

#include <linux/kobject.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <popcorn/msg.h>
#include <popcorn/window.h>

/**
 * struct pcn_port_stats - counters of one channel of one link
 * @tx_messages: messages that went into the ring
 * @tx_bytes:	their payload
 * @tx_doorbells: interrupts sent for them
 * @tx_waits:	times that a sender found no room and slept
 * @tx_spills:	messages that had to wait in local memory
 * @tx_failed:	messages that were accepted, and lost since the peer went away
 * @tx_full:	times that pcn_msg_try() found no room
 * @tx_blocks:	times that the ring got a block
 * @tx_block_waits: times that a message needed one, and there was none
 * @rx_messages: messages taken out of the ring
 * @rx_bytes:	their payload
 * @rx_doorbells: interrupts sent because the peer waited for room
 * @rx_late:	messages that had come before the peer's death was announced,
 *		dropped
 * @rx_orphans:	replies that nobody waited for any more, dropped
 * @rx_unknown:	messages of a type that nobody has registered, dropped
 * @rx_dropped:	messages that their type had no memory to receive in, dropped
 * @rx_refused:	messages that their handler has refused: pcn_msg_refuse()
 *
 * tx_* are written with tx_lock held, rx_* by the poll.
 */
struct pcn_port_stats {
	u64	tx_messages;
	u64	tx_bytes;
	u64	tx_doorbells;
	u64	tx_waits;
	u64	tx_spills;
	u64	tx_failed;
	u64	tx_full;
	u64	tx_blocks;
	u64	tx_block_waits;
	u64	rx_messages;
	u64	rx_bytes;
	u64	rx_doorbells;
	u64	rx_late;
	u64	rx_orphans;
	u64	rx_unknown;
	u64	rx_dropped;
	u64	rx_refused;
};

/** PCN_WANTED_NONE - no sender waits for room */
#define PCN_WANTED_NONE		U32_MAX

/** PCN_BLOCKS_MAX - blocks of a kernel, at most */
#define PCN_BLOCKS_MAX		(PCN_BLOCK_CHANNELS * (PCN_KERNELS_MAX - 1))

/**
 * struct pcn_port - one channel of a link
 * @number:	kid * PCN_CHANNELS + channel
 * @senders:	held by the one sender that waits for room
 * @tx_lock:	protects what is marked (tx)
 * @tx_error:	0, or what a send fails with (tx)
 * @tx:		the producer's side of the ring to the peer (tx)
 * @spill:	messages that found no room, in order; they go first (tx)
 * @spilled:	their number (tx)
 * @spilled_bytes: what they take in memory (tx)
 * @room:	the sender that waits for room
 * @wanted:	bytes of payload that it has, or PCN_WANTED_NONE (tx)
 * @tried:	types that pcn_msg_try() had no room for, and that wait for it, as bits (tx)
 * @tried_length: bytes of the longest payload of these (tx)
 * @used:	something went into the ring since it got its block (tx)
 * @called_at:	jiffies when types were last called for room (tx)
 * @called:	the type that is called first when there is room again; the poll's
 * @rx:		the consumer's side of the ring from the peer; the poll's
 * @starved:	there was no memory for the next message: do not look for a while
 * @stats:	counters
 */
struct pcn_port {
	unsigned int		number;
	struct mutex		senders;
	spinlock_t		tx_lock;
	int			tx_error;
	struct pcn_ring		tx;
	struct list_head	spill;
	unsigned int		spilled;
	size_t			spilled_bytes;
	wait_queue_head_t	room;
	u32			wanted;
	u64			tried;
	u32			tried_length;
	bool			used;
	unsigned long		called_at;
	unsigned int		called;
	struct pcn_ring		rx;
	bool			starved;
	struct pcn_port_stats	stats;
};

/** enum pcn_link_state - a link as its work item sees it */
enum pcn_link_state {
	PCN_LINK_DOWN,		/* the peer is not up */
	PCN_LINK_OPENING,	/* this side has begun anew, the peer has not */
	PCN_LINK_UP,
	PCN_LINK_BROKEN,	/* until the peer's next life */
};

/**
 * struct pcn_link - this kernel's side of everything between it and a peer
 * @kid:	the peer
 * @state:	written by @work; read anywhere
 * @generation:	the peer's life that @state is about; @work's
 * @rx_open:	the poll may look at the rings; written by @work
 * @fault:	why the link is to be broken, or NULL; set once in a life
 * @apicid:	physical APIC id that takes the peer's doorbell
 * @endpoint:	the peer's, in the window
 * @bell_lock:	of @rung, and of what the peer's bells are told
 * @rung:	per group of channels, for which arming of its bell it was rung
 * @called:	what the peer has called last for its lanes; the doorbell's
 * @charged:	per group: bytes of spilled messages, whatever their destination, that
 *		handlers of this peer's messages have sent
 * @deferred:	bytes of its messages that wait for handlers that may sleep
 * @out:	head of the lane to the peer
 * @in:		head of the lane from the peer
 * @out_space:	per channel, where the data of its ring to the peer may be
 * @in_space:	per channel, the same of the ring from the peer
 * @work:	brings @state to what the roster says
 * @handlers:	an ordered workqueue for handlers that may sleep
 * @port:	one per channel
 * @kobj:	/sys/kernel/popcorn/links/<kid>; made when first up
 */
struct pcn_link {
	unsigned int		kid;
	enum pcn_link_state	state;
	u32			generation;
	bool			rx_open;
	const char		*fault;
	u32			apicid;
	struct pcn_endpoint	*endpoint;
	raw_spinlock_t		bell_lock;
	u64			rung[PCN_POLL_GROUPS];
	u32			called;
	atomic_long_t		charged[PCN_POLL_GROUPS];
	atomic_long_t		deferred;
	struct pcn_lane		*out;
	struct pcn_lane		*in;
	struct pcn_ring_space	out_space[PCN_CHANNELS];
	struct pcn_ring_space	in_space[PCN_CHANNELS];
	struct work_struct	work;
	struct workqueue_struct	*handlers;
	struct pcn_port		port[PCN_CHANNELS];
	struct kobject		*kobj;
};

/**
 * struct pcn_poll_stats - counters of a group of channels
 * @interrupts:	doorbells that made it be polled
 * @polls:	looks through all rings
 * @empty_polls: those that found nothing
 * @sleeps:	times that the bell was armed
 * @linger_hits: times that more came while lingering
 * @starved:	times that a message was left in its ring for want of memory
 */
struct pcn_poll_stats {
	u64	interrupts;
	u64	polls;
	u64	empty_polls;
	u64	sleeps;
	u64	linger_hits;
	u64	starved;
};

/**
 * struct pcn_spilled - a message that found no room in its ring
 * @node:	in pcn_port.spill, or in a struct pcn_reserve
 * @size:	bytes that it takes in memory
 * @payer:	the peer that it is charged to, or NULL
 * @group:	the group of channels there
 * @header:	head of the message
 * @payload:	its payload
 */
struct pcn_spilled {
	struct list_head	node;
	size_t			size;
	struct pcn_link		*payer;
	enum pcn_poll_group_id	group;
	struct pcn_msg_header	header;
	u8			payload[] __aligned(8);
};

/**
 * struct pcn_poll_group - channels that are polled together
 * @id:		which
 * @first:	its first channel
 * @last:	its last channel
 * @bell:	our bell for it, in the window
 * @armings:	how often it was armed
 * @poll_lock:	the thread's group: see above
 * @task:	the thread's group: its thread
 * @runner:	the thread's group: the task that polls just now, or NULL
 * @kick:	the thread is not to go to sleep
 * @asleep:	the thread has armed the bell; @poll_lock
 * @napi:	the softirq's group
 * @armed_at:	the softirq's group: when it armed the bell, or 0
 * @retry:	ends the while for which ports are starved
 * @handling:	the peer whose message is being handled; the poll's
 * @linger:	for how long it lingers
 * @buffer:	the payload that a handler is shown
 * @reserve:	for what a handler sends; the poll's
 * @turn:	the port at which the next look begins: kid * PCN_GROUP_CHANNELS + channel,
 *		counted from @first
 * @stats:	counters; @interrupts by the handler of one CPU, others by the poll
 */
struct pcn_poll_group {
	enum pcn_poll_group_id	id;
	enum pcn_channel	first;
	enum pcn_channel	last;
	struct pcn_bell		*bell;
	atomic64_t		armings;
	struct mutex		poll_lock;
	struct task_struct	*task;
	struct task_struct	*runner;
	int			kick;
	bool			asleep;
	struct napi_struct	napi;
	u64			armed_at;
	struct timer_list	retry;
	struct pcn_link		*handling;
	struct pcn_linger	linger;
	void			*buffer;
	struct pcn_reserve	reserve;
	unsigned int		turn;
	struct pcn_poll_stats	stats;
};

/** PCN_GROUP_CHANNELS - channels of each group */
#define PCN_GROUP_CHANNELS	2
/** PCN_POLL_BATCH - messages of one ring, at most, before others have their turn */
#define PCN_POLL_BATCH		64
/** PCN_POLL_THREAD_BUDGET - messages between two looks for other uses of the CPU */
#define PCN_POLL_THREAD_BUDGET	256

extern struct pcn_link *pcn_links[PCN_KERNELS_MAX];
extern struct pcn_poll_group pcn_poll_groups[PCN_POLL_GROUPS];

/* The first link from kid *i on, and its kid; NULL if there is none. */
static inline struct pcn_link *pcn_next_link(unsigned int *i)
{
	while (*i < PCN_KERNELS_MAX && !pcn_links[*i])
		(*i)++;
	return *i < PCN_KERNELS_MAX ? pcn_links[*i] : NULL;
}

#define for_each_link(link, i)						\
	for ((i) = 0; ((link) = pcn_next_link(&(i))); (i)++)

static inline enum pcn_poll_group_id pcn_poll_group_of(enum pcn_channel channel)
{
	return channel <= PCN_COHERENCY ? PCN_POLL_THREAD : PCN_POLL_SOFTIRQ;
}

/* link.c */
struct pcn_link *pcn_link_to(unsigned int kid);
void pcn_link_break(struct pcn_link *link, const char *why);
int pcn_link_error(struct pcn_link *link, const char *why);
const char *pcn_link_state_name(enum pcn_link_state state);
void pcn_links_doorbell(void);

/* send.c */
void pcn_port_init(struct pcn_port *port, unsigned int number);
void pcn_port_close(struct pcn_port *port, int error);
bool pcn_port_flush(struct pcn_link *link, enum pcn_channel channel);
int pcn_send_init(void);
int pcn_link_post(struct pcn_link *link, const struct pcn_msg_header *header,
		  const void *payload, struct pcn_reserve *reserve);
int pcn_link_send(struct pcn_link *link, const struct pcn_msg_header *header,
		  const void *payload);
int pcn_link_try(struct pcn_link *link, const struct pcn_msg_header *header,
		 const struct kvec *parts, unsigned int n);
void pcn_ring_doorbell(struct pcn_link *link, enum pcn_poll_group_id id,
		       u64 *counter);
bool pcn_link_is_held_back(const struct pcn_link *link, enum pcn_poll_group_id id);
extern size_t pcn_peer_bytes_max;
extern DECLARE_BITMAP(pcn_ports_waiting, PCN_KERNELS_MAX * PCN_CHANNELS);

/* block.c */
void pcn_blocks_init(unsigned int blocks);
int pcn_block_get(unsigned int port, bool wait);
void pcn_block_put(unsigned int port);
bool pcn_block_is_to_go(unsigned int port);
bool pcn_block_rest(unsigned int port);

/* poll.c */
int pcn_poll_init_group(struct pcn_poll_group *group, struct pcn_endpoint *self);
int pcn_poll_init(struct pcn_endpoint *self);
unsigned int pcn_poll_locked(struct pcn_poll_group *group, unsigned int budget);
void pcn_poll_sync(void);
struct pcn_poll_group *pcn_handler_group(void);
struct pcn_reserve *pcn_handler_reserve(void);

/* doorbell.c */
bool pcn_poll_may_look(const struct pcn_poll_group *group,
		       const struct pcn_link *link);
bool pcn_poll_has_messages(const struct pcn_poll_group *group);
bool pcn_poll_has_room_news(const struct pcn_poll_group *group);
bool pcn_poll_flush_ports(const struct pcn_poll_group *group);
bool pcn_poll_arm_bell(struct pcn_poll_group *group);
void pcn_poll_kick(enum pcn_poll_group_id id);
void pcn_poll_kick_hardirq(enum pcn_poll_group_id id);
void pcn_poll_on_doorbell(void);

/* linger.c */
bool pcn_poll_linger(struct pcn_poll_group *group, u64 limit_ns);

/* deliver.c */
bool pcn_poll_message(struct pcn_poll_group *group, struct pcn_link *link,
		      enum pcn_channel channel);
void pcn_poll_look_later(struct pcn_poll_group *group);
void pcn_poll_end_starving(struct timer_list *timer);
void pcn_poll_drop(struct pcn_link *link);

/* request.c */
void pcn_requests_init(void);
void pcn_request_reply(struct pcn_link *link, struct pcn_port *port,
		       const struct pcn_msg_header *header);
void pcn_requests_fail(unsigned int kid, int error);

/* type.c */
const struct pcn_msg_type *pcn_type_find(u8 channel, u16 type);

/* garbage.c */
#ifdef CONFIG_POPCORN_LOAD
extern bool pcn_sampling;
void pcn_garbage_keep(const struct pcn_msg_header *h, const struct kvec *parts,
		      unsigned int n);

static inline void pcn_garbage_sample(const struct pcn_msg_header *h,
				      const struct kvec *parts, unsigned int n)
{
	if (READ_ONCE(pcn_sampling))
		pcn_garbage_keep(h, parts, n);
}
#else
static inline void pcn_garbage_sample(const struct pcn_msg_header *h,
				      const struct kvec *parts, unsigned int n)
{
}
#endif

/* link_stats.c */
int pcn_link_stats_init(void);
void pcn_link_stats_add(struct pcn_link *link);

#endif /* _MSG_LAYER_INTERNAL_H */

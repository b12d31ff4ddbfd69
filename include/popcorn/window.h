/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The window: the only memory that two kernels both touch.
 *
 * It begins with a header, the primary's clock and the roster, all written by
 * the primary alone. One area per kernel follows: a control block and a log;
 * then what messages need. Where they are is in popcorn/window_layout.h.
 * Kernels may be of different builds, so this is an ABI: fixed widths,
 * explicit padding, offsets asserted in kernel/popcorn/machine/window.c, and a
 * version that a secondary checks before it believes anything.
 *
 * Every field has one writer. Fields written by the other side are read once,
 * with READ_ONCE() or smp_load_acquire(), copied and only then checked. A writer
 * does not read its own fields back: what it needs later it keeps in its own memory,
 * since any kernel can write anywhere in the window.
 */
#ifndef _POPCORN_WINDOW_H
#define _POPCORN_WINDOW_H

#include <linux/types.h>

#include <popcorn/window_layout.h>
#include <popcorn/partition.h>
#include <popcorn/ring.h>

#define PCN_WINDOW_MAGIC	0x31574e4f50434e50ULL	/* "PNCPONW1" */
#define PCN_WINDOW_VERSION	5

/** PCN_LOG_SIZE - bytes of log text in an area */
#define PCN_LOG_SIZE		(PCN_AREA_SIZE - 0x1000)

/**
 * struct pcn_clock - the primary's clock, as of its last update
 * @seq:	odd while the primary writes
 * @shift:	of @mult
 * @mult:	nanoseconds per TSC cycle, << @shift, as NTP has it now
 * @mult_nominal: the same without NTP's correction
 * @cycles:	TSC at the last update
 * @mono:	CLOCK_MONOTONIC at @cycles, ns << @shift, low part: see @mono_ns
 * @mono_ns:	CLOCK_MONOTONIC at @cycles, whole nanoseconds
 * @real_offset: CLOCK_REALTIME - CLOCK_MONOTONIC, ns
 *
 * CLOCK_MONOTONIC at TSC t is
 * mono_ns + (((t - cycles) * mult + mono) >> shift).
 */
struct pcn_clock {
	u32	seq;
	u32	shift;
	u32	mult;
	u32	mult_nominal;
	u64	cycles;
	u64	mono;
	u64	mono_ns;
	s64	real_offset;
};

/** enum pcn_roster_verdict - may a kernel exchange messages? */
enum pcn_roster_verdict {
	PCN_VERDICT_NONE,	/* it has not checked in, or does not run */
	PCN_VERDICT_UP,
	PCN_VERDICT_REFUSED,	/* its message ABI is not the primary's */
};

/* An entry of the roster: the number of a life, and what is said of it. */
#define PCN_ROSTER(generation, verdict)	((u64)(generation) << 8 | (verdict))
#define PCN_ROSTER_VERDICT(entry)	((u8)(entry))
#define PCN_ROSTER_GENERATION(entry)	((u32)((entry) >> 8))

/** PCN_RAM_RANGES - ranges of the primary's memory that the window has room for */
#define PCN_RAM_RANGES		64

/**
 * struct pcn_extent - a range of physical memory
 * @start:	its first byte
 * @size:	bytes, 0: there is none
 */
struct pcn_extent {
	u64	start;
	u64	size;
};

/**
 * struct pcn_window - head of the window
 * @magic:	PCN_WINDOW_MAGIC
 * @version:	PCN_WINDOW_VERSION
 * @kernels:	number of areas
 * @size:	bytes of the whole window
 * @primary_apicid: physical APIC id that takes the doorbell for the primary
 * @base:	bytes of the base of a ring
 * @present:	bit kid is set for each kernel that there is
 * @check:	offset of the table of page checks, 0: there is none
 * @pool:	blocks of a secondary
 * @pad0:	zero
 * @clock:	the primary's clock
 * @pad1:	zero
 * @attention:	[kid] is that kernel's: counts up when it wants the primary
 *		to look at its control block or endpoint
 * @roster_seq:	counts up after each change of @roster
 * @lends:	nonzero: kernels may map memory of each other (mappers.c); written before any
 *		secondary runs
 * @pad2:	zero
 * @roster:	[kid]: PCN_ROSTER(), the life and whether the kernel is up
 * @apicid:	[kid]: physical APIC id that takes its doorbell
 * @owner:	per CPU of the machine: the kernel that it belongs to, plus one; 0: none
 * @memory:	[kid]: memory of a secondary, without its boot area; [0]: none
 * @ram:	memory of the primary: what it had as RAM when it booted
 * @maps:	[kid] is that kernel's: bit k is set while it may map memory of kernel k. The
 *		primary clears it when the kernel is fenced (mappers.c)
 */
struct pcn_window {
	u64	magic;
	u32	version;
	u32	kernels;
	u64	size;
	u32	primary_apicid;
	u32	base;
	u64	present;
	u64	check;
	u32	pool;
	u32	pad0[3];
	struct pcn_clock clock;
	u32	pad1[36];
	u32	attention[PCN_KERNELS_MAX];
	u32	roster_seq;
	u32	lends;
	u32	pad2[14];
	u64	roster[PCN_KERNELS_MAX];
	u32	apicid[PCN_KERNELS_MAX];
	u8	owner[PCN_CPU_LIMIT];
	struct pcn_extent memory[PCN_KERNELS_MAX];
	struct pcn_extent ram[PCN_RAM_RANGES];
	u64	maps[PCN_KERNELS_MAX];
};

/**
 * struct pcn_facts - what is constant in the head of the window: a checked copy
 * @layout:	sizes of the window
 * @present:	bit kid is set for each kernel that there is
 * @size:	bytes of the window
 * @check:	offset of the table of page checks, 0: there is none
 * @primary_apicid: physical APIC id that takes the doorbell for the primary
 * @apicid:	[kid]: physical APIC id that takes its doorbell
 *
 * Every kernel copies it once, at boot. Later the head is not read for it: any
 * kernel can write there.
 */
struct pcn_facts {
	struct pcn_window_layout layout;
	u64	present;
	u64	size;
	u64	check;
	u32	primary_apicid;
	u32	apicid[PCN_KERNELS_MAX];
};

/**
 * struct pcn_memory - whose memory is where: a checked copy of what the window says
 * @memory:	[kid]: memory of a secondary, without its boot area; [0]: none
 * @ram:	memory of the primary
 */
struct pcn_memory {
	struct pcn_extent memory[PCN_KERNELS_MAX];
	struct pcn_extent ram[PCN_RAM_RANGES];
};

/** enum pcn_poll_group_id - channels that are polled together, and by what */
enum pcn_poll_group_id {
	PCN_POLL_THREAD,	/* control, coherency: a kernel thread */
	PCN_POLL_SOFTIRQ,	/* network, tty: NAPI */
	PCN_POLL_GROUPS
};

/**
 * struct pcn_endpoint - where a kernel is reached
 * @generation:	the life that has checked in, 0: none yet; written last
 * @pad0:	zero
 * @abi:	hash over the layout and versions of messages
 * @pad1:	zero
 * @bell:	per enum pcn_poll_group_id: does it want a doorbell for messages to these
 *		channels, and who has rung?
 * @link_calls:	[kid] is that kernel's: PCN_LINK_CALL(), changes when it has begun the
 *		lanes anew or closed them, and has rung for that
 *
 * All but @link_calls and what struct pcn_bell says is that kernel's.
 */
struct pcn_endpoint {
	u32	generation;
	u32	pad0;
	u64	abi;
	u64	pad1[6];
	struct pcn_bell bell[PCN_POLL_GROUPS];
	u32	link_calls[PCN_KERNELS_MAX];
};

/** PCN_LINK_CALL - what a kernel calls that has begun lanes in a life, or closed them */
#define PCN_LINK_CALL(life, closed)	((u32)(life) << 1 | (closed))

/**
 * struct pcn_lane - what one kernel sends to one other: heads
 * @from_pair:	PCN_PAIR() that the rings' producer has begun anew for
 * @pad0:	zero
 * @to_pair:	the same of the consumer
 * @pad1:	zero
 * @ring:	per channel, the head of its ring
 *
 * Each side resets its own indices and then names the lives of the two kernels
 * for which it did. A lane carries messages when both name the same lives, so
 * that nothing of an earlier life gets through. The side that closes a lane says so
 * by PCN_CLOSED().
 */
struct pcn_lane {
	u64	from_pair;
	u64	pad0[7];
	u64	to_pair;
	u64	pad1[7];
	struct pcn_ring_shared ring[PCN_CHANNELS];
};

/** PCN_PAIR - the lives of a producer and a consumer */
#define PCN_PAIR(from, to)	((u64)(from) << 32 | (to))
/** PCN_CLOSED - what a side names that has closed the lanes of two lives */
#define PCN_CLOSED(pair)	(~(u64)(pair))

/** enum pcn_stage - how far a secondary has come */
enum pcn_stage {
	PCN_STAGE_NONE,		/* not entered yet */
	PCN_STAGE_ENTERED,	/* its kernel has found its hand-off */
	PCN_STAGE_RUNNING,	/* its first user process is about to run */
	PCN_STAGE_ENDING,	/* about to end; @end and @reason may follow */
	PCN_STAGE_PARKED,	/* ended: its CPUs will not run again */
};

/** enum pcn_end - how a secondary has ended */
enum pcn_end {
	PCN_END_NONE,
	PCN_END_POWEROFF,
	PCN_END_HALT,
	PCN_END_REBOOT,
	PCN_END_KEXEC,
	PCN_END_PANIC,
	PCN_END_REFUSED,	/* the kernel cannot run with this hand-off */
	PCN_END_MAX,
};

#define PCN_REASON_MAX		160
#define PCN_RELEASE_MAX		72

/**
 * struct pcn_control - control block of a secondary
 * @generation:	number of this life; the primary's, as are @stops and @pad0
 * @stops:	how often the secondary was asked to power off in this life
 * @pad0:	zero
 * @stage:	enum pcn_stage; the secondary's, as is all that follows
 * @end:	enum pcn_end
 * @pad1:	zero
 * @release:	uname -r
 * @reason:	why it ended, in words
 * @pad2:	zero
 * @beat:	one heart per CPU, in the order of the hand-off: counts up
 *		from 1 in hard interrupt context every PCN_BEAT_MS
 */
struct pcn_control {
	u32	generation;
	u32	stops;
	u32	pad0[14];
	u32	stage;
	u32	end;
	u32	pad1[14];
	char	release[PCN_RELEASE_MAX];
	char	reason[PCN_REASON_MAX];
	u32	pad2[38];
	u64	beat[PCN_CPUS_PER_KERNEL];
};

/** PCN_BEAT_MS - milliseconds between two beats of a heart */
#define PCN_BEAT_MS		100

/**
 * struct pcn_log - a kernel's log: a ring of text with one writer
 * @head:	bytes ever written; byte n is text[n % PCN_LOG_SIZE]
 * @pad:	zero
 * @text:	the ring
 */
struct pcn_log {
	u64	head;
	u64	pad[7];
	char	text[PCN_LOG_SIZE - 64];
};

/** PCN_LOG_TEXT - bytes of text that a log holds */
#define PCN_LOG_TEXT		(PCN_LOG_SIZE - 64)

/**
 * struct pcn_area - one kernel's part of the window
 * @control:	control block
 * @pad:	zero
 * @log:	log
 */
struct pcn_area {
	union {
		struct pcn_control control;
		u8	pad[0x1000];
	};
	struct pcn_log log;
};

#endif /* _POPCORN_WINDOW_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The window: the only memory that two kernels both touch.
 *
 * It begins with a header and the primary's clock, both written by the
 * primary alone. One area per kernel follows: a control block and a log.
 * Kernels may be of different builds, so this is an ABI: fixed widths,
 * explicit padding, offsets asserted in kernel/popcorn/window.c, and a
 * version that a secondary checks before it believes anything.
 *
 * Every field has one writer. Fields written by the other side are read once,
 * with READ_ONCE() or smp_load_acquire(), copied and only then checked.
 */
#ifndef _POPCORN_WINDOW_H
#define _POPCORN_WINDOW_H

#include <linux/types.h>

#include <popcorn/partition.h>

#define PCN_WINDOW_MAGIC	0x31574e4f50434e50ULL	/* "PNCPONW1" */
#define PCN_WINDOW_VERSION	1

/** PCN_AREA_OFFSET - window offset of kernel 0's area, bytes */
#define PCN_AREA_OFFSET		0x2000
/**
 * PCN_AREA_SIZE - bytes of one kernel's area
 *
 * Half of what one early_memremap() slot can map, since a secondary has
 * nothing else to write its log through while it boots.
 */
#define PCN_AREA_SIZE		0x20000
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

/**
 * struct pcn_window - head of the window
 * @magic:	PCN_WINDOW_MAGIC
 * @version:	PCN_WINDOW_VERSION
 * @kernels:	number of areas
 * @size:	bytes of the whole window
 * @primary_apicid: physical APIC id that takes the doorbell for the primary
 * @pad:	zero
 * @clock:	the primary's clock
 */
struct pcn_window {
	u64	magic;
	u32	version;
	u32	kernels;
	u64	size;
	u32	primary_apicid;
	u32	pad[9];
	struct pcn_clock clock;
};

/** enum pcn_request - what the primary asks of a secondary */
enum pcn_request {
	PCN_REQUEST_NONE,
	PCN_REQUEST_STOP,
};

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
 * @generation:	number of this life; the primary's, as are @request and @pad0
 * @request:	enum pcn_request
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
	u32	request;
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

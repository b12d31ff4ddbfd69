/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The state of a thread that runs on another kernel than the one it belongs to: as it
 * travels, and what of it the architecture takes from a task and gives to one. How a
 * thread travels is in kernel/popcorn/threads/internal.h.
 */
#ifndef _POPCORN_THREAD_H
#define _POPCORN_THREAD_H

#include <linux/build_bug.h>
#include <linux/mm_types.h>
#include <linux/signal_types.h>
#include <linux/stddef.h>
#include <linux/types.h>

#include <popcorn/partition.h>
#include <popcorn/space.h>

struct pt_regs;

/** PCN_GPRS - registers in struct pcn_thread_msg, as x86's user_regs_struct */
#define PCN_GPRS	27
/** PCN_XSTATE_MAX - bytes of extended state that a message has room for */
#define PCN_XSTATE_MAX	3584
/**
 * enum pcn_thread_msg_type - what a message about a thread says
 * @PCN_THREAD_NONE:	there is none
 * @PCN_THREAD_ARRIVE:	shadow: become its visitor
 * @PCN_THREAD_CALL:	visitor: do this system call
 * @PCN_THREAD_HOME:	visitor: this is the whole state, and I am gone
 * @PCN_THREAD_GONE:	visitor: I have died, the state is lost
 * @PCN_THREAD_RESULT:	shadow: the system call is done, go on
 * @PCN_THREAD_REJOIN:	shadow: it is done, come home with the rest of the state
 * @PCN_THREAD_RECALL:	shadow: come home
 * @PCN_THREAD_DIE:		shadow: the thread is being killed
 * @PCN_THREAD_LOST:	no message: the other kernel is down
 * @PCN_THREAD_REFUSED:	instead of a visitor: there is, and will be, none
 */
enum pcn_thread_msg_type {
	PCN_THREAD_NONE,
	PCN_THREAD_ARRIVE,
	PCN_THREAD_CALL,
	PCN_THREAD_HOME,
	PCN_THREAD_GONE,
	PCN_THREAD_RESULT,
	PCN_THREAD_REJOIN,
	PCN_THREAD_RECALL,
	PCN_THREAD_DIE,
	PCN_THREAD_LOST,
	PCN_THREAD_REFUSED,
};

/**
 * enum pcn_home_reason - why a visitor goes home
 * @PCN_HOME_CALL:	a system call that the shadow has to do as itself; the
 *			state is that before it
 * @PCN_HOME_RESULT:	PCN_THREAD_REJOIN
 * @PCN_HOME_FAULT:	an access that is not possible here; it is to be repeated
 * @PCN_HOME_SIGNAL:	an exception, in &pcn_thread_msg.info
 * @PCN_HOME_RECALL:	PCN_THREAD_RECALL, PCN_THREAD_DIE
 */
enum pcn_home_reason {
	PCN_HOME_CALL,
	PCN_HOME_RESULT,
	PCN_HOME_FAULT,
	PCN_HOME_SIGNAL,
	PCN_HOME_RECALL,
};

/**
 * struct pcn_thread_msg - between a shadow and its visitor. On the wire
 * @thread:	the thread's number
 * @process:	its process's, that is its space's
 * @attempt:	how often it had left, this time included
 * @op:		enum pcn_thread_msg_type
 * @reason:	enum pcn_home_reason; of PCN_THREAD_REFUSED why not, a positive errno; of
 *		PCN_THREAD_RESULT whether there is a @vma: 1, or 0; of PCN_THREAD_CALL whether
 *		the visitor's kernel has given up pages: 1, or 0
 * @xsize:	bytes of @xstate that are used
 * @trap:	number of the exception
 * @error:	its error code
 * @address:	of a page fault
 * @given_first: number of the first page that was given up
 * @given_last:	number of the last one
 * @comm:	name of the thread
 * @gprs:	general registers
 * @info:	of an exception's signal
 * @vma:	that the call has made, instead of what follows @gprs otherwise
 * @cpus:	what it is bound to, the machine's numbers; none: not bound
 * @xstate:	extended state in the XSAVE area's standard format
 *
 * What follows @gprs is there only where the whole state travels.
 */
struct pcn_thread_msg {
	u64	thread;
	u64	process;
	u64	attempt;
	u32	op;
	u32	reason;
	u32	xsize;
	u32	trap;
	union {
		struct {
			u64	error;
			u64	address;
		};
		struct {
			u64	given_first;
			u64	given_last;
		};
	};
	u8	comm[16];
	u64	gprs[PCN_GPRS];
	union {
		u8		info[sizeof(kernel_siginfo_t)];
		struct pcn_vma	vma;
	};
	u64	cpus[PCN_CPU_LIMIT / 64];
	u8	xstate[PCN_XSTATE_MAX];
};

#define PCN_THREAD_MSG_CALL	offsetof(struct pcn_thread_msg, info)
#define PCN_THREAD_MSG_VMA	offsetofend(struct pcn_thread_msg, vma)

static_assert(sizeof(kernel_siginfo_t) % 8 == 0);
static_assert(offsetof(struct pcn_thread_msg, gprs) == 72);
static_assert(sizeof(struct pcn_thread_msg) <= 4096);

/* arch/x86/kernel/popcorn/threads/state.c */
int pcn_arch_state_save(struct pcn_thread_msg *m);
void pcn_arch_gprs_save(u64 gprs[PCN_GPRS]);
void pcn_arch_gprs_load(const u64 gprs[PCN_GPRS]);
int pcn_arch_state_load(const struct pcn_thread_msg *m, bool gprs);
int pcn_arch_may_leave(void);
void pcn_arch_rewind(u64 gprs[PCN_GPRS]);
void pcn_arch_leave_call(void);
void pcn_arch_do_call(struct pt_regs *regs);
void pcn_arch_trap_save(struct pcn_thread_msg *m);
void pcn_arch_trap_load(const struct pcn_thread_msg *m);
bool pcn_arch_call_is_local(long nr);
bool pcn_arch_call_needs_origin(long nr);
bool pcn_arch_call_maps(long nr);
bool pcn_arch_call_removes(const struct pt_regs *regs, long nr, u64 *first, u64 *last);

#endif /* _POPCORN_THREAD_H */

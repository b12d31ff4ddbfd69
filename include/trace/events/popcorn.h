/* SPDX-License-Identifier: GPL-2.0 */
/* Events of pages and threads. Those of messages are in popcorn_msg.h. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM popcorn

#if !defined(_TRACE_POPCORN_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_POPCORN_H

#include <linux/tracepoint.h>

#include <popcorn/proto.h>

TRACE_DEFINE_ENUM(PCN_U);
TRACE_DEFINE_ENUM(PCN_NR);
TRACE_DEFINE_ENUM(PCN_M);
TRACE_DEFINE_ENUM(PCN_SO);
TRACE_DEFINE_ENUM(PCN_S);
TRACE_DEFINE_ENUM(PCN_I);
TRACE_DEFINE_ENUM(PCN_FNR);
TRACE_DEFINE_ENUM(PCN_FV);
TRACE_DEFINE_ENUM(PCN_FI);
TRACE_DEFINE_ENUM(PCN_IR1);
TRACE_DEFINE_ENUM(PCN_IR2);
TRACE_DEFINE_ENUM(PCN_WP1);
TRACE_DEFINE_ENUM(PCN_WP2);
TRACE_DEFINE_ENUM(PCN_WR);

#define pcn_show_state(value)				\
	__print_symbolic(value,				\
			 { PCN_U, "U" },	\
			 { PCN_NR, "NR" },	\
			 { PCN_M, "M" },	\
			 { PCN_SO, "S*" },	\
			 { PCN_S, "S" },	\
			 { PCN_I, "I" },	\
			 { PCN_FNR, "FNR" },	\
			 { PCN_FV, "FV" },	\
			 { PCN_FI, "FI" },	\
			 { PCN_IR1, "IR1" },	\
			 { PCN_IR2, "IR2" },	\
			 { PCN_WP1, "WP1" },	\
			 { PCN_WP2, "WP2" },	\
			 { PCN_WR, "WR" })

TRACE_DEFINE_ENUM(PCN_FETCH);
TRACE_DEFINE_ENUM(PCN_FETCH_WRITE);
TRACE_DEFINE_ENUM(PCN_JOIN);
TRACE_DEFINE_ENUM(PCN_INVALID);
TRACE_DEFINE_ENUM(PCN_COPY);
TRACE_DEFINE_ENUM(PCN_COPY_OWN);
TRACE_DEFINE_ENUM(PCN_COPY_VOID);
TRACE_DEFINE_ENUM(PCN_ACK);
TRACE_DEFINE_ENUM(PCN_NACK);
TRACE_DEFINE_ENUM(PCN_READ);
TRACE_DEFINE_ENUM(PCN_WRITE);
TRACE_DEFINE_ENUM(PCN_DROP);
TRACE_DEFINE_ENUM(PCN_DEAD);
TRACE_DEFINE_ENUM(PCN_ABORT);
TRACE_DEFINE_ENUM(PCN_REBUILD);
TRACE_DEFINE_ENUM(PCN_LEFT);

#define pcn_show_event(value)				\
	__print_symbolic(value,				\
			 { PCN_FETCH, "Fetch" },	\
			 { PCN_FETCH_WRITE, "Fetch_Write" },	\
			 { PCN_JOIN, "Join" },	\
			 { PCN_INVALID, "Invalid" },	\
			 { PCN_COPY, "Copy" },	\
			 { PCN_COPY_OWN, "Copy-own" },	\
			 { PCN_COPY_VOID, "Copy_Void" },	\
			 { PCN_ACK, "Ack" },	\
			 { PCN_NACK, "Nack" },	\
			 { PCN_READ, "read" },	\
			 { PCN_WRITE, "write" },	\
			 { PCN_DROP, "drop" },	\
			 { PCN_DEAD, "dead" },	\
			 { PCN_ABORT, "abort" },	\
			 { PCN_REBUILD, "rebuild" },	\
			 { PCN_LEFT, "left" })

/* Numbers as in layout.c and thread.h; the last reason is none: it is lost */
#define pcn_show_phase(value)				\
	__print_symbolic(value,				\
			 { 0, "freeze" },		\
			 { 1, "fence" },		\
			 { 2, "drop" },			\
			 { 3, "thaw" })

#define pcn_show_reason(value)				\
	__print_symbolic(value,				\
			 { 0, "call" },			\
			 { 1, "result" },		\
			 { 2, "fault" },		\
			 { 3, "signal" },		\
			 { 4, "recall" },		\
			 { 5, "-" })

#define pcn_show_op(value)				\
	__print_symbolic(value,				\
			 { 3, "home" },			\
			 { 4, "gone" },			\
			 { 9, "lost" })

/* The protocol has taken an event of a page. */
TRACE_EVENT(pcn_page_step,
	TP_PROTO(u64 space, u64 page, unsigned int event, unsigned int from,
		 unsigned int old, unsigned int state, unsigned int actions),
	TP_ARGS(space, page, event, from, old, state, actions),
	TP_STRUCT__entry(
		__field(u64, space)
		__field(u64, page)
		__field(unsigned int, event)
		__field(unsigned int, from)
		__field(unsigned int, old)
		__field(unsigned int, state)
		__field(unsigned int, actions)
	),
	TP_fast_assign(
		__entry->space = space;
		__entry->page = page;
		__entry->event = event;
		__entry->from = from;
		__entry->old = old;
		__entry->state = state;
		__entry->actions = actions;
	),
	TP_printk("space=%llx page=%llx event=%s from=%u old=%s new=%s actions=%u",
		  __entry->space, __entry->page, pcn_show_event(__entry->event),
		  __entry->from, pcn_show_state(__entry->old),
		  pcn_show_state(__entry->state), __entry->actions)
);

/* A message of the protocol goes to @to, about @who. */
TRACE_EVENT(pcn_page_send,
	TP_PROTO(u64 space, u64 page, unsigned int event, unsigned int to,
		 unsigned int who, unsigned int flags),
	TP_ARGS(space, page, event, to, who, flags),
	TP_STRUCT__entry(
		__field(u64, space)
		__field(u64, page)
		__field(unsigned int, event)
		__field(unsigned int, to)
		__field(unsigned int, who)
		__field(unsigned int, flags)
	),
	TP_fast_assign(
		__entry->space = space;
		__entry->page = page;
		__entry->event = event;
		__entry->to = to;
		__entry->who = who;
		__entry->flags = flags;
	),
	TP_printk("space=%llx page=%llx event=%s to=%u who=%u data=%u",
		  __entry->space, __entry->page, pcn_show_event(__entry->event),
		  __entry->to, __entry->who, !!(__entry->flags & 1))
);

/* An access to a page has to wait. */
TRACE_EVENT(pcn_fault_begin,
	TP_PROTO(u64 space, u64 page, bool write),
	TP_ARGS(space, page, write),
	TP_STRUCT__entry(
		__field(u64, space)
		__field(u64, page)
		__field(bool, write)
	),
	TP_fast_assign(
		__entry->space = space;
		__entry->page = page;
		__entry->write = write;
	),
	TP_printk("space=%llx page=%llx write=%d",
		  __entry->space, __entry->page, __entry->write)
);

/* It does not wait any more; had=0: in vain. */
TRACE_EVENT(pcn_fault_end,
	TP_PROTO(u64 space, u64 page, bool write, bool had, u64 ns),
	TP_ARGS(space, page, write, had, ns),
	TP_STRUCT__entry(
		__field(u64, space)
		__field(u64, page)
		__field(u64, ns)
		__field(bool, write)
		__field(bool, had)
	),
	TP_fast_assign(
		__entry->space = space;
		__entry->page = page;
		__entry->write = write;
		__entry->had = had;
		__entry->ns = ns;
	),
	TP_printk("space=%llx page=%llx write=%d had=%d ns=%llu",
		  __entry->space, __entry->page, __entry->write, __entry->had,
		  __entry->ns)
);

/* A plain page has become the protocol's; mapped=0: there was none. */
TRACE_EVENT(pcn_page_adopt,
	TP_PROTO(u64 space, u64 page, bool mapped),
	TP_ARGS(space, page, mapped),
	TP_STRUCT__entry(
		__field(u64, space)
		__field(u64, page)
		__field(bool, mapped)
	),
	TP_fast_assign(
		__entry->space = space;
		__entry->page = page;
		__entry->mapped = mapped;
	),
	TP_printk("space=%llx page=%llx mapped=%d",
		  __entry->space, __entry->page, __entry->mapped)
);

/* The origin gives a page back to Linux. */
TRACE_EVENT(pcn_page_release,
	TP_PROTO(u64 space, u64 page, unsigned int state),
	TP_ARGS(space, page, state),
	TP_STRUCT__entry(
		__field(u64, space)
		__field(u64, page)
		__field(unsigned int, state)
	),
	TP_fast_assign(
		__entry->space = space;
		__entry->page = page;
		__entry->state = state;
	),
	TP_printk("space=%llx page=%llx state=%s",
		  __entry->space, __entry->page, pcn_show_state(__entry->state))
);

/* A round of a layout change: the origin tells it, members obey. */
TRACE_EVENT(pcn_round,
	TP_PROTO(u64 space, u64 first, u64 last, u64 round, unsigned int phase),
	TP_ARGS(space, first, last, round, phase),
	TP_STRUCT__entry(
		__field(u64, space)
		__field(u64, first)
		__field(u64, last)
		__field(u64, round)
		__field(unsigned int, phase)
	),
	TP_fast_assign(
		__entry->space = space;
		__entry->first = first;
		__entry->last = last;
		__entry->round = round;
		__entry->phase = phase;
	),
	TP_printk("space=%llx first=%llx last=%llx round=%llu phase=%s",
		  __entry->space, __entry->first, __entry->last, __entry->round,
		  pcn_show_phase(__entry->phase))
);

/* At the origin: a thread has left for @kid, or could not. */
TRACE_EVENT(pcn_thread_leave,
	TP_PROTO(u64 process, u64 thread, unsigned int kid, int err),
	TP_ARGS(process, thread, kid, err),
	TP_STRUCT__entry(
		__field(u64, process)
		__field(u64, thread)
		__field(unsigned int, kid)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->process = process;
		__entry->thread = thread;
		__entry->kid = kid;
		__entry->err = err;
	),
	TP_printk("process=%llx thread=%llx kid=%u err=%d",
		  __entry->process, __entry->thread, __entry->kid, __entry->err)
);

/* What concerns a thread and another kernel. */
DECLARE_EVENT_CLASS(pcn_thread_kernel,
	TP_PROTO(u64 process, u64 thread, unsigned int kid),
	TP_ARGS(process, thread, kid),
	TP_STRUCT__entry(
		__field(u64, process)
		__field(u64, thread)
		__field(unsigned int, kid)
	),
	TP_fast_assign(
		__entry->process = process;
		__entry->thread = thread;
		__entry->kid = kid;
	),
	TP_printk("process=%llx thread=%llx kid=%u",
		  __entry->process, __entry->thread, __entry->kid)
);

/* Elsewhere: the thread has come from @kid. */
DEFINE_EVENT(pcn_thread_kernel, pcn_thread_arrive,
	TP_PROTO(u64 process, u64 thread, unsigned int kid),
	TP_ARGS(process, thread, kid)
);

/* Elsewhere: it goes home to @kid. */
TRACE_EVENT(pcn_thread_home,
	TP_PROTO(u64 process, u64 thread, unsigned int kid, unsigned int reason),
	TP_ARGS(process, thread, kid, reason),
	TP_STRUCT__entry(
		__field(u64, process)
		__field(u64, thread)
		__field(unsigned int, kid)
		__field(unsigned int, reason)
	),
	TP_fast_assign(
		__entry->process = process;
		__entry->thread = thread;
		__entry->kid = kid;
		__entry->reason = reason;
	),
	TP_printk("process=%llx thread=%llx kid=%u reason=%s",
		  __entry->process, __entry->thread, __entry->kid,
		  pcn_show_reason(__entry->reason))
);

/* At the origin: it is back from @kid, or is no more. */
TRACE_EVENT(pcn_thread_return,
	TP_PROTO(u64 process, u64 thread, unsigned int kid, unsigned int op,
		 unsigned int reason),
	TP_ARGS(process, thread, kid, op, reason),
	TP_STRUCT__entry(
		__field(u64, process)
		__field(u64, thread)
		__field(unsigned int, kid)
		__field(unsigned int, op)
		__field(unsigned int, reason)
	),
	TP_fast_assign(
		__entry->process = process;
		__entry->thread = thread;
		__entry->kid = kid;
		__entry->op = op;
		__entry->reason = reason;
	),
	TP_printk("process=%llx thread=%llx kid=%u how=%s reason=%s",
		  __entry->process, __entry->thread, __entry->kid,
		  pcn_show_op(__entry->op), pcn_show_reason(__entry->reason))
);

/* Elsewhere: a thread has system call @nr done at its origin. */
TRACE_EVENT(pcn_call,
	TP_PROTO(u64 process, u64 thread, long nr),
	TP_ARGS(process, thread, nr),
	TP_STRUCT__entry(
		__field(u64, process)
		__field(u64, thread)
		__field(long, nr)
	),
	TP_fast_assign(
		__entry->process = process;
		__entry->thread = thread;
		__entry->nr = nr;
	),
	TP_printk("process=%llx thread=%llx nr=%ld",
		  __entry->process, __entry->thread, __entry->nr)
);

/* At the origin: the shadow does the call of its visitor on @kid. */
DEFINE_EVENT(pcn_thread_kernel, pcn_call_serve,
	TP_PROTO(u64 process, u64 thread, unsigned int kid),
	TP_ARGS(process, thread, kid)
);

#endif /* _TRACE_POPCORN_H */

#include <trace/define_trace.h>

/* SPDX-License-Identifier: GPL-2.0 */
/* Events of messages. Those of the layers above are in popcorn.h, of the same system. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM popcorn

#if !defined(_TRACE_POPCORN_MSG_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_POPCORN_MSG_H

#include <linux/tracepoint.h>

#include <popcorn/window_layout.h>

TRACE_DEFINE_ENUM(PCN_CONTROL);
TRACE_DEFINE_ENUM(PCN_COHERENCY);
TRACE_DEFINE_ENUM(PCN_NETWORK);
TRACE_DEFINE_ENUM(PCN_TTY);

#define pcn_show_channel(channel)			\
	__print_symbolic(channel,			\
			 { PCN_CONTROL, "control" },	\
			 { PCN_COHERENCY, "coherency" },	\
			 { PCN_NETWORK, "network" },	\
			 { PCN_TTY, "tty" })

/* 0 and 1 are enum pcn_poll_group_id's PCN_POLL_THREAD and PCN_POLL_SOFTIRQ. */
#define pcn_show_group(group)				\
	__print_symbolic(group,				\
			 { 0, "thread" },		\
			 { 1, "softirq" })

DECLARE_EVENT_CLASS(pcn_msg,
	TP_PROTO(unsigned int kid, unsigned int channel, unsigned int type,
		 unsigned int length, u64 request),
	TP_ARGS(kid, channel, type, length, request),
	TP_STRUCT__entry(
		__field(u64, request)
		__field(unsigned int, kid)
		__field(unsigned int, channel)
		__field(unsigned int, type)
		__field(unsigned int, length)
	),
	TP_fast_assign(
		__entry->request = request;
		__entry->kid = kid;
		__entry->channel = channel;
		__entry->type = type;
		__entry->length = length;
	),
	TP_printk("kid=%u channel=%s type=%u length=%u request=%llu",
		  __entry->kid, pcn_show_channel(__entry->channel),
		  __entry->type, __entry->length, __entry->request)
);

/* A message has gone into the ring to @kid. */
DEFINE_EVENT(pcn_msg, pcn_msg_send,
	TP_PROTO(unsigned int kid, unsigned int channel, unsigned int type,
		 unsigned int length, u64 request),
	TP_ARGS(kid, channel, type, length, request)
);

/* A message was taken out of the ring from @kid. */
DEFINE_EVENT(pcn_msg, pcn_msg_receive,
	TP_PROTO(unsigned int kid, unsigned int channel, unsigned int type,
		 unsigned int length, u64 request),
	TP_ARGS(kid, channel, type, length, request)
);

TRACE_EVENT(pcn_doorbell_send,
	TP_PROTO(unsigned int kid, unsigned int group),
	TP_ARGS(kid, group),
	TP_STRUCT__entry(
		__field(unsigned int, kid)
		__field(unsigned int, group)
	),
	TP_fast_assign(
		__entry->kid = kid;
		__entry->group = group;
	),
	TP_printk("kid=%u group=%s", __entry->kid,
		  pcn_show_group(__entry->group))
);

TRACE_EVENT(pcn_doorbell_receive,
	TP_PROTO(unsigned int group),
	TP_ARGS(group),
	TP_STRUCT__entry(
		__field(unsigned int, group)
	),
	TP_fast_assign(
		__entry->group = group;
	),
	TP_printk("group=%s", pcn_show_group(__entry->group))
);

/* One look through all rings of a group, and what it found. */
TRACE_EVENT(pcn_poll,
	TP_PROTO(unsigned int group, unsigned int handled),
	TP_ARGS(group, handled),
	TP_STRUCT__entry(
		__field(unsigned int, group)
		__field(unsigned int, handled)
	),
	TP_fast_assign(
		__entry->group = group;
		__entry->handled = handled;
	),
	TP_printk("group=%s handled=%u", pcn_show_group(__entry->group),
		  __entry->handled)
);

#endif /* _TRACE_POPCORN_MSG_H */

/* Outside of the protection against being read twice */
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE popcorn_msg
#include <trace/define_trace.h>

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * popcorn - what exec and the agent of another kernel say to each other
 *
 * A connection is a socket of the family AF_VSOCK from a port below PCN_PRIVILEGED to
 * PCN_AGENT_PORT (vsock.h), and is for one command. Both sides send frames: a head and up to
 * PCN_FRAME_MAX bytes.
 *
 *	exec			agent
 *	ARGS	------------>			the words of the command, each with its NUL
 *		<------------	STARTED		it runs
 *		<------------	FAILED		it cannot be executed: an errno; the end
 *	INPUT	------------>			for its standard input; empty: there is no more
 *		<------------	CREDIT		so many bytes of INPUT have been taken
 *	SIGNAL	------------>			for its process group
 *		<------------	OUTPUT, ERRORS	what it prints
 *		<------------	EXIT		how it has ended, as a shell tells it; the end
 *
 * Of INPUT no more is under way than PCN_INPUT_CREDIT, so the agent reads each frame at once,
 * and a signal never waits behind input that the command does not read.
 */
#ifndef _TOOLS_POPCORN_FRAME_H
#define _TOOLS_POPCORN_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PCN_FRAME_MAX		65536
#define PCN_INPUT_CREDIT	65536

enum pcn_frame_type {
	PCN_FRAME_ARGS = 1,
	PCN_FRAME_STARTED,
	PCN_FRAME_FAILED,
	PCN_FRAME_INPUT,
	PCN_FRAME_CREDIT,
	PCN_FRAME_SIGNAL,
	PCN_FRAME_OUTPUT,
	PCN_FRAME_ERRORS,
	PCN_FRAME_EXIT,
};

/**
 * struct pcn_frame - a frame
 * @type:	enum pcn_frame_type
 * @length:	bytes of @data
 * @data:	of ARGS, INPUT, OUTPUT, ERRORS; otherwise a uint32_t, or nothing
 */
struct pcn_frame {
	uint32_t	type;
	uint32_t	length;
	char		data[];
};

#define PCN_FRAME_ROOM	(sizeof(struct pcn_frame) + PCN_FRAME_MAX)

/**
 * struct pcn_stream - one side of a connection; nothing here waits
 * @fd:		the socket, which does not block
 * @in:		what has come
 * @in_count:	bytes of it
 * @out:	what is to be sent
 * @out_count:	bytes of it
 */
struct pcn_stream {
	int	fd;
	char	in[PCN_FRAME_ROOM] __attribute__((aligned(8)));
	size_t	in_count;
	char	out[2 * PCN_FRAME_ROOM];
	size_t	out_count;
};

bool pcn_stream_has_room(const struct pcn_stream *s, size_t length);
void pcn_stream_put(struct pcn_stream *s, enum pcn_frame_type type, const void *data,
		    size_t length);
void pcn_stream_put_number(struct pcn_stream *s, enum pcn_frame_type type, uint32_t number);
int pcn_stream_send(struct pcn_stream *s);
int pcn_stream_receive(struct pcn_stream *s);
int pcn_stream_next(const struct pcn_stream *s, const struct pcn_frame **frame);
void pcn_stream_drop(struct pcn_stream *s);
uint32_t pcn_frame_number(const struct pcn_frame *frame);

#endif /* _TOOLS_POPCORN_FRAME_H */

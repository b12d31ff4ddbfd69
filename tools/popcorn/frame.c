// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - frames that exec and the agent exchange
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "frame.h"

/**
 * pcn_stream_has_room() - can a frame be put?
 * @s:		the stream
 * @length:	bytes of its data
 *
 * Return: true if so
 */
bool pcn_stream_has_room(const struct pcn_stream *s, size_t length)
{
	return s->out_count + sizeof(struct pcn_frame) + length <= sizeof(s->out);
}

/**
 * pcn_stream_put() - have a frame sent
 * @s:		the stream, which has room for it
 * @type:	what it is
 * @data:	its data
 * @length:	bytes of that
 */
void pcn_stream_put(struct pcn_stream *s, enum pcn_frame_type type, const void *data,
		    size_t length)
{
	struct pcn_frame head = { .type = type, .length = length };

	memcpy(s->out + s->out_count, &head, sizeof(head));
	s->out_count += sizeof(head);
	if (length)
		memcpy(s->out + s->out_count, data, length);
	s->out_count += length;
}

/**
 * pcn_stream_put_number() - have a frame sent that is a number
 * @s:		the stream, which has room for it
 * @type:	what it is
 * @number:	its data
 */
void pcn_stream_put_number(struct pcn_stream *s, enum pcn_frame_type type, uint32_t number)
{
	pcn_stream_put(s, type, &number, sizeof(number));
}

/* Nothing has moved; is that an error? Returns 0, or an errno. */
static int transient(void)
{
	return errno == EAGAIN || errno == EINTR ? 0 : errno;
}

/**
 * pcn_stream_send() - send what there is room for
 * @s:	the stream
 *
 * Return: 0 or an errno
 */
int pcn_stream_send(struct pcn_stream *s)
{
	ssize_t n = send(s->fd, s->out, s->out_count, MSG_NOSIGNAL);

	if (n < 0)
		return transient();
	s->out_count -= n;
	memmove(s->out, s->out + n, s->out_count);
	return 0;
}

/**
 * pcn_stream_receive() - take what has come
 * @s:	the stream; without a whole frame, or with a small one
 *
 * Return: 0 or an errno; EPIPE: the other side has ended the connection
 */
int pcn_stream_receive(struct pcn_stream *s)
{
	size_t room = sizeof(s->in) - s->in_count;
	ssize_t n;

	if (!room)
		return 0;
	n = recv(s->fd, s->in + s->in_count, room, 0);
	if (n < 0)
		return transient();
	s->in_count += n;
	return n ? 0 : EPIPE;
}

/**
 * pcn_stream_next() - look at the next frame
 * @s:		the stream
 * @frame:	receives the frame, or NULL: it is not complete
 *
 * Return: 0, or EPROTO: what has come is no frame
 */
int pcn_stream_next(const struct pcn_stream *s, const struct pcn_frame **frame)
{
	const struct pcn_frame *f = (const struct pcn_frame *)s->in;
	bool has_head = s->in_count >= sizeof(*f);
	bool is_frame = !has_head || f->length <= PCN_FRAME_MAX;

	*frame = NULL;
	if (has_head && is_frame && s->in_count >= sizeof(*f) + f->length)
		*frame = f;
	return is_frame ? 0 : EPROTO;
}

/**
 * pcn_stream_drop() - have done with the next frame
 * @s:	the stream, in which it is complete
 */
void pcn_stream_drop(struct pcn_stream *s)
{
	const struct pcn_frame *f = (const struct pcn_frame *)s->in;
	size_t size = sizeof(*f) + f->length;

	s->in_count -= size;
	memmove(s->in, s->in + size, s->in_count);
}

/**
 * pcn_frame_number() - the number that a frame is
 * @frame:	the frame
 *
 * Return: the number; 0 if it is none
 */
uint32_t pcn_frame_number(const struct pcn_frame *frame)
{
	uint32_t number = 0;

	if (frame->length == sizeof(number))
		memcpy(&number, frame->data, sizeof(number));
	return number;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Is a packet one that a peer may send, and can it be true? The code that packets are given to
 * trusts what it is told of lengths, addresses and credit, since it was written for a guest
 * and its host.
 */
#include <linux/types.h>

#include "vsock.h"

/* The flags that a packet may have, by what it is. */
static u32 flags_of(u16 op, u16 type)
{
	if (op == VIRTIO_VSOCK_OP_SHUTDOWN)
		return VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND;
	if (op == VIRTIO_VSOCK_OP_RW && type == VIRTIO_VSOCK_TYPE_SEQPACKET)
		return VIRTIO_VSOCK_SEQ_EOM | VIRTIO_VSOCK_SEQ_EOR;
	return 0;
}

/* Data comes with RW, which has some, and with nothing else. */
static bool has_right_length(const struct virtio_vsock_hdr *h, u32 length)
{
	bool is_data = le16_to_cpu(h->op) == VIRTIO_VSOCK_OP_RW;

	return le32_to_cpu(h->len) == length && !length == !is_data;
}

static bool is_between(const struct virtio_vsock_hdr *h, u32 from, u32 to)
{
	return le64_to_cpu(h->src_cid) == from && le64_to_cpu(h->dst_cid) == to;
}

/**
 * pcn_vsock_is_sound - may a peer send such a packet?
 * @h:		its head, a copy that the peer cannot change
 * @length:	bytes of data that came with it
 * @from:	CID of the peer
 * @to:		CID of this kernel
 *
 * Context: any.
 */
bool pcn_vsock_is_sound(const struct virtio_vsock_hdr *h, u32 length, u32 from, u32 to)
{
	u16 op = le16_to_cpu(h->op), type = le16_to_cpu(h->type);

	if (!is_between(h, from, to) || !has_right_length(h, length) ||
	    le32_to_cpu(h->flags) & ~flags_of(op, type))
		return false;
	if (op == VIRTIO_VSOCK_OP_INVALID)
		return !type;
	return op <= VIRTIO_VSOCK_OP_CREDIT_REQUEST &&
	       (type == VIRTIO_VSOCK_TYPE_STREAM || type == VIRTIO_VSOCK_TYPE_SEQPACKET);
}

/**
 * pcn_vsock_credit_is_true - may a peer have taken so much of a connection?
 * @sent:	bytes that the socket has sent, modulo 2^32
 * @unsent:	how many of them wait here yet; of a packet of which a part has gone, all
 * @taken:	bytes that the peer says that it has taken, modulo 2^32
 *
 * A peer that is ahead of what went to it lies, for the program to send more than is ever
 * read. No socket has a buffer of 2 GiB, so what is ahead of @sent is told from what is
 * behind it. An answer "yes" stays true when the socket sends more, or some of it goes.
 *
 * Context: any.
 */
bool pcn_vsock_credit_is_true(u32 sent, u64 unsent, u32 taken)
{
	s32 not_taken = sent - taken;

	return not_taken >= 0 && (u64)not_taken + VIRTIO_VSOCK_MAX_PKT_BUF_SIZE >= unsent;
}

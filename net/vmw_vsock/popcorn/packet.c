// SPDX-License-Identifier: GPL-2.0
/*
 * Is a packet one that a peer may send? The code that packets are given to trusts what it is
 * told of lengths and addresses, since it was written for a guest and its host.
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

// SPDX-License-Identifier: GPL-2.0
/* Unit tests of what is taken for a packet of a peer. */
#include <kunit/test.h>
#include <linux/prandom.h>
#include <linux/sizes.h>

#include "vsock.h"

#define FROM	1001
#define TO	1000
#define RANDOM	100000

static struct virtio_vsock_hdr packet(u16 op, u16 type, u32 length, u32 flags)
{
	return (struct virtio_vsock_hdr) {
		.src_cid = cpu_to_le64(FROM),
		.dst_cid = cpu_to_le64(TO),
		.len = cpu_to_le32(length),
		.type = cpu_to_le16(type),
		.op = cpu_to_le16(op),
		.flags = cpu_to_le32(flags),
	};
}

static bool is_sound(struct virtio_vsock_hdr h, u32 length)
{
	return pcn_vsock_is_sound(&h, length, FROM, TO);
}

static void honest_packets_are_sound(struct kunit *test)
{
	u16 op, type;

	for (type = VIRTIO_VSOCK_TYPE_STREAM; type <= VIRTIO_VSOCK_TYPE_SEQPACKET; type++) {
		for (op = VIRTIO_VSOCK_OP_REQUEST; op <= VIRTIO_VSOCK_OP_CREDIT_REQUEST; op++)
			if (op != VIRTIO_VSOCK_OP_RW)
				KUNIT_EXPECT_TRUE(test, is_sound(packet(op, type, 0, 0), 0));
		KUNIT_EXPECT_TRUE(test, is_sound(packet(VIRTIO_VSOCK_OP_RW, type, 9, 0), 9));
	}
	KUNIT_EXPECT_TRUE(test, is_sound(packet(VIRTIO_VSOCK_OP_RW, 2, 1, 3), 1));
	KUNIT_EXPECT_TRUE(test, is_sound(packet(VIRTIO_VSOCK_OP_SHUTDOWN, 1, 0, 3), 0));
	KUNIT_EXPECT_TRUE(test, is_sound(packet(VIRTIO_VSOCK_OP_INVALID, 0, 0, 0), 0));
}

static void addresses_have_64_bits(struct kunit *test)
{
	struct virtio_vsock_hdr h = packet(VIRTIO_VSOCK_OP_RST, 1, 0, 0);

	h.src_cid = cpu_to_le64(FROM | BIT_ULL(32));
	KUNIT_EXPECT_FALSE(test, is_sound(h, 0));
	h.src_cid = cpu_to_le64(FROM + 1);
	KUNIT_EXPECT_FALSE(test, is_sound(h, 0));
	h.src_cid = cpu_to_le64(FROM);
	h.dst_cid = cpu_to_le64(TO | BIT_ULL(63));
	KUNIT_EXPECT_FALSE(test, is_sound(h, 0));
}

/* Whatever is let through is what the code for sockets relies on. */
static void what_is_sound_is_safe(struct kunit *test)
{
	struct rnd_state random;
	unsigned int i, sound = 0;

	prandom_seed_state(&random, 1);
	for (i = 0; i < RANDOM; i++) {
		u32 r = prandom_u32_state(&random), length = r % 3, told = (r >> 2) % 3;
		u16 op = (r >> 4) % 10, type = (r >> 8) % 4;
		struct virtio_vsock_hdr h = packet(op, type, told, (r >> 12) % 8);

		if (!is_sound(h, length))
			continue;
		sound++;
		KUNIT_EXPECT_EQ(test, told, length);
		KUNIT_EXPECT_EQ(test, length != 0, op == VIRTIO_VSOCK_OP_RW);
		KUNIT_EXPECT_LE(test, op, VIRTIO_VSOCK_OP_CREDIT_REQUEST);
		KUNIT_EXPECT_EQ(test, type == 0, op == VIRTIO_VSOCK_OP_INVALID);
		KUNIT_EXPECT_LE(test, type, VIRTIO_VSOCK_TYPE_SEQPACKET);
		KUNIT_EXPECT_LE(test, le32_to_cpu(h.flags), 3);
	}
	KUNIT_EXPECT_GT(test, sound, 0);
}

/* @sent counts modulo 2^32, and a packet of 64 KiB may have gone in part. */
static void credit_is_of_what_went(struct kunit *test)
{
	static const u32 sums[] = { 0, 1, SZ_64K, SZ_1G, U32_MAX - SZ_1G, U32_MAX };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sums); i++) {
		u32 sent = sums[i];

		KUNIT_EXPECT_TRUE(test, pcn_vsock_credit_is_true(sent, 0, sent));
		KUNIT_EXPECT_TRUE(test, pcn_vsock_credit_is_true(sent, 0, sent - SZ_1G));
		KUNIT_EXPECT_TRUE(test, pcn_vsock_credit_is_true(sent, SZ_1M, sent - SZ_1M));
		KUNIT_EXPECT_TRUE(test, pcn_vsock_credit_is_true(sent, SZ_64K, sent));
		KUNIT_EXPECT_FALSE(test, pcn_vsock_credit_is_true(sent, SZ_64K + 1, sent));
		KUNIT_EXPECT_FALSE(test, pcn_vsock_credit_is_true(sent, 0, sent + 1));
		KUNIT_EXPECT_FALSE(test, pcn_vsock_credit_is_true(sent, SZ_1M, sent + 1));
		KUNIT_EXPECT_FALSE(test, pcn_vsock_credit_is_true(sent, SZ_1M, sent + SZ_1G));
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(honest_packets_are_sound),
	KUNIT_CASE(addresses_have_64_bits),
	KUNIT_CASE(what_is_sound_is_safe),
	KUNIT_CASE(credit_is_of_what_went),
	{}
};

static struct kunit_suite suite = {
	.name		= "popcorn_vsock",
	.test_cases	= cases,
};

kunit_test_suite(suite);

// SPDX-License-Identifier: GPL-2.0
/*
 * Fences: no late answer about a page is under way to this kernel. See protocol.rst,
 * "Late messages".
 *
 * A fence is a request on the channel of page messages, which overtake nothing, and its
 * reply: what the other kernel has sent before is here when the reply is. Kernels are asked
 * one after the other, and each has the whole time to answer, so that none is blamed
 * for the delay of another one. The caller waits for all of them in turn. It asks the
 * origin first: a member that gets no answer at all must not blame another one.
 *
 * The time of a request begins when there is room for it in the ring.
 */
#include <linux/errno.h>

#include <popcorn/partition.h>

#include "internal.h"
#include "round.h"

static int fence_one(unsigned int kid)
{
	u64 word = 0;
	u32 length = sizeof(word);

	return pcn_msg_call(kid, PCN_COHERENCY, PCN_TYPE_PING, &word, sizeof(word),
			    &word, &length, PCN_FENCE_LIMIT_MS);
}

/* Until one of them does not answer, or the process ends. */
static int fence_all(struct pcn_space *s, u64 kernels, u64 *silent)
{
	unsigned int kid;
	int err;

	for_each_kernel(kid, kernels) {
		if (READ_ONCE(s->broken))
			return -EINTR;
		err = fence_one(kid);
		if (err == -EINTR || err == -ENOMEM)
			return err;
		if (err == -ETIMEDOUT) {
			*silent = BIT_ULL(kid);
			return 0;
		}
	}
	return 0;
}

/**
 * pcn_space_fence - wait until no late answer about a page is under way to this kernel
 * @s:		the space
 * @silent:	receives the first kernel that has not answered in time, as bit kid, and the
 *		others have not been asked then; or 0
 *
 * From a kernel that is down, or whose link is broken, nothing comes.
 *
 * Context: process; sleeps, killably.
 * Return: 0; -EINTR also if the process ends; -ENOMEM.
 */
int pcn_space_fence(struct pcn_space *s, u64 *silent)
{
	u64 origin = pcn_other_members(s) & BIT_ULL(s->group.origin);
	int err;

	*silent = 0;
	err = fence_all(s, origin, silent);
	if (!err && !*silent)
		err = fence_all(s, pcn_other_members(s) & ~origin, silent);
	return err;
}

/**
 * pcn_fence_limit_ms - for how long to wait for a member's fence
 * @s:	the space
 *
 * Context: any.
 * Return: more milliseconds than it takes, whatever others do, once there is room.
 */
unsigned int pcn_fence_limit_ms(const struct pcn_space *s)
{
	return s->group.count * PCN_FENCE_LIMIT_MS;
}

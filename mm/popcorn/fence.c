// SPDX-License-Identifier: GPL-2.0
/*
 * Fences: no late answer about a page is under way to this kernel. See protocol.rst,
 * "Late messages".
 *
 * A fence is a request on the channel of page messages, which overtake nothing, and its
 * reply: what the other kernel has sent before is here when the reply is. Kernels are asked
 * one after the other, and each has the whole time to answer, so that none is blamed
 * for the delay of another one. Who asks for fences waits for all of these times.
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

/**
 * pcn_space_fence - wait until no late answer about a page is under way to this kernel
 * @s:		the space
 * @silent:	receives the first kernel that has not answered in time, as bit kid, and the
 *		others have not been asked then; or 0
 *
 * From a kernel that is down, or whose link is broken, nothing comes.
 *
 * Context: process; sleeps, killably.
 * Return: 0; -EINTR; -ENOMEM.
 */
int pcn_space_fence(struct pcn_space *s, u64 *silent)
{
	u64 others = pcn_other_members(s);
	unsigned int kid;
	int err;

	*silent = 0;
	for_each_kernel(kid, others) {
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
 * pcn_fence_limit_ms - for how long to wait for a member's fence
 * @s:	the space
 *
 * Context: any.
 * Return: more milliseconds than it takes, whatever others do.
 */
unsigned int pcn_fence_limit_ms(const struct pcn_space *s)
{
	return s->group.count * PCN_FENCE_LIMIT_MS;
}

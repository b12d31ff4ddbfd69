// SPDX-License-Identifier: GPL-2.0
/*
 * The store buffer of an x86 CPU, in software: a thread goes on reading while others do not
 * see yet what it has stored. On a real CPU that takes nanoseconds, and a barrier that is
 * missing shows now and then, on some hosts, if at all. Here the last store of a thread stays
 * in its buffer until the thread stores again, reads it, has a full barrier, waits or wakes
 * another one, and others are let run before: a missing barrier shows at once, on any host.
 *
 * The order of stores is kept, as on x86 (Sewell, Sarkar, Owens, Zappa Nardelli and Myreen,
 * "x86-TSO", CACM 53(7), 2010). Only stores by these macros to memory that was declared as
 * shared are buffered, and it is only to be read by these macros. Payload may be seen too
 * early, before what publishes it.
 */
#include <sched.h>

#include "seam.h"

#define AREAS_MAX	32

static struct {
	u8	*start;
	size_t	size;
} area[AREAS_MAX];
static unsigned int areas;

static __thread struct {
	void	*to;
	u64	value;
	size_t	size;
} last;

static void drain(void)
{
	switch (last.to ? last.size : 0) {
	case 1:
		__atomic_store_n((u8 *)last.to, last.value, __ATOMIC_RELEASE);
		break;
	case 2:
		__atomic_store_n((u16 *)last.to, last.value, __ATOMIC_RELEASE);
		break;
	case 4:
		__atomic_store_n((u32 *)last.to, last.value, __ATOMIC_RELEASE);
		break;
	case 8:
		__atomic_store_n((u64 *)last.to, last.value, __ATOMIC_RELEASE);
		break;
	}
	last.to = NULL;
}

/* Others run, here and on other CPUs, and then see what this thread has stored. */
void seam_settle(void)
{
	static u32 threads;
	static __thread u32 random;
	u32 spin, yields;

	/* No two threads in step, or some orders would never come. */
	if (!random)
		random = __atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED) * 2654435769;
	random = random * 1664525 + 1013904223;	/* Numerical Recipes' */
	for (spin = random >> 20; spin; spin--)
		barrier();
	for (yields = (random >> 18) % 4; yields; yields--)
		sched_yield();
	drain();
}

static bool is_shared(const u8 *at)
{
	unsigned int i;

	for (i = 0; i < areas; i++)
		if (at >= area[i].start && at < area[i].start + area[i].size)
			return true;
	return false;
}

void seam_store(void *to, u64 value, size_t size)
{
	seam_settle();
	last.to = to;
	last.value = value;
	last.size = size;
	if (!is_shared(to))
		drain();
}

/* Before there are threads. */
void seam_share(void *start, size_t size)
{
	assert(areas < AREAS_MAX);
	area[areas].start = start;
	area[areas++].size = size;
}

/* A CPU sees its own stores. */
void seam_before_load(const void *from)
{
	if (last.to == from)
		drain();
}

void virt_mb(void)
{
	seam_settle();
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

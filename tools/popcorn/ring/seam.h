/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What drivers/msg_layer/ring.c needs of the kernel, in user space. The
 * meanings are those of tools/memory-model: acquire and release map to their
 * C11 namesakes, a full barrier to a sequentially consistent fence.
 */
#ifndef POPCORN_RING_SEAM_H
#define POPCORN_RING_SEAM_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int16_t s16;

/* memory of a program, as in <linux/uio.h> */
struct kvec {
	void	*iov_base;
	size_t	iov_len;
};

/* what has been read is not read again */
static inline void barrier(void)
{
	__asm__ __volatile__("" : : : "memory");
}

#ifdef PCN_STORE_BUFFER
#include "store_buffer.h"
#else	/* PCN_STORE_BUFFER */
#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), v, __ATOMIC_RELAXED)
/* orders what comes after */
#define virt_load_acquire(p)	__atomic_load_n(p, __ATOMIC_ACQUIRE)
/* orders what came before */
#define virt_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
/* orders all */
#define virt_mb()		__atomic_thread_fence(__ATOMIC_SEQ_CST)
/* before a thread waits, or wakes another one */
static inline void seam_settle(void)
{
}

/* what several threads use by these macros only */
static inline void seam_share(void *start, size_t size)
{
	(void)start;
	(void)size;
}
#endif	/* PCN_STORE_BUFFER */

/* orders loads */
#define virt_rmb()		__atomic_thread_fence(__ATOMIC_ACQUIRE)
/* orders stores */
#define virt_wmb()		__atomic_thread_fence(__ATOMIC_RELEASE)

#define min_t(type, a, b)	((type)(a) < (type)(b) ? (type)(a) : (type)(b))

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Stores that others see late: see store_buffer.c. Included by seam.h. */
#ifndef POPCORN_RING_STORE_BUFFER_H
#define POPCORN_RING_STORE_BUFFER_H

void seam_store(void *to, u64 value, size_t size);
void seam_before_load(const void *from);
void seam_settle(void);
void seam_share(void *start, size_t size);
void virt_mb(void);

#define READ_ONCE(x)	(seam_before_load(&(x)), __atomic_load_n(&(x), __ATOMIC_ACQUIRE))
#define WRITE_ONCE(x, v)	seam_store(&(x), (u64)(v), sizeof(x))
#define virt_load_acquire(p)	(seam_before_load(p), __atomic_load_n(p, __ATOMIC_ACQUIRE))
#define virt_store_release(p, v) seam_store(p, (u64)(v), sizeof(*(p)))

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * io_uring by its system calls alone, one request at a time.
 */
#ifndef FUZZ_URING_H
#define FUZZ_URING_H

#include <linux/io_uring.h>

struct ring {
	int			fd;
	unsigned int		*sq_tail, *sq_mask, *sq_array;
	unsigned int		*cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe	*sqes;
	struct io_uring_cqe	*cqes;
};

static char *ring_map(int fd, size_t size, off_t offset)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);

	return p == MAP_FAILED ? NULL : p;
}

/* ring_open: 0, or -1 with errno */
static int ring_open(struct ring *r)
{
	struct io_uring_params p = { 0 };
	char *sq, *cq;

	r->fd = syscall(SYS_io_uring_setup, 4, &p);
	if (r->fd < 0)
		return -1;
	sq = ring_map(r->fd, p.sq_off.array + p.sq_entries * 4, IORING_OFF_SQ_RING);
	cq = ring_map(r->fd, p.cq_off.cqes + p.cq_entries * sizeof(*r->cqes),
		      IORING_OFF_CQ_RING);
	r->sqes = (void *)ring_map(r->fd, p.sq_entries * sizeof(*r->sqes),
				   IORING_OFF_SQES);
	if (!sq || !cq || !r->sqes)
		return -1;
	r->sq_tail = (void *)(sq + p.sq_off.tail);
	r->sq_mask = (void *)(sq + p.sq_off.ring_mask);
	r->sq_array = (void *)(sq + p.sq_off.array);
	r->cq_head = (void *)(cq + p.cq_off.head);
	r->cq_tail = (void *)(cq + p.cq_off.tail);
	r->cq_mask = (void *)(cq + p.cq_off.ring_mask);
	r->cqes = (void *)(cq + p.cq_off.cqes);
	return 0;
}

/*
 * ring_do: one request, to its end; what it returns, -1 with errno for an error. After
 * one that could not be submitted the ring is closed.
 */
static long ring_do(struct ring *r, const struct io_uring_sqe *sqe)
{
	unsigned int tail = *r->sq_tail, head = *r->cq_head, slot = tail & *r->sq_mask;
	long res;

	r->sqes[slot] = *sqe;
	r->sq_array[slot] = slot;
	__atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_RELEASE);
	do {
		res = syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS,
			      NULL, 0);
	} while (res < 0 && errno == EINTR);
	if (res != 1) {
		/* The request is still there, and must not be made later. */
		close(r->fd);
		r->fd = -1;
		return -1;
	}
	while (__atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE) == head)
		if (syscall(SYS_io_uring_enter, r->fd, 0, 1, IORING_ENTER_GETEVENTS,
			    NULL, 0) < 0 && errno != EINTR)
			return -1;
	res = r->cqes[head & *r->cq_mask].res;
	__atomic_store_n(r->cq_head, head + 1, __ATOMIC_RELEASE);
	if (res < 0) {
		errno = -res;
		return -1;
	}
	return res;
}

static long ring_madvise(struct ring *r, char *at, size_t length, int advice)
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_MADVISE, .fd = -1, .addr = (uintptr_t)at,
		.len = length, .fadvise_advice = advice,
	};

	return ring_do(r, &sqe);
}

static long ring_read(struct ring *r, int fd, char *at, off_t offset, bool fixed)
{
	struct io_uring_sqe sqe = {
		.opcode = fixed ? IORING_OP_READ_FIXED : IORING_OP_READ, .fd = fd,
		.addr = (uintptr_t)at, .len = PAGE, .off = offset,
	};

	return ring_do(r, &sqe);
}

/* ring_buffer: register one page as a buffer, or none any more */
static int ring_buffer(struct ring *r, char *at)
{
	struct { void *base; size_t length; } buffer = { at, PAGE };

	return syscall(SYS_io_uring_register, r->fd, at ? IORING_REGISTER_BUFFERS :
		       IORING_UNREGISTER_BUFFERS, at ? &buffer : NULL, !!at);
}

#endif

// SPDX-License-Identifier: GPL-2.0
/*
 * Futexes: a thread that is about to wait looks at the word for a while.
 *
 * Of a process with coherent memory threads on several kernels wait for each other. To sleep
 * costs messages and interrupts, for a thread that is away and for those that it wakes at
 * home, and most waits of threads that compute together are shorter. A thread that sees the
 * word change has its call fail with EAGAIN, as if it had made it a moment later: that is
 * what FUTEX_WAIT says of a word that is not as expected.
 *
 * For how long it looks it learns from how long its waits have taken, as waits for messages
 * do (drivers/msg_layer/linger.c). It handles messages meanwhile, and looks only as long as no
 * other task could use the CPU.
 */
#include <linux/compat.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include <uapi/linux/futex.h>

#include <asm/syscall.h>
#include <asm/unistd.h>

#include <popcorn/msg.h>
#include <popcorn/space.h>

#include "internal.h"

/**
 * struct look - what a thread waits for
 * @t:		the thread
 * @word:	is to change
 * @value:	from this
 */
struct look {
	struct pcn_thread	*t;
	const u32 __user	*word;
	u32			value;
};

static bool has_changed(const void *arg)
{
	const struct look *l = arg;
	bool there;
	u32 now;

	pagefault_disable();
	there = !__get_user(now, l->word);
	pagefault_enable();
	return there && now != l->value;
}

/**
 * pcn_futex_is - is a system call one of futexes?
 * @nr:	number of the call
 *
 * Context: any.
 */
bool pcn_futex_is(long nr)
{
	return nr == __NR_futex;
}

/* It has something else to do. */
static bool is_called(const struct look *l)
{
	return signal_pending(current) || READ_ONCE(l->t->command) || READ_ONCE(l->t->moved);
}

static bool is_over(const void *arg)
{
	return has_changed(arg) || is_called(arg);
}

/*
 * What Linux would refuse it has to see: it says why. And a wait with a time-out may be about
 * to end by that.
 */
static bool is_wait(struct pt_regs *regs, struct look *l)
{
	unsigned long args[6];
	bool bits;
	u32 op;

	if (in_compat_syscall())
		return false;
	syscall_get_arguments(current, regs, args);
	l->word = (const u32 __user *)args[0];
	l->value = args[2];
	op = (u32)args[1] & ~FUTEX_PRIVATE_FLAG;
	bits = (op & ~FUTEX_CLOCK_REALTIME) == FUTEX_WAIT_BITSET && (u32)args[5];
	return (op == FUTEX_WAIT || bits) && !args[3] &&
	       IS_ALIGNED(args[0], sizeof(u32)) && access_ok(l->word, sizeof(u32));
}

/**
 * pcn_futex_look - a thread of a process with coherent memory calls futex(2)
 * @t:		the current thread
 * @regs:	its registers
 *
 * Context: process, with no lock held.
 * Return: true: it need not wait, and the result is in @regs; false: the call is to be made,
 * and pcn_futex_learn() follows.
 */
bool pcn_futex_look(struct pcn_thread *t, struct pt_regs *regs)
{
	struct look l = { .t = t };

	if (!is_wait(regs, &l) || is_called(&l))
		return false;
	t->futex_since = ktime_get_ns();
	pcn_msg_poll_until(&t->futex_linger, is_over, &l);
	if (!has_changed(&l))
		return false;
	pcn_futex_learn(t);
	syscall_set_return_value(current, regs, -EAGAIN, 0);
	return true;
}

/**
 * pcn_futex_learn - a system call is over, which may have been a wait
 * @t:	the current thread
 *
 * Context: process.
 */
void pcn_futex_learn(struct pcn_thread *t)
{
	if (!t->futex_since)
		return;
	pcn_linger_learn(&t->futex_linger, ktime_get_ns() - t->futex_since);
	t->futex_since = 0;
}

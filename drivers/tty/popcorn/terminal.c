// SPDX-License-Identifier: GPL-2.0
/*
 * The terminal of this kernel, for people at other kernels: /dev/hvc0.
 *
 * What is printed goes into a ring, and from there to each session as far as it has room.
 * A session that begins sees what is in the ring: as a terminal shows what was printed before
 * somebody looked. Without a session the oldest is overwritten. With some, nothing is that one
 * of them has still to see: the writer waits for the slowest, as on a serial line whose other
 * end says stop. So a session that is not read stops those who print, until it is closed. What
 * was typed in a session that is over is still read.
 *
 * Everything here runs with interrupts off, under the lock of hvc or in a handler. A handler
 * does not read or print: it wakes the thread of hvc, which does.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/build_bug.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/kfifo.h>
#include <linux/minmax.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/tty.h>
#include <linux/workqueue.h>

#include <popcorn/hooks.h>
#include <popcorn/msg.h>

#include "../hvc/hvc_console.h"
#include "terminal.h"

/* What is kept for sessions that begin, and for those that are slow. A power of two. */
#define RING		65536
/* Sessions at a time, of all kernels. */
#define SESSIONS	16

/**
 * enum state - of a session
 * @FREE:	there is none
 * @OPEN:	somebody watches
 * @OVER:	nobody does, and something that was typed has still to be read
 */
enum state { FREE, OPEN, OVER };

/**
 * struct session - somebody watches
 * @kid:	the kernel
 * @number:	of the session there
 * @state:	of it
 * @at:		so much of all that was printed has been sent
 * @room:	bytes that may be sent
 * @owed:	bytes that were read, and not told of
 * @input:	what has been typed, and not been read
 */
struct session {
	unsigned int	kid;
	u32		number;
	enum state	state;
	u64		at;
	u32		room;
	u32		owed;
	DECLARE_KFIFO(input, u8, PCN_TTY_INPUT);
};

static struct {
	spinlock_t		lock;
	struct hvc_struct	*hvc;
	u64			printed;	/* bytes, since boot */
	struct winsize		size;		/* of the window that was told of last */
	struct session		session[SESSIONS];
	struct delayed_work	pump;
	u8			ring[RING];
} terminal = {
	.lock = __SPIN_LOCK_UNLOCKED(terminal.lock),
};

#define for_each_slot(s)	\
	for ((s) = terminal.session; (s) < terminal.session + SESSIONS; (s)++)

/* --- to watching kernels --- */

static int tell(const struct session *s, enum pcn_tty_op op, u32 n)
{
	struct pcn_tty_msg m = { .session = s->number, .op = op, .n = n };

	return pcn_msg_post(s->kid, PCN_TTY, PCN_TYPE_TERMINAL, &m, sizeof(m));
}

/* One message. 0; -EAGAIN: there is nothing to send; errors of pcn_msg_post(). */
static int send_part(struct session *s)
{
	/* The lock protects it: it is too large for the stack. */
	static struct {
		struct pcn_tty_msg	m;
		u8			data[PCN_TTY_PART];
	} part;
	u32 offset = s->at % RING;
	u32 n = min3((u64)s->room, terminal.printed - s->at, (u64)PCN_TTY_PART);
	int err;

	lockdep_assert_held(&terminal.lock);
	n = min(n, RING - offset);
	if (!n)
		return -EAGAIN;
	part.m = (struct pcn_tty_msg) { .session = s->number, .op = PCN_TTY_DATA };
	memcpy(part.data, terminal.ring + offset, n);
	err = pcn_msg_post(s->kid, PCN_TTY, PCN_TYPE_TERMINAL, &part, sizeof(part.m) + n);
	if (err)
		return err;
	s->at += n;
	s->room -= n;
	return 0;
}

static void end_session(struct session *s)
{
	s->state = kfifo_is_empty(&s->input) ? FREE : OVER;
}

static int send_credit(struct session *s)
{
	int err = s->owed ? tell(s, PCN_TTY_CREDIT, s->owed) : 0;

	if (!err)
		s->owed = 0;
	return err;
}

/* What cannot go now for want of memory goes later; a kernel that is down gets no more. */
static void pump(struct session *s)
{
	int err;

	if (s->state != OPEN)
		return;
	err = send_credit(s);
	while (!err)
		err = send_part(s);
	if (err == -ENOMEM || err == -ENOBUFS)
		schedule_delayed_work(&terminal.pump, 1);
	else if (err != -EAGAIN)
		end_session(s);
}

static void pump_all(void)
{
	struct session *s;

	lockdep_assert_held(&terminal.lock);
	for_each_slot(s)
		pump(s);
}

static void pump_work(struct work_struct *work)
{
	spin_lock_irq(&terminal.lock);
	pump_all();
	spin_unlock_irq(&terminal.lock);
	hvc_kick();
}

/* --- for hvc --- */

static u32 room_in_ring(void)
{
	u64 behind = 0;
	struct session *s;

	lockdep_assert_held(&terminal.lock);
	for_each_slot(s)
		if (s->state == OPEN)
			behind = max(behind, terminal.printed - s->at);
	return RING - behind;
}

static void print(const u8 *data, u32 n)
{
	u32 offset = terminal.printed % RING, first = min(n, RING - offset);

	memcpy(terminal.ring + offset, data, first);
	memcpy(terminal.ring, data + first, n - first);
	terminal.printed += n;
}

static ssize_t put_chars(u32 vtermno, const u8 *data, size_t count)
{
	unsigned long flags;
	u32 n;

	spin_lock_irqsave(&terminal.lock, flags);
	n = min_t(size_t, count, room_in_ring());
	print(data, n);
	pump_all();
	spin_unlock_irqrestore(&terminal.lock, flags);
	return n;
}

/* What was typed in a session, as far as there is room for it. */
static u32 take_input(struct session *s, u8 *data, size_t count)
{
	u32 n = s->state == FREE ? 0 : kfifo_out(&s->input, data, count);

	s->owed += n;
	if (n)
		pump(s);
	if (s->state == OVER)
		end_session(s);
	return n;
}

static ssize_t get_chars(u32 vtermno, u8 *data, size_t count)
{
	unsigned long flags;
	struct session *s;
	size_t got = 0;

	spin_lock_irqsave(&terminal.lock, flags);
	for_each_slot(s)
		got += take_input(s, data + got, count - got);
	spin_unlock_irqrestore(&terminal.lock, flags);
	return got;
}

/* Who types makes hvc look: it need not poll. A terminal that is opened has no size yet. */
static int notifier_add(struct hvc_struct *hvc, int data)
{
	struct winsize size;

	spin_lock_irq(&terminal.lock);
	size = terminal.size;
	spin_unlock_irq(&terminal.lock);
	hvc->irq_requested = 1;
	if (size.ws_row)
		hvc_resize(hvc, size);
	return 0;
}

static void notifier_del(struct hvc_struct *hvc, int data)
{
	hvc->irq_requested = 0;
}

/* hvc_hangup() has thrown its buffer away, maybe while another CPU was emptying it. */
static void notifier_hangup(struct hvc_struct *hvc, int data)
{
	unsigned long flags;

	spin_lock_irqsave(&hvc->lock, flags);
	hvc->n_outbuf = 0;
	spin_unlock_irqrestore(&hvc->lock, flags);
	notifier_del(hvc, data);
}

static const struct hv_ops terminal_ops = {
	.get_chars		= get_chars,
	.put_chars		= put_chars,
	.notifier_add		= notifier_add,
	.notifier_del		= notifier_del,
	.notifier_hangup	= notifier_hangup,
};

/* --- from watching kernels --- */

static struct session *find_session(unsigned int kid, u32 number)
{
	struct session *s;

	lockdep_assert_held(&terminal.lock);
	for_each_slot(s)
		if (s->state == OPEN && s->kid == kid && s->number == number)
			return s;
	return NULL;
}

/* One that is over has to do without what is still to be read if there is no other. */
static struct session *find_room(void)
{
	struct session *s, *found = NULL;

	for_each_slot(s) {
		if (s->state == FREE)
			return s;
		if (s->state == OVER)
			found = s;
	}
	return found;
}

static int open_session(unsigned int kid, u32 number)
{
	struct session *s;

	if (find_session(kid, number))
		return -EEXIST;
	s = find_room();
	if (!s)
		return -EBUSY;
	s->kid = kid;
	s->number = number;
	s->state = OPEN;
	s->owed = 0;
	s->at = terminal.printed - min_t(u64, terminal.printed, RING / 2);
	s->room = PCN_TTY_OUTPUT;
	INIT_KFIFO(s->input);
	pump(s);
	return 0;
}

static int session_on(struct session *s, const struct pcn_tty_msg *m, u32 length)
{
	switch (m->op) {
	case PCN_TTY_OPEN:
	case PCN_TTY_SIZE:
		return 0;
	case PCN_TTY_CLOSE:
		end_session(s);
		return 0;
	case PCN_TTY_DATA:
		/* There is room for what an honest kernel sends. */
		return kfifo_in(&s->input, m->data, length) == length ? 0 : -EINVAL;
	case PCN_TTY_CREDIT:
		s->room = min_t(u64, (u64)s->room + m->n, PCN_TTY_OUTPUT);
		pump(s);
		return 0;
	default:
		return -EINVAL;
	}
}

static void set_size(const struct pcn_tty_msg *m)
{
	struct winsize size = { .ws_row = m->rows, .ws_col = m->columns };
	unsigned long flags;

	if (!m->rows || !m->columns)
		return;
	spin_lock_irqsave(&terminal.lock, flags);
	terminal.size = size;
	spin_unlock_irqrestore(&terminal.lock, flags);
	hvc_resize(terminal.hvc, size);
}

/**
 * pcn_terminal_on - a message about a session with the terminal of this kernel
 * @kid:	the kernel that has sent it
 * @m:		the message
 * @length:	bytes of its data
 *
 * Context: a handler.
 * Return: 0; -EBUSY there are as many sessions as there can be, -EEXIST there is that one,
 * -ENOTCONN there is no such session, -EOPNOTSUPP nor a terminal, -EINVAL it is not what an
 * honest kernel sends.
 */
int pcn_terminal_on(unsigned int kid, const struct pcn_tty_msg *m, u32 length)
{
	struct session *s;
	unsigned long flags;
	int err = 0;

	if (!terminal.hvc)
		return -EOPNOTSUPP;
	spin_lock_irqsave(&terminal.lock, flags);
	if (m->op == PCN_TTY_OPEN)
		err = open_session(kid, m->session);
	s = err ? NULL : find_session(kid, m->session);
	if (!err)
		err = s ? session_on(s, m, length) : -ENOTCONN;
	spin_unlock_irqrestore(&terminal.lock, flags);
	if (err)
		return err;
	if (m->op == PCN_TTY_OPEN || m->op == PCN_TTY_SIZE)
		set_size(m);
	/* There is something to read, or room to print. */
	hvc_kick();
	return 0;
}

static void terminal_down(struct pcn_peer_notifier *watch, unsigned int kid)
{
	struct session *s;

	spin_lock_irq(&terminal.lock);
	for_each_slot(s)
		if (s->state == OPEN && s->kid == kid)
			end_session(s);
	spin_unlock_irq(&terminal.lock);
	hvc_kick();
}

static struct pcn_peer_notifier peers = {
	.down	= terminal_down,
};

static int __init terminal_begin(void)
{
	struct hvc_struct *hvc;

	BUILD_BUG_ON(RING & (RING - 1));
	BUILD_BUG_ON(RING / 2 < PCN_TTY_OUTPUT);
	INIT_DELAYED_WORK(&terminal.pump, pump_work);
	hvc = hvc_alloc(0, 0, &terminal_ops, PCN_TTY_INPUT);
	if (IS_ERR(hvc))
		return PTR_ERR(hvc);
	terminal.hvc = hvc;
	return pcn_peers_subscribe(&peers);
}

static int __init secondary_init(void)
{
	return pcn_machine_is_shared() && pcn_is_secondary() ? terminal_begin() : 0;
}
device_initcall(secondary_init);

/* The primary may have a terminal of its own that is to be hvc0, as in a virtual machine. */
static int __init primary_init(void)
{
	return pcn_machine_is_shared() && !pcn_is_secondary() ? terminal_begin() : 0;
}
late_initcall(primary_init);

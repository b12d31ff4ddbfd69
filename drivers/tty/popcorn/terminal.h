/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Terminals of kernels, for people at other kernels: what goes between them.
 *
 * A kernel has one terminal (terminal.c), and any other kernel may have sessions with it
 * (watch.c): each sees what the terminal prints and types on it. Each message is about one
 * session, whose number the watching kernel chooses.
 *
 *	watching kernel		kernel of the terminal
 *	OPEN	-------------->			a request: there is a session
 *		<--------------  DATA		what has been printed
 *	CREDIT	-------------->			there is room for more
 *	DATA	-------------->			what is typed
 *		<--------------  CREDIT
 *	SIZE	-------------->			of the window
 *	CLOSE	-------------->			the session is over
 *
 * Neither side sends more than the other one has room for: a session begins with so much
 * room on each side, and CREDIT gives back what has been used of it. So what waits anywhere is
 * bounded, and nothing that is seen by a session is lost. When a kernel dies all its sessions
 * are over.
 */
#ifndef _DRIVERS_TTY_POPCORN_TERMINAL_H
#define _DRIVERS_TTY_POPCORN_TERMINAL_H

#include <linux/types.h>

/** PCN_TTY_OUTPUT - bytes of output that a watching kernel has room for, of a session */
#define PCN_TTY_OUTPUT	16384
/** PCN_TTY_INPUT - bytes of input that the kernel of a terminal has room for, likewise */
#define PCN_TTY_INPUT	256
/** PCN_TTY_PART - bytes of data that a message has at most */
#define PCN_TTY_PART	2048

/**
 * enum pcn_tty_op - what a message is about
 * @PCN_TTY_OPEN:	the sender wants a session, with a window of that size
 * @PCN_TTY_CLOSE:	the session is over
 * @PCN_TTY_DATA:	bytes printed, or typed
 * @PCN_TTY_CREDIT:	there is room for @n more bytes
 * @PCN_TTY_SIZE:	the window has another size
 */
enum pcn_tty_op {
	PCN_TTY_OPEN,
	PCN_TTY_CLOSE,
	PCN_TTY_DATA,
	PCN_TTY_CREDIT,
	PCN_TTY_SIZE,
};

/**
 * struct pcn_tty_msg - a message, on the wire
 * @session:	number of the session
 * @op:		enum pcn_tty_op
 * @to_terminal: 1: the terminal is the receiver's; 0: it is the sender's
 * @rows:	of the window, or 0
 * @columns:	likewise
 * @n:		see enum pcn_tty_op
 * @data:	of PCN_TTY_DATA; its length is that of the message without the rest
 */
struct pcn_tty_msg {
	u32	session;
	u16	op;
	u16	to_terminal;
	u16	rows;
	u16	columns;
	u32	n;
	u8	data[];
};

int pcn_terminal_on(unsigned int kid, const struct pcn_tty_msg *m, u32 length);

#endif /* _DRIVERS_TTY_POPCORN_TERMINAL_H */

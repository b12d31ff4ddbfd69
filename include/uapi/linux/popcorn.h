/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
#ifndef _UAPI_LINUX_POPCORN_H
#define _UAPI_LINUX_POPCORN_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: Loading a kernel into a Popcorn partition
 *
 * kexec_file_load(2) with %KEXEC_FILE_POPCORN among its flags loads the image
 * for the secondary kernel whose kid stands in bits 24 to 31 of the flags, and
 * with %KEXEC_FILE_UNLOAD in addition drops what was loaded for it. Neither
 * touches the images of an ordinary or a crash kexec.
 */

/* Flag of kexec_file_load(2): the image is for another Popcorn kernel */
#define KEXEC_FILE_POPCORN		0x00000100

/* The flag bits with the kid */
#define KEXEC_FILE_POPCORN_KID_SHIFT	24
#define KEXEC_FILE_POPCORN_KID_MASK	0xff000000

/**
 * KEXEC_FILE_POPCORN_FOR() - make the flags that address a kernel
 * @kid:	index of the kernel, 0 to 255
 *
 * Return: %KEXEC_FILE_POPCORN and the kid, to be ORed with further flags.
 */
#define KEXEC_FILE_POPCORN_FOR(kid)	\
	(KEXEC_FILE_POPCORN |		\
	 ((unsigned long)(kid) << KEXEC_FILE_POPCORN_KID_SHIFT))

/**
 * KEXEC_FILE_POPCORN_KID() - take the kid out of the flags
 * @flags:	flags of kexec_file_load(2)
 *
 * Return: index of the kernel that the flags address.
 */
#define KEXEC_FILE_POPCORN_KID(flags)			\
	(((flags) & KEXEC_FILE_POPCORN_KID_MASK) >>	\
	 KEXEC_FILE_POPCORN_KID_SHIFT)

/**
 * DOC: /dev/popcorn
 *
 * A device for tools that look after the messages between kernels.
 */

/**
 * struct pcn_ping - send bytes to another kernel, and get them back
 * @kid:	index of the other kernel
 * @channel:	on which channel: 0 control, 1 coherency, 2 network, 3 tty
 * @size:	number of bytes; the channel has a limit
 * @timeout_ms:	milliseconds to wait for them, not 0
 * @rtt_ns:	set to the nanoseconds from before the sending until they were
 *		back
 */
struct pcn_ping {
	__u32 kid;
	__u32 channel;
	__u32 size;
	__u32 timeout_ms;
	__u64 rtt_ns;
};

/* ioctl(2) on /dev/popcorn: ping another kernel */
#define PCN_IOC_PING			_IOWR(0xBC, 0x00, struct pcn_ping)

/**
 * struct pcn_console - the terminal of another kernel
 * @kid:	index of the kernel
 * @rows:	of the window where it is shown; 0: not known
 * @columns:	likewise
 */
struct pcn_console {
	__u32 kid;
	__u16 rows;
	__u16 columns;
};

/*
 * ioctl(2) on /dev/popcorn_console: make the file a session with a terminal, and later,
 * tell it another size
 */
#define PCN_IOC_CONSOLE			_IOW(0xBC, 0x01, struct pcn_console)

/**
 * DOC: Threads on other kernels
 *
 * popcorn_migrate(kid, flags) takes the calling thread to another kernel, or
 * home. popcorn_place(list, count, flags) says on which kernels the threads of the program
 * start that is executed next, and what memory it has. See popcorn_migrate(2) and
 * popcorn_place(2).
 */
#ifndef __NR_popcorn_migrate
#define __NR_popcorn_migrate		548
#define __NR_popcorn_place		549
#endif

/* Flags of popcorn_place(2); neither: as /proc/sys/kernel/popcorn_coherent says */
#define PCN_PLACE_COHERENT		0x1	/* all kernels map the same memory */
#define PCN_PLACE_REPLICATED		0x2	/* kernels keep copies of memory */
#define PCN_PLACE_SPREAD		0x4	/* children may be moved for want of CPUs */

/**
 * DOC: Sockets between kernels
 *
 * For sockets of the family AF_VSOCK the address (CID) of a kernel is %PCN_CID_BASE and its
 * kid. A program that connects sets %VMADDR_FLAG_TO_HOST in its address, for the case
 * that this kernel also has virtual machines.
 */
#define PCN_CID_BASE			1000

#endif /* _UAPI_LINUX_POPCORN_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sockets that the kernel uses for itself, and a process has made.
 *
 * A secondary's root directory is read by 9P through a socket of AF_VSOCK, also by a page
 * fault, with the locks of a fault held: the socket's lock comes after these. The lock of a
 * socket that a process reads from comes before, since data is copied to the process with it
 * held. No socket is both: lockdep has to be told, as it takes all sockets of a family for
 * one (compare xs_reclassify_socket() in net/sunrpc/xprtsock.c).
 */
#ifndef _POPCORN_KERNEL_SOCKET_H
#define _POPCORN_KERNEL_SOCKET_H

#include <linux/lockdep.h>
#include <linux/net.h>
#include <net/sock.h>

/**
 * pcn_kernel_socket - from now on the kernel alone uses a socket
 * @file:	the socket; other files are left as they are
 *
 * Context: process.
 */
static inline void pcn_kernel_socket(struct file *file)
{
#if defined(CONFIG_POPCORN) && defined(CONFIG_LOCKDEP)
	static struct lock_class_key key;
	struct socket *socket = sock_from_file(file);

	if (!socket)
		return;
	lock_sock(socket->sk);
	lock_set_class(&socket->sk->sk_lock.dep_map, "sk_lock-kernel", &key, 0, _THIS_IP_);
	release_sock(socket->sk);
#endif
}

#endif /* _POPCORN_KERNEL_SOCKET_H */

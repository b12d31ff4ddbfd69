/* SPDX-License-Identifier: GPL-2.0 */
/*
 * popcorn - sockets between the kernels of a machine
 *
 * The address of a kernel is PCN_CID_BASE and its number. Ports below PCN_PRIVILEGED are root's,
 * on both ends: so a server knows that it was root of that kernel who has connected.
 */
#ifndef _TOOLS_POPCORN_VSOCK_H
#define _TOOLS_POPCORN_VSOCK_H

#define PCN_PRIVILEGED		1024	/* ports below are root's */

/* Ports of servers; those that clients are bound to are between the two. */
#define PCN_AGENT_PORT		1001
#define PCN_ROOT_PORT		400	/* and the number of the kernel that is served */

/* What a connection waits for */
enum pcn_wait_for {
	PCN_WAIT_NOT,
	PCN_WAIT_KERNEL,	/* for the kernel to be up */
	PCN_WAIT_SERVER,	/* and for somebody who listens there */
};

int pcn_vsock_connect(int kid, unsigned int port, enum pcn_wait_for wait);
int pcn_vsock_listen(unsigned int port, int backlog);
int pcn_vsock_accept(int listener, int kid);

#endif /* _TOOLS_POPCORN_VSOCK_H */

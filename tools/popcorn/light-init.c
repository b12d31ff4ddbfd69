// SPDX-License-Identifier: GPL-2.0
/*
 * The first process of a light kernel, which only computes: all that its initial RAM disk
 * needs.
 *
 * It mounts what programs expect, has the kernel take part in the network between kernels and
 * starts "popcorn agent", if those are there, and buries the dead. The kernel calls it as /sbin/poweroff and /sbin/reboot, too: an end in
 * good order, of a kernel that has nothing to put in order.
 *
 * Built on the kernel's nolibc: it is a hundredth of the shell that does this elsewhere,
 * and is unpacked and started so much sooner.
 */
#include "nolibc.h"

/* The argument of a program's first word, without its directory */
static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void mount_all(void)
{
	mkdir("/proc", 0555);
	mkdir("/sys", 0555);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
}

/* "popcorn" and these words; @last may be NULL */
static void start_popcorn(char *verb, char *last)
{
	static char name[] = "/sbin/popcorn";
	static char path[] = "PATH=/sbin:/bin:/usr/sbin:/usr/bin";
	char *argv[] = { name, verb, last, NULL }, *envp[] = { path, NULL };

	if (!fork()) {
		execve(name, argv, envp);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	const char *name = base_name(argc ? argv[0] : "");

	if (!strcmp(name, "poweroff") || !strcmp(name, "halt"))
		return reboot(LINUX_REBOOT_CMD_POWER_OFF);
	if (!strcmp(name, "reboot"))
		return reboot(LINUX_REBOOT_CMD_RESTART);
	mount_all();
	start_popcorn("net", "up");
	start_popcorn("agent", NULL);
	for (;;)
		if (waitpid(-1, NULL, 0) < 0)
			poll(NULL, 0, -1);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - load --root: the first process of the secondary
 *
 * It mounts the directory of the primary by 9P, with what is changed in memory (overlayfs), makes
 * it the root directory of all processes, kernel threads included, starts the agent for "popcorn
 * exec", and becomes the init of the directory. The agent is this program, out of the RAM disk:
 * the directory need not have it.
 *
 * If the directory has no init, this process goes on as one: with a shell on the terminal.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "popcorn.h"
#include "root.h"
#include "vsock.h"

#define PRIMARY		0
#define TERMINAL	"/dev/hvc0"
#define SHELL		"/bin/sh"

/* Bytes of the largest 9P message; diod takes no larger ones. */
#define MESSAGE_SIZE	65536

/* Where it all is until it is the root directory */
#define LOWER		"/lower"
#define OVER		"/over"
#define ROOT		"/root"

/* --- what it says --- */

static int kernel_log = -1;

/* To the kernel log. */
__printf(1, 2) static void say(const char *fmt, ...)
{
	char text[512], line[600];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	/* A line is one write. */
	(void)!write(kernel_log, line, snprintf(line, sizeof(line), "<5>popcorn: %s\n", text));
}

/* The end of the first process is a panic, of which the primary learns. */
#define fail(fmt, ...)							\
	do {								\
		say("no root file system: " fmt, ##__VA_ARGS__);	\
		exit(PCN_FAILED);					\
	} while (0)

/* --- file systems --- */

static void must_mount(const char *what, const char *where, const char *type, unsigned long flags,
		       const char *options)
{
	if (mkdir(where, 0755) && errno != EEXIST)
		fail("cannot make %s: %m", where);
	if (mount(what, where, type, flags, options))
		fail("cannot mount %s at %s: %m%s", type, where,
		     errno == ENODEV ? "; this kernel does not have it built in" : "");
}

/* What programs expect, and an init mounts anew if it likes */
static void may_mount(const char *where, const char *type, unsigned long flags,
		      const char *options)
{
	mkdir(where, 0755);
	if (mount(type, where, type, flags, options))
		say("cannot mount %s at %s: %m", type, where);
}

static void mount_own(void)
{
	mkdir("/dev", 0755);
	if (!mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755"))
		kernel_log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NOCTTY);
	must_mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	must_mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	must_mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
	may_mount("/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666");
	may_mount("/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
}

static bool wants_overlay(void)
{
	char text[32] = "";
	int fd = open("/" PCN_ROOT_CONF, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		fail("cannot read /" PCN_ROOT_CONF ": %m");
	close(fd);
	return !!strstr(text, "overlay=1");
}

/* Messages may take a moment to go to the primary and back. Returns the socket. */
static int connect_to_primary(void)
{
	const unsigned int port = PCN_ROOT_PORT + pcn_self();
	int fd = pcn_vsock_connect(PRIMARY, port, PCN_WAIT_KERNEL);

	if (fd < 0)
		fail("cannot connect to port %u of the primary: %m%s", port,
		     errno == ECONNRESET ? "; the server of \"popcorn load --root\" has ended" :
					   "");
	return fd;
}

/*
 * All is done as root at the other end, and file modes are checked at this one. The directory is
 * not to change meanwhile, so what was read of it stays valid.
 */
static void mount_directory(const char *where)
{
	int fd = connect_to_primary();
	char options[256];

	snprintf(options, sizeof(options),
		 "trans=fd,rfdno=%d,wfdno=%d,version=9p2000.L,msize=%d,aname=%s,uname=root,dfltuid=0,dfltgid=0,access=any,cache=loose",
		 fd, fd, MESSAGE_SIZE, PCN_ROOT_EXPORT);
	must_mount("primary", where, "9p", MS_RDONLY, options);
	close(fd);
}

static void mount_root(void)
{
	if (!wants_overlay()) {
		mount_directory(ROOT);
		return;
	}
	mount_directory(LOWER);
	must_mount("tmpfs", OVER, "tmpfs", 0, "mode=0755");
	if (mkdir(OVER "/upper", 0755) || mkdir(OVER "/work", 0755))
		fail("cannot make directories in memory: %m");
	must_mount("overlay", ROOT, "overlay", 0,
		   "lowerdir=" LOWER ",upperdir=" OVER "/upper,workdir=" OVER "/work,index=off,xino=off");
}

/* Move a mount below the root directory, if there is a place for it. */
static void move(const char *where)
{
	char place[64];

	snprintf(place, sizeof(place), "%s%s", ROOT, where);
	mkdir(place, 0755);
	if (mount(where, place, NULL, MS_MOVE, NULL))
		say("cannot have %s: %m", where);
}

/* Kernel threads have the same root directory as this process: all change it. */
static void switch_root(void)
{
	static const char *const mounts[] = { "/dev", "/proc", "/sys", "/run" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(mounts); i++)
		move(mounts[i]);
	/* Of the RAM disk the program alone is still needed, by the processes that run it. */
	unlink("/init");
	unlink("/" PCN_ROOT_CONF);
	if (chdir(ROOT) || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		fail("cannot change the root directory: %m");
}

/* --- what runs --- */

static void have_streams(int fd)
{
	int i;

	for (i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		dup2(fd, i);
	if (fd > STDERR_FILENO)
		close(fd);
}

static void start_agent(int program)
{
	static char name[] = "popcorn", verb[] = "agent";
	char *argv[] = { name, verb, NULL };

	if (fork())
		return;
	have_streams(open("/dev/null", O_RDWR));
	dup2(kernel_log, STDERR_FILENO);
	fexecve(program, argv, environ);
	say("cannot start the agent: %m");
	_exit(PCN_NOEXEC);
}

/* What init= on the kernel's command line says, to be freed; NULL: nothing. */
static char *asked_init(void)
{
	char text[4096] = "", *word, *rest = text, *found = NULL;
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
		say("cannot read /proc/cmdline: %m");
	close(fd);
	while ((word = strsep(&rest, " \n")))
		if (!strncmp(word, "init=", 5))
			found = word + 5;
	return found ? strdup(found) : NULL;
}

/* Become this program. Returns if that is not possible. */
static void become(const char *path, char **argv)
{
	argv[0] = (char *)path;
	execv(path, argv);
	if (errno != ENOENT)
		say("cannot execute %s: %m", path);
}

/* Returns if there is none. */
static void become_init(char **argv)
{
	static const char *const usual[] = { "/sbin/init", "/etc/init", "/bin/init" };
	char *asked = asked_init();
	size_t i;

	if (asked) {
		become(asked, argv);
		say("there is no %s, which init= asks for", asked);
	}
	for (i = 0; i < ARRAY_SIZE(usual); i++)
		become(usual[i], argv);
}

/* --- without an init --- */

/* In the child: a shell with the terminal. */
static _Noreturn void be_shell(bool again)
{
	int fd;

	/* One that cannot run is not tried all the time. */
	if (again)
		sleep(1);
	setsid();
	fd = open(TERMINAL, O_RDWR);
	if (fd >= 0 && !ioctl(fd, TIOCSCTTY, 0)) {
		have_streams(fd);
		execl(SHELL, "-sh", NULL);
	}
	_exit(PCN_NOEXEC);
}

static pid_t start_shell(const sigset_t *set, bool again)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	sigprocmask(SIG_UNBLOCK, set, NULL);
	be_shell(again);
}

/* What poweroff, halt and reboot of busybox ask of init. */
static void end_machine(int command)
{
	sync();
	reboot(command);
}

/* Bury processes, and have a shell. */
static _Noreturn void be_init(void)
{
	const bool shell_works = !access(SHELL, X_OK) && !access(TERMINAL, R_OK | W_OK);
	pid_t shell = 0, pid;
	bool again = false;
	sigset_t set;

	say("the root directory has no init; a shell %s", shell_works ? "is on the terminal" :
	    "cannot be on the terminal: there is no " SHELL " or no " TERMINAL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (;;) {
		if (!shell && shell_works) {
			shell = start_shell(&set, again);
			again = true;
		}
		switch (sigwaitinfo(&set, NULL)) {
		case SIGTERM:
			end_machine(RB_AUTOBOOT);
			break;
		case SIGUSR1:
			end_machine(RB_HALT_SYSTEM);
			break;
		case SIGUSR2:
			end_machine(RB_POWER_OFF);
			break;
		}
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			if (pid == shell)
				shell = 0;
	}
}

/**
 * pcn_root_init() - be the first process of a secondary that load --root has loaded
 * @argc:	number of the words
 * @argv:	what the kernel has called it by; the init of the directory gets the same
 *
 * Return: does not, but for the exit code of a failure, of which the kernel dies
 */
int pcn_root_init(int argc, char **argv)
{
	int program;

	(void)argc;
	mount_own();
	program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	mount_root();
	switch_root();
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 0);
	setenv("HOME", "/root", 1);
	start_agent(program);
	become_init(argv);
	close(program);
	be_init();
}

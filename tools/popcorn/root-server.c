// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - load --root: the server of a kernel's root directory
 *
 * It is a process in the background that accepts connections of root of that kernel alone, and
 * starts "diod" for each: a server of 9P, which Debian has.
 *
 * What diod keeps its clients from is not enough: it follows ".." and symbolic links out of the
 * directory, and with -e ignores "-o ro". So it gets a mount namespace, and a root directory,
 * where there is no more than the directory, diod itself and the libraries that it needs,
 * all of which cannot be written to; and hardly any capability.
 *
 * There is at most one server for a kernel, which holds a lock (fcntl(2)) on a file of its own in
 * /run/popcorn, so that it can be found. Who replaces it, or only may, has another lock on that
 * file (flock(2)) from before until after.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "popcorn.h"
#include "root.h"
#include "vsock.h"

#define DIOD		"/usr/sbin/diod"
#define DIOD_CONF	"/diod.conf"

/* Connections at a time: there is one for a mount; those of an earlier life may be about to end. */
#define SESSIONS	8

/* Of the server, which has no other ones at first */
enum { REPORT = STDERR_FILENO + 1, TREE, FIRST_FREE };

/* --- the file of a server --- */

static const char *run_directory(void)
{
	return pcn_path_of("POPCORN_RUN", "/run/popcorn");
}

static void path_for(int kid, char *path, size_t size)
{
	snprintf(path, size, "%s/root.%d", run_directory(), kid);
}

/* The process that holds the server's lock, 0: there is none. */
static pid_t server_of(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_GETLK, &lock) || lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

/**
 * pcn_root_of() - what a kernel's root directory is
 * @kid:	the kernel
 *
 * Return: its path, and in brackets what the kernel does with it, to be freed; "": it has none
 */
char *pcn_root_of(int kid)
{
	char path[PATH_MAX], text[PATH_MAX + 32];
	ssize_t n = 0;
	int fd;

	path_for(kid, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && server_of(fd))
		n = read(fd, text, sizeof(text));
	if (fd >= 0)
		close(fd);
	return strndup(text, n > 0 ? n : 0);
}

/**
 * pcn_root_hold() - let nobody else replace the server of a kernel
 * @k:		the kernel
 * @want:	it is to have one; otherwise nothing is done if it never had
 * @hold:	receives the descriptor that is to be closed in the end, or -1
 *
 * Waits for others that do.
 *
 * Return: 0, or an errno
 */
int pcn_root_hold(const struct pcn_kernel *k, bool want, int *hold)
{
	char path[PATH_MAX];

	if (want && mkdir(run_directory(), 0755) && errno != EEXIST)
		return errno;
	path_for(k->kid, path, sizeof(path));
	*hold = open(path, O_RDWR | O_CLOEXEC | (want ? O_CREAT : 0), 0644);
	if (*hold < 0)
		return want || errno != ENOENT ? errno : 0;
	while (flock(*hold, LOCK_EX))
		if (errno != EINTR)
			return errno;
	return 0;
}

/* End the server, and wait for that. Its children go with it. */
static void end_server(int hold)
{
	pid_t pid = server_of(hold);
	int fd = pid ? pidfd_open(pid, 0) : -1;
	struct pollfd end = { .fd = fd, .events = POLLIN };

	if (fd < 0)
		return;
	/* It has the lock still, so the number was not another's meanwhile. */
	if (server_of(hold) == pid && !pidfd_send_signal(fd, SIGKILL, NULL, 0))
		while (poll(&end, 1, -1) < 0 && errno == EINTR)
			;
	close(fd);
}

/* --- in the server: what it sees of the machine --- */

/* Where the server begins to fail it says so to the command that has started it, and ends. */
static _Noreturn void give_up(const char *what)
{
	dprintf(REPORT, "%s: %s", what, strerror(errno));
	_exit(PCN_FAILED);
}

/* Make a directory, or a file, and those above it. False: it fails. */
static bool make_place(const char *path, mode_t type)
{
	char above[PATH_MAX];
	const char *slash = path;
	int fd;

	while ((slash = strchr(slash, '/'))) {
		snprintf(above, sizeof(above), "%.*s", (int)(slash++ - path), path);
		if (mkdir(above, 0755) && errno != EEXIST)
			return false;
	}
	if (S_ISDIR(type))
		return !mkdir(path, 0755) || errno == EEXIST;
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	return fd >= 0 && !close(fd);
}

/* Show something of the machine at the same path below this directory. */
static bool show(const char *path)
{
	const char *here = path + 1;
	char target[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (lstat(path, &st))
		return errno == ENOENT;
	if (S_ISLNK(st.st_mode)) {
		n = readlink(path, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = '\0';
		return !symlink(target, here);
	}
	return make_place(here, st.st_mode) && !mount(path, here, NULL, MS_BIND, NULL) &&
	       !mount(NULL, here, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV,
		      NULL);
}

/* All that diod is to see: libraries, itself, the system's log, the directory */
static void make_view(const struct pcn_root *root)
{
	static const char *const paths[] = {
		"/lib", "/lib64", "/usr/lib", "/usr/lib64", DIOD,
		"/dev/log", "/run/systemd/journal/dev-log",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(paths); i++)
		if (!show(paths[i]))
			give_up(paths[i]);
	if (!make_place(DIOD_CONF + 1, S_IFREG) || !make_place(PCN_ROOT_EXPORT + 1, S_IFDIR) ||
	    move_mount(root->tree, "", AT_FDCWD, PCN_ROOT_EXPORT + 1, MOVE_MOUNT_F_EMPTY_PATH))
		give_up(root->path);
}

/* Mounts of the machine that end meanwhile do so here too. */
static void enter_view(const struct pcn_root *root)
{
	const char *dir = run_directory();

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) ||
	    mount("popcorn", dir, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=64k") ||
	    chdir(dir))
		give_up("cannot have a mount namespace");
	make_view(root);
	if (mount(NULL, dir, NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) ||
	    chroot(".") || chdir("/"))
		give_up("cannot have a root directory");
}

/* --- in the server: serving --- */

/*
 * It may read all files, and drop its groups; nothing else that only root may. CAP_DAC_READ_SEARCH says that better, but
 * with open_by_handle_at(2) it is for all of the file system that the directory is in.
 */
static void drop_capabilities(void)
{
	int cap;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (cap != CAP_DAC_OVERRIDE && cap != CAP_SETGID)
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

static sigset_t only_sigchld(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	return set;
}

/* A descriptor that can be read when a child has ended. */
static int end_of_children(void)
{
	sigset_t set = only_sigchld();

	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* In the child of a server: become diod for a connection. */
static _Noreturn void be_diod(int fd, pid_t server)
{
	sigset_t set = only_sigchld();
	char number[16];

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != server)
		_exit(PCN_FAILED);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	drop_capabilities();
	snprintf(number, sizeof(number), "%d", fd);
	fcntl(fd, F_SETFD, 0);
	execl(DIOD, DIOD, "-f", "-n", "-N", "-c", DIOD_CONF, "-L", "syslog:daemon:err",
	      "-r", number, "-w", number, "-e", PCN_ROOT_EXPORT, NULL);
	perror("popcorn: cannot execute " DIOD);
	_exit(PCN_NOEXEC);
}

static void take_connection(int listener, int kid, unsigned int *sessions)
{
	const pid_t self = getpid();
	int fd = pcn_vsock_accept(listener, kid);
	pid_t pid;

	if (fd < 0)
		return;
	pid = fork();
	if (!pid)
		be_diod(fd, self);
	*sessions += pid > 0;
	close(fd);
}

static _Noreturn void serve_all(int listener, int kid)
{
	struct pollfd fds[] = {
		{ .fd = end_of_children(), .events = POLLIN },
		{ .events = POLLIN },
	};
	struct signalfd_siginfo info;
	unsigned int sessions = 0;

	fcntl(listener, F_SETFL, O_NONBLOCK);
	for (;;) {
		fds[1].fd = sessions < SESSIONS ? listener : -1;
		poll(fds, ARRAY_SIZE(fds), -1);
		if (fds[0].revents)
			(void)!read(fds[0].fd, &info, sizeof(info));
		while (waitpid(-1, NULL, WNOHANG) > 0)
			sessions--;
		if (fds[1].revents)
			take_connection(listener, kid, &sessions);
	}
}

/* --- in the server: its beginning --- */

/* The standard streams: nothing, and the kernel log for what goes wrong. */
static void open_streams(void)
{
	int i;

	for (i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		close(i);
	open("/dev/null", O_RDWR);
	open("/dev/null", O_RDWR);
	if (open("/dev/kmsg", O_WRONLY | O_NOCTTY) < 0)
		open("/dev/null", O_RDWR);
}

/* Keep nothing of the command that has started it but what it needs. */
static void leave_command(int report, int tree)
{
	sigset_t none;
	int i;

	setsid();
	for (i = 1; i < SIGRTMIN; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	report = fcntl(report, F_DUPFD, FIRST_FREE);
	tree = fcntl(tree, F_DUPFD, FIRST_FREE);
	dup3(report, REPORT, O_CLOEXEC);
	dup3(tree, TREE, O_CLOEXEC);
	close_range(FIRST_FREE, ~0U, 0);
	open_streams();
	umask(022);
}

/* The lock is held as long as this process lives. */
static void take_lock(int kid, const struct pcn_root *root)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_MAX];
	int fd;

	path_for(kid, path, sizeof(path));
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fcntl(fd, F_SETLK, &lock) || ftruncate(fd, 0))
		give_up(path);
	dprintf(fd, "%s (%s)", root->path, root->read_only ? "read-only" : "overlay");
}

static _Noreturn void be_server(int kid, struct pcn_root root, int report)
{
	int listener;

	leave_command(report, root.tree);
	root.tree = TREE;
	take_lock(kid, &root);
	listener = pcn_vsock_listen(PCN_ROOT_PORT + kid, SESSIONS);
	if (listener < 0)
		give_up("cannot listen for the kernel");
	enter_view(&root);
	close(TREE);
	dprintf(REPORT, "ok");
	close(REPORT);
	serve_all(listener, kid);
}

/* Start a server. Returns the exit code. */
static int start_server(const struct pcn_kernel *k, const struct pcn_root *root)
{
	char text[PATH_MAX + 128] = "";
	int report[2];
	pid_t pid;

	if (pipe2(report, O_CLOEXEC))
		return pcn_refused(k, "load", errno, NULL);
	pid = fork();
	if (!pid)
		be_server(k->kid, *root, report[1]);
	close(report[1]);
	if (pid < 0)
		snprintf(text, sizeof(text), "%m");
	while (pid > 0 && read(report[0], text, sizeof(text) - 1) < 0 && errno == EINTR)
		;
	close(report[0]);
	if (!strcmp(text, "ok"))
		return PCN_DONE;
	pcn_error("%s: load: the server of its root directory does not start: %s", pcn_label(k),
		  *text ? text : "it has died");
	return PCN_FAILED;
}

/**
 * pcn_root_check() - can there be servers?
 *
 * Return: exit code
 */
int pcn_root_check(void)
{
	if (!*(pcn_read("vsock/rx_late") ?: "")) {
		pcn_error("load: --root needs sockets to other kernels, which this one does not have (there is no vsock in /sys/kernel/popcorn); it needs CONFIG_POPCORN_VSOCK");
		return PCN_ABSENT;
	}
	if (!access(DIOD, X_OK))
		return PCN_DONE;
	pcn_error("load: --root needs %s: %m; it is in the package diod", DIOD);
	return PCN_FAILED;
}

/**
 * pcn_root_replace() - end the server of a kernel, and start another one
 * @k:		the kernel
 * @hold:	of pcn_root_hold(); -1: there is none
 * @root:	what the new one serves; NULL: there is none
 *
 * Return: exit code
 */
int pcn_root_replace(const struct pcn_kernel *k, int hold, const struct pcn_root *root)
{
	if (hold >= 0)
		end_server(hold);
	return root ? start_server(k, root) : PCN_DONE;
}

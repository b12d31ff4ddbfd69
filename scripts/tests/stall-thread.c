// SPDX-License-Identifier: GPL-2.0
/*
 * stall-thread - let one virtual CPU of a running QEMU stand still
 *
 *	stall-thread PID QMP CPU MS
 *
 * Stops the thread of virtual CPU number CPU in process PID, which runs with
 * -name ...,debug-threads=on and has a QMP server at the socket QMP. After MS
 * milliseconds, or at SIGTERM, lets it go on. Prints
 *
 *	stopped after N tries
 *	over stood=MS own=MS others=MS
 *
 * stood: for how long it was stopped; own: for how long it ran meanwhile;
 * others: for how long the other virtual CPUs did, all together.
 *
 * A thread that happens to hold QEMU's big lock would stop the others, too, and
 * QMP with them. If QMP does not answer, the thread goes on and is stopped again
 * a little later.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRIES		20
/* For how long QMP may take to answer, ms; if it may take long at all. */
#define ANSWER_MS	1000
#define PATIENT_MS	30000
#define MSEC_PER_SEC	1000
#define NSEC_PER_MSEC	1000000

static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "stall-thread: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(1);
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * MSEC_PER_SEC + t.tv_nsec / NSEC_PER_MSEC;
}

/* --- threads --- */

/* Reads the first line of a file of a thread; false if the thread is gone. */
static bool read_line(int pid, const char *tid, const char *name, char *line,
		      int size)
{
	char path[300];
	FILE *file;
	bool ok;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/%s", pid, tid, name);
	file = fopen(path, "r");
	ok = file && fgets(line, size, file);
	if (file)
		fclose(file);
	return ok;
}

/* The number of the virtual CPU that a thread is, or -1. */
static int cpu_of(int pid, const char *tid)
{
	char name[64];
	int cpu;

	return read_line(pid, tid, "comm", name, sizeof(name)) &&
	       sscanf(name, "CPU %d/", &cpu) == 1 ? cpu : -1;
}

/* How long a thread has run, ms. */
static long long run_ms(int pid, const char *tid)
{
	char line[128];

	return read_line(pid, tid, "schedstat", line, sizeof(line)) ?
	       atoll(line) / NSEC_PER_MSEC : 0;
}

/* How long the virtual CPU @cpu and all others have run; returns its thread. */
static int look(int pid, int cpu, long long *own, long long *others)
{
	struct dirent *entry;
	char path[32];
	int tid = 0, is;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		die("no process %d", pid);
	*own = *others = 0;
	while ((entry = readdir(dir))) {
		is = cpu_of(pid, entry->d_name);
		if (is == cpu) {
			tid = atoi(entry->d_name);
			*own = run_ms(pid, entry->d_name);
		} else if (is >= 0) {
			*others += run_ms(pid, entry->d_name);
		}
	}
	closedir(dir);
	if (!tid)
		die("process %d has no thread \"CPU %d/...\"", pid, cpu);
	return tid;
}

static void await_stop(int tid)
{
	int status;

	for (;;) {
		if (waitpid(tid, &status, __WALL) < 0 || !WIFSTOPPED(status))
			die("the thread has ended");
		if (status >> 16 == PTRACE_EVENT_STOP)
			return;
		/* A signal came first: it is to have it. */
		ptrace(PTRACE_CONT, tid, 0, WSTOPSIG(status));
	}
}

static void stop(int tid)
{
	if (ptrace(PTRACE_INTERRUPT, tid, 0, 0))
		die("PTRACE_INTERRUPT: %s", strerror(errno));
	await_stop(tid);
}

/* --- QMP --- */

static int connect_to(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (void *)&address, sizeof(address)))
		die("%s: %s", path, strerror(errno));
	return fd;
}

/* Reads up to an answer to a command; false if there is none in time. */
static bool has_answered(int fd, int limit_ms)
{
	static char text[65536];
	static size_t have;
	long long limit = now_ms() + limit_ms, left;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t got;
	char *end;

	for (;;) {
		text[have] = '\0';
		while ((end = strchr(text, '\n'))) {
			*end = '\0';
			/* Others are the greeting, and events. */
			got = !!strstr(text, "\"return\"");
			have -= end + 1 - text;
			memmove(text, end + 1, have + 1);
			if (got)
				return true;
		}
		left = limit - now_ms();
		if (left < 0 || poll(&p, 1, left) <= 0)
			return false;
		got = read(fd, text + have, sizeof(text) - 1 - have);
		if (got <= 0)
			die("QMP has ended");
		have += got;
	}
}

static void command(int fd, const char *name)
{
	dprintf(fd, "{ \"execute\": \"%s\" }\n", name);
}

/* Is the big lock free? The answer comes from a thread that takes it. */
static bool lock_is_free(int fd, int limit_ms)
{
	command(fd, "query-status");
	return has_answered(fd, limit_ms);
}

/* --- */

/* Stops it where the others can go on; returns the number of tries. */
static int stop_alone(int tid, int qmp)
{
	int tries;

	for (tries = 1; tries <= TRIES; tries++) {
		stop(tid);
		if (lock_is_free(qmp, ANSWER_MS))
			return tries;
		ptrace(PTRACE_CONT, tid, 0, 0);
		if (!has_answered(qmp, PATIENT_MS))
			die("QMP does not answer");
		usleep(1000 * tries);
	}
	die("it holds QEMU's lock whenever it is stopped");
	return 0;
}

static void await_end(int ms)
{
	struct timespec limit = {
		.tv_sec = ms / MSEC_PER_SEC,
		.tv_nsec = ms % MSEC_PER_SEC * NSEC_PER_MSEC,
	};
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigtimedwait(&term, NULL, &limit);
}

int main(int argc, char **argv)
{
	long long own, others, own_after, others_after, since;
	int pid, cpu, tid, qmp;
	sigset_t term;

	if (argc != 5)
		die("usage: stall-thread PID QMP CPU MS");
	pid = atoi(argv[1]);
	cpu = atoi(argv[3]);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	qmp = connect_to(argv[2]);
	command(qmp, "qmp_capabilities");
	if (!has_answered(qmp, PATIENT_MS))
		die("no QMP");
	tid = look(pid, cpu, &own, &others);
	/* If this process dies the thread goes on. */
	if (ptrace(PTRACE_SEIZE, tid, 0, 0))
		die("PTRACE_SEIZE: %s", strerror(errno));
	printf("stopped after %d tries\n", stop_alone(tid, qmp));
	since = now_ms();
	look(pid, cpu, &own, &others);
	await_end(atoi(argv[4]));
	look(pid, cpu, &own_after, &others_after);
	if (ptrace(PTRACE_DETACH, tid, 0, 0))
		die("PTRACE_DETACH: %s", strerror(errno));
	printf("over stood=%lld own=%lld others=%lld\n", now_ms() - since,
	       own_after - own, others_after - others);
	return 0;
}

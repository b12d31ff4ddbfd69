// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - agent: run commands for other kernels
 *
 * It listens on a port that only root may have, and takes connections from kernels of this
 * machine whose other end is such a port, too: so it was root there who asked. Each connection
 * has a process of its own, and runs one command (frame.h).
 *
 * The command is the leader of a session and process group. When the connection breaks, or this
 * side of it is told to end, all of the group is ended; when the command ends by itself, what it
 * leaves behind stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"
#include "popcorn.h"
#include "vsock.h"

/* Bytes of output that are sent in a frame */
#define PART		16384
/* Seconds for a connection to say what it wants */
#define PATIENCE	10
/* Connections at a time */
#define SESSIONS	256

/* The standard streams of the command, as this side has them */
enum { INPUT, OUTPUT, ERRORS, STREAMS };

/**
 * struct session - a connection, and its command
 * @stream:	the connection
 * @pid:	the command, and its process group
 * @pipe:	its standard streams; -1: it has ended
 * @input:	what is to be written to it
 * @input_count: bytes of that
 * @input_ended: nothing more comes
 * @credit:	bytes that were written, of which exec was not told yet
 * @signals:	tells of the command's end, and that this process is to end
 * @told_to_end: it is
 * @ended:	the command has ended
 * @status:	then: how
 * @rest:	then: bytes of its output that were in the pipes, and are still to be sent
 */
struct session {
	struct pcn_stream stream;
	pid_t pid;
	int pipe[STREAMS];
	char input[PCN_INPUT_CREDIT];
	size_t input_count;
	bool input_ended;
	uint32_t credit;
	int signals;
	bool told_to_end;
	bool ended;
	int status;
	size_t rest[STREAMS];
};

/* --- starting the command --- */

/* In the child: become the command. @end: its ends of the pipes. */
static _Noreturn void be_command(char **argv, const int *end, int report, pid_t session)
{
	sigset_t none;
	int err, i;

	/* The agent may have been started in the background, without some of them. */
	for (i = 1; i < SIGRTMIN; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Whatever becomes of its session's process, it does not run unseen. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != session)
		_exit(PCN_FAILED);
	setsid();
	for (i = 0; i < STREAMS; i++)
		dup2(end[i], i);
	execvp(argv[0], argv);
	err = errno;
	while (write(report, &err, sizeof(err)) < 0 && errno == EINTR)
		;
	_exit(PCN_NOEXEC);
}

/* Make the pipes of the streams: of [0] is read, and [1] is written. False: it fails. */
static bool make_pipes(int pipes[][2], size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (pipe2(pipes[i], O_CLOEXEC))
			return false;
	return true;
}

/* Returns 0, or an errno: it cannot be executed. */
static int start_command(struct session *s, char **argv)
{
	int pipes[STREAMS + 1][2], end[STREAMS], report, err = 0, i, mine;
	pid_t session = getpid();

	if (!make_pipes(pipes, STREAMS + 1))
		return errno;
	for (i = 0; i < STREAMS; i++) {
		mine = i == INPUT;
		s->pipe[i] = pipes[i][mine];
		end[i] = pipes[i][!mine];
		fcntl(s->pipe[i], F_SETFL, O_NONBLOCK);
	}
	report = pipes[STREAMS][0];
	s->pid = fork();
	if (s->pid < 0)
		return errno;
	if (!s->pid)
		be_command(argv, end, pipes[STREAMS][1], session);
	for (i = 0; i < STREAMS; i++)
		close(end[i]);
	close(pipes[STREAMS][1]);
	/* The exec closes it. */
	while (read(report, &err, sizeof(err)) < 0 && errno == EINTR)
		;
	close(report);
	return err;
}

/* The words of the command, ended by NULL; NULL if they are none. */
static char **words_of(const struct pcn_frame *f)
{
	size_t count = 0, at;
	char *text, **argv;

	if (!f->length || f->data[f->length - 1])
		return NULL;
	text = memcpy(pcn_grow(NULL, f->length), f->data, f->length);
	/* No more words than bytes. */
	argv = pcn_grow(NULL, (f->length + 1) * sizeof(*argv));
	for (at = 0; at < f->length; at += strlen(text + at) + 1)
		argv[count++] = text + at;
	argv[count] = NULL;
	return argv;
}

/* --- its streams --- */

static void close_pipe(struct session *s, int which)
{
	if (s->pipe[which] >= 0)
		close(s->pipe[which]);
	s->pipe[which] = -1;
}

/* A command that does not read its input loses it, and exec is told that it was taken. */
static void write_input(struct session *s)
{
	ssize_t n = write(s->pipe[INPUT], s->input, s->input_count);

	if (n < 0) {
		if (errno == EINTR || errno == EAGAIN)
			return;
		close_pipe(s, INPUT);
		n = s->input_count;
	}
	s->credit += n;
	s->input_count -= n;
	memmove(s->input, s->input + n, s->input_count);
}

/* After the command's end only what it has printed itself is sent. */
static void read_output(struct session *s, int which)
{
	char data[PART];
	size_t count = s->ended && s->rest[which] < PART ? s->rest[which] : PART;
	ssize_t n;

	if (!pcn_stream_has_room(&s->stream, PART))
		return;
	n = read(s->pipe[which], data, count);
	if (n < 0)
		return;
	if (n)
		pcn_stream_put(&s->stream, which == OUTPUT ? PCN_FRAME_OUTPUT : PCN_FRAME_ERRORS,
			       data, n);
	if (s->ended)
		s->rest[which] -= n;
	if (!n || (s->ended && !s->rest[which]))
		close_pipe(s, which);
}

/* Returns false if it is more than was allowed. */
static bool take_input(struct session *s, const struct pcn_frame *f)
{
	if (!f->length)
		s->input_ended = true;
	if (f->length > sizeof(s->input) - s->input_count)
		return false;
	if (s->pipe[INPUT] < 0) {
		s->credit += f->length;
		return true;
	}
	memcpy(s->input + s->input_count, f->data, f->length);
	s->input_count += f->length;
	return true;
}

/* Returns false if it is nothing that may come. */
static bool obey(struct session *s, const struct pcn_frame *f)
{
	uint32_t number = pcn_frame_number(f);

	switch (f->type) {
	case PCN_FRAME_INPUT:
		return take_input(s, f);
	case PCN_FRAME_SIGNAL:
		/* Until it was waited for, nobody else has its number. */
		if (number && number < (uint32_t)SIGRTMIN && !s->ended)
			kill(-s->pid, number);
		/* Who asked shall not have to read all that is left. */
		return !s->ended;
	default:
		return false;
	}
}

static int obey_all(struct session *s)
{
	const struct pcn_frame *f;
	bool obeyed = true;
	int err;

	while (!(err = pcn_stream_next(&s->stream, &f)) && f && obeyed) {
		obeyed = obey(s, f);
		pcn_stream_drop(&s->stream);
	}
	return obeyed ? err : EPROTO;
}

/* What it has printed is in the pipes by now; what others print later is not its. */
static void measure_rest(struct session *s)
{
	int which, bytes;

	close_pipe(s, INPUT);
	for (which = OUTPUT; which < STREAMS; which++) {
		if (s->pipe[which] < 0 || ioctl(s->pipe[which], FIONREAD, &bytes))
			bytes = 0;
		s->rest[which] = bytes;
		if (!bytes)
			close_pipe(s, which);
	}
}

static void note_signal(struct session *s)
{
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo != SIGCHLD) {
		s->told_to_end = true;
	} else if (!s->ended && waitpid(s->pid, &s->status, WNOHANG) == s->pid) {
		s->ended = true;
		measure_rest(s);
	}
}

static void give_credit(struct session *s)
{
	if (!s->credit || !pcn_stream_has_room(&s->stream, sizeof(s->credit)))
		return;
	pcn_stream_put_number(&s->stream, PCN_FRAME_CREDIT, s->credit);
	s->credit = 0;
}

static int poll_fd(int fd, bool wanted)
{
	return wanted ? fd : -1;
}

/* Send and receive, and obey what has come. Returns 0, or an errno. */
static int exchange(struct session *s, bool has_come)
{
	int err = 0;

	give_credit(s);
	if (s->stream.out_count)
		err = pcn_stream_send(&s->stream);
	if (!err && has_come)
		err = pcn_stream_receive(&s->stream);
	if (!err)
		err = obey_all(s);
	if (s->input_ended && !s->input_count)
		close_pipe(s, INPUT);
	return err;
}

/* Wait for something to do, and do it. Returns 0, or an errno. */
static int step(struct session *s)
{
	bool room = pcn_stream_has_room(&s->stream, PART);
	struct pollfd fds[] = {
		{ .fd = poll_fd(s->pipe[INPUT], s->input_count), .events = POLLOUT },
		{ .fd = poll_fd(s->pipe[OUTPUT], room), .events = POLLIN },
		{ .fd = poll_fd(s->pipe[ERRORS], room), .events = POLLIN },
		{ .fd = s->signals, .events = POLLIN },
		{ .fd = s->stream.fd, .events = POLLIN |
						(s->stream.out_count ? POLLOUT : 0) },
	};

	if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
		return errno == EINTR ? 0 : errno;
	if (fds[INPUT].revents)
		write_input(s);
	if (fds[OUTPUT].revents)
		read_output(s, OUTPUT);
	if (fds[ERRORS].revents)
		read_output(s, ERRORS);
	if (fds[STREAMS].revents)
		note_signal(s);
	return exchange(s, fds[STREAMS + 1].revents & ~POLLOUT);
}

/* --- the end --- */

/* Send all that is to be sent. */
static void flush(struct session *s)
{
	int err = 0;

	fcntl(s->stream.fd, F_SETFL, 0);
	while (s->stream.out_count && !err)
		err = pcn_stream_send(&s->stream);
}

static void put_exit(struct session *s)
{
	pcn_stream_put_number(&s->stream, PCN_FRAME_EXIT,
			      WIFSIGNALED(s->status) ? 128 + WTERMSIG(s->status) :
						       WEXITSTATUS(s->status));
}

/* Nobody wants its output any more. All of its group may tidy up for a second. */
static void end_group(struct session *s)
{
	const struct timespec grace = { .tv_sec = 1 };

	kill(-s->pid, SIGHUP);
	kill(-s->pid, SIGCONT);
	nanosleep(&grace, NULL);
	/* It was not waited for, so nobody else has its number. */
	kill(-s->pid, SIGKILL);
}

/* The command that the connection is for. Returns 0, or an errno. */
static int receive_args(struct session *s, char ***argv)
{
	const struct pcn_frame *f = NULL;
	int err = 0;

	while (!err && !f) {
		err = pcn_stream_receive(&s->stream);
		if (!err)
			err = pcn_stream_next(&s->stream, &f);
	}
	if (err)
		return err;
	*argv = f->type == PCN_FRAME_ARGS ? words_of(f) : NULL;
	pcn_stream_drop(&s->stream);
	return *argv ? 0 : EPROTO;
}

/* It has ended, and all is sent that it has printed. */
static bool is_done(const struct session *s)
{
	return s->ended && s->pipe[OUTPUT] < 0 && s->pipe[ERRORS] < 0 && !s->stream.out_count;
}

static void run_command(struct session *s)
{
	int err = 0;

	pcn_stream_put(&s->stream, PCN_FRAME_STARTED, NULL, 0);
	while (!err && !s->told_to_end && !is_done(s))
		err = step(s);
	if (!s->ended) {
		end_group(s);
	} else if (is_done(s)) {
		put_exit(s);
		flush(s);
	}
}

/* The process of a connection. */
static _Noreturn void serve(int fd)
{
	static const int numbers[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP };
	static struct session s;
	sigset_t set;
	char **argv;
	size_t i;
	int err;

	s.stream.fd = fd;
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		if (!pcn_is_ignored(numbers[i]))
			sigaddset(&set, numbers[i]);
	alarm(PATIENCE);
	if (receive_args(&s, &argv))
		exit(PCN_FAILED);
	alarm(0);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s.signals < 0)
		exit(PCN_FAILED);
	err = start_command(&s, argv);
	if (!err) {
		fcntl(fd, F_SETFL, O_NONBLOCK);
		run_command(&s);
	} else {
		pcn_stream_put_number(&s.stream, PCN_FRAME_FAILED, err);
		flush(&s);
	}
	exit(PCN_DONE);
}

/* --- listening --- */

/* Ends the command if it cannot listen. */
static int listen_for_exec(void)
{
	int fd = pcn_vsock_listen(PCN_AGENT_PORT, SESSIONS);

	if (fd >= 0)
		return fd;
	if (errno == EAFNOSUPPORT)
		pcn_die(PCN_ABSENT, "agent: this kernel has no sockets to others: %m");
	if (errno == EADDRINUSE)
		pcn_die(PCN_BUSY, "agent: there is one on this kernel already");
	if (errno == EACCES)
		pcn_die(PCN_PERM, "agent: only root may run it");
	pcn_die(PCN_FAILED, "agent: cannot listen: %m");
}

static unsigned int sessions;

static void reap(void)
{
	while (sessions && waitpid(-1, NULL, WNOHANG) > 0)
		sessions--;
}

/* As many as there may be: wait for one to end. */
static void wait_for_one(void)
{
	if (waitpid(-1, NULL, 0) > 0)
		sessions--;
}

static void take_connection(int listener)
{
	int fd = pcn_vsock_accept(listener, -1);
	pid_t pid;

	reap();
	if (fd < 0)
		return;
	if (sessions >= SESSIONS)
		wait_for_one();
	pid = fork();
	if (!pid) {
		close(listener);
		serve(fd);
	}
	sessions += pid > 0;
	close(fd);
}

/* Who started it may have left signals ignored and files open; commands are not to have them. */
static void inherit_nothing(void)
{
	sigset_t none;
	int fd;

	signal(SIGCHLD, SIG_DFL);
	signal(SIGALRM, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	/* Pipes of commands must not be where standard streams are. */
	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	close(fd);
}

/**
 * pcn_cmd_agent() - popcorn agent
 * @c:	the command line
 *
 * Return: exit code; none as long as it can listen.
 */
int pcn_cmd_agent(const struct pcn_call *c)
{
	int listener, home;

	(void)c;
	inherit_nothing();
	listener = listen_for_exec();
	/* What commands begin with, wherever the agent was started. */
	home = chdir("/root");
	if (home && chdir("/"))
		pcn_die(PCN_FAILED, "agent: cannot go to /: %m");
	for (;;)
		take_connection(listener);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - exec: a command on another kernel
 *
 * It is run by the agent of that kernel (agent.c), which is told over a socket (frame.h). The
 * standard streams, signals and the exit status are passed on, as if the command ran here.
 *
 * Signals do not wait for those who do not read: a stream is written to when poll() says so, and
 * where that may block nevertheless, it is opened anew in a way that does not. When the command has
 * ended and its output is still to be written, the agent answers a signal by closing the
 * connection, and exec dies of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frame.h"
#include "popcorn.h"
#include "vsock.h"

/* For how long to wait for the agent to close when all is done */
#define CLOSE_MS	1000

/**
 * struct session - a command that runs
 * @to:		the kernel
 * @stream:	the connection
 * @credit:	bytes of input that the agent has room for
 * @input_ended: there is no more
 * @written:	bytes of the frame at hand that have been written
 * @output:	the standard output, and
 * @errors:	the standard error, as they are written to
 * @signals:	to be passed on; a signalfd
 * @fatal:	the last one that was and ends most programs, or 0
 * @over:	the command has ended
 * @code:	then: its exit code
 */
struct session {
	const struct pcn_kernel *to;
	struct pcn_stream stream;
	size_t credit;
	bool input_ended;
	size_t written;
	int output;
	int errors;
	int signals;
	int fatal;
	bool over;
	int code;
};

/* --- connecting --- */

/* Say why there is no connection. Returns the exit code. */
static int not_connected(const struct pcn_kernel *k, int err)
{
	switch (err) {
	case ECONNRESET:
		pcn_error("%s: exec: no agent runs there; start \"popcorn agent\" on that kernel",
			  pcn_label(k));
		return PCN_STATE;
	case EHOSTUNREACH:
		return pcn_refused(k, "exec", EHOSTDOWN, NULL);
	case EACCES:
		return pcn_refused(k, "exec", EACCES, NULL);
	case EADDRINUSE:
		pcn_error("%s: exec: all ports below %d are in use", pcn_label(k), PCN_PRIVILEGED);
		return PCN_FAILED;
	case EAFNOSUPPORT:
	case ENETUNREACH:
	case ENODEV:
		pcn_error("%s: exec: this kernel has no sockets to others: %s", pcn_label(k),
			  strerror(err));
		return PCN_ABSENT;
	case ETIMEDOUT:
		pcn_error("%s: exec: it does not answer", pcn_label(k));
		return PCN_TIME;
	default:
		pcn_error("%s: exec: cannot connect: %s", pcn_label(k), strerror(err));
		return PCN_FAILED;
	}
}

/* Ends the command if it fails; with --wait the kernel and its agent are waited for. */
static int connect_to(const struct pcn_kernel *k, bool wait)
{
	int fd = pcn_vsock_connect(k->kid, PCN_AGENT_PORT,
				   wait ? PCN_WAIT_SERVER : PCN_WAIT_NOT);

	if (fd < 0)
		exit(not_connected(k, errno));
	return fd;
}

/* The words of the command, as a frame. Ends the command if they are too long. */
static void put_args(struct session *s, char **argv)
{
	static char words[PCN_FRAME_MAX];
	size_t length = 0, size;

	for (; *argv; argv++) {
		size = strlen(*argv) + 1;
		if (size > sizeof(words) - length)
			pcn_die(PCN_USAGE, "exec: the command has more than %d bytes",
				PCN_FRAME_MAX);
		memcpy(words + length, *argv, size);
		length += size;
	}
	pcn_stream_put(&s->stream, PCN_FRAME_ARGS, words, length);
}

/* --- while it runs --- */

/* Take the signals that the command is to have, from now on; as with nohup, not all. */
static void take_signals(struct session *s)
{
	static const int numbers[] = {
		SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2,
	};
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		if (!pcn_is_ignored(numbers[i]))
			sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signals = pcn_above_streams(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
	if (s->signals < 0)
		pcn_die(PCN_FAILED, "exec: cannot wait for signals: %m");
}

static void pass_signal(struct session *s)
{
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof(info)) != sizeof(info))
		return;
	pcn_stream_put_number(&s->stream, PCN_FRAME_SIGNAL, info.ssi_signo);
	if (info.ssi_signo != SIGUSR1 && info.ssi_signo != SIGUSR2)
		s->fatal = info.ssi_signo;
}

/* End as if the signal that was passed on had not been taken. */
static _Noreturn void die_of(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	signal(number, SIG_DFL);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	exit(128 + number);
}

static void pass_input(struct session *s)
{
	char data[8192];
	size_t room = s->credit < sizeof(data) ? s->credit : sizeof(data);
	ssize_t n = read(STDIN_FILENO, data, room);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		s->input_ended = true;
		n = 0;
	}
	s->credit -= n;
	pcn_stream_put(&s->stream, PCN_FRAME_INPUT, data, n);
}

/* The frame at hand, if it is to be written, and to where. */
static int output_of(const struct session *s, const struct pcn_frame **frame)
{
	if (pcn_stream_next(&s->stream, frame) || !*frame)
		return -1;
	return (*frame)->type == PCN_FRAME_OUTPUT ? s->output :
	       (*frame)->type == PCN_FRAME_ERRORS ? s->errors : -1;
}

/*
 * A terminal that has room for a byte makes a longer write wait, and so does a pipe that others
 * write to. What is opened anew does not, and others who have the old one are not concerned.
 */
static int open_anew(int fd)
{
	char path[32];
	struct stat st;
	int fresh;

	if (fstat(fd, &st) || !(S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)))
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fresh = pcn_above_streams(open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
	return fresh < 0 ? fd : fresh;
}

/* As much as a pipe takes without blocking. */
static void write_output(struct session *s, int fd, const struct pcn_frame *f)
{
	size_t left = f->length - s->written;
	ssize_t n = write(fd, f->data + s->written, left < PIPE_BUF ? left : PIPE_BUF);

	if (n < 0 && errno != EINTR && errno != EAGAIN)
		pcn_die(PCN_FAILED, "exec: cannot write what the command prints: %m");
	if (n > 0)
		s->written += n;
	if (s->written < f->length)
		return;
	s->written = 0;
	pcn_stream_drop(&s->stream);
}

/* The command could not be executed. */
static void note_failure(struct session *s, const char *command, int err)
{
	s->over = true;
	s->code = err == ENOENT ? PCN_NOPROGRAM : PCN_NOEXEC;
	pcn_error("%s: exec: cannot execute %s: %s", pcn_label(s->to), command,
		  strerror(err));
}

static void obey(struct session *s, const char *command, const struct pcn_frame *f)
{
	uint32_t number = pcn_frame_number(f);

	switch (f->type) {
	case PCN_FRAME_STARTED:
		take_signals(s);
		s->credit = PCN_INPUT_CREDIT;
		break;
	case PCN_FRAME_FAILED:
		note_failure(s, command, number);
		break;
	case PCN_FRAME_CREDIT:
		s->credit += number;
		break;
	case PCN_FRAME_EXIT:
		s->over = true;
		s->code = number;
		break;
	}
}

/* Obey all frames but those that have to be written first. Returns 0, or an errno. */
static int obey_all(struct session *s, const char *command)
{
	const struct pcn_frame *f;
	int err;

	while (!(err = pcn_stream_next(&s->stream, &f)) && f && !s->over &&
	       output_of(s, &f) < 0) {
		obey(s, command, f);
		pcn_stream_drop(&s->stream);
	}
	return err;
}

static bool wants_input(const struct session *s)
{
	return !s->input_ended && s->credit && pcn_stream_has_room(&s->stream, 8192);
}

/* Wait for something to do, and do it. Returns 0, or an errno. */
static int step(struct session *s, const char *command)
{
	const struct pcn_frame *f;
	int to = output_of(s, &f), err = 0;
	struct pollfd fds[] = {
		{ .fd = to < 0 || s->stream.out_count || s->fatal ? s->stream.fd : -1,
		  .events = (to < 0 ? POLLIN : 0) | (s->stream.out_count ? POLLOUT : 0) |
			    (s->fatal ? POLLRDHUP : 0) },
		{ .fd = wants_input(s) ? STDIN_FILENO : -1, .events = POLLIN },
		{ .fd = s->signals, .events = POLLIN },
		{ .fd = to, .events = POLLOUT },
	};

	if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
		return errno == EINTR ? 0 : errno;
	/* What can still be written is, and how the command has ended may come behind it. */
	if (to >= 0 && !fds[3].revents && s->fatal &&
	    fds[0].revents & (POLLRDHUP | POLLHUP | POLLERR))
		die_of(s->fatal);
	if (fds[3].revents)
		write_output(s, to, f);
	if (fds[2].revents && pcn_stream_has_room(&s->stream, sizeof(uint32_t)))
		pass_signal(s);
	if (fds[1].revents)
		pass_input(s);
	/* What cannot be sent is not wanted: how it has ended is among what comes. */
	if (s->stream.out_count && fds[0].revents & (POLLOUT | POLLERR) &&
	    pcn_stream_send(&s->stream))
		s->stream.out_count = 0;
	if (to < 0 && fds[0].revents & (POLLIN | POLLHUP | POLLERR))
		err = pcn_stream_receive(&s->stream);
	return obey_all(s, command) ?: err;
}

/*
 * Let the agent be the one that closes, which it does now. If both sides did at once, each would
 * answer with a reset, and the one for this side could meet the next connection from this port.
 */
static void await_close(struct session *s)
{
	struct pollfd fd = { .fd = s->stream.fd, .events = POLLIN };
	char byte;

	while (poll(&fd, 1, CLOSE_MS) > 0 && recv(s->stream.fd, &byte, 1, 0) > 0)
		;
}

/* The connection is broken. Returns the exit code. */
static int lost(const struct session *s, int err)
{
	if (s->fatal && err == EPIPE)
		die_of(s->fatal);
	pcn_error("%s: exec: the connection is lost (%s): the kernel or its agent has ended, and the command with it",
		  pcn_label(s->to), err == EPIPE ? "it was closed" : strerror(err));
	return PCN_LOST;
}

/* On this kernel no agent is needed. Returns the exit code if it cannot be executed. */
static int run_here(char **argv)
{
	int err;

	execvp(argv[0], argv);
	err = errno;
	pcn_error("exec: cannot execute %s: %s", argv[0], strerror(err));
	return err == ENOENT ? PCN_NOPROGRAM : PCN_NOEXEC;
}

/**
 * pcn_cmd_exec() - popcorn exec
 * @c:	the command line
 *
 * Return: exit code
 */
int pcn_cmd_exec(const struct pcn_call *c)
{
	static struct session s = { .signals = -1 };
	int err = 0;

	s.to = pcn_find_peer("exec", c->argv[0]);
	if (!s.to)
		return PCN_UNKNOWN;
	if (s.to->kid == pcn_self())
		return run_here(c->argv + 1);
	if (!*(pcn_read("vsock/rx_late") ?: ""))
		pcn_die(PCN_ABSENT, "exec: this kernel has no sockets to others (there is no vsock in /sys/kernel/popcorn); it needs CONFIG_POPCORN_VSOCK");
	s.output = open_anew(STDOUT_FILENO);
	s.errors = open_anew(STDERR_FILENO);
	put_args(&s, c->argv + 1);
	s.stream.fd = connect_to(s.to, c->stay);
	fcntl(s.stream.fd, F_SETFL, O_NONBLOCK);
	while (!s.over && !err)
		err = step(&s, c->argv[1]);
	if (!s.over)
		return lost(&s, err);
	await_close(&s);
	return s.code;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - exec: a command on another kernel
 *
 * It is run by the agent of that kernel (agent.c), which is told over a socket (frame.h). The
 * standard streams, signals and the exit status are passed on, as if the command ran here.
 *
 * A stream is written to when poll() says so, and as much as a pipe takes then for sure:
 * signals do not wait for those who do not read.
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
#include <sys/socket.h>
#include <unistd.h>

#include "frame.h"
#include "popcorn.h"
#include "vsock.h"

/**
 * struct session - a command that runs
 * @to:		the kernel
 * @stream:	the connection
 * @credit:	bytes of input that the agent has room for
 * @input_ended: there is no more
 * @written:	bytes of the frame at hand that have been written
 * @signals:	to be passed on; a signalfd
 * @over:	the command has ended
 * @code:	then: its exit code
 */
struct session {
	const struct pcn_kernel *to;
	struct pcn_stream stream;
	size_t credit;
	bool input_ended;
	size_t written;
	int signals;
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

static bool is_ignored(int number)
{
	struct sigaction now;

	return !sigaction(number, NULL, &now) && now.sa_handler == SIG_IGN;
}

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
		if (!is_ignored(numbers[i]))
			sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals < 0)
		pcn_die(PCN_FAILED, "exec: cannot wait for signals: %m");
}

static void pass_signal(struct session *s)
{
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof(info)) == sizeof(info))
		pcn_stream_put_number(&s->stream, PCN_FRAME_SIGNAL, info.ssi_signo);
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
	return (*frame)->type == PCN_FRAME_OUTPUT ? STDOUT_FILENO :
	       (*frame)->type == PCN_FRAME_ERRORS ? STDERR_FILENO : -1;
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
		{ .fd = s->stream.fd, .events = (to < 0 ? POLLIN : 0) |
						(s->stream.out_count ? POLLOUT : 0) },
		{ .fd = wants_input(s) ? STDIN_FILENO : -1, .events = POLLIN },
		{ .fd = s->signals, .events = POLLIN },
		{ .fd = to, .events = POLLOUT },
	};

	if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
		return errno == EINTR ? 0 : errno;
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
	char byte;

	fcntl(s->stream.fd, F_SETFL, 0);
	while (recv(s->stream.fd, &byte, 1, 0) > 0)
		;
}

/* The connection is broken. Returns the exit code. */
static int lost(const struct session *s, int err)
{
	pcn_error("%s: exec: the connection is lost (%s): the kernel or its agent has ended, and the command with it",
		  pcn_label(s->to), err == EPIPE ? "it was closed" : strerror(err));
	return PCN_LOST;
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
	if (!*(pcn_read("vsock/rx_late") ?: ""))
		pcn_die(PCN_ABSENT, "exec: this kernel has no sockets to others (there is no vsock in /sys/kernel/popcorn); it needs CONFIG_POPCORN_VSOCK");
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

// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - console: a terminal of another kernel
 *
 * What is typed goes there as it is, and what is printed there is shown. At the beginning of a
 * line "~." ends the session, as with ssh(1). If the standard input is no terminal there is
 * no such escape, and its end leaves the session open: what it has typed may take a while.
 *
 * The command never waits to type: what is printed meanwhile has to be read, or those who
 * print there would wait, and not read what is typed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "../../include/uapi/linux/popcorn.h"
#include "popcorn.h"

/* Between two attempts to begin a session with a kernel that is to come back */
#define AGAIN_MS	200

/* What has been read, and not been typed yet. An escape may add a character. */
#define PENDING		4096

/**
 * enum escape - how far an escape sequence is
 * @LINE_START:	a line begins
 * @TILDE:	with a tilde, which has not been sent
 * @WITHIN:	no sequence can begin
 */
enum escape { LINE_START, TILDE, WITHIN };

/**
 * struct console - a session
 * @to:		the kernel
 * @log:	its log, which is shown first; or NULL
 * @fd:		the device, or -1
 * @is_terminal: the standard input is one
 * @escape:	what has been typed
 * @pending:	bytes that are to be typed
 * @count:	how many
 * @input_ended: nothing more will be typed
 * @left:	the user has had enough
 */
struct console {
	const struct pcn_kernel *to;
	struct pcn_log *log;
	int fd;
	bool is_terminal;
	enum escape escape;
	char pending[PENDING];
	size_t count;
	bool input_ended;
	bool left;
};

static int resized;

static void on_resize(int number)
{
	(void)number;
	__atomic_store_n(&resized, 1, __ATOMIC_RELAXED);
}

/* --- the user's terminal --- */

/* Its state before, for those who end the command. */
static struct termios usual;
static bool is_raw;

static void terminal_usual(void)
{
	if (is_raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &usual);
	is_raw = false;
}

static void on_end(int number)
{
	terminal_usual();
	signal(number, SIG_DFL);
	raise(number);
}

static void terminal_raw(const struct console *c)
{
	struct termios raw;

	if (!c->is_terminal || tcgetattr(STDIN_FILENO, &usual))
		return;
	raw = usual;
	cfmakeraw(&raw);
	is_raw = !tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

/* However the command ends the terminal is to be as it was. */
static void terminal_keep(struct console *c)
{
	static const int numbers[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGPIPE };
	const struct sigaction end = { .sa_handler = on_end };
	const struct sigaction resize = { .sa_handler = on_resize };
	size_t i;

	c->is_terminal = isatty(STDIN_FILENO);
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		if (!pcn_is_ignored(numbers[i]))
			sigaction(numbers[i], &end, NULL);
	sigaction(SIGWINCH, &resize, NULL);
	atexit(terminal_usual);
}

/* Lines for the user, which a raw terminal wants returned. */
static void tell(const struct console *c, const char *text)
{
	fprintf(stderr, "%spopcorn: console: %s: %s%s", is_raw ? "\r\n" : "",
		pcn_label(c->to), text, is_raw ? "\r\n" : "\n");
}

/* --- the device --- */

/* Begin a session, or tell of a new size. 0, or an errno. */
static int attach(const struct console *c)
{
	struct winsize size = { 0 };
	struct pcn_console arg = { .kid = c->to->kid };

	if (!ioctl(STDIN_FILENO, TIOCGWINSZ, &size)) {
		arg.rows = size.ws_row;
		arg.columns = size.ws_col;
	}
	return ioctl(c->fd, PCN_IOC_CONSOLE, &arg) ? errno : 0;
}

/* Ends the command if there is no device. */
static void open_device(struct console *c)
{
	c->fd = pcn_above_streams(open("/dev/popcorn_console", O_RDWR | O_CLOEXEC | O_NONBLOCK));
	if (c->fd >= 0)
		return;
	if (errno == EACCES || errno == EPERM)
		exit(pcn_refused(c->to, "console", errno, NULL));
	pcn_die(PCN_ABSENT, "console: this kernel has no sessions with others (/dev/popcorn_console: %m)");
}

/* What the kernel has said so far, once. A log that goes away meanwhile is no loss. */
static void show_log(const struct console *c)
{
	if (!c->log)
		return;
	pcn_log_print_news(c->log);
	fflush(stdout);
}

/*
 * Returns 0, or an errno. With --wait a kernel that is down is waited for, and its log
 * shown as it comes. The terminal is attached first, so that nothing is between the two.
 */
static int begin(struct console *c, bool wait)
{
	const struct timespec pause = { .tv_nsec = AGAIN_MS * 1000000 };
	int err;

	for (;;) {
		open_device(c);
		err = attach(c);
		show_log(c);
		if (err != EHOSTDOWN || !wait)
			return err;
		close(c->fd);
		nanosleep(&pause, NULL);
	}
}

/* Type what there is room for. */
static void send_pending(struct console *c)
{
	ssize_t n = write(c->fd, c->pending, c->count);

	/* Why not, what is read will tell. */
	if (n <= 0)
		return;
	c->count -= n;
	memmove(c->pending, c->pending + n, c->count);
}

/* --- typing --- */

/* What a character that is typed adds to what is sent, after an escape. */
static size_t take_char(struct console *c, char typed, char *out)
{
	enum escape before = c->escape;
	size_t n = 0;

	c->escape = typed == '\r' || typed == '\n' ? LINE_START : WITHIN;
	if (before == LINE_START && typed == '~') {
		c->escape = TILDE;
		return 0;
	}
	if (before == TILDE && typed == '.') {
		c->left = true;
		return 0;
	}
	if (before == TILDE && typed == '?') {
		tell(c, "~. ends the session, ~~ is a tilde");
		c->escape = LINE_START;
		return 0;
	}
	if (before == TILDE && typed != '~')
		out[n++] = '~';
	out[n++] = typed;
	return n;
}

static bool has_room(const struct console *c)
{
	return c->count <= PENDING / 2;
}

/*
 * Where there is no room for more, a terminal is read nevertheless, for the escape: what else is
 * typed there is lost, as on a terminal that takes no more, and a bell says so.
 */
static void take_input(struct console *c)
{
	bool is_lost = !has_room(c);
	char typed[PENDING / 4], lost[2];
	ssize_t got = read(STDIN_FILENO, typed, sizeof(typed)), i;

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (got <= 0) {
		c->input_ended = true;
		c->left = c->is_terminal;
		return;
	}
	for (i = 0; i < got && !c->left; i++) {
		if (!c->is_terminal)
			c->pending[c->count++] = typed[i];
		else if (!is_lost)
			c->count += take_char(c, typed[i], c->pending + c->count);
		else if (take_char(c, typed[i], lost))
			fputc('\a', stderr);
	}
}

static bool wants_input(const struct console *c)
{
	return !c->input_ended && (c->is_terminal || has_room(c));
}

/* Returns 0, or an errno: why there is no more. */
static int show_output(const struct console *c)
{
	char data[2048];
	ssize_t n = read(c->fd, data, sizeof(data));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : errno;
	pcn_write(data, n);
	fflush(stdout);
	return 0;
}

/* Until the session is over. Returns why: an errno, 0: the user has left. */
static int converse(struct console *c)
{
	int err = 0;

	while (!err && !c->left) {
		struct pollfd fds[] = {
			{ .fd = c->fd, .events = POLLIN | (c->count ? POLLOUT : 0) },
			{ .fd = wants_input(c) ? STDIN_FILENO : -1, .events = POLLIN },
		};

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return errno;
		if (__atomic_exchange_n(&resized, 0, __ATOMIC_RELAXED))
			attach(c);
		if (fds[0].revents & (POLLIN | POLLHUP))
			err = show_output(c);
		if (fds[1].revents)
			take_input(c);
		/* What was typed before an escape goes, too, if it can. */
		if (c->count && (c->left || fds[0].revents & POLLOUT))
			send_pending(c);
	}
	return err;
}

/* --- the command --- */

/**
 * pcn_cmd_console() - popcorn console
 * @call:	the command line
 *
 * Return: exit code
 */
int pcn_cmd_console(const struct pcn_call *call)
{
	struct console c = { .to = pcn_find_peer("console", call->argv[0]), .fd = -1 };
	int err;

	if (!c.to)
		return PCN_UNKNOWN;
	if (c.to->kid == pcn_self()) {
		pcn_error("%s: console: that is this kernel itself", pcn_label(c.to));
		return PCN_USAGE;
	}
	if (call->log) {
		c.log = pcn_log_open(c.to);
		if (!c.log)
			return pcn_refused(c.to, "console", errno, NULL);
	}
	terminal_keep(&c);
	err = begin(&c, call->stay);
	while (!err) {
		terminal_raw(&c);
		if (is_raw)
			tell(&c, "~. ends the session");
		err = converse(&c);
		terminal_usual();
		if (c.left || err != EHOSTDOWN || !call->stay)
			break;
		tell(&c, "down");
		/* What was typed was for the one that is gone. */
		c.count = 0;
		close(c.fd);
		err = begin(&c, true);
		if (!err)
			tell(&c, "is back");
	}
	return err ? pcn_refused(c.to, "console", err, NULL) : PCN_DONE;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - ping
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "../../include/uapi/linux/popcorn.h"
#include "popcorn.h"

#define NS_PER_S	UINT64_C(1000000000)
#define NS_PER_MS	UINT64_C(1000000)

/* The longest time that -i and -W take, in seconds: a day */
#define MAX_SECONDS	86400

/*
 * struct ping - a run of ping
 * @to:		the kernel
 * @fd:		the device
 * @channel:	number of the channel
 * @size:	bytes per message
 * @count:	messages to send, 0: until interrupted
 * @interval_ns: from the sending of a message to that of the next
 * @wait_ms:	how long to wait for each
 * @quiet:	no line per message
 * @sent:	messages sent
 * @received:	those that came back
 * @code:	exit code for the first that did not
 * @min, @max, @sum, @squares: of the times they took, in ms
 */
struct ping {
	const struct pcn_kernel *to;
	int fd;
	uint32_t channel;
	uint32_t size;
	uint64_t count;
	uint64_t interval_ns;
	uint32_t wait_ms;
	bool quiet;
	uint64_t sent;
	uint64_t received;
	int code;
	double min;
	double max;
	double sum;
	double squares;
};

static int interrupted;

/* SIGINT ends the run, but not the command: the summary is still to come. */
static void on_interrupt(int number)
{
	(void)number;
	__atomic_store_n(&interrupted, 1, __ATOMIC_RELAXED);
}

/*
 * Be told of SIGINT, once: the kernel waits for a message until its time is over
 * unless the signal is to end the command, as the second one does.
 */
static void catch_interrupt(void)
{
	struct sigaction action = {
		.sa_handler = on_interrupt,
		.sa_flags = SA_RESETHAND,
	};

	sigaction(SIGINT, &action, NULL);
}

/* Did SIGINT come? */
static bool is_interrupted(void)
{
	return __atomic_load_n(&interrupted, __ATOMIC_RELAXED);
}

/* Nanoseconds since some time in the past. */
static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* Sleep until then, or until SIGINT comes. */
static void sleep_until(uint64_t ns)
{
	struct timespec t = { .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };

	if (!is_interrupted())
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* The value of an option: a whole number. Ends the command if it is not one. */
static uint64_t to_number(const char *option, const char *text, uint64_t min)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value < min ||
	    value > UINT32_MAX)
		pcn_die(PCN_USAGE, "ping: %s: not a number from %" PRIu64 " to %" PRIu32 ": '%s'",
			option, min, UINT32_MAX, text);
	return value;
}

/*
 * The value of an option: seconds, as in "0.2". Ends the command if they are not
 * that. Returns nanoseconds.
 */
static uint64_t to_seconds(const char *option, const char *text, double min)
{
	bool ok = *text && strspn(text, "0123456789.") == strlen(text);
	char *end;
	double value = strtod(text, &end);

	if (!ok || *end || value < min || value > MAX_SECONDS)
		pcn_die(PCN_USAGE, "ping: %s: not a time from %g to %d seconds: '%s'",
			option, min, MAX_SECONDS, text);
	return value * NS_PER_S;
}

/* The channel of that name. Ends the command if there is none. */
static uint32_t to_channel(const char *name)
{
	uint32_t i;

	for (i = 0; i < PCN_CHANNELS; i++)
		if (!strcmp(pcn_channels[i], name))
			return i;
	pcn_die(PCN_USAGE, "ping: there is no channel '%s'; there are control, coherency, network, tty",
		name);
}

/* Take over the options of the command line, or what counts without them. */
static void take_options(struct ping *p, const struct pcn_call *c)
{
	p->count = c->count ? to_number("-c", c->count, 1) : 0;
	p->interval_ns = c->interval ? to_seconds("-i", c->interval, 0) : NS_PER_S;
	p->size = c->size ? to_number("-s", c->size, 0) : 64;
	p->wait_ms = c->wait ? to_seconds("-W", c->wait, 0.001) / NS_PER_MS : 5000;
	p->channel = c->channel ? to_channel(c->channel) : 0;
	p->quiet = c->quiet;
}

/*
 * Open the device; POPCORN_DEVICE in the environment is for tests. Ends the
 * command if there is none.
 */
static int open_device(const struct pcn_kernel *to)
{
	const char *path = getenv("POPCORN_DEVICE");
	int fd;

	if (!path || !*path)
		path = "/dev/popcorn";
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno == EACCES || errno == EPERM)
		exit(pcn_refused(to, "ping", errno, NULL));
	if (errno == ENOENT || errno == ENXIO || errno == ENODEV)
		pcn_die(PCN_ABSENT, "this kernel has no messages to others (there is no %s)", path);
	pcn_die(PCN_FAILED, "cannot open %s: %m", path);
}

/* The name of a kernel in the lines of ping: "kernel 1 (kernel1)". */
static const char *full_name(const struct pcn_kernel *k)
{
	static char text[128];

	if (*k->name)
		snprintf(text, sizeof(text), "kernel %d (%s)", k->kid, k->name);
	else
		snprintf(text, sizeof(text), "kernel %d", k->kid);
	return pcn_clean(text);
}

/* Count a message that came back, and tell of it. */
static void note_received(struct ping *p, uint64_t rtt_ns)
{
	double ms = (double)rtt_ns / NS_PER_MS;

	if (!p->received || ms < p->min)
		p->min = ms;
	if (ms > p->max)
		p->max = ms;
	p->sum += ms;
	p->squares += ms * ms;
	p->received++;
	if (!p->quiet)
		printf("%" PRIu32 " bytes from %s: seq=%" PRIu64 " time=%.3f ms\n",
		       p->size, full_name(p->to), p->sent, ms);
	fflush(stdout);
}

/*
 * Tell of a message that did not come back. Returns false if it would be of no
 * use to send another.
 */
static bool note_lost(struct ping *p, int err)
{
	char seq[32], *fault = NULL;
	int code;

	snprintf(seq, sizeof(seq), "seq=%" PRIu64, p->sent);
	if (err == EPROTO)
		fault = pcn_clean(pcn_read("links/%d/fault", p->to->kid));
	code = pcn_refused(p->to, "ping", err, fault && *fault ? fault : seq);
	free(fault);
	if (!p->code)
		p->code = code;
	return err == EHOSTDOWN || err == ETIMEDOUT || err == EPROTO ||
	       err == EBADMSG || err == ENOMEM;
}

/* Send a message. Returns false if it would be of no use to send another. */
static bool send_one(struct ping *p)
{
	struct pcn_ping arg = {
		.kid		= p->to->kid,
		.channel	= p->channel,
		.size		= p->size,
		.timeout_ms	= p->wait_ms,
	};

	p->sent++;
	if (ioctl(p->fd, PCN_IOC_PING, &arg))
		return note_lost(p, errno);
	note_received(p, arg.rtt_ns);
	return true;
}

/* Send message after message. */
static void send_all(struct ping *p)
{
	uint64_t begin;

	do {
		begin = now_ns();
		if (!send_one(p) || p->sent == p->count)
			return;
		sleep_until(begin + p->interval_ns);
	} while (!is_interrupted());
}

/* The square root of a number, good enough to be shown; libm is not needed. */
static double root(double square)
{
	double x = square > 1 ? square : 1;
	int i;

	if (square <= 0)
		return 0;
	for (i = 0; i < 64; i++)
		x = (x + square / x) / 2;
	return x;
}

/* Print how it went, in the words of ping(8). */
static void print_summary(const struct ping *p, uint64_t ns)
{
	char number_only[16];
	double mean = p->received ? p->sum / p->received : 0;
	double variance = p->received ? p->squares / p->received - mean * mean : 0;

	snprintf(number_only, sizeof(number_only), "kernel %d", p->to->kid);
	printf("\n--- %s ping statistics ---\n",
	       *p->to->name ? pcn_clean(p->to->name) : number_only);
	printf("%" PRIu64 " messages sent, %" PRIu64 " received, %" PRIu64 "%% lost, time %" PRIu64 " ms\n",
	       p->sent, p->received, (p->sent - p->received) * 100 / p->sent,
	       ns / NS_PER_MS);
	if (p->received)
		printf("rtt min/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms\n", p->min,
		       mean, p->max, root(variance));
}

/**
 * pcn_cmd_ping() - popcorn ping
 * @c:	the command line
 *
 * Return: exit code: as with ping(8), all is well if a message came back.
 */
int pcn_cmd_ping(const struct pcn_call *c)
{
	struct ping p = { 0 };
	uint64_t start;

	take_options(&p, c);
	p.to = pcn_find_peer(c->verb, c->argv[0]);
	if (!p.to)
		return PCN_UNKNOWN;
	if (p.to->kid == pcn_self()) {
		pcn_error("%s: ping: that is this kernel itself", pcn_label(p.to));
		return PCN_USAGE;
	}
	p.fd = open_device(p.to);
	catch_interrupt();
	printf("PING %s: %" PRIu32 " bytes on channel %s\n", full_name(p.to),
	       p.size, pcn_channels[p.channel]);
	fflush(stdout);
	start = now_ns();
	send_all(&p);
	print_summary(&p, now_ns() - start);
	close(p.fd);
	if (p.received)
		return PCN_DONE;
	return p.code ? p.code : PCN_FAILED;
}

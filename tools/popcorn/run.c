// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - run: a program with its threads on several kernels
 *
 * The system call popcorn_place() leaves a list of kernels with the task; the
 * program that this executes starts its threads there, and need not know. With
 * --stats and --auto the program is a child, for there is no one to tell how it went after
 * an exec, or to look at it. The kernel keeps the numbers of programs that have ended for
 * a while.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../include/uapi/linux/popcorn.h"
#include "popcorn.h"

/* The longest list that popcorn_place() takes */
#define PLACES_MAX	64

/* struct placement - thread n starts on @kid[n % @count]; @flags: PCN_PLACE_* */
struct placement {
	uint8_t kid[PLACES_MAX];
	size_t count;
	unsigned int flags;
};

/* --- from the command line to a placement --- */

/* Add a kernel to a placement. Ends the command if there is no room. */
static void add_place(struct placement *p, int kid)
{
	if (p->count == PLACES_MAX)
		pcn_die(PCN_USAGE, "run: a placement cannot have more than %d entries",
			PLACES_MAX);
	p->kid[p->count++] = kid;
}

/*
 * Read the state of a kernel. A secondary knows no more of others than whether
 * messages reach them. Returns the text, to be freed.
 */
static char *read_state(int kid)
{
	int self = pcn_self();
	char *state = self > 0 && kid != self ? pcn_read("links/%d/state", kid) :
						pcn_attr(kid, "state");

	if (!state)
		pcn_die(PCN_FAILED, "run: cannot read the state of kernel %d: %m", kid);
	return pcn_clean(state);
}

/* Can threads be placed on a kernel in that state? */
static bool is_up(const char *state)
{
	return !strcmp(state, "running") || !strcmp(state, "up");
}

/* Add a kernel by its kid or name. Ends the command if it is none that runs. */
static void add_kernel(struct placement *p, const char *which)
{
	const struct pcn_kernel *k = pcn_find_peer("run", which);
	char *state;

	if (!k)
		exit(PCN_UNKNOWN);
	state = read_state(k->kid);
	if (!is_up(state))
		exit(pcn_refused(k, "run", ESRCH, state));
	free(state);
	add_place(p, k->kid);
}

/* End the command since a list of kernels is not one. */
static _Noreturn void bad_list(const char *option, const char *list)
{
	pcn_die(PCN_USAGE, "run: %s: not a list of kernels such as 0-3 or 0,2,5-7: '%s'",
		option, list);
}

/*
 * Add what an item of a list means: a kernel or, as no name begins with a digit, a
 * range. Returns false if it is neither.
 */
static bool add_item(struct placement *p, char *item)
{
	char *dash = isdigit((unsigned char)*item) ? strchr(item, '-') : NULL;
	char word[16];
	int kid, last;

	if (!dash) {
		if (*item)
			add_kernel(p, item);
		return *item;
	}
	*dash = '\0';
	kid = pcn_to_kid(item);
	last = pcn_to_kid(dash + 1);
	if (kid < 0 || last < kid)
		return false;
	for (; kid <= last; kid++) {
		snprintf(word, sizeof(word), "%d", kid);
		add_kernel(p, word);
	}
	return true;
}

/* Add the kernels of a list. Ends the command if it is not one. */
static void add_list(struct placement *p, const char *option, const char *list)
{
	size_t size = strlen(list) + 1;
	char *text = memcpy(pcn_grow(NULL, size), list, size);
	char *rest = text, *item;

	while ((item = strsep(&rest, ",")))
		if (!add_item(p, item))
			bad_list(option, list);
	free(text);
}

/* Add this kernel, and all others that run. */
static void add_all(struct placement *p)
{
	const struct pcn_kernel *k;
	int self = pcn_self();
	size_t i, nr;
	char *state;

	k = pcn_kernels(&nr);
	if (self > 0)
		k = pcn_links(&nr);
	add_place(p, self > 0 ? self : 0);
	for (i = 0; i < nr; i++) {
		if (k[i].kid == p->kid[0])
			continue;
		state = read_state(k[i].kid);
		if (is_up(state))
			add_place(p, k[i].kid);
		free(state);
	}
}

/* End the command if a kernel is in the placement twice. */
static void check_repeats(const struct placement *p)
{
	size_t i;

	for (i = 1; i < p->count; i++)
		if (memchr(p->kid, p->kid[i], i))
			pcn_die(PCN_USAGE, "run: --kernels: kernel %d is in the list twice; only --pin takes that",
				p->kid[i]);
}

/* Count the CPUs in a list such as "4,6-7". Returns 0 if it is not one. */
static unsigned long count_cpus(const char *list)
{
	unsigned long count = 0;
	char *end;

	do {
		unsigned long first, last;

		if (!isdigit((unsigned char)*list))
			return 0;
		first = last = strtoul(list, &end, 10);
		if (*end == '-' && isdigit((unsigned char)end[1]))
			last = strtoul(end + 1, &end, 10);
		if (last < first || (*end && *end != ','))
			return 0;
		count += last - first + 1;
		list = end + 1;
	} while (*end);
	return count;
}

/* The number of CPUs of a kernel. Ends the command if it is not known, but needed. */
static unsigned long cpus_of(const char *option, int kid)
{
	unsigned long count;
	char *list;

	if (kid == pcn_self())
		return sysconf(_SC_NPROCESSORS_ONLN);
	list = pcn_attr(kid, "cpus");
	count = list ? count_cpus(list) : 0;
	if (!count)
		pcn_die(PCN_FAILED, "run: %s: cannot tell how many CPUs kernel %d has%s",
			option, kid, pcn_self() > 0 ? "; only the primary kernel (0) knows" : "");
	free(list);
	return count;
}

/* Have each kernel in the placement as often as it has CPUs. */
static void pack(struct placement *p)
{
	const struct placement kernels = *p;
	unsigned long nr;
	size_t i;

	p->count = 0;
	for (i = 0; i < kernels.count; i++)
		for (nr = cpus_of("--pack", kernels.kid[i]); nr; nr--)
			add_place(p, kernels.kid[i]);
}

/* What popcorn_place() calls the memory that is asked for. Ends the command if it is none. */
static unsigned int memory_flags(const char *memory)
{
	if (!memory)
		return 0;
	if (!strcmp(memory, "coherent"))
		return PCN_PLACE_COHERENT;
	if (!strcmp(memory, "replicated"))
		return PCN_PLACE_REPLICATED;
	pcn_die(PCN_USAGE, "run: --memory is coherent or replicated, not '%s'", memory);
}

/* Make the placement that the options ask for. Ends the command if it is none. */
static void make_placement(struct placement *p, const struct pcn_call *c)
{
	p->count = 0;
	p->flags = memory_flags(c->memory) | (c->pin ? 0 : PCN_PLACE_SPREAD);
	if (c->auto_home && p->flags & PCN_PLACE_COHERENT)
		pcn_die(PCN_USAGE, "run: --auto is for replicated memory: threads do not wait for pages of coherent memory");
	if (c->spread + c->pack + !!c->pin > 1)
		pcn_die(PCN_USAGE, "run: only one of --spread, --pack and --pin is possible");
	if (c->kernels && c->pin)
		pcn_die(PCN_USAGE, "run: --pin tells the kernels, --kernels is not possible with it");
	if (c->pin) {
		add_list(p, "--pin", c->pin);
		return;
	}
	if (c->kernels)
		add_list(p, "--kernels", c->kernels);
	else
		add_all(p);
	check_repeats(p);
	if (c->pack)
		pack(p);
}

/* --- what --dry-run prints --- */

/* Print a word of a command line as a shell would take it. */
static void print_word(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_@%+=:,./-";

	if (*word && !word[strspn(word, plain)]) {
		fputs(word, stdout);
		return;
	}
	putchar('\'');
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\'", stdout);
		putchar(*word);
	}
	putchar('\'');
}

/* Print what would be done. */
static void print_plan(const struct placement *p, const struct pcn_call *c)
{
	size_t i;
	int arg;

	fputs("placement: ", stdout);
	for (i = 0; i < p->count; i++)
		printf("%s%d", i ? "," : "", p->kid[i]);
	if (c->memory)
		printf("\nmemory: %s", c->memory);
	fputs("\ncommand:", stdout);
	for (arg = 0; arg < c->argc; arg++) {
		putchar(' ');
		print_word(c->argv[arg]);
	}
	putchar('\n');
}

/* --- running it --- */

/* Say why threads cannot be placed. Returns the exit code. */
static int not_placed(int err)
{
	switch (err) {
	case ENOSYS:
		pcn_error("this kernel cannot place threads (there is no system call popcorn_place); boot one with CONFIG_POPCORN=y");
		return PCN_ABSENT;
	case EHOSTDOWN:
		pcn_error("run: a kernel to place threads on is not up; see popcorn list and popcorn stats");
		return PCN_STATE;
	default:
		pcn_error("run: cannot place threads: %s", strerror(err));
		return PCN_FAILED;
	}
}

/* Become the program. Returns the exit code if that fails. */
static int execute(const struct placement *p, char **argv)
{
	int err;

	if (syscall(__NR_popcorn_place, p->kid, (unsigned int)p->count, p->flags))
		return not_placed(errno);
	execvp(argv[0], argv);
	err = errno;
	pcn_error("run: cannot execute %s: %m", argv[0]);
	return err == ENOENT ? PCN_NOPROGRAM : PCN_NOEXEC;
}

/* --- with --stats or --auto --- */

/* Seconds between two looks at the program */
#define LOOK_SECONDS	1

/**
 * struct watch - a program that is being watched
 * @child:	its process
 * @looks:	whether it loses; NULL: that is not looked at
 * @signals:	those that are waited for meanwhile
 * @old_signals: those that were blocked before
 * @old_child:	what was to be done on SIGCHLD before
 */
struct watch {
	pid_t child;
	struct pcn_auto *looks;
	sigset_t signals;
	sigset_t old_signals;
	struct sigaction old_child;
};

/*
 * Have signals wait that the program is to have, or that tell of its end: the
 * command outlives it to print the table.
 */
static void hold_signals(struct watch *w)
{
	static const int numbers[] = { SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP };
	const struct sigaction usual = { .sa_handler = SIG_DFL };
	size_t i;

	sigemptyset(&w->signals);
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaddset(&w->signals, numbers[i]);
	sigprocmask(SIG_BLOCK, &w->signals, &w->old_signals);
	sigaction(SIGCHLD, &usual, &w->old_child);
}

/* In the child: become the program, with signals as they were before. */
static _Noreturn void be_child(const struct watch *w, const struct placement *p,
			       char **argv, int report)
{
	int code;

	sigaction(SIGCHLD, &w->old_child, NULL);
	sigprocmask(SIG_SETMASK, &w->old_signals, NULL);
	code = execute(p, argv);
	while (write(report, "", 1) < 0 && errno == EINTR)
		;
	_exit(code);
}

/*
 * Start the program as a child. Returns false if it was none: the child has said
 * why, and ends with the exit code.
 */
static bool start_child(struct watch *w, const struct placement *p, char **argv)
{
	int report[2];	/* closed by the exec; a byte comes if there is none */
	ssize_t got;
	char byte;

	if (pipe2(report, O_CLOEXEC))
		pcn_die(PCN_FAILED, "run: cannot make a pipe: %m");
	w->child = fork();
	if (w->child < 0)
		pcn_die(PCN_FAILED, "run: cannot make a process: %m");
	if (!w->child)
		be_child(w, p, argv, report[1]);
	close(report[1]);
	do {
		got = read(report[0], &byte, 1);
	} while (got < 0 && errno == EINTR);
	close(report[0]);
	return !got;
}

/*
 * Wait until something happens, or it is time to look. The program is sent the signals
 * that come, but those of the terminal it has got itself.
 */
static void wait_for_signal(const struct watch *w)
{
	const struct timespec limit = { .tv_sec = LOOK_SECONDS };
	siginfo_t info;
	int number = w->looks ? sigtimedwait(&w->signals, &info, &limit) :
				sigwaitinfo(&w->signals, &info);

	if (number < 0 && errno == EAGAIN)
		pcn_auto_look(w->looks, w->child);
	if (number > 0 && number != SIGCHLD && info.si_code != SI_KERNEL)
		kill(w->child, number);
}

/* Watch the program until it ends. Returns its status. */
static int watch_child(const struct watch *w)
{
	int status;

	while (waitpid(w->child, &status, WNOHANG) != w->child)
		wait_for_signal(w);
	return status;
}

/* Tell what became of the program, on standard error: the output is its own. */
static void tell(const struct watch *w)
{
	fflush(stdout);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	pcn_job_show("run", w->child);
}

/* The exit code of a program that has ended, as a shell tells it. */
static int to_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The CPUs of this kernel, and of all that are in the placement, each counted once. */
static struct pcn_auto *begin_auto(const struct placement *p)
{
	unsigned long home = cpus_of("--auto", pcn_self()), all = home;
	size_t i;

	for (i = 0; i < p->count; i++)
		if (p->kid[i] != pcn_self() && !memchr(p->kid, p->kid[i], i))
			all += cpus_of("--auto", p->kid[i]);
	return pcn_auto_begin(home, all);
}

/* Run the program as a child, and watch it. Returns the exit code. */
static int run_watched(const struct placement *p, const struct pcn_call *c)
{
	struct watch w = { 0 };
	int status = 0;

	pcn_jobs_check("run");
	if (c->auto_home)
		w.looks = begin_auto(p);
	hold_signals(&w);
	if (start_child(&w, p, c->argv)) {
		status = watch_child(&w);
		if (c->stats)
			tell(&w);
	} else {
		waitpid(w.child, &status, 0);
	}
	return to_code(status);
}

/**
 * pcn_cmd_run() - popcorn run
 * @c:	the command line
 *
 * Return: exit code; none when the program runs in place of the command.
 */
int pcn_cmd_run(const struct pcn_call *c)
{
	struct placement p;

	make_placement(&p, c);
	if (c->dry_run) {
		print_plan(&p, c);
		return PCN_DONE;
	}
	return c->stats || c->auto_home ? run_watched(&p, c) : execute(&p, c->argv);
}

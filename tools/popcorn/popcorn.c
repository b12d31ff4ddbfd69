// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - list and control the kernels of a Popcorn machine
 *
 * The command line: table of commands, options, help. What a command does is
 * in the file named after it. popcorn(8) describes the whole.
 */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "popcorn.h"
#include "root.h"

#define POPCORN_VERSION	"1.0"

/* Options that have no letter */
enum {
	OPT_INITRD = 256, OPT_APPEND, OPT_ROOT, OPT_READ_ONLY, OPT_CHANNEL, OPT_HOT,
	OPT_KERNELS, OPT_SPREAD, OPT_PACK, OPT_PIN, OPT_MEMORY, OPT_STATS, OPT_AUTO, OPT_DRY_RUN,
	OPT_MASQUERADE, OPT_NO_MASQUERADE,
	OPT_CONFIG, OPT_PREPARE, OPT_SERVE,
};

static const struct option opt_none[] = {
	{ "help",	no_argument,		NULL, 'h' },
	{ }
};

static const struct option opt_show[] = {
	{ "help",	no_argument,		NULL, 'h' },
	{ "json",	no_argument,		NULL, 'j' },
	{ }
};

static const struct option opt_stats[] = {
	{ "help",	no_argument,		NULL, 'h' },
	{ "hot",	no_argument,		NULL, OPT_HOT },
	{ "json",	no_argument,		NULL, 'j' },
	{ "pid",	required_argument,	NULL, 'p' },
	{ }
};

static const struct option opt_load[] = {
	{ "help",	no_argument,		NULL, 'h' },
	{ "initrd",	required_argument,	NULL, OPT_INITRD },
	{ "append",	required_argument,	NULL, OPT_APPEND },
	{ "root",	required_argument,	NULL, OPT_ROOT },
	{ "read-only",	no_argument,		NULL, OPT_READ_ONLY },
	{ }
};

static const struct option opt_ping[] = {
	{ "help",	no_argument,		NULL, 'h' },
	{ "channel",	required_argument,	NULL, OPT_CHANNEL },
	{ }
};

static const struct option opt_log[] = {
	{ "help",	no_argument,		NULL, 'h' },
	{ "follow",	no_argument,		NULL, 'f' },
	{ }
};

static const struct option opt_console[] = {
	{ "help",	no_argument,		NULL, 'h' },
	{ "log",	no_argument,		NULL, 'l' },
	{ "wait",	no_argument,		NULL, 'w' },
	{ }
};

static const struct option opt_exec[] = {
	{ "help",	no_argument,		NULL, 'h' },
	{ "wait",	no_argument,		NULL, 'w' },
	{ }
};

static const struct option opt_net[] = {
	{ "help",	no_argument,		NULL, 'h' },
	{ "masquerade",	no_argument,		NULL, OPT_MASQUERADE },
	{ "no-masquerade", no_argument,		NULL, OPT_NO_MASQUERADE },
	{ }
};

static const struct option opt_ssh[] = {
	{ "help",	no_argument,		NULL, 'h' },
	{ "config",	no_argument,		NULL, OPT_CONFIG },
	{ "prepare",	required_argument,	NULL, OPT_PREPARE },
	{ "serve",	required_argument,	NULL, OPT_SERVE },
	{ "wait",	no_argument,		NULL, 'w' },
	{ }
};

static const struct option opt_run[] = {
	{ "help",	no_argument,		NULL, 'h' },
	{ "kernels",	required_argument,	NULL, OPT_KERNELS },
	{ "spread",	no_argument,		NULL, OPT_SPREAD },
	{ "pack",	no_argument,		NULL, OPT_PACK },
	{ "pin",	required_argument,	NULL, OPT_PIN },
	{ "memory",	required_argument,	NULL, OPT_MEMORY },
	{ "stats",	no_argument,		NULL, OPT_STATS },
	{ "auto",	no_argument,		NULL, OPT_AUTO },
	{ "dry-run",	no_argument,		NULL, OPT_DRY_RUN },
	{ }
};

/**
 * struct command - a command and its command line
 * @name:	the word
 * @args:	what follows it, for help
 * @help:	what it does, for help
 * @run:	does it, returns an exit code
 * @options:	long options
 * @letters:	short options, as for getopt(); with '+' the options end at the first
 *		argument
 * @min:	how many arguments it must have besides the options
 * @max:	and how many it may have
 */
struct command {
	const char *name;
	const char *args;
	const char *help;
	int (*run)(const struct pcn_call *c);
	const struct option *options;
	const char *letters;
	int min;
	int max;
};

static const struct command commands[] = {
	{ "list", "[--json]",
	  "Show all kernels in a table.",
	  pcn_cmd_list, opt_show, "h", 0, 0 },
	{ "status", "KERNEL [--json]",
	  "Show all that is known of a kernel.",
	  pcn_cmd_status, opt_show, "h", 1, 1 },
	{ "load", "KERNEL IMAGE [--initrd FILE|--root DIR [--read-only]] [--append TEXT]",
	  "Load a bzImage, initrd or root directory, and command line for the next start.",
	  pcn_cmd_load, opt_load, "h", 2, 2 },
	{ "unload", "KERNEL...",
	  "Drop what was loaded.",
	  pcn_cmd_unload, opt_none, "h", 1, INT_MAX },
	{ "start", "KERNEL...",
	  "Start the loaded image; done when it has reached its init.",
	  pcn_cmd_control, opt_none, "h", 1, INT_MAX },
	{ "stop", "KERNEL...",
	  "Ask the kernel to power off; done when it has.",
	  pcn_cmd_control, opt_none, "h", 1, INT_MAX },
	{ "kill", "KERNEL...",
	  "End the kernel at once, without asking it.",
	  pcn_cmd_control, opt_none, "h", 1, INT_MAX },
	{ "restart", "KERNEL...",
	  "Stop the kernel if it runs and start the loaded image again.",
	  pcn_cmd_control, opt_none, "h", 1, INT_MAX },
	{ "log", "[-f|--follow] KERNEL",
	  "Show the kernel log of its present or last run.",
	  pcn_cmd_log, opt_log, "hf", 1, 1 },
	{ "ping", "KERNEL [-c COUNT] [-i SECONDS] [-s BYTES] [-W SECONDS] [--channel NAME] [-q]",
	  "Send messages to a kernel and get them back, until interrupted.",
	  pcn_cmd_ping, opt_ping, "hc:i:s:W:q", 1, 1 },
	{ "console", "[-l|--log] [-w|--wait] KERNEL",
	  "Use the terminal of a kernel; ~. at the beginning of a line ends that.",
	  pcn_cmd_console, opt_console, "hlw", 1, 1 },
	{ "exec", "[-w|--wait] KERNEL COMMAND [ARG]...",
	  "Run a command on a kernel, with its input, output and exit status here.",
	  pcn_cmd_exec, opt_exec, "+hw", 2, INT_MAX },
	{ "agent", "",
	  "Run commands on this kernel for \"popcorn exec\" on others, until it is ended.",
	  pcn_cmd_agent, opt_none, "h", 0, 0 },
	{ "net", "[up|hosts] [--masquerade|--no-masquerade]",
	  "Show the network between kernels, or have this kernel take part in it.",
	  pcn_cmd_net, opt_net, "h", 0, 1 },
	{ "ssh", "[-w|--wait] KERNEL [COMMAND [ARG]...] | --config | --prepare HOST | --serve KEY",
	  "Log in on a kernel over the network, with keys that are made for it.",
	  pcn_cmd_ssh, opt_ssh, "+hw", 0, INT_MAX },
	{ "stats", "[KERNEL...|[--hot] PID|[--hot] -p PID] [--json]",
	  "Show how many messages were exchanged with other kernels, or all about a process.",
	  pcn_cmd_stats, opt_stats, "hp:", 0, INT_MAX },
	{ "run", "[--kernels LIST] [--spread|--pack|--pin LIST] [--memory KIND] [--stats] [--auto] [--dry-run] PROGRAM [ARG]...",
	  "Run a program with its threads on several kernels.",
	  pcn_cmd_run, opt_run, "+h", 1, INT_MAX },
	{ "ps", "[--json]",
	  "Show the threads that are, or were, on another kernel.",
	  pcn_cmd_ps, opt_show, "h", 0, 0 },
};

/* Print the help for the whole command. */
static void print_usage(FILE *out)
{
	size_t i;

	fputs("usage: popcorn COMMAND [ARGUMENT]...\n"
	      "List and control the kernels of a Popcorn machine.\n\n", out);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  popcorn %s %s\n        %s\n", commands[i].name,
			commands[i].args, commands[i].help);
	fputs("\nKERNEL is the number (kid) or the name of a kernel. To load, unload, start,\n"
	      "stop, kill and restart, \"all\" means all kernels but the primary.\n"
	      "popcorn COMMAND --help explains a command, popcorn(8) everything.\n",
	      out);
}

/* Print the help for the options of run. */
static void help_run(void)
{
	puts("\n  PROGRAM        what to run, found as the shell does, with its arguments\n"
	     "  --kernels LIST the kernels to use; this and all that run if not given\n"
	     "  --spread       one thread to each kernel in turn (the default)\n"
	     "  --pack         as many threads to a kernel as it has CPUs, then the next\n"
	     "  --pin LIST     thread n to kernel n of the list, over and over\n"
	     "  --memory KIND  coherent: all kernels map the same memory;\n"
	     "                 replicated: they keep copies of it\n"
	     "  --stats        tell at the end what the threads did on which kernel\n"
	     "  --auto         bring threads together on this kernel if they wait for\n"
	     "                 pages more than they gain elsewhere\n"
	     "  --dry-run      print what would be done\n"
	     "  LIST           numbers, ranges of them, names: 0-3 or 0,web,5-7");
}

/* Print the help for one command. */
static void help_command(const struct command *cmd)
{
	printf("usage: popcorn %s %s\n%s\n", cmd->name, cmd->args, cmd->help);
	if (strstr(cmd->args, "KERNEL"))
		puts("\n  KERNEL         number (kid) or name of a kernel");
	if (cmd->options == opt_stats)
		puts("  PID            a process; 64 and more are no kernels\n"
		     "  -p, --pid PID  a process, whatever its number\n"
		     "  --hot          its pages that go from kernel to kernel most often");
	if (cmd->options == opt_show || cmd->options == opt_stats)
		puts("  --json         print JSON");
	if (cmd->options == opt_load)
		puts("  IMAGE          file with a 64-bit relocatable bzImage\n"
		     "  --initrd FILE  initial RAM disk; none if not given\n"
		     "  --root DIR     root file system instead; what the kernel changes is in its memory\n"
		     "  --read-only    with --root: it changes nothing\n"
		     "  --append TEXT  kernel command line");
	if (cmd->options == opt_log)
		puts("  -f, --follow   go on with what is logged from now on, over restarts too");
	if (cmd->options == opt_console)
		puts("  -l, --log      show the kernel log first, from its beginning\n"
		     "  -w, --wait     wait for the kernel if it is down, also if it ends");
	if (cmd->options == opt_exec)
		puts("  COMMAND        what to run there, found in the PATH of its agent; no shell does it\n"
		     "  -w, --wait     wait for the kernel and its agent if they are not up");
	if (cmd->options == opt_ssh)
		puts("  COMMAND        what to run there instead of a shell, as ssh does\n"
		     "  -w, --wait     wait for the kernel and its agent if they are not up\n"
		     "  --config       print what makes \"ssh kernel1\" work, for ssh_config.d\n"
		     "  --prepare HOST get ready for ssh to HOST: kernel0, kernel1 and so on\n"
		     "  --serve KEY    let in who has that key, and print the host keys");
	if (cmd->options == opt_ping)
		puts("  -c COUNT       stop after so many messages\n"
		     "  -i SECONDS     time between two of them (1)\n"
		     "  -s BYTES       length of each (64)\n"
		     "  -W SECONDS     how long to wait for each (5)\n"
		     "  --channel NAME control (the default), coherency, network or tty\n"
		     "  -q             only the summary at the end");
	if (cmd->options == opt_net)
		puts("  up             give pcn0 this kernel's addresses, and switch it on\n"
		     "  hosts          print addresses and names of all kernels, for /etc/hosts\n"
		     "  --masquerade   the primary: let other kernels reach what it reaches\n"
		     "  --no-masquerade  do not hide their addresses any more");
	if (cmd->options == opt_run)
		help_run();
	puts("  --help         this text");
}

/*
 * Say how the command is used, after a message about what was wrong. Returns
 * the exit code.
 */
static int wrong_usage(const struct command *cmd)
{
	fprintf(stderr, "usage: popcorn %s %s\n", cmd->name, cmd->args);
	return PCN_USAGE;
}

/* Where the value of an option belongs. Returns NULL if it is not one we know. */
static const char **option_value(struct pcn_call *c, int letter)
{
	switch (letter) {
	case OPT_INITRD:
		return &c->initrd;
	case OPT_APPEND:
		return &c->append;
	case OPT_ROOT:
		return &c->root;
	case OPT_CHANNEL:
		return &c->channel;
	case OPT_KERNELS:
		return &c->kernels;
	case OPT_PIN:
		return &c->pin;
	case OPT_MEMORY:
		return &c->memory;
	case OPT_PREPARE:
		return &c->prepare;
	case OPT_SERVE:
		return &c->serve;
	case 'p':
		return &c->pid;
	case 'c':
		return &c->count;
	case 'i':
		return &c->interval;
	case 's':
		return &c->size;
	case 'W':
		return &c->wait;
	default:
		return NULL;
	}
}

/* What an option without a value sets. Returns NULL if it is not one we know. */
static bool *option_flag(struct pcn_call *c, int letter)
{
	switch (letter) {
	case OPT_SPREAD:
		return &c->spread;
	case OPT_PACK:
		return &c->pack;
	case OPT_STATS:
		return &c->stats;
	case OPT_AUTO:
		return &c->auto_home;
	case OPT_DRY_RUN:
		return &c->dry_run;
	case OPT_HOT:
		return &c->hot;
	case OPT_READ_ONLY:
		return &c->read_only;
	case OPT_MASQUERADE:
		return &c->masquerade;
	case OPT_NO_MASQUERADE:
		return &c->no_masquerade;
	case OPT_CONFIG:
		return &c->config;
	case 'j':
		return &c->json;
	case 'f':
		return &c->follow;
	case 'l':
		return &c->log;
	case 'q':
		return &c->quiet;
	case 'w':
		return &c->stay;
	default:
		return NULL;
	}
}

/* Put one option where it belongs. Returns false if it is not one we know. */
static bool take_option(struct pcn_call *c, int letter)
{
	const char **where = option_value(c, letter);
	bool *flag = option_flag(c, letter);

	if (where)
		*where = optarg;
	if (flag)
		*flag = true;
	return where || flag;	/* if not, getopt has said what is wrong */
}

/*
 * Take the command line of a command apart and run it. Returns the exit code.
 */
static int run(const struct command *cmd, int argc, char **argv)
{
	struct pcn_call c = { .verb = cmd->name };
	char whole_name[32];
	int letter;

	snprintf(whole_name, sizeof(whole_name), "popcorn %s", cmd->name);
	argv[0] = whole_name;	/* for the messages of getopt */
	while ((letter = getopt_long(argc, argv, cmd->letters, cmd->options,
				     NULL)) != -1) {
		if (letter == 'h') {
			help_command(cmd);
			return PCN_DONE;
		}
		if (!take_option(&c, letter))
			return wrong_usage(cmd);
	}
	c.argc = argc - optind;
	c.argv = argv + optind;
	if (c.argc < cmd->min) {
		pcn_error("%s: an argument is missing", cmd->name);
		return wrong_usage(cmd);
	}
	if (c.argc > cmd->max) {
		pcn_error("%s: one argument too many: '%s'", cmd->name,
			  c.argv[cmd->max]);
		return wrong_usage(cmd);
	}
	return cmd->run(&c);
}

/* Find a command by its name. Returns NULL if there is none. */
static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* Act on the first word: a command or an option. Returns the exit code. */
static int dispatch(int argc, char **argv)
{
	const struct command *cmd;

	if (argc < 2) {
		print_usage(stderr);
		return PCN_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		print_usage(stdout);
		return PCN_DONE;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("popcorn " POPCORN_VERSION);
		return PCN_DONE;
	}
	cmd = find_command(argv[1]);
	if (!cmd) {
		pcn_error("no command '%s'; see popcorn --help", argv[1]);
		return PCN_USAGE;
	}
	return run(cmd, argc - 1, argv + 1);
}

/* Is this the RAM disk of load --root, where the kernel calls this program as its first one? */
static bool is_init(char **argv)
{
	return getpid() == 1 && argv[0] && !strcmp(argv[0], "/init");
}

int main(int argc, char **argv)
{
	int code = is_init(argv) ? pcn_root_init(argc, argv) : dispatch(argc, argv);

	if ((fflush(stdout) || ferror(stdout)) && code == PCN_DONE) {
		pcn_error("cannot write to standard output: %m");
		code = PCN_FAILED;
	}
	return code;
}

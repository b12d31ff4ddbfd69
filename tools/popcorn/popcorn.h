/* SPDX-License-Identifier: GPL-2.0 */
/*
 * popcorn - list and control the kernels of a Popcorn machine
 *
 * What the files of the command share.
 */
#ifndef _TOOLS_POPCORN_H
#define _TOOLS_POPCORN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#define __printf(fmt, args)	__attribute__((__format__(__printf__, fmt, args)))

/* Exit codes: an interface, see EXIT STATUS in popcorn(8) */
enum pcn_exit {
	PCN_DONE	= 0,
	PCN_FAILED	= 1,	/* for another reason than those below */
	PCN_USAGE	= 2,
	PCN_UNKNOWN	= 3,	/* no such kernel */
	PCN_STATE	= 4,	/* nothing loaded, already running, not running, not up */
	PCN_BUSY	= 5,
	PCN_PERM	= 6,
	PCN_TIME	= 7,	/* a time limit passed */
	PCN_DIED	= 8,	/* the kernel died while it booted */
	PCN_IMAGE	= 9,	/* file, format, size or command line */
	PCN_ABSENT	= 10,	/* no Popcorn support in this kernel */
	PCN_NOEXEC	= 126,	/* run, exec: the program cannot be executed */
	PCN_NOPROGRAM	= 127,	/* run, exec: there is no such program */
	PCN_LOST	= 255,	/* exec: the connection was lost while it ran */
};

/**
 * struct pcn_kernel - one of the kernels that are defined
 * @kid:	its index
 * @name:	its name, never NULL
 */
struct pcn_kernel {
	int kid;
	char *name;
};

/**
 * struct pcn_call - the command line, taken apart
 * @verb:	name of the command
 * @argv:	what is left without the options
 * @argc:	number of these
 * @initrd:	value of --initrd or NULL
 * @append:	value of --append or NULL
 * @root:	value of --root or NULL
 * @count:	value of -c or NULL
 * @interval:	value of -i or NULL
 * @size:	value of -s or NULL
 * @wait:	value of -W or NULL
 * @channel:	value of --channel or NULL
 * @kernels:	value of --kernels or NULL
 * @pin:	value of --pin or NULL
 * @pid:	value of --pid or NULL
 * @spread:	--spread was given
 * @memory:	value of --memory
 * @pack:	--pack was given
 * @stats:	--stats was given
 * @auto_home:	--auto was given
 * @dry_run:	--dry-run was given
 * @hot:	--hot was given
 * @json:	--json was given
 * @follow:	--follow was given
 * @quiet:	-q was given
 * @stay:	--wait was given
 * @log:	--log was given
 * @read_only:	--read-only was given
 * @masquerade:	--masquerade was given
 * @no_masquerade: --no-masquerade was given
 * @config:	--config was given
 * @prepare:	value of --prepare or NULL
 * @serve:	value of --serve or NULL
 */
struct pcn_call {
	const char *verb;
	char **argv;
	int argc;
	const char *initrd;
	const char *append;
	const char *root;
	const char *count;
	const char *interval;
	const char *size;
	const char *wait;
	const char *channel;
	const char *kernels;
	const char *pin;
	const char *memory;
	const char *pid;
	const char *prepare;
	const char *serve;
	bool spread;
	bool pack;
	bool stats;
	bool auto_home;
	bool dry_run;
	bool hot;
	bool json;
	bool follow;
	bool quiet;
	bool stay;
	bool log;
	bool read_only;
	bool masquerade;
	bool no_masquerade;
	bool config;
};

/* sysfs.c: the files below /sys/kernel/popcorn */
int pcn_self(void);
int pcn_to_kid(const char *word);
__printf(1, 2) char *pcn_read(const char *fmt, ...);
char *pcn_attr(int kid, const char *attr);
int pcn_attr_open(int kid, const char *attr, int flags);
const struct pcn_kernel *pcn_kernels(size_t *count);
const struct pcn_kernel *pcn_links(size_t *count);

/* target.c: from the KERNEL of the command line to kernels */
typedef int (*pcn_action)(const struct pcn_kernel *k, const struct pcn_call *c);
const struct pcn_kernel *pcn_find(const char *verb, const char *which);
const struct pcn_kernel *pcn_find_peer(const char *verb, const char *which);
int pcn_for_each(const struct pcn_call *c, int argc, pcn_action action);

/* message.c: messages and memory */
__printf(1, 2) void pcn_error(const char *fmt, ...);
__printf(2, 3) _Noreturn void pcn_die(int code, const char *fmt, ...);
const char *pcn_label(const struct pcn_kernel *k);
int pcn_refused(const struct pcn_kernel *k, const char *verb, int err,
		const char *detail);
char *pcn_clean(char *text);
char *pcn_human_size(uint64_t bytes, char *buf, size_t size);
void *pcn_grow(void *data, size_t size);
void pcn_write(const char *data, size_t len);

/* program.c: programs of the system */
bool pcn_is_ignored(int number);
int pcn_above_streams(int fd);
int pcn_program(const char *const *argv);
char *pcn_program_output(const char *const *argv, int *status);

/* table.c: tables on the terminal, and strings in JSON */

/**
 * struct pcn_column - a column of a table
 * @heading:	its heading
 * @right:	its entries stand right, as numbers do
 */
struct pcn_column {
	const char *heading;
	bool right;
};

/**
 * struct pcn_table - a table that is being filled
 * @columns:	its columns
 * @width:	their number
 * @cells:	the entries, row by row
 * @count:	number of entries
 */
struct pcn_table {
	const struct pcn_column *columns;
	size_t width;
	char **cells;
	size_t count;
};

void pcn_table_add(struct pcn_table *table, const char *text);
void pcn_table_print(struct pcn_table *table);
void pcn_json_string(const char *text);

/* stats.c: the channels of messages, by their numbers */
#define PCN_CHANNELS	4
extern const char *const pcn_channels[PCN_CHANNELS];

/* ps.c: threads that have been on other kernels */

/**
 * struct pcn_thread - a line of /proc/popcorn/threads
 * @process:	number of the process, which all kernels know it by
 * @tgid:	thread group on this kernel
 * @tid:	thread on this kernel
 * @role:	"home", "shadow" or "visitor"
 * @kernel:	where it runs
 * @migrations:	how often it has left
 * @calls:	system calls done for it while it was away
 * @visits:	how often it came home for one thing, to leave again
 * @comm:	its name
 */
struct pcn_thread {
	uint64_t process;
	pid_t tgid;
	pid_t tid;
	char role[16];
	int kernel;
	uint64_t migrations;
	uint64_t calls;
	uint64_t visits;
	char memory[16];
	char comm[64];
};

/**
 * struct pcn_threads - the lines of /proc/popcorn/threads
 * @thread:	the lines
 * @count:	their number
 */
struct pcn_threads {
	struct pcn_thread *thread;
	size_t count;
};

int pcn_threads_read(struct pcn_threads *list);
void pcn_threads_free(struct pcn_threads *list);
_Noreturn void pcn_threads_die(const char *verb);
void pcn_table_add_number(struct pcn_table *table, uint64_t value);

/* words.c: files whose lines are words NAME=VALUE */

/** PCN_KERNELS - the most kernels that a machine can have */
#define PCN_KERNELS	64

/**
 * struct pcn_process - what the first words of a line say
 * @process:	number of the process, which all kernels know it by
 * @origin:	kernel that it comes from
 * @tgid:	thread group on this kernel
 * @job:	what it was placed with, or 0
 * @comm:	its name
 */
struct pcn_process {
	uint64_t process;
	int origin;
	int tgid;
	uint64_t job;
	char comm[72];
};

const char *pcn_path_of(const char *variable, const char *usual);
_Noreturn void pcn_no_sense(const char *verb, const char *path);
FILE *pcn_words_open(const char *verb, const char *path);
void pcn_words_close(const char *verb, FILE *in, const char *path);
const char *pcn_word(const char *line, const char *name);
const char *pcn_take_number(const char *at, uint64_t *value);
uint64_t pcn_word_number(const char *verb, const char *line, const char *name,
			 const char *path);
struct pcn_process pcn_read_process(const char *verb, const char *line, const char *path);

/* process.c: what is counted of processes that kernels share */
int pcn_to_pid(const char *word);
int pcn_process_show(const struct pcn_call *c, int pid);
void pcn_jobs_check(const char *verb);
void pcn_job_show(const char *verb, int pid);

/**
 * struct pcn_wait - for how long threads of a process have waited for pages
 * @which:	the process
 * @ns:		on all kernels but the one that it belongs to, nanoseconds
 */
struct pcn_wait {
	struct pcn_process which;
	uint64_t ns;
};

struct pcn_wait *pcn_waits_read(const char *verb, int pid, size_t *count);
const char *pcn_name_of(size_t kid);

/* where.c: what there is at an address of a process */

/**
 * struct pcn_where - what there is in a page
 * @mapping:	the file, or a name in brackets such as [heap]; empty if not known
 * @symbol:	what has the largest part of the page; empty: none that is known
 * @offset:	where in that the page begins, 0 if it does not
 * @more:	how many other symbols have a part of it
 */
struct pcn_where {
	char mapping[256];
	char symbol[128];
	uint64_t offset;
	unsigned int more;
};

struct pcn_maps *pcn_maps_read(int pid);
void pcn_maps_free(struct pcn_maps *maps);
void pcn_maps_find(struct pcn_maps *maps, uint64_t page, struct pcn_where *where);

/* hot.c: pages that bounce between kernels */
int pcn_hot_show(const struct pcn_call *c, int pid);
void pcn_hot_check(const char *verb);
bool pcn_hottest(const char *verb, int pid, char *text, size_t size);

/* auto.c: run --auto */
struct pcn_auto *pcn_auto_begin(unsigned long home, unsigned long all);
void pcn_auto_look(struct pcn_auto *a, int pid);

/* image.c: files for load */
int pcn_open_input(const char *who, const char *what, const char *path,
		   off_t *size);
const char *pcn_image_fault(int fd);
uint64_t pcn_image_size(int fd);

/* the commands */
int pcn_cmd_list(const struct pcn_call *c);
int pcn_cmd_status(const struct pcn_call *c);
int pcn_cmd_load(const struct pcn_call *c);
int pcn_cmd_unload(const struct pcn_call *c);
int pcn_cmd_control(const struct pcn_call *c);
int pcn_cmd_log(const struct pcn_call *c);
struct pcn_log;
struct pcn_log *pcn_log_open(const struct pcn_kernel *k);
int pcn_log_print_news(struct pcn_log *log);
int pcn_cmd_stats(const struct pcn_call *c);
int pcn_cmd_ping(const struct pcn_call *c);
int pcn_cmd_console(const struct pcn_call *c);
int pcn_cmd_exec(const struct pcn_call *c);
int pcn_cmd_ssh(const struct pcn_call *c);
int pcn_cmd_agent(const struct pcn_call *c);
int pcn_cmd_run(const struct pcn_call *c);
int pcn_cmd_net(const struct pcn_call *c);
int pcn_cmd_ps(const struct pcn_call *c);

#endif /* _TOOLS_POPCORN_H */

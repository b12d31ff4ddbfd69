// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - run --auto: bring threads together that lose more than they gain
 *
 * Once in a second the command looks how long threads on other kernels have waited for
 * pages. A thread there gains a CPU: if all came home, and all CPUs were in use before, each
 * would have C / A of one, with C CPUs at home and A of all kernels. So one that waits for
 * more than 1 - C / A of the time has less of its CPU than it would have at home: it loses.
 * With two kernels of the same size that is half of the time. The share is an upper bound:
 * where CPUs are idle, or pages that nobody waits for are copied, less waiting is a loss
 * already. Two looks in a row have to say so, since programs distribute their data at first.
 *
 * Threads are brought home by their affinity, all of a process and with it those that it
 * makes later. It is not undone: what a program would gain elsewhere later is not seen then.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "popcorn.h"

/* Looks in a row that have to find a loss */
#define LOOKS	2

/* The highest number of a CPU, and one more */
#define CPUS	8192

/* Threads that are made while others are brought home are looked for so often. */
#define ROUNDS	16

/**
 * struct seen - a process, as it was at the last look
 * @process:	its number
 * @ns:		for how long its threads have waited away from home
 * @threads:	how many were away
 * @losses:	looks in a row that have found a loss
 * @home:	its threads were brought home
 */
struct seen {
	uint64_t process;
	uint64_t ns;
	unsigned int threads;
	unsigned int losses;
	bool home;
};

/**
 * struct pcn_auto - what is watched
 * @cpus:	those of the home, as bits
 * @share:	part of the time that a thread away may wait for pages
 * @last:	time of the last look, ns
 * @seen:	the processes of the program
 * @count:	their number
 */
struct pcn_auto {
	unsigned long cpus[CPUS / 8 / sizeof(long)];
	double share;
	uint64_t last;
	struct seen *seen;
	size_t count;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
}

/* --- threads --- */

/* Take one thread home. Returns false if it was there to stay, or is no more. */
static bool bind_thread(const struct pcn_auto *a, pid_t tid, int *err)
{
	unsigned long mask[ARRAY_SIZE(a->cpus)] = { 0 };

	if (sched_getaffinity(tid, sizeof(mask), (cpu_set_t *)mask) < 0 ||
	    !memcmp(mask, a->cpus, sizeof(mask)))
		return false;
	if (!sched_setaffinity(tid, sizeof(a->cpus), (const cpu_set_t *)a->cpus))
		return true;
	if (errno != ESRCH)
		*err = errno;
	return false;
}

/* Take those of a process home that there are. Returns how many that was. */
static unsigned int bind_threads(const struct pcn_auto *a, int pid, int *err)
{
	unsigned int count = 0;
	struct dirent *entry;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (isdigit((unsigned char)*entry->d_name))
			count += bind_thread(a, atoi(entry->d_name), err);
	if (dir)
		closedir(dir);
	return count;
}

/* Bring the threads of a process together, and say so. */
static void bring_home(const struct pcn_auto *a, const struct pcn_wait *w, double share)
{
	unsigned int rounds = ROUNDS;
	char hottest[512];
	int err = 0;

	if (!pcn_hottest("run", w->which.tgid, hottest, sizeof(hottest)))
		snprintf(hottest, sizeof(hottest), "not known");
	while (bind_threads(a, w->which.tgid, &err) && --rounds)
		;
	if (err) {
		pcn_error("run: --auto: cannot bring the threads of %s (%d) together: %s",
			  w->which.comm, w->which.tgid, strerror(err));
		return;
	}
	pcn_error("run: --auto: threads of %s (%d) on other kernels waited for pages for %.0f %% of the time: all are brought together on kernel %d; the hottest page: %s",
		  w->which.comm, w->which.tgid, 100 * share, w->which.origin, hottest);
}

/* --- looking --- */

/* What was seen of a process. One that is new has not been seen to wait. */
static struct seen *seen_of(struct pcn_auto *a, const struct pcn_wait *w)
{
	size_t i;

	for (i = 0; i < a->count; i++)
		if (a->seen[i].process == w->which.process)
			return &a->seen[i];
	a->seen = pcn_grow(a->seen, (a->count + 1) * sizeof(*a->seen));
	a->seen[a->count] = (struct seen) { .process = w->which.process, .ns = w->ns };
	return &a->seen[a->count++];
}

/* How many threads of a process are away. */
static unsigned int threads_away(const struct pcn_threads *list, const struct pcn_process *p)
{
	unsigned int count = 0;
	size_t i;

	for (i = 0; i < list->count; i++)
		count += list->thread[i].process == p->process &&
			 strcmp(list->thread[i].role, "visitor") &&
			 list->thread[i].kernel != p->origin;
	return count;
}

/* Look at a process. @ns: the time since the last look. */
static void look_at(struct pcn_auto *a, const struct pcn_wait *w, unsigned int threads,
		    uint64_t ns)
{
	struct seen *s = seen_of(a, w);
	unsigned int most = threads > s->threads ? threads : s->threads;
	double share = most ? (double)(w->ns - s->ns) / ((double)most * ns) : 0;

	s->ns = w->ns;
	s->threads = threads;
	s->losses = threads && share > a->share ? s->losses + 1 : 0;
	if (s->home || s->losses < LOOKS)
		return;
	s->home = true;
	bring_home(a, w, share);
}

/**
 * pcn_auto_look() - look whether the program loses
 * @a:		what is watched
 * @pid:	process that has placed the program
 */
void pcn_auto_look(struct pcn_auto *a, int pid)
{
	struct pcn_threads list = { 0 };
	uint64_t now = now_ns();
	struct pcn_wait *waits;
	size_t count, i;

	waits = pcn_waits_read("run", pid, &count);
	if (!pcn_threads_read(&list))
		for (i = 0; i < count; i++)
			look_at(a, &waits[i], threads_away(&list, &waits[i].which),
				now - a->last);
	a->last = now;
	pcn_threads_free(&list);
	free(waits);
}

/* --- beginning --- */

/* Set the bits of a list such as "4,6-7". Returns false if it is not one. */
static bool set_cpus(struct pcn_auto *a, const char *list)
{
	const size_t bits = 8 * sizeof(long);
	uint64_t first, last;

	do {
		list = pcn_take_number(list, &first);
		last = first;
		if (list && *list == '-')
			list = pcn_take_number(list + 1, &last);
		if (!list || last >= CPUS || (*list && *list != ','))
			return false;
		for (; first <= last; first++)
			a->cpus[first / bits] |= 1UL << first % bits;
	} while (*list++);
	return true;
}

/**
 * pcn_auto_begin() - begin to watch a program
 * @home:	CPUs of the kernel that it belongs to
 * @all:	those of all kernels that it is placed on
 *
 * Ends the command if this kernel does not know its CPUs.
 *
 * Return: for pcn_auto_look().
 */
struct pcn_auto *pcn_auto_begin(unsigned long home, unsigned long all)
{
	struct pcn_auto *a = memset(pcn_grow(NULL, sizeof(*a)), 0, sizeof(*a));
	char *list = pcn_attr(pcn_self(), "cpus");

	if (!list || !set_cpus(a, list))
		pcn_die(PCN_FAILED, "run: --auto: cannot tell which CPUs kernel %d has%s",
			pcn_self(), pcn_self() > 0 ? "; only the primary kernel (0) knows" : "");
	free(list);
	a->share = all > home ? 1 - (double)home / all : 1;
	a->last = now_ns();
	pcn_hot_check("run");
	return a;
}

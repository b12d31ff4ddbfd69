// SPDX-License-Identifier: GPL-2.0
/*
 * What single steps of one thread cost: modes of "cost", which see. The thread goes
 * to the other kernel first, or takes the step at home and then there.
 */
#include <err.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cost.h"

/* The figures of a step: NAME_home, and NAME away. */
static void measure_both(const char *name, void (*step)(void), size_t times)
{
	char home[32];

	snprintf(home, sizeof(home), "%s_home", name);
	measure(home, step, times);
	migrate(cost.kid);
	measure(name, step, times);
	migrate(0);
}

/* --- system calls and migration --- */

static void get_parent(void)
{
	syscall(SYS_getppid);
}

static void call_work(unsigned int me)
{
	(void)me;
	migrate(cost.kid);
	measure("call", get_parent, cost.count);
}

void run_call(void)
{
	bench_team(1, call_work);
}

static void go_and_come(void)
{
	migrate(cost.kid);
	migrate(0);
}

static void migrate_work(unsigned int me)
{
	(void)me;
	measure("migrate", go_and_come, cost.count);
}

void run_migrate(void)
{
	bench_team(1, migrate_work);
}

/* --- changes of the layout --- */

static char *page;

static void map_stack(void)
{
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (stack == MAP_FAILED)
		err(2, "mmap");
	*stack = 1;
	munmap(stack, STACK);
}

static void discard_page(void)
{
	*page = 1;
	if (madvise(page, PAGE, MADV_DONTNEED))
		err(2, "madvise");
}

static void layout_work(unsigned int me)
{
	(void)me;
	measure_both("map", map_stack, cost.count);
	measure_both("discard", discard_page, cost.count);
}

void run_layout(void)
{
	page = bench_pages(PAGE);
	bench_team(1, layout_work);
}

/* The second write needs the first one's page made writable again. */
static void protect_page(void)
{
	*(volatile char *)page = 1;
	if (mprotect(page, PAGE, PROT_READ) ||
	    mprotect(page, PAGE, PROT_READ | PROT_WRITE))
		err(2, "mprotect");
	*(volatile char *)page = 2;
}

static void protect_work(unsigned int me)
{
	(void)me;
	measure_both("protect", protect_page, cost.count);
}

void run_protect(void)
{
	page = bench_pages(PAGE);
	bench_team(1, protect_work);
}

/* --- signals --- */

static volatile unsigned long handled;

static void handle(int number)
{
	(void)number;
	handled++;
}

static void raise_signal(void)
{
	unsigned long before = handled;

	raise(SIGUSR1);
	if (handled != before + 1)
		errx(2, "the handler has not run");
}

static void signal_work(unsigned int me)
{
	(void)me;
	measure_both("signal", raise_signal, cost.count);
}

void run_signal(void)
{
	struct sigaction action = { .sa_handler = handle };

	if (sigaction(SIGUSR1, &action, NULL))
		err(2, "sigaction");
	bench_team(1, signal_work);
}

/* --- processes and threads --- */

static void fork_and_wait(void)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		err(2, "fork");
	if (!child)
		_exit(3);
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != 3)
		errx(2, "the child has not ended as it should");
}

static void fork_work(unsigned int me)
{
	(void)me;
	measure_both("fork", fork_and_wait, some_times());
}

void run_fork(void)
{
	bench_team(1, fork_work);
}

static void *do_nothing(void *arg)
{
	return arg;
}

static void create_and_join(void)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, do_nothing, NULL);

	if (error)
		errx(2, "pthread_create: %s", strerror(error));
	pthread_join(thread, NULL);
}

static void create_work(unsigned int me)
{
	(void)me;
	if (cost.kid)
		migrate(cost.kid);
	measure("create", create_and_join, cost.count);
}

void run_create(void)
{
	bench_team(1, create_work);
}

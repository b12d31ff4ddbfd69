// SPDX-License-Identifier: GPL-2.0
/*
 * The stack of a thread that is away grows as far as it may. Prints TAP.
 *
 *	cases-stack KID
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <sys/resource.h>

#include "cases.h"

#define MIB	(1UL << 20)

static __thread sigjmp_buf escape;
static __thread volatile int hits;
static __thread char alternate[65536];

static void on_segv(int sig)
{
	hits++;
	siglongjmp(escape, sig);
}

static void use_alternate_stack(void)
{
	struct sigaction a = { .sa_handler = on_segv, .sa_flags = SA_ONSTACK };
	stack_t s = { .ss_sp = alternate, .ss_size = sizeof(alternate) };

	sigaltstack(&s, NULL);
	sigaction(SIGSEGV, &a, NULL);
}

/* deep: use so many bytes of stack */
static int __attribute__((noinline)) deep(size_t bytes)
{
	volatile char here[8192];

	here[0] = bytes;
	here[sizeof(here) - 1] = 1;
	return bytes > sizeof(here) ? deep(bytes - sizeof(here)) + here[0] : here[0];
}

static bool grows(size_t bytes)
{
	if (sigsetjmp(escape, 1))
		return false;
	deep(bytes);
	return true;
}

static bool with_limit(size_t limit, size_t below, size_t above)
{
	struct rlimit r = { limit, RLIM_INFINITY };

	use_alternate_stack();
	if (setrlimit(RLIMIT_STACK, &r) || !away())
		return false;
	return grows(below) && !grows(above);
}

static bool lower_limit(void)
{
	return with_limit(2 * MIB, MIB, 4 * MIB);
}

static bool higher_limit(void)
{
	return with_limit(24 * MIB, 16 * MIB, 32 * MIB);
}

static void *overflow(void *arg)
{
	volatile int i;

	use_alternate_stack();
	if (!away())
		return NULL;
	for (i = 0; i < 3; i++)
		grows(MIB);
	return hits == 3 ? arg : NULL;
}

static bool in_threads(void)
{
	pthread_t threads[4];
	pthread_attr_t a;
	bool ok = true;
	void *got;
	int i;

	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, MIB / 4);
	for (i = 0; i < 4; i++)
		if (pthread_create(&threads[i], &a, overflow, threads))
			return false;
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], &got);
		ok = ok && got;
	}
	return ok;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	where = argv[1];
	printf("1..3\n");
	result(in_child(lower_limit), "a limit below what a kernel thread has");
	result(in_child(higher_limit), "and one above");
	result(in_child(in_threads), "overflows of threads are found");
	return 0;
}

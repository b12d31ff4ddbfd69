/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests of threads.c about signals, and exceptions, which become signals.
 *
 * A signal of another process finds the thread's task at home, which has its thread come
 * home for it. An exception happens where the thread runs. It goes home with the thread,
 * where the handler is called, or is resolved there, as when 32-bit code is met.
 */
#ifndef THREADS_SIGNAL_H
#define THREADS_SIGNAL_H

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

#include "threads-base.h"

static volatile sig_atomic_t handled;
static sigjmp_buf escape;

static void on_signal(int sig)
{
	handled = sig;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	handled = sig == SIGSEGV && info->si_addr != (void *)8 ? -1 : sig;
	siglongjmp(escape, 1);
}

static void catch(int sig)
{
	struct sigaction a = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	sigaction(sig, &a, NULL);
}

/* --- from others --- */

static bool test_alarm(void)
{
	struct itimerval t = { .it_value.tv_usec = 50000 };
	volatile unsigned long count = 0;
	bool ok;

	handled = 0;
	signal(SIGALRM, on_signal);
	ok = !leave();
	setitimer(ITIMER_REAL, &t, NULL);
	while (!handled)
		count++;
	ok = ok && handled == SIGALRM;
	return !go(0) && ok;
}

static bool test_eintr(void)
{
	struct sigaction a = { .sa_handler = on_signal };
	/* Again and again, as the first may come before it reads. */
	struct itimerval t = { { .tv_usec = 50000 }, { .tv_usec = 50000 } };
	struct itimerval off = { };
	int fd[2];
	char c;
	bool ok = !pipe(fd);

	sigaction(SIGALRM, &a, NULL);
	ok = ok && !leave();
	setitimer(ITIMER_REAL, &t, NULL);
	ok = ok && read(fd[0], &c, 1) == -1 && errno == EINTR;
	setitimer(ITIMER_REAL, &off, NULL);
	close(fd[0]);
	close(fd[1]);
	return !go(0) && ok;
}

static bool test_restart(void)
{
	struct sigaction a = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct itimerval t = { .it_value.tv_usec = 50000 };
	char c = 0;
	int fd[2];
	bool ok = !pipe(fd);
	pid_t child;

	sigaction(SIGALRM, &a, NULL);
	child = fork();
	if (!child) {
		usleep(300000);
		_exit(write(fd[1], "x", 1) != 1);
	}
	ok = ok && !leave();
	setitimer(ITIMER_REAL, &t, NULL);
	ok = ok && read(fd[0], &c, 1) == 1 && c == 'x';
	ok = !go(0) && ok;
	waitpid(child, NULL, 0);
	close(fd[0]);
	close(fd[1]);
	return ok;
}

static bool test_raise(void)
{
	bool ok;

	handled = 0;
	signal(SIGUSR1, on_signal);
	ok = !leave() && !raise(SIGUSR1) && handled == SIGUSR1;
	return !go(0) && ok;
}

/* Signals that come while it is on its way, each after it has got on. */
static volatile int rounds, caught;
static volatile bool all_sent;

static void on_round(int sig)
{
	(void)sig;
	caught++;
}

static void *signal_on_the_way(void *arg)
{
	int i, round, before;

	for (i = 0; i < 100; i++) {
		before = caught;
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
		while (caught == before)
			usleep(100);
		round = rounds;
		while (rounds == round)
			usleep(100 * (i % 8));
	}
	all_sent = true;
	return NULL;
}

static bool test_signals_on_the_way(void)
{
	struct sigaction a = { .sa_handler = on_round, .sa_flags = SA_RESTART };
	pthread_t self_thread = pthread_self(), t;
	bool ok = true;

	sigaction(SIGUSR1, &a, NULL);
	ok = !pthread_create(&t, NULL, signal_on_the_way, &self_thread);
	for (; ok && !all_sent; rounds++)
		ok = !leave() && !go(0);
	return !pthread_join(t, NULL) && ok && caught == 100;
}

/* --- exceptions --- */

static bool test_segv(void)
{
	bool ok;

	catch(SIGSEGV);
	handled = 0;
	ok = !leave();
	if (!sigsetjmp(escape, 1))
		*(volatile int *)nowhere = 1;
	ok = ok && handled == SIGSEGV;
	signal(SIGSEGV, SIG_DFL);
	return !go(0) && ok;
}

/* on_fault() takes any address but that of @nowhere for another one. */
static bool test_segv_kernel(void)
{
	bool ok;

	catch(SIGSEGV);
	handled = 0;
	ok = !leave();
	if (!sigsetjmp(escape, 1))
		*(volatile int *)0xffffffff81000000 = 1;
	ok = ok && handled == -1;
	signal(SIGSEGV, SIG_DFL);
	return !go(0) && ok;
}

static bool test_fpe(void)
{
	volatile int zero = 0, one = 1;
	bool ok;

	catch(SIGFPE);
	handled = 0;
	ok = !leave();
	if (!sigsetjmp(escape, 1))
		one /= zero;
	ok = ok && handled == SIGFPE;
	signal(SIGFPE, SIG_DFL);
	return !go(0) && ok;
}

/* A program that steps itself: a trap after each instruction, also of the call. */
static volatile int steps;

static void on_step(int sig)
{
	(void)sig;
	steps++;
}

static bool test_step(void)
{
	unsigned long flags;
	bool ok = !leave();

	steps = 0;
	signal(SIGTRAP, on_step);
	asm volatile("sub $128, %%rsp\n\t"
		     "pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\t"
		     "nop\n\tmov %1, %%eax\n\tsyscall\n\tnop\n\t"
		     "pushfq\n\tmov (%%rsp), %0\n\t"
		     "andq $~0x100, (%%rsp)\n\tpopfq\n\t"
		     "add $128, %%rsp"
		     : "=r" (flags) : "i" (SYS_getppid)
		     : "rax", "rcx", "r11", "cc", "memory");
	signal(SIGTRAP, SIG_DFL);
	/* nop, mov, syscall, which may go with the next, nop, pushfq, mov, andq, popfq */
	printf("%d steps\n", steps);
	return !go(0) && ok && (steps == 7 || steps == 8) && flags & 0x100;
}

static char alternate[65536];

static void use_alternate(int sig)
{
	struct sigaction a = { .sa_sigaction = on_fault,
			       .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t s = { .ss_sp = alternate, .ss_size = sizeof(alternate) };

	sigaltstack(&s, NULL);
	sigaction(sig, &a, NULL);
}

static volatile bool enough;

static int recurse_for_ever(const volatile char *above)
{
	volatile char room[2000];

	if (enough)
		return 0;
	room[0] = above[0] + 1;
	return recurse_for_ever(room) + room[1];
}

static bool escapes(void (*fn)(void))
{
	handled = 0;
	if (!sigsetjmp(escape, 1))
		fn();
	return handled != 0;
}

static void fill_stack(void)
{
	volatile char first = 0;

	recurse_for_ever(&first);
}

static void *overflow(void *arg)
{
	int i, found = 0;

	use_alternate(SIGSEGV);
	for (i = 0; i < 3; i++)
		found += !leave() && escapes(fill_stack);
	return found == 3 ? arg : NULL;
}

/* A runtime finds that a stack is full, and goes on. */
static bool test_overflow(void)
{
	pthread_attr_t attr;
	pthread_t t;
	void *ret = NULL;
	bool ok;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 262144);
	ok = !pthread_create(&t, &attr, overflow, alternate) &&
	     !pthread_join(t, &ret) && ret == alternate;
	signal(SIGSEGV, SIG_DFL);
	return ok;
}

/* The same with the stack that grows. */
static void do_overflow(void)
{
	_exit(overflow(alternate) ? 9 : 1);
}

/* In the segment that all tasks have. The program is static, and below 4 GiB. */
static void run_32bit(void)
{
	static struct {
		uint32_t ip;
		uint16_t cs;
	} to = { .cs = 0x23 };

	asm volatile("movl $1f, %0\n\tljmpl *%0\n\t1: ud2" : "+m" (to));
}

static bool test_32bit(void)
{
	bool ok = true;
	int i;

	use_alternate(SIGILL);
	for (i = 0; i < 3; i++) {
		ok = !leave() && ok;
		ok = escapes(run_32bit) && handled == SIGILL && ok;
	}
	signal(SIGILL, SIG_DFL);
	return !go(0) && ok;
}

static bool dies_at(const volatile char *p, int sig)
{
	handled = 0;
	if (!sigsetjmp(escape, 1))
		(void)*p;
	return handled == sig;
}

/* Behind the end of a file, until it grows. */
static bool test_end_of_file(void)
{
	FILE *f = tmpfile();
	const char *p = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE, fileno(f), 0);
	bool ok = p != MAP_FAILED && !ftruncate(fileno(f), PAGE + 10) &&
		  pwrite(fileno(f), "x", 1, PAGE + 9) == 1 && !leave();

	catch(SIGBUS);
	ok = ok && p[PAGE + 9] == 'x' && !p[PAGE + 10] &&
	     dies_at(p + 2 * PAGE, SIGBUS) && !leave() &&
	     dies_at(p + 3 * PAGE, SIGBUS) && !leave() &&
	     !ftruncate(fileno(f), 3 * PAGE) &&
	     pwrite(fileno(f), "y", 1, 3 * PAGE - 1) == 1 &&
	     p[3 * PAGE - 1] == 'y' && !go(0) && !leave() && !p[2 * PAGE] &&
	     dies_at(p + 3 * PAGE, SIGBUS);
	signal(SIGBUS, SIG_DFL);
	ok = !go(0) && ok;
	munmap((void *)p, 4 * PAGE);
	fclose(f);
	return ok;
}

#endif

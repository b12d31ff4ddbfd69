// SPDX-License-Identifier: GPL-2.0
/*
 * What a thread does on another kernel than its own, one thing after the other:
 * system calls, memory, signals, children, threads, ends. Prints TAP.
 *
 *	threads [KID]...	the other kernels, 1 if none is given
 *	threads --spin KID...	a thread on each that computes for ever, nothing else
 *	threads --crowd N KID	so many threads there that wait for ever, some of them
 *				by system calls that they make all the time
 *	threads --once KID	goes there and back, says "ready", waits for a line, goes
 *				there, says "gone", and waits for the end of its input
 *	threads --fork KID	forks there, nothing else; fails if something is wrong
 *	threads --orphan KID	a process ends that has had a thread there; prints the
 *				number of another one that goes on with its memory
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <asm/ldt.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "selftest.h"

extern char **environ;

/* Where nothing is; the compiler must not know. */
static char *volatile nowhere = (char *)8;

static int away[MAX_KERNELS] = { 1 };
static int kernels = 1;
static const char *self;

static int leave(void)
{
	return go(away[0]);
}

#define PAGES	64

static void stamp(char *p, size_t pages, uint64_t seed)
{
	size_t i;

	for (i = 0; i < pages * PAGE / 8; i++)
		((uint64_t *)p)[i] = seed + i * 0x9e3779b97f4a7c15;
}

static bool stamped(const char *p, size_t pages, uint64_t seed)
{
	size_t i;

	for (i = 0; i < pages * PAGE / 8; i++)
		if (((uint64_t *)p)[i] != seed + i * 0x9e3779b97f4a7c15)
			return false;
	return true;
}

/* --- going --- */

static bool test_refusals(void)
{
	return go(64) == -1 && errno == EINVAL &&
	       syscall(NR_MIGRATE, away[0], 1) == -1 && errno == EINVAL &&
	       go(63) == -1 && errno == EHOSTDOWN && go(0) == 0;
}

static bool test_there_and_back(void)
{
	char *p = map(PAGES);
	bool ok = p && !leave();

	stamp(p, PAGES, 1);
	ok = ok && !go(0) && stamped(p, PAGES, 1);
	stamp(p, PAGES, 2);
	ok = ok && !leave() && stamped(p, PAGES, 2) && !go(0);
	munmap(p, PAGES * PAGE);
	return ok;
}

static bool test_around(void)
{
	char *p = map(PAGES);
	bool ok = p;
	int i, round, step = 0;

	for (round = 0; round < 4; round++) {
		for (i = 0; i < kernels; i++) {
			ok = ok && !go(away[i]) &&
			     (!step || stamped(p, PAGES, step - 1));
			stamp(p, PAGES, step++);
		}
	}
	ok = ok && !go(0) && stamped(p, PAGES, step - 1);
	munmap(p, PAGES * PAGE);
	return ok;
}

/* --- system calls --- */

static bool test_calls(void)
{
	pid_t pid = getpid(), parent = getppid();
	char out[] = "from afar", in[sizeof(out)] = "";
	int pipe_fd[2];
	bool ok = !leave();

	ok = ok && getpid() == pid && getppid() == parent;
	ok = ok && !pipe(pipe_fd);
	ok = ok && write(pipe_fd[1], out, sizeof(out)) == sizeof(out);
	ok = ok && read(pipe_fd[0], in, sizeof(in)) == sizeof(in);
	ok = ok && !strcmp(in, out);
	ok = ok && read(-1, in, 1) == -1 && errno == EBADF;
	ok = ok && write(pipe_fd[1], nowhere, 1) == -1 && errno == EFAULT;
	ok = ok && syscall(9999) == -1 && errno == ENOSYS;
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	return !go(0) && ok;
}

static bool test_time(void)
{
	struct timespec a, b, there;
	bool ok;

	clock_gettime(CLOCK_MONOTONIC, &a);
	ok = !leave();
	clock_gettime(CLOCK_MONOTONIC, &there);
	ok = !go(0) && ok;
	clock_gettime(CLOCK_MONOTONIC, &b);
	return ok && there.tv_sec >= a.tv_sec - 1 && there.tv_sec <= b.tv_sec + 1;
}

/* --- the layout of memory --- */

static bool test_layout(void)
{
	char *p, *q;
	bool ok = !leave();

	p = map(PAGES);
	stamp(p, PAGES, 3);
	ok = ok && !go(0) && stamped(p, PAGES, 3) && !leave();
	ok = ok && !mprotect(p, PAGES * PAGE, PROT_READ) && stamped(p, PAGES, 3);
	ok = ok && !mprotect(p, PAGES * PAGE, PROT_READ | PROT_WRITE);
	stamp(p, PAGES, 4);
	q = mremap(p, PAGES * PAGE, 4 * PAGES * PAGE, MREMAP_MAYMOVE);
	ok = ok && q != MAP_FAILED && stamped(q, PAGES, 4);
	stamp(q, PAGES, 5);
	ok = ok && !munmap(q + PAGES * PAGE, 3 * PAGES * PAGE) && stamped(q, PAGES, 5);
	ok = ok && !madvise(q, PAGE, MADV_DONTNEED) && q[0] == 0 && q[9] == 0;
	ok = ok && !go(0) && q[0] == 0;
	stamp(q, PAGES, 6);
	ok = ok && !leave() && stamped(q, PAGES, 6);
	ok = ok && mmap(q, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			MAP_ANONYMOUS | MAP_FIXED, -1, 0) == q && !q[0];
	ok = ok && !munmap(q, PAGES * PAGE);
	return !go(0) && ok;
}

static bool test_brk(void)
{
	char *old = sbrk(0), *p;
	bool ok = !leave();

	p = sbrk(16 * PAGE);
	ok = ok && p == old;
	memset(p, 7, 16 * PAGE);
	ok = ok && sbrk(-8 * (intptr_t)PAGE) != (void *)-1 && p[5 * PAGE] == 7;
	ok = ok && sbrk(8 * PAGE) != (void *)-1 && p[12 * PAGE] == 0 && p[3] == 7;
	ok = ok && !go(0) && p[5] == 7 && sbrk(-16 * (intptr_t)PAGE) != (void *)-1;
	return ok;
}

static int recurse(int depth)
{
	volatile char room[2000];

	room[0] = depth;
	return depth ? recurse(depth - 1) + room[0] - room[0] : 5;
}

static bool test_stack(void)
{
	bool ok = !leave() && recurse(400) == 5;

	return !go(0) && ok && recurse(400) == 5;
}

static bool test_file(void)
{
	int fd = open(self, O_RDONLY);
	char buf[PAGE];
	char *p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	char *w = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	bool ok = p != MAP_FAILED && w != MAP_FAILED && !leave();

	ok = ok && read(fd, buf, PAGE) == (ssize_t)PAGE && !memcmp(p, buf, PAGE);
	w[100] = ~w[100];
	ok = ok && w[100] != p[100] && !go(0) && w[100] != buf[100] &&
	     !memcmp(w, buf, 100);
	munmap(p, PAGE);
	munmap(w, PAGE);
	close(fd);
	return ok;
}

/* Memory that is not replicated: the access is made at home. */
static bool test_shared(void)
{
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool ok = p != MAP_FAILED && !leave();

	p[10] = 42;
	ok = ok && p[10] == 42;
	getppid();
	p[11] = 43;
	ok = ok && !go(0) && p[10] == 42 && p[11] == 43;
	munmap(p, PAGE);
	return ok;
}

/* own_line: of the calling thread in /proc/popcorn/threads */
static bool own_line(unsigned int *kernel, unsigned long *migrations)
{
	FILE *f = fopen("/proc/popcorn/threads", "r");
	char line[256];
	bool found = false;
	int tid;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*s %*s %d shadow %u %lu", &tid, kernel,
			       migrations) == 3 && tid == (int)syscall(SYS_gettid);
	if (f)
		fclose(f);
	return found;
}

/* Who needs such memory all the time is not moved each time. */
static bool test_shared_often(void)
{
	volatile int *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool ok = p != MAP_FAILED && !leave();
	unsigned long before = 0, after = 0;
	unsigned int kernel;
	int i;

	ok = ok && own_line(&kernel, &before);
	for (i = 0; i < 2000; i++) {
		p[i % 2]++;
		getppid();
	}
	/* Longer than it stays; then it is where it was to be. */
	usleep(200000);
	ok = ok && own_line(&kernel, &after) && kernel == (unsigned int)away[0];
	printf("2000 accesses: %lu migrations\n", after - before);
	ok = ok && !go(0) && after - before < 1000 && p[0] == 1000 && p[1] == 1000;
	munmap((void *)p, PAGE);
	return ok;
}

/* A call that is done there, with a buffer that is not. */
static bool test_call_with_shared(void)
{
	struct timespec *t = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool ok = t != MAP_FAILED && !leave();

	ok = ok && !syscall(SYS_clock_gettime, CLOCK_MONOTONIC, t) && t->tv_sec;
	ok = ok && syscall(SYS_clock_gettime, CLOCK_MONOTONIC, nowhere) == -1 &&
	     errno == EFAULT && !go(0);
	munmap(t, PAGE);
	return ok;
}

/* Pages that a pipe holds on to: nobody waits until it is read. */
static bool test_held(void)
{
	char *p = map(4), buf[64];
	struct iovec v = { .iov_base = p + PAGE, .iov_len = 2 * PAGE };
	int fd[2];
	bool ok = p && !pipe(fd) && !leave();

	memset(p, 1, 4 * PAGE);
	ok = ok && vmsplice(fd[1], &v, 1, 0) == (ssize_t)(2 * PAGE) && !go(0) &&
	     !leave();
	memset(p, 2, 4 * PAGE);
	ok = ok && read(fd[0], buf, sizeof(buf)) == sizeof(buf) && buf[0] == 2 &&
	     p[0] == 2 && p[PAGE] == 2 && !go(0) && p[3 * PAGE] == 2;
	munmap(p, 4 * PAGE);
	close(fd[0]);
	close(fd[1]);
	return ok;
}

/* --- signals --- */

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

static bool test_raise(void)
{
	bool ok;

	handled = 0;
	signal(SIGUSR1, on_signal);
	ok = !leave() && !raise(SIGUSR1) && handled == SIGUSR1;
	return !go(0) && ok;
}

/* --- children --- */

static bool ends_with(pid_t child, int status)
{
	int got;

	return waitpid(child, &got, 0) == child && got == status;
}

static bool test_fork(void)
{
	char *p = map(PAGES);
	bool ok = !leave();
	pid_t child;

	stamp(p, PAGES, 8);
	child = fork();
	if (!child) {
		ok = ok && stamped(p, PAGES, 8);
		stamp(p, PAGES, 9);
		ok = ok && !leave() && stamped(p, PAGES, 9);
		_exit(ok ? 3 : 1);
	}
	ok = ok && ends_with(child, 3 << 8) && stamped(p, PAGES, 8);
	ok = !go(0) && ok && stamped(p, PAGES, 8);
	munmap(p, PAGES * PAGE);
	return ok;
}

static bool test_spawn(void)
{
	char *argv[] = { (char *)self, "--exit", "5", NULL };
	bool ok = !leave();
	pid_t child;

	ok = ok && !posix_spawn(&child, self, NULL, NULL, argv, environ) &&
	     ends_with(child, 5 << 8);
	return !go(0) && ok;
}

/* In a child: what ends it must end it as at home. */
static bool child_ends(void (*fn)(void), int status)
{
	pid_t child = fork();

	if (!child) {
		if (leave())
			_exit(99);
		fn();
		_exit(98);
	}
	return ends_with(child, status);
}

static void do_exec(void)
{
	execl(self, self, "--exit", "6", NULL);
}

static void do_exit_group(void)
{
	_exit(7);
}

static void do_kill(void)
{
	kill(getpid(), SIGKILL);
}

static void do_crash(void)
{
	*(volatile int *)nowhere = 1;
}

static void do_abort(void)
{
	abort();
}

static bool test_killed_computing(void)
{
	pid_t child = fork();

	if (!child) {
		if (leave())
			_exit(99);
		for (;;)
			;
	}
	usleep(300000);
	kill(child, SIGKILL);
	return ends_with(child, SIGKILL);
}

static bool test_stopped(void)
{
	pid_t child = fork();
	int status;
	bool ok;

	if (!child) {
		if (leave())
			_exit(99);
		for (;;)
			;
	}
	usleep(200000);
	kill(child, SIGSTOP);
	ok = waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status);
	kill(child, SIGCONT);
	usleep(50000);
	kill(child, SIGTERM);
	return ends_with(child, SIGTERM) && ok;
}

/* --- other processes with the same memory --- */

static volatile int *strange_page;
static volatile int strange_step;
static char strange_stack[2][65536];

/* What it changes is everybody's. */
static int change_page(void *arg)
{
	(void)arg;
	while (strange_step != 1)
		usleep(1000);
	strange_step = mmap((void *)strange_page, PAGE, PROT_READ | PROT_WRITE,
			    MAP_FIXED | MAP_SHARED | MAP_ANONYMOUS, -1, 0) ==
		       strange_page ? 2 : -1;
	*strange_page = 1000;
	for (;;)
		pause();
	return 0;
}

/* Its leader ends, and has no memory any more. */
static int leave_to_thread(void *arg)
{
	clone(change_page, strange_stack[1] + sizeof(strange_stack[1]),
	      CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_FS | CLONE_FILES, arg);
	syscall(SYS_exit, 0);
	return 0;
}

static pid_t make_stranger(int (*fn)(void *))
{
	return clone(fn, strange_stack[0] + sizeof(strange_stack[0]),
		     CLONE_VM | SIGCHLD, NULL);
}

/* What has another time cannot look at the clocks of another kernel. */
static bool test_time_namespace(void)
{
	pid_t child = fork(), grandchild;

	if (!child) {
		if (unshare(CLONE_NEWTIME))
			_exit(errno == EINVAL || errno == EPERM ? 0 : 1);
		grandchild = fork();
		if (!grandchild)
			_exit(leave() && errno == EOPNOTSUPP ? 0 : 1);
		_exit(!ends_with(grandchild, 0) || leave() || go(0));
	}
	return ends_with(child, 0);
}

/* What has segments of its own stays where they are. */
static bool test_segments(void)
{
	struct user_desc d = { .entry_number = 1, .limit = 0xfffff, .seg_32bit = 1,
			       .limit_in_pages = 1, .useable = 1 };
	pid_t child = fork();
	unsigned short ds = 0;

	if (!child) {
		if (leave() || syscall(SYS_modify_ldt, 1, &d, sizeof(d)))
			_exit(1);
		asm volatile("mov %1, %%ds\n\tmov %%ds, %0\n\tmov %2, %%ds"
			     : "=&r" (ds) : "r" ((unsigned short)0xf),
			       "r" ((unsigned short)0));
		_exit(leave() && errno == EOPNOTSUPP && ds == 0xf ? 0 : 2);
	}
	return ends_with(child, 0);
}

static bool ends_killed(pid_t child)
{
	kill(child, SIGKILL);
	return ends_with(child, SIGKILL);
}

/* In a child: a new process, not shared yet. */
static void do_refuse_stranger(void)
{
	pid_t child;
	bool ok;

	child = make_stranger(leave_to_thread);
	usleep(100000);
	ok = leave() && errno == EBUSY;
	ok = ends_killed(child) && ok;
	_exit(ok && !leave() && !go(0) ? 0 : 1);
}

static bool test_stranger(void)
{
	pid_t child = fork();

	if (!child)
		do_refuse_stranger();
	return ends_with(child, 0);
}

/* --- threads --- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int turn;
static __thread int own;

static void *take_turns(void *arg)
{
	int i, me = (intptr_t)arg;

	if (go(me ? away[(me - 1) % kernels] : 0))
		return NULL;
	for (i = 0; i < 10; i++) {
		pthread_mutex_lock(&mutex);
		while (turn % 4 != me)
			pthread_cond_wait(&cond, &mutex);
		turn++;
		own++;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mutex);
	}
	return own == 10 ? arg : NULL;
}

static bool test_threads(void)
{
	pthread_t t[4];
	bool ok = true;
	intptr_t i;
	void *ret;

	turn = 0;
	for (i = 0; i < 4; i++)
		if (pthread_create(&t[i], NULL, take_turns, (void *)i))
			return false;
	for (i = 0; i < 4; i++)
		ok = !pthread_join(t[i], &ret) && ret == (void *)i && ok;
	return ok && turn == 40;
}

static bool stop_changes;

/* Pages come, are used and go, all the time. */
static void *change_layout(void *arg)
{
	char *p;
	long i;

	for (i = 1; !__atomic_load_n(&stop_changes, __ATOMIC_RELAXED); i++) {
		p = map(4);
		stamp(p, 4, i);
		mprotect(p + PAGE, PAGE, PROT_READ);
		if (!stamped(p, 4, i))
			return arg;
		munmap(p, 4 * PAGE);
	}
	return NULL;
}

/* Its process comes to be shared while others are in the middle of that. */
static void do_share(void)
{
	pthread_t t[3];
	void *wrong;
	int i, bad = 0;

	for (i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, change_layout, &stop_changes);
	for (i = 0; i < 10; i++)
		bad += leave() || go(0);
	stop_changes = true;
	for (i = 0; i < 3; i++)
		bad += pthread_join(t[i], &wrong) || wrong;
	_exit(bad);
}

static bool test_share(void)
{
	bool ok = true;
	pid_t child;
	int i;

	for (i = 0; i < 10; i++) {
		child = fork();
		if (!child)
			do_share();
		ok = ends_with(child, 0) && ok;
	}
	return ok;
}

static void *nothing(void *arg)
{
	return arg;
}

static bool test_create_from_afar(void)
{
	bool ok = !leave();
	pthread_t t;
	void *ret;
	int i;

	for (i = 0; i < 10; i++)
		ok = ok && !pthread_create(&t, NULL, nothing, &mutex) &&
		     !pthread_join(t, &ret) && ret == &mutex;
	return !go(0) && ok;
}

static void *spin(void *arg)
{
	go(away[(intptr_t)arg % kernels]);
	for (;;)
		;
	return NULL;
}

static void do_leave_threads(void)
{
	pthread_t t;
	intptr_t i;

	for (i = 0; i < 4; i++)
		pthread_create(&t, NULL, spin, (void *)i);
	usleep(200000);
	_exit(8);
}

static void *sleep_long(void *arg)
{
	leave();
	sleep(1000);
	return arg;
}

static int crowd_pipe[2];

static void *join_crowd(void *arg)
{
	char c;

	if (leave())
		return NULL;
	while ((uintptr_t)arg % 64 == 1)
		syscall(SYS_sched_yield), syscall(SYS_getppid);
	return read(crowd_pipe[0], &c, 1) == 1 ? arg : NULL;
}

/* With stacks that are there before: to map memory is what would take long. */
static void be_crowd(int n)
{
	const size_t pages = 4;
	char *stacks = map(n * pages);
	pthread_attr_t attr;
	pthread_t t;
	intptr_t i;

	pthread_attr_init(&attr);
	if (!stacks || pipe(crowd_pipe))
		return;
	for (i = 0; i < n; i++) {
		pthread_attr_setstack(&attr, stacks + i * pages * PAGE, pages * PAGE);
		if (pthread_create(&t, &attr, join_crowd, (void *)i))
			return;
	}
	for (;;)
		pause();
}

static int sleep_on(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return 0;
}

static int go_once(void)
{
	if (leave() || go(0))
		return 1;
	puts("ready");
	fflush(stdout);
	getchar();
	leave();
	puts("gone");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}

static int be_orphan(void)
{
	pid_t child = fork(), other;
	int i;

	if (!child) {
		if (leave() || go(0))
			_exit(1);
		other = make_stranger(sleep_on);
		printf("%d\n", other);
		fflush(stdout);
		_exit(other < 0);
	}
	if (!ends_with(child, 0))
		return 1;
	/* What it has left behind is used again. */
	for (i = 0; i < 50; i++) {
		child = fork();
		if (!child)
			_exit(0);
		waitpid(child, NULL, 0);
	}
	return 0;
}

static bool test_cancel(void)
{
	pthread_t t;
	void *ret;

	if (pthread_create(&t, NULL, sleep_long, NULL))
		return false;
	usleep(200000);
	return !pthread_cancel(t) && !pthread_join(t, &ret) &&
	       ret == PTHREAD_CANCELED;
}

static const struct {
	bool (*fn)(void);
	const char *name;
} tests[] = {
	{ test_refusals, "refuses what is no kernel, not up, or a flag" },
	{ test_there_and_back, "memory is the same there and back" },
	{ test_around, "and on all kernels, in turns" },
	{ test_calls, "system calls have results and errors as at home" },
	{ test_time, "clocks agree" },
	{ test_layout, "mmap, mprotect, mremap, madvise, munmap from afar" },
	{ test_brk, "brk from afar" },
	{ test_stack, "the stack grows" },
	{ test_file, "private files" },
	{ test_shared, "shared memory, accessed at home" },
	{ test_shared_often, "many accesses: it stays at home for a while" },
	{ test_call_with_shared, "and given to a call that is done there" },
	{ test_held, "pages that a pipe holds on to" },
	{ test_end_of_file, "behind the end of a file is SIGBUS, until it grows" },
	{ test_alarm, "a signal calls a computing thread home" },
	{ test_eintr, "a signal interrupts a system call" },
	{ test_restart, "or restarts it" },
	{ test_raise, "a signal for oneself" },
	{ test_segv, "a bad access is SIGSEGV with its address" },
	{ test_fpe, "a division by zero is SIGFPE" },
	{ test_step, "a program steps itself by the trap flag" },
	{ test_overflow, "a stack that is full is SIGSEGV" },
	{ test_32bit, "32-bit code goes home" },
	{ test_signals_on_the_way, "signals meet a thread on its way" },
	{ test_fork, "fork from afar: the child has all pages" },
	{ test_spawn, "posix_spawn from afar" },
	{ test_killed_computing, "killed while it computes" },
	{ test_stopped, "stopped and continued" },
	{ test_threads, "threads on all kernels wait for each other" },
	{ test_share, "shared while threads change the layout" },
	{ test_create_from_afar, "threads made from afar" },
	{ test_time_namespace, "refused in a time namespace" },
	{ test_segments, "refused with segments of its own" },
	{ test_stranger, "refused while a stranger has the memory, without its leader" },
	{ test_cancel, "a thread that sleeps there is cancelled" },
};

static const struct {
	void (*fn)(void);
	int status;
	const char *name;
} ends[] = {
	{ do_exec, 6 << 8, "exec from afar" },
	{ do_exit_group, 7 << 8, "exit_group from afar" },
	{ do_kill, SIGKILL, "kills itself from afar" },
	{ do_crash, SIGSEGV, "crashes there" },
	{ do_abort, SIGABRT, "aborts there" },
	{ do_overflow, 9 << 8, "overflows a stack that grows, and goes on" },
	{ do_leave_threads, 8 << 8, "exits with threads that compute there" },
};

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static void spin_on_all(void)
{
	pthread_t t;
	intptr_t i;

	for (i = 0; i < kernels; i++)
		pthread_create(&t, NULL, spin, (void *)i);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	bool spins = argc > 1 && !strcmp(argv[1], "--spin");
	size_t i;

	self = argv[0];
	if (argc == 3 && !strcmp(argv[1], "--exit"))
		return atoi(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "--crowd")) {
		away[0] = atoi(argv[3]);
		be_crowd(atoi(argv[2]));
		return 1;
	}
	if (argc == 3 && !strcmp(argv[1], "--once")) {
		away[0] = atoi(argv[2]);
		return go_once();
	}
	if (argc == 3 && !strcmp(argv[1], "--fork")) {
		away[0] = atoi(argv[2]);
		return !test_fork();
	}
	if (argc == 3 && !strcmp(argv[1], "--orphan")) {
		away[0] = atoi(argv[2]);
		return be_orphan();
	}
	argc -= spins;
	argv += spins;
	for (i = 1; i < (size_t)argc && i <= MAX_KERNELS; i++)
		away[i - 1] = atoi(argv[i]);
	if (argc > 1)
		kernels = argc - 1;
	if (spins)
		spin_on_all();
	printf("1..%zu\n", COUNT(tests) + COUNT(ends));
	fflush(stdout);
	for (i = 0; i < COUNT(tests); i++)
		result(tests[i].fn(), tests[i].name);
	for (i = 0; i < COUNT(ends); i++)
		result(child_ends(ends[i].fn, ends[i].status), ends[i].name);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What a thread does on another kernel than its own, one thing after the other:
 * system calls, memory, signals, children, threads, ends. Prints TAP. The tests are in
 * threads-*.h.
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
#include "threads-memory.h"
#include "threads-role.h"
#include "threads-signal.h"

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

/* --- registers that only the FPU's instructions know, and protection keys --- */

struct registers {
	uint64_t xmm;
	uint32_t mxcsr;
	uint16_t fcw;
	uint32_t pkru;
};

/* Has the CPU protection keys, and does Linux use them? */
static bool has_pkru(void)
{
	uint32_t a = 7, b, c = 0, d;

	asm("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c & 1 << 4;
}

static void set_pkru(uint32_t pkru)
{
	asm volatile("wrpkru" : : "a"(pkru), "c"(0), "d"(0) : "memory");
}

static uint32_t get_pkru(void)
{
	uint32_t pkru, high;

	asm volatile("rdpkru" : "=a"(pkru), "=d"(high) : "c"(0));
	return pkru;
}

/* Go with these, with nothing between that could change or save them; false: others came. */
static bool arrives_with(int kid, const struct registers *r)
{
	struct registers s = { .pkru = r->pkru };
	long err = NR_MIGRATE;

	if (has_pkru())
		set_pkru(r->pkru);
	asm volatile("movq %[xmm], %%xmm9; ldmxcsr %[mxcsr]; fldcw %[fcw]; syscall;"
		     "movq %%xmm9, %[to_xmm]; stmxcsr %[to_mxcsr]; fnstcw %[to_fcw]"
		     : "+a"(err), [to_xmm] "=m"(s.xmm), [to_mxcsr] "=m"(s.mxcsr),
		       [to_fcw] "=m"(s.fcw)
		     : "D"((long)kid), "S"(0L), [xmm] "m"(r->xmm), [mxcsr] "m"(r->mxcsr),
		       [fcw] "m"(r->fcw)
		     : "rcx", "r11", "xmm9", "memory");
	if (has_pkru())
		s.pkru = get_pkru();
	return !err && s.xmm == r->xmm && s.mxcsr == r->mxcsr && s.fcw == r->fcw &&
	       s.pkru == r->pkru;
}

static bool test_registers(void)
{
	/* MXCSR and the control word: rounding down, and up; all keys but 0 are shut, or 1 open. */
	static const struct registers there = { 0x0123456789abcdef, 0x3f80, 0x077f, 0x55555550 };
	static const struct registers back = { 0xfedcba9876543210, 0x5f80, 0x0b7f, 0x55555544 };
	static const struct registers usual = { 0, 0x1f80, 0x037f, 0x55555554 };

	return arrives_with(away[0], &there) && arrives_with(0, &back) &&
	       arrives_with(away[0], &back) && arrives_with(0, &usual);
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

/* --- the list --- */

static const struct {
	bool (*fn)(void);
	const char *name;
} tests[] = {
	{ test_refusals, "refuses what is no kernel, not up, or a flag" },
	{ test_there_and_back, "memory is the same there and back" },
	{ test_around, "and on all kernels, in turns" },
	{ test_registers, "registers go along" },
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
	{ test_segv_kernel, "an access to a kernel's memory is SIGSEGV" },
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
	printf("1..%zu\n", ARRAY_SIZE(tests) + ARRAY_SIZE(ends));
	fflush(stdout);
	for (i = 0; i < ARRAY_SIZE(tests); i++)
		result(tests[i].fn(), tests[i].name);
	for (i = 0; i < ARRAY_SIZE(ends); i++)
		result(child_ends(ends[i].fn, ends[i].status), ends[i].name);
	return 0;
}

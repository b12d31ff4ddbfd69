// SPDX-License-Identifier: GPL-2.0
/*
 * files enable FILE...: fs-verity for files, which are read-only from then on
 * files test FILE KERNELS: a file that is mapped is the same on all kernels, whether
 * they have it or not, and also when it is not what is in the file any more
 *
 * The kernels that are said to have FILE are asked for their counts by files.sh.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fsverity.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "selftest.h"

static int kids[MAX_KERNELS], kernels;
static const char *path;
static char *content;	/* of the file, as read(2) has it */
static size_t pages;

static int enable(const char *name)
{
	struct fsverity_enable_arg arg = {
		.version = 1, .hash_algorithm = FS_VERITY_HASH_ALG_SHA256,
		.block_size = PAGE,
	};
	int fd = open(name, O_RDONLY), err;

	err = fd < 0 || ioctl(fd, FS_IOC_ENABLE_VERITY, &arg);
	if (err)
		perror(name);
	close(fd);
	return err;
}

static char *map_file(size_t first, size_t count)
{
	int fd = open(path, O_RDONLY);
	char *p = mmap(NULL, count * PAGE, PROT_READ, MAP_PRIVATE, fd, first * PAGE);

	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

static bool load(void)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	bool done;

	if (fd < 0 || fstat(fd, &st) || st.st_size % PAGE)
		return false;
	pages = st.st_size / PAGE;
	content = malloc(st.st_size);
	done = content && read(fd, content, st.st_size) == st.st_size;
	close(fd);
	return done;
}

/* Does this kernel see that much of the file, from that page on? */
static bool sees(int kid, const char *p, size_t first, size_t count)
{
	return !go(kid) && !memcmp(p, content + first * PAGE, count * PAGE);
}

static bool all_see(const char *p, size_t first, size_t count)
{
	bool all = true;
	int i;

	for (i = 0; i < kernels; i++)
		all = sees(kids[i], p, first, count) && all;
	return !go(0) && all;
}

static void test_whole(void)
{
	char *p = map_file(0, pages);

	result(p && all_see(p, 0, pages), "a file is the same everywhere");
	munmap(p, pages * PAGE);
}

/* A part of the file, with an end that is none of the file's. */
static void test_part(void)
{
	char *p = map_file(2, 3);

	result(p && all_see(p, 2, 3), "a part of a file is the same everywhere");
	munmap(p, 3 * PAGE);
}

/* What was at that address is forgotten. */
static void test_again(void)
{
	char *p = map_file(0, 4), *q;
	bool good = p && all_see(p, 0, 4);
	int fd = open(path, O_RDONLY);

	q = mmap(p, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 6 * PAGE);
	close(fd);
	result(good && q == p && all_see(p, 6, 4), "another part in its place, too");
	munmap(p, 4 * PAGE);
}

static void test_fork(void)
{
	char *p = map_file(0, pages);
	bool before = all_see(p, 0, pages);
	pid_t child = fork();
	int status = 1;

	if (!child)
		_exit(!all_see(p, 0, pages));
	waitpid(child, &status, 0);
	result(before && !status && all_see(p, 0, pages), "in a child, and afterwards");
	munmap(p, pages * PAGE);
}

/* Which the program may write, for a time. */
static void test_changed(void)
{
	char *p = map_file(0, 3);
	bool good = p && all_see(p, 0, 3);
	char was = content[PAGE];

	go(kids[0]);
	good = good && !mprotect(p, 3 * PAGE, PROT_READ | PROT_WRITE);
	go(kids[kernels - 1]);
	p[PAGE] = content[PAGE] = was + 1;
	go(kids[0]);
	good = good && !mprotect(p, 3 * PAGE, PROT_READ);
	result(good && all_see(p, 0, 3), "and when the program has changed it");
	content[PAGE] = was;
	munmap(p, 3 * PAGE);
}

/* Mapped shared it is what others write, though this one is opened to be read. */
static void test_shared(void)
{
	char name[] = "/tmp/shared.XXXXXX", *p;
	int out = mkstemp(name), in = open(name, O_RDONLY), i;
	bool good = write(out, content, PAGE) == (ssize_t)PAGE;
	char was = content[0];

	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, in, 0);
	good = good && p != MAP_FAILED;
	for (i = 0; good && i < kernels; i++) {
		good = sees(kids[i], p, 0, 1);
		content[0]++;
		good = good && pwrite(out, content, 1, 0) == 1 && sees(kids[i], p, 0, 1);
	}
	go(0);
	result(good, "a shared mapping shows what is written to its file");
	content[0] = was;
	munmap(p, PAGE);
	close(in);
	close(out);
	unlink(name);
}

static sigjmp_buf back;
static volatile int caught;

static void on_fault(int signal)
{
	caught = signal;
	siglongjmp(back, 1);
}

/* The signal that comes when a byte is written or read. */
static int fault_of(volatile char *p, bool write)
{
	struct sigaction sa = { .sa_handler = on_fault };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	caught = 0;
	if (!sigsetjmp(back, 1)) {
		if (write)
			*p = 1;
		else
			(void)*p;
	}
	return caught;
}

static void test_faults(void)
{
	char *p = map_file(0, pages + 1);
	bool good = p;
	int i;

	for (i = 0; i < kernels; i++) {
		good = good && sees(kids[i], p, 0, pages);
		good = good && fault_of(p, true) == SIGSEGV;
		go(kids[i]);
		good = good && fault_of(p + pages * PAGE, false) == SIGBUS;
	}
	go(0);
	result(good, "it cannot be written, and has an end");
	munmap(p, (pages + 1) * PAGE);
}

/* Threads on all kernels that look at one byte until it has changed. */
static struct {
	char *byte;
	int ready;
	bool seen[MAX_KERNELS];
} watch;

static void *watcher(void *arg)
{
	int i = (intptr_t)arg, left = 1 << 30;
	char was = *watch.byte;

	if (go(kids[i]))
		return NULL;
	was = *(volatile char *)watch.byte;
	__atomic_add_fetch(&watch.ready, 1, __ATOMIC_SEQ_CST);
	while (*(volatile char *)watch.byte == was && --left)
		;
	watch.seen[i] = left;
	return NULL;
}

/* Threads on the first so many kernels look at a byte when this is over. */
static void begin_watch(char *byte, int count, pthread_t *thread)
{
	int i;

	watch.byte = byte;
	watch.ready = 0;
	for (i = 0; i < count; i++) {
		watch.seen[i] = false;
		pthread_create(&thread[i], NULL, watcher, (void *)(intptr_t)i);
	}
	while (__atomic_load_n(&watch.ready, __ATOMIC_SEQ_CST) < count)
		usleep(1000);
}

static bool end_watch(int count, pthread_t *thread)
{
	bool all = true;
	int i;

	for (i = 0; i < count; i++) {
		pthread_join(thread[i], NULL);
		all = all && watch.seen[i];
	}
	return all;
}

/* As a debugger does: /proc/PID/mem writes what the process itself must not. */
static void test_forced(void)
{
	char *p = map_file(0, pages);
	int fd = open("/proc/self/mem", O_RDWR);
	pthread_t thread[MAX_KERNELS];
	bool good;

	good = all_see(p, 0, pages);
	begin_watch(p + PAGE + 7, kernels, thread);
	content[PAGE + 7] ^= 1;
	good = good && pwrite(fd, &content[PAGE + 7], 1, (off_t)watch.byte) == 1;
	good = end_watch(kernels, thread) && good;
	result(good && all_see(p, 0, pages), "what a debugger has written is seen at once");
	content[2 * PAGE] ^= 1;
	good = pwrite(fd, &content[2 * PAGE], 1, (off_t)p + 2 * PAGE) == 1;
	result(good && all_see(p, 0, pages), "and again");
	munmap(p, pages * PAGE);
	close(fd);
}

/* --- a debugger --- */

/*
 * Is traced from its signal on. A byte becomes another one in each call, for a thread
 * that is elsewhere, too.
 */
static int debuggee(char *p)
{
	char *q = map(1);
	pthread_t thread;
	pid_t child;
	bool good;

	begin_watch(p, 1, &thread);
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	munmap(q, PAGE);
	good = end_watch(1, &thread);
	begin_watch(p + PAGE, 1, &thread);
	child = fork();
	if (!child)
		_exit(0);
	good = end_watch(1, &thread) && good;
	waitpid(child, NULL, 0);
	return !good || p[0] != content[0] + 1 || p[PAGE] != content[PAGE] + 1;
}

static bool add_one(pid_t pid, char *p)
{
	long word = ptrace(PTRACE_PEEKDATA, pid, p, NULL);

	return !ptrace(PTRACE_POKEDATA, pid, p, word + 1);
}

/* What a stop of the debuggee is for: 1 the end of munmap(2), 2 in fork(2). */
static int kind_of(pid_t pid, int status)
{
	struct __ptrace_syscall_info info;
	struct user_regs_struct regs;

	if (status >> 16 == PTRACE_EVENT_FORK)
		return 2;
	if (WSTOPSIG(status) != (SIGTRAP | 0x80))
		return 0;
	ptrace(PTRACE_GETREGS, pid, NULL, &regs);
	ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info);
	return regs.orig_rax == SYS_munmap && info.op == PTRACE_SYSCALL_INFO_EXIT;
}

/* The child of fork(2) is let go. */
static void release_child(pid_t pid)
{
	unsigned long child;

	ptrace(PTRACE_GETEVENTMSG, pid, NULL, &child);
	waitpid(child, NULL, __WALL);
	ptrace(PTRACE_DETACH, child, NULL, NULL);
}

/* In the middle of a call, where the debuggee stays stopped for as long as it takes. */
static bool debug(pid_t pid, char *p)
{
	bool good = true;
	int status, poked = 0, signal = 0, kind;

	waitpid(pid, &status, 0);
	ptrace(PTRACE_SETOPTIONS, pid, NULL,
	       PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_EXITKILL);
	for (;;) {
		ptrace(PTRACE_SYSCALL, pid, NULL, signal);
		if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
			break;
		kind = kind_of(pid, status);
		if (kind)
			good = add_one(pid, p + poked++ * PAGE) && good;
		if (kind == 2)
			release_child(pid);
		signal = WSTOPSIG(status) == (SIGTRAP | 0x80) ||
			 WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
	}
	return good && poked == 2 && WIFEXITED(status) && !WEXITSTATUS(status);
}

static void test_debugger(void)
{
	char *p = map_file(0, pages);
	pid_t pid = fork();

	if (!pid)
		_exit(debuggee(p));
	alarm(60);
	result(debug(pid, p), "a debugger may write in the middle of a system call");
	alarm(0);
	munmap(p, pages * PAGE);
}

static int test(char *list)
{
	kernels = read_kids(list, kids);
	if (!load()) {
		perror(path);
		return 1;
	}
	test_whole();
	test_part();
	test_again();
	test_fork();
	test_changed();
	test_shared();
	test_faults();
	test_debugger();
	test_forced();
	puts("1..10");
	return 0;
}

int main(int argc, char **argv)
{
	int i, err = 0;

	if (argc > 2 && !strcmp(argv[1], "enable")) {
		for (i = 2; i < argc; i++)
			err |= enable(argv[i]);
		return err;
	}
	if (argc != 4 || strcmp(argv[1], "test")) {
		fputs("usage: files enable FILE... | files test FILE KERNELS\n", stderr);
		return 2;
	}
	path = argv[2];
	return test(argv[3]);
}

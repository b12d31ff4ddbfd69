// SPDX-License-Identifier: GPL-2.0
/*
 * Random system calls of threads that are away, as an ordinary user. Prints TAP.
 *
 *	fuzz-calls [-s SEED] [-t SECONDS] [-c CHILD] [-n CALLS] DIR KID,KID,...
 *
 * Processes, two at a time, make some memory and descriptors, and have three threads
 * each that go to other kernels and make random calls. They may die of that; what is
 * left is killed. What matters is that it can be killed, and what the kernels say.
 *
 * With -c only the process of that number is made: what each does depends on the seed
 * and its number alone. The log of the kernel has the numbers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "selftest.h"

#define NOBODY		65534
#define AT_A_TIME	2
#define THREADS		3
#define REGIONS		6
#define REGION		(16 * PAGE)
#define LIFE_MS		3000	/* of a process, then it is killed */
#define DEATH_MS	60000	/* it has ended by then */
#define LAST_CALL	462

static uint64_t seed;
static long calls = 150;
static int kids[MAX_KERNELS], kernels;
static char *regions[REGIONS];
static long long *made;		/* calls, about, counted by all processes of a run */

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9UL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebUL;
	return x ^ x >> 31;
}

static uint64_t next(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15UL;
	return mix(*state);
}

static unsigned int below(uint64_t *state, unsigned int limit)
{
	return (next(state) >> 16) % limit;
}

/* --- what a process does --- */

/* Calls that would only end the process, or stop it until it is killed */
static bool is_left_out(long nr)
{
	static const short list[] = {
		SYS_exit, SYS_exit_group, SYS_pause, SYS_rt_sigsuspend, SYS_vfork,
		SYS_rt_sigreturn, SYS_kill, SYS_tkill, SYS_tgkill, SYS_execve,
		SYS_execveat, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(list); i++)
		if (list[i] == nr)
			return true;
	return false;
}

/* Those that are about memory, threads and descriptors come more often. */
static long some_call(uint64_t *rng)
{
	static const short list[] = {
		SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_brk,
		SYS_mlock, SYS_munlock, SYS_mlockall, SYS_munlockall, SYS_msync,
		SYS_mincore, SYS_remap_file_pages, SYS_shmget, SYS_shmat, SYS_shmdt,
		SYS_pkey_mprotect, SYS_process_madvise, SYS_process_vm_readv,
		SYS_process_vm_writev, SYS_userfaultfd, SYS_memfd_create, SYS_ftruncate,
		SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register,
		SYS_vmsplice, SYS_splice, SYS_tee, SYS_clone, SYS_fork, SYS_futex,
		SYS_set_robust_list, SYS_rseq, SYS_membarrier, SYS_ioctl, SYS_prctl,
		SYS_arch_prctl, SYS_sched_setaffinity, SYS_sched_setscheduler,
		SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_sigaltstack, SYS_seccomp,
		SYS_setrlimit, SYS_ptrace, SYS_unshare, SYS_modify_ldt, SYS_get_mempolicy,
		NR_MIGRATE, NR_MIGRATE, NR_MIGRATE,
	};
	long nr;

	if (next(rng) & 1)
		return list[below(rng, ARRAY_SIZE(list))];
	do {
		nr = below(rng, LAST_CALL + 1);
	} while (is_left_out(nr));
	return nr;
}

static unsigned long some_address(uint64_t *rng)
{
	uintptr_t at = (uintptr_t)regions[below(rng, REGIONS)];

	switch (below(rng, 8)) {
	case 0:
		return 0;
	case 1:
		return at + below(rng, REGION);
	case 2:
		return -PAGE * below(rng, 1000);
	case 3:
		return (uintptr_t)&at;
	default:
		return at + below(rng, REGION / PAGE) * PAGE;
	}
}

static unsigned long some_argument(uint64_t *rng)
{
	switch (below(rng, 10)) {
	case 0:
		return below(rng, 4);
	case 1:
		return below(rng, 16);		/* a descriptor */
	case 2:
		return PAGE * below(rng, 40);
	case 3:
		return 1UL << below(rng, 64);
	case 4:
		return next(rng) & next(rng) & next(rng);
	case 5:
		return -below(rng, 5000);
	case 6:
		return below(rng, 2) ? (unsigned int)getpid() : below(rng, 64);
	default:
		return some_address(rng);
	}
}

/* Of mmap() and the like random bits hardly make a call that does something. */
static void make_likely(long nr, unsigned long *a, uint64_t *rng)
{
	if (nr == NR_MIGRATE) {
		a[0] = below(rng, 8) ? (uint64_t)kids[below(rng, kernels)] : next(rng);
		a[1] = below(rng, 8) ? 0 : next(rng);
	}
	if (!(next(rng) & 3))
		return;
	if (nr == SYS_mmap) {
		a[1] = PAGE * below(rng, 20);
		a[2] = below(rng, 8);
		a[3] = (below(rng, 2) ? MAP_PRIVATE : MAP_SHARED) |
		       (below(rng, 2) ? MAP_FIXED : 0) |
		       (below(rng, 2) ? MAP_ANONYMOUS : 0) | (next(rng) & next(rng) & 0x7ff00);
		a[5] = PAGE * below(rng, 4);
	}
	if (nr == SYS_munmap || nr == SYS_mprotect || nr == SYS_madvise || nr == SYS_mlock)
		a[1] = PAGE * below(rng, 20);
	if (nr == SYS_mprotect)
		a[2] = below(rng, 8);
	if (nr == SYS_madvise)
		a[2] = below(rng, 26);
	if (nr == SYS_mremap)
		a[3] = below(rng, 8);
}

static void make_call(uint64_t *rng)
{
	long nr = some_call(rng), r;
	pid_t me = getpid();
	unsigned long a[6];
	unsigned int i;

	for (i = 0; i < 6; i++)
		a[i] = some_argument(rng);
	make_likely(nr, a, rng);
	/* The new thread would run on this one's stack. */
	if (nr == SYS_clone)
		a[0] &= ~(CLONE_VM | CLONE_VFORK);
	if (nr == SYS_clone3)
		return;
	r = syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (!r && (nr == SYS_fork || nr == SYS_clone) && getpid() != me)
		_exit(0);
}

static void *work(void *arg)
{
	uint64_t rng = *(uint64_t *)arg;
	long i;

	go(kids[below(&rng, kernels)]);
	for (i = 0; i < calls; i++) {
		make_call(&rng);
		/* Shared memory is at home: use it rarely. */
		if (!(i & 31))
			__atomic_add_fetch(made, 32, __ATOMIC_RELAXED);
		/* Use what there is; SIGSEGV comes to those it hits. */
		if (!(i & 15))
			*(volatile char *)(regions[below(&rng, REGIONS)] +
					   below(&rng, REGION)) += 1;
	}
	return arg;
}

static void limit(int what, rlim_t most)
{
	setrlimit(what, &(struct rlimit){ most, most });
}

static void be_nobody(const char *dir)
{
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 1 << 20);
	limit(RLIMIT_NOFILE, 64);
	limit(RLIMIT_NPROC, 64);
	limit(RLIMIT_AS, 256 << 20);
	limit(RLIMIT_DATA, 32 << 20);
	limit(RLIMIT_MEMLOCK, 1 << 20);
	limit(RLIMIT_CPU, 10);
	if (chdir(dir) || setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY)) {
		perror("# the process");
		_exit(9);
	}
}

static void make_descriptors(void)
{
	int f[2];

	for (int i = 3; i < 64; i++)
		close(i);
	if (open("file", O_RDWR | O_CREAT, 0600) < 0 || pipe(f) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, f))
		return;
	ftruncate(memfd_create("memory", 0), REGION);
	eventfd(1, EFD_NONBLOCK);
	epoll_create1(0);
	syscall(SYS_userfaultfd, O_NONBLOCK | UFFD_USER_MODE_ONLY);
	open("/dev/zero", O_RDWR);
	open("/proc/self/mem", O_RDWR);
}

static void on_tick(int sig)
{
	(void)sig;
}

/* A signal again and again: it ends calls that wait. */
static void tick(void)
{
	struct sigaction a = { .sa_handler = on_tick };
	struct itimerval t = { { 0, 50000 }, { 0, 50000 } };

	sigaction(SIGALRM, &a, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
}

static void __attribute__((noreturn)) child(long number, const char *dir)
{
	static uint64_t seeds[THREADS];
	pthread_t threads[THREADS];
	int null = open("/dev/null", O_RDWR);
	long i;

	setsid();
	be_nobody(dir);
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	make_descriptors();
	for (i = 0; i < REGIONS; i++)
		regions[i] = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_ANONYMOUS |
				  (i ? MAP_PRIVATE : MAP_SHARED), -1, 0);
	tick();
	for (i = 0; i < THREADS; i++) {
		seeds[i] = mix(seed ^ mix(number * THREADS + i + 1));
		if (pthread_create(&threads[i], NULL, work, &seeds[i]))
			_exit(9);
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

/* --- the one who makes them --- */

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void note(long number)
{
	static int log = -1;
	char text[64];
	int n = snprintf(text, sizeof(text), "fuzz-calls: seed %lu, process %ld\n", seed,
			 number);

	if (log < 0)
		log = open("/dev/kmsg", O_WRONLY);
	if (write(log, text, n) != n)
		log = -1;
}

/* kill_all: whatever runs as that user; a call that clones may have made more */
static void kill_all(void)
{
	pid_t pid = fork();

	if (!pid) {
		if (setgid(NOBODY) || setuid(NOBODY))
			_exit(1);
		kill(-1, SIGKILL);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

/* remove_ipc: what does not end with the process that has made it */
static void remove_ipc(void)
{
	struct shmid_ds shm;
	struct msqid_ds msg;
	struct semid_ds sem;
	int i, id;

	for (i = shmctl(0, SHM_INFO, &shm); i >= 0; i--) {
		id = shmctl(i, SHM_STAT, &shm);
		if (id >= 0)
			shmctl(id, IPC_RMID, NULL);
	}
	for (i = msgctl(0, MSG_INFO, &msg); i >= 0; i--) {
		id = msgctl(i, MSG_STAT, &msg);
		if (id >= 0)
			msgctl(id, IPC_RMID, NULL);
	}
	for (i = semctl(0, 0, SEM_INFO, &sem); i >= 0; i--) {
		id = semctl(i, 0, SEM_STAT, &sem);
		if (id >= 0)
			semctl(id, 0, IPC_RMID);
	}
}

/* collect: wait until all have ended, or been killed; false if one cannot be */
static bool collect(const pid_t *pids, int count, unsigned long *signals)
{
	long long end = now() + LIFE_MS, last = end + DEATH_MS;
	int left = count, status, i;
	bool killed = false;
	pid_t pid;

	while (left && now() < last) {
		while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
			for (i = 0; i < count; i++)
				left -= pids[i] == pid;
			*signals += WIFSIGNALED(status);
		}
		if (!killed && now() > end) {
			killed = true;
			kill_all();
		}
		usleep(5000);
	}
	kill_all();
	while (waitpid(-1, &status, WNOHANG | __WALL) > 0)
		;
	remove_ipc();
	return !left;
}

/* More than a run ever makes: what random calls have written there is no number of them. */
#define CALLS_MAX	(1LL << 32)

static long long calls_made(void)
{
	return *made > 0 && *made < CALLS_MAX ? *made : 0;
}

static bool run(long first, int count, const char *dir, unsigned long *signals)
{
	pid_t pids[AT_A_TIME];
	int i;

	*made = 0;
	for (i = 0; i < count; i++) {
		note(first + i);
		pids[i] = fork();
		if (!pids[i])
			child(first + i, dir);
	}
	return collect(pids, count, signals);
}

static int fuzz(const char *dir, int seconds, long only)
{
	long long end = now() + seconds * 1000LL;
	unsigned long signals = 0;
	long long sum = 0;
	long number = 0;
	bool ended = true;

	printf("1..2\n# seed %lu\n", seed);
	fflush(stdout);
	if (only >= 0)
		ended = run(only, 1, dir, &signals);
	sum += calls_made();
	for (; only < 0 && ended && now() < end; number += AT_A_TIME) {
		ended = run(number, AT_A_TIME, dir, &signals);
		sum += calls_made();
	}
	printf("# %ld processes, %lu ended by a signal, %lld calls\n",
	       only >= 0 ? 1 : number, signals, sum);
	if (!ended)
		printf("# the last ones cannot be killed\n");
	result(sum > 0, "calls were made");
	result(ended, "each process comes to its end");
	return !ended;
}

int main(int argc, char **argv)
{
	int seconds = 10, c;
	long only = -1;

	seed = time(NULL);
	while ((c = getopt(argc, argv, "s:t:c:n:")) != -1) {
		switch (c) {
		case 's':
			seed = strtoul(optarg, NULL, 0);
			break;
		case 't':
			seconds = atoi(optarg);
			break;
		case 'c':
			only = atol(optarg);
			break;
		case 'n':
			calls = atol(optarg);
			break;
		default:
			return 2;
		}
	}
	if (optind + 2 != argc)
		return 2;
	kernels = read_kids(argv[optind + 1], kids);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	made = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return made == MAP_FAILED ? 1 : fuzz(argv[optind], seconds, only);
}

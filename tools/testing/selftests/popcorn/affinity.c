// SPDX-License-Identifier: GPL-2.0
/*
 * Affinity to CPUs of other kernels, and what a thread there is told of its CPU.
 * Prints TAP.
 *
 *	affinity LIST...	the CPUs of each kernel, that of the program first
 *	affinity --on CPU	exit status: 0 if it runs on that CPU, and may on no other
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_KERNELS	64

static cpu_set_t all, own, cpus_of[MAX_KERNELS];
static int kernels;
static int foreign;	/* the first CPU of another kernel */
static const char *self;

/* --- sets --- */

static void parse_list(const char *text, cpu_set_t *set)
{
	char *end;
	long first, last;

	CPU_ZERO(set);
	for (; *text && *text != '\n'; text = end + (*end == ',')) {
		first = last = strtol(text, &end, 10);
		if (*end == '-')
			last = strtol(end + 1, &end, 10);
		for (; first <= last; first++)
			CPU_SET(first, set);
	}
}

static int first_of(const cpu_set_t *set)
{
	int cpu = 0;

	while (!CPU_ISSET(cpu, set))
		cpu++;
	return cpu;
}

static cpu_set_t just(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return set;
}

static bool set_to(pid_t tid, cpu_set_t set)
{
	return !sched_setaffinity(tid, sizeof(set), &set);
}

static bool allows(pid_t tid, cpu_set_t wanted)
{
	cpu_set_t set;

	return !sched_getaffinity(tid, sizeof(set), &set) &&
	       CPU_EQUAL(&set, &wanted);
}

/* --- the CPU, in all ways in which a program can ask for it --- */

static int by_call(void)
{
	unsigned int cpu, node;

	return syscall(SYS_getcpu, &cpu, &node, NULL) ? -1 : (int)cpu;
}

static int by_segment(void)
{
	uint64_t limit = 0x7b;

	asm volatile("lsl %0, %0" : "+r" (limit));
	return limit & 0xfff;
}

static int by_counter(void)
{
	unsigned int aux;

	__builtin_ia32_rdtscp(&aux);
	return aux & 0xfff;
}

static bool is_on(int cpu)
{
	int i;

	for (i = 0; i < 2000; i++)
		if (sched_getcpu() != cpu || by_segment() != cpu ||
		    by_counter() != cpu || (i % 100 == 0 && by_call() != cpu))
			return false;
	return true;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static bool gets_to(volatile int *where, int cpu)
{
	double end = now() + 20;

	while (*where != cpu && now() < end)
		usleep(10000);
	return *where == cpu;
}

/* The file says so, and the C library has the number from it. */
static bool sees(cpu_set_t wanted)
{
	FILE *file = fopen("/sys/devices/system/cpu/online", "r");
	char text[200] = "";
	cpu_set_t set;
	bool read = file && fgets(text, sizeof(text), file);

	if (file)
		fclose(file);
	parse_list(text, &set);
	return read && CPU_EQUAL(&set, &wanted) &&
	       sysconf(_SC_NPROCESSORS_ONLN) == CPU_COUNT(&wanted);
}

/* --- one's own --- */

static bool test_ordinary(void)
{
	return allows(0, own) && sees(own);
}

static bool test_own(void)
{
	int cpu;

	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &own) &&
		    !(set_to(0, just(cpu)) && allows(0, just(cpu)) && is_on(cpu)))
			return false;
	return set_to(0, own) && allows(0, own) && sees(own);
}

static bool is_refused(int cpu)
{
	return !set_to(0, just(cpu)) && errno == EINVAL;
}

static bool test_wrong(void)
{
	cpu_set_t none;
	int above = 0, cpu;

	CPU_ZERO(&none);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &all))
			above = cpu + 1;
	if (!is_refused(above) || !is_refused(1023) || set_to(0, none) ||
	    !test_ordinary())
		return false;
	/* The same in the machine's numbers. */
	return set_to(0, just(foreign)) && is_refused(above) &&
	       is_refused(1023) && !set_to(0, none) && is_on(foreign) &&
	       syscall(SYS_sched_getaffinity, 0, 0, &none) == -1 &&
	       syscall(SYS_sched_getaffinity, 0, 9, &none) == -1 &&
	       syscall(SYS_sched_setaffinity, 0, 8, (void *)8) == -1 &&
	       errno == EFAULT;
}

static bool test_each(void)
{
	int cpu, round;

	for (round = 0; round < 2; round++)
		for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
			if (CPU_ISSET(cpu, &all) &&
			    !(set_to(0, just(cpu)) && is_on(cpu) &&
			      allows(0, just(cpu))))
				return false;
	return sees(all);
}

static bool test_kernel(void)
{
	cpu_set_t set;
	int k, cpu;

	for (k = 0; k < kernels; k++) {
		if (!set_to(0, cpus_of[k]) || !allows(0, cpus_of[k]))
			return false;
		cpu = by_call();
		if (cpu < 0 || !CPU_ISSET(cpu, &cpus_of[k]))
			return false;
	}
	memset(&set, 0xff, sizeof(set));
	return set_to(0, set) && allows(0, all) &&
	       CPU_ISSET(by_call(), &cpus_of[kernels - 1]);
}

static bool test_mixed(void)
{
	int home = first_of(&own);
	cpu_set_t mixed = just(home);

	CPU_SET(foreign, &mixed);
	if (!set_to(0, just(foreign)) || !is_on(foreign) ||
	    !set_to(0, mixed) || !is_on(foreign) || !allows(0, mixed))
		return false;
	return set_to(0, just(home)) && is_on(home) && set_to(0, mixed) &&
	       is_on(home) && allows(0, mixed);
}

/* --- inherited --- */

static bool ends_well(pid_t child)
{
	int status;

	return waitpid(child, &status, 0) == child && !status;
}

static bool test_fork(void)
{
	pid_t child;

	if (!set_to(0, just(foreign)))
		return false;
	child = fork();
	if (!child)
		_exit(!(is_on(foreign) && allows(0, just(foreign))));
	return ends_well(child) && is_on(foreign);
}

static void *on_foreign(void *arg)
{
	return is_on(foreign) && allows(0, just(foreign)) ? arg : NULL;
}

static bool test_thread(void)
{
	pthread_t t;
	void *ret;

	return set_to(0, just(foreign)) &&
	       !pthread_create(&t, NULL, on_foreign, &all) &&
	       !pthread_join(t, &ret) && ret == &all;
}

static bool test_exec(void)
{
	char number[12];
	pid_t child;

	snprintf(number, sizeof(number), "%d", foreign);
	child = fork();
	if (!child) {
		if (set_to(0, just(foreign)))
			execl(self, self, "--on", number, NULL);
		_exit(1);
	}
	return ends_well(child);
}

/* --- other threads, other processes --- */

struct other {
	volatile int where;
	volatile pid_t tid;
	volatile bool end;
	int pipe[2];
	ssize_t got;
};

static void *compute(void *arg)
{
	struct other *o = arg;

	o->tid = gettid();
	while (!o->end)
		o->where = by_segment();
	return NULL;
}

static bool moves_other(void)
{
	struct other o = {};
	cpu_set_t set;
	pthread_t t;
	bool ok;
	int cpu;

	ok = !pthread_create(&t, NULL, compute, &o);
	for (cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		set = just(cpu);
		ok = ok && !pthread_setaffinity_np(t, sizeof(set), &set) &&
		     gets_to(&o.where, cpu) && allows(o.tid, set);
	}
	o.end = true;
	return !pthread_join(t, NULL) && ok;
}

static bool test_other(void)
{
	return moves_other() && allows(0, all) && sees(all);
}

/* From a third kernel, or the second. */
static bool test_other_from_afar(void)
{
	int third = first_of(&cpus_of[kernels - 1]);

	return set_to(0, just(third)) && moves_other() && is_on(third);
}

static void *wait_for_data(void *arg)
{
	struct other *o = arg;
	char c;

	o->tid = gettid();
	o->got = read(o->pipe[0], &c, 1);
	o->where = sched_getcpu();
	o->got += read(o->pipe[0], &c, 1);
	o->where = sched_getcpu();
	return NULL;
}

static bool test_sleeper(void)
{
	struct other o = { .where = -1 };
	pthread_t t;
	bool ok = !pipe(o.pipe) && !pthread_create(&t, NULL, wait_for_data, &o);

	while (ok && !o.tid)
		usleep(10000);
	usleep(100000);
	/* At home, and away. */
	ok = ok && set_to(o.tid, just(foreign));
	usleep(100000);
	ok = ok && o.where == -1 && write(o.pipe[1], "x", 1) == 1 &&
	     gets_to(&o.where, foreign);
	usleep(100000);
	ok = ok && set_to(o.tid, just(first_of(&own)));
	usleep(100000);
	ok = ok && o.where == foreign && write(o.pipe[1], "x", 1) == 1;
	pthread_join(t, NULL);
	return ok && o.where == first_of(&own) && o.got == 2;
}

static bool test_process(void)
{
	pid_t child = fork();

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (by_segment() != foreign)
			;
		_exit(!is_on(foreign));
	}
	return set_to(child, just(foreign)) && allows(child, just(foreign)) &&
	       ends_well(child) && test_ordinary();
}

static bool test_permission(void)
{
	pid_t victim = getpid(), child = fork();

	if (!child) {
		if (setresuid(1000, 1000, 1000))
			_exit(2);
		_exit(!(!set_to(victim, just(foreign)) && errno == EPERM &&
			set_to(0, just(foreign)) && is_on(foreign)));
	}
	return ends_well(child) && test_ordinary();
}

/* Many changes while the thread is on its way. */
static bool test_storm(void)
{
	struct other o = {};
	pthread_t t;
	bool ok = !pthread_create(&t, NULL, compute, &o);
	int i;

	while (ok && !o.tid)
		usleep(10000);
	for (i = 0; ok && i < 300; i++)
		ok = set_to(o.tid, just(first_of(&cpus_of[i % kernels])));
	for (i = 0; ok && i < kernels; i++)
		ok = set_to(o.tid, just(first_of(&cpus_of[i]))) &&
		     gets_to(&o.where, first_of(&cpus_of[i]));
	o.end = true;
	return !pthread_join(t, NULL) && ok;
}

static const struct {
	bool (*fn)(void);
	const char *name;
} tests[] = {
	{ test_ordinary, "an ordinary process sees its kernel's CPUs" },
	{ test_own, "and is bound to them as ever" },
	{ test_wrong, "masks without a CPU that is there are refused" },
	{ test_each, "a thread goes to each CPU of the machine" },
	{ test_kernel, "and to those of each kernel" },
	{ test_mixed, "it stays where it is if the mask allows" },
	{ test_fork, "a child inherits it" },
	{ test_thread, "a thread inherits it" },
	{ test_exec, "a program inherits it" },
	{ test_other, "another thread that computes" },
	{ test_other_from_afar, "the same, by one that is away" },
	{ test_sleeper, "another thread that sleeps in a system call" },
	{ test_process, "another process" },
	{ test_permission, "not another user's" },
	{ test_storm, "bound anew while it travels" },
};

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* Each begins as an ordinary process. */
static bool passes(bool (*fn)(void))
{
	pid_t child = fork();

	if (!child)
		_exit(!fn());
	return ends_well(child);
}

int main(int argc, char **argv)
{
	size_t i;

	self = argv[0];
	if (argc == 3 && !strcmp(argv[1], "--on")) {
		foreign = atoi(argv[2]);
		return !(is_on(foreign) && allows(0, just(foreign)));
	}
	if (argc < 3 || argc > MAX_KERNELS)
		return 2;
	kernels = argc - 1;
	for (i = 0; i < (size_t)kernels; i++) {
		parse_list(argv[i + 1], &cpus_of[i]);
		CPU_OR(&all, &all, &cpus_of[i]);
	}
	own = cpus_of[0];
	foreign = first_of(&cpus_of[1]);
	printf("1..%zu\n", COUNT(tests));
	fflush(stdout);
	for (i = 0; i < COUNT(tests); i++) {
		printf("%sok %zu - %s\n", passes(tests[i].fn) ? "" : "not ",
		       i + 1, tests[i].name);
		fflush(stdout);
	}
	return 0;
}

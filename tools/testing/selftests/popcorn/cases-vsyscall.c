// SPDX-License-Identifier: GPL-2.0
/*
 * The calls of the vsyscall page, which old programs make, where only home has the memory
 * that they need. Prints TAP.
 *
 *	cases-vsyscall KID
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <sys/time.h>

#include "cases.h"

#define VSYSCALL	0xffffffffff600000UL

static int (*const call_gettimeofday)(struct timeval *tv, struct timezone *tz) =
	(void *)VSYSCALL;
static time_t (*const call_time)(time_t *t) = (void *)(VSYSCALL + 0x400);
static int (*const call_getcpu)(unsigned int *cpu, unsigned int *node, void *cache) =
	(void *)(VSYSCALL + 0x800);

/* Origin-only, as it is shared */
static char *shared;

static bool is_there(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	bool found = false;
	char line[256];

	while (!found && maps && fgets(line, sizeof(line), maps))
		found = strstr(line, "[vsyscall]");
	if (maps)
		fclose(maps);
	return found;
}

static bool is_now(time_t t)
{
	time_t now = 0;

	syscall(SYS_time, &now);
	return t >= now - 1 && t <= now + 1;
}

static bool test_private(void)
{
	struct timeval tv = {};
	unsigned int cpu = -1;
	time_t t = 0;

	return away() && is_now(call_time(NULL)) && away() && is_now(call_time(&t)) &&
	       is_now(t) && away() && !call_gettimeofday(&tv, NULL) &&
	       is_now(tv.tv_sec) && away() && !call_getcpu(&cpu, NULL, NULL) &&
	       cpu < 64;
}

static bool test_time(void)
{
	time_t *t = (void *)shared;

	return away() && is_now(call_time(t)) && is_now(*t);
}

static bool test_gettimeofday(void)
{
	struct timeval *tv = (void *)shared;
	struct timezone *tz = (void *)(tv + 1);

	memset(tz, 0xff, sizeof(*tz));
	return away() && !call_gettimeofday(tv, tz) && is_now(tv->tv_sec) &&
	       !tz->tz_minuteswest;
}

static bool test_getcpu(void)
{
	unsigned int *cpu = (void *)shared, *node = cpu + 1;

	*cpu = *node = -1;
	return away() && !call_getcpu(cpu, node, NULL) && *cpu < 64 && !*node;
}

/* The vsyscall reads from the stack where to return to: that has been written at home. */
static bool test_stack(void)
{
	uintptr_t *top = (void *)(shared + PAGE - 64);
	time_t t;

	asm("lea back_from_time(%%rip), %0" : "=r" (*top));
	if (!away())
		return false;
	asm volatile("mov %%rsp, %%rbx\n\t"
		     "mov %[top], %%rsp\n\t"
		     "jmp *%[fn]\n"
		     "back_from_time:\n\t"
		     "mov %%rbx, %%rsp"
		     : "=a" (t)
		     : [top] "r" (top), [fn] "r" (call_time), "D" (NULL)
		     : "rbx", "rcx", "r11", "cc", "memory");
	return is_now(t);
}

static sigjmp_buf resume;

static void on_segv(int sig)
{
	siglongjmp(resume, sig);
}

static bool test_nowhere(void)
{
	bool faulted;

	signal(SIGSEGV, on_segv);
	faulted = sigsetjmp(resume, 1);
	if (!faulted && away())
		call_time((void *)8);
	signal(SIGSEGV, SIG_DFL);
	return faulted;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	where = argv[1];
	if (!is_there()) {
		printf("1..0 # SKIP there is no vsyscall page\n");
		return 0;
	}
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	printf("1..6\n");
	result(in_child(test_private), "memory that may be elsewhere");
	result(in_child(test_time), "time(2) into memory that is at home");
	result(in_child(test_gettimeofday), "gettimeofday(2)");
	result(in_child(test_getcpu), "getcpu(2)");
	result(in_child(test_stack), "a stack that is at home");
	result(in_child(test_nowhere), "memory that is nowhere");
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The trap flag stays where a thread goes, and as long as it is set. Prints TAP.
 *
 *	cases-step KID
 */
#define _GNU_SOURCE

#include "cases.h"

static volatile int steps;

static void on_trap(int sig, siginfo_t *info, void *context)
{
	steps++;
	if (info->si_code != TRAP_TRACE || sig != SIGTRAP || !context)
		steps += 1000;
}

static int plain(void)
{
	unsigned long after;

	steps = 0;
	asm volatile("sub $128, %%rsp; pushfq; orq $0x100, (%%rsp); popfq;"
		     "nop; nop; nop; nop; nop; pushfq; pop %0; push %0;"
		     "andq $~0x100, (%%rsp); popfq; add $128, %%rsp"
		     : "=r"(after) :: "memory", "cc");
	return after & 0x100 ? steps : -1;
}

static int over_a_call(void)
{
	steps = 0;
	asm volatile("sub $128, %%rsp; pushfq; orq $0x100, (%%rsp); popfq;"
		     "mov $110, %%eax; syscall; nop; nop;"
		     "pushfq; andq $~0x100, (%%rsp); popfq; add $128, %%rsp"
		     ::: "memory", "cc", "rax", "rcx", "r11");
	return steps;
}

int main(int argc, char **argv)
{
	struct sigaction a = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	int at_home[2], there[2];

	if (argc != 2)
		return 2;
	where = argv[1];
	sigaction(SIGTRAP, &a, NULL);
	printf("1..3\n");
	at_home[0] = plain();
	at_home[1] = over_a_call();
	result(away(), "it is away");
	there[0] = plain();
	there[1] = over_a_call();
	printf("# at home %d and %d steps, away %d and %d\n", at_home[0], at_home[1],
	       there[0], there[1]);
	result(at_home[0] > 5 && there[0] == at_home[0], "as many steps as at home");
	result(at_home[1] > 4 && there[1] == at_home[1], "also over a system call");
	return 0;
}

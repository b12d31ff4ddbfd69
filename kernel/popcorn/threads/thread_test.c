// SPDX-License-Identifier: GPL-2.0
/* KUnit tests of what is taken of an exception that another kernel tells of. */
#include <kunit/test.h>

#include <linux/signal.h>
#include <linux/string.h>

#include "internal.h"


/* Every byte that is not set is such as would be seen in what must not have it. */
static bool take(struct kunit *test, int sig, int code, kernel_siginfo_t *to)
{
	struct pcn_thread_msg *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	kernel_siginfo_t from;

	KUNIT_ASSERT_NOT_NULL(test, m);
	memset(&from, 0x5a, sizeof(from));
	from.si_signo = sig;
	from.si_code = code;
	memcpy(m->info, &from, sizeof(from));
	return pcn_exception_info(m, to);
}

static void exceptions(struct kunit *test)
{
	void __user *address = (void __user *)0x5a5a5a5a5a5a5a5aUL;
	kernel_siginfo_t info;

	KUNIT_EXPECT_TRUE(test, take(test, SIGSEGV, SEGV_MAPERR, &info));
	KUNIT_EXPECT_EQ(test, info.si_signo, SIGSEGV);
	KUNIT_EXPECT_EQ(test, info.si_code, SEGV_MAPERR);
	KUNIT_EXPECT_EQ(test, info.si_errno, 0);
	KUNIT_EXPECT_PTR_EQ(test, info.si_addr, address);
	KUNIT_EXPECT_EQ(test, info.si_addr_lsb, 0);
	KUNIT_EXPECT_TRUE(test, take(test, SIGSEGV, SEGV_PKUERR, &info));
	KUNIT_EXPECT_EQ(test, info.si_pkey, 0x5a5a5a5a);
	KUNIT_EXPECT_TRUE(test, take(test, SIGBUS, BUS_MCEERR_AR, &info));
	KUNIT_EXPECT_EQ(test, info.si_addr_lsb, 0x5a5a);
	KUNIT_EXPECT_TRUE(test, take(test, SIGFPE, FPE_INTDIV, &info));
	KUNIT_EXPECT_TRUE(test, take(test, SIGILL, ILL_ILLOPN, &info));
	KUNIT_EXPECT_TRUE(test, take(test, SIGTRAP, TRAP_TRACE, &info));
	/* A general protection fault: with the sender's ids, which are none. */
	KUNIT_EXPECT_TRUE(test, take(test, SIGSEGV, SI_KERNEL, &info));
	KUNIT_EXPECT_EQ(test, info.si_pid, 0);
	KUNIT_EXPECT_EQ(test, info.si_uid, 0);
}

static void others(struct kunit *test)
{
	static const int signals[] = {
		INT_MIN, -1, 0, SIGKILL, SIGSTOP, SIGCHLD, SIGSYS, SIGRTMIN, 64, 65,
		0x10000, INT_MAX,
	};
	static const int codes[] = {
		INT_MIN, SI_TIMER, SI_QUEUE, SI_TKILL, SI_USER, NSIGSEGV + 1,
		SI_KERNEL - 1, SI_KERNEL + 1, INT_MAX,
	};
	kernel_siginfo_t info;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		KUNIT_EXPECT_FALSE(test, take(test, signals[i], 1, &info));
		KUNIT_EXPECT_FALSE(test, take(test, signals[i], SI_KERNEL, &info));
	}
	for (i = 0; i < ARRAY_SIZE(codes); i++)
		KUNIT_EXPECT_FALSE(test, take(test, SIGSEGV, codes[i], &info));
	KUNIT_EXPECT_FALSE(test, take(test, SIGTRAP, TRAP_PERF, &info));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(exceptions),
	KUNIT_CASE(others),
	{}
};

static struct kunit_suite suite = {
	.name = "popcorn-thread",
	.test_cases = cases,
};

kunit_test_suite(suite);

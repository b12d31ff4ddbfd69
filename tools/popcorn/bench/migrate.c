// SPDX-License-Identifier: GPL-2.0
/*
 * Threads go round a ring of kernels by popcorn_migrate(), and after every hop
 * everything that belongs to a thread must be what it was: the general registers
 * and flags that a system call preserves, all vector registers (AVX where the CPU
 * and the kernel have it, otherwise SSE), the x87 registers and both control
 * words, thread-local data and the base of FS, the base of GS, a stack of several
 * pages, the thread's ids; and the clock does not go back.
 *
 *	migrate -p KID,KID,... [-n HOPS] [-t THREADS] [-b KIND] [-v]
 *	migrate -d [-n HOPS] [-t THREADS]
 *	migrate -s
 *
 *	-n	how many hops each thread makes, 1000
 *	-d	dry run, on any kernel: getpid(), which moves nobody
 *	-s	self-test: each byte is changed, and that must be found
 *
 * Thread i begins on kernel KID[i mod n]. The values are random, and other ones
 * for each hop.
 */
#include <asm/prctl.h>
#include <cpuid.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "hop.h"
#include "place.h"

/* Carry, parity, adjust, zero, sign, direction, overflow, ID */
#define FLAGS		0x200cd5UL
#define FLAGS_ALWAYS	0x202UL		/* interrupts, and one that is always set */
#define MXCSR_MASKED	0x1f80
#define MXCSR_RANDOM	0xe07f		/* rounding, flushes to 0, sticky flags */
#define FCW_MASKED	0x007f
#define FCW_RANDOM	0x0f00		/* rounding, precision */

#define DEPTH		12
#define FRAME		160		/* in words: DEPTH of them are pages */

_Static_assert(offsetof(struct hop_registers, flags) == HOP_FLAGS, "flags");
_Static_assert(offsetof(struct hop_registers, mxcsr) == HOP_MXCSR, "mxcsr");
_Static_assert(offsetof(struct hop_registers, fcw) == HOP_FCW, "fcw");
_Static_assert(offsetof(struct hop_registers, x87) == HOP_X87, "x87");
_Static_assert(offsetof(struct hop_registers, vector) == HOP_VECTOR, "vector");

enum kind {
	GENERAL, KIND_FLAGS, VECTOR, X87, FCW, MXCSR, TLS, GS, STACK, IDS, CLOCK,
	KINDS
};

static const char *const kind_names[KINDS] = {
	"general registers", "flags", "vector registers", "x87 registers",
	"x87 control word", "mxcsr", "thread-local data", "base of GS", "stack",
	"ids", "clock",
};

/* What is a thread's own, on pages of its own */
static struct part {
	unsigned int	me;
	uint64_t	random;
	struct hop_registers in, out;
	long		number;		/* of the system call */
	uint64_t	ns;		/* in all hops */
	unsigned long	faults[KINDS];
	uint64_t	gs_target;
} page_aligned parts[THREADS_MAX];

static unsigned long hops = 1000;
static bool dry, self_test, avx;
static __thread uint64_t tls[32];

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static void fill(uint64_t *random, void *memory, size_t size)
{
	uint64_t *word = memory;

	for (; size; size -= sizeof(*word))
		*word++ = next_random(random);
}

/* The CPU has it, and the kernel saves it. */
static bool have_avx(void)
{
	unsigned int a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_AVX) ||
	    !(c & bit_OSXSAVE))
		return false;
	__asm__ volatile("xgetbv" : "=a" (a), "=d" (d) : "c" (0));
	return (a & 6) == 6;
}

/* The number of @value is a normal one: an exponent near 1, the first bit set. */
static void make_x87(uint8_t *value)
{
	value[7] |= 0x80;
	value[8] &= 0x7f;
	value[9] = (value[9] & 0x80) | 0x3f;
}

static void make_registers(struct part *p, unsigned int kid)
{
	struct hop_registers *r = &p->in;
	unsigned int i;

	fill(&p->random, r, sizeof(*r));
	r->general[HOP_RDI / 8] = kid;
	r->general[HOP_RSI / 8] = 0;
	r->flags = (r->flags & FLAGS) | FLAGS_ALWAYS;
	r->mxcsr = (r->mxcsr & MXCSR_RANDOM) | MXCSR_MASKED;
	r->fcw = (r->fcw & FCW_RANDOM) | FCW_MASKED;
	if ((r->fcw & 0x300) == 0x100)		/* reserved */
		r->fcw |= 0x200;
	for (i = 0; i < 8; i++)
		make_x87(r->x87[i]);
	memset(&p->out, 0, sizeof(p->out));
}

static bool x87_differ(const struct hop_registers *a,
		       const struct hop_registers *b)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		if (memcmp(a->x87[i], b->x87[i], 10))
			return true;
	return false;
}

static bool vectors_differ(const struct hop_registers *a,
			   const struct hop_registers *b)
{
	unsigned int i;

	for (i = 0; i < 16; i++)
		if (memcmp(a->vector[i], b->vector[i], avx ? 32 : 16))
			return true;
	return false;
}

/* Return: how many kinds of registers differ, counted in @p. */
static unsigned int compare_registers(struct part *p)
{
	const struct hop_registers *a = &p->in, *b = &p->out;
	const bool differ[] = {
		[GENERAL] = memcmp(a->general, b->general, sizeof(a->general)),
		[KIND_FLAGS] = (a->flags ^ b->flags) & FLAGS,
		[VECTOR] = vectors_differ(a, b),
		[X87] = x87_differ(a, b),
		/* Bit 6 has no meaning, and no value that is sure. */
		[FCW] = (a->fcw ^ b->fcw) & ~0x40,
		[MXCSR] = a->mxcsr != b->mxcsr,
	};
	unsigned int i, count = 0;

	for (i = 0; i < ARRAY_SIZE(differ); i++) {
		p->faults[i] += differ[i];
		count += differ[i];
	}
	return count;
}

static uint64_t fs_base(void)
{
	uint64_t base = 0;

	syscall(SYS_arch_prctl, ARCH_GET_FS, &base);
	return base;
}

static uint64_t read_gs(void)
{
	uint64_t value;

	__asm__ volatile("movq %%gs:0, %0" : "=r" (value) : : "memory");
	return value;
}

static uint64_t gs_base(void)
{
	uint64_t base = 0;

	syscall(SYS_arch_prctl, ARCH_GET_GS, &base);
	return base;
}

/* What is found again after a hop, besides the registers. */
struct around {
	uint64_t	tls_seed, fs, gs, now;
	long		pid, tid;
};

static void note_around(struct part *p, struct around *a)
{
	uint64_t seed;

	a->tls_seed = next_random(&p->random);
	seed = a->tls_seed;
	fill(&seed, tls, sizeof(tls));
	p->gs_target = next_random(&p->random);
	a->fs = fs_base();
	a->gs = (uintptr_t)&p->gs_target;
	a->pid = syscall(SYS_getpid);
	a->tid = syscall(SYS_gettid);
	a->now = bench_now();
}

static bool tls_differs(uint64_t seed)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tls); i++)
		if (tls[i] != next_random(&seed))
			return true;
	return false;
}

static void compare_around(struct part *p, const struct around *a)
{
	p->faults[CLOCK] += bench_now() < a->now;
	p->faults[TLS] += tls_differs(a->tls_seed) || fs_base() != a->fs;
	p->faults[GS] += read_gs() != p->gs_target || gs_base() != a->gs;
	p->faults[IDS] += syscall(SYS_getpid) != a->pid ||
			  syscall(SYS_gettid) != a->tid;
}

static void hop(struct part *p, unsigned int kid)
{
	uint64_t began;
	long result;

	make_registers(p, kid);
	began = bench_now();
	result = (avx ? hop_avx : hop_sse)(&p->in, &p->out, p->number);
	p->ns += bench_now() - began;
	if (result < 0)
		place_failed(kid, -result);
	compare_registers(p);
}

/* Hops with @depth frames on the stack, each filled, and found so afterwards. */
static __attribute__((noinline)) void hop_below(struct part *p, unsigned int kid,
						unsigned int depth)
{
	uint64_t frame[FRAME];
	uint64_t seed = next_random(&p->random), state = seed;
	unsigned int i;

	for (i = 0; i < FRAME; i++)
		frame[i] = next_random(&state);
	/* For all the compiler knows, this reads and writes it. */
	__asm__ volatile("" : : "r" (frame) : "memory");
	if (depth)
		hop_below(p, kid, depth - 1);
	else
		hop(p, kid);
	__asm__ volatile("" : : "r" (frame) : "memory");
	state = seed;
	for (i = 0; i < FRAME; i++) {
		if (frame[i] != next_random(&state)) {
			p->faults[STACK]++;
			return;
		}
	}
}

static unsigned int kid_of(unsigned int i)
{
	return place_count() ? place_kid(i) : 0;
}

static void set_up(struct part *p, unsigned int me)
{
	memset(p, 0, sizeof(*p));
	p->me = me;
	p->random = me + 1;
	p->number = dry ? SYS_getpid : POPCORN_MIGRATE;
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, &p->gs_target))
		err(2, "ARCH_SET_GS");
}

static void work(unsigned int me)
{
	struct part *p = &parts[me];
	struct around around;
	unsigned long n;

	set_up(p, me);
	for (n = 1; n <= hops; n++) {
		note_around(p, &around);
		hop_below(p, kid_of(me + n), next_random(&p->random) % DEPTH);
		compare_around(p, &around);
	}
}

static bool print_faults(void)
{
	bool passed = true;
	unsigned int i, k;

	for (k = 0; k < KINDS; k++) {
		unsigned long faults = 0;

		for (i = 0; i < bench.threads; i++)
			faults += parts[i].faults[k];
		printf("%s %s%s: %lu hops, %lu faults\n", faults ? "not ok" : "ok",
		       kind_names[k], k == VECTOR ? avx ? " (AVX)" : " (SSE)" : "",
		       hops * bench.threads, faults);
		passed &= !faults;
	}
	return passed;
}

static void print_hops(void)
{
	unsigned int i;

	for (i = 0; i < bench.threads; i++)
		printf("# thread %u: %.2f us a hop\n", i,
		       parts[i].ns / 1e3 / hops);
}

/* Which bytes of the registers are compared. */
static size_t bytes_compared(void)
{
	return 12 * 8 + 3 + 2 + 4 + 8 * 10 + 16 * (avx ? 32 : 16);
}

/* Changes each byte of what was stored: compare_registers() must notice. */
static int run_self_test(void)
{
	struct part *p = &parts[0];
	uint8_t *byte = (uint8_t *)&p->out;
	size_t i, found = 0;
	bool passed;

	set_up(p, 0);
	p->number = SYS_getpid;
	hop(p, 0);
	passed = !compare_registers(p);
	for (i = 0; i < sizeof(p->out); i++) {
		byte[i] ^= 0x34;
		found += compare_registers(p) == 1;
		byte[i] ^= 0x34;
	}
	passed &= found == bytes_compared();
	printf("%s self-test: %zu changes of %zu found\n",
	       passed ? "ok" : "not ok", found, bytes_compared());
	return !passed;
}

static void take(int option, const char *value)
{
	switch (option) {
	case 'n':
		hops = bench_number(value, 1, 100000000);
		break;
	case 'd':
		dry = true;
		break;
	case 's':
		self_test = true;
		break;
	}
}

int main(int argc, char **argv)
{
	char what[64];
	uint64_t ns;
	bool passed;

	if (bench_options(argc, argv, "n:ds", take, "{-p KID,... | -d | -s} [-n HOPS]") < argc)
		errx(2, "what is %s?", argv[argc - 1]);
	avx = have_avx();
	if (self_test)
		return run_self_test();
	if (dry == (place_count() > 0))
		errx(2, "either -p KID,... or -d");
	ns = bench_team(bench.threads, work);
	passed = print_faults();
	print_hops();
	if (dry)
		snprintf(what, sizeof(what), "dry run, %lu hops each", hops);
	else
		snprintf(what, sizeof(what), "ring of %u, %lu hops each",
			 place_count(), hops);
	return bench_result(what, passed, ns);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What some kernels have and others do not: calls of other tables than that of 64-bit
 * calls, 32-bit programs, time namespaces, tagged addresses, shadow stacks, AMX. It works
 * as it does at home, or the thread stays at home. Prints TAP.
 *
 *	cases-foreign KID
 */
#define _GNU_SOURCE

#include <elf.h>
#include <fcntl.h>
#include <sched.h>

#include "cases.h"

#define X32_BIT			0x40000000
#define GETPID_32		20
#define ENABLE_TAGGED_ADDR	0x4002
#define ENABLE_SHADOW_STACK	0x5001
#define REQ_XCOMP_PERM		0x1023
#define XFEATURE_TILEDATA	18

/* Has this kernel what a test is about? Says so if not. */
static bool skipped(bool is_there, const char *what)
{
	if (!is_there)
		printf("# this kernel, or its CPU, has no %s\n", what);
	fflush(stdout);
	return !is_there;
}

static bool stays(void)
{
	return !strcmp(where, "-") || (go(atoi(where)) && errno == EOPNOTSUPP);
}

static long int80(long nr)
{
	asm volatile("int $0x80" : "+a" (nr) :: "memory", "r8", "r9", "r10", "r11");
	return nr;
}

static void give_up(int sig)
{
	(void)sig;
	_exit(1);
}

/* The kernel log is not to tell of a signal that nobody handles. */
static bool calls_int80(void)
{
	signal(SIGSEGV, give_up);
	int80(GETPID_32);
	return true;
}

static bool test_int80(void)
{
	int i;

	if (skipped(in_child(calls_int80), "calls of 32-bit programs"))
		return true;
	for (i = 0; i < 3; i++)
		if (!away() || int80(GETPID_32) != getpid())
			return false;
	return home() && int80(GETPID_32) == getpid();
}

/* In the segment that all tasks have. The program is static, and below 4 GiB. */
static long int80_in_32bit_code(long nr)
{
	static struct {
		uint32_t ip;
		uint16_t cs;
	} to = { .cs = 0x23 };

	/* Of the stack pointer 32 bits are left there. */
	asm volatile("mov %%rsp, %%r12\n\tmovl $1f, %1\n\tljmpl *%1\n\t"
		     ".code32\n\t1: int $0x80\n\tljmpl $0x33, $2f\n\t"
		     ".code64\n\t2: mov %%r12, %%rsp"
		     : "+a" (nr), "+m" (to)
		     :: "memory", "r8", "r9", "r10", "r11", "r12");
	return nr;
}

static bool test_int80_in_32bit_code(void)
{
	int i;

	if (skipped(in_child(calls_int80), "calls of 32-bit programs"))
		return true;
	for (i = 0; i < 3; i++)
		if (!away() || int80_in_32bit_code(GETPID_32) != getpid())
			return false;
	return home();
}

/* x32's call, or that there is none: the same everywhere. */
static bool test_x32(void)
{
	long at_home = syscall(SYS_getpid | X32_BIT), there;

	skipped(at_home > 0, "calls of x32");
	if (!away())
		return false;
	there = syscall(SYS_getpid | X32_BIT);
	return there == at_home && home();
}

/* A program of 32 bits: it yields 1000 times and exits with status 7. */
static const unsigned char code[] = {
	0xbe, 0xe8, 0x03, 0x00, 0x00,	/*    mov $1000, %esi */
	0xb8, 0x9e, 0x00, 0x00, 0x00,	/* 1: mov $158, %eax: sched_yield */
	0xcd, 0x80,			/*    int $0x80 */
	0x4e,				/*    dec %esi */
	0x75, 0xf6,			/*    jnz 1b */
	0xb8, 0x01, 0x00, 0x00, 0x00,	/*    mov $1, %eax: exit */
	0xbb, 0x07, 0x00, 0x00, 0x00,	/*    mov $7, %ebx */
	0xcd, 0x80,			/*    int $0x80 */
};

#define ADDRESS	0x10000

static bool write_program(const char *path)
{
	struct {
		Elf32_Ehdr e;
		Elf32_Phdr p;
		unsigned char code[sizeof(code)];
	} file = {
		.e = {
			.e_ident	= { 0x7f, 'E', 'L', 'F', ELFCLASS32,
					    ELFDATA2LSB, EV_CURRENT },
			.e_type		= ET_EXEC,
			.e_machine	= EM_386,
			.e_version	= EV_CURRENT,
			.e_entry	= ADDRESS + sizeof(file.e) + sizeof(file.p),
			.e_phoff	= sizeof(file.e),
			.e_ehsize	= sizeof(file.e),
			.e_phentsize	= sizeof(file.p),
			.e_phnum	= 1,
		},
		.p = {
			.p_type		= PT_LOAD,
			.p_vaddr	= ADDRESS,
			.p_filesz	= sizeof(file),
			.p_memsz	= sizeof(file),
			.p_flags	= PF_R | PF_X,
			.p_align	= PAGE,
		},
	};
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0755);
	bool ok;

	memcpy(file.code, code, sizeof(code));
	ok = fd >= 0 && write(fd, &file, sizeof(file)) == sizeof(file);
	return !close(fd) && ok;
}

/* It is wanted on another kernel and cannot go there: it runs at home. */
static bool test_32bit_program(void)
{
	const char *path = "/tmp/cases-32bit";
	unsigned char kid = atoi(where);
	pid_t child;
	int status;

	if (!write_program(path))
		return false;
	child = fork();
	if (!child) {
		if (strcmp(where, "-") && syscall(NR_MIGRATE + 1, &kid, 1, 0))
			_exit(1);
		execl(path, path, NULL);
		_exit(errno == ENOEXEC ? 99 : 2);
	}
	if (!ends(child, 30, &status))
		return false;
	unlink(path);
	if (skipped(status != 99 << 8, "programs of 32 bits"))
		return true;
	return status == 7 << 8;
}

static bool in_time_namespace(void)
{
	return stays();
}

static bool test_time_namespace(void)
{
	pid_t child = fork();
	int status;

	if (!child) {
		if (skipped(!unshare(CLONE_NEWTIME), "time namespaces"))
			exit(0);
		exit(!in_child(in_time_namespace) || !away() || !home());
	}
	return ends(child, 30, &status) && !status;
}

/* Tags of the upper 6 bits. */
static bool tags_addresses(void)
{
	if (skipped(!syscall(SYS_arch_prctl, ENABLE_TAGGED_ADDR, 6), "tagged addresses"))
		return true;
	return stays();
}

/* The same once the process is shared. */
static bool tags_addresses_away(void)
{
	return away() && tags_addresses() && home();
}

static bool asks_for_amx(void)
{
	if (skipped(!syscall(SYS_arch_prctl, REQ_XCOMP_PERM, XFEATURE_TILEDATA), "AMX"))
		return true;
	return stays();
}

/* Nothing can return to before a shadow stack began. */
static inline __attribute__((always_inline)) void with_shadow_stack(long kid)
{
	long nr = SYS_arch_prctl;

	asm volatile("syscall" : "+a" (nr) : "D" (ENABLE_SHADOW_STACK), "S" (1L)
		     : "rcx", "r11", "memory");
	if (nr)
		_exit(99);
	nr = NR_MIGRATE;
	asm volatile("syscall" : "+a" (nr) : "D" (kid), "S" (0L)
		     : "rcx", "r11", "memory");
	asm volatile("syscall" :: "a" (SYS_exit_group), "D" (nr == -EOPNOTSUPP ? 0L : 1L)
		     : "rcx", "r11", "memory");
}

static bool test_shadow_stack(void)
{
	pid_t child;
	int status;

	if (!strcmp(where, "-"))
		return true;
	child = fork();
	if (!child)
		with_shadow_stack(atoi(where));
	if (!ends(child, 10, &status))
		return false;
	return skipped(status != 99 << 8, "shadow stacks") || !status;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	where = argv[1];
	printf("1..9\n");
	result(test_int80(), "INT 0x80");
	result(test_int80_in_32bit_code(), "INT 0x80 in 32-bit code");
	result(test_x32(), "a call of x32");
	result(test_32bit_program(), "a 32-bit program");
	result(test_time_namespace(), "a time namespace");
	result(in_child(tags_addresses), "tagged addresses");
	result(in_child(tags_addresses_away), "tagged addresses, asked for away");
	result(in_child(asks_for_amx), "AMX");
	result(test_shadow_stack(), "a shadow stack");
	return 0;
}

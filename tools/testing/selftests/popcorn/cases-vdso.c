// SPDX-License-Identifier: GPL-2.0
/*
 * The vDSO and its data are mappings like others, which a program may unmap, move and
 * change. Prints TAP.
 *
 *	cases-vdso KID
 *
 * A kernel shows its own as long as it is where home has it, as home has it. Otherwise all
 * kernels show what there is at home.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sys/auxv.h>

#include "cases.h"

#define MARK	0x5a

/**
 * struct part - a mapping
 * @name:	in /proc/PID/maps
 * @at:		where it is
 * @size:	bytes
 */
struct part {
	const char	*name;
	char		*at;
	size_t		size;
};

static struct part data = { .name = "[vvar]" }, code = { .name = "[vdso]" };

typedef int (*clock_fn)(clockid_t clock, struct timespec *t);

static clock_fn read_clock;

static bool find_part(struct part *part)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start, end;
	char line[256];

	while (!part->at && maps && fgets(line, sizeof(line), maps)) {
		if (!strstr(line, part->name) ||
		    sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		part->at = (char *)start;
		part->size = end - start;
	}
	if (maps)
		fclose(maps);
	return part->at;
}

/* The table of strings comes behind that of symbols. */
static void *find_symbol(const Elf64_Dyn *d, const char *name)
{
	const Elf64_Sym *symbol = NULL;
	const char *strings = NULL;

	for (; d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_SYMTAB)
			symbol = (void *)(code.at + d->d_un.d_ptr);
		if (d->d_tag == DT_STRTAB)
			strings = code.at + d->d_un.d_ptr;
	}
	for (; (char *)symbol < strings; symbol++)
		if (!strcmp(strings + symbol->st_name, name))
			return code.at + symbol->st_value;
	return NULL;
}

static void *find_function(const char *name)
{
	const Elf64_Ehdr *e = (void *)code.at;
	const Elf64_Phdr *p = (void *)(code.at + e->e_phoff);
	int i;

	for (i = 0; i < e->e_phnum; i++)
		if (p[i].p_type == PT_DYNAMIC)
			return find_symbol((void *)(code.at + p[i].p_offset), name);
	return NULL;
}

static bool find_all(void)
{
	if (!find_part(&data) || !find_part(&code))
		return false;
	read_clock = find_function("__vdso_clock_gettime");
	return read_clock;
}

/* The number of the CPU, without a call of any kind */
static unsigned int cpu_here(void)
{
	unsigned int cpu = 0;

	asm volatile("lsl %1, %0" : "=r" (cpu) : "r" (0x7b));
	return cpu & 0xfff;
}

static bool is_after(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec ||
	       (a->tv_sec == b->tv_sec && a->tv_nsec >= b->tv_nsec);
}

/* The vDSO at @fn tells the time, between two system calls. */
static bool tells_time(clock_fn fn)
{
	struct timespec before, now, after;

	return !syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &before) &&
	       !fn(CLOCK_MONOTONIC, &now) &&
	       !syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &after) &&
	       is_after(&now, &before) && is_after(&after, &now);
}

/* It does so where the thread is, which need not go home for it. */
static bool works_at(clock_fn fn)
{
	struct timespec t;
	unsigned int cpu;
	int i;

	if (!away() || !tells_time(fn))
		return false;
	cpu = cpu_here();
	for (i = 0; i < 100; i++)
		if (fn(CLOCK_MONOTONIC, &t) || cpu_here() != cpu)
			return false;
	return true;
}

static bool works(void)
{
	return works_at(read_clock);
}

static sigjmp_buf resume;

static void on_segv(int sig)
{
	siglongjmp(resume, sig);
}

/* Is there nothing that the thread may read, away? */
static bool faults(const volatile char *at)
{
	bool faulted;

	signal(SIGSEGV, on_segv);
	faulted = sigsetjmp(resume, 1);
	if (!faulted && away())
		(void)*at;
	signal(SIGSEGV, SIG_DFL);
	return faulted;
}

static bool both_fault(void)
{
	return faults(code.at) && faults(data.at) &&
	       faults(code.at + code.size - 1) && faults(data.at + data.size - 1);
}

static bool unmap_both(void)
{
	return !munmap(data.at, data.size) && !munmap(code.at, code.size);
}

static bool test_unmapped_before(void)
{
	return unmap_both() && both_fault();
}

static bool test_unmapped(void)
{
	return works() && unmap_both() && both_fault();
}

static bool replace(const struct part *part)
{
	return mmap(part->at, part->size, PROT_READ | PROT_WRITE, MAP_FIXED |
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == part->at;
}

static bool replace_both(void)
{
	return replace(&data) && replace(&code);
}

/* What is written at home is seen away, and the other way round. */
static bool is_shared(volatile char *at)
{
	if (!home() || *at)
		return false;
	*at = 1;
	if (!away() || *at != 1)
		return false;
	*at = 2;
	return home() && *at == 2;
}

static bool test_replaced_before(void)
{
	return replace_both() && is_shared(data.at) && is_shared(code.at);
}

static bool test_replaced(void)
{
	return works() && replace_both() && is_shared(data.at) && is_shared(code.at);
}

static bool move(const struct part *part, char *to)
{
	return mremap(part->at, part->size, part->size, MREMAP_MAYMOVE | MREMAP_FIXED,
		      to) == to;
}

/* move_both: keeping their distance; the clock's address then */
static clock_fn move_both(void)
{
	size_t size = code.at + code.size - data.at;
	char *to = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *to_code = to + (code.at - data.at);

	if (to == MAP_FAILED || !move(&data, to) || !move(&code, to_code))
		return NULL;
	return (clock_fn)(to_code + ((char *)read_clock - code.at));
}

static bool test_moved_before(void)
{
	clock_fn fn = move_both();

	return fn && works_at(fn) && both_fault();
}

static bool test_moved(void)
{
	clock_fn fn = works() ? move_both() : NULL;

	return fn && works_at(fn) && both_fault();
}

static bool protect(const struct part *part, int prot)
{
	return !mprotect(part->at, part->size, prot);
}

static bool test_forbidden(void)
{
	return works() && protect(&code, PROT_NONE) && protect(&data, PROT_NONE) &&
	       both_fault() && protect(&code, PROT_READ | PROT_EXEC) &&
	       protect(&data, PROT_READ) && works();
}

/* The last byte, which nobody executes */
static volatile char *last_byte(void)
{
	return code.at + code.size - 1;
}

static bool is_marked(void)
{
	return home() && *last_byte() == MARK && away() && *last_byte() == MARK &&
	       tells_time(read_clock);
}

static bool write_mark(void)
{
	if (!protect(&code, PROT_READ | PROT_WRITE | PROT_EXEC))
		return false;
	*last_byte() = MARK;
	return protect(&code, PROT_READ | PROT_EXEC);
}

static bool test_written_before(void)
{
	return write_mark() && is_marked();
}

static bool test_written(void)
{
	return works() && *last_byte() != MARK && write_mark() && is_marked();
}

/* As a debugger does, where the program must not write. */
static bool force_mark(void)
{
	const char mark = MARK;
	int fd = open("/proc/self/mem", O_RDWR);
	bool ok = pwrite(fd, &mark, 1, (off_t)last_byte()) == 1;

	close(fd);
	return ok;
}

static bool test_forced_before(void)
{
	return force_mark() && is_marked();
}

static bool test_forced(void)
{
	return works() && force_mark() && is_marked();
}

/* Linux refuses to unmap a part of either: nothing has changed. */
static bool test_failure(void)
{
	return works() && munmap(code.at, PAGE) && munmap(data.at, PAGE) && works();
}

/* A child copies what there is. */
static bool test_fork(void)
{
	pid_t child;
	int status;

	if (!works())
		return false;
	child = fork();
	if (!child)
		_exit(!works() || !unmap_both() || !both_fault());
	return ends(child, HANG_SECONDS, &status) && !status && works();
}

static const struct {
	bool		(*run)(void);
	const char	*name;
} tests[] = {
	{ works, "each kernel has a vDSO of its own" },
	{ test_unmapped_before, "one that was unmapped before is nowhere" },
	{ test_unmapped, "nor is one that is unmapped later" },
	{ test_replaced_before, "what was mapped in its place is everywhere" },
	{ test_replaced, "so is what is mapped there later" },
	{ test_moved_before, "one that was moved is where it was moved to" },
	{ test_moved, "so is one that is moved later" },
	{ test_forbidden, "one that is forbidden is nowhere, until it is allowed again" },
	{ test_written_before, "one that the program had changed is changed" },
	{ test_written, "so is one that it changes later" },
	{ test_forced_before, "and one that a debugger had changed" },
	{ test_forced, "or changes later" },
	{ test_failure, "calls that fail change nothing" },
	{ test_fork, "a child has it as well" },
};

int main(int argc, char **argv)
{
	unsigned int i;

	if (argc != 2)
		return 2;
	where = argv[1];
	if (!find_all()) {
		printf("1..0 # SKIP there is no vDSO\n");
		return 0;
	}
	printf("1..%zu\n", ARRAY_SIZE(tests));
	for (i = 0; i < ARRAY_SIZE(tests); i++)
		result(in_child(tests[i].run), tests[i].name);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The popcorn_kernel= parameter:
 *
 *   popcorn_kernel=<kid>[-<kid>]:cpus=<list>:mem=<size>[@<start>][:name=<text>]
 *
 * One parameter defines one kernel or, with a range of kids, several alike:
 * the list of CPUs is shared out evenly in ascending order, every kernel gets
 * <size> of memory (one after the other from <start>, if there is one), and
 * the kid is appended to the name.
 *
 * A parameter is checked completely before anything of it enters the table,
 * so a wrong one leaves no trace but its message.
 */
#include <linux/bits.h>
#include <linux/ctype.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/overflow.h>
#include <linux/string.h>

#include <popcorn/partition.h>

/* What one parameter says, before it is shared out among its kids. */
struct pcn_spec {
	unsigned int	first, last;
	DECLARE_BITMAP(cpus, PCN_CPU_LIMIT);
	u64		start, size;
	char		name[PCN_NAME_MAX];
};

#define FAULT(fault, ...) \
	(snprintf(fault, PCN_FAULT_MAX, __VA_ARGS__), -EINVAL)

/* A decimal number that ends where its digits end; 0 or -EINVAL. */
static int parse_number(const char **p, unsigned int *value)
{
	unsigned int n = 0;

	if (!isdigit(**p))
		return -EINVAL;
	for (; isdigit(**p); (*p)++)
		if (check_mul_overflow(n, 10U, &n) ||
		    check_add_overflow(n, (unsigned int)(**p - '0'), &n))
			return -EINVAL;
	*value = n;
	return 0;
}

static int parse_kids(const char **p, struct pcn_spec *spec, char *fault)
{
	if (parse_number(p, &spec->first))
		return FAULT(fault, "no kernel number at its start");
	spec->last = spec->first;
	if (**p == '-') {
		(*p)++;
		if (parse_number(p, &spec->last))
			return FAULT(fault, "no kernel number after '-'");
	}
	if (**p && **p != ':')
		return FAULT(fault, "no ':' after the kernel number");
	if (!spec->first)
		return FAULT(fault, "kernel 0 is the primary");
	if (spec->last >= PCN_KERNELS_MAX || spec->first >= PCN_KERNELS_MAX)
		return FAULT(fault, "kernel number above %d", PCN_KERNELS_MAX - 1);
	if (spec->last < spec->first)
		return FAULT(fault, "range of kernels runs backwards");
	return 0;
}

static int parse_cpus(const char *value, struct pcn_spec *spec, char *fault)
{
	int err = bitmap_parselist(value, spec->cpus, PCN_CPU_LIMIT);

	if (err == -ERANGE)
		return FAULT(fault, "cpus=%.32s: CPU number above %d", value,
			     PCN_CPU_LIMIT - 1);
	if (err || !isdigit(*value))
		return FAULT(fault, "cpus=%.32s: not a list of CPUs", value);
	return 0;
}

static int parse_mem(const char *value, struct pcn_spec *spec, char *fault)
{
	char *end;

	if (!isdigit(*value))
		return FAULT(fault, "mem=%.32s: not a size", value);
	spec->size = memparse(value, &end);
	if (*end == '@') {
		value = end + 1;
		if (!isdigit(*value))
			return FAULT(fault, "mem=: nothing usable after '@'");
		spec->start = memparse(value, &end);
	}
	if (*end)
		return FAULT(fault, "mem=: '%.16s' after the size", end);
	return 0;
}

static int parse_name(const char *value, struct pcn_spec *spec, char *fault)
{
	const char *c;

	if (!*value)
		return FAULT(fault, "name= is empty");
	/* Room for the kid of a range at its end. */
	if (strlen(value) > PCN_NAME_MAX - 3)
		return FAULT(fault, "name= is longer than %d characters",
			     PCN_NAME_MAX - 3);
	for (c = value; *c; c++)
		if (!isalnum(*c) && !strchr("_-.", *c))
			return FAULT(fault, "name= has a character other than letters, digits, '_', '-', '.'");
	if (!isalpha(*value))
		return FAULT(fault, "name= does not begin with a letter");
	if (!strcmp(value, "all"))
		return FAULT(fault, "name=all means every kernel");
	strscpy(spec->name, value);
	return 0;
}

static const struct pcn_key {
	const char *key;
	int (*parse)(const char *value, struct pcn_spec *spec, char *fault);
} keys[] = {
	{ "cpus", parse_cpus },
	{ "mem", parse_mem },
	{ "name", parse_name },
};

/* One key=value; @seen has a bit for each key that was met before. */
static int parse_field(char *field, struct pcn_spec *spec,
		       unsigned int *seen, char *fault)
{
	char *value = strchr(field, '=');
	unsigned int i;

	if (!value)
		return FAULT(fault, "'%.32s' is not key=value", field);
	*value++ = '\0';
	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(field, keys[i].key))
			continue;
		if (*seen & BIT(i))
			return FAULT(fault, "%s= twice", keys[i].key);
		*seen |= BIT(i);
		return keys[i].parse(value, spec, fault);
	}
	return FAULT(fault, "unknown key '%.32s'", field);
}

static int parse_spec(const char *arg, struct pcn_spec *spec, char *fault)
{
	unsigned int seen = 0;
	char field[128];
	size_t len;
	int err;

	err = parse_kids(&arg, spec, fault);
	while (!err && *arg == ':') {
		arg++;
		len = strcspn(arg, ":");
		if (len >= sizeof(field))
			return FAULT(fault, "'%.16s...' is too long", arg);
		memcpy(field, arg, len);
		field[len] = '\0';
		arg += len;
		err = parse_field(field, spec, &seen, fault);
	}
	if (err)
		return err;
	if (!(seen & BIT(0)))
		return FAULT(fault, "no cpus=");
	if (!(seen & BIT(1)))
		return FAULT(fault, "no mem=");
	return 0;
}

/* Faults that can be told from one parameter alone. */
static int check_spec(const struct pcn_spec *spec, char *fault)
{
	unsigned int count = spec->last - spec->first + 1;
	unsigned int cpus = bitmap_weight(spec->cpus, PCN_CPU_LIMIT);
	u64 total;

	if (test_bit(0, spec->cpus))
		return FAULT(fault, "CPU 0 stays with the primary");
	if (!cpus || cpus % count)
		return FAULT(fault, "%u CPUs cannot be shared out evenly among %u kernels",
			     cpus, count);
	if (cpus / count > PCN_CPUS_PER_KERNEL)
		return FAULT(fault, "more than %d CPUs for one kernel",
			     PCN_CPUS_PER_KERNEL);
	if (!IS_ALIGNED(spec->size, PCN_MEM_ALIGN))
		return FAULT(fault, "memory size is not a multiple of 2 MiB");
	if (spec->size < PCN_MEM_MIN)
		return FAULT(fault, "memory is too small to boot in (64 MiB at least)");
	if (check_mul_overflow(spec->size, (u64)count, &total))
		return FAULT(fault, "memory size is out of range");
	if (spec->start == PCN_MEM_ANYWHERE)
		return 0;
	if (!IS_ALIGNED(spec->start, PCN_MEM_ALIGN))
		return FAULT(fault, "memory start is not a multiple of 2 MiB");
	if (spec->start < PCN_MEM_LOWEST)
		return FAULT(fault, "memory starts below 16 MiB");
	if (check_add_overflow(spec->start, total, &total))
		return FAULT(fault, "memory range is out of range");
	return 0;
}

/* The share of kid @kid in @spec. */
static void share_out(const struct pcn_spec *spec, unsigned int kid,
		      struct pcn_partition *p)
{
	unsigned int count = spec->last - spec->first + 1;
	unsigned int share = bitmap_weight(spec->cpus, PCN_CPU_LIMIT) / count;
	unsigned int index = kid - spec->first, n = 0, cpu;

	bitmap_zero(p->cpus, PCN_CPU_LIMIT);
	for_each_set_bit(cpu, spec->cpus, PCN_CPU_LIMIT)
		if (n++ / share == index)
			__set_bit(cpu, p->cpus);
	p->size = spec->size;
	p->start = spec->start;
	if (spec->start != PCN_MEM_ANYWHERE)
		p->start += index * spec->size;
	if (!spec->name[0])
		snprintf(p->name, sizeof(p->name), "kernel%u", kid);
	else if (count > 1)
		snprintf(p->name, sizeof(p->name), "%.29s%u", spec->name, kid);
	else
		strscpy(p->name, spec->name);
}

static bool memory_overlaps(const struct pcn_partition *a,
			    const struct pcn_partition *b)
{
	if (a->start == PCN_MEM_ANYWHERE || b->start == PCN_MEM_ANYWHERE)
		return false;
	return a->start < b->start + b->size && b->start < a->start + a->size;
}

/* Faults between the new partition @p and those that are there already. */
static int check_against(const struct pcn_partitions *all, unsigned int kid,
			 const struct pcn_partition *p, char *fault)
{
	unsigned int other;

	if (all->defined & BIT_ULL(kid))
		return FAULT(fault, "kernel %u is defined twice", kid);
	for (other = 1; other < PCN_KERNELS_MAX; other++) {
		const struct pcn_partition *q = &all->kernel[other];

		if (!(all->defined & BIT_ULL(other)))
			continue;
		if (bitmap_intersects(p->cpus, q->cpus, PCN_CPU_LIMIT))
			return FAULT(fault, "it shares a CPU with kernel %u", other);
		if (memory_overlaps(p, q))
			return FAULT(fault, "its memory overlaps that of kernel %u", other);
		if (!strcmp(p->name, q->name))
			return FAULT(fault, "kernel %u has the same name", other);
	}
	return 0;
}

/**
 * pcn_partitions_add - parse one popcorn_kernel= parameter
 * @all:	partitions so far; changed only on success
 * @arg:	the parameter's value
 * @fault:	on error, what is wrong, in words
 *
 * Context: any; pure, no allocation.
 * Return: 0, or -EINVAL with @fault set and @all unchanged.
 */
int pcn_partitions_add(struct pcn_partitions *all, const char *arg,
		       char fault[PCN_FAULT_MAX])
{
	/* Too large for the stack; parameters are parsed one at a time. */
	static struct pcn_partition p;
	struct pcn_spec spec = { .start = PCN_MEM_ANYWHERE };
	unsigned int kid;
	int err;

	err = parse_spec(arg, &spec, fault);
	if (!err)
		err = check_spec(&spec, fault);
	for (kid = spec.first; !err && kid <= spec.last; kid++) {
		share_out(&spec, kid, &p);
		err = check_against(all, kid, &p, fault);
	}
	if (err)
		return err;
	for (kid = spec.first; kid <= spec.last; kid++) {
		share_out(&spec, kid, &all->kernel[kid]);
		all->defined |= BIT_ULL(kid);
	}
	return 0;
}

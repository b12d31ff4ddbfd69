// SPDX-License-Identifier: GPL-2.0
/*
 * Which memory processes have: popcorn_memory=, popcorn_protocol=, and the sysctl
 * kernel.popcorn_coherent.
 *
 * A process may choose when it is executed (popcorn_place()); these are for those that do not.
 * It names its choice to the other kernels. Of the protocols of replicated memory a kernel
 * takes part in processes of its own one alone.
 */
#include <linux/cache.h>
#include <linux/init.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <linux/sysctl.h>

#include <popcorn/hooks.h>
#include <popcorn/proto.h>

/* Pages of a process stay at its home, and have no replicas: see mirror.c. */
const struct pcn_proto pcn_proto_direct = { .name = "direct" };

static const struct pcn_proto *chosen __ro_after_init = &pcn_proto_owner;

static bool may_lend __ro_after_init = true;
static u8 coherent = 1;

static const struct pcn_proto *const protos[PCN_PROTOS] = {
	[PCN_PROTO_OWNER]	= &pcn_proto_owner,
	[PCN_PROTO_VOTE]	= &pcn_proto_vote,
	[PCN_PROTO_DIRECT]	= &pcn_proto_direct,
};

static int __init choose_proto(char *name)
{
	const struct pcn_proto *p = pcn_proto_find(name ? name : "");

	if (p)
		chosen = p;
	else
		pr_warn("popcorn: popcorn_protocol=%s: no such protocol, using %s\n",
			name ? name : "", chosen->name);
	return 0;
}
early_param("popcorn_protocol", choose_proto);

static int __init choose_memory(char *name)
{
	static const char *const kinds[] = { "replicated", "coherent", "isolated" };
	int kind = name ? match_string(kinds, ARRAY_SIZE(kinds), name) : -EINVAL;

	if (kind < 0) {
		pr_err("popcorn: popcorn_memory=%s refused: none of replicated, coherent, isolated\n",
			name ? name : "");
		return 0;
	}
	coherent = kind == 1;
	may_lend = kind != 2;
	return 0;
}
early_param("popcorn_memory", choose_memory);

static struct ctl_table memory_table[] = {
	{
		.procname	= "popcorn_coherent",
		.data		= &coherent,
		.maxlen		= sizeof(coherent),
		.mode		= 0644,
		.proc_handler	= proc_dou8vec_minmax,
		.extra1		= SYSCTL_ZERO,
		.extra2		= SYSCTL_ONE,
	},
};

static int __init memory_sysctl_init(void)
{
	if (pcn_machine_is_shared())
		register_sysctl("kernel", memory_table);
	return 0;
}
device_initcall(memory_sysctl_init);

/**
 * pcn_proto_chosen() - the page coherency protocol of replicated memory
 *
 * Kernels share a process with such memory only if they have chosen the same one.
 *
 * Context: Any context, after early parameters were parsed.
 * Return: The protocol, never NULL.
 */
const struct pcn_proto *pcn_proto_chosen(void)
{
	return chosen;
}

/**
 * pcn_proto_default() - the protocol of a process that has not chosen its memory
 *
 * Context: Any context.
 * Return: The protocol, never NULL.
 */
const struct pcn_proto *pcn_proto_default(void)
{
	return READ_ONCE(coherent) ? &pcn_proto_direct : chosen;
}

/**
 * pcn_proto_may_lend() - may kernels map memory of each other, as far as this one knows?
 *
 * Context: Any context, after early parameters were parsed.
 */
bool pcn_proto_may_lend(void)
{
	return may_lend;
}

/**
 * pcn_proto_of() - the page coherency protocol of a number
 * @number: as another kernel has named it
 *
 * Context: Any context.
 * Return: The protocol, or NULL if there is none.
 */
const struct pcn_proto *pcn_proto_of(unsigned int number)
{
	return number < PCN_PROTOS ? protos[number] : NULL;
}

/**
 * pcn_proto_number() - the number of a page coherency protocol
 * @proto: the protocol
 *
 * Context: Any context.
 * Return: The number, for other kernels.
 */
enum pcn_proto_number pcn_proto_number(const struct pcn_proto *proto)
{
	enum pcn_proto_number number = PCN_PROTO_OWNER;

	while (number < PCN_PROTOS - 1 && protos[number] != proto)
		number++;
	return number;
}

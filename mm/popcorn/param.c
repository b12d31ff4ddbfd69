// SPDX-License-Identifier: GPL-2.0
/*
 * Which page coherency protocol this boot uses: popcorn_protocol=.
 *
 * It is that of the processes that come to be shared here. A process names it to the
 * other kernels, which take no part if theirs is another one.
 */
#include <linux/cache.h>
#include <linux/init.h>
#include <linux/printk.h>

#include <popcorn/proto.h>

static const struct pcn_proto *chosen __ro_after_init = &pcn_proto_owner;

static const struct pcn_proto *const protos[PCN_PROTOS] = {
	[PCN_PROTO_OWNER]	= &pcn_proto_owner,
	[PCN_PROTO_VOTE]	= &pcn_proto_vote,
	[PCN_PROTO_DIRECT]	= &pcn_proto_direct,
};

static int __init choose_proto(char *name)
{
	const struct pcn_proto *p = pcn_proto_find(name ? name : "");

	if (!p) {
		pr_warn("popcorn: popcorn_protocol=%s: no such protocol, using %s\n",
			name ? name : "", chosen->name);
		return 0;
	}
	chosen = p;
	if (p == &pcn_proto_direct)
		pr_warn("popcorn: popcorn_protocol=direct is experimental, see Documentation/popcorn/pages.rst\n");
	return 0;
}
early_param("popcorn_protocol", choose_proto);

/**
 * pcn_proto_chosen() - the page coherency protocol of this boot
 *
 * Kernels share a process only if they have chosen the same one.
 *
 * Context: Any context, after early parameters were parsed.
 * Return: The protocol, never NULL.
 */
const struct pcn_proto *pcn_proto_chosen(void)
{
	return chosen;
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

// SPDX-License-Identifier: GPL-2.0
/* Which page coherency protocol this boot uses: popcorn_protocol=. */
#include <linux/cache.h>
#include <linux/init.h>
#include <linux/printk.h>

#include <popcorn/proto.h>

static const struct pcn_proto *chosen __ro_after_init = &pcn_proto_owner;

static int __init choose_proto(char *name)
{
	const struct pcn_proto *p = pcn_proto_find(name ? name : "");

	if (!p) {
		pr_warn("popcorn: popcorn_protocol=%s: no such protocol, using %s\n",
			name ? name : "", chosen->name);
		return 0;
	}
	chosen = p;
	return 0;
}
early_param("popcorn_protocol", choose_proto);

/**
 * pcn_proto_chosen() - the page coherency protocol of this boot
 *
 * All kernels of a machine must have chosen the same one.
 *
 * Context: Any context, after early parameters were parsed.
 * Return: The protocol, never NULL.
 */
const struct pcn_proto *pcn_proto_chosen(void)
{
	return chosen;
}

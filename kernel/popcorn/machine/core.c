// SPDX-License-Identifier: GPL-2.0
/*
 * The kernels of this machine: on the primary all of them, with what they are
 * reached by; on a secondary itself.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/errno.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/panic.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <asm/popcorn.h>

#include <popcorn/core.h>
#include <popcorn/cpus.h>

#include "internal.h"

static struct pcn_kernel *kernels[PCN_KERNELS_MAX] __ro_after_init;
static struct pcn_window *window __ro_after_init;
static struct pcn_facts facts __ro_after_init;
static u32 generation __ro_after_init = 1;
static void (*layer_doorbell)(void);
static bool (*layer_borrows)(struct mm_struct *mm, unsigned long address, u64 pfn)
	__ro_after_init;

/**
 * pcn_window - the message window
 *
 * Context: any, after subsys_initcall().
 * Return: its address; NULL on a machine that is not shared.
 */
struct pcn_window *pcn_window(void)
{
	return window;
}

/**
 * pcn_facts - what is constant in the head of the window
 *
 * Context: any, after subsys_initcall() of a machine that is shared.
 * Return: a checked copy.
 */
const struct pcn_facts *pcn_facts(void)
{
	return &facts;
}

/**
 * pcn_checks_wanted - is popcorn_check=1 in force on this machine?
 *
 * For code that has to know before there is a window.
 *
 * Context: from setup_arch() on, until the end of initialisation.
 */
bool __init pcn_checks_wanted(void)
{
	return pcn_is_secondary() ? READ_ONCE(pcn_secondary_window()->check) :
				    pcn_arch_window_check();
}

/**
 * pcn_window_check - the table of page checks in the window
 *
 * Context: any, after subsys_initcall().
 * Return: its address; NULL if there is none.
 */
struct pcn_check_table *pcn_window_check(void)
{
	return window && facts.check ? (void *)window + facts.check : NULL;
}

/**
 * pcn_check_abi - what all kernels must have alike to check pages
 *
 * Context: any, after subsys_initcall().
 * Return: 0 if nothing is checked, or this kernel cannot; else a number.
 */
u32 pcn_check_abi(void)
{
	return IS_ENABLED(CONFIG_POPCORN_CHECK) && pcn_window_check() ?
	       PCN_CHECK_SIZE : 0;
}

/**
 * pcn_self - the number of this kernel
 *
 * Context: any.
 * Return: its kid; 0 on a machine that is not shared, too.
 */
unsigned int pcn_self(void)
{
	return pcn_is_secondary() ? pcn_handoff()->kid : 0;
}

/**
 * pcn_life - the number of this kernel's life
 *
 * Context: any, after subsys_initcall().
 * Return: 1 for the first; the primary has only one.
 */
u32 pcn_life(void)
{
	return generation;
}

/**
 * pcn_attach_doorbell - have a function called at each doorbell
 * @fn:	the function; called in hard interrupt context
 *
 * There is one user, which never detaches.
 *
 * Context: any.
 */
void pcn_attach_doorbell(void (*fn)(void))
{
	WRITE_ONCE(layer_doorbell, fn);
}

/**
 * pcn_attach_borrows - have a function say which frames of other kernels a process may map
 * @fn:	what pcn_borrows() is to return
 *
 * There is one user, which never detaches.
 *
 * Context: initcall.
 */
void __init pcn_attach_borrows(bool (*fn)(struct mm_struct *mm, unsigned long address,
					  u64 pfn))
{
	layer_borrows = fn;
}

/**
 * pcn_borrows - may a process map this frame of another kernel at this address?
 * @mm:		its address space
 * @address:	where
 * @pfn:	number of the page frame
 *
 * Context: any, with mmap_lock held.
 */
bool pcn_borrows(struct mm_struct *mm, unsigned long address, u64 pfn)
{
	return layer_borrows && layer_borrows(mm, address, pfn);
}

/**
 * pcn_on_doorbell - another kernel has rung
 *
 * Context: hard interrupt.
 */
void pcn_on_doorbell(void)
{
	void (*fn)(void);

	fn = READ_ONCE(layer_doorbell);
	if (pcn_is_secondary())
		pcn_secondary_doorbell();
	else
		pcn_watchdog_doorbell();
	if (fn)
		fn();
}

/**
 * pcn_kernel_find - the kernel with a number
 * @kid:	its number
 *
 * Context: any; kernels are never removed.
 * Return: the kernel, or NULL.
 */
struct pcn_kernel *pcn_kernel_find(unsigned int kid)
{
	return kid < PCN_KERNELS_MAX ? kernels[kid] : NULL;
}

/**
 * pcn_call_secondaries - call a function for every defined secondary
 * @fn:	the function
 *
 * Context: what @fn needs.
 */
void pcn_call_secondaries(void (*fn)(struct pcn_kernel *k))
{
	unsigned int kid;

	if (pcn_is_secondary())
		return;
	for (kid = 1; kid < PCN_KERNELS_MAX; kid++)
		if (kernels[kid])
			fn(kernels[kid]);
}

static struct pcn_kernel * __init new_kernel(unsigned int kid)
{
	struct pcn_kernel *k = kzalloc(sizeof(*k), GFP_KERNEL);

	if (!k)
		return NULL;
	k->kid = kid;
	k->hung_cpu = -1;
	k->fenced = true;
	mutex_init(&k->op);
	mutex_init(&k->image_lock);
	spin_lock_init(&k->heart_lock);
	init_waitqueue_head(&k->wait);
	return k;
}

/* Name a range of physical memory in /proc/iomem. */
static void __init show_in_iomem(u64 start, u64 size, char *name)
{
	struct resource *res = kzalloc(sizeof(*res), GFP_KERNEL);

	if (!res || !name)
		return;
	*res = DEFINE_RES_NAMED(start, size, name, IORESOURCE_MEM | IORESOURCE_BUSY);
	insert_resource(&iomem_resource, res);
}

/* Fill in what a secondary is reached by. */
static int __init add_secondary(unsigned int kid, const struct pcn_partition *p)
{
	struct pcn_kernel *k = new_kernel(kid);
	unsigned int cpu, i = 0;

	if (!k)
		return -ENOMEM;
	k->part = *p;
	k->nr_cpus = bitmap_weight(p->cpus, PCN_CPU_LIMIT);
	k->apicid = kcalloc(k->nr_cpus, sizeof(*k->apicid), GFP_KERNEL);
	k->heart = kcalloc(k->nr_cpus, sizeof(*k->heart), GFP_KERNEL);
	if (!k->apicid || !k->heart)
		return -ENOMEM;
	for_each_set_bit(cpu, p->cpus, PCN_CPU_LIMIT)
		k->apicid[i++] = pcn_arch_cpu_apicid(cpu);
	k->area = (void *)window + PCN_AREA_OFFSET + kid * PCN_AREA_SIZE;
	kernels[kid] = k;
	show_in_iomem(p->start, p->size,
		      kasprintf(GFP_KERNEL, "Popcorn kernel %u", kid));
	pr_info("kernel %u (%s): CPUs %*pbl, [mem %#llx-%#llx]\n", kid, p->name,
		PCN_CPU_LIMIT, p->cpus, p->start, p->start + p->size - 1);
	return pcn_sysfs_add(k);
}

/* The primary as it sees itself: all CPUs that it has not given away. */
static int __init add_primary(const struct pcn_partitions *all)
{
	struct pcn_kernel *k = new_kernel(0);
	unsigned int kid;

	if (!k)
		return -ENOMEM;
	strscpy(k->part.name, "primary");
	bitmap_set(k->part.cpus, 0, pcn_arch_machine_cpus());
	for_each_kernel(kid, all->defined)
		bitmap_andnot(k->part.cpus, k->part.cpus, all->kernel[kid].cpus,
			      PCN_CPU_LIMIT);
	k->state = PCN_RUNNING;
	kernels[0] = k;
	return pcn_sysfs_add(k);
}

/* All but the data of rings, which nobody reads that was not told to by their heads. */
static void __init clear_window(const struct pcn_window_layout *l)
{
	memset(window, 0, pcn_lane_offset(l, 0, l->kernels));
}

/* How each kernel is reached. */
static void __init publish_apicids(void)
{
	unsigned int kid;

	for (kid = 1; kid < PCN_KERNELS_MAX; kid++)
		if (kernels[kid])
			window->apicid[kid] = kernels[kid]->apicid[0];
	window->apicid[0] = pcn_arch_cpu_apicid(0);
}

static int __init map_window(const struct pcn_partitions *all)
{
	u64 size, start = pcn_arch_window(&size), check = pcn_arch_window_check();
	struct pcn_window_layout layout = pcn_window_fitting_layout(fls64(all->defined),
					hweight64(all->defined) + 1, size - check);

	window = memremap(start, size, MEMREMAP_WB);
	if (!window)
		return -ENOMEM;
	clear_window(&layout);
	memset((void *)window + size - check, 0, check);
	window->magic = PCN_WINDOW_MAGIC;
	window->version = PCN_WINDOW_VERSION;
	window->kernels = layout.areas;
	window->present = all->defined | 1;
	window->size = size;
	window->check = check ? size - check : 0;
	window->primary_apicid = pcn_arch_cpu_apicid(0);
	window->base = layout.base;
	window->pool = layout.pool;
	show_in_iomem(start, size, "Popcorn window");
	return 0;
}

static int __init init_primary(const struct pcn_partitions *all)
{
	unsigned int kid;
	int err;

	err = map_window(all);
	if (!err)
		err = pcn_arch_init_primary();
	if (!err)
		err = add_primary(all);
	for (kid = 1; !err && kid < PCN_KERNELS_MAX; kid++)
		if (all->defined & BIT_ULL(kid))
			err = add_secondary(kid, &all->kernel[kid]);
	if (err)
		return err;
	publish_apicids();
	pcn_memory_publish(window, all);
	/* Nobody else runs yet: this is what was written just now. */
	if (WARN_ON_ONCE(!pcn_facts_copy(&facts, window, window->size)) ||
	    WARN_ON_ONCE(!pcn_memory_learn(window)))
		return -EINVAL;
	pcn_cpus_init();
	pcn_roster_init();
	pcn_clock_publish(window);
	pcn_hook_shutdown();
	return pcn_watchdog_start();
}

/* A secondary as it sees itself. */
static int __init init_self(const struct pcn_handoff *h)
{
	struct pcn_kernel *k = new_kernel(h->kid);
	unsigned int i;

	if (!k)
		return -ENOMEM;
	strscpy(k->part.name, h->name);
	k->part.start = h->boot_area;
	k->part.size = h->mem_size;
	for (i = 0; i < h->cpus; i++)
		if (h->cpu[i] < PCN_CPU_LIMIT)
			__set_bit(h->cpu[i], k->part.cpus);
	k->generation = h->generation;
	k->state = PCN_RUNNING;
	generation = h->generation;
	if (!pcn_facts_copy(&facts, pcn_secondary_window(), h->window_size) ||
	    !(facts.present & BIT_ULL(h->kid)) ||
	    !pcn_memory_learn(pcn_secondary_window()))
		panic("the head of the message window is not valid");
	window = pcn_secondary_window();
	kernels[h->kid] = k;
	pcn_cpus_init();
	return pcn_sysfs_add(k);
}

static int __init pcn_init(void)
{
	const struct pcn_partitions *all = pcn_arch_partitions();
	int err;

	if (!pcn_machine_is_shared())
		return 0;
	err = pcn_sysfs_init();
	if (!err)
		err = pcn_is_secondary() ? init_self(pcn_handoff()) :
					   init_primary(all);
	if (err)
		pr_err("cannot set up the kernels of this machine: %d\n", err);
	return err;
}
subsys_initcall(pcn_init);

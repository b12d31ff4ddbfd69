// SPDX-License-Identifier: GPL-2.0
/*
 * Starting and parking the CPUs of other kernels: INIT, SIPI, doorbell.
 *
 * Only the primary sends INIT and SIPI. A CPU of a secondary is in one of
 * three places:
 *
 *   parked	it waits for SIPI, or halts in the trampoline page with
 *		interrupts off. It touches nothing but that page.
 *   waiting	in the second stage of the trampoline, in its partition
 *   running	in its kernel
 *
 * Parking works wherever the CPU is and whatever it does, also with interrupts
 * off: INIT is not maskable (unless VMX or SVM blocks it, which is why
 * secondaries run without them). That the INIT has arrived cannot be seen, but
 * that the SIPI after it has: the CPU copies a cookie. Only then may its
 * memory be used again. A CPU that comes too late finds that the page is meant
 * for another one by now, and halts.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <kunit/static_stub.h>
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/preempt.h>

#include <asm/apic.h>
#include <asm/hw_irq.h>
#include <asm/popcorn.h>
#include <asm/processor.h>
#include <asm/processor-flags.h>

#include <popcorn/core.h>
#include <popcorn/kernel.h>

#include "arch.h"

/*
 * Time for a CPU to come through the trampoline, ms. It takes microseconds;
 * this is for virtual machines whose CPUs do not get to run.
 */
#define ARRIVE_MS	2000

/* Tables for the first stage: at most 5 levels twice, the top in common. */
#define TABLE_ORDER	4

/* Head of the trampoline page: see trampoline.S. */
struct pcn_trampoline {
	u8	jump[8];
	u32	command;
	u32	ack;
	u32	cookie;
	u32	index;
	u32	target;
	u32	pad;
	u64	entry;
	u32	cr3;
	u32	cr4;
	u64	efer;
	u32	far32;
	u16	far32_selector[2];
	u32	far64;
	u16	far64_selector[2];
	u16	gdt_limit;
	u32	gdt_base;
	u16	gdt_pad;
	u64	idt;
	u64	gdt[4] __aligned(16);
} __packed __aligned(16);

/* The trampoline page serves one CPU at a time. */
static DEFINE_MUTEX(pcn_launch_mutex);

/* The page through the direct map, which has all RAM below 1 MiB. */
static struct pcn_trampoline *trampoline_page(void)
{
	return __va(pcn_trampoline_page);
}

static void send_ipi(u32 apicid, u32 what)
{
	unsigned long flags;

	/*
	 * The ICR of an x2APIC is an MSR, and writing it waits for no store: what the
	 * other CPU is to see has to be out before.
	 */
	if (x2apic_mode)
		weak_wrmsr_fence();
	/* Nothing may come between "idle" and the two writes of an xAPIC. */
	local_irq_save(flags);
	apic_wait_icr_idle();
	apic_icr_write(what, apicid);
	local_irq_restore(flags);
}

/**
 * pcn_arch_doorbell - interrupt a CPU of another kernel
 * @apicid:	its physical APIC id
 *
 * Its X86_PLATFORM_IPI_VECTOR is raised. As for Linux's own IPIs, who sends the next one waits
 * until this one is out: each access to a local APIC that has no x2APIC costs a virtual
 * machine an exit.
 *
 * Context: any.
 */
void pcn_arch_doorbell(u32 apicid)
{
	KUNIT_STATIC_STUB_REDIRECT(pcn_arch_doorbell, apicid);
	send_ipi(apicid, APIC_DM_FIXED | X86_PLATFORM_IPI_VECTOR);
}

/* What follows is timed from when it is out. The ICR is the CPU's own. */
static void send_and_wait(u32 apicid, u32 what)
{
	preempt_disable();
	send_ipi(apicid, what);
	apic_wait_icr_idle();
	preempt_enable();
}

static void send_init(u32 apicid)
{
	send_and_wait(apicid, APIC_INT_LEVELTRIG | APIC_INT_ASSERT | APIC_DM_INIT);
	udelay(10);
	send_and_wait(apicid, APIC_INT_LEVELTRIG | APIC_DM_INIT);
}

/*
 * INIT, then SIPI into the trampoline page. The second SIPI is for CPUs that
 * lose the first, and ignored by a CPU that does not wait for one.
 */
static void send_init_sipi(u32 apicid)
{
	u32 sipi = APIC_DM_STARTUP | (pcn_trampoline_page >> PAGE_SHIFT);

	send_init(apicid);
	send_and_wait(apicid, sipi);
	udelay(200);
	send_and_wait(apicid, sipi);
}

/* Has *@word become @value within ARRIVE_MS? */
static bool word_becomes(const u32 *word, u32 value)
{
	ktime_t limit = ktime_add_ms(ktime_get(), ARRIVE_MS);

	while (READ_ONCE(*word) != value) {
		if (ktime_after(ktime_get(), limit))
			return READ_ONCE(*word) == value;
		usleep_range(20, 100);
	}
	return true;
}

/* Park one CPU, wherever it is. */
static int park_cpu(u32 apicid)
{
	struct pcn_trampoline *t = trampoline_page();

	lockdep_assert_held(&pcn_launch_mutex);
	t->command = PCN_TRAMPOLINE_PARK;
	t->target = apicid;
	t->cookie++;
	/* The CPU reads these after its SIPI, which is a serialising event. */
	wmb();
	send_init_sipi(apicid);
	if (!word_becomes(&t->ack, t->cookie))
		return -EIO;
	send_init(apicid);
	return 0;
}

static int park_all(struct pcn_kernel *k)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < k->nr_cpus; i++) {
		if (!park_cpu(k->apicid[i]))
			continue;
		pr_err("kernel %u (%s): the CPU with APIC id %#x does not answer\n",
		       k->kid, k->part.name, k->apicid[i]);
		err = -EIO;
	}
	return err;
}

/**
 * pcn_arch_fence - park all CPUs of a kernel
 * @k:	the kernel, running or not
 *
 * Afterwards nothing of that kernel runs any more, for certain.
 *
 * Context: process, @k->op held.
 * Return: 0, or -EIO when a CPU has not confirmed: its memory must not be
 * used.
 */
int pcn_arch_fence(struct pcn_kernel *k)
{
	int err;

	mutex_lock(&pcn_launch_mutex);
	err = park_all(k);
	mutex_unlock(&pcn_launch_mutex);
	return err;
}

/**
 * pcn_arch_stop_cpus - send INIT to all CPUs of a kernel and wait for nothing
 * @k:	the kernel
 *
 * For a primary that is itself crashing.
 *
 * Context: any, interrupts off.
 */
void pcn_arch_stop_cpus(struct pcn_kernel *k)
{
	unsigned int i;

	for (i = 0; i < k->nr_cpus; i++)
		send_init(k->apicid[i]);
}

/* Page tables that take a CPU from the trampoline page into the partition. */
static int make_tables(struct pcn_kernel *k, struct page **pages)
{
	struct pcn_table_pool pool = { .count = 1 << TABLE_ORDER };
	int err;

	/* CR3 is loaded in 32-bit mode. */
	*pages = alloc_pages(GFP_KERNEL | GFP_DMA32, TABLE_ORDER);
	if (!*pages)
		return -ENOMEM;
	pool.virt = page_address(*pages);
	pool.phys = page_to_phys(*pages);
	err = pcn_identity_map(&pool, 0, PMD_SIZE);
	if (!err)
		err = pcn_identity_map(&pool, k->part.start, PCN_BOOT_SIZE);
	return err;
}

static void set_trampoline(struct pcn_kernel *k, u64 tables)
{
	struct pcn_trampoline *t = trampoline_page();
	u32 base = pcn_trampoline_page;

	t->command = PCN_TRAMPOLINE_START;
	t->entry = k->part.start + PCN_BOOT_CODE;
	t->cr3 = tables;
	t->cr4 = X86_CR4_PAE | (pgtable_l5_enabled() ? X86_CR4_LA57 : 0);
	t->efer = EFER_LME | (boot_cpu_has(X86_FEATURE_NX) ? EFER_NX : 0);
	t->far32 = base + (pcn_trampoline_32 - pcn_trampoline);
	t->far64 = base + (pcn_trampoline_64 - pcn_trampoline);
	t->gdt_base = base + offsetof(struct pcn_trampoline, gdt);
}

/* Bring all CPUs of @k to their mailboxes. */
static int gather_cpus(struct pcn_kernel *k, void *area)
{
	struct pcn_mailbox *mailbox = area + PCN_BOOT_MAILBOX;
	struct pcn_trampoline *t = trampoline_page();
	unsigned int i;

	lockdep_assert_held(&pcn_launch_mutex);
	for (i = 0; i < k->nr_cpus; i++) {
		t->index = i;
		t->target = k->apicid[i];
		wmb();	/* as in park_cpu() */
		send_init_sipi(k->apicid[i]);
		if (word_becomes(&mailbox[i].state, PCN_MAILBOX_WAITING))
			continue;
		pr_err("kernel %u (%s): the CPU with APIC id %#x does not start\n",
		       k->kid, k->part.name, k->apicid[i]);
		return -EIO;
	}
	return 0;
}

/* All CPUs into their mailboxes. */
static int bring_to_mailboxes(struct pcn_kernel *k, void *area)
{
	struct page *pages;
	int err, parked = 0;

	mutex_lock(&pcn_launch_mutex);
	err = make_tables(k, &pages);
	if (!err) {
		set_trampoline(k, page_to_phys(pages));
		err = gather_cpus(k, area);
		if (err)
			parked = park_all(k);
	}
	/* A CPU of which nothing is known may still come and use the tables. */
	if (pages && !parked)
		__free_pages(pages, TABLE_ORDER);
	mutex_unlock(&pcn_launch_mutex);
	return err;
}

/* All CPUs into their mailboxes, then the boot CPU into the kernel. */
static int launch_kernel(struct pcn_kernel *k, void *area, u64 entry, u64 params)
{
	struct pcn_mailbox *mailbox = area + PCN_BOOT_MAILBOX;
	int err;

	err = bring_to_mailboxes(k, area);
	if (err)
		return err;
	mailbox[0].arg = params;
	/* The waiting CPU reads the argument when it has seen the entry. */
	smp_store_release(&mailbox[0].entry, entry);
	return 0;
}

/**
 * pcn_arch_start - start the loaded image
 * @k:	the kernel; its CPUs are parked, its image was checked
 *
 * Returns as soon as the boot CPU has been sent into the kernel.
 *
 * Context: process, @k->op held.
 * Return: 0; -ENOMEM; -ENOSPC; -EIO a CPU did not come through the
 * trampoline (all are parked again).
 */
int pcn_arch_start(struct pcn_kernel *k)
{
	void *area = memremap(k->part.start, PCN_BOOT_SIZE, MEMREMAP_WB);
	u64 entry, params;
	int err;

	if (!area)
		return -ENOMEM;
	err = pcn_boot_image_copy(k, area, &entry, &params);
	if (!err)
		err = launch_kernel(k, area, entry, params);
	memunmap(area);
	return err;
}

/**
 * pcn_arch_init_primary - make the trampoline page ready
 *
 * Context: initcall.
 * Return: 0, or -EBUSY when the doorbell's vector is in use.
 */
int __init pcn_arch_init_primary(void)
{
	BUILD_BUG_ON(offsetof(struct pcn_trampoline, gdt) != 96);
	if (x86_platform_ipi_callback)
		return -EBUSY;
	memcpy(trampoline_page(), pcn_trampoline, pcn_trampoline_end - pcn_trampoline);
	x86_platform_ipi_callback = pcn_on_doorbell;
	return 0;
}

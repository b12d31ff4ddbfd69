/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What upstream files call. Every hook has a stub here that vanishes when
 * Popcorn is not configured; the logic is in files of Popcorn's own.
 */
#ifndef _POPCORN_HOOKS_H
#define _POPCORN_HOOKS_H

#include <linux/types.h>

struct clocksource;
struct kimage;

#ifdef CONFIG_POPCORN

extern bool pcn_shared_machine;
extern bool pcn_secondary;

/**
 * pcn_machine_is_shared - do other kernels run on CPUs of this machine?
 *
 * True on a secondary, and on a primary that gives CPUs away: no broadcast
 * interrupts, and no kernel is alone although it may have a single CPU.
 *
 * Context: any; constant after setup_arch().
 */
static inline bool pcn_machine_is_shared(void)
{
	return pcn_shared_machine;
}

/**
 * pcn_is_secondary - is this kernel a secondary?
 *
 * Context: any; constant from x86_early_init_platform_quirks() on.
 */
static inline bool pcn_is_secondary(void)
{
	return pcn_secondary;
}

void pcn_secondary_early_init(void);
bool pcn_reject_apic(u32 apic_id, u32 acpi_id, bool present);
struct clocksource *pcn_default_clock(void);
unsigned long pcn_kexec_flags(unsigned long flags);
bool pcn_kexec_unload(unsigned long flags, int *ret);
int pcn_kexec_load(struct kimage *image, unsigned long flags);
int pcn_kexec_result(int ret);

#else /* !CONFIG_POPCORN */

static inline bool pcn_machine_is_shared(void) { return false; }
static inline bool pcn_is_secondary(void) { return false; }
static inline void pcn_secondary_early_init(void) { }
static inline bool pcn_reject_apic(u32 apic_id, u32 acpi_id, bool present)
{
	return false;
}

static inline struct clocksource *pcn_default_clock(void) { return NULL; }
static inline unsigned long pcn_kexec_flags(unsigned long flags) { return 0; }
static inline bool pcn_kexec_unload(unsigned long flags, int *ret)
{
	return false;
}

static inline int pcn_kexec_load(struct kimage *image, unsigned long flags)
{
	return 0;
}

static inline int pcn_kexec_result(int ret) { return ret; }

#endif /* CONFIG_POPCORN */
#endif /* _POPCORN_HOOKS_H */

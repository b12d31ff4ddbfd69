// SPDX-License-Identifier: GPL-2.0
/*
 * The layout of what kernels of different builds share, written down once more
 * in numbers. A change here is a change of PCN_WINDOW_VERSION or
 * PCN_HANDOFF_VERSION.
 *
 * And the one place where the constant part of the window's head is read.
 */
#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/ctype.h>
#include <linux/mm.h>
#include <linux/stddef.h>
#include <linux/string.h>

#include <asm/popcorn.h>

#include <popcorn/window.h>

#include "internal.h"

static_assert(offsetof(struct pcn_window, magic) == 0);
static_assert(offsetof(struct pcn_window, version) == 8);
static_assert(offsetof(struct pcn_window, kernels) == 12);
static_assert(offsetof(struct pcn_window, size) == 16);
static_assert(offsetof(struct pcn_window, primary_apicid) == 24);
static_assert(offsetof(struct pcn_window, base) == 28);
static_assert(offsetof(struct pcn_window, present) == 32);
static_assert(offsetof(struct pcn_window, check) == 40);
static_assert(offsetof(struct pcn_window, pool) == 48);
static_assert(offsetof(struct pcn_window, clock) == 64);
static_assert(offsetof(struct pcn_window, attention) == 0x100);
static_assert(offsetof(struct pcn_window, roster_seq) == 0x200);
static_assert(offsetof(struct pcn_window, roster) == 0x240);
static_assert(offsetof(struct pcn_window, apicid) == 0x440);
static_assert(offsetof(struct pcn_window, owner) == 0x540);
static_assert(offsetof(struct pcn_window, memory) == 0x940);
static_assert(offsetof(struct pcn_window, ram) == 0xd40);
static_assert(offsetof(struct pcn_window, maps) == 0x1140);
static_assert(sizeof(struct pcn_window) == 0x1340);
static_assert(sizeof(struct pcn_window) <= PCN_AREA_OFFSET);

static_assert(offsetof(struct pcn_endpoint, abi) == 8);
static_assert(offsetof(struct pcn_endpoint, bell) == 64);
static_assert(offsetof(struct pcn_endpoint, link_calls) == 320);
static_assert(sizeof(struct pcn_endpoint) == PCN_ENDPOINT_SIZE);
static_assert(PCN_BELL_CALLERS == PCN_KERNELS_MAX);
static_assert(offsetof(struct pcn_lane, to_pair) == 64);
static_assert(offsetof(struct pcn_lane, ring) == 128);
static_assert(sizeof(struct pcn_lane) == PCN_LANE_SIZE);
static_assert(PCN_BASE_LEAST % PCN_BASE_ALIGN == 0 && PCN_BASE_ALIGN % PCN_RING_ALIGN == 0);
static_assert(PCN_BLOCK_SIZE % PAGE_SIZE == 0);

static_assert(offsetof(struct pcn_clock, mult) == 8);
static_assert(offsetof(struct pcn_clock, cycles) == 16);
static_assert(offsetof(struct pcn_clock, mono) == 24);
static_assert(offsetof(struct pcn_clock, mono_ns) == 32);
static_assert(offsetof(struct pcn_clock, real_offset) == 40);
static_assert(sizeof(struct pcn_clock) == 48);

static_assert(offsetof(struct pcn_control, stops) == 4);
static_assert(offsetof(struct pcn_control, stage) == 0x40);
static_assert(offsetof(struct pcn_control, end) == 0x44);
static_assert(offsetof(struct pcn_control, release) == 0x80);
static_assert(offsetof(struct pcn_control, reason) == 0xc8);
static_assert(offsetof(struct pcn_control, beat) == 0x200);
static_assert(sizeof(struct pcn_control) == 0xa00);

static_assert(offsetof(struct pcn_area, log.head) == 0x1000);
static_assert(offsetof(struct pcn_area, log.text) == 0x1040);
static_assert(sizeof(struct pcn_area) == PCN_AREA_SIZE);

static_assert(offsetof(struct pcn_handoff, kid) == 16);
static_assert(offsetof(struct pcn_handoff, flags) == 24);
static_assert(offsetof(struct pcn_handoff, boot_area) == 32);
static_assert(offsetof(struct pcn_handoff, window) == 48);
static_assert(offsetof(struct pcn_handoff, lapic) == 64);
static_assert(offsetof(struct pcn_handoff, tsc_khz) == 72);
static_assert(offsetof(struct pcn_handoff, name) == 88);
static_assert(offsetof(struct pcn_handoff, apicid) == 120);
static_assert(offsetof(struct pcn_handoff, cpu) == 1144);
static_assert(sizeof(struct pcn_handoff) == 2168);

/* Room for an area each is not enough: bases and pools of any size must fit, too. */
static bool window_layout_is_sane(const struct pcn_facts *f)
{
	const struct pcn_window_layout *l = &f->layout;

	if (!l->areas || l->areas > PCN_KERNELS_MAX ||
	    fls64(f->present) > l->areas || !(f->present & 1))
		return false;
	if (l->base > PCN_BASE_MAX || l->base % PCN_BASE_ALIGN)
		return false;
	return pcn_window_layout_size(l) <= f->size;
}

static bool check_is_sane(const struct pcn_facts *f)
{
	return !f->check || (f->check % sizeof(u64) == 0 &&
			     f->check >= pcn_window_layout_size(&f->layout) &&
			     f->check <= f->size &&
			     f->size - f->check >= PCN_CHECK_SIZE);
}

/**
 * pcn_facts_copy - copy the constant part of the window's head, and check it
 * @f:		receives the copy
 * @w:		the window
 * @size:	bytes of it that are mapped
 *
 * Context: any.
 * Return: false if what is there cannot be: @f is not to be used.
 */
bool pcn_facts_copy(struct pcn_facts *f, const struct pcn_window *w, u64 size)
{
	unsigned int i;

	*f = (struct pcn_facts) {
		.layout.areas = READ_ONCE(w->kernels),
		.layout.base = READ_ONCE(w->base),
		.layout.pool = READ_ONCE(w->pool),
		.present = READ_ONCE(w->present),
		.size = READ_ONCE(w->size),
		.check = READ_ONCE(w->check),
		.primary_apicid = READ_ONCE(w->primary_apicid),
	};
	f->layout.kernels = hweight64(f->present);
	for (i = 0; i < PCN_KERNELS_MAX; i++)
		f->apicid[i] = READ_ONCE(w->apicid[i]);
	return f->size <= size && window_layout_is_sane(f) && check_is_sane(f);
}

/**
 * pcn_copy_text - copy a text that another kernel has written
 * @to:		receives it, terminated, with "?" for what cannot be printed
 * @from:	@size bytes in the window
 * @size:	bytes of both
 *
 * Context: any.
 */
void pcn_copy_text(char *to, const char *from, size_t size)
{
	size_t i;

	memcpy(to, from, size);
	to[size - 1] = '\0';
	for (i = 0; to[i]; i++)
		if (!isascii(to[i]) || !isprint(to[i]))
			to[i] = '?';
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The layout of what kernels of different builds share, written down once more
 * in numbers. A change here is a change of PCN_WINDOW_VERSION or
 * PCN_HANDOFF_VERSION.
 */
#include <linux/build_bug.h>
#include <linux/mm.h>
#include <linux/stddef.h>

#include <asm/popcorn.h>

#include <popcorn/window.h>

static_assert(offsetof(struct pcn_window, magic) == 0);
static_assert(offsetof(struct pcn_window, version) == 8);
static_assert(offsetof(struct pcn_window, kernels) == 12);
static_assert(offsetof(struct pcn_window, size) == 16);
static_assert(offsetof(struct pcn_window, primary_apicid) == 24);
static_assert(offsetof(struct pcn_window, ring_order) == 28);
static_assert(offsetof(struct pcn_window, present) == 32);
static_assert(offsetof(struct pcn_window, check) == 40);
static_assert(offsetof(struct pcn_window, clock) == 64);
static_assert(offsetof(struct pcn_window, attention) == 0x100);
static_assert(offsetof(struct pcn_window, roster_seq) == 0x200);
static_assert(offsetof(struct pcn_window, roster) == 0x240);
static_assert(offsetof(struct pcn_window, apicid) == 0x440);
static_assert(offsetof(struct pcn_window, owner) == 0x540);
static_assert(sizeof(struct pcn_window) <= PCN_AREA_OFFSET);

static_assert(offsetof(struct pcn_endpoint, abi) == 8);
static_assert(offsetof(struct pcn_endpoint, group) == 64);
static_assert(sizeof(struct pcn_endpoint) == 192);
static_assert(sizeof(struct pcn_endpoint) <= PCN_ENDPOINT_SIZE);
static_assert(offsetof(struct pcn_lane, to_pair) == 64);
static_assert(sizeof(struct pcn_lane) <= PCN_LANE_HEAD);
static_assert(sizeof(struct pcn_ring_shared) <= PCN_RING_HEAD);

static_assert(offsetof(struct pcn_clock, mult) == 8);
static_assert(offsetof(struct pcn_clock, cycles) == 16);
static_assert(offsetof(struct pcn_clock, mono) == 24);
static_assert(offsetof(struct pcn_clock, mono_ns) == 32);
static_assert(offsetof(struct pcn_clock, real_offset) == 40);
static_assert(sizeof(struct pcn_clock) == 48);

static_assert(offsetof(struct pcn_control, request) == 4);
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

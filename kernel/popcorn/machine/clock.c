// SPDX-License-Identifier: GPL-2.0
/*
 * One time on all kernels.
 *
 * All CPUs of the machine have one TSC. The primary publishes in the window
 * how it makes CLOCK_MONOTONIC and CLOCK_REALTIME of it, at every update of
 * its timekeeper. A secondary starts its own clocks from there, and follows:
 * it runs them at the rate that the primary has (NTP's correction included)
 * plus a little to take back what difference there is. CLOCK_REALTIME alone
 * may be set, so that is done in one step when the primary has done it.
 */
#include <linux/clocksource.h>
#include <linux/clocksource_ids.h>
#include <linux/init.h>
#include <linux/math64.h>
#include <linux/pvclock_gtod.h>
#include <linux/sched/clock.h>
#include <linux/timekeeper_internal.h>
#include <linux/timekeeping.h>
#include <linux/timex.h>
#include <linux/workqueue.h>

#include <asm/popcorn.h>
#include <asm/tsc.h>

#include "internal.h"

/* No clocksource is shifted by more: its mult has 32 bits. */
#define SHIFT_MAX	32
/* How often a secondary looks, ms, and in how many ns it takes back 1 ns. */
#define FOLLOW_MS	500
#define SLEW_NS		(4LL * NSEC_PER_SEC)
/* Slewing is bounded as adjtimex(2) bounds it: 10 % either way, in ppb. */
#define RATE_MAX	(100LL * 1000 * 1000)
/* One microsecond per tick of 10 ms, in ppb. */
#define PPB_PER_TICK	(100LL * 1000)
/* CLOCK_REALTIME is set when it is off by more than slewing explains, ns. */
#define STEP_NS		(100LL * NSEC_PER_USEC)

/* --- the primary: publish --- */

static struct pcn_clock *published __ro_after_init;
static u32 published_seq;
static bool is_tsc;

/* Called by the timekeeper, under its lock: no two at a time. */
static int clock_publish_steps(struct notifier_block *nb, unsigned long was_set,
			       void *priv)
{
	const struct timekeeper *tk = priv;
	const struct tk_read_base *mono = &tk->tkr_mono;
	struct pcn_clock *c = published;
	bool tsc = mono->clock->id == CSID_X86_TSC;

	/* Odd while the fields change. */
	WRITE_ONCE(c->seq, ++published_seq);
	smp_wmb();	/* pairs with the second smp_rmb() in read_clock() */
	c->shift = mono->shift;
	c->mult = tsc ? mono->mult : 0;
	c->mult_nominal = mono->clock->mult;
	c->cycles = mono->cycle_last;
	c->mono = mono->xtime_nsec;
	c->mono_ns = mono->base;
	c->real_offset = tk->offs_real;
	smp_wmb();	/* pairs with the first smp_rmb() in read_clock() */
	WRITE_ONCE(c->seq, ++published_seq);
	WRITE_ONCE(is_tsc, tsc);
	return NOTIFY_OK;
}

static struct notifier_block publisher = { .notifier_call = clock_publish_steps };

/**
 * pcn_clock_publish - publish this kernel's clock from now on
 * @window:	the window, mapped
 *
 * Context: initcall of the primary.
 */
void __init pcn_clock_publish(struct pcn_window *window)
{
	published = &window->clock;
	pvclock_gtod_register_notifier(&publisher);
}

/**
 * pcn_clock_is_tsc - does the primary run on the TSC?
 *
 * Context: any, on the primary.
 * Return: true if secondaries can follow its clock.
 */
bool pcn_clock_is_tsc(void)
{
	return READ_ONCE(is_tsc);
}

/* --- a secondary: start from there and follow --- */

static const struct pcn_clock *followed __ro_after_init;

/* TSC for which read_persistent_wall_and_boot_offset() has given the time. */
static u64 start_tsc __ro_after_init;

/*
 * A consistent copy of the primary's clock. The primary writes with interrupts
 * off and takes nanoseconds; if it does not come to an end it has died there,
 * and *c is not valid. Nor is it if no clock can be like that.
 */
static bool read_clock(const struct pcn_clock *from, struct pcn_clock *c)
{
	unsigned int tries = 1000 * 1000;
	u32 seq;

	do {
		if (!tries--)
			return false;
		cpu_relax();
		seq = READ_ONCE(from->seq);
		smp_rmb();	/* clock_publish_steps(): its second smp_wmb() */
		*c = *from;
		smp_rmb();	/* clock_publish_steps(): its first smp_wmb() */
	} while ((seq & 1) || seq != READ_ONCE(from->seq));
	/* Divided and shifted by. */
	return c->mult_nominal && c->shift <= SHIFT_MAX;
}

/* CLOCK_MONOTONIC of the primary at TSC value @tsc, ns. */
static u64 mono_at(const struct pcn_clock *c, u64 tsc)
{
	return c->mono_ns + mul_u64_u32_shr(tsc - c->cycles, c->mult, c->shift) +
	       (c->mono >> c->shift);
}

/**
 * read_persistent_wall_and_boot_offset - where the clocks start
 * @wall:	receives CLOCK_REALTIME
 * @boot:	receives CLOCK_MONOTONIC
 *
 * The primary starts as it does without Popcorn; this replaces a weak
 * function. A secondary takes over the time of the primary.
 *
 * Context: timekeeping_init(), interrupts off.
 */
void __init read_persistent_wall_and_boot_offset(struct timespec64 *wall,
						 struct timespec64 *boot)
{
	struct pcn_clock c;
	u64 mono;

	if (!pcn_is_secondary()) {
		read_persistent_clock64(wall);
		*boot = ns_to_timespec64(local_clock());
		return;
	}
	if (!read_clock(&pcn_secondary_window()->clock, &c))
		panic("cannot read the clock of the primary");
	start_tsc = rdtsc_ordered();
	mono = mono_at(&c, start_tsc);
	*boot = ns_to_timespec64(mono);
	*wall = ns_to_timespec64(mono + c.real_offset);
}

static u64 read_tsc(struct clocksource *cs)
{
	return rdtsc_ordered();
}

/* The first time: the clocks start at what they were given for @start_tsc. */
static u64 read_start(struct clocksource *cs)
{
	cs->read = read_tsc;
	return start_tsc;
}

/*
 * The clock of a secondary, from the first: without a PIT there is no tick yet
 * that would make jiffies a clock. And to the last, hence the rating above the
 * TSC's usual one: with every change of clock some time is lost, and a virtual
 * CPU that has to wait just then loses milliseconds.
 */
static struct clocksource secondary_tsc = {
	.name		= "popcorn-tsc",
	.rating		= 400,
	.read		= read_start,
	.mask		= CLOCKSOURCE_MASK(64),
	.flags		= CLOCK_SOURCE_IS_CONTINUOUS |
			  CLOCK_SOURCE_VALID_FOR_HRES,
	.vdso_clock_mode = VDSO_CLOCKMODE_TSC,
};

/**
 * pcn_default_clock - the clock that timekeeping starts with
 *
 * Context: timekeeping_init(), and once more when clocksources are finished.
 * Return: a clock, or NULL for the usual one.
 */
struct clocksource *__init pcn_default_clock(void)
{
	if (!pcn_is_secondary())
		return NULL;
	if (!secondary_tsc.mult)
		clocksource_register_khz(&secondary_tsc, pcn_handoff()->tsc_khz);
	return &secondary_tsc;
}

/*
 * By how many ns the primary is ahead, of several looks the one that was
 * disturbed least.
 */
static s64 primary_is_ahead(const struct pcn_clock *c)
{
	u64 before, after, own, shortest = U64_MAX;
	unsigned long flags;
	s64 ahead = 0;
	int i;

	for (i = 0; i < 5; i++) {
		local_irq_save(flags);
		before = rdtsc_ordered();
		own = ktime_get_ns();
		after = rdtsc_ordered();
		local_irq_restore(flags);
		if (after - before >= shortest)
			continue;
		shortest = after - before;
		ahead = mono_at(c, before + shortest / 2) - own;
	}
	return ahead;
}

/* Let the clocks run at 1 + @rate / 10^9 of the TSC's nominal rate. */
static void set_rate(s64 rate)
{
	struct __kernel_timex tx = { .modes = ADJ_TICK | ADJ_FREQUENCY };
	s64 ticks;

	rate = clamp(rate, -RATE_MAX, RATE_MAX);
	ticks = div_s64(rate, PPB_PER_TICK);
	rate -= ticks * PPB_PER_TICK;
	tx.tick = USEC_PER_SEC / USER_HZ + ticks;
	/* adjtimex(2): parts per million with 16 bits of fraction. */
	tx.freq = div_s64(rate << 16, 1000);
	do_adjtimex(&tx);
}

static void step_realtime(s64 by)
{
	struct __kernel_timex tx = { .modes = ADJ_SETOFFSET | ADJ_NANO };
	s32 rest;

	tx.time.tv_sec = div_s64_rem(by, NSEC_PER_SEC, &rest);
	if (rest < 0) {
		tx.time.tv_sec--;
		rest += NSEC_PER_SEC;
	}
	tx.time.tv_usec = rest;
	do_adjtimex(&tx);
}

static void clock_follow_steps(struct work_struct *work)
{
	struct pcn_clock c;
	s64 ahead, rate, set;

	/* Without its mult it is not on its TSC any more: nothing to follow. */
	if (read_clock(followed, &c) && c.mult) {
		ahead = primary_is_ahead(&c);
		rate = div_s64(((s64)c.mult - c.mult_nominal) * NSEC_PER_SEC,
			       c.mult_nominal);
		rate += div64_s64(ahead * NSEC_PER_SEC, SLEW_NS);
		set_rate(rate);
		set = c.real_offset - ktime_to_ns(ktime_mono_to_real(0));
		if (abs(set) > STEP_NS)
			step_realtime(set);
	}
	schedule_delayed_work(to_delayed_work(work), msecs_to_jiffies(FOLLOW_MS));
}

static DECLARE_DELAYED_WORK(follow_work, clock_follow_steps);

/**
 * pcn_clock_follow - follow the primary's clock from now on
 * @window:	the window, mapped
 *
 * Context: initcall of a secondary.
 */
void __init pcn_clock_follow(const struct pcn_window *window)
{
	followed = &window->clock;
	schedule_delayed_work(&follow_work, 0);
}

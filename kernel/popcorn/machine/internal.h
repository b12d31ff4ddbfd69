/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the files of kernel/popcorn/machine.
 *
 * Locks, outermost first:
 *
 *   pcn_kernel.op	one operation (load, start, stop, kill, restart, end)
 *			on a kernel at a time; held while it sleeps
 *   pcn_launch_mutex	the trampoline page serves one CPU at a time
 *			(arch/x86/kernel/popcorn/launch.c)
 *   pcn_kernel.image_lock	image against its readers
 *   pcn_images_mutex	the list of shared file contents (image.c)
 *   roster_lock (roster.c)	a spinlock: the roster, and the kernels that may enter
 *   pcn_kernel.heart_lock	a spinlock: what the watchdog knows of the hearts of
 *			one life, against the beginning of the next
 */
#ifndef _KERNEL_POPCORN_MACHINE_INTERNAL_H
#define _KERNEL_POPCORN_MACHINE_INTERNAL_H

#include <linux/types.h>

#include <popcorn/hooks.h>
#include <popcorn/kernel.h>
#include <popcorn/partition.h>
#include <popcorn/window.h>

/** PCN_ENDING_MS - what a kernel that ends may need to stop all of its CPUs */
#define PCN_ENDING_MS	5000

/* core.c */
struct pcn_kernel *pcn_kernel_find(unsigned int kid);
void pcn_call_secondaries(void (*fn)(struct pcn_kernel *k));

/* life.c */
extern unsigned int pcn_hang_ms;
const char *pcn_kernel_state_name(enum pcn_kernel_state state);
int pcn_kernel_op_begin(struct pcn_kernel *k);
void pcn_kernel_op_end(struct pcn_kernel *k);
void pcn_kernel_set_state(struct pcn_kernel *k, enum pcn_kernel_state state);
bool pcn_kernel_has_ended(const struct pcn_kernel *k);
void pcn_kernel_collect_end(struct pcn_kernel *k);
int pcn_kernel_start(struct pcn_kernel *k);
unsigned long pcn_kernel_stop_limit(void);
int pcn_kernel_stop(struct pcn_kernel *k);
int pcn_kernel_stop_within(struct pcn_kernel *k, unsigned long limit);
int pcn_kernel_kill(struct pcn_kernel *k);
int pcn_kernel_restart(struct pcn_kernel *k);
void pcn_kernel_ask_to_stop(struct pcn_kernel *k);

/* shutdown.c */
void pcn_hook_shutdown(void);

/* image.c */
void pcn_image_drop(struct pcn_image *image);
const char *pcn_image_version(const struct pcn_image *image, size_t *length);

/* log.c */
void pcn_log_write(struct pcn_log *log, const char *text, size_t count);
ssize_t pcn_log_read(const struct pcn_log *log, char *to, loff_t offset,
		     size_t count);
void pcn_log_register_console(struct pcn_log *log);
void pcn_log_move(struct pcn_log *log);

/* memory.c */
void pcn_memory_add_ram(struct pcn_extent ram[PCN_RAM_RANGES], u64 start, u64 size);
bool pcn_memory_copy(struct pcn_memory *m, const struct pcn_window *w,
		     const struct pcn_extent *window, u64 end);
bool pcn_memory_has(const struct pcn_memory *m, unsigned int kid, u64 pfn);
void pcn_memory_publish(struct pcn_window *w, const struct pcn_partitions *all);
bool pcn_memory_learn(const struct pcn_window *w);

/* window.c */
bool pcn_facts_copy(struct pcn_facts *f, const struct pcn_window *w, u64 size);
void pcn_copy_text(char *to, const char *from, size_t size);

/* roster.c */
void pcn_roster_init(void);
void pcn_roster_expect(struct pcn_kernel *k);
void pcn_roster_look(struct pcn_kernel *k);
void pcn_roster_remove(struct pcn_kernel *k);

/* mappers.c */
u64 pcn_mappers_of(unsigned int kid);
void pcn_mapper_forget(unsigned int kid);

/* watchdog.c */
int pcn_watchdog_start(void);
void pcn_watchdog_doorbell(void);
void pcn_watchdog_kick(void);
void pcn_watchdog_forget(struct pcn_kernel *k);

/* sysfs.c */
int pcn_sysfs_init(void);
int pcn_sysfs_add(struct pcn_kernel *k);

/* clock.c */
void pcn_clock_publish(struct pcn_window *window);
bool pcn_clock_is_tsc(void);
void pcn_clock_follow(const struct pcn_window *window);

/* control_block.c */
void pcn_secondary_doorbell(void);
struct pcn_window *pcn_secondary_window(void);

#endif /* _KERNEL_POPCORN_MACHINE_INTERNAL_H */

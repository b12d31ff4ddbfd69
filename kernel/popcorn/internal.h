/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the files of kernel/popcorn and arch/x86/kernel/popcorn.
 *
 * Locks, outermost first:
 *
 *   pcn_kernel.op	one operation (load, start, stop, kill, restart, end)
 *			on a kernel at a time; held while it sleeps
 *   pcn_launch_mutex	the trampoline page serves one CPU at a time
 *			(arch/x86/kernel/popcorn/launch.c)
 *   pcn_kernel.image_lock	image against those who only look at it
 *   pcn_images_mutex	the list of shared file contents (image.c)
 *   roster_lock (roster.c)	a spinlock: the roster, and who may enter it
 *   pcn_kernel.heart_lock	a spinlock: what the watch thread knows of the hearts
 *			of one life, against the beginning of the next
 */
#ifndef _KERNEL_POPCORN_INTERNAL_H
#define _KERNEL_POPCORN_INTERNAL_H

#include <linux/kobject.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

#include <popcorn/hooks.h>
#include <popcorn/partition.h>
#include <popcorn/window.h>

/** enum pcn_kernel_state - life cycle of a secondary, as the primary sees it */
enum pcn_kernel_state {
	PCN_OFFLINE,	/* nothing loaded, its CPUs are parked */
	PCN_LOADED,	/* an image is there, its CPUs are parked */
	PCN_BOOTING,	/* started, its init does not run yet */
	PCN_RUNNING,
	PCN_STOPPING,	/* asked to power off */
	PCN_FAILED,	/* panicked, hung or did not boot; @reason says more */
	PCN_STATE_MAX,
};

/**
 * struct pcn_blob - contents of a file, shared by kernels that load the same
 * @node:	in the list of all blobs; pcn_images_mutex
 * @users:	images that refer to it; pcn_images_mutex
 * @data:	vmalloc()ed contents, never changed
 * @size:	bytes
 * @vmlinux:	the architecture's, if it is a kernel: what a start copies
 *		instead; may be NULL; set under the kexec lock by the load
 *		that made the blob, constant when a kernel has it
 */
struct pcn_blob {
	struct list_head	node;
	unsigned int		users;
	void			*data;
	size_t			size;
	struct pcn_vmlinux	*vmlinux;
};

/**
 * struct pcn_image - what a kernel is started from
 * @kernel:	the bzImage, verified
 * @initrd:	the initrd, or NULL
 * @cmdline:	command line of the user, without Popcorn's own parameters
 */
struct pcn_image {
	struct pcn_blob	*kernel;
	struct pcn_blob	*initrd;
	char		*cmdline;
};

/** PCN_ENDING_MS - what a kernel that ends may need to stop all of its CPUs */
#define PCN_ENDING_MS	5000

/**
 * struct pcn_heart - what the primary remembers of one CPU's beats
 * @beat:	the last value seen
 * @missed_ms:	for how long it has not changed
 */
struct pcn_heart {
	u64		beat;
	unsigned int	missed_ms;
};

/**
 * struct pcn_kernel - a kernel of this machine
 * @kobj:	its directory in sysfs
 * @kid:	its number
 * @part:	what it owns; constant
 * @nr_cpus:	number of its CPUs
 * @apicid:	their physical APIC ids, in the order of their numbers
 * @op:		held by the operation that is under way
 * @image_lock:	see @image
 * @state:	written with @op held, read anywhere
 * @kill:	a kill is waiting for @op: whoever holds it gives up
 * @reason:	why the last life ended; @op
 * @image:	what is loaded; written with @op and @image_lock held, read with
 *		either
 * @preloaded:	@image is in the partition as it is to be started; @op
 * @generation:	number of lives so far; @op
 * @boot_us:	microseconds that the last start took; @op
 * @fenced:	false after its CPUs did not confirm that they are parked; @op
 * @area:	its area of the window; NULL for the kernel that runs this code
 * @heart_lock:	protects @heart, @ending_ms and the writing of @hung_cpu
 * @heart:	one per CPU
 * @ending_ms:	for how long it has been about to end
 * @hung_cpu:	the watch thread found this CPU hung; -1 otherwise
 * @hung_ms:	for how long it had been silent; valid once @hung_cpu is set
 * @may_check_in: a life is under way that the roster may name; roster_lock
 * @wait:	woken when something may have changed in @area
 */
struct pcn_kernel {
	struct kobject		kobj;
	unsigned int		kid;
	struct pcn_partition	part;
	unsigned int		nr_cpus;
	u32			*apicid;

	struct mutex		op;
	struct mutex		image_lock;
	enum pcn_kernel_state		state;
	atomic_t		kill;
	char			reason[PCN_REASON_MAX + 32];
	struct pcn_image	image;
	bool			preloaded;
	unsigned int		generation;
	u64			boot_us;
	bool			fenced;

	struct pcn_area		*area;
	spinlock_t		heart_lock;
	struct pcn_heart	*heart;
	unsigned int		ending_ms;
	int			hung_cpu;
	unsigned int		hung_ms;
	bool			may_check_in;
	wait_queue_head_t	wait;
};

/* core.c */
void pcn_on_doorbell(void);
struct pcn_kernel *pcn_find_kernel(unsigned int kid);
void pcn_call_for_secondaries(void (*fn)(struct pcn_kernel *k));

/* life.c */
extern unsigned int pcn_hang_ms;
const char *pcn_kernel_state_name(enum pcn_kernel_state state);
int pcn_op_begin(struct pcn_kernel *k);
void pcn_op_end(struct pcn_kernel *k);
void pcn_set_state(struct pcn_kernel *k, enum pcn_kernel_state state);
bool pcn_has_ended(const struct pcn_kernel *k);
void pcn_collect(struct pcn_kernel *k);
int pcn_start(struct pcn_kernel *k);
unsigned long pcn_stop_limit(void);
int pcn_stop(struct pcn_kernel *k);
int pcn_stop_within(struct pcn_kernel *k, unsigned long limit);
int pcn_kill(struct pcn_kernel *k);
int pcn_restart(struct pcn_kernel *k);
void pcn_ask_to_stop(struct pcn_kernel *k);

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

/* window.c */
bool pcn_facts_copy(struct pcn_facts *f, const struct pcn_window *w, u64 size);
void pcn_copy_text(char *to, const char *from, size_t size);

/* roster.c */
void pcn_roster_init(void);
void pcn_roster_expect(struct pcn_kernel *k);
void pcn_roster_look(struct pcn_kernel *k);
void pcn_roster_remove(struct pcn_kernel *k);

/* watch.c */
int pcn_watch_start(void);
void pcn_watch_doorbell(void);
void pcn_watch_kick(void);
void pcn_watch_forget(struct pcn_kernel *k);

/* sysfs.c */
int pcn_sysfs_init(void);
int pcn_sysfs_add(struct pcn_kernel *k);

/* clock.c */
void pcn_clock_publish(struct pcn_window *window);
bool pcn_clock_is_tsc(void);
void pcn_clock_follow(const struct pcn_window *window);

/* secondary.c */
void pcn_secondary_doorbell(void);
struct pcn_window *pcn_secondary_window(void);

#endif /* _KERNEL_POPCORN_INTERNAL_H */

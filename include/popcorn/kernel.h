/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernels of this machine, as the primary has them: what each owns, what it is
 * started from, and how it is. For the files of the machine layer, which are in
 * kernel/popcorn/machine and arch/x86/kernel/popcorn.
 */
#ifndef _POPCORN_KERNEL_H
#define _POPCORN_KERNEL_H

#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

#include <popcorn/partition.h>
#include <popcorn/window.h>

struct pcn_vmlinux;

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
 * @kill:	a kill is waiting for @op: its holder gives up
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

void pcn_on_doorbell(void);

#endif /* _POPCORN_KERNEL_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/popcorn: one attribute per fact. See
 * Documentation/popcorn/sysfs.rst.
 */
#include <linux/capability.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/ioport.h>
#include <linux/kobject.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/utsname.h>

#include <asm/popcorn.h>

#include <popcorn/core.h>

#include "internal.h"

static struct kobject *pcn_kobj, *kernels_kobj;

/**
 * pcn_kobject - /sys/kernel/popcorn
 *
 * Context: any, after subsys_initcall().
 * Return: the directory; NULL on a machine that is not shared.
 */
struct kobject *pcn_kobject(void)
{
	return pcn_kobj;
}

static struct pcn_kernel *to_kernel(struct kobject *kobj)
{
	return container_of(kobj, struct pcn_kernel, kobj);
}

/* The kernel that shows this attribute: no area, no image, just facts. */
static bool is_self(const struct pcn_kernel *k)
{
	return !k->area;
}

static ssize_t name_show(struct kobject *kobj, struct kobj_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%s\n", to_kernel(kobj)->part.name);
}
static struct kobj_attribute name_attr = __ATTR_RO(name);

static ssize_t state_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%s\n",
			  pcn_kernel_state_name(READ_ONCE(to_kernel(kobj)->state)));
}

static const struct {
	const char *word;
	int (*run)(struct pcn_kernel *k);
} operations[] = {
	{ "start", pcn_kernel_start },
	{ "stop", pcn_kernel_stop },
	{ "restart", pcn_kernel_restart },
};

static int operate_kernel(struct pcn_kernel *k, const char *word)
{
	unsigned int i;
	int err;

	if (sysfs_streq(word, "kill"))
		return pcn_kernel_kill(k);
	for (i = 0; i < ARRAY_SIZE(operations); i++) {
		if (!sysfs_streq(word, operations[i].word))
			continue;
		err = pcn_kernel_op_begin(k);
		if (err)
			return err;
		pcn_kernel_collect_end(k);
		err = operations[i].run(k);
		pcn_kernel_op_end(k);
		return err;
	}
	return -EINVAL;
}

static ssize_t state_store(struct kobject *kobj, struct kobj_attribute *attr,
			   const char *buf, size_t count)
{
	struct pcn_kernel *k = to_kernel(kobj);
	int err;

	/* The mode of the file does not keep out a root without it. */
	if (!capable(CAP_SYS_BOOT))
		return -EPERM;
	if (is_self(k))
		return -EOPNOTSUPP;
	err = operate_kernel(k, buf);
	return err ?: count;
}
static struct kobj_attribute state_attr = __ATTR_RW_MODE(state, 0644);

static ssize_t reason_show(struct kobject *kobj, struct kobj_attribute *attr,
			   char *buf)
{
	struct pcn_kernel *k = to_kernel(kobj);
	char reason[sizeof(k->reason)];

	/* Written with @op held, which a start holds for long: copy as it is. */
	memcpy(reason, k->reason, sizeof(reason));
	reason[sizeof(reason) - 1] = '\0';
	return sysfs_emit(buf, "%s\n", reason);
}
static struct kobj_attribute reason_attr = __ATTR_RO(reason);

static ssize_t cpus_show(struct kobject *kobj, struct kobj_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%*pbl\n", PCN_CPU_LIMIT,
			  to_kernel(kobj)->part.cpus);
}
static struct kobj_attribute cpus_attr = __ATTR_RO(cpus);

struct ram_walk {
	char	*buf;
	int	at;
};

static int show_ram(struct resource *res, void *arg)
{
	struct ram_walk *walk = arg;

	walk->at += sysfs_emit_at(walk->buf, walk->at, "%#llx-%#llx\n",
				  (u64)res->start, (u64)res->end);
	return 0;
}

static ssize_t memory_show(struct kobject *kobj, struct kobj_attribute *attr,
			   char *buf)
{
	struct pcn_kernel *k = to_kernel(kobj);
	struct ram_walk walk = { .buf = buf };

	if (k->kid)
		return sysfs_emit(buf, "%#llx-%#llx\n", k->part.start,
				  k->part.start + k->part.size - 1);
	walk_system_ram_res(0, U64_MAX, &walk, show_ram);
	return walk.at;
}
static struct kobj_attribute memory_attr = __ATTR_RO(memory);

static ssize_t release_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	struct pcn_kernel *k = to_kernel(kobj);
	char release[PCN_RELEASE_MAX];

	if (is_self(k))
		return sysfs_emit(buf, "%s\n", init_utsname()->release);
	pcn_copy_text(release, k->area->control.release, sizeof(release));
	return sysfs_emit(buf, "%s\n", release);
}
static struct kobj_attribute release_attr = __ATTR_RO(release);

/* What depends on the image: it may be exchanged while nobody operates. */
static ssize_t version_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	struct pcn_kernel *k = to_kernel(kobj);
	size_t length = 0;
	const char *text;
	ssize_t ret;

	mutex_lock(&k->image_lock);
	text = pcn_image_version(&k->image, &length);
	ret = sysfs_emit(buf, "%.*s\n", (int)min_t(size_t, length, 256), text);
	mutex_unlock(&k->image_lock);
	return ret;
}
static struct kobj_attribute version_attr = __ATTR_RO(version);

static ssize_t cmdline_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	struct pcn_kernel *k = to_kernel(kobj);
	ssize_t ret;

	mutex_lock(&k->image_lock);
	ret = sysfs_emit(buf, "%s\n", k->image.cmdline ?: "");
	mutex_unlock(&k->image_lock);
	return ret;
}
static struct kobj_attribute cmdline_attr = __ATTR_RO(cmdline);

static ssize_t starts_show(struct kobject *kobj, struct kobj_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(to_kernel(kobj)->generation));
}
static struct kobj_attribute starts_attr = __ATTR_RO(starts);

static ssize_t boot_us_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%llu\n", READ_ONCE(to_kernel(kobj)->boot_us));
}
static struct kobj_attribute boot_us_attr = __ATTR_RO(boot_us);

static ssize_t log_read(struct file *file, struct kobject *kobj,
			struct bin_attribute *attr, char *buf, loff_t offset,
			size_t count)
{
	struct pcn_kernel *k = to_kernel(kobj);

	if (is_self(k))
		return -EOPNOTSUPP;
	return pcn_log_read(&k->area->log, buf, offset, count);
}
static struct bin_attribute log_attr = __BIN_ATTR(log, 0400, log_read, NULL, 0);

static struct attribute *kernel_attrs[] = {
	&name_attr.attr,
	&state_attr.attr,
	&reason_attr.attr,
	&cpus_attr.attr,
	&memory_attr.attr,
	&release_attr.attr,
	&version_attr.attr,
	&cmdline_attr.attr,
	&starts_attr.attr,
	&boot_us_attr.attr,
	NULL
};

static struct bin_attribute *kernel_bin_attrs[] = {
	&log_attr,
	NULL
};

static const struct attribute_group kernel_group = {
	.attrs		= kernel_attrs,
	.bin_attrs	= kernel_bin_attrs,
};

static const struct attribute_group *kernel_groups[] = {
	&kernel_group,
	NULL
};

/* Kernels are defined at boot and stay: nothing is ever released. */
static void kernel_release(struct kobject *kobj)
{
}

static const struct kobj_type kernel_ktype = {
	.sysfs_ops	= &kobj_sysfs_ops,
	.default_groups	= kernel_groups,
	.release	= kernel_release,
};

/**
 * pcn_sysfs_add - make a kernel's directory
 * @k:	the kernel
 *
 * Context: initcall.
 * Return: 0 or an error of kobject_init_and_add().
 */
int __init pcn_sysfs_add(struct pcn_kernel *k)
{
	return kobject_init_and_add(&k->kobj, &kernel_ktype, kernels_kobj,
				    "%u", k->kid);
}

static ssize_t self_show(struct kobject *kobj, struct kobj_attribute *attr,
			 char *buf)
{
	const struct pcn_handoff *handoff = pcn_handoff();

	return sysfs_emit(buf, "%u\n", handoff ? handoff->kid : 0);
}
static struct kobj_attribute self_attr = __ATTR_RO(self);

static ssize_t window_show(struct kobject *kobj, struct kobj_attribute *attr,
			   char *buf)
{
	u64 size, start = pcn_arch_window(&size);

	return sysfs_emit(buf, "%#llx-%#llx\n", start, start + size - 1);
}
static struct kobj_attribute window_attr = __ATTR_RO(window);

static struct attribute *popcorn_attrs[] = {
	&self_attr.attr,
	&window_attr.attr,
	NULL
};
ATTRIBUTE_GROUPS(popcorn);

/**
 * pcn_sysfs_init - make /sys/kernel/popcorn
 *
 * Context: initcall.
 * Return: 0 or -ENOMEM.
 */
int __init pcn_sysfs_init(void)
{
	pcn_kobj = kobject_create_and_add("popcorn", kernel_kobj);
	if (!pcn_kobj)
		return -ENOMEM;
	kernels_kobj = kobject_create_and_add("kernels", pcn_kobj);
	if (!kernels_kobj)
		return -ENOMEM;
	return sysfs_create_groups(pcn_kobj, popcorn_groups);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Images: what kexec_file_load(2) brings for a secondary.
 *
 * The system call reads and verifies the files as it does for itself, with
 * the same checks of capability, lockdown, signature and load limit. Where it
 * would lay out segments for a kexec, pcn_kexec_load() takes the buffers over
 * instead. They stay in this kernel's memory, since every start copies them
 * afresh; kernels that load the same contents share them.
 */
#include <linux/cleanup.h>
#include <linux/errno.h>
#include <linux/kexec.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <uapi/linux/popcorn.h>

#include <asm/bootparam.h>
#include <asm/popcorn.h>

#include "internal.h"

/* What kimage_file_prepare_segments() returns when there is nothing left to do. */
#define TAKEN_OVER	1

static LIST_HEAD(blobs);
static DEFINE_MUTEX(pcn_images_mutex);

/* A reference to a blob with these contents, which are consumed. */
static struct pcn_blob *blob_get(void *data, size_t size)
{
	struct pcn_blob *blob;

	guard(mutex)(&pcn_images_mutex);
	list_for_each_entry(blob, &blobs, node) {
		if (blob->size == size && !memcmp(blob->data, data, size)) {
			vfree(data);
			blob->users++;
			return blob;
		}
	}
	blob = kmalloc(sizeof(*blob), GFP_KERNEL);
	if (!blob) {
		vfree(data);
		return NULL;
	}
	*blob = (struct pcn_blob) { .users = 1, .data = data, .size = size };
	list_add(&blob->node, &blobs);
	return blob;
}

static void blob_put(struct pcn_blob *blob)
{
	guard(mutex)(&pcn_images_mutex);
	if (!blob || --blob->users)
		return;
	list_del(&blob->node);
	pcn_arch_forget(blob);
	vfree(blob->data);
	kfree(blob);
}

/**
 * pcn_image_drop - forget an image
 * @image:	empty afterwards
 *
 * Context: process, the kernel's op held if it is a kernel's.
 */
void pcn_image_drop(struct pcn_image *image)
{
	blob_put(image->kernel);
	blob_put(image->initrd);
	kfree(image->cmdline);
	*image = (struct pcn_image) { };
}

/**
 * pcn_image_version - the version that a bzImage says it has
 * @image:	an image
 * @length:	receives the length of the text
 *
 * Context: process, the kernel's op held.
 * Return: the text, which is not terminated; NULL if there is none.
 */
const char *pcn_image_version(const struct pcn_image *image, size_t *length)
{
	const struct setup_header *hdr;
	size_t offset;

	if (!image->kernel)
		return NULL;
	hdr = image->kernel->data + offsetof(struct boot_params, hdr);
	offset = hdr->kernel_version + 0x200;	/* boot.rst, "kernel_version" */
	if (!hdr->kernel_version || offset >= image->kernel->size)
		return NULL;
	*length = strnlen(image->kernel->data + offset,
			  image->kernel->size - offset);
	return image->kernel->data + offset;
}

static bool for_popcorn(unsigned long flags)
{
	return flags & KEXEC_FILE_POPCORN;
}

static unsigned int kid_of(unsigned long flags)
{
	return KEXEC_FILE_POPCORN_KID(flags);
}

/**
 * pcn_kexec_flags - the flags that kexec_file_load(2) takes for Popcorn
 * @flags:	what the caller gave
 *
 * Context: any.
 * Return: Popcorn's flags if they are asked for, and not together with the
 * crash kernel, which is another thing; otherwise 0.
 */
unsigned long pcn_kexec_flags(unsigned long flags)
{
	if (!for_popcorn(flags) || flags & KEXEC_FILE_ON_CRASH)
		return 0;
	return KEXEC_FILE_POPCORN | KEXEC_FILE_POPCORN_KID_MASK;
}

/* The kernel that @flags mean, with its operation begun; or an error. */
static struct pcn_kernel *image_begin(unsigned long flags)
{
	struct pcn_kernel *k;
	int err;

	if (pcn_is_secondary() || !kid_of(flags))
		return ERR_PTR(-EOPNOTSUPP);
	k = pcn_kernel_find(kid_of(flags));
	if (!k)
		return ERR_PTR(-ENODEV);
	err = pcn_kernel_op_begin(k);
	if (err)
		return ERR_PTR(err);
	pcn_kernel_collect_end(k);
	if (k->state != PCN_RUNNING)
		return k;
	pcn_kernel_op_end(k);
	return ERR_PTR(-EALREADY);
}

/* Let @k have @image from now on, or nothing if that is empty. */
static void image_exchange(struct pcn_kernel *k, struct pcn_image *image)
{
	mutex_lock(&k->image_lock);
	pcn_image_drop(&k->image);
	k->image = *image;
	mutex_unlock(&k->image_lock);
	k->preloaded = false;
	/* With a CPU at large it stays failed: a start tries to park it. */
	if (!k->fenced)
		return;
	/* A start waits until nobody else maps the memory, and copies it then. */
	if (image->kernel && !pcn_mappers_of(k->kid))
		pcn_arch_preload(k);
	pcn_kernel_set_state(k, image->kernel ? PCN_LOADED : PCN_OFFLINE);
}

/**
 * pcn_kexec_unload - unload a secondary's image
 * @flags:	the system call's
 * @ret:	receives its result
 *
 * Context: process, kexec lock held.
 * Return: false if this call is none of Popcorn's.
 */
bool pcn_kexec_unload(unsigned long flags, int *ret)
{
	struct pcn_image none = { };
	struct pcn_kernel *k;

	if (!for_popcorn(flags) || !(flags & KEXEC_FILE_UNLOAD))
		return false;
	k = image_begin(flags);
	*ret = PTR_ERR_OR_ZERO(k);
	if (*ret)
		return true;
	if (k->image.kernel)
		image_exchange(k, &none);
	else
		*ret = -ENODATA;
	pcn_kernel_op_end(k);
	return true;
}

/* Move what @kimage has read into @image. */
static int take_over(struct kimage *kimage, struct pcn_image *image)
{
	const char *cmdline = kimage->cmdline_buf ?: "";

	image->kernel = blob_get(kimage->kernel_buf, kimage->kernel_buf_len);
	kimage->kernel_buf = NULL;
	if (kimage->initrd_buf) {
		image->initrd = blob_get(kimage->initrd_buf,
					 kimage->initrd_buf_len);
		kimage->initrd_buf = NULL;
		if (!image->initrd)
			return -ENOMEM;
	}
	image->cmdline = kstrdup(cmdline, GFP_KERNEL);
	return image->kernel && image->cmdline ? 0 : -ENOMEM;
}

/**
 * pcn_kexec_load - load an image for a secondary
 * @kimage:	with the files read, probed and verified
 * @flags:	the system call's
 *
 * Context: process, kexec lock held.
 * Return: 0 if this call is none of Popcorn's; a positive value when the
 * image is loaded, see pcn_kexec_result(); a negative error otherwise, and
 * nothing has changed.
 */
int pcn_kexec_load(struct kimage *kimage, unsigned long flags)
{
	struct pcn_image image = { };
	struct pcn_kernel *k;
	int err;

	if (!for_popcorn(flags))
		return 0;
	k = image_begin(flags);
	if (IS_ERR(k))
		return PTR_ERR(k);
	err = take_over(kimage, &image);
	if (!err)
		err = pcn_arch_check_image(k, &image);
	if (err) {
		pcn_image_drop(&image);
	} else {
		pcn_arch_unpack(image.kernel);
		image_exchange(k, &image);
	}
	pcn_kernel_op_end(k);
	return err ?: TAKEN_OVER;
}

/**
 * pcn_kexec_result - the system call's result
 * @ret:	what it has come to
 *
 * Context: any.
 * Return: @ret, or 0 for the success of pcn_kexec_load().
 */
int pcn_kexec_result(int ret)
{
	return ret == TAKEN_OVER ? 0 : ret;
}

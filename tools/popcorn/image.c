// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - the files given to load: can they be opened, and what is wrong
 * with an image that the kernel did not take
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "popcorn.h"

/* Offsets into a bzImage, see Documentation/arch/x86/boot.rst */
#define HDR_SETUP_SECTS		0x1f1
#define HDR_SYSSIZE		0x1f4
#define HDR_BOOT_FLAG		0x1fe
#define HDR_MAGIC		0x202
#define HDR_VERSION		0x206
#define HDR_LOADFLAGS		0x211
#define HDR_RELOCATABLE		0x234
#define HDR_XLOADFLAGS		0x236

#define LOADED_HIGH		0x01
#define XLF_KERNEL_64		0x01
#define XLF_ABOVE_4G		0x02
#define XLF_5LEVEL		0x20

/* The kernel takes nothing that is smaller than two sectors */
#define MIN_IMAGE		1024

/*
 * Is there something else than a regular file behind the descriptor? Returns
 * what, NULL if not.
 */
static const char *not_a_file(const struct stat *st)
{
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		return NULL;
	case S_IFDIR:
		return "it is a directory, not a file";
	default:
		return "it is a device, pipe or socket, not a regular file";
	}
}

/**
 * pcn_open_input() - open the image or the initrd for load
 * @who:	the kernel or kernels it is for, for messages
 * @what:	"image" or "initrd", for messages
 * @path:	the file
 * @size:	set to its size
 *
 * Return: file descriptor, or -1 after a message.
 */
int pcn_open_input(const char *who, const char *what, const char *path,
		   off_t *size)
{
	/* O_NONBLOCK: do not wait for somebody to open the other end of a pipe */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *fault;
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		pcn_error("%s: load: cannot open the %s %s: %m", who, what, path);
		goto fail;
	}
	fault = not_a_file(&st);
	if (!fault && !st.st_size)
		fault = "it is empty";
	if (fault) {
		pcn_error("%s: load: cannot use the %s %s: %s", who, what, path, fault);
		goto fail;
	}
	*size = st.st_size;
	return fd;
fail:
	if (fd >= 0)
		close(fd);
	return -1;
}

/*
 * Read the part of an image with the header. Returns false if the file is too
 * short for one.
 */
static bool read_header(int fd, uint8_t *hdr)
{
	return pread(fd, hdr, MIN_IMAGE, 0) == MIN_IMAGE;
}

/* Read a 16-bit number of the header. Returns it. */
static unsigned int get_16(const uint8_t *p)
{
	return p[0] | p[1] << 8;
}

/*
 * Recognise what people give to load instead of a bzImage. Returns the fault.
 */
static const char *what_instead(const uint8_t *hdr)
{
	static const struct {
		const char *magic;
		size_t len;
		const char *fault;
	} kinds[] = {
		{ "\177ELF", 4,	"it is an ELF file (vmlinux?); the bzImage is arch/x86/boot/bzImage" },
		{ "070701", 6,		"it is a cpio archive; give an initrd with --initrd" },
		{ "\037\213", 2,	"it is compressed by gzip; a bzImage unpacks itself" },
		{ "\3757zXZ", 5,	"it is compressed by xz; a bzImage unpacks itself" },
		{ "\x28\xb5\x2f\xfd", 4, "it is compressed by zstd; a bzImage unpacks itself" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!memcmp(hdr, kinds[i].magic, kinds[i].len))
			return kinds[i].fault;
	return "it is not a bzImage: there is no \"HdrS\" at offset 0x202";
}

/**
 * pcn_image_fault() - say why the kernel finds that a file is no image for it
 * @fd:	the file
 *
 * The checks are those of bzImage64_probe() in the kernel, in the same order.
 *
 * Return: the fault.
 */
const char *pcn_image_fault(int fd)
{
	uint8_t hdr[MIN_IMAGE];
	unsigned int xlf;

	if (!read_header(fd, hdr))
		return "it is too short: a bzImage has at least 1024 bytes";
	if (memcmp(hdr + HDR_MAGIC, "HdrS", 4))
		return what_instead(hdr);
	if (get_16(hdr + HDR_BOOT_FLAG) != 0xaa55)
		return "there is no boot sector signature 0xAA55 at offset 0x1fe";
	if (get_16(hdr + HDR_VERSION) < 0x020c)
		return "its boot protocol is older than 2.12; Linux 3.8 or later is needed";
	if (!(hdr[HDR_LOADFLAGS] & LOADED_HIGH))
		return "it is a zImage, not a bzImage";
	xlf = get_16(hdr + HDR_XLOADFLAGS);
	if (!(xlf & XLF_KERNEL_64))
		return "it is a 32-bit kernel; one with CONFIG_64BIT=y is needed";
	if (!hdr[HDR_RELOCATABLE] || !(xlf & XLF_ABOVE_4G))
		return "it cannot be loaded above 4 GiB; one with CONFIG_RELOCATABLE=y is needed";
	if (!(xlf & XLF_5LEVEL))
		return "it cannot do 5-level paging, which the primary uses; one with CONFIG_X86_5LEVEL=y is needed";
	return "its header looks right, the log of the primary tells more: dmesg";
}

/**
 * pcn_image_size() - how long an image must be at least
 * @fd:	the file
 *
 * Return: the size that its header tells, 0 if it has none.
 */
uint64_t pcn_image_size(int fd)
{
	uint8_t hdr[MIN_IMAGE];
	uint64_t sectors, units;

	if (!read_header(fd, hdr))
		return 0;
	sectors = hdr[HDR_SETUP_SECTS] ? hdr[HDR_SETUP_SECTS] : 4;
	units = get_16(hdr + HDR_SYSSIZE) |
		(uint64_t)get_16(hdr + HDR_SYSSIZE + 2) << 16;
	return (sectors + 1) * 512 + units * 16;
}

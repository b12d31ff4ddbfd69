// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - load and unload
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/kexec.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../include/uapi/linux/popcorn.h"
#include "popcorn.h"
#include "root.h"

/* struct input - a file that is loaded; @fd is -1 if there is none */
struct input {
	const char *path;
	int fd;
	off_t size;
};

/* The files are opened once, for however many kernels */
static struct input image = { .fd = -1 };
static struct input initrd = { .fd = -1 };
static struct pcn_root root;

/*
 * kexec_file_load(2), for which libc has no function. Returns 0 or an error
 * number.
 */
static int kexec_file_load(int kernel_fd, int initrd_fd, const char *cmdline,
			   unsigned long flags)
{
	size_t len = cmdline ? strlen(cmdline) + 1 : 0;

	return syscall(SYS_kexec_file_load, kernel_fd, initrd_fd, len, cmdline,
		       flags) ? errno : 0;
}

/*
 * Does the error blame a file or the command line? Returns false if it is
 * about something else.
 */
static bool is_input_error(int err)
{
	switch (err) {
	case ENOEXEC:
	case EBADMSG:
	case EFBIG:
	case ENOSPC:
	case E2BIG:
	case ETXTBSY:
	case ENODATA:
	case ENOKEY:
	case ENOPKG:
	case EKEYREJECTED:
		return true;
	default:
		return false;
	}
}

/* Begin the message about an input of load. */
static void begin(const struct pcn_kernel *k, const char *what, const struct input *file)
{
	fprintf(stderr, "popcorn: %s: load: %s", pcn_label(k), what);
	if (file)
		fprintf(stderr, " %s", file->path);
}

/* Say that a file is larger than the kernel's memory allows. */
static void too_large(const struct pcn_kernel *k, const char *what, const struct input *file)
{
	char size[32];

	begin(k, what, file);
	fprintf(stderr, ": with its %s it does not fit into the memory of this kernel; see: popcorn status %d\n",
		pcn_human_size(file->size, size, sizeof(size)), k->kid);
}

/* Say that the image ends too early. */
static void too_short(const struct pcn_kernel *k)
{
	uint64_t wanted = pcn_image_size(image.fd);

	begin(k, "image", &image);
	fputs(": it is truncated", stderr);
	if (wanted > (uint64_t)image.size)
		fprintf(stderr, ": by its header it has at least %" PRIu64 " bytes, the file has %" PRIu64,
			wanted, (uint64_t)image.size);
	fputc('\n', stderr);
}

/*
 * Say what is wrong with the files or the command line. Returns the exit code.
 */
static int input_refused(const struct pcn_kernel *k, const struct pcn_call *c, int err)
{
	switch (err) {
	case ENOEXEC:
		begin(k, "image", &image);
		fprintf(stderr, ": %s\n", pcn_image_fault(image.fd));
		break;
	case EBADMSG:
		too_short(k);
		break;
	case EFBIG:
		if (initrd.path)
			too_large(k, "initrd", &initrd);
		else
			too_large(k, "image", &image);
		break;
	case ENOSPC:
		too_large(k, "image", &image);
		break;
	case E2BIG:
		begin(k, "command line", NULL);
		fprintf(stderr, ": its %zu bytes are too many for the image or for Popcorn, which adds to it\n",
			c->append ? strlen(c->append) : 0);
		break;
	case ETXTBSY:
		begin(k, "image or initrd", NULL);
		fputs(": another program is writing to the file\n", stderr);
		break;
	default:
		begin(k, "image", &image);
		fputs(": the primary takes signed images only, and this has no signature that it accepts\n",
		      stderr);
	}
	return PCN_IMAGE;
}

/* Load the files for one kernel. Returns the exit code. */
static int load_files(const struct pcn_kernel *k, const struct pcn_call *c)
{
	unsigned long flags = KEXEC_FILE_POPCORN_FOR(k->kid);
	int err;

	if (initrd.fd < 0)
		flags |= KEXEC_FILE_NO_INITRAMFS;
	err = kexec_file_load(image.fd, initrd.fd, c->append ? c->append : "", flags);
	if (!err)
		return PCN_DONE;
	if (is_input_error(err))
		return input_refused(k, c, err);
	return pcn_refused(k, c->verb, err, NULL);
}

/* Drop what is loaded for one kernel. Returns the exit code. */
static int unload_files(const struct pcn_kernel *k, const struct pcn_call *c)
{
	unsigned long flags = KEXEC_FILE_POPCORN_FOR(k->kid) | KEXEC_FILE_UNLOAD;
	int err = kexec_file_load(-1, -1, NULL, flags);

	return err ? pcn_refused(k, c->verb, err, NULL) : PCN_DONE;
}

/*
 * Do it, and if that succeeds have the server of the root directory that belongs to it: what is
 * loaded and the server change together. Returns the exit code.
 */
static int with_server(const struct pcn_kernel *k, const struct pcn_call *c, pcn_action action,
		       const struct pcn_root *dir)
{
	int hold, code, err = pcn_root_hold(k, dir, &hold);

	if (err)
		return pcn_refused(k, c->verb, err, NULL);
	code = action(k, c);
	if (code == PCN_DONE) {
		code = pcn_root_replace(k, hold, dir);
		if (code != PCN_DONE)
			unload_files(k, c);
	}
	if (hold >= 0)
		close(hold);
	return code;
}

static int load(const struct pcn_kernel *k, const struct pcn_call *c)
{
	return with_server(k, c, load_files, c->root ? &root : NULL);
}

static int unload(const struct pcn_kernel *k, const struct pcn_call *c)
{
	return with_server(k, c, unload_files, NULL);
}

/*
 * Open a file that is to be loaded. Returns false after a message if that
 * fails.
 */
static bool open_input(struct input *file, const char *who, const char *what, const char *path)
{
	file->path = path;
	file->fd = pcn_open_input(who, what, path, &file->size);
	return file->fd >= 0;
}

/* Open the directory, and make the RAM disk that mounts it. Returns the exit code. */
static int open_root(const char *who, const struct pcn_call *c)
{
	int code = pcn_root_open(&root, who, c->root, c->read_only);

	if (code != PCN_DONE)
		return code;
	initrd.path = "for --root";
	initrd.fd = pcn_root_ram_disk(&root, &initrd.size);
	return PCN_DONE;
}

/* Returns the exit code. */
static int open_inputs(const char *who, const struct pcn_call *c)
{
	if (!open_input(&image, who, "image", c->argv[1]))
		return PCN_IMAGE;
	if (c->initrd && !open_input(&initrd, who, "initrd", c->initrd))
		return PCN_IMAGE;
	return c->root ? open_root(who, c) : PCN_DONE;
}

/**
 * pcn_cmd_load() - popcorn load
 * @c:	the command line
 *
 * Return: exit code.
 */
int pcn_cmd_load(const struct pcn_call *c)
{
	const struct pcn_kernel *k;
	const char *who = "all";
	int code;

	if (c->initrd && c->root)
		pcn_die(PCN_USAGE, "load: --initrd and --root exclude each other: the root directory comes with an initrd of its own");
	if (c->read_only && !c->root)
		pcn_die(PCN_USAGE, "load: --read-only is about the directory of --root");
	if (strcmp(c->argv[0], "all")) {
		k = pcn_find(c->verb, c->argv[0]);
		if (!k)
			return PCN_UNKNOWN;
		who = pcn_label(k);
	} else {
		size_t nr;

		pcn_kernels(&nr);	/* no Popcorn at all comes before bad files */
	}
	code = open_inputs(who, c);
	return code == PCN_DONE ? pcn_for_each(c, 1, load) : code;
}

/**
 * pcn_cmd_unload() - popcorn unload
 * @c:	the command line
 *
 * Return: exit code.
 */
int pcn_cmd_unload(const struct pcn_call *c)
{
	return pcn_for_each(c, c->argc, unload);
}

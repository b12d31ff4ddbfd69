// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - load --root: the directory, and the RAM disk that mounts it
 *
 * The RAM disk is this program, as /init, and a file that says what it is to do. It is made in
 * memory for each load.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpio.h"
#include "popcorn.h"
#include "root.h"

#define SELF	"/proc/self/exe"

/* --- the directory --- */

/*
 * Clone the mount of a directory. What the clone does not allow nobody can do by it, whatever
 * the server does that gets it. Returns its descriptor; -1 with errno if there is none.
 */
static int clone_mount(const char *path)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			    MOUNT_ATTR_NOEXEC,
	};
	int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0 || !mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)))
		return fd;
	close(fd);
	return -1;
}

/* Is it a directory? Returns false after a message if not. */
static bool is_directory(const char *who, const char *path)
{
	struct stat st;

	if (stat(path, &st)) {
		pcn_error("%s: load: cannot use the root directory %s: %m", who, path);
		return false;
	}
	if (!S_ISDIR(st.st_mode)) {
		pcn_error("%s: load: cannot use the root directory %s: it is not a directory", who,
			  path);
		return false;
	}
	return true;
}

/*
 * The kernel mounts file systems there; with an overlay it makes what is missing. Returns false
 * after a message if something is.
 */
static bool has_places(const char *who, const char *path)
{
	static const char *const places[] = { "dev", "proc", "sys", "run" };
	char place[PATH_MAX];
	struct stat st;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(place, sizeof(place), "%s/%s", path, places[i]);
		if (!stat(place, &st) && S_ISDIR(st.st_mode))
			continue;
		pcn_error("%s: load: cannot use the root directory %s with --read-only: it has no directory %s",
			  who, path, places[i]);
		return false;
	}
	return true;
}

/**
 * pcn_root_open() - get a directory for load --root
 * @root:	to be filled
 * @who:	the kernel or kernels it is for, for messages
 * @path:	the directory
 * @read_only:	--read-only
 *
 * Return: exit code
 */
int pcn_root_open(struct pcn_root *root, const char *who, const char *path, bool read_only)
{
	int code;

	if (!is_directory(who, path) || (read_only && !has_places(who, path)))
		return PCN_IMAGE;
	code = pcn_root_check();
	if (code != PCN_DONE)
		return code;
	root->read_only = read_only;
	root->path = realpath(path, NULL);
	root->tree = root->path ? clone_mount(root->path) : -1;
	if (root->tree >= 0)
		return PCN_DONE;
	pcn_error("%s: load: cannot use the root directory %s: %m", who, path);
	return errno == EPERM || errno == EACCES ? PCN_PERM : PCN_IMAGE;
}

/* --- the RAM disk --- */

/* Does a program need an interpreter, which loads its libraries? */
static bool is_dynamic(const char *data, size_t size)
{
	Elf64_Ehdr elf;
	Elf64_Phdr p;
	size_t i;

	if (size < sizeof(elf))
		return true;
	memcpy(&elf, data, sizeof(elf));
	for (i = 0; i < elf.e_phnum && elf.e_phoff + (i + 1) * sizeof(p) <= size; i++) {
		memcpy(&p, data + elf.e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type == PT_INTERP)
			return true;
	}
	return false;
}

/* This program. Ends the command if it cannot be read, or would not run without libraries. */
static const char *own_image(size_t *size)
{
	int fd = open(SELF, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *data;

	if (fd < 0 || fstat(fd, &st))
		pcn_die(PCN_FAILED, "load: cannot read %s: %m", SELF);
	data = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		pcn_die(PCN_FAILED, "load: cannot read %s: %m", SELF);
	close(fd);
	if (is_dynamic(data, st.st_size))
		pcn_die(PCN_FAILED, "load: --root needs a popcorn command that is linked statically: make it without STATIC=0");
	*size = st.st_size;
	return data;
}

/* Write the archive. Returns 0, or an errno. */
static int write_archive(FILE *out, const struct pcn_root *root)
{
	struct pcn_cpio archive = { .out = out };
	const char *conf = root->read_only ? "overlay=0\n" : "overlay=1\n";
	size_t size;
	const char *image = own_image(&size);

	pcn_cpio_add(&archive, "init", S_IFREG | 0755, image, size);
	pcn_cpio_add(&archive, PCN_ROOT_CONF, S_IFREG | 0644, conf, strlen(conf));
	pcn_cpio_end(&archive);
	return fflush(out) || ferror(out) ? errno : 0;
}

/**
 * pcn_root_ram_disk() - make the RAM disk that mounts a root directory
 * @root:	the directory
 * @size:	receives its size
 *
 * Ends the command if there is no memory for it.
 *
 * Return: a descriptor for kexec_file_load(2), which takes no file that is open for writing
 */
int pcn_root_ram_disk(const struct pcn_root *root, off_t *size)
{
	char path[32];
	int fd = memfd_create("popcorn-root", MFD_CLOEXEC), err;
	FILE *out = fd < 0 ? NULL : fdopen(fd, "w");

	if (!out)
		pcn_die(PCN_FAILED, "load: cannot make the RAM disk: %m");
	err = write_archive(out, root);
	if (err)
		pcn_die(PCN_FAILED, "load: cannot make the RAM disk: %s", strerror(err));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	*size = ftell(out);
	fclose(out);
	if (fd < 0)
		pcn_die(PCN_FAILED, "load: cannot read the RAM disk: %m");
	return fd;
}

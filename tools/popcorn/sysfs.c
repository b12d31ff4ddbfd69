// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - access to the files below /sys/kernel/popcorn
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "popcorn.h"

/*
 * Where the files are; POPCORN_SYSFS in the environment is for tests. Returns
 * the path.
 */
static const char *root(void)
{
	const char *dir = getenv("POPCORN_SYSFS");

	return dir && *dir ? dir : "/sys/kernel/popcorn";
}

/*
 * Read a file to its end. Returns its text without newlines at the end, NULL
 * with errno on error.
 */
static char *read_text(int fd)
{
	size_t len = 0, room = 0;
	char *text = NULL;
	ssize_t n;

	do {
		if (room - len < 2) {
			room = room ? 2 * room : 4096;
			text = pcn_grow(text, room);
		}
		n = read(fd, text + len, room - len - 1);
		if (n > 0)
			len += n;
	} while (n > 0 || (n < 0 && errno == EINTR));

	if (n < 0) {
		free(text);
		return NULL;
	}
	while (len && text[len - 1] == '\n')
		len--;
	text[len] = '\0';
	return text;
}

/*
 * Read a file. Returns its text, "" if it does not exist, NULL with errno on
 * error.
 */
static char *read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err;
	char *text;

	if (fd < 0) {
		if (errno != ENOENT)
			return NULL;
		text = pcn_grow(NULL, 1);
		*text = '\0';
		return text;
	}
	text = read_text(fd);
	err = errno;
	close(fd);
	errno = err;
	return text;
}

/**
 * pcn_self() - which kernel this is
 *
 * Return: the kid of the kernel that the command runs on, -1 if unknown.
 */
int pcn_self(void)
{
	char path[PATH_MAX];
	char *text;
	int kid = -1;

	snprintf(path, sizeof(path), "%s/self", root());
	text = read_file(path);
	if (text && *text)
		kid = atoi(text);
	free(text);
	return kid;
}

/**
 * pcn_read() - read a file
 * @fmt:	its path below /sys/kernel/popcorn, as for printf(3)
 *
 * Return: its text without the newline at the end, to be freed; "" if it has
 * none or does not exist; NULL with errno if it cannot be read.
 */
char *pcn_read(const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list args;
	int len = snprintf(path, sizeof(path), "%s/", root());

	va_start(args, fmt);
	vsnprintf(path + len, sizeof(path) - len, fmt, args);
	va_end(args);
	return read_file(path);
}

/**
 * pcn_attr() - read an attribute of a kernel
 * @kid:	the kernel
 * @attr:	name of the attribute
 *
 * Return: its text without the newline at the end, to be freed; "" if it has
 * none or does not exist; NULL with errno if it cannot be read.
 */
char *pcn_attr(int kid, const char *attr)
{
	return pcn_read("kernels/%d/%s", kid, attr);
}

/**
 * pcn_attr_open() - open an attribute of a kernel
 * @kid:	the kernel
 * @attr:	name of the attribute
 * @flags:	as for open(2)
 *
 * Return: file descriptor, or -1 with errno.
 */
int pcn_attr_open(int kid, const char *attr, int flags)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/kernels/%d/%s", root(), kid, attr);
	return open(path, flags | O_CLOEXEC);
}

/*
 * Open a directory that has one per kernel in it; ends the command if there is
 * none, since this kernel has not what it belongs to. Returns the directory.
 */
static DIR *open_dir(const char *name, const char *belongs_to)
{
	char path[PATH_MAX];
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", root(), name);
	dir = opendir(path);
	if (dir)
		return dir;
	if (errno == EACCES || errno == EPERM)
		pcn_die(PCN_PERM, "not permitted to read %s", path);
	if (errno != ENOENT && errno != ENOTDIR)
		pcn_die(PCN_FAILED, "cannot read %s: %m", path);
	if (!getenv("POPCORN_SYSFS") && access("/sys/kernel", F_OK))
		pcn_die(PCN_ABSENT, "there is no /sys/kernel; mount sysfs first: mount -t sysfs none /sys");
	pcn_die(PCN_ABSENT, "this kernel has no %s (there is no %s); boot one with CONFIG_POPCORN=y",
		belongs_to, path);
}

/**
 * pcn_to_kid() - turn a number into a kid
 * @word:	the number as the kernel writes it
 *
 * Return: the kid, -1 if it is not one that can be.
 */
int pcn_to_kid(const char *word)
{
	size_t len = strlen(word);

	if (!len || len > 3 || strspn(word, "0123456789") != len)
		return -1;
	return *word == '0' && len > 1 ? -1 : atoi(word);
}

/* Order kernels by their kid, for qsort(). */
static int by_kid(const void *a, const void *b)
{
	const struct pcn_kernel *x = a, *y = b;

	return x->kid - y->kid;
}

/*
 * Read the name of a kernel. Returns it; a kernel whose name cannot be read is
 * called "".
 */
static char *read_name(int kid)
{
	char *name = pcn_attr(kid, "name");

	if (!name) {
		name = pcn_grow(NULL, 1);
		*name = '\0';
	}
	return name;
}

/*
 * Make a list of the kernels that have a directory in this one, by ascending
 * kid. Returns the list, sets *count to its length.
 */
static struct pcn_kernel *list_kernels(DIR *dir, size_t *count)
{
	struct pcn_kernel *kernels = pcn_grow(NULL, sizeof(*kernels));
	struct dirent *entry;
	size_t nr = 0;

	while ((entry = readdir(dir))) {
		int kid = pcn_to_kid(entry->d_name);

		if (kid < 0)
			continue;
		kernels = pcn_grow(kernels, (nr + 1) * sizeof(*kernels));
		kernels[nr].kid = kid;
		kernels[nr++].name = read_name(kid);
	}
	closedir(dir);
	qsort(kernels, nr, sizeof(*kernels), by_kid);
	*count = nr;
	return kernels;
}

/**
 * pcn_kernels() - find out which kernels are defined
 * @count:	set to their number
 *
 * Ends the command with a message if this kernel has no Popcorn support.
 *
 * Return: the kernels by ascending kid, in an array that is made once.
 */
const struct pcn_kernel *pcn_kernels(size_t *count)
{
	static struct pcn_kernel *kernels;
	static size_t nr;

	if (!kernels)
		kernels = list_kernels(open_dir("kernels", "Popcorn support"), &nr);
	*count = nr;
	return kernels;
}

/**
 * pcn_links() - find out with which kernels messages have been exchanged
 * @count:	set to their number
 *
 * A secondary does not know the names of others: they are "" there. Ends the
 * command with a message if this kernel has no messages.
 *
 * Return: the kernels by ascending kid, in an array that is made once.
 */
const struct pcn_kernel *pcn_links(size_t *count)
{
	static struct pcn_kernel *kernels;
	static size_t nr;

	if (!kernels)
		kernels = list_kernels(open_dir("links", "messages to others"), &nr);
	*count = nr;
	return kernels;
}

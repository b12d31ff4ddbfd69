// SPDX-License-Identifier: GPL-2.0
/*
 * What a hostile kernel can do to the server of its root directory:
 *
 *	ninep PORT EXPORT read PATH	read a file; each part of the path is one step of 9P, so
 *					".." and symbolic links are up to the server
 *	ninep PORT EXPORT attach	have that directory
 *	ninep PORT EXPORT write		try all that changes something below it; prints what the
 *					server did not refuse
 *	ninep PORT EXPORT garbage COUNT	so many connections that send what is no 9P
 *	ninep PORT hold COUNT		try so many connections, that say nothing until it is ended
 *
 * It speaks 9P2000.L with the primary, from a port of root's. Exit status: 0 it was done (write:
 * nothing was), 1 it was refused, 2 the connection cannot be made or has ended.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef VMADDR_FLAG_TO_HOST
#define VMADDR_FLAG_TO_HOST	1
#endif

#define PRIMARY		1000
#define NO_FID		0xffffffff
#define NO_TAG		0xffff
#define HEAD		7

enum {
	LERROR = 7, LOPEN = 12, LCREATE = 14, SYMLINK = 16, MKNOD = 18, RENAME = 20, SETATTR = 26,
	XATTRCREATE = 32, LINK = 70, MKDIR = 72, RENAMEAT = 74, UNLINKAT = 76, VERSION = 100,
	ATTACH = 104, WALK = 110, READ = 116, WRITE = 118, REMOVE = 122,
};

static int sock;
static uint8_t out[8192], in[70000];
static size_t length;
static int error;

static void end(int status, const char *what)
{
	printf("ninep: %s: %s\n", what, strerror(errno));
	exit(status);
}

/* --- messages --- */

static void put(uint64_t value, size_t bytes)
{
	value = htole64(value);
	memcpy(out + length, &value, bytes);
	length += bytes;
}

static void put_text(const char *text)
{
	put(strlen(text), 2);
	memcpy(out + length, text, strlen(text));
	length += strlen(text);
}

static void begin(uint8_t type)
{
	length = 4;
	put(type, 1);
	put(type == VERSION ? NO_TAG : 1, 2);
}

static uint32_t get32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static void receive(uint8_t *at, size_t size)
{
	ssize_t n = recv(sock, at, size, MSG_WAITALL);

	if (n < 0 || (size_t)n < size)
		end(2, "the connection has ended");
}

/* Send the message and get the answer. Returns false if it is an error, which is in error then. */
static bool call(void)
{
	uint32_t size = htole32(length), got;

	memcpy(out, &size, sizeof(size));
	if (send(sock, out, length, MSG_NOSIGNAL) != (ssize_t)length)
		end(2, "cannot send");
	receive(in, HEAD);
	got = get32(in);
	if (got < HEAD || got > sizeof(in))
		end(2, "an answer of a wrong length");
	receive(in + HEAD, got - HEAD);
	error = in[4] == LERROR ? get32(in + HEAD) : 0;
	return !error;
}

/* --- the connection --- */

/* Returns -1 with errno: there is none, as when there are too many. */
static int connect_to(unsigned int port)
{
	struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY };
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	for (a.svm_port = 1000; a.svm_port > 600; a.svm_port--)
		if (!bind(fd, (struct sockaddr *)&a, sizeof(a)))
			break;
	a.svm_cid = PRIMARY;
	a.svm_port = port;
	a.svm_flags = VMADDR_FLAG_TO_HOST;
	if (!connect(fd, (struct sockaddr *)&a, sizeof(a)))
		return fd;
	close(fd);
	return -1;
}

static bool attach(const char *name)
{
	begin(VERSION);
	put(65536, 4);
	put_text("9P2000.L");
	if (!call())
		return false;
	begin(ATTACH);
	put(0, 4);
	put(NO_FID, 4);
	put_text("root");
	put_text(name);
	put(0, 4);
	return call();
}

/* From fid 0 to another one, by a path, or to a copy of it. */
static bool walk(uint32_t fid, const char *path)
{
	char text[4096], *step, *rest = text;
	size_t at;
	unsigned int count = 0;

	snprintf(text, sizeof(text), "%s", path);
	begin(WALK);
	put(0, 4);
	put(fid, 4);
	at = length;
	put(0, 2);
	while ((step = strsep(&rest, "/"))) {
		if (!*step)
			continue;
		put_text(step);
		count++;
	}
	out[at] = count;
	/* It may answer with the first steps alone. */
	return call() && in[HEAD] == count;
}

static bool open_fid(uint32_t fid, uint32_t flags)
{
	begin(LOPEN);
	put(fid, 4);
	put(flags, 4);
	return call();
}

static int print_file(const char *path)
{
	uint32_t count;

	if (!walk(1, path) || !open_fid(1, O_RDONLY))
		return 1;
	begin(READ);
	put(1, 4);
	put(0, 8);
	put(4096, 4);
	if (!call())
		return 1;
	count = get32(in + HEAD);
	fwrite(in + HEAD + 4, 1, count, stdout);
	return 0;
}

/* --- all that changes something; "file" and "sub" are there --- */

static unsigned int done;

static void expect_refusal(const char *what)
{
	if (call()) {
		printf("%s was done\n", what);
		done++;
	}
}

static void try_open(const char *what, uint32_t flags)
{
	if (!walk(2, "file"))
		end(2, "there is no file");
	if (open_fid(2, flags)) {
		begin(WRITE);
		put(2, 4);
		put(0, 8);
		put(1, 4);
		put('x', 1);
		expect_refusal(what);
		if (flags & O_TRUNC) {
			printf("%s was done\n", what);
			done++;
		}
	}
}

static void begin_new(uint8_t type, const char *name)
{
	if (!walk(2, ""))
		end(2, "cannot copy a fid");
	begin(type);
	put(2, 4);
	if (name)
		put_text(name);
}

static void try_nodes(void)
{
	begin_new(LCREATE, "new");
	put(O_CREAT | O_RDWR, 4);
	put(0644, 4);
	put(0, 4);
	expect_refusal("create");
	begin_new(MKDIR, "newdir");
	put(0755, 4);
	put(0, 4);
	expect_refusal("mkdir");
	begin_new(MKNOD, "null");
	put(S_IFCHR | 0666, 4);
	put(1, 4);
	put(3, 4);
	put(0, 4);
	expect_refusal("mknod");
	begin_new(SYMLINK, "newlink");
	put_text("/");
	put(0, 4);
	expect_refusal("symlink");
}

static void try_names(void)
{
	if (!walk(3, "file"))
		end(2, "there is no file");
	begin(LINK);
	put(0, 4);
	put(3, 4);
	put_text("hard");
	expect_refusal("link");
	begin(RENAME);
	put(3, 4);
	put(0, 4);
	put_text("renamed");
	expect_refusal("rename");
	begin(RENAMEAT);
	put(0, 4);
	put_text("file");
	put(0, 4);
	put_text("renamed");
	expect_refusal("renameat");
	begin(UNLINKAT);
	put(0, 4);
	put_text("file");
	put(0, 4);
	expect_refusal("unlinkat");
	begin(REMOVE);
	put(3, 4);
	expect_refusal("remove");
}

static void try_attributes(uint32_t valid, uint32_t mode, uint64_t size)
{
	int i;

	if (!walk(4, "file"))
		end(2, "there is no file");
	begin(SETATTR);
	put(4, 4);
	put(valid, 4);
	put(mode, 4);
	put(12, 4);
	put(12, 4);
	put(size, 8);
	for (i = 0; i < 4; i++)
		put(1, 8);
	expect_refusal("setattr");
}

static void try_xattr(void)
{
	if (!walk(5, "file"))
		end(2, "there is no file");
	begin(XATTRCREATE);
	put(5, 4);
	put_text("user.x");
	put(1, 8);
	put(0, 4);
	/* It is done when the fid is dropped, which has no answer for it: see the file. */
	if (!call())
		return;
	begin(WRITE);
	put(5, 4);
	put(0, 8);
	put(1, 4);
	put('x', 1);
	call();
	begin(120);
	put(5, 4);
	expect_refusal("xattrcreate");
}

static int try_all(void)
{
	try_open("write", O_WRONLY);
	try_open("write to what was open for both", O_RDWR);
	try_open("truncate", O_RDONLY | O_TRUNC);
	try_nodes();
	try_attributes(1, 0777, 0);	/* mode */
	try_attributes(2 | 4, 0, 0);	/* owner */
	try_attributes(8, 0, 0);	/* size */
	try_attributes(0x20 | 0x100, 0, 0);	/* times */
	try_xattr();
	try_names();
	return done ? 0 : 1;
}

static void send_garbage(unsigned int port, unsigned int count)
{
	unsigned int i;
	size_t n;

	srandom(1);
	while (count) {
		sock = connect_to(port);
		if (sock < 0)
			continue;
		count--;
		n = random() % sizeof(out);
		for (i = 0; i < n; i++)
			out[i] = random();
		/* Half of them say a length that may be. */
		if (count & 1)
			memcpy(out, &(uint32_t){ htole32(random() % 200) }, 4);
		(void)!send(sock, out, n, MSG_NOSIGNAL);
		close(sock);
	}
}

int main(int argc, char **argv)
{
	unsigned int port = argc > 1 ? atoi(argv[1]) : 0, n;

	if (argc == 4 && !strcmp(argv[2], "hold")) {
		for (n = atoi(argv[3]); n; n--)
			connect_to(port);
		puts("holds");
		fflush(stdout);
		pause();
	}
	if (argc < 4)
		end(2, "wrong usage");
	if (!strcmp(argv[3], "garbage")) {
		send_garbage(port, atoi(argv[4]));
		return 0;
	}
	sock = connect_to(port);
	if (sock < 0)
		end(2, "cannot connect");
	if (!attach(argv[2]))
		return 1;
	if (!strcmp(argv[3], "read"))
		return print_file(argv[4]);
	return !strcmp(argv[3], "write") ? try_all() : 0;
}

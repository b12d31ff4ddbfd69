// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - ssh --serve: let a user of another kernel log in
 *
 * "popcorn ssh" of that kernel runs this here by "popcorn exec", so it is root who asks. The
 * server is the one that listens, OpenSSH's for example, or else Dropbear, which then listens on the
 * address of pcn0 alone, and takes no passwords.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "popcorn.h"
#include "ssh.h"

#define INTERFACE	"pcn0"
#define DROPBEAR_DIR	"/etc/dropbear"
#define DROPBEAR_KEY	DROPBEAR_DIR "/dropbear_ed25519_host_key"

/* Does a text have that line? */
static bool has_line(const char *text, const char *line)
{
	size_t length = strlen(line);

	while (*text) {
		if (!strncmp(text, line, length) && strchr("\n", text[length]))
			return true;
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return false;
}

/* Let that key in. Ends the command if it fails. */
static void allow(const char *key)
{
	char *path = pcn_ssh_file("authorized_keys"), *text = pcn_read_file(path);
	bool is_there = text && has_line(text, key), is_torn;
	int fd;

	is_torn = text && *text && text[strlen(text) - 1] != '\n';
	free(text);
	if (!is_there) {
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		if (fd < 0 || dprintf(fd, "%s%s\n", is_torn ? "\n" : "", key) < 0 || close(fd))
			pcn_die(PCN_FAILED, "ssh: cannot write %s: %m", path);
	}
	free(path);
}

/* The address of pcn0. Ends the command if it has none. */
static struct sockaddr_in own_address(void)
{
	struct sockaddr_in address = { .sin_family = AF_UNSPEC };
	struct ifaddrs *all, *a;

	if (getifaddrs(&all))
		pcn_die(PCN_FAILED, "ssh: cannot read addresses: %m");
	for (a = all; a && address.sin_family == AF_UNSPEC; a = a->ifa_next)
		if (a->ifa_addr && a->ifa_addr->sa_family == AF_INET &&
		    !strcmp(a->ifa_name, INTERFACE))
			memcpy(&address, a->ifa_addr, sizeof(address));
	freeifaddrs(all);
	if (address.sin_family == AF_UNSPEC)
		pcn_die(PCN_STATE, "ssh: " INTERFACE " has no address; run \"popcorn net up\" "
			"on that kernel");
	address.sin_port = htons(PCN_SSH_PORT);
	return address;
}

static bool is_served(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		pcn_die(PCN_FAILED, "ssh: cannot make a socket: %m");
	err = connect(fd, (const struct sockaddr *)address, sizeof(*address));
	close(fd);
	return !err;
}

/* End the command if a program could not be run or has failed; @status: as of pcn_program() */
static void must_have_run(const char *name, int status)
{
	if (status < 0)
		pcn_die(PCN_NOPROGRAM, "ssh: no server for ssh listens, and %s cannot be run: %s",
			name, strerror(-status));
	if (status)
		pcn_die(PCN_FAILED, "ssh: %s has failed with status %d", name, status);
}

/* It listens when it has gone to the background. */
static void start_server(const char *address)
{
	static const char *const make_key[] = { "dropbearkey", "-t", "ed25519",
						"-f", DROPBEAR_KEY, NULL };
	char *where, *said;
	int status;
	const char *serve[] = { "dropbear", "-s", "-r", DROPBEAR_KEY, "-p", NULL, NULL };

	if (mkdir(DROPBEAR_DIR, 0755) && errno != EEXIST)
		pcn_die(PCN_FAILED, "ssh: cannot make %s: %m", DROPBEAR_DIR);
	if (access(DROPBEAR_KEY, F_OK)) {
		/* It says a lot. */
		said = pcn_program_output(make_key, &status);
		must_have_run(make_key[0], status);
		free(said);
	}
	if (asprintf(&where, "%s:%d", address, PCN_SSH_PORT) < 0)
		pcn_die(PCN_FAILED, "ssh: no memory");
	serve[5] = where;
	must_have_run(serve[0], pcn_program(serve));
	free(where);
}

/* Print the lines that are keys. */
static void print_keys(char *text)
{
	char *line, *key;

	while (text && (line = strsep(&text, "\n"))) {
		key = pcn_ssh_key(line);
		if (key)
			puts(key);
		free(key);
	}
}

/* The host keys that a server of this kernel may have. */
static void print_host_keys(void)
{
	static const char *const types[] = { "ed25519", "ecdsa", "rsa" };
	char path[64], *text;
	const char *show[] = { "dropbearkey", "-y", "-f", path, NULL };
	size_t i;
	int status;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		snprintf(path, sizeof(path), "/etc/ssh/ssh_host_%s_key.pub", types[i]);
		text = pcn_read_file(path);
		print_keys(text);
		free(text);
		snprintf(path, sizeof(path), DROPBEAR_DIR "/dropbear_%s_host_key", types[i]);
		if (access(path, F_OK))
			continue;
		text = pcn_program_output(show, &status);
		print_keys(text);
		free(text);
	}
}

/**
 * pcn_ssh_serve() - popcorn ssh --serve: let a key in, and see that a server listens
 * @key:	a public key
 *
 * Prints the address and then the host keys, a line each.
 *
 * Return: exit code.
 */
int pcn_ssh_serve(const char *key)
{
	struct sockaddr_in address;
	char text[INET_ADDRSTRLEN];
	char *plain = pcn_ssh_key(key);

	if (!plain || strcmp(plain, key)) {
		pcn_error("ssh: --serve needs a public key without a comment");
		return PCN_USAGE;
	}
	pcn_ssh_lock();
	address = own_address();
	inet_ntop(AF_INET, &address.sin_addr, text, sizeof(text));
	allow(key);
	if (!is_served(&address))
		start_server(text);
	puts(text);
	print_host_keys();
	free(plain);
	return PCN_DONE;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * popcorn - ssh: log in on a kernel over the network
 *
 * Keys need not be carried by hand, since "popcorn exec" reaches only kernels of this machine,
 * and only root of one of them may use it. So before ssh connects
 *
 *	this kernel				the other one
 *	makes a key for the user, once
 *	popcorn exec K popcorn ssh --serve KEY
 *						lets the key in, makes a host key, once, and
 *						starts a server if there is none (ssh_serve.c)
 *		<-----  address, host keys
 *	keeps them in ~/.ssh/popcorn_hosts
 *
 * and no password and no question is needed, also after the kernel was started anew. With what
 * --config prints in ssh's own configuration, ssh, scp, sftp and rsync do the same by --prepare
 * for the names kernel0, kernel1, and so on.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "popcorn.h"
#include "ssh.h"

#define KEY	"popcorn"
#define HOSTS	"popcorn_hosts"

static const char config[] =
	"# ssh, scp, sftp and rsync to the kernels of this machine; see popcorn(8)\n"
	"Match originalhost kernel?,kernel?? exec \"popcorn ssh --prepare %n\"\n"
	"\tUser root\n"
	"\tIdentityFile ~/.ssh/" KEY "\n"
	"\tIdentitiesOnly yes\n"
	"\tUserKnownHostsFile ~/.ssh/" HOSTS "\n"
	"\tStrictHostKeyChecking yes\n"
	"\tPasswordAuthentication no\n";

/* --- files in ~/.ssh --- */

/**
 * pcn_ssh_file() - name of a file in the user's ~/.ssh
 * @name:	the file's
 *
 * Return: its path, to be freed.
 */
char *pcn_ssh_file(const char *name)
{
	const char *home = getenv("HOME");
	char *path;

	if (asprintf(&path, "%s/.ssh/%s", home && *home ? home : "/root", name) < 0)
		pcn_die(PCN_FAILED, "ssh: no memory");
	return path;
}

/**
 * pcn_ssh_lock() - make ~/.ssh if there is none, and be the only one to change what is there
 *
 * Until the process ends. Ends the command if it fails.
 */
void pcn_ssh_lock(void)
{
	char *dir = pcn_ssh_file(""), *path = pcn_ssh_file(KEY ".lock");
	int fd;

	if (mkdir(dir, 0700) && errno != EEXIST)
		pcn_die(PCN_FAILED, "ssh: cannot make %s: %m", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX))
		pcn_die(PCN_FAILED, "ssh: cannot lock %s: %m", path);
	free(path);
	free(dir);
}

/**
 * pcn_read_file() - all of a file of text
 * @path:	the file
 *
 * Return: the text, to be freed; NULL and errno if it cannot be read.
 */
char *pcn_read_file(const char *path)
{
	FILE *in = fopen(path, "re");
	char *text = NULL;
	size_t size = 0;

	if (!in)
		return NULL;
	if (getdelim(&text, &size, '\0', in) < 0) {
		free(text);
		text = ferror(in) ? NULL : strdup("");
	}
	fclose(in);
	return text;
}

/**
 * pcn_ssh_key() - a public key without its comment
 * @line:	a line that may be one
 *
 * Return: the type and the key, to be freed; NULL if it is none.
 */
char *pcn_ssh_key(const char *line)
{
	static const char type[] = "abcdefghijklmnopqrstuvwxyz0123456789-@.";
	static const char base64[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789+/=";
	size_t first = strspn(line, type), second;

	if (!first || line[first] != ' ')
		return NULL;
	second = strspn(line + first + 1, base64);
	if (second < 32 || !strchr(" \r\n", line[first + 1 + second]))
		return NULL;
	return strndup(line, first + 1 + second);
}

/* --- this end's key --- */

/* The user's public key, which is made if there is none. Ends the command if that fails. */
static char *public_key(void)
{
	char *file = pcn_ssh_file(KEY), *public = pcn_ssh_file(KEY ".pub"), *text, *key;
	const char *make[] = { "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "popcorn",
			       "-f", file, NULL };
	int err;

	text = pcn_read_file(public);
	if (!text && errno == ENOENT) {
		err = pcn_program(make);
		if (err < 0)
			pcn_die(PCN_NOPROGRAM, "ssh: cannot run ssh-keygen: %s", strerror(-err));
		text = pcn_read_file(public);
	}
	if (!text)
		pcn_die(PCN_FAILED, "ssh: cannot read %s: %m", public);
	key = pcn_ssh_key(text);
	if (!key)
		pcn_die(PCN_FAILED, "ssh: %s is no public key", public);
	free(text);
	free(public);
	free(file);
	return key;
}

/* --- the other end's keys --- */

/* Does a line of the known hosts tell of the kernel? */
static bool is_of(const char *line, const char *name)
{
	size_t length = strlen(name);

	return !strncmp(line, name, length) && (line[length] == ',' || line[length] == ' ');
}

/* All lines of the known hosts that are not of the kernel. */
static void keep_others(FILE *out, const char *path, const char *name)
{
	char *text = pcn_read_file(path), *line, *rest = text;

	while (text && (line = strsep(&rest, "\n")))
		if (*line && !is_of(line, name))
			fprintf(out, "%s\n", line);
	free(text);
}

/* Put the host's keys in the place of those that were known of it. */
static void know_host(const char *name, const char *address, char *keys)
{
	char *path = pcn_ssh_file(HOSTS), *fresh = pcn_ssh_file(HOSTS ".new"), *line, *key;
	FILE *out = fopen(fresh, "we");

	if (!out)
		pcn_die(PCN_FAILED, "ssh: cannot write %s: %m", fresh);
	keep_others(out, path, name);
	while ((line = strsep(&keys, "\n"))) {
		key = pcn_ssh_key(line);
		if (key)
			fprintf(out, "%s,%s %s\n", name, address, key);
		free(key);
	}
	if (ferror(out) | fclose(out) || rename(fresh, path))
		pcn_die(PCN_FAILED, "ssh: cannot write %s: %m", path);
	free(fresh);
	free(path);
}

/* Have the kernel serve this user. Returns its address, or NULL and the exit code. */
static char *ask_kernel(const struct pcn_kernel *k, bool wait, int *code)
{
	char number[16], name[32], *key = public_key(), *answer, *keys;
	const char *ask[] = { "/proc/self/exe", "exec", wait ? "--wait" : "--", number,
			      "popcorn", "ssh", "--serve", key, NULL };
	struct in_addr ignored;

	snprintf(number, sizeof(number), "%d", k->kid);
	snprintf(name, sizeof(name), "kernel%d", k->kid);
	answer = pcn_program_output(ask, code);
	free(key);
	if (*code) {
		*code = *code < 0 ? PCN_FAILED : *code;
		free(answer);
		return NULL;
	}
	keys = answer;
	strsep(&keys, "\n");
	if (!keys || !inet_pton(AF_INET, answer, &ignored))
		pcn_die(PCN_FAILED, "%s: ssh: its answer makes no sense", pcn_label(k));
	know_host(name, answer, keys);
	return answer;
}

/* --- what is asked for --- */

/* The kernel's address, or NULL and the exit code. */
static char *prepare(const struct pcn_kernel *k, bool wait, int *code)
{
	pcn_ssh_lock();
	return ask_kernel(k, wait, code);
}

/* For ssh's configuration: is it a kernel, and can ssh connect to it now? */
static int prepare_name(const char *host)
{
	const struct pcn_kernel *k;
	int code = PCN_UNKNOWN;

	if (strncmp(host, "kernel", 6) || pcn_to_kid(host + 6) < 0)
		return code;
	k = pcn_find_peer("ssh", host + 6);
	if (k)
		free(prepare(k, false, &code));
	return code;
}

/* An option of ssh with a value. */
__printf(1, 2) static const char *setting(const char *fmt, ...)
{
	va_list args;
	char *text;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0)
		pcn_die(PCN_FAILED, "ssh: no memory");
	return text;
}

/* Become ssh. The command's words are what ssh makes of them: text for a shell. */
static int log_in(const struct pcn_kernel *k, const char *address, char **words, int count)
{
	const char *fixed[] = {
		"ssh",
		"-o", "User=root",
		"-o", setting("HostName=%s", address),
		"-o", setting("HostKeyAlias=kernel%d", k->kid),
		"-o", setting("IdentityFile=%s", pcn_ssh_file(KEY)),
		"-o", "IdentitiesOnly=yes",
		"-o", setting("UserKnownHostsFile=%s", pcn_ssh_file(HOSTS)),
		"-o", "StrictHostKeyChecking=yes",
		"-o", "PasswordAuthentication=no",
		"--", setting("kernel%d", k->kid),
	};
	const char **argv = pcn_grow(NULL, sizeof(fixed) + (count + 1) * sizeof(*argv));

	memcpy(argv, fixed, sizeof(fixed));
	memcpy(argv + ARRAY_SIZE(fixed), words, (count + 1) * sizeof(*argv));
	execvp(argv[0], (char *const *)argv);
	pcn_error("ssh: cannot run ssh: %m");
	return errno == ENOENT ? PCN_NOPROGRAM : PCN_NOEXEC;
}

/**
 * pcn_cmd_ssh() - popcorn ssh
 * @c:	the command line
 *
 * Return: exit code; ssh's if it runs.
 */
int pcn_cmd_ssh(const struct pcn_call *c)
{
	const struct pcn_kernel *k;
	char *address;
	int code;

	if (c->config) {
		fputs(config, stdout);
		return PCN_DONE;
	}
	if (c->serve)
		return pcn_ssh_serve(c->serve);
	if (c->prepare)
		return prepare_name(c->prepare);
	if (!c->argc) {
		pcn_error("ssh: an argument is missing");
		return PCN_USAGE;
	}
	k = pcn_find_peer("ssh", c->argv[0]);
	if (!k)
		return PCN_UNKNOWN;
	address = prepare(k, c->stay, &code);
	return address ? log_in(k, address, c->argv + 1, c->argc - 1) : code;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Load generator: what is written to its files.
 *
 * All files take the same words, NAME=VALUE or NAME, each with a default; a file ignores
 * what does not concern it. What is written is done at once, by the write() itself, and
 * one thing at a time.
 */
#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/kstrtox.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <popcorn/core.h>
#include <popcorn/msg.h>
#include <popcorn/partition.h>

#include "load.h"

DEFINE_MUTEX(pcn_load_drive_lock);

static const char * const fault_names[LOAD_FAULTS] = {
	[LOAD_FAULT_NONE]	= "none",
	[LOAD_FAULT_LOST]	= "lost",
	[LOAD_FAULT_TWICE]	= "twice",
	[LOAD_FAULT_DAMAGED]	= "damaged",
	[LOAD_FAULT_SHORT]	= "short",
};

static int parse_kernels(const char *value, struct load_arguments *to)
{
	DECLARE_BITMAP(kernels, PCN_KERNELS_MAX);
	int err = bitmap_parselist(value, kernels, PCN_KERNELS_MAX);

	bitmap_to_arr64(&to->plan.kernels, kernels, PCN_KERNELS_MAX);
	return err;
}

static int parse_messages(const char *value, struct load_arguments *to)
{
	return kstrtou32(value, 0, &to->plan.messages);
}

static int parse_channel(const char *name)
{
	unsigned int channel;

	for (channel = 0; channel < PCN_CHANNELS; channel++)
		if (!strcmp(name, pcn_channel_name(channel)))
			return channel;
	return -EINVAL;
}

static int parse_channels(const char *value, struct load_arguments *to)
{
	char names[64], *rest = names, *name;
	int channel;

	if (strscpy(names, value, sizeof(names)) < 0)
		return -EINVAL;
	to->plan.channels = 0;
	while ((name = strsep(&rest, ","))) {
		channel = parse_channel(name);
		if (channel < 0)
			return channel;
		to->plan.channels |= BIT(channel);
	}
	return 0;
}

static int parse_size(const char *value, struct load_arguments *to)
{
	to->plan.size = LOAD_SIZE_RANDOM;
	if (!strcmp(value, "random"))
		return 0;
	to->plan.size = LOAD_SIZE_LIMIT;
	if (!strcmp(value, "max"))
		return 0;
	return kstrtou32(value, 0, &to->plan.size);
}

static int parse_seed(const char *value, struct load_arguments *to)
{
	return kstrtou64(value, 0, &to->plan.seed);
}

static int parse_rate(const char *value, struct load_arguments *to)
{
	return kstrtou32(value, 0, &to->plan.rate);
}

static int parse_fault(const char *value, struct load_arguments *to)
{
	int fault = match_string(fault_names, LOAD_FAULTS, value);

	if (fault < 0)
		return fault;
	to->plan.fault = fault;
	return 0;
}

static int parse_kid(const char *value, struct load_arguments *to)
{
	int err = kstrtou32(value, 0, &to->kid);

	return err ?: to->kid < PCN_KERNELS_MAX ? 0 : -EINVAL;
}

static int parse_idle(const char *value, struct load_arguments *to)
{
	return kstrtou32(value, 0, &to->idle_us);
}

static int parse_try(const char *value, struct load_arguments *to)
{
	to->plan.tries = true;
	return value ? -EINVAL : 0;
}

static int parse_stop(const char *value, struct load_arguments *to)
{
	to->stop = true;
	return value ? -EINVAL : 0;
}

static const struct {
	const char *name;
	bool has_value;
	int (*parse)(const char *value, struct load_arguments *to);
} keys[] = {
	{ "kernels",	true,	parse_kernels },
	{ "messages",	true,	parse_messages },
	{ "count",	true,	parse_messages },
	{ "channels",	true,	parse_channels },
	{ "channel",	true,	parse_channels },
	{ "size",	true,	parse_size },
	{ "seed",	true,	parse_seed },
	{ "rate",	true,	parse_rate },
	{ "fault",	true,	parse_fault },
	{ "kid",	true,	parse_kid },
	{ "idle_us",	true,	parse_idle },
	{ "try",	false,	parse_try },
	{ "stop",	false,	parse_stop },
};

static int parse_word(char *word, struct load_arguments *to)
{
	const char *name = strsep(&word, "=");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(name, keys[i].name) && !word == !keys[i].has_value)
			return keys[i].parse(word, to);
	return -EINVAL;
}

static int load_parse(char *text, struct load_arguments *to)
{
	char *word;
	int err;

	*to = (struct load_arguments) {
		.plan = {
			.seed = 1,
			.kernels = pcn_peers_up() | BIT_ULL(pcn_self()),
			.messages = 1000,
			.size = LOAD_SIZE_RANDOM,
			.channels = BIT(PCN_CHANNELS) - 1,
		},
	};
	while ((word = strsep(&text, " \t\n"))) {
		err = *word ? parse_word(word, to) : 0;
		if (err)
			return err;
	}
	return 0;
}

/**
 * pcn_load_write - parse what was written to a file, and do it
 * @from:	the text
 * @count:	its length
 * @act:	does it, with pcn_load_drive_lock held; returns 0 or an error
 *
 * Context: process; sleeps.
 * Return: @count; -EINVAL, -EFAULT the text cannot be parsed or read; -EINTR a signal; or
 * what @act says.
 */
ssize_t pcn_load_write(const char __user *from, size_t count,
		       int (*act)(struct load_arguments *arguments))
{
	struct load_arguments arguments;
	char text[256];
	int err;

	if (count >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, from, count))
		return -EFAULT;
	text[count] = '\0';
	err = load_parse(text, &arguments);
	if (err)
		return err;
	if (mutex_lock_interruptible(&pcn_load_drive_lock))
		return -EINTR;
	err = act(&arguments);
	mutex_unlock(&pcn_load_drive_lock);
	return err ?: count;
}

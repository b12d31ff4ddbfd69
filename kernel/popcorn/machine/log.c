// SPDX-License-Identifier: GPL-2.0
/*
 * A secondary's kernel log in the window.
 *
 * The secondary writes it as a console does, so that a line is there as soon
 * as printk() has returned and stays when the kernel dies. The primary reads
 * it at any time. The only synchronisation is the count of bytes written: it
 * is stored after the text, and a reader looks at it again after copying, to
 * throw away what may have been overwritten meanwhile.
 */
#include <linux/console.h>
#include <linux/init.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "internal.h"

/*
 * Bytes that a write under way cannot be overwriting: one printk() is shorter
 * than a page.
 */
#define LOG_READABLE	(PCN_LOG_TEXT - PAGE_SIZE)

/**
 * pcn_log_write - append text to a log
 * @log:	the log; the caller is its only writer
 * @text:	what to append
 * @count:	bytes
 *
 * Context: any.
 */
void pcn_log_write(struct pcn_log *log, const char *text, size_t count)
{
	u64 head = log->head;
	size_t at, part;

	for (; count; count -= part, text += part) {
		at = head % PCN_LOG_TEXT;
		part = min(count, PCN_LOG_TEXT - at);
		memcpy(log->text + at, text, part);
		head += part;
		/* Pairs with the acquire in pcn_log_read(). */
		smp_store_release(&log->head, head);
	}
}

/**
 * pcn_log_read - read a log, the oldest byte that is still there first
 * @log:	the log; somebody may be writing it
 * @to:		where to copy to
 * @offset:	bytes to skip
 * @count:	bytes to copy at most
 *
 * While the ring wraps, offsets of consecutive reads move with the oldest
 * byte: a reader that needs a consistent text has to compare two passes.
 *
 * Context: any.
 * Return: bytes copied, 0 at the end.
 */
ssize_t pcn_log_read(const struct pcn_log *log, char *to, loff_t offset,
		     size_t count)
{
	/* Pairs with the release in pcn_log_write(). */
	u64 head = smp_load_acquire(&log->head);
	u64 from = (head > LOG_READABLE ? head - LOG_READABLE : 0) + offset;
	u64 byte, lost;

	if (from >= head)
		return 0;
	count = min_t(u64, count, head - from);
	for (byte = from; byte < from + count; byte++)
		to[byte - from] = READ_ONCE(log->text[byte % PCN_LOG_TEXT]);

	/* The copy first, then the look at what has been overwritten. */
	smp_rmb();
	head = READ_ONCE(log->head);
	if (head <= from + LOG_READABLE)
		return count;
	lost = min_t(u64, head - LOG_READABLE - from, count);
	memmove(to, to + lost, count - lost);
	return count - lost;
}

static struct pcn_log *console_log;

static void console_write(struct console *console, const char *text,
			  unsigned int count)
{
	pcn_log_write(console_log, text, count);
}

static struct console log_console = {
	.name	= "pcnlog",
	.write	= console_write,
	.flags	= CON_PRINTBUFFER | CON_ENABLED | CON_ANYTIME,
	.index	= -1,
};

/**
 * pcn_log_register_console - let this kernel's printk() go to a log
 * @log:	its log, empty
 *
 * Context: setup_arch().
 */
void __init pcn_log_register_console(struct pcn_log *log)
{
	console_log = log;
	register_console(&log_console);
}

/**
 * pcn_log_move - the log is mapped at another address now
 * @log:	the same log
 *
 * Context: interrupts off, single threaded.
 */
void __init pcn_log_move(struct pcn_log *log)
{
	console_log = log;
}

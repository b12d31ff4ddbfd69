// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/popcorn_console: sessions with the terminals of other kernels.
 *
 * A file that has been opened is given a kernel by an ioctl, and is a session with its
 * terminal from then on: what is read has been printed there, what is written is typed. The
 * session is over when the file is closed, or the kernel dies, which read(2) says as an error.
 */
#define pr_fmt(fmt) "popcorn: " fmt

#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kfifo.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/time64.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <uapi/linux/popcorn.h>

#include <popcorn/hooks.h>
#include <popcorn/msg.h>
#include <popcorn/partition.h>

#include "terminal.h"

/* A kernel that is up answers within this time. */
#define ASK_LIMIT_MS	(5 * MSEC_PER_SEC)

/**
 * struct watch - a session, as the kernel that watches has it
 * @node:	in watches, as long as messages may come
 * @mutex:	one reads, writes or asks at a time
 * @kid:	the kernel of the terminal
 * @number:	of the session; 0: there is none yet
 * @over:	why there will be nothing more: a negative errno; or 0
 * @credit:	bytes that may be typed
 * @owed:	bytes that were read, and not told of
 * @farewell:	memory to tell the terminal that the session is over
 * @changed:	something has come
 * @output:	what was printed, and not been read
 * @part:	of what is being read, or typed
 */
struct watch {
	struct list_head	node;
	struct mutex		mutex;
	unsigned int		kid;
	u32			number;
	int			over;
	u32			credit;
	u32			owed;
	struct pcn_reserve	farewell;
	wait_queue_head_t	changed;
	DECLARE_KFIFO(output, u8, PCN_TTY_OUTPUT);
	struct {
		struct pcn_tty_msg	m;
		u8			data[PCN_TTY_PART];
	} part;
};

static LIST_HEAD(watches);
static u32 last_number;
/* Protects both, and what of a watch changes by messages. */
static DEFINE_SPINLOCK(watch_lock);

/* --- from the terminal --- */

static struct watch *find_watch(unsigned int kid, u32 number)
{
	struct watch *w;

	lockdep_assert_held(&watch_lock);
	list_for_each_entry(w, &watches, node)
		if (w->kid == kid && w->number == number)
			return w;
	return NULL;
}

static int watch_take(struct watch *w, const struct pcn_tty_msg *m, u32 length)
{
	switch (m->op) {
	case PCN_TTY_DATA:
		/* There is room for what an honest kernel sends. */
		return kfifo_in(&w->output, m->data, length) == length ? 0 : -EINVAL;
	case PCN_TTY_CREDIT:
		w->credit = min_t(u64, (u64)w->credit + m->n, PCN_TTY_INPUT);
		return 0;
	default:
		return -EINVAL;
	}
}

/*
 * A message about a session with the terminal of another kernel; in a handler. 0;
 * -ENOTCONN: there is no such session, -EINVAL: it is not what an honest kernel sends.
 */
static int watch_on(unsigned int kid, const struct pcn_tty_msg *m, u32 length)
{
	int err = -ENOTCONN;
	unsigned long flags;
	struct watch *w;

	spin_lock_irqsave(&watch_lock, flags);
	w = find_watch(kid, m->session);
	if (w) {
		err = watch_take(w, m, length);
		wake_up(&w->changed);
	}
	spin_unlock_irqrestore(&watch_lock, flags);
	return err;
}

static void watch_down(struct pcn_peer_notifier *notifier, unsigned int kid)
{
	struct watch *w;

	spin_lock_irq(&watch_lock);
	list_for_each_entry(w, &watches, node) {
		if (w->kid != kid || w->over)
			continue;
		w->over = -EHOSTDOWN;
		wake_up(&w->changed);
	}
	spin_unlock_irq(&watch_lock);
}

static struct pcn_peer_notifier peers = {
	.down	= watch_down,
};

static void on_message(const struct pcn_message *msg)
{
	const struct pcn_tty_msg *m = msg->payload;
	int err = -EINVAL;

	if (msg->length >= sizeof(*m) && msg->length <= sizeof(*m) + PCN_TTY_PART)
		err = (m->to_terminal ? pcn_terminal_on : watch_on)(msg->kid, m,
								msg->length - sizeof(*m));
	/* An honest kernel cannot know that there are enough sessions. */
	if (err && err != -EBUSY)
		pcn_msg_refuse(msg);
	if (msg->request)
		pcn_msg_reply(msg, err, NULL, 0);
}

static const struct pcn_msg_type terminal_type = {
	.name		= "terminal",
	.channel	= PCN_TTY,
	.type		= PCN_TYPE_TERMINAL,
	.handle		= on_message,
};

/* --- to the terminal --- */

static int tell(const struct watch *w, enum pcn_tty_op op, u32 n)
{
	struct pcn_tty_msg m = {
		.session = w->number, .op = op, .to_terminal = 1, .n = n,
	};

	return pcn_msg_send(w->kid, PCN_TTY, PCN_TYPE_TERMINAL, &m, sizeof(m));
}

/* To begin with a window of that size, or to go on with it. */
static int ask(const struct watch *w, enum pcn_tty_op op, const struct pcn_console *c)
{
	struct pcn_tty_msg m = {
		.session = w->number, .op = op, .to_terminal = 1,
		.rows = c->rows, .columns = c->columns,
	};

	return pcn_msg_call(w->kid, PCN_TTY, PCN_TYPE_TERMINAL, &m, sizeof(m), NULL, NULL,
			    ASK_LIMIT_MS);
}

static int watch_open(struct inode *inode, struct file *file)
{
	struct watch *w = kzalloc(sizeof(*w), GFP_KERNEL_ACCOUNT);

	if (!w)
		return -ENOMEM;
	mutex_init(&w->mutex);
	init_waitqueue_head(&w->changed);
	INIT_KFIFO(w->output);
	INIT_LIST_HEAD(&w->node);
	/* misc_open() has left the device there. */
	file->private_data = w;
	return stream_open(inode, file);
}

/* From now on messages find it. */
static void watch_begin(struct watch *w, unsigned int kid)
{
	spin_lock_irq(&watch_lock);
	w->kid = kid;
	w->over = 0;
	w->owed = 0;
	w->credit = PCN_TTY_INPUT;
	kfifo_reset(&w->output);
	w->number = ++last_number ?: ++last_number;
	list_add(&w->node, &watches);
	spin_unlock_irq(&watch_lock);
}

/*
 * The terminal is told whatever has become of the session: it waits for one that it still
 * has. To close one that it has not does no harm.
 */
static void watch_end(struct watch *w)
{
	struct pcn_tty_msg m = {
		.session = w->number, .op = PCN_TTY_CLOSE, .to_terminal = 1,
	};

	spin_lock_irq(&watch_lock);
	list_del_init(&w->node);
	spin_unlock_irq(&watch_lock);
	if (w->number)
		pcn_msg_post_from(&w->farewell, w->kid, PCN_TTY, PCN_TYPE_TERMINAL, &m,
				  sizeof(m));
	w->number = 0;
}

static int watch_attach(struct watch *w, const struct pcn_console *c)
{
	int err;

	if (c->kid >= PCN_KERNELS_MAX || c->kid == pcn_self())
		return -EINVAL;
	if (w->number)
		return c->kid == w->kid ? ask(w, PCN_TTY_SIZE, c) : -EALREADY;
	if (!pcn_reserve_fill(&w->farewell, 1, GFP_KERNEL_ACCOUNT))
		return -ENOMEM;
	watch_begin(w, c->kid);
	err = ask(w, PCN_TTY_OPEN, c);
	if (err)
		watch_end(w);
	return err;
}

static long watch_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct watch *w = file->private_data;
	struct pcn_console c;
	int err;

	if (cmd != PCN_IOC_CONSOLE)
		return -ENOTTY;
	if (copy_from_user(&c, (void __user *)arg, sizeof(c)))
		return -EFAULT;
	if (mutex_lock_interruptible(&w->mutex))
		return -ERESTARTSYS;
	err = watch_attach(w, &c);
	mutex_unlock(&w->mutex);
	return err;
}

static int watch_release(struct inode *inode, struct file *file)
{
	struct watch *w = file->private_data;

	watch_end(w);
	pcn_reserve_empty(&w->farewell);
	kfree(w);
	return 0;
}

static u32 peek_output(struct watch *w, size_t count)
{
	u32 n;

	spin_lock_irq(&watch_lock);
	n = kfifo_out_peek(&w->output, w->part.data, min_t(size_t, count, PCN_TTY_PART));
	spin_unlock_irq(&watch_lock);
	return n;
}

static void skip_output(struct watch *w, u32 n)
{
	spin_lock_irq(&watch_lock);
	kfifo_skip_count(&w->output, n);
	w->owed += n;
	spin_unlock_irq(&watch_lock);
}

/* Not for each byte, but before the terminal would have to wait. */
static void give_credit(struct watch *w)
{
	if (w->over || !w->owed ||
	    (w->owed < PCN_TTY_OUTPUT / 4 && !kfifo_is_empty(&w->output)))
		return;
	if (!tell(w, PCN_TTY_CREDIT, w->owed))
		w->owed = 0;
}

/* The mutex is held, and let go meanwhile. 0, or an error. */
static int watch_wait(struct watch *w, struct file *file, bool (*is_ready)(struct watch *w))
{
	int err = 0;

	while (!is_ready(w)) {
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		mutex_unlock(&w->mutex);
		err = wait_event_interruptible(w->changed, is_ready(w));
		mutex_lock(&w->mutex);
		if (err)
			return err;
	}
	return 0;
}

static bool may_read(struct watch *w)
{
	return !kfifo_is_empty(&w->output) || READ_ONCE(w->over);
}

static bool may_write(struct watch *w)
{
	return READ_ONCE(w->credit) || READ_ONCE(w->over);
}

static ssize_t read_part(struct watch *w, struct file *file, char __user *data,
			 size_t count)
{
	int err;
	u32 n;

	if (!w->number)
		return -ENOTCONN;
	give_credit(w);
	err = watch_wait(w, file, may_read);
	if (err)
		return err;
	n = peek_output(w, count);
	if (!n)
		return w->over;
	if (copy_to_user(data, w->part.data, n))
		return -EFAULT;
	skip_output(w, n);
	give_credit(w);
	return n;
}

static ssize_t watch_read(struct file *file, char __user *data, size_t count,
			  loff_t *offset)
{
	struct watch *w = file->private_data;
	ssize_t ret;

	if (mutex_lock_interruptible(&w->mutex))
		return -ERESTARTSYS;
	ret = count ? read_part(w, file, data, count) : 0;
	mutex_unlock(&w->mutex);
	return ret;
}

static u32 take_credit(struct watch *w, size_t count)
{
	u32 n;

	spin_lock_irq(&watch_lock);
	n = min3(count, (size_t)w->credit, (size_t)PCN_TTY_PART);
	w->credit -= n;
	spin_unlock_irq(&watch_lock);
	return n;
}

static void return_credit(struct watch *w, u32 n)
{
	spin_lock_irq(&watch_lock);
	w->credit = min_t(u64, (u64)w->credit + n, PCN_TTY_INPUT);
	wake_up(&w->changed);
	spin_unlock_irq(&watch_lock);
}

static ssize_t write_part(struct watch *w, struct file *file, const char __user *data,
			  size_t count)
{
	int err;
	u32 n;

	if (!w->number)
		return -ENOTCONN;
	err = watch_wait(w, file, may_write);
	if (err)
		return err;
	if (w->over)
		return w->over;
	n = take_credit(w, count);
	if (copy_from_user(w->part.data, data, n)) {
		return_credit(w, n);
		return -EFAULT;
	}
	w->part.m = (struct pcn_tty_msg) {
		.session = w->number, .op = PCN_TTY_DATA, .to_terminal = 1,
	};
	err = pcn_msg_send(w->kid, PCN_TTY, PCN_TYPE_TERMINAL, &w->part,
			   sizeof(w->part.m) + n);
	if (err)
		return_credit(w, n);
	return err ?: n;
}

static ssize_t watch_write(struct file *file, const char __user *data, size_t count,
			   loff_t *offset)
{
	struct watch *w = file->private_data;
	ssize_t ret = 0, done = 0;

	if (mutex_lock_interruptible(&w->mutex))
		return -ERESTARTSYS;
	while (done < count) {
		ret = write_part(w, file, data + done, count - done);
		if (ret <= 0)
			break;
		done += ret;
	}
	mutex_unlock(&w->mutex);
	return done ?: ret;
}

static __poll_t watch_poll(struct file *file, poll_table *wait)
{
	struct watch *w = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &w->changed, wait);
	if (may_read(w))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (may_write(w))
		mask |= EPOLLOUT | EPOLLWRNORM;
	if (READ_ONCE(w->over))
		mask |= EPOLLHUP;
	return mask;
}

static const struct file_operations watch_operations = {
	.owner		= THIS_MODULE,
	.open		= watch_open,
	.release	= watch_release,
	.read		= watch_read,
	.write		= watch_write,
	.poll		= watch_poll,
	.unlocked_ioctl	= watch_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static struct miscdevice watch_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "popcorn_console",
	.fops	= &watch_operations,
	.mode	= 0600,
};

static int __init watch_init(void)
{
	int err;

	BUILD_BUG_ON(sizeof(struct pcn_tty_msg) != 16);
	if (!pcn_machine_is_shared())
		return 0;
	err = pcn_msg_register(&terminal_type) ?: pcn_peers_subscribe(&peers);
	return err ?: misc_register(&watch_device);
}
device_initcall(watch_init);

// SPDX-License-Identifier: GPL-2.0
/*
 * Which service handles which type of message.
 *
 * Polls look types up without a lock; pcn_msg_unregister() waits until no poll and
 * no work item can still be using the type.
 */
#include <linux/errno.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>

#include "internal.h"

static const struct pcn_msg_type *types[PCN_CHANNELS][PCN_TYPES];
static DEFINE_MUTEX(types_lock);

/**
 * pcn_type_find - the handler for a message
 * @channel:	as the peer has it: may be anything
 * @type:	as the peer has it: may be anything
 *
 * Context: a poll or a work item of the messaging layer.
 * Return: the type, or NULL.
 */
const struct pcn_msg_type *pcn_type_find(u8 channel, u16 type)
{
	if (channel >= PCN_CHANNELS || type >= PCN_TYPES)
		return NULL;
	/* Pairs with the release in pcn_msg_register(). */
	return smp_load_acquire(&types[channel][type]);
}

/**
 * pcn_msg_register - have messages of a type handled
 * @type:	the type; stays until it is unregistered
 *
 * Context: process.
 * Return: 0; -EINVAL no such channel or number, no handler, or functions that do not go
 * together; -EBUSY taken.
 */
int pcn_msg_register(const struct pcn_msg_type *type)
{
	int err = -EBUSY;

	if ((unsigned int)type->channel >= PCN_CHANNELS ||
	    type->type >= PCN_TYPES || !type->handle ||
	    !type->buffer != !type->discard || (type->buffer && type->may_sleep))
		return -EINVAL;
	mutex_lock(&types_lock);
	if (!types[type->channel][type->type]) {
		/* Pairs with the acquire in pcn_type_find(). */
		smp_store_release(&types[type->channel][type->type], type);
		err = 0;
	}
	mutex_unlock(&types_lock);
	return err;
}

/**
 * pcn_msg_unregister - do not handle messages of a type any more
 * @type:	what was registered; free to go when this returns
 *
 * Waits for handlers that are running.
 *
 * Context: process, not from a handler.
 */
void pcn_msg_unregister(const struct pcn_msg_type *type)
{
	struct pcn_link *link;
	unsigned int i;

	mutex_lock(&types_lock);
	if (types[type->channel][type->type] == type)
		WRITE_ONCE(types[type->channel][type->type], NULL);
	mutex_unlock(&types_lock);
	pcn_poll_sync();
	for_each_link(link, i)
		if (link->handlers)
			flush_workqueue(link->handlers);
}

/**
 * pcn_msg_sync - wait for all handlers that run and do not sleep
 *
 * Those that begin later see what the caller has done before.
 *
 * Context: process; from a handler only if that may sleep.
 */
void pcn_msg_sync(void)
{
	pcn_poll_sync();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Blocks: room in the window for the rings that need more of it than others.
 *
 * Each ring has a base of some KiB. The larger data of all rings that a kernel writes is
 * in blocks of its pool, of which there may be fewer than rings. A port whose ring is full,
 * or whose message is longer than the base, gets a block if one is free, and keeps
 * it (pcn_port_grow() in send.c). If none is free,
 *
 * - a message that fits the base waits for room there;
 * - a longer one waits for a block. As long as a port waits for one, ports with a block
 *   let their rings run empty, go back to the base and give it back (port_yield() in send.c).
 *   It goes to the ports that wait, in turn.
 *
 * Nobody else decides on a block: it is written by its kernel alone, a ring goes from place
 * to place when its producer finds it empty, and a peer's word that it is empty is all
 * that a block waits for. A link that is closed gives its blocks back at once (ring.c has the
 * argument). So a peer that does not read keeps up to one block per channel from other
 * rings, until its link breaks or it ends, and with it nothing but long messages: what fits
 * the bases goes on. Block 0 of a secondary is for its rings to the primary alone,
 * unless there are enough for all, so that no other secondary stands between the two.
 *
 * That kernels wait for blocks does not make a circle where there was none (see the head of
 * send.c): a ring whose consumer takes what is in it, as all do in the end, runs empty,
 * since a ring that is to go back takes nothing more before that.
 *
 * No wakeup is lost. A port that waits for a block and the ports that have one are among
 * pcn_ports_waiting as long as somebody waits: both that and the turn are under the pool's
 * lock, with which also pcn_block_rest() takes a port out. So each look of a poll
 * flushes all of them. A poll looks whenever a port begins to wait or a block comes free,
 * by an irq_work, since both may happen in any context; and when a consumer has taken
 * what is in a ring that is to go back, which is waited for as all room is.
 */
#include <linux/bitmap.h>
#include <linux/irq_work.h>
#include <linux/spinlock.h>

#include <popcorn/core.h>
#include <popcorn/hooks.h>

#include "internal.h"

#define PORTS	(PCN_KERNELS_MAX * PCN_CHANNELS)
#define NOBODY	PORTS

/*
 * struct pool - this kernel's blocks
 * @lock:	protects all; taken with interrupts off
 * @blocks:	their number
 * @holder:	per block: number of the port that has it, or NOBODY
 * @wanting:	ports that wait for a block
 * @wanted:	their number
 * @turn:	the port that comes first when there is one
 *
 * No block is free that a port in @wanting may have.
 */
struct pool {
	spinlock_t	lock;
	unsigned int	blocks;
	u16		holder[PCN_BLOCKS_MAX];
	DECLARE_BITMAP(wanting, PORTS);
	unsigned int	wanted;
	unsigned int	turn;
};

static struct pool pool = {
	.lock = __SPIN_LOCK_UNLOCKED(pool.lock),
};

static void look_at_ports(struct irq_work *work)
{
	pcn_poll_kick_hardirq(PCN_POLL_THREAD);
	pcn_poll_kick_hardirq(PCN_POLL_SOFTIRQ);
}

static DEFINE_IRQ_WORK(look_work, look_at_ports);

/**
 * pcn_blocks_init - begin with all blocks free
 * @blocks:	their number, at most PCN_BLOCKS_MAX
 *
 * Context: any, before there is a link.
 */
void pcn_blocks_init(unsigned int blocks)
{
	unsigned int i;

	pool.blocks = blocks;
	for (i = 0; i < PCN_BLOCKS_MAX; i++)
		pool.holder[i] = NOBODY;
}

static bool may_have(unsigned int port, unsigned int block)
{
	return block || !pcn_is_secondary() || port / PCN_CHANNELS == 0 ||
	       pool.blocks >= pcn_pool_most(&pcn_facts()->layout);
}

static int block_of(unsigned int port)
{
	unsigned int i;

	for (i = 0; i < pool.blocks; i++)
		if (pool.holder[i] == port)
			return i;
	return -1;
}

/* The port in @wanting that is to have a block. */
static unsigned int next_for(unsigned int block)
{
	unsigned int port;

	for_each_set_bit_wrap(port, pool.wanting, PORTS, pool.turn)
		if (may_have(port, block))
			return port;
	return NOBODY;
}

static void begin_wanting(unsigned int port)
{
	unsigned int i;

	if (__test_and_set_bit(port, pool.wanting))
		return;
	WRITE_ONCE(pool.wanted, pool.wanted + 1);
	set_bit(port, pcn_ports_waiting);
	for (i = 0; i < pool.blocks; i++)
		if (pool.holder[i] != NOBODY)
			set_bit(pool.holder[i], pcn_ports_waiting);
	irq_work_queue(&look_work);
}

static void end_wanting(unsigned int port)
{
	if (__test_and_clear_bit(port, pool.wanting))
		WRITE_ONCE(pool.wanted, pool.wanted - 1);
}

static void put_block(unsigned int block)
{
	unsigned int port = next_for(block);

	pool.holder[block] = port;
	if (port == NOBODY)
		return;
	end_wanting(port);
	pool.turn = (port + 1) % PORTS;
	irq_work_queue(&look_work);
}

/* Does anybody wait who may have that block? It may be none. */
static bool is_wanted(int block)
{
	return pool.wanted && block >= 0 && next_for(block) != NOBODY;
}

/* A free block for a port, or the one that it has got in its turn. */
static int take_block(unsigned int port)
{
	int block = block_of(port);
	unsigned int i;

	for (i = 0; block < 0 && i < pool.blocks; i++)
		if (pool.holder[i] == NOBODY && may_have(port, i))
			block = i;
	if (block >= 0)
		pool.holder[block] = port;
	return block;
}

/**
 * pcn_block_get - get a block for a port's ring
 * @port:	the number of the port
 * @wait:	if there is none, have the port flushed when it has got one
 *
 * Context: any, with the port's tx_lock held.
 * Return: the number of the block, or -1.
 */
int pcn_block_get(unsigned int port, bool wait)
{
	unsigned long flags;
	int block;

	spin_lock_irqsave(&pool.lock, flags);
	block = take_block(port);
	if (block >= 0)
		end_wanting(port);
	else if (wait && pool.blocks)
		begin_wanting(port);
	spin_unlock_irqrestore(&pool.lock, flags);
	return block;
}

/**
 * pcn_block_put - give a port's block back, and wait for none any more
 * @port:	the number of the port, which may have none; its ring is at its base, or closed
 *
 * Context: any, with the port's tx_lock held.
 */
void pcn_block_put(unsigned int port)
{
	unsigned long flags;
	int block;

	spin_lock_irqsave(&pool.lock, flags);
	end_wanting(port);
	block = block_of(port);
	if (block >= 0)
		put_block(block);
	spin_unlock_irqrestore(&pool.lock, flags);
}

/**
 * pcn_block_is_to_go - does a port have a block that others wait for?
 * @port:	the number of the port
 *
 * Context: any, with the port's tx_lock held.
 */
bool pcn_block_is_to_go(unsigned int port)
{
	unsigned long flags;
	bool yes;

	if (!READ_ONCE(pool.wanted))
		return false;
	spin_lock_irqsave(&pool.lock, flags);
	yes = is_wanted(block_of(port));
	spin_unlock_irqrestore(&pool.lock, flags);
	return yes;
}

/**
 * pcn_block_rest - nothing waits for room on a port any more
 * @port:	the number of the port
 *
 * Takes it out of pcn_ports_waiting, unless it has a block that others wait for.
 *
 * Context: any, with the port's tx_lock held.
 * Return: false if it stays there.
 */
bool pcn_block_rest(unsigned int port)
{
	unsigned long flags;
	bool rest;

	spin_lock_irqsave(&pool.lock, flags);
	end_wanting(port);
	rest = !is_wanted(block_of(port));
	if (rest)
		clear_bit(port, pcn_ports_waiting);
	spin_unlock_irqrestore(&pool.lock, flags);
	return rest;
}

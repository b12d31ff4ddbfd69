// SPDX-License-Identifier: GPL-2.0
/*
 * At which kernel are addresses that are no kernel's own? Those of interfaces that a kernel has
 * bridged to pcn0, of a macvlan, or one that an administrator has set.
 *
 * Each frame that comes from such an address says at which kernel it is, and is believed for
 * AGE. A peer has PCN_NET_FDB_PEER entries and cannot drive out those of others. An address that
 * moves to another kernel moves here with its first frame; so a peer can have the frames for such
 * an address, as on any segment, but not those for a kernel's own.
 */
#include <linux/etherdevice.h>
#include <linux/jhash.h>
#include <linux/jiffies.h>
#include <linux/once.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <popcorn/partition.h>

#include "net.h"

/* As a bridge's default. */
#define AGE		(300 * HZ)
/* Times between two looks for entries that are too old. */
#define LOOK		(60 * HZ)
#define BUCKETS		256

/**
 * struct entry - where an address is
 * @node:	in its bucket
 * @rcu:	frees it
 * @address:	the address
 * @kid:	at which kernel it is; changed with fdb_lock held
 * @seen:	when a frame came from it, in jiffies
 */
struct entry {
	struct hlist_node	node;
	struct rcu_head		rcu;
	u8			address[ETH_ALEN];
	unsigned int		kid;
	unsigned long		seen;
};

static struct hlist_head buckets[BUCKETS];
static unsigned int entries_of[PCN_KERNELS_MAX];
/* Protects all that is written here; softirq. Readers have RCU. */
static DEFINE_SPINLOCK(fdb_lock);

static void look_for_old(struct work_struct *work);
static DECLARE_DELAYED_WORK(age_work, look_for_old);

static struct hlist_head *bucket_of(const u8 *address)
{
	static u32 seed;

	/* No peer knows which addresses get into one bucket. */
	get_random_once(&seed, sizeof(seed));
	return &buckets[jhash(address, ETH_ALEN, seed) % ARRAY_SIZE(buckets)];
}

static struct entry *find_entry(const u8 *address)
{
	struct entry *e;

	hlist_for_each_entry_rcu(e, bucket_of(address), node, lockdep_is_held(&fdb_lock))
		if (ether_addr_equal(e->address, address))
			return e;
	return NULL;
}

static bool is_old(const struct entry *e)
{
	return time_after(jiffies, READ_ONCE(e->seen) + AGE);
}

static void remove_entry(struct entry *e)
{
	lockdep_assert_held(&fdb_lock);
	entries_of[e->kid]--;
	hlist_del_rcu(&e->node);
	kfree_rcu(e, rcu);
}

static bool add_entry(const u8 *address, unsigned int kid)
{
	struct entry *e;

	lockdep_assert_held(&fdb_lock);
	if (entries_of[kid] >= PCN_NET_FDB_PEER)
		return false;
	e = kzalloc(sizeof(*e), GFP_ATOMIC | __GFP_NOWARN);
	if (!e)
		return false;
	ether_addr_copy(e->address, address);
	e->kid = kid;
	e->seen = jiffies;
	entries_of[kid]++;
	hlist_add_head_rcu(&e->node, bucket_of(address));
	schedule_delayed_work(&age_work, LOOK);
	return true;
}

/* It is at another kernel now, if that may have one more. */
static bool move_entry(struct entry *e, unsigned int kid)
{
	lockdep_assert_held(&fdb_lock);
	if (entries_of[kid] >= PCN_NET_FDB_PEER)
		return false;
	entries_of[e->kid]--;
	entries_of[kid]++;
	WRITE_ONCE(e->kid, kid);
	return true;
}

static bool learn_entry(const u8 *address, unsigned int kid)
{
	struct entry *e;
	bool done;

	spin_lock_bh(&fdb_lock);
	e = find_entry(address);
	done = !e ? add_entry(address, kid) : e->kid == kid || move_entry(e, kid);
	if (e && done)
		WRITE_ONCE(e->seen, jiffies);
	spin_unlock_bh(&fdb_lock);
	return done;
}

/* As a rule an address is known, and of many frames at once only the first one tells more. */
static bool was_just_seen(const u8 *address, unsigned int kid)
{
	const struct entry *e;
	bool was;

	rcu_read_lock();
	e = find_entry(address);
	was = e && READ_ONCE(e->kid) == kid && READ_ONCE(e->seen) == jiffies;
	rcu_read_unlock();
	return was;
}

/**
 * pcn_net_fdb_learn - a frame has come from an address
 * @net:	the interface
 * @address:	the address
 * @kid:	from which kernel it came
 *
 * Context: softirq.
 */
void pcn_net_fdb_learn(struct pcn_net *net, const u8 address[ETH_ALEN], unsigned int kid)
{
	if (pcn_net_kid_of(address) == PCN_NET_FOREIGN && !was_just_seen(address, kid) &&
	    !learn_entry(address, kid))
		pcn_net_count(net, PCN_NET_FDB_FULL);
}

/**
 * pcn_net_fdb_find - at which kernel is an address?
 * @address:	no kernel's own
 *
 * Context: softirqs are off.
 * Return: the kernel; PCN_NET_FOREIGN if that is not known.
 */
unsigned int pcn_net_fdb_find(const u8 address[ETH_ALEN])
{
	const struct entry *e;
	unsigned int kid = PCN_NET_FOREIGN;

	rcu_read_lock();
	e = find_entry(address);
	if (e && !is_old(e))
		kid = READ_ONCE(e->kid);
	rcu_read_unlock();
	return kid;
}

/* Removes those of @kid, or those that are too old. Returns the number of those that stay. */
static unsigned int sweep_entries(unsigned int kid)
{
	unsigned int i, left = 0;
	struct hlist_node *next;
	struct entry *e;

	spin_lock_bh(&fdb_lock);
	for (i = 0; i < ARRAY_SIZE(buckets); i++) {
		hlist_for_each_entry_safe(e, next, &buckets[i], node) {
			left++;
			if (e->kid == kid || is_old(e)) {
				remove_entry(e);
				left--;
			}
		}
	}
	spin_unlock_bh(&fdb_lock);
	return left;
}

static void look_for_old(struct work_struct *work)
{
	if (sweep_entries(PCN_NET_FOREIGN))
		schedule_delayed_work(&age_work, LOOK);
}

/**
 * pcn_net_fdb_forget - forget all addresses at a kernel
 * @kid:	the kernel; it is down
 *
 * Context: process.
 */
void pcn_net_fdb_forget(unsigned int kid)
{
	sweep_entries(kid);
}

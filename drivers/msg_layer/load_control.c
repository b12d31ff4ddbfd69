// SPDX-License-Identifier: GPL-2.0
/*
 * Load generator: what kernels ask of each other.
 *
 * The kernel that drives a run asks all kernels of the plan, itself among them, by
 * requests on the control channel: to stop, to expect, to begin, and later what they have
 * counted (enum load_verb). A kernel that is down is dropped from the plan.
 */
#include <linux/bitmap.h>
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/mutex.h>
#include <linux/string.h>

#include <popcorn/core.h>
#include <popcorn/msg.h>
#include <popcorn/partition.h>

#include "load.h"

/* For how long a run may take to stop, and how often to look, ms. */
#define STOP_MS		60000
#define LOOK_MS		10

static int load_obey_locked(unsigned int from, const struct load_request *request,
			    struct load_reply *reply)
{
	switch (request->verb) {
	case LOAD_STOP:
		pcn_load_stop();
		return 0;
	case LOAD_PREPARE:
		return pcn_load_prepare(&request->plan);
	case LOAD_START:
		return pcn_load_start(&request->plan);
	case LOAD_SINK:
		pcn_load_sink(from);
		return 0;
	case LOAD_COLLECT:
		return pcn_load_collect(request, reply);
	case LOAD_RUNNING:
		return 0;
	default:
		return -EINVAL;
	}
}

static int load_obey(unsigned int from, const struct load_request *request,
		     struct load_reply *reply)
{
	int err;

	mutex_lock(&pcn_load_local_lock);
	/* Before the counts: when it says 0, they are final. */
	reply->running = pcn_load_running();
	err = load_obey_locked(from, request, reply);
	mutex_unlock(&pcn_load_local_lock);
	return err;
}

/**
 * pcn_load_on_control - handle PCN_TYPE_LOAD_CONTROL: do what is asked for, and answer
 * @msg:	the request; its payload is a struct load_request
 *
 * Context: process; sleeps.
 */
void pcn_load_on_control(const struct pcn_message *msg)
{
	struct load_reply reply = {};
	int err = -EINVAL;

	if (msg->length == sizeof(struct load_request))
		err = load_obey(msg->kid, msg->payload, &reply);
	pcn_msg_reply(msg, err, &reply, sizeof(reply));
}

/**
 * pcn_load_ask - ask a kernel
 * @kid:	the kernel; this one does not need a message
 * @verb:	what to do
 * @peer:	see struct load_request
 * @about:	the plan of the run, or NULL
 * @reply:	receives its answer; zeroes if there is none
 *
 * Context: process, without pcn_load_local_lock; sleeps.
 * Return: what the kernel says, or errors of pcn_msg_call(), or -EPROTO.
 */
int pcn_load_ask(unsigned int kid, enum load_verb verb, unsigned int peer,
		 const struct load_plan *about, struct load_reply *reply)
{
	struct load_request request = { .verb = verb, .peer = peer };
	u32 length = sizeof(*reply);
	int err;

	if (about)
		request.plan = *about;
	memset(reply, 0, sizeof(*reply));
	if (kid == pcn_self())
		return load_obey(kid, &request, reply);
	err = pcn_msg_call(kid, PCN_CONTROL, PCN_TYPE_LOAD_CONTROL, &request,
			   sizeof(request), reply, &length, LOAD_ANSWER_MS);
	if (!err && length != sizeof(*reply))
		err = -EPROTO;
	return err;
}

/**
 * pcn_load_ask_all - ask all kernels of a plan
 * @verb:	what to do
 * @about:	the plan; those that are down are dropped from it
 * @sum:	receives how many streams they are sending
 *
 * Context: process, without pcn_load_local_lock; sleeps.
 * Return: 0, or the first error that is not the death of a kernel.
 */
int pcn_load_ask_all(enum load_verb verb, struct load_plan *about, u32 *sum)
{
	unsigned long kernels = about->kernels;
	struct load_reply reply;
	unsigned int kid;
	int err;

	*sum = 0;
	for_each_set_bit(kid, &kernels, PCN_KERNELS_MAX) {
		err = pcn_load_ask(kid, verb, 0, about, &reply);
		if (err == -EHOSTDOWN || err == -EPROTO)
			about->kernels &= ~BIT_ULL(kid);
		else if (err)
			return err;
		*sum += reply.running;
	}
	return 0;
}

/**
 * pcn_load_stop_all - let all kernels of a plan send no more, and wait until it is so
 * @about:	the plan; those that are down are dropped from it
 *
 * Context: process, without pcn_load_local_lock; sleeps.
 * Return: 0; -EINTR a signal; -ETIMEDOUT; or errors of pcn_load_ask_all().
 */
int pcn_load_stop_all(struct load_plan *about)
{
	unsigned int waited;
	u32 sum;
	int err;

	for (waited = 0; waited < STOP_MS; waited += LOOK_MS) {
		err = pcn_load_ask_all(LOAD_STOP, about, &sum);
		if (err || !sum)
			return err;
		if (msleep_interruptible(LOOK_MS))
			return -EINTR;
	}
	return -ETIMEDOUT;
}

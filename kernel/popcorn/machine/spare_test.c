// SPDX-License-Identifier: GPL-2.0
/* KUnit tests of the question whether a CPU is anybody else's. */
#include <kunit/test.h>

#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/sched/stat.h>

#include <popcorn/core.h>

#define ROUNDS	50

/* Another task on the test's CPU, and what it does. */
static struct kthread_worker *worker;
static struct kthread_work work;

static void use(struct kthread_work *unused)
{
	mdelay(2);
}

/*
 * Of the times that the worker has just gone to sleep, which are those that it is left
 * in the run queue after it has used more than its share: is the CPU spare then?
 */
static void sleeper(struct kunit *test)
{
	unsigned int i, delayed = 0, spare = 0, single = 0;

	for (i = 0; i < ROUNDS; i++) {
		kthread_queue_work(worker, &work);
		while (task_is_running(worker->task))
			cond_resched();
		preempt_disable();
		if (worker->task->se.sched_delayed) {
			delayed++;
			spare += pcn_cpu_is_spare();
			single += single_task_running();
		}
		preempt_enable();
	}
	kunit_info(test, "of %u times %u spare, %u single", delayed, spare, single);
	KUNIT_EXPECT_GT(test, delayed, 0);
	KUNIT_EXPECT_GT(test, spare, delayed / 2);
}

/* What is about to run has. */
static void runner(struct kunit *test)
{
	bool spare;

	preempt_disable();
	kthread_queue_work(worker, &work);
	spare = pcn_cpu_is_spare();
	preempt_enable();
	kthread_flush_work(&work);
	KUNIT_EXPECT_FALSE(test, spare);
}

/* The thread that a case runs in ends with it: its affinity need not be restored. */
static int start(struct kunit *test)
{
	unsigned int cpu = get_cpu();

	put_cpu();
	set_cpus_allowed_ptr(current, cpumask_of(cpu));
	worker = kthread_create_worker_on_cpu(cpu, 0, "spare_test");
	if (IS_ERR(worker))
		return PTR_ERR(worker);
	kthread_init_work(&work, use);
	return 0;
}

/* Called also if that has failed. */
static void stop(struct kunit *test)
{
	if (!IS_ERR_OR_NULL(worker))
		kthread_destroy_worker(worker);
	worker = NULL;
}

static struct kunit_case cases[] = {
	KUNIT_CASE(sleeper),
	KUNIT_CASE(runner),
	{ }
};

static struct kunit_suite suite = {
	.name		= "popcorn_spare",
	.init		= start,
	.exit		= stop,
	.test_cases	= cases,
};
kunit_test_suite(suite);

MODULE_LICENSE("GPL");

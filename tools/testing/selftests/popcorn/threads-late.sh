#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# check: not with vote
# vm: --kernels 3 --mem 160M --timeout 200 --add build/tools/selftests:/programs
#
# A kernel is started, started again, or loses its part of a program that has threads
# on another one. It knows nothing of that program, which goes on without it, and is
# there for new ones.

. /selftests/lib.sh
. /selftests/threads-lib.sh

# away TEXT: a program has a thread on kernel 2, and waits there
away()
{
	rm -f /tmp/said
	/programs/share 400 2 1 </tmp/line >/tmp/said 2>&1 &
	program=$!
	exec 3>/tmp/line
	check "$1" await 10 grep -q ready /tmp/said
}

# goes_on: its next step is refused, and all else is as ever
goes_on()
{
	echo >&3
	exec 3>&-
	note wait $program || { sed 's/^/# /' /tmp/said; return 1; }
}

# refuses_cpu: that of kernel 1, which others can have
refuses_cpu()
{
	taskset 2 true && exits 1 taskset -p 2 $program && says 'Invalid argument'
}

# told: what has been counted of the program on the kernels that know it
told()
{
	exits 0 popcorn stats $program && says '^ +2 '
}

# the_same OBJECTS: as many as those
the_same()
{
	await 5 has_objects "$1" && return
	echo "$1" | sed 's/^/# before: /'
	objects | sed 's/^/# after: /'
	return 1
}

# without_1: the program has CPUs 0 and 2
without_1()
{
	taskset -p $program | grep -q 'mask: 5$'
}

link_of()
{
	[ "$(cat /sys/kernel/popcorn/links/1/state)" = "$1" ]
}

mkfifo /tmp/line
# Then each has what it keeps ready.
check "a program has run on all kernels" /programs/hop 4 0,1,2 10
check "and has ended" await 20 quiet
before=$(objects)

away "a program waits on kernel 2"
check "kernel 1 is killed" exits 0 popcorn kill 1
check "and starts again" exits 0 popcorn restart 1
check "its link is up" await 20 link_of up
check "popcorn stats" told
check "its CPU is none for the program" without_1
check "which cannot be moved there" refuses_cpu
check "the program unmaps what it has on kernel 2" goes_on

check "kernel 1 stops" exits 0 popcorn stop 1
check "its link is down" await 20 link_of down
away "a second program begins without it"
check "kernel 1 starts" exits 0 popcorn start 1
check "its link is up again" await 20 link_of up
check "the second one goes on" goes_on

loses_it='until killall -9 share 2>/dev/null; do usleep 10000; done'
check "kernel 1 stops again" exits 0 popcorn stop 1
check "it has stopped" await 20 is 1 loaded
check "it is to kill its part" load_script 1 "$loses_it"
check "it starts" exits 0 popcorn start 1
check "the link is there" await 20 link_of up
away "a third program begins"
check "its part there is killed" await 10 without_1
check "the third one goes on" goes_on

check "new ones use kernel 1" /programs/hop 4 0,1,2 10
check "no thread is left" no_thread
check "no space is left" await 5 no_space
check "nothing else is" the_same "$before"
plan

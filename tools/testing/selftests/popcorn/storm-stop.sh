#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 3 --mem 256M --timeout 400 --add build/tools/selftests:/programs
# vm-long: --mem 512M --timeout 1500
#
# A process with many threads away is stopped, goes on, and is killed: it is gone soon,
# with all of them, whether they wait or compute.

. /selftests/lib.sh
. /selftests/threads-lib.sh
. /selftests/stuck-lib.sh

threads=200 spinning=20
[ "${LONG:-}" != 1 ] || threads=2000 spinning=64

# states PID: those of its tasks, a letter each
states()
{
	sed 's/.*) \(.\).*/\1/' /proc/"$1"/task/*/stat 2>/dev/null
}

# all_stopped PID
all_stopped()
{
	[ -n "$(states "$1")" ] && ! states "$1" | grep -qv T
}

none_stopped()
{
	[ -n "$(states "$1")" ] && ! states "$1" | grep -q T
}

# signals TEXT COUNT [WORD]: what is done to a process with so many threads
signals()
{
	local text=$1 count=$2 pid

	shift 2
	rm -f /tmp/said
	/programs/storm -w 1,2 "$count" "$@" >/tmp/said 2>&1 &
	pid=$!
	check "$text: $count threads are away" await 120 grep -q "^ready $count\$" /tmp/said
	kill -STOP $pid
	check "$text: SIGSTOP stops them all" await 60 all_stopped $pid
	kill -CONT $pid
	check "$text: SIGCONT lets them go on" await 60 none_stopped $pid
	kill -STOP $pid
	kill -CONT $pid
	kill -9 $pid
	check "$text: SIGKILL ends them" await 60 has_ended $pid
	check "$text: it was that" killed $pid
	sed 's/^/# /' /tmp/said
}

check "a program has run on all kernels" /programs/hop 4 0,1,2 10
check "and has ended" await 20 quiet
before=$(objects)
signals waiting "$threads"
signals computing "$spinning" spin
check "no task waits for good" await 10 nothing_in_d
cat /tmp/in_d
check "no thread is left" await 10 no_thread
check "no space is left" await 10 no_space
check "nothing else is" await 10 has_objects "$before"
check "no event was impossible" [ "$(counter impossible)" = 0 ]
check "no message was lost" [ "$(counter unsent)" = 0 ]
plan

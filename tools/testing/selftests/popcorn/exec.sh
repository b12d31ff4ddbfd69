#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Commands on other kernels: what goes in, what comes out, how they end, and what becomes of
# them when one of the two sides dies.
#
# vm: --kernels 3 --mem 256M --timeout 600 --add build/tools/selftests:/programs

. /selftests/lib.sh

# prints TEXT COMMAND...: that is what it prints
prints()
{
	local wanted=$1

	shift
	"$@" >/tmp/out 2>/tmp/err && [ "$(cat /tmp/out)" = "$wanted" ] && return
	note cat /tmp/out /tmp/err
	return 1
}

# on KID COMMAND...
on()
{
	timeout 60 popcorn exec "$@"
}

statuses()
{
	local status

	for status in 0 1 7 126 200 255; do
		exits $status on 1 sh -c "exit $status" || return
	done
}

# 10 MiB come as they were, and do not come twice.
large_output()
{
	on 1 sh -c 'seq 1500000 | head -c 10485760 | tee /tmp/large; sync' >/tmp/large &&
		[ "$(wc -c </tmp/large)" = 10485760 ] &&
		[ "$(on 1 md5sum /tmp/large)" = "$(md5sum /tmp/large)" ]
}

large_input()
{
	[ "$(on 1 md5sum </tmp/large)" = "$(md5sum </tmp/large)" ]
}

# Both at once, through a command that writes what it reads.
to_and_fro()
{
	[ "$(on 1 cat </tmp/large | md5sum)" = "$(md5sum </tmp/large)" ]
}

streams_apart()
{
	on 1 sh -c 'seq 50000; seq 50001 90000 >&2' >/tmp/out 2>/tmp/err &&
		seq 50000 | cmp - /tmp/out && seq 50001 90000 | cmp - /tmp/err
}

# The last of the output is in the pipe when the command ends.
slow_reader()
{
	local n

	for n in 1 2 3; do
		[ "$(on 1 head -c 2097152 /dev/zero | slowly | wc -c)" = 2097152 ] || return
	done
}

slowly()
{
	while dd bs=32768 count=1 iflag=fullblock 2>/dev/null >/tmp/piece && [ -s /tmp/piece ]; do
		cat /tmp/piece
		usleep 5000
	done
}

late_reader()
{
	[ "$(on 1 head -c 600000 /dev/zero | { sleep 1; wc -c; })" = 600000 ]
}

# As a program of this kernel would that blocks.
rest_is_given_up()
{
	local pid reader

	rm -f /tmp/fifo
	mkfifo /tmp/fifo
	sleep 1000 </tmp/fifo &
	reader=$!
	popcorn exec 1 sh -c 'head -c 250000 /dev/zero; touch /tmp/over' >/tmp/fifo &
	pid=$!
	await 20 on 1 test -e /tmp/over && sleep 1 && kill -TERM $pid && wait $pid
	[ $? = 143 ] && kill $reader
}

closed_input()
{
	timeout 20 popcorn exec 1 cat <&- >/tmp/out && [ ! -s /tmp/out ]
}

# A command that reads nothing does not keep a signal from reaching it.
signalled()
{
	local pid

	popcorn exec 1 sh -c 'trap "echo got TERM; exit 9" TERM
		echo ready; while :; do usleep 10000; done' </dev/zero >/tmp/out 2>/tmp/err &
	pid=$!
	await 20 grep -q ready /tmp/out && kill -TERM $pid || return
	wait $pid
	[ $? = 9 ] && grep -q "got TERM" /tmp/out
}

# ^C is for the group, as on a terminal.
interrupted()
{
	local status

	: >/tmp/out
	# What is in the background ignores it, so the one that is interrupted is not.
	{ await 20 grep -q ready /tmp/out; kill -INT $(asker); } &
	popcorn exec 1 sh -c 'echo ready; exec sleep 50' >/tmp/out 2>/tmp/err
	status=$?
	[ $status = 130 ] && return
	echo "# exit status $status: $(cat /tmp/err)"
	return 1
}

# asker: the process that has asked kernel 1 for a shell that is ready
asker()
{
	ps -o pid,args | awk '/popcorn exec 1 sh -c echo ready/ && !/awk/ { print $1; exit }'
}

# The one who asked is killed: so is all of the group, be it stopped or deaf.
asker_is_killed()
{
	local pid

	popcorn exec 1 sh -c 'trap "" HUP TERM; mkdir -p /tmp/bin; cp /bin/busybox /tmp/bin/sleep
		/tmp/bin/sleep 1000 & echo ready; wait' >/tmp/out 2>/tmp/err &
	pid=$!
	await 20 grep -q ready /tmp/out && sleeps_there && kill -KILL $pid &&
		await 20 not sleeps_there
}

not()
{
	! "$@"
}

sleeps_there()
{
	on 1 ps -o args | grep -q ^/tmp/bin/sleep
}

# The one who asked is killed. The command dies of the hangup, and what it has started takes its
# time.
group_tidies_up()
{
	local pid

	popcorn exec 1 sh -c 'rm -f /tmp/tidy; sh -c "trap \"usleep 300000; touch /tmp/tidy; exit\" HUP
		echo ready; while :; do usleep 10000; done"; true' >/tmp/out 2>/tmp/err &
	pid=$!
	await 20 grep -q ready /tmp/out && kill -KILL $pid && await 20 on 1 test -e /tmp/tidy
}

# The process of the agent that the command belongs to ends, by each of two signals.
session_is_ended()
{
	local pid signal

	for signal in TERM KILL; do
		popcorn exec 1 sh -c 'echo $PPID; trap "" HUP; exec /tmp/bin/sleep 1000' \
			>/tmp/out 2>/tmp/err &
		pid=$!
		await 20 [ -s /tmp/out ] && await 20 sleeps_there &&
			on 1 kill -$signal "$(cat /tmp/out)" || return
		wait $pid
		[ $? = 255 ] && await 20 not sleeps_there || return
	done
}

# What a command leaves behind on purpose stays.
daemon_stays()
{
	on 1 sh -c 'cp /bin/busybox /tmp/busybox; setsid /tmp/busybox sleep 777 >/dev/null 2>&1 & echo $! >/tmp/stays; sleep 0.3' &&
		on 1 sh -c 'kill -0 $(cat /tmp/stays) && kill $(cat /tmp/stays)'
}

# One that holds the output open does not hold the command.
holder_does_not_hold()
{
	prints done timeout 20 popcorn exec 1 sh -c 'sleep 600 & echo done'
}

kernel_is_killed()
{
	local pid status

	popcorn exec 1 sh -c 'echo ready; sleep 1000' >/tmp/out 2>/tmp/err &
	pid=$!
	await 20 grep -q ready /tmp/out && exits 0 popcorn kill 1 || return
	wait $pid
	status=$?
	[ $status = 255 ] && grep -q "kernel 1: exec: the connection is lost" /tmp/err && return
	echo "# exit status $status: $(cat /tmp/err)"
	return 1
}

down_is_said()
{
	exits 4 on 1 true && says "kernel 1: exec: it is not up"
}

comes_back()
{
	local pid

	popcorn exec --wait 1 echo back >/tmp/out 2>/tmp/err &
	pid=$!
	exits 0 popcorn start 1 && wait $pid && grep -q "^back$" /tmp/out
}

user_is_refused()
{
	echo "nobody:x:12345:12345::/:/bin/sh" >>/etc/passwd
	exits 6 su -s /bin/sh nobody -c "popcorn exec 1 id" && says "not permitted"
}

# A port that is nobody's is not served, and it does not harm.
stranger_is_refused()
{
	echo hello | timeout 10 /programs/vsock wait stream 1 1001 >/tmp/out 2>&1
	note grep -E "ended|write: " /tmp/out && prints ok on 1 echo ok
}

many_at_once()
{
	local pids= pid n status=0

	for n in $(seq 30); do
		on 1 sh -c "exit $n" & pids="$pids $!"
	done
	n=0
	for pid in $pids; do
		n=$((n + 1))
		wait $pid
		[ $? = $n ] || status=1
	done
	return $status
}

many_in_turn()
{
	local n

	for n in $(seq 100); do
		on 1 true || return
	done
}

# Of kernel 2, on kernels 1 and 0.
from_a_secondary()
{
	prints "1 0" on 2 sh -c 'echo $(popcorn exec 1 cat /sys/kernel/popcorn/self) \
		$(popcorn exec 0 cat /sys/kernel/popcorn/self)'
}

check "a command runs on the other kernel" prints 1 on -w 1 cat /sys/kernel/popcorn/self
check "and on each" prints 2 on -w 2 cat /sys/kernel/popcorn/self
check "by name" prints 1 on kernel1 cat /sys/kernel/popcorn/self
check "and on this one" prints 0 on 0 cat /sys/kernel/popcorn/self
check "from one secondary on others" from_a_secondary
check "words are not taken apart" prints "a  b|\$x|" on 1 printf '%s|' 'a  b' '$x'
check "an empty one" prints "||" on 1 printf '|%s|' ''
check "exit statuses" statuses
check "a signal that ends it" exits 137 on 1 sh -c 'kill -KILL $$'
check "there is no such program" exits 127 on 1 no-such-program
check "which is said" says "exec: cannot execute no-such-program: No such file"
check "a file that is no program" exits 126 on 1 /etc
check "input" prints "hello" eval 'echo hello | on 1 cat'
check "no input" prints "" eval 'on 1 cat </dev/null'
check "input that is not read" exits 3 eval 'on 1 sh -c "exit 3" </dev/zero'
check "10 MiB of output" large_output
check "10 MiB of input" large_input
check "10 MiB to and fro" to_and_fro
check "output and errors apart" streams_apart
check "output that is read more slowly than it comes" slow_reader
check "and by one who begins late" late_reader
check "a signal ends who cannot write the rest" rest_is_given_up
check "who has no input has none" closed_input
check "output that nobody reads any more" eval 'on 1 yes | head -n 1 >/tmp/out; on 1 true'
check "a signal is passed on" signalled
check "an interrupt ends it" interrupted
check "what the command leaves behind stays" daemon_stays
check "and does not hold it by its output" holder_does_not_hold
check "30 at once" many_at_once
check "100 in turn" many_in_turn
check "the one who asked is killed: the command ends" asker_is_killed
check "all of its group may tidy up" group_tidies_up
check "the agent's process is ended: so is the command" session_is_ended
check "a user is refused" user_is_refused
check "so is a port that users may have" stranger_is_refused
check "the kernel is killed" kernel_is_killed
check "that it is down is said" down_is_said
check "it is waited for" comes_back
check "an agent is there already" exits 5 popcorn agent
check "nothing was said" eval '! { dmesg; popcorn log 1; popcorn log 2; } | grep -E "BUG|WARNING|refcount"'
plan

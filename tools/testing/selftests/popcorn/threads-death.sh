#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# check: not with vote
# vm: --kernels 3 --mem 160M --timeout 200 --add build/tools/selftests:/programs
#
# A kernel that has threads of a program is killed, or stops, or they are killed there:
# the program ends, with a message that says why, and others go on.

. /selftests/lib.sh
. /selftests/threads-lib.sh

# is_gone PID: nor does it wait for its parent
is_gone()
{
	! kill -0 "$1" 2>/dev/null
}

/programs/threads --spin 1 1 1 1 &
victim=$!
/programs/threads --spin 2 2 &
other=$!
check "four threads compute on kernel 1" await 10 on_kernel 1 4
check "and two on kernel 2" await 10 on_kernel 2 2
check "a process ends whose memory another one uses" \
	exits 0 /programs/threads --orphan 1
orphan=$(cat /tmp/out)
check "which goes on" kill -0 "$orphan"
check "kernel 1 is killed" exits 0 popcorn kill 1
check "the program is killed" killed $victim
check "and the log says why" says_why $victim
if is_coherent; then
	check "that other one has lost nothing, and goes on" kill -0 "$orphan"
	kill -9 "$orphan"
else
	check "so is that other one" await 5 is_gone "$orphan"
	check "and the log says so" says_why "$orphan"
fi
check "the other goes on" on_kernel 2 2
check "a new program runs on what is there" /programs/hop 4 0,2 10
check "one that wants to go to kernel 1 is refused" \
	sh -c '! /programs/hop 1 1 1 2>/dev/null'
kill -9 $other
check "the other is killed by hand" killed $other
check "no thread is left" no_thread
check "no space is left" await 5 no_space
check "kernel 1 starts again" exits 0 popcorn restart 1
check "and is used" await 20 /programs/hop 4 0,1,2 10

# The others of its threads, or its keeper, may be the first to say so.
ends_it='until [ "$(ls /proc/$(pidof threads)/task 2>/dev/null | wc -l)" = 3 ]; do
	usleep 10000; done; killall -9 threads'
check "kernel 1 stops" exits 0 popcorn stop 1
check "it has stopped" await 20 is 1 loaded
check "it is to kill two threads when they are there" load_script 1 "$ends_it"
check "it starts" exits 0 popcorn start 1
check "it is used again" await 20 /programs/hop 4 0,1,2 10
/programs/threads --spin 1 1 &
victim=$!
check "the program is killed there, and ends" killed $victim
check "the log says so" eval 'dmesg | grep -qE \
	"thread on kernel 1 was killed there|kernel 1 has lost its part of it"'
check "nothing of it is left" await 5 quiet
plan

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 3 --mem 160M --timeout 200 --add build/tools/selftests:/programs
#
# A kernel that has threads of a program is killed, or stops: the program ends, with
# a message that says why, and others go on.

. /selftests/lib.sh
. /selftests/threads-lib.sh

# on_kernel KID COUNT: so many threads are there
on_kernel()
{
	[ "$(awk -v kid="$1" 'NR > 1 && $4 == "shadow" && $5 == kid' \
		/proc/popcorn/threads | wc -l)" = "$2" ]
}

# killed PID: it was ended by SIGKILL
killed()
{
	wait "$1"
	[ $? = 137 ]
}

has_message()
{
	dmesg | grep -q "popcorn: process $1 is killed: kernel 1 is down"
}

/programs/threads --spin 1 1 1 1 &
victim=$!
/programs/threads --spin 2 2 &
other=$!
check "four threads compute on kernel 1" await 10 on_kernel 1 4
check "and two on kernel 2" await 10 on_kernel 2 2
check "kernel 1 is killed" exits 0 popcorn kill 1
check "the program is killed" killed $victim
check "and the log says why" has_message $victim
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
plan

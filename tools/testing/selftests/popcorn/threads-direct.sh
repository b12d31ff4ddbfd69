#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 4 --mem 160M --timeout 240 --add build/tools/selftests:/programs
# vm: --append popcorn_memory=coherent --secondary-append popcorn_memory=coherent
#
# The same with coherent memory.

. /selftests/lib.sh
. /selftests/threads-lib.sh

all_threads_tests

# What is changed here is all there is, and more than there can be.
/programs/threads --spin 1 2 &
program=$!
check "a program computes on kernels 1 and 2" await 10 on_kernel 2 1
check "its pages count as clean from now on" sh -c "echo 4 >/proc/$program/clear_refs"
check "and it goes on" on_kernel 1 1
kill -9 $program
check "until it is killed" killed $program

# gives_up: the home has others forget hardly anything of what a thread takes from itself
gives_up()
{
	local before=$(counter rounds)

	/programs/give 1 200 || return
	echo "# $(($(counter rounds) - before)) rounds"
	[ $(($(counter rounds) - before)) -lt 100 ]
}

# goes_through LIMIT STEP [read]: it asks for 2048 pages hardly one by one
goes_through()
{
	local limit=$1 before=$(counter messages)

	shift
	/programs/stride 1 2048 "$@" || return
	echo "# $(($(counter messages) - before)) questions"
	[ $(($(counter messages) - before)) -lt "$limit" ]
}

for step in 1 4 16; do
	check "a thread away writes memory in steps of $step pages" goes_through 350 $step
	check "and reads it before" goes_through 700 $step read
done
check "what a thread away takes from itself is given up" gives_up
check "no page was sent" [ "$(counter copies)" = 0 ]
check "frames were asked for" [ "$(counter messages)" -gt 100 ]
plan

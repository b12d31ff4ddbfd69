#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 2 --mem 384M --timeout 200 --add build/tools/selftests:/programs
#
# More threads on another kernel than commands for them have room for, in the ring
# and behind it. All of them come home, and all of them end.

. /selftests/lib.sh
. /selftests/threads-lib.sh

crowd=1300

# state PID LETTER: all of its threads are in that state
state()
{
	! grep -hv "^State:[[:space:]]*$2" /proc/"$1"/task/*/status | grep -q ^State:
}

has_threads()
{
	[ "$(ls /proc/"$1"/task | wc -l)" = $((crowd + 1)) ]
}

quiet_here_and_there()
{
	no_thread && quiet
}

/programs/threads --crowd $crowd 1 &
program=$!
check "$crowd threads are there" await 60 on_kernel 1 $crowd
kill -STOP $program
check "all of them are stopped" await 20 state $program T
check "at home" on_kernel 1 0
kill -CONT $program
check "go on" await 20 eval '! on_kernel 1 0'
kill -KILL $program
check "and are killed" killed $program
check "nothing of them is left" await 20 quiet_here_and_there

# Some of them are on their way just then.
for pause in 50000 200000 400000; do
	/programs/threads --crowd $crowd 1 &
	program=$!
	usleep $pause
	kill -KILL $program
	check "killed after $pause us, with threads on their way" killed $program
	check "nothing of them is left" await 20 quiet_here_and_there
done
check "the kernels are as before" /programs/hop 2 0,1 10
plan

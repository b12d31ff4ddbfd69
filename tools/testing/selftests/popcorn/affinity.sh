#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 3 --cpus 2 --mem 160M --timeout 240 --add build/tools/selftests:/programs
#
# Affinity to CPUs of other kernels, and what programs see of them.

. /selftests/lib.sh
. /selftests/threads-lib.sh

online=/sys/devices/system/cpu/online

# prints TEXT COMMAND...: the command's output is that text
prints()
{
	local wanted=$1 text

	shift
	text=$("$@" 2>&1)
	[ "$text" = "$wanted" ] && return
	echo "# $*: '$text', '$wanted' wanted"
	return 1
}

# fails REGEX COMMAND...: it does, and says why
fails()
{
	local regex=$1

	shift
	exits 1 "$@" && says "$regex"
}

/programs/affinity "$(cat $kernels/0/cpus)" "$(cat $kernels/1/cpus)" \
	"$(cat $kernels/2/cpus)" >/tmp/affinity.tap
check "the program comes to its end" planned /tmp/affinity.tap
results /tmp/affinity.tap
check "a program that is placed sees all CPUs" \
	prints 6 popcorn run --kernels 0-2 nproc
check "sysfs has them" prints 0-5 popcorn run --kernels 0-2 cat $online
check "or those of its kernels" prints 2-5 popcorn run --kernels 1,2 cat $online
check "taskset, with a CPU of another kernel" \
	exits 0 taskset -c 3 /programs/affinity --on 3
check "what it runs is bound to that" prints 1 taskset -c 5 nproc
check "but sees all" prints 0-5 taskset -c 5 cat $online
check "a placement goes by it" \
	exits 0 taskset -c 3 popcorn run --kernels 0-2 /programs/affinity --on 3

# all_on KID: every thread of the program is there, but for the one that sleeps in
# a system call all the time
all_on()
{
	local threads=$(ls /proc/$program/task | wc -l)

	[ "$threads" -gt 2 ] && [ "$(awk -v kid=$1 -v tgid=$program '
		$2 == tgid && $5 == kid { n++ }
		END { print n + 0 }' /proc/popcorn/threads)" = $((threads - 1)) ]
}

/programs/contend -n 1000000 -l 200 mutex 0,0 >/tmp/contend 2>&1 &
program=$!
sleep 1
moves()
{
	taskset -acp $1 $program >/dev/null && await 10 all_on $2
}
check "all threads of a program go to another kernel" moves 2,3 1
check "and on to a third" moves 4 2
check "and are bound there" prints 4 sh -c "taskset -cp $program | sed 's/.* //'"
check "and come home" moves 0,1 0
kill -9 $program
wait $program 2>/dev/null
check "the shell sees nothing of this" prints 0-1 cat $online
check "nor nproc" prints 2 nproc
check "no thread is left" no_thread
check "no space is left" await 5 no_space
check "no event was impossible" [ "$(counter impossible)" = 0 ]
exits 0 popcorn stop 2 && became 2 loaded '^poweroff$'
check "CPUs of a kernel that is not up are none" \
	fails "Invalid argument" taskset -c 4 true
check "and are not shown" prints 0-3 taskset -c 3 cat $online
plan

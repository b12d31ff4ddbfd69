#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 3 --mem 160M --timeout 300 --add build/tools/selftests:/programs
# vm: --append popcorn_memory=coherent --secondary-append popcorn_memory=coherent
#
# With coherent memory, kernels die: a home whose pages others use, again and
# again, and is started at once; and a kernel that a program has been on, which goes on. Or
# they live on, and their links are broken.

. /selftests/lib.sh
. /selftests/threads-lib.sh
. /selftests/stuck-lib.sh

rounds=5
[ "${LONG:-}" != 1 ] || rounds=50

# What kernel 1 does: a program of it writes on all kernels until it dies.
there='until /programs/hop 1 1,0,2 4 >/dev/null 2>&1; do usleep 100000; done
/programs/storm 0,2,1 6 1000 >/dev/null &
/programs/contend -n 1000000 -l 600 movs 0,1,2 >/dev/null &
/programs/threads --spin 0 2 &
echo storm begins
wait'

# In another life: it writes garbage to kernel 0 when a thread of a program has come to stay.
lies='until [ "$(pidof threads)" ]; do usleep 50000; done
sleep 2
cd /sys/kernel/debug/popcorn
echo kid=0 count=2500 seed=1 >garbage'

broken()
{
	[ "$(cat /sys/kernel/popcorn/links/1/state)" = broken ]
}

# visits COUNT: so many threads of other kernels are here
visits()
{
	[ "$(awk 'NR > 1 && $4 == "visitor"' /proc/popcorn/threads | wc -l)" -ge "$1" ]
}

# no_visit: nothing of another kernel's process is left here
no_visit()
{
	[ "$(wc -l </proc/popcorn/threads)" = 1 ] && no_space
}

# home_dies: while others write into its memory, and it begins anew there
home_dies()
{
	await 60 logged 1 "init: storm begins" && await 20 visits 3 &&
		exits 0 popcorn kill 1 && exits 0 popcorn start 1
}

# all_move PID KID: all threads of a program go to a kernel
all_move()
{
	taskset -acp "$2" "$1" >/dev/null
}

# runs PID KID COUNT: the program is there, with so many threads or more on that kernel
runs()
{
	kill -0 "$1" &&
		[ "$(awk -v tgid="$1" -v kid="$2" \
			'$2 == tgid && $4 == "shadow" && $5 == kid' \
			/proc/popcorn/threads | wc -l)" -ge "$3" ]
}

wait_for_tsc
check "kernel 1 stops" exits 0 popcorn stop 1
mkdir -p /tmp/files/programs
cp /programs/storm /programs/hop /programs/contend /programs/threads /tmp/files/programs
initrd_with /tmp/files programs >/tmp/initrd
check "it is to run programs" load_script 1 "$there" /tmp/initrd
check "it starts" exits 0 popcorn start 1
for round in $(seq $rounds); do
	check "it dies, and starts where others have written ($round)" home_dies
done
check "its programs run" await 60 logged 1 "init: storm begins"
check "it stops" exits 0 popcorn stop 1
check "nothing of it is left" await 10 no_visit
check "it is not started any later for that" \
	sh -c '! dmesg | grep "its memory is mapped"'
check "it starts without programs" load_plain 1
check "and is there" exits 0 popcorn start 1

check "a program can be there" await 20 /programs/hop 4 0,1,2 10
/programs/threads --spin 1 1 2 &
program=$!
check "another one computes on kernels 1 and 2" await 20 on_kernel 1 2
/programs/storm 0,1,2 6 20 >/tmp/said 2>&1 &
storm=$!
check "a third one changes its layout" await 20 on_kernel 1 4
all_move $program 2
all_move $storm 2
check "all leave kernel 1" await 20 on_kernel 1 0
check "which is killed" exits 0 popcorn kill 1
sleep 1
check "the one goes on" runs $program 2 3
check "kernel 1 starts again" exits 0 popcorn start 1
check "new programs use it" await 20 /programs/hop 4 0,1,2 10
check "the other comes to its end" await 60 has_ended $storm
wait $storm
check "and has got on all the time" [ $? = 0 ]
sed 's/^/# /' /tmp/said
check "the one still goes on" runs $program 2 3
/programs/threads --spin 1 &
victim=$!
check "a program has a thread on kernel 1" await 20 on_kernel 1 1
check "which stops" exits 0 popcorn stop 1
check "with its thread the program is lost" killed $victim
check "the other is not" runs $program 2 3
kill -9 $program
check "before it is killed by hand" killed $program

check "kernel 1 is to write garbage, when threads are there" load_script 1 "$lies"
check "it starts" exits 0 popcorn start 1
check "a program can be there" await 20 /programs/hop 4 0,1,2 10
/programs/threads --spin 1 2 &
victim=$!
/programs/threads --spin 2 &
program=$!
check "its link breaks" await 30 broken
check "the program that is there is killed" killed $victim
check "another one is not" runs $program 2 1
check "all of it is unmapped there, in the end" await 20 none_kept
check "kernel 1 still runs" is 1 running
check "it is killed" exits 0 popcorn kill 1
check "and loaded without that" load_plain 1
check "it starts as ever" exits 0 popcorn start 1
check "and is used" await 20 /programs/hop 4 0,1,2 10
kill -9 $program
wait $program
check "no thread is left" no_thread
check "no space is left" await 5 no_space
check "no frame is kept" await 5 none_kept
check "no event was impossible" [ "$(counter impossible)" = 0 ]
plan

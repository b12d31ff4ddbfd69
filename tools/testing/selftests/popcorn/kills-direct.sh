#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 3 --mem 160M --timeout 600 --add build/tools/selftests:/programs
# vm: --append popcorn_memory=coherent --secondary-append popcorn_memory=coherent
# vm-long: --timeout 10000
#
# With coherent memory a kernel dies at any moment, again and again: programs of its own
# write on all kernels then, and programs of others write on it. Those that are not on it
# go on, nobody has a page of it any more, and it starts anew in the same memory.

. /selftests/lib.sh
. /selftests/threads-lib.sh

rounds=6
[ "${LONG:-}" != 1 ] || rounds=100
seed=${SEED:-1}

isolation=/sys/kernel/debug/popcorn/isolation

# What kernel 2 does: programs of it write on all kernels until it dies.
dies='until /programs/hop 1 2,0,1 4 >/dev/null 2>&1; do usleep 100000; done
/programs/storm 2,0,1 6 100000 >/dev/null &
/programs/contend -n 1000000 -l 600 movs 2,0,1 >/dev/null &
echo storm begins
wait'

# What kernel 1 does: a program of it writes there and on kernel 0, over and over.
goes_on='until /programs/hop 1 1,0 4 >/dev/null 2>&1; do usleep 100000; done
while /programs/storm 1,0 4 1 >/dev/null; do echo storm over; done
echo storm fails'

# go_on: the same, of this kernel
go_on()
{
	while /programs/storm 0,1 4 1 >/dev/null; do
		echo storm over
	done
	echo storm fails
}

# random_ms N: the N-th moment, below a second
random_ms()
{
	awk -v seed="$seed" -v n="$1" \
		'BEGIN { srand(seed); while (n--) x = rand(); printf "%d", x * 1000 }'
}

# over KID: how often the program of a kernel has come to its end
over()
{
	if [ "$1" = 0 ]; then
		grep -c over /tmp/goes_on
	else
		popcorn log "$1" | grep -c "init: storm over"
	fi
}

# has_gone_on KID COUNT
has_gone_on()
{
	[ "$(over "$1")" -gt "$2" ]
}

# tell: what there is to say of one that does not go on
tell()
{
	local task

	over 0
	over 1
	note grep -v over /tmp/goes_on
	note cat /proc/popcorn/threads
	for task in /proc/[0-9]*/task/[0-9]*; do
		! grep -q storm "$task/comm" 2>/dev/null || note head "$task/stack"
	done
}

both_go_on()
{
	local here there

	here=$(over 0)
	there=$(over 1)
	await 60 has_gone_on 0 $((here + 1)) && await 60 has_gone_on 1 $((there + 1)) &&
		return
	tell
	return 1
}

# isolated: this kernel has no page of another one mapped but for programs that live
isolated()
{
	note cat $isolation && grep -q 'foreign=0$' /tmp/note
}

# die N: kernel 2 dies at the N-th moment; a program of this kernel has come to it
die()
{
	local victim

	await 60 logged 2 "init: storm begins" || return
	rm -f /tmp/victim
	/programs/storm 0,2,1 6 100000 >/tmp/victim 2>&1 &
	victim=$!
	await 60 grep -q "^ready" /tmp/victim || return
	usleep "$(random_ms "$1")000"
	exits 0 popcorn kill 2 && killed $victim && isolated
}

wait_for_tsc
echo "# seed $seed"
mkdir -p /tmp/files/programs
cp /programs/storm /programs/hop /programs/contend /tmp/files/programs
initrd_with /tmp/files programs >/tmp/initrd
for kid in 1 2; do
	check "kernel $kid stops" exits 0 popcorn stop $kid
done
check "kernel 1 is to run a program" load_script 1 "$goes_on" /tmp/initrd
check "kernel 2 is to run some" load_script 2 "$dies" /tmp/initrd
check "kernel 1 starts" exits 0 popcorn start 1
check "kernel 2 starts" exits 0 popcorn start 2
check "threads can go there" await 20 /programs/hop 4 0,1,2 10
: >/tmp/goes_on
go_on >/tmp/goes_on 2>&1 &
for round in $(seq $rounds); do
	check "kernel 2 dies, and nobody has a page of it ($round)" die "$round"
	check "the others go on ($round)" both_go_on
	check "it starts where they have written ($round)" exits 0 popcorn start 2
done
check "none of them has failed" sh -c \
	'! { cat /tmp/goes_on; popcorn log 1; } | grep "storm fails"'
check "threads can go to all kernels as ever" await 20 /programs/hop 4 0,1,2 10
check "no event was impossible" [ "$(counter impossible)" = 0 ]
plan

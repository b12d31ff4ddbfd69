#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# check: not with vote
#
# Kernel 1 lies to its peers while a program runs on kernels 0 and 1, which may die of
# it, and one on kernels 0 and 2, which may not. It sends each of them random and
# mutated messages of all types, and then writes garbage into what it shares with the
# primary. In each life the seed is another one; SEED is the first.
#
# 3 lives of 10,000 messages; LONG=1: 50 of 20,000, a million in all.
#
# vm: --kernels 3 --mem 256M --no-start --timeout 600
# vm: --add build/tools/selftests:/programs
# vm-long: --timeout 14000

. /selftests/lib.sh
. /selftests/load.sh
. /selftests/threads-lib.sh

lives=3 messages=5000
[ "$LONG" != 1 ] || { lives=50; messages=10000; }
seed=${SEED:-$(date +%s)}

# What kernel 1 runs in a life. It samples what the program's threads there make it
# send, and then lies.
liar()
{
	cat <<-END
		cd /sys/kernel/debug/popcorn
		echo sample >garbage
		until grep -q visitor /proc/popcorn/threads; do usleep 50000; done
		sleep 2
		echo messages kid=2 count=$messages seed=$1 >garbage
		echo messages kid=0 count=$messages seed=$1 >garbage
		echo "<6>lies are out" >/dev/kmsg
		echo window count=500 seed=$1 >garbage
		poweroff -f
	END
}

# It has ended, or died of what came back. Its log may be garbage.
liar_is_done()
{
	[ "$(cat $kernels/1/state)" != running ]
}

# Both peers are well, and can be talked to.
others_live()
{
	is 2 running && exits 0 popcorn ping -c 1 2 &&
		! popcorn log 2 | grep -E "BUG:|WARNING:|Oops|general protection"
}

ends_in_time()
{
	await 60 sh -c "! kill -0 $1 2>/dev/null"
}

lie()
{
	local victim bystander ok=1

	load_script 1 "$(liar "$1")" && exits 0 popcorn start 1 || return
	# Until then no program can go there.
	await 60 exits 0 popcorn ping -c 1 1 || return
	/programs/contend -n 1000000 -l 1000 ring write mutex 0,1 >/tmp/victim 2>&1 &
	victim=$!
	/programs/contend -n 40 -l 300 ring write mutex 0,2 >/tmp/bystander 2>&1 &
	bystander=$!
	await 200 liar_is_done || { echo "# the liar is not done"; ok=0; }
	echo "# seed $1: $(popcorn log 1 | grep -c "garbage: ") sent," \
	     "kernel 1 is $(cat $kernels/1/state)"
	popcorn log 1 | grep -oE "garbage: .*" | sed 's/^/# /'
	wait $bystander && planned /tmp/bystander ||
		{ sed 's/^/# bystander: /' /tmp/bystander; ok=0; }
	others_live || ok=0
	popcorn kill 1 >/dev/null 2>&1
	kill -9 $victim 2>/dev/null
	ends_in_time $victim || { echo "# the victim does not end"; ok=0; }
	await 30 no_thread || { sed 's/^/# /' /proc/popcorn/threads; ok=0; }
	[ $ok = 1 ]
}

all_lie()
{
	local life

	for life in $(seq $lives); do
		lie $((seed + life)) || return
	done
}

no_complaint()
{
	! dmesg | grep -E "BUG:|WARNING:|Oops|general protection|soft lockup"
}

wait_for_tsc
echo "# seed $seed"
check "the witness starts" load_plain 2
check "and runs" exits 0 popcorn start 2
check "$lives lives: programs without a part there go on" all_lie
check "the primary has not complained" no_complaint
check "an honest life talks to all" load_plain 1
check "it starts" exits 0 popcorn start 1
check "and is answered" exits 0 popcorn ping -c 1 1
plan

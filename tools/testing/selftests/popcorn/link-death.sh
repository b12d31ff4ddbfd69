#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# check: early
#
# Kernel 2 is killed while all kernels send to all, again and again: who sends to
# it or waits for it is told, the others go on, and after its restart it takes
# part again. Kernel 1 and 3 watch what memory they have.
#
# vm: --kernels 4 --mem 256M --timeout 900 --no-start

. /selftests/lib.sh
. /selftests/load.sh

ROUNDS=20
# Not counted: what is allocated once and for all is no leak.
WARM_UP=5
PAIRS=12
STREAMS=48
# Of those 48, the ones that begin or end at kernel 2.
WITH_2=24
# KiB that a measurement may be off, in slabs and stacks: partly used ones; twice
# that in what is free. A leak of two pages in each round shows in slabs.
NOISE=160
# How often the kernels look, s.
PERIOD=2

# Runs on every kernel: prints what is free and what slabs and stacks take, KiB.
# What counts as free:
# - the logs that are saved between the rounds;
# - slabs that their fullest moment has left empty, which are given back before;
# - what describes the addresses of stacks of threads that have ended. Linux keeps
#   these addresses until it has 32 MiB of them for each CPU.
cat >/tmp/look <<'END'
echo 4 >/proc/sys/vm/drop_caches	# do not say so
echo 3 >/proc/sys/vm/drop_caches
for cache in /sys/kernel/slab/*/shrink; do echo 1 >$cache; done
awk -v logs="$(du -sk /run/vm/record | cut -f 1)" \
    -v areas="$(cut -d " " -f 1 /sys/kernel/slab/vmap_area/slabs)" '
	$1 == "MemFree:" { free += $2 } $1 == "count:" { free += 4 * $2 }
	$1 == "SUnreclaim:" { slab = $2 } $1 == "KernelStack:" { stack = $2 }
	END {
		areas *= 4
		print "memory", free + logs + areas, slab - areas, stack
	}' /proc/meminfo /proc/zoneinfo
END

watching="while sleep $PERIOD; do
$(cat /tmp/look)
done"

start_kernels()
{
	wait_for_tsc
	load_script 1 "$watching" && load_script 3 "$watching" && load_plain 2 &&
		exits 0 popcorn start all
}

# Somebody who waits for the reply of a kernel that dies.
wait_for_2()
{
	echo "kid=2 channel=coherency size=64 count=1000000" >$load/latency
}

# Ends within a second: the file says why.
is_told()
{
	local pid=$1

	await 5 eval "! kill -0 $pid 2>/dev/null" || return
	grep -q "Host is down" /tmp/waiter && return
	echo "# who waited was told: $(cat /tmp/waiter)"
	return 1
}

only_2_is_down()
{
	[ "$(total down)" = $WITH_2 ] &&
		! grep " down$" /tmp/result | grep -qvE "^([0-9]+ )?2 " &&
		came_well && return
	sed 's/^/# /' /tmp/result
	return 1
}

no_sender_is_left()
{
	! ps | grep -v grep | grep -q "pcn_load"
}

die_once()
{
	local waiter

	begin messages=100000000 || return
	wait_for_2 2>/tmp/waiter &
	waiter=$!
	usleep $((300000 + $1 * 40000))
	exits 0 popcorn kill 2 && is_told $waiter || return
	# The others go on.
	usleep 300000
	look_at_result && [ "$(total running)" != 0 ] &&
		begin stop && has_ended && only_2_is_down && no_sender_is_left ||
		{ echo "# after the death: $(tail -n 1 /tmp/result)"; return 1; }
}

come_back()
{
	vm-save-logs
	exits 0 popcorn start 2 && await 20 all_linked $PAIRS &&
		run 60 $STREAMS messages=50
}

rounds()
{
	local i

	for i in $(seq "$1"); do
		die_once "$i" && come_back >/tmp/round && continue
		echo "# round $i"
		cat /tmp/round
		return 1
	done
}

# look KID: what the kernel has in "memory FREE SLAB STACK", the best of a few
look()
{
	local i

	if [ "$1" = 0 ]; then
		for i in 1 2 3 4; do
			sh /tmp/look
			usleep 200000
		done
	else
		popcorn log "$1" | grep -o "memory [0-9 ]*" | tail -n 3
	fi | awk '{
		if (NR == 1 || $2 > free) free = $2
		if (NR == 1 || $3 < slab) slab = $3
		if (NR == 1 || $4 < stack) stack = $4
	} END { print free, slab, stack }'
}

measure()
{
	local kid

	sleep $((4 * PERIOD))
	for kid in 0 1 3; do
		look $kid >"/tmp/memory.$kid.$1"
	done
}

# keeps_memory KID
keeps_memory()
{
	cat "/tmp/memory.$1.before" "/tmp/memory.$1.after" | awk -v noise=$NOISE '
		{ for (i = 1; i <= 3; i++) v[NR, i] = $i }
		END {
			free = v[1, 1] - v[2, 1]
			slab = v[2, 2] - v[1, 2]
			stack = v[2, 3] - v[1, 3]
			print "# KiB less free: " free ", more in slabs: " slab \
				", in stacks: " stack
			exit NF != 3 || free > 2 * noise || slab > noise ||
				stack > noise
		}'
}

check "four kernels start" start_kernels
check "and are linked" await 20 all_linked $PAIRS
check "a kernel dies and comes back" rounds $WARM_UP
measure before
check "$ROUNDS times" rounds $ROUNDS
measure after
for kid in 0 1 3; do
	check "kernel $kid has as much memory as before" keeps_memory $kid
done
check "messages go as ever" run 100 $STREAMS messages=500
plan

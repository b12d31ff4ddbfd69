#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# popcorn ping and popcorn stats: between all kernels, on all channels, with
# kernels that are not up, hang and die.
#
# vm: --kernels 3 --timeout 400

. /selftests/lib.sh

links=/sys/kernel/popcorn/links

# pings ARGUMENT...: every message comes back
pings()
{
	exits 0 popcorn ping -W 20 "$@" && says ' 0% lost'
}

# answers KID [SECONDS]: it does soon
answers()
{
	await "${2:-10}" popcorn ping "$1" -c 1 >/dev/null 2>&1
}

# counter KID CHANNEL NAME
counter()
{
	cat "$links/$1/$2/$3"
}

# grew NAME BY: a counter of kernel 1's control channel has grown since $before
grew()
{
	local now before

	before=$(sed -n "s/^$1 //p" /tmp/before)
	now=$(counter 1 control "$1")
	[ $((now - before)) = "$2" ] ||
		{ echo "# $1: $before, then $now, $2 more wanted"; return 1; }
}

# Ten pings of 100 bytes: ten messages there, ten back.
adds_up()
{
	local name

	for name in tx_messages tx_bytes rx_messages rx_bytes; do
		echo "$name $(counter 1 control $name)"
	done >/tmp/before
	pings 1 -c 10 -i 0 -s 100 && grew tx_messages 10 &&
		grew tx_bytes 1000 && grew rx_messages 10 && grew rx_bytes 1000
}

# Nothing that must not be was counted for any kernel.
no_drops()
{
	grep -Hv '^0$' $links/*/*/tx_failed $links/*/*/rx_late \
		$links/*/*/rx_orphans $links/*/*/rx_unknown $links/*/*/spilled |
		sed 's/^/# /' | grep . && return 1
	return 0
}

# shows REGEX COMMAND...: its output has such a line
shows()
{
	local regex=$1

	shift
	exits 0 "$@" && says "$regex"
}

# down KID: pings find that it is not up
down()
{
	exits 4 popcorn ping "$1" -c 2 -i 0 && says "it is not up \(seq=2\)" &&
		says "^2 messages sent, 0 received, 100% lost"
}

# What a secondary does: ping the others, by number.
secondary_script()
{
	cat <<-'END'
		await()
		{
			tries=0
			until popcorn ping $1 -c 1 -q 2>/dev/null; do
				[ $tries = 100 ] && return
				tries=$((tries + 1))
				usleep 100000
			done
		}
		await 0
		await 1
		popcorn ping 1 -c 3 -i 0 -W 20
		popcorn ping 0 -c 4 -i 0 -W 20 -s 65536 --channel coherency
		popcorn ping 2 -c 1
		echo "self: $?"
		popcorn ping 7 -c 1
		echo "kernel 7: $?"
		popcorn ping kernel1 -c 1
		echo "by name: $?"
		popcorn stats
	END
}

runs_script()
{
	exits 0 popcorn stop 2 && load_script 2 "$(secondary_script)" &&
		exits 0 popcorn start 2 && await 60 logged 2 "init: exit status 0"
}

# hung_times_out: a kernel that does nothing any more does not answer; it is not
# found to hang so soon
hung_times_out()
{
	echo 60000 >$parameters/hang_ms
	load_script 1 'sleep 2
		echo HARDLOCKUP >/sys/kernel/debug/provoke-crash/DIRECT' &&
		exits 0 popcorn start 1 && answers 1 &&
		sleep 4 && exits 7 popcorn ping 1 -c 2 -i 0 -W 0.5 &&
		says "no answer within the limit \(seq=2\)"
}

# Comes back after the kernel was killed and started again, and an interrupt
# ends it with a summary.
outlives()
{
	local pid

	: >/tmp/pings
	popcorn ping 1 -i 0.05 >>/tmp/pings 2>&1 &
	pid=$!
	await 10 grep -q 'seq=5 time' /tmp/pings && exits 0 popcorn kill 1 &&
		await 10 grep -q 'it is not up' /tmp/pings &&
		: >/tmp/pings && exits 0 popcorn start 1 &&
		await 20 grep -q 'time=' /tmp/pings
	kill -INT $pid
	wait $pid || { tail -n 5 /tmp/pings | sed 's/^/# /'; return 1; }
	cp /tmp/pings /tmp/out
	says '^--- kernel1 ping statistics ---' && says '^rtt min/avg/max/mdev'
}

for kid in 1 2; do
	answers $kid 20
	for channel in control coherency network tty; do
		check "kernel $kid answers on channel $channel" \
			pings $kid -c 3 -i 0 --channel $channel
	done
done
check "it does so by name" pings kernel2 -c 1
check "the output is that of ping" \
	says '^64 bytes from kernel 2 \(kernel2\): seq=1 time=[0-9]+\.[0-9]{3} ms$'
check "messages without a byte" pings 1 -c 3 -i 0 -s 0
for channel in coherency network; do
	check "messages of full length on channel $channel" \
		pings 2 -c 20 -i 0 -s 65536 --channel $channel
	check "longer ones are refused" exits 2 popcorn ping 2 -s 65537 \
		--channel $channel
done
for channel in control tty; do
	check "messages of full length on channel $channel" \
		pings 2 -c 20 -i 0 -s 4096 --channel $channel
	check "longer ones are refused" exits 2 popcorn ping 2 -s 4097 \
		--channel $channel
done
check "it is said why" says "so many bytes are too many for this channel"
check "many at once" eval 'for i in 1 2 3 4 5 6 7 8; do
	popcorn ping $((i % 2 + 1)) -q -c 100 -i 0 -W 20 >/tmp/many.$i 2>&1 &
	done; wait; [ "$(cat /tmp/many.* | grep -c " 0% lost")" = 8 ]'

check "what was sent and received adds up" adds_up
check "nothing was dropped" no_drops
check "stats: a line for each channel" shows \
	'^  2 +kernel2 +up +tty +[1-9]' popcorn stats
check "stats: the polls" says '^softirq +[1-9]'
check "stats --json" shows '"tx_messages": [1-9]' popcorn stats 1 --json
check "a stranger may not ping" eval 'exits 6 su -s /bin/sh nobody \
	-c "popcorn ping 1 -c 1" && says "not permitted; do it as root"'

check "a secondary runs its script" runs_script
check "it pings another secondary" eval \
	"logged 2 'bytes from kernel 1: seq=3 time=' &&
	logged 2 '3 messages sent, 3 received, 0% lost'"
check "and the primary" logged 2 '4 messages sent, 4 received, 0% lost'
check "but not itself" logged 2 'self: 2'
check "nor one that there is not" logged 2 'kernel 7: 3'
check "nor by names, which it does not know" logged 2 'by name: 3'
check "and has statistics" logged 2 '  1  - +up +control +[1-9]'

exits 0 popcorn stop 1
check "a kernel that was stopped" down 1
check "is down in stats, too" shows '^  1 +kernel1 +down' popcorn stats
load_plain 1
exits 0 popcorn start 1
check "answers again after a start" \
	eval 'answers 1 && pings 1 -c 3 -i 0'
check "ping outlives the other kernel" outlives
check "killed" eval 'exits 0 popcorn kill 1 && down 1'
check "a kernel that hangs does not answer" hung_times_out
check "and is not up once it was killed" \
	eval 'exits 0 popcorn kill 1 && down 1'
check "the third kernel has not noticed" pings 2 -c 3 -i 0
plan

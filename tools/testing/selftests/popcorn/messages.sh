#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Four kernels exchange messages, all with all: none is lost, doubled, overtaken
# or damaged, and hardly any takes an interrupt.
#
# vm: --kernels 4 --mem 256M --timeout 600

. /selftests/lib.sh
. /selftests/load.sh

# Streams: ordered pairs of kernels times channels, or pairs on one channel.
PAIRS=12
STREAMS=48
# Messages in all streams together
[ "${LONG:-}" = 1 ] && MIXED=1000000 || MIXED=250000
# Those of full length, most of which wait for room.
FULL=48000
# Those of a steady stream.
STEADY=200000
# Interrupts per 1000 of them.
INTERRUPTS=20

# sum FILE...: of the numbers in them
sum()
{
	cat "$@" | awk '{ sum += $1 } END { print sum }'
}

waited_for_room()
{
	local waits=$(sum $links/*/*/tx_waits)

	echo "# kernel 0 has waited $waits times"
	[ "$waits" -gt 0 ]
}

found_no_room()
{
	local full=$(sum $links/*/*/tx_full)

	echo "# kernel 0 has found no room $full times"
	[ "$full" -gt 0 ]
}

drops_nothing()
{
	[ "$(sum $links/*/*/rx_unknown $links/*/*/rx_late $links/*/*/rx_dropped \
		$links/*/*/tx_failed)" = 0 ]
}

# What was sent until it was stopped has come.
stops()
{
	begin messages=100000000 && sleep 2 && begin stop && has_ended &&
		came_well && rate
}

# measure_latency CHANNEL: the median, in ns
measure_latency()
{
	echo "kid=1 channel=$1 size=64 count=1000" >$load/latency &&
		sed 's/^/# /' $load/latency
}

# Bulk from several sides on the network's channel, round trips on another.
goes_beside_bulk()
{
	begin channels=network size=max messages=100000000 &&
		sleep 1 && measure_latency "$1" && begin stop && has_ended &&
		came_well && rate
}

interrupts()
{
	sum /sys/kernel/popcorn/poll/*/interrupts
}

stays_idle()
{
	local before after kid

	# IPv6 sends now and then.
	for kid in 0 1 2 3; do
		popcorn exec --wait $kid ip link set pcn0 down
	done
	sleep 1
	before=$(interrupts)
	sleep 5
	after=$(interrupts)
	echo "# interrupts: $before, 5 s later $after"
	[ "$before" = "$after" ]
}

# few TEXT COUNT MESSAGES: not judged on a debug kernel, whose senders may take
# longer for a message than a receiver lingers
few()
{
	echo "# $2 $1 for $3 messages"
	zcat /proc/config.gz | grep -q '^CONFIG_PROVE_LOCKING=y' && return
	[ $(($2 * 1000)) -lt $(($3 * INTERRUPTS)) ]
}

# steady CHANNEL SIZE: few doorbells are rung for a stream to kernel 1
steady()
{
	local bell=$links/1/$1/tx_doorbells before

	before=$(cat "$bell")
	echo "kid=1 channel=$1 size=$2 count=$STEADY" >$load/throughput &&
		few doorbells $(($(cat "$bell") - before)) $STEADY
}

# steadily_received CHANNEL: few interrupts are taken for a stream from kernel 1
steadily_received()
{
	local before=$(interrupts)

	run 60 2 "kernels=0-1 channels=$1 size=64 messages=$STEADY" &&
		few interrupts $(($(interrupts) - before)) $STEADY
}

# finds FAULT SIZE: each stream of such a run has messages that are not right
finds()
{
	begin "messages=100 seed=9 size=$2 fault=$1" && await 30 has_ended ||
		return
	awk '/^[0-9]/ && !$7 { bad++ } /^[0-9]/ { all++ }
	     END { exit bad || all != '$STREAMS' }' /tmp/result && return
	sed 's/^/# /' /tmp/result | head -n 5
	return 1
}

check "all kernels are linked" await 20 all_linked $PAIRS
for fault in lost twice damaged short; do
	check "a message that is $fault is found" finds $fault 1000
done
check "one that is lost among others of any length" finds lost random
check "$MIXED messages of all lengths" \
	run 300 $STREAMS "messages=$((MIXED / STREAMS + 1)) seed=1"
check "and other ones" \
	run 60 $STREAMS "messages=$((MIXED / STREAMS / 10)) seed=2"
check "$FULL messages of full length" \
	run 300 $STREAMS "messages=$((FULL / STREAMS)) size=max"
check "for which there was no room" waited_for_room
check "as many that are tried until there is room" \
	run 300 $STREAMS "messages=$((FULL / STREAMS)) size=max try"
check "for which there was none at first" found_no_room
check "messages of all lengths that are tried" \
	run 120 $STREAMS "messages=$((MIXED / STREAMS / 4)) seed=3 try"
check "messages without payload" run 60 $STREAMS "messages=500 size=0"
check "at a slow rate" \
	run 60 $STREAMS "messages=100 size=100 rate=50"
check "between two kernels that are not the primary" \
	run 60 8 "kernels=2-3 messages=1000"
check "nothing is lost when it is stopped" stops
for channel in coherency control; do
	check "round trips on $channel" measure_latency $channel
	check "beside bulk on another channel" goes_beside_bulk $channel
done
check "no interrupts when nobody sends" stays_idle
for channel in $channels; do
	check "few for streams to and fro on $channel" steadily_received "$channel"
	check "few doorbells for a stream on $channel" steady "$channel" 64
done
check "few for one of pages" steady network 4096
check "nothing was dropped" drops_nothing
plan

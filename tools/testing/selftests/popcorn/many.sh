#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# check: early
#
# Many small kernels in one machine: all are up, all ping each other, on the network
# channel with messages of full length, which need more blocks than a kernel has; all are
# stopped and started again. Says how long that takes, and what the window takes.
#
# 8 kernels; LONG=1: 64, as many as there can be, and a window below 200 MiB.
#
# vm: --kernels 8 --mem 64M --timeout 400
# vm-long: --kernels 64 --timeout 7200
# vm: --append popcorn.boot_ms=3600000 --append popcorn.stop_ms=3600000

. /selftests/lib.sh
. /selftests/load.sh

count=$(ls $kernels | wc -l)
last=$((count - 1))

# timed NAME COMMAND...: says how long the command has taken
timed()
{
	local name=$1 begin status

	shift
	begin=$(uptime_ms)
	"$@"
	status=$?
	echo "# $name: $(($(uptime_ms) - begin)) ms"
	return $status
}

# all_are STATE: "popcorn list" shows all secondaries in this state
all_are()
{
	exits 0 popcorn list &&
		[ "$(grep -cE "^ *[0-9]+ +kernel[0-9]+ +$1 " /tmp/out)" = $last ]
}

all_linked()
{
	[ "$(cat $links/*/state | grep -c '^up$')" = $last ]
}

# What a kernel runs: ping all others. Those that it has no link to yet are new.
pings='
self=$1 last=$2 failed=0
shift 2
for kid in $(seq 0 $last); do
	[ $kid != $self ] || continue
	until grep -q up /sys/kernel/popcorn/links/$kid/state 2>/dev/null; do
		usleep 100000
	done
	popcorn ping $kid -c 1 -W 600 -q "$@" >/tmp/ping 2>&1 || {
		cat /tmp/ping
		failed=$((failed + 1))
	}
done
exit $failed
'

# ping_from KID ARGUMENT...
ping_from()
{
	local kid=$1

	if [ "$kid" = 0 ]; then
		sh -c "$pings" sh 0 $last $2 $3 $4 $5
	else
		popcorn exec --wait "$kid" sh -c "$pings" sh "$kid" $last $2 $3 $4 $5
	fi
}

# all_ping ARGUMENT...: each kernel pings all others, at the same time
all_ping()
{
	local kid pid pids="" status=0

	for kid in $(seq 0 $last); do
		ping_from "$kid" "$@" >"/tmp/pings.$kid" 2>&1 </dev/null &
		pids="$pids $!"
	done
	for pid in $pids; do
		wait "$pid" || status=1
	done
	[ $status = 0 ] || head -n 3 /tmp/pings.* | sed 's/^/# /'
	return $status
}

# sum NAME: of a counter of all links of this kernel
sum()
{
	cat $links/*/*/"$1" | awk '{ sum += $1 } END { print sum }'
}

nothing_was_lost()
{
	grep -Hv '^0$' $links/*/*/tx_failed $links/*/*/rx_late $links/*/*/rx_orphans \
		$links/*/*/rx_unknown $links/*/*/rx_dropped $links/*/*/spilled |
		sed 's/^/# /' | grep . && return 1
	return 0
}

# Streams of messages of full length between all kernels on two channels, all at the same
# time: each kernel has blocks for fewer than half of them.
all_stream()
{
	begin messages=30 size=65536 channels=coherency,network &&
		await 300 has_ended && [ "$(total received)" = $((count * last * 60)) ] &&
		[ "$(total errors)" = 0 ] && [ "$(total damaged)" = 0 ] && return
	sed 's/^/# /' /tmp/result
	return 1
}

# says_of_links: these numbers are for the reader
says_of_links()
{
	echo "# kernel 0: $(sum tx_blocks) blocks taken," \
	     "$(sum tx_block_waits) times waited for one"
}

window_mib()
{
	local range

	range=$(cat /sys/kernel/popcorn/window)
	echo $(((${range#*-} + 1 - ${range%-*}) >> 20))
}

window_is_small()
{
	echo "# $count kernels: a window of $(window_mib) MiB"
	[ "$(window_mib)" -lt 200 ]
}

check "$count kernels run" all_are running
check "the window takes less than 200 MiB" window_is_small
check "the primary has a link to each" await 600 all_linked
check "all ping each other" timed "pings" all_ping
check "with messages of full length" timed "long pings" \
	all_ping --channel network -s 65536
check "and again, with blocks that others have had" timed "long pings" \
	all_ping --channel coherency -s 65536
[ "${LONG:-}" = 1 ] || check "streams of them" timed "streams" all_stream
check "nothing was lost" nothing_was_lost
says_of_links
vm-save-logs
check "all are stopped" timed "stop" exits 0 popcorn stop all
check "list says so" all_are loaded
check "all start again" timed "start" exits 0 popcorn start all
check "list says so" all_are running
check "all have links again" await 600 all_linked
check "all ping each other again" timed "pings" all_ping
check "with messages of full length" timed "long pings" \
	all_ping --channel network -s 65536
says_of_links
plan

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Sockets between kernels (AF_VSOCK): all that is sent comes, in both directions, between all
# kernels; nothing that a peer sends harms others; a peer that dies ends its connections, and
# they can be made again when it is back. LONG=1: 64 MiB each time instead of 4.
#
# vm: --kernels 3 --mem 256M --no-start --timeout 900 --add build/tools/selftests:/programs

. /selftests/lib.sh
. /selftests/load.sh

bytes=$((4 << 20)) lies=3000
[ "$LONG" != 1 ] || { bytes=$((64 << 20)); lies=100000; }
counters=/sys/kernel/popcorn/vsock
# Of the servers; seqpackets have the next one.
port=5000 stuck_port=6000

# The initrd of secondaries that have the program.
extra=/tmp/extra
mkdir -p $extra/programs
cp /programs/vsock /programs/vsock-stuck $extra/programs

# start KID [SCRIPT]: a kernel that serves
start()
{
	echo "$2" >$extra/programs/script
	initrd_with $extra programs/vsock programs/vsock-stuck programs/script >/tmp/initrd
	load_script "$1" "/programs/vsock serve $port &
/programs/vsock-stuck serve $stuck_port &
sh /programs/script" /tmp/initrd && exits 0 popcorn start "$1"
}

# port_for TYPE
port_for()
{
	[ "$1" = stream ] && echo $port || echo $((port + 1))
}

# vsock VERB TYPE KID [ARGUMENT]
vsock()
{
	note timeout 300 /programs/vsock "$1" "$2" "$3" "$(port_for "$2")" $4
}

serves()
{
	timeout 20 /programs/vsock get stream "$1" $port 1000 >/tmp/note 2>&1
}

# both_ways TYPE KID BYTES
both_ways()
{
	vsock put "$1" "$2" "$3" && vsock get "$1" "$2" "$3"
}

# at_once TYPE KID: to and fro at the same time, by several
at_once()
{
	local pids= pid status=0 verb

	for verb in put get put get; do
		timeout 300 /programs/vsock $verb "$1" "$2" "$(port_for "$1")" \
			$((bytes / 4)) &
		pids="$pids $!"
	done
	for pid in $pids; do
		wait $pid || status=1
	done
	return $status
}

# Secondaries wait for this kernel with it.
await_primary='until /programs/vsock get stream 0 '$port' 10; do usleep 50000; done'

# Kernel 2 does it with kernels 0 and 1, and says so.
client='
until grep -q up /sys/kernel/popcorn/links/1/state &&
	/programs/vsock get stream 1 5000 10; do usleep 100000; done
for kid in 0 1; do
	for verb in put get; do
		/programs/vsock $verb stream $kid 5000 '$bytes' &&
			/programs/vsock $verb seqpacket $kid 5001 '$bytes' &&
			echo "kernel $kid: $verb is right"
	done
done'

# has_said COUNT
has_said()
{
	[ "$(popcorn log 2 | grep -c "kernel [01]: .* is right")" = "$1" ]
}

# counted NAME
counted()
{
	cat "$counters/$1"
}

dropped_nothing()
{
	! grep -Hv '^0$' $counters/* | sed 's/^/# /' | grep .
}

# waits NAME TYPE KID: have a connection that waits
waits()
{
	/programs/vsock wait "$2" "$3" "$(port_for "$2")" >"/tmp/$1.out" 2>&1 &
	echo $! >"/tmp/$1.pid"
	await 10 grep -qs connected "/tmp/$1.out"
}

# was_reset NAME
was_reset()
{
	await 20 grep -q "ended by ECONNRESET" "/tmp/$1.out" && return
	note cat "/tmp/$1.out"
	return 1
}

# still_waits NAME
still_waits()
{
	kill -0 "$(cat "/tmp/$1.pid")" && ! grep -q ended "/tmp/$1.out"
}

# Data is under way in both directions, and connections rest, when it is killed.
killed()
{
	local pid

	waits rests stream 1 && waits packets seqpacket 1 && waits other stream 2 || return
	timeout 60 /programs/vsock pump stream 1 $port >/tmp/pump 2>&1 &
	pid=$!
	await 10 grep -qs connected /tmp/pump && sleep 1 &&
		exits 0 popcorn kill 1 && was_reset rests && was_reset packets &&
		still_waits other || return
	wait $pid
	note grep -E "write: (Connection reset|Broken pipe|Transport endpoint)" /tmp/pump
}

fails_at_once()
{
	exits 1 timeout 5 /programs/vsock get stream 1 $port 10 && says "No route to host"
}

starts_again()
{
	start 1 && await 20 serves 1 && both_ways stream 1 100000 && still_waits other
}

# A program that reads nothing makes others wait, and their packets are few.
floods()
{
	vsock flood stream 1 && [ "$(sed -n 's/.*sent //p' /tmp/note)" -le $((1 << 20)) ] &&
		both_ways stream 1 100000
}

# --- a peer that takes nothing ---

# stuck VERB: kernel 1 takes nothing from this one, and kernel 2 ends that
stuck()
{
	note timeout 200 /programs/vsock-stuck "$1" 1 2 $stuck_port
}

# What it does not answer ends when it dies.
dies_stuck()
{
	local pid

	timeout 200 /programs/vsock-stuck dies 1 2 $stuck_port >/tmp/dies 2>&1 &
	pid=$!
	await 60 grep -qs waits /tmp/dies && exits 0 popcorn kill 1 &&
		await 20 grep -q returned /tmp/dies && wait $pid
	note grep "connect: ECONNRESET" /tmp/dies
}

children_of()
{
	grep -l "^PPid:[[:space:]]*$1$" /proc/[0-9]*/status 2>/dev/null |
		sed 's/[^0-9]//g'
}

# A socket here that is closed, and of which the peer knows nothing, is not there for the
# same port of its next life.
same_port()
{
	popcorn kill 1 >/tmp/note 2>&1
	start 1 "$await_primary
FROM=1023 /programs/vsock wait stream 0 $port" && await 20 logged 1 "vsock: connected" &&
		await 20 serves 1 && stuck sticks || return
	kill $(children_of $server)
	exits 0 popcorn kill 1 && start 1 "$await_primary
FROM=1023 /programs/vsock put stream 0 $port 30000 && echo the same port works" &&
		await 20 logged 1 "the same port works"
}

# Who asks for connections before the kernel can take them has no harm of it.
asked_early()
{
	local pid

	popcorn kill 1 >/tmp/note 2>&1
	timeout 100 /programs/vsock hammer stream 1 $port >/tmp/hammer 2>&1 &
	pid=$!
	start 1 && wait $pid && note cat /tmp/hammer && both_ways stream 1 1000000
}

# --- a peer that lies ---

# le BYTES NUMBER: in hex, least significant byte first
le()
{
	printf "%0$(($1 * 2))x" "$2" | sed 's/../& /g' | tr ' ' '\n' | grep . |
		sed -n '1!G;h;$p' | tr -d '\n'
}

# packet SRC DST SRC_PORT DST_PORT LEN TYPE OP FLAGS ALLOC FWD
packet()
{
	echo "$(le 8 $1)$(le 8 $2)$(le 4 $3)$(le 4 $4)$(le 4 $5)$(le 2 $6)$(le 2 $7)$(le 4 $8)$(le 4 $9)$(le 4 ${10})"
}

# Malformed ones: of another kernel, for another one, of wrong lengths, types, ops, flags.
malformed()
{
	packet 1002 1000 9 5000 0 1 1 0 1000 0
	packet 4294968297 1000 9 5000 0 1 1 0 1000 0
	packet 2 1000 9 5000 0 1 1 0 1000 0
	packet 1001 1002 9 5000 0 1 1 0 1000 0
	packet 1001 1 9 5000 0 1 1 0 1000 0
	packet 1001 1000 9 5000 8 1 5 0 1000 0
	packet 1001 1000 9 5000 4294967295 1 5 0 1000 0
	packet 1001 1000 9 5000 0 1 5 0 1000 0
	packet 1001 1000 9 5000 0 3 1 0 1000 0
	packet 1001 1000 9 5000 0 0 1 0 1000 0
	packet 1001 1000 9 5000 0 1 8 0 1000 0
	packet 1001 1000 9 5000 0 1 65535 0 1000 0
	packet 1001 1000 9 5000 0 1 1 1 1000 0
	packet 1001 1000 9 5000 0 1 0 0 1000 0
	echo "$(packet 1001 1000 9 5000 8 1 1 0 1000 0)0000000000000000"
	packet 1001 1000 9 5000 0 1 1 0 1000 0 | cut -c 1-80
}

# forge PACKET...: from kernel 1 to this one. It has none of its own then.
forge()
{
	echo 'cd /sys/kernel/debug/popcorn'
	echo 'until grep -q up /sys/kernel/popcorn/links/0/state; do usleep 50000; done'
	for p; do
		echo "echo message kid=0 channel=2 type=28 $p >garbage"
	done
	echo 'echo "packets are out"'
}

# grows NAME NUMBER COMMAND...: the counter does, by that
grows()
{
	local name=$1 by=$2 before after

	before=$(counted "$name")
	shift 2
	"$@" || return
	after=$(counted "$name")
	[ $((after - before)) = "$by" ] && return
	echo "# $name: $before, then $after"
	return 1
}

# lies PACKET...: kernel 1 sends these in a life of its own
lies()
{
	popcorn kill 1 >/tmp/note 2>&1
	start 1 "$(forge "$@")" && await 20 logged 1 "packets are out" && await 20 serves 1
}

# Taken is what was never sent.
false_window()
{
	lies "$(packet 1001 1000 0 0 0 0 0 0 0 600000)"
}

# A connection on which this kernel has sent nothing: one byte of that is taken.
false_credit()
{
	popcorn kill 1 >/tmp/note 2>&1
	start 1 "$await_primary
FROM=2000 /programs/vsock wait stream 0 $port >/tmp/wait &
until grep connected /tmp/wait; do usleep 50000; done
$(forge "$(packet 1001 1000 2000 $port 0 1 6 0 1000 1)")" &&
		await 20 logged 1 "packets are out" && await 20 serves 1
}

# 100,000 packets, mostly malformed, while others talk.
garbage()
{
	popcorn kill 1 >/tmp/note 2>&1
	start 1 "$await_primary
cd /sys/kernel/debug/popcorn
echo sample >garbage
for i in 1 2 3; do
	/programs/vsock get seqpacket 0 5001 30000
	/programs/vsock put stream 0 5000 30000
done
echo messages kid=0 count=$lies seed=1 channel=2 type=28 >garbage
echo 'packets are out'" && both_ways stream 2 $((bytes / 4)) &&
		await 300 logged 1 "packets are out"
}

/programs/vsock serve $port &
server=$!
wait_for_tsc
check "kernels that serve" eval 'start 1 && start 2 "$client" && await 20 serves 1 && await 20 serves 2'
for type in stream seqpacket; do
	check "$type: $bytes bytes, both ways" both_ways $type 1 $bytes
	check "$type: both ways at once" at_once $type 1
	check "$type: 200 connections" vsock many $type 1 200
done
check "kernel 2 with kernels 0 and 1" await 300 has_said 4
check "nobody listens there" exits 0 /programs/vsock refused stream 1 77
check "nor in seqpackets on the port of a stream" exits 0 /programs/vsock refused seqpacket 1 $port
check "there is no such kernel" exits 1 timeout 5 /programs/vsock get stream 7 $port 1
check "which is said" says "Network is unreachable"
check "this kernel itself" vsock get stream 0 10000
check "a port that is privileged, for a user" exits 1 /programs/vsock bind 1000
check "and one that is not" exits 0 /programs/vsock bind 2000
check "nor may one that is given that port's capability use it" exits 0 /programs/vsock reserved 1 $port
check "a server that does not read" floods
check "a kernel that takes nothing: what ends connections and makes room comes" stuck controls
check "and bytes do not fill memory" stuck bytes
check "nothing was dropped" dropped_nothing
check "nor do those who ask for connections" grows tx_full 1 stuck requests
check "a kernel is killed: its connections end, others do not" killed
check "to a kernel that is down nobody connects" fails_at_once
check "it is started again" starts_again
check "what a kernel has not answered ends when it is killed" dies_stuck
check "a port of its last life can be used in the next one" same_port
check "connections are asked for before it can take them" asked_early
check "malformed packets are counted" grows rx_malformed 16 lies $(malformed)
check "as is one that takes what was not sent" grows rx_credit 1 false_window
check "and one that does so on a connection" grows rx_credit 1 false_credit
check "$lies packets of a liar" garbage
check "some of them were dropped" [ "$(counted rx_malformed)" -gt 50 ]
check "kernel 1 lives on" eval 'popcorn kill 1 >/tmp/note 2>&1; starts_again'
check "no connection was harmed" still_waits other
check "nothing was said" eval '! { dmesg; popcorn log 1; popcorn log 2; } | grep -E "BUG|WARNING|refcount"'
kill $server
plan

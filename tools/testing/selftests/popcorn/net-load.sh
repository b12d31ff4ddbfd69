#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The network between four kernels under load: TCP with up to 64 streams, UDP, floods of pings
# and terminals that print at the same time, with each frame accounted for; a kernel that
# forwards to one that hangs, which keeps no more for it than it may; and a kernel that is
# killed and started again beside a transfer of others. LONG=1: load for 10 minutes, 20 kills.
#
# check: alone: the long version measures time.
#
# vm: --kernels 4 --mem 320M --no-start --ssh --timeout 900
# vm: --append popcorn.boot_ms=600000
# vm-long: --timeout 5400
# vm: --add build/tools/selftests/typist:/programs/typist --add-bin /usr/bin/iperf3
# vm: --add-bin /usr/bin/ip --add-bin /usr/bin/ss --add-bin /usr/bin/ping
# vm: --add-bin /usr/sbin/ethtool --add-bin /usr/bin/socat

. /selftests/lib.sh
. /selftests/net-lib.sh
. /selftests/console-lib.sh

# What ends on any host has ended after $on_limit seconds; the longest is a transfer beside all rounds.
seconds=10 mib=16 udp_mib=4 rounds=2 on_limit=300
[ "$LONG" != 1 ] || { seconds=600; mib=128; udp_mib=32; rounds=20; on_limit=1800; }

# unsaid REGEX: by any kernel; /tmp/logs has the logs of lives that are over
unsaid()
{
	local kid

	! { dmesg; for kid in 1 2 3; do popcorn log $kid; done; cat /tmp/logs 2>/dev/null; } |
		grep -E "$1" | sed 's/^/# /' | grep .
}

silent()
{
	unsaid '\<BUG\>|WARNING|refcount|lockup|\<stalls?\>'
}

not()
{
	! "$@"
}

# --- all at the same time ---

# is_over: the load has gone on for long enough
is_over()
{
	[ -e /tmp/over ]
}

# serve KID: for iperf3, which serves one client at a time at each port
serve()
{
	on "$1" iperf3 -s -D -p $port
}

# run_of WHAT FROM TO STREAMS OPTION...: of iperf3; what it says goes to /tmp/WHAT.json, and a line
# to /tmp/WHAT. With -J it exits with 0 even if it has failed.
run_of()
{
	local what=$1 from=$2 to=$3 streams=$4

	shift 4
	on "$from" iperf3 -c "$(address4 "$to")" -p $port -J -i 1 -P "$streams" "$@" \
		>"/tmp/$what.json" && not grep -q '"error"' "/tmp/$what.json" &&
		figures "$streams" <"/tmp/$what.json" >>"/tmp/$what" && return
	echo "# iperf3 -P $streams $*, from $from to $to: $(grep '"error"' "/tmp/$what.json")"
	return 1
}

# figures STREAMS: of a run: what has come, bytes and bits a second; datagrams lost; and for how
# many seconds nothing was sent, at most
figures()
{
	awk -v streams="$1" '
		{ gsub(/[",:]/, "") }
		$1 ~ /^sum/ { sum = $1 }
		$1 == "bytes" && sum == "sum" { idle = $2 > 0 ? 0 : idle + 1; sum = "" }
		idle > longest { longest = idle }
		sum == "sum_received" { value[$1] = $2 }
		END { print streams, value["bytes"] + 0, value["bits_per_second"] + 0,
		      value["lost_packets"] + 0, longest + 0 }'
}

# tcp WHAT FROM TO: with ever more streams, all numbers once, and again until the load is over
tcp()
{
	local streams again=

	until [ -n "$again" ] && is_over; do
		for streams in 1 4 16 64; do
			[ -n "$again" ] && is_over && return
			run_of "$@" $streams -n "${mib}M" || return
		done
		again=1
	done
}

# udp WHAT FROM TO: as fast as it goes
udp()
{
	until is_over; do
		run_of "$@" 1 -u -b 0 -l 1400 -n "${udp_mib}M" || return
	done
}

# floods FROM TO
floods()
{
	until is_over; do
		on "$1" ping -q -f -c 500 -W 10 "$(address4 "$2")" >/tmp/flood
		grep 'packets transmitted' /tmp/flood >>/tmp/floods || return
	done
}

# What a shell does that counts: a number that is lost shows.
counts='stty -echo; i=0; echo begin; until [ -e /tmp/over ]; do seq $i $((i + 99)); '\
'i=$((i + 100)); usleep 20000; done; echo ended $i; stty echo'

# prints KID: its terminal, until there is /tmp/over
prints()
{
	session "t$1" "$1"
	types "t$1" "$counts"
	shows "t$1" '^begin'
}

# printed_all KID: all that was counted has come, in order
printed_all()
{
	on "$1" touch /tmp/over && shows "t$1" '^ended' || return
	tr -d '\r' <"/tmp/t$1.out" | awk '
		$1 == "ended" { ended = 1; exit }
		begun && $0 != n++ { exit }
		$1 == "begin" { begun = 1 }
		END { print "# a terminal has printed " n " lines"
		      exit !(ended && n > 0 && $2 == n) }'
}

# load: begin it; each part notes in /tmp/failed that it has failed
load()
{
	{ tcp tcp.01 0 1 || echo tcp.01 >>/tmp/failed; } &
	pids=$!
	{ tcp tcp.23 2 3 || echo tcp.23 >>/tmp/failed; } &
	pids="$pids $!"
	{ udp udp.30 3 0 || echo udp.30 >>/tmp/failed; } &
	pids="$pids $!"
	{ floods 1 2 || echo floods >>/tmp/failed; } &
	pids="$pids $!"
	/programs/typist 1 /tmp/over >/tmp/typist 2>&1 &
	typist=$!
}

# loaded: until the time has passed and each part has ended well
loaded()
{
	local pid

	await $seconds test -s /tmp/failed
	touch /tmp/over
	for pid in $pids; do
		wait "$pid"
	done
	[ ! -s /tmp/failed ] && return
	echo "# failed: $(cat /tmp/failed)"
	return 1
}

# no_stall WHAT: in each run something has come, or was lost where datagrams may be; and in none was
# nothing sent for long. TCP tries again after 0.2 s, 0.4 s and so on; a queue that is not woken up
# stands still for 5 s.
no_stall()
{
	awk -v what="$1" '
		$2 + $4 == 0 || $5 >= 5 { bad = 1; print "# a bad run: " $0 }
		{ rate = $3 / 1e6; sum[$1] += rate; n[$1]++ }
		n[$1] == 1 || rate < min[$1] { min[$1] = rate }
		rate > max[$1] { max[$1] = rate }
		END { for (i in n)
			printf "# %s, streams: %d, runs: %d, Mbit/s: %.0f (%.0f to %.0f)\n", what, i,
			       n[i], sum[i] / n[i], min[i], max[i]
		      exit bad || !NR }' "/tmp/$1"
}

echoed()
{
	wait "$typist"
	set -- $?
	sed 's/^/# /' /tmp/typist
	return "$1"
}

# longest_echo MS: it was shorter than that
longest_echo()
{
	[ "$(sed -n 's/.* longest_us //p' /tmp/typist)" -lt $(($1 * 1000)) ]
}

# flat: what /proc/net/snmp says, as lines "PROTOCOL:NAME NUMBER"; other lines of two words stay
flat()
{
	awk '
		$1 ~ /:$/ && $2 ~ /^[A-Z]/ { for (i = 2; i <= NF; i++) name[i] = $i; next }
		$1 ~ /:$/ { for (i = 2; i <= NF; i++) print $1 name[i], $i; next }
		NF == 2'
}

# counters: of all kernels, of frames and of what was dropped above the interface, as lines
# "NAME NUMBER"
counters()
{
	local kid

	for kid in 0 1 2 3; do
		script $kid 'cd /sys/class/net/pcn0/statistics && echo tx $(cat tx_packets) &&
			echo rx $(cat rx_packets) && ethtool -S pcn0 | tr -d : && cat /proc/net/snmp' | flat
	done
}

# sum_of NAME...: over all kernels
sum_of()
{
	awk -v names="$*" '
		BEGIN { for (n = split(names, list); n; n--) wanted[list[n]] }
		$1 in wanted { sum += $2 }
		END { print sum + 0 }' /tmp/counters
}

dropped_here="rx_malformed rx_offload rx_spoofed rx_full rx_no_memory rx_down rx_late"

# are_settled: no frame is under way, as nothing has changed from one reading of all to the next
are_settled()
{
	counters >/tmp/counters.before && counters >/tmp/counters &&
		cmp -s /tmp/counters.before /tmp/counters
}

# missing: three times the frames that were sent and neither came nor are in a counter. A frame to
# all is one that is sent, and a copy to each of the three others, which comes, or has found no
# room.
missing()
{
	echo $((3 * ($(sum_of tx) + $(sum_of tx_copies) - $(sum_of rx) - $(sum_of $dropped_here)) -
		$(sum_of tx_copies tx_peer_full)))
}

# dropped: by the interfaces, and by what sends through them; each is one datagram or ping at most
dropped()
{
	sum_of $dropped_here tx_peer_down tx_peer_full tx_nobody tx_unfit Ip:OutDiscards
}

# dropped_by_sockets: datagrams, for want of room
dropped_by_sockets()
{
	sum_of Udp:RcvbufErrors Udp:SndbufErrors
}

frames_are_accounted_for()
{
	await 60 are_settled && [ "$(missing)" = "$missing_before" ] && return
	echo "# $(missing) thirds of frames are missing, $missing_before before"
	return 1
}

# lost_pings: those to which no answer has come; ping itself does not wait for late ones
lost_pings()
{
	awk -v answered=$(($(sum_of Icmp:InEchoReps) - answered_before)) '
		{ sum += $1 }
		END { print sum - answered }' /tmp/floods
}

lost_datagrams()
{
	awk '{ sum += $4 } END { print sum + 0 }' /tmp/udp.30
}

# losses_are_accounted_for: of what programs count themselves
losses_are_accounted_for()
{
	local here=$(($(dropped) - dropped_before)) by_sockets

	by_sockets=$(($(dropped_by_sockets) - by_sockets_before))
	echo "# lost: $(lost_pings) pings, $(lost_datagrams) datagrams;" \
	     "dropped: $here by interfaces, $by_sockets by sockets"
	[ "$(lost_pings)" -le $here ] &&
		[ $(($(lost_pings) + $(lost_datagrams))) -le $((here + by_sockets)) ]
}

# --- a kernel that forwards to one that hangs ---

# An address of kernel 2 to which kernel 1 sends by way of this kernel
through=10.78.0.2
# What network.rst says that a peer can have this kernel keep, in KiB: 256 frames of 64 KiB wait
# for it, and 8 MiB, or a 32nd of the memory, of what has come. A buffer takes a little more than
# its frame, and programs that run meanwhile take something, too.
mem_total=$(awk '/^MemTotal/ { print $2 }' /proc/meminfo)
bound=$((256 * 66 + (mem_total / 32 < 8192 ? mem_total / 32 : 8192) + 4096))

available()
{
	awk '/^MemAvailable/ { print $2 }' /proc/meminfo
}

# counts_memory: note the smallest that is available, until there is /tmp/counted
counts_memory()
{
	local now least=$mem_total

	until [ -e /tmp/counted ]; do
		now=$(available)
		[ "$now" -ge "$least" ] || least=$now
		usleep 50000
	done
	echo "$least" >/tmp/least
}

# route: kernel 0 forwards what is for $through
route()
{
	local file

	for file in all/send_redirects pcn0/send_redirects; do
		echo 0 >/proc/sys/net/ipv4/conf/$file
	done
	echo 1 >/proc/sys/net/ipv4/ip_forward
	ip route add $through via "$(address4 2)" && on 1 ip route add $through via "$(address4 0)" &&
		has_address
}

has_address()
{
	on 2 ip address add $through/32 dev lo
}

# forwarded: packets, by this kernel
forwarded()
{
	flat </proc/net/snmp | awk '$1 == "Ip:ForwDatagrams" { print $2 }'
}

forwards()
{
	local before

	before=$(forwarded)
	sends 1 2 2 $through && [ "$(forwarded)" -gt "$before" ]
}

# slow_reader: a program of kernel 2 that reads nothing until there is /tmp/go
slow_reader()
{
	script 2 "rm -f /tmp/go; socat -u TCP6-LISTEN:$((port + 1)),reuseaddr STDOUT |
		{ until [ -e /tmp/go ]; do usleep 100000; done; md5sum; }" >/tmp/came
}

# waits_to_send: kernel 1 has more to send than kernel 2 takes
waits_to_send()
{
	[ "$(on 1 ss -Htn state established dst $through | awk '{ print $2 }')" -gt 0 ] 2>/dev/null
}

forwards_to_slow()
{
	local reader sender wanted

	wanted=$(sum 1 8)
	slow_reader &
	reader=$!
	on 1 socat -u FILE:/tmp/sent.8 "TCP:$through:$((port + 1)),forever,interval=0.05" \
		2>/dev/null &
	sender=$!
	await 60 waits_to_send && ! await 2 not waits_to_send && on 2 touch /tmp/go &&
		wait $sender && wait $reader && [ "$(cat /tmp/came)" = "$wanted" ]
}

# hang: kernel 2 does, and is not found dead for that
hang()
{
	# Frames are to be sent although it answers no more.
	ip neigh replace "$(address4 2)" lladdr 02:70:63:6e:00:02 dev pcn0 nud permanent
	hang_ms=$(cat $parameters/hang_ms)
	echo 600000 >$parameters/hang_ms
	script 2 'echo HARDLOCKUP >/sys/kernel/debug/provoke-crash/DIRECT' >/dev/null 2>&1 &
	await 60 eval '! ping -c 1 -W 1 "$(address4 2)" >/dev/null 2>&1'
}

# is_flooded: datagrams of 60000 bytes that kernel 1 sends, until some were dropped here
is_flooded()
{
	local full flood

	rm -f /tmp/counted
	counts_memory &
	counter=$!
	full=$(counter 0 tx_peer_full)
	script 1 "until [ -e /tmp/enough ]; do
			socat -u -b 60000 FILE:/dev/zero,readbytes=6000000 UDP-SENDTO:$through:9
		done" &
	flood=$!
	await 120 eval '[ "$(counter 0 tx_peer_full)" -gt $((full + 1000)) ]'
	set -- $?
	on 1 touch /tmp/enough
	touch /tmp/counted
	wait $flood
	wait $counter
	return "$1"
}

# keeps_no_more: but something, or nothing was shown
keeps_no_more()
{
	local kept=$((available_before - $(cat /tmp/least)))

	echo "# this kernel had $kept KiB less for other things; $bound are allowed"
	[ $kept -gt 2048 ] && [ $kept -lt $bound ]
}

is_found_dead()
{
	echo "$hang_ms" >$parameters/hang_ms
	became 2 failed hang 60
}

# comes_back KID: it is started, and all that starts by itself works again
comes_back()
{
	popcorn log "$1" >>/tmp/logs
	vm-save-logs
	exits 0 popcorn start "$1" && exits 0 popcorn ssh --wait "$1" cat /sys/kernel/popcorn/self &&
		says "^$1$" && await 60 pings 0 "kernel$1" >/dev/null
}

has_memory_back()
{
	await 60 eval '[ "$(available)" -gt $((available_before - 4096)) ]' && return
	echo "# $(available) KiB are available, $available_before before"
	return 1
}

# --- a kernel that is killed and comes back, beside a transfer of others ---

# transfer: begin one from kernel 2 to kernel 3, until kernel 2 has /tmp/done; /tmp/sent and
# /tmp/received get its sum at both ends
transfer()
{
	script 3 "socat -u TCP6-LISTEN:$((port + 2)),reuseaddr STDOUT | md5sum" >/tmp/received &
	receiver=$!
	script 2 "head -c 1000000 /dev/urandom >/tmp/piece; mkfifo /tmp/copy; n=0
		md5sum </tmp/copy &
		until [ -e /tmp/done ]; do
			cat /tmp/piece; n=\$((n + 1)); echo \$n >/tmp/pieces; usleep 50000
		done | tee /tmp/copy |
			socat -u STDIN TCP:$(address4 3):$((port + 2)),forever,interval=0.05 2>/tmp/knocks
		wait" >/tmp/sent &
	sender=$!
}

# pieces: so many megabytes have been handed to it
pieces()
{
	on 2 cat /tmp/pieces 2>/dev/null || echo 0
}

# goes_on: the transfer does
goes_on()
{
	local before

	before=$(pieces)
	await 60 eval '[ "$(pieces)" -gt '"$before"' ]'
}

transferred()
{
	on 2 touch /tmp/done
	wait $sender && wait $receiver || return
	echo "# $(pieces) MB in one transfer, beside $rounds kills"
	[ -s /tmp/sent ] && [ "$(cat /tmp/sent)" = "$(cat /tmp/received)" ]
}

# is_busy: transfers to and from kernel 1 are under way
is_busy()
{
	serve 1 || return
	on 0 iperf3 -c "$(address4 1)" -p $port -t 300 --bidir --forceflush >/tmp/doomed 2>&1 &
	doomed=$!
	await 60 grep -q Bytes /tmp/doomed
}

is_unreachable()
{
	grep -q down /sys/kernel/popcorn/links/1/state && ! ping -q -c 1 -W 1 kernel1 >/dev/null 2>&1
}

dies_and_comes_back()
{
	greetings=$(greetings c)
	is_busy && exits 0 popcorn kill 1 && await 30 is_unreachable && goes_on &&
		comes_back 1 && pings 3 kernel1 && goes_on
	set -- $?
	kill $doomed 2>/dev/null
	wait $doomed 2>/dev/null
	return "$1"
}

# answers_again: the session, and it is a new shell
answers_again()
{
	await 60 greeted_again c && answers c
}

carrier_is()
{
	[ "$(carrier 0)" = "$1" ]
}

# alone: there is no other kernel any more
alone()
{
	exits 0 popcorn stop 2 3 && carrier_is 1 && exits 0 popcorn kill 1 && await 30 carrier_is 0
}

# --- the tests ---

make_initrd
wait_for_tsc
check "three more kernels" eval 'start 1 && start 2 && start 3'
check "they reach each other" eval 'all_pairs 0 1 && all_pairs 2 3'
check "iperf3 serves" eval 'serve 0 && serve 1 && serve 3'
check "terminals print" eval 'prints 2 && prints 3'
check "no frame is under way" await 60 are_settled
missing_before=$(missing)
dropped_before=$(dropped) by_sockets_before=$(dropped_by_sockets)
answered_before=$(sum_of Icmp:InEchoReps)
load
check "TCP of 1 to 64 streams, UDP and pings at the same time, for $seconds s" loaded
for what in tcp.01 tcp.23 udp.30; do
	check "$what has not stalled" no_stall $what
done
check "each line typed was echoed" echoed
[ "$LONG" != 1 ] || check "in less than 100 ms" longest_echo 100
check "all that terminal 2 printed has come" printed_all 2
check "all that terminal 3 printed has come" printed_all 3
check "each frame has come, or is in a counter" frames_are_accounted_for
check "each ping and datagram that was lost, too" losses_are_accounted_for
check "no queue has stood still" unsaid 'NETDEV WATCHDOG'
check "no kernel has complained" silent
end t2
end t3

mtu 65498 0 1 2
check "kernel 0 forwards from 1 to 2" eval 'route && forwards'
check "to a program that does not read, too" forwards_to_slow
check "kernel 2 hangs" hang
available_before=$(available)
check "what is forwarded to it is dropped, and counted" is_flooded
check "kernel 0 keeps no more than it may" keeps_no_more
check "kernel 2 is found dead" is_found_dead
check "and comes back" comes_back 2
ip neigh delete "$(address4 2)" dev pcn0
mtu 1500 0 1 2
check "what is forwarded arrives again" eval 'has_address && forwards'
check "kernel 0 has its memory again" has_memory_back

session c 1 --wait
greetings=0
check "a session with kernel 1" answers_again
transfer
check "a transfer from 2 to 3" goes_on
for i in $(seq $rounds); do
	check "kernel 1 is killed and comes back, $i" dies_and_comes_back
	check "the session goes on" answers_again
done
check "the transfer has not noticed" transferred
check "kernel 0 has no carrier without the others" alone
check "kernel 1 comes back once more" comes_back 1
check "with a carrier" carrier_is 1
check "the session goes on" answers_again
end c
check "no kernel has complained" silent
plan

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The network between kernels: all can talk to all, what is sent comes as it was, at any MTU and
# with any offload; what Linux's network can do with an interface it can do with this one; a
# peer that dies, hangs or lies harms no one else; what is dropped is counted. LONG=1: 64 MiB
# each time instead of 2, and 100,000 lies.
#
# vm: --kernels 3 --mem 320M --no-start --timeout 1800
# vm: --append popcorn.boot_ms=600000
# vm: --add-bin /usr/bin/ip --add-bin /usr/bin/ss --add-bin /usr/bin/ping
# vm: --add-bin /usr/sbin/nft --add-bin /usr/bin/tcpdump --add-bin /usr/sbin/ethtool --add-bin /usr/bin/socat

. /selftests/lib.sh
. /selftests/net-lib.sh

size=2 lies=3000
[ "$LONG" != 1 ] || { size=64; lies=100000; }
jumbo=9000 largest=65498

# What it says of itself, on each kernel.
has_addresses()
{
	local kid

	for kid in 0 1 2; do
		on $kid ip -br address show pcn0 >/tmp/note || return
		grep -q "$(address4 $kid)/24 $(address6 $kid)/64" /tmp/note &&
			[ "$(on $kid cat /sys/class/net/pcn0/address)" = "02:70:63:6e:00:0$kid" ] &&
			continue
		note cat /tmp/note
		return 1
	done
}

names_work()
{
	pings 0 kernel2 && pings 1 kernel0 && [ "$(on 1 hostname)" = kernel1 ]
}

popcorn_shows()
{
	exits 0 popcorn net && says "^pcn0: up, carrier, 02:70:63:6e:00:00" &&
		says "^  address 10.77.0.1$" && says "^ *2  up +10.77.0.3  fd70:6f70:636f:726e::3"
}

# Addresses that the interface has stay, and what it hears makes no kernel a router.
up_keeps_addresses()
{
	script 1 'ip -4 address flush dev pcn0 && ip address add 192.0.2.7/24 dev pcn0 &&
		popcorn net up && popcorn net up && ip -br address show pcn0' >/tmp/note &&
		grep -q ' 192.0.2.7/24 .*10.77.0.2/24 ' /tmp/note &&
		on 1 ip address delete 192.0.2.7/24 dev pcn0 &&
		[ "$(on 1 cat /proc/sys/net/ipv6/conf/pcn0/accept_ra)" = 0 ] && return
	note cat /tmp/note
	return 1
}

# Whatever default route there is: all goes there.
up_keeps_routes()
{
	script 1 'ip link add up0 type veth peer name up1 && ip link set up1 up &&
		ip address add 198.51.100.2/24 dev up0 && ip link set up0 up &&
		ip address add 2001:db8:5::2/64 dev up0 nodad &&
		ip neigh add 2001:db8:5::1 lladdr 02:00:00:00:00:01 dev up0 &&
		ip route delete default && ip route add default via 198.51.100.1 metric 1024 &&
		ip -6 route delete default && ip -6 route add default via 2001:db8:5::1 &&
		popcorn net up && for i in 1 2 3 4 5 6; do
			ip route get 203.0.113.$i && ip -6 route get 2001:db8:9::$i
		done && ip route && ip -6 route && ip link delete up0' >/tmp/note 2>&1 &&
		[ "$(grep -c 'via .* dev up0 .*src' /tmp/note)" = 12 ] &&
		[ "$(grep -c '^default .*dev pcn0' /tmp/note)" = 2 ] && return
	note cat /tmp/note
	return 1
}

up_without_ipv6()
{
	script 1 'cd /proc/sys/net/ipv6/conf/pcn0 && echo 1 >disable_ipv6 && popcorn net up &&
		echo 0 >disable_ipv6 && popcorn net up' && all_pairs 0 1
}

ethtool_shows()
{
	ethtool -i pcn0 | grep -q '^driver: popcorn_net' && ethtool -g pcn0 | grep -q '^TX:.*[0-9]' &&
		ethtool -l pcn0 | grep -q '^TX:.*3' && ethtool pcn0 | grep -q 'Link detected: yes' &&
		ethtool -k pcn0 >/tmp/features &&
		grep -q '^tcp-segmentation-offload: on' /tmp/features &&
		grep -q 'tx-udp-segmentation: on' /tmp/features &&
		grep -q 'generic-receive-offload: on' /tmp/features
}

# at_mtu MTU: packets of full length, and TCP between all
at_mtu()
{
	mtu "$1" 0 1 2 && pings 1 "$(address4 2)" -c 3 -i 0.2 -M do -s $(($1 - 28)) &&
		pings 0 "$(address6 1)" -c 3 -i 0.2 -M do -s $(($1 - 48)) &&
		sends 1 2 $size && sends 0 1 $size && sends 2 0 $size
}

beyond_the_largest()
{
	! ip link set pcn0 mtu $((largest + 1)) 2>/dev/null
}

tcp6()
{
	sends 1 2 $size "[$(address6 2)]" && sends 2 0 $size "[$(address6 0)]"
}

# Without offloads segments are made, and checksums computed, here; some mix of them.
without()
{
	local features

	for features in "tso off" "tso off gso off" "tx off" "tx off rx off sg off gro off"; do
		# shellcheck disable=SC2086
		on 1 ethtool -K pcn0 $features >/tmp/note 2>&1 && sends 1 2 $size &&
			sends 2 1 $size || return
	done
	on 1 ethtool -K pcn0 tso on gso on tx on rx on sg on gro on >/tmp/note
}

# A datagram that was 60000 bytes, in one piece and in many.
udp()
{
	local pid

	head -c 60000 /dev/urandom >/tmp/datagram
	script 2 "socat -u -b 65536 -T 10 UDP-RECVFROM:$port STDOUT | md5sum" >/tmp/came &
	pid=$!
	await 20 eval "on 2 ss -Hlun 'sport = :$port' | grep -q :$port" || return
	socat -u -b 65536 FILE:/tmp/datagram "UDP-SENDTO:$(address4 2):$port"
	wait $pid
	[ "$(cat /tmp/came)" = "$(md5sum </tmp/datagram)" ]
}

vlan()
{
	local kid

	for kid in 1 2; do
		script $kid "ip link add link pcn0 name pcn0.5 type vlan id 5 &&
			ip address add 10.78.0.$kid/24 dev pcn0.5 && ip link set pcn0.5 up" || return
	done
	pings 1 10.78.0.2 && sends 1 2 $size 10.78.0.2
}

# On kernel 1 a network namespace behind a bridge has an address in the kernels' network.
bridge()
{
	script 1 'ip netns add behind && ip link add veth0 type veth peer name inside &&
		ip link set inside netns behind && ip link add br0 type bridge &&
		ip link set pcn0 master br0 && ip link set veth0 master br0 &&
		ip address flush dev pcn0 && ip address add 10.77.0.2/24 dev br0 &&
		ip link set br0 address 02:70:63:6e:00:01 up && ip link set veth0 up &&
		ip netns exec behind ip address add 10.77.0.100/24 dev inside &&
		ip netns exec behind ip link set inside up' &&
		pings 0 10.77.0.100 && pings 2 10.77.0.100 && pings 2 "$(address4 1)" &&
		on 1 ip netns exec behind ping -q -c 2 -W 5 "$(address4 2)" >/tmp/note
}

# What is for a station that is known goes to its kernel alone.
learnt()
{
	local before

	before=$(counter 0 tx_copies)
	pings 0 10.77.0.100 -f -c 200 && [ $(($(counter 0 tx_copies) - before)) -lt 10 ]
}

unbridge()
{
	script 1 'ip link delete br0 && ip link delete veth0 && ip netns delete behind &&
		popcorn net up' && all_pairs 0 1 2
}

# The interface goes to a namespace and comes back when that ends.
namespaces()
{
	script 1 'ip netns add away && ip link set pcn0 netns away &&
		ip netns exec away sh -c "popcorn net up && ping -q -c 2 -W 5 10.77.0.3" &&
		ip netns delete away' >/tmp/note 2>&1 || { note cat /tmp/note; return 1; }
	await 20 on 1 ip link show pcn0 >/tmp/note && on 1 popcorn net up && all_pairs 0 1 2
}

# Both ends see the same.
capture()
{
	local pid

	timeout 60 tcpdump -Z root -i pcn0 -n -c 6 -l icmp >/tmp/here 2>/tmp/here.err &
	pid=$!
	on 1 timeout 60 tcpdump -Z root -i pcn0 -n -c 6 -l icmp >/tmp/there 2>/tmp/there.err &
	await 20 grep -q listening /tmp/here.err && await 20 grep -q listening /tmp/there.err &&
		pings 0 "$(address4 1)" && wait $pid && wait $! &&
		[ "$(grep -c ICMP /tmp/here)" = 6 ] &&
		[ "$(sed 's/^[^ ]* //' /tmp/here)" = "$(sed 's/^[^ ]* //' /tmp/there)" ] && return
	note cat /tmp/here /tmp/here.err /tmp/there /tmp/there.err
	return 1
}

flood()
{
	pings 0 "$(address4 2)" -f -c 2000 && pings 2 "$(address4 1)" -f -c 2000 -s 1400
}

dropped()
{
	on "$1" ethtool -S pcn0 | grep -vE 'tx_copies|NIC' | grep -v ': 0$'
}

# The outside is a namespace behind the primary, which has no way back to the kernels: what
# comes from them must have the primary's address there.
outside()
{
	ip netns add outside && ip link add out0 type veth peer name eth0 &&
		ip link set eth0 netns outside && ip address add 192.0.2.1/24 dev out0 &&
		ip address add 2001:db8::1/64 dev out0 nodad && ip link set out0 up &&
		ip netns exec outside ip address add 192.0.2.2/24 dev eth0 &&
		ip netns exec outside ip address add 2001:db8::2/64 dev eth0 nodad &&
		ip netns exec outside ip link set eth0 up && pings 0 192.0.2.2 &&
		await 10 pings 0 2001:db8::2
}

# A file from a server there to kernel 1.
masquerades()
{
	local pid wanted

	! pings 1 192.0.2.2 -c 1 -W 1 >/tmp/note && exits 0 popcorn net --masquerade &&
		pings 1 192.0.2.2 && pings 2 2001:db8::2 || return
	ip netns exec outside socat -u FILE:/boot/bzImage TCP-LISTEN:80,reuseaddr &
	pid=$!
	await 10 eval 'ip netns exec outside ss -Hltn "sport = :80" | grep -q LISTEN' || return
	wanted=$(md5sum </boot/bzImage)
	[ "$(script 1 'socat -u TCP:192.0.2.2:80 STDOUT | md5sum')" = "$wanted" ] && wait $pid
}

masquerades_no_more()
{
	exits 0 popcorn net --no-masquerade && ! pings 1 192.0.2.2 -c 1 -W 1 >/tmp/note &&
		ip netns delete outside && all_pairs 0 1
}

# Until kernels were killed: none, but what came before an interface was up.
dropped_nothing()
{
	! for kid in 0 1 2; do dropped $kid; done | grep -v rx_down | sed 's/^/# /' | grep .
}

# What is between 0 and 2 goes on while kernel 1 is killed and started again.
killed()
{
	local pid

	sends 0 2 32 >/tmp/note 2>&1 &
	pid=$!
	timeout 60 socat -u FILE:/dev/zero "TCP:$(address4 1):$((port + 1))" >/dev/null 2>&1 &
	exits 0 popcorn kill 1 && start 1 && await 20 pings 0 "$(address4 1)" >/tmp/note2 &&
		wait $pid && all_pairs 0 1 2
}

# The last peer of kernel 2 is kernel 0; kernel 0 has none when both are down.
carrier_follows()
{
	[ "$(carrier 0)" = 1 ] && exits 0 popcorn kill 1 && [ "$(carrier 0)" = 1 ] &&
		[ "$(carrier 2)" = 1 ] && exits 0 popcorn stop 2 &&
		await 10 eval '[ "$(carrier 0)" = 0 ]' &&
		grep -q down /sys/class/net/pcn0/operstate && start 1 &&
		await 10 eval '[ "$(carrier 0)" = 1 ]' &&
		grep -q up /sys/class/net/pcn0/operstate && start 2 && await 20 pings 2 kernel1
}

# Kernel 2 hangs: what is for it waits, and what is for others goes on. After a time nothing
# waits any more. When it is found dead, what is for it is counted as that.
hung()
{
	local pid limit full down dropped

	full=$(tries_in_vain) down=$(counter 0 tx_peer_down) dropped=$(counter 0 tx_peer_full)
	limit=$(cat $parameters/hang_ms)
	# Frames are to be sent although it answers no more.
	ip neigh replace "$(address4 2)" lladdr 02:70:63:6e:00:02 dev pcn0 nud permanent
	echo 300000 >$parameters/hang_ms
	script 2 'echo HARDLOCKUP >/sys/kernel/debug/provoke-crash/DIRECT' >/dev/null 2>&1 &
	await 60 eval '! ping -c 1 -W 1 "$(address4 2)" >/dev/null 2>&1' || return
	timeout 300 /usr/bin/ping -q -f -s 60000 "$(address4 2)" >/dev/null 2>&1 &
	pid=$!
	await 60 eval '[ "$(tries_in_vain)" -gt $full ]' && sends 0 1 $size &&
		pings 1 "$(address4 0)" &&
		await 60 eval '[ "$(counter 0 tx_peer_full)" -gt $dropped ]' && sends 0 1 $size &&
		is 2 running && [ "$(counter 0 tx_peer_down)" = "$down" ]
	set -- $?
	echo "$limit" >$parameters/hang_ms
	became 2 failed hang 60 && await 60 eval '[ "$(counter 0 tx_peer_down)" -gt $down ]' &&
		kill $pid && ip neigh delete "$(address4 2)" dev pcn0 && start 2 &&
		await 20 pings 0 kernel2 && return "$1"
}

# How often the ring to kernel 2 had no room.
tries_in_vain()
{
	cat /sys/kernel/popcorn/links/2/network/tx_full
}

# --- a peer that lies ---

# Kernel 1 does, with messages of its own beside those of its kernel.
lie()
{
	{
		echo cd /sys/kernel/debug/popcorn
		cat
	} | timeout 600 popcorn exec 1 sh
}

# forge FRAME...: each as a message to this kernel
forge()
{
	local f

	for f; do
		echo "echo message kid=0 channel=2 type=27 $f >garbage"
	done | lie
}

# frame HEAD [SOURCE [TYPE]]: HEAD and a frame of 48 bytes to kernel 0, all in hex
frame()
{
	echo "${1}0270636e0000${2:-0270636e0001}${3:-0800}$(printf '45%066d' 0)"
}

# vnet FLAGS GSO_TYPE GSO_SIZE CSUM_START CSUM_OFFSET [ZERO]
vnet()
{
	echo "$1${2}0000$3$4$5${6:-000000000000}"
}

# Too short; a byte that is not zero; flags and kinds of segments that there are not, or not
# without a checksum.
malformed()
{
	echo 00
	vnet 00 00 0000 0000 0000
	echo "$(vnet 00 00 0000 0000 0000)0270636e00000270636e0001"
	frame "$(vnet 00 00 0000 0000 0000 000000000001)"
	frame "$(vnet 03 00 0000 2200 0600)"
	frame "$(vnet 04 00 0000 0000 0000)"
	frame "$(vnet 80 00 0000 0000 0000)"
	frame "$(vnet 00 01 0800 0000 0000)"
	frame "$(vnet 01 02 0800 2200 0600)"
	frame "$(vnet 01 03 0800 2200 0600)"
	frame "$(vnet 01 80 0800 2200 0600)"
	frame "$(vnet 01 85 0800 2200 0600)"
	frame "$(vnet 01 ff 0800 2200 0600)"
}

# The checksum beyond the frame, or before its headers; segments of no size, or of a protocol
# that has its checksum elsewhere.
misfit()
{
	frame "$(vnet 01 00 0000 ffff 0000)"
	frame "$(vnet 01 00 0000 0000 ffff)"
	frame "$(vnet 01 00 0000 3000 0000)"
	frame "$(vnet 01 00 0000 0000 0000)"
	frame "$(vnet 01 01 0000 1c00 1000)"
	frame "$(vnet 01 01 0800 1c00 0600)"
	frame "$(vnet 01 04 0800 1c00 1000)"
	frame "$(vnet 01 05 0000 2200 0600)"
	frame "$(vnet 01 05 0800 2200 0400)"
}

spoofed()
{
	frame "$(vnet 00 00 0000 0000 0000)" 0270636e0002
	frame "$(vnet 00 00 0000 0000 0000)" 0270636e003f
	frame "$(vnet 00 00 0000 0000 0000)" 0170636e0001
	frame "$(vnet 00 00 0000 0000 0000)" 000000000000
}

# grew NAME NUMBER BEFORE
grew()
{
	[ $(($(counter 0 "$1") - $3)) = "$2" ]
}

# lies NAME NUMBER FRAME...: kernel 1 sends these, and each is counted
lies()
{
	local name=$1 wanted=$2 before

	shift 2
	before=$(counter 0 "$name")
	forge "$@" && await 10 grew "$name" "$wanted" "$before" && pings 0 kernel1 && return
	echo "# $name: $before, then $(counter 0 "$name")"
	return 1
}

# More addresses than are learnt of one kernel.
too_many_addresses()
{
	local before tail

	before=$(counter 0 fdb_full)
	tail=0800$(printf '45%066d' 0)
	lie <<-END
		for i in $(seq -s ' ' 1000 1399); do
			echo message kid=0 channel=2 type=27 $(vnet 00 00 0000 0000 0000)0270636e000006000000\${i}$tail >garbage
		done
	END
	await 10 grew fdb_full 144 "$before" && pings 0 kernel1 && return
	echo "# fdb_full: $before, then $(counter 0 fdb_full)"
	return 1
}

# Frames that are mostly malformed, while others talk.
garbage()
{
	local pid

	lie <<-END &
		echo sample >garbage
		for i in 1 2 3; do
			ping -c 2 kernel0
			ping -c 2 $(address6 0)
			wget -O /dev/null http://kernel0:1/
			echo messages kid=0 count=$((lies / 3)) seed=\$i channel=2 type=27 >garbage
		done >/dev/null 2>&1
	END
	pid=$!
	sends 0 2 $size && sends 2 0 $size && wait $pid
}

was_counted()
{
	[ "$(counter 0 rx_malformed)" -gt 100 ] && [ "$(counter 0 rx_spoofed)" -gt 10 ] &&
		[ "$(cat /sys/class/net/pcn0/statistics/rx_errors)" -gt 110 ] && return
	note ethtool -S pcn0
	return 1
}

# --- the tests ---

make_initrd
wait_for_tsc
check "two more kernels" eval 'start 1 && start 2'
check "addresses follow from the kernel's number" has_addresses
check "all ping all, IPv4 and IPv6" all_pairs 0 1 2
check "by name, too" names_work
check "popcorn net shows it" popcorn_shows
check "and ethtool" ethtool_shows
check "popcorn net up leaves other addresses alone" up_keeps_addresses
check "and other default routes" up_keeps_routes
check "and does without IPv6" up_without_ipv6
for mtu in 1500 $jumbo $largest; do
	check "MTU $mtu: packets of full length, TCP between all" at_mtu $mtu
done
check "no larger MTU" beyond_the_largest
check "a datagram of 60000 bytes" udp
mtu 1500 0 1 2
check "and in fragments" udp
check "TCP over IPv6" tcp6
check "without some offloads, and without all" without
check "a VLAN" vlan
check "a capture on both ends" capture
check "a flood of pings" flood
check "a namespace behind a bridge" bridge
check "its address is learnt" learnt
check "the bridge goes" unbridge
check "the interface in a namespace" namespaces
check "an outside, behind the primary" outside
check "which the others reach through it" masquerades
check "until they may not" masquerades_no_more
check "nothing was dropped" dropped_nothing
check "a kernel is killed and started again, beside a transfer of others" killed
check "the carrier follows the peers" carrier_follows
check "a kernel that hangs keeps nobody else waiting" hung
# shellcheck disable=SC2046
check "malformed frames are counted" lies rx_malformed 13 $(malformed)
# shellcheck disable=SC2046
check "heads that do not fit the frame" lies rx_offload 9 $(misfit)
# shellcheck disable=SC2046
check "addresses of others" lies rx_spoofed 4 $(spoofed)
check "more addresses than one kernel may have" too_many_addresses
check "$lies frames of a liar" garbage
check "some of them were dropped, and counted" was_counted
check "the network lives on" all_pairs 0 1 2
check "nothing was said" eval '! { dmesg; popcorn log 1; popcorn log 2; } | grep -E "BUG|WARNING|refcount"'
plan

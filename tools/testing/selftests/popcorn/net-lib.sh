# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# For tests of the network between kernels. On top of lib.sh. What a test has been given
# with --add and --add-bin its secondaries have as well.

port=5000

# make_initrd: one for secondaries, with the programs of this kernel
make_initrd()
{
	{
		cat /boot/initrd
		cd / && grep -E '^(usr|lib|lib64|programs)/' /vm/added |
			awk -F/ '{ for (p = i = ""; ++i <= NF; p = p "/") print p = p $i }' |
			sort -u | cpio -o -H newc 2>/dev/null
	} >/tmp/initrd
}

# start KID [SCRIPT]: a kernel with these programs
start()
{
	rm -f "/tmp/sum.$1."*
	load_script "$1" "$2" /tmp/initrd && exits 0 popcorn start "$1" &&
		await 30 on "$1" true 2>/dev/null
}

# What busybox's shell would do itself, and less well.
real='ip() { /usr/bin/ip "$@"; }; ping() { /usr/bin/ping "$@"; }'
eval "$real"

# on KID COMMAND...: within $on_limit seconds, or 120
on()
{
	local kid=$1

	shift
	set -- sh -c "$real; "'"$@"' sh "$@"
	[ "$kid" = 0 ] || set -- popcorn exec "$kid" "$@"
	timeout "${on_limit:-120}" "$@"
}

# script KID TEXT: what a shell does there
script()
{
	on "$1" eval "$2"
}

# address4 KID, address6 KID
address4()
{
	echo "10.77.0.$(($1 + 1))"
}

address6()
{
	printf 'fd70:6f70:636f:726e::%x\n' $(($1 + 1))
}

# mtu MTU KID...: they all have that
mtu()
{
	local mtu=$1 kid

	shift
	for kid; do
		on "$kid" ip link set pcn0 mtu "$mtu" || return
	done
}

# pings FROM ADDRESS [OPTION]...: all of them come back; three without options
pings()
{
	local from=$1 address=$2

	shift 2
	[ $# != 0 ] || set -- -c 3 -i 0.05
	on "$from" ping -q -W 5 "$@" "$address" >/tmp/ping 2>&1 &&
		grep -q ' 0% packet loss' /tmp/ping && return
	sed 's/^/# /' /tmp/ping
	return 1
}

# all_pairs KID...: each pings each, by both protocols
all_pairs()
{
	local from to

	for from; do
		for to; do
			[ "$from" != "$to" ] || continue
			pings "$from" "$(address4 "$to")" && pings "$from" "$(address6 "$to")" ||
				return
		done
	done
}

# sum FROM MIB: of a file of this kernel, which is made once in its life
sum()
{
	[ -s "/tmp/sum.$1.$2" ] ||
		script "$1" "head -c $(($2 << 20)) /dev/urandom >/tmp/sent.$2 &&
			md5sum </tmp/sent.$2" >"/tmp/sum.$1.$2" || return
	cat "/tmp/sum.$1.$2"
}

# sends FROM TO MIB [ADDRESS]: a file over TCP; what comes is what was sent. Who sends knocks
# until the other one listens.
sends()
{
	local from=$1 to=$2 mib=$3 address=${4:-$(address4 "$2")} pid wanted

	wanted=$(sum "$from" "$mib")
	script "$to" "timeout 90 socat -u TCP6-LISTEN:$port,reuseaddr STDOUT | md5sum" >/tmp/came &
	pid=$!
	on "$from" socat -u "FILE:/tmp/sent.$mib" "TCP:$address:$port,forever,interval=0.05" \
		2>/tmp/knocks || { sed 's/^/# /' /tmp/knocks | tail -n 3; return 1; }
	wait $pid
	[ -n "$wanted" ] && [ "$wanted" != "$(md5sum </dev/null)" ] &&
		[ "$(cat /tmp/came)" = "$wanted" ] && return
	echo "# sent $wanted, came $(cat /tmp/came)"
	return 1
}

# counter KID NAME: of ethtool -S
counter()
{
	on "$1" ethtool -S pcn0 | sed -n "s/^ *$2: //p"
}

# carrier KID
carrier()
{
	on "$1" cat /sys/class/net/pcn0/carrier
}

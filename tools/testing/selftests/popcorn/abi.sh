#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A kernel whose messages have another layout is no peer, and both sides say so.
# It runs on, and can be replaced.
#
# vm: --kernels 3 --mem 256M --timeout 120

. /selftests/lib.sh
. /selftests/load.sh

state_of_link()
{
	[ "$(cat $links/1/state)" = "$1" ]
}

no_peer()
{
	exits 0 popcorn stop 1 &&
		exits 0 popcorn load 1 /boot/bzImage --initrd /boot/initrd \
			--append "$(cat /boot/cmdline) popcorn_msg.abi_salt=1" &&
		exits 0 popcorn start 1 && await 10 state_of_link down
}

primary_says()
{
	dmesg | grep -q "kernel 1 (kernel1) is refused as a peer: its message ABI is [0-9a-f]*, ours is [0-9a-f]*$"
}

it_says()
{
	logged 1 "the primary refuses this kernel as a peer: its message ABI is not ours"
}

check "a kernel of another ABI starts" no_peer
check "the primary refuses it as a peer" await 10 primary_says
check "and it knows" await 10 it_says
check "it runs" is 1 running
check "nobody can talk to it" eval '! popcorn ping -c 1 1 >/tmp/out 2>&1'
check "the others can to each other" run 30 8 kernels=0,2 messages=100
check "with our ABI it is a peer" eval 'exits 0 popcorn stop 1 &&
	load_plain 1 && exits 0 popcorn start 1 && await 10 state_of_link up'
check "of all" run 30 24 messages=100
plan

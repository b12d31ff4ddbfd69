#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The head of the window changes while kernels run: every kernel goes by the copy
# that it made when it booted, and nothing happens. Where no kernel maps memory of others,
# none keeps another one from being started by saying so.
#
# vm: --kernels 3 --mem 192M --timeout 120 --append popcorn_memory=isolated

. /selftests/lib.sh

# Offsets in struct pcn_window
KERNELS=12 SIZE=16 PRIMARY_APICID=24 BASE_SIZE=28 PRESENT=32 CHECK=40 POOL=48
APICID=$((0x440)) OWNER=$((0x540)) MEMORY=$((0x940)) RAM=$((0xd40)) MAPS=$((0x1140))
ONES='\377\377\377\377'

window=$((0x$(sed -n 's/^ *\([0-9a-f]*\)-.* Popcorn window$/\1/p' /proc/iomem)))

# spoil OFFSET BYTES
spoil()
{
	poke $((window + $1)) "$2"
}

spoil_head()
{
	spoil $KERNELS "$ONES"
	spoil $SIZE "$ONES$ONES"
	spoil $PRIMARY_APICID "$ONES"
	spoil $BASE_SIZE "$ONES"
	spoil $POOL "$ONES"
	spoil $PRESENT "$ONES$ONES"
	spoil $CHECK "$ONES$ONES"
	spoil $APICID "$ONES$ONES$ONES"
	spoil $OWNER "$ONES$ONES"
	spoil $MEMORY "$ONES$ONES$ONES$ONES$ONES$ONES$ONES$ONES"
	spoil $RAM "$ONES$ONES$ONES$ONES"
}

is_spoilt()
{
	[ "$(dd if=/dev/mem bs=1 skip=$((window + KERNELS)) count=4 2>/dev/null |
		hexdump -e '1/4 "%x"')" = ffffffff ]
}

pings()
{
	exits 0 popcorn ping -c 3 1 && exits 0 popcorn ping -c 3 2
}

check "kernels talk" pings
spoil $MAPS "$ONES$ONES$ONES$ONES"
check "one starts again, whatever others say that they map" exits 0 popcorn restart 2
spoil_head
check "the head is spoilt" is_spoilt
check "kernels still talk" pings
check "a kernel powers off" exits 0 popcorn stop 1
check "another one is killed" exits 0 popcorn kill 2
plan

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A kernel is not started, nor its image put in place, while another one says in the
# window that it may map its memory. Kernel 2 says so here because its word is changed.
#
# vm: --kernels 3 --mem 192M --timeout 200
# vm: --append popcorn_memory=coherent --secondary-append popcorn_memory=coherent

. /selftests/lib.sh

limit=$parameters/boot_ms
window=$((0x$(sed -n 's/^ *\([0-9a-f]*\)-.* Popcorn window$/\1/p' /proc/iomem)))
# struct pcn_window: maps[2]
word=$((window + 0x1140 + 2 * 8))

# maps BYTE: kernel 2 maps memory of these kernels, in printf's notation
maps()
{
	poke $word "$1"
}

maps_nothing()
{
	[ "$(dd if=/dev/mem bs=1 skip=$word count=1 2>/dev/null | hexdump -e '1/1 "%x"')" = 0 ]
}

says()
{
	dmesg | grep -q "popcorn: kernel 1 (kernel1) is not started: its memory is mapped by kernels 2$"
}

still_waits()
{
	sleep 2 && kill -0 "$1"
}

wait_for_tsc
check "a kernel stops" exits 0 popcorn stop 1
maps '\002'
echo 1000 >$limit
check "it is not started while another one maps its memory" exits 1 popcorn start 1
check "and which one is said" says
check "it may be started later" is 1 loaded
echo 60000 >$limit
popcorn start 1 &
starts=$!
check "a start waits" still_waits $starts
maps '\000'
wait $starts
check "until nobody maps it" [ $? = 0 ]
check "it runs" is 1 running

check "it stops once more" exits 0 popcorn stop 1
maps '\002'
check "an image can be loaded meanwhile" load_plain 1
popcorn start 1 &
starts=$!
check "it waits again" still_waits $starts
check "the other kernel is killed" exits 0 popcorn kill 2
check "a dead kernel maps nothing" maps_nothing
wait $starts
check "the start goes on" [ $? = 0 ]
check "the other one starts, too" exits 0 popcorn start 2

check "both stop" exits 0 popcorn stop 1 2
maps '\002'
check "an image is loaded while its memory is mapped" load_plain 1
maps '\000'
check "and is put in place by the start" exits 0 popcorn start 1
plan

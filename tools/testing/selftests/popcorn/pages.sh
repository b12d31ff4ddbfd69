#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Pages that threads of four kernels read and write at the same time, by the
# protocol of this boot (mm/popcorn/space_load.c): none is torn, none older than
# one seen before, and the counters in the pages add up to the writes.
#
# check: replicated
# vm: --kernels 4 --mem 256M --timeout 300

. /selftests/lib.sh
. /selftests/load.sh

# fields REGEX: the outcome
field()
{
	sed -n "s/.*\b$1=\([0-9]*\).*/\1/p" /tmp/outcome
}

# shared WORD...: a run whose pages come out right
shared()
{
	echo "$*" >$load/pages && cat $load/pages >/tmp/outcome || return
	sed 's/^/# /' /tmp/outcome
	grep -q " lost=0 torn=0 backwards=0 errors=0 impossible=0 unsent=0 " /tmp/outcome
}

# all_done: as many accesses as were asked for, and the pages did travel
all_done()
{
	[ $(($(field reads) + $(field writes))) = "$1" ] &&
		[ "$(field copies)" -gt "$2" ]
}

check "all are linked" all_linked 12
check "one page, one thread each, half of it writes" \
	shared kernels=f pages=1 accesses=5000 writes=50 threads=1 seed=1
check "all were done" all_done 20000 3
check "16 pages, three threads each" \
	shared kernels=f pages=16 accesses=5000 writes=30 threads=3 seed=2
check "all were done" all_done 60000 1000
check "two kernels alone" \
	shared kernels=3 pages=64 accesses=5000 writes=20 threads=2 seed=3
check "many pages, few writes" \
	shared kernels=f pages=2048 accesses=5000 writes=5 threads=2 seed=4
check "all were done" all_done 40000 1000
check "only reads" \
	shared kernels=f pages=256 accesses=2000 writes=0 threads=2 seed=5
check "only writes" \
	shared kernels=f pages=4 accesses=1000 writes=100 threads=2 seed=6
plan

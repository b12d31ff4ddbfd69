#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Kernel 1 asks for pages of a program that has threads on kernels 0 and 2 and has never
# been on kernel 1, by messages that are in order but for that. If it were given them they
# would be lost with it.
#
# check: replicated
# vm: --kernels 3 --mem 256M --no-start --timeout 300
# vm: --add build/tools/selftests:/programs

. /selftests/lib.sh
. /selftests/load.sh
. /selftests/threads-lib.sh

# What kernel 1 does: for a process that it has a part of, Fetch_Write for 64 pages of what
# a static program writes, to both kernels. If the process is still there then, that is all.
# struct pcn_page_msg: space, page, type, from, who, hops, flags, heir, and zeros.
forger='
le64() { echo "$1" | sed "s/\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)\(..\)/\8\7\6\5\4\3\2\1/"; }
spaces() { sed "1,2d; s/ .*//" /proc/popcorn/spaces; }
to=/sys/kernel/debug/popcorn/garbage
rest=0101010000ff0000$(printf "%080d" 0)
forge()
{
	space=$(le64 $(printf %016x 0x$1))
	for page in $(seq $((0x4c0)) $((0x4ff))); do
		m=$space$(printf "%02x%02x" $((page & 255)) $((page >> 8)))000000000000$rest
		for kid in 0 2; do
			echo message kid=$kid channel=1 type=8 $m >$to || return
		done
	done
	spaces | grep -qx $1
}
until one=$(spaces | grep -m 1 .) && sleep 1 && forge $one; do usleep 20000; done
echo "all are out"'

lies_are_out()
{
	popcorn log 1 | grep -q "all are out"
}

# One program after the other, until one of them has been lied about, and that one, too.
go_on()
{
	local run

	for run in $(seq 10); do
		timeout -s KILL 120 /programs/contend -n 50 -l 100 ring movs mutex 0,2 \
			>/tmp/contend 2>&1 && planned /tmp/contend ||
			{ sed 's/^/# /' /tmp/contend; return 1; }
		lies_are_out && return
	done
	echo "# $run programs, and kernel 1 has not lied"
	return 1
}

# says COMMAND...: what it prints is a log in which page requests have been refused
says()
{
	"$@" | grep -q "dropped a message from kernel 1 about page 4[0-9a-f]* of space"
}

wait_for_tsc
check "kernel 2 starts" load_plain 2
check "and runs" exits 0 popcorn start 2
check "kernel 1 is to lie" load_script 1 "$forger"
check "and starts" exits 0 popcorn start 1
check "kernels 0 and 2 lose no page to kernel 1" go_on
check "kernel 0 says why" says dmesg
check "so does kernel 2" says popcorn log 2
plan

# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What could lose a page of a program on several kernels, for memory.sh and
# memory-vote.sh: see loss.c and relayout.c.

# What the primary has left, in MiB
available()
{
	awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo
}

# fill LEFT: take memory of the primary until no more than so many MiB are left
fill()
{
	mkdir -p /filler && mount -t tmpfs -o size=100% filler /filler
	# Piece by piece, since what is available is an estimate.
	while [ "$(available)" -gt "$1" ]; do
		dd if=/dev/zero bs=1M count=2 2>/dev/null >>/filler/file
	done
	echo "# $(available) MiB are left"
}

# program NAME ARG...: it runs to its end, and its results are results
program()
{
	local name=$1

	shift
	"/programs/$name" "$@" >"/tmp/$name.tap"
	check "$name comes to its end" planned "/tmp/$name.tap"
	results "/tmp/$name.tap"
}

# all_memory_tests RELAYOUTS LOSSES: so many rounds of each
all_memory_tests()
{
	program relayout 0,1,2,3 "$1" 120
	echo /tmp/core >/proc/sys/kernel/core_pattern
	fill 24
	program loss 1,2,3 "$2" /tmp/core
	rm /filler/file
	check "no thread is left" await 5 no_thread
	check "no space is left" await 5 no_space
	check "no event was impossible" [ "$(counter impossible)" = 0 ]
	check "no message was lost" [ "$(counter unsent)" = 0 ]
	plan
}

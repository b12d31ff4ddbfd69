#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 3 --mem 192M --timeout 200
#
# Child processes that compute, on kernels of one CPU each: those that have to share the CPU
# of their kernel go to others, one to each, and stay there; with --pin they do not, nor does
# one that has the CPU for itself.

. /selftests/lib.sh
. /selftests/threads-lib.sh

COMPUTE='while :; do :; done'
CALL='while :; do : </dev/null; done'

# run_children COUNT LOOP OPTION...: in the background, as process $runner
run_children()
{
	local children= i

	for i in $(seq "$1"); do
		children="$children sh -c '$2' &"
	done
	shift 2
	popcorn run "$@" sh -c "$children wait" &
	runner=$!
}

end_children()
{
	kill -KILL $(awk -v parent=$runner '$4 == parent { print $1 }' /proc/[0-9]*/stat)
	kill -KILL $runner
	wait $runner 2>/dev/null
	await 20 no_thread
}

one_each()
{
	on_kernel 1 1 && on_kernel 2 1
}

# left_once: both are away, and have not come home but to visit it
left_once()
{
	one_each && [ "$(awk 'NR > 1 && $4 == "shadow" { n += $6 - $8 } END { print n }' \
		/proc/popcorn/threads)" = 2 ]
}

stay()
{
	sleep 2
	note cat /proc/popcorn/threads
	await 20 left_once
}

# keep_place: when one has gone to kernel 2 no other follows, whatever it does there
keep_place()
{
	await 60 on_kernel 2 1 && sleep 3 && on_kernel 2 1
}

stay_home()
{
	sleep 3
	no_thread
}

run_children 3 "$COMPUTE"
check "of three children that compute on one CPU two go away" await 60 one_each
check "and stay there" stay
check "until they are killed" end_children
run_children 3 "$COMPUTE" --pin 0,1,2
check "with --pin they stay" stay_home
check "until they are killed" end_children
run_children 1 "$COMPUTE"
check "one that has the CPU for itself stays" stay_home
check "until it is killed" end_children
run_children 3 "$COMPUTE" --kernels 0,2
check "with two kernels one goes away" await 60 on_kernel 2 1
check "until they are killed" end_children
run_children 3 "$CALL" --kernels 0,2
check "one that does system calls keeps its place" keep_place
check "until they are killed" end_children
plan

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 2 --mem 320M --timeout 240 --add build/tools/selftests:/programs
#
# Pages that cannot simply go to another kernel: others refer to them, they cannot be
# read, there is no memory. And entries of page tables that Linux changes unseen.

. /selftests/lib.sh
. /selftests/threads-lib.sh

debug=/sys/kernel/debug/popcorn

# program NAME ARG...: it runs to its end, and its results are results
program()
{
	"/programs/$1" "$2" >/tmp/program.tap
	check "$1 comes to its end" planned /tmp/program.tap
	results /tmp/program.tap
}

# It waits for pages that are registered, or is home with them.
killed_while_held()
{
	local i

	for i in 1 2 3 4 5 6; do
		/programs/frames 1 hold &
		usleep $((100000 * i))
		kill -9 $!
		wait $!
		await 10 no_space || return 1
	done
}

without_memory()
{
	local status

	echo "adopt 1000000" >$debug/check
	echo | /programs/share 200 1 >/tmp/share
	status=$?
	echo "adopt 0" >$debug/check
	return $status
}

ksm=/sys/kernel/mm/ksm
echo 2 >$ksm/sleep_millisecs
echo 2000 >$ksm/pages_to_scan
echo 1 >$ksm/run
program frames 1
note grep . $ksm/full_scans $ksm/pages_shared $ksm/pages_sharing
check "a process ends while its pages are held" killed_while_held
check "without memory pages are used at home" without_memory
check "no thread is left" await 5 no_thread
check "no space is left" await 5 no_space
check "no event was impossible" [ "$(counter impossible)" = 0 ]
check "no message was lost" [ "$(counter unsent)" = 0 ]
plan

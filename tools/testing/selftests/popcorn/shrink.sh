#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# check: replicated
# vm: --total-cpus 2 --total-mem 512M --partition 1:cpus=1:mem=80M --timeout 400
# vm: --add build/tools/selftests:/programs
#
# A program uses more memory on kernel 1 than that has: pages go back to their origin, and
# nothing is killed (shrink.c).

. /selftests/lib.sh
. /selftests/threads-lib.sh

not_logged()
{
	! logged "$@"
}

/programs/shrink 1 64 >/tmp/shrink.tap 2>&1
sed 's/^ok [0-9]* - /# /; s/^not ok [0-9]* - /# FAILED: /' /tmp/shrink.tap
check "all of it was read and written" [ "$(grep -c '^ok' /tmp/shrink.tap)" = 5 ]
check "kernel 1 has killed nothing" not_logged 1 "Out of memory|invoked oom-killer"
returned=$(of comm=shrink 1 returned)
echo "# $returned pages were given back"
check "pages were given back" [ "${returned:-0}" -gt 0 ]
check "and runs" is 1 running
check "no thread is left" await 10 no_thread
check "no space is left" await 10 no_space
check "no event was impossible" [ "$(counter impossible)" = 0 ]
check "no message was lost" [ "$(counter unsent)" = 0 ]
plan

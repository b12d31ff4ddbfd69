#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 3 --mem 192M --timeout 500 --add build/tools/selftests:/programs
# vm: --append sysctl.debug.exception-trace=0 --secondary-append sysctl.debug.exception-trace=0
# vm-long: --timeout 3600
#
# Random system calls of threads that are away, as an ordinary user (fuzz-calls.c): no
# kernel complains, nothing is left that cannot be killed, and no object. That the programs
# themselves fault is no complaint.

. /selftests/lib.sh
. /selftests/threads-lib.sh
. /selftests/stuck-lib.sh

seconds=30
[ "${LONG:-}" != 1 ] || seconds=1800

check "a program has run on all kernels" /programs/hop 4 0,1,2 10
check "and has ended" await 20 quiet
before=$(objects)
mkdir -m 777 /tmp/calls
/programs/fuzz-calls -s "${SEED:-$(date +%s)}" -t $seconds /tmp/calls 0,1,2 \
	>/tmp/fuzz.tap 2>&1 &
program=$!
check "the fuzzer comes to its end" await $((seconds + 150)) has_ended $program
results /tmp/fuzz.tap
check "no task waits for good" await 20 nothing_in_d
cat /tmp/in_d
check "no thread is left" await 10 no_thread
check "no space is left" await 10 no_space
check "nothing else is" await 20 has_objects "$before"
objects | sed 's/^/# /'
check "new programs run on all kernels" /programs/hop 4 0,1,2 10
check "no event was impossible" [ "$(counter impossible)" = 0 ]
check "no message was lost" [ "$(counter unsent)" = 0 ]
plan

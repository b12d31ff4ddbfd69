#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 4 --mem 160M --timeout 240 --add build/tools/selftests:/programs
# vm: --append popcorn_protocol=vote --secondary-append popcorn_protocol=vote
#
# The same with the other protocol, in which each page depends on all kernels.

. /selftests/lib.sh
. /selftests/threads-lib.sh

all_threads_tests
check_replicated "pages were adopted" [ "$(counter adopted)" -gt 100 ]

/programs/threads --spin 2 &
program=$!
check "a thread computes on kernel 2" await 10 on_kernel 2 1
check "kernel 1 is killed" exits 0 popcorn kill 1
check "the program is killed, too" killed $program
check "and the log says why" says_why $program
plan

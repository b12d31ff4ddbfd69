#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 4 --mem 192M --timeout 240 --add build/tools/selftests:/programs
# vm: --append popcorn_protocol=vote --secondary-append popcorn_protocol=vote
#
# The same with the other protocol; less of it without LONG=1.

. /selftests/lib.sh
. /selftests/threads-lib.sh
. /selftests/memory-lib.sh

if [ "${LONG:-}" = 1 ]; then
	all_memory_tests 300 8
else
	all_memory_tests 60 2
fi

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 4 --mem 192M --timeout 240 --add build/tools/selftests:/programs
# vm: --append popcorn_protocol=vote --secondary-append popcorn_protocol=vote
#
# The same with the other protocol.

. /selftests/lib.sh
. /selftests/threads-lib.sh
. /selftests/memory-lib.sh

all_memory_tests

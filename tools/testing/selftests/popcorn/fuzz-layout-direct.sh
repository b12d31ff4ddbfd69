#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# check: early
# vm: --kernels 4 --mem 192M --timeout 500 --add build/tools/selftests:/programs
# vm: --add-bin mkfs.ext4 --secondary-append sysctl.vm.max_map_count=200
# vm: --append popcorn_memory=coherent --secondary-append popcorn_memory=coherent
# vm-long: --timeout 7200
#
# The same with coherent memory.

. /selftests/lib.sh
. /selftests/threads-lib.sh
. /selftests/stuck-lib.sh
. /selftests/fuzz-lib.sh

if [ "${LONG:-}" = 1 ]; then
	all_fuzz_tests 900 50
else
	all_fuzz_tests 15 4
fi

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 4 --mem 160M --timeout 300 --add build/tools/selftests:/programs
# vm: --append sysctl.vm.percpu_pagelist_high_fraction=1000
# vm: --secondary-append sysctl.vm.percpu_pagelist_high_fraction=1000
# vm: --append popcorn_memory=coherent --secondary-append popcorn_memory=coherent
# vm-long: --timeout 1800
#
# The same with coherent memory.

. /selftests/lib.sh
. /selftests/threads-lib.sh
. /selftests/growth-lib.sh

if [ "${LONG:-}" = 1 ]; then
	all_growth_tests 2500 10 40
else
	all_growth_tests 250 1 4
fi

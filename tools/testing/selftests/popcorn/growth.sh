#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 4 --mem 160M --timeout 300 --add build/tools/selftests:/programs
# vm: --append sysctl.vm.percpu_pagelist_high_fraction=1000
# vm: --secondary-append sysctl.vm.percpu_pagelist_high_fraction=1000
# vm-long: --timeout 1800
#
# What programs leave behind on four kernels: nothing. 4,000 migrations, with LONG=1
# 40,000, and 64 threads.
# Free pages that a CPU keeps for itself do not count as available; so it keeps few.

. /selftests/lib.sh
. /selftests/threads-lib.sh
. /selftests/growth-lib.sh

if [ "${LONG:-}" = 1 ]; then
	all_growth_tests 10000 10 40
else
	all_growth_tests 1000 2 4
fi

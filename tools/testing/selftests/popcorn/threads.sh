#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 4 --mem 160M --timeout 240 --add build/tools/selftests:/programs
#
# Threads on four kernels.

. /selftests/lib.sh
. /selftests/threads-lib.sh

all_threads_tests
check_replicated "pages were adopted" [ "$(counter adopted)" -gt 100 ]
plan

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 4 --mem 192M --timeout 300 --add build/tools/selftests:/programs
#
# Memory of a program on four kernels: nothing is lost while its layout changes, it is
# forked, moved, dumped, and the origin is short of memory.

. /selftests/lib.sh
. /selftests/threads-lib.sh
. /selftests/memory-lib.sh

all_memory_tests 300 8

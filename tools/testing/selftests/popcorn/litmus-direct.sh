#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 4 --mem 160M --timeout 300 --add build/tools/programs:/programs
# vm: --append popcorn_memory=coherent --secondary-append popcorn_memory=coherent
# vm-long: --timeout 3000
#
# The same with coherent memory.

. /selftests/lib.sh
. /selftests/threads-lib.sh
. /selftests/litmus-lib.sh

[ "${LONG:-}" = 1 ] && ms=5000 || ms=60
all_litmus_tests $ms

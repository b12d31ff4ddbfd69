#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 4 --mem 160M --timeout 240 --add build/tools/selftests:/programs
# vm: --append popcorn_protocol=direct --secondary-append popcorn_protocol=direct
#
# The same with the protocol that has one frame for all kernels.

. /selftests/lib.sh
. /selftests/threads-lib.sh

all_threads_tests

check "no page was sent" [ "$(counter copies)" = 0 ]
plan

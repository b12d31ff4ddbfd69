#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The same as isolation.sh, with coherent memory: what a
# kernel has mapped of another one is memory of the program that runs on both.
#
# vm: --kernels 4 --mem 160M --no-start --timeout 240
# vm: --append popcorn_check=1 --add build/tools/selftests:/programs
# vm: --append popcorn_memory=coherent --secondary-append popcorn_memory=coherent

. /selftests/isolation.sh

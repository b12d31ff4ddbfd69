#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# check: replicated
# vm: --kernels 2 --mem 192M --timeout 200 --add build/tools/selftests:/programs
# vm-long: --mem 256M
#
# Pages that only their origin uses cost nothing: records.c. 512 MiB of them, 4 GiB with
# LONG=1.

. /selftests/lib.sh

mib=512
[ "$LONG" != 1 ] || mib=4096
/programs/records 1 $mib

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# check: early
# vm: --kernels 3 --mem 192M --timeout 3000 --add build/tools/selftests:/programs
# vm: --append popcorn_memory=coherent --secondary-append popcorn_memory=coherent
#
# The same as cases.sh, with coherent memory; but for "records", which it has none of.

set -- fail file uffd stack reuse overlap torn step cost pin trace share foreign vdso vsyscall \
	merge audit
. /selftests/cases.sh

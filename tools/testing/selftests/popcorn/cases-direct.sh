#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# check: early
# vm: --kernels 3 --mem 192M --timeout 3000 --add build/tools/selftests:/programs
# vm: --append popcorn_memory=coherent --secondary-append popcorn_memory=coherent
#
# The same as cases.sh, with coherent memory; but for "merge", which finds a fault there that
# is not mended: see "Coherent memory" in Documentation/popcorn/pages.rst.

set -- fail file uffd stack reuse overlap torn step cost pin trace share foreign vdso vsyscall \
	audit
. /selftests/cases.sh

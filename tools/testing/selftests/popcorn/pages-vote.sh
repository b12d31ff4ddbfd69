#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The same as pages.sh, by the other protocol.
#
# vm: --kernels 4 --mem 256M --timeout 300
# vm: --append popcorn_protocol=vote --secondary-append popcorn_protocol=vote

. /selftests/pages.sh

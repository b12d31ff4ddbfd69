#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 2 --mem 160M --timeout 120
# vm: --secondary-append popcorn_protocol=vote
#
# A kernel takes no part in processes whose protocol is another one than its own. Both
# say so, and the program stays at home.

. /selftests/lib.sh
. /selftests/threads-lib.sh

# stays: a program that was to go there runs all the same
stays()
{
	popcorn run --pin 1 sleep 1 >/tmp/out 2>&1 &&
		dmesg | grep -q "popcorn: sleep\[[0-9]*\]: stays here, as it cannot go to kernel 1: -93"
}

home_says()
{
	dmesg | grep -q "popcorn: no process can be shared: kernel 1 does not use protocol owner"
}

member_says()
{
	popcorn log 1 | grep -q "popcorn: no part in a process of kernel 0: its protocol is owner, and that of this kernel is vote"
}

check "kernels talk" exits 0 popcorn ping -c 3 1
check "a program stays at home" stays
check "its home says why" home_says
check "and the other kernel, too" member_says
check "nothing is left of it" await 5 no_space
plan

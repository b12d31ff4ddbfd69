#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 2 --mem 160M --timeout 120
# vm: --secondary-append popcorn_protocol=vote
#
# A kernel takes no part in processes with replicated memory whose protocol is another one
# than its own. Both say so, and the program stays at home. Of coherent memory that does not
# matter; a program may have it by its placement, or by default.

. /selftests/lib.sh
. /selftests/threads-lib.sh

coherent=/proc/sys/kernel/popcorn_coherent

# goes MEMORY [OPTION]: a program goes there, and has that memory
goes()
{
	popcorn run --pin 1 $2 sleep 3 >/tmp/out 2>&1 &
	await 10 on_kernel 1 1 && popcorn ps | grep -q "shadow  *1 .* $1  *sleep" &&
		wait $!
}

# stays [OPTION]: a program that was to go there runs all the same
stays()
{
	dmesg -C
	popcorn run --pin 1 $1 sleep 1 >/tmp/out 2>&1 &&
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
check "with coherent memory it goes there" goes coherent --memory=coherent
check "it may be the default" sh -c "echo 1 >$coherent"
check "then another one goes there, too" goes coherent
check "but not with replicated memory" stays --memory=replicated
check "which may be the default" sh -c "echo 0 >$coherent"
check "then the next one stays" stays
check "there is no third kind" sh -c "! echo 2 >$coherent"
check "nothing is left of them" await 5 no_space
plan

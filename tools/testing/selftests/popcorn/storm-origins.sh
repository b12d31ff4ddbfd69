#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 2 --mem 192M --timeout 400 --add build/tools/selftests/storm:/programs/storm
# vm: --add build/tools/selftests/hop:/programs/hop
# vm-long: --timeout 1500
#
# Two programs, one that begins on kernel 0 and one on kernel 1, with threads on both,
# change their layouts all the time: neither waits for the other for good, and none is
# killed.

. /selftests/lib.sh
. /selftests/threads-lib.sh
. /selftests/stuck-lib.sh

seconds=20
[ "${LONG:-}" != 1 ] || seconds=600

# What kernel 1 does: it waits for its link, and until a program can use it.
there="
for try in \$(seq 100); do /programs/hop 1 1,0 2 >/dev/null 2>&1 && break; usleep 100000; done
echo storm begins
/programs/storm 1,0 4 $seconds
echo storm ends \$?"

# ended_there STATUS
ended_there()
{
	logged 1 "init: storm ends $1\$"
}

check "kernel 1 stops" exits 0 popcorn stop 1
mkdir -p /tmp/files/programs
cp /programs/storm /programs/hop /tmp/files/programs
initrd_with /tmp/files programs >/tmp/initrd
check "it is to run a program" load_script 1 "$there" /tmp/initrd
check "it starts" exits 0 popcorn start 1
check "its program begins" await 60 logged 1 "init: storm begins"
/programs/storm 0,1 4 $seconds >/tmp/said 2>&1 &
program=$!
check "the program of kernel 0 comes to its end" await $((seconds + 150)) has_ended $program
kill -9 $program 2>/dev/null
wait $program
check "and each of its threads has got on" [ $? = 0 ]
sed 's/^/# /' /tmp/said
check "that of kernel 1 comes to its end" await 150 ended_there '[0-9]*'
check "and each of its threads has got on" ended_there 0
popcorn log 1 | sed -n 's/.*init: \(.*storm\|thread\)/# \1/p'
check "no thread is left" await 5 no_thread
check "no space is left" await 5 no_space
check "nothing else is" await 5 quiet
check "no event was impossible" [ "$(counter impossible)" = 0 ]
check "no message was lost" [ "$(counter unsent)" = 0 ]
plan

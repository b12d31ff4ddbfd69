#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 4 --mem 160M --no-start --timeout 240
# vm: --append popcorn_check=1 --add build/tools/selftests:/programs
#
# No kernel has memory of another one mapped, besides the window, while programs
# run on all of them (arch/x86/kernel/popcorn/isolation.c).

. /selftests/lib.sh
. /selftests/load.sh

file=/sys/kernel/debug/popcorn/isolation

# What a secondary does meanwhile: looks again and again, and once at itself with
# a page of the primary, that at 32 MiB, mapped.
looks='
f=/sys/kernel/debug/popcorn/isolation
cat $f
until grep -q . /proc/popcorn/spaces && [ $(wc -l </proc/popcorn/spaces) -gt 2 ]; do
	usleep 100000
done
if grep -q popcorn_memory=coherent /proc/cmdline; then
	until grep -q "borrowed=[1-9]" $f; do usleep 100000; done
fi
for i in 1 2 3 4 5; do
	grep -c . /proc/popcorn/spaces
	cat $f
done
echo provoked
echo map 0x2000000 >$f; cat $f
echo unmap >$f; cat $f
echo done'

# isolated TEXT: it says that all that was looked at is this kernel's own
isolated()
{
	grep -q 'foreign=0$' <"$1" && ! grep -q '^foreign' "$1" &&
		[ "$(sed -n 's/.*entries=\([0-9]*\).*/\1/p' "$1")" -gt 1000 ]
}

look()
{
	cat $file >/tmp/look && sed 's/^/# /' /tmp/look
}

is_isolated()
{
	look && isolated /tmp/look
}

# finds COUNT REGEX: so many foreign entries, and one like that
finds()
{
	look && grep -q "foreign=$1\$" /tmp/look && grep -qE "$2" /tmp/look
}

# said KID: what its script has found
said()
{
	popcorn log "$1" | sed -n 's/.* init: //p'
}

# has_looked KID: its script has been through
has_looked()
{
	said "$1" | grep -qx done
}

# always_isolated KID: of eight looks, five of them while a program had memory there,
# all but the provoked one have found nothing
always_isolated()
{
	said "$1" | sed 's/^/# /'
	[ "$(said "$1" | grep -c 'foreign=0$')" = 7 ]
}

# found_provoked KID
found_provoked()
{
	said "$1" | sed -n '/^provoked/,/foreign=/p' >/tmp/provoked
	grep -q '^foreign: kernel 0x[0-9a-f]* -> 0x2000000, 4096 bytes$' /tmp/provoked &&
		grep -q 'foreign=1$' /tmp/provoked
}

# borrows KID: it has found frames that a program had of its home, or, if pages are moved,
# none
borrows()
{
	if grep -q popcorn_memory=coherent /proc/cmdline; then
		said "$1" | grep -q 'borrowed=[1-9]'
	else
		! said "$1" | grep -q 'borrowed=[1-9]'
	fi
}

# partition KID: where its memory begins
partition()
{
	local memory

	memory=$(cat "$kernels/$1/memory")
	echo "${memory%-*}"
}

wait_for_tsc
check "the primary has nothing mapped before it starts any" is_isolated
for kid in 1 2 3; do
	check "kernel $kid is loaded" load_script $kid "$looks"
done
check "nor with kernels loaded" is_isolated
for kid in 1 2 3; do
	check "kernel $kid starts" exits 0 popcorn start $kid
done
check "all are linked" all_linked 12
check "nor with kernels started" is_isolated
/programs/contend -n 1000000 -l 60 movs 0,1,2,3 >/tmp/contend &
for kid in 1 2 3; do
	check "kernel $kid looks while a program runs on all" \
		await 60 has_looked $kid
done
check "the program is still there" kill -0 $!
check "the primary looks, too" is_isolated
kill -9 $!
wait $!
for kid in 1 2 3; do
	check "kernel $kid has nothing of others mapped" always_isolated $kid
	check "and finds a page that is" found_provoked $kid
	check "and has borrowed pages as its protocol says" borrows $kid
done
echo "map $(partition 2)" >$file
check "the primary finds a page of kernel 2" \
	finds 1 "^foreign: kernel 0x[0-9a-f]* -> $(partition 2), 4096 bytes"
echo unmap >$file
check "and that it is gone" is_isolated
/programs/mapped "$(partition 1)" 8192 10 &
sleep 1
check "and what a process has mapped of kernel 1" \
	finds 2 "^foreign: mapped 0x[0-9a-f]* -> $(partition 1), 4096 bytes"
kill -9 $!
wait $!
check "and that this is gone" is_isolated
plan

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# check: replicated
# vm: --kernels 2 --mem 192M --timeout 200 --add build/tools/selftests:/programs
# vm: --expect "0:^popcorn: check: page" --expect "1:^popcorn: check: page"
#
# The checks of accesses to pages (mm/popcorn/check.c): they have nothing to say
# about what is right, and find what is done wrong on purpose.

. /selftests/lib.sh
. /selftests/load.sh
. /selftests/threads-lib.sh

debug=/sys/kernel/debug/popcorn

# value NAME: from what the checks have counted
value()
{
	sed -n "s/.*\b$1=\([0-9]*\).*/\1/p" $debug/check
}

no_page_is_left()
{
	[ "$(value pages)" = 0 ]
}

nobody_complains()
{
	! { dmesg && popcorn log 1; } | grep "popcorn: check: page"
}

# use_pages SEED: threads of both kernels use pages of kernel memory
use_pages()
{
	echo "kernels=3 pages=4 accesses=1000 writes=50 threads=2 seed=$1" \
		>$debug/pages && sed 's/^/# /' $debug/pages
}

# use_memory: those of a process; what it says does not matter, and what is done
# wrong may let it wait for ever
use_memory()
{
	note timeout -s KILL 10 /programs/contend -n 50 -l 5 wait 0,1 || true
}

# finds MISTAKE COMMAND...: it is made, once or as often as its second word says,
# while the command runs, and found
finds()
{
	local before mistake=$1

	before=$(value violations)
	echo "$mistake" >$debug/check || return
	shift
	"$@"
	echo "${mistake%% *} 0" >$debug/check
	note cat $debug/check
	[ "$(value violations)" -gt "$before" ]
}

check "both are linked" all_linked 2
check "pages of kernel memory are used" use_pages 1
check "pages of a process are used" \
	note /programs/contend -n 20 0,1
check "that was checked" [ "$(value changes)" -gt 1000 ]
check "it was right" [ "$(value violations)" = 0 ]
check "and nobody has complained" nobody_complains
check "there was room for all" [ "$(value unchecked)" = 0 ]
check "no page is left in the table" await 10 no_page_is_left
check "a page that is damaged on its way is found" finds damage use_pages 2
check "a page that is kept instead of given up is found" finds keep use_pages 3
check "a page that stays writable is found" finds "protect 200" use_memory

# frames_found: a frame that is said to be another page's
frames_found()
{
	local said="its frame [0-9a-f]* is that of page"

	echo frame >$debug/check && use_pages 4 && dmesg | grep -q "$said"
}
check "a frame that is another page's is found" frames_found
/programs/frame >/tmp/frame.tap
check "frames are asked for" planned /tmp/frame.tap
results /tmp/frame.tap

# starved: nothing is lost for want of memory, and all get on
starved()
{
	local before=$(value mistakes)

	echo "starve 300" >$debug/check
	/programs/contend -n 20 0,1 >/tmp/starved || return
	note cat /tmp/starved $debug/check
	echo "starve 0" >$debug/check
	[ "$(value mistakes)" -gt "$before" ] && [ "$(counter unsent)" = 0 ]
}
check "want of memory loses nothing" starved
check "there is no other mistake" sh -c "! echo else >$debug/check 2>/dev/null"
check "no page is left in the table" await 10 no_page_is_left
plan

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# check: alone replicated
# vm: --kernels 2 --mem 192M --timeout 120 --add build/tools/programs:/programs
# vm: --append popcorn_msg.linger_us=0 --secondary-append popcorn_msg.linger_us=0
#
# A page that two threads write in turns, which have to be woken up each time, as
# nobody looks for messages instead of sleeping. Asked for at once, the page has nearly
# never been used yet, and is held until a timer fires: so each kernel learns for how
# long to leave it to the other one (pcn_hold_learn()).

. /selftests/lib.sh
. /selftests/threads-lib.sh

# Turns of the threads together.
TURNS=4000

# ended_since COPIES: the space has ended that has sent more
ended_since()
{
	[ $(($(counter copies) - $1)) -ge $((TURNS / 2)) ]
}

# left_to_use: at least one page in four has been used when it is asked for again
left_to_use()
{
	local copies holds

	copies=$(counter copies)
	holds=$(counter holds)
	note /programs/cost-static -k 1 -n $((TURNS / 2)) turns || return
	await 5 ended_since "$copies" || return
	copies=$(($(counter copies) - copies))
	holds=$(($(counter holds) - holds))
	echo "# $copies pages sent, $holds of them held"
	[ $((4 * holds)) -le $((3 * copies)) ]
}

check "a page is left to the thread that has got it" left_to_use
plan

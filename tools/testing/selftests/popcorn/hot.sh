#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 3 --mem 160M --timeout 150 --add build/tools/selftests:/programs
#
# Pages that bounce between kernels: popcorn stats --hot names them.

. /selftests/lib.sh
. /selftests/threads-lib.sh

hot=/proc/popcorn/hot

# begin COMMAND...: a program runs in the background, and has said where its page is
begin()
{
	"$@" >/tmp/said 2>/tmp/told &
	pid=$!
	await 20 grep -q "^hot_page" /tmp/said || return
	page=$(sed -n 's/^hot_page //p' /tmp/said)
}

# ends: it has come to its end, and was well
ends()
{
	wait "$pid"
	status=$?
	sed 's/^/# /' /tmp/said /tmp/told
	[ $status = 0 ]
}

# moves KID: how often the page has come there
moves()
{
	sed -n "s/^process=.* tgid=$pid .* kernel=$1 page=$page .*reads=\([0-9]*\) writes=\([0-9]*\) from=.*/\1 \2/p" \
		$hot | awk '{ print $1 + $2 }'
}

# bounced COUNT KID...: it has come to each of these kernels so often
bounced()
{
	local count=$1 kid

	shift
	for kid; do
		[ "$(moves "$kid" || echo 0)" -ge "$count" ] 2>/dev/null || return 1
	done
}

# hottest REGEX: the first page of the table is that
hottest()
{
	sed -n '2,3s/^/# /p' /tmp/out
	sed -n 3p /tmp/out | grep -qE "$1"
}

check "two threads write a page on two kernels" \
	begin popcorn run --memory replicated --pin 0,1 /programs/hot 8
check "  it bounces between them" await 8 bounced 20 0 1
check "  popcorn stats --hot" exits 0 popcorn stats --hot "$pid"
check "  has it first, with its symbol and both kernels" \
	hottest "^ *$page +[0-9]+ .* 0:[0-9]+ 1:[0-9]+ +/programs/hot: hot_page$"
check "  as JSON" exits 0 popcorn stats --hot --json --pid "$pid"
check "  likewise" says "\"address\": \"$page\".* \"symbol\": \"hot_page\", .*\"kid\": 0, .*\"from\": \\[1\\]"
check "  kernel 2 has had nothing of it" grep -q " tgid=$pid .* kernel=2 state=up moves=0$" $hot
check "  nobody else is told addresses" sh -c "/programs/hot -n cat $hot >/tmp/out &&
	grep -q ' tgid=$pid .* kernel=0 state=denied$' /tmp/out && ! grep -q page= /tmp/out"
check "  the program ends" ends
check "  and has no pages then" exits 3 popcorn stats --hot "$pid"
check "  which is said" says "process $pid has ended"

check "the home of the program takes no part" \
	begin popcorn run --memory replicated --pin 0,1,2 /programs/hot -w 8
check "  a page bounces between two others" await 8 bounced 20 1 2
check "  popcorn stats --hot" exits 0 popcorn stats --hot "$pid"
check "  has both" hottest "^ *$page .* 1:[0-9]+ 2:[0-9]+ +/programs/hot: hot_page$"
check "  the program ends" ends

check "threads write pages of their own" \
	begin popcorn run --memory replicated --pin 0,1 /programs/hot -x 4
check "  these do not bounce" exits 0 eval "sleep 3; popcorn stats --hot $pid"
check "  only what they share does" eval "! says own_page"
check "  the program ends" ends

check "no thread is left" no_thread
check "no space is left" await 5 no_space
check "no event was impossible" [ "$(counter impossible)" = 0 ]
plan

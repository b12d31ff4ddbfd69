#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# check: replicated
# vm: --kernels 3 --mem 160M --timeout 240 --add build/tools/selftests:/programs
#
# Pages that bounce between kernels: popcorn stats --hot names them, and popcorn run
# --auto brings threads together that wait for them.

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

# private: their own pages do not bounce: few moves, if any, when they begin
private()
{
	sed 's/^/# /' /tmp/out
	! awk '/own_page/ && $2 > 3 { found = 1 } END { exit !found }' /tmp/out
}

# watched OPTION...: the program is the child of a command that looks at it
watched()
{
	begin popcorn run --auto --memory replicated --pin 0,1 /programs/hot "$@" || return
	command=$pid
	pid=$(pidof hot)
	[ -n "$pid" ]
}

# all_home: no thread of it is away
all_home()
{
	! awk -v tgid="$pid" '$2 == tgid && $5 != 0 { found = 1 } END { exit !found }' \
		/proc/popcorn/threads
}

# told COUNT: the command has said so many lines about it
told()
{
	[ "$(grep -c "^popcorn: run: --auto: " /tmp/told)" = "$1" ]
}

# watched_ends: the command ends as the program does
watched_ends()
{
	pid=$command
	ends
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
check "  only what they share does" private
check "  the program ends" ends

check "popcorn run --auto: two threads write a page" watched 12
check "  they are brought together" await 10 told 1
check "  which is told with the page" await 5 grep -qE \
	"hot \\($pid\\) .* kernel 0; the hottest page: $page, [0-9]+ moves, /programs/hot: hot_page$" /tmp/told
check "  both are at home" await 5 all_home
check "  and bound to it" [ "$(taskset -cp "$pid" | sed 's/.* //')" = "$(cat $kernels/0/cpus)" ]
before=$(moves 1)
sleep 2
check "  the page does not move any more" [ "$(moves 1)" = "$before" ]
check "  nothing is undone" all_home
check "  the program ends" watched_ends
check "  it was told once" told 1
check "popcorn run --auto: threads write pages of their own" watched -x 6
sleep 4
check "  one stays away" eval "! all_home"
check "  the program ends" watched_ends
check "  nothing was told" told 0

check "no thread is left" no_thread
check "no space is left" await 5 no_space
check "no event was impossible" [ "$(counter impossible)" = 0 ]
plan

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 3 --mem 128M --timeout 900 --add build/tools/selftests:/programs
#
# Terminals of other kernels: a shell there, seen and used by several sessions, that loses
# nothing, waits for who reads slowly, and comes back when its kernel does.

. /selftests/lib.sh
. /selftests/load.sh
. /selftests/console-lib.sh

not()
{
	! "$@"
}

# between NAME: what the terminal has printed between two lines, without its returns
between()
{
	tr -d '\r' <"/tmp/$1.out" | sed -n '/^begin$/,/^end$/p' | sed '1d;$d'
}

# types_while_printing NAME: who prints much does not read, and is read meanwhile
types_while_printing()
{
	{
		echo 'stty -echo; seq 60000'
		seq 3000 | sed 's/^/: /'
		echo 'echo all $((2999 + 1)) typed; stty echo'
	} >"/tmp/$1.in"
	shows "$1" 'all 3000 typed' 300
}

# prints_much NAME LINES
prints_much()
{
	types "$1" "stty -echo; echo begin; seq $2; echo end; stty echo"
	shows "$1" '^end' 300 && [ "$(between "$1" | md5sum)" = "$(seq "$2" | md5sum)" ]
}

# types_much NAME: more than there is room for at a time
types_much()
{
	types "$1" "stty -echo; echo ready; head -n 2000 >/tmp/typed; md5sum </tmp/typed; stty echo"
	shows "$1" '^ready' || return
	seq 2000 >"/tmp/$1.in"
	shows "$1" "^$(seq 2000 | md5sum | cut -d ' ' -f 1)"
}

# refused: one session more than there can be
refused()
{
	local i

	for i in $(seq 15); do
		session "more$i" 2
	done
	await 60 sessions 15 || return
	exits 1 timeout 60 popcorn console 2 </dev/null && says 'as many sessions'
}

# sessions COUNT: so many have seen something
sessions()
{
	[ "$(grep -l '#' /tmp/more*.out 2>/dev/null | wc -l)" -ge "$1" ]
}

# on_a_terminal NAME: the size of the window goes along, and ~. leaves; NAME sees what was typed
# just before
on_a_terminal()
{
	mkfifo /tmp/t.in
	/programs/pty 33 77 popcorn console 1 </tmp/t.in >/tmp/t.out &
	echo $! >/tmp/t.pid
	exec 4>/tmp/t.in
	shows t '~. ends the session' || return
	printf 'stty size\r' >&4
	shows t '^33 77' || return
	printf 'echo ~~.\r~.' >&4
	await 20 ended t && wait "$(cat /tmp/t.pid)" && shows "$1" '^~~\.'
}

# waits_for NAME OTHER: NAME does not read, so OTHER sees no end of what is printed, until NAME
# is gone
waits_for()
{
	kill -STOP "$(cat "/tmp/$1.pid")"
	types "$2" 'seq 300001 400000; echo over\!'
	shows "$2" '^300002' 60 || return
	! await 3 grep -q '^over!' "/tmp/$2.out" || { echo "# it did not wait"; return 1; }
	kill -KILL "$(cat "/tmp/$1.pid")"
	shows "$2" '^over!' 300
}

# forged KID COUNT: messages that kernel 1 has made up about terminals, of which this kernel
# has refused all that make no sense
forged()
{
	local refused="$links/$1/tty/rx_refused" before

	before=$(cat "$refused")
	load_script "$1" "until grep -q up /sys/kernel/popcorn/links/0/state; do usleep 50000; done
		echo messages kid=0 count=$2 seed=7 channel=3 type=26 >/sys/kernel/debug/popcorn/garbage" &&
		exits 0 popcorn start "$1" &&
		await 300 logged "$1" "garbage: sent $2 messages to kernel 0, seed 7: 0" &&
		await 20 [ "$(($(cat "$refused") - before))" -gt $(($2 / 2)) ]
}

session a 1 --log
check "its log comes first, from its first line on" shows a 'Linux version'
greetings=0
check "a shell greets on kernel 1" await 60 greeted_again a
check "and answers" answers a
check "nothing is lost of 1 MiB that it prints" prints_much a 170000
check "nor of what is typed" types_much a
check "what is printed is read while something is typed" types_while_printing a
check "on a terminal it has its size, and an escape" on_a_terminal a
exec 4>&-
session b 1
check "another session sees what was printed" shows b 'all 3000 typed'
types b 'echo from $((2000 + 20))'
check "both see what is typed" shows a 'from 2020'
check "and what is answered" shows b 'from 2020'
check "the terminal waits for who does not read" waits_for b a
check "it goes on then" answers a
end b

session c 2 "--log --wait"
greetings=0
check "a shell greets on kernel 2" await 60 greeted_again c
check "and answers" answers c
check "only so many sessions are possible" refused
for i in $(seq 15); do
	end "more$i"
done
session d 2
check "another one can begin when they are over" shows d '#'
greetings=$(greetings c)
check "kernel 2 is killed" popcorn kill 2
check "its session ends" await 10 ended d
check "and says why" await 10 grep -q 'not up' /tmp/d.err
end d
check "there is none with a kernel that is down" not timeout 60 popcorn console 2 </dev/null 2>/tmp/err
check "which is said" grep -q 'not up' /tmp/err
check "kernel 2 starts again" popcorn start 2
check "who waits for it is back" await 20 grep -q 'is back' /tmp/c.err
check "and has seen its log again" [ "$(grep -c 'Linux version' /tmp/c.out)" = 2 ]
check "a new shell greets" await 60 greeted_again c
check "and answers" answers c
check "the others have not noticed" answers a
check "kernel 1 stops, with a session" popcorn stop 1
check "which ends" await 10 ended a
forgeries=1000
[ "${LONG:-}" != 1 ] || forgeries=100000
check "$forgeries messages about terminals that make no sense are refused" forged 1 $forgeries
check "the terminal of kernel 2 has not noticed" answers c
end a
end c
check "no kernel has complained" not sh -c '{ dmesg; popcorn log 1; popcorn log 2; } | grep -E "WARNING|BUG|lockup"'
plan

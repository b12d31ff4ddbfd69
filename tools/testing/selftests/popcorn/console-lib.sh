# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# For tests that use terminals of other kernels. On top of lib.sh.

# ended NAME: its session has
ended()
{
	! kill -0 "$(cat "/tmp/$1.pid")" 2>/dev/null
}

# session NAME KID [OPTION]: begin one; what is typed goes to /tmp/NAME.in, and what is
# printed to /tmp/NAME.out
session()
{
	rm -f "/tmp/$1.in"
	mkfifo "/tmp/$1.in"
	# It has to stay open: the shell that holds it writes nothing.
	sleep 100000 >"/tmp/$1.in" &
	echo $! >"/tmp/$1.holder"
	popcorn console $3 "$2" <"/tmp/$1.in" >"/tmp/$1.out" 2>"/tmp/$1.err" &
	echo $! >"/tmp/$1.pid"
}

# end NAME
end()
{
	kill "$(cat "/tmp/$1.holder")" "$(cat "/tmp/$1.pid")" 2>/dev/null
	wait "$(cat "/tmp/$1.pid")" 2>/dev/null
	return 0
}

# types NAME TEXT: a line
types()
{
	echo "$2" >"/tmp/$1.in"
}

# shows NAME REGEX [SECONDS]: sooner or later
shows()
{
	await "${3:-20}" grep -q "$2" "/tmp/$1.out" && return
	note tail -c 300 "/tmp/$1.out"
	echo
	return 1
}

# greetings NAME: how many shells have greeted
greetings()
{
	grep -c 'for a list of built-in commands' "/tmp/$1.out"
}

# greeted_again NAME: what is typed before that the shell throws away
greeted_again()
{
	[ "$(greetings "$1")" -gt "$greetings" ]
}

# answers NAME: a shell does
answers()
{
	count=$((${count:-0} + 1))
	types "$1" "echo it is \$((1000 + $count))"
	shows "$1" "it is $((1000 + count))"
}

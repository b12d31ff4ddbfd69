# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# For tests that use the load generator (drivers/msg_layer/load*.c). On top of
# lib.sh.

load=/sys/kernel/debug/popcorn
links=/sys/kernel/popcorn/links
channels="control coherency network tty"

# total NAME: a field of the result's last line
total()
{
	sed -n "s/^total .*\b$1=\([0-9]*\).*/\1/p" /tmp/result
}

look_at_result()
{
	cat $load/result >/tmp/result
}

# begin WORD...: starts a run
begin()
{
	echo "$*" >$load/load
}

has_ended()
{
	look_at_result && [ "$(total running)" = 0 ]
}

# Every message came, once, in its turn and as it was sent.
came_well()
{
	grep -q "^total sent=\([0-9]*\) expected=[0-9]* received=\1 damaged=0 errors=0 " \
		/tmp/result && return
	awk '/^#/ || $4 != $6 || $7 || $8 { print "# " $0 }' /tmp/result | head -n 20
	return 1
}

# all_came STREAMS: so many streams came well, and to their end
all_came()
{
	came_well && [ "$(grep -c "^[0-9]" /tmp/result)" = "$1" ] &&
		[ "$(total sent)" = "$(total expected)" ] &&
		[ "$(total down)" = 0 ] && return
	tail -n 1 /tmp/result | sed 's/^/# /'
	return 1
}

# run SECONDS STREAMS WORD...: a run that ends within the time, well
run()
{
	local limit=$1 streams=$2

	shift 2
	begin "$@" || return
	await "$limit" has_ended && all_came "$streams" && rate && return
	echo "# $*: $(tail -n 1 /tmp/result)"
	return 1
}

# How fast it was, as a comment.
rate()
{
	local ms=$(($(total ns) / 1000000 + 1))

	echo "# $(total received) messages in $ms ms," \
	     "$(($(total received) * 1000 / ms)) per second"
}

# All kernels exchange messages with all others: STREAMS with one channel.
all_linked()
{
	begin messages=1 size=0 channels=control && await 10 has_ended &&
		all_came "$1" >/tmp/note
}

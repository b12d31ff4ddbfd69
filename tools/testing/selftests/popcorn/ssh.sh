#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Logging in on other kernels over the network: keys make themselves, and are made anew when a
# kernel comes back.
#
# vm: --kernels 3 --mem 256M --timeout 900 --ssh

. /selftests/lib.sh

# prints TEXT COMMAND...: that is what it prints
prints()
{
	local wanted=$1

	shift
	"$@" >/tmp/out 2>/tmp/err </dev/null && [ "$(cat /tmp/out)" = "$wanted" ] && return
	note cat /tmp/out /tmp/err
	return 1
}

# quiet_ssh WORD...: ssh that must not ask for anything
quiet_ssh()
{
	timeout 120 ssh -o BatchMode=yes "$@"
}

self=/sys/kernel/popcorn/self

# What a connection of a kernel to another one is: address and host name
as_login()
{
	prints "kernel1 10.77.0.1" quiet_ssh kernel1 'echo $(uname -n) ${SSH_CLIENT%% *}'
}

statuses()
{
	local status

	for status in 0 1 7 127 200; do
		exits $status popcorn ssh 1 "exit $status" || return
	done
}

# A terminal, as a person has it. The other end says what it is.
has_terminal()
{
	prints "/dev/pts/0" eval 'quiet_ssh -tt kernel1 tty | tr -d "\r"'
}

make_file()
{
	head -c "$1" /dev/urandom >/tmp/file && sum=$(md5sum </tmp/file)
}

# copied SIZE: there and back, by scp
copied()
{
	make_file "$1" && rm -f /tmp/back &&
		scp -q -B /tmp/file kernel1:/tmp/file &&
		[ "$(quiet_ssh kernel1 'md5sum </tmp/file')" = "$sum" ] &&
		scp -q -B kernel1:/tmp/file /tmp/back && cmp /tmp/file /tmp/back
}

through_a_pipe()
{
	[ "$(quiet_ssh kernel2 md5sum </tmp/file)" = "$sum" ]
}

# Whoever has no key stays out, and no password is asked for.
without_key_refused()
{
	exits 255 quiet_ssh -o IdentityFile=none -o PubkeyAuthentication=no kernel1 true &&
		says "Permission denied \(publickey\)"
}

# Only the network between the kernels leads there.
listens_inside()
{
	prints "10.77.0.2:22" quiet_ssh kernel1 \
		"netstat -tln | awk '/:22 / { print \$4 }'"
}

user_is_refused()
{
	mkdir -p /tmp/nobody && chown nobody /tmp/nobody &&
		exits 6 su -s /bin/sh nobody -c 'HOME=/tmp/nobody popcorn ssh 1 true'
}

# Kernel 1 anew: its host key is another one.
comes_back()
{
	local before

	before=$(grep ^kernel1 /root/.ssh/popcorn_hosts)
	exits 0 popcorn "$1" 1 && prints 1 popcorn ssh --wait 1 cat $self &&
		[ "$(grep ^kernel1 /root/.ssh/popcorn_hosts)" != "$before" ] &&
		[ "$(grep -c ^kernel1 /root/.ssh/popcorn_hosts)" = 1 ] &&
		prints 1 quiet_ssh kernel1 cat $self
}

# The kernel dies in the middle of a copy: that ends, and another one is not disturbed.
killed_in_a_copy()
{
	local lost kept

	quiet_ssh -o ServerAliveInterval=2 -o ServerAliveCountMax=2 kernel1 \
		'touch /tmp/begun; cat >/dev/null' </dev/zero >/dev/null 2>&1 &
	lost=$!
	rm -f /tmp/more
	mkfifo /tmp/more
	{ cat /tmp/file; cat /tmp/more; } |
		quiet_ssh kernel2 'touch /tmp/begun; md5sum' >/tmp/kept &
	kept=$!
	await 60 popcorn exec 1 test -e /tmp/begun && await 60 popcorn exec 2 test -e /tmp/begun &&
		exits 0 popcorn kill 1 && cat /tmp/file >/tmp/more || return
	wait $lost
	[ $? = 255 ] && wait $kept &&
		[ "$(cat /tmp/kept)" = "$(cat /tmp/file /tmp/file | md5sum)" ]
}

is_down()
{
	exits 4 popcorn ssh 1 true && says "it is not up" &&
		exits 255 quiet_ssh -o ConnectTimeout=10 kernel1 true
}

many_at_once()
{
	local n pids= status=0

	for n in $(seq 8); do
		[ "$(popcorn ssh $((n % 2 + 1)) cat $self)" = $((n % 2 + 1)) ] &
		pids="$pids $!"
	done
	for n in $pids; do
		wait $n || status=1
	done
	return $status
}

check "a first login makes the keys" prints 1 popcorn ssh --wait 1 cat $self
check "by name" prints 2 popcorn ssh --wait kernel2 cat $self
check "ssh itself knows the kernels" prints 2 quiet_ssh kernel2 cat $self
check "who and where it is" as_login
check "exit statuses" statuses
check "a terminal" has_terminal
check "a file is copied there and back" copied 4000000
[ -z "$LONG" ] || check "so are 100 MiB" copied 104857600
check "input goes through a pipe" through_a_pipe
check "8 at once" many_at_once
check "without the key one stays out" without_key_refused
check "it listens on the network of the kernels alone" listens_inside
check "a user is refused" user_is_refused
check "no such kernel" exits 3 popcorn ssh 9 true
check "nor host" exits 3 popcorn ssh --prepare kernel9
check "what is no key is not let in" exits 2 popcorn exec 1 popcorn ssh --serve "no key"
check "the kernel restarts" comes_back restart
check "a kernel is killed in a copy, another one is not disturbed" killed_in_a_copy
check "that it is down is said" is_down
check "it starts again" comes_back start
check "nothing was said" eval '! { dmesg; popcorn log 1; popcorn log 2; } | grep -E "BUG|WARNING|refcount"'
plan

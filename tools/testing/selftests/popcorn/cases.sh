#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# check: early
# vm: --kernels 3 --mem 192M --timeout 3000 --add build/tools/selftests:/programs
#
# What ordinary programs may do, and must not lose, hang or break anything by. Each program
# runs without migrating first, and must pass then, too.
#
#	cases.sh [NAME...]	only those

. /selftests/lib.sh
. /selftests/threads-lib.sh
. /selftests/stuck-lib.sh

# A program that needs so long hangs, however slow the machine is.
hang_limit=900

# bounded NAME ARGUMENT...: a program that prints TAP comes to its end; its results are
# results
bounded()
{
	local name=$1

	shift
	rm -f /tmp/tap
	"/programs/cases-$name" "$@" >/tmp/tap 2>&1 &
	end $! $hang_limit
	check "cases-$name $*" planned /tmp/tap
	results /tmp/tap
}

# both NAME ARGUMENT...: without migrating, and from kernel 1
both()
{
	local name=$1

	shift
	bounded "$name" - "$@"
	bounded "$name" 1 "$@"
}

# bad_device KID: a device whose second half cannot be read
bad_device()
{
	local loop

	dd if=/dev/zero bs=1M count=8 2>/dev/null | tr '\0' '\253' >/tmp/bad
	loop=$(losetup -f)
	losetup "$loop" /tmp/bad
	truncate -s 4M /tmp/bad
	bounded file "$1" bad "$loop"
	losetup -d "$loop"
}

# bad_swap KID: most of which cannot be read any more
bad_swap()
{
	local loop

	mkdir -p /cgroup
	[ -e /cgroup/cgroup.controllers ] || mount -t cgroup2 cgroup /cgroup
	if grep -qw memory /cgroup/cgroup.controllers; then
		echo +memory >/cgroup/cgroup.subtree_control
		mkdir -p /cgroup/case
	fi
	dd if=/dev/zero of=/tmp/swap bs=1M count=16 2>/dev/null
	loop=$(losetup -f)
	losetup "$loop" /tmp/swap
	mkswap "$loop" >/dev/null && swapon "$loop"
	bounded file "$1" swap /tmp/swap /cgroup/case
	swapoff "$loop"
	losetup -d "$loop"
	rm /tmp/swap
}

# records KID: how many records kernel 0 has more when a process has read 16,384 pages
# of zeros at home
records()
{
	local before

	mkfifo /tmp/line
	before=$(sed -n 's/^kernel=0 .*records=\([0-9]*\).*/\1/p' /proc/popcorn/usage)
	/programs/cases-cost "$1" 16384 </tmp/line >/tmp/said &
	exec 3>/tmp/line
	await 60 grep -q ready /tmp/said
	echo "# $(($(sed -n 's/^kernel=0 .*records=\([0-9]*\).*/\1/p' \
		/proc/popcorn/usage) - before))" | tee /tmp/records
	echo >&3
	exec 3>&-
	wait $!
	rm /tmp/line
	[ "$(cut -c 3- /tmp/records)" -lt 2000 ]
}

# merging KIDS KID: KSM looks at much memory all the time
merging()
{
	local ksm=/sys/kernel/mm/ksm

	echo 2000 >$ksm/pages_to_scan
	echo 5 >$ksm/sleep_millisecs
	echo 1 >$ksm/run
	bounded ksm "$1" 5 merge
	bounded free "$2" $ksm/full_scans
	echo 0 >$ksm/run
}

# orphan: the loss of a kernel does not concern a process that is gone, nor others that
# have its place in memory now
orphan()
{
	local program

	mkfifo /tmp/line
	/programs/cases-orphan 1 600 </tmp/line >/tmp/said &
	program=$!
	exec 3>/tmp/line
	await 60 grep -q ready /tmp/said && exits 0 popcorn kill 1 && usleep 500000
	echo >&3
	exec 3>&-
	wait $program
	set -- $?
	sed 's/^/# /' /tmp/said
	killall -9 cases-orphan 2>/dev/null
	vm-save-logs
	exits 0 popcorn restart 1 && await 20 /programs/hop 2 0,1 10 >/tmp/out &&
		return "$1"
}

# wanted NAME: it is to be tried
wanted()
{
	case " ${names:-$1} " in *" $1 "*) ;; *) return 1 ;; esac
}

names=$*
wanted fail && both fail
if wanted file; then
	both file end
	both file prot
	for kid in - 1; do
		bad_device $kid
		bad_swap $kid
	done
fi
wanted uffd && both uffd
wanted stack && both stack
wanted reuse && both reuse
wanted overlap && both overlap
wanted torn && both torn
wanted step && both step
wanted cost && both cost
wanted records && check "pages that only their origin has touched need no record" records 1
if wanted merge; then
	merging - -
	merging 0,1,2 1
	bounded ksm 0,1,2 3 huge
	bounded ksm 0,1,2 3 pageout compact refs fork
fi
wanted pin && both pin
wanted trace && both trace
wanted share && both share
wanted foreign && both foreign
wanted vdso && both vdso
wanted vsyscall && both vsyscall
wanted audit && both audit
check "no thread is left" await 10 no_thread
check "no space is left" await 10 no_space
check "no event was impossible" [ "$(counter impossible)" = 0 ]
check "no message was lost" [ "$(counter unsent)" = 0 ]
wanted orphan && check "the process of memory has ended, and a kernel is lost" orphan
plan

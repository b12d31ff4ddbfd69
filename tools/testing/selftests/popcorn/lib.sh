# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# For the tests that run on the primary of a machine made by scripts/vm: what
# they do to secondaries, and how they wait.

. /selftests/tap.sh

kernels=/sys/kernel/popcorn/kernels
parameters=/sys/module/popcorn/parameters

# uptime_ms: milliseconds since boot
uptime_ms()
{
	local up

	read -r up _ </proc/uptime
	echo $((${up%.*} * 1000 + (1${up#*.} - 100) * 10))
}

# await SECONDS COMMAND...: until the command succeeds; fails when the time has
# passed.
await()
{
	local end=$(($(uptime_ms) + $1 * 1000))

	shift
	until "$@"; do
		[ "$(uptime_ms)" -lt $end ] || return 1
		usleep 50000
	done
}

# note COMMAND...: the command's output as comments, its exit status
note()
{
	local status

	"$@" >/tmp/note 2>&1
	status=$?
	sed 's/^/# /' /tmp/note
	return $status
}

# exits STATUS COMMAND...: succeeds if the command's exit status is STATUS
exits()
{
	local wanted=$1 status

	shift
	"$@" >/tmp/out 2>&1
	status=$?
	[ "$status" = "$wanted" ] && return
	echo "# $*: exit status $status, $wanted wanted: $(cat /tmp/out)"
	return 1
}

# says REGEX: the command that exits ran last said so
says()
{
	grep -qE "$1" /tmp/out || { echo "# said: $(cat /tmp/out)"; return 1; }
}

# is KID STATE
is()
{
	[ "$(cat "$kernels/$1/state")" = "$2" ]
}

# became KID STATE REGEX [SECONDS]: it gets into the state, and the reason
# matches.
became()
{
	await "${4:-30}" is "$1" "$2" && grep -qE "$3" "$kernels/$1/reason" &&
		return
	echo "# kernel $1: $(cat "$kernels/$1/state"):" \
	     "$(cat "$kernels/$1/reason"), $2: $3 wanted"
	return 1
}

# logged KID REGEX: the kernel's log has such a line
logged()
{
	popcorn log "$1" | grep -qE "$2"
}

# The kernel refines the rate of the TSC for a second before it uses it as its
# clock, and starts no other kernel before that.
wait_for_tsc()
{
	await 20 grep -q '^tsc$' \
		/sys/devices/system/clocksource/clocksource0/current_clocksource
}

# load_script KID SCRIPT [INITRD]: loads the kernel with a script that its init
# will run
load_script()
{
	exits 0 popcorn load "$1" /boot/bzImage --initrd "${3:-/boot/initrd}" \
		--append "$(cat /boot/cmdline) pcn_exec=$(echo "$2" | base64 -w 0)"
}

# load_plain KID: loads it without one
load_plain()
{
	exits 0 popcorn load "$1" /boot/bzImage --initrd /boot/initrd \
		--append "$(cat /boot/cmdline)"
}

# works KID: it can be started, runs its init and can be stopped
works()
{
	exits 0 popcorn start "$1" && is "$1" running &&
		await 10 logged "$1" "init: started" &&
		exits 0 popcorn stop "$1" && became "$1" loaded '^poweroff$'
}

# initrd_with DIR SOURCE...: prints the secondaries' initrd with more files in
# it, those below DIR. They replace what has the same name.
initrd_with()
{
	cat /boot/initrd
	(
		cd "$1" && shift &&
			for file; do dirname "$file"; find "$file"; done |
			cpio -o -H newc 2>/dev/null
	)
}

# symbol NAME: offset of a symbol in the kernel's image, which the secondary
# runs too
symbol()
{
	local text address

	text=$(awk '$3 == "_text" { print $1 }' /proc/kallsyms)
	address=$(awk -v s="$1" '$3 == s { print $1; exit }' /proc/kallsyms)
	echo $((0x$address - 0x$text))
}

# The text of a secondary is 2 MiB, the boot area, into its memory: its own
# address is not randomised.
text_address()
{
	local memory

	memory=$(cat "$kernels/$1/memory")
	echo $((${memory%-*} + 0x200000))
}

# poke ADDRESS BYTES: writes bytes, in printf's notation, to physical memory
poke()
{
	printf "$2" | dd of=/dev/mem bs=1 seek="$1" conv=notrunc 2>/dev/null
}

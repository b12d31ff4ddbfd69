# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# For the tests whose primary is busy (tools/testing/selftests/popcorn/busy.sh):
# a machine with what that needs, a disk, /test/ticks and /host/waited. To be
# sourced in the directory of the repository. Tests put what they need besides in
# $work/test, which is /test in the guest.

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/test" "$work/host"
echo 0 >"$work/host/waited"
gcc -O2 -Wall -static -o "$work/test/ticks" scripts/tests/guest/ticks.c || exit
truncate -s 16M "$work/disk"

# Of each thread of a process, for how long it has waited for a CPU by now, ns.
waits_by_now()
{
	awk '{ print FILENAME, $2 }' /proc/"$1"/task/*/schedstat 2>/dev/null
}

# longest_wait BEFORE NOW: of any thread in between, ms
longest_wait()
{
	awk 'FNR == NR { before[$1] = $2; next }
		$1 in before && $2 - before[$1] > longest {
			longest = $2 - before[$1]
		}
		END { printf "%d\n", longest / 1e6 }' "$1" "$2"
}

# tell_waits PID: as long as that runs, how long a thread of its QEMU has waited
# at most within two seconds is in /host/waited
tell_waits()
{
	local now longest=0

	: >"$work/waits.1"
	: >"$work/waits.2"
	while kill -0 "$1" 2>/dev/null; do
		waits_by_now "$(pgrep -P "$1" qemu)" >"$work/waits"
		now=$(longest_wait "$work/waits.2" "$work/waits")
		if ((now > longest)); then
			longest=$now
			echo $longest >"$work/host/new"
			mv "$work/host/new" "$work/host/waited"
		fi
		mv "$work/waits.1" "$work/waits.2"
		mv "$work/waits" "$work/waits.1"
		sleep 1
	done
}

# busy_vm OPTIONS... -- COMMAND: scripts/vm with that
busy_vm()
{
	local runner

	scripts/vm --add "$work/test:/test" --share "$work/host" \
		--add tools/testing/selftests/popcorn:/selftests \
		--qemu "-drive file=$work/disk,format=raw,if=virtio" "$@" &
	runner=$!
	tell_waits $runner &
	wait $runner
}

# busy_selftest NAME: runs a selftest, with the options that are in it
busy_selftest()
{
	local file=tools/testing/selftests/popcorn/$1.sh
	local options

	eval "options=($(sed -n 's/^# vm: //p' "$file" | tr '\n' ' '))"
	busy_vm "${options[@]}" -- sh "/selftests/$1.sh"
}

# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Runs a machine whose virtual CPUs can be made to stand still. The command in it asks
# for what can only be done from outside by lines
#
#	# host: NUMBER stall CPU MS	a virtual CPU stands still for so long
#	# host: NUMBER release		or until now
#
# in its output, and reads the answers, lines "NUMBER TEXT", in /host/answers.

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

work=$(mktemp -d)
runner='' stall=''
trap 'kill $stall $runner 2>/dev/null; rm -rf "$work"' EXIT

# answer NUMBER: passes on what is read
answer()
{
	local line

	while read -r line; do
		echo "$1 $line" >>"$work/share/answers"
	done
}

# serve NUMBER VERB [CPU MS]
serve()
{
	case $2 in
	stall)
		"$work/stall-thread" "$(pgrep -P "$runner" qemu)" "$work/qmp" \
			"$3" "$4" > >(answer "$1") 2>&1 &
		stall=$!
		;;
	release)
		kill "$stall"
		stall=''
		;;
	esac
}

mkdir -p "$work/share"
: >"$work/share/answers"
gcc -O2 -Wall -o "$work/stall-thread" scripts/tests/stall-thread.c || exit

# with_stalls ARGUMENT...: of scripts/vm; its exit status
with_stalls()
{
	local line status

	exec 3< <(exec scripts/vm --qemu "-name popcorn,debug-threads=on" \
		--qemu "-qmp unix:$work/qmp,server=on,wait=off" \
		--share "$work/share" \
		--add tools/testing/selftests/popcorn:/selftests "$@" 2>&1)
	runner=$!
	while read -r line <&3; do
		echo "$line"
		# shellcheck disable=SC2086
		[[ $line != "# host: "* ]] || serve ${line#"# host: "}
	done
	wait "$runner"
	status=$? runner=''
	return $status
}

# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# For tests that run scripts/vm: its exit status, output and messages. The
# options that all runs of a test share are in the array vm_options.

. scripts/tap.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# vm STATUS OPTIONS... -- COMMAND: runs it, output in $out, messages in $err;
# succeeds if the exit status is STATUS.
vm()
{
	local wanted=$1 status

	shift
	scripts/vm "${vm_options[@]}" "$@" >"$work/out" 2>"$work/err"
	status=$?
	out=$(cat "$work/out") err=$(cat "$work/err")
	[ "$status" = "$wanted" ] ||
		{ echo "# exit status $status, $wanted wanted: $out $err"; false; }
}

prints()
{
	local wanted=$1

	shift
	vm "$@" && [ "$out" = "$wanted" ] || { echo "# printed: $out"; false; }
}

complains()
{
	local wanted=$1

	shift
	vm "$@" && grep -q "$wanted" <<<"$err" ||
		{ echo "# said: $err"; false; }
}


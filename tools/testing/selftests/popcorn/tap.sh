# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Test results in TAP, for shell scripts: one "check" for each, "plan" at last.

tap_count=0
tap_failed=0

# check TEXT COMMAND...: the test passes if COMMAND succeeds.
check()
{
	local text=$1

	shift
	tap_count=$((tap_count + 1))
	if "$@"; then
		echo "ok $tap_count - $text"
	else
		tap_failed=$((tap_failed + 1))
		echo "not ok $tap_count - $text"
	fi
}

plan()
{
	echo "1..$tap_count"
	[ "$tap_failed" = 0 ]
}

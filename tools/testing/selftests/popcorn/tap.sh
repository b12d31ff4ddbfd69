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

# is_coherent: is memory coherent by default?
is_coherent()
{
	[ "$(cat /proc/sys/kernel/popcorn_coherent 2>/dev/null)" = 1 ]
}

# check_replicated TEXT COMMAND...: of coherent memory that is not to be expected
check_replicated()
{
	if is_coherent; then
		tap_count=$((tap_count + 1))
		echo "ok $tap_count - $1 # SKIP memory is coherent"
	else
		check "$@"
	fi
}

plan()
{
	echo "1..$tap_count"
	[ "$tap_failed" = 0 ]
}

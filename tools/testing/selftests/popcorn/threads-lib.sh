# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# Threads on other kernels, for threads.sh and threads-vote.sh.

# results FILE: each result of a program that prints TAP is one of this test
results()
{
	local line

	while read -r line; do
		case $line in
		"ok "*) check "${line#*- }" true ;;
		"not ok "*) check "${line#*- }" false ;;
		1..*) ;;
		*) echo "# $line" ;;
		esac
	done <"$1"
}

# planned FILE: it has as many results as it has promised
planned()
{
	[ "$(grep -cE '^(not )?ok ' "$1")" = "$(sed -n 's/^1\.\.//p' "$1")" ]
}

# counter NAME: a counter of the spaces that have ended
counter()
{
	awk -v name="$1" '
		NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) column = i }
		$1 == "ended" { print $column }' /proc/popcorn/spaces
}

no_space()
{
	[ "$(wc -l </proc/popcorn/spaces)" = 2 ]
}

no_thread()
{
	[ "$(wc -l </proc/popcorn/threads)" = 1 ]
}

# objects: what each kernel that is up has of threads, records and so on
objects()
{
	sed 's/ available=.*//' /proc/popcorn/usage
}

has_objects()
{
	[ "$(objects)" = "$1" ]
}

all_threads_tests()
{
	/programs/threads 1 2 3 >/tmp/threads.tap
	check "the program comes to its end" planned /tmp/threads.tap
	results /tmp/threads.tap
	check "no thread is left" no_thread
	check "no space is left" await 5 no_space
	check "no event was impossible" [ "$(counter impossible)" = 0 ]
	check "no message was lost" [ "$(counter unsent)" = 0 ]
	check "pages were adopted" [ "$(counter adopted)" -gt 100 ]
}

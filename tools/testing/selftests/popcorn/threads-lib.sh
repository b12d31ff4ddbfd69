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

# objects: what this kernel has of threads, records and so on, in one line
objects()
{
	tr '\n' ' ' </proc/popcorn/objects
}

has_objects()
{
	[ "$(objects)" = "$1" ]
}

# no_growth COUNT COMMAND...: after the command has run COUNT times there is exactly
# what there was before. Tasks that have ended are freed a little later.
no_growth()
{
	local count=$1 i before=$(objects)

	shift
	echo "# before: $before"
	for i in $(seq "$count"); do
		"$@" >/dev/null || return
	done
	await 10 has_objects "$before" && return
	echo "# after: $(objects)"
	return 1
}

all_threads_tests()
{
	/programs/threads 1 2 3 >/tmp/threads.tap
	check "the program comes to its end" planned /tmp/threads.tap
	results /tmp/threads.tap
	check "no thread is left" no_thread
	check "no space is left" await 5 no_space
	check "64 threads on 4 kernels come and go without growth" \
		no_growth 4 /programs/hop 64 0,1,2,3 4
	check "$((4 * ${HOPS:-250})) migrations around the ring" \
		note /programs/hop 4 0,1,2,3 "${HOPS:-250}"
	check "no event was impossible" [ "$(counter impossible)" = 0 ]
	check "no message was lost" [ "$(counter unsent)" = 0 ]
	check "pages were adopted" [ "$(counter adopted)" -gt 100 ]
}

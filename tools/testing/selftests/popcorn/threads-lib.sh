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

# of KEY KID NAME: a number of the newest process of that comm=NAME or tgid=PID
of()
{
	awk -v key="$1" -v kernel="kernel=$2" -v name="$3=" '
		($3 == key || $5 == key) && $6 == kernel {
			for (i = 1; i <= NF; i++)
				if (index($i, name) == 1)
					print substr($i, length(name) + 1)
			exit
		}' /proc/popcorn/stats
}

no_space()
{
	[ "$(wc -l </proc/popcorn/spaces)" = 2 ]
}

# none_kept: no frame of a process that has ended
none_kept()
{
	[ "$(counter kept)" = 0 ]
}

no_thread()
{
	[ "$(wc -l </proc/popcorn/threads)" = 1 ]
}

# on_kernel KID COUNT: so many threads are there
on_kernel()
{
	[ "$(awk -v kid="$1" 'NR > 1 && $4 == "shadow" && $5 == kid' \
		/proc/popcorn/threads | wc -l)" = "$2" ]
}

# killed PID: it was ended by SIGKILL
killed()
{
	wait "$1"
	[ $? = 137 ]
}

# says_why PID: that a program was killed for kernel 1
says_why()
{
	dmesg | grep -qE "popcorn: process $1 is killed: kernel 1 is down|\
\[$1\]: killed: its thread on kernel 1 was lost, as that kernel is down"
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

# quiet: nothing that has ended is left on any kernel
quiet()
{
	! objects | grep -qv ' threads=0 processes=0 spaces=0 '
}

all_threads_tests()
{
	/programs/threads 1 2 3 >/tmp/threads.tap
	check "the program comes to its end" planned /tmp/threads.tap
	results /tmp/threads.tap
	check "no thread is left" no_thread
	check "no space is left" await 5 no_space
	check "no frame is kept" await 5 none_kept
	check "no event was impossible" [ "$(counter impossible)" = 0 ]
	check "no message was lost" [ "$(counter unsent)" = 0 ]
}

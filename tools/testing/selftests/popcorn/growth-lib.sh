# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# Growth: what a program leaves behind on the kernels that it was on, for growth.sh
# and growth-vote.sh. Nothing: objects are counted, memory is compared.
#
# /proc/popcorn/usage tells it of all kernels.

# What there may be less of afterwards, in KiB: memory that could be used; and more:
# slabs.
# Of 10,000 migrations in the ring, 2500 lead to each kernel: an object of 128 bytes for
# each of these is 313 KiB.
TOLERATED_MEMORY=1024
TOLERATED_SLAB=256

# used: kernel, available memory and slabs in KiB, a line for each kernel
used()
{
	awk '{
		for (i = 1; i <= NF; i++) {
			split($i, word, "=")
			v[word[1]] = word[2]
		}
		printf "%d %d %d\n", v["kernel"], v["available"] / 1024, v["slab"] / 1024
	}' /proc/popcorn/usage
}

# all_answer COUNT: so many kernels have told what they use
all_answer()
{
	[ "$(grep -c ' state=up threads=' /proc/popcorn/usage)" = "$1" ]
}

# compare BEFORE AFTER: files of used; no kernel uses more than is tolerated
compare()
{
	awk -v memory=$TOLERATED_MEMORY -v slab=$TOLERATED_SLAB '
		NR == FNR { available[$1] = $2; slabs[$1] = $3; next }
		{
			printf "# kernel %d: available %d -> %d KiB, slab %d -> %d KiB\n",
			       $1, available[$1], $2, slabs[$1], $3
			bad += available[$1] - $2 > memory || $3 - slabs[$1] > slab
			n++
		}
		END { exit bad || !n }' "$1" "$2"
}

# settled BEFORE: what is used now is no more than then; what has ended is freed later
settled()
{
	used >/tmp/after
	compare "$1" /tmp/after >/tmp/compared
}

# steady RUNS COMMAND...: when the command has run as often as that, there is no more
steady()
{
	local runs=$1 i began

	shift
	used >/tmp/before
	began=$(uptime_ms)
	for i in $(seq "$runs"); do
		note "$@" || return
	done
	echo "# $runs times: $(($(uptime_ms) - began)) ms"
	await 5 settled /tmp/before
	set -- $?
	cat /tmp/compared
	return "$1"
}

# no_growth RUNS COMMAND...: when the command has run as often as that, and again, there
# are on all kernels the objects that there were before, and no more memory is in use
# than there was. How many of its objects wait to be freed at the same time differs, so
# caches may still grow when it runs once more; but a leak grows each time.
no_growth()
{
	local runs=$1 try

	shift
	objects >/tmp/objects
	for try in 1 2 3 4 5; do
		steady "$runs" "$@" && break
		[ "$try" != 5 ] || return
	done
	await 10 has_objects "$(cat /tmp/objects)" && return
	echo "# objects before:"
	sed 's/^/# /' /tmp/objects
	echo "# after:"
	objects | sed 's/^/# /'
	return 1
}

# judges_growth: too little memory and too many slabs on one kernel are too much
judges_growth()
{
	echo "0 9000 3000
1 9000 3000" >/tmp/before
	sed 's/^1 9000/1 7900/' /tmp/before >/tmp/after
	! compare /tmp/before /tmp/after >/tmp/compared || return
	sed 's/3000$/3300/' /tmp/before >/tmp/after
	! compare /tmp/before /tmp/after >/tmp/compared || return
	compare /tmp/before /tmp/before >/tmp/compared
}

# finds_objects RECORDS: those of a program that runs are seen on its kernels, and RECORDS is
# the expression for how many records they have
finds_objects()
{
	local all

	mkfifo /tmp/line
	/programs/share 40 1 </tmp/line >/tmp/said &
	exec 3>/tmp/line
	await 20 grep -q ready /tmp/said
	all=$(objects)
	echo >&3
	exec 3>&-
	wait $!
	echo "$all" | sed 's/^/# /'
	[ "$(echo "$all" | grep -c '^kernel=[01] .* spaces=1 records='"$1")" = 2 ]
}

# all_growth_tests HOPS RUNS ROUND: four threads of HOPS hops each; RUNS times 64 threads of
# ROUND hops each
all_growth_tests()
{
	local records='[1-9][0-9]'

	is_coherent && records=0
	check "four kernels tell what they use" all_answer 4
	check "growth would be seen" judges_growth
	check "objects of a program are seen" finds_objects "$records"
	# As many tasks on each kernel as there will ever be: caches have their size then.
	check "64 threads were on each of 4 kernels" \
		note /programs/hop 64 0,1,2,3 4 together
	# What is counted now is compared with, so nothing may be about to end.
	check "and all of them have ended" await 20 quiet
	check "$((4 * $1)) migrations in a ring of 4 kernels leave nothing" \
		no_growth 1 /programs/hop 4 0,1,2,3 "$1"
	check "64 threads on 4 kernels, $2 times, leave nothing" \
		no_growth "$2" /programs/hop 64 0,1,2,3 "$3"
	check "no event was impossible" [ "$(counter impossible)" = 0 ]
	check "no message was lost" [ "$(counter unsent)" = 0 ]
	plan
}

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# check: replicated
# vm: --kernels 3 --mem 160M --timeout 150 --add build/tools/selftests:/programs
#
# What is counted of processes (mm/popcorn/stats.c, kernel/popcorn/threads/job.c): the
# numbers fit each other, and what a program is known to do.

. /selftests/lib.sh
. /selftests/threads-lib.sh

stats=/proc/popcorn/stats

# between PID KID NAME FIRST LAST: it is in this range
between()
{
	local value

	value=$(of "tgid=$1" "$2" "$3")
	echo "# kernel $2: $3=$value, $4 to $5 wanted"
	[ -n "$value" ] && [ "$value" -ge "$4" ] && [ "$value" -le "$5" ]
}

# consistent: in all lines the parts add up to the sums
consistent()
{
	awk '
	function list(text,   part, n, sum, i) {
		n = split(text, part, ",")
		for (i = 1; i <= n; i++)
			sum += part[i]
		if (n != 24)
			print "# " n " classes"
		return sum
	}
	/state=up/ {
		lines++
		sent = 0
		delete v
		for (i = 1; i <= NF; i++) {
			split($i, word, "=")
			v[word[1]] = word[2]
			if (word[1] ~ /^sent\./)
				sent += word[2]
		}
		waits = list(v["read_waits"]) + list(v["write_waits"])
		if (sent != v["messages"] || v["hits"] != v["read_hits"] + v["write_hits"] ||
		    v["misses"] != waits + v["failed_waits"] || v["impossible"] + v["unsent"]) {
			print "# " $0
			bad++
		}
	}
	END { exit bad || lines < '"$1"' }' $stats
}

# total PID NAME: the sum over all kernels
total()
{
	local kid sum=0

	for kid in 0 1 2; do
		sum=$((sum + $(of "tgid=$1" $kid "$2")))
	done
	echo $sum
}

# fits PID NAME COLUMN: the kernels have counted what the thread's line says
fits()
{
	local there

	there=$(awk -v tgid="$1" -v column="$3" '
		$2 == tgid { sum += $column } END { print sum + 0 }' /proc/popcorn/threads)
	echo "# $2: $(total "$1" "$2"), $there in the table of threads"
	[ "$(total "$1" "$2")" = "$there" ]
}

# table COLUMN KID: an entry of the table that run --stats prints first
table()
{
	awk -v column="$1" -v kid="$2" '
		/^KID/ && !n++ { for (i = 1; i <= NF; i++) if ($i == column) at = i }
		/^$/ { exit }
		at && $1 == kid { print $at }' /tmp/out
}

placed()
{
	echo "# kernel $1: $(table PLACED "$1") of $(table ASKED "$1")"
	[ "$(table ASKED "$1")" = "$2" ] && [ "$(table PLACED "$1")" = "$3" ]
}

mkfifo /tmp/line
/programs/share 400 1 </tmp/line >/tmp/said &
pid=$!
exec 3>/tmp/line
check "a thread has used pages on kernel 1" await 20 grep -q ready /tmp/said
check "the parts add up to the sums" consistent 3
check "a line for each kernel" [ "$(grep -c " tgid=$pid .* state=up " $stats)" = 3 ]
check "origin: pages read elsewhere" between "$pid" 0 'pages.S*' 200 260
check "origin: pages written elsewhere" between "$pid" 0 pages.I 200 260
check "kernel 1: pages read" between "$pid" 1 pages.S 200 260
check "kernel 1: pages written" between "$pid" 1 pages.M 200 260
check "kernel 2: has had nothing of it" between "$pid" 2 misses 0 0
check "kernel 1: asked for pages to read" between "$pid" 1 sent.Fetch 200 260
check "kernel 1: asked for pages to write" between "$pid" 1 sent.Fetch_Write 200 260
check "origin: copies of them" between "$pid" 0 copies 400 520
check "one has arrived" between "$pid" 1 arrived 1 1
check "as often as the thread has left" fits "$pid" arrived 6
check "system calls" fits "$pid" calls 7
usage=/proc/popcorn/usage
check "all kernels tell what they use" \
	[ "$(grep -c '^kernel=[012] state=up threads=[0-9].* slab=[1-9]' $usage)" = 3 ]
check "  the objects here as in objects" [ "$(
	sed -n 's/^kernel=0 .*\(threads.*\) available.*/\1/p' $usage | tr '=' ' ')" = "$(
	tr '\n' ' ' </proc/popcorn/objects | sed 's/ $//')" ]
check "  those of a program on kernel 1, too" \
	grep -q '^kernel=1 .* spaces=1 records=[2-9][0-9][0-9] ' $usage
check "popcorn stats PID" exits 0 popcorn stats "$pid"
check "  has its thread" says '^  1  kernel1  up +1 +1 '
check "  and its pages" says '^  0  primary .* 2[0-9][0-9] '
check "popcorn stats --pid" exits 0 popcorn stats --json --pid "$pid"
check "  has them too" says '"comm": "share"'
check "a kernel is down" exits 0 popcorn kill 2
check "  and is shown as that" await 10 grep -q " tgid=$pid .* kernel=2 state=down$" $stats
check "  and tells no more what it uses" sh -c "! grep -q ^kernel=2 $usage"
check "  by popcorn, too" exits 0 popcorn stats "$pid"
check "  in words" says '^  2  kernel2  down '
echo >&3
exec 3>&-
wait "$pid"
check "the program has found its pages" [ $? = 0 ]
check "the numbers are there when it has ended" \
	await 5 eval "[ \"\$(of tgid=$pid 0 ended)\$(of tgid=$pid 1 ended)\" = 11 ]"
check "  the round has called its pages home" between "$pid" 0 rounds 1 99
check "  and add up" consistent 2

check "kernel 2 again" exits 0 popcorn start 2
await 10 grep -q up /sys/kernel/popcorn/links/2/state
check "run --stats" exits 0 popcorn run --stats --pin 0,1,2 /programs/hop 6 0,1,2 2
check "  threads were placed as asked: at home" placed 0 3 3
check "  on kernel 1" placed 1 2 2
check "  on kernel 2" placed 2 2 2
check "  migrations are counted" [ "$(table MIGRATIONS 1)" -ge 4 ]
check "  and pages" says '^Pages by state'
check "run --stats, a kernel goes down" exits 0 popcorn run --stats --pin 0,2 \
	sh -c 'popcorn kill 2; exec /programs/hop 2 0,1 1'
check "  one thread was not placed" placed 2 1 0
await 5 no_space
/programs/share 2 1 </tmp/line >/tmp/said &
pid=$!
exec 3>/tmp/line
await 20 grep -q ready /tmp/said
for i in $(seq 70); do
	echo | /programs/share 2 1 >/dev/null
done
check "64 ended ones are kept" [ "$(grep -c " kernel=0 .* ended=1 " $stats)" = 64 ]
check "  beside one that has begun before them" between "$pid" 0 ended 0 0
echo >&3
exec 3>&-
wait "$pid"
check "  and is kept in its turn" await 5 between "$pid" 0 ended 1 1
plan

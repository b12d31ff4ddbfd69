# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# Litmus tests (tools/popcorn/litmus) whose threads are on 2, 3 and 4 kernels, for
# litmus.sh and litmus-vote.sh.
#
# Threads wait at barriers of the C library: spinning ones would keep those waiting
# that have something to do, as there may be fewer CPUs than kernels.

litmus="/programs/litmus-static -b pthread"

# run_spread KERNELS OPTION...: the threads are on these kernels, by popcorn run
run_spread()
{
	local kids=$1

	shift
	# shellcheck disable=SC2086
	popcorn run --stats --kernels "$kids" --spread $litmus "$@" >/tmp/out 2>&1
}

# passed: it came to its end, and nothing that is forbidden was seen
passed()
{
	! grep -q '^not ok' /tmp/out && grep -q 'verification passed' /tmp/out &&
		grep -q '^ok IRIW .* rounds, 0 forbidden' /tmp/out
}

# sum WORD: of rounds, forbidden or allowed, over all tests
sum()
{
	awk -v word="$1,*" '/^(not )?ok / {
		for (i = 2; i <= NF; i++)
			if ($i ~ "^" word "$")
				sum += $(i - 1)
	}
	END { print sum + 0 }' /tmp/out
}

# placed COUNT: so many kernels have had threads, all that were to start there
placed()
{
	awk -v wanted="$1" '
		/^KID / && !n++ {
			for (i = 1; i <= NF; i++)
				at[$i] = i
		}
		n && /^$/ { exit }
		n && $1 ~ /^[0-9]+$/ && $at["PLACED"] > 0 {
			if ($at["PLACED"] == $at["ASKED"])
				kernels++
		}
		END { exit kernels != wanted }' /tmp/out
}

# over KERNELS COUNT OPTION...: all tests, with their threads on so many kernels
over()
{
	local kids=$1 count=$2 began

	shift 2
	began=$(uptime_ms)
	run_spread "$kids" "$@"
	sed 's/^/# /' /tmp/out
	echo "# $(sum rounds) rounds, $(sum forbidden) forbidden, $(sum allowed)" \
		"allowed on kernels $kids in $(($(uptime_ms) - began)) ms"
	check "kernels $kids: nothing forbidden was seen" passed
	met=$((met + $(sum allowed)))
	check "  on $count kernels" placed "$count"
}

# finds LINE TEST: what is wrong on purpose is seen from another kernel
finds()
{
	local try

	for try in 1 2 3 4 5 6 7 8; do
		# shellcheck disable=SC2086
		note $litmus -p 0,1,2,3 -k 256 -m 500 "$2" || break
	done
	grep -q "^not ok $1" /tmp/note
}

# not_placed: threads that are all on one kernel are not taken for spread ones
not_placed()
{
	popcorn run --stats --pin 1,1 /programs/litmus-static -n 100 MP >/tmp/out 2>&1
	placed 1 && ! placed 2
}

# all_litmus_tests MS: for so long each test, on each number of kernels
all_litmus_tests()
{
	local instances=512

	# Without pages that travel they are over before the next thread has begun.
	is_coherent && instances=8192
	met=0
	over 0-1 2 -k $instances -m "$1"
	over 0-2 3 -k $instances -m "$1"
	over 0-3 4 -k $instances -m "$1"
	# On which kernels is a matter of luck: they may all be faster than a barrier.
	check "the threads have met" [ "$met" -gt 0 ]
	check "threads on one kernel are not spread" not_placed
	check "stores in the wrong order are seen" finds MP+swapped MP+swapped
	check "an addition that is not atomic is seen" \
		finds XADD+unlocked XADD+unlocked
	check "writes over others' bytes are seen" finds "FALSE+words same" FALSE+words
	check "no event was impossible" [ "$(counter impossible)" = 0 ]
	check "no message was lost" [ "$(counter unsent)" = 0 ]
	plan
}

#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Branch coverage of the protocols, in TAP:
#
#	coverage.sh [PERCENT]
#
# The branches that the checker and the simulator do not take must be those that
# Documentation/popcorn/protocol.rst argues about, one by one: refusals of what
# cannot happen. With nonsense as well, PERCENT (default 98) of each file must be
# taken.

cd "$(dirname "$0")/../../.." || exit
. scripts/tap.sh
document=$PWD/Documentation/popcorn/protocol.rst
limit=${1:-98}
out=$PWD/build/check-proto/coverage
mkdir -p "$out" && rm -f "$out"/*.gcda "$out"/*.gcov
files=(proto_owner proto_vote)

explore()
{
	"$out/check" "$@" >"$out/log" 2>&1 && return
	sed 's/^/# /' "$out/log"
	return 1
}

simulate()
{
	explore sim -s 100000 "$@"
}

# Small ones, that together go everywhere.
run_sound()
{
	local one=(--reads 1 --writes 1) vote=(--protocol vote)

	explore --start U --any-order &&
	explore --start U --origin --any-order &&
	explore --start U --kernels 1 && explore --start U --kernels 1 --origin &&
	explore --start U "${one[@]}" --joins 1 --leaves 1 --deaths 1 &&
	explore --start U "${one[@]}" --origin --drops 1 --deaths 1 &&
	explore --start S --forks 1 --leaves 1 --deaths 1 &&
	explore --start owned "${one[@]}" --drops 1 --deaths 1 &&
	explore "${vote[@]}" --start U --kernels 1 &&
	explore "${vote[@]}" "${one[@]}" --start S &&
	explore "${vote[@]}" "${one[@]}" --start S --deaths 1 &&
	explore "${vote[@]}" "${one[@]}" --start owned --readers 6 --writers 3 \
		--drops 1 --fences back &&
	explore "${vote[@]}" --kernels 2 --start U --broadcast --any-order \
		--no-live &&
	explore "${vote[@]}" "${one[@]}" --start U --readers 5 --writers 6 \
		--deaths 1 --leaves 1 --joins 1 &&
	explore "${vote[@]}" "${one[@]}" --start U --kernels 2 --drops 1 \
		--deaths 1 &&
	simulate -n 64 && simulate -n 5 -g 8 -a && simulate -n 9 -o -a &&
	simulate -n 4 -g 2 -o && simulate -p vote -n 8 -g 2 -a &&
	simulate -p vote -n 20 && simulate -p vote -n 4 -g 2
}

# FILE, FUNCTION: LINE, of lines with a branch that no run has taken.
not_taken()
{
	local name

	for name in "${files[@]}"; do
		awk -v file="$name.c" '
			/^function / { name = $2 }
			/^ *[#0-9*-]+: *[0-9]+:/ {
				line = $0
				sub(/^ *[#0-9*-]+: *[0-9]+:[ \t]*/, "", line)
			}
			/^branch.*(taken 0|never executed)/ {
				print file ", " name "(): ``" line "``"
			}' "$out/$name.c.gcov" | uniq
	done
}

argued()
{
	sed -n '/^\.\. begin of the branches/,/^\.\. end of the branches/p' "$document" |
		grep '^proto.*``$'
}

measure()
{
	(cd "$out" && for name in "${files[@]}"; do
		gcov -b -c -s "$out" "$name.o" 2>/dev/null >"$name.summary" ||
			exit
	done)
}

argued_all()
{
	measure && diff <(argued | sort) <(not_taken | sort) >"$out/diff" &&
		return
	sed 's/^/# /' "$out/diff"
	return 1
}

percent()
{
	sed -n "/$1.c'/,/Creating/s/^Taken at least once:\([0-9.]*\)%.*/\1/p" \
		"$out/$1.summary"
}

enough()
{
	awk -v p="$(percent "$1")" -v l="$limit" 'BEGIN { exit !(p >= l) }'
}

check 'the checker builds for coverage' \
	make -s -C tools/popcorn/check O="$out" \
	CORE_CFLAGS='-O0 -g --coverage' LDFLAGS=--coverage "$out/check" || {
	plan
	exit
}
check 'the runs for coverage pass' run_sound
check 'each branch not taken is argued about, and no other' argued_all
for name in "${files[@]}"; do
	echo "# $name.c: $(percent "$name") % of branches taken"
done
check 'nonsense runs' explore fuzz
measure
for name in "${files[@]}"; do
	check "$name.c: $(percent "$name") % of branches taken, with nonsense" \
		enough "$name"
done
plan

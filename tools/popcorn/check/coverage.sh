#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Branch coverage of the protocols by the checker and the simulator:
#
#	coverage.sh [PERCENT]
#
# prints it for each file, and the lines with a branch not taken; fails if a
# protocol is below PERCENT (default 98).

cd "$(dirname "$0")/../../.." || exit
limit=${1:-98}
out=$PWD/build/check-proto/coverage
mkdir -p "$out" && rm -f "$out"/*.gcda "$out"/*.gcov
make -s -C tools/popcorn/check O="$out" CFLAGS='-O0 -g --coverage' \
	"$out/check" || exit

{
	"$out/check" sound quick && "$out/check" sound beyond &&
	"$out/check" --kernels 1 --start U &&
	"$out/check" --kernels 1 --start U --origin &&
	"$out/check" --kernels 1 --start U --protocol vote &&
	"$out/check" count && "$out/check" fuzz &&
	for options in '-n 64' '-n 5 -a' '-n 9 -o -a' \
		       '-p vote -n 8' '-p vote -n 20 -a'; do
		# shellcheck disable=SC2086
		"$out/check" sim -s 300000 $options || exit
	done
} >"$out/log" 2>&1 || {
	echo "coverage: a run failed, see $out/log"
	exit 1
}

cd "$out" || exit
status=0
for name in proto_owner proto_vote; do
	gcov -b -c -s "$out" "$name.o" 2>/dev/null >"$name.summary" || exit
	percent=$(sed -n "/$name.c'/,/Creating/s/^Taken at least once:\([0-9.]*\)%.*/\1/p" \
		  "$name.summary")
	echo "$name.c: $percent % of branches taken at least once"
	awk '/^ *[#0-9*-]+:/ { line = $0 }
	     /^branch.*(taken 0|never executed)/ { print "    " line }' \
		"$name.c.gcov" | uniq
	awk -v p="$percent" -v l="$limit" 'BEGIN { exit p < l }' || status=1
done
exit $status

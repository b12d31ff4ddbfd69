#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A peer that writes garbage into its rings, indices, lanes and bells breaks its
# own links and nothing else: 20 lives, 2500 words for each of its two peers in
# each, seeded by the number of the life. Each link is broken on both sides at once.
#
# vm: --kernels 3 --mem 256M --no-start --timeout 400

. /selftests/lib.sh
. /selftests/load.sh

lives=20
words=2500

# What kernel 1 runs in a life: the same again for the same seed.
liar()
{
	cat <<-END
		cd /sys/kernel/debug/popcorn
		until grep -q up /sys/kernel/popcorn/links/2/state; do
			usleep 50000
		done
		echo kid=0 count=$words seed=$1 >garbage
		echo kid=2 count=$words seed=$1 >garbage
		echo "<6>garbage is out" >/dev/kmsg
		cd /sys/kernel/popcorn/links
		until grep -q broken 0/state && grep -q broken 2/state; do
			usleep 50000
		done
		echo "<6>its links are broken" >/dev/kmsg
	END
}

# What kernel 2 runs: shows its link to kernel 1 in its log when it changes.
witness='cd /sys/kernel/popcorn/links
while :; do
	now=$(cat 1/state 1/fault 2>/dev/null | tr "\n" " ")
	[ "$now" = "$was" ] || echo "<6>link 1: $now" >/dev/kmsg
	was=$now
	usleep 50000
done'

state_of_link()
{
	[ "$(cat $links/1/state)" = "$1" ]
}

# Kernel 2's link to kernel 1, as it has shown it last.
witnessed()
{
	popcorn log 2 | grep "link 1: " | tail -n 1 | grep -q "link 1: $1"
}

# Both peers say why; kernels 0 and 2 still talk; all is well after a restart.
lie()
{
	load_script 1 "$(liar "$1")" && exits 0 popcorn start 1 &&
		await 30 logged 1 "garbage is out" &&
		await 10 state_of_link broken && await 10 witnessed broken &&
		await 30 logged 1 "its links are broken" ||
		{ echo "# life $1: links are $(cat $links/*/state | tr '\n' ' ')"
		  return 1; }
	cat $links/1/fault >>/tmp/faults
	run 30 8 kernels=0,2 messages=100 seed="$1" || return
	exits 0 popcorn kill 1 && await 10 state_of_link down
}

all_lie()
{
	local life

	for life in $(seq $lives); do
		lie "$life" || return
	done
}

talks_again()
{
	load_plain 1 && exits 0 popcorn start 1 && await 10 state_of_link up &&
		await 10 witnessed up && run 60 24 messages=500
}

wait_for_tsc
load_script 2 "$witness" && exits 0 popcorn start 2
check "$lives lives: links to a liar are broken, others are not" all_lie
sort /tmp/faults | uniq -c | sed 's/^/# /'
check "links of an honest life work again" talks_again
check "kernel 2 has not noticed anything else" is 2 running
plan

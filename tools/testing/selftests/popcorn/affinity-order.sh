#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 3 --mem 160M --total-cpus 5 --timeout 120 --add build/tools/selftests:/programs
# vm: --partition 1:cpus=1-2:mem=160M --partition 2:cpus=4:mem=160M
#
# CPU numbers where no kernel's own are the machine's: the primary has 0 and 3, which
# it calls 0 and 1.

. /selftests/lib.sh

online=/sys/devices/system/cpu/online

# prints TEXT COMMAND...: the command's output is that text
prints()
{
	local wanted=$1 text

	shift
	text=$("$@" 2>&1)
	[ "$text" = "$wanted" ] && return
	echo "# $*: '$text', '$wanted' wanted"
	return 1
}

# own COMMAND...: the primary's CPUs, as it calls them, that the command is bound to
own()
{
	"$@" sed -n 's/^Cpus_allowed_list:[^0-9]*//p' /proc/self/status
}

check "the primary has CPUs 0 and 3" prints 0,3 cat $kernels/0/cpus
check "an ordinary program sees its kernel's own numbers" prints 0-1 cat $online
check "and is bound by them" prints 1 own taskset -c 1
check "and sees no more" prints 0-1 taskset -c 1 cat $online
check "what is none of these is a number of the machine" \
	exits 0 taskset -c 2 /programs/affinity --on 2
check "of any kernel" exits 0 taskset -c 4 /programs/affinity --on 4
check "its own kernel too" prints 1 own taskset -c 3
check "and the program sees all" prints 0-4 taskset -c 3 cat $online
check "the mask is in them" sh -c "taskset -c 3 sh -c 'taskset -p \$\$' |
	grep -q 'mask: 8$'"
check "a placement makes them the program's numbers" \
	prints 0-3 popcorn run --kernels 0,1 cat $online
check "in all masks" prints 1 own popcorn run --kernels 0,1 taskset -c 3
check "of other kernels too" exits 0 popcorn run --kernels 0,1 \
	taskset -c 1 /programs/affinity --on 1

# Kernel 1, which calls its CPUs 0 and 1, sends a program to others.
mkdir -p /tmp/more/programs && cp /programs/affinity /tmp/more/programs
initrd_with /tmp/more programs >/tmp/initrd
exits 0 popcorn stop 1 && became 1 loaded '^poweroff$'
vm-save-logs
load_script 1 "
	until grep -q up /sys/kernel/popcorn/links/0/state; do usleep 50000; done
	echo sees \$(cat $online) and \$(taskset -c 3 cat $online)
	taskset -c 3 /programs/affinity --on 3; echo primary: \$?
	until grep -q up /sys/kernel/popcorn/links/2/state; do usleep 50000; done
	taskset -c 4 /programs/affinity --on 4; echo third: \$?
" /tmp/initrd
check "a secondary with a program is started" exits 0 popcorn start 1
check "its programs see its CPUs, or all" \
	await 20 logged 1 "sees 0-1 and (0-3|0-4)$"
check "they go to the primary" await 20 logged 1 "primary: 0"
check "and to another secondary" await 20 logged 1 "third: 0"
plan

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What scripts/bench-programs runs on the primary. Prints lines "NAME VALUE", or ends with
# a line that begins with "failed:".
#
# In the environment: runs; kernels, how many; names, of the programs; and the options of
# each program in a variable of its name.
#
# The guest's shell has "local"; those variables come from outside.
# shellcheck disable=SC3043,SC2154

links=/sys/kernel/popcorn/links
cpus=$(seq $((kernels - 1)))
kids=$(seq -s, 0 $((kernels - 1)))

# Output may go to a file.
exec 3>&1
fail()
{
	echo "failed: $*" >&3
	exit 1
}

# online 0|1: the CPUs of the primary but for the first
online()
{
	local cpu

	for cpu in $cpus; do
		echo "$1" >"/sys/devices/system/cpu/cpu$cpu/online"
	done
}

# one_kernel, all_kernels: each has as many CPUs in all
one_kernel()
{
	online 1
}

all_kernels()
{
	online 0
}

# with MEMORY COMMAND...: programs have that memory; its figures begin with that word
with()
{
	local memory="$1"

	shift
	case $memory in
	coherent)	echo 1 ;;
	replicated)	echo 0 ;;
	esac >/proc/sys/kernel/popcorn_coherent
	"$@" >/tmp/figures
	sed "s/^/$memory./" /tmp/figures
}

# --- single steps, on two kernels ---

cost()
{
	timeout 60 /programs/cost-static "$@" || fail "cost $*"
}

steps()
{
	local step memory

	one_kernel
	for step in userfault create barrier mutex storm futex apart; do
		cost $step
	done
	echo "pipe $(/bench/pipe pipe 0 1 64 10000)"
	all_kernels
	with replicated cost -k 1 fault
	for step in turns call migrate layout protect signal fork create futex apart; do
		for memory in replicated coherent; do
			with $memory cost -k 1 $step
		done
	done
	with coherent cost -n 50 -k 1 touch
	for step in barrier mutex storm; do
		with coherent cost -k 1 $step
	done
}

# --- programs ---

# messages CHANNEL: those that the primary and the others have exchanged
messages()
{
	cat $links/*/"$1"/tx_messages $links/*/"$1"/rx_messages |
		awk '{ sum += $1 } END { print sum + 0 }'
}

# misses: faults of the primary in programs that have ended
misses()
{
	awk '/^ended/ { print $3 }' /proc/popcorn/spaces
}

# program NAME OPTION...: its output is in /tmp/out
program()
{
	local name="$1"

	shift
	timeout 300 "/programs/$name-static" -t "$kernels" -v "$@" >/tmp/out ||
		fail "$name $*"
}

# seconds: that the program has taken
seconds()
{
	sed -n 's/.*verification passed, \([0-9.]*\) s$/\1/p' /tmp/out
}

one()
{
	program "$@"
	echo "$1.one $(seconds)"
}

# all NAME OPTION...: a thread on each kernel, with what that has cost
all()
{
	local pages calls faults

	pages=$(messages coherency) calls=$(messages control) faults=$(misses)
	program "$@" -p "$kids"
	echo "$1.all $(seconds)"
	echo "$1.pages $(($(messages coherency) - pages))"
	echo "$1.calls $((($(messages control) - calls) / 2))"
	echo "$1.misses $(($(misses) - faults))"
	sed -n "s/^# thread \([0-9]*\) .* waited \([0-9.]*\) s/$1.waited\1 \2/p" /tmp/out
}

# compare NAME OPTION...: all that is measured of a program
compare()
{
	one_kernel
	one "$@"
	all_kernels
	with replicated all "$@"
	with coherent all "$@"
}

programs()
{
	local name

	for name in $names; do
		eval "compare $name \$$name"
	done
}

# rate NAME OPTION...: increments in a second of "share"
rate()
{
	local name="$1"

	shift
	program share "$@"
	sed -n "s,^# share: \([0-9]*\) increments/s$,$name \1,p" /tmp/out
}

share()
{
	one_kernel
	rate share.cpu -t 1
	rate share.one
	all_kernels
	with replicated rate share -p "$kids"
	with coherent rate share -p "$kids"
}

for _ in $(seq "$runs"); do
	[ "$kernels" != 2 ] || steps
	programs
	share
done

# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# The fuzzer of memory layouts on four kernels, for fuzz-layout.sh and
# fuzz-layout-vote.sh.
#
# SEED in the environment is where random choices begin; otherwise it is the time.

fuzz_dir=/tmp/fuzz

# What the guest can do of this; the fuzzer does without the rest.
set_up_disk()
{
	local loop

	mkdir -p $fuzz_dir
	truncate -s 8M /tmp/disk
	loop=$(losetup -f)
	mkfs.ext4 -q /tmp/disk && losetup "$loop" /tmp/disk &&
		mount -t ext4 "$loop" $fuzz_dir || echo "# no file system for O_DIRECT"
}

set_up_swap()
{
	local loop

	truncate -s 16M /tmp/swap
	loop=$(losetup -f)
	losetup "$loop" /tmp/swap && mkswap "$loop" >/dev/null && swapon "$loop" ||
		echo "# no swap"
}

set_up_ksm()
{
	local ksm=/sys/kernel/mm/ksm

	echo 1000 >$ksm/pages_to_scan && echo 10 >$ksm/sleep_millisecs &&
		echo 1 >$ksm/run || echo "# no KSM"
}

# A control group with a limit, so that pages are swapped out all the time
set_up_cgroup()
{
	mkdir -p /cgroup
	mount -t cgroup2 cgroup /cgroup
	if grep -qw memory /cgroup/cgroup.controllers; then
		echo +memory >/cgroup/cgroup.subtree_control
		mkdir /cgroup/fuzz
		echo 8M >/cgroup/fuzz/memory.max
	else
		echo "# no memory cgroup"
	fi
}

# One allocation of 200 of the fuzzer's threads fails, where the kernel can do that.
set_up_failures()
{
	local fault

	for fault in failslab fail_page_alloc; do
		cd /sys/kernel/debug/$fault 2>/dev/null || return
		echo Y >task-filter
		echo 200 >interval
		echo 100 >probability
		echo -1 >./times
		echo 0 >verbose
		[ ! -e ignore-gfp-wait ] || echo N >ignore-gfp-wait
		cd / || return
	done
}

# fuzz TEXT SECONDS KIDS OPTION...: the fuzzer finds nothing
fuzz()
{
	local text=$1 seconds=$2 kids=$3

	shift 3
	/programs/fuzz-layout -s "${SEED:-$(date +%s)}" -t "$seconds" -d $fuzz_dir "$@" \
		"$kids" >/tmp/fuzz.tap 2>&1 &
	end $! $((seconds + 180))
	grep '^#' /tmp/fuzz.tap
	check "$text" finds_nothing
}

finds_nothing()
{
	planned /tmp/fuzz.tap && ! grep -q '^not ok' /tmp/fuzz.tap && return
	grep '^not ok' /tmp/fuzz.tap | sed 's/^/# /'
	return 1
}

# Those kinds of changes each by itself, where one mistake hides no other
groups='dontneed fail huge mmap,file file,truncate mmap,munmap,mprotect mmap,mremap uffd
mmap,uring free,remove mlock,dontneed io,pipe,direct swap,dontneed fork,dontneed ksm,fork
brk,advice'

# all_fuzz_tests SECONDS EACH: all changes together, and some kinds for EACH seconds
all_fuzz_tests()
{
	local kinds="$groups" kind

	set_up_disk
	set_up_swap
	set_up_ksm
	set_up_cgroup
	[ "${LONG:-}" = 1 ] || kinds='dontneed fail,huge mmap,file,truncate uffd,uring,mmap'
	fuzz "the model is that of one kernel" "$2" - -j 4
	for kind in $kinds; do
		fuzz "$kind" "$2" 0,1 -o "$kind"
	done
	fuzz "all together" "$1" 0,1,2,3
	if [ -e /cgroup/fuzz ]; then
		echo $$ >/cgroup/fuzz/cgroup.procs
		fuzz "with little memory" "$2" 0,1,2,3
		echo $$ >/cgroup/cgroup.procs
	fi
	if [ -e /proc/self/make-it-fail ]; then
		set_up_failures
		fuzz "allocations fail" "$1" 0,1,2,3 -i
	fi
	echo 0 >/sys/kernel/mm/ksm/run
	check "no task waits for good" await 20 nothing_in_d
	cat /tmp/in_d
	check "no thread is left" await 10 no_thread
	check "no space is left" await 10 no_space
	check "no event was impossible" [ "$(counter impossible)" = 0 ]
	check "no message was lost" [ "$(counter unsent)" = 0 ]
	plan
}

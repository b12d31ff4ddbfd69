#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Starts and stops that somebody or something puts an end to. The primary is busy
# meanwhile (busy.sh).
#
# vm: --no-start --timeout 300
# vm: --total-cpus 3 --partition 1:cpus=2:mem=512M
# vm: --expect "1:Kernel panic - not syncing: dumptest"

. /selftests/lib.sh
. /selftests/busy.sh

# A kernel that never says a word: its entry is a jump to itself, and its payload
# cannot be unpacked, so that it is entered there.
make_dead_image()
{
	local sectors

	sectors=$(dd if=/boot/bzImage bs=1 skip=$((0x1f1)) count=1 2>/dev/null |
		hexdump -e '1/1 "%d"')
	cp /boot/bzImage /tmp/dead
	printf '\0\0\0\0' | dd of=/tmp/dead bs=1 seek=$((0x24c)) conv=notrunc \
		2>/dev/null	# hdr.payload_length
	printf '\353\376' | dd of=/tmp/dead bs=1 conv=notrunc \
		seek=$(((sectors + 1) * 512 + 0x200)) 2>/dev/null
}

# An initrd whose kernel does not power off when it is asked to.
make_stubborn_initrd()
{
	mkdir -p /tmp/stubborn/sbin
	printf '#!/bin/sh\nsleep 1000\n' >/tmp/stubborn/sbin/poweroff
	chmod +x /tmp/stubborn/sbin/poweroff
	initrd_with /tmp/stubborn sbin/poweroff >/tmp/initrd-stubborn
}

# killed_while STATE DELAY VERB: kill it so many milliseconds after the command
# has got it into the state; the command says so
killed_while()
{
	local pid status

	popcorn "$3" 1 >/tmp/out 2>&1 &
	pid=$!
	await 10 is 1 "$1" && usleep $(($2 * 1000)) && note popcorn kill 1 ||
		return
	wait $pid
	status=$?
	[ $status = 8 ] && says "kernel 1: $3: it died" &&
		became 1 loaded '^killed$' && return
	echo "# $3: exit status $status"
	return 1
}

# Kills it after a part of the time that its last boot took. A kill that finds it
# running, as it was late or the boot faster, is tried again, and aims at an earlier
# time.
killed_in_boot()
{
	local tries=0 boot_ms

	while [ $tries != 5 ]; do
		boot_ms=$(($(cat $kernels/1/boot_us) / 1000))
		killed_while booting $((boot_ms * $1 / 100 / (tries + 1))) start && return
		grep -q . /tmp/out && return 1
		tries=$((tries + 1))
	done
	return 1
}

killed_at()
{
	killed_in_boot "$1" && exits 0 popcorn start 1 &&
		exits 0 popcorn kill 1 && is 1 loaded
}

load_dead()
{
	exits 0 popcorn load 1 /tmp/dead --initrd /boot/initrd
}

interrupted()
{
	timeout -s INT 1 popcorn start 1 >/tmp/out 2>&1
	became 1 loaded '^start was interrupted$'
}

# A kernel that does something at a certain point of its boot.
load_with()
{
	exits 0 popcorn load 1 /boot/bzImage --initrd /boot/initrd \
		--append "$(cat /boot/cmdline) lkdtm.cpoint_name=DIRECT lkdtm.cpoint_type=$1"
}

wait_for_tsc
get_busy
make_dead_image
make_stubborn_initrd
load_plain 1
check "it starts" works 1
for part in 0 5 10 25 50 75; do
	check "killed after $part % of its boot, and started again" \
		killed_at $part
done
check "killed twice" eval 'exits 4 popcorn kill 1 && is 1 loaded'

load_dead
check "killed while it shows no sign of life" killed_while booting 300 start
check "start interrupted" interrupted
echo 1000 >$parameters/boot_ms
check "no sign of life" exits 7 popcorn start 1
check "is said" became 1 failed '^boot: no sign of life for 1000 ms$'
check "and a failed kernel can be killed" \
	eval 'exits 0 popcorn kill 1 && is 1 loaded'
echo 4000 >$parameters/boot_ms
load_with HARDLOCKUP
check "a hang before init" exits 7 popcorn start 1
check "is said" became 1 failed '^boot: init not reached for 4000 ms$'
echo 60000 >$parameters/boot_ms
load_with PANIC
check "a panic before init" exits 8 popcorn start 1
check "is said" became 1 failed '^panic: dumptest$'
vm-save-logs
load_plain 1
check "started again after all that" works 1

load_script 1 true /tmp/initrd-stubborn && exits 0 popcorn start 1
check "killed while it stops" killed_while stopping 300 stop
exits 0 popcorn start 1
echo 1000 >$parameters/stop_ms
check "it does not stop" exits 7 popcorn stop 1
check "and runs on" is 1 running
check "until it is killed" exits 0 popcorn kill 1
check "killed" became 1 loaded '^killed$'
check "stop: it does not run" exits 4 popcorn stop 1
load_plain 1
check "started again after all that" works 1
check_busy
plan

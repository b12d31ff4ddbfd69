#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A secondary with a CPU that has its interrupts off for ever is found, parked
# and can be started again, and no other kernel notices. The primary is busy
# meanwhile (busy.sh).
#
# vm: --kernels 4 --mem 256M --total-cpus 5 --no-start --timeout 300
# vm: --partition 1:cpus=1:mem=256M --partition 2:cpus=2-3:mem=256M
# vm: --partition 3:cpus=4:mem=256M:name=witness

. /selftests/lib.sh
. /selftests/busy.sh

limit=2000
# What may come on top: looks of the watch, virtual CPUs that wait for the
# host's.
slack=5000

# A script that stops a CPU of its kernel, and says when.
lock_up()
{
	cat <<-END
		sleep 1
		read -r up _ </proc/uptime
		echo "<6>locks up at \$up" >/dev/kmsg
		taskset -c $1 sh -c \
			'echo HARDLOCKUP >/sys/kernel/debug/provoke-crash/DIRECT'
	END
}

hangs()
{
	load_script "$1" "$(lock_up "$2")" && exits 0 popcorn start "$1"
}

# Milliseconds from the lock-up to the verdict. All kernels have one clock, and
# that of the kernel log is not it.
verdict_ms()
{
	local now from

	now=$(uptime_ms)
	from=$(popcorn log "$1" | sed -n 's/.*locks up at \(.*\)\.\(.*\)/\1\20/p')
	echo $((now - from))
}

# found KID CPU: soon enough, but not too soon
found()
{
	local took

	became "$1" failed "^hang: CPU $2 without heartbeat for [0-9]* ms\$" ||
		return
	took=$(verdict_ms "$1")
	vm-save-logs
	[ "$took" -ge $((limit - 200)) ] && [ "$took" -le $((limit + slack)) ] ||
		{ echo "# found after $took ms"; return 1; }
}

beats()
{
	popcorn log 3 | grep -c beat
}

beats_exceed()
{
	[ "$(beats)" -gt "$1" ]
}

# found_by_stop KID: who looks at hearts may find it only once the stop has begun
found_by_stop()
{
	exits 8 popcorn stop "$1" &
	await 10 is "$1" stopping
	echo $limit >$parameters/hang_ms
	wait $!
}

witness_lives()
{
	is 3 running && await 10 beats_exceed "$(beats)"
}

revived()
{
	exits 0 popcorn kill "$1" && is "$1" loaded && load_plain "$1" && works "$1"
}

wait_for_tsc
get_busy
echo $limit >$parameters/hang_ms
load_script 3 'while echo beat; do sleep 1; done' && exits 0 popcorn start 3

hangs 1 0
check "the only CPU" found 1 1
check "others go on" witness_lives
check "killed and started again" revived 1
hangs 2 0
check "the first CPU of two" found 2 2
check "killed and started again" revived 2
hangs 2 1
check "the second CPU of two" found 2 3
check "started again without a kill" eval 'load_plain 2 && works 2'

echo 60000 >$parameters/hang_ms
hangs 1 0
await 10 logged 1 "locks up"
check "a stop finds it, too" found_by_stop 1
check "and says so" became 1 failed "^hang: CPU 1 "
echo 60000 >$parameters/hang_ms
echo 1000 >$parameters/stop_ms
check "one that is not found yet" hangs 1 0
await 10 logged 1 "locks up"
check "does not stop" exits 7 popcorn stop 1
check "and is not taken for stopped" is 1 running
check "but can be killed" exits 0 popcorn kill 1
check "and says so" became 1 loaded '^killed$'
check "and started again" eval 'load_plain 1 && works 1'
check "others have not noticed" witness_lives
check_busy
plan

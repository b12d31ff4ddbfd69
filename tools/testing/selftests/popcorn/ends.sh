#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Every way in which a secondary ends parks it and does nothing to the machine.
# The state and the reason say how it was, and it can be started again. The primary
# is busy meanwhile (busy.sh).
#
# vm: --kernels 3 --cpus 2 --mem 320M --total-cpus 4
# vm: --partition 1:cpus=1:mem=320M --partition 2:cpus=2-3:mem=320M:name=pair
# vm: --no-start --add-bin kexec --timeout 300
# vm: --expect "1:Kernel panic - not syncing: sysrq triggered crash"
# vm: --expect "1:Kernel panic - not syncing: Attempted to kill init"
# vm: --expect "1:Kernel panic - not syncing: VFS: Unable to mount root fs"
# vm: --expect "2:Kernel panic - not syncing: sysrq triggered crash"

. /selftests/lib.sh
. /selftests/busy.sh

# Ends by a command of the script that its init runs.
ends()
{
	local kid=$1 state=$2 reason=$3 command=$4

	load_script "$kid" "sleep 1; $command" "$5" && exits 0 popcorn start "$kid" &&
		became "$kid" "$state" "$reason"
}

# The primary is the one that was booted.
goes_on()
{
	[ "$(cat /proc/sys/kernel/random/boot_id)" = "$boot_id" ]
}

# Ends in order. That it can be started again is seen when it is.
parks()
{
	ends "$1" loaded "^$2\$" "$3" "$4" && vm-save-logs
}

# The end of the log is there after the death.
shows_panic()
{
	logged "$1" "Kernel panic - not syncing: $2" &&
		logged "$1" "Call Trace:" && logged "$1" "</TASK>"
}

panics()
{
	local kid=$1 reason=$2 command=$3

	ends "$kid" failed "^panic: $reason" "$command" "$4" &&
		shows_panic "$kid" "$reason" && vm-save-logs
}

revived()
{
	exits 0 popcorn kill "$1" && is "$1" loaded && load_plain "$1" && works "$1"
}

# A panic that is to wait for somebody to look at it parks as well: nobody can.
patient_panic="sysctl -w kernel.panic=0; echo c >/proc/sysrq-trigger"

without_initrd()
{
	exits 0 popcorn load 1 /boot/bzImage --append "$(cat /boot/cmdline)"
	popcorn start 1 2>/tmp/out
	became 1 failed "panic: VFS: Unable to mount root fs" && vm-save-logs
}

boot_id=$(cat /proc/sys/kernel/random/boot_id)
initrd_with / usr lib lib64 boot/bzImage >/tmp/initrd-kexec
mkdir /tmp/short
printf '#!/bin/sh\nsleep 1\nexit 3\n' >/tmp/short/init
chmod +x /tmp/short/init
initrd_with /tmp/short init >/tmp/initrd-short
wait_for_tsc
get_busy

check "one CPU: poweroff" parks 1 poweroff 'poweroff -f'
check "one CPU: panic" panics 1 "sysrq triggered crash" \
	'echo c >/proc/sysrq-trigger'
check "one CPU: panic that would wait" \
	panics 1 "sysrq triggered crash" "$patient_panic"
check "which can be started without a kill" works 1
check "the end of init" panics 1 "Attempted to kill init" true /tmp/initrd-short
check "no init" without_initrd
check "two CPUs: poweroff" parks 2 poweroff 'poweroff -f'
check "reboot" parks 2 reboot 'reboot -f'
check "halt" parks 2 halt 'halt -f'
check "reboot by sysrq" parks 2 reboot 'echo b >/proc/sysrq-trigger'
check "poweroff by sysrq" parks 2 poweroff 'echo o >/proc/sysrq-trigger'
check "kexec" parks 2 kexec \
	'kexec -s -l /boot/bzImage --reuse-cmdline && kexec -e' /tmp/initrd-kexec
check "panic" panics 2 "sysrq triggered crash" 'echo c >/proc/sysrq-trigger'
check "panic that would wait" \
	panics 2 "sysrq triggered crash" "$patient_panic"
check "and all can be started again" revived 1
check "both of them" revived 2
check "the primary goes on" goes_on
check_busy
plan

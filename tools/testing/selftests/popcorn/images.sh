#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What cannot be loaded, and who may not: each is refused with an error of its
# own, nothing starts, and a kernel that was loaded stays loaded and works.
#
# vm: --total-cpus 3 --total-mem 1100M --no-start --add-bin perl
# vm: --partition 1:cpus=1:mem=128M --partition 2:cpus=2:mem=64M:name=small

. /selftests/lib.sh

# Flags of kexec_file_load(2), and how Popcorn's name a kernel
UNLOAD=1 ON_CRASH=2 NO_INITRAMFS=4 POPCORN=0x100
EPERM=1 E2BIG=7 ENOEXEC=8 EBADF=9 ENODEV=19 EINVAL=22 EFBIG=27 ENOSPC=28
ENODATA=61 EBADMSG=74 EOPNOTSUPP=95 EALREADY=114

for_kernel()
{
	echo $((POPCORN | $1 << 24))
}

# kexec_file_load FLAGS [IMAGE [INITRD [CMDLINE]]]: prints the error number
kexec_file_load()
{
	perl -e '
		my ($flags, $image, $initrd, $cmdline) = @ARGV;
		my @fd = map {
			my $file;
			$_ && open($file, "<", $_) ? (push(@files, $file), fileno $file)[1] : -1
		} $image, $initrd;
		$cmdline .= "\0";
		print syscall(320, @fd, length $cmdline, $cmdline, $flags + 0) < 0
			? $! + 0 : 0;' -- "$@"
}

# fails_with ERRNO COMMAND...
fails_with()
{
	local wanted=$1 got

	shift
	got=$("$@")
	[ "$got" = "$wanted" ] || { echo "# error $got, $wanted wanted"; false; }
}

# without_cap_sys_boot COMMAND...: CAP_SYS_BOOT leaves the bounding set
without_cap_sys_boot()
{
	perl -e 'syscall(157, 24, 22, 0, 0, 0); exec @ARGV' -- "$@"
}

as_nobody()
{
	su -s /bin/sh nobody -c "$*"
}

# What must not change: all kernels, and what ordinary kexec has loaded.
everything()
{
	(cd $kernels && grep . */state */version */cmdline */starts */reason
	 cat /sys/kernel/kexec_loaded /sys/kernel/kexec_crash_loaded) 2>&1
}

# unchanged COMMAND...: it succeeds and changes nothing
unchanged()
{
	local before

	before=$(everything)
	"$@" || return
	[ "$(everything)" = "$before" ] || { note everything; false; }
}

# bad REGEX KID LOAD-ARGUMENTS...: they are refused for that reason
bad()
{
	local regex=$1

	shift
	unchanged exits 9 popcorn load "$@" && says "$regex" && one_line
}

one_line()
{
	[ "$(wc -l </tmp/out)" = 1 ] || { echo "# $(cat /tmp/out)"; false; }
}

# changed_image FILE OFFSET BYTES: the image with some bytes of it changed
changed_image()
{
	cp /boot/bzImage "$1"
	printf "$3" | dd of="$1" bs=1 seek=$(($2)) conv=notrunc 2>/dev/null
}

make_files()
{
	local size

	size=$(stat -c %s /boot/bzImage)
	mkdir /tmp/directory
	: >/tmp/empty
	seq 10000 >/tmp/text
	head -c 100000 /dev/urandom >/tmp/random
	head -c 600 /boot/bzImage >/tmp/short
	head -c $((size / 2)) /boot/bzImage >/tmp/half
	head -c $((size - 1)) /boot/bzImage >/tmp/less
	# xloadflags without "has a 64-bit entry"; init_size 1 GiB
	changed_image /tmp/32-bit 0x236 '\176'
	changed_image /tmp/huge 0x260 '\0\0\0\100'
	# init_size 1 MiB: less than its code
	changed_image /tmp/liar 0x260 '\0\0\20\0'
	truncate -s 129M /tmp/initrd-129
	truncate -s 60M /tmp/initrd-60
	head -c 2048 /dev/zero | tr '\0' x >/tmp/long
}

# WHEN says what state kernel 1 is in.
check_bad_images()
{
	local when=$1 initrd="/boot/bzImage --initrd"

	check "$when: no image" bad "cannot open the image .*No such file" \
		1 /tmp/missing
	check "$when: a directory" bad "image .*: it is a directory" 1 /tmp/directory
	check "$when: an empty file" bad "image .*: it is empty" 1 /tmp/empty
	check "$when: text" bad "it is not a bzImage" 1 /tmp/text
	check "$when: random bytes" bad "it is not a bzImage" 1 /tmp/random
	check "$when: only a header" bad "it is too short" 1 /tmp/short
	check "$when: half an image" bad "it is truncated.* at least" 1 /tmp/half
	check "$when: one byte less" bad "it is truncated.* at least" 1 /tmp/less
	check "$when: a 32-bit image" bad "it is a 32-bit kernel" 1 /tmp/32-bit
	check "$when: an image that needs too much memory" \
		bad "image .*does not fit into the memory" 1 /tmp/huge
	check "$when: no initrd" bad "cannot open the initrd .*No such file" \
		1 $initrd /tmp/missing
	check "$when: a directory as initrd" \
		bad "initrd .*: it is a directory" 1 $initrd /tmp/directory
	check "$when: an empty initrd" bad "initrd .*: it is empty" \
		1 $initrd /tmp/empty
	check "$when: an initrd larger than the partition" \
		bad "initrd .*129M.* does not fit into the memory" \
		1 $initrd /tmp/initrd-129
	check "$when: a command line that is too long" \
		bad "command line: its 2048 bytes are too many" \
		1 $initrd /boot/initrd --append "$(cat /tmp/long)"
	check "$when: a kernel that is not there" unchanged exits 3 \
		popcorn load 9 /boot/bzImage
}

check_system_call()
{
	local one image="/boot/bzImage" initrd=/boot/initrd

	one=$(for_kernel 1)
	check "not with the crash kernel's flag" unchanged fails_with $EINVAL \
		kexec_file_load $((one | ON_CRASH)) $image $initrd
	check "not with a flag that is not known" unchanged fails_with $EINVAL \
		kexec_file_load $((one | 0x40)) $image $initrd
	check "no kernel without Popcorn's flag" unchanged fails_with $EINVAL \
		kexec_file_load $((1 << 24)) $image $initrd
	check "not for the primary" unchanged fails_with $EOPNOTSUPP \
		kexec_file_load "$(for_kernel 0)" $image $initrd
	check "no unloading there either" unchanged fails_with $EOPNOTSUPP \
		kexec_file_load $(($(for_kernel 0) | UNLOAD))
	check "not for a kernel that is not there" unchanged fails_with $ENODEV \
		kexec_file_load "$(for_kernel 9)" $image $initrd
	check "not for one that cannot be there" unchanged fails_with $ENODEV \
		kexec_file_load "$(for_kernel 255)" $image $initrd
	check "not without files" unchanged fails_with $EBADF \
		kexec_file_load "$one"
	check "nothing to unload" unchanged fails_with $ENODATA \
		kexec_file_load $((one | UNLOAD))
	check "ENOEXEC: not a bzImage" unchanged fails_with $ENOEXEC \
		kexec_file_load "$one" /tmp/text $initrd
	check "ENOEXEC: a 32-bit image" unchanged fails_with $ENOEXEC \
		kexec_file_load "$one" /tmp/32-bit $initrd
	check "ENOEXEC: its code is larger than it says" unchanged \
		fails_with $ENOEXEC kexec_file_load "$one" /tmp/liar $initrd
	check "EBADMSG: truncated" unchanged fails_with $EBADMSG \
		kexec_file_load $((one | NO_INITRAMFS)) /tmp/half
	check "ENOSPC: the kernel does not fit" unchanged fails_with $ENOSPC \
		kexec_file_load "$one" /tmp/huge $initrd
	check "EFBIG: the initrd does not fit" unchanged fails_with $EFBIG \
		kexec_file_load "$one" $image /tmp/initrd-129
	check "EFBIG: the initrd does not fit beside the kernel" \
		unchanged fails_with $EFBIG \
		kexec_file_load "$(for_kernel 2)" $image /tmp/initrd-60
	check "E2BIG: command line" unchanged fails_with $E2BIG \
		kexec_file_load "$one" $image $initrd "$(cat /tmp/long)"
	check "EINVAL: an empty file" unchanged fails_with $EINVAL \
		kexec_file_load "$one" /tmp/empty $initrd
	check "EINVAL: a directory" unchanged fails_with $EINVAL \
		kexec_file_load "$one" /tmp/directory $initrd
	check "EPERM: without CAP_SYS_BOOT" unchanged perl_without_cap "$one"
}

perl_without_cap()
{
	fails_with $EPERM without_cap_sys_boot perl -e '
		open my $file, "<", "/boot/bzImage";
		my $cmdline = "\0";
		print syscall(320, fileno $file, -1, 1, $cmdline, $ARGV[0] | 4) < 0
			? $! + 0 : 0' "$1"
}

# Kernel 1 is loaded.
check_permissions()
{
	local verb

	for verb in "load 1 /boot/bzImage" "unload 1" "start 1" "stop 1" "kill 1" \
		    "restart 1"; do
		check "nobody: $verb" unchanged exits 6 as_nobody popcorn "$verb"
		check "root without CAP_SYS_BOOT: $verb" \
			unchanged exits 6 without_cap_sys_boot popcorn $verb
	done
	check "nobody: log" exits 6 as_nobody popcorn log 1
	check "nobody: list" exits 0 as_nobody popcorn list
	check "nobody: writing to the state" \
		unchanged exits 1 as_nobody "echo start >$kernels/1/state"
	check "is not permitted" says "Permission denied"
}

check_running()
{
	local one

	one=$(for_kernel 1)
	check "a loaded kernel starts after all that" exits 0 popcorn start 1
	check "running: load" unchanged exits 4 popcorn load 1 /boot/bzImage
	check "running: unload" unchanged exits 4 popcorn unload 1
	check "running: start" unchanged exits 4 popcorn start 1
	check "EALREADY: load" unchanged fails_with $EALREADY \
		kexec_file_load "$one" /boot/bzImage /boot/initrd
	check "EALREADY: unload" unchanged fails_with $EALREADY \
		kexec_file_load $((one | UNLOAD))
	check "it can be stopped" exits 0 popcorn stop 1
}

# end_of KID, start_of KID: of its memory, the first byte behind it and the first one
end_of()
{
	local memory

	memory=$(cat "$kernels/$1/memory")
	echo $((${memory#*-} + 1))
}

start_of()
{
	local memory

	memory=$(cat "$kernels/$1/memory")
	echo $((${memory%-*}))
}

# page_at ADDRESS: what is there
page_at()
{
	dd if=/dev/mem bs=4096 skip=$(($1 >> 12)) count=1 2>/dev/null | md5sum
}

# An image that cannot be unpacked is put into the partition as it is, 2 MiB from its
# start. What comes after its code reaches 1 MiB beyond the end, which is the memory of
# kernel 1: that does not run, so nobody else changes it.
long_file_stays_within()
{
	local end before

	end=$(end_of 2)
	before=$(page_at "$end")
	[ "$end" = "$(start_of 1)" ] || return
	changed_image /tmp/long-file 0x24c '\0\0\0\0'	# payload_length
	perl -e 'print "L" x ((63 << 20) - $ARGV[0])' \
		"$(stat -c %s /boot/bzImage)" >>/tmp/long-file
	exits 0 popcorn load 2 /tmp/long-file && [ "$(page_at "$end")" = "$before" ]
}

# Two tools at once

# A kernel that does not find its root file system waits for it.
check_busy()
{
	local verb started

	check "a kernel that stays booting" exits 0 popcorn load 1 /boot/bzImage \
		--append "root=/dev/nothing rootwait"
	popcorn start 1 >/tmp/start 2>&1 &
	started=$!
	check "it boots" await 10 is 1 booting
	for verb in "load 1 /boot/bzImage" "unload 1" "start 1" "stop 1" \
		    "restart 1"; do
		check "booting: $verb" unchanged exits 5 popcorn $verb
	done
	check "booting: status" unchanged exits 0 popcorn status 1
	check "booting: list" unchanged exits 0 popcorn list
	check "booting: log" await 10 logged 1 "Waiting for root device"
	check "booting: kill" exits 0 popcorn kill 1
	check "then it is loaded" is 1 loaded
	wait $started
	check "and the start has failed" test $? = 8
}

# One of two succeeds; the other was too late or in between.
one_wins()
{
	local first second other starts

	starts=$(cat $kernels/1/starts)
	popcorn start 1 >/tmp/first 2>&1 &
	first=$!
	popcorn start 1 >/tmp/second 2>&1
	second=$?
	wait $first
	first=$?
	other=$((first + second))
	[ $((first * second)) = 0 ] && { [ $other = 4 ] || [ $other = 5 ]; } &&
		[ "$(cat $kernels/1/starts)" = $((starts + 1)) ] &&
		grep -qE "already running|under way" /tmp/first /tmp/second &&
		is 1 running && exits 0 popcorn stop 1 && return
	echo "# exit status $first and $second, $(cat $kernels/1/starts) starts"
	return 1
}

check_two_at_once()
{
	local i

	check "loading it anew" load_plain 1
	for i in 1 2 3; do
		check "of two starts at once one wins" one_wins
	done
}

make_files
wait_for_tsc
check_bad_images offline
check_system_call
check "loading a good image" load_plain 1
check_bad_images loaded
check_permissions
check_running
check "a file longer than the partition stays within it" long_file_stays_within
check "a kernel that just fits beside its initrd" load_plain 2
check "works" works 2
check_busy
check_two_at_once
plan

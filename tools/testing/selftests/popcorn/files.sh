#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# vm: --kernels 4 --mem 192M --no-start --timeout 240 --append popcorn_check=1
# vm: --add build/tools/selftests:/programs --add-bin mkfs.ext4 --add-bin pigz
#
# Files that are on several kernels (mm/popcorn/file.c): kernel 1 has the same file
# system as the primary, kernel 2 one with other files of the same names and sizes,
# kernel 3 none. The first maps them, all see what the primary sees.

. /selftests/lib.sh
. /selftests/threads-lib.sh

PAGES=16

# What a secondary with a file system does.
mounts='
mkdir /files
mount -t ext4 -o ro,loop /image /files && echo mounted'

# image FILE SEED: a file system whose files have fs-verity
image()
{
	mkdir -p "${1%/*}"
	truncate -s 16M "$1"
	mkfs.ext4 -q -b 4096 -O verity "$1" &&
		mount -t ext4 -o loop "$1" /mnt || return
	seq "$2" 100000 | head -c $((PAGES * 4096)) >/mnt/data
	cp /mnt/data /mnt/plain
	cp -rL /lib /lib64 /mnt
	cp -L "$(command -v pigz)" /mnt
	echo "$2" >>/mnt/pigz
	/programs/files enable /mnt/data /mnt/pigz \
		$(find /mnt/lib /mnt/lib64 -type f)
	umount /mnt
}

# start KID [DIR]: with the file system in that directory
start()
{
	if [ -n "${2:-}" ]; then
		initrd_with "$2" image >"/tmp/initrd$1"
		load_script "$1" "$mounts" "/tmp/initrd$1"
	else
		load_plain "$1"
	fi && exits 0 popcorn start "$1"
}

has_mounted()
{
	logged "$1" "init: mounted"
}

# mapped COMM KID: how many parts of files the kernel has mapped from its own
mapped()
{
	of "comm=$1" "$2" files
}

# tests FILE: the program's results
tests()
{
	/programs/files test "$1" 1,2,3 >/tmp/files.tap
	check "the program comes to its end" planned /tmp/files.tap
	results /tmp/files.tap
}

# only_kernel_1_maps COMM
only_kernel_1_maps()
{
	echo "# parts of files mapped: $(mapped "$1" 1), $(mapped "$1" 2), $(mapped "$1" 3)"
	[ "$(mapped "$1" 1)" -gt 0 ] && [ "$(mapped "$1" 2)" = 0 ] &&
		[ "$(mapped "$1" 3)" = 0 ]
}

nobody_maps()
{
	[ "$(mapped "$1" 1)$(mapped "$1" 2)$(mapped "$1" 3)" = 000 ]
}

# sum LIST: of numbers with commas in between
sum()
{
	echo "$(($(echo "$1" | tr , +)))"
}

# compress KID: there, what needs little but the program; the pages that it has fetched
# to read in $fetched
compress()
{
	popcorn run --pin "$1" \
		/files/lib64/ld-linux-x86-64.so.2 --library-path "$libraries" \
		/files/pigz -p 1 -c /tmp/text >/tmp/text.gz &&
		gzip -dc /tmp/text.gz | cmp - /tmp/text || return
	fetched=$(sum "$(of comm=ld-linux-x86-64 "$1" read_waits)")
	echo "# kernel $1: $fetched pages fetched to be read," \
	     "$(mapped ld-linux-x86-64 "$1") parts of files mapped"
}

fewer_are_fetched()
{
	local without

	compress 3 && without=$fetched && [ "$(mapped ld-linux-x86-64 3)" = 0 ] &&
		compress 1 && [ "$(mapped ld-linux-x86-64 1)" -gt 4 ] &&
		[ $((fetched * 2)) -lt "$without" ]
}

check "a file system with verity" image /a/image 1
check "and one with other files" image /b/image 2
wait_for_tsc
check "a kernel with the same files" start 1 /a
check "a kernel with others" start 2 /b
check "a kernel with none" start 3
mkdir /files
check "the primary's files" mount -t ext4 -o ro,loop /a/image /files
for kid in 1 2; do
	check "kernel $kid has its files" await 20 has_mounted $kid
done
libraries=$(find /files/lib /files/lib64 -type f | sed 's,/[^/]*$,,' | sort -u |
	tr '\n' :)
tests /files/data
check_replicated "who has the same file maps it" only_kernel_1_maps files
tests /files/plain
check "not without a digest" nobody_maps files
seq 1000 >/tmp/text
check_replicated "a program with libraries needs fewer pages" fewer_are_fetched
check "no thread is left" await 5 no_thread
check "no space is left" await 5 no_space
check "no event was impossible" [ "$(counter impossible)" = 0 ]
check "no message was lost" [ "$(counter unsent)" = 0 ]
plan

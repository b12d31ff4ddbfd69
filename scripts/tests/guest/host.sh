# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What only the host can do: see scripts/tests/stall.sh.

request=0

# host WORD...: ask it for something
host()
{
	request=$((request + 1))
	echo "# host: $request $*"
}

# answered REQUEST REGEX
answered()
{
	grep -qE "^$1 $2" /host/answers
}

# What is shared is to be seen at once.
see_answers()
{
	umount /host && mount -t 9p -o \
		ro,trans=virtio,version=9p2000.L,cache=none share /host
}

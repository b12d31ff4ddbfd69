# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# Programs that may not come to their end, and tasks that cannot be woken up.

# has_ended PID: it runs no more, though nobody may have waited for it
has_ended()
{
	! grep -q '^State:.[^Z]' "/proc/$1/status" 2>/dev/null
}

# end PID SECONDS: it ends within that time, or is killed; one that cannot be killed is
# left behind
end()
{
	await "$2" has_ended "$1" && return
	kill -9 "$1"
	await 10 has_ended "$1" || echo "# it cannot be killed"
}

# in_d: tasks of this kernel that cannot be woken up, with what they wait for
in_d()
{
	local task

	for task in /proc/[0-9]*/task/[0-9]*; do
		case $(sed 's/.*) \(.\).*/\1/' "$task/stat" 2>/dev/null) in
		D) echo "# $(cat "$task/comm"): $(cat "$task/wchan")" ;;
		esac
	done
}

nothing_in_d()
{
	in_d >/tmp/in_d
	[ ! -s /tmp/in_d ]
}

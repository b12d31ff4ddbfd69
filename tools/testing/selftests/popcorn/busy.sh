# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# For the tests that keep the primary busy: all its CPUs compute, a disk
# (/dev/vda) is written and read back, and on each CPU the clocks and timers are
# watched (/test/ticks). On top of lib.sh. On the host, scripts/tests/busy.sh
# makes such a machine.
#
#	get_busy	at the beginning
#	check_busy	at the end

# Milliseconds that a CPU of the primary may have been away, besides those for
# which virtual CPUs have waited for the host's: the host tells how many (waited).
GAP=1000

busy=/tmp/busy
cpus=$(seq 0 $(($(nproc) - 1)))

# --- loads ---

# False when the loads are to end.
go_on()
{
	while [ -e $busy/pause ]; do
		usleep 50000
	done
	[ ! -e $busy/over ]
}

compute()
{
	while go_on; do
		[ "$(md5sum <$busy/data)" = "$sum" ] || echo "wrong sum"
		echo x >>$busy/computed
	done
}

use_disk()
{
	while go_on; do
		dd if=$busy/data of=/dev/vda bs=64k conv=fsync,notrunc \
			2>$busy/dd || cat $busy/dd
		blockdev --flushbufs /dev/vda
		head -c 4194304 /dev/vda | cmp - $busy/data
		echo x >>$busy/used
	done
}

start_loads()
{
	local cpu

	head -c 4194304 /dev/urandom >$busy/data
	sum=$(md5sum <$busy/data)
	: >$busy/computed
	: >$busy/used
	: >$busy/errors
	use_disk >>$busy/errors 2>&1 &
	loads=$!
	for cpu in $cpus; do
		compute >>$busy/errors 2>&1 &
		loads="$loads $!"
	done
}

end_loads()
{
	touch $busy/over
	wait $loads
}

pausing()
{
	! pidof md5sum dd blockdev head cmp >/dev/null
}

pause_loads()
{
	touch $busy/pause
	await 20 pausing
}

resume_loads()
{
	rm $busy/pause
}

# --- clocks and timers ---

start_watch()
{
	local cpu

	watchers=
	for cpu in $cpus; do
		/test/ticks "$cpu" >$busy/seen.$cpu 2>&1 &
		watchers="$watchers $!"
	done
}

end_watch()
{
	kill $watchers
	wait $watchers
}

# --- results ---

no_errors()
{
	sed 's/^/# /' $busy/errors
	[ ! -s $busy/errors ]
}

at_least()
{
	local count

	count=$(wc -l <"$1")
	echo "# $count rounds"
	[ "$count" -ge "$2" ]
}

# saw_at_most NAME LIMIT: on no CPU of the primary more than that
saw_at_most()
{
	local cpu seen status=0

	for cpu in $cpus; do
		seen=$(sed -n "s/^$1 //p" $busy/seen.$cpu)
		echo "# $1 on CPU $cpu: $seen"
		[ -n "$seen" ] && [ "$seen" -le "$2" ] || status=1
	done
	return $status
}

set_gap_limit()
{
	local waited

	waited=$(cat /host/waited)
	echo "# virtual CPUs have waited for the host's for $waited ms at most"
	GAP=$((GAP + waited))
}

get_busy()
{
	mkdir $busy
	start_loads
	start_watch
}

# No error of the loads, and no lost tick worth noticing. How fast the loads get on is
# the host's affair.
check_busy()
{
	await 60 at_least $busy/computed 10 >/dev/null
	await 60 at_least $busy/used 5 >/dev/null
	end_watch
	end_loads
	set_gap_limit
	check "the loads have met no error" no_errors
	check "and have run: sums" at_least $busy/computed 10
	check "and disk" at_least $busy/used 5
	check "no CPU stood still" saw_at_most gap $GAP
	check "jiffies go with the clock" saw_at_most jiffies $GAP
	check "no timer missed or added" saw_at_most timer 0
	check "the clock keeps its rate (ppm)" saw_at_most rate 200
	check "and has not been set" saw_at_most step 1
}

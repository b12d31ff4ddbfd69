#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Directories of the primary as root file systems of secondaries: what a kernel sees and may
# change there, that nothing of it comes to the primary, that a hostile kernel gets no further, and
# what becomes of it all when kernels and servers end. LONG=1: 20 kills instead of 3.
#
# vm: --kernels 3 --mem 192M --total-mem 800M --no-start --timeout 900
# vm: --add build/tools/selftests:/programs --add-bin /usr/sbin/diod
# vm: --expect "1:Attempted to kill init"

. /selftests/lib.sh

kills=3
[ "$LONG" != 1 ] || kills=20

# directory PATH: a small system, without the popcorn command
directory()
{
	for sub in etc tmp root sub dev proc sys run; do
		mkdir -p "$1/$sub"
	done
	cp -a /bin /sbin "$1"
	rm "$1/sbin/popcorn" "$1/bin/init"
	cp -a /etc/passwd /etc/group "$1/etc"
	cp /programs/ninep /programs/vsock "$1/bin"
	echo "this is $1" >"$1/hello"
	echo file >"$1/file"
	ln -s ../../../etc/secret "$1/link"
	ln -s /etc/secret "$1/absolute"
	mkfifo "$1/fifo"
	mknod "$1/null" c 1 3
	echo private >"$1/private"
	chmod 600 "$1/private"
	echo owned >"$1/owned"
	chown 1234:4321 "$1/owned"
	chmod 6640 "$1/owned"
	head -c 20000000 /dev/urandom >"$1/big"
}

# All that is in a directory, with types, modes, owners, times, and what files contain
describe='find . -mindepth 1 \( -path ./dev -o -path ./proc -o -path ./sys -o -path ./run \) -prune -o \
	-exec stat -c "%n %F %a %u %g %t %T %Y" {} + | sort
find bin sbin etc sub file hello owned private big -type f -exec md5sum {} + | sort
ls -l link absolute'

# describe DIRECTORY
describe()
{
	(cd "$1" && sh -c "$describe")
}

# on KID COMMAND...
on()
{
	timeout 60 popcorn exec --wait "$@"
}

# prints TEXT COMMAND...: that is what it prints
prints()
{
	local wanted=$1 got

	shift
	got=$("$@" 2>&1)
	[ "$got" = "$wanted" ] && return
	echo "# printed: $got"
	return 1
}

not()
{
	! "$@"
}

# load KID DIRECTORY [OPTION]...
load()
{
	local kid=$1 dir=$2

	shift 2
	exits 0 popcorn load "$kid" /boot/bzImage --root "$dir" "$@" \
		--append "$(cat /boot/cmdline)"
}

# down KID: whatever it does now
down()
{
	popcorn kill "$1" >/tmp/note 2>&1
	is "$1" loaded
}

start()
{
	exits 0 popcorn start "$1" && prints "$1" on "$1" cat /sys/kernel/popcorn/self
}

# server KID: the process that serves it
server()
{
	ps -o pid,args | awk -v kid="$1" '$2 == "popcorn" && $3 == "load" && $4 == kid { print $1 }'
}

# diods KID: those of its server
diods()
{
	ps -o pid,ppid,comm | awk -v p="$(server "$1")" 'p && $2 == p && /diod/ { print $1 }'
}

# count COMMAND...: of the lines that it prints
count()
{
	"$@" | grep -c .
}

has_diods()
{
	[ "$(count diods "$1")" = "$2" ]
}

# --- wrong usage ---

# It is refused, and there is no server.
refused()
{
	local status=$1 regex=$2

	shift 2
	exits "$status" "$@" && says "$regex" && [ -z "$(server 1)" ] && is 1 "$state"
}

without_diod()
{
	mv /usr/sbin/diod /usr/sbin/diod.away
	refused 1 "/usr/sbin/diod: No such file.* package diod" popcorn load 1 /boot/bzImage --root /a
	set -- $?
	mv /usr/sbin/diod.away /usr/sbin/diod
	return "$1"
}

port_in_use()
{
	/programs/vsock serve 401 >/dev/null 2>&1 &
	set -- $!
	await 10 sh -c 'timeout 5 /programs/vsock get stream 0 401 10 >/dev/null' &&
		refused 1 "cannot listen for the kernel: Address already in use" \
			popcorn load 1 /boot/bzImage --root /a
	set -- $? "$1"
	kill "$2"
	wait "$2" 2>/dev/null
	return "$1"
}

# What a kernel does when it is asked to power off may take messages: it is asked no more by that.
asked_once()
{
	on 1 sh -c 'cat >/sbin/poweroff && chmod +x /sbin/poweroff' <<'EOF' &&
#!/bin/sh
echo "<5>powering off" >/dev/kmsg
echo 3 >/proc/sys/vm/drop_caches
cat /big >/dev/null
exec busybox poweroff -f
EOF
		exits 0 popcorn stop 1 && became 1 loaded '^poweroff$' &&
		[ "$(popcorn log 1 | grep -c "] powering off")" = 1 ] && return
	note grep -c "powering off" $kernels/1/log
	return 1
}

# Whoever reads what load prints comes to its end.
holds_nothing()
{
	timeout 20 sh -c 'popcorn load 1 /boot/bzImage --root /a 2>&1 | cat' && [ -n "$(server 1)" ]
}

relative()
{
	(cd /a && load 1 ../a/.) && popcorn status 1 | grep -qx "root: /a (overlay)"
}

replaced()
{
	local old

	old=$(server 1)
	load 1 /a && [ "$(count server 1)" = 1 ] && [ "$(server 1)" != "$old" ]
}

# --- what is seen ---

sees_files()
{
	prints "this is /a" on 1 cat /hello &&
		prints "$(md5sum </a/big)" on 1 sh -c 'md5sum </big' &&
		prints "$(stat -c '%a %u %g %s %Y' /a/owned)" on 1 stat -c '%a %u %g %s %Y' /owned &&
		prints ../../../etc/secret on 1 readlink /link
}

# All of it, as it is on the primary
sees_all()
{
	describe /a >/tmp/primary
	on 1 sh -c "cd / && $describe" >/tmp/secondary
	[ "$(grep -c . /tmp/primary)" -gt 300 ] && note diff /tmp/primary /tmp/secondary
}

unchanged()
{
	describe /a >/tmp/now
	note cmp /tmp/before /tmp/now
}

modes_count()
{
	not on 1 su -s /bin/sh nobody -c 'cat /private' >/dev/null 2>&1 &&
		prints "this is /a" on 1 su -s /bin/sh nobody -c 'cat /hello'
}

# There is a shell on the terminal, as the directory has no init.
on_terminal()
{
	mkfifo /tmp/typed
	popcorn console 1 </tmp/typed >/tmp/console 2>&1 &
	set -- $!
	exec 4>/tmp/typed
	await 20 grep -q '#' /tmp/console && echo 'echo it is $((1000 + 1)), $(cat /hello)' >&4 &&
		await 20 grep -q "it is 1001, this is /a" /tmp/console
	set -- $? "$1"
	kill "$2"
	wait "$2" 2>/dev/null
	exec 4>&-
	[ "$1" = 0 ] || note cat /tmp/console
	return "$1"
}

# --- what is changed ---

changes='echo more >>/file && echo new >/new && rm /hello && mkdir /dir && mv /sub /moved &&
	chmod 777 /owned && chown 5:5 /private && ln /big /hard && rm -r /etc && mkdir /etc &&
	test "$(cat /file)" = "file
more" && test ! -e /hello && test -d /moved && test -z "$(ls /etc)"'

# --- a hostile kernel ---

# Of the server of kernel 1, on kernel 1
ninep()
{
	timeout 60 popcorn exec 1 ninep 401 "$@"
}

goes_no_further()
{
	local path

	prints file ninep /export read file || return
	for path in ../etc/secret link absolute sub/../../etc/secret ../../../../etc/secret \
		    ../a/file ../proc/1/environ ../dev/mem ../run/vm/command null; do
		exits 1 ninep /export read "$path" || return
	done
	for path in / /a /etc /export/.. /export/../etc ""; do
		exits 1 ninep "$path" attach || return
	done
}

# What all can see there are programs' libraries.
sees_libraries_alone()
{
	local path

	for path in ../bin/busybox ../boot/bzImage ../selftests/lib.sh ../etc/passwd ../root; do
		exits 1 ninep /export read "$path" || return
	done
}

changes_nothing()
{
	exits 1 ninep /export write && unchanged
}

garbage_is_harmless()
{
	exits 0 ninep x garbage 60 && prints "$(md5sum </a/big)" on 1 sh -c 'md5sum </big' &&
		await 20 has_diods 1 1
}

# Connections that say nothing keep others out as long as they last, and they are of that kernel.
held()
{
	timeout 30 popcorn exec 1 ninep 401 hold 20 >/tmp/hold 2>&1 &
	set -- $!
	await 20 grep -q holds /tmp/hold && [ "$(count diods 1)" -le 8 ] &&
		prints "this is /b" on 2 cat /hello && prints file on 1 cat /file
	set -- $? "$1"
	kill "$2"
	wait "$2" 2>/dev/null
	await 20 has_diods 1 1 && return "$1"
}

stranger_is_closed()
{
	exits 2 timeout 20 popcorn exec 2 ninep 401 /export attach &&
		popcorn exec 1 timeout 10 vsock wait stream 0 401 >/tmp/out 2>&1
	note grep -E "ended|write: " /tmp/out
}

# --- ends ---

restarts()
{
	local n

	for n in 1 2 3; do
		on 1 sh -c 'echo x >/left' && exits 0 popcorn restart 1 &&
			prints 1 on 1 cat /sys/kernel/popcorn/self &&
			prints "this is /a" on 1 cat /hello &&
			not on 1 test -e /left && await 20 has_diods 1 1 || return
	done
}

# While it reads and writes
killed()
{
	local n

	for n in $(seq $kills); do
		on 1 sh -c 'while :; do echo 3 >/proc/sys/vm/drop_caches; cp /big /copy; done' \
			>/dev/null 2>&1 &
		await 20 popcorn exec 1 test -s /copy && exits 0 popcorn kill 1 || return
		wait $!
		prints "this is /b" on 2 cat /hello && start 1 &&
			prints "$(md5sum </a/big)" on 1 sh -c 'md5sum </big' &&
			await 20 has_diods 1 1 || return
	done
}

# What is not in its memory cannot be read, which it is told.
diod_killed()
{
	on 1 sh -c 'cat /bin/busybox >/dev/null; test ! -e /nothing' &&
		kill -KILL $(diods 1) && await 20 has_diods 1 0 || return
	timeout 20 popcorn exec 1 cat /big >/tmp/out 2>&1
	set -- $?
	[ "$1" != 124 ] && [ "$1" != 0 ] && prints "this is /b" on 2 cat /hello && return
	echo "# exit status $1: $(cat /tmp/out)"
	return 1
}

runs_again()
{
	down 1 && start 1 && prints "this is /a" on 1 cat /hello
}

# It is not replaced by itself, so a kernel that needs it ends, and says why.
server_killed()
{
	down 1 && kill -KILL "$(server 1)" && await 20 not server_is_there || return
	popcorn start 1 >/tmp/out 2>&1
	became 1 failed "^panic: Attempted to kill init" &&
		logged 1 "popcorn: no root file system: cannot connect to port 401 .*load --root" &&
		vm-save-logs && popcorn status 1 | grep -qx "root: -"
}

server_is_there()
{
	[ -n "$(server 1)" ]
}

# ended KID: no process is left
ended()
{
	[ -z "$(server "$1")" ] && ! ps -o comm | grep -q "^diod"
}

directory /a
directory /b
mkdir -p /nosys/dev /nosys/proc /nosys/run
echo secret >/etc/secret
describe /a >/tmp/before
state=offline
wait_for_tsc

check "there is no such directory" refused 9 "root directory /missing: No such file" \
	popcorn load 1 /boot/bzImage --root /missing
check "a file" refused 9 "root directory /a/file: it is not a directory" \
	popcorn load 1 /boot/bzImage --root /a/file
check "with an initrd" refused 2 "exclude each other" \
	popcorn load 1 /boot/bzImage --root /a --initrd /boot/initrd
check "--read-only alone" refused 2 "about the directory of --root" \
	popcorn load 1 /boot/bzImage --read-only
check "diod is not installed" without_diod
check "a user" refused 6 "Operation not permitted" \
	su -s /bin/sh nobody -c "popcorn load 1 /boot/bzImage --root /a"
check "read-only, it needs places for other file systems" refused 9 "it has no directory sys" \
	popcorn load 1 /boot/bzImage --root /nosys --read-only
check "a bad image leaves no server" refused 9 "it is not a bzImage" \
	popcorn load 1 /a/big --root /a
check "another program has the port" port_in_use
check "load holds nothing" holds_nothing
check "a relative directory" relative
check "another load replaces the server" replaced

check "kernel 1 starts" start 1
check "it sees files of the directory" sees_files
check "and all others" sees_all
check "modes count" modes_count
check "a shell is on its terminal" on_terminal
check "a program is found by its kernel" prints 1 on 1 sh -c 'ls /proc/1/exe >/dev/null && echo 1'

check "kernel 2 starts, which may not write" eval 'load 2 /b --read-only && start 2'
check "it has a directory of its own" prints "this is /b" on 2 cat /hello
check "it is told so" eval 'not on 2 touch /new >/tmp/out 2>&1 && says "Read-only file system"'
check "nor by a file that is there" eval 'not on 2 sh -c "echo x >>/file" >/tmp/out 2>&1 && says "Read-only file system"'
check "it has some memory for files" on 2 sh -c 'echo x >/run/x && echo x >/dev/shm/x && cat /run/x'
check "which status tells" eval 'popcorn status 2 | grep -qx "root: /b (read-only)"'

# A diod may die of what comes now. That it did is no fault of this kernel.
echo 0 >/proc/sys/debug/exception-trace
check "a hostile kernel gets no further" goes_no_further
check "but to libraries" sees_libraries_alone
check "it changes nothing" changes_nothing
check "what is no 9P is harmless" garbage_is_harmless
check "so are many connections" held
check "others are not served" stranger_is_closed

check "kernel 1 changes what it likes" on 1 sh -c "$changes"
check "nothing of that is on the primary" unchanged
check "it is gone when it is restarted" restarts
check "it is killed while it reads" killed
check "diod is killed: reads fail" diod_killed
check "the kernel runs when it is started again" runs_again
check "it stops in good order, and is asked once" asked_once
check "nobody is connected then" await 20 has_diods 1 0

state=loaded
check "without its server a kernel says why it ends" server_killed
check "another load, and it runs" eval 'down 1 && load 1 /b && start 1 &&
	prints "this is /b" on 1 cat /hello'
down 1
cat >/a/sbin/init <<'EOF'
#!/bin/sh
echo "<5>the init of the directory is $$, called $0 $*" >/dev/kmsg
while :; do sleep 1000; done
EOF
sed 's/the init/another init/' /a/sbin/init >/a/sbin/other
chmod +x /a/sbin/init /a/sbin/other
check "a directory with an init" eval 'load 1 /a && start 1 && await 20 logged 1 "the init of the directory is 1, called /sbin/init"'
down 1
check "or another one" eval 'exits 0 popcorn load 1 /boot/bzImage --root /a --append "printk.devkmsg=on init=/sbin/other" &&
	start 1 && await 20 logged 1 "another init of the directory is 1, called /sbin/other"'
down 1
check "an initrd instead ends the server" eval 'load_plain 1 && [ -z "$(server 1)" ] && works 1'
check "so does unload" eval 'load 1 /a && [ -n "$(server 1)" ] && exits 0 popcorn unload 1 && [ -z "$(server 1)" ]'
check "kernel 2 has its own still" prints "this is /b" on 2 cat /hello
check "until it is unloaded" eval 'exits 0 popcorn kill 2 && exits 0 popcorn unload 2 && await 20 ended 2'
check "nothing was said" eval '! { dmesg; popcorn log 1; popcorn log 2; } | grep -E "BUG|WARNING|refcount"'
plan

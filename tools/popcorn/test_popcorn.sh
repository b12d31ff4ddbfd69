#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Test the popcorn command on a made-up sysfs tree: test_popcorn.sh BINARY
#
# Prints TAP version 13, exits with 1 if a test failed. What only a Popcorn
# kernel can answer, the error numbers of its system calls, a seccomp filter
# answers in its place (set up by python3; such tests are skipped without it).

PLAN=346
RUN_ANSWERED=29	# of these, tests that test_run_answered does

if [ $# -ne 1 ] || [ ! -x "$1" ]; then
	echo "usage: $0 BINARY" >&2
	exit 2
fi

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$tmp"
cp "$1" "$tmp/popcorn" || exit 1
bin=$tmp/popcorn
POPCORN_SYSFS=$tmp/sysfs
export POPCORN_SYSFS
kernels=$POPCORN_SYSFS/kernels
LC_ALL=C.UTF-8
export LC_ALL

number=0
failed=0

# ok TEXT: report success of a test
ok() {
	number=$((number + 1))
	echo "ok $number - $1"
}

# not_ok TEXT: report failure of a test, with what the command printed
not_ok() {
	number=$((number + 1))
	failed=$((failed + 1))
	echo "not ok $number - $1"
	echo "# exit code: $code"
	sed 's/^/# stdout: /' "$tmp/out"
	sed 's/^/# stderr: /' "$tmp/err"
}

# skip TEXT WHY: report a test that cannot be done here
skip() {
	number=$((number + 1))
	echo "ok $number - $1 # SKIP $2"
}

# check TEXT COMMAND...: a test that succeeds if COMMAND does
check() {
	text=$1
	shift
	if "$@" >/dev/null 2>&1; then ok "$text"; else not_ok "$text"; fi
}

# run ARGUMENT...: run popcorn; its exit code, stdout, stderr go to $code, out, err
run() {
	run_command "$bin" "$@"
}

# run_command COMMAND...: the same for any command
run_command() {
	"$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	code=$?
}

# interrupted COMMAND...: by SIGINT when it has complained of something
interrupted() {
	"$@" &
	while kill -0 $! 2>/dev/null && ! [ -s "$tmp/err" ]; do
		sleep 0.05
	done
	kill -INT $!
	wait $!
}

# result TEXT CODE REGEX: the last run ended with CODE, and a line of stderr matches
# REGEX; with an empty REGEX, stderr is empty
result() {
	if [ "$code" -ne "$2" ]; then
		not_ok "$1 (exit code $2)"
	elif [ -z "$3" ] && [ -s "$tmp/err" ]; then
		not_ok "$1 (no message)"
	elif [ -n "$3" ] && ! grep -Eq -- "$3" "$tmp/err"; then
		not_ok "$1 (message '$3')"
	else
		ok "$1"
	fi
}

# prints TEXT REGEX: a line of stdout of the last run matches REGEX
prints() {
	check "$1" grep -Eq -- "$2" "$tmp/out"
}

# attr KID NAME TEXT: make an attribute
attr() {
	printf '%s\n' "$3" >"$kernels/$1/$2"
}

# kernel KID NAME STATE CPUS MEMORY RELEASE: make a kernel
kernel() {
	mkdir -p "$kernels/$1"
	attr "$1" name "$2"
	attr "$1" state "$3"
	attr "$1" reason ""
	attr "$1" cpus "$4"
	attr "$1" memory "$5"
	attr "$1" release "$6"
	attr "$1" version ""
	attr "$1" cmdline ""
	attr "$1" starts 0
	attr "$1" boot_us 0
	: >"$kernels/$1/log"
	chmod 400 "$kernels/$1/log"
}

# make_tree: the tree that the tests use
make_tree() {
	rm -rf "$POPCORN_SYSFS"
	mkdir -p "$kernels"
	echo 0 >"$POPCORN_SYSFS/self"
	echo 0x7fe00000-0x7fffffff >"$POPCORN_SYSFS/window"
	kernel 0 primary running 0-1 "0x0-0x9ffff
0x100000-0x4005ffff" 6.12.117
	kernel 1 kernel1 offline 2-3 0x100000000-0x11fffffff ""
	kernel 2 web running 4,6-7 0x120000000-0x17fffffff 6.12.117-popcorn
	attr 2 version "6.12.117 (me@here) #1 SMP"
	attr 2 cmdline 'console=ttyS0 name="a b"\n'
	attr 2 starts 3
	attr 2 boot_us 548123
	kernel 10 twin failed 8 "" 6.12.117
	attr 10 reason "panic: VFS: no root"
	kernel 11 twin loaded 9 "" ""
}

# link KID STATE: messages were exchanged with a kernel; each counter has a
# value of its own
link() {
	mkdir -p "$POPCORN_SYSFS/links/$1"
	echo "$2" >"$POPCORN_SYSFS/links/$1/state"
	echo >"$POPCORN_SYSFS/links/$1/fault"
	echo 1 >"$POPCORN_SYSFS/links/$1/generation"
	value=$(($1 * 1000))
	for channel in control coherency network tty; do
		mkdir -p "$POPCORN_SYSFS/links/$1/$channel"
		for counter in tx_messages tx_bytes tx_doorbells tx_waits tx_spills \
			tx_failed rx_messages rx_bytes rx_doorbells rx_late \
			rx_orphans rx_unknown spilled tx_full rx_dropped rx_refused \
			tx_blocks tx_block_waits; do
			echo $value >"$POPCORN_SYSFS/links/$1/$channel/$counter"
			value=$((value + 1))
		done
	done
}

# make_links: links to two kernels, and what polls them
make_links() {
	link 1 up
	link 2 broken
	echo "bad head" >"$POPCORN_SYSFS/links/2/fault"
	for group in thread softirq; do
		mkdir -p "$POPCORN_SYSFS/poll/$group"
		for counter in interrupts polls empty_polls sleeps linger_hits starved; do
			echo $value >"$POPCORN_SYSFS/poll/$group/$counter"
			value=$((value + 1))
		done
	done
}

# The command with an answer to a system call: inject.py CALL ERRNO [ARG=VALUE]... -- COMMAND
cat >"$tmp/inject.py" <<'PYTHON'
import ctypes, os, struct, sys
calls = {"write": 1, "ioctl": 16, "kexec_file_load": 320, "popcorn_place": 549}
ALLOW, ERRNO, EINVAL = 0x7fff0000, 0x50000, 22
call, errno = sys.argv[1], int(sys.argv[2])
split = sys.argv.index("--")
def op(code, k, jt=0, jf=0):
    return struct.pack("HBBI", code, jt, jf, k)
LOAD, RET, JEQ, JGT = 0x20, 0x06, 0x15, 0x25
prog = [op(LOAD, 0), op(JEQ, calls[call], 1, 0), op(RET, ALLOW)]
if call == "write":     # of messages is none of our business
    prog += [op(LOAD, 16), op(JGT, 2, 1, 0), op(RET, ALLOW)]
for cond in sys.argv[3:split]:
    arg, value = cond.split("=")
    prog += [op(LOAD, 16 + 8 * int(arg)),
             op(JEQ, int(value, 0) & 0xffffffff, 1, 0), op(RET, ERRNO | EINVAL)]
prog.append(op(RET, ERRNO | errno))
code = ctypes.create_string_buffer(b"".join(prog))
class Fprog(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
fprog = Fprog(len(prog), ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.addressof(fprog), 0, 0):
    sys.exit("no seccomp: %s" % os.strerror(ctypes.get_errno()))
os.execv(sys.argv[split + 1], sys.argv[split + 1:])
PYTHON

# inject CALL ERRNO [ARG=VALUE]... -- ARGUMENT...: run popcorn with an answer to CALL
inject() {
	filter=
	while [ "$1" != -- ]; do
		filter="$filter $1"
		shift
	done
	shift
	# shellcheck disable=SC2086
	run_command python3 "$tmp/inject.py" $filter -- "$bin" "$@"
}

# answer TEXT CODE REGEX CALL ERRNO [ARG=VALUE]... -- ARGUMENT...: inject, then result
answer() {
	text=$1 want=$2 regex=$3
	shift 3
	if [ "$can_inject" ]; then
		inject "$@"
		result "$text" "$want" "$regex"
	else
		skip "$text" "no python3, seccomp or x86_64"
	fi
}

# as_nobody ARGUMENT...: run popcorn without root's rights
as_nobody() {
	if [ "$(id -u)" -ne 0 ]; then
		run "$@"
	else
		run_command python3 -c 'import os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
os.execv(sys.argv[1], sys.argv[1:])' "$bin" "$@"
	fi
}

# refused TEXT CODE REGEX ARGUMENT...: as_nobody, then result
refused() {
	text=$1 want=$2 regex=$3
	shift 3
	if [ "$have_python" ] || [ "$(id -u)" -ne 0 ]; then
		as_nobody "$@"
		result "$text" "$want" "$regex"
	else
		skip "$text" "no python3 to become nobody"
	fi
}

# json TEXT EXPRESSION: stdout of the last run is JSON, and EXPRESSION about it (j) holds
json() {
	if [ "$have_python" ]; then
		check "$1" python3 -c 'import json, sys
j = json.load(open(sys.argv[1], encoding="utf-8"))
sys.exit(not eval(sys.argv[2]))' "$tmp/out" "$2"
	else
		skip "$1" "no python3"
	fi
}

# valid_json TEXT: stdout of the last run passes json.tool
valid_json() {
	if [ "$have_python" ]; then
		check "$1" python3 -m json.tool "$tmp/out"
	else
		skip "$1" "no python3"
	fi
}

# le BYTES VALUE: write a little-endian number
le() {
	i=0 value=$2
	while [ $i -lt "$1" ]; do
		# shellcheck disable=SC2059
		printf "\\$(printf %03o $((value & 255)))"
		value=$((value >> 8)) i=$((i + 1))
	done
}

# poke FILE OFFSET BYTES VALUE: change a number in a file
poke() {
	le "$3" "$4" | dd of="$1" bs=1 seek=$(($2)) conv=notrunc 2>/dev/null
}

# bzimage FILE: make a file with a header that the kernel would take
bzimage() {
	dd if=/dev/zero of="$1" bs=2048 count=1 2>/dev/null
	poke "$1" 0x1f1 1 1			# setup_sects
	poke "$1" 0x1f4 4 64			# syssize, in units of 16 bytes
	poke "$1" 0x1fe 2 0xaa55
	poke "$1" 0x202 4 0x53726448		# HdrS
	poke "$1" 0x206 2 0x020f		# version
	poke "$1" 0x211 1 1			# loaded high
	poke "$1" 0x234 1 1			# relocatable
	poke "$1" 0x236 2 0x23			# 64 bit, above 4G, 5-level
}

# appears TEXT FILE: the output of log -f is soon the content of FILE
appears() {
	tries=50
	until cmp -s "$tmp/follow" "$2" || [ $tries -eq 0 ]; do
		sleep 0.1
		tries=$((tries - 1))
	done
	cp "$tmp/follow" "$tmp/out"
	check "$1" cmp "$tmp/follow" "$2"
}

# lines FIRST LAST: make text for a log
lines() {
	i=$1
	while [ "$i" -le "$2" ]; do
		printf '[%5d.%06d] line %d of the log\n' "$i" $((i * 7919)) "$i"
		i=$((i + 1))
	done
}

test_usage() {
	run
	result "no command" 2 "^usage: popcorn COMMAND"
	run frobnicate
	result "unknown command" 2 "no command 'frobnicate'; see popcorn --help"
	run --help
	result "--help" 0 ""
	prints "--help names load with its options" "load KERNEL IMAGE .*--initrd FILE"
	run --version
	result "--version" 0 ""
	prints "--version prints name and version" "^popcorn [0-9]"
	for command in list status load unload start stop kill restart log ping console exec agent net stats run ps ssh; do
		run $command --help
		check "$command --help" grep -q "^usage: popcorn $command" "$tmp/out"
	done
	run status
	result "status without a kernel" 2 "status: an argument is missing"
	run load 1
	result "load without an image" 2 "^usage: popcorn load KERNEL IMAGE"
	run load 1 image --initrd
	result "--initrd without a file" 2 "requires an argument"
	run list 1
	result "list with an argument" 2 "one argument too many: '1'"
	run list --follow
	result "option of another command" 2 "unrecognized option '--follow'"
	run start
	result "start without a kernel" 2 "start: an argument is missing"
}

test_absent() {
	mv "$POPCORN_SYSFS" "$POPCORN_SYSFS.away"
	run list
	result "no Popcorn: list" 10 "^popcorn: this kernel has no Popcorn support"
	run load 1 /nonexistent
	result "no Popcorn comes before bad files" 10 "no Popcorn support"
	mv "$POPCORN_SYSFS.away" "$POPCORN_SYSFS"
}

test_list() {
	cat >"$tmp/want" <<'TABLE'
KID  NAME     STATE    CPUS   MEMORY  RELEASE
  0  primary  running  0-1        1G  6.12.117
  1  kernel1  offline  2-3      512M  -
  2  web      running  4,6-7    1.5G  6.12.117-popcorn
 10  twin     failed   8           -  6.12.117
 11  twin     loaded   9           -  -
TABLE
	run list
	result "list" 0 ""
	check "list prints an aligned table, ordered by number" cmp "$tmp/out" "$tmp/want"
	run list --json
	result "list --json" 0 ""
	valid_json "list --json is valid"
	json "list --json has all kernels in order" "[k['kid'] for k in j] == [0, 1, 2, 10, 11]"
	json "list --json tells this kernel" "[k['kid'] for k in j if k['self']] == [0]"
	json "CPUs are numbers" "j[2]['cpus'] == [4, 6, 7]"
	json "memory is ranges of numbers" \
		"j[0]['memory'] == [{'start': 0, 'end': 0x9ffff}, {'start': 0x100000, 'end': 0x4005ffff}]"
	json "what there is not is null" \
		"all(j[1][f] is None for f in ('reason', 'release', 'version', 'cmdline', 'boot_us'))"
	json "no memory is null, no start is 0" "j[4]['memory'] is None and j[4]['starts'] == 0"
}

test_status() {
	run status 2
	result "status" 0 ""
	prints "status: state" "^state: running$"
	prints "status: memory with size" "^memory: 0x120000000-0x17fffffff \(1.5G\)$"
	prints "status: nothing is -" "^reason: -$"
	run status 0
	prints "status: several ranges on a line" "^memory: 0x0-0x9ffff, 0x100000-0x4005ffff \(1G\)$"
	run status web --json
	valid_json "status --json is valid"
	json "status --json has the right facts" \
		"j['kid'] == 2 and j['starts'] == 3 and j['boot_us'] == 548123 and not j['self']"
	json "strings are escaped" "j['cmdline'] == 'console=ttyS0 name=\"a b\"\\\\n'"
	printf 'panic: \033[1m\tq\377\303\251\355\240\200"\\\n' >"$kernels/2/reason"
	run status 2
	check "no control characters to the terminal" sh -c "! grep -q '$(printf '\033')' $tmp/out"
	run status 2 --json
	json "control characters and bad UTF-8 in JSON" \
		"j['reason'] == 'panic: \\x1b[1m\\tq\\ufffd\\xe9\\ufffd\\ufffd\\ufffd\"\\\\'"
	attr 2 cpus "4-x"
	run status 2 --json
	result "malformed CPU list" 1 "kernel 2 \(web\): cannot make sense of its cpus: '4-x'"
	json "malformed CPU list is null" "j['cpus'] is None"
	make_tree
}

test_names() {
	run status kernel1
	prints "kernel by name" "^kid: 1$"
	run status nobody
	result "unknown kernel" 3 \
		"status: there is no kernel 'nobody'; there are: 0 \(primary\), 1 \(kernel1\), 2 \(web\), 10 \(twin\)"
	run status 3
	result "unknown number" 3 "there is no kernel '3'"
	run status 01
	result "01 is not 1" 3 "there is no kernel '01'"
	run status we
	result "part of a name is no name" 3 "there is no kernel 'we'"
	run start twin
	result "name of two kernels" 3 "several kernels are named 'twin', use the number: 10 \(twin\), 11 \(twin\)$"
	attr 10 name 2
	run status 2
	prints "a number is a kid first" "^kid: 2$"
	attr 10 name twin
}

test_control() {
	for command in start stop kill restart; do
		printf '................' >"$kernels/1/state"
		run $command 1
		check "$command writes the word to state" \
			grep -q "^$command\.*$" "$kernels/1/state"
	done
	for kid in 1 2 10 11; do echo ............ >"$kernels/$kid/state"; done
	run start 1 web nobody 10
	result "goes on after a failure, and tells it" 3 "start: there is no kernel 'nobody'"
	check "started what is after the failure" grep -q ^start "$kernels/10/state"
	run start all
	result "all" 0 ""
	check "all is all secondaries" grep -q ^start "$kernels/1/state" "$kernels/2/state" \
		"$kernels/10/state" "$kernels/11/state"
	check "all is not the primary" grep -q ^running "$kernels/0/state"
	mkdir "$tmp/away"
	mv "$kernels/1" "$kernels/2" "$kernels/10" "$kernels/11" "$tmp/away"
	run stop all
	result "all without secondaries" 3 "all: stop: no kernel is defined besides the primary"
	mv "$tmp/away"/* "$kernels"
	make_tree
}

test_control_errors() {
	answer "start: nothing loaded" 4 \
		"^popcorn: kernel 1: start: nothing is loaded; load an image first: popcorn load 1 IMAGE$" \
		write 61 -- start 1
	answer "start: already running" 4 "kernel 2 \(web\): start: it is already running" write 114 -- start web
	answer "stop: not running" 4 "stop: it is not running \(offline\)" write 3 -- stop 1
	answer "busy" 5 "kill: another operation on this kernel is under way" write 16 -- kill 1
	answer "not permitted" 6 "not permitted; do it as root" write 1 -- start 1
	answer "start: time limit" 7 "did not get to its init within the limit" write 110 -- start 1
	answer "stop: time limit" 7 "still running; to end it by force: popcorn kill 2" write 110 -- stop 2
	answer "restart: time limit while it stops" 7 "restart: stop: it did not power off" write 110 -- restart 2
	answer "start: died" 8 "it died while it booted \(panic: VFS: no root\); .*popcorn log 10" \
		write 112 -- start 10
	answer "the primary" 1 "kernel 0 \(primary\): stop: not possible" write 95 -- stop 0
	answer "clock" 1 "the primary's clock is not the TSC" write 19 -- start 1
	answer "memory in use" 1 "another kernel still maps its memory; which one" write 98 -- start 1
	answer "CPU does not answer" 1 "a CPU of it does not answer" write 5 -- start 1
	answer "exit code of the first failure" 4 "kernel 11 \(twin\): start" write 61 -- start all nobody
}

test_files() {
	bzimage "$tmp/bzImage"
	: >"$tmp/empty"
	echo initrd >"$tmp/initrd"
	mkfifo "$tmp/pipe"
	run load 1 "$tmp/missing"
	result "missing image" 9 "kernel 1: load: cannot open the image $tmp/missing: No such file"
	run load 1 "$tmp"
	result "directory as image" 9 "cannot use the image $tmp: it is a directory"
	run load web "$tmp/empty"
	result "empty image" 9 "kernel 2 \(web\): load: cannot use the image $tmp/empty: it is empty"
	run load all "$tmp/pipe"
	result "pipe as image" 9 "all: load: cannot use the image $tmp/pipe: it is a device, pipe"
	run load 1 "$tmp/bzImage" --initrd "$tmp/missing"
	result "missing initrd" 9 "cannot open the initrd $tmp/missing: No such file"
	run load 1 "$tmp/bzImage" --initrd "$tmp"
	result "directory as initrd" 9 "cannot use the initrd $tmp: it is a directory"
	run load 1 "$tmp/bzImage" --initrd="$tmp/empty"
	result "empty initrd" 9 "cannot use the initrd $tmp/empty: it is empty"
	run load nobody "$tmp/missing"
	result "unknown kernel comes before bad files" 3 "there is no kernel 'nobody'"
}

# bad_image TEXT REGEX: what load says if the kernel does not know the format of $tmp/bad
bad_image() {
	answer "$1" 9 "kernel 1: load: image $tmp/bad: $2" kexec_file_load 8 -- load 1 "$tmp/bad"
}

test_images() {
	head -c 100 "$tmp/bzImage" >"$tmp/bad"
	bad_image "too short image" "it is too short"
	dd if=/dev/zero of="$tmp/bad" bs=2048 count=1 2>/dev/null
	bad_image "no HdrS" "it is not a bzImage"
	printf '\177ELF' | dd of="$tmp/bad" conv=notrunc 2>/dev/null
	bad_image "ELF file" "it is an ELF file"
	bzimage "$tmp/bad"
	poke "$tmp/bad" 0x236 2 0
	bad_image "32-bit kernel" "it is a 32-bit kernel"
	poke "$tmp/bad" 0x236 2 1
	bad_image "not relocatable above 4G" "it cannot be loaded above 4 GiB"
	poke "$tmp/bad" 0x236 2 3
	bad_image "no 5-level paging" "it cannot do 5-level paging"
	poke "$tmp/bad" 0x206 2 0x0204
	bad_image "old boot protocol" "its boot protocol is older"
	poke "$tmp/bad" 0x1f4 4 64000
	answer "truncated image" 9 "it is truncated: by its header it has at least 1025024 bytes, the file has 2048" \
		kexec_file_load 74 -- load 1 "$tmp/bad"
	answer "initrd too large" 9 "initrd $tmp/initrd: with its 7B it does not fit into the memory" \
		kexec_file_load 27 -- load 1 "$tmp/bzImage" --initrd "$tmp/initrd"
	answer "image too large" 9 "image $tmp/bzImage: with its 2K it does not fit" \
		kexec_file_load 28 -- load 1 "$tmp/bzImage"
	answer "command line too long" 9 "command line: its 5 bytes are too many" \
		kexec_file_load 7 -- load 1 "$tmp/bzImage" --append quiet
}

test_load() {
	answer "load: flags, command line with its NUL" 0 "" \
		kexec_file_load 0 4=0x02000104 2=6 -- load web "$tmp/bzImage" --append quiet
	answer "load with initrd: flags" 0 "" \
		kexec_file_load 0 4=0x0a000100 2=1 -- load --initrd "$tmp/initrd" 10 "$tmp/bzImage"
	answer "unload: flags" 0 "" \
		kexec_file_load 0 0=-1 1=-1 2=0 3=0 4=0x01000101 -- unload 1
	answer "load: running" 4 "load: it is running; stop it first: popcorn stop 2" \
		kexec_file_load 114 -- load 2 "$tmp/bzImage"
	answer "load: not permitted" 6 "load: not permitted" kexec_file_load 1 -- load 2 "$tmp/bzImage"
	answer "load all names each kernel that fails" 5 "kernel 11 \(twin\): load: another operation" \
		kexec_file_load 16 -- load all "$tmp/bzImage"
}

test_root() {
	run load 1 "$tmp/bzImage" --root "$tmp" --initrd "$tmp/initrd"
	result "load --root with --initrd" 2 "load: --initrd and --root exclude each other"
	run load 1 "$tmp/bzImage" --read-only
	result "load --read-only without --root" 2 "load: --read-only is about the directory of --root"
	run load 1 "$tmp/bzImage" --root "$tmp/missing"
	result "load --root: no directory" 9 "kernel 1: load: cannot use the root directory $tmp/missing: No such file"
	run load 1 "$tmp/bzImage" --root "$tmp/initrd"
	result "load --root: a file" 9 "root directory $tmp/initrd: it is not a directory"
	run load 1 "$tmp/bzImage" --root "$kernels" --read-only
	result "load --root --read-only: a directory without places" 9 "it has no directory dev"
	run load 1 "$tmp/bzImage" --root "$tmp"
	result "load --root without sockets" 10 "load: --root needs sockets to other kernels"
	run load --help
	prints "load --help tells of --root" "--root DIR +root file system"
	mkdir "$tmp/run"
	echo "/srv/debian (overlay)" >"$tmp/run/root.2"
	POPCORN_RUN=$tmp/run run status 2
	prints "status tells of no root directory whose server has ended" "^root: -$"
}

test_log() {
	chmod 600 "$kernels/1/log"
	lines 1 3 >"$kernels/1/log"
	run log 1
	check "log copies the file" cmp "$tmp/out" "$kernels/1/log"
	run log 11
	result "log of a kernel that never ran" 0 ""
	"$bin" log -f kernel1 >"$tmp/follow" 2>"$tmp/err" &
	follower=$!
	lines 1 3 >"$tmp/want"
	appears "log -f prints what there is" "$tmp/want"
	lines 4 20 >>"$kernels/1/log"
	lines 4 20 >>"$tmp/want"
	appears "log -f prints what is added" "$tmp/want"
	# The ring is full now: it loses lines 1 to 5 for as many new ones
	lines 21 25 >>"$tmp/want"
	tail -c "$(wc -c <"$kernels/1/log")" "$tmp/want" |
		dd of="$kernels/1/log" bs=64k conv=notrunc 2>/dev/null
	appears "log -f when the ring wraps" "$tmp/want"
	lines 1 2 >"$kernels/1/log"
	lines 1 2 >>"$tmp/want"
	appears "log -f when the kernel is restarted" "$tmp/want"
	kill $follower 2>/dev/null
	wait $follower 2>/dev/null
	code=$?
	check "a signal ends log -f" [ $code -eq 143 ]
	# shellcheck disable=SC2016
	check "log -f ends with its reader" timeout 5 sh -c '"$0" log -f 1 | head -n 1' "$bin"
}

test_stats() {
	rm -rf "$POPCORN_SYSFS/links"
	run stats
	result "stats without messages" 10 "this kernel has no messages to others \(there is no "
	make_links
	run stats
	cat >"$tmp/want" <<'TABLE'
KID  NAME     STATE   CHANNEL    SENT  BYTES  RECEIVED  BYTES  INTERRUPTS  WAITS  SPILLS  DROPS
  1  kernel1  up      control    1000  1001B      1006  1007B        2010   1003    1004   6064
  1  kernel1  up      coherency  1018  1019B      1024     1K        2046   1021    1022   6172
  1  kernel1  up      network    1036     1K      1042     1K        2082   1039    1040   6280
  1  kernel1  up      tty        1054     1K      1060     1K        2118   1057    1058   6388
  2  web      broken  control    2000     2K      2006     2K        4010   2003    2004  12064
  2  web      broken  coherency  2018     2K      2024     2K        4046   2021    2022  12172
  2  web      broken  network    2036     2K      2042     2K        4082   2039    2040  12280
  2  web      broken  tty        2054     2K      2060     2K        4118   2057    2058  12388

GROUP    INTERRUPTS  POLLS  EMPTY  SLEEPS  LINGERED  STARVED
thread         2072   2073   2074    2075      2076     2077
softirq        2078   2079   2080    2081      2082     2083
TABLE
	result "stats" 0 ""
	check "stats prints its tables" cmp "$tmp/out" "$tmp/want"
	run stats web
	check "stats of one kernel" eval "! grep -q kernel1 '$tmp/out' && grep -q web '$tmp/out'"
	run stats 10 1
	result "stats of a kernel that was never up" 4 \
		"^popcorn: kernel 10 \(twin\): stats: no messages yet, it was never up$"
	prints "and those of another" "^  1  kernel1"
	run stats 0
	result "stats of this kernel" 4 "no messages yet, it is this kernel itself"
	check "prints nothing then" cmp "$tmp/out" /dev/null
	run stats --json
	result "stats --json" 0 ""
	json "stats --json has the links" \
		"j['self'] == 0 and [(l['kid'], l['name'], l['state']) for l in j['links']] == [(1, 'kernel1', 'up'), (2, 'web', 'broken')]"
	json "stats --json: faults" "[l['fault'] for l in j['links']] == [None, 'bad head']"
	json "stats --json: every counter of every channel" \
		"[v for l in j['links'] for c in l['channels'].values() for v in c.values()] == [*range(1000, 1072), *range(2000, 2072)]"
	json "stats --json: counters of the groups" \
		"[v for g in j['poll'].values() for v in g.values()] == [*range(2072, 2084)]"
	run stats 2 --json
	json "stats --json of one kernel" "[l['kid'] for l in j['links']] == [2]"
	rm "$POPCORN_SYSFS/links/1/tty/rx_late"
	run stats
	result "a counter is missing" 1 "cannot make sense of links/1/tty/rx_late: ''; .* of the same version"
	make_tree
}

# tally PROCESS TGID JOB COMM KERNEL FIRST: a line of what is counted of processes; its
# numbers are FIRST and those that follow
cat >"$tmp/tally.sh" <<'SHELL'
tally() {
	n=$6
	printf 'process=%s origin=0 tgid=%s job=%s comm=%s kernel=%s state=up ended=0' "$1" \
		"$2" "$3" "$4" "$5"
	for key in hits misses messages copies holds impossible unsent adopted rounds \
		pages.plain pages.U pages.NR pages.M 'pages.S*' pages.S pages.I pages.FNR \
		pages.FV pages.FI pages.IR1 pages.IR2 pages.WP1 pages.WP2 pages.WR \
		sent.Fetch sent.Fetch_Write sent.Join sent.Invalid sent.Copy sent.Copy-own \
		sent.Copy_Void sent.Ack sent.Nack read_hits write_hits plain_faults \
		failed_waits read_waits_ns read_waits write_waits_ns write_waits arrived \
		calls home.call home.result home.fault home.signal home.recall files; do
		case $key in
		*_waits) [ $key = failed_waits ] ||
			{ printf ' %s=0,0,0,%d,0,9,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1' $key 90; continue; } ;;
		esac
		printf ' %s=%d' "$key" $n
		n=$((n + 1))
	done
	echo
}
SHELL
# shellcheck source=/dev/null
. "$tmp/tally.sh"

test_stats_of_process() {
	export POPCORN_STATS="$tmp/stats" POPCORN_THREADS="$tmp/threads"
	rm -f "$POPCORN_STATS"
	make_links
	run stats 64
	result "stats of a process, without the table" 10 \
		"no threads on other kernels \(there is no $tmp/stats\)"
	{
		tally 200 100 0 'a\040b' 0 100
		tally 200 100 0 'a\040b' 2 200
		printf '%s\n' 'process=200 origin=0 tgid=100 job=0 comm=a\040b kernel=11 state=down'
		tally 1f0 5 0 '' 0 1
		tally 100 100 0 older 0 1000
	} >"$POPCORN_STATS"
	{
		thread
		thread 200 100 100 home 0 3 20 2 a b
		thread 200 100 101 shadow 2 3 20 2 a b
		thread 200 100 102 shadow 2 3 20 2 a b
		thread 200 90 102 visitor 0 3 20 2 a b
		thread 100 100 101 shadow 2 3 20 2 older
	} >"$POPCORN_THREADS"
	run stats 64
	result "stats of an unknown process" 3 "^popcorn: stats: process 64 has not been on other kernels"
	run stats 63
	result "stats of a kernel that there is not" 3 "there is no kernel '63'"
	run stats 100
	result "stats of a process" 0 ""
	cat >"$tmp/want" <<'TABLE'
Process 100 (a b) of kernel 0
KID  NAME     STATE  THREADS  ARRIVED  CALLS  VISITS
  0  primary  up           1      139    140     573
  2  web      up           2      239    240     973
 11  twin     down         0        0      0       0
TABLE
	check "stats of a process: threads of the newest one" \
		eval "head -n 5 '$tmp/out' | cmp - '$tmp/want'"
	cat >"$tmp/want" <<'TABLE'
Messages sent by type
KID  NAME     Fetch  Fetch_Write  Join  Invalid  Copy  Copy-own  Copy_Void  Ack  Nack   SUM
  0  primary    124          125   126      127   128       129        130  131   132  1152
  2  web        224          225   226      227   228       229        230  231   232  2052
 11  twin         0            0     0        0     0         0          0    0     0     0

Faults
KID  NAME     PLAIN  READ-HITS  WRITE-HITS  READ-WAITS  WRITE-WAITS  FAILED  HOME  FILES  P50  P90   P99
  0  primary    135        133         134         100          100     136   143    146  8us  8us  32us
  2  web        235        233         234         100          100     236   243    246  8us  8us  32us
 11  twin         0          0           0           0            0       0     0      0    -    -     -

Faults by the time that they have waited for a page: up to
 WAITED  READS  WRITES  ALL
    8us    180     180  ########################################
   16us      0       0  -
   32us     18      18  ####
   64us      0       0  -
TABLE
	sed -n '/^Messages/,/ 64us/p' "$tmp/out" >"$tmp/got"
	check "stats of a process: messages and faults" cmp "$tmp/got" "$tmp/want"
	check "stats of a process: the longest" grep -qE '^  >4.2s +2 +2  \.$' "$tmp/out"
	run stats --pid 5
	prints "stats --pid, with a small number" "^Process 5 \(\) of kernel 0$"
	run stats -p 100 --json
	result "stats -p --json" 0 ""
	valid_json "stats -p --json is valid"
	json "stats -p --json: the process" "(j['process'], j['tgid'], j['origin'], j['ended'], j['comm']) == ('200', 100, 0, False, 'a b')"
	json "stats -p --json: kernels" \
		"[(k['kid'], k['name'], k['state'], k['threads']) for k in j['kernels']] == [(0, 'primary', 'up', 1), (2, 'web', 'up', 2), (11, 'twin', 'down', 0)]"
	json "stats -p --json: numbers" \
		"(lambda k: ([*k['pages'].values()], [*k['sent'].values()], [*k['home'].values()], k['calls'], k['hits'], sum(k['read_waits'])) == ([*range(109, 124)], [*range(124, 133)], [*range(141, 146)], 140, 100, 100))(j['kernels'][0])"
	for wrong in x 0 -1 ""; do
		run stats --pid "$wrong"
		result "stats --pid '$wrong'" 2 "stats: --pid: not the number of a process: '$wrong'"
	done
	run stats 100 101
	result "stats of two processes" 2 "stats: one argument too many: '101'"
	run stats -p 5 1
	result "stats of a process and a kernel" 2 "stats: one argument too many: '1'"
	for text in nonsense "process=1 origin=0 tgid=100 job=0 comm=a kernel=64 state=up" \
		"process=1 origin=0 tgid=100 job=0 comm=a kernel=0 state=up ended=0"; do
		echo "$text" >"$POPCORN_STATS"
		run stats 100
		result "stats of a process: not the table: '$text'" 1 \
			"stats: cannot make sense of $tmp/stats; .* of the same version"
	done
	unset POPCORN_STATS POPCORN_THREADS
	make_tree
}

# hot PROCESS TGID KERNEL WORD...: a line of /proc/popcorn/hot
hot() {
	printf 'process=%s origin=0 tgid=%s job=0 comm=a\\040b kernel=%s ' "$1" "$2" "$3"
	shift 3
	echo "$*"
}

# map_binary PID ADDRESS: the process has mapped the command, as a whole, to there
map_binary() {
	mkdir -p "$POPCORN_PROC/$1"
	ln -sfn / "$POPCORN_PROC/$1/root"
	{
		printf '%x-%x r--p 00000000 08:01 %s   %s\n' $(($2)) $(($2 + 0x10000000)) \
			"$(stat -c %i "$bin")" "$bin"
		printf '%x-%x rw-p 00000000 00:00 0\n' $(($2 + 0x20000000)) $(($2 + 0x20001000))
		printf '%x-%x rw-p 00000000 00:00 0   [heap]\n' $(($2 + 0x20001000)) $(($2 + 0x20002000))
	} >"$POPCORN_PROC/$1/maps"
}

# page_of_symbol NAME ADDRESS: where a symbol of the command is then, its page
page_of_symbol() {
	symbol=$(nm "$bin" | awk -v name="$1" '$3 == name { print "0x" $1 }')
	first=$(readelf -lW "$bin" | awk '$1 == "LOAD" { print $3; exit }')
	printf '%x' $((($2 - first + symbol) / 4096 * 4096))
}

test_hot() {
	export POPCORN_HOT="$tmp/hot" POPCORN_PROC="$tmp/proc"
	rm -f "$POPCORN_HOT"
	run stats --hot
	result "stats --hot without a process" 2 "stats: --hot needs a process"
	run stats --hot web
	result "stats --hot of a kernel" 2 "stats: --hot needs a process"
	run stats --hot 64
	result "stats --hot, without the table" 10 "there is no $tmp/hot"
	map_binary 100 0x7f0000000000
	{
		hot 200 100 0 state=up moves=1000
		hot 200 100 0 page=7f0020001000 before=0 reads=1 writes=99 from=1
		hot 200 100 0 page=7f0020000000 before=5 reads=7 writes=0 from=2
		hot 200 100 0 page=1000 before=5 reads=0 writes=1 from=2
		hot 200 100 1 state=up moves=500
		hot 200 100 1 page=7f0020001000 before=0 reads=2 writes=300 from=0,2
		hot 200 100 2 state=silent
		hot 1f0 70 0 state=gone
		hot 1e0 71 0 state=denied
		hot 1d0 72 0 state=up moves=0
		hot 100 100 0 state=up moves=7
		hot 100 100 0 page=5000 before=0 reads=7 writes=0 from=1
	} >"$POPCORN_HOT"
	run stats --hot 64
	result "stats --hot of an unknown process" 3 "process 64 has not been on other kernels"
	run stats --hot 70
	result "stats --hot of one that has ended" 3 "--hot: process 70 has ended"
	run stats --hot 71
	result "stats --hot of another user's" 6 "--hot: process 71 is not yours"
	run stats 72 --hot
	prints "stats --hot: no page" "^Process 72 \(a b\) of kernel 0: pages came to a kernel again 0 times$"
	check "stats --hot: and no table" eval "! grep -q ADDRESS '$tmp/out'"
	run stats --hot 100
	result "stats --hot" 0 ""
	cat >"$tmp/want" <<'TABLE'
Process 100 (a b) of kernel 0: pages came to a kernel again 1500 times
     ADDRESS  MOVES  READS  WRITES  KERNELS        WHERE
7f0020001000    402      3     399  0:100 1:302 2:0  [heap]
7f0020000000      7      7       0  0:7 2:0        [anon]
        1000      1      0       1  0:1 2:0        -

Numbers of kernel 2 are missing: it is silent.
TABLE
	check "stats --hot: pages of the newest one, by how often they have come" \
		eval "tr -s ' ' <'$tmp/want' | sed 's/ *$//' >'$tmp/want1'; tr -s ' ' <'$tmp/out' | cmp - '$tmp/want1'"
	run stats --hot --json -p 100
	result "stats --hot --json" 0 ""
	valid_json "stats --hot --json is valid"
	json "stats --hot --json: kernels" \
		"[(k['kid'], k['state'], k['moves']) for k in j['kernels']] == [(0, 'up', 1000), (1, 'up', 500), (2, 'silent', 0)]"
	json "stats --hot --json: the hottest page" \
		"(lambda p: (p['address'], p['moves'], p['mapping'], p['symbol'], [(k['kid'], k['reads'], k['writes'], k['from']) for k in p['kernels']]) == ('7f0020001000', 402, '[heap]', None, [(0, 1, 99, [1]), (1, 2, 300, [0, 2]), (2, 0, 0, [])]))(j['pages'][0])"
	if command -v readelf >/dev/null && nm "$bin" 2>/dev/null | grep -q ' main$'; then
		page=$(page_of_symbol main 0x7f0000000000)
		hot 200 100 0 state=up moves=9 >"$POPCORN_HOT"
		hot 200 100 0 "page=$page before=0 reads=9 writes=0 from=1" >>"$POPCORN_HOT"
		run stats --hot 100
		prints "stats --hot: a symbol" "^$page +9 +9 +0  0:9 1:0  $bin: [a-zA-Z_.0-9]+(\+0x[0-9a-f]+)?( and [0-9]+ more)?$"
		echo "not an image" >"$tmp/text"
		sed -i "s#[0-9]*   $bin#$(stat -c %i "$tmp/text")   $tmp/text#" "$POPCORN_PROC/100/maps"
		run stats --hot 100
		prints "stats --hot: a file without symbols" "  $tmp/text$"
	else
		skip "stats --hot: a symbol" "no symbols, or no nm and readelf"
		skip "stats --hot: a file without symbols" "no symbols, or no nm and readelf"
	fi
	for text in nonsense "$(hot 200 100 64 state=up moves=1)" "$(hot 200 100 0 state=up)" \
		"$(hot 200 100 0 page=1000 reads=1 from=1)" \
		"$(hot 200 100 0 page=1000 reads=1 writes=1 from=64)"; do
		echo "$text" >"$POPCORN_HOT"
		run stats --hot 100
		result "stats --hot: not the table: '$text'" 1 "stats: cannot make sense of $tmp/hot"
	done
	unset POPCORN_HOT POPCORN_PROC
}

# ping_says TEXT CODE REGEX ERRNO ARGUMENT...: ping with an answer of the kernel
ping_says() {
	text=$1 want=$2 regex=$3 err=$4
	shift 4
	# PCN_IOC_PING
	answer "$text" "$want" "$regex" ioctl "$err" 1=0xc018bc00 -- ping "$@"
}

test_exec() {
	run exec 1
	result "exec without a command" 2 "exec: an argument is missing"
	run exec nobody true
	result "exec on an unknown kernel" 3 "exec: there is no kernel 'nobody'"
	rm -rf "$POPCORN_SYSFS/vsock"
	run exec 1 true -h
	result "exec without sockets" 10 "exec: this kernel has no sockets to others"
	mkdir "$POPCORN_SYSFS/vsock"
	echo 0 >"$POPCORN_SYSFS/vsock/rx_late"
	run exec 1 "$(head -c 70000 /dev/zero | tr '\0' x)"
	result "exec of a command that is too long" 2 "exec: the command has more than 65536 bytes"
	rm -rf "$POPCORN_SYSFS/vsock"
	run exec --help
	result "exec --help" 0 ""
	prints "exec --help tells of --wait" "--wait +wait for the kernel"
	run agent 1
	result "agent with an argument" 2 "agent: one argument too many"
}

test_ssh() {
	export HOME="$tmp/home"
	mkdir -p "$HOME" "$tmp/bin"
	printf '#!/bin/sh\necho ssh-ed25519 %s popcorn >"$9".pub\n' "$(printf %068d 0)" \
		>"$tmp/bin/ssh-keygen"
	chmod +x "$tmp/bin/ssh-keygen"
	run ssh
	result "ssh without a kernel" 2 "ssh: an argument is missing"
	run ssh nobody
	result "ssh to an unknown kernel" 3 "ssh: there is no kernel 'nobody'"
	run ssh --config
	result "ssh --config" 0 ""
	prints "which makes ssh ask popcorn" 'exec "popcorn ssh --prepare %n"'
	check "and is what ssh understands" eval '! command -v ssh >/dev/null ||
		ssh -G -F "$tmp/out" somewhere >/dev/null'
	for host in kernelx kernel99 other 1; do
		run ssh --prepare $host
		check "ssh --prepare $host: no kernel" [ "$code" = 3 ]
	done
	for key in x "ssh-ed25519 short" "ssh-ed25519 $(printf %068d 0) comment" "$(printf 'a\nb')"; do
		run ssh --serve "$key"
		result "ssh --serve with what is no key" 2 "needs a public key"
	done
	rm -rf "$POPCORN_SYSFS/vsock"
	PATH="$tmp/bin:$PATH" run ssh 1
	result "ssh without sockets" 10 "exec: this kernel has no sockets to others"
	check "a key was made" grep -q "^ssh-ed25519 0" "$HOME/.ssh/popcorn.pub"
	check "where nobody else looks" [ "$(stat -c %a "$HOME/.ssh")" = 700 ]
	echo "no key" >"$HOME/.ssh/popcorn.pub"
	run ssh 1
	result "ssh with a key that is none" 1 "popcorn.pub is no public key"
}

test_console() {
	run console
	result "console without a kernel" 2 "console: an argument is missing"
	run console nobody
	result "console of an unknown kernel" 3 "console: there is no kernel 'nobody'"
	run console 0
	result "console of this kernel" 2 "kernel 0 \\(primary\\): console: that is this kernel itself$"
}

test_ping() {
	make_links
	run ping
	result "ping without a kernel" 2 "ping: an argument is missing"
	run ping nobody
	result "ping of an unknown kernel" 3 "ping: there is no kernel 'nobody'"
	run ping 0
	result "ping of this kernel" 2 "^popcorn: kernel 0 \(primary\): ping: that is this kernel itself$"
	for wrong in "-c 0" "-c x" "-c -1" "-i -1" "-i 1e3" "-i 1.2.3" "-i 86401" "-s -1" \
		"-s 4294967296" "-s 1k" "-W 0" "-W x"; do
		# shellcheck disable=SC2086
		run ping 1 $wrong
		result "ping $wrong" 2 "^popcorn: ping: ${wrong%% *}: not a .*'${wrong#* }'$"
	done
	run ping 1 --channel disk
	result "ping: wrong channel" 2 \
		"there is no channel 'disk'; there are control, coherency, network, tty"
	export POPCORN_DEVICE="$tmp/nothing"
	run ping 1
	result "ping without the device" 10 "this kernel has no messages to others \(there is no $tmp/nothing\)"
	export POPCORN_DEVICE=/dev/null
	run ping 1 -c 1
	result "ping: not our device" 1 "kernel 1: ping: Inappropriate ioctl"
	ping_says "ping: it is not up" 4 "^popcorn: kernel 1: ping: it is not up \(seq=2\)$" 112 1 -c 2 -i 0
	ping_says "ping: broken" 1 \
		"kernel 2 \(web\): ping: messages with it are broken \(bad head\); .*popcorn restart 2" 71 web -c 1
	ping_says "ping: time limit" 7 "ping: no answer within the limit \(seq=1\)" 110 1 -c 1
	ping_says "ping: other bytes" 1 "what came back is not what was sent" 74 1 -c 1
	ping_says "ping: too large" 2 "so many bytes are too many for this channel" 22 1 -s 99999
	ping_says "ping: no such kernel" 3 "kernel 1: ping: there is no such kernel" 19 1
	ping_says "ping" 0 "" 0 1 -c 3 -i 0.1
	if [ "$can_inject" ]; then
		sed 's/time [0-9]* ms/time X ms/' "$tmp/out" >"$tmp/got"
		cat >"$tmp/want" <<'LINES'
PING kernel 1 (kernel1): 64 bytes on channel control
64 bytes from kernel 1 (kernel1): seq=1 time=0.000 ms
64 bytes from kernel 1 (kernel1): seq=2 time=0.000 ms
64 bytes from kernel 1 (kernel1): seq=3 time=0.000 ms

--- kernel1 ping statistics ---
3 messages sent, 3 received, 0% lost, time X ms
rtt min/avg/max/mdev = 0.000/0.000/0.000/0.000 ms
LINES
		check "ping prints as ping does" cmp "$tmp/got" "$tmp/want"
		check "ping -i is an interval" grep -q "time 2[0-9][0-9] ms" "$tmp/out"
		inject ioctl 0 1=0xc018bc00 -- ping -q web -c 2 -i 0 -s 0 --channel tty
		check "ping -q prints no replies" eval "grep -q '^PING kernel 2 (web): 0 bytes on channel tty' \
			'$tmp/out' && ! grep -q 'bytes from' '$tmp/out'"
		run_command interrupted python3 "$tmp/inject.py" ioctl 112 1=0xc018bc00 -- \
			"$bin" ping 1 -i 600
		check "an interrupt ends ping with its summary" \
			grep -q "^1 messages sent, 0 received, 100% lost" "$tmp/out"
		echo 3 >"$POPCORN_SYSFS/self"
		inject ioctl 0 1=0xc018bc00 -- ping 5 -c 1
		check "a secondary pings by number" grep -q "^--- kernel 5 ping statistics" "$tmp/out"
		echo 0 >"$POPCORN_SYSFS/self"
	else
		for text in "ping prints as ping does" "ping -i is an interval" \
			"ping -q prints no replies" "an interrupt ends ping with its summary" \
			"a secondary pings by number"; do
			skip "$text" "no python3, seccomp or x86_64"
		done
	fi
	unset POPCORN_DEVICE
	make_tree
}

# thread [PROCESS TGID TID ROLE KERNEL MIGRATIONS CALLS VISITS MEMORY COMM]: a line of the
# table of threads; its first line without arguments
thread() {
	echo "${*-}" | sed 's/^$/process tgid tid role kernel migrations calls visits memory comm/'
}

test_ps() {
	export POPCORN_THREADS="$tmp/threads"
	rm -f "$POPCORN_THREADS"
	run ps
	result "ps without the table" 10 "no threads on other kernels \(there is no $tmp/threads\)"
	thread >"$POPCORN_THREADS"
	run ps
	echo "PROCESS  TGID  TID  ROLE  KERNEL  MIGRATIONS  CALLS  VISITS  MEMORY  COMM" >"$tmp/want"
	result "ps without threads" 0 ""
	check "ps without threads prints a header" cmp "$tmp/out" "$tmp/want"
	run ps --json
	json "ps --json without threads" "j == []"
	{
		thread
		thread 200000000000001 77 79 visitor 0 0 0 0 coherent web server
		thread 2 90 100 home 0 3 20 2 replicated bash
		thread 2 90 90 shadow 2 1 0 0 replicated ""
		thread 2 90 99 shadow 1 11 12345 6 replicated 'a
b  c)'
	} >"$POPCORN_THREADS"
	cat >"$tmp/want" <<'TABLE'
        PROCESS  TGID  TID  ROLE     KERNEL  MIGRATIONS  CALLS  VISITS  MEMORY      COMM
              2    90   90  shadow        2           1      0       0  replicated  -
              2    90   99  shadow        1          11  12345       6  replicated  a?b  c)
              2    90  100  home          0           3     20       2  replicated  bash
200000000000001    77   79  visitor       0           0      0       0  coherent    web server
TABLE
	run ps
	result "ps" 0 ""
	check "ps prints a table, ordered by process and thread" cmp "$tmp/out" "$tmp/want"
	run ps --json
	valid_json "ps --json is valid"
	json "ps --json has all threads in order" "[t['tid'] for t in j] == [90, 99, 100, 79]"
	json "ps --json: members" "j[1] == {'process': '2', 'tgid': 90, 'tid': 99, 'role': 'shadow',
		'kernel': 1, 'migrations': 11, 'calls': 12345, 'visits': 6, 'memory': 'replicated', 'comm': 'a\\nb  c)'}"
	json "ps --json: no number is too large" "j[3]['process'] == '200000000000001'"
	for text in "process tid" "" "$(thread)
nonsense"; do
		printf '%s' "$text" >"$POPCORN_THREADS"
		run ps
		result "ps: not the table: '$(echo "$text" | tail -n 1)'" 1 \
			"ps: cannot make sense of $tmp/threads; .* of the same version"
	done
	unset POPCORN_THREADS
}

# places TEXT LIST OPTION...: run with these options has this placement
places() {
	text=$1 want=$2
	shift 2
	run run --dry-run "$@" true
	check "run: $text" eval "[ $code -eq 0 ] && grep -qx 'placement: $want' '$tmp/out'"
}

# repeat COUNT KID: the list of that many times the same kernel
repeat() {
	yes "$2" | head -n "$1" | paste -s -d , -
}

test_placement() {
	attr 1 state running
	places "all that run, by default" 0,1,2
	places "--spread is the same" 0,1,2 --spread
	places "--kernels" 2,0 --kernels 2,0
	places "--kernels, ranges" 0,1,2 --kernels 0-1,2-2
	places "--kernels, names" 2,0,1 --kernels web,primary,kernel1
	places "--pin, with repeats" 1,1,0,2,1 --pin 1,1,0,web,1
	places "--pin, the longest list" "$(repeat 64 2)" --pin "$(repeat 64 2)"
	places "--pack" 1,1,2,2,2 --pack --kernels 1,2
	places "--pack, in the order of --kernels" 2,2,2,1,1 --pack --kernels 2,1
	cpus=$(getconf _NPROCESSORS_ONLN)
	if [ "$cpus" -le 59 ]; then
		places "--pack, with this kernel's own CPUs" "$(repeat "$cpus" 0),1,1,2,2,2" --pack
	else
		skip "run: --pack, with this kernel's own CPUs" "too many CPUs"
	fi
	run run --dry-run --pin 1 sh -c "echo 'a b'" "" --stats
	result "run --dry-run" 0 ""
	cat >"$tmp/want" <<'LINES'
placement: 1
command: sh -c 'echo '\''a b'\''' '' --stats
LINES
	check "run --dry-run prints placement and command" cmp "$tmp/out" "$tmp/want"
	run run --dry-run --kernels 0 --memory coherent true
	prints "run: --memory" "^memory: coherent$"
	run run --dry-run --kernels 0 -- true --help
	prints "run: -- ends its options" "^command: true --help$"
	mkdir "$tmp/others"
	mv "$kernels"/[!2] "$kernels"/1? "$tmp/others"
	echo 2 >"$POPCORN_SYSFS/self"
	link 0 up
	link 1 down
	link 3 up
	places "on a secondary: itself first, then those with a link" 2,0,3
	places "on a secondary, by number" 0,2 --kernels 0,2
	run run --dry-run --kernels 0,1 true
	result "run: no link to a kernel" 4 "kernel 1: run: it is not running \(down\)"
	run run --dry-run --pack --kernels 0,2 true
	result "run: --pack on a secondary" 1 "cannot tell how many CPUs kernel 0 has; only the primary"
	make_tree
}

test_placement_errors() {
	attr 1 state running
	run run
	result "run without a program" 2 "run: an argument is missing"
	run run --kernels 0
	result "run with options only" 2 "run: an argument is missing"
	for list in "" "," "0," 0,,1 2-0 0- 0-1-2 0-x; do
		run run --dry-run "--pin=$list" true
		result "run --pin='$list'" 2 \
			"^popcorn: run: --pin: not a list of kernels such as .*: '$list'$"
	done
	run run --dry-run --kernels 1,web,2 true
	result "run: a kernel twice" 2 "--kernels: kernel 2 is in the list twice; only --pin"
	run run --dry-run --pin "$(repeat 65 0)" true
	result "run: too long a list" 2 "cannot have more than 64 entries"
	attr 1 cpus 100-170
	run run --dry-run --pack --kernels 1 true
	result "run: --pack with too many CPUs" 2 "cannot have more than 64 entries"
	attr 1 cpus 2-x
	run run --dry-run --pack --kernels 1 true
	result "run: malformed CPU list" 1 "run: --pack: cannot tell how many CPUs kernel 1 has$"
	for options in "--spread --pack" "--pack --pin 0" "--spread --pin 0"; do
		# shellcheck disable=SC2086
		run run --dry-run $options true
		result "run $options" 2 "only one of --spread, --pack and --pin"
	done
	run run --dry-run --pin 0 --kernels 0 true
	result "run --pin --kernels" 2 "--kernels is not possible with it"
	run run --dry-run --memory shared true
	result "run --memory=shared" 2 "--memory is coherent or replicated, not 'shared'"
	run run --dry-run --memory coherent --auto true
	result "run --memory=coherent --auto" 2 "--auto is for replicated memory"
	run run --dry-run --kernels 0,nobody true
	result "run: unknown kernel" 3 "run: there is no kernel 'nobody'"
	run run --dry-run --pin 1-3 true
	result "run: unknown kernel in a range" 3 "run: there is no kernel '3'"
	run run --dry-run --pin 0,11 true
	result "run: not running" 4 \
		"^popcorn: kernel 11 \(twin\): run: it is not running \(loaded\); to start it: popcorn start 11$"
	make_tree
}

# A program for run --stats: it writes what the kernel would say of it, of a program
# that it has placed by itself, and of others
cat >"$tmp/placed.sh" <<'SHELL'
cat >"$POPCORN_JOBS" <<JOBS
job=9 parent=8 pid=77 ended=0 processes=3 asked=1:1 placed=
job=8 parent=0 pid=$$ ended=0 processes=1 asked=0:2,2:3 placed=0:2,2:3
job=7 parent=0 pid=$$ ended=1 processes=0 asked=0:100 placed=0:100
JOBS
. "$0.tally"
{
	tally 3 90 9 sleep 0 1
	tally 3 90 9 sleep 2 1000
	echo "process=3 origin=0 tgid=90 job=9 comm=sleep kernel=11 state=down"
	tally 2 $$ 8 sh 0 10000
	tally 1 91 7 other 0 1
} >"$POPCORN_STATS"
echo done
exit 7
SHELL

# A program for run --auto: its thread on kernel 2 waits for pages so many thousandths of
# the time, for 4 s. It says which CPUs it may use then
cat >"$tmp/waits.sh" <<'SHELL'
. "$0.tally"
echo "job=8 parent=0 pid=$$ ended=0 processes=1 asked=0:1,2:1 placed=0:1,2:1" >"$POPCORN_JOBS"
began=$(date +%s%N)
for i in $(seq 20); do
	# The same for reads and writes
	ns=$((($(date +%s%N) - began) / 2000 * $1))
	{
		tally 2 $$ 8 sh 0 999999999999
		tally 2 $$ 8 sh 2 $ns
	} >"$POPCORN_STATS.new"
	mv "$POPCORN_STATS.new" "$POPCORN_STATS"
	sleep 0.2
done
sed -n 's/^Cpus_allowed_list:[[:space:]]*/may use /p' /proc/self/status
exit 7
SHELL

test_auto() {
	export POPCORN_HOT="$tmp/hot" POPCORN_THREADS="$tmp/threads"
	cp "$tmp/tally.sh" "$tmp/waits.sh.tally"
	attr 2 state running
	attr 0 cpus 0
	cpus=$(getconf _NPROCESSORS_ONLN)
	attr 2 cpus "100-$((99 + cpus))"
	{
		thread
		thread 2 1 1 home 0 1 1 1 replicated sh
		thread 2 1 2 shadow 2 1 1 1 replicated sh
	} >"$POPCORN_THREADS"
	: >"$POPCORN_JOBS"
	: >"$POPCORN_STATS"
	rm -f "$POPCORN_HOT"
	answer "run --auto: no table of hot pages" 10 "there is no $tmp/hot" \
		popcorn_place 0 -- run --auto --kernels 0,2 true
	: >"$POPCORN_HOT"
	answer "run --auto: no such program" 127 "run: cannot execute" \
		popcorn_place 0 -- run --auto --kernels 0,2 "$tmp/nothing"
	inject popcorn_place 0 -- run --auto --kernels 0,2 sh "$tmp/waits.sh" 400
	result "run --auto: less waiting than half of the time" 7 ""
	: >"$POPCORN_STATS"
	inject popcorn_place 0 -- run --auto --kernels 0,2 sh "$tmp/waits.sh" 900
	result "run --auto: more than half" 7 \
		"^popcorn: run: --auto: threads of sh \([0-9]+\) .* for [5-9][0-9] % of the time: .* on kernel 0; the hottest page: not known$"
	check "run --auto: it says so once" [ "$(wc -l <"$tmp/err")" = 1 ]
	check "run --auto: the threads are bound to the home" grep -qx "may use 0" "$tmp/out"
	: >"$POPCORN_STATS"
	attr 2 cpus "100-$((99 + 9 * cpus))"
	inject popcorn_place 0 -- run --auto --kernels 0,2 sh "$tmp/waits.sh" 750
	result "run --auto: a tenth of ten times the CPUs is as much" 7 ""
	: >"$POPCORN_STATS"
	inject popcorn_place 0 -- run --auto --stats --kernels 0,2 sh "$tmp/waits.sh" 0
	result "run --auto --stats" 7 "^KID  NAME"
	unset POPCORN_HOT POPCORN_THREADS
}

# The tests of run that need answers to its system call
test_run_answered() {
	attr 1 state running
	# shellcheck disable=SC2016
	inject popcorn_place 0 1=3 -- run sh -c 'echo "$0 $1 $PPID"; exit 5' "a b" --stats
	result "run: exit status of the program" 5 ""
	prints "run: in place of the command, with its arguments" "^a b --stats $$\$"
	answer "run --pin: length of the list" 0 "" popcorn_place 0 1=5 -- run --pin 1,1,0,2,2 true
	answer "run: no such system call" 10 "this kernel cannot place threads" popcorn_place 38 -- run true
	answer "run: a kernel went down" 4 "to place threads on is not up" popcorn_place 112 -- run true
	answer "run: other errors" 1 "run: cannot place threads: Cannot allocate memory" \
		popcorn_place 12 -- run true
	answer "run: no such program" 127 "run: cannot execute $tmp/nothing: No such file" \
		popcorn_place 0 -- run "$tmp/nothing"
	answer "run: a directory as program" 126 "run: cannot execute $tmp: Permission denied" \
		popcorn_place 0 -- run "$tmp"
	export POPCORN_JOBS="$tmp/jobs" POPCORN_STATS="$tmp/stats"
	rm -f "$POPCORN_JOBS"
	: >"$POPCORN_STATS"
	answer "run --stats without the table" 10 "no threads on other kernels" \
		popcorn_place 0 -- run --stats true
	: >"$POPCORN_JOBS"
	answer "run --stats: no such system call" 10 "this kernel cannot place threads" \
		popcorn_place 38 -- run --stats true
	answer "run --stats: no such program" 127 "run: cannot execute" \
		popcorn_place 0 -- run --stats "$tmp/nothing"
	check "run --stats: no table then" eval "! grep -q KID '$tmp/err'"
	cp "$tmp/tally.sh" "$tmp/placed.sh.tally"
	inject popcorn_place 0 1=3 -- run --stats sh "$tmp/placed.sh"
	cat >"$tmp/want" <<'TABLE'
KID  NAME     ASKED  PLACED  MIGRATIONS  CALLS  VISITS
  0  primary      2       2       10079  10081   40350
  1  kernel1      1       0           0      0       0
  2  web          3       3        1039   1040    4173
 11  twin         0       0           0      0       0

Pages by state
KID  NAME     plain      U     NR      M     S*      S      I    FNR     FV     FI    IR1    IR2    WP1    WP2     WR     SUM
  0  primary  10019  10021  10023  10025  10027  10029  10031  10033  10035  10037  10039  10041  10043  10045  10047  150495
  2  web       1009   1010   1011   1012   1013   1014   1015   1016   1017   1018   1019   1020   1021   1022   1023   15240
 11  twin         0      0      0      0      0      0      0      0      0      0      0      0      0      0      0       0
TABLE
	result "run --stats: exit status of the program" 7 "KID"
	check "run --stats: its table, on standard error" \
		eval "head -n 11 '$tmp/err' | cmp - '$tmp/want'"
	check "run --stats: processes that are forgotten" \
		grep -qx "Only the last 2 of 4 processes are still known." "$tmp/err"
	check "run --stats: a kernel that is down" \
		grep -qx "Numbers of kernel 11 are missing: it is down." "$tmp/err"
	check "run --stats: the output is the program's" grep -qx "done" "$tmp/out"
	: >"$POPCORN_JOBS"
	answer "run --stats: the job is forgotten" 0 "does not know any more what its threads" \
		popcorn_place 0 -- run --stats true
	echo "job=1 parent=0 pid=1 processes=0 asked=0-1 placed=" >"$POPCORN_JOBS"
	answer "run --stats: no sense" 1 "run: cannot make sense of $tmp/jobs; .* of the same version" \
		popcorn_place 0 -- run --stats true
	: >"$POPCORN_JOBS"
	# shellcheck disable=SC2016
	answer "run --stats: the program is killed" 137 "does not know" popcorn_place 0 -- \
		run --stats sh -c 'kill -KILL $$'
	# shellcheck disable=SC2016
	answer "run --stats: signals are passed on" 9 "does not know" popcorn_place 0 -- \
		run --stats sh -c 'trap "exit 9" TERM; kill $PPID
			for i in 1 2 3 4 5 6 7 8 9; do sleep 0.1; done'
	test_auto
	unset POPCORN_JOBS POPCORN_STATS
	make_tree
}

test_run() {
	if [ "$can_inject" ]; then
		test_run_answered
		return
	fi
	answered=$((number + RUN_ANSWERED))
	while [ $number -lt $answered ]; do
		skip "run" "no python3, seccomp or x86_64"
	done
}

test_permissions() {
	chmod 444 "$kernels/1/state"
	refused "start by nobody" 6 "kernel 1: start: not permitted; do it as root" start 1
	chmod 400 "$kernels/1/log"
	[ "$(id -u)" -eq 0 ] || chmod 0 "$kernels/1/log"
	refused "log by nobody" 6 "kernel 1: log: not permitted" log 1
	refused "list by nobody" 0 "" list
}

have_python=$(command -v python3)
can_inject=
if [ "$have_python" ] && [ "$(uname -m)" = x86_64 ] &&
   python3 "$tmp/inject.py" write 1 -- "$bin" --version >/dev/null 2>&1; then
	can_inject=yes
fi

echo "TAP version 13"
echo "1..$PLAN"
# An nft that keeps what it is told, and parameters that are files
test_net() {
	run net down
	result "net with another word" 2 "net: it can be 'up' or 'hosts', and not 'down'"
	run net --masquerade --no-masquerade
	result "net with two options that exclude each other" 2 "not both"
	run net hosts --masquerade
	result "net hosts with an option" 2 "does nothing else"
	run net hosts
	result "net hosts" 0 ""
	prints "the first name" "^10.77.0.1 kernel0$"
	prints "the last one" "^fd70:6f70:636f:726e::40 kernel63$"
	run net up
	result "net up without an interface" 10 "there is no interface pcn0"

	echo 1 >"$POPCORN_SYSFS/self"
	run net --masquerade
	result "masquerading on a secondary" 4 "only the primary routes"
	echo 0 >"$POPCORN_SYSFS/self"
	run_command env PATH=/nowhere "$bin" net --masquerade
	result "masquerading without nft" 1 "install nftables"

	mkdir -p "$tmp/path" "$tmp/sys/net/ipv4" "$tmp/sys/net/ipv6/conf/all" \
		"$tmp/sys/net/ipv6/conf/eth0" "$tmp/sys/net/ipv6/conf/eth1" \
		"$tmp/sys/net/ipv6/conf/pcn0"
	echo 0 >"$tmp/sys/net/ipv4/ip_forward"
	echo 0 >"$tmp/sys/net/ipv6/conf/all/forwarding"
	echo 1 >"$tmp/sys/net/ipv6/conf/eth0/accept_ra"
	echo 0 >"$tmp/sys/net/ipv6/conf/eth1/accept_ra"
	echo 1 >"$tmp/sys/net/ipv6/conf/pcn0/accept_ra"
	printf '#!/bin/sh\ncat >%s/rules\nexit $(cat %s/status)\n' "$tmp" "$tmp" >"$tmp/path/nft"
	chmod +x "$tmp/path/nft"
	echo 0 >"$tmp/status"
	run_command env PATH="$tmp/path:$PATH" POPCORN_SYSCTL="$tmp/sys" "$bin" net --masquerade
	result "masquerading" 0 ""
	check "has a rule" grep -q 'ip saddr 10.77.0.0/24 oifname != "pcn0" masquerade' "$tmp/rules"
	check "forwards" [ "$(cat "$tmp/sys/net/ipv4/ip_forward" \
		"$tmp/sys/net/ipv6/conf/all/forwarding" | tr -d '\n')" = 11 ]
	check "still listens to routers, where it did" [ "$(cat \
		"$tmp"/sys/net/ipv6/conf/eth*/accept_ra | tr -d '\n')" = 20 ]
	check "but not to other kernels" [ "$(cat "$tmp/sys/net/ipv6/conf/pcn0/accept_ra")" = 1 ]
	run_command env PATH="$tmp/path:$PATH" POPCORN_SYSCTL="$tmp/sys" \
		"$bin" net --masquerade <&-
	result "masquerading with no stdin" 0 ""
	check "has the rule" grep -q masquerade "$tmp/rules"
	run_command env PATH="$tmp/path:$PATH" POPCORN_SYSCTL="$tmp/sys" "$bin" net --no-masquerade
	result "an end of it" 0 ""
	check "takes the table away" [ "$(tail -n 1 "$tmp/rules")" = "delete table inet popcorn" ]
	echo 1 >"$tmp/status"
	run_command env PATH="$tmp/path:$PATH" POPCORN_SYSCTL="$tmp/sys" "$bin" net --masquerade
	result "an nft that fails" 1 "nft has failed"
}

make_tree
test_usage
test_absent
test_list
test_status
test_names
test_control
test_control_errors
test_files
test_images
test_load
test_root
test_log
test_stats
test_stats_of_process
test_hot
test_console
test_exec
test_net
test_ssh
test_ping
test_ps
test_placement
test_placement_errors
test_run
test_permissions

if [ $number -ne $PLAN ]; then
	echo "# planned $PLAN tests but did $number"
	failed=$((failed + 1))
fi
echo "# $((number - failed)) passed, $failed failed"
[ $failed -eq 0 ]

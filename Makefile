# SPDX-License-Identifier: GPL-2.0
#
# Popcorn: several Linux kernels on one machine. The work is done by scripts/.

help:
	@echo 'make run           build all, boot two kernels and show them'
	@echo 'make shell         the same, ending in a shell on the primary'
	@echo 'make check         build all, run every test'
	@echo 'make bench         build all, measure'
	@echo "make bench-debian  build all, measure programs of Debian's packages"
	@echo 'make check-deep    explore the coherency protocols with four kernels'
	@echo 'make soak          the long versions of some tests, and tests on the debug kernel'
	@echo
	@echo 'make deps          install the packages that the build needs'
	@echo 'make source        make the merged kernel tree build/src'
	@echo 'make build         build the kernel and the popcorn command'
	@echo 'make build-debug   build the debug kernel'
	@echo 'make check-series  build after each patch, check patches and sizes'
	@echo 'make clean         remove what was built'
	@echo
	@echo 'KERNEL_SRC=DIR     take a 6.12.y kernel tree instead of the'
	@echo '                   linux-source-6.12 package'

deps:
	@scripts/deps

source: deps
	@scripts/prepare

build: source
	@scripts/build

build-debug: source
	@scripts/build debug

run: build
	@scripts/run

shell: build
	@scripts/vm

check: build
	@scripts/check

bench: build
	@scripts/bench
	@scripts/bench-light
	@scripts/bench-messages
	@scripts/bench-ways
	@scripts/bench-net
	@scripts/bench-programs
	@scripts/bench-tax

bench-debian: build
	@scripts/deps bench
	@scripts/bench-debian

soak: build build-debug
	@LONG=1 scripts/check 30-kunit 40-boot 45-debian-root 50-cycle 53-corrupt 70-programs \
		71-progress guest-litmus guest-growth guest-hostile guest-fuzz guest-storm guest-records \
		guest-memory guest-messages guest-vsock guest-ssh guest-many guest-root guest-net-load
	@KIND=debug scripts/check messages link-death garbage hostile window pages abi ping threads memory stats \
		litmus growth cases frames records fuzz storm deaths protocols guest-root guest-net-load
	@MEMORY=coherent scripts/check guest-litmus guest-fuzz guest-storm guest-hostile \
		guest-affinity guest-cases guest-threads-late
	@scripts/build kasan
	@KIND=kasan scripts/check messages garbage pages abi ping cases frames records direct
	@KIND=kasan LONG=1 scripts/check guest-kills

check-deep:
	@tools/popcorn/check/deep.sh

check-series: source
	@scripts/check-series

clean:
	rm -rf build/base build/base.* build/src build/src.* build/kernel* \
		build/tools build/vm build/check* build/ring build/bench \
		build/series build/stage.*

export KERNEL_SRC

.PHONY: help deps source build build-debug run shell check bench bench-debian soak \
	check-deep check-series clean

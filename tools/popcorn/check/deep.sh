#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The page coherency protocols with four kernels, and more of coherent memory: minutes, and
# up to 10 GiB.

cd "$(dirname "$0")/../../.." || exit
out=$PWD/build/check-proto
mkdir -p "$out"
make -s -C tools/popcorn/check O="$out" && "$out/check" mirror deep &&
	exec "$out/check" --memory 10240 --time 7200 sound deep

#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# What static analysers say about the protocols; nothing, that is the idea.
# (sparse runs in the kernel build: make C=2 mm/popcorn/)

cd "$(dirname "$0")/../../.." || exit
flags=(-Itools/popcorn/check -Iinclude -Imm/popcorn)
said=$(for name in proto proto_owner proto_vote; do
	cppcheck --quiet --enable=warning,style,performance,portability \
		"${flags[@]}" "mm/popcorn/$name.c" 2>&1
	clang-tidy --quiet -checks='-*,clang-analyzer-*,bugprone-*,-bugprone-easily-swappable-parameters,-bugprone-narrowing-conversions' \
		"mm/popcorn/$name.c" -- -std=gnu11 "${flags[@]}" 2>/dev/null
done)
[ -z "$said" ] || { echo "$said"; exit 1; }

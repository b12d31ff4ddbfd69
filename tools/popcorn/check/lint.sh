#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# What static analysers say about the protocols and the rule of holding; nothing, that is
# the idea.

cd "$(dirname "$0")/../../.." || exit
for tool in sparse cppcheck clang-tidy; do
	command -v $tool >/dev/null || { echo "$tool is missing"; exit 1; }
done
flags=(-Itools/popcorn/check -Iinclude -Imm/popcorn)
said=$(for name in proto proto_owner proto_vote hold; do
	sparse -std=gnu11 "${flags[@]}" "mm/popcorn/$name.c" 2>&1
	cppcheck --quiet --enable=warning,style,performance,portability \
		"${flags[@]}" "mm/popcorn/$name.c" 2>&1
	clang-tidy --quiet -checks='-*,clang-analyzer-*,bugprone-*,-bugprone-easily-swappable-parameters,-bugprone-narrowing-conversions' \
		"mm/popcorn/$name.c" -- -std=gnu11 "${flags[@]}" 2>/dev/null
done)
[ -z "$said" ] || { echo "$said"; exit 1; }

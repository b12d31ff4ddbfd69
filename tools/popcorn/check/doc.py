#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Keeps tables and diagrams in Documentation/popcorn/protocol.rst those of the code.

    doc.py --check CHECK     fail, with a diff, if they are not
    doc.py --write CHECK     put them in
    doc.py --svg CHECK DIR   draw the state diagrams into DIR (needs dot)

CHECK is the checker, which prints the tables that the kernel uses.
"""
import difflib
import subprocess
import sys
from pathlib import Path

TEXT = Path(__file__).resolve().parents[3] / "Documentation/popcorn/protocol.rst"
BEGIN = ".. begin of what the checker prints\n"
PROTOCOLS = ("owner", "vote")
END = ".. end of what the checker prints\n"


def printed(check, *words):
    return subprocess.run([check, *words], check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def draw(check, where):
    for name in PROTOCOLS:
        subprocess.run(["dot", "-Tsvg", "-o", f"{where}/{name}.svg"],
                       input=printed(check, "dot", name), text=True,
                       check=True)


def main(mode, check, where="."):
    if mode == "--svg":
        draw(check, where)
        return 0
    text = TEXT.read_text()
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    new = "\n" + printed(check, "tables") + END
    if mode == "--write":
        TEXT.write_text(before + BEGIN + new + after)
        return 0
    sys.stdout.writelines(difflib.unified_diff(
        (old + END).splitlines(True), new.splitlines(True), "protocol.rst",
        "the code"))
    return old + END != new


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in ("--check", "--write",
                                                          "--svg"):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))

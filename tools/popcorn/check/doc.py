#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Keeps the tables in Documentation/popcorn/protocol.rst those of the code.

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
END = ".. end of what the checker prints\n"


def printed(check, *words):
    return subprocess.run([check, *words], check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def main(mode, check, where=None):
    if mode == "--svg":
        for name in ("owner", "vote"):
            subprocess.run(["dot", "-Tsvg", "-o", f"{where}/{name}.svg"],
                           input=printed(check, "dot", name), text=True,
                           check=True)
        return 0
    text = TEXT.read_text()
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    new = "\n" + printed(check, "tables")
    if mode == "--write":
        TEXT.write_text(before + BEGIN + new + END + after)
        return 0
    sys.stdout.writelines(difflib.unified_diff(
        old.splitlines(True), new.splitlines(True), "protocol.rst", "the code"))
    return old != new


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in ("--check", "--write",
                                                          "--svg"):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))

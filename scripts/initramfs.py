# SPDX-License-Identifier: GPL-2.0
"""Makes initial RAM file systems for the guest.

    scripts/initramfs.py light INIT POPCORN >FILE

makes that of a light kernel. Otherwise this is a module of scripts/vm.

An archive is written entry by entry in cpio's newc format, without a staging
directory: that takes milliseconds and needs no privilege. The kernel unpacks
several archives that stand one after the other, so that one made for all
kernels can be followed by one for a single run.
"""
import os
import stat
import subprocess
import sys
from pathlib import Path

GUEST = Path(__file__).resolve().parent / "guest"
BUSYBOX = Path("/bin/busybox")
DIRECTORIES = ("bin", "dev", "etc", "mnt", "proc", "root", "run", "sbin", "sys",
               "tmp", "usr/bin", "usr/sbin", "var")
SBIN = {"poweroff": "power", "reboot": "power", "halt": "power",
        "vm-save-logs": "vm-save-logs"}


class Archive:
    """A cpio archive in memory. Parent directories are made as needed."""

    def __init__(self):
        self.parts = []
        self.names = {""}
        self.files = []

    def entry(self, path, mode, data=b""):
        path = str(path).strip("/")
        if path in self.names:
            return
        self.entry(os.path.dirname(path), stat.S_IFDIR | 0o755)
        self.names.add(path)
        if not stat.S_ISDIR(mode):
            self.files.append(path)
        self._write(path, mode, data)

    def _write(self, path, mode, data):
        name = path.encode() + b"\0"
        fields = (len(self.parts) + 1, mode, 0, 0, 1, 0, len(data),
                  0, 0, 0, 0, len(name), 0)
        header = b"070701" + b"".join(b"%08x" % f for f in fields) + name
        self.parts += [header, b"\0" * (-len(header) % 4),
                       data, b"\0" * (-len(data) % 4)]

    def directory(self, path):
        self.entry(path, stat.S_IFDIR | 0o755)

    def data(self, path, data):
        self.entry(path, stat.S_IFREG | 0o644, data)

    def text(self, path, text):
        self.data(path, text.encode())

    def link(self, path, target):
        self.entry(path, stat.S_IFLNK | 0o777, os.fsencode(target))

    def add(self, source, path):
        """A file, or a directory with all that is below it."""
        source = Path(source)
        if not source.is_dir():
            self.entry(path, stat.S_IFREG | source.stat().st_mode & 0o777,
                       source.read_bytes())
            return
        self.directory(path)
        for below in sorted(source.iterdir()):
            if below.is_symlink():
                self.link(f"{path}/{below.name}", os.readlink(below))
            elif below.is_dir() or below.is_file():
                self.add(below, f"{path}/{below.name}")

    def add_program(self, program):
        """A program of the host with its shared libraries, where they are."""
        self.add(program, program)
        result = subprocess.run(["ldd", program], capture_output=True,
                                text=True)
        for word in result.stdout.split() if result.returncode == 0 else ():
            if word.startswith("/"):
                self.add(os.path.realpath(word), word)

    def bytes(self):
        """The archive, ended by its trailer."""
        trailer = Archive()
        trailer._write("TRAILER!!!", 0, b"")
        data = b"".join(self.parts + trailer.parts)
        return data + b"\0" * (-len(data) % 512)


def hosts(popcorn):
    """Addresses and names of all kernels."""
    if not popcorn:
        return ""
    return subprocess.run([popcorn, "net", "hosts"], capture_output=True, text=True,
                          check=True).stdout


def common(popcorn, programs=()):
    """What every kernel's first file system has: a shell, our /init, and programs of the host."""
    archive = Archive()
    for path in DIRECTORIES:
        archive.directory(path)
    archive.add(GUEST / "init", "init")
    for name, file in SBIN.items():
        archive.add(GUEST / file, f"sbin/{name}")
    archive.add(BUSYBOX, "bin/busybox")
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True,
                             text=True, check=True).stdout.split()
    for name in applets:
        if name not in SBIN:
            archive.link(f"bin/{name}", "busybox")
    archive.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
                               "nobody:x:65534:65534:nobody:/:/bin/false\n")
    archive.text("etc/group", "root:x:0:\nnogroup:x:65534:\n")
    archive.text("etc/hosts", "127.0.0.1 localhost\n" + hosts(popcorn))
    if popcorn:
        archive.add(popcorn, "sbin/popcorn")
    for program in programs:
        archive.add_program(program)
    return archive


def light(init, popcorn):
    """What a light kernel has: tools/popcorn/light-init.c, and the popcorn command."""
    archive = Archive()
    for path in ("dev", "proc", "root", "sys", "tmp"):
        archive.directory(path)
    archive.add(init, "init")
    for name in ("poweroff", "reboot", "halt"):
        archive.link(f"sbin/{name}", "/init")
    archive.add(popcorn, "sbin/popcorn")
    return archive


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] != "light":
        sys.exit(__doc__)
    sys.stdout.buffer.write(light(*sys.argv[2:]).bytes())

# SPDX-License-Identifier: GPL-2.0
"""words.py {threads|processes|bound} COUNT PIECES

Threads, or processes, of a pool compress and digest texts: in C, outside of the
interpreter's lock, and in Python. "bound": each process binds itself to a CPU.
"""
import concurrent.futures
import hashlib
import itertools
import multiprocessing
import os
import sys
import zlib


def work(piece):
    words = (str(piece * i % 1009) for i in range(5000))
    text = " ".join(itertools.chain(words, [str(piece)])).encode() * 4
    return hashlib.sha256(zlib.compress(text, 6)).hexdigest()


def bind(number):
    cpus = sorted(os.sched_getaffinity(0))
    with number.get_lock():
        cpu = cpus[number.value % len(cpus)]
        number.value += 1
    os.sched_setaffinity(0, {cpu})


def pool(kind, count):
    if kind == "threads":
        return concurrent.futures.ThreadPoolExecutor(count)
    if kind == "processes":
        return multiprocessing.Pool(count)
    return multiprocessing.Pool(count, bind, (multiprocessing.Value("i", 0),))


def main(kind, count, pieces):
    with pool(kind, int(count)) as workers:
        results = list(workers.map(work, range(int(pieces))))
    print(hashlib.sha256("".join(results).encode()).hexdigest())


if __name__ == "__main__":
    main(*sys.argv[1:])

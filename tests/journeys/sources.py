"""Jobs that print what the tests can compute too."""

from __future__ import annotations

import hashlib
import random

BLOCK = 65536

RANDOM_BLOCKS = """
import random, sys, tty
tty.setraw(0)
sys.stdout.write('ready'); sys.stdout.flush()
sys.stdin.buffer.read(1)
source = random.Random(7)
for _ in range(int(sys.argv[1])):
    sys.stdout.buffer.write(source.randbytes(65536))
sys.stdout.buffer.flush()
"""
"""Prints `ready`, takes one byte, then prints so many blocks of every byte value, none like another, and ends at once."""


def random_blocks(count: int) -> bytes:
    """What RANDOM_BLOCKS prints after `ready`."""
    source = random.Random(7)
    return b"".join(source.randbytes(BLOCK) for _ in range(count))


NUMBERS = """
import sys, tty
tty.setraw(0)
sys.stdout.write('ready'); sys.stdout.flush()
sys.stdin.buffer.read(1)
for n in range(int(sys.argv[1])):
    sys.stdout.write(f'{n:015d}\\n')
sys.stdout.flush()
"""
"""Prints `ready`, takes one byte, then prints so many numbered lines of 16 bytes."""

TAKE = """
import sys, tty
tty.setraw(0)
sys.stdout.write('ready'); sys.stdout.flush()
sys.stdout.write(repr(sys.stdin.buffer.read(int(sys.argv[1])))); sys.stdout.write('end'); sys.stdout.flush()
sys.stdin.buffer.read()
"""
"""Prints `ready`, takes so many bytes as they are typed, and prints what they are in Python's words, then `end`."""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

#!/usr/bin/env python3
"""Measures the trigger matcher alone: MB/s of output, in chunks of 4 KiB, by the CPU time of this process.

    python tests/bench/triggers.py [MB]

MB (default 20) megabytes of each kind are fed: plain text of 80 columns and coloured text, with no rules, with 300 and with
1,000 that match nothing, and with 300 of which one line in twenty matches one. The best of three is printed.
"""

from __future__ import annotations

import random
import string
import sys
import time

from coprocd.core import regex
from coprocd.core.lines import Position
from coprocd.core.trigger_matcher import Matcher, Rule

CHUNK_BYTES = 4096


def words(seed: random.Random) -> list[bytes]:
    return ["".join(seed.choices(string.ascii_lowercase, k=seed.randint(2, 9))).encode() for _ in range(500)]


def plain(seed: random.Random, lines: int, matching: bool) -> bytes:
    """Lines of 79 characters and CR LF; every twentieth names a number that a rule looks for."""
    known, out = words(seed), []
    for number in range(lines):
        line = b"ERR-%d- code %d " % (seed.randrange(300), number) if matching and number % 20 == 0 else b""
        while len(line) < 79:
            line += seed.choice(known) + b" "
        out.append(line[:79])
    return b"\r\n".join(out)


def coloured(seed: random.Random, lines: int) -> bytes:
    """Lines of ten words, three of them in colours."""
    known, out = words(seed), []
    for _ in range(lines):
        line = [seed.choice(known) for _ in range(10)]
        for at in (0, 3, 7):
            line[at] = b"\x1b[1;3%dm%s\x1b[0m" % (seed.randint(1, 7), line[at])
        out.append(b" ".join(line))
    return b"\r\n".join(out)


def rules(count: int) -> list[Rule]:
    forms = ("ERR-{}- code (\\d+)", "^Zz{}\\w+ failed with (\\S+)", "(?i)warning {}:.* at line (\\d+)")
    return [Rule(str(number), regex.compile((forms[0] if count == 300 else forms[number % 3]).format(number))) for number in range(count)]


def speed(output: bytes, given: list[Rule], total: int) -> tuple[float, int]:
    """MB/s, and how many matches in all."""
    chunks = [output[at : at + CHUNK_BYTES] for at in range(0, len(output), CHUNK_BYTES)]
    best = 0.0
    for _ in range(3):
        matcher, offset, found = Matcher(given, time.monotonic, Position(0)), 0, 0
        begun = time.thread_time()
        while offset < total:
            for chunk in chunks:
                for _each in matcher.feed(chunk, offset):
                    found += 1
                offset += len(chunk)
                matcher.position()
        best = max(best, offset / (time.thread_time() - begun) / 1e6)
        assert not matcher.too_slow()
    return best, found


def main() -> int:
    total = int(sys.argv[1] if len(sys.argv) > 1 else 20) * 1_000_000
    seed = random.Random(4)
    quiet, loud, colours = plain(seed, 20_000, False), plain(seed, 20_000, True), coloured(seed, 20_000)
    for name, output, count in (
        ("plain, no rules", quiet, 0),
        ("plain, 300 rules, none matches", quiet, 300),
        ("plain, 1,000 rules, none matches", quiet, 1000),
        ("plain, 300 rules, one line in twenty matches", loud, 300),
        ("coloured, no rules", colours, 0),
        ("coloured, 1,000 rules, none matches", colours, 1000),
    ):
        best, found = speed(output, rules(count), total)
        print(f"{name:48} {best:7.0f} MB/s  {found} matches")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Numbered bytes: a stream in which the place of every byte is known, what prints and types it, and what counts losses in it.

Record n is 1024 bytes: its number, and a filler that runs through the 128 values below 0x80. A stream can also be sent
`high`, with the top bit of every byte set: so two of them can be typed into one terminal and told apart again.

Run as a program it is a job or a coprocess (standard library only, since it also runs outside of the tests):

    print REPORT [S]  a job: prints records until it is sent a byte, 64 at a time, and pauses for S seconds between
    draw REPORT       a job: draws here and there, in colours, on one screen and the other, until it is sent a byte
    check REPORT      a coprocess or an observer: checks its stdin to the end of file
    collect REPORT    a job: checks the two streams typed into it, until both have ended (END), or it is quiet after SIGTERM
    type GATE         a coprocess: types records, and counts them on stderr, until the file GATE is there
    lines REPORT      a job: prints numbered lines, each piece by piece, and collects what is typed: after END no more lines, after another
                      END it ends
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import select
import signal
import sys
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

RECORD_BYTES = 1024
_FILLER = (bytes(range(128)) * 8)[: RECORD_BYTES - 16]
_HEAD = re.compile(rb"(\d{15}):")
_LOW = bytes(range(128))
_HIGH = bytes(range(128, 256))
_RAISED = bytes.maketrans(_LOW, _HIGH)
_LOWERED = bytes.maketrans(_HIGH, _LOW)

END = b"\x7f" * 16
"""Ends a stream that is typed; no record holds it."""

OVER = b"over\r\n"
"""Stands behind the last line of `lines`."""

PIECE_S = 0.006
LONG_PIECE_S = 0.4
"""How long a line stands before more of it comes; the beginning of one of LONG_LINE_ONE_OF long enough for a daemon to die and the next to be there."""

LONG_LINE_ONE_OF = 16

PROGRAM = [sys.executable, os.path.abspath(__file__)]


def content(offset: int, size: int) -> bytes:
    """The `size` bytes of the stream at `offset`."""
    first, skipped = divmod(offset, RECORD_BYTES)
    last = (offset + size - 1) // RECORD_BYTES
    return b"".join(b"%015d:%b" % (number, _FILLER) for number in range(first, last + 1))[skipped : skipped + size]


def raised(data: bytes) -> bytes:
    """`data` as it is sent high."""
    return data.translate(_RAISED)


class Check:
    """Takes a stream in pieces and tells what is missing in it and what came twice."""

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset
        """Where in the stream the next byte should be from."""
        self.bytes = 0
        self.lost = 0
        self.repeated = 0
        self.digest = hashlib.sha256()
        self._unplaced = b""

    def feed(self, data: bytes) -> None:
        self.bytes += len(data)
        self.digest.update(data)
        if not self._unplaced and data == content(self.offset, len(data)):
            self.offset += len(data)
        elif data:
            self._place(self._unplaced + data)

    def skip(self, size: int) -> None:
        """`size` bytes are known to be gone, and do not count."""
        self.offset += size

    def _place(self, data: bytes) -> None:
        """Goes on behind a fault: at the first record that can be told by its number."""
        same = next(
            (at for at in range(0, len(data), 16) if data[at : at + 16] != content(self.offset + at, len(data[at : at + 16]))), None
        )
        if same is None:
            self._unplaced, self.offset = b"", self.offset + len(data)
            return
        head = _HEAD.search(data, same)
        if head is None:
            self._unplaced = data
            return
        found, expected = int(head[1]) * RECORD_BYTES, self.offset + head.start()
        self.lost += max(0, found - expected)
        self.repeated += max(0, expected - found)
        self._unplaced, self.offset = b"", found
        rest = data[head.start() :]
        if rest == content(found, len(rest)):
            self.offset += len(rest)
        else:
            self._place(rest)

    def report(self) -> dict[str, Any]:
        return {
            "bytes": self.bytes,
            "sha256": self.digest.hexdigest(),
            "lost": self.lost,
            "repeated": self.repeated,
            "whole": not self._unplaced,
        }


def _print(report: Path, pause_s: float = 0.0) -> None:
    tty.setraw(0)
    digest, offset = hashlib.sha256(), 0
    while not select.select([0], [], [], pause_s)[0]:
        data = content(offset, 64 * RECORD_BYTES)
        digest.update(data)
        offset += len(data)
        while data:
            data = data[os.write(1, data) :]
    report.write_text(json.dumps({"bytes": offset, "sha256": digest.hexdigest()}))


def _draw(report: Path) -> None:
    tty.setraw(0)
    number = 0
    while not select.select([0], [], [], PIECE_S)[0]:
        number += 1
        if number % 50 == 0:
            os.write(1, b"\x1b[?1049%b" % (b"h\x1b[H\x1b[2J" if number % 100 else b"l"))
        row, column, colour = number * 7 % 24 + 1, number * 13 % 70 + 1, 31 + number % 7
        os.write(1, b"\x1b[%d;%dH\x1b[1;%dm%d \xe6\xbc\xa2\x1b[m" % (row, column, colour, number))
        if number % 100 > 50:
            os.write(1, b"\r\nline %d\r\n" % number)
    report.write_text(json.dumps({"drawn": number}))


def _check(report: Path) -> None:
    check = Check()
    while data := os.read(0, 1 << 20):
        check.feed(data)
    report.write_text(json.dumps(check.report()))


def _collect(report: Path) -> None:
    tty.setraw(0)
    streams = {"low": Check(), "high": Check()}
    tails = dict.fromkeys(streams, b"")
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    os.write(1, b"ready\n")
    while not all(tail == END for tail in tails.values()):
        if not select.select([0], [], [], 0.2)[0]:
            if told:
                break
            continue
        data = os.read(0, 1 << 16)
        for name, part in (("low", data.translate(None, _HIGH)), ("high", data.translate(_LOWERED, _LOW))):
            part = tails[name] + part
            # What may be the end is held back until it is known to be.
            held = next(size for size in range(len(END), -1, -1) if part.endswith(END[:size]))
            tails[name] = part[len(part) - held :]
            streams[name].feed(part[: len(part) - held])
    report.write_text(json.dumps({name: check.report() for name, check in streams.items()}))


def _type(gate: Path) -> None:
    number = 0
    while not gate.exists():
        data = content(number * RECORD_BYTES, 4 * RECORD_BYTES)
        while data:
            data = data[os.write(1, data) :]
        number += 4
        os.write(2, b"%015d\n" % number)
    os.write(1, END)


def _lines(report: Path) -> None:
    tty.setraw(0)
    typed, lines, written, over = bytearray(), 0, 0, False
    starts: list[int] = []
    while typed.count(END) < 2:
        pieces = [b"line %d " % lines, b".", b".", b". end\r\n"] if not typed.count(END) else []
        if pieces:
            starts.append(written)
            lines += 1
        for piece in pieces:
            written += os.write(1, piece)
            begun = lines % LONG_LINE_ONE_OF == 0 and piece is pieces[0]
            _collect_for(LONG_PIECE_S if begun else PIECE_S, typed)
        if not pieces:
            if not over:
                os.write(1, OVER)
                over = True
            _collect_for(PIECE_S, typed)
    report.write_text(json.dumps({"starts": starts, "typed": typed.replace(END, b"").decode("latin-1")}))


def _collect_for(seconds: float, typed: bytearray) -> None:
    """Adds to `typed` what is typed within this time."""
    until = time.monotonic() + seconds
    while select.select([0], [], [], max(0.0, until - time.monotonic()))[0]:
        typed += os.read(0, 1 << 16)


if __name__ == "__main__":
    modes: dict[str, Callable[..., None]] = {
        "print": _print,
        "draw": _draw,
        "check": _check,
        "collect": _collect,
        "type": _type,
        "lines": _lines,
    }
    modes[sys.argv[1]](Path(sys.argv[2]), *map(float, sys.argv[3:]))

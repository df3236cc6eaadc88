"""`coprocctl daemon logs`: the log that daemon and keeper write; needs no daemon."""

from __future__ import annotations

import argparse
import os
import sys
import time

from coprocctl import units
from coprocctl.arguments import count, socket_path
from coprocctl.exits import Failure
from coprocctl.format import escaped
from coprocctl.output import note
from coprocd.protocol import places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

FOLLOW_LINES = 10  # shown first with -f, as tail does
POLL_S = 0.2
BLOCK_BYTES = 64 << 10
UNDER_SYSTEMD = f"under systemd the log is in the journal: journalctl --user -u {units.DAEMON} -u {units.KEEPER}"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is written from now on")
    parser.add_argument("-n", "--lines", metavar="LINES", type=count, help=f"only the last LINES; default: all, with -f {FOLLOW_LINES}")


def run(args: argparse.Namespace) -> int:
    path = places.log_path()
    by_units = units.answer_for(socket_path(args))
    try:
        log: BinaryIO = open(path, "rb")  # noqa: SIM115 - another takes its place when it is rotated
    except FileNotFoundError:
        raise Failure(f"there is no log yet at {path}; {UNDER_SYSTEMD}" if by_units else f"there is no log yet at {path}") from None
    if by_units:
        note(f"{UNDER_SYSTEMD}; what follows was written without it")
    lines = FOLLOW_LINES if args.lines is None and args.follow else args.lines
    try:
        if lines is not None:
            log.seek(_tail(log, lines))
        _copy(log)
        while args.follow:
            time.sleep(POLL_S)
            log = _current(log, path)
            _copy(log)
    finally:
        log.close()
    return 0


def _copy(log: BinaryIO) -> None:
    """Prints what follows, escaped where stdout is a terminal."""
    while data := log.read(BLOCK_BYTES):
        if sys.stdout.isatty():
            sys.stdout.write(escaped(data.decode("utf-8", "backslashreplace"), keep="\n\t"))
            sys.stdout.flush()
        else:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()


def _current(log: BinaryIO, path: str) -> BinaryIO:
    """The log to read on: another file when this one was rotated away, its beginning when it was cut."""
    try:
        now = os.stat(path)
    except FileNotFoundError:
        return log
    opened = os.fstat(log.fileno())
    if (now.st_ino, now.st_dev) != (opened.st_ino, opened.st_dev):
        log.close()
        return open(path, "rb")
    if now.st_size < log.tell():
        log.seek(0)
    return log


def _tail(log: BinaryIO, lines: int) -> int:
    """The position of the last `lines` lines."""
    position = end = log.seek(0, os.SEEK_END)
    if lines == 0:
        return end
    while position > 0:
        start = max(position - BLOCK_BYTES, 0)
        log.seek(start)
        data = log.read(position - start)
        cut = len(data) - (position == end and data.endswith(b"\n"))
        while (cut := data.rfind(b"\n", 0, cut)) >= 0:
            lines -= 1
            if lines == 0:
                return start + cut + 1
        position = start
    return 0

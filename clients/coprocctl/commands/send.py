"""`coprocctl send`: types text, or all of standard input, without losing or repeating a byte."""

from __future__ import annotations

import argparse
import os
import time

from coprocctl.arguments import add_session, seconds, socket_path, standard_input
from coprocctl.connection import Connection
from coprocctl.exits import EXIT_INTERRUPTED, EXIT_TIMED_OUT, EXIT_USAGE, Failure, Refused
from coprocctl.format import escaped
from coprocctl.interrupts import Interrupts
from coprocctl.output import note, print_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EPILOG = """\
Words are joined by a space. The text is typed as it is; --enter presses Enter after it. Standard input is typed as
it comes, however much it is; while the session's input is full this waits, and ^C stops it and says what was typed.

examples:
  coprocctl send chat 'echo hello' --enter
  git diff | coprocctl send editor -
"""

CHUNK_BYTES = 16 << 10  # of standard input, a call; well under what a session's input holds
PAUSES_S = (0.01, 0.25)  # first and longest, while the session's input is full
NOTICE_S = 2.0  # a job that reads slowly takes something by then; one that does not is worth a word


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    add_session(parser)
    parser.add_argument("text", metavar="TEXT", nargs="*", help="what to type; - for standard input")
    parser.add_argument("-e", "--enter", action="store_true", help="press Enter after it")
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=seconds,
        help="with -: give up when the job took nothing for so long and the session's input is full; default: never",
    )


def run(args: argparse.Namespace) -> int:
    if not args.text and not args.enter:
        raise Failure("send needs TEXT, - for standard input, or --enter", EXIT_USAGE, "usage")
    if args.timeout is not None and args.text != ["-"]:
        raise Failure("--timeout is for standard input (-): TEXT is typed at once, or refused", EXIT_USAGE, "usage")
    with Connection(socket_path(args)) as connection:
        if args.text == ["-"]:
            accepted = Stream(connection, args.session, args.timeout, quiet=args.json).send(standard_input().fileno(), args.enter)
        else:
            accepted = send_words(connection, args.session, " ".join(args.text), args.enter)
    if args.json:
        print_json(accepted)
    return 0


def send_words(connection: Connection, session: str, text: str, enter: bool) -> Any:
    """Types `text`, all of it or nothing. What the command line held in another encoding is typed as those bytes."""
    data = os.fsencode(text)
    try:
        return typed(connection, "session.send_text", {"session": session, "text": data.decode(), "enter": enter})
    except UnicodeDecodeError:
        return typed(connection, "session.send_bytes", {"session": session, "data_b64": b64(data + b"\r" * enter)})


class Stream:
    """Types all of a stream, as it comes, and waits while the session's input is full. What was typed is known on every way out."""

    def __init__(self, connection: Connection, session: str, timeout_s: float | None, quiet: bool) -> None:
        """`timeout_s`: how long the input may stay full; `quiet`: nothing for people on stderr."""
        self._connection = connection
        self._name = session
        self._timeout_s = timeout_s
        self._quiet = quiet
        self._noticed = False
        self._accepted: dict[str, Any] = {"accepted_bytes": 0, "offset": 0}
        # Named once: a session that is renamed or replaced meanwhile does not get another's text.
        self._session = connection.call("session.get", {"session": session})["id"]

    def send(self, fd: int, enter: bool) -> dict[str, Any]:
        """Types what `fd` gives until its end; returns the sum. A Failure carries it as `accepted_bytes`."""
        try:
            with Interrupts() as interrupts:
                while data := os.read(fd, CHUNK_BYTES):
                    self._type(data, interrupts)
                if enter:
                    self._type(b"\r", interrupts)
        except KeyboardInterrupt:
            raise self._failed(Failure(f"interrupted; {self._count()}", EXIT_INTERRUPTED, "interrupted")) from None
        except TimedOut as failure:
            raise self._failed(failure) from None
        except Failure as failure:
            if not self._quiet:
                note(f"{self._count()} before this:")
            raise self._failed(failure) from None
        return self._accepted

    def _type(self, data: bytes, interrupts: Interrupts) -> None:
        """Types `data`. A call takes all or nothing, so what does not fit is offered in halves, then after a pause."""
        pause_s, longest_s = PAUSES_S
        size = len(data)
        since = time.monotonic()
        while data:
            try:
                interrupts.hold()
                try:
                    self._offer(data[:size])
                finally:
                    interrupts.release()
            except Refused as refused:
                if refused.code != "input_full":
                    raise
                if size > 512:
                    size //= 2
                    continue
                self._wait(refused, pause_s, since)
                pause_s = min(pause_s * 2, longest_s)
                continue
            data = data[size:]
            size, pause_s, since = len(data), PAUSES_S[0], time.monotonic()

    def _offer(self, data: bytes) -> None:
        accepted = typed(self._connection, "session.send_bytes", {"session": self._session, "data_b64": b64(data)})
        self._accepted["accepted_bytes"] += accepted["accepted_bytes"]
        self._accepted["offset"] = accepted["offset"]

    def _wait(self, full: Refused, pause_s: float, since: float) -> None:
        """Pauses while the input is full, as it is `since` then; says so once, and gives up when it is to."""
        waited_s = time.monotonic() - since
        state = f"the input of session {escaped(self._name)} is full: {full.data.get('waiting_bytes', 'some')} bytes wait for its job to read them"
        if self._timeout_s is not None and waited_s >= self._timeout_s:
            raise TimedOut(f"{state}, and it took none within {self._timeout_s:g} s; {self._count()}", EXIT_TIMED_OUT, "timed_out")
        if waited_s >= NOTICE_S and not self._noticed and not self._quiet:
            self._noticed = True
            note(f"{state}; ^C stops ({self._count()} so far)")
        time.sleep(pause_s if self._timeout_s is None else min(pause_s, self._timeout_s - waited_s))

    def _count(self) -> str:
        count = self._accepted["accepted_bytes"]
        return "1 byte was typed" if count == 1 else f"{count} bytes were typed"

    def _failed(self, failure: Failure) -> Failure:
        """`failure`, which tells programs what was typed before it."""
        failure.data = {**(failure.data or {}), "accepted_bytes": self._accepted["accepted_bytes"]}
        return failure


class TimedOut(Failure):
    """The session's input stayed full for too long."""


def typed(connection: Connection, method: str, params: dict[str, Any]) -> Any:
    """Calls a method that types, under a key of its own: asked again after a broken connection, it types once."""
    return connection.call(method, {**params, "key": f"coprocctl-{os.urandom(12).hex()}"}, again=True)


def b64(data: bytes) -> str:
    """`data` as params carry it."""
    from binascii import b2a_base64

    return b2a_base64(data, newline=False).decode()

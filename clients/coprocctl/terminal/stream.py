"""The attach stream, as one who shows it sees it: what came, in order, and where in the session's output that is.

Owns the connection, and the place at which it goes on when it is made anew: by epoch, offset and the injections seen, so that nothing is missing and
nothing comes twice. Never blocks but in `open`, where that is to wait, and `begin`. `attachment` drives it.
"""

from __future__ import annotations

import json
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager

from coprocctl.exits import EXIT_FAILED, EXIT_TIMED_OUT, ConnectionLost, Failure
from coprocctl.format import escaped
from coprocctl.websocket import Closed, WebSocket, target
from coprocd.protocol.attach import SUBPROTOCOL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, TypeAlias

    Came: TypeAlias = "tuple[Literal['output', 'redraw', 'message', 'lost'], Any]"

INPUT_PIECE_BYTES = 64 << 10
"""What is typed is sent in such pieces."""
UNSENT_BYTES = 1 << 20
"""While more than this waits to be sent nothing more is taken from the keyboard."""
PROTOCOL = 1
"""The version of the attach stream that is spoken here."""
NOT_UNDERSTOOD = "not_understood"
"""The code of a Failure that is of what the daemon sends: it is of no use to connect again."""


@contextmanager
def understood() -> Iterator[None]:
    """What is done with a message in it fails with words where the message is not of the attach stream: no JSON, or without what belongs to it."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise Failure(
            f"the daemon sent what is no message of the attach stream ({type(error).__name__}: {str(error)[:100]}): is it coprocd?",
            EXIT_FAILED,
            NOT_UNDERSTOOD,
        ) from error


class Stream:
    """One session's. `open` comes first."""

    def __init__(self, socket_path: str, session: str, read_only: bool) -> None:
        self._path = socket_path
        self.session = session
        """What it was asked for by; once it is known, its id."""
        self._mode = "ro" if read_only else "rw"
        self.socket: WebSocket | None = None
        """The connection; None while there is none."""
        self._place: dict[str, Any] | None = None
        """Where to go on: epoch, since and injected. None where all is to be drawn anew."""
        self._came: list[Came] = []
        self._epoch = ""
        self._drawn: dict[str, Any] | None = None
        """Where to go on once what redraws the screen is there as a whole."""
        self._next_is: Literal["output", "redraw", "injected"] = "output"

    # -- the connection ----------------------------------------------------------------------------------------------------

    def open(self, size: tuple[int, int], anew: bool = False, wait: bool = False) -> None:
        """Connects, and goes on where the connection before it ended, or with `anew` begins with the whole screen. Raises what WebSocket does.

        Without `wait` it is `connected` in a while, or `receive` raises.
        """
        self.close()
        if anew:
            self._place = None
        query: dict[str, Any] = {"rows": size[0], "cols": size[1], "mode": self._mode, **(self._place or {})}
        self.socket = WebSocket(self._path, target("/sessions/{session}/attach", self.session, query), SUBPROTOCOL, wait)
        self._next_is = "output"

    def begin(self, patience_s: float) -> dict[str, Any]:
        """The session, as the message `attached` has it, the first; what came with that is for `receive`."""
        deadline = time.monotonic() + patience_s
        while not self._came:
            socket = self.socket
            if socket is None:
                raise ConnectionLost("the daemon closed the connection before it said what was attached")
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not (socket.waiting or select.select([socket.fd], [], [], left_s)[0]):
                raise Failure("the daemon does not answer; look at: coprocctl daemon logs", EXIT_TIMED_OUT, "timed_out")
            self._came = self.receive()
        kind, message = self._came.pop(0)
        if kind != "message" or message["type"] != "attached":
            raise Failure(f"what answers at {self._path} does not speak the attach stream: is it coprocd?", EXIT_FAILED)
        return dict(message["session"])

    def close(self) -> None:
        """Hangs up, once what was typed has been sent as far as the daemon takes it at once."""
        if self.socket is not None:
            if self.socket.open:
                self.socket.close()
            self.socket.abort()
            self.socket = None

    @property
    def connected(self) -> bool:
        """Whether what is typed reaches the daemon."""
        return self.socket is not None and self.socket.open

    @property
    def full(self) -> bool:
        """Whether the daemon takes no more for now."""
        return self.socket is not None and self.socket.unsent_bytes > UNSENT_BYTES

    # -- to the daemon -----------------------------------------------------------------------------------------------------

    def type(self, data: bytes) -> bool:
        """Sends what was typed; False, and it is not sent, while there is no connection."""
        if self.socket is None or not self.socket.open:
            return False
        for start in range(0, len(data), INPUT_PIECE_BYTES):
            self.socket.send_binary(data[start : start + INPUT_PIECE_BYTES])
        return True

    def resize(self, rows: int, cols: int) -> None:
        """Tells what room there is."""
        if self.socket is not None and self.socket.open:
            self.socket.send_text(json.dumps({"type": "resize", "rows": rows, "cols": cols}))

    def redraw(self) -> None:
        """Asks for the whole screen."""
        if self.socket is not None and self.socket.open:
            self.socket.send_text('{"type": "redraw"}')

    # -- from the daemon ---------------------------------------------------------------------------------------------------

    def receive(self) -> list[Came]:
        """What has come: `output` and `redraw` with bytes, `message` with an object, and at last `lost` with the close code.

        Raises what `open` does where the daemon does not take the connection, which is gone then.
        """
        came, self._came = self._came, []
        socket = self.socket
        if socket is None:
            return came
        try:
            all_received = socket.receive()
        except BaseException:
            self.close()
            raise
        for received in all_received:
            if isinstance(received, bytes):
                came.append(self._binary(received))
            elif isinstance(received, Closed):
                socket.abort()
                self.socket = None
                if socket.broken:
                    raise Failure(
                        f"what the daemon sends is no websocket's ({received.reason}): is it coprocd?", EXIT_FAILED, NOT_UNDERSTOOD
                    )
                came.append(("lost", received.code))
            else:
                with understood():
                    message = json.loads(received)
                    self._follow(message)
                came.append(("message", message))
        return came

    def _binary(self, data: bytes) -> Came:
        """Output moves the place on; what redraws the screen, or was injected, does not."""
        kind = self._next_is
        if kind == "redraw":
            self._next_is, self._place = "output", self._drawn
            return "redraw", data
        if self._place is not None:
            if kind == "output":
                self._place["since"] += len(data)
            else:
                self._place["injected"] += 1
        return "output", data

    def _follow(self, message: dict[str, Any]) -> None:
        """What a message says of the place."""
        kind = message["type"]
        if kind == "attached":
            self._check(message["protocol"])
            self.session = str(message["session"]["id"])
            self._epoch = message["epoch"]
        elif kind == "snapshot":
            self._next_is, self._place = "redraw", None
            self._drawn = {"epoch": self._epoch, "since": int(message["offset"]), "injected": int(message.get("injected", 0))}
        elif kind == "offset" and self._place is not None:
            self._place |= {name: int(message[name]) for name in ("injected",) if name in message} | {"since": int(message["offset"])}
            self._next_is = "injected" if message.get("reason") == "inject" and self._next_is == "output" else "output"

    def _check(self, protocol: dict[str, int]) -> None:
        if not protocol["min"] <= PROTOCOL <= protocol["max"]:
            older = "coprocctl" if protocol["min"] > PROTOCOL else "the daemon"
            raise Failure(
                f"coprocctl speaks version {PROTOCOL} of the protocol, the daemon {protocol['min']} to {protocol['max']}: upgrade {older}",
                EXIT_FAILED,
                "version_mismatch",
            )


def how_ended(message: dict[str, Any]) -> str:
    """What `exit` says, in words."""
    if message.get("signal"):
        return escaped(message["signal"])
    return "status unknown" if message.get("exit_status") is None else f"status {escaped(message['exit_status'])}"

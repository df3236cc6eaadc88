"""The messages of a websocket out of its bytes (RFC 6455), for either side. Sans-IO: frames are parsed by `websockets`, one when it is asked for.

Only what is asked for is parsed, so that a peer that sends a great many small messages costs a turn no more than its reader wants. What is fed
and not yet taken is kept: whoever feeds stops reading while there is much of it.
"""

from __future__ import annotations

from collections.abc import Generator

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Close, CloseCode, Frame, Opcode

_CODES: dict[type[Exception], int] = {
    ProtocolError: CloseCode.PROTOCOL_ERROR,
    PayloadTooBig: CloseCode.MESSAGE_TOO_BIG,
    UnicodeDecodeError: CloseCode.INVALID_DATA,
}
_DATA = (Opcode.CONT, Opcode.TEXT, Opcode.BINARY)


class MessageReader:
    """What one side sends."""

    __slots__ = ("_begun", "_data", "_masked", "_most_bytes", "_parsing", "broken")

    def __init__(self, masked: bool, most_bytes: int) -> None:
        """`masked`: the client's side sends it. A message of more than `most_bytes` breaks the connection."""
        self._masked = masked
        self._most_bytes = most_bytes
        self._data = bytearray()
        self._parsing: Generator[None, None, Frame] | None = None
        """Of a frame that has come in part."""
        self._begun: tuple[Opcode, bytearray] | None = None
        """Of a message that comes in fragments, what has come."""
        self.broken: tuple[int, str] | None = None
        """The close code, and why, once something came that is no websocket's: nothing is taken any more."""

    def feed(self, data: bytes) -> None:
        """What has come next."""
        self._data += data

    def take(self, data: bytes = b"") -> Frame | None:
        """The next message, text and binary whole, in one frame; None when it has not come, or never will. `data` has come next.

        A fragment that ends no message is an empty CONT: whoever counts what is taken at a time counts it too.
        """
        self._data += data
        if not self._data or self.broken is not None:
            return None
        parsing = self._parsing or Frame.parse(self._read, mask=self._masked, max_size=self._most_bytes)
        self._parsing = None
        try:
            try:
                parsing.send(None)
            except StopIteration as end:
                frame: Frame = end.value
                is_whole = frame.opcode is Opcode.BINARY and frame.fin and self._begun is None  # as nearly always
                return frame if is_whole else self._whole(frame)
        except tuple(_CODES) as error:
            self.broken = _CODES[type(error)], str(error)
            return None
        self._parsing = parsing
        return None

    def _read(self, size: int) -> Generator[None, None, bytearray]:
        """The next `size` bytes, once they have come."""
        while len(self._data) < size:
            yield
        taken = self._data[:size]
        del self._data[:size]
        return taken

    def _whole(self, frame: Frame) -> Frame:
        """The message that ends with this frame, or that it is, if it is for control; an empty CONT while more follows."""
        if frame.opcode is Opcode.CLOSE:
            Close.parse(frame.data)  # raises where it is none
        if frame.opcode not in _DATA:
            return frame
        if (frame.opcode is Opcode.CONT) is not (self._begun is not None):
            raise ProtocolError("fragments of a message are not one behind another")
        opcode, data = self._begun or (frame.opcode, bytearray())
        if len(data) + len(frame.data) > self._most_bytes:
            raise PayloadTooBig(len(frame.data), self._most_bytes, len(data))
        data += frame.data
        self._begun = None if frame.fin else (opcode, data)
        if not frame.fin:
            return Frame(Opcode.CONT, b"", fin=False)
        if opcode is Opcode.TEXT:
            data.decode()  # raises where it is none
        return Frame(opcode, data)

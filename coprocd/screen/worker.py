"""The screen worker: emulates the terminals of all sessions, in one thread, as the daemon tells it, and decides nothing.

It goes from terminal to terminal, one piece at a time, so that a session that floods makes no other wait; and says in the page what it is about to do,
since output can make an emulator hang or end the process. Whatever is lost then is in the logs. It ends when its daemon does.
"""

from __future__ import annotations

import os
import select
import socket
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from coprocd.core.ring import Ring
from coprocd.screen import wire
from coprocd.screen.checkpoint import Checkpoints, Saved
from coprocd.screen.emulator import Emulator
from coprocd.screen.page import Kind, Page

PACK_MOST_BYTES = 1 << 20
"""What a terminal saves is compressed, which takes a tenth of the memory; more than this is not: a flood would wait for it."""

Result = TypeVar("Result")


class Emulators(Protocol):
    """The module that makes emulators: `coprocd.screen.ghostty`."""

    def new(self, rows: int, cols: int, scrollback_bytes: int) -> Emulator: ...

    def load(self, saved: bytes, scrollback_bytes: int) -> Emulator: ...


class Terminal:
    """One session's: its emulator, and what it is still to do. It gives control back after each piece."""

    def __init__(self, fd: int, opening: wire.Open, page: Page, emulators: Emulators, send: Callable[[wire.FromWorker], None]) -> None:
        """Takes the descriptor over."""
        self.number = opening.terminal
        self._fd = fd
        self._ring = Ring([0, 0], 0, opening.ring_at, opening.ring_bytes)
        self._checkpoints = Checkpoints(fd, opening.checkpoints_at)
        self._page = page
        self._emulators = emulators
        self._send = send
        self._emulator: Emulator
        self._messages: deque[wire.ToWorker] = deque([opening])
        self._work: Iterator[None] | None = None
        self._last = (Kind.LOAD, 0, 0)
        """What it was at last."""

    def add(self, message: wire.ToWorker) -> None:
        """It is done after those before it."""
        self._messages.append(message)

    def go_on(self) -> bool:
        """One piece; whether there is more to do. Whatever the emulator raises is told: the daemon decides what becomes of it."""
        if self._work is None:
            self._work = self._do(self._messages.popleft())
        try:
            next(self._work)
        except StopIteration:
            self._work = None
        except Exception as error:
            kind, start, stop = self._last
            self._send(wire.Failed(terminal=self.number, why=f"{type(error).__name__}: {error}", kind=kind, start=start, stop=stop))
            self._work = None
            self._messages.clear()
        return self._work is not None or bool(self._messages)

    def close(self) -> None:
        """Lets go of emulator and descriptor."""
        if hasattr(self, "_emulator"):
            self._emulator.close()
        os.close(self._fd)

    def _do(self, message: wire.ToWorker) -> Iterator[None]:
        """The pieces of one message."""
        if isinstance(message, wire.Steps):
            for step in message.steps:
                yield from self._step(step, message)
            saved = self._run(Kind.SAVE, lambda: self._save(message)) if message.save is not None else None
            self._send(wire.Done(terminal=self.number, title=self._emulator.title, saved=saved))
        elif isinstance(message, wire.Open):
            opened = self._run(Kind.LOAD, lambda: self._open(message))
            yield
            self._send(opened)
        elif isinstance(message, wire.Redraw):
            data = self._run(Kind.REPLY, lambda: self._emulator.redraw(moved=self._page.move))
            self._send(wire.Redrawn(terminal=self.number, rows=self._emulator.rows, cols=self._emulator.cols, data=data))
        elif isinstance(message, wire.Capture):
            capture = self._run(Kind.REPLY, lambda: self._emulator.capture(message.format, message.scrollback, moved=self._page.move))
            self._send(wire.Captured(self.number, capture))

    def _open(self, opening: wire.Open) -> wire.Opened:
        found = None if opening.fresh else self._checkpoints.read()
        if found is not None:
            saved, data = found
            self._emulator = self._emulators.load(data, opening.scrollback_bytes)
        else:
            saved = Saved(0, 0, opening.rows, opening.cols)
            self._emulator = self._emulators.new(opening.rows, opening.cols, opening.scrollback_bytes)
        return wire.Opened(
            terminal=self.number,
            offset=saved.offset,
            injected=saved.injected,
            found=found is not None,
            rows=self._emulator.rows,
            cols=self._emulator.cols,
            title=self._emulator.title,
        )

    def _step(self, step: wire.Step, message: wire.Steps) -> Iterator[None]:
        if isinstance(step, wire.Feed):
            for start in range(step.start, step.stop, message.piece_bytes):
                stop = min(start + message.piece_bytes, step.stop)
                data = self._read(start, stop)
                answer = self._run(Kind.FEED, lambda data=data: self._emulator.feed(data), start, stop)  # type: ignore[misc]
                if answer and not message.muted:
                    self._send(wire.Answer(terminal=self.number, offset=stop, data=answer))
                yield
        elif isinstance(step, wire.Show):
            for start in range(0, len(step.data), message.piece_bytes):
                piece = step.data[start : start + message.piece_bytes]
                self._run(Kind.SHOW, lambda piece=piece: self._emulator.feed(piece))  # type: ignore[misc]
                yield
        else:
            answer = self._run(Kind.RESIZE, lambda: self._emulator.resize(step.rows, step.cols))
            if answer and not step.muted:
                self._send(wire.Answer(terminal=self.number, offset=None, data=answer))
            yield

    def _save(self, message: wire.Steps) -> bool:
        assert message.save is not None
        data = self._emulator.save()
        saved = Saved(*message.save, self._emulator.rows, self._emulator.cols)
        return self._checkpoints.write(saved, data, pack=len(data) <= PACK_MOST_BYTES)

    def _read(self, start: int, stop: int) -> bytes:
        pieces = [os.pread(self._fd, length, position) for position, length in self._ring.segments(start, stop - start)]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _run(self, kind: Kind, work: Callable[[], Result], start: int = 0, stop: int = 0) -> Result:
        self._last = (kind, start, stop)
        self._page.begin(self.number, kind, start, stop)
        try:
            return work()
        finally:
            self._page.end()


class Worker:
    """All terminals, and the connection to the daemon, which it owns."""

    def __init__(self, sock: socket.socket, page: Page, emulators: Emulators) -> None:
        self._socket = sock
        self._page = page
        self._emulators = emulators
        self._receiver = wire.Receiver(sock)
        self._terminals: dict[int, Terminal] = {}
        self._busy: deque[Terminal] = deque()
        """Those that have something to do; each is in it once."""

    def run(self) -> None:
        """Works until the daemon has gone."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        try:
            self._send(wire.Ready())
            while True:
                if (not self._busy or poll.poll(0)) and not self._receive():
                    return
                if self._busy:
                    terminal = self._busy.popleft()
                    if terminal.go_on() and terminal.number in self._terminals:
                        self._busy.append(terminal)
        except ConnectionError:
            return
        finally:
            for terminal in self._terminals.values():
                terminal.close()
            self._receiver.close()
            self._socket.close()

    def _receive(self) -> bool:
        if not self._receiver.receive():
            return False
        for frame in self._receiver.frames():
            message = wire.to_worker.decode(frame)
            if isinstance(message, wire.Open):
                fd = self._receiver.fds.popleft()
                terminal = self._terminals[message.terminal] = Terminal(fd, message, self._page, self._emulators, self._send)
                self._busy.append(terminal)
            elif isinstance(message, wire.Close):
                terminal = self._terminals.pop(message.terminal)
                if terminal in self._busy:
                    self._busy.remove(terminal)
                terminal.close()
            else:
                terminal = self._terminals[message.terminal]
                terminal.add(message)
                if terminal not in self._busy:
                    self._busy.append(terminal)
        return True

    def _send(self, message: wire.FromWorker) -> None:
        self._socket.sendall(wire.encode(message))

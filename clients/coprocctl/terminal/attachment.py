"""One terminal attached to one session, from the first byte until the terminal is as it was: the loop of terminal, stream and signals.

Blocking, one thread, select(2). It connects before it touches the terminal, so that what is wrong is said as by any command. Whatever ends it (the key,
the end of the session, a signal, an error), the terminal is restored first; where it cannot do that itself, because it was killed, its guardian does.
"""

from __future__ import annotations

import os
import select
import signal
import time

from coprocctl.connection import Connection, remedy
from coprocctl.exits import EXIT_REFUSED, Failure, NoDaemon
from coprocctl.format import escaped
from coprocctl.terminal import notification
from coprocctl.terminal.drawing import Drawing
from coprocctl.terminal.hold import Hold
from coprocctl.terminal.indicator import Indicator
from coprocctl.terminal.keyboard import Key, Keyboard
from coprocctl.terminal.question import Question
from coprocctl.terminal.reconnection import Reconnection
from coprocctl.terminal.signals import Ended, Signals, stop
from coprocctl.terminal.stream import NOT_UNDERSTOOD, Stream, how_ended, understood
from coprocctl.terminal.tty import TerminalGone, Tty

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from coprocctl.terminal.keyboard import Typed
    from coprocctl.terminal.stream import Came

OPENING_S = 30.0
"""How long the daemon may take to say what is attached."""
TICK_S = 0.25
"""How often it is looked what time changes, while there is something that it does."""
CALL_S = 2.0
"""How long the daemon may take for what is asked of it beside the stream: nothing is shown meanwhile."""
STOP_GRACE_S = 0.5
"""Between SIGTERM and SIGKILL for the coprocess that pauses the session: whoever pressed the key waits for it."""
STOP_KEY = Key("^]")
BELL = b"\x07"


class Options:
    """What the command line says."""

    def __init__(self, detach: Key | None, read_only: bool, status: bool, reconnect_s: float) -> None:
        self.detach = detach
        self.read_only = read_only
        self.status = status
        self.reconnect_s = reconnect_s
        """How long a lost connection is tried to be made anew."""


class Done(Exception):
    """The end; its text is what is to be said of it."""


class Attachment:
    """That of this process's terminal to the session `session` of the daemon at `socket_path`."""

    def __init__(self, socket_path: str, session: str, options: Options) -> None:
        """Raises Failure where there is no terminal."""
        self._path = socket_path
        self._options = options
        self._tty = Tty()
        self._size = self._tty.size()
        self._stream = Stream(socket_path, session, options.read_only)
        self._signals = Signals()
        self._drawing = Drawing(options.status)
        self._keyboard = Keyboard(options.detach)
        self._indicator = Indicator(STOP_KEY.name, options.read_only)
        self._question: Question | None = None
        self._reconnection = Reconnection(options.reconnect_s)
        self._fits = True
        """Whether the session has the size for which there is room here, as far as is known."""
        self._tick_at: float | None = None

    def run(self) -> str:
        """Attached until the end; what is to be said of it. Raises Failure and Ended."""
        try:
            self._stream.open(self._drawing.room(*self._size), wait=True)
            session = self._stream.begin(OPENING_S)
            with understood():
                self._name = self._drawing.title.name = escaped(session["name"])
            if os.environ.get("COPROCD_SESSION") == self._stream.session:
                raise Failure(f"this is session {self._name} itself; attach to it from another terminal", EXIT_REFUSED, "refused")
            return self._run()
        finally:
            self._stream.close()

    @property
    def ended_by(self) -> int | None:
        """The signal that ended it."""
        return self._signals.ending

    # -- the terminal ------------------------------------------------------------------------------------------------------

    def _run(self) -> str:
        self._hold = Hold(self._tty, self._signals)
        self._signals.install()
        try:
            try:
                self._hold.take(self._drawing.begin(*self._size), self._drawing.reset())
                self._loop()
            finally:
                self._hold.give_back(self._drawing.end(), self._drawing.modes.talks)
        except Done as done:
            return str(done)
        except TerminalGone:
            return ""
        finally:
            self._hold.close()
            self._signals.uninstall()

    def _show(self, data: bytes) -> None:
        """Shows what `drawing` made; the guardian is told before of what that sets on the terminal."""
        if self._drawing.changed:
            self._hold.expect(self._drawing.reset())
        self._hold.write(data)

    # -- the loop ----------------------------------------------------------------------------------------------------------

    def _loop(self) -> NoReturn:
        """Raises Done, Ended, TerminalGone or Failure."""
        self._indicate(time.monotonic())
        self._receive()
        signals, tty = self._signals.fileno(), self._tty.fileno()
        while True:
            readable = self._wait(signals, tty)
            if signals in readable:
                self._on_signals()
            if tty in readable:
                self._on_typed(self._keyboard.feed(self._tty.read(), time.monotonic(), self._drawing.modes.bracketed_paste))
            if self._keyboard.due_at is not None:
                self._on_typed(self._keyboard.due(time.monotonic()))
            socket = self._stream.socket
            if socket is not None and (socket.fd in readable or socket.waiting):
                self._receive()
            elif socket is None or not socket.open:
                self._connect_again()
            if self._tick_at is not None and time.monotonic() >= self._tick_at:
                self._indicate(time.monotonic())

    def _wait(self, signals: int, tty: int) -> list[int]:
        """Waits until there is something to do; the descriptors that can be read. Sends meanwhile what is to be sent."""
        socket = self._stream.socket
        if socket is not None and socket.idle and self._tick_at is None and self._keyboard.due_at is None:  # as nearly always
            return select.select([signals, tty, socket.fd], [], [])[0]
        reading = [signals] if self._stream.full else [signals, tty]
        writing = [socket.fd] if socket is not None and socket.unsent_bytes else []
        if socket is not None:
            reading.append(socket.fd)
        retry_at = None if self._stream.connected else self._reconnection.due_at
        moments = [moment for moment in (self._keyboard.due_at, self._tick_at, retry_at) if moment is not None]
        timeout_s = max(min(moments) - time.monotonic(), 0) if moments else None
        if socket is not None and socket.waiting:
            timeout_s = 0
        readable, writable, _ = select.select(reading, writing, [], timeout_s)
        if writable and socket is not None:
            socket.flush()
        return readable

    def _on_signals(self) -> None:
        came = self._signals.take()
        if self._signals.ending is not None:
            raise Ended
        if signal.SIGTSTP in came:
            self._hold.give_back(self._drawing.end(), self._drawing.modes.talks)
            stop()
            self._signals.take()
            self._return()
        elif signal.SIGCONT in came:  # after SIGSTOP, which nobody is told of
            self._return()
        elif signal.SIGWINCH in came:
            self._on_size()

    def _return(self) -> None:
        """Takes the terminal again, which others have used meanwhile."""
        self._size = self._tty.size()
        title = self._drawing.modes.title
        self._drawing = Drawing(self._options.status)
        self._drawing.title.name, self._drawing.modes.title = self._name, title
        self._hold.take(self._drawing.begin(*self._size), self._drawing.reset())
        self._indicate(time.monotonic())
        self._draw_anew()

    def _on_size(self) -> None:
        size = self._tty.size()
        if size != self._size:
            self._size = size
            self._show(self._drawing.fit(*size))
            self._cover()
            self._stream.resize(*self._drawing.room(*size))

    # -- the keyboard ------------------------------------------------------------------------------------------------------

    def _on_typed(self, typed: list[Typed]) -> None:
        for what, data in typed:
            if what == "detach":
                raise Done("[detached]")
            if what == "stop":
                self._stop_what_pauses()
            elif self._question is not None:
                self._on_answer(self._question, data)
            elif self._options.read_only:
                continue
            elif not (self._stream.type(data) or self._reconnection.keep(data)):
                self._hold.write(BELL)

    def _on_answer(self, question: Question, data: bytes) -> None:
        question.feed(data)
        if question.answered:
            self._call("prompt.answer", {"prompt": question.id, "value": question.value})
            self._ask(None)
        else:
            self._indicate(time.monotonic())

    def _ask(self, prompt: dict[str, Any] | None) -> None:
        """Shows a question, which may be the one that is shown; None: there is no more."""
        before = self._question
        if prompt is None:
            self._question = None
            if before is not None and self._drawing.status.covering:
                self._stream.redraw()
        elif before is None or before.id != prompt["id"]:
            self._question = Question(prompt)
            self._cover()
        self._indicate(time.monotonic())

    def _cover(self) -> None:
        """The last row is for the question, if there is one."""
        if self._question is not None:
            self._drawing.status.cover(*self._size, self._question.line(self._size[1]))

    def _stop_what_pauses(self) -> None:
        """Has the coprocess ended that does not read."""
        by = self._indicator.stoppable(time.monotonic())
        self._call("coprocess.stop", {"session": self._stream.session, "name": by, "grace_s": STOP_GRACE_S})

    def _call(self, method: str, params: dict[str, Any]) -> None:
        """Has the daemon do something, on a connection of its own; a bell where it does not."""
        try:
            with Connection(self._path, timeout_s=CALL_S) as connection:
                connection.call(method, params, timeout_s=CALL_S)
        except Failure:
            self._hold.write(BELL)

    # -- the stream --------------------------------------------------------------------------------------------------------

    def _receive(self) -> None:
        """Shows output, as much as came at once, and does what messages say between."""
        came: list[Came] = []
        try:
            came = self._stream.receive()
        except Failure as failure:
            self._on_refused(failure)
        output: list[bytes] = []
        for kind, what in came:
            if kind in ("output", "redraw"):
                output.append(what)
                continue
            if output:
                self._show(self._drawing.output(b"".join(output), time.monotonic()))
                output = []
            if kind == "message":
                with understood():
                    self._on_message(what)
            else:
                self._on_lost()
        if output:
            self._show(self._drawing.output(b"".join(output), time.monotonic()))

    def _on_message(self, message: dict[str, Any]) -> None:
        now = time.monotonic()
        match message["type"]:
            case "attached":
                self._on_connected(now)
            case "snapshot":
                self._fits = self._is_size(message)
                self._show(self._drawing.start_over(message["rows"]))
                self._cover()
            case "resize":
                self._on_resized(message)
            case "title":
                self._drawing.modes.title = None if message["title"] is None else str(message["title"])
                self._show(self._drawing.additions(now))
            case "coprocess":
                self._indicator.on_coprocess(message["coprocess"])
                self._indicate(now)
            case "paused":
                self._indicator.on_paused(message["paused"], now)
                self._indicate(now)
            case "prompt" if not self._options.read_only:
                self._ask(message["prompt"])
            case "notification":
                self._show(self._drawing.notification(notification.sequence(message["text"], self._name), now))
            case "error":
                self._hold.write(BELL)
            case "detached":
                raise Done("[detached]" if message.get("by") == "client" else "[detached by another client]")
            case "exit":
                raise Done(f"[session {self._name} ended, {how_ended(message)}]")

    def _is_size(self, message: dict[str, Any]) -> bool:
        """Whether the session has the size for which there is room here."""
        return (message["rows"], message["cols"]) == self._drawing.room(*self._size)

    def _on_resized(self, message: dict[str, Any]) -> None:
        """The session has another size: this terminal's, or that of another, which it cannot show as a terminal of that size would."""
        fitted, self._fits = self._fits, self._is_size(message)
        if message["rows"] != self._drawing.session_rows:
            self._show(self._drawing.fit(*self._size, message["rows"]))
            self._cover()
        if not (fitted and self._fits):
            self._stream.redraw()

    def _on_connected(self, now: float) -> None:
        self._indicator.on_connection(False, now)
        self._indicator.on_coprocess(None)
        self._indicator.on_paused(None, now)
        self._indicate(now)
        typed = self._reconnection.made(now)
        if not self._stream.type(typed):  # it has ended with the same piece that says it is there
            self._reconnection.keep(typed)

    def _on_lost(self) -> None:
        now = time.monotonic()
        self._question = None  # the next daemon does not know it; whoever asked asks again
        self._reconnection.lost(now)
        self._indicator.on_connection(True, now)
        self._indicate(now)

    def _draw_anew(self) -> None:
        """Has the whole screen drawn, on a connection of its own."""
        self._reconnection.begin(time.monotonic())
        try:
            self._stream.open(self._drawing.room(*self._size), anew=True)
        except Failure as failure:
            self._on_lost()
            self._on_refused(failure)

    def _connect_again(self) -> None:
        """Once more, if it is time."""
        if (now := time.monotonic()) < self._reconnection.due_at:
            return
        self._reconnection.begin(now)
        try:
            self._stream.open(self._drawing.room(*self._size))
        except Failure as failure:
            self._on_refused(failure)

    def _on_refused(self, failure: Failure) -> None:
        """It will be tried again; raises the failure where that is of no use, and another when it has been tried for long enough."""
        if failure.code == "session_not_found":
            raise Failure(f"session {self._name} is gone", failure.status, failure.code)
        if failure.code in ("permission_denied", "version_mismatch", NOT_UNDERSTOOD):
            raise failure
        if self._reconnection.failed(time.monotonic()):
            raise NoDaemon(
                f"the connection to the daemon was lost, and could not be made again within {self._options.reconnect_s:g} s: {failure.message}\n"
                f"session {self._name} may go on all the same; {remedy(self._path)} and coprocctl list show it"
            )

    # -- what is said beside the output ------------------------------------------------------------------------------------

    def _indicate(self, now: float) -> None:
        """Shows what is to be said of the session now."""
        self._keyboard.stop = STOP_KEY if self._indicator.stoppable(now) else None
        self._drawing.title.mark(self._indicator.mark(now))
        if self._question is not None:
            self._drawing.status.show(self._question.line(self._size[1]))
        elif self._options.status:
            self._drawing.status.show(self._indicator.line(now, time.time()))
        self._tick_at = now + TICK_S if self._indicator.changes_with_time or self._drawing.status.due else None
        self._show(self._drawing.additions(now))

"""The screen worker, told over its socket as the daemon does it: what it shows, answers, saves, and that nobody waits for a terminal that has much to do."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from coprocd.platform import memory
from coprocd.runtime.output_log import OutputLog
from coprocd.screen import ghostty, wire
from coprocd.screen.emulator import EmulatorError
from coprocd.screen.page import BYTES as PAGE_BYTES
from coprocd.screen.page import Kind, Page
from coprocd.screen.worker import Worker

PIECE_BYTES = 8192


class Scene:
    """A worker in a thread, and the daemon's end of its socket."""

    def __init__(self, emulators: Any = ghostty) -> None:
        self.socket, its = socket.socketpair()
        self.socket.settimeout(30)
        self._page_fd = memory.create("page", PAGE_BYTES)
        self.page = Page(self._page_fd)
        self._receiver = wire.Receiver(self.socket)
        self._heard: list[wire.FromWorker] = []
        self._logs: list[OutputLog] = []
        self._thread = threading.Thread(target=Worker(its, self.page, emulators).run)
        self._thread.start()
        assert isinstance(self.hear(), wire.Ready)

    def log(self, output: bytes, capacity: int = 1 << 20) -> OutputLog:
        log = OutputLog.create(f"s{len(self._logs)}", capacity)
        self._logs.append(log)
        for start in range(0, len(output), capacity):
            log.write(output[start : start + capacity])
        return log

    def open(self, log: OutputLog, terminal: int = 1, **more: Any) -> None:
        opening = wire.Open(
            terminal=terminal,
            ring_at=log.ring.base,
            ring_bytes=log.ring.capacity,
            checkpoints_at=log.checkpoints.base,
            **({"rows": 24, "cols": 80, "scrollback_bytes": 1 << 20, "fresh": False} | more),
        )
        socket.send_fds(self.socket, [wire.encode(opening)], [log.fd])

    def step(self, *steps: wire.Step, terminal: int = 1, muted: bool = False, save: tuple[int, int] | None = None) -> None:
        self.tell(wire.Steps(terminal=terminal, steps=list(steps), muted=muted, piece_bytes=PIECE_BYTES, save=save))

    def tell(self, message: wire.ToWorker) -> None:
        self.socket.sendall(wire.encode(message))

    def hear(self) -> Any:
        """What it says next."""
        while not self._heard:
            assert self._receiver.receive(), "the worker has ended"
            self._heard += [wire.from_worker.decode(frame) for frame in self._receiver.frames()]
        return self._heard.pop(0)

    def shows(self, terminal: int = 1) -> str:
        self.tell(wire.Capture(terminal, "text", 0))
        captured = self.hear()
        assert isinstance(captured, wire.Captured)
        return str(captured.capture.text)

    def close(self) -> None:
        self.socket.close()
        self._thread.join(30)
        assert not self._thread.is_alive()
        self.page.close()
        os.close(self._page_fd)
        for log in self._logs:
            log.close()


@pytest.fixture
def begin() -> Iterator[Callable[..., Scene]]:
    """Makes scenes; and no descriptor may be left over."""
    before, scenes = len(os.listdir("/dev/fd")), list[Scene]()

    def make(emulators: Any = ghostty) -> Scene:
        scenes.append(Scene(emulators))
        return scenes[-1]

    yield make
    for scene in scenes:
        scene.close()
    assert len(os.listdir("/dev/fd")) == before


@pytest.fixture
def scene(begin: Callable[..., Scene]) -> Scene:
    return begin()


def test_it_shows_the_output_what_is_injected_and_the_size(scene: Scene) -> None:
    log = scene.log(b"one\r\n\x1b]2;title\x07two")
    scene.open(log)
    opened = scene.hear()
    assert (opened.found, opened.offset, opened.rows, opened.cols) == (False, 0, 24, 80)
    scene.step(wire.Feed(0, 5), wire.Show(b"injected\r\n"), wire.Feed(5, log.end), wire.Resize(10, 40, muted=True))
    assert scene.hear() == wire.Done(terminal=1, title="title", saved=None)
    assert scene.shows().rstrip("\n") == "one\ninjected\ntwo"
    scene.tell(wire.Redraw(1))
    redrawn = scene.hear()
    assert (redrawn.rows, redrawn.cols) == (10, 40) and b"injected" in redrawn.data


def test_it_reads_a_run_that_goes_round_the_end_of_the_ring(scene: Scene) -> None:
    output = b"".join(b"%06d\r\n" % number for number in range(3000))
    log = scene.log(output, capacity=10_000)
    scene.open(log)
    scene.hear()
    scene.step(wire.Feed(log.retained_from, log.end))
    scene.hear()
    assert scene.shows().split("\n")[:23] == [f"{number:06}" for number in range(2977, 3000)]


def test_answers_say_behind_which_offset_they_were_asked_and_muted_there_are_none(scene: Scene) -> None:
    log = scene.log(b"x" * 20 + b"\x1b[c" + b"y" * 20_000 + b"\x1b[6n")
    scene.open(log)
    scene.hear()
    scene.step(wire.Feed(0, 30), muted=True)
    assert isinstance(scene.hear(), wire.Done)
    scene.step(wire.Show(b"\x1b[c"))
    assert isinstance(scene.hear(), wire.Done)
    scene.step(wire.Feed(30, log.end))
    answer = scene.hear()
    assert (answer.offset, answer.data[:2]) == (log.end, b"\x1b[")
    assert isinstance(scene.hear(), wire.Done)


def test_a_terminal_goes_on_from_its_checkpoint_in_another_worker(begin: Callable[..., Scene]) -> None:
    first, log_at = begin(), b"\x1b[31mred\r\n\x1b[?1049halternate \x1b[3"
    log = first.log(log_at + b"2mgreen")
    first.open(log)
    first.hear()
    first.step(wire.Feed(0, len(log_at)), save=(len(log_at), 7))
    assert first.hear().saved is True
    second = begin()
    second.open(log)
    opened = second.hear()
    assert (opened.found, opened.offset, opened.injected) == (True, len(log_at), 7)
    second.step(wire.Feed(len(log_at), log.end))
    second.hear()
    first.step(wire.Feed(len(log_at), log.end))
    first.hear()
    for scene in (first, second):
        scene.tell(wire.Capture(1, "json", 0))
    assert first.hear().capture == second.hear().capture


def test_fresh_it_does_not_look_for_a_checkpoint(scene: Scene) -> None:
    log = scene.log(b"text")
    scene.open(log)
    scene.hear()
    scene.step(wire.Feed(0, 4), save=(4, 0))
    scene.hear()
    scene.open(log, terminal=2, fresh=True)
    assert scene.hear().found is False
    assert scene.shows(2).strip() == ""


def test_a_terminal_with_much_to_do_keeps_no_other_waiting(scene: Scene) -> None:
    log = scene.log(b"x" * (1 << 20))
    for terminal in (1, 2):
        scene.open(log, terminal)
        scene.hear()
    scene.step(wire.Feed(0, log.end), wire.Feed(0, log.end), wire.Feed(0, log.end))
    scene.step(wire.Feed(0, 10), terminal=2)
    assert [scene.hear().terminal, scene.hear().terminal] == [2, 1]


def test_what_is_closed_lets_the_log_go_even_while_it_has_much_to_do(scene: Scene) -> None:
    log = scene.log(b"x" * (1 << 20))
    scene.open(log, 2)
    scene.hear()
    before = len(os.listdir("/dev/fd"))
    scene.open(log)
    scene.hear()
    scene.step(*[wire.Feed(0, log.end)] * 20)
    scene.tell(wire.Close(1))
    scene.step(terminal=2)
    assert scene.hear().terminal == 2
    assert len(os.listdir("/dev/fd")) == before


class Failing:
    """Emulators that fail at what they are asked."""

    def __init__(self, at: str) -> None:
        self.at = at

    def new(self, *size: int) -> Any:
        if self.at == "new":
            raise EmulatorError("no")
        emulator, at = ghostty.new(*size), self.at

        class Emulator:
            def __getattr__(self, name: str) -> Any:
                if name == at:
                    raise EmulatorError("no")
                return getattr(emulator, name)

        return Emulator()


@pytest.mark.parametrize(
    ("at", "kind"), [("new", Kind.LOAD), ("feed", Kind.FEED), ("resize", Kind.RESIZE), ("save", Kind.SAVE), ("capture", Kind.REPLY)]
)
def test_a_terminal_that_fails_says_at_what_and_others_go_on(begin: Callable[..., Scene], at: str, kind: Kind) -> None:
    failing = Failing(at)
    scene = begin(failing)
    log = scene.log(b"text")
    scene.open(log)
    if at != "new":
        scene.hear()
        scene.step(wire.Resize(10, 40, muted=True), *([wire.Feed(1, 3)] if at == "feed" else []), save=(0, 0) if at == "save" else None)
        if at == "capture":
            scene.hear()
            scene.tell(wire.Capture(1, "text", 0))
    failed = scene.hear()
    assert isinstance(failed, wire.Failed) and failed.kind == kind and "EmulatorError" in failed.why
    assert (failed.start, failed.stop) == ((1, 3) if at == "feed" else (0, 0))
    scene.tell(wire.Close(1))
    failing.at = ""
    scene.open(log, 2)
    assert isinstance(scene.hear(), wire.Opened)
    assert scene.page.work is None


def test_frames_come_out_whole_however_they_are_cut() -> None:
    messages = [wire.Show(b"x" * size) for size in (0, 10, 300)]
    steps = [wire.Steps(terminal=1, steps=[message], muted=False, piece_bytes=1) for message in messages]
    ours, its = socket.socketpair()
    with ours, its:
        receiver, found = wire.Receiver(its), list[wire.ToWorker]()
        for byte in b"".join(map(wire.encode, steps)):
            ours.sendall(bytes([byte]))
            assert receiver.receive()
            found += [wire.to_worker.decode(frame) for frame in receiver.frames()]
        assert found == steps
        ours.close()
        assert not receiver.receive()
    with pytest.raises(msgspec.MsgspecError):
        wire.to_worker.decode(b"\xff")

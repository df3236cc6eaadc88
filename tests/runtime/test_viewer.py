"""A viewer without a session around it: what it is sent, in which order, and what bounds that."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from coprocd.core.timeline import Injection, Place
from coprocd.protocol.attach import ACK_WINDOW_BYTES, FRAME_BYTES
from coprocd.runtime.display import Display
from coprocd.runtime.output_log import OutputLog
from coprocd.runtime.screen import Snapshot
from coprocd.runtime.session import Session
from coprocd.runtime.viewer import MESSAGES_MOST, Viewer
from coprocd.runtime.viewers import Viewers

CAPACITY = 1 << 20


class Injections:
    """Those that a test makes; the last ten are kept."""

    def __init__(self) -> None:
        self.all: list[Injection] = []

    @property
    def made(self) -> int:
        return len(self.all)

    @property
    def kept_from(self) -> int:
        return max(0, len(self.all) - 10)

    def since(self, number: int) -> Iterator[Injection]:
        return iter(self.all[max(number, self.kept_from) :])


class Stage:
    """A log, what is injected, and one viewer that has all so far."""

    def __init__(self, lag_bytes: int | None = None) -> None:
        self.log = OutputLog.create("test", CAPACITY)
        self.injections = Injections()
        session = SimpleNamespace(log=self.log, injections=self.injections, finished=False, dropped=False)
        self.display = session.display = Display(cast(Session, session))
        viewers = SimpleNamespace(session=session, read=lambda start, stop: self.log.read(start, stop - start))
        self.viewer = Viewer(cast(Viewers, viewers), "c1", None, "rw", None, lag_bytes)
        self.viewer.resume(Place(0))

    def prints(self, data: bytes) -> None:
        self.log.write(data)

    def injects(self, data: bytes) -> None:
        self.injections.all.append(Injection(len(self.injections.all), self.log.end, data))

    def sent(self) -> list[Any]:
        """All that is sent until nothing is; output in a row as one piece."""
        pieces: list[Any] = []
        while messages := self.viewer.take():
            for message in messages:
                if isinstance(message, bytes) and pieces and isinstance(pieces[-1], bytes):
                    pieces[-1] += message
                else:
                    pieces.append(message)
        return pieces

    def shown(self) -> bytes:
        return b"".join(piece for piece in self.sent() if isinstance(piece, bytes))


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.log.close()


def test_a_frame_has_a_bound_and_all_of_them_are_the_output(stage: Stage) -> None:
    data = bytes(range(256)) * 1000
    stage.prints(data)
    frames: list[bytes] = []
    while taken := stage.viewer.take():
        frames += [frame for frame in taken if isinstance(frame, bytes)]
    assert max(map(len, frames)) == FRAME_BYTES and b"".join(frames) == data


def test_a_message_comes_behind_what_was_printed_before_it_and_before_what_is_printed_after(stage: Stage) -> None:
    stage.prints(b"before ")
    stage.viewer.tell({"type": "title", "title": "one"}, "title")
    stage.prints(b"behind")
    assert stage.sent() == [b"before ", {"type": "title", "title": "one"}, b"behind"]


def test_of_a_kind_only_the_last_waits_and_it_comes_in_its_own_place(stage: Stage) -> None:
    for number in range(3):
        stage.viewer.tell({"type": "title", "title": number}, "title")
        stage.prints(b"%d" % number)
    assert stage.sent() == [b"01", {"type": "title", "title": 2}, b"2"]


def test_of_too_many_messages_the_oldest_that_is_no_state_is_forgotten(stage: Stage) -> None:
    stage.viewer.tell({"type": "title"}, "title")
    for number in range(MESSAGES_MOST + 10):
        stage.viewer.tell({"type": "notification", "text": number})
    sent = stage.sent()
    assert len(sent) == MESSAGES_MOST and sent[0] == {"type": "title"}
    assert [message["text"] for message in sent[1:]] == list(range(11, MESSAGES_MOST + 10))


def test_a_message_told_as_silence_opens_does_not_wait_for_its_end(stage: Stage) -> None:
    stage.prints(b"shown unseen")
    stage.viewer.tell({"type": "notification"})
    stage.log.silence.open(6, stage.log.retained_from)
    assert stage.sent() == [b"shown ", {"type": "notification"}]


def test_a_silence_longer_than_many_frames_is_passed_over_at_once_and_told_before_what_follows(stage: Stage) -> None:
    stage.log.silence.open(0, 0)
    stage.prints(b"x" * (10 * FRAME_BYTES))
    stage.viewer.tell({"type": "coprocess"}, "coprocess")
    assert stage.sent() == [{"type": "coprocess"}]
    stage.log.silence.close(stage.log.end)
    stage.viewer.tell({"type": "coprocess"}, "coprocess")
    assert stage.viewer.take() == [{"type": "coprocess"}]
    stage.prints(b"seen")
    assert stage.sent() == [{"type": "offset", "offset": 10 * FRAME_BYTES, "reason": "silent", "injected": 0}, b"seen"]


def test_what_the_log_loses_of_an_open_silence_is_no_lag(stage: Stage) -> None:
    stage.prints(b"seen")
    assert stage.shown() == b"seen"
    stage.log.silence.open(4, 0)
    for _ in range(3):
        stage.prints(b"x" * (CAPACITY // 2))
        assert stage.viewer.behind() is None
    stage.log.silence.close(stage.log.end)
    stage.prints(b"seen again")
    assert stage.viewer.behind() is None and stage.shown() == b"seen again"


def test_who_was_overtaken_is_behind_until_it_is_shown_the_screen(stage: Stage) -> None:
    stage.prints(b"x" * CAPACITY)
    stage.prints(b"y")
    assert stage.viewer.behind() == "lag"
    place = Place(stage.log.end - 1)
    snapshot, redraw = stage.viewer.resync(Snapshot(place, 24, 80, b"screen"), "lag")
    assert snapshot == {"type": "snapshot", "offset": place.offset, "reason": "lag", "rows": 24, "cols": 80, "injected": 0}
    assert redraw == b"screen" and stage.viewer.behind() is None and stage.shown() == b"y"


def test_so_is_who_has_not_seen_what_was_injected_and_is_not_kept(stage: Stage) -> None:
    for number in range(10):
        stage.injects(b"%d" % number)
    assert stage.viewer.behind() is None
    stage.injects(b"one more")
    assert stage.viewer.behind() == "lag"


def test_who_wants_to_be_no_further_behind_is_told_sooner() -> None:
    stage = Stage(lag_bytes=FRAME_BYTES)
    stage.prints(b"x" * FRAME_BYTES)
    assert stage.viewer.behind() is None
    stage.prints(b"x")
    assert stage.viewer.behind() == "lag"
    stage.log.close()


def test_injected_bytes_do_not_move_it_on(stage: Stage) -> None:
    stage.prints(b"before")
    stage.injects(b"injected")
    stage.prints(b"after")
    at = {"type": "offset", "offset": 6, "reason": "inject"}
    assert stage.sent() == [b"before", at | {"injected": 0}, b"injected", at | {"injected": 1}, b"after"]


def test_of_what_an_ack_opens_silence_and_snapshots_do_not_count() -> None:
    """A window that counted them would close for ever: nothing was sent that could be acked."""
    stage = Stage()
    stage.viewer.ack(0)
    stage.log.silence.open(0, 0)
    for _ in range(2 * ACK_WINDOW_BYTES // CAPACITY + 1):
        stage.prints(b"x" * CAPACITY)
        stage.viewer.behind()
        stage.sent()
    stage.log.silence.close(stage.log.end)
    stage.prints(b"seen")
    assert stage.viewer.behind() is None and stage.shown() == b"seen"
    stage.viewer.resync(Snapshot(Place(stage.log.end + 10 * ACK_WINDOW_BYTES), 24, 80, b""), "lag")
    assert stage.viewer._window() == ACK_WINDOW_BYTES - len(b"seen")
    stage.log.close()


def test_an_ack_of_before_a_snapshot_counts_for_what_came_before_it(stage: Stage) -> None:
    stage.viewer.ack(0)
    stage.prints(b"x" * 1000)
    assert len(stage.shown()) == 1000
    stage.viewer.resync(Snapshot(Place(stage.log.end), 24, 80, b""), "lag")
    stage.prints(b"x" * 500)
    stage.viewer.resync(Snapshot(Place(stage.log.end), 24, 80, b""), "lag")
    assert stage.viewer._window() == ACK_WINDOW_BYTES - 1000
    stage.viewer.ack(400)
    assert stage.viewer._window() == ACK_WINDOW_BYTES - 600
    stage.viewer.ack(1 << 60)
    assert stage.viewer._window() == ACK_WINDOW_BYTES

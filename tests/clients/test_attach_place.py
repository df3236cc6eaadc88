"""Where a client is in the output, and what of it it shows beside it: the indicator and notifications."""

from __future__ import annotations

import json
from typing import Any

import pytest
from coprocctl.exits import Failure
from coprocctl.terminal import notification
from coprocctl.terminal.indicator import LOST_S, PAUSE_S, Indicator
from coprocctl.terminal.stream import Stream
from coprocctl.websocket import Closed, Received

ATTACHED = {"type": "attached", "session": {"id": "s1"}, "protocol": {"min": 1, "max": 1}, "epoch": "e", "offset": 100, "injected": 0}


class Socket:
    """A websocket that has received what a test says."""

    open = True
    broken = False

    def __init__(self, *came: dict[str, Any] | bytes | Received) -> None:
        self._came: list[Received] = [json.dumps(what) if isinstance(what, dict) else what for what in came]

    def receive(self) -> list[Received]:
        came, self._came = self._came, []
        return came

    def abort(self) -> None: ...
    def close(self) -> None: ...


def followed(*came: dict[str, Any] | bytes | Received) -> tuple[Stream, list[tuple[str, Any]]]:
    stream = Stream("/nowhere", "work", read_only=False)
    stream.socket = Socket(ATTACHED, *came)  # type: ignore[assignment]
    return stream, [(kind, what) for kind, what in stream.receive() if kind != "message"]


SNAPSHOT = {"type": "snapshot", "offset": 100, "reason": "attach", "injected": 0}


def inject(offset: int, injected: int) -> dict[str, Any]:
    return {"type": "offset", "offset": offset, "reason": "inject", "injected": injected}


@pytest.mark.parametrize(
    ("came", "since", "injected"),
    [
        ([SNAPSHOT, b"screen", b"12345"], 105, 0),
        ([SNAPSHOT, b"screen", b"12", {"type": "offset", "offset": 500, "reason": "silent", "injected": 0}, b"123"], 503, 0),
        ([SNAPSHOT, b"screen", b"12", inject(102, 0), b"injected", inject(102, 1), b"34"], 104, 1),
        ([SNAPSHOT, b"screen", inject(100, 0), b"one", inject(100, 1), inject(100, 1), b"two", inject(100, 2), b"1"], 101, 2),
        ([SNAPSHOT, b"screen", inject(100, 0), b"one"], 100, 1),
        ([SNAPSHOT, b"screen", inject(100, 0)], 100, 0),
    ],
)
def test_it_goes_on_where_it_was(came: list[Any], since: int, injected: int) -> None:
    stream, _ = followed(*came)
    assert stream._place == {"epoch": "e", "since": since, "injected": injected}


def test_what_redraws_the_screen_is_told_from_output() -> None:
    _, came = followed(SNAPSHOT, b"screen", b"output")
    assert came == [("redraw", b"screen"), ("output", b"output")]


def test_a_picture_that_did_not_come_is_nothing_to_go_on_from() -> None:
    stream, _ = followed(SNAPSHOT, Closed(1006, ""))
    assert stream._place is None and stream.socket is None


def test_another_version_of_the_protocol_is_said_with_what_to_upgrade() -> None:
    stream = Stream("/nowhere", "work", read_only=False)
    stream.socket = Socket(ATTACHED | {"protocol": {"min": 2, "max": 3}})  # type: ignore[assignment]
    with pytest.raises(Failure, match="upgrade coprocctl"):
        stream.receive()


# -- the indicator -----------------------------------------------------------------------------------------------------


COPROCESS = {"id": "c1", "command": "cat\n-v", "started_at": 1000.0, "started_offset": 10, "consumed_offset": 2058, "typed_bytes": 3}


def test_a_coprocess_is_shown_with_what_it_has_read_and_typed() -> None:
    indicator = Indicator("C-]", read_only=False)
    assert (indicator.mark(0), indicator.line(0, 0)) == ("", "")
    indicator.on_coprocess(COPROCESS)
    assert indicator.mark(0) == "◆ cat\\n-v"
    assert indicator.line(0, 1067.9) == "◆ cat\\n-v  1:07  in 2.0 KiB, out 3 B"
    assert "1:00:00" in indicator.line(0, 4600)
    indicator.on_coprocess(None)
    assert (indicator.mark(0), indicator.line(0, 0)) == ("", "")


def test_a_pause_is_shown_once_it_lasts_and_the_key_acts_only_then() -> None:
    indicator = Indicator("C-]", read_only=False)
    indicator.on_coprocess(COPROCESS)
    indicator.on_paused({"why": "coprocess", "by": "c1"}, 5.0)
    assert indicator.stoppable(5.0) is None and "paused" not in indicator.mark(5.0)
    later = 5.0 + PAUSE_S
    assert indicator.stoppable(later) == "c1"
    assert indicator.mark(later) == "◆ paused: the coprocess does not read; C-] stops it"
    indicator.on_paused({"why": "coprocess", "by": "c2"}, later)
    assert "an observer does not read" in indicator.line(later, 1000)
    indicator.on_paused({"why": "stopped", "by": None}, later)
    assert indicator.stoppable(later) is None and "C-q goes on" in indicator.mark(later)
    indicator.on_paused(None, later)
    assert indicator.mark(later) == "◆ cat\\n-v"


def test_a_lost_connection_is_shown_once_it_lasts() -> None:
    indicator = Indicator("C-]", read_only=True)
    assert indicator.mark(0) == "◆ read-only"
    indicator.on_connection(True, 5.0)
    assert indicator.mark(5.0) == "◆ read-only"
    assert indicator.mark(5.0 + LOST_S) == "◆ connecting again" and "lost" in indicator.line(5.0 + LOST_S, 0)
    indicator.on_connection(False, 9.0)
    assert indicator.mark(9.0) == "◆ read-only"


# -- notifications -----------------------------------------------------------------------------------------------------


def test_a_notification_is_text_and_nothing_else() -> None:
    shown = notification.sequence("done\x07\x1b]2;evil\x1b\\\n\x9b31m \u202e x" + "y" * 999, "a;b\x07", {"TERM_PROGRAM": "iTerm.app"})
    assert shown.startswith(b"\x1b]9;done ]2;evil") and shown.count(b"\x1b") == 1 and shown.count(b"\x07") == 1 and len(shown) < 400


@pytest.mark.parametrize(
    ("environment", "sequences"),
    [
        ({"VTE_VERSION": "7200"}, [b"777"]),
        ({"TERM": "rxvt-unicode"}, [b"777"]),
        ({"TERM_PROGRAM": "WezTerm"}, [b"9"]),
        ({"KITTY_WINDOW_ID": "1"}, [b"9"]),
        ({"TERM": "xterm-256color"}, [b"9", b"777"]),
        ({"TERM_PROGRAM": "tmux", "TMUX": "x"}, [b"9", b"777"]),
    ],
)
def test_a_terminal_gets_what_it_knows_and_both_if_that_is_not_known(environment: dict[str, str], sequences: list[bytes]) -> None:
    shown = notification.sequence("4 done", "work", environment)
    assert [number for number in (b"9", b"777") if b"\x1b]" + number + b";" in shown] == sequences
    assert (b"notify;work;4 done" in shown) is (b"777" in sequences) and (b"]9; 4 done" in shown) is (b"9" in sequences)
    assert shown.startswith(b"\x1bPtmux;\x1b\x1b]") is ("TMUX" in environment)

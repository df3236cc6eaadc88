"""A line that the terminal would cut: no request that types into it is answered with success, whoever typed the rest of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.live import Client, Live, RpcError


def waits(daemon: Live, stty: str = "", reader: str = "cat >/dev/null") -> str:
    """A session whose job waits for a line, its terminal set by `stty`."""
    session = daemon.create(shell=f"stty -echo {stty}; echo ready; {reader}")
    daemon.output(session, b"ready")
    return session


def typed_by_a_coprocess(daemon: Live, session: str, command: str) -> dict[str, object]:
    daemon.call("coprocess.run", session=session, command=command)
    return daemon.ended(session)


def too_long(daemon: Live, session: str, text: str) -> bool:
    try:
        daemon.call("session.send_text", session=session, text=text)
    except RpcError as error:
        assert error.code == "line_too_long" and error.data["longest"] > error.data["most"] == 4095
        return True
    return False


@pytest.fixture
def session(daemon: Live) -> Iterator[str]:
    """One whose job says how many bytes it got, at ^D."""
    made = waits(daemon, reader="wc -c")
    yield made
    daemon.call("session.close", session=made, grace_s=0)


def test_what_a_coprocess_has_typed_of_the_line_counts(daemon: Live, session: str) -> None:
    """Only what was typed by request was counted: 4,000 bytes of a coprocess and 96 of a request were a success, and one was lost."""
    assert typed_by_a_coprocess(daemon, session, "printf %04000d 0")["cut_bytes"] == 0
    assert too_long(daemon, session, "y" * 96)
    assert not too_long(daemon, session, "y" * 95 + "\n")
    assert typed_by_a_coprocess(daemon, session, "printf '%04000d\\nx' 0")["typed_bytes"] == 4002
    assert too_long(daemon, session, "y" * 4095) and not too_long(daemon, session, "y" * 4094 + "\n")
    daemon.call("session.send_keys", session=session, keys=["C-d"])
    assert b"12193" in daemon.output(session)  # 4,096 + 4,001 + 4,096


def test_keys_count_one_by_one_though_the_terminal_is_not_asked_at_each(daemon: Live, session: str) -> None:
    assert typed_by_a_coprocess(daemon, session, "printf %04000d 0")["cut_bytes"] == 0
    assert not any(too_long(daemon, session, "y") for _ in range(95))
    assert too_long(daemon, session, "y")
    daemon.restart()
    assert too_long(daemon, session, "y") and not too_long(daemon, session, "\n")
    assert not any(too_long(daemon, session, "z" * 15) for _ in range(4095 // 15))
    assert too_long(daemon, session, "z") and not too_long(daemon, session, "\n")
    daemon.call("session.send_keys", session=session, keys=["C-d"])
    assert b"8192" in daemon.output(session)


def test_the_count_outlives_the_daemon(daemon: Live, session: str) -> None:
    """A new daemon counted from 0."""
    assert not too_long(daemon, session, "y" * 2000)
    typed_by_a_coprocess(daemon, session, "printf %02000d 0")
    daemon.restart()
    assert too_long(daemon, session, "y" * 96)
    assert not too_long(daemon, session, "y" * 95 + "\n" + "z" * 4095 + "\n")
    daemon.call("session.send_keys", session=session, keys=["C-d"])
    assert b"8192" in daemon.output(session)


def test_a_coprocess_is_never_refused_and_what_the_terminal_drops_of_its_line_is_told(daemon: Live, session: str) -> None:
    """The kernel dropped 5,905 of 10,000 bytes, and nobody knew."""
    ended = typed_by_a_coprocess(daemon, session, "printf %010000d 0; sleep 0.2; printf %0100d 0; echo; printf %05000d 0; echo")
    assert (ended["typed_bytes"], ended["cut_bytes"]) == (15_102, 10_100 - 4095 + 5000 - 4095)
    assert not too_long(daemon, session, "y" * 4095 + "\n")
    daemon.call("session.send_keys", session=session, keys=["C-d"])
    assert b"12288" in daemon.output(session)


def test_a_line_cut_by_a_coprocess_is_one_event_and_can_be_ended_by_a_request(daemon: Live, session: str) -> None:
    daemon.call("coprocess.run", session=session, command="while printf %05000d 0; do :; done")
    cut = daemon.client.event("coprocess.line_cut", session=session)
    assert cut["bytes"] > 0
    assert daemon.call("coprocess.get", session=session)["id"] == cut["coprocess"]
    daemon.call("coprocess.stop", session=session)
    again = Client(daemon.socket)
    again.call("events.subscribe", session=session, since_seq=cut["seq"], types=["coprocess.line_cut", "coprocess.ended"])
    assert again.next_event()["type"] == "coprocess.ended"
    again.close()
    assert too_long(daemon, session, "y") and too_long(daemon, session, "y\n")
    assert not too_long(daemon, session, "\n")
    assert not too_long(daemon, session, "y" * 4095)


@pytest.mark.parametrize(
    ("stty", "no_end"),
    [
        ("-icrnl", "\r"),
        ("igncr", "\r"),
        ("inlcr", "\n"),
        ("kill undef", "\x15"),
        ("eof ^X", "\x04"),
        ("intr ^X quit ^Y susp ^Z", "\x03"),
        ("-isig", "\x03"),
        ("noflsh", "\x03"),
        ("", "\x16\n"),
    ],
)
def test_what_ends_no_line_of_this_terminal_ends_none_for_us(daemon: Live, stty: str, no_end: str) -> None:
    """CR, LF and five control characters ended a line whatever the terminal was told: the rest was cut, and success said."""
    session = waits(daemon, stty, reader="trap '' INT QUIT TSTP; cat >/dev/null")
    assert too_long(daemon, session, "y" * 4000 + no_end + "z" * 96)
    assert not too_long(daemon, session, "y" * 4000 + no_end)
    assert too_long(daemon, session, "z" * 96)
    daemon.call("session.close", session=session, grace_s=0)


def test_what_ends_a_line_of_this_terminal_ends_it_for_us(daemon: Live) -> None:
    session = waits(daemon, "kill ^K eol : intr ^B", reader="trap '' INT; cat >/dev/null")
    for end in ("\x0b", ":", "\x02"):
        assert not too_long(daemon, session, "y" * 4000 + end + "z" * 4000 + "\n")
    daemon.call("session.close", session=session, grace_s=0)


def test_what_was_taken_in_raw_mode_is_no_part_of_a_line(daemon: Live) -> None:
    """Else whoever had typed 4,095 bytes without CR into a raw job could type nothing when it was canonical again."""
    session = daemon.create(shell="stty raw -echo; echo ready; head -c 9000 >/dev/null; sleep 0.3; stty -raw; echo lines; cat >/dev/null")
    daemon.output(session, b"ready")
    assert not too_long(daemon, session, "y" * 5000)
    typed_by_a_coprocess(daemon, session, "printf %04000d 0")
    daemon.output(session, b"lines")
    assert not too_long(daemon, session, "z" * 4095)
    assert too_long(daemon, session, "z")
    daemon.call("session.close", session=session, grace_s=0)

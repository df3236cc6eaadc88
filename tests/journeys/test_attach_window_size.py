"""Whose size a session has with several clients attached, under each setting."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.attached import Attached
from support.live import Live, live


@contextmanager
def sized(policy: str) -> Iterator[tuple[Live, str]]:
    """A daemon with this setting, and a session of 24x80."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "coprocd").mkdir()
        (Path(directory) / "coprocd/config.toml").write_text(f'[sessions]\nwindow_size = "{policy}"\n')
        with live({"XDG_CONFIG_HOME": directory}) as daemon:
            yield daemon, daemon.create(shell="stty -echo; cat")


def size(daemon: Live, session: str) -> tuple[int, int]:
    shown = daemon.call("session.get", session=session)
    return shown["rows"], shown["cols"]


def resized(daemon: Live, rows: int, cols: int) -> None:
    """Waits until it has this size."""
    daemon.client.event("session.resized", rows=rows, cols=cols)


def test_latest_is_who_attached_typed_or_was_resized_last() -> None:
    with sized("latest") as (daemon, session):
        one = Attached(daemon.socket, session, rows=30, cols=100)
        resized(daemon, 30, 100)
        two = Attached(daemon.socket, session, rows=40, cols=120)
        resized(daemon, 40, 120)
        one.type(b"\r")
        resized(daemon, 30, 100)
        two.say(type="resize", rows=41, cols=121)
        resized(daemon, 41, 121)
        two.close()
        resized(daemon, 30, 100)
        nobody = Attached(daemon.socket, session)
        nobody.type(b"\r")
        nobody.message("attached")
        one.say(type="resize", rows=31, cols=101)
        resized(daemon, 31, 101)
        for each in (one, nobody):
            each.close()
            daemon.client.event("client.detached")
        assert size(daemon, session) == (31, 101)


def test_smallest_is_what_all_of_them_have() -> None:
    with sized("smallest") as (daemon, session):
        one = Attached(daemon.socket, session, rows=30, cols=120)
        resized(daemon, 30, 120)
        two = Attached(daemon.socket, session, rows=40, cols=100)
        resized(daemon, 30, 100)
        one.type(b"\r")
        two.say(type="resize", rows=20, cols=130)
        resized(daemon, 20, 120)
        one.close()
        resized(daemon, 20, 130)
        two.close()


def test_fixed_is_nobodys() -> None:
    with sized("fixed") as (daemon, session):
        client = Attached(daemon.socket, session, rows=30, cols=120)
        client.say(type="resize", rows=31, cols=121)
        client.type(b"typed\r")
        client.until(b"typed")
        assert size(daemon, session) == (24, 80)
        daemon.call("session.resize", session=session, rows=25, cols=81)
        assert client.message("resize") == {"type": "resize", "rows": 25, "cols": 81}
        client.close()


def test_a_window_that_is_dragged_is_followed_to_where_it_stays_and_not_through_every_size() -> None:
    with sized("latest") as (daemon, session):
        client = Attached(daemon.socket, session, rows=30, cols=100)
        for cols in range(101, 301):
            client.say(type="resize", rows=30, cols=cols)
        seen = [daemon.client.event("session.resized")["cols"]]
        while seen[-1] != 300:
            seen.append(daemon.client.event("session.resized")["cols"])
        assert len(seen) < 50
        client.close()

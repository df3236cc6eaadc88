"""`coprocctl ask`, with whoever answers played by calls."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from coprocctl_command import COPROCCTL, Beside
from support.live import Live, live


@pytest.fixture(scope="module")
def daemon() -> Iterator[Live]:
    with live() as started:
        yield started


@pytest.fixture
def session(daemon: Live) -> str:
    return daemon.create("cat")


def ask(daemon: Live, *args: str, **env: str) -> Beside:
    return Beside(
        [*COPROCCTL, "ask", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=daemon.environment | env
    )


def answered(daemon: Live, session: str, asking: Beside, value: str | bool | None) -> tuple[int, bytes, bytes]:
    """Its exit status, stdout and stderr, once it has been answered."""
    prompt = daemon.client.event("prompt.asked", session=session)["prompt"]
    daemon.call("prompt.answer", prompt=prompt, value=value)
    out, error = asking.communicate(timeout=60)
    return asking.returncode, out, error


@pytest.mark.parametrize("kind", ["text", "file", "password"])
def test_it_prints_the_answer(daemon: Live, session: str, kind: str) -> None:
    with ask(daemon, session, f"--{kind}", "Which?") as asking:
        assert answered(daemon, session, asking, "/a b/ü") == (0, "/a b/ü\n".encode(), b"")


@pytest.mark.parametrize(("value", "status"), [(True, 0), (False, 1)])
def test_confirm_prints_nothing_and_exits_as_was_answered(daemon: Live, session: str, value: bool, status: int) -> None:
    with ask(daemon, session, "--confirm", "Deploy?") as asking:
        assert answered(daemon, session, asking, value) == (status, b"", b"")


def test_inside_a_session_it_asks_there(daemon: Live, session: str) -> None:
    with ask(daemon, "--text", "Which?", COPROCD_SESSION=session) as asking:
        assert answered(daemon, session, asking, "this")[:2] == (0, b"this\n")


def test_one_that_is_refused_exits_1_and_says_so(daemon: Live, session: str) -> None:
    with ask(daemon, session, "--file", "Which?") as asking:
        status, out, error = answered(daemon, session, asking, None)
    assert (status, out) == (1, b"") and b"refused" in error


def test_when_the_time_is_over_it_exits_124(daemon: Live, session: str) -> None:
    with ask(daemon, session, "--file", "Which?", "--timeout", "0.1") as asking:
        asking.wait(60)
        assert asking.returncode == 124


def test_outside_of_a_session_it_needs_one(daemon: Live) -> None:
    with ask(daemon, "--file", "Which?") as asking:
        assert asking.wait(60) == 3
    with ask(daemon, "nobody", "--file", "Which?") as asking:
        assert asking.wait(60) == 3
    with ask(daemon, "nobody") as asking:
        assert asking.wait(60) == 2


def test_a_daemon_that_is_killed_forgets_it_and_the_next_is_asked() -> None:
    with live() as daemon:
        session = daemon.create("cat")
        with ask(daemon, session, "--file", "Which?") as asking:
            daemon.client.event("prompt.asked", session=session)
            daemon.kill()
            daemon.await_(lambda: daemon.call("session.get", session=session)["prompt"])
            daemon.call("prompt.answer", prompt=daemon.call("session.get", session=session)["prompt"]["id"], value="/it")
            assert asking.communicate(timeout=60)[0] == b"/it\n"


def test_json_tells_the_answer(daemon: Live, session: str) -> None:
    with ask(daemon, "--json", session, "--confirm", "Deploy?") as asking:
        assert answered(daemon, session, asking, False)[:2] == (1, b'{"value":false}\n')

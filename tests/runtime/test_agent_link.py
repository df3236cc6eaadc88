"""SSH_AUTH_SOCK of sessions: a link that follows the newest agent that answers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.api_server import short_directory
from support.live import Live, live

from coprocd.protocol import places
from coprocd.runtime.agent_link import AgentLink


@contextmanager
def agent(path: Path) -> Iterator[str]:
    """Something that answers where an agent would."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        yield str(path)
    path.unlink()


@pytest.fixture
def directory() -> Iterator[Path]:
    with short_directory() as directory:
        directory.chmod(0o700)
        yield directory


@pytest.fixture
def link(directory: Path) -> AgentLink:
    return AgentLink(str(directory / "ssh-auth.sock"))


async def chosen(link: AgentLink, given: str | None, inherited: str | None = None) -> str | None:
    """The SSH_AUTH_SOCK of a session whose maker gave one, or whose daemon has one."""
    env = {name: value for name, value in (("SSH_AUTH_SOCK", given or inherited),) if value is not None}
    return (await link.choose(env, given)).get("SSH_AUTH_SOCK")


async def test_the_link_follows_each_agent_that_is_given_and_answers(link: AgentLink, directory: Path) -> None:
    with agent(directory / "one") as one:
        assert await chosen(link, one) == link.path and os.readlink(link.path) == one
        with agent(directory / "two") as two:
            assert await chosen(link, two) == link.path and os.readlink(link.path) == two
            assert await chosen(link, link.path) == link.path and os.readlink(link.path) == two  # made from inside a session
            assert await chosen(link, None) is None
    assert sorted(os.listdir(directory)) == ["ssh-auth.sock"]


async def test_an_agent_that_does_not_answer_is_left_as_given_and_not_followed(link: AgentLink, directory: Path) -> None:
    (directory / "file").touch()
    with agent(directory / "one") as one:
        await chosen(link, one)
        for dead in (str(directory / "nothing"), str(directory / "file"), "relative", "/tmp/" + "x" * 200, "a\ud800"):
            assert await chosen(link, dead) == dead
        assert os.readlink(link.path) == one


async def test_the_agent_that_the_daemon_was_started_with_counts_only_where_none_is_followed(link: AgentLink, directory: Path) -> None:
    with agent(directory / "old") as old:
        assert await chosen(link, None, inherited=old) == link.path and os.readlink(link.path) == old
        with agent(directory / "new") as new:
            await chosen(link, new)
            assert await chosen(link, None, inherited=old) == link.path and os.readlink(link.path) == new
        assert await chosen(link, None, inherited=old) == link.path and os.readlink(link.path) == old


async def test_where_others_can_write_there_is_no_link(link: AgentLink, directory: Path) -> None:
    directory.chmod(0o777)
    with agent(directory / "one") as one, agent(Path(link.path)):
        assert await chosen(link, one) == one and await chosen(link, None, inherited=one) == one


async def test_the_last_to_leave_takes_it_away(link: AgentLink, directory: Path) -> None:
    link.remove()
    with agent(directory / "one") as one:
        await chosen(link, one)
        link.remove()
        assert not os.path.lexists(link.path) and os.path.exists(one)


def test_two_daemons_in_one_directory_have_two_links() -> None:
    assert places.agent_path("/run/user/1/coprocd/coprocd.sock") == "/run/user/1/coprocd/ssh-auth.sock"
    assert places.agent_path("/run/user/1/coprocd/other.sock") == "/run/user/1/coprocd/other.sock.ssh-auth"


@pytest.fixture
def daemon() -> Iterator[Live]:
    with live() as started:
        yield started


def test_a_session_asks_the_newest_agent_also_when_it_is_older_than_that(daemon: Live, tmp_path: Path) -> None:
    link = f"{daemon.directory}/r/ssh-auth.sock"
    with agent(Path(daemon.directory, "one")) as one:
        session = daemon.create(shell="echo $SSH_AUTH_SOCK; read x; readlink $SSH_AUTH_SOCK", env={"SSH_AUTH_SOCK": one})
        assert daemon.output(session, b"\n") == f"{link}\r\n".encode()
    with agent(Path(daemon.directory, "two")) as two:
        daemon.create(shell="exit", env={"SSH_AUTH_SOCK": two})
        daemon.call("session.send_text", session=session, text="", enter=True)
        assert daemon.output(session).endswith(f"{two}\r\n".encode())


def test_with_the_setting_off_sessions_have_the_agent_as_it_was_given(daemon: Live) -> None:
    os.makedirs(f"{daemon.directory}/c/coprocd", exist_ok=True)
    Path(f"{daemon.directory}/c/coprocd/config.toml").write_text("[sessions]\nssh_auth_link = false\n")
    daemon.restart()
    with agent(Path(daemon.directory, "one")) as one:
        session = daemon.create(shell="echo $SSH_AUTH_SOCK", env={"SSH_AUTH_SOCK": one})
        assert daemon.output(session) == f"{one}\r\n".encode()

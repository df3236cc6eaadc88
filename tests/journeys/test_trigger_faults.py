"""Triggers against what a hostile job prints, and against what goes wrong while they act: the session goes on, and so do the others."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from support.live import Live

READER = "stty -echo; while IFS= read -r line; do printf '%b\\n' \"$line\"; done"
"""A job that prints each line that is typed, with the escapes that printf knows."""


def prints(daemon: Live, session: str, line: str) -> None:
    daemon.call("session.send_text", session=session, text=line + "\n")


def reader(daemon: Live, *triggers: dict[str, Any], **params: Any) -> str:
    session = daemon.create(shell=READER, triggers=list(triggers), **params)
    daemon.await_(lambda: daemon.call("session.get", session=session)["activity"] == "awaiting_input")
    return session


@pytest.mark.parametrize("action", ["run_coprocess", "run_command"])
def test_a_notification_of_bytes_that_are_no_text_is_one_like_any_other(daemon: Live, tmp_path: Path, action: str) -> None:
    """The record of the action could not be written: no output of the session was read any more, and the daemon could not be stopped."""
    command = rf"printf %s \0 > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/told"
    session = reader(daemon, {"event": "notification_posted", "action": action, "parameter": command})
    prints(daemon, session, r"\033]9;a\377b\007")
    daemon.await_((tmp_path / "told").exists)
    assert (tmp_path / "told").read_text() == "a\ufffdb"
    prints(daemon, session, "after")
    daemon.output(session, b"after\r\n")
    daemon.call("session.close", session=session, grace_s=0)

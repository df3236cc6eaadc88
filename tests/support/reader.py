"""A session whose job prints each line that is typed: what triggers are tried on."""

from __future__ import annotations

from typing import Any

from support.live import Live

READER = "stty -echo; while IFS= read -r line; do printf '%b\\n' \"$line\"; done"
"""Prints each line with the escapes that printf knows."""


def reader(daemon: Live, *triggers: dict[str, Any], **params: Any) -> str:
    """The session, once its job waits for a line."""
    session = daemon.create(shell=READER, triggers=list(triggers), **params)
    daemon.await_(lambda: daemon.call("session.get", session=session)["activity"] == "awaiting_input")
    return session


def prints(daemon: Live, session: str, line: str) -> None:
    """Has the job print `line` and end it."""
    daemon.call("session.send_text", session=session, text=line + "\n")

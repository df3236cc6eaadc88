"""`coprocctl demo`: a coprocess answers a session, before your eyes, and leaves nothing behind."""

from __future__ import annotations

import argparse
import os
import sys
import time
from binascii import a2b_base64

from coprocctl.arguments import socket_path
from coprocctl.exits import EXIT_FAILED, Failure
from coprocctl.format import escaped
from coprocctl.output import coloured, note
from coprocctl.start import connect_or_start, stop_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from coprocctl.connection import Connection

# The session asks, and waits for an answer on its terminal, as any program does.
JOB = 'while :; do echo "Are you there?"; read a || exit; echo "got: $a"; sleep 1; done'
# The coprocess reads what the session prints, and types.
ANSWERER = 'while IFS= read -r line; do case $line in "Are you there?"*) echo Yes ;; esac; done'
EXPECTED = b"got: Yes"
ANSWER_TIMEOUT_S = 15.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Starts a daemon when none runs, and ends it again when it has nothing else to do."


def run(args: argparse.Namespace) -> int:
    say("A session is a job on a terminal of its own. A coprocess reads all it prints, and types.\n")
    connection, started = connect_or_start(socket_path(args))
    with connection:
        if started:
            say(f"The daemon was not running; it is now: pid {connection.call('daemon.info')['pid']}.\n")
        try:
            play(connection)
        finally:
            if started and not connection.call("session.list", {"state": "running"}):
                stop_all(connection)
                say("The daemon had nothing else to do and was stopped.")
    say(coloured("demo: a coprocess answered the session", "green"))
    return 0


def play(connection: Connection) -> None:
    """The demonstration; raises Failure when the answer does not come."""
    name = f"demo-{os.urandom(2).hex()}"
    typed(f"coprocctl new --name {name} -- sh -c '{JOB}'")
    env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    session = connection.call("session.create", {"argv": ["/bin/sh", "-c", JOB], "name": name, "cwd": "/", "env": env, "clear_env": True})
    try:
        say(f"  session {escaped(session['id'])}, pid {session['pid']}")
        typed(f"coprocctl run-coprocess {name} '{ANSWERER}' --from 0")
        # From the first byte, so that the first question is not missed, however late the coprocess comes.
        coprocess = connection.call("coprocess.run", {"session": session["id"], "command": ANSWERER, "from": 0})
        say(f"  coprocess {escaped(coprocess['id'])}, pid {coprocess['pid']}")
        typed(f"coprocctl logs -f {name}")
        follow(connection, session["id"])
    finally:
        connection.call("session.close", {"session": session["id"], "grace_s": 0.2})
        say(f"\nSession {name} was closed.")


def follow(connection: Connection, session: str) -> None:
    """Prints what the session prints, up to the line that proves it."""
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    offset, unfinished = 0, b""
    while (left_s := deadline - time.monotonic()) > 0:
        output = connection.call("session.read", {"session": session, "from_offset": offset, "wait_s": left_s}, timeout_s=left_s + 5)
        offset = output["next_offset"]
        *lines, unfinished = (unfinished + a2b_base64(output["data_b64"])).split(b"\n")
        for line in lines:
            shown = escaped(line.decode("utf-8", "replace").rstrip("\r"))
            say("  " + (coloured(shown, "green") if EXPECTED in line else shown))
            if EXPECTED in line:
                return
        if output["eof"]:
            raise failed(connection, session, "the session ended before an answer reached it")
    raise failed(connection, session, f"no answer reached the session within {ANSWER_TIMEOUT_S:g} s")


def failed(connection: Connection, session: str, why: str) -> Failure:
    """Why the demonstration failed, with what is known of its coprocess."""
    coprocess: dict[str, Any] | None = connection.call("coprocess.get", {"session": session})
    if coprocess is not None:
        note(
            f"the coprocess is {coprocess['state']}, read up to {coprocess['consumed_offset']}, typed {coprocess['typed_bytes']} bytes; stderr: {escaped(coprocess['stderr'] or '-')}"
        )
    return Failure(f"demo: {why}; look at: coprocctl daemon logs", EXIT_FAILED)


def typed(command: str) -> None:
    """Shows the command that does what happens next."""
    say(coloured(f"$ {command}", "bold"))


def say(text: str) -> None:
    """One line of the transcript, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

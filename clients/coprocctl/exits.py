"""How a command fails: one exception, which carries the message, the exit status and what `--json` prints.

What each status means, and will go on meaning, is in STATUSES, which `--help` shows; 141 is that of a command whose output nobody reads any more.
"""

from __future__ import annotations

from coprocd.protocol.errors import ERRORS, EXIT_FAILED, EXIT_NO_DAEMON, EXIT_OUR_FAULT, EXIT_REFUSED, EXIT_TIMED_OUT, EXIT_USAGE

__all__ = [
    "EXIT_FAILED",
    "EXIT_INTERRUPTED",
    "EXIT_NO_DAEMON",
    "EXIT_NO_READER",
    "EXIT_OUR_FAULT",
    "EXIT_REFUSED",
    "EXIT_TIMED_OUT",
    "EXIT_USAGE",
    "STATUSES",
    "ConnectionLost",
    "Failure",
    "NoDaemon",
    "Refused",
    "status_of",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
EXIT_NO_READER = 141  # 128 + SIGPIPE

STATUSES = """\
exit status:
  0    done                            5    no daemon
  1    failed                          124  timed out
  2    usage                           125  the fault is ours, not the job's
  3    no such session                 130  interrupted
  4    refused: already running, name taken, session ended, input full

With --json an error is an object on stderr: {"error": {"code", "message", "data"?}}; the exit status is the same.
"""


def status_of(ended: dict[str, Any]) -> int | None:
    """The exit status of a job as a shell gives it, 128 + n for signal n; None where it is not known."""
    if ended["signal"]:
        import signal

        number = getattr(signal, ended["signal"], 0)
        return 128 + int(number) if number else None
    return None if ended["exit_status"] is None else int(ended["exit_status"])


class Failure(Exception):
    """Ends the command with `status`, after its message on stderr. `code` is one of `coprocd.protocol.errors` or a word of ours; `data` is for programs."""

    code = "failed"
    status = EXIT_FAILED
    data: dict[str, object] | None = None
    usage = ""  # how the command is written, for people, where it was not

    def __init__(self, message: str, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if status is not None:
            self.status = status
        if code is not None:
            self.code = code

    def as_object(self) -> dict[str, object]:
        """The JSON object that `--json` prints on stderr."""
        said: dict[str, object] = {"code": self.code, "message": self.message}
        return {"error": said if self.data is None else {**said, "data": self.data}}


class NoDaemon(Failure):
    """Nothing answers at the socket."""

    code = "no_daemon"
    status = EXIT_NO_DAEMON


class ConnectionLost(Failure):
    """The daemon closed the connection before it answered: whether it did what was asked is unknown."""

    code = "connection_lost"


class Refused(Failure):
    """The daemon answered with an error. `data` is its `error.data`."""

    data: dict[str, object]

    def __init__(self, code: str, message: str, data: dict[str, object]) -> None:
        _, status = ERRORS.get(code, (0, EXIT_FAILED))  # a newer daemon may know more codes than we do
        super().__init__(message, status, code)
        self.data = data

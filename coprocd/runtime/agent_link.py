"""One path for SSH_AUTH_SOCK that all sessions have: a link to the agent of whoever came last.

An agent ends with the login that brought it, a session does not: with a link the next login's agent serves the old sessions too.
The link stands in the runtime directory; where that is not ours alone there is none, and sessions get the agent's own path.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import threading

from coprocd.runtime import launch

VARIABLE = "SSH_AUTH_SOCK"


class AgentLink:
    """The link at `path`."""

    def __init__(self, path: str) -> None:
        self.path = path

    async def choose(self, env: dict[str, str], given: str | None) -> dict[str, str]:
        """`env` with the link for its agent, if that answers.

        An agent `given` by whoever makes the session is followed from now on; one that `env` has from the daemon only where none is.
        """
        if env.get(VARIABLE):
            with contextlib.suppress(TimeoutError, OSError):
                if await launch.aside(self._leads if given is None else self.follow, env[VARIABLE]):
                    return env | {VARIABLE: self.path}
        return env

    def follow(self, agent: str) -> bool:
        """Points the link, in one step, to `agent` if it answers; whether the link is its path now. Looks at files: for `launch.aside`."""
        if not self._is_private():
            return False
        if agent == self.path:
            return True
        if not answers(agent):
            return False
        new = f"{self.path}.{threading.get_native_id()}"
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new)
            os.symlink(agent, new)
            os.replace(new, self.path)
        except OSError:
            return False
        return True

    def remove(self) -> None:
        """Takes it away: no session needs it any more."""
        if os.path.islink(self.path):
            os.unlink(self.path)

    def _leads(self, otherwise: str) -> bool:
        """Whether the link leads to an agent, if need be to `otherwise`."""
        return (self._is_private() and answers(self.path)) or self.follow(otherwise)

    def _is_private(self) -> bool:
        found = os.lstat(os.path.dirname(self.path))
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


def answers(path: str) -> bool:
    """Whether something listens on the Unix socket `path`."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            return os.path.isabs(path) and probe.connect_ex(path) in (0, errno.EAGAIN)
        except (OSError, ValueError):
            return False  # no path that a socket could have

"""The start of a job as it is asked for on the wire: refused with what the machine has no more of, or done (`spawn`)."""

from __future__ import annotations

import errno

from coprocd.keeper import spawn, wire
from coprocd.keeper.register import Register
from coprocd.platform import descriptors

RESERVE_FDS = 64
"""Descriptors that no new job gets: what comes with a message must always find room, or the daemon is cut off."""

EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOSPC, errno.EDQUOT, errno.ENXIO)
"""What a spawn meets where the machine has no more: descriptors, memory, processes, terminals (pty(7)), disk."""


class Refused(Exception):
    """An operation that cannot be done; the text goes to the client."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def start(message: wire.Message, open_files: tuple[int, int], register: Register) -> spawn.Spawned:
    """The pid and the own descriptors of the job that `message` asks for, which is in the register; Refused says why not."""
    used, most = descriptors.count(), descriptors.limit()
    if used + RESERVE_FDS > most:
        raise Refused("resource_exhausted", f"the keeper has {used} of {most} descriptors in use: close sessions, or raise the limit")
    how = spawn.Start(message["cwd"], open_files, register.fd, register.entry(message["key"], message.get("label", "")))
    try:
        if message["kind"] == "pty":
            return spawn.on_pty(message["argv"], message["env"], message["rows"], message["cols"], how)
        return spawn.on_pipes(message["argv"], message["env"], message["stdout"], how, message.get("joined") is True)
    except OSError as error:
        code = "resource_exhausted" if error.errno in EXHAUSTED else "spawn_failed"
        raise Refused(code, f"{error.strerror or error}{_in_use() if code == 'resource_exhausted' else ''}") from error


def _in_use() -> str:
    """What a person needs to know when the machine has no more."""
    terminals = descriptors.terminals()
    shown = f", {terminals[0]} of {terminals[1]} terminals" if terminals is not None else ""
    return f" ({descriptors.count()} of {descriptors.limit()} descriptors of the keeper{shown} in use)"

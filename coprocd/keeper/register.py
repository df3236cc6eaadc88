"""The register: a file that says which jobs there are, for the keeper that comes after this one.

A job writes itself in, in the child, before it becomes the job: so none runs that is not in it, whenever the keeper is killed. The next
keeper reads who was there; what no daemon then claims has been lost, and its processes are ended (`strays`).

    {"key", "label", "pid", "start"}   a job is about to run
    {"key", "label"}                   its session has another name
    {"key", "dropped": true}           nothing is held under this key any more

Lines are only added; now and then the file is written anew without what is over.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from coprocd.platform import pidfd

log = logging.getLogger("coprocd.keeper")

LINES_MOST = 1000
"""Lines that are over before the file is written anew: some 100 KiB."""


@dataclass
class Entry:
    """A key that was in use. `start` tells the process `pid` from a later one of the same number."""

    key: str
    label: str
    pid: int | None = None
    start: int | None = None


class Register:
    """The file at `path`, open for appending."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = self._open()
        self._over = 0

    @property
    def fd(self) -> int:
        """To be left open in a child that is to write itself in."""
        return self._fd

    def entries(self) -> list[Entry]:
        """Who is in it, in the order of the first mention. A line that a crash has cut short counts for nothing."""
        found: dict[str, Entry] = {}
        with open(self.path, "rb") as file:
            for line in file:
                try:
                    fields = json.loads(line)
                    key = str(fields["key"])
                    if fields.get("dropped"):
                        found.pop(key, None)
                        continue
                    entry = found.setdefault(key, Entry(key, ""))
                    entry.label = str(fields["label"])
                    if "pid" in fields:
                        entry.pid, entry.start = _process(fields["pid"], fields["start"])
                except (ValueError, KeyError, TypeError, RecursionError):
                    continue
        return list(found.values())

    def entry(self, key: str, label: str) -> Callable[[], None]:
        """What a child calls to write itself in: raises OSError when it cannot, and then it must not run."""
        return lambda: self._append({"key": key, "label": label, "pid": os.getpid(), "start": pidfd.start_time(os.getpid())})

    def rename(self, key: str, label: str) -> None:
        self._note({"key": key, "label": label})
        self._over += 1

    def drop(self, key: str) -> None:
        self._note({"key": key, "dropped": True})
        self._over += 2

    def compact_if_due(self, current: Callable[[], Iterable[Entry]]) -> None:
        """Writes it anew when much of it is over. Not while a child is on its way to becoming a job."""
        if self._over > LINES_MOST:
            self.rewrite(current())

    def rewrite(self, entries: Iterable[Entry]) -> None:
        """Makes `entries` all that is in it; a crash leaves the old file or the new one, a full disk the old one."""
        self._over = 0
        draft = f"{self.path}.new"
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "wb") as file:
                for entry in entries:
                    file.write(_line({"key": entry.key, "label": entry.label, "pid": entry.pid, "start": entry.start}))
            os.rename(draft, self.path)
            fd = self._open()
        except OSError as error:  # it says too much then, which harms nobody: what is over is told by its start time
            log.warning("%s cannot be written anew: %s", self.path, error.strerror)
            _remove(draft)
        else:
            os.close(self._fd)
            self._fd = fd

    def remove(self) -> None:
        """Nothing is held any more, and none will be."""
        os.close(self._fd)
        _remove(self.path)

    def _open(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def _note(self, fields: dict[str, Any]) -> None:
        try:
            self._append(fields)
        except OSError as error:  # a name that is out of date, or an ended job that is looked for later, harms nobody
            log.warning("%s: %s", self.path, error.strerror)

    def _append(self, fields: dict[str, Any]) -> None:
        line = _line(fields)
        if os.write(self._fd, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # cut short, and so it counts for nothing


def _process(pid: Any, start: Any) -> tuple[int, int | None]:
    """A pid with its start time, where there was one; ValueError for what is none, 0 and 1 included: no such job was ever ours to end."""
    if type(pid) is not int or not isinstance(start, int | None) or not 1 < pid < 1 << 31:
        raise ValueError(f"{pid!r}, started at {start!r}, is no job")
    return pid, start


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass  # somebody has tidied up, or it was not there


def _line(fields: dict[str, Any]) -> bytes:
    """Begins with a line end too: what a full disk has cut short before it must not swallow it."""
    return b"\n" + json.dumps(fields, separators=(",", ":")).encode() + b"\n"

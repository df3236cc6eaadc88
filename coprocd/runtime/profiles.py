"""The profiles in config.toml: read, watched, and edited for `trigger.*`.

The file belongs to the user. It is looked at once a second; one that is broken changes nothing, and where the fault is is told: in the log,
by `config.failed`, and in `daemon.info` until it is mended. An edit starts from the file as it is, keeps all in it that it does
not mean, and is refused while the file is broken. Files are touched in threads, since a file system may hang; and understood in threads, since
two thousand triggers take 0.1 s, which is longer than any session's echo may wait.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from coprocd import settings
from coprocd.core import config_text, profiles, trigger_spec
from coprocd.core.definition import Definition
from coprocd.core.event_log import EventLog
from coprocd.core.profiles import DEFAULT
from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.objects import TriggerSpec
from coprocd.runtime.launch import aside
from coprocd.runtime.tasks import Tasks

log = logging.getLogger("coprocd.profiles")

POLL_S = 1.0
"""How often the file is looked at: soon enough for whoever has just saved it, and one stat costs nothing."""

POLL_MOST_S = 60.0
"""… and how seldom, while its file system does not answer."""

FILE_BYTES_MOST = 16 << 20
FAULTS_MOST = 20
"""Faults that are told at once; whoever mends these sees the rest."""

Seen = tuple[int, int, int] | None
"""How a file is known again without reading it; None: there is none."""


class Profiles:
    """All profiles of a daemon. `load` first; `watch` once there is somebody to tell."""

    def __init__(self, path: str, events: EventLog, on_changed: Callable[[list[str]], None]) -> None:
        self.path = os.path.abspath(path)
        self.fault: str | None = None
        """Where the file is broken; None when all of it holds."""
        self._events = events
        self._on_changed = on_changed
        self._profiles: profiles.Profiles = {DEFAULT: []}
        self._seen: Seen = None
        self._text = ""
        self._lock = asyncio.Lock()
        self._tasks = Tasks("profiles")

    # -- what there is ------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        return list(self._profiles)

    def __contains__(self, profile: str) -> bool:
        return profile in self._profiles

    def of(self, profile: str) -> list[Definition]:
        """The triggers of a profile, in order; none where it has gone from the file."""
        return self._profiles.get(profile, [])

    def require(self, profile: str) -> None:
        """`invalid_params` for a profile that there is not, with those there are."""
        if profile not in self._profiles:
            known = ", ".join(sorted(self._profiles))
            raise CoprocdError(
                "invalid_params", f"there is no profile {profile!r} in {self.path}; there are: {known}", profiles=sorted(self._profiles)
            )

    def find(self, ref: str) -> Iterator[tuple[str, Definition]]:
        """The triggers with this id or this name, each with its profile."""
        for profile, definitions in self._profiles.items():
            for definition in definitions:
                if ref in (definition.id, definition.spec.name):
                    yield profile, definition

    # -- the file -----------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """The first reading: what is wrong is left out and told of, and keeps nobody from starting."""
        async with self._lock:
            try:
                self._seen, data = await self._read()
                self._text, document = await asyncio.to_thread(_decoded, data)
            except CoprocdError as error:
                self._fail(error.message)
                return
            self._profiles, faults = await asyncio.to_thread(profiles.read, document)
            if faults:
                self._fail(_told(faults))

    async def reload(self) -> list[str]:
        """Reads the file anew: the names of the profiles that changed. `invalid_params` where it is broken; nothing has changed then."""
        async with self._lock:
            return await self._reload()

    async def _reload(self) -> list[str]:
        try:
            self._seen, data = await self._read()
            text, document = await asyncio.to_thread(_decoded, data)
            settings.check(self.path, document)
            found, faults = await asyncio.to_thread(profiles.read, document)
            if faults:
                raise CoprocdError("invalid_params", _told(faults))
        except CoprocdError as error:
            self._fail(error.message)
            raise CoprocdError(
                "invalid_params", f"{self._at(error.message)}; the triggers stay as they were until it is corrected"
            ) from None
        return self._adopt(text, found)

    def _adopt(self, text: str, found: profiles.Profiles) -> list[str]:
        """Takes over what the file says, and tells of it."""
        changed = [name for name in {**self._profiles, **found} if self._profiles.get(name) != found.get(name)]
        mended, self.fault = self.fault is not None, None
        self._profiles, self._text = found, text
        if changed or mended:
            log.info("%s was read: %s", self.path, f"changed: {', '.join(changed)}" if changed else "nothing has changed")
            self._events.append("config.reloaded", profiles=changed)
        if changed:
            self._on_changed(changed)
        return changed

    def _fail(self, fault: str) -> None:
        """Tells of a fault, once."""
        fault = self._at(fault)
        if fault != self.fault:
            self.fault = fault
            log.error("%s", fault)
            self._events.append("config.failed", fault=fault)

    def _at(self, fault: str) -> str:
        return fault if self.path in fault else f"{self.path}: {fault}"

    def watch(self) -> None:
        """Looks at the file from now on, for as long as the loop runs."""
        self._tasks.start(self._watch())

    async def _watch(self) -> None:
        pause, gone = POLL_S, False
        while True:
            await asyncio.sleep(pause)
            try:
                seen = await aside(_seen, self.path)
                pause = POLL_S
                if seen == self._seen:
                    continue
                if seen is None and not gone:  # some editors take the file away for a moment
                    gone = True
                    continue
                gone = False
            except TimeoutError:
                pause = min(2 * pause, POLL_MOST_S)
                continue
            except OSError:
                pass  # a directory on the way may not be entered: that is for `reload` to tell
            try:
                await self.reload()
            except CoprocdError:
                pass  # it has been told of

    async def _read(self) -> tuple[Seen, bytes]:
        """The file as it is; no bytes where there is none."""
        try:
            return await aside(_read, self.path)
        except OSError as error:
            raise CoprocdError("invalid_params", f"it cannot be read: {error.strerror or error}") from None
        except TimeoutError:
            raise CoprocdError("invalid_params", "its file system does not answer") from None

    # -- edits --------------------------------------------------------------------------------------------------------

    async def add(self, profile: str, specs: Iterable[TriggerSpec], position: int | None = None) -> list[Definition]:
        """Adds valid triggers, all or none; a profile that there is not begins with them."""
        added: list[Definition] = []

        def edit(text: str, found: profiles.Profiles) -> str:
            held = found.get(profile, [])
            taken = {definition.id for one in found.values() for definition in one}
            fresh = profiles.FreshIds(profile, taken)
            for spec in specs:
                added.append(Definition(fresh.of(spec), spec))
                taken.add(added[-1].id)
            if not added:
                return text
            if len(held) + len(added) > profiles.TRIGGERS_MOST or len({*found, profile}) > profiles.PROFILES_MOST:
                raise CoprocdError(
                    "resource_exhausted",
                    f"a profile has at most {profiles.TRIGGERS_MOST:,} triggers, and there are at most {profiles.PROFILES_MOST} profiles; "
                    f"{profile!r} has {len(held):,}: remove some first",
                )
            return config_text.add(text, profile, position, [{"id": one.id, **_written(one.spec)} for one in added])

        await self._edit(edit)
        return added

    async def update(self, id: str, changes: dict[str, Any], position: int | None = None) -> tuple[str, Definition]:
        """Changes fields of a trigger, or its place; the rest of it stays as it was written."""

        def edit(text: str, found: profiles.Profiles) -> str:
            profile, index = _place(found, id)
            return config_text.update(text, profile, index, {"id": id, **_written_changes(changes)}, position)

        await self._edit(edit)
        return next(self.find(id))

    async def remove(self, id: str) -> None:
        await self._edit(lambda text, found: config_text.remove(text, *_place(found, id)))

    async def _edit(self, edit: Callable[[str, profiles.Profiles], str]) -> None:
        """Reads the file, edits its text, stores it, and takes over what it says then."""
        async with self._lock:
            await self._reload()
            text = await asyncio.to_thread(edit, self._text, self._profiles)
            if text == self._text:
                return
            found, faults = await asyncio.to_thread(lambda: profiles.read(tomllib.loads(text)))
            if faults:
                raise CoprocdError("invalid_params", f"that would break {self.path}: {_told(faults)}")
            try:
                self._seen = await aside(_write, self.path, text.encode(), self._seen)
            except OSError as error:
                raise CoprocdError(
                    "permission_denied", f"{self.path} cannot be written: {error.strerror or error}; nothing was changed"
                ) from None
            except TimeoutError:
                raise CoprocdError(
                    "resource_exhausted", f"the file system of {self.path} does not answer; the triggers are as they were"
                ) from None
            self._adopt(text, found)


def fault_in(path: str) -> str | None:
    """What is wrong in the profiles of a file, for whoever only wants to know."""
    try:
        faults = profiles.read(_decoded(_read(path)[1])[1])[1]
    except CoprocdError as error:
        faults = [error.message]
    return f"{os.path.abspath(path)}: {_told(faults)}" if faults else None


def _written(spec: TriggerSpec) -> dict[str, Any]:
    """The fields of a trigger that say something."""
    return {name: value for name in trigger_spec.FIELDS if (value := getattr(spec, name)) != trigger_spec.DEFAULTS.get(name, "")}


def _written_changes(changes: dict[str, Any]) -> dict[str, Any]:
    """Changes as they are written: what is what it would be anyway is left out."""
    return {
        name: None if name in trigger_spec.DEFAULTS and value == trigger_spec.DEFAULTS[name] else value for name, value in changes.items()
    }


def _place(found: profiles.Profiles, id: str) -> tuple[str, int]:
    for profile, definitions in found.items():
        for index, definition in enumerate(definitions):
            if definition.id == id:
                return profile, index
    raise CoprocdError("trigger_not_found", f"trigger {id} is no longer in the file; coprocctl trigger list shows those there are")


def _told(faults: list[str]) -> str:
    more = f"; and {len(faults) - FAULTS_MOST} more" if len(faults) > FAULTS_MOST else ""
    return "; ".join(faults[:FAULTS_MOST]) + more


def _decoded(data: bytes) -> tuple[str, dict[str, Any]]:
    """The text of a file and what it says; `invalid_params` with the line where it is no TOML."""
    try:
        text = data.decode()
        return text, tomllib.loads(text)
    except RecursionError:
        raise CoprocdError("invalid_params", "it is nested too deeply") from None
    except ValueError as error:
        raise CoprocdError("invalid_params", str(error)) from None


def _seen(path: str) -> Seen:
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _read(path: str) -> tuple[Seen, bytes]:
    seen = _seen(path)
    if seen is None:
        return None, b""
    with open(path, "rb") as file:
        data = file.read(FILE_BYTES_MOST + 1)
    if len(data) > FILE_BYTES_MOST:
        raise CoprocdError("invalid_params", f"it has more than {FILE_BYTES_MOST >> 20} MiB")
    return seen, data


def _write(path: str, data: bytes, expected: Seen) -> Seen:
    """Replaces the file whole, where a link points to, with the mode it had; directories and file are made when missing."""
    target = os.path.realpath(path)
    directory = os.path.dirname(target)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    if _seen(path) != expected:
        raise OSError(0, "it was changed meanwhile; try again")
    if expected is not None and not os.access(target, os.W_OK):
        raise PermissionError(0, "it is write-protected")
    fd, temporary = tempfile.mkstemp(prefix=".config.toml.", dir=directory)
    try:
        with open(fd, "wb") as file:
            os.fchmod(fd, os.stat(target).st_mode & 0o7777 if expected is not None else 0o600)
            file.write(data)
            file.flush()
            os.fsync(fd)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    return _seen(path)

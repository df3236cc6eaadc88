"""The marks of a session: places in its output that triggers and callers have marked, in the order in which they were made."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.objects import Mark

if TYPE_CHECKING:
    from coprocd.runtime.session import Session

MARK_TEXT_MOST = 4096
"""Characters kept of what a mark says."""

MARKS_MOST_BYTES = 1 << 20
"""Of all marks of a session, as JSON: their record has room for that beside the rest."""


class Marks:
    """They stand in the record of the triggers' state, so that a mark and the place up to which the output was matched are stored together."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._record = session.state.triggers.record
        self._sizes = {mark.id: _size(mark) for mark in self._record.marks}
        self._bytes = sum(self._sizes.values())

    def list(self) -> list[Mark]:
        return list(self._record.marks)

    def annotate(self, offset: int, text: str) -> Mark:
        """Marks a place that is still in the log with a text, and stores it."""
        log = self._session.log
        if not log.retained_from <= offset <= log.end:
            raise CoprocdError(
                "offset_lost" if offset < log.end else "invalid_params",
                f"session {self._session.record.name} holds its output from offset {log.retained_from} to {log.end}, and {offset} is not in it",
                retained_from=log.retained_from,
                output_offset=log.end,
            )
        mark = self.add("annotation", offset, text=text)
        self._session.triggers.save()
        return mark

    def add(self, kind: Any, offset: int, **fields: Any) -> Mark:
        """Adds one; the oldest goes when there are too many. It is stored with the next save of the triggers' state."""
        record = self._record
        record.marks_made += 1
        given: dict[str, Any] = {"end": None, "line_offset": None, "name": None, "text": None, "trigger": None} | fields
        for name in ("name", "text"):
            given[name] = given[name][:MARK_TEXT_MOST] if given[name] is not None else None
        mark = Mark(id=f"m{record.marks_made}", session=self._session.id, offset=offset, kind=kind, created_at=time.time(), **given)
        if kind == "named_mark":  # a name is at one place: where it was given last
            for other in [other for other in record.marks if other.kind == "named_mark" and other.name == mark.name]:
                self._remove(other)
        record.marks.append(mark)
        self._sizes[mark.id] = _size(mark)
        self._bytes += self._sizes[mark.id]
        while len(record.marks) > self._session.context.settings.marks_most or self._bytes > MARKS_MOST_BYTES:
            self._remove(record.marks[0])
        return mark

    def _remove(self, mark: Mark) -> None:
        self._record.marks.remove(mark)
        self._bytes -= self._sizes.pop(mark.id)


def _size(mark: Mark) -> int:
    return len(msgspec.json.encode(mark))

"""Reading a session's output by offset: what is retained, what is lost, what was silenced, and waiting for more."""

from __future__ import annotations

import asyncio
import base64

from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.objects import Output, SessionRead
from coprocd.runtime.session import Session


async def read_output(session: Session, params: SessionRead) -> Output:
    """What stands at `from_offset` (default: the oldest retained), at most `max_bytes`; waits up to `wait_s` for a first byte."""
    log = session.log
    if params.from_offset is not None and params.from_offset > log.end:
        raise CoprocdError(
            "invalid_params",
            f"session {session.record.name} has printed {log.end} bytes, and offset {params.from_offset} is not among them; read from at most {log.end}",
            output_offset=log.end,
        )
    wanted = log.retained_from if params.from_offset is None else params.from_offset
    await _wait(session, wanted, params.wait_s)
    if log.segment.fd < 0:
        raise CoprocdError(
            "session_not_found", f"session {session.record.name} was closed while its output was waited for", session=session.id
        )
    offset = max(wanted, log.retained_from)
    data = log.read(offset, min(params.max_bytes, log.end - offset))
    if params.format == "text" and not (session.finished and offset + len(data) == log.end):
        data = _whole_characters(data)
    following = offset + len(data)
    output = Output(
        offset=offset,
        next_offset=following,
        lost_bytes=offset - wanted,
        silent=log.silence.within(offset, following),
        eof=session.finished and following == log.end,
    )
    if params.format == "text":
        output.text = data.decode(errors="replace")
    else:
        output.data_b64 = base64.b64encode(data).decode()
    return output


async def _wait(session: Session, offset: int, wait_s: float) -> None:
    """Until there is a byte at `offset`, none will come, or the time is over."""
    loop = asyncio.get_running_loop()
    over = loop.time() + wait_s
    while session.log.segment.fd >= 0 and session.log.end <= offset and not session.finished:
        left = over - loop.time()
        if left <= 0:
            return
        await session.log.wait(left)


def _whole_characters(data: bytes) -> bytes:
    """`data` without a UTF-8 character that is cut at its end; all of it when nothing else is there."""
    for back in range(1, min(4, len(data))):
        byte = data[-back]
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return data[:-back] if length > back else data
        if byte < 0x80:
            break
    return data

"""`session.*`: sessions, what they print and what is typed into them."""

from __future__ import annotations

import base64
import binascii
import signal as signals
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from coprocd.api.call import Call
from coprocd.core import keys
from coprocd.core.paste import paste as pasted
from coprocd.protocol import objects
from coprocd.protocol.errors import CoprocdError
from coprocd.runtime.reading import read_output

if TYPE_CHECKING:
    from coprocd.runtime.session import Session


async def create(call: Call, params: objects.SessionCreate) -> objects.Session:
    session: Session = await call.daemon.sessions.create(params)
    return session.describe()


async def list(call: Call, params: objects.SessionList) -> Sequence[objects.Session]:
    return [session.describe() for session in call.daemon.sessions.select(params.labels, params.state)]


async def get(call: Call, params: objects.SessionGet) -> objects.Session:
    return found(call, params.session).describe()


async def renew(call: Call, params: objects.SessionGet) -> objects.Session:
    session = found(call, params.session)
    call.daemon.sessions.renew(session)
    return session.describe()


async def rename(call: Call, params: objects.SessionRename) -> objects.Session:
    session = found(call, params.session)
    await call.daemon.sessions.rename(session, params.name)
    return session.describe()


async def resize(call: Call, params: objects.SessionResize) -> objects.Session:
    session = _running(call, params.session)
    session.resize(params.rows, params.cols)
    return session.describe()


async def detach(call: Call, params: objects.SessionDetach) -> objects.Detached:
    viewers, known = found(call, params.session).viewers, params.client
    if known is not None and known not in (attached := [viewer.id for viewer in viewers]):
        raise CoprocdError("invalid_params", f"no client {known!r} is attached; there are: {', '.join(attached) or 'none'}")
    return objects.Detached(viewers.send_away(known))


async def signal(call: Call, params: objects.SessionSignal) -> objects.Session:
    session = _running(call, params.session)
    await session.signal(_signal_number(params.signal))
    return session.describe()


async def close(call: Call, params: objects.SessionClose) -> objects.Session:
    result: objects.Session = await call.daemon.sessions.close(found(call, params.session), params.grace_s)
    return result


async def send_text(call: Call, params: objects.SessionSendText) -> objects.Accepted:
    data = params.text.encode() + (b"\r" if params.enter else b"")
    return _running(call, params.session, params.key).typing.type(data, "send_text", params.key, params.if_)


async def send_keys(call: Call, params: objects.SessionSendKeys) -> objects.Accepted:
    session = _running(call, params.session, params.key)
    data = keys.encode(params.keys, session.log.modes().application_cursor)
    return session.typing.type(data, "send_keys", params.key, params.if_)


async def paste(call: Call, params: objects.SessionPaste) -> objects.Accepted:
    session = _running(call, params.session, params.key)
    data = pasted(params.text, session.log.modes().bracketed_paste)
    return session.typing.type(data, "paste", params.key, params.if_)


async def send_bytes(call: Call, params: objects.SessionSendBytes) -> objects.Accepted:
    data = _decoded(params.data_b64)
    return _running(call, params.session, params.key).typing.type(data, "send_bytes", params.key, params.if_)


async def read(call: Call, params: objects.SessionRead) -> objects.Output:
    return await read_output(found(call, params.session), params)


async def inject(call: Call, params: objects.SessionInject) -> objects.Nothing:
    data = _decoded(params.data_b64)
    _running(call, params.session).injections.put(data)
    return objects.Nothing()


async def capture(call: Call, params: objects.SessionCapture) -> objects.Captured:
    place, capture = await found(call, params.session).screen.capture(params.format, params.scrollback)
    cursor = capture.cursor
    return objects.Captured(
        data=msgspec.to_builtins(capture.lines) if capture.text is None else capture.text,
        rows=capture.rows,
        cols=capture.cols,
        cursor=objects.Cursor(cursor.row, cursor.column, cursor.visible),
        title=capture.title,
        alternate=capture.alternate,
        scrollback=capture.scrollback,
        offset=place.offset,
    )


async def set_variable(call: Call, params: objects.SessionSetVariable) -> objects.Session:
    session = found(call, params.session)
    session.attributes.set_variable(params.name, params.value)
    return session.describe()


async def annotate(call: Call, params: objects.SessionAnnotate) -> objects.Mark:
    return found(call, params.session).marks.annotate(params.offset, params.text)


async def marks(call: Call, params: objects.SessionMarks) -> Sequence[objects.Mark]:
    return found(call, params.session).marks.list()


def found(call: Call, ref: str) -> Session:
    """The session that `ref` names; what every method begins with."""
    session: Session = call.daemon.sessions.resolve(ref)
    return session


def _decoded(data_b64: str) -> bytes:
    try:
        return base64.b64decode(data_b64, validate=True)
    except binascii.Error as error:
        raise CoprocdError("invalid_params", f"data_b64 is not base64: {error}") from error


def _running(call: Call, ref: str, key: str | None = None) -> Session:
    """The session, whose job must not have ended; with an idempotency key the answer may be remembered still."""
    session = found(call, ref)
    if key is None and not session.connected:
        raise session.exited_error()
    return session


def _signal_number(signal: str | int) -> int:
    """From `TERM`, `SIGTERM` or 15."""
    try:
        if isinstance(signal, str) and not signal.isdigit():
            name = signal.upper()
            return signals.Signals[name if name.startswith("SIG") else f"SIG{name}"]
        return signals.Signals(int(signal))
    except (KeyError, ValueError):
        raise CoprocdError("invalid_params", f"there is no signal {signal!r}; give a name such as SIGINT or TERM, or a number") from None

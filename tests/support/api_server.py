"""A listener on a real Unix socket with a small table of methods of its own, and clients that speak to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import tempfile
import time
import types
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from coprocd.api.call import Call
from coprocd.api.claim import Claim, claim_socket
from coprocd.api.limits import ApiLimits
from coprocd.api.listener import Listener
from coprocd.api.methods import events
from coprocd.api.rpc import Dispatcher
from coprocd.core.event_log import EventLog
from coprocd.protocol import objects
from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.methods import METHODS, Method


class Subtract(Struct, forbid_unknown_fields=True):
    minuend: int
    subtrahend: int


class Sum(Struct, forbid_unknown_fields=True):
    a: int
    b: int
    c: int


class Text(objects.Params, kw_only=True):
    session: objects.SessionRef
    text: str = ""
    rows: objects.Cells = 24


class Size(Struct, forbid_unknown_fields=True):
    size: int


SESSION_ID = "0123456789abcdef"


class Sessions:
    """One session, named chat."""

    def resolve(self, ref: str) -> types.SimpleNamespace:
        if ref in ("chat", SESSION_ID):
            return types.SimpleNamespace(id=SESSION_ID)
        raise CoprocdError("session_not_found", f"no session {ref!r}")


class Scene:
    """The daemon as the methods below see it: what was done, in order, and what waits."""

    def __init__(self, max_events: int = 10_000) -> None:
        self.sessions = Sessions()
        self.events = EventLog(epoch="e1", clock=time.time, max_events=max_events)
        self.done: list[str] = []
        self.released = asyncio.Event()
        self.waiting = asyncio.Semaphore(0)
        self.cancelled = asyncio.Semaphore(0)


async def subtract(call: Call, params: Subtract) -> int:
    return params.minuend - params.subtrahend


async def sum_(call: Call, params: Sum) -> int:
    return params.a + params.b + params.c


async def get_data(call: Call) -> list[Any]:
    return ["hello", 5]


async def note(call: Call, params: Text) -> str:
    call.daemon.done.append(params.text)
    return params.text


async def wait(call: Call, params: Text) -> str:
    call.daemon.done.append(f"wait {params.text}")
    call.daemon.waiting.release()
    try:
        await call.daemon.released.wait()
    except asyncio.CancelledError:
        call.daemon.cancelled.release()
        raise
    return params.text


async def big(call: Call, params: Size) -> str:
    call.daemon.done.append("big")
    return "x" * params.size


async def fail(call: Call) -> None:
    raise ValueError("the secret 4711")


async def give_up(call: Call) -> None:
    raise asyncio.CancelledError("the secret 4711")


async def refuse(call: Call) -> None:
    raise CoprocdError("session_busy", "session chat is busy: vim is in front", foreground="vim")


async def refuse_badly(call: Call) -> None:
    raise CoprocdError("session_busy", "busy", culprit=object())


async def no_such_code(call: Call) -> None:
    raise CoprocdError("no_such_code", "the secret 4711")


async def no_json(call: Call) -> object:
    return object()


async def lone_surrogate(call: Call) -> str:
    return "\ud800"


METHOD_TABLE = {
    method.name: method
    for method in (
        Method("subtract", "Subtract", "int", (), "Subtracts."),
        Method("sum", "Sum", "int", (), "Adds."),
        Method("update", None, "None", (), "Nothing."),
        Method("get_data", None, "list[Any]", (), "Data."),
        Method("note", "Text", "str", (), "Notes a text."),
        Method("wait", "Text", "str", (), "Waits for the release."),
        Method("big", "Size", "str", (), "A large answer."),
        Method("fail", None, "None", (), "A bug."),
        Method("give_up", None, "None", (), "A bug: cancels itself."),
        Method("refuse", None, "None", ("session_busy",), "An error."),
        Method("refuse_badly", None, "None", ("session_busy",), "An error whose data is no JSON."),
        Method("no_such_code", None, "None", (), "An error with a code that is none."),
        Method("no_json", None, "None", (), "A result that is no JSON."),
        Method("lone_surrogate", None, "str", (), "A string that is no UTF-8."),
        METHODS["events.subscribe"],
        METHODS["events.unsubscribe"],
    )
}

HANDLERS = {
    **{name: globals()[name] for name in METHOD_TABLE if "." not in name and name in globals()},
    "sum": sum_,
    "update": get_data,
    "events.subscribe": events.subscribe,
    "events.unsubscribe": events.unsubscribe,
}

TYPES = types.SimpleNamespace(**{**vars(objects), "Subtract": Subtract, "Sum": Sum, "Text": Text, "Size": Size})


def dispatcher(limits: ApiLimits | None = None) -> Dispatcher:
    return Dispatcher(HANDLERS, methods=METHOD_TABLE, types=TYPES, limits=limits)  # type: ignore[arg-type]


class Server:
    """A listener that serves, where it is, and the scene behind it."""

    def __init__(self, claim: Claim, listener: Listener, scene: Scene) -> None:
        self.claim = claim
        self.path = claim.path
        self.listener = listener
        self.scene = scene

    async def connect(self) -> Client:
        return Client(*await asyncio.open_unix_connection(self.path, limit=64 << 20))


class Client:
    """A peer in newline framing (or with bytes of its own making)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *messages: Any) -> None:
        for message in messages:
            self.writer.write((message if isinstance(message, bytes) else json.dumps(message).encode()) + b"\n")

    async def receive(self) -> Any:
        line = await self.reader.readline()
        assert line.endswith(b"\n"), f"the connection ended after {line!r}"
        return json.loads(line)

    async def call(self, method: str, params: Any = None, id: Any = 1) -> Any:
        self.send(request(method, params, id))
        return await self.receive()

    def half_close(self) -> None:
        self.writer.write_eof()

    async def rest(self) -> bytes:
        return await self.reader.read()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


def request(method: str, params: Any = None, id: Any = 1) -> dict[str, Any]:
    message = {"jsonrpc": "2.0", "method": method, "id": id}
    return message if params is None else {**message, "params": params}


def notice(method: str, params: Any = None) -> dict[str, Any]:
    message = request(method, params)
    del message["id"]
    return message


@contextlib.contextmanager
def short_directory() -> Any:
    """A directory whose path leaves room for a socket's name."""
    path = tempfile.mkdtemp(prefix="c", dir="/tmp")
    try:
        yield Path(path)
    finally:
        shutil.rmtree(path)


@contextlib.asynccontextmanager
async def serving(limits: ApiLimits | None = None, scene: Scene | None = None) -> AsyncIterator[Server]:
    """A server for one test. At its end no task and no connection may be left."""
    with short_directory() as directory:
        scene = scene or Scene()
        claim = claim_socket(str(directory / "run" / "d.sock"))
        listener = Listener(claim.socket, scene, dispatcher(limits))
        await listener.start()
        try:
            yield Server(claim, listener, scene)
        finally:
            await listener.close(grace_s=0)
            claim.release(unlink=True)
        assert listener.connections == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

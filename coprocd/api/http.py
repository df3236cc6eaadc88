"""HTTP/1.1 on the daemon's socket: POST /rpc, the websockets GET /rpc, /sessions/{session}/attach and /coprocess, GET /events, /healthz, /openrpc.json.

Every error is JSON, in the shape that an RPC error has: {"error": {"code", "message", "data": {"code"}}}. What a request may cost is bounded by
`ApiLimits`; a handler whose client has gone is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from coprocd.api import envelope, openrpc, websocket
from coprocd.api.attach import AttachStreams
from coprocd.api.binding import internal
from coprocd.api.call import Call
from coprocd.api.connection import Connections
from coprocd.api.coprocess_socket import CoprocessSockets
from coprocd.api.event_stream import EventStreams
from coprocd.api.http_protocol import HttpProtocol
from coprocd.api.in_progress import InProgress
from coprocd.platform.hangup import HangupWatch
from coprocd.protocol.errors import CoprocdError

ROUTES = (
    "POST /rpc, GET /rpc (websocket), GET /sessions/{session}/attach (websocket), GET /sessions/{session}/coprocess (websocket), "
    "GET /events, GET /healthz, GET /openrpc.json"
)

# The HTTP status of an error that is not an RPC answer, by its code; others are the client's fault.
_STATUS = {
    "internal": 500,
    "session_not_found": 404,
    "permission_denied": 403,
    "session_ambiguous": 409,
    "session_exited": 409,
    "coprocess_already_running": 409,
    "name_taken": 409,
    "session_busy": 503,
    "resource_exhausted": 503,
}


class HttpApi:
    """The routes, and the aiohttp runner that serves them without a site of its own: the listener hands it connections."""

    def __init__(self, connections: Connections, watch: HangupWatch) -> None:
        self._connections = connections
        self._watch = watch
        self._limits = connections.limits
        self._streams = EventStreams(connections.daemon)
        self._attached = AttachStreams(connections.daemon, self._limits)
        self._coprocesses = CoprocessSockets(connections.daemon)
        self._posts = InProgress[web.Request]()
        self._runner: web.AppRunner

    async def start(self) -> None:
        """Makes the application; `protocol` works from then on."""
        app = web.Application(client_max_size=self._limits.body_bytes, middlewares=[_errors_as_json])
        app.router.add_post("/rpc", self._post)
        app.router.add_get("/rpc", self._websocket, allow_head=False)
        app.router.add_get("/sessions/{session}/attach", self._attach, allow_head=False)
        app.router.add_get("/sessions/{session}/coprocess", self._coprocess, allow_head=False)
        app.router.add_get("/events", self._streams.serve, allow_head=False)
        app.router.add_get("/healthz", _healthz)
        app.router.add_get("/openrpc.json", _openrpc)
        app.on_response_prepare.append(_end_with_the_last_request)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()

    def protocol(self, on_lost: Callable[[], None]) -> HttpProtocol:
        """The protocol of a new connection."""
        server = self._runner.server
        assert server is not None
        return HttpProtocol(server(), self._watch, self._limits.hangup_grace_s, on_lost)

    def drain(self) -> None:
        """Ends the event streams, those of attached clients and the connections that are coprocesses; what else is in progress goes on."""
        self._streams.end()
        self._attached.end()
        self._coprocesses.end()

    async def drained(self) -> None:
        """Waits until no POST is in progress, and nobody is attached."""
        await self._attached.ended()
        await self._posts.ended()

    async def close(self) -> None:
        """Ends every HTTP connection."""
        await self._runner.cleanup()

    async def _post(self, request: web.Request) -> web.StreamResponse:
        """POST /rpc: a call or a batch, whatever its content type; 204 where JSON-RPC wants no answer."""
        with self._posts.during(request):
            call = Call(self._connections.daemon)
            answer = await self._connections.dispatcher.answer(await request.read(), call)
            response = _json(200, answer) if answer is not None else web.Response(status=204)
            await response.prepare(request)
            await response.write_eof()
            call.finish()
            return response

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        return _no_upgrade(request, "; POST /rpc takes a call or a batch") or await websocket.serve(request, self._connections)

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        return _no_upgrade(request) or await self._attached.serve(request)

    async def _coprocess(self, request: web.Request) -> web.StreamResponse:
        return _no_upgrade(request, "; coprocess.run takes a command") or await self._coprocesses.serve(request)


def _no_upgrade(request: web.Request, remedy: str = "") -> web.Response | None:
    """What a request gets that does not ask for the websocket that there is."""
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return None
    message = f"GET {request.path} is a websocket and this request asks for no upgrade{remedy}"
    return _failure(426, CoprocdError("invalid_request", message), {"Upgrade": "websocket"})


async def _healthz(request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _openrpc(request: web.Request) -> web.Response:
    return _json(200, envelope.encode(openrpc.document()))


async def _end_with_the_last_request(request: web.Request, response: web.StreamResponse) -> None:
    protocol = request.transport.get_protocol() if request.transport is not None else None
    if isinstance(protocol, HttpProtocol) and protocol.last_request:
        response.force_close()


@web.middleware
async def _errors_as_json(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    try:
        return await handler(request)
    except CoprocdError as error:
        return _failure(_STATUS.get(error.code, 400), error)
    except web.HTTPRequestEntityTooLarge:
        limit = request.app._client_max_size
        return _failure(
            413, CoprocdError("invalid_request", f"Invalid Request: a body of more than {limit} bytes; send it in parts", limit=limit)
        )
    except web.HTTPMethodNotAllowed as error:
        message = f"{request.path} does not take {request.method}; the routes are {ROUTES}"
        return _failure(405, CoprocdError("method_not_found", message), {"Allow": error.headers["Allow"]})
    except web.HTTPNotFound:
        return _failure(404, CoprocdError("method_not_found", f"no {request.path} here; the routes are {ROUTES}"))
    except web.HTTPException as error:
        return _failure(error.status, CoprocdError("invalid_request", error.text or error.reason))
    except (ConnectionError, asyncio.CancelledError):
        raise  # the client has gone
    except Exception as error:
        return _failure(500, internal(error, f"{request.method} {request.path}"))


def _failure(status: int, error: CoprocdError, headers: dict[str, str] | None = None) -> web.Response:
    """An error outside of an RPC answer; on /rpc it has the envelope of one."""
    return _json(status, envelope.failure(None, error), headers)


def _json(status: int, body: bytes, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)

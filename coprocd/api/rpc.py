"""JSON-RPC 2.0: a message in, its answer out. The envelope and batches are ours, each single call is jsonrpcserver's.

jsonrpcserver 5.0.9 gets three of the spec's batch examples wrong and runs batches side by side, so it is given one checked request
at a time; a batch runs in order, one after the other. `Dispatcher` holds no state: connections share one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from jsonrpcserver import async_dispatch_to_response

from coprocd.api import envelope
from coprocd.api.binding import BoundMethod, internal
from coprocd.api.call import Call, Handler
from coprocd.api.limits import ApiLimits
from coprocd.protocol import objects
from coprocd.protocol.errors import CODES_BY_NUMBER, CoprocdError
from coprocd.protocol.methods import METHODS, Method

_NO_PARAMS: dict[str, Any] = {}


class Dispatcher:
    """Answers messages by a table of methods and a function for each of them."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        *,
        methods: Mapping[str, Method] = METHODS,
        types: ModuleType = objects,
        limits: ApiLimits | None = None,
    ) -> None:
        """`types` is where the params' structs are looked up by name. A method without a function is a KeyError, here."""
        self.limits = limits or ApiLimits()
        self._bound: dict[str, Callable[..., Any]] = {
            name: BoundMethod(method, getattr(types, method.params) if method.params else None, handlers[name])
            for name, method in methods.items()
        }

    async def answer(self, raw: bytes | bytearray | str, call: Call) -> bytes | None:
        """The answer to one message, a request or a batch; None where the spec wants none. Raises nothing but CancelledError."""
        try:
            message = envelope.parse(raw)
        except CoprocdError as error:
            return envelope.failure(None, error)
        if isinstance(message, list):
            return await self._batch(message, call)
        return await self._single(message, call)

    async def _batch(self, requests: list[Any], call: Call) -> bytes | None:
        most = self.limits.batch_requests
        if not requests:
            return envelope.failure(None, envelope.SpecError("invalid_request", "an empty batch"))
        if len(requests) > most:
            message = f"Invalid Request: a batch of {len(requests)} requests; at most {most} go into one, none of these was run"
            return envelope.failure(None, CoprocdError("invalid_request", message, limit=most))
        answers: list[bytes] = []
        room = self.limits.batch_answer_bytes
        for request in requests:
            answer = await self._single(request, call) if room > 0 else self._no_room(request)
            if answer is not None:
                answers.append(answer)
                room -= len(answer)
        return b"[%b]" % b",".join(answers) if answers else None

    def _no_room(self, request: Any) -> bytes | None:
        if isinstance(request, dict) and "id" not in request:
            return None
        message = f"not run: the answers of this batch exceed {self.limits.batch_answer_bytes} bytes; send it in parts"
        return envelope.failure(envelope.id_of(request), CoprocdError("resource_exhausted", message))

    async def _single(self, request: Any, call: Call) -> bytes | None:
        try:
            checked = envelope.check(request)
        except CoprocdError as error:
            return envelope.failure(envelope.id_of(request), error)
        # One param for jsonrpcserver: ours, which the bound method takes apart.
        wrapped = {**checked, "params": [checked.get("params", _NO_PARAMS)]}
        response: Any = await async_dispatch_to_response(
            checked["method"], self._bound, context=call, deserializer=lambda _: wrapped, validator=_unchanged
        )
        if response is None:
            return None
        if hasattr(response, "_value"):
            return envelope.success(checked["id"], response._value.result)
        return envelope.failure(checked["id"], _error_of(response._error, checked["method"]))


def _unchanged(request: Any) -> Any:
    """jsonrpcserver's own validation, which costs more than all the rest: the envelope is checked already."""
    return request


def _error_of(error: Any, method: str) -> CoprocdError:
    """jsonrpcserver's error as ours; the bound methods' pass unchanged, its own get our data."""
    if isinstance(error.data, dict) and "code" in error.data:
        data = dict(error.data)
        return CoprocdError(data.pop("code"), error.message, **data)
    if CODES_BY_NUMBER.get(error.code) == "method_not_found":
        return envelope.SpecError("method_not_found", f"no method {method!r}; rpc.discover lists them")
    return internal(RuntimeError(f"jsonrpcserver answered {error!r}"), method)

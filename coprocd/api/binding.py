"""One method, ready to be called by jsonrpcserver: its params bound, its result encoded, its errors told apart.

Nothing but a result of jsonrpcserver's leaves here: it would pass the text of an exception on to the caller, and an answer that
JSON cannot hold would break it. An exception that is no CoprocdError is a bug of ours: it is logged under an incident id, and the id is told.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import secrets
from typing import Any

import msgspec
from jsonrpcserver import Error, Success

from coprocd.api import envelope
from coprocd.api.call import Call, Handler
from coprocd.api.invalid_params import reason
from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.methods import Method

logger = logging.getLogger("coprocd.api")


class BoundMethod:
    """`await bound(call, raw_params)` runs the handler; its result holds the answer as JSON."""

    # inspect.signature, which jsonrpcserver asks at every call, finds it here and is done.
    __signature__ = inspect.Signature([inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in ("call", "params")])

    def __init__(self, method: Method, params_type: type[msgspec.Struct] | None, handler: Handler) -> None:
        self.method = method
        self._params_type = params_type
        self._handler = handler
        self._positional = () if params_type is None else positional_names(params_type)

    async def __call__(self, call: Call, raw: Any) -> Any:
        try:
            if self.method.needs == "connection" and call.connection is None:
                raise CoprocdError(
                    "invalid_request",
                    f"{self.method.name} works where notifications can follow: over newline-delimited JSON or the websocket GET /rpc, not over POST",
                )
            if self._params_type is None:
                if raw:
                    raise CoprocdError("invalid_params", f"{self.method.name} takes no params")
                result = await self._handler(call)
            else:
                result = await self._handler(call, self._bind(raw, self._params_type))
            return Success(msgspec.Raw(envelope.encode(result)))
        except CoprocdError as error:
            return self._failed(error)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():  # the connection is gone: nobody to answer
                raise
            return self._failed(internal(error, self.method.name))
        except Exception as error:
            return self._failed(internal(error, self.method.name))

    def _bind(self, raw: Any, params_type: type[msgspec.Struct]) -> msgspec.Struct:
        """The struct of the params, or `invalid_params` with a message that names the field."""
        if isinstance(raw, list):
            raw = self._named(raw)
        try:
            return msgspec.convert(raw, params_type, strict=True)
        except (msgspec.ValidationError, RecursionError) as error:
            raise CoprocdError("invalid_params", f"{self.method.name}: {reason(error, raw, params_type)}") from None

    def _named(self, raw: list[Any]) -> dict[str, Any]:
        names = self._positional
        if len(raw) > len(names):
            allowed = f"only `{'`, `'.join(names)}` may stand in a list" if names else "it takes no params by position"
            raise CoprocdError("invalid_params", f"{self.method.name}: {allowed}; give params as an object, by name")
        return dict(zip(names, raw, strict=False))

    def _failed(self, error: CoprocdError) -> Any:
        try:
            fields = envelope.error_object(error)
            envelope.encode(fields)
        except Exception as broken:  # a code that is none, data that JSON cannot hold
            fields = envelope.error_object(internal(broken, self.method.name))
        return Error(fields["code"], fields["message"], fields["data"])


def positional_names(params_type: type[msgspec.Struct]) -> tuple[str, ...]:
    """The params that a list may give, in order: `session`, where it comes first, and what the struct itself takes by position."""
    if params_type.__match_args__:
        return params_type.__match_args__
    for base in params_type.__mro__:
        own = inspect.get_annotations(base)
        if "session" in own:
            return ("session",) if next(iter(own)) == "session" else ()
    return ()


def internal(error: BaseException, where: str) -> CoprocdError:
    """Logs a bug of ours under an incident id; what the caller is told is the id alone."""
    incident = secrets.token_hex(6)
    logger.error("incident %s in %s", incident, where, exc_info=error)
    return CoprocdError("internal", f"Internal error: a bug of coprocd's; its log has incident {incident}", incident=incident)

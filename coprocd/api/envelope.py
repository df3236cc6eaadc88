"""JSON-RPC 2.0's envelope: bytes to requests, and results and errors to bytes. Knows no method and awaits nothing.

Parsing is strict JSON (RFC 8259): NaN, Infinity, lone surrogates, invalid UTF-8 and nesting that would exhaust the stack are parse errors.
The spec's own messages stand in MESSAGES to the letter; what went wrong in particular goes along as `data.reason`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from coprocd.protocol.errors import ERRORS, CoprocdError

# JSON-RPC 2.0 §5.1, for errors that have nothing more particular to say.
MESSAGES = {"parse_error": "Parse error", "invalid_request": "Invalid Request", "method_not_found": "Method not found"}

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


class SpecError(CoprocdError):
    """An error of the spec's own, under its message to the letter; `reason` says what it was."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, MESSAGES[code], reason=reason)


def parse(raw: bytes | bytearray | memoryview | str) -> Any:
    """The JSON value in `raw`, or a `parse_error`."""
    try:
        return _decoder.decode(raw)
    except RecursionError:
        raise SpecError("parse_error", "nested too deeply") from None
    except ValueError as error:  # msgspec's DecodeError, and UnicodeDecodeError
        raise SpecError("parse_error", str(error)) from None


def check(request: Any) -> dict[str, Any]:
    """`request`, if it is a request object as JSON-RPC 2.0 §4 has it; members that the spec does not name are let pass."""
    if not isinstance(request, dict):
        raise SpecError("invalid_request", "a request is an object")
    if request.get("jsonrpc") != "2.0":
        raise SpecError("invalid_request", '`jsonrpc` must be "2.0"')
    if not isinstance(request.get("method"), str):
        raise SpecError("invalid_request", "`method` must be a string")
    if not isinstance(request.get("params", []), (list, dict)):
        raise SpecError("invalid_request", "`params` must be an object or a list")
    if "id" in request and not _is_id(request["id"]):
        raise SpecError("invalid_request", "`id` must be a string, a number or null")
    return request


def id_of(request: Any) -> Any:
    """The id to answer a request with that may be none: null where it cannot be told (§5)."""
    if isinstance(request, dict) and _is_id(request.get("id")):
        return request.get("id")
    return None


def encode(value: Any) -> bytes:
    """`value` as JSON; raises what msgspec does where it is none."""
    return _encoder.encode(value)


def success(id: Any, result: Any) -> bytes:
    """The response to a call that succeeded."""
    return _encoder.encode({"jsonrpc": "2.0", "result": result, "id": id})


def failure(id: Any, error: CoprocdError) -> bytes:
    """The response to a call that failed."""
    return _encoder.encode({"jsonrpc": "2.0", "error": error_object(error), "id": id})


def error_object(error: CoprocdError) -> dict[str, Any]:
    """An error as it stands in a response, and in the body of an HTTP error."""
    return {"code": ERRORS[error.code][0], "message": error.message, "data": {**error.data, "code": error.code}}


def notification(method: str, params: Any) -> bytes:
    """A request of ours that wants no answer."""
    return _encoder.encode({"jsonrpc": "2.0", "method": method, "params": params})


def _is_id(id: Any) -> bool:
    return id is None or (isinstance(id, (str, int, float)) and not isinstance(id, bool))

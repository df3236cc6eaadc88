"""The query of a request as the struct that a route takes; what is wrong with it is `invalid_params`, and named."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from aiohttp import web

from coprocd.protocol.errors import CoprocdError

Params = TypeVar("Params", bound=msgspec.Struct)


def names(request: web.Request, route: str, remedy: str = "") -> dict[str, Any]:
    """What the query gives, by name; none may stand in it twice."""
    query: dict[str, Any] = dict(request.query)
    if len(query) != len(request.query):
        raise CoprocdError("invalid_params", f"{route}: a name stands twice in the query{remedy}")
    return query


def convert(query: dict[str, Any], kind: type[Params], route: str, taken: str | None = None) -> Params:
    """The struct made of it; `taken` are the names there are, in words."""
    try:
        return msgspec.convert(query, kind, strict=False)
    except msgspec.ValidationError as error:
        taken = taken or ", ".join(kind.__struct_encode_fields__)
        raise CoprocdError("invalid_params", f"{route}: {error}; the query takes {taken}") from None

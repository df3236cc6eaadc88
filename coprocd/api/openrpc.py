"""The OpenRPC 1.3 document, from the table of methods and the structs of its params and results.

`schemas` is shared with the reference in docs/rpc.md (`coprocd.api.reference`).
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

import msgspec

import coprocd
from coprocd.protocol import objects
from coprocd.protocol.errors import ERRORS
from coprocd.protocol.methods import EVENT_TYPES, METHODS, Method
from coprocd.protocol.parameters import meaning_of

OPENRPC_VERSION = "1.3.2"

# The spec's own errors, which any method may answer with.
SPEC_ERRORS = ("parse_error", "invalid_request", "method_not_found", "invalid_params", "internal")


def document() -> dict[str, Any]:
    """The document, made once: it only changes with the code."""
    return _document()


@functools.cache
def _document() -> dict[str, Any]:
    results, components = schemas()
    return {
        "openrpc": OPENRPC_VERSION,
        "info": {
            "title": "coprocd",
            "version": coprocd.__version__,
            "description": "Sessions on ptys, and coprocesses that read what they print and type back. JSON-RPC 2.0, params by name.",
        },
        "methods": [_method(method, results[name], components) for name, method in METHODS.items()],
        "components": {"schemas": components},
        "x-events": [{"type": type, "summary": summary} for type, summary in EVENT_TYPES.items()],
    }


def schemas() -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """The schema of each method's result by the method's name, and all components: the structs of params and results."""
    types = [eval(method.result, vars(objects)) for method in METHODS.values()]
    params = [getattr(objects, method.params) for method in METHODS.values() if method.params]
    found, components = msgspec.json.schema_components([*types, *params], ref_template="#/components/schemas/{name}")
    for schema in components.values():
        if "description" in schema:  # a docstring: Python 3.13 takes its indentation off, those before leave it
            schema["description"] = inspect.cleandoc(schema["description"])
    return dict(zip(METHODS, found, strict=False)), components


def errors(method: Method) -> list[dict[str, Any]]:
    """The errors a method may answer with, its own first."""
    codes = (*method.errors, *SPEC_ERRORS[3:])
    return [{"code": ERRORS[code][0], "message": code, "data": {"code": code}} for code in codes]


def params(method: Method, components: dict[str, Any]) -> list[dict[str, Any]]:
    """A method's params as content descriptors, the required ones first."""
    if method.params is None:
        return []
    schema = components[method.params]
    required = set(schema.get("required", ()))
    descriptors = [
        {"name": name, "description": meaning_of(method.name, name), "required": name in required, "schema": property}
        for name, property in schema["properties"].items()
    ]
    return sorted(descriptors, key=lambda descriptor: not descriptor["required"])


def _method(method: Method, result: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": method.name,
        "summary": method.summary,
        "tags": [{"name": method.name.split(".")[0]}],
        "paramStructure": "by-name",
        "params": params(method, components),
        "result": {"name": "result", "schema": result},
        "errors": errors(method),
    }
    if method.needs:
        entry["x-needs"] = method.needs
    return entry

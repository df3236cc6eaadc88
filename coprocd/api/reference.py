"""The reference in docs/rpc.md, written from the table of methods: `python -m coprocd.api.reference > docs/rpc.md`.

A test fails while the file differs from what is written here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from coprocd.api import openrpc
from coprocd.protocol.errors import ERRORS
from coprocd.protocol.methods import EVENT_TYPES, METHODS, Method
from coprocd.protocol.parameters import meaning_of

_INTRODUCTION = """\
# RPC reference

Written by `python -m coprocd.api.reference` from the table in `coprocd/protocol`; do not edit.

JSON-RPC 2.0 on the daemon's Unix socket, in two framings told apart by the first byte: newline-delimited JSON, or HTTP/1.1 with
`POST /rpc` and the websocket `GET /rpc`. Params go by name; `session`, where it comes first, also by position. Durations are seconds (`_s`), sizes bytes, offsets
absolute positions in a session's output, times seconds since the Unix epoch. The same as OpenRPC: `rpc.discover`, `GET /openrpc.json`.

    echo '{"jsonrpc":"2.0","id":1,"method":"session.list"}' | socat - UNIX-CONNECT:"$SOCK"
    curl -s --unix-socket "$SOCK" http://localhost/rpc -d '{"jsonrpc":"2.0","id":1,"method":"session.get","params":["chat"]}'
    curl -sN --unix-socket "$SOCK" 'http://localhost/events?types=session.created,session.exited'

Calls on one connection start in the order in which they were sent and are answered as they end: one that waits holds up none after it. A batch runs in
order, one after the other. After a half-close, pending answers are still sent; when a connection has ended, what waits on it is cancelled.
"""

_EVENTS = """\
A notification `event` with params {`subscription`, `result`}; over `GET /events` the results alone, one a line. Each has `seq`, `epoch`, `time`, `type` and `session` (an id, or null), and
what its type says. `seq` counts from 1 within one `epoch`. A reader that comes late, lags, or knows another epoch gets one `dropped` with `from_seq` and `to_seq` (`from_seq` 0: all
before this epoch) and goes on from there.
"""


def render() -> str:
    """The whole document, as Markdown."""
    results, components = openrpc.schemas()
    params_types = {method.params for method in METHODS.values()}
    shown = {name: schema for name, schema in components.items() if name not in params_types}
    parts = [_INTRODUCTION, "## Methods\n"]
    parts += [_method(method, results[name], components) for name, method in METHODS.items()]
    parts.append("## Objects\n")
    parts += [_object(name, schema) for name, schema in sorted(shown.items()) if schema.get("properties")]
    parts += ["## Events\n", _EVENTS, _table(("type", "what"), ((f"`{type}`", summary) for type, summary in EVENT_TYPES.items()))]
    parts.append("## Errors\n\n`error.data.code` has the code, which is what to go by; `error.message` is for people.\n")
    parts.append(
        _table(
            ("code", "number", "exit status of a command"),
            ((f"`{code}`", str(number), str(exit)) for code, (number, exit) in ERRORS.items()),
        )
    )
    return "\n".join(parts)


def _method(method: Method, result: dict[str, Any], components: dict[str, Any]) -> str:
    lines = [f"### `{method.name}`\n", method.summary + "\n"]
    params = openrpc.params(method, components)
    if params:
        rows = ((f"`{param['name']}`", type_of(param["schema"]), _default(param), param["description"]) for param in params)
        lines.append(_table(("param", "type", "default", "meaning"), rows))
    else:
        lines.append("No params.\n")
    lines.append(f"Result: {type_of(result)}.\n")
    if method.errors:
        lines.append("Errors: " + ", ".join(f"`{code}` ({ERRORS[code][0]})" for code in method.errors) + ".\n")
    if method.needs == "connection":
        lines.append("Works over newline framing and the websocket, where notifications can follow.\n")
    return "\n".join(lines)


def _object(name: str, schema: dict[str, Any]) -> str:
    rows = ((f"`{field}`", type_of(property), meaning_of(name, field)) for field, property in schema["properties"].items())
    lines = [f"### {name}\n"]
    if "description" in schema:
        lines.append(schema["description"] + "\n")
    lines.append(_table(("field", "type", "meaning"), rows))
    return "\n".join(lines)


def _default(param: dict[str, Any]) -> str:
    if param["required"]:
        return "required"
    default = param["schema"].get("default")
    return "–" if default is None else f"`{json.dumps(default)}`"


def type_of(schema: dict[str, Any]) -> str:
    """A JSON Schema in words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(type_of(part) for part in schema["anyOf"])
    if schema.get("type") == "array":
        if "prefixItems" in schema:
            return f"[{', '.join(type_of(item) for item in schema['prefixItems'])}]"
        return f"list of {type_of(schema.get('items', {}))}"
    if schema.get("type") == "object":
        return f"object of {type_of(schema['additionalProperties'])}" if isinstance(schema.get("additionalProperties"), dict) else "object"
    return str(schema.get("type", "any")) + _range(schema)


def _range(schema: dict[str, Any]) -> str:
    bounds = [
        f"{sign} {schema[key]:,}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in schema
    ]
    return f" ({', '.join(bounds)})" if bounds else ""


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
